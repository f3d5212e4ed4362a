"""What is said to Discord: pages, sentences and pictures; again where the way breaks, and nobody is ever mentioned.

discord.py tries again what Discord answers with 5xx, but gives up at a dropped connection.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeVar

import aiohttp
from discord import (
    AllowedMentions,
    ConnectionClosed,
    DiscordServerError,
    Embed,
    File,
    GatewayNotFound,
    HTTPException,
    Message,
    NotFound,
)
from discord import Interaction as AnyInteraction
from discord.abc import Messageable
from discord.ui import View

from core.service.backoff import Backoff

Interaction = AnyInteraction[Any]

WAY_BROKEN = (
    aiohttp.ClientError,
    AttributeError,  # what discord.py 2.7 raises where the first handshake of the gateway fails
    ConnectionClosed,
    GatewayNotFound,
    HTTPException,
    OSError,
    TimeoutError,
)
MAY_PASS = (aiohttp.ClientError, DiscordServerError, OSError, TimeoutError)
ATTEMPTS = 4
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 1.0
"""Between attempts; the first sign has 3 s."""
ACKNOWLEDGED_ALREADY = 40060
NOBODY = AllowedMentions.none()

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RenderedReply:
    """A page of a reply as Discord shows it; the pictures by the names of their files."""

    embeds: list[Embed]
    pictures: Mapping[str, bytes]
    view: View
    has_matches: bool

    @property
    def files(self) -> list[File]:
        """Return the pictures to be sent, anew for each attempt: sending closes them."""
        return [File(BytesIO(data), name) for name, data in self.pictures.items()]

    async def answer(self, interaction: Interaction, *, is_for_all: bool) -> None:
        """Answer a command at once, everybody or who asked alone."""
        await _first_sign(
            lambda: interaction.response.send_message(
                embeds=self.embeds, files=self.files, view=self.view, ephemeral=not is_for_all, allowed_mentions=NOBODY
            )
        )

    async def replace(self, interaction: Interaction) -> None:
        """Put it in the place of what answers an interaction."""
        await _again(
            lambda: interaction.edit_original_response(
                embeds=self.embeds, attachments=self.files, view=self.view, allowed_mentions=NOBODY
            )
        )

    async def reply_privately(self, interaction: Interaction) -> None:
        """Tell who asked alone, in the place of an answer that everybody would see."""
        with suppress(NotFound):  # an earlier attempt deleted it, and only its answer got lost
            await _again(interaction.delete_original_response)
        await _again(
            lambda: interaction.followup.send(
                embeds=self.embeds, files=self.files, view=self.view, ephemeral=True, allowed_mentions=NOBODY
            )
        )

    async def reply(self, message: Message) -> None:
        """Reply to a message; by its nonce, what Discord has already is not said twice."""
        await _again(
            lambda: message.reply(
                embeds=self.embeds,
                files=self.files,
                view=self.view,
                nonce=message.id,
                mention_author=False,
                allowed_mentions=NOBODY,
            )
        )


async def acknowledge(interaction: Interaction, *, is_private: bool) -> None:
    """Say that an answer is on its way."""
    await _first_sign(lambda: interaction.response.defer(ephemeral=is_private, thinking=True))


async def acknowledge_button(interaction: Interaction) -> None:
    """Say that the message of a pressed button will change."""
    await _first_sign(interaction.response.defer)


async def tell(interaction: Interaction, sentence: str) -> None:
    """Say something to who asked alone."""
    with excused():
        if interaction.response.is_done():
            await _again(lambda: interaction.followup.send(sentence, ephemeral=True, allowed_mentions=NOBODY))
            return
        await _first_sign(lambda: interaction.response.send_message(sentence, ephemeral=True, allowed_mentions=NOBODY))


async def tell_later(interaction: Interaction, said: str, picture: bytes | None = None) -> None:
    """Put a sentence, and perhaps a picture, in the place of an answer that was on its way."""
    await _again(
        lambda: interaction.edit_original_response(
            content=said,
            attachments=[File(BytesIO(picture), "match.jpg")] if picture else [],
            allowed_mentions=NOBODY,
        )
    )


async def reply(message: Message, sentence: str) -> None:
    """Reply to a message with a sentence."""
    await _again(lambda: message.reply(sentence, nonce=message.id, mention_author=False, allowed_mentions=NOBODY))


async def show_typing(channel: Messageable) -> None:
    with excused():
        await channel.typing()


@contextmanager
def excused() -> Iterator[None]:
    """Let a call fail whose message or interaction is gone, or for which Discord had no ear; the log says so."""
    try:
        yield
    except WAY_BROKEN as error:
        logger.warning("Discord did not take what was said: %r", error)


async def _first_sign(call: Callable[[], Awaitable[object]]) -> None:
    """Make the call that acknowledges an interaction; where its answer got lost, Discord knows it already."""
    try:
        await _again(call)
    except HTTPException as error:
        if error.code != ACKNOWLEDGED_ALREADY:
            raise


async def _again(call: Callable[[], Awaitable[T]]) -> T:
    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    for _ in range(ATTEMPTS - 1):
        try:
            return await call()
        except MAY_PASS:
            await asyncio.sleep(backoff.next())
    return await call()
