"""The rule of the dataset, images/<username>/...: which account a path belongs to, and what is left out.

Names are bytes, as the disk keeps them. Left out without a word: hidden names, the folders and files that systems
and downloaders put beside photos, names of unfinished files, sidecars, and videos (for now).
"""

import os
import re

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
