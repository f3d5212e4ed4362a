"""Work off the backlog: extract the features of every photo that lacks current ones, after all other work.

A file that has changed stays in the backlog until a scan has reconciled it; an unreadable one goes into the ledger,
and is tried again at the time given there.
"""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from core.errors import ImageError, PathError
from core.model.records import BacklogEntry, PutFeatures
from indexer.ports import BacklogStore, FeatureExtractor
from indexer.scanning.account_scan import ScanOptions
from indexer.scanning.listing import is_unchanged
from indexer.scanning.retries import is_due, rejection
from indexer.scanning.task_pool import TaskPool
from indexer.scanning.write_batch import Decision, FileOutcome, written

PAGE = 500
"""Entries of the backlog per query."""

logger = logging.getLogger(__name__)


class FeatureBacklog:
    """One pass over the backlog in order of photo id, in one run or several."""

    def __init__(self, options: ScanOptions, *, store: BacklogStore, reader: FeatureExtractor, pool: TaskPool) -> None:
        self._options = options
        self._store = store
        self._reader = reader
        self._pool = pool
        self._last_id = self._taken_id = 0
        self.done = 0
        """Number of photos whose features were extracted."""
        self.is_at_end = False
        """True once nothing was left; newer photos have higher ids, so the pass can continue with them."""

    async def run(self, is_over: Callable[[], bool] = lambda: False) -> AsyncGenerator[Decision, None]:
        """Continue with the backlog until its end or `is_over`; yield each decision once it is recorded.

        Raises StoreError.
        """
        self._taken_id = self._last_id
        decisions = self._pool.map(self._entries(is_over), self._decide)
        async with aclosing(written(decisions, self._store)) as on_record:
            async for decision in on_record:
                self.done += isinstance(decision.change, PutFeatures)
                yield decision
        self._last_id = self._taken_id

    async def _entries(self, is_over: Callable[[], bool]) -> AsyncGenerator[BacklogEntry, None]:
        while page := await self._store.list_backlog(after=self._taken_id, limit=PAGE):
            for entry in page:
                if is_over():
                    return
                self._taken_id = entry.photo_id
                yield entry
        self.is_at_end = True

    async def _decide(self, entry: BacklogEntry) -> Decision:
        now, is_asked = self._options.clock(), self._options.is_asked
        if entry.failed and not is_due(entry.failed, entry.stamp, now, is_asked=is_asked):
            return Decision(FileOutcome.UNREADABLE)
        path = self._options.dataset.path_of(entry.place.path)
        try:
            read = await self._reader.extract_features(path)
        except PathError:
            return Decision(FileOutcome.GONE)
        except ImageError as error:
            if not is_unchanged(path, entry.stamp):
                return Decision(FileOutcome.CHANGING)
            logger.info("no features for %s: %s", entry.place, error)
            failure = rejection(entry.place, entry.stamp, error, before=entry.failed, now=self._options.clock())
            return Decision(FileOutcome.UNREADABLE, failure)
        if read.sha256 != entry.sha256:
            return Decision(FileOutcome.CHANGING)
        return Decision(FileOutcome.UPDATED, PutFeatures(entry.photo_id, entry.place.path, read.features))
