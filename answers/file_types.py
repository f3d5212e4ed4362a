"""What a file is said to be, before it is downloaded."""

import mimetypes
from pathlib import PurePath

PICTURE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".heic", ".heif", ".avif", ".bmp", ".tif", ".tiff")
)
UNKNOWN_TYPES = frozenset(
    ("", "application/octet-stream", "binary/octet-stream", "application/force-download", "application/x-download")
)


def kind_of(name: str | None, declared: str | None) -> str:
    """Tell "image" from "video" and all else, by the type and name that the sender gave.

    A file of no known type may be an image: it is told by its content when it is here.
    """
    kind = (declared or "").lower().split(";")[0].strip()
    suffix = PurePath(name or "").suffix.lower()
    if kind in UNKNOWN_TYPES:
        if suffix in PICTURE_SUFFIXES:
            return "image"
        kind = mimetypes.guess_type(f"file{suffix}", strict=False)[0] or "image/unknown"
    return kind.split("/")[0]
