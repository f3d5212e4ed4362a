"""What lies on the disk: every photo file of the dataset with its stamp, and what was left out.

Symbolic links, FIFOs, sockets and devices are never opened, and links to folders never followed. A folder that cannot
be listed is not empty: what the store knows below it stays.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.answers import printable
from core.dataset import is_ignored_file, is_ignored_folder, username_fault, username_of
from core.errors import PathError
from core.model import FileStamp, Place, is_regular


@dataclass(slots=True)
class Sweep:
    """One listing of the dataset; paths are relative to it, as bytes."""

    identity: tuple[int, int]  # device and inode of the root
    users: dict[str, dict[bytes, FileStamp]] = field(default_factory=dict)
    unlisted: list[bytes] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    ignored: int = 0

    @property
    def file_count(self) -> int:
        return sum(map(len, self.users.values()))

    def lacks(self, place: Place) -> bool:
        """Tell whether a file was not there; in a folder that could not be listed every file may be."""
        if place.path in self.users.get(place.username, ()):
            return False
        return not any(place.path.startswith(folder + b"/") for folder in self.unlisted)


def root_identity(root: Path) -> tuple[int, int]:
    """Return device and inode of the dataset folder; raises PathError where it is not one."""
    try:
        status = os.stat(root)
    except OSError as error:
        raise PathError(
            f"There is no dataset folder {root} ({error.strerror}): make it, or name yours with --dataset."
        ) from error
    if not os.path.isdir(root):
        raise PathError(f"{root} is no folder: name the folder that holds <username>/ folders with --dataset.")
    return status.st_dev, status.st_ino


def sweep(root: Path) -> Sweep:
    """List the dataset; raises PathError where the root is no folder that can be listed."""
    result = Sweep(root_identity(root))
    try:
        entries = sorted(os.scandir(os.fsencode(root)), key=lambda entry: entry.name)
    except OSError as error:
        raise PathError(f"The dataset folder {root} cannot be listed ({error.strerror}): check its rights.") from error
    stray = [entry for entry in entries if not _take_folder(entry, result)]
    _report_stray(stray, result)
    return result


def _take_folder(entry: os.DirEntry[bytes], result: Sweep) -> bool:
    """List a folder of the root; return False for what is no folder."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    if is_ignored_folder(entry.name):
        result.ignored += 1
    elif fault := username_fault(entry.name):
        result.ignored += 1
        result.faults.append(f"Folder '{printable(entry.name)}' is not indexed: {fault}; rename it.")
    else:
        files = result.users.setdefault(username_of(entry.name), {})
        files.update(_files(os.path.dirname(entry.path), entry.name, result))
    return True


def _report_stray(entries: list[os.DirEntry[bytes]], result: Sweep) -> None:
    """Count what lies beside the folders, and report photos without an account in one sentence."""
    result.ignored += len(entries)
    photos = [
        entry.name for entry in entries if entry.is_file(follow_symlinks=False) and not is_ignored_file(entry.name)
    ]
    if photos:
        result.faults.append(
            f"{len(photos)} file(s) directly in the dataset are not indexed (first: {printable(photos[0])}):"
            " move them into a folder named after the account."
        )


def _files(root: bytes, top: bytes, result: Sweep) -> Iterator[tuple[bytes, FileStamp]]:
    """Yield the photo files below a folder of the root."""
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                for entry in entries:
                    path = folder + b"/" + entry.name
                    if entry.is_dir(follow_symlinks=False) and not is_ignored_folder(entry.name):
                        folders.append(path)
                    elif stamp := _stamp(entry):
                        yield path, stamp
                    else:
                        result.ignored += 1
        except OSError as error:
            result.unlisted.append(folder)
            result.faults.append(
                f"Folder '{printable(folder)}' cannot be listed ({error.strerror}): what is known of it is kept."
            )


def _stamp(entry: os.DirEntry[bytes]) -> FileStamp | None:
    """Return the stamp of a photo file; None for what is ignored, irregular, or gone since it was listed."""
    if is_ignored_file(entry.name):
        return None
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return FileStamp.of(status) if is_regular(status) else None
