"""The settings, as one object: the only reader of the environment.

Each IGSEARCH_X may also be given as IGSEARCH_X_FILE, a path whose content is the value. The environment wins over
`.env` in the current folder. Reading removes the variables from the environment, so that no process started later
(workers decode hostile files) finds a token or password there.
"""

import os
import re
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from dotenv import dotenv_values
from pydantic import Field, PositiveInt, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from core.errors import SettingsError
from core.model.statuses import FrontEnd

PREFIX = "IGSEARCH_"
FILE_SUFFIX = "_FILE"
SYSTEM_VARIABLES = {"notify_socket": "NOTIFY_SOCKET"}
INTERVAL = re.compile(r"[1-9]\d*[smhd]")
CRON_FIELD = r"[0-9A-Za-z*/,\-]+"
CRON = re.compile(rf"{CRON_FIELD}(?: {CRON_FIELD}){{4}}")
MAX_PORT = 65_535
ADMIN = re.compile(r"(?:telegram|discord):\d{1,19}")
ID = re.compile(r"-?\d{1,19}")
TELEGRAM_TOKEN = re.compile(r"[^\s/?#%]+")
WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
WEB_ADDRESS = re.compile(r"https?://[^/\s]\S*")
LISTEN = re.compile(r"(?P<host>[^\s:/]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")

Ids = Annotated[tuple[int, ...], NoDecode]
Words = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """Every setting with its default; the names are those of the variables without IGSEARCH_, in lower case."""

    model_config = SettingsConfigDict(frozen=True, validate_default=False, hide_input_in_errors=True)

    dataset: Path = Path("images")
    database_url: SecretStr | None = None
    telegram_token: SecretStr | None = None
    telegram_api_url: str = "https://api.telegram.org"
    telegram_webhook_url: str = ""
    """The public address of the webhook; empty: long polling."""
    telegram_webhook_secret: SecretStr | None = None
    telegram_webhook_listen: str = "127.0.0.1:8088"
    discord_token: SecretStr | None = None
    settle_seconds: float = Field(default=2.0, ge=0, le=3600)
    rescan: str = "15m"
    allowed_chats: Ids = ()
    allowed_guilds: Ids = ()
    admins: Words = ()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"
    metrics_listen: str = ""
    """The address of the metrics for Prometheus: a port alone means 127.0.0.1; empty: no metrics."""
    notify_socket: str = ""
    """The socket of a service manager such as systemd; its variable is NOTIFY_SOCKET."""
    workers: PositiveInt = Field(default_factory=lambda: len(os.sched_getaffinity(0)))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_more: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the values that `load_settings` passes in."""
        return (init_settings,)

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: SecretStr | None) -> SecretStr | None:
        if url and (fault := _url_fault(url.get_secret_value())):
            raise ValueError(f"{fault}; write mysql://user:password@host:port/name or sqlite:///path")
        return url

    @field_validator("telegram_token")
    @classmethod
    def _token(cls, token: SecretStr | None) -> SecretStr | None:
        if token and not TELEGRAM_TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("it is not a token: copy the whole token that @BotFather sent, such as 123456:ABC-DEF")
        return token

    @field_validator("telegram_api_url", "telegram_webhook_url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        if not WEB_ADDRESS.fullmatch(url) or not _has_host(url):
            raise ValueError("write an address such as http://host:8081")
        return url.rstrip("/")

    @field_validator("telegram_webhook_secret")
    @classmethod
    def _secret_token(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret and not WEBHOOK_SECRET.fullmatch(secret.get_secret_value()):
            raise ValueError("write 1 to 256 letters, digits, _ and -")
        return secret

    @field_validator("telegram_webhook_listen")
    @classmethod
    def _listen(cls, address: str) -> str:
        if not _is_address(address):
            raise ValueError("write a host and a port, such as 127.0.0.1:8088")
        return address

    @field_validator("metrics_listen")
    @classmethod
    def _host_or_loopback(cls, address: str) -> str:
        full = f"127.0.0.1:{address}" if address.isdecimal() else address
        if not _is_address(full):
            raise ValueError("write a port, such as 9464, or a host and a port, such as 127.0.0.1:9464")
        return full

    @field_validator("rescan")
    @classmethod
    def _interval_or_cron(cls, rescan: str) -> str:
        if not INTERVAL.fullmatch(rescan) and not CRON.fullmatch(rescan):
            raise ValueError("write an interval such as 15m or 2h, or a cron expression of five fields")
        return rescan

    @field_validator("allowed_chats", "allowed_guilds", mode="before")
    @classmethod
    def _ids(cls, text: str) -> tuple[int, ...]:
        if text.strip() == "*":
            return ()
        if not all(ID.fullmatch(part) for part in _parts(text)):
            raise ValueError("write ids separated by commas, such as 123,-456")
        return tuple(map(int, _parts(text)))

    @field_validator("admins", mode="before")
    @classmethod
    def _admin_words(cls, text: str) -> tuple[str, ...]:
        if not all(ADMIN.fullmatch(part) for part in _parts(text)):
            raise ValueError("write telegram:ID or discord:ID, separated by commas")
        return tuple(_parts(text))

    @model_validator(mode="after")
    def _webhook_has_a_secret(self) -> Self:
        if self.telegram_webhook_url and not self.telegram_webhook_secret:
            raise ValueError(
                "IGSEARCH_TELEGRAM_WEBHOOK_SECRET: it is missing, but IGSEARCH_TELEGRAM_WEBHOOK_URL is set: without it"
                " anybody could send updates; write 1 to 256 letters, digits, _ and -"
            )
        return self

    @property
    def front_ends(self) -> tuple[FrontEnd, ...]:
        """The bots that have a token."""
        tokens: dict[FrontEnd, SecretStr | None] = {"telegram": self.telegram_token, "discord": self.discord_token}
        return tuple(name for name, token in tokens.items() if token)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The secrets that must not appear in any log."""
        secrets = (self.telegram_token, self.telegram_webhook_secret, self.discord_token)
        return tuple(secret.get_secret_value() for secret in secrets if secret)

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper_case(cls, level: str) -> str:
        return level.upper()


