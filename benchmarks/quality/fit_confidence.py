"""Fit the confidence: which evidence is that of a true copy, and which that of another photo of the same scene.

`python -m benchmarks.quality.fit_confidence PHOTOS [--half 0] [--edits 3] [--write]` indexes half of
the photos (the SHA-256 of a photo's path tells which half it belongs to) and some drawn templates, searches for each
picture plain and edited, and notes the evidence for the picture itself and for the best other candidates: with the
picture left out, these are what an unknown photo of the same scene would be answered with. Two logistic regressions are
fitted to it, for photos and for drawings; figures are printed for folds that were left out. `--write` puts the weights
into core/matching/calibration.json.

`--half 1 --judge` prints the figures of the shipped calibration on the photos it was not fitted to.
"""

import hashlib
import io
import json
import os
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.lab.edits import BY_NAME, EDITS
from benchmarks.lab.photos import files_of
from benchmarks.lab.photos import opened as opened_photo
from benchmarks.lab.script import parser
from benchmarks.lab.templates import TEMPLATES
from core.fingerprints.features import FEATURE, FEATURES_VERSION, Features, opened, photo_features, query_features
from core.imaging.decoding import decode
from core.index.inverted_lists import InvertedLists
from core.matching.alignment import Alignment, align
from core.matching.calibration import FILE, MOST_SPREADS, Model, confidence, is_drawn, signals
from core.matching.ranking import ACCEPTED_CONFIDENCE
from core.matching.verification import FEWEST_INLIERS, examine
from core.model.fingerprints import CODE_BYTES, PhotoFeatures
from core.model.matches import Evidence
from core.search.feature_search import ROUNDS

TEMPLATE = "template"
KNOWN_TEMPLATES, UNKNOWN_TEMPLATES = 160, 240
RICH_GROUPS = frozenset({"strip", "grid", "crop_20", "crop_35", "screen", "combination"})
"""Groups whose queries are looked at a second time, as the search does where the first look finds nothing."""
RICH_SHARE = 0.3
"""Of plain queries, which an unknown photo is."""
OTHERS = 2
"""Wrong candidates noted of each look."""
FOLDS = 5
PENALTY = 7e-4
"""Of 1e-4, 3e-4, 1e-3 and 3e-3 the middle two gave fewest wrong names at equal recall in left-out folds."""
ITERATIONS, SMALLEST_STEP = 50, 1e-5


@dataclass(frozen=True, slots=True)
class Subject:
    """A picture of the calibration: a photo's path below the folder, or a template with its number."""

    name: str
    is_known: bool = True

    @property
    def is_template(self) -> bool:
        return self.name.startswith(TEMPLATE)


