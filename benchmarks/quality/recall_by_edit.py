"""How good the answers are: edited copies of known photos and cards, pictures that nobody posted, and how sure we were.

python -m benchmarks.quality.recall_by_edit ../shared/photos --plot quality.png

1. By the seed some of the photos become known and the rest unknown; cards of text are drawn, and some of them known.
2. What is known is indexed on SQLite, as `igsearch index` does.
3. Queries are made while others are searched: each kind of edit of some known photos, some kinds of known cards and of
   the flattest known photos; then unknown photos and unknown cards, plain and edited.
4. The answers are counted and printed beside the goals; what was missed or wrong comes last.
"""

import argparse
import asyncio
import hashlib
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count, cycle, islice, pairwise
from math import nan
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.lab.edits import BY_NAME, EDITS, GROUPS, PLAIN, Edit
from benchmarks.lab.large_store import indexes, open_store
from benchmarks.lab.photos import opened, put
from benchmarks.lab.script import own_folder, parser
from benchmarks.lab.templates import TEMPLATES
from cli.progress import shown_progress
from core.dataset import Dataset, locate
from core.errors import ImageError
from core.fingerprints.features import Pass
from core.imaging.decoding import decode
from core.matching.ranking import SAME_SCENE_INLIERS
from core.model.matches import Evidence, Match, SearchResult, Verdict
from core.search.engine import SearchEngine
from core.storage.database import sqlite_url
from core.storage.store import Store
from core.workers.pool import PhotoWorkers
from core.workers.tasks import CandidateCheck, Description, HashedQuery
from indexer.feature_backlog import FeatureBacklog
from indexer.full_scan import FullScan, Removal
from indexer.scanning.account_scan import ScanOptions
from indexer.scanning.task_pool import TaskPool

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TEXT_CARDS, DARK_AND_FLAT = "text_cards", "dark_and_flat"
KNOWN_GROUPS = (*GROUPS, TEXT_CARDS, DARK_AND_FLAT)
UNKNOWN_PHOTOS, SAME_SCENES, UNKNOWN_CARDS = "unknown_photos", "same_scenes", "unknown_templates"

LEAST_RECALL: Mapping[str, float] = {
    **dict(zip(GROUPS, (99.5, 99, 98, 97, 85, 98, 97, 90, 97), strict=True)),
    TEXT_CARDS: 93,
    DARK_AND_FLAT: 60,
}
"""The goals: percent of a group's queries whose photo comes first."""
LEAST_MEAN = 98.0
"""The goal for the mean over the kinds of edits, cards and flat photos apart."""
MOST_WRONG: Mapping[str, float] = {UNKNOWN_PHOTOS: 1 / 2000, SAME_SCENES: 2 / 1000, UNKNOWN_CARDS: 1 / 300}
"""The goals: share of the queries without a right answer that get a name all the same."""
SURE, LEAST_SURE_RIGHT = 0.9, 99.0
"""The goal: of the names given with this confidence or more, so many percent are right."""

FLATTEST_SHARE = 0.05
"""Of the known photos, those with the least contrast make the group "dark and flat"."""
BINS = (0.7, 0.8, 0.9, 0.95, 0.97, 0.99, 1.0)
QUALITY_OF_FILES = 92
PROGRESS_SECONDS = 20.0

PLAIN_EDITS = tuple(edit for edit in EDITS if edit.group == PLAIN)
UNEDITED = "jpeg_85"

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is measured; `only` holds the groups and kinds that are asked, all of them where it is empty."""

    known: int | None = None
    queries: int = 12
    unknown: int = 1500
    templates: int = 160
    unknown_templates: int = 300
    seed: int = 1
    only: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table: an edit, of photos or of cards or of flat photos."""

    name: str
    group: str
    edit: str


KINDS = (
    *(Kind(edit.name, edit.group, edit.name) for edit in EDITS),
    *(Kind(f"card_{edit.name}", TEXT_CARDS, edit.name) for edit in EDITS[::5]),
    *(Kind(f"flat_{edit.name}", DARK_AND_FLAT, edit.name) for edit in PLAIN_EDITS[::5]),
)
"""Of cards and of flat photos every fifth edit: a fair sample of all of them, and of the plain ones."""


