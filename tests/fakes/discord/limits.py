"""How often the bot may call: a bucket for each route and what it is about, as the real server keeps them."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

LIMITS = {
    ("POST", "/channels/{channel}/messages"): (5, 5.0),
    ("PATCH", "/channels/{channel}/messages/{message}"): (5, 5.0),
    ("POST", "/webhooks/{application}/{token}"): (5, 2.0),
    ("PATCH", "/webhooks/{application}/{token}/messages/{message}"): (5, 2.0),
}
"""Calls and seconds, as seen in the headers of the real server; it may change them at any time."""
USUAL_LIMIT = (50, 1.0)
MAJOR_IDS = ("channel", "guild", "token")


@dataclass
class Bucket:
    """The calls of one window."""

    name: str
    limit: int
    seconds: float
    ends_at: float = 0
    used: int = 0

    def take(self) -> bool:
        """Count a call, and return whether it may pass."""
        now = time.time()
        if now >= self.ends_at:
            self.ends_at, self.used = now + self.seconds, 0
        self.used += 1
        return self.used <= self.limit

    @property
    def retry_after(self) -> float:
        return round(max(0.0, self.ends_at - time.time()), 3)

    @property
    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "X-RateLimit-Reset": f"{self.ends_at:.3f}",
            "X-RateLimit-Reset-After": f"{self.retry_after:.3f}",
            "X-RateLimit-Bucket": self.name,
        }


@dataclass
class Buckets:
    _kept: dict[tuple[str, ...], Bucket] = field(default_factory=dict)

    def of(self, method: str, path: str, ids: Mapping[str, str]) -> Bucket:
        """Return the bucket of a route and its major ids."""
        key = (method, path, *(ids.get(name, "") for name in MAJOR_IDS))
        if key not in self._kept:
            limit, seconds = LIMITS.get((method, path), USUAL_LIMIT)
            name = hashlib.sha256(f"{method} {path}".encode()).hexdigest()[:32]
            self._kept[key] = Bucket(name, limit, seconds)
        return self._kept[key]
