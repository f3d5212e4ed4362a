"""The daemon: it keeps the record in line with the disk for as long as it runs.

It runs the work loop (indexer/work_loop.py), checks for changes that no event reports
(indexer/watching/change_detector.py), waits while the database is unavailable, and reports its status.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

from core.errors import IgSearchError, IndexerBusy, NotReady, NoWorkers, PathError, StoreError, Unavailable
from core.model.statuses import DaemonStatus
from core.service.backoff import Backoff
from core.service.heartbeat import Heartbeat
from core.service.memory import give_back
from indexer.ports import IndexerMeter, IndexerStore, PhotoReader
from indexer.scanning.account_scan import ScanOptions
from indexer.scanning.settling import Settling
from indexer.scanning.task_pool import TaskPool
from indexer.schedule import Schedule
from indexer.watching.change_detector import ChangeDetector
from indexer.work_loop import WorkLoop

LOOK_SECONDS = 2.0
"""Interval at which the daemon checks for changes that no event reports, and takes its own status."""
GATHER_SECONDS = 0.1
"""Time in which further events are collected after the first: unpacking an archive causes thousands per second."""
IDLE_SECONDS = 30.0
"""Idle time after which the worker processes are stopped to free their memory; starting them again takes 0.1 s."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 3.0
"""Pauses between attempts to reach the database: work resumes within 10 s of its return."""
LONGEST_REFUSAL_SECONDS = 20.0
"""Longest pause if the database answers but refuses, as with a full disk: each attempt reads up to 200 files in
vain."""
STOP_SECONDS = 7.5
"""Longest duration of a stop, of the 10 s that the process has."""
LAST_REPORT_SECONDS = 1.0
"""Longest duration of the last status report."""

logger = logging.getLogger(__name__)


