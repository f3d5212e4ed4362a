"""Decide when a missing file counts as removed, and remove its row.

An unmounted disk is not 28,000 deletions, so rows are removed only after two checks at different times, with the root
in place, and only if less than a fifth is missing. A handful is removed in any case: in a small dataset one photo is a
fifth.
"""

import asyncio
import logging
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from core.dataset import Dataset, FolderIdentity, locate
from core.errors import PathError
from core.model.files import is_regular
from core.model.records import RemoveFile
from indexer.ports import ChangeWriter
from indexer.scanning.account_scan import ScanFindings
from indexer.scanning.write_batch import BATCH_FILES

SUSPICIOUS_SHARE = 0.2
HANDFUL = 5
"""Files that are always removed while others exist. If they come back, hashing them again takes 20 ms."""
REMEDY = (
    "Check that the disk is mounted; if they are gone for good, stop the daemon and run"
    " `igsearch index --remove-missing`."
)

logger = logging.getLogger(__name__)


def suspicion(missing: int, *, recorded: int, listed: int) -> str | None:
    """Explain why the number of missing files is suspicious; None if it is not."""
    if not missing:
        return None
    if not listed:
        return f"the dataset is empty, yet {recorded:,} photos are on record"
    if missing > HANDFUL and missing >= SUSPICIOUS_SHARE * recorded:
        return f"{missing:,} of {recorded:,} photos are missing from the dataset"
    return None


@dataclass(frozen=True, slots=True)
class Absence:
    """A file on record that is missing."""

    username: str
    image_id: int | None
    """None for an entry of the ledger."""
    since: float
    """Time of the daemon's clock in seconds."""


class MissingFiles:
    """The files on record that were missing when their accounts were last scanned."""

    def __init__(self) -> None:
        self._absences: dict[bytes, Absence] = {}
        self.doubt: str | None = None
        """Sentence about a suspicious number of missing files and its remedy; None if there is no doubt."""

    @property
    def images(self) -> int:
        return sum(absence.image_id is not None for absence in self._absences.values())

    def note(self, findings: ScanFindings, now: float) -> None:
        """Update from a scan's findings; files that are back, or were found elsewhere, are no longer missing."""
        seen = {place.path: Absence(place.username, None, now) for place in findings.missing_failures}
        for username, images in findings.missing.items():
            seen |= {image.place.path: Absence(username, image.image_id, now) for image in images}
        kept = {
            path: absence
            for path, absence in self._absences.items()
            if absence.username not in findings.missing and absence.image_id not in findings.relocated
        }
        known = {path: replace(one, since=self._absences.get(path, one).since) for path, one in seen.items()}
        self._absences = kept | known

    def judge(self, recorded: int) -> None:
        """Decide whether the number of missing files is suspicious, given the number of images on record."""
        doubt = suspicion(self.images, recorded=recorded, listed=recorded - self.images)
        if doubt and not self.doubt:
            logger.warning("dataset suspicious: %s; nothing is removed. %s", doubt, REMEDY)
        elif self.doubt and not doubt:
            logger.warning("the dataset is complete again: removals resume")
        self.doubt = f"{doubt}; nothing is removed. {REMEDY}" if doubt else None

    def since(self, moment: float) -> list[bytes]:
        """Return the paths that have been missing since this time or longer."""
        return [path for path, absence in self._absences.items() if absence.since <= moment]

    def believed_removed(self, moment: float) -> list[bytes]:
        """Return the paths that have been missing since this time or longer; none if there is doubt."""
        return [] if self.doubt else self.since(moment)

    def discard(self, paths: Collection[bytes]) -> None:
        for path in paths:
            self._absences.pop(path, None)


async def remove_missing(
    paths: Collection[bytes],
    dataset: Dataset,
    identity: FolderIdentity | None,
    store: ChangeWriter,
    *,
    failures: Sequence[bytes] = (),
) -> list[bytes]:
    """Check a second time, and remove the records of files that are still missing; raises StoreError.

    Return the paths of these files. Ledger entries at the paths `failures` are removed without a second check.
    """
    gone = await asyncio.to_thread(still_missing, dataset, identity, paths)
    removals = [RemoveFile(path) for path in (*gone, *failures)]
    for start in range(0, len(removals), BATCH_FILES):
        await store.write(removals[start : start + BATCH_FILES])
    return gone


def still_missing(dataset: Dataset, identity: FolderIdentity | None, paths: Collection[bytes]) -> list[bytes]:
    """Return the paths at which there is no photo file; none if the root is not the same folder any more."""
    try:
        if dataset.identity() != identity:
            return []
    except PathError:
        return []
    return [path for path in paths if locate(path) is None or not _is_photo_file(dataset.path_of(path))]


def _is_photo_file(path: bytes) -> bool:
    """Tell whether a path is a regular file; in doubt (a disk error) it is."""
    try:
        return is_regular(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
