"""The stage of benchmarks/chatting.py: photos and their copies, an index of them, the real bot, and people who ask it.

`Album` makes the photos that are sent, each with the account that is to be named, and fills databases. `chatting` runs
`igsearch telegram` against the Bot API server of the tests; through `Chat` people send photos, and `Asked` tells what
came back, and when. Times are taken by the server: from the moment at which an update can be had, to the reply's.
"""

import asyncio
import io
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path
from random import Random

from PIL import Image

from benchmarks.asking import WHOLE, Picture, fill, pictures
from benchmarks.asking import asked as edited_copies
from benchmarks.watching import Daemon, wait_until
from bots.replies import FAULTS
from core.fingerprinting import VERSIONS
from core.storage.database import Database
from core.storage.store import Store
from tests.bot_api import TEST_TOKEN, BotApi, bot_api
from tests.shell import Shell
from tests.telegram_chats import BotMessage, Message
from tests.telegram_people import Person

DEEP = ("crop_35", "post_dark", "caption_bar_above", "crop_60", "chat", "caption_bar_below", "story_blurred", "browser")
"""Kinds of edits that the hashes of whole pictures do not find."""
UNKNOWN, ACCOUNTS = 60, 300
"""Photos that are not indexed; accounts over which benchmarks/asking.py spreads the others."""
WHOLE_MIXED, DEEP_MIXED = 60, 120
"""Different photos in a mix, which come again where more are asked for."""
SENT_SIDE, SENT_QUALITY = 1280, 87
"""How Telegram encodes whatever is sent as a photo."""
WARM_SECONDS, ANSWER_SECONDS, LOG_SECONDS = 300.0, 60.0, 10.0
LOOK_EVERY = 0.05
MB = 1_000_000

REFUSALS = {sentence: str(fault) for fault, sentence in FAULTS.items()}
TOO_FAST = "You send pictures faster"
ENTRY = re.compile(r"^\d+\. (\S+) — ", re.MULTILINE)
STEPS = re.compile(
    r"answered with .+ in \d+ ms \(download (?P<download>\d+), reading (?P<reading>\d+), search (?P<search>\d+),"
    r" reply (?P<reply>\d+)\)"
)


@dataclass(frozen=True, slots=True)
class Query:
    """What is sent as a photo, and the account that is to be named; None: nobody posted it."""

    data: bytes
    owner: str | None


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
        """How long its sender waited; infinite where no answer came."""
        answers = self.answers
        return answers[0].at - self.at if answers else float("inf")

    @property
    def verdict(self) -> str:
        """Say what the answer is: right, missed (nobody named), wrong, silent, too fast, or the fault it tells of."""
        answers = self.answers
        return verdict_of(answers[0].text, self.query.owner) if answers else "silent"


def verdict_of(text: str, owner: str | None) -> str:
    if text in REFUSALS:
        return REFUSALS[text]
    if text.startswith(TOO_FAST):
        return "too fast"
    named = ENTRY.findall(text)
    if owner in named or (owner is None and not named):
        return "right"
    return "wrong" if named else "missed"


