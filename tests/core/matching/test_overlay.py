"""A query laid over a thumbnail: the map is corrected, and blocks agree where the pictures are the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.matching.overlay import COARSE, DETAIL, FINE, MIDDLE, Overlay
from core.matching.placement import projected
from tests.pictures import photo

THUMBNAIL = np.asarray(photo(3, (224, 180)).convert("L"))
QUERY = np.asarray(photo(3, (224, 180)).resize((672, 540), Image.Resampling.BICUBIC).convert("L"))
IDENTITY = np.eye(3)[:2]
CORNERS = np.array([[0.1, 0.1], [0.9, 0.1], [0.9, 0.7], [0.1, 0.7]])


def improved(start):
    overlay = Overlay.of(QUERY, THUMBNAIL, start)
    for look in (COARSE, MIDDLE):
        overlay = overlay.improved(look)
    return overlay


@settings(max_examples=25, deadline=None)
@given(
    across=st.floats(-0.012, 0.012),
    down=st.floats(-0.012, 0.012),
    turn=st.floats(-0.008, 0.008),
    scale=st.floats(0.99, 1.01),
)
def test_a_map_that_is_a_little_off_is_corrected(across, down, turn, scale):
    """A map with the error that geometry leaves (1 % of a side) is right to a pixel after two comparisons."""
    start = np.array([[scale, -turn, across], [turn, scale, down]])

    found = projected(improved(start).map(), CORNERS)

    assert np.linalg.norm(found - CORNERS, axis=1).max() * 224 < 1


def test_a_perspective_is_corrected():
    """The blocks' shifts recover a perspective that no affine map has, as in a photo of a screen."""
    tilted = np.array([[1, 0, 0], [0, 1, 0], [0.04, 0.02, 1.0]])
    height, width = QUERY.shape
    grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1).reshape(-1, 2) / width
    there = projected(tilted, grid) * width - 0.5
    columns, rows = (
        np.clip(np.rint(axis), 0, side - 1).astype(int) for axis, side in zip(there.T, (width, height), strict=True)
    )
    query = QUERY[rows, columns].reshape(height, width)
    overlay = Overlay.of(query, THUMBNAIL, IDENTITY)
    before = overlay.compared(FINE)

    for look in (COARSE, MIDDLE):
        overlay = overlay.improved(look)
    after = overlay.compared(FINE)

    assert before is not None
    assert after is not None
    assert np.mean(after.correlation > 0.9) > np.mean(before.correlation > 0.9) + 0.1


def test_the_same_picture_agrees_everywhere():
    """Laid over itself, every block of a picture agrees, large and small ones, and brightness too."""
    overlay = improved(IDENTITY)

    for look in (FINE, DETAIL):
        blocks = overlay.compared(look)
        assert blocks is not None
        textured = blocks.deviation > 3
        assert blocks.correlation[textured].min() > 0.8
        assert np.abs(blocks.mean - blocks.query_mean).max() < 6


def test_another_picture_disagrees():
    """Laid over another picture, hardly any block agrees, whatever is done to the map."""
    other = np.asarray(photo(99, (672, 540)).convert("L"))
    overlay = Overlay.of(other, THUMBNAIL, IDENTITY)
    for look in (COARSE, MIDDLE):
        overlay = overlay.improved(look)

    blocks = overlay.compared(FINE)

    assert blocks is None or np.mean(blocks.correlation > 0.85) < 0.2


@pytest.mark.parametrize("shift", [2.0, -2.0])
def test_what_is_not_visible_is_not_compared(shift):
    """A map that puts the query beside the thumbnail leaves no block."""
    overlay = Overlay.of(QUERY, THUMBNAIL, np.array([[1, 0, shift], [0, 1, 0.0]]))

    assert overlay.compared(FINE) is None
    assert overlay.improved(COARSE) is overlay


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (60, 50)])
def test_tiny_queries_are_no_trouble(size):
    """A query of a few pixels is compared at its own scale, or not at all."""
    tiny = np.asarray(photo(3, (224, 180)).resize(size).convert("L"))

    overlay = Overlay.of(tiny, THUMBNAIL, IDENTITY)
    for look in (COARSE, MIDDLE):
        overlay = overlay.improved(look)

    assert overlay.thumbnail.shape[1] >= 60
    overlay.compared(FINE)
