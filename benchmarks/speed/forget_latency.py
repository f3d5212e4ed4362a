"""How soon an account is named no more: from the start of `igsearch forget` to the first answer without it.

python -m benchmarks.speed.forget_latency
python -m benchmarks.speed.forget_latency --images 2000 --large 500

On a private MariaDB with 28,000 images, as lab/large_store.py invents them, are two accounts besides: one
of 300 real photos, and one of 10,000 invented and 20 real ones. Both bots run, against the servers of the tests. At
each of them one person after the other sends a whole copy of a real photo of an account, 50 ms after the answer to the
one before; amid that the account is forgotten, and they go on for some seconds.

Printed are the seconds from the start of the command to its end, and to the arrival of the first answer without the
account in each chat; answers that refuse to search (the index away, say) count as none, and are printed apart. Then the
database is dumped as text, and every row is looked through for the usernames, as text and as bytes, and for the SHA-256
of the accounts' photos; the same is done before, which shows that there is something to be found.

Exits 1 when the first answer without the account comes after 5 s; when a later one names it; when the command fails;
or when a row of the dump holds something of an account, but for its name in the table opt_outs.
"""

import argparse
import asyncio
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from threading import Event
from typing import Any

from benchmarks.lab.bots import Asked, Bot
from benchmarks.lab.discord import discord_bot
from benchmarks.lab.large_store import Prints, fill_store, invented, open_store, pictures, put_prints
from benchmarks.lab.photos import put, shuffled_files
from benchmarks.lab.queries import Query, as_sent
from benchmarks.lab.script import own_folder, parser, report
from benchmarks.lab.telegram import telegram_bot
from benchmarks.lab.timing import shown, wait_until
from core.storage.store import Store
from tests.mariadb import MariaDB, private_mariadb
from tests.shell import Shell

GOAL_SECONDS = 5.0
LEAD_SECONDS, LONGEST_SECONDS, AFTER_SECONDS, PAUSE_SECONDS = 3.0, 60.0, 10.0, 0.05
"""For which is asked before the command, at most until an answer without the account, and then; between two photos."""
SMALL, SMALL_REAL = "real.account", 300
LARGE, LARGE_REAL = "large.account", 20
QUERIES = 20
"""Photos of an account that are asked for, over and over."""
DATABASE, ALLOWED_TABLE = "forgetting", "opt_outs"
ROW = re.compile(rb"INSERT INTO `(\w+)`")
DIGEST = re.compile(rb"\b(?:0x)?([0-9A-Fa-f]{64})\b")


@dataclass(frozen=True, slots=True)
class Account:
    """An account that will be forgotten: some of its photos, and the SHA-256 of all."""

    name: str
    photos: Sequence[Path]
    digests: frozenset[bytes]

    @property
    def queries(self) -> list[Query]:
        return [Query(as_sent(path), self.name) for path in self.photos[:QUERIES]]


def main() -> int:
    arguments = parse()
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        server = stack.enter_context(private_mariadb(durable=True))
        url = server.create_database(DATABASE)
        stranger, *paths = shuffled_files(arguments.photos)
        accounts = asyncio.run(filled(url, folder / "images", paths, arguments))
        bots: dict[str, Bot[Any]] = {
            "telegram": stack.enter_context(telegram_bot(folder, url)),
            "discord": stack.enter_context(discord_bot(folder, url)),
        }
        for bot in bots.values():
            bot.warm_up(stranger)
        print(f"{arguments.images:,} images besides; seconds from the start of the command", flush=True)
        faults = [] if held(server, accounts) else ["a dump holds nothing of the accounts even before"]
        for account in accounts:
            faults += [f"{account.name}: {fault}" for fault in forgotten(account, bots, Shell(folder), url)]
        for bot in bots.values():
            bot.process.show_complaints()
        return report(faults + held(server, accounts))


def parse() -> argparse.Namespace:
    options = parser(__doc__, has_photos=True)
    options.add_argument("--images", type=int, default=28_000)
    options.add_argument("--large", type=int, default=10_000, help="invented images of the large account")
    return options.parse_args()


async def filled(url: str, dataset: Path, paths: Sequence[Path], arguments: argparse.Namespace) -> list[Account]:
    """Fill a database, lay the files of the accounts' real photos into a dataset, and return the accounts."""
    small, large = paths[:SMALL_REAL], paths[SMALL_REAL : SMALL_REAL + LARGE_REAL]
    others = list(pictures(paths[SMALL_REAL + LARGE_REAL :]))
    made_up = list(invented(others, arguments.large, seed=arguments.images))
    async with open_store(url) as store:
        await fill_store(store, others, arguments.images)
        return [
            await added(store, dataset, SMALL, small, [], first=arguments.images),
            await added(store, dataset, LARGE, large, made_up, first=arguments.images + len(small)),
        ]


async def added(
    store: Store, dataset: Path, name: str, photos: Sequence[Path], made_up: Sequence[Prints], *, first: int
) -> Account:
    """Put an account into the store, its real photos first, and their files into the dataset."""
    prints = [*(one.prints for one in pictures(photos)), *made_up]
    await put_prints(store, prints, owner=lambda _: name, first=first)
    for number, path in enumerate(photos, first):
        put(path, dataset / name / f"{number}.jpg")
    return Account(name, photos, frozenset(hashes.sha256 for hashes, _ in prints))


