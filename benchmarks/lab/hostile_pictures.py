"""Hostile pictures: mutants of all eight types, and hand-made bombs.

Seeds are drawn by Pillow and pillow-heif in several modes (progressive, palette, 16 bits, alpha, animated, tiled, with
EXIF and colour profile). A mutant has flipped bits, a cut end, a hole, a doubled or foreign stretch, other numbers in
its header, huge sizes where its size is written (checksums made right again), or noise behind a valid signature. The
bombs are small files that ask for much, and things that are no picture files at all.
"""

import io
import os
import random
import re
import socket
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pillow_heif
from PIL import Image, ImageCms, PngImagePlugin

INTACT_EVERY = 50
"""Of the mutants so many are followed by an intact picture."""

Named = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Seed:
    """An intact picture and the size it was drawn in."""

    name: str
    data: bytes
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class HostileFile:
    """One thing to send: bytes, or a path; `right` is the name of the seed where it is intact."""

    name: str
    data: bytes
    is_path: bool = False
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


# Bombs


def bombs(folder: Path, seeds: list[Seed]) -> Iterator[HostileFile]:
    """Yield small files that ask for much, and things that are no picture files, some in a folder."""
    made = (webp_bombs(), png_bombs(), jpeg_bombs(), avif_and_heif_bombs(), other_bombs(), foreign_types(seeds))
    yield from (HostileFile(name, data) for name, data in chain(*made))
    yield from odd_files(folder)


def webp_bombs() -> Iterator[Named]:
    sides = 16_382 | 16_382 << 14
    lossless = b"\x2f" + struct.pack("<I", sides) + b"\0" * 9
    lossy = struct.pack("<I", 0x10)[:3] + b"\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383) + b"\0" * 4
    extended = b"\x02\0\0\0" + (16_382).to_bytes(3, "little") * 2
    small = b"\0\0\0\0" + (99).to_bytes(3, "little") * 2
    yield "WEBP 16383 x 16383 lossless, 34 bytes", riff((b"VP8L", lossless))
    yield "WEBP 16383 x 16383 lossy", riff((b"VP8 ", lossy))
    yield "WEBP 16383 x 16383 extended", riff((b"VP8X", extended), (b"VP8L", lossless))
    yield "WEBP 100 x 100 around 16383 x 16383", riff((b"VP8X", small), (b"VP8L", lossless))
    yield "WEBP 7000 x 7000 lossless", saved(Image.new("RGBA", (7000, 7000)), "WEBP", lossless=True, method=0)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def png_bombs() -> Iterator[Named]:
    text = png_chunk(b"tEXt", b"a\0b")
    inflated = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 50_000_000))
    profile = png_chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 200_000_000))
    frames = png_chunk(b"fcTL", b"\0" * 26)
    yield "PNG 13000 x 13000 (169 megapixels)", png(13_000, 13_000)
    yield "PNG 7071 x 7071, RGBA of 16 bits", png(7071, 7071, depth=16, colour=6)
    yield "PNG 7071 x 7071, interlaced", png(7071, 7071, interlace=1)
    yield "PNG 200,000 text chunks", png(100, 100, text * 200_000)
    yield "PNG 400 text chunks of 50 MB", png(100, 100, inflated * 400)
    yield "PNG colour profile of 200 MB", png(100, 100, profile)
    yield "PNG 2,000,000 empty IDAT", png(100, 100, png_chunk(b"IDAT", b"") * 2_000_000)
    yield "PNG 600,000 frame controls", png(100, 100, frames * 600_000)


