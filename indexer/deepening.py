"""Work off the backlog: every fingerprint without a current deep part gets one, behind the light tier.

What cannot be read just now, or was changed since, stays in the backlog: the next rescan and the next run decide.
"""

import logging
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

from core.errors import ImageError, PathError
from core.fingerprinting import FileDeepFingerprint
from core.model import Deepen, Waiting
from indexer.batch import Batch, Writes
from indexer.crew import Crew
from indexer.reconciler import Outcome
from indexer.rescan import Progress

PAGE = 500
"""Entries of the backlog asked for at a time."""

logger = logging.getLogger(__name__)


class Backlog(Writes, Protocol):
    """The store, as this sees it."""

    async def backlog(self, *, after: int, limit: int) -> Sequence[Waiting]: ...


class Deepener(Protocol):
    """What makes deep fingerprints."""

    async def deepen_file(self, path: bytes) -> FileDeepFingerprint: ...


class Deepening:
    """One pass over the backlog; `stop` ends it early, with everything finished so far written."""

    def __init__(self, root: Path, *, workers: int, store: Backlog, reader: Deepener, progress: Progress) -> None:
        self._root = os.fsencode(root)
        self._store = store
        self._reader = reader
        self._progress = progress
        self._batch = Batch(store)
        self._crew = Crew(workers)
        self._done = 0

    @property
    def is_stopped(self) -> bool:
        return self._crew.is_stopped

    def stop(self) -> None:
        """Finish the files in hand, for a while, and begin no other."""
        self._crew.stop()

    async def run(self, waiting: int) -> int:
        """Work off the backlog, about `waiting` entries, and return how many got their part; raises StoreError."""
        self._progress.expect(waiting)
        await self._crew.work(self._entries(), self._deepen)
        await self._batch.flush()
        return self._done

    async def _entries(self) -> AsyncIterator[Waiting]:
        last = 0
        while page := await self._store.backlog(after=last, limit=PAGE):
            for entry in page:
                yield entry
            last = page[-1].light_id

    async def _deepen(self, entry: Waiting) -> None:
        try:
            read = await self._reader.deepen_file(os.path.join(self._root, entry.place.path))
        except (ImageError, PathError) as error:
            logger.info("no deep fingerprint of %s: %s", entry.place, error)
            self._progress.advance(Outcome.UNREADABLE, 1)
            return
        if read.sha256 == entry.sha256:
            await self._batch.add(Deepen(entry.light_id, read.deep))
            self._done += 1
        self._progress.advance(Outcome.UPDATED, 1)
