"""Apply a batch of changes in one transaction.

Applying the same batch again changes nothing, so a transaction can be repeated if it is unknown whether its commit
arrived.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, insert, not_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.model.files import FileStamp, Place
from core.model.fingerprints import PhotoFeatures, PhotoHashes
from core.model.records import Change, LedgerRecord, MoveImage, PutFailure, PutFeatures, PutImage, RemoveFile
from core.storage.database import KEYS_A_QUERY
from core.storage.tables import (
    checkpoint,
    images,
    opt_outs,
    photo_features,
    photos,
    tombstones,
    unreadable_files,
    users,
)

Row = dict[str, object]
C = TypeVar("C", PutImage, MoveImage, PutFailure, RemoveFile, PutFeatures)

REASON_LENGTH = 500


def path_key(path: bytes) -> bytes:
    return hashlib.sha256(path).digest()


def naive(moment: datetime) -> datetime:
    """Return a moment as the databases store it: in UTC, without a time zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def aware(moment: datetime) -> datetime:
    """Return a stored moment with its time zone, UTC."""
    return moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Erased:
    """The removal of an account."""

    images: int
    """Number of images removed."""
    revision: int
    """Revision of the removal."""


async def apply(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Apply changes, at most one per path, in the caller's transaction.

    Changes of forgotten accounts are left out. This is checked inside the transaction, because their photos may have
    been read before they were forgotten.
    """
    batch = _Batch(connection, await _next_revision(connection))
    unwanted = await opted_out(connection)
    changes = [change for change in changes if _username(change) not in unwanted]
    await batch.move_images(_only(MoveImage, changes))
    await batch.put_images(_only(PutImage, changes))
    await batch.put_failures(_only(PutFailure, changes))
    await batch.remove_files([change.path for change in _only(RemoveFile, changes)])
    await batch.remove_orphans()
    await batch.put_features(_only(PutFeatures, changes))
    await batch.count()


async def erase(connection: AsyncConnection, username: str) -> Erased:
    """Remove everything known about an account, in the caller's transaction."""
    batch = _Batch(connection, revision := await _next_revision(connection))
    images = await batch.erase(username)
    await batch.remove_orphans()
    await batch.count()
    return Erased(images, revision)


async def opted_out(connection: AsyncConnection) -> frozenset[str]:
    """Return the accounts that must not be indexed."""
    return frozenset(await connection.scalars(select(opt_outs.c.username).where(opt_outs.c.undone_at.is_(None))))


async def _next_revision(connection: AsyncConnection) -> int:
    """Lock the checkpoint and take the next revision: a later commit always has a higher one."""
    await connection.execute(update(checkpoint).values(revision=checkpoint.c.revision + 1))
    return int(await connection.scalar(select(checkpoint.c.revision)) or 0)


def _username(change: Change) -> str | None:
    """Return the account to whose record a change adds; None if it only removes, or adds features to a known photo."""
    match change:
        case PutImage(place=place) | MoveImage(place=place):
            return place.username
        case PutFailure(entry=entry):
            return entry.place.username
    return None


def _only(kind: type[C], changes: Sequence[Change]) -> list[C]:
    return [change for change in changes if isinstance(change, kind)]


class _Batch:
    """The steps of one transaction; it keeps track of photos and users that may have lost their last image."""

    def __init__(self, connection: AsyncConnection, revision: int) -> None:
        self._connection = connection
        self._revision = revision
        self._left_photos: set[int] = set()
        self._left_users: set[int] = set()
        self._more_images = 0
        self._has_new_images = False

    async def move_images(self, changes: Sequence[MoveImage]) -> None:
        """Change the paths of rows; another row with such a path is removed."""
        if not changes:
            return
        ids = [change.image_id for change in changes]
        keys = [path_key(change.place.path) for change in changes]
        await self._leave(images.c.id.in_(ids))
        await self._drop(and_(images.c.path_sha256.in_(keys), images.c.id.not_in(ids)))
        accounts = await self._user_ids(change.place for change in changes)
        rows = [{"image_id": change.image_id, **_file_row(change.place, change.stamp, accounts)} for change in changes]
        # By way of paths that no row has, because the rows may exchange theirs.
        detached = [{"image_id": image_id, "path_sha256": path_key(b"\0%d" % image_id)} for image_id in ids]
        await self._update_images(detached)
        await self._update_images(rows)
        await self._settle(keys)

    async def put_images(self, changes: Sequence[PutImage]) -> None:
        """Insert or update the rows of files, and their hashes."""
        if not changes:
            return
        photo_ids = await self._photo_ids([change.hashes for change in changes])
        accounts = await self._user_ids(change.place for change in changes)
        rows = {
            path_key(change.place.path): {
                "photo_id": photo_ids[change.hashes.sha256],
                **_file_row(change.place, change.stamp, accounts),
            }
            for change in changes
        }
        await self._leave(images.c.path_sha256.in_(list(rows)))
        known = await self._pairs(images.c.path_sha256, images.c.id, list(rows))
        await self._update_images([{"image_id": known[key], **row} for key, row in rows.items() if key in known])
        new = [row for key, row in rows.items() if key not in known]
        await self._insert(images, new)
        self._more_images += len(new)
        self._has_new_images |= bool(new)
        await self._settle(list(rows))

    async def put_failures(self, changes: Sequence[PutFailure]) -> None:
        """Put files into the ledger; an image of older content at such a path is removed unless the fault may pass."""
        if not changes:
            return
        keys = [path_key(change.entry.place.path) for change in changes]
        for key, change in zip(keys, changes, strict=True):
            if not change.may_pass:
                same_file = and_(*(images.c[name] == value for name, value in _fields(change.entry.stamp).items()))
                await self._drop(and_(images.c.path_sha256 == key, not_(same_file)))
        await self._settle(keys)
        await self._insert(unreadable_files, [_ledger_row(change.entry) for change in changes])

    async def remove_files(self, paths: Sequence[bytes]) -> None:
        """Remove images and ledger entries."""
        if not paths:
            return
        keys = [path_key(path) for path in paths]
        await self._drop(images.c.path_sha256.in_(keys))
        await self._settle(keys)

    async def erase(self, username: str) -> int:
        """Remove the images and ledger entries of an account; return the number of images removed."""
        owned = select(users.c.id).where(users.c.username == username).scalar_subquery()
        await self._drop(images.c.user_id == owned)
        await self._connection.execute(delete(unreadable_files).where(unreadable_files.c.username == username))
        return -self._more_images

    async def remove_orphans(self) -> None:
        """Remove photos and users without an image; a photo leaves a tombstone."""
        photo_ids = sorted(self._left_photos)
        for start in range(0, len(photo_ids), KEYS_A_QUERY):
            await self._remove_photos(set(photo_ids[start : start + KEYS_A_QUERY]))
        active = select(images.c.user_id).where(images.c.user_id.in_(self._left_users)).distinct()
        idle = self._left_users.difference(await self._connection.scalars(active))
        await self._connection.execute(delete(users).where(users.c.id.in_(idle)))

    async def _remove_photos(self, photo_ids: set[int]) -> None:
        owned = select(images.c.photo_id).where(images.c.photo_id.in_(photo_ids))
        orphans = photo_ids.difference(await self._connection.scalars(owned))
        await self._insert(
            tombstones, [{"photo_id": photo_id, "revision": self._revision} for photo_id in sorted(orphans)]
        )
        await self._connection.execute(delete(photos).where(photos.c.id.in_(orphans)))

    async def put_features(self, changes: Sequence[PutFeatures]) -> None:
        """Insert or replace the features of photos that still have an image."""
        if not changes:
            return
        ids = photos.c.id
        wanted = {change.photo_id: change.features for change in changes}
        await self._settle([path_key(change.path) for change in changes])
        known = set(await self._connection.scalars(select(ids).where(ids.in_(wanted))))
        await self._connection.execute(delete(photo_features).where(photo_features.c.photo_id.in_(known)))
        await self._insert(
            photo_features,
            [{"photo_id": photo_id, **_fields(wanted[photo_id]), "revision": self._revision} for photo_id in known],
        )

    async def count(self) -> None:
        """Update the number of images, and the time at which the last one was added."""
        now = {"newest": naive(datetime.now(UTC))} if self._has_new_images else {}
        more = checkpoint.c.images + self._more_images
        await self._connection.execute(update(checkpoint).values(images=more, **now))

    async def _photo_ids(self, photos_hashes: Sequence[PhotoHashes]) -> dict[bytes, int]:
        """Return the row ids of photos by SHA-256; hashes that are missing or of another version are written."""
        wanted = {one.sha256: one for one in photos_hashes}
        table = photos
        found = await self._connection.execute(
            select(table.c.sha256, table.c.id, table.c.version).where(table.c.sha256.in_(wanted))
        )
        versions = {sha256: (photo_id, version) for sha256, photo_id, version in found}
        rows = {sha256: {**_fields(one), "revision": self._revision} for sha256, one in wanted.items()}
        await self._insert(table, [row for sha256, row in rows.items() if sha256 not in versions])
        for sha256, (photo_id, version) in versions.items():
            if version != wanted[sha256].version:
                await self._connection.execute(update(table).where(table.c.id == photo_id).values(rows[sha256]))
        return await self._pairs(table.c.sha256, table.c.id, list(wanted))

    async def _user_ids(self, places: Iterable[Place]) -> dict[str, int]:
        names = {place.username for place in places}
        known = await self._pairs(users.c.username, users.c.id, list(names))
        await self._insert(users, [{"username": name} for name in sorted(names.difference(known))])
        return await self._pairs(users.c.username, users.c.id, list(names))

    async def _pairs(self, key: ColumnElement[C], value: ColumnElement[int], keys: Sequence[C]) -> dict[C, int]:
        rows = await self._connection.execute(select(key, value).where(key.in_(keys)))
        return {found: int(number) for found, number in rows}

    async def _leave(self, which: ColumnElement[bool]) -> None:
        """Note the photos and users of images that are about to change."""
        for photo_id, user_id in await self._connection.execute(
            select(images.c.photo_id, images.c.user_id).where(which)
        ):
            self._left_photos.add(photo_id)
            self._left_users.add(user_id)

    async def _drop(self, which: ColumnElement[bool]) -> None:
        await self._leave(which)
        gone = await self._connection.execute(delete(images).where(which))
        self._more_images -= gone.rowcount

    async def _settle(self, keys: Sequence[bytes]) -> None:
        """Remove paths from the ledger."""
        await self._connection.execute(delete(unreadable_files).where(unreadable_files.c.path_sha256.in_(keys)))

    async def _insert(self, table: Table, rows: Sequence[Row]) -> None:
        if rows:
            await self._connection.execute(insert(table), rows)

    async def _update_images(self, rows: Sequence[Row]) -> None:
        if rows:
            await self._connection.execute(update(images).where(images.c.id == bindparam("image_id")), rows)


def _fields(value: FileStamp | PhotoHashes | PhotoFeatures) -> Row:
    """Return the fields of a value by name; `dataclasses.asdict` makes deep copies, and takes ten times as long."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _file_row(place: Place, stamp: FileStamp, accounts: dict[str, int]) -> Row:
    return {
        "user_id": accounts[place.username],
        "path": place.path,
        "path_sha256": path_key(place.path),
        **_fields(stamp),
    }


def _ledger_row(entry: LedgerRecord) -> Row:
    return {
        "path_sha256": path_key(entry.place.path),
        "path": entry.place.path,
        "username": entry.place.username,
        **_fields(entry.stamp),
        "kind": entry.kind,
        "reason": entry.reason[:REASON_LENGTH],
        "attempts": entry.attempts,
        "reader_version": entry.reader_version,
        "failed_at": naive(entry.failed_at),
        "next_retry": naive(entry.next_retry) if entry.next_retry else None,
    }
