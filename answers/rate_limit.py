"""The rate limit of each person."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

ROUNDING = 1e-6
"""Photos that computing with fractions may lose."""


@dataclass(frozen=True, slots=True)
class TooFast:
    """A person asks faster than they may: when the next picture is in order, and whether they were told already."""

    seconds: int
    is_told: bool


@dataclass(slots=True)
class _Bucket:
    """What a person may still ask, as of a moment."""

    tokens: float
    at: float
    is_told: bool = False


class RateLimiter:
    """A token bucket for each person: `burst` pictures at once, then one in `seconds_each`."""

    def __init__(self, *, burst: int, seconds_each: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._seconds_each = seconds_each
        self._clock = clock
        self._buckets: OrderedDict[int, _Bucket] = OrderedDict()

    def take(self, person: int, pictures: int = 1) -> TooFast | None:
        """Take what some pictures cost from a person's bucket, or nothing where it does not hold so much."""
        bucket = self._filled(person)
        missing = min(pictures, self._burst) - bucket.tokens
        if missing > ROUNDING:
            is_told, bucket.is_told = bucket.is_told, True
            return TooFast(math.ceil(missing * self._seconds_each), is_told)
        bucket.tokens = max(0.0, bucket.tokens - pictures)
        bucket.is_told = False
        return None

    def _filled(self, person: int) -> _Bucket:
        """Return a person's bucket as of now; buckets that are full again are dropped, the oldest first."""
        now = self._clock()
        bucket = self._buckets.setdefault(person, _Bucket(self._burst, now))
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) / self._seconds_each)
        bucket.at = now
        self._buckets.move_to_end(person)
        while self._is_full_again(oldest := next(iter(self._buckets)), now) and oldest != person:
            del self._buckets[oldest]
        return bucket

    def _is_full_again(self, person: int, now: float) -> bool:
        bucket = self._buckets[person]
        return bucket.tokens + (now - bucket.at) / self._seconds_each >= self._burst
