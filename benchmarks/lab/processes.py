"""Processes as the kernel tells of them: memory, CPU time and open files of a session, and of ourselves."""

import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import Event
from typing import TypeVar

T = TypeVar("T")

MB, MIB = 1_000_000, 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment of a session: memory in bytes, and open files, of all its processes."""

    at: float
    pss: int
    rss: int
    open_files: int


@contextmanager
def sampling(session: int, *, every: float) -> Iterator[list[Sample]]:
    """Sample a session's memory and open files meanwhile."""
    samples: list[Sample] = []
    is_over = Event()

    def work() -> None:
        samples.append(sample(session))
        while not is_over.wait(every):
            samples.append(sample(session))

    with ThreadPoolExecutor(1) as pool:
        sampler = pool.submit(work)
        try:
            yield samples
        finally:
            is_over.set()
            sampler.result()


def sample(session: int) -> Sample:
    processes = members(session)
    rollups = [rollup(process) for process in processes]
    pss, rss = (sum(one.get(name, 0) for one in rollups) for name in ("Pss", "Rss"))
    return Sample(time.monotonic(), pss, rss, sum(entries(process / "fd") for process in processes))


def rollup(process: Path) -> dict[str, int]:
    """Return the kinds of memory of a process by its folder in /proc, in bytes; none where it has ended."""
    with suppress(OSError):
        return _kilobytes((process / "smaps_rollup").read_text())
    return {}


def status(name: str, process: int | str = "self") -> int:
    """Return a figure of a process in bytes, such as VmRSS."""
    return _kilobytes(Path(f"/proc/{process}/status").read_text())[name]


def _kilobytes(text: str) -> dict[str, int]:
    return {name: 1024 * int(figure) for name, figure in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}


def members(session: int) -> list[Path]:
    """Return the folders in /proc of the processes of a session."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(_state(process)[3]) == session:
                found.append(process)
    return found


def survivors(session: int) -> list[str]:
    """Return the command lines of the processes of a session that live."""
    lines = []
    for process in members(session):
        with suppress(OSError):
            if _state(process)[0] != "Z":
                lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:80])
    return lines


def entries(folder: Path) -> int:
    """Count what is in a folder of /proc; nothing where its process has ended."""
    with suppress(OSError):
        return len(os.listdir(folder))
    return 0


def cpu_seconds(session: int) -> float:
    """Return the CPU time of a session's processes, and of those that have ended and been waited for."""
    ticks = 0
    for process in members(session):
        with suppress(OSError):
            ticks += sum(map(int, _state(process)[11:15]))
    return ticks / TICKS


def _state(process: Path) -> list[str]:
    """Return the fields of /proc/PID/stat from the third, the state, on."""
    return (process / "stat").read_text().rpartition(")")[2].split()


def in_a_fresh_process(work: Callable[[], T]) -> T:
    """Return what a piece of work returns in a process that has imported and allocated nothing else."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(work)
