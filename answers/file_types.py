"""Tell the kind of a file by its declared type and name, before it is downloaded."""

import mimetypes
from pathlib import PurePath

PICTURE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".heic", ".heif", ".avif", ".bmp", ".tif", ".tiff")
)
UNKNOWN_TYPES = frozenset(
    ("", "application/octet-stream", "binary/octet-stream", "application/force-download", "application/x-download")
)


def kind_of(name: str | None, declared: str | None) -> str:
    """Return the kind of a file, such as "image" or "video", by the type and name that the sender declared.

    A file of unknown type counts as an image: its content decides once it is downloaded.
    """
    kind = (declared or "").lower().split(";")[0].strip()
    suffix = PurePath(name or "").suffix.lower()
    if kind in UNKNOWN_TYPES:
        if suffix in PICTURE_SUFFIXES:
            return "image"
        kind = mimetypes.guess_type(f"file{suffix}", strict=False)[0] or "image/unknown"
    return kind.split("/")[0]
