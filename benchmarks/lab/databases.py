"""A database of either kind: made for a benchmark, read beside the program, and compared with what must be in it."""

import hashlib
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import pymysql

from benchmarks.lab.script import own_folder
from benchmarks.lab.timing import wait_until
from tests.mariadb import MariaDB, private_mariadb

FINGERPRINT = "l.sha256, l.dhash, l.pdq, l.pdq_quality, l.flat_percent, l.width, l.height, l.version"
STAMP = "size, mtime_ns, inode, device"
QUERIES = {
    "images": f"SELECT i.path, i.path_sha256, u.username, {STAMP}, {FINGERPRINT} FROM images i"
    " JOIN users u ON u.id = i.user_id JOIN photos l ON l.id = i.photo_id",
    "users": "SELECT username FROM users",
    "photos": f"SELECT {FINGERPRINT} FROM photos l",
    "unreadable_files": f"SELECT path, path_sha256, username, {STAMP}, kind, reason, attempts, reader_version,"
    " next_retry IS NULL FROM unreadable_files",
    "checkpoint": "SELECT images FROM checkpoint",
}
"""What two stores of the same dataset have in common: all but ids, revisions, moments, features, scans, tombstones."""
START_SECONDS, BACKLOG_SECONDS = 60.0, 3_600.0

Row = tuple[object, ...]
Content = dict[str, Counter[Row]]
Ask = Callable[[str], list[Row]]


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of database: how to make an empty one (its URL), and how to read one when no client is left."""

    name: str
    create: Callable[[str], str]
    read: Callable[[str], Content]


@contextmanager
def folder_and_target(*, is_sqlite: bool) -> Iterator[tuple[Path, Target]]:
    """Give a folder and a kind of database for one script."""
    with own_folder() as folder, on_sqlite(folder / "databases") if is_sqlite else on_mariadb() as target:
        yield folder, target


@contextmanager
def on_sqlite(folder: Path) -> Iterator[Target]:
    """Databases as files; they are read from a copy, so that igsearch itself meets what a kill left behind."""

    def create(name: str) -> str:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return f"sqlite:///{folder / name}"

    def read(url: str) -> Content:
        copy = folder.with_name("copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        return content(f"sqlite:///{copy / Path(url).name}")

    yield Target("SQLite", create, read)


@contextmanager
def on_mariadb() -> Iterator[Target]:
    """Databases on a private server, which flushes its log at every commit, as in production."""
    with private_mariadb(durable=True) as server:

        def read(url: str) -> Content:
            wait_until_alone(server)
            return content(url)

        version = server.execute("SELECT VERSION()")[0][0]
        yield Target(f"MariaDB {version}", server.create_database, read)


def wait_until_alone(server: MariaDB) -> None:
    """Wait until the server has let go of a killed client: a commit it had begun is then done or undone."""
    others = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER = 'root'"
    waited = wait_until(lambda: server.execute(others) == ((0,),), seconds=30, every=0.002)
    assert waited is not None, "the server keeps a connection of a dead client for 30 s"


@contextmanager
def stopped(server: MariaDB) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def frozen(server: MariaDB) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


# Reading


@contextmanager
def reading(url: str) -> Iterator[Ask]:
    """Keep a connection of our own to a store open; a table that is not there yet holds nothing."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as file:
            yield lambda sql: _rows(lambda: file.execute(sql).fetchall())
        return
    parts = urlsplit(url)
    with pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username or "root",
        database=parts.path.strip("/"),
        autocommit=True,
        connect_timeout=5,
    ) as server:
        yield lambda sql: _rows(lambda: _fetched(server, sql))


def _fetched(connection: "pymysql.Connection[pymysql.cursors.Cursor]", sql: str) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def _rows(ask: Callable[[], list[Row]]) -> list[Row]:
    try:
        return ask()
    except (sqlite3.OperationalError, pymysql.err.ProgrammingError) as error:
        if "no such table" in str(error) or "doesn't exist" in str(error):
            return []
        raise


def content(url: str) -> Content:
    """Read what must be equal; a store without tables holds nothing."""
    with reading(url) as ask:
        return {table: Counter(ask(sql)) for table, sql in QUERIES.items()}


def number(ask: Ask, sql: str) -> int:
    """Return the one number that a query gives; 0 where the table is not there yet."""
    rows = ask(sql)
    return int(cast("int", rows[0][0])) if rows else 0


def photo_count(ask: Ask) -> int:
    return number(ask, "SELECT COUNT(*) FROM images")


def unreadable_count(ask: Ask) -> int:
    return number(ask, "SELECT COUNT(*) FROM unreadable_files")


def backlog(ask: Ask) -> int:
    """Return how many photos wait for their features."""
    return number(ask, "SELECT COUNT(*) FROM photos") - number(ask, "SELECT COUNT(*) FROM photo_features")


def stored(ask: Ask) -> list[tuple[str, bytes]]:
    """Return path and SHA-256 of every image on record."""
    rows = ask("SELECT i.path, l.sha256 FROM images i JOIN photos l ON l.id = i.photo_id")
    return [(os.fsdecode(cast("bytes", path)), cast("bytes", sha256)) for path, sha256 in rows]


def is_stored(ask: Ask, path: str) -> bool:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()
    return bool(ask(f"SELECT 1 FROM images WHERE path_sha256 = X'{name}'"))


# Comparing


def differences(ask: Ask, disk: Mapping[str, bytes]) -> list[str]:
    """Return what of the record is not as on the disk, by path and SHA-256, in a sentence with examples."""
    rows, files = Counter(stored(ask)), Counter(disk.items())
    missing, extra = list((files - rows).elements()), list((rows - files).elements())
    if not missing and not extra:
        return []
    examples = ", ".join(sorted({path for path, _ in missing + extra})[:3])
    return [f"record and disk differ: {len(missing)} missing, {len(extra)} extra, such as {examples}"]


def content_differences(found: Content, expected: Content) -> list[str]:
    """Return in which tables a store is not as another, with an example each."""
    faults = []
    for table, rows in expected.items():
        missing, extra = rows - found[table], found[table] - rows
        if missing or extra:
            example = next(iter(missing or extra))
            faults.append(f"{table}: {missing.total()} missing, {extra.total()} extra, such as {example}")
    return faults


# Waiting


def wait_until_begun(ask: Ask, photos: int, *, seconds: float = START_SECONDS) -> None:
    """Wait until so many photos are on record, as those that lay there before the daemon started."""
    waited = wait_until(lambda: photo_count(ask) >= photos, seconds=seconds)
    assert waited is not None, f"{photo_count(ask)} of {photos} photos are on record after {seconds:g} s"


def wait_until_indexed(ask: Ask, photos: int) -> None:
    """Wait until so many photos are on record, all with their features."""
    wait_until_begun(ask, photos, seconds=BACKLOG_SECONDS)
    assert wait_until(lambda: not backlog(ask), seconds=BACKLOG_SECONDS) is not None, "the backlog stays"
