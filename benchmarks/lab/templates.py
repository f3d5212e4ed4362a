"""Pictures drawn from templates, which are not photos: two of one template look alike and say something else.

They are the hard negatives of a search for photos: the same frame, colours and typeface again and again, with other
words. `edits` borrows the pens and the furniture of screens from here.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Picture = Image.Image
Size = tuple[int, int]
Point = tuple[float, float]
Align = Literal["left", "center", "right"]

BOLD_STROKES, OUTLINE_STROKES = 26, 14
"""Strokes are thickened, or outlined, by the size of the letters over this."""

VOCABULARY = (
    "morning evening summer winter harbour mountain river garden window kitchen coffee butter lemon orange pepper salt"
    " bread honey apple cherry market station ticket train bicycle engine bridge tower village island forest meadow"
    " thunder rainbow shadow lantern candle mirror pillow blanket jacket sweater ribbon button pocket wallet pencil"
    " paper letter postcard camera guitar piano drummer singer dancer painter teacher doctor farmer baker sailor pilot"
    " neighbour cousin brother sister mother father stranger friend puppy kitten sparrow dolphin tiger rabbit turtle"
    " butterfly quiet gentle golden silver crimson purple hidden broken little ancient modern distant early late slow"
    " quick honest clever lucky hungry thirsty sleepy cheerful serious patient always never sometimes maybe again"
    " together forever tomorrow yesterday tonight begin finish follow forget remember imagine believe wonder travel"
    " wander gather borrow promise whisper laugh listen answer question secret story chapter number picture colour"
    " season weather weekend holiday birthday wedding festival dinner breakfast recipe kindness courage freedom silence"
    " between beneath beyond without toward every another"
)
WORDS = tuple(VOCABULARY.split())

OPENINGS = ("the", "a", "my", "your", "our", "one", "no", "this", "some")
NAMES = ("Ada", "Bruno", "Carla", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Liv", "Mateo")


@dataclass(frozen=True)
class Look:
    """The colours of an app: of its paper, its ink, its fainter ink, its bars and the bubbles of both sides."""

    paper: str
    ink: str
    faint: str
    bar: str
    theirs: str
    mine: str


LIGHT = Look(paper="#ffffff", ink="#15171a", faint="#84898f", bar="#f1f2f4", theirs="#e7e9ec", mine="#c9f2c4")
DARK = Look(paper="#0d0f12", ink="#f2f3f5", faint="#8e949b", bar="#1a1d21", theirs="#2a2e34", mine="#23568f")


def phrase(rng: Random, fewest: int, most: int) -> str:
    """Some words in a row, without capitals."""
    return " ".join([rng.choice(OPENINGS), *rng.sample(WORDS, rng.randint(fewest, most) - 1)])


def sentence(rng: Random, fewest: int, most: int) -> str:
    """Some words in a row, with a capital and an end."""
    return phrase(rng, fewest, most).capitalize() + rng.choice((".", ".", "!", "?"))


def handle(rng: Random) -> str:
    """A username."""
    first, second = rng.sample(WORDS, 2)
    return f"{first}{rng.choice(('.', '_', ''))}{second}{rng.choice(('', '', str(rng.randint(1, 99))))}"


def clock(rng: Random) -> str:
    """A time of day."""
    return f"{rng.randrange(24)}:{rng.randrange(60):02}"


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The typeface inside Pillow, the same on any machine."""
    face = ImageFont.load_default(max(6, size))
    assert isinstance(face, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return face


def wrapped(text: str, *, size: int, width: float) -> str:
    """The text with line breaks, so that it is at most `width` px wide where its words allow that."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font(size).getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def write(
    picture: Picture,
    text: str,
    at: Point,
    *,
    size: int,
    ink: str,
    anchor: str = "la",
    align: Align = "left",
    bold: bool = False,
    outline: str | None = None,
) -> int:
    """Write the text and return the y where it ends."""
    pen = ImageDraw.Draw(picture)
    stroke = max(1, size // OUTLINE_STROKES) if outline else size // BOLD_STROKES if bold else 0
    face, spacing = font(size), size * 0.3
    pen.text(at, text, ink, face, anchor, spacing, align, stroke_width=stroke, stroke_fill=outline or ink)
    return math.ceil(pen.textbbox(at, text, face, anchor, spacing, align, stroke_width=stroke)[3])


def centre(
    picture: Picture,
    text: str,
    at: Point,
    *,
    size: int,
    ink: str,
    width: float = 0,
    bold: bool = False,
    outline: str | None = None,
) -> None:
    """Write the text with its middle at a point, wrapped to a width if there is one."""
    lines = wrapped(text, size=size, width=width) if width else text
    write(picture, lines, at, size=size, ink=ink, anchor="mm", align="center", bold=bold, outline=outline)


def gradient(size: Size, first: str, last: str, *, degrees: float = 90) -> Picture:
    """Run from one colour to another: 0 degrees to the right, 90 downwards."""
    turn = math.radians(degrees)
    across, down = np.linspace(0, 1, size[0])[None, :], np.linspace(0, 1, size[1])[:, None]
    run = across * math.cos(turn) + down * math.sin(turn)
    share = (run - run.min()) / np.ptp(run) * 255
    mask = Image.fromarray(share.astype(np.uint8))
    return Image.composite(Image.new("RGB", size, last), Image.new("RGB", size, first), mask)


def landscape(size: Size, hue: int) -> Picture:
    """A drawn evening: sky, sun and three rows of hills, all of one hue."""
    width, height = size
    scene = gradient(size, f"hsl({hue}, 55%, 45%)", f"hsl({(hue + 40) % 360}, 80%, 78%)")
    pen = ImageDraw.Draw(scene)
    pen.circle((width * 0.68, height * 0.4), min(size) * 0.12, f"hsl({(hue + 60) % 360}, 90%, 88%)")
    for row in range(3):
        base, wave = height * (0.55 + 0.15 * row), height * 0.05
        ridge = [(x, base + wave * math.sin(x / width * (5 + 2 * row) + 2 * row)) for x in range(0, width + 9, 8)]
        pen.polygon([(0, height), *ridge, (width, height)], f"hsl({(hue + 200) % 360}, 30%, {44 - 13 * row}%)")
    return scene


def avatar(picture: Picture, centre: Point, radius: float, rng: Random) -> None:
    """Draw the round sign of an account: a head and shoulders on a colour."""
    side = math.ceil(radius * 2)
    disc = Image.new("RGB", (side, side), f"hsl({rng.randrange(360)}, 45%, 55%)")
    pen = ImageDraw.Draw(disc)
    pen.circle((radius, radius * 0.8), radius * 0.38, "#f6f1ea")
    pen.circle((radius, radius * 2.05), radius * 0.8, "#f6f1ea")
    picture.paste(disc, (round(centre[0] - radius), round(centre[1] - radius)), rounded_mask((side, side), radius))


def rounded_mask(size: Size, radius: float) -> Picture:
    """What a picture with round corners shows, with smooth edges."""
    mask = Image.new("L", (size[0] * 2, size[1] * 2), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] * 2 - 1, size[1] * 2 - 1), radius * 2, 255)
    return mask.resize(size, Image.Resampling.BOX)


def status_bar(screen: Picture, look: Look, rng: Random) -> None:
    """Draw the clock, the reception and the battery along the top edge of a phone, 90 px high."""
    write(screen, clock(rng), (70, 50), size=40, ink=look.ink, anchor="lm", bold=True)
    pen, right = ImageDraw.Draw(screen), screen.width - 60
    for bar in range(4):
        pen.rectangle((right - 190 + bar * 15, 60 - bar * 8, right - 181 + bar * 15, 66), look.ink)
    pen.rounded_rectangle((right - 90, 34, right - 14, 68), 9, outline=look.ink, width=3)
    pen.rounded_rectangle((right - 84, 40, right - 84 + rng.randint(14, 64), 62), 5, look.ink)
    pen.rectangle((right - 10, 45, right - 6, 57), look.ink)


def bubble(screen: Picture, text: str, top: int, *, look: Look, is_mine: bool) -> int:
    """Draw a message of a chat and return the y where it ends."""
    lines = wrapped(text, size=40, width=screen.width * 0.6)
    pen = ImageDraw.Draw(screen)
    box = pen.multiline_textbbox((0, 0), lines, font(40), spacing=12)
    width, height = box[2] + 64, box[3] + 48
    left = screen.width - width - 36 if is_mine else 36
    pen.rounded_rectangle((left, top, left + width, top + height), 36, look.mine if is_mine else look.theirs)
    write(screen, lines, (left + 32, top + 18), size=40, ink=look.ink)
    return round(top + height)


def chat_frame(size: Size, look: Look, rng: Random) -> Picture:
    """Draw a chat without messages: between y = 230 and 170 px above the bottom there is room for them."""
    screen = Image.new("RGB", size, look.paper)
    pen = ImageDraw.Draw(screen)
    pen.rectangle((0, 0, size[0], 210), look.bar)
    status_bar(screen, look, rng)
    pen.line(((62, 124), (40, 150), (62, 176)), look.ink, 6, joint="curve")
    avatar(screen, (140, 150), 44, rng)
    write(screen, rng.choice(NAMES), (210, 132), size=44, ink=look.ink, anchor="lm", bold=True)
    write(screen, f"last seen {clock(rng)}", (210, 180), size=30, ink=look.faint, anchor="lm")
    pen.rectangle((0, size[1] - 150, size[0], size[1]), look.bar)
    pen.rounded_rectangle((110, size[1] - 125, size[0] - 130, size[1] - 45), 40, look.paper)
    pen.line(((35, size[1] - 85), (85, size[1] - 85)), look.faint, 6)
    pen.line(((60, size[1] - 110), (60, size[1] - 60)), look.faint, 6)
    pen.circle((size[0] - 65, size[1] - 85), 36, look.mine)
    return screen


def _quote_on_paper(rng: Random) -> Picture:
    page = Image.new("RGB", (1080, 1080), "#f4efe6")
    ImageDraw.Draw(page).rectangle((60, 60, 1019, 1019), outline="#8a6d4b", width=4)
    write(page, "\N{LEFT DOUBLE QUOTATION MARK}", (540, 130), size=260, ink="#c9a77c", anchor="ma")
    centre(page, sentence(rng, 9, 16), (540, 560), width=760, size=64, ink="#43352a")
    centre(page, f"- {rng.choice(NAMES)} -", (540, 940), size=38, ink="#8a6d4b")
    return page


def _quote_in_capitals(rng: Random) -> Picture:
    page = Image.new("RGB", (1080, 1350), "#1f2a44")
    text = wrapped(phrase(rng, 7, 11).upper(), size=104, width=900)
    end = write(page, text, (90, 150), size=104, ink="#f6d860", bold=True)
    ImageDraw.Draw(page).rectangle((90, end + 60, 330, end + 72), "#ffffff")
    write(page, f"@{handle(rng)}", (90, 1240), size=40, ink="#9fb0d6")
    return page


def _quote_on_pastel(rng: Random) -> Picture:
    page = Image.new("RGB", (1080, 1080), "#f8d9df")
    pen = ImageDraw.Draw(page)
    for place, radius, colour in (
        ((120, 160), 260, "#f3c1cc"),
        ((980, 900), 330, "#fbe7c6"),
        ((900, 90), 150, "#cfe6e0"),
    ):
        pen.circle(place, radius, colour)
    pen.rounded_rectangle((140, 240, 940, 840), 48, "#fffdfb")
    centre(page, phrase(rng, 8, 13), (540, 540), width=640, size=56, ink="#6b4a5a")
    return page


def _quote_on_gradient(rng: Random) -> Picture:
    page = gradient((1080, 1080), "#5b2a86", "#f0785a", degrees=60)
    centre(page, sentence(rng, 8, 14), (540, 520), width=860, size=72, ink="#ffffff", bold=True)
    centre(page, handle(rng), (540, 980), size=34, ink="#ffe3d3")
    return page


def _quote_on_landscape(rng: Random) -> Picture:
    page = landscape((1080, 1350), 205).filter(ImageFilter.GaussianBlur(6))
    centre(page, phrase(rng, 6, 10).title(), (540, 420), width=880, size=80, ink="#ffffff", bold=True)
    centre(page, rng.choice(NAMES).upper(), (540, 1220), size=36, ink="#ffffff")
    return page


def _quote_beside_bar(rng: Random) -> Picture:
    page = Image.new("RGB", (1080, 810), "#ffffff")
    ImageDraw.Draw(page).rectangle((90, 140, 104, 670), "#2b8a78")
    end = write(page, wrapped(sentence(rng, 12, 20), size=52, width=820), (150, 150), size=52, ink="#222222")
    write(page, f"{rng.choice(NAMES)}, {rng.randint(1890, 2024)}", (150, end + 50), size=36, ink="#2b8a78")
    return page


def _post_card(rng: Random, look: Look, size: Size) -> Picture:
    card = Image.new("RGB", size, look.paper)
    avatar(card, (110, 120), 60, rng)
    write(card, f"{rng.choice(NAMES)} {rng.choice(WORDS).title()}", (195, 70), size=42, ink=look.ink, bold=True)
    write(card, f"@{handle(rng)}", (195, 126), size=34, ink=look.faint)
    text = wrapped(f"{sentence(rng, 7, 12)} {sentence(rng, 6, 10)}", size=50, width=size[0] - 110)
    end = write(card, text, (55, 220), size=50, ink=look.ink)
    end = write(
        card,
        f"{clock(rng)} - {rng.randint(1, 28)} May {rng.randint(2018, 2025)}",
        (55, end + 40),
        size=32,
        ink=look.faint,
    )
    ImageDraw.Draw(card).line(((55, end + 30), (size[0] - 55, end + 30)), look.faint, 2)
    counts = f"{rng.randint(2, 900)} Reposts    {rng.randint(2, 900)} Quotes    {rng.randint(900, 9000)} Likes"
    write(card, counts, (55, end + 55), size=32, ink=look.faint)
    return card


def _post_light(rng: Random) -> Picture:
    return _post_card(rng, LIGHT, (1080, 760))


def _post_dark(rng: Random) -> Picture:
    return _post_card(rng, DARK, (1080, 760))


def _post_on_colour(rng: Random) -> Picture:
    page = gradient((1080, 1080), "#37b5c6", "#3566c9", degrees=45)
    card = _post_card(rng, LIGHT, (900, 800))
    page.paste(card, (90, 140), rounded_mask(card.size, 40))
    return page


def _chat(rng: Random, look: Look) -> Picture:
    screen, top = chat_frame((1080, 1920), look, rng), 250
    for message in range(20):
        lowest = screen.height - 400
        if top < lowest:
            top = bubble(screen, sentence(rng, 2, 14), top, look=look, is_mine=message % 3 == 1) + 24
    return screen


def _chat_light(rng: Random) -> Picture:
    return _chat(rng, LIGHT)


def _chat_dark(rng: Random) -> Picture:
    return _chat(rng, DARK)


def _near(hue: int, rng: Random) -> str:
    return f"hsl({hue + rng.randint(-9, 9)}, {rng.randint(62, 78)}%, {rng.randint(55, 65)}%)"


def _gradient_down(rng: Random) -> Picture:
    return gradient((1080, 1080), _near(200, rng), _near(320, rng))


def _gradient_across(rng: Random) -> Picture:
    return gradient((720, 1280), _near(35, rng), _near(340, rng), degrees=45 + rng.randint(-6, 6))


def _gradient_with_word(rng: Random) -> Picture:
    page = gradient((1080, 1080), "#0f9b8e", "#c8e66b", degrees=30)
    centre(page, rng.choice(WORDS), (540, 540), size=150, ink="#ffffff", bold=True)
    return page


def _gradient_with_lines(rng: Random) -> Picture:
    page = gradient((1080, 1920), "#20114f", "#b14aa6")
    for line in range(5):
        centre(page, phrase(rng, 3, 4), (540, 560 + line * 190), size=62, ink="#ffffff")
    return page


def _story_on_black(rng: Random) -> Picture:
    page = Image.new("RGB", (1080, 1920), "#000000")
    centre(page, phrase(rng, 10, 22), (540, 960), width=820, size=58, ink="#ffffff")
    return page


def _story_small_on_black(rng: Random) -> Picture:
    page = Image.new("RGB", (720, 1280), "#000000")
    centre(page, phrase(rng, 4, 7), (360, 1080), width=500, size=30, ink="#ffffff")
    return page


def _story_question(rng: Random) -> Picture:
    page = Image.new("RGB", (1080, 1920), "#000000")
    pen = ImageDraw.Draw(page)
    pen.rounded_rectangle((130, 560, 950, 960), 40, "#ffffff")
    pen.rounded_rectangle((130, 560, 950, 680), 40, "#2c2c34")
    centre(page, "Ask me a question", (540, 620), size=42, ink="#ffffff", bold=True)
    question = wrapped(phrase(rng, 4, 7) + "?", size=46, width=700)
    write(page, question, (540, 815), size=46, ink="#15171a", anchor="mm", align="center")
    answer = wrapped(sentence(rng, 5, 12), size=54, width=820)
    write(page, answer, (540, 1250), size=54, ink="#ffffff", anchor="mm", align="center")
    return page


def _meme_face(size: Size, paper: str) -> Picture:
    face = Image.new("RGB", size, paper)
    pen, (middle, height) = ImageDraw.Draw(face), (size[0] / 2, size[1])
    pen.ellipse((middle - 300, height * 0.2, middle + 300, height * 0.92), "#7fae5d", "#3f5f2c", 8)
    for side in (-1, 1):
        pen.circle((middle + side * 150, height * 0.3), 120, "#7fae5d", "#3f5f2c", 8)
        pen.circle((middle + side * 150, height * 0.31), 82, "#ffffff", "#222222", 5)
        pen.circle((middle + side * 150 + 26, height * 0.33), 36, "#111111")
    pen.arc((middle - 200, height * 0.5, middle + 200, height * 0.78), 15, 165, "#8d3b33", 26)
    return face


def _meme_two_captions(rng: Random) -> Picture:
    page = _meme_face((1080, 1080), "#bcd7ea")
    for y in (120, 960):
        centre(page, phrase(rng, 3, 6).upper(), (540, y), width=1000, size=84, ink="#ffffff", outline="#000000")
    return page


def _meme_text_above(rng: Random) -> Picture:
    page = Image.new("RGB", (1080, 1200), "#ffffff")
    write(page, wrapped(sentence(rng, 8, 14), size=56, width=1000), (40, 40), size=56, ink="#000000")
    page.paste(_meme_face((1080, 900), "#f0d9a8"), (0, 300))
    return page


def _meme_choice(rng: Random) -> Picture:
    page = Image.new("RGB", (1080, 1080), "#ffffff")
    for row, (colour, lips) in enumerate((("#e8b04a", 200), ("#6fb36f", 20))):
        half = Image.new("RGB", (540, 540), colour)
        pen = ImageDraw.Draw(half)
        pen.ellipse((130, 90, 410, 450), "#f2c9a5", "#5b3a24", 6)
        pen.circle((210, 230), 20, "#222222")
        pen.circle((330, 230), 20, "#222222")
        pen.arc((190, 300, 350, 390), lips, lips + 140, "#8d3b33", 12)
        page.paste(half, (0, row * 540))
        centre(page, phrase(rng, 3, 6), (810, 270 + row * 540), width=460, size=58, ink="#000000")
    ImageDraw.Draw(page).line(((0, 540), (1080, 540)), "#000000", 4)
    return page


def _receipt(rng: Random) -> Picture:
    page = Image.new("RGB", (600, 1100), "#faf9f4")
    centre(page, f"{rng.choice(WORDS)} & {rng.choice(WORDS)}".upper(), (300, 80), size=42, ink="#222222", bold=True)
    centre(page, f"No. {rng.randint(1000, 9999)}   {clock(rng)}", (300, 140), size=28, ink="#444444")
    prices = [rng.randint(80, 2900) for _ in range(11)]
    for row, price in enumerate(prices):
        _receipt_line(page, 210 + row * 56, rng.choice(WORDS), price, size=32)
    centre(page, "- " * 28, (300, 850), size=28, ink="#444444")
    _receipt_line(page, 890, "TOTAL", sum(prices), size=46)
    centre(page, "thank you, come again", (300, 1020), size=30, ink="#444444")
    return page


def _receipt_line(page: Picture, y: int, name: str, cents: int, *, size: int) -> None:
    write(page, name, (50, y), size=size, ink="#222222")
    write(page, f"{cents / 100:.2f}", (550, y), size=size, ink="#222222", anchor="ra")


def _checklist(rng: Random) -> Picture:
    page = Image.new("RGB", (1080, 1350), "#fff7d6")
    pen = ImageDraw.Draw(page)
    write(page, f"{rng.choice(WORDS)} list".title(), (90, 90), size=88, ink="#3c3a2e", bold=True)
    for row in range(9):
        y = 270 + row * 112
        pen.rounded_rectangle((90, y, 150, y + 60), 12, outline="#3c3a2e", width=5)
        if rng.random() < 0.5:
            pen.line(((100, y + 30), (117, y + 50), (160, y - 8)), "#d0573b", 9, joint="curve")
        write(page, phrase(rng, 2, 4), (190, y + 30), size=48, ink="#3c3a2e", anchor="lm")
        pen.line(((90, y + 86), (990, y + 86)), "#e3d8a4", 3)
    return page


def _note(rng: Random) -> Picture:
    screen = Image.new("RGB", (1080, 1920), "#1c1c1e")
    write(screen, "< Notes", (50, 90), size=44, ink="#e8b93c")
    write(screen, phrase(rng, 2, 3).title(), (50, 200), size=72, ink="#ffffff", bold=True)
    end = 310
    for _ in range(5):
        end = write(screen, wrapped(sentence(rng, 6, 16), size=44, width=960), (50, end + 36), size=44, ink="#e6e6e6")
    return screen


def _flyer_night(rng: Random) -> Picture:
    page = Image.new("RGB", (1080, 1350), "#120b2e")
    pen = ImageDraw.Draw(page)
    for ray in range(12):
        turn = ray * math.pi / 6
        reach = [(540 + 1200 * math.cos(turn + wide), 560 + 1200 * math.sin(turn + wide)) for wide in (-0.09, 0.09)]
        pen.polygon([(540, 560), *reach], "#2d1a68")
    pen.circle((540, 560), 270, "#f23d7f")
    centre(page, phrase(rng, 2, 3).upper(), (540, 560), width=900, size=110, ink="#ffffff", bold=True)
    _flyer_facts(page, rng, ink="#7df0e6")
    return page


def _flyer_market(rng: Random) -> Picture:
    page = Image.new("RGB", (1080, 1350), "#fdf3e3")
    pen = ImageDraw.Draw(page)
    for stripe in range(9):
        pen.pieslice((stripe * 120, 120, stripe * 120 + 120, 320), 0, 180, "#d9503f" if stripe % 2 else "#ffffff")
        pen.rectangle((stripe * 120, 0, stripe * 120 + 120, 220), "#d9503f" if stripe % 2 else "#ffffff")
    centre(page, f"{rng.choice(WORDS)} market".title(), (540, 600), width=960, size=120, ink="#2f5d50", bold=True)
    _flyer_facts(page, rng, ink="#7a3b2e")
    return page


def _flyer_facts(page: Picture, rng: Random, *, ink: str) -> None:
    day = rng.choice(("FRIDAY", "SATURDAY", "SUNDAY"))
    facts = (
        f"{day} {rng.randint(1, 28)} JUNE",
        f"doors {clock(rng)}",
        f"{rng.choice(WORDS)} street {rng.randint(1, 99)}",
    )
    for row, fact in enumerate(facts):
        centre(page, fact, (540, 980 + row * 100), size=60, ink=ink)


def _flyer_lineup(rng: Random) -> Picture:
    page = gradient((1080, 1350), "#ffb347", "#e0486e")
    centre(page, "LIVE MUSIC", (540, 150), size=120, ink="#ffffff", bold=True)
    for row, size in enumerate((96, 96, 70, 70, 70, 50, 50, 50)):
        act = f"{rng.choice(OPENINGS)} {rng.choice(WORDS)}s".upper()
        centre(page, act, (540, 340 + row * 108), size=size, ink="#3a1030", bold=True)
    centre(page, f"{rng.randint(1, 28)} August - {rng.choice(WORDS)} park", (540, 1260), size=46, ink="#ffffff")
    return page


def _named(drawings: Sequence[Callable[[Random], Picture]]) -> Mapping[str, Callable[[Random], Picture]]:
    return {drawing.__name__.removeprefix("_"): drawing for drawing in drawings}


TEMPLATES: Mapping[str, Callable[[Random], Picture]] = _named(
    (
        _quote_on_paper,
        _quote_in_capitals,
        _quote_on_pastel,
        _quote_on_gradient,
        _quote_on_landscape,
        _quote_beside_bar,
        _post_light,
        _post_dark,
        _post_on_colour,
        _chat_light,
        _chat_dark,
        _gradient_down,
        _gradient_across,
        _gradient_with_word,
        _gradient_with_lines,
        _story_on_black,
        _story_small_on_black,
        _story_question,
        _meme_two_captions,
        _meme_text_above,
        _meme_choice,
        _receipt,
        _checklist,
        _note,
        _flyer_night,
        _flyer_market,
        _flyer_lineup,
    )
)
"""Each template by its name: called with another random it says something else and looks the same."""
