"""Settings: read once, wrong ones named all at once, secrets neither shown nor handed on."""

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import default_database, load_settings, read_settings

NOWHERE = Path("no-such.env")


def test_the_defaults_are_those_of_the_design() -> None:
    """Without any variable every setting has its documented default."""
    settings = load_settings({}, NOWHERE)

    assert settings.dataset == Path("images")
    assert settings.settle_seconds == 2
    assert (settings.rescan, settings.log_level, settings.log_format) == ("15m", "INFO", "text")
    assert (settings.allowed_chats, settings.allowed_guilds, settings.admins) == ((), (), ())
    assert settings.workers >= 1


def test_every_variable_is_taken() -> None:
    """Each documented variable sets its value."""
    settings = load_settings(
        {
            "IGSEARCH_DATASET": "/photos",
            "IGSEARCH_DATABASE_URL": "mysql://u:p@h:3306/n",
            "IGSEARCH_TELEGRAM_TOKEN": "1:telegram",
            "IGSEARCH_TELEGRAM_API_URL": "http://host:8081/",
            "IGSEARCH_DISCORD_TOKEN": "discord",
            "IGSEARCH_SETTLE_SECONDS": "0.5",
            "IGSEARCH_RESCAN": "*/5 * * * *",
            "IGSEARCH_ALLOWED_CHATS": "1, -100",
            "IGSEARCH_ALLOWED_GUILDS": "*",
            "IGSEARCH_ADMINS": "telegram:1,discord:2",
            "IGSEARCH_LOG_LEVEL": "debug",
            "IGSEARCH_LOG_FORMAT": "json",
            "IGSEARCH_WORKERS": "3",
        },
        NOWHERE,
    )

    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "mysql://u:p@h:3306/n"
    assert settings.telegram_api_url == "http://host:8081"
    assert (settings.allowed_chats, settings.allowed_guilds) == ((1, -100), ())
    assert settings.admins == ("telegram:1", "discord:2")
    assert (settings.log_level, settings.workers, settings.settle_seconds) == ("DEBUG", 3, 0.5)


def test_all_faults_are_named_at_once() -> None:
    """Every wrong variable is in the one message, with exit code 78."""
    wrong = {
        "IGSEARCH_DATABASE_URL": "postgres://x",
        "IGSEARCH_SETTLE_SECONDS": "soon",
        "IGSEARCH_RESCAN": "sometimes",
        "IGSEARCH_ALLOWED_CHATS": "me",
        "IGSEARCH_ADMINS": "root",
        "IGSEARCH_LOG_LEVEL": "loud",
        "IGSEARCH_LOG_FORMAT": "xml",
        "IGSEARCH_WORKERS": "0",
        "IGSEARCH_TELEGRAM_API_URL": "ftp:/x",
        "IGSEARCH_DISCORD_TOKEN_FILE": "/no/such/file",
    }

    with pytest.raises(SettingsError) as fault:
        load_settings(dict(wrong), NOWHERE)

    assert fault.value.exit_code == 78
    assert all(name in str(fault.value) for name in wrong)


def test_wrong_settings_have_their_defaults_and_the_rest_is_as_set(tmp_path: Path) -> None:
    """`igsearch doctor` goes on with what is right, also where two settings are wrong only together."""
    env_file = tmp_path / ".env"
    env_file.write_text("IGSEARCH_SETTLE_SECONDS=9\nIGSEARCH_LOG_FORMAT=\n")
    wrong = {"IGSEARCH_RESCAN": "sometimes", "IGSEARCH_TELEGRAM_WEBHOOK_URL": "https://bot.example/hook"}

    alone = read_settings({"IGSEARCH_RESCAN": "sometimes", "IGSEARCH_DISCORD_TOKEN_FILE": "/no/file"}, env_file)
    together = read_settings({**wrong, "IGSEARCH_RESCAN": "1h"}, env_file)

    assert [fault.split(":")[0] for fault in alone.faults] == ["IGSEARCH_DISCORD_TOKEN_FILE", "IGSEARCH_RESCAN"]
    assert [fault.split(":")[0] for fault in together.faults] == ["IGSEARCH_TELEGRAM_WEBHOOK_SECRET"]
    assert (alone.settings.rescan, alone.settings.settle_seconds) == ("15m", 9)
    assert (together.settings.rescan, together.settings.telegram_webhook_url) == ("1h", "")
    assert alone.in_file == frozenset({"IGSEARCH_SETTLE_SECONDS"})
    assert alone.secret_files == {"IGSEARCH_DISCORD_TOKEN_FILE": Path("/no/file")}


