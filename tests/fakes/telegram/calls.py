"""The calls that a bot made of the Bot API."""

import time
from dataclasses import dataclass, field
from typing import Any


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
