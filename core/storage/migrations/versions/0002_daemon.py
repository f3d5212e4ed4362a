"""The status of the daemon.

MySQL commits the table separately, so after a kill it may exist before the version is written.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SERVERS = ("mysql", "mariadb")
WORD = sa.String(32).with_variant(mysql.VARCHAR(32, charset="ascii", collation="ascii_bin"), *SERVERS)
SENTENCE = sa.String(500).with_variant(mysql.VARCHAR(500, charset="utf8mb4", collation="utf8mb4_bin"), *SERVERS)
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *SERVERS)
OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "daemon",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("remark", SENTENCE, nullable=True),
        sa.Column("waiting", sa.BigInteger, nullable=False),
        sa.Column("lag_seconds", sa.Double, nullable=False),
        sa.Column("next_scan", MOMENT, nullable=True),
        sa.Column("seen_at", MOMENT, nullable=False),
        if_not_exists=True,
        **OPTIONS,
    )
