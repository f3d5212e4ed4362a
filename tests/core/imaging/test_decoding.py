"""The reader takes every odd photo, refuses everything else with a clear error, and is never harmed."""

import io
import os
import socket
import time
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from core.errors import ImageError, PathError, TooLarge, Unreadable, Unsupported
from core.imaging.decoding import Photo, decode
from core.imaging.files import MAX_BYTES, read_file, read_limited
from core.model.files import FileStamp
from core.model.fingerprints import PhotoHashes
from core.workers.tasks import hash_bytes
from tests.pictures import (
    KINDS,
    bombs,
    encode,
    jpeg_segment,
    jpeg_with,
    lying,
    photo,
    photo_bytes,
    png_chunk,
    png_of_16_bits,
    png_with,
    srgb_profile,
    swapped_profile,
)

BOMBS = bombs()
BOMB_SECONDS = 3.0
SAME, NEAR = 4, 20
"""Bits of PDQ: the same pixels but for rounding, and the same picture."""
RICH_KINDS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF")
EXOTIC = ("PPM", "EPS", "ICO", "TGA", "PCX", "SGI", "DDS", "JPEG2000", "ICNS", "PDF")


def bits_apart(one: PhotoHashes, other: PhotoHashes) -> int:
    return (int.from_bytes(one.pdq) ^ int.from_bytes(other.pdq)).bit_count()


def distance(data: bytes, image: Image.Image) -> int:
    """Count the bits between a file and what it should look like."""
    return bits_apart(hash_bytes(data), hash_bytes(encode(image, "BMP")))


# Types and modes


@pytest.mark.parametrize("kind", KINDS)
def test_each_type_is_read_whatever_its_name(tmp_path, kind):
    """The eight types are read by their content from a file without extension, and look as the original."""
    path = tmp_path / "photo"
    path.write_bytes(photo_bytes(1, kind))

    data = read_file(bytes(path)).data

    assert distance(data, photo(1)) <= NEAR
    assert (decode(data).width, decode(data).height) == (400, 300)


