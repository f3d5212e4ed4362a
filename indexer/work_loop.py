"""What the daemon does, turn by turn: what is most urgent, and for no longer than that stays so.

1. AccountScan the accounts where something happened, once their files may lie still; of many files the latest.
2. AccountScan the accounts that wait: the rest of those, and all of them in a full rescan.
3. Remove files that have been missing for a while, by the rules of indexer/scanning/removal.py.
4. Make outdated hashes again, then the features that are missing.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from core.errors import IgSearchError, StoreError
from core.model.records import Checkpoint, RemoveFile
from core.model.statuses import Stats
from indexer.account_queue import AccountQueue
from indexer.feature_backlog import Backlog, FeatureBacklog, FeatureReader
from indexer.full_scan import RecordStore
from indexer.scan_progress import CHANGES, ScanProgress
from indexer.scanning.account_scan import ACCOUNTS_AT_A_TIME, AccountScan, ScanFindings, ScanLimits, ScanOptions
from indexer.scanning.listing import OUTSIDE, list_dataset, list_root
from indexer.scanning.reconciler import FileOutcome, Reader
from indexer.scanning.removal import Missing, still_missing, suspicion
from indexer.scanning.settling import Settling
from indexer.scanning.task_pool import TaskPool
from indexer.scanning.write_batch import WriteBatch

FRESH_FILES = 64
"""Files of a fresh visit: 1 s of work, so that a photo dropped amid many others is found soon."""
LEAST_TURN_SECONDS = 1.0
"""What less urgent work gets at a time, so that it gets on beside a steady trickle of new files."""
PATIENCE_SECONDS = 2.0
"""Beyond settling, how long a file must have been missing: by then its new place is known, if it was moved."""
RECENT_TIMES = 10
"""How many times the seconds that a file has to lie still, and one more, its last change matters."""
REMEDY = (
    "Check that the disk is mounted; if they are gone for good, stop the daemon and run"
    " `igsearch index --remove-missing`."
)
MOST_FAULTS_TOLD = 1_000

logger = logging.getLogger(__name__)


class WholeStore(RecordStore, Backlog, Protocol):
    """The store, as the turns see it."""

    async def checkpoint(self) -> Checkpoint: ...

    async def stats(self) -> Stats: ...


class PhotoReader(Reader, FeatureReader, Protocol):
    """What opens files."""


class Meter(Protocol):
    """What counts what is done."""

    def filed(self, outcome: str, files: int = 1) -> None: ...

    def features_added(self) -> None: ...


class ChangeSource(Protocol):
    """What sees that something happened below the dataset."""

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the dataset folder; None while it is not there."""

    def take(self) -> tuple[set[str], str | None]:
        """Return the accounts where something happened since, and the reason for a full rescan, if there is one."""


