"""The schema of a database: which version it has, and making or upgrading its tables."""

import os

from sqlalchemy import Connection, inspect, select, text

from core.errors import Denied, NotReady, SchemaMismatch
from core.storage import tables as t
from core.storage.database import Database

SCHEMA_VERSION = "0005"
"""The newest migration; a test compares them. Asking Alembic would cost every command its import."""
UPGRADE_SECONDS = 3600.0


class Schema:
    """The tables of one database. Every call raises StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self) -> None:
        """Raise SchemaMismatch unless the tables are those of this version."""
        check_version(await self.read_version(), self._database.name)

    async def is_current(self) -> bool:
        """Tell whether the tables are those of this version."""
        return await self.read_version() == SCHEMA_VERSION

    async def read_version(self) -> str | None:
        """Return the version of the tables, or None for an empty database."""
        if self._database.is_sqlite and not os.path.exists(self._database.name):  # noqa: ASYNC240 - answers at once
            return None
        return await self._database.read(lambda connection: connection.run_sync(found_version))

    async def create(self) -> None:
        """Make the tables in an empty database; raises SchemaMismatch for tables of another version, NotReady where
        another user is to make them.

        Older tables in which nothing was ever written are those of a process that was killed between two migrations.
        """
        found = await self.read_version()
        if found is None or (found < SCHEMA_VERSION and not await self._is_written()):
            try:
                await self.upgrade()
            except Denied as error:
                user = self._database.url.username
                raise NotReady(
                    f"There are no tables in {self._database.name} yet, and '{user}' may not make them: run"
                    " `igsearch init-db` as a user who may."
                ) from error
        await self.check()

    async def upgrade(self) -> None:
        """Make the tables in an empty database, or bring older ones up to date."""
        from core.storage.migrations.running import upgrade  # noqa: PLC0415 - Alembic is for this call only

        found = await self.read_version()
        if found is None or found < SCHEMA_VERSION:
            await self._database.write(lambda connection: connection.run_sync(upgrade), seconds=UPGRADE_SECONDS)
        await self.check()

    async def _is_written(self) -> bool:
        """Tell whether anything was ever written, in tables of whatever version."""
        rows = await self._database.rows(select(t.checkpoint.c.revision))
        return bool(rows and rows[0].revision)


def check_version(found: str | None, name: str) -> None:
    """Raise SchemaMismatch unless the version of a database's tables is ours; None: there are no tables."""
    if found is None:
        raise SchemaMismatch(
            f"Nothing is indexed in {name} yet: run `igsearch index --dataset DIR` (or `igsearch init-db`)."
        )
    if found < SCHEMA_VERSION:
        raise SchemaMismatch(f"The tables in {name} are of an older igsearch: run `igsearch init-db`.")
    if found > SCHEMA_VERSION:
        raise SchemaMismatch(f"The tables in {name} are of a newer igsearch: upgrade igsearch.")


def found_version(connection: Connection) -> str | None:
    """Return the version of a database's tables, or None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)
