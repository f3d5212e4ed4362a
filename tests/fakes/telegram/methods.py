"""The methods of the Bot API that igsearch may call, with the checks and the words of the real server."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from tests.fakes.telegram.chats import BotMessage, Chat, Content, Json, Telegram
from tests.fakes.telegram.files import LARGEST_SIDES, StoredFile, extension_of, open_picture
from tests.fakes.telegram.text import Text, Unparsable, parse_html
from tests.fakes.telegram.updates import Webhook

LONGEST_TEXT = 4_096
LONGEST_CAPTION = 1_024
LONGEST_PRESS_ANSWER = 200
MOST_BUTTONS = 100
MOST_COMMANDS = 100
BIGGEST_DOWNLOAD = 20 * 1024 * 1024
BIGGEST_PHOTO = 10 * 1024 * 1024
BIGGEST_REQUEST = 50 * 1024 * 1024
LARGEST_RATIO = 20
ACTIONS = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    }
)
BUTTON_ACTIONS = frozenset(
    {
        "url",
        "callback_data",
        "web_app",
        "login_url",
        "switch_inline_query",
        "switch_inline_query_current_chat",
        "switch_inline_query_chosen_chat",
        "copy_text",
        "callback_game",
        "pay",
    }
)
SCOPES = frozenset({"default", "all_private_chats", "all_group_chats", "all_chat_administrators"})
CHAT_SCOPES = frozenset({"chat", "chat_administrators", "chat_member"})
LONGEST_OF_PROFILE = {"name": 64, "description": 512, "short_description": 120}
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same"
    " as a current content and reply markup of the message"
)


class Refusal(Exception):
    """What the server answers instead of a result."""

    def __init__(self, status: int, description: str, parameters: Json | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.parameters = parameters


@dataclass(frozen=True)
class Request:
    """What a call brought; every form of encoding looks the same here."""

    parameters: Json
    files: Mapping[str, bytes] = field(default_factory=dict)
    file_names: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        text = str(self.parameters.get(name) or "")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise bad("strings must be encoded in UTF-8") from None
        return text

    def integer(self, name: str) -> int:
        try:
            return int(self.parameters.get(name) or 0)
        except (TypeError, ValueError):
            raise bad(f'field "{name}" must be a valid Number') from None

    def is_true(self, name: str) -> bool:
        return str(self.parameters.get(name)).lower() in ("true", "yes", "1")


Method = Callable[[Telegram, Request], object]


def bad(description: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, f"Bad Request: {description}")


def get_me(telegram: Telegram, request: Request) -> Json:
    abilities = ("can_join_groups", "supports_inline_queries", "can_connect_to_business", "has_main_web_app")
    return {
        **telegram.bot,
        **{ability: ability == "can_join_groups" for ability in abilities},
        "can_read_all_group_messages": False,
    }


def send_message(telegram: Telegram, request: Request) -> Json:
    chat = _chat(telegram, request)
    return _say(telegram, request, chat, _text_content(request))


def send_photo(telegram: Telegram, request: Request) -> Json:
    chat = _chat(telegram, request)
    data = _uploaded(telegram, request, "photo")
    _check_photo(data)
    content = _caption_content(request)
    sizes = telegram.files.photo_sizes(data)
    return _say(telegram, request, chat, replace(content, media={"photo": sizes}, photo=data))


def send_document(telegram: Telegram, request: Request) -> Json:
    chat = _chat(telegram, request)
    data = _uploaded(telegram, request, "document")
    content = _caption_content(request)
    name = next(iter(request.file_names.values()), "file")
    file = telegram.files.keep(data, kind="document", extension=extension_of(name))
    document = file.raw | {"file_name": name}
    return _say(telegram, request, chat, replace(content, media={"document": document}, document=data))


def edit_message_text(telegram: Telegram, request: Request) -> Json:
    message = _own_message(telegram, request)
    if message.content.media:
        raise bad("there is no text in the message to edit")
    return _edit(telegram, message, _text_content(request))


def edit_message_caption(telegram: Telegram, request: Request) -> Json:
    message = _own_message(telegram, request)
    if not message.content.media:
        raise bad("there is no caption in the message to edit")
    content = _caption_content(request)
    changed = replace(message.content, text=content.text, html=content.html, markup=content.markup)
    return _edit(telegram, message, changed)


def edit_message_reply_markup(telegram: Telegram, request: Request) -> Json:
    message = _own_message(telegram, request)
    return _edit(telegram, message, replace(message.content, markup=_markup(request)))


def delete_message(telegram: Telegram, request: Request) -> bool:
    chat = _chat(telegram, request)
    message = chat.messages.get(request.integer("message_id"))
    if message is None:
        raise bad("message to delete not found")
    if not isinstance(message, BotMessage) and chat.raw["type"] != "private":
        raise bad("message can't be deleted")
    telegram.delete(message)
    return True


def send_chat_action(telegram: Telegram, request: Request) -> bool:
    chat = _chat(telegram, request)
    if request.text("action") not in ACTIONS:
        raise bad("wrong parameter action in request")
    telegram.act(chat, request.text("action"))
    return True


def answer_callback_query(telegram: Telegram, request: Request) -> bool:
    if len(request.text("text")) > LONGEST_PRESS_ANSWER:
        raise bad("MESSAGE_TOO_LONG")
    press = telegram.presses.get(request.text("callback_query_id"))
    if press is None or press.answered:
        raise bad("query is too old and response timeout expired or query ID is invalid")
    press.take(request.text("text"), show_alert=request.is_true("show_alert"))
    return True


def get_file(telegram: Telegram, request: Request) -> Json:
    file = telegram.files.by_id.get(request.text("file_id"))
    if file is None:
        raise bad("wrong file_id or the file is temporarily unavailable")
    if file.size > BIGGEST_DOWNLOAD:
        raise bad("file is too big")
    return {**file.raw, "file_path": file.path}


def set_my_commands(telegram: Telegram, request: Request) -> bool:
    commands = request.parameters.get("commands")
    if not isinstance(commands, list):
        raise bad("can't parse commands JSON object")
    if len(commands) > MOST_COMMANDS:
        raise bad("BOT_COMMANDS_TOO_MUCH")
    for command in commands:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", str(command.get("command"))):
            raise bad("BOT_COMMAND_INVALID")
        if not 1 <= len(command.get("description") or "") <= 256:
            raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
    telegram.commands[_scope(telegram, request)] = commands
    return True


def get_my_commands(telegram: Telegram, request: Request) -> list[dict[str, str]]:
    return telegram.commands.get(_scope(telegram, request), [])


def delete_my_commands(telegram: Telegram, request: Request) -> bool:
    telegram.commands.pop(_scope(telegram, request), None)
    return True


def get_chat(telegram: Telegram, request: Request) -> Json:
    gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
    full = {
        "accent_color_id": 1,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, False),
    }
    return _chat(telegram, request).raw | full


def leave_chat(telegram: Telegram, request: Request) -> bool:
    chat = _chat(telegram, request)
    if chat.raw["type"] == "private":
        raise bad("chat member status can't be changed in private chats")
    chat.forbidden = f"bot is not a member of the {chat.raw['type']} chat"
    return True


def set_webhook(telegram: Telegram, request: Request) -> bool:
    url = request.text("url")
    if not url:
        return delete_webhook(telegram, request)
    if not re.fullmatch(r"https?://[^\s/]+\S*", url):
        raise bad("bad webhook: invalid webhook URL specified")
    secret_token = request.text("secret_token")
    if len(secret_token) > 256:
        raise bad("secret token is too long")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", secret_token):
        raise bad("secret token contains unallowed characters")
    remember_allowed_updates(telegram, request)
    _drop_pending_updates(telegram, request)
    telegram.updates.set_webhook(Webhook(url, secret_token))
    return True


def delete_webhook(telegram: Telegram, request: Request) -> bool:
    _drop_pending_updates(telegram, request)
    telegram.updates.set_webhook(None)
    return True


def get_webhook_info(telegram: Telegram, request: Request) -> Json:
    updates = telegram.updates
    info: Json = {"url": "", "has_custom_certificate": False, "pending_update_count": len(updates.pending)}
    if updates.allowed:
        info["allowed_updates"] = updates.allowed
    if webhook := updates.webhook:
        info |= {"url": webhook.url, "max_connections": 40}
        if webhook.last_error_message:
            info |= {"last_error_date": webhook.last_error_date, "last_error_message": webhook.last_error_message}
    return info


def remember_allowed_updates(telegram: Telegram, request: Request) -> None:
    """Take the kinds of update that the bot wants from now on; without a word they stay as they were."""
    allowed = request.parameters.get("allowed_updates")
    if isinstance(allowed, list):
        telegram.updates.allowed = allowed


def _yes(telegram: Telegram, request: Request) -> bool:
    return True


def _setter(name: str) -> Method:
    def set_words(telegram: Telegram, request: Request) -> bool:
        words = request.text(name)
        if len(words) > LONGEST_OF_PROFILE[name]:
            raise bad(f"bot {name.replace('_', ' ')} is too long")
        telegram.profile[name, request.text("language_code")] = words
        return True

    return set_words


def _getter(name: str) -> Method:
    def get_words(telegram: Telegram, request: Request) -> Json:
        languages = (request.text("language_code"), "")
        return {name: next((words for language in languages if (words := telegram.profile.get((name, language)))), "")}

    return get_words


METHODS: dict[str, Method] = {
    "getme": get_me,
    "sendmessage": send_message,
    "sendphoto": send_photo,
    "senddocument": send_document,
    "editmessagetext": edit_message_text,
    "editmessagecaption": edit_message_caption,
    "editmessagereplymarkup": edit_message_reply_markup,
    "deletemessage": delete_message,
    "sendchataction": send_chat_action,
    "answercallbackquery": answer_callback_query,
    "getfile": get_file,
    "setmycommands": set_my_commands,
    "getmycommands": get_my_commands,
    "deletemycommands": delete_my_commands,
    "setmyname": _setter("name"),
    "getmyname": _getter("name"),
    "setmydescription": _setter("description"),
    "getmydescription": _getter("description"),
    "setmyshortdescription": _setter("short_description"),
    "getmyshortdescription": _getter("short_description"),
    "getchat": get_chat,
    "leavechat": leave_chat,
    "setwebhook": set_webhook,
    "deletewebhook": delete_webhook,
    "getwebhookinfo": get_webhook_info,
    "close": _yes,
    "logout": _yes,
}


def _chat(telegram: Telegram, request: Request) -> Chat:
    if not request.text("chat_id"):
        raise bad("chat_id is empty")
    try:
        chat = telegram.chats.get(int(request.parameters["chat_id"]))
    except ValueError:
        chat = None
    if chat is None:
        raise bad("chat not found")
    if chat.forbidden:
        raise Refusal(HTTPStatus.FORBIDDEN, f"Forbidden: {chat.forbidden}")
    return chat


def _own_message(telegram: Telegram, request: Request) -> BotMessage:
    message = _chat(telegram, request).messages.get(request.integer("message_id"))
    if message is None:
        raise bad("message to edit not found")
    if not isinstance(message, BotMessage):
        raise bad("message can't be edited")
    return message


def _text_content(request: Request) -> Content:
    text = _formatted(request, "text")
    if not text.plain:
        raise bad("message text is empty")
    if text.length > LONGEST_TEXT:
        raise bad("message is too long")
    return Content(text, request.text("text"), _markup(request))


def _caption_content(request: Request) -> Content:
    text = _formatted(request, "caption")
    if text.length > LONGEST_CAPTION:
        raise bad("message caption is too long")
    return Content(text, request.text("caption"), _markup(request))


def _formatted(request: Request, name: str) -> Text:
    parse_mode = request.text("parse_mode").lower()
    if parse_mode not in ("", "html"):
        raise bad("this test server parses no other text than HTML")
    try:
        text = parse_html(request.text(name)) if parse_mode else Text(request.text(name))
    except Unparsable as error:
        raise bad(f"can't parse entities: {error}") from None
    return text.trimmed().with_found_entities()


def _markup(request: Request) -> Json | None:
    markup = request.parameters.get("reply_markup")
    if not markup:
        return None
    if not isinstance(markup, dict):
        raise bad("can't parse reply keyboard markup JSON object")
    buttons = [button for row in markup.get("inline_keyboard", []) for button in row]
    if len(buttons) > MOST_BUTTONS:
        raise bad("REPLY_MARKUP_TOO_LONG")
    for button in buttons:
        _check_button(button)
    return {"inline_keyboard": markup["inline_keyboard"]} if buttons else None


def _check_button(button: Json) -> None:
    if not button.get("text"):
        raise bad("can't parse inline keyboard button: Text is empty")
    actions = BUTTON_ACTIONS & button.keys()
    if not actions:
        raise bad("text buttons are unallowed in the inline keyboard")
    if len(actions) > 1:
        raise bad("can't parse inline keyboard button: it must have exactly one action")
    if "callback_data" in button and not 1 <= len(button["callback_data"].encode()) <= 64:
        raise bad("BUTTON_DATA_INVALID")
    if "url" in button and not re.fullmatch(r"https?://[^\s/.]+(?:\.[^\s/.]+)*(?:[/?#]\S*)?", button["url"]):
        raise bad(f"inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL")


def _say(telegram: Telegram, request: Request, chat: Chat, content: Content) -> Json:
    reply = request.parameters.get("reply_parameters") or {
        "message_id": request.integer("reply_to_message_id"),
        "allow_sending_without_reply": request.is_true("allow_sending_without_reply"),
    }
    if not isinstance(reply, dict):
        raise bad("can't parse reply parameters JSON object")
    original = chat.messages.get(int(reply.get("message_id") or 0))
    if reply.get("message_id") and original is None and not reply.get("allow_sending_without_reply"):
        raise bad("message to be replied not found")
    return telegram.say(chat, content, reply_to=original).raw


def _edit(telegram: Telegram, message: BotMessage, content: Content) -> Json:
    current = message.content
    if (content.text, content.markup) == (current.text, current.markup):
        raise bad(NOT_MODIFIED)
    telegram.change(message, content)
    return message.raw


def _uploaded(telegram: Telegram, request: Request, name: str) -> bytes:
    """Return a file that came with the call, in the field itself or attached, or that is known by its id."""
    word = request.text(name)
    attached = request.files.get(word.removeprefix("attach://") if word.startswith("attach://") else name)
    known: StoredFile | None = telegram.files.by_id.get(word)
    if attached is None and known is None:
        raise bad(f"there is no {name} in the request" if not word else "wrong file identifier/HTTP URL specified")
    data = attached if attached is not None else known.data if known else b""
    if not data:
        raise bad("file must be non-empty")
    return data


def _check_photo(data: bytes) -> None:
    if len(data) > BIGGEST_PHOTO:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large")
    picture = open_picture(data)
    if picture is None:
        raise bad("IMAGE_PROCESS_FAILED")
    width, height = picture.size
    if width + height > LARGEST_SIDES or max(width, height) > LARGEST_RATIO * min(width, height):
        raise bad("PHOTO_INVALID_DIMENSIONS")


def _scope(telegram: Telegram, request: Request) -> tuple[str, str]:
    """Return the key of a set of commands: a scope such as "default" or "chat/42", and a language."""
    scope: Any = request.parameters.get("scope") or {"type": "default"}
    language = request.text("language_code")
    if not re.fullmatch(r"(?:[a-z]{2})?", language):
        raise bad("invalid language code specified")
    kind = scope.get("type") if isinstance(scope, dict) else None
    if kind in SCOPES:
        return kind, language
    if kind not in CHAT_SCOPES:
        raise bad("can't parse BotCommandScope: Unsupported type specified")
    chat = _chat(telegram, Request(scope))
    member = f"/{scope['user_id']}" if kind == "chat_member" else ""
    return f"{kind}/{chat.id}{member}", language


def _drop_pending_updates(telegram: Telegram, request: Request) -> None:
    if request.is_true("drop_pending_updates"):
        telegram.updates.forget()
