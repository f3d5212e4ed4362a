"""The daemon as a black box: start the real `igsearch watch`, and tell what it did by its log.

It is started in a session of its own, with its log in a file, where it writes a line a file at DEBUG.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

EXIT_SECONDS = 10.0
INDEX_SECONDS = 1800
COMPLAINTS_SHOWN = 5

OUTCOME = re.compile(r" DEBUG indexer\.reconciler: (added|updated|moved|unchanged|unreadable) (.+)")
COMPLAINT = re.compile(r" (?:WARNING|ERROR|CRITICAL) (.+)|(Traceback .+)")
ERROR = re.compile(r" (?:ERROR|CRITICAL) (.+)|(Traceback .+)")


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
        matches = (OUTCOME.search(line) for line in self.lines(since))
        return [(match[1], match[2]) for match in matches if match]

    def complaints(self, kind: re.Pattern[str] = COMPLAINT) -> Counter[str]:
        """Return the warnings and errors, or the errors alone, and how often each was logged."""
        matches = (kind.search(line) for line in self.lines(0))
        return Counter(match[1] or match[2] for match in matches if match)

    def show_complaints(self) -> None:
        """Print the warnings and errors that were logged most often."""
        for complaint, times in self.complaints().most_common(COMPLAINTS_SHOWN):
            print(f"    {times} x {complaint}", flush=True)

    def end_of_log(self) -> str:
        """Return the end of the log."""
        return " | ".join(self.lines(0)[-6:])[-600:].strip(" |")

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

    def lines(self, since: int) -> list[str]:
        """Return the lines of the log since a mark."""
        with self.log.open("rb") as file:
            file.seek(since)
            return file.read().decode(errors="surrogateescape").split("\n")


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


def index_hashes(dataset: Path, url: str) -> dict[str, int]:
    """Run `igsearch index --light` and return its counts."""
    done = _run(url, "index", "--light", "--json", "--dataset", str(dataset))
    assert done.returncode == 0, done.stderr
    return cast("dict[str, int]", json.loads(done.stdout))


def stats(dataset: Path, url: str) -> str:
    """Return what `igsearch stats --json` says."""
    done = _run(url, "stats", "--json", "--dataset", str(dataset))
    return (done.stdout + done.stderr).strip()


def _run(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "igsearch", *arguments]
    return subprocess.run(
        command, env=environment(url), check=False, capture_output=True, timeout=INDEX_SECONDS, text=True
    )
