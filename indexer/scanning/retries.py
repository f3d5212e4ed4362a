"""Decide when an unreadable file is tried again."""

from datetime import datetime, timedelta

from core.errors import ImageError
from core.imaging.decoding import READER_VERSION
from core.model.files import FileStamp, Place
from core.model.records import LedgerRecord, PutFailure

FIRST_RETRY, LONGEST_RETRY = timedelta(hours=1), timedelta(hours=16)
"""A file whose fault may pass (a crash, a slow disk, missing permissions) is tried again after 1, 2, 4, 8 and then
every 16 hours, or when it changes; all other files only when they change."""


def is_due(failed: LedgerRecord, stamp: FileStamp, now: datetime, *, is_asked: bool) -> bool:
    """Tell whether to try a file again; if a person asks, every fault that may pass is retried."""
    if failed.stamp != stamp or failed.reader_version != READER_VERSION:
        return True
    return failed.next_retry is not None and (is_asked or failed.next_retry <= now)


def rejection(
    place: Place, stamp: FileStamp, error: ImageError, *, before: LedgerRecord | None, now: datetime
) -> PutFailure:
    """Return the ledger entry of a file that could not be read, with its number of attempts and its next retry.

    Attempts of the entry `before` count if it is about the same content.
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
