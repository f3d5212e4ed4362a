"""Who a bot is, as its chat's server says; asked by `igsearch doctor`."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a chat's server says of our token."""

    name: str | None
    """The bot's name; None where there is a fault, or the server does not say."""
    fault: str | None = None
    """Why the bot cannot answer, and what to do; without the token."""
    clock_ahead: timedelta | None = None
    """How far the server's clock is ahead of ours, where it tells."""
