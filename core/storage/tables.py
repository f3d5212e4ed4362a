"""The tables, for SQLite, MySQL and MariaDB.

Usernames are compared byte by byte (`ascii_bin`; by the servers' default collations 'abc' equals 'ABC'). Paths are raw
bytes with their SHA-256 as key, because a unique key is limited to 3,072 bytes. Hashes are BINARY: no SQL ever computes
with them, since bit operations on BINARY are wrong on MariaDB. Every table has a primary key (Galera requires one).
"""

from typing import Any

from sqlalchemy import (
    BINARY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql

NAMES = {"ix": "ix_%(table_name)s_%(column_0_name)s", "fk": "fk_%(table_name)s_%(column_0_name)s"}
metadata = MetaData(naming_convention=NAMES)

Key = BigInteger().with_variant(Integer(), "sqlite")
Username = String(30).with_variant(mysql.VARCHAR(30, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
Word = String(32).with_variant(mysql.VARCHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
REMARK_LENGTH = 500
Sentence = String(REMARK_LENGTH).with_variant(
    mysql.VARCHAR(REMARK_LENGTH, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
Document = Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
PathBytes = LargeBinary(4096).with_variant(mysql.VARBINARY(4096), "mysql", "mariadb")
Codes = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
Moment = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
Digest = BINARY(32).with_variant(LargeBinary(32), "sqlite")
ShortHash = BINARY(8).with_variant(LargeBinary(8), "sqlite")

OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
NEVER_TWICE: dict[str, Any] = {**OPTIONS, "sqlite_autoincrement": True}
"""SQLite, too, must never reuse an id: a tombstone may refer to it."""


def _stamp_columns() -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in ("size", "mtime_ns", "inode", "device")]


checkpoint = Table(
    "checkpoint",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("database_id", Word, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("images", BigInteger, nullable=False),
    Column("newest", Moment, nullable=True),
    CheckConstraint("id = 1", name="ck_checkpoint_one_row"),
    **OPTIONS,
)
"""One row. Every writing transaction locks it first and takes the next revision from it, so that revisions are in the
order of commits (AUTO_INCREMENT is not). `images` counts the images; `newest` is the time at which the last one was
added."""

users = Table(
    "users",
    metadata,
    Column("id", Key, primary_key=True),
    Column("username", Username, nullable=False, unique=True),
    **NEVER_TWICE,
)
"""The accounts that have images."""

photos = Table(
    "photos",
    metadata,
    Column("id", Key, primary_key=True),
    Column("sha256", Digest, nullable=False, unique=True),
    Column("dhash", ShortHash, nullable=False),
    Column("pdq", Digest, nullable=False),
    Column("pdq_quality", SmallInteger, nullable=False),
    Column("flat_percent", SmallInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("version", SmallInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, index=True),
    **NEVER_TWICE,
)
"""One row per distinct file content: byte-identical photos of several accounts share it."""

photo_features = Table(
    "photo_features",
    metadata,
    Column("photo_id", Key, ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True),
    Column("codes", Codes, nullable=False),
    Column("thumbnail", Codes, nullable=False),
    Column("version", SmallInteger, nullable=False, index=True),
    Column("revision", BigInteger, nullable=False, index=True),
    **OPTIONS,
)
"""Local features and a small grey copy, one row per photo; photos without one form the backlog."""

images = Table(
    "images",
    metadata,
    Column("id", Key, primary_key=True),
    Column("user_id", Key, ForeignKey("users.id"), nullable=False, index=True),
    Column("photo_id", Key, ForeignKey("photos.id"), nullable=False, index=True),
    Column("path", PathBytes, nullable=False),
    Column("path_sha256", Digest, nullable=False, unique=True),
    *_stamp_columns(),
    Index("ix_images_inode", "inode", "device"),
    Index("ix_images_size", "size"),
    **NEVER_TWICE,
)
"""One row per file of the dataset."""

unreadable_files = Table(
    "unreadable_files",
    metadata,
    Column("path_sha256", Digest, primary_key=True),
    Column("path", PathBytes, nullable=False),
    Column("username", Username, nullable=False, index=True),
    *_stamp_columns(),
    Column("kind", Word, nullable=False),
    Column("reason", Sentence, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reader_version", SmallInteger, nullable=False),
    Column("failed_at", Moment, nullable=False),
    Column("next_retry", Moment, nullable=True),
    **OPTIONS,
)
"""The ledger of unreadable files."""

tombstones = Table(
    "tombstones",
    metadata,
    Column("photo_id", Key, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False, index=True),
    **OPTIONS,
)
"""Removed photos, so that indexes that follow by revision can drop them."""

scans = Table(
    "scans",
    metadata,
    Column("id", Key, primary_key=True),
    Column("finished_at", Moment, nullable=False),
    *[
        Column(name, BigInteger, nullable=False)
        for name in ("added", "updated", "moved", "removed", "unchanged", "unreadable", "ignored")
    ],
    Column("seconds", Double, nullable=False),
    **NEVER_TWICE,
)
"""One row per finished rescan; the oldest are removed."""

daemon = Table(
    "daemon",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("state", Word, nullable=False),
    Column("remark", Sentence, nullable=True),
    Column("waiting", BigInteger, nullable=False),
    Column("lag_seconds", Double, nullable=False),
    Column("next_scan", Moment, nullable=True),
    Column("seen_at", Moment, nullable=False),
    Column("emitter", Word, nullable=False),
    Column("has_workers", SmallInteger, nullable=False),
    **OPTIONS,
)
"""One row: the daemon's last status."""

front_ends = Table(
    "front_ends",
    metadata,
    Column("name", Word, primary_key=True),
    Column("state", Word, nullable=False),
    Column("remark", Sentence, nullable=True),
    Column("waiting", BigInteger, nullable=False),
    Column("has_workers", SmallInteger, nullable=False),
    Column("seen_at", Moment, nullable=False),
    **OPTIONS,
)
"""One row per bot: its last status."""

opt_outs = Table(
    "opt_outs",
    metadata,
    Column("id", Key, primary_key=True),
    Column("username", Username, nullable=False, index=True),
    Column("forgotten_at", Moment, nullable=False),
    Column("images", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("undone_at", Moment, nullable=True),
    **NEVER_TWICE,
)
"""The accounts that must not be indexed, and those that must not be indexed until `undone_at`: the audit of `forget`.

`images` counts the images that were removed at `revision`; index snapshots from before it may still hold their
fingerprints."""

replies = Table(
    "replies",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=False),
    Column("front_end", Word, nullable=False),
    Column("chat_id", BigInteger, nullable=False),
    Column("person_id", BigInteger, nullable=False),
    Column("language", Word, nullable=False),
    Column("at", Moment, nullable=False, index=True),
    Column("outcomes", Document, nullable=False),
    **OPTIONS,
)
"""The bots' replies, for the buttons below them; `outcomes` is the outcome of each query image, as JSON.

Ids are random: if the database is created again meanwhile, an old button must not refer to another reply."""

reply_matches = Table(
    "reply_matches",
    metadata,
    Column("reply_id", Key, ForeignKey("replies.id", ondelete="CASCADE"), primary_key=True),
    Column("picture", SmallInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("user_id", Key, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("photo_id", BigInteger, nullable=False),
    Column("is_similar", SmallInteger, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("how", Sentence, nullable=False),
    **OPTIONS,
)
"""The accounts that replies name. They are removed with their account, so that no old reply names a forgotten one."""

reports = Table(
    "reports",
    metadata,
    Column("id", Key, primary_key=True),
    Column("reply_id", Key, ForeignKey("replies.id", ondelete="CASCADE"), nullable=False),
    Column("person_id", BigInteger, nullable=False),
    Column("reported_at", Moment, nullable=False),
    UniqueConstraint("reply_id", "person_id", name="uq_reports_reply_id"),
    **NEVER_TWICE,
)
"""Reports of wrong replies."""
