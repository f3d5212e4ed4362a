"""The heartbeat: what changes is said at once, the end is said, and a database that is away stops nobody."""

import asyncio
from typing import cast

from answers.backend import SearchBackend
from bots.connection import ConnectionState, heartbeat_of
from core.errors import Unavailable
from core.model.statuses import FrontEndStatus
from core.service.heartbeat import Heartbeat
from core.service.meter import Meter


class FakeStatuses:
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


class RecordingMeter(Meter):
    """A meter that records the states it is given."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def front_end_is(self, status: FrontEndStatus) -> None:
        self.states.append(status.state)


class Service:
    """The part of the backend that a heartbeat uses."""

    def __init__(self, statuses: FakeStatuses, meter: Meter) -> None:
        self.statuses = statuses
        self.meter = meter

    def has_workers(self) -> bool:
        return True


def heartbeat_into(statuses: FakeStatuses, link: ConnectionState, meter: Meter) -> Heartbeat[FrontEndStatus]:
    return heartbeat_of("discord", link, cast("SearchBackend", Service(statuses, meter)), lambda: 7)


async def test_what_changes_is_said_at_once() -> None:
    """From logging in to answering to a lost connection, each state arrives with its reason, and at last the end."""
    statuses, link = FakeStatuses(), ConnectionState()

    async with heartbeat_into(statuses, link, Meter()).beating():
        await statuses.until("connecting")
        link.up()
        await statuses.until("answering")
        link.down("it was lost")
        await statuses.until("connecting")

    states = [(status.state, status.remark) for status in statuses.said]
    assert states == [
        ("connecting", None),
        ("answering", None),
        ("connecting", "it was lost"),
        ("stopped", None),
    ]
    assert {(status.name, status.waiting, status.has_workers) for status in statuses.said} == {("discord", 7, True)}


async def test_a_database_that_is_away_is_tried_again() -> None:
    """Nothing is raised meanwhile, what is to be said is said when it is back, and the metrics get all of it."""
    statuses, meter = FakeStatuses(), RecordingMeter()
    statuses.is_away = True

    async with heartbeat_into(statuses, ConnectionState(), meter).beating():
        async with statuses.news:
            await statuses.news.wait_for(lambda: statuses.refused >= 1)
        statuses.is_away = False
        await statuses.until("connecting")

    assert statuses.said[-1].state == "stopped"
    assert meter.states[0] == "connecting"
    assert meter.states[-1] == "stopped"
