"""Lay out the buttons below a reply, for every chat, and read the data that a pressed one sends.

The data is at most 64 bytes, as Telegram requires, and holds only numbers; everything else is kept in the database.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from answers.languages import Language
from answers.replies import Reply

BUTTONS_A_ROW = 5
"""Discord's limit."""
CALLBACK = re.compile(r"(?P<kind>[psw]):(?P<reply>[1-9]\d{0,18}):(?P<number>\d{1,19})")
LARGEST = 2**63 - 1

ButtonKind = Literal["p", "s", "w"]
"""p: turn to a page; s: show a picture; w: report the answer as wrong."""


@dataclass(frozen=True, slots=True)
class Button:
    """A button, as its data describes it."""

    kind: ButtonKind
    reply: int
    """The number of the reply it belongs to."""
    number: int
    """The page it turns to, or the photo it shows."""

    @property
    def data(self) -> str:
        return f"{self.kind}:{self.reply}:{self.number}"


def parse_button(data: object) -> Button | None:
    """Parse the data of a button; None if it is none of ours."""
    found = CALLBACK.fullmatch(data) if isinstance(data, str) and data.isascii() else None
    if not found or max(int(found["reply"]), int(found["number"])) > LARGEST:
        return None
    return Button(cast("ButtonKind", found["kind"]), int(found["reply"]), int(found["number"]))


@dataclass(frozen=True, slots=True)
class Labelled:
    """A button with its label."""

    label: str
    button: Button


def rows_below(reply: Reply, number: int | None, language: Language) -> list[list[Labelled]]:
    """Return the buttons below a reply that is stored under a number, in rows; none if the reply names nobody.

    Discord refuses two buttons with the same data, so accounts with the same picture share its button.
    """
    if number is None or not reply.entries:
        return []
    shows = list(_shows(reply, number, language))
    rows = [shows[start : start + BUTTONS_A_ROW] for start in range(0, len(shows), BUTTONS_A_ROW)]
    rows += [list(_pages(reply, number, language)), [Labelled(language.say("Wrong?"), Button("w", number, 0))]]
    return [row for row in rows if row]


def _shows(reply: Reply, number: int, language: Language) -> Iterator[Labelled]:
    first = {entry.photo_id: entry for entry in reversed(reply.entries)}
    for entry in sorted(first.values(), key=lambda entry: entry.number):
        label = language.say("Show the picture") if len(reply.entries) == 1 else f"🖼 {entry.number}"
        yield Labelled(label, Button("s", number, entry.photo_id))


def _pages(reply: Reply, number: int, language: Language) -> Iterator[Labelled]:
    for page, arrows in ((reply.page - 1, "‹ {page}"), (reply.page + 1, "{page} ›")):
        if 1 <= page <= reply.pages:
            shown, pages = language.number(page), language.number(reply.pages)
            words = language.say("Page {number} of {pages}", number=shown, pages=pages)
            yield Labelled(arrows.format(page=words), Button("p", number, page))
