"""Cost of the feature index: memory, disk, and the time to build, open, change and ask it.

python -m benchmarks.speed.shortlist_cost PHOTOS --images 28000 --large 280000 --tune

The codes are those of the photos in the folder, but for eight that fill the collages among the queries. They are
extended to the wanted number of images by copies with every bit flipped at a rate of the feature's own, 60 to 90 bits
from those of a real photo. That is as far as unrelated features, but in clusters, as real codes are; random ones would
all be 128 bits apart and need no search. Flipped codes are not the signs of any descriptor and crowd into a few lists,
so they show the worst case of memory and time.

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
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import TypeVar

import numpy as np

from benchmarks.lab.edits import BY_NAME, EDITS, PLAIN
from benchmarks.lab.photos import opened, shuffled_files
from benchmarks.lab.processes import MB, in_a_fresh_process, status
from benchmarks.lab.script import own_folder, parser
from benchmarks.lab.timing import spread, timed
from core.fingerprints.features import FIRST_PASS, RICH_PASS, Features, photo_features
from core.imaging.decoding import decode
from core.index import inverted_lists, snapshot
from core.index.inverted_lists import Codes, Ids, InvertedLists
from core.model.fingerprints import CODE_BYTES
from core.workers.tasks import describe_bytes

T = TypeVar("T")
Task = TypeVar("Task")

PAGE = 1_000
NEAREST_BITS, FARTHEST_BITS = 60, 90
OTHERS = 8
"""Photos that are not indexed, for a grid of nine."""
SHORTLIST = 12
SINGLES, DISCARDS = 20, 5
"""Changes of one image that are timed."""
FACTORS, NEAREST = (0.5, 1.0, 2.0), (4, 8, 16)
"""What --tune tries: times the usual number of lists, and lists that are asked."""
TUNING_RICH_QUERIES = 15
KINDS = [edit for edit in EDITS if edit.group != PLAIN and "mirror" not in edit.name]


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """The codes of real photos, one array each, and how many images to make of them."""

    codes: Sequence[Codes]
    count: int

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
class Answers:
    """Milliseconds of the middle and of a late query, and shares of queries with their photo first, and listed."""

    median: float
    late: float
    first: float
    listed: float


@dataclass(frozen=True, slots=True)
class Built:
    """What an index costs, in seconds and in bytes (now and at most), and how it answers both passes."""

    seconds: float
    resident: int
    peak: int
    first: Answers
    rich: Answers


def main() -> None:
    arguments = parse()
    paths = shuffled_files(arguments.photos, arguments.seed)
    photos, others = sorted(paths[OTHERS:]), paths[:OTHERS]
    codes = in_all_cores(codes_of, photos)
    queries = made_queries(photos, others, arguments)
    first, rich = (statistics.mean(map(len, each)) for each in ([q.first for q in queries], [q.rich for q in queries]))
    print(
        f"{len(codes):,} photos, {sum(map(len, codes)):,} codes; {len(queries)} queries of {len(KINDS)} kinds", end=""
    )
    print(f", {first:.0f} codes in the first pass and {rich:.0f} in the rich one; CPU time of one thread", flush=True)
    for count in filter(None, (arguments.images, arguments.large)):
        print_costs(Images(codes, count), queries)
    if arguments.tune:
        print_tuning(Images(codes, arguments.images), queries)


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("photos", type=Path)
    options.add_argument("--images", type=int, default=28_000)
    options.add_argument("--large", type=int, default=280_000, help="0 leaves it out")
    options.add_argument("--queries", type=int, default=100)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--tune", action="store_true", help="half, once, twice the lists; 4, 8, 16 of them asked")
    return options.parse_args()


# Real codes and queries


def codes_of(path: Path) -> Codes:
    return Features.unpacked(photo_features(decode(path.read_bytes())).codes).codes


def made_queries(photos: Sequence[Path], others: Sequence[Path], arguments: argparse.Namespace) -> list[Query]:
    """Edit some photos, each in one way; all ways come in turn."""
    numbers = Random(arguments.seed).sample(range(len(photos)), arguments.queries)
    tasks = [(number, photos[number], KINDS[turn % len(KINDS)].name) for turn, number in enumerate(numbers)]
    return in_all_cores(partial(made_query, others=others, seed=arguments.seed), tasks)


def made_query(task: tuple[int, Path, str], *, others: Sequence[Path], seed: int) -> Query:
    number, path, name = task
    edit = BY_NAME[name]
    data = edit.apply(opened(path), Random(f"{seed}-{number}"), [opened(one) for one in others[: edit.others_needed]])
    first, rich = (describe_bytes(data, sizes).features.plain.codes for sizes in (FIRST_PASS, RICH_PASS))
    return Query(number, first, rich)


def in_all_cores(work: Callable[[Task], T], tasks: Sequence[Task]) -> list[T]:
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        return pool.map(work, tasks, chunksize=8)


def flipped(codes: Codes, random: np.random.Generator) -> Codes:
    bits = random.integers(NEAREST_BITS, FARTHEST_BITS, (len(codes), 1), endpoint=True)
    dice = np.frombuffer(random.bytes(len(codes) * CODE_BYTES * 8), np.uint8).reshape(len(codes), -1)
    return codes ^ np.packbits(dice < bits, axis=1)


def pages(images: Images) -> Iterator[tuple[Ids, Ids, Codes]]:
    """Yield ids, counts and codes of all images; the first ids are the real photos, wherever they come."""
    random = np.random.default_rng(images.count)
    order = random.permutation(images.count)
    for start in range(0, len(order), PAGE):
        ids = order[start : start + PAGE]
        parts = [image_codes(images, number, random) for number in ids.tolist()]
        yield ids, np.array([len(part) for part in parts]), np.concatenate(parts)


def image_codes(images: Images, number: int, random: np.random.Generator) -> Codes:
    original = images.codes[number % len(images.codes)]
    return original if number < len(images.codes) else flipped(original, random)


# Measuring, in processes of their own


def build_and_save(images: Images, queries: Sequence[Query], folder: Path) -> Built:
    """Build an index, ask it, change it, save it, and print what the last two cost."""
    index, built = build(images, queries)
    add, discard = changed(index, images.codes[0], images.count)
    save = timed(lambda: snapshot.save(folder, {"revision": 1}, index.arrays()))[1]
    disk = sum(path.stat().st_size for path in folder.iterdir())
    print_row("InvertedLists", built)
    print(f"add one image {add * 1000:.2f} ms, discard one {discard * 1000:.1f} ms", end="; ")
    print(f"snapshot of {disk / MB:,.0f} MB saved in {save:.2f} s, at most {status('VmHWM') / MB:,.0f} MB", flush=True)
    return built


def build(images: Images, queries: Sequence[Query], *, factor: float = 1.0) -> tuple[InvertedLists, Built]:
    """Build an index with `factor` times the usual lists: it has them when it expects the square of that more codes."""
    start = status("VmRSS")
    index = InvertedLists(expected=round(images.total() * factor**2))
    seconds = sum(cpu(partial(index.add, *page))[1] for page in pages(images))
    resident, peak = status("VmRSS") - start, status("VmHWM") - start
    return index, Built(seconds, resident, peak, *both_passes(index, queries, queries))


def cpu(work: Callable[[], T]) -> tuple[T, float]:
    return timed(work, time.process_time)


def both_passes(index: InvertedLists, firsts: Sequence[Query], riches: Sequence[Query]) -> tuple[Answers, Answers]:
    first = answers(index, [(query.image, query.first) for query in firsts])
    return first, answers(index, [(query.image, query.rich) for query in riches])


def answers(index: InvertedLists, asked: Sequence[tuple[int, Codes]]) -> Answers:
    index.shortlist(asked[-1][1], size=SHORTLIST)
    found = [(image, *cpu(partial(index.shortlist, codes, size=SHORTLIST))) for image, codes in asked]
    return Answers(
        *spread([seconds * 1000 for _, _, seconds in found]),
        first=statistics.mean(listed[:1] == [image] for image, listed, _ in found),
        listed=statistics.mean(image in listed for image, listed, _ in found),
    )


def changed(index: InvertedLists, codes: Codes, unused: int) -> tuple[float, float]:
    """Return the median seconds of adding an image, and of discarding one."""
    ids = [np.array([unused + number]) for number in range(SINGLES)]
    before = len(index)
    adds = [cpu(partial(index.add, one, np.array([len(codes)]), codes))[1] for one in ids]
    discards = [cpu(partial(index.discard, one))[1] for one in ids[:DISCARDS]]
    index.discard(np.concatenate(ids))
    assert len(index) == before, "what was added and discarded is still there"
    return statistics.median(adds), statistics.median(discards)


def open_and_ask(folder: Path, queries: Sequence[Query], right: Answers) -> None:
    """Open the snapshot, print what that costs, and ask the same as before."""
    start = status("VmRSS")
    index, seconds = timed(lambda: opened_index(folder))
    resident, peak = (status(name) - start for name in ("VmRSS", "VmHWM"))
    print(f"opened in {seconds:.2f} s to {resident / MB:,.0f} MB, at most {peak / MB:,.0f} MB", flush=True)
    found = both_passes(index, queries, queries[:1])[0]
    assert (found.first, found.listed) == (right.first, right.listed), "the opened index answers otherwise"


def opened_index(folder: Path) -> InvertedLists:
    found = snapshot.load(folder)
    assert found is not None, f"{folder} holds no snapshot"
    return InvertedLists.from_arrays(found.arrays)


def tune(images: Images, queries: Sequence[Query], factor: float) -> None:
    """Print a line for each number of lists that are asked."""
    index, built = build(images, queries[:TUNING_RICH_QUERIES], factor=factor)
    arrays = index.arrays()
    del index
    for nearest in NEAREST:
        inverted_lists.NEAREST_LISTS = nearest
        passes = both_passes(InvertedLists.from_arrays(arrays), queries, queries[:TUNING_RICH_QUERIES])
        row = Built(built.seconds, built.resident, built.peak, *passes)
        print_row(f"{len(arrays['centroids'])} lists, {nearest}", row)


# Printing

PASS_HEAD = f"{'p50':>9} {'p95 ms':>7} {'is 1st':>7} {'in 12':>6}"
HEAD = f"{'':18} {'build s':>8} {'RSS MB':>7} {'peak':>6}  first{PASS_HEAD}   rich{PASS_HEAD}"


def print_costs(images: Images, queries: Sequence[Query]) -> None:
    print(f"\n{images.count:,} images, {images.total():,} codes\n{HEAD}", flush=True)
    with own_folder() as parent:
        folder = parent / "features"
        built = in_a_fresh_process(partial(build_and_save, images, queries, folder))
        in_a_fresh_process(partial(open_and_ask, folder, queries, built.first))


def print_row(name: str, row: Built) -> None:
    passes = " ".join(
        f"{each.median:15.1f} {each.late:7.1f} {each.first:7.1%} {each.listed:6.1%}" for each in (row.first, row.rich)
    )
    print(f"{name:18} {row.seconds:8.1f} {row.resident / MB:7.0f} {row.peak / MB:6.0f} {passes}", flush=True)


def print_tuning(images: Images, queries: Sequence[Query]) -> None:
    print(f"\ntuning, {images.count:,} images\n{HEAD}", flush=True)
    for factor in FACTORS:
        in_a_fresh_process(partial(tune, images, queries, factor))


if __name__ == "__main__":
    main()
