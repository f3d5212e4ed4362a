"""Checks that run side by side, each in a thread of its own that is left behind when its time is over.

A disk that is away, a frozen server or a silent name server holds up nobody but its own check.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cli.doctor.finding import ORDER, CheckName, Finding, fix
from core.errors import IgSearchError
from core.service.logs import hider

CHECK_SECONDS = 15.0
"""More than any check takes by itself: a database has 4 s to answer, a chat 8 s."""

MOST_CHECKS = 32
"""Threads, so that a check that hangs keeps none of the others from its own."""

T = TypeVar("T")


class CheckRunner:
    """Gathers what the checks of one run find, without secrets."""

    def __init__(self, secrets: Collection[str], *, seconds: float = CHECK_SECONDS) -> None:
        self._hidden = hider(secrets)
        self._seconds = seconds
        self._findings: list[Finding] = []
        self._threads = ThreadPoolExecutor(MOST_CHECKS)
        self.has_left_behind = False
        """Whether a thread still hangs: Python would wait for it at the end."""

    @property
    def findings(self) -> list[Finding]:
        """Everything that was noted, in the order of the checks."""
        return sorted(self._findings, key=lambda finding: ORDER.index(finding.check))

    @property
    def is_well(self) -> bool:
        return not any(finding.state == "fix" for finding in self._findings)

    def note(self, *findings: Finding) -> None:
        self._findings += [Finding(one.check, one.state, self._hidden(one.detail)) for one in findings]

    async def check(self, name: CheckName, work: Callable[[], Iterable[Finding]]) -> None:
        """Note what a check finds."""
        self.note(*(await self.look(name, work) or ()))

    async def look(self, name: CheckName, work: Callable[[], T]) -> T | None:
        """Return what was looked for; where that fails or takes too long, note it and return None."""
        future = asyncio.wrap_future(self._threads.submit(work))
        await asyncio.wait({future}, timeout=self._seconds)
        if not future.done():
            self.has_left_behind = True
            future.cancel()
            self.note(
                fix(name, f"it took more than {self._seconds:g} s: see whether a disk or server does not answer.")
            )
            return None
        if error := future.exception():
            self.note(fix(name, _sentence(error)))
            return None
        return future.result()


def _sentence(error: BaseException) -> str:
    if isinstance(error, IgSearchError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error}: mend that and run `igsearch doctor` again."
    if isinstance(error, ImportError):
        return f"a library cannot be imported ({error}): install igsearch's requirements again."
    return f"unexpected {type(error).__name__}: {error}. This is a fault in igsearch: report it."
