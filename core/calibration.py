"""Evidence -> confidence: the chance that a candidate is right."""

from core.model import Evidence


def confidence(evidence: Evidence) -> float:
    import math

    z = 2.2 * math.log(max(evidence.inliers, 1)) - 0.5 * evidence.hamming / 10 + 9 * evidence.strong - 9
    return 1 / (1 + math.exp(-z))
