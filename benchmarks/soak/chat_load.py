"""What people meet who send photos to the bots: alone, in crowds, among floods, bombs and outages.

python -m benchmarks.soak.chat_load
python -m benchmarks.soak.chat_load latency burst --images 2000

Each trial but the last runs the real `igsearch telegram`, over HTTP, against the Bot API server of the tests, with
28,000 images in the index, as benchmarks/speed/query_cost.py invents them. Photos are encoded again as Telegram does.

latency: 100 photos, one after the other, from the update to the reply; whole copies, which the hashes find, and crops,
screenshots, captioned copies and unknown photos, which need the search by features. The rest is what the bot does not
log: the way of the update, and keeping the reply.

burst: 1,000 photos from 50 people at once, on a fresh bot.

hang: 40 photos from one person, without and with a download that hangs for 20 s.

flood: 100 photos from one person, and 1 s later nine other people with a photo each, who waited for the same photos
before.

hostile: 300 odd, damaged and hostile pictures as files, 20 at once, each of somebody new; what the bot says, and what
its memory has grown by 20 s later.

outage: MariaDB is stopped, and frozen, for a minute, while somebody new sends a photo each second; they go on until one
is answered right, so that its moment is known to a second.

discord: the real `igsearch discord` against the Discord of the tests; 100 /search commands as in latency, one after
the other, from the command to the answer that can be read, and to the first sign, be it the answer or "thinking"; and
25 at once from 25 people. The files of the real photos are there, for an answer shows the picture of its match: that is
in the reply, and sending it is in the rest. The server keeps Discord's limits; how often they were met is printed.

What is missed or wrong in a crowd is asked once more alone: it is a fault where the answer is another one then. Times
hold on an idle machine only. Exits 1 when a goal is missed.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np

from answers.replies import FAULTS
from benchmarks.lab import discord
from benchmarks.lab import hostile_pictures as mutants
from benchmarks.lab.bots import MB, Query, counted
from benchmarks.lab.chat_figures import (
    DEEP_SECONDS,
    PHOTOS,
    WHOLE_SECONDS,
    ask_in_turn,
    missed,
    missed_p95,
    shown,
    unfit,
)
from benchmarks.lab.daemon import end_at_sigterm, report, sampling
from benchmarks.lab.telegram import Album, Asked, Chat, chatting
from benchmarks.soak import database_outage as outage
from benchmarks.soak.database_outage import RETURN_SECONDS
from tests import pictures
from tests.mariadb import private_mariadb

PATIENCE_SECONDS = 300.0
"""After which a photo counts as never answered."""
SAMPLE_SECONDS = 0.25

PEOPLE, PHOTOS_EACH, BURST_MB = 50, 20, 700
HANGING_PHOTOS, HANGING_SECONDS = 40, 20.0
FLOOD, FLOOD_ANSWERED, FLOOD_LEAD_SECONDS = 100, 60, 1.0
OTHERS, OTHERS_SECONDS = 9, 2.0
"""How much longer the others may wait, each for the same photo."""
HOSTILE, AT_ONCE, HOSTILE_MB = 300, 20, 300
PRACTICE, SETTLE_SECONDS = 40, 20.0
"""Ordinary photos that are answered before the memory is first noted, and the rest before each look at it."""
EACH_SECONDS, CLEAR_SECONDS = 1.0, 5.0

POLITE, TOLD_ONCE, CLEAR = (frozenset(verdicts) for verdicts in (("busy",), ("too fast",), ("right", "unavailable")))
SILENCE, NAMING = "no answer", ("Found", "Nothing found", "Similar scene")


@dataclass(frozen=True, slots=True)
class Ground:
    """Where trials take place: a folder, the photos, the database filled with them, and the seconds of an outage."""

    folder: Path
    album: Album
    url: str
    seconds: float

    @contextmanager
    def bot(self, url: str = "") -> Iterator[Chat]:
        """Run a bot for one trial, and show at the end what it complained of."""
        with chatting(self.folder, self.album, url or self.url) as chat:
            try:
                yield chat
            finally:
                outage.show_complaints(chat.bot)


def main() -> int:
    end_at_sigterm()
    arguments = parse()
    album = Album(arguments.photos, arguments.images)
    faults: list[str] = []
    with TemporaryDirectory(prefix="igsearch-chatting-") as name:
        ground = Ground(Path(name), album, f"sqlite:///{name}/chatting.db", arguments.seconds)
        album.fill(ground.url)
        print(f"{arguments.images:,} images indexed, {len(album.known):,} of them real", flush=True)
        for trial in arguments.trials or TRIALS:
            faults += tried(trial, ground)
    return report(faults)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help=f"{', '.join(TRIALS)}; all where none is named")
    parser.add_argument("--photos", type=Path, default=Path("../shared/photos"))
    parser.add_argument("--images", type=int, default=28_000)
    parser.add_argument("--seconds", type=float, default=60, help="how long the database is away")
    arguments = parser.parse_args()
    if unknown := set(arguments.trials) - set(TRIALS):
        parser.error(f"no trial is called {', '.join(sorted(unknown))}: choose from {', '.join(TRIALS)}")
    return arguments


def tried(name: str, ground: Ground) -> list[str]:
    """Run a trial; what the bot's process or its server hold against each other at the end is a fault too."""
    try:
        return [f"{name}: {fault}" for fault in TRIALS[name](ground)]
    except (AssertionError, ExceptionGroup) as error:
        return [f"{name}: {error}"]


