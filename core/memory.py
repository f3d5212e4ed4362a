"""Give memory back to the system that the C library keeps for later."""

import ctypes
import gc


def give_back() -> None:
    """Return what is free; glibc does not by itself, after work that needed much. Elsewhere nothing happens."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
