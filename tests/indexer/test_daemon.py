"""The daemon finds what happens in the dataset, however it happens: real inotify, files, workers, and a real database.

Every row of the table of traps in docs/decisions/0008-events-only-wake.md is a test here or in tests/test_watch.py.
"""

import asyncio
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from core.dataset import Dataset
from core.model.records import PutImage
from core.model.statuses import Stats
from core.service.meter import Meter
from core.storage.database import Database, sqlite_url
from core.storage.opt_outs import OptOuts
from core.storage.store import Store
from core.workers.pool import PhotoWorkers
from core.workers.tasks import VERSIONS, FileDigest, FileFeatures, FileHashes
from indexer.daemon import Daemon
from indexer.scanning.account_scan import ScanOptions
from indexer.schedule import Schedule
from tests.pictures import photo_bytes

SETTLE_SECONDS = 0.4
PATIENCE_SECONDS = 60.0
PICTURES = [photo_bytes(seed, size=(120, 90)) for seed in range(12)]


class PhotoReader:
    """Real workers that count what they open."""

    def __init__(self, workers: PhotoWorkers) -> None:
        self._workers = workers
        self.digested: Counter[bytes] = Counter()
        self.fingerprinted: Counter[bytes] = Counter()

    async def digest_file(self, path: bytes) -> FileDigest:
        self.digested[os.path.basename(path)] += 1
        return await self._workers.digest_file(path)

    async def hash_file(self, path: bytes) -> FileHashes:
        self.fingerprinted[os.path.basename(path)] += 1
        return await self._workers.hash_file(path)

    @property
    def is_alive(self) -> bool:
        return True

    async def release(self) -> None:
        await self._workers.release()

    async def extract_features(self, path: bytes) -> FileFeatures:
        return await self._workers.extract_features(path)


