"""The daemon as a black box: start the real `igsearch watch`, wait for what it does, and read its store.

Shared by the benchmarks of the daemon. Each starts it in a session of its own, with its log in a file; what it did is
read from the database, and from the lines that it logs at DEBUG, one a file.
"""

import argparse
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import cast
from urllib.parse import urlsplit

import numpy as np
import pymysql
from PIL import Image

from benchmarks.lab.databases import Row, Target, fetched, on_mariadb, on_sqlite

SETTLE_SECONDS = 2.0
START_SECONDS, EXIT_SECONDS, QUIET_SECONDS = 60.0, 10.0, 5.0
INDEX_SECONDS = 1800
SIDE, CELLS, PADDING = 56, 12, 4096
"""Small photos: so many pixels of noise with so many cells a side, and up to so many bytes behind the picture, for
photos of equal size, which igsearch digests first, are rare in practice."""
MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")

OUTCOME = re.compile(r" DEBUG indexer\.reconciler: (added|updated|moved|unchanged|unreadable) (.+)")
COMPLAINT = re.compile(r" (?:WARNING|ERROR|CRITICAL) (.+)|(Traceback .+)")
ERROR = re.compile(r" (?:ERROR|CRITICAL) (.+)|(Traceback .+)")

Ask = Callable[[str], list[Row]]
Digests = dict[str, bytes]
"""SHA-256 by the path below the dataset."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a daemon ended at SIGTERM: its exit code (None: it had to be killed), and after how many seconds."""

    code: int | None
    seconds: float

    @property
    def faults(self) -> list[str]:
        if self.code == 0 and self.seconds <= EXIT_SECONDS:
            return []
        return [f"at SIGTERM exit code {self.code} after {self.seconds:.1f} s, not 0 within {EXIT_SECONDS:g} s"]


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running `igsearch watch`, which leads a session, and the file of its log."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def session(self) -> int:
        return self.process.pid

    def mark(self) -> int:
        """Return where the log ends now."""
        return self.log.stat().st_size

    def outcomes(self, *, since: int = 0) -> list[tuple[str, str]]:
        """Return what was logged for each file: the outcome, and the path below the dataset."""
        matches = (OUTCOME.search(line) for line in self._lines(since))
        return [(match[1], match[2]) for match in matches if match]

    def complaints(self, kind: re.Pattern[str] = COMPLAINT) -> Counter[str]:
        """Return the warnings and errors, or the errors alone, and how often each was logged."""
        matches = (kind.search(line) for line in self._lines(0))
        return Counter(match[1] or match[2] for match in matches if match)

    def last_words(self) -> str:
        """Return the end of the log."""
        return " | ".join(self._lines(0)[-6:])[-600:].strip(" |")

    def terminate(self, *, patience: float = 60.0) -> Ended:
        """Send SIGTERM, and wait for the end; kill it when it takes too long."""
        started = time.monotonic()
        self.process.terminate()
        try:
            code: int | None = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            code = None
        seconds = time.monotonic() - started
        self.kill()
        return Ended(code, seconds)

    def kill(self) -> None:
        """Kill what is left of it and its workers."""
        with suppress(ProcessLookupError):
            os.killpg(self.session, signal.SIGKILL)
        self.process.wait()

    def _lines(self, since: int) -> list[str]:
        with self.log.open("rb") as file:
            file.seek(since)
            return file.read().decode(errors="surrogateescape").split("\n")


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment of a daemon: memory of its whole tree in bytes, and the open files of its first process."""

    at: float
    pss: int
    rss: int
    open_files: int


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options that all have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--settle", type=float, default=SETTLE_SECONDS, help="IGSEARCH_SETTLE_SECONDS")
    return parser


def end_at_sigterm() -> None:
    """Have SIGTERM run the `finally` blocks, so that no daemon and no changed limit stays behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def chosen_target(folder: Path, *, is_sqlite: bool) -> AbstractContextManager[Target]:
    return on_sqlite(folder / "databases") if is_sqlite else on_mariadb()


@contextmanager
def watching(dataset: Path, url: str, log: Path, *, prefix: Sequence[str] = (), **settings: object) -> Iterator[Daemon]:
    """Run the daemon; `settings` are named as its variables without IGSEARCH_, in lower case."""
    daemon = start(dataset, url, log, prefix=prefix, **settings)
    try:
        yield daemon
    finally:
        daemon.kill()


