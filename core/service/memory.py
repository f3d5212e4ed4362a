"""Return freed memory to the system, which glibc keeps; with another C library do nothing."""

import ctypes
import gc

ARENA_MAX = -8
"""glibc's number for this limit (M_ARENA_MAX in malloc.h)."""
ARENAS = 2
"""Instead of eight per core: each keeps the memory that its threads once needed, and many threads encode pictures."""


def limit_arenas() -> None:
    """Make all threads share a few memory pools from now on."""
    limit = getattr(ctypes.CDLL(None), "mallopt", None)
    if limit:
        limit(ARENA_MAX, ARENAS)


def trim() -> None:
    """Return free memory to the system; glibc does not do so by itself after memory-hungry work."""
    give = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give:
        give(0)


def give_back() -> None:
    """Collect garbage, and return free memory to the system."""
    gc.collect()
    trim()
