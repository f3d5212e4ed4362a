"""The schedule: IGSEARCH_RESCAN means what cron and a person mean by it."""

import asyncio
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import SettingsError
from indexer.schedule import Schedule

START = datetime(2026, 1, 4, tzinfo=UTC)
NEVER = "0 0 1 1 *"


def _fires(rescan: str, span: timedelta) -> list[datetime]:
    """Return when a schedule fires from START on."""
    trigger = Schedule(rescan)._trigger
    fires, moment = [], START
    while (moment := trigger.get_next_fire_time(None, moment)) < START + span:
        fires.append(moment)
        moment += timedelta(seconds=1)
    return fires


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("*", "Sun Mon Tue Wed Thu Fri Sat"),
        ("0", "Sun"),
        ("7", "Sun"),
        ("01", "Mon"),
        ("1", "Mon"),
        ("6", "Sat"),
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("0-6", "Sun Mon Tue Wed Thu Fri Sat"),
        ("0-7", "Sun Mon Tue Wed Thu Fri Sat"),
        ("5-7", "Fri Sat Sun"),
        ("6-1", "Sat Sun Mon"),
        ("7-1", "Sun Mon"),
        ("*/2", "Sun Tue Thu Sat"),
        ("*/3", "Sun Wed Sat"),
        ("1-5/2", "Mon Wed Fri"),
        ("1,3,5", "Mon Wed Fri"),
        ("0,6", "Sun Sat"),
        ("1-2,5-7", "Mon Tue Fri Sat Sun"),
        ("mon", "Mon"),
        ("SUN", "Sun"),
        ("mon-fri", "Mon Tue Wed Thu Fri"),
        ("Fri-Mon", "Fri Sat Sun Mon"),
        ("sat,0", "Sat Sun"),
        ("sun,2-3,FRI", "Sun Tue Wed Fri"),
    ],
)
def test_days_of_the_week_are_those_of_cron(field: str, days: str) -> None:
    """0 and 7 are Sunday, ranges go over the weekend, steps count from Sunday, names and lists are understood."""
    fires = _fires(f"0 12 * * {field}", timedelta(weeks=2))

    assert {fire.strftime("%a") for fire in fires} == set(days.split())
    assert len(fires) == 2 * len(days.split())
    assert {(fire.hour, fire.minute) for fire in fires} == {(12, 0)}


@pytest.mark.parametrize(
    ("rescan", "first", "second"),
    [
        ("*/15 * * * *", "00:00", "00:15"),
        ("30 3 * * *", "03:30", "03:30"),
        ("0 9-17/8 * * *", "09:00", "17:00"),
        ("5,35 */12 * * *", "00:05", "00:35"),
    ],
)
def test_the_other_fields_are_those_of_cron(rescan: str, first: str, second: str) -> None:
    """Minutes and hours take steps, ranges and lists, by the local clock."""
    midnight = START.astimezone().replace(hour=0) + timedelta(days=1)

    fires = [fire for fire in _fires(rescan, timedelta(days=4)) if fire >= midnight]

    assert [f"{fire:%H:%M}" for fire in fires[:2]] == [first, second]


@pytest.mark.parametrize(
    "rescan",
    [
        "",
        "sometimes",
        "15",
        "15M",
        "15 m",
        "-5m",
        "0 3 * *",
        "0 3 * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * * 1/2",
        "9999999d",
        "0 0 31 2 *",
        "* * * 13 *",
        "*/0 * * * *",
        "* * * * 8",
        "* * * * 1-8",
        "* * * * */0",
        "* * * * mon-nay",
        "* * * * someday",
        "* * * * 1,",
        "* * * * 1-",
    ],
)
def test_a_wrong_expression_is_a_wrong_setting(rescan: str) -> None:
    """An invalid interval or cron expression ends with exit code 78, and the error names the variable and a remedy."""
    with pytest.raises(SettingsError, match="IGSEARCH_RESCAN") as fault:
        Schedule(rescan)

    assert fault.value.exit_code == 78
    assert f"'{rescan}'" in str(fault.value)
    assert "15m" in str(fault.value)


@pytest.mark.parametrize(("rescan", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86400)])
async def test_the_first_moment_of_an_interval_is_one_interval_away(rescan: str, seconds: int) -> None:
    """Before the start no moment is known, from then on the next one, and after the end none."""
    before = datetime.now(UTC)
    schedule = Schedule(rescan)
    after = datetime.now(UTC)
    known = [schedule.next_run]

    schedule.start(lambda: None)
    known.append(schedule.next_run)
    schedule.stop()
    known.append(schedule.next_run)

    assert known[0] is known[2] is None
    assert known[1]
    assert before <= known[1] - timedelta(seconds=seconds) <= after


def test_day_and_weekday_are_either_or() -> None:
    """If both a day of the month and one of the week are given, either one matches, as in cron."""
    fires = _fires("0 3 15 * 1", timedelta(days=60))

    assert {fire.strftime("%a") for fire in fires} > {"Mon"}
    assert {fire.day for fire in fires if fire.strftime("%a") != "Mon"} == {15}


async def test_the_job_is_called_at_its_moment() -> None:
    """A job is called when its moment has come, by the thread of the event loop."""
    loop, called = asyncio.get_running_loop(), asyncio.Event()
    schedule = Schedule("1s")

    threads = []

    def job() -> None:
        threads.append(threading.current_thread())
        loop.call_soon_threadsafe(called.set)

    schedule.start(job)

    async with asyncio.timeout(30):
        await called.wait()
    schedule.stop()

    assert set(threads) == {threading.main_thread()}


async def test_to_stop_is_always_allowed() -> None:
    """A schedule that was never started, or was stopped already, may be stopped."""
    schedule = Schedule(NEVER)

    schedule.stop()
    schedule.start(lambda: None)
    schedule.stop()
    schedule.stop()

    assert schedule.next_run is None


@pytest.mark.parametrize("zone", [":/etc/localtime", "UTC0", "CET-1CEST", "Nowhere/Atall"])
def test_any_time_zone_will_do(zone: str) -> None:
    """Whatever TZ says, as POSIX allows or not, the schedule knows its next moment."""
    script = "from indexer.schedule import Schedule; Schedule('0 3 * * *'); Schedule('15m')"

    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "TZ": zone}, capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr.decode()
