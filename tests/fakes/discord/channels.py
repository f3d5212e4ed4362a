"""Guilds, channels, and the messages that stand in them."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from tests.fakes.discord.calls import Call, Json, Refusal
from tests.fakes.discord.content import EPHEMERAL, LINK_STYLE, LOADING, Button, Content, Embed, Pings
from tests.journal import PATIENCE_SECONDS, Journal

TEXT, DIRECT, GROUP_DIRECT = 0, 1, 3
"""Types of channels."""
IN_GUILD, WITH_BOT, PRIVATE = 0, 1, 2
"""Contexts of interactions."""
DEFAULT, JOINED, REPLY, SLASH_ANSWER, MENU_ANSWER = 0, 7, 19, 20, 23
"""Types of messages."""
ALL_PERMISSIONS = str(2**50 - 1)
LARGEST_UPLOAD = 10 * 1024 * 1024


def now() -> str:
    return datetime.now(UTC).isoformat()


@dataclass(eq=False)
class Guild:
    """A server with one text channel; without the bot, people use there what they installed for themselves."""

    id: int
    name: str
    has_bot: bool
    locale: str
    joined_at: str = field(default_factory=now)
    channels: list["Channel"] = field(default_factory=list, repr=False)

    @property
    def channel(self) -> "Channel":
        return self.channels[0]

    @property
    def partial(self) -> Json:
        return {"id": str(self.id), "locale": self.locale, "features": []}

    def raw(self, bot: Json) -> Json:
        """Return the guild as GUILD_CREATE tells of it."""
        everyone = {
            "id": str(self.id),
            "name": "@everyone",
            "permissions": ALL_PERMISSIONS,
            "position": 0,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "icon": None,
            "unicode_emoji": None,
            "flags": 0,
        }
        empty = ("threads", "emojis", "stickers", "features", "presences", "voice_states", "stage_instances")
        return {
            "id": str(self.id),
            "name": self.name,
            "icon": None,
            "description": None,
            "owner_id": str(self.id + 1),
            "preferred_locale": self.locale,
            "roles": [everyone],
            "channels": [channel.raw for channel in self.channels],
            "members": [member_of(bot) | {"user": bot}],
            "member_count": 2,
            "large": False,
            "unavailable": False,
            "joined_at": self.joined_at,
            "verification_level": 0,
            "default_message_notifications": 1,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "nsfw_level": 0,
            "premium_tier": 0,
            "afk_timeout": 300,
            "system_channel_id": None,
            "system_channel_flags": 0,
            **{name: [] for name in (*empty, "guild_scheduled_events", "soundboard_sounds", "activity_instances")},
        }


@dataclass(eq=False)
class Channel:
    """A conversation: in a guild, with the bot, or among people without it."""

    journal: Journal[Call] = field(repr=False)
    id: int
    type: int
    name: str | None = None
    guild: Guild | None = None
    recipients: list[Json] = field(default_factory=list, repr=False)
    messages: dict[int, "AnyMessage"] = field(default_factory=dict, repr=False)
    typing_at: list[float] = field(default_factory=list, repr=False)
    refusal: Refusal | None = None
    nonces: dict[str, "BotMessage"] = field(default_factory=dict, repr=False)

    @property
    def context(self) -> int:
        if self.guild:
            return IN_GUILD
        return WITH_BOT if self.type == DIRECT and len(self.recipients) == 1 else PRIVATE

    @property
    def has_bot(self) -> bool:
        """Return whether the bot may read and write here by itself."""
        return self.guild.has_bot if self.guild else self.context == WITH_BOT

    @property
    def bot_messages(self) -> list["BotMessage"]:
        """What the bot said here for all to see and did not delete, in order."""
        with self.journal.changed:
            return [message for message in self.messages.values() if isinstance(message, BotMessage)]

    def answers_to(self, message: "AnyMessage") -> list["BotMessage"]:
        return [answer for answer in self.bot_messages if answer.reply_to == message.id]

    def answer_to(self, message: "AnyMessage", *, seconds: float = PATIENCE_SECONDS) -> "BotMessage":
        """Wait for the first message of the bot that replies to this one."""
        what = f"an answer to message {message.id} in channel {self.id}"
        self.journal.until(lambda: bool(self.answers_to(message)), seconds=seconds, what=what)
        return self.answers_to(message)[0]

    def next_bot_message(self, *, after: "AnyMessage", seconds: float = PATIENCE_SECONDS) -> "BotMessage":
        """Wait for the first message of the bot that stands below this one."""

        def below() -> list[BotMessage]:
            return [message for message in self.bot_messages if message.id > after.id]

        what = f"a message after {after.id} in channel {self.id}"
        self.journal.until(lambda: bool(below()), seconds=seconds, what=what)
        return below()[0]

    @property
    def raw(self) -> Json:
        raw: Json = {"id": str(self.id), "type": self.type, "last_message_id": self._last_id, "flags": 0}
        if self.guild is None:
            return raw | {"recipients": self.recipients} | ({"name": self.name} if self.type == GROUP_DIRECT else {})
        return raw | {
            "guild_id": str(self.guild.id),
            "name": self.name,
            "position": 0,
            "parent_id": None,
            "topic": None,
            "nsfw": False,
            "rate_limit_per_user": 0,
            "permission_overwrites": [],
        }

    @property
    def raw_for_interaction(self) -> Json:
        """Return the channel as an interaction carries it: with permissions, and in guilds only there."""
        raw = {name: value for name, value in self.raw.items() if name != "permission_overwrites"}
        return raw | ({"permissions": ALL_PERMISSIONS} if self.guild else {"recipient_flags": 0})

    @property
    def _last_id(self) -> str | None:
        return str(max(self.messages)) if self.messages else None


@dataclass(eq=False)
class Message:
    """A message of a person."""

    channel: Channel
    id: int
    raw: Json


@dataclass(eq=False, repr=False)
class BotMessage:
    """A message of the bot, which shows what it says now: it changes when the bot edits it."""

    channel: Channel
    id: int
    author: Json = field(repr=False)
    body: Content
    type: int = DEFAULT
    original: Json | None = field(default=None, repr=False)
    more: Json = field(default_factory=dict, repr=False)
    at: float = field(default_factory=time.monotonic)
    created: str = field(default_factory=now)
    edits: int = 0
    is_deleted: bool = False
    pings: Pings = field(init=False)
    """Whom any version of it would notify."""

    def __post_init__(self) -> None:
        self.pings = self.body.pings(self._replied_to)

    def __repr__(self) -> str:
        return f"<message {self.id}: {self.words!r} {self.buttons}>"

    @property
    def content(self) -> str:
        return self.body.text

    @property
    def embeds(self) -> list[Embed]:
        return [Embed.of(raw) for raw in self.body.shown_embeds]

    @property
    def words(self) -> str:
        """Return everything that it says, in its text and in its embeds."""
        return "\n".join(words for words in (self.content, *(embed.words for embed in self.embeds)) if words)

    @property
    def components(self) -> list[list[Button]]:
        return [[_button(part) for part in row.get("components") or []] for row in self.body.components]

    @property
    def buttons(self) -> list[Button]:
        return list(chain.from_iterable(self.components))

    @property
    def files(self) -> dict[str, bytes]:
        """Return its files by name, those in embeds too."""
        return {attachment.filename: attachment.data for attachment in self.body.attachments}

    @property
    def allowed_mentions(self) -> Json | None:
        return self.body.allowed_mentions

    @property
    def is_ephemeral(self) -> bool:
        """Return whether only the person whom it answers sees it."""
        return bool(self.body.flags & EPHEMERAL)

    @property
    def is_loading(self) -> bool:
        """Return whether it says that the bot is thinking."""
        return bool(self.body.flags & LOADING)

    @property
    def is_edited(self) -> bool:
        return self.edits > 0

    @property
    def reply_to(self) -> int | None:
        return int(self.original["id"]) if self.original else None

    def show(self, body: Content) -> None:
        """Take new content in the place of the old."""
        self.body = body
        self.pings |= body.pings(self._replied_to)

    @property
    def raw(self) -> Json:
        reference = (
            {"message_reference": reference_of(self.original), "referenced_message": self.original}
            if self.original
            else {}
        )
        return {
            **message_frame(self.channel, self.id, self.author, self.type),
            **self.body.raw,
            "timestamp": self.created,
            "edited_timestamp": now() if self.edits else None,
            "mentions": [self.original["author"]] if self.original and self._replied_to in self.pings.users else [],
            "mention_everyone": self.pings.everyone or self.pings.here,
            "mention_roles": [str(role) for role in self.pings.roles],
            **reference,
            **self.more,
        }

    @property
    def _replied_to(self) -> int | None:
        return int(self.original["author"]["id"]) if self.original else None


AnyMessage = Message | BotMessage


def message_frame(channel: Channel, message_id: int, author: Json, kind: int) -> Json:
    """Return what every message has besides its content; the guild and the member are for the gateway alone."""
    return {
        "id": str(message_id),
        "channel_id": str(channel.id),
        "type": kind,
        "author": author,
        "tts": False,
        "pinned": False,
        "timestamp": now(),
        "edited_timestamp": None,
        "mentions": [],
        "mention_everyone": False,
        "mention_roles": [],
        "flags": 0,
        "components": [],
        "embeds": [],
        "attachments": [],
        "content": "",
    }


def on_gateway(raw: Json, channel: Channel) -> Json:
    """Return a message as an event carries it."""
    if channel.guild is None:
        return raw | {"channel_type": channel.type}
    where = {"guild_id": str(channel.guild.id), "channel_type": channel.type}
    return raw | where | {"member": member_of(raw["author"])}


def reference_of(raw: Json) -> Json:
    return {"type": 0, "message_id": raw["id"], "channel_id": raw["channel_id"]}


def without_original(raw: Json) -> Json:
    """Return a message as a reply carries it: its own referenced_message is left out."""
    return {name: value for name, value in raw.items() if name != "referenced_message"}


def member_of(user: Json) -> Json:
    """Return a user's membership without the user."""
    return {
        "roles": [],
        "nick": None,
        "avatar": None,
        "banner": None,
        "joined_at": "2024-01-01T00:00:00.000000+00:00",
        "premium_since": None,
        "communication_disabled_until": None,
        "pending": False,
        "deaf": False,
        "mute": False,
        "flags": 0,
    }


def mentions_of(users: list[Json], *, is_guild: bool) -> list[Json]:
    return [user | ({"member": member_of(user)} if is_guild else {}) for user in users]


def _button(part: dict[str, Any]) -> Button:
    emoji = part.get("emoji") or {}
    return Button(
        label=part.get("label") or "",
        custom_id=part.get("custom_id"),
        url=part.get("url") if part.get("style") == LINK_STYLE else None,
        is_disabled=bool(part.get("disabled")),
        style=int(part.get("style") or 0),
        emoji=emoji.get("name"),
    )
