"""Grade candidates and rank them as one match per username, best first. Pure.

There are three proofs of a match: the same file; a PDQ hash within its published radius, of a picture with enough
detail to be told apart by it; and a search by features whose evidence is as strong as that of true copies. A candidate
that is nearer than chance but has no such proof is "similar", never a match.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Literal

import numpy as np

from core.matching.calibration import confidence, is_drawn
from core.matching.placement import words
from core.model.fingerprints import PhotoHashes
from core.model.matches import Evidence, Match, MatchedImage, Placement, ReferenceImage

PDQ_RADIUS = 31
"""Of 256 bits, as PDQ's authors advise. Of 1,696 photos no two are nearer than 52."""
SIMILAR_RADIUS = 48
"""Largest PDQ distance at which a picture with a near dhash is shown as similar. Captioned copies are at 32 to 48; two
different photos with a near dhash are at 90 and more."""
DHASH_RADIUS = 4

IDENTICAL_CONFIDENCE = 1.0
NEAREST_CONFIDENCE, FARTHEST_CONFIDENCE = 0.999, 0.97
"""At PDQ distances 0 and 31: 0 wrong answers for 3,101 unknown photos at 31 or less bound the error to 0.1 %."""
SIMILAR_CONFIDENCE = 0.3

ACCEPTED_CONFIDENCE = 0.8
"""A candidate below this is at most the same scene: docs/matching.md shows the cost of other limits."""
ACCEPTED_DRAWN_CONFIDENCE = 0.93
"""The same limit for drawings: of 300 unknown cards, chats and posters three got a name, at 0.80 to 0.90."""
SAME_SCENE_INLIERS = 15
"""This many feature pairs of two different photos agree only if both show the same floor, carpet or print: 115 of 850
photos have such a neighbour."""

SAME_PHOTO_CONFIDENCE, LIKELY_CONFIDENCE = 0.97, 0.9

Grade = Literal["match", "similar"]


@dataclass(frozen=True, slots=True)
class Likeness:
    """The nearness of a reference image to the query by their hashes."""

    image: ReferenceImage
    pdq_distance: int
    """In bits, over all eight orientations of the query."""
    transformation: tuple[str, ...]
    """The mirroring and turn of the reference image, in words."""
    is_identical: bool
    """True if both are the same file."""


@dataclass(frozen=True, slots=True)
class Graded:
    """A candidate with its grade."""

    image: ReferenceImage
    grade: Grade
    confidence: float
    """0 to 1."""
    how: tuple[str, ...]
    """The kind of match, in words."""
    placement: Placement | None = None
    """Set if the search by features found it."""


def grade(query: PhotoHashes, likeness: Likeness) -> Graded | None:
    """Grade a candidate by its hashes; None if it is no nearer than chance."""
    if likeness.is_identical:
        return Graded(likeness.image, "match", IDENTICAL_CONFIDENCE, ("identical",))
    how = likeness.transformation or ("recompressed",)
    is_drawn = query.is_sparse and likeness.image.hashes.is_sparse
    if likeness.pdq_distance <= PDQ_RADIUS and not is_drawn:
        return Graded(likeness.image, "match", confidence_at(likeness.pdq_distance), how)
    if likeness.pdq_distance <= SIMILAR_RADIUS:
        return Graded(likeness.image, "similar", SIMILAR_CONFIDENCE, how)
    return None


def grade_evidence(image: ReferenceImage, evidence: Evidence) -> Graded | None:
    """Grade a candidate by the evidence of its features; None if not even the scene is the same."""
    how, sureness = words(evidence.placement), round(confidence(evidence), 4)
    if sureness >= (ACCEPTED_DRAWN_CONFIDENCE if is_drawn(evidence) else ACCEPTED_CONFIDENCE):
        return Graded(image, "match", sureness, how, evidence.placement)
    if evidence.geometry.inliers >= SAME_SCENE_INLIERS:
        return Graded(image, "similar", min(sureness, SIMILAR_CONFIDENCE), ("same scene",), evidence.placement)
    return None


def is_same_photo(one: PhotoHashes, other: PhotoHashes) -> bool:
    """Tell whether two reference images are copies of one photo, by their PDQ."""
    words_apart = np.frombuffer(one.pdq, np.uint64) ^ np.frombuffer(other.pdq, np.uint64)
    return not (one.is_sparse or other.is_sparse) and int(np.bitwise_count(words_apart).sum()) <= PDQ_RADIUS


def word_for(sureness: float) -> str:
    """Return one of three words for the confidence of a match."""
    if sureness >= SAME_PHOTO_CONFIDENCE:
        return "same photo"
    return "likely" if sureness >= LIKELY_CONFIDENCE else "possible"


def confidence_at(pdq_distance: int) -> float:
    """Return the probability that a near-duplicate at this PDQ distance is right."""
    share = pdq_distance / PDQ_RADIUS
    return round(NEAREST_CONFIDENCE - share * (NEAREST_CONFIDENCE - FARTHEST_CONFIDENCE), 4)


def rank(candidates: Iterable[Graded]) -> tuple[Match, ...]:
    """Group graded images by username, sorted by confidence and then by name."""
    by_username = attrgetter("image.place.username")
    matches = [
        _match(username, sorted(graded, key=lambda one: (-one.confidence, one.image.place.path)))
        for username, graded in groupby(sorted(candidates, key=by_username), key=by_username)
    ]
    return tuple(sorted(matches, key=lambda match: (-match.confidence, match.username)))


def _match(username: str, best_first: list[Graded]) -> Match:
    images = tuple(
        MatchedImage(str(one.image.place), one.confidence, one.image.photo_id, one.placement) for one in best_first
    )
    return Match(username, best_first[0].confidence, best_first[0].how, images)
