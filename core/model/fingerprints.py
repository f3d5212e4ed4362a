"""What is kept of a picture's looks: its hashes, and its local features."""

from dataclasses import dataclass

SPARSE_PERCENT = 40
"""From this share of flat blocks a picture counts as drawn (text card, screenshot of a post).

Of 1,696 photos 3.7 % reach it, of 750 made-up quotes, posts, chats and stories 95 %. Pictures drawn from one
template lie within PDQ's radius of each other, so a near hash proves nothing about them.
"""


FLAT_PERCENT = 100
"""A picture without one block of detail. The flattest of 1,696 photos has 82 %."""


MIN_PDQ_QUALITY = 50
"""PDQ's authors distrust hashes below this quality; 2 of 1,696 photos are below it."""


@dataclass(frozen=True, slots=True)
class PhotoHashes:
    """The whole-image hashes of a picture; width and height are those of the upright picture in pixels."""

    sha256: bytes  # 32 bytes, of the file
    dhash: bytes  # 8 bytes
    pdq: bytes  # 32 bytes
    pdq_quality: int  # 0 to 100
    flat_percent: int  # share of blocks without detail, 0 to 100
    width: int
    height: int
    version: int

    @property
    def is_flat(self) -> bool:
        """Tell whether there is nothing in the picture to recognise it by: it never matches anything."""
        return self.flat_percent >= FLAT_PERCENT

    @property
    def is_sparse(self) -> bool:
        """Tell whether the picture has too little detail for near hashes to be proof."""
        return self.flat_percent >= SPARSE_PERCENT or self.pdq_quality < MIN_PDQ_QUALITY


CODE_BYTES, FEATURE_BYTES = 32, 38


@dataclass(frozen=True, slots=True)
class PhotoFeatures:
    """The local features of a picture and a small grey copy of it, as core/fingerprints/features.py packs them."""

    codes: bytes  # FEATURE_BYTES a feature, of which the first CODE_BYTES are its code
    thumbnail: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of the two fingerprints that are current; rows with others wait in the backlog."""

    hashes: int
    features: int
