"""Run tasks on pictures in worker processes, each of which may crash, hang or be killed without harm.

A picture that kills its worker gets a clear error, and nothing else is affected. A worker has a limited address space,
writes no files, leaves no core dump, and has none of igsearch's settings in its environment: core/settings.py removes
them from the main process before the first worker starts.
"""

import asyncio
import contextlib
import fcntl
import logging
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from threading import Thread
from typing import Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pebble import ProcessExpired, ProcessPool

from core.errors import Crashed, ImageError, NoWorkers, PathError, TooLarge, TooSlow
from core.fingerprints.features import Pass
from core.imaging.editing import edited_file
from core.imaging.files import MAX_BYTES, too_many_bytes
from core.model.fingerprints import PhotoHashes
from core.model.matches import Evidence
from core.workers.tasks import (
    CandidateCheck,
    Description,
    FileDigest,
    FileFeatures,
    FileHashes,
    HashedQuery,
    colours,
    describe_bytes,
    describe_pixels,
    digest_file,
    extract_features,
    hash_bytes,
    hash_file,
    hash_query,
    verify_candidates,
)

PICTURE_SECONDS = 10.0
PICTURE_MEMORY = 1 << 30
"""Bytes of address space above those of a fresh worker. A picture of 50 megapixels needs up to 0.81 GB (WebP)."""
TASKS_A_WORKER = 2
"""Tasks scheduled at a time: one running and one waiting, so that no worker waits for the main process."""
STUCK_SECONDS = 10.0
"""This long after the time limits of all scheduled tasks the pool itself must be stuck: a process killed from outside
may have held one of Pebble's locks."""
POOLS_A_TASK = 3
PRELOADED = ["core.workers.pool", "pillow_heif"]
"""Imported once for all workers: a worker that replaces a crashed one is ready in 60 ms instead of 180."""
PAGE = resource.getpagesize()
STANDARD_ERROR = 2
ENDED_FROM_OUTSIDE = frozenset((-signal.SIGTERM, 255))
"""Exit codes that no picture causes: a service manager ends all processes, or the fork server ended first (255)."""

logger = logging.getLogger(__name__)
T = TypeVar("T")


class PhotoWorkers:
    """A pool of worker processes, for one event loop; `restarted` is called when workers are replaced."""

    def __init__(
        self,
        count: int,
        *,
        seconds: float = PICTURE_SECONDS,
        memory: int = PICTURE_MEMORY,
        restarted: Callable[[], None] = lambda: None,
    ) -> None:
        self.count = count
        self._restarted = restarted
        self._seconds = seconds
        self._memory = memory
        self._places = asyncio.Semaphore(count * TASKS_A_WORKER)
        self._busy = 0
        self._pool: ProcessPool | None = None
        self._is_refused = False

    @property
    def is_alive(self) -> bool:
        """Tell whether workers could be started when a picture last needed one.

        An idle pool has no workers, and a broken pool is replaced, so neither counts.
        """
        return not self._is_refused

    async def hash_file(self, path: bytes) -> FileHashes:
        """Read a file and compute its hashes; raises ImageError or PathError."""
        return await self._run(hash_file, path)

    async def hash_bytes(self, data: bytes) -> PhotoHashes:
        """Compute the hashes of a picture; raises ImageError."""
        if len(data) > MAX_BYTES:
            raise too_many_bytes(len(data))
        return await self._run(hash_bytes, data)

    async def digest_file(self, path: bytes) -> FileDigest:
        """Digest a file without decoding it; raises ImageError or PathError."""
        return await self._run(digest_file, path)

    async def extract_features(self, path: bytes) -> FileFeatures:
        """Read a file and extract its features; raises ImageError or PathError."""
        return await self._run(extract_features, path)

    async def hash_query(self, data: bytes) -> HashedQuery:
        """Compute the hashes of a query photo and keep its pixels; raises ImageError."""
        if len(data) > MAX_BYTES:
            raise too_many_bytes(len(data))
        return await self._run(hash_query, data)

    async def describe_bytes(self, data: bytes, sizes: Pass) -> Description:
        """Decode a query photo and extract its features; raises ImageError."""
        return await self._run(describe_bytes, data, sizes)

    async def describe_pixels(self, pixels: NDArray[np.uint8], sizes: Pass) -> Description:
        """Extract the features of a decoded query photo, grey pixels (rows, columns) uint8; raises ImageError."""
        return await self._run(describe_pixels, pixels, sizes)

    async def verify(self, check: CandidateCheck) -> list[Evidence]:
        """Look for candidates in a query photo, the best aligned first; raises ImageError."""
        return await self._run(verify_candidates, check)

    async def colours(self, data: bytes, *, side: int) -> NDArray[np.uint8]:
        """Decode a picture for display: (rows, columns, 3) uint8, the short side about `side`; raises ImageError."""
        return await self._run(colours, data, side)

    async def edit_file(self, path: bytes) -> bytes:
        """Read a photo and return a lightly edited copy as a JPEG; raises ImageError or PathError."""
        return await self._run(edited_file, path)

    async def release(self) -> None:
        """Stop the worker processes, which hold 30 MB each, unless they are busy; the next picture starts new ones."""
        if self._pool and not self._busy:
            await self.close()

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool:
            await asyncio.to_thread(_stop, pool)

    async def __aenter__(self) -> Self:
        self._pool = self._pool or _started(self._fresh_pool)  # starts while the caller opens its database
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, task: Callable[..., T], *arguments: object) -> T:
        """Run a task; if the pool itself fails, run it again in a new pool."""
        self._busy += 1
        try:
            async with self._places:
                return await self._run_in_some(task, *arguments)
        except NoWorkers:
            self._is_refused = True
            raise
        finally:
            self._busy -= 1

    async def _run_in_some(self, task: Callable[..., T], *arguments: object) -> T:
        for _ in range(POOLS_A_TASK):
            pool = self._pool = self._pool or _started(self._fresh_pool)
            self._is_refused = False
            try:
                return await self._run_in(pool, task, *arguments)
            except BrokenProcessPool:
                self._replace(pool)
        raise _crashed()

    async def _run_in(self, pool: ProcessPool, task: Callable[..., T], *arguments: object) -> T:
        try:
            async with asyncio.timeout(self._seconds * TASKS_A_WORKER + STUCK_SECONDS) as limit:
                return await asyncio.wrap_future(_scheduled(pool, task, *arguments, seconds=self._seconds))
        except TimeoutError as error:
            if limit.expired():
                raise BrokenProcessPool from error
            self._restarted()
            raise TooSlow(f"Reading the picture took over {self._seconds:g} s and was stopped.") from error
        except MemoryError as error:
            raise TooLarge("The picture needs more memory than any photo does: send a smaller copy.") from error
        except ProcessExpired as error:
            if error.exitcode in ENDED_FROM_OUTSIDE:
                raise BrokenProcessPool from error
            self._restarted()
            raise _crashed() from error
        except (ImageError, PathError, NoWorkers, BrokenProcessPool):
            raise
        except Exception as error:  # broad on purpose: whatever a decoder raises concerns only its picture
            logger.warning("a picture met a fault in igsearch (%s: %s): report it", type(error).__name__, error)
            raise _crashed() from error

    def _replace(self, broken: ProcessPool) -> None:
        if self._pool is broken:
            self._restarted()
            self._pool = self._fresh_pool()
            # A broken pool may never stop, so a daemon thread stops it: not even the end of the process waits for it.
            Thread(target=_stop, args=(broken,), daemon=True).start()

    def _fresh_pool(self) -> ProcessPool:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        _start_fork_server()
        return ProcessPool(self.count, initializer=_confine, initargs=[self._memory], context=context)


