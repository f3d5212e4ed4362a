"""How the services are, what a scan did, and the figures of the store."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal, Self


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What one rescan did: how many files met each outcome."""

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
    """How the daemon is: what it does, what a person should know of it, and how far it is behind the disk.

    `waiting` counts accounts that changed and were not looked at yet; `lag_seconds` is how long the first of them has
    been waiting beyond its settling. The `emitter` is what tells it of changes; `has_workers`: pictures can be read.
    """

    state: DaemonState
    remark: str | None
    waiting: int
    lag_seconds: float
    next_scan: datetime | None
    seen_at: datetime
    emitter: Emitter
    has_workers: bool

    def is_news_after(self, earlier: Self) -> bool:
        """Tell whether more has changed than the figures that change all the time."""
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
    """What the daemon said last; None where none ever ran."""
    reports: int
    """Answers of the bots that people called wrong."""


FrontEnd = Literal["telegram", "discord"]


FrontEndState = Literal["answering", "connecting", "stopped"]


@dataclass(frozen=True, slots=True)
class FrontEndStatus:
    """How a bot is: whether its chat hears it, and if not, why; `waiting` counts the pictures that wait."""

    name: FrontEnd
    state: FrontEndState
    remark: str | None
    waiting: int
    has_workers: bool
    seen_at: datetime

    def is_news_after(self, earlier: Self) -> bool:
        """Tell whether more has changed than the figures that change all the time."""
        return replace(earlier, waiting=self.waiting, seen_at=self.seen_at) != self

    def stopped(self) -> Self:
        return replace(self, state="stopped", remark=None)


@dataclass(frozen=True, slots=True)
class IndexSizes:
    """How many distinct images an index in memory holds: the hashes of, and the local features of."""

    hashes: int
    features: int
