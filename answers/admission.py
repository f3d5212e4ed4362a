"""Who is answered: whoever may ask here, and no faster than the rate limit."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from answers import replies as words
from answers.access import Access
from answers.languages import Language
from answers.rate_limit import RateLimiter
from core.model.outcomes import RefusalReason
from core.model.statuses import FrontEnd

BURST, SECONDS_EACH = 60, 3.0
"""Photos that a person may send at once, and how soon one more."""
PRESSES, SECONDS_A_PRESS = 60, 1.0
"""The same for buttons, counted apart: who turns many pages may still send a photo."""
NOTICES, SECONDS_A_NOTICE = 3, 60.0
"""How often somebody who may not ask is told so."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks, and where."""

    chat_id: int
    person_id: int
    language: Language
    allowed_id: int
    """What the settings may allow: a chat, or a server."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is not answered."""

    sentence: str
    is_told: bool = False
    """Whether they were told already."""


class RefusalMeter(Protocol):
    """Counts refusals."""

    def refused(self, front_end: FrontEnd, reason: RefusalReason) -> None: ...


class Admission:
    """Decides for one front end whether a requester is answered."""

    def __init__(
        self, front_end: FrontEnd, access: Access, meter: RefusalMeter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._front_end = front_end
        self._access = access
        self._meter = meter
        self._queries = RateLimiter(burst=BURST, seconds_each=SECONDS_EACH, clock=clock)
        self._presses = RateLimiter(burst=PRESSES, seconds_each=SECONDS_A_PRESS, clock=clock)
        self._notices = RateLimiter(burst=NOTICES, seconds_each=SECONDS_A_NOTICE, clock=clock)

    @property
    def admins(self) -> frozenset[int]:
        return self._access.admins

    def is_admin(self, requester: Requester) -> bool:
        return self._access.is_admin(requester.person_id)

    def refusal_of_query(self, requester: Requester, *, pictures: int = 1) -> Refusal | None:
        """Say why somebody may not ask here or now; None where they may."""
        return self._refusal(requester, self._queries, pictures)

    def refusal_of_press(self, requester: Requester) -> Refusal | None:
        """Say why somebody may not press a button here or now; None where they may."""
        return self._refusal(requester, self._presses, 1)

    def _refusal(self, requester: Requester, limiter: RateLimiter, cost: int) -> Refusal | None:
        if not self._access.admits(requester.allowed_id, requester.person_id):
            self._meter.refused(self._front_end, "chat")
            sentence = requester.language.say(
                "This bot serves certain chats only: ask its operator, and name the number {number}.",
                number=str(requester.allowed_id),
            )
            return Refusal(sentence, is_told=self._notices.take(requester.person_id) is not None)
        if too_fast := limiter.take(requester.person_id, cost):
            self._meter.refused(self._front_end, "pace")
            return Refusal(words.too_fast(too_fast.seconds, requester.language), too_fast.is_told)
        return None
