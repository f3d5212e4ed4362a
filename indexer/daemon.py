"""The daemon: keeps the record true to the disk for as long as it runs.

Turn by turn it does what is most urgent, and for no longer than that stays so:

1. Visit the accounts where something happened, once their files may lie still; of many files the latest.
2. Visit the accounts that wait: the rest of those, and all of them in a full rescan.
3. Forget files that have been missing for a while, by the rules of indexer/removal.py.
4. Make outdated light fingerprints again, then the deep ones that are missing.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import replace
from typing import Protocol

from core.answers import scan_text
from core.errors import IgSearchError, IndexerBusy, PathError, StoreError, Unavailable
from core.model import Checkpoint, DaemonStatus, Forget, Stats
from indexer.agenda import Agenda
from indexer.batch import Batch
from indexer.crew import Crew
from indexer.deepening import Backlog, Deepener, Deepening
from indexer.lookout import Lookout
from indexer.reconciler import Outcome, Reader
from indexer.removal import Missing, still_missing, suspicion
from indexer.rescan import Books
from indexer.schedule import Schedule
from indexer.sweep import list_root, sweep
from indexer.tally import CHANGES, Tally
from indexer.visit import ACCOUNTS_AT_A_TIME, Bounds, Findings, Manner, Visit

FRESH_FILES = 64
"""Files of a fresh visit: 1 s of work, so that a photo dropped amid many others is found soon."""
LEAST_TURN_SECONDS = 1.0
"""What less urgent work gets at a time, so that it gets on beside a steady trickle of new files."""
PATIENCE_SECONDS = 2.0
"""Beyond settling, how long a file must have been missing: by then its new place is known, if it was moved."""
RECENT_NANOSECONDS = 600 * 1_000_000_000
"""How far back a file's last change matters: much longer than it has to lie still."""
PULSE_SECONDS = 2.0
GATHER_SECONDS = 0.1
"""For which more events are awaited when one woke us: unpacking an archive brings thousands a second."""
IDLE_SECONDS = 30.0
"""After which the memory of what opens files is given back; it takes 0.1 s to have it again."""
STATUS_SECONDS = 15.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 3.0
"""Between attempts to reach the database, so that work goes on within 10 s of its return."""
LONGEST_REFUSAL_SECONDS = 20.0
"""The same for a database that answers and refuses, as with a full disk: up to 200 files are read in vain each time."""
STOP_SECONDS = 7.5
"""How long the end may take, of the 10 s that the process has."""
REMEDY = (
    "Check that the disk is mounted; if they are gone for good, stop the daemon and run"
    " `igsearch index --remove-missing`."
)
MOST_FAULTS_TOLD = 1_000

logger = logging.getLogger(__name__)


class DaemonStore(Books, Backlog, Protocol):
    """The store, as the daemon sees it."""

    def writer(self) -> AbstractAsyncContextManager[None]: ...

    async def verify_writer(self) -> None: ...

    async def create_schema(self) -> None: ...

    async def checkpoint(self) -> Checkpoint: ...

    async def stats(self) -> Stats: ...

    async def note_daemon(self, status: DaemonStatus) -> None: ...


class Eyes(Reader, Deepener, Protocol):
    """What opens files."""

    async def release(self) -> None: ...


