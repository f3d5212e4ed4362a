"""The statuses of the services, the report of a scan, and the figures of the store."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal, Self


@dataclass(frozen=True, slots=True)
class ScanReport:
    """The report of one rescan: the number of files with each outcome."""

    added: int = 0
    updated: int = 0
    moved: int = 0
    removed: int = 0
    unchanged: int = 0
    unreadable: int = 0
    ignored: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        counts = asdict(self)
        seconds = counts.pop("seconds")
        return ", ".join(f"{number:,} {name}" for name, number in counts.items()) + f", {seconds:.1f} s"


DaemonState = Literal["scanning", "watching", "dataset suspicious", "stopped"]


Emitter = Literal["events", "sweeps", "none"]


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """The status of the daemon."""

    state: DaemonState
    remark: str | None
    """A sentence for the operator."""
    waiting: int
    """Changed accounts that have not been scanned yet."""
    lag_seconds: float
    """Waiting time of the first of them, beyond its settling time."""
    next_scan: datetime | None
    """Time of the next full rescan."""
    seen_at: datetime
    """Time of this status."""
    emitter: Emitter
    """The source of change notifications."""
    has_workers: bool
    """True if pictures can be read."""

    def is_news_after(self, earlier: Self) -> bool:
        """Tell whether anything changed besides the figures that change constantly."""
        as_before = replace(earlier, waiting=self.waiting, lag_seconds=self.lag_seconds, seen_at=self.seen_at)
        return as_before != self

    def stopped(self) -> Self:
        return replace(self, state="stopped", remark=None)


@dataclass(frozen=True, slots=True)
class Stats:
    """The figures of `igsearch stats`."""

    images: int
    users: int
    backlog: int
    unreadable: int
    revision: int
    last_scan: datetime | None
    last_report: ScanReport | None
    daemon: DaemonStatus | None
    """The daemon's last status; None if no daemon ever ran."""
    reports: int
    """Number of bot answers that people reported as wrong."""


FrontEnd = Literal["telegram", "discord"]


FrontEndState = Literal["answering", "connecting", "stopped"]


@dataclass(frozen=True, slots=True)
class FrontEndStatus:
    """The status of a bot."""

    name: FrontEnd
    state: FrontEndState
    remark: str | None
    """The reason why it is not connected."""
    waiting: int
    """Query images in its queue."""
    has_workers: bool
    """True if pictures can be read."""
    seen_at: datetime
    """Time of this status."""

    def is_news_after(self, earlier: Self) -> bool:
        """Tell whether anything changed besides the figures that change constantly."""
        return replace(earlier, waiting=self.waiting, seen_at=self.seen_at) != self

    def stopped(self) -> Self:
        return replace(self, state="stopped", remark=None)


@dataclass(frozen=True, slots=True)
class IndexSizes:
    """The sizes of the indexes in memory."""

    hashes: int
    """Distinct photos whose hashes are in memory."""
    features: int
    """Distinct photos whose local features are in memory."""
