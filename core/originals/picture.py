"""Find the picture of an indexed photo for display: its original, or the thumbnail in the store."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.fingerprints.features import opened
from core.model.matches import ReferenceImage
from core.search.ports import PhotoLookup


class Originals(Protocol):
    """Source of the originals of indexed images."""

    async def picture(self, image: ReferenceImage, *, side: int) -> NDArray[np.uint8] | None:
        """Return an original, (rows, columns, 3) uint8, the short side about `side` or less; None if it is gone."""


async def reference_picture(
    photos: PhotoLookup, originals: Originals, photo_id: int, *, username: str, side: int
) -> NDArray[np.uint8] | None:
    """Return an account's image of this photo, (rows, columns, 3) uint8, the short side about `side` or less.

    None if the account no longer has it, or if neither original nor thumbnail is available. Raises StoreError.
    """
    owned = [image for image in await photos.find_references([photo_id]) if image.place.username == username]
    for image in owned:
        if (pixels := await originals.picture(image, side=side)) is not None:
            return pixels
    kept = await photos.read_features([photo_id]) if owned else {}
    return np.repeat(opened(kept[photo_id].thumbnail)[:, :, None], 3, axis=2) if photo_id in kept else None
