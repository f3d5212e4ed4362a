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

from benchmarks.transcripts.entries import (
    Cause,
    Command,
    Embed,
    Entry,
    Message,
    Note,
    Picture,
    Quote,
    Run,
    Runs,
    Speaker,
)
from benchmarks.transcripts.looks import PX, SMOOTHNESS, Look, Size
from benchmarks.transcripts.words import SMALL, length_of, words_picture, write

WIDTH, TALLEST = 900 * PX, 1000 * PX
"""A chat that would be taller in one column gets two, as wide together."""
MARGIN, GAP = 20 * PX, 10 * PX
"""Around columns, and between messages."""
COLUMN = (WIDTH - 3 * MARGIN) // 2
PHOTO, LINE = (232 * PX, 260 * PX), 384 * PX
"""The largest size of a photo, and the longest line of words."""
PHOTOS_GAP = 4 * PX
SHORTEST_LINE = 200 * PX
"""Words below a photo have so much room, however narrow it is."""
FIELD_PADDING = 10 * PX
BUTTON, BUTTON_PADDING, BUTTON_GAP, BUTTON_ROUND = 32 * PX, 11 * PX, 4 * PX, 8 * PX
"""Buttons: their height, what is around their words and between them, and the radius of their corners."""
CARD_BAR, CARD_ROUND = 3 * PX, 3 * PX
"""Quotes and embeds: the bar before them, and the radius of their corners."""
QUOTE, QUOTE_EDGE = 40 * PX, 3 * PX
EMBED_PADDING, THUMBNAIL = 10 * PX, 58 * PX
"""With a larger one, "lena.hikes.north — 100.0 %, same photo" would take two lines."""
AVATAR, SMALL_AVATAR, INDENT = 32 * PX, 14 * PX, 40 * PX
"""Faces beside messages and in lines above them, and how far messages stand to the right of where faces do."""
CAUSE, HEADER, TAG, ELBOW = 22 * PX, 22 * PX, 9 * PX, 2 * PX
"""The heights of the lines above a message, the size of letters of a tag, and the line from a face to the cause."""
COLOURS = (256, 192, 128, 96, 64)
"""How many a PNG may have: the first of these with which it is small enough."""
KMEANS = 1
"""Colours are moved until they fit; without it clouds are spotted: squared error 4.0, with it 1.4."""


def drawn(entries: Sequence[Entry], look: Look) -> Picture:
    """Draw a chat in one column, or in two where one would be too tall."""
    columns = in_columns([(entry, entry_picture(entry, look)) for entry in entries])
    width = MARGIN + len(columns) * (COLUMN + MARGIN)
    page = plain((width, 2 * MARGIN + max(map(height_of, columns))), look.paper)
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
    """Part a chat that is too tall before what a person sends, where both columns are most alike."""
    cuts = [place for place, (entry, _) in enumerate(chat) if place and is_from_person(entry)]
    if height_of(chat) <= TALLEST or not cuts:
        return [chat]
    cut = min(cuts, key=lambda place: max(height_of(chat[:place]), height_of(chat[place:])))
    return [chat[:cut], chat[cut:]]


def is_from_person(entry: Entry) -> bool:
    return isinstance(entry, Command) or (isinstance(entry, Message) and not entry.is_from_bot)


def height_of(column: Column) -> int:
    return sum(picture.height for _, picture in column) + GAP * (len(column) - 1)


