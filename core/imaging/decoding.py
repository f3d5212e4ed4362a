"""Bytes or a path -> upright grey pixels; the one reader for everything that comes from outside.

Nothing here trusts its input. It still belongs into a worker process that may die: see core/workers/pool.py.
The security page of Pillow's handbook is the threat model.
"""

import io
import struct
import warnings
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, ExifTags, Image, ImageCms

from core.errors import ImageError, TooLarge, Unreadable
from core.imaging.headers import check_header, check_size, identify

READER_VERSION = 1
"""Raised when the reader learns to read more, so that unreadable files are tried again."""
DECODE_SIDE = 256
"""Pixels of the short side that fingerprints are made from. A 1080 px JPEG takes 1.9 ms so, 5.3 ms at full size."""
MAX_PROFILE_BYTES = 4_000_000
"""Colour profiles of printers have up to 3 MB; a larger one is not looked at."""
MAX_PROFILES = 8
"""Kept ready: building a transform takes 2.4 ms, as long as decoding. Cameras and phones use a handful of profiles."""
WHITE = (255, 255, 255, 255)

COLOUR_MODES = {"RGB": "RGB", "RGBA": "RGB", "P": "RGB", "CMYK": "CMYK"}
"""The modes in which a colour profile counts, and the mode that each is brought to before."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by EXIF orientation; from 5 on width and height change places."""
FIRST_SIDEWAYS = 5
BROKEN_METADATA = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)
"""What Pillow raises where EXIF is broken."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A decoded picture: upright pixels (rows, columns) uint8, grey; width and height are those of the original."""

    pixels: NDArray[np.uint8]
    width: int
    height: int


def decode(data: bytes, *, side: int = DECODE_SIDE) -> Photo:
    """Decode a picture's first frame: upright, alpha on white, 16 bits scaled, wide gamut in sRGB, grey.

    The short side keeps at least `side` pixels, where it has them, and less than twice as many. Raises Unsupported,
    TooLarge or Unreadable, and nothing else whatever the bytes are.
    """
    return _decoded(data, side, "L")


def decode_colours(data: bytes, *, side: int) -> NDArray[np.uint8]:
    """Decode as `decode` does, and raise what it does, in colour: pixels (rows, columns, 3) uint8, sRGB."""
    return _decoded(data, side, "RGB").pixels


def _decoded(data: bytes, side: int, mode: Literal["L", "RGB"]) -> Photo:
    kind = identify(data)
    check_header(kind, data)
    _prepare_decoders()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(kind, data, side, mode)
    except ImageError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise TooLarge("The picture needs more memory than any photo does: send a smaller copy.") from error
    except Exception as error:  # decoders raise anything: SyntaxError, EOFError, KeyError were seen
        raise Unreadable(f"The {kind} picture is damaged and cannot be read: send another copy.") from error


@cache
def _prepare_decoders() -> None:
    """Register HEIC, and keep each decoder to one thread and to the picture itself.

    There is a worker for each core already. A thumbnail in the file, which pillow-heif prefers to a large picture,
    need not show the same.
    """
    import pillow_heif  # noqa: PLC0415 - 60 ms that a command without pictures does not owe

    pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def _decode(kind: str, data: bytes, side: int, mode: Literal["L", "RGB"]) -> Photo:
    with Image.open(io.BytesIO(data), formats=[kind]) as image:
        width, height = image.size
        check_size(width, height)
        to_srgb = _transform_of(image)
        image.draft(None if to_srgb else mode, (side, side))
        image.load()
        orientation = _orientation(image)
        upright = _flattened(_shrunk(_in_8_bits(image, side), side), to_srgb).convert(mode)
    if orientation in UPRIGHT:
        upright = upright.transpose(UPRIGHT[orientation])
    if orientation >= FIRST_SIDEWAYS:
        width, height = height, width
    return Photo(np.asarray(upright), width, height)


def _transform_of(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """Return what brings the picture's colours to sRGB, where they are others."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or len(profile) > MAX_PROFILE_BYTES or image.mode not in COLOUR_MODES:
        return None
    return _to_srgb(profile, COLOUR_MODES[image.mode])


@lru_cache(maxsize=MAX_PROFILES)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the transform of a profile to sRGB; None where none is needed or the profile is broken."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) where EXIF is absent or broken."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except BROKEN_METADATA:  # is no reason to refuse a whole picture
        return 1
    return orientation if isinstance(orientation, int) else 1


def _in_8_bits(image: Image.Image, side: int) -> Image.Image:
    """Scale samples of more bits to 8 bits and resolve palettes, keeping alpha."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        return Image.fromarray(_scaled(np.asarray(_shrunk(image, side), dtype=np.float32)))
    if image.mode == "LAB":
        return image.getchannel(0)
    if image.mode in {"L", "CMYK", "RGBA"} or (image.mode == "RGB" and not image.has_transparency_data):
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _scaled(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Bring integers and floats to 0..255 by the least range that holds them: 1, 8 bits, 16 bits, or their own."""
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).clip(min=0)
    top = float(samples.max(initial=0.0))
    scale = next((limit for limit in (1.0, 255.0, 65535.0) if top <= limit), top)
    return (samples * (255.0 / scale)).astype(np.uint8)


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    """Average whole blocks of pixels while the short side stays at least `side` long."""
    factor = min(image.size) // side
    return image.reduce(factor) if factor > 1 else image


def _flattened(image: Image.Image, to_srgb: ImageCms.ImageCmsTransform | None) -> Image.Image:
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image).convert("RGB")
    if to_srgb and to_srgb.input_mode == image.mode:
        image = to_srgb.apply(image)
    return image
