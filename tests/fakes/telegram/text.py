"""Text as Telegram reads it: its HTML, parsed strictly, and the entities it finds by itself.

The rules and the words of the refusals are those of tdlib (MessageEntity.cpp).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

KINDS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "span": "spoiler",
    "tg-spoiler": "spoiler",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}
ESCAPE = re.compile(r"&(?:#(?P<decimal>\d{1,7})|#x(?P<hexadecimal>[0-9a-fA-F]{1,6})|(?P<name>lt|gt|amp|quot));?")
NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
TAG_NAME = re.compile(r"<(?P<slash>/?)(?P<name>[^\s>]*)")
ATTRIBUTE = re.compile(
    r"\s*(?P<name>[^\s=>]+)(?:\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[\w.-]+)))?"
)
END_OF_TAG = re.compile(r"\s*>")
LINK = re.compile(r"(?:https?://|tg://|ton://|mailto:)\S+", re.IGNORECASE)

FOUND = re.compile(
    r"(?P<url>https?://[^\s<>\"]+[^\s<>\".,:;!?)'»]|(?<![\w@./-])(?:[a-z0-9-]+\.)+(?:com|org|net|me|io|de|ru)\b(?:/[^\s<>\"]*[^\s<>\".,:;!?)'»])?)"
    r"|(?<![\w@/])(?P<mention>@[A-Za-z]\w{2,31})\b"
    r"|(?<![\w/<>])(?P<bot_command>/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?)(?![\w/])"
    r"|(?<![\w#])(?P<hashtag>#\w*[^\W\d]\w*)",
    re.IGNORECASE,
)
CLOSED_TO_FINDING = {"code", "pre", "text_link"}


class Unparsable(Exception):
    """Telegram does not take this HTML; the message says why, in its words."""


@dataclass(frozen=True)
class Entity:
    """A marked part of a text; offset and length count UTF-16 units, as everywhere in Telegram."""

    kind: str
    offset: int
    length: int
    url: str | None = None
    language: str | None = None

    @property
    def end(self) -> int:
        return self.offset + self.length

    @property
    def raw(self) -> dict[str, Any]:
        extras = {"url": self.url, "language": self.language}
        return {"type": self.kind, "offset": self.offset, "length": self.length} | {
            name: value for name, value in extras.items() if value
        }


class Mark(NamedTuple):
    """An entity as a test reads it."""

    kind: str
    text: str
    url: str | None


@dataclass(frozen=True)
class Text:
    """Plain text and its entities."""

    plain: str
    entities: tuple[Entity, ...] = ()

    @property
    def length(self) -> int:
        return utf16_length(self.plain)

    @property
    def raw_entities(self) -> list[dict[str, Any]]:
        return [entity.raw for entity in self.entities]

    @property
    def marks(self) -> list[Mark]:
        return [Mark(entity.kind, self.part(entity), entity.url) for entity in self.entities]

    def part(self, entity: Entity) -> str:
        return self.plain.encode("utf-16-le")[2 * entity.offset : 2 * entity.end].decode("utf-16-le")

    def trimmed(self) -> "Text":
        """Return it without the white space around it, which Telegram cuts off."""
        cut = utf16_length(self.plain) - utf16_length(self.plain.lstrip())
        plain = self.plain.strip()
        end = utf16_length(plain)
        moved = (_between(entity, cut, end) for entity in self.entities)
        return Text(plain, tuple(entity for entity in moved if entity.length > 0))

    def with_found_entities(self) -> "Text":
        """Return it with the links, mentions, commands and hashtags that Telegram marks unasked."""
        closed = [entity for entity in self.entities if entity.kind in CLOSED_TO_FINDING]
        found = [one for one in find_entities(self.plain) if not any(_overlap(one, other) for other in closed)]
        together = sorted((*self.entities, *found), key=lambda entity: (entity.offset, -entity.length))
        return Text(self.plain, tuple(together))


def utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def find_entities(plain: str) -> Iterator[Entity]:
    """Yield what Telegram marks in a text without markup."""
    for match in FOUND.finditer(plain):
        if match.lastgroup:
            yield Entity(match.lastgroup, utf16_length(plain[: match.start()]), utf16_length(match.group()))


def parse_html(html: str) -> Text:
    """Return what Telegram makes of a text in its HTML, or raise Unparsable."""
    parser = _Parser(html)
    position = 0
    while position < len(html):
        position = parser.read(position)
    if parser.open_tags:
        raise Unparsable(f'Can\'t find end tag corresponding to start tag "{parser.open_tags[-1].name}"')
    return Text(parser.plain, tuple(sorted(parser.entities, key=lambda entity: (entity.offset, -entity.length))))


@dataclass(frozen=True)
class _OpenTag:
    name: str
    offset: int
    start: int
    attributes: dict[str, str]


class _Parser:
    def __init__(self, html: str) -> None:
        self.html = html
        self.plain = ""
        self.open_tags: list[_OpenTag] = []
        self.entities: list[Entity] = []

    def read(self, position: int) -> int:
        """Read what stands at a position and return the position behind it."""
        if self.html[position] == "<":
            return self._read_tag(position)
        escape = ESCAPE.match(self.html, position)
        self.plain += _unescape(escape) if escape else self.html[position]
        return escape.end() if escape else position + 1

    def _read_tag(self, position: int) -> int:
        tag = TAG_NAME.match(self.html, position)
        assert tag
        name = tag["name"].lower()
        if tag["slash"]:
            return self._close(name, position, tag.end())
        if tag.end() == len(self.html):
            raise self._refusal("Unclosed start tag", position)
        if name not in KINDS:
            raise self._refusal(f'Unsupported start tag "{name}"', position)
        return self._open(name, position, tag.end())

    def _open(self, name: str, position: int, end: int) -> int:
        attributes: dict[str, str] = {}
        while not (closing := END_OF_TAG.match(self.html, end)):
            attribute = ATTRIBUTE.match(self.html, end)
            if not attribute:
                raise self._refusal(f'Unclosed start tag "{name}"', position)
            attributes[attribute["name"].lower()] = self._value(name, attribute, position)
            end = attribute.end()
        if name == "span" and attributes.get("class") != "tg-spoiler":
            raise self._refusal('Tag "span" must have class "tg-spoiler"', position)
        if name == "tg-emoji" and not attributes.get("emoji-id"):
            raise self._refusal('Tag "tg-emoji" must have an attribute "emoji-id"', position)
        self.open_tags.append(_OpenTag(name, utf16_length(self.plain), len(self.plain), attributes))
        return closing.end()

    def _value(self, tag: str, attribute: re.Match[str], position: int) -> str:
        values = (attribute["double"], attribute["single"], attribute["bare"])
        value = next((value for value in values if value is not None), None)
        if value is not None:
            return ESCAPE.sub(_unescape, value)
        if (tag, attribute["name"].lower()) == ("blockquote", "expandable"):
            return ""
        raise self._refusal(f'Expected equal sign in declaration of an attribute of the tag "{tag}"', position)

    def _close(self, name: str, position: int, end: int) -> int:
        if not self.open_tags:
            raise self._refusal("Unexpected end tag", position)
        tag = self.open_tags[-1]
        if name not in ("", tag.name):
            described = f'Unmatched end tag at byte offset {self._bytes(position)}, expected "</{tag.name}>"'
            raise Unparsable(f'{described}, found "</{name}>"')
        closing = END_OF_TAG.match(self.html, end)
        if not closing:
            raise self._refusal("Unclosed end tag", position)
        self._mark(self.open_tags.pop())
        return closing.end()

    def _mark(self, tag: _OpenTag) -> None:
        kind, url, language = KINDS[tag.name], None, None
        if kind == "text_link":
            url = _checked_link(tag.attributes.get("href") or self.plain[tag.start :])
        if kind == "blockquote" and "expandable" in tag.attributes:
            kind = "expandable_blockquote"
        if kind == "code":
            language = tag.attributes.get("class", "").removeprefix("language-") or None
        entity = Entity(kind, tag.offset, utf16_length(self.plain) - tag.offset, url, language)
        if not entity.length or (kind == "text_link" and not url):
            return
        if kind in ("pre", "code"):
            entity = self._swallow(entity)
        self.entities.append(entity)

    def _swallow(self, code: Entity) -> Entity:
        """Take the entities inside code away, but keep the language of <pre><code class="language-...">."""
        inside = [entity for entity in self.entities if entity.offset >= code.offset]
        self.entities = [entity for entity in self.entities if entity.offset < code.offset]
        whole = [entity.language for entity in inside if (entity.kind, entity.length) == ("code", code.length)]
        return replace(code, language=next(iter(whole), None) if code.kind == "pre" else code.language)

    def _refusal(self, what: str, position: int) -> Unparsable:
        return Unparsable(f"{what} at byte offset {self._bytes(position)}")

    def _bytes(self, position: int) -> int:
        return len(self.html[:position].encode())


def _unescape(escape: re.Match[str]) -> str:
    if escape["name"]:
        return NAMED[escape["name"]]
    code = int(escape["decimal"] or escape["hexadecimal"], 10 if escape["decimal"] else 16)
    is_character = 0 < code <= 0x10FFFF and not 0xD800 <= code < 0xE000
    return chr(code) if is_character else escape.group()


def _checked_link(url: str) -> str | None:
    if LINK.fullmatch(url):
        return url
    return f"http://{url}" if re.fullmatch(r"[\w-]+(?:\.[\w-]+)+(?:[/?#]\S*)?", url) else None


def _between(entity: Entity, cut: int, end: int) -> Entity:
    start = max(entity.offset - cut, 0)
    return replace(entity, offset=start, length=min(entity.end - cut, end) - start)


def _overlap(one: Entity, other: Entity) -> bool:
    return one.offset < other.end and other.offset < one.end
