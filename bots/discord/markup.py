"""Render a reply for Discord: embeds, pictures of the matches, and the buttons below. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from discord import Client, Colour, Embed, Interaction
from discord.ui import Button as ShownButton
from discord.ui import DynamicItem, Item, View

from answers.languages import Language
from answers.replies import PAGE_ENTRIES, Passage, Reply, profile_url, sureness
from bots.buttons import rows_below
from core.model.outcomes import NamedMatch

MARKDOWN = re.compile(r"[\\*_~`|>\[\]()#]")
GREEN, GREY = Colour(0x00D68F), Colour(0x99AAB5)
"""The colours of a passage with matches, and of one without."""


def embeds_of(reply: Reply, pictures: Mapping[int, str]) -> list[Embed]:
    """Render a reply as one embed per picture; `pictures` has the name of the attached file for each photo id."""
    mark = "🖼 {number}" if reply.is_album else "**{number}.**"  # as on the buttons: pictures are numbered, too
    similar = exactly if reply.is_album else _link  # for ten pictures the links alone would fill 1,200 characters
    embeds = [_embed(passage, mark, similar, pictures) for passage in reply.passages]
    if reply.closing:
        last = embeds[-1]
        said = "\n".join(reply.closing)
        last.description = f"{last.description}\n\n{said}" if last.description else said
    return embeds


def _embed(passage: Passage, mark: str, similar: Callable[[str], str], pictures: Mapping[int, str]) -> Embed:
    embed = Embed(
        title=passage.title,
        description="\n".join(_lines(passage, mark, similar)) or None,
        colour=GREEN if passage.entries else GREY,
    )
    shown = next((pictures[entry.photo_id] for entry in passage.entries if entry.photo_id in pictures), None)
    return embed.set_thumbnail(url=f"attachment://{shown}") if shown else embed


def _lines(passage: Passage, mark: str, similar: Callable[[str], str]) -> Iterator[str]:
    yield from passage.sentences
    for entry in passage.entries:
        yield f"{mark.format(number=entry.number)} {_link(entry.username)} — {entry.sureness}"
        yield f"*{entry.how}*"
    if passage.similar:
        yield f"{passage.similar_words} {', '.join(map(similar, passage.similar))}"


def _link(username: str) -> str:
    return f"[{exactly(username)}]({profile_url(username)})"


def match_words(matches: Sequence[NamedMatch], language: Language) -> str:
    """Render whose picture is shown and how sure that is; angle brackets keep Discord from previewing the links."""
    return "\n".join(
        f"[{exactly(match.username)}](<{profile_url(match.username)}>) — {sureness(match.confidence, language)}"
        for match in matches[:PAGE_ENTRIES]
    )


def exactly(name: str) -> str:
    """Escape all markdown in a name; discord.py's own function leaves a backslash before a bracket as it is."""
    return MARKDOWN.sub(r"\\\g<0>", name)


class ReplyButton(DynamicItem[ShownButton[View]], template=r"(?s)(?P<data>.{1,100})"):
    """A button below a reply, which works after a restart, as its data is all that is needed to handle it."""

    def __init__(self, data: str, label: str = "-") -> None:
        super().__init__(ShownButton(label=label, custom_id=data))

    @classmethod
    async def from_custom_id(
        cls, _interaction: Interaction[Client], _item: Item[Any], match: re.Match[str], /
    ) -> "ReplyButton":
        return cls(match["data"])

    async def callback(self, interaction: Interaction[Any]) -> None:
        await interaction.client.on_button(interaction)


def view_of(reply: Reply, number: int | None, language: Language) -> View:
    """Render the buttons below a reply that is stored under a number."""
    view = View(timeout=None)
    for row, buttons in enumerate(rows_below(reply, number, language)):
        for one in buttons:
            item = ReplyButton(one.button.data, one.label)
            item.item.row = row
            view.add_item(item)
    return view
