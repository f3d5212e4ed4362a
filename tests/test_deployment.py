"""What is deployed: docker-compose.yml, the Dockerfile, the database users, the systemd units, and .env.example.

Nothing here needs a container engine.
"""

import os
import re
import shutil
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pymysql
import pytest
import typer
from pydantic import SecretStr

from core.settings import FILE_SUFFIX, PREFIX, SYSTEM_VARIABLES, Settings, load_settings
from core.storage.database import Database
from core.storage.store import Store
from core.storage.tables import metadata
from core.workers.tasks import VERSIONS
from igsearch import app
from tests.compose import (
    FILE,
    ROOT,
    SECRETS_FOLDER,
    VARIABLE,
    Json,
    compose,
    is_lasting,
    is_ours,
    variables_of_compose,
)
from tests.core.storage.test_store import remember, write
from tests.mariadb import MariaDB

DEPLOY = ROOT / "deploy"
DOCKERFILE = ROOT / "Dockerfile"
UNITS = DEPLOY / "systemd"
HARDENING = UNITS / "igsearch-.service.d/50-common.conf"
EXAMPLE = ROOT / ".env.example"

SERVICES: dict[str, Json] = compose()["services"]
OURS = [name for name, service in SERVICES.items() if is_ours(service)]
LASTING = [name for name in OURS if is_lasting(SERVICES[name])]
BOTS = ["telegram", "discord"]

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SETTINGS = {SYSTEM_VARIABLES.get(field, PREFIX + field.upper()): field for field in Settings.model_fields}
OURS_TO_SET = {name for name in SETTINGS if name.startswith(PREFIX)}
SECRET_SETTINGS = {name for name, field in SETTINGS.items() if "SecretStr" in str(Settings.model_fields[field])}
WELL_KNOWN = {"TZ"}

SECOND = {"s": 1, "m": 60}
NUMBERS = count()
ROLES = ("indexer", "bot", "migration")
BOT_TABLES = {"replies", "reply_matches", "reports", "front_ends"}
TABLES = sorted({*metadata.tables, "alembic_version"})
DENIED = {1044, 1142}
"""What MySQL says where a right on a database or a table is missing."""


def seconds(duration: str) -> int:
    return int(duration[:-1]) * SECOND[duration[-1]]


def mounts(service: Json) -> dict[str, Json]:
    """Return what a service mounts, by where."""
    return {mount["target"]: mount for mount in service.get("volumes", [])}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    """No service is root, can become root, writes its disk outside of volumes, or has a port outside."""
    service = SERVICES[name]

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all({"noexec", "nosuid", "nodev"} <= set(mount.split(",")) for mount in service["tmpfs"])
    assert any(mount.startswith("/tmp:size=") for mount in service["tmpfs"])  # noqa: S108 - that of a container
    assert not {"privileged", "cap_add", "ports", "devices", "pid", "ipc", "network_mode"} & service.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_limits(name: str) -> None:
    """Memory, processes and the log of every service end somewhere, and each log line of ours is JSON."""
    service = SERVICES[name]

    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["pids_limit"] <= 512
    assert service["logging"]["driver"] == "json-file"
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()
    assert not is_ours(service) or service["environment"]["IGSEARCH_LOG_FORMAT"] == "json"


@pytest.mark.parametrize("name", ["mysql", *LASTING])
def test_a_service_comes_back_and_may_end_in_peace(name: str) -> None:
    """Every service is started again when it fails, and has 10 s and more to end."""
    service = SERVICES[name]

    assert service["restart"] == "unless-stopped"
    assert seconds(service["stop_grace_period"]) > 10


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_of_igsearch(name: str) -> None:
    """What a service runs is a command, and how it is is asked of `igsearch health`."""
    service = SERVICES[name]

    assert service["command"][0] in COMMANDS
    if is_lasting(service):
        assert service["healthcheck"]["test"] == ["CMD", "igsearch", "health", name]
        assert "health" in COMMANDS
        assert seconds(service["healthcheck"]["start_period"]) >= 60


def test_mysql_is_asked_by_its_network() -> None:
    """MySQL counts as there when it listens for others, which it does not while it is made."""
    test = SERVICES["mysql"]["healthcheck"]["test"]

    assert test[:2] == ["CMD", "mysqladmin"]
    assert "--host=127.0.0.1" in test


