"""Carry out `igsearch index`: one full scan, then the features that are missing."""

from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

from cli.console import say
from cli.output import scan_json
from cli.progress import shown_progress
from cli.wiring import open_store, prepare, stopping
from core.storage.store import Store
from core.workers.pool import PhotoWorkers
from indexer.feature_backlog import FeatureBacklog
from indexer.full_scan import FullScan, Removal
from indexer.scanning.account_scan import ScanOptions
from indexer.scanning.task_pool import TaskPool


async def index(folder: Path | None, *, as_json: bool, is_quiet: bool, is_light: bool, remove_missing: bool) -> int:
    settings, dataset = prepare(folder)
    dataset.identity()
    options = ScanOptions(dataset, settings.workers, clock=lambda: datetime.now(UTC), is_asked=True)
    removal = Removal(settings.settle_seconds, is_meant=remove_missing)
    async with PhotoWorkers(settings.workers) as reader, open_store(settings, dataset) as store, store.hold_lock():
        await store.schema.create()
        with shown_progress("indexing", is_quiet=is_quiet or as_json) as progress:
            rescan = FullScan(options, removal, store=store, reader=reader, progress=progress)
            with stopping(rescan.stop):
                report = await rescan.run()
        is_stopped = rescan.is_stopped
        if not is_light and not is_stopped:
            is_stopped = await _extract_features(options, store, reader, is_quiet=is_quiet or as_json)
    if is_stopped:
        say("Interrupted; finished work is kept: run again to continue.")
    if as_json:
        print(scan_json(report))
    elif not is_quiet:
        print(report)
        if report.unreadable:
            say(f"{report.unreadable:,} file(s) cannot be read: `igsearch failures` lists them with the reason.")
    return 0


async def _extract_features(options: ScanOptions, store: Store, reader: PhotoWorkers, *, is_quiet: bool) -> bool:
    """Extract the features that are missing, and return whether that was stopped."""
    waiting = (await store.statuses.read_stats()).backlog
    with shown_progress("extracting features", is_quiet=is_quiet) as progress:
        progress.expect(waiting)
        pool = TaskPool(options.workers)
        backlog = FeatureBacklog(options, store=store, reader=reader, pool=pool)
        with stopping(pool.stop):
            async with aclosing(backlog.run()) as decisions:
                async for decision in decisions:
                    progress.advance(decision.outcome, decision.files)
    if backlog.done < waiting and not pool.is_stopped:
        say(f"{waiting - backlog.done:,} photo(s) have no features, as they could not be read again: run again.")
    return pool.is_stopped
