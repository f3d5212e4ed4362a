"""The queue in which people take turns."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers.fair_queue import Busy, Closed, FairQueue

ANNA, BOB = 1, 2


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


class Crowd:
    """People who stand in a queue and stay on their places until they are sent on."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.served: list[int] = []
        self.leave = asyncio.Semaphore(0)
        self.tasks: list[asyncio.Task[None]] = []

    def join(self, *people: int) -> None:
        self.tasks += [asyncio.create_task(self._stand(person)) for person in people]

    async def _stand(self, person: int) -> None:
        async with self.queue.place(person):
            self.served.append(person)
            await self.leave.acquire()

    async def send_on(self, count: int) -> None:
        for _ in range(count):
            self.leave.release()
            await settle()


async def test_people_take_turns() -> None:
    """Whoever comes after a flood of another is next, not last."""
    crowd = Crowd(FairQueue(places=1, share=1, bound=100))
    crowd.join(*[ANNA] * 5)
    await settle()

    crowd.join(BOB)
    await crowd.send_on(6)

    assert crowd.served.index(BOB) <= 2
    assert len(crowd.served) == 6


async def test_nobody_takes_more_than_their_share() -> None:
    """Places beyond a person's share stay free for others."""
    crowd = Crowd(FairQueue(places=3, share=2, bound=100))
    crowd.join(*[ANNA] * 5)
    await settle()
    before = list(crowd.served)

    crowd.join(BOB)
    await settle()

    assert before == [ANNA, ANNA]
    assert crowd.served == [ANNA, ANNA, BOB]
    await crowd.send_on(6)


async def test_a_full_line_says_so() -> None:
    """Beyond the bound nobody waits: Busy, at once."""
    queue = FairQueue(places=1, share=1, bound=2)
    crowd = Crowd(queue)
    crowd.join(ANNA, ANNA, BOB)
    await settle()

    with pytest.raises(Busy):
        async with queue.place(BOB):
            pass
    await crowd.send_on(3)


@given(st.lists(st.integers(0, 5), max_size=80))
def test_a_full_line_is_shared_evenly(people: list[int]) -> None:
    """Whoever is sent away had, at that moment, at least as many waiting as anybody who came then."""

    async def run() -> None:
        queue = FairQueue(places=1, share=1, bound=6)
        crowd = Crowd(queue)
        crowd.join(-1)
        await settle()
        crowd.join(*people)
        await settle()
        waiting = sorted(len(turns) for turns in queue._waiting.values())
        assert queue.waiting == min(len(people), 6)
        if queue.waiting == 6 and len(set(people)) >= 2:
            asked = Counter(people)
            refused = {person for person in asked if len(queue._waiting.get(person, ())) < asked[person]}
            assert all(len(queue._waiting.get(person, ())) >= waiting[-1] - 1 for person in refused)
        for task in crowd.tasks:
            task.cancel()
        await asyncio.gather(*crowd.tasks, return_exceptions=True)

    asyncio.run(run())


async def test_a_newcomer_gets_into_a_full_line() -> None:
    """Of a flood that fills the queue the last picture is sent away, and the newcomer is next."""
    crowd = Crowd(FairQueue(places=1, share=1, bound=3))
    crowd.join(*[ANNA] * 4)
    await settle()

    crowd.join(BOB)
    await crowd.send_on(4)

    *_, last, newcomer = await asyncio.gather(*crowd.tasks, return_exceptions=True)
    assert (type(last), newcomer) == (Busy, None)
    assert crowd.served.index(BOB) <= 2


async def test_a_closed_line_sends_waiting_people_away_and_finishes_the_rest() -> None:
    """Who waits hears Closed, who comes too; who has a place keeps it."""
    queue = FairQueue(places=1, share=1, bound=10)
    crowd = Crowd(queue)
    crowd.join(ANNA, BOB)
    await settle()

    queue.close()
    await crowd.send_on(1)

    first, second = await asyncio.gather(*crowd.tasks, return_exceptions=True)
    assert (first, type(second)) == (None, Closed)
    with pytest.raises(Closed):
        async with queue.place(ANNA):
            pass


@given(st.lists(st.tuples(st.sampled_from(["join", "leave", "cancel"]), st.integers(0, 3)), max_size=60))
def test_no_place_is_ever_lost(steps: list[tuple[str, int]]) -> None:
    """However people come, go and are cancelled, all places are free in the end and nobody is forgotten."""

    async def run() -> None:
        queue = FairQueue(places=2, share=1, bound=1000)
        crowd = Crowd(queue)
        for act, number in steps:
            if act == "join":
                crowd.join(number)
            elif act == "leave":
                crowd.leave.release()
            elif crowd.tasks:
                crowd.tasks[number % len(crowd.tasks)].cancel()
            await asyncio.sleep(0)
        for _ in range(len(crowd.tasks)):
            crowd.leave.release()
        await asyncio.gather(*crowd.tasks, return_exceptions=True)
        assert (queue._free, queue.waiting, +queue._taken) == (2, 0, Counter())

    asyncio.run(run())
