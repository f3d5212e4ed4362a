"""Whether hostile pictures can hurt: mutants of all eight types, and bombs, through the worker processes.

python -m benchmarks.soak.picture_fuzzing --count 10000 --seed 1

Checked: each gives a fingerprint or an ImageError; an intact picture between them always gives its own fingerprint,
whatever its neighbour does to the worker; none needs over 10 s of its own (one that seems to, having waited behind
another, is sent again alone); the memory of the parent stays flat. Exits 1 otherwise, and keeps the input in --keep.
"""

import argparse
import asyncio
import ctypes
import hashlib
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from benchmarks.lab.hostile_pictures import HostileFile, Seed, draw_seeds, mutants
from benchmarks.lab.processes import MB, status
from benchmarks.lab.script import missed, parser, report
from core.errors import ImageError
from core.model import PhotoHashes
from core.workers.pool import PICTURE_SECONDS, PhotoWorkers
from tests.pictures import bombs

WORKERS, IN_FLIGHT = 2, 4
SLACK_SECONDS = 3.0
"""What starting a worker and a busy machine may add to the time limit of a picture."""
FLAT_MEGABYTES = 8
M_MMAP_THRESHOLD, MMAP_THRESHOLD = -3, 128 << 10
"""glibc raises the threshold as large blocks are freed and then keeps them in its arenas: 33 MB after 10,000 mutants,
with nothing alive in Python. Held fixed, what is left to grow is a leak."""
WARM_UP = 200
"""Mutants before the parent's memory is first noted: by then its lazy imports are done."""


@dataclass(slots=True)
class Tally:
    """What came back."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slow: list[HostileFile] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    workers: set[int] = field(default_factory=set)


def main() -> int:
    options = parser(__doc__, has_photos=True)
    options.add_argument("--count", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--keep", type=Path, help="folder for the inputs that found a fault")
    arguments = options.parse_args()
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
    seeds = list(draw_seeds(arguments.photos))
    types = {seed.name.split()[0] for seed in seeds}
    print(f"{len(seeds)} seeds of {len(types)} types; {arguments.count:,} mutants", flush=True)
    return report(asyncio.run(run(seeds, arguments)))


async def run(seeds: list[Seed], arguments: argparse.Namespace) -> list[str]:
    """Send mutants, some at a time, then bombs one by one; return the faults."""
    tally, megabytes = Tally(), dict[int, float]()
    async with PhotoWorkers(WORKERS) as workers:
        right = {seed.name: await workers.hash_bytes(seed.data) for seed in seeds}
        judge = Judge(workers, right, tally, arguments.keep)
        started = time.monotonic()
        async for number in in_hand(mutants(seeds, random.Random(arguments.seed), arguments.count), judge.send):
            if number in {WARM_UP, arguments.count // 2, arguments.count}:
                megabytes[number] = status("VmRSS") / MB
        print_table(tally, time.monotonic() - started)
        await judge.each_alone(HostileFile(name, make()) for name, make in bombs().items())
        await judge.again_alone()
    print("the parent: " + ", ".join(f"{size:.1f} MB after {number:,}" for number, size in megabytes.items()))
    died = sum(number for outcome, number in tally.outcomes.items() if outcome.startswith(("crash", "time")))
    print(f"{died} workers died by their picture; {len(tally.workers)} worker processes were seen, {WORKERS} at a time")
    first, *_, last = megabytes.values()
    return tally.faults + missed("growth of the parent", last - first, FLAT_MEGABYTES, "MB")


class Judge:
    """Sends samples and judges what comes back."""

    def __init__(self, workers: PhotoWorkers, right: dict[str, PhotoHashes], tally: Tally, keep: Path | None) -> None:
        self._workers = workers
        self._right = right
        self._tally = tally
        self._keep = keep

    async def send(self, sample: HostileFile) -> float:
        """Send a sample, note what came back, and return the seconds it took."""
        started = time.monotonic()
        outcome = await self._outcome(sample)
        seconds = time.monotonic() - started
        self._tally.outcomes[outcome] += 1
        self._tally.slowest = max(self._tally.slowest, (seconds, f"{sample.name}: {outcome}"))
        self._tally.workers |= worker_processes()
        if seconds > PICTURE_SECONDS + SLACK_SECONDS:
            self._tally.slow.append(sample)
        return seconds

    async def each_alone(self, samples: Iterator[HostileFile]) -> None:
        """Send samples one by one and print what became of each."""
        print(f"\n{'bomb':58} {'bytes':>10} {'s':>6}  outcome")
        for sample in samples:
            before = self._tally.outcomes.copy()
            seconds = await self.send(sample)
            outcome = next(iter(self._tally.outcomes - before))
            print(f"{sample.name:58} {len(sample.data):10,} {seconds:6.2f}  {outcome}", flush=True)

    async def again_alone(self) -> None:
        """Send those that took long once more with nothing before them in line."""
        slow, self._tally.slow = self._tally.slow, []
        for sample in slow:
            seconds = await self.send(sample)
            if seconds > PICTURE_SECONDS + SLACK_SECONDS:
                self._fault(sample, f"took {seconds:.1f} s alone")

    async def _outcome(self, sample: HostileFile) -> str:
        try:
            fingerprint = await self._workers.hash_bytes(sample.data)
        except ImageError as error:
            if sample.intact:
                self._fault(sample, f"intact, yet {type(error).__name__}: {error}")
            return f"{error.kind} ({type(error).__name__})"
        except Exception as error:  # noqa: BLE001 - any other error is what this looks for
            self._fault(sample, f"{type(error).__name__}: {error}")
            return type(error).__name__
        if sample.intact and fingerprint != self._right[sample.intact]:
            self._fault(sample, "intact, yet another fingerprint")
        return "fingerprint"

    def _fault(self, sample: HostileFile, sentence: str) -> None:
        digest = hashlib.sha256(sample.data).hexdigest()[:16]
        self._tally.faults.append(f"{sample.name} ({digest}, {len(sample.data):,} bytes): {sentence}")
        if self._keep:
            self._keep.mkdir(parents=True, exist_ok=True)
            (self._keep / digest).write_bytes(sample.data)


async def in_hand(
    samples: Iterator[HostileFile], send: Callable[[HostileFile], Coroutine[Any, Any, float]]
) -> AsyncIterator[int]:
    """Keep IN_FLIGHT samples on their way, and yield how many are done."""
    waiting: set[asyncio.Future[float]] = set()
    number = 0
    for sample in samples:
        waiting.add(asyncio.ensure_future(send(sample)))
        if len(waiting) < IN_FLIGHT:
            continue
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
            number += 1
            yield number
    for task in waiting:
        await task
        number += 1
        yield number


def worker_processes() -> set[int]:
    """The children of the fork server: the workers that live now."""
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]  # noqa: SLF001 - nowhere else
    children = Path(f"/proc/{server}/task/{server}/children")
    return set(map(int, children.read_text(encoding="ascii").split())) if children.exists() else set()


def print_table(tally: Tally, seconds: float) -> None:
    total = tally.outcomes.total()
    print(f"\n{total:,} mutants in {seconds:.0f} s")
    for outcome, number in tally.outcomes.most_common():
        print(f"  {outcome:24} {number:6}  {number / total:6.1%}")
    print(f"  slowest {tally.slowest[0]:.1f} s ({tally.slowest[1]})")


if __name__ == "__main__":
    sys.exit(main())
