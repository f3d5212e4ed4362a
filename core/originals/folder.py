"""The picture of a reference image, to be shown: from its file, or its thumbnail where that is gone."""

import asyncio
import os
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import ImageError, PathError
from core.fingerprints.features import opened
from core.imaging.decoding import read_file, sha256_of
from core.model.fingerprints import PhotoFeatures
from core.model.matches import ReferenceImage


class PhotoLookup(Protocol):
    """The store, as far as pictures are shown from it."""

    async def references(self, photo_ids: Collection[int]) -> list[ReferenceImage]: ...

    async def features(self, photo_ids: Collection[int]) -> dict[int, PhotoFeatures]: ...


class PictureReader(Protocol):
    """What decodes pictures."""

    async def colours(self, data: bytes, *, side: int) -> NDArray[np.uint8]: ...


async def reference_picture(
    store: PhotoLookup, reader: PictureReader, root: Path, photo_id: int, *, username: str, side: int
) -> NDArray[np.uint8] | None:
    """Return an account's image with this fingerprint, (rows, columns, 3) uint8, the short side about `side` or less.

    None where the account has it no more, or neither file nor thumbnail is to be had. Raises StoreError.
    """
    owned = [image for image in await store.references([photo_id]) if image.place.username == username]
    for image in owned:
        try:
            file = await asyncio.to_thread(read_file, os.path.join(os.fsencode(root), image.place.path))
            if sha256_of(file.data) == image.hashes.sha256:
                return await reader.colours(file.data, side=side)
        except (ImageError, PathError):
            continue
    kept = await store.features([photo_id]) if owned else {}
    return np.repeat(opened(kept[photo_id].thumbnail)[:, :, None], 3, axis=2) if photo_id in kept else None