@dataclass(frozen=True, slots=True)
class Original:
    """A picture before it is edited: where it lies, its place in a dataset, and the deviation of its greys."""

    path: Path
    place: str
    sha256: bytes
    contrast: float

    @property
    def username(self) -> str:
        return self.place.partition("/")[0].lower()


@dataclass(frozen=True, slots=True)
class Collection:
    """What is indexed and what is not."""

    known: Sequence[Original]
    unknown: Sequence[Original]
    known_cards: Sequence[Original]
    unknown_cards: Sequence[Original]


@dataclass(frozen=True, slots=True)
class Query:
    """One query image before it is made; `expected` is None and `members` empty where no answer is right."""

    number: int
    kind: str
    group: str
    edit: str
    original: Original
    others: tuple[Original, ...]
    expected: str | None
    members: frozenset[str]
    seed: str


@dataclass(frozen=True, slots=True)
class Name:
    """One username of an answer, how sure it was, and its best image."""

    username: str
    confidence: float
    how: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was answered to one query; `inliers` are those of the best candidate of the search by features."""

    query: Query
    verdict: Verdict
    names: tuple[Name, ...]
    similar: tuple[Name, ...]
    inliers: int

    @property
    def is_first(self) -> bool:
        """Tell whether the expected username leads; the rest of a collage's members do not count."""
        return bool(self.names) and self.names[0].username == self.query.expected

    @property
    def is_named(self) -> bool:
        return any(name.username == self.query.expected for name in self.names)

    @property
    def is_first_a_member(self) -> bool:
        return bool(self.names) and self.names[0].username in self.query.members

    @property
    def is_first_wrong(self) -> bool:
        return bool(self.names) and not self.is_first_a_member

    @property
    def is_same_scene(self) -> bool:
        return self.query.group == UNKNOWN_PHOTOS and self.inliers >= SAME_SCENE_INLIERS

    @property
    def wrong_names(self) -> tuple[Name, ...]:
        return tuple(name for name in self.names if name.username not in self.query.members)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    name: str
    hits: int
    of: int

    @property
    def percent(self) -> float:
        return 100 * self.hits / self.of if self.of else nan


