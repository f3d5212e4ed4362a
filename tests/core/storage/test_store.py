"""The store's contract, against SQLite and a real MariaDB."""

import asyncio
import hashlib
from datetime import UTC, datetime
from functools import partial
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import IndexerBusy, StoreError
from core.model.files import FileStamp, Place
from core.model.fingerprints import FEATURE_BYTES, PhotoFeatures, PhotoHashes
from core.model.records import Change, LedgerRecord, MoveImage, PutFailure, PutFeatures, PutImage, RemoveFile
from core.model.statuses import ScanReport
from core.storage import tables as t
from core.storage.database import Database
from core.storage.store import Store
from core.storage.writing import apply
from core.workers.tasks import VERSIONS

NOW = datetime(2026, 11, 22, 14, 5, 6, 789, tzinfo=UTC)


def hashes(content: int, *, version: int = VERSIONS.hashes, flat_percent: int = 5) -> PhotoHashes:
    digest = hashlib.sha256(b"%d" % content).digest()
    return PhotoHashes(
        sha256=digest,
        dhash=digest[8:16],
        pdq=bytes(reversed(digest)),
        pdq_quality=100,
        flat_percent=flat_percent,
        width=1080,
        height=1350,
        version=version,
    )


def place(path: str | bytes) -> Place:
    raw = path if isinstance(path, bytes) else path.encode()
    return Place(raw.split(b"/")[0].decode(), raw)


def stamp(number: int) -> FileStamp:
    return FileStamp(size=number, mtime_ns=number, inode=number, device=1)


def remember(path: str | bytes, content: int, *, file: int | None = None) -> PutImage:
    return PutImage(place(path), stamp(content if file is None else file), hashes(content))


def reject(path: str, file: int, *, attempts: int = 1) -> PutFailure:
    return PutFailure(LedgerRecord(place(path), stamp(file), "corrupt", "damaged", attempts, 1, NOW, None))


async def write(store: Store, *batches: list[Change]) -> None:
    async with store.hold_lock():
        for batch in batches:
            await store.write(batch)


async def searchable_ids(store: Store, after: int = 0) -> set[int]:
    pages = [page async for page in store.changes.read_hashes(after)]
    return {photo_id for page in pages for photo_id in page.ids.tolist()}


async def test_what_is_remembered_is_on_record(store: Store) -> None:
    """A remembered file is found by its account, path, stamp and content."""
    await write(store, [remember("anna/a.jpg", 1)])

    record = await store.read_images("anna")

    assert list(record) == [b"anna/a.jpg"]
    assert record[b"anna/a.jpg"].stamp == stamp(1)
    assert record[b"anna/a.jpg"].sha256 == hashes(1).sha256
    assert await store.find_hashes(hashes(1).sha256) == hashes(1)
    point = await store.changes.read_checkpoint()
    assert (point.images, point.users, point.revision) == (1, 1, 1)


@pytest.mark.parametrize(
    "name",
    [
        b"\xff\xfe.jpg",
        "é.jpg".encode(),
        "e\u0301.jpg".encode(),
        b"new\nline 'quote\".jpg",
        "😀.jpg".encode(),
        b"x" * 255,
    ],
)
async def test_names_are_bytes(store: Store, name: bytes) -> None:
    """Any name a disk can hold comes back byte by byte, and two that only look alike stay two."""
    await write(store, [remember(b"anna/" + name, 1), remember(b"anna/" + name[:-1] + b"_", 2)])

    assert set(await store.read_images("anna")) == {b"anna/" + name, b"anna/" + name[:-1] + b"_"}


async def test_usernames_compare_exactly(store: Store) -> None:
    """Usernames that differ in a dot or an underscore are different accounts."""
    await write(store, [remember("a.b/1.jpg", 1), remember("a_b/1.jpg", 2), remember("a.b_/1.jpg", 3)])

    assert await store.list_usernames() == ["a.b", "a.b_", "a_b"]
    assert len(await store.read_images("a.b")) == 1


