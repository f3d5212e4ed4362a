"""What every script begins and ends with: options that many have, a folder of its own, faults and the exit code."""

import argparse
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

DEFAULT_PHOTOS = Path("../shared/photos")
SETTLE_SECONDS = 2.0


def parser(description: str | None, *, has_photos: bool = False, has_daemon: bool = False) -> argparse.ArgumentParser:
    """Make a parser; `has_daemon` gives it the options of scripts that run the daemon on made-up photos."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if has_photos:
        options.add_argument("--photos", type=Path, default=DEFAULT_PHOTOS, help="a folder of <username>/<file>")
    if has_daemon:
        options.add_argument("--seed", type=int, default=1)
        options.add_argument("--settle", type=float, default=SETTLE_SECONDS, help="IGSEARCH_SETTLE_SECONDS")
        options.add_argument("--sqlite", action="store_true", help="on SQLite, not on a private MariaDB")
    return options


@contextmanager
def own_folder() -> Iterator[Path]:
    """Make a folder that is gone afterwards, with all that runs in it, also when SIGTERM ends the script."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with TemporaryDirectory(prefix="igsearch-benchmark-") as folder:
        yield Path(folder)


def report(faults: Sequence[str]) -> int:
    """Print the faults, and return the exit code."""
    for fault in faults:
        print(f"FAULT {fault}")
    print("no fault" if not faults else f"{len(faults)} fault(s)")
    return 1 if faults else 0


def missed(name: str, figure: float, goal: float, unit: str) -> list[str]:
    """Complain of a figure that is not below its goal; nan is not, as percentiles are where somebody never heard."""
    return [] if figure < goal else [f"{name}: {figure:.2f} {unit}, the goal is below {goal:g} {unit}"]