@dataclass(frozen=True, slots=True)
class Group:
    """The recall of a group of edits and of its kinds."""

    recall: Share
    kinds: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Collages:
    """The collages of a group: the one known member is first; of several any is, and the expected one is named."""

    group: str
    alone: Share
    member_first: Share
    named: Share


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is printed; percents where it says so, else counts."""

    groups: tuple[Group, ...]
    mean_percent: float
    mean_percent_alone: float
    collages: tuple[Collages, ...]
    first_wrong: Share
    wrong: tuple[Share, ...]
    sure_right: Share
    reliability: tuple[Share, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """At one accepted confidence: wrong answers to an unknown query, and the recall of a group, as shares."""

    wrong: float
    recall: float


def main() -> None:
    arguments, scope = parse()
    with own_folder() as folder:
        outcomes = asyncio.run(measured(arguments.photos, folder, scope, say=_say))
    report = scored(outcomes)
    print("\n".join(lines(report)))
    if arguments.plot:
        draw(outcomes, report, arguments.plot)


def parse() -> tuple[argparse.Namespace, Scope]:
    usual = Scope()
    options = parser(__doc__)
    options.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of <username>/<file>")
    options.add_argument("--known", type=int, help="photos that are indexed; the default is half of them")
    options.add_argument("--queries", type=int, default=usual.queries, help="known photos for each kind of edit")
    options.add_argument("--unknown", type=int, default=usual.unknown, help="queries of unknown photos")
    options.add_argument("--templates", type=int, default=usual.templates, help="cards that are indexed")
    options.add_argument("--unknown-templates", type=int, default=usual.unknown_templates, help="queries of their like")
    options.add_argument("--seed", type=int, default=usual.seed)
    options.add_argument("--only", type=_chosen, default=usual.only, help="groups and kinds, separated by commas")
    options.add_argument("--plot", type=Path, help="draw the curves into this file")
    found = options.parse_args()
    sizes = (found.known, found.queries, found.unknown, found.templates, found.unknown_templates)
    return found, Scope(*sizes, found.seed, found.only)


def _chosen(text: str) -> frozenset[str]:
    names = frozenset(text.split(","))
    if stray := names - {*KNOWN_GROUPS, UNKNOWN_PHOTOS, UNKNOWN_CARDS, *(kind.name for kind in KINDS)}:
        raise argparse.ArgumentTypeError(f"no such group or kind: {', '.join(sorted(stray))}")
    return names


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


# From a folder of photos to outcomes


async def measured(photos: Path, folder: Path, scope: Scope, *, say: Callable[[str], None]) -> list[Outcome]:
    """Index what is known, search for everything and return the outcomes; `folder` takes our own files."""
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as studio:
        collection = await collected(photos, folder, scope, studio)
        queries = planned(collection, scope)
        known = [*collection.known, *collection.known_cards]
        say(f"{len(known):,} known pictures are indexed, then {len(queries):,} queries searched")
        for original in known:
            put(original.path, folder / "dataset" / original.place)
        async with PhotoWorkers(cores) as workers, _indexed(folder, workers, pictures=len(known)) as store:
            witness = Witness(workers)
            hashes, features = indexes(folder / "cache")
            engine = SearchEngine(witness, store, store.changes, hash_index=hashes, feature_index=features)
            searching = asyncio.Semaphore(cores)
            ask = partial(asked, engine=engine, witness=witness, studio=studio, searching=searching)
            return await answered(queries, ask, at_a_time=2 * cores, say=say)


async def collected(photos: Path, folder: Path, scope: Scope, studio: ProcessPoolExecutor) -> Collection:
    """Read the photos, draw the cards, and split both by the seed."""
    read = await _each(studio, read_original, [(photos / place, place) for place in _places(photos)])
    known, unknown = split(_distinct(read), scope)
    drawn = await _each(studio, draw_card, [(folder / "cards", *card) for card in cards(scope)])
    assert known, f"{photos} holds too few photos: name a folder of <username>/<file>"
    assert unknown, f"{photos} holds no photo beyond the {len(known):,} known ones: lower --known"
    return Collection(known, unknown, drawn[: scope.templates], drawn[scope.templates :])


def _places(photos: Path) -> list[str]:
    places = [str(path.relative_to(photos)) for path in sorted(photos.rglob("*")) if path.is_file()]
    return [place for place in places if locate(os.fsencode(place))]


async def _each(studio: ProcessPoolExecutor, work: Callable[[T], U], things: Sequence[T]) -> list[U]:
    loop = asyncio.get_running_loop()
    return await asyncio.gather(*(loop.run_in_executor(studio, work, thing) for thing in things))


def read_original(located: tuple[Path, str]) -> Original | None:
    """Look at a picture; None for what the engine cannot read, either."""
    path, place = located
    data = path.read_bytes()
    try:
        contrast = float(decode(data).pixels.std())
    except ImageError:
        return None
    return Original(path, place, hashlib.sha256(data).digest(), contrast)


def _distinct(originals: Iterable[Original | None]) -> list[Original]:
    """Keep one of the files that have the same bytes: a copy of a known photo is not unknown."""
    return list({one.sha256: one for one in originals if one}.values())


def cards(scope: Scope) -> list[tuple[str, str, str]]:
    """Return the username, template and seed of each card, the known ones first; each template in its turn."""
    total = scope.templates + scope.unknown_templates
    return [
        (f"card_{number:04}", template, f"{scope.seed} card {number}")
        for number, template in zip(range(total), cycle(TEMPLATES))
    ]


def draw_card(card: tuple[Path, str, str, str]) -> Original:
    """Draw a card into a file below the folder."""
    folder, username, template, seed = card
    place = f"{username}/{template}.jpg"
    path = folder / place
    path.parent.mkdir(parents=True)
    TEMPLATES[template](Random(seed)).convert("RGB").save(path, quality=QUALITY_OF_FILES)
    original = read_original((path, place))
    assert original, f"{path} was drawn and cannot be read"
    return original


@asynccontextmanager
async def _indexed(folder: Path, workers: PhotoWorkers, *, pictures: int) -> AsyncIterator[Store]:
    """Open a store in which everything below the dataset has both its fingerprints."""
    root = folder / "dataset"
    options = ScanOptions(Dataset(root), workers.count, clock=lambda: datetime.now(UTC), is_asked=True)
    async with open_store(sqlite_url(folder / "photos.db")) as store:
        async with store.hold_lock():
            with shown_progress("indexing", is_quiet=True) as progress:
                report = await FullScan(options, Removal(0), store=store, reader=workers, progress=progress).run()
                backlog = (await store.statuses.read_stats()).backlog
                pool = TaskPool(workers.count)
                work = FeatureBacklog(options, store=store, reader=workers, pool=pool)
                async with aclosing(work.run()) as decisions:
                    async for decision in decisions:
                        progress.advance(decision.outcome, decision.files)
        assert (report.added, work.done) == (pictures, backlog), f"of {pictures}: {report}, {work.done} features"
        yield store


class Witness:
    """Workers that also tell how many feature pairs agreed with the best candidate of the search of this task."""

    def __init__(self, workers: PhotoWorkers) -> None:
        self._workers = workers
        self._inliers: ContextVar[list[int]] = ContextVar("inliers")

    def listen(self) -> list[int]:
        """Return a list that gets the inliers of each candidate from here on in this task."""
        heard: list[int] = []
        self._inliers.set(heard)
        return heard

    async def hash_query(self, data: bytes) -> HashedQuery:
        return await self._workers.hash_query(data)

    async def describe_pixels(self, pixels: NDArray[np.uint8], sizes: Pass) -> Description:
        return await self._workers.describe_pixels(pixels, sizes)

    async def describe_bytes(self, data: bytes, sizes: Pass) -> Description:
        return await self._workers.describe_bytes(data, sizes)

    async def verify(self, check: CandidateCheck) -> list[Evidence]:
        found = await self._workers.verify(check)
        self._inliers.get().extend(evidence.geometry.inliers for evidence in found)
        return found


async def asked(
    query: Query, *, engine: SearchEngine, witness: Witness, studio: ProcessPoolExecutor, searching: asyncio.Semaphore
) -> Outcome:
    """Make a query in another process, and search for it when few others are."""
    data = await asyncio.get_running_loop().run_in_executor(studio, made, query)
    async with searching:
        inliers = witness.listen()
        try:
            return outcome(query, await engine.search(data), inliers)
        except ImageError:
            return Outcome(query, "error", (), (), 0)


def made(query: Query) -> bytes:
    """Make the file of a query."""
    others = [opened(other.path) for other in query.others]
    return BY_NAME[query.edit].apply(opened(query.original.path), Random(query.seed), others)


def outcome(query: Query, result: SearchResult, inliers: Iterable[int]) -> Outcome:
    """Keep what counts of a result."""
    names, similar = tuple(map(_name, result.matches)), tuple(map(_name, result.similar))
    return Outcome(query, result.verdict, names, similar, max(inliers, default=0))


def _name(match: Match) -> Name:
    return Name(match.username, match.confidence, match.how, match.images[0].path)


async def answered(
    queries: Sequence[Query], ask: Callable[[Query], Awaitable[Outcome]], *, at_a_time: int, say: Callable[[str], None]
) -> list[Outcome]:
    """Ask all queries, some at a time; those being made wait beside those being searched."""
    waiting, outcomes = iter(queries), list[Outcome]()
    started = told = time.monotonic()

    async def work() -> None:
        nonlocal told
        for query in waiting:
            outcomes.append(await ask(query))
            if (now := time.monotonic()) - told > PROGRESS_SECONDS:
                told = now
                say(f"{len(outcomes):,} of {len(queries):,} searched in {now - started:.0f} s")

    async with asyncio.TaskGroup() as group:
        for _ in range(at_a_time):
            group.create_task(work())
    say(f"{len(outcomes):,} searched in {time.monotonic() - started:.0f} s")
    return sorted(outcomes, key=lambda one: one.query.number)


# The plan


def split(originals: Sequence[Original], scope: Scope) -> tuple[list[Original], list[Original]]:
    """Return the known and the unknown photos, by the seed."""
    shuffled = Random(f"{scope.seed} split").sample(originals, len(originals))
    known = len(shuffled) // 2 if scope.known is None else scope.known
    return shuffled[:known], shuffled[known:]


def planned(collection: Collection, scope: Scope) -> list[Query]:
    """Return all queries, in the order of the table; the same scope and pictures give the same."""
    numbers = count()
    known = [query for kind in KINDS for query in _known_queries(kind, collection, scope, numbers)]
    photos = _unknown_queries(UNKNOWN_PHOTOS, collection.unknown, EDITS, scope, numbers)
    drawn = _unknown_queries(UNKNOWN_CARDS, collection.unknown_cards, PLAIN_EDITS, scope, numbers)
    return [*known, *photos, *drawn]


def _known_queries(kind: Kind, collection: Collection, scope: Scope, numbers: Iterator[int]) -> list[Query]:
    if not _is_asked(scope, kind.group, kind.name):
        return []
    candidates = _candidates(kind, collection)
    chosen = Random(f"{scope.seed} {kind.name}").sample(candidates, min(scope.queries, len(candidates)))
    return [
        _known_query(kind, original, collection, number, f"{scope.seed} {kind.name} {place}")
        for place, (original, number) in enumerate(zip(chosen, numbers, strict=False))
    ]


def _is_asked(scope: Scope, *names: str) -> bool:
    return not scope.only or not scope.only.isdisjoint(names)


def _candidates(kind: Kind, collection: Collection) -> Sequence[Original]:
    if kind.group == TEXT_CARDS:
        return collection.known_cards
    return flattest(collection.known) if kind.group == DARK_AND_FLAT else collection.known


def flattest(originals: Sequence[Original]) -> list[Original]:
    """Return those with the least deviation of greys."""
    return sorted(originals, key=lambda one: one.contrast)[: max(1, round(FLATTEST_SHARE * len(originals)))]


def _known_query(kind: Kind, original: Original, collection: Collection, number: int, seed: str) -> Query:
    """Edit a known picture; of two collages one has known photos for its other members, one unknown ones."""
    rng = Random(f"{seed} others")
    are_known = rng.random() < 0.5
    others = _others(collection.known if are_known else collection.unknown, original, kind.edit, rng)
    members = frozenset(one.username for one in (original, *(others if are_known else ())))
    return Query(number, kind.name, kind.group, kind.edit, original, others, original.username, members, seed)


def _others(originals: Sequence[Original], original: Original, edit: str, rng: Random) -> tuple[Original, ...]:
    """Choose a collage's other members, of other accounts; some more than once where there are few."""
    strangers = [one for one in originals if one.username != original.username] or [original]
    return tuple(islice(cycle(rng.sample(strangers, len(strangers))), BY_NAME[edit].others_needed))


