"""The opt-outs: the accounts that were forgotten and must not be indexed.

Forgetting needs no writer's lock, and works beside a running daemon: both lock the checkpoint in their transactions,
and core/storage/writing.py leaves out accounts that must not be indexed.
"""

from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.model.records import OptOut
from core.storage.database import Database
from core.storage.tables import opt_outs
from core.storage.writing import Erased, aware, erase, naive

FORGET_SECONDS = 600.0

ENTRY = opt_outs.c


class OptOuts:
    """The opt-outs in a database. Every call raises StoreError if the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def entries(self) -> list[OptOut]:
        """Return all entries, undone ones included, the oldest first."""
        return [_opt_out(row) for row in await self._database.rows(select(opt_outs).order_by(ENTRY.id))]

    async def forget(self, username: str, at: datetime) -> OptOut:
        """Remove everything known about an account, and add it to the opt-outs; return its entry."""

        async def work(connection: AsyncConnection) -> OptOut:
            await self._overwrite_deleted(connection)
            return await _entered(connection, username, at, await erase(connection, username))

        entry = await self._database.write(work, seconds=FORGET_SECONDS)
        await self._truncate_journal()
        return entry

    async def undo(self, username: str, at: datetime) -> OptOut | None:
        """Allow an account to be indexed again, and return its entry; None if it has not opted out."""

        async def work(connection: AsyncConnection) -> OptOut | None:
            found = (await connection.execute(_active(username))).first()
            if found is None:
                return None
            await connection.execute(update(opt_outs).where(ENTRY.id == found.id).values(undone_at=naive(at)))
            return replace(_opt_out(found), undone_at=at)

        return await self._database.write(work)

    async def _overwrite_deleted(self, connection: AsyncConnection) -> None:
        """Make SQLite overwrite deleted rows, which would otherwise stay in its file."""
        if self._database.is_sqlite:
            await connection.execute(text("PRAGMA secure_delete = ON"))

    async def _truncate_journal(self) -> None:
        """Truncate SQLite's journal, which also holds the deleted rows; an active reader may prevent this."""
        if self._database.is_sqlite:
            with suppress(SQLAlchemyError):
                async with aclosing(await self._database.connect()) as connection:
                    await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))


async def _entered(connection: AsyncConnection, username: str, at: datetime, erased: Erased) -> OptOut:
    """Add an account to the opt-outs, or the images removed now to its existing entry."""
    found = (await connection.execute(_active(username))).first()
    if found is None:
        row = {"username": username, "forgotten_at": naive(at), "images": erased.images, "revision": erased.revision}
        await connection.execute(insert(opt_outs), row)
        return OptOut(username, at, erased.images, undone_at=None)
    more = {"images": found.images + erased.images, "revision": erased.revision}
    await connection.execute(update(opt_outs).where(ENTRY.id == found.id).values(more))
    return replace(_opt_out(found), images=found.images + erased.images)


def _active(username: str) -> Select[Any]:
    return select(opt_outs).where(ENTRY.username == username, ENTRY.undone_at.is_(None))


def _opt_out(row: Row[Any]) -> OptOut:
    return OptOut(
        username=row.username,
        forgotten_at=aware(row.forgotten_at),
        images=row.images,
        undone_at=aware(row.undone_at) if row.undone_at else None,
    )
