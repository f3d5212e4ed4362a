"""What a test server remembers: every call that a bot made, and how a test waits for the next."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

PATIENCE_SECONDS = 30.0
# A condition may look at what nobody notifies of, such as the log of a process.
LOOK_AGAIN_SECONDS = 0.05
RECENT = 12


class Answerable(Protocol):
    """A call of any server: its status is None until it was answered."""

    status: int | None


AnyCall = TypeVar("AnyCall", bound=Answerable)


@dataclass(eq=False)
class Journal(Generic[AnyCall]):
    """Every call in order; `changed` guards all that a server keeps, and tells when it changed."""

    calls: list[AnyCall] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def note(self, call: AnyCall) -> None:
        with self.changed:
            self.calls.append(call)
            self.changed.notify_all()

    def answered(self, call: AnyCall, status: int) -> None:
        with self.changed:
            call.status = status
            self.changed.notify_all()

    def until(self, condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS, what: str = "it") -> None:
        """Wait until something is so, or fail with the recent calls."""
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, f"waited {seconds:g} s in vain for {what}; the last calls:\n{self._recent()}"
            with self.changed:
                self.changed.wait(min(left, LOOK_AGAIN_SECONDS))
        with self.changed:
            pass  # lets a change that the condition saw begin come to its end

    def _recent(self) -> str:
        return "\n".join(str(call) for call in self.calls[-RECENT:]) or "none"
