"""Pictures of matches: newly encoded, within what chats show, and none of an account that has it no more."""

import io
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from answers.match_pictures import MatchPictures
from core.dataset import Dataset
from core.fingerprints.features import photo_features
from core.fingerprints.hashes import photo_hashes
from core.imaging.decoding import decode, decode_colours
from core.imaging.files import sha256_of
from core.model.files import Place
from core.model.fingerprints import PhotoFeatures
from core.model.matches import ReferenceImage
from core.originals.folder import FolderOriginals
from tests.pictures import encode, photo

FILE = encode(photo(1), "JPEG")


class Reader:
    """Decodes in this process: the pictures are our own."""

    async def colours(self, data: bytes, *, side: int) -> NDArray[np.uint8]:
        return decode_colours(data, side=side)


class OnePhoto:
    """A store of one image."""

    def __init__(self, data: bytes) -> None:
        photo = decode(data)
        place = Place("anna", b"anna/1.jpg")
        self.image = ReferenceImage(7, place, photo_hashes(photo, sha256_of(data)))
        self.kept = photo_features(photo)

    async def find_photo_id(self, sha256: bytes) -> int | None:
        return 7 if sha256 == self.image.hashes.sha256 else None

    async def find_references(self, photo_ids: Collection[int]) -> list[ReferenceImage]:
        return [self.image] if 7 in photo_ids else []

    async def read_features(self, photo_ids: Collection[int]) -> dict[int, PhotoFeatures]:
        return {7: self.kept} if 7 in photo_ids else {}


def shown_from(root: Path, data: bytes) -> MatchPictures:
    return MatchPictures(OnePhoto(data), FolderOriginals(Dataset(root), Reader()))


def put(root: Path, data: bytes) -> None:
    (root / "anna").mkdir()
    (root / "anna/1.jpg").write_bytes(data)


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "JPEG"
    return picture


async def test_the_file_is_shown_newly_encoded(tmp_path: Path) -> None:
    """What is shown is a picture of its own, without whatever else the file holds."""
    put(tmp_path, FILE)

    shown = await shown_from(tmp_path, FILE).picture(7, ["anna"])

    assert opened(shown).size == (400, 300)
    assert shown != FILE


@pytest.mark.parametrize("content", [None, encode(photo(2), "JPEG"), b"broken"], ids=["gone", "another", "broken"])
async def test_the_thumbnail_stands_in_for_a_file_that_changed(tmp_path: Path, content: bytes | None) -> None:
    """Where the file is gone, or is another one by now, the small grey copy is shown."""
    if content is not None:
        put(tmp_path, content)

    shown = opened(await shown_from(tmp_path, FILE).picture(7, ["anna"]))

    assert max(shown.size) < 300
    grey = np.asarray(shown.convert("RGB"), np.int16)
    assert np.abs(grey[:, :, 0] - grey[:, :, 2]).max() <= 4


@pytest.mark.parametrize(("photo_id", "owners"), [(7, ["bob"]), (8, ["anna"]), (7, [])])
async def test_nothing_is_shown_of_who_has_it_not(tmp_path: Path, photo_id: int, owners: list[str]) -> None:
    """An image is shown for its account only, and only while it has it."""
    put(tmp_path, FILE)

    assert await shown_from(tmp_path, FILE).picture(photo_id, owners) is None


async def test_an_extreme_shape_is_shown_with_margins(tmp_path: Path) -> None:
    """Chats refuse photos whose sides differ by 20 and more."""
    strip = encode(photo(3, (3000, 40)), "PNG")
    put(tmp_path, strip)

    width, height = opened(await shown_from(tmp_path, strip).picture(7, ["anna"])).size

    assert width / height < 20
    assert width + height < 10_000
