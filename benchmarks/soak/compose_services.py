"""Whether what docker-compose.yml describes works: the command of each service, run by hand as the file says.

python -m benchmarks.soak.compose_services
python -m benchmarks.soak.compose_services --images 1000 --drops 20

No container engine is needed, but root is. MariaDB takes the place of MySQL, made with the same scripts and secrets.
Each service runs as the user of the file, without capabilities and a way to get any, in a root file system of its own
that is read-only but for its tmpfs and volumes, with its secrets as files, and below its limits of memory and processes
where this host has cgroups. What differs: the program is that of this folder and not the image's, all services are in
the network of this host, so the database has another address, there is no init process, and system calls are not
filtered.

The bots speak to the servers of the tests. A folder of photos is indexed; then photos are dropped into it one after
the other, and crops of each sent to both bots until they name its account. Each health check is run as docker does,
`migrate` beside the running services as at the next `docker compose up`, and in the end each service gets SIGTERM.
Exits with 1 if anything was not as it should be.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lab.container import PROGRAM, Container, Project
from benchmarks.lab.discord import ENTRY as DISCORD_ENTRY
from benchmarks.lab.photos import opened, put, shuffled_files
from benchmarks.lab.processes import MB
from benchmarks.lab.script import own_folder, parser, report
from benchmarks.lab.telegram import ENTRY as TELEGRAM_ENTRY
from benchmarks.lab.timing import timed, wait_until
from tests.compose import ROOT, compose, is_ours
from tests.fakes.discord.api import DiscordApi, discord_api
from tests.fakes.discord.stage import MAIN
from tests.fakes.discord.stage import Stage as DiscordStage
from tests.fakes.telegram.bot_api import BotApi, bot_api
from tests.mariadb import MariaDB, private_mariadb
from tests.shell import Shell

START_SECONDS, FOUND_SECONDS = 180.0, 60.0
"""The first is the file's start period."""
LOOK_EVERY, ASK_EVERY = 1.0, 0.25
KEPT = 0.75
"""How much of each side of a photo is left in its crop."""
DATABASE, DATABASE_ADDRESS = "igsearch", "@mysql:3306/"
CONFINED = {"Uid": "10001 10001 10001 10001", "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"}
WRITE = "for place in /srv /images /usr /run/secrets; do touch $place/new 2>/dev/null && exit 1; done; touch /tmp/new"
"""Fails where something can be written that must not be, or cannot that must be."""

Ask = Callable[[bytes], list[str]]
"""Send a photo of somebody new, and return the accounts that the answer names."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A photo that was dropped, and how long each chat took to name its account."""

    photo: Path
    seconds: dict[str, float]


def main() -> int:
    options = parser(__doc__, has_photos=True)
    options.add_argument("--images", type=int, default=200, help="photos that are there at the start")
    options.add_argument("--drops", type=int, default=10, help="photos that are dropped later")
    arguments = options.parse_args()
    if os.geteuid() != 0:
        options.error("mounts and other users need root")
    photos = shuffled_files(arguments.photos)
    with own_folder() as folder, private_mariadb() as server:
        project = Project(folder)
        prepare(project, server, photos[: arguments.images])
        return report(tried(project, photos[arguments.images :][: arguments.drops]))


def prepare(project: Project, server: MariaDB, photos: Sequence[Path]) -> None:
    """Do what an operator does before `docker compose up`, and what the mysql service does at its first start."""
    (project.folder / "deploy").mkdir()
    shutil.copy(ROOT / "deploy/secrets.sh", project.folder / "deploy")
    subprocess.run([project.folder / "deploy/secrets.sh"], check=True, stdout=subprocess.DEVNULL)
    for path in project.secrets.glob("database_url_*"):
        path.write_text(path.read_text().replace(DATABASE_ADDRESS, f"@127.0.0.1:{server.port}/"))
    for photo in photos:
        drop(project, photo)
    server.create_database(DATABASE)
    client = ["mysql", "--no-defaults", f"--socket={server.socket}", "--user=root", DATABASE]
    subprocess.run(client, input=(ROOT / "db_init.sql").read_bytes(), check=True)
    make_users(project, server)


def make_users(project: Project, server: MariaDB) -> None:
    """Run deploy/mysql/20-users.sh; this server's root has no password."""
    secrets = project.folder / "secrets-of-mysql"
    shutil.copytree(project.secrets, secrets)
    (secrets / "mysql_root_password").write_text("")
    told = {"SECRETS": str(secrets), "GRANTS": str(ROOT / "deploy/grants.sql"), "SOCKET": str(server.socket)}
    subprocess.run([ROOT / "deploy/mysql/20-users.sh"], env={"PATH": os.environ["PATH"], **told}, check=True)


def drop(project: Project, photo: Path) -> None:
    put(photo, project.images / photo.parent.name / photo.name)


def tried(project: Project, photos: Sequence[Path]) -> list[str]:
    with bot_api() as telegram, discord_api() as discord, ExitStack() as stack:
        (project.secrets / "telegram_token").write_text(telegram.token)
        (project.secrets / "discord_token").write_text(discord.token)
        containers = {one.name: one for one in containers_of(project, telegram, discord)}
        for container in containers.values():
            stack.enter_context(container.limits())
        migrate = containers.pop("migrate")
        faults = migrated(migrate, "first")
        for container in containers.values():
            container.start()
        for container in containers.values():
            faults += until_well(container) + unconfined(container)
        if faults:
            return faults
        faults += missed([dropped(project, photo, telegram, discord) for photo in photos])
        faults += migrated(migrate, "again")
        for container in containers.values():
            faults += ended(container)
        return faults


