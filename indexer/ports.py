"""What the indexer asks of others: the store, processes that read photos, and a meter."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from core.model.files import FileStamp
from core.model.fingerprints import PhotoHashes
from core.model.records import BacklogEntry, Change, Checkpoint, ImageRecord, LedgerRecord
from core.model.statuses import DaemonStatus, ScanReport, Stats
from core.workers.tasks import FileDigest, FileFeatures, FileHashes


class ChangeWriter(Protocol):
    """Writes changes of the record, at most one a path, as one transaction."""

    async def write(self, changes: Sequence[Change]) -> None: ...


class RecordStore(ChangeWriter, Protocol):
    """Holds the record of the dataset's files."""

    async def list_usernames(self) -> list[str]: ...

    async def list_opted_out(self) -> frozenset[str]: ...

    async def read_images(self, *usernames: str) -> dict[bytes, ImageRecord]: ...

    async def read_ledger(self, *usernames: str) -> dict[bytes, LedgerRecord]: ...

    async def find_relatives(self, stamps: Sequence[FileStamp]) -> list[ImageRecord]: ...

    async def find_hashes(self, sha256: bytes) -> PhotoHashes | None: ...


class BacklogStore(ChangeWriter, Protocol):
    """Holds the photos that wait for their features."""

    async def list_backlog(self, *, after: int, limit: int) -> Sequence[BacklogEntry]: ...


class StatusStore(Protocol):
    """Keeps reports of scans, and what the daemon says of itself."""

    async def note_scan(self, report: ScanReport, finished_at: datetime) -> None: ...

    async def note_daemon(self, status: DaemonStatus) -> None: ...

    async def read_stats(self) -> Stats: ...


class Checkpoints(Protocol):
    """Tells how far the store has come."""

    async def read_checkpoint(self) -> Checkpoint: ...


class SchemaSetup(Protocol):
    """Makes the tables."""

    async def is_current(self) -> bool: ...

    async def create(self) -> None: ...


class IndexerStore(RecordStore, BacklogStore, Protocol):
    """A whole store, as `igsearch index` and the daemon use it."""

    @property
    def schema(self) -> SchemaSetup: ...

    @property
    def changes(self) -> Checkpoints: ...

    @property
    def statuses(self) -> StatusStore: ...

    def hold_lock(self) -> AbstractAsyncContextManager[None]:
        """Hold the writer's lock; raises IndexerBusy."""

    async def verify_lock(self) -> None:
        """Make sure of the writer's lock; raises IndexerBusy or StoreError."""


class FileReader(Protocol):
    """Digests and hashes files."""

    async def digest_file(self, path: bytes) -> FileDigest: ...

    async def hash_file(self, path: bytes) -> FileHashes: ...


class FeatureExtractor(Protocol):
    """Extracts the features of files."""

    async def extract_features(self, path: bytes) -> FileFeatures: ...


class PhotoReader(FileReader, FeatureExtractor, Protocol):
    """Reads photo files, in processes of its own."""

    @property
    def is_alive(self) -> bool:
        """Tell whether there are processes, or can be."""

    async def release(self) -> None:
        """Give back the memory that the processes take."""


class IndexerMeter(Protocol):
    """Counts what the indexer does."""

    def filed(self, outcome: str, files: int = 1) -> None: ...

    def features_added(self) -> None: ...

    def daemon_is(self, status: DaemonStatus) -> None: ...

    async def keep_counting(self, stats: Callable[[], Awaitable[Stats]]) -> None:
        """Ask for the figures of the store now and then, for ever."""
