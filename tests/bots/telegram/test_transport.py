"""How the bot talks to Telegram: its token is shown nowhere, addresses are made by us, troubles are said once."""

import logging
from pathlib import Path

import pytest
from telegram import File
from telegram.error import Conflict, NetworkError

from answers.downloads import DownloadFailed
from bots.telegram.transport import PollFailures, Webhook, address_of, listen, new_bot, poll, receiver, refused_token

TOKEN = "123:secret-part"
API = "http://127.0.0.1:1"


def test_a_bot_does_not_show_its_token() -> None:
    """Neither its repr, nor what is printed of a thing that holds it."""
    bot = new_bot(TOKEN, API)

    assert "secret-part" not in f"{bot!r} {bot} {[bot]}"
    assert "secret-part" not in str(refused_token())


@pytest.mark.parametrize("path", ["photos/file_1.jpg", f"{API}/file/bot{TOKEN}/photos/file_1.jpg"])
def test_a_file_is_downloaded_and_never_read_from_our_disk(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library reads a file of the current folder that has the path which the server names; we do not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/file_1.jpg").write_bytes(b"ours")

    address = address_of(File("id", "unique", file_path=path), new_bot(TOKEN, API))

    assert address == f"{API}/file/bot{TOKEN}/photos/file_1.jpg"


@pytest.mark.parametrize("path", [None, "", "/var/lib/telegram-bot-api/x.jpg"])
def test_a_server_that_names_a_file_of_its_disk_is_refused(path: str | None) -> None:
    """As one that runs with --local does: its files are not ours to read."""
    with pytest.raises(DownloadFailed):
        address_of(File("id", "unique", file_path=path), new_bot(TOKEN, API))


def test_a_webhook_is_used_where_one_is_set() -> None:
    """Without an address the bot asks for its updates; with one it listens, on IPv6 too."""
    assert receiver("", secret="", address="127.0.0.1:1") is poll
    webhook = receiver("https://bot.example/hook", secret="s", address="[::1]:8443")

    assert webhook.func is listen  # type: ignore[attr-defined]
    assert webhook.args == (Webhook("https://bot.example/hook", "s", "::1", 8443),)  # type: ignore[attr-defined]


def test_a_trouble_is_said_once_and_rests_grow(caplog: pytest.LogCaptureFixture) -> None:
    """The same failure again is not logged again; rests grow up to 5 s, and begin anew when it is over."""
    caplog.set_level(logging.INFO)
    failures = PollFailures(lambda: 0.0)

    rests = [failures.pause(NetworkError("away")) for _ in range(6)]
    failures.clear()

    assert rests == [0.5, 1, 2, 4, 5, 5]
    assert [record.message for record in caplog.records] == [
        "Telegram gives no updates (NetworkError: away): trying again until it does",
        "Telegram gives updates again",
    ]
    assert failures.pause(NetworkError("away")) == 0.5


def test_a_conflict_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A second program with the same token makes every other question fail."""
    now = [0.0]
    failures = PollFailures(lambda: now[0])

    for second in range(0, 135, 5):
        now[0] = second
        failures.pause(Conflict("terminated"))

    assert sum("another program" in record.message for record in caplog.records) == 3
