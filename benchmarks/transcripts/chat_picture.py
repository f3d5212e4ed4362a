"""A chat drawn as people see it: what everybody says, with photos, words, cards and buttons.

`drawn` takes the chat as values that know of no chat program, and `save` writes it as a PNG that a page can carry.
Lengths are in px of the drawing, which has several for each that a reader sees, so that edges are smooth.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from benchmarks.transcripts.entries import Card, Entry, Message, Note, Photos, Picture, Run, Speaker
from benchmarks.transcripts.looks import PX, SMOOTHNESS, Look, Size
from benchmarks.transcripts.words import SMALL, length_of, words_picture, write

WIDTH, TALLEST = 900 * PX, 1000 * PX
"""A chat that would be taller in one column gets two, as wide together."""
MARGIN, GAP = 20 * PX, 10 * PX
"""Around columns, and between messages."""
COLUMN = (WIDTH - 3 * MARGIN) // 2
PHOTO, LINE, SHORTEST_LINE = (232 * PX, 260 * PX), 384 * PX, 200 * PX
"""The largest size of a photo, the longest line of words, and what words below a narrow photo have at least."""
SMALL_GAP = 4 * PX
"""Between photos, and around buttons."""
BUTTON, BUTTON_PADDING = 32 * PX, 11 * PX
"""The height of buttons, and what is around their words."""
CARD_BAR, CARD_PADDING, THUMBNAIL = 3 * PX, 10 * PX, 58 * PX
AVATAR, INDENT, TAG = 32 * PX, 40 * PX, 9 * PX
"""Faces beside messages, how far messages stand to the right of where faces do, and the size of letters of a tag."""
COLOURS = 256


def drawn(entries: Sequence[Entry], look: Look) -> Picture:
    """Draw a chat in one column, or in two where one would be too tall."""
    columns = in_columns([(entry, entry_picture(entry, look)) for entry in entries])
    width = MARGIN + len(columns) * (COLUMN + MARGIN)
    page = plain((width, 2 * MARGIN + max(map(height_of, columns))), look.paper)
    for number, column in enumerate(columns):
        lay(column, page, left=MARGIN + number * (COLUMN + MARGIN))
    return page.reduce(SMOOTHNESS)


def save(picture: Picture, path: Path) -> None:
    """Write a PNG of few colours, which k-means moves until they fit; without it clouds are spotted."""
    picture.quantize(COLOURS, kmeans=1).save(path, "PNG", optimize=True)


# Columns

Column = Sequence[tuple[Entry, Picture]]


def in_columns(chat: Column) -> list[Column]:
    """Part a chat that is too tall before what a person sends, where both columns are most alike."""
    cuts = [
        place for place, (entry, _) in enumerate(chat) if place and isinstance(entry, Message) and not entry.is_from_bot
    ]
    if height_of(chat) <= TALLEST or not cuts:
        return [chat]
    cut = min(cuts, key=lambda place: max(height_of(chat[:place]), height_of(chat[place:])))
    return [chat[:cut], chat[cut:]]


def height_of(column: Column) -> int:
    return sum(picture.height for _, picture in column) + GAP * (len(column) - 1)


def lay(column: Column, page: Picture, *, left: int) -> None:
    """Lay notes in the middle, and messages in bubbles on the right if they are mine; all else on the left."""
    top = MARGIN
    for entry, picture in column:
        room = COLUMN - picture.width
        page.paste(picture, (left + (room // 2 if isinstance(entry, Note) else room * entry.is_mine), top))
        top += picture.height + GAP


# Entries


def entry_picture(entry: Entry, look: Look) -> Picture:
    if isinstance(entry, Note):
        return button_picture(entry.words, button_width(entry.words), look, radius=BUTTON / 2)
    body = message_picture(entry, look)
    return spoken(body, entry.speaker, look) if entry.speaker else body


def message_picture(message: Message, look: Look) -> Picture:
    fill = look.mine if message.is_mine else look.theirs
    parts = list(parts_of(message, look, fill))
    width = max([*(part.width for part in parts), *(row_width(row, look) for row in message.buttons)])
    body = stacked(parts, width, fill)
    shaped = pointed(body, look, is_mine=message.is_mine) if look.has_bubbles else body
    return stacked([shaped, *(row_picture(row, width, look) for row in message.buttons)], width, look.paper)


def parts_of(message: Message, look: Look, fill: str) -> Iterator[Picture]:
    """Draw what a message shows, from above, but for its buttons."""
    line = LINE - (INDENT if message.speaker else 0)
    if message.speaker:
        yield header_picture(message.speaker, look)
    for part in message.parts:
        if isinstance(part, Photos):
            photos = photos_picture(part.pictures, look, fill)
            line = max(photos.width, SHORTEST_LINE) - 2 * look.padding[0]
            yield photos
        elif isinstance(part, Card):
            yield ImageOps.expand(card_picture(part, COLUMN - INDENT, look, fill), look.padding, fill)
        else:
            yield ImageOps.expand(words_picture(part, line, look, fill), look.padding, fill)


def stacked(parts: Sequence[Picture], width: int, fill: str) -> Picture:
    """Put pictures below each other, from the left."""
    page, top = plain((width, sum(part.height for part in parts)), fill), 0
    for part in parts:
        page.paste(part, (0, top))
        top += part.height
    return page


def spoken(body: Picture, speaker: Speaker, look: Look) -> Picture:
    """Put a message beside the disc with the first letter of who speaks."""
    page, disc = (
        plain((INDENT + body.width, max(body.height, AVATAR)), look.paper),
        plain((AVATAR, AVATAR), speaker.colour),
    )
    letter, size = [Run(speaker.name[0].upper(), is_bold=True)], AVATAR // 2
    at = ((AVATAR - length_of(letter, size)) / 2, AVATAR / 2)
    write(disc, letter, at, size, replace(look, ink=look.button_ink))
    page.paste(rounded(disc, AVATAR / 2, look.paper), (0, 0))
    page.paste(body, (INDENT, 0))
    return page


def header_picture(speaker: Speaker, look: Look) -> Picture:
    name, tag = [Run(speaker.name, is_bold=True)], [Run(speaker.tag, is_bold=True)]
    wide, gap = math.ceil(length_of(name, look.text)) + 6 * PX, 3 * PX
    badge = plain((math.ceil(length_of(tag, TAG)) + 2 * gap, TAG + 2 * gap), speaker.colour)
    page = plain((wide + badge.width, 22 * PX), look.paper)
    write(page, name, (0, page.height / 2), look.text, look)
    if speaker.tag:
        write(badge, tag, (gap, badge.height / 2), TAG, replace(look, ink=look.button_ink))
        page.paste(rounded(badge, gap, look.paper), (wide, (page.height - badge.height) // 2))
    return page


def photos_picture(photos: Sequence[Picture], look: Look, fill: str) -> Picture:
    """Draw photos beside each other, of one height."""
    most = min(len(photos) * PHOTO[0], COLUMN - INDENT) - SMALL_GAP * (len(photos) - 1)
    ratios = [photo.width / photo.height for photo in photos]
    height = min(PHOTO[1], most / sum(ratios))
    shown = [photo.resize((round(height * ratio), round(height))) for photo, ratio in zip(photos, ratios, strict=True)]
    edges = [0, *accumulate(photo.width + SMALL_GAP for photo in shown)]
    page = plain((edges[-1] - SMALL_GAP, round(height)), fill)
    for photo, left in zip(shown, edges, strict=False):
        page.paste(rounded(photo, look.round - look.edge[0], fill), (left, 0))
    return ImageOps.expand(page, look.edge, fill)


def card_picture(card: Card, room: int, look: Look, fill: str) -> Picture:
    """Draw the bar, the words, and the small picture at the right of them."""
    around = CARD_BAR + 2 * CARD_PADDING + (THUMBNAIL + CARD_PADDING if card.picture else 0)
    words = words_picture(card.words, room - around, look, look.card)
    page = plain((around + words.width, words.height + 2 * CARD_PADDING), look.card)
    page.paste(card.colour, (0, 0, CARD_BAR, page.height))
    page.paste(words, (CARD_BAR + CARD_PADDING, CARD_PADDING))
    if card.picture:
        picture = ImageOps.contain(card.picture, (THUMBNAIL, min(THUMBNAIL, words.height)))
        page.paste(rounded(picture, CARD_BAR, look.card), (page.width - CARD_PADDING - picture.width, CARD_PADDING))
    return rounded(page, CARD_BAR, fill)


# Buttons


def row_picture(row: Sequence[str], width: int, look: Look) -> Picture:
    """Draw a row of buttons, and what parts it from what is above."""
    page = plain((width, BUTTON + SMALL_GAP), look.paper)
    for label, (left, right) in zip(row, pairwise(button_edges(row, width, look)), strict=True):
        page.paste(button_picture(label, right - left - SMALL_GAP, look), (left, SMALL_GAP))
    return page


def button_edges(row: Sequence[str], width: int, look: Look) -> list[int]:
    """Return where each button begins, and where one more would."""
    if look.has_bubbles:
        return [round(number * (width + SMALL_GAP) / len(row)) for number in range(len(row) + 1)]
    return [0, *accumulate(button_width(label) + SMALL_GAP for label in row)]


def row_width(row: Sequence[str], look: Look) -> int:
    widest = len(row) * (max(map(button_width, row)) + SMALL_GAP)
    return button_edges(row, widest - SMALL_GAP, look)[-1] - SMALL_GAP


def button_picture(label: str, width: int, look: Look, *, radius: float = 8 * PX) -> Picture:
    page, run = plain((width, BUTTON), look.button), [Run(label, is_bold=True)]
    write(page, run, ((width - length_of(run, SMALL)) / 2, BUTTON / 2), SMALL, replace(look, ink=look.button_ink))
    return rounded(page, radius, look.paper)


def button_width(label: str) -> int:
    return math.ceil(length_of([Run(label, is_bold=True)], SMALL)) + 2 * BUTTON_PADDING


# Shapes


def plain(size: Size, colour: str) -> Picture:
    return Image.new("RGB", size, colour)


def rounded(picture: Picture, radius: float, around: str) -> Picture:
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, picture.width - 1, picture.height - 1), radius, 255)
    return Image.composite(picture, plain(picture.size, around), mask)


def pointed(body: Picture, look: Look, *, is_mine: bool) -> Picture:
    """Round the corners of a bubble, but for the one at the bottom that points at who speaks."""
    shaped = rounded(body, look.round, look.paper)
    left = body.width - look.round if is_mine else 0
    corner = (left, body.height - look.round, left + look.round, body.height)
    shaped.paste(body.crop(corner), corner)
    return shaped
