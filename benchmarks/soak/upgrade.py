"""What an upgrade costs: seconds, rows that stay equal, and searches that the version before answers meanwhile.

    git worktree add /tmp/before b52c9ee
    python -m benchmarks.soak.upgrade --before /tmp/before --images 28000

The code of that version, which is older than the layout of today, fills a database with made-up photos, once in SQLite
and once in MariaDB, and goes on searching while `igsearch init-db` of this version runs.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, MetaData, Table, select

from benchmarks.lab.script import own_folder, parser, report
from core.storage.database import Database, sqlite_url
from tests.mariadb import private_mariadb

ROOT = Path(__file__).parents[2]
RENAMED = {"light_fingerprints": "photos", "deep_fingerprints": "photo_features"}
WARM_SECONDS, AFTER_SECONDS, READ_SECONDS = 3.0, 2.0, 600.0
HEAD = """
import asyncio, sys, time
import numpy as np
from core.model import Deepen, DeepFingerprint, FileStamp, LightFingerprint, Place, Remember
from core.storage.database import Database
from core.storage.store import Store
from core.fingerprinting import VERSIONS
"""
FILL = f"""{HEAD}
async def main(url, count):
    store, random = Store(Database(url), VERSIONS), np.random.default_rng(7)
    async with store.writer():
        await store.create_schema()
        for start in range(0, count, 200):
            changes = []
            for number in range(start, min(start + 200, count)):
                bits, name = random.bytes(72), f"user{{number // 140}}"
                light = LightFingerprint(bits[:32], bits[32:40], bits[40:], 100, 0, 1080, 1350, VERSIONS.light)
                place = Place(name, f"{{name}}/{{number}}.jpg".encode())
                changes.append(Remember(place, FileStamp(number + 1, number, number, 1), light))
            await store.write(changes)
            waiting = await store.backlog(after=start, limit=200)
            deep = [DeepFingerprint(random.bytes(38 * 150), random.bytes(3000), VERSIONS.deep) for _ in waiting]
            await store.write([Deepen(one.light_id, one.place.path, its) for one, its in zip(waiting, deep)])
    await store.close()
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""
ASK = f"""{HEAD}
async def main(url):
    store = Store(Database(url), VERSIONS)
    while True:
        began = time.monotonic()
        try:
            found = len(await store.references([1, 2, 3])), len(await store.deep([1, 2, 3]))
            said = "right" if found == (3, 3) else "wrong"
        except Exception as error:
            said = f"{{type(error).__name__}}: {{error}}"
        print(f"{{time.monotonic()}}\\t{{time.monotonic() - began}}\\t{{said}}", flush=True)
        await asyncio.sleep(0.02)
asyncio.run(main(sys.argv[1]))
"""
"""The reads of a search."""


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--before", type=Path, required=True, help="a checkout of the version before")
    options.add_argument("--images", type=int, default=28_000)
    arguments = options.parse_args()
    with own_folder() as folder, private_mariadb() as server:
        urls = {
            "SQLite": sqlite_url(folder / "store.db").render_as_string(),
            "MariaDB": server.create_database("upgraded"),
        }
        return report([fault for name, url in urls.items() for fault in faults(name, url, arguments)])


def faults(name: str, url: str, arguments: argparse.Namespace) -> list[str]:
    """Fill a database by the version before, upgrade it while that searches, print what happened, and complain."""
    before, now = ({**os.environ, "PYTHONPATH": str(path)} for path in (arguments.before, ROOT))
    subprocess.run(
        [sys.executable, "-c", FILL, url, str(arguments.images)], env=before, cwd=arguments.before, check=True
    )
    rows = asyncio.run(digests(url))
    with searching(url, before, arguments.before) as answers:
        time.sleep(WARM_SECONDS)
        began = time.monotonic()
        init_db = [sys.executable, "-m", "igsearch", "init-db"]
        subprocess.run(init_db, env={**now, "IGSEARCH_DATABASE_URL": url}, cwd=ROOT, check=True)
        ended = time.monotonic()
        time.sleep(AFTER_SECONDS)
    during = [(took, said) for at, took, said in answers if began <= at <= ended]
    right = [took for took, said in during if said == "right"]
    print(f"{name}: {arguments.images:,} images in {ended - began:.2f} s, the start of the program included;")
    print(f"  {len(right)} of {len(during)} searches were answered meanwhile, the slowest after {max(right):.2f} s;")
    print(f"  afterwards it says: {sorted({said for at, _, said in answers if at > ended})[:1]}")
    after = asyncio.run(digests(url))
    is_same = {RENAMED.get(table, table): digest for table, digest in rows.items()} == after
    return [] if is_same else [f"{name}: the rows are not what they were"]


@contextmanager
def searching(url: str, variables: dict[str, str], folder: Path) -> Iterator[list[tuple[float, float, str]]]:
    """Have the version before search until the end of the block; the list then holds when, how long, what it said."""
    answers: list[tuple[float, float, str]] = []
    command = [sys.executable, "-c", ASK, url]
    with subprocess.Popen(command, env=variables, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        yield answers
        process.terminate()
        lines = (line.rstrip("\n").split("\t", 2) for line in process.stdout or ())
        answers += [(float(at), float(took), said) for at, took, said in lines]


async def digests(url: str) -> dict[str, str]:
    """Return a digest of all rows of every table by its name, whatever the columns are called."""
    database = Database(url, read_seconds=READ_SECONDS)
    try:
        return await database.read(lambda connection: connection.run_sync(_digests))
    finally:
        await database.close()


def _digests(connection: Connection) -> dict[str, str]:
    found = MetaData()
    found.reflect(connection)
    return {table.name: _digest(connection, table) for table in found.sorted_tables if table.name != "alembic_version"}


def _digest(connection: Connection, table: Table) -> str:
    digest = sha256()
    for row in connection.execute(select(table).order_by(*table.primary_key)):
        digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
