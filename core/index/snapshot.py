"""Save and load snapshots: folders of raw .npy arrays and a JSON manifest, used as a whole or not at all.

A snapshot only saves a rebuild: if anything is wrong with one, `load` logs it and returns None. The manifest has a
checksum of itself and of each array, so that a flipped bit cannot cause a wrong answer.
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
"""Increase it whenever the manifest or the files change their meaning."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A loaded snapshot."""

    key: Mapping[str, str | int]
    """The key that it was saved with."""
    arrays: Mapping[str, NDArray[Any]]
    """Read-only, mapped from the files."""


class _UnfitError(Exception):
    """The folder holds no usable snapshot; the message says why."""


def save(folder: Path, key: Mapping[str, str | int], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Replace the snapshot in the folder; if that fails, or another process is saving it, only log it."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _only_saver(folder):
            _replace(folder, key, arrays)
    except BlockingIOError:
        log.info("snapshot %s not saved: another process is saving it", folder)
    except OSError as error:
        log.warning("snapshot %s not saved: %s; make the cache folder writable to start faster", folder, error)


def load(folder: Path) -> Snapshot | None:
    """Open the snapshot in the folder; if there is no usable one, log why and return None."""
    try:
        manifest = _manifest(folder)
        arrays = {name: _array(folder / f"{name}.npy", crc) for name, crc in manifest["arrays"].items()}
    except FileNotFoundError:
        log.debug("no snapshot in %s yet", folder)
        return None
    except (_UnfitError, OSError, ValueError, RecursionError) as error:
        log.info("snapshot %s not loaded: %s: %s", folder, type(error).__name__, error)
        return None
    return Snapshot(manifest["key"], arrays)


def discard(folder: Path) -> bool:
    """Remove the snapshot in the folder and the leftovers of a crash; if that fails, log what to do.

    Return False if another process is saving or removing it now, so that the caller can try again.
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
        log.warning("snapshot %s not removed: %s; it holds data of a forgotten account: remove it", folder, error)
    return True


@contextmanager
def _only_saver(folder: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, so that leftovers found under it belong to no running process."""
    descriptor = os.open(folder.with_name(f".{folder.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _replace(folder: Path, key: Mapping[str, str | int], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Replace the snapshot in the folder.

    A crash leaves the old snapshot or, between the two renames, none; the next save removes the leftovers.
    """
    new, old = leftovers = _leftovers(folder)
    for leftover in leftovers:
        shutil.rmtree(leftover, ignore_errors=True)
    _write(new, key, arrays)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _leftovers(folder: Path) -> tuple[Path, Path]:
    """Return the folders in which the new snapshot is made and the old one is put aside."""
    return folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")


def _write(folder: Path, key: Mapping[str, str | int], arrays: Mapping[str, NDArray[Any]]) -> None:
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    content = {"key": dict(key), "arrays": {name: _checksum(folder / f"{name}.npy") for name in arrays}}
    (folder / "manifest.json").write_text(json.dumps({"format": FORMAT, "seal": _seal(content), "content": content}))


def _manifest(folder: Path) -> dict[str, Any]:
    """Return the content of the manifest; raises _UnfitError if it is damaged or of another format."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _UnfitError(f"it is not of format {FORMAT}")
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
    """Return the CRC-32 of a file; takes 26 ms for the 120 MB of a million hashes."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return zlib.crc32(content)
