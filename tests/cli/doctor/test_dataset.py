"""What `igsearch doctor` sees of a dataset: real folders, and the kernel's real limits where they can be set."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.doctor.dataset import check_dataset, check_events, take_inventory
from cli.doctor.finding import ok
from core.dataset import Dataset
from core.errors import PathError

HERE = Path(__file__).parents[2]
NO_EVENTS = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"'
WITHOUT_EVENTS = ("unshare", "--user", "--map-root-user", "sh", "-c", NO_EVENTS, "sh")
LOOK = "from cli.doctor.dataset import check_events; print(check_events(None)[0].detail)"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for path in ("anna/a.jpg", "anna/features/b.jpg", "bob/c.jpg", "bob/c.json", ".hidden/d.jpg", "bob/@eaDir/e.jpg"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"photo")
    return root


def test_accounts_photos_and_folders_are_counted(root: Path) -> None:
    """Photos by the rule of the dataset; folders all, as all are watched."""
    (root / "linked").symlink_to(root / "bob")

    inventory = take_inventory(Dataset(root))

    assert (inventory.accounts, inventory.photos, inventory.folders) == (2, 3, 6)
    assert check_dataset(inventory) == [ok("dataset", f"2 account(s), 3 photo(s) in {root}")]


def test_a_huge_dataset_is_looked_into_in_part(root: Path) -> None:
    """What is known of is counted, and the photos of the rest are reckoned."""
    for number in range(60):
        (root / f"user{number}").mkdir()
        (root / f"user{number}" / "a.jpg").write_bytes(b"photo")

    inventory = take_inventory(Dataset(root), most_folders=31)

    assert inventory.listed == 31
    assert 64 <= inventory.folders <= 66
    assert 50 <= inventory.expected_photos <= 66
    assert check_dataset(inventory)[0].detail.startswith("about ")


def test_names_that_are_no_usernames_are_to_be_renamed(root: Path) -> None:
    """The first few are named, in one finding."""
    for name in ("no name", "also no name", "x" * 31, "ümlaut"):
        (root / name).mkdir()

    [finding] = check_dataset(take_inventory(Dataset(root)))

    assert finding.state == "fix"
    assert finding.detail.count("rename it") == 3
    assert finding.detail.endswith("And 1 more.")


def test_a_dataset_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Or that is a file."""
    (tmp_path / "file").write_text("")

    with pytest.raises(PathError, match="There is no dataset folder"):
        take_inventory(Dataset(tmp_path / "images"))
    with pytest.raises(PathError, match="is not a folder"):
        take_inventory(Dataset(tmp_path / "file"))


def test_too_few_watches_are_named_with_the_line_that_mends_it(root: Path, tmp_path: Path) -> None:
    """The limit that is too low is named as sysctl names it."""
    inventory = take_inventory(Dataset(root))
    low, high = tmp_path / "proc/sys/fs/inotify/max_user_watches", tmp_path / "proc/sys/user/max_inotify_watches"
    for file, limit in ((low, inventory.folders - 1), (high, 999)):
        file.parent.mkdir(parents=True)
        file.write_text(f"{limit}\n")

    [few] = check_events(inventory, (high, low))
    [enough] = check_events(inventory, (high,))

    assert "6 folder(s) are to be watched, but this user's programs may watch only 5" in few.detail
    assert "write fs.inotify.max_user_watches=524288 to /etc/sysctl.d/" in few.detail
    assert enough == ok("events", "6 folder(s) to watch, 999 allowed")
    assert check_events(inventory, (tmp_path / "none",))[0].state == "skipped"
    assert check_events(None)[0].state == "skipped"


def test_a_kernel_that_gives_no_more_events_is_named() -> None:
    """Where others have taken every inotify instance that this user may have."""
    if subprocess.run([*WITHOUT_EVENTS, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no limit can be set here")

    told = subprocess.run([*WITHOUT_EVENTS, sys.executable, "-c", LOOK], cwd=HERE, check=True, capture_output=True)

    assert b"the kernel gives no more events to user" in told.stdout
    assert b"fs.inotify.max_user_instances" in told.stdout
