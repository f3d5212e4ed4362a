"""A chat drawn as people see it: bubbles on both sides, with photos, words and buttons.

`drawn` takes the chat as values that know of no chat program, and `save` writes it as a PNG that a page can carry.
Lengths are in px of the drawing, which has several for each that a reader sees, so that edges are smooth.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont, ImageOps

Picture = Image.Image
Point = tuple[float, float]
Face = ImageFont.FreeTypeFont

SHARPNESS, SMOOTHNESS = 2, 2
"""Px of the file for one that a reader sees, and px of the drawing for one of the file."""
PX = SHARPNESS * SMOOTHNESS

WIDTH, TALLEST = 900 * PX, 1000 * PX
"""A chat that would be taller in one column gets two, as wide together."""
MARGIN, GAP = 20 * PX, 10 * PX
"""Around columns, and between messages."""
COLUMN = (WIDTH - 3 * MARGIN) // 2
PHOTO, LINE = (232 * PX, 260 * PX), 384 * PX
"""The largest size of a photo, and the longest line of words."""
SHORTEST_LINE = 200 * PX
"""Words below a photo have so much room, however narrow it is."""
PADDING, EDGE, ROUND = 11 * PX, 3 * PX, 14 * PX
"""Bubbles: around words, around photos, and the radius of their corners."""
BUTTON, BUTTON_GAP, BUTTON_ROUND = 32 * PX, 4 * PX, 8 * PX
"""Buttons: their height, what is between them, and the radius of their corners."""
QUOTE, QUOTE_BAR, QUOTE_ROUND, QUOTE_TINT = 40 * PX, 3 * PX, 3 * PX, 0.1
"""Quotes: their height, the bar before them, the radius of their corners, and the share of the bar's colour in them."""
TEXT, SMALL, LEADING = 14 * PX, 12 * PX, 1.42
"""Sizes of letters, and the height of a line over them."""
BASELINE = 0.36
"""How far below the middle of a line its letters stand, over their size."""

ICON, ICON_WIDTH = "\N{FRAME WITH PICTURE}", 1.3
"""It is drawn, for DejaVu has it not; and its width over the size of the letters beside it."""
WORD = re.compile(r"\n| *(?P<word>[^ \n]+)")
FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
FACES = {
    (False, False): "DejaVuSans.ttf",
    (True, False): "DejaVuSans-Bold.ttf",
    (False, True): "DejaVuSans-Oblique.ttf",
    (True, True): "DejaVuSans-BoldOblique.ttf",
}
"""By whether they are bold and italic."""
COLOURS = (256, 192, 128, 96, 64)
"""How many a PNG may have: the first of these with which it is small enough."""
KMEANS = 1
"""Colours are moved until they fit; without it clouds are spotted: squared error 4.0, with it 1.4."""


@dataclass(frozen=True, slots=True)
class Run:
    """Words in one hand."""

    text: str
    is_bold: bool = False
    is_italic: bool = False
    is_link: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """What a message replies to: who said it, what, and with which photo."""

    name: str
    words: str
    photo: Picture | None = None


@dataclass(frozen=True, slots=True)
class Bubble:
    """A message, from above: what it replies to, its photo, its words, and rows of buttons."""

    is_mine: bool
    quote: Quote | None = None
    photo: Picture | None = None
    words: tuple[Run, ...] = ()
    buttons: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """What happens between messages."""

    words: str


Entry = Bubble | Note


@dataclass(frozen=True, slots=True)
class Look:
    """The colours of a chat: its paper, its bubbles, the inks on them, and its buttons and notes."""

    paper: str
    mine: str
    theirs: str
    ink: str
    link: str
    button: str
    button_ink: str


LIGHT = Look(
    paper="#d5e1cd",
    mine="#eafdd7",
    theirs="#ffffff",
    ink="#11161b",
    link="#1c72b4",
    button="#6d8c66",
    button_ink="#ffffff",
)


def drawn(entries: Sequence[Entry], look: Look = LIGHT) -> Picture:
    """Draw a chat in one column, or in two where one would be too tall."""
    columns = in_columns([(entry, entry_picture(entry, look)) for entry in entries])
    width = MARGIN + len(columns) * (COLUMN + MARGIN)
    page = Image.new("RGB", (width, 2 * MARGIN + max(map(height_of, columns))), look.paper)
    for number, column in enumerate(columns):
        lay(column, page, left=MARGIN + number * (COLUMN + MARGIN))
    return page.reduce(SMOOTHNESS)


def save(picture: Picture, path: Path, *, most_bytes: int) -> None:
    """Write a PNG with as many colours as it may have for its size."""
    for colours in COLOURS:
        picture.quantize(colours, kmeans=KMEANS).save(path, "PNG", optimize=True)
        if path.stat().st_size <= most_bytes:
            return
    raise ValueError(f"{path} is larger than {most_bytes:,} bytes with {COLOURS[-1]} colours: show less")


