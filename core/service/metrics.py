"""Count the figures of a service for Prometheus, and serve them at GET /metrics.

Label values come from small fixed sets: never a username, a path, the id of a chat or a person, or anything secret. A
family exists only if its part of igsearch runs in this process, so that no gauge reports 0 for another process's work.
"""

import asyncio
import logging
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import product
from socketserver import TCPServer
from threading import Thread, Timer
from typing import Any, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    MetricsHandler,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from core.errors import Denied, NotReady, SchemaMismatch, StoreError, Unavailable
from core.model.matches import Verdict
from core.model.outcomes import Fault, QueryOutcome, RefusalReason, Step
from core.model.statuses import DaemonStatus, FrontEnd, FrontEndStatus, IndexSizes, Stats
from core.service.meter import Meter

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
"""Bucket bounds: whole copies are answered in 25 ms, parts of pictures in 0.2 to 0.6 s, the slowest in 10 s."""
COUNT_SECONDS = 60.0
"""Interval at which the rows of the database are counted: 28,000 images take SQLite 0.06 s and MariaDB 0.7 s."""
HASHES_LABEL, FEATURES_LABEL = "light", "deep"
"""Older than the names in the code: operators' dashboards use these, and igsearch_deep_fingerprints_total."""
FILED = ("added", "updated", "moved", "removed", "unreadable")
DATABASE_ERRORS: dict[type[StoreError], str] = {
    Unavailable: "unavailable",
    NotReady: "not ready",
    Denied: "denied",
    SchemaMismatch: "schema",
    StoreError: "failed",
}
CLIENT_SECONDS = 2.0
"""Longest connection of a client; Prometheus asks and reads within milliseconds."""
POLL_SECONDS = 0.2
"""Interval at which the idle server checks for a stop."""
OUT_OF_FILES_SECONDS = 1.0

logger = logging.getLogger(__name__)


