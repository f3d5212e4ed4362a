"""Carry out `igsearch doctor`: run all checks in parallel and print their findings in order."""

import asyncio
import os
import resource
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Literal

from pydantic import SecretStr

from bots.identity import Introduction
from cli.doctor.checks import Machine, combined_checks
from cli.doctor.codecs import check_codecs
from cli.doctor.dataset import check_dataset, check_events, take_inventory
from cli.doctor.facts import read_facts
from cli.doctor.finding import Finding, finding_json, finding_text, fix, ok, skipped
from cli.doctor.machine import System
from cli.doctor.runner import CheckRunner
from cli.doctor.settings import check_settings
from cli.doctor.storage_space import check_cache
from cli.wiring import cache_folder
from core.dataset import Dataset
from core.service.logs import start_logging
from core.settings import Reading, Settings, default_database, read_settings
from core.storage.database import sqlite_url

# ruff: noqa: PLC0415 - a chat's library takes 2 s to import, and is needed only if its token is set


async def doctor(dataset: Path | None, *, as_json: bool) -> int:
    reading = read_settings()
    start_logging("CRITICAL", reading.settings.log_format, reading.settings.tokens)
    runner = CheckRunner(reading.settings.tokens)
    await _examine(runner, reading, dataset or reading.settings.dataset)
    for finding in runner.findings:
        print(finding_json(finding) if as_json else finding_text(finding))
    code = 0 if runner.is_well else 1
    if runner.has_left_behind:  # Python would wait for the thread that hangs
        sys.stdout.flush()
        os._exit(code)
    return code


async def _examine(runner: CheckRunner, reading: Reading, root: Path) -> None:
    """Gather the facts in parallel, then make the checks that need several of them."""
    settings, cache, look, check = reading.settings, cache_folder(), runner.look, runner.check
    url = settings.database_url.get_secret_value() if settings.database_url else sqlite_url(default_database(root))
    others = asyncio.gather(
        check("settings", partial(check_settings, reading)),
        check("codecs", check_codecs),
        check("cache", partial(check_cache, cache)),
    )
    inventory, facts, telegram, discord = await asyncio.gather(
        look("dataset", partial(take_inventory, Dataset(root))),
        look("database", lambda: asyncio.run(read_facts(url, _now))),
        look("telegram", partial(_meet_telegram, settings)),
        look("discord", partial(_meet_discord, settings)),
    )
    await others
    runner.note(
        *_judged("telegram", settings.telegram_token, telegram), *_judged("discord", settings.discord_token, discord)
    )
    machine = Machine(
        now=_now(),
        photos=inventory.expected_photos if inventory else 0,
        workers=settings.workers,
        cache=cache,
        temporary=gettempdir,
        system=System(address_space=resource.getrlimit(resource.RLIMIT_AS)[0]),
        telegram_ahead=telegram.clock_ahead if telegram else None,
    )
    await asyncio.gather(
        check("dataset", partial(check_dataset, inventory)),
        check("events", partial(check_events, inventory)),
        *[check(name, work) for name, work in combined_checks(machine, facts).items()],
    )


def _judged(
    check: Literal["telegram", "discord"], token: SecretStr | None, introduction: Introduction | None
) -> list[Finding]:
    """Judge the answer of a chat's server about our token; if there is none, the runner has noted why."""
    if token is None:
        return [skipped(check, f"there is no token (IGSEARCH_{check.upper()}_TOKEN)")]
    if introduction is None:
        return []
    if introduction.fault:
        return [fix(check, introduction.fault)]
    return [ok(check, f"the bot is @{introduction.name}" if introduction.name else "the token is accepted")]


def _meet_telegram(settings: Settings) -> Introduction | None:
    if settings.telegram_token is None:
        return None
    from bots.telegram.identity import introduce

    return asyncio.run(introduce(settings.telegram_token.get_secret_value(), settings.telegram_api_url, _now))


def _meet_discord(settings: Settings) -> Introduction | None:
    if settings.discord_token is None:
        return None
    from bots.discord.identity import introduce

    return asyncio.run(introduce(settings.discord_token.get_secret_value()))


def _now() -> datetime:
    return datetime.now(UTC)
