"""The search, for every front end: the bytes of a query image -> SearchResult.

1. The query is read and fingerprinted in a worker process, while the index follows the store.
2. Candidates: the same file by its SHA-256; fingerprints near by PDQ in eight orientations, or by dhash.
3. Who has them is asked of the store, so that a name is right as of now.
4. Each candidate is graded, and the matches are ranked: one a username, best first.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np

from core.hashing import VARIANTS, dihedral
from core.index.feed import Feed
from core.index.photo_index import PhotoIndex
from core.model import MIN_PDQ_QUALITY, Checkpoint, LightFingerprint, ReferenceImage, SearchResult, Verdict
from core.ranking import Graded, Likeness, grade, rank


class Reader(Protocol):
    """What reads a query image."""

    async def fingerprint_bytes(self, data: bytes) -> LightFingerprint: ...


class Catalogue(Feed, Protocol):
    """The store, as the search sees it."""

    async def light_id(self, sha256: bytes) -> int | None: ...

    async def references(self, light_ids: Collection[int]) -> list[ReferenceImage]: ...


class SearchEngine:
    """Search for photos by their looks; for one event loop."""

    def __init__(self, reader: Reader, store: Catalogue, index: PhotoIndex) -> None:
        self._reader = reader
        self._store = store
        self._index = index
        self._following = asyncio.Lock()

    async def refresh(self) -> Checkpoint:
        """Let the index follow the store; raises StoreError."""
        async with self._following:
            return await self._index.follow(self._store)

    async def search(self, data: bytes) -> SearchResult:
        """Find the accounts that posted a picture; raises ImageError or StoreError."""
        started = time.perf_counter()
        query = await self._reader.fingerprint_bytes(data)
        searched = await self.refresh()
        graded = [] if query.is_flat else await self._graded(query)
        matches = rank(one for one in graded if one.grade == "match")
        named = {match.username for match in matches}
        similar = rank(one for one in graded if one.grade == "similar" and one.image.place.username not in named)
        verdict: Verdict = "match" if matches else "similar" if similar else _empty_verdict(query)
        return SearchResult(verdict, matches, similar, searched, 1000 * (time.perf_counter() - started))

    async def _graded(self, query: LightFingerprint) -> list[Graded]:
        candidates = self._index.near(dihedral(query.pdq), np.frombuffer(query.dhash, np.uint8)[None, :])
        identical = await self._store.light_id(query.sha256)
        if identical is not None:
            candidates.add(identical)
        likenesses = _likenesses(query, await self._store.references(candidates)) if candidates else []
        return [graded for likeness in likenesses if (graded := grade(query, likeness))]


def _likenesses(query: LightFingerprint, images: Sequence[ReferenceImage]) -> list[Likeness]:
    """Compare the query, in its eight orientations, with reference images."""
    if not images:
        return []
    theirs = np.frombuffer(b"".join(image.light.pdq for image in images), np.uint64).reshape(-1, 1, 4)
    distances = np.bitwise_count(theirs ^ dihedral(query.pdq).view(np.uint64)[None, :, :]).sum(axis=2)
    nearest = distances.argmin(axis=1)
    return [
        Likeness(
            image=image,
            pdq_distance=int(distances[row, variant]),
            transformation=VARIANTS[variant],
            is_identical=image.light.sha256 == query.sha256,
        )
        for row, (image, variant) in enumerate(zip(images, nearest.tolist(), strict=True))
    ]


def _empty_verdict(query: LightFingerprint) -> Verdict:
    return "unsearchable" if query.is_flat or query.pdq_quality < MIN_PDQ_QUALITY else "none"
