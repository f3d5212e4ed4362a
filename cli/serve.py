"""Carry out `igsearch watch`, `telegram`, `discord` and `run`: services that run until a signal stops them."""

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from answers.access import access_of
from answers.backend import READ_SECONDS, SearchBackend
from answers.match_pictures import MatchPictures
from cli.engine import engine_of
from cli.wiring import database_of, open_store, prepare, stopping
from core.dataset import Dataset
from core.errors import SettingsError
from core.model.statuses import FrontEnd
from core.originals.folder import FolderOriginals
from core.service.memory import limit_arenas
from core.service.meter import Meter
from core.service.supervision import Part as Service
from core.service.supervision import supervise
from core.service.systemd import announced, notifier
from core.settings import Settings
from core.storage.replies import Replies
from core.storage.store import Store
from core.workers.pool import PhotoWorkers
from core.workers.tasks import VERSIONS
from indexer.daemon import Daemon
from indexer.scanning.account_scan import ScanOptions
from indexer.schedule import Schedule

# ruff: noqa: PLC0415 - a chat's library takes 2 s to import, so only its bot does

Bot = Callable[[Settings, SearchBackend, asyncio.Event], Coroutine[None, None, None]]


async def watch(folder: Path | None) -> int:
    settings, dataset = prepare(folder, is_service=True)
    with _meter(settings, (), has_indexer=True) as meter:
        await _until_signal(settings, partial(_keep_index, settings, dataset, meter))
    return 0


async def telegram(folder: Path | None) -> int:
    settings, dataset = prepare(folder, is_service=True)
    if settings.telegram_token is None:
        raise _missing_token("TELEGRAM", "@BotFather gives one")
    return await _answer(settings, dataset, "telegram", _answer_telegram)


async def discord(folder: Path | None) -> int:
    settings, dataset = prepare(folder, is_service=True)
    if settings.discord_token is None:
        raise _missing_token("DISCORD", "Discord's developer portal gives one")
    return await _answer(settings, dataset, "discord", _answer_discord)


async def run(folder: Path | None) -> int:
    settings, dataset = prepare(folder, is_service=True)
    bots: dict[FrontEnd, Bot] = {"telegram": _answer_telegram, "discord": _answer_discord}
    async with AsyncExitStack() as stack:
        meter = stack.enter_context(_meter(settings, settings.front_ends, has_indexer=True))
        parts: dict[str, Service] = {"the indexer": partial(_keep_index, settings, dataset, meter)}
        if settings.front_ends:
            service = await stack.enter_async_context(_search_backend(settings, dataset, meter))
            parts |= {_name_of(name): partial(bots[name], settings, service) for name in settings.front_ends}
        await _until_signal(settings, partial(supervise, parts))
    return 0


async def _answer(settings: Settings, dataset: Dataset, front_end: FrontEnd, bot: Bot) -> int:
    """Run one bot until a signal stops it."""
    with _meter(settings, [front_end], has_indexer=False) as meter:
        async with _search_backend(settings, dataset, meter) as service:
            parts = {_name_of(front_end): partial(bot, settings, service)}
            await _until_signal(settings, partial(supervise, parts))
    return 0


def _name_of(front_end: FrontEnd) -> str:
    return f"the {front_end.capitalize()} bot"


def _missing_token(name: str, remedy: str) -> SettingsError:
    return SettingsError(f"IGSEARCH_{name}_TOKEN: it is missing; {remedy} (see docs/{name.lower()}.md).")


@asynccontextmanager
async def _search_backend(settings: Settings, dataset: Dataset, meter: Meter) -> AsyncIterator[SearchBackend]:
    """Open what every bot answers from, and turn off core dumps, which would keep what people send."""
    limit_arenas()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    async with PhotoWorkers(settings.workers, restarted=meter.worker_restarted) as reader:
        database = database_of(settings, dataset, read_seconds=READ_SECONDS, failed=meter.database_failed)
        store = Store(database, VERSIONS)
        engine = engine_of(store, reader)
        meter.index_is(lambda: engine.sizes)
        try:
            yield SearchBackend(
                engine=engine,
                workers=settings.workers,
                changes=store.changes,
                replies=Replies(database),
                pictures=MatchPictures(store, FolderOriginals(dataset, reader)),
                statuses=store.statuses,
                meter=meter,
                has_workers=lambda: reader.is_alive,
            )
        finally:
            await store.close()


async def _answer_telegram(settings: Settings, service: SearchBackend, stopped: asyncio.Event) -> None:
    """Run the Telegram bot until `stopped`."""
    from bots.telegram.bot import TelegramBot
    from bots.telegram.transport import new_bot, receiver

    token, secret = (
        each.get_secret_value() if each else "" for each in (settings.telegram_token, settings.telegram_webhook_secret)
    )
    access = access_of("telegram", settings.allowed_chats, settings.admins)
    receive = receiver(settings.telegram_webhook_url, secret=secret, address=settings.telegram_webhook_listen)
    await TelegramBot(new_bot(token, settings.telegram_api_url), access, service).run(receive, stopped)


async def _answer_discord(settings: Settings, service: SearchBackend, stopped: asyncio.Event) -> None:
    """Run the Discord bot until `stopped`."""
    from bots.discord.bot import DiscordBot

    token = settings.discord_token.get_secret_value() if settings.discord_token else ""
    await DiscordBot(token, access_of("discord", settings.allowed_guilds, settings.admins), service).run(stopped)


async def _keep_index(settings: Settings, dataset: Dataset, meter: Meter, stopped: asyncio.Event) -> None:
    """Run the daemon until `stopped`."""
    options = ScanOptions(dataset, settings.workers, clock=lambda: datetime.now(UTC))
    schedule = Schedule(settings.rescan)
    async with (
        PhotoWorkers(settings.workers, restarted=meter.worker_restarted) as reader,
        open_store(settings, dataset, failed=meter.database_failed) as store,
    ):
        daemon = Daemon(
            options,
            settings.settle_seconds,
            store=store,
            reader=reader,
            schedule=schedule,
            meter=meter,
            notify=notifier(settings.notify_socket),
        )
        loop = asyncio.get_running_loop()
        terminals = [number for number in range(3) if os.isatty(number)]

        def on_hangup() -> None:
            if all(map(os.isatty, terminals)):
                daemon.request_scan("SIGHUP", is_asked=True)
            else:  # the terminal that we were started in was closed
                stopped.set()

        loop.add_signal_handler(signal.SIGHUP, on_hangup)
        end = asyncio.create_task(_call_when(stopped, daemon.stop))
        try:
            await daemon.run()
        finally:
            end.cancel()
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)


async def _call_when(event: asyncio.Event, act: Callable[[], None]) -> None:
    await event.wait()
    act()


async def _until_signal(settings: Settings, service: Service) -> None:
    """Run a service until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    with stopping(stopped.set):
        async with announced(notifier(settings.notify_socket)):
            await service(stopped)


@contextmanager
def _meter(settings: Settings, front_ends: Sequence[FrontEnd], *, has_indexer: bool) -> Iterator[Meter]:
    """Return a meter that serves its figures if IGSEARCH_METRICS_LISTEN is set, else one that counts nothing."""
    if not settings.metrics_listen:
        yield Meter()
        return
    from core.service.metrics import Metrics

    metrics = Metrics(_version(), front_ends=front_ends, has_indexer=has_indexer)
    with metrics.served(settings.metrics_listen):
        yield metrics


def _version() -> str:
    try:
        return version("igsearch")
    except PackageNotFoundError:  # run from its folder
        return "unknown"
