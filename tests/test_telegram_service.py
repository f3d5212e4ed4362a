"""The Telegram bot as its operator meets it: starts, ends, outages, settings, secrets; the real process each time."""

import os
import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.accounts import DOTTED, DUNDER, SHARED, STRANGER, copied_dataset, cropped, indexed_dataset, jpeg, sent
from tests.fakes.telegram.bot_api import BotApi, bot_api
from tests.fakes.telegram.chats import BotMessage
from tests.fakes.telegram.stage import Stage
from tests.mariadb import MariaDB, free_port
from tests.metrics_page import Page
from tests.pictures import bombs
from tests.shell import Service, Shell

pytestmark = pytest.mark.waits

AWAY = "My index cannot be reached just now: try again in a minute."
VERDICTS = 'igsearch_searches_total{front_end="telegram",verdict="'
STEPS = 'igsearch_search_seconds_count{front_end="telegram",step="'
END = '"}'
CONNECTED = 'igsearch_connected{front_end="telegram"}'
RESTARTED = "I am restarting: send the picture again in a minute."
FOREIGN = "This bot serves certain chats only: give its operator the number {} to be admitted."
NUMBERS = count()
MEGABYTE = 1 << 20


@pytest.fixture
def api() -> Iterator[BotApi]:
    with bot_api() as api:
        yield api


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Return a shell with an indexed dataset, for bots that only read it."""
    return copied_dataset(tmp_path_factory, tmp_path_factory.mktemp("service"))


@pytest.fixture
def stage(indexed: Shell, api: BotApi) -> Stage:
    return Stage(indexed, api)


@pytest.fixture
def server_variables(mariadb: MariaDB) -> dict[str, str]:
    return {"IGSEARCH_DATABASE_URL": mariadb.create_database(f"telegram_{next(NUMBERS)}")}


def usernames(answer: BotMessage) -> list[str]:
    return [mark.text for mark in answer.entities if mark.kind == "text_link"]


def descendants(pid: int) -> list[int]:
    """Return a process and all that it started."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


# Starts and ends


def test_buttons_work_after_a_restart(stage: Stage) -> None:
    """What a button needs is in the database: another process turns the page and shows the picture."""
    anna = stage.api.person()
    with stage.bot() as first:
        answer = anna.answer_to(anna.sends_photo(jpeg(SHARED)))
        assert first.end() == 0

    with stage.bot():
        pressed = anna.presses(answer, "Page 2 of 3 ›").answer()
        stage.api.until(lambda: "11. " in answer.text, what="the second page")
        anna.presses(answer, "🖼 11")
        shown = anna.answer_to(answer)

    assert pressed.seconds < 1
    assert shown.photo is not None


def test_the_start_waits_for_telegram(stage: Stage) -> None:
    """A bot that starts before the network says so and answers as soon as Telegram is there."""
    stage.api.stop()
    anna = stage.api.person()

    with stage.starting_bot() as service:
        service.until_said("start: Telegram cannot be reached")
        stage.api.start()
        answer = anna.answer_to(anna.sends_photo(sent(DUNDER)))

    assert usernames(answer) == ["__dunder__"]


def test_an_outage_of_telegram_is_waited_out(stage: Stage) -> None:
    """When Telegram goes and comes back, the bot goes on by itself, and says both once."""
    anna = stage.api.person()
    with stage.bot() as service:
        anna.answer_to(anna.sends_text("/help"))
        stage.api.stop()
        service.until_said("Telegram gives no updates")
        stage.api.start()

        answer = anna.answer_to(anna.sends_photo(sent(DUNDER)))
        service.until_said("Telegram gives updates again")

    assert usernames(answer) == ["__dunder__"]


def test_a_second_program_with_the_same_token_is_named(stage: Stage) -> None:
    """A 409 is told as what it is, once, and the bot goes on when the other has ended."""
    anna = stage.api.person()
    with stage.bot() as service:
        httpx.get(f"{stage.api.url}/bot{stage.api.token}/getUpdates", params={"timeout": 0})
        httpx.get(f"{stage.api.url}/bot{stage.api.token}/getUpdates", params={"timeout": 0})
        answer = anna.answer_to(anna.sends_photo(sent(DUNDER)))

        service.until_said("another program asks for this bot's updates: stop it")

    assert usernames(answer) == ["__dunder__"]
    assert service.log.count("another program asks") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_finishes_what_is_in_progress(stage: Stage, number: signal.Signals) -> None:
    """A signal ends the bot with 0 within 10 s: downloads in progress are answered, others are asked to retry."""
    anna, bob = stage.api.person(), stage.api.person(first_name="Bob")
    stage.api.hang("file", seconds=2, times=8)
    with stage.bot() as service:
        questions = [anna.sends_photo(sent(DUNDER)) for _ in range(12)]
        bob.answer_to(bob.sends_text("/help"))
        stage.api.until(lambda: len(stage.api.calls_of("getFile")) == 8, what="eight downloads")
        began = time.monotonic()

        code = service.end(number)

    answers = [anna.answer_to(question).text.splitlines()[0] for question in questions]
    assert code == 0
    assert time.monotonic() - began < 10
    assert answers == ["Found: 1 account"] * 8 + [RESTARTED] * 4


