"""Time: waiting until something holds, how long a piece of work takes, and the spread of many durations."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def wait_until(condition: Callable[[], bool], *, seconds: float, every: float = 0.2) -> float | None:
    """Wait until something holds, and return how long that took; None if it does not come to hold."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() > started + seconds:
            return None
        time.sleep(every)
    return time.monotonic() - started


def sleep_until(moment: float) -> None:
    """Sleep until a moment of the monotonic clock; not at all if it is past."""
    time.sleep(max(0.0, moment - time.monotonic()))


def timed(work: Callable[[], T], clock: Callable[[], float] = time.perf_counter) -> tuple[T, float]:
    """Return what a piece of work returns, and the seconds it took."""
    started = clock()
    result = work()
    return result, clock() - started


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Return median and 95th percentile."""
    return statistics.median(values), float(np.quantile(values, 0.95))


def shown(seconds: float | None) -> str:
    """Write a duration that may never have ended."""
    return "never" if seconds is None else f"{seconds:.1f}"


def shown_spread(seconds: Sequence[float]) -> str:
    """Write median, 95th percentile and maximum in milliseconds."""
    middle, slow = spread(seconds)
    return f"p50 {1000 * middle:,.0f} ms, p95 {1000 * slow:,.0f} ms, at most {1000 * max(seconds):,.0f} ms"
