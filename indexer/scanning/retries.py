"""When a file that could not be read is tried again."""

from datetime import datetime, timedelta

from core.errors import ImageError
from core.imaging.decoding import READER_VERSION
from core.model.files import FileStamp, Place
from core.model.records import LedgerRecord, PutFailure

FIRST_RETRY, LONGEST_RETRY = timedelta(hours=1), timedelta(hours=16)
"""What may pass (a crash, a slow disk, missing rights) is tried again after 1, 2, 4, 8 and then every 16 hours, or when
the file changes; all else when the file changes."""


def is_due(failed: LedgerRecord, stamp: FileStamp, now: datetime, *, is_asked: bool) -> bool:
    """Tell whether to try a file again; when a person asks, what may pass is."""
    if failed.stamp != stamp or failed.reader_version != READER_VERSION:
        return True
    return failed.next_retry is not None and (is_asked or failed.next_retry <= now)


def rejection(
    place: Place, stamp: FileStamp, error: ImageError, *, before: LedgerRecord | None, now: datetime
) -> PutFailure:
    """Put down that a file could not be read, how often that was tried, and when it is tried again.

    What the ledger said `before` counts when it was of the same content.
    """
    attempts = before.attempts + 1 if before and before.stamp == stamp else 1
    pause = min(FIRST_RETRY * 2 ** min(attempts - 1, 10), LONGEST_RETRY)
    return PutFailure(
        LedgerRecord(
            place=place,
            stamp=stamp,
            kind=error.kind,
            reason=str(error),
            attempts=attempts,
            reader_version=READER_VERSION,
            failed_at=now,
            next_retry=now + pause if error.is_transient else None,
        )
    )
