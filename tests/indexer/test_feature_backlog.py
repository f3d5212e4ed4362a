"""The backlog of features: real files, real workers, a real database."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.dataset import Dataset
from core.errors import TooSlow
from core.storage.database import Database, sqlite_url
from core.storage.store import Store
from core.workers.pool import PhotoWorkers
from core.workers.tasks import VERSIONS, FileFeatures
from indexer.feature_backlog import FeatureBacklog
from indexer.full_scan import FullScan, Removal
from indexer.scanning.account_scan import ScanOptions
from indexer.scanning.task_pool import TaskPool
from indexer.scanning.write_batch import FileOutcome
from tests.pictures import photo_bytes


class OutcomeRecorder:
    """A recorder of outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[FileOutcome] = []

    def expect(self, files: int) -> None: ...

    def advance(self, outcome: FileOutcome, files: int) -> None:
        self.outcomes += [outcome] * files

    def say(self, sentence: str) -> None: ...


class CountingReader:
    """Workers that count the files they read, and may do something after the first."""

    def __init__(self, workers: PhotoWorkers, after_first: Callable[[], None] = lambda: None) -> None:
        self._workers = workers
        self._after_first = after_first
        self.read = 0

    async def extract_features(self, path: bytes) -> FileFeatures:
        features = await self._workers.extract_features(path)
        self.read += 1
        if self.read == 1:
            self._after_first()
        return features


class SlowDisk:
    """A reader for which every picture takes too long."""

    def __init__(self) -> None:
        self.tried = 0

    async def extract_features(self, path: bytes) -> FileFeatures:
        self.tried += 1
        raise TooSlow("It took too long.")


class Bench:
    """A dataset whose photos have hashes."""

    def __init__(self, root: Path, store: Store, workers: PhotoWorkers) -> None:
        self.root = root
        self.store = store
        self.workers = workers
        self.recorder = OutcomeRecorder()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.pool = TaskPool(2)

    @property
    def options(self) -> ScanOptions:
        return ScanOptions(Dataset(self.root), workers=2, clock=lambda: self.now)

    async def index(self, count: int) -> None:
        (self.root / "anna").mkdir(parents=True)
        for seed in range(count):
            (self.root / "anna" / f"{seed}.jpg").write_bytes(photo_bytes(seed))
        async with self.store.hold_lock():
            removal = Removal(pause_seconds=0)
            await FullScan(
                self.options, removal, store=self.store, reader=self.workers, progress=OutcomeRecorder()
            ).run()

    def new_backlog(self, reader=None) -> FeatureBacklog:
        reader, self.pool = reader or self.workers, TaskPool(2)
        return FeatureBacklog(self.options, store=self.store, reader=reader, pool=self.pool)

    async def run(self, backlog: FeatureBacklog, is_over=lambda: False) -> int:
        """Continue a pass, and return the number of photos that have got their features so far."""
        async with self.store.hold_lock(), aclosing(backlog.run(is_over)) as decisions:
            async for decision in decisions:
                self.recorder.advance(decision.outcome, decision.files)
        return backlog.done

    async def backlog(self) -> int:
        return (await self.store.statuses.read_stats()).backlog


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    store = Store(Database(sqlite_url(tmp_path / "store.db")), VERSIONS)
    await store.schema.create()
    async with PhotoWorkers(2) as workers:
        yield Bench(tmp_path / "images", store, workers)
    await store.close()


async def test_every_photo_gets_its_features_once(bench: Bench) -> None:
    """After one run the backlog is empty; the next has nothing to do."""
    await bench.index(5)

    first = await bench.run(bench.new_backlog())
    second = await bench.run(bench.new_backlog())

    assert (first, second, await bench.backlog()) == (5, 0, 0)
    kept = await bench.store.read_features(range(1, 6))
    assert len(kept) == 5
    assert all(features.codes and features.thumbnail for features in kept.values())


async def test_what_changed_or_vanished_stays_in_the_backlog(bench: Bench) -> None:
    """A file with other bytes than on record, or none, gets no fingerprint; the others get theirs."""
    await bench.index(4)
    (bench.root / "anna" / "0.jpg").write_bytes(photo_bytes(77))
    (bench.root / "anna" / "1.jpg").unlink()
    (bench.root / "anna" / "2.jpg").write_bytes(b"no picture")

    done = await bench.run(bench.new_backlog())

    assert (done, await bench.backlog()) == (1, 3)


async def test_a_file_that_cannot_be_read_waits_in_the_ledger(bench: Bench) -> None:
    """A fault of one file neither ends the run nor makes it loop: the next attempt is at the time in the ledger."""
    await bench.index(3)
    disk = SlowDisk()

    done = await bench.run(bench.new_backlog(disk))
    await bench.run(bench.new_backlog(disk))
    tried = disk.tried
    [first, *_] = (await bench.store.read_ledger()).values()
    assert first.next_retry
    bench.now = first.next_retry
    await bench.run(bench.new_backlog(disk))
    [again, *_] = (await bench.store.read_ledger()).values()

    assert (done, await bench.backlog()) == (0, 3)
    assert (tried, disk.tried) == (3, 6)
    assert (first.kind, first.attempts, again.attempts) == ("time", 1, 2)
    assert (await bench.store.statuses.read_stats()).images == 3


async def test_a_file_that_can_be_read_again_leaves_the_ledger(bench: Bench) -> None:
    """Once a photo has its features, it has no ledger entry any more."""
    await bench.index(1)
    await bench.run(bench.new_backlog(SlowDisk()))
    bench.now += timedelta(hours=1)

    done = await bench.run(bench.new_backlog())

    assert (done, await bench.store.read_ledger()) == (1, {})


async def test_a_pass_goes_on_where_it_was_interrupted(bench: Bench) -> None:
    """A pass that was interrupted continues where it was, and ends with an empty backlog."""
    await bench.index(40)
    reader = CountingReader(bench.workers)
    backlog = bench.new_backlog(reader)

    first = await bench.run(backlog, is_over=lambda: reader.read > 3)
    was_at_end = backlog.is_at_end
    both = await bench.run(backlog)

    assert 0 < first < 40
    assert not was_at_end
    assert (both, backlog.is_at_end, await bench.backlog()) == (40, True, 0)


async def test_a_stopped_run_is_continued_by_the_next(bench: Bench) -> None:
    """Stopped early, what is finished is written; the next run does the rest."""
    await bench.index(40)
    backlog = bench.new_backlog(CountingReader(bench.workers, lambda: bench.pool.stop()))  # noqa: PLW0108 - made here

    first = await bench.run(backlog)
    second = await bench.run(bench.new_backlog())

    assert 0 < first < 40
    assert (first + second, await bench.backlog()) == (40, 0)
