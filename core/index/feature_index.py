"""The index of every photo's features in memory: it follows the store, and is retrained as it grows."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from core.index.changes import ChangeFeed
from core.index.following import Follower
from core.index.inverted_lists import Codes, InvertedLists
from core.model.records import Checkpoint

WORTH_A_SNAPSHOT = 2_000
"""Photos read from the store; reading and sorting fewer again costs less than 0.5 s."""
CODES_A_PICTURE = 150


class FeatureIndex(Follower):
    """Inverted lists of the features, and the revision that they represent."""

    def __init__(self, cache: Path, *, features_version: int) -> None:
        super().__init__(cache, suffix=".features", former_suffix=".deep", worth_a_snapshot=WORTH_A_SNAPSHOT)
        self._features_version = features_version
        self._features = InvertedLists()
        self._training: asyncio.Task[InvertedLists] | None = None
        self._trained_revision = 0

    def __len__(self) -> int:
        return len(self._features)

    @property
    def size(self) -> int:
        """The number of photos that have features."""
        return self._features.images

    async def follow(self, feed: ChangeFeed) -> Checkpoint:
        """Update the index to the store's revision and return its checkpoint; raises StoreError."""
        self._take_trained()
        point = await super().follow(feed)
        if self._features.is_outgrown and self._training is None:
            await self._start_training()
        return point

    async def shortlist(self, codes: Codes, *, size: int) -> list[int]:
        """Return the photos that share most features with a query's codes (q, 32), the likeliest first."""
        return await asyncio.to_thread(self._features.shortlist, codes, size=size)

    def _take_trained(self) -> None:
        """Replace the index by one trained in the background, if it is ready; it catches up from its own revision."""
        if self._training and self._training.done():
            self._features = self._training.result()
            self._revision, self._training = self._trained_revision, None

    async def _start_training(self) -> None:
        """Train a copy in the background; searches continue with the present index."""
        copy = await asyncio.to_thread(lambda: InvertedLists.from_arrays(self._features.arrays()))
        self._trained_revision = self._revision
        self._training = asyncio.create_task(asyncio.to_thread(copy.retrained))

    def _settings(self) -> dict[str, str | int]:
        return {"features_version": self._features_version}

    def _clear(self) -> None:
        if self._training:
            self._training.cancel()
        self._features, self._training = InvertedLists(), None

    def _compact(self) -> None:
        """Do nothing: the inverted lists drop features at once."""

    async def _catch_up(self, feed: ChangeFeed, point: Checkpoint) -> int:
        if not len(self._features):
            self._features = InvertedLists(expected=point.images * CODES_A_PICTURE)
        pictures = 0
        async for page in feed.read_features(self._revision):
            await asyncio.to_thread(self._features.add, page.ids, page.counts, page.codes)
            pictures += len(page.ids)
        await asyncio.to_thread(self._features.discard, await feed.read_removed(self._revision))
        return pictures

    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        return self._features.arrays()

    def _restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._features = InvertedLists.from_arrays(arrays)
