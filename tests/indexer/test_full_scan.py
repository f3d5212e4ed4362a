"""A rescan makes the record equal the disk: real files, real workers, a real database."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.dataset import Dataset
from core.errors import PathError, TooSlow
from core.model.records import MoveImage, PutImage
from core.model.statuses import ScanReport
from core.storage.database import Database, sqlite_url
from core.storage.opt_outs import OptOuts
from core.storage.store import Store
from core.workers.pool import PhotoWorkers
from core.workers.tasks import VERSIONS, FileDigest, FileHashes
from indexer.full_scan import FullScan, Removal
from indexer.scanning.account_scan import ScanOptions
from indexer.scanning.write_batch import FileOutcome
from tests.pictures import photo_bytes

START = datetime(2026, 1, 1, tzinfo=UTC)


class PhotoReader:
    """Real workers that count what they open."""

    def __init__(self, workers: PhotoWorkers) -> None:
        self._workers = workers
        self.digested: list[bytes] = []
        self.fingerprinted: list[bytes] = []

    async def digest_file(self, path: bytes) -> FileDigest:
        self.digested.append(path)
        return await self._workers.digest_file(path)

    async def hash_file(self, path: bytes) -> FileHashes:
        self.fingerprinted.append(path)
        return await self._workers.hash_file(path)


class StoppingReader(PhotoReader):
    """A reader that signals when it has hashed the first file."""

    def __init__(self, workers: PhotoWorkers, at_first_file: Callable[[], None]) -> None:
        super().__init__(workers)
        self._at_first_file = at_first_file

    async def hash_file(self, path: bytes) -> FileHashes:
        hashes = await super().hash_file(path)
        self._at_first_file()
        return hashes


class SlowDisk(PhotoReader):
    """A reader for which every picture takes too long."""

    def __init__(self) -> None:
        self.digested, self.fingerprinted = [], []

    async def hash_file(self, path: bytes) -> FileHashes:
        raise TooSlow("It took too long.")


class ProgressRecorder:
    """A recorder of the sentences of a scan."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def expect(self, files: int) -> None: ...

    def advance(self, outcome: FileOutcome, files: int) -> None: ...

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


