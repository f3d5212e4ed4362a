"""Find the images that share most local features with a query, by an inverted index over binary codes in memory.

The index is faiss' IndexBinaryIVF: each code lies in the list of its nearest centroid, and a query code is compared
only with the codes of the few nearest lists. The centroids are a sample of the codes themselves, moved to the centre of
their lists a few times (k-means with majority votes). Small indexes have one list, which is a full scan.
`benchmarks/speed/shortlist_cost.py` prints the measurements named here.
"""

from collections.abc import Mapping
from threading import Lock
from typing import Any, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from core.model.fingerprints import CODE_BYTES

Codes = NDArray[np.uint8]
Ids = NDArray[np.int64]

NEIGHBOURS = 10
RATIO = 0.8
"""A neighbour votes if it is nearer than this share of the tenth's distance: a feature that ten images share proves
nothing. It is the tenth, not the second, so that near-duplicates in the index do not suppress each other."""
UNRELATED_BITS = 45
"""Smallest value used as the tenth's distance, so that ten copies of one photo do not suppress each other either."""
COMMON_BITS, COMMON_WEIGHT = 12, 0.3
"""If even the tenth neighbour is this near, the feature is a letter or an icon: its votes count less."""

FLAT_UP_TO = 20_000
"""Most codes in a single list: comparing 550 query codes with them takes 12 ms."""
NEAREST_LISTS = 4
"""With 28,000 images 4, 8 and 16 lists propose the same images for 60 queries; a query takes 24, 43 and 80 ms."""
OUTGROWN = 2
"""Retrain once the right number of lists is this many times the present one: there are four times as many codes."""
SAMPLE_A_LIST, ROUNDS = 32, 2


class InvertedLists:
    """Codes of 256 bits, grouped by the id of their image; safe for several threads, one at a time."""

    def __init__(self, *, expected: int = 0) -> None:
        """Create an empty index; the first batch trains it for `expected` codes."""
        self._expected = expected
        self._lists = _FaissLists(np.zeros((1, CODE_BYTES), np.uint8))
        self._known: set[int] = set()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._lists)

    @property
    def images(self) -> int:
        """The number of images that have codes."""
        return len(self._known)

    @property
    def is_outgrown(self) -> bool:
        """Tell whether `retrained` would make searches faster."""
        return _lists_for(len(self)) >= OUTGROWN * self._lists.count

    def add(self, ids: Ids, counts: Ids, codes: Codes) -> None:
        """Store codes (n, 32), the first counts[0] of image ids[0], and so on; earlier codes of an id are removed."""
        with self._lock:
            self._remove(ids)
            self._known.update(ids[counts > 0].tolist())
            if len(codes) > len(self) and self._wanted(len(codes)) > self._lists.count:
                self._train(codes)
            self._lists.add(np.repeat(ids, counts), codes)

    def discard(self, ids: Ids) -> None:
        """Remove these images; unknown ids are ignored."""
        with self._lock:
            self._remove(ids)

    def shortlist(self, codes: Codes, *, size: int) -> list[int]:
        """Return the images that share most features with a query's codes (q, 32), the likeliest first."""
        if not len(self) or not len(codes):
            return []
        with self._lock:
            bits, ids = self._lists.nearest(codes)
        tenth = np.where(ids[:, -1:] >= 0, bits[:, -1:], UNRELATED_BITS)
        limit = RATIO * np.maximum(tenth, UNRELATED_BITS)
        weight = np.where(tenth <= COMMON_BITS, COMMON_WEIGHT, 1.0)
        votes = (ids >= 0) * weight * np.clip(1 - bits / limit, 0, None)
        voted = votes > 0
        images, owner = np.unique(ids[voted], return_inverse=True)
        totals = np.bincount(owner, votes[voted], minlength=len(images))
        best = np.lexsort((images, -totals))[:size]
        return [int(image) for image in images[best]]

    def retrained(self) -> "InvertedLists":
        """Return an index of the same codes with the right number of lists; takes seconds for millions of codes."""
        ids, codes = self._lists.content()
        fresh = InvertedLists(expected=len(codes))
        fresh._known = set(self._known)
        if len(codes):
            fresh._train(codes)
            fresh._lists.add(ids, codes)
        return fresh

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return everything that `from_arrays` needs, by name."""
        ids, codes = self._lists.content()
        return {"centroids": self._lists.centroids, "sizes": self._lists.sizes(), "ids": ids, "codes": codes}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Load the arrays of an index; they are copied."""
        index = cls()
        index._lists = _FaissLists(np.array(arrays["centroids"]))
        index._lists.fill(arrays["sizes"], arrays["ids"], arrays["codes"])
        index._known = set(np.unique(arrays["ids"]).tolist())
        return index

    def _remove(self, ids: Ids) -> None:
        gone = self._known.intersection(ids.tolist())
        if gone:
            self._known -= gone
            self._lists.remove(np.array(sorted(gone), np.int64))

    def _wanted(self, more: int) -> int:
        """Return the right number of lists once these codes are added."""
        return _lists_for(max(self._expected, len(self) + more))

    def _train(self, codes: Codes) -> None:
        """Replace the lists by as many as are right once these codes are added."""
        ids, present = self._lists.content()
        self._lists = _FaissLists(_centroids(codes, min(self._wanted(len(codes)), len(codes))))
        self._lists.add(ids, present)