def counted(asked: Iterable[Asked]) -> str:
    """Say how often each verdict came."""
    return ", ".join(f"{times:,} {verdict}" for verdict, times in Counter(one.verdict for one in asked).most_common())


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

    def whole(self, count: int) -> list[Query]:
        """Return copies of known photos that are found by their hashes."""
        return self._edited(WHOLE, count, first=0)

    def deep(self, count: int) -> list[Query]:
        """Return crops, screenshots and captioned copies of known photos, and a quarter of unknown photos."""
        strangers = [Query(as_sent(path.read_bytes()), None) for path in islice(cycle(self.unknown), count // 4)]
        return _shuffled(strangers + self._edited(DEEP, count - len(strangers), first=len(self.known) // 2))

    def mixed(self, count: int) -> list[Query]:
        """Return a third of whole copies and two thirds of what needs the deep search."""
        return list(islice(cycle(self._mix), count))

    @cached_property
    def _mix(self) -> list[Query]:
        return _shuffled(self.whole(WHOLE_MIXED) + self.deep(DEEP_MIXED))

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
class Steps:
    """What an answer took in the bot, as it logged it, in seconds."""

    download: float
    reading: float
    search: float
    reply: float

    @property
    def whole(self) -> float:
        return self.download + self.reading + self.search + self.reply


@dataclass(frozen=True, slots=True)
class Chat:
    """A running bot, and the server at which people write to it."""

    api: BotApi
    bot: Daemon

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
        """Hand a file of somebody new to the bot."""
        return Asked(Query(data, None), time.monotonic(), self.api.person().sends_document(data, file_name="photo.jpg"))

    def ask(self, query: Query, *, seconds: float = ANSWER_SECONDS) -> Asked:
        """Send a photo of somebody new, and wait for the answer."""
        asked = self.send(self.people(1), [query])
        self.wait(asked, seconds=seconds)
        return asked[0]

    def wait(self, asked: Sequence[Asked], *, seconds: float, answers: int | None = None) -> None:
        """Wait until all are answered, or so many of them, for a while, and for as long as the bot lives."""
        wanted = len(asked) if answers is None else answers
        wait_until(
            lambda: self._has_ended or sum(bool(one.answers) for one in asked) >= wanted,
            seconds=seconds,
            every=LOOK_EVERY,
        )
        assert not self._has_ended, f"the bot ended by itself: {self.bot.last_words()}"

    def differing(self, asked: Sequence[Asked]) -> list[Asked]:
        """Return what was missed or wrong, but is answered otherwise when it is sent alone."""
        doubtful = [one for one in asked if one.verdict in {"missed", "wrong"}]
        return [one for one in doubtful if self.ask(one.query).verdict != one.verdict]

    def steps(self, *, since: int, count: int) -> list[Steps]:
        """Return what the log tells of so many answers since a mark."""
        wait_until(lambda: len(self._steps(since)) >= count, seconds=LOG_SECONDS)
        steps = self._steps(since)
        assert len(steps) == count, f"the log tells of {len(steps)} answers, not of {count}"
        return steps

    def _steps(self, since: int) -> list[Steps]:
        log = self.bot.log.read_bytes()[since:].decode(errors="replace")
        return [
            Steps(**{step: int(taken) / 1000 for step, taken in found.groupdict().items()})
            for found in STEPS.finditer(log)
        ]

    def resident(self) -> float:
        """Return the resident set of the bot's own process in MB."""
        return self._memory("VmRSS")

    def peak(self) -> float:
        """Return the largest resident set of the bot's own process since `forget_peak`, in MB."""
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        (self._process / "clear_refs").write_text("5")

    def _memory(self, name: str) -> float:
        status = (self._process / "status").read_text()
        return 1024 * int(re.findall(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)[0]) / MB

    @property
    def _has_ended(self) -> bool:
        return self.bot.process.poll() is not None

    @property
    def _process(self) -> Path:
        return Path(f"/proc/{self.bot.session}")


@contextmanager
def chatting(folder: Path, album: Album, url: str) -> Iterator[Chat]:
    """Run a bot at home in a folder, that has read its index; it must end without a traceback."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with bot_api() as api:
        variables = {
            "IGSEARCH_TELEGRAM_TOKEN": TEST_TOKEN,
            "IGSEARCH_TELEGRAM_API_URL": api.url,
            "IGSEARCH_DATABASE_URL": url,
        }
        command = ("telegram", "--dataset", "images")
        with Shell(folder).service(*command, variables=variables, prefix=("setsid",)) as service:
            service.until_said("answers")
            chat = Chat(api, Daemon(service.process, service.log_file))
            assert os.getsid(service.process.pid) == service.process.pid, "setsid did not keep the process id"
            warm_up(chat, album)
            yield chat


def warm_up(chat: Chat, album: Album) -> None:
    """Ask until both indexes are read: an unknown photo goes through all of the search."""
    for query in (album.mixed(1)[0], Query(as_sent(album.unknown[0].read_bytes()), None)):
        verdict = chat.ask(query, seconds=WARM_SECONDS).verdict
        assert verdict in {"right", "missed"}, f"the bot answered its first photo with: {verdict}"
