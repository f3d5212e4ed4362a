"""Geometric verification: find the map on which most features of two pictures agree. Pure.

Features of the query and of the reference image are paired by their codes. Each pair proposes a similarity from its
scales and angles; the one that most pairs agree with is refitted as an affine map (the idea of RANSAC, Fischler and
Bolles 1981, with every hypothesis tried). Only inliers at distinct places count.

All coordinates are in long sides of their own picture; a map takes points of the query to points of the reference
image.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.fingerprints.features import Features
from core.model.matches import Geometry

MOST_BITS = 72
"""Code pairs farther apart than this are chance: unrelated codes differ in 128 bits, give or take 8."""
MOST_PAIRS, MOST_HYPOTHESES = 300, 120
TOLERANCE = 0.025
"""Largest distance of an inlier from its mapped point, in long sides; hypotheses get a larger one."""
HYPOTHESIS_TOLERANCE = 0.04
SAME_SCALE, SAME_ANGLE = 0.55, 0.55
"""Largest differences of a pair's log scale and of its angle, in radians, from those of the map."""
FEWEST_PAIRS = 3
TRIED, REFINEMENTS = 3, 4
"""The number of hypotheses that are refined, and of refinements each."""
POINTS_OF_SIMILARITY, PLACES_OF_AFFINE = 2, 5
"""Points that a similarity needs, and distinct places that an affine map needs: three would fit anything."""
SMALLEST_SCALE = 1e-3
EXACT_BITS = 20
"""Codes this near come from the same pixels, apart from re-encoding."""
MOST_SHEAR = 2.2
"""Ratio of the singular values: a larger one is a chance fit, not a photo of a picture."""
PLACE_GRID = 0.012
"""Features nearer than this share one place: several scales of one spot count once."""


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """The map on which most feature pairs agree."""

    map: NDArray[np.float64]
    """(2, 3)."""
    geometry: Geometry
    """The fit of the inliers."""
    weight: float
    """Sum of the inliers' weights."""


def align(query: Features, reference: Features) -> Alignment | None:
    """Find the map on which most feature pairs agree; None if there are fewer than three pairs."""
    pairs = _pairs(query, reference)
    if len(pairs) < FEWEST_PAIRS:
        return None
    agreeing = _agreeing(pairs)
    best: Alignment | None = None
    for hypothesis in np.argsort(-(agreeing @ pairs.weights), kind="stable")[:TRIED]:
        found = _refined(pairs, agreeing[hypothesis], pairs.similarity(int(hypothesis)))
        if found and (best is None or found.weight > best.weight):
            best = found
    return best


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Feature pairs as parallel arrays, nearest codes first."""

    here: NDArray[np.float64]
    """Points in the query, (n, 2)."""
    there: NDArray[np.float64]
    """Points in the reference image, (n, 2)."""
    scales: NDArray[np.float64]
    """Scale from query to reference image, (n,)."""
    angles: NDArray[np.float64]
    """Turn from query to reference image in radians, (n,)."""
    bits: NDArray[np.float64]
    """Hamming distance of the codes, (n,)."""

    def __len__(self) -> int:
        return len(self.bits)

    @property
    def weights(self) -> NDArray[np.float64]:
        return np.clip((MOST_BITS + 4 - self.bits) / 60, 0, 1)

    def linear(self) -> NDArray[np.float64]:
        """Return the linear part of each pair's similarity, (n, 2, 2)."""
        cosines, sines = self.scales * np.cos(self.angles), self.scales * np.sin(self.angles)
        return np.stack([np.stack([cosines, -sines], -1), np.stack([sines, cosines], -1)], -2)

    def similarity(self, row: int) -> NDArray[np.float64]:
        linear = self.linear()[row]
        return np.column_stack([linear, self.there[row] - linear @ self.here[row]])


def _pairs(query: Features, reference: Features) -> _Pairs:
    """Pair each feature with the nearest one of the other picture, in both directions."""
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
    """Return for each code the row of the nearest other code, and the Hamming distance to it."""
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
    return np.asarray(is_near & same_scale & same_angle)


def _refined(pairs: _Pairs, inliers: NDArray[np.bool_], start: NDArray[np.float64]) -> Alignment | None:
    """Refit the map to its inliers and determine the inliers again, until nothing changes."""
    fitted_map = start
    for _ in range(REFINEMENTS):
        better = _fit(pairs, inliers)
        if better is None:
            break
        fitted_map, before = better, inliers
        inliers = _inliers(pairs, fitted_map)
        if np.array_equal(inliers, before):
            break
    if np.count_nonzero(inliers) < POINTS_OF_SIMILARITY:
        return None
    distances = np.linalg.norm(_mapped(fitted_map, pairs.here[inliers]) - pairs.there[inliers], axis=1)
    geometry = Geometry(
        inliers=min(_places(pairs.here[inliers]), _places(pairs.there[inliers])),
        hamming=float(pairs.bits[inliers].mean()),
        error=float(np.sqrt((distances**2).mean())),
        scale_error=float(np.abs(np.log(pairs.scales[inliers] / scale_of(fitted_map))).mean()),
        exact=float((pairs.bits[inliers] <= EXACT_BITS).mean()),
    )
    return Alignment(fitted_map, geometry, float(pairs.weights[inliers].sum()))


def _fit(pairs: _Pairs, inliers: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Fit an affine map, or a similarity if there are few places; None if neither is possible."""
    here, there, weights = pairs.here[inliers], pairs.there[inliers], pairs.weights[inliers]
    if len(here) < POINTS_OF_SIMILARITY:
        return None
    if min(_places(here), _places(there)) >= PLACES_OF_AFFINE:
        fitted_map = fit_affine(here, there, weights)
    else:
        fitted_map = _fit_similarity(here, there)
    stretches = np.linalg.svd(fitted_map[:, :2], compute_uv=False)
    return fitted_map if stretches[1] > SMALLEST_SCALE and stretches[0] <= MOST_SHEAR * stretches[1] else None


def fit_affine(
    here: NDArray[np.float64], there: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the affine map (2, 3) of weighted least squares."""
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
    same_scale = np.abs(np.log(pairs.scales / scale_of(fitted_map))) < SAME_SCALE
    same_angle = np.abs(_wrapped(pairs.angles - turn)) < SAME_ANGLE
    return np.asarray((distances < TOLERANCE) & same_scale & same_angle)


def _mapped(fitted_map: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ fitted_map[:, :2].T + fitted_map[:, 2]


def scale_of(fitted_map: NDArray[np.float64]) -> float:
    return float(np.sqrt(abs(np.linalg.det(fitted_map[:2, :2]))))


def _wrapped(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.remainder(angles + np.pi, 2 * np.pi) - np.pi


def _places(points: NDArray[np.float64]) -> int:
    cells = np.rint(points / PLACE_GRID).astype(np.int64)
    return len(np.unique(cells[:, 0] * 100_003 + cells[:, 1]))
