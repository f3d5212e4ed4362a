"""The index of all searchable hashes in memory: it finds photos whose PDQ or dhash is near a query's."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.index.changes import ChangeFeed, HashPage
from core.index.following import Follower
from core.index.hamming import HammingIndex
from core.model.records import Checkpoint

WORTH_A_SNAPSHOT = 20_000
"""Rows read from the store; reading fewer again costs less than 0.2 s."""
BITS = {"pdq": 256, "dhash": 64}


class HashIndex(Follower):
    """The PDQ and dhash of every searchable photo, and the revision that they represent."""

    def __init__(self, cache: Path, *, pdq_radius: int, dhash_radius: int, hashes_version: int) -> None:
        super().__init__(cache, suffix="", worth_a_snapshot=WORTH_A_SNAPSHOT)
        self._radii = {"pdq": pdq_radius, "dhash": dhash_radius}
        self._hashes_version = hashes_version
        self._clear()

    @property
    def size(self) -> int:
        """The number of photos in the index."""
        return len(self._hashes["pdq"])

    def near(self, pdq: NDArray[np.uint8], dhash: NDArray[np.uint8]) -> set[int]:
        """Return the ids of photos near any of the PDQ hashes (n, 32) or any of the dhashes (m, 8)."""
        found = self._hashes["pdq"].nearest(pdq).ids, self._hashes["dhash"].nearest(dhash).ids
        return set(np.concatenate(found).tolist())

    def _settings(self) -> dict[str, str | int]:
        return {"hashes_version": self._hashes_version, **self._radii}

    def _clear(self) -> None:
        self._hashes = {name: HammingIndex(bits=BITS[name], radius=radius) for name, radius in self._radii.items()}

    def _compact(self) -> None:
        for index in self._hashes.values():
            index.compact()

    async def _catch_up(self, feed: ChangeFeed, point: Checkpoint) -> int:  # noqa: ARG002 - the size is not needed
        rows = 0
        async for page in feed.read_hashes(self._revision):
            await asyncio.to_thread(self._apply, page)
            rows += len(page.ids)
        removed = await feed.read_removed(self._revision)
        for index in self._hashes.values():
            index.discard(removed)
        return rows

    def _apply(self, page: HashPage) -> None:
        use = page.is_searchable
        for name, hashes in (("pdq", page.pdq), ("dhash", page.dhash)):
            self._hashes[name].discard(page.ids[~use])
            self._hashes[name].add(page.ids[use], hashes[use])

    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        return {f"{name}.{key}": array for name, index in self._hashes.items() for key, array in index.arrays().items()}

    def _restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for name, radius in self._radii.items():
            own = {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}
            self._hashes[name] = HammingIndex.from_arrays(own, bits=BITS[name], radius=radius)
