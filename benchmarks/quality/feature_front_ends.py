"""Recall against index cost for several feature front ends: which points, how many, from how large a picture.

python -m benchmarks.quality.feature_front_ends PHOTOS --photos 300 --queries 6 --plot front_ends.png

Some photos are indexed with every front end; edited copies of them, of the kinds that are hard to find, are asked for.
The images with most votes, as InvertedLists.shortlist counts them over a full scan, are aligned; a photo is found if it
has the most weight of all and so many inliers. There is one pass, without mirror images; the second, richer pass, which
finds the cells of large grids, is the same trade for all front ends. The other members of grids and strips are not
indexed, so that every other image is a wrong one.

A code has 256 bits in all front ends: the signs of a rotated RootSIFT, or ORB's own comparisons of pixels. BEBLID,
TEBLID, BRISK and AKAZE are not in OpenCV 5's main module, which has only SIFT, ORB and FAST. FAST corners come with
ORB's pyramid and angles here, spread over a grid, for the strongest corners of a screenshot are its letters.

Times are CPU time of one thread, without decoding, each photo and query with every front end in turn.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from random import Random
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.lab.edits import EDITS, Edit
from core.fingerprints.features import (
    FIRST_PASS,
    REFERENCE_FEATURES,
    REFERENCE_SIDE,
    Features,
    Pass,
    fitted,
    query_features,
)
from core.fingerprints.features import _codes as sift_codes
from core.fingerprints.features import _stretched as stretched
from core.imaging.decoding import decode
from core.index import inverted_lists
from core.index.inverted_lists import InvertedLists
from core.matching.alignment import align

T = TypeVar("T")
Pixels = NDArray[np.uint8]
Describe = Callable[[Pixels, int], Features]

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
KINDS = (
    *("crop_35", "crop_20", "post_dark", "chat", "story_blurred", "screen_photo", "print_photo", "perspective_strong"),
    *("stickers_20", "grid_4", "grid_9", "side_by_side_3", "crop_filter_small", "repost_of_repost", "resized_160"),
    "blurred",
)
BY_NAME = {edit.name: edit for edit in EDITS}
SHORTLIST = 12
ENOUGH, PLENTY = 5, 8
"""Inliers that make a find."""

FAST_THRESHOLD = 7
"""Of 20, which is usual: dim and blurred pictures have corners too."""
LEVELS, LEVEL_STEP = 6, 2**0.5
ORB_EDGE = 16
"""Pixels without corners along the edges; half of ORB's patch."""
SPREAD, CELLS = 6, 8
"""Corners found for each one kept, and cells a side from which they are taken in turn."""
SIFT_SIGMA = 2.2
"""Of a corner at its own level: the descriptor is 26 pixels wide there, and ORB's patch 31."""


