"""Whether `kill -9` amid indexing costs anything: killed at random moments, run once more, compared with a clean index.

python -m benchmarks.lab.databases --kills 50
python -m benchmarks.lab.databases --kills 50 --mariadb

The dataset: the photos, copies with other bytes, byte-identical copies in other accounts, unreadable files; 2,000 in
all. The moments are drawn one from each of N equal parts of a clean run's duration, from the start of the process to
its end, and come in any order. After each kill the next `igsearch index` starts at once (on MariaDB: as soon as the
server has noticed that the client is gone, for until then a commit may still be under way), and four things are
checked:

1. It exits 0: no stale lock, no half-made schema stops it.
2. What was in the store right after the kill counts as unchanged, and only the rest as added: nothing twice.
3. The store then equals a clean one, row by row: images with stamp and fingerprint, users, fingerprints, ledger, and
   the count of images; not compared are ids, revisions, moments, tombstones and scans.
4. No process of the killed run lives 2 s later.

Exits 1 on a difference. MariaDB flushes its log at every commit, as in production.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pymysql

from tests.mariadb import MariaDB, private_mariadb

FILES, TWINS, UNREADABLE = 2000, 120, 24
ORPHAN_SECONDS = 2.0
RUN_SECONDS = 300
RETIME_EVERY = 5
"""Kills until a clean run is timed again, for the machine may be busier then."""

FINGERPRINT = "l.sha256, l.dhash, l.pdq, l.pdq_quality, l.flat_percent, l.width, l.height, l.version"
STAMP = "size, mtime_ns, inode, device"
QUERIES = {
    "images": f"SELECT i.path, i.path_sha256, u.username, {STAMP}, {FINGERPRINT} FROM images i"
    " JOIN users u ON u.id = i.user_id JOIN photos l ON l.id = i.photo_id",
    "users": "SELECT username FROM users",
    "photos": f"SELECT {FINGERPRINT} FROM photos l",
    "photo_features": "SELECT photo_id FROM photo_features",
    "unreadable_files": f"SELECT path, path_sha256, username, {STAMP}, kind, reason, attempts, reader_version,"
    " next_retry IS NULL FROM unreadable_files",
    "checkpoint": "SELECT images FROM checkpoint",
}

Row = tuple[object, ...]
Content = dict[str, Counter[Row]]


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of database: how to make an empty one (its URL), and how to read one when no client is left."""

    name: str
    create: Callable[[str], str]
    read: Callable[[str], Content]


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: when, what the store held right after it, and what went wrong."""

    moment: float
    images: int
    failures: int
    has_schema: bool
    faults: tuple[str, ...]


def main() -> int:
    arguments = parse()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="igsearch-kill-")))
        dataset = folder / "dataset"
        make_dataset(arguments.photos, dataset, random.Random(arguments.seed))
        target = stack.enter_context(on_mariadb() if arguments.mariadb else on_sqlite(folder / "databases"))
        return report(target, kill_often(target, dataset, arguments))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=Path("../shared/photos"))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mariadb", action="store_true", help="on a private MariaDB, not on SQLite")
    return parser.parse_args()


def make_dataset(photos: Path, dataset: Path, chance: random.Random) -> None:
    shutil.copytree(photos, dataset)
    originals = sorted(path for path in dataset.rglob("*") if path.is_file())[: FILES - TWINS - UNREADABLE]
    folders = sorted({path.parent for path in originals})
    for number in range(UNREADABLE):
        path = chance.choice(folders) / f"broken{number}.jpg"
        path.write_bytes(broken(number % 4, originals[number].read_bytes(), chance))
    for number, path in enumerate(chance.sample(originals, TWINS)):
        other = chance.choice([folder for folder in folders if folder != path.parent])
        shutil.copy(path, other / f"twin{number}.jpg")
    for number in range(FILES - sum(path.is_file() for path in dataset.rglob("*"))):
        path = chance.choice(originals)
        copy = path.with_name(f"copy{number}.jpg")
        copy.write_bytes(path.read_bytes() + chance.randbytes(8))


def broken(kind: int, data: bytes, chance: random.Random) -> bytes:
    """Nothing, noise, a head without a body, or noise behind a head."""
    return (b"", chance.randbytes(5000), data[:300], data[:20] + chance.randbytes(5000))[kind]


@contextmanager
def on_sqlite(folder: Path) -> Iterator[Target]:
    """Databases as files; they are read from a copy, so that igsearch itself meets what the kill left behind."""

    def create(name: str) -> str:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return f"sqlite:///{folder / name}"

    def read(url: str) -> Content:
        copy = folder.with_name("copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        with closing(sqlite3.connect(copy / Path(url).name)) as connection:
            return content(lambda sql: connection.execute(sql).fetchall())

    yield Target("SQLite", create, read)


@contextmanager
def on_mariadb() -> Iterator[Target]:
    with private_mariadb(durable=True) as server:

        def read(url: str) -> Content:
            name = url.rpartition("/")[2]
            wait_until_alone(server)
            with pymysql.connect(unix_socket=str(server.socket), user="root", database=name) as connection:
                return content(lambda sql: fetched(connection, sql))

        yield Target(f"MariaDB {version(server)}", server.create_database, read)


def version(server: MariaDB) -> str:
    return str(server.execute("SELECT VERSION()")[0][0])


def wait_until_alone(server: MariaDB) -> None:
    """Wait until the server has let go of the killed client: a commit it had begun is then done or undone."""
    others = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER = 'root'"
    deadline = time.monotonic() + 30
    while server.execute(others) != ((0,),):
        assert time.monotonic() < deadline, "the server keeps a connection of a dead client for 30 s"
        time.sleep(0.002)


def fetched(connection: "pymysql.Connection[pymysql.cursors.Cursor]", sql: str) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def content(ask: Callable[[str], list[Row]]) -> Content:
    """Read what must be equal; a missing table (killed before the schema was there) holds nothing."""
    found: Content = {}
    for table, sql in QUERIES.items():
        try:
            found[table] = Counter(ask(sql))
        except (sqlite3.OperationalError, pymysql.err.ProgrammingError) as error:
            assert "no such table" in str(error) or "doesn't exist" in str(error), error  # noqa: PT017 - any other is new
            found[table] = Counter()
    return found


def kill_often(target: Target, dataset: Path, arguments: argparse.Namespace) -> list[Kill]:
    chance = random.Random(arguments.seed)
    shares = [(number + chance.random()) / arguments.kills for number in range(arguments.kills)]
    chance.shuffle(shares)
    clean_run(target, dataset)  # fills the page cache
    kills: list[Kill] = []
    for number, share in enumerate(shares):
        if number % RETIME_EVERY == 0:
            seconds, clean = clean_run(target, dataset)
        kills.append(kill_once(target, dataset, share * seconds, clean, name=f"kill{number}"))
        for fault in kills[-1].faults:
            print(
                f"kill {number} after {kills[-1].moment:.2f} s, {kills[-1].images} images stored: {fault}", flush=True
            )
    return kills


def clean_run(target: Target, dataset: Path) -> tuple[float, Content]:
    """Index without a kill; return how long it took and what is in the store."""
    url = target.create("clean")
    started = time.monotonic()
    counts = json.loads(index(dataset, url).stdout)
    seconds = time.monotonic() - started
    figures = f"{counts['added']:,} added, {counts['unreadable']} unreadable"
    print(f"{target.name}: a clean run takes {seconds:.2f} s: {figures}", flush=True)
    return seconds, target.read(url)


def kill_once(target: Target, dataset: Path, moment: float, clean: Content, *, name: str) -> Kill:
    """Kill a run at a moment (earlier, if it ends before), and see what the next run makes of it."""
    while True:
        url = target.create(name)
        killed = subprocess.Popen(
            command(dataset),
            env=environment(url),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(moment)
        if killed.poll() is None:
            break
        moment *= 0.98
    os.kill(killed.pid, signal.SIGKILL)
    died = time.monotonic()
    killed.wait()
    left = target.read(url)
    next_run = subprocess.Popen(command(dataset), env=environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(max(0.0, died + ORPHAN_SECONDS - time.monotonic()))
    orphans = session_members(killed.pid)
    output, errors = next_run.communicate(timeout=RUN_SECONDS)
    faults = [f"still alive {ORPHAN_SECONDS:.0f} s later: {orphans}"] if orphans else []
    if next_run.returncode:
        faults.append(f"the next run exits {next_run.returncode}: {errors.decode()[-500:].strip()}")
    else:
        faults += repeated_work(json.loads(output), left, clean) + differences(target.read(url), clean)
    has_schema = bool(left["checkpoint"])
    return Kill(moment, len(left["images"]), len(left["unreadable_files"]), has_schema, tuple(faults))


def index(dataset: Path, url: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(dataset), env=environment(url), check=True, capture_output=True, timeout=RUN_SECONDS)


def command(dataset: Path) -> list[str]:
    return [sys.executable, "-m", "igsearch", "index", "--dataset", str(dataset), "--json"]


def environment(url: str) -> dict[str, str]:
    return {**os.environ, "IGSEARCH_DATABASE_URL": url}


def session_members(session: int) -> list[str]:
    """The command lines of the live processes of a session: a killed run's workers and their helpers."""
    members = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its_session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                members.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:80])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return members


