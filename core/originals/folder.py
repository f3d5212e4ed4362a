"""Read originals from the dataset folder."""

import asyncio
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.dataset import Dataset
from core.errors import ImageError, PathError
from core.imaging.files import read_file, sha256_of
from core.model.matches import ReferenceImage


class PictureReader(Protocol):
    """Decoder of pictures."""

    async def colours(self, data: bytes, *, side: int) -> NDArray[np.uint8]: ...


class FolderOriginals:
    """The originals in a dataset folder, as its files are now."""

    def __init__(self, dataset: Dataset, reader: PictureReader) -> None:
        self._dataset = dataset
        self._reader = reader

    async def picture(self, image: ReferenceImage, *, side: int) -> NDArray[np.uint8] | None:
        """Return an original as (rows, columns, 3) uint8, the short side about `side` or less.

        None if the file is gone, cannot be read, or has other bytes by now.
        """
        try:
            file = await asyncio.to_thread(read_file, self._dataset.path_of(image.place.path))
            if sha256_of(file.data) == image.hashes.sha256:
                return await self._reader.colours(file.data, side=side)
        except (ImageError, PathError):
            pass
        return None
