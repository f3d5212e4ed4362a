"""Collect the changes below the dataset until they are taken."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

MOST_ACCOUNTS = 10_000
"""Accounts that are remembered individually; with more, everything counts as changed."""


@dataclass(slots=True)
class Changes:
    """Changes below the dataset."""

    usernames: set[str] = field(default_factory=set)
    """Accounts that changed."""
    is_root_changed: bool = False
    """True if an entry of the dataset folder was added, removed or changed."""
    everything: str | None = None
    """The reason why everything may have changed; None if it has not."""


class ChangeSet:
    """A bounded collection of changes, for any thread; `wake` is called when there are new ones."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = Lock()
        self._changes = Changes()

    def mark(self, username: str) -> None:
        with self._lock:
            is_first = not self._changes.usernames
            self._changes.usernames.add(username)
            if len(self._changes.usernames) > MOST_ACCOUNTS:
                self._changes.usernames.clear()
                self._changes.everything = f"over {MOST_ACCOUNTS:,} accounts changed at once"
        if is_first:
            self._wake()

    def mark_root(self) -> None:
        with self._lock:
            is_first, self._changes.is_root_changed = not self._changes.is_root_changed, True
        if is_first:
            self._wake()

    def mark_everything(self, reason: str) -> None:
        with self._lock:
            self._changes.everything = reason
        self._wake()

    def take(self) -> Changes:
        """Return the changes, and start a new collection."""
        with self._lock:
            taken, self._changes = self._changes, Changes()
        return taken
