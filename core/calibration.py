"""Evidence -> confidence: the chance that a candidate is right, by a fitted logistic regression.

One model is for photos, one for what is drawn (cards, chats, posters): there, two pictures of one template agree in
nearly all blocks, and a few bold letters tell them apart. `python -m benchmarks.calibrate` fits both and writes
core/calibration.json, which says of what; docs/matching.md shows how reliable the confidence is.
"""

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from core.model import Evidence

DRAWN_SMOOTHNESS = 0.3
"""Share of smooth small blocks from which on a reference image counts as drawn: 3 % of photos, all but one kind of
27 kinds of templates."""
REFERENCE_SIDE = 224
FILE = Path(__file__).with_name("calibration.json")

Weights = Mapping[str, float]
"""The weight of each signal, and of "bias"."""


def confidence(evidence: Evidence) -> float:
    """Return the chance, 0 to 1, that the candidate's photo is in the query."""
    weights = _models()["drawn" if is_drawn(evidence) else "photo"]
    score = weights["bias"] + sum(weights[name] * value for name, value in signals(evidence).items())
    return 1 / (1 + math.exp(-max(min(score, 50.0), -50.0)))


def is_drawn(evidence: Evidence) -> bool:
    return evidence.details.smooth >= DRAWN_SMOOTHNESS


def signals(evidence: Evidence) -> dict[str, float]:
    """Return what the models weigh, by name."""
    geometry, blocks, details = evidence.geometry, evidence.blocks, evidence.details
    inliers = math.log(max(geometry.inliers, 1))
    return {
        "inliers": inliers,
        "hamming": geometry.hamming / 10,
        "error": geometry.error * 100,
        "scale_error": geometry.scale_error * 5,
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
        "inliers x contradicted": inliers * blocks.contradicted,
        "inliers x hamming": inliers * geometry.hamming / 10,
        "inliers x bold_clashing": inliers * details.bold_clashing,
    }


@cache
def _models() -> Mapping[str, Weights]:
    models: Mapping[str, Weights] = json.loads(FILE.read_text(encoding="utf-8"))["models"]
    return models
