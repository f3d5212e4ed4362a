"""Show the progress of a scan: a bar with rate and time left on a terminal, an occasional line elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.console import say
from indexer.full_scan import Progress as Listener
from indexer.scanning.write_batch import FileOutcome

LINE_SECONDS = 10.0


@contextmanager
def shown_progress(work: str, *, is_quiet: bool) -> Iterator[Listener]:
    """Show the progress of some work, such as "indexing", on standard error: as a bar on a terminal, else in lines."""
    console = Console(stderr=True)
    if is_quiet or not console.is_terminal:
        yield Lines(work, is_quiet=is_quiet)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[trouble]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield Bar(bar, work)


class Count:
    """The number of files done and their rate, in which unchanged files do not count, as they cost nothing."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.read = 0
        self.unreadable = 0
        self.started = time.monotonic()

    def take(self, outcome: FileOutcome, files: int) -> None:
        self.done += files
        self.read += 0 if outcome is FileOutcome.UNCHANGED else files
        self.unreadable += files if outcome is FileOutcome.UNREADABLE else 0

    @property
    def rate(self) -> float:
        return self.read / max(time.monotonic() - self.started, 1e-3)

    @property
    def trouble(self) -> str:
        return f"{self.unreadable:,} unreadable" if self.unreadable else ""


class Bar:
    """Progress as a bar on a terminal."""

    def __init__(self, bar: Progress, work: str) -> None:
        self._bar = bar
        self._count = Count()
        self._task = bar.add_task(work, total=None, rate="", trouble="")

    def expect(self, files: int) -> None:
        self._bar.update(self._task, total=files)

    def advance(self, outcome: FileOutcome, files: int) -> None:
        self._count.take(outcome, files)
        self._bar.update(self._task, advance=files, rate=f"{self._count.rate:,.0f}/s", trouble=self._count.trouble)

    def say(self, sentence: str) -> None:
        self._bar.console.print(sentence, markup=False, highlight=False)


class Lines:
    """Progress as plain lines where there is no terminal."""

    def __init__(self, work: str, *, is_quiet: bool) -> None:
        self._work = work
        self._is_quiet = is_quiet
        self._count = Count()
        self._last_line = time.monotonic()

    def expect(self, files: int) -> None:
        self._count.total = files

    def advance(self, outcome: FileOutcome, files: int) -> None:
        self._count.take(outcome, files)
        if not self._is_quiet and time.monotonic() - self._last_line > LINE_SECONDS:
            self._last_line = time.monotonic()
            self._print_line()

    def say(self, sentence: str) -> None:
        say(sentence)

    def _print_line(self) -> None:
        count = self._count
        left = (count.total - count.done) / max(count.rate, 1e-3)
        facts = [f"{self._work}: {count.done:,} of {count.total:,}", f"{count.rate:,.0f}/s", f"{left:,.0f} s left"]
        say(", ".join(filter(None, [*facts, count.trouble])))
