"""Store the statuses of the services and the reports of scans, and read the figures of the store."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, exists, func, insert, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.model.fingerprints import Versions
from core.model.statuses import DaemonStatus, FrontEndStatus, ScanReport, Stats
from core.storage import tables as t
from core.storage.change_feed import SqlChangeFeed
from core.storage.database import Database
from core.storage.writing import aware, naive

SCANS_KEPT = 1_000
"""Ten days of reports with a rescan every 15 minutes."""

PHOTO = t.photos.c
FEATURE = t.photo_features.c
LAST_SCAN = select(t.scans).order_by(t.scans.c.id.desc()).limit(1)


class SqlStatuses:
    """The statuses and reports in a database. Every call raises StoreError if the database fails."""

    def __init__(self, database: Database, versions: Versions) -> None:
        self._database = database
        self._versions = versions

    async def note_scan(self, report: ScanReport, finished_at: datetime) -> None:
        """Store the report of a finished rescan."""
        row = {**asdict(report), "finished_at": naive(finished_at)}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(t.scans), row)
            newest = await connection.scalar(select(func.max(t.scans.c.id)))
            await connection.execute(delete(t.scans).where(t.scans.c.id <= newest - SCANS_KEPT))

        await self._database.write(work)

    async def note_daemon(self, status: DaemonStatus) -> None:
        """Store the daemon's status."""
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

        await self._database.write(work)

    async def note_front_end(self, status: FrontEndStatus) -> None:
        """Store a bot's status."""
        remark = status.remark[: t.REMARK_LENGTH] if status.remark else None
        row = {**asdict(status), "remark": remark, "seen_at": naive(status.seen_at)}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(t.front_ends).where(t.front_ends.c.name == status.name))
            await connection.execute(insert(t.front_ends), row)

        await self._database.write(work)

    async def list_front_ends(self) -> list[FrontEndStatus]:
        """Return the last status of every bot."""
        return [
            _front_end_status(row)
            for row in await self._database.rows(select(t.front_ends).order_by(t.front_ends.c.name))
        ]

    async def read_stats(self) -> Stats:
        """Return the figures of the store; photos without current hashes and features count as backlog."""
        point = await SqlChangeFeed(self._database, self._versions).read_checkpoint()
        is_outdated = or_(PHOTO.version != self._versions.hashes, lacks_features(self._versions))
        outdated = select(func.count()).select_from(t.photos).where(is_outdated)
        counted = {
            "backlog": outdated,
            "unreadable": select(func.count()).select_from(t.unreadable_files),
            "reports": select(func.count()).select_from(t.reports),
        }
        row = (
            await self._database.rows(select(*[count.scalar_subquery().label(name) for name, count in counted.items()]))
        )[0]
        scans = await self._database.rows(LAST_SCAN)
        daemons = await self._database.rows(select(t.daemon))
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


def lacks_features(versions: Versions) -> ColumnElement[bool]:
    """Return the SQL condition that a photo has no current features."""
    is_current = and_(FEATURE.photo_id == PHOTO.id, FEATURE.version == versions.features)
    return not_(exists().where(is_current).correlate(t.photos))


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


def _front_end_status(row: Row[Any]) -> FrontEndStatus:
    return FrontEndStatus(
        name=row.name,
        state=row.state,
        remark=row.remark,
        waiting=row.waiting,
        has_workers=bool(row.has_workers),
        seen_at=aware(row.seen_at),
    )
