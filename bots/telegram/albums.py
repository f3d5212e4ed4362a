"""Albums: pictures that were sent as one come as messages apart, one right after the other, with no last one marked."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

QUIET_SECONDS = 1.0
"""After which nothing more belongs to an album."""
LARGEST_ALBUM = 10

T = TypeVar("T")


@dataclass(slots=True)
class _Album(Generic[T]):
    items: list[T]
    grew: asyncio.Event = field(default_factory=asyncio.Event)


class Albums(Generic[T]):
    """Gathers what comes under one key until it is quiet."""

    def __init__(self, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._quiet_seconds = quiet_seconds
        self._open: dict[Hashable, _Album[T]] = {}

    async def gathered(self, key: Hashable, item: T) -> list[T] | None:
        """Return the whole album to whoever brings its first item, when it is quiet; None to the others, at once."""
        if key in self._open:
            album = self._open[key]
            album.items.append(item)
            album.grew.set()
            return None
        album = self._open[key] = _Album([item])
        try:
            while len(album.items) < LARGEST_ALBUM and await self._grows(album):
                album.grew.clear()
        finally:
            del self._open[key]
        return album.items

    async def _grows(self, album: _Album[T]) -> bool:
        try:
            async with asyncio.timeout(self._quiet_seconds):
                return await album.grew.wait()
        except TimeoutError:
            return False