# One photo after the other


def try_latency(ground: Ground) -> list[str]:
    with ground.bot() as chat:
        whole = ask_in_turn("latency, whole copies", chat, ground.album.whole(PHOTOS), goal=WHOLE_SECONDS)
        features = ask_in_turn("latency, search by features", chat, ground.album.features(PHOTOS), goal=DEEP_SECONDS)
    return missed_p95("whole copies", whole, WHOLE_SECONDS) + missed_p95("search by features", features, DEEP_SECONDS)


# A crowd


def try_burst(ground: Ground) -> list[str]:
    queries = ground.album.mixed(PEOPLE * PHOTOS_EACH)
    with ground.bot() as chat:
        chat.forget_peak()
        with sampling(chat.bot.session, every=SAMPLE_SECONDS) as samples:
            asked = chat.send(chat.people(PEOPLE) * PHOTOS_EACH, queries)
            chat.wait(asked, seconds=PATIENCE_SECONDS)
        together, alone = max(sample.pss for sample in samples) / MB, chat.peak()
        print(f"burst, {len(asked):,} photos of {PEOPLE} people: {counted(asked)}; last after {last(asked):.1f} s")
        print(f"    memory at most {alone:.0f} MB, with the workers {together:.0f} MB (PSS), goal: below {BURST_MB} MB")
        faults = unfit(chat, asked, allowed=POLITE)
    return faults + missed("memory", together, BURST_MB, "MB")


def last(asked: Sequence[Asked]) -> float:
    """Return the seconds from the first photo to the last answer."""
    return max(one.at + one.seconds for one in asked) - asked[0].at


def try_hang(ground: Ground) -> list[str]:
    queries = ground.album.mixed(HANGING_PHOTOS)
    with ground.bot() as chat:
        plain = chat.send(chat.people(1) * len(queries), queries)
        chat.wait(plain, seconds=PATIENCE_SECONDS)
        chat.api.hang("file", seconds=HANGING_SECONDS)
        asked = chat.send(chat.people(1) * len(queries), queries)
        chat.wait(asked, seconds=PATIENCE_SECONDS)
        *others, slowest = sorted(one.seconds for one in asked)
        print(f"hang: {counted(asked)}; the slowest after {slowest:.1f} s, the others {shown(others)}")
        print(f"    the same photos while no download hangs: {shown([one.seconds for one in plain])}", flush=True)
        return unfit(chat, plain) + unfit(chat, asked)


