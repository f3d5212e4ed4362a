"""The index answers as a scan of everything would."""

from collections.abc import Iterable
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.index.hamming import HammingIndex, Neighbours, Tuning
from core.index.hamming_tables import Substrings, cheapest_substrings

Hit = tuple[int, int, int]
Hashes = NDArray[np.uint8]

TUNINGS = [
    Tuning(),
    Tuning(flat_up_to=0, crowded=0),
    Tuning(flat_up_to=0, crowded=inf),
    Tuning(flat_up_to=50, crowded=inf),
]
KINDS = [(256, 31), (64, 4)]
QUERIES = 8


@given(kind=st.sampled_from(KINDS), tuning=st.sampled_from(TUNINGS), data=st.data())
@settings(max_examples=60, deadline=None)
def test_every_history_gives_the_answers_of_a_scan(kind, tuning, data):
    """After any adds, replacements and discards, the answers are those of comparing every pair."""
    bits, radius = kind
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    queries = random_hashes(random, QUERIES, bits=bits)
    index = HammingIndex(bits=bits, radius=radius, tuning=tuning)
    stored: dict[int, Hashes] = {}

    for size, is_discard in data.draw(st.lists(st.tuples(st.integers(0, 120), st.booleans()), max_size=8)):
        ids = random.integers(-150, 150, size)
        hashes = around(random, queries, size, radius=radius)
        act(index, stored, ids, None if is_discard else hashes)
    if data.draw(st.booleans()):
        index.compact()

    assert hits(index.nearest(queries)) == scan(stored, queries, radius=radius)
    assert len(index) == len(stored)