async def test_identical_bytes_share_a_fingerprint_and_name_every_owner(store: Store) -> None:
    """Byte-identical files have one fingerprint, and every owner is found by it."""
    await write(store, [remember("anna/a.jpg", 1, file=1), remember("bob/b.jpg", 1, file=2)])

    photo_id = await store.find_photo_id(hashes(1).sha256)

    assert photo_id is not None
    assert [one.place.username for one in await store.find_references([photo_id])] == ["anna", "bob"]
    assert len(await searchable_ids(store)) == 1


async def test_a_changed_file_leaves_nothing_of_its_old_content(store: Store) -> None:
    """When a file changes, its old photo leaves a tombstone if no other file has it."""
    await write(store, [remember("anna/a.jpg", 1)])
    old = await store.find_photo_id(hashes(1).sha256)

    await write(store, [remember("anna/a.jpg", 2)])

    assert await store.find_photo_id(hashes(1).sha256) is None
    assert (await store.changes.read_removed(1)).tolist() == [old]
    assert (await store.changes.read_checkpoint()).images == 1


async def test_forgetting_removes_what_nobody_else_has(store: Store) -> None:
    """A forgotten image takes its fingerprint and account along, unless another image needs them."""
    await write(store, [remember("anna/a.jpg", 1, file=1), remember("bob/b.jpg", 1, file=2), remember("bob/c.jpg", 3)])

    await write(store, [RemoveFile(b"anna/a.jpg"), RemoveFile(b"bob/c.jpg"), RemoveFile(b"bob/never.jpg")])

    assert await store.list_usernames() == ["bob"]
    assert await store.find_photo_id(hashes(1).sha256) is not None
    assert await store.find_photo_id(hashes(3).sha256) is None
    assert (await store.changes.read_checkpoint()).images == 1


async def test_a_moved_image_keeps_its_fingerprint(store: Store) -> None:
    """Relocating an image changes its path and account and no fingerprint."""
    await write(store, [remember("anna/a.jpg", 1)])
    image = (await store.read_images("anna"))[b"anna/a.jpg"]

    await write(store, [MoveImage(image.image_id, place("bob/b.jpg"), stamp(9))])

    assert await store.list_usernames() == ["bob"]
    moved = (await store.read_images("bob"))[b"bob/b.jpg"]
    assert (moved.image_id, moved.stamp, moved.sha256) == (image.image_id, stamp(9), hashes(1).sha256)
    assert await searchable_ids(store, after=1) == set()


async def test_images_can_exchange_their_paths(store: Store) -> None:
    """Two images may take each other's path in one batch."""
    await write(store, [remember("anna/a.jpg", 1), remember("anna/b.jpg", 2)])
    record = await store.read_images("anna")
    first, second = record[b"anna/a.jpg"], record[b"anna/b.jpg"]

    swap: list[Change] = [
        MoveImage(first.image_id, second.place, first.stamp),
        MoveImage(second.image_id, first.place, second.stamp),
    ]
    await write(store, swap)

    record = await store.read_images("anna")
    assert record[b"anna/b.jpg"].image_id == first.image_id
    assert record[b"anna/a.jpg"].image_id == second.image_id
    assert (await store.changes.read_checkpoint()).images == 2


async def test_an_image_moved_over_another_replaces_it(store: Store) -> None:
    """Relocating an image to a path that another had removes that other one."""
    await write(store, [remember("anna/a.jpg", 1), remember("bob/b.jpg", 2)])
    image = (await store.read_images("anna"))[b"anna/a.jpg"]

    await write(store, [MoveImage(image.image_id, place("bob/b.jpg"), stamp(1))])

    assert list(await store.read_images("bob")) == [b"bob/b.jpg"]
    assert await store.find_photo_id(hashes(2).sha256) is None
    assert (await store.changes.read_checkpoint()).images == 1


async def test_an_unreadable_file_is_in_the_ledger_and_not_in_the_index(store: Store) -> None:
    """Rejecting a changed file removes its old image; reading it again takes it off the ledger."""
    await write(store, [remember("anna/a.jpg", 1)])

    await write(store, [reject("anna/a.jpg", 2, attempts=3)])
    entry = (await store.read_ledger())[b"anna/a.jpg"]
    images_then = (await store.changes.read_checkpoint()).images
    await write(store, [remember("anna/a.jpg", 3)])

    assert (entry.kind, entry.attempts, entry.stamp, entry.failed_at) == ("corrupt", 3, stamp(2), NOW)
    assert images_then == 0
    assert await store.read_ledger() == {}


