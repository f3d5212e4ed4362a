"""Encode pictures of matches to be shown in a chat."""

import asyncio
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from core.originals.picture import Originals, reference_picture
from core.search.ports import PhotoLookup

SHOWN_SIDE = 720
"""Pixels of the short side: as much of a 1080 px photo as a phone shows."""
LONGEST_SIDE = 2_560
LARGEST_RATIO = 16
"""Of the long side to the short one: Telegram refuses photos beyond 20, so these are shown with margins."""
QUALITY = 85


class MatchPictures:
    """A source of reference images, encoded anew: only pixels leave the host, no other content of the file."""

    def __init__(self, photos: PhotoLookup, originals: Originals) -> None:
        self._photos = photos
        self._originals = originals

    async def picture(self, photo_id: int, usernames: Sequence[str]) -> bytes | None:
        """Return the image from one of these accounts as a JPEG; None if none has it any more. Raises StoreError."""
        for username in usernames:
            pixels = await reference_picture(
                self._photos, self._originals, photo_id, username=username, side=SHOWN_SIDE
            )
            if pixels is not None:
                return await asyncio.to_thread(_encoded, pixels)
        return None


def _encoded(pixels: NDArray[np.uint8]) -> bytes:
    picture, file = Image.fromarray(pixels), io.BytesIO()
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    if max(picture.size) > LARGEST_RATIO * min(picture.size):
        least = max(picture.size) // LARGEST_RATIO
        picture = ImageOps.pad(picture, (max(picture.width, least), max(picture.height, least)))
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
