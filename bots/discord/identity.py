"""Ask Discord who our bot is, for `igsearch doctor`; and what is said where Discord refuses a token."""

import asyncio

from discord import Client, Intents, LoginFailure

from bots.discord.sending import WAY_BROKEN
from bots.identity import Introduction
from core.errors import SettingsError

ANSWER_SECONDS = 8.0


async def introduce(token: str) -> Introduction:
    """Ask who the bot is with this token, without going online; nothing returned holds the token."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS), Client(intents=Intents.none()) as client:
            await client.login(token)
            return Introduction(client.user.name if client.user else None)
    except LoginFailure:
        return Introduction(None, fault=str(refused_token()))
    except WAY_BROKEN as error:
        fault = f"Discord does not answer ({type(error).__name__}): see whether discord.com can be reached from here."
        return Introduction(None, fault=fault)


def refused_token() -> SettingsError:
    """Say so without the token."""
    return SettingsError(
        "IGSEARCH_DISCORD_TOKEN: Discord refuses it: copy the token from the developer portal (Bot > Reset Token)."
    )
