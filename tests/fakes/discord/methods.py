"""The methods of Discord's REST interface that igsearch may call, with the checks and the words of the real server."""

import mimetypes
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tests.fakes.discord.calls import Form, Json, Refusal, refuse_form
from tests.fakes.discord.channels import MENU_ANSWER, SLASH_ANSWER, AnyMessage, BotMessage, Channel
from tests.fakes.discord.commands import Scope, without_localisations
from tests.fakes.discord.content import (
    EPHEMERAL,
    LARGEST_FILE,
    LOADING,
    MOST_FILES,
    Content,
    changed,
    check_message,
    refuse_if_empty,
)
from tests.fakes.discord.files import Attachment
from tests.fakes.discord.interactions import (
    ANSWER,
    COMPONENT,
    DEFERRED_ANSWER,
    DEFERRED_UPDATE,
    MODAL,
    UPDATE,
    Deferral,
    Interaction,
)
from tests.fakes.discord.platform import Platform
from tests.fakes.discord.snowflakes import is_snowflake

MOST_FOLLOWUPS_OF_GUESTS = 5
"""Where a person uses what they installed for themselves, the bot may add so many messages to its answer."""
TO_COMMANDS = frozenset({ANSWER, DEFERRED_ANSWER, MODAL})
TO_COMPONENTS = TO_COMMANDS | {DEFERRED_UPDATE, UPDATE}
KEPT_FLAGS = EPHEMERAL | 1 << 2 | 1 << 12
NO_MESSAGE = (404, 10008, "Unknown Message")
NO_WEBHOOK = (404, 10015, "Unknown Webhook")
NO_ACCESS = (403, 50001, "Missing Access")


class Upload(NamedTuple):
    filename: str
    data: bytes


@dataclass(frozen=True)
class Request:
    """What a call brought; a body is the same in JSON and in a form's `payload_json`."""

    ids: Mapping[str, str]
    body: Any = None
    files: Mapping[int, Upload] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    def id(self, name: str) -> int:
        if not is_snowflake(self.ids[name]):
            refuse_form((f"{name}_id",), "NUMBER_TYPE_COERCE", f'Value "{self.ids[name]}" is not snowflake.')
        return int(self.ids[name])

    def is_true(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("1", "true")

    @property
    def fields(self) -> Json:
        if not isinstance(self.body, dict):
            raise Refusal(400, 50109, "The request body contains invalid JSON.")
        return self.body


Method = Callable[[Platform, Request], object]


class Route(NamedTuple):
    """A method, the form of its path, and what carries it out."""

    method: str
    path: str
    carry_out: Method
    needs_token: bool = True

    def match(self, path: str) -> dict[str, str] | None:
        """Return the ids in a path, if it is of this form."""
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path), path)
        return found.groupdict() if found else None


def get_gateway(platform: Platform, request: Request) -> Json:
    return {"url": f"{platform.files.server.replace('http', 'ws', 1)}/gateway"}


def get_bot_gateway(platform: Platform, request: Request) -> Json:
    started = len(platform.gateway.identifies)
    limit = {"total": 1000, "remaining": 1000 - started, "reset_after": 14_400_000, "max_concurrency": 1}
    return {**get_gateway(platform, request), "shards": 1, "session_start_limit": limit}


def get_me(platform: Platform, request: Request) -> Json:
    return platform.bot | {"verified": True, "mfa_enabled": True, "email": None, "locale": "en-US", "flags": 0}


def get_user(platform: Platform, request: Request) -> Json:
    user = platform.users.get(request.id("user"))
    if user is None:
        raise Refusal(404, 10013, "Unknown User")
    return user


def get_application(platform: Platform, request: Request) -> Json:
    return {
        "id": platform.bot["id"],
        "name": platform.bot["username"],
        "icon": None,
        "description": "",
        "summary": "",
        "type": None,
        "bot": platform.bot,
        "bot_public": True,
        "bot_require_code_grant": False,
        "owner": next(iter(platform.users.values())),
        "team": None,
        "verify_key": "0" * 64,
        "flags": 0,
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "approximate_guild_count": sum(guild.has_bot for guild in platform.guilds.values()),
        "approximate_user_install_count": 0,
        "integration_types_config": {"0": {}, "1": {}},
    }


def open_direct_channel(platform: Platform, request: Request) -> Json:
    recipient = str(request.fields.get("recipient_id"))
    channel = platform.direct_channel_of(int(recipient)) if is_snowflake(recipient) else None
    if channel is None:
        refuse_form(("recipient_id",), "INVALID_RECIPIENT", "Invalid Recipient(s)")
    return channel.raw


