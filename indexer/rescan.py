"""Reconcile everything once: the first scan, `igsearch index`, and the scheduled rescan.

1. List the disk.
2. Compare each account's files with its record: the same, new or changed, missing.
3. Reconcile what is new or changed, many files at a time; write in batches.
4. Forget what is missing, by the rules of indexer/removal.py.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from core.hashing import LIGHT_VERSION
from core.model import FileStamp, Forget, ImageRecord, LedgerRecord, Place, ScanReport
from indexer.batch import Batch, Writes
from indexer.crew import Crew
from indexer.reconciler import Found, Lights, Outcome, Reader, Reconciler
from indexer.removal import still_missing, suspicion
from indexer.sweep import Sweep, sweep

ACCOUNTS_AT_A_TIME = 32
"""A query costs about 1 ms of our own time, whatever it reads; one an account was a fifth of a scan's."""
logger = logging.getLogger(__name__)


class Record(Lights, Writes, Protocol):
    """The store, as a rescan sees it."""

    async def usernames(self) -> list[str]: ...

    async def record(self, *usernames: str) -> dict[bytes, ImageRecord]: ...

    async def ledger(self) -> dict[bytes, LedgerRecord]: ...

    async def relatives(self, stamps: Sequence[FileStamp]) -> list[ImageRecord]: ...

    async def note_scan(self, report: ScanReport, finished_at: datetime) -> None: ...


class Progress(Protocol):
    """Hears how a rescan goes on."""

    def expect(self, files: int) -> None: ...

    def advance(self, outcome: Outcome, files: int) -> None: ...

    def say(self, sentence: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Orders:
    """How a rescan is to be done."""

    root: Path
    workers: int
    settle_seconds: float
    clock: Callable[[], datetime]
    remove_missing: bool = False
    is_asked: bool = False
    """A person asked for it: what may pass is tried again now."""


class Rescan:
    """One pass over the dataset; `stop` ends it early, with everything finished so far written."""

    def __init__(self, orders: Orders, *, store: Record, reader: Reader, progress: Progress) -> None:
        self._orders = orders
        self._store = store
        self._progress = progress
        self._batch = Batch(store)
        self._reconciler = Reconciler(
            orders.root,
            reader=reader,
            store=store,
            batch=self._batch,
            clock=orders.clock,
            is_asked=orders.is_asked,
        )
        self._counts: Counter[Outcome] = Counter()
        self._recorded = 0
        self._missing: list[ImageRecord] = []
        self._missing_failures: list[bytes] = []
        self._crew = Crew(orders.workers)

    def stop(self) -> None:
        """Finish the files in hand, for a while, and begin no other."""
        self._crew.stop()

    @property
    def is_stopped(self) -> bool:
        return self._crew.is_stopped

    async def run(self) -> ScanReport:
        """Reconcile everything; raises PathError where there is no dataset, StoreError when the database fails."""
        started = time.monotonic()
        listing = await asyncio.to_thread(sweep, self._orders.root)
        for fault in listing.faults:
            self._progress.say(fault)
        self._progress.expect(listing.file_count)
        await self._crew.work(self._changed_files(listing), self._reconcile)
        await self._batch.flush()
        removed = 0 if self.is_stopped else await self._forget_missing(listing, started)
        report = self._report(listing, removed, time.monotonic() - started)
        if not self.is_stopped:
            await self._store.note_scan(report, self._orders.clock())
        return report

    async def _reconcile(self, found: Found) -> None:
        self._count(await self._reconciler.reconcile(found))

    async def _changed_files(self, listing: Sweep) -> AsyncIterator[Found]:
        """Yield the files that are not as the record has them, some accounts at a time."""
        ledger = await self._store.ledger()
        usernames = sorted({*listing.users, *await self._store.usernames()})
        self._missing_failures = [path for path, one in ledger.items() if listing.lacks(one.place)]
        for start in range(0, len(usernames), ACCOUNTS_AT_A_TIME):
            some = usernames[start : start + ACCOUNTS_AT_A_TIME]
            record = await self._store.record(*some)
            self._recorded += len(record)
            self._missing += [one for one in record.values() if listing.lacks(one.place)]
            files = {path: Place(name, path) for name in some for path in listing.users.get(name, ())}
            for found in await self._compare(files, listing, record, ledger):
                yield found

    async def _compare(
        self,
        files: Mapping[bytes, Place],
        listing: Sweep,
        record: Mapping[bytes, ImageRecord],
        ledger: Mapping[bytes, LedgerRecord],
    ) -> list[Found]:
        stamps = {path: listing.users[place.username][path] for path, place in files.items()}
        changed = {path: stamp for path, stamp in stamps.items() if not _is_current(record.get(path), stamp)}
        self._count(Outcome.UNCHANGED, len(files) - len(changed))
        relatives = _Relatives(await self._store.relatives(list(changed.values())))
        return [
            Found(files[path], stamp, record.get(path), ledger.get(path), relatives.of(stamp))
            for path, stamp in changed.items()
        ]

    def _count(self, outcome: Outcome, files: int = 1) -> None:
        self._counts[outcome] += files
        self._progress.advance(outcome, files)

    async def _forget_missing(self, listing: Sweep, started: float) -> int:
        """Remove the rows of missing files where they can be believed to be removed; return how many images went."""
        missing = [one.place.path for one in self._missing if one.image_id not in self._reconciler.relocated]
        doubt = suspicion(len(missing), recorded=self._recorded, listed=listing.file_count)
        if doubt and not self._orders.remove_missing:
            self._progress.say(
                f"Root suspicious: {doubt}. Nothing was removed: check that the disk is mounted;"
                " if the photos are gone for good, run again with --remove-missing."
            )
            return 0
        if missing:
            # The second look must be far enough from the first.
            await self._crew.rest(self._orders.settle_seconds - (time.monotonic() - started))
        gone = await asyncio.to_thread(still_missing, self._orders.root, listing.identity, missing)
        for path in (*gone, *self._missing_failures):
            await self._batch.add(Forget(path))
        await self._batch.flush()
        return len(gone)

    def _report(self, listing: Sweep, removed: int, seconds: float) -> ScanReport:
        counts = {outcome.value: self._counts[outcome] for outcome in Outcome if outcome is not Outcome.GONE}
        return ScanReport(**counts, removed=removed, ignored=listing.ignored, seconds=round(seconds, 3))


class _Relatives:
    """Images by inode and by size."""

    def __init__(self, images: Sequence[ImageRecord]) -> None:
        self._by_inode: defaultdict[tuple[int, int], list[ImageRecord]] = defaultdict(list)
        self._by_size: defaultdict[int, list[ImageRecord]] = defaultdict(list)
        for image in images:
            self._by_inode[image.stamp.inode, image.stamp.device].append(image)
            self._by_size[image.stamp.size].append(image)

    def of(self, stamp: FileStamp) -> list[ImageRecord]:
        """Return the images that may be the same file, then those that may have the same bytes."""
        return self._by_inode.get((stamp.inode, stamp.device), []) + self._by_size.get(stamp.size, [])


def _is_current(known: ImageRecord | None, stamp: FileStamp) -> bool:
    return known is not None and known.stamp == stamp and known.version == LIGHT_VERSION
