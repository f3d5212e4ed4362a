"""How long the hashes take for a photo of 1080 px: igsearch against a bare dhash loop and imagededup.

python -m benchmarks.speed.indexing_speed --imagededup-python /tmp/dedup/bin/python

The photos are scaled up to 1080 px (JPEG, quality 87) into a dataset of several usernames. Round by round, in turn, so
that a busy machine meets all alike, each as a fresh process pinned with all its children to one core:

(a) a loop of `imagehash.dhash(Image.open(path))`: one hash, nothing checked, nothing kept;
(b) imagededup's `DHash().encode_images(folder)` with one worker: likewise;
(c) `igsearch index` with one worker on a new SQLite database: SHA-256, limits, dhash, PDQ, detail, database;
(d) the same on MariaDB; the server is pinned to the same core.

(a) and (b) time their work only, without the start of Python and its imports. Of (c) and (d) both are given: the scan
(`seconds` of its JSON, which includes starting the worker) and the whole process, which spares a large dataset
nothing. The ratios are medians of the rounds' ratios. Then, not pinned: two workers against one, beside two
dhash loops against one, which shows what the second core is worth while others use the machine; and a run on the
unchanged tree.

imagededup wants a Python of its own (`pip install --no-deps imagededup`, then what it imports; torch==2.13.0 for the
CPU). It imports torchvision for its neural networks, which DHash does not use and for which there is no CPU build
here: where that is missing, empty modules take its place.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from tests.mariadb import MariaDB, private_mariadb

WIDTH, QUALITY = 1080, 87
CORE = 0
DHASH_GOAL, IMAGEDEDUP_GOAL, WORKERS_GOAL = 1.5, 2.0, 1.7

DHASH_LOOP = """
import pathlib, sys, time
import imagehash
from PIL import Image
paths = sorted(path for path in pathlib.Path(sys.argv[1]).rglob("*.jpg"))[int(sys.argv[3]) :: int(sys.argv[4])]
start = time.perf_counter()
for path in paths:
    imagehash.dhash(Image.open(path))
print(time.perf_counter() - start)
"""
IMAGEDEDUP = """
import sys, time
from unittest.mock import MagicMock
try:
    import torchvision
except ImportError:
    for name in ("", ".transforms", ".models", ".models.vision_transformer"):
        sys.modules["torchvision" + name] = MagicMock()