def get_channel(platform: Platform, request: Request) -> Json:
    return _channel(platform, request).raw


def start_typing(platform: Platform, request: Request) -> None:
    _writable(platform, request).typing_at.append(time.monotonic())


def create_message(platform: Platform, request: Request) -> Json:
    channel, body = _writable(platform, request), request.fields
    nonce = str(body["nonce"]) if body.get("enforce_nonce") and body.get("nonce") else None
    if nonce in channel.nonces:
        return channel.nonces[nonce].raw
    content = _content(platform, request, body)
    refuse_if_empty(content)
    message = platform.say(channel, content, reply_to=_replied_to(channel, body.get("message_reference")))
    if nonce:
        channel.nonces[nonce] = message
    return message.raw | ({"nonce": body["nonce"]} if body.get("nonce") else {})


def get_message(platform: Platform, request: Request) -> Json:
    message = _message(platform, request)
    return platform.seen(message.raw, message.channel)


def edit_message(platform: Platform, request: Request) -> Json:
    message = _message(platform, request)
    if not isinstance(message, BotMessage):
        raise Refusal(403, 50005, "Cannot edit a message authored by another user")
    return _edit(platform, request, message)


def delete_message(platform: Platform, request: Request) -> None:
    message = _message(platform, request)
    if not isinstance(message, BotMessage) and message.channel.guild is None:
        raise Refusal(403, 50003, "Cannot execute action on a DM channel")
    platform.delete(message)


def get_commands(platform: Platform, request: Request) -> list[Json]:
    commands = platform.commands.of(_scope(platform, request))
    return commands if request.is_true("with_localizations") else [without_localisations(one) for one in commands]


def put_commands(platform: Platform, request: Request) -> list[Json]:
    if not isinstance(request.body, list):
        raise Refusal(400, 50109, "The request body contains invalid JSON.")
    return platform.commands.replace_all(_scope(platform, request), request.body)


def post_command(platform: Platform, request: Request) -> Json:
    return platform.commands.put(_scope(platform, request), request.fields)


def get_command(platform: Platform, request: Request) -> Json:
    return platform.commands.one(_scope(platform, request), request.ids["command"])


def edit_command(platform: Platform, request: Request) -> Json:
    return platform.commands.edit(_scope(platform, request), request.ids["command"], request.fields)


def delete_command(platform: Platform, request: Request) -> None:
    platform.commands.delete(_scope(platform, request), request.ids["command"])


def respond(platform: Platform, request: Request) -> Json | None:
    """Take the first sign of the bot about an interaction; it comes within three seconds, and once."""
    interaction = platform.interactions.get(request.id("interaction"))
    is_unknown = interaction is None or interaction.token != request.ids["token"]
    if interaction is None or is_unknown or (interaction.acknowledged_at is None and interaction.is_late):
        raise Refusal(404, 10062, "Unknown interaction")
    if interaction.acknowledged_at is not None:
        raise Refusal(400, 40060, "Interaction has already been acknowledged.")
    response = int(request.fields.get("type") or 0)
    form = Form()
    form.check_choice(("type",), response, TO_COMPONENTS if interaction.type == COMPONENT else TO_COMMANDS)
    form.refuse_if_faulty()
    message = RESPONSES[response](platform, request, interaction)
    interaction.acknowledged_at, interaction.response = time.monotonic(), response
    platform.changed.notify_all()
    return _callback(interaction, message) if request.is_true("with_response") else None


def follow_up(platform: Platform, request: Request) -> Json:
    """Add a message to an answer; the first one after a deferral takes the place of what is loading."""
    interaction = _answered(platform, request)
    if interaction.original and interaction.original.is_loading and not interaction.original.is_deleted:
        return _edit(platform, request, interaction.original)
    if "1" in interaction.owners and len(interaction.followups) >= MOST_FOLLOWUPS_OF_GUESTS:
        raise Refusal(400, 40094, "This interaction has reached the maximum number of follow-up messages")
    content = _content(platform, request, request.fields)
    refuse_if_empty(content)
    message = platform.say(interaction.channel, content, more=_more(platform, interaction))
    interaction.followups.append(message)
    return message.raw


def get_answer(platform: Platform, request: Request) -> Json:
    return _answer(platform, request).raw


def edit_answer(platform: Platform, request: Request) -> Json:
    message, interaction = _answer(platform, request), _answered(platform, request)
    raw = _edit(platform, request, message)
    interaction.is_source_changed = interaction.is_source_changed or message is interaction.source
    return raw


