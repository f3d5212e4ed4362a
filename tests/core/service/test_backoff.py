"""Pauses between attempts grow, up to a bound, and begin anew."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.service.backoff import Backoff

SECONDS = st.floats(0.01, 10)


@given(SECONDS, SECONDS, st.integers(2, 30))
def test_each_pause_is_twice_the_one_before_and_bounded(first: float, more: float, count: int) -> None:
    """The first is as asked, none is longer than the longest; after a success the first comes again."""
    backoff = Backoff(first, first + more)

    pauses = [backoff.next() for _ in range(count)]
    backoff.reset()

    assert pauses[0] == backoff.next() == first
    assert all(later == min(2 * sooner, first + more) for sooner, later in pairwise(pauses))