async def test_rejecting_an_unchanged_file_keeps_its_image(store: Store) -> None:
    """A file that cannot be read again just now keeps what was read from the same bytes."""
    await write(store, [remember("anna/a.jpg", 1)])

    await write(store, [reject("anna/a.jpg", 1)])

    assert (await store.changes.read_checkpoint()).images == 1
    assert (await store.statuses.read_stats()).unreadable == 1


async def test_a_new_version_replaces_a_fingerprint_in_place(store: Store) -> None:
    """A fingerprint of another version is not current; remembering the file again replaces it under the same id."""
    old = PutImage(place("anna/a.jpg"), stamp(1), hashes(1, version=VERSIONS.hashes + 1))
    await write(store, [old])
    photo_id = await store.find_photo_id(hashes(1).sha256)
    backlog = (await store.statuses.read_stats()).backlog
    known = await store.find_hashes(hashes(1).sha256)

    await write(store, [remember("anna/a.jpg", 1)])

    assert (backlog, known) == (1, None)
    assert await store.find_photo_id(hashes(1).sha256) == photo_id
    assert await store.find_hashes(hashes(1).sha256) == hashes(1)
    assert await searchable_ids(store, after=1) == {photo_id}


async def test_flat_pictures_and_other_versions_are_not_searchable(store: Store) -> None:
    """Pages tell which fingerprints may be searched."""
    flat = PutImage(place("anna/flat.jpg"), stamp(1), hashes(1, flat_percent=100))
    other = PutImage(place("anna/old.jpg"), stamp(2), hashes(2, version=VERSIONS.hashes + 1))
    await write(store, [flat, other, remember("anna/a.jpg", 3)])

    [page] = [page async for page in store.changes.read_hashes(0)]

    assert page.is_searchable.tolist() == [
        photo_id == await store.find_photo_id(hashes(3).sha256) for photo_id in page.ids
    ]
    assert page.pdq.shape == (3, 32)
    assert page.dhash.shape == (3, 8)


async def test_relatives_are_of_the_same_inode_or_size(store: Store) -> None:
    """Images that may be the same file or bytes are found by inode or by size."""
    await write(store, [remember("anna/a.jpg", 1), remember("anna/b.jpg", 2), remember("anna/c.jpg", 3)])

    same_size = FileStamp(size=1, mtime_ns=9, inode=9, device=9)
    same_inode = FileStamp(size=9, mtime_ns=9, inode=2, device=1)
    found = await store.find_relatives([same_size, same_inode])

    assert sorted(one.place.path for one in found) == [b"anna/a.jpg", b"anna/b.jpg"]


async def test_extreme_stamps_round_trip(store: Store) -> None:
    """The smallest and largest 64-bit numbers of a stamp come back as they were."""
    extreme = FileStamp(size=2**63 - 1, mtime_ns=-(2**63), inode=-1, device=2**63 - 1)
    await write(store, [PutImage(place("anna/a.jpg"), extreme, hashes(1))])

    assert (await store.read_images("anna"))[b"anna/a.jpg"].stamp == extreme


async def test_scans_are_noted(store: Store) -> None:
    """The moment of the last scan is in the figures, in UTC."""
    never = (await store.statuses.read_stats()).last_scan
    await store.statuses.note_scan(ScanReport(added=1), NOW)

    assert never is None
    assert (await store.statuses.read_stats()).last_scan == NOW


async def test_one_writer_at_a_time(store: Store, database_url: str) -> None:
    """While one holds the writer's lock another is refused with exit code 75, and let in afterwards."""
    other = Store(Database(database_url), VERSIONS)

    async with store.hold_lock():
        with pytest.raises(IndexerBusy) as refusal:
            async with other.hold_lock():
                pass
    async with other.hold_lock():
        await other.write([remember("anna/a.jpg", 1)])

    assert refusal.value.exit_code == 75
    assert (await store.changes.read_checkpoint()).images == 1
    await other.close()


