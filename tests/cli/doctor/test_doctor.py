"""`igsearch doctor` as an operator meets it: a sound installation, and ones with faults planted in every part."""

import asyncio
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from core.storage.database import Database
from core.storage.store import Store
from core.workers.tasks import VERSIONS
from tests.fakes.discord.api import discord_api
from tests.fakes.discord.stage import MAIN
from tests.fakes.telegram.bot_api import BotApi, bot_api
from tests.mariadb import MariaDB
from tests.pictures import photo_bytes
from tests.shell import Ended, Shell

CHECKS = [
    "settings",
    "dataset",
    "database",
    "collation",
    "schema",
    "events",
    "codecs",
    "telegram",
    "discord",
    "clock",
    "disk",
    "memory",
    "cache",
]
NUMBERS = count()
CRAMPED = """
mount -t tmpfs -o size=1m none tiny && echo 3 > /proc/sys/user/max_inotify_watches && ulimit -v 850000 &&
exec setpriv --bounding-set=-all "$@"
"""
"""A machine with little of anything: a temporary folder of 1 MB, three watches, 870 MB of addresses, and a root that is
like anybody."""
IN_A_CRAMPED_PLACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", CRAMPED, "sh")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.put("images/anna/a.jpg", photo_bytes(1))
    shell.put("images/bob/b.jpg", photo_bytes(2))
    make_tables(f"sqlite:///{tmp_path}/images.igsearch.db")
    return shell


@pytest.fixture
def api() -> Iterator[BotApi]:
    with bot_api() as api:
        yield api


def make_tables(url: str) -> str:
    """Make the tables in a database, and return its URL."""

    async def work() -> None:
        store = Store(Database(url), VERSIONS)
        await store.schema.create()
        await store.close()

    asyncio.run(work())
    return url


def test_all_is_well(shell: Shell) -> None:
    """A line for each check in one order, those without a token not made; nothing is written or left behind."""
    before = sorted(shell.folder.rglob("*"))

    ended = shell.igsearch("doctor")

    assert (ended.code, ended.err) == (0, "")
    assert [line[5:].partition(":")[0] for line in ended.lines] == CHECKS
    assert {line[5:].partition(":")[0] for line in ended.lines if line.startswith("-- ")} == {
        "collation",
        "telegram",
        "discord",
    }
    assert fixes(ended) == []
    assert sorted(shell.folder.rglob("*")) == before


def test_all_is_well_with_a_server_and_both_bots(shell: Shell, api: BotApi, mariadb: MariaDB) -> None:
    """With everything set, every check is made and well; no secret is told."""
    url = make_tables(mariadb.create_database(f"doctor_{next(NUMBERS)}"))
    with discord_api() as discord:
        ended = shell.igsearch(
            "doctor",
            "--json",
            variables={
                "IGSEARCH_DATABASE_URL": url,
                "IGSEARCH_TELEGRAM_TOKEN": api.token,
                "IGSEARCH_TELEGRAM_API_URL": api.url,
                "IGSEARCH_DISCORD_TOKEN": discord.token,
                "TEST_DISCORD_REST": discord.rest_url,
                "TEST_DISCORD_GATEWAY": discord.gateway_url,
            },
            program=(MAIN,),
        )

    found = {one["check"]: one for one in ended.objects}
    assert (ended.code, ended.err) == (0, "")
    assert list(found) == CHECKS
    assert {one["state"] for one in found.values()} == {"ok"}, ended.out
    assert found["telegram"]["detail"] == "the bot is @igsearch_bot"
    assert found["discord"]["detail"].startswith("the bot is @")
    assert found["clock"]["detail"].endswith("by the clock of the database server and of Telegram")
    assert api.token not in ended.out
    assert discord.token not in ended.out


