"""The progress of scans: a report counts the changes since the previous one; a rescan ends when all was scanned."""

from collections import Counter
from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st

from core.model.statuses import ScanReport
from indexer.scan_progress import ScanProgress
from indexer.scanning.account_scan import ScanFindings
from indexer.scanning.listing import Listing, RootListing
from indexer.scanning.write_batch import FileOutcome

SOME = st.sets(st.sampled_from(["anna", "bob", "carl", "dora"]))


def _listing(**ignored: int) -> Listing:
    return Listing((1, 1), ignored=Counter(ignored))


def _findings(*outcomes: FileOutcome, unfinished: tuple[str, ...] = ()) -> ScanFindings:
    return ScanFindings(counts=Counter(outcomes), unfinished=list(unfinished))


def begin(progress: ScanProgress, reason: str, usernames: Collection[str], *, now: float, ignored: int = 0) -> None:
    progress.request(reason, is_asked=False)
    progress.begin(usernames, RootListing((1, 1), ignored=ignored), now)


def test_a_report_adds_up_what_scans_did() -> None:
    """Every change of every scan is counted; the other photos on record are unchanged."""
    progress = ScanProgress()
    begin(progress, "start", ["anna", "bob"], now=10.0, ignored=3)
    progress.scanned(
        ["anna"], _listing(anna=2), _findings(FileOutcome.ADDED, FileOutcome.ADDED, FileOutcome.UNCHANGED), now=11.0
    )
    progress.scanned(
        ["bob"], _listing(bob=1), _findings(FileOutcome.MOVED, FileOutcome.UPDATED, FileOutcome.UNREADABLE), now=12.0
    )
    progress.removed(5)

    report = progress.report(images=10, unreadable=1, now=12.5)

    assert report == ScanReport(
        added=2, updated=1, moved=1, removed=5, unchanged=6, unreadable=1, ignored=6, seconds=2.5
    )


def test_what_happens_between_two_rescans_is_told_by_the_next() -> None:
    """A report begins where the previous one ended, and no change is counted twice."""
    progress = ScanProgress()
    begin(progress, "start", [], now=0.0)
    progress.scanned(["anna"], _listing(), _findings(FileOutcome.ADDED), now=1.0)
    progress.removed(1)
    progress.end()
    progress.scanned(["anna"], _listing(), _findings(FileOutcome.MOVED), now=2.0)
    progress.removed(2)
    begin(progress, "scheduled", [], now=3.0)

    report = progress.report(images=1, unreadable=0, now=4.0)

    assert report == ScanReport(moved=1, removed=2, seconds=1.0)


def test_left_out_entries_are_counted_once() -> None:
    """An account that is scanned again is not counted twice, and a new rescan starts at 0."""
    progress = ScanProgress()
    begin(progress, "start", ["anna", "bob"], now=0.0)
    progress.scanned(["anna", "bob"], _listing(anna=2, bob=3), _findings(), now=0.0)
    progress.scanned(["anna"], _listing(anna=4), _findings(), now=0.0)

    first = progress.report(images=0, unreadable=0, now=0.0)
    begin(progress, "scheduled", [], now=0.0)
    second = progress.report(images=0, unreadable=0, now=0.0)

    assert (first.ignored, second.ignored) == (7, 0)


def test_changes_are_never_more_than_what_is_on_record() -> None:
    """Photos that were added and are gone again leave no negative number of unchanged ones."""
    progress = ScanProgress()
    begin(progress, "start", [], now=0.0)
    progress.scanned(["anna"], _listing(), _findings(FileOutcome.ADDED, FileOutcome.ADDED), now=0.0)
    progress.removed(2)

    report = progress.report(images=0, unreadable=0, now=0.0)

    assert (report.added, report.removed, report.unchanged) == (2, 2, 0)


@given(SOME, st.lists(st.tuples(SOME, SOME)))
def test_a_rescan_is_through_when_every_account_was_finished(
    accounts: set[str], visits: list[tuple[set[str], set[str]]]
) -> None:
    """The moment of the last scan that finished the last account is kept, until the next rescan begins."""
    progress = ScanProgress()
    begin(progress, "start", accounts, now=0.0)
    outstanding, expected = set(accounts), None if accounts else 0.0

    for moment, (visited, unfinished) in enumerate(visits, start=1):
        findings = _findings(unfinished=tuple(unfinished & visited))
        progress.scanned(visited, _listing(), findings, now=float(moment))
        outstanding -= visited - unfinished
        if not outstanding and expected is None:
            expected = float(moment)

    assert progress.scanned_at == expected


def test_a_rescan_goes_on_from_its_begin_to_its_end() -> None:
    """The reason is kept, and whether a rescan is going on."""
    progress = ScanProgress()

    states = [progress.is_scanning]
    begin(progress, "scheduled", ["anna"], now=0.0)
    states.append(progress.is_scanning)
    progress.end()
    states.append(progress.is_scanning)

    assert states == [False, True, False]
    assert progress.reason == "scheduled"


def test_what_a_person_asked_for_holds_for_the_scan_that_it_began() -> None:
    """A request while a scan goes on counts for the next one, and no scan after that."""
    progress = ScanProgress()
    begin(progress, "scheduled", [], now=0.0)
    progress.request("SIGHUP", is_asked=True)

    asked = [progress.is_asked]
    progress.end()
    progress.begin([], RootListing((1, 1)), now=1.0)
    asked.append(progress.is_asked)
    progress.end()
    asked.append(progress.is_asked)

    assert asked == [False, True, False]
    assert progress.reason == "SIGHUP"
