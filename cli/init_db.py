"""Carry out `igsearch init-db`: create the tables, or upgrade them."""

import sys
from pathlib import Path

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from cli.wiring import open_store, prepare
from core.errors import IndexerBusy
from core.storage.store import Store

BUSY_SECONDS = 5.0


async def init_db(folder: Path | None) -> int:
    settings, dataset = prepare(folder)
    async with open_store(settings, dataset) as store:
        if not await store.schema.is_current():
            await _upgrade(store)
        print(f"The tables in {store.name} are up to date.")
    return 0


async def _upgrade(store: Store) -> None:
    """Upgrade the tables; retry for a while, as a daemon that waits for them holds the lock whenever it looks."""
    patiently = AsyncRetrying(
        retry=retry_if_exception_type(IndexerBusy),
        stop=stop_after_delay(BUSY_SECONDS),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    async for attempt in patiently:
        with attempt:
            async with store.hold_lock():
                await store.schema.upgrade()


async def print_schema() -> int:
    from core.storage.migrations.running import mysql_script  # noqa: PLC0415 - Alembic is for this command only

    sys.stdout.write(mysql_script())
    return 0
