"""Check the machine: its clock against others, and its memory against what the index and the workers need."""

import resource
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from cli.doctor.finding import Finding, fix, ok, size_text, skipped

FIRST_YEAR = 2025
"""igsearch is not older than this; the clock of a machine without a battery starts in 1970."""
APART = timedelta(minutes=1)
REMEDY = "set the clock, e.g. by `timedatectl set-ntp true`"


def check_clock(now: datetime, ahead: Mapping[str, timedelta | None], moments: Mapping[str, datetime]) -> list[Finding]:
    """Compare our clock with others, given by name how far they are ahead, and with times in the database."""
    known = {name: by for name, by in ahead.items() if by is not None}
    faults = [f"{_apart(by)} by the clock of {name}" for name, by in known.items() if abs(by) > APART]
    faults += [f"{name} is from {moment:%Y-%m-%d %H:%M}" for name, moment in moments.items() if moment > now + APART]
    said = f"it is {now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC here"
    if faults:
        return [fix("clock", f"{said}, but {' and '.join(faults)}: {REMEDY}.")]
    if now.year < FIRST_YEAR:
        return [fix("clock", f"{said}, before igsearch was made: {REMEDY}.")]
    return [ok("clock", f"{said}, and by the clock of {' and of '.join(known)}" if known else said)]


def _apart(by: timedelta) -> str:
    return f"{abs(by).total_seconds():,.0f} s {'later' if by > timedelta() else 'earlier'}"


START_BYTES, PHOTO_BYTES = 115_000_000, 21_000
"""The memory of a searching process when it starts, and the most per photo while it builds the index; afterwards 10,000
remain (28,000 images, `benchmarks.speed.storage_size`)."""
WORKER_BYTES = 134_000_000
"""The most memory that one worker used by itself over 100 photos of 1,080 pixels."""
START_ADDRESSES, PHOTO_ADDRESSES = 900_000_000, 24_300
"""The same in address space, which is what `ulimit -v` limits; every worker has its own."""
UNLIMITED = 1 << 60
"""A cgroup without a limit gives a larger number than this."""
SERVICES = frozenset((b"run", b"watch", b"telegram", b"discord"))


@dataclass(frozen=True, slots=True)
class System:
    """The places where the system describes its memory."""

    proc: Path = Path("/proc")
    cgroups: Path = Path("/sys/fs/cgroup")
    address_space: int = resource.RLIM_INFINITY
    """The limit of our address space, in bytes."""


@dataclass(frozen=True, slots=True)
class Room:
    """The memory within one limit."""

    where: str
    """The name of what sets the limit."""
    left: int
    """The bytes that are left."""
    needed: int
    """The bytes that igsearch needs."""

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
        return [fix("memory", f"{said}: add memory, close other programs, or lower IGSEARCH_WORKERS.")]
    return [ok("memory", said)]


def _left(system: System) -> Iterator[tuple[str, int]]:
    """Yield the memory left in the machine and in each of our cgroups that has a limit."""
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
    """Yield the memory left in a cgroup and those above it; the file cache counts as left, as it makes way on demand.

    In a container the path may be the one outside of it, and its own cgroup is the mount.
    """
    limit, usage, cached = names
    inside = PurePosixPath(path.lstrip("/"))
    for folder in (inside, *inside.parents):
        most, used = (_number(mount / folder / name) for name in (limit, usage))
        if most is not None and used is not None and most < UNLIMITED:
            yield "this container (cgroup)", most - used + _figures(mount / folder / "memory.stat").get(cached, 0)


def _taken(proc: Path) -> int:
    """Return the memory that running services of igsearch have already, and will not need again."""
    return 1024 * sum(
        _figures(folder / "status").get("RssAnon", 0) for folder in proc.glob("[0-9]*") if _is_service(folder)
    )


def _is_service(folder: Path) -> bool:
    with suppress(OSError):
        words = (folder / "cmdline").read_bytes().split(b"\0")
        return bool(SERVICES.intersection(words)) and any(b"igsearch" in word for word in words)
    return False


def _figures(file: Path) -> dict[str, int]:
    """Return the numbers in a file that has a name and a number on each line."""
    pairs = (line.replace(":", " ").split()[:2] for line in _lines(file))
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) > 1 and pair[1].isdigit()}


def _number(file: Path) -> int | None:
    """Return the number in a file; None if there is none, or a word such as max."""
    text = "".join(_lines(file))
    return int(text) if text.isdigit() else None


def _lines(file: Path) -> list[str]:
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8").splitlines()
    return []
