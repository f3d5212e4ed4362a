"""The queue where a bot's query images are photo in: each gets an outcome, in turn, whatever goes wrong.

Downloads and searches have a line each, so that a download that hangs delays nobody else and the pictures in memory are
few. While the database is known to be away nobody waits for it: it is asked in the background until it is back.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from answers.backend import Searcher
from answers.downloads import DownloadFailed
from answers.fair_queue import Busy, Closed, FairQueue
from core.errors import ImageError, NoWorkers, StoreError, TooLarge, TooSlow, Unsupported
from core.model.outcomes import Fault, QueryOutcome
from core.service.memory import trim
from core.service.supervision import rest, unless_stopped

DOWNLOADS, DOWNLOADS_A_PERSON = 16, 8
"""Pictures in memory at a time, of at most 25 MB each."""
WAITING = 500
"""Pictures that wait at most; at 7 to 400 ms each they are answered within two minutes on two cores."""
FRESHEN_SECONDS, AWAY_SECONDS = 5.0, 0.25
"""How often the index follows the store by itself, and how often a database that is away is asked for."""
LAST_DOWNLOAD_SECONDS = 4.0
"""For which downloads in hand may go on at the end, so that who waits for one that hangs still hears of it."""
TIDY_EVERY = timedelta(hours=1)
TRIM_EVERY = timedelta(minutes=1)
"""How often memory that is free is given back; it takes some milliseconds, in a thread of its own."""

FAULT_OF: Mapping[type[ImageError], Fault] = {
    Unsupported: "unsupported",
    TooLarge: "too large",
    TooSlow: "too slow",
}
FAULTS_WITHOUT_SEARCH: Mapping[type[Exception], Fault] = {
    Busy: "busy",
    Closed: "stopping",
    NoWorkers: "busy",
    DownloadFailed: "download",
}

logger = logging.getLogger(__name__)

Fetch = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class TimedOutcome:
    """An outcome, and what it took in seconds."""

    outcome: QueryOutcome
    download: float = 0.0
    reading: float = 0.0
    search: float = 0.0


class QueryQueue:
    """Answers the query images of one bot; `keep_fresh` runs beside it. `tidy` is called each hour."""

    def __init__(self, engine: Searcher, *, workers: int, tidy: Callable[[datetime], Awaitable[None]]) -> None:
        self._engine = engine
        self._tidy = tidy
        self._downloads = FairQueue(places=DOWNLOADS, share=DOWNLOADS_A_PERSON, bound=WAITING)
        self._searches = FairQueue(places=workers, share=workers, bound=DOWNLOADS)
        self._away = asyncio.Event()
        self._ending = asyncio.Event()

    @property
    def is_away(self) -> bool:
        """Tell whether the database was away when it was asked last."""
        return self._away.is_set()

    @property
    def waiting(self) -> int:
        """Count the pictures that wait for their turn."""
        return self._downloads.waiting

    def close(self) -> None:
        """Send away whoever waits; what is in hand is finished, downloads unless they take too long."""
        self._downloads.close()
        asyncio.get_running_loop().call_later(LAST_DOWNLOAD_SECONDS, self._ending.set)

    async def search(self, person: int, fetch: Fetch) -> TimedOutcome:
        """Fetch a query image and search for it, when it is the person's turn."""
        try:
            async with self._downloads.place(person):
                self.refuse_while_away()
                return await self._search(person, fetch)
        except tuple(FAULTS_WITHOUT_SEARCH) as error:
            if not isinstance(error, Closed | Busy):
                logger.warning("a picture was not searched: %s", error)
            return _failed(FAULTS_WITHOUT_SEARCH[type(error)])
        except ImageError as error:
            return _failed(FAULT_OF.get(type(error), "unreadable"))
        except StoreError as error:
            self.note_away(error)
            return _failed("unavailable")
        except Exception as error:  # noqa: BLE001 - the door of the queue: one photo's fault is nobody else's
            logger.error("a picture met a fault in igsearch (%s: %s): report it", type(error).__name__, error)  # noqa: TRY400
            return _failed("unexpected")

    def note_away(self, error: StoreError) -> None:
        """Note that the database is away, and begin to ask for it."""
        if not self.is_away:
            logger.error("the index cannot be reached: %s Asking again until it is back", error)
            self._away.set()

    def refuse_while_away(self) -> None:
        """Raise StoreError while the database is known to be away, so that nobody waits for it."""
        if self.is_away:
            raise StoreError("The database is still away.")

    async def keep_fresh(self) -> None:
        """Let the index follow the store, old replies go, and memory be given back, for ever."""
        tidied = trimmed = datetime.min.replace(tzinfo=UTC)
        while True:
            if datetime.now(UTC) - trimmed > TRIM_EVERY:
                trimmed = datetime.now(UTC)
                await asyncio.to_thread(trim)
            try:
                await self._engine.warm_up()
                self._note_back()
                if datetime.now(UTC) - tidied > TIDY_EVERY:
                    await self._tidy(tidied := datetime.now(UTC))
            except StoreError as error:
                self.note_away(error)
            await self._pause()

    async def _search(self, person: int, fetch: Fetch) -> TimedOutcome:
        began = time.monotonic()
        data = await unless_stopped(fetch(), self._ending)
        if data is None:
            raise Closed
        fetched = time.monotonic()
        async with self._searches.place(person):
            self.refuse_while_away()
            result = await self._engine.search(data)
        reading = result.reading_milliseconds / 1000
        return TimedOutcome(QueryOutcome.of(result), fetched - began, reading, result.milliseconds / 1000 - reading)

    def _note_back(self) -> None:
        if self.is_away:
            logger.info("the index can be reached again")
            self._away.clear()

    async def _pause(self) -> None:
        """Wait until the store is to be asked again: soon where it is away, at once where a search just found it so."""
        await (asyncio.sleep(AWAY_SECONDS) if self.is_away else rest(self._away, FRESHEN_SECONDS))


def _failed(fault: Fault) -> TimedOutcome:
    return TimedOutcome(QueryOutcome("error", fault))
