"""The outcome of a query image sent to a front end, and the stored part of the reply."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from core.model.matches import SearchResult, Verdict
from core.model.records import Checkpoint
from core.model.statuses import FrontEnd

Fault = Literal[
    "unreadable",
    "unsupported",
    "too large",
    "too slow",
    "no preview",
    "download",
    "unavailable",
    "busy",
    "stopping",
    "unexpected",
]
"""The reason why a query image sent to a bot has no result; answers/replies.py has a sentence for each."""


MOST_SIMILAR = 5
"""Similar scenes named for one query; more would not help."""


Step = Literal["download", "reading", "search", "reply", "whole"]
"""The timed steps of a bot's answer; in an album the first three are timed once per picture."""


RefusalReason = Literal["pace", "chat", "busy", "stopping"]
"""The reason for a refusal: too many messages, a chat that is not served, a full queue, or a bot that is stopping."""


@dataclass(frozen=True, slots=True)
class NamedMatch:
    """An account named in a bot's reply."""

    username: str
    confidence: float
    """0 to 1."""
    how: tuple[str, ...]
    """The kind of match of its best image, in words."""
    photo_id: int
    """The photo of its best image."""


@dataclass(frozen=True, slots=True)
class QueryOutcome:
    """The outcome of one query image sent to a bot."""

    verdict: Verdict
    fault: Fault | None = None
    """Set if the verdict is "error"."""
    matches: tuple[NamedMatch, ...] = ()
    similar: tuple[NamedMatch, ...] = ()
    searched: Checkpoint | None = None
    """The state of the store that was searched."""
    is_preview: bool = False
    """True if the chat's small preview was searched instead of the file itself."""

    @classmethod
    def of(cls, result: SearchResult) -> Self:
        """Return the part of a search result that a front end shows."""
        matches, similar = (
            tuple(NamedMatch(one.username, one.confidence, one.how, one.images[0].photo_id) for one in matches)
            for matches in (result.matches, result.similar[:MOST_SIMILAR])
        )
        return cls(result.verdict, matches=matches, similar=similar, searched=result.searched)


@dataclass(frozen=True, slots=True)
class KeptReply:
    """A bot's stored reply, which keeps its buttons working; the query images are not kept."""

    front_end: FrontEnd
    chat_id: int
    """The chat that the reply went to."""
    person_id: int
    """The person who sent the query."""
    language: str
    at: datetime
    outcomes: tuple[QueryOutcome, ...]
    """One per query image."""


@dataclass(frozen=True, slots=True)
class Report:
    """A report that a reply is wrong."""

    reply_id: int
    reported_at: datetime
    reply: KeptReply

    @property
    def matches(self) -> tuple[NamedMatch, ...]:
        """The accounts that the reply named and that still exist."""
        return tuple(match for outcome in self.reply.outcomes for match in outcome.matches)
