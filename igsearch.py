"""Define the command line of igsearch: the commands, their options and the exit codes.

The work of each command is in cli/, which is imported when the command runs.
"""

import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

# ruff: noqa: PLC0415 - the commands import what they need: --help must not wait for numpy and SQLAlchemy

UNEXPECTED = 70
HELP = "Which Instagram account posted this photo? Index a folder of photos, then search with any copy of one."

Job = Callable[[], Coroutine[None, None, int]]
"""The work of a command, which returns its exit code; `main` runs it once the command line is parsed."""


class Watched(StrEnum):
    """The services that `igsearch health` can be asked about."""

    INDEXER = "indexer"
    TELEGRAM = "telegram"
    DISCORD = "discord"


app = typer.Typer(help=HELP, pretty_exceptions_enable=False, rich_markup_mode=None)

DatasetOption = Annotated[
    Path | None,
    typer.Option(
        "--dataset", metavar="DIR", readable=False, help="The folder of <username>/ folders. [default: images]"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")]


@app.command()
def index(
    dataset: DatasetOption = None,
    *,
    json: JsonOption = False,
    quiet: QuietOption = False,
    light: Annotated[
        bool, typer.Option("--light", help="Compute only hashes: quick, but crops and screenshots are not found.")
    ] = False,
    remove_missing: Annotated[
        bool, typer.Option("--remove-missing", help="Remove missing photos even if they are a large share of all.")
    ] = False,
) -> Job:
    """Bring the index in line with the dataset folder, once."""
    from cli import index as command

    return partial(command.index, dataset, as_json=json, is_quiet=quiet, is_light=light, remove_missing=remove_missing)


@app.command()
def search(
    query: Annotated[list[str], typer.Option("--query", metavar="PATH", help="A photo, a folder of photos, or -.")],
    dataset: DatasetOption = None,
    *,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print the confidence, how the photo matched, and its path.")
    ] = False,
) -> Job:
    """Print the usernames that posted a photo, the surest first."""
    from cli import search as command

    show = command.show_json if json else partial(command.show_text, is_quiet=quiet, is_verbose=verbose)
    return partial(command.search, query, dataset, show)


@app.command()
def show_match(
    query: Annotated[str, typer.Option("--query", metavar="PATH", help="A photo, or -.")],
    output: Annotated[Path, typer.Argument(metavar="OUT.png", help="The file to write.")],
    dataset: DatasetOption = None,
) -> Job:
    """Draw a photo and its best match side by side, with the part that matched."""
    from cli import search as command

    return partial(command.show_match, query, dataset, output)


@app.command()
def audit(
    dataset: DatasetOption = None,
    *,
    sample: Annotated[int, typer.Option("--sample", metavar="N", min=1, help="The number of photos to try.")] = 100,
    seed: Annotated[int | None, typer.Option("--seed", help="A number that chooses the same photos again.")] = None,
    json: JsonOption = False,
) -> Job:
    """Test the index: search for lightly edited copies of stored photos, which must be found at rank 1."""
    from cli import search as command

    return partial(command.audit, dataset, sample, seed, as_json=json)


@app.command()
def watch(dataset: DatasetOption = None) -> Job:
    """Keep the index in line with the dataset folder until Ctrl-C or SIGTERM; SIGHUP starts a full rescan."""
    _outlive_the_terminal()
    from cli import serve as command

    return partial(command.watch, dataset)


@app.command()
def telegram(dataset: DatasetOption = None) -> Job:
    """Answer people who send photos to the Telegram bot, until Ctrl-C or SIGTERM."""
    _outlive_the_terminal()
    from cli import serve as command

    return partial(command.telegram, dataset)


@app.command()
def discord(dataset: DatasetOption = None) -> Job:
    """Answer people who use the Discord bot, until Ctrl-C or SIGTERM."""
    _outlive_the_terminal()
    from cli import serve as command

    return partial(command.discord, dataset)


@app.command()
def run(dataset: DatasetOption = None) -> Job:
    """Do what `watch` does and run every bot whose token is set; a part that fails is restarted."""
    _outlive_the_terminal()
    from cli import serve as command

    return partial(command.run, dataset)


@app.command()
def init_db(
    dataset: DatasetOption = None,
    *,
    sql: Annotated[bool, typer.Option("--sql", help="Print the schema as SQL for MySQL and change nothing.")] = False,
) -> Job:
    """Create the tables in the database, or upgrade older ones."""
    from cli import init_db as command

    return command.print_schema if sql else partial(command.init_db, dataset)


@app.command()
def stats(dataset: DatasetOption = None, *, json: JsonOption = False) -> Job:
    """Print what is indexed, what is waiting, and when the dataset was last scanned."""
    from cli import status as command

    return partial(command.stats, dataset, as_json=json)


@app.command()
def reports(dataset: DatasetOption = None, *, json: JsonOption = False) -> Job:
    """List the answers of the bots that people reported as wrong, the latest first."""
    from cli import status as command

    return partial(command.reports, dataset, as_json=json)


@app.command()
def health(
    part: Annotated[
        list[Watched] | None,
        typer.Argument(metavar="[PART]...", help="indexer, telegram, discord. [default: all in use]"),
    ] = None,
    dataset: DatasetOption = None,
    *,
    json: JsonOption = False,
) -> Job:
    """Tell whether the daemon and the bots work; exit code 1 if one is failing."""
    from cli import status as command

    return partial(command.health, [each.value for each in part or ()], dataset, as_json=json)


@app.command()
def forget(
    username: Annotated[str | None, typer.Argument(metavar="[USERNAME]", help="The account.")] = None,
    dataset: DatasetOption = None,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Let the account be indexed again.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the accounts that were forgotten.")] = False,
    json: JsonOption = False,
) -> Job:
    """Remove an account from every answer and from the database, and never index it again."""
    if listed == (username is not None) or (listed and undo):
        raise typer.BadParameter("name one account, or give --list.")
    from cli import forget as command

    if username is None:
        return partial(command.list_forgotten, dataset, as_json=json)
    act = command.take_back if undo else command.forget
    return partial(act, _account(username), dataset, as_json=json)


@app.command()
def doctor(dataset: DatasetOption = None, *, json: JsonOption = False) -> Job:
    """Check everything that igsearch needs and say what to fix; exit code 1 if there is anything."""
    from cli.doctor import command

    return partial(command.doctor, dataset, as_json=json)


@app.command()
def failures(dataset: DatasetOption = None, *, json: JsonOption = False) -> Job:
    """List the files that could not be read, with the reasons."""
    from cli import status as command

    return partial(command.failures, dataset, as_json=json)


def main() -> None:
    """Run a command and exit with its code; report any error as one line on standard error."""
    from core.errors import IgSearchError

    _prepare_output()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        job = typer.main.get_command(app)(standalone_mode=False)
        code = asyncio.run(job()) if callable(job) else int(job or 0)
        sys.stdout.flush()
    except IgSearchError as error:
        code = _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        code = _fail(f"{error.format_message()} See `igsearch --help`.", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _fail("Interrupted; finished work is kept.", 0)
    except BrokenPipeError:  # the reader of our output is gone, such as `head`
        _discard_output()
        code = 0
    except OSError as error:
        code = _fail(f"{error}: fix that and run again; finished work is kept.", UNEXPECTED)
        _discard_output()
    except Exception as error:  # noqa: BLE001 - the last resort: nobody is shown a traceback
        code = _fail(f"Unexpected {type(error).__name__}: {error}. This is a fault in igsearch: report it.", UNEXPECTED)
    sys.exit(code)


def _fail(sentence: str, code: int) -> int:
    from cli.console import say

    say("igsearch: " + " ".join(sentence.split()))
    return code


def _prepare_output() -> None:
    """Let names be printed as the bytes they are, and open standard streams that are closed, to nowhere.

    Otherwise the next file that is opened would get the stream's number, and what is printed would end up in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open to the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")


def _discard_output() -> None:
    """Discard buffered output, which the interpreter would otherwise write when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _account(text: str) -> str:
    """Return the username in an argument; raises BadParameter if it is none."""
    from core.dataset import username_fault, username_of

    folder = os.fsencode(text.removeprefix("@"))
    if fault := username_fault(folder):
        raise typer.BadParameter(f"{text!r} is no username: {fault}.")
    return username_of(folder)


def _outlive_the_terminal() -> None:
    """Ignore SIGHUP until the service handles it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    # `python -m igsearch` puts the current folder first on the path, where there may be another `core`.
    sys.path.insert(0, str(Path(__file__).parent))
    main()
