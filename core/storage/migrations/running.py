"""Run the migrations on a database, or print them as SQL for MySQL. The only module that uses Alembic's commands."""

import io
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, inspect, text

from core.errors import StoreError
from core.storage.tables import metadata

MIGRATIONS = Path(__file__).parent
FORMER_TABLES = ("light_fingerprints", "deep_fingerprints")
"""Names of tables before migration 0005."""
PREAMBLE = """\
-- The whole schema of igsearch for an empty MySQL or MariaDB database, made from the migrations by `make db_init.sql`.
-- `igsearch init-db` does the same, and upgrades.

"""


def upgrade(connection: Connection) -> None:
    """Run the migrations that the database lacks; an empty database gets every table.

    MySQL commits each CREATE TABLE separately, so a process killed between them leaves tables without a version: these
    are made again. Raises StoreError if another program's tables have igsearch's names.
    """
    _clear_half_made(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def mysql_script() -> str:
    """Return the SQL that creates the schema in an empty MySQL database: the content of db_init.sql."""
    script = io.StringIO()
    command.upgrade(_config(script), "head", sql=True)
    return PREAMBLE + script.getvalue().strip() + "\n"


def _clear_half_made(connection: Connection) -> None:
    names = set(inspect(connection).get_table_names())
    ours = sorted(names.intersection({*metadata.tables, *FORMER_TABLES}))
    if "alembic_version" not in names and ours:
        raise StoreError(f"The database already has a table '{ours[0]}' that is not igsearch's: use an empty database.")
    if ours and connection.scalar(text("SELECT COUNT(*) FROM alembic_version")) == 0:
        half_made = MetaData()
        half_made.reflect(connection, only=ours)
        half_made.drop_all(connection)


def _config(output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output) if output else Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
