"""The search engine of every front end: it turns the bytes of a query photo into a SearchResult.

`SearchEngine.search` lists the steps. The accounts that have a photo come from the store, so that names are current.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

import numpy as np

from core.errors import StoreError
from core.fingerprints.hashes import VARIANTS, dihedral
from core.index.changes import ChangeFeed
from core.matching.ranking import Graded, Likeness, grade, grade_evidence, is_same_photo, rank
from core.model.fingerprints import MIN_PDQ_QUALITY, PhotoHashes
from core.model.matches import ReferenceImage, SearchResult, Verdict
from core.model.records import Checkpoint
from core.model.statuses import IndexSizes
from core.search.feature_search import FeatureSearch
from core.search.ports import FeatureLookup, HashLookup, PhotoLookup, QueryReader
from core.workers.tasks import HashedQuery

T = TypeVar("T")

FEWEST_FEATURES = 8
"""A query with fewer local features shows too little for a search."""
NEARBY = 12
"""Images with near hashes that are verified: thousands of cards of one template may be near."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The candidates of a search so far."""

    graded: Sequence[Graded]
    empty_verdict: Verdict = "none"
    """The verdict if there is neither a match nor a similar image."""

    @property
    def has_match(self) -> bool:
        return any(one.grade == "match" for one in self.graded)


class SearchEngine:
    """The search for photos by their appearance; for one event loop."""

    def __init__(
        self,
        reader: QueryReader,
        photos: PhotoLookup,
        changes: ChangeFeed,
        *,
        hash_index: HashLookup,
        feature_index: FeatureLookup,
    ) -> None:
        self._reader = reader
        self._photos = photos
        self._hash_index = hash_index
        self._feature_index = feature_index
        self._feature_search = FeatureSearch(reader, photos, feature_index)
        self._follow_hashes = _OneAtATime(partial(hash_index.follow, changes))
        self._follow_features = _OneAtATime(partial(feature_index.follow, changes))
        """Separate from the hashes, so that whole copies are found while the index of features is being read."""

    @property
    def sizes(self) -> IndexSizes:
        return IndexSizes(self._hash_index.size, self._feature_index.size)

    async def refresh(self) -> Checkpoint:
        """Update the index of hashes from the store; raises StoreError."""
        return await self._follow_hashes()

    async def warm_up(self) -> None:
        """Update both indexes from the store in advance of the next search; raises StoreError."""
        await self._follow_hashes()
        await self._follow_features()

    async def search(self, data: bytes) -> SearchResult:
        """Find the accounts that posted a photo; raises ImageError or StoreError."""
        started = time.perf_counter()
        following = self._follow_hashes.started()  # the index follows the store while a worker hashes the query
        query = await self._reader.hash_query(data)
        hashed = time.perf_counter()
        searched = await following
        if query.hashes.is_flat:
            found = _Found([], "unsearchable")
        else:
            found = await self._by_hashes(query.hashes)
            if not found.has_match:
                found = await self._by_features(query, data, found)
                found = await self._with_copies(found)
        return _result(found, searched, started=started, hashed=hashed)

    async def _by_hashes(self, query: PhotoHashes) -> _Found:
        """Grade the images that are the same file or have near hashes, the nearest first."""
        candidates = self._hash_index.near(dihedral(query.pdq), np.frombuffer(query.dhash, np.uint8)[None, :])
        identical = await self._photos.find_photo_id(query.sha256)
        if identical is not None:
            candidates.add(identical)
        likenesses = _likenesses(query, await self._photos.find_references(candidates)) if candidates else []
        likenesses.sort(key=lambda likeness: likeness.pdq_distance)
        return _Found([one for likeness in likenesses if (one := grade(query, likeness))])

    async def _by_features(self, query: HashedQuery, data: bytes, near: _Found) -> _Found:
        """Search by features; images with near hashes are verified too, and keep their grade if they cannot be."""
        await self._follow_features()
        found = await self._feature_search.find(query, data, [one.image.photo_id for one in near.graded[:NEARBY]])
        evidence = {one.photo_id: one for one in found.evidence}
        images = await self._photos.find_references(evidence)
        verified = [one for image in images if (one := grade_evidence(image, evidence[image.photo_id]))]
        rest = [one for one in near.graded if one.image.photo_id not in evidence]
        is_blank = query.hashes.pdq_quality < MIN_PDQ_QUALITY or found.features < FEWEST_FEATURES
        return _Found([*verified, *rest], "unsearchable" if is_blank else "none")

    async def _with_copies(self, found: _Found) -> _Found:
        """Add other copies of the photos that matched, with the confidence of the photo found."""
        matches = [one for one in found.graded if one.grade == "match"]
        originals = [one for one in matches if not one.image.hashes.is_sparse]
        if not originals:
            return found
        pdq = np.frombuffer(b"".join(one.image.hashes.pdq for one in originals), np.uint8).reshape(-1, 32)
        near = self._hash_index.near(pdq, np.empty((0, 8), np.uint8))
        others = await self._photos.find_references(near - {one.image.photo_id for one in matches})
        surest_first = sorted(originals, key=lambda one: -one.confidence)
        copies = [
            replace(original, image=other)
            for other in others
            if (original := next((one for one in surest_first if is_same_photo(one.image.hashes, other.hashes)), None))
        ]
        return replace(found, graded=[*found.graded, *copies])


class _OneAtATime(Generic[T]):
    """Work that is done for one caller at a time, again for each caller.

    Callers that waited while it failed for another one get the same error at once: the timeouts of a database that does
    not respond must not add up.
    """

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._lock = asyncio.Lock()
        self._failures = 0
        self._failure: StoreError | None = None
        self._running: set[asyncio.Task[T]] = set()

    def started(self) -> "asyncio.Task[T]":
        """Start the work as a task; it finishes even if the caller abandons it, and then fails silently."""
        task = asyncio.create_task(self())
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

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

    def _ended(self, task: "asyncio.Task[T]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, because Python warns of exceptions that are never retrieved


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


def _result(found: _Found, searched: Checkpoint, *, started: float, hashed: float) -> SearchResult:
    """Build the result from graded candidates; an account that matched is not listed as similar too."""
    matches = rank(one for one in found.graded if one.grade == "match")
    named = {match.username for match in matches}
    similar = rank(one for one in found.graded if one.grade == "similar" and one.image.place.username not in named)
    verdict: Verdict = "match" if matches else "similar" if similar else found.empty_verdict
    milliseconds = 1000 * (time.perf_counter() - started)
    return SearchResult(verdict, matches, similar, searched, milliseconds, 1000 * (hashed - started))
