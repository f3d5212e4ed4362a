"""The search, for every front end: the bytes of a query image -> SearchResult.

1. The query is read and fingerprinted in a worker process, while the index follows the store.
2. Candidates: the same file by its SHA-256; fingerprints near by PDQ in eight orientations, or by dhash. A match among
   them ends the search.
3. The search by features looks for reference images in parts of the query, and lays the query over each.
4. Whoever has the same photo as a match is a match too.
Who has a fingerprint is asked of the store, so that a name is right as of now.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, Protocol, TypeVar

import numpy as np

from core.errors import StoreError
from core.fingerprints.hashes import VARIANTS, dihedral
from core.index.feature_index import FeatureIndex
from core.index.hash_index import HashIndex
from core.matching.ranking import Graded, Likeness, grade, grade_evidence, is_same_photo, rank
from core.model.fingerprints import MIN_PDQ_QUALITY, PhotoHashes
from core.model.matches import ReferenceImage, SearchResult, Verdict
from core.model.records import Checkpoint
from core.model.statuses import IndexSizes
from core.search.feature_search import FeatureSearch, PhotoLookup, QueryReader

T = TypeVar("T")

FEWEST_FEATURES = 8
"""A query with fewer local features shows too little to be searched for."""


NEARBY = 12
"""Images whose hashes are near that are examined: cards of one template may be near by the thousand."""


class Reader(QueryReader, Protocol):
    """What reads a query image."""

    async def hash_bytes(self, data: bytes) -> PhotoHashes: ...


class Catalogue(PhotoLookup, Protocol):
    """The store, as the search sees it."""

    async def photo_id(self, sha256: bytes) -> int | None: ...

    async def references(self, photo_ids: Collection[int]) -> list[ReferenceImage]: ...


@dataclass(frozen=True, slots=True)
class _Found:
    """The graded candidates, and what is to be said where none of them counts."""

    graded: Sequence[Graded]
    empty_verdict: Verdict


class SearchEngine:
    """Search for photos by their looks; for one event loop."""

    def __init__(self, reader: Reader, store: Catalogue, index: HashIndex, deep_index: FeatureIndex) -> None:
        self._reader = reader
        self._store = store
        self._index = index
        self._deep_index = deep_index
        self._deep = FeatureSearch(reader, store, deep_index)
        self._following = _OneAtATime(partial(index.follow, store))
        self._following_features = _OneAtATime(self._deep.follow)
        """Apart, so that whole pictures are found while the index of features is being read."""

    @property
    def sizes(self) -> IndexSizes:
        return IndexSizes(len(self._index), self._deep_index.images)

    async def refresh(self) -> Checkpoint:
        """Let the index of whole pictures follow the store; raises StoreError."""
        return await self._following()

    async def warm_up(self) -> None:
        """Let both indexes follow the store, so that the next search need not; raises StoreError."""
        await self._following()
        await self._following_features()

    async def search(self, data: bytes) -> SearchResult:
        """Find the accounts that posted a picture; raises ImageError or StoreError."""
        started = time.perf_counter()
        query = await self._reader.hash_bytes(data)
        read = time.perf_counter()
        searched = await self.refresh()
        found = await self._found(query, data)
        matches = rank(one for one in found.graded if one.grade == "match")
        named = {match.username for match in matches}
        similar = rank(one for one in found.graded if one.grade == "similar" and one.image.place.username not in named)
        verdict: Verdict = "match" if matches else "similar" if similar else found.empty_verdict
        ended = time.perf_counter()
        return SearchResult(verdict, matches, similar, searched, 1000 * (ended - started), 1000 * (read - started))

    async def _found(self, query: PhotoHashes, data: bytes) -> "_Found":
        if query.is_flat:
            return _Found([], "unsearchable")
        graded = await self._near(query)
        if any(one.grade == "match" for one in graded):
            return _Found(graded, "none")
        return await self._by_features(query, data, graded)

    async def _near(self, query: PhotoHashes) -> list[Graded]:
        """Grade the images that are the same file, or whose hashes are near, the nearest first."""
        candidates = self._index.near(dihedral(query.pdq), np.frombuffer(query.dhash, np.uint8)[None, :])
        identical = await self._store.photo_id(query.sha256)
        if identical is not None:
            candidates.add(identical)
        likenesses = _likenesses(query, await self._store.references(candidates)) if candidates else []
        likenesses.sort(key=lambda likeness: likeness.pdq_distance)
        return [one for likeness in likenesses if (one := grade(query, likeness))]

    async def _by_features(self, query: PhotoHashes, data: bytes, graded: Sequence[Graded]) -> "_Found":
        """Search by features; what the hashes hold for similar is examined too, and stays where nothing is known."""
        await self._following_features()
        found = await self._deep.find(data, [one.image.photo_id for one in graded[:NEARBY]])
        evidence = {one.photo_id: one for one in found.evidence}
        images = await self._store.references(evidence)
        found_ones = [one for image in images if (one := grade_evidence(image, evidence[image.photo_id]))]
        rest = [one for one in graded if one.image.photo_id not in evidence]
        is_blank = query.pdq_quality < MIN_PDQ_QUALITY or found.features < FEWEST_FEATURES
        return _Found([*found_ones, *await self._copies(found_ones), *rest], "unsearchable" if is_blank else "none")

    async def _copies(self, graded: Sequence[Graded]) -> list[Graded]:
        """Find other copies of the photos that matched: their owners are as sure as the one found."""
        matches = [one for one in graded if one.grade == "match" and not one.image.hashes.is_sparse]
        if not matches:
            return []
        known = {one.image.photo_id for one in graded if one.grade == "match"}
        hashes = np.frombuffer(b"".join(one.image.hashes.pdq for one in matches), np.uint8).reshape(-1, 32)
        near = self._index.near(hashes, np.empty((0, 8), np.uint8))
        others = await self._store.references(near - known)
        surest_first = sorted(matches, key=lambda one: -one.confidence)
        return [
            replace(original, image=other)
            for other in others
            if (original := next((one for one in surest_first if is_same_photo(one.image.hashes, other.hashes)), None))
        ]


class _OneAtATime(Generic[T]):
    """Something done for one caller at a time, each time anew.

    Who waited while it failed for another hears that too, and does not wait for the same failure again: the time limits
    of a database that stands still must not add up.
    """

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._lock = asyncio.Lock()
        self._failures = 0
        self._failure: StoreError | None = None

    async def __call__(self) -> T:
        failures = self._failures
        async with self._lock:
            if self._failure and self._failures != failures:
                raise type(self._failure)(*self._failure.args) from self._failure
            try:
                return await self._work()
            except StoreError as error:
                self._failures, self._failure = self._failures + 1, error
                raise


def _likenesses(query: PhotoHashes, images: Sequence[ReferenceImage]) -> list[Likeness]:
    """Compare the query, in its eight orientations, with reference images."""
    if not images:
        return []
    theirs = np.frombuffer(b"".join(image.hashes.pdq for image in images), np.uint64).reshape(-1, 1, 4)
    distances = np.bitwise_count(theirs ^ dihedral(query.pdq).view(np.uint64)[None, :, :]).sum(axis=2)
    nearest = distances.argmin(axis=1)
    return [
        Likeness(
            image=image,
            pdq_distance=int(distances[row, variant]),
            transformation=VARIANTS[variant],
            is_identical=image.hashes.sha256 == query.sha256,
        )
        for row, (image, variant) in enumerate(zip(images, nearest.tolist(), strict=True))
    ]