class Bench:
    """A dataset on disk, its store, and one rescan after another."""

    def __init__(self, root: Path, store: Store, workers: PhotoWorkers) -> None:
        self.root = root
        self.store = store
        self.workers = workers
        self.reader = PhotoReader(workers)
        self.progress = ProgressRecorder()
        self.now = START
        self.is_asked = False

    def put(self, path: str, content: bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    async def rescan(self, *, remove_missing: bool = False) -> ScanReport:
        self.reader.digested.clear()
        self.reader.fingerprinted.clear()
        self.progress.sentences.clear()
        options = ScanOptions(Dataset(self.root), workers=2, clock=lambda: self.now, is_asked=self.is_asked)
        removal = Removal(pause_seconds=0, is_meant=remove_missing)
        async with self.store.hold_lock():
            report = await FullScan(
                options, removal, store=self.store, reader=self.reader, progress=self.progress
            ).run()
        return replace(report, seconds=0.0)

    async def record(self) -> dict[bytes, str]:
        """Return the paths on record with the username each is filed under."""
        records = [await self.store.read_images(name) for name in await self.store.list_usernames()]
        return {path: one.place.username for record in records for path, one in record.items()}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    root = tmp_path / "images"
    root.mkdir()
    store = Store(Database(sqlite_url(tmp_path / "store.db")), VERSIONS)
    await store.schema.create()
    async with PhotoWorkers(2) as workers:
        yield Bench(root, store, workers)
    await store.close()


PICTURES = [photo_bytes(seed) for seed in range(8)]


async def test_photos_are_added_once(bench: Bench) -> None:
    """The first rescan adds every photo; the second opens none."""
    bench.put("anna/a.jpg", PICTURES[0])
    bench.put("bob/features/down/b", PICTURES[1])

    first, second = await bench.rescan(), await bench.rescan()

    assert first == ScanReport(added=2)
    assert second == ScanReport(unchanged=2)
    assert (bench.reader.digested, bench.reader.fingerprinted) == ([], [])
    assert await bench.record() == {b"anna/a.jpg": "anna", b"bob/features/down/b": "bob"}


async def test_folders_of_one_name_are_one_account(bench: Bench) -> None:
    """Folders that differ only in case belong to the same username, each with its own paths."""
    bench.put("Anna/a.jpg", PICTURES[0])
    bench.put("anna/a.jpg", PICTURES[1])

    await bench.rescan()

    assert await bench.record() == {b"Anna/a.jpg": "anna", b"anna/a.jpg": "anna"}


async def test_a_changed_photo_is_updated(bench: Bench) -> None:
    """A file with new bytes is fingerprinted again under its path."""
    file = bench.put("anna/a.jpg", PICTURES[0])
    await bench.rescan()
    file.write_bytes(PICTURES[1])

    report = await bench.rescan()

    assert report == ScanReport(updated=1)
    assert (await bench.store.statuses.read_stats()).images == 1


async def test_a_touched_photo_is_not_fingerprinted(bench: Bench) -> None:
    """A file whose time alone changed is digested, and known from then on."""
    file = bench.put("anna/a.jpg", PICTURES[0])
    await bench.rescan()
    os.utime(file, ns=(1, 1))

    report = await bench.rescan()
    fingerprinted = list(bench.reader.fingerprinted)
    again = await bench.rescan()

    assert report == again == ScanReport(unchanged=1)
    assert fingerprinted == []
    assert bench.reader.digested == []


async def test_a_remounted_disk_is_known_by_its_files(bench: Bench) -> None:
    """When a disk comes back under another device number, its photos are taken as they are; none is opened."""
    bench.put("anna/a.jpg", PICTURES[0])
    await bench.rescan()
    [image] = (await bench.store.read_images("anna")).values()
    other_device = replace(image.stamp, device=image.stamp.device + 1)
    async with bench.store.hold_lock():
        await bench.store.write([MoveImage(image.image_id, image.place, other_device)])

    report = await bench.rescan()

    assert report == ScanReport(unchanged=1)
    assert (bench.reader.digested, bench.reader.fingerprinted) == ([], [])
    assert await bench.store.read_images("anna") == {b"anna/a.jpg": image}


async def test_a_renamed_folder_moves_its_rows_unopened(bench: Bench) -> None:
    """When a user folder is renamed its photos move to the new account and no file is opened."""
    for number in range(6):
        bench.put(f"anna/{number}.jpg", PICTURES[number])
    await bench.rescan()
    (bench.root / "anna").rename(bench.root / "bob")

    report = await bench.rescan()

    assert report == ScanReport(moved=6)
    assert (bench.reader.digested, bench.reader.fingerprinted) == ([], [])
    assert set((await bench.record()).values()) == {"bob"}


async def test_a_photo_moved_by_copy_is_not_fingerprinted(bench: Bench) -> None:
    """A photo that comes back under another path, inode and time moves by its bytes."""
    file = bench.put("anna/a.jpg", PICTURES[0])
    bench.put("carl/c.jpg", PICTURES[1])
    await bench.rescan()
    bench.put("bob/b.jpg", PICTURES[0])
    file.unlink()

    report = await bench.rescan()

    assert report == ScanReport(moved=1, unchanged=1)
    assert bench.reader.fingerprinted == []


async def test_identical_bytes_are_fingerprinted_once(bench: Bench) -> None:
    """Twins in one rescan and copies made later share one fingerprint, and every owner is on record."""
    bench.put("anna/a.jpg", PICTURES[0])
    bench.put("bob/b.jpg", PICTURES[0])
    await bench.rescan()
    first = list(bench.reader.fingerprinted)
    bench.put("carl/c.jpg", PICTURES[0])
    os.link(bench.root / "anna/a.jpg", bench.root / "anna/link.jpg")

    report = await bench.rescan()

    assert len(first) == 1
    assert report == ScanReport(added=2, unchanged=2)
    assert bench.reader.fingerprinted == []
    assert sorted((await bench.record()).values()) == ["anna", "anna", "bob", "carl"]


async def test_two_photos_that_change_places_stay_two(bench: Bench) -> None:
    """When two files exchange their names each path gets the other's bytes."""
    one, two = bench.put("anna/1.jpg", PICTURES[0]), bench.put("anna/2.jpg", PICTURES[1])
    await bench.rescan()
    before = await bench.store.read_images("anna")
    aside = bench.root / "aside"
    one.rename(aside)
    two.rename(one)
    aside.rename(two)

    report = await bench.rescan()

    after = await bench.store.read_images("anna")
    assert report == ScanReport(updated=2)
    assert after[b"anna/1.jpg"].sha256 == before[b"anna/2.jpg"].sha256
    assert after[b"anna/2.jpg"].sha256 == before[b"anna/1.jpg"].sha256
    assert bench.reader.fingerprinted == []


async def test_removed_photos_go(bench: Bench) -> None:
    """A few deleted files are removed while others are there."""
    for number in range(4):
        bench.put(f"anna/{number}.jpg", PICTURES[number])
    await bench.rescan()
    (bench.root / "anna/0.jpg").unlink()
    (bench.root / "anna/1.jpg").unlink()

    report = await bench.rescan()

    assert report == ScanReport(removed=2, unchanged=2)
    assert set(await bench.record()) == {b"anna/2.jpg", b"anna/3.jpg"}


@pytest.mark.parametrize("remains", ["empty", "most gone"])
async def test_a_suspicious_root_removes_nothing(bench: Bench, remains: str) -> None:
    """An emptied dataset, or one that lacks a fifth or more, keeps every row, and the scan says why and what to do."""
    for number in range(8):
        bench.put(f"user{number}/a.jpg", PICTURES[number])
    await bench.rescan()
    for number in range(8 if remains == "empty" else 6):
        shutil.rmtree(bench.root / f"user{number}")

    report = await bench.rescan()
    [sentence] = bench.progress.sentences
    kept = (await bench.store.statuses.read_stats()).images
    meant = await bench.rescan(remove_missing=True)

    assert report.removed == 0
    assert kept == 8
    assert "Dataset suspicious" in sentence
    assert "--remove-missing" in sentence
    assert meant.removed == (8 if remains == "empty" else 6)


async def test_an_absent_root_is_an_error_and_removes_nothing(bench: Bench) -> None:
    """A dataset folder that is not there ends the rescan with exit code 66; when it is back nothing was lost."""
    bench.put("anna/a.jpg", PICTURES[0])
    await bench.rescan()
    aside = bench.root.rename(bench.root.with_name("aside"))

    with pytest.raises(PathError) as fault:
        await bench.rescan()
    aside.rename(bench.root)

    assert fault.value.exit_code == 66
    assert await bench.rescan() == ScanReport(unchanged=1)


async def test_what_the_rule_leaves_out_is_not_indexed(bench: Bench) -> None:
    """Names that don't fit are reported once each, system files are ignored silently; none of these is recorded."""
    bench.put("anna/a.jpg", PICTURES[0])
    for path in ("two words/a.jpg", "two words/b.jpg", "loose.jpg"):
        bench.put(path, PICTURES[1])
    for path in (
        ".hidden/a.jpg",
        "anna/.a.jpg.x8Fg2",
        "anna/@eaDir/a.jpg",
        "anna/:tagged/a.jpg",
        "anna/a.jpg.part",
        "anna/a.jpg.crdownload",
        "anna/a.tmp",
        "anna/a.jpg~",
        "anna/a.json",
        "anna/a.json.xz",
        "anna/a.txt",
        "anna/id",
        "anna/Thumbs.db",
        "anna/clip.mp4",
        "lost+found/a.jpg",
        "__MACOSX/a.jpg",
        "#recycle/a.jpg",
        "README.md",
    ):
        bench.put(path, PICTURES[2])

    report = await bench.rescan()

    assert report.added == 1
    assert await bench.record() == {b"anna/a.jpg": "anna"}
    assert len(bench.progress.sentences) == 2
    assert any("'two words'" in sentence for sentence in bench.progress.sentences)
    assert any("loose.jpg" in sentence for sentence in bench.progress.sentences)


async def test_nothing_but_regular_files_is_opened(bench: Bench) -> None:
    """Symbolic links, FIFOs and sockets are not opened, and neither are the targets of links."""
    target = bench.put("anna/a.jpg", PICTURES[0])
    (bench.root / "anna/link.jpg").symlink_to(target)
    (bench.root / "bob").symlink_to(bench.root / "anna")
    os.mkfifo(bench.root / "anna/pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(bench.root / "anna/sock.jpg"))
        report = await bench.rescan()

    assert report == ScanReport(added=1, ignored=4)


async def test_any_name_comes_back(bench: Bench) -> None:
    """Names of any bytes are indexed and found unchanged by the next rescan."""
    names = [b"\xff\xfe", b"new\nline", b"quote'\"", "😀".encode(), "é".encode(), "e\u0301".encode(), b"x" * 255]
    folder = bench.root / "anna"
    folder.mkdir()
    for number, name in enumerate(names):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(PICTURES[number])

    first, second = await bench.rescan(), await bench.rescan()

    assert first.added == second.unchanged == len(names)
    assert set(await bench.record()) == {b"anna/" + name for name in names}


async def test_unreadable_files_are_in_the_ledger_and_left_alone(bench: Bench) -> None:
    """A broken file is recorded with its reason, not opened again, and read when it changes."""
    broken = bench.put("anna/broken.jpg", PICTURES[0][:2000])
    bench.put("anna/notes.jpg", b"no picture")
    first = await bench.rescan()
    second = await bench.rescan()
    opened = bench.reader.fingerprinted + bench.reader.digested
    ledger = await bench.store.read_ledger()
    broken.write_bytes(PICTURES[0])

    third = await bench.rescan()

    assert (first.unreadable, second.unreadable) == (2, 2)
    assert opened == []
    assert {path: entry.kind for path, entry in ledger.items()} == {
        b"anna/broken.jpg": "corrupt",
        b"anna/notes.jpg": "type",
    }
    assert all(entry.attempts == 1 and entry.next_retry is None for entry in ledger.values())
    assert third == ScanReport(added=1, unreadable=1)


async def test_a_passing_fault_is_tried_again_later(bench: Bench) -> None:
    """A file that could not be read for a passing reason is tried again after growing pauses, never in a loop."""
    bench.put("anna/a.jpg", PICTURES[0])
    bench.reader = SlowDisk()
    attempts = []
    for _ in range(7):
        await bench.rescan()
        await bench.rescan()
        [entry] = (await bench.store.read_ledger()).values()
        attempts.append((entry.attempts, (bench.now - START) / timedelta(hours=1)))
        assert entry.next_retry
        bench.now = entry.next_retry

    assert attempts == [(1, 0), (2, 1), (3, 3), (4, 7), (5, 15), (6, 31), (7, 47)]


async def test_a_passing_fault_keeps_what_is_known(bench: Bench) -> None:
    """A photo that cannot be opened just now stays on record, and is read when a person asks again."""
    file = bench.put("anna/a.jpg", PICTURES[0])
    await bench.rescan()
    workers, bench.reader = bench.reader, SlowDisk()
    file.write_bytes(PICTURES[1])
    failed = await bench.rescan()
    kept = (await bench.store.statuses.read_stats()).images

    bench.reader = workers
    bench.is_asked = True
    asked = await bench.rescan()

    assert failed == ScanReport(unreadable=1)
    assert kept == 1
    assert asked == ScanReport(updated=1)


async def test_a_deleted_unreadable_file_leaves_the_ledger(bench: Bench) -> None:
    """The ledger lists no file that is gone."""
    broken = bench.put("anna/broken.jpg", b"no picture")
    bench.put("anna/a.jpg", PICTURES[0])
    await bench.rescan()
    broken.unlink()

    report = await bench.rescan()

    assert report == ScanReport(unchanged=1)
    assert await bench.store.read_ledger() == {}


async def test_a_stopped_rescan_is_continued_by_the_next(bench: Bench) -> None:
    """After a stop what was finished is on record, and the next rescan adds just the rest."""
    for number in range(8):
        bench.put(f"anna/{number}.jpg", PICTURES[number])
    for number in range(40):
        bench.put(f"bob/{number}.jpg", PICTURES[number % 8] + bytes(number + 1))
    options = ScanOptions(Dataset(bench.root), workers=2, clock=lambda: START)
    reader = StoppingReader(bench.workers, lambda: rescan.stop())  # noqa: PLW0108 - it is made below
    rescan = FullScan(options, Removal(pause_seconds=0), store=bench.store, reader=reader, progress=ProgressRecorder())
    async with bench.store.hold_lock():
        stopped = await rescan.run()
    noted = (await bench.store.statuses.read_stats()).last_scan

    rest = await bench.rescan()

    assert 0 < stopped.added < 48
    assert noted is None
    assert rest == ScanReport(added=48 - stopped.added, unchanged=stopped.added)


async def test_an_outdated_fingerprint_is_made_again(bench: Bench) -> None:
    """A row of another hashes version is fingerprinted again although the file did not change."""
    bench.put("anna/a.jpg", PICTURES[0])
    await bench.rescan()
    [image] = (await bench.store.read_images("anna")).values()
    hashes = await bench.store.find_hashes(image.sha256)
    assert hashes
    async with bench.store.hold_lock():
        await bench.store.write([PutImage(image.place, image.stamp, replace(hashes, version=VERSIONS.hashes + 1))])

    report = await bench.rescan()

    assert report == ScanReport(updated=1)
    assert await bench.store.find_hashes(image.sha256) == hashes


async def test_a_file_that_is_being_written_is_taken_by_the_next_rescan(bench: Bench) -> None:
    """Bytes read during a change are never recorded under a stamp that is not theirs."""
    file = bench.put("anna/a.jpg", PICTURES[0])
    reports = []

    async def keep_writing() -> None:
        for _ in range(200):
            os.utime(file)
            await asyncio.sleep(0)

    writing = asyncio.create_task(keep_writing())
    reports.append(await bench.rescan())
    await writing
    reports.append(await bench.rescan())

    [image] = (await bench.store.read_images("anna")).values()
    assert image.stamp.mtime_ns == file.stat().st_mtime_ns


async def test_a_forgotten_account_is_left_alone(bench: Bench) -> None:
    """A forgotten account's folder is reported and not opened, others are indexed; once undone, it is indexed again."""
    opt_outs = OptOuts(bench.store.database)
    bench.put("Anna/1.jpg", photo_bytes(1))
    bench.put("bob/2.jpg", photo_bytes(2))
    await opt_outs.forget("anna", START)

    report = await bench.rescan()
    kept_out, said = await bench.record(), list(bench.progress.sentences)
    await opt_outs.undo("anna", START)
    await bench.rescan()

    assert report == ScanReport(added=1, ignored=1)
    assert kept_out == {b"bob/2.jpg": "bob"}
    assert " ".join(said) == (
        "Folder 'Anna' is not indexed: anna was forgotten. Remove the folder, or undo this with `igsearch forget"
        " --undo anna`."
    )
    assert await bench.record() == {b"Anna/1.jpg": "anna", b"bob/2.jpg": "bob"}
