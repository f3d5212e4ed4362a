"""Search for the query images named on a command line, several at a time, and answer them in order."""

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from core.dataset import is_ignored_file, is_ignored_folder
from core.errors import ImageError, PathError
from core.imaging.files import read_file, read_limited
from core.model.matches import SearchResult
from core.model.records import Checkpoint
from core.search.engine import SearchEngine

STANDARD_INPUT = "-"
FOUND, NOTHING_FOUND = 0, 1


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one query."""

    query: str
    """The path of the query image."""
    searched: Checkpoint
    """The state of the index that was searched."""
    result: SearchResult | None
    """None if the query could not be searched."""
    error: PathError | ImageError | None
    """The reason for that."""


def expand(query: str) -> list[str]:
    """Return the query images that a path means; for a folder, its files in the order of their names.

    Raises PathError for a folder without any.
    """
    if query == STANDARD_INPUT or not os.path.isdir(query):
        return [query]
    if files := sorted(_files(query)):
        return files
    raise PathError(f"The folder {query} holds no picture: name a photo or a folder of photos.")


def _files(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder, onerror=_cannot_list):
        folders[:] = [name for name in folders if not is_ignored_folder(os.fsencode(name))]
        yield from (os.path.join(parent, name) for name in names if not is_ignored_file(os.fsencode(name)))


def _cannot_list(error: OSError) -> None:
    raise PathError(
        f"The folder {error.filename} cannot be listed ({error.strerror}): check its permissions."
    ) from error


class Answers:
    """The answers to a list of queries, of which `ahead` are searched while earlier ones are awaited."""

    def __init__(self, engine: SearchEngine, *, ahead: int) -> None:
        self._engine = engine
        self._ahead = ahead
        self._is_stopped = False
        self._has_found = False
        self._first_fault: int | None = None

    @property
    def exit_code(self) -> int:
        """Return 0 if any query was found or the search was stopped, else the code of the first fault, else 1."""
        if self._has_found or self._is_stopped:
            return FOUND
        return NOTHING_FOUND if self._first_fault is None else self._first_fault

    def stop(self) -> None:
        """Finish the queries in progress and begin no other."""
        self._is_stopped = True

    async def to(self, queries: Sequence[str]) -> AsyncIterator[Answer]:
        """Yield the answer to each query, in order; raises StoreError when the database fails."""
        searched = await self._engine.refresh()
        waiting: deque[asyncio.Task[Answer]] = deque()
        try:
            for query in queries:
                if self._is_stopped:
                    break
                waiting.append(asyncio.create_task(self._answer(query, searched)))
                if len(waiting) > self._ahead:
                    yield self._noted(await waiting.popleft())
            while waiting:
                yield self._noted(await waiting.popleft())
        finally:
            for task in waiting:
                task.cancel()

    async def _answer(self, query: str, searched: Checkpoint) -> Answer:
        try:
            result = await self._engine.search(await asyncio.to_thread(read_query, query))
        except (PathError, ImageError) as error:
            return Answer(query, searched, None, error)
        return Answer(query, result.searched, result, None)

    def _noted(self, answer: Answer) -> Answer:
        self._has_found |= answer.result is not None and answer.result.verdict == "match"
        if answer.error and self._first_fault is None:
            self._first_fault = answer.error.exit_code
        return answer


def read_query(query: str) -> bytes:
    """Read a query image, whose path may be a symbolic link."""
    if query == STANDARD_INPUT:
        if sys.stdin is None:
            raise PathError("Standard input is closed: name a file, or pipe a picture in.")
        return read_limited(sys.stdin.buffer)
    return read_file(query, follow_links=True).data
