"""igsearch tells which Instagram account posted a photo.

The front door: the commands, the wiring, the exit codes. Each command imports what it needs when it runs.
"""

import asyncio
import io
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bots.service import SearchService
    from core.doctor.examination import Examination
    from core.doctor.finding import Introduction
    from core.errors import SettingsError, StoreError
    from core.health import Condition, Part
    from core.meter import Meter
    from core.model import FrontEnd
    from core.queries import Answer
    from core.search import SearchEngine
    from core.settings import Reading, Settings
    from core.storage.database import Database
    from core.storage.store import Store
    from core.supervision import Part as Service
    from core.workers import PhotoWorkers
    from indexer.visit import Manner

# ruff: noqa: PLC0415 - imports stand in the commands: --help must not wait for numpy and SQLAlchemy

UNEXPECTED = 70
REPORTS_LISTED = 1_000
HELP = "Which Instagram account posted this photo? Index a folder of photos, then search with any copy of one."

Bot = Callable[["Settings", "SearchService", asyncio.Event], Coroutine[None, None, None]]
Job = Callable[[], Coroutine[None, None, int]]
"""What a command has to do, and the exit code it comes to; `main` runs it when the command line is understood."""


class Watched(StrEnum):
    """The services whose health can be asked for."""

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
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but results and errors.")]


@app.command()
def index(
    dataset: DatasetOption = None,
    *,
    json: JsonOption = False,
    quiet: QuietOption = False,
    light: Annotated[
        bool, typer.Option("--light", help="Only light fingerprints: quick, but crops and screenshots are not found.")
    ] = False,
    remove_missing: Annotated[
        bool, typer.Option("--remove-missing", help="Believe it when a large part of the photos is gone.")
    ] = False,
) -> Job:
    """Bring the index in line with the dataset folder, once."""
    return partial(_index, dataset, as_json=json, is_quiet=quiet, is_light=light, remove_missing=remove_missing)


@app.command()
def search(
    query: Annotated[list[str], typer.Option("--query", metavar="PATH", help="A photo, a folder of photos, or -.")],
    dataset: DatasetOption = None,
    *,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print how sure it is, how it matched, and the path.")
    ] = False,
) -> Job:
    """Print the usernames that posted a photo, the surest first."""
    show = _show_json if json else partial(_show_text, is_quiet=quiet, is_verbose=verbose)
    return partial(_search, query, dataset, show)


@app.command()
def show_match(
    query: Annotated[str, typer.Option("--query", metavar="PATH", help="A photo, or -.")],
    output: Annotated[Path, typer.Argument(metavar="OUT.png", help="Where the picture is written.")],
    dataset: DatasetOption = None,
) -> Job:
    """Draw a photo and its best match side by side, with the part that matched."""
    return partial(_show_match, query, dataset, output)


@app.command()
def audit(
    dataset: DatasetOption = None,
    *,
    sample: Annotated[int, typer.Option("--sample", metavar="N", min=1, help="How many photos are tried.")] = 100,
    seed: Annotated[int | None, typer.Option("--seed", help="Choose the same photos again.")] = None,
    json: JsonOption = False,
) -> Job:
    """Prove the index: stored photos, lightly edited, must find themselves at rank 1."""
    return partial(_audit, dataset, sample, seed, as_json=json)


@app.command()
def watch(dataset: DatasetOption = None) -> Job:
    """Keep the index in line with the dataset folder until Ctrl-C or SIGTERM; SIGHUP compares everything at once."""
    return partial(_watch, dataset)


@app.command()
def telegram(dataset: DatasetOption = None) -> Job:
    """Answer people who send photos to the Telegram bot, until Ctrl-C or SIGTERM."""
    return partial(_telegram, dataset)


@app.command()
def discord(dataset: DatasetOption = None) -> Job:
    """Answer people who use the Discord bot, until Ctrl-C or SIGTERM."""
    return partial(_discord, dataset)


@app.command()
def run(dataset: DatasetOption = None) -> Job:
    """Do what `watch` does, beside every bot whose token is set; a part that fails is started again."""
    return partial(_run, dataset)


@app.command()
def init_db(
    dataset: DatasetOption = None,
    *,
    sql: Annotated[bool, typer.Option("--sql", help="Print the schema as SQL for MySQL and change nothing.")] = False,
) -> Job:
    """Make the tables in the database, or bring older ones up to date."""
    return _print_schema if sql else partial(_init_db, dataset)


