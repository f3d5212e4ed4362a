"""`igsearch watch` and `igsearch run` as an operator meets them: real processes, signals, kernel limits, databases."""

import itertools
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from benchmarks.lab.databases import Ask, backlog, photo_count, reading
from tests.mariadb import MariaDB, free_port
from tests.metrics_page import Page
from tests.pictures import photo_bytes
from tests.shell import Service, Shell

pytestmark = pytest.mark.waits

PICTURES = [photo_bytes(seed, size=(160, 120)) for seed in range(6)]
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
NUMBERS = itertools.count()


def _namespaces(*options: str) -> tuple[str, ...]:
    """Return the command that starts another in namespaces of its own; skips where the machine does not let us."""
    command = ("unshare", *options, "--")
    if not shutil.which("unshare") or subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us make namespaces")
    return command


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.put("images/anna/0.jpg", PICTURES[0])
    return shell


@pytest.fixture
def on_server(mariadb: MariaDB) -> dict[str, str]:
    """The settings for an empty database on the server."""
    return {"IGSEARCH_DATABASE_URL": mariadb.create_database(f"watch_{next(NUMBERS)}")}


def until_images(shell: Shell, service: Service, images: int, variables: dict[str, str] | None = None) -> None:
    """Wait until so many images are on record."""
    with _record(shell, variables) as ask:
        service.until(lambda: photo_count(ask) == images)


def _record(shell: Shell, variables: dict[str, str] | None = None) -> AbstractContextManager[Ask]:
    default = f"sqlite:///{shell.folder / 'images.igsearch.db'}"
    return reading((variables or {}).get("IGSEARCH_DATABASE_URL", default))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", ["watch", "run"])
def test_a_signal_ends_the_service_in_good_order(shell: Shell, command: str, number: signal.Signals) -> None:
    """What lies in the dataset and what is dropped later is found meanwhile; SIGTERM and SIGINT end it with 0."""
    with shell.service(command) as service:
        until_images(shell, service, 1)
        shell.put("images/bob/1.jpg", PICTURES[1])
        until_images(shell, service, 2)
        found = shell.igsearch("search", "--query", "images/bob/1.jpg")
        watching = shell.figures()["daemon"]
        code = service.end(number)

    assert code == 0
    assert found.out == "bob\n"
    assert watching["state"] in {"watching", "scanning"}
    assert watching["next_scan"]
    assert shell.figures()["daemon"]["state"] == "stopped"


@pytest.mark.parametrize("command", ["watch", "run", "index"])
def test_a_second_indexer_is_refused(shell: Shell, command: str) -> None:
    """While one daemon runs, another indexer ends with 75 and says why; the lock dies with its holder."""
    with shell.service("watch") as service:
        until_images(shell, service, 1)
        second = shell.igsearch(command)
        service.process.kill()
        service.process.wait()

    after = shell.igsearch("index")

    assert second.code == 75
    assert "Another indexer" in second.err
    assert after.code == 0


def test_tables_that_are_up_to_date_need_no_lock(shell: Shell) -> None:
    """`init-db` beside a daemon says that there is nothing to do: `docker compose up` runs it each time."""
    with shell.service("watch") as service:
        until_images(shell, service, 1)
        ended = shell.igsearch("init-db")

    assert ended.code == 0
    assert "are up to date" in ended.out


def test_sighup_rescans(shell: Shell) -> None:
    """SIGHUP asks for a full rescan; the log tells what it came to and when the next is due. No file counts twice."""
    shell.put("images/anna/broken.jpg", PICTURES[0][:1000])
    page = Page(free_port())
    variables = {"IGSEARCH_RESCAN": "0 4 * * *", "IGSEARCH_METRICS_LISTEN": str(page.port)}
    with shell.service("watch", variables=variables) as service:
        service.until_said("full rescan (start) done")
        service.process.send_signal(signal.SIGHUP)
        service.until_said("full rescan (SIGHUP) done")
        service.until(lambda: page.shows("igsearch_deep_fingerprints_total", 1))
        samples = page.samples

    files = {outcome: samples[f'igsearch_files_total{{outcome="{outcome}"}}'] for outcome in ("added", "unreadable")}
    assert "; next 2" in service.log
    assert files == {"added": 1, "unreadable": 1}
    assert not any("front_end" in name for name in samples)


