"""The inverted lists propose the images that share features with a query, and drop the images that are discarded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.index.inverted_lists import FLAT_UP_TO, InvertedLists

EACH = 30


def codes_of(image, count=EACH):
    return np.random.default_rng(image).integers(0, 256, (count, 32), dtype=np.uint8)


def blurred(codes, bits, seed=1):
    """The codes with about so many bits of each flipped."""
    flips = np.random.default_rng(seed).random((len(codes), 256)) < bits / 256
    return codes ^ np.packbits(flips, axis=1)


def add(index: InvertedLists, *images):
    index.add(
        np.array(images, np.int64),
        np.full(len(images), EACH, np.int64),
        np.concatenate([np.empty((0, 32), np.uint8), *[codes_of(image) for image in images]]),
    )


@pytest.fixture(scope="module")
def trained():
    """An index with lists: more codes than one list takes."""
    index = InvertedLists()
    add(index, *range(1, FLAT_UP_TO // EACH + 60))
    assert index._lists.count > 1
    return index


@pytest.mark.parametrize("bits", [0, 20, 40])
def test_a_copy_comes_first(trained, bits):
    """The image whose codes are in the query, though noisy ones and among others, leads the shortlist."""
    query = np.concatenate([blurred(codes_of(77), bits), codes_of(100_000, 200)])

    assert trained.shortlist(query, size=5)[0] == 77


def test_several_images_are_proposed(trained):
    """A collage of three proposes all three, and no more are returned than asked for."""
    query = np.concatenate([blurred(codes_of(image), 20) for image in (5, 6, 7)])

    assert sorted(trained.shortlist(query, size=3)) == [5, 6, 7]
    assert len(trained.shortlist(query, size=2)) == 2


def test_strangers_get_few_votes(trained):
    """Codes that are in no image propose hardly any, for chance neighbours are as near as the tenth."""
    assert len(trained.shortlist(codes_of(999_999, 300), size=10)) <= 3


@settings(max_examples=25, deadline=None)
@given(kept=st.sets(st.integers(1, 30), max_size=8), gone=st.sets(st.integers(1, 30), max_size=8))
def test_what_is_discarded_is_never_proposed(kept, gone):
    """After any additions and removals exactly the images that are left can be found."""
    index = InvertedLists()
    add(index, *sorted(kept | gone))

    index.discard(np.array(sorted(gone), np.int64))

    for image in range(1, 31):
        assert (image in index.shortlist(codes_of(image), size=3)) == (image in kept - gone)
    assert len(index) == EACH * len(kept - gone)


def test_adding_again_replaces():
    """An image that is added again has its new codes only."""
    index = InvertedLists()
    add(index, 1, 2, 3)

    index.add(np.array([2]), np.array([EACH]), codes_of(50))

    assert index.shortlist(codes_of(50), size=1) == [2]
    assert 2 not in index.shortlist(codes_of(2), size=3)
    assert len(index) == 3 * EACH


def test_an_image_without_features_is_no_trouble():
    """Images with no codes can be added, alone or among others, and leave what they had before."""
    index = InvertedLists()
    add(index, 1, 2)

    index.add(np.array([2, 3, 4]), np.array([0, EACH, 0]), codes_of(3))

    assert index.shortlist(codes_of(2), size=1) == []
    assert index.shortlist(codes_of(3), size=1) == [3]


def test_many_copies_of_one_photo_do_not_silence_each_other(trained):
    """A photo of which thirty re-encoded copies are indexed is still proposed."""
    index = InvertedLists.from_arrays(trained.arrays())
    copies = range(50_001, 50_031)
    for copy in copies:
        index.add(np.array([copy]), np.array([EACH]), blurred(codes_of(50_000), 20, seed=copy))

    found = index.shortlist(blurred(codes_of(50_000), 20, seed=9), size=10)

    assert found
    assert set(found) <= set(copies)


def test_a_common_icon_does_not_outvote_a_photo(trained):
    """Codes that a hundred images share exactly count less than those that one image has alone."""
    index = InvertedLists.from_arrays(trained.arrays())
    icon = codes_of(60_000, 10)
    for image in range(61_000, 61_100):
        index.add(np.array([image]), np.array([10]), icon)

    found = index.shortlist(np.concatenate([icon, blurred(codes_of(42)[:10], 20)]), size=30)

    assert 42 in found


def test_arrays_restore_the_index(trained):
    """An index made of its arrays gives the same answers, and can be changed without changing them."""
    arrays = trained.arrays()

    index = InvertedLists.from_arrays(arrays)
    add(index, 70_000)
    index.discard(np.array([5]))

    assert index.shortlist(codes_of(70_000), size=1) == [70_000]
    assert index.shortlist(codes_of(6), size=1) == trained.shortlist(codes_of(6), size=1) == [6]
    assert trained.shortlist(codes_of(5), size=1) == [5]
    assert len(arrays["codes"]) == len(trained)


def test_an_outgrown_index_is_retrained_with_the_same_content():
    """An index that grew by small additions says so; retrained, it has more lists and the same images."""
    index = InvertedLists()
    for start in range(1, 2 * FLAT_UP_TO // EACH, 200):
        add(index, *range(start, start + 200))

    fresh = index.retrained()

    assert index.is_outgrown
    assert not fresh.is_outgrown
    assert len(fresh) == len(index)
    for image in (1, 400, 1200):
        assert fresh.shortlist(blurred(codes_of(image), 20), size=1) == [image]


def test_an_empty_index_proposes_nothing():
    """Neither an empty index nor an empty query is a fault."""
    index = InvertedLists()

    assert index.shortlist(codes_of(1), size=3) == []
    add(index, 1)
    assert index.shortlist(np.empty((0, 32), np.uint8), size=3) == []
    index.discard(np.array([1, 2], np.int64))
    assert len(index) == 0
    assert len(index.retrained()) == 0
