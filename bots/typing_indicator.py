"""Show "is typing" in a chat for as long as an answer is being prepared there."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

EVERY_SECONDS = 4.0
"""Telegram shows the indicator for 5 s, Discord for 10 s."""

H = TypeVar("H", bound=Hashable)


class TypingIndicator(Generic[H]):
    """The typing indicator of each chat, one however many answers are prepared there; `show` must not raise."""

    def __init__(self, show: Callable[[H], Awaitable[None]], every_seconds: float = EVERY_SECONDS) -> None:
        self._show = show
        self._every_seconds = every_seconds
        self._answers: Counter[H] = Counter()
        self._shown: dict[H, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def shown(self, chat: H) -> AsyncIterator[None]:
        """Show the indicator until the end of the block."""
        self._answers[chat] += 1
        if chat not in self._shown:
            self._shown[chat] = asyncio.create_task(self._keep_showing(chat))
        try:
            yield
        finally:
            self._answers[chat] -= 1
            if not self._answers[chat]:
                del self._answers[chat]
                self._shown.pop(chat).cancel()

    async def _keep_showing(self, chat: H) -> None:
        while True:
            await self._show(chat)
            await asyncio.sleep(self._every_seconds)
