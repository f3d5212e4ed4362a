"""The queue: an outcome for every picture, whatever goes wrong, and nobody waits for a database that is away."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from answers.downloads import DownloadFailed
from answers.query_queue import DOWNLOADS, DOWNLOADS_A_PERSON, WAITING, QueryQueue
from core.errors import Crashed, ImageError, NoWorkers, TooLarge, TooSlow, Unavailable, Unreadable, Unsupported
from core.model.matches import Match, MatchedImage, SearchResult
from core.model.outcomes import Fault
from core.model.records import Checkpoint

ANNA, BOB = 1, 2
FOUND = SearchResult(
    "match",
    (Match("anna", 0.99, ("mirrored",), (MatchedImage("anna/1.jpg", 0.99, 7, None),)),),
    (),
    Checkpoint("id", 1, 1, 1),
    12.0,
    4.0,
)


class Engine:
    """A search engine that finds one account, or fails as it is told."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.searched: list[bytes] = []
        self.warmed_up = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def search(self, data: bytes) -> SearchResult:
        self.searched.append(data)
        await self.gate.wait()
        if self.failure:
            raise self.failure
        return FOUND

    async def warm_up(self) -> None:
        self.warmed_up.set()
        if self.failure:
            raise self.failure


async def no_tidying(now: datetime) -> None:
    assert now.tzinfo is UTC


def queue_for(engine: Engine, tidy: Callable[[datetime], Awaitable[None]] = no_tidying) -> QueryQueue:
    return QueryQueue(engine, workers=2, tidy=tidy)


async def picture() -> bytes:
    return b"picture"


def failing(error: Exception) -> Callable[[], Awaitable[bytes]]:
    async def fetch() -> bytes:
        raise error

    return fetch


async def test_a_picture_is_fetched_and_searched() -> None:
    """The outcome names the accounts, and says what each step took."""
    served = await queue_for(Engine()).search(ANNA, picture)

    assert [match.username for match in served.outcome.matches] == ["anna"]
    assert served.outcome.matches[0].photo_id == 7
    assert (served.reading, served.search) == (0.004, 0.008)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (Unreadable("x"), "unreadable"),
        (Crashed("x"), "unreadable"),
        (Unsupported("x"), "unsupported"),
        (TooLarge("x"), "too large"),
        (TooSlow("x"), "too slow"),
        (NoWorkers("x"), "busy"),
        (Unavailable("x"), "unavailable"),
        (RuntimeError("x"), "unexpected"),
    ],
)
async def test_every_failure_of_a_search_is_an_outcome(error: Exception, fault: Fault) -> None:
    """Nothing that a search raises gets past the queue."""
    engine = Engine()
    engine.failure = error

    served = await queue_for(engine).search(ANNA, picture)

    assert (served.outcome.verdict, served.outcome.fault) == ("error", fault)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (DownloadFailed("x"), "download"),
        (TooLarge("x"), "too large"),
        (ImageError("x"), "unreadable"),
        (OSError("x"), "unexpected"),
    ],
)
async def test_every_failure_of_a_download_is_an_outcome(error: Exception, fault: Fault) -> None:
    """Nor does anything that a download raises."""
    served = await queue_for(Engine()).search(ANNA, failing(error))

    assert served.outcome.fault == fault


async def test_while_the_database_is_away_nothing_is_fetched() -> None:
    """After a search found it away, the next pictures are answered at once, until it is back."""
    engine = Engine()
    queue = queue_for(engine)
    engine.failure = Unavailable("x")
    await queue.search(ANNA, picture)

    refused = await queue.search(BOB, failing(AssertionError("fetched")))
    engine.failure = None
    fresh = asyncio.create_task(queue.keep_fresh())
    await engine.warmed_up.wait()
    while queue.is_away:
        await asyncio.sleep(0)
    served = await queue.search(BOB, picture)
    fresh.cancel()

    assert refused.outcome.fault == "unavailable"
    assert served.outcome.verdict == "match"


async def test_pictures_that_waited_hear_too_that_the_database_went_away() -> None:
    """Who stood in line while it went away is not made to wait for it in turn."""
    engine = Engine()
    queue = queue_for(engine)
    engine.gate.clear()
    engine.failure = Unavailable("x")
    tasks = [asyncio.create_task(queue.search(person, picture)) for person in range(30)]
    while len(engine.searched) < 2:
        await asyncio.sleep(0)

    engine.gate.set()

    assert {(await task).outcome.fault for task in tasks} == {"unavailable"}
    assert len(engine.searched) == 2


async def test_a_full_line_and_a_closed_one_say_so() -> None:
    """Beyond the bound: busy. At the end, who waits is sent away and who is served is finished."""
    engine = Engine()
    queue = queue_for(engine)
    engine.gate.clear()
    flood = WAITING + DOWNLOADS
    tasks = [asyncio.create_task(queue.search(person, picture)) for person in range(flood)]
    while queue.waiting < WAITING:
        await asyncio.sleep(0)

    busy = await queue.search(-1, picture)
    queue.close()
    engine.gate.set()
    outcomes = [(await task).outcome for task in tasks]

    assert busy.outcome.fault == "busy"
    assert [outcome.fault for outcome in outcomes].count("stopping") == WAITING
    assert [outcome.verdict for outcome in outcomes].count("match") == DOWNLOADS


async def test_hanging_downloads_of_one_person_leave_places_for_others() -> None:
    """However many downloads of one person hang, another's goes on."""
    queue = queue_for(Engine())
    never = asyncio.Event()

    async def hang() -> bytes:
        await never.wait()
        return b""

    hanging = [asyncio.create_task(queue.search(ANNA, hang)) for _ in range(DOWNLOADS * 3)]
    await asyncio.sleep(0)

    served = await queue.search(BOB, picture)

    assert served.outcome.verdict == "match"
    assert queue.waiting == DOWNLOADS * 3 - DOWNLOADS_A_PERSON
    for task in hanging:
        task.cancel()


async def test_old_replies_are_tidied_away() -> None:
    """At the start, and not again with every look."""
    tidied: list[datetime] = []

    async def tidy(now: datetime) -> None:
        tidied.append(now)

    engine = Engine()
    fresh = asyncio.create_task(queue_for(engine, tidy).keep_fresh())
    await engine.warmed_up.wait()
    while not tidied:
        await asyncio.sleep(0)
    fresh.cancel()

    assert len(tidied) == 1
