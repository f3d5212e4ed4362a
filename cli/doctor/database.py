"""Check the database: its kind and version, its tables, and how they compare text."""

from collections.abc import Iterator, Mapping

from sqlalchemy import Column
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateColumn

from cli.doctor.facts import Charset, Facts, Kind
from cli.doctor.finding import Finding, fix, listed, ok, skipped
from core.errors import SchemaMismatch
from core.storage.schema import check_version
from core.storage.tables import metadata

OLDEST: Mapping[Kind, tuple[int, int]] = {"MySQL": (8, 0), "MariaDB": (10, 5), "SQLite": (3, 35)}
"""Older servers no longer get security updates, and MySQL 5.7 ignores CHECK constraints; older SQLite can neither drop
columns, as a migration may, nor return the ids of inserted rows."""
REMEDIES: Mapping[Kind, str] = {
    "MySQL": "upgrade the server",
    "MariaDB": "upgrade the server",
    "SQLite": "upgrade Python, which brings it, or use MySQL",
}


def check_database(facts: Facts | None) -> list[Finding]:
    """Judge a database that answered; if it did not, the runner has noted why."""
    if facts is None:
        return []
    said = f"{facts.kind} {'.'.join(map(str, facts.version))}"
    oldest = OLDEST[facts.kind]
    if facts.version < oldest:
        wanted = ".".join(map(str, oldest))
        return [fix("database", f"{said} is too old: {REMEDIES[facts.kind]}, to {wanted} or newer.")]
    return [ok("database", f"{facts.name}, {said}" + ("" if facts.tables else ", with nothing in it yet"))]


MYSQL = mysql.dialect()
ENGINE = "InnoDB"
NO_DATABASE = "the database has to be fixed first"
NO_TABLES = "there are no tables yet"


def check_schema(facts: Facts | None) -> list[Finding]:
    if facts is None:
        return [skipped("schema", NO_DATABASE)]
    if fault := _version_fault(facts) or _missing(facts):
        return [fix("schema", fault)]
    return [ok("schema", f"version {facts.schema}, all {len(metadata.tables)} tables are there")]


def check_collation(facts: Facts | None) -> list[Finding]:
    """Check that MySQL has the character sets, collations and engine that igsearch created the tables with."""
    if facts is None:
        return [skipped("collation", NO_DATABASE)]
    if facts.kind == "SQLite":
        return [skipped("collation", "SQLite compares text byte by byte anyway")]
    if not _ours(facts):
        return [skipped("collation", NO_TABLES)]
    findings = [fix("collation", fault) for fault in (_strange_text(facts), _strange_engines(facts)) if fault]
    return findings or [
        ok("collation", f"{len(_text_columns(facts))} text columns compare as they should, in {ENGINE}")
    ]


def _version_fault(facts: Facts) -> str | None:
    if facts.schema is None and (ours := _ours(facts)):
        return (
            f"{facts.name} has a table '{ours[0]}' but no version of it: restore a backup of the database,"
            " or use an empty one."
        )
    try:
        check_version(facts.schema, facts.name)
    except SchemaMismatch as fault:
        return str(fault)
    return None


def _ours(facts: Facts) -> list[str]:
    """Return the tables whose names are ours."""
    return [name for name in metadata.tables if name in facts.tables]


def _missing(facts: Facts) -> str | None:
    tables = [f"table '{name}'" for name in metadata.tables if name not in facts.tables]
    columns = [
        f"column '{column.name}' of table '{name}'"
        for name in _ours(facts)
        for column in metadata.tables[name].columns
        if column.name not in facts.tables[name]
    ]
    missing = tables + columns
    return f"{facts.name} lacks {listed(missing)}: restore a backup of the database." if missing else None


def _strange_text(facts: Facts) -> str | None:
    """Return which text columns compare differently than they should, and how to fix them."""
    wrong = [(column, found) for column, wanted, found in _text_columns(facts) if found != wanted]
    if not wrong:
        return None
    seen = listed([f"{column} is {found.collation if found else 'no text'}" for column, found in wrong])
    fixes = " ".join(f"ALTER TABLE {column.table} MODIFY {_definition(column)};" for column, _ in wrong[:3])
    return (
        f"'abc' may be taken for 'ABC' in {len(wrong)} column(s) of {facts.name} ({seen}): stop igsearch and run"
        f" `{fixes}`. If you loaded a dump, load it again with --default-character-set=utf8mb4."
    )


def _strange_engines(facts: Facts) -> str | None:
    wrong = [name for name in _ours(facts) if facts.engines.get(name) != ENGINE]
    if not wrong:
        return None
    fixes = " ".join(f"ALTER TABLE {name} ENGINE={ENGINE};" for name in wrong)
    return f"A crash may damage {listed(wrong)}, as only {ENGINE} has transactions: stop igsearch and run `{fixes}`."


def _text_columns(facts: Facts) -> list[tuple[Column[str], Charset, Charset | None]]:
    """Return our existing text columns, each with the character set that it should have and the one that it has."""
    return [
        (column, wanted, facts.tables[name][column.name])
        for name in _ours(facts)
        for column, wanted in _wanted(name)
        if column.name in facts.tables[name]
    ]


def _wanted(table: str) -> Iterator[tuple[Column[str], Charset]]:
    for column in metadata.tables[table].columns:
        kind = column.type.dialect_impl(MYSQL)
        if isinstance(kind, mysql.VARCHAR | mysql.MEDIUMTEXT) and kind.charset and kind.collation:
            yield column, Charset(kind.charset, kind.collation)


def _definition(column: Column[str]) -> str:
    """Return the definition of a column as in CREATE TABLE."""
    return str(CreateColumn(column).compile(dialect=MYSQL))
