"""The cache folder and disk space: snapshots can be kept, and what is still to be indexed fits."""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from cli.doctor.finding import Finding, fix, ok, size_text

OTHER_FOLDER = "set XDG_CACHE_HOME to a folder that can be written"


def check_cache(folder: Path) -> list[Finding]:
    if fault := _cache_fault(folder):
        return [fix("cache", fault)]
    remark = "can be written" if folder.exists() else "will be made"
    return [ok("cache", f"{folder} {remark}")]


def existing(path: Path) -> Path:
    """Return the path itself, or the nearest folder above that is there."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def _cache_fault(folder: Path) -> str | None:
    place = existing(folder)
    if not place.is_dir():
        return f"{place} is no folder, so searches start slowly: move it away, or {OTHER_FOLDER}."
    if place != folder:
        is_open = os.access(place, os.W_OK | os.X_OK, effective_ids=True)
        return None if is_open else f"{folder} cannot be made in {place}: give rights to that, or {OTHER_FOLDER}."
    if error := _refusal(folder):
        return f"{folder} cannot be written ({error}): give rights to it, or {OTHER_FOLDER}."
    if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{folder} can be written by others, who could change what is found: run `chmod go-w {folder}`."
    return None


def _refusal(folder: Path) -> str | None:
    """Say why nothing can be written; the file that is tried has no name, or goes at once."""
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(b"probe")
            file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


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
    faults = [fix("disk", fault) for disk in disks if (fault := _disk_fault(disk))]
    figures = [
        *map(_disk_figures, disks),
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


def _disk_figures(disk: Disk) -> str:
    wanted = size_text(disk.wanted)
    return f"at {disk.place} ({disk.wanted_for}) {wanted} may be needed, and {size_text(disk.free)} are free"


def _disk_fault(disk: Disk) -> str | None:
    if disk.free < disk.wanted:
        return (
            f"{_disk_figures(disk)}: free some space there, or choose another disk by IGSEARCH_DATABASE_URL,"
            " XDG_CACHE_HOME or TMPDIR."
        )
    if not disk.has_inodes:
        return f"no more files can be made at {disk.place} (its inodes are used up): remove some files there."
    return None
