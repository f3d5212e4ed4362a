"""The layout of the dataset, images/<username>/...: the account that a path belongs to, and the paths left out.

Names are bytes, as stored on disk. These are left out silently: hidden names, the folders and files that systems and
downloaders put beside photos, unfinished files, sidecars, and videos (for now).
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from core.errors import PathError
from core.model.files import Place

MAX_USERNAME = 30
USERNAME = re.compile(rb"[a-z0-9._]+")

IGNORED_FOLDERS = frozenset((b"@eadir", b"__macosx", b"#recycle", b"lost+found", b":tagged"))
"""Thumbnails of a NAS, leftovers of archives, recycle bins; and other people's posts, where instaloader puts them."""
IGNORED_FILES = frozenset((b"thumbs.db", b"desktop.ini", b"id", b"readme.md"))
UNFINISHED_SUFFIXES = (b".part", b".crdownload", b".tmp", b"~")
SIDECAR_SUFFIXES = (b".json", b".json.xz", b".txt")
VIDEO_SUFFIXES = (b".mp4", b".mov", b".m4v", b".webm", b".mkv", b".avi", b".3gp")
IGNORED_SUFFIXES = UNFINISHED_SUFFIXES + SIDECAR_SUFFIXES + VIDEO_SUFFIXES


FolderIdentity = tuple[int, int]
"""Device and inode of a folder."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The dataset folder."""

    root: Path

    def path_of(self, path: bytes) -> bytes:
        """Return the full path of a file, given its path below the dataset."""
        return os.path.join(os.fsencode(self.root), path)

    def identity(self) -> FolderIdentity:
        """Return the folder's identity; raises PathError if there is no such folder."""
        try:
            status = os.stat(self.root)
        except OSError as error:
            raise PathError(
                f"There is no dataset folder {self.root} ({error.strerror}): make it, or name yours with --dataset."
            ) from error
        if not os.path.isdir(self.root):
            raise PathError(
                f"{self.root} is not a folder: name the folder that holds <username>/ folders with --dataset."
            )
        return status.st_dev, status.st_ino

    def entries(self) -> list[os.DirEntry[bytes]]:
        """List the folder's own entries, sorted by name; raises PathError if it cannot be listed."""
        self.identity()
        try:
            with os.scandir(os.fsencode(self.root)) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise PathError(
                f"The dataset folder {self.root} cannot be listed ({error.strerror}): check its permissions."
            ) from error


def locate(path: bytes) -> Place | None:
    """Return the place of a file, given its path below the dataset, or None if the path is left out."""
    folder, *below = path.split(b"/")
    if not below or username_fault(folder) or any(map(is_ignored_folder, (folder, *below[:-1]))):
        return None
    if is_ignored_file(below[-1]):
        return None
    return Place(username_of(folder), path)


def username_of(folder: bytes) -> str:
    """Return the username for a valid folder name: Instagram's usernames are case-insensitive."""
    return folder.lower().decode("ascii")


def username_fault(folder: bytes) -> str | None:
    """Explain why a folder name is not an Instagram username; None if it is one."""
    name = folder.lower()
    if not USERNAME.fullmatch(name):
        return "a username has only letters a-z, digits, dots and underscores"
    if len(name) > MAX_USERNAME:
        return f"a username has at most {MAX_USERNAME} characters"
    if name.startswith(b".") or name.endswith(b".") or b".." in name:
        return "a username neither starts nor ends with a dot nor has two in a row"
    return None


def is_ignored_folder(name: bytes) -> bool:
    return name.startswith(b".") or name.lower() in IGNORED_FOLDERS


def is_ignored_file(name: bytes) -> bool:
    lowered = name.lower()
    return lowered.startswith(b".") or lowered in IGNORED_FILES or lowered.endswith(IGNORED_SUFFIXES)


def printable(name: bytes) -> str:
    """Return a name fit for a terminal or log: control characters and non-UTF-8 bytes are escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in os.fsdecode(name))