# Columns

Column = Sequence[tuple[Entry, Picture]]


def in_columns(chat: Column) -> list[Column]:
    """Part a chat that is too tall before a message of mine, where both columns are most alike."""
    cuts = [place for place, (entry, _) in enumerate(chat) if place and isinstance(entry, Bubble) and entry.is_mine]
    if height_of(chat) <= TALLEST or not cuts:
        return [chat]
    cut = min(cuts, key=lambda place: max(height_of(chat[:place]), height_of(chat[place:])))
    return [chat[:cut], chat[cut:]]


def height_of(column: Column) -> int:
    return sum(picture.height for _, picture in column) + GAP * (len(column) - 1)


def lay(column: Column, page: Picture, *, left: int) -> None:
    """Lay notes in the middle, my bubbles on the right and theirs on the left."""
    top = MARGIN
    for entry, picture in column:
        room = COLUMN - picture.width
        page.paste(picture, (left + (room // 2 if isinstance(entry, Note) else room * entry.is_mine), top))
        top += picture.height + GAP


# Entries


def entry_picture(entry: Entry, look: Look) -> Picture:
    if isinstance(entry, Note):
        return button_picture(entry.words, button_width(entry.words), look, radius=BUTTON / 2)
    return bubble_picture(entry, look)


def bubble_picture(bubble: Bubble, look: Look) -> Picture:
    fill = look.mine if bubble.is_mine else look.theirs
    parts = list(parts_of(bubble, look, fill))
    quotes = [bubble.quote] if bubble.quote else []
    width = max([*map(quote_width, quotes), *(part.width for part in parts), *map(row_width, bubble.buttons)])
    parts = [*(quote_picture(quote, width, look, fill) for quote in quotes), *parts]
    rows = [row_picture(row, width, look) for row in bubble.buttons]
    return stacked([pointed(stacked(parts, width, fill), look.paper, bubble), *rows], width, look.paper)


def parts_of(bubble: Bubble, look: Look, fill: str) -> Iterator[Picture]:
    line = LINE
    if bubble.photo:
        photo = ImageOps.contain(bubble.photo, PHOTO)
        line = max(photo.width, SHORTEST_LINE) - 2 * (PADDING - EDGE)
        yield ImageOps.expand(rounded(photo, ROUND - EDGE, fill), EDGE, fill)
    if bubble.words:
        yield ImageOps.expand(words_picture(bubble.words, line, look, fill), (PADDING, PADDING // 2), fill)


def stacked(parts: Sequence[Picture], width: int, fill: str) -> Picture:
    """Put pictures below each other, from the left."""
    page, top = Image.new("RGB", (width, sum(part.height for part in parts)), fill), 0
    for part in parts:
        page.paste(part, (0, top))
        top += part.height
    return page


def quote_picture(quote: Quote, width: int, look: Look, fill: str) -> Picture:
    """Draw the bar, the small photo, and a line each for the name and the words."""
    size = (width - 4 * EDGE, QUOTE)
    page = Image.blend(plain(size, fill), plain(size, look.link), QUOTE_TINT)
    page.paste(look.link, (0, 0, QUOTE_BAR, QUOTE))
    if quote.photo:
        side = QUOTE - 2 * EDGE
        page.paste(ImageOps.fit(quote.photo, (side, side)), (QUOTE_BAR + EDGE, EDGE))
    for line, middle in zip(quote_lines(quote), (0.28, 0.72), strict=True):
        write(page, [line], (quote_indent(quote), QUOTE * middle), SMALL, look)
    return ImageOps.expand(rounded(page, QUOTE_ROUND, fill), (2 * EDGE, 2 * EDGE, 2 * EDGE, EDGE), fill)


def quote_width(quote: Quote) -> int:
    longest = max(length_of([line], SMALL) for line in quote_lines(quote))
    return quote_indent(quote) + math.ceil(longest) + PADDING + 4 * EDGE


def quote_lines(quote: Quote) -> tuple[Run, Run]:
    return Run(quote.name, is_bold=True, is_link=True), Run(quote.words)


def quote_indent(quote: Quote) -> int:
    return QUOTE_BAR + EDGE + (QUOTE if quote.photo else EDGE)


def words_picture(runs: Sequence[Run], width: float, look: Look, fill: str) -> Picture:
    lines = wrapped(runs, width)
    leading = round(TEXT * LEADING)
    page = plain((math.ceil(max(length_of(line, TEXT) for line in lines)), leading * len(lines)), fill)
    for row, line in enumerate(lines):
        write(page, line, (0, leading * (row + 0.5)), TEXT, look)
    return page


def row_picture(row: Sequence[str], width: int, look: Look) -> Picture:
    """Draw a row of buttons of one width, and what parts it from what is above."""
    page = plain((width, BUTTON + BUTTON_GAP), look.paper)
    for place, label in enumerate(row):
        left, right = (round(number * (width + BUTTON_GAP) / len(row)) for number in (place, place + 1))
        page.paste(button_picture(label, right - left - BUTTON_GAP, look), (left, BUTTON_GAP))
    return page


def row_width(row: Sequence[str]) -> int:
    return len(row) * (max(map(button_width, row)) + BUTTON_GAP) - BUTTON_GAP


def button_picture(label: str, width: int, look: Look, *, radius: float = BUTTON_ROUND) -> Picture:
    page = plain((width, BUTTON), look.button)
    run = Run(label, is_bold=True)
    write(page, [run], ((width - length_of([run], SMALL)) / 2, BUTTON / 2), SMALL, replace(look, ink=look.button_ink))
    return rounded(page, radius, look.paper)


def button_width(label: str) -> int:
    return math.ceil(length_of([Run(label, is_bold=True)], SMALL)) + 2 * PADDING


# Shapes


def plain(size: tuple[int, int], colour: str) -> Picture:
    return Image.new("RGB", size, colour)


def rounded(picture: Picture, radius: float, around: str) -> Picture:
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, picture.width - 1, picture.height - 1), radius, 255)
    return Image.composite(picture, plain(picture.size, around), mask)


def pointed(body: Picture, around: str, bubble: Bubble) -> Picture:
    """Round the corners of a bubble, but for the one at the bottom that points at who speaks."""
    shaped = rounded(body, ROUND, around)
    left = body.width - ROUND if bubble.is_mine else 0
    corner = (left, body.height - ROUND, left + ROUND, body.height)
    shaped.paste(body.crop(corner), corner)
    return shaped


# Words


def wrapped(runs: Sequence[Run], width: float) -> list[list[Run]]:
    """Part words into lines of at most a width, if no word is longer."""
    lines: list[list[Run]] = [[]]
    for found in WORD.finditer("".join(run.text for run in runs)):
        longer = [*lines[-1], *cut(runs, *found.span())]
        if not found["word"]:
            lines.append([])
        elif lines[-1] and length_of(longer, TEXT) > width:
            lines.append(cut(runs, *found.span("word")))
        else:
            lines[-1] = longer
    return lines


def cut(runs: Sequence[Run], begin: int, end: int) -> list[Run]:
    """Return the runs between two places of the whole text."""
    starts = accumulate((len(run.text) for run in runs), initial=0)
    parts = [
        replace(run, text=run.text[max(begin - start, 0) : max(end - start, 0)])
        for run, start in zip(runs, starts, strict=False)
    ]
    return [part for part in parts if part.text]


def write(page: Picture, line: Sequence[Run], at: Point, size: int, look: Look) -> None:
    """Write a line from a point at its left, in the middle of its height."""
    left, middle = at
    for run in line:
        ink = look.link if run.is_link else look.ink
        for piece in pieces_of(run):
            if piece.text == ICON:
                draw_icon(page, (left, middle), size)
            else:
                place = (left, middle + size * BASELINE)
                ImageDraw.Draw(page).text(place, piece.text, ink, face_of(piece, size), "ls")
            left += length_of([piece], size)


def length_of(line: Sequence[Run], size: int) -> float:
    return sum(
        size * ICON_WIDTH if piece.text == ICON else face_of(piece, size).getlength(piece.text)
        for run in line
        for piece in pieces_of(run)
    )


def pieces_of(run: Run) -> list[Run]:
    """Part icons from words."""
    return [replace(run, text=text) for text in re.split(f"({ICON})", run.text) if text]


def face_of(run: Run, size: int) -> Face:
    return face(FACES[run.is_bold, run.is_italic], size)


@cache
def face(name: str, size: int) -> Face:
    return ImageFont.truetype(FONTS / name, size)


def draw_icon(page: Picture, at: Point, size: int) -> None:
    """Draw a sun over a hill in a frame, around a point at its left."""
    pen, (left, middle), side = ImageDraw.Draw(page), at, size * 1.1
    top, frame = middle - side / 2, side / 8

    def place(x: float, y: float) -> Point:
        return left + frame + x * (side - 2 * frame), top + frame + y * (side - 2 * frame)

    pen.rounded_rectangle((left, top, left + side, top + side), frame, "#b9822f")
    pen.rectangle((*place(0, 0), *place(1, 1)), "#cfeafb")
    pen.circle(place(0.7, 0.3), side / 10, "#f5b921")
    pen.polygon(
        [place(0, 1), place(0, 0.75), place(0.35, 0.4), place(0.6, 0.75), place(0.75, 0.6), place(1, 1)], "#3d8b4f"
    )
