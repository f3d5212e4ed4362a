"""Exact Hamming search in memory: a flat scan while small, multi-index hashing once large.

Two hashes within the radius must be near in at least one of their substrings (the pigeonhole principle), so a table
of buckets for each substring proposes every neighbour and the full distance decides: Norouzi, Punjani, Fleet, "Fast
search in Hamming space with multi-index hashing", 2012. `benchmarks/searching.py` prints the measurements named here.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate, combinations
from typing import Any, Self

import faiss
import numpy as np
from numpy.typing import NDArray

MERGE_SHARE = 8
"""A block joins the older one before it when that one is at most 8 times larger: 3 tables at 10 million rows."""

BUCKET_BYTES, BUCKET_BYTES_ALWAYS = 24, 2**23
"""What bucket offsets may cost a hash, and in any case: at 28,000 hashes 0.16 ms in place of 0.24."""

KEY_NANOSECONDS, CANDIDATE_NANOSECONDS = 30.0, 40.0
"""Looking up one bucket, and checking one candidate: 256 bits, 1 to 10 million rows."""

WIDEST_SUBSTRING = 26
"""Bits; the offsets of 2**26 buckets take 268 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Parallel arrays, one entry a hit: query row, id, distance; sorted by query row, then distance, then id."""

    queries: NDArray[np.int64]
    ids: NDArray[np.int64]
    distances: NDArray[np.int64]


_NOTHING = Neighbours(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))
_WORD, _ONE = np.uint64(64), np.uint64(1)
_OFFSET_BYTES = np.dtype(np.uint32).itemsize


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is done from when on; no value changes an answer."""

    flat_up_to: int = 20_000
    """Rows without tables: 8 queries take 0.20 ms flat and 0.22 with tables at 15,000, 0.31 and 0.25 at 28,000."""

    crowded: float = 0.035
    """Candidates for each pair above which a scan costs less: 1.4 ns compare a pair, 40 ns check a candidate."""

    choose: "Choice | None" = None
    """Chooses the substrings; None: `cheapest_substrings`."""


DEFAULT = Tuning()


class HammingIndex:
    """Exact: every stored hash within `radius` bits of a query, and nothing else."""

    def __init__(self, *, bits: int, radius: int, tuning: Tuning = DEFAULT) -> None:
        if bits % 64:
            raise ValueError(f"hashes come in words of 64 bits, not {bits} bits")
        self._bits = bits
        self._radius = radius
        self._tuning = tuning
        self._blocks: tuple[_Block, ...] = ()

    def __len__(self) -> int:
        return sum(block.living for block in self._blocks)

    def add(self, ids: NDArray[np.int64], hashes: NDArray[np.uint8]) -> None:
        """Store hashes, shape (n, bits / 8), under their ids; an id that is there already is replaced."""
        words = self._words(hashes)
        if len(ids) != len(words):
            raise ValueError(f"{len(ids)} ids for {len(words)} hashes")
        self.discard(ids)
        if len(ids):
            self._blocks = self._merged(_Rows(np.array(ids, np.int64), words.copy()))

    def discard(self, ids: NDArray[np.int64]) -> None:
        """Forget these ids; unknown ones are fine."""
        for block in self._blocks:
            block.discard(np.asarray(ids, np.int64))

    def nearest(self, queries: NDArray[np.uint8]) -> Neighbours:
        """Find the neighbours of all queries, shape (q, bits / 8), within the radius."""
        words = self._words(queries)
        found = [block.nearest(words, self._radius, crowded=self._tuning.crowded) for block in self._blocks]
        return _sorted([_NOTHING, *found])

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Everything that `from_arrays` needs, by name."""
        return {
            f"{number}.{name}": array
            for number, block in enumerate(self._blocks)
            for name, array in block.arrays().items()
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], *, bits: int, radius: int, tuning: Tuning = DEFAULT
    ) -> Self:
        """Take up the arrays of an index with the same bits and radius; large ones are used as they are, not copied."""
        index = cls(bits=bits, radius=radius, tuning=tuning)
        count = sum(name.endswith(".ids") for name in arrays)
        index._blocks = tuple(_Block.from_arrays(arrays, f"{number}.") for number in range(count))
        return index

    def _words(self, hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
        if hashes.shape[1:] != (self._bits // 8,):
            raise ValueError(f"hashes of shape (n, {self._bits // 8}) are wanted, not {hashes.shape}")
        return np.ascontiguousarray(hashes, np.uint8).view(np.uint64)

    def _merged(self, rows: "_Rows") -> "tuple[_Block, ...]":
        """Append rows as a block that has swallowed the blocks before it which are not much larger."""
        blocks = list(self._blocks)
        while blocks and len(blocks[-1]) <= max(self._tuning.flat_up_to, MERGE_SHARE * len(rows)):
            rows = blocks.pop().rows().joined(rows)
        rows = rows.by_id()
        if len(rows) <= self._tuning.flat_up_to:
            return (*blocks, _Block(rows, None))
        choose = self._tuning.choose or cheapest_substrings
        substrings = choose(self._bits, self._radius, len(rows))
        return (*blocks, _Block(rows, _Tables.build(rows.words, substrings)))


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Ids and their hashes in words of 64 bits."""

    ids: NDArray[np.int64]
    words: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.ids)

    def joined(self, newer: "_Rows") -> "_Rows":
        return _Rows(np.concatenate([self.ids, newer.ids]), np.concatenate([self.words, newer.words]))

    def by_id(self) -> "_Rows":
        """Sort by id; of rows with the same id the last stays."""
        if np.all(self.ids[1:] > self.ids[:-1]):
            return self
        order = np.argsort(self.ids, kind="stable")
        is_last = np.append(np.diff(self.ids[order]) != 0, True)
        return _Rows(self.ids[order[is_last]], self.words[order[is_last]])


