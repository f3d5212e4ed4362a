"""The store: what is asked of it and what it is told, in the nouns of core/model.py."""

import os
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    exists,
    func,
    insert,
    inspect,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Denied, NotReady, SchemaMismatch, StoreError
from core.index.changes import FeaturePage, FingerprintPage
from core.model.files import FileStamp, Place
from core.model.fingerprints import CODE_BYTES, FEATURE_BYTES, FLAT_PERCENT, PhotoFeatures, PhotoHashes, Versions
from core.model.matches import ReferenceImage
from core.model.records import BacklogEntry, Change, Checkpoint, ImageRecord, LedgerRecord
from core.model.statuses import DaemonStatus, ScanReport, Stats
from core.storage import tables as t
from core.storage.database import KEYS_A_QUERY, Database
from core.storage.lock import WriterLock, writer_lock
from core.storage.writing import apply, aware, naive, opted_out

SCHEMA_VERSION = "0005"
"""The newest migration; a test compares them. Asking Alembic would cost every command its import."""
UPGRADE_SECONDS = 3600.0
PAGE_ROWS = 20_000
"""Photos whose hashes are read at a time when an index follows the store."""
PAGE_PICTURES = 1_000
"""Features read at a time: 6 MB."""
SCANS_KEPT = 1_000
"""Reports of ten days with a rescan every 15 minutes."""

PHOTO = t.photos.c
IMAGE = t.images.c
LEDGER = t.unreadable_files.c
FEATURE = t.photo_features.c
HASH_NAMES = list(PhotoHashes.__dataclass_fields__)
STAMP_NAMES = list(FileStamp.__dataclass_fields__)

CHECKPOINT = select(
    t.checkpoint,
    select(func.count()).select_from(t.users).scalar_subquery().label("users"),
    select(func.max(t.opt_outs.c.revision)).scalar_subquery().label("forgotten"),
)
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
FINGERPRINTS = (
    select(PHOTO.id, PHOTO.revision, PHOTO.pdq, PHOTO.dhash, PHOTO.flat_percent, PHOTO.version)
    .order_by(PHOTO.revision, PHOTO.id)
    .limit(PAGE_ROWS)
)
FEATURES = (
    select(FEATURE.photo_id, FEATURE.revision, FEATURE.codes, FEATURE.version)
    .order_by(FEATURE.revision, FEATURE.photo_id)
    .limit(PAGE_PICTURES)
)
LAST_SCAN = select(t.scans).order_by(t.scans.c.id.desc()).limit(1)


