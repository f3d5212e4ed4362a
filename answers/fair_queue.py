"""Limits that keep a bot fair: a limiter for each person, and lines in which people take turns."""

import asyncio
import math
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

ROUNDING = 1e-6
"""Pictures that computing with fractions may lose."""


class Busy(Exception):
    """The line is as long as it may be."""


class Closed(Exception):
    """The line is closed: the bot is about to end."""


@dataclass(frozen=True, slots=True)
class TooFast:
    """A person asks faster than they may: when the next picture is in order, and whether they were told already."""

    seconds: int
    is_told: bool


@dataclass(slots=True)
class _Bucket:
    """What a person may still ask, as of a moment."""

    tokens: float
    at: float
    is_told: bool = False


class RateLimiter:
    """A token bucket for each person: `burst` pictures at once, then one in `seconds_each`."""

    def __init__(self, *, burst: int, seconds_each: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._seconds_each = seconds_each
        self._clock = clock
        self._buckets: OrderedDict[int, _Bucket] = OrderedDict()

    def take(self, person: int, pictures: int = 1) -> TooFast | None:
        """Take what some pictures cost from a person's bucket, or nothing where it does not hold so much."""
        bucket = self._filled(person)
        missing = min(pictures, self._burst) - bucket.tokens
        if missing > ROUNDING:
            is_told, bucket.is_told = bucket.is_told, True
            return TooFast(math.ceil(missing * self._seconds_each), is_told)
        bucket.tokens = max(0.0, bucket.tokens - pictures)
        bucket.is_told = False
        return None

    def _filled(self, person: int) -> _Bucket:
        """Return a person's bucket as of now; buckets that are full again are dropped, the oldest first."""
        now = self._clock()
        bucket = self._buckets.setdefault(person, _Bucket(self._burst, now))
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) / self._seconds_each)
        bucket.at = now
        self._buckets.move_to_end(person)
        while self._is_full_again(oldest := next(iter(self._buckets)), now) and oldest != person:
            del self._buckets[oldest]
        return bucket

    def _is_full_again(self, person: int, now: float) -> bool:
        bucket = self._buckets[person]
        return bucket.tokens + (now - bucket.at) / self._seconds_each >= self._burst


class FairQueue:
    """A line before some places in which people take turns, so that nobody waits for all pictures of another.

    A person has at most `share` of the places at a time; at most `bound` pictures wait. In a full line the last picture
    of whoever has most waiting gives way to somebody with fewer, so that no crowd of floods keeps others out.
    """

    def __init__(self, *, places: int, share: int, bound: int) -> None:
        self._free = places
        self._share = share
        self._bound = bound
        self._waiting: OrderedDict[int, deque[asyncio.Future[None]]] = OrderedDict()
        self._taken: Counter[int] = Counter()
        self._is_closed = False

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def place(self, person: int) -> AsyncIterator[None]:
        """Wait for one's turn and have a place; raises Busy, also later, or Closed."""
        if self._is_closed:
            raise Closed
        if self.waiting >= self._bound:
            self._make_room(person)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(person, deque()).append(turn)
        self._call_up()
        try:
            await turn
        except asyncio.CancelledError:
            self._leave(person, turn)
            raise
        try:
            yield
        finally:
            self._give_back(person)

    def close(self) -> None:
        """Send everybody away who still waits, and whoever comes."""
        self._is_closed = True
        for turns in self._waiting.values():
            for turn in turns:
                if not turn.done():
                    turn.set_exception(Closed())
        self._waiting.clear()

    def _make_room(self, person: int) -> None:
        """Send away the last picture of whoever has most waiting; raises Busy where that is this person too."""
        most = max(self._waiting, key=lambda other: len(self._waiting[other]))
        if len(self._waiting[most]) <= len(self._waiting.get(person, ())) + 1:
            raise Busy
        turn = self._waiting[most].pop()
        if not turn.done():
            turn.set_exception(Busy())

    def _call_up(self) -> None:
        """Give free places to the people in the order of their turns; who got one stands behind the others again."""
        while self._free and (person := self._next()) is not None:
            turn = self._waiting[person].popleft()
            if self._waiting[person]:
                self._waiting.move_to_end(person)
            else:
                del self._waiting[person]
            if not turn.done():
                self._free -= 1
                self._taken[person] += 1
                turn.set_result(None)

    def _next(self) -> int | None:
        return next((person for person in self._waiting if self._taken[person] < self._share), None)

    def _leave(self, person: int, turn: asyncio.Future[None]) -> None:
        """Take somebody out of the line who was called off, or off the place that was just given to them."""
        if turn.done() and not turn.cancelled() and not turn.exception():
            self._give_back(person)
        elif turn in self._waiting.get(person, ()):
            self._waiting[person].remove(turn)
            if not self._waiting[person]:
                del self._waiting[person]

    def _give_back(self, person: int) -> None:
        self._free += 1
        self._taken -= Counter({person: 1})
        self._call_up()
