"""The photos of the transcripts: made-up hills in a small dataset, and what people do to photos before they ask."""

import math
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from benchmarks.lab.edits import BY_NAME
from benchmarks.lab.photos import opened
from benchmarks.lab.templates import gradient
from benchmarks.transcripts.entries import Picture
from tests.pictures import encode
from tests.shell import Shell

ALBUMS = {
    "lena.hikes.north": range(1, 6),
    "two_rucksacks": range(6, 10),
    "slow.evening.light": range(10, 14),
    "mika__outdoors": range(14, 16),
    "fjord.postcards": range(16, 18),
    "best.of.hills": range(18, 20),
}
"""The accounts of the dataset, and the seeds of their photos."""
SHARED, REPOSTER = 2, "best.of.hills"
"""A photo that another account posts again."""
SCREEN = 4
"""The seed of a screen on which all is in its place."""
SIZES = ((1080, 810), (1080, 1080), (1080, 1350))


def indexed(folder: Path) -> Shell:
    """Make the dataset in a folder and index it; return the shell there."""
    shell = Shell(folder)
    for username, seeds in ALBUMS.items():
        for seed in seeds:
            shell.put(f"images/{username}/{seed}.jpg", encode(view(seed), "JPEG", quality=92))
    shell.put(f"images/{REPOSTER}/again.jpg", encode(ImageOps.contain(view(SHARED), (720, 720)), "JPEG", quality=75))
    ended = shell.igsearch("index", "--dataset", "images")
    assert ended.code == 0, ended.err
    return shell


# What people do to photos


def mirrored_crop(picture: Picture) -> Picture:
    width, height = picture.size
    return ImageOps.mirror(picture.crop((width // 6, height // 10, width, height * 9 // 10)))


def in_a_post(picture: Picture) -> Picture:
    return opened(BY_NAME["post_light"].apply(picture, Random(SCREEN), []))


# Photos


def view(seed: int) -> Picture:
    """Make up a photo of wooded hills in the evening; other seeds are other places."""
    random = Random(seed)
    hue = random.choice((18, 30, 190, 205, 218, 235, 262, 340))
    page = gradient(random.choice(SIZES), f"hsl({hue}, 50%, 46%)", f"hsl({(hue + 25) % 360}, 70%, 84%)")
    add_clouds(page, random)
    sun = (page.width * random.uniform(0.15, 0.85), page.height * random.uniform(0.12, 0.4))
    ImageDraw.Draw(page).circle(sun, page.width * random.uniform(0.04, 0.09), f"hsl({(hue + 25) % 360}, 90%, 93%)")
    for near in (0.1, 0.35, 0.6, 0.85):
        tone = (hue + random.randint(160, 220)) % 360
        add_hills(page, random, near, f"hsl({tone}, {random.randint(20, 40)}%, {round(56 - 42 * near)}%)")
    return grained(page, random)


def add_clouds(page: Picture, random: Random) -> None:
    veil = Image.new("L", page.size)
    for _ in range(random.randint(4, 12)):
        x, y = random.uniform(0, page.width), random.uniform(0, page.height * 0.4)
        for _ in range(9):
            wide, left, top = random.uniform(0.02, 0.07), x + random.gauss(0, 75), y + random.gauss(0, 13)
            puff = (left, top, left + page.width * wide, top + page.width * wide / 2)
            ImageDraw.Draw(veil).ellipse(puff, random.randint(60, 150))
    page.paste("white", mask=veil.filter(ImageFilter.GaussianBlur(9)))


def add_hills(page: Picture, random: Random, near: float, colour: str) -> None:
    """Draw a ridge with firs, which are taller the nearer it is."""
    waves = [(random.uniform(10, 60) / bend, random.uniform(2, 5) * bend, random.uniform(0, 7)) for bend in range(1, 6)]
    base, pen = page.height * (0.45 + near / 2), ImageDraw.Draw(page)

    def ridge(x: float) -> float:
        return base + sum(tall * math.sin(x / page.width * bend + turn) for tall, bend, turn in waves)

    for _ in range(90):
        x, tall = random.uniform(0, page.width), page.height * (0.02 + 0.1 * near) * random.uniform(0.5, 1.3)
        pen.polygon([(x - tall / 4, ridge(x) + 6), (x, ridge(x) - tall), (x + tall / 4, ridge(x) + 6)], colour)
    line = [(x, ridge(x)) for x in range(0, page.width + 9, 8)]
    pen.polygon([(0, page.height), *line, (page.width, page.height)], colour)


def grained(page: Picture, random: Random) -> Picture:
    """Add the texture that photos have and drawings lack."""
    noise = np.random.default_rng(random.getrandbits(32))
    pixels: NDArray[np.float32] = np.asarray(page, np.float32)
    for cells in (12, 40, 160):
        coarse = Image.fromarray(noise.integers(0, 256, (cells, cells)).astype(np.uint8))
        fine = np.asarray(coarse.resize(page.size, Image.Resampling.BICUBIC), np.float32)
        pixels = pixels + (fine[:, :, None] - np.float32(128)) / np.float32(13)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
