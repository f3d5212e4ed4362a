"""Candidates -> evidence: is the reference image really in the query, and where? Pure; numpy and OpenCV.

1. Geometry. Features of the query and of the reference image are paired by their codes. Each pair proposes a similarity
   (from its scales and angles); the one that most pairs agree with is refitted as an affine map (RANSAC's idea, Fischler
   and Bolles 1981, but every hypothesis is tried). What counts are inliers at distinct places.
2. Dense check. Counting features is no proof: the same carpet lies behind many garments. So the query is laid over the
   reference image's thumbnail and compared block by block, by normalised cross-correlation, each block with some slack;
   the blocks' shifts improve the map, and the last comparison decides. Only what is visible in the query counts.

All places are in long sides of the picture they lie in; a map takes places of the query to places of the reference.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from core.features import Features, fitted, opened
from core.model import DeepFingerprint, Evidence
from core.placement import placement, projected

FloatArray = NDArray[np.float32]

MOST_BITS = 72
"""Pairs of codes farther apart are chance. True pairs: 9 of 10 below 50; unrelated codes: 128, 98 of 100 above 85."""
MOST_PAIRS, MOST_HYPOTHESES = 300, 120
TOLERANCE = 0.025
"""Of the long side: how far an inlier may lie from where the map puts it; hypotheses get more."""
HYPOTHESIS_TOLERANCE = 0.04
SAME_SCALE, SAME_ANGLE = 0.55, 0.55
"""How far the logarithm of a pair's scale and its angle, in radians, may be from those of the map."""
REFINEMENTS = 4
MOST_SHEAR = 2.2
"""Ratio of the singular values: a photo of a screen from the side has 1.5."""
PLACE_GRID = 0.012
"""Features nearer than this lie at one place: several scales of one spot are one witness."""
FEWEST_INLIERS = 4
DENSE_CHECKS = 6
"""Candidates of one query that get the dense check: a collage of six is told apart."""

FLAT_DEVIATION = 3.0
"""Grey levels: blocks that vary less don't vote."""
BOLD_DEVIATION = 10.0
"""Blocks that vary more, as letters and edges do, are not lost by re-encoding: where they differ, it tells."""
SMOOTH_RESIDUE = 0.5
"""Grey levels about a plane: what is below is drawn by a program, or very dark. Of 424 photos 1 % have 36 % of such
blocks in their thumbnail; of 27 kinds of cards, chats, posters and gradients all but one have that and more."""
BLUR = 0.8
PERSPECTIVE_BLOCKS = 24
"""Blocks that must agree before a perspective is fitted to their shifts; fewer get an affine map."""
MOST_CORRECTION = 1.5
"""Ratio of the singular values of a correction; a larger one comes of chance."""
SMALLEST_SIDE = 64
"""Pixels of the long side: a query coarser than the thumbnail is compared at its own scale, but no coarser than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """How the features of a query lie on those of a reference image.

    map (2, 3); weight: inliers by how near their codes are; hamming: mean bits of inliers; error: root mean square of
    their distances; scale_error: mean difference of log scales; exact: share of inliers within 20 bits.
    """

    map: NDArray[np.float64]
    inliers: int
    weight: float
    hamming: float
    error: float
    scale_error: float
    exact: float


def verify(
    pixels: NDArray[np.uint8],
    features: Features,
    candidates: Iterable[tuple[int, DeepFingerprint]],
    *,
    is_mirrored: bool,
) -> list[Evidence]:
    """Examine candidates (id, deep fingerprint) for a query (rows, columns) uint8: the likeliest few, best aligned first.

    With `is_mirrored`, the features are those of the query's mirror image.
    """
    pixels = np.ascontiguousarray(pixels[:, ::-1]) if is_mirrored else pixels
    aligned = [
        (alignment, light_id, deep)
        for light_id, deep in candidates
        if (alignment := align(features, Features.unpacked(deep.codes))) and alignment.inliers >= FEWEST_INLIERS
    ]
    aligned.sort(key=lambda each: -each[0].weight)
    examined = [
        examine(pixels, opened(deep.thumbnail), alignment, light_id=light_id, is_mirrored=is_mirrored)
        for alignment, light_id, deep in aligned[:DENSE_CHECKS]
    ]
    return [evidence for evidence in examined if evidence]


def align(query: Features, reference: Features) -> Alignment | None:
    """Find the map on which most feature pairs agree; None where fewer than three pairs are to be had."""
    pairs = _pairs(query, reference)
    if len(pairs) < 3:
        return None
    agreeing = _agreeing(pairs)
    best: Alignment | None = None
    for hypothesis in np.argsort(-(agreeing @ pairs.weights), kind="stable")[:3]:
        found = _refined(pairs, agreeing[hypothesis], pairs.similarity(int(hypothesis)))
        if found and (best is None or found.weight > best.weight):
            best = found
    return best


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Feature pairs, nearest codes first: places in both pictures (n, 2), scale and turn from query to reference."""

    here: NDArray[np.float64]
    there: NDArray[np.float64]
    scales: NDArray[np.float64]
    angles: NDArray[np.float64]
    bits: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.bits)

    @property
    def weights(self) -> NDArray[np.float64]:
        return np.clip((MOST_BITS + 4 - self.bits) / 60, 0, 1)

    def linear(self) -> NDArray[np.float64]:
        """Return the similarity of each pair without its shift, (n, 2, 2)."""
        cosines, sines = self.scales * np.cos(self.angles), self.scales * np.sin(self.angles)
        return np.stack([np.stack([cosines, -sines], -1), np.stack([sines, cosines], -1)], -2)

    def similarity(self, row: int) -> NDArray[np.float64]:
        linear = self.linear()[row]
        return np.column_stack([linear, self.there[row] - linear @ self.here[row]])