@pytest.mark.parametrize("name", OURS)
def test_a_service_knows_what_it_is_told(name: str) -> None:
    """Each variable of a service is a setting, and all but the secrets are told."""
    told = SERVICES[name]["environment"]
    names = {variable.removesuffix(FILE_SUFFIX) for variable in told}

    assert names <= OURS_TO_SET | WELL_KNOWN
    assert not SECRET_SETTINGS & told.keys()
    assert names >= OURS_TO_SET - SECRET_SETTINGS


def test_settings_are_handed_on_under_their_names() -> None:
    """What a service is told from .env is the variable of the same name."""
    lines = re.findall(r"^  (IGSEARCH_\w+): (.*)$", FILE.read_text(), re.MULTILINE)
    handed_on = [(name, match) for name, value in lines if (match := VARIABLE.fullmatch(value))]

    assert len(handed_on) > 10
    assert all(name == match["name"] for name, match in handed_on)


@pytest.mark.parametrize("name", OURS)
def test_a_secret_is_a_file(name: str) -> None:
    """Each secret of a service is a file that its variable names, and no other is handed to it."""
    service = SERVICES[name]
    files = {variable: path for variable, path in service["environment"].items() if variable.endswith(FILE_SUFFIX)}

    assert {variable.removesuffix(FILE_SUFFIX) for variable in files} <= SECRET_SETTINGS
    assert sorted(files.values()) == sorted(f"{SECRETS_FOLDER}/{secret}" for secret in service["secrets"])
    assert f"{PREFIX}DATABASE_URL{FILE_SUFFIX}" in files


def test_each_role_has_its_own_database_user() -> None:
    """The bots share the user that reads, and no service has the rights of another."""
    urls = {name: SERVICES[name]["environment"]["IGSEARCH_DATABASE_URL_FILE"].rpartition("_")[2] for name in OURS}

    assert urls == {"migrate": "migration", "indexer": "indexer", "telegram": "bot", "discord": "bot"}


@pytest.mark.parametrize("name", LASTING)
def test_the_photos_are_only_read(name: str) -> None:
    """The dataset is mounted read-only, where the settings say, and never made where it is missing."""
    service = SERVICES[name]
    images = mounts(service)[service["environment"]["IGSEARCH_DATASET"]]

    assert images["read_only"] is True
    assert images["bind"]["create_host_path"] is False
    assert (ROOT / images["source"]).is_dir()


def test_only_bots_reach_the_outside() -> None:
    """MySQL and the indexer are in a network that leads nowhere."""
    networks = compose()["networks"]

    assert networks["database"]["internal"] is True
    assert all(("outside" in service["networks"]) == (name in BOTS) for name, service in SERVICES.items())
    assert all("database" in service["networks"] for service in SERVICES.values())


def test_bots_run_where_they_are_named() -> None:
    """A bot is in the profile of its name, so that one without a token stays down; all else is in none."""
    profiles = {name: service.get("profiles") for name, service in SERVICES.items()}

    assert {name: each for name, each in profiles.items() if each} == {name: [name] for name in BOTS}


def test_services_start_when_the_tables_are_there() -> None:
    """The tables are made when MySQL answers, and the services start when they are."""
    assert SERVICES["migrate"]["depends_on"] == {"mysql": {"condition": "service_healthy"}}
    assert all(
        SERVICES[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}} for name in LASTING
    )


def test_mysql_is_made_with_tables_and_users() -> None:
    """Every file that MySQL is made with is there; tables come first; what is to be run can be."""
    scripts = mounts(SERVICES["mysql"])
    made_by = {
        Path(target).name: ROOT / mount["source"] for target, mount in scripts.items() if mount["type"] == "bind"
    }

    assert all(path.is_file() for path in made_by.values())
    assert all(mount["read_only"] for mount in scripts.values() if mount["type"] == "bind")
    assert sorted(made_by) == ["10-schema.sql", "20-users.sh", "grants.sql"]
    assert made_by["10-schema.sql"] == ROOT / "db_init.sql"
    assert os.access(made_by["20-users.sh"], os.X_OK)


