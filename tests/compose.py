"""docker-compose.yml as docker compose reads it: anchors merged, and every ${...} filled in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docker-compose.yml"
SECRETS_FOLDER = "/run/secrets"
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")
COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)

Json = dict[str, Any]


def compose(variables: Mapping[str, str] = {}) -> Json:
    """Return the file's content with some variables set, as in .env."""

    def value(variable: re.Match[str]) -> str:
        return variables.get(variable["name"]) or variable["default"] or ""

    def filled(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: filled(each) for name, each in part.items()}
        if isinstance(part, list):
            return [filled(each) for each in part]
        return VARIABLE.sub(value, part) if isinstance(part, str) else part

    return dict(filled(yaml.safe_load(FILE.read_text())))


def variables_of_compose() -> dict[str, str]:
    """Return the variables that the file asks for, with their defaults."""
    return {
        variable["name"]: variable["default"] or "" for variable in VARIABLE.finditer(COMMENT.sub("", FILE.read_text()))
    }


def is_ours(service: Json) -> bool:
    return bool(service["image"].startswith("igsearch:"))


def is_lasting(service: Json) -> bool:
    """Tell whether a service goes on, unlike one that does its work and ends."""
    return bool(service["restart"] != "no")
