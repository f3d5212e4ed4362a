"""How chats look: their colours and measures, in px of the drawing."""

from dataclasses import dataclass

Size = tuple[int, int]

SHARPNESS, SMOOTHNESS = 2, 2
"""Px of the file for one that a reader sees, and px of the drawing for one of the file, so that edges are smooth."""
PX = SHARPNESS * SMOOTHNESS


@dataclass(frozen=True, slots=True)
class Look:
    """The looks of one chat program."""

    paper: str
    """Behind everything."""
    mine: str
    theirs: str
    card: str
    """Behind messages of mine and of others, and behind cards in these."""
    ink: str
    faint: str
    link: str
    button: str
    button_ink: str
    text: int
    """The size of letters."""
    padding: Size
    edge: Size
    """What is around words and around photos, across and down."""
    round: int
    """The radius of corners."""
    has_bubbles: bool
    """Messages point at who speaks, and buttons are as wide as they; else all stands flat below each other."""


LIGHT = Look(
    paper="#d5e1cd",
    mine="#eafdd7",
    theirs="#ffffff",
    card="#e8f0f7",
    ink="#11161b",
    faint="#6c7883",
    link="#1c72b4",
    button="#6d8c66",
    button_ink="#ffffff",
    text=14 * PX,
    padding=(11 * PX, 11 * PX // 2),
    edge=(3 * PX, 3 * PX),
    round=14 * PX,
    has_bubbles=True,
)
DARK = Look(
    paper="#313338",
    mine="#404249",
    theirs="#313338",
    card="#2b2d31",
    ink="#e3e5e8",
    faint="#a3a8b0",
    link="#00a8fc",
    button="#4e5058",
    button_ink="#ffffff",
    text=13 * PX,
    padding=(0, 2 * PX),
    edge=(0, 3 * PX),
    round=8 * PX,
    has_bubbles=False,
)
