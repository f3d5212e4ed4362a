"""Answer query photos for every front end: search for each, word the reply, store it, and measure the steps."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from answers import replies as words
from answers.admission import Admission, Requester
from answers.backend import SearchBackend
from answers.languages import Language
from answers.query_queue import Fetch, QueryQueue, TimedOutcome
from core.errors import StoreError
from core.model.outcomes import Fault, KeptReply, QueryOutcome, RefusalReason
from core.model.statuses import FrontEnd
from core.storage.replies import KEPT_DAYS, REPORTED_DAYS

KEEP_SECONDS = 1.0
"""The time limit for storing a reply; a reply that is not stored in time is sent without buttons."""
REPORTS_SHOWN = 20
TURNED_AWAY: Mapping[Fault, RefusalReason] = {"busy": "busy", "stopping": "stopping"}
"""Faults that are caused neither by the photo nor by anything broken, and the reasons they are counted under."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueryPhoto:
    """A photo that somebody sent."""

    fetch: Fetch
    """Downloads the photo."""
    is_preview: bool = False
    """True if this is only a preview of what was sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to the photos of one message, ready to be rendered and sent."""

    reply: words.Reply
    """The first page."""
    number: int | None
    """The number it is stored under; None if it is not stored."""
    outcomes: tuple[TimedOutcome, ...]
    """One for each photo, in order."""
    asked_at: float
    """The time at which the photos arrived, in seconds of the clock."""
    ready_at: float
    """The time at which this answer was ready, by the same clock."""


class AnswerService:
    """The service that answers the query photos of one front end; run `queue.keep_fresh` beside it."""

    def __init__(
        self,
        front_end: FrontEnd,
        admission: Admission,
        backend: SearchBackend,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.queue = QueryQueue(backend.engine, workers=backend.workers, tidy=backend.replies.remove_old)
        self._front_end = front_end
        self._admission = admission
        self._replies = backend.replies
        self._changes = backend.changes
        self._statuses = backend.statuses
        self._meter = backend.meter
        self._clock = clock

    async def answer(self, photos: Sequence[QueryPhoto | Fault], requester: Requester) -> Answer:
        """Search for every photo of a message, word the reply and store it."""
        asked_at = self._clock()
        timed = tuple(await asyncio.gather(*(self._outcome(photo, requester.person_id) for photo in photos)))
        for one in timed:
            self._count(one)
        outcomes = tuple(one.outcome for one in timed)
        number = await self._keep(outcomes, requester)
        reply = words.compose(outcomes, requester.language, now=datetime.now(UTC))
        return Answer(reply, number, timed, asked_at, ready_at=self._clock())

    def note_sent(self, answer: Answer) -> None:
        """Log and count the durations of an answer that was just sent; for an album, log those of the slowest photo."""
        now = self._clock()
        reply, whole = now - answer.ready_at, now - answer.asked_at
        self._meter.took(self._front_end, "reply", reply)
        self._meter.took(self._front_end, "whole", whole)
        slowest = max(answer.outcomes, key=lambda one: one.download + one.reading + one.search)
        logger.info(
            "answered with %s in %.0f ms (download %.0f, reading %.0f, search %.0f, reply %.0f)",
            ", ".join(one.outcome.fault or one.outcome.verdict for one in answer.outcomes),
            *(1000 * step for step in (whole, slowest.download, slowest.reading, slowest.search, reply)),
        )

    async def stats(self, requester: Requester) -> str:
        """Return what is searched and, for an admin, how igsearch is doing."""
        return await self._unless_away(self._stats, requester)

    async def reports(self, requester: Requester) -> str:
        """List the answers that were reported as wrong, for an admin."""
        if not self._admission.is_admin(requester):
            number = str(requester.person_id)
            return requester.language.say("/reports is for admins of this bot; your ID is {number}.", number=number)
        return await self._unless_away(self._reports, requester)

    def privacy(self, language: Language) -> str:
        """Return what happens to query photos."""
        return words.privacy(language, kept_days=KEPT_DAYS, reported_days=REPORTED_DAYS)

    async def _outcome(self, photo: QueryPhoto | Fault, person: int) -> TimedOutcome:
        if not isinstance(photo, QueryPhoto):
            return TimedOutcome(QueryOutcome("error", photo))
        timed = await self.queue.search(person, photo.fetch)
        return replace(timed, outcome=replace(timed.outcome, is_preview=photo.is_preview))

    def _count(self, timed: TimedOutcome) -> None:
        """Count a photo; do not count the durations of one that has no result."""
        fault = timed.outcome.fault
        self._meter.searched(self._front_end, timed.outcome)
        if fault and (reason := TURNED_AWAY.get(fault)):
            self._meter.refused(self._front_end, reason)
        if fault is None:
            self._meter.took(self._front_end, "download", timed.download)
            self._meter.took(self._front_end, "reading", timed.reading)
            self._meter.took(self._front_end, "search", timed.search)

    async def _keep(self, outcomes: tuple[QueryOutcome, ...], requester: Requester) -> int | None:
        """Store a reply and return its number; None if it needs no buttons or cannot be stored now."""
        if not any(outcome.matches for outcome in outcomes):
            return None
        code, now = requester.language.code, datetime.now(UTC)
        reply = KeptReply(self._front_end, requester.chat_id, requester.person_id, code, now, outcomes)
        try:
            async with asyncio.timeout(KEEP_SECONDS):
                return await self._replies.keep(reply)
        except (StoreError, TimeoutError) as error:
            logger.warning("a reply has no buttons, as it could not be stored: %s", error or "no answer in time")
            return None

    async def _unless_away(self, text: Callable[[Requester], Awaitable[str]], requester: Requester) -> str:
        try:
            self.queue.refuse_while_away()
            return await text(requester)
        except StoreError as error:
            self.queue.note_away(error)
            return words.fault_words("unavailable", requester.language)

    async def _stats(self, requester: Requester) -> str:
        stats, searched = await self._statuses.read_stats(), await self._changes.read_checkpoint()
        is_admin = self._admission.is_admin(requester)
        return words.figures(stats, searched, requester.language, now=datetime.now(UTC), is_admin=is_admin)

    async def _reports(self, requester: Requester) -> str:
        return "\n".join(words.report_lines(await self._replies.reports(REPORTS_SHOWN), requester.language))
