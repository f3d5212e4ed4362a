"""Disk space: what the photos still to be indexed will need, where the database, the cache and temporary files lie."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cli.doctor.cache import existing
from cli.doctor.finding import Finding, fix, ok, size_text

SQLITE_BYTES, SERVER_BYTES = 10_100, 20_200
"""A photo takes in a SQLite file, and in MariaDB's files (28,000 images, `benchmarks.speed.storage_size`)."""
SNAPSHOT_BYTES = 6_300
"""A photo takes in a snapshot of the index. The new one is written beside the old one."""
MARGIN_BYTES = 100_000_000
"""For the write-ahead log of SQLite, logs, and whatever else is written there."""
FEWEST_INODES = 100


@dataclass(frozen=True, slots=True)
class Want:
    """So many bytes that something will need in a folder, or in the nearest one above that is there."""

    what: str
    folder: Path
    count: int


@dataclass(frozen=True, slots=True)
class Disk:
    """What a file system has left, and what is wanted of it, by whom."""

    place: Path
    free: int
    has_inodes: bool
    wanted: int
    wanted_for: str


def wants(photos: int, new: int, *, database: Path | None, cache: Path, temporary: Path) -> list[Want]:
    """Reckon what so many photos need, some of which are new to the database; `database`: a SQLite file."""
    files = [Want("the database", database.parent, new * SQLITE_BYTES)] if database else []
    snapshots = Want("the cache", cache, 2 * photos * SNAPSHOT_BYTES)
    return [*files, snapshots, Want("temporary files", temporary, 0)]


def check_disk(wanted: Iterable[Want], *, of_server: int = 0) -> list[Finding]:
    """Compare what is wanted with what is free; the disk of a database server is not seen from here."""
    disks = _disks(wanted)
    faults = [fix("disk", fault) for disk in disks if (fault := _fault(disk))]
    figures = [
        *map(_figures, disks),
        *([f"the database server needs {size_text(of_server)} more"] if of_server else []),
    ]
    return faults or [ok("disk", "; ".join(figures))]


def _disks(wanted: Iterable[Want]) -> list[Disk]:
    """Gather the wants by file system."""
    by_device: dict[int, list[Want]] = {}
    for want in wanted:
        by_device.setdefault(os.stat(existing(want.folder)).st_dev, []).append(want)
    return [_disk(some) for some in by_device.values()]


def _disk(wanted: list[Want]) -> Disk:
    place = existing(wanted[0].folder)
    room = os.statvfs(place)
    return Disk(
        place,
        free=room.f_bavail * room.f_frsize,
        has_inodes=room.f_files == 0 or room.f_favail >= FEWEST_INODES,  # 0: the file system does not count them
        wanted=sum(want.count for want in wanted) + MARGIN_BYTES,
        wanted_for=", ".join(want.what for want in wanted),
    )


def _figures(disk: Disk) -> str:
    wanted = size_text(disk.wanted)
    return f"at {disk.place} ({disk.wanted_for}) {wanted} may be needed, and {size_text(disk.free)} are free"


def _fault(disk: Disk) -> str | None:
    if disk.free < disk.wanted:
        return (
            f"{_figures(disk)}: free some space there, or choose another disk by IGSEARCH_DATABASE_URL, XDG_CACHE_HOME"
            " or TMPDIR."
        )
    if not disk.has_inodes:
        return f"no more files can be made at {disk.place} (its inodes are used up): remove some files there."
    return None
