"""Everything that can go wrong for a person, as a tree; each error is one sentence with its remedy.

IgSearchError             carries the exit code
├── SettingsError     78  the settings are wrong
├── PathError         66  no such file or folder
├── ImageError        65  the picture cannot be read; carries the kind that the ledger keeps
│   ├── Unreadable        corrupt
│   │   ├── Crashed       crash: it killed the process that read it
│   │   └── NotPermitted  the system does not give the bytes
│   ├── TooLarge          limit
│   ├── Unsupported       type
│   └── TooSlow           time
├── StoreError        69  the database
│   ├── Unavailable       does not answer
│   ├── NotReady          is still being set up, by who may do that
│   ├── Denied            does not grant its user something
│   └── SchemaMismatch    has the tables of another version, or none
├── IndexerBusy       75  another indexer holds the lock
└── NoWorkers         69  the system gives no process to read pictures in
"""

from typing import ClassVar, Literal

FailureKind = Literal["corrupt", "type", "limit", "time", "crash"]


class IgSearchError(Exception):
    """One sentence that says what happened and what to do next."""

    exit_code: ClassVar[int] = 70


class SettingsError(IgSearchError):
    """The settings are wrong; the message has a line for every fault."""

    exit_code = 78


class PathError(IgSearchError):
    """A file or folder that was named is not there."""

    exit_code = 66


class ImageError(IgSearchError):
    """The picture cannot be read."""

    exit_code = 65
    kind: ClassVar[FailureKind] = "corrupt"
    is_transient: ClassVar[bool] = False
    """Whether the same bytes may be readable later."""


class Unreadable(ImageError):
    """The bytes are damaged."""


class Crashed(Unreadable):
    """The picture killed the process that read it."""

    kind = "crash"
    is_transient = True


class NotPermitted(Unreadable):
    """The system does not give the bytes: rights, or a failing disk."""

    is_transient = True


class TooLarge(ImageError):
    """The picture passes a limit: bytes, pixels, sides, scans, metadata or memory."""

    kind = "limit"


class Unsupported(ImageError):
    """The bytes are no picture of a supported type, whatever the name says."""

    kind = "type"


class TooSlow(ImageError):
    """Reading the picture took longer than its time limit."""

    kind = "time"
    is_transient = True


class StoreError(IgSearchError):
    """The database cannot do what was asked."""

    exit_code = 69


class Unavailable(StoreError):
    """The database does not answer."""


class NotReady(StoreError):
    """The database, or its tables, are not made yet, and this user may not make them."""


class Denied(StoreError):
    """The database user lacks a right."""


class SchemaMismatch(StoreError):
    """The database has the tables of another version of igsearch, or none."""


class IndexerBusy(IgSearchError):
    """Another indexer holds the writer's lock."""

    exit_code = 75


class NoWorkers(IgSearchError):
    """No process can be started to read pictures in; that says nothing about any picture."""

    exit_code = 69
