"""Connect the Telegram bot to its server: retry, obey its rate limits, and receive updates by polling or a webhook."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit
from warnings import catch_warnings, simplefilter
from weakref import WeakValueDictionary

from telegram import Bot, File, Update
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)
from telegram.ext import BaseRateLimiter, ExtBot, Updater
from telegram.request import HTTPXRequest

from answers.downloads import DownloadFailed
from bots.connection import ConnectionState
from core.errors import SettingsError
from core.service.backoff import Backoff
from core.service.supervision import rest, unless_stopped

POLL_SECONDS = 30
"""The time that the server holds a request for updates while there are none."""
ANSWER_SECONDS, CONNECT_SECONDS = 45.0, 5.0
"""Longer than any server takes: a call that is given up and repeated may send a message twice."""
CONNECTIONS = 64
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 5.0
"""The pauses between attempts; python-telegram-bot's own loop pauses up to 30 s after an outage."""
ATTEMPTS = 8
"""The attempts at one call, over about 20 s besides the pauses that the server asks for."""
LONGEST_OBEYED_SECONDS = 600.0
CONFLICT_SECONDS = 60.0
REFUSALS = 3
LAST_CONFIRMATION_SECONDS = 2.0
TRIED_ONCE = frozenset(("getMe", "sendChatAction", "answerCallbackQuery"))
"""Calls that are useless when late, or that their caller repeats."""
ALLOWED_UPDATES = ("message", "callback_query")
HOPELESS = (BadRequest, ChatMigrated, Conflict, Forbidden)
NOT_UNDERSTOOD = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""The errors that the library raises for an answer or an update of an unknown shape."""

logger = logging.getLogger(__name__)
T = TypeVar("T")
Receive = Callable[[Bot, "asyncio.Queue[object]", ConnectionState, asyncio.Event], Coroutine[None, None, None]]
Answer = bool | dict[str, Any] | list[dict[str, Any]]


class QuietBot(ExtBot[None]):
    """A bot whose repr does not contain its token."""

    def __repr__(self) -> str:
        return "QuietBot()"


def new_bot(token: str, api_url: str) -> QuietBot:
    """Create a bot for a Bot API server, without calling the server yet."""
    return QuietBot(
        token,
        base_url=f"{api_url}/bot",
        base_file_url=f"{api_url}/file/bot",
        request=_request(CONNECTIONS),
        get_updates_request=_request(1),
        rate_limiter=ChatThrottle(),
    )


def _request(connections: int) -> HTTPXRequest:
    return HTTPXRequest(
        connection_pool_size=connections,
        read_timeout=ANSWER_SECONDS,
        write_timeout=ANSWER_SECONDS,
        connect_timeout=CONNECT_SECONDS,
        pool_timeout=None,  # waiting for a free connection is no failure
    )


class ChatThrottle(BaseRateLimiter[None]):
    """A rate limiter that obeys the server's pauses per chat and retries calls that failed with the connection.

    Calls in one chat are made one at a time: after a pause, all would retry at once and run into the next one.
    python-telegram-bot's AIORateLimiter stops all chats while one of them has to pause.
    """

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[object, asyncio.Lock] = WeakValueDictionary()

    async def initialize(self) -> None:
        """Do nothing, as there is nothing to open."""

    async def shutdown(self) -> None:
        """Do nothing, as there is nothing to close."""

    async def process_request(  # noqa: PLR0917 - the signature is the library's
        self,
        callback: Callable[..., Coroutine[Any, Any, Answer]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: None,  # noqa: ARG002
    ) -> Answer:
        """Make a call when it is its chat's turn, and retry it if that may help; raises TelegramError."""
        call = partial(callback, *args, **kwargs)
        if endpoint in TRIED_ONCE:
            return await call()
        turn = self._turns.setdefault(data.get("chat_id", call), asyncio.Lock())
        async with turn:
            return await _again(call)


