"""Edited copies of a photo, as people send them.

Each edit says what it does to a photo and gives the bytes of a file. The same photo, random and others give the same
bytes; another random gives another place, colour, strength or text.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from benchmarks.lab.photos import opened
from benchmarks.lab.templates import (
    DARK,
    LIGHT,
    Look,
    Picture,
    Point,
    Size,
    avatar,
    bubble,
    centre,
    chat_frame,
    gradient,
    handle,
    landscape,
    phrase,
    rounded_mask,
    sentence,
    status_bar,
    wrapped,
    write,
)

PLAIN = "plain"
GEOMETRY = "geometry"
OVERLAY = "overlay"
CROP_35 = "crop_35"
CROP_20 = "crop_20"
SCREEN = "screen"
STRIP = "strip"
GRID = "grid"
COMBINATION = "combination"
GROUPS = (PLAIN, GEOMETRY, OVERLAY, CROP_35, CROP_20, SCREEN, STRIP, GRID, COMBINATION)
"""The groups of edits in the order of the table of results."""

PHONES = ((1080, 2400), (1080, 2340), (1170, 2532), (1080, 2280))
DESKTOPS = ((1920, 1080), (1440, 900), (1536, 864))
STORY = (1080, 1920)
POST_RATIOS = (3 / 4, 1.91)
"""The narrowest and the widest photo that a post shows whole."""

TILE = 512
"""Stickers are drawn on a square of so many px and scaled to their place."""

RGBFloats = NDArray[np.float32]
Quad = tuple[Point, Point, Point, Point]
Effect = Callable[[Picture, Random], Picture]
Collage = Callable[[Picture, Random, Sequence[Picture]], Picture]
Curve = Callable[[float], float]
Encoder = Callable[[Picture, Random], bytes]
Enhancer = type[ImageEnhance.Brightness | ImageEnhance.Contrast | ImageEnhance.Color]


@dataclass(frozen=True)
class Edit:
    """One kind of edited copy: `apply(photo, rng, others)` takes RGB pictures and returns an encoded file.

    `others` are the other members of a strip or grid, `others_needed` of them; the rest of the edits take no notice.
    """

    name: str
    group: str
    apply: Callable[[Picture, Random, Sequence[Picture]], bytes]
    others_needed: int = 0


# Files


def _as(form: str, **options: int) -> Encoder:
    return lambda picture, _: _encoded(picture, form, **options)


def _jpeg_as_sent(picture: Picture, rng: Random) -> bytes:
    return _encoded(picture, "JPEG", quality=rng.randint(76, 93))


def _encoded(picture: Picture, form: str, **options: int) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


_png = _as("PNG", compress_level=2)


def _resent(picture: Picture, quality: int) -> Picture:
    return Image.open(BytesIO(_encoded(picture, "JPEG", quality=quality))).convert("RGB")


# Sizes and colours


def _unchanged(photo: Picture, _: Random) -> Picture:
    return photo


def _scaled(picture: Picture, factor: float) -> Picture:
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.BICUBIC)


def _long_side(picture: Picture, pixels: int) -> Picture:
    return _scaled(picture, pixels / max(picture.size))


def _at_most(picture: Picture, pixels: int) -> Picture:
    return _long_side(picture, pixels) if max(picture.size) > pixels else picture


def _resized(pixels: int) -> Effect:
    return lambda photo, _: _long_side(photo, pixels)


def _upscaled(photo: Picture, _: Random) -> Picture:
    return _scaled(_at_most(photo, 1080), 2)


def _grey(photo: Picture, _: Random) -> Picture:
    return photo.convert("L").convert("RGB")


def _enhanced(by: Enhancer, least: float, most: float) -> Effect:
    return lambda photo, rng: by(photo).enhance(rng.uniform(least, most))


def _curved(photo: Picture, curves: Sequence[Curve]) -> Picture:
    levels = [curve(level / 255) * 255 for curve in curves for level in range(256)]
    return photo.point([min(255, max(0, round(level))) for level in levels])


def _warm(photo: Picture, rng: Random, *, turn: int = 1) -> Picture:
    shift = rng.uniform(0.12, 0.24)
    curves: list[Curve] = [lambda x: x ** (1 - shift), lambda x: x, lambda x: x ** (1 + 1.5 * shift)]
    return _curved(photo, curves[::turn])


_cool = partial(_warm, turn=-1)


def _vintage(photo: Picture, rng: Random) -> Picture:
    lift = rng.uniform(0.06, 0.12)
    curves: list[Curve] = [
        lambda x: lift + (0.96 - lift) * (x * x * (3 - 2 * x) * 0.5 + x * 0.5),
        lambda x: lift + (0.90 - lift) * x,
        lambda x: 1.6 * lift + (0.78 - 1.6 * lift) * x,
    ]
    return _vignette(_curved(photo, curves), rng.uniform(0.3, 0.5))


def _vignette(picture: Picture, depth: float) -> Picture:
    falloff = Image.radial_gradient("L").resize(picture.size, Image.Resampling.BICUBIC)
    mask = falloff.point([round(depth * level**2 / 255) for level in range(256)])
    return Image.composite(Image.new("RGB", picture.size, "#0c0806"), picture, mask)


def _sepia(photo: Picture, rng: Random) -> Picture:
    middle = rng.choice(("#8f7350", "#9a7a4e", "#86694f"))
    return ImageOps.colorize(photo.convert("L"), "#1d130a", "#fbf1dc", middle)


def _inverted_balance(photo: Picture, _: Random) -> Picture:
    """What the photo has too much of it gets too little of, and the other way round."""
    red, green, blue = (max(8.0, mean) / 255 for mean in np.asarray(photo).mean(axis=(0, 1)))
    grey = (red + green + blue) / 3
    return _curved(photo, [_gain(min(1.3, max(0.75, (grey / mean) ** 2))) for mean in (red, green, blue)])


def _gain(factor: float) -> Curve:
    return lambda level: level * factor


def _posterised(photo: Picture, rng: Random) -> Picture:
    steps = rng.randint(10, 14)
    return _curved(photo, [lambda x: round(x * steps) / steps] * 3)


def _blurred(photo: Picture, rng: Random) -> Picture:
    return photo.filter(ImageFilter.GaussianBlur(max(photo.size) * rng.uniform(0.002, 0.004)))


def _sharpened(photo: Picture, rng: Random) -> Picture:
    return photo.filter(ImageFilter.UnsharpMask(radius=2.5, percent=rng.randint(140, 240), threshold=2))


def _noisy(photo: Picture, rng: Random) -> Picture:
    return _grained(photo, rng, rng.uniform(11, 20))


def _grained(picture: Picture, rng: Random, levels: float) -> Picture:
    grain = np.random.default_rng(rng.getrandbits(32)).standard_normal((picture.height, picture.width, 3), np.float32)
    return _picture(np.asarray(picture, np.float32) + grain * np.float32(levels))


def _picture(pixels: RGBFloats) -> Picture:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _turned(turn: Image.Transpose) -> Effect:
    return lambda photo, _: photo.transpose(turn)


def _mirrored(photo: Picture, _: Random) -> Picture:
    return ImageOps.mirror(photo)


def _mirrored_turned(photo: Picture, rng: Random) -> Picture:
    return photo.transpose(rng.choice((Image.Transpose.TRANSPOSE, Image.Transpose.TRANSVERSE)))


# Geometry


def _tilted(degrees: float) -> Effect:
    """Tilt either way; the corners are cut off by half of the people and left white or black by the other half."""

    def tilt(photo: Picture, rng: Random) -> Picture:
        turn = rng.choice((-1, 1)) * degrees * rng.uniform(0.9, 1.1)
        if rng.random() < 0.5:
            return _without_corners(photo.rotate(turn, Image.Resampling.BICUBIC), turn)
        return photo.rotate(turn, Image.Resampling.BICUBIC, expand=True, fillcolor=rng.choice(("#ffffff", "#000000")))

    return tilt


def _without_corners(tilted: Picture, degrees: float) -> Picture:
    turn, (width, height) = math.radians(abs(degrees)), tilted.size
    kept = min(
        width / (width * math.cos(turn) + height * math.sin(turn)),
        height / (height * math.cos(turn) + width * math.sin(turn)),
    )
    return _centre(tilted, (round(width * kept), round(height * kept)))


def _centre(picture: Picture, size: Size) -> Picture:
    left, top = (picture.width - size[0]) // 2, (picture.height - size[1]) // 2
    return picture.crop((left, top, left + size[0], top + size[1]))


def _perspective(least: float, most: float) -> Effect:
    """Stretch a trapezium of the photo over the whole picture; each corner is inset by some share of the sides."""

    def correct(photo: Picture, rng: Random) -> Picture:
        width, height = photo.size
        inset = [(rng.uniform(least, most) * width, rng.uniform(least, most) * height) for _ in range(4)]
        loose = rng.randrange(4)
        inset[loose] = inset[(loose + 1) % 4] = (0, 0)
        seen = tuple((abs(x - dx), abs(y - dy)) for (x, y), (dx, dy) in zip(_corners(photo.size), inset, strict=True))
        return _warped(photo, photo.size, source=_quad(seen), target=_corners(photo.size))

    return correct


def _corners(size: Size) -> Quad:
    return ((0, 0), (size[0], 0), (size[0], size[1]), (0, size[1]))


def _quad(points: Sequence[Point]) -> Quad:
    first, second, third, fourth = points
    return (first, second, third, fourth)


def _warped(picture: Picture, size: Size, *, source: Quad, target: Quad) -> Picture:
    """Bring the corners `source` of the picture to the places `target` on a canvas of `size`."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    coefficients = np.linalg.solve(np.array(rows, np.float64), np.array(source, np.float64).ravel())
    return picture.transform(size, Image.Transform.PERSPECTIVE, coefficients.tolist(), Image.Resampling.BICUBIC)