@dataclass(frozen=True, slots=True)
class Job:
    """One query to be searched."""

    subject: Subject
    edit: str | None
    looks: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The evidence for one candidate of one query, and whether it is right."""

    job: Job
    evidence: Evidence
    is_right: bool


class Bench:
    """The pictures, their features, and an index of the known ones."""

    def __init__(self, folder: Path, half: int) -> None:
        self.folder = folder
        names = sorted(str(path.relative_to(folder)) for path in files_of(folder))
        mine = [name for name in names if hashlib.sha256(name.encode()).digest()[0] % 2 == half]
        self.others = sorted(set(names).difference(mine))
        first = half * 1000
        known = [f"{TEMPLATE}:{number}" for number in range(first, first + KNOWN_TEMPLATES)]
        unknown = range(first + KNOWN_TEMPLATES, first + KNOWN_TEMPLATES + UNKNOWN_TEMPLATES)
        self.subjects = [Subject(name) for name in [*mine, *known]]
        self.unknown = [Subject(f"{TEMPLATE}:{number}", is_known=False) for number in unknown]
        self.fingerprints: dict[str, PhotoFeatures] = {}
        self.index = InvertedLists()

    def fill(self, pool: ProcessPoolExecutor) -> None:
        """Make the fingerprints of the known pictures and index them."""
        names = [subject.name for subject in self.subjects]
        jobs = [(self.folder, name) for name in names]
        self.fingerprints = dict(zip(names, pool.map(_fingerprint, jobs, chunksize=20), strict=True))
        codes = [np.frombuffer(each.codes, FEATURE)["code"] for each in self.fingerprints.values()]
        counts = np.array([len(each) for each in codes], np.int64)
        self.index.add(np.arange(len(names)), counts, np.concatenate(codes).reshape(-1, CODE_BYTES))

    def shortlist(self, features: Features, size: int, own: str) -> list[str]:
        proposed = [self.subjects[row].name for row in self.index.shortlist(features.codes, size=size)]
        return proposed if own in proposed or own not in self.fingerprints else [*proposed, own]


def _fingerprint(job: tuple[Path, str]) -> PhotoFeatures:
    return photo_features(decode(content(*job)))


def content(folder: Path, name: str) -> bytes:
    """Return the bytes of a photo or of a drawn template."""
    if not name.startswith(TEMPLATE):
        return (folder / name).read_bytes()
    kinds = sorted(TEMPLATES)
    number = int(name.partition(":")[2])
    file = io.BytesIO()
    TEMPLATES[kinds[number % len(kinds)]](random.Random(name)).convert("RGB").save(file, "JPEG", quality=88)
    return file.getvalue()


def jobs(bench: Bench, edits: int, seed: int) -> list[Job]:
    """Plan the queries: each known picture plain and with some edits, each unknown template plain."""
    choice = random.Random(seed)
    planned = [Job(subject, None, 1 + (choice.random() < RICH_SHARE)) for subject in bench.subjects]
    for subject in bench.subjects:
        planned += [Job(subject, edit.name, 1 + (edit.group in RICH_GROUPS)) for edit in choice.sample(EDITS, edits)]
    planned += [Job(subject, None, 1) for subject in bench.unknown]
    choice.shuffle(planned)
    return planned


BENCH: Bench | None = None
"""What the processes that search share with the one that forked them."""


def samples(job: Job) -> list[Sample]:
    """Search for one query as the engine does, and note the evidence for the right and the best wrong candidates."""
    bench = BENCH
    assert bench is not None
    pixels = decode(_query(bench, job)).pixels
    found: list[Sample] = []
    for look in ROUNDS[: job.looks]:
        features = query_features(pixels, look.sizes)
        for is_mirrored in look.ways:
            chosen = features.mirrored if is_mirrored else features.plain
            found += _examined(bench, job, pixels, chosen, look.shortlist, is_mirrored=is_mirrored)
    return found


def _query(bench: Bench, job: Job) -> bytes:
    data = content(bench.folder, job.subject.name)
    if job.edit is None:
        return data
    edit, choice = BY_NAME[job.edit], random.Random(f"{job.subject.name} {job.edit}")
    others = [opened_photo(content(bench.folder, name)) for name in choice.sample(bench.others, edit.others_needed)]
    return edit.apply(opened_photo(data), choice, others)


def _examined(
    bench: Bench, job: Job, pixels: NDArray[np.uint8], features: Features, size: int, *, is_mirrored: bool
) -> Iterator[Sample]:
    shown = np.ascontiguousarray(pixels[:, ::-1]) if is_mirrored else pixels
    aligned = [
        (alignment, name)
        for name in (bench.shortlist(features, size, job.subject.name) if len(features) else [])
        if (alignment := align(features, Features.unpacked(bench.fingerprints[name].codes)))
    ]
    aligned.sort(key=lambda each: -each[0].weight)
    for alignment, name in _of_interest(aligned, job, is_mirrored=is_mirrored):
        thumbnail = opened(bench.fingerprints[name].thumbnail)
        if evidence := examine(shown, thumbnail, alignment, photo_id=0, is_mirrored=is_mirrored):
            yield Sample(job, evidence, name == job.subject.name)


def _of_interest(
    aligned: Sequence[tuple[Alignment, str]], job: Job, *, is_mirrored: bool
) -> list[tuple[Alignment, str]]:
    """Return the right candidate, unless symmetry alone laid it there, and the best wrong ones."""
    own = [each for each in aligned if each[1] == job.subject.name]
    wrong = [each for each in aligned if each[1] != job.subject.name and each[0].geometry.inliers >= FEWEST_INLIERS]
    is_straight = is_mirrored == ("mirror" in (job.edit or ""))
    return [*(own if is_straight else []), *wrong[:OTHERS]]


def fit(names: Sequence[str], rows: NDArray[np.float64], right: NDArray[np.bool_]) -> Model:
    """Fit a logistic regression of second degree, with a small penalty on its weights, by Newton's method."""
    means, spreads = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    standard = np.clip((rows - means) / spreads, -MOST_SPREADS, MOST_SPREADS)
    first, second = np.triu_indices(len(names))
    design = np.column_stack([standard, standard[:, first] * standard[:, second], np.ones(len(rows))])
    penalty = np.append(np.full(design.shape[1] - 1, 2 * PENALTY * len(rows)), 1e-9)
    solution = np.zeros(design.shape[1])
    for _ in range(ITERATIONS):
        chance = 1 / (1 + np.exp(-np.clip(design @ solution, -50, 50)))
        slope = design.T @ (chance - right) + penalty * solution
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, slope)
        solution -= step
        if np.abs(step).max() < SMALLEST_STEP:
            break
    products = np.zeros((len(names), len(names)))
    products[first, second] = solution[len(names) : -1]
    return Model(tuple(names), means, spreads, solution[: len(names)], products, float(solution[-1]))


