"""`igsearch doctor`: all that igsearch needs, looked at side by side."""

import asyncio
import os
import resource
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import gettempdir

from platformdirs import user_cache_path

from core.doctor.cache import check_cache
from core.doctor.codecs import check_codecs
from core.doctor.conclusions import Machine, conclusions
from core.doctor.examination import Examination
from core.doctor.facts import read_facts
from core.doctor.finding import Introduction, finding_json, finding_text, without_token
from core.doctor.memory import System
from core.doctor.variables import check_settings
from core.service.logs import start_logging
from core.settings import Reading, Settings, default_database, read_settings
from core.storage.database import sqlite_url
from indexer.premises import check_dataset, check_events, take_inventory

# ruff: noqa: PLC0415 - a chat's library takes 2 s to import, and is asked only where its token is set


async def doctor(dataset: Path | None, *, as_json: bool) -> int:
    reading = read_settings()
    start_logging("CRITICAL", reading.settings.log_format, reading.settings.tokens)
    examination = Examination(reading.settings.tokens)
    await _examine(examination, reading, dataset or reading.settings.dataset)
    for finding in examination.findings:
        print(finding_json(finding) if as_json else finding_text(finding))
    code = 0 if examination.is_well else 1
    if examination.has_left_behind:  # Python would wait at its end for what hangs
        sys.stdout.flush()
        os._exit(code)
    return code


async def _examine(examination: Examination, reading: Reading, root: Path) -> None:
    """Look at everything side by side, and then judge what takes several things to be known."""
    settings, cache, look, check = reading.settings, user_cache_path("igsearch"), examination.look, examination.check
    url = settings.database_url.get_secret_value() if settings.database_url else sqlite_url(default_database(root))
    others = asyncio.gather(
        check("settings", partial(check_settings, reading)),
        check("codecs", check_codecs),
        check("cache", partial(check_cache, cache)),
    )
    inventory, facts, telegram, discord = await asyncio.gather(
        look("dataset", partial(take_inventory, root)),
        look("database", lambda: asyncio.run(read_facts(url, _now))),
        look("telegram", partial(_meet_telegram, settings)),
        look("discord", partial(_meet_discord, settings)),
    )
    await others
    examination.note(*(met.finding for met in (telegram, discord) if met))
    machine = Machine(
        now=_now(),
        photos=inventory.expected_photos if inventory else 0,
        workers=settings.workers,
        cache=cache,
        temporary=gettempdir,
        system=System(address_space=resource.getrlimit(resource.RLIMIT_AS)[0]),
        telegram_ahead=telegram.ahead if telegram else None,
    )
    await asyncio.gather(
        check("dataset", partial(check_dataset, inventory)),
        check("events", partial(check_events, inventory)),
        *[check(name, work) for name, work in conclusions(machine, facts).items()],
    )


def _meet_telegram(settings: Settings) -> Introduction:
    if settings.telegram_token is None:
        return without_token("telegram")
    from bots.telegram.identity import introduce

    return asyncio.run(introduce(settings.telegram_token.get_secret_value(), settings.telegram_api_url, _now))


def _meet_discord(settings: Settings) -> Introduction:
    if settings.discord_token is None:
        return without_token("discord")
    from bots.discord.identity import introduce

    return asyncio.run(introduce(settings.discord_token.get_secret_value()))


def _now() -> datetime:
    return datetime.now(UTC)
