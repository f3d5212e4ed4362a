"""Judge the health of every part of igsearch by the statuses in the database."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from core.model.statuses import DaemonStatus, FrontEnd, FrontEndStatus, Stats

SILENCE = timedelta(minutes=1)
"""Age from which a status means that its service is not running; services report every 15 s."""
LATE = timedelta(minutes=10)
"""Time for which a full rescan may be overdue: it starts only after the work in progress."""
LONGEST_LAG = timedelta(minutes=30)
"""A copy of 20,000 photos takes 2 minutes; an indexer that is further behind is stuck."""

Part = Literal["database", "indexer", "telegram", "discord"]
FRONT_ENDS: tuple[FrontEnd, ...] = get_args(FrontEnd)
STARTS: Mapping[Part, str] = {
    "indexer": "`igsearch watch`",
    "telegram": "`igsearch telegram`",
    "discord": "`igsearch discord`",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of one part of igsearch."""

    part: Part
    faults: tuple[str, ...]
    """One sentence per fault."""
    figures: Mapping[str, object] = field(default_factory=dict)
    """The figures that were judged."""

    @property
    def is_well(self) -> bool:
        return not self.faults


def conditions(
    stats: Stats, front_ends: Sequence[FrontEndStatus], parts: Collection[Part], now: datetime
) -> list[Condition]:
    """Judge each requested part by the figures and statuses in the database."""
    statuses = {status.name: status for status in front_ends}
    wanted: list[Condition] = [Condition("database", (), {"revision": stats.revision, "images": stats.images})]
    if "indexer" in parts:
        wanted.append(_indexer(stats, now))
    wanted += [_front_end(name, statuses.get(name), now) for name in FRONT_ENDS if name in parts]
    return wanted


def unknown(parts: Collection[Part], fault: str) -> list[Condition]:
    """Judge each part while the database does not answer."""
    others = [Condition(part, ("nothing is known of it while the database does not answer",)) for part in parts]
    return [Condition("database", (fault,)), *others]


def parts_at_work(front_ends: Sequence[FrontEndStatus], expected: Collection[FrontEnd]) -> list[Part]:
    """Return the parts that should be healthy: the indexer, the bots that are set up, and those that did not stop."""
    unstopped = {status.name for status in front_ends if status.state != "stopped"}
    return ["indexer", *(name for name in FRONT_ENDS if name in expected or name in unstopped)]


def _indexer(stats: Stats, now: datetime) -> Condition:
    daemon = stats.daemon
    figures: dict[str, object] = {
        "last_scan_seconds": _seconds(stats.last_scan, now),
        "backlog": stats.backlog,
        "unreadable": stats.unreadable,
    }
    if daemon is None:
        return Condition("indexer", (_never("indexer"),), figures)
    figures |= {
        "state": daemon.state,
        "seen_seconds": _seconds(daemon.seen_at, now),
        "waiting": daemon.waiting,
        "lag_seconds": daemon.lag_seconds,
        "emitter": daemon.emitter,
        "has_workers": daemon.has_workers,
    }
    silence = _silence("indexer", daemon.state, daemon.seen_at, now)
    return Condition("indexer", (silence,) if silence else tuple(_daemon_faults(daemon, now)), figures)


def _daemon_faults(daemon: DaemonStatus, now: datetime) -> Iterator[str]:
    if daemon.state == "dataset suspicious":
        yield daemon.remark or "the dataset folder is not as it was: nothing is removed"
    elif daemon.emitter == "none":
        yield "it gets no notice of new photos: read its log"
    if not daemon.has_workers:
        yield "it cannot start processes to read pictures in: raise the limits of processes and open files"
    if daemon.lag_seconds > LONGEST_LAG.total_seconds():
        yield f"it is {daemon.lag_seconds / 60:,.0f} minutes behind the disk: read its log"
    if daemon.next_scan and daemon.state != "scanning" and now - daemon.next_scan > LATE:
        yield f"the full rescan of {moment_text(daemon.next_scan)} did not start: read its log"


def _front_end(name: FrontEnd, status: FrontEndStatus | None, now: datetime) -> Condition:
    if status is None:
        return Condition(name, (_never(name),))
    figures = {
        "state": status.state,
        "seen_seconds": _seconds(status.seen_at, now),
        "waiting": status.waiting,
        "has_workers": status.has_workers,
    }
    silence = _silence(name, status.state, status.seen_at, now)
    return Condition(name, (silence,) if silence else tuple(_front_end_faults(status)), figures)


def _front_end_faults(status: FrontEndStatus) -> Iterator[str]:
    if status.state != "answering":
        yield f"it is not connected: {status.remark or 'it is logging in'}"
    if not status.has_workers:
        yield "it cannot start processes to read pictures in: raise the limits of processes and open files"


def _never(part: Part) -> str:
    return f"it never reported: start it with {STARTS[part]}"


def _silence(part: Part, state: str, seen_at: datetime, now: datetime) -> str | None:
    """Return the fault of a service that is not running; None if it is running."""
    if state == "stopped":
        return f"it was stopped at {moment_text(seen_at)}: start it with {STARTS[part]}"
    if now - seen_at > SILENCE:
        return f"it has not reported since {moment_text(seen_at)}: check that it is running"
    return None


def _seconds(moment: datetime | None, now: datetime) -> float | None:
    return round((now - moment).total_seconds(), 1) if moment else None


def moment_text(moment: datetime) -> str:
    """Format a moment as everywhere in igsearch: in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