@pytest.mark.parametrize("kind", ["secrets", "volumes", "networks"])
def test_nothing_is_declared_in_vain(kind: str) -> None:
    """Every secret, volume and network of the file is used, and every one used is there."""
    used = {
        each if isinstance(each, str) else each["source"]
        for service in SERVICES.values()
        for each in service.get(kind, [])
        if isinstance(each, str) or each["type"] == "volume"
    }

    assert used == compose()[kind].keys()


@dataclass(frozen=True)
class Example:
    """What .env.example holds."""

    values: dict[str, str]
    text: str


@pytest.fixture(scope="module")
def example() -> Example:
    text = EXAMPLE.read_text()
    return Example(dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE)), text)


def test_the_example_names_every_setting(example: Example) -> None:
    """.env.example has all settings and what docker compose asks for besides, and nothing else; none is set in it."""
    for_compose = variables_of_compose().keys() - OURS_TO_SET

    assert not any(name.startswith(PREFIX) for name in for_compose)
    assert example.values.keys() == OURS_TO_SET | for_compose | {"COMPOSE_PROFILES"}
    assert not re.search(r"^[^#\n]", example.text, re.MULTILINE)


def test_the_example_shows_the_defaults(example: Example, tmp_path: Path) -> None:
    """What .env.example shows is accepted, and changes nothing."""
    env_file = tmp_path / ".env"
    env_file.write_text(re.sub(r"^#(?=[A-Z_]+=)", "", example.text, flags=re.MULTILINE))

    assert load_settings({}, env_file) == load_settings({}, tmp_path / "no-such.env")
    compose_defaults = variables_of_compose()
    assert all(example.values[name] == compose_defaults[name] for name in compose_defaults.keys() - OURS_TO_SET), (
        compose_defaults
    )


def test_the_example_explains_every_variable(example: Example) -> None:
    """A sentence stands above every variable of .env.example, or above those that stand together."""
    blocks = [block.splitlines() for block in example.text.split("\n\n")]

    assert all(block[0].startswith("# ") for block in blocks)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a space in its name that holds what makes secrets."""
    folder = tmp_path / "my photos"
    (folder / "deploy").mkdir(parents=True)
    shutil.copy(DEPLOY / "secrets.sh", folder / "deploy")
    return folder


def make_secrets(project: Path) -> dict[str, str]:
    """Run deploy/secrets.sh and return what is in the files that it made."""
    subprocess.run([project / "deploy/secrets.sh"], cwd="/", check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return {path.name: path.read_text() for path in (project / "secrets").iterdir()}


def test_secrets_are_made_once(project: Path) -> None:
    """All secrets of docker-compose.yml are made, no two alike; run again, secrets.sh changes none."""
    made = make_secrets(project)
    again = make_secrets(project)

    assert made.keys() == compose()["secrets"].keys()
    assert again == made
    passwords = [value for name, value in made.items() if name.endswith(("_password", "_secret"))]
    assert len(set(passwords)) == len(passwords) == 5
    assert all(re.fullmatch(r"[0-9a-f]{64}", password) for password in passwords)


def test_secrets_are_where_compose_looks(project: Path) -> None:
    """The files are those that docker-compose.yml names."""
    make_secrets(project)

    assert all((project / secret["file"]).is_file() for secret in compose()["secrets"].values())


def test_a_secret_that_is_there_is_kept(project: Path) -> None:
    """A secret of the operator's own stays, and is in the URL."""
    (project / "secrets").mkdir()
    (project / "secrets/telegram_token").write_text("12:abc")
    (project / "secrets/mysql_bot_password").write_text("own")

    made = make_secrets(project)

    assert made["telegram_token"] == "12:abc"
    assert made["database_url_bot"] == "mysql://igsearch_bot:own@mysql:3306/igsearch"


def test_a_password_that_is_no_part_of_a_url_is_refused(project: Path) -> None:
    """A password that would have to be percent-encoded makes no wrong URL, and the sentence says what to do."""
    (project / "secrets").mkdir()
    (project / "secrets/mysql_bot_password").write_text("p@ss")

    ended = subprocess.run([project / "deploy/secrets.sh"], check=False, capture_output=True, text=True)

    assert ended.returncode == 1
    assert "secrets/database_url_bot" in ended.stderr
    assert not (project / "secrets/database_url_bot").exists()


def test_secrets_are_closed_to_others_and_open_to_containers(project: Path) -> None:
    """Nobody else enters the folder; who is shown one file, as a container is, can read it."""
    make_secrets(project)
    folder = project / "secrets"

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}


