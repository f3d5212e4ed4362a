"""Access a database through SQLAlchemy, with timeouts, retries, and errors that are sentences with a remedy.

aiomysql has no read timeout (a query on a frozen server waits indefinitely), so every call has a time limit here;
within it, calls are retried after a lost connection or a deadlock.
"""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Executable, Row, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from core.errors import Denied, NotReady, SchemaMismatch, SettingsError, StoreError, Unavailable

READ_SECONDS = 4.0
"""A person who sends a query gets an answer within 5 s even if the database is unavailable."""
WRITE_SECONDS = 30.0
CONNECT_SECONDS = 3
ATTEMPTS = 5
KEYS_A_QUERY = 500
CANCELLATIONS, CANCEL_SECONDS = 3, 0.2
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0
SQLITE_BUSY_SECONDS = 5.0

DRIVERS = {"mysql": "mysql+aiomysql", "mariadb": "mysql+aiomysql", "sqlite": "sqlite+aiosqlite"}

LOCK_WAIT, DEADLOCK = 1205, 1213
CONNECTION_LOST = frozenset((2002, 2003, 2006, 2013, 2014, 2055, 1053, 1040))
ACCESS_DENIED = frozenset((1044, 1045, 1698))
COMMAND_DENIED = frozenset((1142, 1143, 1227, 1370))
UNKNOWN_DATABASE = 1049
NO_SUCH_TABLE = frozenset((1146, 1054))
DISK_FULL = frozenset((1021, 1114, 3))

T = TypeVar("T")


class Database:
    """An engine and its pool of connections; close it when done. `failed` is called with the error of a failed call."""

    def __init__(
        self,
        url: str | URL,
        *,
        read_seconds: float = READ_SECONDS,
        write_seconds: float = WRITE_SECONDS,
        failed: Callable[[StoreError], None] = lambda _error: None,
    ) -> None:
        self.url = _with_driver(url)
        self._failed = failed
        self._read_seconds = read_seconds
        self._write_seconds = write_seconds
        self._file: tuple[int, int] | None = None
        self._engine = create_async_engine(self.url, pool_recycle=3600, connect_args=_connect_arguments(self.url))
        if self.is_sqlite:
            event.listen(self._engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self._engine.sync_engine, "begin", _begin_sqlite)

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def name(self) -> str:
        """The name of the database for people, without its password."""
        if self.is_sqlite:
            return str(self.url.database)
        return f"{self.url.database} at {self.url.query.get('unix_socket') or self.url.host}"

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run statements that only read; raises StoreError."""
        return await self._run(work, seconds=self._read_seconds, is_write=False)

    async def rows(self, query: Executable) -> Sequence[Row[Any]]:
        """Return the rows of one statement; raises StoreError."""

        async def work(connection: AsyncConnection) -> Sequence[Row[Any]]:
            return (await connection.execute(query)).all()

        return await self.read(work)

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]], *, seconds: float | None = None) -> T:
        """Run a transaction, which may be repeated from its start; raises StoreError."""
        return await self._run(work, seconds=seconds or self._write_seconds, is_write=True)

    async def connect(self) -> AsyncConnection:
        """Return a separate connection, outside any transaction; raises StoreError."""
        try:
            async with asyncio.timeout(self._read_seconds):
                connection = await self._engine.connect()
                return await connection.execution_options(isolation_level="AUTOCOMMIT")
        except (SQLAlchemyError, OSError) as error:
            raise self.explained(error) from error

    async def close(self) -> None:
        await self._engine.dispose()
        await asyncio.sleep(0)  # sockets close in the loop's next iteration

    def explained(self, error: BaseException) -> StoreError:
        """Turn a driver's error into a StoreError with a remedy, and report it to `failed`."""
        explained = self._explain(error)
        self._failed(explained)
        return explained

    def _explain(self, error: BaseException) -> StoreError:
        if isinstance(error, DBAPIError):
            return self._explain_code(error) or self._explain_text(str(error.orig))
        if isinstance(error, sqlite3.Error):
            return self._explain_text(str(error))
        return Unavailable(
            f"The database {self.name} is unavailable, it does not answer: start it, or check the connection to it."
        )

    async def _run(self, work: Callable[[AsyncConnection], Awaitable[T]], *, seconds: float, is_write: bool) -> T:
        retrying = AsyncRetrying(
            retry=retry_if_exception(_is_passing),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS),
            reraise=True,
        )
        try:
            return await _within(seconds, self._opened(retrying, work, is_write))
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise self.explained(error) from error

    async def _opened(
        self,
        retrying: AsyncRetrying,
        work: Callable[[AsyncConnection], Awaitable[T]],
        is_write: bool,  # noqa: FBT001
    ) -> T:
        if self.is_sqlite and (self._file is None or _file_identity(self.name) != self._file):
            await self._engine.dispose()  # its connections are to a file that was removed or replaced meanwhile
            await asyncio.to_thread(_open_sqlite_file, self.name)
            self._file = _file_identity(self.name)
        return await retrying(self._once, work, is_write)

    async def _once(self, work: Callable[[AsyncConnection], Awaitable[T]], is_write: bool) -> T:  # noqa: FBT001
        async with self._engine.connect() as connection:
            await connection.execution_options(igsearch_write=is_write)
            async with connection.begin():
                return await work(connection)

    def _explain_code(self, error: DBAPIError) -> StoreError | None:
        code = error.orig.args[0] if error.orig and error.orig.args else None
        setting = "in IGSEARCH_DATABASE_URL"
        if code in ACCESS_DENIED:
            return StoreError(f"The database refuses user '{self.url.username}': check user and password {setting}.")
        if code in COMMAND_DENIED:
            return Denied(f"The database user '{self.url.username}' lacks a permission ({error.orig}): grant it.")
        if code == UNKNOWN_DATABASE:
            return NotReady(f"There is no database {self.name}: create it, or check the name {setting}.")
        if code in NO_SUCH_TABLE:
            return self._tables_missing()
        if code in DISK_FULL:
            return self._disk_full()
        if error.connection_invalidated or code in CONNECTION_LOST:
            return Unavailable(f"The database {self.name} is unavailable: start it, or check the address {setting}.")
        return None

    def _explain_text(self, text: str) -> StoreError:
        if "disk is full" in text or "disk I/O error" in text:
            return self._disk_full()
        if "no such table" in text or "no such column" in text:
            return self._tables_missing()
        if "unable to open" in text or "readonly" in text:
            return StoreError(
                f"The database {self.name} cannot be written: make its folder writable,"
                " or set IGSEARCH_DATABASE_URL to sqlite:///another/path."
            )
        if "not a database" in text or "malformed" in text:
            return StoreError(f"{self.name} is damaged or not a SQLite database: move it away and index again.")
        if "locked" in text:
            return Unavailable(f"The database {self.name} is unavailable, another program has locked it: try again.")
        return StoreError(f"The database {self.name} failed: {text}.")

    def _tables_missing(self) -> SchemaMismatch:
        return SchemaMismatch(f"The database {self.name} lacks tables of igsearch: run `igsearch init-db`.")

    def _disk_full(self) -> StoreError:
        return StoreError(
            f"The disk of the database {self.name} is full: free some space and run again; finished work is kept."
        )


