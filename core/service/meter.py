"""The interface for counting what happens in a service; core/service/metrics.py implements it for Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable

from core.errors import StoreError
from core.model.outcomes import QueryOutcome, RefusalReason, Step
from core.model.statuses import DaemonStatus, FrontEnd, FrontEndStatus, IndexSizes, Stats


class Meter:
    """A meter that counts nothing; each method takes one kind of fact."""

    def filed(self, outcome: str, files: int = 1) -> None:
        """Count files recorded as "added", "updated" or "moved", "removed" from the record, or "unreadable"."""

    def features_added(self) -> None:
        """Count a photo whose features were recorded."""

    def daemon_is(self, status: DaemonStatus) -> None:
        """Take the daemon's present status."""

    async def keep_counting(self, stats: Callable[[], Awaitable[Stats]]) -> None:  # noqa: ARG002 - nothing is counted here
        """Read the figures of the store regularly, until cancelled."""
        await asyncio.Event().wait()

    def searched(self, front_end: FrontEnd, outcome: QueryOutcome) -> None:
        """Count the outcome of a query image."""

    def took(self, front_end: FrontEnd, step: Step, seconds: float) -> None:
        """Take the duration of one step of an answer."""

    def refused(self, front_end: FrontEnd, reason: RefusalReason) -> None:
        """Count a refused message or query image."""

    def front_end_is(self, status: FrontEndStatus) -> None:
        """Take a bot's present status."""

    def index_is(self, sizes: Callable[[], IndexSizes]) -> None:
        """Take the function that returns the sizes of the index in memory, at any time and in any thread."""

    def database_failed(self, error: StoreError) -> None:
        """Count a failed call to the database."""

    def worker_restarted(self) -> None:
        """Count a replacement of a worker process, or of the whole pool, that died or was stopped."""