class Counts(Meter):
    """A meter that counts recorded files."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.features = 0

    def filed(self, outcome: str, files: int = 1) -> None:
        self.files[outcome] += files

    def features_added(self) -> None:
        self.features += 1


class Bench:
    """A dataset, a folder outside of it, the store, and a daemon now and then."""

    def __init__(self, folder: Path, store: Store, workers: PhotoWorkers) -> None:
        self.root = folder / "images"
        self.outside = folder / "outside"
        self.root.mkdir()
        self.outside.mkdir()
        self.store = store
        self.workers = workers
        self.reader = PhotoReader(workers)
        self.states: list[str] = []
        self.meter = Counts()

    @asynccontextmanager
    async def daemon(self, settle_seconds: float = SETTLE_SECONDS) -> AsyncIterator[Daemon]:
        """Run a daemon; it has made its first rescan."""
        options = ScanOptions(Dataset(self.root), 2, clock=lambda: datetime.now(UTC))
        daemon = Daemon(
            options,
            settle_seconds,
            store=self.store,
            reader=self.reader,
            schedule=Schedule("15m"),
            meter=self.meter,
            notify=self.states.append,
        )
        before = await self.last_scan()
        running = asyncio.create_task(daemon.run())
        try:
            await self.until(lambda: self.is_scanned_after(before))
            yield daemon
        finally:
            daemon.stop()
            await running

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await condition():
                await asyncio.sleep(0.02)

    async def until_record_is(self, expected: dict[str, bytes]) -> None:
        """Wait until the paths on record, with the digests of their bytes, are as expected."""
        wanted = {path.encode(): sha256(content).digest() for path, content in expected.items()}
        try:
            await self.until(lambda: self._is_record(wanted))
        except TimeoutError:
            assert await self.record() == wanted

    async def record(self) -> dict[bytes, bytes]:
        records = [await self.store.read_images(name) for name in await self.store.list_usernames()]
        return {path: image.sha256 for record in records for path, image in record.items()}

    async def last_scan(self) -> datetime | None:
        return (await self.stats()).last_scan

    async def stats(self) -> Stats:
        return await self.store.statuses.read_stats()

    async def is_scanned_after(self, before: datetime | None) -> bool:
        return await self.last_scan() != before

    async def is_suspicious(self) -> bool:
        daemon = (await self.stats()).daemon
        return daemon is not None and daemon.state == "dataset suspicious"

    async def has_failures(self, count: int) -> bool:
        return len(await self.store.read_ledger()) == count

    async def is_worked_off(self) -> bool:
        return (await self.stats()).backlog == 0

    def put(self, path: str, content: bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def put_all(self, folder: str, count: int = 8) -> dict[str, bytes]:
        contents = {f"{folder}/{number}.jpg": PICTURES[number] for number in range(count)}
        for path, content in contents.items():
            self.put(path, content)
        return contents

    async def _is_record(self, wanted: dict[bytes, bytes]) -> bool:
        return await self.record() == wanted


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    store = Store(Database(sqlite_url(tmp_path / "store.db")), VERSIONS)
    await store.schema.create()
    async with PhotoWorkers(2) as workers:
        yield Bench(tmp_path, store, workers)
    await store.close()


def _copy(source: Path, target: Path) -> None:
    shutil.copy(source, target)


def _copy_with_times(source: Path, target: Path) -> None:
    shutil.copy2(source, target)


def _move(source: Path, target: Path) -> None:
    source.rename(target)


def _link(source: Path, target: Path) -> None:
    os.link(source, target)


def _part(source: Path, target: Path) -> None:
    unfinished = target.with_name(target.name + ".part")
    shutil.copy(source, unfinished)
    unfinished.rename(target)


def _crdownload(source: Path, target: Path) -> None:
    unfinished = target.with_name("Unconfirmed 123.crdownload")
    shutil.copy(source, unfinished)
    unfinished.rename(target)


def _rsync(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.Xa81Zq")
    shutil.copy2(source, temporary)
    temporary.rename(target)


def _replace(source: Path, target: Path) -> None:
    target.write_bytes(PICTURES[11])
    source.rename(target)


def _dated_in_the_future(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    os.utime(target, (4e9, 4e9))


WAYS = [_copy, _copy_with_times, _move, _link, _part, _crdownload, _rsync, _replace, _dated_in_the_future]


@pytest.mark.parametrize("bring", WAYS)
async def test_a_photo_is_found_however_it_comes(bench: Bench, bring: Callable[[Path, Path], None]) -> None:
    """A file that is copied, moved, linked, downloaded, synchronised or put over another is read once, when whole."""
    (bench.root / "anna").mkdir()
    source = bench.outside / "source.jpg"
    source.write_bytes(PICTURES[0])
    async with bench.daemon():
        bring(source, bench.root / "anna" / "photo.jpg")
        await bench.until_record_is({"anna/photo.jpg": PICTURES[0]})

    assert bench.reader.fingerprinted == {b"photo.jpg": 1}
    assert await bench.store.read_ledger() == {}


async def test_a_slow_copy_is_read_when_it_is_whole(bench: Bench) -> None:
    """A file that grows for longer than the settling time is not opened before it is complete."""
    content = PICTURES[0]
    pieces = [content[start : start + len(content) // 8] for start in range(0, len(content), len(content) // 8)]
    (bench.root / "anna").mkdir()
    async with bench.daemon(settle_seconds=1.5):
        with (bench.root / "anna/slow.jpg").open("wb", buffering=0) as file:
            for piece in pieces:
                file.write(piece)
                await asyncio.sleep(0.3)
        await bench.until_record_is({"anna/slow.jpg": content})

    assert bench.reader.fingerprinted == {b"slow.jpg": 1}


@pytest.mark.parametrize("depth", ["anna", "anna/2024/summer"])
async def test_a_folder_is_found_however_it_comes(bench: Bench, depth: str) -> None:
    """A folder that is made and filled at once, and one that is moved in filled, bring all their photos."""
    (bench.outside / depth).mkdir(parents=True)
    for number in range(4):
        (bench.outside / depth / f"moved{number}.jpg").write_bytes(PICTURES[number])
    moved = {f"{depth}/moved{number}.jpg": PICTURES[number] for number in range(4)}
    async with bench.daemon():
        (bench.outside / "anna").rename(bench.root / "anna")
        filled = bench.put_all("carl/new/deep")
        await bench.until_record_is(moved | filled)


async def test_an_archive_is_found(bench: Bench) -> None:
    """Files that tar unpacks, with old modification times, are found."""
    contents = {f"anna/{number}.jpg": PICTURES[number] for number in range(8)}
    for path, content in contents.items():
        file = bench.outside / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (1e9, 1e9))
    archive = bench.outside / "archive.tar"
    subprocess.run(["tar", "cf", archive, "-C", bench.outside, "anna"], check=True)
    async with bench.daemon():
        subprocess.run(["tar", "xf", archive, "-C", bench.root], check=True)
        await bench.until_record_is(contents)


async def test_a_renamed_folder_moves_its_rows(bench: Bench) -> None:
    """When a user folder is renamed its photos move to the new account; none is opened."""
    contents = bench.put_all("anna")
    async with bench.daemon():
        await bench.until_record_is(contents)
        bench.reader.fingerprinted.clear()
        (bench.root / "anna").rename(bench.root / "bob")
        await bench.until_record_is({path.replace("anna", "bob"): content for path, content in contents.items()})

    assert not bench.reader.fingerprinted
    assert not bench.reader.digested


async def test_a_photo_that_goes_from_one_account_to_another_moves(bench: Bench) -> None:
    """A renamed file keeps its fingerprint, though it has to lie still again and is missing meanwhile."""
    contents = bench.put_all("anna")
    async with bench.daemon():
        await bench.until_record_is(contents)
        bench.reader.fingerprinted.clear()
        (bench.root / "bob").mkdir()
        (bench.root / "anna/0.jpg").rename(bench.root / "bob/new.jpg")
        contents["bob/new.jpg"] = contents.pop("anna/0.jpg")
        await bench.until_record_is(contents)

    assert not bench.reader.fingerprinted


async def test_a_folder_moved_out_leaves_no_ghosts(bench: Bench) -> None:
    """The rows of a folder that was moved out go, and what is written to it outside stays unknown."""
    kept = bench.put_all("anna", 12)
    gone = bench.put_all("bob", 2)
    async with bench.daemon():
        await bench.until_record_is(kept | gone)
        (bench.root / "bob").rename(bench.outside / "bob")
        (bench.outside / "bob/later.jpg").write_bytes(PICTURES[5])
        await bench.until_record_is(kept)
        bench.put("anna/last.jpg", PICTURES[6] + b"!")
        await bench.until_record_is(kept | {"anna/last.jpg": PICTURES[6] + b"!"})

    assert await bench.store.list_usernames() == ["anna"]


async def test_a_deleted_photo_goes(bench: Bench) -> None:
    """A file that is deleted, and an unreadable one, leave the record."""
    kept = bench.put_all("anna")
    bench.put("anna/broken.jpg", b"no picture")
    async with bench.daemon():
        await bench.until_record_is(kept)
        (bench.root / "anna/0.jpg").unlink()
        (bench.root / "anna/broken.jpg").unlink()
        del kept["anna/0.jpg"]
        await bench.until_record_is(kept)
        await bench.until(lambda: bench.has_failures(0))


@pytest.mark.parametrize("loss", ["another folder in its place", "no folder in its place", "emptied"])
async def test_a_dataset_that_goes_and_comes_back_loses_nothing(bench: Bench, loss: str) -> None:
    """Unmounted, absent or emptied: no row is removed, the state is reported; later nothing has to be read again."""
    contents = bench.put_all("anna") | bench.put_all("bob")
    aside = bench.outside / "aside"
    async with bench.daemon():
        await bench.until_record_is(contents)
        bench.reader.fingerprinted.clear()
        if loss == "emptied":
            aside.mkdir()
            for name in ("anna", "bob"):
                (bench.root / name).rename(aside / name)
        else:
            bench.root.rename(aside)
        if loss == "another folder in its place":
            bench.root.mkdir()
        await bench.until(bench.is_suspicious)
        while_away = await bench.record()
        if loss == "another folder in its place":
            bench.root.rmdir()
        if loss == "emptied":
            for name in ("anna", "bob"):
                (aside / name).rename(bench.root / name)
        else:
            aside.rename(bench.root)
        bench.put("carl/new.jpg", PICTURES[9])
        await bench.until_record_is(contents | {"carl/new.jpg": PICTURES[9]})
        await bench.until(lambda: _is_false(bench.is_suspicious()))

    assert len(while_away) == len(contents)
    assert bench.reader.fingerprinted == {b"new.jpg": 1}


async def test_twins_are_fingerprinted_once(bench: Bench) -> None:
    """Byte-identical files of several accounts share one fingerprint, and every owner is on record."""
    async with bench.daemon():
        for name in ("anna", "bob", "carl"):
            bench.put(f"{name}/twin.jpg", PICTURES[0])
        await bench.until_record_is({f"{name}/twin.jpg": PICTURES[0] for name in ("anna", "bob", "carl")})

    assert bench.reader.fingerprinted == {b"twin.jpg": 1}


async def test_an_unreadable_photo_is_in_the_ledger_until_it_changes(bench: Bench) -> None:
    """A broken file is recorded with its reason, tried once, and indexed when it is fixed."""
    async with bench.daemon():
        file = bench.put("anna/broken.jpg", PICTURES[0][:2000])
        bench.put("anna/good.jpg", PICTURES[1])
        await bench.until_record_is({"anna/good.jpg": PICTURES[1]})
        await bench.until(lambda: bench.has_failures(1))
        bench.put("anna/other.jpg", PICTURES[2])
        await bench.until_record_is({"anna/good.jpg": PICTURES[1], "anna/other.jpg": PICTURES[2]})
        tried = bench.reader.fingerprinted[b"broken.jpg"]
        [entry] = (await bench.store.read_ledger()).values()
        file.write_bytes(PICTURES[0])
        await bench.until(lambda: bench.has_failures(0))

    assert (tried, entry.kind, entry.attempts) == (1, "corrupt", 1)
    assert b"anna/broken.jpg" in await bench.record()


async def test_the_backlog_is_worked_off(bench: Bench) -> None:
    """Every photo gets its features, and one of an older version its new hashes, while the daemon runs."""
    contents = bench.put_all("anna")
    async with bench.daemon():
        await bench.until_record_is(contents)
        await bench.until(bench.is_worked_off)
    [first, *_] = (await bench.store.read_images("anna")).values()
    hashes = await bench.store.find_hashes(first.sha256)
    assert hashes
    async with bench.store.hold_lock():
        outdated = PutImage(first.place, first.stamp, _of_version(hashes, 0))
        await bench.store.write([outdated])
    waiting = (await bench.stats()).backlog
    async with bench.daemon():
        await bench.until(bench.is_worked_off)

    assert waiting == 1
    assert await bench.store.find_hashes(first.sha256) == hashes
    assert len(await bench.record()) == len(contents)


async def test_what_belongs_to_no_account_is_said(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A folder whose name is no username, and a photo beside the folders, are reported when they come."""
    async with bench.daemon():
        bench.put("two words/a.jpg", PICTURES[0])
        bench.put("loose.jpg", PICTURES[1])
        bench.put("anna/a.jpg", PICTURES[2])
        await bench.until_record_is({"anna/a.jpg": PICTURES[2]})

    assert sum("'two words'" in message for message in caplog.messages) == 1
    assert sum("loose.jpg" in message for message in caplog.messages) == 1


