"""The agenda: what is fresh goes when it is due, what waits keeps its place in line, and nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from indexer.agenda import Agenda

USERNAMES = st.lists(st.sampled_from(["anna", "bob", "carl", "dora", "elif"]))
MOMENTS = st.lists(st.floats(0, 1000), min_size=1)


def test_a_fresh_account_is_taken_when_it_is_due() -> None:
    """Before its moment an account is not taken, from then on once."""
    agenda = Agenda()
    agenda.add_fresh("anna", 5.0)
    agenda.add_fresh("bob", 7.0)

    taken = [agenda.take_due(moment) for moment in (4.9, 5.0, 6.9, 9.0, 9.0)]

    assert taken == [[], ["anna"], [], ["bob"], []]


@given(MOMENTS)
def test_of_several_moments_the_earliest_counts(moments: list[float]) -> None:
    """An account where something goes on happening is due no later for it."""
    agenda = Agenda()
    for moment in moments:
        agenda.add_fresh("anna", moment)

    due = agenda.next_due

    assert due == min(moments)
    assert agenda.take_due(min(moments)) == ["anna"]
    assert (len(agenda), agenda.next_due) == (0, None)


@given(USERNAMES, st.integers(1, 3))
def test_the_line_is_served_in_its_order(usernames: list[str], at_a_time: int) -> None:
    """Accounts that wait are taken once each, in the order in which they came."""
    agenda = Agenda()
    agenda.add_waiting(usernames, 0.0)

    taken = []
    while agenda.is_anyone_waiting:
        taken += agenda.take_waiting(at_a_time)

    assert taken == list(dict.fromkeys(usernames))
    assert agenda.take_waiting(at_a_time) == []


@given(USERNAMES, USERNAMES)
def test_who_is_put_first_goes_first(waiting: list[str], first: list[str]) -> None:
    """What a visit left over goes before all who wait, in its own order."""
    agenda = Agenda()
    agenda.add_waiting(waiting, 0.0)

    agenda.add_first(dict.fromkeys(first), 1.0)

    assert agenda.take_waiting(10) == list(dict.fromkeys(first + waiting))


def test_a_fresh_visit_does_not_cost_the_place_in_line() -> None:
    """An account may be fresh and wait: it counts once, and each of the two is taken for itself."""
    agenda = Agenda()
    agenda.add_waiting(["bob", "anna"], 0.0)
    agenda.add_fresh("anna", 1.0)

    count, due, waiting = len(agenda), agenda.take_due(1.0), agenda.take_waiting(2)

    assert (count, due, waiting) == (2, ["anna"], ["bob", "anna"])


def test_who_was_visited_leaves_the_line_but_stays_fresh() -> None:
    """A visit ends the waiting, not what happened meanwhile."""
    agenda = Agenda()
    agenda.add_waiting(["anna", "bob"], 0.0)
    agenda.add_fresh("anna", 1.0)

    agenda.strike(["anna", "nobody"])

    assert agenda.take_due(1.0) == ["anna"]
    assert agenda.take_waiting(2) == ["bob"]


@given(MOMENTS, MOMENTS, st.floats(0, 2000))
def test_the_lag_is_that_of_the_first(fresh: list[float], waiting: list[float], now: float) -> None:
    """The lag counts from the first moment that has passed; who waits does so since joining the line."""
    agenda = Agenda()
    for number, moment in enumerate(fresh):
        agenda.add_fresh(f"fresh{number}", moment)
    for number, moment in enumerate(waiting):
        agenda.add_waiting([f"waiting{number}"], moment)
        agenda.add_waiting([f"waiting{number}"], moment + 1)
        agenda.add_first([f"waiting{number}"], moment + 2)

    lag = agenda.lag(now)

    assert lag == max(0.0, now - min(fresh + waiting))


def test_an_empty_agenda_has_no_lag() -> None:
    """With nobody to visit nothing is late."""
    assert Agenda().lag(1000.0) == 0.0
