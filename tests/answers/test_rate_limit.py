"""The rate limit of each person."""

import math
from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from answers.rate_limit import RateLimiter, TooFast

ANNA, BOB = 1, 2


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def new_limiter(clock: Callable[[], float], burst: int = 3) -> RateLimiter:
    return RateLimiter(burst=burst, seconds_each=10, clock=clock)


def test_a_burst_is_allowed_and_no_more() -> None:
    """A person may send as many pictures as the bucket holds, at once."""
    limiter = new_limiter(Clock())

    answers = [limiter.take(ANNA) for _ in range(4)]

    assert answers == [None, None, None, TooFast(10, is_told=False)]


def test_a_person_is_told_once() -> None:
    """Only the first refusal in a row is to be told; after the next picture that is allowed it is again."""
    clock = Clock()
    limiter = new_limiter(clock, burst=1)
    limiter.take(ANNA)

    refused = [limiter.take(ANNA), limiter.take(ANNA)]
    clock.now = 10
    allowed, again = limiter.take(ANNA), limiter.take(ANNA)

    assert refused == [TooFast(10, is_told=False), TooFast(10, is_told=True)]
    assert allowed is None
    assert again == TooFast(10, is_told=False)


def test_nobody_pays_for_another() -> None:
    """One person's flood leaves another's bucket full."""
    limiter = new_limiter(Clock())
    for _ in range(10):
        limiter.take(ANNA)

    assert limiter.take(BOB, 3) is None


def test_an_album_costs_its_pictures_or_nothing() -> None:
    """An album that is refused takes nothing: a single picture is still allowed."""
    limiter = new_limiter(Clock())
    limiter.take(ANNA)

    assert limiter.take(ANNA, 3) == TooFast(10, is_told=False)
    assert limiter.take(ANNA, 2) is None


@given(st.lists(st.tuples(st.integers(1, 4), st.floats(0, 60)), max_size=40))
def test_who_waits_as_told_is_allowed(steps: list[tuple[int, float]]) -> None:
    """After the waiting time that was told, the same request is allowed, whatever was asked before."""
    clock = Clock()
    limiter = new_limiter(clock, burst=4)

    for pictures, pause in steps:
        refusal = limiter.take(ANNA, pictures)
        if refusal:
            clock.now += refusal.seconds
            assert limiter.take(ANNA, pictures) is None
        clock.now += pause


@given(st.lists(st.tuples(st.sampled_from([ANNA, BOB]), st.floats(0, 5)), min_size=1, max_size=200))
def test_the_limit_holds_over_any_time(asks: list[tuple[int, float]]) -> None:
    """Nobody is ever allowed more than the burst and what the time since the start fills up."""
    clock = Clock()
    limiter = new_limiter(clock)
    allowed: Counter[int] = Counter()

    for person, pause in asks:
        clock.now += pause
        allowed[person] += limiter.take(person) is None

        assert allowed[person] <= 3 + math.floor(clock.now / 10 + 1e-9)


def test_buckets_that_are_full_again_are_forgotten() -> None:
    """A limiter that has seen many people keeps those that matter still."""
    clock = Clock()
    limiter = new_limiter(clock)
    for person in range(1000):
        clock.now += 5
        limiter.take(person)

    assert len(limiter._buckets) < 5
