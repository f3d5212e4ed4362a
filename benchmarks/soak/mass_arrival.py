"""Whether every file is found, whole and once, however it arrives: 20,000 photos in 200 new folders, into a daemon.

python -m benchmarks.soak.mass_arrival
python -m benchmarks.soak.mass_arrival --mode all
python -m benchmarks.soak.mass_arrival --mode queue --queue 1024 --ways "cp -r" standing
python -m benchmarks.soak.mass_arrival --mode watches --sqlite

For each way of arriving, on a fresh database, the daemon is started on a dataset of one photo; then the others come
from outside by `cp -r`, `cp -rl` (hard links), `rsync -a`, `unzip`, `tar x` and `mv`. "standing" is `cp -r` into
folders that are there and watched already.

Modes: "plain"; "queue" with fs.inotify.max_queued_events lowered for the run (needs root), where the daemon is held by
SIGSTOP while files come into the standing folders, so that the queue is sure to overflow; "watches" with fewer watches
than folders, by a user namespace, so that the limit is met as folders come, and, by "standing", at the start.

Counted a while after all are on record:

- missed: files that are not on record;
- incomplete: files that were taken too early: 'updated' and 'unreadable' in the log, and rows with the SHA-256 of
  other bytes;
- twice: rows with the same path, and files 'added' more than once;
- digested: files that were read again and found unchanged, which is no fault;
- in: seconds from the end of the copying until all are on record.

Exits 1 on a missed, incomplete or doubled file, when all are in later than 90 s and the patience after the copying, or
when SIGTERM does not end the daemon with 0 within 10 s. The patience is for the fingerprinting itself: twice what
`igsearch index --light` of the same photos takes.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lab.daemon import Daemon, index_hashes, watching
from benchmarks.lab.databases import Ask, Target, folder_and_target, photo_count, reading, stored, wait_until_begun
from benchmarks.lab.photos import Digests, fill, fresh
from benchmarks.lab.script import parser, report
from benchmarks.lab.timing import shown, timed, wait_until

FOUND_SECONDS, QUIET_SECONDS = 90.0, 5.0
QUEUE_LIMIT = Path("/proc/sys/fs/inotify/max_queued_events")
LIMIT_WATCHES = 'echo "$0" > /proc/sys/user/max_inotify_watches && exec "$@"'
WATCHES = 100
"""Which the daemon may have in mode "watches"."""
MODES = ("plain", "queue", "watches")
STANDING = "standing"
TREE = "tree"
"""The folder of what arrives, and, with a suffix, the archives of it."""
WAYS = ("cp -r", "cp -rl", "rsync -a", "unzip", "tar x", "mv", STANDING)


@dataclass(frozen=True, slots=True)
class Stage:
    """What all arrivals have in common: the SHA-256 of every file, where the files and the database are."""

    digests: Digests
    target: Target
    folder: Path
    folders: int
    settle: float
    patience: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of one arrival."""

    copying: float
    all_in: float | None
    missed: int
    incomplete: int
    twice: int
    digested: int
    faults: list[str]


def main() -> int:
    arguments = parse()
    faults: list[str] = []
    with folder_and_target(is_sqlite=arguments.sqlite) as (folder, target):
        stage = prepare(target, folder, arguments)
        for mode in MODES if arguments.mode == "all" else (arguments.mode,):
            with queue_limit(arguments.queue) if mode == "queue" else nullcontext():
                for way in arguments.ways:
                    faults += judge(stage, mode, way, arrive(stage, mode, way))
    return report(faults)


def parse() -> argparse.Namespace:
    options = parser(__doc__, has_daemon=True)
    options.add_argument("--files", type=int, default=20_000)
    options.add_argument("--folders", type=int, default=200)
    options.add_argument("--mode", choices=[*MODES, "all"], default="plain")
    options.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options.add_argument("--queue", type=int, default=1024, help="events in the kernel's queue, in mode queue")
    return options.parse_args()


def prepare(target: Target, folder: Path, arguments: argparse.Namespace) -> Stage:
    """Make the photos, and print the head of the table."""
    tree = folder / TREE
    digests = fill(tree, files=arguments.files, folders=arguments.folders, chance=random.Random(arguments.seed))
    subprocess.run(["zip", "-q", "-r", "-0", f"{tree}.zip", "."], cwd=tree, check=True)
    subprocess.run(["tar", "cf", f"{tree}.tar", "."], cwd=tree, check=True)
    patience = 2 * hashing_seconds(tree, len(digests), target)
    print(f"{len(digests):,} photos, {arguments.folders} folders, {target.name}, settle {arguments.settle:g} s")
    print(f"limit: {FOUND_SECONDS:g} s and {patience:.0f} s of patience for the fingerprinting")
    counts = f"{'missed':>7} {'incomplete':>11} {'twice':>6} {'digested':>9}"
    print(f"{'mode':8} {'way':9} {'copying':>8} {'in':>7} {counts}", flush=True)
    return Stage(digests, target, folder, arguments.folders, arguments.settle, patience)


def hashing_seconds(tree: Path, files: int, target: Target) -> float:
    counts, seconds = timed(lambda: index_hashes(tree, target.create("patience")))
    assert counts["added"] == files, counts
    return seconds


