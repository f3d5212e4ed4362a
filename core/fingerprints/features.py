"""Extract features from pixels: local features as binary codes with their positions, and a small grey copy.

A feature is a SIFT keypoint (Lowe 2004) whose descriptor is turned into a RootSIFT (Arandjelovic and Zisserman 2012):
it is found again in crops, screenshots and turned copies. Its code is the signs of 256 rotated coordinates of the
descriptor (Charikar 2002): the Hamming distance of two codes grows with the angle between their descriptors. A true
copy repeats the codes of a photo (about 19 of 256 bits apart), another photo of the same scene only resembles them
(43). docs/matching.md explains how this method was chosen, and over which others.
"""

import io
from dataclasses import dataclass
from functools import cache
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.imaging.decoding import Photo
from core.model.fingerprints import CODE_BYTES, FEATURE_BYTES, PhotoFeatures

FEATURES_VERSION = 1
"""Increase it whenever the features of the same bytes change: old rows are then computed again."""

REFERENCE_SIDE = 224
"""Long side in pixels of the copy from which a reference image's features are taken, and of its thumbnail."""
REFERENCE_FEATURES = 150
THUMBNAIL_QUALITY = 50
"""WebP quality: 3 KB per thumbnail."""

Pass = tuple[tuple[int, int], ...]
FIRST_PASS: Pass = ((240, 400), (110, 150))
"""Short side in pixels and number of features. The small copy yields the coarse features that a small crop shares with
its reference image; in the large copy fine ones displace them (docs/decisions/0006-two-sizes-of-a-query.md)."""
RICH_PASS: Pass = ((384, 1200),)
"""For small pictures inside large ones: a cell of a grid of nine is 128 pixels wide here."""

CONTRAST_THRESHOLD = 0.01
"""Half of Lowe's threshold, so that dark and flat pictures have features too."""
DARKEST, BRIGHTEST = 1, 99
MAX_GAIN = 3.0
"""Grey levels are stretched between these percentiles before features are detected, by at most this factor."""

DESCRIPTOR_CELLS, DESCRIPTOR_TURNS = 4, 8
"""A descriptor is 4 rows of 4 cells of 8 orientations."""
DESCRIPTOR_SIZE = DESCRIPTOR_CELLS**2 * DESCRIPTOR_TURNS

MEAN = np.frombuffer(
    bytes.fromhex(
        "473b32353f2c232d85543431392b2948864c2b2a342e3152492f242a3832303a583d343e4d372935aa5d373d49362f5b"
        "ab5c3035453b365e5b372934453a323e583529374d3e343daa5b2f36493d375dab5e363b4535305c5b3e323a45342937"
        "472d232c3f35323b8548292b393134548652312e342a2b4c493a3032382a242f"
    ),
    np.uint8,
)
"""The mean RootSIFT of 300 photos and their mirror images, in thousandths."""

