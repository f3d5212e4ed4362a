"""What a worker process does with one picture: read, digest, decode, fingerprint, compare."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.fingerprints.features import FEATURES_VERSION, Pass, QueryFeatures, photo_features, query_features
from core.fingerprints.hashes import HASHES_VERSION, fingerprint
from core.imaging.decoding import decode, decode_colours, read_file, sha256_of
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
class Description:
    """A query image as the search by features sees it: grey pixels (rows, columns) uint8, and their features."""

    pixels: NDArray[np.uint8]
    features: QueryFeatures


@dataclass(frozen=True, slots=True, eq=False)
class Question:
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
    return fingerprint(decode(data), sha256_of(data))


def digest_file(path: bytes) -> FileDigest:
    """Digest a file without decoding it; raises ImageError or PathError."""
    file = read_file(path)
    return FileDigest(file.stamp, sha256_of(file.data))


def extract_features(path: bytes) -> FileFeatures:
    """Read a file and make its features; raises ImageError or PathError."""
    file = read_file(path)
    return FileFeatures(sha256_of(file.data), photo_features(decode(file.data)))


def describe(data: bytes, sizes: Pass) -> Description:
    """Find the features of a query image; raises ImageError."""
    photo = decode(data, side=max(side for side, _ in sizes))
    return Description(photo.pixels, query_features(photo.pixels, sizes))


def colours(data: bytes, side: int) -> NDArray[np.uint8]:
    """Decode a picture to be shown: (rows, columns, 3) uint8, the short side about `side`; raises ImageError."""
    return decode_colours(data, side=side)


def answer(question: Question) -> list[Evidence]:
    """Examine the candidates of a query, the best aligned first."""
    features = question.description.features
    chosen = features.mirrored if question.is_mirrored else features.plain
    return verify(question.description.pixels, chosen, question.candidates, is_mirrored=question.is_mirrored)
