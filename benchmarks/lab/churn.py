"""A dataset that changes all the time: the changes, how far the record lags behind, and what they do to memory."""

import itertools
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import linear_regression
from threading import Event

from benchmarks.lab.databases import Ask, differences, is_stored
from benchmarks.lab.photos import on_disk, small_photo
from benchmarks.lab.processes import MIB, Sample
from benchmarks.lab.timing import shown, wait_until

CATCH_UP_SECONDS, LAG_SECONDS = 30.0, 60.0
SAMPLE_SECONDS, POLL_SECONDS = 5.0, 0.1
PROBE = "probe"
"""The account of the photos that the lag is measured with."""
SLOPE_MINUTES, SLOPE_GOAL = 10, 1.0
MORE_OPEN_FILES = 3
"""Connections that the pool may have open at one moment and not at another."""

NEUTRAL = {"rename": 3, "move": 2, "overwrite": 2, "rename a folder": 0.3}
GROWING = {"create": 3, "copy": 0.5}
SHRINKING = {"delete": 2.5, "rename over another": 1}


def churn(
    root: Path,
    *,
    seconds: float,
    rate: float,
    chance: random.Random,
    is_cancelled: Event | None = None,
    only: str = "*",
    changed: Callable[[], None] = lambda: None,
) -> Counter[str]:
    """Change a dataset at random, `rate` times a second; return how often each kind of change was made.

    The photos that are there when it begins are those it works with, and about as many are there at the end; `only`
    those in folders with such names. `changed` is called after each change.
    """
    churner, counts = _Churner(root, chance, only), Counter[str]()
    started, waiter = time.monotonic(), is_cancelled or Event()
    for number in itertools.count():
        due = number / rate
        if due >= seconds or waiter.wait(max(0.0, started + due - time.monotonic())):
            break
        counts[churner.change()] += 1
        changed()
    return counts


class _Churner:
    """Makes one change at a time, and knows what lies where."""

    def __init__(self, root: Path, chance: random.Random, only: str) -> None:
        self._root = root
        self._chance = chance
        self._folders = sorted(path for path in root.glob(only) if path.is_dir())
        self._files = [path for folder in self._folders for path in sorted(folder.rglob("*.jpg"))]
        self._level = len(self._files)
        self._changes = {
            "create": self._create,
            "copy": self._copy,
            "rename": self._rename,
            "move": self._move,
            "rename over another": self._rename_over,
            "overwrite": self._overwrite,
            "rename a folder": self._rename_folder,
            "delete": self._delete,
        }

    def change(self) -> str:
        """Make a change, and return its kind."""
        weights = NEUTRAL | (GROWING if len(self._files) < self._level else SHRINKING)
        [kind] = self._chance.choices(list(weights), list(weights.values()))
        self._changes[kind]()
        return kind

    def _create(self) -> None:
        path = self._new_path()
        self._chance.choice((_write, _rename_part, _move_in))(path, small_photo(self._chance))
        self._files.append(path)

    def _copy(self) -> None:
        path = self._new_path()
        shutil.copyfile(self._chance.choice(self._files), path)
        self._files.append(path)

    def _rename(self) -> None:
        path = self._take()
        self._files.append(path.rename(self._new_path(path.parent)))

    def _move(self) -> None:
        self._files.append(self._take().rename(self._new_path()))

    def _rename_over(self) -> None:
        self._take().rename(self._chance.choice(self._files))

    def _overwrite(self) -> None:
        self._chance.choice(self._files).write_bytes(small_photo(self._chance))

    def _delete(self) -> None:
        self._take().unlink()

    def _rename_folder(self) -> None:
        number = self._chance.randrange(len(self._folders))
        old, new = self._folders[number], self._root / f"renamed.{self._name()}"
        self._folders[number] = old.rename(new)
        self._files = [new / path.name if path.parent == old else path for path in self._files]

    def _take(self) -> Path:
        """Take a file out of the list."""
        return self._files.pop(self._chance.randrange(len(self._files)))

    def _new_path(self, folder: Path | None = None) -> Path:
        return (folder or self._chance.choice(self._folders)) / f"{self._name()}.jpg"

    def _name(self) -> str:
        return f"{self._chance.getrandbits(48):012x}"


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _rename_part(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.rename(path)


def _move_in(path: Path, data: bytes) -> None:
    outside = path.parents[2] / path.name
    outside.write_bytes(data)
    outside.rename(path)


def measured_lag(ask: Ask, dataset: Path, minute: int) -> tuple[float | None, list[str]]:
    """Drop a photo into a folder of its own, take it away when its row is there; return how long that took."""
    path = dataset / PROBE / f"{minute}.jpg"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(small_photo(random.Random(f"probe {minute}")))
    lag = wait_until(lambda: is_stored(ask, f"{PROBE}/{minute}.jpg"), seconds=LAG_SECONDS, every=POLL_SECONDS)
    path.unlink()
    return lag, [] if lag is not None else [f"minute {minute}: a photo was not on record after {LAG_SECONDS:g} s"]


def catch_up(ask: Ask, dataset: Path, settle: float) -> list[str]:
    """Wait until the record equals the disk, and return how they differ."""
    disk = on_disk(dataset)
    seconds = wait_until(lambda: not differences(ask, disk), seconds=settle + CATCH_UP_SECONDS)
    print(f"the record equals the disk ({len(disk):,} photos) {shown(seconds)} s after the last change")
    return differences(ask, disk)


def drift(samples: Sequence[Sample], *, goal: float = SLOPE_GOAL) -> list[str]:
    """Print how memory and open files went, and return the faults; memory may grow by less than `goal`."""
    second_half = samples[len(samples) // 2 :]
    minutes, memory = [one.at / 60 for one in second_half], [one.pss / MIB for one in second_half]
    slope = linear_regression(minutes, memory).slope * SLOPE_MINUTES
    print(f"memory: {slope:+.2f} MiB in {SLOPE_MINUTES} minutes over the second half, at most {max(memory):.1f} MiB")
    quarter = len(samples) // 4
    first = max(one.open_files for one in samples[: quarter + 1])
    last = max(one.open_files for one in samples[-quarter - 1 :])
    print(f"open files: at most {first} in the first quarter, {last} in the last; {samples[-1].open_files} at the end")
    faults = [f"memory grows by {slope:.2f} MiB in {SLOPE_MINUTES} minutes"] if slope >= goal else []
    return faults + ([f"open files grow from {first} to {last}"] if last > first + MORE_OPEN_FILES else [])
