"""What docs/operations.md tells an operator to type does what it says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mariadb import MariaDB
from tests.pictures import photo_bytes
from tests.shell import Shell

pytestmark = pytest.mark.waits

DOCUMENT = Path(__file__).parents[1] / "docs" / "operations.md"
DATABASE = "igsearch"
TOOLS = {
    "igsearch": f'exec {shlex.quote(sys.executable)} -m igsearch "$@"',
    "mysql": 'exec mariadb --no-defaults --user=root --socket="$MYSQL_SOCKET" "$@"',
    "mysqldump": 'exec mariadb-dump --no-defaults --user=root --socket="$MYSQL_SOCKET" "$@"',
}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A dataset of two accounts."""
    shell = Shell(tmp_path)
    shell.put("images/anna/a.jpg", photo_bytes(1))
    shell.put("images/bob/b.jpg", photo_bytes(2))
    return shell


def recipe(title: str) -> str:
    """Return the commands of the document that begin with this comment."""
    [found] = re.findall(rf"```sh\n# {title}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def type_in(shell: Shell, commands: str, variables: dict[str, str]) -> None:
    """Run commands as an operator types them, with the programs that they name."""
    for name, script in TOOLS.items():
        tool = shell.put(f"bin/{name}", f"#!/bin/sh\n{script}\n".encode())
        tool.chmod(0o755)
    path = os.pathsep.join([str(shell.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = shell.environment({**variables, "PATH": path})
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=shell.folder, env=environment, check=True)


@pytest.mark.parametrize("kind", ["MySQL", "SQLite"])
def test_a_backup_brings_everything_back_but_who_was_forgotten(shell: Shell, mariadb: MariaDB, kind: str) -> None:
    """After a restore photos are found as before the loss; who was forgotten since the backup stays forgotten."""
    variables = {"MYSQL_SOCKET": str(mariadb.socket)}
    if kind == "MySQL":
        variables["IGSEARCH_DATABASE_URL"] = mariadb.create_database(DATABASE)
    assert shell.igsearch("index", variables=variables).code == 0

    type_in(shell, recipe(f"back up {kind}"), variables)
    shell.igsearch("forget", "anna", variables=variables)
    shell.put("images/carl/c.jpg", photo_bytes(3))
    shell.igsearch("index", variables=variables)
    type_in(shell, recipe(f"restore {kind}"), variables)

    queries = [f"--query=images/{photo}" for photo in ("anna/a.jpg", "bob/b.jpg", "carl/c.jpg")]
    searched = shell.igsearch("search", "--json", *queries, variables=variables).objects
    assert [[match["username"] for match in answer["matches"]] for answer in searched] == [[], ["bob"], []]
