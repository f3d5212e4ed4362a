"""What the daemon costs while nothing happens: 20,000 small photos in 500 folders, indexed, hashes and features done.

python -m benchmarks.speed.idle_cost
python -m benchmarks.speed.idle_cost --seconds 300 --rescan 2m --sqlite

Measured twice: after the daemon itself worked off the backlog, and after it was started again on what is all done.
Each time for five minutes, with one scheduled rescan and more in between: the CPU time of all its processes (user and
system, with those that have ended) in percent of a core, and their memory at most, as PSS (shared pages by their share)
and as RSS (shared pages counted in every process).

Exits 1 at 1 % of a core or more, at 150 MB (PSS) or more, when there was no rescan, or when SIGTERM does not end the
daemon with 0 within 10 s.
"""

import argparse
import random
import sys
import time
from contextlib import ExitStack

from benchmarks.lab.daemon import Daemon, index_hashes, watching
from benchmarks.lab.databases import BACKLOG_SECONDS, Ask, backlog, folder_and_target, number, photo_count, reading
from benchmarks.lab.photos import fill
from benchmarks.lab.processes import cpu_seconds, members, sampling
from benchmarks.lab.script import parser, report
from benchmarks.lab.timing import wait_until

PERCENT_GOAL, BYTES_GOAL = 1.0, 150e6
SAMPLE_SECONDS = 5.0
CALM_SECONDS = 20.0


def main() -> int:
    arguments = parse()
    faults: list[str] = []
    with ExitStack() as stack:
        folder, target = stack.enter_context(folder_and_target(is_sqlite=arguments.sqlite))
        dataset, url = folder / "dataset", target.create("idling")
        fill(dataset, files=arguments.files, folders=arguments.folders, chance=random.Random(arguments.seed))
        index_hashes(dataset, url)
        ask = stack.enter_context(reading(url))
        print(f"{photo_count(ask):,} photos, {arguments.folders} folders, {target.name}, rescan {arguments.rescan}")
        print(f"{'':20} {'% of a core':>12} {'PSS MB':>7} {'RSS MB':>7} {'processes':>10} {'rescans':>8}", flush=True)
        for title in ("after the backlog", "started afresh"):
            log = folder / "log"
            with watching(dataset, url, log, settle_seconds=arguments.settle, rescan=arguments.rescan) as daemon:
                wait_until_idle(ask)
                found = idle(daemon, ask, title, arguments.seconds) + daemon.terminate().faults
            faults += [f"{title}: {fault}" for fault in found]
    return report(faults)


def parse() -> argparse.Namespace:
    options = parser(__doc__, has_daemon=True)
    options.add_argument("--files", type=int, default=20_000)
    options.add_argument("--folders", type=int, default=500)
    options.add_argument("--seconds", type=float, default=300)
    options.add_argument("--rescan", default="2m", help="IGSEARCH_RESCAN")
    return options.parse_args()


def wait_until_idle(ask: Ask) -> None:
    """Wait until the first scan is over and the backlog is worked off."""
    scans = rescans(ask)
    assert wait_until(lambda: rescans(ask) > scans, seconds=BACKLOG_SECONDS) is not None, "no first scan"
    assert wait_until(lambda: not backlog(ask), seconds=BACKLOG_SECONDS) is not None, "the backlog stays"
    time.sleep(CALM_SECONDS)


def rescans(ask: Ask) -> int:
    return number(ask, "SELECT COALESCE(MAX(id), 0) FROM scans")


def idle(daemon: Daemon, ask: Ask, title: str, seconds: float) -> list[str]:
    """Let nothing happen for a while, print what that costs, and return the faults."""
    scans, cpu, started = rescans(ask), cpu_seconds(daemon.session), time.monotonic()
    with sampling(daemon.session, every=SAMPLE_SECONDS) as samples:
        time.sleep(seconds)
    percent = 100 * (cpu_seconds(daemon.session) - cpu) / (time.monotonic() - started)
    scans = rescans(ask) - scans
    pss, rss = max(sample.pss for sample in samples), max(sample.rss for sample in samples)
    figures = f"{percent:12.2f} {pss / 1e6:7.1f} {rss / 1e6:7.1f} {len(members(daemon.session)):10} {scans:8}"
    print(f"{title:20} {figures}", flush=True)
    faults = [] if percent < PERCENT_GOAL else [f"{percent:.2f} % of a core, the goal is below {PERCENT_GOAL:g} %"]
    if pss >= BYTES_GOAL:
        faults.append(f"{pss / 1e6:.0f} MB, the goal is below {BYTES_GOAL / 1e6:.0f} MB")
    return faults + ([] if scans else ["no rescan was noted in the table scans meanwhile"])


if __name__ == "__main__":
    sys.exit(main())
