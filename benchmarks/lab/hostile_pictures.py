"""Hostile pictures: mutants of all eight types, and the bombs of the tests.

Seeds are drawn by Pillow and pillow-heif in several modes (progressive, palette, 16 bits, alpha, animated, tiled, with
EXIF and colour profile). A mutant has flipped bits, a cut end, a hole, a doubled or foreign stretch, other numbers in
its header, huge sizes where its size is written (checksums made right again), or noise behind a valid signature.
"""

import io
import random
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, PngImagePlugin

from tests import pictures

INTACT_EVERY = 50
"""Of the mutants so many are followed by an intact picture."""


@dataclass(frozen=True, slots=True)
class Seed:
    """An intact picture and the size it was drawn in."""

    name: str
    data: bytes
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class HostileFile:
    """A file to send; `intact` is the name of the seed where it is one, unchanged."""

    name: str
    data: bytes
    intact: str | None = None


# Seeds


def draw_seeds(photos: Path) -> Iterator[Seed]:
    """Draw pictures of all eight types, from photos, at most 480 px."""
    pillow_heif.register_heif_opener()
    paths = sorted(path for path in photos.rglob("*.jpg"))
    chosen = random.Random(0).sample(paths, 4)
    for number, path in enumerate(chosen):
        with Image.open(path) as image:
            image.thumbnail((480, 480))
            yield from seeds_of(image.convert("RGB"), number)


def seeds_of(image: Image.Image, number: int) -> Iterator[Seed]:
    alpha = image.copy()
    alpha.putalpha(image.convert("L"))
    grey, palette, line_art = image.convert("L"), image.quantize(64), image.convert("1")
    deep = Image.frombytes("I;16", grey.size, b"".join(struct.pack("<H", value * 257) for value in grey.tobytes()))
    exif = Image.Exif()
    exif[0x0112] = 5 + number % 4
    exif[0x010E] = "a picture"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    extra: dict[str, object] = {"exif": exif, "icc_profile": strange_profile()}
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "one" * 100)
    text.add_text("Description", "two" * 100, zip=True)
    text.add_itxt("Title", "three")
    frames: dict[str, object] = {
        "save_all": True,
        "append_images": [image.rotate(90), image.rotate(180)],
        "duration": 100,
    }
    drawings: list[tuple[str, Image.Image, str, dict[str, object]]] = [
        ("JPEG plain", image, "JPEG", {}),
        ("JPEG progressive, EXIF, ICC", image, "JPEG", {"progressive": True, **extra}),
        ("JPEG grey, restarts", grey, "JPEG", {"restart_marker_blocks": 7}),
        ("JPEG CMYK", image.convert("CMYK"), "JPEG", {}),
        ("JPEG multi-picture", image, "MPO", {"save_all": True, "append_images": [grey.convert("RGB")]}),
        ("PNG plain, text, EXIF, ICC", image, "PNG", {"pnginfo": text, **extra}),
        ("PNG alpha", alpha, "PNG", {}),
        ("PNG palette, transparent", palette, "PNG", {"transparency": 3}),
        ("PNG 16 bits", deep, "PNG", {}),
        ("PNG 1 bit", line_art, "PNG", {}),
        ("PNG grey, transparent", grey, "PNG", {"transparency": 200}),
        ("PNG animated", image, "PNG", frames),
        ("WEBP lossy, EXIF, ICC", image, "WEBP", extra),
        ("WEBP simple", image, "WEBP", {}),
        ("WEBP lossless", image, "WEBP", {"lossless": True, "method": 0}),
        ("WEBP alpha", alpha, "WEBP", {}),
        ("WEBP animated", image, "WEBP", frames),
        ("GIF plain", palette, "GIF", {}),
        ("GIF animated, transparent, interlaced", palette, "GIF", {**frames, "transparency": 3, "interlace": 1}),
        ("AVIF plain, EXIF, ICC", image, "AVIF", {"speed": 10, **extra}),
        ("AVIF alpha", alpha, "AVIF", {"speed": 10}),
        ("AVIF animated", image, "AVIF", {"speed": 10, **frames}),
        ("HEIF plain, EXIF, ICC", image, "HEIF", extra),
        ("HEIF alpha", alpha, "HEIF", {}),
        ("HEIF two pictures", image, "HEIF", {"save_all": True, "append_images": [image.rotate(90)]}),
        ("BMP plain", image, "BMP", {}),
        ("BMP palette", palette, "BMP", {}),
        ("BMP 1 bit", line_art, "BMP", {}),
        ("BMP alpha", alpha, "BMP", {}),
        ("TIFF plain, EXIF, ICC", image, "TIFF", extra),
        ("TIFF LZW", image, "TIFF", {"compression": "tiff_lzw"}),
        ("TIFF deflate, alpha", alpha, "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF JPEG", image, "TIFF", {"compression": "jpeg"}),
        ("TIFF fax", line_art, "TIFF", {"compression": "group4"}),
        ("TIFF PackBits, palette", palette, "TIFF", {"compression": "packbits"}),
        ("TIFF 16 bits", deep, "TIFF", {}),
        ("TIFF float", grey.convert("F"), "TIFF", {}),
        ("TIFF CMYK, big-endian", image.convert("CMYK"), "TIFF", {"big_endian": True}),
        ("TIFF LAB", to_lab(image), "TIFF", {}),
        ("TIFF many pages", image, "TIFF", {"save_all": True, "append_images": [grey.copy(), line_art.copy()]}),
    ]
    for name, drawn, format_, options in drawings:
        yield Seed(f"{name} #{number}", saved(drawn, format_, **options), image.size)


