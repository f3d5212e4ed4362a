"""What `igsearch doctor` says of a database: faults are planted in real ones and named, and looking changes nothing."""

import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.doctor.database import check_collation, check_database, check_schema
from cli.doctor.facts import Facts, read_facts
from cli.doctor.finding import Finding
from core.errors import StoreError
from core.storage.database import Database
from core.storage.store import Store
from core.workers.tasks import VERSIONS
from tests.mariadb import MariaDB


def now() -> datetime:
    return datetime.now(UTC)


async def made(url: str) -> str:
    """Make the tables, and return the URL."""
    store = Store(Database(url), VERSIONS)
    await store.schema.create()
    await store.close()
    return url


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()}


def faults(*findings: list[Finding]) -> list[str]:
    return [finding.detail for found in findings for finding in found if finding.state == "fix"]


async def test_a_whole_database_is_well(database_url: str, tmp_path: Path) -> None:
    """All tables of this version are there, of either kind; looking leaves no file and no trace."""
    await made(database_url)
    before = listing(tmp_path)

    facts = await read_facts(database_url, now)

    assert faults(check_database(facts), check_schema(facts), check_collation(facts)) == []
    assert check_schema(facts)[0].state == "ok"
    assert listing(tmp_path) == before


async def test_a_database_without_tables_is_told_what_makes_them(database_url: str, tmp_path: Path) -> None:
    """No file is made where none is."""
    facts = await read_facts(database_url, now)

    assert "run `igsearch index" in faults(check_schema(facts))[0]
    assert check_collation(facts)[0].state == "skipped"
    assert listing(tmp_path) == {}


@pytest.mark.parametrize(("version", "words"), [("0001", "from an older igsearch"), ("9999", "from a newer igsearch")])
async def test_tables_of_another_version_are_told(tmp_path: Path, version: str, words: str) -> None:
    """Older ones are to be upgraded, for newer ones igsearch is."""
    execute = await sqlite(tmp_path / "s.db")
    execute(f"UPDATE alembic_version SET version_num = '{version}'")

    [fault] = faults(check_schema(await facts_of(tmp_path / "s.db")))

    assert words in fault


async def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """A dropped table and a dropped column, and tables without their version."""
    execute = await sqlite(tmp_path / "s.db")
    execute("DROP TABLE tombstones")
    execute("ALTER TABLE photos DROP COLUMN width")

    [dropped] = faults(check_schema(await facts_of(tmp_path / "s.db")))
    execute("DROP TABLE alembic_version")
    [unknown] = faults(check_schema(await facts_of(tmp_path / "s.db")))

    assert "lacks table 'tombstones', column 'width' of table 'photos': restore a backup" in dropped
    assert "has a table 'checkpoint' but no version of it" in unknown


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(99)])
async def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes) -> None:
    """It is left as it is."""
    (tmp_path / "s.db").write_bytes(content)

    with pytest.raises(StoreError, match=r"s\.db is damaged or not a SQLite database"):
        await facts_of(tmp_path / "s.db")
    assert (tmp_path / "s.db").read_bytes() == content


async def test_damage_inside_a_file_is_found(tmp_path: Path) -> None:
    """Also where the first page, and with it the list of tables, is whole."""
    await sqlite(tmp_path / "s.db")
    with (tmp_path / "s.db").open("r+b") as file:
        file.seek(3 * 4096)
        file.write(bytes(4096))

    with pytest.raises(StoreError, match="is damaged"):
        await facts_of(tmp_path / "s.db")


@pytest.mark.parametrize("path", ["no/folder/s.db", "folder"])
async def test_a_place_where_no_database_can_be_is_named(tmp_path: Path, path: str) -> None:
    """A folder that is missing, and a folder in the place of the file."""
    (tmp_path / "folder").mkdir()

    with pytest.raises(StoreError, match="cannot be written"):
        await facts_of(tmp_path / path)
    assert os.listdir(tmp_path) == ["folder"]


async def test_a_server_that_is_away_or_refuses_us_is_named_without_the_password(mariadb: MariaDB) -> None:
    """Nobody listens, nobody knows the user, and there is no such database."""
    for url, words in {
        "mysql://igsearch:hush-hush@127.0.0.1:1/igsearch": "is unavailable: start it",
        mariadb.url("igsearch", user="nobody", password="hush-hush"): "check user and password",
        mariadb.url("no_such_database"): "There is no database",
    }.items():
        with pytest.raises(StoreError, match=words) as fault:
            await read_facts(url, now)
        assert "hush" not in str(fault.value)


async def test_an_old_server_is_named() -> None:
    """With the version that is wanted."""
    old, new = Facts("igsearch at host", "MySQL", (5, 7, 44)), Facts("igsearch at host", "MariaDB", (10, 5))

    assert faults(check_database(old)) == ["MySQL 5.7.44 is too old: upgrade the server, to 8.0 or newer."]
    assert faults(check_database(new)) == []


async def test_wrong_collations_are_named_with_what_mends_them(mariadb: MariaDB) -> None:
    """The statements in a finding fix what it names."""
    url = await made(mariadb.create_database("collation"))
    mariadb.execute(
        "USE collation",
        "ALTER TABLE users MODIFY username VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL",
        "ALTER TABLE scans ENGINE=MyISAM",
    )

    text, engine = faults(check_collation(await read_facts(url, now)))
    mariadb.execute("USE collation", *[f"ALTER TABLE {part}" for part in statements(text) + statements(engine)])

    assert "1 column(s) of collation at 127.0.0.1 (users.username is utf8mb4_general_ci)" in text
    assert "scans" in engine
    assert faults(check_collation(await read_facts(url, now))) == []


async def test_a_server_tells_how_far_its_clock_is_ahead(mariadb: MariaDB) -> None:
    """Its UTC against ours, whatever its time zone."""
    url = mariadb.create_database("clock")

    facts = await read_facts(url, lambda: now() - timedelta(hours=3))

    assert facts.ahead is not None
    assert timedelta(hours=2, minutes=59) < facts.ahead < timedelta(hours=3, minutes=1)


def statements(fault: str) -> list[str]:
    """Return the ALTER TABLE statements in a finding."""
    return [part.partition(";")[0] for part in fault.split("ALTER TABLE ")[1:]]


async def sqlite(file: Path) -> Callable[[str], None]:
    """Make the tables in a file, and return what changes it behind our back."""
    await made(f"sqlite:///{file}")

    def execute(statement: str) -> None:
        connection = sqlite3.connect(file)
        connection.execute(statement)
        connection.commit()
        connection.close()

    return execute


async def facts_of(file: Path) -> Facts:
    return await read_facts(f"sqlite:///{file}", now)
