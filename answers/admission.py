"""Admit or refuse requests, by the access rules and the rate limit of each person."""

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
"""Photos that a person may send at once, and the seconds after which one more is allowed."""
PRESSES, SECONDS_A_PRESS = 60, 1.0
"""The same for buttons, counted separately: somebody who turns many pages may still send a photo."""
NOTICES, SECONDS_A_NOTICE = 3, 60.0
"""Refusals that a person is told of in a row, and the seconds after which they are told of one more."""


@dataclass(frozen=True, slots=True)
class Requester:
    """A person who asks, and the chat they ask in."""

    chat_id: int
    person_id: int
    language: Language
    """The language they are answered in."""
    allowed_id: int
    """The id that the settings may allow: of the chat on Telegram, of the server on Discord."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why a person is not answered."""

    sentence: str
    """The reason in the person's language."""
    is_told: bool = False
    """True if the person was told before, so that the bot stays silent."""


class RefusalMeter(Protocol):
    """A counter of refusals."""

    def refused(self, front_end: FrontEnd, reason: RefusalReason) -> None: ...


class Admission:
    """The admission control of one front end."""

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
        """Return why this person may not ask here or now; None if they may."""
        return self._refusal(requester, self._queries, pictures)

    def refusal_of_press(self, requester: Requester) -> Refusal | None:
        """Return why this person may not press a button here or now; None if they may."""
        return self._refusal(requester, self._presses, 1)

    def _refusal(self, requester: Requester, limiter: RateLimiter, cost: int) -> Refusal | None:
        if not self._access.admits(requester.allowed_id, requester.person_id):
            self._meter.refused(self._front_end, "chat")
            sentence = requester.language.say(
                "This bot serves certain chats only: give its operator the number {number} to be admitted.",
                number=str(requester.allowed_id),
            )
            return Refusal(sentence, is_told=self._notices.take(requester.person_id) is not None)
        if too_fast := limiter.take(requester.person_id, cost):
            self._meter.refused(self._front_end, "pace")
            return Refusal(words.too_fast(too_fast.seconds, requester.language), too_fast.is_told)
        return None
