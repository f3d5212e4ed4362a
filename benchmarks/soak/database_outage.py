"""What the daemon does while MariaDB is away: stopped, or frozen by SIGSTOP, for a minute amid indexing.

python -m benchmarks.soak.database_outage
python -m benchmarks.soak.database_outage --seconds 60 --files 3000 --only frozen

Each time on a fresh database. The daemon has worked off some photos, hashes and features; then two
thirds of the photos, of real size, arrive, and when some hundred are on record the outage begins; the last third comes
in its middle. Shown are the seconds from the return of the server until the first new row, and until another 300 (more
than one transaction, which a frozen server may have had in hand); the files that are not on record at the end; and by
how much the memory of the daemon with all its processes (PSS) grew: its maximum during the outage against that
before.

Third, SIGTERM 2 s after the server was frozen: seconds until the exit, and its code. When the server is back, a new
daemon must find everything, as if nothing had happened.

Exits 1 when the first new row comes later than 10 s after the return, when a file is lost, when memory grows by 50 MiB
or more, or when SIGTERM does not end the daemon with 0 within 10 s.
"""

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql

from benchmarks.lab.daemon import Daemon, watching
from benchmarks.lab.databases import (
    differences,
    frozen,
    photo_count,
    reading,
    stopped,
    wait_until_begun,
    wait_until_indexed,
)
from benchmarks.lab.photos import Digests, fill_real, fresh
from benchmarks.lab.processes import MIB, Sample, sampling
from benchmarks.lab.script import missed, own_folder, parser, report
from benchmarks.lab.timing import shown, sleep_until, wait_until
from tests.mariadb import MariaDB, private_mariadb

Away = Callable[[MariaDB], AbstractContextManager[None]]

FOLDERS = 60
"""Accounts; a photo of each is there and worked off before the others come."""
BEGUN, WENT_ON = 300, 300
"""Photos on record when the outage begins, and new rows that show that the daemon goes on."""
RETURN_SECONDS, GROWTH_MIB = 10.0, 50
SAMPLE_SECONDS, POLL_SECONDS = 0.25, 0.1
FROZEN_SECONDS = 2.0
ALL_SECONDS = 300
KINDS = ("stopped", "frozen", "terminated")


