"""Whom not to index: the accounts that were forgotten, each with when, and how much went.

Forgetting is done without the writer's lock, beside a daemon at work: both lock the checkpoint in their transactions,
and core/storage/writing.py leaves out what is not to be indexed.
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
    """The list in a database. Every call raises StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def entries(self) -> list[OptOut]:
        """Return everything on the list, also what was undone, the oldest first."""
        return [_opt_out(row) for row in await self._database.rows(select(opt_outs).order_by(ENTRY.id))]

    async def forget(self, username: str, at: datetime) -> OptOut:
        """Remove an account with all that is known of it, and keep it on the list; return its entry."""

        async def work(connection: AsyncConnection) -> OptOut:
            await self._overwrite_what_goes(connection)
            return await _entered(connection, username, at, await erase(connection, username))

        entry = await self._database.write(work, seconds=FORGET_SECONDS)
        await self._empty_the_journal()
        return entry

    async def undo(self, username: str, at: datetime) -> OptOut | None:
        """Let an account be indexed again and return its entry; None where it is not on the list."""

        async def work(connection: AsyncConnection) -> OptOut | None:
            found = (await connection.execute(_active(username))).first()
            if found is None:
                return None
            await connection.execute(update(opt_outs).where(ENTRY.id == found.id).values(undone_at=naive(at)))
            return replace(_opt_out(found), undone_at=at)

        return await self._database.write(work)

    async def _overwrite_what_goes(self, connection: AsyncConnection) -> None:
        """Have SQLite write over what it deletes, which would stay in its file otherwise."""
        if self._database.is_sqlite:
            await connection.execute(text("PRAGMA secure_delete = ON"))

    async def _empty_the_journal(self) -> None:
        """Have SQLite's journal, which holds the deleted rows too, begin anew; a reader at work may prevent that."""
        if self._database.is_sqlite:
            with suppress(SQLAlchemyError):
                async with aclosing(await self._database.connect()) as connection:
                    await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))


async def _entered(connection: AsyncConnection, username: str, at: datetime, erased: Erased) -> OptOut:
    """Put an account on the list, or what went of it now to its entry."""
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
