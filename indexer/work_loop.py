"""The daemon's work, one piece at a time: the most urgent first, and only until something more urgent is due.

1. Scan the accounts that changed, once their files may have settled; of many files only the latest.
2. Scan the waiting accounts: the remainder of those, and in a full rescan every account.
3. Remove files that have been missing for a while, by the rules of indexer/scanning/removal.py.
4. Compute outdated hashes again, then extract missing features.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from core.dataset import FolderIdentity
from core.errors import IgSearchError, StoreError
from core.service.logs import OnceLogger
from indexer.account_queue import AccountQueue
from indexer.feature_backlog import FeatureBacklog
from indexer.ports import IndexerMeter, IndexerStore, PhotoReader
from indexer.scan_progress import CHANGES, ScanProgress
from indexer.scanning.account_scan import ACCOUNTS_AT_A_TIME, AccountScan, ScanFindings, ScanLimits, ScanOptions
from indexer.scanning.listing import Listing, list_dataset, list_root
from indexer.scanning.removal import MissingFiles, remove_missing
from indexer.scanning.task_pool import TaskPool
from indexer.scanning.write_batch import Decision, FileOutcome
from indexer.schedule import Schedule
from indexer.watching.change_set import Changes

FRESH_FILES = 64
"""Files per scan of fresh accounts: 1 s of work, so that a new photo among many others is found soon."""
LEAST_WORK_SECONDS = 1.0
"""Shortest time of less urgent work, so that it makes progress beside a steady flow of new files."""
MISSING_SECONDS = 2.0
"""Time for which a file must have been missing, beyond the settling time: if it was moved, its new place is known by
then."""
RECENT_TIMES = 10
"""A change is recent for this many times the settling time plus one second."""

logger = logging.getLogger(__name__)


class ChangeSource(Protocol):
    """Source of changes below the dataset."""

    @property
    def identity(self) -> FolderIdentity | None:
        """The identity of the dataset folder; None while it does not exist."""

    def take(self) -> Changes: ...


class WorkLoop:
    """The work loop of a daemon: it selects and does the next piece of work."""

    def __init__(
        self,
        options: ScanOptions,
        settle_seconds: float,
        *,
        store: IndexerStore,
        reader: PhotoReader,
        pool: TaskPool,
        changes: ChangeSource,
        meter: IndexerMeter,
        schedule: Schedule,
    ) -> None:
        self._options = options
        self._settle_seconds = settle_seconds
        self._store = store
        self._reader = reader
        self._pool = pool
        self._changes = changes
        self._meter = meter
        self._schedule = schedule
        self._queue = AccountQueue()
        self._progress = ScanProgress()
        self._missing = MissingFiles()
        self._faults = OnceLogger(logger)
        self._opted_out: frozenset[str] = frozenset()
        self._backlog = self._new_backlog()

    @property
    def is_scanning(self) -> bool:
        return self._progress.is_scanning

    @property
    def doubt(self) -> str | None:
        """The sentence about a suspicious number of missing files; None if there is no doubt."""
        return self._missing.doubt

    @property
    def waiting(self) -> int:
        """The number of accounts that are to be scanned."""
        return len(self._queue)

    def idle_seconds(self, longest: float) -> float:
        """Return the seconds until something is due, at most `longest`."""
        due = self._queue.next_due
        return longest if due is None else min(longest, max(0.0, due - time.monotonic()))

    @property
    def lag_seconds(self) -> float:
        return round(self._queue.lag(time.monotonic()), 1)

    def request_scan(self, reason: str, *, is_asked: bool = False) -> None:
        """Reconcile everything as soon as possible; if a person asked, also retry files whose fault may have passed."""
        self._progress.request(reason, is_asked=is_asked)

    async def take(self) -> bool:
        """Do the most urgent piece of work; return whether there was any.

        Raises PathError if there is no dataset, StoreError if the database fails, IndexerBusy if another indexer took
        the lock; the work then remains to be done.
        """
        now = time.monotonic()
        if self._take_changes():
            await self._report_root()
        await self._heed_opt_outs()
        if self._progress.requested and not self._progress.is_scanning:
            await self._begin_scan(now)
        elif due := self._queue.take_due(now):
            await self._scan(due, ScanLimits(files=FRESH_FILES, is_over=self._until_due(now), takes_outdated=False))
        elif waiting := self._queue.take_waiting(ACCOUNTS_AT_A_TIME):
            await self._scan(waiting, ScanLimits(is_over=self._until_due(now), takes_outdated=False))
        elif gone := self._missing.believed_removed(now - self._removal_seconds):
            await self._remove(gone)
        elif self._progress.is_scanning and self._is_scanned(now):
            await self._finish_scan(now)
        elif outdated := self._queue.first_outdated(ACCOUNTS_AT_A_TIME):
            await self._scan(outdated, ScanLimits(is_over=self._until_anything_else(now)))
        elif not self._backlog.is_at_end:
            await self._extract_features(self._until_anything_else(now))
        else:
            return False
        return True

    def _take_changes(self) -> bool:
        """Queue the accounts that changed; return whether the dataset folder itself changed."""
        changes = self._changes.take()
        due = time.monotonic() + self._settle_seconds
        for username in changes.usernames:
            self._queue.add_fresh(username, due)
        if changes.everything:
            self.request_scan(changes.everything)
        return changes.is_root_changed

    async def _report_root(self) -> None:
        """Log faults in the dataset folder itself that a person should fix."""
        root = await asyncio.to_thread(list_root, self._options.dataset, self._opted_out)
        self._faults.warn(root.faults)

    async def _heed_opt_outs(self) -> None:
        """Read the accounts that must not be indexed; queue accounts that were forgotten, or allowed again.

        While the database is unavailable the last list applies: writing checks the opt-outs once more.
        """
        try:
            opted_out = await self._store.list_opted_out()
        except StoreError:
            return
        if changed := opted_out ^ self._opted_out:
            self._opted_out = opted_out
            for username in changed:
                self._queue.add_fresh(username, time.monotonic())
            await self._report_root()

    def _until_due(self, began: float) -> Callable[[], bool]:
        """Return a function that tells whether a fresh account is due, once the work had its shortest time."""

        def is_over() -> bool:
            now = time.monotonic()
            if now < began + LEAST_WORK_SECONDS:
                return False
            self._take_changes()
            return self._queue.next_due is not None and self._queue.next_due <= now

        return is_over

    def _until_anything_else(self, began: float) -> Callable[[], bool]:
        is_due = self._until_due(began)
        return lambda: is_due() or self._queue.is_anyone_waiting or self._progress.requested is not None

    async def _begin_scan(self, now: float) -> None:
        """Queue every account, on disk or on record."""
        root = await asyncio.to_thread(list_root, self._options.dataset, self._opted_out)
        usernames = sorted({*root.folders, *await self._store.list_usernames()})
        logger.info("full rescan (%s): %d accounts", self._progress.requested, len(usernames))
        self._faults.warn(root.faults)
        self._progress.begin(usernames, root, now)
        self._queue.add_waiting(usernames, now)
        self._backlog = self._new_backlog()

    async def _scan(self, usernames: list[str], limits: ScanLimits) -> None:
        """Scan accounts and queue the unfinished ones; if the scan fails, all of them stay at the head of the queue."""
        began = time.monotonic()
        scan = AccountScan(self._scan_options(), store=self._store, reader=self._reader, pool=self._pool)
        try:
            listing = await asyncio.to_thread(self._list, usernames)
            async with aclosing(scan.run(listing, usernames, limits)) as decisions:
                async for decision in decisions:
                    self._count(decision)
        except IgSearchError:
            self._queue.add_first(usernames, began)
            raise
        now = time.monotonic()
        self._queue_leftovers(usernames, scan.findings, limits, now)
        self._missing.note(scan.findings, now)
        self._progress.scanned(usernames, listing, scan.findings, now)
        self._faults.warn(listing.faults)
        self._log_changes(usernames, scan.findings, now - began)
        recorded = (await self._store.changes.read_checkpoint()).images if self._missing.images else 0
        self._missing.judge(recorded)

    def _list(self, usernames: list[str]) -> Listing:
        since = time.time_ns() - round(RECENT_TIMES * (self._settle_seconds + 1) * 1e9)
        return list_dataset(self._options.dataset, usernames, opted_out=self._opted_out, recent_since=since)

    def _count(self, decision: Decision) -> None:
        """Count a recorded change."""
        if decision.change is not None and decision.outcome is not FileOutcome.UNCHANGED:
            self._meter.filed(decision.outcome.value)

    def _queue_leftovers(self, usernames: list[str], findings: ScanFindings, limits: ScanLimits, now: float) -> None:
        finished = set(usernames).difference(findings.unfinished)
        self._queue.discard(finished)
        self._queue.add_first(findings.unfinished, now)
        for username, seconds in findings.unsettled.items():
            self._queue.add_fresh(username, now + seconds)
        if limits.takes_outdated:
            self._queue.discard_outdated(finished)
        else:
            self._queue.add_outdated(findings.outdated)
        if findings.counts[FileOutcome.ADDED] or findings.counts[FileOutcome.UPDATED]:
            self._backlog.is_at_end = False

    @property
    def _removal_seconds(self) -> float:
        return self._settle_seconds + MISSING_SECONDS

    async def _remove(self, paths: list[bytes]) -> None:
        """Check a second time, and remove the records of files that are still missing."""
        before = (await self._store.changes.read_checkpoint()).images
        await remove_missing(paths, self._options.dataset, self._changes.identity, self._store)
        self._missing.discard(paths)
        if images := before - (await self._store.changes.read_checkpoint()).images:
            self._progress.removed(images)
            self._meter.filed("removed", images)
            logger.info("removed %d photos whose files are gone", images)

    def _is_scanned(self, now: float) -> bool:
        """Tell whether every account was scanned, and missing files were decided about."""
        scanned_at = self._progress.scanned_at
        if scanned_at is None:
            return False
        is_decided = bool(self.doubt) or not self._missing.since(scanned_at)
        return is_decided or now > scanned_at + 2 * self._removal_seconds

    async def _finish_scan(self, now: float) -> None:
        stats = await self._store.statuses.read_stats()
        report = self._progress.report(images=stats.images, unreadable=stats.unreadable, now=now)
        await self._store.statuses.note_scan(report, self._options.clock())
        self._progress.end()
        following = self._schedule.next_run
        logger.info(
            "full rescan (%s) done; since the previous one: %s; %d accounts have unsettled files; next %s",
            self._progress.reason,
            report,
            len(self._queue),
            f"{following:%Y-%m-%d %H:%M:%S %Z}" if following else "not planned",
        )

    async def _extract_features(self, is_over: Callable[[], bool]) -> None:
        async with aclosing(self._backlog.run(is_over)) as decisions:
            async for decision in decisions:
                if decision.outcome is FileOutcome.UPDATED:
                    self._meter.features_added()
                else:
                    self._count(decision)

    def _new_backlog(self) -> FeatureBacklog:
        return FeatureBacklog(self._scan_options(), store=self._store, reader=self._reader, pool=self._pool)

    def _scan_options(self) -> ScanOptions:
        return replace(self._options, is_asked=self._progress.is_asked)

    def _log_changes(self, usernames: list[str], findings: ScanFindings, seconds: float) -> None:
        counts = {outcome: findings.counts[outcome] for outcome in CHANGES}
        if changes := ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count):
            subject = usernames[0] if len(usernames) == 1 else f"{len(usernames)} accounts"
            logger.info("%s: %s, in %.1f s", subject, changes, seconds)
