"""New names: the tables light_fingerprints and deep_fingerprints become photos and photo_features.

Only names change: every row stays. MySQL commits each statement separately, so each is run only if it is still needed;
SQLite, which cannot rename an index, creates it again.
"""

from collections.abc import Collection

import sqlalchemy as sa
from alembic import context, op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = {"light_fingerprints": "photos", "deep_fingerprints": "photo_features"}
COLUMN = ("light_id", "photo_id")
HOLDERS = ("photo_features", "images", "tombstones", "reply_matches")
"""The tables that have this column."""
INDEXES = (
    ("photos", "ix_light_fingerprints_revision", "ix_photos_revision", "revision"),
    ("photo_features", "ix_deep_fingerprints_revision", "ix_photo_features_revision", "revision"),
    ("photo_features", "ix_deep_fingerprints_version", "ix_photo_features_version", "version"),
    ("images", "ix_images_light_id", "ix_images_photo_id", "photo_id"),
)
FOREIGN_KEYS = (
    ("photo_features", "fk_deep_fingerprints_light_id", "fk_photo_features_photo_id", " ON DELETE CASCADE"),
    ("images", "fk_images_light_id", "fk_images_photo_id", ""),
)


def upgrade() -> None:
    for old, new in TABLES.items():
        if _lacks(_tables(), new):
            op.rename_table(old, new)
    for table in HOLDERS:
        if _lacks(_columns(table), COLUMN[1]):
            op.execute(f"ALTER TABLE {table} RENAME COLUMN {COLUMN[0]} TO {COLUMN[1]}")
    if op.get_context().dialect.name == "sqlite":
        _rename_indexes_of_sqlite()
    else:
        _rename_indexes_and_keys_of_mysql()
    op.execute("UPDATE daemon SET state = 'dataset suspicious' WHERE state = 'root suspicious'")


def _rename_indexes_of_sqlite() -> None:
    for table, old, new, column in INDEXES:
        op.drop_index(old, table)
        op.create_index(new, table, [column])


def _rename_indexes_and_keys_of_mysql() -> None:
    for table, old, new, _ in INDEXES:
        if _lacks(_indexes(table), new):
            op.execute(f"ALTER TABLE {table} RENAME INDEX {old} TO {new}")
    op.execute("SET foreign_key_checks = 0")  # the rows satisfied the old key: checking them again would copy the table
    for table, old, new, action in FOREIGN_KEYS:
        if _lacks(_foreign_keys(table), new):
            op.execute(
                f"ALTER TABLE {table} DROP FOREIGN KEY {old},"
                f" ADD CONSTRAINT {new} FOREIGN KEY ({COLUMN[1]}) REFERENCES photos (id){action}"
            )
    op.execute("SET foreign_key_checks = 1")


def _lacks(names: Collection[str] | None, name: str) -> bool:
    """Tell whether a name is still missing; when only the SQL is printed, it always is."""
    return names is None or name not in names


def _inspector() -> sa.Inspector | None:
    return None if context.is_offline_mode() else sa.inspect(op.get_bind())


def _tables() -> list[str] | None:
    inspector = _inspector()
    return inspector.get_table_names() if inspector else None


def _columns(table: str) -> list[str] | None:
    inspector = _inspector()
    return [column["name"] for column in inspector.get_columns(table)] if inspector else None


def _indexes(table: str) -> list[str] | None:
    inspector = _inspector()
    return [str(index["name"]) for index in inspector.get_indexes(table)] if inspector else None


def _foreign_keys(table: str) -> list[str] | None:
    inspector = _inspector()
    return [str(key["name"]) for key in inspector.get_foreign_keys(table)] if inspector else None
