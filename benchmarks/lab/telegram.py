"""The real `igsearch telegram` against the Bot API server of the tests.

Times are taken by the server: from the moment at which an update can be had, to the reply's.
"""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lab.bots import Asked, Bot, running
from benchmarks.lab.queries import Query
from tests.fakes.telegram.bot_api import TEST_TOKEN, BotApi, bot_api
from tests.fakes.telegram.chats import BotMessage, Message
from tests.fakes.telegram.people import Person

ENTRY = re.compile(r"^\d+\. (\S+) — ", re.MULTILINE)
"""A line of an answer that names an account."""


@dataclass(frozen=True, slots=True)
class Sent(Asked):
    """A message with a photo."""

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


@dataclass(frozen=True, slots=True)
class TelegramBot(Bot[Sent]):
    """A running bot, and the server at which people write to it."""

    api: BotApi

    def people(self, count: int) -> list[Person]:
        return [self.api.person() for _ in range(count)]

    def hand_in(self, queries: Sequence[Query]) -> list[Sent]:
        return self.send(self.people(len(queries)), queries)

    def send(self, senders: Sequence[Person], queries: Sequence[Query]) -> list[Sent]:
        """Hand photos to the bot, all at once, one from each sender."""
        telegram = self.api.telegram
        letters = [
            (person, query, {"from": person.raw, "photo": telegram.files.photo_sizes(query.data)})
            for person, query in zip(senders, queries, strict=True)
        ]
        with telegram.changed:
            return [
                Sent(query, time.monotonic(), telegram.receive(person.chat, letter, kind="message"))
                for person, query, letter in letters
            ]

    def send_file(self, data: bytes) -> Sent:
        return Sent(Query(data, None), time.monotonic(), self.api.person().sends_document(data, file_name="photo.jpg"))


@contextmanager
def telegram_bot(folder: Path, url: str) -> Iterator[TelegramBot]:
    """Run a bot at home in a folder; it must end without a traceback."""
    with bot_api() as api:
        variables = {
            "IGSEARCH_TELEGRAM_TOKEN": TEST_TOKEN,
            "IGSEARCH_TELEGRAM_API_URL": api.url,
            "IGSEARCH_DATABASE_URL": url,
        }
        with running(folder, "telegram", variables) as process:
            yield TelegramBot(process, api)
