"""igsearch as a person runs it: commands that end, and services that go on, each a real process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import fork_server

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05
PROGRAM = ("-m", "igsearch")
"""What an interpreter is told, to be igsearch as a person types it."""


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@dataclass(frozen=True)
class Shell:
    """A folder with a dataset, and igsearch run in it with nothing in the environment but what is given."""

    folder: Path

    def environment(self, variables: dict[str, str]) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), **variables}

    def igsearch(
        self,
        *arguments: str,
        stdin: bytes = b"",
        variables: dict[str, str] | None = None,
        prefix: tuple[str, ...] = (),
        program: tuple[str, ...] = (),
    ) -> Ended:
        """Run a command to its end: forked from one that has its imports, unless a prefix or a program is given."""
        environment = self.environment(variables or {})
        if prefix or program:
            command = [*prefix, sys.executable, *(program or PROGRAM), *arguments]
            ended = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                input=stdin,
                capture_output=True,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
        else:
            ended = fork_server.run(arguments, self.folder, environment, stdin=stdin, seconds=PATIENCE_SECONDS)
        assert b"Traceback" not in ended.stderr, ended.stderr.decode()
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def put(self, path: str, content: bytes) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def figures(self, variables: dict[str, str] | None = None) -> dict[str, Any]:
        """Return what `igsearch stats --json` prints."""
        [figures] = self.igsearch("stats", "--json", variables=variables).objects
        return dict(figures)

    def images(self) -> int:
        """Return how many photos `igsearch stats` counts: none while a service that began just now makes the tables."""
        return sum(figures["images"] for figures in self.igsearch("stats", "--json").objects)

    @contextmanager
    def service(
        self,
        *arguments: str,
        variables: Mapping[str, str] = {},
        prefix: tuple[str, ...] = (),
        program: tuple[str, ...] = PROGRAM,
    ) -> Iterator["Service"]:
        """Run a service; at the end it is asked to end, and must, without a traceback."""
        log = self.folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        environment = self.environment({"IGSEARCH_SETTLE_SECONDS": "0.3", **variables})
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*prefix, sys.executable, *program, *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        service = Service(process, log)
        try:
            yield service
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(PATIENCE_SECONDS)
            finally:
                process.kill()
        assert "Traceback" not in service.log, service.log


@dataclass(frozen=True)
class Service:
    """A running service and what it says."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so, for as long as the service lives."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log}"
            assert time.monotonic() < deadline, f"waited in vain:\n{self.log}"
            time.sleep(POLL_SECONDS)

    def until_said(self, words: str) -> None:
        self.until(lambda: words in self.log)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)
