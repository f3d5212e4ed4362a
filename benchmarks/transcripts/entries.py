"""A chat as it is drawn: messages, and what stands in them, as values that know of no chat program."""

from dataclasses import dataclass

from PIL import Image

Picture = Image.Image


@dataclass(frozen=True, slots=True)
class Run:
    """Words in one hand."""

    text: str
    is_bold: bool = False
    is_italic: bool = False
    is_link: bool = False
    is_faint: bool = False


Runs = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Photos:
    """Photos beside each other."""

    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """Words beside a coloured bar, such as a quote or an embed, and a small picture beside them."""

    colour: str
    words: Runs
    picture: Picture | None = None


Part = Photos | Card | Runs


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who says something, with the colour of their avatar, and the tag beside the name if there is one."""

    name: str
    colour: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its parts from above, and rows of buttons below it."""

    parts: tuple[Part, ...]
    buttons: tuple[tuple[str, ...], ...] = ()
    speaker: Speaker | None = None
    is_from_bot: bool = False
    is_mine: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """What happens between messages."""

    words: str


Entry = Message | Note
