"""Find the pictures in a Discord message or command, and the reasons why others cannot be searched. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from discord import Attachment, Embed, Message, MessageSnapshot, StickerFormatType

from answers.file_types import kind_of
from core.imaging.files import MAX_BYTES
from core.model.outcomes import Fault

STILL_STICKERS = (StickerFormatType.png, StickerFormatType.apng, StickerFormatType.gif)
MOST_PICTURES = 10
"""The most pictures searched in one message: as many as it can have attachments."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture on Discord's servers."""

    url: str


Carried = Picture | Fault


def carried_by(message: Message) -> list[Carried]:
    """Return the attachments, embedded pictures and stickers of a message and of those it forwards."""
    holders: list[Message | MessageSnapshot] = [message, *message.message_snapshots]
    found = [carried for holder in holders for carried in _carried(holder)]
    stickers = [Picture(sticker.url) for sticker in message.stickers if sticker.format in STILL_STICKERS]
    return [*found, *stickers][:MOST_PICTURES]


def _carried(message: Message | MessageSnapshot) -> Iterator[Carried]:
    yield from map(picture_of, message.attachments)
    for embed in message.embeds:
        yield from _embedded(embed)


def picture_of(attachment: Attachment) -> Carried:
    """Return an attachment as a picture, or why it cannot be searched, by the type and size that Discord gives."""
    if kind_of(attachment.filename, attachment.content_type) != "image":
        return "unsupported"
    return "too large" if attachment.size > MAX_BYTES else Picture(attachment.url)


def _embedded(embed: Embed) -> Iterator[Picture]:
    """Yield Discord's own copy of an embed's picture; the original's server may be anybody's and is never called."""
    for shown in (embed.image, embed.thumbnail):
        if shown.proxy_url:
            yield Picture(shown.proxy_url)
            return
