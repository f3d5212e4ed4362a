"""One writer at a time: GET_LOCK on MySQL, a locked file beside the database on SQLite; both die with their holder."""

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Protocol

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import IndexerBusy, StoreError
from core.storage.database import Database

ANSWER_SECONDS = 4.0
RELEASE_SECONDS = 1.0
"""Giving the lock back is a courtesy: it ends with its connection."""
RETAKE_SECONDS = 3
"""How long the server may take to notice that the connection which held the lock is gone."""


class WriterLock(Protocol):
    """A held lock."""

    async def verify(self) -> None:
        """Take the lock again if it was lost; raises IndexerBusy where another has it."""


@asynccontextmanager
async def writer_lock(database: Database) -> AsyncIterator[WriterLock]:
    """Hold the writer's lock of a database; raises IndexerBusy where another holds it."""
    if database.is_sqlite:
        with _locked_file(database):
            yield _FileLock()
        return
    lock = _ServerLock(database)
    await lock.verify()
    try:
        yield lock
    finally:
        await lock.release()


@contextmanager
def _locked_file(database: Database) -> Iterator[None]:
    path = database.name + ".lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(
            f"The lock file {path} cannot be opened ({error.strerror}): give its folder rights,"
            " or set IGSEARCH_DATABASE_URL to sqlite:///another/path."
        ) from error
    try:
        _lock(descriptor, database)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, database: Database) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _busy(database) from error


class _FileLock:
    """The kernel keeps it as long as the file is open."""

    async def verify(self) -> None:
        return


class _ServerLock:
    """The server keeps it as long as its connection lives; a lost connection may have given it to another."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._name = "igsearch-" + hashlib.sha256(str(database.url.database).encode()).hexdigest()[:32]
        self._connection: AsyncConnection | None = None

    async def verify(self) -> None:
        if await self._ask("SELECT IS_USED_LOCK(:name) = CONNECTION_ID()"):
            return
        seconds = RETAKE_SECONDS if self._connection else 0
        await self.release()
        self._connection = await self._database.connect()
        if not await self._ask(f"SELECT GET_LOCK(:name, {seconds})"):
            await self.release()
            raise _busy(self._database)

    async def release(self) -> None:
        is_released = await self._ask("SELECT RELEASE_LOCK(:name)", RELEASE_SECONDS)
        connection, self._connection = self._connection, None
        if connection:
            with suppress(SQLAlchemyError, OSError):
                if not is_released:
                    await connection.invalidate()
                await connection.close()

    async def _ask(self, question: str, seconds: float = ANSWER_SECONDS) -> bool:
        """Tell whether the server says yes, within its time; a lost connection does not."""
        if self._connection is None:
            return False
        try:
            async with asyncio.timeout(seconds):
                return bool(await self._connection.scalar(text(question), {"name": self._name}))
        except (SQLAlchemyError, OSError):
            return False


def _busy(database: Database) -> IndexerBusy:
    return IndexerBusy(f"Another indexer is writing to {database.name}: let it finish or stop it, then run again.")
