"""The picture of a match shows both pictures whole, and the matched part bright in a frame."""

import io

import numpy as np
from PIL import Image

from core.imaging.comparison import FRAME, HEIGHT, MARGIN, side_by_side
from core.model.matches import Placement

GREY = np.full((300, 200, 3), 200, np.uint8)
QUARTER = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))
WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
BEYOND = ((-1.0, -2.0), (5.0, -2.0), (5.0, 3.0), (-1.0, 3.0))


def drawn(placement):
    picture = Image.open(io.BytesIO(side_by_side(GREY, GREY, placement)))
    assert picture.format == "PNG"
    return picture


def test_the_matched_part_is_bright_and_the_rest_dim():
    """Of the query only the part that matched keeps its brightness; a line runs around it."""
    picture = drawn(Placement(QUARTER, WHOLE, 0, 1.0, 0.25, is_mirrored=False))
    width = round(HEIGHT * 200 / 300)

    assert picture.size == (2 * width + 3 * MARGIN, HEIGHT + 2 * MARGIN)
    assert picture.getpixel((MARGIN + width // 4, MARGIN + HEIGHT // 4)) == (200, 200, 200)
    assert picture.getpixel((MARGIN + width * 3 // 4, MARGIN + HEIGHT * 3 // 4))[0] < 110
    assert picture.getpixel((2 * MARGIN + width + width * 3 // 4, MARGIN + HEIGHT * 3 // 4)) == (200, 200, 200)
    assert FRAME in [picture.getpixel((MARGIN + width // 4, MARGIN + HEIGHT // 2 + step)) for step in range(-4, 5)]


def test_a_whole_match_is_bright_everywhere():
    """Without a placement the pictures match as a whole, and so they do where the frame lies beyond the edges."""
    for placement in (None, Placement(BEYOND, BEYOND, 0, 1.0, 1.0, is_mirrored=False)):
        picture = drawn(placement)

        assert picture.getpixel((MARGIN + 100, MARGIN + 100)) == (200, 200, 200)