def lay(column: Column, page: Picture, *, left: int) -> None:
    """Lay notes in the middle, and messages in bubbles on the right if they are mine; all else on the left."""
    top = MARGIN
    for entry, picture in column:
        room = COLUMN - picture.width
        is_mine = isinstance(entry, Message) and entry.is_mine
        page.paste(picture, (left + (room // 2 if isinstance(entry, Note) else room * is_mine), top))
        top += picture.height + GAP


# Entries


def entry_picture(entry: Entry, look: Look) -> Picture:
    match entry:
        case Note():
            return button_picture(entry.words, button_width(entry.words), look, radius=BUTTON / 2)
        case Command():
            return command_picture(entry, look)
        case Message():
            body = message_picture(entry, look)
            return body if entry.speaker is None else spoken(body, entry.speaker, entry.cause, look)


def command_picture(command: Command, look: Look) -> Picture:
    """Draw the field in which a person writes, as wide as the chat, with the photo above the words."""
    room = COLUMN - 2 * FIELD_PADDING
    words = ImageOps.expand(words_picture(command.words, room, look, look.mine), look.padding, look.mine)
    parts = [photos_picture([command.photo], look, look.mine), words]
    field = ImageOps.expand(stacked(parts, room, look.mine), FIELD_PADDING, look.mine)
    return rounded(field, look.round, look.paper)


def message_picture(message: Message, look: Look) -> Picture:
    fill = look.mine if message.is_mine else look.theirs
    parts = list(parts_of(message, look, fill))
    quotes = [message.quote] if message.quote else []
    rows = [row_width(row, look) for row in message.buttons]
    width = max([*map(quote_width, quotes), *(part.width for part in parts), *rows])
    body = stacked([*(quote_picture(quote, width, look, fill) for quote in quotes), *parts], width, fill)
    shaped = pointed(body, look, is_mine=message.is_mine) if look.has_bubbles else body
    below = [*(row_picture(row, width, look) for row in message.buttons), *footnotes_of(message, look)]
    return stacked([shaped, *below], width, look.paper)


def parts_of(message: Message, look: Look, fill: str) -> Iterator[Picture]:
    """Draw what a message shows, from above, between a quote and the buttons."""
    line = LINE - (INDENT if message.speaker else 0)
    if message.speaker:
        yield header_picture(message.speaker, look)
    if message.photos:
        photos = photos_picture(message.photos, look, fill)
        line = max(photos.width, SHORTEST_LINE) - 2 * look.padding[0]
        yield photos
    if any(run.text for run in message.words):
        yield ImageOps.expand(words_picture(message.words, line, look, fill), look.padding, fill)
    for embed in message.embeds:
        yield ImageOps.expand(embed_picture(embed, COLUMN - INDENT, look, fill), look.padding, fill)


def footnotes_of(message: Message, look: Look) -> Iterator[Picture]:
    if message.footnote:
        page = plain((math.ceil(length_of(message.footnote, SMALL)), HEADER), look.paper)
        write(page, message.footnote, (0, HEADER / 2), SMALL, look)
        yield page


def stacked(parts: Sequence[Picture], width: int, fill: str) -> Picture:
    """Put pictures below each other, from the left."""
    page, top = plain((width, sum(part.height for part in parts)), fill), 0
    for part in parts:
        page.paste(part, (0, top))
        top += part.height
    return page


# Who speaks


def spoken(body: Picture, speaker: Speaker, cause: Cause | None, look: Look) -> Picture:
    """Put a message beside the face of who speaks, and below what it answers."""
    above = [cause_picture(cause, look)] if cause else []
    top = CAUSE * len(above)
    width = max(part.width for part in (body, *above))
    page = plain((INDENT + width, top + max(body.height, AVATAR)), look.paper)
    for part in above:
        draw_elbow(page, look)
        page.paste(part, (INDENT, 0))
    page.paste(avatar_picture(speaker, AVATAR, look), (0, top))
    page.paste(body, (INDENT, top))
    return page


def cause_picture(cause: Cause, look: Look) -> Picture:
    left = SMALL_AVATAR + PHOTOS_GAP
    page = plain((left + math.ceil(length_of(cause.words, SMALL)), CAUSE), look.paper)
    page.paste(avatar_picture(cause.speaker, SMALL_AVATAR, look), (0, (CAUSE - SMALL_AVATAR) // 2))
    write(page, cause.words, (left, CAUSE / 2), SMALL, look)
    return page


def draw_elbow(page: Picture, look: Look) -> None:
    """Draw a line from above a face to what the message answers."""
    pen, left, middle, bend = ImageDraw.Draw(page), AVATAR // 2, CAUSE // 2, 6 * PX
    pen.arc((left, middle, left + 2 * bend, middle + 2 * bend), 180, 270, look.button, ELBOW)
    pen.rectangle((left, middle + bend, left + ELBOW - 1, CAUSE - ELBOW), look.button)
    pen.rectangle((left + bend, middle, INDENT - 2 * ELBOW, middle + ELBOW - 1), look.button)


def avatar_picture(speaker: Speaker, side: int, look: Look) -> Picture:
    """Draw a disc with the first letter of a name."""
    letter, size = [Run(speaker.name[0].upper(), is_bold=True)], side // 2
    page = plain((side, side), speaker.colour)
    at = ((side - length_of(letter, size)) / 2, side / 2)
    write(page, letter, at, size, replace(look, ink=look.button_ink))
    return rounded(page, side / 2, look.paper)


def header_picture(speaker: Speaker, look: Look) -> Picture:
    name, tag = [Run(speaker.name, is_bold=True)], [Run(speaker.tag, is_bold=True)]
    wide, gap = math.ceil(length_of(name, look.text)), 6 * PX
    room = (math.ceil(length_of(tag, TAG)) + gap) if speaker.tag else 0
    page = plain((wide + gap + room, HEADER), look.paper)
    write(page, name, (0, HEADER / 2), look.text, look)
    if room:
        badge = plain((room, TAG + gap), speaker.colour)
        write(badge, tag, (gap / 2, badge.height / 2), TAG, replace(look, ink=look.button_ink))
        page.paste(rounded(badge, CARD_ROUND, look.paper), (wide + gap, (HEADER - badge.height) // 2))
    return page


# What messages show


def photos_picture(photos: Sequence[Picture], look: Look, fill: str) -> Picture:
    """Draw photos beside each other, of one height."""
    most, tallest = min(len(photos) * PHOTO[0], COLUMN - INDENT), PHOTO[1]
    ratios = [photo.width / photo.height for photo in photos]
    height = min(tallest, (most - PHOTOS_GAP * (len(photos) - 1)) / sum(ratios))
    shown = [photo.resize((round(height * ratio), round(height))) for photo, ratio in zip(photos, ratios, strict=True)]
    edges = [0, *accumulate(photo.width + PHOTOS_GAP for photo in shown)]
    page = plain((edges[-1] - PHOTOS_GAP, round(height)), fill)
    for photo, left in zip(shown, edges, strict=False):
        page.paste(rounded(photo, look.round - look.edge[0], fill), (left, 0))
    return ImageOps.expand(page, look.edge, fill)


def quote_picture(quote: Quote, width: int, look: Look, fill: str) -> Picture:
    """Draw the bar, the small photo, and a line each for the name and the words."""
    page = barred((width - 4 * QUOTE_EDGE, QUOTE), look.link, look)
    if quote.photo:
        side = QUOTE - 2 * QUOTE_EDGE
        page.paste(ImageOps.fit(quote.photo, (side, side)), (CARD_BAR + QUOTE_EDGE, QUOTE_EDGE))
    for line, middle in zip(quote_lines(quote), (0.28, 0.72), strict=True):
        write(page, [line], (quote_indent(quote), QUOTE * middle), SMALL, look)
    edges = (2 * QUOTE_EDGE, 2 * QUOTE_EDGE, 2 * QUOTE_EDGE, QUOTE_EDGE)
    return ImageOps.expand(rounded(page, CARD_ROUND, fill), edges, fill)


def quote_width(quote: Quote) -> int:
    longest = max(length_of([line], SMALL) for line in quote_lines(quote))
    return quote_indent(quote) + math.ceil(longest) + BUTTON_PADDING + 4 * QUOTE_EDGE


def quote_lines(quote: Quote) -> Runs:
    return Run(quote.name, is_bold=True, is_link=True), Run(quote.words)


def quote_indent(quote: Quote) -> int:
    return CARD_BAR + QUOTE_EDGE + (QUOTE if quote.photo else QUOTE_EDGE)


def embed_picture(embed: Embed, room: int, look: Look, fill: str) -> Picture:
    """Draw the bar, the words, and the small picture at the right of them."""
    thumbnails = [ImageOps.contain(embed.thumbnail, (THUMBNAIL, THUMBNAIL))] if embed.thumbnail else []
    around = CARD_BAR + EMBED_PADDING * (2 + len(thumbnails)) + sum(picture.width for picture in thumbnails)
    words = words_picture(embed.words, room - around, look, look.card)
    tallest = max(part.height for part in (words, *thumbnails))
    page = barred((around + words.width, tallest + 2 * EMBED_PADDING), embed.colour, look)
    page.paste(words, (CARD_BAR + EMBED_PADDING, EMBED_PADDING))
    for picture in thumbnails:
        page.paste(rounded(picture, CARD_ROUND, look.card), (page.width - EMBED_PADDING - picture.width, EMBED_PADDING))
    return rounded(page, CARD_ROUND, fill)


def barred(size: Size, bar: str, look: Look) -> Picture:
    """Return an empty card with a coloured bar at its left."""
    page = plain(size, look.card)
    page.paste(bar, (0, 0, CARD_BAR, page.height))
    return page


def row_picture(row: Sequence[str], width: int, look: Look) -> Picture:
    """Draw a row of buttons, and what parts it from what is above."""
    page = plain((width, BUTTON + BUTTON_GAP), look.paper)
    for label, (left, right) in zip(row, pairwise(button_edges(row, width, look)), strict=True):
        page.paste(button_picture(label, right - left - BUTTON_GAP, look), (left, BUTTON_GAP))
    return page


def button_edges(row: Sequence[str], width: int, look: Look) -> list[int]:
    """Return where each button begins, and where one more would."""
    if look.has_bubbles:
        return [round(number * (width + BUTTON_GAP) / len(row)) for number in range(len(row) + 1)]
    return [0, *accumulate(button_width(label) + BUTTON_GAP for label in row)]


def row_width(row: Sequence[str], look: Look) -> int:
    widest = len(row) * (max(map(button_width, row)) + BUTTON_GAP)
    return button_edges(row, widest - BUTTON_GAP, look)[-1] - BUTTON_GAP


def button_picture(label: str, width: int, look: Look, *, radius: float = BUTTON_ROUND) -> Picture:
    page = plain((width, BUTTON), look.button)
    run = Run(label, is_bold=True)
    write(page, [run], ((width - length_of([run], SMALL)) / 2, BUTTON / 2), SMALL, replace(look, ink=look.button_ink))
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
