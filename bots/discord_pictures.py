"""The pictures that a Discord message or command carries: what to download, or why not. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from discord import Attachment, Embed, Message

from bots.files import kind_of
from core.model import Fault
from core.photos import MAX_BYTES

MOST_PICTURES = 10
"""Searched of one message: as many as it can carry attachments."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that Discord holds."""

    url: str


Carried = Picture | Fault


def carried_by(message: Message) -> list[Carried]:
    """Return what a message carries: its attachments, then the pictures of its embeds."""
    attached = map(picture_of, message.attachments)
    return [*attached, *(picture for embed in message.embeds for picture in _embedded(embed))][:MOST_PICTURES]


def picture_of(attachment: Attachment) -> Carried:
    """Return an attachment as a picture, or why it is none, by what Discord says of it."""
    if kind_of(attachment.filename, attachment.content_type) != "image":
        return "unsupported"
    return "too large" if attachment.size > MAX_BYTES else Picture(attachment.url)


def _embedded(embed: Embed) -> Iterator[Picture]:
    """Yield an embed's picture by Discord's own copy: the original's server is anybody's, and never asked."""
    for shown in (embed.image, embed.thumbnail):
        if shown.proxy_url:
            yield Picture(shown.proxy_url)
            return
