"""An HTTP server on loopback for tests, in a thread of its own: it can go away and come back on the same port."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from tests.journal import PATIENCE_SECONDS

# What hangs is cut, as by a server that dies; 0 would mean to wait for ever.
SHUTDOWN_SECONDS = 0.05

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(eq=False)
class Loopback:
    """Hands every request to one handler; `carry_out` is called from the threads of tests."""

    loop: asyncio.AbstractEventLoop
    handler: Handler
    biggest_request: int
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def carry_out(self, work: Coroutine[None, None, None]) -> None:
        """Do something in the server's loop, and wait for it."""
        asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_SECONDS)

    async def open(self) -> None:
        """Listen, after a close on the same port as before."""
        application = web.Application(client_max_size=self.biggest_request)
        application.router.add_route("*", "/{path:.*}", self.handler)
        self._runner = web.AppRunner(
            application, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS, access_log=None
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Cut every connection and refuse new ones."""
        if self._runner:
            await self._runner.cleanup()
        self._runner = None


@contextmanager
def running_loop(name: str) -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread of its own until the end of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=name, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
