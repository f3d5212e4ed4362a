"""How far a full scan has come, and what was done since the last report."""

from collections import Counter
from collections.abc import Collection

from core.model.statuses import ScanReport
from indexer.scanning.account_scan import ScanFindings
from indexer.scanning.listing import Listing, RootListing
from indexer.scanning.write_batch import FileOutcome

CHANGES = (FileOutcome.ADDED, FileOutcome.UPDATED, FileOutcome.MOVED)


class ScanProgress:
    """Keeps which full scan is wanted or going on, and counts for its report.

    A report tells what changed since the one before, by whatever scan.
    """

    def __init__(self) -> None:
        self.requested: str | None = None
        """Why a full scan is wanted; None where none is."""
        self.reason = ""
        """Why the full scan that is going on, or was the last, began."""
        self.is_scanning = False
        self.is_asked = False
        """Whether a person asked for it: what may pass is tried again."""
        self.scanned_at: float | None = None
        """When the last account of the full scan was scanned."""
        self._is_next_asked = False
        self._started = 0.0
        self._outstanding: set[str] = set()
        self._ignored: Counter[str] = Counter()
        self._ignored_in_root = 0
        self._changes: Counter[FileOutcome] = Counter()
        self._removed = 0

    def request(self, reason: str, *, is_asked: bool) -> None:
        """Have a full scan begin as soon as none is going on."""
        self.requested = self.requested or reason
        self._is_next_asked |= is_asked

    def begin(self, usernames: Collection[str], root: RootListing, now: float) -> None:
        """Begin the full scan that was requested."""
        self.reason, self.requested = self.requested or "", None
        self.is_asked, self._is_next_asked = self._is_next_asked, False
        self.is_scanning, self._started = True, now
        self._outstanding = set(usernames)
        self.scanned_at = None if usernames else now
        self._ignored, self._ignored_in_root = Counter(), root.ignored

    def scanned(self, usernames: Collection[str], listing: Listing, findings: ScanFindings, now: float) -> None:
        """Take over what a scan of some accounts did."""
        for outcome in CHANGES:
            self._changes[outcome] += findings.counts[outcome]
        self._ignored |= Counter({username: listing.ignored[username] for username in usernames})
        if self._outstanding:
            self._outstanding -= set(usernames).difference(findings.unfinished)
            self.scanned_at = None if self._outstanding else now

    def removed(self, images: int) -> None:
        self._removed += images

    def report(self, *, images: int, unreadable: int, now: float) -> ScanReport:
        """Report the full scan, given what is on record now."""
        changes = {outcome.value: self._changes[outcome] for outcome in CHANGES}
        return ScanReport(
            **changes,
            removed=self._removed,
            unchanged=max(0, images - sum(changes.values())),
            unreadable=unreadable,
            ignored=self._ignored_in_root + self._ignored.total(),
            seconds=round(now - self._started, 3),
        )

    def end(self) -> None:
        """The full scan is over; count anew."""
        self._changes.clear()
        self._removed, self.is_scanning, self.is_asked = 0, False, False
