"""Schedule the full rescans. The only module that uses APScheduler."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from tzlocal import get_localzone_name

from core.errors import SettingsError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
INTERVAL = re.compile(r"(\d+)([smhd])")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
DAY = r"(0?[0-7]|[a-z]{3})"
DAYS_FIELD = re.compile(rf"{DAY}(?:-{DAY}(?:/([1-7]))?)?", re.IGNORECASE)


class Schedule:
    """Scheduler that calls a job at the times of IGSEARCH_RESCAN, from `start` to `stop`; it runs missed jobs once."""

    def __init__(self, rescan: str) -> None:
        zone = _zone()
        self._trigger = _trigger(rescan, zone)
        self._scheduler = AsyncIOScheduler(timezone=zone)
        self._job: Job | None = None

    @property
    def next_run(self) -> datetime | None:
        return self._job.next_run_time if self._job else None

    def start(self, job: Callable[[], None]) -> None:
        async def run() -> None:  # APScheduler would call a plain function in another thread
            job()

        self._scheduler.start()
        self._job = self._scheduler.add_job(
            run, self._trigger, name="rescan", coalesce=True, max_instances=1, misfire_grace_time=None
        )

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        self._job = None


def _zone() -> tzinfo:
    """Return the machine's time zone, for cron expressions; if its name is unknown, its present offset from UTC."""
    try:
        return ZoneInfo(get_localzone_name() or "")
    except (KeyError, ValueError, OSError):
        return datetime.now().astimezone().tzinfo or UTC


def _trigger(rescan: str, zone: tzinfo) -> BaseTrigger:
    """Parse an interval such as 15m, or a cron expression; raises SettingsError."""
    try:
        if interval := INTERVAL.fullmatch(rescan):
            return IntervalTrigger(seconds=int(interval[1]) * UNITS[interval[2]], timezone=zone)
        return _cron(rescan, zone)
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"Wrong settings. IGSEARCH_RESCAN: '{rescan}' cannot be understood ({error}); write an interval, such as"
            " 15m, or a cron expression, such as '0 3 * * *'."
        ) from error


def _cron(expression: str, zone: tzinfo) -> BaseTrigger:
    """Parse an expression as cron does: if day and weekday are both given, either one matches.

    Raises ValueError.
    """
    minute, hour, day, month, weekday = expression.split()
    time = {"minute": minute, "hour": hour, "month": month, "timezone": zone}
    by_day, by_weekday = CronTrigger(**time, day=day), CronTrigger(**time, day_of_week=_days(weekday))
    trigger = by_weekday if day == "*" else by_day if weekday == "*" else OrTrigger([by_day, by_weekday])
    if trigger.get_next_fire_time(None, datetime.now(zone)) is None:
        raise ValueError("it matches no date")
    return trigger


def _days(field: str) -> str:
    """Convert cron's days of the week to names: in cron 0 and 7 are Sunday, for APScheduler 0 is Monday."""
    return "*" if field == "*" else ",".join(name for part in field.split(",") for name in _day_names(part))


def _day_names(part: str) -> list[str]:
    found = DAYS_FIELD.fullmatch(re.sub(r"^\*/", "0-6/", part))
    if not found:
        raise ValueError(f"'{part}' is not a day of the week")
    first = _day_number(found[1])
    last = _day_number(found[2] or found[1])
    return [DAYS[day % 7] for day in range(first, last + (7 if last < first else 0) + 1, int(found[3] or 1))]


def _day_number(word: str) -> int:
    if word.isdigit():
        return int(word)
    if word.lower() not in DAYS:
        raise ValueError(f"there is no day '{word}'")
    return DAYS.index(word.lower())
