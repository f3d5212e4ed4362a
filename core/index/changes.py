"""What an index hears from the store: changes by revision."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.model.records import Checkpoint


@dataclass(frozen=True, slots=True, eq=False)
class FingerprintPage:
    """Some fingerprints as parallel arrays: ids (n,) int64, pdq (n, 32) and dhash (n, 8) uint8.

    `is_searchable` (n,) bool is False for flat pictures and for fingerprints of another version.
    """

    ids: NDArray[np.int64]
    pdq: NDArray[np.uint8]
    dhash: NDArray[np.uint8]
    is_searchable: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class FeaturePage:
    """The codes of some features: ids (n,) int64, counts (n,) int64, codes (sum of counts, 32) uint8.

    Those of another version, and pictures without features, have a count of 0.
    """

    ids: NDArray[np.int64]
    counts: NDArray[np.int64]
    codes: NDArray[np.uint8]


class Feed(Protocol):
    """The store, as an index sees it."""

    async def checkpoint(self) -> Checkpoint: ...

    def fingerprints_after(self, revision: int) -> AsyncIterator[FingerprintPage]: ...

    def features_after(self, revision: int) -> AsyncIterator[FeaturePage]: ...

    async def removed_after(self, revision: int) -> NDArray[np.int64]: ...
