"""How the Telegram bot talks to its server: patiently, obeying its pauses, and never for ever."""

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
"""How long the server holds a question for updates when there is none."""
ANSWER_SECONDS, CONNECT_SECONDS = 45.0, 5.0
"""Longer than any server takes: what is given up and tried again may be said twice."""
CONNECTIONS = 64
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 5.0
"""Between attempts; python-telegram-bot's own loop rests up to 30 s after an outage."""
ATTEMPTS = 8
"""Of one call, over about 20 s besides the pauses that the server asks for."""
LONGEST_OBEYED_SECONDS = 600.0
CONFLICT_SECONDS = 60.0
REFUSALS = 3
GOODBYE_SECONDS = 2.0
TRIED_ONCE = frozenset(("getMe", "sendChatAction", "answerCallbackQuery"))
"""Calls that are worth nothing later, or that their caller repeats."""
ALLOWED_UPDATES = ("message", "callback_query")
HOPELESS = (BadRequest, ChatMigrated, Conflict, Forbidden)
NOT_UNDERSTOOD = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What the library raises where an answer or an update is not shaped as it knows it."""

logger = logging.getLogger(__name__)
T = TypeVar("T")
Receive = Callable[[Bot, "asyncio.Queue[object]", ConnectionState, asyncio.Event], Coroutine[None, None, None]]
Answer = bool | dict[str, Any] | list[dict[str, Any]]


class QuietBot(ExtBot[None]):
    """A bot that does not show its token to whoever prints it."""

    def __repr__(self) -> str:
        return "QuietBot()"


def new_bot(token: str, api_url: str) -> QuietBot:
    """Make a bot for a Bot API server; nothing is asked of it yet."""
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
        pool_timeout=None,  # waiting for a connection is no failure
    )


class ChatThrottle(BaseRateLimiter[None]):
    """Obeys the pauses that the server asks for, chat by chat, and tries again what a broken way swallowed.

    What is said in one chat is said in turn: all would try again at once after a pause, and meet the next one.
    python-telegram-bot's AIORateLimiter stops all chats while one of them is to pause.
    """

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[object, asyncio.Lock] = WeakValueDictionary()

    async def initialize(self) -> None:
        """Do nothing: there is nothing to open."""

    async def shutdown(self) -> None:
        """Do nothing: there is nothing to close."""

    async def process_request(  # noqa: PLR0917 - the signature is the library's
        self,
        callback: Callable[..., Coroutine[Any, Any, Answer]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: None,  # noqa: ARG002
    ) -> Answer:
        """Make a call, in its chat's turn, and again where that helps; raises TelegramError."""
        call = partial(callback, *args, **kwargs)
        if endpoint in TRIED_ONCE:
            return await call()
        turn = self._turns.setdefault(data.get("chat_id", call), asyncio.Lock())
        async with turn:
            return await _again(call)