def test_faults_of_a_machine_are_named_one_by_one(shell: Shell, api: BotApi) -> None:
    """Settings, rights, a damaged file, limits, a broken library, a refused token: each has its line, and no other."""
    if subprocess.run(
        [*IN_A_CRAMPED_PLACE, "true"], cwd=made(shell, "tiny"), check=False, capture_output=True
    ).returncode:
        pytest.skip("no limits can be set here")
    for folder in ("images/carl", "images/no name"):
        made(shell, folder)
    (shell.folder / "images/carl").chmod(0)
    shell.put(".env", b"IGSEARCH_LOG_FORMAT=text\n").chmod(0o644)
    shell.put("home/.cache/igsearch", b"")
    shell.put("modules/pillow_heif.py", b"raise ImportError('libheif.so.1: cannot open shared object file')")
    with (shell.folder / "images.igsearch.db").open("r+b") as file:
        file.seek(4096)
        file.write(bytes(8192))

    ended = shell.igsearch(
        "doctor",
        variables={
            "IGSEARCH_RESCAN": "sometimes",
            "IGSEARCH_TELEGRAM_TOKN": "1:hush",
            "IGSEARCH_TELEGRAM_TOKEN": "1:hush",
            "IGSEARCH_TELEGRAM_API_URL": api.url,
            "PYTHONPATH": str(shell.folder / "modules"),
            "TMPDIR": str(shell.folder / "tiny"),
        },
        prefix=IN_A_CRAMPED_PLACE,
    )

    expected = [
        ("settings", "IGSEARCH_RESCAN: write an interval"),
        ("settings", "IGSEARCH_TELEGRAM_TOKN: there is no such setting: write IGSEARCH_TELEGRAM_TOKEN."),
        ("settings", "run `chmod 600 .env`"),
        ("dataset", "1 folder(s) cannot be listed by user root: carl (Permission denied)"),
        ("dataset", "Folder 'no name' is not indexed"),
        ("database", "images.igsearch.db is damaged"),
        ("events", "5 folder(s) are to be watched, but only 3 may be"),
        ("codecs", "pillow-heif does not load (libheif.so.1"),
        ("telegram", "Telegram refuses it"),
        ("disk", f"at {shell.folder}/tiny (temporary files) 100 MB may be needed"),
        ("memory", "left in the address space of a process (ulimit -v)"),
        ("cache", ".cache/igsearch is not a folder"),
    ]
    assert ended.code == 1
    assert [check for check, _ in fixes(ended)] == [check for check, _ in expected], ended.out
    for (_, detail), (_, words) in zip(fixes(ended), expected, strict=True):
        assert words in detail
    assert "hush" not in ended.out + ended.err


def test_faults_around_a_server_are_named_one_by_one(tmp_path: Path, mariadb: MariaDB) -> None:
    """A dataset that is gone, tables that were tampered with, a clock that was wrong, chats that refuse or are away."""
    name = f"doctor_{next(NUMBERS)}"
    url = make_tables(mariadb.create_database(name))
    mariadb.execute(
        f"USE {name}",
        "DROP TABLE tombstones",
        "ALTER TABLE users MODIFY username VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL",
        "UPDATE checkpoint SET newest = UTC_TIMESTAMP() + INTERVAL 1 DAY",
    )
    with discord_api() as discord:
        ended = Shell(tmp_path).igsearch(
            "doctor",
            "--dataset",
            "photos",
            variables={
                "IGSEARCH_DATABASE_URL": url,
                "IGSEARCH_TELEGRAM_TOKEN": "1:hush",
                "IGSEARCH_TELEGRAM_API_URL": "http://127.0.0.1:1",
                "IGSEARCH_DISCORD_TOKEN": "hush.hush",
                "TEST_DISCORD_REST": discord.rest_url,
                "TEST_DISCORD_GATEWAY": discord.gateway_url,
            },
            program=(MAIN,),
        )

    expected = [
        ("dataset", "There is no dataset folder photos"),
        ("collation", "users.username is utf8mb4_general_ci"),
        ("schema", "lacks table 'tombstones': restore a backup"),
        ("telegram", "127.0.0.1 does not answer as Telegram does"),
        ("discord", "Discord refuses it"),
        ("clock", "the newest image is from"),
    ]
    assert ended.code == 1
    assert [check for check, _ in fixes(ended)] == [check for check, _ in expected], ended.out
    for (_, detail), (_, words) in zip(fixes(ended), expected, strict=True):
        assert words in detail
    assert "hush" not in ended.out + ended.err


def fixes(ended: Ended) -> list[tuple[str, str]]:
    """Return what is to be fixed: the check's name, and the sentence."""
    told = [line.removeprefix("FIX  ").partition(": ") for line in ended.lines if line.startswith("FIX")]
    return [(check, detail) for check, _, detail in told]


def made(shell: Shell, folder: str) -> Path:
    """Make a folder, and return the one we are in."""
    (shell.folder / folder).mkdir(parents=True)
    return shell.folder