def _unknown_queries(
    group: str, originals: Sequence[Original], edits: Sequence[Edit], scope: Scope, numbers: Iterator[int]
) -> list[Query]:
    """Ask each photo as it is and then edited at random, until there are enough; every second card is edited."""
    if not originals or not _is_asked(scope, group):
        return []
    rng = Random(f"{scope.seed} {group}")
    total = scope.unknown if group == UNKNOWN_PHOTOS else scope.unknown_templates
    unedited = len(originals) if group == UNKNOWN_PHOTOS else total // 2
    queries = []
    for place, (original, number) in enumerate(zip(islice(cycle(originals), total), numbers, strict=False)):
        edit = UNEDITED if place < unedited else rng.choice(edits).name
        others, seed = _others(originals, original, edit, rng), f"{scope.seed} {group} {place}"
        queries.append(Query(number, edit, group, edit, original, others, None, frozenset(), seed))
    return queries


# The score


def scored(outcomes: Sequence[Outcome]) -> Report:
    """Count what was right and what was wrong."""
    known = [one for one in outcomes if one.query.expected]
    edited = [one for one in known if one.query.group in GROUPS]
    names = [(name, name.username in one.query.members) for one in outcomes for name in one.names]
    return Report(
        groups=tuple(_group(name, some) for name, some in _by(known, _group_of).items()),
        mean_percent=_mean_over_kinds(edited),
        mean_percent_alone=_mean_over_kinds(one for one in edited if _is_alone(one)),
        collages=tuple(_collages(name, some) for name, some in _by(_of_several(known), _group_of).items()),
        first_wrong=share("first names of known queries", (one.is_first_wrong for one in known)),
        wrong=tuple(_wrong_shares(outcomes)),
        sure_right=share(f"names at {SURE:g} or more", (right for name, right in names if name.confidence >= SURE)),
        reliability=tuple(_reliability(names)),
        faults=tuple(line for one in outcomes for line in _faults(one)),
    )