async def _within(seconds: float, work: Coroutine[None, None, T]) -> T:
    """Await work with a time limit; raises TimeoutError.

    Cancelled during a commit, SQLAlchemy returns the connection to the pool behind a shield, starting with a rollback,
    which never ends on a server that does not respond. Cancelled again, it continues in the background, and this
    function returns.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda task: task.cancelled() or task.exception())  # retrieved even if the caller is gone
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        is_late = not task.done()
        for _ in range(CANCELLATIONS):
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=CANCEL_SECONDS)
    if is_late:
        raise TimeoutError
    return task.result()


def sqlite_url(path: Path) -> URL:
    """Return the URL of a SQLite file, whatever characters its path contains."""
    return URL.create("sqlite", database=str(path))


def _with_driver(text: str | URL) -> URL:
    try:
        url = make_url(text)
        return url.set(drivername=DRIVERS[url.get_backend_name()])
    except (ArgumentError, KeyError, ValueError) as error:
        raise SettingsError(
            "IGSEARCH_DATABASE_URL is not a mysql:// or sqlite:/// URL: write mysql://user:password@host:port/name."
        ) from error


def _connect_arguments(url: URL) -> dict[str, object]:
    if url.get_backend_name() == "sqlite":
        return {"timeout": SQLITE_BUSY_SECONDS}
    return {"connect_timeout": CONNECT_SECONDS, "charset": "utf8mb4"}


def _open_sqlite_file(path: str) -> None:
    """Open the file once, and switch it to WAL, which lets readers and a writer work in parallel; raises sqlite3.Error.

    If the first connection failed inside aiosqlite, its thread would outlive the event loop and print a traceback.
    """
    with closing(sqlite3.connect(path, timeout=SQLITE_BUSY_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _file_identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late and has the wrong kind
    cursor = connection.cursor()
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Begin a transaction; a writing one takes the lock now, as upgrading a reading one fails while another writes."""
    kind = "IMMEDIATE" if connection.get_execution_options().get("igsearch_write") else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {kind}")


def _is_passing(error: BaseException) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    code = error.orig.args[0] if error.orig and error.orig.args else None
    lost = error.connection_invalidated or code in CONNECTION_LOST
    return lost or code in {LOCK_WAIT, DEADLOCK} or "database is locked" in str(error.orig)