def _pairs(query: Features, reference: Features) -> _Pairs:
    """Pair each feature with the nearest of the other picture, both ways."""
    if not len(query) or not len(reference):
        none = np.empty(0)
        return _Pairs(np.empty((0, 2)), np.empty((0, 2)), none, none, none)
    nearest_there, there_bits = _nearest(query.codes, reference.codes)
    nearest_here, here_bits = _nearest(reference.codes, query.codes)
    here = np.concatenate([np.arange(len(query)), nearest_here])
    there = np.concatenate([nearest_there, np.arange(len(reference))])
    distances = np.concatenate([there_bits, here_bits])
    once = np.unique(here * len(reference) + there, return_index=True)[1]
    here, there, distances = here[once], there[once], distances[once]
    chosen = np.argsort(distances, kind="stable")[:MOST_PAIRS]
    chosen = chosen[distances[chosen] <= MOST_BITS]
    here, there = here[chosen], there[chosen]
    return _Pairs(
        here=query.points[here].astype(np.float64),
        there=reference.points[there].astype(np.float64),
        scales=(reference.sizes[there] / query.sizes[here]).astype(np.float64),
        angles=(reference.angles[there] - query.angles[here]).astype(np.float64),
        bits=distances[chosen].astype(np.float64),
    )


def _nearest(codes: NDArray[np.uint8], others: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return for each code the row of the nearest of the others, and the bits between them."""
    bits, rows = cv2.batchDistance(codes, others, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=1)
    return rows[:, 0].astype(np.int32), bits[:, 0].astype(np.int32)


def _agreeing(pairs: _Pairs) -> NDArray[np.bool_]:
    """Tell which pairs (columns) agree with the similarity that each of the nearest pairs (rows) proposes."""
    some = slice(0, MOST_HYPOTHESES)
    linear = pairs.linear()[some]
    shifts = pairs.there[some] - np.matmul(linear, pairs.here[some, :, None])[..., 0]
    placed = (linear.reshape(-1, 2) @ pairs.here.T).reshape(-1, 2, len(pairs)) + shifts[:, :, None]
    missed = placed - pairs.there.T
    is_near = missed[:, 0] ** 2 + missed[:, 1] ** 2 < HYPOTHESIS_TOLERANCE**2
    scales = np.log(pairs.scales)
    same_scale = np.abs(scales - scales[some, None]) < SAME_SCALE
    same_angle = np.abs(_wrapped(pairs.angles - pairs.angles[some, None])) < SAME_ANGLE
    return is_near & same_scale & same_angle


def _refined(pairs: _Pairs, inliers: NDArray[np.bool_], start: NDArray[np.float64]) -> Alignment | None:
    """Refit the map to its inliers, and find the inliers anew, until nothing changes."""
    fitted_map = start
    for _ in range(REFINEMENTS):
        better = _fit(pairs, inliers)
        if better is None:
            break
        fitted_map, before = better, inliers
        inliers = _inliers(pairs, fitted_map)
        if np.array_equal(inliers, before):
            break
    if np.count_nonzero(inliers) < 2:
        return None
    distances = np.linalg.norm(_mapped(fitted_map, pairs.here[inliers]) - pairs.there[inliers], axis=1)
    return Alignment(
        map=fitted_map,
        inliers=min(_places(pairs.here[inliers]), _places(pairs.there[inliers])),
        weight=float(pairs.weights[inliers].sum()),
        hamming=float(pairs.bits[inliers].mean()),
        error=float(np.sqrt((distances**2).mean())),
        scale_error=float(np.abs(np.log(pairs.scales[inliers] / _scale(fitted_map))).mean()),
        exact=float((pairs.bits[inliers] <= 20).mean()),
    )


def _fit(pairs: _Pairs, inliers: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Fit an affine map, or a similarity to few places; None where they allow neither."""
    here, there, weights = pairs.here[inliers], pairs.there[inliers], pairs.weights[inliers]
    if len(here) < 2:
        return None
    if len(here) >= 5 and min(_places(here), _places(there)) >= 4:
        fitted_map = fit_affine(here, there, weights)
    else:
        fitted_map = _fit_similarity(here, there)
    stretches = np.linalg.svd(fitted_map[:, :2], compute_uv=False)
    return fitted_map if stretches[1] > 1e-3 and stretches[0] <= MOST_SHEAR * stretches[1] else None


def fit_affine(
    here: NDArray[np.float64], there: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the affine map (2, 3) with the least weighted squares."""
    roots = np.sqrt(weights)[:, None]
    solution = np.linalg.lstsq(np.column_stack([here, np.ones(len(here))]) * roots, there * roots, rcond=None)[0]
    return np.asarray(solution.T, np.float64)


def _fit_similarity(here: NDArray[np.float64], there: NDArray[np.float64]) -> NDArray[np.float64]:
    (x, y), one, zero = here.T, np.ones(len(here)), np.zeros(len(here))
    rows = np.concatenate([np.column_stack([x, -y, one, zero]), np.column_stack([y, x, zero, one])])
    a, b, right, down = np.linalg.lstsq(rows, there.T.ravel(), rcond=None)[0]
    return np.array([[a, -b, right], [b, a, down]])


def _inliers(pairs: _Pairs, fitted_map: NDArray[np.float64]) -> NDArray[np.bool_]:
    distances = np.linalg.norm(_mapped(fitted_map, pairs.here) - pairs.there, axis=1)
    turn = np.arctan2(fitted_map[1, 0] - fitted_map[0, 1], fitted_map[0, 0] + fitted_map[1, 1])
    same_scale = np.abs(np.log(pairs.scales / _scale(fitted_map))) < SAME_SCALE
    return (distances < TOLERANCE) & same_scale & (np.abs(_wrapped(pairs.angles - turn)) < SAME_ANGLE)


def _mapped(fitted_map: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ fitted_map[:, :2].T + fitted_map[:, 2]


def _scale(fitted_map: NDArray[np.float64]) -> float:
    return float(np.sqrt(abs(np.linalg.det(fitted_map[:2, :2]))))


def _wrapped(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.remainder(angles + np.pi, 2 * np.pi) - np.pi


def _places(points: NDArray[np.float64]) -> int:
    cells = np.rint(points / PLACE_GRID).astype(np.int64)
    return len(np.unique(cells[:, 0] * 100_003 + cells[:, 1]))


def examine(
    pixels: NDArray[np.uint8],
    thumbnail: NDArray[np.uint8],
    alignment: Alignment,
    *,
    light_id: int,
    is_mirrored: bool,
) -> Evidence | None:
    """Lay the query over the thumbnail and compare; None where they hardly overlap."""
    overlay = _Overlay.of(pixels, thumbnail, alignment.map)
    for look in (COARSE, MIDDLE):
        overlay = overlay.improved(look)
    blocks, details = overlay.compared(FINE), overlay.compared(DETAIL)
    if not blocks or not details:
        return None
    textured = np.maximum(blocks.deviation, blocks.query_deviation) > FLAT_DEVIATION
    both = np.minimum(blocks.deviation, blocks.query_deviation) > FLAT_DEVIATION
    correlation, strengths = blocks.correlation[textured], np.minimum(blocks.deviation[textured], 25)
    detailed = details.correlation[np.maximum(details.deviation, details.query_deviation) > FLAT_DEVIATION]
    bold = np.minimum(details.deviation, details.query_deviation) > BOLD_DEVIATION
    hidden = (details.deviation > BOLD_DEVIATION) & ~bold
    added = (details.query_deviation > BOLD_DEVIATION) & ~bold
    levels = _level_errors(blocks, textured)
    return Evidence(
        light_id=light_id,
        placement=placement(overlay.map(), pixels.shape, thumbnail.shape, is_mirrored=is_mirrored),
        inliers=alignment.inliers,
        hamming=alignment.hamming,
        error=alignment.error,
        scale_error=alignment.scale_error,
        exact=alignment.exact,
        side=max(overlay.thumbnail.shape),
        blocks=len(textured),
        textured=int(textured.sum()),
        agreeing=_share(correlation > 0.6),
        strong=_share(correlation > 0.85),
        median=float(np.median(correlation)) if len(correlation) else 0.0,
        mean=float((correlation * strengths).sum() / max(strengths.sum(), 1e-6)),
        detail=_share(detailed > 0.6),
        fine_detail=_share(detailed > 0.85),
        clashing=_share((blocks.correlation < 0.5) & both),
        level=_share(levels < 15),
        contradicted=_share((textured & (blocks.correlation < 0.5)) | (levels > 30)),
        bold=int(bold.sum()),
        bold_clashing=_share(details.correlation[bold] < 0.6),
        hidden=_share(hidden & (details.correlation < 0.5)),
        added=_share(added & (details.correlation < 0.5)),
        smooth=_share(details.residue < SMOOTH_RESIDUE),
    )


def _share(which: NDArray[np.bool_]) -> float:
    return float(which.mean()) if len(which) else 0.0


@dataclass(frozen=True, slots=True)
class Look:
    """How blocks are compared: their side, the step between them, the slack, and how much smaller all is; in pixels."""

    block: int
    step: int
    slack: int
    shrink: int = 1


COARSE, MIDDLE = Look(12, 8, 3, shrink=2), Look(16, 12, 2)
FINE, DETAIL = Look(16, 8, 1), Look(8, 8, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Blocks of the reference image (n,): centre, best correlation, the shift at which it is, means and deviations.

    `residue` is the deviation of the reference image's pixels from a plane.
    """

    centres: NDArray[np.float64]
    shifts: NDArray[np.float64]
    correlation: FloatArray
    mean: FloatArray
    deviation: FloatArray
    query_mean: FloatArray
    query_deviation: FloatArray
    residue: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Overlay:
    """A query and a thumbnail brought to one scale, (rows, columns) float32, and the map (3, 3) between their pixels."""

    query: FloatArray
    thumbnail: FloatArray
    pixel_map: NDArray[np.float64]

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], thumbnail: NDArray[np.uint8], start: NDArray[np.float64]) -> "_Overlay":
        """Bring both pictures to the coarser one's scale."""
        scale = _scale(start) * max(thumbnail.shape) / max(pixels.shape)
        if scale > 1:
            thumbnail = fitted(thumbnail, long_side=max(SMALLEST_SIDE, round(max(thumbnail.shape) / scale)))
            scale = _scale(start) * max(thumbnail.shape) / max(pixels.shape)
        pixels = fitted(pixels, long_side=max(8, round(max(pixels.shape) * min(scale, 1.0))))
        to_pixels = _pixels_from_places(max(thumbnail.shape))
        whole = np.vstack([start, [0, 0, 1]])
        pixel_map = to_pixels @ whole @ np.linalg.inv(_pixels_from_places(max(pixels.shape)))
        return cls(_blurred(pixels), _blurred(thumbnail), pixel_map)

    def map(self) -> NDArray[np.float64]:
        """Return the map (3, 3) between places."""
        here, there = (_pixels_from_places(max(picture.shape)) for picture in (self.query, self.thumbnail))
        return np.asarray(np.linalg.inv(there) @ self.pixel_map @ here)

    def improved(self, look: Look) -> "_Overlay":
        """Let the shifts of agreeing blocks correct the map."""
        blocks = self.compared(look)
        if not blocks:
            return self
        flat = np.minimum(blocks.deviation, blocks.query_deviation) <= FLAT_DEVIATION
        good = (blocks.correlation > 0.5) & ~flat
        if np.count_nonzero(good) < 6:
            return self
        centres, shifted = blocks.centres[good], (blocks.centres + blocks.shifts)[good]
        strengths = np.clip(blocks.correlation[good] - 0.4, 0, 1) * np.minimum(blocks.deviation[good], 20)
        weights = strengths.astype(np.float64)
        fit = _fit_perspective if len(weights) >= PERSPECTIVE_BLOCKS else _fit_plane
        for _ in range(4):
            correction = fit(shifted, centres, weights)
            distances = np.linalg.norm(projected(correction, shifted) - centres, axis=1)
            weights = strengths / (1 + (distances / 0.7) ** 2)
        if np.linalg.cond(correction[:2, :2]) > MOST_CORRECTION:
            return self
        return _Overlay(self.query, self.thumbnail, correction @ self.pixel_map)

    def compared(self, look: Look) -> Blocks | None:
        """Compare every visible block of the thumbnail with the query beneath it; None where none is visible."""
        thumbnail, pixel_map = self.thumbnail, self.pixel_map
        if look.shrink > 1:
            thumbnail = cv2.resize(
                thumbnail, None, fx=1 / look.shrink, fy=1 / look.shrink, interpolation=cv2.INTER_AREA
            )
            centre = (1 - 1 / look.shrink) / 2
            pixel_map = np.array([[1 / look.shrink, 0, -centre], [0, 1 / look.shrink, -centre], [0, 0, 1]]) @ pixel_map
        size = thumbnail.shape[::-1]
        laid = cv2.warpPerspective(self.query, pixel_map, size, flags=cv2.INTER_LINEAR)
        seen = cv2.warpPerspective(np.ones_like(self.query), pixel_map, size, flags=cv2.INTER_LINEAR) > 0.999
        tops, lefts = _visible_blocks(seen, look)
        return _correlated(thumbnail, laid, tops, lefts, look) if len(tops) else None


