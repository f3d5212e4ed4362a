"""The first tables: images, users, fingerprints, ledger, tombstones, scans, and the checkpoint."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SERVERS = ("mysql", "mariadb")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
USERNAME = sa.String(30).with_variant(mysql.VARCHAR(30, charset="ascii", collation="ascii_bin"), *SERVERS)
WORD = sa.String(32).with_variant(mysql.VARCHAR(32, charset="ascii", collation="ascii_bin"), *SERVERS)
SENTENCE = sa.String(500).with_variant(mysql.VARCHAR(500, charset="utf8mb4", collation="utf8mb4_bin"), *SERVERS)
PATH = sa.LargeBinary(4096).with_variant(mysql.VARBINARY(4096), *SERVERS)
CODES = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), *SERVERS)
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *SERVERS)
DIGEST = sa.BINARY(32).with_variant(sa.LargeBinary(32), "sqlite")
SHORT_HASH = sa.BINARY(8).with_variant(sa.LargeBinary(8), "sqlite")
OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

NEW_IDENTITY = {"sqlite": "lower(hex(randomblob(16)))", "mysql": "REPLACE(UUID(), '-', '')"}


def upgrade() -> None:
    op.create_table(
        "checkpoint",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("database_id", WORD, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("images", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_checkpoint_one_row"),
        **OPTIONS,
    )
    dialect = "sqlite" if op.get_context().dialect.name == "sqlite" else "mysql"
    op.execute(f"INSERT INTO checkpoint (id, database_id, revision, images) VALUES (1, {NEW_IDENTITY[dialect]}, 0, 0)")
    op.create_table(
        "users",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("username", USERNAME, nullable=False, unique=True),
        sqlite_autoincrement=True,
        **OPTIONS,
    )
    _create_fingerprints()
    _create_files()
    op.create_table(
        "scans",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("finished_at", MOMENT, nullable=False),
        *[_number(name) for name in ("added", "updated", "moved", "removed", "unchanged", "unreadable", "ignored")],
        sa.Column("seconds", sa.Double, nullable=False),
        sqlite_autoincrement=True,
        **OPTIONS,
    )


def _create_fingerprints() -> None:
    op.create_table(
        "light_fingerprints",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("sha256", DIGEST, nullable=False, unique=True),
        sa.Column("dhash", SHORT_HASH, nullable=False),
        sa.Column("pdq", DIGEST, nullable=False),
        sa.Column("pdq_quality", sa.SmallInteger, nullable=False),
        sa.Column("flat_percent", sa.SmallInteger, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("version", sa.SmallInteger, nullable=False),
        _number("revision"),
        sqlite_autoincrement=True,
        **OPTIONS,
    )
    op.create_index("ix_light_fingerprints_revision", "light_fingerprints", ["revision"])
    op.create_table(
        "deep_fingerprints",
        sa.Column("light_id", KEY, primary_key=True, autoincrement=False),
        sa.Column("codes", CODES, nullable=False),
        sa.Column("thumbnail", CODES, nullable=False),
        sa.Column("version", sa.SmallInteger, nullable=False),
        _number("revision"),
        sa.ForeignKeyConstraint(
            ["light_id"], ["light_fingerprints.id"], name="fk_deep_fingerprints_light_id", ondelete="CASCADE"
        ),
        **OPTIONS,
    )
    op.create_index("ix_deep_fingerprints_revision", "deep_fingerprints", ["revision"])
    op.create_table(
        "tombstones",
        sa.Column("light_id", KEY, primary_key=True, autoincrement=False),
        _number("revision"),
        **OPTIONS,
    )
    op.create_index("ix_tombstones_revision", "tombstones", ["revision"])


def _create_files() -> None:
    op.create_table(
        "images",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("light_id", KEY, nullable=False),
        sa.Column("path", PATH, nullable=False),
        sa.Column("path_sha256", DIGEST, nullable=False, unique=True),
        *_stamp(),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_images_user_id"),
        sa.ForeignKeyConstraint(["light_id"], ["light_fingerprints.id"], name="fk_images_light_id"),
        sqlite_autoincrement=True,
        **OPTIONS,
    )
    op.create_index("ix_images_user_id", "images", ["user_id"])
    op.create_index("ix_images_light_id", "images", ["light_id"])
    op.create_index("ix_images_inode", "images", ["inode", "device"])
    op.create_index("ix_images_size", "images", ["size"])
    op.create_table(
        "unreadable_files",
        sa.Column("path_sha256", DIGEST, primary_key=True),
        sa.Column("path", PATH, nullable=False),
        sa.Column("username", USERNAME, nullable=False),
        *_stamp(),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("reason", SENTENCE, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reader_version", sa.SmallInteger, nullable=False),
        sa.Column("failed_at", MOMENT, nullable=False),
        sa.Column("next_retry", MOMENT, nullable=True),
        **OPTIONS,
    )
    op.create_index("ix_unreadable_files_username", "unreadable_files", ["username"])


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _stamp() -> list[sa.Column[int]]:
    return [_number(name) for name in ("size", "mtime_ns", "inode", "device")]
