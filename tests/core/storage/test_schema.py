"""The schema: one history of migrations, the same tables however they are made, and db_init.sql generated from it."""

import subprocess
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import SchemaMismatch, StoreError
from core.storage.database import Database
from core.storage.migrations.running import MIGRATIONS, mysql_script
from core.storage.schema import SCHEMA_VERSION
from core.storage.store import Store
from core.storage.tables import metadata
from core.workers.tasks import VERSIONS
from tests.mariadb import MariaDB

DB_INIT = Path(__file__).parents[3] / "db_init.sql"


def test_the_store_knows_the_newest_migration() -> None:
    """SCHEMA_VERSION is the head of the migrations."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_VERSION


def test_db_init_sql_is_made_from_the_migrations() -> None:
    """db_init.sql is what `make db_init.sql` writes, to the letter."""
    assert DB_INIT.read_text(encoding="utf-8") == mysql_script()


async def test_the_migrations_make_the_tables_of_the_code(store: Store, database_url: str) -> None:
    """Alembic finds no difference between the migrated database and core/storage/tables.py."""
    await store.schema.check()
    database = Database(database_url)

    differences = await database.read(
        lambda connection: connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), metadata)
        )
    )

    assert [one for one in differences if "alembic_version" not in str(one)] == []
    await database.close()


async def test_db_init_sql_makes_the_same_database(mariadb: MariaDB) -> None:
    """Running db_init.sql by the server's own client and `init-db` give the same tables, and the store accepts both."""
    by_script, by_program = mariadb.create_database("by_script"), mariadb.create_database("by_program")
    with DB_INIT.open("rb") as script:
        subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={mariadb.socket}", "--user=root", "by_script"],
            stdin=script,
            check=True,
        )
    stores = [Store(Database(url), VERSIONS) for url in (by_script, by_program)]
    await stores[1].schema.create()

    for store in stores:
        await store.schema.check()
        await store.close()
    tables = [name for (name,) in mariadb.execute("SHOW TABLES FROM by_program")]
    for name in tables:
        one, other = (
            mariadb.execute(f"SHOW CREATE TABLE {database}.{name}") for database in ("by_script", "by_program")
        )
        assert one == other


async def test_every_table_has_a_primary_key_and_a_named_collation(mariadb: MariaDB) -> None:
    """No table depends on the server's defaults."""
    mariadb.create_database("collations")
    mariadb.execute("ALTER DATABASE collations CHARACTER SET latin1 COLLATE latin1_general_ci")
    store = Store(Database(mariadb.url("collations")), VERSIONS)
    await store.schema.create()
    await store.close()

    columns = mariadb.execute(
        "SELECT COLUMN_NAME, COLLATION_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'collations'"
        " AND COLLATION_NAME IS NOT NULL AND TABLE_NAME <> 'alembic_version'"
    )
    without_key = mariadb.execute(
        "SELECT t.TABLE_NAME FROM information_schema.TABLES t LEFT JOIN information_schema.TABLE_CONSTRAINTS c"
        " ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME AND c.CONSTRAINT_TYPE = 'PRIMARY KEY'"
        " WHERE t.TABLE_SCHEMA = 'collations' AND c.CONSTRAINT_NAME IS NULL"
    )

    assert {collation for _, collation in columns} <= {"ascii_bin", "utf8mb4_bin"}
    assert without_key == ()


@pytest.mark.parametrize(("version", "remedy"), [("0000", "igsearch init-db"), ("9999", "upgrade igsearch")])
async def test_another_version_says_what_to_do(store: Store, database_url: str, version: str, remedy: str) -> None:
    """Tables of an older or newer igsearch are refused with the remedy and exit code 69."""
    database = Database(database_url)

    async def pretend(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})

    await database.write(pretend)
    await database.close()

    with pytest.raises(SchemaMismatch, match=remedy) as refusal:
        await store.schema.check()
    assert refusal.value.exit_code == 69


async def test_an_empty_database_says_how_to_begin(database_url: str) -> None:
    """The error for a database without igsearch's tables names the command that fills it."""
    store = Store(Database(database_url), VERSIONS)

    with pytest.raises(SchemaMismatch, match="igsearch index"):
        await store.schema.check()
    await store.close()


KILLED_AFTER = [1, 2, 5, 10, -32, -31, -29, -27, -24, -21, -19, -17, -15, -13, -11, -9, -7, -5, -3, -2, -1]
"""Statements of the whole script; those at its end are migration 0005."""


@pytest.mark.parametrize("statements", KILLED_AFTER)
async def test_a_killed_creation_is_made_good(mariadb: MariaDB, statements: int) -> None:
    """The leftovers of a process that was killed while creating the tables, or between two migrations, are repaired."""
    url = mariadb.create_database("half")
    script = [statement for statement in mysql_script().split(";") if statement.strip()]
    mariadb.execute("USE half", *script[:statements])
    store = Store(Database(url), VERSIONS)

    await store.schema.create()

    assert (await store.changes.read_checkpoint()).revision == 0
    await store.close()


