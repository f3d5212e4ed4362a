"""The updates that wait for a bot, and their two ways out: getUpdates and a webhook."""

import asyncio
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp

FIRST_ID = 500_000_001
NOT_SENT_UNASKED = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
LONGEST_POLL_SECONDS = 50
# The real server waits some seconds, then ever longer.
WEBHOOK_PAUSE_SECONDS = 0.3
WEBHOOK_TIMEOUT_SECONDS = 60


class Conflict(Exception):
    """This getUpdates may not go on; the message says why, in the words of the real server."""


@dataclass
class Webhook:
    """Where updates are posted to, and the last that went wrong there."""

    url: str
    secret_token: str = ""
    last_error_date: int | None = None
    last_error_message: str | None = None

    def note_error(self, message: str) -> None:
        self.last_error_date, self.last_error_message = int(time.time()), message


@dataclass
class Updates:
    """What was not yet confirmed; `put` is for every thread, the rest for the server's loop."""

    loop: asyncio.AbstractEventLoop
    changed: threading.Condition
    pending: list[dict[str, Any]] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    webhook: Webhook | None = None
    _next_id: int = FIRST_ID
    _poll: asyncio.Event | None = None
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _delivery: asyncio.Task[None] | None = None

    def put(self, kind: str, payload: dict[str, Any]) -> None:
        """Add an update, unless the bot did not ask for its kind."""
        if kind in self.allowed or (not self.allowed and kind not in NOT_SENT_UNASKED):
            with self.changed:
                self.pending.append({"update_id": self._next_id, kind: payload})
                self._next_id += 1
            self.loop.call_soon_threadsafe(self._wake)

    async def poll(self, *, offset: int, limit: int, timeout: int) -> list[dict[str, Any]]:
        """Confirm what lies before the offset, and wait for what comes after it; an older poll ends."""
        if self.webhook:
            raise Conflict(
                "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
            )
        poll = self._take_turn()
        try:
            self._confirm(offset)
            await self._wait(poll, seconds=min(timeout, LONGEST_POLL_SECONDS))
            if self.webhook:
                raise Conflict("terminated by setWebhook request")
            if self._poll is not poll:
                raise Conflict(
                    "terminated by other getUpdates request; make sure that only one bot instance is running"
                )
            return self.pending[: limit if 1 <= limit <= 100 else 100]
        finally:
            if self._poll is poll:
                self._poll = None

    def set_webhook(self, webhook: Webhook | None) -> None:
        """Post updates there from now on, or keep them for getUpdates."""
        if self._delivery:
            self._delivery.cancel()
        self.webhook = webhook
        self._wake()
        self.resume()

    def forget(self) -> None:
        with self.changed:
            self.pending = []

    async def pause(self) -> None:
        """Post nothing, until resumed."""
        if self._delivery:
            self._delivery.cancel()
            await asyncio.wait([self._delivery])

    def resume(self) -> None:
        self._delivery = self.loop.create_task(self._deliver(self.webhook)) if self.webhook else None

    def _take_turn(self) -> asyncio.Event:
        older, self._poll = self._poll, asyncio.Event()
        if older:
            older.set()
        return self._poll

    def _confirm(self, offset: int) -> None:
        with self.changed:
            if offset < 0:
                self.pending = self.pending[offset:]
            self.pending = [update for update in self.pending if update["update_id"] >= offset]
            self.changed.notify_all()

    async def _wait(self, poll: asyncio.Event, *, seconds: float) -> None:
        deadline = self.loop.time() + seconds
        while not self.pending and self._poll is poll and not self.webhook and self.loop.time() < deadline:
            poll.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(poll.wait(), deadline - self.loop.time())

    def _wake(self) -> None:
        self._arrived.set()
        if self._poll:
            self._poll.set()

    async def _deliver(self, webhook: Webhook) -> None:
        timeout = aiohttp.ClientTimeout(WEBHOOK_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                self._arrived.clear()
                if not self.pending:
                    await self._arrived.wait()
                elif not await self._post(session, webhook, self.pending[0]):
                    await asyncio.sleep(WEBHOOK_PAUSE_SECONDS)

    async def _post(self, session: aiohttp.ClientSession, webhook: Webhook, update: dict[str, Any]) -> bool:
        headers = {"X-Telegram-Bot-Api-Secret-Token": webhook.secret_token} if webhook.secret_token else {}
        try:
            async with session.post(webhook.url, json=update, headers=headers) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            webhook.note_error(str(error) or "Read timeout expired")
            return False
        if status // 100 != 2:
            webhook.note_error(f"Wrong response from the webhook: {status} {HTTPStatus(status).phrase}")
            return False
        self._confirm(update["update_id"] + 1)
        return True
