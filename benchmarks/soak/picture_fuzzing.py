"""Whether hostile pictures can hurt: mutants of all eight types, and bombs, through the worker processes.

python -m benchmarks.soak.picture_fuzzing --count 10000 --seed 1

Checked: each gives a fingerprint or an ImageError; an intact picture between them always gives its own fingerprint,
whatever its neighbour does to the worker; none needs over 10 s of its own (one that seems to, having waited behind
another, is sent again alone); the memory of the parent stays flat. Exits 1 otherwise; the seed gives the files again.
"""

import argparse
import asyncio
import ctypes
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.lab.hostile_pictures import HostileFile, Seed, draw_seeds, mutants
from benchmarks.lab.processes import MB, status
from benchmarks.lab.script import missed, parser, report
from core.errors import ImageError
from core.model.fingerprints import PhotoHashes
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


def main() -> int:
    options = parser(__doc__, has_photos=True)
    options.add_argument("--count", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    arguments = options.parse_args()
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
    seeds = list(draw_seeds(arguments.photos))
    print(f"{len(seeds)} seeds; {arguments.count:,} mutants", flush=True)
    return report(asyncio.run(run(seeds, arguments)))


async def run(seeds: Sequence[Seed], arguments: argparse.Namespace) -> list[str]:
    """Send mutants, some at a time, then bombs and what took long one by one; return the faults."""
    files = list(mutants(list(seeds), random.Random(arguments.seed), arguments.count))
    async with PhotoWorkers(WORKERS) as workers:
        judge = Judge(workers, {seed.name: await workers.hash_bytes(seed.data) for seed in seeds})
        await judge.send_all(files[:WARM_UP])
        first = status("VmRSS")
        await judge.send_all(files[WARM_UP:])
        growth = (status("VmRSS") - first) / MB
        judge.print_table()
        for name, make in bombs().items():
            print(f"{name:32} {await judge.send(HostileFile(name, make()))}", flush=True)
        slow, judge.slow = judge.slow, []
        for file in slow:
            await judge.send(file)
    faults = judge.faults + [f"{file.name} took over {PICTURE_SECONDS} s alone" for file in judge.slow]
    return faults + missed("growth of the parent", growth, FLAT_MEGABYTES, "MB")


@dataclass(slots=True)
class Judge:
    """Sends files and judges what comes back; `right` has the fingerprints of the intact ones."""

    workers: PhotoWorkers
    right: dict[str, PhotoHashes]
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slow: list[HostileFile] = field(default_factory=list)

    async def send_all(self, files: Iterable[HostileFile]) -> None:
        """Send files, some at a time."""
        waiting = iter(files)

        async def work() -> None:
            for file in waiting:
                await self.send(file)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())

    async def send(self, file: HostileFile) -> str:
        """Send a file, and note what came back."""
        started = time.monotonic()
        outcome = await self._outcome(file)
        self.outcomes[outcome] += 1
        if time.monotonic() - started > PICTURE_SECONDS + SLACK_SECONDS:
            self.slow.append(file)
        return outcome

    async def _outcome(self, file: HostileFile) -> str:
        try:
            fingerprint = await self.workers.hash_bytes(file.data)
        except ImageError as error:
            if file.intact:
                self.faults.append(f"{file.name}: intact, yet {type(error).__name__}: {error}")
            return f"{error.kind} ({type(error).__name__})"
        except Exception as error:  # noqa: BLE001 - any other error is what this looks for
            self.faults.append(f"{file.name}: {type(error).__name__}: {error}")
            return type(error).__name__
        if file.intact and fingerprint != self.right[file.intact]:
            self.faults.append(f"{file.name}: intact, yet another fingerprint")
        return "fingerprint"

    def print_table(self) -> None:
        for outcome, times in self.outcomes.most_common():
            print(f"{outcome:32} {times:6}  {times / self.outcomes.total():6.1%}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