class Store:
    """One database of igsearch; close it when done. Every call raises StoreError when the database fails."""

    def __init__(self, database: Database, versions: Versions) -> None:
        self.database = database
        self._versions = versions
        self._lock: WriterLock | None = None

    @property
    def name(self) -> str:
        return self.database.name

    async def close(self) -> None:
        await self.database.close()

    async def check_schema(self) -> None:
        """Raise SchemaMismatch unless the tables are those of this version."""
        check_version(await self.schema_version(), self.name)

    async def is_current(self) -> bool:
        """Tell whether the tables are those of this version."""
        return await self.schema_version() == SCHEMA_VERSION

    async def schema_version(self) -> str | None:
        """Return the version of the tables, or None for an empty database."""
        if self.database.is_sqlite and not os.path.exists(self.name):  # noqa: ASYNC240 - answers at once
            return None
        return await self.database.read(lambda connection: connection.run_sync(found_version))

    async def create_schema(self) -> None:
        """Make the tables in an empty database; raises SchemaMismatch for tables of another version, NotReady where
        another user is to make them.

        Older tables in which nothing was ever written are those of a process that was killed between two migrations.
        """
        found = await self.schema_version()
        if found is None or (found < SCHEMA_VERSION and not await self._is_written()):
            try:
                await self.upgrade_schema()
            except Denied as error:
                raise NotReady(
                    f"There are no tables in {self.name} yet, and '{self.database.url.username}' may not make them: run"
                    " `igsearch init-db` as a user who may."
                ) from error
        await self.check_schema()

    async def _is_written(self) -> bool:
        """Tell whether anything was ever written, in tables of whatever version."""
        rows = await self.database.rows(select(t.checkpoint.c.revision))
        return bool(rows and rows[0].revision)

    async def upgrade_schema(self) -> None:
        """Make the tables in an empty database, or bring older ones up to date."""
        from core.storage.schema import upgrade  # noqa: PLC0415 - Alembic is for this call only

        found = await self.schema_version()
        if found is None or found < SCHEMA_VERSION:
            await self.database.write(lambda connection: connection.run_sync(upgrade), seconds=UPGRADE_SECONDS)
        await self.check_schema()

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[None]:
        """Hold the writer's lock; raises IndexerBusy where another indexer has it."""
        async with writer_lock(self.database) as lock:
            self._lock = lock
            try:
                yield
            finally:
                self._lock = None

    async def verify_writer(self) -> None:
        """Make sure of the writer's lock, which a lost connection takes along; raises IndexerBusy, StoreError."""
        if self._lock is None:
            raise StoreError("Only the holder of the writer's lock may write to the store.")
        await self._lock.verify()

    async def write(self, changes: Sequence[Change]) -> None:
        """Apply a batch of changes, at most one a path, as one transaction; only the holder of the lock may."""
        await self.verify_writer()
        await self.database.write(lambda connection: apply(connection, changes))

    async def note_scan(self, report: ScanReport, finished_at: datetime) -> None:
        """Keep the report of a finished rescan."""
        row = {**asdict(report), "finished_at": naive(finished_at)}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(t.scans), row)
            newest = await connection.scalar(select(func.max(t.scans.c.id)))
            await connection.execute(delete(t.scans).where(t.scans.c.id <= newest - SCANS_KEPT))

        await self.database.write(work)

    async def note_daemon(self, status: DaemonStatus) -> None:
        """Keep what the daemon says of itself."""
        row = {
            **asdict(status),
            "id": 1,
            "remark": status.remark[: t.REMARK_LENGTH] if status.remark else None,
            "next_scan": naive(status.next_scan) if status.next_scan else None,
            "seen_at": naive(status.seen_at),
        }

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(t.daemon))
            await connection.execute(insert(t.daemon), row)

        await self.database.write(work)

    async def usernames(self) -> list[str]:
        """Return every account that has an image or an unreadable file, in order."""
        either = select(t.users.c.username).union(select(LEDGER.username))
        return sorted(row[0] for row in await self.database.rows(either))

    async def opted_out(self) -> frozenset[str]:
        """Return the accounts that were forgotten, and are not to be indexed."""
        return await self.database.read(opted_out)

    async def record(self, *usernames: str) -> dict[bytes, ImageRecord]:
        """Return the rows of the files of some accounts by path."""
        rows = await self.database.rows(RECORD.where(t.users.c.username.in_(usernames)))
        return {row.path: _image_record(row) for row in rows}

    async def ledger(self, *usernames: str) -> dict[bytes, LedgerRecord]:
        """Return the unreadable files of some accounts, or of all, by path in order."""
        query = select(t.unreadable_files).order_by(LEDGER.path)
        rows = await self.database.rows(query.where(LEDGER.username.in_(usernames)) if usernames else query)
        return {row.path: _ledger_record(row) for row in rows}

    async def relatives(self, stamps: Collection[FileStamp]) -> list[ImageRecord]:
        """Return the images that may be the same file or have the same bytes: of one inode number, or of one size."""
        wanted = list(stamps)
        found: dict[int, ImageRecord] = {}
        for start in range(0, len(wanted), KEYS_A_QUERY):
            part = wanted[start : start + KEYS_A_QUERY]
            same_inode = IMAGE.inode.in_({stamp.inode for stamp in part})
            for condition in (same_inode, IMAGE.size.in_({stamp.size for stamp in part})):
                found |= {row.id: _image_record(row) for row in await self.database.rows(RECORD.where(condition))}
        return list(found.values())

    async def hashes(self, sha256: bytes) -> PhotoHashes | None:
        """Return the hashes of these bytes, if one of the current version is known."""
        query = select(*[PHOTO[name] for name in HASH_NAMES]).where(PHOTO.sha256 == sha256)
        rows = await self.database.rows(query.where(PHOTO.version == self._versions.hashes))
        return _hashes(rows[0]) if rows else None

    async def checkpoint(self) -> Checkpoint:
        row = (await self.database.rows(CHECKPOINT))[0]
        return Checkpoint(
            database_id=row.database_id,
            revision=row.revision,
            images=row.images,
            users=row.users,
            newest=aware(row.newest) if row.newest else None,
            forgotten=row.forgotten or 0,
        )

    async def fingerprints_after(self, revision: int) -> AsyncIterator[FingerprintPage]:
        """Yield the fingerprints written after a revision, in the order of revisions."""
        async for rows in self._written_after(revision, FINGERPRINTS):
            yield self._page(rows)

    async def removed_after(self, revision: int) -> NDArray[np.int64]:
        """Return the ids of the fingerprints removed after a revision."""
        rows = await self.database.rows(select(t.tombstones.c.photo_id).where(t.tombstones.c.revision > revision))
        return np.array([row[0] for row in rows], dtype=np.int64)

    async def photo_id(self, sha256: bytes) -> int | None:
        """Return the id of the fingerprint of these bytes."""
        rows = await self.database.rows(select(PHOTO.id).where(PHOTO.sha256 == sha256))
        return int(rows[0][0]) if rows else None

    async def references(self, photo_ids: Collection[int]) -> list[ReferenceImage]:
        """Return the images that have one of these fingerprints, as the store has them now, oldest first."""
        wanted, found = sorted(photo_ids), []
        for start in range(0, len(wanted), KEYS_A_QUERY):
            rows = await self.database.rows(REFERENCES.where(PHOTO.id.in_(wanted[start : start + KEYS_A_QUERY])))
            found += [ReferenceImage(row.photo_id, Place(row.username, row.path), _hashes(row)) for row in rows]
        return found

    async def features_after(self, revision: int) -> AsyncIterator[FeaturePage]:
        """Yield the codes of the features written after a revision, in the order of revisions."""
        async for rows in self._written_after(revision, FEATURES):
            yield _feature_page([(row.photo_id, row.codes if self._is_current(row) else b"") for row in rows])

    async def features(self, photo_ids: Collection[int]) -> dict[int, PhotoFeatures]:
        """Return the current features that these have."""
        query = select(FEATURE.photo_id, FEATURE.codes, FEATURE.thumbnail, FEATURE.version).where(
            FEATURE.photo_id.in_(photo_ids)
        )
        rows = [row for row in await self.database.rows(query) if self._is_current(row)] if photo_ids else []
        return {row.photo_id: PhotoFeatures(row.codes, row.thumbnail, row.version) for row in rows}

    async def sample(self, count: int, choice: Random) -> list[Place]:
        """Return some images' places, in the order of their ids."""
        ids = [row[0] for row in await self.database.rows(select(IMAGE.id).order_by(IMAGE.id))]
        chosen, found = sorted(choice.sample(ids, min(count, len(ids)))), []
        for start in range(0, len(chosen), KEYS_A_QUERY):
            rows = await self.database.rows(
                RECORD.where(IMAGE.id.in_(chosen[start : start + KEYS_A_QUERY])).order_by(IMAGE.id)
            )
            found += [Place(row.username, row.path) for row in rows]
        return found

    async def backlog(self, *, after: int, limit: int) -> list[BacklogEntry]:
        """Return entries of the backlog, in the order of their fingerprints' ids, from beyond one of them."""
        twin = t.images.alias()
        first = select(func.min(twin.c.id)).where(twin.c.photo_id == PHOTO.id).correlate(t.photos)
        rows = await self.database.rows(
            select(PHOTO.id.label("photo_id"), PHOTO.sha256, IMAGE.path, IMAGE.path_sha256, t.users.c.username)
            .add_columns(*[IMAGE[name] for name in STAMP_NAMES])
            .select_from(t.photos)
            .join(t.images, IMAGE.id == first.scalar_subquery())
            .join(t.users)
            .where(PHOTO.id > after, self._lacks_features())
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

    async def stats(self) -> Stats:
        """Return the figures of the store; rows without the current version of their fingerprints are backlog."""
        point = await self.checkpoint()
        is_outdated = or_(PHOTO.version != self._versions.hashes, self._lacks_features())
        outdated = select(func.count()).select_from(t.photos).where(is_outdated)
        counted = {
            "backlog": outdated,
            "unreadable": select(func.count()).select_from(t.unreadable_files),
            "reports": select(func.count()).select_from(t.reports),
        }
        row = (
            await self.database.rows(select(*[count.scalar_subquery().label(name) for name, count in counted.items()]))
        )[0]
        scans = await self.database.rows(LAST_SCAN)
        daemons = await self.database.rows(select(t.daemon))
        return Stats(
            images=point.images,
            users=point.users,
            backlog=row.backlog,
            unreadable=row.unreadable,
            revision=point.revision,
            last_scan=aware(scans[0].finished_at) if scans else None,
            last_report=_scan_report(scans[0]) if scans else None,
            daemon=_daemon_status(daemons[0]) if daemons else None,
            reports=row.reports,
        )

    def _lacks_features(self) -> ColumnElement[bool]:
        is_current = and_(FEATURE.photo_id == PHOTO.id, FEATURE.version == self._versions.features)
        return not_(exists().where(is_current).correlate(t.photos))

    def _is_current(self, row: Row[Any]) -> bool:
        return bool(row.version == self._versions.features)

    async def _written_after(self, revision: int, query: Select[Any]) -> AsyncIterator[Sequence[Row[Any]]]:
        """Yield pages of a query by revision and id, which are its second and first column, from beyond a revision."""
        id_column, revision_column = list(query.selected_columns)[:2]
        last_revision, last_id = revision, 2**62
        while True:
            same = and_(revision_column == last_revision, id_column > last_id)
            rows = await self.database.rows(query.where(or_(revision_column > last_revision, same)))
            if not rows:
                return
            yield rows
            last_id, last_revision = list(rows[-1])[:2]

    def _page(self, rows: Sequence[Row[Any]]) -> FingerprintPage:
        ids, _, pdq, dhash, flat_percent, versions = zip(*rows, strict=True)
        return FingerprintPage(
            ids=np.array(ids, dtype=np.int64),
            pdq=np.frombuffer(b"".join(pdq), np.uint8).reshape(-1, 32),
            dhash=np.frombuffer(b"".join(dhash), np.uint8).reshape(-1, 8),
            is_searchable=(np.array(flat_percent) < FLAT_PERCENT) & (np.array(versions) == self._versions.hashes),
        )


def _feature_page(rows: Sequence[tuple[int, bytes]]) -> FeaturePage:
    ids, codes = zip(*rows, strict=True)
    features = np.frombuffer(b"".join(codes), np.uint8).reshape(-1, FEATURE_BYTES)
    return FeaturePage(
        ids=np.array(ids, dtype=np.int64),
        counts=np.array([len(each) // FEATURE_BYTES for each in codes], dtype=np.int64),
        codes=features[:, :CODE_BYTES],
    )


def check_version(found: str | None, name: str) -> None:
    """Raise SchemaMismatch unless the version of a database's tables is ours; None: there are no tables."""
    if found is None:
        raise SchemaMismatch(
            f"Nothing is indexed in {name} yet: run `igsearch index --dataset DIR` (or `igsearch init-db`)."
        )
    if found < SCHEMA_VERSION:
        raise SchemaMismatch(f"The tables in {name} are of an older igsearch: run `igsearch init-db`.")
    if found > SCHEMA_VERSION:
        raise SchemaMismatch(f"The tables in {name} are of a newer igsearch: upgrade igsearch.")


def found_version(connection: Connection) -> str | None:
    """Return the version of a database's tables, or None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


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


def _scan_report(row: Row[Any]) -> ScanReport:
    return ScanReport(**{name: getattr(row, name) for name in ScanReport.__dataclass_fields__})


def _daemon_status(row: Row[Any]) -> DaemonStatus:
    return DaemonStatus(
        state=row.state,
        remark=row.remark,
        waiting=row.waiting,
        lag_seconds=row.lag_seconds,
        next_scan=aware(row.next_scan) if row.next_scan else None,
        seen_at=aware(row.seen_at),
        emitter=row.emitter,
        has_workers=bool(row.has_workers),
    )


def _hashes(row: Row[Any]) -> PhotoHashes:
    values = row._asdict()
    return PhotoHashes(**{name: values[name] for name in HASH_NAMES})


def _stamp(row: Row[Any]) -> FileStamp:
    return FileStamp(row.size, row.mtime_ns, row.inode, row.device)
