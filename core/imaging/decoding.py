"""Decode untrusted pictures into upright pixels: the only decoder for everything that comes from outside.

Nothing here trusts its input. Still, run it in a worker process that may die: see core/workers/pool.py. The threat
model is the security page of Pillow's handbook.
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
"""Increase it when the reader learns to read more, so that unreadable files are tried again."""
DECODE_SIDE = 256
"""Short side in pixels for fingerprints. A JPEG of 1080 px takes 1.9 ms this way, 5.3 ms at full size."""
MAX_PROFILE_BYTES = 4_000_000
"""Colour profiles of printers have up to 3 MB; a larger one is ignored."""
MAX_PROFILES = 8
"""Cached transforms: building one takes 2.4 ms, as long as decoding. Cameras and phones use only a few profiles."""
WHITE = (255, 255, 255, 255)

COLOUR_MODES = {"RGB": "RGB", "RGBA": "RGB", "P": "RGB", "CMYK": "CMYK"}
"""The modes in which a colour profile applies, and the mode that each is converted to first."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that turns a picture upright, by EXIF orientation; from 5 on it swaps width and height."""
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
"""The exceptions that Pillow raises for broken EXIF."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A decoded picture."""

    pixels: NDArray[np.uint8]
    """Upright grey pixels, (rows, columns) uint8."""
    width: int
    """Of the original, upright, in pixels."""
    height: int
    """Of the original, upright, in pixels."""


def decode(data: bytes, *, side: int = DECODE_SIDE) -> Photo:
    """Decode a picture's first frame: upright, alpha on white, 16 bits scaled to 8, wide gamut in sRGB, grey.

    The short side keeps at least `side` pixels, if it has as many, and less than twice as many. Raises Unsupported,
    TooLarge or Unreadable, and nothing else whatever the bytes are.
    """
    return _decoded(data, side, "L")


def decode_colours(data: bytes, *, side: int) -> NDArray[np.uint8]:
    """Decode like `decode`, with the same errors, but in colour: pixels (rows, columns, 3) uint8, sRGB."""
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
    except Exception as error:  # decoders raise anything: SyntaxError, EOFError and KeyError were seen
        raise Unreadable(f"The {kind} picture is damaged and cannot be read: send another copy.") from error


@cache
def _prepare_decoders() -> None:
    """Register HEIC, and limit each decoder to one thread and to the main picture.

    Each core already has a worker. pillow-heif would prefer an embedded thumbnail to a large picture, but a thumbnail
    may show something else.
    """
    import pillow_heif  # noqa: PLC0415 - takes 60 ms, which commands without pictures need not spend

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
    """Return the transform of the picture's colours to sRGB; None if it needs none."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or len(profile) > MAX_PROFILE_BYTES or image.mode not in COLOUR_MODES:
        return None
    return _to_srgb(profile, COLOUR_MODES[image.mode])


@lru_cache(maxsize=MAX_PROFILES)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the transform of a profile to sRGB; None if none is needed or the profile is broken."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1 (upright) if EXIF is absent or broken."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except BROKEN_METADATA:  # no reason to refuse the whole picture
        return 1
    return orientation if isinstance(orientation, int) else 1


def _in_8_bits(image: Image.Image, side: int) -> Image.Image:
    """Scale samples to 8 bits and resolve palettes, keeping alpha."""
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
    """Scale numbers to 0..255 by the smallest range that holds them: 1, 8 bits, 16 bits, or their own maximum."""
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
