"""The changes of the store by revision, as an index reads them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.model.records import Checkpoint


@dataclass(frozen=True, slots=True, eq=False)
class HashPage:
    """The hashes of some photos, as parallel arrays."""

    ids: NDArray[np.int64]
    """(n,) int64."""
    pdq: NDArray[np.uint8]
    """(n, 32) uint8."""
    dhash: NDArray[np.uint8]
    """(n, 8) uint8."""
    is_searchable: NDArray[np.bool_]
    """(n,) bool; False for flat pictures and for hashes of another version."""


@dataclass(frozen=True, slots=True, eq=False)
class FeaturePage:
    """The codes of the features of some photos."""

    ids: NDArray[np.int64]
    """(n,) int64."""
    counts: NDArray[np.int64]
    """Codes per photo, (n,) int64; 0 for features of another version, and for pictures without features."""
    codes: NDArray[np.uint8]
    """The codes of all photos in order, (sum of counts, 32) uint8."""


class ChangeFeed(Protocol):
    """Source of the store's changes by revision."""

    async def read_checkpoint(self) -> Checkpoint: ...

    def read_hashes(self, revision: int) -> AsyncIterator[HashPage]: ...

    def read_features(self, revision: int) -> AsyncIterator[FeaturePage]: ...

    async def read_removed(self, revision: int) -> NDArray[np.int64]: ...
