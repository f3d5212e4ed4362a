"""The search, with real pictures, workers and databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from core.errors import Unreadable
from core.fingerprinting import VERSIONS
from core.index.deep_index import DeepIndex
from core.index.photo_index import PhotoIndex
from core.model import Change, FileStamp, Forget, Place, Relocate, Remember, SearchResult
from core.ranking import DHASH_RADIUS, PDQ_RADIUS
from core.search import SearchEngine
from core.storage.database import Database
from core.storage.store import Store
from core.workers import PhotoWorkers
from tests.pictures import encode, photo

ANNA, BOB = photo(1), photo(2)
BLACK = Image.new("RGB", (300, 300))


class Bench:
    """A store, and an engine that follows it."""

    def __init__(self, store: Store, workers: PhotoWorkers, cache: Path) -> None:
        self.store = store
        self.workers = workers
        self.cache = cache
        self.engine = self.new_engine()
        self.files = 0

    def new_engine(self) -> SearchEngine:
        index = PhotoIndex(
            self.cache, pdq_radius=PDQ_RADIUS, dhash_radius=DHASH_RADIUS, light_version=VERSIONS.light
        )
        return SearchEngine(self.workers, self.store, index, DeepIndex(self.cache, deep_version=VERSIONS.deep))

    async def remember(self, username: str, content: bytes) -> Remember:
        self.files += 1
        place = Place(username, f"{username}/{self.files}.jpg".encode())
        stamp = FileStamp(len(content), self.files, self.files, 1)
        change = Remember(place, stamp, await self.workers.fingerprint_bytes(content))
        await self.write(change)
        return change

    async def write(self, *changes: Change) -> None:
        async with self.store.writer():
            await self.store.write(changes)

    async def search(self, picture: Image.Image, **options: object) -> SearchResult:
        return await self.engine.search(encode(picture, "JPEG", **options))


@pytest.fixture
async def bench(store: Store, tmp_path: Path) -> AsyncIterator[Bench]:
    async with PhotoWorkers(1) as workers:
        yield Bench(store, workers, tmp_path / "cache")


def usernames(result: SearchResult) -> list[str]:
    return [match.username for match in result.matches]


async def test_the_same_file_is_found_as_identical(bench: Bench) -> None:
    """A query with the very bytes of an image is a match, sure, and called identical."""
    await bench.remember("anna", encode(ANNA, "JPEG"))
    await bench.remember("bob", encode(BOB, "JPEG"))

    result = await bench.search(ANNA)

    assert (result.verdict, usernames(result)) == ("match", ["anna"])
    assert (result.matches[0].confidence, result.matches[0].how) == (1.0, ("identical",))
    assert result.matches[0].images[0].path == "anna/1.jpg"
    assert (result.searched.images, result.searched.users, result.searched.revision) == (2, 2, 2)


@pytest.mark.parametrize(
    ("edit", "how"),
    [
        (lambda picture: picture.resize((300, 400)), ("recompressed",)),
        (lambda picture: picture.convert("L"), ("recompressed",)),
        (ImageOps.mirror, ("mirrored",)),
        (lambda picture: picture.transpose(Image.Transpose.ROTATE_270), ("rotated by about 90 degrees",)),
        (lambda picture: picture.transpose(Image.Transpose.ROTATE_180), ("rotated by about 180 degrees",)),
        (lambda picture: picture.transpose(Image.Transpose.ROTATE_90), ("rotated by about 270 degrees",)),
    ],
)
async def test_near_duplicates_are_found_and_explained(bench: Bench, edit, how: tuple[str, ...]) -> None:
    """Re-encoded, resized, grey, mirrored and turned copies are matches, and the words say what was done."""
    await bench.remember("anna", encode(ANNA, "JPEG"))
    await bench.remember("bob", encode(BOB, "JPEG"))

    result = await bench.search(edit(ANNA), quality=50)

    assert (result.verdict, usernames(result)) == ("match", ["anna"])
    assert result.matches[0].how == how
    assert 0.9 < result.matches[0].confidence < 1


async def test_every_owner_is_named_best_first(bench: Bench) -> None:
    """Several accounts with the photo are all named, the surest first, each once with all its images."""
    await bench.remember("zoe", encode(ANNA, "JPEG"))
    await bench.remember("anna", encode(ANNA, "JPEG", quality=40))
    await bench.remember("anna", encode(ANNA, "JPEG", quality=60))

    result = await bench.search(ANNA)

    assert usernames(result) == ["zoe", "anna"]
    assert [len(match.images) for match in result.matches] == [1, 2]


async def test_an_unknown_photo_names_nobody(bench: Bench) -> None:
    """A photo that nobody posted is answered with nothing, and with how much was searched."""
    await bench.remember("anna", encode(ANNA, "JPEG"))

    result = await bench.search(BOB)

    assert (result.verdict, result.matches, result.similar) == ("none", (), ())
    assert result.searched.images == 1


async def test_a_flat_picture_never_names_anybody(bench: Bench) -> None:
    """A black picture is unsearchable, even where an account posted the very same bytes."""
    await bench.remember("anna", encode(BLACK, "JPEG"))

    result = await bench.search(BLACK)

    assert (result.verdict, result.matches, result.similar) == ("unsearchable", (), ())


async def test_a_broken_query_is_an_image_error(bench: Bench) -> None:
    """A damaged query raises an ImageError, and the next one is answered."""
    await bench.remember("anna", encode(ANNA, "JPEG"))

    with pytest.raises(Unreadable):
        await bench.engine.search(encode(ANNA, "JPEG")[:3000])

    assert usernames(await bench.search(ANNA)) == ["anna"]


async def test_the_next_query_sees_what_others_wrote(bench: Bench, database_url: str) -> None:
    """A photo indexed, moved or removed through another connection is so in the next answer."""
    await bench.search(ANNA)
    other = Store(Database(database_url), VERSIONS)
    here, bench.store = bench.store, other
    change = await bench.remember("anna", encode(ANNA, "JPEG"))
    added = await bench.search(ANNA)
    image = (await here.record("anna"))[change.place.path]

    await bench.write(Relocate(image.image_id, Place("bob", b"bob/b.jpg"), image.stamp))
    moved = await bench.search(ANNA)
    await bench.write(Forget(b"bob/b.jpg"))
    removed = await bench.search(ANNA)
    await other.close()

    assert [usernames(result) for result in (added, moved, removed)] == [["anna"], ["bob"], []]


async def test_another_database_starts_from_nothing(bench: Bench, tmp_path: Path) -> None:
    """An engine whose store is another one now forgets what it knew of the first."""
    await bench.remember("anna", encode(ANNA, "JPEG"))
    await bench.search(ANNA)
    index = bench.engine._index
    other = Store(Database(f"sqlite:///{tmp_path / 'other.db'}"), VERSIONS)
    await other.create_schema()

    await index.follow(other)
    forgotten = len(index)
    await index.follow(bench.store)
    await other.close()

    assert (forgotten, len(index)) == (0, 1)