def share(name: str, hits: Iterable[bool]) -> Share:
    listed = list(hits)
    return Share(name, sum(listed), len(listed))


def _by(outcomes: Iterable[Outcome], key: Callable[[Outcome], T]) -> dict[T, list[Outcome]]:
    """Sort into heaps, in the order in which they first come."""
    heaps = defaultdict[T, list[Outcome]](list)
    for one in outcomes:
        heaps[key(one)].append(one)
    return heaps


_group_of, _kind_of = (attrgetter(f"query.{name}") for name in ("group", "kind"))


def _group(name: str, outcomes: Sequence[Outcome]) -> Group:
    return Group(_recall(name, outcomes), tuple(_recall(kind, some) for kind, some in _by(outcomes, _kind_of).items()))


def _recall(name: str, outcomes: Iterable[Outcome]) -> Share:
    return share(name, (one.is_first for one in outcomes))


def _mean_over_kinds(outcomes: Iterable[Outcome]) -> float:
    percents = [_recall(kind, some).percent for kind, some in _by(outcomes, _kind_of).items()]
    return sum(percents) / len(percents) if percents else nan


def _is_alone(one: Outcome) -> bool:
    """Tell whether no other known picture is in the query."""
    return len(one.query.members) == 1


def _of_several(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if one.query.others]


