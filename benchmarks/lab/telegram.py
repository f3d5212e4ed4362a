"""The stage of benchmarks/soak/chat_load.py: photos, their copies, an index of them, the real bot, people who ask it.

`Album` makes the photos that are sent, each with the account that is to be named, and fills databases. `chatting` runs
`igsearch telegram` against the Bot API server of the tests; through `Chat` people send photos, and `Asked` tells what
came back, and when. Times are taken by the server: from the moment at which an update can be had, to the reply's.
"""

import asyncio
import io
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path
from random import Random

from PIL import Image

from benchmarks.lab.bots import ANSWER_SECONDS, SHOW, Query, SomeAsked, Talk, running, verdict_of
from benchmarks.speed.query_cost import WHOLE, Picture, fill, pictures
from benchmarks.speed.query_cost import asked as edited_copies
from core.storage.database import Database
from core.storage.store import Store
from core.workers.tasks import VERSIONS
from tests.fakes.telegram.bot_api import TEST_TOKEN, BotApi, bot_api
from tests.fakes.telegram.chats import BotMessage, Message
from tests.fakes.telegram.people import Person

DEEP = ("crop_35", "post_dark", "caption_bar_above", "crop_60", "chat", "caption_bar_below", "story_blurred", "browser")
"""Kinds of edits that the hashes of whole pictures do not find."""
UNKNOWN, ACCOUNTS = 60, 300
"""Photos that are not indexed; accounts over which benchmarks/speed/query_cost.py spreads the others."""
WHOLE_MIXED, DEEP_MIXED = 60, 120
"""Different photos in a mix, which come again where more are asked for."""
SENT_SIDE, SENT_QUALITY = 1280, 87
"""How Telegram encodes whatever is sent as a photo."""
WARM_SECONDS = 300.0
ENTRY = re.compile(r"^\d+\. (\S+) — ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A photo that was handed to the bot, and when."""

    query: Query
    at: float
    message: Message

    @property
    def answers(self) -> list[BotMessage]:
        return self.message.chat.answers_to(self.message)

    @property
    def seconds(self) -> float:
        answers = self.answers
        return answers[0].at - self.at if answers else float("inf")

    @property
    def words(self) -> str:
        answers = self.answers
        return answers[0].text if answers else ""

    @property
    def named(self) -> list[str]:
        return ENTRY.findall(self.words)

    @property
    def verdict(self) -> str:
        return verdict_of(self.words, self.query.owner, self.named)


class Album:
    """Photos, of which all but some are indexed, and the copies of them that are sent."""

    def __init__(self, photos: Path, images: int) -> None:
        paths = sorted(path for path in photos.glob("*/*") if path.is_file())
        Random(1).shuffle(paths)
        self.unknown, self.known = paths[:UNKNOWN], paths[UNKNOWN : UNKNOWN + images]
        self.photos, self.images = photos, images

    @cached_property
    def _pictures(self) -> Sequence[Picture]:
        return list(pictures(self.known))

    def fill(self, url: str) -> None:
        """Put the known photos, and as many invented ones as are missing, into a database."""
        asyncio.run(_filled(url, self._pictures, self.images))

    def lay_out(self, folder: Path) -> None:
        """Put the files of the known photos where the database says that they are, below a dataset's folder."""
        for number, path in enumerate(self.known):
            place = folder / self._owner_of(number) / f"{number}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)

    def whole(self, count: int) -> list[Query]:
        """Return copies of known photos that are found by their hashes."""
        return self._edited(WHOLE, count, first=0)

    def features(self, count: int) -> list[Query]:
        """Return crops, screenshots and captioned copies of known photos, and a quarter of unknown photos."""
        strangers = [Query(as_sent(path.read_bytes()), None) for path in islice(cycle(self.unknown), count // 4)]
        return _shuffled(strangers + self._edited(DEEP, count - len(strangers), first=len(self.known) // 2))

    def mixed(self, count: int) -> list[Query]:
        """Return a third of whole copies and two thirds of what needs the search by features."""
        return list(islice(cycle(self._mix), count))

    @cached_property
    def _mix(self) -> list[Query]:
        return _shuffled(self.whole(WHOLE_MIXED) + self.features(DEEP_MIXED))

    def _edited(self, kinds: Sequence[str], count: int, *, first: int) -> list[Query]:
        made = edited_copies(self.known[first:] + self.known[:first], kinds, count, self.unknown)
        return [Query(as_sent(data), self._owner_of(first + number)) for number, data in enumerate(made)]

    def _owner_of(self, number: int) -> str:
        return f"account{number % len(self.known) % ACCOUNTS}"


async def _filled(url: str, real: Sequence[Picture], images: int) -> None:
    store = Store(Database(url), VERSIONS)
    await store.create_schema()
    await fill(store, real, images)
    await store.close()


def as_sent(data: bytes) -> bytes:
    """Return a photo as Telegram hands it on: smaller, and encoded again."""
    picture, file = Image.open(io.BytesIO(data)).convert("RGB"), io.BytesIO()
    picture.thumbnail((SENT_SIDE, SENT_SIDE))
    picture.save(file, "JPEG", quality=SENT_QUALITY)
    return file.getvalue()


def _shuffled(queries: Sequence[Query]) -> list[Query]:
    return Random(len(queries)).sample(queries, len(queries))


@dataclass(frozen=True, slots=True)
class Chat(Talk[Asked]):
    """A running bot, and the server at which people write to it."""

    api: BotApi

    def people(self, count: int) -> list[Person]:
        return [self.api.person() for _ in range(count)]

    def send(self, senders: Sequence[Person], queries: Sequence[Query]) -> list[Asked]:
        """Hand photos to the bot, all at once, one from each sender."""
        telegram = self.api.telegram
        letters = [
            (person, query, {"from": person.raw, "photo": telegram.files.photo_sizes(query.data)})
            for person, query in zip(senders, queries, strict=True)
        ]
        with telegram.changed:
            return [
                Asked(query, time.monotonic(), telegram.receive(person.chat, letter, kind="message"))
                for person, query, letter in letters
            ]

    def send_file(self, data: bytes) -> Asked:
        return Asked(Query(data, None), time.monotonic(), self.api.person().sends_document(data, file_name="photo.jpg"))

    def press(self, asked: Asked, kind: str) -> Callable[[], bool] | None:
        answer, chat = asked.answers[0], asked.message.chat
        said = next((one.data for row in answer.buttons for one in row if one.data and one.data[0] == kind), None)
        if said is None:
            return None
        pressed = self.api.telegram.press(asked.message.raw["from"], answer, said)

        def has_brought_all() -> bool:
            has_picture = any(message.message_id > answer.message_id for message in chat.bot_messages)
            return pressed.answered is not None and (kind != SHOW or has_picture)

        return has_brought_all

    def ask(self, query: Query, *, seconds: float = ANSWER_SECONDS) -> Asked:
        asked = self.send(self.people(1), [query])
        self.wait(asked, seconds=seconds)
        return asked[0]


@contextmanager
def chatting(folder: Path, album: Album, url: str) -> Iterator[Chat]:
    """Run a bot at home in a folder, that has read its index; it must end without a traceback."""
    with at_telegram(folder, url) as chat:
        warm_up(chat, album)
        yield chat


@contextmanager
def at_telegram(folder: Path, url: str) -> Iterator[Chat]:
    """Run a bot at home in a folder; it must end without a traceback."""
    with bot_api() as api:
        variables = {
            "IGSEARCH_TELEGRAM_TOKEN": TEST_TOKEN,
            "IGSEARCH_TELEGRAM_API_URL": api.url,
            "IGSEARCH_DATABASE_URL": url,
        }
        with running(folder, "telegram", variables) as bot:
            yield Chat(bot, api)


def warm_up(talk: Talk[SomeAsked], album: Album) -> None:
    """Ask until both indexes are read: an unknown photo goes through all of the search."""
    for query in (album.mixed(1)[0], Query(as_sent(album.unknown[0].read_bytes()), None)):
        verdict = talk.ask(query, seconds=WARM_SECONDS).verdict
        assert verdict in {"right", "missed"}, f"the bot answered its first photo with: {verdict}"
