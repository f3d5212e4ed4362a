"""The hands of a job: side by side, and nobody is called off in the middle."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from core.errors import Unavailable
from core.model.records import Change, RemoveFile
from indexer.scanning.task_pool import TaskPool
from indexer.scanning.write_batch import BATCH_FILES, WriteBatch


async def _numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def test_every_item_is_done_once() -> None:
    """However many hands there are, each item is done by one of them."""
    done: list[int] = []

    async def task(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    await TaskPool(2).work(_numbers(100), task)

    assert sorted(done) == list(range(100))


async def test_a_failure_lets_the_others_finish() -> None:
    """When the store fails, what others have in hand is finished and nothing more begun; the failure is raised."""
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
        await TaskPool(2).work(_numbers(1000), task)

    assert set(begun) == {*finished, 3}
    assert len(begun) < 20


async def test_a_source_that_fails_lets_the_hands_finish() -> None:
    """The same when the store fails while more work is asked for; the pool can work again later."""
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
        await pool.work(source(), task)
    await pool.work(_numbers(3), task)

    assert finished == [0, 0, 1, 2]


async def test_a_fault_of_ours_is_raised_as_it_is() -> None:
    """What nobody foresaw ends the work, and is not hidden in a group."""

    async def task(_number: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await TaskPool(2).work(_numbers(9), task)


async def test_a_failed_batch_asks_the_store_no_more() -> None:
    """After one failed transaction the others fail at once, with the same error."""
    asked = []

    class Away:
        async def write(self, changes: Sequence[Change]) -> None:
            asked.append(len(changes))
            raise Unavailable("It is away.")

    batch = WriteBatch(Away())
    for number in range(BATCH_FILES - 1):
        await batch.add(RemoveFile(b"%d" % number))
    for number in range(BATCH_FILES + 5):
        try:
            await batch.add(RemoveFile(b"more %d" % number))
        except Unavailable:
            continue
    with pytest.raises(Unavailable):
        await batch.flush()

    assert asked == [BATCH_FILES]