def test_the_end_does_not_wait_for_a_download_that_hangs(stage: Stage) -> None:
    """Who waits for a download that takes too long is asked to come again, before the bot ends with 0."""
    anna = stage.api.person()
    stage.api.hang("file", seconds=60)
    with stage.bot() as service:
        question = anna.sends_photo(sent(DUNDER))
        stage.api.until(lambda: bool(stage.api.calls_of("getFile")), what="the download")

        code = service.end()

    assert code == 0
    assert anna.answer_to(question).text == RESTARTED


def test_an_update_that_is_not_understood_is_passed_over(stage: Stage) -> None:
    """What no library knows yet, or a hostile server makes up, silences nobody, and is in no log."""
    anna, mallory = stage.api.person(), stage.api.person(first_name="Mallory")
    with stage.bot() as service:
        contents: list[dict[str, object]] = [{"document": {"file_name": "x"}}, {"photo": [{}]}, {"live_photo": {}}]
        with stage.api.telegram.changed:
            for content in contents:
                message = {"message_id": 1, "date": 0, "chat": mallory.chat.raw, "from": mallory.raw, **content}
                stage.api.telegram.updates.put("message", message)
        answer = anna.answer_to(anna.sends_photo(sent(DUNDER)))
        again = anna.answer_to(anna.sends_photo(sent(DOTTED)))

    assert (usernames(answer), usernames(again)) == (["__dunder__"], ["a.b_c"])
    assert "is not understood" in service.log
    assert "Mallory" not in service.log


@pytest.mark.parametrize(
    "body", ['{"ok": true, "result": {}}', '{"ok": true, "result": null}', "[]", "", "<html></html>"]
)
def test_answers_that_are_not_telegrams_are_lived_through(stage: Stage, body: str) -> None:
    """A proxy may answer anything with 200: it is asked again."""
    anna = stage.api.person()
    with stage.bot():
        anna.answer_to(anna.sends_text("/help"))
        stage.api.fail("getUpdates", status=200, body=body)
        stage.api.fail("getUpdates", status=404)

        answer = anna.answer_to(anna.sends_photo(sent(DUNDER)))

    assert usernames(answer) == ["__dunder__"]


def test_a_button_of_an_older_database_hits_no_other_reply(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, api: BotApi
) -> None:
    """When the database was made anew, old buttons get a hint, however many replies there are by then."""
    stage = Stage(copied_dataset(tmp_path_factory, tmp_path), api)
    anna = api.person()
    with stage.bot():
        old = anna.answer_to(anna.sends_photo(jpeg(SHARED)))
    for file in tmp_path.glob("images.igsearch.db*"):
        file.unlink()
    assert stage.shell.igsearch("index", "--dataset", "images").code == 0

    with stage.bot():
        anna.answer_to(anna.sends_photo(sent(DOTTED)))
        hint = anna.presses(old, "Page 2 of 3 ›").answer()

    assert hint.text.startswith("This button is too old")
    assert "a.b_c" not in old.text


def test_updates_that_were_answered_are_not_answered_again(stage: Stage) -> None:
    """The end confirms what was read: the next start does not get it again."""
    anna = stage.api.person()
    with stage.bot() as service:
        question = anna.sends_photo(sent(DUNDER))
        anna.answer_to(question)
        service.end()

    with stage.bot():
        anna.answer_to(anna.sends_text("/help"))

    assert len(anna.answers_to(question)) == 1


# Settings


