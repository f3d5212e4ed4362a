"""Cost of the feature index: memory, disk, and the time to build, open, change and ask it, against faiss on its own.

python -m benchmarks.speed.shortlist_cost PHOTOS --images 28000 --large 280000 --tune --codes /tmp/codes.npz

The codes are those of the photos in the folder, but for eight that fill the collages among the queries. They are
extended to the wanted number of images by copies whose codes lie about 60 to 90 bits from those of a real photo. That
is as far as unrelated features, but in clusters, as real codes are; random ones would all be 128 bits apart and need no
search. There are two ways:

--copies flipped   every bit of a code is flipped with a rate of the feature's own;
--copies blended   a code is made of its descriptor mixed with that of another real feature.

Flipped codes are not the signs of any descriptor and crowd into a few lists: 3.1 times as many codes are in the list of
a random one as in the mean list (8,000 images), 1.6 times of the blended and 1.3 times of the real ones alone. So they
show the worst case of memory and time, blended ones the likely one.

A query is an edited copy of a photo, without mirror images. Each index is built in a fresh process, in pages of 1,000
images in random order, and opened in another. Times are CPU time of one thread, so that a busy machine may be used;
only saving and opening a snapshot, which wait for the disk, are by the clock. Memory is the process's resident set,
over what it was before.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.lab.edits import EDITS, PLAIN
from core.fingerprints.features import FIRST_PASS, RICH_PASS, Features, photo_features
from core.fingerprints.features import _rotations as rotations
from core.imaging.decoding import decode
from core.index import inverted_lists, snapshot
from core.index.inverted_lists import Codes, Ids, InvertedLists, _FaissLists
from core.model import CODE_BYTES
from core.workers.tasks import describe

T = TypeVar("T")
Asked = TypeVar("Asked")

Copies = Callable[[Codes, Codes, np.random.Generator], Codes]
"""Gives a copy of an image's codes; the others are those of all real photos."""

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
PAGE = 1_000
NEAREST_BITS, FARTHEST_BITS = 60, 90
LEAST_MIXED, MOST_MIXED = 0.48, 0.58
"""Share of the other feature: 55 to 95 bits from the one."""
OTHERS = 8
"""Photos that are not indexed, for a grid of nine."""
SHORTLIST = 12
SINGLES, DISCARDS = 20, 5
"""Changes of one image that are timed."""

PEERS_UP_TO = 28_000
FLAT_QUERIES, FLAT_RICH_QUERIES, TUNING_RICH_QUERIES = 10, 2, 15
"""A full scan of 4 million codes takes seconds, so it is asked the first few queries only."""
FAISS_ROUNDS = 6
FACTORS, NEAREST = (0.5, 1.0, 2.0), (4, 8, 16)

KINDS = [edit for edit in EDITS if edit.group != PLAIN and "mirror" not in edit.name]
BY_NAME = {edit.name: edit for edit in EDITS}


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """The codes of real photos, one array each, how many images to make of them, and how."""

    codes: Sequence[Codes]
    count: int
    copies: Copies

    def total(self) -> int:
        """Return how many codes all images have."""
        whole, rest = divmod(self.count, len(self.codes))
        return whole * sum(map(len, self.codes)) + sum(map(len, self.codes[:rest]))


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """The image that a query was made from, and the codes of both passes."""

    image: int
    first: Codes
    rich: Codes


