"""The machine: its clock against others, and its memory against what the index and the workers take."""

import resource
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from cli.doctor.finding import Finding, fix, ok, size_text, skipped

FIRST_YEAR = 2025
"""igsearch is not older; machines whose clock has no battery start in 1970."""
APART = timedelta(minutes=1)
REMEDY = "set the clock, e.g. by `timedatectl set-ntp true`"


def check_clock(now: datetime, ahead: Mapping[str, timedelta | None], moments: Mapping[str, datetime]) -> list[Finding]:
    """Compare the time with how far other clocks are ahead of it, and with moments of the store, by their names."""
    known = {name: by for name, by in ahead.items() if by is not None}
    faults = [f"{_apart(by)} by the clock of {name}" for name, by in known.items() if abs(by) > APART]
    faults += [f"{name} is of {moment:%Y-%m-%d %H:%M}" for name, moment in moments.items() if moment > now + APART]
    said = f"it is {now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC here"
    if faults:
        return [fix("clock", f"{said}, but {' and '.join(faults)}: {REMEDY}.")]
    if now.year < FIRST_YEAR:
        return [fix("clock", f"{said}, before igsearch was made: {REMEDY}.")]
    return [ok("clock", f"{said}, and by the clock of {' and of '.join(known)}" if known else said)]


def _apart(by: timedelta) -> str:
    return f"{abs(by).total_seconds():,.0f} s {'later' if by > timedelta() else 'earlier'}"


START_BYTES, PHOTO_BYTES = 115_000_000, 21_000
"""Of a searching process at its start, and for a photo at most, while the index is built; afterwards it keeps 10,000
(28,000 images, `benchmarks.speed.storage_size`)."""
WORKER_BYTES = 134_000_000
"""The most that a worker had to itself over 100 photos of 1,080 pixels."""
START_ADDRESSES, PHOTO_ADDRESSES = 900_000_000, 24_300
"""The same as address space, which is what `ulimit -v` limits; every worker has its own."""
UNLIMITED = 1 << 60
"""Cgroups say a larger number where there is no limit."""
SERVICES = frozenset((b"run", b"watch", b"telegram", b"discord"))


@dataclass(frozen=True, slots=True)
class System:
    """Where the system tells of memory, and the limit of our address space."""

    proc: Path = Path("/proc")
    cgroups: Path = Path("/sys/fs/cgroup")
    address_space: int = resource.RLIM_INFINITY


@dataclass(frozen=True, slots=True)
class Room:
    """How much somebody leaves us, and how much of that we will need."""

    where: str
    left: int
    needed: int

    @property
    def spare(self) -> int:
        return self.left - self.needed


def check_memory(photos: int, workers: int, system: System) -> list[Finding]:
    needed = START_BYTES + photos * PHOTO_BYTES + workers * WORKER_BYTES
    rooms = [Room(where, left + _taken(system.proc), needed) for where, left in _left(system)]
    if system.address_space != resource.RLIM_INFINITY:
        addresses = START_ADDRESSES + photos * PHOTO_ADDRESSES
        rooms.append(Room("the address space of a process (ulimit -v)", system.address_space, addresses))
    if not rooms:
        return [skipped("memory", "the system does not say how much there is")]
    tightest = min(rooms, key=lambda room: room.spare)
    said = (
        f"{size_text(tightest.needed)} needed for {photos:,} photos and {workers} worker(s),"
        f" {size_text(tightest.left)} left in {tightest.where}"
    )
    if tightest.spare < 0:
        return [fix("memory", f"{said}: give it more, close other programs, or set IGSEARCH_WORKERS to fewer.")]
    return [ok("memory", said)]


def _left(system: System) -> Iterator[tuple[str, int]]:
    """Yield what the machine has left, and each group of processes with a limit that we are in."""
    available = _figures(system.proc / "meminfo").get("MemAvailable")
    if available is not None:
        yield "this machine", available * 1024
    for line in _lines(system.proc / "self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _left_in_groups(system.cgroups, path, ("memory.max", "memory.current", "inactive_file"))
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _left_in_groups(system.cgroups / "memory", path, names)


def _left_in_groups(mount: Path, path: str, names: tuple[str, str, str]) -> Iterator[tuple[str, int]]:
    """Yield what a group and those above it have left; what is kept of files goes when others need it.

    In a container the path may be that outside of it, and its group is the mount.
    """
    limit, usage, cached = names
    inside = PurePosixPath(path.lstrip("/"))
    for folder in (inside, *inside.parents):
        most, used = (_number(mount / folder / name) for name in (limit, usage))
        if most is not None and used is not None and most < UNLIMITED:
            yield "this container (cgroup)", most - used + _figures(mount / folder / "memory.stat").get(cached, 0)


def _taken(proc: Path) -> int:
    """Return what services of igsearch that run already have: they will not take it once more."""
    return 1024 * sum(
        _figures(folder / "status").get("RssAnon", 0) for folder in proc.glob("[0-9]*") if _is_service(folder)
    )


def _is_service(folder: Path) -> bool:
    with suppress(OSError):
        words = (folder / "cmdline").read_bytes().split(b"\0")
        return bool(SERVICES.intersection(words)) and any(b"igsearch" in word for word in words)
    return False


def _figures(file: Path) -> dict[str, int]:
    """Return the numbers of a file that has a name and a number on each line."""
    pairs = (line.replace(":", " ").split()[:2] for line in _lines(file))
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) > 1 and pair[1].isdigit()}


def _number(file: Path) -> int | None:
    """Return the number in a file; None where there is none, or a word such as max."""
    text = "".join(_lines(file))
    return int(text) if text.isdigit() else None


def _lines(file: Path) -> list[str]:
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8").splitlines()
    return []
