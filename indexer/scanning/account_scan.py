"""Look at accounts and reconcile what is not as the record has it. Every scan, small or large, is a visit.

1. Compare each account's files with its record: the same, new or changed, missing.
2. Reconcile what is new or changed and lies still, many files at a time; write in batches.
3. Report what is missing; indexer/scanning/removal.py decides about that.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from core.fingerprints.hashes import HASHES_VERSION
from core.model.files import FileStamp, Place
from core.model.records import ImageRecord, LedgerRecord
from indexer.scanning.listing import Listing
from indexer.scanning.reconciler import FileOutcome, Found, Lights, Reader, Reconciler
from indexer.scanning.retries import is_due
from indexer.scanning.settling import Settling
from indexer.scanning.task_pool import TaskPool
from indexer.scanning.write_batch import WriteBatch, Writes

ACCOUNTS_AT_A_TIME = 32
"""A query costs about 1 ms of our own time, whatever it reads; one an account was a fifth of a scan's."""

CHANGING_SECONDS = 1.0
"""After which a file that was written to while we read it is looked at again."""


class Record(Lights, Writes, Protocol):
    """The store, as a visit sees it."""

    async def record(self, *usernames: str) -> dict[bytes, ImageRecord]: ...

    async def ledger(self, *usernames: str) -> dict[bytes, LedgerRecord]: ...

    async def relatives(self, stamps: Sequence[FileStamp]) -> list[ImageRecord]: ...


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How visits are done."""

    root: Path
    workers: int
    clock: Callable[[], datetime]
    is_asked: bool = False
    """A person asked for it: what may pass is tried again now."""
    settling: Settling | None = None
    """What says whether a file lies still; None: all do."""


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """What ends a visit before all is done; what is left over is named in `ScanFindings.unfinished`."""

    files: int | None = None
    """At most so many of up to 32 accounts, the latest first."""
    is_over: Callable[[], bool] = lambda: False
    takes_outdated: bool = True
    """Whether photos that did not change, but whose fingerprint is of an older version, are read again."""


UNBOUNDED = ScanLimits()


@dataclass(slots=True)
class ScanFindings:
    """What a visit found and did."""

    counts: Counter[FileOutcome] = field(default_factory=Counter)
    recorded: int = 0
    missing: dict[str, list[ImageRecord]] = field(default_factory=dict)
    """Of every account that was compared: the images whose files were not there, nor anywhere else."""
    missing_failures: list[Place] = field(default_factory=list)
    unsettled: dict[str, float] = field(default_factory=dict)
    """Seconds until some file of an account lies still."""
    outdated: set[str] = field(default_factory=set)
    unfinished: list[str] = field(default_factory=list)
    relocated: set[int] = field(default_factory=set)
    """Images that were found at another path."""


class AccountScan:
    """One visit; ended early, everything finished so far is written.

    `heard` is told of every file that was looked at, `filed` of what changed in the record, once it has.
    """

    def __init__(
        self,
        options: ScanOptions,
        *,
        store: Record,
        reader: Reader,
        pool: TaskPool,
        heard: Callable[[FileOutcome, int], None],
        filed: Callable[[FileOutcome], None] = lambda _outcome: None,
    ) -> None:
        self._options = options
        self._store = store
        self._pool = pool
        self._heard = heard
        self._batch = WriteBatch(store)
        self._reconciler = Reconciler(
            options.root,
            reader=reader,
            store=store,
            batch=self._batch,
            clock=options.clock,
            must_lie_still=options.settling is not None,
            filed=filed,
        )
        self._findings = ScanFindings(relocated=self._reconciler.relocated)

    async def run(self, listing: Listing, usernames: Sequence[str], limits: ScanLimits = UNBOUNDED) -> ScanFindings:
        """AccountScan accounts, whose files are listed; raises StoreError when the database fails."""
        await self._pool.work(self._changed_files(listing, usernames, limits), self._reconcile)
        await self._batch.flush()
        for username, images in self._findings.missing.items():
            here = [image for image in images if image.image_id not in self._findings.relocated]
            self._findings.missing[username] = here
        return self._findings

    async def _reconcile(self, found: Found) -> None:
        outcome = await self._reconciler.reconcile(found)
        if outcome is FileOutcome.CHANGING:
            self._findings.unsettled.setdefault(found.place.username, CHANGING_SECONDS)
        self._count(outcome, 1)

    def _count(self, outcome: FileOutcome, files: int) -> None:
        self._findings.counts[outcome] += files
        self._heard(outcome, files)

    async def _changed_files(
        self, listing: Listing, usernames: Sequence[str], limits: ScanLimits
    ) -> AsyncIterator[Found]:
        """Yield the files that are to be reconciled, some accounts at a time, the latest first."""
        for start in range(0, len(usernames), ACCOUNTS_AT_A_TIME):
            some = usernames[start : start + ACCOUNTS_AT_A_TIME]
            record = await self._store.record(*some)
            self._note_missing(listing, some, record)
            differing = await self._compare(listing, some, record, limits)
            differing.sort(key=lambda file: listing.recent.get(file.place.path, 0), reverse=True)
            count = len(differing) if limits.files is None else limits.files
            taken, left_over = differing[:count], differing[count:]
            relatives = _Relatives(await self._store.relatives([file.stamp for file in taken]))
            for file in taken:
                if limits.is_over():
                    self._findings.unfinished += usernames[start:]
                    return
                yield replace(file, relatives=relatives.of(file.stamp))
            self._findings.unfinished += sorted({file.place.username for file in left_over})

    async def _compare(
        self, listing: Listing, usernames: Sequence[str], record: Mapping[bytes, ImageRecord], limits: ScanLimits
    ) -> list[Found]:
        """Return the files that are not as the record has them, count the others, and note those that must wait."""
        ledger = await self._store.ledger(*usernames)
        self._findings.missing_failures += [one.place for one in ledger.values() if listing.lacks(one.place)]
        differing = []
        for name in usernames:
            for path, stamp in listing.users.get(name, {}).items():
                file = Found(Place(name, path), stamp, record.get(path), ledger.get(path))
                if not self._is_done(file, limits) and self._is_settled(file, listing):
                    differing.append(file)
        return differing

    def _is_done(self, file: Found, limits: ScanLimits) -> bool:
        """Count a file about which nothing is to be done."""
        if file.known and file.known.stamp == file.stamp:
            is_outdated = file.known.version != HASHES_VERSION
            if is_outdated:
                self._findings.outdated.add(file.place.username)
            if not is_outdated or not limits.takes_outdated:
                self._count(FileOutcome.UNCHANGED, 1)
                return True
        if file.failed and not is_due(file.failed, file.stamp, self._options.clock(), is_asked=self._options.is_asked):
            self._count(FileOutcome.UNREADABLE, 1)
            return True
        return False

    def _is_settled(self, file: Found, listing: Listing) -> bool:
        changed_at = listing.recent.get(file.place.path)
        if changed_at is None or self._options.settling is None:
            return True
        left = self._options.settling.left(file.place.path, file.stamp, changed_at)
        if left > 0:
            waits = self._findings.unsettled
            waits[file.place.username] = min(left, waits.get(file.place.username, left))
        return left <= 0

    def _note_missing(self, listing: Listing, usernames: Sequence[str], record: Mapping[bytes, ImageRecord]) -> None:
        self._findings.recorded += len(record)
        for name in usernames:
            self._findings.missing[name] = []
        for image in record.values():
            if listing.lacks(image.place):
                self._findings.missing[image.place.username].append(image)


class _Relatives:
    """Images by inode and by size."""

    def __init__(self, images: Sequence[ImageRecord]) -> None:
        self._by_inode: defaultdict[tuple[int, int], list[ImageRecord]] = defaultdict(list)
        self._by_size: defaultdict[int, list[ImageRecord]] = defaultdict(list)
        for image in images:
            self._by_inode[image.stamp.inode, image.stamp.device].append(image)
            self._by_size[image.stamp.size].append(image)

    def of(self, stamp: FileStamp) -> list[ImageRecord]:
        """Return the images that may be the same file, then those that may have the same bytes."""
        return self._by_inode.get((stamp.inode, stamp.device), []) + self._by_size.get(stamp.size, [])
