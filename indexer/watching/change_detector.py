"""Detect changes below the dataset: by kernel events, or by polling its folders if there are no events.

No event reports that the dataset folder was unmounted, or removed and created again, or that a thread of the watcher
died, so every `look` checks for these. Each such case leads to a full rescan.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from core.dataset import Dataset, FolderIdentity
from core.errors import PathError
from core.model.statuses import Emitter
from indexer.watching.change_set import Changes, ChangeSet
from indexer.watching.folder_poller import FolderPoller
from indexer.watching.watch_limits import too_few_watches, watch_limit
from indexer.watching.watcher import Watcher

POLL_SECONDS = 30.0
POLL_WITHOUT_EVENTS_SECONDS = 10.0
"""Polling 500 folders takes 10 ms."""
RETRY_EVENTS_SECONDS = 900.0

logger = logging.getLogger(__name__)


class ChangeDetector:
    """Detector of changes in one dataset; call `look` regularly, and `stop` at the end."""

    def __init__(self, dataset: Dataset, wake: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._dataset = dataset
        self._clock = clock
        self._changes = ChangeSet(wake)
        self._watcher = Watcher(self._changes)
        self._folders = FolderPoller(dataset)
        self._next_poll = self._next_try = 0.0
        self.identity: FolderIdentity | None = None
        """Identity of the dataset folder; None while it does not exist."""
        self.fault: str | None = None
        """The reason why the dataset folder cannot be read."""
        self.limits: str | None = None
        """The reason why there are no events."""

    @property
    def emitter(self) -> Emitter:
        """The present source of change notifications: "sweeps" means polling."""
        if self.identity is None:
            return "none"
        if self.limits is not None:
            return "sweeps"
        return "events" if self._watcher.is_alive else "none"

    def take(self) -> Changes:
        """Return the changes since the last call."""
        return self._changes.take()

    async def look(self) -> None:
        """Check for everything that no event reports, and poll the folders if it is time."""
        try:
            identity = await asyncio.to_thread(self._dataset.identity)
            if identity != self.identity:
                await self._begin(identity)
            elif self.limits is None and (self._watcher.is_limited or not self._watcher.is_alive):
                await self._restart()
            elif self.limits is not None and self._clock() >= self._next_try:
                await self._watch()
            if self._clock() >= self._next_poll:
                await asyncio.to_thread(self._poll)
        except PathError:
            self._lose(
                f"The dataset folder {self._dataset.root} does not exist or cannot be listed; nothing is removed. Check"
                " that its disk is mounted, and its permissions."
            )

    async def stop(self) -> None:
        await asyncio.to_thread(self._watcher.stop)

    async def _begin(self, identity: FolderIdentity) -> None:
        """Start to watch a folder that did not exist before, or is not the same as before."""
        is_first = self.identity is None and self.fault is None
        self._folders = FolderPoller(self._dataset)
        await asyncio.to_thread(self._folders.changed)
        if not is_first:
            logger.warning("the dataset folder %s is back or was replaced: rescanning everything", self._dataset.root)
        await self._watch()
        self.identity, self.fault = identity, None
        self._changes.mark_everything("start" if is_first else "the dataset folder is back or was replaced")

    async def _restart(self) -> None:
        reason = "the limit of watches was reached" if self._watcher.is_limited else "the watcher died"
        logger.warning("%s: restarting the watcher and rescanning everything", reason)
        await self._watch()
        self._changes.mark_everything(reason)

    async def _watch(self) -> None:
        """Start the watcher, or log why there are no events."""
        self._next_try = self._clock() + RETRY_EVENTS_SECONDS
        limits = await asyncio.to_thread(self._start_watcher)
        if limits != self.limits:
            logger.warning("%s", limits or "the kernel's limits suffice now: changes are found by events again")
        self.limits = limits
        self._next_poll = self._clock() + self._pause

    def _start_watcher(self) -> str | None:
        self._watcher.stop()
        self._poll()  # also counts the folders
        wanted, limit = len(self._folders), watch_limit()
        if limit is not None and wanted > limit:
            return too_few_watches(wanted)
        try:
            self._watcher.start(self._dataset.root)
        except OSError as error:
            return f"The kernel reports no events ({error}), so changes are found by polling the folders."
        if self._watcher.is_limited:
            self._watcher.stop()
            return too_few_watches(wanted)
        return None

    def _poll(self) -> None:
        self._next_poll = self._clock() + self._pause
        changed = self._folders.changed()
        for username in changed.usernames:
            self._changes.mark(username)
        if changed.is_root_changed:
            self._changes.mark_root()

    @property
    def _pause(self) -> float:
        return POLL_SECONDS if self.limits is None else POLL_WITHOUT_EVENTS_SECONDS

    def _lose(self, fault: str) -> None:
        if fault != self.fault:
            logger.warning("dataset suspicious: %s", fault)
        self.identity, self.fault = None, fault
