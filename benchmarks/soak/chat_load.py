"""What people meet who send photos to the Telegram bot in crowds, among floods, hostile files and outages.

python -m benchmarks.soak.chat_load
python -m benchmarks.soak.chat_load burst hang --images 2000

Each trial runs the real `igsearch telegram`, over HTTP, against the Bot API server of the tests, with
28,000 images in the index, as lab/large_store.py invents them. Photos are encoded again as Telegram does.

burst: 1,000 photos from 50 people at once, on a fresh bot.

hang: 40 photos from one person, without and with a download that hangs for 20 s.

flood: 100 photos from one person, and 1 s later nine other people with a photo each, who waited for the same photos
before.

hostile: 300 odd, damaged and hostile pictures as files, 20 at once, each of somebody new; what the bot says, and what
its memory has grown by 20 s later.

outage: MariaDB is stopped, and frozen, for a minute, while somebody new sends a photo each second; they go on until one
is answered right, so that its moment is known to a second.

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

from answers.replies import FAULTS
from benchmarks.lab.bots import counted, unfit, waits
from benchmarks.lab.databases import frozen, stopped
from benchmarks.lab.hostile_pictures import hostile_files
from benchmarks.lab.processes import MB, sampling
from benchmarks.lab.queries import Album, Query
from benchmarks.lab.script import missed, own_folder, parser, report
from benchmarks.lab.telegram import Sent, TelegramBot, telegram_bot
from benchmarks.lab.timing import shown_spread
from tests.mariadb import private_mariadb

PATIENCE_SECONDS = 300.0
"""After which a photo counts as never answered."""
SAMPLE_SECONDS = 0.25
QUERIES = 100
"""Different photos that are sent amid an outage."""

PEOPLE, PHOTOS_EACH, BURST_MB = 50, 20, 700
HANGING_PHOTOS, HANGING_SECONDS = 40, 20.0
FLOOD, FLOOD_ANSWERED, FLOOD_LEAD_SECONDS = 100, 60, 1.0
OTHERS, OTHERS_SECONDS = 9, 2.0
"""How much longer the others may wait, each for the same photo."""
HOSTILE, AT_ONCE, HOSTILE_MB = 300, 20, 300
PRACTICE, SETTLE_SECONDS = 40, 20.0
"""Ordinary photos that are answered before the memory is first noted, and the rest before each look at it."""
EACH_SECONDS, CLEAR_SECONDS, RETURN_SECONDS = 1.0, 5.0, 10.0

POLITE, TOLD_ONCE, CLEAR = (frozenset(verdicts) for verdicts in (("busy",), ("too fast",), ("right", "unavailable")))
SILENCE, NAMING = "no answer", ("Found", "Nothing found", "Similar scene")


@dataclass(frozen=True, slots=True)
class Ground:
    """Where trials take place: a folder, the photos, the database filled with them, and the seconds of an outage."""

    folder: Path
    photos: Path
    album: Album
    url: str
    seconds: float

    @contextmanager
    def bot(self, url: str = "") -> Iterator[TelegramBot]:
        """Run a bot for one trial, and show at the end what it complained of."""
        with telegram_bot(self.folder, url or self.url) as bot:
            bot.warm_up(self.album.unknown[0])
            yield bot
            bot.process.show_complaints()


def main() -> int:
    arguments = parse()
    album = Album(arguments.photos, arguments.images)
    faults: list[str] = []
    with own_folder() as folder:
        ground = Ground(folder, arguments.photos, album, f"sqlite:///{folder}/chats.db", arguments.seconds)
        album.fill(ground.url)
        print(f"{arguments.images:,} images indexed, {len(album.known):,} of them real", flush=True)
        for trial in arguments.trials or TRIALS:
            faults += tried(trial, ground)
    return report(faults)


def parse() -> argparse.Namespace:
    options = parser(__doc__, has_photos=True)
    options.add_argument("trials", nargs="*", choices=TRIALS, help="all where none is named")
    options.add_argument("--images", type=int, default=28_000)
    options.add_argument("--seconds", type=float, default=60, help="how long the database is away")
    return options.parse_args()


def tried(name: str, ground: Ground) -> list[str]:
    """Run a trial; what the bot's process or its server hold against each other at the end is a fault too."""
    try:
        return [f"{name}: {fault}" for fault in TRIALS[name](ground)]
    except (AssertionError, ExceptionGroup) as error:
        return [f"{name}: {error}"]