class Daemon:
    """The daemon, from `run` to `stop`; `notify` passes its state to a service manager."""

    def __init__(
        self,
        options: ScanOptions,
        settle_seconds: float,
        *,
        store: IndexerStore,
        reader: PhotoReader,
        schedule: Schedule,
        meter: IndexerMeter,
        notify: Callable[[str], None],
    ) -> None:
        self._clock = options.clock
        self._store = store
        self._reader = reader
        self._schedule = schedule
        self._meter = meter
        self._notify = notify
        self._pool = TaskPool(options.workers)
        self._awake = asyncio.Event()
        self._detector = ChangeDetector(options.dataset, self._wake_from_any_thread)
        self._work = WorkLoop(
            replace(options, settling=Settling(settle_seconds)),
            settle_seconds,
            store=store,
            reader=reader,
            pool=self._pool,
            changes=self._detector,
            meter=meter,
            schedule=schedule,
        )
        self._heartbeat = Heartbeat(
            self._status,
            measure=meter.daemon_is,
            report=self._report,
            look_seconds=LOOK_SECONDS,
            last_report_seconds=LAST_REPORT_SECONDS,
        )
        self._outage = Outage(self._pool)
        self._busy_at = time.monotonic()
        self._stop_limit: asyncio.Timeout | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Finish the work in progress, within a time limit, and end."""
        self._pool.stop()
        self._awake.set()
        if self._stop_limit:
            self._stop_limit.reschedule(asyncio.get_running_loop().time() + STOP_SECONDS)

    def request_scan(self, reason: str, *, is_asked: bool = False) -> None:
        """Reconcile everything as soon as possible; if a person asked, also retry files whose fault may have passed."""
        self._work.request_scan(reason, is_asked=is_asked)
        self._awake.set()

    async def run(self) -> None:
        """Keep the record in line with the disk until `stop`.

        Raises IndexerBusy if another indexer is running, and StoreError if the database answers but refuses.
        """
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as self._stop_limit, AsyncExitStack() as stack:
                if await self._take_lock(stack):
                    async with self._heartbeat.beating():
                        await self._live()
        except TimeoutError:
            logger.warning("stopped before everything was written: the next start finds the remaining changes")
        finally:
            self._stop_limit = None
            logger.info("the daemon ended")

    async def _take_lock(self, stack: AsyncExitStack) -> bool:
        """Take the writer's lock and create the tables; wait while the database is unavailable or being set up.

        Return False if the daemon was stopped meanwhile.
        """
        was_made = True  # the process that has just created the tables may still hold the lock
        while not self._pool.is_stopped:
            try:
                await stack.enter_async_context(self._store.hold_lock())
                await self._store.schema.create()
            except (Unavailable, NotReady, IndexerBusy) as error:
                await stack.aclose()
                is_made = isinstance(error, IndexerBusy) and await self._is_set_up()
                if is_made and was_made:
                    raise
                was_made = is_made
                self._notify(f"STATUS={error}")
                await self._outage.wait(error)
            else:
                return True
        return False

    async def _is_set_up(self) -> bool:
        """Tell whether the tables exist: until then the lock's holder is creating them."""
        try:
            return await self._store.schema.is_current()
        except StoreError:
            return False

    async def _live(self) -> None:
        self.request_scan("start", is_asked=True)
        self._schedule.start(lambda: self.request_scan("scheduled"))
        counting = self._meter.keep_counting(self._store.statuses.read_stats)
        background = [asyncio.create_task(work) for work in (self._look(), counting)]
        working = asyncio.create_task(self._keep_working())
        try:
            done, _ = await asyncio.wait([working, *background], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (working, *background):
                task.cancel()
            await asyncio.gather(working, *background, return_exceptions=True)
            self._schedule.stop()
            await self._detector.stop()

    async def _look(self) -> None:
        while True:
            await self._detector.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _report(self, status: DaemonStatus) -> None:
        """Report the status to the service manager and the store; raises StoreError."""
        if status.state != "stopped":
            self._notify(f"STATUS={status.state}, {status.waiting} accounts waiting. {status.remark or ''}")
        await self._store.statuses.note_daemon(status)

    def _status(self) -> DaemonStatus:
        doubt = self._detector.fault or self._work.doubt
        return DaemonStatus(
            state="dataset suspicious" if doubt else "scanning" if self._work.is_scanning else "watching",
            remark=doubt or self._outage.sentence or self._detector.limits,
            waiting=self._work.waiting,
            lag_seconds=self._work.lag_seconds,
            next_scan=self._schedule.next_run,
            seen_at=self._clock(),
            emitter=self._detector.emitter,
            has_workers=self._reader.is_alive,
        )

    async def _keep_working(self) -> None:
        while not self._pool.is_stopped:
            self._awake.clear()
            try:
                if self._detector.identity is None:
                    await self._wait(LOOK_SECONDS)
                elif await self._work.take():
                    self._busy_at = time.monotonic()
                    self._outage.end()
                else:
                    await self._wait(self._work.idle_seconds(LOOK_SECONDS))
                    self._outage.end()
            except (StoreError, IndexerBusy, PathError, NoWorkers) as error:
                await self._outage.wait(error)
                await self._until_store_answers()

    async def _wait(self, seconds: float) -> None:
        """Wait until something happens, at most for some seconds."""
        if time.monotonic() > self._busy_at + IDLE_SECONDS:
            self._busy_at = math.inf
            await self._reader.release()
            give_back()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), seconds)
            await self._pool.rest(GATHER_SECONDS)

    async def _until_store_answers(self) -> None:
        """Wait until the store answers and the writer's lock is held again, so that no file is read in vain.

        It may be another database by then, or an empty one, so everything is rescanned.
        """
        while not self._pool.is_stopped:
            try:
                await self._store.verify_lock()
                await self._store.schema.create()
            except (StoreError, IndexerBusy) as error:
                await self._outage.wait(error)
            else:
                self.request_scan("after an outage")
                return

    def _wake_from_any_thread(self) -> None:
        if self._loop:
            with suppress(RuntimeError):  # the loop is closed: there is nothing to wake
                self._loop.call_soon_threadsafe(self._awake.set)


class Outage:
    """The error that keeps the daemon from working: it is logged once, and waited for, a little longer each time."""

    def __init__(self, pool: TaskPool) -> None:
        self._pool = pool
        self._backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self.sentence: str | None = None

    async def wait(self, error: IgSearchError) -> None:
        """Wait before the next attempt, or until stopped."""
        if str(error) != self.sentence:
            logger.warning("%s Retrying; no change is lost", error)
            is_coming = isinstance(error, (Unavailable, NotReady))
            longest = LONGEST_PAUSE_SECONDS if is_coming else LONGEST_REFUSAL_SECONDS
            self.sentence, self._backoff = str(error), Backoff(FIRST_PAUSE_SECONDS, longest)
        await self._pool.rest(self._backoff.next())

    def end(self) -> None:
        """End the outage, because work succeeded again."""
        if self.sentence:
            logger.warning("the outage is over")
        self.sentence = None
