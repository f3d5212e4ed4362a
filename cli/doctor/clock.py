"""The clock: this machine's against those that others go by, and against what is in the store."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cli.doctor.finding import Finding, fix, ok

FIRST_YEAR = 2025
"""igsearch is not older; machines whose clock has no battery start in 1970."""
APART = timedelta(minutes=1)
REMEDY = "set the clock, e.g. by `timedatectl set-ntp true`"


def check_clock(now: datetime, ahead: Mapping[str, timedelta | None], moments: Mapping[str, datetime]) -> list[Finding]:
    """Compare the time with how far other clocks are ahead of it, and with moments of the store, by their names."""
    known = {name: by for name, by in ahead.items() if by is not None}
    faults = [f"{_apart(by)} by the clock of {name}" for name, by in known.items() if abs(by) > APART]
    faults += [f"{name} is of {moment:%Y-%m-%d %H:%M}" for name, moment in moments.items() if moment > now + APART]
    said = f"it is {now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC here"
    if faults:
        return [fix("clock", f"{said}, but {' and '.join(faults)}: {REMEDY}.")]
    if now.year < FIRST_YEAR:
        return [fix("clock", f"{said}, before igsearch was made: {REMEDY}.")]
    return [ok("clock", f"{said}, and by the clock of {' and of '.join(known)}" if known else said)]


def _apart(by: timedelta) -> str:
    return f"{abs(by).total_seconds():,.0f} s {'later' if by > timedelta() else 'earlier'}"