async def test_a_rescan_finds_what_no_event_tells(bench: Bench) -> None:
    """A file that was changed behind the kernel's back (its bytes through a map, its time set back) is found."""
    file = bench.put("anna/a.jpg", PICTURES[0])
    async with bench.daemon() as daemon:
        await bench.until_record_is({"anna/a.jpg": PICTURES[0]})
        with file.open("r+b") as writer:  # closed after the next line: no event but that of the next write comes
            writer.write(PICTURES[1])
            writer.truncate()
            writer.flush()
            daemon.request_scan("test")
            await bench.until_record_is({"anna/a.jpg": PICTURES[1]})


async def test_what_comes_on_record_is_counted_once(bench: Bench) -> None:
    """Files that are added, changed, moved, removed or unreadable count once each; another rescan counts nothing."""
    contents = bench.put_all("anna")
    bench.put("anna/broken.jpg", PICTURES[0][:2000])
    async with bench.daemon() as daemon:
        await bench.until_record_is(contents)
        await bench.until(bench.is_worked_off)
        (bench.root / "bob").mkdir()
        (bench.root / "anna/0.jpg").rename(bench.root / "bob/0.jpg")
        contents["bob/0.jpg"] = contents.pop("anna/0.jpg")
        bench.put("anna/1.jpg", PICTURES[9])
        contents["anna/1.jpg"] = PICTURES[9]
        (bench.root / "anna/2.jpg").unlink()
        del contents["anna/2.jpg"]
        await bench.until_record_is(contents)
        await bench.until(bench.is_worked_off)
        before = await bench.last_scan()
        daemon.request_scan("test")
        await bench.until(lambda: bench.is_scanned_after(before))

    assert bench.meter.files == {"added": 8, "updated": 1, "moved": 1, "removed": 1, "unreadable": 1}
    assert bench.meter.features == 9


