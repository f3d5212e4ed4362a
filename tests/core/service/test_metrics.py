"""The figures for Prometheus: complete from the start, right, and served without harm."""

import asyncio
import socket
import threading
from contextlib import ExitStack
from datetime import UTC, datetime

import httpx
import pytest
from prometheus_client import generate_latest

from core.errors import Denied, NotReady, SchemaMismatch, StoreError, Unavailable
from core.model.outcomes import QueryOutcome
from core.model.statuses import DaemonStatus, FrontEndStatus, IndexSizes, Stats
from core.service.metrics import Metrics
from tests.mariadb import free_port
from tests.metrics_page import Page, samples_of

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
FAMILIES = {
    "igsearch_files_total": 5,
    "igsearch_deep_fingerprints_total": 1,
    "igsearch_accounts_waiting": 1,
    "igsearch_lag_seconds": 1,
    "igsearch_images": 1,
    "igsearch_backlog": 1,
    "igsearch_unreadable_files": 1,
    "igsearch_last_scan_timestamp_seconds": 1,
    "igsearch_searches_total": 2 * 5,
    "igsearch_faults_total": 2 * 10,
    "igsearch_search_seconds_count": 2 * 5,
    "igsearch_refusals_total": 2 * 4,
    "igsearch_connected": 2,
    "igsearch_pictures_waiting": 2,
    "igsearch_index_images": 2,
    "igsearch_database_errors_total": 5,
    "igsearch_worker_restarts_total": 1,
    "igsearch_build_info": 1,
    "process_resident_memory_bytes": 1,
    "process_open_fds": 1,
    "python_info": 1,
}
"""How many series each has."""


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3", front_ends=["telegram", "discord"], has_indexer=True)


def told(metrics: Metrics) -> dict[str, float]:
    return samples_of(generate_latest(metrics.registry).decode())


def test_every_series_is_there_from_the_start(metrics: Metrics) -> None:
    """Every series starts at 0, so that the first event shows as an increase."""
    samples = told(metrics)

    names = [name.partition("{")[0] for name in samples]
    assert {family: names.count(family) for family in FAMILIES} == FAMILIES
    assert {value for name, value in samples.items() if "_total" in name and "process" not in name} == {0}
    assert samples['igsearch_build_info{version="1.2.3"}'] == 1


@pytest.mark.parametrize(
    ("one", "others"),
    [
        (Metrics("1", front_ends=(), has_indexer=True), ("front_end", "igsearch_index")),
        (Metrics("1", front_ends=["discord"], has_indexer=False), ("telegram", "igsearch_files", "igsearch_last")),
    ],
)
def test_a_part_that_does_not_run_here_tells_nothing(one: Metrics, others: tuple[str, ...]) -> None:
    """No gauge reports 0 for another process's work; faults of any part are reported by all."""
    samples = told(one)

    assert not any(other in name for name in samples for other in others)
    assert "igsearch_worker_restarts_total" in samples


