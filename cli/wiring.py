"""Provide what most commands need: settings and log, the store, the cache folder, and stopping by signal."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from core.dataset import Dataset
from core.errors import StoreError
from core.service.logs import start_logging
from core.settings import Settings, default_database, load_settings
from core.storage.database import READ_SECONDS, Database, sqlite_url
from core.storage.store import Store
from core.workers.tasks import VERSIONS


def prepare(folder: Path | None, *, is_service: bool = False) -> tuple[Settings, Dataset]:
    """Read the settings, start the log, and return the settings and the dataset.

    A service logs what it does; any other command logs only what goes wrong, unless a level is set.
    """
    settings = load_settings()
    is_chosen = is_service or "log_level" in settings.model_fields_set
    start_logging(settings.log_level if is_chosen else "WARNING", settings.log_format, settings.tokens)
    return settings, Dataset(folder or settings.dataset)


@asynccontextmanager
async def open_store(
    settings: Settings, dataset: Dataset, *, failed: Callable[[StoreError], None] = lambda _error: None
) -> AsyncIterator[Store]:
    store = Store(database_of(settings, dataset, read_seconds=READ_SECONDS, failed=failed), VERSIONS)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def ready_store(settings: Settings, dataset: Dataset) -> AsyncIterator[Store]:
    """Open the store and check that its tables are of this version; raises StoreError."""
    async with open_store(settings, dataset) as store:
        await store.schema.check()
        yield store


def cache_folder() -> Path:
    """Return the folder for snapshots of the index."""
    return user_cache_path("igsearch")


def database_of(
    settings: Settings, dataset: Dataset, *, read_seconds: float, failed: Callable[[StoreError], None]
) -> Database:
    """Return the database of the settings, else the SQLite file beside the dataset; a new file needs the dataset."""
    if settings.database_url:
        return Database(settings.database_url.get_secret_value(), read_seconds=read_seconds, failed=failed)
    path = default_database(dataset.root)
    if not path.exists():
        dataset.identity()
    return Database(sqlite_url(path), read_seconds=read_seconds, failed=failed)


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on the first SIGINT or SIGTERM; let the second one end the process."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def on_signal() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
        stop()

    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