@pytest.mark.parametrize("kind", [*EXOTIC, "PSD", "SVG"])
def test_other_types_are_refused_whatever_their_name(tmp_path, kind):
    """Other types that Pillow or its helpers could open are not opened, not even with a .jpg name."""
    written = {"PSD": b"8BPS\0\1" + bytes(200), "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}
    path = tmp_path / "photo.jpg"
    path.write_bytes(written.get(kind) or encode(photo(1, (64, 64)), kind))

    with pytest.raises(Unsupported, match="JPEG"):
        decode(read_file(bytes(path)).data)


def modes() -> dict[str, bytes]:
    """Encode one grey picture in every mode."""
    grey, colour = photo(3).convert("L"), photo(3).convert("L").convert("RGB")
    low_bytes = np.random.default_rng(1).integers(0, 256, np.asarray(grey).shape).astype(np.uint16)
    samples = np.asarray(grey).astype(np.uint16) * 256 + low_bytes
    lab = ImageCms.profileToProfile(
        colour, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    return {
        "grey": encode(grey, "PNG"),
        "grey and alpha": encode(grey.convert("LA"), "PNG"),
        "palette": encode(grey.convert("P"), "PNG"),
        "palette with transparency": encode(grey.quantize(256), "PNG", transparency=bytes([255] * 256)),
        "RGB": encode(colour, "PNG"),
        "RGBA": encode(colour.convert("RGBA"), "PNG"),
        "RGBA WebP": encode(colour.convert("RGBA"), "WEBP", lossless=True),
        "CMYK JPEG, inverted as Adobe does": encode(colour.convert("CMYK"), "JPEG", quality=95),
        "CMYK TIFF": encode(colour.convert("CMYK"), "TIFF"),
        "16-bit PNG": encode(Image.fromarray(samples), "PNG"),
        "16-bit TIFF": encode(Image.fromarray(samples), "TIFF"),
        "16-bit TIFF, big-endian": encode(Image.frombytes("I;16B", grey.size, samples.astype(">u2").tobytes()), "TIFF"),
        "16-bit RGB PNG": png_of_16_bits(np.repeat(samples[:, :, None], 3, axis=2)),
        "32-bit TIFF": encode(Image.fromarray(samples.astype(np.int32)), "TIFF"),
        "float TIFF from 0 to 1": encode(Image.fromarray(samples.astype(np.float32) / 65535), "TIFF"),
        "float TIFF from 0 to 255": encode(Image.fromarray(np.asarray(grey).astype(np.float32)), "TIFF"),
        "BigTIFF": encode(colour, "TIFF", big_tiff=True),
        "progressive JPEG": encode(colour, "JPEG", progressive=True, quality=95),
        "JPEG in TIFF": encode(colour, "TIFF", compression="jpeg", quality=95),
        "LAB TIFF": encode(lab, "TIFF"),
    }


MODES = modes()


@pytest.mark.parametrize("name", MODES)
def test_each_mode_shows_the_same_picture(name):
    """However its samples are stored, a picture has the fingerprint of its 8-bit grey version."""
    is_lossy = any(word in name for word in ("JPEG", "LAB", "palette"))

    assert distance(MODES[name], photo(3).convert("L")) <= (NEAR if is_lossy else SAME)


def test_a_black_and_white_picture_is_read():
    """One bit a pixel is enough to be compared."""
    image = photo(1).convert("1")

    assert distance(encode(image, "PNG"), image.convert("L")) == 0
    assert distance(encode(image, "TIFF", compression="group4"), image.convert("L")) == 0


def test_floats_that_are_no_numbers_are_black():
    """A float picture with infinities and missing values is read all the same."""
    samples = np.asarray(photo(1).convert("L")).astype(np.float32)
    samples[:4] = np.array([np.nan, np.inf, -np.inf, -5.0])[:, None]

    assert distance(encode(Image.fromarray(samples), "TIFF"), photo(1)) <= NEAR


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF", "MPO"])
def test_the_first_frame_counts(kind):
    """Of an animation, of pages, or of a camera's pair of pictures, the first is read."""
    data = encode(photo(1), kind, save_all=True, append_images=[photo(2), photo(3)])

    assert distance(data, photo(1)) <= NEAR


# Upright


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", RICH_KINDS)
def test_a_picture_is_read_upright(kind, orientation):
    """Each of the eight EXIF orientations gives the upright picture, its width and its height."""
    upright = photo(1, (480, 300))
    stored, exif = lying(upright, orientation)

    data = encode(stored, kind, exif=exif)

    assert (decode(data).width, decode(data).height) == (480, 300)
    assert distance(data, upright) <= NEAR


def test_broken_exif_is_passed_over():
    """A picture with damaged metadata is read as it lies."""
    data = encode(photo(1), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")

    assert distance(data, photo(1)) <= NEAR


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_is_passed_over(orientation):
    """An orientation that does not exist leaves the picture as it lies."""
    exif = Image.Exif()
    exif[0x0112] = orientation

    assert distance(encode(photo(1), "JPEG", exif=exif), photo(1)) <= NEAR


# Transparency


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "HEIF", "TIFF"])
def test_alpha_lies_on_white(kind):
    """Transparent areas show white, as chats show them, and not the colours hidden below."""
    image = photo(1)
    mask = photo(2).convert("L")
    image.putalpha(mask)
    seen = Image.composite(photo(1), Image.new("RGB", image.size, "white"), mask)

    assert distance(encode(image, kind), seen) <= NEAR


def test_a_transparent_palette_entry_lies_on_white():
    """The transparent colour of a GIF shows white."""
    image = photo(1).quantize(16)
    seen = np.asarray(image.convert("RGB")).copy()
    seen[np.asarray(image) == 0] = 255

    for kind in ("GIF", "PNG"):
        assert distance(encode(image, kind, transparency=0), Image.fromarray(seen)) <= SAME


def test_a_transparent_colour_lies_on_white():
    """The one colour that an RGB picture declares transparent shows white."""
    image = Image.new("RGB", (400, 300), "black")
    image.paste(photo(1, (200, 300)))
    seen = Image.new("RGB", (400, 300), "white")
    seen.paste(photo(1, (200, 300)))

    assert distance(encode(image, "PNG", transparency=(0, 0, 0)), seen) <= NEAR


# Colour profiles


@pytest.mark.parametrize("kind", RICH_KINDS)
def test_a_colour_profile_counts(kind):
    """A picture whose profile swaps red and green looks like the swapped picture, not like its numbers."""
    red, green, blue = photo(4).split()
    red, green = green.point(lambda value: value // 3), red
    stored, seen = Image.merge("RGB", (red, green, blue)), Image.merge("RGB", (green, red, blue))

    data = encode(stored, kind, icc_profile=swapped_profile())

    assert bits_apart(hash_bytes(encode(stored, kind)), hash_bytes(data)) > NEAR
    assert distance(data, seen) <= NEAR


@pytest.mark.parametrize(
    "profile", [srgb_profile(), b"", b"broken", srgb_profile()[:300], swapped_profile().ljust(5_000_000, b"\0")]
)
def test_a_needless_or_broken_profile_changes_nothing(profile):
    """An sRGB profile, a damaged and a huge one leave the picture as it is."""
    with_profile = decode(encode(photo(1), "WEBP", icc_profile=profile))

    assert np.array_equal(with_profile.pixels, decode(encode(photo(1), "WEBP")).pixels)


@pytest.mark.parametrize("mode", ["L", "LA", "CMYK", "1", "P", "RGBA"])
def test_a_profile_of_another_mode_is_survived(mode):
    """A profile for RGB in a picture of another mode does no harm."""
    kind = "TIFF" if mode == "CMYK" else "PNG"

    photo_of_mode = decode(encode(photo(1).convert(mode), kind, icc_profile=swapped_profile()))

    assert (photo_of_mode.width, photo_of_mode.height) == (400, 300)


# Limits


def test_25_megabytes_are_read_and_not_a_byte_more(tmp_path):
    """A file up to the limit is read whole; one byte more is refused, from a file and from a stream."""
    path = tmp_path / "photo.jpg"
    allowed = photo_bytes(1).ljust(MAX_BYTES, b"\0")
    path.write_bytes(allowed)

    data = read_file(bytes(path)).data
    os.truncate(path, MAX_BYTES + 1)

    assert data == read_limited(io.BytesIO(allowed)) == allowed
    assert decode(data).width == 400
    with pytest.raises(TooLarge, match="25 MB"):
        read_file(bytes(path))
    with pytest.raises(TooLarge, match="25 MB"):
        read_limited(io.BytesIO(allowed + b"\0"))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "BMP"])
