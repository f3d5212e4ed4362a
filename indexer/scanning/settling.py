"""Decide when a file has settled: nothing about it has changed for a while, so it is complete.

The change time of its inode (ctime) counts, because copying programs cannot set it back, as `cp -p` and rsync do with
the modification time. Only if the ctime is ahead of the local clock, as on a file server with another clock, is the
file observed: it has settled when its stamp stays the same.
"""

from collections.abc import Callable
from time import monotonic, time_ns

from core.model.files import FileStamp

NANOSECONDS = 1_000_000_000
MOST_WATCHED = 10_000
FORGET_SECONDS = 600.0
"""Time for which files with a ctime ahead of the local clock are remembered; if there are too many, further ones count
as settled, and are read again if they change."""


class Settling:
    """The settling times of files."""

    def __init__(
        self,
        seconds: float,
        *,
        wall_clock: Callable[[], int] = time_ns,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.seconds = seconds
        self._wall_clock = wall_clock
        self._clock = clock
        self._watched: dict[bytes, tuple[FileStamp, float]] = {}

    def left(self, path: bytes, stamp: FileStamp, changed_at: int) -> float:
        """Return the seconds until a file has settled; `changed_at` is its ctime in nanoseconds since 1970."""
        age = (self._wall_clock() - changed_at) / NANOSECONDS
        if age < -self.seconds:
            return self._watch(path, stamp)
        return max(0.0, self.seconds - max(age, 0.0))

    def _watch(self, path: bytes, stamp: FileStamp) -> float:
        seen, since = self._watched.get(path, (None, 0.0))
        if seen != stamp:
            since = self._clock()
            if not self._has_room(since):
                return 0.0
            self._watched[path] = stamp, since
        return max(0.0, self.seconds - (self._clock() - since))

    def _has_room(self, now: float) -> bool:
        if len(self._watched) >= MOST_WATCHED:
            fresh = {path: seen for path, seen in self._watched.items() if now - seen[1] < FORGET_SECONDS}
            self._watched = fresh
        return len(self._watched) < MOST_WATCHED