@app.command()
def stats(dataset: DatasetOption = None, *, json: JsonOption = False) -> Job:
    """Print how much is indexed, what waits, and when the dataset was last scanned."""
    return partial(_stats, dataset, as_json=json)


@app.command()
def reports(dataset: DatasetOption = None, *, json: JsonOption = False) -> Job:
    """List the answers of the bots that people called wrong, the latest first."""
    return partial(_reports, dataset, as_json=json)


@app.command()
def health(
    part: Annotated[
        list[Watched] | None,
        typer.Argument(metavar="[PART]...", help="indexer, telegram, discord. [default: all at work]"),
    ] = None,
    dataset: DatasetOption = None,
    *,
    json: JsonOption = False,
) -> Job:
    """Tell whether the daemon and the bots are well; exit code 1 where one is not."""
    return partial(_health, [each.value for each in part or ()], dataset, as_json=json)


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
    if username is None:
        return partial(_list_forgotten, dataset, as_json=json)
    return partial(_take_back if undo else _forget, _account(username), dataset, as_json=json)


@app.command()
def doctor(dataset: DatasetOption = None, *, json: JsonOption = False) -> Job:
    """Check all that igsearch needs, and say what to fix; exit code 1 where something is."""
    return partial(_doctor, dataset, as_json=json)


@app.command()
def failures(dataset: DatasetOption = None, *, json: JsonOption = False) -> Job:
    """List the files that could not be read, with the reason."""
    return partial(_failures, dataset, as_json=json)


def main() -> None:
    """Run a command and exit with its code; whatever goes wrong is one line on standard error."""
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
        code = _fail("Interrupted; what was finished is kept.", 0)
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        _discard_output()
        code = 0
    except OSError as error:
        code = _fail(f"{error}: mend that and run again; what was finished is kept.", UNEXPECTED)
        _discard_output()
    except Exception as error:  # noqa: BLE001 - the last door: nobody meets a traceback
        code = _fail(f"Unexpected {type(error).__name__}: {error}. This is a fault in igsearch: report it.", UNEXPECTED)
    sys.exit(code)


def _fail(sentence: str, code: int) -> int:
    _say("igsearch: " + " ".join(sentence.split()))
    return code


def _prepare_output() -> None:
    """Print names as the bytes they are; print nothing where a standard stream is closed.

    What is opened next would take its number, and be written to by whoever means the stream.
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
    """Let what is still to be printed go nowhere, for the interpreter prints it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(sentence: str) -> None:
    if sys.stderr is not None:
        print(sentence, file=sys.stderr)


async def _index(dataset: Path | None, *, as_json: bool, is_quiet: bool, is_light: bool, remove_missing: bool) -> int:
    from core.answers import scan_json, scan_text
    from core.workers import PhotoWorkers
    from indexer.progress import shown_progress
    from indexer.rescan import Removal, Rescan
    from indexer.sweep import root_identity
    from indexer.visit import Manner

    settings, root = _prepare(dataset)
    root_identity(root)
    manner = Manner(root, settings.workers, clock=lambda: datetime.now(UTC), is_asked=True)
    removal = Removal(settings.settle_seconds, is_meant=remove_missing)
    async with PhotoWorkers(settings.workers) as reader, _store(settings, root) as store, store.writer():
        await store.create_schema()
        with shown_progress("indexing", is_quiet=is_quiet or as_json) as progress:
            rescan = Rescan(manner, removal, store=store, reader=reader, progress=progress)
            with _stopping(rescan.stop):
                report = await rescan.run()
        is_stopped = rescan.is_stopped
        if not is_light and not is_stopped:
            is_stopped = await _deepen(manner, store, reader, is_quiet=is_quiet or as_json)
    if is_stopped:
        _say("Interrupted; what was finished is kept: run again to go on.")
    if as_json:
        print(scan_json(report))
    elif not is_quiet:
        print(scan_text(report))
        if report.unreadable:
            _say(f"{report.unreadable:,} file(s) cannot be read: `igsearch failures` lists them with the reason.")
    return 0


