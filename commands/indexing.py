"""`igsearch index`: everything once."""

from datetime import UTC, datetime
from pathlib import Path

from commands.saying import say
from commands.wiring import open_store, prepare, stopping
from core.answers import scan_json
from core.storage.store import Store
from core.workers.pool import PhotoWorkers
from indexer.crew import Crew
from indexer.deepening import Deepening
from indexer.progress import shown_progress
from indexer.rescan import Removal, Rescan
from indexer.sweep import root_identity
from indexer.visit import Manner


async def index(dataset: Path | None, *, as_json: bool, is_quiet: bool, is_light: bool, remove_missing: bool) -> int:
    settings, root = prepare(dataset)
    root_identity(root)
    manner = Manner(root, settings.workers, clock=lambda: datetime.now(UTC), is_asked=True)
    removal = Removal(settings.settle_seconds, is_meant=remove_missing)
    async with PhotoWorkers(settings.workers) as reader, open_store(settings, root) as store, store.writer():
        await store.create_schema()
        with shown_progress("indexing", is_quiet=is_quiet or as_json) as progress:
            rescan = Rescan(manner, removal, store=store, reader=reader, progress=progress)
            with stopping(rescan.stop):
                report = await rescan.run()
        is_stopped = rescan.is_stopped
        if not is_light and not is_stopped:
            is_stopped = await _deepen(manner, store, reader, is_quiet=is_quiet or as_json)
    if is_stopped:
        say("Interrupted; what was finished is kept: run again to go on.")
    if as_json:
        print(scan_json(report))
    elif not is_quiet:
        print(report)
        if report.unreadable:
            say(f"{report.unreadable:,} file(s) cannot be read: `igsearch failures` lists them with the reason.")
    return 0


async def _deepen(manner: Manner, store: Store, reader: PhotoWorkers, *, is_quiet: bool) -> bool:
    """Make the deep fingerprints that are missing; return whether that was stopped."""
    waiting = (await store.stats()).backlog
    with shown_progress("looking deeper", is_quiet=is_quiet) as progress:
        progress.expect(waiting)
        crew = Crew(manner.workers)
        deepening = Deepening(manner, store=store, reader=reader, crew=crew, heard=progress.advance)
        with stopping(crew.stop):
            await deepening.run()
    if deepening.done < waiting and not crew.is_stopped:
        say(
            f"{waiting - deepening.done:,} photo(s) have no deep fingerprint, as they could not be read again:"
            " run again."
        )
    return crew.is_stopped