async def _again(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Make a call until it succeeds or that is hopeless; raises TelegramError."""
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
        except TelegramError:  # the way, the server, or a proxy that answers in its place
            await asyncio.sleep(backoff.next())
    return await call()


async def patiently(
    call: Callable[[], Awaitable[T]], connection: ConnectionState, stopped: asyncio.Event, *, what: str
) -> T | None:
    """Make a call until it succeeds, or None when stopped; raises SettingsError where the token is refused."""
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
    """Return how updates reach us: by a webhook where one is set, listening at host:port, else by asking."""
    if not webhook_url:
        return poll
    host, _, port = address.rpartition(":")
    return partial(listen, Webhook(webhook_url, secret, host.strip("[]"), int(port)))


async def poll(bot: Bot, updates: "asyncio.Queue[object]", connection: ConnectionState, stopped: asyncio.Event) -> None:
    """Ask for updates and hand them on, in order, until stopped; raises SettingsError where the token is refused.

    Those photo on are confirmed with the next question, the last ones when it is stopped.
    """
    offset: int | None = None
    trouble = Trouble(time.monotonic)
    await patiently(bot.delete_webhook, connection, stopped, what="long polling")
    connection.up()
    while not stopped.is_set():
        try:
            news = await unless_stopped(_news(bot, offset), stopped)
        except TelegramError as error:
            pause = trouble.pause(error)
            connection.down(f"Telegram gives no updates ({type(error).__name__})")
            if trouble.is_hopeless:
                raise refused_token() from None
            await rest(stopped, pause)
            continue
        except NOT_UNDERSTOOD as error:
            connection.down("Telegram's answers are none of the Bot API's")
            await rest(stopped, trouble.pause(TelegramError(f"an answer that is none of the Bot API's: {error!r}")))
            continue
        trouble.is_over()
        connection.up()
        for number, update in news or ():
            if update is not None:
                await updates.put(update)
            offset = number + 1
    await _confirm(bot, offset)


async def _news(bot: Bot, offset: int | None) -> list[tuple[int, Update | None]]:
    """Return the next updates by their numbers; None for one that is not understood, which would come for ever else."""
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
        logger.warning("an update is not understood (%s) and passed over", error)
        return None


async def _confirm(bot: Bot, offset: int | None) -> None:
    if offset is None:
        return
    try:
        async with asyncio.timeout(GOODBYE_SECONDS):
            await bot.get_updates(offset=offset, timeout=0, limit=1, allowed_updates=ALLOWED_UPDATES)
    except (TelegramError, TimeoutError):
        logger.info("Telegram did not hear which updates are done: the next start may get some again")


@dataclass(frozen=True, slots=True)
class Webhook:
    """By which address Telegram reaches us, where we listen for it, and the secret that shows that it is Telegram."""

    url: str
    secret: str
    host: str
    port: int


async def listen(
    webhook: Webhook, bot: Bot, updates: "asyncio.Queue[object]", connection: ConnectionState, stopped: asyncio.Event
) -> None:
    """Let Telegram bring its updates, and hand them on, until stopped; raises SettingsError where we cannot listen."""
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
        logger.info("Telegram brings its updates to %s:%d", webhook.host, webhook.port)
        await stopped.wait()
    except InvalidToken:
        raise refused_token() from None
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"IGSEARCH_TELEGRAM_WEBHOOK_LISTEN: nobody can listen at {webhook.host}:{webhook.port}"
            f" ({error}): choose another address or port."
        ) from error
    finally:
        if updater.running:
            await updater.stop()


class Trouble:
    """How long to rest after failures in a row, and what is said of them: once, not each time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._said: str | None = None
        self._conflict_said = float("-inf")
        self._refusals = 0

    def pause(self, error: TelegramError) -> float:
        """Say what is wrong, unless it was said, and return how many seconds to rest."""
        self._refusals = self._refusals + 1 if isinstance(error, InvalidToken) else 0
        if isinstance(error, Conflict):
            self._say_conflict(error)
        elif (said := f"{type(error).__name__}: {error}") != self._said:
            self._said = said
            logger.warning("Telegram gives no updates (%s): asking again until it does", said)
        return pause_after(error, self._backoff)

    @property
    def is_hopeless(self) -> bool:
        """Tell whether the token was refused several times in a row: once may be a proxy's fault."""
        return self._refusals >= REFUSALS

    def is_over(self) -> None:
        self._refusals = 0
        if self._said:
            logger.info("Telegram gives updates again")
        self._said = None
        self._backoff.reset()

    def _say_conflict(self, error: Conflict) -> None:
        if self._clock() - self._conflict_said > CONFLICT_SECONDS:
            self._conflict_said = self._clock()
            logger.error("another program asks for this bot's updates: stop it, or give each a token (%s)", error)


def pause_after(error: Exception, backoff: Backoff) -> float:
    return _seconds(error) if isinstance(error, RetryAfter) else backoff.next()


def refused_token() -> SettingsError:
    """Say so without the token, which the library's own message holds."""
    return SettingsError(
        "IGSEARCH_TELEGRAM_TOKEN: Telegram refuses it: copy the token from @BotFather again, and check"
        " IGSEARCH_TELEGRAM_API_URL where that is set."
    )


def is_gone(error: TelegramError) -> bool:
    """Tell whether a call failed for a reason that is nobody's fault: a message or chat is gone, or closed to us."""
    return isinstance(error, ChatMigrated | BadRequest | Forbidden)


def address_of(file: File, bot: Bot) -> str:
    """Return where a file is downloaded, which holds the token; raises DownloadFailed.

    The library would read a file of our own disk instead, if one lies at the path that the server names.
    """
    path = (file.file_path or "").removeprefix(f"{bot.base_file_url}/")
    if not path or path.startswith("/"):
        raise DownloadFailed("the Bot API server names no file to download: start it without --local")
    return f"{bot.base_file_url}/{quote(path)}"


def _seconds(error: RetryAfter) -> float:
    asked = error.retry_after
    return asked.total_seconds() if isinstance(asked, timedelta) else float(asked)
