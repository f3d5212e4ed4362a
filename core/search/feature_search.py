"""The search by features: it gathers evidence for the reference images that may be in a query.

1. A worker extracts the query's features; the index proposes the images that share most of them.
2. The candidates' features come from the store; a worker lays the query over each of the likeliest.
3. If nothing is sure, repeat with the mirror image's features, then with the features of a larger copy.
The search ends as soon as it is sure, except in a collage: there it goes on to find the other members.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from core.fingerprints.features import FIRST_PASS, RICH_PASS, Pass
from core.matching.calibration import confidence
from core.model.matches import Evidence
from core.search.ports import FeatureLookup, PhotoLookup, QueryReader
from core.workers.tasks import CandidateCheck, Description, HashedQuery

SURE = 0.9
SMALL_PART = 0.3
"""Share of the query: an image that fills less may be part of a grid. A post in a screenshot fills 35 % and more."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round of the search."""

    sizes: Pass
    """The copies of the query from which features are extracted."""
    shortlist: int
    """Number of images that the index proposes."""
    ways: tuple[bool, ...]
    """Orientations to try: plain (False), mirrored (True)."""


ROUNDS = (Round(FIRST_PASS, 12, (False, True)), Round(RICH_PASS, 16, (False,)))
"""Of 4,900 edited copies of 850 photos the right one is among the first 10 of the shortlist in all but 5."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of a search by features."""

    evidence: tuple[Evidence, ...]
    """The best evidence for each image that may be in the query."""
    features: int
    """Number of features of the query."""


class FeatureSearch:
    """The search for reference images in a query by their local features."""

    def __init__(self, reader: QueryReader, photos: PhotoLookup, index: FeatureLookup) -> None:
        self._reader = reader
        self._photos = photos
        self._index = index

    async def find(self, query: HashedQuery, data: bytes, nearby: Collection[int]) -> Findings:
        """Return the best evidence for each image that may be in the query; raises ImageError or StoreError.

        The images `nearby` have near hashes, and are verified too.
        """
        found: dict[int, Evidence] = {}
        for one in ROUNDS:
            description = await self._description(query, data, one.sizes)
            for is_mirrored in one.ways:
                for evidence in await self._verified(description, nearby, one.shortlist, is_mirrored=is_mirrored):
                    if confidence(evidence) > _confidence_of(found.get(evidence.photo_id)):
                        found[evidence.photo_id] = evidence
                if _is_settled(found.values()):
                    return Findings(tuple(found.values()), len(description.features.plain))
        return Findings(tuple(found.values()), len(description.features.plain))

    async def _description(self, query: HashedQuery, data: bytes, sizes: Pass) -> Description:
        """Extract features from the pixels that were hashed; decode the query again only if they are too small."""
        if query.has_pixels_for(max(side for side, _ in sizes)):
            return await self._reader.describe_pixels(query.pixels, sizes)
        return await self._reader.describe_bytes(data, sizes)

    async def _verified(
        self, description: Description, nearby: Collection[int], size: int, *, is_mirrored: bool
    ) -> list[Evidence]:
        features = description.features.mirrored if is_mirrored else description.features.plain
        proposed = await self._index.shortlist(features.codes, size=size)
        candidates = await self._photos.read_features({*proposed, *nearby})
        if not candidates:
            return []
        return await self._reader.verify(CandidateCheck(description, list(candidates.items()), is_mirrored))


def _confidence_of(evidence: Evidence | None) -> float:
    return confidence(evidence) if evidence else -1.0


def _is_settled(found: Iterable[Evidence]) -> bool:
    """Tell whether the search is done: one image is sure, and fills too much of the query for a collage."""
    return any(confidence(one) >= SURE and one.placement.covered >= SMALL_PART for one in found)
