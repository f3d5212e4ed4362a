"""The index of features follows the store, restarts from a snapshot, and is retrained in the background."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.index.changes import FeaturePage, HashPage
from core.index.feature_index import WORTH_A_SNAPSHOT, FeatureIndex
from core.index.inverted_lists import FLAT_UP_TO
from core.index.snapshot import save
from core.model.records import Checkpoint

EACH = 12


def codes_of(image):
    return np.random.default_rng(image).integers(0, 256, (EACH, 32), dtype=np.uint8)


class Feed:
    """A store of features, one a revision; it counts what it was asked for."""

    def __init__(self, count: int, database_id: str = "db") -> None:
        self.count = count
        self.database_id = database_id
        self.removed: dict[int, int] = {}
        self.later = 0
        self.pictures_read = 0

    async def read_checkpoint(self) -> Checkpoint:
        return Checkpoint(self.database_id, self.count + self.later, self.count, 1)

    async def read_hashes(self, revision: int) -> AsyncIterator[HashPage]:
        raise NotImplementedError
        yield

    async def read_features(self, revision: int) -> AsyncIterator[FeaturePage]:
        for start in range(revision, self.count, 500):
            ids = np.arange(start + 1, min(start + 500, self.count) + 1)
            self.pictures_read += len(ids)
            codes = np.concatenate([codes_of(image) for image in ids])
            yield FeaturePage(ids, np.full(len(ids), EACH), codes)

    async def read_removed(self, revision: int) -> NDArray[np.int64]:
        return np.array([one for one, at in self.removed.items() if at > revision], np.int64)


async def first_for(index: FeatureIndex, image: int) -> list[int]:
    return await index.shortlist(codes_of(image), size=1)


async def test_changes_are_applied_by_revision(tmp_path: Path) -> None:
    """Following twice reads nothing twice; removed photos are no longer proposed, added ones are."""
    feed, index = Feed(50), FeatureIndex(tmp_path, features_version=1)
    await index.follow(feed)
    await index.follow(feed)
    read = feed.pictures_read
    feed.removed, feed.later = {7: 51}, 1
    await index.follow(feed)

    assert read == 50
    assert await first_for(index, 7) == []
    assert await first_for(index, 8) == [8]
    assert len(index) == 49 * EACH


async def test_a_snapshot_spares_reading(tmp_path: Path) -> None:
    """A new process takes up the snapshot, and reads only what came after; another version reads everything."""
    feed = Feed(WORTH_A_SNAPSHOT)
    await FeatureIndex(tmp_path, features_version=1).follow(feed)
    feed.pictures_read, feed.count = 0, WORTH_A_SNAPSHOT + 3

    index = FeatureIndex(tmp_path, features_version=1)
    await index.follow(feed)
    read = feed.pictures_read
    await FeatureIndex(tmp_path, features_version=2).follow(feed)

    assert read == 3
    assert await first_for(index, 5) == [5]
    assert await first_for(index, WORTH_A_SNAPSHOT + 2) == [WORTH_A_SNAPSHOT + 2]
    assert feed.pictures_read == read + feed.count


async def test_a_snapshot_takes_the_place_of_an_older_version_s(tmp_path: Path) -> None:
    """A snapshot that an earlier version kept under another name does not stay on disk beside the new one."""
    feed = Feed(WORTH_A_SNAPSHOT)
    database_id = (await feed.read_checkpoint()).database_id
    save(tmp_path / f"{database_id}.deep", {"deep_version": 1}, {})

    await FeatureIndex(tmp_path, features_version=1).follow(feed)

    assert [folder.name for folder in tmp_path.iterdir() if not folder.name.startswith(".")] == [
        f"{database_id}.features"
    ]


async def test_a_restored_backup_starts_over(tmp_path: Path) -> None:
    """A store whose revision went back is read anew, and what it does not have is forgotten."""
    index = FeatureIndex(tmp_path, features_version=1)
    await index.follow(Feed(60))

    await index.follow(Feed(40))

    assert await first_for(index, 50) == []
    assert await first_for(index, 30) == [30]


async def test_an_outgrown_index_is_trained_behind_the_searches(tmp_path: Path) -> None:
    """The index goes on answering while a copy is trained, and then switches to the copy, with all later changes."""
    step = 200
    feed, index = Feed(step), FeatureIndex(tmp_path, features_version=1)
    while index._training is None:
        await index.follow(feed)
        feed.count += step
    assert len(index) > FLAT_UP_TO
    untrained = index._features
    feed.removed, feed.later = {9: feed.count + 1}, 1

    await index.follow(feed)
    during = await first_for(index, feed.count)
    await asyncio.wait([index._training])
    await index.follow(feed)

    assert during == [feed.count]
    assert index._features is not untrained
    assert not index._features.is_outgrown
    assert await first_for(index, feed.count) == [feed.count]
    assert await first_for(index, 9) == []
    assert len(index) == (feed.count - 1) * EACH
