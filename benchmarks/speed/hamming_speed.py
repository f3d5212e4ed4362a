"""How long the near-duplicates of a photo take to find: ours, faiss and numpy, one interleaved run, answers equal.

python -m benchmarks.speed.hamming_speed --sizes 28000,1000000,10000000 --repeat 40

Each query is one photo: the 8 PDQ hashes of its mirrored and rotated variants, a few bits of each flipped.
"""

import argparse
import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

from benchmarks.lab.photos import files_of
from benchmarks.lab.processes import in_a_fresh_process
from benchmarks.lab.script import own_folder, parser
from benchmarks.lab.timing import spread, timed
from core.index import snapshot
from core.index.hamming import HammingIndex, Neighbours

BITS, RADIUS = 256, 31
PERTURBED_SHARE = 0.01
"""Copies of real hashes with 0 to 80 bits flipped; the real ones come on top, the rest is random."""
SINGLES = 50
"""Adds and discards of one hash that are timed."""

Hashes = NDArray[np.uint8]
Hits = list[tuple[int, int, int]]
"""Which variant is near which hash, and how many bits they differ in."""
Peers = dict[str, Callable[[Hashes], Hits]]


def main() -> None:
    arguments = parse()
    faiss.omp_set_num_threads(1)
    random = np.random.default_rng(1)
    photos = np.array([variants(path) for path in files_of(arguments.photos)], np.uint8)
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "faiss-cpu"))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one thread; {versions}")
    print(f"{len(photos)} photos; {PERTURBED_SHARE:.0%} perturbed copies, the rest random", end="; ")
    print(f"radius {RADIUS} of {BITS} bits")
    ours = {size: measured(size, photos, random, arguments.repeat) for size in arguments.sizes}
    for smaller, larger in zip(arguments.sizes, arguments.sizes[1:], strict=False):
        print(f"growth {smaller:,} -> {larger:,}: {ours[larger] / ours[smaller]:.2f} times the time")


def parse() -> argparse.Namespace:
    options = parser(__doc__, has_photos=True)
    sizes = "28000,1000000,10000000"
    options.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], default=sizes)
    options.add_argument("--repeat", type=int, default=40, help="query photos a size")
    return options.parse_args()


def variants(path: Path) -> Hashes:
    """Return the PDQ hashes of the 8 variants of a photo, shape (8, 32)."""
    with Image.open(path) as image:
        image.draft("RGB", (512, 512))
        bits, _quality = pdqhash.compute_dihedral(np.asarray(image.convert("RGB")))
    return np.packbits(np.array(bits, np.uint8), axis=1)


def perturbed(random: np.random.Generator, hashes: Hashes, *, at_most: int) -> Hashes:
    """Flip up to so many bits of each hash, any bits."""
    bits = np.unpackbits(hashes, axis=1)
    ranks = random.random(bits.shape).argsort(axis=1)
    bits ^= ranks < random.integers(0, at_most + 1, (len(hashes), 1))
    return np.packbits(bits, axis=1)


