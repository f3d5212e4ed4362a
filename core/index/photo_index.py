"""All searchable fingerprints in memory, following the store by revision.

1. `follow` asks the store for its revision; what was written or removed since is applied.
2. `near` proposes the fingerprints whose PDQ or dhash is near a query's, in any of the eight orientations.
A snapshot on disk makes the start quick; the store is the truth, and a snapshot that does not fit is made again.
"""

import asyncio
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.index.feed import Feed, FingerprintPage
from core.index.hamming import HammingIndex
from core.index.snapshot import load, save
from core.model import Checkpoint

logger = logging.getLogger(__name__)

WORTH_A_SNAPSHOT = 20_000
"""Rows read from the store in one go; below, reading them again costs less than 0.2 s."""


class PhotoIndex:
    """The PDQ and dhash of every searchable fingerprint, and the revision they stand for."""

    def __init__(self, cache: Path, *, pdq_radius: int, dhash_radius: int, light_version: int) -> None:
        self._cache = cache
        self._radii = {"pdq": pdq_radius, "dhash": dhash_radius}
        self._light_version = light_version
        self._database_id = ""
        self._revision = 0
        self._pdq = HammingIndex(bits=256, radius=pdq_radius)
        self._dhash = HammingIndex(bits=64, radius=dhash_radius)

    def __len__(self) -> int:
        return len(self._pdq)

    async def follow(self, feed: Feed) -> Checkpoint:
        """Bring the index to the store's revision and return that; raises StoreError."""
        point = await feed.checkpoint()
        if point.database_id != self._database_id:
            self._open_snapshot(point)
        if point.revision < self._revision:  # restored from a backup
            self._forget_all(point.database_id)
        if point.revision > self._revision:
            await self._catch_up(feed, point)
        return point

    def near(self, pdq: NDArray[np.uint8], dhash: NDArray[np.uint8]) -> set[int]:
        """Propose the ids near any of the PDQ hashes (n, 32), or near one of the dhashes (m, 8)."""
        found = self._pdq.nearest(pdq).ids, self._dhash.nearest(dhash).ids
        return set(np.concatenate(found).tolist())

    async def _catch_up(self, feed: Feed, point: Checkpoint) -> None:
        rows = 0
        async for page in feed.fingerprints_after(self._revision):
            await asyncio.to_thread(self._apply, page)
            rows += len(page.ids)
        removed = await feed.removed_after(self._revision)
        for index in (self._pdq, self._dhash):
            index.discard(removed)
        self._revision = point.revision
        if rows >= WORTH_A_SNAPSHOT:
            await asyncio.to_thread(self._save_snapshot)

    def _apply(self, page: FingerprintPage) -> None:
        use = page.is_searchable
        for index, hashes in ((self._pdq, page.pdq), (self._dhash, page.dhash)):
            index.discard(page.ids[~use])
            index.add(page.ids[use], hashes[use])

    def _forget_all(self, database_id: str) -> None:
        self._database_id = database_id
        self._revision = 0
        self._pdq = HammingIndex(bits=256, radius=self._radii["pdq"])
        self._dhash = HammingIndex(bits=64, radius=self._radii["dhash"])

    def _open_snapshot(self, point: Checkpoint) -> None:
        self._forget_all(point.database_id)
        snapshot = load(self._cache / point.database_id)
        if snapshot is None or {**snapshot.key, "revision": 0} != {**self._key(), "revision": 0}:
            return
        parts = {
            name: {
                key.removeprefix(f"{name}."): array for key, array in snapshot.arrays.items() if key.startswith(name)
            }
            for name in self._radii
        }
        self._pdq = HammingIndex.from_arrays(parts["pdq"], bits=256, radius=self._radii["pdq"])
        self._dhash = HammingIndex.from_arrays(parts["dhash"], bits=64, radius=self._radii["dhash"])
        self._revision = int(snapshot.key["revision"])

    def _save_snapshot(self) -> None:
        arrays = {
            f"{name}.{key}": array
            for name, index in (("pdq", self._pdq), ("dhash", self._dhash))
            for key, array in index.arrays().items()
        }
        save(self._cache / self._database_id, self._key(), arrays)
        logger.info("saved a snapshot of %d fingerprints at revision %d", len(self), self._revision)

    def _key(self) -> dict[str, str | int]:
        return {
            "database_id": self._database_id,
            "revision": self._revision,
            "light_version": self._light_version,
            **self._radii,
        }