@dataclass(frozen=True, slots=True)
class Constants:
    """What may be varied: times the usual number of lists, lists looked into, and rounds of training."""

    factor: float
    nearest: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Answers:
    """Milliseconds of the middle and of a late query, and shares of queries with their photo first, and listed."""

    median: float
    late: float
    first: float
    listed: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of this process: now, and the most so far."""

    resident: int
    peak: int

    def over(self, start: "Memory") -> "Memory":
        return Memory(self.resident - start.resident, self.peak - start.resident)


@dataclass(frozen=True, slots=True)
class Built:
    """What an index costs, in seconds (training and the first page; all pages) and bytes, and how it answers."""

    first_page: float
    build: float
    memory: Memory
    first: Answers
    rich: Answers


@dataclass(frozen=True, slots=True)
class Changes:
    """Seconds to add and to discard one image, and to save all; bytes on disk; the most memory meanwhile.

    uneven: how many times more codes the list of a random code holds than the mean list.
    """

    add: float
    discard: float
    save: float
    disk: int
    peak: int
    uneven: float


@dataclass(frozen=True, slots=True)
class Opened:
    """Seconds until a snapshot can be asked, and memory then."""

    seconds: float
    memory: Memory


def main() -> None:
    arguments = parse()
    photos, others = chosen(arguments.photos, Random(arguments.seed))
    codes = cached_codes(photos, arguments.codes)
    queries = made_queries(photos, others, arguments)
    constants = Constants(arguments.lists_factor, arguments.nearest, arguments.rounds)
    copies = COPIES[arguments.copies]
    print_sources(codes, queries)
    for count in filter(None, (arguments.images, arguments.large)):
        print_costs(Images(codes, count, copies), queries, constants)
    if arguments.tune:
        print_tuning(Images(codes, arguments.images, copies), queries, constants)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=28_000, help="faiss on its own is measured up to 28,000")
    parser.add_argument("--large", type=int, default=280_000, help="0 leaves it out")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--codes", type=Path, help="an .npz file that keeps the photos' codes for the next run")
    parser.add_argument("--copies", choices=COPIES, default="flipped")
    parser.add_argument("--lists-factor", type=float, default=1.0, help="times the usual number of lists")
    parser.add_argument("--nearest", type=int, default=inverted_lists.NEAREST_LISTS)
    parser.add_argument("--rounds", type=int, default=inverted_lists.ROUNDS)
    parser.add_argument("--tune", action="store_true", help="half, once and twice the lists, 4, 8 and 16 of them asked")
    return parser.parse_args()


# Real codes and queries


def chosen(folder: Path, random: Random) -> tuple[list[Path], list[Path]]:
    """Return the photos to index, and a few others for collages."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    random.shuffle(paths)
    return sorted(paths[OTHERS:]), paths[:OTHERS]


def cached_codes(photos: Sequence[Path], cache: Path | None) -> list[Codes]:
    if cache and cache.exists():
        with np.load(cache) as arrays:
            assert len(arrays["counts"]) == len(photos), f"{cache} is of other photos: delete it"
            return np.split(arrays["codes"], np.cumsum(arrays["counts"])[:-1])
    codes = in_all_cores(codes_of, photos)
    if cache:
        np.savez(cache, counts=[len(each) for each in codes], codes=np.concatenate(codes))
    return codes


def codes_of(path: Path) -> Codes:
    return Features.unpacked(photo_features(decode(path.read_bytes())).codes).codes


def made_queries(photos: Sequence[Path], others: Sequence[Path], arguments: argparse.Namespace) -> list[Query]:
    """Edit some photos, each in one way; all ways come in turn."""
    numbers = Random(arguments.seed).sample(range(len(photos)), arguments.queries)
    names = [KINDS[turn % len(KINDS)].name for turn in range(len(numbers))]
    tasks = [(number, photos[number], name) for number, name in zip(numbers, names, strict=True)]
    return in_all_cores(partial(made_query, others=others, seed=arguments.seed), tasks)


def made_query(task: tuple[int, Path, str], *, others: Sequence[Path], seed: int) -> Query:
    number, path, name = task
    edit = BY_NAME[name]
    members = [opened_photo(other) for other in others[: edit.others_needed]]
    data = edit.apply(opened_photo(path), Random(f"{seed}-{number}"), members)
    first, rich = (describe(data, sizes).features.plain.codes for sizes in (FIRST_PASS, RICH_PASS))
    return Query(number, first, rich)


