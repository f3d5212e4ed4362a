"""What people send to bots: photos as a chat hands them on, each with the account that is to be named."""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path
from random import Random

from benchmarks.lab.edits import edited_copies
from benchmarks.lab.large_store import ACCOUNTS, Picture, fill_store, open_store, pictures
from benchmarks.lab.photos import opened, put, shuffled_files

WHOLE = ("jpeg_55", "resized_640", "mirrored", "warm")
PART = ("crop_35", "post_dark", "caption_bar_above", "crop_60", "chat", "caption_bar_below", "story_blurred", "browser")
"""Kinds of edits that the hashes of whole pictures find, and that need the search by features."""
UNKNOWN = 60
"""Photos that are not indexed."""
WHOLE_MIXED, PARTS_MIXED = 60, 120
"""Different photos in a mix, which come again where more are asked for."""
SENT_SIDE, SENT_QUALITY = 1280, 87
"""How Telegram encodes whatever is sent as a photo."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is sent as a photo, and the account that is to be named; None: nobody posted it."""

    data: bytes
    owner: str | None


def as_sent(photo: bytes | Path) -> bytes:
    """Return a photo as Telegram hands it on: smaller, and encoded again."""
    picture, file = opened(photo), io.BytesIO()
    picture.thumbnail((SENT_SIDE, SENT_SIDE))
    picture.save(file, "JPEG", quality=SENT_QUALITY)
    return file.getvalue()


class Album:
    """Photos, of which all but some are indexed, and the copies of them that are sent."""

    def __init__(self, photos: Path, images: int) -> None:
        paths = shuffled_files(photos)
        self.unknown, self.known = paths[:UNKNOWN], paths[UNKNOWN : UNKNOWN + images]
        self.images = images

    @cached_property
    def _pictures(self) -> Sequence[Picture]:
        return list(pictures(self.known))

    def fill(self, url: str) -> None:
        """Put the known photos, and as many invented ones as are missing, into a database."""
        asyncio.run(self._fill(url))

    async def _fill(self, url: str) -> None:
        async with open_store(url) as store:
            await fill_store(store, self._pictures, self.images)

    def lay_out(self, folder: Path) -> None:
        """Put the files of the known photos where the database says that they are, below a dataset's folder."""
        for number, path in enumerate(self.known):
            put(path, folder / self._owner_of(number) / f"{number}.jpg")

    def whole(self, count: int) -> list[Query]:
        """Return copies of known photos that are found by their hashes."""
        return self._edited(WHOLE, count, first=0)

    def parts(self, count: int) -> list[Query]:
        """Return crops, screenshots and captioned copies of known photos, and a quarter of unknown photos."""
        strangers = [Query(as_sent(path), None) for path in islice(cycle(self.unknown), count // 4)]
        return _shuffled(strangers + self._edited(PART, count - len(strangers), first=len(self.known) // 2))

    def mixed(self, count: int) -> list[Query]:
        """Return a third of whole copies and two thirds of what needs the search by features."""
        return list(islice(cycle(self._mix), count))

    @cached_property
    def _mix(self) -> list[Query]:
        return _shuffled(self.whole(WHOLE_MIXED) + self.parts(PARTS_MIXED))

    def _edited(self, kinds: Sequence[str], count: int, *, first: int) -> list[Query]:
        made = edited_copies(self.known[first:] + self.known[:first], kinds, count, self.unknown)
        return [Query(as_sent(data), self._owner_of(first + number)) for number, data in enumerate(made)]

    def _owner_of(self, number: int) -> str:
        return f"account{number % len(self.known) % ACCOUNTS}"


def _shuffled(queries: Sequence[Query]) -> list[Query]:
    return Random(len(queries)).sample(queries, len(queries))
