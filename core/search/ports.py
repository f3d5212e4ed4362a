"""The interfaces that the search needs: workers that read photos, the store, and the two indexes."""

from collections.abc import Collection
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.fingerprints.features import Pass
from core.index.changes import ChangeFeed
from core.index.inverted_lists import Codes
from core.model.fingerprints import PhotoFeatures
from core.model.matches import Evidence, ReferenceImage
from core.model.records import Checkpoint
from core.workers.tasks import CandidateCheck, Description, HashedQuery


class QueryReader(Protocol):
    """Reader of query photos."""

    async def hash_query(self, data: bytes) -> HashedQuery: ...

    async def describe_pixels(self, pixels: NDArray[np.uint8], sizes: Pass) -> Description: ...

    async def describe_bytes(self, data: bytes, sizes: Pass) -> Description: ...

    async def verify(self, check: CandidateCheck) -> list[Evidence]: ...


class PhotoLookup(Protocol):
    """Lookup of indexed photos in the store."""

    async def find_photo_id(self, sha256: bytes) -> int | None: ...

    async def find_references(self, photo_ids: Collection[int]) -> list[ReferenceImage]: ...

    async def read_features(self, photo_ids: Collection[int]) -> dict[int, PhotoFeatures]: ...


class HashLookup(Protocol):
    """Index that proposes photos by their hashes."""

    @property
    def size(self) -> int:
        """The number of photos in the index."""

    async def follow(self, feed: ChangeFeed) -> Checkpoint: ...

    def near(self, pdq: NDArray[np.uint8], dhash: NDArray[np.uint8]) -> set[int]: ...


class FeatureLookup(Protocol):
    """Index that proposes photos by their local features."""

    @property
    def size(self) -> int:
        """The number of photos in the index."""

    async def follow(self, feed: ChangeFeed) -> Checkpoint: ...

    async def shortlist(self, codes: Codes, *, size: int) -> list[int]: ...