def opened_photo(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def in_all_cores(work: Callable[[Asked], T], tasks: Sequence[Asked]) -> list[T]:
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        return pool.map(work, tasks, chunksize=8)


def pages(images: Images) -> Iterator[tuple[Ids, Ids, Codes]]:
    """Yield ids, counts and codes of all images; the first ids are the real photos, wherever they come."""
    random = np.random.default_rng(images.count)
    order, pool = random.permutation(images.count), np.concatenate(images.codes)
    for start in range(0, len(order), PAGE):
        ids = order[start : start + PAGE]
        parts = [image_codes(images, number, pool, random) for number in ids.tolist()]
        yield ids, np.array([len(part) for part in parts]), np.concatenate(parts)


def image_codes(images: Images, number: int, pool: Codes, random: np.random.Generator) -> Codes:
    original = images.codes[number % len(images.codes)]
    return original if number < len(images.codes) else images.copies(original, pool, random)


def flipped(codes: Codes, _: Codes, random: np.random.Generator) -> Codes:
    bits = random.integers(NEAREST_BITS, FARTHEST_BITS, (len(codes), 1), endpoint=True)
    dice = np.frombuffer(random.bytes(len(codes) * CODE_BYTES * 8), np.uint8).reshape(len(codes), -1)
    return codes ^ np.packbits(dice < bits, axis=1)


def blended(codes: Codes, pool: Codes, random: np.random.Generator) -> Codes:
    others = pool[random.integers(0, len(pool), len(codes))]
    share = random.uniform(LEAST_MIXED, MOST_MIXED, (len(codes), 1)).astype(np.float32)
    return np.packbits(((1 - share) * descriptors(codes) + share * descriptors(others)) @ rotations() > 0, axis=1)


def descriptors(codes: Codes) -> NDArray[np.float32]:
    """Return the unit vectors that have such codes, but for a few bits, about their mean."""
    vectors = (np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1) @ rotations().T
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


COPIES: dict[str, Copies] = {"flipped": flipped, "blended": blended}


# Ours and its peers


class WithLists(InvertedLists):
    """The votes of a InvertedLists, over lists that it did not train."""

    def __init__(self, lists: _FaissLists) -> None:
        super().__init__()
        self._lists = lists


class Flat(_FaissLists):
    """A faiss IndexBinaryFlat in the place of the lists."""

    def __init__(self) -> None:
        faiss.omp_set_num_threads(1)
        self.count = 1 << 40  # never outgrown
        self._flat = faiss.IndexBinaryFlat(CODE_BYTES * 8)
        self._owners = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._owners)

    def add(self, ids: Ids, codes: Codes) -> None:
        self._flat.add(codes)
        self._owners = np.concatenate([self._owners, ids])

    def nearest(self, codes: Codes) -> tuple[NDArray[np.int32], Ids]:
        bits, rows = self._flat.search(codes, inverted_lists.NEIGHBOURS)
        return bits, self._owners[rows]


def ours(images: Images, constants: Constants, _: Codes) -> InvertedLists:
    """Return an empty index; expecting four times as many codes makes it want twice as many lists."""
    use(constants)
    return InvertedLists(expected=round(images.total() * constants.factor**2))


def use(constants: Constants) -> None:
    inverted_lists.NEAREST_LISTS, inverted_lists.ROUNDS = constants.nearest, constants.rounds


def flat(_: Images, constants: Constants, __: Codes) -> InvertedLists:
    use(constants)
    return WithLists(Flat())


def trained_by_faiss(images: Images, constants: Constants, first_page: Codes) -> InvertedLists:
    """Return an empty index with as many lists as ours, and centroids by faiss from the same sample."""
    use(constants)
    count = 2 ** round(np.log2(np.sqrt(images.total()) * constants.factor))
    random = np.random.default_rng(len(first_page))
    size = min(len(first_page), inverted_lists.SAMPLE_A_LIST * count)
    sample = first_page[np.sort(random.choice(len(first_page), size, replace=False))]
    faiss.omp_set_num_threads(1)
    quantizer: Any = faiss.IndexBinaryFlat(CODE_BYTES * 8)
    trained = faiss.IndexBinaryIVF(quantizer, CODE_BYTES * 8, count)
    trained.cp.niter, trained.cp.min_points_per_centroid = FAISS_ROUNDS, 1
    trained.train(sample)
    return WithLists(_FaissLists(faiss.vector_to_array(quantizer.xb).reshape(count, CODE_BYTES)))


