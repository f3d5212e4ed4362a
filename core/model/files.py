"""The place of a photo in the dataset, and the `stat` of its file."""

import os
import stat
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a reference image."""

    username: str
    """The account."""
    path: bytes
    """Path below the dataset, as the raw bytes on disk."""

    def __str__(self) -> str:
        return os.fsdecode(self.path)


@dataclass(frozen=True, slots=True)
class FileStamp:
    """The `stat` of a file; equal stamps mean equal bytes. All four fields are signed 64-bit integers."""

    size: int
    """In bytes."""
    mtime_ns: int
    """Modification time in nanoseconds since 1970."""
    inode: int
    device: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        return cls(*map(_int64, (status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)))


def is_regular(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)


def _int64(number: int) -> int:
    """Wrap into 64 bits: inodes may use the top bit, and a tar archive may date a file to the year 9999."""
    return (number + 2**63) % 2**64 - 2**63
