"""Pauses between attempts that fail: each twice as long as the one before, up to the longest."""


class Backoff:
    """The pauses of one series of attempts, in seconds."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def next(self) -> float:
        """Return the pause before the next attempt."""
        pause, self._next = self._next, min(2 * self._next, self._longest)
        return pause

    def reset(self) -> None:
        """Begin anew with the first pause, after an attempt that succeeded."""
        self._next = self._first
