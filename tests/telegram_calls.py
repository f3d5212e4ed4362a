"""The calls that a bot made, and how a test waits for the next."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PATIENCE_SECONDS = 30.0
# A condition may look at what nobody notifies of, such as the log of a process.
LOOK_AGAIN_SECONDS = 0.05
RECENT = 12


@dataclass(eq=False)
class Call:
    """A call of the bot; its status is None until it was answered, and for ever if the connection was cut."""

    method: str
    parameters: dict[str, Any]
    files: dict[str, bytes]
    at: float = field(default_factory=time.monotonic)
    status: int | None = None

    def __str__(self) -> str:
        sizes = "".join(f" {name}: {len(data)} bytes" for name, data in self.files.items())
        return f"{self.at:.3f} {self.status or '...'} {self.method} {self.parameters}{sizes}"


@dataclass(eq=False)
class Journal:
    """Every call in order; `changed` guards all that Telegram keeps, and tells when it changed."""

    calls: list[Call] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def note(self, call: Call) -> None:
        with self.changed:
            self.calls.append(call)
            self.changed.notify_all()

    def answered(self, call: Call, status: int) -> None:
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
