"""How long a single photo takes until it can be found, while the daemon is busy with 5,000 others.

python -m benchmarks.speed.drop_latency
python -m benchmarks.speed.drop_latency --drops 200 --pause 0.5 --sqlite

The others, of real size, are brought in by `cp -r`. When the first of them are on record, photos are dropped one by
one, after random pauses, into new accounts and into those that are there: written in place in pieces, moved in, or
written as `.part` and renamed. For each is measured how long it takes from the moment when it is complete under its
final name until its row is in the database (asked every 50 ms), where every search finds it. That includes the settle
time, for which it must lie still.

Exits 1 when the 95th percentile is over the settle time and 3 s, when a photo is not found, when the daemon had nothing
else to do at a drop, or when the record differs from the disk at the end.
"""

import argparse
import hashlib
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.lab.daemon import watching
from benchmarks.lab.databases import (
    Ask,
    backlog,
    differences,
    folder_and_target,
    is_stored,
    photo_count,
    reading,
    wait_until_begun,
)
from benchmarks.lab.photos import Digests, files_of, fill_real
from benchmarks.lab.script import missed, parser, report
from benchmarks.lab.timing import spread, wait_until

STANDING, FOLDERS = 10, 100
"""Photos, one an account, that lie there at the start; accounts of the others, the first of them the same."""
GOAL_SECONDS = 3.0
POLL_SECONDS, PATIENCE_SECONDS = 0.05, 60.0
PIECES, LONGEST_GAP = 4, 0.5
"""A photo written in place comes in so many pieces, with pauses shorter than the settle time."""
DROPPERS = 16
ALL_SECONDS = 600
NOTHING = "nothing else"


@dataclass(frozen=True, slots=True)
class Drop:
    """A photo that is being dropped: how, what it is, amid which work, and after how many seconds its row is there."""

    path: str
    way: str
    sha256: bytes
    amid: str
    landing: Future[float | None]


def main() -> int:
    arguments = parse()
    with ExitStack() as stack:
        folder, target = stack.enter_context(folder_and_target(is_sqlite=arguments.sqlite))
        tree, dataset, url = folder / "tree", folder / "dataset", target.create("dropping")
        others = prepare(tree, dataset, arguments)
        print(f"{len(others):,} others, {arguments.drops} drops, {target.name}, settle {arguments.settle:g} s")
        daemon = stack.enter_context(watching(dataset, url, folder / "log", settle_seconds=arguments.settle))
        ask = stack.enter_context(reading(url))
        wait_until_begun(ask, STANDING)
        subprocess.run(["cp", "-r", f"{tree}/.", str(dataset)], check=True)
        wait_until_begun(ask, STANDING + 1)
        drops = drop_all(url, ask, dataset, len(others), arguments)
        faults = judge(drops, arguments.settle)
        expected = others | {drop.path: drop.sha256 for drop in drops}
        wait_until(lambda: photo_count(ask) >= len(expected), seconds=ALL_SECONDS)
        faults += differences(ask, expected)
        return report(faults + daemon.terminate().faults)


def parse() -> argparse.Namespace:
    options = parser(__doc__, has_photos=True, has_daemon=True)
    options.add_argument("--files", type=int, default=5_000, help="others that are being indexed")
    options.add_argument("--drops", type=int, default=100)
    options.add_argument("--pause", type=float, default=0.15, help="mean seconds between drops")
    return options.parse_args()


def prepare(tree: Path, dataset: Path, arguments: argparse.Namespace) -> Digests:
    chance = random.Random(arguments.seed)
    standing = fill_real(dataset, arguments.photos, files=STANDING, folders=STANDING, chance=chance)
    coming = fill_real(tree, arguments.photos, files=arguments.files, folders=FOLDERS, chance=chance, first=STANDING)
    return standing | coming


def drop_all(url: str, ask: Ask, dataset: Path, others: int, arguments: argparse.Namespace) -> list[Drop]:
    """Drop photo by photo, and wait until all have landed."""
    chance = random.Random(arguments.seed)
    originals = files_of(arguments.photos)
    drops: list[Drop] = []
    with ThreadPoolExecutor(DROPPERS) as pool:
        for number in range(arguments.drops):
            amid = business(ask, others)
            data = chance.choice(originals).read_bytes() + chance.randbytes(8)
            account = f"new{number:03}" if chance.random() < 0.5 else f"account{chance.randrange(FOLDERS):04}"
            path, way = f"{account}/dropped{number:03}.jpg", chance.choice(list(WAYS))
            write = partial(WAYS[way], dataset / path, data, random.Random(chance.random()))
            landing = pool.submit(drop, url, path, write)
            drops.append(Drop(path, way, hashlib.sha256(data).digest(), amid, landing))
            time.sleep(chance.expovariate(1 / arguments.pause))
    return drops


def business(ask: Ask, others: int) -> str:
    """Tell what the daemon is doing; the few photos that were dropped and have landed count as others."""
    if photo_count(ask) < others:
        return "hashes of the others"
    return "features of the others" if backlog(ask) else NOTHING


def drop(url: str, path: str, write: Callable[[], None]) -> float | None:
    """Drop a photo, and return how long it takes from then until its row is there; None if it does not come."""
    write()
    completed = time.monotonic()
    with reading(url) as ask:
        is_there = wait_until(lambda: is_stored(ask, path), seconds=PATIENCE_SECONDS, every=POLL_SECONDS) is not None
        return time.monotonic() - completed if is_there else None


def write_in_place(path: Path, data: bytes, chance: random.Random) -> None:
    path.parent.mkdir(exist_ok=True)
    size = len(data) // PIECES + 1
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(data), size):
            time.sleep(chance.uniform(0, LONGEST_GAP) if start else 0)
            file.write(data[start : start + size])


def move_in(path: Path, data: bytes, _chance: random.Random) -> None:
    outside = path.parents[2] / path.name
    outside.write_bytes(data)
    path.parent.mkdir(exist_ok=True)
    outside.rename(path)


def rename_part(path: Path, data: bytes, chance: random.Random) -> None:
    part = path.with_name(path.name + ".part")
    write_in_place(part, data, chance)
    part.rename(path)


WAYS = {"written in place": write_in_place, "moved in": move_in, ".part renamed": rename_part}


def judge(drops: list[Drop], settle: float) -> list[str]:
    """Print the seconds by the way and by what went on, and return the faults."""
    print(f"{'seconds until its row is there':34} {'drops':>6} {'p50':>6} {'p95':>6} {'max':>6}")
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for drop in drops:
        if (seconds := drop.landing.result()) is not None:
            for title in ("all", drop.way, drop.amid):
                groups[title].append(seconds)
    for title, taken in groups.items():
        figures = (*spread(taken), max(taken))
        print(f"{title:34} {len(taken):6}" + "".join(f" {figure:6.2f}" for figure in figures), flush=True)
    faults = missed("95th percentile", spread(groups["all"])[1], settle + GOAL_SECONDS, "s") if groups else []
    if lost := len(drops) - len(groups["all"]):
        faults.append(f"{lost} dropped photos are not found")
    if idle := sum(drop.amid == NOTHING for drop in drops):
        faults.append(f"at {idle} drops the daemon had nothing else to do: raise --files or lower --pause")
    return faults


if __name__ == "__main__":
    sys.exit(main())
