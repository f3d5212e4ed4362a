"""What tests share: a private MariaDB for the whole run, and an empty database of either kind."""

import os
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from core.storage.database import Database
from core.storage.store import Store
from core.workers.tasks import VERSIONS
from tests.mariadb import HOW_TO_INSTALL, MariaDB, is_installed, private_mariadb

NUMBERS = count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the tests marked `waits` over the run, so that they wait while others compute.

    They come between two files only: a fixture of a module would be made again after each.
    """
    waiting = [item for item in items if item.get_closest_marker("waits")]
    others = [item for item in items if not item.get_closest_marker("waits")]
    spread: list[pytest.Item] = []
    placed = 0
    for position, item in enumerate(others):
        if position and item.path != others[position - 1].path:
            due = len(waiting) * position // len(others)
            spread += waiting[placed:due]
            placed = due
        spread.append(item)
    items[:] = spread + waiting[placed:]


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A running server; without one its tests are skipped, but on CI they fail."""
    if not is_installed():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(HOW_TO_INSTALL)
    with private_mariadb() as server:
        yield server


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.create_database(f"test_{next(NUMBERS)}")


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """A store with its tables made."""
    store = Store(Database(database_url), VERSIONS)
    await store.schema.create()
    yield store
    await store.close()
