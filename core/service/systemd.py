"""Notify a service manager such as systemd of a service's state (sd_notify)."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

BEAT_SECONDS = 10.0
"""Half the shortest sensible WatchdogSec."""


def notifier(address: str) -> Callable[[str], None]:
    """Return a function that sends a state, such as READY=1, to a socket; without an address it does nothing."""
    if not address:
        return lambda _state: None
    path = "\0" + address[1:] if address.startswith("@") else address

    def send(state: str) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(state.encode(errors="replace"), socket.MSG_DONTWAIT, path)

    return send


@asynccontextmanager
async def announced(notify: Callable[[str], None]) -> AsyncIterator[None]:
    """Tell the service manager that a service has started, that its event loop is alive, and that it is stopping.

    Started does not mean connected: without its database or its chat a service waits, and a restart would not help.
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
