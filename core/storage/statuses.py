"""How the bots are, by what each said of itself last."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.model.statuses import FrontEndStatus
from core.storage.database import Database
from core.storage.tables import REMARK_LENGTH, front_ends
from core.storage.writing import aware, naive


class FrontEnds:
    """What a database knows of the bots. Every call raises StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note_front_end(self, status: FrontEndStatus) -> None:
        """Keep what a bot says of itself."""
        remark = status.remark[:REMARK_LENGTH] if status.remark else None
        row = {**asdict(status), "remark": remark, "seen_at": naive(status.seen_at)}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(front_ends).where(front_ends.c.name == status.name))
            await connection.execute(insert(front_ends), row)

        await self._database.write(work)

    async def statuses(self) -> list[FrontEndStatus]:
        """Return what every bot said last."""
        return [_status(row) for row in await self._database.rows(select(front_ends).order_by(front_ends.c.name))]


def _status(row: Row[Any]) -> FrontEndStatus:
    return FrontEndStatus(
        name=row.name,
        state=row.state,
        remark=row.remark,
        waiting=row.waiting,
        has_workers=bool(row.has_workers),
        seen_at=aware(row.seen_at),
    )
