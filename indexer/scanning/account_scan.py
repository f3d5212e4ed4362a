"""Scan accounts: every scan of files, small or large, is an `AccountScan`.

`AccountScan.run` shows the order: compare each account's files with its record, reconcile the settled files that
differ, write. Missing files are reported; indexer/scanning/removal.py decides about them.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.dataset import Dataset
from core.fingerprints.hashes import HASHES_VERSION
from core.model.files import FileStamp, Place
from core.model.records import ImageRecord, PutImage
from indexer.ports import FileReader, RecordStore
from indexer.scanning.listing import Listing
from indexer.scanning.reconciler import Found, Reconciler
from indexer.scanning.retries import is_due
from indexer.scanning.settling import Settling
from indexer.scanning.task_pool import TaskPool
from indexer.scanning.write_batch import Decision, FileOutcome, written

ACCOUNTS_AT_A_TIME = 32
"""Accounts per query: a query costs about 1 ms of CPU, whatever it reads; one per account took a fifth of a scan."""

CHANGING_SECONDS = 1.0
"""Delay before a file that was written to while it was read is scanned again."""


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """Options of a scan."""

    dataset: Dataset
    workers: int
    """Number of worker processes."""
    clock: Callable[[], datetime]
    is_asked: bool = False
    """True if a person asked for the scan: files whose fault may have passed are tried again now."""
    settling: Settling | None = None
    """Decides whether a file has settled; None: all files have."""


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """The limits at which a scan ends early; unfinished accounts are in `ScanFindings.unfinished`."""

    files: int | None = None
    """Most files per 32 accounts, the latest first."""
    is_over: Callable[[], bool] = lambda: False
    """Called before each file; True ends the scan."""
    takes_outdated: bool = True
    """True to read unchanged photos again if their hashes are of an older version."""


UNLIMITED = ScanLimits()


@dataclass(slots=True)
class ScanFindings:
    """The findings and results of a scan."""

    counts: Counter[FileOutcome] = field(default_factory=Counter)
    """Files by outcome."""
    recorded: int = 0
    """Images on record in the compared accounts."""
    missing: dict[str, list[ImageRecord]] = field(default_factory=dict)
    """For every compared account the images whose files were found neither at their place nor elsewhere."""
    missing_failures: list[Place] = field(default_factory=list)
    """Unreadable files that no longer exist."""
    unsettled: dict[str, float] = field(default_factory=dict)
    """Seconds until the next file of an account has settled."""
    outdated: set[str] = field(default_factory=set)
    """Accounts that have photos with hashes of an older version."""
    unfinished: list[str] = field(default_factory=list)
    """Accounts that were not scanned completely."""
    relocated: set[int] = field(default_factory=set)
    """Images that were found at another path."""


class AccountScan:
    """One scan of some accounts; if it is ended early, all finished work is written."""

    def __init__(self, options: ScanOptions, *, store: RecordStore, reader: FileReader, pool: TaskPool) -> None:
        self._options = options
        self._store = store
        self._pool = pool
        self._reconciler = Reconciler(
            options.dataset,
            reader=reader,
            store=store,
            clock=options.clock,
            must_lie_still=options.settling is not None,
        )
        self.findings = ScanFindings(relocated=self._reconciler.relocated)
        """The findings so far; complete once `run` has ended."""

    async def run(
        self, listing: Listing, usernames: Sequence[str], limits: ScanLimits = UNLIMITED
    ) -> AsyncGenerator[Decision, None]:
        """Scan accounts whose files are listed; yield each decision once it is recorded; raises StoreError."""
        differing = self._compare(listing, usernames, limits)
        decisions = self._pool.map(differing, self._reconcile)
        async with aclosing(written(decisions, self._store)) as on_record:
            async for decision in on_record:
                self._note(decision)
                yield decision
        for username, images in self.findings.missing.items():
            here = [image for image in images if image.image_id not in self.findings.relocated]
            self.findings.missing[username] = here

    async def _reconcile(self, item: Found | Decision) -> Decision:
        return await self._reconciler.reconcile(item) if isinstance(item, Found) else item

    def _note(self, decision: Decision) -> None:
        self.findings.counts[decision.outcome] += decision.files
        if decision.outcome is FileOutcome.CHANGING:
            self.findings.unsettled.setdefault(decision.username, CHANGING_SECONDS)
        if isinstance(decision.change, PutImage):
            self._reconciler.pending.discard(decision.change.hashes.sha256)

    async def _compare(
        self, listing: Listing, usernames: Sequence[str], limits: ScanLimits
    ) -> AsyncGenerator[Found | Decision, None]:
        """Yield the files that differ from the record, a group of accounts at a time, the latest first.

        For the other files yield one decision per group and outcome.
        """
        for start in range(0, len(usernames), ACCOUNTS_AT_A_TIME):
            some = usernames[start : start + ACCOUNTS_AT_A_TIME]
            record = await self._store.read_images(*some)
            self._note_missing(listing, some, record)
            differing, settled = await self._differing(listing, some, record, limits)
            for outcome, files in settled.items():
                yield Decision(outcome, files=files)
            differing.sort(key=lambda file: listing.recent.get(file.place.path, 0), reverse=True)
            count = len(differing) if limits.files is None else limits.files
            taken, left_over = differing[:count], differing[count:]
            relatives = _Relatives(await self._store.find_relatives([file.stamp for file in taken]))
            for file in taken:
                if limits.is_over():
                    self.findings.unfinished += usernames[start:]
                    return
                yield replace(file, relatives=relatives.of(file.stamp))
            self.findings.unfinished += sorted({file.place.username for file in left_over})

    async def _differing(
        self, listing: Listing, usernames: Sequence[str], record: Mapping[bytes, ImageRecord], limits: ScanLimits
    ) -> tuple[list[Found], Counter[FileOutcome]]:
        """Return the settled files that differ from the record, and the number of files that do not, by outcome."""
        ledger = await self._store.read_ledger(*usernames)
        self.findings.missing_failures += [one.place for one in ledger.values() if listing.lacks(one.place)]
        differing, settled = list[Found](), Counter[FileOutcome]()
        for name in usernames:
            for path, stamp in listing.users.get(name, {}).items():
                file = Found(Place(name, path), stamp, record.get(path), ledger.get(path))
                if outcome := self._outcome_as_it_is(file, limits):
                    settled[outcome] += 1
                elif self._is_settled(file, listing):
                    differing.append(file)
        return differing, settled

    def _outcome_as_it_is(self, file: Found, limits: ScanLimits) -> FileOutcome | None:
        """Return the outcome of a file that needs no work; None if it needs some."""
        if file.known and file.known.stamp == file.stamp:
            is_outdated = file.known.version != HASHES_VERSION
            if is_outdated:
                self.findings.outdated.add(file.place.username)
            if not is_outdated or not limits.takes_outdated:
                return FileOutcome.UNCHANGED
        if file.failed and not is_due(file.failed, file.stamp, self._options.clock(), is_asked=self._options.is_asked):
            return FileOutcome.UNREADABLE
        return None

    def _is_settled(self, file: Found, listing: Listing) -> bool:
        changed_at = listing.recent.get(file.place.path)
        if changed_at is None or self._options.settling is None:
            return True
        left = self._options.settling.left(file.place.path, file.stamp, changed_at)
        if left > 0:
            waits = self.findings.unsettled
            waits[file.place.username] = min(left, waits.get(file.place.username, left))
        return left <= 0

    def _note_missing(self, listing: Listing, usernames: Sequence[str], record: Mapping[bytes, ImageRecord]) -> None:
        self.findings.recorded += len(record)
        for name in usernames:
            self.findings.missing[name] = []
        for image in record.values():
            if listing.lacks(image.place):
                self.findings.missing[image.place.username].append(image)


class _Relatives:
    """Recorded images by inode and by size."""

    def __init__(self, images: Sequence[ImageRecord]) -> None:
        self._by_inode: defaultdict[tuple[int, int], list[ImageRecord]] = defaultdict(list)
        self._by_size: defaultdict[int, list[ImageRecord]] = defaultdict(list)
        for image in images:
            self._by_inode[image.stamp.inode, image.stamp.device].append(image)
            self._by_size[image.stamp.size].append(image)

    def of(self, stamp: FileStamp) -> list[ImageRecord]:
        """Return the images that may be the same file, then those that may have the same bytes."""
        return self._by_inode.get((stamp.inode, stamp.device), []) + self._by_size.get(stamp.size, [])
