"""Reconcile the whole dataset once, for `igsearch index`.

1. List the disk.
2. Scan every account, on disk or on record.
3. Remove missing files, by the rules of indexer/scanning/removal.py.
"""

import asyncio
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from core.model.statuses import ScanReport
from indexer.ports import FileReader, IndexerStore
from indexer.scanning.account_scan import AccountScan, ScanFindings, ScanOptions
from indexer.scanning.listing import Listing, list_dataset
from indexer.scanning.removal import remove_missing, suspicion
from indexer.scanning.task_pool import TaskPool
from indexer.scanning.write_batch import FileOutcome


class Progress(Protocol):
    """Display of a scan's progress."""

    def expect(self, files: int) -> None: ...

    def advance(self, outcome: FileOutcome, files: int) -> None: ...

    def say(self, sentence: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Removal:
    """Options of the removal of missing files."""

    pause_seconds: float
    """Time between the two checks of a missing file."""
    is_meant: bool = False
    """True to remove the files even if suspiciously many are missing."""


class FullScan:
    """One full scan of the dataset; `stop` ends it early, with all finished work written."""

    def __init__(
        self, options: ScanOptions, removal: Removal, *, store: IndexerStore, reader: FileReader, progress: Progress
    ) -> None:
        self._options = options
        self._removal = removal
        self._store = store
        self._reader = reader
        self._progress = progress
        self._pool = TaskPool(options.workers)

    def stop(self) -> None:
        """Finish the files in progress, within a time limit, and start no more."""
        self._pool.stop()

    @property
    def is_stopped(self) -> bool:
        return self._pool.is_stopped

    async def run(self) -> ScanReport:
        """Reconcile everything; raises PathError if there is no dataset, StoreError if the database fails."""
        started = time.monotonic()
        opted_out = await self._store.list_opted_out()
        listing = await asyncio.to_thread(list_dataset, self._options.dataset, opted_out=opted_out)
        for fault in listing.faults:
            self._progress.say(fault)
        self._progress.expect(listing.file_count)
        findings = await self._scan(listing)
        removed = 0 if self.is_stopped else await self._remove_missing(listing, findings, started)
        ignored, seconds = listing.ignored_in_root + listing.ignored.total(), time.monotonic() - started
        report = scan_report(findings.counts, removed=removed, ignored=ignored, seconds=seconds)
        if not self.is_stopped:
            await self._store.statuses.note_scan(report, self._options.clock())
        return report

    async def _scan(self, listing: Listing) -> ScanFindings:
        usernames = sorted({*listing.users, *await self._store.list_usernames()})
        scan = AccountScan(self._options, store=self._store, reader=self._reader, pool=self._pool)
        async with aclosing(scan.run(listing, usernames)) as decisions:
            async for decision in decisions:
                self._progress.advance(decision.outcome, decision.files)
        return scan.findings

    async def _remove_missing(self, listing: Listing, findings: ScanFindings, started: float) -> int:
        """Remove the rows of missing files, unless their number is suspicious; return the number of images removed."""
        missing = [image.place.path for images in findings.missing.values() for image in images]
        doubt = suspicion(len(missing), recorded=findings.recorded, listed=listing.file_count)
        if doubt and not self._removal.is_meant:
            self._progress.say(
                f"Dataset suspicious: {doubt}. Nothing was removed: check that the disk is mounted;"
                " if the photos are gone for good, run again with --remove-missing."
            )
            return 0
        if missing:
            # The second check must be late enough after the first.
            await self._pool.rest(self._removal.pause_seconds - (time.monotonic() - started))
        failures = [place.path for place in findings.missing_failures]
        gone = await remove_missing(missing, self._options.dataset, listing.identity, self._store, failures=failures)
        return len(gone)


def scan_report(counts: Counter[FileOutcome], *, removed: int, ignored: int, seconds: float) -> ScanReport:
    """Return the report of a scan, given its counts."""
    reported = {outcome.value: counts[outcome] for outcome in FileOutcome if outcome.is_reported}
    return ScanReport(**reported, removed=removed, ignored=ignored, seconds=round(seconds, 3))
