"""A picture's type is told by its content, and what its header promises is bounded before it is decoded."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ImageError, TooLarge, Unsupported
from core.imaging.headers import (
    MAX_CHUNKS,
    MAX_FILL,
    MAX_METADATA_CHUNKS,
    MAX_SCANS,
    check_header,
    check_size,
    identify,
)
from tests.pictures import (
    KINDS,
    jpeg_of_scans,
    jpeg_segment,
    jpeg_with,
    photo_bytes,
    png_chunk,
    png_with,
    webp_headers,
)

SIGNATURES = [photo_bytes(1, kind)[:16] for kind in KINDS]
HEADER_SECONDS = 3.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_type_is_told_by_its_first_bytes(kind):
    """Each of the eight types is known by its content."""
    data = photo_bytes(1, kind)

    assert identify(data) == kind


@pytest.mark.parametrize("brand", [b"isom", b"mp42", b"qt  ", b"crx ", b"M4V "])
def test_videos_are_no_pictures(brand):
    """A video or raw file in the same container as HEIC is refused."""
    data = b"\0\0\0\x18ftyp" + brand + bytes(4) + brand + b"mp41" + bytes(100)

    with pytest.raises(Unsupported):
        identify(data)


def test_a_heic_brand_may_stand_among_the_compatible_ones():
    """A file whose main brand is the general one is told by its other brands."""
    heads = {name: b"\0\0\0\x18ftypmif1" + bytes(4) + b"miaf" + name for name in (b"avif", b"heic")}

    assert {name: identify(head) for name, head in heads.items()} == {b"avif": "AVIF", b"heic": "HEIF"}


def test_nothing_is_not_a_picture():
    """An empty file is called empty."""
    with pytest.raises(Unsupported, match="empty"):
        identify(b"")


@given(signature=st.sampled_from([b"", *SIGNATURES]), rest=st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_bytes_have_a_type_or_an_error(signature, rest):
    """Whatever follows a signature, the checks pass or say what is wrong."""
    data = signature + rest

    with suppress(ImageError):
        check_header(identify(data), data)


@pytest.mark.parametrize(("width", "height"), [(10_000, 5_000), (20_000, 1), (1, 20_000), (1, 1)])
def test_sizes_up_to_the_limits_pass(width, height):
    """50 megapixels and 20,000 pixels a side are allowed."""
    check_size(width, height)


@pytest.mark.parametrize(("width", "height"), [(10_001, 5_000), (20_001, 1), (1, 20_001), (2**31, 2**31)])
def test_sizes_beyond_the_limits_are_refused(width, height):
    """One pixel beyond 50 megapixels or 20,000 a side is too much."""
    with pytest.raises(TooLarge, match=str(width)):
        check_size(width, height)


@pytest.mark.parametrize("kind", ["extended", "lossless", "lossy"])
def test_a_webp_tells_its_size_before_anything_is_allocated(kind):
    """The size in each kind of WebP header is checked, to the pixel."""
    allowed, refused = webp_headers(10_000, 5_000)[kind], webp_headers(10_001, 5_000)[kind]

    check_header("WEBP", allowed)
    with pytest.raises(TooLarge, match="10001 x 5000"):
        check_header("WEBP", refused)


@pytest.mark.parametrize("flags", [b"\0\0\0", b"\0\0\1"])
def test_a_size_box_is_found_whatever_its_length(flags):
    """An AVIF cannot hide its size behind an odd box length or flags."""
    data = b"\0\0\0\x18ispe\0" + flags + (30_000).to_bytes(4) * 2 + bytes(4)

    with pytest.raises(TooLarge):
        check_header("AVIF", data)


def test_scans_are_counted_to_the_limit():
    """64 scans are read, 65 are not."""
    check_header("JPEG", jpeg_of_scans(MAX_SCANS))
    with pytest.raises(TooLarge):
        check_header("JPEG", jpeg_of_scans(MAX_SCANS + 1))


def test_a_reserved_marker_hides_no_scans():
    """A reserved marker is skipped by libjpeg in a scan without a length, so nothing behind it may stay uncounted."""
    hiding = b"\xff\x02\xff\xff"

    with pytest.raises(TooLarge):
        check_header("JPEG", jpeg_of_scans(MAX_SCANS + 1, between=hiding))


def test_scans_inside_segments_do_not_count():
    """The thumbnail in a segment, with scans and an end of its own, is passed over."""
    thumbnail = photo_bytes(2, size=(60, 40))[:60_000]

    check_header("JPEG", jpeg_with(jpeg_segment(0xE1, thumbnail) * (MAX_SCANS + 1)))


def test_scans_after_the_end_do_not_count():
    """Data after the picture, a video or another picture, is ignored."""
    data = jpeg_with(b"") + jpeg_of_scans(MAX_SCANS + 1)

    check_header("JPEG", data)


def test_segments_are_counted_to_the_limit():
    """A JPEG of a thousand segments is refused, one of 900 read."""
    check_header("JPEG", jpeg_with(jpeg_segment(0xE5, b"x") * 900))
    with pytest.raises(TooLarge):
        check_header("JPEG", jpeg_with(jpeg_segment(0xE5, b"x") * MAX_METADATA_CHUNKS))


@pytest.mark.parametrize("fill", [b"\xff", b"\0"])
def test_fill_before_the_first_scan_is_limited(fill):
    """Fill bytes that Pillow reads one by one are allowed up to a limit."""
    check_header("JPEG", jpeg_with(fill * MAX_FILL))
    with pytest.raises(TooLarge):
        check_header("JPEG", jpeg_with(fill * (MAX_FILL + 1)))


@pytest.mark.parametrize(("name", "limit"), [(b"tEXt", MAX_METADATA_CHUNKS), (b"IDAT", MAX_CHUNKS)])
def test_png_chunks_are_counted_to_the_limit(name, limit):
    """Chunks of metadata, and of pixels, are read up to their limits."""
    others = 3  # the first, the pixels and the last

    check_header("PNG", png_with(png_chunk(name) * (limit - others)))
    with pytest.raises(TooLarge):
        check_header("PNG", png_with(png_chunk(name) * (limit + 1)))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("JPEG", b"\xff"),
        ("JPEG", b"\xff\0"),
        ("JPEG", b"\xff\xd0"),
        ("JPEG", b"\xff\xe5\0\0"),
        ("JPEG", b"\xff\xe5\0\2"),
        ("PNG", b"\0\0\0\0IDAT\0\0\0\0"),
        ("PNG", b"\xff\xff\xff\xff"),
        ("AVIF", b"ispe"),
        ("HEIF", b"\0\0\0\x14ispe\0\0\0\0\0\0\0\1\0\0\0\1"),
        ("WEBP", b"VP8X"),
    ],
)
def test_the_largest_file_is_checked_in_no_time(kind, body):
    """No content of 25 MB keeps the checks busy: they are linear, and stop at the limits."""
    data = (photo_bytes(1, kind)[:20] + body * (25_000_000 // len(body)))[:25_000_000]
    started = time.process_time()

    with suppress(TooLarge):
        check_header(kind, data)

    assert time.process_time() - started < HEADER_SECONDS
