"""What every bot does, whatever the chat: who may ask, answers, the buttons below them, and the figures."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from answers import replies as words
from answers.access import Access
from answers.backend import SearchService
from answers.fair_queue import RateLimiter
from answers.languages import ENGLISH, Language, languages
from answers.query_queue import Fetch, QueryQueue, TimedOutcome
from bots.buttons import Button, pressed
from core.errors import StoreError
from core.model import Fault, FrontEnd, KeptReply, NamedMatch, Outcome, RefusalReason
from core.storage.replies import KEPT_DAYS, REPORTED_DAYS

BURST, SECONDS_EACH = 60, 3.0
"""Pictures that a person may send at once, and how soon one more."""
PRESSES, SECONDS_A_PRESS = 60, 1.0
"""The same for buttons, counted apart: who turns many pages may still send a picture."""
TELLINGS, SECONDS_A_TELLING = 3, 60.0
"""How often somebody who may not ask is told so."""
BUTTON_SECONDS = 0.8
"""For which a pressed button waits for the database: a person sees it turn, and expects something within a second."""
KEEP_SECONDS = 1.0
"""For which a reply waits to be kept; without that it has no buttons."""
REPORTS_SHOWN = 20
TURNED_AWAY: Mapping[Fault, RefusalReason] = {"busy": "busy", "stopping": "stopping"}
"""Faults that say nothing of the picture, nor of anything broken."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueryPhoto:
    """A picture that is photo in: how to fetch it, and whether it is a preview of what was sent."""

    fetch: Fetch
    is_preview: bool = False


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks, where, and in which language; `allowed_id` is what the settings may allow: a chat, or a server."""

    chat_id: int
    person_id: int
    language: Language
    allowed_id: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is not answered; `is_told` where they know already."""

    sentence: str
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcomes of a message's pictures, and the number that they are kept under, where they are."""

    outcomes: tuple[Outcome, ...]
    number: int | None
    served: tuple[TimedOutcome, ...]


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """A button of a kept reply."""

    button: Button
    kept: KeptReply

    @property
    def matches(self) -> tuple[NamedMatch, ...]:
        """The matches whose picture it asks for."""
        named = (match for outcome in self.kept.outcomes for match in outcome.matches)
        return tuple(match for match in named if match.light_id == self.button.number)

    @property
    def usernames(self) -> list[str]:
        return [match.username for match in self.matches]


