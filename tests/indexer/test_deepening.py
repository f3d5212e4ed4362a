"""The backlog is worked off: real files, real workers, a real database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import TooSlow
from core.fingerprinting import VERSIONS, FileDeepFingerprint
from core.storage.database import Database, sqlite_url
from core.storage.store import Store
from core.workers import PhotoWorkers
from indexer.deepening import Deepening
from indexer.reconciler import Outcome
from indexer.rescan import Orders, Rescan
from tests.pictures import photo_bytes


class Ears:
    """Counts outcomes, and may stop the work at the first."""

    def __init__(self) -> None:
        self.expected = 0
        self.heard: list[Outcome] = []
        self.deepening: Deepening | None = None

    def expect(self, files: int) -> None:
        self.expected = files

    def advance(self, outcome: Outcome, files: int) -> None:
        self.heard += [outcome] * files
        if self.deepening:
            self.deepening.stop()

    def say(self, sentence: str) -> None: ...


class SlowDisk:
    """A reader for which every picture takes too long."""

    async def deepen_file(self, path: bytes) -> FileDeepFingerprint:
        raise TooSlow("It took too long.")


class Bench:
    """A dataset whose photos have light fingerprints."""

    def __init__(self, root: Path, store: Store, workers: PhotoWorkers) -> None:
        self.root = root
        self.store = store
        self.workers = workers
        self.ears = Ears()

    async def index(self, count: int) -> None:
        (self.root / "anna").mkdir(parents=True)
        for seed in range(count):
            (self.root / "anna" / f"{seed}.jpg").write_bytes(photo_bytes(seed))
        orders = Orders(self.root, workers=2, settle_seconds=0, clock=lambda: datetime.now(UTC))
        async with self.store.writer():
            await Rescan(orders, store=self.store, reader=self.workers, progress=Ears()).run()

    def deepening(self, reader=None) -> Deepening:
        reader = reader or self.workers
        return Deepening(self.root, workers=2, store=self.store, reader=reader, progress=self.ears)

    async def run(self, deepening: Deepening) -> int:
        async with self.store.writer():
            return await deepening.run(await self.backlog())

    async def backlog(self) -> int:
        return (await self.store.stats()).backlog


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    store = Store(Database(sqlite_url(tmp_path / "store.db")), VERSIONS)
    await store.create_schema()
    async with PhotoWorkers(2) as workers:
        yield Bench(tmp_path / "images", store, workers)
    await store.close()


async def test_every_photo_gets_its_deep_fingerprint_once(bench: Bench) -> None:
    """After one run nothing waits; the next has nothing to do."""
    await bench.index(5)

    first = await bench.run(bench.deepening())
    second = await bench.run(bench.deepening())

    assert (first, second, await bench.backlog()) == (5, 0, 0)
    kept = await bench.store.deep(range(1, 6))
    assert len(kept) == 5
    assert all(deep.codes and deep.thumbnail for deep in kept.values())


async def test_what_changed_or_vanished_stays_in_the_backlog(bench: Bench) -> None:
    """A file with other bytes than on record, or none, gets no fingerprint; the others get theirs."""
    await bench.index(4)
    (bench.root / "anna" / "0.jpg").write_bytes(photo_bytes(77))
    (bench.root / "anna" / "1.jpg").unlink()
    (bench.root / "anna" / "2.jpg").write_bytes(b"no picture")

    done = await bench.run(bench.deepening())

    assert (done, await bench.backlog()) == (1, 3)


async def test_a_file_that_cannot_be_read_is_tried_once_a_run(bench: Bench) -> None:
    """Trouble with one file neither ends the run nor makes it a loop."""
    await bench.index(3)

    done = await bench.run(bench.deepening(SlowDisk()))

    assert (done, await bench.backlog()) == (0, 3)
    assert bench.ears.heard == [Outcome.UNREADABLE] * 3


async def test_a_stopped_run_is_continued_by_the_next(bench: Bench) -> None:
    """Stopped early, what is finished is written; the next run does the rest."""
    await bench.index(40)
    deepening = bench.ears.deepening = bench.deepening()

    first = await bench.run(deepening)
    bench.ears.deepening = None
    second = await bench.run(bench.deepening())

    assert deepening.is_stopped
    assert 0 < first < 40
    assert (first + second, await bench.backlog()) == (40, 0)
