"""Write decisions about files to the store in batches."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum

from core.model.fingerprints import PhotoHashes
from core.model.records import Change
from indexer.ports import ChangeWriter

BATCH_FILES = 200
"""A transaction of 200 files takes 25 ms; a crash loses one batch at most."""
BATCH_SECONDS = 1.0
"""Age at which a batch is written even if it is not full, so that photos can be found soon and progress shows."""


class FileOutcome(Enum):
    """The outcome of a file; all but the last two are counts of ScanReport."""

    ADDED = "added"
    UPDATED = "updated"
    MOVED = "moved"
    UNCHANGED = "unchanged"
    UNREADABLE = "unreadable"
    GONE = "gone"
    CHANGING = "changing"
    """The file changed while it was read: it must be scanned again."""

    @property
    def is_reported(self) -> bool:
        return self not in {FileOutcome.GONE, FileOutcome.CHANGING}


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one file or several, and the change to be written."""

    outcome: FileOutcome
    change: Change | None = None
    files: int = 1
    """Number of files with this outcome."""
    username: str = ""
    """The file's account, if the decision is about one file."""


class PendingHashes:
    """The hashes that are not written to the store yet, kept so that the same bytes are not hashed twice."""

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
    """Write the changes of decisions in batches; yield each decision once it is recorded; raises StoreError.

    After a failed transaction nothing more is written.
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