async def test_the_end_is_told(bench: Bench) -> None:
    """The service manager gets the daemon's state, and `stats` shows that it stopped."""
    async with bench.daemon():
        await bench.until(lambda: _is_told_of_events(bench))
        running = (await bench.stats()).daemon

    stopped = (await bench.stats()).daemon
    assert running
    assert stopped
    assert running.next_scan
    assert stopped.state == "stopped"
    assert running.has_workers
    assert any(state.startswith("STATUS=watching") for state in bench.states)


async def test_a_forgotten_account_stays_away_until_it_is_taken_back(bench: Bench) -> None:
    """New photos in its folder are not indexed; once that is undone the daemon looks at the folder by itself."""
    opt_outs = OptOuts(bench.store.database)
    bench.put("anna/a.jpg", PICTURES[0])
    bench.put("ben/b.jpg", PICTURES[1])
    async with bench.daemon():
        await bench.until_record_is({"anna/a.jpg": PICTURES[0], "ben/b.jpg": PICTURES[1]})
        await opt_outs.forget("anna", datetime.now(UTC))
        bench.put("anna/c.jpg", PICTURES[2])
        bench.put("ben/d.jpg", PICTURES[3])
        await bench.until_record_is({"ben/b.jpg": PICTURES[1], "ben/d.jpg": PICTURES[3]})
        await opt_outs.undo("anna", datetime.now(UTC))
        await bench.until_record_is(
            {
                "anna/a.jpg": PICTURES[0],
                "anna/c.jpg": PICTURES[2],
                "ben/b.jpg": PICTURES[1],
                "ben/d.jpg": PICTURES[3],
            }
        )


async def _is_told_of_events(bench: Bench) -> bool:
    daemon = (await bench.stats()).daemon
    return daemon is not None and daemon.emitter == "events"


def _of_version(hashes, version):
    return type(hashes)(**{name: getattr(hashes, name) for name in hashes.__dataclass_fields__} | {"version": version})


async def _is_false(answer: Awaitable[bool]) -> bool:
    return not await answer
