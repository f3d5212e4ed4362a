"""A snapshot on disk: a folder of raw .npy arrays and a JSON manifest, taken whole or not at all.

A snapshot saves a rebuild, nothing more: whatever is wrong with one, `load` says so in the log and returns None.
The manifest is sealed with its own checksum and holds one of each array, for a flipped bit must not cost an answer.
"""

import fcntl
import json
import logging
import mmap
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 1
"""Raised when the manifest or the files change their meaning."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The key it was saved under, and its arrays: read-only, mapped from the files."""

    key: Mapping[str, str | int]
    arrays: Mapping[str, NDArray[Any]]


class _UnfitError(Exception):
    """This folder holds no snapshot that can be used, and why."""


def save(folder: Path, key: Mapping[str, str | int], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Put a snapshot in the place of the folder; if that fails, or another process is saving, only the log tells."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _only_saver(folder):
            _replace(folder, key, arrays)
    except BlockingIOError:
        log.info("snapshot %s not saved: another process is saving it", folder)
    except OSError as error:
        log.warning("snapshot %s not saved: %s; make the cache folder writable to start faster", folder, error)


def load(folder: Path) -> Snapshot | None:
    """Open the snapshot in the folder, or say in the log why there is none."""
    try:
        manifest = _manifest(folder)
        arrays = {name: _array(folder / f"{name}.npy", crc) for name, crc in manifest["arrays"].items()}
    except FileNotFoundError:
        log.debug("no snapshot in %s yet", folder)
        return None
    except (_UnfitError, OSError, ValueError, RecursionError) as error:
        log.info("no snapshot taken from %s: %s: %s", folder, type(error).__name__, error)
        return None
    return Snapshot(manifest["key"], arrays)


def discard(folder: Path) -> bool:
    """Remove the snapshot in the folder, with what a crash left of others; if that fails, the log tells what to do.

    False: another process is saving or removing it just now, so that it is worth another try.
    """
    try:
        if folder.parent.exists():
            with _only_saver(folder):
                for place in (folder, *_leftovers(folder)):
                    if place.exists():
                        shutil.rmtree(place)
    except BlockingIOError:
        return False
    except OSError as error:
        log.warning("snapshot %s not removed: %s; it holds what was forgotten: remove it", folder, error)
    return True


@contextmanager
def _only_saver(folder: Path) -> Iterator[None]:
    """Hold a lock that dies with the process, so that what others left under it belongs to nobody."""
    descriptor = os.open(folder.with_name(f".{folder.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _replace(folder: Path, key: Mapping[str, str | int], arrays: Mapping[str, NDArray[Any]]) -> None:
    """A crash leaves the old snapshot or, between the two renames, none; the next saver removes what else it left."""
    new, old = leftovers = _leftovers(folder)
    for leftover in leftovers:
        shutil.rmtree(leftover, ignore_errors=True)
    _write(new, key, arrays)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _leftovers(folder: Path) -> tuple[Path, Path]:
    """Return where a new snapshot is made, and where the old one is put aside."""
    return folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")


def _write(folder: Path, key: Mapping[str, str | int], arrays: Mapping[str, NDArray[Any]]) -> None:
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    content = {"key": dict(key), "arrays": {name: _checksum(folder / f"{name}.npy") for name in arrays}}
    (folder / "manifest.json").write_text(json.dumps({"format": FORMAT, "seal": _seal(content), "content": content}))


def _manifest(folder: Path) -> dict[str, Any]:
    """Read what the manifest holds, if it is ours and whole."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _UnfitError(f"format {FORMAT} is wanted")
    content = manifest.get("content")
    if not isinstance(content, dict) or manifest.get("seal") != _seal(content):
        raise _UnfitError("the manifest is damaged")
    return content


def _seal(content: object) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def _array(path: Path, checksum: int) -> NDArray[Any]:
    if _checksum(path) != checksum:
        raise _UnfitError(f"{path.name} is damaged")
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _checksum(path: Path) -> int:
    """CRC-32 of a file: 26 ms for the 120 MB of a million hashes."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return zlib.crc32(content)
