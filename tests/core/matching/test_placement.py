"""Placement: the place of pictures in each other, and the words for it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.matching.placement import placement, where, words

SQUARE = (100, 100)


def turned_map(degrees):
    """The map from a turned square (clockwise, seen by a person) back to the upright one, about the middle."""
    angle = np.radians(-degrees)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array([0.5, 0.5]) - linear @ [0.5, 0.5]
    return np.vstack([np.column_stack([linear, shift]), [0, 0, 1]])


def scaled_map(scale, across=0.0, down=0.0):
    return np.array([[scale, 0, across], [0, scale, down], [0, 0, 1.0]])


def test_the_whole_picture_is_recompressed():
    """A query that shows the whole reference image and nothing else was recompressed."""
    place = placement(np.eye(3), (200, 100), (400, 200), is_mirrored=False)

    assert (words(place), place.turn) == (("recompressed",), 0)
    assert [place.visible, place.covered] == pytest.approx([1, 1])
    assert where(place) == "0-100 % across, 0-100 % down"


@given(degrees=st.integers(0, 359))
def test_turns_are_told_clockwise(degrees):
    """The turn is the one a person would say, and slight ones or nearly quarter turns are said as such."""
    place = placement(turned_map(degrees), SQUARE, SQUARE, is_mirrored=False)

    assert place.turn == degrees
    quarter = round(degrees / 90) * 90
    spoken = quarter % 360 if abs(degrees - quarter) < 3 else degrees
    assert (f"rotated by about {spoken} degrees" in words(place)) == (spoken != 0)


@given(share=st.floats(0.1, 0.9))
def test_a_crop_says_how_much_is_left(share):
    """A query that shows part of the reference image says how many percent of it."""
    place = placement(scaled_map(np.sqrt(share)), SQUARE, SQUARE, is_mirrored=False)

    assert place.visible == pytest.approx(share, abs=0.01)
    assert words(place) == (f"cropped to about {round(100 * place.visible)} %",)


@given(share=st.floats(0.1, 0.8))
def test_a_part_says_where_it_lies(share):
    """A reference image inside a larger query is a part of it, and the place is told in percent."""
    side = np.sqrt(share)
    place = placement(scaled_map(1 / side), SQUARE, SQUARE, is_mirrored=False)

    assert words(place) == ("part of a larger picture",)
    assert place.covered == pytest.approx(share, abs=0.01)
    assert where(place) in {f"0-{to} % across, 0-{to} % down" for to in (int(100 * side), int(100 * side) + 1)}


def test_a_mirrored_part_lies_where_a_person_sees_it():
    """The map is that of the mirrored query; the corners are told in the query as it is."""
    place = placement(scaled_map(2.0), SQUARE, SQUARE, is_mirrored=True)

    assert words(place) == ("mirrored", "part of a larger picture")
    assert where(place) == "50-100 % across, 0-50 % down"


def test_corners_are_in_shares_of_each_side():
    """Corners count in widths and heights of the other picture, so that they can be drawn at any size."""
    place = placement(np.eye(3), (200, 100), (200, 100), is_mirrored=False)

    assert place.in_query == place.in_reference == ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
