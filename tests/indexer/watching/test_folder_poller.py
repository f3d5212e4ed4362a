"""Polling: folders whose own time changed since the last poll, on real files."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.dataset import Dataset
from core.errors import PathError
from indexer.watching.folder_poller import FolderPoller

ROOT = "the dataset folder"
EVERYTHING = {ROOT, "anna", "bob", "carl"}
LONG_AGO, SOON = 10**18, time.time_ns() + 3600 * 10**9


def _date(root: Path, moment: int) -> None:
    """Set the times of all folders."""
    for folder, _, _ in os.walk(os.fsencode(root)):
        os.utime(folder, ns=(moment, moment))


def new_poller(root: Path) -> FolderPoller:
    return FolderPoller(Dataset(root))


def changed(folders: FolderPoller) -> set[str]:
    """Return the accounts whose folders changed, and ROOT."""
    changes = folders.changed()
    return changes.usernames | ({ROOT} if changes.is_root_changed else set())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset with old folders."""
    root = tmp_path / "images"
    for folder in ("anna", "bob/deep/down", "carl", os.fsdecode(b"carl/\xff\n")):
        (root / folder).mkdir(parents=True)
    for file in ("anna/a.jpg", "bob/deep/down/b.jpg"):
        (root / file).write_bytes(b"photo")
    _date(root, LONG_AGO)
    return root


def test_the_first_look_names_every_account_and_the_second_none(root: Path) -> None:
    """Accounts unchanged since the last poll are not named again; all folders are counted, the root included."""
    folders = new_poller(root)

    looks = [changed(folders) for _ in range(3)]

    assert looks == [EVERYTHING, set(), set()]
    assert len(folders) == 7


CHANGES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "nothing": (lambda _: None, set()),
    "added": (lambda root: (root / "anna/new.jpg").touch(), {"anna"}),
    "removed": (lambda root: (root / "anna/a.jpg").unlink(), {"anna"}),
    "renamed": (lambda root: (root / "anna/a.jpg").rename(root / "anna/b.jpg"), {"anna"}),
    "moved": (lambda root: (root / "anna/a.jpg").rename(root / "carl/a.jpg"), {"anna", "carl"}),
    "deep": (lambda root: (root / "bob/deep/down/b.jpg").unlink(), {"bob"}),
    "odd name": (lambda root: (root / os.fsdecode(b"carl/\xff\n/a.jpg")).touch(), {"carl"}),
    "new folder": (lambda root: (root / "anna/more").mkdir(), {"anna"}),
    "new account": (lambda root: (root / "Dora/x").mkdir(parents=True), {ROOT, "dora"}),
    "account removed": (lambda root: shutil.rmtree(root / "bob"), {ROOT, "bob"}),
    "account renamed": (lambda root: (root / "bob").rename(root / "dora"), {ROOT, "bob", "dora"}),
    "dated back": (lambda root: os.utime(root / "anna", ns=(1, 1)), {"anna"}),
    "beside the accounts": (lambda root: (root / "loose.jpg").touch(), {ROOT}),
    "written in place": (lambda root: (root / "anna/a.jpg").write_bytes(b"other"), set()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_names_its_accounts(root: Path, change: str) -> None:
    """Every entry that comes, goes or is renamed names its account and no other, writing in place none."""
    act, accounts = CHANGES[change]
    folders = new_poller(root)
    changed(folders)
    act(root)

    named = changed(folders)
    _date(root, LONG_AGO + 1)
    changed(folders)

    assert named == accounts
    assert changed(folders) == set()


def test_what_changed_just_now_is_named_once_more(root: Path) -> None:
    """A folder may change again within a tick of the disk's clock, so a fresh one is named until it is older."""
    _date(root / "anna", SOON)
    folders = new_poller(root)
    changed(folders)

    fresh = [changed(folders), changed(folders)]
    _date(root / "anna", LONG_AGO)
    older = [changed(folders), changed(folders)]

    assert fresh == [{"anna"}, {"anna"}]
    assert older == [{"anna"}, set()]


def test_what_the_rule_leaves_out_is_not_looked_into(root: Path) -> None:
    """Folders whose names don't fit, those of systems, and links are neither named nor entered."""
    for folder in ("two words", ".hidden", "@eaDir", "anna/.cache/deep", "anna/@eaDir"):
        (root / folder).mkdir(parents=True)
    (root / "link").symlink_to(root / "bob")
    (root / "anna/link").symlink_to(root / "bob")
    folders = new_poller(root)

    named = changed(folders)

    assert named == EVERYTHING
    assert len(folders) == 7


def test_folders_of_one_name_are_one_account(root: Path) -> None:
    """A change in either of two folders that differ in case only names the one account."""
    (root / "ANNA").mkdir()
    _date(root, LONG_AGO)
    folders = new_poller(root)
    changed(folders)

    (root / "ANNA/a.jpg").touch()

    assert changed(folders) == {"anna"}


def test_an_absent_dataset_is_an_error(root: Path) -> None:
    """A missing dataset folder ends the poll with exit code 66; when it is back every account is named."""
    folders = new_poller(root)
    changed(folders)
    aside = root.rename(root.with_name("aside"))

    with pytest.raises(PathError, match="images") as fault:
        changed(folders)
    aside.rename(root)

    assert fault.value.exit_code == 66
    assert changed(folders) == EVERYTHING
