"""Chats, what stands in them, and what Telegram keeps besides for a bot."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple, TypeVar

from tests.fakes.telegram.calls import Call
from tests.fakes.telegram.files import Files
from tests.fakes.telegram.text import Mark, Text, find_entities
from tests.fakes.telegram.updates import Updates
from tests.journal import PATIENCE_SECONDS, Journal

Json = dict[str, Any]

# User ids have outgrown 32 bits, and group ids begin with -100.
FIRST_PERSON_ID = 7_000_000_001
FIRST_GROUP_ID = -1_002_000_000_001
NOT_STARTED = "bot can't initiate conversation with a user"


class Action(NamedTuple):
    """A chat action such as "typing", and when it came."""

    action: str
    at: float


class Button(NamedTuple):
    """A button of an inline keyboard: it carries data or opens a link."""

    text: str
    data: str | None
    url: str | None


@dataclass(frozen=True)
class Message:
    """A message that a person sent, or that tells of an event in a chat."""

    chat: "Chat"
    message_id: int
    raw: Json


@dataclass(frozen=True)
class Content:
    """What a message of the bot says and shows."""

    text: Text
    html: str
    markup: Json | None = None
    media: Json = field(default_factory=dict)
    photo: bytes | None = None
    document: bytes | None = None

    @property
    def raw(self) -> Json:
        words, entities = ("caption", "caption_entities") if self.media else ("text", "entities")
        fields = {words: self.text.plain, entities: self.text.raw_entities, "reply_markup": self.markup}
        return {**self.media, **{name: value for name, value in fields.items() if value}}


@dataclass(eq=False)
class BotMessage:
    """A message of the bot, which shows what it says now: it changes when the bot edits it."""

    chat: "Chat"
    message_id: int
    sender: Json = field(repr=False)
    content: Content
    original: Json | None = field(repr=False)
    at: float = field(default_factory=time.monotonic)
    date: int = field(default_factory=lambda: int(time.time()))
    edits: int = 0
    is_deleted: bool = False

    @property
    def text(self) -> str:
        """What it says, without markup: its text, or its caption."""
        return self.content.text.plain

    @property
    def caption(self) -> str | None:
        return self.text if self.content.media else None

    @property
    def html(self) -> str:
        """What it says, as the bot sent it."""
        return self.content.html

    @property
    def entities(self) -> list[Mark]:
        return self.content.text.marks

    @property
    def buttons(self) -> list[list[Button]]:
        rows = (self.content.markup or {}).get("inline_keyboard", [])
        return [[Button(one["text"], one.get("callback_data"), one.get("url")) for one in row] for row in rows]

    @property
    def photo(self) -> bytes | None:
        return self.content.photo

    @property
    def document(self) -> bytes | None:
        return self.content.document

    @property
    def reply_to(self) -> int | None:
        return self.original["message_id"] if self.original else None

    @property
    def raw(self) -> Json:
        raw = {
            "message_id": self.message_id,
            "from": self.sender,
            "chat": self.chat.raw,
            "date": self.date,
            **self.content.raw,
        }
        if self.edits:
            raw["edit_date"] = int(time.time())
        return raw | ({"reply_to_message": self.original} if self.original else {})


AnyMessage = Message | BotMessage
AnyChat = TypeVar("AnyChat", bound="Chat")


@dataclass(eq=False)
class Chat:
    """A conversation; a private one unless a subclass says otherwise."""

    telegram: "Telegram" = field(repr=False)
    raw: Json
    numbers: Iterator[int] = field(repr=False)
    forbidden: str | None = None
    messages: dict[int, AnyMessage] = field(default_factory=dict, repr=False)
    actions: list[Action] = field(default_factory=list, repr=False)

    @property
    def id(self) -> int:
        return int(self.raw["id"])

    @property
    def bot_messages(self) -> list[BotMessage]:
        """What the bot said here and did not delete, in order."""
        with self.telegram.changed:
            return [message for message in self.messages.values() if isinstance(message, BotMessage)]

    def answers_to(self, message: AnyMessage) -> list[BotMessage]:
        return [answer for answer in self.bot_messages if answer.reply_to == message.message_id]

    def answer_to(self, message: AnyMessage, *, seconds: float = PATIENCE_SECONDS) -> BotMessage:
        """Wait for the first message of the bot that replies to this one."""
        self._until(lambda: bool(self.answers_to(message)), seconds, f"an answer to message {message.message_id}")
        return self.answers_to(message)[0]

    def next_bot_message(self, *, after: AnyMessage, seconds: float = PATIENCE_SECONDS) -> BotMessage:
        """Wait for the first message of the bot that stands below this one."""

        def below() -> list[BotMessage]:
            return [message for message in self.bot_messages if message.message_id > after.message_id]

        self._until(lambda: bool(below()), seconds, f"a message after {after.message_id}")
        return below()[0]

    def shows_the_bot(self, message: Message) -> bool:
        """Return whether the bot is sent a message of a person."""
        return self.forbidden is None

    def _until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        self.telegram.journal.until(condition, seconds=seconds, what=f"{what} in chat {self.id}")


@dataclass(eq=False)
class Group(Chat):
    """A supergroup with the bot in it."""

    has_privacy: bool = True

    def shows_the_bot(self, message: Message) -> bool:
        if self.forbidden:
            return False
        return not self.has_privacy or _is_meant_for(self.telegram.bot, message.raw)


@dataclass(eq=False)
class Channel(Chat):
    """A channel with the bot as its administrator; what is posted there has no sender."""

    def posts_photo(self, data: bytes, *, caption: str | None = None) -> Message:
        photo = {"photo": self.telegram.files.photo_sizes(data)}
        return self._posts({**photo, **words_of("caption", caption)})

    def posts_text(self, text: str) -> Message:
        return self._posts(words_of("text", text))

    def _posts(self, content: Json) -> Message:
        return self.telegram.receive(self, {"sender_chat": self.raw, **content}, kind="channel_post")


class PressAnswer(NamedTuple):
    """What answerCallbackQuery said, and how long that took."""

    text: str
    show_alert: bool
    seconds: float


@dataclass(eq=False)
class Press:
    """A press of a button, which waits for its answer with a turning circle."""

    journal: Journal[Call] = field(repr=False)
    id: str = field(default_factory=lambda: str(secrets.randbits(62)))
    at: float = field(default_factory=time.monotonic)
    answered: PressAnswer | None = None

    def answer(self, *, seconds: float = PATIENCE_SECONDS) -> PressAnswer:
        """Wait for the answer."""
        self.journal.until(lambda: self.answered is not None, seconds=seconds, what="an answer to a press")
        assert self.answered
        return self.answered

    def take(self, text: str, *, show_alert: bool) -> None:
        with self.journal.changed:
            self.answered = PressAnswer(text, show_alert, time.monotonic() - self.at)
            self.journal.changed.notify_all()


@dataclass(eq=False, repr=False)
class Telegram:
    """Everything that Telegram keeps for a bot; `changed` guards it."""

    bot: Json
    journal: Journal[Call]
    updates: Updates
    files: Files = field(default_factory=Files)
    chats: dict[int, Chat] = field(default_factory=dict)
    presses: dict[str, Press] = field(default_factory=dict)
    commands: dict[tuple[str, str], list[dict[str, str]]] = field(default_factory=dict)
    profile: dict[tuple[str, str], str] = field(default_factory=dict)
    person_ids: Iterator[int] = field(default_factory=lambda: count(FIRST_PERSON_ID))
    group_ids: Iterator[int] = field(default_factory=lambda: count(FIRST_GROUP_ID, -1))
    # One bot's private chats share their message numbers, every group has its own.
    private_numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def changed(self) -> threading.Condition:
        return self.journal.changed

    def add_private_chat(self, first_name: str) -> Chat:
        raw = {"id": next(self.person_ids), "first_name": first_name, "type": "private"}
        return self._keep(Chat(self, raw, self.private_numbers, forbidden=NOT_STARTED))

    def add_group(self, title: str, *, has_privacy: bool) -> Group:
        raw = {"id": next(self.group_ids), "title": title, "type": "supergroup"}
        return self._keep(Group(self, raw, count(1), has_privacy=has_privacy))

    def add_channel(self, title: str) -> Channel:
        raw = {"id": next(self.group_ids), "title": title, "type": "channel"}
        return self._keep(Channel(self, raw, count(1)))

    def receive(self, chat: Chat, fields: Json, *, kind: str) -> Message:
        """Take a message of a person into a chat, and send it on to the bot if that may see it."""
        with self.changed:
            if chat.raw["type"] == "private":
                chat.forbidden = None
            message_id = next(chat.numbers)
            raw = {"message_id": message_id, "chat": chat.raw, "date": int(time.time()), **fields}
            return self._show(Message(chat, message_id, raw), kind)

    def correct(self, message: Message, words: Json) -> Message:
        """Take the new words of an edited message."""
        kept = {name: value for name, value in message.raw.items() if name not in ("entities", "caption_entities")}
        raw = {**kept, "edit_date": int(time.time()), **words}
        kind = "edited_channel_post" if "sender_chat" in raw else "edited_message"
        with self.changed:
            return self._show(Message(message.chat, message.message_id, raw), kind)

    def say(self, chat: Chat, content: Content, *, reply_to: AnyMessage | None) -> BotMessage:
        """Take a message of the bot into a chat."""
        with self.changed:
            original = without_original(reply_to.raw) if reply_to else None
            message = BotMessage(chat, next(chat.numbers), self.bot, content, original)
            chat.messages[message.message_id] = message
            self.changed.notify_all()
        return message

    def change(self, message: BotMessage, content: Content) -> None:
        """Take the new content of a message that the bot edited."""
        with self.changed:
            message.content = content
            message.edits += 1
            self.changed.notify_all()

    def delete(self, message: AnyMessage) -> None:
        with self.changed:
            message.chat.messages.pop(message.message_id, None)
            if isinstance(message, BotMessage):
                message.is_deleted = True
            self.changed.notify_all()

    def act(self, chat: Chat, action: str) -> None:
        with self.changed:
            chat.actions.append(Action(action, time.monotonic()))
            self.changed.notify_all()

    def press(self, user: Json, message: BotMessage, data: str) -> Press:
        press = Press(self.journal)
        with self.changed:
            self.presses[press.id] = press
            query = {"id": press.id, "from": user, "message": message.raw, "data": data}
            self.updates.put("callback_query", {**query, "chat_instance": str(message.chat.id)})
        return press

    def _show(self, message: Message, kind: str) -> Message:
        message.chat.messages[message.message_id] = message
        if message.chat.shows_the_bot(message):
            self.updates.put(kind, message.raw)
        self.changed.notify_all()
        return message

    def _keep(self, chat: AnyChat) -> AnyChat:
        with self.changed:
            self.chats[chat.id] = chat
        return chat


def words_of(name: str, words: str | None) -> Json:
    if not words:
        return {}
    entities = [entity.raw for entity in find_entities(words)]
    named = "entities" if name == "text" else "caption_entities"
    return {name: words} | ({named: entities} if entities else {})


def without_original(raw: Json) -> Json:
    """Return a message as a reply carries it: its own reply_to_message is left out."""
    return {name: value for name, value in raw.items() if name != "reply_to_message"}


def _is_meant_for(bot: Json, raw: Json) -> bool:
    """Return whether a bot in privacy mode is sent a message."""
    words = raw.get("text") or raw.get("caption") or ""
    is_service = any(name in raw for name in ("new_chat_members", "left_chat_member", "pinned_message"))
    is_reply = raw.get("reply_to_message", {}).get("from", {}).get("id") == bot["id"]
    marks = Text(words, tuple(find_entities(words))).marks
    return is_service or is_reply or any(_addresses(bot["username"].lower(), mark) for mark in marks)


def _addresses(username: str, mark: Mark) -> bool:
    named = mark.text.lower()
    if mark.kind == "bot_command":
        return "@" not in named or named.endswith(f"@{username}")
    return (mark.kind, named) == ("mention", f"@{username}")
