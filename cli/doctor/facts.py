"""Read the facts about a database without changing anything: no file, table or journal is left behind."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Timer
from typing import Literal, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Column, Connection, create_engine, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from core.storage import tables as t
from core.storage.database import Database
from core.storage.schema import found_version
from core.storage.writing import aware

DAMAGE_SECONDS = 4.0
"""The time limit for searching a SQLite file for damage; 5 GB are read in that time if the system has them cached."""
BUSY_SECONDS = 2.0

T = TypeVar("T")
Kind = Literal["SQLite", "MySQL", "MariaDB"]
Clock = Callable[[], datetime]

COLUMNS = text(
    "SELECT TABLE_NAME, COLUMN_NAME, CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLUMNS"
    " WHERE TABLE_SCHEMA = DATABASE()"
)
ENGINES = text("SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()")
MOMENTS: Mapping[str, Column[datetime]] = {
    "the newest image": t.checkpoint.c.newest,
    "the daemon's last report": t.daemon.c.seen_at,
}


@dataclass(frozen=True, slots=True)
class Charset:
    """The character set and collation of a text column."""

    name: str
    collation: str


Columns = Mapping[str, Charset | None]
"""By the column's name; None for a column that is not text, or if the database has only one collation."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts about a database."""

    name: str
    """Its path, or its name and host, without the password."""
    kind: Kind
    version: tuple[int, ...]
    schema: str | None = None
    """The version of its tables; None if it has none."""
    tables: Mapping[str, Columns] = field(default_factory=dict)
    """The columns of each table."""
    engines: Mapping[str, str] = field(default_factory=dict)
    """The storage engine of each table; empty for SQLite."""
    images: int = 0
    """The number of indexed images."""
    moments: Mapping[str, datetime] = field(default_factory=dict)
    """Times in the database, which must not be in the future."""
    ahead: timedelta | None = None
    """The time by which the server's clock is ahead of ours; None for SQLite."""

    @property
    def file(self) -> Path | None:
        """Return the file of a SQLite database; None for a server."""
        return Path(self.name) if self.kind == "SQLite" else None


async def read_facts(url: str | URL, clock: Clock) -> Facts:
    """Read the facts about a database; raises StoreError if it cannot be reached, read or written."""
    database = Database(url)
    try:
        if database.is_sqlite:
            return _facts_of_file(database)
        return await database.read(lambda connection: connection.run_sync(_facts_of_server, database.name, clock))
    finally:
        await database.close()


def _facts_of_server(connection: Connection, name: str, clock: Clock) -> Facts:
    server_time = datetime.fromisoformat(str(connection.scalar(text("SELECT UTC_TIMESTAMP(6)"))))
    ahead = aware(server_time) - clock()
    tables: dict[str, dict[str, Charset | None]] = {}
    for table, column, charset, collation in connection.execute(COLUMNS):
        tables.setdefault(table, {})[column] = Charset(charset, collation) if charset else None
    return Facts(
        name,
        "MariaDB" if getattr(connection.dialect, "is_mariadb", False) else "MySQL",
        tuple(part for part in connection.dialect.server_version_info or () if isinstance(part, int)),
        schema=found_version(connection),
        tables=tables,
        engines=dict(map(tuple, connection.execute(ENGINES))),
        images=_images(connection, tables),
        moments=_moments(connection, tables),
        ahead=ahead,
    )


def _facts_of_file(database: Database) -> Facts:
    """Read an existing SQLite file, or check that one can be created."""
    path = Path(database.name)
    try:
        if not _is_usable(path):
            raise sqlite3.OperationalError("unable to open database file")  # as SQLite says it
        if not os.path.lexists(path):
            return Facts(database.name, "SQLite", sqlite3.sqlite_version_info)
        with _opened(path) as connection:
            return _facts_in_file(connection, database.name)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise database.explained(error) from error


def _facts_in_file(connection: Connection, name: str) -> Facts:
    inspector = inspect(connection)
    tables = {
        table: dict.fromkeys(column["name"] for column in inspector.get_columns(table))
        for table in inspector.get_table_names()
    }
    return Facts(
        name,
        "SQLite",
        sqlite3.sqlite_version_info,
        schema=found_version(connection),
        tables=tables,
        images=_images(connection, tables),
        moments=_moments(connection, tables),
    )


def _is_usable(path: Path) -> bool:
    """Tell whether a file can be written or created; SQLite also writes other files beside it."""
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True) or not os.path.isdir(path.parent):
        return False
    if not os.path.lexists(path):
        return True
    return os.path.isfile(path) and os.access(path, os.R_OK | os.W_OK, effective_ids=True)


@contextmanager
def _opened(path: Path) -> Iterator[Connection]:
    """Open a SQLite file for writing, since a mere reader leaves the files of the write-ahead log behind."""
    address = f"file:{quote(os.fsencode(path))}?mode=rw"
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as file:
        _search_for_damage(file)
        with create_engine("sqlite://", creator=lambda: file, poolclass=StaticPool).connect() as connection:
            yield connection


def _search_for_damage(file: sqlite3.Connection) -> None:
    """Raise sqlite3.Error if the file is damaged, as far as that can be checked in DAMAGE_SECONDS."""
    timer = Timer(DAMAGE_SECONDS, file.interrupt)
    timer.start()
    try:
        [found] = file.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        return
    finally:
        timer.cancel()
    if found != "ok":
        raise sqlite3.DatabaseError("malformed")  # as SQLite says it


def _images(connection: Connection, tables: Mapping[str, Columns]) -> int:
    return int(_value(connection, tables, t.checkpoint.c.images) or 0)


def _moments(connection: Connection, tables: Mapping[str, Columns]) -> dict[str, datetime]:
    found = {name: _value(connection, tables, column) for name, column in MOMENTS.items()}
    return {name: aware(moment) for name, moment in found.items() if moment}


def _value(connection: Connection, tables: Mapping[str, Columns], column: Column[T]) -> T | None:
    """Return a column's value in the only row of its table; None if there is no such column or row."""
    is_there = column.name in tables.get(str(column.table), {})
    return connection.scalar(select(column)) if is_there else None