def _lists_for(codes: int) -> int:
    """Return the right number of lists for so many codes, about twice the square root.

    Comparing with a code of a list costs three times as much as comparing with a centroid; at 4.2 million codes a query
    takes 72, 39 and 24 ms with 1,024, 2,048 and 4,096 lists, and building takes 6, 12 and 24 s.
    """
    return 1 if codes <= FLAT_UP_TO else 2 ** round(np.log2(2 * np.sqrt(codes)))


def _centroids(codes: Codes, count: int) -> Codes:
    """Return the centroids of `count` lists; the same codes always give the same centroids."""
    random = np.random.default_rng(len(codes))
    sample = codes[np.sort(random.choice(len(codes), min(len(codes), SAMPLE_A_LIST * count), replace=False))]
    centroids = sample[np.sort(random.choice(len(sample), count, replace=False))]
    _stay_in_this_thread()
    for _ in range(ROUNDS):
        flat = faiss.IndexBinaryFlat(CODE_BYTES * 8)
        flat.add(centroids)
        owners = flat.search(sample, 1)[1][:, 0]
        centroids = _majorities(sample, owners, centroids)
    return centroids


def _majorities(sample: Codes, owners: Ids, centroids: Codes) -> Codes:
    """Move each centroid to the bits that most of its codes have; one without codes stays."""
    order = np.argsort(owners, kind="stable")
    numbers, starts = np.unique(owners[order], return_index=True)
    ones = np.add.reduceat(np.unpackbits(sample[order], axis=1), starts, axis=0, dtype=np.int32)
    sizes = np.diff(np.append(starts, len(order)))
    moved = centroids.copy()
    moved[numbers] = np.packbits(2 * ones > sizes[:, None], axis=1)
    return moved


def _stay_in_this_thread() -> None:
    """Keep faiss from starting threads: searches already run in parallel. OpenMP keeps this setting per thread."""
    faiss.omp_set_num_threads(1)


class _FaissLists:
    """The inverted lists of faiss behind numpy arrays."""

    def __init__(self, centroids: Codes) -> None:
        self.centroids = np.ascontiguousarray(centroids)
        self.count = len(centroids)
        self._quantizer = faiss.IndexBinaryFlat(CODE_BYTES * 8)
        self._quantizer.add(self.centroids)
        self._index = faiss.IndexBinaryIVF(self._quantizer, CODE_BYTES * 8, self.count)
        self._index.is_trained = True
        self._index.nprobe = NEAREST_LISTS

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, ids: Ids, codes: Codes) -> None:
        if len(codes):
            _stay_in_this_thread()
            self._index.add_with_ids(np.ascontiguousarray(codes), np.ascontiguousarray(ids, np.int64))

    def remove(self, ids: Ids) -> None:
        self._index.remove_ids(ids)

    def nearest(self, codes: Codes) -> tuple[NDArray[np.int32], Ids]:
        """Return distances in bits and ids (q, NEIGHBOURS) of the nearest codes; missing ones have the id -1."""
        _stay_in_this_thread()
        bits, ids = self._index.search(np.ascontiguousarray(codes), NEIGHBOURS)
        return bits, ids

    def sizes(self) -> Ids:
        inverted = self._index.invlists
        return np.array([inverted.list_size(number) for number in range(self.count)], np.int64)

    def content(self) -> tuple[Ids, Codes]:
        """Return a copy of all ids (n,) and codes (n, 32), list by list."""
        sizes = self.sizes()
        ids, codes = np.empty(len(self), np.int64), np.empty((len(self), CODE_BYTES), np.uint8)
        inverted = self._index.invlists
        for number, (size, end) in enumerate(zip(sizes.tolist(), np.cumsum(sizes).tolist(), strict=True)):
            if size:
                ids[end - size : end] = faiss.rev_swig_ptr(inverted.get_ids(number), size)
                packed = faiss.rev_swig_ptr(inverted.get_codes(number), size * CODE_BYTES)
                codes[end - size : end] = packed.reshape(size, CODE_BYTES)
        return ids, codes

    def fill(self, sizes: Ids, ids: Ids, codes: Codes) -> None:
        """Fill the lists with what `content` returned."""
        inverted, start = self._index.invlists, 0
        for number, size in enumerate(sizes.tolist()):
            if size:
                some_ids, some_codes = np.array(ids[start : start + size]), np.array(codes[start : start + size])
                inverted.add_entries(number, size, faiss.swig_ptr(some_ids), faiss.swig_ptr(some_codes))
            start += size
        self._index.ntotal = start