def _start_fork_server() -> None:
    """Start the fork server of the workers, unless it is running, with a safe import path and no standard error.

    It must not import a core/ from the current folder. Messages that decoders print on standard error (libtiff does),
    or a worker that is stopped while it starts, must not reach the terminal: errors are reported as exceptions.
    """
    os.putenv("PYTHONSAFEPATH", "1")
    os.putenv("OPENBLAS_NUM_THREADS", "1")  # each core already has a worker
    saved, nowhere = os.dup(STANDARD_ERROR), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STANDARD_ERROR)
    try:
        ensure_running()
    finally:
        os.dup2(saved, STANDARD_ERROR)
        os.close(saved)
        os.close(nowhere)


def _scheduled(pool: ProcessPool, task: Callable[..., T], *arguments: object, seconds: float) -> Future[T]:
    """Schedule a task in a pool; raises BrokenProcessPool if the pool has ended.

    If an idle worker is killed from outside, as when the system runs out of memory, Pebble ends the whole pool.
    """
    try:
        return _started(lambda: cast("Future[T]", pool.schedule(task, args=arguments, timeout=seconds)))
    except RuntimeError as error:
        raise BrokenProcessPool from error


def _started(start: Callable[[], T]) -> T:
    """Call a function that starts processes; raises NoWorkers if the system refuses."""
    try:
        return start()
    except OSError as error:
        raise NoWorkers(
            f"No process to read pictures in can be started ({error.strerror or error}): close other programs, or raise"
            " the limits of open files (ulimit -n) and processes (ulimit -u)."
        ) from error


def _crashed() -> Crashed:
    return Crashed("The picture crashed the process that read it: save it again and send the copy.")


def _stop(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


def _confine(memory: int) -> None:
    """Prepare a new worker process: set limits, ignore the terminal's Ctrl-C, and end together with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Pebble's handler waits for the decoder, and Pebble 3 s for that
    _die_with_parent()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    with contextlib.suppress(ValueError):  # a lower limit set from outside stays
        resource.setrlimit(resource.RLIMIT_AS, (pages * PAGE + memory,) * 2)
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))


def _die_with_parent() -> None:
    """Make the kernel kill this worker as soon as its parent is gone, even during an endless loop of a decoder.

    The sentinel is a pipe whose other end only the parent holds.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(parent.sentinel, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, fcntl.fcntl(parent.sentinel, fcntl.F_GETFL) | os.O_ASYNC)
