"""Whether an unmounted disk costs anything, and a renamed folder: nothing removed, nothing fingerprinted again.

python -m benchmarks.soak.unmounted_dataset
python -m benchmarks.soak.unmounted_dataset --seconds 40 --sqlite

Runs itself in a mount namespace of its own (needs root). The disk is a tmpfs with 2,000 photos, 1,000 of them in one
folder; the dataset is a bind mount of it. With the daemon at work:

1. The dataset is unmounted for 40 s and mounted again: what `igsearch stats` says meanwhile; every row must be there
   before, meanwhile and after, the same row with the same fingerprint; no photo is fingerprinted again; a photo that is
   dropped afterwards is found.
2. Unmounted again, disk and all; its content comes back on another tmpfs (`cp -a`), so that device and inodes are other
   ones. The same must hold once every row has its new stamp; that files are digested again is no fault.
3. The folder of 1,000 is renamed: the same rows with the same fingerprints, right by name within the settle time and
   10 s.

Exits 1 when one of that does not hold.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from benchmarks.lab.daemon import Daemon, stats, watching
from benchmarks.lab.databases import Ask, Row, folder_and_target, is_stored, number, reading, wait_until_begun
from benchmarks.lab.photos import fill, small_photo
from benchmarks.lab.script import parser, report
from benchmarks.lab.timing import shown, wait_until

INSIDE = "BENCHMARK_IN_NAMESPACE"
"""The variable that says that this is the process in the namespace."""
LARGE, FOLDERS = "large", 20
RENAME_SECONDS, HEAL_SECONDS, ALL_SECONDS = 10.0, 120.0, 300.0
NEW_WORK = ("added", "updated", "unreadable")


@dataclass(frozen=True, slots=True)
class Stage:
    """The daemon at work on a dataset that can be unmounted."""

    daemon: Daemon
    ask: Ask
    url: str
    folder: Path
    seconds: float
    settle: float

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"


def main() -> int:
    arguments = parse()
    if INSIDE not in os.environ:
        enter_namespace()
    with ExitStack() as stack:
        folder, target = stack.enter_context(folder_and_target(is_sqlite=arguments.sqlite))
        disk, dataset, url = folder / "disk", folder / "dataset", target.create("unmounting")
        dataset.mkdir()
        stack.callback(unmount_all, folder)
        mount_tmpfs(disk)
        make_photos(disk, arguments.files, random.Random(arguments.seed))
        run("mount", "--bind", str(disk), str(dataset))
        daemon = stack.enter_context(watching(dataset, url, folder / "log", settle_seconds=arguments.settle))
        ask = stack.enter_context(reading(url))
        wait_until_begun(ask, arguments.files, seconds=ALL_SECONDS)
        print(f"{arguments.files:,} photos, {target.name}, unmounted for {arguments.seconds:g} s", flush=True)
        stage = Stage(daemon, ask, url, folder, arguments.seconds, arguments.settle)
        faults = [f"{title}: {fault}" for title, trial in TRIALS.items() for fault in trial(stage, title)]
        return report(faults + daemon.terminate().faults)


def parse() -> argparse.Namespace:
    options = parser(__doc__, has_daemon=True)
    options.add_argument("--files", type=int, default=2_000)
    options.add_argument("--seconds", type=float, default=40, help="how long the disk is away")
    return options.parse_args()


def enter_namespace() -> None:
    """Go on as a process with mounts of its own."""
    command = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        sys.executable,
        "-m",
        "benchmarks.soak.unmounted_dataset",
    ]
    os.execvpe(command[0], [*command, *sys.argv[1:]], {**os.environ, INSIDE: "1"})  # noqa: S606 - no shell is wanted


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def mount_tmpfs(disk: Path) -> None:
    disk.mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", str(disk))


def make_photos(disk: Path, files: int, chance: random.Random) -> None:
    """Put half of the photos into one folder, and the others into twenty."""
    fill(disk, files=files // 2, folders=1, chance=chance, prefix=LARGE)
    fill(disk, files=files - files // 2, folders=FOLDERS, chance=chance)


def unmount(folder: Path) -> None:
    """Unmount a folder, lazily if it is busy."""
    if subprocess.run(["umount", str(folder)], check=False, capture_output=True).returncode:
        print(f"{folder.name} is busy, so it is unmounted lazily", flush=True)
        run("umount", "--lazy", str(folder))


def unmount_all(folder: Path) -> None:
    """Unmount whatever is mounted below a folder, so that it can be removed."""
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        if line.split()[1].startswith(f"{folder}/"):
            run("umount", "--lazy", line.split()[1])


def away_and_back(stage: Stage, title: str) -> list[str]:
    """Unmount the dataset, and mount the same again."""
    before, mark = images(stage.ask), stage.daemon.mark()
    unmount(stage.dataset)
    faults = stay_away(stage, before)
    run("mount", "--bind", str(stage.folder / "disk"), str(stage.dataset))
    time.sleep(stage.seconds)
    return faults + unchanged(stage, title, before, mark) + found_afterwards(stage, "again")


def away_and_other(stage: Stage, title: str) -> list[str]:
    """Unmount the dataset and its disk, and mount another disk with the same content."""
    before, mark = images(stage.ask), stage.daemon.mark()
    unmount(stage.dataset)
    mount_tmpfs(stage.folder / "other")
    run("cp", "-a", f"{stage.folder / 'disk'}/.", str(stage.folder / "other"))
    unmount(stage.folder / "disk")
    faults = stay_away(stage, before)
    run("mount", "--bind", str(stage.folder / "other"), str(stage.dataset))
    device = stage.dataset.stat().st_dev
    stale = f"SELECT COUNT(*) FROM images WHERE device <> {device}"
    seconds = wait_until(lambda: not number(stage.ask, stale), seconds=HEAL_SECONDS)
    print(f"{title}: all stamps are right after {shown(seconds)} s", flush=True)
    faults += [] if seconds is not None else [f"{number(stage.ask, stale)} rows keep the stamp of the other disk"]
    return faults + unchanged(stage, title, before, mark) + found_afterwards(stage, "other")


def stay_away(stage: Stage, before: Counter[Row]) -> list[str]:
    """Wait while the disk is away; nothing may be removed."""
    time.sleep(stage.seconds)
    print(f"while it is away: {stats(stage.dataset, stage.url)}", flush=True)
    return compared(before, images(stage.ask), "while it is away")


def unchanged(stage: Stage, title: str, before: Counter[Row], mark: int) -> list[str]:
    """Print what was done since a mark, and complain about removed rows and new fingerprints."""
    after, done = images(stage.ask), Counter(outcome for outcome, _ in stage.daemon.outcomes(since=mark))
    print(
        f"{title}: {after.total():,} rows of {before.total():,}; files by outcome: {dict(done) or 'none'}", flush=True
    )
    again = [f"{done[outcome]} {outcome}" for outcome in NEW_WORK if done[outcome]]
    return compared(before, after, "at the end") + again


def images(ask: Ask) -> Counter[Row]:
    """Return the images with the fingerprints that they have, by number."""
    return Counter(ask("SELECT id, path, photo_id FROM images"))


def compared(before: Counter[Row], after: Counter[Row], when: str) -> list[str]:
    gone, new = (before - after).total(), (after - before).total()
    return [f"{when} {gone} rows are gone and {new} are new"] if gone or new else []


def found_afterwards(stage: Stage, name: str) -> list[str]:
    """Drop a new photo, and wait until it is on record."""
    path = stage.dataset / f"{LARGE}0000" / f"{name}.jpg"
    path.write_bytes(small_photo(random.Random(name)))
    there = str(path.relative_to(stage.dataset))
    seconds = wait_until(lambda: is_stored(stage.ask, there), seconds=HEAL_SECONDS)
    print(f"a photo dropped afterwards is on record after {shown(seconds)} s", flush=True)
    return [] if seconds is not None else ["a photo that was dropped afterwards is not found"]


def renamed(stage: Stage, title: str) -> list[str]:
    """Rename the large folder."""
    old, new = f"{LARGE}0000", "renamed"
    before, mark = images(stage.ask), stage.daemon.mark()
    expected = Counter(moved(row, old, new) for row in before.elements())
    (stage.dataset / old).rename(stage.dataset / new)
    seconds = wait_until(lambda: images(stage.ask) == expected, seconds=HEAL_SECONDS, every=0.1)
    goal = stage.settle + RENAME_SECONDS
    print(f"{title}: all rows are right after {shown(seconds)} s")
    faults = unchanged(stage, title, expected, mark)
    wrong = "SELECT COUNT(*) FROM images i JOIN users u ON u.id = i.user_id"
    if number(stage.ask, f"{wrong} WHERE u.username = '{old}'"):
        faults.append("rows keep the old username")
    if seconds is None or seconds > goal:
        faults.append(f"all rows right after {shown(seconds)} s, the goal is {goal:g} s")
    return faults


def moved(row: Row, old: str, new: str) -> Row:
    """Return what the row of an image must be after its folder was renamed."""
    path = os.fsdecode(cast("bytes", row[1]))
    there = path.replace(f"{old}/", f"{new}/", 1) if path.startswith(f"{old}/") else path
    return (row[0], os.fsencode(there), row[2])


TRIALS = {"mounted again": away_and_back, "on another disk": away_and_other, "folder renamed": renamed}

if __name__ == "__main__":
    sys.exit(main())
