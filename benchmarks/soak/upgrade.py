"""What an upgrade from an earlier version costs: seconds, rows that stay equal, and searches answered meanwhile.

    git worktree add /tmp/before v0.1.0
    python -m benchmarks.soak.upgrade --before /tmp/before --images 28000

The earlier version's own code fills a database with made-up photos, once in SQLite and once in MariaDB, and goes on
searching for one of them while `igsearch init-db` of this version runs. Printed are the seconds of the upgrade; the
searches answered until then, the slowest, and what the earlier version says afterwards; and whether every row of every
table is what it was, under the new names.
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
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, MetaData, Table, select

from core.storage.database import Database, sqlite_url
from tests.mariadb import is_installed, private_mariadb

ROOT = Path(__file__).parents[2]
RENAMED = {"light_fingerprints": "photos", "deep_fingerprints": "photo_features"}
WARM_SECONDS, AFTER_SECONDS, READ_SECONDS = 3.0, 2.0, 600.0

FILL = """
import asyncio, sys
from random import Random
import numpy as np
from core.model import DeepFingerprint, FileStamp, LightFingerprint, Place, Remember, Deepen
from core.storage.database import Database
from core.storage.store import Store
from core.fingerprinting import VERSIONS

async def main(url, count):
    store, random = Store(Database(url), VERSIONS), np.random.default_rng(7)
    async with store.writer():
        await store.create_schema()
        for start in range(0, count, 200):
            changes = []
            for number in range(start, min(start + 200, count)):
                bits = random.bytes(72)
                light = LightFingerprint(bits[:32], bits[32:40], bits[40:72], 100, 0, 1080, 1350, VERSIONS.light)
                name = f"user{number // 140}"
                place = Place(name, f"{name}/{number}.jpg".encode())
                changes.append(Remember(place, FileStamp(number + 1, number, number, 1), light))
            await store.write(changes)
            waiting = await store.backlog(after=start, limit=200)
            deep = [DeepFingerprint(random.bytes(38 * 150), random.bytes(3000), VERSIONS.deep) for _ in waiting]
            await store.write([Deepen(one.light_id, one.place.path, its) for one, its in zip(waiting, deep)])
    await store.close()
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""
ASK = """
import asyncio, sys, time
from core.storage.database import Database
from core.storage.store import Store
from core.fingerprinting import VERSIONS
from core.index.photo_index import PhotoIndex
from core.ranking import DHASH_RADIUS, PDQ_RADIUS
from pathlib import Path
from tempfile import TemporaryDirectory

async def main(url):
    store = Store(Database(url), VERSIONS)
    with TemporaryDirectory() as cache:
        index = PhotoIndex(Path(cache), pdq_radius=PDQ_RADIUS, dhash_radius=DHASH_RADIUS, light_version=VERSIONS.light)
        while True:
            began = time.monotonic()
            try:
                await index.follow(store)
                found = len(await store.references([1, 2, 3])), len(await store.deep([1, 2, 3]))
                said = "right" if found == (3, 3) else "wrong"
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            print(f"{time.monotonic()}\\t{time.monotonic() - began}\\t{said}", flush=True)
            await asyncio.sleep(0.02)
asyncio.run(main(sys.argv[1]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the version to upgrade from")
    parser.add_argument("--images", type=int, default=28_000)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        measure("SQLite", sqlite_url(Path(folder) / "store.db").render_as_string(), arguments.before, arguments.images)
    if is_installed():
        with private_mariadb() as server:
            measure("MariaDB", server.create_database("upgraded"), arguments.before, arguments.images)


def measure(name: str, url: str, before: Path, images: int) -> None:
    """Fill a database by the earlier version, upgrade it while that searches, and print what happened."""
    earlier = {**os.environ, "PYTHONPATH": str(before)}
    subprocess.run([sys.executable, "-c", FILL, url, str(images)], env=earlier, cwd=before, check=True)
    rows = asyncio.run(digests(url))
    with searching(url, earlier, before) as answers:
        time.sleep(WARM_SECONDS)
        began = time.monotonic()
        upgrade = [sys.executable, "-m", "igsearch", "init-db"]
        subprocess.run(
            upgrade, env={**os.environ, "PYTHONPATH": str(ROOT), "IGSEARCH_DATABASE_URL": url}, cwd=ROOT, check=True
        )
        ended = time.monotonic()
        time.sleep(AFTER_SECONDS)
    after = asyncio.run(digests(url))
    meanwhile = [(took, said) for at, took, said in answers if at <= ended]
    during = [(took, said) for at, took, said in answers if began <= at <= ended]
    later = {said for at, _, said in answers if at > ended}
    wrong = [said for _, said in meanwhile if said != "right"]
    print(f"{name}: {images:,} images upgraded in {ended - began:.2f} s, start of the program included")
    print(f"  searches: {len(during)} answered meanwhile, the slowest after {max(took for took, _ in during):.2f} s;")
    print(f"  not right until its end: {len(wrong)} {sorted(set(wrong))[:3]}; afterwards: {sorted(later)[:2]}")
    same = {RENAMED.get(table, table): digest for table, digest in rows.items()} == after
    print(f"  every row of {len(after)} tables is what it was: {same}")


@contextmanager
def searching(url: str, variables: dict[str, str], folder: Path) -> Iterator[list[tuple[float, float, str]]]:
    """Have the earlier version search until the end of the block; when, how long it took, and what it said."""
    answers: list[tuple[float, float, str]] = []
    with subprocess.Popen(
        [sys.executable, "-c", ASK, url], env=variables, cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        yield answers
        process.terminate()
        for line in process.stdout or ():
            at, took, said = line.rstrip("\n").split("\t", 2)
            answers.append((float(at), float(took), said))


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
    main()