def _fit_plane(
    here: NDArray[np.float64], there: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.vstack([fit_affine(here, there, weights), [0, 0, 1]])


def _fit_perspective(
    here: NDArray[np.float64], there: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the perspective map (3, 3) with the least weighted algebraic error, of points in hundreds of pixels."""
    (x, y), (u, v) = here.T / 100, there.T / 100
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate(
        [
            np.column_stack([x, y, one, zero, zero, zero, -u * x, -u * y]),
            np.column_stack([zero, zero, zero, x, y, one, -v * x, -v * y]),
        ]
    )
    roots = np.sqrt(np.concatenate([weights, weights]))
    solution = np.linalg.lstsq(rows * roots[:, None], np.concatenate([u, v]) * roots, rcond=None)[0]
    scale = np.diag([100.0, 100.0, 1.0])
    return np.asarray(scale @ np.append(solution, 1.0).reshape(3, 3) @ np.linalg.inv(scale))


def _pixels_from_places(side: int) -> NDArray[np.float64]:
    """Return the map (3, 3) from places to pixels: the centre of the first pixel lies half a pixel from the corner."""
    return np.array([[side, 0, -0.5], [0, side, -0.5], [0, 0, 1.0]])


def _blurred(pixels: NDArray[np.uint8]) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), BLUR), np.float32)


def _visible_blocks(seen: NDArray[np.bool_], look: Look) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return top and left of the blocks that are visible with all their slack."""
    rows, columns = (np.arange(look.slack, side - look.block - look.slack + 1, look.step) for side in seen.shape)
    tops, lefts = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
    sums = cv2.integral(seen.astype(np.uint8))
    first, last = -look.slack, look.block + look.slack
    covered = (
        sums[tops + last, lefts + last]
        - sums[tops + first, lefts + last]
        - sums[tops + last, lefts + first]
        + sums[tops + first, lefts + first]
    )
    is_visible = covered > 0.98 * (last - first) ** 2
    return tops[is_visible], lefts[is_visible]


def _correlated(
    thumbnail: FloatArray, laid: FloatArray, tops: NDArray[np.intp], lefts: NDArray[np.intp], look: Look
) -> Blocks:
    steps = np.arange(-look.slack, look.slack + 1)
    down, right = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    reference, mean, deviation = _normalised(_windows(thumbnail, tops, lefts, look.block))
    query, query_mean, query_deviation = _normalised(
        _windows(laid, tops[:, None] + down, lefts[:, None] + right, look.block)
    )
    correlation = np.matmul(query, reference[:, :, None])[..., 0]
    best, rows = correlation.argmax(axis=1), np.arange(len(tops))
    slopes = _slopes(look.block)
    unexplained = np.clip(1 - ((reference @ slopes) ** 2).sum(axis=1), 0, None)
    half = (look.block - 1) / 2
    return Blocks(
        centres=look.shrink * (np.column_stack([lefts, tops]) + half) + (look.shrink - 1) / 2,
        shifts=look.shrink * np.column_stack([right[best], down[best]]).astype(np.float64),
        correlation=correlation[rows, best],
        mean=mean,
        deviation=deviation,
        query_mean=query_mean[rows, best],
        query_deviation=query_deviation[rows, best],
        residue=deviation * np.sqrt(unexplained),
    )


def _windows(picture: FloatArray, tops: NDArray[np.intp], lefts: NDArray[np.intp], block: int) -> FloatArray:
    windows = np.lib.stride_tricks.sliding_window_view(picture, (block, block))
    return windows[tops, lefts].reshape(*tops.shape, block * block)


def _normalised(windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return windows with mean 0 and length 1, their means, and their standard deviations."""
    means = windows.mean(axis=-1, keepdims=True)
    windows = windows - means
    lengths = np.sqrt(np.einsum("...i,...i->...", windows, windows))
    deviations = lengths / np.float32(np.sqrt(windows.shape[-1]))
    return windows / np.maximum(lengths, 1e-3)[..., None], means[..., 0], deviations


@cache
def _slopes(block: int) -> FloatArray:
    """Return the plane of a block as two columns (block * block, 2) of length 1."""
    ramp = np.linspace(-1, 1, block, dtype=np.float32)
    across, down = np.meshgrid(ramp, ramp)
    columns = np.stack([across.ravel(), down.ravel()], axis=1)
    return np.asarray(columns / np.linalg.norm(columns, axis=0), np.float32)


def _level_errors(blocks: Blocks, textured: NDArray[np.bool_]) -> FloatArray:
    """Return how far each block's brightness is from what the others', by a line through them, let expect."""
    sure = textured & (blocks.correlation > 0.6)
    which = sure if np.count_nonzero(sure) >= 6 else np.ones(len(textured), np.bool_)
    here, there = blocks.mean[which], blocks.query_mean[which]
    if len(here) < 3 or np.ptp(here) <= 1:
        return np.abs(blocks.query_mean - blocks.mean - np.median(there - here))
    weights = np.ones(len(here), np.float32)
    for _ in range(6):
        gain, offset = np.polyfit(here, there, 1, w=np.sqrt(weights))
        weights = 1 / (1 + ((gain * here + offset - there) / 8) ** 2)
    if gain <= 0:
        return np.full(len(textured), 99, np.float32)
    return np.asarray(np.abs(blocks.query_mean - gain * blocks.mean - offset) / np.sqrt(max(gain, 0.15)), np.float32)
