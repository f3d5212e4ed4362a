"""What a worker process does with one picture: read, digest, decode, fingerprint, compare."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.fingerprints.features import FEATURES_VERSION, Pass, QueryFeatures, photo_features, query_features
from core.fingerprints.hashes import HASHES_VERSION, photo_hashes
from core.imaging.decoding import decode, decode_colours
from core.imaging.files import read_file, sha256_of
from core.matching.verification import verify
from core.model.files import FileStamp
from core.model.fingerprints import PhotoFeatures, PhotoHashes, Versions
from core.model.matches import Evidence

VERSIONS = Versions(HASHES_VERSION, FEATURES_VERSION)


@dataclass(frozen=True, slots=True)
class FileHashes:
    """The hashes of a file, and the stamp of the bytes it was made from."""

    stamp: FileStamp
    hashes: PhotoHashes


@dataclass(frozen=True, slots=True)
class FileDigest:
    """The SHA-256 of a file, and the stamp of the bytes it was made from."""

    stamp: FileStamp
    sha256: bytes


@dataclass(frozen=True, slots=True)
class FileFeatures:
    """The features of a file, and the SHA-256 of the bytes it was made from."""

    sha256: bytes
    features: PhotoFeatures


@dataclass(frozen=True, slots=True, eq=False)
class HashedQuery:
    """A query photo's hashes, and the grey pixels (rows, columns) uint8 that they were made from.

    The pixels go with the hashes, 0.1 to 0.2 MB, so that the search by features need not decode the photo again.
    """

    hashes: PhotoHashes
    pixels: NDArray[np.uint8]

    def has_pixels_for(self, side: int) -> bool:
        """Tell whether a copy whose short side is so long can be made of the pixels as well as of the photo."""
        return bool(min(self.pixels.shape) >= min(side, self.hashes.width, self.hashes.height))


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """A query image as the search by features sees it: grey pixels (rows, columns) uint8, and their features."""

    pixels: NDArray[np.uint8]
    features: QueryFeatures


@dataclass(frozen=True, slots=True, eq=False)
class CandidateCheck:
    """Candidates (id, features) to be looked for in a query, or in its mirror image."""

    description: Description
    candidates: Sequence[tuple[int, PhotoFeatures]]
    is_mirrored: bool


def hash_file(path: bytes) -> FileHashes:
    """Read a file and make its hashes; raises ImageError or PathError."""
    file = read_file(path)
    return FileHashes(file.stamp, hash_bytes(file.data))


def hash_bytes(data: bytes) -> PhotoHashes:
    """Make the hashes of a picture; raises ImageError."""
    return photo_hashes(decode(data), sha256_of(data))


def hash_query(data: bytes) -> HashedQuery:
    """Make the hashes of a query photo and keep its pixels; raises ImageError."""
    photo = decode(data)
    return HashedQuery(photo_hashes(photo, sha256_of(data)), photo.pixels)


def digest_file(path: bytes) -> FileDigest:
    """Digest a file without decoding it; raises ImageError or PathError."""
    file = read_file(path)
    return FileDigest(file.stamp, sha256_of(file.data))


def extract_features(path: bytes) -> FileFeatures:
    """Read a file and make its features; raises ImageError or PathError."""
    file = read_file(path)
    return FileFeatures(sha256_of(file.data), photo_features(decode(file.data)))


def describe_bytes(data: bytes, sizes: Pass) -> Description:
    """Decode a query photo and find its features; raises ImageError."""
    return describe_pixels(decode(data, side=max(side for side, _ in sizes)).pixels, sizes)


def describe_pixels(pixels: NDArray[np.uint8], sizes: Pass) -> Description:
    """Find the features of a decoded query photo, grey pixels (rows, columns) uint8."""
    return Description(pixels, query_features(pixels, sizes))


def colours(data: bytes, side: int) -> NDArray[np.uint8]:
    """Decode a picture to be shown: (rows, columns, 3) uint8, the short side about `side`; raises ImageError."""
    return decode_colours(data, side=side)


def verify_candidates(check: CandidateCheck) -> list[Evidence]:
    """Look for the candidates in a query, the best aligned first."""
    features = check.description.features
    chosen = features.mirrored if check.is_mirrored else features.plain
    return verify(check.description.pixels, chosen, check.candidates, is_mirrored=check.is_mirrored)
