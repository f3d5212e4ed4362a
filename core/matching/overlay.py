"""The dense check: lay a query over a thumbnail and compare the two block by block. Pure.

Both pictures are first brought to the scale of the coarser one. Blocks are compared by normalised cross-correlation,
each within some slack; the shifts at which they agree correct the map, and the blocks are compared again.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.fingerprints.features import fitted
from core.matching.alignment import fit_affine, scale_of
from core.matching.placement import projected

FloatArray = NDArray[np.float32]

FLAT_DEVIATION = 3.0
"""Standard deviation in grey levels: blocks that vary less do not count."""
BLUR = 0.8
AGREEING = 0.5
"""Correlation above which the shift of a block is trusted."""
FEWEST_BLOCKS = 6
"""Blocks that must agree before the map is corrected at all."""
FULLY = 0.999
"""Share of a pixel's weight that must come from inside the query for the pixel to count as visible."""
PERSPECTIVE_BLOCKS = 24
"""Blocks that must agree before a perspective is fitted to their shifts; fewer get an affine map."""
MOST_CORRECTION = 1.5
"""Ratio of the singular values of a correction; a larger one arises by chance."""
SMALLEST_SIDE = 64
"""Pixels of the long side: a query coarser than the thumbnail is compared at its own scale, but no coarser than
this."""


@dataclass(frozen=True, slots=True)
class Look:
    """The parameters of one block comparison."""

    block: int
    """Side of a block in pixels."""
    step: int
    """Distance between neighbouring blocks in pixels."""
    slack: int
    """Largest shift that is tried, in pixels."""
    shrink: int = 1
    """Factor by which both pictures are made smaller before."""


