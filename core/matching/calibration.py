"""Turn evidence into confidence, the probability that a candidate is right, by a second-degree logistic regression.

There is one model for photos and one for drawings (cards, chats, posters): two drawings made from one template agree in
nearly all blocks, and only a few bold letters tell them apart. `python -m benchmarks.quality.fit_confidence` fits both
models and writes core/matching/calibration.json, which names its data; docs/matching.md shows how reliable the
confidence is.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.model.matches import Evidence

FloatArray = NDArray[np.float64]

DRAWN_SMOOTHNESS = 0.3
"""Share of smooth small blocks from which a reference image counts as drawn: about 3 % of photos reach it, and each of
27 kinds of templates reaches it on average."""
REFERENCE_SIDE = 224
FILE = Path(__file__).with_name("calibration.json")

MOST_SPREADS = 4.0
"""Limit of a signal's distance from its mean, in spreads: without it the products of signals would diverge."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A fitted regression over n signals."""

    names: tuple[str, ...]
    """The signals, in the order of the arrays."""
    means: FloatArray
    """(n,)."""
    spreads: FloatArray
    """Standard deviations, (n,)."""
    weights: FloatArray
    """Weights of the signals, (n,)."""
    products: FloatArray
    """Weights of the products of two signals, (n, n)."""
    bias: float

    def confidence(self, values: Mapping[str, float]) -> float:
        signals = np.array([values[name] for name in self.names])
        standard = np.clip((signals - self.means) / self.spreads, -MOST_SPREADS, MOST_SPREADS)
        score = self.bias + self.weights @ standard + standard @ self.products @ standard
        return float(1 / (1 + np.exp(-np.clip(score, -50, 50))))


def confidence(evidence: Evidence) -> float:
    """Return the probability, 0 to 1, that the candidate's photo is in the query."""
    return models()["drawn" if is_drawn(evidence) else "photo"].confidence(signals(evidence))


def is_drawn(evidence: Evidence) -> bool:
    return evidence.details.smooth >= DRAWN_SMOOTHNESS


def signals(evidence: Evidence) -> dict[str, float]:
    """Return the inputs of the models, by name."""
    geometry, blocks, details = evidence.geometry, evidence.blocks, evidence.details
    return {
        "inliers": math.log(max(geometry.inliers, 1)),
        "hamming": geometry.hamming,
        "error": geometry.error,
        "scale_error": geometry.scale_error,
        "exact": geometry.exact,
        "textured": math.log(1 + blocks.textured),
        "textured_share": blocks.textured / blocks.count,
        "agreeing": blocks.agreeing,
        "strong": blocks.strong,
        "median": blocks.median,
        "mean": blocks.mean,
        "clashing": blocks.clashing,
        "level": blocks.level,
        "contradicted": blocks.contradicted,
        "side": math.log(blocks.side / REFERENCE_SIDE),
        "detail_agreeing": details.agreeing,
        "detail_strong": details.strong,
        "bold": math.log(1 + details.bold),
        "bold_clashing": details.bold_clashing,
        "hidden": details.hidden,
        "added": details.added,
        "smooth": details.smooth,
    }


@cache
def models() -> Mapping[str, Model]:
    """Return the fitted models by kind of picture."""
    fitted = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        kind: Model(
            names=tuple(fitted["signals"]),
            **{name: np.array(model[name]) for name in ("means", "spreads", "weights", "products")},
            bias=model["bias"],
        )
        for kind, model in fitted["models"].items()
    }
