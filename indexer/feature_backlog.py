"""Work off the backlog: every photo without current features gets them, behind everything else.

What was changed since stays in the backlog, for the next visit decides about it; what cannot be read gets into the
ledger, and is tried again when that says so.
"""

import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Protocol

from core.errors import ImageError, PathError
from core.model.records import BacklogEntry, Change, PutFeatures
from core.workers.tasks import FileFeatures
from indexer.scanning.account_scan import ScanOptions
from indexer.scanning.listing import is_unchanged
from indexer.scanning.reconciler import FileOutcome
from indexer.scanning.retries import is_due, rejection
from indexer.scanning.task_pool import TaskPool
from indexer.scanning.write_batch import WriteBatch, Writes

PAGE = 500
"""Entries of the backlog asked for at a time."""

logger = logging.getLogger(__name__)


class Backlog(Writes, Protocol):
    """The store, as this sees it."""

    async def backlog(self, *, after: int, limit: int) -> Sequence[BacklogEntry]: ...


class FeatureReader(Protocol):
    """What makes features."""

    async def extract_features(self, path: bytes) -> FileFeatures: ...


class FeatureBacklog:
    """One pass over the backlog, in the order of ids, in one go or in several.

    `heard` is told of every entry that was looked at, `filed` of what changed in the record, once it has.
    """

    def __init__(
        self,
        options: ScanOptions,
        *,
        store: Backlog,
        reader: FeatureReader,
        pool: TaskPool,
        heard: Callable[[FileOutcome, int], None],
        filed: Callable[[FileOutcome], None] = lambda _outcome: None,
    ) -> None:
        self._options = options
        self._root = os.fsencode(options.root)
        self._store = store
        self._reader = reader
        self._pool = pool
        self._heard = heard
        self._filed = filed
        self._batch = WriteBatch(store)
        self._last_id = self._handed_out = 0
        self.done = 0
        """How many got their part."""
        self.is_at_end = False
        """Whether nothing was left; what is new since lies beyond, so that a pass can go on there."""

    async def run(self, is_over: Callable[[], bool] = lambda: False) -> None:
        """Go on with the backlog until it ends or `is_over`, with everything finished written; raises StoreError."""
        self._batch, self._handed_out = WriteBatch(self._store), self._last_id
        await self._pool.work(self._entries(is_over), self._add_features)
        await self._batch.flush()
        self._last_id = self._handed_out

    async def _entries(self, is_over: Callable[[], bool]) -> AsyncIterator[BacklogEntry]:
        while page := await self._store.backlog(after=self._handed_out, limit=PAGE):
            for entry in page:
                if is_over():
                    return
                self._handed_out = entry.photo_id
                yield entry
        self.is_at_end = True

    async def _add_features(self, entry: BacklogEntry) -> None:
        asked = self._options.is_asked
        if entry.failed and not is_due(entry.failed, entry.stamp, self._options.clock(), is_asked=asked):
            self._heard(FileOutcome.UNREADABLE, 1)
            return
        outcome, change = await self._decide(entry)
        if change:
            await self._batch.add(change, partial(self._filed, outcome))
        self.done += isinstance(change, PutFeatures)
        self._heard(outcome, 1)

    async def _decide(self, entry: BacklogEntry) -> tuple[FileOutcome, Change | None]:
        path = os.path.join(self._root, entry.place.path)
        try:
            read = await self._reader.extract_features(path)
        except PathError:
            return FileOutcome.GONE, None
        except ImageError as error:
            if not is_unchanged(path, entry.stamp):
                return FileOutcome.CHANGING, None
            logger.info("no features of %s: %s", entry.place, error)
            now = self._options.clock()
            return FileOutcome.UNREADABLE, rejection(entry.place, entry.stamp, error, before=entry.failed, now=now)
        if read.sha256 != entry.sha256:
            return FileOutcome.CHANGING, None
        return FileOutcome.UPDATED, PutFeatures(entry.photo_id, entry.place.path, read.features)
