"""Make, upgrade and check the schema; print it as MySQL's SQL."""

import io
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"
PREAMBLE = """\
-- The whole schema of igsearch for an empty MySQL or MariaDB database, made from the migrations by `make db_init.sql`.
-- `igsearch init-db` does the same, and upgrades.

"""


def upgrade(connection: Connection) -> None:
    """Run the migrations that the database lacks; an empty database gets every table."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def mysql_script() -> str:
    """Return the SQL that makes the schema in an empty MySQL database: the content of db_init.sql."""
    script = io.StringIO()
    command.upgrade(_config(script), "head", sql=True)
    return PREAMBLE + script.getvalue().strip() + "\n"


def _config(output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output) if output else Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
