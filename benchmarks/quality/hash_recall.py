"""What the hashes find: edited copies of indexed photos, unknown photos, and every indexed photo itself.

python -m benchmarks.quality.hash_recall --n 100 --neg 848

1. make_queries.py makes edited copies of some photos, and copies of photos that must not be known. The rest is
   indexed and searched on SQLite and on MariaDB; both must give the same answers. score.py counts.
2. All photos are indexed, and each is searched as it is: its own username must come first, but for those whose own
   fingerprint says "unsearchable", which are named.

Exits 1 if the databases disagree, anything is matched with a wrong username, or a photo is not found as itself.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.mariadb import private_mariadb

Answer = dict[str, Any]
Answers = dict[str, Answer]
"""By the query's path: what `igsearch search --json` said."""


@dataclass(frozen=True, slots=True)
class Databases:
    """Where the answers come from: a name, and the URL of an empty database for each of the two parts."""

    name: str
    queries_url: str
    photos_url: str


def main() -> int:
    arguments = parse()
    with TemporaryDirectory(prefix="igsearch-recall-") as name, databases(Path(name)) as both:
        folder = Path(name)
        faults = edited_copies(both, folder, arguments) + photos_themselves(both, folder, arguments.photos)
    for fault in faults:
        print(f"FAULT {fault}")
    print(f"{len(faults)} faults")
    return 1 if faults else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=Path("../shared/photos"))
    parser.add_argument("--make-queries", type=Path, default=Path("../shared/tools/make_queries.py"))
    parser.add_argument("--score", type=Path, default=Path("../shared/tools/score.py"))
    parser.add_argument("--n", type=int, default=100, help="photos that are edited in every way")
    parser.add_argument("--neg", type=int, default=848, help="photos that are not indexed")
    parser.add_argument("--seed", default="1")
    return parser.parse_args()


@contextmanager
def databases(folder: Path) -> Iterator[list[Databases]]:
    with private_mariadb() as server:
        yield [
            Databases("SQLite", f"sqlite:///{folder}/queries.db", f"sqlite:///{folder}/photos.db"),
            Databases("MariaDB", server.create_database("queries"), server.create_database("photos")),
        ]


def edited_copies(both: list[Databases], folder: Path, arguments: argparse.Namespace) -> list[str]:
    """Search edited copies of indexed and of unknown photos, print the table, and return what is wrong."""
    made, dataset = folder / "made", folder / "known"
    make_queries(arguments, made)
    shutil.copytree(arguments.photos, dataset)
    for excluded in (made / "exclude.txt").read_text().splitlines():
        (dataset / excluded).unlink()
    answers = {each.name: answers_of(each.name, each.queries_url, dataset, made / "queries") for each in both}
    results = made / "results.jsonl"
    results.write_text("".join(json.dumps(answer) + "\n" for answer in answers["SQLite"].values()))
    command = [sys.executable, str(arguments.score), str(made / "labels.csv"), str(results)]
    print(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print_verdicts(answers["SQLite"])
    return disagreements(answers) + wrong_names(answers["SQLite"], made / "labels.csv")


def make_queries(arguments: argparse.Namespace, made: Path) -> None:
    options = ["--n", str(arguments.n), "--neg", str(arguments.neg), "--seed", arguments.seed]
    command = [sys.executable, str(arguments.make_queries), str(arguments.photos), str(made), *options]
    subprocess.run(command, check=True)


def photos_themselves(both: list[Databases], folder: Path, photos: Path) -> list[str]:
    """Index all photos and search each as it is."""
    dataset = folder / "all"
    shutil.copytree(photos, dataset)
    answers = {each.name: answers_of(each.name, each.photos_url, dataset, dataset) for each in both}
    missed = [answer for query, answer in answers["SQLite"].items() if first(answer) != Path(query).parent.name]
    excused = [answer for answer in missed if answer["verdict"] == "unsearchable"]
    found = len(answers["SQLite"]) - len(missed)
    print(f"\nphotos searched as themselves: {found:,} of {len(answers['SQLite']):,} have their username first")
    print_verdicts(answers["SQLite"])
    for answer in excused:
        print(f"  unsearchable by its own fingerprint: {answer['query']}")
    faults = [f"not found as itself: {answer}" for answer in missed if answer not in excused]
    return disagreements(answers) + faults


def answers_of(name: str, url: str, dataset: Path, queries: Path) -> Answers:
    """Index a dataset and search a folder of queries in it."""
    environment = {**os.environ, "IGSEARCH_DATABASE_URL": url, "XDG_CACHE_HOME": str(dataset.parent / f"cache-{name}")}
    command = [sys.executable, "-m", "igsearch"]
    index = [*command, "index", "--dataset", str(dataset), "--json"]
    search = [*command, "search", "--dataset", str(dataset), "--query", str(queries), "--json"]
    counts = json.loads(subprocess.run(index, env=environment, check=True, capture_output=True).stdout)
    started = time.monotonic()
    lines = subprocess.run(search, env=environment, check=True, capture_output=True).stdout.splitlines()
    seconds = time.monotonic() - started
    print(
        f"{name}: {counts['added']:,} photos indexed in {counts['seconds']:.1f} s;"
        f" {len(lines):,} queries in {seconds:.1f} s, {1000 * seconds / len(lines):.1f} ms each",
        flush=True,
    )
    answers = [json.loads(line) for line in lines]
    return {answer["query"]: answer for answer in answers}


def first(answer: Answer) -> str | None:
    """Return the best username, if any."""
    return answer["matches"][0]["username"] if answer["matches"] else None


def print_verdicts(answers: Answers) -> None:
    verdicts = Counter(answer["verdict"] for answer in answers.values())
    print("verdicts: " + ", ".join(f"{verdict} {number:,}" for verdict, number in verdicts.most_common()))


def disagreements(answers: dict[str, Answers]) -> list[str]:
    """Where the databases differ in anything but time and revision."""
    left, right = (
        {query: comparable(answer) for query, answer in each.items()}
        for each in (answers["SQLite"], answers["MariaDB"])
    )
    different = [query for query in left.keys() | right.keys() if left.get(query) != right.get(query)]
    print(f"SQLite and MariaDB: {len(left.keys() | right.keys()) - len(different):,} equal answers of {len(left):,}")
    return [f"SQLite says {left.get(query)}, MariaDB {right.get(query)}" for query in different]


def comparable(answer: Answer) -> Answer:
    searched = {key: number for key, number in answer["searched"].items() if key != "revision"}
    return {**answer, "milliseconds": 0, "searched": searched}


def wrong_names(answers: Answers, labels: Path) -> list[str]:
    """Every query whose best match is not the account that it was made from."""
    by_name = {Path(query).name: answer for query, answer in answers.items()}
    faults = []
    with labels.open(newline="") as file:
        for row in csv.DictReader(file):
            answer = by_name[Path(row["query"]).name]
            if answer["matches"] and first(answer) != row["expected"].partition("/")[0]:
                faults.append(f"{row['transform']} of {row['expected'] or 'an unknown photo'}: {answer['matches']}")
    return faults


if __name__ == "__main__":
    sys.exit(main())
