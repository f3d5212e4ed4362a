"""People who write to the bot, press its buttons and block it."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from tests.fakes.telegram.chats import (
    AnyMessage,
    BotMessage,
    Chat,
    Group,
    Json,
    Message,
    Press,
    Telegram,
    without_original,
    words_of,
)
from tests.fakes.telegram.files import extension_of
from tests.journal import PATIENCE_SECONDS

BLOCKED = "bot was blocked by the user"
KICKED = "bot was kicked from the supergroup chat"


class Around(TypedDict, total=False):
    """What may surround anything that a person sends; the chat is the private one unless given."""

    chat: Chat | None
    caption: str | None
    reply_to: AnyMessage | None
    media_group_id: str | None


@dataclass(eq=False)
class Person:
    """Somebody who writes, privately or in groups."""

    telegram: Telegram = field(repr=False)
    raw: Json
    chat: Chat

    @property
    def id(self) -> int:
        return int(self.raw["id"])

    def sends_text(self, text: str, **around: Unpack[Around]) -> Message:
        return self._sends(words_of("text", text), **around)

    def sends_photo(self, data: bytes, *, file_size: int | None = None, **around: Unpack[Around]) -> Message:
        return self._sends({"photo": self.telegram.files.photo_sizes(data, size=file_size)}, **around)

    def sends_album(
        self, photos: Sequence[bytes], *, captions: Sequence[str] = (), **around: Unpack[Around]
    ) -> list[Message]:
        """Send photos as one album, which comes as messages of one media_group_id, one update each."""
        album = str(secrets.randbits(53))
        groups: list[Around] = [{"media_group_id": album, **around} for _ in photos]
        for group, caption in zip(groups, captions, strict=False):
            group["caption"] = caption
        with self.telegram.changed:
            return [self.sends_photo(photo, **group) for photo, group in zip(photos, groups, strict=True)]

    def sends_document(
        self,
        data: bytes,
        *,
        file_name: str | None = None,
        mime_type: str | None = None,
        thumbnail: bytes | None = None,
        file_size: int | None = None,
        **around: Unpack[Around],
    ) -> Message:
        extension = extension_of(file_name or "")
        names = {"file_name": file_name, "mime_type": mime_type}
        fields = {name: value for name, value in names.items() if value}
        document = self._file("document", data, extension=extension, thumbnail=thumbnail, size=file_size)
        return self._sends({"document": document | fields}, **around)

    def sends_sticker(
        self,
        data: bytes,
        *,
        is_animated: bool = False,
        is_video: bool = False,
        thumbnail: bytes | None = None,
        **around: Unpack[Around],
    ) -> Message:
        extension = "tgs" if is_animated else "webm" if is_video else "webp"
        fields = {
            "type": "regular",
            "width": 512,
            "height": 512,
            "is_animated": is_animated,
            "is_video": is_video,
            "emoji": "🙂",
            "set_name": "Tests",
        }
        sticker = self._file("sticker", data, extension=extension, thumbnail=thumbnail)
        return self._sends({"sticker": fields | sticker}, **around)

    def sends_animation(
        self,
        data: bytes,
        *,
        thumbnail: bytes | None = None,
        mime_type: str = "video/mp4",
        file_size: int | None = None,
        **around: Unpack[Around],
    ) -> Message:
        """Send a GIF, which the real server sends on as animation and as document, for old bots."""
        extension = mime_type.rpartition("/")[2]
        file = self._file("animation", data, extension=extension, thumbnail=thumbnail, size=file_size)
        document = file | {"file_name": f"animation.{extension}", "mime_type": mime_type}
        animation = document | {"width": 320, "height": 240, "duration": 3}
        return self._sends({"animation": animation, "document": document}, **around)

    def sends_video(
        self,
        data: bytes,
        *,
        thumbnail: bytes | None = None,
        file_size: int | None = None,
        **around: Unpack[Around],
    ) -> Message:
        file = self._file("video", data, extension="mp4", thumbnail=thumbnail, size=file_size)
        video = file | {"width": 640, "height": 360, "duration": 10, "mime_type": "video/mp4"}
        return self._sends({"video": video}, **around)

    def sends_video_note(self, data: bytes, *, thumbnail: bytes | None = None, **around: Unpack[Around]) -> Message:
        file = self._file("video_note", data, extension="mp4", thumbnail=thumbnail)
        return self._sends({"video_note": file | {"length": 240, "duration": 5}}, **around)

    def sends_voice(self, data: bytes, **around: Unpack[Around]) -> Message:
        file = self._file("voice", data, extension="oga")
        return self._sends({"voice": file | {"duration": 2, "mime_type": "audio/ogg"}}, **around)

    def edits_caption(self, message: Message, caption: str) -> Message:
        return self.telegram.correct(message, words_of("caption", caption))

    def edits_text(self, message: Message, text: str) -> Message:
        return self.telegram.correct(message, words_of("text", text))

    def deletes(self, message: AnyMessage) -> None:
        """Delete a message for everybody, of which a bot is told nothing."""
        self.telegram.delete(message)

    def joins(self, group: Group) -> Message:
        return self._sends({"new_chat_members": [self.raw]}, chat=group)

    def leaves(self, group: Group) -> Message:
        return self._sends({"left_chat_member": self.raw}, chat=group)

    def pins(self, message: AnyMessage) -> Message:
        return self._sends({"pinned_message": without_original(message.raw)}, chat=message.chat)

    def blocks(self) -> None:
        """Block the bot in the private chat; whatever the person sends there unblocks it."""
        self._changes_the_bot(self.chat, "kicked", forbidden=BLOCKED)

    def removes_bot(self, group: Group) -> None:
        self._changes_the_bot(group, "kicked", forbidden=KICKED)

    def adds_bot(self, group: Group) -> Message:
        self._changes_the_bot(group, "member", forbidden=None)
        return self._sends({"new_chat_members": [self.telegram.bot]}, chat=group)

    def presses(self, message: BotMessage, data_or_text: str) -> Press:
        """Press the button that bears this text or carries this data."""
        buttons = [button for row in message.buttons for button in row]
        fitting = [button.data for button in buttons if data_or_text in (button.data, button.text)]
        assert fitting, f"no button {data_or_text!r} among {buttons}"
        assert fitting[0] is not None, f"button {data_or_text!r} opens a link"
        return self.presses_raw(message, fitting[0])

    def presses_raw(self, message: BotMessage, data: str) -> Press:
        """Send the data of a button that need not exist, as a hostile client can."""
        return self.telegram.press(self.raw, message, data)

    def answers_to(self, message: AnyMessage) -> list[BotMessage]:
        return message.chat.answers_to(message)

    def answer_to(self, message: AnyMessage, *, seconds: float = PATIENCE_SECONDS) -> BotMessage:
        return message.chat.answer_to(message, seconds=seconds)

    def _file(
        self, kind: str, data: bytes, *, extension: str, thumbnail: bytes | None = None, size: int | None = None
    ) -> Json:
        files = self.telegram.files
        small = {"thumbnail": files.thumbnail(thumbnail)} if thumbnail else {}
        return files.keep(data, kind=kind, extension=extension, size=size).raw | small

    def _sends(self, content: Json, **around: Unpack[Around]) -> Message:
        fields = {"from": self.raw, **content, **words_of("caption", around.get("caption"))}
        if around.get("media_group_id"):
            fields["media_group_id"] = around["media_group_id"]
        original = around.get("reply_to")
        if original:
            fields["reply_to_message"] = without_original(original.raw)
        return self.telegram.receive(around.get("chat") or self.chat, fields, kind="message")

    def _changes_the_bot(self, chat: Chat, status: str, *, forbidden: str | None) -> None:
        with self.telegram.changed:
            before = "kicked" if chat.forbidden else "member"
            chat.forbidden = forbidden
            change = {
                "chat": chat.raw,
                "from": self.raw,
                "date": int(time.time()),
                "old_chat_member": self._membership(before),
                "new_chat_member": self._membership(status),
            }
            self.telegram.updates.put("my_chat_member", change)

    def _membership(self, status: str) -> Json:
        until = {"until_date": 0} if status == "kicked" else {}
        return {"user": self.telegram.bot, "status": status, **until}
