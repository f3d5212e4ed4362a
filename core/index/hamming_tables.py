"""Bucket tables over substrings of hashes, which propose every neighbour without comparing all pairs.

`benchmarks/speed/hamming_speed.py` prints the measurements named here.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate, combinations
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

BUCKET_BYTES, BUCKET_BYTES_ALWAYS = 24, 2**23
"""Bytes of bucket offsets allowed per hash, and always allowed: at 28,000 hashes a query takes 0.16 ms, not 0.24."""

KEY_NANOSECONDS, CANDIDATE_NANOSECONDS = 30.0, 40.0
"""Times of looking up one bucket and of checking one candidate: 256 bits, 1 to 10 million rows."""

WIDEST_SUBSTRING = 26
"""In bits; the offsets of 2**26 buckets take 268 MB."""


_WORD, _ONE = np.uint64(64), np.uint64(1)
_OFFSET_BYTES = np.dtype(np.uint32).itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Candidates as parallel arrays."""

    queries: NDArray[np.int64]
    """Rows of the queries."""
    positions: NDArray[np.uint32]
    """Rows of the block."""


@dataclass(frozen=True, eq=False)
class Substrings:
    """A division of hashes into substrings, from the first bit on.

    The search is exact for any radius below the sum of (each radius + 1). Bits after the last substring belong to none.
    """

    widths: tuple[int, ...]
    """Bits of each substring."""
    radii: tuple[int, ...]
    """Radius with which each substring is searched."""

    @classmethod
    def cut(cls, bits: int, radius: int, *, pieces: int, width: int) -> Self:
        """Cut hashes into pieces, as few as exactness allows with the larger radius.

        Those have `width` bits, the others share the remaining bits. With radius = pieces * a + b the first b + 1
        pieces are searched with radius a, the others with a - 1: a hash that is farther in every piece is farther than
        the radius.
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
        """Return the nanoseconds of one query among `count` hashes of random bits."""
        return sum(
            _ball(width, radius) * (KEY_NANOSECONDS + CANDIDATE_NANOSECONDS * count / (1 << width))
            for width, radius in zip(self.widths, self.radii, strict=True)
        )

    @cached_property
    def first_buckets(self) -> NDArray[np.int64]:
        """The number of each substring's first bucket; all buckets are numbered consecutively."""
        return np.array([0, *accumulate(1 << width for width in self.widths)], np.int64)

    @cached_property
    def _flips(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every change within the radius of a substring: the substring's number, and the mask of flipped bits."""
        flips = [
            (piece, sum(1 << bit for bit in chosen))
            for piece, (width, radius) in enumerate(zip(self.widths, self.radii, strict=True))
            for size in range(radius + 1)
            for chosen in combinations(range(width), size)
        ]
        pieces, changes = np.array(flips, np.int64).T
        return np.ascontiguousarray(pieces), np.ascontiguousarray(changes)

    def values(self, words: NDArray[np.uint64], pieces: slice = slice(None)) -> NDArray[np.int64]:
        """Return the substrings of each hash as integers, shape (n, pieces)."""
        start = np.array([0, *accumulate(self.widths)][:-1], np.uint64)[pieces]
        mask = np.array([(1 << width) - 1 for width in self.widths], np.uint64)[pieces]
        word, shift = (start // _WORD).astype(np.int64), start % _WORD
        following = np.minimum(word + 1, words.shape[1] - 1)
        low = words[:, word] >> shift
        high = words[:, following] << (_WORD - _ONE - shift) << _ONE  # in two steps: a shift by 64 is undefined
        values: NDArray[np.uint64] = (low | high) & mask
        return values.astype(np.int64)

    def keys(self, queries: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return every bucket that may hold a neighbour, shape (q, buckets of one query)."""
        pieces, changes = self._flips
        keys: NDArray[np.int64] = (self.values(queries)[:, pieces] ^ changes) + self.first_buckets[pieces]
        return keys


Choice = Callable[[int, int, int], Substrings]
"""Function that chooses the substrings, given the bits of a hash, the radius, and the number of hashes."""


def cheapest_substrings(bits: int, radius: int, count: int) -> Substrings:
    """Choose the fastest substrings whose buckets fit into the allowed memory."""
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
    """Count the values of `width` bits within the radius of one value."""
    return sum(math.comb(width, size) for size in range(radius + 1))


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The buckets of all substrings: one bucket per value of each substring lists the hashes that have this value.

    Bucket k is `positions[offsets[k]:offsets[k + 1]]`; 32 bits hold 4.29 billion positions, 12 for each hash.
    """

    substrings: Substrings
    offsets: NDArray[np.uint32]
    """Start of each bucket in `positions`, (buckets + 1,)."""
    positions: NDArray[np.uint32]
    """Rows of the hashes, bucket by bucket."""

    @classmethod
    def build(cls, words: NDArray[np.uint64], substrings: Substrings) -> "Tables":
        first = substrings.first_buckets
        offsets = np.zeros(first[-1] + 1, np.uint32)
        positions = np.empty((len(substrings.widths), len(words)), np.uint32)
        for piece, width in enumerate(substrings.widths):
            values = substrings.values(words, slice(piece, piece + 1))[:, 0]
            offsets[first[piece] + 1 : first[piece + 1] + 1] = np.bincount(values, minlength=1 << width)
            positions[piece] = _stable_order(values)
        return cls(substrings, np.cumsum(offsets, dtype=np.uint32), positions.ravel())

    def candidates(self, queries: NDArray[np.uint64], at_most: float) -> "Candidates | None":
        """Return all possible neighbours, some repeatedly; None if thousands of equal hashes crowd the buckets."""
        keys = self.substrings.keys(queries)
        first = self.offsets.take(keys.ravel())
        sizes = self.offsets.take(keys.ravel() + 1) - first
        if sizes.sum() > at_most:
            return None
        filled = np.flatnonzero(sizes)
        rows = np.repeat(filled // keys.shape[1], sizes[filled])
        return Candidates(rows, self.positions.take(_ranges(first[filled], sizes[filled])))

    def arrays(self) -> dict[str, NDArray[Any]]:
        substrings = np.array([self.substrings.widths, self.substrings.radii], np.int64)
        return {"substrings": substrings, "offsets": self.offsets, "positions": self.positions}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Tables":
        widths, radii = arrays["substrings"].tolist()
        return cls(Substrings(tuple(widths), tuple(radii)), arrays["offsets"], arrays["positions"])


def _stable_order(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a stable argsort of numbers below 2**31; sorting value and position as one number halves the time."""
    keys = values << 32 | np.arange(len(values))
    keys.sort()
    return keys & 0xFFFF_FFFF


def _ranges(first: NDArray[np.uint32], sizes: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the numbers first, first + 1, ... of each range, one range after the other."""
    ends = np.cumsum(sizes, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first + sizes - ends, sizes)
