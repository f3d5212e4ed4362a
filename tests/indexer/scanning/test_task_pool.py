"""The task pool: tasks run in parallel, and none is cancelled midway."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import pytest

from core.errors import Unavailable
from indexer.scanning.task_pool import TaskPool


async def _results(pool: TaskPool, items: AsyncIterator[int], work: Callable[[int], Awaitable[None]]) -> list[None]:
    async with aclosing(pool.map(items, work)) as results:
        return [result async for result in results]


async def _numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def test_every_item_is_done_once() -> None:
    """However many tasks are running, each item is done by one of them."""
    done: list[int] = []

    async def task(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    await _results(TaskPool(2), _numbers(100), task)

    assert sorted(done) == list(range(100))


async def test_a_failure_lets_the_others_finish() -> None:
    """When the store fails, running tasks are finished and no more are started; the failure is raised."""
    begun: list[int] = []
    finished: list[int] = []
    failed = asyncio.Event()

    async def task(number: int) -> None:
        begun.append(number)
        if number == 3:
            failed.set()
            raise Unavailable("It is away.")
        await failed.wait()
        await asyncio.sleep(0)
        finished.append(number)

    with pytest.raises(Unavailable):
        await _results(TaskPool(2), _numbers(1000), task)

    assert set(begun) == {*finished, 3}
    assert len(begun) < 20


async def test_a_source_that_fails_lets_the_others_finish() -> None:
    """The same holds if the store fails while more items are read; the pool can be used again later."""
    finished: list[int] = []
    begun = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        yield 0
        await begun.wait()
        raise Unavailable("It is away.")

    async def task(number: int) -> None:
        begun.set()
        await asyncio.sleep(0)
        finished.append(number)

    pool = TaskPool(1)
    with pytest.raises(Unavailable):
        await _results(pool, source(), task)
    await _results(pool, _numbers(3), task)

    assert finished == [0, 0, 1, 2]


async def test_a_fault_of_ours_is_raised_as_it_is() -> None:
    """An unexpected exception ends the work, and is not hidden in an exception group."""

    async def task(_number: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await _results(TaskPool(2), _numbers(9), task)


async def test_what_nobody_waits_for_is_finished() -> None:
    """If the caller stops taking results, as when the store fails, no running task is cancelled."""
    finished: list[int] = []
    gate = asyncio.Event()

    async def task(number: int) -> int:
        if number:
            await gate.wait()
        finished.append(number)
        return number + 1

    async with aclosing(TaskPool(1).map(_numbers(100), task)) as results:
        assert await anext(results) == 1
        asyncio.get_running_loop().call_soon(gate.set)

    assert sorted(finished) == list(range(len(finished)))
    assert 1 < len(finished) < 20


async def test_a_stop_begins_no_other_item() -> None:
    """Tasks that are running when the pool is stopped still yield their results."""
    pool, done = TaskPool(1), list[int]()

    async def task(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async with aclosing(pool.map(_numbers(1000), task)) as results:
        async for number in results:
            done.append(number)
            pool.stop()

    assert sorted(done) == list(range(len(done)))
    assert 0 < len(done) < 20
