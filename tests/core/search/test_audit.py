"""The audit tells photos that find themselves from those that do not."""

from pathlib import Path

from core.dataset import Dataset
from core.imaging.decoding import decode
from core.imaging.editing import edited_file
from core.model.files import Place
from core.model.matches import Match, MatchedImage, SearchResult
from core.model.records import Checkpoint
from core.search.audit import Trial, trials
from tests.pictures import photo, photo_bytes

PLACES = [Place("anna", b"anna/1.jpg"), Place("bob", b"bob/2.jpg"), Place("cara", b"cara/gone.jpg")]


class Editor:
    async def edit_file(self, path: bytes) -> bytes:
        return edited_file(path)


class Engine:
    """Answers every query in the same way, and keeps what it was asked."""

    def __init__(self, *named: tuple[str, float], verdict: str = "match") -> None:
        matches = tuple(
            Match(name, sure, ("recompressed",), (MatchedImage("p", sure, 1, None),)) for name, sure in named
        )
        self._result = SearchResult(verdict, matches, (), Checkpoint("db", 1, 1, 1), 1.0, 0.5)  # type: ignore[arg-type]
        self.queries: list[bytes] = []

    async def search(self, data: bytes) -> SearchResult:
        self.queries.append(data)
        return self._result


async def tried(tmp_path: Path, engine: Engine) -> list[Trial]:
    for seed, place in enumerate(PLACES[:2]):
        file = tmp_path / str(place)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(photo_bytes(seed, size=(600, 400)))
    return [trial async for trial in trials(Dataset(tmp_path), PLACES, editor=Editor(), engine=engine, at_a_time=2)]


async def test_only_the_first_name_counts(tmp_path: Path) -> None:
    """The photo's own account must be first; behind another it is missed, and a file that is gone is told apart."""
    outcomes = [trial.outcome for trial in await tried(tmp_path, Engine(("anna", 0.9), ("bob", 0.8)))]

    assert outcomes == ["found", "missed", "unreadable"]


async def test_equally_sure_accounts_are_all_first(tmp_path: Path) -> None:
    """A photo that two accounts posted is found for both."""
    outcomes = [trial.outcome for trial in await tried(tmp_path, Engine(("anna", 0.9), ("bob", 0.9)))]

    assert outcomes[:2] == ["found", "found"]


async def test_too_little_detail_is_no_miss(tmp_path: Path) -> None:
    """A photo that cannot be searched for is reported as such."""
    outcomes = [trial.outcome for trial in await tried(tmp_path, Engine(verdict="unsearchable"))]

    assert outcomes == ["too little detail", "too little detail", "unreadable"]


async def test_the_query_is_an_edited_copy(tmp_path: Path) -> None:
    """The audit does not search for the file itself, but for a cropped and smaller copy."""
    engine = Engine()

    await tried(tmp_path, engine)

    asked = decode(engine.queries[0])
    assert asked.width / photo(0, (600, 400)).width < 0.8
    assert len(engine.queries) == 2
