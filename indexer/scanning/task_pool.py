"""InFlight that work side by side: as many files at a time as keep the workers busy, and an end that waits no longer
than it may.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from core.errors import IgSearchError
from core.service.supervision import rest

FILES_IN_HAND = 4
"""Files a worker has in work or waiting, so that no worker idles while one file waits for the database."""
DRAIN_SECONDS = 7.0
"""How long a stop waits for the files in hand; the whole process has 10 s."""

logger = logging.getLogger(__name__)
T = TypeVar("T")


class TaskPool:
    """The hands of one job; `stop` lets them finish what they hold, for a while, and begin nothing more."""

    def __init__(self, workers: int) -> None:
        self._hands = workers * FILES_IN_HAND
        self._stopped = asyncio.Event()
        self._patience: asyncio.Timeout | None = None
        self._failure: IgSearchError | None = None

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """Finish the files in hand, for a while, and begin no other."""
        self._stopped.set()
        if self._patience:
            self._patience.reschedule(asyncio.get_running_loop().time() + DRAIN_SECONDS)

    async def rest(self, seconds: float) -> None:
        """Wait, or until it is stopped."""
        await rest(self._stopped, max(0.0, seconds))

    async def work(self, items: AsyncIterator[T], task: Callable[[T], Awaitable[None]]) -> None:
        """Do the task with each item; raises StoreError when the database fails, IndexerBusy when the lock was lost.

        Then nothing more is begun, but what is in hand is finished: to call it off would kill a worker each.
        """
        self._failure = None
        try:
            async with asyncio.timeout(None) as self._patience:
                await self._hand_out(items, task)
        except TimeoutError:
            logger.warning("stopped while files were still being read: the next run takes them")
        except BaseExceptionGroup as failures:  # a fault of ours
            raise failures.exceptions[0] from failures
        finally:
            self._patience = None
        if self._failure:
            raise self._failure

    async def _hand_out(self, items: AsyncIterator[T], task: Callable[[T], Awaitable[None]]) -> None:
        queue: asyncio.Queue[T | None] = asyncio.Queue(self._hands)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._hands):
                group.create_task(self._take(queue, task))
            try:
                async for item in items:
                    if self._is_closed:
                        break
                    await queue.put(item)
            except IgSearchError as error:
                self._fail(error)
            for _ in range(self._hands):
                await queue.put(None)

    async def _take(self, queue: asyncio.Queue[T | None], task: Callable[[T], Awaitable[None]]) -> None:
        while (item := await queue.get()) is not None:
            if not self._is_closed:
                try:
                    await task(item)
                except IgSearchError as error:
                    self._fail(error)

    @property
    def _is_closed(self) -> bool:
        return self.is_stopped or self._failure is not None

    def _fail(self, error: IgSearchError) -> None:
        self._failure = self._failure or error
