"""What the bots say: every account once, on pages of ten, and a sentence for whatever goes wrong."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers.languages import Language, languages
from answers.replies import FAULTS, HOW, PAGE_ENTRIES, compose, fault_words, how, report_lines, too_fast
from core.fingerprints.hashes import VARIANTS
from core.matching.placement import words
from core.matching.ranking import word_for
from core.model.matches import Placement
from core.model.outcomes import Fault, KeptReply, NamedMatch, QueryOutcome, Report
from core.model.records import Checkpoint

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ENGLISH, GERMAN = languages()["en"], languages()["de"]
SEARCHED = Checkpoint("id", 7, 28_114, 31, NOW - timedelta(minutes=4))
WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def named(*usernames: str, confidence: float = 0.998) -> tuple[NamedMatch, ...]:
    return tuple(
        NamedMatch(username, confidence, ("cropped to about 60 %", "mirrored"), number)
        for number, username in enumerate(usernames, start=1)
    )


def sentences(*outcomes: QueryOutcome, language: Language = ENGLISH) -> list[str]:
    reply = compose(outcomes, language, now=NOW)
    return [*(sentence for passage in reply.passages for sentence in passage.sentences), *reply.closing]


def test_a_match_says_who_how_sure_and_how() -> None:
    """An entry has the username, percent and word, and how it matched."""
    reply = compose([QueryOutcome("match", matches=named("anna"), searched=SEARCHED)], ENGLISH, now=NOW)

    [entry] = reply.entries
    assert (entry.number, entry.username, entry.sureness) == (1, "anna", "99.8 %, same photo")
    assert entry.how == "cropped to about 60 %, mirrored"
    assert reply.passages[0].title == "Found: 1 account"


def test_nothing_found_says_what_was_searched_and_what_to_try() -> None:
    """The scope has photos, accounts and the age of the newest."""
    said = sentences(QueryOutcome("none", searched=SEARCHED))

    assert said == [
        "Nothing found among 28,114 photos of 31 accounts, newest 4 minutes ago.",
        "Try this: crop to the photo itself and send it again.",
    ]


def test_similar_scenes_stand_apart() -> None:
    """A similar account is no entry, and what is said is that nothing is sure."""
    reply = compose([QueryOutcome("similar", similar=named("anna"), searched=SEARCHED)], GERMAN, now=NOW)

    assert reply.entries == ()
    assert reply.passages[0].similar == ("anna",)
    assert reply.closing[0].startswith("Kein sicherer Treffer unter 28.114 Fotos von 31 Konten")


@pytest.mark.parametrize("fault", get_args(Fault))
def test_each_fault_has_its_own_sentence(fault: Fault) -> None:
    """Whatever goes wrong is said, in a sentence that nothing else has, in every language."""
    for language in languages().values():
        said = [fault_words(each, language) for each in get_args(Fault)]

        assert sentences(QueryOutcome("error", fault), language=language) == [fault_words(fault, language)]
        assert said.count(fault_words(fault, language)) == 1
    assert set(FAULTS) == set(get_args(Fault))


def test_an_album_is_numbered_by_picture() -> None:
    """Each picture has its passage, with its number as title; accounts are numbered through."""
    reply = compose(
        [
            QueryOutcome("match", matches=named("anna"), searched=SEARCHED),
            QueryOutcome("error", "unreadable"),
            QueryOutcome("match", matches=named("bob", "anna"), searched=SEARCHED),
        ],
        ENGLISH,
        now=NOW,
    )

    assert [passage.title for passage in reply.passages] == ["Picture 1", "Picture 2", "Picture 3"]
    assert [(entry.number, entry.username) for entry in reply.entries] == [(1, "anna"), (2, "bob"), (3, "anna")]


def test_an_album_says_once_what_was_searched() -> None:
    """Pictures that were not found share one closing, on the last page."""
    none = QueryOutcome("none", searched=SEARCHED)

    reply = compose([none, none], ENGLISH, now=NOW)

    assert [passage.sentences for passage in reply.passages] == [("Nothing found.",)] * 2
    assert reply.closing == (
        "I searched 28,114 photos of 31 accounts, newest 4 minutes ago.",
        "Try this: crop to the photo itself and send it again.",
    )


counts = st.lists(st.integers(0, 35), min_size=1, max_size=10)


@given(counts)
def test_every_account_is_on_exactly_one_page(matches: list[int]) -> None:
    """Over all pages each account of each picture stands once, in order, at most ten a page; no page is empty."""
    outcomes = [
        QueryOutcome(
            "match" if count else "none", matches=named(*(f"p{picture}.{i}" for i in range(count))), searched=SEARCHED
        )
        for picture, count in enumerate(matches)
    ]

    pages = compose(outcomes, ENGLISH, now=NOW).pages
    replies = [compose(outcomes, ENGLISH, now=NOW, page=page) for page in range(1, pages + 1)]

    shown = [entry for reply in replies for entry in reply.entries]
    assert [entry.username for entry in shown] == [match.username for outcome in outcomes for match in outcome.matches]
    assert [entry.number for entry in shown] == list(range(1, len(shown) + 1))
    assert all(reply.passages and len(reply.entries) <= PAGE_ENTRIES for reply in replies)
    if len(matches) > 1:
        assert sum(bool(passage.sentences) for reply in replies for passage in reply.passages) == matches.count(0)
    assert [bool(reply.closing) for reply in replies] == [False] * (pages - 1) + [0 in matches]


@pytest.mark.parametrize(("page", "shown"), [(-3, 1), (0, 1), (2, 2), (3, 3), (10**9, 3)])
def test_a_page_out_of_range_is_the_nearest(page: int, shown: int) -> None:
    """Whatever page a button asks for, one is shown."""
    outcomes = [QueryOutcome("match", matches=named(*(f"user{i}" for i in range(25))))]

    assert compose(outcomes, ENGLISH, now=NOW, page=page).page == shown


def test_a_preview_is_called_one() -> None:
    """Where only a small preview was searched, the reply says so."""
    assert sentences(QueryOutcome("match", matches=named("anna"), is_preview=True))[0].startswith(
        "I searched the small preview"
    )
    assert not sentences(QueryOutcome("error", "download", is_preview=True))[0].startswith("I searched")


@given(is_mirrored=st.booleans(), turn=st.integers(0, 359), visible=st.floats(0.01, 1), covered=st.floats(0.01, 1))
def test_however_a_photo_matched_it_is_said(*, is_mirrored: bool, turn: int, visible: float, covered: float) -> None:
    """Every word that core has for how a photo matched is known here, and has a translation."""
    said = words(Placement(WHOLE, WHOLE, turn, visible, covered, is_mirrored))

    for word in (*said, "identical", "same scene", *(word for variant in VARIANTS for word in variant)):
        assert how(word, GERMAN) != how(word, ENGLISH), word
    assert len(set(HOW.values())) == len(HOW)


@given(st.floats(0, 1))
def test_sureness_is_said_in_every_language(confidence: float) -> None:
    """The word for a confidence has a translation."""
    reply = compose([QueryOutcome("match", matches=named("anna", confidence=confidence))], GERMAN, now=NOW)

    assert word_for(confidence) not in reply.entries[0].sureness


def test_a_pace_is_told_with_its_waiting_time() -> None:
    """One second is singular."""
    assert "wait 1 second," in too_fast(1, ENGLISH)
    assert "wait 12 seconds," in too_fast(12, ENGLISH)


def test_a_list_of_reports_fits_into_a_message() -> None:
    """Twenty reports of answers that name everybody stay below Telegram's 4,096 characters."""
    everybody = QueryOutcome("match", matches=named(*("w" * 29 + str(number % 10) for number in range(500))))
    kept = KeptReply("telegram", 1, 1, "en", NOW, (everybody,))

    for language in languages().values():
        lines = report_lines([Report(2**40, NOW, kept)] * 20, language)
        assert len(lines) == 20
        assert all("+497" in line for line in lines)
        assert len("\n".join(lines)) < 4096
    assert report_lines([], ENGLISH) == ["No answers have been reported as wrong."]