Maker = Callable[[Images, Constants, Codes], InvertedLists]
"""Gives an empty index; the codes are those of the first page, for training."""


# Measuring, in processes of their own


def build_and_save(
    images: Images, queries: Sequence[Query], constants: Constants, folder: Path
) -> tuple[Built, Changes]:
    start = memory()
    index, seconds = built(ours, images, constants)
    after = memory().over(start)
    result = Built(seconds[0], sum(seconds), after, *both_passes(index, queries, queries))
    add, discard = changed(index, images.codes[0], images.count)
    save = by_the_clock(lambda: snapshot.save(folder, {"revision": 1}, index.arrays()))[1]
    sizes = np.load(folder / "sizes.npy")
    disk = sum(path.stat().st_size for path in folder.iterdir())
    return result, Changes(
        add, discard, save, disk, memory().over(start).peak, float((sizes**2).mean() / sizes.mean() ** 2)
    )


def build_peer(make: Maker, images: Images, queries: Sequence[Query], constants: Constants) -> Built:
    start = memory()
    index, seconds = built(make, images, constants)
    after = memory().over(start)
    is_slow = make is flat
    firsts, riches = (queries[:FLAT_QUERIES], queries[:FLAT_RICH_QUERIES]) if is_slow else (queries, queries)
    return Built(seconds[0], sum(seconds), after, *both_passes(index, firsts, riches))


def built(make: Maker, images: Images, constants: Constants) -> tuple[InvertedLists, list[float]]:
    """Return an index of all images, and the seconds that each page took; the first includes the training."""
    stream = pages(images)
    first_page = next(stream)
    index, training = timed(lambda: make(images, constants, first_page[2]))
    seconds = [timed(partial(index.add, *page))[1] for page in chain([first_page], stream)]
    return index, [seconds[0] + training, *seconds[1:]]


def both_passes(index: InvertedLists, firsts: Sequence[Query], riches: Sequence[Query]) -> tuple[Answers, Answers]:
    first = answers(index, [(query.image, query.first) for query in firsts])
    return first, answers(index, [(query.image, query.rich) for query in riches])


def answers(index: InvertedLists, asked: Sequence[tuple[int, Codes]]) -> Answers:
    index.shortlist(asked[-1][1], size=SHORTLIST)
    found = [(image, *timed(partial(index.shortlist, codes, size=SHORTLIST))) for image, codes in asked]
    milliseconds = [seconds * 1000 for _, _, seconds in found]
    return Answers(
        median=statistics.median(milliseconds),
        late=float(np.quantile(milliseconds, 0.95)),
        first=statistics.mean(listed[:1] == [image] for image, listed, _ in found),
        listed=statistics.mean(image in listed for image, listed, _ in found),
    )


def changed(index: InvertedLists, codes: Codes, unused: int) -> tuple[float, float]:
    """Return the median seconds of adding an image, and of discarding one."""
    ids = [np.array([unused + number]) for number in range(SINGLES)]
    before = len(index)
    adds = [timed(partial(index.add, one, np.array([len(codes)]), codes))[1] for one in ids]
    discards = [timed(partial(index.discard, one))[1] for one in ids[:DISCARDS]]
    index.discard(np.concatenate(ids))
    assert len(index) == before, "what was added and discarded is still there"
    return statistics.median(adds), statistics.median(discards)


def open_and_ask(folder: Path, queries: Sequence[Query], constants: Constants, right: Answers) -> Opened:
    use(constants)
    start = memory()
    index, seconds = by_the_clock(lambda: opened_index(folder))
    opened = Opened(seconds, memory().over(start))
    found = both_passes(index, queries, queries[:1])[0]
    assert (found.first, found.listed) == (right.first, right.listed), "the opened index answers otherwise"
    return opened


def opened_index(folder: Path) -> InvertedLists:
    found = snapshot.load(folder)
    assert found is not None, f"{folder} holds no snapshot"
    return InvertedLists.from_arrays(found.arrays)


