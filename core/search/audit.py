"""Audit the index: stored photos, lightly edited, must find themselves at rank 1."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from core.dataset import Dataset
from core.errors import ImageError, PathError
from core.model.files import Place
from core.model.matches import SearchResult

TrialOutcome = Literal["found", "missed", "too little detail", "unreadable"]


@dataclass(frozen=True, slots=True)
class Trial:
    """The outcome of one photo's trial."""

    place: Place
    outcome: TrialOutcome
    answer: str
    """The usernames found, or the reason why it could not be tried."""


class Editor(Protocol):
    """Editor of photos."""

    async def edit_file(self, path: bytes) -> bytes: ...


class Engine(Protocol):
    """The search engine under test."""

    async def search(self, data: bytes) -> SearchResult: ...


async def trials(
    dataset: Dataset, places: Sequence[Place], *, editor: Editor, engine: Engine, at_a_time: int
) -> AsyncIterator[Trial]:
    """Yield the trial of each photo, in order; raises StoreError."""
    for start in range(0, len(places), at_a_time):
        some = places[start : start + at_a_time]
        for trial in await asyncio.gather(*[_tried(dataset, place, editor, engine) for place in some]):
            yield trial


async def _tried(dataset: Dataset, place: Place, editor: Editor, engine: Engine) -> Trial:
    try:
        return _judged(place, await engine.search(await editor.edit_file(dataset.path_of(place.path))))
    except (ImageError, PathError) as error:
        return Trial(place, "unreadable", str(error))


def _judged(place: Place, result: SearchResult) -> Trial:
    """Judge a search result; a photo of several accounts is found if its own account is as sure as the first."""
    top = result.matches[0].confidence if result.matches else 0.0
    names = [match.username for match in result.matches]
    if any(match.username == place.username and match.confidence == top for match in result.matches):
        return Trial(place, "found", names[0])
    if result.verdict == "unsearchable":
        return Trial(place, "too little detail", "too little detail to search")
    return Trial(place, "missed", ", ".join(names) or "nobody")
