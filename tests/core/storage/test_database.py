"""A database error is a sentence with a remedy, comes soon, and never shows the password."""

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import IndexerBusy, SettingsError, StoreError, Unavailable
from core.storage.database import Database
from core.storage.store import Store
from core.workers.tasks import VERSIONS
from tests.core.storage.test_store import remember, write
from tests.mariadb import MariaDB

PASSWORD = "s3cret-pass"


async def ask(database: Database) -> int:
    async def work(connection: AsyncConnection) -> int:
        return int(await connection.scalar(text("SELECT 1")) or 0)

    try:
        return await database.read(work)
    finally:
        await database.close()


@pytest.mark.parametrize("url", ["", "nonsense", "postgresql://a@b/c", "mysql://host:port/x"])
def test_a_wrong_url_names_its_variable(url: str) -> None:
    """A URL that is none of ours is a SettingsError that names the variable."""
    with pytest.raises(SettingsError, match="IGSEARCH_DATABASE_URL"):
        Database(url)


async def test_a_closed_port_is_unavailable() -> None:
    """Without a server the database is unavailable, which is reported once; the sentence holds no password."""
    reported: list[StoreError] = []

    with pytest.raises(Unavailable, match="unavailable") as fault:
        await ask(Database(f"mysql://someone:{PASSWORD}@127.0.0.1:1/x", failed=reported.append))

    assert PASSWORD not in str(fault.value)
    assert reported == [fault.value]


async def test_a_wrong_password_and_an_unknown_database_are_told_apart(mariadb: MariaDB) -> None:
    """The server's refusals say what to check."""
    with pytest.raises(StoreError, match="check user and password"):
        await ask(Database(mariadb.url("x", user="nobody", password=PASSWORD)))
    with pytest.raises(StoreError, match="There is no database"):
        await ask(Database(mariadb.url("no_such_database")))


async def test_a_password_with_special_characters_works(mariadb: MariaDB) -> None:
    """A percent-encoded password and a unix socket reach the server."""
    mariadb.create_database("special")
    mariadb.execute(
        "CREATE OR REPLACE USER 'odd'@'localhost' IDENTIFIED BY 'p@ss/w:rd%#'",
        "GRANT ALL ON special.* TO 'odd'@'localhost'",
    )

    url = f"mysql://odd:p%40ss%2Fw%3Ard%25%23@localhost/special?unix_socket={mariadb.socket}"

    assert await ask(Database(url)) == 1


async def test_a_lost_connection_is_made_again(mariadb: MariaDB) -> None:
    """After the server cuts every connection the next call still works."""
    database = Database(mariadb.create_database("lost"))
    store = Store(database, VERSIONS)
    await store.schema.create()
    own = [row[0] for row in mariadb.execute("SELECT ID FROM information_schema.PROCESSLIST WHERE DB = 'lost'")]

    mariadb.execute(*[f"KILL {number}" for number in own])

    assert (await store.changes.read_checkpoint()).revision == 0
    await store.close()


async def test_a_lost_lock_is_taken_again_or_the_writer_stops(mariadb: MariaDB) -> None:
    """A writer whose lock connection is cut takes the lock again; if another has it meanwhile, it writes nothing."""
    url = mariadb.create_database("lock")
    first, second = (Store(Database(url), VERSIONS) for _ in range(2))
    await first.schema.create()

    def cut() -> None:
        cutting = [row[0] for row in mariadb.execute("SELECT ID FROM information_schema.PROCESSLIST WHERE DB = 'lock'")]
        mariadb.execute(*[f"KILL {number}" for number in cutting])

    async with first.hold_lock():
        cut()
        await first.write([remember("anna/a.jpg", 1)])
        cut()
        async with second.hold_lock():
            with pytest.raises(IndexerBusy):
                await first.write([remember("anna/b.jpg", 2)])

    assert (await first.changes.read_checkpoint()).images == 1
    await first.close()
    await second.close()


@pytest.mark.parametrize("is_called_off", [False, True])
async def test_a_server_that_freezes_amid_a_transaction_is_unavailable(mariadb: MariaDB, is_called_off) -> None:
    """A commit that is never answered ends with its time limit, or when it is cancelled; later calls work."""
    database = Database(mariadb.create_database("amid"))
    begun = asyncio.Event()

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("CREATE TABLE IF NOT EXISTS t (x INT)"))
        await connection.execute(text("INSERT INTO t VALUES (1)"))
        mariadb.freeze()
        begun.set()

    writing = asyncio.create_task(database.write(work, seconds=60 if is_called_off else 1))
    await begun.wait()
    if is_called_off:
        writing.cancel()
    try:
        done, _ = await asyncio.wait({writing}, timeout=30)
    finally:
        mariadb.thaw()

    assert done
    assert writing.cancelled() if is_called_off else isinstance(writing.exception(), Unavailable)
    assert await ask(database) == 1
    await database.close()


async def test_a_frozen_server_is_unavailable_within_its_time(mariadb: MariaDB) -> None:
    """A server that accepts and never answers is reported within the time limit, and works when it thaws."""
    database = Database(mariadb.create_database("frozen"), read_seconds=0.5)
    store = Store(database, VERSIONS)
    await store.schema.create()
    mariadb.freeze()
    started = time.monotonic()
    try:
        with pytest.raises(Unavailable, match="unavailable"):
            await store.changes.read_checkpoint()
    finally:
        waited = time.monotonic() - started
        mariadb.thaw()

    assert waited < 5
    assert (await store.changes.read_checkpoint()).revision == 0
    await store.close()


async def test_a_file_that_is_no_database_is_kept(tmp_path: Path) -> None:
    """A file that is not SQLite's is refused and left as it is."""
    path = tmp_path / "store.db"
    path.write_bytes(b"holiday notes" * 1000)

    with pytest.raises(StoreError, match="not a SQLite database"):
        await ask(Database(f"sqlite:///{path}"))

    assert path.read_bytes() == b"holiday notes" * 1000


async def test_a_folder_that_is_not_there_is_explained(tmp_path: Path) -> None:
    """A database in a missing folder says how to choose another."""
    with pytest.raises(StoreError, match="IGSEARCH_DATABASE_URL"):
        await ask(Database(f"sqlite:///{tmp_path / 'missing' / 'store.db'}"))


async def test_a_writer_waits_for_another_program(tmp_path: Path) -> None:
    """A write waits while another program holds SQLite's lock, and then goes through."""
    store = Store(Database(f"sqlite:///{tmp_path / 'store.db'}"), VERSIONS)
    await store.schema.create()
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    writing = asyncio.create_task(write(store, [remember("anna/a.jpg", 1)]))
    readable = await store.changes.read_checkpoint()
    other.execute("ROLLBACK")
    other.close()
    await writing

    assert readable.images == 0
    assert (await store.changes.read_checkpoint()).images == 1
    await store.close()


async def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """If SQLite cannot grow any more, the sentence says to free space, and the store is as before."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = Store(Database(url), VERSIONS)
    await store.schema.create()
    database = Database(url)

    async def fill(connection: AsyncConnection) -> None:
        await connection.execute(text("PRAGMA max_page_count = 1"))
        await connection.execute(text("CREATE TABLE filler AS SELECT randomblob(1000000) AS noise"))

    with pytest.raises(StoreError, match="free some space"):
        await database.write(fill)

    assert (await store.changes.read_checkpoint()).images == 0
    await database.close()
    await store.close()