def saved(image: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.copy().save(file, format_, **options)  # saving leaves traces in an image
    return file.getvalue()


def strange_profile() -> bytes:
    """Return sRGB under another name: the reader does not know it and has to convert."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be"))


def to_lab(image: Image.Image) -> Image.Image:
    lab = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    lab.info.pop("icc_profile", None)
    return lab


# Mutants


def mutants(seeds: list[Seed], chance: random.Random, count: int) -> Iterator[HostileFile]:
    """Mutants, one by one, with an intact picture now and then between them."""
    ways = (flipped, cut, without_a_part, doubled, spliced, other_numbers, other_size, noise_behind_signature)
    for number in range(count):
        seed = chance.choice(seeds)
        if number % INTACT_EVERY == INTACT_EVERY - 1:
            yield HostileFile(seed.name, seed.data, intact=seed.name)
            continue
        way = chance.choice(ways)
        data = way(seed, chance, seeds)
        if len(data) > 16 and chance.random() < 0.2:
            data = chance.choice(ways)(Seed(seed.name, data, seed.size), chance, seeds)
        yield HostileFile(f"{seed.name} {way.__name__}", data)


def flipped(seed: Seed, chance: random.Random, _: list[Seed]) -> bytes:
    data = bytearray(seed.data)
    top = len(data) if chance.random() < 0.5 else min(len(data), 1024)
    for _bit in range(chance.choice((1, 1, 2, 8, 64))):
        data[chance.randrange(top)] ^= 1 << chance.randrange(8)
    return bytes(data)


def cut(seed: Seed, chance: random.Random, _: list[Seed]) -> bytes:
    return seed.data[: int(len(seed.data) * chance.random() ** chance.choice((1, 4)))]


def stretch(data: bytes, chance: random.Random) -> tuple[int, int]:
    """Choose a stretch, short more often than long."""
    start = chance.randrange(len(data))
    return start, min(len(data), start + int(len(data) ** chance.random()) + 1)


def without_a_part(seed: Seed, chance: random.Random, _: list[Seed]) -> bytes:
    start, end = stretch(seed.data, chance)
    return seed.data[:start] + seed.data[end:]


def doubled(seed: Seed, chance: random.Random, _: list[Seed]) -> bytes:
    start, end = stretch(seed.data, chance)
    return seed.data[:end] + seed.data[start:end] * chance.choice((1, 1, 10, 100)) + seed.data[end:]


def spliced(seed: Seed, chance: random.Random, seeds: list[Seed]) -> bytes:
    """Put a stretch of another picture, most often of the same type, over or between this one's bytes."""
    kind = seed.name.split()[0]
    others = [other for other in seeds if other.name.startswith(kind)] if chance.random() < 0.8 else seeds
    other = chance.choice(others).data
    start, end = stretch(other, chance)
    at = chance.randrange(len(seed.data))
    return seed.data[:at] + other[start:end] + seed.data[at + chance.choice((0, end - start)) :]


def other_numbers(seed: Seed, chance: random.Random, _: list[Seed]) -> bytes:
    """Write border values over a few numbers of the first kilobyte."""
    data = bytearray(seed.data)
    for _number in range(chance.choice((1, 1, 2, 5))):
        code = chance.choice(("B", ">H", "<H", ">I", "<I"))
        top = 256 ** struct.calcsize(code) - 1
        value = chance.choice((0, 1, top, top // 2, top // 2 + 1, chance.randint(0, top), 65500 & top, 20_000 & top))
        struct.pack_into(code, data, chance.randrange(min(len(data) - 4, 1024)), value)
    return with_checksums(bytes(data))


def other_size(seed: Seed, chance: random.Random, _: list[Seed]) -> bytes:
    """Write another size wherever width or height seems to stand in the first 4 kB."""
    huge = chance.choice((0, 1, 7000, 16_383, 20_000, 30_000, 65_535, 2**24 - 1, 2**31 - 1, 2**32 - 1))
    data = bytearray(seed.data)
    for length, code in ((4, ">I"), (4, "<I"), (2, ">H"), (2, "<H")):
        for side in chance.sample(seed.size, chance.choice((1, 2, 2))):
            places = [found.start() for found in re.finditer(re.escape(struct.pack(code, side)), data[:4096])]
            for place in places:
                struct.pack_into(code, data, place, min(huge, 256**length - 1))
    return with_checksums(bytes(data))


def with_checksums(data: bytes) -> bytes:
    """Make the checksums of a PNG right again, so that its numbers are believed."""
    if not data.startswith(b"\x89PNG"):
        return data
    fresh, at = bytearray(data), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        if end + 4 > len(data):
            break
        struct.pack_into(">I", fresh, end, zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(fresh)


def noise_behind_signature(seed: Seed, chance: random.Random, _: list[Seed]) -> bytes:
    return seed.data[: chance.choice((4, 12, 24, 64, 200))] + chance.randbytes(chance.choice((0, 20, 500, 20_000)))


def hostile_files(photos: Path, count: int) -> list[bytes]:
    """Make odd pictures that are intact, bombs, and mutants for the rest."""
    seeds, chance = list(draw_seeds(photos)), random.Random(1)
    bombs = [make() for make in pictures.bombs().values()]
    made = [*odd_pictures(), *(seed.data for seed in seeds[: len(seeds) // 4]), *bombs]
    files = made + [mutant.data for mutant in mutants(seeds, chance, count - len(made))]
    return chance.sample(files, len(files))


def odd_pictures() -> Iterator[bytes]:
    """Yield what was held in eight ways, is CMYK or has 16 bits, and the first half of a file of each type."""
    for orientation in pictures.LYING:
        picture, exif = pictures.lying(pictures.photo(orientation), orientation)
        yield pictures.encode(picture, "JPEG", exif=exif)
    yield pictures.encode(pictures.photo(9).convert("CMYK"), "JPEG")
    yield pictures.png_of_16_bits(np.asarray(pictures.photo(10), np.uint16) * 257)
    for kind in pictures.KINDS:
        data = pictures.photo_bytes(11, kind)
        yield data[: len(data) // 2]
