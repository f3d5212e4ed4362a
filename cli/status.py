"""`igsearch init-db`, `stats`, `reports`, `failures` and `health`: what the database says."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from cli.output import failure_json, failure_text, report_json, report_text, stats_json, stats_text
from cli.wiring import open_store, prepare, ready_store
from core.errors import IgSearchError, IndexerBusy
from core.service.health import Condition, Part, conditions, health_json, health_text, parts_at_work, unknown
from core.settings import Settings
from core.storage.replies import Replies
from core.storage.statuses import FrontEnds
from core.storage.store import Store

REPORTS_LISTED = 1_000
BUSY_SECONDS = 5.0


async def init_db(dataset: Path | None) -> int:
    settings, root = prepare(dataset)
    async with open_store(settings, root) as store:
        if not await store.is_current():
            await _upgrade(store)
        print(f"The tables in {store.name} are up to date.")
    return 0


async def _upgrade(store: Store) -> None:
    """Upgrade the tables; a daemon that waits for them looks at them now and then, with the lock in its hand."""
    patiently = AsyncRetrying(
        retry=retry_if_exception_type(IndexerBusy),
        stop=stop_after_delay(BUSY_SECONDS),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    async for attempt in patiently:
        with attempt:
            async with store.writer():
                await store.upgrade_schema()


async def print_schema() -> int:
    from core.storage.schema import mysql_script  # noqa: PLC0415 - Alembic is for this command only

    sys.stdout.write(mysql_script())
    return 0


async def stats(dataset: Path | None, *, as_json: bool) -> int:
    settings, root = prepare(dataset)
    async with ready_store(settings, root) as store:
        figures = await store.stats()
    print(stats_json(figures) if as_json else stats_text(figures, datetime.now(UTC)))
    return 0


async def reports(dataset: Path | None, *, as_json: bool) -> int:
    settings, root = prepare(dataset)
    async with ready_store(settings, root) as store:
        reports = await Replies(store.database).reports(REPORTS_LISTED)
    for report in reports:
        print(report_json(report) if as_json else report_text(report))
    return 0


async def failures(dataset: Path | None, *, as_json: bool) -> int:
    settings, root = prepare(dataset)
    async with ready_store(settings, root) as store:
        entries = await store.ledger()
    for entry in entries.values():
        print(failure_json(entry) if as_json else failure_text(entry))
    return 0


async def health(parts: Sequence[Part], dataset: Path | None, *, as_json: bool) -> int:
    settings, root = prepare(dataset)
    found = await _conditions(settings, root, parts)
    print(health_json(found) if as_json else "\n".join(map(health_text, found)))
    return 0 if all(condition.is_well for condition in found) else 1


async def _conditions(settings: Settings, root: Path, parts: Sequence[Part]) -> list[Condition]:
    """Judge some parts, or all that ought to be at work."""
    try:
        async with ready_store(settings, root) as store:
            stats, front_ends = await store.stats(), await FrontEnds(store.database).statuses()
    except IgSearchError as error:
        return unknown(parts or parts_at_work((), settings.front_ends), str(error))
    return conditions(stats, front_ends, parts or parts_at_work(front_ends, settings.front_ends), datetime.now(UTC))