def png(width: int, height: int, between: bytes = b"", *, depth: int = 8, colour: int = 0, interlace: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    row = 1 + width * depth * (4 if colour == 6 else 1) // 8
    pressed = zlib.compressobj(1)
    body = b"".join(pressed.compress(bytes(row)) for _ in range(height * (1 + interlace))) + pressed.flush()
    chunks = png_chunk(b"IHDR", header) + between + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def jpeg_bombs() -> Iterator[Named]:
    small = saved(textured(600, 20), "JPEG", progressive=True)
    flat = saved(textured(7000, 0), "JPEG", progressive=True)
    grainy = saved(textured(7000, 20), "JPEG", progressive=True, quality=5)
    colour = saved(textured(7000, 0).convert("RGB"), "JPEG", progressive=True)
    yield "JPEG 3,006 scans", with_scans(flat, 3006)
    yield "JPEG 64 scans, 49 megapixels, flat", with_scans(flat, 64)
    yield "JPEG 64 scans, 49 megapixels, grainy", with_scans(grainy, 64)
    yield "JPEG 64 scans, 49 megapixels, colour", with_scans(colour, 64)
    yield "JPEG 65 scans", with_scans(small, 65)
    yield "JPEG 65500 x 65500", with_jpeg_size(small, 65_500)
    yield "JPEG 24 MB of fill bytes", small[:2] + b"\xff" * 24_000_000 + small[2:]
    yield "JPEG 24 MB of comments", small[:2] + (b"\xff\xfe\xff\xff" + bytes(65_533)) * 366 + small[2:]
    yield "JPEG 5,000,000 empty comments", small[:2] + b"\xff\xfe\0\x02" * 5_000_000 + small[2:]
    yield "JPEG 8,000,000 start markers", small[:2] + b"\xff\xd8" * 8_000_000 + small[2:]
    yield "JPEG arithmetic-coded lie", small.replace(b"\xff\xc2", b"\xff\xca")
    yield "JPEG EXIF that contains itself", small[:2] + looping_exif() + small[2:]


def textured(side: int, noise: float) -> Image.Image:
    tile = Image.effect_noise((500, 500), noise)
    image = Image.new("L", (side, side))
    for top in range(0, side, 500):
        for left in range(0, side, 500):
            image.paste(tile, (left, top))
    return image


def with_scans(data: bytes, count: int) -> bytes:
    """Repeat the last scan that refines all coefficients of luminance: the most work for the fewest bytes."""
    starts = [found.start() for found in re.finditer(rb"\xff\xda", data)]
    scans = [data[start:end] for start, end in zip(starts, [*starts[1:], len(data) - 2], strict=True)]
    refining = [scan for scan in scans if scan[4:6] == b"\1\1" and scan[7:9] == b"\1\x3f" and scan[9] >> 4]
    repeated = re.split(rb"\xff\xc4", refining[-1])[0]  # without the tables for the next one
    return data[:-2] + repeated * (count - len(starts)) + b"\xff\xd9"


def with_jpeg_size(data: bytes, side: int) -> bytes:
    at = data.index(b"\xff\xc2")
    return data[: at + 5] + struct.pack(">HH", side, side) + data[at + 9 :]


def looping_exif() -> bytes:
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    body = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 8)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def avif_and_heif_bombs() -> Iterator[Named]:
    within = saved(Image.new("L", (7000, 7000)), "AVIF", speed=10)
    beyond = saved(Image.new("L", (10_000, 9_000)), "AVIF", speed=10)
    hidden = with_heif_size(beyond, 100, 100)
    small = saved(Image.new("RGB", (64, 64)), "AVIF", speed=10)
    yield "AVIF 7000 x 7000", within
    yield "AVIF 10000 x 9000", beyond
    yield "AVIF 10000 x 9000 that says 100 x 100", hidden
    yield "AVIF 64 x 64 that says 20000 x 15000", with_heif_size(small, 20_000, 15_000)
    yield "AVIF 64 x 64 that says 7000 x 7000", with_heif_size(small, 7000, 7000)
    heif = saved(Image.new("RGB", (64, 64)), "HEIF")
    yield "HEIF 64 x 64 that says 20000 x 15000", with_heif_size(heif, 20_000, 15_000)
    yield "HEIF 64 x 64 that says 7000 x 7000", with_heif_size(heif, 7000, 7000)
    large = saved(Image.new("RGB", (7000, 7000)), "HEIF")
    yield "HEIF 7000 x 7000", large
    yield "HEIF 7000 x 7000 that says 100 x 100", with_heif_size(large, 100, 100)
    yield "HEIF 3,000,000 empty boxes", small_boxes(heif, 3_000_000)