async def _again(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Make a call until it succeeds or retrying is hopeless; raises TelegramError."""
    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    for _ in range(ATTEMPTS - 1):
        try:
            return await call()
        except RetryAfter as error:
            if _seconds(error) > LONGEST_OBEYED_SECONDS:
                raise
            logger.warning("Telegram asks for a pause of %.0f s in a chat", _seconds(error))
            await asyncio.sleep(_seconds(error))
        except HOPELESS:
            raise
        except TelegramError:  # from the connection, the server, or a proxy that answers in its place
            await asyncio.sleep(backoff.next())
    return await call()


async def patiently(
    call: Callable[[], Awaitable[T]], connection: ConnectionState, stopped: asyncio.Event, *, what: str
) -> T | None:
    """Repeat a call until it succeeds or `stopped` is set (None); raises SettingsError for a refused token."""
    backoff, said = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS), ""
    while not stopped.is_set():
        try:
            return await unless_stopped(call(), stopped)
        except InvalidToken:
            raise refused_token() from None
        except (TelegramError, *NOT_UNDERSTOOD) as error:
            if said != (said := f"{type(error).__name__}: {error}"):
                logger.warning("%s: Telegram cannot be reached (%s); trying again until it can", what, said)
                connection.down(f"Telegram cannot be reached ({type(error).__name__})")
            await rest(stopped, pause_after(error, backoff))
    return None


def receiver(webhook_url: str, *, secret: str, address: str) -> Receive:
    """Return the receiver of updates: a webhook that listens at `address` (host:port) if a URL is set, else polling."""
    if not webhook_url:
        return poll
    host, _, port = address.rpartition(":")
    return partial(listen, Webhook(webhook_url, secret, host.strip("[]"), int(port)))


async def poll(bot: Bot, updates: "asyncio.Queue[object]", connection: ConnectionState, stopped: asyncio.Event) -> None:
    """Poll for updates and queue them, in order, until stopped; raises SettingsError for a refused token.

    Updates are confirmed by the request that follows them, the last ones when polling stops.
    """
    offset: int | None = None
    failures = PollFailures(time.monotonic)
    await patiently(bot.delete_webhook, connection, stopped, what="long polling")
    connection.up()
    while not stopped.is_set():
        try:
            news = await unless_stopped(_news(bot, offset), stopped)
        except TelegramError as error:
            pause = failures.pause(error)
            connection.down(f"Telegram gives no updates ({type(error).__name__})")
            if failures.is_hopeless:
                raise refused_token() from None
            await rest(stopped, pause)
            continue
        except NOT_UNDERSTOOD as error:
            connection.down("Telegram's answers do not follow the Bot API")
            await rest(stopped, failures.pause(TelegramError(f"an answer that does not follow the Bot API: {error!r}")))
            continue
        failures.clear()
        connection.up()
        for number, update in news or ():
            if update is not None:
                await updates.put(update)
            offset = number + 1
    await _confirm(bot, offset)


async def _news(bot: Bot, offset: int | None) -> list[tuple[int, Update | None]]:
    """Return the next updates with their ids; None for one that is not understood, so that it is confirmed, too."""
    try:
        news = await bot.get_updates(offset=offset, timeout=POLL_SECONDS, allowed_updates=ALLOWED_UPDATES)
    except NOT_UNDERSTOOD:
        return [(int(raw["update_id"]), _understood(raw, bot)) for raw in await _raw_news(bot, offset)]
    return [(update.update_id, update) for update in news]


async def _raw_news(bot: Bot, offset: int | None) -> list[dict[str, Any]]:
    arguments = {"timeout": 0, "allowed_updates": list(ALLOWED_UPDATES)} | ({"offset": offset} if offset else {})
    with catch_warnings():
        simplefilter("ignore")  # the library prefers get_updates, which has just failed
        return list(await bot.do_api_request("getUpdates", api_kwargs=arguments))


def _understood(raw: dict[str, Any], bot: Bot) -> Update | None:
    try:
        return Update.de_json(raw, bot)
    except NOT_UNDERSTOOD as error:
        logger.warning("an update is skipped, as it is not understood: %s", error)
        return None


async def _confirm(bot: Bot, offset: int | None) -> None:
    if offset is None:
        return
    try:
        async with asyncio.timeout(LAST_CONFIRMATION_SECONDS):
            await bot.get_updates(offset=offset, timeout=0, limit=1, allowed_updates=ALLOWED_UPDATES)
    except (TelegramError, TimeoutError):
        logger.info("the last updates could not be confirmed to Telegram: the next start may receive some again")


@dataclass(frozen=True, slots=True)
class Webhook:
    """The settings of a webhook."""

    url: str
    """The public address that Telegram calls."""
    secret: str
    """Proves that a call comes from Telegram."""
    host: str
    """The local address that we listen on."""
    port: int
    """The local port that we listen on."""


async def listen(
    webhook: Webhook, bot: Bot, updates: "asyncio.Queue[object]", connection: ConnectionState, stopped: asyncio.Event
) -> None:
    """Receive updates by a webhook and queue them until stopped; raises SettingsError if the bot cannot listen."""
    updater = Updater(bot, updates)
    await updater.initialize()
    starting = updater.start_webhook(
        webhook.host,
        webhook.port,
        urlsplit(webhook.url).path.strip("/"),
        bootstrap_retries=-1,
        webhook_url=webhook.url,
        allowed_updates=ALLOWED_UPDATES,
        secret_token=webhook.secret,
    )
    try:
        await unless_stopped(starting, stopped)
        connection.up()
        logger.info("listening at %s:%d for updates from Telegram", webhook.host, webhook.port)
        await stopped.wait()
    except InvalidToken:
        raise refused_token() from None
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"IGSEARCH_TELEGRAM_WEBHOOK_LISTEN: the bot cannot listen at {webhook.host}:{webhook.port}"
            f" ({error}): choose another address or port."
        ) from error
    finally:
        if updater.running:
            await updater.stop()


class PollFailures:
    """The failures of polling since the last success: they set the pause, and each kind is logged once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._said: str | None = None
        self._conflict_said = float("-inf")
        self._refusals = 0

    def pause(self, error: TelegramError) -> float:
        """Log what is wrong, unless it was logged already, and return the seconds to pause."""
        self._refusals = self._refusals + 1 if isinstance(error, InvalidToken) else 0
        if isinstance(error, Conflict):
            self._say_conflict(error)
        elif (said := f"{type(error).__name__}: {error}") != self._said:
            self._said = said
            logger.warning("Telegram gives no updates (%s): trying again until it does", said)
        return pause_after(error, self._backoff)

    @property
    def is_hopeless(self) -> bool:
        """Tell whether the token was refused several times in a row; a single refusal may come from a proxy."""
        return self._refusals >= REFUSALS

    def clear(self) -> None:
        self._refusals = 0
        if self._said:
            logger.info("Telegram gives updates again")
        self._said = None
        self._backoff.reset()

    def _say_conflict(self, error: Conflict) -> None:
        if self._clock() - self._conflict_said > CONFLICT_SECONDS:
            self._conflict_said = self._clock()
            logger.error("another program asks for this bot's updates: stop it, or give each its own token (%s)", error)


def pause_after(error: Exception, backoff: Backoff) -> float:
    return _seconds(error) if isinstance(error, RetryAfter) else backoff.next()


def refused_token() -> SettingsError:
    """Return the error for a refused token, without the token itself, which the library's message contains."""
    return SettingsError(
        "IGSEARCH_TELEGRAM_TOKEN: Telegram refuses it: copy the token from @BotFather again, and check"
        " IGSEARCH_TELEGRAM_API_URL if you set it."
    )


def is_gone(error: TelegramError) -> bool:
    """Tell whether a call failed for an ordinary reason: its message or chat is gone, or the bot has no access."""
    return isinstance(error, ChatMigrated | BadRequest | Forbidden)


def address_of(file: File, bot: Bot) -> str:
    """Return the URL of a file, which contains the token; raises DownloadFailed.

    The library would read a file from the local disk instead, if there is one at the path that the server names.
    """
    path = (file.file_path or "").removeprefix(f"{bot.base_file_url}/")
    if not path or path.startswith("/"):
        raise DownloadFailed("the Bot API server names no file to download: start it without --local")
    return f"{bot.base_file_url}/{quote(path)}"


def _seconds(error: RetryAfter) -> float:
    asked = error.retry_after
    return asked.total_seconds() if isinstance(asked, timedelta) else float(asked)
