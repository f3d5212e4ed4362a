"""What every bot answers from, in the smallest terms: bots in one process share it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.model import Checkpoint, KeptReply, Report, SearchResult, Stats

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


class ReplyBook(Protocol):
    """What is kept of replies."""

    async def keep(self, reply: KeptReply) -> int: ...

    async def find(self, number: int) -> KeptReply | None: ...

    async def report(self, number: int, *, person_id: int, at: datetime) -> None: ...

    async def reports(self, limit: int) -> list[Report]: ...

    async def forget_old(self, now: datetime) -> None: ...


class Pictures(Protocol):
    """What shows reference images."""

    async def picture(self, light_id: int, usernames: Sequence[str]) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class SearchService:
    """The engine and how many searches it does at a time, the store, what is kept of replies, and the pictures."""

    engine: Searcher
    workers: int
    catalogue: Catalogue
    replies: ReplyBook
    gallery: Pictures
