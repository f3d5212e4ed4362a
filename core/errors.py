"""The errors that a person can meet, as a tree; each message is one sentence with its remedy.

IgSearchError             carries the exit code
├── SettingsError     78  the settings are wrong
├── PathError         66  no such file or folder
├── ImageError        65  the picture cannot be read; carries the kind that the ledger keeps
│   ├── Unreadable        corrupt
│   │   ├── Crashed       crash: it killed the process that read it
│   │   └── NotPermitted  the system refuses to read it
│   ├── TooLarge          limit
│   ├── Unsupported       type
│   └── TooSlow           time
├── StoreError        69  the database
│   ├── Unavailable       does not answer
│   ├── NotReady          is not set up yet, and this user may not set it up
│   ├── Denied            refuses its user a permission
│   └── SchemaMismatch    has the tables of another version, or none
├── IndexerBusy       75  another indexer holds the lock
└── NoWorkers         69  no process to read pictures in can be started
"""

from typing import ClassVar, Literal

FailureKind = Literal["corrupt", "type", "limit", "time", "crash"]


class IgSearchError(Exception):
    """Base class: the message is one sentence that says what happened and what to do next."""

    exit_code: ClassVar[int] = 70


class SettingsError(IgSearchError):
    """The settings are wrong; the message has a line for every fault."""

    exit_code = 78


class PathError(IgSearchError):
    """A named file or folder does not exist."""

    exit_code = 66


class ImageError(IgSearchError):
    """The picture cannot be read."""

    exit_code = 65
    kind: ClassVar[FailureKind] = "corrupt"
    is_transient: ClassVar[bool] = False
    """True if the same bytes may be readable later."""


class Unreadable(ImageError):
    """The bytes are damaged."""


class Crashed(Unreadable):
    """The picture killed the process that read it."""

    kind = "crash"
    is_transient = True


class NotPermitted(Unreadable):
    """The system refuses to read the file: missing permissions, or a failing disk."""

    is_transient = True


class TooLarge(ImageError):
    """The picture exceeds a limit: bytes, pixels, sides, scans, metadata or memory."""

    kind = "limit"


class Unsupported(ImageError):
    """The bytes are not a picture of a supported type, whatever the file name says."""

    kind = "type"


class TooSlow(ImageError):
    """Reading the picture took longer than its time limit."""

    kind = "time"
    is_transient = True


class StoreError(IgSearchError):
    """The database cannot carry out the request."""

    exit_code = 69


class Unavailable(StoreError):
    """The database does not answer."""


class NotReady(StoreError):
    """The database or its tables do not exist yet, and this user may not create them."""


class Denied(StoreError):
    """The database user lacks a permission."""


class SchemaMismatch(StoreError):
    """The database has the tables of another version of igsearch, or none."""


class IndexerBusy(IgSearchError):
    """Another indexer holds the writer's lock."""

    exit_code = 75


class NoWorkers(IgSearchError):
    """No process to read pictures in can be started; this says nothing about any picture."""

    exit_code = 69
