"""What photos need: bytes in the database and in the snapshot, memory for the index, memory for a worker.

`python -m benchmarks.speed.storage_size PHOTOS [--images 28000]` has one worker do everything to some photos, fills a
SQLite file and a private MariaDB with the fingerprints of a folder's photos and of invented ones
(benchmarks/speed/query_cost.py), and has a fresh process follow the file, without a snapshot and with one. `igsearch
doctor` reckons with what it prints.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import URL

from benchmarks.speed.query_cost import fill, pictures
from core.fingerprints.features import RICH_PASS
from core.index.feature_index import FeatureIndex
from core.index.hash_index import HashIndex
from core.matching.ranking import DHASH_RADIUS, PDQ_RADIUS
from core.storage.database import Database, sqlite_url
from core.storage.store import Store
from core.workers.pool import PhotoWorkers
from core.workers.tasks import VERSIONS
from tests.mariadb import private_mariadb

SAMPLE_SECONDS = 0.02
PHOTOS_A_WORKER = 100


@dataclass(frozen=True, slots=True)
class Filling:
    """With what databases are filled."""

    paths: Sequence[Path]
    images: int


async def grown(url: str | URL, filling: Filling, size: Callable[[], int]) -> float:
    """Fill an empty database, and return the bytes a photo by which it grew."""
    store = Store(Database(url), VERSIONS)
    await store.create_schema()
    before = size()
    await fill(store, list(pictures(filling.paths)), filling.images)
    await store.close()
    return (size() - before) / filling.images


def size_of(folder: Path, pattern: str) -> int:
    return sum(file.stat().st_size for file in folder.rglob(pattern) if file.is_file())


def follow(database: Path, cache: Path, images: int) -> None:
    """Print what it takes to follow a store; in a process of its own."""
    asyncio.run(_follow(database, cache, images))


async def _follow(database: Path, cache: Path, images: int) -> None:
    store = Store(Database(sqlite_url(database)), VERSIONS)
    resident, addresses = status("VmRSS"), status("VmSize")
    index = HashIndex(cache, pdq_radius=PDQ_RADIUS, dhash_radius=DHASH_RADIUS, hashes_version=VERSIONS.hashes)
    features = FeatureIndex(cache, features_version=VERSIONS.features)
    await index.follow(store)
    await features.follow(store)
    await store.close()
    print(f"  at the start {resident / 1e6:.0f} MB resident, {addresses / 1e6:.0f} MB of addresses; bytes a photo:")
    for what, name, before in (
        ("most", "VmHWM", resident),
        ("kept", "VmRSS", resident),
        ("space", "VmPeak", addresses),
    ):
        print(f"  {what} {(status(name) - before) / images:,.0f}")


def status(name: str) -> int:
    """Return a figure of our process in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


async def work(paths: Sequence[Path]) -> None:
    """Print the most that a worker has to itself."""
    with sampled() as most:
        async with PhotoWorkers(1) as workers:
            for path in islice(cycle(paths), PHOTOS_A_WORKER):
                data = path.read_bytes()
                await workers.hash_bytes(data)
                await workers.describe(data, RICH_PASS)
                await workers.extract_features(bytes(path))
    print(f"a worker: {max(most.values()) / 1e6:.0f} MB")


@contextmanager
def sampled() -> Iterator[dict[str, int]]:
    """Keep the most private memory that each worker process had meanwhile, in bytes."""
    most: dict[str, int] = {}
    ended = Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    if b"forkserver" in (process / "cmdline").read_bytes():
                        most[process.name] = max(private(process), most.get(process.name, 0))

    thread = Thread(target=sample)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def private(process: Path) -> int:
    lines = (process / "smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


async def in_sqlite(filling: Filling) -> None:
    with tempfile.TemporaryDirectory() as name:
        database, cache = Path(name) / "needing.db", Path(name) / "cache"
        print(f"SQLite: {await grown(sqlite_url(database), filling, lambda: size_of(Path(name), 'needing.db*')):,.0f}")
        for what in ("without a snapshot", "with one"):
            print(what)
            arguments = database, cache, filling.images
            process = multiprocessing.get_context("spawn").Process(target=follow, args=arguments)
            process.start()
            process.join()
        print(f"snapshot: {size_of(cache, '*') / filling.images:,.0f}")


async def in_mariadb(filling: Filling) -> None:
    with private_mariadb() as server:
        url = server.create_database("needing")
        tables = server.folder / "data" / "needing"
        print(f"MariaDB: {await grown(url, filling, lambda: size_of(tables, '*.ibd')):,.0f}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=28_000)
    options = parser.parse_args()
    filling = Filling(sorted(path for path in options.photos.glob("*/*") if path.is_file()), options.images)
    await work(filling.paths)
    print("bytes a photo:")
    await in_sqlite(filling)
    await in_mariadb(filling)


if __name__ == "__main__":
    asyncio.run(main())
