"""The benchmark of quality: its plan and its figures, and a small run of it as a guard of the whole search."""

import asyncio
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.lab.edits import GROUPS, PLAIN
from benchmarks.quality.recall_by_edit import (
    DARK_AND_FLAT,
    KINDS,
    SAME_SCENES,
    TEXT_CARDS,
    UNKNOWN_CARDS,
    UNKNOWN_PHOTOS,
    Collection,
    Name,
    Original,
    Outcome,
    Query,
    Report,
    Scope,
    lines,
    measured,
    planned,
    scored,
    split,
    tradeoffs,
)
from core.matching.ranking import SAME_SCENE_INLIERS
from tests.once import once
from tests.pictures import photo

ACCOUNTS = ("anna", "bob", "carla", "dmitri", "elif", "farid")
SIZES = ((300, 400), (400, 300), (320, 320))
EDITED = frozenset(
    (
        "jpeg_30",
        "mirrored",
        "tilted_10",
        "crop_60",
        "caption_outlined",
        "stickers_20",
        "crop_35",
        "crop_20",
        "post_light",
        "side_by_side_2",
        "grid_4",
        "screenshot_of_crop",
        "card_cool",
        "flat_webp_35",
    )
)
SMALL = Scope(
    known=24,
    queries=1,
    unknown=8,
    templates=27,
    unknown_templates=10,
    only=EDITED | {UNKNOWN_PHOTOS, UNKNOWN_CARDS},
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """What the real engine answers about 24 known and 8 unknown made-up photos, and about cards."""
    measurement = once(tmp_path_factory, "quality", measure) / "outcomes"
    return list(pickle.loads(measurement.read_bytes()))  # noqa: S301 - our own


def measure(folder: Path) -> None:
    """Run the benchmark in a folder, and leave its outcomes there."""
    photos, work = folder / "photos", folder / "work"
    for number in range(32):
        file = photos / ACCOUNTS[number % len(ACCOUNTS)] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        photo(number, SIZES[number % len(SIZES)]).save(file)
    work.mkdir()
    (folder / "outcomes").write_bytes(pickle.dumps(asyncio.run(measured(photos, work, SMALL, say=print))))


@pytest.fixture(scope="module")
def report(outcomes: list[Outcome]) -> Report:
    return scored(outcomes)


def test_every_group_is_asked_and_answered(outcomes: list[Outcome], report: Report) -> None:
    """A small run has queries of every group, and an answer to each."""
    assert {group.recall.name for group in report.groups} == {*GROUPS, TEXT_CARDS, DARK_AND_FLAT}
    assert {one.query.kind for one in outcomes} >= EDITED
    assert [one.query.number for one in outcomes] == list(range(len(outcomes)))
    assert not [one for one in outcomes if one.verdict == "error"]


def test_edited_copies_are_found(report: Report) -> None:
    """Nine of ten edited copies find their photo, whatever was done to them."""
    assert report.mean_percent_alone >= 90, "\n".join(lines(report))


def test_plain_copies_are_all_found(report: Report) -> None:
    """A copy that is only sent on, recoloured or turned is found without exception."""
    plain = next(group.recall for group in report.groups if group.recall.name == PLAIN)

    assert plain.hits == plain.of > 0, "\n".join(report.faults)


def test_unknown_pictures_get_no_name(report: Report) -> None:
    """Neither a photo that nobody posted nor a card drawn from a known card's template is given a name."""
    asked = {share.name: share.of for share in report.wrong}
    named = {share.name: share.hits for share in report.wrong}

    assert (asked[UNKNOWN_PHOTOS], asked[UNKNOWN_CARDS]) == (8, 10)
    assert not any(named.values()), "\n".join(report.faults)


def original(number: int, username: str = "") -> Original:
    place = f"{username or f'user{number}'}/{number}.jpg"
    return Original(Path("photos", place), place, bytes([number]), float(number))


PHOTOS = [original(number) for number in range(60)]
CARDS = [original(number, f"card_{number}") for number in range(60, 90)]
WHOLE = Collection(PHOTOS[:40], PHOTOS[40:], CARDS[:20], CARDS[20:])


def test_the_plan_is_fixed_by_the_seed() -> None:
    """The same pictures and scope give the same queries, another seed gives others, and numbers count up."""
    scope = Scope(queries=3, unknown=50, unknown_templates=10)

    queries = planned(WHOLE, scope)

    assert planned(WHOLE, scope) == queries != planned(WHOLE, replace(scope, seed=2))
    assert {query.kind for query in queries} >= {kind.name for kind in KINDS}
    assert [query.number for query in queries] == list(range(len(queries)))
    assert len({query.seed for query in queries}) == len(queries)


def test_what_is_known_is_not_unknown() -> None:
    """The split leaves no photo on both sides and none out, as many known as asked for or else half."""
    known, unknown = split(PHOTOS, Scope(known=45))

    assert sorted([*known, *unknown], key=lambda one: one.contrast) == PHOTOS
    assert (len(known), len(split(PHOTOS, Scope())[0])) == (45, 30)


def test_members_of_a_collage_are_the_known_ones() -> None:
    """A collage has the other members that it needs, all known and counted as members or all unknown; both occur."""
    queries = planned(WHOLE, Scope(queries=20, only=frozenset(("grid_4",))))

    counts = {len(query.members) for query in queries}

    assert counts == {1, 4}
    for query in queries:
        assert len(query.others) == 3
        assert query.expected in query.members
        assert all((other in WHOLE.known) == (len(query.members) == 4) for other in query.others)


def test_unknown_queries_begin_with_every_photo_as_it_is() -> None:
    """Each unknown photo is asked plain before any is edited, and none has a right answer."""
    queries = planned(WHOLE, Scope(unknown=30, only=frozenset((UNKNOWN_PHOTOS,))))

    assert [query.original for query in queries[:20]] == WHOLE.unknown
    assert {query.kind for query in queries[:20]} == {"jpeg_85"}
    assert {(query.expected, query.members) for query in queries} == {(None, frozenset())}


def answer(group: str, expected: str | None, *names: tuple[str, float], others: str = "", inliers: int = 0) -> Outcome:
    """Make the outcome of a query; `others` are further members, a letter each."""
    members = frozenset((*others, expected) if expected else ())
    query = Query(
        0, "kind", group, "jpeg_85", original(1), tuple(map(original, range(len(others)))), expected, members, ""
    )
    said = tuple(Name(username, confidence, ("cropped",), f"{username}/1.jpg") for username, confidence in names)
    return Outcome(query, "match" if said else "none", said, (), inliers)


def test_recall_counts_the_expected_name_only_where_it_is_first() -> None:
    """In a collage another member may lead: that is no hit, and no wrong name either."""
    report = scored([answer("grid", "a", ("b", 0.95), ("a", 0.9), others="b"), answer("grid", "a", ("a", 0.9))])

    assert (report.groups[0].recall.hits, report.groups[0].recall.of) == (1, 2)
    assert (report.mean_percent, report.mean_percent_alone) == (50.0, 100.0)
    (collages,) = report.collages
    assert (collages.member_first.hits, collages.named.hits) == (1, 1)
    assert (report.first_wrong.hits, report.faults) == (0, ())


def test_wrong_names_are_counted_and_listed() -> None:
    """A name for an unknown picture and a name beside the right one are wrong, each counted where it belongs."""
    outcomes = [
        answer("plain", "a", ("a", 1.0), ("z", 0.72)),
        answer("plain", "a"),
        answer(UNKNOWN_PHOTOS, None, ("a", 0.93), inliers=SAME_SCENE_INLIERS),
        answer(UNKNOWN_PHOTOS, None),
        answer(UNKNOWN_CARDS, None),
    ]

    report = scored(outcomes)

    assert {share.name: (share.hits, share.of) for share in report.wrong} == {
        UNKNOWN_PHOTOS: (1, 2),
        SAME_SCENES: (1, 1),
        UNKNOWN_CARDS: (0, 1),
    }
    assert (report.sure_right.hits, report.sure_right.of) == (1, 2)
    assert [(share.hits, share.of) for share in report.reliability] == [(0, 1), (0, 0), (0, 1), (0, 0), (0, 0), (1, 1)]
    assert [fault.split()[0] for fault in report.faults] == ["WRONG", "MISSED", "WRONG"]


def test_recall_and_wrong_answers_grow_as_less_is_accepted() -> None:
    """Each accepted confidence counts what is at least as sure, similar pictures included."""
    similar = (Name("b", 0.3, ("same scene",), "b/1.jpg"),)
    known = [answer("plain", "a", ("a", 0.99)), answer("plain", "b"), answer("plain", "c", ("a", 0.8))]
    known[1] = replace(known[1], similar=similar)

    curve = tradeoffs(known, [answer(UNKNOWN_PHOTOS, None, ("a", 0.9)), answer(UNKNOWN_PHOTOS, None)])

    assert [(round(3 * one.recall), 2 * one.wrong) for one in curve] == [(0, 0), (1, 0), (1, 1), (2, 1)]
