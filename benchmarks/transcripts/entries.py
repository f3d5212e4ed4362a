"""What stands in a drawn chat, as values that know of no chat program."""

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
class Speaker:
    """Who says something, with the colour of their avatar, and of the tag beside the name if there is one."""

    name: str
    colour: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """What a message answers: what somebody did."""

    speaker: Speaker
    words: Runs


@dataclass(frozen=True, slots=True)
class Quote:
    """What a message replies to: who said it, what, and with which photo."""

    name: str
    words: str
    photo: Picture | None = None


@dataclass(frozen=True, slots=True)
class Embed:
    """Words on a card with a coloured bar, and a small picture beside them."""

    colour: str
    words: Runs
    thumbnail: Picture | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message, from above: what it answers, its photos, words and embeds, rows of buttons, and who sees it."""

    is_mine: bool = False
    is_from_bot: bool = False
    speaker: Speaker | None = None
    cause: Cause | None = None
    quote: Quote | None = None
    photos: tuple[Picture, ...] = ()
    words: Runs = ()
    embeds: tuple[Embed, ...] = ()
    buttons: tuple[tuple[str, ...], ...] = ()
    footnote: Runs = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What a person fills in before it is sent: words, and the photo that goes with them."""

    words: Runs
    photo: Picture


@dataclass(frozen=True, slots=True)
class Note:
    """What happens between messages."""

    words: str


Entry = Message | Command | Note
