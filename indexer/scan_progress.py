"""What was done since the last report, and how far a full rescan has come."""

from collections import Counter
from collections.abc import Collection

from core.model.statuses import ScanReport
from indexer.scanning.account_scan import ScanFindings
from indexer.scanning.listing import Listing
from indexer.scanning.reconciler import FileOutcome

CHANGES = (FileOutcome.ADDED, FileOutcome.UPDATED, FileOutcome.MOVED)


class ScanProgress:
    """Counts for the reports of full rescans: each tells what changed since the one before, by whatever visit."""

    def __init__(self) -> None:
        self.reason = ""
        self.is_scanning = False
        self.visited_at: float | None = None
        """When the last account of the full rescan was visited."""
        self._started = 0.0
        self._outstanding: set[str] = set()
        self._ignored: dict[str, int] = {}
        self._changes: Counter[FileOutcome] = Counter()
        self._removed = 0

    def begin(self, reason: str, usernames: Collection[str], now: float) -> None:
        """A full rescan begins."""
        self.reason, self.is_scanning, self._started = reason, True, now
        self._outstanding = set(usernames)
        self.visited_at = None if usernames else now
        self._ignored = {}

    def visited(self, usernames: Collection[str], listing: Listing, findings: ScanFindings, now: float) -> None:
        """Take over what a visit did."""
        for outcome in CHANGES:
            self._changes[outcome] += findings.counts[outcome]
        self._ignored |= {username: listing.ignored[username] for username in usernames}
        if self._outstanding:
            self._outstanding -= set(usernames).difference(findings.unfinished)
            self.visited_at = None if self._outstanding else now

    def removed(self, images: int) -> None:
        self._removed += images

    def report(self, *, images: int, unreadable: int, now: float) -> ScanReport:
        """Report the full rescan, given what is on record now."""
        changes = {outcome.value: self._changes[outcome] for outcome in CHANGES}
        return ScanReport(
            **changes,
            removed=self._removed,
            unchanged=max(0, images - sum(changes.values())),
            unreadable=unreadable,
            ignored=sum(self._ignored.values()),
            seconds=round(now - self._started, 3),
        )

    def end(self) -> None:
        """The full rescan is over; begin to count anew."""
        self._changes.clear()
        self._removed, self.is_scanning = 0, False
