"""A private MariaDB server for tests and benchmarks: its own folder, socket and port, gone afterwards."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pymysql

HOW_TO_INSTALL = "MariaDB is not installed: apt-get install -y --no-install-recommends mariadb-server"
START_SECONDS = 60
SERVER_PORTS = range(15_000, 32_000)


@dataclass(slots=True)
class MariaDB:
    """A running server; user root has no password, as on any throw-away server."""

    folder: Path
    port: int
    durable: bool
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def socket(self) -> Path:
        return self.folder / "s.sock"

    def url(self, database: str, *, user: str = "root", password: str = "") -> str:
        return f"mysql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str) -> tuple[tuple[object, ...], ...]:
        """Run statements as root and return the rows of the last one."""
        with pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return tuple(cursor.fetchall())

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self.execute(f"DROP DATABASE IF EXISTS `{name}`", f"CREATE DATABASE `{name}`")
        return self.url(name)

    def start(self) -> None:
        flush = 1 if self.durable else 0
        command = [
            _program("mariadbd", "mysqld"),
            "--no-defaults",
            *_as_mysql(),
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.socket}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--pid-file={self.folder / 'pid'}",
            f"--innodb-flush-log-at-trx-commit={flush}",
        ]
        self.socket.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=log, env=_environment(self.folder)
            )
        self._wait_until_it_listens()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Stop the server with its connections open, and return when its last thread stands still."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self.process.pid}/task")
        while any(") T " not in (thread / "stat").read_text() for thread in threads.iterdir()):
            time.sleep(0.01)

    def thaw(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.socket.exists():
            if time.monotonic() > deadline or (self.process and self.process.poll() is not None):
                raise RuntimeError((self.folder / "log").read_text()[-3000:])
            time.sleep(0.02)


def is_installed() -> bool:
    return bool(_program("mariadbd", "mysqld") and _program("mariadb-install-db", "mysql_install_db"))


@contextmanager
def private_mariadb(*, durable: bool = False) -> Iterator[MariaDB]:
    """Install and run a server in a temporary folder; `durable` flushes its log at every commit."""
    with TemporaryDirectory(prefix="igsearch-mariadb-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, "mysql")
        install = [
            _program("mariadb-install-db", "mysql_install_db"),
            "--no-defaults",
            *_as_mysql(),
            f"--datadir={folder / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        subprocess.run(install, check=True, capture_output=True, env=_environment(folder))
        server = MariaDB(folder, free_port(), durable)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _program(*names: str) -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return next(filter(None, (shutil.which(name, path=path) for name in names)), "")


def _environment(folder: Path) -> dict[str, str]:
    """Give a server a folder of its own for temporary tables: each removes those of others when it starts."""
    return {**os.environ, "TMPDIR": str(folder)}


def _as_mysql() -> list[str]:
    return ["--user=mysql"] if os.geteuid() == 0 else []


def free_port() -> int:
    """Return a port below those that the system gives out by itself: nobody gets it before the server binds it."""
    for port in random.sample(SERVER_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("No port is free: end other servers.")