def with_heif_size(data: bytes, width: int, height: int) -> bytes:
    """Write another size into every size box."""
    return re.sub(rb"(?s)(ispe\0\0\0\0).{8}", lambda found: found[1] + struct.pack(">II", width, height), data)


def small_boxes(data: bytes, count: int) -> bytes:
    end = int.from_bytes(data[:4])
    return data[:end] + b"\0\0\0\x08free" * count + data[end:]


def other_bombs() -> Iterator[Named]:
    gif = saved(Image.new("P", (10, 10)), "GIF")
    yield "GIF 65535 x 65535", gif[:6] + b"\xff\xff\xff\xff" + gif[10:]
    yield "GIF 24 MB of extensions", gif[:13] + b"\x21\xfe\x01a\0" * 4_800_000 + gif[13:]
    yield "GIF 1 comment of 12,000,000 blocks", gif[:13] + b"\x21\xfe" + b"\x01a" * 12_000_000 + b"\0" + gif[13:]
    bmp = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 0, 0, 1078, 40, 7071, 7071, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1024)
    yield "BMP 7071 x 7071, run lengths, no data", bmp + b"\0\x01"
    wide = bmp[:18] + struct.pack("<ii", 20_000, 2500) + bmp[26:]
    yield "BMP 20000 x 2500, run lengths of nothing", wide + b"\0\0" * 10_000_000
    tags = struct.pack("<HHII", 270, 2, 2**31, 8) * 65_535
    yield "TIFF 65,535 tags", b"II*\0" + struct.pack("<IH", 8, 65_535) + tags
    yield "TIFF 7071 x 7071, deflate", saved(Image.new("RGBA", (7071, 7071)), "TIFF", compression="tiff_adobe_deflate")
    yield "TIFF 7071 x 7071, floats", saved(Image.new("F", (7071, 7071)), "TIFF", compression="tiff_adobe_deflate")
    yield "TIFF directory that follows itself", b"II*\0" + struct.pack("<IHI", 8, 0, 8)
    yield "TIFF 1,900,000 directories", tiff_chain(1_900_000)


def tiff_chain(count: int) -> bytes:
    entry = struct.pack("<HHHI", 1, 256, 3, 1)
    return b"II*\0\x08\0\0\0" + b"".join(entry[:2] + bytes(4) + struct.pack("<I", 18 + at * 10) for at in range(count))


def foreign_types(seeds: list[Seed]) -> Iterator[Named]:
    """What decodes, or starts a program, behind a picture's name in a careless reader."""
    image = Image.new("RGB", (50, 50), "red")
    for format_ in ("EPS", "PDF", "PPM", "PCX", "TGA", "SGI", "ICO", "ICNS", "DDS", "JPEG2000", "DIB"):
        yield f"{format_} behind .jpg", saved(image, format_)
    yield "PostScript behind .jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file\n"
    yield "PSD", b"8BPS\0\x01" + bytes(100)
    yield "SVG", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
    yield "HTML", b"<!DOCTYPE html><title>Login - Instagram</title>"
    yield "MP4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100)
    yield "nothing", b""
    yield "one byte", b"\xff"
    yield "25 MB of zeros behind a JPEG", seeds[0].data + bytes(25_000_000 - len(seeds[0].data))


def odd_files(folder: Path) -> Iterator[HostileFile]:
    os.mkfifo(folder / "fifo.jpg")
    with (folder / "sparse.jpg").open("wb") as file:
        file.truncate(20 << 30)
    (folder / "link.jpg").symlink_to("/etc/passwd")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket.jpg"))
        for path in (*sorted(folder.iterdir()), Path("/dev/zero"), Path("/dev/tty")):
            yield HostileFile(f"file {path.name}", os.fsencode(path), is_path=True)
