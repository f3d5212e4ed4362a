"""Render a reply for Telegram: HTML, and the buttons below. Pure."""

from collections.abc import Iterator, Sequence
from html import escape

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from answers.languages import Language
from answers.replies import PAGE_ENTRIES, Passage, Reply, profile_url, sureness
from bots.buttons import rows_below
from core.model.outcomes import NamedMatch


def html_of(reply: Reply) -> str:
    """Render a reply as Telegram's HTML, with every name escaped."""
    mark = "🖼 {number}" if reply.is_album else "{number}."  # as on the buttons: pictures are numbered, too
    blocks = [*(_lines(passage, mark) for passage in reply.passages), map(escape, reply.closing)]
    return "\n\n".join(text for block in blocks if (text := "\n".join(block)))


def match_html(matches: Sequence[NamedMatch], language: Language) -> str:
    """Render whose picture is shown and how sure that is."""
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
    """Render the buttons below a reply that is stored under a number."""
    rows = [
        [InlineKeyboardButton(one.label, callback_data=one.button.data) for one in row]
        for row in rows_below(reply, number, language)
    ]
    return InlineKeyboardMarkup(rows) if rows else None
