"""A reply as Telegram shows it: HTML, and the buttons below. Pure.

What a pressed button says is at most 64 bytes and holds nothing but numbers; all else is kept in the database.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, cast

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bots.languages import Language
from bots.replies import PAGE_ENTRIES, Entry, Passage, Reply, profile_url, sureness
from core.model import NamedMatch

BUTTONS_A_ROW = 5
CALLBACK = re.compile(r"(?P<kind>[psw]):(?P<reply>[1-9]\d{0,18}):(?P<number>\d{1,19})")
LARGEST = 2**63 - 1

ButtonKind = Literal["p", "s", "w"]
"""Page, show the picture, wrong."""


@dataclass(frozen=True, slots=True)
class Button:
    """A pressed button: of which reply, and the page or the fingerprint that it names."""

    kind: ButtonKind
    reply: int
    number: int

    @property
    def data(self) -> str:
        return f"{self.kind}:{self.reply}:{self.number}"


def pressed(data: object) -> Button | None:
    """Read what a button says; None for what no button of ours says."""
    found = CALLBACK.fullmatch(data) if isinstance(data, str) and data.isascii() else None
    if not found or max(int(found["reply"]), int(found["number"])) > LARGEST:
        return None
    return Button(cast("ButtonKind", found["kind"]), int(found["reply"]), int(found["number"]))


def html_of(reply: Reply) -> str:
    """Write a reply as Telegram's HTML, with every name escaped."""
    mark = "🖼 {number}" if reply.is_album else "{number}."  # as on the buttons: pictures have numbers of their own
    blocks = [*(_lines(passage, mark) for passage in reply.passages), map(escape, reply.closing)]
    return "\n\n".join(text for block in blocks if (text := "\n".join(block)))


def match_html(matches: Sequence[NamedMatch], language: Language) -> str:
    """Write whose picture is shown, and how sure that is."""
    return "\n".join(
        f"{_link(match.username)} — {escape(sureness(match.confidence, language))}" for match in matches[:PAGE_ENTRIES]
    )


def _lines(passage: Passage, mark: str) -> Iterator[str]:
    if passage.title:
        yield f"<b>{escape(passage.title)}</b>"
    yield from map(escape, passage.sentences)
    for entry in passage.entries:
        yield f"{mark.format(number=entry.number)} {_link(entry.username)} — {escape(entry.sureness)}"
        yield f"<i>{escape(entry.how)}</i>"
    if passage.similar:
        yield f"{escape(passage.similar_words)} {', '.join(map(_link, passage.similar))}"


def _link(username: str) -> str:
    return f'<a href="{escape(profile_url(username))}">{escape(username)}</a>'


def keyboard_of(reply: Reply, number: int | None, language: Language) -> InlineKeyboardMarkup | None:
    """Return the buttons below a reply that is kept under a number; none below one that names nobody."""
    if number is None or not reply.entries:
        return None
    rows = [*_show_rows(reply.entries, number, language), _page_row(reply, number, language)]
    rows.append([InlineKeyboardButton(language.say("Wrong?"), callback_data=Button("w", number, 0).data)])
    return InlineKeyboardMarkup([row for row in rows if row])


def _show_rows(entries: Sequence[Entry], number: int, language: Language) -> Iterator[list[InlineKeyboardButton]]:
    buttons = [
        InlineKeyboardButton(
            language.say("Show the picture") if len(entries) == 1 else f"🖼 {entry.number}",
            callback_data=Button("s", number, entry.light_id).data,
        )
        for entry in entries
    ]
    for start in range(0, len(buttons), BUTTONS_A_ROW):
        yield buttons[start : start + BUTTONS_A_ROW]


def _page_row(reply: Reply, number: int, language: Language) -> list[InlineKeyboardButton]:
    neighbours = ((reply.page - 1, "‹ {page}"), (reply.page + 1, "{page} ›"))
    return [
        InlineKeyboardButton(
            label.format(
                page=language.say(
                    "Page {number} of {pages}", number=language.number(page), pages=language.number(reply.pages)
                )
            ),
            callback_data=Button("p", number, page).data,
        )
        for page, label in neighbours
        if 1 <= page <= reply.pages
    ]
