"""The record follows a dataset in which much happens at once; the long version runs by `pytest -m slow`."""

import random
from pathlib import Path

import pytest

from benchmarks.lab.churn import churn
from benchmarks.lab.databases import differences, reading
from benchmarks.lab.photos import fill, on_disk
from tests.shell import Shell


@pytest.mark.parametrize("seconds", [8, pytest.param(300, marks=pytest.mark.slow)])
def test_after_any_churn_the_record_equals_the_disk(tmp_path: Path, seconds: int) -> None:
    """Photos and folders that come, go, move and change, ten a second, leave the record as the disk is."""
    shell, root = Shell(tmp_path), tmp_path / "images"
    fill(root, files=200, folders=10, chance=random.Random(1))
    with shell.service("watch") as service, reading(f"sqlite:///{root}.igsearch.db") as ask:
        service.until_said("full rescan (start) done")
        churn(root, seconds=seconds, rate=10, chance=random.Random(seconds))
        disk = on_disk(root)
        service.until(lambda: not differences(ask, disk))
