"""Draw a query and a reference image side by side, with a frame around the part that matched."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from core.model.matches import Corners, Placement

HEIGHT, MARGIN, LINE = 720, 16, 4
"""In pixels: height of both pictures, margin around them, and width of the frame's line."""
GROUND, FRAME = (24, 24, 28), (0, 214, 143)
DIMMED = 0.45
"""Brightness of the parts that did not match."""
WHOLE: Corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def side_by_side(query: NDArray[np.uint8], reference: NDArray[np.uint8], placement: Placement | None) -> bytes:
    """Draw two pictures (rows, columns, 3) uint8 as a PNG, the query on the left; no placement: all of both matches."""
    left = _marked(query, placement.in_query if placement else WHOLE)
    right = _marked(reference, placement.in_reference if placement else WHOLE)
    sheet = Image.new("RGB", (left.width + right.width + 3 * MARGIN, HEIGHT + 2 * MARGIN), GROUND)
    sheet.paste(left, (MARGIN, MARGIN))
    sheet.paste(right, (left.width + 2 * MARGIN, MARGIN))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _marked(pixels: NDArray[np.uint8], region: Corners) -> Image.Image:
    """Return the picture with a frame around the region, and everything outside it dimmed."""
    picture = Image.fromarray(pixels)
    picture = picture.resize((max(1, round(picture.width * HEIGHT / picture.height)), HEIGHT))
    polygon = [(x * (picture.width - 1), y * (picture.height - 1)) for x, y in region]
    inside = Image.new("L", picture.size, round(255 * DIMMED))
    ImageDraw.Draw(inside).polygon(polygon, fill=255)
    picture = ImageChops.multiply(picture, Image.merge("RGB", [inside] * 3))
    ImageDraw.Draw(picture).line([*polygon, polygon[0], polygon[1]], fill=FRAME, width=LINE, joint="curve")
    return picture