@contextmanager
def queue_limit(events: int) -> Iterator[None]:
    """Lower the length of the kernel's queues for a while; a queue keeps the length it was made with."""
    before = QUEUE_LIMIT.read_text()
    QUEUE_LIMIT.write_text(str(events))
    try:
        yield
    finally:
        QUEUE_LIMIT.write_text(before)


def arrive(stage: Stage, mode: str, way: str) -> Arrival:
    """Let all photos arrive in one way, and see what the daemon makes of them."""
    dataset = fresh(stage.folder / "dataset")
    standing = stand(stage, dataset, is_everywhere=way == STANDING)
    expected = stage.digests | standing
    command = bring(way, stage.folder / TREE, dataset)
    prefix = limited(WATCHES) if mode == "watches" else []
    url, log = stage.target.create(f"{mode}_{WAYS.index(way)}"), stage.folder / "log"
    with watching(dataset, url, log, prefix=prefix, settle_seconds=stage.settle) as daemon, reading(url) as ask:
        wait_until_begun(ask, len(standing))
        time.sleep(stage.settle)
        copying = copy(command, daemon, is_held=mode == "queue" and way == STANDING)
        all_in = wait_until(lambda: photo_count(ask) >= len(expected), seconds=FOUND_SECONDS + stage.patience)
        time.sleep(stage.settle + QUIET_SECONDS)
        arrival = examine(daemon, ask, expected, copying, all_in)
        daemon.show_complaints()
        return arrival


def stand(stage: Stage, dataset: Path, *, is_everywhere: bool) -> Digests:
    """Put one photo there, or one into every folder that others come into, before the daemon starts."""
    chance = random.Random("standing")
    if is_everywhere:
        number = len(stage.digests)
        return fill(dataset, files=stage.folders, folders=stage.folders, chance=chance, first=number)
    return fill(dataset, files=1, folders=1, chance=chance, prefix="first")


def bring(way: str, tree: Path, dataset: Path) -> list[str]:
    """Return the command that brings all files; what it needs is made ready."""
    if way == "mv":
        moved = fresh(dataset.with_name("moved"))
        subprocess.run(["cp", "-rl", f"{tree}/.", str(moved)], check=True)
        return ["mv", "-t", str(dataset), *sorted(map(str, moved.iterdir()))]
    copy = ["cp", "-r", f"{tree}/.", str(dataset)]
    return {
        "cp -r": copy,
        STANDING: copy,
        "cp -rl": ["cp", "-rl", *copy[2:]],
        "rsync -a": ["rsync", "-a", f"{tree}/", f"{dataset}/"],
        "unzip": ["unzip", "-q", f"{tree}.zip", "-d", str(dataset)],
        "tar x": ["tar", "xf", f"{tree}.tar", "-C", str(dataset)],
    }[way]


def limited(watches: int) -> list[str]:
    return ["unshare", "--user", "--map-root-user", "sh", "-c", LIMIT_WATCHES, str(watches)]


def copy(command: list[str], daemon: Daemon, *, is_held: bool) -> float:
    """Run the copying, while the daemon stands still if it is held, and return the seconds it took."""
    if is_held:
        os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        return timed(lambda: subprocess.run(command, check=True))[1]
    finally:
        if is_held:
            os.kill(daemon.process.pid, signal.SIGCONT)


def examine(daemon: Daemon, ask: Ask, expected: Digests, copying: float, all_in: float | None) -> Arrival:
    rows = stored(ask)
    ended = daemon.terminate()
    outcomes = daemon.outcomes()
    logged = Counter(outcome for outcome, _ in outcomes)
    added = Counter(path for outcome, path in outcomes if outcome == "added")
    wrong = sum(expected.get(path) != digest for path, digest in rows)
    return Arrival(
        copying=copying,
        all_in=all_in,
        missed=len(expected.keys() - dict(rows).keys()),
        incomplete=logged["updated"] + logged["unreadable"] + wrong,
        twice=len(rows) - len(dict(rows)) + sum(times > 1 for times in added.values()),
        digested=logged["unchanged"],
        faults=ended.faults,
    )


def judge(stage: Stage, mode: str, way: str, arrival: Arrival) -> list[str]:
    """Print a line of the table, and return the faults."""
    seconds = f"{arrival.copying:8.1f} {shown(arrival.all_in):>7}"
    counts = f"{arrival.missed:7} {arrival.incomplete:11} {arrival.twice:6} {arrival.digested:9}"
    print(f"{mode:8} {way:9} {seconds} {counts}", flush=True)
    faults = list(arrival.faults)
    if arrival.missed or arrival.incomplete or arrival.twice:
        faults.append(f"{arrival.missed} missed, {arrival.incomplete} incomplete, {arrival.twice} twice")
    if arrival.all_in is None or arrival.all_in > FOUND_SECONDS + stage.patience:
        faults.append(f"all in: {shown(arrival.all_in)} s after the copying")
    return [f"{mode}, {way}: {fault}" for fault in faults]


if __name__ == "__main__":
    sys.exit(main())
