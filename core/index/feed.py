"""What an index hears from the store: changes by revision."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.model import Checkpoint


@dataclass(frozen=True, slots=True, eq=False)
class FingerprintPage:
    """Some fingerprints as parallel arrays: ids (n,) int64, pdq (n, 32) and dhash (n, 8) uint8.

    `is_searchable` (n,) bool is False for flat pictures and for fingerprints of another version.
    """

    ids: NDArray[np.int64]
    pdq: NDArray[np.uint8]
    dhash: NDArray[np.uint8]
    is_searchable: NDArray[np.bool_]


class Feed(Protocol):
    """The store, as an index sees it."""

    async def checkpoint(self) -> Checkpoint: ...

    def fingerprints_after(self, revision: int) -> AsyncIterator[FingerprintPage]: ...

    async def removed_after(self, revision: int) -> NDArray[np.int64]: ...