@dataclass(frozen=True, slots=True)
class Stage:
    """What all outages have in common: the photos there at first, those before and those amid the outage."""

    server: MariaDB
    folder: Path
    digests: Digests
    settle: float

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"

    def bring(self, part: str) -> None:
        subprocess.run(["cp", "-r", f"{self.folder / part}/.", str(self.dataset)], check=True)


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage: when it began, when the server was back, and how many rows there were then."""

    began: float
    returned: float
    rows: int


def main() -> int:
    arguments = parse()
    faults: list[str] = []
    with own_folder() as folder, private_mariadb(durable=True) as server:
        stage = prepare(server, folder, arguments)
        print(f"{len(stage.digests):,} photos, away for {arguments.seconds:g} s", flush=True)
        for kind in arguments.only:
            faults += [f"{kind}: {fault}" for fault in try_outage(stage, kind, arguments.seconds)]
    return report(faults)


def parse() -> argparse.Namespace:
    options = parser(__doc__, has_photos=True, has_daemon=True)
    options.add_argument("--files", type=int, default=3_000)
    options.add_argument("--seconds", type=float, default=60, help="how long the server is away")
    options.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    return options.parse_args()


def prepare(server: MariaDB, folder: Path, arguments: argparse.Namespace) -> Stage:
    chance, third = random.Random(arguments.seed), arguments.files // 3
    digests: Digests = {}
    for part, files in (("first", FOLDERS), ("before", arguments.files - FOLDERS - third), ("amid", third)):
        digests |= fill_real(
            folder / part, arguments.photos, files=files, folders=FOLDERS, chance=chance, first=len(digests)
        )
    return Stage(server, folder, digests, arguments.settle)


def try_outage(stage: Stage, kind: str, seconds: float) -> list[str]:
    away = {"stopped": stopped, "frozen": frozen}
    return ride_out(stage, kind, away[kind], seconds) if kind in away else terminate_frozen(stage, kind)


def ride_out(stage: Stage, kind: str, away: Away, seconds: float) -> list[str]:
    """Take the server away amid indexing, and see what the daemon does when it is back."""
    with begun(stage, kind) as (daemon, url), sampling(daemon.session, every=SAMPLE_SECONDS) as samples:
        bring_until_begun(stage, url)
        outage = take_away(stage, url, away, seconds)
        first = wait_until(lambda: rows(url) > outage.rows, seconds=ALL_SECONDS, every=POLL_SECONDS)
        more = wait_until(lambda: rows(url) > outage.rows + WENT_ON, seconds=ALL_SECONDS, every=POLL_SECONDS)
        print(f"{kind}: first new row after {shown(first)} s, {WENT_ON} more after another {shown(more)} s")
        faults = lost(stage, kind, url, daemon) + growth(kind, samples, outage) + daemon.terminate().faults
        daemon.show_complaints()
    if first is None or first > RETURN_SECONDS:
        faults.append(f"first new row {shown(first)} s after the return, the goal is {RETURN_SECONDS:g} s")
    return faults


def terminate_frozen(stage: Stage, kind: str) -> list[str]:
    """Terminate the daemon while the server is frozen, and see whether the next one finds everything."""
    with begun(stage, kind) as (daemon, url):
        bring_until_begun(stage, url)
        with frozen(stage.server):
            time.sleep(FROZEN_SECONDS)
            ended = daemon.terminate()
        print(f"{kind}: exit code {ended.code} after {ended.seconds:.1f} s", flush=True)
        daemon.show_complaints()
    stage.bring("amid")
    with watching(stage.dataset, url, stage.folder / "log", settle_seconds=stage.settle) as successor:
        return ended.faults + lost(stage, kind, url, successor) + successor.terminate().faults


@contextmanager
def begun(stage: Stage, database: str) -> Iterator[tuple[Daemon, str]]:
    """Run a daemon that has worked off the first photos, hashes and features."""
    url = stage.server.create_database(database)
    fresh(stage.dataset)
    stage.bring("first")
    with watching(stage.dataset, url, stage.folder / "log", settle_seconds=stage.settle) as daemon:
        with reading(url) as ask:
            wait_until_indexed(ask, FOLDERS)
        yield daemon, url


def bring_until_begun(stage: Stage, url: str) -> None:
    stage.bring("before")
    with reading(url) as ask:
        wait_until_begun(ask, FOLDERS + BEGUN)


def take_away(stage: Stage, url: str, away: Away, seconds: float) -> Outage:
    with away(stage.server):
        began = time.monotonic()
        time.sleep(seconds / 2)
        stage.bring("amid")
        sleep_until(began + seconds)
    return Outage(began, time.monotonic(), rows(url))


def rows(url: str) -> int:
    """Count the images by a connection of its own; -1 while there is none to be had."""
    try:
        with reading(url) as ask:
            return photo_count(ask)
    except (OSError, pymysql.err.OperationalError):
        return -1


def lost(stage: Stage, kind: str, url: str, daemon: Daemon) -> list[str]:
    """Wait until all is on record, and return what is not."""
    with reading(url) as ask:
        seconds = wait_until(lambda: photo_count(ask) >= len(stage.digests), seconds=ALL_SECONDS)
        faults = differences(ask, stage.digests)
        print(f"{kind}: {photo_count(ask):,} of {len(stage.digests):,} on record after another {shown(seconds)} s")
    if seconds is None:
        print(f"    the end of its log: {daemon.end_of_log()}", flush=True)
    return faults


def growth(kind: str, samples: list[Sample], outage: Outage) -> list[str]:
    """Print the memory before and during the outage, and complain when it grew too much."""
    before = most(samples, float("-inf"), outage.began)
    during = most(samples, outage.began, outage.returned)
    print(f"{kind}: memory before at most {before:.0f} MiB, during {during:.0f} MiB", flush=True)
    return missed("growth of memory", during - before, GROWTH_MIB, "MiB")


def most(samples: list[Sample], begin: float, end: float) -> float:
    """Return the most memory in a span of time, in MiB."""
    return max(sample.pss for sample in samples if begin <= sample.at <= end) / MIB


if __name__ == "__main__":
    sys.exit(main())
