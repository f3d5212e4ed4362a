"""Make the record agree with the disk about one file, opening it only when nothing cheaper can tell.

1. Only the device changed: the disk was mounted again.
2. The same inode, size and time at another path: the same file. If that path is empty now, it moved.
3. Another image has the same size: digest the file. The same bytes are never fingerprinted twice; if the path of an
   image with these bytes is empty now, it moved.
4. Otherwise read and fingerprint it.
"""

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Protocol

from core.errors import ImageError, PathError
from core.fingerprints.hashes import HASHES_VERSION
from core.model.files import FileStamp, Place
from core.model.fingerprints import PhotoHashes
from core.model.records import Change, ImageRecord, LedgerRecord, MoveImage, PutFailure, PutImage
from core.workers.tasks import FileDigest, FileHashes
from indexer.scanning.listing import is_gone, is_unchanged
from indexer.scanning.retries import rejection
from indexer.scanning.write_batch import WriteBatch

logger = logging.getLogger(__name__)


class FileOutcome(Enum):
    """What became of a file; the names are those of the counts in ScanReport, but for the last two."""

    ADDED = "added"
    UPDATED = "updated"
    MOVED = "moved"
    UNCHANGED = "unchanged"
    UNREADABLE = "unreadable"
    GONE = "gone"
    CHANGING = "changing"
    """It did not lie still while it was read: to be looked at again."""

    @property
    def is_reported(self) -> bool:
        return self not in {FileOutcome.GONE, FileOutcome.CHANGING}


@dataclass(frozen=True, slots=True)
class Found:
    """A file as listed, what the record says of its path, and the images that may be the same file or bytes."""

    place: Place
    stamp: FileStamp
    known: ImageRecord | None
    failed: LedgerRecord | None
    relatives: Sequence[ImageRecord] = ()


class Reader(Protocol):
    """What opens files."""

    async def digest_file(self, path: bytes) -> FileDigest: ...

    async def hash_file(self, path: bytes) -> FileHashes: ...


class Lights(Protocol):
    """What knows the fingerprints of bytes."""

    async def hashes(self, sha256: bytes) -> PhotoHashes | None: ...


class Reconciler:
    """Reconciles files one by one, many at a time; for one rescan. `filed` hears what is on record."""

    def __init__(
        self,
        root: Path,
        *,
        reader: Reader,
        store: Lights,
        batch: WriteBatch,
        clock: Callable[[], datetime],
        must_lie_still: bool,
        filed: Callable[[FileOutcome], None],
    ) -> None:
        self._root = os.fsencode(root)
        self._reader = reader
        self._store = store
        self._batch = batch
        self._clock = clock
        self._must_lie_still = must_lie_still
        self._filed = filed
        self._same_size: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sizes_read: set[int] = set()
        self.relocated: set[int] = set()
        """Images that were found at another path."""

    async def reconcile(self, file: Found) -> FileOutcome:
        """Make the record agree with the disk about one file; raises StoreError."""
        try:
            async with self._same_size[file.stamp.size]:  # twins wait for each other, so that one is fingerprinted
                outcome, change = await self._decide(file)
        except PathError:
            return FileOutcome.GONE
        except ImageError as error:
            change = rejection(file.place, file.stamp, error, before=file.failed, now=self._clock())
            outcome = FileOutcome.UNREADABLE
        if self._must_lie_still and not is_unchanged(self._path(file.place.path), file.stamp):
            return FileOutcome.CHANGING
        if isinstance(change, PutFailure):
            logger.info("unreadable (%s) %s: %s", change.entry.kind, file.place, change.entry.reason)
        await self._batch.add(change, partial(self._filed, outcome))
        logger.debug("%s %s", outcome.value, file.place)
        return outcome

    async def _decide(self, file: Found) -> tuple[FileOutcome, Change]:
        if file.known and _is_remounted(file.known, file.stamp):
            return FileOutcome.UNCHANGED, MoveImage(file.known.image_id, file.place, file.stamp)
        new = FileOutcome.UPDATED if file.known else FileOutcome.ADDED
        if (twin := self._same_inode(file)) and (hashes := await self._hashes(twin.sha256)):
            if self._has_left(twin):
                return FileOutcome.MOVED, self._relocation(twin, file.place, file.stamp)
            return new, PutImage(file.place, file.stamp, hashes)
        if file.stamp.size in self._sizes_read or any(twin.stamp.size == file.stamp.size for twin in file.relatives):
            digest = await self._reader.digest_file(self._path(file.place.path))
            if hashes := await self._hashes(digest.sha256):
                return self._known_bytes(file, digest.stamp, hashes, new)
        self._sizes_read.add(file.stamp.size)
        read = await self._reader.hash_file(self._path(file.place.path))
        return new, PutImage(file.place, read.stamp, read.hashes)

    def _known_bytes(
        self, file: Found, stamp: FileStamp, hashes: PhotoHashes, new: FileOutcome
    ) -> tuple[FileOutcome, Change]:
        """Decide about a file whose bytes have a fingerprint already."""
        if file.known and file.known.sha256 == hashes.sha256:
            return FileOutcome.UNCHANGED, PutImage(file.place, stamp, hashes)
        for twin in file.relatives:
            if twin.sha256 == hashes.sha256 and not file.known and self._has_left(twin):
                return FileOutcome.MOVED, self._relocation(twin, file.place, stamp)
        return new, PutImage(file.place, stamp, hashes)

    def _same_inode(self, file: Found) -> ImageRecord | None:
        return next((one for one in file.relatives if one.stamp == file.stamp and one.place != file.place), None)

    def _has_left(self, image: ImageRecord) -> bool:
        """Tell whether nothing lies at an image's path, and no other file was taken for it."""
        return image.image_id not in self.relocated and is_gone(self._path(image.place.path))

    def _relocation(self, image: ImageRecord, place: Place, stamp: FileStamp) -> MoveImage:
        self.relocated.add(image.image_id)
        return MoveImage(image.image_id, place, stamp)

    async def _hashes(self, sha256: bytes) -> PhotoHashes | None:
        return self._batch.hashes(sha256) or await self._store.hashes(sha256)

    def _path(self, path: bytes) -> bytes:
        return os.path.join(self._root, path)


def _is_remounted(known: ImageRecord, stamp: FileStamp) -> bool:
    return known.version == HASHES_VERSION and replace(known.stamp, device=stamp.device) == stamp
