"""The writer's lock: GET_LOCK on MySQL, a locked file beside the database on SQLite; both end with their holder."""

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
"""Time limit of releasing the lock, which would end with its connection anyway."""
RETAKE_SECONDS = 3
"""Time in which the server notices that the connection which held the lock is gone."""


class WriterLock(Protocol):
    """A held lock."""

    async def verify(self) -> None:
        """Take the lock again if it was lost; raises IndexerBusy if another indexer holds it."""


@asynccontextmanager
async def writer_lock(database: Database) -> AsyncIterator[WriterLock]:
    """Hold the writer's lock of a database; raises IndexerBusy if another indexer holds it."""
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
            f"The lock file {path} cannot be opened ({error.strerror}): make its folder writable,"
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
    """A lock that the kernel holds as long as the file is open."""

    async def verify(self) -> None:
        return


class _ServerLock:
    """A lock that the server holds as long as its connection is open; after a lost connection another may have it."""

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
        """Return whether the server answers yes in time; a lost connection counts as no."""
        if self._connection is None:
            return False
        try:
            async with asyncio.timeout(seconds):
                return bool(await self._connection.scalar(text(question), {"name": self._name}))
        except (SQLAlchemyError, OSError):
            return False


def _busy(database: Database) -> IndexerBusy:
    return IndexerBusy(f"Another indexer is writing to {database.name}: let it finish or stop it, then run again.")
