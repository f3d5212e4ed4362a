"""How long the near-duplicates of a photo take to find: ours, faiss, numpy and SQL, one interleaved run, answers equal.

python -m benchmarks.speed.hamming_speed --sizes 28000,1000000,10000000 --repeat 40

Each query is one photo: the 8 PDQ hashes of its mirrored and rotated variants, a few bits of each flipped.
"""

import argparse
import os
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import faiss
import numpy as np
import pdqhash
import pymysql
from numpy.typing import NDArray
from PIL import Image

from core.index import snapshot
from core.index.hamming import HammingIndex, Neighbours
from tests.mariadb import private_mariadb

BITS, RADIUS, NEAREST = 256, 31, 10
PERTURBED_SHARE = 0.01
"""Copies of real hashes with 0 to 80 bits flipped; the real ones come on top, the rest is random."""

MARIADB_UP_TO, MARIADB_PHOTOS = 1_000_000, 5
SINGLES = 50
"""Adds and discards of one hash that are timed."""

T = TypeVar("T")
Hashes = NDArray[np.uint8]
Hits = list[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to search: a name, the hits of 8 variants, and how many photos it is asked, being slow."""

    name: str
    ask: Callable[[Hashes], Hits]
    photos: int


@dataclass(frozen=True, slots=True)
class Lives:
    """What else the index costs: seconds, and bytes a hash."""

    build: float
    save: float
    load: float
    load_evicted: float
    add_one: float
    discard_one: float
    bytes_a_hash: float


def main() -> None:
    arguments = parse()
    faiss.omp_set_num_threads(1)
    random = np.random.default_rng(1)
    photos = photo_hashes(arguments.photos)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one thread; {versions()}")
    print(
        f"{len(photos)} photos; {PERTURBED_SHARE:.0%} perturbed copies, the rest random; radius {RADIUS} of {BITS} bits"
    )
    ours = {size: measured(size, photos, random, arguments) for size in arguments.sizes}
    for smaller, larger in zip(arguments.sizes, arguments.sizes[1:], strict=False):
        print(f"growth {smaller:,} -> {larger:,}: {ours[larger] / ours[smaller]:.2f} times the time")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=Path("../shared/photos"))
    parser.add_argument(
        "--sizes", type=lambda text: [int(size) for size in text.split(",")], default="28000,1000000,10000000"
    )
    parser.add_argument("--repeat", type=int, default=40, help="query photos a size")
    parser.add_argument("--mariadb", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


def versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("numpy", "faiss-cpu"))


def photo_hashes(folder: Path) -> Hashes:
    """The PDQ hashes of the 8 variants of each photo, shape (photos, 8, 32)."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".png", ".webp"})
    return np.array([variants(path) for path in paths], np.uint8)


def variants(path: Path) -> Hashes:
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


def measured(size: int, photos: Hashes, random: np.random.Generator, arguments: argparse.Namespace) -> float:
    """Measure all peers at one size, print the table and return our median in milliseconds."""
    hashes = hash_set(size, photos, random)
    asked = photos[random.integers(0, len(photos), arguments.repeat)]
    queries = [perturbed(random, variants_, at_most=20) for variants_ in asked]
    index, build = timed(lambda: built(hashes))
    with ExitStack() as stack:
        peers = list(memory_peers(index, hashes, arguments.repeat))
        if arguments.mariadb and size <= MARIADB_UP_TO:
            peers += stack.enter_context(mariadb_peers(hashes))
        times = interleaved(peers, queries)
    print_table(size, times)
    print_lives(lives(index, hashes, queries[0], build))
    return statistics.median(times[peers[0].name])


def built(hashes: Hashes) -> HammingIndex:
    index = HammingIndex(bits=BITS, radius=RADIUS)
    index.add(np.arange(len(hashes)), hashes)
    return index


def memory_peers(index: HammingIndex, hashes: Hashes, repeat: int) -> Iterator[Peer]:
    flat = faiss.IndexBinaryFlat(BITS)
    flat.add(hashes)
    columns = [np.ascontiguousarray(column) for column in hashes.view(np.uint64).T]
    yield Peer("HammingIndex", lambda queries: as_hits(index.nearest(queries)), repeat)
    yield Peer("faiss flat, range", lambda queries: faiss_range(flat, queries), repeat)
    yield Peer(f"faiss flat, k={NEAREST}", lambda queries: faiss_nearest(flat, queries), repeat)
    yield Peer("numpy flat", lambda queries: numpy_flat(columns, queries), repeat)


def as_hits(found: Neighbours) -> Hits:
    return list(zip(found.queries.tolist(), found.ids.tolist(), found.distances.tolist(), strict=True))


def faiss_range(flat: Any, queries: Hashes) -> Hits:
    limits, distances, ids = flat.range_search(queries, RADIUS + 1)
    rows = np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64)))
    return list(zip(rows.tolist(), ids.tolist(), distances.astype(int).tolist(), strict=True))