@pytest.mark.parametrize("role", ROLES)
def test_a_url_leads_to_the_database(role: str, project: Path) -> None:
    """The URL of each role is accepted, and names its user, and the host and database of docker-compose.yml."""
    secrets = make_secrets(project)
    url, password = secrets[f"database_url_{role}"], secrets[f"mysql_{role}_password"]

    settings = load_settings({"IGSEARCH_DATABASE_URL": url}, project / "no-such.env")

    assert settings.database_url == SecretStr(url)
    database = SERVICES["mysql"]["environment"]["MYSQL_DATABASE"]
    assert url == f"mysql://igsearch_{role}:{password}@mysql:3306/{database}"


@dataclass(frozen=True)
class Users:
    """A database with tables, and the users of igsearch with their rights in it."""

    server: MariaDB
    database: str
    passwords: dict[str, str]

    def url(self, role: str) -> str:
        return self.server.url(self.database, user=f"igsearch_{role}", password=self.passwords[role])

    def refusal(self, role: str, statement: str) -> int | None:
        """Run a statement and return the number of the error, if it is one."""
        with pymysql.connect(
            host="127.0.0.1",
            port=self.server.port,
            user=f"igsearch_{role}",
            password=self.passwords[role],
            database=self.database,
            autocommit=True,
        ) as connection:
            try:
                connection.cursor().execute(statement)
            except pymysql.MySQLError as error:
                return int(error.args[0])
        return None


@pytest.fixture(scope="module")
def users(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Users]:
    """What the mysql service makes when its volume is new; the root of this server has no password."""
    database = f"deployed{next(NUMBERS)}"
    project = tmp_path_factory.mktemp("users")
    (project / "deploy").mkdir()
    shutil.copy(DEPLOY / "secrets.sh", project / "deploy")
    secrets = make_secrets(project)
    (project / "secrets/mysql_root_password").write_text("")
    mariadb.create_database(database)
    run_in_mysql(mariadb, database, ROOT / "db_init.sql")
    for _ in range(2):  # as after an upgrade
        run_users_script(mariadb, database, project / "secrets")
    yield Users(mariadb, database, {role: secrets[f"mysql_{role}_password"] for role in ROLES})
    mariadb.execute(*[f"DROP USER 'igsearch_{role}'@'%'" for role in ROLES])


def run_in_mysql(server: MariaDB, database: str, script: Path) -> None:
    with script.open("rb") as statements:
        client = ["mysql", "--no-defaults", f"--socket={server.socket}", "--user=root", database]
        subprocess.run(client, stdin=statements, check=True, capture_output=True)


def run_users_script(server: MariaDB, database: str, secrets: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "SOCKET": str(server.socket),
        "MYSQL_DATABASE": database,
        "SECRETS": str(secrets),
        "GRANTS": str(DEPLOY / "grants.sql"),
    }
    subprocess.run([DEPLOY / "mysql/20-users.sh"], env=environment, check=True, capture_output=True)


def changes_of(table: str) -> list[str]:
    """Return statements that need the rights to write rows of a table, and write none."""
    column = next(iter(metadata.tables[table].columns)).name if table in metadata.tables else "version_num"
    return [
        f"INSERT INTO {table} SELECT * FROM {table} WHERE 1 = 0",
        f"UPDATE {table} SET {column} = {column} WHERE 1 = 0",
        f"DELETE FROM {table} WHERE 1 = 0",
    ]


@pytest.mark.parametrize("table", TABLES)
def test_rows_are_written_by_those_who_may(users: Users, table: str) -> None:
    """Everybody reads every table; the indexer writes all of them, the bots their own and no other."""
    refused = {role: [users.refusal(role, change) for change in changes_of(table)] for role in ROLES}

    assert all(users.refusal(role, f"SELECT * FROM {table} LIMIT 1") is None for role in ROLES)
    assert refused["indexer"] == refused["migration"] == [None] * 3
    assert refused["bot"] == [None if table in BOT_TABLES else 1142] * 3


