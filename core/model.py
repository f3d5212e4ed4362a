"""The nouns of igsearch, as frozen values; standard library only."""

import os
import stat
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal, Self

from core.errors import FailureKind

SPARSE_PERCENT = 40
"""From this share of flat blocks a picture counts as drawn (text card, screenshot of a post).

Of 1,696 photos 3.7 % reach it, of 750 made-up quotes, posts, chats and stories 95 %. Pictures drawn from one
template lie within PDQ's radius of each other, so a near hash proves nothing about them.
"""
FLAT_PERCENT = 100
"""A picture without one block of detail. The flattest of 1,696 photos has 82 %."""
MIN_PDQ_QUALITY = 50
"""PDQ's authors distrust hashes below this quality; 2 of 1,696 photos are below it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reference image lies: its account, and its path below the dataset as the raw bytes of the disk."""

    username: str
    path: bytes

    def __str__(self) -> str:
        return os.fsdecode(self.path)


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What `stat` says of a file; the same stamp means the same bytes. All four are signed 64-bit numbers."""

    size: int
    mtime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        return cls(*map(_int64, (status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)))


def is_regular(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)


def _int64(number: int) -> int:
    """Wrap into 64 bits: inodes may use the top bit, and a tar archive may date a file to the year 9999."""
    return (number + 2**63) % 2**64 - 2**63


@dataclass(frozen=True, slots=True)
class PhotoHashes:
    """The whole-image hashes of a picture; width and height are those of the upright picture in pixels."""

    sha256: bytes  # 32 bytes, of the file
    dhash: bytes  # 8 bytes
    pdq: bytes  # 32 bytes
    pdq_quality: int  # 0 to 100
    flat_percent: int  # share of blocks without detail, 0 to 100
    width: int
    height: int
    version: int

    @property
    def is_flat(self) -> bool:
        """Tell whether there is nothing in the picture to recognise it by: it never matches anything."""
        return self.flat_percent >= FLAT_PERCENT

    @property
    def is_sparse(self) -> bool:
        """Tell whether the picture has too little detail for near hashes to be proof."""
        return self.flat_percent >= SPARSE_PERCENT or self.pdq_quality < MIN_PDQ_QUALITY


CODE_BYTES, FEATURE_BYTES = 32, 38


@dataclass(frozen=True, slots=True)
class PhotoFeatures:
    """The local features of a picture and a small grey copy of it, as core/fingerprints/features.py packs them."""

    codes: bytes  # FEATURE_BYTES a feature, of which the first CODE_BYTES are its code
    thumbnail: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of the two fingerprints that are current; rows with others wait in the backlog."""

    hashes: int
    features: int


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


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """What the store holds about one file."""

    image_id: int
    place: Place
    stamp: FileStamp
    sha256: bytes
    version: int  # of the hashes


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """An unreadable file: why, how often it was tried, and when it will be tried again (None: when it changes)."""

    place: Place
    stamp: FileStamp
    kind: FailureKind
    reason: str
    attempts: int
    reader_version: int
    failed_at: datetime
    next_retry: datetime | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far the store has come; `images` and `users` count what is searched, `newest` is when the last image came.

    At the revision `forgotten` an account was forgotten last: what is older on a disk may hold what it had.
    """

    database_id: str
    revision: int
    images: int
    users: int
    newest: datetime | None = None
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What one rescan did: how many files met each outcome."""

    added: int = 0
    updated: int = 0
    moved: int = 0
    removed: int = 0
    unchanged: int = 0
    unreadable: int = 0
    ignored: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        counts = asdict(self)
        seconds = counts.pop("seconds")
        return ", ".join(f"{number:,} {name}" for name, number in counts.items()) + f", {seconds:.1f} s"


DaemonState = Literal["scanning", "watching", "dataset suspicious", "stopped"]
Emitter = Literal["events", "sweeps", "none"]


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """How the daemon is: what it does, what a person should know of it, and how far it is behind the disk.

    `waiting` counts accounts that changed and were not looked at yet; `lag_seconds` is how long the first of them has
    been waiting beyond its settling. The `emitter` is what tells it of changes; `has_workers`: pictures can be read.
    """

    state: DaemonState
    remark: str | None
    waiting: int
    lag_seconds: float
    next_scan: datetime | None
    seen_at: datetime
    emitter: Emitter
    has_workers: bool

    def is_news_after(self, earlier: Self) -> bool:
        """Tell whether more has changed than the figures that change all the time."""
        as_before = replace(earlier, waiting=self.waiting, lag_seconds=self.lag_seconds, seen_at=self.seen_at)
        return as_before != self

    def stopped(self) -> Self:
        return replace(self, state="stopped", remark=None)


@dataclass(frozen=True, slots=True)
class Stats:
    """The figures of `igsearch stats`."""

    images: int
    users: int
    backlog: int
    unreadable: int
    revision: int
    last_scan: datetime | None
    last_report: ScanReport | None
    daemon: DaemonStatus | None
    """What the daemon said last; None where none ever ran."""
    reports: int
    """Answers of the bots that people called wrong."""


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


