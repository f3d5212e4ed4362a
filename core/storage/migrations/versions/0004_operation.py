"""The opt-outs, the status of every service, and an index for counting the backlog without reading features.

The daemon reports its status every 15 s, so its table is simply made again. MySQL commits each statement separately:
after a kill some of these tables may exist before the version is written, and are made again, too.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SERVERS = ("mysql", "mariadb")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
USERNAME = sa.String(30).with_variant(mysql.VARCHAR(30, charset="ascii", collation="ascii_bin"), *SERVERS)
WORD = sa.String(32).with_variant(mysql.VARCHAR(32, charset="ascii", collation="ascii_bin"), *SERVERS)
SENTENCE = sa.String(500).with_variant(mysql.VARCHAR(500, charset="utf8mb4", collation="utf8mb4_bin"), *SERVERS)
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *SERVERS)
OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
VERSION_INDEX = "ix_deep_fingerprints_version"
NEVER_TWICE: dict[str, Any] = {**OPTIONS, "sqlite_autoincrement": True}


def upgrade() -> None:
    if context.is_offline_mode():
        op.drop_table("daemon")
    else:
        _clear_half_made()
    op.create_index(VERSION_INDEX, "deep_fingerprints", ["version"])
    op.create_table(
        "daemon",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("remark", SENTENCE, nullable=True),
        sa.Column("waiting", sa.BigInteger, nullable=False),
        sa.Column("lag_seconds", sa.Double, nullable=False),
        sa.Column("next_scan", MOMENT, nullable=True),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("emitter", WORD, nullable=False),
        sa.Column("has_workers", sa.SmallInteger, nullable=False),
        **OPTIONS,
    )
    op.create_table(
        "front_ends",
        sa.Column("name", WORD, primary_key=True),
        sa.Column("state", WORD, nullable=False),
        sa.Column("remark", SENTENCE, nullable=True),
        sa.Column("waiting", sa.BigInteger, nullable=False),
        sa.Column("has_workers", sa.SmallInteger, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        **OPTIONS,
    )
    op.create_table(
        "opt_outs",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("username", USERNAME, nullable=False),
        sa.Column("forgotten_at", MOMENT, nullable=False),
        sa.Column("images", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("undone_at", MOMENT, nullable=True),
        sa.Index("ix_opt_outs_username", "username"),
        **NEVER_TWICE,
    )


def _clear_half_made() -> None:
    for name in ("daemon", "front_ends", "opt_outs"):
        op.drop_table(name, if_exists=True)
    if any(index["name"] == VERSION_INDEX for index in sa.inspect(op.get_bind()).get_indexes("deep_fingerprints")):
        op.drop_index(VERSION_INDEX, "deep_fingerprints")
