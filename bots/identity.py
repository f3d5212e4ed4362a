"""Define the answer of a chat's server when `igsearch doctor` asks it about a token."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Introduction:
    """The answer of a chat's server about our token."""

    name: str | None
    """The bot's name; None if there is a fault or the server does not tell."""
    fault: str | None = None
    """The reason why the bot cannot answer, and what to do; never contains the token."""
    clock_ahead: timedelta | None = None
    """The time by which the server's clock is ahead of ours; None if unknown."""
