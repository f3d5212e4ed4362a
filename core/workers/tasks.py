"""The tasks of a worker process on one picture: read, digest, decode, fingerprint, compare."""

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
    """The hashes of a file."""

    stamp: FileStamp
    """Stamp of the file with the bytes that were hashed."""
    hashes: PhotoHashes


@dataclass(frozen=True, slots=True)
class FileDigest:
    """The SHA-256 of a file."""

    stamp: FileStamp
    """Stamp of the file with the bytes that were digested."""
    sha256: bytes


@dataclass(frozen=True, slots=True)
class FileFeatures:
    """The features of a file."""

    sha256: bytes
    """Of the bytes that the features come from."""
    features: PhotoFeatures


@dataclass(frozen=True, slots=True, eq=False)
class HashedQuery:
    """A query photo's hashes and pixels.

    The pixels, 0.1 to 0.2 MB, accompany the hashes so that the search by features need not decode the photo again.
    """

    hashes: PhotoHashes
    pixels: NDArray[np.uint8]
    """The grey pixels that were hashed, (rows, columns) uint8."""

    def has_pixels_for(self, side: int) -> bool:
        """Tell whether the pixels are enough for a copy with this short side, as the photo itself is."""
        return bool(min(self.pixels.shape) >= min(side, self.hashes.width, self.hashes.height))


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """A query image with its features."""

    pixels: NDArray[np.uint8]
    """Grey pixels, (rows, columns) uint8."""
    features: QueryFeatures


@dataclass(frozen=True, slots=True, eq=False)
class CandidateCheck:
    """A task of verifying candidates in a query."""

    description: Description
    """The query."""
    candidates: Sequence[tuple[int, PhotoFeatures]]
    """Photo ids and features."""
    is_mirrored: bool
    """True to search the query's mirror image."""


def hash_file(path: bytes) -> FileHashes:
    """Read a file and compute its hashes; raises ImageError or PathError."""
    file = read_file(path)
    return FileHashes(file.stamp, hash_bytes(file.data))


def hash_bytes(data: bytes) -> PhotoHashes:
    """Compute the hashes of a picture; raises ImageError."""
    return photo_hashes(decode(data), sha256_of(data))


def hash_query(data: bytes) -> HashedQuery:
    """Compute the hashes of a query photo and keep its pixels; raises ImageError."""
    photo = decode(data)
    return HashedQuery(photo_hashes(photo, sha256_of(data)), photo.pixels)


def digest_file(path: bytes) -> FileDigest:
    """Digest a file without decoding it; raises ImageError or PathError."""
    file = read_file(path)
    return FileDigest(file.stamp, sha256_of(file.data))


def extract_features(path: bytes) -> FileFeatures:
    """Read a file and extract its features; raises ImageError or PathError."""
    file = read_file(path)
    return FileFeatures(sha256_of(file.data), photo_features(decode(file.data)))


def describe_bytes(data: bytes, sizes: Pass) -> Description:
    """Decode a query photo and extract its features; raises ImageError."""
    return describe_pixels(decode(data, side=max(side for side, _ in sizes)).pixels, sizes)


def describe_pixels(pixels: NDArray[np.uint8], sizes: Pass) -> Description:
    """Extract the features of a decoded query photo, grey pixels (rows, columns) uint8."""
    return Description(pixels, query_features(pixels, sizes))


def colours(data: bytes, side: int) -> NDArray[np.uint8]:
    """Decode a picture for display: (rows, columns, 3) uint8, the short side about `side`; raises ImageError."""
    return decode_colours(data, side=side)


def verify_candidates(check: CandidateCheck) -> list[Evidence]:
    """Look for the candidates in a query, the best aligned first."""
    features = check.description.features
    chosen = features.mirrored if check.is_mirrored else features.plain
    return verify(check.description.pixels, chosen, check.candidates, is_mirrored=check.is_mirrored)
