"""Whether `kill -9` of the daemon costs anything while photos arrive: killed at random moments and started again.

python -m benchmarks.soak.kill_daemon --kills 200 --files 1000
python -m benchmarks.soak.kill_daemon --kills 20 --sqlite

For each kill, on a fresh database, the daemon is started on an empty dataset, and at the same time 5,000 small photos
(some of them byte-identical in other accounts, some unreadable) begin to arrive one after another, each in two pieces,
so slowly that the arrival spans most of the run. The moments are drawn one from each of N equal parts of a clean run's
duration, from the start of the process until all are on record, and come in any order. After the kill the daemon is
started again at once (on MariaDB: as soon as the server has noticed that the client is gone, for until then a commit
may still be under way), the arrival goes on, and five things are checked:

1. The new daemon starts and gets everything on record; SIGTERM ends it with 0 within 10 s.
2. The store then equals that of a clean `igsearch index --light`, row by row: images with stamp and fingerprint, users,
   fingerprints, ledger, and the count of images; without ids, revisions, moments and scans, and
   without features, whose backlog may be left.
3. What was in the store right after the kill is not added again: nothing twice.
4. No file was taken too early: none is 'updated'.
5. No process of the killed daemon lives 2 s later.

The clean index is made once, of the tree that the photos are copied from; its stamps are replaced by those of the
copies. Exits 1 on a difference.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import cast

from benchmarks.lab.daemon import Daemon, index_hashes, start, watching
from benchmarks.lab.databases import (
    Ask,
    Content,
    Row,
    Target,
    content_differences,
    folder_and_target,
    photo_count,
    reading,
    unreadable_count,
)
from benchmarks.lab.photos import fill, fresh
from benchmarks.lab.processes import survivors
from benchmarks.lab.script import parser, report
from benchmarks.lab.timing import sleep_until, wait_until

ORPHAN_SECONDS = 2.0
FOLDERS, TWIN_SHARE, UNREADABLE_SHARE = 20, 0.05, 0.01
RETIME_EVERY = 20
"""Kills until a clean run is timed again, for the machine may be busier then."""
STAMP = slice(3, 7)
"""Where size, mtime, inode and device stand in the rows of images and of the ledger; the path comes first."""
GAP_SECONDS = 0.0005


@dataclass(frozen=True, slots=True)
class Stage:
    """What all kills have in common: where photos come from and go, how fast, and what must be on record then."""

    target: Target
    folder: Path
    clean: Content
    rate: float
    settle: float
    patience: float

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: what the store held right after it, and what went wrong."""

    images: int
    has_schema: bool
    faults: list[str]


def main() -> int:
    arguments = parse()
    with folder_and_target(is_sqlite=arguments.sqlite) as (folder, target):
        make_tree(folder / "tree", arguments.files, random.Random(arguments.seed))
        clean = clean_index(target, folder / "tree")
        stage = Stage(target, folder, clean, arguments.rate, arguments.settle, arguments.patience)
        print(f"{target.name}, {len(clean['images']):,} photos and {len(clean['unreadable_files'])} unreadable files")
        kills = kill_often(stage, arguments)
        print(f"{sum(not kill.has_schema for kill in kills)} kills before there was a schema, the others with", end=" ")
        print(f"{min(kill.images for kill in kills):,} to {max(kill.images for kill in kills):,} images stored")
        return report([fault for kill in kills for fault in kill.faults])


def parse() -> argparse.Namespace:
    options = parser(__doc__, has_daemon=True)
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--files", type=int, default=5_000)
    options.add_argument("--rate", type=float, default=400, help="files that arrive in a second")
    options.add_argument("--patience", type=float, default=120, help="seconds until all must be on record")
    return options.parse_args()


def broken(kind: int, data: bytes, chance: random.Random) -> bytes:
    """Nothing, noise, a head without a body, or noise behind a head."""
    return (b"", chance.randbytes(5000), data[:300], data[:20] + chance.randbytes(5000))[kind]


def make_tree(tree: Path, files: int, chance: random.Random) -> None:
    twins, unreadable = round(TWIN_SHARE * files), round(UNREADABLE_SHARE * files)
    names = list(fill(tree, files=files - twins - unreadable, folders=FOLDERS, chance=chance))
    accounts = sorted(tree.iterdir())
    for number, name in enumerate(chance.sample(names, twins)):
        shutil.copy(tree / name, chance.choice(accounts) / f"twin{number}.jpg")
    for number in range(unreadable):
        data = broken(number % 4, (tree / names[number]).read_bytes(), chance)
        (chance.choice(accounts) / f"broken{number}.jpg").write_bytes(data)


def clean_index(target: Target, dataset: Path) -> Content:
    url = target.create("clean")
    index_hashes(dataset, url)
    return target.read(url)


def restamped(clean: Content, dataset: Path) -> Content:
    """Return what a clean index of the same files in another place holds."""

    def there(row: Row) -> Row:
        status = os.lstat(dataset / os.fsdecode(cast("bytes", row[0])))
        stamp = (status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)
        return (*row[: STAMP.start], *stamp, *row[STAMP.stop :])

    moved = {table: Counter(map(there, clean[table].elements())) for table in ("images", "unreadable_files")}
    return {**clean, **moved}


