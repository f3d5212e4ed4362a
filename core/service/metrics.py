"""The figures of a service for Prometheus, and where it asks for them: GET /metrics.

Labels are few words of ours: never a username, a path, the number of a chat or a person, or anything secret. A family
is there only where its part of igsearch runs in this process, so that no gauge tells 0 of what another one does.
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
"""Bounds of the buckets: whole copies are answered in 25 ms, parts of pictures in 0.2 to 0.6 s, the worst in 10 s."""
COUNT_SECONDS = 60.0
"""How often the rows of the database are counted: of 28,000 images in 0.06 s by SQLite, in 0.7 s by MariaDB."""
HASHES_LABEL, FEATURES_LABEL = "light", "deep"
"""Older than the words of the code: dashboards of operators ask for these, and for igsearch_deep_fingerprints_total."""
FILED = ("added", "updated", "moved", "removed", "unreadable")
DATABASE_ERRORS: dict[type[StoreError], str] = {
    Unavailable: "unavailable",
    NotReady: "not ready",
    Denied: "denied",
    SchemaMismatch: "schema",
    StoreError: "failed",
}
CLIENT_SECONDS = 2.0
"""For which a client is waited for; Prometheus asks and reads in milliseconds."""
POLL_SECONDS = 0.2
"""For which the end waits at most, while nobody asks."""
OUT_OF_FILES_SECONDS = 1.0

logger = logging.getLogger(__name__)


class _FileMetrics(Meter):
    """The figures of the daemon."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._files = Counter("igsearch_files", "Files by what became of them.", ["outcome"], registry=registry)
        self._features_added = Counter("igsearch_deep_fingerprints", "Features made.", registry=registry)
        self._waiting = Gauge("igsearch_accounts_waiting", "Accounts that are to be looked at.", registry=registry)
        self._lag = Gauge("igsearch_lag_seconds", "How far behind the disk the record is.", registry=registry)
        self._images = Gauge("igsearch_images", "Images on record.", registry=registry)
        self._backlog = Gauge("igsearch_backlog", "Images that wait for features.", registry=registry)
        self._unreadable = Gauge("igsearch_unreadable_files", "Files in the ledger.", registry=registry)
        self._last_scan = Gauge(
            "igsearch_last_scan_timestamp_seconds", "When the last full rescan ended.", registry=registry
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
        """Ask for the figures of the store now and then, for ever."""
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
            "igsearch_faults", "Query images without a result, by why.", ["front_end", "fault"], registry=registry
        )
        self._seconds = Histogram(
            "igsearch_search_seconds",
            "What the steps of an answer took: download, reading and search of each picture, reply and whole of each"
            " answer.",
            ["front_end", "step"],
            buckets=SECONDS,
            registry=registry,
        )
        self._refusals = Counter(
            "igsearch_refusals", "How often somebody was turned away.", ["front_end", "reason"], registry=registry
        )
        self._connected = Gauge(
            "igsearch_connected", "1 while the chat hears the bot.", ["front_end"], registry=registry
        )
        self._pictures = Gauge(
            "igsearch_pictures_waiting", "Query images that wait for their turn.", ["front_end"], registry=registry
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
    """All figures of one process; `served` gives them to whoever asks."""

    def __init__(self, version: str, *, front_ends: Iterable[FrontEnd], has_indexer: bool) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # when a counter began: nobody asks for that
        self.registry = CollectorRegistry()
        bots = tuple(front_ends)
        _FileMetrics.__init__(self, self.registry if has_indexer else None)
        _SearchMetrics.__init__(self, self.registry if bots else None, bots)
        self._database_errors = Counter(
            "igsearch_database_errors", "What the database did not do.", ["kind"], registry=self.registry
        )
        self._restarts = Counter(
            "igsearch_worker_restarts", "Worker processes, or pools of them, begun anew.", registry=self.registry
        )
        _begin_at_0(self._database_errors, DATABASE_ERRORS.values())
        Info("igsearch_build", "The version that runs.", registry=self.registry).info({"version": version})
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def database_failed(self, error: StoreError) -> None:
        self._database_errors.labels(DATABASE_ERRORS.get(type(error), "failed")).inc()

    def worker_restarted(self) -> None:
        self._restarts.inc()

    @contextmanager
    def served(self, address: str, *, client_seconds: float = CLIENT_SECONDS) -> Iterator[None]:
        """Answer who asks at `host:port` until the end of the block; the log says so where nobody can listen there."""
        try:
            server = _Server(address, self.registry, client_seconds)
        except OSError as error:
            logger.error(  # noqa: TRY400 - the sentence says all
                "IGSEARCH_METRICS_LISTEN: nobody can listen at %s (%s), so that there are no metrics: end what listens"
                " there or choose another address, and start again",
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
    """Answers one client at a time, and none for long, so that no crowd of them takes threads or files from us.

    The library's own server has a thread for each, and waits for ever for a request.
    """

    allow_reuse_address = True

    def __init__(self, address: str, registry: CollectorRegistry, client_seconds: float) -> None:
        self._client_seconds = client_seconds
        host, _, port = address.rpartition(":")
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, *_, place = found[0]
        super().__init__((str(place[0]), int(place[1])), MetricsHandler.factory(registry))

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a client; where the process has no file left for it, not at once again."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(OUT_OF_FILES_SECONDS)
            raise

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer a client, and part with it in time, however slowly it talks."""
        end = Timer(self._client_seconds, _cut, [request])
        end.daemon = True
        end.start()
        try:
            super().finish_request(request, client_address)
        finally:
            end.cancel()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature is the library's
        """Pass over who went away, or asks for what nobody understands, without the library's traceback."""
        logger.debug("somebody who asked for metrics got none: %r", sys.exception())


def _cut(client: socket.socket) -> None:
    with suppress(OSError):  # it went away itself
        client.shutdown(socket.SHUT_RDWR)


def _begin_at_0(family: Counter | Gauge | Histogram, *values: Iterable[str]) -> None:
    """Make every series of a family, so that the first of a kind is a rise."""
    for labels in product(*values):
        family.labels(*labels)
