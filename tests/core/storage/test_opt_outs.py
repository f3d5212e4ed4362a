"""Forgetting an account: nothing of it stays, nothing of others goes, and nobody brings it back unasked."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import run

import pytest
from sqlalchemy import func, select

from core.model.files import FileStamp, Place
from core.model.fingerprints import PhotoFeatures, PhotoHashes
from core.model.outcomes import KeptReply, NamedMatch, QueryOutcome
from core.model.records import Change, LedgerRecord, MoveImage, OptOut, PutFailure, PutFeatures, PutImage
from core.storage import tables as t
from core.storage.opt_outs import OptOuts
from core.storage.replies import Replies
from core.storage.store import Store
from tests.mariadb import MariaDB

NOW = datetime(2026, 11, 25, 12, 30, 15, 123456, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
ANNA, BEN = "anna.forgotten", "ben"


@pytest.fixture
async def opt_outs(store: Store) -> OptOuts:
    """The opt-outs of a store in which anna.forgotten has one photo alone, one shared with ben, and a broken file."""
    await write(store, remember(ANNA, 1), remember(ANNA, 2), remember(BEN, 2), remember(BEN, 3), reject(ANNA, 9))
    await write(store, *[put_features(photo_id, ANNA) for photo_id in await photo_ids(store)])
    return OptOuts(store.database)


async def write(store: Store, *changes: Change) -> None:
    async with store.hold_lock():
        await store.write(changes)


def remember(username: str, content: int) -> PutImage:
    return PutImage(place(username, content), stamp(content), hashes(content))


def reject(username: str, number: int) -> PutFailure:
    entry = LedgerRecord(place(username, number), stamp(number), "corrupt", "It is damaged.", 1, 1, NOW, None)
    return PutFailure(entry)


def put_features(photo_id: int, username: str) -> PutFeatures:
    return PutFeatures(photo_id, f"{username}/{photo_id}.jpg".encode(), PhotoFeatures(bytes(38), b"THUMBNAIL", 1))


def place(username: str, number: int) -> Place:
    return Place(username, f"{username}/{number}.jpg".encode())


def stamp(number: int) -> FileStamp:
    return FileStamp(number, number, number, 1)


def hashes(content: int) -> PhotoHashes:
    digest = hashlib.sha256(b"%d" % content).digest()
    return PhotoHashes(digest, digest[:8], digest, 100, 5, 1080, 1350, 1)


async def photo_ids(store: Store) -> list[int]:
    return [row[0] for row in await store.database.rows(select(t.photos.c.id))]


async def paths(store: Store) -> set[str]:
    return {row[0].decode() for row in await store.database.rows(select(t.images.c.path))}


async def test_everything_of_an_account_goes_and_nothing_of_others(store: Store, opt_outs: OptOuts) -> None:
    """Images, fingerprints, thumbnails, ledger and user row go; what another account has too stays for it."""
    entry = await opt_outs.forget(ANNA, NOW)

    point = await store.changes.read_checkpoint()
    deep_rows = await store.database.rows(select(func.count()).select_from(t.photo_features))
    assert entry == OptOut(ANNA, NOW, 2, undone_at=None)
    assert await paths(store) == {"ben/2.jpg", "ben/3.jpg"}
    assert await store.list_usernames() == [BEN]
    assert await store.read_ledger() == {}
    assert (point.images, point.users) == (2, 1)
    assert [await store.find_photo_id(hashes(content).sha256) is None for content in (1, 2, 3)] == [True, False, False]
    assert deep_rows[0][0] == 2


async def test_an_index_that_follows_hears_of_it(store: Store, opt_outs: OptOuts) -> None:
    """A removed photo leaves a tombstone of a newer revision, and the checkpoint has the revision of the removal."""
    before = await store.changes.read_checkpoint()
    gone = await store.find_photo_id(hashes(1).sha256)

    await opt_outs.forget(ANNA, NOW)

    after = await store.changes.read_checkpoint()
    assert (await store.changes.read_removed(before.revision)).tolist() == [gone]
    assert before.forgotten == 0
    assert after.forgotten == after.revision > before.revision


async def test_nobody_brings_it_back_unasked(store: Store, opt_outs: OptOuts) -> None:
    """A photo that was read before is not written after, nor is one moved to the account, nor a broken file."""
    await opt_outs.forget(ANNA, NOW)
    [ben_2] = [image.image_id for path, image in (await store.read_images(BEN)).items() if path == b"ben/2.jpg"]

    await write(store, remember(ANNA, 1), reject(ANNA, 9), MoveImage(ben_2, place(ANNA, 2), stamp(2)), remember(BEN, 4))

    assert await store.list_usernames() == [BEN]
    assert await paths(store) == {"ben/2.jpg", "ben/3.jpg", "ben/4.jpg"}
    assert await store.list_opted_out() == {ANNA}


async def test_it_can_be_taken_back(store: Store, opt_outs: OptOuts) -> None:
    """Afterwards the account is indexed as any other; the list tells of both."""
    await opt_outs.forget(ANNA, NOW)
    undone = await opt_outs.undo(ANNA, LATER)
    again = await opt_outs.undo(ANNA, LATER)

    await write(store, remember(ANNA, 1))

    assert undone == OptOut(ANNA, NOW, 2, undone_at=LATER)
    assert again is None
    assert await store.list_opted_out() == frozenset()
    assert await store.list_usernames() == [ANNA, BEN]
    assert await opt_outs.entries() == [undone]


async def test_forgetting_twice_is_one_entry(store: Store, opt_outs: OptOuts) -> None:
    """An account that is forgotten again keeps its entry; after it was taken back, there is a second one."""
    await opt_outs.forget(ANNA, NOW)
    await opt_outs.forget(ANNA, LATER)
    first = await opt_outs.entries()
    await opt_outs.undo(ANNA, LATER)
    await opt_outs.forget(ANNA, LATER)

    assert first == [OptOut(ANNA, NOW, 2, undone_at=None)]
    assert [entry.undone_at for entry in await opt_outs.entries()] == [LATER, None]


async def test_who_was_never_indexed_can_be_forgotten(store: Store, opt_outs: OptOuts) -> None:
    """An account without photos is kept out from the start."""
    entry = await opt_outs.forget("not.here.yet", NOW)

    await write(store, remember("not.here.yet", 5))

    assert entry.images == 0
    assert await store.list_usernames() == [ANNA, BEN]


async def test_old_replies_name_it_no_more(store: Store, opt_outs: OptOuts) -> None:
    """A reply from before says of the account nothing, and of the others what it said."""
    replies = Replies(store.database)
    named = tuple(NamedMatch(name, 0.9, ("the same file",), 1) for name in (ANNA, BEN))
    number = await replies.keep(KeptReply("telegram", 1, 1, "en", NOW, (QueryOutcome("match", matches=named),)))

    await opt_outs.forget(ANNA, NOW)

    kept = await replies.find(number)
    assert kept
    assert [match.username for outcome in kept.outcomes for match in outcome.matches] == [BEN]


async def test_a_large_account_goes_as_a_whole(store: Store, opt_outs: OptOuts) -> None:
    """Of more photos than fit into one statement none stays."""
    for start in range(100, 1300, 200):
        await write(store, *[remember(ANNA, content) for content in range(start, start + 200)])

    entry = await opt_outs.forget(ANNA, NOW)

    assert entry.images == 1202
    assert len(await photo_ids(store)) == 2
    assert len(await store.changes.read_removed(0)) == 1201


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
async def test_a_dump_holds_nothing_but_the_entry(mariadb: MariaDB, database_url: str, opt_outs: OptOuts) -> None:
    """In a dump of the database the username stands in the list, and the SHA-256 of its photo nowhere."""
    await opt_outs.forget(ANNA, NOW)

    name = database_url.rpartition("/")[2]
    dump = run(
        [
            "mariadb-dump",
            "--no-defaults",
            "-uroot",
            f"-S{mariadb.socket}",
            "--hex-blob",
            "--skip-extended-insert",
            name,
        ],
        capture_output=True,
        check=True,
    ).stdout.decode()

    lines = [line for line in dump.splitlines() if ANNA in line or ANNA.encode().hex().upper() in line]
    assert [line.split(" VALUES ")[0] for line in lines] == ["INSERT INTO `opt_outs`"]
    assert hashes(1).sha256.hex().upper() not in dump
    assert hashes(2).sha256.hex().upper() in dump


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_sqlite_keeps_nothing_in_its_file(store: Store, opt_outs: OptOuts) -> None:
    """Neither the file nor its journal holds a path of the account or the hash of its photo."""
    await opt_outs.forget(ANNA, NOW)

    kept = b"".join(Path(store.name + suffix).read_bytes() for suffix in ("", "-wal"))
    assert f"{ANNA}/1.jpg".encode() not in kept
    assert hashes(1).sha256 not in kept
    assert hashes(2).sha256 in kept
