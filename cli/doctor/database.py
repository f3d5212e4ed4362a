"""The database: its kind and version, once it has answered."""

from collections.abc import Mapping

from cli.doctor.facts import Facts, Kind
from cli.doctor.finding import Finding, fix, ok

OLDEST: Mapping[Kind, tuple[int, int]] = {"MySQL": (8, 0), "MariaDB": (10, 5), "SQLite": (3, 35)}
"""Older servers get no security updates any more, and MySQL 5.7 passes over CHECK constraints; older SQLite can neither
drop columns, as a migration may, nor return the ids of inserted rows."""
REMEDIES: Mapping[Kind, str] = {
    "MySQL": "upgrade the server",
    "MariaDB": "upgrade the server",
    "SQLite": "upgrade Python, which brings it, or use MySQL",
}


def check_database(facts: Facts | None) -> list[Finding]:
    """Judge a database that answered; why one did not is told already."""
    if facts is None:
        return []
    said = f"{facts.kind} {'.'.join(map(str, facts.version))}"
    oldest = OLDEST[facts.kind]
    if facts.version < oldest:
        wanted = ".".join(map(str, oldest))
        return [fix("database", f"{said} is too old: {REMEDIES[facts.kind]}, to {wanted} or newer.")]
    return [ok("database", f"{facts.name}, {said}" + ("" if facts.tables else ", with nothing in it yet"))]
