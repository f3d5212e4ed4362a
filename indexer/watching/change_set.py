"""What happened below the dataset since somebody last asked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

MOST_ACCOUNTS = 10_000
"""Accounts that are remembered one by one; with more, everything counts as changed."""


@dataclass(slots=True)
class Changes:
    """Where something happened."""

    usernames: set[str] = field(default_factory=set)
    is_root_changed: bool = False
    """Whether an entry of the dataset folder came, went or changed."""
    everything: str | None = None
    """Why all of it may have changed, if so."""


class ChangeSet:
    """Gathers what happened; bounded, for any thread."""

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
        """Return what happened, and begin anew."""
        with self._lock:
            taken, self._changes = self._changes, Changes()
        return taken
