"""Decide what a Telegram message asks for: find its picture, its command, and whether it addresses the bot. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from telegram import (
    Animation,
    Document,
    ExternalReplyInfo,
    Message,
    MessageEntity,
    PhotoSize,
    Sticker,
    Update,
    Video,
    VideoNote,
)
from telegram.constants import ChatType, FileSizeLimit
from telegram.ext import filters

from answers.file_types import kind_of
from core.model.outcomes import Fault

MAX_DOWNLOAD_BYTES = int(FileSizeLimit.FILESIZE_DOWNLOAD)
COMMAND = re.compile(r"/(?P<name>[A-Za-z0-9_]{1,32})(?:@(?P<bot>[A-Za-z0-9_]+))?")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture on Telegram's servers."""

    file_id: str
    is_preview: bool = False
    """True if it is a small copy or a still of what was sent."""


Carried = Picture | Fault
"""The content of a message: a picture, or why the content cannot be searched."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to search for a picture."""

    carried: Carried
    """The content of the message, or of the one it replies to."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command to the bot."""

    name: str
    """In lower case, without the slash."""


Wish = Ask | Command | Literal["hint", "nothing"]
"""The request of a message; for "hint" the bot explains how to use it."""


def carried_by(message: Message | ExternalReplyInfo) -> Carried | None:
    """Return the picture of a message, or why its content cannot be searched; None if it has no file."""
    if message.photo:
        return _largest(message.photo)
    if message.sticker:
        return _of_sticker(message.sticker)
    if message.animation:
        return _of_animation(message.animation)
    if message.video or message.video_note:
        return _of_video(message.video or message.video_note)
    if message.document:
        return _of_document(message.document)
    return "unsupported" if message.audio or message.voice else None


def command_in(message: Message, username: str) -> str | None:
    """Return the command that a text or caption begins with, in lower case; None if there is none for this bot."""
    entities = message.entities or message.caption_entities
    if not any(entity.type == MessageEntity.BOT_COMMAND and entity.offset == 0 for entity in entities):
        return None
    found = COMMAND.match(message.text or message.caption or "")
    if not found or (found["bot"] or username).lower() != username.lower():
        return None
    return found["name"].lower()


def is_mentioned(message: Message, username: str, bot_id: int) -> bool:
    """Tell whether a text or caption mentions the bot."""
    mentions = message.parse_entities([MessageEntity.MENTION]) | message.parse_caption_entities([MessageEntity.MENTION])
    if any(name.lower() == f"@{username}".lower() for name in mentions.values()):
        return True
    entities = (*message.entities, *message.caption_entities)
    return any(entity.user and entity.user.id == bot_id for entity in entities)


def wish_of(message: Message, username: str, bot_id: int) -> Wish:
    """Decide what a message asks for; in a group only commands, mentions of the bot and replies to it count."""
    command = command_in(message, username)
    if command == "search":
        return _asked(message, message.reply_to_message, message.external_reply) or "hint"
    if message.chat.type == ChatType.PRIVATE:
        return _private_wish(message, command)
    if command:
        return Command(command)
    return _group_wish(message, username, bot_id)


def _private_wish(message: Message, command: str | None) -> Wish:
    if carried := carried_by(message):
        return Ask(carried)
    if command:
        return Command(command)
    return "nothing" if filters.StatusUpdate.ALL.check_update(Update(0, message=message)) else "hint"


def _group_wish(message: Message, username: str, bot_id: int) -> Wish:
    """Decide what a message in a group asks for; ignore files that are not pictures."""
    answered = message.reply_to_message
    replies_to_us = bool(answered and answered.from_user and answered.from_user.id == bot_id)
    is_addressed = is_mentioned(message, username, bot_id)
    if not is_addressed and not replies_to_us:
        return "nothing"
    if carried := carried_by(message):
        return Ask(carried) if isinstance(carried, Picture) or carried == "too large" else "nothing"
    if not is_addressed:
        return "nothing"
    return _asked(answered, message.external_reply) or "hint"


def _asked(*messages: Message | ExternalReplyInfo | None) -> Ask | None:
    """Return a request for the first content among these messages; None if none has any."""
    return next((Ask(carried) for message in messages if message and (carried := carried_by(message))), None)


def _largest(sizes: Sequence[PhotoSize]) -> Carried:
    """Return the largest size that may be downloaded; all are sizes of the photo itself, so none is a preview."""
    allowed = [size for size in sizes if _is_allowed(size)]
    best = max(allowed, key=lambda size: size.width * size.height, default=None)
    return Picture(best.file_id) if best else "too large"


def _of_sticker(sticker: Sticker) -> Carried:
    return _preview(sticker) if sticker.is_animated or sticker.is_video else Picture(sticker.file_id)


def _of_animation(animation: Animation) -> Carried:
    """Return the GIF itself, whose first frame is read, or the preview of one that Telegram stores as a video."""
    if animation.mime_type == "image/gif" and _is_allowed(animation):
        return Picture(animation.file_id, is_preview=True)
    return _preview(animation)


def _of_video(video: Video | VideoNote | None) -> Carried:
    """Return the cover that the sender chose, which is larger than the thumbnail; else the thumbnail."""
    cover = video.cover if isinstance(video, Video) else ()
    allowed = _largest(cover) if cover else None
    return Picture(allowed.file_id, is_preview=True) if isinstance(allowed, Picture) else _preview(video)


def _of_document(document: Document) -> Carried:
    kind = kind_of(document.file_name, document.mime_type)
    if kind == "video":
        return _preview(document)
    if kind != "image":
        return "unsupported"
    if _is_allowed(document):
        return Picture(document.file_id)
    preview = _preview(document)
    return preview if isinstance(preview, Picture) else "too large"


def _preview(sent: Sticker | Animation | Video | VideoNote | Document | None) -> Carried:
    thumbnail = sent.thumbnail if sent else None
    return Picture(thumbnail.file_id, is_preview=True) if thumbnail else "no preview"


def _is_allowed(file: PhotoSize | Animation | Document) -> bool:
    return (file.file_size or 0) <= MAX_DOWNLOAD_BYTES