async def _deepen(manner: "Manner", store: "Store", reader: "PhotoWorkers", *, is_quiet: bool) -> bool:
    """Make the deep fingerprints that are missing; return whether that was stopped."""
    from indexer.crew import Crew
    from indexer.deepening import Deepening
    from indexer.progress import shown_progress

    waiting = (await store.stats()).backlog
    with shown_progress("looking deeper", is_quiet=is_quiet) as progress:
        progress.expect(waiting)
        crew = Crew(manner.workers)
        deepening = Deepening(manner, store=store, reader=reader, crew=crew, heard=progress.advance)
        with _stopping(crew.stop):
            await deepening.run()
    if deepening.done < waiting and not crew.is_stopped:
        _say(
            f"{waiting - deepening.done:,} photo(s) have no deep fingerprint, as they could not be read again:"
            " run again."
        )
    return crew.is_stopped


async def _search(queries: list[str], dataset: Path | None, show: "Callable[[Answer], None]") -> int:
    from core.queries import Answers, expand
    from core.workers import PhotoWorkers

    settings, root = _prepare(dataset)
    paths = [path for query in queries for path in expand(query)]
    async with PhotoWorkers(min(settings.workers, len(paths))) as reader, _store(settings, root) as store:
        await store.check_schema()
        answers = Answers(_engine(store, reader), ahead=2 * settings.workers)
        with _stopping(answers.stop):
            async for answer in answers.to(paths):
                show(answer)
    return answers.exit_code


def _show_json(answer: "Answer") -> None:
    from core.answers import error_json, search_json

    if answer.result:
        print(search_json(answer.query, answer.result), flush=True)
    else:
        print(error_json(answer.query, answer.searched, str(answer.error)), flush=True)
        _say(f"igsearch: {answer.query}: {answer.error}")


def _show_text(answer: "Answer", *, is_quiet: bool, is_verbose: bool) -> None:
    from core.answers import search_lines, search_remark

    if answer.result is None:
        _say(f"igsearch: {answer.query}: {answer.error}")
        return
    remark = search_remark(answer.query, answer.result)
    if remark and not is_quiet:
        _say(remark)
    for line in search_lines(answer.result, is_verbose=is_verbose):
        print(line, flush=True)


async def _show_match(query: str, dataset: Path | None, output: Path) -> int:
    from core.answers import search_remark
    from core.comparison import HEIGHT, side_by_side
    from core.errors import PathError
    from core.queries import read_query
    from core.reference import reference_picture
    from core.workers import PhotoWorkers

    settings, root = _prepare(dataset)
    data = await asyncio.to_thread(read_query, query)
    async with PhotoWorkers(1) as reader, _store(settings, root) as store:
        await store.check_schema()
        result = await _engine(store, reader).search(data)
        if not result.matches:
            _say(search_remark(query, result) or "")
            return 1
        username, best = result.matches[0].username, result.matches[0].images[0]
        shown = await reader.colours(data, side=HEIGHT)
        reference = await reference_picture(store, reader, root, best.light_id, username=username, side=HEIGHT)
    if reference is None:
        raise PathError(f"{best.path} is gone, and no thumbnail of it is kept: run `igsearch index`.")
    await asyncio.to_thread(output.write_bytes, side_by_side(shown, reference, best.placement))
    print(f"{username}: {output}")
    return 0


async def _audit(dataset: Path | None, sample: int, seed: int | None, *, as_json: bool) -> int:
    from collections import Counter
    from random import Random

    from core.answers import audit_json, audit_text, trial_text
    from core.audit import trials
    from core.workers import PhotoWorkers

    settings, root = _prepare(dataset)
    counts: Counter[str] = Counter()
    async with PhotoWorkers(settings.workers) as reader, _store(settings, root) as store:
        await store.check_schema()
        places = await store.sample(sample, Random(seed))  # noqa: S311 - a sample, no secret
        engine, at_a_time = _engine(store, reader), 4 * settings.workers
        async for trial in trials(root, places, editor=reader, engine=engine, at_a_time=at_a_time):
            counts[trial.outcome] += 1
            if trial.outcome != "found" and not as_json:
                print(trial_text(trial), flush=True)
        waiting = (await store.stats()).backlog
    print(audit_json(counts) if as_json else audit_text(counts))
    if waiting:
        _say(f"{waiting:,} photo(s) wait for their deep fingerprint: `igsearch index` makes it.")
    return 1 if counts["missed"] else 0


async def _watch(dataset: Path | None) -> int:
    settings, root = _prepare(dataset, is_service=True)
    with _meter(settings, (), has_indexer=True) as meter:
        await _until_signal(settings, partial(_keep_index, settings, root, meter))
    return 0


