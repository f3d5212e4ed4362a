"""What a query costs, step by step, where 28,000 images are indexed.

`python -m benchmarks.speed.query_cost PHOTOS [--images 28000] [--queries 90] [--unknown 30]` fills a store with the
real fingerprints of a folder's photos, but for some unknown ones, and with copies of them whose codes are blended with
those of others (see benchmarks/speed/shortlist_cost.py) and whose hashes are random. Then it opens a search engine
twice, without and with a snapshot, and searches one query after the other with one worker: whole copies, edited copies
in hard kinds, and unknown photos. Times are by the clock and hold on an idle machine only; memory is the resident set
over that before the engine.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

import numpy as np

from benchmarks.quality.fit_confidence import edit_named, opened_picture
from benchmarks.speed.shortlist_cost import blended
from core.fingerprints.features import FEATURE, Pass, photo_features
from core.fingerprints.hashes import fingerprint
from core.imaging.decoding import decode, sha256_of
from core.index.feature_index import FeatureIndex
from core.index.hash_index import HashIndex
from core.index.inverted_lists import Codes
from core.matching.ranking import DHASH_RADIUS, PDQ_RADIUS
from core.model import Evidence, FileStamp, PhotoFeatures, PhotoHashes, Place, PutFeatures, PutImage
from core.search.engine import SearchEngine
from core.storage.database import Database, sqlite_url
from core.storage.store import Store
from core.workers.pool import PhotoWorkers
from core.workers.tasks import VERSIONS, Description, Question

WHOLE = ("jpeg_55", "resized_640", "mirrored", "warm")
HARD = ("crop_35", "crop_60", "post_dark", "story_blurred", "screen_photo", "caption_bar_above", "tilted_10", "grid_4")
BATCH = 500

T = TypeVar("T")

Prints = tuple[PhotoHashes, PhotoFeatures]


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo's bytes and fingerprints."""

    data: bytes
    hashes: PhotoHashes
    features: PhotoFeatures

    @property
    def prints(self) -> Prints:
        return self.hashes, self.features


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

    async def hash_bytes(self, data: bytes) -> PhotoHashes:
        return await self._taken("decode and hashes", self._workers.hash_bytes(data))

    async def describe(self, data: bytes, sizes: Pass) -> Description:
        return await self._taken(f"decode and features {sizes}", self._workers.describe(data, sizes))

    async def answer(self, question: Question) -> list[Evidence]:
        return await self._taken(f"verify {len(question.candidates)}", self._workers.answer(question))


def pictures(paths: Sequence[Path]) -> Iterator[Picture]:
    for path in paths:
        data = path.read_bytes()
        photo = decode(data)
        yield Picture(data, fingerprint(photo, sha256_of(data)), photo_features(photo))


def invented(real: Sequence[Picture], count: int, *, seed: int = 7) -> Iterator[Prints]:
    """Yield fingerprints of photos that do not exist: random hashes, blended codes, thumbnails of others."""
    random = np.random.default_rng(seed)
    pool = np.concatenate([np.frombuffer(one.features.codes, FEATURE)["code"] for one in real])
    for number in range(count):
        like = real[number % len(real)]
        rows = np.frombuffer(like.features.codes, FEATURE).copy()
        if len(rows):
            rows["code"] = blended(np.ascontiguousarray(rows["code"]), pool, random)
        hashes = PhotoHashes(
            sha256=random.bytes(32),
            dhash=random.bytes(8),
            pdq=random.bytes(32),
            pdq_quality=100,
            flat_percent=like.hashes.flat_percent,
            width=like.hashes.width,
            height=like.hashes.height,
            version=VERSIONS.hashes,
        )
        yield hashes, PhotoFeatures(rows.tobytes(), like.features.thumbnail, VERSIONS.features)


async def fill(store: Store, real: Sequence[Picture], count: int) -> None:
    """Put the real photos, and as many invented ones as are missing, into the store."""
    everything = [one.prints for one in real] + list(invented(real, count - len(real)))
    await put(store, everything, owner=lambda number: f"account{number % 300}")