def test_a_token_that_is_missing_or_refused_ends_with_78(stage: Stage) -> None:
    """One line says which variable is wrong; the token is in no word of it."""
    missing = stage.shell.igsearch("telegram", "--dataset", "images")
    wrong = "42:Not-The-Token"
    refused = stage.shell.igsearch(
        "telegram", "--dataset", "images", variables={**stage.variables(), "IGSEARCH_TELEGRAM_TOKEN": wrong}
    )

    for ended in (missing, refused):
        assert ended.code == 78
        assert "IGSEARCH_TELEGRAM_TOKEN: " in ended.err.splitlines()[-1]
    assert "Not-The-Token" not in refused.out + refused.err


def test_a_token_that_is_revoked_later_is_told(stage: Stage) -> None:
    """A bot whose token ends to work says so instead of falling silent."""
    with stage.bot() as service:
        stage.api.fail("getUpdates", status=401, times=100)
        stage.api.person().sends_text("/help")  # ends the question that waits
        service.until_said("IGSEARCH_TELEGRAM_TOKEN: Telegram refuses it")


def test_only_allowed_chats_are_served(stage: Stage) -> None:
    """Others hear one sentence when they ask, and nothing is downloaded for them; admins are always served."""
    anna, bob, admin = (stage.api.person(first_name=name) for name in ("Anna", "Bob", "Admin"))
    group = stage.api.group()
    variables = {"IGSEARCH_ALLOWED_CHATS": f"{anna.id}", "IGSEARCH_ADMINS": f"telegram:{admin.id}"}

    with stage.bot(**variables):
        refused = [
            bob.answer_to(bob.sends_photo(sent(DUNDER))).text,
            bob.answer_to(bob.sends_text("/search@igsearch_bot", chat=group)).text,
        ]
        bob.sends_text("hello all", chat=group)
        before = len(stage.api.calls_of("getFile"))
        served = [usernames(one.answer_to(one.sends_photo(sent(DUNDER)))) for one in (anna, admin)]

    assert refused == [FOREIGN.format(bob.id), FOREIGN.format(group.id)]
    assert before == 0
    assert served == [["__dunder__"]] * 2
    assert len(group.bot_messages) == 1


def test_a_webhook_brings_the_updates(stage: Stage) -> None:
    """With a URL and a secret Telegram calls us; a call without the secret is refused and does nothing."""
    port = 31_999 - next(NUMBERS)
    url = f"http://127.0.0.1:{port}/hook"
    variables = {
        "IGSEARCH_TELEGRAM_WEBHOOK_URL": url,
        "IGSEARCH_TELEGRAM_WEBHOOK_SECRET": "only-telegram-knows",
        "IGSEARCH_TELEGRAM_WEBHOOK_LISTEN": f"127.0.0.1:{port}",
    }
    anna = stage.api.person()

    with stage.bot(**variables) as service:
        answer = anna.answer_to(anna.sends_photo(sent(DUNDER)))
        forged = httpx.post(url, json={"update_id": 1, "message": {}}, headers={})
        service.end()

    assert usernames(answer) == ["__dunder__"]
    assert forged.status_code == 403
    assert "only-telegram-knows" not in service.log
    assert stage.api.calls_of("getUpdates") == []


def test_run_watches_and_answers_in_one_process(tmp_path: Path, api: BotApi) -> None:
    """`igsearch run` with a token: a photo that is dropped is found by the bot seconds later, and both end together.

    Meanwhile both are well, and an account that is forgotten is in the very next answer no more.
    """
    stage = Stage(Shell(tmp_path), api)
    stage.shell.put("images/anna/1.jpg", jpeg(DOTTED))
    person = api.person()

    with stage.bot("run", "--dataset", "images") as service:
        service.until(lambda: stage.shell.images() == 1)
        stage.shell.put("images/bob/2.jpg", jpeg(DUNDER))
        service.until(lambda: stage.shell.images() == 2)
        answer = person.answer_to(person.sends_photo(sent(DUNDER)))
        service.until(lambda: stage.shell.igsearch("health", "indexer", "telegram").code == 0)
        stage.shell.igsearch("forget", "bob")
        unnamed = person.answer_to(person.sends_photo(sent(DUNDER)))
        code = service.end()

    assert usernames(answer) == ["bob"]
    assert usernames(unnamed) == []
    assert code == 0
    assert stage.shell.igsearch("health", "telegram").lines[1].startswith("failing telegram  it was stopped at")