async def test_only_the_holder_of_the_lock_writes(store: Store) -> None:
    """A write without the lock is refused."""
    with pytest.raises(StoreError):
        await store.write([remember("anna/a.jpg", 1)])


async def test_a_repeated_batch_changes_nothing(store: Store) -> None:
    """Writing a batch again, as after a commit whose answer was lost, leaves the same rows and counts."""
    batch: list[Change] = [remember("anna/a.jpg", 1), remember("bob/b.jpg", 1, file=2), reject("bob/bad.jpg", 3)]
    await write(store, batch)
    before = (await store.read_images("anna"), await store.read_images("bob"), await store.read_ledger())

    await write(store, batch)

    assert (await store.read_images("anna"), await store.read_images("bob"), await store.read_ledger()) == before
    assert (await store.changes.read_checkpoint()).images == 2


async def test_revisions_follow_commits_with_concurrent_writers(store: Store, database_url: str) -> None:
    """A reader that follows by revision while writers commit at once misses nothing.

    The writers go around the indexer's lock on purpose: the order of revisions must not hang on it.
    """
    writers = [Database(database_url, write_seconds=60) for _ in range(3)]
    seen: set[int] = set()
    is_done = asyncio.Event()

    async def write_many(database: Database, first: int) -> None:
        for number in range(first, first + 20):
            await database.write(partial(apply, changes=[remember(f"u{first}/{number}.jpg", number)]))

    async def follow() -> None:
        revision = 0
        while not is_done.is_set() or revision < (await store.changes.read_checkpoint()).revision:
            point = await store.changes.read_checkpoint()
            seen.update(await searchable_ids(store, after=revision))
            revision = point.revision

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write_many(database, 1000 * k) for k, database in enumerate(writers, 1)))
    is_done.set()
    await following

    assert seen == await searchable_ids(store)
    assert len(seen) == 60
    assert (await store.changes.read_checkpoint()).revision == 60
    for database in writers:
        await database.close()


PATHS = st.sampled_from(["anna/1", "anna/2", "bob/1", "bob/2", "carl/1"])
STEPS = st.one_of(
    st.tuples(st.just("remember"), PATHS, st.integers(1, 4)),
    st.tuples(st.just("forget"), PATHS, st.just(0)),
    st.tuples(st.just("reject"), PATHS, st.integers(5, 6)),
    st.tuples(st.just("relocate"), PATHS, st.integers(0, 4)),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=8))
async def test_counts_and_orphans_after_any_changes(
    store: Store, database_url: str, steps: list[tuple[str, str, int]]
) -> None:
    """After any changes the record is what a plain dict says, and nothing is left without an image."""
    expected = await _contents(store)
    for kind, path, number in steps:
        images = [one for user in await store.list_usernames() for one in (await store.read_images(user)).values()]
        if kind == "remember":
            await write(store, [remember(path, number)])
            expected[path.encode()] = hashes(number).sha256
        elif kind == "forget":
            await write(store, [RemoveFile(path.encode())])
            expected.pop(path.encode(), None)
        elif kind == "reject":
            await write(store, [reject(path, number)])
            expected.pop(path.encode(), None)
        elif number < len(images):
            await write(store, [MoveImage(images[number].image_id, place(path), images[number].stamp)])
            expected[path.encode()] = expected.pop(images[number].place.path)

    assert await _contents(store) == expected
    database = Database(database_url)
    assert await database.read(_counts) == (len(expected), 0, 0)
    assert (await store.changes.read_checkpoint()).images == len(expected)
    await database.close()


async def _contents(store: Store) -> dict[bytes, bytes]:
    return {
        path: one.sha256
        for user in await store.list_usernames()
        for path, one in (await store.read_images(user)).items()
    }


