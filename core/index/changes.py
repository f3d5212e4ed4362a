"""What an index hears from the store: changes by revision."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.model.records import Checkpoint


@dataclass(frozen=True, slots=True, eq=False)
class HashPage:
    """The hashes of some photos as parallel arrays: ids (n,) int64, pdq (n, 32) and dhash (n, 8) uint8.

    `is_searchable` (n,) bool is False for flat pictures and for hashes of another version.
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


class ChangeFeed(Protocol):
    """Gives the changes of the store by revision."""

    async def read_checkpoint(self) -> Checkpoint: ...

    def read_hashes(self, revision: int) -> AsyncIterator[HashPage]: ...

    def read_features(self, revision: int) -> AsyncIterator[FeaturePage]: ...

    async def read_removed(self, revision: int) -> NDArray[np.int64]: ...