async def _telegram(dataset: Path | None) -> int:
    settings, root = _prepare(dataset, is_service=True)
    if settings.telegram_token is None:
        raise _missing_token("TELEGRAM", "@BotFather gives one")
    return await _answer(settings, root, "telegram", _answer_telegram)


async def _discord(dataset: Path | None) -> int:
    settings, root = _prepare(dataset, is_service=True)
    if settings.discord_token is None:
        raise _missing_token("DISCORD", "Discord's developer portal gives one")
    return await _answer(settings, root, "discord", _answer_discord)


def _missing_token(name: str, remedy: str) -> "SettingsError":
    from core.errors import SettingsError

    return SettingsError(f"IGSEARCH_{name}_TOKEN: it is missing; {remedy} (see docs/{name.lower()}.md).")


async def _answer(settings: "Settings", root: Path, front_end: "FrontEnd", bot: "Bot") -> int:
    """Run one bot until it is told to stop."""
    from core.supervision import supervise

    with _meter(settings, [front_end], has_indexer=False) as meter:
        async with _search_service(settings, root, meter) as service:
            parts = {_name_of(front_end): partial(bot, settings, service)}
            await _until_signal(settings, partial(supervise, parts))
    return 0


def _name_of(front_end: "FrontEnd") -> str:
    return f"the {front_end.capitalize()} bot"


async def _run(dataset: Path | None) -> int:
    from core.supervision import supervise

    settings, root = _prepare(dataset, is_service=True)
    bots: dict[FrontEnd, Bot] = {"telegram": _answer_telegram, "discord": _answer_discord}
    async with AsyncExitStack() as stack:
        meter = stack.enter_context(_meter(settings, settings.front_ends, has_indexer=True))
        parts: dict[str, Service] = {"the indexer": partial(_keep_index, settings, root, meter)}
        if settings.front_ends:
            service = await stack.enter_async_context(_search_service(settings, root, meter))
            parts |= {_name_of(name): partial(bots[name], settings, service) for name in settings.front_ends}
        await _until_signal(settings, partial(supervise, parts))
    return 0


@asynccontextmanager
async def _search_service(settings: "Settings", root: Path, meter: "Meter") -> "AsyncIterator[SearchService]":
    """Open what every bot answers from; no core dump shall keep what people send."""
    from bots.gallery import Gallery
    from bots.service import READ_SECONDS, SearchService
    from core.fingerprinting import VERSIONS
    from core.storage.front_ends import FrontEnds
    from core.storage.replies import Replies
    from core.storage.store import Store
    from core.workers import PhotoWorkers

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    async with PhotoWorkers(settings.workers, restarted=meter.worker_restarted) as reader:
        database = _database(settings, root, read_seconds=READ_SECONDS, failed=meter.database_failed)
        store = Store(database, VERSIONS)
        engine = _engine(store, reader)
        meter.index_is(lambda: engine.sizes)
        try:
            yield SearchService(
                engine=engine,
                workers=settings.workers,
                catalogue=store,
                replies=Replies(database),
                gallery=Gallery(store, reader, root),
                pulses=FrontEnds(database),
                meter=meter,
                has_workers=lambda: reader.is_alive,
            )
        finally:
            await store.close()


async def _answer_telegram(settings: "Settings", service: "SearchService", stopped: asyncio.Event) -> None:
    """Run the Telegram bot until `stopped`."""
    from bots.access import access_of
    from bots.telegram_bot import TelegramBot
    from bots.telegram_transport import new_bot, receiver

    token, secret = (
        each.get_secret_value() if each else "" for each in (settings.telegram_token, settings.telegram_webhook_secret)
    )
    access = access_of("telegram", settings.allowed_chats, settings.admins)
    receive = receiver(settings.telegram_webhook_url, secret=secret, address=settings.telegram_webhook_listen)
    await TelegramBot(new_bot(token, settings.telegram_api_url), access, service).run(receive, stopped)


async def _answer_discord(settings: "Settings", service: "SearchService", stopped: asyncio.Event) -> None:
    """Run the Discord bot until `stopped`."""
    from bots.access import access_of
    from bots.discord_bot import DiscordBot

    token = settings.discord_token.get_secret_value() if settings.discord_token else ""
    await DiscordBot(token, access_of("discord", settings.allowed_guilds, settings.admins), service).run(stopped)


async def _until_signal(settings: "Settings", service: "Service") -> None:
    """Run a service until SIGINT or SIGTERM."""
    from core.notify import announced, notifier

    stopped = asyncio.Event()
    with _stopping(stopped.set):
        async with announced(notifier(settings.notify_socket)):
            await service(stopped)


