"""Reconcile everything once: what `igsearch index` does.

1. List the disk.
2. AccountScan every account, on the disk and on record.
3. Remove what is missing, by the rules of indexer/scanning/removal.py.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.model.records import RemoveFile
from core.model.statuses import ScanReport
from indexer.scanning.account_scan import AccountScan, Record, ScanFindings, ScanOptions
from indexer.scanning.listing import Listing, list_dataset
from indexer.scanning.reconciler import FileOutcome, Reader
from indexer.scanning.removal import still_missing, suspicion
from indexer.scanning.task_pool import TaskPool
from indexer.scanning.write_batch import WriteBatch


class RecordStore(Record, Protocol):
    """The store, as a rescan sees it."""

    async def usernames(self) -> list[str]: ...

    async def opted_out(self) -> frozenset[str]: ...

    async def note_scan(self, report: ScanReport, finished_at: datetime) -> None: ...


class Progress(Protocol):
    """Hears how a rescan goes on."""

    def expect(self, files: int) -> None: ...

    def advance(self, outcome: FileOutcome, files: int) -> None: ...

    def say(self, sentence: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Removal:
    """How missing files are dealt with: how far apart the two looks are, and whether a large loss is believed."""

    pause_seconds: float
    is_meant: bool = False


class FullScan:
    """One pass over the dataset; `stop` ends it early, with everything finished so far written."""

    def __init__(
        self, options: ScanOptions, removal: Removal, *, store: RecordStore, reader: Reader, progress: Progress
    ) -> None:
        self._options = options
        self._removal = removal
        self._store = store
        self._reader = reader
        self._progress = progress
        self._pool = TaskPool(options.workers)

    def stop(self) -> None:
        """Finish the files in hand, for a while, and begin no other."""
        self._pool.stop()

    @property
    def is_stopped(self) -> bool:
        return self._pool.is_stopped

    async def run(self) -> ScanReport:
        """Reconcile everything; raises PathError where there is no dataset, StoreError when the database fails."""
        started = time.monotonic()
        listing = await asyncio.to_thread(list_dataset, self._options.root, opted_out=await self._store.opted_out())
        for fault in listing.faults:
            self._progress.say(fault)
        self._progress.expect(listing.file_count)
        usernames = sorted({*listing.users, *await self._store.usernames()})
        visit = AccountScan(
            self._options, store=self._store, reader=self._reader, pool=self._pool, heard=self._progress.advance
        )
        findings = await visit.run(listing, usernames)
        removed = 0 if self.is_stopped else await self._forget_missing(listing, findings, started)
        report = scan_report(
            findings.counts, removed=removed, ignored=listing.ignored.total(), seconds=time.monotonic() - started
        )
        if not self.is_stopped:
            await self._store.note_scan(report, self._options.clock())
        return report

    async def _forget_missing(self, listing: Listing, findings: ScanFindings, started: float) -> int:
        """Remove the rows of missing files where they can be believed to be removed; return how many images went."""
        missing = [image.place.path for images in findings.missing.values() for image in images]
        doubt = suspicion(len(missing), recorded=findings.recorded, listed=listing.file_count)
        if doubt and not self._removal.is_meant:
            self._progress.say(
                f"Dataset suspicious: {doubt}. Nothing was removed: check that the disk is mounted;"
                " if the photos are gone for good, run again with --remove-missing."
            )
            return 0
        if missing:
            # The second look must be far enough from the first.
            await self._pool.rest(self._removal.pause_seconds - (time.monotonic() - started))
        gone = await asyncio.to_thread(still_missing, self._options.root, listing.identity, missing)
        batch = WriteBatch(self._store)
        for path in (*gone, *(place.path for place in findings.missing_failures)):
            await batch.add(RemoveFile(path))
        await batch.flush()
        return len(gone)


def scan_report(counts: Counter[FileOutcome], *, removed: int, ignored: int, seconds: float) -> ScanReport:
    """Put the counts of a scan together."""
    reported = {outcome.value: counts[outcome] for outcome in FileOutcome if outcome.is_reported}
    return ScanReport(**reported, removed=removed, ignored=ignored, seconds=round(seconds, 3))
