"""Combine the checks that depend on several inputs: the photos, the database, the machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from cli.doctor.database import check_collation, check_database, check_schema
from cli.doctor.facts import Facts
from cli.doctor.finding import CheckName, Finding
from cli.doctor.machine import System, check_clock, check_memory
from cli.doctor.storage_space import SERVER_BYTES, check_disk, wants


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that igsearch runs on, and the photos that are there."""

    now: datetime
    photos: int
    """The number of photos in the dataset."""
    workers: int
    cache: Path
    """The folder for snapshots of the index."""
    temporary: Callable[[], str]
    """Returns the folder for temporary files; raises OSError if there is none."""
    system: System
    telegram_ahead: timedelta | None
    """The time by which Telegram's clock is ahead of ours; None if unknown."""


def combined_checks(machine: Machine, facts: Facts | None) -> Mapping[CheckName, Callable[[], list[Finding]]]:
    """Return the checks to make, with or without the facts of the database."""
    photos = max(machine.photos, facts.images if facts else 0)
    ahead = {"the database server": facts.ahead if facts else None, "Telegram": machine.telegram_ahead}
    return {
        "database": partial(check_database, facts),
        "collation": partial(check_collation, facts),
        "schema": partial(check_schema, facts),
        "clock": partial(check_clock, machine.now, ahead, facts.moments if facts else {}),
        "disk": partial(_disk, machine, facts, photos),
        "memory": partial(check_memory, photos, machine.workers, machine.system),
    }


def _disk(machine: Machine, facts: Facts | None, photos: int) -> list[Finding]:
    file = facts.file if facts else None
    new = photos - (facts.images if facts else 0)
    needs = wants(photos, new, database=file, cache=machine.cache, temporary=Path(machine.temporary()))
    return check_disk(needs, of_server=new * SERVER_BYTES if facts and not file else 0)