def _collages(group: str, outcomes: Sequence[Outcome]) -> Collages:
    several = [one for one in outcomes if not _is_alone(one)]
    return Collages(
        group,
        alone=_recall("one known member: it is first", (one for one in outcomes if _is_alone(one))),
        member_first=share("several: one of them is first", (one.is_first_a_member for one in several)),
        named=share("several: the expected one is named", (one.is_named for one in several)),
    )


def _wrong_shares(outcomes: Sequence[Outcome]) -> Iterator[Share]:
    photos = [one for one in outcomes if one.query.group == UNKNOWN_PHOTOS]
    drawn = [one for one in outcomes if one.query.group == UNKNOWN_CARDS]
    yield share(UNKNOWN_PHOTOS, (bool(one.names) for one in photos))
    yield share(SAME_SCENES, (bool(one.names) for one in photos if one.is_same_scene))
    yield share(UNKNOWN_CARDS, (bool(one.names) for one in drawn))


def _reliability(names: Sequence[tuple[Name, bool]]) -> Iterator[Share]:
    for least, most in pairwise(BINS):
        held = [right for name, right in names if least <= name.confidence < most or name.confidence == most == 1]
        yield share(f"{least:.2f} to {most:.2f}", held)


def _faults(one: Outcome) -> Iterator[str]:
    query, said = one.query, "; ".join(map(_said, (*one.names, *one.similar))) or one.verdict
    asked = (
        f"{query.group} {query.kind} of {query.original.place} (query {query.number}, {one.inliers} inliers): {said}"
    )
    if one.wrong_names:
        yield f"WRONG {asked}"
    elif query.expected and not one.is_named:
        yield f"MISSED {asked}"


def _said(name: Name) -> str:
    return f"{name.path} {name.confidence:.3f} ({', '.join(name.how)})"


def tradeoffs(group: Sequence[Outcome], unknown: Sequence[Outcome]) -> list[Tradeoff]:
    """Vary the accepted confidence over all that were given, to matches or to what is only similar."""
    right = np.array([_confidence(one, of_expected=True) for one in group])
    wrong = np.array([_confidence(one, of_expected=False) for one in unknown])
    accepted = np.unique([*right[right > 0], *wrong[wrong > 0], 1.0])[::-1]
    return [Tradeoff(float(np.mean(wrong >= least)), float(np.mean(right >= least))) for least in accepted.tolist()]


def _confidence(one: Outcome, *, of_expected: bool) -> float:
    """Return how sure the first name is, accepted or not; 0 where there is none or, if asked, not the expected one."""
    first = next(iter((*one.names, *one.similar)), None)
    if first is None or (of_expected and first.username != one.query.expected):
        return 0.0
    return first.confidence


# What is shown