def main() -> None:
    arguments = parse()
    cv2.setNumThreads(1)
    inverted_lists.FLAT_UP_TO = 1 << 40  # one list: a full scan
    indexed, others = chosen(arguments.photos, arguments.photos_indexed, Random(arguments.seed))
    indexes = indexed_with_each(indexed)
    print(f"{len(indexed)} photos indexed, OpenCV {cv2.__version__}", flush=True)
    tries = list(tried(indexes, indexed, others, arguments))
    results = [result_of(index, tries) for index in indexes]
    print_kinds(results, tries)
    print_results(results)
    if arguments.plot:
        draw(results, arguments.plot)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--photos", type=int, default=300, dest="photos_indexed", help="photos that are indexed")
    parser.add_argument("--queries", type=int, default=6, help="queries a kind of edit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="a .png file; needs matplotlib")
    return parser.parse_args()


# The front ends


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """How features are found: a reference image's long side, how many, which copies of a query, and by what."""

    name: str
    side: int
    count: int
    sizes: Pass
    describe: Describe

    def reference(self, pixels: Pixels) -> bytes:
        return self.describe(fitted(pixels, long_side=self.side), self.count).packed()

    def query(self, pixels: Pixels) -> Features:
        ratio = max(pixels.shape) / min(pixels.shape)
        copies = [(fitted(pixels, long_side=round(side * ratio)), count) for side, count in self.sizes]
        return Features.joined([self.describe(copy, count) for copy, count in copies])


def sift(pixels: Pixels, count: int) -> Features:
    return query_features(pixels, ((min(pixels.shape), count),)).plain


def orb(pixels: Pixels, count: int) -> Features:
    """ORB's oriented corners and their 256 comparisons (Rublee et al. 2011)."""
    keypoints, codes = orb_detector(count).detectAndCompute(stretched(pixels), None)
    return as_features(keypoints, np.asarray(codes, np.uint8), pixels) if keypoints else sift(pixels[:1, :1], 1)


def fast_sift(pixels: Pixels, count: int) -> Features:
    """The corners that ORB would take, spread over the picture, with the codes that SIFT's would have."""
    grey = stretched(pixels)
    corners = spread(orb_detector(SPREAD * count).detect(grey, None), grey.shape, count)
    if not corners:
        return sift(pixels[:1, :1], 1)
    keypoints, descriptors = sift_descriptor().compute(grey, [as_sift(corner) for corner in corners])
    return as_features(keypoints, sift_codes(np.asarray(descriptors, np.float32)), pixels)


@cache
def orb_detector(count: int) -> cv2.ORB:
    return cv2.ORB.create(
        nfeatures=count,
        scaleFactor=LEVEL_STEP,
        nlevels=LEVELS,
        edgeThreshold=ORB_EDGE,
        fastThreshold=FAST_THRESHOLD,
    )


@cache
def sift_descriptor() -> cv2.SIFT:
    return cv2.SIFT.create()


def spread(corners: Sequence[cv2.KeyPoint], shape: tuple[int, ...], count: int) -> list[cv2.KeyPoint]:
    """Take the strongest corner of each cell, then the second of each, and so on."""
    if not corners:
        return []
    cells = (places(corners) / np.array(shape[::-1]) * CELLS).astype(np.int64) @ (1, CELLS)
    strongest = np.lexsort((-np.array([corner.response for corner in corners]), cells))
    starts = np.searchsorted(cells[strongest], cells[strongest])
    turns = np.arange(len(corners)) - starts
    return [corners[row] for row in strongest[np.argsort(turns, kind="stable")[:count]]]


def as_sift(corner: cv2.KeyPoint) -> cv2.KeyPoint:
    """Tell SIFT in which of its octaves to describe a corner; the second layer of each is taken."""
    (x, y), scale = corner.pt, LEVEL_STEP**corner.octave
    octave = round(math.log2(scale)) | 1 << 8
    return cv2.KeyPoint(x, y, 2 * SIFT_SIGMA * scale, corner.angle, corner.response, octave)


def places(keypoints: Sequence[cv2.KeyPoint]) -> NDArray[np.float32]:
    return np.array([keypoint.pt for keypoint in keypoints], np.float32)


def as_features(keypoints: Sequence[cv2.KeyPoint], codes: NDArray[np.uint8], pixels: Pixels) -> Features:
    side = max(pixels.shape)
    return Features(
        codes=codes,
        points=((places(keypoints) + np.float32(0.5)) / side).astype(np.float32),
        sizes=np.array([keypoint.size for keypoint in keypoints], np.float32) / side,
        angles=np.radians(np.array([keypoint.angle for keypoint in keypoints], np.float32)),
    )


LARGE_PASS: Pass = ((400, 800), (190, 300))
SMALL_PASS: Pass = ((140, 400), (64, 150))
ONE_SIZE: Pass = ((240, 500),)
FRONT_ENDS = (
    FrontEnd("ours: SIFT 224 px, 150", REFERENCE_SIDE, REFERENCE_FEATURES, FIRST_PASS, sift),
    FrontEnd("SIFT 384 px, 300", 384, 300, LARGE_PASS, sift),
    FrontEnd("SIFT 192 px, 150, one query size", 192, 150, ONE_SIZE, sift),
    FrontEnd("SIFT 128 px, 150", 128, 150, SMALL_PASS, sift),
    FrontEnd("ORB 384 px, 500", 384, 500, LARGE_PASS, orb),
    FrontEnd("FAST spread + RootSIFT 224 px, 150", 224, 150, FIRST_PASS, fast_sift),
    FrontEnd("FAST spread + RootSIFT 384 px, 300", 384, 300, LARGE_PASS, fast_sift),
)


# Indexing and asking


@dataclass(frozen=True, slots=True, eq=False)
class Indexed:
    """Photos indexed with a front end: their stored features, and the CPU seconds that each took."""

    front_end: FrontEnd
    stored: list[bytes]
    seconds: list[float]
    index: InvertedLists


@dataclass(frozen=True, slots=True)
class Try:
    """What a front end made of a query: inliers of the photo if it came first, most inliers of another; CPU seconds."""

    front_end: str
    kind: str
    inliers: int
    wrong_inliers: int
    describing: float
    searching: float


@dataclass(frozen=True, slots=True)
class Result:
    """A row of the table: milliseconds and bytes an image, milliseconds a query, shares, inliers of wrong images."""

    name: str
    indexing: float
    bytes: float
    describing: float
    searching: float
    enough: float
    plenty: float
    wrong: float


def chosen(folder: Path, count: int, random: Random) -> tuple[list[Path], list[Path]]:
    """Return the photos to index, and the rest."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    random.shuffle(paths)
    return paths[:count], paths[count:]


def indexed_with_each(photos: Sequence[Path]) -> list[Indexed]:
    indexes = [Indexed(front_end, [], [], InvertedLists()) for front_end in FRONT_ENDS]
    for number, path in enumerate(photos):
        pixels = decoded(path.read_bytes())
        for each in indexes:
            packed, seconds = timed(partial(each.front_end.reference, pixels))
            each.stored.append(packed)
            each.seconds.append(seconds)
            codes = Features.unpacked(packed).codes
            each.index.add(np.array([number]), np.array([len(codes)]), codes)
    return indexes


def decoded(data: bytes) -> Pixels:
    """One size for all front ends, large enough for the largest."""
    return decode(data, side=max(side for front_end in FRONT_ENDS for side, _ in front_end.sizes)).pixels


def tried(
    indexes: Sequence[Indexed], photos: Sequence[Path], others: Sequence[Path], arguments: argparse.Namespace
) -> Iterator[Try]:
    """Ask for edited copies of some photos, other ones for each kind, with every front end in turn."""
    random = Random(arguments.seed)
    for kind in KINDS:
        for number in random.sample(range(len(photos)), arguments.queries):
            edit = BY_NAME[kind]
            members = random.sample(others, edit.others_needed)
            pixels = decoded(edited(edit, photos[number], members, random))
            for each in indexes:
                yield asked(each, kind, number, pixels)


def edited(edit: Edit, photo: Path, members: Sequence[Path], random: Random) -> bytes:
    return edit.apply(opened(photo), random, [opened(member) for member in members])


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def asked(indexed: Indexed, kind: str, right: int, pixels: Pixels) -> Try:
    features, describing = timed(partial(indexed.front_end.query, pixels))
    aligned, searching = timed(partial(search, indexed, features))
    first = max(aligned, key=lambda image: aligned[image][0], default=None)
    return Try(
        front_end=indexed.front_end.name,
        kind=kind,
        inliers=aligned[right][1] if first == right else 0,
        wrong_inliers=max((inliers for image, (_, inliers) in aligned.items() if image != right), default=0),
        describing=describing,
        searching=searching,
    )


def search(indexed: Indexed, features: Features) -> dict[int, tuple[float, int]]:
    """Return weight and inliers of each image that may be in the query."""
    proposed = indexed.index.shortlist(features.codes, size=SHORTLIST)
    alignments = {image: align(features, Features.unpacked(indexed.stored[image])) for image in proposed}
    return {image: (found.weight, found.geometry.inliers) for image, found in alignments.items() if found}


def timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


# Showing


def result_of(indexed: Indexed, tries: Sequence[Try]) -> Result:
    own = [each for each in tries if each.front_end == indexed.front_end.name]
    return Result(
        name=indexed.front_end.name,
        indexing=statistics.median(indexed.seconds) * 1000,
        bytes=statistics.mean(map(len, indexed.stored)),
        describing=statistics.median(each.describing for each in own) * 1000,
        searching=statistics.median(each.searching for each in own) * 1000,
        enough=found(own, ENOUGH),
        plenty=found(own, PLENTY),
        wrong=float(np.quantile([each.wrong_inliers for each in own], 0.95)),
    )


def found(tries: Sequence[Try], inliers: int) -> float:
    """Return the share of queries whose photo came first, with so many inliers; every kind has as many queries."""
    return statistics.mean(each.inliers >= inliers for each in tries)


def print_kinds(results: Sequence[Result], tries: Sequence[Try]) -> None:
    print(f"\nrecall@1 % at {ENOUGH} inliers" + "".join(f"  [{row}]" for row in range(1, len(results) + 1)))
    for kind in KINDS:
        own = [[each for each in tries if (each.front_end, each.kind) == (result.name, kind)] for result in results]
        print(f"{kind:23}" + "".join(f"{found(each, ENOUGH):5.0%}" for each in own))


def print_results(results: Sequence[Result]) -> None:
    print(f"\n{'':40} index ms   bytes  query ms  search ms  recall@1 {ENOUGH}+     {PLENTY}+  wrong inliers p95")
    for row, result in enumerate(results, start=1):
        print(
            f"[{row}] {result.name:36} {result.indexing:8.1f} {result.bytes:7,.0f} {result.describing:9.1f}"
            f" {result.searching:10.1f} {result.enough:12.1%} {result.plenty:6.1%} {result.wrong:18.1f}"
        )


def draw(results: Sequence[Result], path: Path) -> None:
    """Draw recall against cost, with a line through the front ends that none beats in both."""
    import_module("matplotlib").use("Agg")
    pyplot = import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(9, 6), layout="constrained")
    for row, result in enumerate(results, start=1):
        place = (result.indexing, result.enough * 100)
        label = f"{row}  {result.name} ({result.bytes / 1000:.1f} kB)"
        axes.scatter(*place, s=result.bytes / 10, alpha=0.5, label=label)
        axes.annotate(str(row), place, ha="center", va="center")
    best = unbeaten(results)
    axes.plot([each.indexing for each in best], [each.enough * 100 for each in best], "--", color="grey", zorder=0)
    axes.set(
        xscale="log",
        xlabel="CPU-ms an image to index, without decoding",
        ylabel=f"mean recall@1 in %, {len(KINDS)} hard kinds of edits, at {ENOUGH} inliers and more",
        title="Feature front ends: recall against cost (area: bytes an image)",
    )
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.margins(0.15)
    axes.grid(visible=True, which="both", alpha=0.3)
    for handle in figure.legend(loc="outside lower center", ncols=2).legend_handles:
        handle.set_sizes([60])
    figure.savefig(path, dpi=120)


def unbeaten(results: Sequence[Result]) -> list[Result]:
    best: list[Result] = []
    for result in sorted(results, key=lambda each: (each.indexing, -each.enough)):
        if not best or result.enough > best[-1].enough:
            best.append(result)
    return best


if __name__ == "__main__":
    main()
