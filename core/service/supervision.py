"""Run several services in one process: a failed one is restarted, and the others keep running."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TypeVar

from core.errors import IgSearchError
from core.service.backoff import Backoff

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
HEALTHY_SECONDS = 300.0
"""Time of running after which a failure counts as the first one again."""

T = TypeVar("T")

Part = Callable[[asyncio.Event], Awaitable[None]]
"""A service: it runs until the event is set, and then shuts down cleanly."""

logger = logging.getLogger(__name__)


async def supervise(parts: Mapping[str, Part], stopped: asyncio.Event) -> None:
    """Run services until `stopped`; if there is only one, raises the IgSearchError of its first start."""
    if len(parts) == 1:
        ((name, part),) = parts.items()
        await _keep(name, part, stopped, is_alone=True)
        return
    async with asyncio.TaskGroup() as group:
        for name, part in parts.items():
            group.create_task(_keep(name, part, stopped, is_alone=False))


async def _keep(name: str, part: Part, stopped: asyncio.Event, *, is_alone: bool) -> None:
    backoff, is_first = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS), True
    while not stopped.is_set():
        began = time.monotonic()
        error = await _run(name, part, stopped)
        if stopped.is_set():
            return
        was_healthy = time.monotonic() - began > HEALTHY_SECONDS
        if is_alone and is_first and isinstance(error, IgSearchError) and not was_healthy:
            raise error
        if was_healthy:
            backoff.reset()
        is_first, pause = False, backoff.next()
        logger.error("%s ended: %s Restarting it in %.0f s", name, _sentence(error), pause)
        await rest(stopped, pause)


async def _run(name: str, part: Part, stopped: asyncio.Event) -> Exception | None:
    """Run a service once; return the error that ended it, if any."""
    logger.info("starting %s", name)
    try:
        await part(stopped)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise
        return RuntimeError("it was cancelled from within")
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends this service only
        return error
    return None


async def until_first(*works: Coroutine[None, None, None]) -> None:
    """Run several coroutines until one of them ends, cancel the others, and raise its error, if any."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def unless_stopped(work: Awaitable[T], stopped: asyncio.Event) -> T | None:
    """Await something; if stopped before it is done, cancel it and return None."""
    task = asyncio.ensure_future(work)
    stop = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for one in (task, stop):
            one.cancel()


async def rest(stopped: asyncio.Event, seconds: float) -> None:
    """Wait for some seconds, or until stopped."""
    try:
        await asyncio.wait_for(stopped.wait(), seconds)
    except TimeoutError:
        return


def _sentence(error: Exception | None) -> str:
    if error is None:
        return "it was not told to stop."
    if isinstance(error, IgSearchError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}. This is a fault in igsearch: report it."
