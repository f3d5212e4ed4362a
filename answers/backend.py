"""What every bot answers from, in the smallest terms: bots in one process share it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.model import (
    Checkpoint,
    FrontEnd,
    FrontEndStatus,
    KeptReply,
    Outcome,
    RefusalReason,
    Report,
    SearchResult,
    Stats,
    Step,
)

READ_SECONDS = 3.0
"""For which a bot waits for the database: a person hears within 5 s, all the way included, that it is away."""


class Searcher(Protocol):
    """The search engine."""

    async def search(self, data: bytes) -> SearchResult: ...

    async def warm_up(self) -> None: ...


class Catalogue(Protocol):
    """The store, as far as a bot tells of it."""

    async def stats(self) -> Stats: ...

    async def checkpoint(self) -> Checkpoint: ...


class ReplyStore(Protocol):
    """What is kept of replies."""

    async def keep(self, reply: KeptReply) -> int: ...

    async def find(self, number: int) -> KeptReply | None: ...

    async def report(self, number: int, *, person_id: int, at: datetime) -> None: ...

    async def reports(self, limit: int) -> list[Report]: ...

    async def forget_old(self, now: datetime) -> None: ...


class Pictures(Protocol):
    """What shows reference images."""

    async def picture(self, light_id: int, usernames: Sequence[str]) -> bytes | None: ...


class StatusStore(Protocol):
    """What keeps how the bots are."""

    async def note(self, status: FrontEndStatus) -> None: ...


class Meter(Protocol):
    """What counts what the bots do, and how they are."""

    def searched(self, front_end: FrontEnd, outcome: Outcome) -> None: ...

    def took(self, front_end: FrontEnd, step: Step, seconds: float) -> None: ...

    def refused(self, front_end: FrontEnd, reason: RefusalReason) -> None: ...

    def front_end_is(self, status: FrontEndStatus) -> None: ...


@dataclass(frozen=True, slots=True)
class SearchService:
    """The engine and how many searches it does at a time, the store, what is kept of replies, and the pictures.

    Also what keeps and what counts how the bots are, and what tells whether pictures can be read.
    """

    engine: Searcher
    workers: int
    catalogue: Catalogue
    replies: ReplyStore
    pictures: Pictures
    statuses: StatusStore
    meter: Meter
    has_workers: Callable[[], bool]
