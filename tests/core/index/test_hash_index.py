"""The index follows the store, and a snapshot is as good as reading everything."""

import fcntl
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.index.changes import FeaturePage, HashPage
from core.index.following import discard_snapshots
from core.index.hash_index import WORTH_A_SNAPSHOT, HashIndex
from core.model.records import Checkpoint


class Feed:
    """A store of so many fingerprints, told in pages; it counts the rows it was asked for."""

    def __init__(self, count: int, database_id: str = "db") -> None:
        self.pdq = np.random.default_rng(1).integers(0, 256, (count, 32), np.uint8)
        self.revisions = np.arange(1, count + 1)
        self.database_id = database_id
        self.removed: dict[int, int] = {}
        self.revision = count
        self.rows_read = 0
        self.forgotten = 0

    async def read_checkpoint(self) -> Checkpoint:
        return Checkpoint(self.database_id, self.revision, len(self.pdq), 1, forgotten=self.forgotten)

    def forget(self, number: int) -> None:
        """Remove a fingerprint with its account."""
        self.revision += 1
        self.removed[number] = self.forgotten = self.revision

    async def read_hashes(self, revision: int) -> AsyncIterator[HashPage]:
        for ids in np.array_split(np.flatnonzero(self.revisions > revision), 3):
            self.rows_read += len(ids)
            yield HashPage(ids, self.pdq[ids], self.pdq[ids, :8], np.ones(len(ids), np.bool_))

    async def read_features(self, revision: int) -> AsyncIterator[FeaturePage]:
        raise NotImplementedError
        yield

    async def read_removed(self, revision: int) -> NDArray[np.int64]:
        return np.array([one for one, at in self.removed.items() if at > revision], np.int64)


def new_index(cache: Path, *, hashes_version: int = 1) -> HashIndex:
    return HashIndex(cache, pdq_radius=31, dhash_radius=4, hashes_version=hashes_version)


def found(index: HashIndex, feed: Feed, number: int) -> set[int]:
    return index.near(feed.pdq[number : number + 1], feed.pdq[number : number + 1, :8])


async def test_changes_are_applied_by_revision(tmp_path: Path) -> None:
    """Following twice reads nothing twice; a removed fingerprint is found no more."""
    feed, index = Feed(100), new_index(tmp_path)
    await index.follow(feed)
    await index.follow(feed)
    read = feed.rows_read
    feed.revision, feed.removed = 101, {7: 101}
    await index.follow(feed)

    assert read == 100
    assert found(index, feed, 7) == set()
    assert found(index, feed, 8) == {8}
    assert index.size == 99


async def test_a_snapshot_spares_reading(tmp_path: Path) -> None:
    """A new process takes up the snapshot and reads only what came after it."""
    feed = Feed(WORTH_A_SNAPSHOT)
    await new_index(tmp_path).follow(feed)
    feed.rows_read, feed.revision, feed.removed = 0, feed.revision + 1, {3: feed.revision + 1}

    index = new_index(tmp_path)
    await index.follow(feed)

    assert feed.rows_read == 0
    assert found(index, feed, 3) == set()
    assert found(index, feed, 4) == {4}


@pytest.mark.parametrize("difference", ["database", "restored", "version", "damaged"])
async def test_a_snapshot_that_does_not_fit_is_not_used(tmp_path: Path, difference: str) -> None:
    """A snapshot of another database, of a later revision, of another version, or a damaged one is made again."""
    feed = Feed(WORTH_A_SNAPSHOT)
    await new_index(tmp_path).follow(feed)
    other = Feed(WORTH_A_SNAPSHOT, "other" if difference == "database" else "db")
    if difference == "restored":
        other.revision -= 1
    if difference == "damaged":
        for file in (tmp_path / "db").glob("*.npy"):
            file.write_bytes(hashlib.sha256(file.read_bytes()).digest())

    index = new_index(tmp_path, hashes_version=2 if difference == "version" else 1)
    await index.follow(other)

    assert other.rows_read == WORTH_A_SNAPSHOT
    assert found(index, other, 5) == {5}


@pytest.mark.parametrize("who", ["the same", "the next"])
async def test_what_was_forgotten_does_not_stay_on_the_disk(tmp_path: Path, who: str) -> None:
    """A snapshot from before is replaced by the index that wrote it, or by the next one that opens it."""
    feed = Feed(WORTH_A_SNAPSHOT)
    index = new_index(tmp_path)
    await index.follow(feed)
    feed.forget(7)

    last = index if who == "the same" else new_index(tmp_path)
    await last.follow(feed)

    assert feed.pdq[7].tobytes() not in _kept(tmp_path)
    assert feed.pdq[8].tobytes() in _kept(tmp_path)
    assert found(last, feed, 8) == {8}


async def test_a_snapshot_that_another_process_holds_goes_later(tmp_path: Path) -> None:
    """While it is being saved nothing is raised, and the next `follow` removes it."""
    feed = Feed(WORTH_A_SNAPSHOT)
    index = new_index(tmp_path)
    await index.follow(feed)
    feed.forget(7)

    with (tmp_path / ".db.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        await index.follow(feed)
        meanwhile = _kept(tmp_path)
    await index.follow(feed)

    assert feed.pdq[7].tobytes() in meanwhile
    assert feed.pdq[7].tobytes() not in _kept(tmp_path)


def _kept(cache: Path) -> bytes:
    return b"".join(file.read_bytes() for file in (cache / "db").glob("*.npy"))


async def test_a_small_index_leaves_no_snapshot_for_it(tmp_path: Path) -> None:
    """If there was no snapshot none is made; a snapshot of an older index is removed."""
    feed = Feed(100)
    (tmp_path / "db").mkdir()
    feed.forget(7)

    await new_index(tmp_path).follow(feed)

    assert not (tmp_path / "db").exists()


async def test_snapshots_are_discarded_by_database(tmp_path: Path) -> None:
    """Those of another database stay."""
    for database in ("db", "other"):
        await new_index(tmp_path).follow(Feed(WORTH_A_SNAPSHOT, database))

    discard_snapshots(tmp_path, "db")

    assert [folder.name for folder in tmp_path.iterdir() if folder.is_dir()] == ["other"]
