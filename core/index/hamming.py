"""Exact Hamming search in memory: a flat scan while small, multi-index hashing once large.

Two hashes within the radius must be near in at least one of their substrings (the pigeonhole principle), so a table
of buckets per substring proposes every neighbour, and the full distance decides: Norouzi, Punjani, Fleet, "Fast search
in Hamming space with multi-index hashing", 2012. `benchmarks/speed/hamming_speed.py` prints the
measurements named here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from core.index.hamming_tables import Candidates, Choice, Tables, cheapest_substrings

MERGE_SHARE = 8
"""A block is merged with the older one before it if that one is at most 8 times larger: 3 tables at 10 million rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Hits as parallel arrays, sorted by query row, then distance, then id."""

    queries: NDArray[np.int64]
    """Rows of the queries."""
    ids: NDArray[np.int64]
    distances: NDArray[np.int64]
    """In bits."""


_NOTHING = Neighbours(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Tuning:
    """The limits that choose between ways of searching; no value changes a result."""

    flat_up_to: int = 20_000
    """Most rows without tables: 8 queries take 0.20 ms flat and 0.22 with tables at 15,000, 0.31 and 0.25 at 28,000."""

    crowded: float = 0.035
    """Candidates per pair above which a scan is faster: comparing a pair takes 1.4 ns, checking a candidate 40 ns."""

    choose: Choice | None = None
    """Function that chooses the substrings; None: `cheapest_substrings`."""


DEFAULT = Tuning()


class HammingIndex:
    """An exact index: it finds every stored hash within `radius` bits of a query, and nothing else."""

    def __init__(self, *, bits: int, radius: int, tuning: Tuning = DEFAULT) -> None:
        if bits % 64:
            raise ValueError(f"the length of hashes must be a multiple of 64 bits, not {bits} bits")
        self._bits = bits
        self._radius = radius
        self._tuning = tuning
        self._blocks: tuple[_Block, ...] = ()

    def __len__(self) -> int:
        return sum(block.living for block in self._blocks)

    def add(self, ids: NDArray[np.int64], hashes: NDArray[np.uint8]) -> None:
        """Store hashes, shape (n, bits / 8), under their ids; an id that is already stored is replaced."""
        words = self._words(hashes)
        if len(ids) != len(words):
            raise ValueError(f"{len(ids)} ids for {len(words)} hashes")
        self.discard(ids)
        if len(ids):
            self._blocks = self._merged(_Rows(np.array(ids, np.int64), words.copy()))

    def discard(self, ids: NDArray[np.int64]) -> None:
        """Remove these ids; unknown ids are ignored."""
        for block in self._blocks:
            block.discard(np.asarray(ids, np.int64))

    def compact(self) -> None:
        """Drop the discarded hashes, which until then are only hidden."""
        self._blocks = tuple(
            block if block.living == len(block) else self._block_of(block.rows())
            for block in self._blocks
            if block.living
        )

    def nearest(self, queries: NDArray[np.uint8]) -> Neighbours:
        """Find the neighbours of all queries, shape (q, bits / 8), within the radius."""
        words = self._words(queries)
        found = [block.nearest(words, self._radius, crowded=self._tuning.crowded) for block in self._blocks]
        return _sorted([_NOTHING, *found])

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return everything that `from_arrays` needs, by name."""
        return {
            f"{number}.{name}": array
            for number, block in enumerate(self._blocks)
            for name, array in block.arrays().items()
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], *, bits: int, radius: int, tuning: Tuning = DEFAULT
    ) -> Self:
        """Load the arrays of an index with the same bits and radius; large ones are used in place, not copied."""
        index = cls(bits=bits, radius=radius, tuning=tuning)
        count = sum(name.endswith(".ids") for name in arrays)
        index._blocks = tuple(_Block.from_arrays(arrays, f"{number}.") for number in range(count))
        return index

    def _words(self, hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
        if hashes.shape[1:] != (self._bits // 8,):
            raise ValueError(f"hashes of shape (n, {self._bits // 8}) are expected, not {hashes.shape}")
        return np.ascontiguousarray(hashes, np.uint8).view(np.uint64)

    def _merged(self, rows: "_Rows") -> "tuple[_Block, ...]":
        """Append rows as a block, merged with the blocks before it that are not much larger."""
        blocks = list(self._blocks)
        while blocks and len(blocks[-1]) <= max(self._tuning.flat_up_to, MERGE_SHARE * len(rows)):
            rows = blocks.pop().rows().joined(rows)
        return (*blocks, self._block_of(rows.by_id()))

    def _block_of(self, rows: "_Rows") -> "_Block":
        if len(rows) <= self._tuning.flat_up_to:
            return _Block(rows, None)
        choose = self._tuning.choose or cheapest_substrings
        substrings = choose(self._bits, self._radius, len(rows))
        return _Block(rows, Tables.build(rows.words, substrings))


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Ids and their hashes."""

    ids: NDArray[np.int64]
    """(n,)."""
    words: NDArray[np.uint64]
    """The hashes in words of 64 bits, (n, words)."""

    def __len__(self) -> int:
        return len(self.ids)

    def joined(self, newer: "_Rows") -> "_Rows":
        return _Rows(np.concatenate([self.ids, newer.ids]), np.concatenate([self.words, newer.words]))

    def by_id(self) -> "_Rows":
        """Return the rows sorted by id; of rows with the same id the last one stays."""
        if np.all(self.ids[1:] > self.ids[:-1]):
            return self
        order = np.argsort(self.ids, kind="stable")
        is_last = np.append(np.diff(self.ids[order]) != 0, True)
        return _Rows(self.ids[order[is_last]], self.words[order[is_last]])


class _Block:
    """Immutable rows sorted by id, with a mask of those not discarded; large blocks have tables."""

    def __init__(self, rows: _Rows, tables: Tables | None, alive: NDArray[np.bool_] | None = None) -> None:
        self._rows = rows
        self._tables = tables
        self._alive = np.ones(len(rows), np.bool_) if alive is None else alive

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def living(self) -> int:
        return int(np.count_nonzero(self._alive))

    def rows(self) -> _Rows:
        """Return the rows that were not discarded."""
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
        tables = Tables.from_arrays(own) if "offsets" in own else None
        return cls(_Rows(own["ids"], own["words"]), tables, np.array(own["alive"]))


@dataclass(frozen=True, slots=True, eq=False)
class _Hits:
    """Hits in one block, as parallel arrays."""

    queries: NDArray[np.int64]
    """Rows of the queries."""
    positions: NDArray[np.int64]
    """Rows of the block."""
    distances: NDArray[np.int64]
    """In bits."""


def _scan(queries: NDArray[np.uint64], words: NDArray[np.uint64], radius: int) -> _Hits:
    """Compare every pair with faiss: 0.23 ms for 8 queries and 28,000 hashes of 256 bits; numpy takes 0.57 ms."""
    faiss.omp_set_num_threads(1)  # waking threads costs more than such a scan
    found = faiss.RangeSearchResult(len(queries))
    pointers = (faiss.swig_ptr(array.view(np.uint8)) for array in (queries, words))
    sizes = len(queries), len(words), radius + 1, words.itemsize * words.shape[1]
    faiss.hamming_range_search(*pointers, *sizes, found)  # type: ignore[attr-defined]  # made by SWIG
    limits = faiss.rev_swig_ptr(found.lims, len(queries) + 1).astype(np.int64)
    rows = np.repeat(np.arange(len(queries)), np.diff(limits))
    return _Hits(rows, *(_copied(array, len(rows)) for array in (found.labels, found.distances)))


def _copied(pointer: Any, size: int) -> NDArray[np.int64]:
    """Copy an array of faiss, which frees its own together with the result."""
    return faiss.rev_swig_ptr(pointer, size).astype(np.int64) if size else np.empty(0, np.int64)


def _check(queries: NDArray[np.uint64], words: NDArray[np.uint64], radius: int, candidates: Candidates) -> _Hits:
    """Return the candidates within the radius, each once even if several buckets propose it."""
    differing = words.take(candidates.positions, axis=0) ^ queries.take(candidates.queries, axis=0)
    near = np.flatnonzero(_ones(differing) <= radius)
    pairs = np.unique(candidates.queries[near] * len(words) + candidates.positions[near])
    rows, positions = np.divmod(pairs, len(words))
    return _Hits(rows, positions, _ones(words[positions] ^ queries[rows]).astype(np.int64))


def _ones(words: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Count the set bits of each row, column by column: np.sum over a short axis takes 8 times as long."""
    columns = np.bitwise_count(words).T
    return np.asarray(sum(columns, start=np.zeros(len(words), np.uint16)))


def _sorted(found: Sequence[Neighbours]) -> Neighbours:
    queries = np.concatenate([each.queries for each in found])
    ids = np.concatenate([each.ids for each in found])
    distances = np.concatenate([each.distances for each in found])
    order = np.lexsort((ids, distances, queries))
    return Neighbours(queries[order], ids[order], distances[order])