COARSE, MIDDLE = Look(12, 8, 3, shrink=2), Look(16, 12, 2)
FINE, DETAIL = Look(16, 8, 1), Look(8, 8, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """The compared blocks of a reference image, as parallel arrays of n blocks; deviations are standard deviations."""

    centres: NDArray[np.float64]
    """In pixels of the thumbnail, (n, 2)."""
    shifts: NDArray[np.float64]
    """Shift with the best correlation, in pixels of the thumbnail, (n, 2)."""
    correlation: FloatArray
    """The best correlation, (n,)."""
    mean: FloatArray
    """Grey level in the reference image, (n,)."""
    deviation: FloatArray
    """Deviation of grey levels in the reference image, (n,)."""
    query_mean: FloatArray
    """Grey level in the query, (n,)."""
    query_deviation: FloatArray
    """Deviation of grey levels in the query, (n,)."""
    residue: FloatArray
    """Deviation of the reference image's grey levels from a plane, (n,)."""

    @property
    def is_textured(self) -> NDArray[np.bool_]:
        """Tell which blocks have texture in either picture."""
        return np.asarray(np.maximum(self.deviation, self.query_deviation) > FLAT_DEVIATION)

    def of(self, which: NDArray[np.bool_]) -> "Blocks":
        """Return the blocks that a mask selects."""
        return Blocks(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """A query and a thumbnail at one scale, with the map between them."""

    query: FloatArray
    """(rows, columns) float32."""
    thumbnail: FloatArray
    """(rows, columns) float32."""
    pixel_map: NDArray[np.float64]
    """From pixels of the query to pixels of the thumbnail, (3, 3)."""

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], thumbnail: NDArray[np.uint8], start: NDArray[np.float64]) -> "Overlay":
        """Bring both pictures to the scale of the coarser one."""
        scale = scale_of(start) * max(thumbnail.shape) / max(pixels.shape)
        if scale > 1:
            thumbnail = fitted(thumbnail, long_side=max(SMALLEST_SIDE, round(max(thumbnail.shape) / scale)))
            scale = scale_of(start) * max(thumbnail.shape) / max(pixels.shape)
        pixels = fitted(pixels, long_side=max(8, round(max(pixels.shape) * min(scale, 1.0))))
        to_pixels = _pixels_from_places(max(thumbnail.shape))
        whole = np.vstack([start, [0, 0, 1]])
        pixel_map = to_pixels @ whole @ np.linalg.inv(_pixels_from_places(max(pixels.shape)))
        return cls(_blurred(pixels), _blurred(thumbnail), pixel_map)

    def map(self) -> NDArray[np.float64]:
        """Return the map (3, 3) in long sides instead of pixels."""
        here, there = (_pixels_from_places(max(picture.shape)) for picture in (self.query, self.thumbnail))
        return np.asarray(np.linalg.inv(there) @ self.pixel_map @ here)

    def improved(self, look: Look) -> "Overlay":
        """Correct the map by the shifts of agreeing blocks."""
        blocks = self.compared(look)
        if not blocks:
            return self
        flat = np.minimum(blocks.deviation, blocks.query_deviation) <= FLAT_DEVIATION
        good = (blocks.correlation > AGREEING) & ~flat
        if np.count_nonzero(good) < FEWEST_BLOCKS:
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
        return Overlay(self.query, self.thumbnail, correction @ self.pixel_map)

    def compared(self, look: Look) -> Blocks | None:
        """Compare every visible block of the thumbnail with the query below it; None if no block is visible."""
        thumbnail, pixel_map = self.thumbnail, self.pixel_map
        if look.shrink > 1:
            factor = 1 / look.shrink
            thumbnail = _float32(cv2.resize(thumbnail, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
            centre = (1 - 1 / look.shrink) / 2
            pixel_map = np.array([[1 / look.shrink, 0, -centre], [0, 1 / look.shrink, -centre], [0, 0, 1]]) @ pixel_map
        size = thumbnail.shape[::-1]
        laid = _float32(cv2.warpPerspective(self.query, pixel_map, size, flags=cv2.INTER_LINEAR))
        seen = cv2.warpPerspective(np.ones_like(self.query), pixel_map, size, flags=cv2.INTER_LINEAR) > FULLY
        tops, lefts = _visible_blocks(seen, look)
        return _correlated(thumbnail, laid, tops, lefts, look) if len(tops) else None


def _fit_plane(
    here: NDArray[np.float64], there: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.vstack([fit_affine(here, there, weights), [0, 0, 1]])


def _fit_perspective(
    here: NDArray[np.float64], there: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the perspective map (3, 3) with the least weighted algebraic error; points are in pixels."""
    (x, y), (u, v) = here.T / 100, there.T / 100  # hundreds of pixels make the equations well-conditioned
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
    """Return the map (3, 3) from long sides to pixels: the first pixel's centre lies half a pixel from the corner."""
    return np.array([[side, 0, -0.5], [0, side, -0.5], [0, 0, 1.0]])


def _blurred(pixels: NDArray[np.uint8]) -> FloatArray:
    return _float32(cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), BLUR))


def _float32(picture: NDArray[Any]) -> FloatArray:
    return np.asarray(picture, np.float32)


def _visible_blocks(seen: NDArray[np.bool_], look: Look) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the top and left of the blocks that are visible including their slack."""
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
        centres=(look.shrink * (np.column_stack([lefts, tops]) + half) + (look.shrink - 1) / 2).astype(np.float64),
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
    """Return the windows normalised to mean 0 and length 1, their means, and their standard deviations."""
    means = windows.mean(axis=-1, keepdims=True)
    windows = windows - means
    lengths = np.sqrt(np.einsum("...i,...i->...", windows, windows))
    deviations = lengths / np.float32(np.sqrt(windows.shape[-1]))
    return windows / np.maximum(lengths, 1e-3)[..., None], means[..., 0], deviations


@cache
def _slopes(block: int) -> FloatArray:
    """Return the horizontal and vertical slope of a block as two columns (block * block, 2) of length 1."""
    ramp = np.linspace(-1, 1, block, dtype=np.float32)
    across, down = np.meshgrid(ramp, ramp)
    columns = np.stack([across.ravel(), down.ravel()], axis=1)
    return np.asarray(columns / np.linalg.norm(columns, axis=0), np.float32)