def faiss_nearest(flat: Any, queries: Hashes) -> Hits:
    distances, ids = flat.search(queries, NEAREST)
    rows, ranks = np.nonzero(distances <= RADIUS)
    return list(zip(rows.tolist(), ids[rows, ranks].tolist(), distances[rows, ranks].tolist(), strict=True))


def numpy_flat(columns: list[NDArray[np.uint64]], queries: Hashes) -> Hits:
    hits: Hits = []
    for row, words in enumerate(queries.view(np.uint64)):
        distances = np.zeros(len(columns[0]), np.uint16)
        for column, word in zip(columns, words, strict=True):
            distances += np.bitwise_count(column ^ word)
        ids = np.flatnonzero(distances <= RADIUS)
        hits += [(row, id_, distance) for id_, distance in zip(ids.tolist(), distances[ids].tolist(), strict=True)]
    return hits


@contextmanager
def mariadb_peers(hashes: Hashes) -> Iterator[list[Peer]]:
    """A private server with the hashes in one table of four BIGINT UNSIGNED columns, all in its buffer pool."""
    with TemporaryDirectory() as folder, private_mariadb() as server:
        connection = pymysql.connect(unix_socket=str(server.socket), user="root", local_infile=True, autocommit=True)
        with connection, connection.cursor() as cursor:
            fill(cursor, hashes, Path(folder) / "hashes.tsv")
            words = hashes.view(np.uint64)
            yield [
                Peer("MariaDB, 8 statements", lambda queries: ask_in_turn(cursor, queries), MARIADB_PHOTOS),
                Peer("MariaDB, 1 statement", lambda queries: ask_at_once(cursor, queries, words), MARIADB_PHOTOS),
            ]


def fill(cursor: Any, hashes: Hashes, path: Path) -> None:
    rows = np.column_stack([np.arange(len(hashes), dtype=np.uint64), hashes.view(np.uint64)])
    np.savetxt(path, rows, fmt="%d", delimiter="\t")
    cursor.execute("SET GLOBAL innodb_buffer_pool_size = 1 << 30")
    cursor.execute("CREATE DATABASE searching")
    cursor.execute("USE searching")
    columns = ", ".join(f"{name} BIGINT UNSIGNED NOT NULL" for name in "abcd")
    cursor.execute(f"CREATE TABLE hashes (id BIGINT PRIMARY KEY, {columns})")
    cursor.execute("LOAD DATA LOCAL INFILE %s INTO TABLE hashes", (str(path),))


def distance(words: NDArray[np.uint64]) -> str:
    return " + ".join(f"BIT_COUNT({name} ^ {word})" for name, word in zip("abcd", words.tolist(), strict=True))


def ask_in_turn(cursor: Any, queries: Hashes) -> Hits:
    hits: Hits = []
    for row, words in enumerate(queries.view(np.uint64)):
        cursor.execute(f"SELECT id, {distance(words)} FROM hashes WHERE {distance(words)} <= {RADIUS}")
        hits += [(row, int(id_), int(bits)) for id_, bits in cursor.fetchall()]
    return hits


def ask_at_once(cursor: Any, queries: Hashes, words: NDArray[np.uint64]) -> Hits:
    """One scan for all variants; which of them is near, the client finds out."""
    near = " OR ".join(f"{distance(each)} <= {RADIUS}" for each in queries.view(np.uint64))
    cursor.execute(f"SELECT id FROM hashes WHERE {near}")
    ids = np.array([id_ for (id_,) in cursor.fetchall()], np.int64)
    bits = np.bitwise_count(words[ids][None] ^ queries.view(np.uint64)[:, None]).sum(axis=2)
    rows, places = np.nonzero(bits <= RADIUS)
    return list(zip(rows.tolist(), ids[places].tolist(), bits[rows, places].tolist(), strict=True))