class _Block:
    """Rows that stay as they are, sorted by id, with a mask of those alive; large blocks have tables."""

    def __init__(self, rows: _Rows, tables: "_Tables | None", alive: NDArray[np.bool_] | None = None) -> None:
        self._rows = rows
        self._tables = tables
        self._alive = np.ones(len(rows), np.bool_) if alive is None else alive

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def living(self) -> int:
        return int(np.count_nonzero(self._alive))

    def rows(self) -> _Rows:
        """The rows that are alive."""
        if self._alive.all():
            return self._rows
        return _Rows(self._rows.ids[self._alive], self._rows.words[self._alive])

    def discard(self, ids: NDArray[np.int64]) -> None:
        positions = np.searchsorted(self._rows.ids, ids).clip(max=len(self) - 1)
        self._alive[positions[self._rows.ids[positions] == ids]] = False

    def nearest(self, queries: NDArray[np.uint64], radius: int, *, crowded: float) -> Neighbours:
        words, at_most = self._rows.words, crowded * len(queries) * len(self)
        candidates = self._tables.candidates(queries, at_most) if self._tables else None
        hits = _scan(queries, words, radius) if candidates is None else _check(queries, words, radius, candidates)
        is_alive = self._alive[hits.positions]
        return Neighbours(hits.queries[is_alive], self._rows.ids[hits.positions[is_alive]], hits.distances[is_alive])

    def arrays(self) -> dict[str, NDArray[Any]]:
        rows = {"ids": self._rows.ids, "words": self._rows.words, "alive": self._alive}
        return rows | (self._tables.arrays() if self._tables else {})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> "_Block":
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        tables = _Tables.from_arrays(own) if "offsets" in own else None
        return cls(_Rows(own["ids"], own["words"]), tables, np.array(own["alive"]))


@dataclass(frozen=True, slots=True, eq=False)
class _Hits:
    """Parallel arrays: query row, position in the block, distance."""

    queries: NDArray[np.int64]
    positions: NDArray[np.int64]
    distances: NDArray[np.int64]


def _scan(queries: NDArray[np.uint64], words: NDArray[np.uint64], radius: int) -> _Hits:
    """Compare every pair, by faiss: 0.23 ms for 8 queries and 28,000 hashes of 256 bits, numpy takes 0.57 ms."""
    found = faiss.RangeSearchResult(len(queries))
    pointers = (faiss.swig_ptr(array.view(np.uint8)) for array in (queries, words))
    sizes = len(queries), len(words), radius + 1, words.itemsize * words.shape[1]
    faiss.hamming_range_search(*pointers, *sizes, found)  # type: ignore[attr-defined]  # made by SWIG
    limits = faiss.rev_swig_ptr(found.lims, len(queries) + 1).astype(np.int64)
    rows = np.repeat(np.arange(len(queries)), np.diff(limits))
    return _Hits(rows, *(_copied(array, len(rows)) for array in (found.labels, found.distances)))