class _FileMetrics(Meter):
    """The figures of the daemon."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._files = Counter("igsearch_files", "Files by outcome.", ["outcome"], registry=registry)
        self._features_added = Counter("igsearch_deep_fingerprints", "Features extracted.", registry=registry)
        self._waiting = Gauge("igsearch_accounts_waiting", "Accounts waiting for a scan.", registry=registry)
        self._lag = Gauge("igsearch_lag_seconds", "Seconds by which the record is behind the disk.", registry=registry)
        self._images = Gauge("igsearch_images", "Images on record.", registry=registry)
        self._backlog = Gauge("igsearch_backlog", "Photos waiting for features.", registry=registry)
        self._unreadable = Gauge("igsearch_unreadable_files", "Files in the ledger.", registry=registry)
        self._last_scan = Gauge(
            "igsearch_last_scan_timestamp_seconds", "Time at which the last full rescan ended.", registry=registry
        )
        _begin_at_0(self._files, FILED)

    def filed(self, outcome: str, files: int = 1) -> None:
        self._files.labels(outcome).inc(files)

    def features_added(self) -> None:
        self._features_added.inc()

    def daemon_is(self, status: DaemonStatus) -> None:
        self._waiting.set(status.waiting)
        self._lag.set(status.lag_seconds)

    async def keep_counting(self, stats: Callable[[], Awaitable[Stats]]) -> None:
        """Read the figures of the store regularly, until cancelled."""
        while True:
            with suppress(StoreError):
                self._store_has(await stats())
            await asyncio.sleep(COUNT_SECONDS)

    def _store_has(self, stats: Stats) -> None:
        self._images.set(stats.images)
        self._backlog.set(stats.backlog)
        self._unreadable.set(stats.unreadable)
        if stats.last_scan:
            self._last_scan.set(stats.last_scan.timestamp())


class _SearchMetrics(Meter):
    """The figures of the bots of a process."""

    def __init__(self, registry: CollectorRegistry | None, front_ends: Iterable[FrontEnd]) -> None:
        self._searches = Counter(
            "igsearch_searches", "Query images by verdict.", ["front_end", "verdict"], registry=registry
        )
        self._faults = Counter(
            "igsearch_faults", "Query images without a result, by fault.", ["front_end", "fault"], registry=registry
        )
        self._seconds = Histogram(
            "igsearch_search_seconds",
            "Duration of the steps of an answer: download, reading and search per picture, reply and whole per answer.",
            ["front_end", "step"],
            buckets=SECONDS,
            registry=registry,
        )
        self._refusals = Counter(
            "igsearch_refusals", "Refused messages and query images.", ["front_end", "reason"], registry=registry
        )
        self._connected = Gauge(
            "igsearch_connected", "1 while the bot is connected to its chat.", ["front_end"], registry=registry
        )
        self._pictures = Gauge(
            "igsearch_pictures_waiting", "Query images in the queue.", ["front_end"], registry=registry
        )
        self._index = Gauge(
            "igsearch_index_images", "Distinct images in the index in memory.", ["index"], registry=registry
        )
        self._begin_at_0(tuple(front_ends))

    def _begin_at_0(self, front_ends: tuple[FrontEnd, ...]) -> None:
        _begin_at_0(self._searches, front_ends, get_args(Verdict))
        _begin_at_0(self._faults, front_ends, get_args(Fault))
        _begin_at_0(self._seconds, front_ends, get_args(Step))
        _begin_at_0(self._refusals, front_ends, get_args(RefusalReason))
        for family in (self._connected, self._pictures):
            _begin_at_0(family, front_ends)
        _begin_at_0(self._index, (HASHES_LABEL, FEATURES_LABEL))

    def searched(self, front_end: FrontEnd, outcome: QueryOutcome) -> None:
        self._searches.labels(front_end, outcome.verdict).inc()
        if outcome.fault:
            self._faults.labels(front_end, outcome.fault).inc()

    def took(self, front_end: FrontEnd, step: Step, seconds: float) -> None:
        self._seconds.labels(front_end, step).observe(seconds)

    def refused(self, front_end: FrontEnd, reason: RefusalReason) -> None:
        self._refusals.labels(front_end, reason).inc()

    def front_end_is(self, status: FrontEndStatus) -> None:
        self._connected.labels(status.name).set(status.state == "answering")
        self._pictures.labels(status.name).set(status.waiting)

    def index_is(self, sizes: Callable[[], IndexSizes]) -> None:
        self._index.labels(HASHES_LABEL).set_function(lambda: sizes().hashes)
        self._index.labels(FEATURES_LABEL).set_function(lambda: sizes().features)


class Metrics(_FileMetrics, _SearchMetrics):
    """All figures of one process; `served` publishes them over HTTP."""

    def __init__(self, version: str, *, front_ends: Iterable[FrontEnd], has_indexer: bool) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the creation times of counters: unused
        self.registry = CollectorRegistry()
        bots = tuple(front_ends)
        _FileMetrics.__init__(self, self.registry if has_indexer else None)
        _SearchMetrics.__init__(self, self.registry if bots else None, bots)
        self._database_errors = Counter(
            "igsearch_database_errors", "Failed database calls.", ["kind"], registry=self.registry
        )
        self._restarts = Counter(
            "igsearch_worker_restarts", "Replacements of worker processes or pools.", registry=self.registry
        )
        _begin_at_0(self._database_errors, DATABASE_ERRORS.values())
        Info("igsearch_build", "The running version.", registry=self.registry).info({"version": version})
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def database_failed(self, error: StoreError) -> None:
        self._database_errors.labels(DATABASE_ERRORS.get(type(error), "failed")).inc()

    def worker_restarted(self) -> None:
        self._restarts.inc()

    @contextmanager
    def served(self, address: str, *, client_seconds: float = CLIENT_SECONDS) -> Iterator[None]:
        """Serve the figures at `host:port` until the end of the block; if the address cannot be used, log it."""
        try:
            server = _Server(address, self.registry, client_seconds)
        except OSError as error:
            logger.error(  # noqa: TRY400 - the sentence says all
                "IGSEARCH_METRICS_LISTEN: cannot listen at %s (%s), so there are no metrics: free that address or"
                " choose another one, and start again",
                address,
                error.strerror or error,
            )
            yield
            return
        with server:
            Thread(target=server.serve_forever, args=(POLL_SECONDS,), name="metrics", daemon=True).start()
            logger.info("metrics are at http://%s/metrics", address)
            try:
                yield
            finally:
                server.shutdown()


class _Server(TCPServer):
    """Server that answers one client at a time, and none for long, so that many clients cannot use up threads or files.

    The library's own server starts a thread for each client, and waits indefinitely for its request.
    """

    allow_reuse_address = True

    def __init__(self, address: str, registry: CollectorRegistry, client_seconds: float) -> None:
        self._client_seconds = client_seconds
        host, _, port = address.rpartition(":")
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, *_, place = found[0]
        super().__init__((str(place[0]), int(place[1])), MetricsHandler.factory(registry))

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a client; if the process has no file descriptor left, pause before the next attempt."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(OUT_OF_FILES_SECONDS)
            raise

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer a client, and disconnect it after the time limit, however slow it is."""
        end = Timer(self._client_seconds, _cut, [request])
        end.daemon = True
        end.start()
        try:
            super().finish_request(request, client_address)
        finally:
            end.cancel()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature is the library's
        """Ignore clients that disconnect or send invalid requests, without the library's traceback."""
        logger.debug("a request for metrics failed: %r", sys.exception())


def _cut(client: socket.socket) -> None:
    with suppress(OSError):  # the client has disconnected
        client.shutdown(socket.SHUT_RDWR)


def _begin_at_0(family: Counter | Gauge | Histogram, *values: Iterable[str]) -> None:
    """Create every series of a family at 0, so that the first event shows as an increase."""
    for labels in product(*values):
        family.labels(*labels)