def interleaved(peers: list[Peer], queries: list[Hashes]) -> dict[str, list[float]]:
    """Milliseconds by peer: every photo goes to every peer before the next one does, and the answers must agree."""
    times: dict[str, list[float]] = defaultdict(list)
    for peer in peers:
        peer.ask(queries[-1])
    for number, query in enumerate(queries):
        right: Hits = []
        for peer in (each for each in peers if number < each.photos):
            hits, seconds = timed(partial(peer.ask, query))
            times[peer.name].append(seconds * 1000)
            right = right or hits
            assert right, f"photo {number} is not found"
            assert is_same(hits, right, nearest=f"k={NEAREST}" in peer.name), f"{peer.name} disagrees on photo {number}"
    return times


def is_same(hits: Hits, right: Hits, *, nearest: bool) -> bool:
    """Equal hits; of a search for the nearest few, whose ties fall anyhow, equal distances."""
    if not nearest:
        return sorted(hits) == sorted(right)
    rows = {row for row, _, _ in right} | {row for row, _, _ in hits}
    return all(distances(hits, row) == distances(right, row) for row in rows)


def distances(hits: Hits, row: int) -> list[int]:
    return sorted(bits for each, _, bits in hits if each == row)[:NEAREST]


def lives(index: HammingIndex, hashes: Hashes, query: Hashes, build: float) -> Lives:
    arrays = index.arrays()
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "hamming"
        _, save = timed(lambda: snapshot.save(folder, {"revision": 1}, arrays))
        right = as_hits(index.nearest(query))
        load = in_a_fresh_process(folder, query, right)
        evict(folder)
        load_evicted = in_a_fresh_process(folder, query, right)
    size = sum(array.nbytes for array in arrays.values()) / len(hashes)
    new = range(len(hashes), len(hashes) + SINGLES)
    add_one = [timed(partial(index.add, np.array([id_]), hashes[:1]))[1] for id_ in new]
    discard_one = [timed(partial(index.discard, np.array([id_])))[1] for id_ in new]
    assert as_hits(index.nearest(query)) == right, "what was added and discarded is still there"
    return Lives(build, save, load, load_evicted, statistics.median(add_one), statistics.median(discard_one), size)


def in_a_fresh_process(folder: Path, query: Hashes, right: Hits) -> float:
    with get_context("spawn").Pool(1) as pool:
        hits, seconds = pool.apply(load_and_ask, (folder, query))
    assert hits == right, "the loaded index answers otherwise"
    return seconds


def load_and_ask(folder: Path, query: Hashes) -> tuple[Hits, float]:
    """The hits of the loaded index, and the seconds until it could be asked."""
    index, seconds = timed(lambda: loaded(folder))
    return as_hits(index.nearest(query)), seconds


def loaded(folder: Path) -> HammingIndex:
    found = snapshot.load(folder)
    assert found is not None, f"{folder} holds no snapshot"
    return HammingIndex.from_arrays(found.arrays, bits=BITS, radius=RADIUS)


def evict(folder: Path) -> None:
    """Push the files out of the page cache, so that the next reader waits for the disk."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def print_table(size: int, times: dict[str, list[float]]) -> None:
    print(f"\n{size:,} hashes           median ms    p95 ms   x ours   photos")
    ours = statistics.median(next(iter(times.values())))
    for name, milliseconds in times.items():
        median, late = statistics.median(milliseconds), float(np.quantile(milliseconds, 0.95))
        print(f"{name:24} {median:10.3f} {late:10.3f} {median / ours:8.1f} {len(milliseconds):7}")


def print_lives(cost: Lives) -> None:
    print(
        f"build {cost.build:.2f} s, save {cost.save:.2f} s; load in a fresh process {cost.load:.3f} s, "
        f"from disk {cost.load_evicted:.3f} s; add one {cost.add_one * 1000:.3f} ms, "
        f"discard one {cost.discard_one * 1000:.3f} ms; {cost.bytes_a_hash:.1f} bytes a hash (nbytes of all arrays)"
    )


if __name__ == "__main__":
    main()