def start(dataset: Path, url: str, log: Path, *, prefix: Sequence[str] = (), **settings: object) -> Daemon:
    command = [*prefix, sys.executable, "-m", "igsearch", "watch", "--dataset", str(dataset)]
    variables = {f"IGSEARCH_{name.upper()}": str(value) for name, value in settings.items()}
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            env={**environment(url), "IGSEARCH_LOG_LEVEL": "DEBUG", **variables},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
    return Daemon(process, log)


def environment(url: str) -> dict[str, str]:
    return {**os.environ, "IGSEARCH_DATABASE_URL": url}


def index_light(dataset: Path, url: str) -> dict[str, int]:
    """Run `igsearch index --light` and return its counts."""
    command = [sys.executable, "-m", "igsearch", "index", "--light", "--json", "--dataset", str(dataset)]
    done = subprocess.run(command, env=environment(url), check=True, capture_output=True, timeout=INDEX_SECONDS)
    return cast("dict[str, int]", json.loads(done.stdout))


def stats(dataset: Path, url: str) -> str:
    """Return what `igsearch stats --json` says."""
    command = [sys.executable, "-m", "igsearch", "stats", "--json", "--dataset", str(dataset)]
    done = subprocess.run(command, env=environment(url), check=False, capture_output=True, timeout=60, text=True)
    return (done.stdout + done.stderr).strip()


@contextmanager
def reading(url: str) -> Iterator[Ask]:
    """Keep a connection of our own to a store open; a table that is not there yet holds nothing."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as file:
            yield lambda sql: _rows(lambda: file.execute(sql).fetchall())
        return
    parts = urlsplit(url)
    with pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username or "root",
        database=parts.path.strip("/"),
        autocommit=True,
        connect_timeout=5,
    ) as server:
        yield lambda sql: _rows(lambda: fetched(server, sql))


def _rows(ask: Callable[[], list[Row]]) -> list[Row]:
    try:
        return ask()
    except (sqlite3.OperationalError, pymysql.err.ProgrammingError) as error:
        if "no such table" in str(error) or "doesn't exist" in str(error):
            return []
        raise


def number(ask: Ask, sql: str) -> int:
    """Return the one number that a query gives; 0 where the table is not there yet."""
    rows = ask(sql)
    return int(cast("int", rows[0][0])) if rows else 0


def photo_count(ask: Ask) -> int:
    return number(ask, "SELECT COUNT(*) FROM images")


def unreadable_count(ask: Ask) -> int:
    return number(ask, "SELECT COUNT(*) FROM unreadable_files")


def backlog(ask: Ask) -> int:
    """Return how many fingerprints wait for their features."""
    lights = number(ask, "SELECT COUNT(*) FROM photos")
    return lights - number(ask, "SELECT COUNT(*) FROM photo_features")


def stored(ask: Ask) -> list[tuple[str, bytes]]:
    """Return path and SHA-256 of every image on record."""
    rows = ask("SELECT i.path, l.sha256 FROM images i JOIN photos l ON l.id = i.photo_id")
    return [(os.fsdecode(cast("bytes", path)), cast("bytes", sha256)) for path, sha256 in rows]


def is_stored(ask: Ask, path: str) -> bool:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()
    return bool(ask(f"SELECT 1 FROM images WHERE path_sha256 = X'{name}'"))


def differences(ask: Ask, disk: Mapping[str, bytes]) -> list[str]:
    """Return what of the record is not as on the disk, by path and SHA-256, in a sentence with examples."""
    rows, files = Counter(stored(ask)), Counter(disk.items())
    missing, extra = list((files - rows).elements()), list((rows - files).elements())
    if not missing and not extra:
        return []
    examples = ", ".join(sorted({path for path, _ in missing + extra})[:3])
    return [f"record and disk differ: {len(missing)} missing, {len(extra)} extra, such as {examples}"]


def wait_until(condition: Callable[[], bool], *, seconds: float, every: float = 0.2) -> float | None:
    """Wait until something holds, and return how long that took; None if it does not come to hold."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() > started + seconds:
            return None
        time.sleep(every)
    return time.monotonic() - started


def wait_until_begun(ask: Ask, photos: int) -> None:
    """Wait until the daemon has indexed what lay there before it started."""
    assert wait_until(lambda: photo_count(ask) >= photos, seconds=START_SECONDS) is not None, (
        "the daemon does not start"
    )


def wait_until_quiet(ask: Ask, *, seconds: float, still: float = QUIET_SECONDS) -> bool:
    """Wait until no hashes came for a while; tell whether that came."""
    seen, since = light_state(ask), time.monotonic()
    deadline = since + seconds
    while time.monotonic() < since + still:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
        if (state := light_state(ask)) != seen:
            seen, since = state, time.monotonic()
    return True