@pytest.mark.parametrize("role", ["indexer", "bot"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE more (id INTEGER)",
        "ALTER TABLE replies ADD COLUMN more INTEGER",
        "CREATE INDEX more ON replies (chat_id)",
        "DROP TABLE reports",
        "TRUNCATE TABLE reports",
        "CREATE USER more",
        "GRANT SELECT ON * TO igsearch_bot",
        "SELECT 1 INTO OUTFILE '/tmp/more'",
    ],
)
def test_tables_are_changed_by_migrations_alone(users: Users, role: str, statement: str) -> None:
    """Neither the indexer nor the bots can make, change or drop a table, hand on a right, or write a file."""
    assert users.refusal(role, statement) in {*DENIED, 1045, 1227, 1410}


@pytest.mark.parametrize("role", ROLES)
def test_other_databases_are_closed(users: Users, role: str) -> None:
    """Nobody sees a database that is not igsearch's."""
    users.server.execute("CREATE DATABASE IF NOT EXISTS private", "CREATE TABLE IF NOT EXISTS private.diary (id INT)")

    assert users.refusal(role, "SELECT * FROM private.diary") in DENIED
    assert users.refusal(role, "CREATE TABLE private.more (id INT)") in DENIED
    assert users.refusal(role, "SELECT * FROM mysql.user") in DENIED


async def test_the_indexer_does_its_work_with_its_rights(users: Users) -> None:
    """The indexer's user takes the writer's lock and writes a photo's rows; the bots' user reads them."""
    indexer, bot = (Store(Database(users.url(role)), VERSIONS) for role in ("indexer", "bot"))

    await indexer.schema.create()
    await write(indexer, [remember("anna/1.jpg", 1)])

    assert (await bot.changes.read_checkpoint()).images == 1
    for store in (indexer, bot):
        await store.close()


async def test_the_migrations_run_with_their_rights(users: Users) -> None:
    """The migrations' user makes all tables in the emptied database, and brings those that are there up to date."""
    users.server.execute(
        f"USE {users.database}",
        "SET FOREIGN_KEY_CHECKS = 0",
        *[f"DROP TABLE {table}" for table in TABLES],
    )
    store = Store(Database(users.url("migration")), VERSIONS)

    await store.schema.upgrade()
    await store.schema.upgrade()

    await store.schema.check()
    await store.close()


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def arguments(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def copied() -> set[str]:
    """Return what the Dockerfile copies from here."""
    copies = [rest.split()[:-1] for rest in arguments("COPY") if not rest.startswith("--from")]
    return {source for sources in copies for source in sources}


def test_the_image_has_what_it_needs() -> None:
    """What is copied is there, is let through by .dockerignore, and is all that the wheel is made of."""
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]

    assert all((ROOT / source).exists() for source in copied())
    assert copied() == let_through
    assert {*wheel, project["project"]["readme"], *project["project"]["license-files"]} <= copied()
    assert "requirements.lock" in copied()


def test_the_image_is_no_root_and_based_on_a_known_python() -> None:
    """The last user is a number that is not root's, that of docker-compose.yml; the base names its minor version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [base] = arguments("ARG")
    version = re.fullmatch(r"BASE=python:(3\.\d+)-slim-[a-z]+", base)

    assert version
    assert project["project"]["requires-python"] == f">={version[1]}"
    assert {each.split()[0] for each in arguments("FROM")} == {"${BASE}"}
    assert arguments("USER")[-1] == SERVICES["indexer"]["user"]
    assert arguments("ENTRYPOINT") == ['["igsearch"]']


def test_the_cache_of_the_image_is_the_volume() -> None:
    """Where platformdirs puts the snapshots is where the bots have their volume, and it belongs to the image's user."""
    made = next(rest for rest in arguments("RUN") if "useradd" in rest)
    cache = next(target for target, mount in mounts(SERVICES["telegram"]).items() if mount.get("source") == "cache")

    assert "XDG_CACHE_HOME=/var/cache" in " ".join(arguments("ENV"))
    assert cache == "/var/cache/igsearch"
    assert f"--owner=10001 --group=10001 --mode=0700 {cache}" in made


@pytest.mark.parametrize("script", ["secrets.sh", "mysql/20-users.sh"])
def test_scripts_are_sound(script: str) -> None:
    """The scripts can be run, and shellcheck finds nothing."""
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed: apt-get install shellcheck")

    found = subprocess.run(["shellcheck", DEPLOY / script], check=False, capture_output=True, text=True)

    assert found.stdout == ""
    assert os.access(DEPLOY / script, os.X_OK)


