"""Follow the store by revision, with a snapshot on disk for a quick start.

1. Read the store's checkpoint: its identity and its revision.
2. If it is another database, open the snapshot kept for it, or read everything. If its revision is older, a backup was
   restored: read everything.
3. Apply the changes written since.
4. Remove a snapshot from before an account was forgotten, and save a new one.
The store is the truth; a snapshot that does not fit is made again.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from core.index.changes import ChangeFeed
from core.index.snapshot import discard, load, save
from core.model.records import Checkpoint

logger = logging.getLogger(__name__)


def discard_snapshots(cache: Path, database_id: str) -> None:
    """Remove a database's snapshots from the cache folder."""
    for folder in cache.glob(f"{database_id}*"):
        discard(folder)


class Follower(ABC):
    """Base class of an index that follows the store; for one event loop, one `follow` at a time."""

    def __init__(self, cache: Path, *, suffix: str, worth_a_snapshot: int, former_suffix: str | None = None) -> None:
        """Keep snapshots in the cache folder, named after the database and the suffix.

        A snapshot that an earlier version kept under `former_suffix` is removed when a new one replaces it.
        """
        self._cache = cache
        self._suffix = suffix
        self._former_suffix = former_suffix
        self._worth_a_snapshot = worth_a_snapshot
        self._database_id = ""
        self._revision = 0
        self._unsaved = 0
        self._kept_revision: int | None = None
        """Revision of the snapshot on disk; None if there is no usable one."""

    async def follow(self, feed: ChangeFeed) -> Checkpoint:
        """Update the index to the store's revision and return its checkpoint; raises StoreError."""
        point = await feed.read_checkpoint()
        if point.database_id != self._database_id:
            self._start_over(point.database_id)
            await asyncio.to_thread(self._open_snapshot)
        if point.revision < self._revision:  # restored from a backup
            self._start_over(point.database_id)
        if point.revision > self._revision:
            self._unsaved += await self._catch_up(feed, point)
            self._revision = point.revision
        if point.forgotten > (self._kept_revision or 0):
            await asyncio.to_thread(self._discard_snapshot)
        if self._unsaved >= self._worth_a_snapshot:
            await asyncio.to_thread(self._save_snapshot)
        return point

    @abstractmethod
    def _settings(self) -> dict[str, str | int]:
        """Return the values that a snapshot must have been made with."""

    @abstractmethod
    def _clear(self) -> None:
        """Remove everything."""

    @abstractmethod
    def _compact(self) -> None:
        """Drop removed entries that are only hidden."""

    @abstractmethod
    async def _catch_up(self, feed: ChangeFeed, point: Checkpoint) -> int:
        """Apply what was written and removed after the present revision; return the number of photos read."""

    @abstractmethod
    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return everything that `_restore` needs."""

    @abstractmethod
    def _restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Load the arrays of a snapshot."""

    def _start_over(self, database_id: str) -> None:
        self._database_id, self._revision, self._unsaved, self._kept_revision = database_id, 0, 0, None
        self._clear()

    def _open_snapshot(self) -> None:
        snapshot = load(self._folder())
        if snapshot is None or {**snapshot.key, "revision": 0} != {**self._key(), "revision": 0}:
            return
        self._restore(snapshot.arrays)
        self._revision = self._kept_revision = int(snapshot.key["revision"])

    def _discard_snapshot(self) -> None:
        """Remove forgotten data from the disk, and keep it out of the next snapshot."""
        if not discard(self._folder()):
            return  # the next `follow` tries again
        self._compact()
        if self._kept_revision is not None:
            self._unsaved = self._worth_a_snapshot
        self._kept_revision = self._revision

    def _save_snapshot(self) -> None:
        save(self._folder(), self._key(), self._arrays())
        if self._former_suffix and (former := self._cache / f"{self._database_id}{self._former_suffix}").exists():
            discard(former)
        self._unsaved, self._kept_revision = 0, self._revision
        logger.info("saved a snapshot to %s at revision %d", self._folder(), self._revision)

    def _folder(self) -> Path:
        return self._cache / f"{self._database_id}{self._suffix}"

    def _key(self) -> dict[str, str | int]:
        return {"database_id": self._database_id, "revision": self._revision, **self._settings()}
