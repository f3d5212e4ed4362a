"""The cache folder, where snapshots of the index are kept: it can be made and written, by nobody else."""

import os
import stat
from pathlib import Path
from tempfile import TemporaryFile

from cli.doctor.finding import Finding, fix, ok

OTHER_FOLDER = "set XDG_CACHE_HOME to a folder that can be written"


def check_cache(folder: Path) -> list[Finding]:
    if fault := _fault(folder):
        return [fix("cache", fault)]
    remark = "can be written" if folder.exists() else "will be made"
    return [ok("cache", f"{folder} {remark}")]


def existing(path: Path) -> Path:
    """Return the path itself, or the nearest folder above that is there."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def _fault(folder: Path) -> str | None:
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
