"""Define the findings of checks, and print them: all is well, what to fix, or why it was not checked."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

CheckName = Literal[
    "settings",
    "dataset",
    "database",
    "collation",
    "schema",
    "events",
    "codecs",
    "telegram",
    "discord",
    "clock",
    "disk",
    "memory",
    "cache",
]
"""In the order in which their findings are printed."""
State = Literal["ok", "fix", "skipped"]

ORDER = get_args(CheckName)
MARKS: dict[State, str] = {"ok": "OK", "fix": "FIX", "skipped": "--"}


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of one check: a line of the output."""

    check: CheckName
    state: State
    detail: str
    """The facts, or what is wrong and what to do."""


def ok(check: CheckName, detail: str) -> Finding:
    return Finding(check, "ok", detail)


def fix(check: CheckName, detail: str) -> Finding:
    return Finding(check, "fix", detail)


def skipped(check: CheckName, reason: str) -> Finding:
    return Finding(check, "skipped", f"not checked, because {reason}")


def finding_text(finding: Finding) -> str:
    """Return a finding in one line."""
    return f"{MARKS[finding.state]:<4} {finding.check}: {' '.join(finding.detail.split())}"


def finding_json(finding: Finding) -> str:
    """Return a finding as JSON."""
    return json.dumps(asdict(finding))


def listed(names: Sequence[str], *, most: int = 3) -> str:
    """List the first few names and count the others."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def size_text(count: float) -> str:
    """Return a number of bytes in MB or GB."""
    return f"{count / 1e9:,.1f} GB" if abs(count) >= 1e9 else f"{count / 1e6:,.0f} MB"  # noqa: PLR2004 - a gigabyte