VARIABLES = frozenset(PREFIX + field.upper() for field in Settings.model_fields if field not in SYSTEM_VARIABLES)
FILE_VARIABLES = frozenset(name + FILE_SUFFIX for name in VARIABLES)


def default_database(dataset: Path) -> Path:
    """Return the SQLite file used if no database is set: beside the dataset folder, never in it."""
    return Path(os.path.abspath(dataset) + ".igsearch.db")


@dataclass(frozen=True, slots=True)
class Reading:
    """The settings as read, with their faults and sources."""

    settings: Settings
    """Wrong settings have their defaults."""
    faults: tuple[str, ...]
    """One per wrong setting, naming its variable."""
    in_environment: frozenset[str]
    """Variables set in the environment."""
    in_file: frozenset[str]
    """Variables set in `.env`."""
    secret_files: Mapping[str, Path]
    """Files that hold values, by their IGSEARCH_X_FILE variable."""


def load_settings(environment: MutableMapping[str, str] = os.environ, env_file: Path = Path(".env")) -> Settings:
    """Read the settings, and remove them from the environment.

    Raises SettingsError with every fault, each naming its variable.
    """
    reading = read_settings(environment, env_file)
    if reading.faults:
        raise SettingsError("Wrong settings. " + "; ".join(reading.faults) + ".")
    return reading.settings


def read_settings(environment: MutableMapping[str, str] = os.environ, env_file: Path = Path(".env")) -> Reading:
    """Read all settings that can be read, and remove them from the environment."""
    faults: list[str] = []
    in_file = _from_file(env_file, faults)
    values = _values(in_file, faults) | _values(environment, faults)
    ours = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    for name in (*ours, *SYSTEM_VARIABLES.values()):
        environment.pop(name, None)
    settings, wrong = _settled(values)
    return Reading(
        settings,
        (*faults, *wrong),
        frozenset(name for name, value in ours.items() if value),
        frozenset(name for name, value in in_file.items() if value and name.startswith(PREFIX)),
        {name: Path(value) for name, value in {**in_file, **ours}.items() if value and name in FILE_VARIABLES},
    )


def _settled(values: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Return the settings without the wrong values, and the faults of those."""
    try:
        return Settings.model_validate(values), []
    except ValidationError as error:
        faults = [_sentence(fault["loc"], fault["msg"]) for fault in error.errors()]
    sound = {field: value for field, value in values.items() if not any(_variable(field) in one for one in faults)}
    return _settled(sound if len(sound) < len(values) else {})[0], faults


def _from_file(env_file: Path, faults: list[str]) -> Mapping[str, str]:
    try:
        return {name: value for name, value in dotenv_values(env_file).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{env_file}: it cannot be read ({error})")
        return {}


def _values(variables: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    """Return the values of igsearch's variables by field; files are read, and empty values count as unset."""
    values: dict[str, str] = {}
    for field in Settings.model_fields:
        name = _variable(field)
        direct, file = variables.get(name, ""), variables.get(name + FILE_SUFFIX, "")
        if direct and file:
            faults.append(f"{name}: {name}{FILE_SUFFIX} is set too, set only one")
        if file and not direct:
            direct = _content(name + FILE_SUFFIX, file, faults)
        if direct:
            values[field] = direct
    return values


def _variable(field: str) -> str:
    return SYSTEM_VARIABLES.get(field, PREFIX + field.upper())


def _content(name: str, path: str, faults: list[str]) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{name}: the file {path} cannot be read ({getattr(error, 'strerror', None) or 'no text'})")
        return ""


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _is_address(text: str) -> bool:
    return bool(LISTEN.fullmatch(text)) and 0 < int(text.rpartition(":")[2]) <= MAX_PORT


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for an invalid port
    except ValueError:
        return False
    return bool(parts.hostname)


def _url_fault(url: str) -> str | None:
    """Explain what is wrong with a database URL, without showing it: it holds a password."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        _ = parts.port  # raises ValueError for an invalid port
    except ValueError:
        return "it is not a URL"
    if parts.scheme == "sqlite":
        return None if url.startswith("sqlite:///") and len(parts.path) > 1 and not options else "it names no file"
    if parts.scheme not in {"mysql", "mariadb"}:
        return "its scheme is unknown"
    if not parts.hostname and "unix_socket" not in options:
        return "it names no host"
    if not parts.path.strip("/"):
        return "it names no database"
    return None if options.keys() <= {"unix_socket"} else "its only option is ?unix_socket="


def _sentence(place: Sequence[int | str], message: str) -> str:
    """Return a fault as a sentence that names its variable; a fault of several settings names its own."""
    reason = message.removeprefix("Value error, ")
    return f"{PREFIX}{str(place[0]).upper()}: {reason}" if place else reason
