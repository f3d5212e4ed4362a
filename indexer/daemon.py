"""The daemon: keeps the record in line with the disk for as long as it runs.

It takes the work loop's next piece of work (indexer/work_loop.py), looks for changes that no event tells of
(indexer/watching/change_detector.py), waits for a database that is away, and reports how it is.
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
"""How often the daemon looks for changes that no event tells of, and at itself."""
GATHER_SECONDS = 0.1
"""For which more events are awaited when one woke us: unpacking an archive brings thousands a second."""
IDLE_SECONDS = 30.0
"""After which the memory of what opens files is given back; it takes 0.1 s to have it again."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 3.0
"""Between attempts to reach the database, so that work goes on within 10 s of its return."""
LONGEST_REFUSAL_SECONDS = 20.0
"""The same for a database that answers and refuses, as with a full disk: up to 200 files are read in vain each time."""
STOP_SECONDS = 7.5
"""How long the end may take, of the 10 s that the process has."""
GOODBYE_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Daemon:
    """One life of the daemon, from `run` to `stop`; `notify` hears how it is, for a service manager."""

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
            goodbye_seconds=GOODBYE_SECONDS,
        )
        self._trouble = Trouble(self._pool)
        self._busy_at = time.monotonic()
        self._patience: asyncio.Timeout | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Finish what is in hand, for a while, and end."""
        self._pool.stop()
        self._awake.set()
        if self._patience:
            self._patience.reschedule(asyncio.get_running_loop().time() + STOP_SECONDS)

    def request_scan(self, reason: str, *, is_asked: bool = False) -> None:
        """Reconcile everything as soon as may be; where a person asked for it, what may pass is tried again."""
        self._work.request_scan(reason, is_asked=is_asked)
        self._awake.set()

    async def run(self) -> None:
        """Keep the record true until `stop`; raises IndexerBusy where another indexer is at work, and StoreError
        where the database is there but refuses us.
        """
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as self._patience, AsyncExitStack() as stack:
                if await self._take_lock(stack):
                    async with self._heartbeat.beating():
                        await self._live()
        except TimeoutError:
            logger.warning("stopped before all was written: the next start finds it")
        finally:
            self._patience = None
            logger.info("the daemon ended")

    async def _take_lock(self, stack: AsyncExitStack) -> bool:
        """Become the one writer, and make the tables; wait for a database that is away, or being set up.

        False: stopped meanwhile.
        """
        was_made = True  # who made the tables just now may still hold the lock
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
                await self._trouble.wait(error)
            else:
                return True
        return False

    async def _is_set_up(self) -> bool:
        """Tell whether the tables are made: until then who holds the lock is making them."""
        try:
            return await self._store.schema.is_current()
        except StoreError:
            return False

    async def _live(self) -> None:
        self.request_scan("start", is_asked=True)
        self._schedule.start(lambda: self.request_scan("scheduled"))
        counting = self._meter.keep_counting(self._store.statuses.read_stats)
        beside = [asyncio.create_task(work) for work in (self._look(), counting)]
        working = asyncio.create_task(self._keep_working())
        try:
            done, _ = await asyncio.wait([working, *beside], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (working, *beside):
                task.cancel()
            await asyncio.gather(working, *beside, return_exceptions=True)
            self._schedule.stop()
            await self._detector.stop()

    async def _look(self) -> None:
        while True:
            await self._detector.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _report(self, status: DaemonStatus) -> None:
        """Tell the service manager and the store how things are; raises StoreError."""
        if status.state != "stopped":
            self._notify(f"STATUS={status.state}, {status.waiting} accounts waiting. {status.remark or ''}")
        await self._store.statuses.note_daemon(status)

    def _status(self) -> DaemonStatus:
        doubt = self._detector.fault or self._work.doubt
        return DaemonStatus(
            state="dataset suspicious" if doubt else "scanning" if self._work.is_scanning else "watching",
            remark=doubt or self._trouble.sentence or self._detector.limits,
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
                    await self._rest(LOOK_SECONDS)
                elif await self._work.take():
                    self._busy_at = time.monotonic()
                    self._trouble.end()
                else:
                    await self._rest(self._work.idle_seconds(LOOK_SECONDS))
                    self._trouble.end()
            except (StoreError, IndexerBusy, PathError, NoWorkers) as error:
                await self._trouble.wait(error)
                await self._until_store_answers()

    async def _rest(self, seconds: float) -> None:
        """Wait until something happens, or for a while."""
        if time.monotonic() > self._busy_at + IDLE_SECONDS:
            self._busy_at = math.inf
            await self._reader.release()
            give_back()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), seconds)
            await self._pool.rest(GATHER_SECONDS)

    async def _until_store_answers(self) -> None:
        """Ask the store, and for the writer's lock, until both are there again: no file is read in vain.

        It may be another database by then, or an empty one: everything is looked at.
        """
        while not self._pool.is_stopped:
            try:
                await self._store.verify_lock()
                await self._store.schema.create()
            except (StoreError, IndexerBusy) as error:
                await self._trouble.wait(error)
            else:
                self.request_scan("after trouble")
                return

    def _wake_from_any_thread(self) -> None:
        if self._loop:
            with suppress(RuntimeError):  # it is closed: nobody is to be woken
                self._loop.call_soon_threadsafe(self._awake.set)


class Trouble:
    """What keeps the daemon from its work just now: said once, and waited for, a little longer each time."""

    def __init__(self, pool: TaskPool) -> None:
        self._pool = pool
        self._backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self.sentence: str | None = None

    async def wait(self, error: IgSearchError) -> None:
        """Wait before the next try, or until all is stopped."""
        if str(error) != self.sentence:
            logger.warning("%s Trying again; no file is forgotten", error)
            is_coming = isinstance(error, (Unavailable, NotReady))
            longest = LONGEST_PAUSE_SECONDS if is_coming else LONGEST_REFUSAL_SECONDS
            self.sentence, self._backoff = str(error), Backoff(FIRST_PAUSE_SECONDS, longest)
        await self._pool.rest(self._backoff.next())

    def end(self) -> None:
        """Something went well again."""
        if self.sentence:
            logger.warning("all is well again")
        self.sentence = None
