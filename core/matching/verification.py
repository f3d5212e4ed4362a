"""Gather the evidence that a candidate is in the query. Pure.

1. Geometry (core/matching/alignment.py): find the map on which most feature pairs agree.
2. Dense check (core/matching/overlay.py): lay the query over the reference image's thumbnail and compare the two block
   by block, where the query shows it. Counting features alone proves nothing: many photos show the same carpet.
core/matching/calibration.py turns this evidence into confidence.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.fingerprints.features import Features, opened
from core.matching.alignment import Alignment, align
from core.matching.calibration import DRAWN_SMOOTHNESS
from core.matching.overlay import COARSE, DETAIL, FINE, FLAT_DEVIATION, MIDDLE, Blocks, FloatArray, Overlay
from core.matching.placement import placement
from core.model.fingerprints import PhotoFeatures
from core.model.matches import BlockFigures, DetailFigures, Evidence, Geometry

FEWEST_INLIERS = 4
DENSE_CHECKS = 6
"""Candidates of one query that get the dense check: enough for a collage of six."""

AGREES, AGREES_STRONGLY, DISAGREES = 0.6, 0.85, 0.5
"""Correlations. The median block of crops and screenshots has 0.98, that of photos of a screen about 0.9."""
MOST_STRENGTH = 25.0
"""Deviation in grey levels above which a block's weight no longer grows."""
BOLD_DEVIATION = 10.0
"""Blocks that vary more, such as letters and edges, survive re-encoding: a difference in them is significant."""
SMOOTH_RESIDUE = 0.5
"""Deviation from a plane in grey levels: blocks below it are drawn by a program, or very dark. Of 424 photos 1 % have
36 % of such blocks in their thumbnail; of 27 kinds of cards, chats, posters and gradients all but the chats have that
and more."""

HIDDEN_AGREEING, EDGE_AGREEING = 0.2, 0.4
"""Largest shares of blocks that agree by chance: in a strip that another picture covers, and in its last column."""
FEWEST_HIDDEN, MOST_HIDDEN = 12, 0.6
"""Fewest blocks, and largest share of all, that such a strip may have on one side."""
CERTAIN_INLIERS, CERTAIN_BITS = 15, 30.0
"""Of 432 different photos that align at 15 places and more, 19 in 20 have codes more than 31.7 bits apart; of true
copies, 19 in 20 have less than 30.6. Without these limits 21 of 1,300 unknown photos got a name, and 50 of 300 unknown
cards."""
LEAST_SHOWN = 0.35
"""Share of the blocks that must remain."""

NEAR_LEVEL, FAR_LEVEL = 15.0, 30.0
"""Differences in grey levels from the brightness that the other blocks predict."""
LEVEL_BLOCKS = 6
LEVEL_TOLERANCE = 8.0
LEAST_GAIN = 0.15
IMPOSSIBLE_LEVEL = 99.0
"""The brightness error of every block if the query's brightness falls as the reference image's rises."""


def verify(
    pixels: NDArray[np.uint8],
    features: Features,
    candidates: Iterable[tuple[int, PhotoFeatures]],
    *,
    is_mirrored: bool,
) -> list[Evidence]:
    """Examine candidates (id, features) for a query (rows, columns) uint8; the best aligned come first.

    With `is_mirrored`, the features are those of the query's mirror image.
    """
    pixels = np.ascontiguousarray(pixels[:, ::-1]) if is_mirrored else pixels
    aligned = [
        (alignment, photo_id, kept)
        for photo_id, kept in candidates
        if (alignment := align(features, Features.unpacked(kept.codes)))
        and alignment.geometry.inliers >= FEWEST_INLIERS
    ]
    aligned.sort(key=lambda each: -each[0].weight)
    examined = [
        examine(pixels, opened(kept.thumbnail), alignment, photo_id=photo_id, is_mirrored=is_mirrored)
        for alignment, photo_id, kept in aligned[:DENSE_CHECKS]
    ]
    return [evidence for evidence in examined if evidence]


def examine(
    pixels: NDArray[np.uint8],
    thumbnail: NDArray[np.uint8],
    alignment: Alignment,
    *,
    photo_id: int,
    is_mirrored: bool,
) -> Evidence | None:
    """Lay the query over the thumbnail and compare the two; None if they hardly overlap."""
    overlay = Overlay.of(pixels, thumbnail, alignment.map)
    for look in (COARSE, MIDDLE):
        overlay = overlay.improved(look)
    blocks, details = overlay.compared(FINE), overlay.compared(DETAIL)
    if not blocks or not details:
        return None
    place = placement(overlay.map(), pixels.shape, thumbnail.shape, is_mirrored=is_mirrored)
    shown, details_shown = _shown(blocks, details, alignment.geometry)
    share = _share(shown)
    return Evidence(
        photo_id=photo_id,
        placement=replace(place, visible=place.visible * share, covered=place.covered * share),
        geometry=alignment.geometry,
        blocks=_block_figures(blocks.of(shown), max(overlay.thumbnail.shape)),
        details=_detail_figures(details.of(details_shown)),
    )


