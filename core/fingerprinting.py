"""What a worker process does with one picture: read, digest, decode, fingerprint."""

from dataclasses import dataclass

from core.hashing import fingerprint
from core.model import FileStamp, LightFingerprint
from core.photos import decode, read_file, sha256_of


@dataclass(frozen=True, slots=True)
class FileFingerprint:
    """The light fingerprint of a file, and the stamp of the bytes it was made from."""

    stamp: FileStamp
    light: LightFingerprint


@dataclass(frozen=True, slots=True)
class FileDigest:
    """The SHA-256 of a file, and the stamp of the bytes it was made from."""

    stamp: FileStamp
    sha256: bytes


def fingerprint_file(path: bytes) -> FileFingerprint:
    """Read a file and make its light fingerprint; raises ImageError or PathError."""
    file = read_file(path)
    return FileFingerprint(file.stamp, fingerprint_bytes(file.data))


def fingerprint_bytes(data: bytes) -> LightFingerprint:
    """Make the light fingerprint of a picture; raises ImageError."""
    return fingerprint(decode(data), sha256_of(data))


def digest_file(path: bytes) -> FileDigest:
    """Digest a file without decoding it; raises ImageError or PathError."""
    file = read_file(path)
    return FileDigest(file.stamp, sha256_of(file.data))
