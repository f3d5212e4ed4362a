"""Pictures for tests: made-up photos from a seed, their encodings, and bombs built by hand."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageDraw

pillow_heif.register_heif_opener()

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "BMP", "TIFF")
MIRRORED, UPSIDE_DOWN = Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180

LYING = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera stores an upright picture whose EXIF orientation is the key."""


def photo(seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    """Make a photo-like RGB picture: soft hashes, textures of several sizes, and shapes; other seeds look different."""
    random = np.random.default_rng(seed)
    layers = [_noise(random, size, cells) * strength for cells, strength in ((3, 90), (8, 50), (24, 30), (80, 14))]
    pixels = np.clip(128 + sum(layers), 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = random.integers(0, size)
        side = random.integers(min(size) // 8, min(size) // 2)
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((int(x), int(y), int(x + side), int(y + side)), fill=tuple(map(int, random.integers(0, 256, 3))))
    return image


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode a picture as one of KINDS, or as any other type that Pillow writes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo_bytes(seed: int, kind: str = "JPEG", size: tuple[int, int] = (400, 300)) -> bytes:
    return encode(photo(seed, size), kind)


def lying(image: Image.Image, orientation: int) -> tuple[Image.Image, bytes]:
    """Return a picture as a camera stores it that was held so, and the EXIF data that say so."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    transpose = LYING[orientation]
    return image if transpose is None else image.transpose(transpose), exif.tobytes()


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """Make a colour profile, not named sRGB, in which the red channel is green hashes and the green one red."""
    profile = srgb_profile().replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    return profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


def png_chunk(name: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of_16_bits(pixels: NDArray[np.uint16]) -> bytes:
    """Encode pixels (rows, columns, 3), which Pillow does not write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, 2, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_with(chunks: bytes, seed: int = 1) -> bytes:
    """Put chunks before the pixels of a PNG."""
    data = encode(photo(seed, (60, 40)), "PNG")
    at = data.index(b"IDAT") - 4
    return data[:at] + chunks + data[at:]


def jpeg_with(segments: bytes, seed: int = 1) -> bytes:
    """Put bytes before the segments of a JPEG."""
    data = encode(photo(seed, (60, 40)), "JPEG")
    return data[:20] + segments + data[20:]


def jpeg_segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg_of_scans(count: int, between: bytes = b"") -> bytes:
    """Make a progressive JPEG that repeats its last scan until there are `count`."""
    data = encode(photo(1, (600, 400)), "JPEG", progressive=True)
    scans = data.count(b"\xff\xda")
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + (between + last) * (count - scans) + data[-2:]


def webp_of(chunk: bytes, data: bytes) -> bytes:
    body = b"WEBP" + chunk + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_headers(width: int, height: int) -> dict[str, bytes]:
    """Make the first bytes of WebP files of a size, in its three kinds, without pixels."""
    w, h = width - 1, height - 1
    return {
        "extended": webp_of(b"VP8X", bytes(4) + w.to_bytes(3, "little") + h.to_bytes(3, "little")),
        "lossless": webp_of(b"VP8L", b"\x2f" + struct.pack("<I", w | h << 14) + bytes(5)),
        "lossy": webp_of(b"VP8 ", b"\x30\x01\0\x9d\x01\x2a" + struct.pack("<HH", width, height)),
    }


def with_claimed_size(data: bytes, width: int, height: int) -> bytes:
    """Change the size that an AVIF or HEIC file claims in its header."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def bombs() -> dict[str, Callable[[], bytes]]:
    """Return small files that ask a plain reader for gigabytes or minutes, by name."""
    return {
        "webp, extended": lambda: webp_headers(16_383, 16_383)["extended"],
        "webp, lossless": lambda: webp_headers(16_383, 16_383)["lossless"],
        "webp, lossy": lambda: webp_headers(16_383, 16_383)["lossy"],
        "avif": lambda: with_claimed_size(photo_bytes(1, "AVIF"), 30_000, 30_000),
        "heic": lambda: with_claimed_size(photo_bytes(1, "HEIF"), 30_000, 30_000),
        "png of 169 megapixels": lambda: encode(Image.new("1", (13_000, 13_000)), "PNG"),
        "png of 200,000 texts": lambda: png_with(png_chunk(b"tEXt", b"a\0b") * 200_000),
        "png of 200,000 empty chunks": lambda: png_with(png_chunk(b"IDAT") * 200_000),
        "jpeg of 3,000 scans": lambda: jpeg_of_scans(3_000),
        "jpeg of 2,000 segments": lambda: jpeg_with(jpeg_segment(0xE5, b"") * 2_000),
        "jpeg of empty lengths": lambda: jpeg_with(b"\xff\xe5\0\0" * 2_000),
        "jpeg of fill": lambda: jpeg_with(b"\xff" * 1_000_000),
        "jpeg of junk": lambda: jpeg_with(b"\0" * 1_000_000),
        "gif of a huge screen": lambda: _patched(photo_bytes(1, "GIF"), 6, struct.pack("<HH", 60_000, 60_000)),
        "gif of a huge frame": _gif_of_a_huge_frame,
        "bmp": lambda: _patched(photo_bytes(1, "BMP"), 18, struct.pack("<ii", 2**31 - 1, 2**31 - 1)),
        "bmp of negative width": lambda: _patched(photo_bytes(1, "BMP"), 18, struct.pack("<i", -400)),
        "tiff": lambda: encode(Image.new("1", (8_000, 8_000)), "TIFF", compression="tiff_lzw"),
    }


def _noise(random: np.random.Generator, size: tuple[int, int], cells: int) -> NDArray[np.float32]:
    """Make smooth noise (height, width, 3) of so many cells a side, within -1 to 1."""
    coarse = random.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
    fine = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(fine, dtype=np.float32) / 127.5 - 1


def _gif_of_a_huge_frame() -> bytes:
    data = photo_bytes(1, "GIF")
    frame = data.index(b",", 13 + 768)
    return _patched(data, frame + 5, struct.pack("<HH", 60_000, 60_000))


def _patched(data: bytes, at: int, replacement: bytes) -> bytes:
    return data[:at] + replacement + data[at + len(replacement) :]
