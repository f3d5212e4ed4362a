"""Where a photo lies, and what the file system says of its file."""

import os
import stat
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reference image lies: its account, and its path below the dataset as the raw bytes of the disk."""

    username: str
    path: bytes

    def __str__(self) -> str:
        return os.fsdecode(self.path)


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What `stat` says of a file; the same stamp means the same bytes. All four are signed 64-bit numbers."""

    size: int
    mtime_ns: int
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
