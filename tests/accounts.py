"""A dataset of accounts with odd names, for the tests of the bots, and copies of its photos as people send them."""

import io
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from tests.once import once
from tests.pictures import encode, photo
from tests.shell import Shell

DUNDER, DOTTED, SHARED, STRANGER = 1, 2, 50, 99
"""Seeds of photos: of the account __dunder__, of a.b_c, of 25 accounts alike, of nobody."""
OWNERS = [f"owner.{number:02}" for number in range(25)]


def indexed_dataset(folder: Path, variables: Mapping[str, str] = {}, more: Mapping[str, int] = {}) -> Shell:
    """Make a dataset in a folder, with more accounts by the seeds of their photos, and index it."""
    shell = Shell(folder)
    shell.put("images/__dunder__/1.jpg", jpeg(DUNDER))
    shell.put("images/a.b_c/2.jpg", jpeg(DOTTED))
    for owner in OWNERS:
        shell.put(f"images/{owner}/shared.jpg", jpeg(SHARED))
    for account, seed in more.items():
        shell.put(f"images/{account}/{seed}.jpg", jpeg(seed))
    indexed = shell.igsearch("index", "--dataset", "images", variables=dict(variables))
    assert indexed.code == 0, indexed.err
    return shell


def copied_dataset(factory: pytest.TempPathFactory, folder: Path, more: Mapping[str, int] = {}) -> Shell:
    """Fill a folder with a copy of the dataset and its SQLite database, which is indexed once for the whole run."""
    name = "-".join(["accounts", *more])
    shutil.copytree(once(factory, name, partial(indexed_dataset, more=more)), folder, dirs_exist_ok=True)
    return Shell(folder)


def jpeg(seed: int, **options: object) -> bytes:
    return encode(photo(seed), "JPEG", **{"quality": 90, **options})


def sent(seed: int) -> bytes:
    """Return a photo as Telegram hands it on: encoded again."""
    return jpeg(seed, quality=70)


def cropped(seed: int) -> bytes:
    """Return a photo cut to 64 % of its area."""
    picture = photo(seed)
    return encode(picture.crop((0, 0, picture.width * 8 // 10, picture.height * 8 // 10)), "JPEG", quality=85)


def small(data: bytes, side: int = 320) -> bytes:
    """Return a picture's thumbnail as Telegram makes it."""
    picture, file = Image.open(io.BytesIO(data)), io.BytesIO()
    picture.thumbnail((side, side))
    picture.convert("RGB").save(file, "JPEG", quality=80)
    return file.getvalue()
