"""Whether everything comes up in any order: the database, the daemon, both bots, and the servers of their chats.

python -m benchmarks.soak.start_orders
python -m benchmarks.soak.start_orders --only "database last" "chats last" --gap 5

Each order begins with an empty folder and a MariaDB of its own, whose tables are made beforehand (but for the one that
is empty) and which does not run. Its parts are started some seconds after each other, as ORDERS says; the chats'
servers are up from the start unless the order names them. When the last part is started, a photo is dropped into
`images/`, and people ask for it at both bots, a new one each second, until an answer names its account.

Printed are the seconds from then until that answer, how many processes have ended by themselves (who must be started
again by a service manager), and the lines in their logs that tell of errors. Exits 1 when a bot takes over 180 s, or a
process has ended.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.lab.bots import Asked
from benchmarks.lab.daemon import ERROR, Daemon
from benchmarks.lab.discord import DiscordBot
from benchmarks.lab.photos import files_of
from benchmarks.lab.queries import Query, as_sent
from benchmarks.lab.script import SETTLE_SECONDS, own_folder, parser, report
from benchmarks.lab.telegram import TelegramBot
from benchmarks.lab.timing import shown
from tests.fakes.discord import stage as discord_stage
from tests.fakes.discord.api import DiscordApi, discord_api
from tests.fakes.discord.channels import Guild
from tests.fakes.telegram import stage as telegram_stage
from tests.fakes.telegram.bot_api import BotApi, bot_api
from tests.mariadb import MariaDB, private_mariadb
from tests.shell import Service, Shell

ORDERS = {
    "database first": "database watch telegram discord",
    "database last": "watch telegram discord 60 database",
    "bots first": "telegram discord database watch",
    "indexer last": "database discord telegram watch",
    "database amid, and restarted": "watch database telegram restart discord",
    "empty database last": "watch telegram discord 60 database 20 tables",
    "chats last": "database watch telegram discord chats",
    "database last, chats before it": "discord telegram watch 30 chats 30 database",
}
"""The parts in the order of their starts; a number stands for a pause of so many seconds beside the usual one."""
LIMIT_SECONDS, EACH_SECONDS = 180.0, 1.0
THERE_BEFORE = 20
"""Photos that are in the dataset from the start."""
DATABASE, ACCOUNT = "start_orders", "late.comer"
SHOWN_ERRORS = 5


@dataclass(slots=True)
class Scene:
    """What is there in one order, and what has been started of it."""

    shell: Shell
    server: MariaDB
    telegram: BotApi
    discord: DiscordApi
    guild: Guild
    gap: float
    stack: ExitStack
    services: dict[str, Service] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        url = self.server.url(DATABASE)
        return {"IGSEARCH_DATABASE_URL": url, "IGSEARCH_SETTLE_SECONDS": str(SETTLE_SECONDS)}

    def start(self, name: str, service: AbstractContextManager[Service]) -> None:
        self.services[name] = self.stack.enter_context(service)

    @property
    def daemons(self) -> dict[str, Daemon]:
        return {name: Daemon(service.process, service.log_file) for name, service in self.services.items()}

    @property
    def ended(self) -> list[str]:
        """Return the processes that have ended by themselves, with their exit codes and last words."""
        codes = {name: daemon.process.poll() for name, daemon in self.daemons.items()}
        return [
            f"{name} ended with {code}: {self.daemons[name].end_of_log()}"
            for name, code in codes.items()
            if code is not None
        ]

    @property
    def errors(self) -> Counter[str]:
        return sum((daemon.complaints(ERROR) for daemon in self.daemons.values()), Counter())


def main() -> int:
    arguments = parse()
    photos = files_of(arguments.photos)
    faults: list[str] = []
    print(f"{'order':32} telegram discord ended errors", flush=True)
    for name in arguments.only:
        faults += [f"{name}: {fault}" for fault in tried(name, photos, arguments.gap)]
    return report(faults)


def parse() -> argparse.Namespace:
    options = parser(__doc__, has_photos=True)
    options.add_argument("--only", nargs="+", choices=ORDERS, default=list(ORDERS), metavar="ORDER")
    options.add_argument("--gap", type=float, default=5, help="seconds between the starts of two parts")
    return options.parse_args()


def tried(name: str, photos: Sequence[Path], gap: float) -> list[str]:
    """Try an order, and print how it went; what a process or a server holds against it at the end is a fault too."""
    steps = ORDERS[name].split()
    try:
        with scene_of(steps, photos[:THERE_BEFORE], gap) as scene:
            for number, step in enumerate(steps):
                time.sleep(gap if number else 0)
                take(step, scene)
            return outcome(name, scene, asked_for(photos[-1], scene, time.monotonic()))
    except (AssertionError, ExceptionGroup) as error:
        return [str(error)]


def outcome(name: str, scene: Scene, seconds: Mapping[str, float | None]) -> list[str]:
    """Print when each bot named the account, and what went wrong; return the faults."""
    figures = f"{shown(seconds['telegram']):>8} {shown(seconds['discord']):>7}"
    print(f"{name:32} {figures} {len(scene.ended):5} {scene.errors.total():6}", flush=True)
    for line, times in scene.errors.most_common(SHOWN_ERRORS):
        print(f"    {times} x {line}", flush=True)
    silent = [bot for bot, took in seconds.items() if took is None]
    return scene.ended + [f"{bot} did not name the account within {LIMIT_SECONDS:g} s" for bot in silent]


@contextmanager
def scene_of(steps: Sequence[str], photos: Sequence[Path], gap: float) -> Iterator[Scene]:
    """Make everything ready that is not started in an order."""
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        server = stack.enter_context(private_mariadb())
        telegram, discord = stack.enter_context(bot_api()), stack.enter_context(discord_api())
        scene = Scene(Shell(folder), server, telegram, discord, discord.guild(), gap, stack)
        for path in photos:
            scene.shell.put(f"images/{path.parent.name}/{path.name}", path.read_bytes())
        if "tables" not in steps:
            make_tables(scene)
        server.execute("SELECT 1")  # before it answers, a MariaDB may miss SIGTERM
        server.stop()
        if "chats" in steps:
            telegram.stop()
            discord.stop()
        yield scene


def take(step: str, scene: Scene) -> None:
    """Take one step of an order."""
    match step:
        case "database":
            scene.server.start()
        case "restart":
            scene.server.stop()
            time.sleep(scene.gap)
            scene.server.start()
        case "tables":
            make_tables(scene)
        case "watch":
            scene.start(step, scene.shell.service("watch", "--dataset", "images", variables=scene.variables))
        case "telegram":
            scene.start(step, telegram_stage.Stage(scene.shell, scene.telegram).starting_bot(**scene.variables))
        case "discord":
            scene.start(step, discord_stage.Stage(scene.shell, scene.discord).starting_bot(**scene.variables))
        case "chats":
            scene.telegram.start()
            scene.discord.start()
        case seconds:
            time.sleep(float(seconds))


def make_tables(scene: Scene) -> None:
    scene.server.create_database(DATABASE)
    ended = scene.shell.igsearch("init-db", variables=scene.variables)
    assert ended.code == 0, ended.err


def asked_for(photo: Path, scene: Scene, began: float) -> dict[str, float | None]:
    """Drop a photo, and have it asked for at both bots until they name its account."""
    data = photo.read_bytes()
    scene.shell.put(f"images/{ACCOUNT}/{photo.name}", data)
    query = Query(as_sent(data), ACCOUNT)
    telegram = TelegramBot(scene.daemons["telegram"], scene.telegram)
    discord = DiscordBot(scene.daemons["discord"], scene.discord, scene.guild)

    def hand_to_discord() -> Sequence[Asked]:
        is_heard = scene.discord.gateway.is_online and scene.discord.commands.names()
        return discord.hand_in([query]) if is_heard else []

    ways = {"telegram": lambda: telegram.hand_in([query]), "discord": hand_to_discord}
    with ThreadPoolExecutor(len(ways)) as pool:
        seconds = pool.map(lambda hand_in: seconds_until_named(hand_in, scene, began), ways.values())
        return dict(zip(ways, seconds, strict=True))


def seconds_until_named(hand: Callable[[], Sequence[Asked]], scene: Scene, began: float) -> float | None:
    """Ask each second; return when the first answer came that names the account."""
    asked: list[Asked] = []
    while time.monotonic() < began + LIMIT_SECONDS and not scene.ended:
        asked += hand()
        time.sleep(EACH_SECONDS)
        if named := [one.at + one.seconds for one in asked if ACCOUNT in one.named]:
            return min(named) - began
    return None


if __name__ == "__main__":
    sys.exit(main())
