"""Carry out `igsearch stats`, `reports`, `failures` and `health`, which print what is in the database."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cli.output import (
    failure_json,
    failure_text,
    health_json,
    health_text,
    report_json,
    report_text,
    stats_json,
    stats_text,
)
from cli.wiring import prepare, ready_store
from core.dataset import Dataset
from core.errors import IgSearchError
from core.service.health import Condition, Part, conditions, parts_at_work, unknown
from core.settings import Settings
from core.storage.replies import Replies

REPORTS_LISTED = 1_000


async def stats(folder: Path | None, *, as_json: bool) -> int:
    settings, dataset = prepare(folder)
    async with ready_store(settings, dataset) as store:
        figures = await store.statuses.read_stats()
    print(stats_json(figures) if as_json else stats_text(figures, datetime.now(UTC)))
    return 0


async def reports(folder: Path | None, *, as_json: bool) -> int:
    settings, dataset = prepare(folder)
    async with ready_store(settings, dataset) as store:
        reports = await Replies(store.database).reports(REPORTS_LISTED)
    for report in reports:
        print(report_json(report) if as_json else report_text(report))
    return 0


async def failures(folder: Path | None, *, as_json: bool) -> int:
    settings, dataset = prepare(folder)
    async with ready_store(settings, dataset) as store:
        entries = await store.read_ledger()
    for entry in entries.values():
        print(failure_json(entry) if as_json else failure_text(entry))
    return 0


async def health(parts: Sequence[Part], folder: Path | None, *, as_json: bool) -> int:
    settings, dataset = prepare(folder)
    found = await _conditions(settings, dataset, parts)
    print(health_json(found) if as_json else "\n".join(map(health_text, found)))
    return 0 if all(condition.is_well for condition in found) else 1


async def _conditions(settings: Settings, dataset: Dataset, parts: Sequence[Part]) -> list[Condition]:
    """Judge the given parts, or all that ought to be running."""
    try:
        async with ready_store(settings, dataset) as store:
            stats, front_ends = await store.statuses.read_stats(), await store.statuses.list_front_ends()
    except IgSearchError as error:
        return unknown(parts or parts_at_work((), settings.front_ends), str(error))
    return conditions(stats, front_ends, parts or parts_at_work(front_ends, settings.front_ends), datetime.now(UTC))
