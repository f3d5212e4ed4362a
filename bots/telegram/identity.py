"""Ask Telegram who our bot is and what time it is there, for `igsearch doctor`."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
from telegram.error import InvalidToken, TelegramError

from bots.identity import Introduction
from bots.telegram.transport import NOT_UNDERSTOOD, new_bot, refused_token

ANSWER_SECONDS = 8.0


async def introduce(token: str, api_url: str, clock: Callable[[], datetime]) -> Introduction:
    """Ask which bot this token belongs to; nothing that is returned contains the token."""
    introduction, ahead = await asyncio.gather(_introduction(token, api_url), _ahead(api_url, clock))
    return replace(introduction, clock_ahead=ahead)


async def _introduction(token: str, api_url: str) -> Introduction:
    bot = new_bot(token, api_url)
    try:
        async with asyncio.timeout(ANSWER_SECONDS), bot:
            return Introduction(bot.username)
    except InvalidToken:
        return Introduction(None, fault=str(refused_token()))
    except (TelegramError, TimeoutError, *NOT_UNDERSTOOD) as error:
        return Introduction(
            None,
            fault=f"{urlsplit(api_url).hostname} does not answer as Telegram does ({type(error).__name__}): check that"
            " it can be reached from here, and that IGSEARCH_TELEGRAM_API_URL is right if you set it.",
        )


async def _ahead(api_url: str, clock: Callable[[], datetime]) -> timedelta | None:
    try:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as client:
            answer = await client.head(api_url)
        return parsedate_to_datetime(answer.headers["date"]) - clock()
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError):
        return None