def test_a_value_may_be_in_a_file(tmp_path: Path) -> None:
    """IGSEARCH_X_FILE names a file whose content, without the line's end, is the value; both at once is a fault."""
    secret = tmp_path / "token"
    secret.write_text("12:abc\n")

    settings = load_settings({"IGSEARCH_TELEGRAM_TOKEN_FILE": str(secret)}, NOWHERE)

    assert settings.telegram_token is not None
    assert settings.telegram_token.get_secret_value() == "12:abc"
    with pytest.raises(SettingsError, match="IGSEARCH_TELEGRAM_TOKEN"):
        load_settings({"IGSEARCH_TELEGRAM_TOKEN_FILE": str(secret), "IGSEARCH_TELEGRAM_TOKEN": "x"}, NOWHERE)


def test_the_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    """A variable of the environment hides the one in .env."""
    env_file = tmp_path / ".env"
    env_file.write_text("IGSEARCH_RESCAN=1h\nIGSEARCH_WORKERS=7\nOTHER=1\n")

    settings = load_settings({"IGSEARCH_RESCAN": "5m"}, env_file)

    assert (settings.rescan, settings.workers) == ("5m", 7)


def test_reading_takes_the_variables_out_of_the_environment() -> None:
    """After reading, no IGSEARCH_ variable is left for other processes to find, and all others are."""
    environment = {"IGSEARCH_DISCORD_TOKEN": "secret", "IGSEARCH_UNKNOWN": "1", "HOME": "/root"}

    load_settings(environment, NOWHERE)

    assert environment == {"HOME": "/root"}


def test_secrets_are_not_shown() -> None:
    """Neither the repr of the settings nor a fault holds a token or password."""
    variables = {"IGSEARCH_DATABASE_URL": "mysql://u:hush@h/n", "IGSEARCH_TELEGRAM_TOKEN": "hush"}

    shown = repr(load_settings(dict(variables), NOWHERE))
    with pytest.raises(SettingsError) as fault:
        load_settings({"IGSEARCH_DATABASE_URL": "postgres://u:hush@h/n", "IGSEARCH_WORKERS": "x"}, NOWHERE)

    assert "hush" not in shown
    assert "hush" not in str(fault.value)


@pytest.mark.parametrize("dataset", ["images", "images/", "./images", "x/../images"])
def test_the_default_database_lies_beside_the_dataset(dataset: str) -> None:
    """Without a URL the database is <dataset>.igsearch.db beside the folder, never in it."""
    assert default_database(Path(dataset)) == Path.cwd() / "images.igsearch.db"


def test_a_webhook_needs_a_secret() -> None:
    """Without one anybody could send updates; the fault names the variable that is missing, and only that."""
    url = {"IGSEARCH_TELEGRAM_WEBHOOK_URL": "https://bot.example/hook"}

    with pytest.raises(SettingsError) as fault:
        load_settings(dict(url), NOWHERE)

    assert "IGSEARCH_TELEGRAM_WEBHOOK_SECRET" in str(fault.value)
    assert load_settings({**url, "IGSEARCH_TELEGRAM_WEBHOOK_SECRET": "a-Z_9"}, NOWHERE).tokens == ("a-Z_9",)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("", ""),
        ("9464", "127.0.0.1:9464"),
        ("0.0.0.0:9464", "0.0.0.0:9464"),
        ("[::]:1", "[::]:1"),
        ("localhost:65535", "localhost:65535"),
    ],
)
def test_metrics_listen_on_loopback_unless_told_otherwise(said: str, meant: str) -> None:
    """A port alone is one that no other machine reaches; without the setting nobody listens."""
    assert load_settings({"IGSEARCH_METRICS_LISTEN": said}, NOWHERE).metrics_listen == meant


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEGRAM_TOKEN", "12:with space"),
        ("TELEGRAM_TOKEN", "12:with/slash"),
        ("TELEGRAM_WEBHOOK_URL", "ftp://bot.example"),
        ("TELEGRAM_WEBHOOK_SECRET", "not allowed!"),
        ("TELEGRAM_WEBHOOK_LISTEN", "8443"),
        ("TELEGRAM_WEBHOOK_LISTEN", "127.0.0.1:99999"),
        ("TELEGRAM_API_URL", "api.telegram.org"),
        ("METRICS_LISTEN", "65536"),
        ("METRICS_LISTEN", "everywhere"),
        ("METRICS_LISTEN", ":8080"),
        ("METRICS_LISTEN", "http://127.0.0.1:8080"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(name: str, value: str) -> None:
    """Each fault says which variable is wrong; a token or secret is never repeated."""
    with pytest.raises(SettingsError, match=f"IGSEARCH_{name}") as fault:
        load_settings({f"IGSEARCH_{name}": value}, NOWHERE)

    assert value not in str(fault.value)
