"""Check the cache folder and the disk space: snapshots can be written, and everything still to be indexed fits."""

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
    remark = "can be written" if folder.exists() else "will be created"
    return [ok("cache", f"{folder} {remark}")]


def existing(path: Path) -> Path:
    """Return the path itself, or the nearest folder above it that exists."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def _cache_fault(folder: Path) -> str | None:
    place = existing(folder)
    if not place.is_dir():
        return f"{place} is not a folder, so searches start slowly: move it away, or {OTHER_FOLDER}."
    if place != folder:
        is_open = os.access(place, os.W_OK | os.X_OK, effective_ids=True)
        return None if is_open else f"{folder} cannot be created in {place}: give rights to that, or {OTHER_FOLDER}."
    if error := _refusal(folder):
        return f"{folder} cannot be written ({error}): give rights to it, or {OTHER_FOLDER}."
    if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{folder} can be written by others, who could change what is found: run `chmod go-w {folder}`."
    return None


def _refusal(folder: Path) -> str | None:
    """Return why nothing can be written to a folder, or None; the file it tries has no name, or is removed at once."""
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(b"probe")
            file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


SQLITE_BYTES, SERVER_BYTES = 10_100, 20_200
"""The size of a photo in a SQLite file, and in MariaDB's files (28,000 images, `benchmarks.speed.storage_size`)."""
SNAPSHOT_BYTES = 6_300
"""The size of a photo in a snapshot of the index; a new snapshot is written beside the old one."""
MARGIN_BYTES = 100_000_000
"""The reserve for the write-ahead log of SQLite, logs, and whatever else is written there."""
FEWEST_INODES = 100


@dataclass(frozen=True, slots=True)
class Want:
    """A need for disk space."""

    what: str
    """The name of what needs it."""
    folder: Path
    """The folder it is needed in, which may not exist yet."""
    count: int
    """The bytes that are needed."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system and what is needed of it."""

    place: Path
    """A folder in it."""
    free: int
    """The bytes that are free."""
    has_inodes: bool
    """True if enough files can be created."""
    wanted: int
    """The bytes that are needed."""
    wanted_for: str
    """The names of what needs them."""


def wants(photos: int, new: int, *, database: Path | None, cache: Path, temporary: Path) -> list[Want]:
    """Estimate the needs of `photos`, of which `new` are not in the database yet; `database` is a SQLite file."""
    files = [Want("the database", database.parent, new * SQLITE_BYTES)] if database else []
    snapshots = Want("the cache", cache, 2 * photos * SNAPSHOT_BYTES)
    return [*files, snapshots, Want("temporary files", temporary, 0)]


def check_disk(wanted: Iterable[Want], *, of_server: int = 0) -> list[Finding]:
    """Compare the needs with the free space; the disk of a database server cannot be seen from here."""
    disks = _disks(wanted)
    faults = [fix("disk", fault) for disk in disks if (fault := _disk_fault(disk))]
    figures = [
        *map(_disk_figures, disks),
        *([f"the database server needs {size_text(of_server)} more"] if of_server else []),
    ]
    return faults or [ok("disk", "; ".join(figures))]


def _disks(wanted: Iterable[Want]) -> list[Disk]:
    """Group the needs by file system."""
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
    return f"at {disk.place} ({disk.wanted_for}) {wanted} may be needed, and {size_text(disk.free)} is free"


def _disk_fault(disk: Disk) -> str | None:
    if disk.free < disk.wanted:
        return (
            f"{_disk_figures(disk)}: free some space there, or choose another disk with IGSEARCH_DATABASE_URL,"
            " XDG_CACHE_HOME or TMPDIR."
        )
    if not disk.has_inodes:
        return f"no more files can be created at {disk.place} (its inodes are used up): remove some files there."
    return None