# A crowd


def try_burst(ground: Ground) -> list[str]:
    queries = ground.album.mixed(PEOPLE * PHOTOS_EACH)
    with ground.bot() as bot:
        forget_peak(bot)
        with sampling(bot.process.session, every=SAMPLE_SECONDS) as samples:
            asked = bot.send(bot.people(PEOPLE) * PHOTOS_EACH, queries)
            bot.wait(asked, seconds=PATIENCE_SECONDS)
        together, alone = max(sample.pss for sample in samples) / MB, bot.megabytes("VmHWM")
        print(f"burst, {len(asked):,} photos of {PEOPLE} people: {counted(asked)}; last after {last(asked):.1f} s")
        print(f"    memory at most {alone:.0f} MB, with the workers {together:.0f} MB (PSS), goal: below {BURST_MB} MB")
        faults = unfit(bot, asked, allowed=POLITE)
    return faults + missed("memory", together, BURST_MB, "MB")


def forget_peak(bot: TelegramBot) -> None:
    """Have the kernel note the largest memory anew."""
    Path(f"/proc/{bot.process.session}/clear_refs").write_text("5")


def last(asked: Sequence[Sent]) -> float:
    """Return the seconds from the first photo to the last answer."""
    return max(one.at + one.seconds for one in asked) - asked[0].at


def try_hang(ground: Ground) -> list[str]:
    queries = ground.album.mixed(HANGING_PHOTOS)
    with ground.bot() as bot:
        plain = bot.send(bot.people(1) * len(queries), queries)
        bot.wait(plain, seconds=PATIENCE_SECONDS)
        bot.api.hang("file", seconds=HANGING_SECONDS)
        asked = bot.send(bot.people(1) * len(queries), queries)
        bot.wait(asked, seconds=PATIENCE_SECONDS)
        *others, slowest = sorted(one.seconds for one in asked)
        print(f"hang: {counted(asked)}; the slowest after {slowest:.1f} s, the others {shown_spread(others)}")
        print(f"    the same photos while no download hangs: {waits(plain)}", flush=True)
        return unfit(bot, plain) + unfit(bot, asked)


def try_flood(ground: Ground) -> list[str]:
    flood, few = ground.album.mixed(FLOOD), ground.album.mixed(OTHERS)
    with ground.bot() as bot:
        before = bot.hand_in(few)
        bot.wait(before, seconds=PATIENCE_SECONDS)
        flooded = bot.send(bot.people(1) * FLOOD, flood)
        time.sleep(FLOOD_LEAD_SECONDS)
        during = bot.hand_in(few)
        bot.wait(during, seconds=PATIENCE_SECONDS)
        bot.wait(flooded, seconds=PATIENCE_SECONDS, answers=FLOOD_ANSWERED + 1)
        replied = [one for one in flooded if one.answers]
        more = max(late.seconds - idle.seconds for late, idle in zip(during, before, strict=True))
        print(f"flood: {counted(flooded)}; last answer after {last(replied):.1f} s")
        print(f"    nine others, idle: {counted(before)}; {waits(before)}")
        print(f"    nine others, meanwhile: {counted(during)}; {waits(during)}")
        print(f"    at most {more:.2f} s more for the same photo, goal: {OTHERS_SECONDS:g} s", flush=True)
        faults = unfit(bot, before + during) + unfit(bot, replied, allowed=TOLD_ONCE)
    return faults + refused_badly(flooded) + missed("the others wait longer by", more, OTHERS_SECONDS, "s")


def refused_badly(flooded: Sequence[Sent]) -> list[str]:
    verdicts = Counter(one.verdict for one in flooded)
    refused, silent = verdicts["too fast"], verdicts["silent"]
    answered = FLOOD - refused - silent
    if (answered, refused) == (FLOOD_ANSWERED, 1):
        return []
    return [f"{answered} photos are answered and {refused} refused, not {FLOOD_ANSWERED} and 1"]


# Hostile pictures


