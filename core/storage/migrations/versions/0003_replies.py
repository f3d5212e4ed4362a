"""The bots' replies, the reports of wrong ones, and the time at which the last image was added.

MySQL commits each statement separately, so after a kill some of these tables may exist before the version is written:
they are still unused, and are made again.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SERVERS = ("mysql", "mariadb")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORD = sa.String(32).with_variant(mysql.VARCHAR(32, charset="ascii", collation="ascii_bin"), *SERVERS)
SENTENCE = sa.String(500).with_variant(mysql.VARCHAR(500, charset="utf8mb4", collation="utf8mb4_bin"), *SERVERS)
DOCUMENT = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), *SERVERS)
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *SERVERS)
OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
NEVER_TWICE: dict[str, Any] = {**OPTIONS, "sqlite_autoincrement": True}


def upgrade() -> None:
    if not context.is_offline_mode():
        _clear_half_made()
    op.add_column("checkpoint", sa.Column("newest", MOMENT, nullable=True))
    op.create_table(
        "replies",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        sa.Column("front_end", WORD, nullable=False),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("person_id", sa.BigInteger, nullable=False),
        sa.Column("language", WORD, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("outcomes", DOCUMENT, nullable=False),
        sa.Index("ix_replies_at", "at"),
        **OPTIONS,
    )
    op.create_table(
        "reply_matches",
        sa.Column(
            "reply_id",
            KEY,
            sa.ForeignKey("replies.id", name="fk_reply_matches_reply_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("picture", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column(
            "user_id",
            KEY,
            sa.ForeignKey("users.id", name="fk_reply_matches_user_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("light_id", sa.BigInteger, nullable=False),
        sa.Column("is_similar", sa.SmallInteger, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("how", SENTENCE, nullable=False),
        sa.Index("ix_reply_matches_user_id", "user_id"),
        **OPTIONS,
    )
    op.create_table(
        "reports",
        sa.Column("id", KEY, primary_key=True),
        sa.Column(
            "reply_id", KEY, sa.ForeignKey("replies.id", name="fk_reports_reply_id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("person_id", sa.BigInteger, nullable=False),
        sa.Column("reported_at", MOMENT, nullable=False),
        sa.UniqueConstraint("reply_id", "person_id", name="uq_reports_reply_id"),
        **NEVER_TWICE,
    )


def _clear_half_made() -> None:
    for name in ("reports", "reply_matches", "replies"):
        op.drop_table(name, if_exists=True)
    if any(column["name"] == "newest" for column in sa.inspect(op.get_bind()).get_columns("checkpoint")):
        op.drop_column("checkpoint", "newest")
