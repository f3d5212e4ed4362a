"""Supervision: a service that fails is restarted, and the others keep running."""

import asyncio
import logging

import pytest

from core.errors import IgSearchError, StoreError
from core.service.supervision import Part, supervise

PATIENCE_SECONDS = 30.0


class Service:
    """A part whose lives end as told, in turn; the last goes on until it is stopped."""

    def __init__(self, *ends: Exception | None) -> None:
        self._ends = list(ends)
        self.starts = 0
        self.stops = 0
        self.runs_on = asyncio.Event()

    async def __call__(self, stopped: asyncio.Event) -> None:
        self.starts += 1
        if self._ends:
            end = self._ends.pop(0)
            if end:
                raise end
            return
        self.runs_on.set()
        await stopped.wait()
        self.stops += 1


async def _until_all_run_on(parts: dict[str, Service]) -> None:
    """Supervise parts until each is in its last life, then stop them."""
    stopped = asyncio.Event()
    supervised: dict[str, Part] = {**parts}
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(supervise(supervised, stopped))
        for part in parts.values():
            await part.runs_on.wait()
        stopped.set()


async def test_a_service_that_ends_is_started_again_and_takes_none_along(caplog: pytest.LogCaptureFixture) -> None:
    """A service that ends, with a known error, an unexpected one or none, is logged and restarted; others run on."""
    parts = {
        "sound": Service(),
        "refused": Service(StoreError("The database refuses us: check its permissions.")),
        "broken": Service(ZeroDivisionError("division by zero")),
        "deserting": Service(None),
    }

    with caplog.at_level(logging.ERROR):
        await _until_all_run_on(parts)

    assert {name: (part.starts, part.stops) for name, part in parts.items()} == {
        "sound": (1, 1),
        "refused": (2, 1),
        "broken": (2, 1),
        "deserting": (2, 1),
    }
    assert sorted(caplog.messages) == [
        f"{sentence} Restarting it in 1 s"
        for sentence in (
            "broken ended: unexpected ZeroDivisionError: division by zero. This is a fault in igsearch: report it.",
            "deserting ended: it was not told to stop.",
            "refused ended: The database refuses us: check its permissions.",
        )
    ]


async def test_one_service_alone_ends_with_the_error_of_its_first_start() -> None:
    """If there is only one service, an error with a remedy reaches the person who started it."""
    part = Service(StoreError("No database."), None)

    with pytest.raises(StoreError, match="No database"):
        await supervise({"alone": part}, asyncio.Event())

    assert part.starts == 1


async def test_one_service_alone_is_started_again_after_a_fault() -> None:
    """An unexpected exception ends not even a service that is alone."""
    part = Service(RuntimeError("a fault"))

    await _until_all_run_on({"alone": part})

    assert (part.starts, part.stops) == (2, 1)


@pytest.mark.parametrize("count", [1, 3])
async def test_who_is_stopped_starts_nothing(count: int) -> None:
    """If the stop comes first, no service is started."""
    parts = {str(number): Service() for number in range(count)}
    stopped = asyncio.Event()
    stopped.set()

    await supervise(parts, stopped)

    assert [part.starts for part in parts.values()] == [0] * count


@pytest.mark.parametrize("error", [IgSearchError("late"), ValueError("late")])
async def test_an_error_amid_the_end_is_no_failure(error: Exception) -> None:
    """A service that fails when it is being stopped is not started again, nor is its error raised."""
    stopped = asyncio.Event()
    starts = []

    async def part(stopped: asyncio.Event) -> None:
        starts.append(1)
        stopped.set()
        raise error

    await supervise({"alone": part}, stopped)

    assert len(starts) == 1


async def test_a_service_that_waits_for_its_next_start_is_not_started_after_the_stop() -> None:
    """A stop during the pauses ends them, and everything."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    starts = []

    async def failing(_: asyncio.Event) -> None:
        starts.append(1)
        loop.call_soon(stopped.set)
        raise ValueError

    async with asyncio.timeout(PATIENCE_SECONDS):
        await supervise({"one": failing, "two": failing}, stopped)

    assert len(starts) == 2


async def test_a_cancelled_supervision_ends_its_services() -> None:
    """Cancelling reaches every service and is not taken for a failure."""
    parts = {"one": Service(), "two": Service()}
    supervised: dict[str, Part] = {**parts}
    task = asyncio.create_task(supervise(supervised, asyncio.Event()))
    for part in parts.values():
        await part.runs_on.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(part.starts, part.stops) for part in parts.values()] == [(1, 0), (1, 0)]


async def test_a_cancellation_from_within_is_a_failure() -> None:
    """A part that lets a CancelledError out, which nobody sent it, is started again."""
    stopped, again, starts = asyncio.Event(), asyncio.Event(), []

    async def leaking(stopped: asyncio.Event) -> None:
        starts.append(1)
        if len(starts) == 1:
            raise asyncio.CancelledError
        again.set()
        await stopped.wait()

    async def sound(stopped: asyncio.Event) -> None:
        await stopped.wait()

    running = asyncio.create_task(supervise({"leaking": leaking, "sound": sound}, stopped))
    async with asyncio.timeout(30):
        await again.wait()
    stopped.set()
    await running

    assert len(starts) == 2