def try_hostile(ground: Ground) -> list[str]:
    files = hostile_files(ground.photos, HOSTILE)
    with ground.bot() as bot:
        for query in ground.album.mixed(PRACTICE):
            bot.ask(query)
        before = settled(bot)
        sentences = Counter(sentence_of(one) for one in sent_as_files(bot, files))
        growth = settled(bot) - before
        print(f"hostile: {len(files)} files; memory {before:.0f} MB {growth:+.0f} MB, goal: below {HOSTILE_MB} MB more")
        for sentence, times in sentences.most_common():
            print(f"    {times:4} x {sentence}", flush=True)
        afterwards = bot.ask(ground.album.whole(1)[0]).verdict
    faults = [f"{sentences[bad]} x {bad}" for bad in (SILENCE, FAULTS["unexpected"]) if sentences[bad]]
    faults += missed("growth of memory", growth, HOSTILE_MB, "MB")
    return faults if afterwards == "right" else [*faults, f"an ordinary photo afterwards: {afterwards}"]


def settled(bot: TelegramBot) -> float:
    """Return the memory of the bot's own process when it has rested, in MB."""
    time.sleep(SETTLE_SECONDS)
    return bot.megabytes("VmRSS")


def sent_as_files(bot: TelegramBot, files: Sequence[bytes]) -> Iterator[Sent]:
    """Send files, some at a time, each by somebody new, and yield them when they are answered."""
    for start in range(0, len(files), AT_ONCE):
        asked = [bot.send_file(data) for data in files[start : start + AT_ONCE]]
        bot.wait(asked, seconds=PATIENCE_SECONDS)
        yield from asked


def sentence_of(asked: Sent) -> str:
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
        url = server.create_database("chats")
        ground.album.fill(url)
        for kind, away in (("stopped", stopped), ("frozen", frozen)):
            with ground.bot(url) as bot:
                faults += [f"{kind}: {fault}" for fault in ridden_out(bot, kind, away(server), ground)]
    return faults


def ridden_out(bot: TelegramBot, kind: str, away: AbstractContextManager[None], ground: Ground) -> list[str]:
    """Send a photo each second while the database is away, and then until one is answered right."""
    queries = cycle(ground.album.whole(QUERIES))
    with away:
        end = time.monotonic() + ground.seconds
        during = sent_each_second(bot, queries, until=lambda _: time.monotonic() > end)
    returned = time.monotonic()
    late = returned + RETURN_SECONDS + CLEAR_SECONDS
    after = sent_each_second(
        bot, queries, until=lambda sent: time.monotonic() > late or any(one.verdict == "right" for one in sent)
    )
    bot.wait(during + after, seconds=PATIENCE_SECONDS)
    right = [one.at + one.seconds - returned for one in during + after if one.verdict == "right"]
    first = min((seconds for seconds in right if seconds > 0), default=float("inf"))
    print(f"outage, {kind}: {counted(during)}; {waits(during)}, goal: {CLEAR_SECONDS:g} s")
    print(f"    first right answer {first:.1f} s after the return, goal: {RETURN_SECONDS:g} s", flush=True)
    return unclear(during + after) + missed("the first right answer", first, RETURN_SECONDS, "s")


def sent_each_second(
    bot: TelegramBot, queries: Iterator[Query], *, until: Callable[[Sequence[Sent]], bool]
) -> list[Sent]:
    """Have somebody new send a photo each second, until something holds."""
    asked: list[Sent] = []
    while not until(asked):
        asked += bot.hand_in([next(queries)])
        time.sleep(EACH_SECONDS)
    return asked


def unclear(asked: Sequence[Sent]) -> list[str]:
    faults = [one.verdict for one in asked if one.verdict not in CLEAR]
    faults += [f"answered after {CLEAR_SECONDS:g} s" for one in asked if one.seconds > CLEAR_SECONDS]
    return [f"{times} x {fault}" for fault, times in Counter(faults).items()]


TRIALS: dict[str, Callable[[Ground], list[str]]] = {
    "burst": try_burst,
    "hang": try_hang,
    "flood": try_flood,
    "hostile": try_hostile,
    "outage": try_outage,
}

if __name__ == "__main__":
    sys.exit(main())
