"""Health: the conditions of the parts, by the services' last statuses."""

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cli.output import health_json, health_text
from core.model.statuses import DaemonStatus, FrontEndStatus, Stats
from core.service.health import Condition, Part, conditions, parts_at_work, unknown

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAEMON = DaemonStatus(
    state="watching",
    remark=None,
    waiting=0,
    lag_seconds=0.0,
    next_scan=NOW + timedelta(minutes=5),
    seen_at=NOW - timedelta(seconds=10),
    emitter="events",
    has_workers=True,
)
BOT = FrontEndStatus("telegram", "answering", None, 0, has_workers=True, seen_at=NOW - timedelta(seconds=10))
HOUR = timedelta(hours=1)


def judged(
    daemon: DaemonStatus | None = DAEMON, *bots: FrontEndStatus, parts: Collection[Part] = frozenset[Part]({"indexer"})
) -> list[Condition]:
    stats = Stats(1_696, 56, 3, 1, 9, NOW - HOUR, None, daemon, 0)
    return conditions(stats, bots, parts, NOW)


@pytest.mark.parametrize(
    ("daemon", "fault"),
    [
        (None, "never reported"),
        (replace(DAEMON, state="stopped"), "was stopped at 2026-11-25 11:59:50 UTC: start it with `igsearch watch`"),
        (replace(DAEMON, seen_at=NOW - timedelta(seconds=61)), "not reported since"),
        (replace(DAEMON, state="dataset suspicious", remark="the dataset is empty"), "the dataset is empty"),
        (replace(DAEMON, emitter="none"), "it gets no notice of new photos"),
        (replace(DAEMON, has_workers=False), "cannot start processes to read pictures in"),
        (replace(DAEMON, lag_seconds=3_600.0), "60 minutes behind"),
        (replace(DAEMON, next_scan=NOW - HOUR), "the full rescan of 2026-11-25 11:00:00 UTC did not start"),
    ],
)
def test_each_thing_that_is_wrong_with_the_daemon_is_named(daemon: DaemonStatus | None, fault: str) -> None:
    """One fault makes the daemon unhealthy, and a sentence says which."""
    [database, indexer] = judged(daemon)

    assert database.is_well
    assert len(indexer.faults) == 1
    assert fault in indexer.faults[0]


@pytest.mark.parametrize(
    "daemon",
    [
        DAEMON,
        replace(DAEMON, emitter="sweeps", remark="The kernel allows 10 watches"),
        replace(DAEMON, state="scanning", next_scan=NOW - HOUR),
        replace(DAEMON, next_scan=None),
        replace(DAEMON, lag_seconds=120.0, waiting=200),
    ],
)
def test_what_only_takes_its_time_is_well(daemon: DaemonStatus) -> None:
    """Polling instead of events, a long scan, no schedule, and a copy of many photos are no faults."""
    assert all(condition.is_well for condition in judged(daemon))


@pytest.mark.parametrize(
    ("bots", "fault"),
    [
        ([], "never reported: start it with `igsearch telegram`"),
        ([replace(BOT, state="stopped")], "was stopped at"),
        ([replace(BOT, seen_at=NOW - HOUR)], "not reported since"),
        ([replace(BOT, state="connecting", remark="Telegram cannot be reached (NetworkError)")], "cannot be reached"),
        ([replace(BOT, state="connecting")], "it is logging in"),
        ([replace(BOT, has_workers=False)], "cannot start processes to read pictures in"),
        ([replace(BOT, name="discord")], "never reported"),
    ],
)
def test_each_thing_that_is_wrong_with_a_bot_is_named(bots: list[FrontEndStatus], fault: str) -> None:
    """One fault makes a bot unhealthy, and a sentence says which; the other bot is not affected."""
    [_, telegram] = judged(DAEMON, *bots, parts=["telegram"])

    assert len(telegram.faults) == 1
    assert fault in telegram.faults[0]


def test_only_what_is_asked_about_is_judged() -> None:
    """The health of a bot does not depend on the daemon, nor the other way round."""
    assert [each.part for each in judged(None, BOT, parts=["telegram"]) if each.is_well] == ["database", "telegram"]
    assert [each.part for each in judged(DAEMON, parts=["indexer"]) if each.is_well] == ["database", "indexer"]


def test_what_ought_to_be_at_work_is_known() -> None:
    """Asked about nothing, the indexer counts, bots that have a token, and those that ran and did not stop."""
    stopped = replace(BOT, name="discord", state="stopped")

    assert parts_at_work([], []) == ["indexer"]
    assert parts_at_work([BOT, stopped], []) == ["indexer", "telegram"]
    assert parts_at_work([stopped], ["discord"]) == ["indexer", "discord"]


def test_one_object_says_all() -> None:
    """The JSON has a verdict on the whole, and each part's with its figures."""
    found = json.loads(health_json(judged(replace(DAEMON, emitter="none"), BOT, parts=["indexer", "telegram"])))

    assert found["healthy"] is False
    assert found["database"] == {"healthy": True, "detail": None, "revision": 9, "images": 1_696}
    assert found["indexer"]["detail"] == "it gets no notice of new photos: read its log"
    assert (found["indexer"]["last_scan_seconds"], found["indexer"]["backlog"]) == (3600.0, 3)
    assert found["telegram"]["healthy"] is True
    assert found["telegram"]["seen_seconds"] == 10.0


def test_without_a_database_nobody_is_well() -> None:
    """The fault of the database is reported once, and every part is unhealthy."""
    found = unknown(["indexer", "discord"], "The database is unavailable: start it.")

    assert [each.is_well for each in found] == [False, False, False]
    assert "The database is unavailable" in health_text(found[0])