def delete_answer(platform: Platform, request: Request) -> None:
    platform.delete(_answer(platform, request))


def _respond_with_message(platform: Platform, request: Request, interaction: Interaction) -> BotMessage:
    content = _content(platform, request, request.fields.get("data") or {}, ("data",))
    refuse_if_empty(content)
    return _say_original(platform, interaction, content)


def _respond_later(platform: Platform, request: Request, interaction: Interaction) -> BotMessage:
    flags = int((request.fields.get("data") or {}).get("flags") or 0) & EPHEMERAL
    interaction.deferred = Deferral(time.monotonic(), is_ephemeral=bool(flags))
    return _say_original(platform, interaction, Content(flags=flags | LOADING))


def _say_original(platform: Platform, interaction: Interaction, content: Content) -> BotMessage:
    kind = 0 if interaction.type == COMPONENT else MENU_ANSWER if interaction.is_menu else SLASH_ANSWER
    message = platform.say(interaction.channel, content, kind=kind, more=_more(platform, interaction))
    interaction.original = message
    return message


def _update_later(platform: Platform, request: Request, interaction: Interaction) -> BotMessage | None:
    interaction.original = interaction.source
    return None


def _update(platform: Platform, request: Request, interaction: Interaction) -> BotMessage | None:
    assert interaction.source
    _edit(platform, request, interaction.source, ("data",))
    interaction.original, interaction.is_source_changed = interaction.source, True
    return interaction.source


def _open_modal(platform: Platform, request: Request, interaction: Interaction) -> None:
    interaction.modal = request.fields.get("data") or {}


RESPONSES: dict[int, Callable[[Platform, Request, Interaction], BotMessage | None]] = {
    ANSWER: _respond_with_message,
    DEFERRED_ANSWER: _respond_later,
    DEFERRED_UPDATE: _update_later,
    UPDATE: _update,
    MODAL: _open_modal,
}


def _callback(interaction: Interaction, message: BotMessage | None) -> Json:
    """Return what `with_response` asks for."""
    told: Json = {"id": str(interaction.id), "type": interaction.type, "channel_id": str(interaction.channel.id)}
    resource: Json = {"type": interaction.response}
    if message:
        resource["message"] = message.raw
        told["response_message_id"] = str(message.id)
        told["response_message_loading"] = message.is_loading
        told["response_message_ephemeral"] = message.is_ephemeral
    return {"interaction": told, "resource": resource}


def _channel(platform: Platform, request: Request) -> Channel:
    channel = platform.channels.get(request.id("channel"))
    if channel is None:
        raise Refusal(404, 10003, "Unknown Channel")
    if not channel.has_bot:
        raise Refusal(*NO_ACCESS)
    return channel


def _writable(platform: Platform, request: Request) -> Channel:
    channel = _channel(platform, request)
    if channel.refusal:
        raise channel.refusal
    return channel


def _message(platform: Platform, request: Request) -> AnyMessage:
    message = _channel(platform, request).messages.get(request.id("message"))
    if message is None:
        raise Refusal(*NO_MESSAGE)
    return message