def light_state(ask: Ask) -> list[Row]:
    lights = "SELECT COUNT(*), COALESCE(MAX(id), 0) FROM photos"
    return ask("SELECT COUNT(*), COALESCE(MAX(id), 0) FROM images") + ask(lights) + [(unreadable_count(ask),)]


def small_photo(chance: random.Random) -> bytes:
    """Make a JPEG of smooth noise; no two have the same bytes."""
    cells = np.frombuffer(chance.randbytes(CELLS * CELLS * 3), np.uint8).reshape(CELLS, CELLS, 3)
    file = io.BytesIO()
    Image.fromarray(cells).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, "JPEG", quality=80)
    return file.getvalue() + chance.randbytes(chance.randrange(8, PADDING))


def fill(
    root: Path, *, files: int, folders: int, chance: random.Random, prefix: str = "account", first: int = 0
) -> Digests:
    """Put so many small photos into so many folders; `first` is the number of the first file."""
    return _spread(root, lambda _: small_photo(chance), files=files, folders=folders, prefix=prefix, first=first)


def fill_real(root: Path, photos: Path, *, files: int, folders: int, chance: random.Random, first: int = 0) -> Digests:
    """Put photos of real size into folders: copies of those at hand, each with other bytes behind the picture."""
    originals = sorted(path for path in photos.rglob("*") if path.is_file())

    def copy(file: int) -> bytes:
        return originals[file % len(originals)].read_bytes() + chance.randbytes(8)

    return _spread(root, copy, files=files, folders=folders, prefix="account", first=first)


def _spread(root: Path, make: Callable[[int], bytes], *, files: int, folders: int, prefix: str, first: int) -> Digests:
    digests: Digests = {}
    for folder in range(folders):
        (root / f"{prefix}{folder:04}").mkdir(parents=True, exist_ok=True)
    for file in range(first, first + files):
        name, data = f"{prefix}{file % folders:04}/{file:06}.jpg", make(file)
        (root / name).write_bytes(data)
        digests[name] = hashlib.sha256(data).digest()
    return digests


def on_disk(root: Path) -> Digests:
    """Digest every JPEG of a dataset."""
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).digest() for path in root.rglob("*.jpg")}


def fresh(folder: Path) -> Path:
    """Make a folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@contextmanager
def sampling(session: int, *, every: float, look: Callable[[int], Sample] | None = None) -> Iterator[list[Sample]]:
    """Sample a daemon's memory and open files meanwhile; `look` may count otherwise than `sample`."""
    samples: list[Sample] = []
    is_over = Event()
    look = look or sample

    def work() -> None:
        samples.append(look(session))
        while not is_over.wait(every):
            samples.append(look(session))

    with ThreadPoolExecutor(1) as pool:
        sampler = pool.submit(work)
        try:
            yield samples
        finally:
            is_over.set()
            sampler.result()


def sample(session: int) -> Sample:
    pss, rss = 0, 0
    for process in members(session):
        own = memory(process)
        pss, rss = pss + own[0], rss + own[1]
    return Sample(time.monotonic(), pss, rss, open_files(session))


def memory(process: Path) -> tuple[int, int]:
    """Return PSS and RSS of a process by its folder in /proc, in bytes; 0 where it has ended."""
    with suppress(OSError):
        rollup = (process / "smaps_rollup").read_text()
        return 1024 * _kilobytes("Pss", rollup), 1024 * _kilobytes("Rss", rollup)
    return 0, 0


def _kilobytes(name: str, rollup: str) -> int:
    match = re.search(rf"^{name}: +(\d+) kB$", rollup, re.MULTILINE)
    return int(match[1]) if match else 0


def members(session: int) -> list[Path]:
    """Return the folders in /proc of the processes of a session."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(_state(process)[3]) == session:
                found.append(process)
    return found


def open_files(process: int) -> int:
    try:
        return len(os.listdir(f"/proc/{process}/fd"))
    except OSError:
        return 0


def cpu_seconds(session: int) -> float:
    """Return the CPU time of a session's processes, and of those that have ended and been waited for."""
    ticks = 0
    for process in members(session):
        with suppress(OSError):
            ticks += sum(map(int, _state(process)[11:15]))
    return ticks / TICKS


def _state(process: Path) -> list[str]:
    """Return the fields of /proc/PID/stat from the third, the state, on."""
    return (process / "stat").read_text().rpartition(")")[2].split()


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def shown(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"


def report(faults: Sequence[str]) -> int:
    """Print the faults, and return the exit code."""
    for fault in faults:
        print(f"FAULT {fault}")
    print("no fault" if not faults else f"{len(faults)} fault(s)")
    return 1 if faults else 0
