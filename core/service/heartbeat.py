"""The heartbeat of a service: its status, kept in the database for `igsearch health` and shown by the metrics."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Generic, Protocol, Self, TypeVar

from core.errors import StoreError

REPORT_SECONDS = 15.0
"""How often an unchanged status is reported again."""
PATIENCE_SECONDS = 3.0
"""How long a heartbeat waits for a database that does not answer."""


class Status(Protocol):
    """How a service is, at a moment."""

    @property
    def seen_at(self) -> datetime: ...

    def is_news_after(self, earlier: Self) -> bool:
        """Tell whether more than the usual figures has changed."""

    def stopped(self) -> Self:
        """Return the same as the last status of a service that ended."""


S = TypeVar("S", bound=Status)


class Heartbeat(Generic[S]):
    """Reports the status of one service while it is `beating`."""

    def __init__(
        self,
        status: Callable[[], S],
        *,
        measure: Callable[[S], None],
        report: Callable[[S], Awaitable[None]],
        look_seconds: float,
        goodbye_seconds: float,
    ) -> None:
        """Look at the service every `look_seconds`: `measure` is called each time, `report` where there is news.

        `report` may raise StoreError; `goodbye_seconds` is how long the last report may take.
        """
        self._status = status
        self._measure = measure
        self._report = report
        self._look_seconds = look_seconds
        self._goodbye_seconds = goodbye_seconds

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Report how the service is from now to the end of the block, and then that it stopped."""
        beat = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            status = self._status().stopped()
            self._measure(status)
            await self._is_reported(status, self._goodbye_seconds)

    async def _beat(self) -> None:
        reported: S | None = None
        while True:
            status = self._status()
            self._measure(status)
            if reported is None or _is_due(status, reported):
                reported = status if await self._is_reported(status, PATIENCE_SECONDS) else None
            await asyncio.sleep(self._look_seconds)

    async def _is_reported(self, status: S, seconds: float) -> bool:
        """Report a status, and tell whether the database took it."""
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(seconds):
                await self._report(status)
            return True
        return False


def _is_due(status: S, reported: S) -> bool:
    age = (status.seen_at - reported.seen_at).total_seconds()
    return age >= REPORT_SECONDS or status.is_news_after(reported)
