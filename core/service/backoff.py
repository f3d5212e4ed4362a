"""Compute the pauses between failing attempts: each is twice as long as the previous one, up to a limit."""


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
        """Start again with the first pause, after a successful attempt."""
        self._next = self._first