def try_flood(ground: Ground) -> list[str]:
    flood, few = ground.album.mixed(FLOOD), ground.album.mixed(OTHERS)
    with ground.bot() as chat:
        before = chat.send(chat.people(OTHERS), few)
        chat.wait(before, seconds=PATIENCE_SECONDS)
        flooded = chat.send(chat.people(1) * FLOOD, flood)
        time.sleep(FLOOD_LEAD_SECONDS)
        during = chat.send(chat.people(OTHERS), few)
        chat.wait(during, seconds=PATIENCE_SECONDS)
        chat.wait(flooded, seconds=PATIENCE_SECONDS, answers=FLOOD_ANSWERED + 1)
        more = max(late.seconds - idle.seconds for late, idle in zip(during, before, strict=True))
        print(f"flood: {counted(flooded)}; last answer after {last(replied_to(flooded)):.1f} s")
        print(f"    nine others, idle: {counted(before)}; {shown([one.seconds for one in before])}")
        print(f"    nine others, meanwhile: {counted(during)}; {shown([one.seconds for one in during])}")
        print(f"    at most {more:.2f} s more for the same photo, goal: {OTHERS_SECONDS:g} s", flush=True)
        faults = unfit(chat, before + during) + unfit(chat, replied_to(flooded), allowed=TOLD_ONCE)
    return faults + refused_badly(flooded) + missed("the others wait longer by", more, OTHERS_SECONDS, "s")


def replied_to(asked: Sequence[Asked]) -> list[Asked]:
    return [one for one in asked if one.answers]


def refused_badly(flooded: Sequence[Asked]) -> list[str]:
    verdicts = Counter(one.verdict for one in flooded)
    refused, silent = verdicts["too fast"], verdicts["silent"]
    answered = FLOOD - refused - silent
    if (answered, refused) == (FLOOD_ANSWERED, 1):
        return []
    return [f"{answered} photos are answered and {refused} refused, not {FLOOD_ANSWERED} and 1"]


# Hostile pictures


def try_hostile(ground: Ground) -> list[str]:
    files = hostile_files(ground.album.photos)
    with ground.bot() as chat:
        for query in ground.album.mixed(PRACTICE):
            chat.ask(query)
        before = settled(chat)
        sentences = Counter(sentence_of(one) for one in sent_as_files(chat, files))
        growth = settled(chat) - before
        print(f"hostile: {len(files)} files; memory {before:.0f} MB {growth:+.0f} MB, goal: below {HOSTILE_MB} MB more")
        for sentence, times in sentences.most_common():
            print(f"    {times:4} x {sentence}", flush=True)
        afterwards = chat.ask(ground.album.whole(1)[0]).verdict
    faults = [f"{sentences[bad]} x {bad}" for bad in (SILENCE, FAULTS["unexpected"]) if sentences[bad]]
    faults += missed("growth of memory", growth, HOSTILE_MB, "MB")
    return faults if afterwards == "right" else [*faults, f"an ordinary photo afterwards: {afterwards}"]


def settled(chat: Chat) -> float:
    """Return the memory of the bot's own process when it has rested, in MB."""
    time.sleep(SETTLE_SECONDS)
    return chat.resident()


