"""The heartbeat: what changes is said at once, the end is said, and a database that is away stops nobody."""

import asyncio
from typing import cast

from answers.backend import SearchBackend
from bots.connection import ConnectionState, heartbeat_of
from core.errors import Unavailable
from core.model.statuses import FrontEndStatus
from core.service.heartbeat import Heartbeat
from core.service.meter import Meter


class Book:
    """Keeps what is said, unless it is away."""

    def __init__(self) -> None:
        self.said: list[FrontEndStatus] = []
        self.news = asyncio.Condition()
        self.is_away = False
        self.refused = 0

    async def note_front_end(self, status: FrontEndStatus) -> None:
        async with self.news:
            self.news.notify_all()
            if self.is_away:
                self.refused += 1
                raise Unavailable("It is away.")
            self.said.append(status)

    async def until(self, state: str) -> None:
        async with self.news:
            await self.news.wait_for(lambda: bool(self.said) and self.said[-1].state == state)


class Ear(Meter):
    """Remembers the states that it was told."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def front_end_is(self, status: FrontEndStatus) -> None:
        self.states.append(status.state)


class Service:
    """As much of the service as a heartbeat looks at."""

    def __init__(self, book: Book, meter: Meter) -> None:
        self.statuses = book
        self.meter = meter

    def has_workers(self) -> bool:
        return True


def heartbeat_into(book: Book, link: ConnectionState, meter: Meter) -> Heartbeat[FrontEndStatus]:
    return heartbeat_of("discord", link, cast("SearchBackend", Service(book, meter)), lambda: 7)


async def test_what_changes_is_said_at_once() -> None:
    """From logging in to answering to a broken way, each state arrives with its reason, and at last the end."""
    book, link = Book(), ConnectionState()

    async with heartbeat_into(book, link, Meter()).beating():
        await book.until("connecting")
        link.up()
        await book.until("answering")
        link.down("the way broke")
        await book.until("connecting")

    states = [(status.state, status.remark) for status in book.said]
    assert states == [("connecting", None), ("answering", None), ("connecting", "the way broke"), ("stopped", None)]
    assert {(status.name, status.waiting, status.has_workers) for status in book.said} == {("discord", 7, True)}


async def test_a_database_that_is_away_is_tried_again() -> None:
    """Nothing is raised meanwhile, what is to be said is said when it is back, and the metrics hear all of it."""
    book, ear = Book(), Ear()
    book.is_away = True

    async with heartbeat_into(book, ConnectionState(), ear).beating():
        async with book.news:
            await book.news.wait_for(lambda: book.refused >= 1)
        book.is_away = False
        await book.until("connecting")

    assert book.said[-1].state == "stopped"
    assert ear.states[0] == "connecting"
    assert ear.states[-1] == "stopped"
