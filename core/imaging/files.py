"""Read the bytes of regular files of a bounded size, never of a FIFO, a device or a link."""

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from core.errors import ImageError, NotPermitted, PathError, TooLarge, Unreadable, Unsupported
from core.model.files import FileStamp

MAX_BYTES = 25_000_000


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """The bytes of a file, and its stamp, which was the same before and after reading."""

    data: bytes
    stamp: FileStamp


def read_file(path: str | bytes, *, follow_links: bool = False) -> PhotoFile:
    """Read a regular file of at most 25 MB; never waits on a FIFO, never reads a device.

    Raises PathError if there is no file, Unsupported if it is not a regular one, TooLarge, NotPermitted, Unreadable.
    """
    try:
        with _opened(path, follow_links=follow_links) as descriptor:
            before = os.fstat(descriptor)
            _refuse_irregular(before)
            data = _content(descriptor)
            after = os.fstat(descriptor)
    except OSError as error:
        raise _explained(error) from error
    if FileStamp.of(before) != FileStamp.of(after):
        raise Unreadable("The file was written to while it was read: it is read again once it stays unchanged.")
    return PhotoFile(data, FileStamp.of(after))


def sha256_of(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def read_limited(file: io.RawIOBase | BinaryIO) -> bytes:
    """Read a stream to its end; raises TooLarge as soon as it passes 25 MB."""
    parts, size = [], 0
    while part := file.read(1 << 20):
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            raise too_many_bytes(size)
    return b"".join(parts)


def too_many_bytes(size: int) -> TooLarge:
    return TooLarge(
        f"The file is too large ({size / 1e6:.1f} MB or more): at most {MAX_BYTES // 10**6} MB are read."
        " Send a smaller copy."
    )


@contextmanager
def _opened(path: str | bytes, *, follow_links: bool) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _content(descriptor: int) -> bytes:
    with io.FileIO(descriptor, closefd=False) as file:
        return read_limited(file)


def _refuse_irregular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Unsupported("This is not a regular file: name a picture file.")
    if status.st_size > MAX_BYTES:
        raise too_many_bytes(status.st_size)


def _explained(error: OSError) -> PathError | ImageError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return PathError("No such file: check the path.")
    if error.errno == errno.ELOOP:
        return Unsupported("Symbolic links are not followed here: name the file itself.")
    if error.errno in (errno.ENXIO, errno.ENODEV):
        return Unsupported("This is not a regular file: name a picture file.")
    return NotPermitted(f"The file cannot be read ({error.strerror}): check its permissions and the disk.")