def lines(report: Report) -> Iterator[str]:
    """Say everything, group by group, with the goals; faults last."""
    yield "recall@1, percent"
    for group in report.groups:
        yield _row(group.recall, f"at least {LEAST_RECALL[group.recall.name]:g}", _is_reached(group.recall))
        yield from (f"    {_row(kind)}" for kind in group.kinds)
    yield _mean_line("mean over the kinds of edits", report.mean_percent)
    yield _mean_line("the same, one known picture a query", report.mean_percent_alone)
    yield from _collage_lines(report)
    yield "\nwrong names"
    yield _row(report.first_wrong)
    for wrong in report.wrong:
        most = MOST_WRONG[wrong.name]
        yield _row(wrong, f"at most 1 in {1 / most:,.0f}", wrong.hits <= most * wrong.of)
    yield "\nright names by confidence, percent"
    yield _row(report.sure_right, f"at least {LEAST_SURE_RIGHT:g}", report.sure_right.percent >= LEAST_SURE_RIGHT)
    yield from (f"    {_row(each)}" for each in report.reliability)
    yield f"\n{len(report.faults):,} missed or wrong"
    yield from report.faults


def _row(row: Share, goal: str = "", is_reached: bool | None = None) -> str:  # noqa: FBT001 - a cell of the table
    if not row.of:
        return f"{row.name:36} {'-':>7}"
    told = f"{row.name:36} {row.percent:7.2f}  {row.hits:,} of {row.of:,}"
    return told if is_reached is None else f"{told:64} goal {goal}: {_verdict(is_reached=is_reached)}"


def _verdict(*, is_reached: bool) -> str:
    return "reached" if is_reached else "NOT REACHED"


def _is_reached(recall: Share) -> bool:
    return recall.percent >= LEAST_RECALL[recall.name]


def _mean_line(name: str, percent: float) -> str:
    told = f"{name:36} {percent:7.2f}"
    return f"{told:64} goal at least {LEAST_MEAN:g}: {_verdict(is_reached=percent >= LEAST_MEAN)}"


def _collage_lines(report: Report) -> Iterator[str]:
    for collages in report.collages:
        least = LEAST_RECALL[collages.group]
        yield f"collages of {collages.group}"
        yield f"    {_row(collages.alone, f'at least {least:g}', collages.alone.percent >= least)}"
        yield from (f"    {_row(row)}" for row in (collages.member_first, collages.named))


def draw(outcomes: Sequence[Outcome], report: Report, path: Path) -> None:
    """Draw recall against wrong answers, and how right the confidences are."""
    import matplotlib as mpl  # noqa: PLC0415 - only who asks for a drawing needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 7), layout="constrained")
    _draw_tradeoffs(left, outcomes)
    _draw_reliability(right, report)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw_tradeoffs(axes: "Axes", outcomes: Sequence[Outcome]) -> None:
    unknown = [one for one in outcomes if not one.query.expected]
    least = 1 / max(1, len(unknown))
    groups = _by((one for one in outcomes if one.query.expected), _group_of)
    for style, (name, group) in zip(cycle(("-", "--", ":")), groups.items(), strict=False):
        curve = tradeoffs(group, unknown)
        axes.plot(
            [one.wrong for one in curve], [one.recall for one in curve], style, label=name, drawstyle="steps-post"
        )
    axes.set_xscale("symlog", linthresh=least)
    axes.set(xlabel=f"wrong answers an unknown query, of {len(unknown):,}", ylabel="recall@1", xlim=(-least / 4, 1))
    axes.set_title("Recall as the accepted confidence falls")
    axes.grid(alpha=0.3)
    axes.legend()


def _draw_reliability(axes: "Axes", report: Report) -> None:
    bins = [(low, high, each) for (low, high), each in zip(pairwise(BINS), report.reliability, strict=True) if each.of]
    names, rights = [each.name for *_, each in bins], [each.hits / each.of for *_, each in bins]
    axes.bar(names, rights, color="lightsteelblue", label="right")
    axes.plot(names, [(low + high) / 2 for low, high, _ in bins], "k_", markersize=30, label="as sure as right")
    for place, (right, (*_, each)) in enumerate(zip(rights, bins, strict=True)):
        axes.annotate(f"{each.hits:,} of {each.of:,}", (place, right), (0, 3), textcoords="offset points", ha="center")
    axes.set(xlabel="confidence", ylabel="share of right names", ylim=(0, 1.06))
    axes.set_title("How right the confidences are")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")


if __name__ == "__main__":
    main()
