"""What a query costs, step by step, where 28,000 images are indexed.

`python -m benchmarks.speed.query_cost PHOTOS [--images 28000] [--queries 90] [--unknown 30]` fills a store with the
real fingerprints of a folder's photos, but for some unknown ones, and with copies of them whose codes are blended with
those of others (lab/large_store.py) and whose hashes are random. Then it opens a search engine
twice, without and with a snapshot, and searches one query after the other with one worker: whole copies, edited copies
in hard kinds, and unknown photos. Times are by the clock and hold on an idle machine only; memory is the resident set
over that before the engine.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.lab.edits import edited_copies
from benchmarks.lab.large_store import fill_store, indexes, open_store, pictures
from benchmarks.lab.photos import shuffled_files
from benchmarks.lab.processes import MB, status
from benchmarks.lab.queries import WHOLE
from benchmarks.lab.script import own_folder, parser
from benchmarks.lab.timing import spread
from core.fingerprints.features import Pass
from core.index.inverted_lists import Codes
from core.model.matches import Evidence
from core.search.engine import SearchEngine
from core.storage.database import sqlite_url
from core.storage.store import Store
from core.workers.pool import PhotoWorkers
from core.workers.tasks import CandidateCheck, Description, HashedQuery

HARD = ("crop_35", "crop_60", "post_dark", "story_blurred", "screen_photo", "caption_bar_above", "tilted_10", "grid_4")
T = TypeVar("T")


class Clock:
    """Workers whose time is taken."""

    def __init__(self, workers: PhotoWorkers) -> None:
        self._workers = workers
        self.milliseconds: defaultdict[str, list[float]] = defaultdict(list)

    async def _taken(self, step: str, work: Awaitable[T]) -> T:
        started = time.perf_counter()
        result = await work
        self.milliseconds[step].append(1000 * (time.perf_counter() - started))
        return result

    async def hash_query(self, data: bytes) -> HashedQuery:
        return await self._taken("decode and hashes", self._workers.hash_query(data))

    async def describe_pixels(self, pixels: NDArray[np.uint8], sizes: Pass) -> Description:
        return await self._taken(f"features {sizes}", self._workers.describe_pixels(pixels, sizes))

    async def describe_bytes(self, data: bytes, sizes: Pass) -> Description:
        return await self._taken(f"decode and features {sizes}", self._workers.describe_bytes(data, sizes))

    async def verify(self, check: CandidateCheck) -> list[Evidence]:
        return await self._taken(f"verify {len(check.candidates)}", self._workers.verify(check))


async def measure(store: Store, cache: Path, clock: Clock, queries: dict[str, list[bytes]]) -> None:
    before = status("VmRSS")
    hashes, features = indexes(cache)
    engine = SearchEngine(clock, store, store.changes, hash_index=hashes, feature_index=features)
    await by_the_clock("whole pictures: index ready", engine.refresh)
    await by_the_clock("features: index ready", lambda: features.follow(store.changes))
    print(f"memory over the start: {(status('VmRSS') - before) / MB:.0f} MB")
    if not queries:
        return
    shortlisting = []
    for name, some in queries.items():
        took, verdicts = list[float](), Counter[str]()
        for data in some:
            started = time.perf_counter()
            result = await engine.search(data)
            took.append(1000 * (time.perf_counter() - started))
            verdicts[result.verdict] += 1
        print_spread(f"{name:24} {len(some):4} queries", took, str(dict(verdicts)))
    for codes in _codes(queries):
        started = time.perf_counter()
        await features.shortlist(codes, size=12)
        shortlisting.append(1000 * (time.perf_counter() - started))
    clock.milliseconds["shortlist, 550 random codes"] = shortlisting
    for step, times in sorted(clock.milliseconds.items()):
        print_spread(f"  {step:46} {len(times):5} times", times)


def print_spread(title: str, milliseconds: Sequence[float], remark: str = "") -> None:
    middle, slow = spread(milliseconds)
    print(f"{title}: p50 {middle:6.1f} ms, p95 {slow:6.1f} ms {remark}")


def _codes(queries: dict[str, list[bytes]]) -> list[Codes]:
    random = np.random.default_rng(3)
    return [random.integers(0, 256, (550, 32), dtype=np.uint8) for _ in range(min(20, len(queries) * 10))]


async def by_the_clock(name: str, work: Callable[[], Awaitable[object]]) -> None:
    started = time.perf_counter()
    await work()
    print(f"{name}: {time.perf_counter() - started:.2f} s")


async def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("photos", type=Path)
    arguments.add_argument("--images", type=int, default=28_000)
    arguments.add_argument("--queries", type=int, default=90)
    arguments.add_argument("--unknown", type=int, default=30)
    options = arguments.parse_args()
    paths = shuffled_files(options.photos)
    unknown, known = paths[: options.unknown + 10], paths[options.unknown + 10 :]
    queries = {
        "whole copies": edited_copies(known, WHOLE, options.queries // 2, unknown),
        "hard edits": edited_copies(known, HARD, options.queries, unknown),
        "unknown photos": [path.read_bytes() for path in unknown[: options.unknown]],
    }
    with own_folder() as folder:
        async with open_store(sqlite_url(folder / "queries.db")) as store, PhotoWorkers(1) as workers:
            await fill_store(store, list(pictures(known)), options.images)
            for title, some in (("without a snapshot", {}), ("with a snapshot", queries)):
                print(title)
                await measure(store, folder / "cache", Clock(workers), some)


if __name__ == "__main__":
    asyncio.run(main())