def hostile_files(photos: Path) -> list[bytes]:
    """Make odd pictures that are intact, bombs, and mutants for the rest."""
    seeds = list(mutants.draw_seeds(photos))
    with TemporaryDirectory(prefix="igsearch-bombs-") as folder:
        heavy = [sample.data for sample in mutants.bombs(Path(folder), seeds) if not sample.is_path]
    small = [make() for make in pictures.bombs().values()]
    made = [*odd_pictures(), *(seed.data for seed in seeds[: len(seeds) // 4]), *small, *heavy]
    damaged = mutants.mutants(seeds, Random(1), HOSTILE - len(made))
    files = made + [sample.data for sample in damaged]
    return Random(1).sample(files, len(files))


def odd_pictures() -> Iterator[bytes]:
    """Yield what was held in eight ways, is CMYK or has 16 bits, and the first half of a file of each type."""
    for orientation in pictures.LYING:
        picture, exif = pictures.lying(pictures.photo(orientation), orientation)
        yield pictures.encode(picture, "JPEG", exif=exif)
    yield pictures.encode(pictures.photo(9).convert("CMYK"), "JPEG")
    yield pictures.png_of_16_bits(np.asarray(pictures.photo(10), np.uint16) * 257)
    for kind in pictures.KINDS:
        data = pictures.photo_bytes(11, kind)
        yield data[: len(data) // 2]


def sent_as_files(chat: Chat, files: Sequence[bytes]) -> Iterator[Asked]:
    """Send files, some at a time, each by somebody new, and yield them when they are answered."""
    for start in range(0, len(files), AT_ONCE):
        asked = [chat.send_file(data) for data in files[start : start + AT_ONCE]]
        chat.wait(asked, seconds=PATIENCE_SECONDS)
        yield from asked


def sentence_of(asked: Asked) -> str:
    """Return the answer without what is another one each time."""
    answers = asked.answers
    if not answers:
        return SILENCE
    first = answers[0].text.splitlines()[0]
    return next((f"{beginning} ..." for beginning in NAMING if first.startswith(beginning)), first)


# Without the database


def try_outage(ground: Ground) -> list[str]:
    faults = []
    with private_mariadb() as server:
        url = server.create_database("chatting")
        ground.album.fill(url)
        for kind, away in (("stopped", outage.stopped), ("frozen", outage.frozen)):
            with ground.bot(url) as chat:
                faults += [f"{kind}: {fault}" for fault in ridden_out(chat, kind, away(server), ground)]
    return faults


def ridden_out(chat: Chat, kind: str, away: AbstractContextManager[None], ground: Ground) -> list[str]:
    """Send a photo each second while the database is away, and then until one is answered right."""
    queries = cycle(ground.album.whole(PHOTOS))
    with away:
        end = time.monotonic() + ground.seconds
        during = sent_each_second(chat, queries, until=lambda _: time.monotonic() > end)
    returned = time.monotonic()
    late = returned + RETURN_SECONDS + CLEAR_SECONDS
    after = sent_each_second(
        chat, queries, until=lambda sent: time.monotonic() > late or any(one.verdict == "right" for one in sent)
    )
    chat.wait(during + after, seconds=PATIENCE_SECONDS)
    right = [one.at + one.seconds - returned for one in during + after if one.verdict == "right"]
    first = min((seconds for seconds in right if seconds > 0), default=float("inf"))
    print(f"outage, {kind}: {counted(during)}; {shown([one.seconds for one in during])}, goal: {CLEAR_SECONDS:g} s")
    print(f"    first right answer {first:.1f} s after the return, goal: {RETURN_SECONDS:g} s", flush=True)
    return unclear(during + after) + missed("the first right answer", first, RETURN_SECONDS, "s")


def sent_each_second(chat: Chat, queries: Iterator[Query], *, until: Callable[[Sequence[Asked]], bool]) -> list[Asked]:
    """Have somebody new send a photo each second, until something holds."""
    asked: list[Asked] = []
    while not until(asked):
        asked += chat.send(chat.people(1), [next(queries)])
        time.sleep(EACH_SECONDS)
    return asked


def unclear(asked: Sequence[Asked]) -> list[str]:
    faults = Counter(one.verdict for one in asked if one.verdict not in CLEAR)
    late = sum(one.seconds > CLEAR_SECONDS for one in asked)
    return [f"{times} x {verdict}" for verdict, times in faults.items()] + (
        [f"{late} answers came after {CLEAR_SECONDS:g} s"] if late else []
    )


# On Discord


def try_discord(ground: Ground) -> list[str]:
    return discord.tried(ground.folder, ground.album, ground.url)


TRIALS: dict[str, Callable[[Ground], list[str]]] = {
    "latency": try_latency,
    "burst": try_burst,
    "hang": try_hang,
    "flood": try_flood,
    "hostile": try_hostile,
    "outage": try_outage,
    "discord": try_discord,
}

if __name__ == "__main__":
    sys.exit(main())
