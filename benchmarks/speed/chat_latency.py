"""How long people wait who send one photo after the other to a bot, from the update or the command to the answer.

python -m benchmarks.speed.chat_latency
python -m benchmarks.speed.chat_latency telegram --images 2000

100 photos each of whole copies, which the hashes find, and of crops, screenshots, captioned copies and unknown photos,
which need the search by features; 28,000 images are indexed, as lab/large_store.py invents them. "rest" is what the bot
does not log: the way of the update, and keeping the reply.

telegram: the real `igsearch telegram`, over HTTP, against the Bot API server of the tests. Photos are encoded again as
Telegram does.

discord: the real `igsearch discord` against the Discord of the tests; also to the first sign, be it the answer or
"thinking", and 25 commands at once from 25 people. The files of the real photos are there, for an answer shows the
picture of its match: that is in the reply, and sending it is in the rest. The server keeps Discord's limits; how often
they were met is printed.

Times hold on an idle machine only. Exits 1 when a goal is missed.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.lab.bots import ANSWER_SECONDS, Bot, SomeAsked, Steps, counted, missed_p95, unfit, waits
from benchmarks.lab.discord import DiscordBot, Used, discord_bot
from benchmarks.lab.queries import Album, Query
from benchmarks.lab.script import missed, own_folder, parser, report
from benchmarks.lab.telegram import telegram_bot
from benchmarks.lab.timing import shown_spread
from tests.fakes.discord.interactions import ACKNOWLEDGE_SECONDS

PHOTOS, AT_ONCE = 100, 25
WHOLE_SECONDS, PARTS_SECONDS = 1.0, 1.5
"""Goals for the 95th percentile."""
SIGN_SECONDS = 1.0
"""Goal for the first sign; after 3 s Discord says itself that the application did not respond."""


def main() -> int:
    options = parser(__doc__, has_photos=True)
    options.add_argument("chats", nargs="*", choices=CHATS, help="all where none is named")
    options.add_argument("--images", type=int, default=28_000)
    arguments = options.parse_args()
    album = Album(arguments.photos, arguments.images)
    faults: list[str] = []
    with own_folder() as folder:
        url = f"sqlite:///{folder}/chats.db"
        album.fill(url)
        print(f"{arguments.images:,} images indexed, {len(album.known):,} of them real", flush=True)
        for chat in arguments.chats or CHATS:
            faults += [f"{chat}, {fault}" for fault in CHATS[chat](folder, album, url)]
    return report(faults)


def ask_telegram(folder: Path, album: Album, url: str) -> list[str]:
    with telegram_bot(folder, url) as bot:
        bot.warm_up(album.unknown[0])
        whole = ask_in_turn("telegram, whole copies", bot, album.whole(PHOTOS), goal=WHOLE_SECONDS)
        parts = ask_in_turn("telegram, search by features", bot, album.parts(PHOTOS), goal=PARTS_SECONDS)
        bot.process.show_complaints()
    return missed_p95("whole copies", whole, WHOLE_SECONDS) + missed_p95("search by features", parts, PARTS_SECONDS)


def ask_discord(folder: Path, album: Album, url: str) -> list[str]:
    album.lay_out(folder / "images")
    with discord_bot(folder, url) as bot:
        bot.warm_up(album.unknown[0])
        faults = in_turn(bot, "whole copies", album.whole(PHOTOS), goal=WHOLE_SECONDS)
        faults += in_turn(bot, "search by features", album.parts(PHOTOS), goal=PARTS_SECONDS)
        faults += at_once(bot, album.mixed(AT_ONCE))
        print(f"    {bot.limited} of {len(bot.api.calls):,} calls met Discord's limits")
        bot.process.show_complaints()
    return faults


CHATS: dict[str, Callable[[Path, Album, str], list[str]]] = {"telegram": ask_telegram, "discord": ask_discord}


def ask_in_turn(trial: str, bot: Bot[SomeAsked], queries: Sequence[Query], *, goal: float) -> list[SomeAsked]:
    """Ask one photo after the other, and print what the answers took, step by step."""
    mark = bot.process.mark()
    asked = [bot.ask(query) for query in queries]
    print(f"{trial}: {counted(asked)}; {waits(asked)}, goal: p95 below {1000 * goal:,.0f}", flush=True)
    print_steps([one.seconds for one in asked], bot.steps(since=mark, count=len(asked)))
    return asked


def print_steps(seconds: Sequence[float], steps: Sequence[Steps]) -> None:
    parts = {
        "download": [one.download for one in steps],
        "decode": [one.reading for one in steps],
        "search": [one.search for one in steps],
        "reply": [one.reply for one in steps],
        "rest": [wait - one.whole for wait, one in zip(seconds, steps, strict=True)],
    }
    for name, taken in parts.items():
        print(f"    {name:8} {shown_spread(taken)}", flush=True)


# Discord


def in_turn(bot: DiscordBot, name: str, queries: Sequence[Query], *, goal: float) -> list[str]:
    used = ask_in_turn(f"discord, {name}", bot, queries, goal=goal)
    faults = missed_p95(name, used, goal) + print_signs(name, used, goal=SIGN_SECONDS)
    return faults + [f"{name}: {fault}" for fault in unfit(bot, used) + unseen(used)]


def at_once(bot: DiscordBot, queries: Sequence[Query]) -> list[str]:
    used = bot.hand_in(queries)
    bot.wait(used, seconds=ANSWER_SECONDS)
    name = f"{len(used)} at once"
    print(f"discord, {name}: {counted(used)}; {waits(used)}", flush=True)
    faults = print_signs(name, used, goal=ACKNOWLEDGE_SECONDS)
    return faults + [f"{name}: {fault}" for fault in unfit(bot, used) + unseen(used)]


def print_signs(name: str, used: Sequence[Used], *, goal: float) -> list[str]:
    """Print when the first signs came, and complain where the last of them was late."""
    signs = [one.sign for one in used]
    deferred = sum(one.interaction.deferred is not None for one in used)
    soon = sum(sign < SIGN_SECONDS for sign in signs)
    print(f'    first sign {shown_spread(signs)}; {deferred} by "thinking"', end="")
    print(f"; {soon} of {len(used)} below {1000 * SIGN_SECONDS:,.0f} ms", flush=True)
    return missed(f"{name}, first sign", max(signs), goal, "s")


def unseen(used: Sequence[Used]) -> list[str]:
    """Complain of commands that Discord calls failed, and of answers without the picture of their match."""
    failed, bare = sum(one.interaction.failed for one in used), sum(one.lacks_picture for one in used)
    counts = {"commands failed": failed, "answers lack the picture of the match": bare}
    return [f"{times} {fault}" for fault, times in counts.items() if times]


if __name__ == "__main__":
    sys.exit(main())