def test_metrics_that_cannot_be_had_cost_nothing_else(shell: Shell) -> None:
    """Where another program listens at their address the log says so, and the daemon does its work."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with shell.service("watch", variables={"IGSEARCH_METRICS_LISTEN": port}) as service:
            until_images(shell, service, 1)

    assert service.log.count(f"IGSEARCH_METRICS_LISTEN: cannot listen at 127.0.0.1:{port} (") == 1


def test_an_absent_dataset_ends_the_start(shell: Shell) -> None:
    """A dataset that never was there is a mistake of the command line: exit code 66."""
    ended = shell.igsearch("watch", "--dataset", "imagse")

    assert ended.code == 66
    assert "imagse" in ended.err


def test_a_wrong_schedule_is_named(shell: Shell) -> None:
    """A cron expression that no calendar knows ends the start with 78 and names the setting."""
    ended = shell.igsearch("watch", variables={"IGSEARCH_RESCAN": "61 4 * * *"})

    assert ended.code == 78
    assert "IGSEARCH_RESCAN" in ended.err


def test_the_service_manager_is_told(shell: Shell) -> None:
    """Where NOTIFY_SOCKET asks for it, readiness and the end are told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(shell.folder / "notify"))
        listener.settimeout(60)
        with shell.service("watch", variables={"NOTIFY_SOCKET": str(shell.folder / "notify")}) as service:
            while listener.recv(4096) != b"READY=1":
                pass
            service.until(lambda: shell.igsearch("health", "indexer").code == 0)
            service.end()
        listener.setblocking(False)
        said = []
        while True:
            try:
                said.append(listener.recv(4096))
            except BlockingIOError:
                break

    assert said[-1] == b"STOPPING=1"


