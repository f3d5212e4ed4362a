"""Changes on their way to the store, written 200 at a time, until the store fails."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from core.errors import IgSearchError
from core.model.fingerprints import PhotoHashes
from core.model.records import Change, PutImage

BATCH_FILES = 200
"""A transaction of 200 files takes 25 ms; what a crash can lose is one batch."""


class Writes(Protocol):
    """The store, as a batch sees it."""

    async def write(self, changes: Sequence[Change]) -> None: ...


class WriteBatch:
    """Gathers changes; `flush` writes what is left."""

    def __init__(self, store: Writes) -> None:
        self._store = store
        self._waiting: list[tuple[Change, Callable[[], None]]] = []
        self._lights: dict[bytes, PhotoHashes] = {}
        self._writing = asyncio.Lock()
        self._failure: IgSearchError | None = None

    def hashes(self, sha256: bytes) -> PhotoHashes | None:
        """Return the fingerprint of these bytes if it is on its way."""
        return self._lights.get(sha256)

    async def add(self, change: Change, on_record: Callable[[], None] = lambda: None) -> None:
        """Take a change, and write the batch when it is full; raises StoreError. `on_record` is called when it is
        written, which may be later.
        """
        self._waiting.append((change, on_record))
        if isinstance(change, PutImage):
            self._lights[change.hashes.sha256] = change.hashes
        async with self._writing:
            if len(self._waiting) >= BATCH_FILES:
                await self._write_some()

    async def flush(self) -> None:
        """Write everything that waits; raises StoreError."""
        async with self._writing:
            while self._waiting:
                await self._write_some()

    async def _write_some(self) -> None:
        if self._failure:  # every hand would wait for the database in turn
            raise self._failure
        part, self._waiting = self._waiting[:BATCH_FILES], self._waiting[BATCH_FILES:]
        try:
            await self._store.write([change for change, _ in part])
        except IgSearchError as error:
            self._failure = error
            raise
        for change, on_record in part:
            if isinstance(change, PutImage):
                self._lights.pop(change.hashes.sha256, None)
            on_record()
