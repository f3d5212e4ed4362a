"""Carry out `igsearch search`, `show-match` and `audit`."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from cli.console import say
from cli.engine import engine_of
from cli.output import audit_json, audit_text, search_lines, search_remark, trial_text
from cli.queries import Answer, Answers, expand, read_query
from cli.wiring import prepare, ready_store, stopping
from core.errors import PathError
from core.imaging.comparison import HEIGHT, side_by_side
from core.originals.folder import FolderOriginals
from core.originals.picture import reference_picture
from core.search.audit import trials
from core.search.result_json import error_json, search_json
from core.workers.pool import PhotoWorkers


async def search(queries: list[str], folder: Path | None, show: Callable[[Answer], None]) -> int:
    settings, dataset = prepare(folder)
    paths = [path for query in queries for path in expand(query)]
    async with PhotoWorkers(min(settings.workers, len(paths))) as reader, ready_store(settings, dataset) as store:
        answers = Answers(engine_of(store, reader), ahead=2 * settings.workers)
        with stopping(answers.stop):
            async for answer in answers.to(paths):
                show(answer)
    return answers.exit_code


def show_json(answer: Answer) -> None:
    if answer.result:
        print(search_json(answer.query, answer.result), flush=True)
    else:
        print(error_json(answer.query, answer.searched, str(answer.error)), flush=True)
        say(f"igsearch: {answer.query}: {answer.error}")


def show_text(answer: Answer, *, is_quiet: bool, is_verbose: bool) -> None:
    if answer.result is None:
        say(f"igsearch: {answer.query}: {answer.error}")
        return
    remark = search_remark(answer.query, answer.result)
    if remark and not is_quiet:
        say(remark)
    for line in search_lines(answer.result, is_verbose=is_verbose):
        print(line, flush=True)


async def show_match(query: str, folder: Path | None, output: Path) -> int:
    settings, dataset = prepare(folder)
    data = await asyncio.to_thread(read_query, query)
    async with PhotoWorkers(1) as reader, ready_store(settings, dataset) as store:
        result = await engine_of(store, reader).search(data)
        if not result.matches:
            say(search_remark(query, result) or "")
            return 1
        username, best = result.matches[0].username, result.matches[0].images[0]
        shown = await reader.colours(data, side=HEIGHT)
        reference = await reference_picture(
            store, FolderOriginals(dataset, reader), best.photo_id, username=username, side=HEIGHT
        )
    if reference is None:
        raise PathError(f"{best.path} is gone, and there is no thumbnail of it: run `igsearch index`.")
    await asyncio.to_thread(output.write_bytes, side_by_side(shown, reference, best.placement))
    print(f"{username}: {output}")
    return 0


async def audit(folder: Path | None, sample: int, seed: int | None, *, as_json: bool) -> int:
    settings, dataset = prepare(folder)
    counts: Counter[str] = Counter()
    async with PhotoWorkers(settings.workers) as reader, ready_store(settings, dataset) as store:
        places = await store.choose_places(sample, Random(seed))  # noqa: S311 - a sample, no secret
        engine, at_a_time = engine_of(store, reader), 4 * settings.workers
        async for trial in trials(dataset, places, editor=reader, engine=engine, at_a_time=at_a_time):
            counts[trial.outcome] += 1
            if trial.outcome != "found" and not as_json:
                print(trial_text(trial), flush=True)
        waiting = (await store.statuses.read_stats()).backlog
    print(audit_json(counts) if as_json else audit_text(counts))
    if waiting:
        say(f"{waiting:,} photo(s) have no features yet: run `igsearch index` to extract them.")
    return 1 if counts["missed"] else 0
