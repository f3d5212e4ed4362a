"""List the photo files of the dataset with their stamps, and count the entries left out.

Symbolic links, FIFOs, sockets and devices are never opened, and links to folders are never followed. A folder that
cannot be listed does not count as empty: the store's records below it stay.
"""

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from core.dataset import (
    Dataset,
    FolderIdentity,
    is_ignored_file,
    is_ignored_folder,
    printable,
    username_fault,
    username_of,
)
from core.model.files import FileStamp, Place, is_regular


@dataclass(slots=True)
class RootListing:
    """The entries of the dataset folder itself."""

    identity: FolderIdentity
    folders: dict[str, list[bytes]] = field(default_factory=dict)
    """Folders by username; folders whose names differ only in case belong to the same account."""
    faults: list[str] = field(default_factory=list)
    """Sentences about entries that a person should fix."""
    ignored: int = 0
    """Entries that belong to no account."""


@dataclass(slots=True)
class Listing:
    """The files of the dataset, or of some of its accounts; paths are relative to the dataset, as bytes."""

    identity: FolderIdentity
    """Of the dataset folder."""
    users: dict[str, dict[bytes, FileStamp]] = field(default_factory=dict)
    """Files and their stamps by username and path."""
    recent: dict[bytes, int] = field(default_factory=dict)
    """Change times of recently changed files, in nanoseconds since 1970 (ctime, which programs cannot set)."""
    unlisted: list[bytes] = field(default_factory=list)
    """Folders that cannot be listed."""
    faults: list[str] = field(default_factory=list)
    """Sentences about entries that a person should fix."""
    ignored_in_root: int = 0
    """Entries of the dataset folder that belong to no account."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Entries left out, by username."""

    @property
    def file_count(self) -> int:
        return sum(map(len, self.users.values()))

    def lacks(self, place: Place) -> bool:
        """Tell whether a file is missing; in a folder that cannot be listed no file counts as missing."""
        if place.path in self.users.get(place.username, ()):
            return False
        return not any(place.path.startswith(folder + b"/") for folder in self.unlisted)


def is_gone(path: bytes) -> bool:
    """Tell whether a path does not exist; in doubt (missing permissions, a disk error) it does."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def is_unchanged(path: bytes, stamp: FileStamp) -> bool:
    """Tell whether a file still has the stamp with which it was listed."""
    try:
        return FileStamp.of(os.lstat(path)) == stamp
    except OSError:
        return False


def list_root(dataset: Dataset, opted_out: Collection[str] = ()) -> RootListing:
    """List the dataset folder itself; raises PathError if it is not a folder or cannot be listed.

    The folders of forgotten accounts are left out.
    """
    result = RootListing(dataset.identity())
    stray = [entry for entry in dataset.entries() if not _take_folder(entry, result, opted_out)]
    _report_stray(stray, result)
    return result


def list_dataset(
    dataset: Dataset,
    usernames: Collection[str] | None = None,
    *,
    opted_out: Collection[str] = (),
    recent_since: int | None = None,
) -> Listing:
    """List the dataset, or some of its accounts; raises PathError if the root is not a folder or cannot be listed.

    Forgotten accounts are left out. Files that changed after `recent_since`, in nanoseconds since 1970, are also listed
    in `Listing.recent`.
    """
    root = list_root(dataset, opted_out)
    result = Listing(root.identity, faults=root.faults, ignored_in_root=root.ignored)
    for username, folders in root.folders.items():
        if usernames is None or username in usernames:
            for folder in folders:
                _list_files(dataset, folder, username, result, recent_since)
    return result


def _take_folder(entry: os.DirEntry[bytes], result: RootListing, opted_out: Collection[str]) -> bool:
    """Add a folder of the root to the listing; return False if the entry is not a folder."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    if is_ignored_folder(entry.name):
        result.ignored += 1
    elif fault := username_fault(entry.name):
        result.ignored += 1
        result.faults.append(f"Folder '{printable(entry.name)}' is not indexed: {fault}; rename it.")
    elif (username := username_of(entry.name)) in opted_out:
        result.ignored += 1
        result.faults.append(
            f"Folder '{printable(entry.name)}' is not indexed: {username} was forgotten. Remove the folder, or undo"
            f" this with `igsearch forget --undo {username}`."
        )
    else:
        result.folders.setdefault(username, []).append(entry.name)
    return True


def _report_stray(entries: list[os.DirEntry[bytes]], result: RootListing) -> None:
    """Count the entries that are not folders, and report photos among them in one sentence."""
    result.ignored += len(entries)
    photos = [
        entry.name for entry in entries if entry.is_file(follow_symlinks=False) and not is_ignored_file(entry.name)
    ]
    if photos:
        result.faults.append(
            f"{len(photos)} file(s) directly in the dataset are not indexed (first: {printable(photos[0])}):"
            " move them into a folder named after the account."
        )


def _list_files(dataset: Dataset, top: bytes, username: str, result: Listing, recent_since: int | None) -> None:
    """Add the photo files below a folder of the root to the listing."""
    files = result.users.setdefault(username, {})
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(dataset.path_of(folder)) as entries:
                for entry in entries:
                    path = folder + b"/" + entry.name
                    if entry.is_dir(follow_symlinks=False) and not is_ignored_folder(entry.name):
                        folders.append(path)
                    elif status := _status(entry):
                        files[path] = FileStamp.of(status)
                        if recent_since is not None and status.st_ctime_ns > recent_since:
                            result.recent[path] = status.st_ctime_ns
                    else:
                        result.ignored[username] += 1
        except FileNotFoundError:
            continue  # the folder has just been removed: its files are missing, and removal checks again
        except OSError as error:
            result.unlisted.append(folder)
            result.faults.append(
                f"Folder '{printable(folder)}' cannot be listed ({error.strerror}): its records are kept; check its"
                " permissions."
            )


def _status(entry: os.DirEntry[bytes]) -> os.stat_result | None:
    """Return the `stat` of a photo file; None if it is ignored, irregular, or has just been removed."""
    if is_ignored_file(entry.name):
        return None
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status if is_regular(status) else None
