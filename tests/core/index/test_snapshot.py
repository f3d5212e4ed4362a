"""A snapshot comes back whole or not at all."""

import json
import multiprocessing
import os
import signal
import sys
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.index import snapshot
from core.index.hamming import HammingIndex, Tuning

KEY: dict[str, str | int] = {"database": "8f1c", "revision": 12}
TUNINGS = [Tuning(), Tuning(flat_up_to=0, crowded=inf)]
ARRAYS = {"0.ids": np.arange(40), "0.words": np.arange(160, dtype=np.uint64).reshape(40, 4), "empty": np.empty((0, 4))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place for a snapshot in a cache that does not exist yet."""
    return tmp_path / "cache" / "hamming"


def test_what_is_saved_is_loaded(folder):
    """Key and arrays come back as they were, mapped and read-only."""
    snapshot.save(folder, KEY, ARRAYS)

    loaded = snapshot.load(folder)

    assert loaded is not None
    assert loaded.key == KEY
    assert loaded.arrays.keys() == ARRAYS.keys()
    assert all(np.array_equal(array, ARRAYS[name]) for name, array in loaded.arrays.items())
    assert all(array.dtype == ARRAYS[name].dtype for name, array in loaded.arrays.items())
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in loaded.arrays.values())


@pytest.mark.parametrize(("bits", "radius"), [(256, 31), (64, 4)])
@pytest.mark.parametrize("tuning", TUNINGS)
def test_a_loaded_index_is_the_saved_one(folder, bits, radius, tuning):
    """The index answers alike before the save and after the load, and lives on: adds, replaces, discards."""
    hashes = np.random.default_rng(1).integers(0, 256, (300, bits // 8), dtype=np.uint8)
    index = HammingIndex(bits=bits, radius=radius, tuning=tuning)
    index.add(np.arange(280), hashes[:280])
    index.discard(np.arange(5))
    index.add(np.arange(280, 290), hashes[280:290])
    snapshot.save(folder, KEY, index.arrays())

    loaded = snapshot.load(folder)
    assert loaded is not None
    again = HammingIndex.from_arrays(loaded.arrays, bits=bits, radius=radius, tuning=tuning)

    assert again.nearest(hashes).ids.tolist() == index.nearest(hashes).ids.tolist() == list(range(5, 290))
    again.add(np.array([6, 300]), hashes[[290, 291]])
    again.discard(np.array([7, 289]))
    assert again.nearest(hashes[[5, 6, 7, 289, 290, 291]]).ids.tolist() == [5, 6, 300]
    assert len(again) == len(index) - 1


def test_the_newer_snapshot_takes_the_place_of_the_older(folder):
    """Saving again leaves the newer snapshot, no remains, and the older one's mapped arrays usable."""
    snapshot.save(folder, KEY, ARRAYS)
    older = snapshot.load(folder)
    snapshot.save(folder, KEY | {"revision": 13}, {"0.ids": ARRAYS["0.ids"]})

    newer = snapshot.load(folder)

    assert older is not None
    assert newer is not None
    assert newer.key["revision"] == 13
    assert newer.arrays.keys() == {"0.ids"}
    assert np.array_equal(older.arrays["0.words"], ARRAYS["0.words"])
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f".{folder.name}.lock"}


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_costs_no_right_answer(folder, data):
    """Cut, overwritten, emptied or deleted at any place, a snapshot gives None or what was saved."""
    snapshot.save(folder, KEY, ARRAYS)
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))

    match data.draw(st.sampled_from(["cut", "overwrite", "grow", "delete"])):
        case "cut":
            path.write_bytes(content[:place])
        case "overwrite":
            content[place : place + 1] = data.draw(st.binary(min_size=1, max_size=9))
            path.write_bytes(content)
        case "grow":
            path.write_bytes(content + b"\0" * 64)
        case "delete":
            path.unlink()

    loaded = snapshot.load(folder)
    assert loaded is None or (
        loaded.key == KEY and all(np.array_equal(loaded.arrays[name], ARRAYS[name]) for name in ARRAYS)
    )


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"format": 1}',
        b'{"format": 1, "content": []}',
        b"[" * 100_000,
        b"9" * 5_000,
    ],
)
def test_a_garbage_manifest_gives_none(folder, manifest):
    """No content of the manifest is an exception."""
    snapshot.save(folder, KEY, ARRAYS)

    (folder / "manifest.json").write_bytes(manifest)

    assert snapshot.load(folder) is None


def test_another_format_gives_none_and_the_reason(folder, caplog):
    """A snapshot of a later version is not loaded, and the log says why."""
    caplog.set_level("INFO")
    snapshot.save(folder, KEY, ARRAYS)
    manifest = json.loads((folder / "manifest.json").read_text())

    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": snapshot.FORMAT + 1}))

    assert snapshot.load(folder) is None
    assert f"not of format {snapshot.FORMAT}" in caplog.text


def test_an_absent_snapshot_gives_none(folder):
    """The first start has no snapshot."""
    assert snapshot.load(folder) is None


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, caplog):
    """Without a cache the program runs on, and the log says what to do."""
    (tmp_path / "file").touch()

    snapshot.save(tmp_path / "file" / "hamming", KEY, ARRAYS)

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert snapshot.load(tmp_path / "file" / "hamming") is None


def test_a_killed_saver_leaves_a_whole_snapshot_or_none(folder):
    """Killed at any of its steps, a saver leaves no mix, and the next one cleans up and succeeds."""
    snapshot.save(folder, KEY, ARRAYS)
    spawn = multiprocessing.get_context("spawn")

    for steps in range(4):
        saver = spawn.Process(target=save_and_die, args=(folder, steps))
        saver.start()
        saver.join()

        assert saver.exitcode == -signal.SIGKILL
        left = snapshot.load(folder)
        assert left is None or left.key in (KEY, KEY | {"revision": 13})

    snapshot.save(folder, KEY | {"revision": 14}, ARRAYS)
    loaded = snapshot.load(folder)
    assert loaded is not None
    assert loaded.key["revision"] == 14
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f".{folder.name}.lock"}


def save_and_die(folder: Path, steps: int) -> None:
    """Save, and get killed at the array or the rename after so many of them."""
    left = iter(range(steps))

    def step(event: str, arguments: tuple[object, ...]) -> None:
        is_step = event == "os.rename" or (event == "open" and str(arguments[0]).endswith("words.npy"))
        if is_step and next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(step)
    snapshot.save(folder, KEY | {"revision": 13}, ARRAYS)
    os.kill(os.getpid(), signal.SIGKILL)


def test_savers_at_the_same_time_leave_one_whole_snapshot(folder):
    """Many savers in many processes leave the snapshot of one of them."""
    spawn = multiprocessing.get_context("spawn")
    savers = [spawn.Process(target=save_often, args=(folder, number)) for number in range(3)]

    for saver in savers:
        saver.start()
    for saver in savers:
        saver.join()

    loaded = snapshot.load(folder)
    assert [saver.exitcode for saver in savers] == [0, 0, 0]
    assert loaded is not None
    assert np.array_equal(loaded.arrays["ids"], np.full(1000, loaded.key["saver"]))


def save_often(folder: Path, number: int) -> None:
    for _ in range(50):
        snapshot.save(folder, {"saver": number}, {"ids": np.full(1000, number)})