@pytest.mark.parametrize("size", [(10_000, 5_000), (5_000, 10_000), (20_000, 9), (9, 20_000)])
def test_pictures_up_to_the_limits_are_read(kind, size):
    """50 megapixels and 20,000 pixels a side are read."""
    data = encode(Image.new("1", size), kind)

    assert (decode(data).width, decode(data).height) == size


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "BMP", "JPEG"])
@pytest.mark.parametrize("size", [(10_001, 5_000), (20_001, 9), (9, 20_001)])
def test_pictures_beyond_the_limits_are_refused(kind, size):
    """A row of pixels more is refused, with the size and the limit."""
    data = encode(Image.new("L" if kind == "JPEG" else "1", size), kind)

    with pytest.raises(TooLarge, match=f"{size[0]} x {size[1]}"):
        decode(data)


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_at_once(name):
    """A small file that asks for gigabytes or minutes gets an error before it gets them."""
    data = BOMBS[name]()
    started = time.process_time()

    with pytest.raises(TooLarge, match=r"send|Send"):
        decode(data)

    assert time.process_time() - started < BOMB_SECONDS


def test_compressed_metadata_does_not_unfold():
    """Texts and profiles of a PNG that unfold to gigabytes are refused or left folded."""
    zeros = encode(Image.new("L", (20_000, 2_000)), "PNG").split(b"IDAT")[1][:-8]
    data = png_with((png_chunk(b"zTXt", b"a\0\0" + zeros) + png_chunk(b"iCCP", b"a\0\0" + zeros)) * 400)

    with pytest.raises(ImageError):
        decode(data)


# What real photos carry


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "tail", [b"\0" * 5, b"\0\0\0\x18ftypmp42" + b"\xff\xda\xff\xd9" * 1_000_000, os.urandom(4_000_000)]
)
def test_what_follows_the_picture_does_not_matter(kind, tail):
    """A motion photo, with a video or anything else after the end of the picture, is the picture."""
    data = photo_bytes(1, kind)

    if kind in {"AVIF", "HEIF"}:
        tail = len(tail + bytes(8)).to_bytes(4) + b"free" + tail

    assert np.array_equal(decode(data + tail).pixels, decode(data).pixels)


