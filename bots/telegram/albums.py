"""Gather albums: their pictures arrive as separate messages in quick succession, and none is marked as the last."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

QUIET_SECONDS = 1.0
"""The pause after which an album counts as complete."""
LARGEST_ALBUM = 10

T = TypeVar("T")


@dataclass(slots=True)
class _Album(Generic[T]):
    items: list[T]
    grew: asyncio.Event = field(default_factory=asyncio.Event)


class Albums(Generic[T]):
    """The albums that are being gathered, each until nothing more arrives under its key."""

    def __init__(self, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._quiet_seconds = quiet_seconds
        self._open: dict[Hashable, _Album[T]] = {}

    async def gathered(self, key: Hashable, item: T) -> list[T] | None:
        """Return the whole album, once complete, to the caller with its first item; None to the others at once."""
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