def kill_often(stage: Stage, arguments: argparse.Namespace) -> list[Kill]:
    chance = random.Random(arguments.seed)
    shares = [(number + chance.random()) / arguments.kills for number in range(arguments.kills)]
    chance.shuffle(shares)
    kills: list[Kill] = []
    for number, share in enumerate(shares):
        if number % RETIME_EVERY == 0:
            seconds = clean_run(stage)
        kills.append(kill_once(stage, share * seconds))
    return kills


def clean_run(stage: Stage) -> float:
    """Let all arrive without a kill; return how long it took until all are on record."""
    url, log = stage.target.create("unkilled"), stage.folder / "log"
    started = time.monotonic()
    with arriving(stage) as is_over, watching(stage.dataset, url, log, settle_seconds=stage.settle) as daemon:
        with reading(url) as ask:
            faults = wait_for_all(stage, ask, is_over, daemon)
        seconds = time.monotonic() - started
        faults += finish(stage, daemon, url, Counter())
    assert not faults, faults
    print(f"a run without a kill takes {seconds:.2f} s", flush=True)
    return seconds


def kill_once(stage: Stage, moment: float) -> Kill:
    """Kill the daemon at a moment, start another, and see what that makes of what is left."""
    url = stage.target.create("killed")
    with arriving(stage) as is_over:
        killed = start(stage.dataset, url, stage.folder / "killed.log", settle_seconds=stage.settle)
        try:
            time.sleep(moment)
            faults = kill_hard(killed)
            died, left = time.monotonic(), stage.target.read(url)
            with watching(stage.dataset, url, stage.folder / "log", settle_seconds=stage.settle) as daemon:
                sleep_until(died + ORPHAN_SECONDS)
                orphans = survivors(killed.session)
                faults += [f"still alive {ORPHAN_SECONDS:.0f} s later: {orphans}"] if orphans else []
                with reading(url) as ask:
                    faults += wait_for_all(stage, ask, is_over, daemon)
                faults += taken_early(killed) + finish(stage, daemon, url, left["images"])
        finally:
            killed.kill()
    images, has_schema = left["images"].total(), bool(left["checkpoint"])
    return Kill(images, has_schema, [f"killed after {moment:.2f} s with {images} images: {each}" for each in faults])


def kill_hard(daemon: Daemon) -> list[str]:
    if daemon.process.poll() is not None:
        return [f"it ended by itself with {daemon.process.returncode}: {daemon.end_of_log()}"]
    os.kill(daemon.session, signal.SIGKILL)
    daemon.process.wait()
    return []


def wait_for_all(stage: Stage, ask: Ask, is_over: Event, daemon: Daemon) -> list[str]:
    def has_ended_or_all() -> bool:
        return daemon.process.poll() is not None or is_complete(stage, ask, is_over)

    wait_until(has_ended_or_all, seconds=stage.patience)
    if is_complete(stage, ask, is_over):
        return []
    return [f"not all are on record after up to {stage.patience:g} s: {daemon.end_of_log()}"]


def is_complete(stage: Stage, ask: Ask, is_over: Event) -> bool:
    if not is_over.is_set():
        return False
    images, failures = stage.clean["images"].total(), stage.clean["unreadable_files"].total()
    return photo_count(ask) >= images and unreadable_count(ask) >= failures


def finish(stage: Stage, daemon: Daemon, url: str, left: Counter[Row]) -> list[str]:
    """End the daemon, and return what it did wrong: by its end, by its log, and by the rows."""
    faults = daemon.terminate().faults + taken_early(daemon) + done_again(daemon, left)
    found = stage.target.read(url)
    return faults + content_differences(found, restamped(stage.clean, stage.dataset))


def taken_early(daemon: Daemon) -> list[str]:
    updated = [path for outcome, path in daemon.outcomes() if outcome == "updated"]
    return [f"{len(updated)} files were taken before they were whole, such as {updated[0]}"] if updated else []


def done_again(daemon: Daemon, left: Counter[Row]) -> list[str]:
    there = {os.fsdecode(cast("bytes", row[0])) for row in left}
    again = [path for outcome, path in daemon.outcomes() if outcome in {"added", "moved"} and path in there]
    return [f"{len(again)} files that were on record were taken again, such as {again[0]}"] if again else []


@contextmanager
def arriving(stage: Stage) -> Iterator[Event]:
    """Let the photos arrive in an empty dataset meanwhile; the event says that all have."""
    is_over, is_cancelled = Event(), Event()
    fresh(stage.dataset)

    def arrive() -> None:
        started = time.monotonic()
        for number, path in enumerate(sorted(path for path in stage.tree.rglob("*") if path.is_file())):
            if is_cancelled.wait(max(0.0, started + number / stage.rate - time.monotonic())):
                return
            copy_in_two(path, stage.dataset / path.relative_to(stage.tree))
        is_over.set()

    with ThreadPoolExecutor(1) as pool:
        arrival = pool.submit(arrive)
        try:
            yield is_over
        finally:
            is_cancelled.set()
            arrival.result()


def copy_in_two(source: Path, copy: Path) -> None:
    """Write a copy in two pieces, so that it is half there for a moment."""
    data = source.read_bytes()
    copy.parent.mkdir(exist_ok=True)
    with copy.open("wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        time.sleep(GAP_SECONDS)
        file.write(data[len(data) // 2 :])


if __name__ == "__main__":
    sys.exit(main())
