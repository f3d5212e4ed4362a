"""The stage of the Telegram tests: a dataset, a Bot API server, and the real bot between them."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.bot_api import BotApi
from tests.pictures import encode, photo
from tests.shell import Service, Shell

DUNDER, DOTTED, SHARED, STRANGER = 1, 2, 50, 99
"""Seeds of photos: of the account __dunder__, of a.b_c, of 25 accounts alike, of nobody."""
OWNERS = [f"owner.{number:02}" for number in range(25)]
ANSWERS = "answers"


@dataclass(frozen=True)
class Stage:
    """A shell with an indexed dataset, and the server that the bot is to speak to."""

    shell: Shell
    api: BotApi

    @contextmanager
    def bot(self, *arguments: str, **variables: str) -> Iterator[Service]:
        """Run the bot until the end of the block; it answers when the block begins."""
        with self.starting_bot(*arguments, **variables) as service:
            service.until_said(ANSWERS)
            yield service

    @contextmanager
    def starting_bot(self, *arguments: str, **variables: str) -> Iterator[Service]:
        command = arguments or ("telegram", "--dataset", "images")
        with self.shell.service(*command, variables={**self.variables(), **variables}) as service:
            yield service

    def variables(self) -> dict[str, str]:
        return {"IGSEARCH_TELEGRAM_TOKEN": self.api.token, "IGSEARCH_TELEGRAM_API_URL": self.api.url}


def indexed_dataset(folder: Path, variables: Mapping[str, str] = {}) -> Shell:
    """Make a dataset in a folder and index it."""
    shell = Shell(folder)
    shell.put("images/__dunder__/1.jpg", jpeg(DUNDER))
    shell.put("images/a.b_c/2.jpg", jpeg(DOTTED))
    for owner in OWNERS:
        shell.put(f"images/{owner}/shared.jpg", jpeg(SHARED))
    indexed = shell.igsearch("index", "--dataset", "images", variables=dict(variables))
    assert indexed.code == 0, indexed.err
    return shell


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