@given(kind=st.sampled_from(KINDS), pieces=st.integers(1, 21), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_any_substrings_with_enough_radius_find_all_neighbours(kind, pieces, seed):
    """However a hash is cut, neighbours are found whether their bits differ everywhere or in one place."""
    bits, radius = kind
    random = np.random.default_rng(seed)
    queries = random_hashes(random, QUERIES, bits=bits)
    hashes = around(random, queries, 300, radius=radius)
    substrings = random_substrings(random, min(pieces, bits // 12), radius=radius)
    index = HammingIndex(bits=bits, radius=radius, tuning=Tuning(0, inf, lambda *_: substrings))

    index.add(np.arange(300), hashes)

    assert hits(index.nearest(queries)) == scan(dict(enumerate(hashes)), queries, radius=radius)


@given(bits=st.sampled_from([64, 128, 256]), radius=st.integers(0, 40), count=st.integers(1, 2**27))
@settings(max_examples=100, deadline=None)
def test_chosen_substrings_keep_the_pigeonhole_principle(bits, radius, count):
    """Substrings don't overlap, and a hash farther in each of them is farther than the radius."""
    substrings = cheapest_substrings(bits, radius, count)

    assert sum(substrings.widths) <= bits
    assert min(substrings.widths) > 0
    assert sum(each + 1 for each in substrings.radii) > radius


@pytest.mark.parametrize(("bits", "radius"), KINDS)
@pytest.mark.parametrize("tuning", TUNINGS)
def test_thousands_of_equal_hashes_are_all_found(bits, radius, tuning):
    """A bucket as large as the index costs time, not answers."""
    random = np.random.default_rng(7)
    hashes = np.repeat(random_hashes(random, 2, bits=bits), [3000, 50], axis=0)
    index = HammingIndex(bits=bits, radius=radius, tuning=tuning)

    index.add(np.arange(3050), hashes)

    assert hits(index.nearest(hashes[[0, -1]])) == [(0, id_, 0) for id_ in range(3000)] + [
        (1, id_, 0) for id_ in range(3000, 3050)
    ]


@pytest.mark.parametrize(("bits", "radius"), KINDS)
@pytest.mark.parametrize("tuning", TUNINGS)
def test_the_opposite_of_a_hash_is_no_neighbour(bits, radius, tuning):
    """A hash that differs in every bit is as far as can be, not at distance 0 by overflow."""
    query = np.zeros((1, bits // 8), np.uint8)
    index = HammingIndex(bits=bits, radius=radius, tuning=tuning)

    index.add(np.arange(100), np.repeat(~query, 100, axis=0))

    assert hits(index.nearest(query)) == []


@pytest.mark.parametrize("tuning", TUNINGS)
def test_one_by_one_gives_the_index_of_all_at_once(tuning):
    """The order and the size of adds leave no trace in the answers."""
    hashes = around(np.random.default_rng(5), np.zeros((1, 32), np.uint8), 200, radius=31)
    at_once, one_by_one = (HammingIndex(bits=256, radius=31, tuning=tuning) for _ in range(2))

    at_once.add(np.arange(200), hashes)
    for number in reversed(range(200)):
        one_by_one.add(np.array([number]), hashes[[number]])

    assert hits(one_by_one.nearest(hashes[:8])) == hits(at_once.nearest(hashes[:8]))


def test_what_was_added_is_ours():
    """Arrays that change after they were added change no answer."""
    ids, hashes = np.arange(3), np.zeros((3, 8), np.uint8)
    index = HammingIndex(bits=64, radius=4)

    index.add(ids, hashes)
    ids += 7
    hashes[:] = 255

    assert hits(index.nearest(np.zeros((1, 8), np.uint8))) == [(0, 0, 0), (0, 1, 0), (0, 2, 0)]


@pytest.mark.parametrize("tuning", TUNINGS)
def test_what_was_discarded_is_nowhere_after_compacting(tuning):
    """Until then it is only hidden; after it none of the arrays has its hash."""
    random = np.random.default_rng(1)
    hashes = random.integers(0, 256, (200, 32), np.uint8)
    index = HammingIndex(bits=256, radius=31, tuning=tuning)
    index.add(np.arange(200), hashes)
    index.discard(np.arange(100))

    before = _content(index)
    index.compact()

    assert hashes[7].tobytes() in before
    assert hashes[7].tobytes() not in _content(index)
    assert hashes[107].tobytes() in _content(index)
    assert len(index) == 100


def _content(index):
    return b"".join(array.tobytes() for array in index.arrays().values())


def test_the_last_of_equal_ids_in_one_add_stays():
    """Adding an id twice at once is adding it twice in turn."""
    index = HammingIndex(bits=64, radius=4)

    index.add(np.array([1, 1]), np.array([[0] * 8, [255] * 8], np.uint8))

    assert hits(index.nearest(np.array([[0] * 8, [255] * 8], np.uint8))) == [(1, 1, 0)]


@pytest.mark.parametrize("tuning", TUNINGS)
def test_nothing_in_gives_nothing_out(tuning):
    """An empty index, one emptied again, and no queries at all have no neighbours."""
    query = np.zeros((1, 32), np.uint8)
    index = HammingIndex(bits=256, radius=31, tuning=tuning)

    before = index.nearest(query)
    index.add(np.array([3]), query)
    none_asked = index.nearest(query[:0])
    index.discard(np.array([3, 4]))

    assert hits(before) == hits(none_asked) == hits(index.nearest(query)) == []
    assert len(index) == 0


@pytest.mark.parametrize("shape", [(2, 31), (2, 64), (64,)])
def test_hashes_of_another_size_are_refused(shape):
    """A hash of the wrong length is an error, not a wrong answer."""
    index = HammingIndex(bits=256, radius=31)

    with pytest.raises(ValueError, match="are expected"):
        index.add(np.arange(shape[0]), np.zeros(shape, np.uint8))


def random_hashes(random: np.random.Generator, count: int, *, bits: int) -> Hashes:
    return random.integers(0, 256, (count, bits // 8), dtype=np.uint8)


def random_substrings(random: np.random.Generator, pieces: int, *, radius: int) -> Substrings:
    """Share radius + 1 among pieces of 4 to 12 bits; a piece that gets nothing is not searched."""
    shares = random.multinomial(radius + 1, np.full(pieces, 1 / pieces))
    return Substrings(tuple(random.integers(4, 13, pieces).tolist()), tuple((shares - 1).tolist()))


def around(random: np.random.Generator, queries: Hashes, count: int, *, radius: int) -> Hashes:
    """Hashes at and around the radius from some query, their flipped bits anywhere or all in one run."""
    planted = np.unpackbits(queries[random.integers(0, len(queries), count)], axis=1)
    for bits in planted:
        flipped = random.choice([0, 1, radius - 1, radius, radius + 1])
        start = random.integers(0, len(bits))
        everywhere = random.permutation(len(bits))
        in_a_run = (start + np.arange(len(bits))) % len(bits)
        bits[(everywhere if random.random() < 1 / 2 else in_a_run)[:flipped]] ^= 1
    return np.packbits(planted, axis=1)


def act(index: HammingIndex, stored: dict[int, Hashes], ids: NDArray[np.int64], hashes: Hashes | None) -> None:
    if hashes is None:
        index.discard(ids)
        for id_ in ids.tolist():
            stored.pop(id_, None)
    else:
        index.add(ids, hashes)
        stored.update(zip(ids.tolist(), hashes, strict=True))


def scan(stored: dict[int, Hashes], queries: Hashes, *, radius: int) -> list[Hit]:
    """Compare every pair bit by bit."""
    return sorted(found(stored, queries, radius=radius), key=lambda hit: (hit[0], hit[2], hit[1]))


def found(stored: dict[int, Hashes], queries: Hashes, *, radius: int) -> Iterable[Hit]:
    for row, query in enumerate(queries):
        for id_, stored_hash in stored.items():
            distance = int(np.unpackbits(query ^ stored_hash).sum())
            if distance <= radius:
                yield row, id_, distance


def hits(neighbours: Neighbours) -> list[Hit]:
    columns = neighbours.queries, neighbours.ids, neighbours.distances
    assert all(column.dtype == np.int64 for column in columns)
    return list(zip(*(column.tolist() for column in columns), strict=True))