def test_a_bot_that_fails_does_not_stop_the_indexer(tmp_path: Path, api: BotApi) -> None:
    """With a token that Telegram refuses, `igsearch run` goes on indexing and says what is wrong."""
    stage = Stage(Shell(tmp_path), api)
    stage.shell.put("images/anna/1.jpg", jpeg(DOTTED))
    wrong = {"IGSEARCH_TELEGRAM_TOKEN": "42:wrong"}

    with stage.starting_bot("run", "--dataset", "images", **wrong) as service:
        service.until_said("the Telegram bot ended: IGSEARCH_TELEGRAM_TOKEN: Telegram refuses it")
        service.until(lambda: stage.shell.images() == 1)
        assert service.end() == 0


# Outages of the database


@pytest.mark.parametrize("kind", ["stopped", "frozen"])
def test_a_database_that_is_away_is_told_within_5_s(
    mariadb: MariaDB, server_variables: dict[str, str], tmp_path: Path, api: BotApi, kind: str
) -> None:
    """Photos, commands and buttons get a sentence while it is away; when it is back the bot answers by itself."""
    stage = Stage(indexed_dataset(tmp_path, server_variables), api)
    anna, bob = api.person(), api.person(first_name="Bob")
    with stage.bot(**server_variables) as service:
        answer = anna.answer_to(anna.sends_photo(sent(DUNDER)))
        (mariadb.stop if kind == "stopped" else mariadb.freeze)()
        try:
            waits = []
            for person in (anna, bob, anna):
                began = time.monotonic()
                assert person.answer_to(person.sends_photo(sent(DOTTED))).text == AWAY
                waits.append(time.monotonic() - began)
            pressed = anna.presses(answer, "Wrong?").answer()
            said = anna.answer_to(anna.sends_text("/stats")).text
        finally:
            (mariadb.start if kind == "stopped" else mariadb.thaw)()
        service.until_said("the index can be reached again")
        again = anna.answer_to(anna.sends_photo(sent(DOTTED)))

    assert max(waits) < 5
    assert (pressed.text, pressed.seconds < 1) == (
        "My index cannot be reached just now: try again in a minute.",
        True,
    )
    assert said == AWAY
    assert usernames(again) == ["a.b_c"]


def test_a_bot_may_start_before_its_tables(server_variables: dict[str, str], tmp_path: Path, api: BotApi) -> None:
    """In an empty database there is nothing to search yet: people hear that, and the first index ends it."""
    stage = Stage(Shell(tmp_path), api)
    stage.shell.put("images/anna/1.jpg", jpeg(DUNDER))
    anna = api.person()

    with stage.bot(**server_variables) as service:
        early = anna.answer_to(anna.sends_photo(sent(DUNDER))).text
        indexed = stage.shell.igsearch("index", "--dataset", "images", variables=server_variables)
        service.until_said("the index can be reached again")
        late = anna.answer_to(anna.sends_photo(sent(DUNDER)))

    assert indexed.code == 0
    assert early == AWAY
    assert usernames(late) == ["anna"]


# Metrics


def test_prometheus_is_told_of_every_answer(stage: Stage) -> None:
    """A photo that is found, one that is not and one that is none count under their verdicts, with their steps."""
    page = Page(free_port())
    anna = stage.api.person()
    with stage.bot(IGSEARCH_METRICS_LISTEN=str(page.port)) as service:
        anna.answer_to(anna.sends_photo(cropped(DUNDER)))
        anna.answer_to(anna.sends_photo(sent(STRANGER)))
        anna.answer_to(anna.sends_document(b"no picture", file_name="a.jpg", mime_type="image/jpeg"))
        service.until(lambda: page.shows(f"{STEPS}whole{END}", 3) and page.shows(CONNECTED, 1))
        text, samples = page.text, page.samples

    verdicts = {verdict: samples[f"{VERDICTS}{verdict}{END}"] for verdict in ("match", "none", "error")}
    steps = [samples[f"{STEPS}{step}{END}"] for step in ("download", "reading", "search", "reply", "whole")]
    assert verdicts == {"match": 1, "none": 1, "error": 1}
    assert samples['igsearch_faults_total{fault="unsupported",front_end="telegram"}'] == 1
    assert steps == [2, 2, 2, 3, 3]
    assert samples['igsearch_index_images{index="light"}'] == samples['igsearch_index_images{index="deep"}'] == 3
    assert samples["process_resident_memory_bytes"] > MEGABYTE
    assert not [word for word in (stage.api.token, "dunder", ".jpg", str(anna.id), "discord") if word in text]
    assert "metrics are at http://127.0.0.1:" in service.log


# Secrets


