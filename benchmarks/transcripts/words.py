"""Words as they are drawn: parted into lines, measured, and written."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont

from benchmarks.transcripts.entries import Picture, Run
from benchmarks.transcripts.looks import PX, Look

Point = tuple[float, float]
Face = ImageFont.FreeTypeFont

SMALL, LEADING = 12 * PX, 1.42
"""The size of letters beside the words of messages, and the height of a line over that of its letters."""
BASELINE = 0.36
"""How far below the middle of a line its letters stand, over their size."""
FRAME, FRAME_WIDTH = "\N{FRAME WITH PICTURE}", 1.3
"""This one is drawn, for DejaVu has it not; and its width over the size of the letters beside it."""
WORD = re.compile(r"\n| *(?P<word>[^ \n]+)")
FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
FACES = {
    (False, False): "DejaVuSans.ttf",
    (True, False): "DejaVuSans-Bold.ttf",
    (False, True): "DejaVuSans-Oblique.ttf",
    (True, True): "DejaVuSans-BoldOblique.ttf",
}
"""By whether they are bold and italic."""


def words_picture(runs: Sequence[Run], width: float, look: Look, fill: str) -> Picture:
    lines = wrapped(runs, width, look.text)
    leading = round(look.text * LEADING)
    longest = math.ceil(max(length_of(line, look.text) for line in lines))
    page = Image.new("RGB", (longest, leading * len(lines)), fill)
    for row, line in enumerate(lines):
        write(page, line, (0, leading * (row + 0.5)), look.text, look)
    return page


def wrapped(runs: Sequence[Run], width: float, size: int) -> list[list[Run]]:
    """Part words into lines of at most a width, if no word is longer."""
    lines: list[list[Run]] = [[]]
    for found in WORD.finditer("".join(run.text for run in runs)):
        longer = [*lines[-1], *cut(runs, *found.span())]
        if not found["word"]:
            lines.append([])
        elif lines[-1] and length_of(longer, size) > width:
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
        ink = look.link if run.is_link else look.faint if run.is_faint else look.ink
        for piece in pieces_of(run):
            if piece.text == FRAME:
                draw_frame(page, (left, middle), size)
            else:
                place = (left, middle + size * BASELINE)
                ImageDraw.Draw(page).text(place, piece.text, ink, face_of(piece, size), "ls")
            left += length_of([piece], size)


def length_of(line: Sequence[Run], size: int) -> float:
    return sum(
        size * FRAME_WIDTH if piece.text == FRAME else face_of(piece, size).getlength(piece.text)
        for run in line
        for piece in pieces_of(run)
    )


def pieces_of(run: Run) -> list[Run]:
    """Part the drawn sign from words."""
    return [replace(run, text=text) for text in re.split(f"({FRAME})", run.text) if text]


def face_of(run: Run, size: int) -> Face:
    return face(FACES[run.is_bold, run.is_italic], size)


@cache
def face(name: str, size: int) -> Face:
    return ImageFont.truetype(FONTS / name, size)


def draw_frame(page: Picture, at: Point, size: int) -> None:
    """Draw a sun over a hill in a frame, around a point at its left."""
    pen, (left, middle), side = ImageDraw.Draw(page), at, size * 1.1
    top, frame = middle - side / 2, side / 8

    def place(x: float, y: float) -> Point:
        return left + frame + x * (side - 2 * frame), top + frame + y * (side - 2 * frame)

    pen.rounded_rectangle((left, top, left + side, top + side), frame, "#b9822f")
    pen.rectangle((*place(0, 0), *place(1, 1)), "#cfeafb")
    pen.circle(place(0.7, 0.3), side / 10, "#f5b921")
    hill = ((0, 1), (0, 0.75), (0.35, 0.4), (0.6, 0.75), (0.75, 0.6), (1, 1))
    pen.polygon([place(*point) for point in hill], "#3d8b4f")
