"""Carry out `igsearch forget`: keep accounts out of every answer."""

import os
from datetime import UTC, datetime
from pathlib import Path

from cli.console import say
from cli.output import opt_out_json, opt_out_text
from cli.wiring import cache_folder, prepare, ready_store
from core.dataset import Dataset
from core.errors import PathError
from core.index.following import discard_snapshots
from core.storage.opt_outs import OptOuts
from indexer.scanning.listing import list_root


async def forget(username: str, folder: Path | None, *, as_json: bool) -> int:
    settings, dataset = prepare(folder)
    async with ready_store(settings, dataset) as store:
        entry = await OptOuts(store.database).forget(username, datetime.now(UTC))
        discard_snapshots(cache_folder(), (await store.changes.read_checkpoint()).database_id)
    if as_json:
        print(opt_out_json(entry))
        return 0
    print(f"{username}: {entry.images:,} photo(s) forgotten. It is in no answer any more, and is not indexed again.")
    for place in _folders_of(username, dataset):
        print(f"Its folder {place} is left alone: remove it yourself if the photos are to go, too.")
    return 0


def _folders_of(username: str, dataset: Dataset) -> list[Path]:
    """Return the folders of an account; none if the dataset cannot be listed."""
    try:
        return [dataset.root / os.fsdecode(name) for name in list_root(dataset).folders.get(username, ())]
    except PathError:
        return []


async def take_back(username: str, folder: Path | None, *, as_json: bool) -> int:
    settings, dataset = prepare(folder)
    async with ready_store(settings, dataset) as store:
        entry = await OptOuts(store.database).undo(username, datetime.now(UTC))
    if entry is None:
        say(f"{username} is not forgotten: `igsearch forget --list` shows who is.")
        return 1
    print(
        opt_out_json(entry)
        if as_json
        else f"{username} may be indexed again: the daemon does so within seconds, or run `igsearch index`."
    )
    return 0


async def list_forgotten(folder: Path | None, *, as_json: bool) -> int:
    settings, dataset = prepare(folder)
    async with ready_store(settings, dataset) as store:
        entries = await OptOuts(store.database).entries()
    for entry in entries:
        print(opt_out_json(entry) if as_json else opt_out_text(entry))
    return 0