def test_query_images_are_never_written(server_variables: dict[str, str], tmp_path: Path, api: BotApi) -> None:
    """A bot whom the system lets write no more than 100 bytes to any file answers all the same, albums included."""
    stage = Stage(indexed_dataset(tmp_path, server_variables), api)
    variables = {**stage.variables(), **server_variables}
    anna = api.person()

    with stage.shell.service(
        "telegram", "--dataset", "images", variables=variables, prefix=("prlimit", "--fsize=100")
    ) as service:
        answer = anna.answer_to(anna.sends_photo(cropped(DUNDER)))
        anna.presses(answer, "Show the picture")
        shown = anna.answer_to(answer)
        album = anna.answer_to(anna.sends_album([sent(DUNDER), sent(DOTTED)])[0])

    assert len(service.log) <= 100
    assert usernames(answer) == ["__dunder__"]
    assert shown.photo is not None
    assert usernames(album) == ["__dunder__", "a.b_c"]


def test_query_images_are_told_to_nobody(stage: Stage) -> None:
    """At the chattiest level no log line holds any of a query image, nor does anything that the bot sends or leaves."""
    mark = b"only-in-the-query-image"
    anna = stage.api.person()

    with stage.bot(IGSEARCH_LOG_LEVEL="DEBUG") as service:
        answer = anna.answer_to(anna.sends_photo(cropped(DUNDER) + mark, caption=mark.decode()))
        anna.presses(answer, "Show the picture")
        anna.answer_to(answer)
        anna.answer_to(anna.sends_document(mark, file_name=f"{mark.decode()}.jpg", mime_type="image/jpeg"))
        service.end()

    assert mark.decode() not in service.log
    assert [mark in data for call in stage.api.calls for data in call.files.values()] == [False]
    assert not any(mark in file.read_bytes() for file in stage.shell.folder.rglob("*") if file.is_file())


def test_the_token_is_nowhere(stage: Stage) -> None:
    """At the chattiest level, through faults of every kind, the token is in no line, metric or process argument."""
    anna = stage.api.person()
    token = stage.api.token
    arguments: set[str] = set()
    page = Page(free_port())
    chatty = {"IGSEARCH_LOG_LEVEL": "DEBUG", "IGSEARCH_LOG_FORMAT": "json"}

    with stage.bot(**chatty, IGSEARCH_METRICS_LISTEN=str(page.port)) as service:
        for method in ("getUpdates", "sendMessage", "getFile", "file", "answerCallbackQuery", "sendChatAction"):
            stage.api.fail(method, status=502, body=f"<html>{token}</html>")
            answer = anna.answer_to(anna.sends_photo(sent(DUNDER)))
        anna.presses(answer, "Wrong?")
        for method in ("sendMessage", "file"):
            stage.api.drop(method)
        anna.answer_to(anna.sends_photo(sent(DUNDER)))
        stage.api.fail("sendMessage", status=400, description=f"Bad Request: {token}")
        anna.sends_photo(sent(DUNDER))
        stage.api.fail("getFile", status=400, description=f"Bad Request: {token}")
        anna.answer_to(anna.sends_photo(sent(DOTTED)))
        stage.api.stop()
        service.until_said("Telegram gives no updates")
        stage.api.start()
        anna.answer_to(anna.sends_text("/help"))
        for pid in descendants(service.process.pid):
            arguments.add(Path(f"/proc/{pid}/cmdline").read_text(errors="replace"))
        metrics = page.text
        service.end()

    assert len(arguments) > 1
    assert token not in "".join(arguments)
    assert token.split(":")[1] not in service.log + metrics


# Load


def test_hostile_pictures_cost_little_memory(stage: Stage) -> None:
    """Files that ask a plain reader for gigabytes or minutes get an answer each, and the bot stays small."""
    anna = stage.api.person()
    with stage.bot() as service:
        anna.answer_to(anna.sends_photo(sent(DUNDER)))
        before = resident(service)
        questions = [
            anna.sends_document(make(), file_name="a.jpg", mime_type="image/jpeg") for make in bombs().values()
        ]

        said = {anna.answer_to(question, seconds=60).text.splitlines()[0] for question in questions}
        grown = resident(service) - before

    assert said <= {
        "This picture is too large: send it as a photo, or a smaller copy.",
        "This picture is damaged and cannot be read: send another copy.",
        "This picture takes too long to read: save it again and send the copy.",
        "Too little detail to search: send a picture that shows more.",
    }
    assert grown < 100 * MEGABYTE


def resident(service: Service) -> int:
    """Return the bytes that the bot's own process has in memory."""
    pages = int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
