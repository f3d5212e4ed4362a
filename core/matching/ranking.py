"""Candidates -> one match a username, best first: what counts as a match, how sure it is, and how it matched. Pure.

There are three proofs: the same file; a PDQ hash within its published radius of a picture that has detail enough to
be told apart by it; and a search by features whose evidence is as strong as that of true copies. Everything nearer than
chance but short of that is "similar", never a match.
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
"""Of 256 bits, from PDQ's authors. Of 1,696 photos no two lie nearer than 52."""
SIMILAR_RADIUS = 48
"""How far PDQ may be where the dhash is near, to show a picture as similar. Captioned copies lie at 32 to 48;
two different photos whose dhash is near lie at 90 and more."""
DHASH_RADIUS = 4

IDENTICAL_CONFIDENCE = 1.0
NEAREST_CONFIDENCE, FARTHEST_CONFIDENCE = 0.999, 0.97
"""At PDQ distance 0 and 31: 0 wrong answers to 3,101 unknown photos at 31 or less bound the error to 0.1 %."""
SIMILAR_CONFIDENCE = 0.3

ACCEPTED_CONFIDENCE = 0.8
"""What is less sure is at most the same scene: docs/matching.md shows what either way costs."""
ACCEPTED_DRAWN_CONFIDENCE = 0.93
"""The same for drawings: of 300 unknown cards, chats and posters three got a name, at 0.80 to 0.90."""
SAME_SCENE_INLIERS = 15
"""So many feature pairs agree with another photo only where it shows the same floor, carpet or print: 115 of 850 photos
have such a neighbour."""

SAME_PHOTO_CONFIDENCE, LIKELY_CONFIDENCE = 0.97, 0.9

Grade = Literal["match", "similar"]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near a reference image is to the query: bits apart, and what was done to it, in words."""

    image: ReferenceImage
    pdq_distance: int
    transformation: tuple[str, ...]
    is_identical: bool


@dataclass(frozen=True, slots=True)
class Graded:
    """A candidate with its verdict; the placement is known where the search by features found it."""

    image: ReferenceImage
    grade: Grade
    confidence: float
    how: tuple[str, ...]
    placement: Placement | None = None


def grade(query: PhotoHashes, likeness: Likeness) -> Graded | None:
    """Decide about one candidate; None where it is no more alike than chance allows."""
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
    """Decide about one candidate of the search by features; None where not even the scene is the same."""
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
    """Say how sure a match is, in one of three words."""
    if sureness >= SAME_PHOTO_CONFIDENCE:
        return "same photo"
    return "likely" if sureness >= LIKELY_CONFIDENCE else "possible"


def confidence_at(pdq_distance: int) -> float:
    """Return the chance that a near-duplicate by PDQ at this distance is right."""
    share = pdq_distance / PDQ_RADIUS
    return round(NEAREST_CONFIDENCE - share * (NEAREST_CONFIDENCE - FARTHEST_CONFIDENCE), 4)


def rank(candidates: Iterable[Graded]) -> tuple[Match, ...]:
    """Gather graded images by username, the surest first, then by name."""
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