def hash_set(size: int, photos: Hashes, random: np.random.Generator) -> Hashes:
    hashes = random.integers(0, 256, (size, BITS // 8), dtype=np.uint8)
    copies = int(size * PERTURBED_SHARE)
    hashes[:copies] = perturbed(random, photos[random.integers(0, len(photos), copies), 0], at_most=80)
    hashes[copies : copies + len(photos)] = photos[: size - copies, 0]
    return random.permutation(hashes)


def measured(size: int, photos: Hashes, random: np.random.Generator, repeat: int) -> float:
    """Measure all peers at one size, print the table and return our median in milliseconds."""
    hashes = hash_set(size, photos, random)
    asked = photos[random.integers(0, len(photos), repeat)]
    queries = [perturbed(random, variants_, at_most=20) for variants_ in asked]
    index, build = timed(lambda: built(hashes))
    times = interleaved(peers_of(index, hashes), queries)
    print(f"\n{size:,} hashes           median ms    p95 ms   x ours")
    ours = statistics.median(times["HammingIndex"])
    for name, milliseconds in times.items():
        median, late = spread(milliseconds)
        print(f"{name:24} {median:10.3f} {late:10.3f} {median / ours:8.1f}")
    print(f"build {build:.2f} s", end="; ")
    print_changes(index, hashes, queries[0])
    return ours


def built(hashes: Hashes) -> HammingIndex:
    index = HammingIndex(bits=BITS, radius=RADIUS)
    index.add(np.arange(len(hashes)), hashes)
    return index


# Ways to search


def peers_of(index: HammingIndex, hashes: Hashes) -> Peers:
    flat = faiss.IndexBinaryFlat(BITS)
    flat.add(hashes)
    columns = [np.ascontiguousarray(column) for column in hashes.view(np.uint64).T]
    return {
        "HammingIndex": lambda queries: as_hits(index.nearest(queries)),
        "faiss flat": lambda queries: faiss_range(flat, queries),
        "numpy flat": lambda queries: list(numpy_flat(columns, queries)),
    }


def as_hits(found: Neighbours) -> Hits:
    return list(zip(found.queries.tolist(), found.ids.tolist(), found.distances.tolist(), strict=True))


def faiss_range(flat: Any, queries: Hashes) -> Hits:
    limits, distances, ids = flat.range_search(queries, RADIUS + 1)
    rows = np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64)))
    return list(zip(rows.tolist(), ids.tolist(), distances.astype(int).tolist(), strict=True))


def numpy_flat(columns: list[NDArray[np.uint64]], queries: Hashes) -> Iterator[tuple[int, int, int]]:
    for row, words in enumerate(queries.view(np.uint64)):
        distances = np.zeros(len(columns[0]), np.uint16)
        for column, word in zip(columns, words, strict=True):
            distances += np.bitwise_count(column ^ word)
        ids = np.flatnonzero(distances <= RADIUS)
        yield from ((row, id_, bits) for id_, bits in zip(ids.tolist(), distances[ids].tolist(), strict=True))


def interleaved(peers: Peers, queries: list[Hashes]) -> dict[str, list[float]]:
    """Milliseconds by peer: every photo goes to every peer before the next one does, and the answers must agree."""
    times: dict[str, list[float]] = defaultdict(list)
    for ask in peers.values():
        ask(queries[-1])
    for number, query in enumerate(queries):
        right: Hits = []
        for name, ask in peers.items():
            hits, seconds = timed(partial(ask, query))
            times[name].append(seconds * 1000)
            right = right or hits
            assert right, f"photo {number} is not found"
            assert sorted(hits) == sorted(right), f"{name} disagrees on photo {number}"
    return times


# What else the index costs


def print_changes(index: HammingIndex, hashes: Hashes, query: Hashes) -> None:
    """Save, load and change an index, which must answer the same afterwards."""
    arrays, right = index.arrays(), as_hits(index.nearest(query))
    with own_folder() as parent:
        folder = parent / "hamming"
        _, save = timed(lambda: snapshot.save(folder, {"revision": 1}, arrays))
        hits, load = in_a_fresh_process(partial(load_and_ask, folder, query))
    assert hits == right, "the loaded index answers otherwise"
    new = range(len(hashes), len(hashes) + SINGLES)
    adds = [timed(partial(index.add, np.array([id_]), hashes[:1]))[1] for id_ in new]
    discards = [timed(partial(index.discard, np.array([id_])))[1] for id_ in new]
    assert as_hits(index.nearest(query)) == right, "what was added and discarded is still there"
    size = sum(array.nbytes for array in arrays.values()) / len(hashes)
    print(f"save {save:.2f} s; load in a fresh process {load:.3f} s; {size:.1f} bytes a hash", end="; ")
    print(f"add {statistics.median(adds) * 1000:.3f} ms, discard {statistics.median(discards) * 1000:.3f} ms")


def load_and_ask(folder: Path, query: Hashes) -> tuple[Hits, float]:
    """Return the hits of the loaded index, and the seconds until it could be asked."""
    index, seconds = timed(lambda: loaded(folder))
    return as_hits(index.nearest(query)), seconds


def loaded(folder: Path) -> HammingIndex:
    found = snapshot.load(folder)
    assert found is not None, f"{folder} holds no snapshot"
    return HammingIndex.from_arrays(found.arrays, bits=BITS, radius=RADIUS)


if __name__ == "__main__":
    main()
