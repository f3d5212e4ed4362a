"""What hears of all that is counted in a service, and lets it pass; core/service/metrics.py is one that counts."""

import asyncio
from collections.abc import Awaitable, Callable

from core.errors import StoreError
from core.model.outcomes import QueryOutcome, RefusalReason, Step
from core.model.statuses import DaemonStatus, FrontEnd, FrontEndStatus, IndexSizes, Stats


class Meter:
    """Hears what happens, one method a fact."""

    def filed(self, outcome: str, files: int = 1) -> None:
        """Files came on record as "added", "updated" or "moved", were "removed" from it, or are "unreadable"."""

    def features_added(self) -> None:
        """The features of a photo came on record."""

    def daemon_is(self, status: DaemonStatus) -> None:
        """The daemon looked at itself."""

    async def keep_counting(self, stats: Callable[[], Awaitable[Stats]]) -> None:  # noqa: ARG002 - nobody counts here
        """Ask for the figures of the store now and then, for ever."""
        await asyncio.Event().wait()

    def searched(self, front_end: FrontEnd, outcome: QueryOutcome) -> None:
        """A query image has its outcome."""

    def took(self, front_end: FrontEnd, step: Step, seconds: float) -> None:
        """A step of an answer is done."""

    def refused(self, front_end: FrontEnd, reason: RefusalReason) -> None:
        """Somebody was turned away."""

    def front_end_is(self, status: FrontEndStatus) -> None:
        """A bot looked at itself."""

    def index_is(self, sizes: Callable[[], IndexSizes]) -> None:
        """There is an index in memory, whose sizes may be asked for at any time, from any thread."""

    def database_failed(self, error: StoreError) -> None:
        """The database did not do what was asked."""

    def worker_restarted(self) -> None:
        """A process that reads pictures, or all of them, died or was stopped, and others take its place."""
