"""Format what commands print: JSON for programs, whose shape is a contract, and lines for people."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from core.dataset import printable
from core.matching.placement import where
from core.matching.ranking import word_for
from core.model.matches import Match, SearchResult
from core.model.outcomes import Report
from core.model.records import LedgerRecord, OptOut
from core.model.statuses import DaemonStatus, ScanReport, Stats
from core.search.audit import Trial
from core.service.health import SILENCE, Condition, moment_text


def failure_json(entry: LedgerRecord) -> str:
    """Return an entry of the ledger as JSON."""
    return json.dumps(
        {
            "path": str(entry.place),
            "kind": entry.kind,
            "reason": entry.reason,
            "attempts": entry.attempts,
            "next_retry": entry.next_retry.isoformat() if entry.next_retry else None,
        }
    )


def report_json(report: Report) -> str:
    """Return an answer that was reported as wrong, as JSON."""
    return json.dumps(
        {
            "reply": report.reply_id,
            "reported_at": report.reported_at.isoformat(),
            "front_end": report.reply.front_end,
            "matches": [
                {"username": match.username, "confidence": match.confidence, "how": list(match.how)}
                for match in report.matches
            ],
        }
    )


def report_text(report: Report) -> str:
    """Return an answer that was reported as wrong, in one line."""
    named = [f"{match.username} {sureness(match.confidence)}, {', '.join(match.how)}" for match in report.matches]
    said = "; ".join(named) or "nobody any more: their photos are gone"
    return f"#{report.reply_id} {moment_text(report.reported_at)}, {report.reply.front_end}: {said}"


def stats_json(stats: Stats) -> str:
    """Return the figures of the store as JSON."""
    return json.dumps(asdict(stats), default=datetime.isoformat)


def scan_json(report: ScanReport) -> str:
    """Return the counts of a scan as JSON."""
    return json.dumps(asdict(report))


def audit_text(counts: Mapping[str, int]) -> str:
    """Return the result of an audit in one line."""
    tried = sum(counts.values())
    said = [f"{counts.get('found', 0):,} of {tried:,} found at rank 1", f"{counts.get('missed', 0):,} missed"]
    said += [f"{counts[name]:,} {name}" for name in ("too little detail", "unreadable") if counts.get(name)]
    return ", ".join(said)


def audit_json(counts: Mapping[str, int]) -> str:
    """Return the result of an audit as JSON."""
    names = {"found": "found", "missed": "missed", "too_little_detail": "too little detail", "unreadable": "unreadable"}
    return json.dumps({key: counts.get(name, 0) for key, name in names.items()})


def trial_text(trial: Trial) -> str:
    """Return in one line what happened to a photo that was not found."""
    path = printable(trial.place.path)
    if trial.outcome == "missed":
        return f"missed {path}: {trial.answer} was found instead"
    return f"{trial.outcome} {path}: {trial.answer}" if trial.outcome == "unreadable" else f"{trial.outcome}: {path}"


def search_lines(result: SearchResult, *, is_verbose: bool) -> list[str]:
    """Return the usernames, one per line; if verbose, with confidence, how and where it matched, and the best image."""
    return [_verbose_line(match) if is_verbose else match.username for match in result.matches]


def search_remark(query: str, result: SearchResult) -> str | None:
    """Return what to tell a person besides the usernames; None if nothing."""
    if result.verdict == "match":
        return None
    if result.verdict == "unsearchable":
        return f"{query}: too little detail to search. Send a picture that shows more."
    scope = f"{result.searched.images:,} photos of {result.searched.users:,} accounts"
    if result.verdict == "similar":
        names = ", ".join(match.username for match in result.similar)
        return f"{query}: no certain match among {scope}; similar, perhaps another picture: {names}."
    return f"{query}: nothing found among {scope}. Crop to the photo itself and try again."


def stats_text(stats: Stats, now: datetime) -> str:
    """Return the figures of the store and the state of the daemon, one per line."""
    last_scan = moment_text(stats.last_scan) if stats.last_scan else "never"
    rows = {
        "images": f"{stats.images:,}",
        "users": f"{stats.users:,}",
        "backlog": f"{stats.backlog:,}",
        "unreadable": f"{stats.unreadable:,}",
        "reports": f"{stats.reports:,}",
        "revision": str(stats.revision),
        "last scan": last_scan + (f": {stats.last_report}" if stats.last_report else ""),
        **_daemon_rows(stats.daemon, now),
    }
    return "\n".join(f"{name:<11} {value}" for name, value in rows.items())


def _daemon_rows(daemon: DaemonStatus | None, now: datetime) -> dict[str, str]:
    if daemon is None or daemon.state == "stopped":
        return {"daemon": "not running"}
    if now - daemon.seen_at > SILENCE:
        return {"daemon": f"no report since {moment_text(daemon.seen_at)}: is it running?"}
    remark = f": {daemon.remark}" if daemon.remark else ""
    return {
        "next scan": moment_text(daemon.next_scan) if daemon.next_scan else "not planned",
        "daemon": f"{daemon.state}, {daemon.waiting:,} account(s) waiting, {daemon.lag_seconds:.1f} s behind{remark}",
    }


def opt_out_json(entry: OptOut) -> str:
    """Return an entry of the list of forgotten accounts as JSON."""
    return json.dumps(asdict(entry), default=datetime.isoformat)


def opt_out_text(entry: OptOut) -> str:
    """Return an entry of the list of forgotten accounts in one line."""
    undone = f", undone {moment_text(entry.undone_at)}" if entry.undone_at else ""
    return f"{entry.username}: forgotten {moment_text(entry.forgotten_at)}, {entry.images:,} photo(s){undone}"


def failure_text(entry: LedgerRecord) -> str:
    """Return an entry of the ledger in one line."""
    retry = f"tried again after {entry.next_retry:%Y-%m-%d %H:%M} UTC" if entry.next_retry else "until the file changes"
    return f"{printable(entry.place.path)}: {entry.reason} ({entry.kind}, {entry.attempts} attempt(s), {retry})"


def _verbose_line(match: Match) -> str:
    best = match.images[0]
    path = printable(os.fsencode(best.path))
    place = f"at {where(best.placement)} of the query" if best.placement else "the whole query"
    return "\t".join([match.username, sureness(match.confidence), ", ".join(match.how), place, path])


def sureness(confidence: float) -> str:
    return f"{100 * confidence:.1f} % ({word_for(confidence)})"


def health_json(found: Sequence[Condition]) -> str:
    """Return the conditions of all parts as one JSON object."""
    parts = {
        each.part: {"healthy": each.is_well, "detail": "; ".join(each.faults) or None, **each.figures} for each in found
    }
    return json.dumps({"healthy": all(each.is_well for each in found), **parts})


def health_text(condition: Condition) -> str:
    """Return the condition of a part in one line."""
    figures = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in condition.figures.items())
    return f"{'ok' if condition.is_well else 'failing':<7} {condition.part:<9} {'; '.join(condition.faults) or figures}"
