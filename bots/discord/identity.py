"""Ask Discord who our bot is, for `igsearch doctor`, and word its refusal of a token."""

import asyncio

from discord import Client, Intents, LoginFailure

from bots.discord.sending import CONNECTION_ERRORS
from bots.identity import Introduction
from core.errors import SettingsError

ANSWER_SECONDS = 8.0


async def introduce(token: str) -> Introduction:
    """Ask which bot this token belongs to, without going online; nothing that is returned contains the token."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS), Client(intents=Intents.none()) as client:
            await client.login(token)
            return Introduction(client.user.name if client.user else None)
    except LoginFailure:
        return Introduction(None, fault=str(refused_token()))
    except CONNECTION_ERRORS as error:
        fault = f"Discord does not answer ({type(error).__name__}): check that discord.com can be reached from here."
        return Introduction(None, fault=fault)


def refused_token() -> SettingsError:
    """Return the error for a refused token, without the token itself."""
    return SettingsError(
        "IGSEARCH_DISCORD_TOKEN: Discord refuses it: copy the token from the developer portal (Bot > Reset Token)."
    )
