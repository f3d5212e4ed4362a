"""Replies as Discord shows them: within its limits, every name exactly, nobody mentioned."""

import re

import pytest
from discord import Embed
from hypothesis import example, given
from hypothesis import strategies as st

from answers.languages import Language, languages
from answers.replies import compose
from bots.buttons import parse_button
from bots.discord.markup import embeds_of, exactly, view_of
from core.model.outcomes import QueryOutcome
from tests.answers.outcomes import LARGEST, LONGEST, NOW, SEARCHED, named, outcomes

MARKDOWN = re.compile(r"\\([\\*_~`|>\[\]()#-])")
MOST_EMBEDS, MOST_DESCRIPTION, MOST_TITLE, MOST_TOGETHER = 10, 4_096, 256, 6_000
MOST_ROWS, MOST_A_ROW, MOST_CUSTOM_ID, MOST_LABEL = 5, 5, 100, 80


@given(st.lists(outcomes, min_size=1, max_size=10), st.sampled_from(list(languages().values())), st.integers(1, 12))
@example([LONGEST[0]] * 10, languages()["de"], 1)
@example([LONGEST[1]] * 10, languages()["de"], 1)
@example([LONGEST[1]] * 10, languages()["es"], 1)
async def test_every_page_keeps_discords_limits(album: list[QueryOutcome], language: Language, page: int) -> None:
    """Whatever an album comes to, each page fits: embeds, their parts, all of them together, buttons and their ids."""
    reply = compose(album, language, now=NOW, page=page)

    embeds = embeds_of(reply, {entry.photo_id: "match.jpg" for entry in reply.entries})
    items = view_of(reply, LARGEST, language).to_components()

    assert 0 < len(embeds) <= MOST_EMBEDS
    assert all(len(embed.description or "") <= MOST_DESCRIPTION for embed in embeds)
    assert all(len(embed.title or "") <= MOST_TITLE for embed in embeds)
    assert all(embed.title or embed.description for embed in embeds)
    assert sum(map(len, embeds)) <= MOST_TOGETHER
    assert len(items) <= MOST_ROWS
    buttons = [button for row in items for button in row["components"]]
    assert all(len(row["components"]) <= MOST_A_ROW for row in items)
    assert all(0 < len(button["label"]) <= MOST_LABEL for button in buttons)
    ids = [button["custom_id"] for button in buttons]
    assert len(set(ids)) == len(ids)
    assert all(len(custom_id) <= MOST_CUSTOM_ID and parse_button(custom_id) for custom_id in ids)


@pytest.mark.parametrize("username", ["everyone", "here", "__dunder__", "_.dot._", "a.b_c", "___"])
def test_hostile_usernames_are_shown_exactly(username: str) -> None:
    """No markdown in a name counts, and none of them is a mention."""
    [embed] = embeds_of(compose([QueryOutcome("match", matches=named([username]))], languages()["en"], now=NOW), {})

    [line] = [line for line in (embed.description or "").splitlines() if "](" in line]
    shown = re.fullmatch(r"\*\*1\.\*\* \[(.+)\]\((.+)\) — 91\.2 %, likely", line)
    assert shown
    assert MARKDOWN.sub(r"\1", shown[1]) == username
    assert not re.search(r"(?<!\\)[_*~`]", shown[1])
    assert shown[2] == f"https://www.instagram.com/{username}/"
    assert "@" not in str(embed.to_dict())


@given(st.text("_*~`|>[]()#\\abc.-", max_size=30))
def test_a_name_is_written_so_that_it_is_read_exactly(name: str) -> None:
    """What is escaped reads as it was, whatever is in it."""
    assert MARKDOWN.sub(r"\1", exactly(name)) == name


def test_the_picture_of_a_match_stands_beside_it() -> None:
    """Each picture's embed shows its first match that has one."""
    album = [QueryOutcome("match", matches=named(["anna", "bob"], first_id=7)), QueryOutcome("none", searched=SEARCHED)]

    embeds: list[Embed] = embeds_of(compose(album, languages()["en"], now=NOW), {7: "match-7.jpg"})

    assert [embed.thumbnail.url for embed in embeds] == ["attachment://match-7.jpg", None]
