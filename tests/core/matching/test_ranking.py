"""Candidates become one match a username, the surest first, and only proof makes a match."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.matching.ranking import PDQ_RADIUS, SIMILAR_RADIUS, Graded, Likeness, confidence_at, grade, rank
from core.model.files import Place
from core.model.fingerprints import PhotoHashes
from core.model.matches import ReferenceImage

QUERY = PhotoHashes(bytes(32), bytes(8), bytes(32), pdq_quality=100, flat_percent=0, width=9, height=9, version=1)
SPARSE = [replace(QUERY, flat_percent=40), replace(QUERY, pdq_quality=49)]

usernames = st.sampled_from(["amber", "basil", "cedar"])
confidences = st.sampled_from([0.3, 0.97, 0.98, 1.0])


def image(username: str = "amber", name: str = "1.jpg", hashes: PhotoHashes = QUERY) -> ReferenceImage:
    return ReferenceImage(1, Place(username, f"{username}/{name}".encode()), hashes)


def likeness(
    pdq_distance: int,
    *,
    transformation: tuple[str, ...] = (),
    is_identical: bool = False,
    hashes: PhotoHashes = QUERY,
) -> Likeness:
    return Likeness(image(hashes=hashes), pdq_distance, transformation, is_identical)


@pytest.mark.parametrize("query", [QUERY, *SPARSE])
def test_the_same_file_is_certain(query):
    """The same bytes match with confidence 1, even where hashes prove nothing."""
    graded = grade(query, likeness(0, is_identical=True))

    assert graded == Graded(image(), "match", 1.0, ("identical",))


@given(distance=st.integers(0, 256))
def test_distance_decides(distance):
    """Within the radius is a match, a little beyond similar, and the rest is nothing."""
    graded = grade(QUERY, likeness(distance))

    expected = "match" if distance <= PDQ_RADIUS else "similar" if distance <= SIMILAR_RADIUS else None
    assert (graded and graded.grade) == expected


@pytest.mark.parametrize("query", SPARSE)
@pytest.mark.parametrize("reference", SPARSE)
@given(distance=st.integers(0, 256))
def test_pictures_without_detail_never_match_by_looks(query, reference, distance):
    """Near hashes of two drawn or blurred pictures are no proof against anyone."""
    graded = grade(query, likeness(distance, hashes=reference))

    assert graded is None or graded.grade == "similar"


@pytest.mark.parametrize("query", SPARSE)
def test_a_darkened_copy_of_a_detailed_picture_matches(query):
    """A query that lost its detail on the way matches the picture that has it."""
    graded = grade(query, likeness(PDQ_RADIUS))

    assert graded is not None
    assert graded.grade == "match"


@given(distances=st.tuples(st.integers(0, PDQ_RADIUS), st.integers(0, PDQ_RADIUS)))
def test_nearer_is_surer(distances):
    """Confidence falls with the distance, and stays between similar and the same file."""
    near, far = sorted(distances)

    assert 0.3 < confidence_at(far) <= confidence_at(near) < 1


@pytest.mark.parametrize(("transformation", "how"), [((), ("recompressed",)), (("mirrored",), ("mirrored",))])
def test_a_match_says_what_was_done(transformation, how):
    """A match by looks names the turn, or that the picture was saved again."""
    graded = grade(QUERY, likeness(3, transformation=transformation))

    assert graded is not None
    assert graded.how == how


@given(st.lists(st.tuples(usernames, st.integers(0, 9), confidences), max_size=12))
def test_each_username_is_ranked_once_by_its_best_image(rows):
    """There is one match a username with all its images, in falling confidence throughout, in any order of arrival."""
    graded = [Graded(image(name, f"{n}.jpg"), "match", sure, ("mirrored",)) for name, n, sure in rows]

    matches = rank(graded)

    assert {match.username for match in matches} == {name for name, _, _ in rows}
    assert [(-m.confidence, m.username) for m in matches] == sorted((-m.confidence, m.username) for m in matches)
    assert all(match.confidence == max(i.confidence for i in match.images) for match in matches)
    assert all(match.confidence == match.images[0].confidence for match in matches)
    assert sum(len(match.images) for match in matches) == len(rows)
    assert rank(reversed(graded)) == matches


def test_nobody_is_ranked_where_nobody_is_alike():
    """No candidates give no matches."""
    assert rank([]) == ()
