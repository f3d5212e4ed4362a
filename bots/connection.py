"""The pulse of a bot: it says in the database how it is, and `igsearch health` reads that; the metrics hear it too."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

from answers.backend import SearchService
from core.errors import StoreError
from core.model import FrontEnd, FrontEndState, FrontEndStatus

LOOK_SECONDS, SAY_SECONDS = 1.0, 15.0
"""How often the bot is looked at, and how often it says the same again."""
PATIENCE_SECONDS, GOODBYE_SECONDS = 3.0, 0.4
"""For which a database that stands still is waited for; the end of a bot has little time left."""


class ConnectionState:
    """The way between a bot and its chat, as the bot last found it."""

    def __init__(self) -> None:
        self.state: FrontEndState = "connecting"
        self.remark: str | None = None

    def up(self) -> None:
        self.state, self.remark = "answering", None

    def down(self, reason: str) -> None:
        self.state, self.remark = "connecting", reason


class Heartbeat:
    """Says how one bot is, while it is `beating`; `waiting` counts the pictures that wait."""

    def __init__(
        self, name: FrontEnd, link: ConnectionState, service: SearchService, waiting: Callable[[], int]
    ) -> None:
        self._name = name
        self._link = link
        self._service = service
        self._waiting = waiting

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Say how the bot is from now to the end of the block, and then that it stopped."""
        beat = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            status = replace(self._status(), state="stopped", remark=None)
            self._service.meter.front_end_is(status)
            await self._say(status, GOODBYE_SECONDS)

    async def _beat(self) -> None:
        said: FrontEndStatus | None = None
        while True:
            status = self._status()
            self._service.meter.front_end_is(status)
            is_news = said is None or replace(said, waiting=status.waiting, seen_at=status.seen_at) != status
            if said is None or is_news or (status.seen_at - said.seen_at).total_seconds() >= SAY_SECONDS:
                said = status if await self._say(status, PATIENCE_SECONDS) else None
            await asyncio.sleep(LOOK_SECONDS)

    async def _say(self, status: FrontEndStatus, seconds: float) -> bool:
        """Tell whether the database heard it."""
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(seconds):
                await self._service.statuses.note(status)
            return True
        return False

    def _status(self) -> FrontEndStatus:
        return FrontEndStatus(
            name=self._name,
            state=self._link.state,
            remark=self._link.remark,
            waiting=self._waiting(),
            has_workers=self._service.has_workers(),
            seen_at=datetime.now(UTC),
        )
