"""Removal: missing files count as removed after two checks, and never all of them."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.dataset import Dataset
from core.model.files import FileStamp, Place
from core.model.records import ImageRecord
from indexer.scanning.account_scan import ScanFindings
from indexer.scanning.listing import is_gone
from indexer.scanning.removal import HANDFUL, MissingFiles, still_missing, suspicion

MANY = st.integers(0, 100_000)


def _image(number: int, path: str) -> ImageRecord:
    place = Place(path.split("/", maxsplit=1)[0], path.encode())
    return ImageRecord(number, place, FileStamp(1, 1, number, 1), sha256=bytes(32), version=1)


ANNA, BOB = _image(1, "anna/a.jpg"), _image(2, "bob/b.jpg")


@pytest.mark.parametrize(
    ("missing", "recorded", "listed", "reason"),
    [
        (0, 0, 0, None),
        (0, 100, 100, None),
        (1, 1, 0, "the dataset is empty, yet 1 photos are on record"),
        (2000, 2000, 0, "the dataset is empty, yet 2,000 photos are on record"),
        (5, 6, 1, None),
        (6, 30, 24, "6 of 30 photos are missing from the dataset"),
        (6, 31, 25, None),
        (199, 1000, 801, None),
        (5000, 25000, 20000, "5,000 of 25,000 photos are missing from the dataset"),
    ],
)
def test_too_many_missing_files_are_not_believed(missing: int, recorded: int, listed: int, reason: str | None) -> None:
    """An empty dataset is suspicious, and so is one of which more than a handful and at least a fifth is missing."""
    assert suspicion(missing, recorded=recorded, listed=listed) == reason


@given(st.integers(0, HANDFUL), st.integers(1, 100_000))
def test_a_handful_may_always_go(missing: int, listed: int) -> None:
    """A few missing files count as removed from a dataset of any size while others exist."""
    assert suspicion(missing, recorded=missing + listed, listed=listed) is None


@given(MANY, MANY, MANY)
def test_more_missing_is_never_less_suspicious(missing: int, more: int, recorded: int) -> None:
    """If a number of missing files is suspicious, so is any larger number."""
    recorded += missing + more

    few = suspicion(missing, recorded=recorded, listed=recorded - missing)
    many = suspicion(missing + more, recorded=recorded, listed=recorded - missing - more)

    assert few is None or many is not None


def test_a_file_is_missing_since_it_was_first_noted() -> None:
    """Further scans that miss a file keep the time since which it has been missing."""
    missing = MissingFiles()
    missing.note(ScanFindings(missing={"anna": [ANNA]}), now=1.0)
    missing.note(ScanFindings(missing={"anna": [ANNA], "bob": [BOB]}), now=5.0)

    since = [missing.since(moment) for moment in (0.9, 1.0, 4.9, 5.0)]

    assert since == [[], [ANNA.place.path], [ANNA.place.path], [ANNA.place.path, BOB.place.path]]
    assert missing.images == 2


@pytest.mark.parametrize(
    ("findings", "images"),
    [
        (ScanFindings(missing={"anna": [ANNA], "bob": []}), {ANNA}),
        (ScanFindings(missing={"bob": []}), {ANNA}),
        (ScanFindings(missing={"carl": []}), {ANNA, BOB}),
        (ScanFindings(missing={"carl": []}, relocated={1}), {BOB}),
        (ScanFindings(missing={"anna": []}, relocated={2}), set()),
        (ScanFindings(), {ANNA, BOB}),
    ],
)
def test_what_is_back_or_elsewhere_is_missing_no_more(findings: ScanFindings, images: set[ImageRecord]) -> None:
    """A scan decides about its own accounts, and about files that it found at another path; the others stay."""
    missing = MissingFiles()
    missing.note(ScanFindings(missing={"anna": [ANNA], "bob": [BOB]}), now=1.0)

    missing.note(findings, now=2.0)

    assert set(missing.since(2.0)) == {image.place.path for image in images}
    assert missing.images == len(images)


def test_a_file_that_was_back_is_missing_anew() -> None:
    """A file that came back and went again has been missing since it went again."""
    missing = MissingFiles()
    missing.note(ScanFindings(missing={"anna": [ANNA]}), now=1.0)
    missing.note(ScanFindings(missing={"anna": []}), now=2.0)
    missing.note(ScanFindings(missing={"anna": [ANNA]}), now=3.0)

    assert (missing.since(2.9), missing.since(3.0)) == ([], [ANNA.place.path])


def test_an_entry_of_the_ledger_is_missing_but_no_image() -> None:
    """Missing unreadable files are removed too, and make no dataset suspicious."""
    missing = MissingFiles()

    missing.note(ScanFindings(missing={"anna": []}, missing_failures=[Place("anna", b"anna/broken.jpg")]), now=1.0)
    since = missing.since(1.0)
    missing.note(ScanFindings(missing={"anna": []}), now=2.0)

    assert since == [b"anna/broken.jpg"]
    assert missing.images == 0
    assert missing.since(2.0) == []


def test_what_is_forgotten_is_not_missing() -> None:
    """Paths that were decided about are dropped, known or not."""
    missing = MissingFiles()
    missing.note(ScanFindings(missing={"anna": [ANNA], "bob": [BOB]}), now=1.0)

    missing.discard([ANNA.place.path, b"never/noted.jpg"])

    assert missing.since(1.0) == [BOB.place.path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    (root / "anna/folder.jpg").mkdir(parents=True)
    (root / "anna/a.jpg").write_bytes(b"photo")
    (root / "anna/a.txt").write_bytes(b"left out by the rule")
    (root / "anna/link.jpg").symlink_to("a.jpg")
    os.mkfifo(root / "anna/pipe.jpg")
    return root


@pytest.mark.parametrize(
    ("path", "is_missing"),
    [
        (b"anna/a.jpg", False),
        (b"anna/gone.jpg", True),
        (b"bob/gone.jpg", True),
        (b"anna/a.jpg/below-a-file.jpg", True),
        (b"anna/folder.jpg", True),
        (b"anna/link.jpg", True),
        (b"anna/pipe.jpg", True),
        (b"anna/a.txt", True),
        (b"anna/" + b"x" * 300, False),
    ],
)
def test_a_second_look_believes_what_it_sees(root: Path, path: bytes, is_missing: bool) -> None:  # noqa: FBT001
    """A path is still missing if the disk certainly has no photo file there; in doubt it has one."""
    missing = still_missing(Dataset(root), Dataset(root).identity(), [path])

    assert missing == ([path] if is_missing else [])


@pytest.mark.parametrize("loss", ["absent", "another"])
def test_without_its_root_nothing_is_missing(root: Path, loss: str) -> None:
    """A dataset folder that is absent, or another one than before, proves no file gone."""
    identity = Dataset(root).identity()
    root.rename(root.with_name("aside"))
    if loss == "another":
        root.mkdir()

    assert still_missing(Dataset(root), identity, [b"anna/a.jpg", b"anna/gone.jpg"]) == []


def test_what_cannot_be_looked_at_is_not_gone(tmp_path: Path) -> None:
    """A path is gone when nothing lies there, not when the system refuses to say (a name that is too long, as root)."""
    here = tmp_path / "here"
    here.touch()

    answers = [is_gone(bytes(path)) for path in (here, tmp_path / "absent", here / "below", tmp_path / ("x" * 300))]

    assert answers == [False, True, True, False]