def repeated_work(counts: dict[str, int], left: Content, clean: Content) -> list[str]:
    """What the next run did beyond the files that the kill had left undone."""
    total, there = len(clean["images"]), len(left["images"])
    right = {
        "added": total - there,
        "updated": 0,
        "moved": 0,
        "removed": 0,
        "unchanged": there,
        "unreadable": len(clean["unreadable_files"]),
    }
    return [f"{name} {counts[name]}, not {number}" for name, number in right.items() if counts[name] != number]


def differences(found: Content, clean: Content) -> list[str]:
    faults = []
    for table, rows in clean.items():
        missing, extra = rows - found[table], found[table] - rows
        if missing or extra:
            example = next(iter(missing or extra))
            faults.append(f"{table}: {missing.total()} missing, {extra.total()} extra, such as {example}")
    return faults


def report(target: Target, kills: list[Kill]) -> int:
    good = sum(not kill.faults for kill in kills)
    stored = Counter(
        "no schema yet"
        if not kill.has_schema
        else f"{kill.images // 400 * 400:,} to {kill.images // 400 * 400 + 399:,}"
        for kill in sorted(kills, key=lambda kill: (kill.has_schema, kill.images))
    )
    print(
        "images in the store at the kill: "
        + "; ".join(f"{range_}: {number} kills" for range_, number in stored.items())
    )
    print(f"moments {min(kill.moment for kill in kills):.2f} to {max(kill.moment for kill in kills):.2f} s")
    print(f"{target.name}: {good} of {len(kills)} as without a kill, nothing done twice, no orphan, no stale lock")
    return 0 if good == len(kills) else 1


if __name__ == "__main__":
    sys.exit(main())