Fault = Literal[
    "unreadable",
    "unsupported",
    "too large",
    "too slow",
    "no preview",
    "download",
    "unavailable",
    "busy",
    "stopping",
    "unexpected",
]
"""Why a query image that was sent to a bot has no result; answers/replies.py has a sentence for each."""


MOST_SIMILAR = 5
"""Similar scenes that are named for one query; more help nobody."""

Step = Literal["download", "reading", "search", "reply", "whole"]
"""What a bot's answer takes its time for; of an album the first three once for each picture."""
RefusalReason = Literal["pace", "chat", "busy", "stopping"]
"""Why somebody is turned away: too fast, not a chat that is served, a full line, or the end of the bot."""


@dataclass(frozen=True, slots=True)
class NamedMatch:
    """An account in a bot's reply: how sure it is, how it matched, and the fingerprint of its best image."""

    username: str
    confidence: float
    how: tuple[str, ...]
    photo_id: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one query image that was sent to a bot; `fault` is set where the verdict is "error".

    `is_preview`: not the file itself was searched but the small picture that the chat shows of it.
    """

    verdict: Verdict
    fault: Fault | None = None
    matches: tuple[NamedMatch, ...] = ()
    similar: tuple[NamedMatch, ...] = ()
    searched: Checkpoint | None = None
    is_preview: bool = False

    @classmethod
    def of(cls, result: SearchResult) -> Self:
        """Take from a search result what a front end shows of it."""
        matches, similar = (
            tuple(NamedMatch(one.username, one.confidence, one.how, one.images[0].photo_id) for one in matches)
            for matches in (result.matches, result.similar[:MOST_SIMILAR])
        )
        return cls(result.verdict, matches=matches, similar=similar, searched=result.searched)


FrontEnd = Literal["telegram", "discord"]
FrontEndState = Literal["answering", "connecting", "stopped"]


@dataclass(frozen=True, slots=True)
class FrontEndStatus:
    """How a bot is: whether its chat hears it, and if not, why; `waiting` counts the pictures that wait."""

    name: FrontEnd
    state: FrontEndState
    remark: str | None
    waiting: int
    has_workers: bool
    seen_at: datetime

    def is_news_after(self, earlier: Self) -> bool:
        """Tell whether more has changed than the figures that change all the time."""
        return replace(earlier, waiting=self.waiting, seen_at=self.seen_at) != self

    def stopped(self) -> Self:
        return replace(self, state="stopped", remark=None)


@dataclass(frozen=True, slots=True)
class KeptReply:
    """What a bot replied, to whom and where, so that its buttons work for long; the query images are not kept."""

    front_end: FrontEnd
    chat_id: int
    person_id: int
    language: str
    at: datetime
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A reply that somebody called wrong, and when."""

    reply_id: int
    reported_at: datetime
    reply: KeptReply

    @property
    def matches(self) -> tuple[NamedMatch, ...]:
        """The accounts that it named, of those that are there still."""
        return tuple(match for outcome in self.reply.outcomes for match in outcome.matches)


@dataclass(frozen=True, slots=True)
class PutImage:
    """A change of the record: the file at this place has this content."""

    place: Place
    stamp: FileStamp
    hashes: PhotoHashes


@dataclass(frozen=True, slots=True)
class MoveImage:
    """A change of the record: an image that is known now lies at this place, or has this stamp."""

    image_id: int
    place: Place
    stamp: FileStamp


@dataclass(frozen=True, slots=True)
class PutFailure:
    """A change of the record: the file cannot be read; an image of older content at its place goes.

    Unless the fault may pass: then it says nothing about the bytes, and the image stays.
    """

    entry: LedgerRecord

    @property
    def may_pass(self) -> bool:
        return self.entry.next_retry is not None


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """A change of the record: nothing lies at this path any more."""

    path: bytes


@dataclass(frozen=True, slots=True)
class OptOut:
    """An account that was forgotten, with so many images, and is not indexed again until that is undone."""

    username: str
    forgotten_at: datetime
    images: int
    undone_at: datetime | None


@dataclass(frozen=True, slots=True)
class PutFeatures:
    """A change of the record: the photo has these features, read from this file."""

    photo_id: int
    path: bytes
    features: PhotoFeatures


Change = PutImage | MoveImage | PutFailure | RemoveFile | PutFeatures


@dataclass(frozen=True, slots=True)
class BacklogEntry:
    """An entry of the backlog: bytes without features, a file that has them, and its ledger entry."""

    photo_id: int
    sha256: bytes
    place: Place
    stamp: FileStamp
    failed: LedgerRecord | None


@dataclass(frozen=True, slots=True)
class IndexSizes:
    """How many distinct images an index in memory holds: the hashes of, and the local features of."""

    hashes: int
    features: int


@dataclass(frozen=True, slots=True)
class ReferenceImage:
    """An indexed image as a search result needs it."""

    photo_id: int
    place: Place
    hashes: PhotoHashes
