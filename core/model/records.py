"""What the store holds, and the changes that are applied to it."""

from dataclasses import dataclass
from datetime import datetime

from core.errors import FailureKind
from core.model.files import FileStamp, Place
from core.model.fingerprints import PhotoFeatures, PhotoHashes


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """What the store holds about one file."""

    image_id: int
    place: Place
    stamp: FileStamp
    sha256: bytes
    version: int  # of the hashes


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """An unreadable file: why, how often it was tried, and when it will be tried again (None: when it changes)."""

    place: Place
    stamp: FileStamp
    kind: FailureKind
    reason: str
    attempts: int
    reader_version: int
    failed_at: datetime
    next_retry: datetime | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far the store has come; `images` and `users` count what is searched, `newest` is when the last image came.

    At the revision `forgotten` an account was forgotten last: what is older on a disk may hold what it had.
    """

    database_id: str
    revision: int
    images: int
    users: int
    newest: datetime | None = None
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class PutImage:
    """A change of the record: the file at this place has this content."""

    place: Place
    stamp: FileStamp
    hashes: PhotoHashes


@dataclass(frozen=True, slots=True)
class MoveImage:
    """A change of the record: an image that is known now lies at this place, or has this stamp."""

    image_id: int
    place: Place
    stamp: FileStamp


@dataclass(frozen=True, slots=True)
class PutFailure:
    """A change of the record: the file cannot be read; an image of older content at its place goes.

    Unless the fault may pass: then it says nothing about the bytes, and the image stays.
    """

    entry: LedgerRecord

    @property
    def may_pass(self) -> bool:
        return self.entry.next_retry is not None


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """A change of the record: nothing lies at this path any more."""

    path: bytes


@dataclass(frozen=True, slots=True)
class OptOut:
    """An account that was forgotten, with so many images, and is not indexed again until that is undone."""

    username: str
    forgotten_at: datetime
    images: int
    undone_at: datetime | None


@dataclass(frozen=True, slots=True)
class PutFeatures:
    """A change of the record: the photo has these features, read from this file."""

    photo_id: int
    path: bytes
    features: PhotoFeatures


Change = PutImage | MoveImage | PutFailure | RemoveFile | PutFeatures


@dataclass(frozen=True, slots=True)
class BacklogEntry:
    """An entry of the backlog: bytes without features, a file that has them, and its ledger entry."""

    photo_id: int
    sha256: bytes
    place: Place
    stamp: FileStamp
    failed: LedgerRecord | None
