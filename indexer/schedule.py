"""When to rescan. The one module that knows APScheduler."""

import re
from collections.abc import Callable
from datetime import datetime

from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from core.errors import SettingsError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
INTERVAL = re.compile(r"(\d+)([smhd])")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
DAY_RANGE = re.compile(r"(\d|[a-z]{3})-(\d|[a-z]{3})(?:/(\d))?", re.IGNORECASE)


class Schedule:
    """Calls a job at every moment of IGSEARCH_RESCAN, from `start` to `stop`; missed ones are made up for by one."""

    def __init__(self, rescan: str) -> None:
        self._trigger = _trigger(rescan)
        self._scheduler = AsyncIOScheduler()
        self._job: Job | None = None

    @property
    def next_run(self) -> datetime | None:
        return self._job.next_run_time if self._job else None

    def start(self, job: Callable[[], None]) -> None:
        self._scheduler.start()
        self._job = self._scheduler.add_job(
            job, self._trigger, name="rescan", coalesce=True, max_instances=1, misfire_grace_time=None
        )

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        self._job = None


def _trigger(rescan: str) -> BaseTrigger:
    """Understand an interval such as 15m, or a cron expression; raises SettingsError."""
    if interval := INTERVAL.fullmatch(rescan):
        return IntervalTrigger(seconds=int(interval[1]) * UNITS[interval[2]])
    try:
        minute, hour, day, month, weekday = rescan.split()
        return CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=_days(weekday))
    except ValueError as error:
        raise SettingsError(
            f"Wrong settings. IGSEARCH_RESCAN: '{rescan}' is no cron expression ({error}); write one such as"
            " '0 3 * * *', or an interval such as 15m."
        ) from error


def _days(field: str) -> str:
    """Write cron's days of the week by name: there 0 and 7 are Sunday, for APScheduler 0 is Monday."""
    return ",".join(_day_names(part) for part in field.split(","))


def _day_names(part: str) -> str:
    part = re.sub(r"^\*/", "0-6/", part)
    if found := DAY_RANGE.fullmatch(part):
        first, last = _day_number(found[1]), _day_number(found[2])
        last += 7 if last < first else 0
        return ",".join(DAYS[day % 7] for day in range(first, last + 1, int(found[3] or 1)))
    return DAYS[int(part) % 7] if re.fullmatch("[0-7]", part) else part


def _day_number(word: str) -> int:
    if word.isdigit():
        if int(word) > 7:  # noqa: PLR2004 - 7 is Sunday too
            raise ValueError(f"there is no day {word} in a week")
        return int(word)
    if word.lower() not in DAYS:
        raise ValueError(f"there is no day '{word}'")
    return DAYS.index(word.lower())
