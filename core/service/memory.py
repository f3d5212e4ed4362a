"""Keep the C library from holding on to memory that is free; where it is not glibc nothing happens."""

import ctypes
import gc

ARENA_MAX = -8
"""glibc's number of the limit (M_ARENA_MAX in malloc.h)."""
ARENAS = 2
"""Instead of eight a core: each keeps what its threads once needed, and pictures are encoded in many threads."""


def limit_arenas() -> None:
    """Have all threads share few pools of memory, from now on."""
    limit = getattr(ctypes.CDLL(None), "mallopt", None)
    if limit:
        limit(ARENA_MAX, ARENAS)


def trim() -> None:
    """Return what is free to the system; glibc does not by itself, after work that needed much."""
    give = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give:
        give(0)


def give_back() -> None:
    """Collect what nobody uses any more, and return it to the system."""
    gc.collect()
    trim()
