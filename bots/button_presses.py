"""Handle the buttons below a reply, for every chat: turn pages, show pictures, take reports."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from answers import replies as words
from answers.admission import Admission, Requester
from answers.backend import SearchBackend
from answers.languages import ENGLISH, Language
from answers.query_queue import QueryQueue
from bots.buttons import Button, parse_button
from core.errors import StoreError
from core.model.outcomes import KeptReply, NamedMatch
from core.model.statuses import FrontEnd

BUTTON_SECONDS = 0.8
"""The time limit for the database calls of a pressed button: people expect something to happen within a second."""


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """A pressed button of a stored reply."""

    button: Button
    kept: KeptReply
    """The reply that the button belongs to."""

    @property
    def matches(self) -> tuple[NamedMatch, ...]:
        """Return the matches whose picture the button asks for."""
        named = (match for outcome in self.kept.outcomes for match in outcome.matches)
        return tuple(match for match in named if match.photo_id == self.button.number)

    @property
    def usernames(self) -> list[str]:
        return [match.username for match in self.matches]


class ButtonPresses:
    """The handler of pressed buttons, which relies on nothing but what the database keeps of the reply."""

    def __init__(self, front_end: FrontEnd, admission: Admission, backend: SearchBackend, queue: QueryQueue) -> None:
        self._front_end = front_end
        self._admission = admission
        self._replies = backend.replies
        self._pictures = backend.pictures
        self._queue = queue

    async def press(self, data: object, requester: Requester, *, is_owners: bool = False) -> ButtonPress | str:
        """Return the pressed button with its reply, or a sentence if it does not work or nothing else is to be done.

        The reply must be in this chat and, with `is_owners`, to the same person.
        """
        button = parse_button(data)
        if refusal := self._admission.refusal_of_press(requester):
            return refusal.sentence
        try:
            async with asyncio.timeout(BUTTON_SECONDS):
                kept = await self._reply_of(button, requester, is_owners=is_owners)
                if kept and button and button.kind == "w":
                    await self._replies.report(button.reply, person_id=requester.person_id, at=datetime.now(UTC))
        except (StoreError, TimeoutError) as error:
            if isinstance(error, StoreError):
                self._queue.note_away(error)
            return requester.language.say("My index cannot be reached just now: try again in a minute.")
        if not kept or not button:
            return requester.language.say("This button is too old or from another chat: send the photo again.")
        if button.kind == "w":
            return requester.language.say("Thank you: this is noted for the operator to review.")
        return ButtonPress(button, kept)

    async def picture(self, photo_id: int, usernames: Sequence[str], language: Language) -> bytes | str:
        """Return the image that these accounts share as a JPEG, or a sentence if it is not available."""
        try:
            picture = await self._pictures.picture(photo_id, usernames)
        except StoreError as error:
            self._queue.note_away(error)
            return words.fault_words("unavailable", language)
        return picture or language.say("That picture is no longer in the index.")

    async def _reply_of(self, button: Button | None, requester: Requester, *, is_owners: bool) -> KeptReply | None:
        """Return the reply that a button belongs to, if this person may use it in this chat."""
        if button is None:
            return None
        self._queue.refuse_while_away()
        kept = await self._replies.find(button.reply)
        is_here = kept is not None and (kept.front_end, kept.chat_id) == (self._front_end, requester.chat_id)
        return kept if kept and is_here and (kept.person_id == requester.person_id or not is_owners) else None


def page_of(press: ButtonPress, languages: Mapping[str, Language]) -> tuple[words.Reply, Language]:
    """Return the page that a button asks for, in the language of the reply."""
    language = languages.get(press.kept.language, languages[ENGLISH])
    page = words.compose(press.kept.outcomes, language, now=datetime.now(UTC), page=press.button.number)
    return page, language