# How soon


def forgotten(account: Account, bots: Mapping[str, Bot[Any]], shell: Shell, url: str) -> list[str]:
    """Forget an account while its photos are asked for, print how soon that shows, and return the faults."""
    queries, is_over = account.queries, Event()
    asked: dict[str, list[Asked]] = {name: [] for name in bots}
    with ThreadPoolExecutor(len(bots)) as pool:
        try:
            works = [pool.submit(keep_asking, bot, queries, asked[name], is_over) for name, bot in bots.items()]
            time.sleep(LEAD_SECONDS)
            began = time.monotonic()
            ended = shell.igsearch("forget", account.name, variables={"IGSEARCH_DATABASE_URL": url})
            took = time.monotonic() - began
            wait_until(
                lambda: all(first_without(account.name, one, began) for one in asked.values()), seconds=LONGEST_SECONDS
            )
            time.sleep(AFTER_SECONDS)
        finally:
            is_over.set()
    print(f"{account.name}, {len(account.digests):,} images: command {took:.2f} s, {ended.out.strip()!r}", flush=True)
    faults = [f"exit code {ended.code}: {ended.err.strip()}"] if ended.code else []
    for work in works:
        work.result()
    for name in bots:
        faults += [f"{name}: {fault}" for fault in judged(name, account.name, asked[name], began)]
    return faults


def keep_asking(bot: Bot[Any], queries: Sequence[Query], asked: list[Asked], is_over: Event) -> None:
    """Ask for one photo after the other, each time as somebody new."""
    for query in cycle(queries):
        if is_over.wait(PAUSE_SECONDS):
            return
        asked.append(bot.ask(query))


def first_without(username: str, asked: Sequence[Asked], began: float) -> float | None:
    """Return how long after the command began the first answer came that does not name an account."""
    times = [one.at + one.seconds - began for one in list(asked) if not one.refusal and username not in one.words]
    return min((seconds for seconds in times if seconds > 0), default=None)


def judged(chat: str, username: str, asked: Sequence[Asked], began: float) -> list[str]:
    """Print when the first answer came that does not name an account, and what came later; return the faults."""
    refused = Counter(one.refusal for one in asked if one.refusal)
    answers = sorted((one.at + one.seconds - began, username in one.words) for one in asked if not one.refusal)
    first = first_without(username, asked, began)
    before = [is_named for at, is_named in answers if at <= 0]
    later = [is_named for at, is_named in answers if first is not None and at > first]
    counts = f"{sum(before)} of {len(before)} answers before, {sum(later)} of {len(later)} after"
    print(f"    {chat}: {shown(first)} s; named in {counts}; refused: {dict(refused)}", flush=True)
    faults = [f"{sum(later)} later answers name it"] if any(later) else []
    if not before or not all(before):
        faults.append(f"it was named in {sum(before)} of {len(before)} answers before")
    if first is None or first > GOAL_SECONDS:
        faults.append(f"first answer without it after {shown(first)} s, the goal is {GOAL_SECONDS:g} s")
    return faults


# What is left


def held(server: MariaDB, accounts: Sequence[Account]) -> list[str]:
    """Dump the database, and say how many rows of each table hold what of the accounts."""
    rows, found = remains(dumped(server), accounts)
    told = [f"{times:,} rows of {table} hold {what}" for (table, what), times in sorted(found.items())]
    print(f"a dump of {rows:,} rows: {', '.join(told) or 'nothing of the accounts'}", flush=True)
    return told


def dumped(server: MariaDB) -> Iterator[bytes]:
    """Yield the lines of a dump, each row in one, with bytes in hexadecimal."""
    command = ["mariadb-dump", "--no-defaults", f"--socket={server.socket}", "--user=root"]
    options = ["--hex-blob", "--skip-extended-insert", "--single-transaction", DATABASE]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE) as process:
        assert process.stdout
        yield from process.stdout
    assert process.returncode == 0, f"mariadb-dump ends with {process.returncode}"


def remains(lines: Iterator[bytes], accounts: Sequence[Account]) -> tuple[int, Counter[tuple[str, str]]]:
    """Return how many rows there are, and how many of each table hold what of the accounts."""
    rows, found = 0, Counter[tuple[str, str]]()
    digests = frozenset[bytes]().union(*(account.digests for account in accounts))
    spellings = {
        account.name: (account.name.encode(), account.name.encode().hex().upper().encode()) for account in accounts
    }
    for line in lines:
        if row := ROW.match(line):
            rows += 1
            table = row[1].decode()
            names = [name for name, forms in spellings.items() if any(form in line for form in forms)]
            found.update((table, name) for name in names if table != ALLOWED_TABLE)
            if any(bytes.fromhex(digest.decode()) in digests for digest in DIGEST.findall(line)):
                found[table, "a SHA-256"] += 1
    return rows, found


if __name__ == "__main__":
    sys.exit(main())
