"""The findings of a search: evidence, placements, matches, and the result."""

from dataclasses import dataclass
from typing import Literal

from core.model.files import Place
from core.model.fingerprints import PhotoHashes
from core.model.records import Checkpoint

Corners = tuple[tuple[float, float], ...]
"""The four corners of one picture inside another, clockwise from its top left, as fractions of the other picture's
width and height; values below 0 or above 1 lie beyond its edges."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The place of a query and a reference image in each other, and how the reference image was transformed."""

    in_query: Corners
    """Corners of the reference image in the query."""
    in_reference: Corners
    """Corners of the query in the reference image."""
    turn: int
    """Degrees clockwise by which the reference image was turned, after mirroring."""
    visible: float
    """Share of the reference image that the query shows, 0 to 1."""
    covered: float
    """Share of the query that the reference image fills, 0 to 1."""
    is_mirrored: bool
    """True if the reference image was mirrored."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The fit of a query's features to those of a reference image under one map."""

    inliers: int
    """Feature pairs that agree with the map, at distinct places."""
    hamming: float
    """Mean Hamming distance between the codes of the inliers, in bits."""
    error: float
    """Root mean square distance of the inliers from the map, in long sides of the reference image."""
    scale_error: float
    """Mean absolute difference between the logarithms of the inliers' scales and the map's."""
    exact: float
    """Share of inliers with nearly equal codes."""


@dataclass(frozen=True, slots=True)
class BlockFigures:
    """The comparison of a reference image's visible blocks with the query below them; shares are 0 to 1."""

    side: int
    """Long side of the compared thumbnail in pixels."""
    count: int
    """Blocks compared."""
    textured: int
    """Blocks with texture."""
    agreeing: float
    """Share of textured blocks that agree."""
    strong: float
    """Share of textured blocks that agree strongly."""
    median: float
    """Median correlation of textured blocks."""
    mean: float
    """Mean correlation of textured blocks, weighted by their contrast."""
    clashing: float
    """Share of all blocks that have texture in both pictures and disagree."""
    level: float
    """Share of all blocks whose brightness is as expected."""
    contradicted: float
    """Share of all blocks where anything contradicts the match."""


@dataclass(frozen=True, slots=True)
class DetailFigures:
    """The same comparison with blocks half as large, which resolve letters where large blocks resolve only lines."""

    agreeing: float
    """Share of textured blocks that agree."""
    strong: float
    """Share of textured blocks that agree strongly."""
    bold: int
    """Blocks that are bold in both pictures."""
    bold_clashing: float
    """Share of those bold blocks that disagree."""
    hidden: float
    """Share of all blocks that are bold in the reference image only and disagree."""
    added: float
    """Share of all blocks that are bold in the query only and disagree."""
    smooth: float
    """Share of all blocks that are as smooth as drawings are."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence for and against one candidate."""

    photo_id: int
    placement: Placement
    """Its place in the query."""
    geometry: Geometry
    blocks: BlockFigures
    details: DetailFigures


Verdict = Literal["match", "similar", "none", "unsearchable", "error"]


@dataclass(frozen=True, slots=True)
class MatchedImage:
    """One reference image behind a match."""

    path: str
    """Path below the dataset; bytes that are not UTF-8 appear as surrogate escapes."""
    confidence: float
    photo_id: int
    placement: Placement | None
    """Its place in the query; None if it fills the query, possibly mirrored or turned."""


@dataclass(frozen=True, slots=True)
class Match:
    """One account whose images match the query."""

    username: str
    confidence: float
    """Confidence of its best image, 0 to 1."""
    how: tuple[str, ...]
    """The kind of match of its best image, in words."""
    images: tuple[MatchedImage, ...]
    """Its matching images, best first."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to one query image."""

    verdict: Verdict
    matches: tuple[Match, ...]
    """Accepted matches, best first."""
    similar: tuple[Match, ...]
    """Accounts with similar images, best first."""
    searched: Checkpoint
    """The state of the store that was searched."""
    milliseconds: float
    """Duration of the whole search."""
    reading_milliseconds: float
    """Part of `milliseconds` spent on decoding and hashing the query."""


@dataclass(frozen=True, slots=True)
class ReferenceImage:
    """An indexed image, with what a search result needs of it."""

    photo_id: int
    place: Place
    hashes: PhotoHashes
