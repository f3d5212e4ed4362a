"""What photos need: bytes in the database and in the snapshot, memory for the index, memory for a worker.

`python -m benchmarks.speed.storage_size PHOTOS [--images 28000]` has one worker do everything to some photos, fills a
SQLite file and a private MariaDB with the fingerprints of a folder's photos and of invented ones
(lab/large_store.py), and has a fresh process follow the file, without a snapshot and with one. `igsearch
doctor` reckons with what it prints.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import URL

from benchmarks.lab.large_store import fill_store, indexes, open_store, pictures
from benchmarks.lab.photos import files_of
from benchmarks.lab.processes import in_a_fresh_process, rollup, status
from benchmarks.lab.script import own_folder, parser
from core.fingerprints.features import RICH_PASS
from core.storage.database import sqlite_url
from core.workers.pool import PhotoWorkers
from tests.mariadb import private_mariadb

SAMPLE_SECONDS = 0.02
PHOTOS_A_WORKER = 100


async def grown(url: str | URL, paths: Sequence[Path], images: int, size: Callable[[], int]) -> float:
    """Fill an empty database, and return the bytes a photo by which it grew."""
    async with open_store(url) as store:
        before = size()
        await fill_store(store, list(pictures(paths)), images)
    return (size() - before) / images


def size_of(folder: Path, pattern: str) -> int:
    return sum(file.stat().st_size for file in folder.rglob(pattern) if file.is_file())


def follow(database: Path, cache: Path, images: int) -> None:
    """Print what it takes to follow a store; in a process of its own."""
    asyncio.run(_follow(database, cache, images))


async def _follow(database: Path, cache: Path, images: int) -> None:
    resident, addresses = status("VmRSS"), status("VmSize")
    async with open_store(sqlite_url(database)) as store:
        held = indexes(cache)
        for index in held:
            await index.follow(store.changes)
    print(f"  at the start {resident / 1e6:.0f} MB resident, {addresses / 1e6:.0f} MB of addresses; bytes a photo:")
    most, kept, space = status("VmHWM") - resident, status("VmRSS") - resident, status("VmPeak") - addresses
    print(f"  most {most / images:,.0f}, kept {kept / images:,.0f}, addresses {space / images:,.0f}")
    del held


async def work(paths: Sequence[Path]) -> None:
    """Print the most that a worker has to itself."""
    with sampled() as most:
        async with PhotoWorkers(1) as workers:
            for path in islice(cycle(paths), PHOTOS_A_WORKER):
                data = path.read_bytes()
                await workers.hash_bytes(data)
                await workers.describe_bytes(data, RICH_PASS)
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
                        private = sum(size for name, size in rollup(process).items() if name.startswith("Private_"))
                        most[process.name] = max(private, most.get(process.name, 0))

    thread = Thread(target=sample)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


async def in_sqlite(paths: Sequence[Path], images: int) -> None:
    with own_folder() as folder:
        database, cache = folder / "photos.db", folder / "cache"
        took = await grown(sqlite_url(database), paths, images, lambda: size_of(folder, "photos.db*"))
        print(f"SQLite: {took:,.0f}")
        for what in ("without a snapshot", "with one"):
            print(what)
            in_a_fresh_process(partial(follow, database, cache, images))
        print(f"snapshot: {size_of(cache, '*') / images:,.0f}")


async def in_mariadb(paths: Sequence[Path], images: int) -> None:
    with private_mariadb() as server:
        url = server.create_database("photos")
        tables = server.folder / "data" / "photos"
        print(f"MariaDB: {await grown(url, paths, images, lambda: size_of(tables, '*.ibd')):,.0f}")


async def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("photos", type=Path)
    arguments.add_argument("--images", type=int, default=28_000)
    options = arguments.parse_args()
    paths = files_of(options.photos)
    await work(paths)
    print("bytes a photo:")
    await in_sqlite(paths, options.images)
    await in_mariadb(paths, options.images)


if __name__ == "__main__":
    asyncio.run(main())
