"""The daemon: keeps the record in line with the disk for as long as it runs.

It takes the work loop's next piece of work (indexer/work_loop.py), looks for changes that no event tells of
(indexer/watching/change_detector.py), waits for a database that is away, and reports how it is.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import replace
from typing import Protocol

from core.errors import IgSearchError, IndexerBusy, NotReady, NoWorkers, PathError, StoreError, Unavailable
from core.model.statuses import DaemonStatus, Stats
from core.service.memory import give_back
from indexer.scanning.account_scan import ScanOptions
from indexer.scanning.task_pool import TaskPool
from indexer.schedule import Schedule
from indexer.watching.change_detector import ChangeDetector
from indexer.work_loop import Meter, PhotoReader, WholeStore, WorkLoop

PULSE_SECONDS = 2.0
STATUS_SECONDS = 15.0
GATHER_SECONDS = 0.1
"""For which more events are awaited when one woke us: unpacking an archive brings thousands a second."""
IDLE_SECONDS = 30.0
"""After which the memory of what opens files is given back; it takes 0.1 s to have it again."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 3.0
"""Between attempts to reach the database, so that work goes on within 10 s of its return."""
LONGEST_REFUSAL_SECONDS = 20.0
"""The same for a database that answers and refuses, as with a full disk: up to 200 files are read in vain each time."""
STOP_SECONDS = 7.5
"""How long the end may take, of the 10 s that the process has."""
GOODBYE_SECONDS = 1.0

logger = logging.getLogger(__name__)


class DaemonStore(WholeStore, Protocol):
    """The store, as the daemon sees it."""

    def writer(self) -> AbstractAsyncContextManager[None]: ...

    async def verify_writer(self) -> None: ...

    async def is_current(self) -> bool: ...

    async def create_schema(self) -> None: ...

    async def note_daemon(self, status: DaemonStatus) -> None: ...


class ReleasableReader(PhotoReader, Protocol):
    """What opens files, and can give back the memory that takes."""

    @property
    def is_alive(self) -> bool:
        """Tell whether there are processes to open them in, or can be."""

    async def release(self) -> None: ...


class DaemonMeter(Meter, Protocol):
    """What counts what the daemon does, and how it is."""

    def daemon_is(self, status: DaemonStatus) -> None: ...

    async def keep_counting(self, stats: Callable[[], Awaitable[Stats]]) -> None:
        """Ask for the figures of the store now and then, for ever."""


class Daemon:
    """One life of the daemon, from `run` to `stop`; `notify` hears how it is, for a service manager."""

    def __init__(
        self,
        options: ScanOptions,
        settle_seconds: float,
        *,
        store: DaemonStore,
        reader: ReleasableReader,
        schedule: Schedule,
        meter: DaemonMeter,
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
        self._detector = ChangeDetector(options.root, self._wake_from_any_thread)
        self._loop_work = WorkLoop(
            options,
            settle_seconds,
            store=store,
            reader=reader,
            pool=self._pool,
            sight=self._detector,
            meter=meter,
            next_scan=lambda: schedule.next_run,
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

    def rescan(self, reason: str, *, is_asked: bool = False) -> None:
        """Reconcile everything as soon as may be; where a person asked for it, what may pass is tried again."""
        self._loop_work.rescan(reason, is_asked=is_asked)
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
                await stack.enter_async_context(self._store.writer())
                await self._store.create_schema()
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
            return await self._store.is_current()
        except StoreError:
            return False

    async def _live(self) -> None:
        self.rescan("start", is_asked=True)
        self._schedule.start(lambda: self.rescan("scheduled"))
        counting = self._meter.keep_counting(self._store.stats)
        beside = [asyncio.create_task(work) for work in (self._look(), self._tell(), counting)]
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
            await self._detector.stop()

    async def _look(self) -> None:
        while True:
            await self._detector.look()
            await asyncio.sleep(PULSE_SECONDS)

    async def _tell(self) -> None:
        """Keep in the store, and tell the service manager, how things are."""
        told: DaemonStatus | None = None
        while True:
            status = self._status()
            self._meter.daemon_is(status)
            if told is None or _is_news(told, status):
                self._notify(f"STATUS={status.state}, {status.waiting} accounts waiting. {status.remark or ''}")
                with suppress(StoreError):
                    await self._store.note_daemon(status)
                    told = status
            await asyncio.sleep(PULSE_SECONDS)

    async def _say_goodbye(self) -> None:
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._store.note_daemon(replace(self._status(), state="stopped", remark=None))

    def _status(self) -> DaemonStatus:
        doubt = self._detector.fault or self._loop_work.doubt
        return DaemonStatus(
            state="dataset suspicious" if doubt else "scanning" if self._loop_work.is_scanning else "watching",
            remark=doubt or self._trouble.sentence or self._detector.limits,
            waiting=self._loop_work.waiting,
            lag_seconds=self._loop_work.lag_seconds,
            next_scan=self._schedule.next_run,
            seen_at=self._clock(),
            emitter=self._detector.emitter,
            has_workers=self._reader.is_alive,
        )

    async def _take_turns(self) -> None:
        while not self._pool.is_stopped:
            self._awake.clear()
            try:
                if self._detector.identity is None:
                    await self._rest(PULSE_SECONDS)
                elif await self._loop_work.take():
                    self._busy_at = time.monotonic()
                    self._trouble.end()
                else:
                    await self._rest(self._loop_work.idle_seconds(PULSE_SECONDS))
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
                await self._store.verify_writer()
                await self._store.create_schema()
            except (StoreError, IndexerBusy) as error:
                await self._trouble.wait(error)
            else:
                self.rescan("after trouble")
                return

    def _wake_from_any_thread(self) -> None:
        if self._loop:
            with suppress(RuntimeError):  # it is closed: nobody is to be woken
                self._loop.call_soon_threadsafe(self._awake.set)


class Trouble:
    """What keeps the daemon from its work just now: said once, and waited for, a little longer each time."""

    def __init__(self, pool: TaskPool) -> None:
        self._pool = pool
        self._times = 0
        self.sentence: str | None = None

    async def wait(self, error: IgSearchError) -> None:
        """Wait before the next try, or until all is stopped."""
        if str(error) != self.sentence:
            logger.warning("%s Trying again; no file is forgotten", error)
            self.sentence, self._times = str(error), 0
        self._times += 1
        is_coming = isinstance(error, (Unavailable, NotReady))
        longest = LONGEST_PAUSE_SECONDS if is_coming else LONGEST_REFUSAL_SECONDS
        await self._pool.rest(min(FIRST_PAUSE_SECONDS * 2 ** min(self._times, 10), longest))

    def end(self) -> None:
        """Something went well again."""
        if self.sentence:
            logger.warning("all is well again")
        self.sentence = None


def _is_news(told: DaemonStatus, status: DaemonStatus) -> bool:
    """Tell whether something else is to be said than last time, or the same once more."""
    as_before = replace(told, waiting=status.waiting, lag_seconds=status.lag_seconds, seen_at=status.seen_at)
    return as_before != status or (status.seen_at - told.seen_at).total_seconds() >= STATUS_SECONDS
