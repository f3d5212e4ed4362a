"""Limit the rate at which each person may ask."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

ROUNDING = 1e-6
"""The rounding error, in photos, that a bucket may show after many small additions."""


@dataclass(frozen=True, slots=True)
class TooFast:
    """The refusal of a person who asks too fast."""

    seconds: int
    """The wait until they may ask again."""
    is_told: bool
    """True if they were told before."""


@dataclass(slots=True)
class _Bucket:
    """The token bucket of one person."""

    tokens: float
    """The pictures that the person may send, as of `at`."""
    at: float
    """A time of the clock."""
    is_told: bool = False
    """True if the person was told to wait since their last accepted picture."""


class RateLimiter:
    """A token bucket for each person: `burst` pictures at once, then one every `seconds_each`."""

    def __init__(self, *, burst: int, seconds_each: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._seconds_each = seconds_each
        self._clock = clock
        self._buckets: OrderedDict[int, _Bucket] = OrderedDict()

    def take(self, person: int, pictures: int = 1) -> TooFast | None:
        """Take the tokens for some pictures from a person's bucket; if it holds too few, take none and say so."""
        bucket = self._filled(person)
        missing = min(pictures, self._burst) - bucket.tokens
        if missing > ROUNDING:
            is_told, bucket.is_told = bucket.is_told, True
            return TooFast(math.ceil(missing * self._seconds_each), is_told)
        bucket.tokens = max(0.0, bucket.tokens - pictures)
        bucket.is_told = False
        return None

    def _filled(self, person: int) -> _Bucket:
        """Return a person's bucket as of now; drop buckets that are full again, the oldest first."""
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
