"""Everything that Discord keeps for a bot, and what it tells the bot of it."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.fakes.discord.calls import Call, Json
from tests.fakes.discord.channels import (
    ALL_PERMISSIONS,
    DEFAULT,
    DIRECT,
    GROUP_DIRECT,
    LARGEST_UPLOAD,
    REPLY,
    TEXT,
    AnyMessage,
    BotMessage,
    Channel,
    Guild,
    Message,
    member_of,
    message_frame,
    now,
    on_gateway,
    reference_of,
    without_original,
)
from tests.fakes.discord.commands import Commands
from tests.fakes.discord.content import Content
from tests.fakes.discord.files import Cdn
from tests.fakes.discord.gateway import VERSION, Event, Gateway, Intent, Session
from tests.fakes.discord.interactions import ACKNOWLEDGE_SECONDS, TOKEN_SECONDS, Interaction
from tests.fakes.discord.snowflakes import Snowflakes
from tests.journal import Journal

HIDDEN: Json = {"content": "", "embeds": [], "attachments": [], "components": []}
"""What stands in a message of others without the privileged intent."""


@dataclass(eq=False, repr=False)
class Platform:
    """The guilds, channels, people and interactions around one bot; `changed` guards them."""

    bot: Json
    journal: Journal[Call]
    gateway: Gateway
    new_id: Snowflakes
    files: Cdn
    commands: Commands
    acknowledge_seconds: float = ACKNOWLEDGE_SECONDS
    token_seconds: float = TOKEN_SECONDS
    guilds: dict[int, Guild] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    users: dict[int, Json] = field(default_factory=dict)
    interactions: dict[int, Interaction] = field(default_factory=dict)

    @property
    def changed(self) -> threading.Condition:
        return self.journal.changed

    @property
    def bot_id(self) -> int:
        return int(self.bot["id"])

    def greeting(self, session: Session) -> Iterator[Event]:
        """Yield what a new session is told first: READY with guilds by name only, and then each guild."""
        guilds = [guild for guild in self.guilds.values() if guild.has_bot]
        ready = {
            "v": VERSION,
            "user": self.bot | {"verified": True, "mfa_enabled": True, "email": None, "flags": 0},
            "user_settings": {},
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": f"{self.files.server.replace('http', 'ws', 1)}/resume",
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "application": {"id": self.bot["id"], "flags": 0},
            "private_channels": [],
            "presences": [],
            "relationships": [],
            "guild_join_requests": [],
            "_trace": [],
        }
        yield Event("READY", ready)
        if session.intents & Intent.GUILDS:
            yield from (Event("GUILD_CREATE", guild.raw(self.bot)) for guild in guilds)

    def add_guild(self, name: str, *, has_bot: bool, locale: str) -> Guild:
        guild = Guild(self.new_id(), name, has_bot=has_bot, locale=locale)
        with self.changed:
            self.guilds[guild.id] = guild
            guild.channels.append(self._keep(Channel(self.journal, self.new_id(), TEXT, "general", guild)))
            if has_bot:
                self._tell_of_joining(guild)
        return guild

    def add_bot(self, guild: Guild) -> None:
        with self.changed:
            guild.has_bot = True
            self._tell_of_joining(guild)

    def remove_bot(self, guild: Guild) -> None:
        with self.changed:
            guild.has_bot = False
            self.gateway.dispatch(Event("GUILD_DELETE", {"id": str(guild.id)}, Intent.GUILDS))

    def add_user(self, name: str, *, is_bot: bool) -> Json:
        user: Json = {
            "id": str(self.new_id()),
            "username": name,
            "global_name": name.title(),
            "discriminator": "0",
            "avatar": None,
            "avatar_decoration_data": None,
            "public_flags": 0,
        }
        with self.changed:
            self.users[int(user["id"])] = user = user | ({"bot": True} if is_bot else {})
        return user

    def add_direct_channel(self, *users: Json, name: str | None = None) -> Channel:
        """Add a talk of one person with the bot, or of several people without it."""
        kind = DIRECT if name is None else GROUP_DIRECT
        with self.changed:
            return self._keep(Channel(self.journal, self.new_id(), kind, name, recipients=list(users)))

    def direct_channel_of(self, user_id: int) -> Channel | None:
        for channel in self.channels.values():
            if channel.guild is None and [int(one["id"]) for one in channel.recipients] == [user_id]:
                return channel
        return None

    def receive(
        self, channel: Channel, author: Json, fields: Json, *, reply_to: AnyMessage | None, kind: int = DEFAULT
    ) -> Message:
        """Take a message of a person into a channel, and tell the bot as much of it as it may see."""
        reference: Json = {}
        if reply_to:
            reference = {
                "message_reference": reference_of(reply_to.raw),
                "referenced_message": without_original(reply_to.raw),
            }
        with self.changed:
            message_id = self.new_id()
            frame = message_frame(channel, message_id, author, REPLY if reply_to else kind)
            message = Message(channel, message_id, {**frame, **reference, **fields})
            channel.messages[message_id] = message
            self._tell("MESSAGE_CREATE", channel, self.seen(message.raw, channel))
        return message

    def correct(self, message: Message, fields: Json) -> None:
        """Take the new content of a person's message."""
        with self.changed:
            message.raw = {**message.raw, "edited_timestamp": now(), **fields}
            self._tell("MESSAGE_UPDATE", message.channel, self.seen(message.raw, message.channel))

    def seen(self, raw: Json, channel: Channel) -> Json:
        """Return a message as a bot sees it that was not granted the content of all messages.

        Full are only talks with the bot, its own messages, and those that mention it; the same holds for the
        message that one replies to.
        """
        original = raw.get("referenced_message")
        if original:
            raw = raw | {"referenced_message": self.seen(original, channel)}
        is_meant = any(user["id"] == self.bot["id"] for user in (*raw["mentions"], raw["author"]))
        return raw if is_meant or channel.guild is None else raw | HIDDEN

    def say(
        self,
        channel: Channel,
        body: Content,
        *,
        reply_to: AnyMessage | None = None,
        kind: int = DEFAULT,
        more: Json | None = None,
    ) -> BotMessage:
        """Take a message of the bot into a channel; what is ephemeral stands in none."""
        with self.changed:
            original = without_original(reply_to.raw) if reply_to else None
            kind = REPLY if reply_to else kind
            message = BotMessage(channel, self.new_id(), self.bot, body, kind, original, more or {})
            if not message.is_ephemeral:
                channel.messages[message.id] = message
            self._tell_of_own("MESSAGE_CREATE", message)
        return message

    def change(self, message: BotMessage, body: Content) -> None:
        """Take the new content of a message of the bot; to fill one that was loading is no edit."""
        with self.changed:
            message.edits += not message.is_loading
            message.show(body)
            self._tell_of_own("MESSAGE_UPDATE", message)

    def delete(self, message: AnyMessage) -> None:
        with self.changed:
            message.channel.messages.pop(message.id, None)
            if isinstance(message, BotMessage):
                message.is_deleted = True
            where = {"guild_id": str(message.channel.guild.id)} if message.channel.guild else {}
            ids = {"id": str(message.id), "channel_id": str(message.channel.id), **where}
            if message.channel.has_bot:
                self.gateway.dispatch(Event("MESSAGE_DELETE", ids, _intent(message.channel)))

    def interact(self, interaction: Interaction, *, locale: str, data: Json) -> Interaction:
        """Tell the bot what a person asks of it."""
        channel, guild, user = interaction.channel, interaction.channel.guild, interaction.user
        raw: Json = {
            "id": str(interaction.id),
            "application_id": self.bot["id"],
            "type": interaction.type,
            "token": interaction.token,
            "version": 1,
            "data": data,
            "channel": channel.raw_for_interaction,
            "channel_id": str(channel.id),
            "locale": locale,
            "app_permissions": ALL_PERMISSIONS,
            "entitlements": [],
            "entitlement_sku_ids": [],
            "authorizing_integration_owners": interaction.owners,
            "context": channel.context,
            "attachment_size_limit": LARGEST_UPLOAD,
        }
        if guild:
            raw |= {"guild_id": str(guild.id), "guild": guild.partial, "guild_locale": guild.locale}
            raw["member"] = member_of(user) | {"user": user, "permissions": ALL_PERMISSIONS}
        else:
            raw["user"] = user
        if interaction.source:
            raw["message"] = interaction.source.raw
        with self.changed:
            self.interactions[interaction.id] = interaction
            self.gateway.dispatch(Event("INTERACTION_CREATE", raw))
        return interaction

    def owners(self, channel: Channel, user: Json) -> dict[str, str]:
        """Return who let the bot in here: the guild, or else the person who installed it for themselves."""
        if not channel.has_bot:
            return {"1": user["id"]}
        return {"0": str(channel.guild.id) if channel.guild else "0"}

    def _keep(self, channel: Channel) -> Channel:
        self.channels[channel.id] = channel
        return channel

    def _tell_of_joining(self, guild: Guild) -> None:
        raw = {name: value for name, value in guild.raw(self.bot).items() if name != "unavailable"}
        self.gateway.dispatch(Event("GUILD_CREATE", raw, Intent.GUILDS))

    def _tell_of_own(self, name: str, message: BotMessage) -> None:
        """Tell the bot of its own message; what is ephemeral comes as if from a direct talk, by that intent."""
        if message.is_ephemeral and message.channel.has_bot:
            self.gateway.dispatch(Event(name, message.raw, Intent.DIRECT_MESSAGES))
            self.changed.notify_all()
        else:
            self._tell(name, message.channel, message.raw)

    def _tell(self, name: str, channel: Channel, raw: Json) -> None:
        if channel.has_bot:
            self.gateway.dispatch(Event(name, on_gateway(raw, channel), _intent(channel)))
        self.changed.notify_all()


def _intent(channel: Channel) -> Intent:
    return Intent.GUILD_MESSAGES if channel.guild else Intent.DIRECT_MESSAGES