async def test_an_upgrade_keeps_what_is_there(database_url: str) -> None:
    """Tables of every earlier version, with a row in them, become those of today, and the row stays."""
    for version in ("0001", "0002", "0003", "0004"):
        database = Database(database_url)
        await database.write(partial(AsyncConnection.run_sync, fn=partial(_fresh, to=version)))
        store = Store(database, VERSIONS)
        with pytest.raises(SchemaMismatch, match="igsearch init-db"):
            await store.schema.create()

        await store.schema.upgrade()

        assert (await store.changes.read_checkpoint()).revision == 7
        assert (await store.changes.read_checkpoint()).newest is None
        await store.close()


async def test_the_names_of_0005_keep_every_row(database_url: str) -> None:
    """Every row of the former fingerprint tables is in the tables of photos and their features."""
    database = Database(database_url)
    await database.write(partial(AsyncConnection.run_sync, fn=partial(_fresh, to="0004")))
    before = await database.write(partial(AsyncConnection.run_sync, fn=_filled))
    store = Store(database, VERSIONS)

    await store.schema.upgrade()

    after = await database.read(partial(AsyncConnection.run_sync, fn=_everything))
    for old, new in (("light_fingerprints", "photos"), ("deep_fingerprints", "photo_features")):
        before[new] = before.pop(old)
    before["daemon"] = [tuple("dataset suspicious" if one == "root suspicious" else one for one in before["daemon"][0])]
    assert after == before
    await store.close()


@pytest.mark.parametrize("statements", [1, 2, 4, 6, 9, 10, 11, 12, 14])
async def test_a_killed_renaming_is_finished_by_the_next(mariadb: MariaDB, statements: int) -> None:
    """A migration 0005 that was killed midway is continued where it ended, with every row."""
    url = mariadb.create_database(f"renaming_{statements}")
    database = Database(url)
    await database.write(partial(AsyncConnection.run_sync, fn=partial(_fresh, to="0004")))
    before = await database.write(partial(AsyncConnection.run_sync, fn=_filled))
    script = mysql_script().partition("-- Running upgrade 0004 -> 0005")[2].split(";")
    mariadb.execute(f"USE renaming_{statements}", *script[:statements])
    store = Store(database, VERSIONS)

    await store.schema.upgrade()

    after = await database.read(partial(AsyncConnection.run_sync, fn=_everything))
    assert after["photos"] == before["light_fingerprints"]
    assert after["photo_features"] == before["deep_fingerprints"]
    assert after["images"] == before["images"]
    await store.close()


def _filled(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Put a row in every table of 0004, and return them all."""
    reflected = MetaData()
    reflected.reflect(connection)
    digest, moment = bytes(range(32)), datetime(2026, 11, 28, 12, 30, 1, 5000)  # noqa: DTZ001 - as databases keep it
    special = {"state": "root suspicious", "username": "anna", "outcomes": "[]", "dhash": digest[:8]}
    for table in reflected.sorted_tables:
        if table.name not in {"alembic_version", "checkpoint"}:
            connection.execute(table.insert(), {c.name: special.get(c.name, _value(c, moment)) for c in table.columns})
    return _everything(connection)


def _value(column: Column[Any], moment: datetime) -> object:
    """Return a value that fits a column; every key is 1."""
    kind = column.type.python_type
    return {datetime: moment, bytes: bytes(range(32)), str: "word", float: 1.5}.get(kind, 1)


def _everything(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of every table by its name, but those of Alembic."""
    reflected = MetaData()
    reflected.reflect(connection)
    return {
        table.name: [tuple(row) for row in connection.execute(table.select())]
        for table in reflected.sorted_tables
        if table.name != "alembic_version"
    }


def _fresh(connection: Connection, *, to: str) -> None:
    """Make the tables of an earlier version in the place of whatever is there, and write in them."""
    reflected = MetaData()
    reflected.reflect(connection)
    reflected.drop_all(connection)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    connection.execute(text("UPDATE checkpoint SET revision = 7"))


async def test_tables_of_others_are_left_alone(database_url: str) -> None:
    """A database with another program's table under one of igsearch's names is refused every time, and kept."""
    database = Database(database_url)

    async def settle(connection: AsyncConnection) -> None:
        await connection.execute(text("CREATE TABLE users (name INT)"))
        await connection.execute(text("INSERT INTO users VALUES (7)"))

    async def look(connection: AsyncConnection) -> int:
        return int(await connection.scalar(text("SELECT name FROM users")) or 0)

    await database.write(settle)
    store = Store(Database(database_url), VERSIONS)
    for _ in range(2):
        with pytest.raises(StoreError, match="use an empty database"):
            await store.schema.create()

    assert await database.read(look) == 7
    await store.close()
    await database.close()