class WorkLoop:
    """All that is to be done, for the life of a daemon."""

    def __init__(
        self,
        options: ScanOptions,
        settle_seconds: float,
        *,
        store: WholeStore,
        reader: PhotoReader,
        pool: TaskPool,
        sight: ChangeSource,
        meter: Meter,
        next_scan: Callable[[], datetime | None],
    ) -> None:
        self._options = self._scan_manner = replace(options, settling=Settling(settle_seconds))
        self._settle_seconds = settle_seconds
        self._store = store
        self._reader = reader
        self._pool = pool
        self._sight = sight
        self._meter = meter
        self._next_scan = next_scan
        self._queue = AccountQueue()
        self._missing = Missing()
        self._outdated: set[str] = set()
        self._opted_out: frozenset[str] = frozenset()
        self._backlog = self._new_backlog()
        self._progress = ScanProgress()
        self._wanted: str | None = None
        self._is_asked = False
        self._told: set[str] = set()
        self.doubt: str | None = None
        """Why it cannot be believed that what is missing was removed."""

    @property
    def is_scanning(self) -> bool:
        return self._progress.is_scanning

    @property
    def waiting(self) -> int:
        """How many accounts are to be visited."""
        return len(self._queue)

    def idle_seconds(self, longest: float) -> float:
        """Return for how long nothing is due, at most so long."""
        due = self._queue.next_due
        return longest if due is None else min(longest, max(0.0, due - time.monotonic()))

    @property
    def lag_seconds(self) -> float:
        return round(self._queue.lag(time.monotonic()), 1)

    def rescan(self, reason: str, *, is_asked: bool = False) -> None:
        """Reconcile everything as soon as may be; where a person asked for it, what may pass is tried again."""
        self._wanted = self._wanted or reason
        self._is_asked |= is_asked

    async def take(self) -> bool:
        """Do what is most urgent; return whether there was anything to do.

        Raises PathError where there is no dataset, StoreError when the database fails, IndexerBusy when another indexer
        took the lock; what was to be done is then still to be done.
        """
        now = time.monotonic()
        self._listen()
        await self._heed_opt_outs()
        if self._wanted and not self._progress.is_scanning:
            await self._begin_scan(self._wanted, now)
        elif due := self._queue.take_due(now):
            await self._visit(due, ScanLimits(files=FRESH_FILES, is_over=self._until_due(now), takes_outdated=False))
        elif waiting := self._queue.take_waiting(ACCOUNTS_AT_A_TIME):
            await self._visit(waiting, ScanLimits(is_over=self._until_due(now), takes_outdated=False))
        elif gone := self._believed_gone(now):
            await self._forget(gone)
        elif self._progress.is_scanning and self._is_scanned(now):
            await self._finish_scan(now)
        elif self._outdated:
            some = sorted(self._outdated)[:ACCOUNTS_AT_A_TIME]
            await self._visit(some, ScanLimits(is_over=self._until_anything_else(now)))
        elif not self._backlog.is_at_end:
            await self._backlog.run(self._until_anything_else(now))
        else:
            return False
        return True

    def _listen(self) -> None:
        """Take over what the lookout saw."""
        usernames, reason = self._sight.take()
        due = time.monotonic() + self._settle_seconds
        for username in usernames:
            self._queue.add_fresh(username, due)
        if reason:
            self.rescan(reason)

    async def _heed_opt_outs(self) -> None:
        """Learn whom not to index; an account that was forgotten, or taken back, is looked at soon.

        While the database is away that stays as it was: what is written is looked through once more there.
        """
        try:
            opted_out = await self._store.opted_out()
        except StoreError:
            return
        if changed := opted_out ^ self._opted_out:
            self._opted_out = opted_out
            for username in (OUTSIDE, *changed):
                self._queue.add_fresh(username, time.monotonic())

    def _until_due(self, began: float) -> Callable[[], bool]:
        """Return what tells whether a fresh account is due, once this turn had its least time."""

        def is_over() -> bool:
            now = time.monotonic()
            if now < began + LEAST_TURN_SECONDS:
                return False
            self._listen()
            return self._queue.next_due is not None and self._queue.next_due <= now

        return is_over

    def _until_anything_else(self, began: float) -> Callable[[], bool]:
        is_due = self._until_due(began)
        return lambda: is_due() or self._queue.is_anyone_waiting or self._wanted is not None

    async def _begin_scan(self, reason: str, now: float) -> None:
        """Put every account on the agenda, of the disk and of the record."""
        listing = await asyncio.to_thread(list_root, self._options.root, self._opted_out)
        usernames = sorted({*listing.folders, *await self._store.usernames()})
        logger.info("full rescan (%s): %d accounts", reason, len(usernames))
        self._scan_manner = replace(self._options, is_asked=self._is_asked)
        self._wanted, self._is_asked = None, False
        self._progress.begin(reason, [OUTSIDE, *usernames], now)
        self._queue.add_waiting([OUTSIDE, *usernames], now)
        self._backlog = self._new_backlog()

    async def _visit(self, usernames: list[str], limits: ScanLimits) -> None:
        began = time.monotonic()
        visit = AccountScan(
            self._scan_manner,
            store=self._store,
            reader=self._reader,
            pool=self._pool,
            heard=_ignore,
            filed=self._count_filed,
        )
        try:
            since = time.time_ns() - round(RECENT_TIMES * (self._settle_seconds + 1) * 1e9)
            listing = await asyncio.to_thread(
                list_dataset, self._options.root, usernames, opted_out=self._opted_out, recent_since=since
            )
            findings = await visit.run(listing, usernames, limits)
        except IgSearchError:
            self._queue.add_first(usernames, began)
            raise
        now = time.monotonic()
        self._take_over(usernames, findings, limits, now)
        self._progress.visited(usernames, listing, findings, now)
        self._report_faults(listing.faults)
        self._report_changes(usernames, findings, now - began)
        await self._judge()

    def _take_over(self, usernames: list[str], findings: ScanFindings, limits: ScanLimits, now: float) -> None:
        """Put back on the agenda what a visit left over, and note what it found."""
        self._queue.strike(set(usernames).difference(findings.unfinished))
        self._queue.add_first(findings.unfinished, now)
        for username, seconds in findings.unsettled.items():
            self._queue.add_fresh(username, now + seconds)
        self._missing.note(findings, now)
        if limits.takes_outdated:
            self._outdated -= set(usernames).difference(findings.unfinished)
        else:
            self._outdated |= findings.outdated
        if findings.counts[FileOutcome.ADDED] or findings.counts[FileOutcome.UPDATED]:
            self._backlog.is_at_end = False

    async def _judge(self) -> None:
        """Decide whether what is missing can be believed to be removed."""
        doubt = None
        if missing := self._missing.images:
            recorded = (await self._store.checkpoint()).images
            doubt = suspicion(missing, recorded=recorded, listed=recorded - missing)
        if doubt and not self.doubt:
            logger.warning("dataset suspicious: %s; nothing is removed. %s", doubt, REMEDY)
        elif self.doubt and not doubt:
            logger.warning("the dataset is whole again: removals are believed")
        self.doubt = f"{doubt}; nothing is removed. {REMEDY}" if doubt else None

    def _believed_gone(self, now: float) -> list[bytes]:
        """Return the files that have been missing for long enough, if that can be believed."""
        return [] if self.doubt else self._missing.since(now - self._removal_seconds)

    @property
    def _removal_seconds(self) -> float:
        return self._settle_seconds + PATIENCE_SECONDS

    async def _forget(self, paths: list[bytes]) -> None:
        """Look a second time, and take off the record what is still missing."""
        gone = await asyncio.to_thread(still_missing, self._options.root, self._sight.identity, paths)
        before = (await self._store.checkpoint()).images
        batch = WriteBatch(self._store)
        for path in gone:
            await batch.add(RemoveFile(path))
        await batch.flush()
        self._missing.forget(paths)
        if images := before - (await self._store.checkpoint()).images:
            self._progress.removed(images)
            self._meter.filed("removed", images)
            logger.info("removed %d photos whose files are gone", images)

    def _is_scanned(self, now: float) -> bool:
        """Tell whether every account was visited, and what was missing was decided about."""
        visited_at = self._progress.visited_at
        if visited_at is None:
            return False
        is_decided = bool(self.doubt) or not self._missing.since(visited_at)
        return is_decided or now > visited_at + 2 * self._removal_seconds

    async def _finish_scan(self, now: float) -> None:
        stats = await self._store.stats()
        report = self._progress.report(images=stats.images, unreadable=stats.unreadable, now=now)
        await self._store.note_scan(report, self._options.clock())
        self._progress.end()
        self._scan_manner = self._options
        following = self._next_scan()
        logger.info(
            "full rescan (%s) done; since the one before: %s; %d accounts have files that do not lie still; next %s",
            self._progress.reason,
            report,
            len(self._queue),
            f"{following:%Y-%m-%d %H:%M:%S %Z}" if following else "not planned",
        )

    def _new_backlog(self) -> FeatureBacklog:
        return FeatureBacklog(
            self._scan_manner,
            store=self._store,
            reader=self._reader,
            pool=self._pool,
            heard=_ignore,
            filed=self._count_features,
        )

    def _count_filed(self, outcome: FileOutcome) -> None:
        if outcome is not FileOutcome.UNCHANGED:
            self._meter.filed(outcome.value)

    def _count_features(self, outcome: FileOutcome) -> None:
        if outcome is FileOutcome.UPDATED:
            self._meter.features_added()
        else:
            self._meter.filed(outcome.value)

    def _report_faults(self, faults: Collection[str]) -> None:
        """Log the faults of the dataset that were not logged before."""
        for fault in faults:
            if fault not in self._told:
                logger.warning("%s", fault)
        if len(self._told) > MOST_FAULTS_TOLD:
            self._told.clear()
        self._told.update(faults)

    def _report_changes(self, usernames: list[str], findings: ScanFindings, seconds: float) -> None:
        counts = {outcome: findings.counts[outcome] for outcome in CHANGES}
        if changes := ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count):
            accounts = [username for username in usernames if username != OUTSIDE]
            who = accounts[0] if len(accounts) == 1 else f"{len(accounts)} accounts"
            logger.info("%s: %s, in %.1f s", who, changes, seconds)


def _ignore(_outcome: FileOutcome, _files: int) -> None:
    """Nobody watches a bar here: what changed is logged visit by visit."""