async def _counts(connection: AsyncConnection) -> tuple[int, int, int]:
    """Count images, fingerprints without one, and users without one."""
    images, photos, users = t.images.c, t.photos, t.users
    queries = (
        select(func.count()).select_from(t.images),
        select(func.count()).select_from(photos).where(photos.c.id.not_in(select(images.photo_id))),
        select(func.count()).select_from(users).where(users.c.id.not_in(select(images.user_id))),
    )
    one, two, three = [await connection.scalar(query) or 0 for query in queries]
    return one, two, three


def put_features(photo_id: int, features: int, *, version: int = VERSIONS.features) -> PutFeatures:
    codes = hashlib.sha256(b"%d" % photo_id).digest() + bytes(FEATURE_BYTES - 32)
    return PutFeatures(photo_id, b"", PhotoFeatures(codes * features, b"thumbnail %d" % photo_id, version))


async def feature_counts(store: Store, after: int = 0) -> dict[int, int]:
    pages = [page async for page in store.changes.read_features(after)]
    return {
        photo_id: count
        for page in pages
        for photo_id, count in zip(page.ids.tolist(), page.counts.tolist(), strict=True)
    }


async def test_the_backlog_is_what_has_no_features(store: Store) -> None:
    """Distinct contents wait, once each, in pages, until they have features of the current version."""
    await write(store, [remember(f"anna/{number}.jpg", number) for number in range(1, 6)])
    await write(store, [remember("bob/1.jpg", 1, file=9)])
    first = await store.list_backlog(after=0, limit=2)
    rest = await store.list_backlog(after=first[-1].photo_id, limit=10)
    waiting = (await store.statuses.read_stats()).backlog

    await write(
        store, [put_features(first[0].photo_id, 3), put_features(rest[0].photo_id, 2, version=VERSIONS.features + 1)]
    )

    assert [one.place for one in first + rest] == [place(f"anna/{number}.jpg") for number in range(1, 6)]
    assert [one.sha256 for one in first] == [hashes(1).sha256, hashes(2).sha256]
    left = [one.photo_id for one in await store.list_backlog(after=0, limit=10)]
    assert left == [first[1].photo_id, *[one.photo_id for one in rest]]
    assert (waiting, (await store.statuses.read_stats()).backlog) == (5, 4)


async def test_features_are_told_by_revision(store: Store) -> None:
    """Features written after a revision come with their codes; other versions count as none; a rewrite replaces."""
    await write(store, [remember(f"anna/{number}.jpg", number) for number in (1, 2)])
    ids = [one.photo_id for one in await store.list_backlog(after=0, limit=9)]
    before = (await store.changes.read_checkpoint()).revision

    await write(
        store,
        [put_features(ids[0], 3), put_features(ids[1], 5, version=VERSIONS.features + 1)],
        [put_features(ids[0], 4)],
    )

    assert await feature_counts(store, before) == {ids[0]: 4, ids[1]: 0}
    assert await feature_counts(store, before + 2) == {}
    assert await store.read_features(ids) == {ids[0]: put_features(ids[0], 4).features}
    page = [page async for page in store.changes.read_features(0)][-1]
    assert page.codes.shape == (4, 32)
    assert page.codes[0].tobytes() == hashlib.sha256(b"%d" % ids[0]).digest()


async def test_features_go_with_their_image(store: Store) -> None:
    """When the last image of some bytes is removed, nothing of them is left; features that come later are dropped."""
    await write(store, [remember("anna/1.jpg", 1)])
    photo_id = (await store.list_backlog(after=0, limit=1))[0].photo_id
    await write(store, [put_features(photo_id, 3)])

    await write(store, [RemoveFile(b"anna/1.jpg")], [put_features(photo_id, 3)])

    assert await store.read_features([photo_id]) == {}
    assert await feature_counts(store) == {}
    assert (await store.changes.read_removed(0)).tolist() == [photo_id]


async def test_a_sample_is_of_images_and_no_larger_than_they_are_many(store: Store) -> None:
    """The same choice gives the same images, each at most once."""
    await write(store, [remember(f"anna/{number}.jpg", number) for number in range(1, 8)])

    first, again = [await store.choose_places(3, Random(5)) for _ in range(2)]

    assert first == again
    assert len(set(first)) == 3
    assert len(await store.choose_places(100, Random(1))) == 7