def containers_of(project: Project, telegram: BotApi, discord: DiscordApi) -> Iterator[Container]:
    """Yield our services, with what .env would say."""
    told = {"IMAGES": str(project.images), "IGSEARCH_TELEGRAM_API_URL": telegram.url}
    for name, service in compose(told)["services"].items():
        if name == "discord":  # with the way to another server than Discord's
            variables = DiscordStage(Shell(project.folder), discord).variables()
            more = {name: value for name, value in variables.items() if name.startswith("TEST_")}
            yield Container(name, service, project, program=(sys.executable, MAIN), more=more)
        elif is_ours(service):
            yield Container(name, service, project)


def migrated(migrate: Container, when: str) -> list[str]:
    ended, seconds = timed(lambda: migrate.run(PROGRAM, *migrate.service["command"]))
    said = (ended.stdout + ended.stderr).decode().strip()
    print(f"migrate ({when}): exit code {ended.returncode} after {seconds:.1f} s: {said}", flush=True)
    return [f"migrate ({when}) ended with {ended.returncode}: {said}"] if ended.returncode else []


def until_well(container: Container) -> list[str]:
    """Run the health check until it is passed, as docker does from time to time."""
    _, *test = container.service["healthcheck"]["test"]
    started = time.monotonic()
    while True:
        check, seconds = timed(lambda: container.run(*test))
        said = " | ".join((check.stdout + check.stderr).decode().splitlines())
        if check.returncode == 0 or container.has_ended or time.monotonic() - started > START_SECONDS:
            break
        time.sleep(LOOK_EVERY)
    print(f"{container.name}: `{' '.join(test)}` exits with {check.returncode}, in {seconds:.1f} s: {said}", flush=True)
    return [f"{container.name} is ill: {said}"] if check.returncode else []


def unconfined(container: Container) -> list[str]:
    """Complain of a service that has more rights than it should have."""
    rights = {name: container.rights[name] for name in CONFINED}
    faults = [f"{container.name}: {rights}"] if rights != CONFINED else []
    if container.run("sh", "-c", WRITE).returncode:
        faults.append(f"{container.name} can write more or less than it should")
    print(f"{container.name}: user 10001, no capability, read-only: {'no' if faults else 'yes'}", flush=True)
    return faults


def dropped(project: Project, photo: Path, telegram: BotApi, discord: DiscordApi) -> Drop:
    """Drop a photo, and send crops of it to both bots until each names its account."""
    crop, owner, guild = cropped(photo), photo.parent.name, discord.guild()

    def ask_telegram(data: bytes) -> list[str]:
        person = telegram.person()
        return list(TELEGRAM_ENTRY.findall(person.answer_to(person.sends_photo(data)).text))

    def ask_discord(data: bytes) -> list[str]:
        person = discord.person()
        asked = person.uses_command("search", {"image": person.attaches("photo.jpg", data)}, where=guild)
        return [name.replace("\\", "") for name in DISCORD_ENTRY.findall(asked.answer().words)]  # of escaped names

    drop(project, photo)
    at = time.monotonic()
    with ThreadPoolExecutor() as pool:
        seconds = [pool.submit(until_named, ask, crop, owner, at) for ask in (ask_telegram, ask_discord)]
        return Drop(photo, dict(zip(("telegram", "discord"), (each.result() for each in seconds), strict=True)))


def until_named(ask: Ask, data: bytes, owner: str, at: float) -> float:
    """Ask until the account is named; return the seconds since the drop, infinite where it is not."""
    is_found = wait_until(lambda: owner in ask(data), seconds=FOUND_SECONDS, every=ASK_EVERY) is not None
    return time.monotonic() - at if is_found else float("inf")


def cropped(photo: Path) -> bytes:
    picture, file = opened(photo), io.BytesIO()
    width, height = (int(side * KEPT) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 3
    picture.crop((left, top, left + width, top + height)).save(file, "JPEG", quality=85)
    return file.getvalue()


def missed(drops: Sequence[Drop]) -> list[str]:
    """Print how long it took from the drop of a photo until a crop of it was answered right."""
    for chat in ("telegram", "discord"):
        seconds = sorted(one.seconds[chat] for one in drops)
        print(
            f"from drop to found on {chat}: {len(seconds)} photos, median {seconds[len(seconds) // 2]:.1f} s,"
            f" at most {seconds[-1]:.1f} s",
            flush=True,
        )
    return [
        f"a crop of {one.photo} was not found on {chat} within {FOUND_SECONDS:g} s"
        for one in drops
        for chat, seconds in one.seconds.items()
        if seconds == float("inf")
    ]


def ended(container: Container) -> list[str]:
    """Send SIGTERM to a service, and complain of its end and of its log."""
    peak = container.peak
    end = container.terminate()
    lines = container.log.read_text(errors="replace").splitlines()
    odd = [line for line in lines if not is_json(line)]
    memory = "not measured" if peak is None else f"{peak / MB:,.0f} MB of {container.service['mem_limit']}"
    print(
        f"{container.name}: SIGTERM: exit code {end.code} after {end.seconds:.1f} s; memory at most {memory};"
        f" {len(lines)} lines of log, {len(odd)} of them no JSON",
        flush=True,
    )
    faults = [f"logged what is no JSON: {line}" for line in odd[:3]] + end.faults
    return [f"{container.name}: {fault}" for fault in faults]


def is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())