class AnswerService:
    """The clerk of one bot; `queue.keep_fresh` runs beside it."""

    def __init__(self, front_end: FrontEnd, access: Access, service: SearchService) -> None:
        self.languages = languages()
        self.access = access
        self.queue = QueryQueue(service.engine, workers=service.workers, tidy=service.replies.forget_old)
        self._front_end = front_end
        self._replies = service.replies
        self._pictures = service.pictures
        self._catalogue = service.catalogue
        self._meter = service.meter
        self._limiter = RateLimiter(burst=BURST, seconds_each=SECONDS_EACH, clock=time.monotonic)
        self._stranger_limiter = RateLimiter(burst=TELLINGS, seconds_each=SECONDS_A_TELLING, clock=time.monotonic)
        self._press_limiter = RateLimiter(burst=PRESSES, seconds_each=SECONDS_A_PRESS, clock=time.monotonic)

    def refusal(self, requester: Requester, *, pictures: int = 1) -> Refusal | None:
        """Say why somebody may not ask here or now; None where they may."""
        return self._refusal(requester, self._limiter, pictures)

    def _refusal(self, requester: Requester, pace: RateLimiter, cost: int) -> Refusal | None:
        if not self.access.admits(requester.allowed_id, requester.person_id):
            self._meter.refused(self._front_end, "chat")
            sentence = requester.language.say(
                "This bot serves certain chats only: ask its operator, and name the number {number}.",
                number=str(requester.allowed_id),
            )
            return Refusal(sentence, is_told=self._stranger_limiter.take(requester.person_id) is not None)
        if too_fast := pace.take(requester.person_id, cost):
            self._meter.refused(self._front_end, "pace")
            return Refusal(words.too_fast(too_fast.seconds, requester.language), too_fast.is_told)
        return None

    async def answer(self, photo: Sequence[QueryPhoto | Fault], requester: Requester) -> Answer:
        """Search for every picture that is photo in, and keep what is replied."""
        served = await asyncio.gather(*(self._served(one, requester.person_id) for one in photo))
        for one in served:
            self._count(one)
        outcomes = tuple(one.outcome for one in served)
        return Answer(outcomes, await self._kept(outcomes, requester), tuple(served))

    def note_answer(self, served: Sequence[TimedOutcome], *, replied: float, whole: float) -> None:
        """Log and count what an answer took in seconds; of an album the log tells of the slowest picture."""
        self._meter.took(self._front_end, "reply", replied)
        self._meter.took(self._front_end, "whole", whole)
        slowest = max(served, key=lambda one: one.download + one.reading + one.search)
        steps = (whole, slowest.download, slowest.reading, slowest.search, replied)
        verdicts = ", ".join(one.outcome.fault or one.outcome.verdict for one in served)
        logger.info(
            "answered with %s in %.0f ms (download %.0f, reading %.0f, search %.0f, reply %.0f)",
            verdicts,
            *(1000 * step for step in steps),
        )

    def page(self, outcomes: Sequence[Outcome], language: Language, page: int = 1) -> words.Reply:
        """Say what became of some pictures."""
        return words.compose(outcomes, language, now=datetime.now(UTC), page=page)

    async def press(self, data: object, requester: Requester, *, is_owners: bool = False) -> ButtonPress | str:
        """Return the button that says this, or a sentence where it does not work or all is done.

        It must be of a reply in this chat; with `is_owners`, of one to the same person.
        """
        button = pressed(data)
        if refusal := self._refusal(requester, self._press_limiter, 1):
            return refusal.sentence
        try:
            async with asyncio.timeout(BUTTON_SECONDS):
                kept = await self._reply_of(button, requester, is_owners=is_owners)
                if kept and button and button.kind == "w":
                    await self._replies.report(button.reply, person_id=requester.person_id, at=datetime.now(UTC))
        except (StoreError, TimeoutError) as error:
            self._note(error)
            return requester.language.say("My index cannot be reached just now: try again in a minute.")
        if not kept or not button:
            return requester.language.say("This button is too old, or not of this chat: send the photo again.")
        if button.kind == "w":
            return requester.language.say("Thank you: it is noted for the operator to look at.")
        return ButtonPress(button, kept)

    def turned(self, pressed: ButtonPress) -> tuple[words.Reply, Language]:
        """Return the page that a button asks for, in the language of the reply."""
        language = self.languages.get(pressed.kept.language, self.languages[ENGLISH])
        return self.page(pressed.kept.outcomes, language, pressed.button.number), language

    async def picture(self, light_id: int, usernames: Sequence[str], language: Language) -> bytes | str:
        """Return the image that these accounts share, as a JPEG; or a sentence where it cannot be had."""
        try:
            picture = await self._pictures.picture(light_id, usernames)
        except StoreError as error:
            self._note(error)
            return words.fault_words("unavailable", language)
        return picture or language.say("That picture is no longer in the index.")

    async def stats(self, requester: Requester) -> str:
        """Say what is searched, and to an admin how it is."""
        return await self._unless_away(self._stats, requester)

    async def reports(self, requester: Requester) -> str:
        """List the answers that were called wrong, for an admin."""
        if not self.access.is_admin(requester.person_id):
            number = str(requester.person_id)
            return requester.language.say("/reports is for admins of this bot; your number is {number}.", number=number)
        return await self._unless_away(self._reports, requester)

    def privacy(self, language: Language) -> str:
        return words.privacy(language, kept_days=KEPT_DAYS, reported_days=REPORTED_DAYS)

    async def _served(self, photo: QueryPhoto | Fault, person: int) -> TimedOutcome:
        if not isinstance(photo, QueryPhoto):
            return TimedOutcome(Outcome("error", photo))
        served = await self.queue.serve(person, photo.fetch)
        return replace(served, outcome=replace(served.outcome, is_preview=photo.is_preview))

    def _count(self, served: TimedOutcome) -> None:
        """Count a picture; what one without a result took says nothing of the others."""
        fault = served.outcome.fault
        self._meter.searched(self._front_end, served.outcome)
        if fault and (reason := TURNED_AWAY.get(fault)):
            self._meter.refused(self._front_end, reason)
        if fault is None:
            self._meter.took(self._front_end, "download", served.download)
            self._meter.took(self._front_end, "reading", served.reading)
            self._meter.took(self._front_end, "search", served.search)

    async def _kept(self, outcomes: tuple[Outcome, ...], requester: Requester) -> int | None:
        """Keep a reply and return its number; None where it needs no buttons, or cannot be kept just now."""
        if not any(outcome.matches for outcome in outcomes):
            return None
        code, now = requester.language.code, datetime.now(UTC)
        reply = KeptReply(self._front_end, requester.chat_id, requester.person_id, code, now, outcomes)
        try:
            async with asyncio.timeout(KEEP_SECONDS):
                return await self._replies.keep(reply)
        except (StoreError, TimeoutError) as error:
            logger.warning("a reply has no buttons, it could not be kept: %s", error or "no answer in time")
            return None

    async def _reply_of(self, button: Button | None, requester: Requester, *, is_owners: bool) -> KeptReply | None:
        """Return the reply that a button belongs to, if it may be used by this person in this chat."""
        if button is None:
            return None
        self.queue.refuse_while_away()
        kept = await self._replies.find(button.reply)
        is_here = kept is not None and (kept.front_end, kept.chat_id) == (self._front_end, requester.chat_id)
        return kept if kept and is_here and (kept.person_id == requester.person_id or not is_owners) else None

    async def _unless_away(self, text: Callable[[Requester], Awaitable[str]], requester: Requester) -> str:
        try:
            self.queue.refuse_while_away()
            return await text(requester)
        except StoreError as error:
            self._note(error)
            return words.fault_words("unavailable", requester.language)

    async def _stats(self, requester: Requester) -> str:
        stats, searched = await self._catalogue.stats(), await self._catalogue.checkpoint()
        is_admin = self.access.is_admin(requester.person_id)
        return words.figures(stats, searched, requester.language, now=datetime.now(UTC), is_admin=is_admin)

    async def _reports(self, requester: Requester) -> str:
        return "\n".join(words.report_lines(await self._replies.reports(REPORTS_SHOWN), requester.language))

    def _note(self, error: StoreError | TimeoutError) -> None:
        if isinstance(error, StoreError):
            self.queue.note_away(error)