def test_an_overflow_of_the_kernels_queue_is_made_good(shell: Shell) -> None:
    """When more happens than the kernel remembers, the daemon looks at everything, and finds what it was not told."""
    with shell.service("watch") as service:
        service.until_said("full rescan (start) done")
        service.process.send_signal(signal.SIGSTOP)
        clutter = shell.folder / "images/anna/.clutter"
        for _ in range(int(QUEUE.read_text(encoding="ascii")) // 2):  # created, closed, deleted: three events
            clutter.touch()
            clutter.unlink()
        shell.put("images/anna/1.jpg", PICTURES[1])
        service.process.send_signal(signal.SIGCONT)
        service.until_said("full rescan (the kernel's queue of events overflowed) done")
        until_images(shell, service, 2)


@pytest.mark.parametrize("when", ["at the start", "later"])
def test_polling_replaces_events_when_watches_run_out(shell: Shell, when: str) -> None:
    """With fewer watches than folders the log says how to get more, and photos are found all the same."""
    limited = ("sh", "-c", 'echo 8 > /proc/sys/user/max_inotify_watches; exec "$@"', "sh")
    folders = [f"images/user{number}" for number in range(12)]
    if when == "at the start":
        for folder in folders:
            (shell.folder / folder).mkdir()
    with shell.service("watch", prefix=(*_namespaces("--user", "--map-root-user"), *limited)) as service:
        service.until_said("full rescan (start) done")
        if when == "later":
            for folder in folders:
                (shell.folder / folder).mkdir()
        service.until_said("write user.max_inotify_watches=")
        for number, folder in enumerate(folders):
            shell.put(f"{folder}/a.jpg", PICTURES[1] + bytes(number))
        until_images(shell, service, 13)


def test_an_unmounted_dataset_loses_nothing(shell: Shell) -> None:
    """A disk that is unmounted and mounted again costs no row, and no photo is read twice; it may be read-only."""
    disk = shell.folder / "disk"
    shutil.move(shell.folder / "images", disk)
    (shell.folder / "images").mkdir()
    script = """
        mount --bind -o ro disk images || exit 99
        "$@" & watch=$!
        trap 'kill -TERM $watch; wait $watch; exit $?' TERM
        read -r _ < unmount && umount --lazy images && echo unmounted && read -r _ < mount &&
            mount --bind -o ro disk images && echo mounted
        wait $watch
    """
    for name in ("unmount", "mount"):
        os.mkfifo(shell.folder / name)
    prefix = (*_namespaces("--mount"), "sh", "-c", script, "sh")
    with shell.service("watch", variables={"IGSEARCH_LOG_LEVEL": "DEBUG"}, prefix=prefix) as service:
        until_images(shell, service, 1)
        (shell.folder / "unmount").write_text("\n")
        service.until_said("dataset suspicious")
        with _record(shell) as ask:
            service.until(lambda: ask("SELECT state FROM daemon") == [("dataset suspicious",)])
            away = photo_count(ask)
        (shell.folder / "mount").write_text("\n")
        service.until_said("mounted\n")
        service.until_said("the dataset is complete again")
        (disk / "anna/1.jpg").write_bytes(PICTURES[1])
        until_images(shell, service, 2)

    assert away == 1
    assert service.log.count("added anna/0.jpg") == 1
    assert "updated anna/0.jpg" not in service.log


@pytest.mark.parametrize("absence", ["stopped", "frozen"])
def test_the_database_may_go_away(shell: Shell, mariadb: MariaDB, on_server: dict[str, str], absence: str) -> None:
    """A database that is stopped or stands still is waited for; what came meanwhile is found after its return."""
    with shell.service("watch", variables=on_server) as service:
        until_images(shell, service, 1, on_server)
        leave, come_back = (mariadb.stop, mariadb.start) if absence == "stopped" else (mariadb.freeze, mariadb.thaw)
        leave()
        try:
            shell.put("images/bob/1.jpg", PICTURES[1])
            service.until_said("no change is lost")
        finally:
            come_back()
        service.until_said("the outage is over")
        until_images(shell, service, 2, on_server)


def test_a_stop_does_not_wait_for_a_frozen_database(shell: Shell, mariadb: MariaDB, on_server: dict[str, str]) -> None:
    """SIGTERM ends the daemon with 0 although the database stands still; the next start takes what was left."""
    with shell.service("watch", variables=on_server) as service:
        until_images(shell, service, 1, on_server)
        mariadb.freeze()
        try:
            shell.put("images/bob/1.jpg", PICTURES[1])
            service.until_said("no change is lost")
            code = service.end()
        finally:
            mariadb.thaw()

    assert code == 0
    with shell.service("watch", variables=on_server) as service:
        until_images(shell, service, 2, on_server)


def test_the_database_may_come_last(shell: Shell, mariadb: MariaDB, on_server: dict[str, str]) -> None:
    """A daemon that is started before its database waits for it."""
    mariadb.stop()
    try:
        with shell.service("watch", variables=on_server) as service:
            service.until_said("is unavailable")
            mariadb.start()
            until_images(shell, service, 1, on_server)
    finally:
        if mariadb.process is None:
            mariadb.start()


def test_the_database_may_still_be_in_the_making(shell: Shell, mariadb: MariaDB) -> None:
    """A daemon that may make no tables waits for the database, and then for who makes them."""
    name = f"made_late_{next(NUMBERS)}"
    mariadb.execute(
        f"CREATE OR REPLACE USER '{name}'@'%' IDENTIFIED BY 'secret'",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO '{name}'@'%'",
    )
    variables = {"IGSEARCH_DATABASE_URL": mariadb.url(name, user=name, password="secret")}

    with shell.service("watch", variables=variables) as service:
        service.until_said(f"There is no database {name}")
        mariadb.create_database(name)
        service.until_said(f"'{name}' may not create them: run `igsearch init-db`")
        shell.igsearch("init-db", variables={"IGSEARCH_DATABASE_URL": mariadb.url(name)})
        until_images(shell, service, 1, {"IGSEARCH_DATABASE_URL": mariadb.url(name)})


def test_a_full_disk_is_said_and_survived(shell: Shell) -> None:
    """When the database's disk is full the log says so; with room again the daemon goes on."""
    with shell.service("watch") as service:
        until_images(shell, service, 1)
        room = (shell.folder / "images.igsearch.db-wal").stat().st_size  # and more than the log has
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        for number in range(50):
            shell.put(f"images/bob/{number}.jpg", PICTURES[1] + bytes(number))
        service.until_said("is full: free some space")
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        until_images(shell, service, 51)


def test_a_database_that_was_removed_is_filled_again(shell: Shell) -> None:
    """When the SQLite file goes while the daemon runs, another is made and everything put in it."""
    with shell.service("watch", variables={"IGSEARCH_RESCAN": "1s"}) as service:
        until_images(shell, service, 1)
        for path in shell.folder.glob("images.igsearch.db*"):
            path.unlink()
        until_images(shell, service, 1)


def test_a_log_that_cannot_be_written_blames_no_photo(shell: Shell) -> None:
    """With the reader of the log gone, or its disk full, photos are indexed all the same, and the end is in order."""
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "igsearch", "watch"],
            cwd=shell.folder,
            env=shell.environment({"IGSEARCH_SETTLE_SECONDS": "0.3"}),
            stdout=subprocess.DEVNULL,
            stderr=full,
        )
    service = Service(process, Path("/dev/null"))
    try:
        until_images(shell, service, 1)
        shell.put("images/bob/1.jpg", PICTURES[1])
        until_images(shell, service, 2)
        code = service.end()
    finally:
        process.kill()

    assert code == 0
    assert shell.figures()["unreadable"] == 0


def test_a_closed_terminal_ends_the_service(shell: Shell) -> None:
    """SIGHUP from the terminal it was started in, when that is closed, is no wish for a rescan."""
    master, terminal = os.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", sys.executable, "-m", "igsearch", "watch"],
        cwd=shell.folder,
        env=shell.environment({}),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    try:
        until_images(shell, Service(process, Path("/dev/null")), 1)
        os.close(master)
        code = process.wait(60)
    finally:
        process.kill()

    assert code == 0
    assert shell.igsearch("index").code == 0


def test_a_kill_costs_nothing(shell: Shell) -> None:
    """After kill -9 amid its work, the next start leaves the record that a clean index makes."""
    for number in range(60):
        shell.put(f"images/user{number % 7}/{number}.jpg", PICTURES[number % 6] + bytes(number))
    with shell.service("watch", variables={"IGSEARCH_LOG_LEVEL": "DEBUG"}) as service:
        service.until_said("added")
        service.process.kill()
        service.process.wait()
    with shell.service("watch") as service:
        until_images(shell, service, 61)
        with _record(shell) as ask:
            service.until(lambda: backlog(ask) == 0)

    assert shell.igsearch("index", "--json").objects[-1]["unchanged"] == 61
