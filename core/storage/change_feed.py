"""Read the changes of the store by revision, for the indexes that follow it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, Select, and_, func, or_, select

from core.index.changes import FeaturePage, HashPage
from core.model.fingerprints import CODE_BYTES, FEATURE_BYTES, FLAT_PERCENT, Versions
from core.model.records import Checkpoint
from core.storage import tables as t
from core.storage.database import Database
from core.storage.writing import aware

PAGE_ROWS = 20_000
"""Photos per page of hashes."""
PAGE_PICTURES = 1_000
"""Photos per page of features: 6 MB."""

PHOTO = t.photos.c
FEATURE = t.photo_features.c
CHECKPOINT = select(
    t.checkpoint,
    select(func.count()).select_from(t.users).scalar_subquery().label("users"),
    select(func.max(t.opt_outs.c.revision)).scalar_subquery().label("forgotten"),
)
HASHES = (
    select(PHOTO.id, PHOTO.revision, PHOTO.pdq, PHOTO.dhash, PHOTO.flat_percent, PHOTO.version)
    .order_by(PHOTO.revision, PHOTO.id)
    .limit(PAGE_ROWS)
)
FEATURES = (
    select(FEATURE.photo_id, FEATURE.revision, FEATURE.codes, FEATURE.version)
    .order_by(FEATURE.revision, FEATURE.photo_id)
    .limit(PAGE_PICTURES)
)


class SqlChangeFeed:
    """The changes written after a revision. Every call raises StoreError if the database fails."""

    def __init__(self, database: Database, versions: Versions) -> None:
        self._database = database
        self._versions = versions

    async def read_checkpoint(self) -> Checkpoint:
        """Return the present state of the store."""
        row = (await self._database.rows(CHECKPOINT))[0]
        return Checkpoint(
            database_id=row.database_id,
            revision=row.revision,
            images=row.images,
            users=row.users,
            newest=aware(row.newest) if row.newest else None,
            forgotten=row.forgotten or 0,
        )

    async def read_hashes(self, revision: int) -> AsyncIterator[HashPage]:
        """Yield the hashes written after a revision, in order of revision."""
        async for rows in self._written_after(revision, HASHES):
            yield self._page(rows)

    async def read_features(self, revision: int) -> AsyncIterator[FeaturePage]:
        """Yield the codes of the features written after a revision, in order of revision."""
        async for rows in self._written_after(revision, FEATURES):
            current = self._versions.features
            yield _feature_page([(row.photo_id, row.codes if row.version == current else b"") for row in rows])

    async def read_removed(self, revision: int) -> NDArray[np.int64]:
        """Return the ids of the photos removed after a revision."""
        rows = await self._database.rows(select(t.tombstones.c.photo_id).where(t.tombstones.c.revision > revision))
        return np.array([row[0] for row in rows], dtype=np.int64)

    async def _written_after(self, revision: int, query: Select[Any]) -> AsyncIterator[Sequence[Row[Any]]]:
        """Yield pages of a query's rows after a revision; its first two columns are the id and the revision."""
        id_column, revision_column = list(query.selected_columns)[:2]
        last_revision, last_id = revision, 2**62
        while True:
            same = and_(revision_column == last_revision, id_column > last_id)
            rows = await self._database.rows(query.where(or_(revision_column > last_revision, same)))
            if not rows:
                return
            yield rows
            last_id, last_revision = list(rows[-1])[:2]

    def _page(self, rows: Sequence[Row[Any]]) -> HashPage:
        ids, _, pdq, dhash, flat_percent, versions = zip(*rows, strict=True)
        return HashPage(
            ids=np.array(ids, dtype=np.int64),
            pdq=np.frombuffer(b"".join(pdq), np.uint8).reshape(-1, 32),
            dhash=np.frombuffer(b"".join(dhash), np.uint8).reshape(-1, 8),
            is_searchable=(np.array(flat_percent) < FLAT_PERCENT) & (np.array(versions) == self._versions.hashes),
        )


def _feature_page(rows: Sequence[tuple[int, bytes]]) -> FeaturePage:
    ids, codes = zip(*rows, strict=True)
    features = np.frombuffer(b"".join(codes), np.uint8).reshape(-1, FEATURE_BYTES)
    return FeaturePage(
        ids=np.array(ids, dtype=np.int64),
        counts=np.array([len(each) // FEATURE_BYTES for each in codes], dtype=np.int64),
        codes=features[:, :CODE_BYTES],
    )
