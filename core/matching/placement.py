"""Turn a map between two pictures into the place of one in the other, and into words for how it was edited. Pure."""

import cv2
import numpy as np
from numpy.typing import NDArray

from core.model.matches import Corners, Placement

FULL_TURN, QUARTER_TURN = 360, 90
SLIGHT_TURN = 3
"""Degrees below which a turn is not mentioned; a map is off by less than one degree."""
WHOLE, FILLED = 0.93, 0.85
"""Share of the reference image from which it is not called cropped, and share of the query from which it is not called
part of a larger picture: the map's edges are off by up to 1 % of a side, and blocks at the edges are not compared."""


def placement(
    to_reference: NDArray[np.float64], query: tuple[int, int], reference: tuple[int, int], *, is_mirrored: bool
) -> Placement:
    """Return the place of two pictures of these shapes (rows, columns) in each other.

    The map (3, 3) takes points of the query to points of the reference image, each in long sides of its picture; with
    `is_mirrored`, points of the mirrored query.
    """
    query_frame, reference_frame = _frame(*query), _frame(*reference)
    in_reference = projected(to_reference, query_frame)
    in_query = projected(np.asarray(np.linalg.inv(to_reference), np.float64), reference_frame)
    visible = _common_area(in_reference, reference_frame) / _area(reference_frame)
    covered = _common_area(in_query, query_frame) / _area(query_frame)
    angle = np.degrees(np.arctan2(to_reference[1, 0] - to_reference[0, 1], to_reference[0, 0] + to_reference[1, 1]))
    in_query, in_reference = in_query / query_frame[2], in_reference / reference_frame[2]
    if is_mirrored:
        in_query[:, 0] = 1 - in_query[:, 0]
        in_reference = in_reference[[1, 0, 3, 2]]
    turn = round(angle if is_mirrored else -angle) % FULL_TURN
    return Placement(
        _corners(in_query), _corners(in_reference), turn, min(visible, 1.0), min(covered, 1.0), is_mirrored
    )


def where(place: Placement) -> str:
    """Describe the part of the query that the reference image fills, in percent of the query's width and height."""
    columns, rows = (
        [min(max(round(100 * share), 0), 100) for share in axis] for axis in zip(*place.in_query, strict=True)
    )
    return f"{min(columns)}-{max(columns)} % across, {min(rows)}-{max(rows)} % down"


def words(place: Placement) -> tuple[str, ...]:
    """Describe how the reference image was edited to become the query."""
    said = ["mirrored"] if place.is_mirrored else []
    if turn := _spoken_turn(place.turn):
        said.append(f"rotated by about {turn} degrees")
    if place.visible < WHOLE:
        said.append(f"cropped to about {max(1, round(100 * place.visible))} %")
    if place.covered < FILLED:
        said.append("part of a larger picture")
    return tuple(said) or ("recompressed",)


def _spoken_turn(turn: int) -> int:
    """Return the turn in degrees, snapped to a quarter turn if it is near one."""
    nearest = round(turn / QUARTER_TURN) * QUARTER_TURN
    return nearest % FULL_TURN if abs(turn - nearest) < SLIGHT_TURN else turn


def _frame(height: int, width: int) -> NDArray[np.float64]:
    """Return the corners (4, 2) of a picture, clockwise from the top left, in long sides."""
    side = max(height, width)
    height_share, width_share = height / side, width / side
    return np.array([[0, 0], [width_share, 0], [width_share, height_share], [0, height_share]], np.float64)


def projected(by: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points (n, 2) projected by a map (3, 3)."""
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ by.T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])


def _area(polygon: NDArray[np.float64]) -> float:
    return float(cv2.contourArea(polygon.astype(np.float32)))


def _common_area(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(cv2.intersectConvexConvex(one.astype(np.float32), other.astype(np.float32))[0])


def _corners(points: NDArray[np.float64]) -> Corners:
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in points)
