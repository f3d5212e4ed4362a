"""The records of the store, and the changes that are applied to it."""

from dataclasses import dataclass
from datetime import datetime

from core.errors import FailureKind
from core.model.files import FileStamp, Place
from core.model.fingerprints import PhotoFeatures, PhotoHashes


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """The record of one file."""

    image_id: int
    place: Place
    stamp: FileStamp
    sha256: bytes
    """Of the file's content."""
    version: int
    """Version of its hashes."""


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """The ledger entry of an unreadable file."""

    place: Place
    stamp: FileStamp
    kind: FailureKind
    reason: str
    """The sentence of the error."""
    attempts: int
    """Number of times that it was tried."""
    reader_version: int
    """The READER_VERSION that failed."""
    failed_at: datetime
    next_retry: datetime | None
    """Time of the next attempt; None: when the file changes."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of the store at one revision."""

    database_id: str
    revision: int
    images: int
    """Images that are searched."""
    users: int
    """Accounts that are searched."""
    newest: datetime | None = None
    """Time at which the last image was added."""
    forgotten: int = 0
    """Revision at which an account was last forgotten; snapshots older than it may still hold that account's data."""


@dataclass(frozen=True, slots=True)
class PutImage:
    """A change to the record: the file at this place has this content."""

    place: Place
    stamp: FileStamp
    hashes: PhotoHashes


@dataclass(frozen=True, slots=True)
class MoveImage:
    """A change to the record: a known image now lies at this place, or has this stamp."""

    image_id: int
    place: Place
    stamp: FileStamp


@dataclass(frozen=True, slots=True)
class PutFailure:
    """A change to the record: the file cannot be read, so an image of older content at its place is removed.

    If the fault may pass, it says nothing about the bytes, and the image stays.
    """

    entry: LedgerRecord

    @property
    def may_pass(self) -> bool:
        return self.entry.next_retry is not None


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """A change to the record: there is no file at this path any more."""

    path: bytes


@dataclass(frozen=True, slots=True)
class OptOut:
    """An account that was forgotten, and is not indexed again until this is undone."""

    username: str
    forgotten_at: datetime
    images: int
    """Number of its images that were removed."""
    undone_at: datetime | None
    """None while the account must not be indexed."""


@dataclass(frozen=True, slots=True)
class PutFeatures:
    """A change to the record: the photo has these features, read from this file."""

    photo_id: int
    path: bytes
    features: PhotoFeatures


Change = PutImage | MoveImage | PutFailure | RemoveFile | PutFeatures


@dataclass(frozen=True, slots=True)
class BacklogEntry:
    """An entry of the backlog: a photo without current features."""

    photo_id: int
    sha256: bytes
    """Of the photo's bytes."""
    place: Place
    """A file with these bytes."""
    stamp: FileStamp
    failed: LedgerRecord | None
    """The ledger entry of that file, if it has one."""
