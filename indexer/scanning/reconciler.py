"""Make the record agree with the disk about one file, opening the file only if no cheaper check decides.

1. If only the device changed, the disk was mounted again.
2. If another path has the same inode, size and time on record, it is the same file. If that path is gone, it moved.
3. If another image has the same size, digest the file. The same bytes are never hashed twice; if the path of an image
   with these bytes is gone, the file moved.
4. Otherwise read and hash it.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.dataset import Dataset
from core.errors import ImageError, PathError
from core.fingerprints.hashes import HASHES_VERSION
from core.model.files import FileStamp, Place
from core.model.fingerprints import PhotoHashes
from core.model.records import Change, ImageRecord, LedgerRecord, MoveImage, PutFailure, PutImage
from indexer.ports import FileReader, RecordStore
from indexer.scanning.listing import is_gone, is_unchanged
from indexer.scanning.retries import rejection
from indexer.scanning.write_batch import Decision, FileOutcome, PendingHashes

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """A listed file with its record."""

    place: Place
    stamp: FileStamp
    known: ImageRecord | None
    """The image on record at its path."""
    failed: LedgerRecord | None
    """The ledger entry of its path."""
    relatives: Sequence[ImageRecord] = ()
    """The images that may be the same file, or have the same bytes."""


class Reconciler:
    """Reconciler of the files of one scan; several may be in progress at a time."""

    def __init__(
        self,
        dataset: Dataset,
        *,
        reader: FileReader,
        store: RecordStore,
        clock: Callable[[], datetime],
        must_lie_still: bool,
    ) -> None:
        self._dataset = dataset
        self._reader = reader
        self._store = store
        self._clock = clock
        self._must_lie_still = must_lie_still
        self._same_size: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sizes_read: set[int] = set()
        self.pending = PendingHashes()
        self.relocated: set[int] = set()
        """Images that were found at another path."""

    async def reconcile(self, file: Found) -> Decision:
        """Decide how the record of a file must change; raises StoreError."""
        try:
            async with self._same_size[file.stamp.size]:  # so that equal bytes are hashed once
                outcome, change = await self._decide(file)
                if isinstance(change, PutImage):
                    self.pending.add(change.hashes)
        except PathError:
            return Decision(FileOutcome.GONE, username=file.place.username)
        except ImageError as error:
            change = rejection(file.place, file.stamp, error, before=file.failed, now=self._clock())
            outcome = FileOutcome.UNREADABLE
        if self._must_lie_still and not is_unchanged(self._path(file.place), file.stamp):
            return Decision(FileOutcome.CHANGING, username=file.place.username)
        if isinstance(change, PutFailure):
            logger.info("unreadable (%s) %s: %s", change.entry.kind, file.place, change.entry.reason)
        logger.debug("%s %s", outcome.value, file.place)
        return Decision(outcome, change, username=file.place.username)

    async def _decide(self, file: Found) -> tuple[FileOutcome, Change]:
        if file.known and _is_remounted(file.known, file.stamp):
            return FileOutcome.UNCHANGED, MoveImage(file.known.image_id, file.place, file.stamp)
        new = FileOutcome.UPDATED if file.known else FileOutcome.ADDED
        if (twin := self._same_inode(file)) and (hashes := await self._hashes(twin.sha256)):
            if self._has_left(twin):
                return FileOutcome.MOVED, self._relocation(twin, file.place, file.stamp)
            return new, PutImage(file.place, file.stamp, hashes)
        if file.stamp.size in self._sizes_read or any(twin.stamp.size == file.stamp.size for twin in file.relatives):
            digest = await self._reader.digest_file(self._path(file.place))
            if hashes := await self._hashes(digest.sha256):
                return self._known_bytes(file, digest.stamp, hashes, new)
        self._sizes_read.add(file.stamp.size)
        read = await self._reader.hash_file(self._path(file.place))
        return new, PutImage(file.place, read.stamp, read.hashes)

    def _known_bytes(
        self, file: Found, stamp: FileStamp, hashes: PhotoHashes, new: FileOutcome
    ) -> tuple[FileOutcome, Change]:
        """Decide about a file whose bytes have already been hashed."""
        if file.known and file.known.sha256 == hashes.sha256:
            return FileOutcome.UNCHANGED, PutImage(file.place, stamp, hashes)
        for twin in file.relatives:
            if twin.sha256 == hashes.sha256 and not file.known and self._has_left(twin):
                return FileOutcome.MOVED, self._relocation(twin, file.place, stamp)
        return new, PutImage(file.place, stamp, hashes)

    def _same_inode(self, file: Found) -> ImageRecord | None:
        return next((one for one in file.relatives if one.stamp == file.stamp and one.place != file.place), None)

    def _has_left(self, image: ImageRecord) -> bool:
        """Tell whether an image's path is gone, and no other file was identified as the moved image."""
        return image.image_id not in self.relocated and is_gone(self._path(image.place))

    def _relocation(self, image: ImageRecord, place: Place, stamp: FileStamp) -> MoveImage:
        self.relocated.add(image.image_id)
        return MoveImage(image.image_id, place, stamp)

    async def _hashes(self, sha256: bytes) -> PhotoHashes | None:
        return self.pending.find(sha256) or await self._store.find_hashes(sha256)

    def _path(self, place: Place) -> bytes:
        return self._dataset.path_of(place.path)


def _is_remounted(known: ImageRecord, stamp: FileStamp) -> bool:
    return known.version == HASHES_VERSION and replace(known.stamp, device=stamp.device) == stamp
