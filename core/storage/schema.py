"""Check the version of a database's schema, and create or upgrade its tables."""

import os

from sqlalchemy import Connection, inspect, select, text

from core.errors import Denied, NotReady, SchemaMismatch
from core.storage import tables as t
from core.storage.database import Database

SCHEMA_VERSION = "0005"
"""The newest migration; a test compares the two. Asking Alembic would cost every command its import."""
UPGRADE_SECONDS = 3600.0


class Schema:
    """The schema of one database. Every call raises StoreError if the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self) -> None:
        """Raise SchemaMismatch unless the tables have the current version."""
        check_version(await self.read_version(), self._database.name)

    async def is_current(self) -> bool:
        """Tell whether the tables have the current version."""
        return await self.read_version() == SCHEMA_VERSION

    async def read_version(self) -> str | None:
        """Return the version of the tables, or None for an empty database."""
        if self._database.is_sqlite and not os.path.exists(self._database.name):  # noqa: ASYNC240 - returns at once
            return None
        return await self._database.read(lambda connection: connection.run_sync(found_version))

    async def create(self) -> None:
        """Create the tables in an empty database.

        Raises SchemaMismatch for tables of another version, NotReady if this user may not create tables. Older tables
        that were never written to are upgraded: a process was killed between two migrations.
        """
        found = await self.read_version()
        if found is None or (found < SCHEMA_VERSION and not await self._is_written()):
            try:
                await self.upgrade()
            except Denied as error:
                user = self._database.url.username
                raise NotReady(
                    f"There are no tables in {self._database.name} yet, and '{user}' may not create them: run"
                    " `igsearch init-db` as a user who may."
                ) from error
        await self.check()

    async def upgrade(self) -> None:
        """Create the tables in an empty database, or upgrade older ones."""
        from core.storage.migrations.running import upgrade  # noqa: PLC0415 - only this call needs Alembic

        found = await self.read_version()
        if found is None or found < SCHEMA_VERSION:
            await self._database.write(lambda connection: connection.run_sync(upgrade), seconds=UPGRADE_SECONDS)
        await self.check()

    async def _is_written(self) -> bool:
        """Tell whether anything was ever written to the tables, whatever their version."""
        rows = await self._database.rows(select(t.checkpoint.c.revision))
        return bool(rows and rows[0].revision)


def check_version(found: str | None, name: str) -> None:
    """Raise SchemaMismatch unless the tables have the current version; None means that there are no tables."""
    if found is None:
        raise SchemaMismatch(
            f"Nothing is indexed in {name} yet: run `igsearch index --dataset DIR` (or `igsearch init-db`)."
        )
    if found < SCHEMA_VERSION:
        raise SchemaMismatch(f"The tables in {name} are from an older igsearch: run `igsearch init-db`.")
    if found > SCHEMA_VERSION:
        raise SchemaMismatch(f"The tables in {name} are from a newer igsearch: upgrade igsearch.")


def found_version(connection: Connection) -> str | None:
    """Return the version of a database's tables, or None if there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)
