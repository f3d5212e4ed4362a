"""The answers of a bot: every picture, every step and every refusal counts, under the name of its front end."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from answers.access import Access
from answers.admission import BURST, Admission, Requester
from answers.answering import Answer, AnswerService, QueryPhoto
from answers.backend import SearchBackend
from answers.languages import languages
from answers.query_queue import TimedOutcome
from answers.replies import compose
from core.model.matches import SearchResult
from core.model.outcomes import KeptReply, QueryOutcome, RefusalReason, Report, Step
from core.model.records import Checkpoint
from core.model.statuses import FrontEnd, FrontEndStatus, Stats
from core.service.meter import Meter

CHAT, FOREIGN, ANNA, BOB = 1, 2, 3, 4


class Counts(Meter):
    """Counts what it hears."""

    def __init__(self) -> None:
        self.heard: Counter[tuple[str, ...]] = Counter()

    def searched(self, front_end: FrontEnd, outcome: QueryOutcome) -> None:
        self.heard[front_end, outcome.fault or outcome.verdict] += 1

    def took(self, front_end: FrontEnd, step: Step, seconds: float) -> None:
        self.heard[front_end, step] += 1

    def refused(self, front_end: FrontEnd, reason: RefusalReason) -> None:
        self.heard[front_end, "refused", reason] += 1


class Nobody:
    """An index in which nobody is found, and books in which nothing is kept."""

    async def search(self, data: bytes) -> SearchResult:
        return SearchResult("none", (), (), Checkpoint("id", 1, 1, 1), 12.0, 4.0)

    async def warm_up(self) -> None: ...

    async def read_stats(self) -> Stats:
        raise NotImplementedError

    async def read_checkpoint(self) -> Checkpoint:
        raise NotImplementedError

    async def keep(self, reply: KeptReply) -> int:
        raise NotImplementedError

    async def find(self, number: int) -> KeptReply | None:
        return None

    async def report(self, number: int, *, person_id: int, at: datetime) -> None: ...

    async def reports(self, limit: int) -> list[Report]:
        return []

    async def remove_old(self, now: datetime) -> None: ...

    async def picture(self, photo_id: int, usernames: Sequence[str]) -> bytes | None:
        return None

    async def note_front_end(self, status: FrontEndStatus) -> None: ...


@pytest.fixture
def meter() -> Counts:
    return Counts()


@pytest.fixture
def admission(meter: Counts) -> Admission:
    return Admission("discord", Access(frozenset({CHAT}), frozenset()), meter)


@pytest.fixture
def backend(meter: Counts) -> SearchBackend:
    nobody = Nobody()
    return SearchBackend(nobody, 2, nobody, nobody, nobody, nobody, meter, has_workers=lambda: True)


@pytest.fixture
def answers(admission: Admission, backend: SearchBackend) -> AnswerService:
    return AnswerService("discord", admission, backend)


def requester(person: int = ANNA, allowed_id: int = CHAT) -> Requester:
    return Requester(CHAT, person, languages()["en"], allowed_id)


async def picture() -> bytes:
    return b"picture"


async def test_each_picture_of_an_album_is_a_search(answers: AnswerService, meter: Counts) -> None:
    """Its steps count for each, but of what was not searched; the reply and the whole count once."""
    answer = await answers.answer([QueryPhoto(picture), QueryPhoto(picture), "too large"], requester())
    answers.note_sent(answer)

    assert {key[1:]: count for key, count in meter.heard.items()} == {
        ("none",): 2,
        ("too large",): 1,
        ("download",): 2,
        ("reading",): 2,
        ("search",): 2,
        ("reply",): 1,
        ("whole",): 1,
    }
    assert {key[0] for key in meter.heard} == {"discord"}


async def test_who_is_turned_away_is_counted_by_why(
    answers: AnswerService, admission: Admission, meter: Counts
) -> None:
    """A chat that is not served, a pace that is too fast, and the end of the bot are refusals, each its own."""
    refused = [
        admission.refusal_of_query(requester(allowed_id=FOREIGN)),
        admission.refusal_of_query(requester(BOB), pictures=BURST),
        admission.refusal_of_query(requester(BOB)),
    ]
    answers.queue.close()
    answer = await answers.answer([QueryPhoto(picture)], requester())

    assert [refusal is not None for refusal in refused] == [True, False, True]
    assert [one.outcome.fault for one in answer.outcomes] == ["stopping"]
    assert {key[2]: count for key, count in meter.heard.items() if key[1] == "refused"} == {
        "chat": 1,
        "pace": 1,
        "stopping": 1,
    }


def test_the_log_tells_of_the_slowest_picture(
    admission: Admission, backend: SearchBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """Of an album the steps in the log are of one picture, and add up."""
    caplog.set_level("INFO")
    outcomes = (TimedOutcome(QueryOutcome("none"), 0.1, 0.2, 0.3), TimedOutcome(QueryOutcome("match"), 0.4, 0.5, 0.6))
    reply = compose([one.outcome for one in outcomes], languages()["en"], now=datetime.now(UTC))
    answers = AnswerService("discord", admission, backend, clock=lambda: 11.6)

    answers.note_sent(Answer(reply, None, outcomes, asked_at=10.0, ready_at=11.5))

    assert caplog.messages == [
        "answered with none, match in 1600 ms (download 400, reading 500, search 600, reply 100)"
    ]
