"""The files that Telegram keeps: under an id for bots, under a path for downloads."""

import io
import re
import secrets
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from PIL import Image

# How file ids of each kind begin on the real server, and the folder of its downloads.
KINDS = {
    "photo": ("AgACAgIAAxkBAAI", "photos"),
    "document": ("BQACAgIAAxkBAAI", "documents"),
    "sticker": ("CAACAgIAAxkBAAI", "stickers"),
    "animation": ("CgACAgIAAxkBAAI", "animations"),
    "video": ("BAACAgIAAxkBAAI", "videos"),
    "video_note": ("DQACAgIAAxkBAAI", "video_notes"),
    "voice": ("AwACAgIAAxkBAAI", "voice"),
    "thumbnail": ("AAMCAgADGQEAAg", "thumbnails"),
}
# Telegram takes no photo of more width and height together, and here none is decoded.
LARGEST_SIDES = 10_000
SMALL_SIDES = (90, 320)
UNREADABLE_SIZE = (1280, 960)
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    RuntimeError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True)
class StoredFile:
    """One file; size is what Telegram says of it, which a test may have made up."""

    id: str
    unique_id: str
    path: str
    data: bytes
    size: int

    @property
    def raw(self) -> dict[str, Any]:
        return {"file_id": self.id, "file_unique_id": self.unique_id, "file_size": self.size}


@dataclass
class Files:
    """All files, never forgotten."""

    by_id: dict[str, StoredFile] = field(default_factory=dict)
    by_path: dict[str, StoredFile] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=count)

    def keep(self, data: bytes, *, kind: str, extension: str, size: int | None = None) -> StoredFile:
        """Keep a file and return it with the names it got."""
        beginning, folder = KINDS[kind]
        file = StoredFile(
            id=beginning + secrets.token_urlsafe(42),
            unique_id="AQAD" + secrets.token_urlsafe(9),
            path=f"{folder}/file_{next(self._numbers)}{extension and '.'}{extension}",
            data=data,
            size=len(data) if size is None else size,
        )
        self.by_id[file.id] = self.by_path[file.path] = file
        return file

    def photo_sizes(self, data: bytes, *, size: int | None = None) -> list[dict[str, Any]]:
        """Keep a photo and return its PhotoSizes, the smallest first and the data as given last.

        The real server makes a new JPEG of the largest too; here its bytes stay, so that a test knows them.
        """
        picture = open_picture(data)
        width, height = picture.size if picture else UNREADABLE_SIZE
        sides = [side for side in SMALL_SIDES if side < max(width, height)] if width + height <= LARGEST_SIDES else []
        small = [self._photo_size(_shrunk(picture, side) if picture else (data, (side, side))) for side in sides]
        return [*small, self._photo_size((data, (width, height)), size=size)]

    def thumbnail(self, data: bytes) -> dict[str, Any]:
        """Keep the small picture that stands for a document or a video, and return its PhotoSize."""
        picture = open_picture(data)
        return self._photo_size((data, picture.size if picture else (320, 320)), kind="thumbnail")

    def _photo_size(
        self, made: tuple[bytes, tuple[int, int]], *, kind: str = "photo", size: int | None = None
    ) -> dict[str, Any]:
        data, (width, height) = made
        file = self.keep(data, kind=kind, extension="jpg", size=size)
        return {**file.raw, "width": width, "height": height}


def extension_of(file_name: str) -> str:
    """Return what stands behind the last dot, if that may stand in a path."""
    match = re.search(r"\.([A-Za-z0-9]{1,10})$", file_name)
    return match.group(1).lower() if match else ""


def open_picture(data: bytes) -> Image.Image | None:
    """Return the picture, decoded unless it is too large, or nothing if Pillow can't read it."""
    try:
        picture = Image.open(io.BytesIO(data))
        if sum(picture.size) <= LARGEST_SIDES:
            picture.load()
    except UNREADABLE:
        return None
    return picture


def _shrunk(picture: Image.Image, side: int) -> tuple[bytes, tuple[int, int]]:
    small = picture.convert("RGB")
    small.thumbnail((side, side))
    output = io.BytesIO()
    small.save(output, "JPEG")
    return output.getvalue(), small.size
