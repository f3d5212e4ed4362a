"""Settling: the time until a file has settled, whatever the clocks say."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.model.files import FileStamp
from indexer.scanning.settling import MOST_WATCHED, NANOSECONDS, Settling

SECONDS = 2.0
STAMP = FileStamp(size=1, mtime_ns=1, inode=1, device=1)
HOUR = 3600


class Clocks:
    """The time of day and the monotonic clock, which go on together."""

    def __init__(self) -> None:
        self.passed = 0.0

    def advance(self, seconds: float) -> None:
        self.passed += seconds

    def today(self) -> int:
        return 10**18 + round(self.passed * NANOSECONDS)

    def monotonic(self) -> float:
        return self.passed

    def after(self, seconds: float) -> int:
        """Return the time of day so many seconds from now."""
        return self.today() + round(seconds * NANOSECONDS)


def _settling(clocks: Clocks) -> Settling:
    return Settling(SECONDS, wall_clock=clocks.today, clock=clocks.monotonic)


def test_a_file_has_to_lie_still_for_the_whole_time() -> None:
    """The time left is the settling time minus the time since the last change."""
    clocks = Clocks()
    settling = _settling(clocks)

    left = [settling.left(b"a", STAMP, clocks.after(-age)) for age in (0.0, 0.5, 1.5, 2.0, HOUR)]

    assert left == [2.0, 1.5, 0.5, 0.0, 0.0]


@given(st.floats(-HOUR, HOUR))
def test_no_file_waits_for_long(ahead: float) -> None:
    """However far a server's clock is from the local one, an unchanged file has settled after three waits at most."""
    clocks = Clocks()
    settling = _settling(clocks)
    changed_at = clocks.after(ahead)

    waits = []
    while left := settling.left(b"a", STAMP, changed_at):
        waits.append(left)
        clocks.advance(left + 1e-6)

    assert len(waits) <= 3
    assert all(0 < wait <= SECONDS for wait in waits)


def test_a_file_ahead_of_our_clock_settles_when_its_stamp_stays() -> None:
    """If a server's clock is ahead, each change of the stamp restarts the wait, for this file only."""
    clocks = Clocks()
    settling = _settling(clocks)
    grown = FileStamp(size=2, mtime_ns=1, inode=1, device=1)
    changed_at = clocks.after(HOUR)

    left = []
    for stamp, path in [(STAMP, b"a"), (STAMP, b"b"), (grown, b"a"), (grown, b"a"), (STAMP, b"b"), (grown, b"a")]:
        left.append(settling.left(path, stamp, changed_at))
        clocks.advance(0.5)

    assert left == [2.0, 2.0, 2.0, 1.5, 0.5, 0.5]


def test_a_copy_with_an_old_date_has_just_changed(tmp_path: Path) -> None:
    """`cp -p` and rsync set back the modification time, not the time that counts."""
    file = tmp_path / "a.jpg"
    file.write_bytes(b"a")
    os.utime(file, ns=(1, 1))
    status = file.stat()

    left = Settling(HOUR).left(b"a.jpg", FileStamp.of(status), status.st_ctime_ns)

    assert HOUR - 60 < left <= HOUR


def test_what_settled_stays_settled() -> None:
    """A settled file with a time ahead of the local clock is not observed again when it is asked about once more."""
    clocks = Clocks()
    settling, ahead = _settling(clocks), clocks.after(HOUR)
    settling.left(b"a", STAMP, ahead)
    clocks.advance(SECONDS)

    answers = [settling.left(b"a", STAMP, ahead) for _ in range(3)]

    assert answers == [0.0, 0.0, 0.0]


def test_any_number_of_files_settles() -> None:
    """Files ahead of the local clock settle even if there are more than are remembered."""
    clocks = Clocks()
    settling, ahead = _settling(clocks), clocks.after(HOUR)
    paths = [b"%d" % number for number in range(MOST_WATCHED + 1)]

    first = [settling.left(path, STAMP, ahead) for path in paths]
    clocks.advance(SECONDS)
    second = [settling.left(path, STAMP, ahead) for path in paths]

    assert max(first) == SECONDS
    assert set(second) == {0.0}