def tune(images: Images, queries: Sequence[Query], constants: Constants) -> tuple[int, list[Built]]:
    """Return how many lists there are, and the costs for each number of lists asked."""
    start = memory()
    index, seconds = built(ours, images, constants)
    after = memory().over(start)
    arrays = index.arrays()
    del index
    results = []
    for nearest in NEAREST:
        use(replace(constants, nearest=nearest))
        probed = InvertedLists.from_arrays(arrays)
        results.append(
            Built(seconds[0], sum(seconds), after, *both_passes(probed, queries, queries[:TUNING_RICH_QUERIES]))
        )
    return len(arrays["centroids"]), results


def memory() -> Memory:
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = {
        name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if "kB" in rest
    }
    return Memory(kilobytes["VmRSS"] * 1024, kilobytes["VmHWM"] * 1024)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def by_the_clock(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def in_a_fresh_process(work: Callable[[], T]) -> T:
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(work)


# Printing


def print_sources(codes: Sequence[Codes], queries: Sequence[Query]) -> None:
    first, rich = (
        statistics.mean(map(len, each)) for each in zip(*((one.first, one.rich) for one in queries), strict=True)
    )
    print(
        f"{len(codes):,} photos, {sum(map(len, codes)):,} codes; {len(queries)} queries of {len(KINDS)} kinds,"
        f" {first:.0f} codes in the first pass and {rich:.0f} in the rich one; CPU time of one thread",
        flush=True,
    )


def print_costs(images: Images, queries: Sequence[Query], constants: Constants) -> None:
    print(f"\n{images.count:,} images, {images.total():,} codes, copies {images.copies.__name__}; {constants}")
    print(HEAD)
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "features"
        own, changes = in_a_fresh_process(partial(build_and_save, images, queries, constants, folder))
        opened = in_a_fresh_process(partial(open_and_ask, folder, queries, constants, own.first))
    print_row("InvertedLists", own)
    if images.count <= PEERS_UP_TO:
        for name, make in (("IndexBinaryFlat", flat), (f"IVF, faiss x{FAISS_ROUNDS}", trained_by_faiss)):
            print_row(name, in_a_fresh_process(partial(build_peer, make, images, queries, constants)))
    print_life(changes, opened)


PASS_HEAD = f"{'p50':>9} {'p95 ms':>7} {'is 1st':>7} {'in 12':>6}"
HEAD = f"{'':18} {'1st page':>8} {'build s':>8} {'RSS MB':>7} {'peak':>6}  first{PASS_HEAD}   rich{PASS_HEAD}"


def print_row(name: str, row: Built) -> None:
    passes = " ".join(
        f"{each.median:15.1f} {each.late:7.1f} {each.first:7.1%} {each.listed:6.1%}" for each in (row.first, row.rich)
    )
    sizes = f"{row.memory.resident / 1e6:7.0f} {row.memory.peak / 1e6:6.0f}"
    print(f"{name:18} {row.first_page:8.2f} {row.build:8.1f} {sizes} {passes}", flush=True)


def print_life(changes: Changes, opened: Opened) -> None:
    print(
        f"lists {changes.uneven:.1f} times uneven;"
        f" add one image {changes.add * 1000:.2f} ms, discard one {changes.discard * 1000:.1f} ms;"
        f" snapshot of {megabytes(changes.disk)}: saved in {changes.save:.2f} s (peak {megabytes(changes.peak)}),"
        f" opened in {opened.seconds:.2f} s to {megabytes(opened.memory.resident)}"
        f" (peak {megabytes(opened.memory.peak)})",
        flush=True,
    )


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"


def print_tuning(images: Images, queries: Sequence[Query], constants: Constants) -> None:
    print(f"\ntuning, {images.count:,} images")
    print(HEAD)
    for factor in FACTORS:
        lists, results = in_a_fresh_process(partial(tune, images, queries, replace(constants, factor=factor)))
        for nearest, row in zip(NEAREST, results, strict=True):
            print_row(f"{lists} lists, {nearest}", row)


if __name__ == "__main__":
    main()
