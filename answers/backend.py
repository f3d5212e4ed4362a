"""Define what a front end answers from: the engine, the store behind small protocols, the pictures, the meter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.model.matches import SearchResult
from core.model.outcomes import KeptReply, QueryOutcome, RefusalReason, Report, Step
from core.model.records import Checkpoint
from core.model.statuses import FrontEnd, FrontEndStatus, Stats

READ_SECONDS = 3.0
"""The time limit for one read by a front end: people learn within 5 s, network included, that the database is away."""


class Searcher(Protocol):
    """The search engine."""

    async def search(self, data: bytes) -> SearchResult: ...

    async def warm_up(self) -> None: ...


class Checkpoints(Protocol):
    """A source of the store's current checkpoint."""

    async def read_checkpoint(self) -> Checkpoint: ...


class ReplyStore(Protocol):
    """A store of replies and reports."""

    async def keep(self, reply: KeptReply) -> int: ...

    async def find(self, number: int) -> KeptReply | None: ...

    async def report(self, number: int, *, person_id: int, at: datetime) -> None: ...

    async def reports(self, limit: int) -> list[Report]: ...

    async def remove_old(self, now: datetime) -> None: ...


class PictureSource(Protocol):
    """A source of pictures of matches."""

    async def picture(self, photo_id: int, usernames: Sequence[str]) -> bytes | None: ...


class StatusStore(Protocol):
    """The store's statistics and the statuses of front ends."""

    async def read_stats(self) -> Stats: ...

    async def note_front_end(self, status: FrontEndStatus) -> None: ...


class FrontEndMeter(Protocol):
    """A meter of what front ends do."""

    def searched(self, front_end: FrontEnd, outcome: QueryOutcome) -> None: ...

    def took(self, front_end: FrontEnd, step: Step, seconds: float) -> None: ...

    def refused(self, front_end: FrontEnd, reason: RefusalReason) -> None: ...

    def front_end_is(self, status: FrontEndStatus) -> None: ...


@dataclass(frozen=True, slots=True)
class SearchBackend:
    """The services that the front ends of one process share."""

    engine: Searcher
    workers: int
    """The number of searches that run at a time."""
    changes: Checkpoints
    replies: ReplyStore
    pictures: PictureSource
    statuses: StatusStore
    meter: FrontEndMeter
    has_workers: Callable[[], bool]
    """Returns whether there are worker processes to read photos."""