def test_large_metadata_does_not_matter():
    """Megabytes of XMP and camera notes before the picture are passed over."""
    segments = jpeg_segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + os.urandom(60_000)) * 100

    assert np.array_equal(decode(jpeg_with(segments)).pixels, decode(jpeg_with(b"")).pixels)


def test_a_thumbnail_in_a_jpeg_is_not_the_picture():
    """The small picture in a JPEG's EXIF data, which may show something else, is not looked at."""
    thumbnail = jpeg_segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + photo_bytes(2, size=(160, 120)))

    assert np.array_equal(decode(jpeg_with(thumbnail)).pixels, decode(jpeg_with(b"")).pixels)


def test_a_thumbnail_in_a_heic_is_not_the_picture():
    """The small picture in a HEIC, which may show something else, is not decoded in place of the large one."""
    image = photo(1, (800, 600))

    without, with_thumbnail = encode(image, "HEIF"), encode(image, "HEIF", thumbnails=[400])

    assert len(with_thumbnail) > len(without)
    assert np.array_equal(decode(with_thumbnail).pixels, decode(without).pixels)


# Damage


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_file_is_damaged(kind):
    """A file that was cut off is refused as damaged, never matched by its upper half."""
    data = photo_bytes(1, kind)

    with pytest.raises(Unreadable, match="damaged"):
        decode(data[: len(data) // 2])


@given(kind=st.sampled_from(KINDS), keep=st.integers(0, 64), rest=st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_photo_or_an_error(kind, keep, rest):
    """Whatever follows a valid beginning, the reader gives a photo or an ImageError and nothing else."""
    data = photo_bytes(1, kind, (24, 16))[:keep] + rest

    with suppress(ImageError):
        assert isinstance(decode(data), Photo)


@given(
    kind=st.sampled_from(KINDS),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_any_damage_gives_a_photo_or_an_error(kind, changes):
    """Whatever bytes of a picture are changed, the reader gives a photo or an ImageError and nothing else."""
    data = bytearray(photo_bytes(1, kind, (48, 32)))
    for place, value in changes:
        data[int(place * place * len(data))] = value

    with suppress(ImageError):
        assert isinstance(decode(bytes(data)), Photo)


# Files


def test_a_file_comes_with_its_stamp(tmp_path):
    """A file that is read carries the stamp that the disk shows for it."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"some bytes")

    file = read_file(bytes(path))

    assert (file.data, file.stamp) == (b"some bytes", FileStamp.of(path.stat()))


def test_an_empty_file_is_read_and_refused(tmp_path):
    """An empty file is told as such."""
    path = tmp_path / "photo.jpg"
    path.touch()

    with pytest.raises(Unsupported, match="empty"):
        decode(read_file(bytes(path)).data)


@pytest.mark.parametrize("name", [b"absent.jpg", b"file/below.jpg"])
def test_an_absent_file_is_a_wrong_path(tmp_path, name):
    """A missing file is a fault of the path, not of a picture."""
    (tmp_path / "file").touch()

    with pytest.raises(PathError):
        read_file(bytes(tmp_path) + b"/" + name)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path):
    """A FIFO, a socket, a folder and a device are refused at once, and nothing stays open."""
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    before = len(os.listdir("/proc/self/fd"))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.jpg"))
        for path in [*tmp_path.iterdir(), "/dev/zero", "/dev/null"]:
            with pytest.raises(Unsupported, match="not a regular file"):
                read_file(os.fsencode(path))

    assert len(os.listdir("/proc/self/fd")) == before


def test_links_are_followed_only_where_asked(tmp_path):
    """A link in the dataset may lead anywhere, so it is refused; a person may name one."""
    (tmp_path / "photo.jpg").write_bytes(b"x")
    link = tmp_path / "link.jpg"
    link.symlink_to("photo.jpg")

    with pytest.raises(Unsupported, match="link"):
        read_file(bytes(link))
    assert read_file(bytes(link), follow_links=True).data == b"x"


def test_a_sparse_file_is_refused_unread(tmp_path):
    """A file of 20 GiB that takes no room on the disk is refused by its size."""
    path = tmp_path / "photo.jpg"
    path.touch()
    os.truncate(path, 20 << 30)

    with pytest.raises(TooLarge, match="25 MB"):
        read_file(bytes(path))