def _copied(pointer: Any, size: int) -> NDArray[np.int64]:
    """Copy an array of faiss, which frees its own with the result."""
    return faiss.rev_swig_ptr(pointer, size).astype(np.int64) if size else np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Substrings:
    """How hashes are cut, first bits first: the width of each substring and the radius it is searched with.

    Exact for any radius below the sum of (each radius + 1). Bits beyond the last substring belong to none.
    """

    widths: tuple[int, ...]
    radii: tuple[int, ...]

    @classmethod
    def cut(cls, bits: int, radius: int, *, pieces: int, width: int) -> Self:
        """Search as few pieces as exactness allows with the larger radius; these get `width` bits, the others the rest.

        With radius = pieces * a + b the first b + 1 pieces are searched with radius a, the others with a - 1: a hash
        that is farther in every piece is farther than the radius.
        """
        smaller, rest = divmod(radius, pieces)
        wide, narrow = rest + 1, pieces - rest - 1
        others = ((bits - wide * width + piece) // narrow for piece in range(narrow))
        widths = (*[width] * wide, *(min(each, WIDEST_SUBSTRING) for each in others))
        return cls(widths, (smaller,) * wide + (smaller - 1,) * narrow)

    @property
    def buckets(self) -> int:
        return sum(1 << width for width in self.widths)

    def cost(self, count: int) -> float:
        """Nanoseconds of one query among `count` hashes of random bits."""
        return sum(
            _ball(width, radius) * (KEY_NANOSECONDS + CANDIDATE_NANOSECONDS * count / (1 << width))
            for width, radius in zip(self.widths, self.radii, strict=True)
        )

    @cached_property
    def first_buckets(self) -> NDArray[np.int64]:
        """Number of the first bucket of each substring, in one row of all buckets."""
        return np.array([0, *accumulate(1 << width for width in self.widths)], np.int64)

    @cached_property
    def _flips(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every change within the radius of a substring: which substring, and which of its bits flip."""
        flips = [
            (piece, sum(1 << bit for bit in chosen))
            for piece, (width, radius) in enumerate(zip(self.widths, self.radii, strict=True))
            for size in range(radius + 1)
            for chosen in combinations(range(width), size)
        ]
        pieces, changes = np.array(flips, np.int64).T
        return np.ascontiguousarray(pieces), np.ascontiguousarray(changes)

    def values(self, words: NDArray[np.uint64], pieces: slice = slice(None)) -> NDArray[np.int64]:
        """The substrings of each hash as numbers, shape (n, pieces)."""
        start = np.array([0, *accumulate(self.widths)][:-1], np.uint64)[pieces]
        mask = np.array([(1 << width) - 1 for width in self.widths], np.uint64)[pieces]
        word, shift = (start // _WORD).astype(np.int64), start % _WORD
        following = np.minimum(word + 1, words.shape[1] - 1)
        low = words[:, word] >> shift
        high = words[:, following] << (_WORD - _ONE - shift) << _ONE  # in two steps: a shift by 64 is undefined
        values: NDArray[np.uint64] = (low | high) & mask
        return values.astype(np.int64)

    def keys(self, queries: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Every bucket that may hold a neighbour, shape (q, buckets of one query)."""
        pieces, changes = self._flips
        keys: NDArray[np.int64] = (self.values(queries)[:, pieces] ^ changes) + self.first_buckets[pieces]
        return keys


Choice = Callable[[int, int, int], Substrings]
"""Chooses the substrings for hashes of so many bits, a radius, and so many hashes."""


def cheapest_substrings(bits: int, radius: int, count: int) -> Substrings:
    """Choose the fastest substrings whose buckets don't cost too much memory."""
    cuts = _cuts(bits, radius)
    affordable = max(count * BUCKET_BYTES, BUCKET_BYTES_ALWAYS)
    return min((cut for cut in cuts if cut.buckets * _OFFSET_BYTES <= affordable), key=lambda cut: cut.cost(count))


def _cuts(bits: int, radius: int) -> Iterator[Substrings]:
    for pieces in range(1, radius + 2):
        for width in range(1, WIDEST_SUBSTRING + 1):
            cut = Substrings.cut(bits, radius, pieces=pieces, width=width)
            if min(cut.widths) > 0 and sum(cut.widths) <= bits:
                yield cut


@cache
def _ball(width: int, radius: int) -> int:
    """How many values of so many bits lie within the radius of one."""
    return sum(math.comb(width, size) for size in range(radius + 1))


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """For each value of each substring the positions of the hashes that have it, one bucket after the other.

    Bucket k is `positions[offsets[k]:offsets[k + 1]]`; 32 bits hold 4.29 billion positions, 12 for each hash.
    """

    substrings: Substrings
    offsets: NDArray[np.uint32]
    positions: NDArray[np.uint32]

    @classmethod
    def build(cls, words: NDArray[np.uint64], substrings: Substrings) -> "_Tables":
        first = substrings.first_buckets
        offsets = np.zeros(first[-1] + 1, np.uint32)
        positions = np.empty((len(substrings.widths), len(words)), np.uint32)
        for piece, width in enumerate(substrings.widths):
            values = substrings.values(words, slice(piece, piece + 1))[:, 0]
            offsets[first[piece] + 1 : first[piece + 1] + 1] = np.bincount(values, minlength=1 << width)
            positions[piece] = _stable_order(values)
        return cls(substrings, np.cumsum(offsets, dtype=np.uint32), positions.ravel())

    def candidates(self, queries: NDArray[np.uint64], at_most: float) -> "_Candidates | None":
        """All that may be neighbours, some more than once; None if buckets are crowded by thousands of equal hashes."""
        keys = self.substrings.keys(queries)
        first = self.offsets.take(keys.ravel())
        sizes = self.offsets.take(keys.ravel() + 1) - first
        if sizes.sum() > at_most:
            return None
        filled = np.flatnonzero(sizes)
        rows = np.repeat(filled // keys.shape[1], sizes[filled])
        return _Candidates(rows, self.positions.take(_ranges(first[filled], sizes[filled])))

    def arrays(self) -> dict[str, NDArray[Any]]:
        substrings = np.array([self.substrings.widths, self.substrings.radii], np.int64)
        return {"substrings": substrings, "offsets": self.offsets, "positions": self.positions}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "_Tables":
        widths, radii = arrays["substrings"].tolist()
        return cls(Substrings(tuple(widths), tuple(radii)), arrays["offsets"], arrays["positions"])


def _stable_order(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """A stable argsort of numbers below 2**31; sorting value and position as one number takes half the time."""
    keys = values << 32 | np.arange(len(values))
    keys.sort()
    return keys & 0xFFFF_FFFF


def _ranges(first: NDArray[np.uint32], sizes: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The numbers first, first + 1, ... of each range, one range after the other."""
    ends = np.cumsum(sizes, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first + sizes - ends, sizes)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """Parallel arrays: query row, position in the block."""

    queries: NDArray[np.int64]
    positions: NDArray[np.uint32]


def _check(queries: NDArray[np.uint64], words: NDArray[np.uint64], radius: int, candidates: _Candidates) -> _Hits:
    """Keep the candidates within the radius, each once though several buckets propose it."""
    differing = words.take(candidates.positions, axis=0) ^ queries.take(candidates.queries, axis=0)
    near = np.flatnonzero(_ones(differing) <= radius)
    pairs = np.unique(candidates.queries[near] * len(words) + candidates.positions[near])
    rows, positions = np.divmod(pairs, len(words))
    return _Hits(rows, positions, _ones(words[positions] ^ queries[rows]).astype(np.int64))


def _ones(words: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """The set bits of each row; column by column, for np.sum over a short axis takes 8 times as long."""
    columns = np.bitwise_count(words).T
    return np.asarray(sum(columns, start=np.zeros(len(words), np.uint16)))


def _sorted(found: Sequence[Neighbours]) -> Neighbours:
    queries = np.concatenate([each.queries for each in found])
    ids = np.concatenate([each.ids for each in found])
    distances = np.concatenate([each.distances for each in found])
    order = np.lexsort((ids, distances, queries))
    return Neighbours(queries[order], ids[order], distances[order])
