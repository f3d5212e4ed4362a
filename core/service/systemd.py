"""Tell a service manager such as systemd how we are (sd_notify), where it listens."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

BEAT_SECONDS = 10.0
"""Half of the shortest sensible WatchdogSec."""


def notifier(address: str) -> Callable[[str], None]:
    """Return what sends a state, such as READY=1, to a socket; where there is none, nothing is sent."""
    if not address:
        return lambda _state: None
    path = "\0" + address[1:] if address.startswith("@") else address

    def send(state: str) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(state.encode(errors="replace"), socket.MSG_DONTWAIT, path)

    return send


@asynccontextmanager
async def announced(notify: Callable[[str], None]) -> AsyncIterator[None]:
    """Tell the service manager that a service is there, that its event loop lives, and that it ends.

    There, not connected: where its database or its chat is away it waits, and to be started again would not help.
    """
    beating = asyncio.create_task(_beat(notify))
    try:
        yield
    finally:
        beating.cancel()
        notify("STOPPING=1")


async def _beat(notify: Callable[[str], None]) -> None:
    notify("READY=1")
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(BEAT_SECONDS)
