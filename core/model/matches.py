"""What a search finds: evidence, placements, matches, and the result."""

from dataclasses import dataclass
from typing import Literal

from core.model.files import Place
from core.model.fingerprints import PhotoHashes
from core.model.records import Checkpoint

Corners = tuple[tuple[float, float], ...]
"""Four places, clockwise from the top left corner of the picture they belong to, in shares of the other one's width and
height; outside of 0 to 1 they lie beyond its edges."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a query and a reference image lie in each other, and what was done to the reference image to come there.

    It was mirrored or not, then turned clockwise by `turn` degrees; `visible` is the share of it that the query shows,
    `covered` the share of the query that it fills.
    """

    in_query: Corners
    in_reference: Corners
    turn: int
    visible: float
    covered: float
    is_mirrored: bool


@dataclass(frozen=True, slots=True)
class Geometry:
    """How well the features of a query fit those of a reference image on one map.

    `inliers` are the pairs that agree at distinct places, `hamming` the mean bits between their codes, `error` how
    far they miss the map in long sides of the reference image (root mean square), `scale_error` how far their scales
    miss it (mean difference of logarithms), `exact` the share of nearly equal codes.
    """

    inliers: int
    hamming: float
    error: float
    scale_error: float
    exact: float


@dataclass(frozen=True, slots=True)
class BlockFigures:
    """How the visible blocks of a reference image compare with the query beneath them; shares are 0 to 1.

    The long side in pixels at which they were compared; how many blocks, and how many have texture. Of these: the share
    that agrees, that agrees strongly, median and mean correlation. Of all: the share where both have texture and
    disagree, where the brightness is as expected, and where anything contradicts.
    """

    side: int
    count: int
    textured: int
    agreeing: float
    strong: float
    median: float
    mean: float
    clashing: float
    level: float
    contradicted: float


@dataclass(frozen=True, slots=True)
class DetailFigures:
    """The same of blocks half as large, which see letters where large ones see lines.

    Of those with texture: the share that agrees, that agrees strongly. How many are bold in both pictures, and the
    share of these that disagrees; of all, the share that is bold in the reference image only (hidden), in the query
    only (added), and that is as smooth as drawings are.
    """

    agreeing: float
    strong: float
    bold: int
    bold_clashing: float
    hidden: float
    added: float
    smooth: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for and against one candidate, and where it lies."""

    photo_id: int
    placement: Placement
    geometry: Geometry
    blocks: BlockFigures
    details: DetailFigures


Verdict = Literal["match", "similar", "none", "unsearchable", "error"]


@dataclass(frozen=True, slots=True)
class MatchedImage:
    """One reference image behind a match."""

    path: str  # below the dataset; bytes that are not UTF-8 as surrogate escapes
    confidence: float
    photo_id: int
    placement: Placement | None
    """Where it lies in the query; None: as a whole, perhaps mirrored or turned."""


@dataclass(frozen=True, slots=True)
class Match:
    """One account, how sure it is (0 to 1), and how its best image matched, in words."""

    username: str
    confidence: float
    how: tuple[str, ...]
    images: tuple[MatchedImage, ...]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to one query image; `matches` and `similar` are best first.

    Of the `milliseconds`, the first `reading_milliseconds` went into decoding the query and its hashes.
    """

    verdict: Verdict
    matches: tuple[Match, ...]
    similar: tuple[Match, ...]
    searched: Checkpoint
    milliseconds: float
    reading_milliseconds: float


@dataclass(frozen=True, slots=True)
class ReferenceImage:
    """An indexed image as a search result needs it."""

    photo_id: int
    place: Place
    hashes: PhotoHashes