def test_each_fact_is_told(metrics: Metrics) -> None:
    """Each fact shows in its series, and in no other."""
    before = told(metrics)

    metrics.filed("added")
    metrics.filed("removed", 3)
    metrics.features_added()
    metrics.daemon_is(DaemonStatus("watching", None, 4, 5.5, NOW, NOW, "events", has_workers=True))
    metrics.searched("discord", QueryOutcome("match"))
    metrics.searched("telegram", QueryOutcome("error", "too large"))
    metrics.took("telegram", "whole", 0.3)
    metrics.refused("discord", "pace")
    metrics.front_end_is(FrontEndStatus("telegram", "answering", None, 6, has_workers=True, seen_at=NOW))
    metrics.index_is(lambda: IndexSizes(hashes=8, features=7))
    metrics.worker_restarted()

    told_now = told(metrics).items()
    changed = {name: value for name, value in told_now if "process" not in name and before[name] != value}
    assert changed == {
        'igsearch_files_total{outcome="added"}': 1,
        'igsearch_files_total{outcome="removed"}': 3,
        "igsearch_deep_fingerprints_total": 1,
        "igsearch_accounts_waiting": 4,
        "igsearch_lag_seconds": 5.5,
        'igsearch_searches_total{front_end="discord",verdict="match"}': 1,
        'igsearch_searches_total{front_end="telegram",verdict="error"}': 1,
        'igsearch_faults_total{fault="too large",front_end="telegram"}': 1,
        **{
            f'igsearch_search_seconds_bucket{{front_end="telegram",le="{bound}",step="whole"}}': 1
            for bound in ("0.3", "0.5", "0.75", "1.0", "2.5", "5.0", "10.0", "+Inf")
        },
        'igsearch_search_seconds_count{front_end="telegram",step="whole"}': 1,
        'igsearch_search_seconds_sum{front_end="telegram",step="whole"}': 0.3,
        'igsearch_refusals_total{front_end="discord",reason="pace"}': 1,
        'igsearch_connected{front_end="telegram"}': 1,
        'igsearch_pictures_waiting{front_end="telegram"}': 6,
        'igsearch_index_images{index="light"}': 8,
        'igsearch_index_images{index="deep"}': 7,
        "igsearch_worker_restarts_total": 1,
    }


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Unavailable, "unavailable"),
        (NotReady, "not ready"),
        (Denied, "denied"),
        (SchemaMismatch, "schema"),
        (StoreError, "failed"),
        (type("Newer", (StoreError,), {}), "failed"),
    ],
)
def test_errors_of_the_database_are_told_by_kind(metrics: Metrics, error: type[StoreError], kind: str) -> None:
    """Each kind is counted separately, and nothing of its sentence is published."""
    metrics.database_failed(error("user 'anna' at secret.example"))

    assert told(metrics)[f'igsearch_database_errors_total{{kind="{kind}"}}'] == 1
    assert "secret" not in generate_latest(metrics.registry).decode()


async def test_the_store_is_asked_though_it_fails(metrics: Metrics) -> None:
    """Its figures are published when it answers; while it does not, the last ones stay, and nothing is logged."""
    figures = Stats(9, 2, 3, 1, 40, NOW, None, None, 0)
    asked = asyncio.Event()

    async def answering() -> Stats:
        asked.set()
        return figures

    async def away() -> Stats:
        asked.set()
        raise Unavailable("It is away.")

    for stats in (answering, away):
        asked.clear()
        counting = asyncio.create_task(metrics.keep_counting(stats))
        await asked.wait()
        await asyncio.sleep(0)
        assert not counting.done()
        counting.cancel()

    samples = told(metrics)
    assert (samples["igsearch_images"], samples["igsearch_backlog"], samples["igsearch_unreadable_files"]) == (9, 3, 1)
    assert samples["igsearch_last_scan_timestamp_seconds"] == NOW.timestamp()


@pytest.mark.parametrize(("host", "url"), [("127.0.0.1", "127.0.0.1"), ("[::1]", "[::1]"), ("localhost", "127.0.0.1")])
def test_the_figures_are_served(metrics: Metrics, host: str, url: str) -> None:
    """They are there as long as the block lasts, and the port is free afterwards."""
    port = free_port()

    with metrics.served(f"{host}:{port}"):
        metrics.worker_restarted()
        answer = httpx.get(f"http://{url}:{port}/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    assert samples_of(answer.text)["igsearch_worker_restarts_total"] == 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{url}:{port}/metrics")


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1", "no-such-host.invalid"])
def test_without_a_place_to_listen_the_service_goes_on(
    metrics: Metrics, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    """One error says which setting to change; the service is there as without metrics."""
    reached = False
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"{host}:{taken.getsockname()[1]}"
        with metrics.served(address):
            reached = True

    assert reached
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage().startswith(f"IGSEARCH_METRICS_LISTEN: cannot listen at {address} (")


def test_hostile_clients_take_nothing_from_the_service(metrics: Metrics, capfd: pytest.CaptureFixture[str]) -> None:
    """A client that sends nothing, too much or nonsense costs no thread and no log line; Prometheus is still served."""
    port, before = free_port(), threading.active_count()
    with metrics.served(f"127.0.0.1:{port}", client_seconds=0.1), ExitStack() as silent:
        for _ in range(4):
            silent.enter_context(socket.create_connection(("127.0.0.1", port)))
        for said in (b"\x00\xff\r\n\r\n", b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"GET //[ HTTP/1.0\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(said)
        threads = threading.active_count()
        samples = Page(port).samples

    assert threads <= before + 2
    assert "igsearch_worker_restarts_total" in samples
    assert capfd.readouterr().err == ""
