"""A store with as many images as wanted: those of real photos, and invented ones that are as hard to search."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import URL

from core.fingerprints.features import FEATURE, photo_features
from core.fingerprints.features import _rotations as rotations
from core.fingerprints.hashes import photo_hashes
from core.imaging.decoding import decode
from core.imaging.files import sha256_of
from core.index.feature_index import FeatureIndex
from core.index.hash_index import HashIndex
from core.index.inverted_lists import Codes
from core.matching.ranking import DHASH_RADIUS, PDQ_RADIUS
from core.model.files import FileStamp, Place
from core.model.fingerprints import PhotoFeatures, PhotoHashes
from core.model.records import PutFeatures, PutImage
from core.storage.database import Database
from core.storage.store import Store
from core.workers.tasks import VERSIONS

ACCOUNTS = 300
BATCH = 500
LEAST_MIXED, MOST_MIXED = 0.48, 0.58
"""Share of the other feature in a blended code: 55 to 95 bits from the one."""

Prints = tuple[PhotoHashes, PhotoFeatures]


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo's bytes and fingerprints."""

    data: bytes
    hashes: PhotoHashes
    features: PhotoFeatures

    @property
    def prints(self) -> Prints:
        return self.hashes, self.features


def pictures(paths: Sequence[Path]) -> Iterator[Picture]:
    for path in paths:
        data = path.read_bytes()
        photo = decode(data)
        yield Picture(data, photo_hashes(photo, sha256_of(data)), photo_features(photo))


def invented(real: Sequence[Picture], count: int, *, seed: int = 7) -> Iterator[Prints]:
    """Yield fingerprints of photos that do not exist: random hashes, blended codes, thumbnails of others."""
    random = np.random.default_rng(seed)
    pool = np.concatenate([np.frombuffer(one.features.codes, FEATURE)["code"] for one in real])
    for number in range(count):
        like = real[number % len(real)]
        rows = np.frombuffer(like.features.codes, FEATURE).copy()
        if len(rows):
            rows["code"] = blended(np.ascontiguousarray(rows["code"]), pool, random)
        hashes = PhotoHashes(
            sha256=random.bytes(32),
            dhash=random.bytes(8),
            pdq=random.bytes(32),
            pdq_quality=100,
            flat_percent=like.hashes.flat_percent,
            width=like.hashes.width,
            height=like.hashes.height,
            version=VERSIONS.hashes,
        )
        yield hashes, PhotoFeatures(rows.tobytes(), like.features.thumbnail, VERSIONS.features)


def blended(codes: Codes, pool: Codes, random: np.random.Generator) -> Codes:
    """Mix the descriptor of each code with that of another real feature, and return the codes of the mixtures."""
    others = pool[random.integers(0, len(pool), len(codes))]
    share = random.uniform(LEAST_MIXED, MOST_MIXED, (len(codes), 1)).astype(np.float32)
    mixed = (1 - share) * _descriptors(codes) + share * _descriptors(others)
    return np.packbits(mixed @ rotations() > 0, axis=1)


def _descriptors(codes: Codes) -> NDArray[np.float32]:
    """Return the unit vectors that have such codes, but for a few bits, about their mean."""
    vectors = (np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1) @ rotations().T
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@asynccontextmanager
async def open_store(url: str | URL) -> AsyncIterator[Store]:
    """Open a store whose tables are there."""
    store = Store(Database(url), VERSIONS)
    try:
        await store.schema.create()
        yield store
    finally:
        await store.close()


def indexes(cache: Path) -> tuple[HashIndex, FeatureIndex]:
    """Return empty indexes with their snapshots in a folder, as the command line makes them."""
    hashes = HashIndex(cache, pdq_radius=PDQ_RADIUS, dhash_radius=DHASH_RADIUS, hashes_version=VERSIONS.hashes)
    return hashes, FeatureIndex(cache, features_version=VERSIONS.features)


async def fill_store(store: Store, real: Sequence[Picture], count: int) -> None:
    """Put the real photos, and as many invented ones as are missing, into the store."""
    everything = [one.prints for one in real] + list(invented(real, count - len(real)))
    await put_prints(store, everything, owner=lambda number: f"account{number % ACCOUNTS}")


async def put_prints(
    store: Store, everything: Sequence[Prints], *, owner: Callable[[int], str], first: int = 0
) -> None:
    """Put fingerprints of photos into the store, which are numbered from `first` on; `owner` names their accounts."""
    async with store.hold_lock():
        for start in range(0, len(everything), BATCH):
            some = everything[start : start + BATCH]
            numbers = range(first + start, first + start + len(some))
            await store.write(
                [_put_image(number, owner(number), hashes) for number, (hashes, _) in zip(numbers, some, strict=True)]
            )
            waiting = {one.sha256: one.photo_id for one in await store.list_backlog(after=0, limit=2 * BATCH)}
            await store.write([PutFeatures(waiting[hashes.sha256], b"", features) for hashes, features in some])


def _put_image(number: int, username: str, hashes: PhotoHashes) -> PutImage:
    place = Place(username, f"{username}/{number}.jpg".encode())
    return PutImage(place, FileStamp(number + 1, number, number, 1), hashes)
