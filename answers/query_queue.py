"""Queue the query images of a bot: each gets an outcome, in turn, whatever goes wrong.

Downloads and searches have separate queues: a download that hangs delays nobody else, and few pictures are in memory.
While the database is known to be away, nobody waits for it: it is polled in the background until it is back.
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
"""The most pictures that wait; at 7 to 400 ms each they are answered within two minutes on two cores."""
FRESHEN_SECONDS, AWAY_SECONDS = 5.0, 0.25
"""The pause between two updates of the index from the store, and between two tries to reach a database that is away."""
LAST_DOWNLOAD_SECONDS = 4.0
"""The time that running downloads are given at shutdown; whoever waits for a slower one can still be told."""
TIDY_EVERY = timedelta(hours=1)
TRIM_EVERY = timedelta(minutes=1)
"""The interval at which free memory is returned to the system, which takes some milliseconds in its own thread."""

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
    """An outcome, and how long its steps took."""

    outcome: QueryOutcome
    download: float = 0.0
    """Seconds to download the photo."""
    reading: float = 0.0
    """Seconds to decode and hash it."""
    search: float = 0.0
    """Seconds of everything else in the search."""


class QueryQueue:
    """The queue of one bot's query images; run `keep_fresh` beside it, which calls `tidy` every hour."""

    def __init__(self, engine: Searcher, *, workers: int, tidy: Callable[[datetime], Awaitable[None]]) -> None:
        self._engine = engine
        self._tidy = tidy
        self._downloads = FairQueue(places=DOWNLOADS, share=DOWNLOADS_A_PERSON, bound=WAITING)
        self._searches = FairQueue(places=workers, share=workers, bound=DOWNLOADS)
        self._away = asyncio.Event()
        self._ending = asyncio.Event()

    @property
    def is_away(self) -> bool:
        """Tell whether the last call found the database away."""
        return self._away.is_set()

    @property
    def waiting(self) -> int:
        """Return the number of pictures that wait for their turn."""
        return self._downloads.waiting

    def close(self) -> None:
        """Refuse everybody who is waiting; what is in progress is finished, except for downloads that take too long."""
        self._downloads.close()
        asyncio.get_running_loop().call_later(LAST_DOWNLOAD_SECONDS, self._ending.set)

    async def search(self, person: int, fetch: Fetch) -> TimedOutcome:
        """Download a query image and search for it when it is the person's turn."""
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
        except Exception as error:  # noqa: BLE001 - a bug that one photo triggers must not stop the queue for the others
            logger.error("a picture caused a fault in igsearch (%s: %s): report it", type(error).__name__, error)  # noqa: TRY400
            return _failed("unexpected")

    def note_away(self, error: StoreError) -> None:
        """Note that the database is away, so that `keep_fresh` polls it."""
        if not self.is_away:
            logger.error("the index cannot be reached: %s Trying again until it can", error)
            self._away.set()

    def refuse_while_away(self) -> None:
        """Raise StoreError while the database is known to be away, so that nobody waits for it."""
        if self.is_away:
            raise StoreError("The database is still away.")

    async def keep_fresh(self) -> None:
        """Update the index from the store, remove old replies and return free memory, until cancelled."""
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
        """Wait until the next call to the store: briefly while it is away, not at all if a search just found it so."""
        await (asyncio.sleep(AWAY_SECONDS) if self.is_away else rest(self._away, FRESHEN_SECONDS))


def _failed(fault: Fault) -> TimedOutcome:
    return TimedOutcome(QueryOutcome("error", fault))
