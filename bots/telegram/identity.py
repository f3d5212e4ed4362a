"""Ask Telegram who our bot is, and what time it is there, for `igsearch doctor`."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
from telegram.error import InvalidToken, TelegramError

from bots.telegram.transport import NOT_UNDERSTOOD, new_bot, refused_token
from core.doctor.finding import Finding, Introduction, fix, ok

ANSWER_SECONDS = 8.0


async def introduce(token: str, api_url: str, clock: Callable[[], datetime]) -> Introduction:
    """Ask who the bot is with this token; nothing said holds the token."""
    finding, ahead = await asyncio.gather(_finding(token, api_url), _ahead(api_url, clock))
    return Introduction(finding, ahead)


async def _finding(token: str, api_url: str) -> Finding:
    bot = new_bot(token, api_url)
    try:
        async with asyncio.timeout(ANSWER_SECONDS), bot:
            return ok("telegram", f"the bot is @{bot.username}")
    except InvalidToken:
        return fix("telegram", str(refused_token()))
    except (TelegramError, TimeoutError, *NOT_UNDERSTOOD) as error:
        return fix(
            "telegram",
            f"{urlsplit(api_url).hostname} does not answer as Telegram does ({type(error).__name__}): see whether it"
            " can be reached from here, and check IGSEARCH_TELEGRAM_API_URL where that is set.",
        )


async def _ahead(api_url: str, clock: Callable[[], datetime]) -> timedelta | None:
    try:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as client:
            answer = await client.head(api_url)
        return parsedate_to_datetime(answer.headers["date"]) - clock()
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError):
        return None
