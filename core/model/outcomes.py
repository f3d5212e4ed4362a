"""What became of a query photo that was sent to a front end, and what is kept of the reply."""

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
"""Why a query image that was sent to a bot has no result; answers/replies.py has a sentence for each."""


MOST_SIMILAR = 5
"""Similar scenes that are named for one query; more help nobody."""


Step = Literal["download", "reading", "search", "reply", "whole"]
"""What a bot's answer takes its time for; of an album the first three once for each picture."""


RefusalReason = Literal["pace", "chat", "busy", "stopping"]
"""Why somebody is turned away: too fast, not a chat that is served, a full line, or the end of the bot."""


@dataclass(frozen=True, slots=True)
class NamedMatch:
    """An account in a bot's reply: how sure it is, how it matched, and the fingerprint of its best image."""

    username: str
    confidence: float
    how: tuple[str, ...]
    photo_id: int


@dataclass(frozen=True, slots=True)
class QueryOutcome:
    """What became of one query image that was sent to a bot; `fault` is set where the verdict is "error".

    `is_preview`: not the file itself was searched but the small picture that the chat shows of it.
    """

    verdict: Verdict
    fault: Fault | None = None
    matches: tuple[NamedMatch, ...] = ()
    similar: tuple[NamedMatch, ...] = ()
    searched: Checkpoint | None = None
    is_preview: bool = False

    @classmethod
    def of(cls, result: SearchResult) -> Self:
        """Take from a search result what a front end shows of it."""
        matches, similar = (
            tuple(NamedMatch(one.username, one.confidence, one.how, one.images[0].photo_id) for one in matches)
            for matches in (result.matches, result.similar[:MOST_SIMILAR])
        )
        return cls(result.verdict, matches=matches, similar=similar, searched=result.searched)


@dataclass(frozen=True, slots=True)
class KeptReply:
    """What a bot replied, to whom and where, so that its buttons work for long; the query images are not kept."""

    front_end: FrontEnd
    chat_id: int
    person_id: int
    language: str
    at: datetime
    outcomes: tuple[QueryOutcome, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A reply that somebody called wrong, and when."""

    reply_id: int
    reported_at: datetime
    reply: KeptReply

    @property
    def matches(self) -> tuple[NamedMatch, ...]:
        """The accounts that it named, of those that are there still."""
        return tuple(match for outcome in self.reply.outcomes for match in outcome.matches)
