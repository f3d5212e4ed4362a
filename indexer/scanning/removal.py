"""When a missing file is a removed file.

An unmounted disk is not 28,000 deletions, so rows go only after two looks apart, with the root in place, and when less
than a fifth is going; a handful may go all the same, for in a small dataset one photo is a fifth.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from core.dataset import locate
from core.errors import PathError
from core.model.files import is_regular
from indexer.scanning.account_scan import ScanFindings
from indexer.scanning.listing import root_identity

SUSPICIOUS_SHARE = 0.2
HANDFUL = 5
"""Files that may always go while others are there. Fingerprinting them again, should they come back, takes 20 ms."""


def suspicion(missing: int, *, recorded: int, listed: int) -> str | None:
    """Say why so many files cannot be believed to be removed, or None."""
    if not missing:
        return None
    if not listed:
        return f"the dataset is empty, yet {recorded:,} photos are on record"
    if missing > HANDFUL and missing >= SUSPICIOUS_SHARE * recorded:
        return f"{missing:,} of {recorded:,} photos are missing from the dataset"
    return None


@dataclass(frozen=True, slots=True)
class Absence:
    """A file on record that was not there: an image, or (None) an entry of the ledger; since a moment of our clock."""

    username: str
    image_id: int | None
    since: float


class Missing:
    """The files on record that were not there when their accounts were last visited."""

    def __init__(self) -> None:
        self._absences: dict[bytes, Absence] = {}

    @property
    def images(self) -> int:
        return sum(absence.image_id is not None for absence in self._absences.values())

    def note(self, findings: ScanFindings, now: float) -> None:
        """Take over what a visit found; what is back, or was found elsewhere, is missing no more."""
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

    def since(self, moment: float) -> list[bytes]:
        """Return the paths that were missing at a moment already."""
        return [path for path, absence in self._absences.items() if absence.since <= moment]

    def forget(self, paths: Collection[bytes]) -> None:
        for path in paths:
            self._absences.pop(path, None)


def still_missing(root: Path, identity: tuple[int, int] | None, paths: Collection[bytes]) -> list[bytes]:
    """Look a second time: return the paths where no photo file lies; none if the root is another one now."""
    try:
        if root_identity(root) != identity:
            return []
    except PathError:
        return []
    base = os.fsencode(root)
    return [path for path in paths if locate(path) is None or not _is_photo_file(os.path.join(base, path))]


def _is_photo_file(path: bytes) -> bool:
    """Tell whether a regular file lies there; in doubt (a disk error) it does."""
    try:
        return is_regular(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
