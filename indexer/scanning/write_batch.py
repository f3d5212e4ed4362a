"""Decisions about files on their way to the store, some hundred a transaction."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum

from core.model.fingerprints import PhotoHashes
from core.model.records import Change
from indexer.ports import ChangeWriter

BATCH_FILES = 200
"""A transaction of 200 files takes 25 ms; what a crash can lose is one batch."""
BATCH_SECONDS = 1.0
"""After which a batch is written though it is not full, so that photos are found soon, and progress is seen."""


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
class Decision:
    """What became of a file, or of several, and what is to be written of it."""

    outcome: FileOutcome
    change: Change | None = None
    files: int = 1
    username: str = ""
    """Whose file it is, where it is one."""


class PendingHashes:
    """The hashes of photos that are on their way to the store, so that the same bytes are not hashed twice."""

    def __init__(self) -> None:
        self._hashes: dict[bytes, PhotoHashes] = {}

    def add(self, hashes: PhotoHashes) -> None:
        self._hashes[hashes.sha256] = hashes

    def find(self, sha256: bytes) -> PhotoHashes | None:
        return self._hashes.get(sha256)

    def discard(self, sha256: bytes) -> None:
        self._hashes.pop(sha256, None)


async def written(
    decisions: AsyncGenerator[Decision, None], store: ChangeWriter, clock: Callable[[], float] = time.monotonic
) -> AsyncGenerator[Decision, None]:
    """Write the changes of decisions in batches, and yield each decision once it is on record; raises StoreError.

    After a transaction that failed the store is asked no more.
    """
    batch: list[Decision] = []
    began = clock()
    async with aclosing(decisions) as source:
        async for decision in source:
            if decision.change is None:
                yield decision
                continue
            began = began if batch else clock()
            batch.append(decision)
            if len(batch) >= BATCH_FILES or clock() - began >= BATCH_SECONDS:
                for done in await _write(batch, store):
                    yield done
                batch = []
    for done in await _write(batch, store):
        yield done


async def _write(batch: list[Decision], store: ChangeWriter) -> list[Decision]:
    if batch:
        await store.write([decision.change for decision in batch if decision.change])
    return batch
