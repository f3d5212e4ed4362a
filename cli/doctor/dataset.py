"""Check the dataset: its folders can be listed, its photos opened, and all folders watched."""

import ctypes
import os
import pwd
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli.doctor.finding import Finding, fix, listed, ok, skipped
from core.dataset import Dataset, is_ignored_file, locate, printable
from indexer.scanning.listing import list_root
from indexer.watching.watch_limits import WATCH_LIMITS, too_few_watches, watch_limit

MOST_FOLDERS = 20_000
"""The most folders to look into: this takes 0.7 s with three photos each, if the system has them cached."""
FAULTS_TOLD = 3


@dataclass(slots=True)
class Inventory:
    """The contents of the dataset folder, as far as it was looked into."""

    dataset: Dataset
    accounts: int
    faults: Sequence[str]
    """Folders and files of the root that are not indexed, one sentence each."""
    listed: int = 0
    """The folders that were looked into, at most MOST_FOLDERS."""
    waiting: int = 0
    """The folders that are known but were not looked into."""
    photos: int = 0
    """The photos in the listed folders."""
    closed: list[str] = field(default_factory=list)
    """The folders that cannot be listed, and why."""
    unreadable: list[str] = field(default_factory=list)
    """The photos that cannot be opened, of one tried in each folder, and why."""

    @property
    def folders(self) -> int:
        """Return the number of known folders, including the root; each has to be watched."""
        return self.listed + self.waiting

    @property
    def expected_photos(self) -> int:
        """Estimate the number of photos, assuming that the other folders have as many as the listed ones."""
        return self.photos * self.folders // max(self.listed, 1)


def take_inventory(dataset: Dataset, *, most_folders: int = MOST_FOLDERS) -> Inventory:
    """Look into the folders of the dataset; raises PathError if the dataset cannot be listed."""
    listing = list_root(dataset)
    inventory = Inventory(dataset, len(listing.folders), listing.faults)
    folders = [b""]
    while folders and inventory.listed < most_folders:
        folders += _below(folders.pop(), inventory)
        inventory.listed += 1
    inventory.waiting = len(folders)
    return inventory


def check_dataset(inventory: Inventory | None) -> list[Finding]:
    """Judge a dataset that could be listed; if it could not, the runner has noted why."""
    if inventory is None:
        return []
    faults = [fix("dataset", fault) for fault in _faults(inventory)]
    counted = f"{inventory.accounts:,} account(s), {inventory.expected_photos:,} photo(s) in {inventory.dataset.root}"
    if inventory.waiting:
        counted = f"about {counted}, as only {inventory.listed:,} of {inventory.folders:,} folders were looked into"
    return faults or [ok("dataset", counted)]


def check_events(inventory: Inventory | None, limits: Sequence[Path] = WATCH_LIMITS) -> list[Finding]:
    """Compare the folders with the kernel's limits on watches, and check that one more process may watch at all."""
    if fault := _instance_fault():
        return [fix("events", fault)]
    if inventory is None:
        return [skipped("events", "the dataset has to be fixed first")]
    known = {file: limit for file in limits if (limit := watch_limit([file])) is not None}
    if not known:
        return [skipped("events", "the system does not say how many folders may be watched")]
    lowest = min(known.values())
    if lowest < inventory.folders:
        return [fix("events", too_few_watches(inventory.folders, limits))]
    return [ok("events", f"{inventory.folders:,} folder(s) to watch, {lowest:,} allowed")]


def _below(folder: bytes, inventory: Inventory) -> list[bytes]:
    """Count the photos in a folder, open one, and return the folders in it; paths are relative to the dataset."""
    is_ours = locate(os.path.join(folder, b"photo.jpg")) is not None
    folders, photos = list[bytes](), list[bytes]()
    try:
        with os.scandir(inventory.dataset.path_of(folder)) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(os.path.join(folder, entry.name))
                elif is_ours and entry.is_file(follow_symlinks=False) and not is_ignored_file(entry.name):
                    photos.append(os.path.join(folder, entry.name))
    except FileNotFoundError:
        return []  # removed meanwhile
    except OSError as error:
        inventory.closed += [_refused(folder, error)] if is_ours else []
    inventory.photos += len(photos)
    if photos:
        _try(photos[0], inventory)
    return folders


def _try(photo: bytes, inventory: Inventory) -> None:
    """Open a photo and close it."""
    path = inventory.dataset.path_of(photo)
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))
    except FileNotFoundError:
        return
    except OSError as error:
        inventory.unreadable.append(_refused(photo, error))


def _refused(path: bytes, error: OSError) -> str:
    return f"{printable(path)} ({error.strerror})"


def _faults(inventory: Inventory) -> Iterator[str]:
    for what, refused in {
        "folder(s) cannot be listed": inventory.closed,
        "photo(s), of one tried in each folder, cannot be opened": inventory.unreadable,
    }.items():
        if refused:
            yield (
                f"{len(refused):,} {what} by {_user()}: {listed(refused)}: give that user rights,"
                f" e.g. by `chmod -R a+rX {inventory.dataset.root}`."
            )
    if inventory.faults:
        more = len(inventory.faults) - FAULTS_TOLD
        yield " ".join(inventory.faults[:FAULTS_TOLD]) + (f" And {more:,} more." if more > 0 else "")


def _user() -> str:
    number = os.geteuid()
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:  # in a container, for one
        return f"user {number}"


def _instance_fault() -> str | None:
    """Ask the kernel for events, and return why it gives none; None if it does."""
    system = ctypes.CDLL(None, use_errno=True)
    descriptor = system.inotify_init1(os.O_CLOEXEC)
    if descriptor >= 0:
        os.close(descriptor)
        return None
    return (
        f"the kernel gives no more events to {_user()} ({os.strerror(ctypes.get_errno())}), so changes are found by"
        " polling only: stop other programs that watch folders, or run `sysctl fs.inotify.max_user_instances=1024`."
    )