@contextmanager
def _meter(settings: "Settings", front_ends: "Sequence[FrontEnd]", *, has_indexer: bool) -> "Iterator[Meter]":
    """Count what these parts do, and give the figures to who asks, where that is set; else nobody counts."""
    from core.meter import Meter

    if not settings.metrics_listen:
        yield Meter()
        return
    from core.metrics import Metrics

    metrics = Metrics(_version(), front_ends=front_ends, has_indexer=has_indexer)
    with metrics.served(settings.metrics_listen):
        yield metrics


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("igsearch")
    except PackageNotFoundError:  # run from its folder
        return "unknown"


async def _keep_index(settings: "Settings", root: Path, meter: "Meter", stopped: asyncio.Event) -> None:
    """Run the daemon until `stopped`."""
    from core.notify import notifier
    from core.workers import PhotoWorkers
    from indexer.daemon import Daemon
    from indexer.schedule import Schedule
    from indexer.visit import Manner

    manner = Manner(root, settings.workers, clock=lambda: datetime.now(UTC))
    schedule = Schedule(settings.rescan)
    async with (
        PhotoWorkers(settings.workers, restarted=meter.worker_restarted) as reader,
        _store(settings, root, failed=meter.database_failed) as store,
    ):
        daemon = Daemon(
            manner,
            settings.settle_seconds,
            store=store,
            reader=reader,
            schedule=schedule,
            meter=meter,
            notify=notifier(settings.notify_socket),
        )
        loop = asyncio.get_running_loop()
        terminals = [number for number in range(3) if os.isatty(number)]

        def on_hangup() -> None:
            if all(map(os.isatty, terminals)):
                daemon.rescan("SIGHUP", is_asked=True)
            else:  # the terminal we were started in was closed
                stopped.set()

        loop.add_signal_handler(signal.SIGHUP, on_hangup)
        end = asyncio.create_task(_call_when(stopped, daemon.stop))
        try:
            await daemon.run()
        finally:
            end.cancel()
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)


async def _call_when(event: asyncio.Event, act: Callable[[], None]) -> None:
    await event.wait()
    act()


async def _init_db(dataset: Path | None) -> int:
    settings, root = _prepare(dataset)
    async with _store(settings, root) as store, store.writer():
        await store.upgrade_schema()
        print(f"The tables in {store.name} are up to date.")
    return 0


async def _print_schema() -> int:
    from core.storage.schema import mysql_script

    sys.stdout.write(mysql_script())
    return 0


async def _stats(dataset: Path | None, *, as_json: bool) -> int:
    from core.answers import stats_json, stats_text

    settings, root = _prepare(dataset)
    async with _store(settings, root) as store:
        await store.check_schema()
        figures = await store.stats()
    print(stats_json(figures) if as_json else stats_text(figures, datetime.now(UTC)))
    return 0


async def _reports(dataset: Path | None, *, as_json: bool) -> int:
    from core.answers import report_json, report_text
    from core.storage.replies import Replies

    settings, root = _prepare(dataset)
    async with _store(settings, root) as store:
        await store.check_schema()
        reports = await Replies(store.database).reports(REPORTS_LISTED)
    for report in reports:
        print(report_json(report) if as_json else report_text(report))
    return 0


async def _health(parts: "Sequence[Part]", dataset: Path | None, *, as_json: bool) -> int:
    from core.health import health_json, health_text

    settings, root = _prepare(dataset)
    found = await _conditions(settings, root, parts)
    print(health_json(found) if as_json else "\n".join(map(health_text, found)))
    return 0 if all(condition.is_well for condition in found) else 1


async def _conditions(settings: "Settings", root: Path, parts: "Sequence[Part]") -> "list[Condition]":
    """Judge some parts, or all that ought to be at work."""
    from core.errors import IgSearchError
    from core.health import conditions, parts_at_work, unknown
    from core.storage.front_ends import FrontEnds

    try:
        async with _store(settings, root) as store:
            await store.check_schema()
            stats, front_ends = await store.stats(), await FrontEnds(store.database).statuses()
    except IgSearchError as error:
        return unknown(parts or parts_at_work((), settings.front_ends), str(error))
    return conditions(stats, front_ends, parts or parts_at_work(front_ends, settings.front_ends), datetime.now(UTC))


