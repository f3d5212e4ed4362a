"""What the daemon does, one piece of work after the other: the most urgent, and for no longer than it stays so.

1. Scan the accounts where something happened, once their files may lie still; of many files the latest.
2. Scan the accounts that wait: the rest of those, and all of them in a full scan.
3. Remove files that have been missing for a while, by the rules of indexer/scanning/removal.py.
4. Make outdated hashes again, then the features that are missing.
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
"""Files of a fresh scan: 1 s of work, so that a photo dropped amid many others is found soon."""
LEAST_WORK_SECONDS = 1.0
"""What less urgent work gets at a time, so that it gets on beside a steady trickle of new files."""
PATIENCE_SECONDS = 2.0
"""Beyond settling, how long a file must have been missing: by then its new place is known, if it was moved."""
RECENT_TIMES = 10
"""How many times the seconds that a file has to lie still, and one more, its last change matters."""

logger = logging.getLogger(__name__)


class ChangeSource(Protocol):
    """Tells that something happened below the dataset."""

    @property
    def identity(self) -> FolderIdentity | None:
        """Which folder the dataset is; None while it is not there."""

    def take(self) -> Changes: ...


class WorkLoop:
    """All that is to be done, for the life of a daemon."""

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
        """Why it cannot be believed that what is missing was removed."""
        return self._missing.doubt

    @property
    def waiting(self) -> int:
        """How many accounts are to be scanned."""
        return len(self._queue)

    def idle_seconds(self, longest: float) -> float:
        """Return for how long nothing is due, at most so long."""
        due = self._queue.next_due
        return longest if due is None else min(longest, max(0.0, due - time.monotonic()))

    @property
    def lag_seconds(self) -> float:
        return round(self._queue.lag(time.monotonic()), 1)

    def request_scan(self, reason: str, *, is_asked: bool = False) -> None:
        """Reconcile everything as soon as may be; where a person asked for it, what may pass is tried again."""
        self._progress.request(reason, is_asked=is_asked)

    async def take(self) -> bool:
        """Do what is most urgent; return whether there was anything to do.

        Raises PathError where there is no dataset, StoreError when the database fails, IndexerBusy when another indexer
        took the lock; what was to be done is then still to be done.
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
        """Queue the accounts where something happened; return whether something did in the dataset folder itself."""
        changes = self._changes.take()
        due = time.monotonic() + self._settle_seconds
        for username in changes.usernames:
            self._queue.add_fresh(username, due)
        if changes.everything:
            self.request_scan(changes.everything)
        return changes.is_root_changed

    async def _report_root(self) -> None:
        """Log what a person should put right in the dataset folder itself."""
        root = await asyncio.to_thread(list_root, self._options.dataset, self._opted_out)
        self._faults.warn(root.faults)

    async def _heed_opt_outs(self) -> None:
        """Learn whom not to index; an account that was forgotten, or taken back, is looked at soon.

        While the database is away that stays as it was: what is written is looked through once more there.
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
        """Return what tells whether a fresh account is due, once this work had its least time."""

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
        """Queue every account, of the disk and of the record."""
        root = await asyncio.to_thread(list_root, self._options.dataset, self._opted_out)
        usernames = sorted({*root.folders, *await self._store.list_usernames()})
        logger.info("full scan (%s): %d accounts", self._progress.requested, len(usernames))
        self._faults.warn(root.faults)
        self._progress.begin(usernames, root, now)
        self._queue.add_waiting(usernames, now)
        self._backlog = self._new_backlog()

    async def _scan(self, usernames: list[str], limits: ScanLimits) -> None:
        """Scan accounts, and queue what is left over; where that fails they stay first in line."""
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
        """Count what came on record."""
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
        return self._settle_seconds + PATIENCE_SECONDS

    async def _remove(self, paths: list[bytes]) -> None:
        """Look a second time, and take off the record what is still missing."""
        before = (await self._store.changes.read_checkpoint()).images
        await remove_missing(paths, self._options.dataset, self._changes.identity, self._store)
        self._missing.discard(paths)
        if images := before - (await self._store.changes.read_checkpoint()).images:
            self._progress.removed(images)
            self._meter.filed("removed", images)
            logger.info("removed %d photos whose files are gone", images)

    def _is_scanned(self, now: float) -> bool:
        """Tell whether every account was scanned, and what was missing was decided about."""
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
            "full scan (%s) done; since the one before: %s; %d accounts have files that do not lie still; next %s",
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
            who = usernames[0] if len(usernames) == 1 else f"{len(usernames)} accounts"
            logger.info("%s: %s, in %.1f s", who, changes, seconds)
