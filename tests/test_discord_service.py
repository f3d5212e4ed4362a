"""The Discord bot as its operator meets it: starts, ends, outages, settings, secrets; the real process each time."""

import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.accounts import DOTTED, DUNDER, SHARED, copied_dataset, indexed_dataset, jpeg, sent
from tests.fakes.discord.api import DiscordApi, discord_api
from tests.fakes.discord.channels import BotMessage
from tests.fakes.discord.stage import Stage
from tests.mariadb import MariaDB, free_port
from tests.metrics_page import Page
from tests.shell import Shell

pytestmark = pytest.mark.waits

AWAY = "My index cannot be reached just now: try again in a minute."
FOREIGN = "This bot serves certain chats only: give its operator the number {} to be admitted."
NUMBERS = count()


@pytest.fixture
def api() -> Iterator[DiscordApi]:
    with discord_api() as api:
        yield api


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Return a shell with an indexed dataset, for bots that only read it."""
    return copied_dataset(tmp_path_factory, tmp_path_factory.mktemp("service"))


@pytest.fixture
def stage(indexed: Shell, api: DiscordApi) -> Stage:
    return Stage(indexed, api)


def found(answer: BotMessage) -> bool:
    return answer.words.startswith("Found: ")


def test_buttons_work_after_a_restart_and_commands_are_told_once(stage: Stage) -> None:
    """Another process turns the page; it does not tell Discord again of commands that it knows."""
    anna, guild = stage.api.person(), stage.api.guild()
    with stage.bot() as first:
        asked = anna.uses_command("search", {"image": anna.attaches("a.jpg", jpeg(SHARED))}, where=guild)
        answer = asked.answer()
        assert first.end() == 0

    with stage.bot():
        anna.presses(answer, "Page 2 of 3 ›")
        stage.api.until(lambda: "**11.**" in answer.words, what="the second page")

    assert stage.api.commands.bulk_puts[None] == 1


def test_commands_that_changed_are_told_again(stage: Stage) -> None:
    """Where Discord knows other ones, as after an upgrade, it hears of them."""
    with stage.bot():
        pass
    stage.api.commands.of(None)[0]["description"] = "an old one"

    with stage.bot():
        pass

    assert stage.api.commands.bulk_puts[None] == 2
    assert stage.api.commands.of(None)[0]["description"] != "an old one"


def test_the_start_waits_for_discord(stage: Stage) -> None:
    """A bot that starts before the network, or whose first handshakes fail, says so and answers when it can."""
    stage.api.stop()
    anna = stage.api.person()

    with stage.starting_bot() as service:
        service.until_said("Discord cannot be reached")
        stage.api.refuse_gateway(2)
        stage.api.start()
        service.until_said("answers")
        answer = anna.uses_command("search", {"image": anna.attaches("a.jpg", sent(DUNDER))}).answer()

    assert found(answer)


def test_an_outage_of_discord_is_waited_out(stage: Stage) -> None:
    """When Discord goes and comes back, the bot goes on by itself, without telling its commands again."""
    anna = stage.api.person()
    with stage.bot():
        stage.api.stop()
        stage.api.until_offline()
        stage.api.start()
        stage.api.until_online(seconds=60)
        answer = anna.uses_command("search", {"image": anna.attaches("a.jpg", sent(DUNDER))}).answer()

    assert found(answer)
    assert stage.api.commands.bulk_puts[None] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_finishes_what_is_in_hand(stage: Stage, number: signal.Signals) -> None:
    """A signal ends the bot with 0 within 10 s: what is being downloaded is still answered."""
    anna = stage.api.person()
    picture = anna.attaches("a.jpg", sent(DUNDER))
    stage.api.hang("/cdn/*", 2, file_of=picture)
    with stage.bot() as service:
        asked = anna.uses_command("search", {"image": picture})
        stage.api.until(lambda: bool(stage.api.downloads), what="the download")
        began = time.monotonic()

        code = service.end(number)

    assert code == 0
    assert time.monotonic() - began < 10
    assert found(asked.answer())


def test_a_token_that_is_missing_or_refused_ends_with_78(stage: Stage) -> None:
    """One line says which variable is wrong; the token is in no word of it."""
    missing = stage.shell.igsearch("discord", "--dataset", "images")
    wrong = {"IGSEARCH_DISCORD_TOKEN": "Not.The.Token"}
    with stage.starting_bot(**wrong) as service:
        code = service.process.wait(60)

    assert (missing.code, code) == (78, 78)
    for said in (missing.err, service.log):
        assert "IGSEARCH_DISCORD_TOKEN: " in said.splitlines()[-1]
    assert "Not.The.Token" not in service.log


def test_only_allowed_servers_are_served(stage: Stage) -> None:
    """Others hear one sentence, and nothing is downloaded for them; admins are always served."""
    anna, admin = stage.api.person(), stage.api.person("admin")
    ours, foreign = stage.api.guild(), stage.api.guild()
    variables = {"IGSEARCH_ALLOWED_GUILDS": str(ours.id), "IGSEARCH_ADMINS": f"discord:{admin.id}"}
    with stage.bot(**variables):
        refused = [
            anna.uses_command("search", {"image": anna.attaches("a.jpg", sent(DUNDER))}, where=where).answer()
            for where in (foreign, None)
        ]
        before = len(stage.api.downloads)
        served = [
            anna.uses_command("search", {"image": anna.attaches("a.jpg", sent(DUNDER))}, where=ours).answer(),
            admin.uses_command("search", {"image": admin.attaches("a.jpg", sent(DUNDER))}, where=foreign).answer(),
        ]

    assert [one.content for one in refused] == [FOREIGN.format(foreign.id), FOREIGN.format(0)]
    assert all(one.is_ephemeral for one in refused)
    assert before == 0
    assert all(map(found, served))


def test_a_database_that_is_away_is_told_within_5_s(mariadb: MariaDB, tmp_path: Path, api: DiscordApi) -> None:
    """Commands and buttons get a sentence while it is away; when it is back the bot answers by itself."""
    variables = {"IGSEARCH_DATABASE_URL": mariadb.create_database(f"discord_{next(NUMBERS)}")}
    stage = Stage(indexed_dataset(tmp_path, variables), api)
    anna = api.person()
    with stage.bot(**variables) as service:
        first = anna.uses_command("search", {"image": anna.attaches("a.jpg", sent(DUNDER))}).answer()
        mariadb.freeze()
        try:
            waits = []
            for _ in range(2):
                began = time.monotonic()
                answer = anna.uses_command("search", {"image": anna.attaches("a.jpg", sent(DOTTED))}).answer()
                assert (answer.words, answer.is_ephemeral) == (AWAY, True)
                waits.append(time.monotonic() - began)
            pressed = anna.presses(first, "Wrong?")
            hint = pressed.answer().content
        finally:
            mariadb.thaw()
        service.until_said("the index can be reached again")
        again = anna.uses_command("search", {"image": anna.attaches("a.jpg", sent(DOTTED))}).answer()

    assert max(waits) < 5
    assert hint == "My index cannot be reached just now: try again in a minute."
    assert pressed.acknowledged() < 1
    assert found(again)


def test_neither_token_nor_query_image_is_anywhere(stage: Stage) -> None:
    """At the chattiest level, through faults of every kind, no line holds the token or any of a query image."""
    mark = b"only-in-the-query-image"
    anna = stage.api.person()
    with stage.bot(IGSEARCH_LOG_LEVEL="DEBUG") as service:
        for path in ("/interactions/*", "/webhooks/*", "/cdn/*"):
            stage.api.fail("*", path, status=502, body=f"<html>{stage.api.token}</html>")
            anna.uses_command("search", {"image": anna.attaches(f"{mark.decode()}.jpg", sent(DUNDER) + mark)}).answer()
        stage.api.cut()
        stage.api.until_online(seconds=60)
        anna.uses_command("search", {"image": anna.attaches("a.jpg", mark)}).answer()
        service.end()

    assert stage.api.token not in service.log
    assert mark.decode() not in service.log
    assert not any(mark in data for call in stage.api.calls for data in call.files.values())
    assert not any(mark in file.read_bytes() for file in stage.shell.folder.rglob("*") if file.is_file())


def test_run_answers_on_both_chats_beside_the_indexer(tmp_path: Path, api: DiscordApi) -> None:
    """`igsearch run` with a Discord token and a Telegram that is away: the rest goes on, and one page tells all."""
    stage = Stage(Shell(tmp_path), api)
    stage.shell.put("images/anna/1.jpg", jpeg(DOTTED))
    anna = api.person()
    more = {"IGSEARCH_TELEGRAM_TOKEN": "1:nobody", "IGSEARCH_TELEGRAM_API_URL": "http://127.0.0.1:9"}
    page = Page(free_port())

    with stage.bot("run", "--dataset", "images", **more, IGSEARCH_METRICS_LISTEN=str(page.port)) as service:
        service.until(lambda: stage.shell.images() == 1)
        service.until_said("Telegram cannot be reached")
        if "the index cannot be reached" in service.log:  # the bot was there before the tables
            service.until_said("the index can be reached again")
        answer = anna.uses_command("search", {"image": anna.attaches("a.jpg", sent(DOTTED))}).answer()
        service.until(lambda: page.shows('igsearch_connected{front_end="discord"}', 1))
        samples = page.samples
        health = stage.shell.igsearch("health", "--json", "discord", "telegram").objects[0]
        code = service.end()

    assert found(answer)
    assert samples['igsearch_searches_total{front_end="discord",verdict="match"}'] == 1
    assert samples['igsearch_connected{front_end="telegram"}'] == 0
    assert samples['igsearch_files_total{outcome="added"}'] == 1
    assert health["discord"]["healthy"]
    assert health["telegram"]["detail"] == "it is not connected: Telegram cannot be reached (NetworkError)"
    assert code == 0