UNIT_FILES = sorted(path for pattern in ("*.service", "*.timer") for path in UNITS.glob(pattern))
SERVICE_UNITS = [path for path in UNIT_FILES if path.suffix == ".service"]


def lines_of(path: Path, key: str) -> list[str]:
    """Return the values of a key of a unit."""
    return re.findall(rf"^{key}=(.*)$", path.read_text(), re.MULTILINE)


@pytest.fixture
def system_root(tmp_path: Path) -> Path:
    """A root folder with the units, what they need of systemd, and programs that do nothing."""
    ours, systemd = tmp_path / "etc/systemd/system", tmp_path / "usr/lib/systemd/system"
    shutil.copytree(UNITS, ours)
    systemd.mkdir(parents=True)
    for path in [*Path("/lib/systemd/system").glob("*.target"), *Path("/lib/systemd/system").glob("*.slice")]:
        shutil.copy(path, systemd)
    for program in ("opt/igsearch/bin/igsearch", "bin/kill"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", tmp_path / program)
    return tmp_path


def test_systemd_understands_the_units(system_root: Path) -> None:
    """`systemd-analyze verify` says nothing about any unit."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    names = [path.name.replace("@", "@indexer") for path in UNIT_FILES]

    verify = ["systemd-analyze", "verify", "--man=no", f"--root={system_root}", *names]
    said = subprocess.run(verify, check=False, capture_output=True, text=True)

    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICE_UNITS, ids=lambda path: path.name)
def test_a_unit_runs_a_command_of_igsearch(unit: Path) -> None:
    """What a unit runs is a command; each secret is a credential whose variable is a setting."""
    [command] = lines_of(unit, "ExecStart")
    credentials = [line.split(":")[0] for line in lines_of(unit, "LoadCredential")]
    files = dict(line.split("=") for line in lines_of(unit, "Environment"))

    assert command.split()[0] == "/opt/igsearch/bin/igsearch"
    assert command.split()[1] in COMMANDS
    assert {name.removesuffix(FILE_SUFFIX) for name in files} <= SECRET_SETTINGS
    assert sorted(files.values()) == sorted(f"%d/{credential}" for credential in credentials)


@pytest.mark.parametrize("unit", SERVICE_UNITS, ids=lambda path: path.name)
def test_the_secrets_of_units_are_those_of_compose(unit: Path) -> None:
    """A unit finds its secrets under the names that deploy/secrets.sh gives them."""
    paths = [Path(line.split(":")[1]) for line in lines_of(unit, "LoadCredential")]

    assert {path.name for path in paths} <= compose()["secrets"].keys()
    assert {str(path.parent) for path in paths} == {"/etc/igsearch/secrets"}


@pytest.mark.parametrize("name", LASTING)
def test_systemd_knows_how_a_service_is(name: str) -> None:
    """A unit waits for READY=1, restarts what hangs or fails, but not for wrong settings, and never gives up."""
    unit = UNITS / f"igsearch-{name}.service"

    assert lines_of(unit, "Type") == ["notify"]
    assert lines_of(unit, "NotifyAccess") == ["main"]
    assert int(lines_of(unit, "WatchdogSec")[0]) >= 30
    assert lines_of(unit, "Restart") == ["on-failure"]
    assert lines_of(unit, "RestartPreventExitStatus") == ["78"]
    assert lines_of(unit, "StartLimitIntervalSec") == ["0"]
    assert int(lines_of(unit, "TimeoutStopSec")[0]) > 10
    assert lines_of(unit, "KillMode") == ["mixed"]


@pytest.mark.parametrize(
    "line",
    [
        "User=igsearch",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged",
        "MemoryDenyWriteExecute=yes",
        "MemoryMax=3G",
        "OOMPolicy=continue",
        "TasksMax=512",
        "LimitCORE=0",
        "CacheDirectory=igsearch",
    ],
)
def test_units_have_no_more_rights_than_they_need(line: str) -> None:
    """What all units share closes what none of them needs; it is found by the beginning of their names."""
    assert line in HARDENING.read_text().splitlines()
    assert all(path.name.startswith(HARDENING.parent.name.removesuffix(".service.d")) for path in UNIT_FILES)