from imagededup.methods import DHash
hasher = DHash(verbose=False)
start = time.perf_counter()
found = hasher.encode_images(sys.argv[1], recursive=True, num_enc_workers=0)
seconds = time.perf_counter() - start
assert len(found) == int(sys.argv[2]), len(found)
print(seconds)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of one run: of the work alone, and of the whole process."""

    work: float
    whole: float


Peer = Callable[[], Run]


def main() -> int:
    arguments = parse()
    cores = os.sched_getaffinity(0)
    with TemporaryDirectory(prefix="igsearch-indexing-") as name:
        folder, dataset = Path(name), Path(name) / "dataset"
        count = make_photos(arguments.photos, dataset, arguments.count)
        size = sum(path.stat().st_size for path in dataset.rglob("*.jpg")) / count
        print(f"{count} photos of {WIDTH} px, {size / 1000:.0f} kB on average; {arguments.rounds} rounds")
        with pinned(CORE), private_mariadb(durable=True) as server:
            os.sched_setaffinity(0, cores)
            peers = pinned_peers(folder, dataset, server, arguments.imagededup_python, count)
            missed = print_pinned(interleaved(peers, arguments.rounds), count)
        missed += print_workers(folder, dataset, arguments.rounds, count)
        print_incremental(folder, dataset, arguments.rounds, count)
    for goal in missed:
        print(f"MISSED {goal}")
    return 1 if missed else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=Path("../shared/photos"))
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--imagededup-python", type=Path, help="the Python that imagededup is installed for")
    return parser.parse_args()


def make_photos(photos: Path, dataset: Path, count: int) -> int:
    """Scale up so many photos, every few of the whole, under the usernames they have."""
    paths = sorted(photos.rglob("*.jpg"))
    for path in paths[:: max(1, len(paths) // count)][:count]:
        place = dataset / path.relative_to(photos)
        place.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            height = round(image.height * WIDTH / image.width)
            larger = image.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
        larger.save(place, quality=QUALITY)
    return sum(1 for _ in dataset.rglob("*.jpg"))


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Pin this process to a core; what is started meanwhile inherits it and keeps it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pinned_peers(folder: Path, dataset: Path, server: MariaDB, imagededup: Path | None, count: int) -> dict[str, Peer]:
    def on_sqlite() -> Run:
        return on_one_core(lambda: index(dataset, fresh_sqlite(folder)))

    def on_mariadb() -> Run:
        url = server.create_database("indexing")
        return on_one_core(lambda: index(dataset, url))

    peers: dict[str, Peer] = {
        "a": lambda: on_one_core(lambda: script(Path(sys.executable), DHASH_LOOP, dataset, count))
    }
    if imagededup and imagededup.exists():
        peers["b"] = lambda: on_one_core(lambda: script(imagededup, IMAGEDEDUP, dataset, count))
    else:
        print("(b) is left out: name the Python of imagededup with --imagededup-python.")
    return {**peers, "c": on_sqlite, "d": on_mariadb}


def on_one_core(work: Callable[[], Run]) -> Run:
    with pinned(CORE):
        return work()


def script(python: Path, source: str, dataset: Path, count: int, *, processes: int = 1) -> Run:
    """Run a peer's program, which prints the seconds of its work; several share the photos."""
    command = [str(python), "-c", source, str(dataset), str(count)]
    started = time.perf_counter()
    runs = [
        subprocess.Popen(
            [*command, str(number), str(processes)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for number in range(processes)
    ]
    outputs = [run.communicate() for run in runs]
    whole = time.perf_counter() - started
    assert not any(run.returncode for run in runs), outputs
    return Run(max(float(seconds) for seconds, _ in outputs), whole)


def index(dataset: Path, url: str, *, workers: int = 1) -> Run:
    command = [sys.executable, "-m", "igsearch", "index", "--dataset", str(dataset), "--json"]
    environment = {**os.environ, "IGSEARCH_DATABASE_URL": url, "IGSEARCH_WORKERS": str(workers)}
    started = time.perf_counter()
    output = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    whole = time.perf_counter() - started
    counts = json.loads(output)
    assert not counts["unreadable"], counts
    return Run(counts["seconds"], whole)


def fresh_sqlite(folder: Path) -> str:
    databases = folder / "databases"
    shutil.rmtree(databases, ignore_errors=True)
    databases.mkdir()
    return f"sqlite:///{databases / 'index.db'}"


def interleaved(peers: dict[str, Peer], rounds: int) -> dict[str, list[Run]]:
    """Run all peers in each round, after one that only warms the caches; each round starts with another of them."""
    runs: dict[str, list[Run]] = {name: [] for name in peers}
    names = list(peers)
    for number in range(rounds + 1):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            run = peers[name]()
            if number:
                runs[name].append(run)
    return runs


TITLES = {
    "a": "(a) imagehash.dhash loop",
    "b": "(b) imagededup DHash",
    "c": "(c) igsearch index, SQLite",
    "d": "(d) igsearch index, MariaDB",
}


def print_pinned(runs: dict[str, list[Run]], count: int) -> list[str]:
    """Print the table, and return the goals that were missed."""
    print(f"\n{'one core':30} {'ms/photo':>9} {'whole process':>14}   times (a)   whole   times (b)   whole")
    for name, ours in runs.items():
        work = 1000 * statistics.median(run.work for run in ours) / count
        whole = 1000 * statistics.median(run.whole for run in ours) / count
        ratios = [text for peer in ("a", "b") for text in ratio_texts(runs.get(peer), ours)]
        print(f"{TITLES[name]:30} {work:9.2f} {whole:14.2f}   " + "".join(f"{text:>9}" for text in ratios))
    goals = {"a": DHASH_GOAL, "b": IMAGEDEDUP_GOAL}
    return [
        f"{TITLES[ours]}: {ratio(runs[peer], runs[ours]):.2f} times {TITLES[peer]}, the goal is {goal}"
        for ours in ("c", "d")
        for peer, goal in goals.items()
        if peer in runs and ratio(runs[peer], runs[ours]) < goal
    ]


def ratio_texts(theirs: list[Run] | None, ours: list[Run]) -> list[str]:
    """How many times faster ours is than theirs: work against work, and work against our whole process."""
    if theirs is None:
        return ["-", "-"]
    against_whole = statistics.median(peer.work / own.whole for peer, own in zip(theirs, ours, strict=True))
    return [f"{ratio(theirs, ours):.2f}", f"{against_whole:.2f}"]


def ratio(theirs: list[Run], ours: list[Run]) -> float:
    return statistics.median(peer.work / own.work for peer, own in zip(theirs, ours, strict=True))


def print_workers(folder: Path, dataset: Path, rounds: int, count: int) -> list[str]:
    """Measure two workers against one on all cores, and what two cores give to two dhash loops meanwhile."""
    python = Path(sys.executable)
    peers: dict[str, Peer] = {
        "IGSEARCH_WORKERS=1": lambda: index(dataset, fresh_sqlite(folder), workers=1),
        "IGSEARCH_WORKERS=2": lambda: index(dataset, fresh_sqlite(folder), workers=2),
        "one dhash loop": lambda: script(python, DHASH_LOOP, dataset, count),
        "two dhash loops": lambda: script(python, DHASH_LOOP, dataset, count, processes=2),
    }
    runs = interleaved(peers, rounds)
    print(f"\n{f'{len(os.sched_getaffinity(0))} cores, SQLite':30} {'ms/photo':>9} {'whole process':>14}")
    for name, measured in runs.items():
        work = 1000 * statistics.median(run.work for run in measured) / count
        whole = 1000 * statistics.median(run.whole for run in measured) / count
        print(f"{name:30} {work:9.2f} {whole:14.2f}")
    gain = ratio(runs["IGSEARCH_WORKERS=1"], runs["IGSEARCH_WORKERS=2"])
    possible = ratio(runs["one dhash loop"], runs["two dhash loops"])
    print(f"two workers: {gain:.2f} times one; two independent loops: {possible:.2f} times one")
    return [f"two workers: {gain:.2f} times one, the goal is {WORKERS_GOAL}"] if gain < WORKERS_GOAL else []


def print_incremental(folder: Path, dataset: Path, rounds: int, count: int) -> None:
    url = fresh_sqlite(folder)
    index(dataset, url)
    runs = [index(dataset, url) for _ in range(rounds)]
    work = 1000 * statistics.median(run.work for run in runs)
    whole = 1000 * statistics.median(run.whole for run in runs)
    print(f"\nunchanged tree: {1000 * work / count:.0f} ms for 1,000 files; whole process {whole:.0f} ms for {count}")


if __name__ == "__main__":
    sys.exit(main())
