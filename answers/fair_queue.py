"""Share a limited number of places fairly among people, who take turns."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Busy(Exception):
    """The queue is full."""


class Closed(Exception):
    """The queue is closed, because the front end is stopping."""


class FairQueue:
    """A queue for a number of places, in which people take turns.

    A person has at most `share` of the places at a time, and at most `bound` photos wait. When the queue is full, the
    last photo of the person with the most waiting gives way to somebody with fewer, so that nobody blocks the others.
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
        """Wait for this person's turn and hold a place; raises Busy, also while waiting, or Closed."""
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
        """Refuse everybody who is still waiting, and all who come later."""
        self._is_closed = True
        for turns in self._waiting.values():
            for turn in turns:
                if not turn.done():
                    turn.set_exception(Closed())
        self._waiting.clear()

    def _make_room(self, person: int) -> None:
        """Refuse the last picture of the person with the most waiting; raises Busy if this person has as many."""
        most = max(self._waiting, key=lambda other: len(self._waiting[other]))
        if len(self._waiting[most]) <= len(self._waiting.get(person, ())) + 1:
            raise Busy
        turn = self._waiting[most].pop()
        if not turn.done():
            turn.set_exception(Busy())

    def _call_up(self) -> None:
        """Give free places to people in the order of their turns; a person who gets one moves to the end."""
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
        """Remove a cancelled turn from the queue, or return the place that it was just given."""
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