async def put(store: Store, everything: Sequence[Prints], *, owner: Callable[[int], str], first: int = 0) -> None:
    """Put fingerprints of photos into the store, which are numbered from `first` on; `owner` names their accounts."""
    async with store.writer():
        for start in range(0, len(everything), BATCH):
            some = everything[start : start + BATCH]
            numbers = range(first + start, first + start + len(some))
            await store.write(
                [_remember(number, owner(number), hashes) for number, (hashes, _) in zip(numbers, some, strict=True)]
            )
            waiting = {one.sha256: one.photo_id for one in await store.backlog(after=0, limit=2 * BATCH)}
            await store.write([PutFeatures(waiting[hashes.sha256], b"", features) for hashes, features in some])


def _remember(number: int, username: str, hashes: PhotoHashes) -> PutImage:
    return PutImage(
        Place(username, f"{username}/{number}.jpg".encode()), FileStamp(number + 1, number, number, 1), hashes
    )


def asked(paths: Sequence[Path], kinds: Sequence[str], count: int, others: Sequence[Path]) -> list[bytes]:
    """Make edited copies of the first photos, one kind after the other."""
    made = []
    for number in range(count):
        edit, path = edit_named(kinds[number % len(kinds)]), paths[number % len(paths)]
        beside = [opened_picture(other.read_bytes()) for other in Random(number).sample(others, edit.others_needed)]
        made.append(edit.apply(opened_picture(path.read_bytes()), Random(number), beside))
    return made


async def measure(store: Store, cache: Path, clock: Clock, queries: dict[str, list[bytes]]) -> None:
    before = resident()
    index = HashIndex(cache, pdq_radius=PDQ_RADIUS, dhash_radius=DHASH_RADIUS, hashes_version=VERSIONS.hashes)
    features = FeatureIndex(cache, features_version=VERSIONS.features)
    engine = SearchEngine(clock, store, index, features)
    await by_the_clock("whole pictures: index ready", engine.refresh)
    await by_the_clock("features: index ready", lambda: features.follow(store))
    print(f"memory over the start: {resident() - before:.0f} MB")
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
        middle, slow = spread(took)
        print(f"{name:24} {len(some):4} queries: p50 {middle:6.1f} ms, p95 {slow:6.1f} ms {dict(verdicts)}")
    for codes in _codes(queries):
        started = time.perf_counter()
        await features.shortlist(codes, size=12)
        shortlisting.append(1000 * (time.perf_counter() - started))
    clock.milliseconds["shortlist, 550 random codes"] = shortlisting
    for step, times in sorted(clock.milliseconds.items()):
        middle, slow = spread(times)
        print(f"  {step:46} {len(times):5} times: p50 {middle:6.1f} ms, p95 {slow:6.1f} ms")


def _codes(queries: dict[str, list[bytes]]) -> list[Codes]:
    random = np.random.default_rng(3)
    return [random.integers(0, 256, (550, 32), dtype=np.uint8) for _ in range(min(20, len(queries) * 10))]


async def by_the_clock(name: str, work: Callable[[], Awaitable[object]]) -> None:
    started = time.perf_counter()
    await work()
    print(f"{name}: {time.perf_counter() - started:.2f} s")


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Return median and 95th percentile."""
    return statistics.median(values), float(np.quantile(values, 0.95))


def resident() -> float:
    """Return the resident set in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=28_000)
    parser.add_argument("--queries", type=int, default=90)
    parser.add_argument("--unknown", type=int, default=30)
    options = parser.parse_args()
    paths = sorted(path for path in options.photos.glob("*/*") if path.is_file())
    Random(1).shuffle(paths)
    unknown, known = paths[: options.unknown + 10], paths[options.unknown + 10 :]
    queries = {
        "whole copies": asked(known, WHOLE, options.queries // 2, unknown),
        "hard edits": asked(known, HARD, options.queries, unknown),
        "unknown photos": [path.read_bytes() for path in unknown[: options.unknown]],
    }
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Database(sqlite_url(Path(folder) / "asking.db")), VERSIONS)
        await store.create_schema()
        await fill(store, list(pictures(known)), options.images)
        async with PhotoWorkers(1) as workers:
            print("without a snapshot")
            await measure(store, Path(folder) / "cache", Clock(workers), {})
            print("with a snapshot")
            await measure(store, Path(folder) / "cache", Clock(workers), queries)
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
