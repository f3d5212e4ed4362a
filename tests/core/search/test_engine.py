"""The search, with real pictures, workers and databases."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from core.errors import Unreadable
from core.index.feature_index import FeatureIndex
from core.index.hash_index import HashIndex
from core.matching.ranking import DHASH_RADIUS, PDQ_RADIUS
from core.model.files import FileStamp, Place
from core.model.matches import SearchResult
from core.model.records import Change, MoveImage, PutFeatures, PutImage, RemoveFile
from core.search.engine import SearchEngine
from core.storage.database import Database
from core.storage.store import Store
from core.workers.pool import PhotoWorkers
from core.workers.tasks import VERSIONS
from tests.pictures import encode, photo

ANNA, BOB = photo(1), photo(2)
BLACK = Image.new("RGB", (300, 300))


class Bench:
    """A store, and an engine that follows it."""

    def __init__(self, store: Store, workers: PhotoWorkers, cache: Path) -> None:
        self.store = store
        self.workers = workers
        self.cache = cache
        self.folder = cache.with_name("files")
        self.engine = self.new_engine()
        self.files = 0

    def new_engine(self) -> SearchEngine:
        index = HashIndex(self.cache, pdq_radius=PDQ_RADIUS, dhash_radius=DHASH_RADIUS, hashes_version=VERSIONS.hashes)
        feature_index = FeatureIndex(self.cache, features_version=VERSIONS.features)
        changes = self.store.changes
        return SearchEngine(self.workers, self.store, changes, hash_index=index, feature_index=feature_index)

    async def remember(self, username: str, content: bytes) -> PutImage:
        self.files += 1
        place = Place(username, f"{username}/{self.files}.jpg".encode())
        stamp = FileStamp(len(content), self.files, self.files, 1)
        change = PutImage(place, stamp, await self.workers.hash_bytes(content))
        self.folder.mkdir(exist_ok=True)
        (self.folder / str(place).replace("/", "-")).write_bytes(content)
        await self.write(change)
        return change

    async def add_features(self) -> None:
        """Give every fingerprint its features."""
        for entry in await self.store.list_backlog(after=0, limit=100):
            path = self.folder / str(entry.place).replace("/", "-")
            await self.write(
                PutFeatures(
                    entry.photo_id, entry.place.path, (await self.workers.extract_features(bytes(path))).features
                )
            )

    async def write(self, *changes: Change) -> None:
        async with self.store.hold_lock():
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
    image = (await here.read_images("anna"))[change.place.path]

    await bench.write(MoveImage(image.image_id, Place("bob", b"bob/b.jpg"), image.stamp))
    moved = await bench.search(ANNA)
    await bench.write(RemoveFile(b"bob/b.jpg"))
    removed = await bench.search(ANNA)
    await other.close()

    assert [usernames(result) for result in (added, moved, removed)] == [["anna"], ["bob"], []]


async def test_another_database_starts_from_nothing(bench: Bench, tmp_path: Path) -> None:
    """An engine whose store is another one now forgets what it knew of the first."""
    await bench.remember("anna", encode(ANNA, "JPEG"))
    await bench.search(ANNA)
    index = bench.engine._hash_index
    other = Store(Database(f"sqlite:///{tmp_path / 'other.db'}"), VERSIONS)
    await other.schema.create()

    await index.follow(other.changes)
    forgotten = index.size
    await index.follow(bench.store.changes)
    await other.close()

    assert (forgotten, index.size) == (0, 1)


PHOTOS = {name: photo(seed, (600, 750)) for seed, name in enumerate(("anna", "bob", "cara", "dora", "ella"), start=40)}


@pytest.fixture
async def indexed(bench: Bench) -> Bench:
    """Five accounts with a photo each, all with features."""
    for name, picture in PHOTOS.items():
        await bench.remember(name, encode(picture, "JPEG"))
    await bench.add_features()
    return bench


def collage(*names: str) -> Image.Image:
    sheet = Image.new("RGB", (500 * len(names), 625), "white")
    for column, name in enumerate(names):
        sheet.paste(PHOTOS[name].resize((500, 625)), (500 * column, 0))
    return sheet


async def test_a_part_of_a_photo_is_found(indexed: Bench) -> None:
    """A crop is a match, with the words and the place for it, and nobody else is named."""
    result = await indexed.search(PHOTOS["cara"].crop((100, 200, 500, 600)), quality=60)

    assert (result.verdict, usernames(result)) == ("match", ["cara"])
    assert result.matches[0].how == ("cropped to about 36 %",)
    placement = result.matches[0].images[0].placement
    assert placement is not None
    assert placement.visible == pytest.approx(0.36, abs=0.02)


async def test_a_mirrored_and_turned_part_is_explained_as_a_whole_one_is(indexed: Bench) -> None:
    """A mirrored, turned crop, found by features, gets the same words as the whole, found by hashes."""
    edited = ImageOps.mirror(PHOTOS["bob"]).transpose(Image.Transpose.ROTATE_270)

    whole = await indexed.search(edited)
    part = await indexed.search(edited.crop((0, 0, 560, 480)))

    assert whole.matches[0].how == ("mirrored", "rotated by about 90 degrees")
    assert usernames(part) == ["bob"]
    assert part.matches[0].how[:2] == whole.matches[0].how


async def test_every_member_of_a_collage_is_named(indexed: Bench) -> None:
    """A collage names all accounts whose photos are in it, and says that each is a part."""
    result = await indexed.search(collage("anna", "dora", "ella"))

    assert sorted(usernames(result)) == ["anna", "dora", "ella"]
    assert all("part of a larger picture" in match.how for match in result.matches)


async def test_a_small_part_of_a_large_picture_is_found(indexed: Bench) -> None:
    """A picture in a corner of another one, too small for the first look, is found by the second."""
    large = photo(99, (1600, 1600))
    large.paste(PHOTOS["dora"].resize((300, 375)), (1200, 1100))

    result = await indexed.search(large)

    assert usernames(result) == ["dora"]
    assert "part of a larger picture" in result.matches[0].how


async def test_other_copies_of_a_match_are_named_with_it(indexed: Bench) -> None:
    """Accounts with a re-encoded copy of the photo that a crop shows are all named, as sure as the first."""
    await indexed.remember("zoe", encode(PHOTOS["anna"].resize((500, 625)), "JPEG", quality=40))

    result = await indexed.search(PHOTOS["anna"].crop((50, 100, 500, 650)))

    assert sorted(usernames(result)) == ["anna", "zoe"]


async def test_without_features_only_whole_pictures_are_found(bench: Bench) -> None:
    """A photo in the backlog can be found as a whole and not yet in parts; that is no fault."""
    await bench.remember("anna", encode(PHOTOS["anna"], "JPEG"))

    whole, part = await bench.search(PHOTOS["anna"]), await bench.search(PHOTOS["anna"].crop((0, 0, 400, 400)))

    assert (whole.verdict, part.verdict) == ("match", "none")


async def test_a_stranger_names_nobody_after_the_search_by_features(indexed: Bench) -> None:
    """Photos and drawn pictures that nobody posted are answered with nothing."""
    for stranger in (photo(91, (600, 750)), photo(92, (900, 300)), collage("anna").resize((8, 10))):
        result = await indexed.search(stranger)

        assert result.matches == ()


async def test_a_picture_with_next_to_nothing_in_it_is_unsearchable(indexed: Bench) -> None:
    """A smooth picture with a single spot has too little detail, and is told so."""
    spot = Image.new("RGB", (600, 600), (120, 140, 160))
    spot.paste((250, 240, 40), (300, 300, 330, 330))

    result = await indexed.search(spot)

    assert (result.verdict, result.matches) == ("unsearchable", ())


async def test_searches_side_by_side_while_photos_arrive(indexed: Bench) -> None:
    """Many searches at a time, with photos written in between, are all answered right."""

    async def one(name: str) -> list[str]:
        return usernames(await indexed.search(PHOTOS[name].crop((60, 60, 560, 700))))

    async def arrive(seed: int) -> None:
        await indexed.remember(f"new{seed}", encode(photo(seed, (300, 300)), "JPEG"))
        await indexed.add_features()

    names = list(PHOTOS) * 2
    answers, _ = await asyncio.gather(asyncio.gather(*map(one, names)), arrive(70))

    assert answers == [[name] for name in names]
