"""Track the progress of a full rescan, and the changes since the last report."""

from collections import Counter
from collections.abc import Collection

from core.model.statuses import ScanReport
from indexer.scanning.account_scan import ScanFindings
from indexer.scanning.listing import Listing, RootListing
from indexer.scanning.write_batch import FileOutcome

CHANGES = (FileOutcome.ADDED, FileOutcome.UPDATED, FileOutcome.MOVED)


class ScanProgress:
    """The requested or running full rescan, and the counts for its report.

    A report counts the changes since the previous report, whichever scan made them.
    """

    def __init__(self) -> None:
        self.requested: str | None = None
        """Reason for the requested full rescan; None if none is requested."""
        self.reason = ""
        """Reason for the running or the last full rescan."""
        self.is_scanning = False
        self.is_asked = False
        """True if a person asked for it: files whose fault may have passed are tried again."""
        self.scanned_at: float | None = None
        """Time at which the last account of the full rescan was scanned."""
        self._is_next_asked = False
        self._started = 0.0
        self._outstanding: set[str] = set()
        self._ignored: Counter[str] = Counter()
        self._ignored_in_root = 0
        self._changes: Counter[FileOutcome] = Counter()
        self._removed = 0

    def request(self, reason: str, *, is_asked: bool) -> None:
        """Request a full rescan, to start as soon as none is running."""
        self.requested = self.requested or reason
        self._is_next_asked |= is_asked

    def begin(self, usernames: Collection[str], root: RootListing, now: float) -> None:
        """Start the requested full rescan."""
        self.reason, self.requested = self.requested or "", None
        self.is_asked, self._is_next_asked = self._is_next_asked, False
        self.is_scanning, self._started = True, now
        self._outstanding = set(usernames)
        self.scanned_at = None if usernames else now
        self._ignored, self._ignored_in_root = Counter(), root.ignored

    def scanned(self, usernames: Collection[str], listing: Listing, findings: ScanFindings, now: float) -> None:
        """Add the findings of a scan of some accounts."""
        for outcome in CHANGES:
            self._changes[outcome] += findings.counts[outcome]
        self._ignored |= Counter({username: listing.ignored[username] for username in usernames})
        if self._outstanding:
            self._outstanding -= set(usernames).difference(findings.unfinished)
            self.scanned_at = None if self._outstanding else now

    def removed(self, images: int) -> None:
        self._removed += images

    def report(self, *, images: int, unreadable: int, now: float) -> ScanReport:
        """Return the report of the full rescan, given the present numbers of images and unreadable files."""
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
        """End the full rescan, and reset the counts."""
        self._changes.clear()
        self._removed, self.is_scanning, self.is_asked = 0, False, False
