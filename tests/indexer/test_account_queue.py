"""The queue: fresh accounts come when they are due, waiting ones keep their order, and none is lost."""

from hypothesis import given
from hypothesis import strategies as st

from indexer.account_queue import AccountQueue

USERNAMES = st.lists(st.sampled_from(["anna", "bob", "carl", "dora", "elif"]))
MOMENTS = st.lists(st.floats(0, 1000), min_size=1)


def test_a_fresh_account_is_taken_when_it_is_due() -> None:
    """An account is not taken before it is due, and from then on once."""
    queue = AccountQueue()
    queue.add_fresh("anna", 5.0)
    queue.add_fresh("bob", 7.0)

    taken = [queue.take_due(moment) for moment in (4.9, 5.0, 6.9, 9.0, 9.0)]

    assert taken == [[], ["anna"], [], ["bob"], []]


@given(MOMENTS)
def test_of_several_moments_the_earliest_counts(moments: list[float]) -> None:
    """An account that keeps changing does not become due later."""
    queue = AccountQueue()
    for moment in moments:
        queue.add_fresh("anna", moment)

    due = queue.next_due

    assert due == min(moments)
    assert queue.take_due(min(moments)) == ["anna"]
    assert (len(queue), queue.next_due) == (0, None)


@given(USERNAMES, st.integers(1, 3))
def test_the_line_is_served_in_its_order(usernames: list[str], at_a_time: int) -> None:
    """Accounts that wait are taken once each, in the order in which they came."""
    queue = AccountQueue()
    queue.add_waiting(usernames, 0.0)

    taken = []
    while queue.is_anyone_waiting:
        taken += queue.take_waiting(at_a_time)

    assert taken == list(dict.fromkeys(usernames))
    assert queue.take_waiting(at_a_time) == []


@given(USERNAMES, USERNAMES)
def test_who_is_put_first_goes_first(waiting: list[str], first: list[str]) -> None:
    """The remainder of a scan goes before all waiting accounts, in its own order."""
    queue = AccountQueue()
    queue.add_waiting(waiting, 0.0)

    queue.add_first(dict.fromkeys(first), 1.0)

    assert queue.take_waiting(10) == list(dict.fromkeys(first + waiting))


def test_a_fresh_visit_does_not_cost_the_place_in_line() -> None:
    """An account may be both fresh and waiting: it counts once, and each of the two is taken separately."""
    queue = AccountQueue()
    queue.add_waiting(["bob", "anna"], 0.0)
    queue.add_fresh("anna", 1.0)

    count, due, waiting = len(queue), queue.take_due(1.0), queue.take_waiting(2)

    assert (count, due, waiting) == (2, ["anna"], ["bob", "anna"])


def test_who_was_visited_leaves_the_line_but_stays_fresh() -> None:
    """A scan ends the waiting, but not changes that happened meanwhile."""
    queue = AccountQueue()
    queue.add_waiting(["anna", "bob"], 0.0)
    queue.add_fresh("anna", 1.0)

    queue.discard(["anna", "nobody"])

    assert queue.take_due(1.0) == ["anna"]
    assert queue.take_waiting(2) == ["bob"]


@given(MOMENTS, MOMENTS, st.floats(0, 2000))
def test_the_lag_is_that_of_the_first(fresh: list[float], waiting: list[float], now: float) -> None:
    """The lag counts from the earliest due time; a waiting account is due since it joined the queue."""
    queue = AccountQueue()
    for number, moment in enumerate(fresh):
        queue.add_fresh(f"fresh{number}", moment)
    for number, moment in enumerate(waiting):
        queue.add_waiting([f"waiting{number}"], moment)
        queue.add_waiting([f"waiting{number}"], moment + 1)
        queue.add_first([f"waiting{number}"], moment + 2)

    lag = queue.lag(now)

    assert lag == max(0.0, now - min(fresh + waiting))


def test_an_empty_agenda_has_no_lag() -> None:
    """An empty queue has no lag."""
    assert AccountQueue().lag(1000.0) == 0.0
