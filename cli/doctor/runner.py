"""Run checks in parallel, each in its own thread, which is abandoned when its time is over.

A missing disk, a frozen server or a silent name server delays only the check that waits for it.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from cli.doctor.finding import ORDER, CheckName, Finding, fix
from core.errors import IgSearchError
from core.service.logs import hider

CHECK_SECONDS = 15.0
"""More than any check needs: a database has 4 s to answer, a chat 8 s."""

T = TypeVar("T")


class CheckRunner:
    """The checks of one run and their findings, in which secrets are hidden."""

    def __init__(self, secrets: Collection[str], *, seconds: float = CHECK_SECONDS) -> None:
        self._hidden = hider(secrets)
        self._seconds = seconds
        self._findings: list[Finding] = []
        self.has_left_behind = False
        """True if a thread still hangs, for which Python would wait at exit."""

    @property
    def findings(self) -> list[Finding]:
        """Return all findings, in the order of the checks."""
        return sorted(self._findings, key=lambda finding: ORDER.index(finding.check))

    @property
    def is_well(self) -> bool:
        return not any(finding.state == "fix" for finding in self._findings)

    def note(self, *findings: Finding) -> None:
        self._findings += [Finding(one.check, one.state, self._hidden(one.detail)) for one in findings]

    async def check(self, name: CheckName, work: Callable[[], Iterable[Finding]]) -> None:
        """Run a check and note its findings."""
        self.note(*(await self.look(name, work) or ()))

    async def look(self, name: CheckName, work: Callable[[], T]) -> T | None:
        """Return the result of some work; if it fails or takes too long, note that and return None."""
        try:
            future = asyncio.wrap_future(_started(work))
        except RuntimeError as error:  # the system gives no thread
            self.note(fix(name, f"it cannot be checked ({error}): raise the limits of memory and processes."))
            return None
        await asyncio.wait({future}, timeout=self._seconds)
        if not future.done():
            self.has_left_behind = True
            future.cancel()
            self.note(
                fix(name, f"it took more than {self._seconds:g} s: check for a disk or server that does not answer.")
            )
            return None
        if failure := future.exception():
            self.note(fix(name, _sentence(failure)))
            return None
        return future.result()


def _started(work: Callable[[], T]) -> Future[T]:
    """Do work in a thread of its own, which ends with it."""
    threads = ThreadPoolExecutor(1)
    try:
        return threads.submit(work)
    finally:
        threads.shutdown(wait=False)


def _sentence(error: BaseException) -> str:
    if isinstance(error, IgSearchError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error}: fix that and run `igsearch doctor` again."
    if isinstance(error, ImportError):
        return f"a library cannot be imported ({error}): install igsearch's requirements again."
    return f"unexpected {type(error).__name__}: {error}. This is a fault in igsearch: report it."
