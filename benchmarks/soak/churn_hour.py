"""Whether the daemon keeps pace with an hour of churn, and neither drifts nor leaks: 10 changes a second.

python -m benchmarks.soak.churn_hour
python -m benchmarks.soak.churn_hour --minutes 5 --rate 20 --sqlite

2,000 small photos in 50 folders. Photos are created (written, renamed from `.part`, moved in, copied), renamed within
and across folders and over others, overwritten, deleted; folders are renamed; in such balance that their number stays.
Every minute are printed: the images on record, the open files and the memory (PSS) of all processes
of the daemon, and the lag: how long a photo dropped into a folder of its own takes until its row is there. At the
end the record must equal the disk, by path and SHA-256, within the settle time and 30 s.

Exits 1 when it does not; when memory grows by 1 MiB or more in 10 minutes (least squares over the second half); when
open files grow; when a lag is over a minute; or when SIGTERM does not end the daemon with 0 within 10 s.
"""

import argparse
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

from benchmarks.lab.churn import SAMPLE_SECONDS, catch_up, churn, drift, measured_lag
from benchmarks.lab.daemon import Daemon, watching
from benchmarks.lab.databases import Ask, folder_and_target, photo_count, reading, wait_until_indexed
from benchmarks.lab.photos import fill
from benchmarks.lab.processes import MIB, Sample, sampling
from benchmarks.lab.script import parser, report
from benchmarks.lab.timing import shown, sleep_until


def main() -> int:
    arguments = parse()
    with ExitStack() as stack:
        folder, target = stack.enter_context(folder_and_target(is_sqlite=arguments.sqlite))
        dataset, url = folder / "dataset", target.create("churn_hour")
        fill(dataset, files=arguments.files, folders=arguments.folders, chance=random.Random(arguments.seed))
        daemon = stack.enter_context(watching(dataset, url, folder / "log", settle_seconds=arguments.settle))
        ask = stack.enter_context(reading(url))
        wait_until_indexed(ask, arguments.files)
        size = f"{arguments.files:,} photos, {arguments.folders} folders"
        print(f"{size}, {target.name}, {arguments.rate:g} changes a second", flush=True)
        samples, faults = live_through(daemon, ask, dataset, arguments)
        faults += catch_up(ask, dataset, arguments.settle) + drift(samples)
        return report(faults + daemon.terminate().faults)


def parse() -> argparse.Namespace:
    options = parser(__doc__, has_daemon=True)
    options.add_argument("--minutes", type=int, default=60)
    options.add_argument("--rate", type=float, default=10, help="changes a second")
    options.add_argument("--files", type=int, default=2_000)
    options.add_argument("--folders", type=int, default=50)
    return options.parse_args()


def live_through(
    daemon: Daemon, ask: Ask, dataset: Path, arguments: argparse.Namespace
) -> tuple[list[Sample], list[str]]:
    """Churn, print a line a minute, and return the samples and the faults."""
    faults: list[str] = []
    is_cancelled, chance = Event(), random.Random(arguments.seed + 1)
    with ThreadPoolExecutor(1) as pool, sampling(daemon.session, every=SAMPLE_SECONDS) as samples:
        started = time.monotonic()
        work = pool.submit(
            churn,
            dataset,
            seconds=60 * arguments.minutes,
            rate=arguments.rate,
            chance=chance,
            is_cancelled=is_cancelled,
        )
        try:
            print(f"{'minute':>6} {'images':>7} {'open files':>11} {'MiB':>7} {'lag':>6}")
            for minute in range(1, arguments.minutes + 1):
                sleep_until(started + 60 * minute)
                assert daemon.process.poll() is None, daemon.end_of_log()
                faults += print_minute(minute, ask, dataset, samples[-1])
        finally:
            is_cancelled.set()
    print(", ".join(f"{kind}: {times:,}" for kind, times in work.result().most_common()))
    return samples, faults


def print_minute(minute: int, ask: Ask, dataset: Path, now: Sample) -> list[str]:
    lag, faults = measured_lag(ask, dataset, minute)
    print(f"{minute:6} {photo_count(ask):7,} {now.open_files:11} {now.pss / MIB:7.1f} {shown(lag):>6}", flush=True)
    return faults


if __name__ == "__main__":
    sys.exit(main())
