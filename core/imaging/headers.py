"""Identify a picture's type and check its header before anything is decoded.

The type is identified by content, never by name. Pillow does not limit a JPEG of 3,006 scans (105 s of CPU from 318 kB)
or a PNG of 200,000 text chunks (3 s inside `Image.open`), and the decoders of WebP and AVIF allocate whatever a header
of 34 bytes asks for (1.3 GB), so these are checked here.
"""

import re
import struct
from collections.abc import Callable, Iterator

from core.errors import TooLarge, Unsupported

MAX_PIXELS = 50_000_000
MAX_SIDE = 20_000
MAX_SCANS = 64
"""Progressive JPEGs have about 10 scans; decoding 64 scans of the largest picture still ends within the time limit."""
MAX_METADATA_CHUNKS = 1_000
MAX_CHUNKS = 20_000
"""All chunks of a PNG, pixels included: in 25 MB each would have 1,250 bytes; encoders write 4,096 and more."""
MAX_FILL = 65_536
"""Fill bytes before a JPEG's first scan: Pillow reads them one by one, 24 MB in 11.5 s."""

SUPPORTED = "JPEG, PNG, WebP, GIF, AVIF, HEIC, BMP and TIFF"

SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
)
AVIF_BRANDS = frozenset((b"avif", b"avis"))
HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))

JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])", re.DOTALL)
"""0xFF followed by 0x00 or a restart marker is entropy-coded data; followed by 0xFF it is fill."""
JPEG_END, JPEG_SCAN = 0xD9, 0xDA
JPEG_WITHOUT_LENGTH = frozenset((*range(0x01, 0xC0), 0xD8))
"""libjpeg does not take the reserved markers as segments: they must not hide 64 kB of scans from the count."""
PNG_PIXELS = frozenset((b"IDAT", b"fdAT", b"fcTL"))
HEIF_SIZE_BOX = re.compile(rb"ispe\0.{3}(.{8})", re.DOTALL)


def identify(data: bytes) -> str:
    """Return Pillow's name for the type of a picture; raises Unsupported for anything but the eight types."""
    for signature, name in SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if brands := _brands(data):
        if brands & AVIF_BRANDS:
            return "AVIF"
        if brands & HEIF_BRANDS:
            return "HEIF"
    if not data:
        raise Unsupported("The file is empty: send the picture again.")
    raise Unsupported(f"This is not a picture of a supported type: {SUPPORTED}.")


def check_header(kind: str, data: bytes) -> None:
    """Raise TooLarge if the header announces more than igsearch decodes."""
    if check := CHECKS.get(kind):
        check(data)


def check_size(width: int, height: int) -> None:
    """Raise TooLarge for a picture with too many pixels or too long a side."""
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise TooLarge(
            f"The picture is too large ({width} x {height} pixels): at most {MAX_PIXELS // 10**6} megapixels"
            f" and {MAX_SIDE:,} pixels a side are read. Send a smaller copy."
        )


def _brands(data: bytes) -> set[bytes]:
    """Return the brands of an ISO base media file (AVIF, HEIC, and videos)."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4]), 256)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def _check_jpeg(data: bytes) -> None:
    scans = fill = 0
    for segments, (marker, gap) in enumerate(_jpeg_markers(data), start=1):
        fill += 0 if scans else gap
        scans += marker == JPEG_SCAN
        if scans > MAX_SCANS or segments > MAX_METADATA_CHUNKS or fill > MAX_FILL:
            raise TooLarge("The JPEG has far more scans or segments than a photo has: save it again and send the copy.")


def _jpeg_markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the markers up to the end of the (first) image, skipping the segments' contents.

    Each comes with the number of bytes since the previous one: fill, or the data of a scan.
    """
    at = 2
    while found := JPEG_MARKER.search(data, at):
        marker = found[1][0]
        yield marker, found.start() - at
        if marker == JPEG_END:
            return
        at = found.end()
        if marker not in JPEG_WITHOUT_LENGTH:
            at += max(2, int.from_bytes(data[at : at + 2]))


def _check_png(data: bytes) -> None:
    at, chunks, metadata = 8, 0, 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        chunks += 1
        metadata += name not in PNG_PIXELS
        if metadata > MAX_METADATA_CHUNKS or chunks > MAX_CHUNKS:
            raise TooLarge("The PNG has far more chunks than a photo has: save it again and send the copy.")
        at += length + 12


def _check_webp(data: bytes) -> None:
    chunk, bits = data[12:16], data[20:30].ljust(10, b"\0")
    if chunk == b"VP8X":
        check_size(1 + int.from_bytes(bits[4:7], "little"), 1 + int.from_bytes(bits[7:10], "little"))
    elif chunk == b"VP8L":
        sizes = int.from_bytes(bits[1:5], "little")
        check_size(1 + (sizes & 0x3FFF), 1 + (sizes >> 14 & 0x3FFF))
    elif chunk == b"VP8 ":
        check_size(int.from_bytes(bits[6:8], "little") & 0x3FFF, int.from_bytes(bits[8:10], "little") & 0x3FFF)


def _check_heif(data: bytes) -> None:
    for box in HEIF_SIZE_BOX.finditer(data):
        check_size(*struct.unpack(">II", box[1]))


CHECKS: dict[str, Callable[[bytes], None]] = {
    "JPEG": _check_jpeg,
    "PNG": _check_png,
    "WEBP": _check_webp,
    "AVIF": _check_heif,
    "HEIF": _check_heif,
}