async def _forget(username: str, dataset: Path | None, *, as_json: bool) -> int:
    from platformdirs import user_cache_path

    from core.answers import opt_out_json
    from core.index.follower import discard_snapshots
    from core.storage.opt_outs import OptOuts

    settings, root = _prepare(dataset)
    async with _store(settings, root) as store:
        await store.check_schema()
        entry = await OptOuts(store.database).forget(username, datetime.now(UTC))
        discard_snapshots(user_cache_path("igsearch"), (await store.checkpoint()).database_id)
    if as_json:
        print(opt_out_json(entry))
        return 0
    print(f"{username}: {entry.images:,} photos forgotten. It is in no answer any more, and is not indexed again.")
    for folder in _folders_of(username, root):
        print(f"Its folder {folder} is left alone: remove it yourself if the photos shall go, too.")
    return 0


def _folders_of(username: str, root: Path) -> list[Path]:
    """Return the folders of an account; none where the dataset cannot be listed."""
    from core.errors import PathError
    from indexer.sweep import list_root

    try:
        return [root / os.fsdecode(name) for name in list_root(root).folders.get(username, ())]
    except PathError:
        return []


async def _take_back(username: str, dataset: Path | None, *, as_json: bool) -> int:
    from core.answers import opt_out_json
    from core.storage.opt_outs import OptOuts

    settings, root = _prepare(dataset)
    async with _store(settings, root) as store:
        await store.check_schema()
        entry = await OptOuts(store.database).undo(username, datetime.now(UTC))
    if entry is None:
        _say(f"{username} is not forgotten: `igsearch forget --list` shows who is.")
        return 1
    print(
        opt_out_json(entry)
        if as_json
        else f"{username} may be indexed again: the daemon does so within seconds, or run `igsearch index`."
    )
    return 0


async def _list_forgotten(dataset: Path | None, *, as_json: bool) -> int:
    from core.answers import opt_out_json, opt_out_text
    from core.storage.opt_outs import OptOuts

    settings, root = _prepare(dataset)
    async with _store(settings, root) as store:
        await store.check_schema()
        entries = await OptOuts(store.database).entries()
    for entry in entries:
        print(opt_out_json(entry) if as_json else opt_out_text(entry))
    return 0


def _account(text: str) -> str:
    """Return the username that a person means; raises BadParameter where it is none."""
    from core.dataset import username_fault, username_of

    folder = os.fsencode(text.removeprefix("@"))
    if fault := username_fault(folder):
        raise typer.BadParameter(f"{text!r} is no username: {fault}.")
    return username_of(folder)


async def _doctor(dataset: Path | None, *, as_json: bool) -> int:
    from core.doctor.examination import Examination
    from core.doctor.finding import finding_json, finding_text
    from core.logs import start_logging
    from core.settings import read_settings

    reading = read_settings()
    start_logging("CRITICAL", reading.settings.log_format, reading.settings.tokens)
    examination = Examination(reading.settings.tokens)
    await _examine(examination, reading, dataset or reading.settings.dataset)
    for finding in examination.findings:
        print(finding_json(finding) if as_json else finding_text(finding))
    code = 0 if examination.is_well else 1
    if examination.has_left_behind:  # Python would wait at its end for what hangs
        sys.stdout.flush()
        os._exit(code)
    return code


async def _examine(examination: "Examination", reading: "Reading", root: Path) -> None:
    """Look at everything side by side, and then judge what takes several things to be known."""
    from tempfile import gettempdir

    from platformdirs import user_cache_path

    from core.doctor.cache import check_cache
    from core.doctor.codecs import check_codecs
    from core.doctor.conclusions import Machine, conclusions
    from core.doctor.facts import read_facts
    from core.doctor.memory import System
    from core.doctor.variables import check_settings
    from core.settings import default_database
    from core.storage.database import sqlite_url
    from indexer.premises import check_dataset, check_events, take_inventory

    settings, cache, look, check = reading.settings, user_cache_path("igsearch"), examination.look, examination.check
    url = settings.database_url.get_secret_value() if settings.database_url else sqlite_url(default_database(root))
    others = asyncio.gather(
        check("settings", partial(check_settings, reading)),
        check("codecs", check_codecs),
        check("cache", partial(check_cache, cache)),
    )
    inventory, facts, telegram, discord = await asyncio.gather(
        look("dataset", partial(take_inventory, root)),
        look("database", lambda: asyncio.run(read_facts(url, _now))),
        look("telegram", partial(_meet_telegram, settings)),
        look("discord", partial(_meet_discord, settings)),
    )
    await others
    examination.note(*(met.finding for met in (telegram, discord) if met))
    machine = Machine(
        now=_now(),
        photos=inventory.expected_photos if inventory else 0,
        workers=settings.workers,
        cache=cache,
        temporary=gettempdir,
        system=System(address_space=resource.getrlimit(resource.RLIMIT_AS)[0]),
        telegram_ahead=telegram.ahead if telegram else None,
    )
    await asyncio.gather(
        check("dataset", partial(check_dataset, inventory)),
        check("events", partial(check_events, inventory)),
        *[check(name, work) for name, work in conclusions(machine, facts).items()],
    )


