"""Order the accounts that are to be scanned.

An account with a recent change is fresh: it is due when its files may have settled, and goes first. The remainder of a
large scan, and the accounts of a full rescan, wait in the queue. Accounts that have photos with outdated hashes come
last.
"""

from collections import OrderedDict
from collections.abc import Iterable


class AccountQueue:
    """The queue of accounts; all times are seconds of one clock."""

    def __init__(self) -> None:
        self._fresh: dict[str, float] = {}
        self._waiting: OrderedDict[str, float] = OrderedDict()
        self._outdated: set[str] = set()

    def __len__(self) -> int:
        return len(self._fresh.keys() | self._waiting.keys())

    @property
    def next_due(self) -> float | None:
        """The time at which the next fresh account is due; None if there is no fresh account."""
        return min(self._fresh.values(), default=None)

    @property
    def is_anyone_waiting(self) -> bool:
        return bool(self._waiting)

    def add_fresh(self, username: str, due: float) -> None:
        """Schedule an account as fresh; if it is already fresh, the earlier time applies."""
        self._fresh[username] = min(due, self._fresh.get(username, due))

    def add_waiting(self, usernames: Iterable[str], now: float) -> None:
        """Add accounts to the end of the queue, unless they are in it."""
        for username in usernames:
            self._waiting.setdefault(username, now)

    def add_first(self, usernames: Iterable[str], now: float) -> None:
        """Move or add accounts to the head of the queue."""
        for username in reversed(list(usernames)):
            self._waiting.setdefault(username, now)
            self._waiting.move_to_end(username, last=False)

    def take_due(self, now: float) -> list[str]:
        """Remove and return the fresh accounts that are due; they may still be waiting, too."""
        due = [username for username, moment in self._fresh.items() if moment <= now]
        for username in due:
            del self._fresh[username]
        return due

    def take_waiting(self, count: int) -> list[str]:
        """Remove and return the first waiting accounts."""
        return [self._waiting.popitem(last=False)[0] for _ in range(min(count, len(self._waiting)))]

    def discard(self, usernames: Iterable[str]) -> None:
        """Remove waiting accounts, because they were scanned."""
        for username in usernames:
            self._waiting.pop(username, None)

    def add_outdated(self, usernames: Iterable[str]) -> None:
        """Add accounts that have photos with outdated hashes, to be scanned when nothing else is to be done."""
        self._outdated.update(usernames)

    def first_outdated(self, count: int) -> list[str]:
        """Return the first accounts with outdated hashes; they stay until `discard_outdated`."""
        return sorted(self._outdated)[:count]

    def discard_outdated(self, usernames: Iterable[str]) -> None:
        self._outdated.difference_update(usernames)

    def lag(self, now: float) -> float:
        """Return the seconds for which the longest overdue account has been due."""
        moments = [*self._fresh.values(), *self._waiting.values()]
        return max(0.0, now - min(moments, default=now))
