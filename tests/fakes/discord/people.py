"""People who use the bot's commands, press its buttons and write to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.fakes.discord.calls import Json, Refusal
from tests.fakes.discord.channels import (
    JOINED,
    AnyMessage,
    BotMessage,
    Channel,
    Guild,
    Message,
    member_of,
    mentions_of,
)
from tests.fakes.discord.commands import GROUP, MESSAGE_MENU, SLASH, SUBCOMMAND, is_usable
from tests.fakes.discord.content import BUTTON, Button
from tests.fakes.discord.files import AT_ONCE, LINK_SECONDS, Attachment, Serving
from tests.fakes.discord.interactions import COMMAND, COMPONENT, Interaction
from tests.fakes.discord.platform import Platform
from tests.journal import PATIENCE_SECONDS

STRING, INTEGER, BOOLEAN, USER, NUMBER, ATTACHMENT = 3, 4, 5, 6, 10, 11
"""Types of options."""
CLOSED = (403, 50007, "Cannot send messages to this user")

File = Attachment | tuple[str, bytes, str | None]
"""A file as `attaches` returns it, or its name, bytes and type."""


@dataclass(eq=False)
class Person:
    """Somebody with a direct talk with the bot, and one with others, into which they bring it themselves."""

    platform: Platform = field(repr=False)
    raw: Json
    locale: str
    direct: Channel = field(repr=False)
    private: Channel = field(repr=False)

    @property
    def id(self) -> int:
        return int(self.raw["id"])

    def attaches(
        self,
        filename: str,
        data: bytes,
        content_type: str | None = "image/jpeg",
        *,
        size: int | None = None,
        link_seconds: float = LINK_SECONDS,
        serving: Serving = AT_ONCE,
    ) -> Attachment:
        """Upload a file; Discord may tell another size of it, and serve it badly."""
        return self.platform.files.keep(
            data, filename, content_type, size=size, link_seconds=link_seconds, serving=serving
        )

    def uses_command(
        self,
        name: str,
        options: Mapping[str, object] | None = None,
        *,
        where: Channel | Guild | None = None,
        seconds: float = PATIENCE_SECONDS,
    ) -> Interaction:
        """Use a slash command, as soon as the bot has synced it; the words of a group's command stand in one name."""
        channel = self._place(where)
        root, *steps = name.split()
        command = self._find(root, SLASH, channel, seconds)
        definition, wrap = command, []
        for step in steps:
            definition = next(one for one in definition["options"] if one["name"] == step)
            wrap.append(definition)
        resolved: Json = {}
        filled = list(self._fill(definition, options or {}, resolved, channel))
        for step_definition in reversed(wrap):
            assert step_definition["type"] in (SUBCOMMAND, GROUP)
            filled = [{"name": step_definition["name"], "type": step_definition["type"], "options": filled}]
        more = {"options": filled} | ({"resolved": resolved} if resolved else {})
        return self._interacts(COMMAND, name, channel, _command_data(command) | more)

    def uses_message_menu(self, name: str, message: AnyMessage, *, seconds: float = PATIENCE_SECONDS) -> Interaction:
        """Choose a command in the menu of a message; the bot gets that message whole."""
        command = self._find(name, MESSAGE_MENU, message.channel, seconds)
        resolved = {"messages": {str(message.id): message.raw}}
        data = _command_data(command) | {"target_id": str(message.id), "resolved": resolved}
        return self._interacts(COMMAND, name, message.channel, data, is_menu=True)

    def presses(self, message: BotMessage, label_or_custom_id: str) -> Interaction:
        """Press the button that bears this label or carries this id."""
        fitting = [one for one in message.buttons if label_or_custom_id in (one.custom_id, one.label, one.emoji)]
        assert fitting, f"no button {label_or_custom_id!r} among {message.buttons}"
        assert not message.is_deleted, "the message is deleted"
        return self.presses_raw(message, _pressable(fitting[0]))

    def presses_raw(self, message: BotMessage, custom_id: str) -> Interaction:
        """Send the id of a button that need not exist, as a hostile client may try."""
        data = {"component_type": BUTTON, "custom_id": custom_id, "id": 2}
        return self._interacts(COMPONENT, custom_id, message.channel, data, source=message)

    def sends_message(
        self,
        text: str = "",
        *,
        attachments: Sequence[File] = (),
        embeds: Sequence[Json] = (),
        mentions_bot: bool = False,
        reply_to: AnyMessage | None = None,
        where: Channel | Guild | None = None,
    ) -> Message:
        """Write; the bot is sent what it may see of it.

        A reply notifies whom it replies to, and so mentions the bot, unless that message answered an interaction
        (discord-api-docs#5395).
        """
        channel = self._place(where)
        bot = self.platform.bot
        text = f"<@{bot['id']}> {text}".strip() if mentions_bot else text
        is_told = isinstance(reply_to, BotMessage) and "interaction_metadata" not in reply_to.more
        mentioned = [bot] if mentions_bot or is_told or f"<@{bot['id']}>" in text else []
        fields = {
            "content": text,
            "attachments": [self._kept(file).raw for file in attachments],
            "embeds": list(embeds),
            "mentions": mentions_of(mentioned, is_guild=channel.guild is not None),
        }
        if channel is self.direct:
            channel.refusal = None
        return self.platform.receive(channel, self.raw, fields, reply_to=reply_to)

    def edits(self, message: Message, **fields: object) -> None:
        """Change a message; Discord does so too, when it has found the preview of a link."""
        self.platform.correct(message, fields)

    def deletes(self, message: AnyMessage) -> None:
        self.platform.delete(message)

    def joins(self, guild: Guild) -> Message:
        """Come into a guild, of which a message tells."""
        return self.platform.receive(guild.channel, self.raw, {}, reply_to=None, kind=JOINED)

    def adds_bot(self, guild: Guild) -> None:
        self.platform.add_bot(guild)

    def removes_bot(self, guild: Guild) -> None:
        self.platform.remove_bot(guild)

    def closes_direct(self) -> None:
        """Take no more messages of the bot; whatever the person sends it opens the talk again."""
        with self.platform.changed:
            self.direct.refusal = Refusal(*CLOSED)

    def _place(self, where: Channel | Guild | None) -> Channel:
        if where is None:
            return self.direct
        return where.channel if isinstance(where, Guild) else where

    def _find(self, name: str, kind: int, channel: Channel, seconds: float) -> Json:
        """Wait until the bot has synced a command that people see in a channel."""
        commands = self.platform.commands
        scope = channel.guild.id if channel.guild and channel.guild.has_bot else None
        install = 0 if channel.has_bot else 1

        def is_seen() -> bool:
            command = commands.find(name, kind, scope)
            return command is not None and is_usable(command, channel.context, install)

        what = f"command {name!r} for context {channel.context} and installation {install}"
        self.platform.journal.until(is_seen, seconds=seconds, what=what)
        command = commands.find(name, kind, scope)
        assert command
        return command

    def _fill(self, definition: Json, values: Mapping[str, object], resolved: Json, channel: Channel) -> Iterator[Json]:
        """Yield the options that a person fills in, as their client lets them."""
        known = {option["name"]: option for option in definition.get("options") or []}
        assert not set(values) - set(known), f"no option {set(values) - set(known)} in {definition['name']!r}"
        missing = [name for name, option in known.items() if option.get("required") and name not in values]
        assert not missing, f"{missing} must be given"
        for name, value in values.items():
            filled = self._resolve(value, resolved, channel)
            choices = [choice["value"] for choice in known[name].get("choices") or []]
            assert not choices or filled in choices, f"{filled!r} is none of {choices}"
            yield {"name": name, "type": known[name]["type"], "value": filled}

    def _resolve(self, value: object, resolved: Json, channel: Channel) -> object:
        if isinstance(value, Person):
            resolved.setdefault("users", {})[str(value.id)] = value.raw
            if channel.guild:
                resolved.setdefault("members", {})[str(value.id)] = member_of(value.raw) | {"permissions": "0"}
            return str(value.id)
        if isinstance(value, Attachment) or (isinstance(value, tuple) and len(value) == 3):
            attachment = self._kept(value)
            resolved.setdefault("attachments", {})[str(attachment.id)] = attachment.raw | {"ephemeral": True}
            return str(attachment.id)
        return value

    def _kept(self, file: File) -> Attachment:
        return file if isinstance(file, Attachment) else self.attaches(*file)

    def _interacts(
        self,
        kind: int,
        name: str,
        channel: Channel,
        data: Json,
        *,
        source: BotMessage | None = None,
        is_menu: bool = False,
    ) -> Interaction:
        interaction = Interaction(
            self.platform.journal,
            self.platform.new_id(),
            kind,
            name,
            self.raw,
            channel,
            is_menu=is_menu,
            source=source,
            owners=self.platform.owners(channel, self.raw),
            acknowledge_seconds=self.platform.acknowledge_seconds,
            token_seconds=self.platform.token_seconds,
        )
        return self.platform.interact(interaction, locale=self.locale, data=data)


def _command_data(command: Json) -> Json:
    where = {"guild_id": command["guild_id"]} if "guild_id" in command else {}
    return {"id": command["id"], "name": command["name"], "type": command["type"], **where}


def _pressable(button: Button) -> str:
    assert not button.is_disabled, f"button {button.label!r} is disabled"
    assert button.custom_id is not None, f"button {button.label!r} opens a link"
    return button.custom_id