def _border_white(photo: Picture, rng: Random) -> Picture:
    return ImageOps.expand(photo, round(min(photo.size) * rng.uniform(0.04, 0.12)), "#ffffff")


def _border_coloured(photo: Picture, rng: Random) -> Picture:
    colour = _colour(rng)
    return ImageOps.expand(photo, round(min(photo.size) * rng.uniform(0.04, 0.12)), colour)


def _colour(rng: Random) -> str:
    return f"hsl({rng.randrange(360)}, {rng.randint(45, 90)}%, {rng.randint(40, 75)}%)"


def _letterbox_black(photo: Picture, _: Random) -> Picture:
    return ImageOps.pad(photo, STORY, Image.Resampling.BICUBIC, "#000000")


def _letterbox_blurred(photo: Picture, rng: Random) -> Picture:
    page = _backdrop(photo, STORY, rng.uniform(24, 50))
    whole = ImageOps.contain(photo, STORY)
    page.paste(whole, ((page.width - whole.width) // 2, (page.height - whole.height) // 2))
    return page


def _backdrop(photo: Picture, size: Size, blur: float) -> Picture:
    return ImageOps.fit(photo, size).filter(ImageFilter.GaussianBlur(blur))


def _centre_square(photo: Picture, _: Random) -> Picture:
    return _centre(photo, (min(photo.size), min(photo.size)))


def _squeezed(share: float) -> Effect:
    def squeeze(photo: Picture, rng: Random) -> Picture:
        width, height = photo.size
        is_narrower = rng.random() < 0.5
        size = (round(width * (1 - share)), height) if is_narrower else (width, round(height * (1 - share)))
        return photo.resize(size, Image.Resampling.BICUBIC)

    return squeeze


def _crop(area: float) -> Effect:
    """Keep so much of the area, at a random place, a little wider or narrower in shape than the photo."""

    def crop(photo: Picture, rng: Random) -> Picture:
        shape = min(rng.uniform(0.88, 1.14), 1 / math.sqrt(area))
        shape = max(shape, math.sqrt(area))
        width, height = round(photo.width * math.sqrt(area) * shape), round(photo.height * math.sqrt(area) / shape)
        left, top = rng.randint(0, photo.width - width), rng.randint(0, photo.height - height)
        return photo.crop((left, top, left + width, top + height))

    return crop


# Overlays


def _caption_outlined(photo: Picture, rng: Random) -> Picture:
    page, size = photo.copy(), round(photo.width * rng.uniform(0.06, 0.1))
    text = wrapped(phrase(rng, 3, 6), size=size, width=photo.width * 0.9)
    text = text.upper() if rng.random() < 0.5 else text
    at = (photo.width / 2, photo.height * rng.choice((0.14, 0.3, 0.7, 0.86)))
    write(page, text, at, size=size, ink="#ffffff", outline="#000000", anchor="mm", align="center")
    return page


def _caption_bar(photo: Picture, rng: Random, *, is_above: bool) -> Picture:
    size = round(photo.width * rng.uniform(0.045, 0.065))
    text = wrapped(sentence(rng, 5, 14), size=size, width=photo.width * 0.92)
    paper, ink = rng.choice((("#ffffff", "#111111"), ("#000000", "#ffffff"), ("#fff3c4", "#3b2a12")))
    bar = round(size * (1.3 + 1.45 * len(text.splitlines())))
    page = Image.new("RGB", (photo.width, photo.height + bar), paper)
    page.paste(photo, (0, bar if is_above else 0))
    middle = bar / 2 if is_above else photo.height + bar / 2
    write(page, text, (photo.width / 2, middle), size=size, ink=ink, anchor="mm", align="center")
    return page


def _stickers(area: float, most: int) -> Effect:
    """Cover so much of the area by one sticker or more, side by side."""

    def stick(photo: Picture, rng: Random) -> Picture:
        page, count = photo.copy(), rng.randint(1, most)
        taken: list[tuple[float, float, float]] = []
        for _ in range(count):
            tile = rng.choice(STICKERS)(rng)
            covered = np.asarray(tile.getchannel("A")).mean() / 255
            side = round(math.sqrt(area / count * photo.width * photo.height / covered))
            spot = _free_spot(photo.size, side, taken, rng)
            taken.append((*spot, side))
            _stick(page, tile, spot, side, rng.uniform(-18, 18))
        return page

    return stick


def _free_spot(size: Size, side: int, taken: Sequence[tuple[float, float, float]], rng: Random) -> Point:
    """The middle of a new sticker: of many places the one that is farthest from the others."""
    places = [
        (rng.uniform(0.5, size[0] / side - 0.5) * side, rng.uniform(0.5, size[1] / side - 0.5) * side)
        for _ in range(40)
    ]
    return max(places, key=lambda place: min((math.dist(place, other[:2]) - other[2] for other in taken), default=0))


def _stick(page: Picture, tile: Picture, middle: Point, side: int, degrees: float) -> None:
    turned = tile.resize((side, side), Image.Resampling.LANCZOS).rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    page.paste(turned, (round(middle[0] - turned.width / 2), round(middle[1] - turned.height / 2)), turned)


def _tile() -> Picture:
    return Image.new("RGBA", (TILE, TILE), "#ffffff00")


def _star(rng: Random) -> Picture:
    tile, points = _tile(), rng.randint(5, 9)
    reach = [250 if spike % 2 else 135 for spike in range(2 * points)]
    turns = [math.pi * spike / points for spike in range(2 * points)]
    outline = [(256 + r * math.sin(turn), 256 + r * math.cos(turn)) for r, turn in zip(reach, turns, strict=True)]
    ImageDraw.Draw(tile).polygon(outline, f"hsl({rng.randint(35, 60)}, 95%, 58%)", "#ffffff", 14)
    return tile


def _heart(rng: Random) -> Picture:
    tile, turns = _tile(), np.linspace(0, 2 * np.pi, 90)
    across = 256 + 15 * 16 * np.sin(turns) ** 3
    down = 240 - 15 * (13 * np.cos(turns) - 5 * np.cos(2 * turns) - 2 * np.cos(3 * turns) - np.cos(4 * turns))
    outline = list(zip(across.tolist(), down.tolist(), strict=True))
    ImageDraw.Draw(tile).polygon(outline, f"hsl({rng.choice((350, 0, 320, 280))}, 85%, 55%)", "#ffffff", 14)
    return tile


def _label(rng: Random) -> Picture:
    tile = _tile()
    ImageDraw.Draw(tile).rounded_rectangle((6, 130, 506, 382), 60, _colour(rng), "#ffffff", 16)
    centre(tile, phrase(rng, 2, 3).upper(), (256, 256), width=440, size=84, ink="#ffffff", bold=True)
    return tile


def _speech(rng: Random) -> Picture:
    tile = _tile()
    pen = ImageDraw.Draw(tile)
    pen.polygon([(150, 360), (110, 505), (290, 380)], "#ffffff")
    pen.ellipse((6, 30, 506, 400), "#ffffff")
    centre(tile, phrase(rng, 2, 4), (256, 215), width=340, size=64, ink="#1b1b1b")
    return tile


def _face(rng: Random) -> Picture:
    tile, smile = _tile(), rng.randint(120, 190)
    pen = ImageDraw.Draw(tile)
    pen.circle((256, 256), 246, "#f7c62f")
    for eye in (170, 342):
        pen.ellipse((eye - 28, 150, eye + 28, 236), "#4a2c0a")
    pen.chord((256 - smile, 210, 256 + smile, 430), 10, 170, "#7c2d1a")
    pen.chord((256 - smile * 0.6, 350, 256 + smile * 0.6, 470), 185, 355, "#f06a6a")
    return tile


def _drop(rng: Random) -> Picture:
    tile, hue = _tile(), rng.choice((205, 20))
    pen = ImageDraw.Draw(tile)
    pen.polygon([(256, 10), (405, 260), (107, 260)], f"hsl({hue}, 90%, 60%)")
    pen.circle((256, 320), 172, f"hsl({hue}, 90%, 60%)")
    pen.circle((256, 380), 90, f"hsl({hue + 25}, 95%, 75%)")
    return tile


STICKERS = (_star, _heart, _label, _speech, _face)
EMOJI = (_star, _heart, _face, _drop)


def _emoji(photo: Picture, rng: Random) -> Picture:
    page = photo.copy()
    for _ in range(rng.randint(4, 9)):
        side = round(min(photo.size) * rng.uniform(0.07, 0.14))
        middle = (rng.uniform(side, photo.width - side), rng.uniform(side, photo.height - side))
        _stick(page, rng.choice(EMOJI)(rng), middle, side, rng.uniform(-25, 25))
    return page


def _watermark_tiled(photo: Picture, rng: Random) -> Picture:
    text, size = f"@{handle(rng)}", round(photo.width * rng.uniform(0.035, 0.055))
    reach = round(math.hypot(*photo.size))
    mask = Image.new("L", (reach, reach), 0)
    for row in range(reach // (size * 5) + 1):
        write(mask, f"{text}      " * 12, (-(row % 2) * size * 5, row * size * 5), size=size, ink="#ffffff")
    mask = _centre(mask.rotate(rng.choice((-35, -30, 30, 35)), Image.Resampling.BICUBIC), photo.size)
    strength = rng.uniform(0.28, 0.45)
    return Image.composite(Image.new("RGB", photo.size, "#ffffff"), photo, mask.point(lambda level: level * strength))


def _logo_corner(photo: Picture, rng: Random) -> Picture:
    page, size = photo.copy(), round(min(photo.size) * rng.uniform(0.045, 0.07))
    text = handle(rng).upper()
    is_left, is_top = rng.random() < 0.5, rng.random() < 0.5
    x, y = size if is_left else photo.width - size, size * 1.4 if is_top else photo.height - size * 1.4
    pen = ImageDraw.Draw(page)
    half = size * (0.3 * len(text) + 1.2)
    middle = x + half if is_left else x - half
    pen.rounded_rectangle((middle - half, y - size, middle + half, y + size), size * 0.5, _colour(rng))
    write(page, text, (middle, y), size=round(size * 0.85), ink="#ffffff", anchor="mm", bold=True)
    return page


def _scribbles(photo: Picture, rng: Random) -> Picture:
    page = photo.copy()
    for _ in range(rng.randint(2, 4)):
        _scribble(page, rng)
    return page


def _scribble(page: Picture, rng: Random) -> None:
    start, step = (rng.uniform(0.1, 0.6), rng.uniform(0.15, 0.85)), rng.uniform(0.012, 0.02)
    swing, pace = rng.uniform(0.03, 0.1), rng.uniform(0.7, 1.3)
    path = [(start[0] + step * i, start[1] + swing * math.sin(pace * i) * rng.uniform(0.7, 1)) for i in range(24)]
    points = [(x * page.width, y * page.height) for x, y in path]
    width = round(min(page.size) * rng.uniform(0.008, 0.02)) + 1
    ImageDraw.Draw(page).line(points, _colour(rng), width, joint="curve")


def _arrow(photo: Picture, rng: Random) -> Picture:
    """A circle around something, drawn by hand, and an arrow that points to it."""
    page, unit = photo.copy(), min(photo.size)
    pen, ink, width = ImageDraw.Draw(page), rng.choice(("#ff2d2d", "#ffe600", "#38e54d")), round(unit * 0.014) + 1
    middle = (photo.width * rng.uniform(0.3, 0.7), photo.height * rng.uniform(0.3, 0.7))
    radius, turn = unit * rng.uniform(0.12, 0.2), rng.uniform(0, 2 * math.pi)
    loop = [_around(middle, radius * (1 + 0.012 * i), i * 0.3) for i in range(23)]
    pen.line(loop, ink, width, joint="curve")
    tip, tail = _around(middle, radius * 1.4, turn), _around(middle, radius * 2.6, turn + 0.15)
    pen.line((tail, tip), ink, width)
    for barb in (-0.5, 0.5):
        pen.line((tip, _around(tip, radius * 0.45, turn + barb)), ink, width)
    return page


def _around(middle: Point, radius: float, turn: float) -> Point:
    return (middle[0] + radius * math.cos(turn), middle[1] + radius * math.sin(turn))


def _face_hidden(photo: Picture, rng: Random) -> Picture:
    """A rectangle where a face may be, blurred by half of the people and in coarse blocks by the other half."""
    page, side = photo.copy(), min(photo.size) * rng.uniform(0.24, 0.38)
    width, height = round(side), round(side * 1.25)
    left = round((photo.width - width) * rng.uniform(0.25, 0.75))
    top = round((photo.height - height) * rng.uniform(0.1, 0.5))
    patch = photo.crop((left, top, left + width, top + height))
    if rng.random() < 0.5:
        hidden = patch.filter(ImageFilter.GaussianBlur(side * 0.1))
    else:
        hidden = patch.resize((8, 10), Image.Resampling.BOX).resize(patch.size, Image.Resampling.NEAREST)
    page.paste(hidden, (left, top))
    return page


# Screens


def _post(photo: Picture, rng: Random, look: Look) -> Picture:
    size = rng.choice(PHONES)
    screen = Image.new("RGB", size, look.paper)
    status_bar(screen, look, rng)
    top = rng.choice((100, _app_bar(screen, look)))
    top = _post_body(screen, photo, top, look=look, rng=rng)
    hue = rng.randrange(360)
    _post_body(screen, landscape((1080, 1350), hue), top + 40, look=look, rng=rng)
    _tab_bar(screen, look)
    return screen


_post_dark, _post_light = (partial(_post, look=look) for look in (DARK, LIGHT))


def _app_bar(screen: Picture, look: Look) -> int:
    write(screen, "Photogram", (40, 165), size=64, ink=look.ink, anchor="lm", bold=True)
    _heart_icon(screen, (screen.width - 190, 165), 26, look)
    _plane_icon(screen, (screen.width - 70, 165), 30, look)
    return 240


def _post_body(screen: Picture, photo: Picture, top: int, *, look: Look, rng: Random) -> int:
    """Draw a post: its header, its photo in full width, its icons and lines; return the y where it ends."""
    name = handle(rng)
    avatar(screen, (75, top + 65), 42, rng)
    write(screen, name, (140, top + 65), size=38, ink=look.ink, anchor="lm", bold=True)
    _dots(screen, (screen.width - 70, top + 65), look)
    shown = _as_posted(photo, screen.width)
    screen.paste(shown, (0, top + 130))
    top += 130 + shown.height
    _action_icons(screen, top + 60, look)
    end = write(screen, f"{rng.randint(12, 9999):,} likes", (40, top + 116), size=36, ink=look.ink, bold=True)
    lines = wrapped(f"{name} {sentence(rng, 4, 18)}", size=36, width=screen.width - 90)
    end = write(screen, lines, (40, end + 16), size=36, ink=look.ink)
    return write(screen, f"{rng.randint(2, 23)} hours ago", (40, end + 18), size=30, ink=look.faint)


def _as_posted(photo: Picture, width: int) -> Picture:
    ratio = min(max(photo.width / photo.height, POST_RATIOS[0]), POST_RATIOS[1])
    return ImageOps.fit(photo, (width, round(width / ratio)))


def _action_icons(screen: Picture, y: int, look: Look) -> None:
    _heart_icon(screen, (70, y), 28, look)
    pen, right = ImageDraw.Draw(screen), screen.width - 65
    pen.circle((165, y), 27, outline=look.ink, width=5)
    pen.line(((182, y + 20), (194, y + 30), (190, y + 12)), look.ink, 5)
    _plane_icon(screen, (258, y), 30, look)
    pen.line(((right - 20, y - 30), (right + 20, y - 30), (right + 20, y + 30), (right, y + 8)), look.ink, 5)
    pen.line(((right, y + 8), (right - 20, y + 30), (right - 20, y - 30)), look.ink, 5)


def _heart_icon(screen: Picture, middle: Point, radius: float, look: Look) -> None:
    (x, y), pen = middle, ImageDraw.Draw(screen)
    pen.arc((x - radius, y - radius, x, y), 160, 360, look.ink, 5)
    pen.arc((x, y - radius, x + radius, y), 180, 380, look.ink, 5)
    pen.line(((x - radius, y - radius / 2), (x, y + radius), (x + radius, y - radius / 2)), look.ink, 5, joint="curve")


def _plane_icon(screen: Picture, middle: Point, radius: float, look: Look) -> None:
    (x, y), pen = middle, ImageDraw.Draw(screen)
    tip = (x + radius, y - radius)
    pen.line((tip, (x - radius, y - radius * 0.6), (x - radius * 0.1, y), tip), look.ink, 5, joint="curve")
    pen.line(((x - radius * 0.1, y), (x + radius * 0.2, y + radius), tip), look.ink, 5, joint="curve")


def _dots(screen: Picture, middle: Point, look: Look) -> None:
    for step in (-16, 0, 16):
        ImageDraw.Draw(screen).circle((middle[0] + step, middle[1]), 5, look.ink)


def _tab_bar(screen: Picture, look: Look) -> None:
    pen, top = ImageDraw.Draw(screen), screen.height - 150
    pen.rectangle((0, top, screen.width, screen.height), look.paper)
    pen.line(((0, top), (screen.width, top)), look.faint, 1)
    for tab in range(5):
        x, y = screen.width * (tab + 0.5) / 5, top + 62
        if tab % 2:
            pen.circle((x, y), 25, outline=look.ink, width=5)
        else:
            pen.rounded_rectangle((x - 25, y - 25, x + 25, y + 25), 9, outline=look.ink, width=5)
    pen.rounded_rectangle(
        (screen.width * 0.33, screen.height - 22, screen.width * 0.67, screen.height - 14), 4, look.ink
    )


def _chat(photo: Picture, rng: Random) -> Picture:
    look = rng.choice((LIGHT, DARK))
    screen = chat_frame(rng.choice(PHONES), look, rng)
    top = 260
    for _ in range(rng.randint(1, 4)):
        top = bubble(screen, sentence(rng, 2, 9), top, look=look, is_mine=rng.random() < 0.5) + 24
    top = _photo_bubble(screen, photo, top, is_mine=rng.random() < 0.5, rng=rng) + 24
    while top < screen.height - 420:
        top = bubble(screen, sentence(rng, 2, 12), top, look=look, is_mine=rng.random() < 0.5) + 24
    return screen


def _photo_bubble(screen: Picture, photo: Picture, top: int, *, is_mine: bool, rng: Random) -> int:
    shown = ImageOps.contain(photo, (round(screen.width * rng.uniform(0.6, 0.74)), 1150))
    left = screen.width - shown.width - 36 if is_mine else 36
    screen.paste(shown, (left, top), rounded_mask(shown.size, 36))
    said, at = f"{rng.randrange(24)}:{rng.randint(10, 59)}", (left + shown.width - 30, top + shown.height - 24)
    write(screen, said, at, size=28, ink="#ffffff", anchor="rs")
    return top + shown.height


def _browser(photo: Picture, rng: Random) -> Picture:
    """A post in the browser of a computer: the photo on the left, the column of comments on the right."""
    width, height = rng.choice(DESKTOPS)
    look, page = rng.choice((LIGHT, DARK)), Image.new("RGB", (width, height), "#3b3d40")
    _browser_bars(page, look, rng)
    shown = ImageOps.contain(photo, (round(width * 0.62), round(height * 0.8)))
    left = (width - shown.width - 400) // 2
    top = 90 + (height - 90 - shown.height) // 2
    page.paste(shown, (left, top))
    page.paste(_comments((400, shown.height), look, rng), (left + shown.width, top))
    return page


def _browser_bars(page: Picture, look: Look, rng: Random) -> None:
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, page.width, 90), look.bar)
    for tab in range(rng.randint(2, 5)):
        pen.rounded_rectangle((14 + tab * 210, 8, 214 + tab * 210, 60), 10, look.theirs if tab else look.paper)
        write(page, phrase(rng, 2, 3)[:18], (30 + tab * 210, 25), size=16, ink=look.ink, anchor="lm")
    pen.rectangle((0, 44, page.width, 90), look.paper)
    pen.rounded_rectangle((130, 50, page.width - 120, 84), 17, look.theirs)
    write(page, f"photogram.example/p/{handle(rng)}", (155, 67), size=18, ink=look.ink, anchor="lm")
    for button in range(3):
        pen.circle((28 + button * 38, 67), 10, outline=look.faint, width=3)


def _comments(size: Size, look: Look, rng: Random) -> Picture:
    column, top = Image.new("RGB", size, look.paper), 20
    for _ in range(14):
        if top < size[1] - 130:
            avatar(column, (36, top + 20), 18, rng)
            write(column, handle(rng), (68, top), size=18, ink=look.ink, bold=True)
            top = 26 + write(
                column, wrapped(sentence(rng, 3, 15), size=18, width=310), (68, top + 26), size=18, ink=look.ink
            )
    pen = ImageDraw.Draw(column)
    pen.rectangle((0, size[1] - 70, *size), look.paper)
    pen.line(((0, size[1] - 70), (size[0], size[1] - 70)), look.faint, 1)
    write(column, "Add a comment...", (24, size[1] - 35), size=18, ink=look.faint, anchor="lm")
    return column


def _story_blurred(photo: Picture, rng: Random) -> Picture:
    return _story(photo, _backdrop(photo, STORY, rng.uniform(35, 60)), rng)


def _story_gradient(photo: Picture, rng: Random) -> Picture:
    return _story(photo, gradient(STORY, _colour(rng), _colour(rng), degrees=rng.uniform(40, 130)), rng)


def _story(photo: Picture, page: Picture, rng: Random) -> Picture:
    """The photo on a page: scaled to 0.55 to 0.85 of its width, turned a little, with text above or below."""
    shown = ImageOps.contain(photo, (round(page.width * rng.uniform(0.55, 0.85)), round(page.height * 0.66)))
    card = shown.convert("RGBA")
    card.putalpha(rounded_mask(shown.size, rng.choice((1, 28))))
    card = card.rotate(rng.uniform(-7, 7), Image.Resampling.BICUBIC, expand=True)
    left = round((page.width - card.width) / 2 + rng.uniform(-0.05, 0.05) * page.width)
    top = round((page.height - card.height) / 2 + rng.uniform(-0.06, 0.06) * page.height)
    page.paste(card, (left, top), card)
    text = wrapped(phrase(rng, 2, 5), size=78, width=920)
    at = (page.width / 2, rng.choice((page.height * 0.1, page.height * 0.9)))
    write(page, text, at, size=78, ink="#ffffff", outline=rng.choice((None, "#000000")), anchor="mm", align="center")
    return page


def _screen_photo(photo: Picture, rng: Random) -> Picture:
    """A photo of a screen that shows the photo: moire of the two grids of pixels, bezel, perspective, glare, noise."""
    shown = _moire(ImageEnhance.Brightness(_at_most(photo, 1400)).enhance(1.08), rng)
    device = ImageOps.expand(shown, round(min(shown.size) * rng.uniform(0.02, 0.05)), "#08090b")
    room = gradient(_frame_around(device, rng), _dim(rng), _dim(rng), degrees=rng.uniform(0, 180))
    seen = _laid_on(room, device, 0.09, rng)
    seen = _glare(seen, rng).filter(ImageFilter.GaussianBlur(0.8))
    return _grained(seen, rng, rng.uniform(5, 9))


def _dim(rng: Random) -> str:
    return f"hsl({rng.randrange(360)}, 20%, {rng.randint(8, 32)}%)"


def _moire(picture: Picture, rng: Random) -> Picture:
    down, across = np.mgrid[0 : picture.height, 0 : picture.width].astype(np.float32)
    turn, pitch, depth = rng.uniform(0.1, 1.4), rng.uniform(7, 16), rng.uniform(0.05, 0.1)
    along = across * math.cos(turn) + down * math.sin(turn)
    bent = along + 6 * np.sin((across * math.sin(turn) - down * math.cos(turn)) / 140)
    waves = np.stack([np.sin(2 * np.pi * bent / (pitch * stretch)) for stretch in (1, 1.06, 0.95)], axis=-1)
    return _picture(np.asarray(picture, np.float32) * (1 + depth * waves).astype(np.float32))


def _frame_around(device: Picture, rng: Random) -> Size:
    share = rng.uniform(1.12, 1.35)
    return (round(device.width * share), round(device.height * share))


def _laid_on(ground: Picture, thing: Picture, skew: float, rng: Random) -> Picture:
    """Lay the thing on the middle of the ground, seen askew: each corner off by up to `skew` of the ground's sides."""
    width, height = ground.size
    left, top = (width - thing.width) / 2, (height - thing.height) / 2
    places = [
        (
            min(width, max(0.0, left + x + rng.uniform(-skew, skew) * width * 0.5)),
            min(height, max(0.0, top + y + rng.uniform(-skew, skew) * height * 0.5)),
        )
        for x, y in _corners(thing.size)
    ]
    laid = _warped(thing.convert("RGBA"), ground.size, source=_corners(thing.size), target=_quad(places))
    shadow = (
        laid.getchannel("A").filter(ImageFilter.GaussianBlur(max(ground.size) * 0.012)).point(lambda level: level * 0.6)
    )
    page = ground.copy()
    page.paste("#000000", (round(width * 0.008), round(height * 0.01)), shadow)
    page.paste(laid, (0, 0), laid)
    return page


def _glare(picture: Picture, rng: Random) -> Picture:
    """A lamp mirrored on the glass: a soft bright spot."""
    mask = Image.new("L", (200, 200), 0)
    middle, radius = (rng.uniform(30, 170), rng.uniform(30, 170)), rng.uniform(18, 40)
    ImageDraw.Draw(mask).ellipse(
        (middle[0] - radius, middle[1] - radius / 2, middle[0] + radius, middle[1] + radius / 2), rng.randint(170, 250)
    )
    mask = mask.filter(ImageFilter.GaussianBlur(14)).resize(picture.size, Image.Resampling.BICUBIC)
    return Image.composite(Image.new("RGB", picture.size, "#f4f8ff"), picture, mask)


def _print_photo(photo: Picture, rng: Random) -> Picture:
    """A photo of a print on a desk: faded, on white paper, askew, under a lamp."""
    shown = ImageEnhance.Contrast(_at_most(photo, 1400)).enhance(0.85)
    paper = ImageOps.expand(shown, round(min(shown.size) * rng.uniform(0.02, 0.07)), "#f3f0e8")
    seen = _laid_on(_desk(_frame_around(paper, rng), rng), paper, 0.12, rng)
    lit = _warm(seen, rng) if rng.random() < 0.6 else seen
    return _grained(_vignette(lit, rng.uniform(0.45, 0.7)), rng, rng.uniform(2, 5))


def _desk(size: Size, rng: Random) -> Picture:
    """Boards of wood with grain along them."""
    draws = np.random.default_rng(rng.getrandbits(32))
    rows = draws.normal(0, 12, (size[1], 1)) + draws.normal(0, 4, (size[1], max(2, size[0] // 60))).cumsum(axis=1)
    grain = Image.fromarray(np.clip(rows * 0.7 + 128, 0, 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    desk = ImageOps.colorize(grain, "#2b1a0f", rng.choice(("#d8b58a", "#b98a5e", "#c9c0b2")))
    pen = ImageDraw.Draw(desk)
    for board in range(1, 5):
        pen.line(((0, size[1] * board / 5), (size[0], size[1] * board / 5)), "#1d120a", max(2, size[1] // 300))
    return desk


def _picture_in_picture(photo: Picture, rng: Random, others: Sequence[Picture]) -> Picture:
    """The photo as an inset, 30 to 45 % as wide as the other photo on which it lies."""
    page = _long_side(others[0], 1350)
    share = round(page.width * rng.uniform(0.3, 0.45))
    inset = ImageOps.expand(
        ImageOps.contain(photo, (share, round(page.height * 0.6))), max(2, page.width // 160), "#ffffff"
    )
    gap = round(page.width * 0.03)
    left = rng.choice((gap, page.width - inset.width - gap))
    page.paste(inset, (left, rng.choice((gap, page.height - inset.height - gap))))
    return page


# Strips and grids


def _members(photo: Picture, rng: Random, others: Sequence[Picture], count: int) -> list[Picture]:
    members = list(others[: count - 1])
    members.insert(rng.randint(0, len(members)), photo)
    return members


def _strip(count: int, *, is_row: bool) -> Collage:
    """A row of whole photos of one height, or a column of one width, with or without gaps."""

    def lay(photo: Picture, rng: Random, others: Sequence[Picture]) -> Picture:
        gap, side, axis = rng.choice((0, 12, 24)), 900, 0 if is_row else 1
        parts = [_scaled(member, side / member.size[1 - axis]) for member in _members(photo, rng, others, count)]
        size = [side + 2 * gap, side + 2 * gap]
        size[axis] = sum(part.size[axis] for part in parts) + gap * (count + 1)
        strip, place = Image.new("RGB", (size[0], size[1]), _paper(rng)), [gap, gap]
        for part in parts:
            strip.paste(part, (place[0], place[1]))
            place[axis] += part.size[axis] + gap
        return _at_most(strip, 2160 if is_row else 2700)

    return lay


def _paper(rng: Random) -> str:
    return rng.choice(("#ffffff", "#000000", "#f2e9dc"))


def _big_and_two_small(photo: Picture, rng: Random, others: Sequence[Picture]) -> Picture:
    gap, page = rng.choice((6, 14, 24)), Image.new("RGB", (1080, 1080), _paper(rng))
    small, big = (1080 - 3 * gap) * 2 // 5, (1080 - 3 * gap) * 3 // 5
    half = (1080 - 3 * gap) // 2
    cells = (
        ((big, 1080 - 2 * gap), (gap, gap)),
        ((small, half), (2 * gap + big, gap)),
        ((small, half), (2 * gap + big, 2 * gap + half)),
    )
    for member, (size, place) in zip(_members(photo, rng, others, 3), cells, strict=True):
        page.paste(ImageOps.fit(member, size), place)
    return page


def _grid(columns: int, rows: int) -> Collage:
    """Square cells with gaps, each filled by the middle of a photo."""

    def lay(photo: Picture, rng: Random, others: Sequence[Picture]) -> Picture:
        across, down = (columns, rows) if rng.random() < 0.5 else (rows, columns)
        gap = rng.choice((4, 10, 18))
        cell = (1080 - gap * (across + 1)) // across
        page = Image.new("RGB", (1080, gap + down * (cell + gap)), _paper(rng))
        for place, member in enumerate(_members(photo, rng, others, across * down)):
            row, column = divmod(place, across)
            page.paste(ImageOps.fit(member, (cell, cell)), (gap + column * (cell + gap), gap + row * (cell + gap)))
        return page

    return lay


# Combinations


def _in_turn(*effects: Effect) -> Effect:
    def apply(photo: Picture, rng: Random) -> Picture:
        for effect in effects:
            photo = effect(photo, rng)
        return photo

    return apply


def _any_of(*effects: Effect) -> Effect:
    return lambda photo, rng: rng.choice(effects)(photo, rng)


def _reposted(photo: Picture, rng: Random) -> Picture:
    """Sent on five times, each time at another size and quality."""
    for _ in range(5):
        photo = _resent(_long_side(photo, rng.randint(600, 1280)), rng.randint(45, 80))
    return photo


# The table


def _edit(name: str, group: str, effect: Effect, encode: Encoder = _jpeg_as_sent) -> Edit:
    return Edit(name, group, lambda photo, rng, _: encode(effect(photo, rng), rng))


def _collage(name: str, group: str, collage: Collage, others_needed: int) -> Edit:
    return Edit(name, group, lambda photo, rng, others: _jpeg_as_sent(collage(photo, rng, others), rng), others_needed)


_FILTER = _any_of(_warm, _cool, _vintage, _sepia)

EDITS: tuple[Edit, ...] = (
    *(_edit(f"jpeg_{quality}", PLAIN, _unchanged, _as("JPEG", quality=quality)) for quality in (85, 55, 30, 12)),
    *(_edit(f"webp_{quality}", PLAIN, _unchanged, _as("WEBP", quality=quality)) for quality in (80, 35)),
    _edit("png", PLAIN, _unchanged, _png),
    _edit("avif", PLAIN, _unchanged, _as("AVIF", quality=55)),
    *(_edit(f"resized_{pixels}", PLAIN, _resized(pixels)) for pixels in (640, 320, 160)),
    _edit("upscaled_2x", PLAIN, _upscaled),
    _edit("grey", PLAIN, _grey),
    _edit("brighter", PLAIN, _enhanced(ImageEnhance.Brightness, 1.25, 1.5)),
    _edit("darker", PLAIN, _enhanced(ImageEnhance.Brightness, 0.5, 0.75)),
    _edit("more_contrast", PLAIN, _enhanced(ImageEnhance.Contrast, 1.3, 1.6)),
    _edit("less_contrast", PLAIN, _enhanced(ImageEnhance.Contrast, 0.55, 0.75)),
    _edit("more_saturation", PLAIN, _enhanced(ImageEnhance.Color, 1.5, 2.0)),
    _edit("less_saturation", PLAIN, _enhanced(ImageEnhance.Color, 0.2, 0.5)),
    _edit("warm", PLAIN, _warm),
    _edit("cool", PLAIN, _cool),
    _edit("vintage", PLAIN, _vintage),
    _edit("sepia", PLAIN, _sepia),
    _edit("inverted_balance", PLAIN, _inverted_balance),
    _edit("posterised", PLAIN, _posterised),
    _edit("blurred", PLAIN, _blurred),
    _edit("sharpened", PLAIN, _sharpened),
    _edit("noisy", PLAIN, _noisy),
    _edit("mirrored", PLAIN, _mirrored),
    _edit("turned_90", PLAIN, _turned(Image.Transpose.ROTATE_90)),
    _edit("turned_180", PLAIN, _turned(Image.Transpose.ROTATE_180)),
    _edit("turned_270", PLAIN, _turned(Image.Transpose.ROTATE_270)),
    _edit("mirrored_turned", PLAIN, _mirrored_turned),
    *(_edit(f"tilted_{degrees}", GEOMETRY, _tilted(degrees)) for degrees in (4, 10)),
    _edit("perspective_slight", GEOMETRY, _perspective(0.03, 0.06)),
    _edit("perspective_strong", GEOMETRY, _perspective(0.08, 0.14)),
    _edit("border_white", GEOMETRY, _border_white),
    _edit("border_coloured", GEOMETRY, _border_coloured),
    _edit("letterbox_black", GEOMETRY, _letterbox_black),
    _edit("letterbox_blurred", GEOMETRY, _letterbox_blurred),
    _edit("centre_square", GEOMETRY, _centre_square),
    *(_edit(f"squeezed_{percent}", GEOMETRY, _squeezed(percent / 100)) for percent in (8, 12)),
    *(_edit(f"crop_{percent}", GEOMETRY, _crop(percent / 100)) for percent in (90, 80, 70, 60, 45)),
    _edit("caption_outlined", OVERLAY, _caption_outlined),
    _edit("caption_bar_below", OVERLAY, partial(_caption_bar, is_above=False)),
    _edit("caption_bar_above", OVERLAY, partial(_caption_bar, is_above=True)),
    _edit("stickers_10", OVERLAY, _stickers(0.10, 2)),
    _edit("stickers_20", OVERLAY, _stickers(0.20, 4)),
    _edit("watermark_tiled", OVERLAY, _watermark_tiled),
    _edit("logo_corner", OVERLAY, _logo_corner),
    _edit("emoji", OVERLAY, _emoji),
    _edit("scribbles", OVERLAY, _scribbles),
    _edit("arrow", OVERLAY, _arrow),
    _edit("face_hidden", OVERLAY, _face_hidden),
    _edit("crop_35", CROP_35, _crop(0.35)),
    _edit("crop_20", CROP_20, _crop(0.20)),
    _edit("post_dark", SCREEN, _post_dark, _png),
    _edit("post_light", SCREEN, _post_light),
    _edit("chat", SCREEN, _chat),
    _edit("browser", SCREEN, _browser, _png),
    _edit("story_blurred", SCREEN, _story_blurred),
    _edit("story_gradient", SCREEN, _story_gradient),
    _edit("screen_photo", SCREEN, _screen_photo),
    _edit("print_photo", SCREEN, _print_photo),
    _collage("picture_in_picture", SCREEN, _picture_in_picture, 1),
    *(_collage(f"side_by_side_{count}", STRIP, _strip(count, is_row=True), count - 1) for count in (2, 3)),
    *(_collage(f"stacked_{count}", STRIP, _strip(count, is_row=False), count - 1) for count in (2, 3)),
    _collage("big_and_two_small", STRIP, _big_and_two_small, 2),
    _collage("grid_4", GRID, _grid(2, 2), 3),
    _collage("grid_6", GRID, _grid(3, 2), 5),
    _collage("grid_9", GRID, _grid(3, 3), 8),
    _edit("crop_filter_small", COMBINATION, _in_turn(_crop(0.65), _FILTER, _resized(400)), _as("JPEG", quality=28)),
    _edit("mirror_crop_caption", COMBINATION, _in_turn(_mirrored, _crop(0.7), _caption_outlined)),
    _edit(
        "screenshot_of_crop",
        COMBINATION,
        _in_turn(_crop(0.6), _any_of(_post_dark, _post_light)),
    ),
    _edit("tilt_border_noise", COMBINATION, _in_turn(_tilted(6), _any_of(_border_white, _border_coloured), _noisy)),
    _edit("repost_of_repost", COMBINATION, _reposted, _as("JPEG", quality=60)),
)
"""Every kind of edit, in the order of the groups."""

BY_NAME: Mapping[str, Edit] = {edit.name: edit for edit in EDITS}


def edited_copies(paths: Sequence[Path], kinds: Sequence[str], count: int, others: Sequence[Path]) -> list[bytes]:
    """Make edited copies of the first photos, one kind after the other."""
    made = []
    for number in range(count):
        edit, path = BY_NAME[kinds[number % len(kinds)]], paths[number % len(paths)]
        members = [opened(other) for other in Random(number).sample(others, edit.others_needed)]
        made.append(edit.apply(opened(path), Random(number), members))
    return made
