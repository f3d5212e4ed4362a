"""Compute the hashes of pixels: dhash and PDQ. The only module that uses ImageHash and pdqhash.

PDQ (Meta's ThreatExchange) has 256 bits: the signs of a 16 x 16 block of cosine coefficients relative to their median,
computed from a 64 x 64 grey copy of the picture. That copy is made here, by Pillow's antialiased HAMMING filter, the
same for every picture: the filter is symmetric, so a mirrored or turned picture has the permuted hash to within 6 bits.
With PDQ's own downsampling the eight variants are 26 to 41 bits apart, and two of three quarter turns are lost
(docs/decisions/0001-pdq-from-our-own-64-pixels.md).
"""

import imagehash
import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

from core.imaging.decoding import Photo
from core.model.fingerprints import PhotoHashes

HASHES_VERSION = 1
"""Increase it whenever the hashes of the same bytes change: old rows are then computed again."""

PDQ_SIDE = 64
DETAIL_SIDE = 256
BLOCK = 16
MIN_BLOCK_DEVIATION = 3.0
"""Standard deviation in grey levels: a block that varies less is flat. Strong JPEG leaves 1-2 in plain areas."""

SLOPES = np.stack(np.meshgrid(*[np.linspace(-1, 1, BLOCK)] * 2), axis=-1).reshape(-1, 2).astype(np.float32)
SLOPES /= np.linalg.norm(SLOPES, axis=0) * BLOCK
"""The horizontal and vertical slope of a block: variance along these is a gradient, which is not detail."""

ODD = np.arange(16) % 2 == 1
"""The coefficients of odd frequency: pdqhash writes frequencies 16 down to 1.

Mirroring negates these; the hash compares with the median, which is near 0, so negating a coefficient inverts its bit.
"""

VARIANTS = (
    (),
    ("mirrored",),
    ("mirrored", "rotated by about 180 degrees"),
    ("rotated by about 180 degrees",),
    ("mirrored", "rotated by about 270 degrees"),
    ("rotated by about 270 degrees",),
    ("rotated by about 90 degrees",),
    ("mirrored", "rotated by about 90 degrees"),
)
"""The edit of the reference image, turns clockwise, if that row of the query's `dihedral` is the nearest."""


def photo_hashes(photo: Photo, sha256: bytes) -> PhotoHashes:
    """Compute the hashes of a photo; the same pixels always give the same hashes."""
    grey = Image.fromarray(photo.pixels)
    pdq, quality = _pdq(grey)
    return PhotoHashes(
        sha256=sha256,
        dhash=np.packbits(imagehash.dhash(grey).hash).tobytes(),
        pdq=pdq,
        pdq_quality=quality,
        flat_percent=_flat_percent(grey),
        width=photo.width,
        height=photo.height,
        version=HASHES_VERSION,
    )


def dihedral(pdq: bytes) -> NDArray[np.uint8]:
    """Return the hashes (8, 32) of the picture in all eight orientations, in the order of VARIANTS."""
    bits = np.unpackbits(np.frombuffer(pdq, np.uint8)).reshape(16, 16).astype(bool)
    variants = [
        turned ^ (ODD[None, :] & flip_x) ^ (ODD[:, None] & flip_y)
        for turned in (bits, bits.T)
        for flip_y in (False, True)
        for flip_x in (False, True)
    ]
    return np.packbits(np.stack(variants).reshape(8, 256), axis=1)


def _pdq(grey: Image.Image) -> tuple[bytes, int]:
    small = np.asarray(grey.resize((PDQ_SIDE, PDQ_SIDE), Image.Resampling.HAMMING))
    bits, quality = pdqhash.compute(np.repeat(small[:, :, None], 3, axis=2))
    return np.packbits(bits.astype(bool)).tobytes(), int(quality)


def _flat_percent(grey: Image.Image) -> int:
    """Return the percentage of blocks without detail, rounded down; 100 if the picture is only smooth shading."""
    side = DETAIL_SIDE // BLOCK
    pixels = np.asarray(grey.resize((DETAIL_SIDE, DETAIL_SIDE), Image.Resampling.BOX), dtype=np.float32)
    blocks = pixels.reshape(side, BLOCK, side, BLOCK).swapaxes(1, 2).reshape(side * side, BLOCK * BLOCK)
    variances = blocks.var(axis=1)
    shading = (blocks @ SLOPES) ** 2
    if (variances - shading.sum(axis=1)).max() < MIN_BLOCK_DEVIATION**2:
        return 100
    return int(100 * np.count_nonzero(variances < MIN_BLOCK_DEVIATION**2) // len(blocks))
