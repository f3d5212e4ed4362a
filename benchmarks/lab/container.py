"""A service of docker-compose.yml as a process of this host, with no more rights than the file gives it.

container.sh makes its root file system, read-only but for tmpfs and volumes, and drops its rights; here is what goes
into it, and its cgroup. The program is that of this folder.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from benchmarks.lab.daemon import Ended
from tests.compose import ROOT, SECRETS_FOLDER, Json

SCRIPT = Path(__file__).with_name("container.sh")
PROGRAM = str(Path(sys.prefix) / "bin/igsearch")
IMAGE_ENVIRONMENT = {
    "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "XDG_CACHE_HOME": "/var/cache",
}
"""What the Dockerfile sets."""
ENDED_SECONDS, COMMAND_SECONDS = 10.0, 60.0
BYTES = {"m": 1 << 20, "g": 1 << 30}
CGROUPS = Path("/sys/fs/cgroup")
PEAKS = ("memory.peak", "memory.max_usage_in_bytes")
"""Of cgroups of the second and the first version."""


@dataclass(frozen=True, slots=True)
class Project:
    """A folder as one in which `docker compose up` is called."""

    folder: Path

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def volume(self, name: str, owner: tuple[int, int]) -> Path:
        """Return the folder of a volume; a new one belongs to its service, as in the image."""
        path = self.folder / "volumes" / name
        if not path.exists():
            path.mkdir(parents=True, mode=0o700)
            os.chown(path, *owner)
        return path


@dataclass(slots=True)
class Container:
    """A service that runs, or that is to run."""

    name: str
    service: Json
    project: Project
    program: Sequence[str] = (PROGRAM,)
    more: Mapping[str, str] = field(default_factory=dict)
    """Variables that the compose file does not know."""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        return self.project.folder / f"{self.name}.log"

    def run(self, *command: str) -> "subprocess.CompletedProcess[bytes]":
        """Run a command beside the service, as `docker compose exec` does."""
        return subprocess.run(
            self._command(command),
            env=self._own_environment(),
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = self._start([*self.program, *self.service["command"]], log)

    def terminate(self) -> Ended:
        """Send SIGTERM, and wait for the end; kill it when it takes longer than docker waits."""
        assert self.process
        started = time.monotonic()
        self.process.terminate()
        try:
            code: int | None = self.process.wait(float(self.service["stop_grace_period"].removesuffix("s")))
        except subprocess.TimeoutExpired:
            code = None
            self.kill()
        return Ended(code, time.monotonic() - started)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    @property
    def rights(self) -> dict[str, str]:
        """Return what the kernel says of the service's user and rights."""
        assert self.process
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}

    @property
    def peak(self) -> int | None:
        """Return the most memory that its cgroup had, in bytes, pages of files included."""
        files = [folder / name for folder in self._cgroups() for name in PEAKS]
        return next((int(file.read_text()) for file in files if file.exists()), None)

    @contextmanager
    def limits(self) -> Iterator[None]:
        """Keep the service below its limits, where this host has cgroups; kill it in the end, if it still runs."""
        values = {
            "memory.max": self._memory,
            "memory.limit_in_bytes": self._memory,
            "pids.max": self.service["pids_limit"],
        }
        for folder in self._cgroups():
            folder.mkdir()
            for name, value in values.items():
                if (folder / name).exists():
                    (folder / name).write_text(str(value))
        try:
            yield
        finally:
            self.kill()
            for folder in self._cgroups():
                _remove(folder)

    @property
    def _memory(self) -> int:
        limit = self.service["mem_limit"]
        return int(limit[:-1]) * BYTES[limit[-1]]

    def _cgroups(self) -> list[Path]:
        name = f"igsearch-{os.getpid()}-{self.name}"
        if (CGROUPS / "cgroup.controllers").exists():
            return [CGROUPS / name]
        return [CGROUPS / kind / name for kind in ("memory", "pids") if (CGROUPS / kind / "cgroup.procs").exists()]

    def _start(self, command: Sequence[str], output: IO[bytes]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self._command(command),
            env=self._own_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def _own_environment(self) -> dict[str, str]:
        """Return what container.sh is told, which the program does not see."""
        files = " ".join(str(folder / "cgroup.procs") for folder in self._cgroups())
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CGROUPS": files}

    def _command(self, command: Sequence[str]) -> list[str]:
        root = self.project.folder / "root"
        root.mkdir(exist_ok=True)
        user, group = self.service["user"].split(":")
        who = [str(root), user, group, ",".join(self.service["group_add"])]
        told = {**IMAGE_ENVIRONMENT, **self.service["environment"], **self.more}
        variables = [f"{name}={value}" for name, value in told.items()]
        mounts = [part for mount in self._mounts() for part in mount]
        alone = ["unshare", "--mount", "--propagation", "private"]
        return [*alone, str(SCRIPT), *who, *mounts, "--", *variables, *command]

    def _mounts(self) -> Iterator[tuple[str, str, str]]:
        for path in _of_the_image():
            yield "ro", path, path
        for secret in self.service["secrets"]:
            yield "ro", str(self.project.secrets / secret), f"{SECRETS_FOLDER}/{secret}"
        for mount in self.service.get("volumes", []):
            yield "ro" if mount.get("read_only") else "rw", self._source(mount), mount["target"]
        for mount in self.service["tmpfs"]:
            target, options = mount.split(":")
            yield "tmpfs", options, target

    def _source(self, mount: Json) -> str:
        if mount["type"] == "bind":
            return str(self.project.folder / mount["source"])
        user, group = (int(number) for number in self.service["user"].split(":"))
        return str(self.project.volume(mount["source"], (user, group)))


def _remove(cgroup: Path) -> None:
    """Remove a cgroup, in which worker processes may live for a moment longer than their service."""
    deadline = time.monotonic() + ENDED_SECONDS
    while cgroup.exists() and time.monotonic() < deadline:
        with suppress(OSError):
            cgroup.rmdir()
        time.sleep(0.05)


def _of_the_image() -> list[str]:
    """Return the folders of this host that take the place of the image: system, Python, and this project."""
    wanted = ["/usr", "/etc", str(ROOT), sys.prefix, sys.base_prefix]
    return [path for path in dict.fromkeys(wanted) if not any(path.startswith(f"{other}/") for other in wanted)]