def _meet_telegram(settings: "Settings") -> "Introduction":
    from core.doctor.finding import without_token

    if settings.telegram_token is None:
        return without_token("telegram")
    from bots.telegram_identity import introduce

    return asyncio.run(introduce(settings.telegram_token.get_secret_value(), settings.telegram_api_url, _now))


def _meet_discord(settings: "Settings") -> "Introduction":
    from core.doctor.finding import without_token

    if settings.discord_token is None:
        return without_token("discord")
    from bots.discord_identity import introduce

    return asyncio.run(introduce(settings.discord_token.get_secret_value()))


def _now() -> datetime:
    return datetime.now(UTC)


async def _failures(dataset: Path | None, *, as_json: bool) -> int:
    from core.answers import failure_json, failure_text

    settings, root = _prepare(dataset)
    async with _store(settings, root) as store:
        await store.check_schema()
        entries = await store.ledger()
    for entry in entries.values():
        print(failure_json(entry) if as_json else failure_text(entry))
    return 0


def _prepare(dataset: Path | None, *, is_service: bool = False) -> "tuple[Settings, Path]":
    """Read the settings, start the log, and return both the settings and the dataset folder.

    A service logs what it does; any other command only what goes wrong, unless the level is set.
    """
    from core.logs import start_logging
    from core.settings import load_settings

    if is_service:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the service is there to hear it
    settings = load_settings()
    is_chosen = is_service or "log_level" in settings.model_fields_set
    start_logging(settings.log_level if is_chosen else "WARNING", settings.log_format, settings.tokens)
    return settings, dataset or settings.dataset


@asynccontextmanager
async def _store(
    settings: "Settings", root: Path, *, failed: "Callable[[StoreError], None]" = lambda _error: None
) -> "AsyncIterator[Store]":
    from core.fingerprinting import VERSIONS
    from core.storage.database import READ_SECONDS
    from core.storage.store import Store

    store = Store(_database(settings, root, read_seconds=READ_SECONDS, failed=failed), VERSIONS)
    try:
        yield store
    finally:
        await store.close()


def _database(
    settings: "Settings", root: Path, *, read_seconds: float, failed: "Callable[[StoreError], None]"
) -> "Database":
    """Return the database that is set, or the SQLite file beside the dataset, which must be there to make one."""
    from core.settings import default_database
    from core.storage.database import Database, sqlite_url
    from indexer.sweep import root_identity

    if settings.database_url:
        return Database(settings.database_url.get_secret_value(), read_seconds=read_seconds, failed=failed)
    path = default_database(root)
    if not path.exists():
        root_identity(root)
    return Database(sqlite_url(path), read_seconds=read_seconds, failed=failed)


def _engine(store: "Store", reader: "PhotoWorkers") -> "SearchEngine":
    from platformdirs import user_cache_path

    from core.fingerprinting import VERSIONS
    from core.index.deep_index import DeepIndex
    from core.index.photo_index import PhotoIndex
    from core.ranking import DHASH_RADIUS, PDQ_RADIUS
    from core.search import SearchEngine

    cache = user_cache_path("igsearch")
    index = PhotoIndex(cache, pdq_radius=PDQ_RADIUS, dhash_radius=DHASH_RADIUS, light_version=VERSIONS.light)
    return SearchEngine(reader, store, index, DeepIndex(cache, deep_version=VERSIONS.deep))


@contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on the first SIGINT or SIGTERM; the second one ends the process."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def on_signal() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
        stop()

    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


if __name__ == "__main__":
    # `python -m igsearch` puts the current folder first on the path, and that may hold another `core`.
    sys.path.insert(0, str(Path(__file__).parent))
    main()
