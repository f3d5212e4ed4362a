"""The fingerprint of a picture: its hashes and its local features."""

from dataclasses import dataclass

SPARSE_PERCENT = 40
"""Percentage of flat blocks from which a picture counts as drawn (a text card, a screenshot of a post).

Of 1,696 photos 3.7 % reach it; of 750 generated quotes, posts, chats and stories 95 % do. Pictures drawn from one
template lie within PDQ's radius of each other, so near hashes prove nothing about them.
"""


FLAT_PERCENT = 100
"""A picture without a single block of detail. The flattest of 1,696 photos has 82 %."""


MIN_PDQ_QUALITY = 50
"""PDQ's authors distrust hashes below this quality; 2 of 1,696 photos are below it."""


@dataclass(frozen=True, slots=True)
class PhotoHashes:
    """The whole-image hashes of a picture."""

    sha256: bytes
    """Of the file; 32 bytes."""
    dhash: bytes
    """8 bytes."""
    pdq: bytes
    """32 bytes."""
    pdq_quality: int
    """0 to 100."""
    flat_percent: int
    """Percentage of blocks without detail, 0 to 100."""
    width: int
    """Of the upright picture, in pixels."""
    height: int
    """Of the upright picture, in pixels."""
    version: int
    """The HASHES_VERSION that computed them."""

    @property
    def is_flat(self) -> bool:
        """Tell whether the picture has nothing to recognise it by: it never matches anything."""
        return self.flat_percent >= FLAT_PERCENT

    @property
    def is_sparse(self) -> bool:
        """Tell whether the picture has too little detail for near hashes to prove a match."""
        return self.flat_percent >= SPARSE_PERCENT or self.pdq_quality < MIN_PDQ_QUALITY


CODE_BYTES, FEATURE_BYTES = 32, 38


@dataclass(frozen=True, slots=True)
class PhotoFeatures:
    """The local features of a picture and a small grey copy of it, as core/fingerprints/features.py packs them."""

    codes: bytes
    """FEATURE_BYTES per feature, the first CODE_BYTES of which are its code."""
    thumbnail: bytes
    """The grey copy, as WebP."""
    version: int
    """The FEATURES_VERSION that computed them."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The current versions of hashes and features; rows of other versions wait in the backlog."""

    hashes: int
    features: int