FEATURE = np.dtype(
    [("code", np.uint8, CODE_BYTES), ("x", "<u2"), ("y", "<u2"), ("size", np.uint8), ("angle", np.uint8)],
)
"""A stored feature: positions in 65,536ths of the long side, angles in 256ths of a turn, sizes logarithmic."""
PLACE_STEPS, ANGLE_STEPS, SIZE_STEPS = 65536, 256, 20
SMALLEST_SIZE = 2.0**-10
"""In long sides; SIZE_STEPS steps double it, so the largest is 6 long sides."""
assert FEATURE.itemsize == FEATURE_BYTES  # noqa: S101 - the stored format


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The local features of a picture, as parallel arrays; all lengths are in long sides of the picture."""

    codes: NDArray[np.uint8]
    """(n, 32) uint8."""
    points: NDArray[np.float32]
    """x and y, (n, 2) float32."""
    sizes: NDArray[np.float32]
    """(n,) float32."""
    angles: NDArray[np.float32]
    """In radians, clockwise, (n,) float32."""

    def __len__(self) -> int:
        return len(self.codes)

    def packed(self) -> bytes:
        """Return the features in their stored form, FEATURE_BYTES each."""
        rows = np.zeros(len(self), FEATURE)
        rows["code"] = self.codes
        for column, name in enumerate("xy"):
            rows[name] = np.clip(self.points[:, column] * PLACE_STEPS, 0, PLACE_STEPS - 1)
        rows["size"] = np.clip(np.rint(np.log2(self.sizes / SMALLEST_SIZE) * SIZE_STEPS), 0, 255)
        rows["angle"] = np.rint(self.angles / (2 * np.pi) * ANGLE_STEPS).astype(np.int64) % ANGLE_STEPS
        return rows.tobytes()

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """Read stored features; raises ValueError for bytes of another form."""
        rows = np.frombuffer(packed, FEATURE)
        return cls(
            codes=np.ascontiguousarray(rows["code"]),
            points=(np.stack([rows["x"], rows["y"]], axis=1) + np.float32(0.5)) / np.float32(PLACE_STEPS),
            sizes=np.exp2(rows["size"].astype(np.float32) / SIZE_STEPS) * np.float32(SMALLEST_SIZE),
            angles=rows["angle"] * np.float32(2 * np.pi / ANGLE_STEPS),
        )

    @classmethod
    def joined(cls, parts: "list[Features]") -> Self:
        return cls(
            codes=np.concatenate([part.codes for part in parts]),
            points=np.concatenate([part.points for part in parts]),
            sizes=np.concatenate([part.sizes for part in parts]),
            angles=np.concatenate([part.angles for part in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class QueryFeatures:
    """The features of a query image and of its mirror image."""

    plain: Features
    mirrored: Features


def photo_features(photo: Photo) -> PhotoFeatures:
    """Extract the features of a photo; the same pixels always give the same features."""
    small = fitted(photo.pixels, long_side=REFERENCE_SIDE)
    features = _detected(small, REFERENCE_FEATURES).plain
    return PhotoFeatures(features.packed(), _thumbnail(small), FEATURES_VERSION)


def query_features(pixels: NDArray[np.uint8], sizes: Pass) -> QueryFeatures:
    """Extract the features of a query image (rows, columns) uint8 at several sizes."""
    short = min(pixels.shape)
    copies = [(_shrunk(pixels, side / short), count) for side, count in sizes]
    found = [_detected(copy, count) for copy, count in copies]
    return QueryFeatures(
        plain=Features.joined([each.plain for each in found]),
        mirrored=Features.joined([each.mirrored for each in found]),
    )


def fitted(pixels: NDArray[np.uint8], *, long_side: int) -> NDArray[np.uint8]:
    """Return a picture, shrunk if its long side is longer than this."""
    return _shrunk(pixels, long_side / max(pixels.shape))


def opened(thumbnail: bytes) -> NDArray[np.uint8]:
    """Return the pixels (rows, columns) uint8 of a stored thumbnail."""
    with Image.open(io.BytesIO(thumbnail), formats=["WEBP"]) as image:
        return np.asarray(image.convert("L"))


def _shrunk(pixels: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    if factor >= 1:
        return pixels
    height, width = (max(1, round(side * factor)) for side in pixels.shape)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=THUMBNAIL_QUALITY, method=2)
    return file.getvalue()


def _detected(pixels: NDArray[np.uint8], count: int) -> QueryFeatures:
    """Detect the strongest features of a picture, and derive those of its mirror image from them."""
    keypoints, descriptors = _sift(count).detectAndCompute(_stretched(pixels), None)
    height, width = pixels.shape
    if descriptors is None or not len(keypoints):
        return QueryFeatures(_NONE, _NONE)
    side = max(height, width)
    strongest = np.argsort([-keypoint.response for keypoint in keypoints], kind="stable")[:count]
    chosen, described = [keypoints[row] for row in strongest], np.asarray(descriptors, np.float32)[strongest]
    points = ((np.array([keypoint.pt for keypoint in chosen], np.float32) + np.float32(0.5)) / side).astype(np.float32)
    sizes = np.array([keypoint.size for keypoint in chosen], np.float32) / side
    angles = np.radians(np.array([keypoint.angle for keypoint in chosen], np.float32))
    opposite = np.stack([np.float32(width / side) - points[:, 0], points[:, 1]], axis=1)
    return QueryFeatures(
        plain=Features(_codes(described), points, sizes, angles),
        mirrored=Features(_codes(described[:, MIRRORED]), opposite, sizes, np.mod(np.pi - angles, 2 * np.pi)),
    )


@cache
def _sift(count: int) -> cv2.SIFT:
    cv2.setNumThreads(1)  # each core already has a worker
    return cv2.SIFT.create(nfeatures=count, contrastThreshold=CONTRAST_THRESHOLD)


def _stretched(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretch the grey levels of a dim or pale picture over the whole range."""
    darkest, brightest = np.percentile(pixels, (DARKEST, BRIGHTEST))
    gain = min(MAX_GAIN, 255 / max(brightest - darkest, 1.0))
    centred = (np.arange(256) - (darkest + brightest) / 2) * gain + 127.5
    return np.asarray(np.clip(centred, 0, 255).astype(np.uint8)[pixels])


def _codes(descriptors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn SIFT descriptors (n, 128) into codes (n, 32)."""
    roots = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1.0))
    return np.packbits((roots - MEAN / np.float32(1000)) @ _rotations() > 0, axis=1)


SIGNS = bytes.fromhex("9f1c5be0d72a4683b1c47e0f93d86a2562f90dcb75a1e83409bdc65f1e8273d4")


@cache
def _rotations() -> NDArray[np.float32]:
    """Return two random rotations side by side, (128, 256): a Hadamard matrix, random signs, and the matrix again.

    They are the same on every machine and with every version of numpy, unlike a library's random numbers.
    """
    hadamard = np.array([[1.0]])
    while len(hadamard) < DESCRIPTOR_SIZE:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    signs = np.unpackbits(np.frombuffer(SIGNS, np.uint8)).reshape(2, DESCRIPTOR_SIZE) * 2.0 - 1.0
    both = [(hadamard * some) @ hadamard for some in signs]
    return (np.concatenate(both, axis=1) / DESCRIPTOR_SIZE).astype(np.float32)


def _mirrored_order() -> NDArray[np.intp]:
    """Return the order of a descriptor's coordinates in the descriptor of the mirror image."""
    order = np.arange(DESCRIPTOR_SIZE).reshape(DESCRIPTOR_CELLS, DESCRIPTOR_CELLS, DESCRIPTOR_TURNS)
    return order[::-1, :, -np.arange(DESCRIPTOR_TURNS) % DESCRIPTOR_TURNS].reshape(-1)


MIRRORED = _mirrored_order()

_NONE = Features(
    np.empty((0, CODE_BYTES), np.uint8), np.empty((0, 2), np.float32), np.empty(0, np.float32), np.empty(0, np.float32)
)
