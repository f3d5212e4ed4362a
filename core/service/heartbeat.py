"""Report the status of a service regularly, to the database for `igsearch health` and to the metrics."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Generic, Protocol, Self, TypeVar

from core.errors import StoreError

REPORT_SECONDS = 15.0
"""Interval at which an unchanged status is reported again."""
REPORT_TIMEOUT_SECONDS = 3.0
"""Longest wait for a database that does not answer."""


class Status(Protocol):
    """The status of a service at one moment."""

    @property
    def seen_at(self) -> datetime: ...

    def is_news_after(self, earlier: Self) -> bool:
        """Tell whether anything changed besides the figures that change constantly."""

    def stopped(self) -> Self:
        """Return this status as that of a service that has stopped."""


S = TypeVar("S", bound=Status)


class Heartbeat(Generic[S]):
    """Reporter of one service's status, inside the block of `beating`."""

    def __init__(
        self,
        status: Callable[[], S],
        *,
        measure: Callable[[S], None],
        report: Callable[[S], Awaitable[None]],
        look_seconds: float,
        last_report_seconds: float,
    ) -> None:
        """Take the status every `look_seconds`; call `measure` each time, and `report` if there is news.

        `report` may raise StoreError; `last_report_seconds` is the longest time of the last report, at the stop.
        """
        self._status = status
        self._measure = measure
        self._report = report
        self._look_seconds = look_seconds
        self._last_report_seconds = last_report_seconds

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Report the service's status until the end of the block, and then that it stopped."""
        beat = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            status = self._status().stopped()
            self._measure(status)
            await self._is_reported(status, self._last_report_seconds)

    async def _beat(self) -> None:
        reported: S | None = None
        while True:
            status = self._status()
            self._measure(status)
            if reported is None or _is_due(status, reported):
                reported = status if await self._is_reported(status, REPORT_TIMEOUT_SECONDS) else None
            await asyncio.sleep(self._look_seconds)

    async def _is_reported(self, status: S, seconds: float) -> bool:
        """Report a status; return whether the database accepted it."""
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(seconds):
                await self._report(status)
            return True
        return False


def _is_due(status: S, reported: S) -> bool:
    age = (status.seen_at - reported.seen_at).total_seconds()
    return age >= REPORT_SECONDS or status.is_news_after(reported)
