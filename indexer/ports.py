"""The interfaces that the indexer needs: the store, processes that read photos, and a meter."""

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
    """Writer of changes to the record, at most one per path, in one transaction."""

    async def write(self, changes: Sequence[Change]) -> None: ...


class RecordStore(ChangeWriter, Protocol):
    """Store of the record of the dataset's files."""

    async def list_usernames(self) -> list[str]: ...

    async def list_opted_out(self) -> frozenset[str]: ...

    async def read_images(self, *usernames: str) -> dict[bytes, ImageRecord]: ...

    async def read_ledger(self, *usernames: str) -> dict[bytes, LedgerRecord]: ...

    async def find_relatives(self, stamps: Sequence[FileStamp]) -> list[ImageRecord]: ...

    async def find_hashes(self, sha256: bytes) -> PhotoHashes | None: ...


class BacklogStore(ChangeWriter, Protocol):
    """Store of the photos that wait for their features."""

    async def list_backlog(self, *, after: int, limit: int) -> Sequence[BacklogEntry]: ...


class StatusStore(Protocol):
    """Store of scan reports and of the daemon's status."""

    async def note_scan(self, report: ScanReport, finished_at: datetime) -> None: ...

    async def note_daemon(self, status: DaemonStatus) -> None: ...

    async def read_stats(self) -> Stats: ...


class Checkpoints(Protocol):
    """Source of the store's checkpoint."""

    async def read_checkpoint(self) -> Checkpoint: ...


class SchemaSetup(Protocol):
    """Setup of the tables."""

    async def is_current(self) -> bool: ...

    async def create(self) -> None: ...


class IndexerStore(RecordStore, BacklogStore, Protocol):
    """The whole store, as `igsearch index` and the daemon use it."""

    @property
    def schema(self) -> SchemaSetup: ...

    @property
    def changes(self) -> Checkpoints: ...

    @property
    def statuses(self) -> StatusStore: ...

    def hold_lock(self) -> AbstractAsyncContextManager[None]:
        """Hold the writer's lock; raises IndexerBusy."""

    async def verify_lock(self) -> None:
        """Verify that the writer's lock is held, or take it again; raises IndexerBusy or StoreError."""


class FileReader(Protocol):
    """Reader that digests and hashes files."""

    async def digest_file(self, path: bytes) -> FileDigest: ...

    async def hash_file(self, path: bytes) -> FileHashes: ...


class FeatureExtractor(Protocol):
    """Extractor of the features of files."""

    async def extract_features(self, path: bytes) -> FileFeatures: ...


class PhotoReader(FileReader, FeatureExtractor, Protocol):
    """Reader of photo files in worker processes."""

    @property
    def is_alive(self) -> bool:
        """Tell whether processes are running or can be started."""

    async def release(self) -> None:
        """Stop idle processes to free their memory."""


class IndexerMeter(Protocol):
    """Counter of the indexer's work."""

    def filed(self, outcome: str, files: int = 1) -> None: ...

    def features_added(self) -> None: ...

    def daemon_is(self, status: DaemonStatus) -> None: ...

    async def keep_counting(self, stats: Callable[[], Awaitable[Stats]]) -> None:
        """Read the figures of the store regularly, until cancelled."""