def _replied_to(channel: Channel, reference: Json | None) -> AnyMessage | None:
    if reference is None:
        return None
    message = channel.messages.get(int(reference.get("message_id") or 0))
    if message is None and reference.get("fail_if_not_exists", True):
        refuse_form(("message_reference",), "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
    return message


def _scope(platform: Platform, request: Request) -> Scope:
    if request.id("application") != platform.bot_id:
        raise Refusal(403, 20012, "You are not authorized to perform this action on this application")
    if "guild" not in request.ids:
        return None
    guild = platform.guilds.get(request.id("guild"))
    if guild is None or not guild.has_bot:
        raise Refusal(*NO_ACCESS)
    return guild.id


def _answered(platform: Platform, request: Request) -> Interaction:
    """Return the interaction of a webhook's token, which holds from the first sign on and for a quarter of an hour."""
    for interaction in platform.interactions.values():
        if interaction.token == request.ids["token"]:
            if interaction.is_expired:
                raise Refusal(401, 50027, "Invalid Webhook Token")
            if interaction.acknowledged_at is None or request.id("application") != platform.bot_id:
                break
            return interaction
    raise Refusal(*NO_WEBHOOK)


def _answer(platform: Platform, request: Request) -> BotMessage:
    interaction, name = _answered(platform, request), request.ids["message"]
    original = interaction.original
    messages = {str(one.id): one for one in (original, *interaction.followups) if one}
    message = original if name == "@original" else messages.get(name)
    if message is None or message.is_deleted:
        raise Refusal(*NO_MESSAGE)
    return message


def _more(platform: Platform, interaction: Interaction) -> Json:
    """Return what tells an answer from other messages of the bot."""
    return {
        "webhook_id": platform.bot["id"],
        "application_id": platform.bot["id"],
        "interaction_metadata": interaction.metadata,
    }


def _content(platform: Platform, request: Request, body: Json, path: tuple[str, ...] = ()) -> Content:
    """Return the content of a new message, if Discord would take it."""
    form = Form()
    check_message(form, body, path)
    form.refuse_if_faulty()
    flags = int(body.get("flags") or 0) & KEPT_FLAGS
    return changed(Content(flags=flags), body, _attachments(platform, request, body, ()))


def _edit(platform: Platform, request: Request, message: BotMessage, path: tuple[str, ...] = ()) -> Json:
    """Change what a body names in a message, whose visibility stays."""
    body = request.fields.get("data") or {} if path else request.fields
    form = Form()
    check_message(form, body, path)
    form.refuse_if_faulty()
    attachments = _attachments(platform, request, body, message.body.attachments)
    content = changed(message.body, body, attachments)
    refuse_if_empty(content)
    platform.change(message, replace(content, flags=content.flags & ~LOADING))
    return message.raw


def _attachments(platform: Platform, request: Request, body: Json, present: tuple[Attachment, ...]) -> list[Attachment]:
    """Return the files after a call: those that it names, or all that were there, and then the new ones."""
    named = {str(one.get("id")): one for one in body.get("attachments") or []}
    kept = [one for one in present if body.get("attachments") is None or str(one.id) in named]
    if len(kept) + len(request.files) > MOST_FILES:
        refuse_form(("attachments",), "BASE_TYPE_MAX_LENGTH", f"Must be {MOST_FILES} or fewer in length.")
    return kept + [_upload(platform, upload, named.get(str(number)) or {}) for number, upload in request.files.items()]


def _upload(platform: Platform, upload: Upload, named: Json) -> Attachment:
    if len(upload.data) > LARGEST_FILE:
        raise Refusal(413, 40005, "Request entity too large")
    name = str(named.get("filename") or upload.filename)
    attachment = platform.files.keep(upload.data, name, mimetypes.guess_type(name)[0])
    return platform.files.describe(attachment, named.get("description"))


GLOBAL_COMMANDS = "/applications/{application}/commands"
GUILD_COMMANDS = "/applications/{application}/guilds/{guild}/commands"
MESSAGES = "/channels/{channel}/messages"
WEBHOOK = "/webhooks/{application}/{token}"
ROUTES = [
    Route("GET", "/gateway", get_gateway, needs_token=False),
    Route("GET", "/gateway/bot", get_bot_gateway),
    Route("GET", "/users/@me", get_me),
    Route("GET", "/users/{user}", get_user),
    Route("GET", "/applications/@me", get_application),
    Route("GET", "/oauth2/applications/@me", get_application),
    Route("POST", "/users/@me/channels", open_direct_channel),
    Route("GET", "/channels/{channel}", get_channel),
    Route("POST", "/channels/{channel}/typing", start_typing),
    Route("POST", MESSAGES, create_message),
    Route("GET", MESSAGES + "/{message}", get_message),
    Route("PATCH", MESSAGES + "/{message}", edit_message),
    Route("DELETE", MESSAGES + "/{message}", delete_message),
    *(
        route
        for path in (GLOBAL_COMMANDS, GUILD_COMMANDS)
        for route in (
            Route("GET", path, get_commands),
            Route("PUT", path, put_commands),
            Route("POST", path, post_command),
            Route("GET", path + "/{command}", get_command),
            Route("PATCH", path + "/{command}", edit_command),
            Route("DELETE", path + "/{command}", delete_command),
        )
    ),
    Route("POST", "/interactions/{interaction}/{token}/callback", respond, needs_token=False),
    Route("POST", WEBHOOK, follow_up, needs_token=False),
    Route("GET", WEBHOOK + "/messages/{message}", get_answer, needs_token=False),
    Route("PATCH", WEBHOOK + "/messages/{message}", edit_answer, needs_token=False),
    Route("DELETE", WEBHOOK + "/messages/{message}", delete_answer, needs_token=False),
]


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route of a call and the ids in its path."""
    fitting = [(route, ids) for route in ROUTES if (ids := route.match(path)) is not None]
    for route, ids in fitting:
        if route.method == method:
            return route, ids
    raise Refusal(405, 0, "405: Method Not Allowed") if fitting else Refusal(404, 0, "404: Not Found")