class Daemon:
    """One life of the daemon, from `run` to `stop`."""

    def __init__(
        self,
        manner: Manner,
        settle_seconds: float,
        *,
        store: DaemonStore,
        reader: Eyes,
        schedule: Schedule,
        notify: Callable[[str], None],
    ) -> None:
        self._manner = manner
        self._settle_seconds = settle_seconds
        self._store = store
        self._reader = reader
        self._schedule = schedule
        self._notify = notify
        self._crew = Crew(manner.workers)
        self._awake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lookout = Lookout(manner.root, self._wake_from_any_thread)
        self._agenda = Agenda()
        self._missing = Missing()
        self._outdated: set[str] = set()
        self._deepening = self._new_deepening()
        self._tally = Tally()
        self._wanted: str | None = None
        self._doubt: str | None = None
        self._trouble: str | None = None
        self._failures = 0
        self._busy_at = time.monotonic()
        self._told: set[str] = set()
        self._patience: asyncio.Timeout | None = None

    def stop(self) -> None:
        """Finish what is in hand, for a while, and end."""
        self._crew.stop()
        self._awake.set()
        if self._patience:
            self._patience.reschedule(asyncio.get_running_loop().time() + STOP_SECONDS)

    def rescan(self, reason: str) -> None:
        """Reconcile everything as soon as may be."""
        self._wanted = self._wanted or reason
        self._awake.set()

    async def run(self) -> None:
        """Keep the record true until `stop`; raises IndexerBusy where another indexer is at work, and StoreError
        where the database is there but refuses us.
        """
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as self._patience, AsyncExitStack() as stack:
                if await self._take_lock(stack):
                    stack.push_async_callback(self._say_goodbye)
                    await self._live()
        except TimeoutError:
            logger.warning("stopped before all was written: the next start finds it")

    async def _take_lock(self, stack: AsyncExitStack) -> bool:
        """Become the one writer, and make the tables; wait for a database that is away. False: stopped meanwhile."""
        while not self._crew.is_stopped:
            try:
                await stack.enter_async_context(self._store.writer())
                await self._store.create_schema()
            except Unavailable as error:
                await stack.aclose()
                await self._pause(error)
            else:
                return True
        return False

    async def _live(self) -> None:
        self._schedule.start(lambda: self.rescan("scheduled"))
        beside = [asyncio.create_task(self._look()), asyncio.create_task(self._tell())]
        turns = asyncio.create_task(self._take_turns())
        try:
            done, _ = await asyncio.wait([turns, *beside], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (turns, *beside):
                task.cancel()
            await asyncio.gather(turns, *beside, return_exceptions=True)
            self._schedule.stop()
            await self._lookout.stop()

    async def _look(self) -> None:
        while True:
            await self._lookout.look()
            self._notify("WATCHDOG=1")
            await asyncio.sleep(PULSE_SECONDS)

    async def _tell(self) -> None:
        """Keep in the store, and tell the service manager, how things are."""
        self._notify("READY=1")
        told: DaemonStatus | None = None
        while True:
            status = self._status()
            if told is None or (told.state, told.remark) != (status.state, status.remark) or _is_old(told, status):
                self._notify(f"STATUS={status.state}, {status.waiting} accounts waiting. {status.remark or ''}")
                with suppress(StoreError):
                    await self._store.note_daemon(status)
                    told = status
            await asyncio.sleep(PULSE_SECONDS)

    async def _say_goodbye(self) -> None:
        self._notify("STOPPING=1")
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._store.note_daemon(replace(self._status(), state="stopped", remark=None))

    def _status(self) -> DaemonStatus:
        doubt = self._lookout.fault or self._doubt
        return DaemonStatus(
            state="root suspicious" if doubt else "scanning" if self._tally.is_scanning else "watching",
            remark=doubt or self._trouble or self._lookout.limits,
            waiting=len(self._agenda),
            lag_seconds=round(self._agenda.lag(time.monotonic()), 1),
            next_scan=self._schedule.next_run,
            seen_at=self._manner.clock(),
        )

    async def _take_turns(self) -> None:
        while not self._crew.is_stopped:
            self._awake.clear()
            try:
                if self._lookout.identity is not None and await self._turn():
                    self._busy_at = time.monotonic()
                else:
                    await self._rest()
                self._recovered()
            except (StoreError, IndexerBusy, PathError) as error:
                await self._pause(error)
                await self._until_store_answers()

    async def _turn(self) -> bool:
        """Do what is most urgent; return whether there was anything to do."""
        now = time.monotonic()
        self._listen()
        if self._wanted and not self._tally.is_scanning:
            await self._begin_scan(self._wanted, now)
        elif due := self._agenda.take_due(now):
            await self._visit(due, Bounds(files=FRESH_FILES, is_over=self._until_due(now), takes_outdated=False))
        elif waiting := self._agenda.take_waiting(ACCOUNTS_AT_A_TIME):
            await self._visit(waiting, Bounds(is_over=self._until_due(now), takes_outdated=False))
        elif gone := self._believed_gone(now):
            await self._forget(gone)
        elif self._tally.is_scanning and self._is_scanned(now):
            await self._finish_scan(now)
        elif self._outdated:
            some = sorted(self._outdated)[:ACCOUNTS_AT_A_TIME]
            await self._visit(some, Bounds(is_over=self._until_anything_else(now)))
        elif not self._deepening.is_at_end:
            await self._deepening.run(self._until_anything_else(now))
        else:
            return False
        return True

    def _listen(self) -> None:
        """Take over what the lookout saw."""
        usernames, reason = self._lookout.take()
        due = time.monotonic() + self._settle_seconds
        for username in usernames:
            self._agenda.add_fresh(username, due)
        if reason:
            self.rescan(reason)

    def _until_due(self, began: float) -> Callable[[], bool]:
        """Return what tells whether a fresh account is due, once this turn had its least time."""

        def is_over() -> bool:
            now = time.monotonic()
            if now < began + LEAST_TURN_SECONDS:
                return False
            self._listen()
            return self._agenda.next_due is not None and self._agenda.next_due <= now

        return is_over

    def _until_anything_else(self, began: float) -> Callable[[], bool]:
        is_due = self._until_due(began)
        return lambda: is_due() or self._agenda.is_anyone_waiting or self._wanted is not None

    async def _begin_scan(self, reason: str, now: float) -> None:
        """Put every account on the agenda, of the disk and of the record."""
        listing = await asyncio.to_thread(list_root, self._manner.root)
        usernames = sorted({*listing.folders, *await self._store.usernames()})
        logger.info("full rescan (%s): %d accounts", reason, len(usernames))
        self._report_faults(listing.faults)
        self._wanted = None
        self._tally.begin(reason, usernames, now)
        self._tally.ignored_outside(listing.ignored)
        self._agenda.add_waiting(usernames, now)
        self._deepening = self._new_deepening()

    async def _visit(self, usernames: list[str], bounds: Bounds) -> None:
        began = time.monotonic()
        visit = Visit(self._manner, store=self._store, reader=self._reader, crew=self._crew, heard=_ignore)
        try:
            since = time.time_ns() - RECENT_NANOSECONDS
            listing = await asyncio.to_thread(sweep, self._manner.root, usernames, recent_since=since)
            findings = await visit.run(listing, usernames, bounds)
        except IgSearchError:
            self._agenda.add_first(usernames, began)
            raise
        now = time.monotonic()
        self._take_over(usernames, findings, bounds, now)
        self._tally.visited(usernames, listing, findings, now)
        self._report_faults(listing.faults)
        self._report_changes(usernames, findings, now - began)
        await self._judge()

    def _take_over(self, usernames: list[str], findings: Findings, bounds: Bounds, now: float) -> None:
        """Put back on the agenda what a visit left over, and note what it found."""
        self._agenda.strike(set(usernames).difference(findings.unfinished))
        self._agenda.add_first(findings.unfinished, now)
        for username, seconds in findings.unsettled.items():
            self._agenda.add_fresh(username, now + seconds)
        self._missing.note(findings, now)
        if bounds.takes_outdated:
            self._outdated -= set(usernames).difference(findings.unfinished)
        else:
            self._outdated |= findings.outdated
        if findings.counts[Outcome.ADDED] or findings.counts[Outcome.UPDATED]:
            self._deepening.is_at_end = False

    async def _judge(self) -> None:
        """Decide whether what is missing can be believed to be removed."""
        doubt = None
        if missing := self._missing.images:
            recorded = (await self._store.checkpoint()).images
            doubt = suspicion(missing, recorded=recorded, listed=recorded - missing)
        if doubt and not self._doubt:
            logger.warning("root suspicious: %s; nothing is removed. %s", doubt, REMEDY)
        elif self._doubt and not doubt:
            logger.warning("the dataset is whole again: removals are believed")
        self._doubt = f"{doubt}; nothing is removed. {REMEDY}" if doubt else None

    def _believed_gone(self, now: float) -> list[bytes]:
        """Return the files that have been missing for long enough, if that can be believed."""
        return [] if self._doubt else self._missing.since(now - self._removal_seconds)

    @property
    def _removal_seconds(self) -> float:
        return self._settle_seconds + PATIENCE_SECONDS

    async def _forget(self, paths: list[bytes]) -> None:
        """Look a second time, and take off the record what is still missing."""
        assert self._lookout.identity is not None  # noqa: S101 - no turn is taken without a dataset
        gone = await asyncio.to_thread(still_missing, self._manner.root, self._lookout.identity, paths)
        before = (await self._store.checkpoint()).images
        batch = Batch(self._store)
        for path in gone:
            await batch.add(Forget(path))
        await batch.flush()
        self._missing.forget(paths)
        if images := before - (await self._store.checkpoint()).images:
            self._tally.removed(images)
            logger.info("removed %d photos whose files are gone", images)

    def _is_scanned(self, now: float) -> bool:
        """Tell whether every account was visited, and what was missing was decided about."""
        visited_at = self._tally.visited_at
        if visited_at is None:
            return False
        is_decided = bool(self._doubt) or not self._missing.since(visited_at)
        return is_decided or now > visited_at + 2 * self._removal_seconds

    async def _finish_scan(self, now: float) -> None:
        stats = await self._store.stats()
        report = self._tally.report(images=stats.images, unreadable=stats.unreadable, now=now)
        await self._store.note_scan(report, self._manner.clock())
        self._tally.end()
        logger.info(
            "full rescan (%s) done: %s; next %s", self._tally.reason, scan_text(report), self._schedule.next_run
        )

    def _new_deepening(self) -> Deepening:
        return Deepening(self._manner, store=self._store, reader=self._reader, crew=self._crew, heard=_ignore)

    async def _rest(self) -> None:
        """Wait until something happens or is due."""
        now = time.monotonic()
        if now > self._busy_at + IDLE_SECONDS:
            await self._reader.release()
        seconds = PULSE_SECONDS
        if self._agenda.next_due is not None:
            seconds = min(seconds, max(0.0, self._agenda.next_due - now))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), seconds)
            await self._crew.rest(GATHER_SECONDS)

    async def _pause(self, error: IgSearchError) -> None:
        """Say once what is wrong, and wait a little longer each time."""
        if str(error) != self._trouble:
            logger.warning("%s Trying again; no file is forgotten", error)
            self._trouble, self._failures = str(error), 0
        self._failures += 1
        longest = LONGEST_PAUSE_SECONDS if isinstance(error, Unavailable) else LONGEST_REFUSAL_SECONDS
        await self._crew.rest(min(FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10), longest))

    async def _until_store_answers(self) -> None:
        """Ask the store, and for the writer's lock, until both are there again: no file is read in vain."""
        while not self._crew.is_stopped:
            try:
                await self._store.verify_writer()
                await self._store.checkpoint()
            except (StoreError, IndexerBusy) as error:
                await self._pause(error)
            else:
                return

    def _recovered(self) -> None:
        if self._trouble:
            logger.warning("all is well again")
        self._trouble = None

    def _report_faults(self, faults: Collection[str]) -> None:
        """Log the faults of the dataset that were not logged before."""
        for fault in faults:
            if fault not in self._told:
                logger.warning("%s", fault)
        if len(self._told) > MOST_FAULTS_TOLD:
            self._told.clear()
        self._told.update(faults)

    def _report_changes(self, usernames: list[str], findings: Findings, seconds: float) -> None:
        counts = {outcome: findings.counts[outcome] for outcome in CHANGES}
        if changes := ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count):
            who = usernames[0] if len(usernames) == 1 else f"{len(usernames)} accounts"
            logger.info("%s: %s, in %.1f s", who, changes, seconds)

    def _wake_from_any_thread(self) -> None:
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._awake.set)


def _is_old(told: DaemonStatus, status: DaemonStatus) -> bool:
    return (status.seen_at - told.seen_at).total_seconds() >= STATUS_SECONDS


def _ignore(_outcome: Outcome, _files: int) -> None:
    """Nobody watches a bar here: what changed is logged visit by visit."""
