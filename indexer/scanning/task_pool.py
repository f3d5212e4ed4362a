"""Run tasks in parallel: enough at a time to keep the workers busy, and with a time limit for stopping."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from core.errors import IgSearchError
from core.service.supervision import rest

TASKS_A_WORKER = 4
"""Files in progress or waiting per worker, so that no worker idles while a file waits for the database."""
DRAIN_SECONDS = 7.0
"""Time for which a stop waits for running tasks; the whole process has 10 s."""

logger = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")


class TaskPool:
    """A pool of tasks; `stop` waits for running tasks, within a time limit, and starts no more."""

    def __init__(self, workers: int) -> None:
        self._size = workers * TASKS_A_WORKER
        self._stopped = asyncio.Event()
        self._deadline: float | None = None

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """Finish the running tasks, within a time limit, and start no more."""
        self._stopped.set()
        self._deadline = asyncio.get_running_loop().time() + DRAIN_SECONDS

    async def rest(self, seconds: float) -> None:
        """Wait for some seconds, or until stopped."""
        await rest(self._stopped, max(0.0, seconds))

    async def map(self, items: AsyncIterator[T], work: Callable[[T], Awaitable[R]]) -> AsyncGenerator[R, None]:
        """Run the work on all items in parallel, and yield the results as they are ready.

        If an item or its work raises IgSearchError, no more work is started; running work is finished, because each
        cancellation would kill a worker, and then the error is raised. Running work is also finished if the caller
        closes the generator early.
        """
        job = _Job(items, work)
        stop = asyncio.create_task(self._stopped.wait())
        try:
            while await job.begin(self._size, self._stopped):
                done = await self._some_done(job.running, stop)
                if not done:
                    logger.warning("stopped while files were still being read: the next run reads them")
                    break
                for task in done:
                    for result in job.results_of(task):
                        yield result
        except GeneratorExit:
            await job.finish(DRAIN_SECONDS)
            raise
        finally:
            for one in (stop, *job.running):
                one.cancel()
            await asyncio.gather(stop, *job.running, return_exceptions=True)
        if job.failure:
            raise job.failure

    async def _some_done(self, running: "set[asyncio.Task[R]]", stop: "asyncio.Task[bool]") -> "set[asyncio.Task[R]]":
        """Wait until some tasks are done, and return them; none if the time limit of a stop has passed."""
        while True:
            left = None if self._deadline is None else self._deadline - asyncio.get_running_loop().time()
            waited_for = running if stop.done() else {*running, stop}
            await asyncio.wait(waited_for, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            done = {task for task in running if task.done()}
            if done or (left is not None and left <= 0):
                return done


class _Job(Generic[T, R]):
    """The work on all items of one `map`, and its first failure."""

    def __init__(self, items: AsyncIterator[T], work: Callable[[T], Awaitable[R]]) -> None:
        self._items = items
        self._work = work
        self._is_at_end = False
        self.running: set[asyncio.Task[R]] = set()
        self.failure: IgSearchError | None = None

    async def begin(self, size: int, stopped: asyncio.Event) -> bool:
        """Start tasks until `size` are running; return whether any is running."""
        while not self._is_at_end and len(self.running) < size:
            item = None if stopped.is_set() or self.failure else await self._next()
            if item is None:
                self._is_at_end = True
            else:
                self.running.add(asyncio.create_task(_awaited(self._work(item))))
        return bool(self.running)

    def results_of(self, task: "asyncio.Task[R]") -> list[R]:
        """Return the result of a finished task; an empty list if it failed."""
        self.running.discard(task)
        try:
            return [task.result()]
        except IgSearchError as error:
            self._fail(error)
            return []

    async def finish(self, seconds: float) -> None:
        """Wait for the running tasks, at most for some seconds."""
        if self.running:
            await asyncio.wait(self.running, timeout=seconds)

    async def _next(self) -> T | None:
        try:
            return await anext(self._items, None)
        except IgSearchError as error:
            self._fail(error)
            return None

    def _fail(self, error: IgSearchError) -> None:
        self.failure = self.failure or error


async def _awaited(work: Awaitable[R]) -> R:
    return await work