def _shown(blocks: Blocks, details: Blocks, geometry: Geometry) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which blocks, large and small, count: all except those that other pictures of a collage cover.

    Only photos with unmistakable features are treated this way: a chance map, or two cards of one template, always have
    some part that agrees.
    """
    everything = np.ones(len(blocks.mean), np.bool_), np.ones(len(details.mean), np.bool_)
    is_drawing = _share(details.residue < SMOOTH_RESIDUE) >= DRAWN_SMOOTHNESS
    if is_drawing or geometry.inliers < CERTAIN_INLIERS or geometry.hamming > CERTAIN_BITS:
        return everything
    first, last = _unhidden(blocks)
    shown = _inside(blocks, first, last)
    return (shown, _inside(details, first, last)) if _share(shown) >= LEAST_SHOWN else everything


def _unhidden(blocks: Blocks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners, in pixels, of the part that no other picture covers, cutting off strips along the edges.

    In a collage of cropped photos the frame of each extends below its neighbours; there everything disagrees up to the
    edge. A picture that agrees at the edges and disagrees in the middle shows a different object on the same
    background, and is not cut.
    """
    first, last = blocks.centres.min(axis=0), blocks.centres.max(axis=0)
    agrees = blocks.correlation > AGREES
    for axis in (0, 1):
        for direction in (1, -1):
            inside = _inside(blocks, first, last) & blocks.is_textured
            along = direction * blocks.centres[inside, axis]
            cut = _hidden_until(along, agrees[inside])
            if cut is not None:
                (first if direction > 0 else last)[axis] = direction * cut
    return first, last


def _hidden_until(along: NDArray[np.float64], agrees: NDArray[np.bool_]) -> float | None:
    """Return the position from which blocks count, if those between it and the edge hardly agree; None if all count."""
    places, column = np.unique(along, return_inverse=True)
    sizes, hits = np.bincount(column), np.bincount(column, agrees)
    hidden = (np.cumsum(hits) <= HIDDEN_AGREEING * np.cumsum(sizes)) & (hits <= EDGE_AGREEING * sizes)
    hidden &= (np.cumsum(sizes) >= FEWEST_HIDDEN) & (np.cumsum(sizes) <= MOST_HIDDEN * len(along))
    return float(places[np.flatnonzero(hidden)[-1] + 1]) if hidden.any() else None


def _inside(blocks: Blocks, first: NDArray[np.float64], last: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(((blocks.centres >= first) & (blocks.centres <= last)).all(axis=1))


def _block_figures(blocks: Blocks, side: int) -> BlockFigures:
    textured = blocks.is_textured
    both = np.minimum(blocks.deviation, blocks.query_deviation) > FLAT_DEVIATION
    correlation, strength = blocks.correlation[textured], np.minimum(blocks.deviation[textured], MOST_STRENGTH)
    levels = _level_errors(blocks, textured)
    disagrees = blocks.correlation < DISAGREES
    return BlockFigures(
        side=side,
        count=len(textured),
        textured=int(textured.sum()),
        agreeing=_share(correlation > AGREES),
        strong=_share(correlation > AGREES_STRONGLY),
        median=float(np.median(correlation)) if len(correlation) else 0.0,
        mean=float((correlation * strength).sum() / max(float(strength.sum()), 1e-6)),
        clashing=_share(disagrees & both),
        level=_share(levels < NEAR_LEVEL),
        contradicted=_share((textured & disagrees) | (levels > FAR_LEVEL)),
    )


def _detail_figures(details: Blocks) -> DetailFigures:
    textured = details.correlation[details.is_textured]
    here, there = details.deviation > BOLD_DEVIATION, details.query_deviation > BOLD_DEVIATION
    disagrees = details.correlation < DISAGREES
    return DetailFigures(
        agreeing=_share(textured > AGREES),
        strong=_share(textured > AGREES_STRONGLY),
        bold=int((here & there).sum()),
        bold_clashing=_share(details.correlation[here & there] < AGREES),
        hidden=_share(here & ~there & disagrees),
        added=_share(there & ~here & disagrees),
        smooth=_share(details.residue < SMOOTH_RESIDUE),
    )


def _share(which: NDArray[np.bool_]) -> float:
    return float(which.mean()) if len(which) else 0.0


def _level_errors(blocks: Blocks, textured: NDArray[np.bool_]) -> FloatArray:
    """Return the difference of each block's brightness from the prediction of a line through the other blocks."""
    sure = textured & (blocks.correlation > AGREES)
    which = sure if np.count_nonzero(sure) >= LEVEL_BLOCKS else np.ones(len(textured), np.bool_)
    here, there = blocks.mean[which].astype(np.float64), blocks.query_mean[which].astype(np.float64)
    if len(here) < LEVEL_BLOCKS or np.ptp(here) <= 1:
        return np.asarray(np.abs(blocks.query_mean - blocks.mean - np.median(there - here)), np.float32)
    gain, offset = _line(here, there)
    if gain <= 0:
        return np.full(len(textured), IMPOSSIBLE_LEVEL, np.float32)
    missed = np.abs(blocks.query_mean - gain * blocks.mean - offset)
    return np.asarray(missed / np.sqrt(max(gain, LEAST_GAIN)), np.float32)


def _line(here: NDArray[np.float64], there: NDArray[np.float64]) -> tuple[float, float]:
    """Fit a line that is robust to outliers; return its gain and offset."""
    weights = np.ones(len(here))
    for _ in range(6):
        gain, offset = np.polyfit(here, there, 1, w=np.sqrt(weights))
        weights = 1 / (1 + ((gain * here + offset - there) / LEVEL_TOLERANCE) ** 2)
    return float(gain), float(offset)
