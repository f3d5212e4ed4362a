"""The rule of the dataset, images/<username>/...: which account a path belongs to, and what is left out.

Names are bytes, as the disk keeps them. Left out without a word: hidden names, the folders and files that systems
and downloaders put beside photos, names of unfinished files, sidecars, and videos (for now).
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
"""Thumbnails of a NAS, leftovers of archives, bins; and other people's posts as instaloader files them."""
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
        """Return the path of a file by its path below the dataset."""
        return os.path.join(os.fsencode(self.root), path)

    def identity(self) -> FolderIdentity:
        """Tell which folder it is; raises PathError where there is none."""
        try:
            status = os.stat(self.root)
        except OSError as error:
            raise PathError(
                f"There is no dataset folder {self.root} ({error.strerror}): make it, or name yours with --dataset."
            ) from error
        if not os.path.isdir(self.root):
            raise PathError(f"{self.root} is no folder: name the folder that holds <username>/ folders with --dataset.")
        return status.st_dev, status.st_ino

    def entries(self) -> list[os.DirEntry[bytes]]:
        """List what lies in the folder itself, in the order of names; raises PathError where it cannot be listed."""
        self.identity()
        try:
            with os.scandir(os.fsencode(self.root)) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise PathError(
                f"The dataset folder {self.root} cannot be listed ({error.strerror}): check its rights."
            ) from error


def locate(path: bytes) -> Place | None:
    """Return the place of a file by its path below the dataset, or None where the rule leaves it out."""
    folder, *below = path.split(b"/")
    if not below or username_fault(folder) or any(map(is_ignored_folder, (folder, *below[:-1]))):
        return None
    if is_ignored_file(below[-1]):
        return None
    return Place(username_of(folder), path)


def username_of(folder: bytes) -> str:
    """Return the username of a folder whose name fits: Instagram's usernames are case-insensitive."""
    return folder.lower().decode("ascii")


def username_fault(folder: bytes) -> str | None:
    """Say why a folder's name is no Instagram username, or None if it is one."""
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
    """Show a name in a terminal or log: control characters and foreign bytes as escapes."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in os.fsdecode(name))