def table(found: Sequence[Sample]) -> tuple[list[str], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the names of the signals, their values (n, signals), which samples are right, and which are drawn."""
    values = [signals(sample.evidence) for sample in found]
    rows = np.array([list(each.values()) for each in values])
    right = np.array([sample.is_right for sample in found])
    return list(values[0]), rows, right, np.array([is_drawn(sample.evidence) for sample in found])


def left_out(found: Sequence[Sample]) -> NDArray[np.float64]:
    """Return the confidence in each sample by models fitted without its picture."""
    names, rows, right, drawn = table(found)
    folds = np.array([hashlib.sha256(sample.job.subject.name.encode()).digest()[1] % FOLDS for sample in found])
    confidences = np.zeros(len(found))
    for fold in range(FOLDS):
        for part in (drawn, ~drawn):
            model = fit(names, rows[part & (folds != fold)], right[part & (folds != fold)])
            for row in np.flatnonzero(part & (folds == fold)):
                confidences[row] = model.confidence(dict(zip(names, rows[row].tolist(), strict=True)))
    return confidences


def print_figures(found: Sequence[Sample], confidences: NDArray[np.float64], queries: int) -> None:
    """Print the queries that find their picture, those that get a wrong name without it, and the reliability."""
    best: defaultdict[tuple[Job, bool], float] = defaultdict(float)
    for sample, confidence_of in zip(found, confidences.tolist(), strict=True):
        key = sample.job, sample.is_right
        best[key] = max(best[key], confidence_of)
    for is_template in (False, True):
        own = [best[key] for key in best if key[1] and key[0].subject.is_template == is_template]
        other = [best[key] for key in best if not key[1] and key[0].subject.is_template == is_template]
        for accepted in (0.5, ACCEPTED_CONFIDENCE, 0.8, 0.9):
            found_own, named = (sum(one > accepted for one in some) for some in (own, other))
            print(f"{'templates' if is_template else 'photos':10} accepted from {accepted:.2f}:", end=" ")
            print(f"found {found_own} of {len(own)} aligned, a wrong name {named} of {len(other)}")
    print(f"{queries} queries, {len(found)} candidates examined")
    print_reliability(found, confidences)


def print_reliability(found: Sequence[Sample], confidences: NDArray[np.float64]) -> None:
    """Print, of candidates in a bin of confidence, how many there are and which share is right."""
    right = np.array([sample.is_right for sample in found])
    edges = [0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.01]
    for low, high in pairwise(edges):
        inside = (confidences >= low) & (confidences < high)
        if inside.any():
            print(f"confidence {low:.2f}-{min(high, 1):.2f}: {inside.sum():6} candidates", end=", ")
            print(f"mean {confidences[inside].mean():.3f}, right {right[inside].mean():.3f}")


def write(found: Sequence[Sample], origin: str) -> None:
    """Fit both models to everything and write them where the engine reads them."""
    names, rows, right, drawn = table(found)
    models = {}
    for kind, part in (("photo", ~drawn), ("drawn", drawn)):
        model = fit(names, rows[part], right[part])
        arrays = {name: getattr(model, name).round(5).tolist() for name in ("means", "spreads", "weights", "products")}
        models[kind] = {**arrays, "bias": round(model.bias, 5)}
    origins = {"version": 2, "features_version": FEATURES_VERSION, "fitted_to": origin}
    FILE.write_text(json.dumps({**origins, "signals": names, "models": models}) + "\n", encoding="utf-8")
    print(f"written: {FILE}")


def collect(folder: Path, half: int, edits: int) -> tuple[list[Sample], int]:
    """Search for all queries of one half of the photos."""
    global BENCH  # noqa: PLW0603 - how forked processes get it without a copy
    bench = Bench(folder, half)
    with ProcessPoolExecutor() as pool:
        bench.fill(pool)
    planned = jobs(bench, edits, seed=half)
    BENCH = bench
    with ProcessPoolExecutor() as pool:
        found = [sample for some in pool.map(samples, planned, chunksize=10) for sample in some]
    return found, len(planned)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("photos", type=Path)
    arguments.add_argument("--half", type=int, choices=(0, 1), default=0)
    arguments.add_argument("--edits", type=int, default=3, help="edited queries for each picture")
    arguments.add_argument("--judge", action="store_true", help="use the shipped calibration instead of left-out folds")
    arguments.add_argument("--write", action="store_true", help="write core/matching/calibration.json")
    options = arguments.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    found, queries = collect(options.photos, options.half, options.edits)
    shipped = np.array([confidence(sample.evidence) for sample in found]) if options.judge else left_out(found)
    print_figures(found, shipped, queries)
    if options.write:
        write(found, f"half {options.half} of {options.photos.name}, {queries} queries, {len(found)} candidates")


if __name__ == "__main__":
    main()
