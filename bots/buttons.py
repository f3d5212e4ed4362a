"""The buttons below a reply, for every chat: their labels, and what one says when it is pressed.

That is at most 64 bytes and holds nothing but numbers, as Telegram wants it; all else is kept in the database.
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


def parse_button(data: object) -> Button | None:
    """Read what a button says; None for what no button of ours says."""
    found = CALLBACK.fullmatch(data) if isinstance(data, str) and data.isascii() else None
    if not found or max(int(found["reply"]), int(found["number"])) > LARGEST:
        return None
    return Button(cast("ButtonKind", found["kind"]), int(found["reply"]), int(found["number"]))


@dataclass(frozen=True, slots=True)
class Labelled:
    """A button and what stands on it."""

    label: str
    button: Button


def rows_below(reply: Reply, number: int | None, language: Language) -> list[list[Labelled]]:
    """Return the buttons below a reply that is kept under a number, in rows; none below one that names nobody.

    No two of them say the same, for Discord refuses that: owners of the same picture share its button.
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
