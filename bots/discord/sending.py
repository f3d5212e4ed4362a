"""Send pages, sentences and pictures to Discord, retry when the connection fails, and never mention anybody.

discord.py itself retries when Discord answers with 5xx, but gives up when the connection drops.
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

CONNECTION_ERRORS = (
    aiohttp.ClientError,
    AttributeError,  # raised by discord.py 2.7 if the first handshake of the gateway fails
    ConnectionClosed,
    GatewayNotFound,
    HTTPException,
    OSError,
    TimeoutError,
)
MAY_PASS = (aiohttp.ClientError, DiscordServerError, OSError, TimeoutError)
ATTEMPTS = 4
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 1.0
"""The pauses between attempts; Discord waits 3 s for an acknowledgement."""
ACKNOWLEDGED_ALREADY = 40060
NOBODY = AllowedMentions.none()

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RenderedReply:
    """A page of a reply, rendered for Discord."""

    embeds: list[Embed]
    pictures: Mapping[str, bytes]
    """The attached pictures, by the names of their files."""
    view: View
    """The buttons."""
    has_matches: bool

    @property
    def files(self) -> list[File]:
        """Return the pictures as files, anew for each attempt, since sending closes them."""
        return [File(BytesIO(data), name) for name, data in self.pictures.items()]

    async def answer(self, interaction: Interaction, *, is_for_all: bool) -> None:
        """Answer a command at once, visibly to everybody or to the requester only."""
        await _first_sign(
            lambda: interaction.response.send_message(
                embeds=self.embeds, files=self.files, view=self.view, ephemeral=not is_for_all, allowed_mentions=NOBODY
            )
        )

    async def replace(self, interaction: Interaction) -> None:
        """Replace the current answer to an interaction."""
        await _again(
            lambda: interaction.edit_original_response(
                embeds=self.embeds, attachments=self.files, view=self.view, allowed_mentions=NOBODY
            )
        )

    async def reply_privately(self, interaction: Interaction) -> None:
        """Answer the requester only, instead of with the public answer that was announced."""
        with suppress(NotFound):  # an earlier attempt deleted it, and only the response was lost
            await _again(interaction.delete_original_response)
        await _again(
            lambda: interaction.followup.send(
                embeds=self.embeds, files=self.files, view=self.view, ephemeral=True, allowed_mentions=NOBODY
            )
        )

    async def reply(self, message: Message) -> None:
        """Reply to a message; the nonce keeps a retry from posting the reply twice."""
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
    """Acknowledge a command whose answer will follow."""
    await _first_sign(lambda: interaction.response.defer(ephemeral=is_private, thinking=True))


async def acknowledge_button(interaction: Interaction) -> None:
    """Acknowledge a pressed button whose message will change."""
    await _first_sign(interaction.response.defer)


async def tell(interaction: Interaction, sentence: str) -> None:
    """Send a sentence to the requester only."""
    with excused():
        if interaction.response.is_done():
            await _again(lambda: interaction.followup.send(sentence, ephemeral=True, allowed_mentions=NOBODY))
            return
        await _first_sign(lambda: interaction.response.send_message(sentence, ephemeral=True, allowed_mentions=NOBODY))


async def tell_later(interaction: Interaction, said: str, picture: bytes | None = None) -> None:
    """Complete an acknowledged answer with a sentence and, optionally, a picture."""
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
    """Log and ignore a failed call: its message or interaction may be gone, or Discord may not answer."""
    try:
        yield
    except CONNECTION_ERRORS as error:
        logger.warning("a message could not be sent to Discord: %r", error)


async def _first_sign(call: Callable[[], Awaitable[object]]) -> None:
    """Make the call that acknowledges an interaction; if its response was lost, Discord says it has it already."""
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
