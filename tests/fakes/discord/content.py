"""What a message of the bot says and shows: Discord's limits for it, and whom it pings."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tests.fakes.discord.calls import Form, Json, Refusal
from tests.fakes.discord.files import Attachment

LONGEST_TEXT = 2_000
MOST_EMBEDS = 10
MOST_FIELDS = 25
LONGEST_TITLE = 256
LONGEST_DESCRIPTION = 4_096
LONGEST_FIELD_NAME = 256
LONGEST_FIELD_VALUE = 1_024
LONGEST_FOOTER = 2_048
LONGEST_AUTHOR = 256
LARGEST_EMBEDS = 6_000
MOST_ROWS = 5
MOST_IN_ROW = 5
LONGEST_CUSTOM_ID = 100
LONGEST_LABEL = 80
LONGEST_URL = 2_048
LONGEST_BUTTON_URL = 512
MOST_FILES = 10
MOST_ALLOWED = 100
LARGEST_FILE = 10 * 1024 * 1024

ROW, BUTTON = 1, 2
LINK_STYLE = 5
BUTTON_STYLES = frozenset(range(1, 6))
EPHEMERAL, LOADING, COMPONENTS_V2 = 1 << 6, 1 << 7, 1 << 15
MENTION_KINDS = frozenset({"users", "roles", "everyone"})
UPLOADED = "attachment://"
PICTURES = ("image", "thumbnail")
USER_MENTION = re.compile(r"<@!?(\d+)>")
ROLE_MENTION = re.compile(r"<@&(\d+)>")

Path = tuple[str | int, ...]


class Button(NamedTuple):
    """A button under a message: it carries a custom id or opens a link."""

    label: str
    custom_id: str | None
    url: str | None
    is_disabled: bool = False
    style: int = 2
    emoji: str | None = None


class Field(NamedTuple):
    name: str
    value: str
    is_inline: bool = False


@dataclass(frozen=True)
class Embed:
    """An embed as people see it; its pictures are links."""

    raw: Json
    title: str
    description: str
    url: str | None
    fields: list[Field]
    footer: str
    author: str
    image: str | None
    thumbnail: str | None

    @classmethod
    def of(cls, raw: Json) -> "Embed":
        return cls(
            raw,
            title=raw.get("title") or "",
            description=raw.get("description") or "",
            url=raw.get("url"),
            fields=[Field(one["name"], one["value"], bool(one.get("inline"))) for one in raw.get("fields") or []],
            footer=(raw.get("footer") or {}).get("text", ""),
            author=(raw.get("author") or {}).get("name", ""),
            image=(raw.get("image") or {}).get("url"),
            thumbnail=(raw.get("thumbnail") or {}).get("url"),
        )

    @property
    def words(self) -> str:
        fields = [word for one in self.fields for word in one[:2]]
        return "\n".join(word for word in (self.author, self.title, self.description, *fields, self.footer) if word)


@dataclass(frozen=True)
class Pings:
    """Whom a message notifies; nobody if it is false."""

    everyone: bool = False
    here: bool = False
    users: frozenset[int] = frozenset()
    roles: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return self != Pings()

    def __or__(self, other: "Pings") -> "Pings":
        return Pings(
            self.everyone or other.everyone,
            self.here or other.here,
            self.users | other.users,
            self.roles | other.roles,
        )


@dataclass(frozen=True)
class Content:
    """What a message shows; the attachments are all of its files, also those that stand in embeds."""

    text: str = ""
    embeds: tuple[Json, ...] = ()
    components: tuple[Json, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    flags: int = 0
    allowed_mentions: Json | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.embeds or self.attachments)

    @property
    def shown_embeds(self) -> list[Json]:
        """Return the embeds with links in the place of `attachment://` names."""
        return [{"type": "rich", **embed, **dict(self._pictures(embed))} for embed in self.embeds]

    @property
    def shown_attachments(self) -> list[Attachment]:
        """Return what stands below the message: files that an embed shows do not."""
        taken = {embed.get(name, {}).get("url") for embed in self.embeds for name in PICTURES}
        return [one for one in self.attachments if UPLOADED + one.filename not in taken]

    @property
    def raw(self) -> Json:
        return {
            "content": self.text,
            "embeds": self.shown_embeds,
            "components": numbered(self.components),
            "attachments": [attachment.raw for attachment in self.shown_attachments],
            "flags": self.flags,
        }

    def pings(self, replied_to: int | None) -> Pings:
        """Return whom it notifies: `allowed_mentions` only narrows what its text names."""
        allowed = self.allowed_mentions
        parsed = MENTION_KINDS if allowed is None else set(allowed.get("parse") or ())
        listed = {kind: {int(one) for one in (allowed or {}).get(kind) or ()} for kind in ("users", "roles")}
        users, roles = numbers_of(USER_MENTION, self.text), numbers_of(ROLE_MENTION, self.text)
        is_reply_told = replied_to is not None and (allowed is None or bool(allowed.get("replied_user")))
        return Pings(
            everyone="everyone" in parsed and "@everyone" in self.text,
            here="everyone" in parsed and "@here" in self.text,
            users=(users if "users" in parsed else users & listed["users"])
            | (frozenset({replied_to}) if is_reply_told and replied_to else frozenset()),
            roles=roles if "roles" in parsed else roles & listed["roles"],
        )

    def _pictures(self, embed: Json) -> Iterator[tuple[str, Json]]:
        by_name = {UPLOADED + one.filename: one for one in self.attachments}
        for name in PICTURES:
            file = by_name.get(embed.get(name, {}).get("url"))
            if file:
                raw = file.raw
                yield name, {key: raw[key] for key in ("url", "proxy_url", "width", "height") if key in raw}


def changed(content: Content, body: Json, attachments: Sequence[Attachment]) -> Content:
    """Return a content with what a body names changed, and everything else as it was."""
    fields: dict[str, Any] = {"attachments": tuple(attachments)}
    if "content" in body:
        fields["text"] = str(body["content"] or "").strip()
    for name in ("embeds", "components"):
        if name in body:
            fields[name] = tuple(body[name] or ())
    if "allowed_mentions" in body:
        fields["allowed_mentions"] = body["allowed_mentions"]
    return replace(content, **fields)


def refuse_if_empty(content: Content) -> None:
    if content.is_empty:
        raise Refusal(400, 50006, "Cannot send an empty message")


def check_message(form: Form, body: Json, path: Path = ()) -> None:
    """Note whatever Discord would not take in the body of a message."""
    form.check_text((*path, "content"), body.get("content"), 0, LONGEST_TEXT)
    embeds = body.get("embeds") or []
    form.check_count((*path, "embeds"), embeds, 0, MOST_EMBEDS)
    for number, embed in enumerate(embeds):
        _check_embed(form, embed, (*path, "embeds", number))
    if sum(map(_size, embeds)) > LARGEST_EMBEDS:
        words = f"Embed size exceeds maximum size of {LARGEST_EMBEDS}"
        form.fault((*path, "embeds"), "MAX_EMBED_SIZE_EXCEEDED", words)
    _check_rows(form, body.get("components") or [], (*path, "components"))
    _check_mentions(form, body.get("allowed_mentions") or {}, (*path, "allowed_mentions"))
    if int(body.get("flags") or 0) & COMPONENTS_V2:
        form.fault((*path, "flags"), "UNSUPPORTED", "This test server knows no components of version 2")


def _check_embed(form: Form, embed: Json, path: Path) -> None:
    form.check_text((*path, "title"), embed.get("title"), 0, LONGEST_TITLE)
    form.check_text((*path, "description"), embed.get("description"), 0, LONGEST_DESCRIPTION)
    if not any(embed.get(name) for name in ("title", "description", "fields", "footer", "author", *PICTURES)):
        form.fault((*path, "description"), "BASE_TYPE_REQUIRED", "This field is required")
    fields = embed.get("fields") or []
    form.check_count((*path, "fields"), fields, 0, MOST_FIELDS)
    for number, one in enumerate(fields):
        form.check_text((*path, "fields", number, "name"), str(one.get("name", "")).strip(), 1, LONGEST_FIELD_NAME)
        form.check_text((*path, "fields", number, "value"), str(one.get("value", "")).strip(), 1, LONGEST_FIELD_VALUE)
    if embed.get("footer"):
        form.check_text((*path, "footer", "text"), embed["footer"].get("text"), 1, LONGEST_FOOTER)
    if embed.get("author"):
        form.check_text((*path, "author", "name"), embed["author"].get("name"), 1, LONGEST_AUTHOR)
    _check_url(form, (*path, "url"), embed.get("url"), ("http", "https"))
    for name in PICTURES:
        _check_url(form, (*path, name, "url"), embed.get(name, {}).get("url"), ("http", "https", "attachment"))


def _size(embed: Json) -> int:
    return len(Embed.of({**embed, "fields": []}).words.replace("\n", "")) + sum(
        len(str(one.get("name", ""))) + len(str(one.get("value", ""))) for one in embed.get("fields") or []
    )


def _check_url(form: Form, path: Path, url: str | None, schemes: tuple[str, ...]) -> None:
    form.check_text(path, url, 0, LONGEST_URL)
    scheme = (url or "").partition("://")[0]
    if url and scheme not in schemes:
        form.fault(path, "URL_TYPE_INVALID_SCHEME", f'Scheme "{scheme}" must be one of {schemes}.')


def _check_rows(form: Form, rows: list[Json], path: Path) -> None:
    form.check_count(path, rows, 0, MOST_ROWS)
    seen: set[str] = set()
    for number, row in enumerate(rows):
        if row.get("type") != ROW:
            form.check_choice((*path, number, "type"), row.get("type"), frozenset({ROW}))
            continue
        parts = row.get("components") or []
        form.check_count((*path, number, "components"), parts, 1, MOST_IN_ROW)
        for place, part in enumerate(parts):
            _check_part(form, part, (*path, number, "components", place), seen)


def _check_part(form: Form, part: Json, path: Path, seen: set[str]) -> None:
    custom_id = part.get("custom_id")
    if custom_id in seen:
        words = "Component custom id cannot be duplicated"
        form.fault((*path, "custom_id"), "COMPONENT_CUSTOM_ID_DUPLICATED", words)
    seen |= {custom_id} if custom_id else set()
    if part.get("type") != BUTTON:
        form.check_text((*path, "custom_id"), custom_id, 1, LONGEST_CUSTOM_ID)
        return
    form.check_choice((*path, "style"), part.get("style"), BUTTON_STYLES)
    form.check_text((*path, "label"), part.get("label"), 0 if part.get("emoji") else 1, LONGEST_LABEL)
    if part.get("style") != LINK_STYLE:
        form.check_text((*path, "custom_id"), custom_id, 1, LONGEST_CUSTOM_ID)
        return
    form.check_text((*path, "url"), part.get("url"), 1, LONGEST_BUTTON_URL)
    _check_url(form, (*path, "url"), part.get("url"), ("http", "https", "discord"))
    if custom_id:
        words = "A custom id and url cannot both be specified"
        form.fault((*path, "custom_id"), "BUTTON_COMPONENT_CUSTOM_ID_AND_URL", words)


def _check_mentions(form: Form, allowed: Json, path: Path) -> None:
    for number, kind in enumerate(allowed.get("parse") or ()):
        form.check_choice((*path, "parse", number), kind, MENTION_KINDS)
    for kind in ("users", "roles"):
        form.check_count((*path, kind), allowed.get(kind) or [], 0, MOST_ALLOWED)
        if allowed.get(kind) and kind in (allowed.get("parse") or ()):
            words = f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.'
            form.fault(path, "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", words)


def numbers_of(pattern: re.Pattern[str], text: str) -> frozenset[int]:
    return frozenset(int(number) for number in pattern.findall(text))


def numbered(components: Sequence[Json]) -> list[Json]:
    """Return components with the ids that Discord gives them, in the order in which they are read."""
    numbers = iter(range(1, 1_000))
    return [
        {
            "type": ROW,
            "id": next(numbers),
            "components": [{**part, "id": next(numbers)} for part in row.get("components") or []],
        }
        for row in components
    ]
