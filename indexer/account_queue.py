"""Which accounts are to be scanned next.

An account where something just happened is fresh: it is due when its files may have settled, and goes before all else.
What is too much for one scan, and what a full scan is to look at, waits in line. Last come accounts that have photos
with outdated hashes.
"""

from collections import OrderedDict
from collections.abc import Iterable


class AccountQueue:
    """Accounts by when they are due; moments are seconds of one clock."""

    def __init__(self) -> None:
        self._fresh: dict[str, float] = {}
        self._waiting: OrderedDict[str, float] = OrderedDict()
        self._outdated: set[str] = set()

    def __len__(self) -> int:
        return len(self._fresh.keys() | self._waiting.keys())

    @property
    def next_due(self) -> float | None:
        """When the next fresh account is due."""
        return min(self._fresh.values(), default=None)

    @property
    def is_anyone_waiting(self) -> bool:
        return bool(self._waiting)

    def add_fresh(self, username: str, due: float) -> None:
        """Have an account scanned when it is due; if it is to be scanned already, at the earlier moment."""
        self._fresh[username] = min(due, self._fresh.get(username, due))

    def add_waiting(self, usernames: Iterable[str], now: float) -> None:
        """Put accounts at the end of the line, unless they stand in it."""
        for username in usernames:
            self._waiting.setdefault(username, now)

    def add_first(self, usernames: Iterable[str], now: float) -> None:
        """Put accounts at the head of the line."""
        for username in reversed(list(usernames)):
            self._waiting.setdefault(username, now)
            self._waiting.move_to_end(username, last=False)

    def take_due(self, now: float) -> list[str]:
        """Return the fresh accounts that are due; they are in the queue no more, unless they also wait."""
        due = [username for username, moment in self._fresh.items() if moment <= now]
        for username in due:
            del self._fresh[username]
        return due

    def take_waiting(self, count: int) -> list[str]:
        """Return the first accounts of the line; they stand in it no more."""
        return [self._waiting.popitem(last=False)[0] for _ in range(min(count, len(self._waiting)))]

    def discard(self, usernames: Iterable[str]) -> None:
        """Take accounts out of the line: they were scanned."""
        for username in usernames:
            self._waiting.pop(username, None)

    def add_outdated(self, usernames: Iterable[str]) -> None:
        """Have accounts scanned whose photos have outdated hashes, when nothing else is to be done."""
        self._outdated.update(usernames)

    def first_outdated(self, count: int) -> list[str]:
        """Return some accounts with outdated hashes; they stay until `discard_outdated`."""
        return sorted(self._outdated)[:count]

    def discard_outdated(self, usernames: Iterable[str]) -> None:
        self._outdated.difference_update(usernames)

    def lag(self, now: float) -> float:
        """Return for how many seconds the first account that is due has been so."""
        moments = [*self._fresh.values(), *self._waiting.values()]
        return max(0.0, now - min(moments, default=now))
