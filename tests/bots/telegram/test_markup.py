"""Replies as Telegram shows them: within its limits, every name exactly, buttons that say only numbers."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from telegram.constants import InlineKeyboardButtonLimit, InlineKeyboardMarkupLimit, MessageLimit

from answers.languages import Language, languages
from answers.replies import compose
from bots.buttons import Button, parse_button
from bots.telegram.markup import html_of, keyboard_of
from core.dataset import locate
from core.model.outcomes import QueryOutcome
from tests.answers.outcomes import LARGEST, LONGEST, NOW, SEARCHED, named, outcomes
from tests.fakes.telegram.text import parse_html


@given(st.lists(outcomes, min_size=1, max_size=10), st.sampled_from(list(languages().values())), st.integers(1, 12))
@example([LONGEST[0]] * 10, languages()["de"], 1)
@example([LONGEST[1]] * 10, languages()["es"], 1)
def test_every_page_keeps_telegrams_limits(album: list[QueryOutcome], language: Language, page: int) -> None:
    """Whatever an album comes to, each page is valid HTML of at most 4,096 characters, and its buttons fit."""
    reply = compose(album, language, now=NOW, page=page)

    text = parse_html(html_of(reply))
    keyboard = keyboard_of(reply, LARGEST, language)

    assert 0 < text.length <= MessageLimit.MAX_TEXT_LENGTH
    for entry in reply.entries:
        mark = f"🖼 {entry.number}" if len(album) > 1 else f"{entry.number}."
        assert f"{mark} {entry.username} — " in text.plain
    rows = keyboard.inline_keyboard if keyboard else ()
    buttons = [button for row in rows for button in row]
    assert len(buttons) <= InlineKeyboardMarkupLimit.TOTAL_BUTTON_NUMBER
    for button in buttons:
        assert isinstance(button.callback_data, str)
        assert len(button.callback_data.encode()) <= InlineKeyboardButtonLimit.MAX_CALLBACK_DATA
        assert parse_button(button.callback_data) is not None


@pytest.mark.parametrize("username", ["__dunder__", "a.b_c", "_.dot._", "everyone"])
def test_odd_usernames_are_shown_exactly(username: str) -> None:
    """A name that another markup would swallow is text and link to the letter."""
    place = locate(f"{username}/1.jpg".encode())
    reply = compose([QueryOutcome("match", matches=named([username]))], languages()["en"], now=NOW)

    text = parse_html(html_of(reply))

    assert place is not None
    assert f"1. {username} — 91.2 %, likely" in text.plain
    assert [mark.url for mark in text.marks if mark.kind == "text_link"] == [f"https://www.instagram.com/{username}/"]


@given(st.sampled_from("psw"), st.integers(1, LARGEST), st.integers(0, LARGEST))
def test_a_button_is_read_as_it_was_written(kind: str, reply: int, number: int) -> None:
    """What a button says stands for itself."""
    button = Button(kind, reply, number)  # type: ignore[arg-type]

    assert parse_button(button.data) == button


@given(st.text(max_size=70))
@example("p:0:1")
@example("p:1:1\n")
@example("p:1:-1")
@example("x:1:1")
@example("p:9999999999999999999:1")
@example("p:١:1")
@example("s:1:1:1")
def test_what_no_button_of_ours_says_is_none(data: str) -> None:
    """Malformed, foreign and oversized data is refused, never an error."""
    button = parse_button(data)

    assert button is None or button.data == data
    assert parse_button(None) is None


def test_a_reply_that_names_nobody_has_no_buttons() -> None:
    """There is nothing to show, turn or call wrong; nor is there for one that could not be kept."""
    nobody = compose([QueryOutcome("none", searched=SEARCHED)], languages()["en"], now=NOW)
    somebody = compose([QueryOutcome("match", matches=named(["anna"]))], languages()["en"], now=NOW)

    assert keyboard_of(nobody, 1, languages()["en"]) is None
    assert keyboard_of(somebody, None, languages()["en"]) is None


def test_pages_are_turned_to_their_neighbours() -> None:
    """The first page has a button to the second, the middle one two."""
    album = [QueryOutcome("match", matches=named([f"u{i}" for i in range(25)]))]

    labels = []
    for page in (1, 2, 3):
        keyboard = keyboard_of(compose(album, languages()["en"], now=NOW, page=page), 1, languages()["en"])
        assert keyboard is not None
        labels.append([button.text for row in keyboard.inline_keyboard for button in row if "Page" in button.text])

    assert labels == [["Page 2 of 3 ›"], ["‹ Page 1 of 3", "Page 3 of 3 ›"], ["‹ Page 2 of 3"]]
