"""The store: read and write records, as the values of core/model/."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from sqlalchemy import Row, func, select

from core.errors import StoreError
from core.model.files import FileStamp, Place
from core.model.fingerprints import PhotoFeatures, PhotoHashes, Versions
from core.model.matches import ReferenceImage
from core.model.records import BacklogEntry, Change, ImageRecord, LedgerRecord
from core.storage import tables as t
from core.storage.change_feed import SqlChangeFeed
from core.storage.database import KEYS_A_QUERY, Database
from core.storage.lock import WriterLock, writer_lock
from core.storage.schema import Schema
from core.storage.statuses import SqlStatuses, lacks_features
from core.storage.writing import apply, aware, opted_out

PHOTO = t.photos.c
IMAGE = t.images.c
LEDGER = t.unreadable_files.c
FEATURE = t.photo_features.c
HASH_NAMES = list(PhotoHashes.__dataclass_fields__)
STAMP_NAMES = list(FileStamp.__dataclass_fields__)

RECORD = (
    select(IMAGE.id, IMAGE.path, *[IMAGE[name] for name in STAMP_NAMES], t.users.c.username)
    .add_columns(PHOTO.sha256, PHOTO.version)
    .join_from(t.images, t.users)
    .join(t.photos)
)
REFERENCES = (
    select(PHOTO.id.label("photo_id"), IMAGE.path, t.users.c.username, *[PHOTO[name] for name in HASH_NAMES])
    .join_from(t.images, t.users)
    .join(t.photos)
    .order_by(IMAGE.id)
)


class Store:
    """One database of igsearch; close it when done. Every call raises StoreError if the database fails."""

    def __init__(self, database: Database, versions: Versions) -> None:
        self.database = database
        self.schema = Schema(database)
        self.changes = SqlChangeFeed(database, versions)
        self.statuses = SqlStatuses(database, versions)
        self._versions = versions
        self._lock: WriterLock | None = None

    @property
    def name(self) -> str:
        return self.database.name

    async def close(self) -> None:
        await self.database.close()

    @asynccontextmanager
    async def hold_lock(self) -> AsyncIterator[None]:
        """Hold the writer's lock; raises IndexerBusy if another indexer holds it."""
        async with writer_lock(self.database) as lock:
            self._lock = lock
            try:
                yield
            finally:
                self._lock = None

    async def verify_lock(self) -> None:
        """Verify that the writer's lock is still held, or take it again; raises IndexerBusy or StoreError."""
        if self._lock is None:
            raise StoreError("Only the holder of the writer's lock may write to the store.")
        await self._lock.verify()

    async def write(self, changes: Sequence[Change]) -> None:
        """Apply a batch of changes, at most one per path, in one transaction; only the lock's holder may do so."""
        await self.verify_lock()
        await self.database.write(lambda connection: apply(connection, changes))

    async def list_usernames(self) -> list[str]:
        """Return every account that has an image or an unreadable file, sorted."""
        either = select(t.users.c.username).union(select(LEDGER.username))
        return sorted(row[0] for row in await self.database.rows(either))

    async def list_opted_out(self) -> frozenset[str]:
        """Return the accounts that were forgotten and must not be indexed."""
        return await self.database.read(opted_out)

    async def read_images(self, *usernames: str) -> dict[bytes, ImageRecord]:
        """Return the images of some accounts by path."""
        rows = await self.database.rows(RECORD.where(t.users.c.username.in_(usernames)))
        return {row.path: _image_record(row) for row in rows}

    async def read_ledger(self, *usernames: str) -> dict[bytes, LedgerRecord]:
        """Return the ledger entries of some accounts, or of all, sorted by path."""
        query = select(t.unreadable_files).order_by(LEDGER.path)
        rows = await self.database.rows(query.where(LEDGER.username.in_(usernames)) if usernames else query)
        return {row.path: _ledger_record(row) for row in rows}

    async def find_relatives(self, stamps: Collection[FileStamp]) -> list[ImageRecord]:
        """Return the images that may be the same file (same inode) or have the same bytes (same size)."""
        wanted = list(stamps)
        found: dict[int, ImageRecord] = {}
        for start in range(0, len(wanted), KEYS_A_QUERY):
            part = wanted[start : start + KEYS_A_QUERY]
            same_inode = IMAGE.inode.in_({stamp.inode for stamp in part})
            for condition in (same_inode, IMAGE.size.in_({stamp.size for stamp in part})):
                found |= {row.id: _image_record(row) for row in await self.database.rows(RECORD.where(condition))}
        return list(found.values())

    async def find_hashes(self, sha256: bytes) -> PhotoHashes | None:
        """Return the hashes of the bytes with this SHA-256; None if they are unknown or of another version."""
        query = select(*[PHOTO[name] for name in HASH_NAMES]).where(PHOTO.sha256 == sha256)
        rows = await self.database.rows(query.where(PHOTO.version == self._versions.hashes))
        return _hashes(rows[0]) if rows else None

    async def list_backlog(self, *, after: int, limit: int) -> list[BacklogEntry]:
        """Return entries of the backlog with photo ids above `after`, in order of id."""
        twin = t.images.alias()
        first = select(func.min(twin.c.id)).where(twin.c.photo_id == PHOTO.id).correlate(t.photos)
        rows = await self.database.rows(
            select(PHOTO.id.label("photo_id"), PHOTO.sha256, IMAGE.path, IMAGE.path_sha256, t.users.c.username)
            .add_columns(*[IMAGE[name] for name in STAMP_NAMES])
            .select_from(t.photos)
            .join(t.images, IMAGE.id == first.scalar_subquery())
            .join(t.users)
            .where(PHOTO.id > after, lacks_features(self._versions))
            .order_by(PHOTO.id)
            .limit(limit)
        )
        keys = [row.path_sha256 for row in rows]
        failures = (
            await self.database.rows(select(t.unreadable_files).where(LEDGER.path_sha256.in_(keys))) if keys else []
        )
        failed = {row.path_sha256: _ledger_record(row) for row in failures}
        return [
            BacklogEntry(
                photo_id=row.photo_id,
                sha256=row.sha256,
                place=Place(row.username, row.path),
                stamp=_stamp(row),
                failed=failed.get(row.path_sha256),
            )
            for row in rows
        ]

    async def find_photo_id(self, sha256: bytes) -> int | None:
        """Return the id of the photo with this SHA-256; None if it is unknown."""
        rows = await self.database.rows(select(PHOTO.id).where(PHOTO.sha256 == sha256))
        return int(rows[0][0]) if rows else None

    async def find_references(self, photo_ids: Collection[int]) -> list[ReferenceImage]:
        """Return the present images of these photos, the oldest first."""
        wanted, found = sorted(photo_ids), []
        for start in range(0, len(wanted), KEYS_A_QUERY):
            rows = await self.database.rows(REFERENCES.where(PHOTO.id.in_(wanted[start : start + KEYS_A_QUERY])))
            found += [ReferenceImage(row.photo_id, Place(row.username, row.path), _hashes(row)) for row in rows]
        return found

    async def read_features(self, photo_ids: Collection[int]) -> dict[int, PhotoFeatures]:
        """Return the features of these photos, as far as they are current."""
        query = select(FEATURE.photo_id, FEATURE.codes, FEATURE.thumbnail, FEATURE.version).where(
            FEATURE.photo_id.in_(photo_ids)
        )
        rows = (
            [row for row in await self.database.rows(query) if row.version == self._versions.features]
            if photo_ids
            else []
        )
        return {row.photo_id: PhotoFeatures(row.codes, row.thumbnail, row.version) for row in rows}

    async def choose_places(self, count: int, choice: Random) -> list[Place]:
        """Return the places of some randomly chosen images, in order of id."""
        ids = [row[0] for row in await self.database.rows(select(IMAGE.id).order_by(IMAGE.id))]
        chosen, found = sorted(choice.sample(ids, min(count, len(ids)))), []
        for start in range(0, len(chosen), KEYS_A_QUERY):
            rows = await self.database.rows(
                RECORD.where(IMAGE.id.in_(chosen[start : start + KEYS_A_QUERY])).order_by(IMAGE.id)
            )
            found += [Place(row.username, row.path) for row in rows]
        return found


def _image_record(row: Row[Any]) -> ImageRecord:
    return ImageRecord(
        image_id=row.id,
        place=Place(row.username, row.path),
        stamp=_stamp(row),
        sha256=row.sha256,
        version=row.version,
    )


def _ledger_record(row: Row[Any]) -> LedgerRecord:
    return LedgerRecord(
        place=Place(row.username, row.path),
        stamp=_stamp(row),
        kind=row.kind,
        reason=row.reason,
        attempts=row.attempts,
        reader_version=row.reader_version,
        failed_at=aware(row.failed_at),
        next_retry=aware(row.next_retry) if row.next_retry else None,
    )


def _hashes(row: Row[Any]) -> PhotoHashes:
    values = row._asdict()
    return PhotoHashes(**{name: values[name] for name in HASH_NAMES})


def _stamp(row: Row[Any]) -> FileStamp:
    return FileStamp(row.size, row.mtime_ns, row.inode, row.device)
