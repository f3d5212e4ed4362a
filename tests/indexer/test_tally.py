"""The tally: a report tells what changed since the one before, and a full rescan ends when all was visited."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from core.model import ScanReport
from indexer.reconciler import Outcome
from indexer.sweep import OUTSIDE, Sweep
from indexer.tally import Tally
from indexer.visit import Findings

SOME = st.sets(st.sampled_from(["anna", "bob", "carl", "dora"]))


def _listing(**ignored: int) -> Sweep:
    return Sweep((1, 1), ignored=Counter(ignored))


def _findings(*outcomes: Outcome, unfinished: tuple[str, ...] = ()) -> Findings:
    return Findings(counts=Counter(outcomes), unfinished=list(unfinished))


def test_a_report_adds_up_what_visits_did() -> None:
    """Every change of every visit is told; the other photos on record are unchanged."""
    tally = Tally()
    tally.begin("start", ["anna", "bob"], now=10.0)
    tally.visited([OUTSIDE], Sweep((1, 1), ignored=Counter({OUTSIDE: 3})), Findings(), now=10.0)
    tally.visited(["anna"], _listing(anna=2), _findings(Outcome.ADDED, Outcome.ADDED, Outcome.UNCHANGED), now=11.0)
    tally.visited(["bob"], _listing(bob=1), _findings(Outcome.MOVED, Outcome.UPDATED, Outcome.UNREADABLE), now=12.0)
    tally.removed(5)

    report = tally.report(images=10, unreadable=1, now=12.5)

    assert report == ScanReport(
        added=2, updated=1, moved=1, removed=5, unchanged=6, unreadable=1, ignored=6, seconds=2.5
    )


def test_what_happens_between_two_rescans_is_told_by_the_next() -> None:
    """A report begins where the one before ended, and no change is told twice."""
    tally = Tally()
    tally.begin("start", [], now=0.0)
    tally.visited(["anna"], _listing(), _findings(Outcome.ADDED), now=1.0)
    tally.removed(1)
    tally.end()
    tally.visited(["anna"], _listing(), _findings(Outcome.MOVED), now=2.0)
    tally.removed(2)
    tally.begin("scheduled", [], now=3.0)

    report = tally.report(images=1, unreadable=0, now=4.0)

    assert report == ScanReport(moved=1, removed=2, seconds=1.0)


def test_left_out_entries_are_counted_once() -> None:
    """Who is visited again is not counted twice, and a new rescan counts anew."""
    tally = Tally()
    tally.begin("start", ["anna", "bob"], now=0.0)
    tally.visited(["anna", "bob"], _listing(anna=2, bob=3), _findings(), now=0.0)
    tally.visited(["anna"], _listing(anna=4), _findings(), now=0.0)

    first = tally.report(images=0, unreadable=0, now=0.0)
    tally.begin("scheduled", [], now=0.0)
    second = tally.report(images=0, unreadable=0, now=0.0)

    assert (first.ignored, second.ignored) == (7, 0)


def test_changes_are_never_more_than_what_is_on_record() -> None:
    """Photos that were added and are gone again leave no negative number of unchanged ones."""
    tally = Tally()
    tally.begin("start", [], now=0.0)
    tally.visited(["anna"], _listing(), _findings(Outcome.ADDED, Outcome.ADDED), now=0.0)
    tally.removed(2)

    report = tally.report(images=0, unreadable=0, now=0.0)

    assert (report.added, report.removed, report.unchanged) == (2, 2, 0)


@given(SOME, st.lists(st.tuples(SOME, SOME)))
def test_a_rescan_is_through_when_every_account_was_finished(
    accounts: set[str], visits: list[tuple[set[str], set[str]]]
) -> None:
    """The moment of the last visit that finished the last account is kept, until the next rescan begins."""
    tally = Tally()
    tally.begin("start", accounts, now=0.0)
    outstanding, expected = set(accounts), None if accounts else 0.0

    for moment, (visited, unfinished) in enumerate(visits, start=1):
        findings = _findings(unfinished=tuple(unfinished & visited))
        tally.visited(visited, _listing(), findings, now=float(moment))
        outstanding -= visited - unfinished
        if not outstanding and expected is None:
            expected = float(moment)

    assert tally.visited_at == expected


def test_a_rescan_goes_on_from_its_begin_to_its_end() -> None:
    """The reason is kept, and whether a rescan is going on."""
    tally = Tally()

    states = [tally.is_scanning]
    tally.begin("scheduled", ["anna"], now=0.0)
    states.append(tally.is_scanning)
    tally.end()
    states.append(tally.is_scanning)

    assert states == [False, True, False]
    assert tally.reason == "scheduled"
