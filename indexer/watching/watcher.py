"""Watch the dataset for kernel events, and mark the accounts that they concern. The only module that uses watchdog.

Kernel events are incomplete (docs/decisions/0008-events-only-wake.md lists the gaps), so an event only marks its
account, and the scan of the disk decides. Lost events are detected: the kernel's queue overflowed, the limit of watches
was reached, a thread died, the dataset folder was removed.
"""

import errno
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import CallbackId, InotifyEvent, InotifyFD, Mask, WatchCallback, WatchDescriptor

from core.dataset import username_fault, username_of
from indexer.watching.change_set import ChangeSet

EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
"""Without the opening and closing of files that are only read: igsearch itself does that."""
STOP_SECONDS = 2.0


class Watcher:
    """Watcher of one dataset folder from `start` to `stop`; if it cannot start, or is limited, poll the folders."""

    def __init__(self, changes: ChangeSet) -> None:
        self._changes = changes
        self._notifier: _Notifier | None = None
        self._observer: BaseObserver | None = None

    @property
    def is_alive(self) -> bool:
        """Tell whether every thread that delivers events is alive."""
        if self._observer is None or self._notifier is None:
            return False
        emitters = self._observer.emitters
        return bool(emitters) and all(thread.is_alive() for thread in (self._notifier, self._observer, *emitters))

    @property
    def is_limited(self) -> bool:
        """Tell whether some folder is not watched because the kernel's limit was reached."""
        return self._notifier is not None and self._notifier.is_limited

    def start(self, root: Path) -> None:
        """Watch a folder and everything below it; raises OSError if the kernel refuses.

        A link is resolved, because watchdog would watch the link itself.
        """
        # watchdog warns if a folder that was moved out comes back with its old watch
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        path = os.path.realpath(root)
        self._notifier = _Notifier(lambda: self._changes.mark_everything("the kernel's queue of events overflowed"))
        self._observer = BaseObserver(InotifyEmitter, inotify_fd=self._notifier)
        self._notifier.start()
        try:
            self._observer.schedule(_Handler(path, self._changes), path, recursive=True, event_filter=EVENTS)
            self._observer.start()
        except (OSError, RuntimeError) as error:  # no watch or no thread is available
            self.stop()
            raise OSError(str(error)) from error

    def stop(self) -> None:
        """Stop watching; do nothing if nothing is watched."""
        for thread in (self._observer, self._notifier):
            if thread is not None:
                thread.stop()
                with suppress(RuntimeError):  # it was never started
                    thread.join(STOP_SECONDS)
        self._observer = self._notifier = None


class _Notifier(InotifyFD):
    """Reader of kernel events that also reports what watchdog ignores: an overflow, and the limit of watches."""

    def __init__(self, on_overflow: Callable[[], None]) -> None:
        super().__init__()
        self._on_overflow = on_overflow
        self.is_limited = False

    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        try:
            return super().add_callback(path, mask, callback, id_)
        except OSError as error:
            self.is_limited |= error.errno == errno.ENOSPC
            raise

    def handle_event(self, event: InotifyEvent) -> None:
        if event.is_queue_overflow:
            self._on_overflow()
        super().handle_event(event)


class _Handler(FileSystemEventHandler):
    """Handler that marks the accounts of an event's paths; instead of an error, which would end its thread, it marks
    everything.
    """

    def __init__(self, root: str, changes: ChangeSet) -> None:
        self._prefix = os.fsencode(root).rstrip(b"/") + b"/"
        self._changes = changes

    def dispatch(self, event: FileSystemEvent) -> None:
        try:
            for path in (event.src_path, event.dest_path):
                if path:
                    self._mark(os.fsencode(path))
        except (RuntimeError, TypeError, ValueError) as error:  # an invalid path, or a closed event loop
            self._changes.mark_everything(f"an event could not be read ({error})")

    def _mark(self, path: bytes) -> None:
        if not path.startswith(self._prefix):
            self._changes.mark_everything("the dataset folder itself changed")
            return
        folder, *below = path[len(self._prefix) :].split(b"/", 1)
        if not username_fault(folder):
            self._changes.mark(username_of(folder))
        if not below:
            self._changes.mark_root()
