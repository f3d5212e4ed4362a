"""The commands that a bot has synced, with the checks and the form of the real server."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.fakes.discord.calls import Form, Json, Refusal
from tests.fakes.discord.snowflakes import Snowflakes

SLASH, USER_MENU, MESSAGE_MENU = 1, 2, 3
"""Types of commands."""
SUBCOMMAND, GROUP = 1, 2
"""Types of options that hold options."""
MOST = {SLASH: 100, USER_MENU: 5, MESSAGE_MENU: 5}
MOST_OPTIONS = 25
MOST_CHOICES = 25
LONGEST_NAME = 32
LONGEST_DESCRIPTION = 100
LARGEST_COMMAND = 8_000
NAME = re.compile(r"[-_'\w]{1,32}")
OPTION_TYPES = frozenset(range(1, 12))
CONTEXTS = frozenset({0, 1, 2})
INSTALLS = frozenset({0, 1})
GLOBAL_DEFAULTS: Json = {"integration_types": [0], "contexts": None}
EUROPEAN = {"da", "de", "en-GB", "en-US", "es-ES", "fr", "hr", "it", "lt", "hu", "nl", "no", "pl", "ro", "fi", "sv-SE"}
OTHERS = {"id", "es-419", "pt-BR", "vi", "tr", "cs", "el", "bg", "ru", "uk", "hi", "th", "zh-CN", "ja", "zh-TW", "ko"}
LOCALES = frozenset(EUROPEAN | OTHERS)
LOCALISATIONS = ("name_localizations", "description_localizations")

Scope = int | None
"""The guild of a command, or None if it is global."""
Path = tuple[str | int, ...]


@dataclass
class Commands:
    """Every command by its scope, and how often each scope was written as a whole."""

    application_id: int
    new_id: Snowflakes
    by_scope: dict[Scope, list[Json]] = field(default_factory=dict)
    bulk_puts: dict[Scope, int] = field(default_factory=dict)

    def of(self, scope: Scope) -> list[Json]:
        return self.by_scope.setdefault(scope, [])

    def names(self, scope: Scope = None) -> list[str]:
        return [str(command["name"]) for command in self.of(scope)]

    def replace_all(self, scope: Scope, bodies: list[Json]) -> list[Json]:
        """Take a whole list; a command of the same name keeps its id, and its version unless it changed."""
        self.bulk_puts[scope] = self.bulk_puts.get(scope, 0) + 1
        form = Form()
        for number, body in enumerate(bodies):
            _check_command(form, body, (number,), bodies[:number])
        form.refuse_if_faulty()
        _refuse_too_many(bodies)
        self.by_scope[scope] = [self._stored(scope, body) for body in bodies]
        return self.of(scope)

    def put(self, scope: Scope, body: Json) -> Json:
        """Take one command in the place of another of its name, if there is one."""
        form = Form()
        _check_command(form, body, (), [])
        form.refuse_if_faulty()
        command = self._stored(scope, body)
        others = [one for one in self.of(scope) if one["id"] != command["id"]]
        _refuse_too_many([*others, command])
        self.by_scope[scope] = [*others, command]
        return command

    def edit(self, scope: Scope, command_id: str, body: Json) -> Json:
        command = {**self.one(scope, command_id), **body}
        form = Form()
        _check_command(form, command, (), [])
        form.refuse_if_faulty()
        edited = self._normal(scope, command) | {"id": command_id, "version": str(self.new_id())}
        self.by_scope[scope] = [edited if one["id"] == command_id else one for one in self.of(scope)]
        return edited

    def delete(self, scope: Scope, command_id: str) -> None:
        self.of(scope).remove(self.one(scope, command_id))

    def one(self, scope: Scope, command_id: str) -> Json:
        for command in self.of(scope):
            if command["id"] == command_id:
                return command
        raise Refusal(404, 10063, "Unknown application command")

    def find(self, name: str, kind: int, scope: Scope) -> Json | None:
        """Return the command that people of a guild see under a name; the guild's own goes before the global one."""
        for command in [*self.of(scope), *self.of(None)]:
            if (command["name"], command["type"]) == (name, kind):
                return command
        return None

    def _stored(self, scope: Scope, body: Json) -> Json:
        command = self._normal(scope, body)
        old = next((one for one in self.of(scope) if _key(one) == _key(command)), None)
        if old and {name: old[name] for name in old if name not in ("id", "version")} == command:
            return old
        return command | {"id": old["id"] if old else str(self.new_id()), "version": str(self.new_id())}

    def _normal(self, scope: Scope, body: Json) -> Json:
        """Return a command as Discord gives it back: with its defaults, without what is empty."""
        permissions = body.get("default_member_permissions")
        command: Json = {
            "application_id": str(self.application_id),
            "type": body.get("type") or SLASH,
            "name": body["name"],
            "description": body.get("description") or "",
            "default_member_permissions": None if permissions is None else str(permissions),
            "dm_permission": body.get("dm_permission") is not False,
            "nsfw": bool(body.get("nsfw")),
            **{name: body.get(name) or None for name in LOCALISATIONS},
        }
        if body.get("options"):
            command["options"] = [_normal_option(option) for option in body["options"]]
        if scope:
            return command | {"guild_id": str(scope)}
        return command | {name: body.get(name) or default for name, default in GLOBAL_DEFAULTS.items()}


def without_localisations(command: Json) -> Json:
    """Return a command as a GET without `with_localizations` shows it."""
    return {name: value for name, value in command.items() if name not in LOCALISATIONS}


def is_usable(command: Json, context: int, install: int) -> bool:
    """Return whether people see a command where they are; 1 as install is for those who installed it for themselves."""
    if "guild_id" in command:
        return True
    # Without contexts a command is seen in guilds and in talks with the bot (discord-api-docs#6744).
    contexts = command["contexts"] or ([0, 1] if command["dm_permission"] else [0])
    return context in contexts and install in command["integration_types"]


def _key(command: Json) -> tuple[str, int]:
    return command["name"], command.get("type") or SLASH


def _normal_option(option: Json) -> Json:
    kept = {name: value for name, value in option.items() if value or (value == 0 and value is not False)}
    kept |= {name: option.get(name) or None for name in LOCALISATIONS}
    if kept.get("options"):
        kept["options"] = [_normal_option(one) for one in kept["options"]]
    return kept


def _refuse_too_many(commands: list[Json]) -> None:
    for kind, most in MOST.items():
        if sum((command.get("type") or SLASH) == kind for command in commands) > most:
            raise Refusal(400, 30032, f"Maximum number of application commands reached ({most})")


def _check_command(form: Form, body: Json, path: Path, before: list[Json]) -> None:
    kind = body.get("type") or SLASH
    form.check_choice((*path, "type"), kind, frozenset(MOST))
    if kind == SLASH:
        _check_names(form, body, path)
        _check_options(form, body.get("options") or [], (*path, "options"))
    else:
        form.check_text((*path, "name"), body.get("name"), 1, LONGEST_NAME)
        _check_localisations(form, body, (*path, "name_localizations"), LONGEST_NAME)
        if body.get("description"):
            words = "Context menu commands cannot have description"
            form.fault((*path, "description"), "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION", words)
    for name, choices in (("contexts", CONTEXTS), ("integration_types", INSTALLS)):
        for number, value in enumerate(body.get(name) or []):
            form.check_choice((*path, name, number), value, choices)
    if _key({"name": "", **body}) in [_key({"name": "", **one}) for one in before]:
        words = "Application command names must be unique"
        form.fault((*path, "name"), "APPLICATION_COMMANDS_DUPLICATE_NAME", words)
    if sum(map(len, _texts(body))) > LARGEST_COMMAND:
        words = f"Command exceeds maximum size ({LARGEST_COMMAND})"
        form.fault(path, "APPLICATION_COMMAND_TOO_LARGE", words)


def _check_names(form: Form, body: Json, path: Path) -> None:
    """Check what commands, groups and options have alike: a lower-case name, a description, and their translations."""
    form.check_text((*path, "name"), body.get("name"), 1, LONGEST_NAME)
    _check_name(form, (*path, "name"), body.get("name"))
    form.check_text((*path, "description"), body.get("description"), 1, LONGEST_DESCRIPTION)
    _check_localisations(form, body, (*path, "name_localizations"), LONGEST_NAME)
    _check_localisations(form, body, (*path, "description_localizations"), LONGEST_DESCRIPTION)
    for locale, name in (body.get("name_localizations") or {}).items():
        _check_name(form, (*path, "name_localizations", locale), name)


def _check_name(form: Form, path: Path, name: object) -> None:
    if isinstance(name, str) and name and not (NAME.fullmatch(name) and name == name.lower()):
        form.fault(path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _check_localisations(form: Form, body: Json, path: Path, longest: int) -> None:
    for locale, text in (body.get(str(path[-1])) or {}).items():
        form.check_choice((*path, locale), locale, LOCALES)
        form.check_text((*path, locale), text, 1, longest)


def _check_options(form: Form, options: list[Json], path: Path) -> None:
    form.check_count(path, options, 0, MOST_OPTIONS)
    is_optional = False
    for number, option in enumerate(options):
        _check_names(form, option, (*path, number))
        form.check_choice((*path, number, "type"), option.get("type"), OPTION_TYPES)
        _check_choices(form, option.get("choices") or [], (*path, number, "choices"))
        _check_options(form, option.get("options") or [], (*path, number, "options"))
        if option.get("required") and is_optional:
            words = "Required options must be placed before non-required options"
            form.fault((*path, number), "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", words)
        is_optional = is_optional or not option.get("required")
    names = [option.get("name") for option in options]
    if len(set(names)) < len(names):
        words = "Option names must be unique"
        form.fault(path, "APPLICATION_COMMAND_OPTIONS_NAME_DUPLICATED", words)


def _check_choices(form: Form, choices: list[Json], path: Path) -> None:
    form.check_count(path, choices, 0, MOST_CHOICES)
    for number, choice in enumerate(choices):
        form.check_text((*path, number, "name"), choice.get("name"), 1, LONGEST_DESCRIPTION)


def _texts(body: Json) -> Iterator[str]:
    """Yield what counts for the size of a command: names, descriptions and values, in each the longest translation."""
    for name in ("name", "description"):
        yield max([body.get(name) or "", *(body.get(f"{name}_localizations") or {}).values()], key=len)
    for option in [*(body.get("options") or []), *(body.get("choices") or [])]:
        yield from _texts(option)
        yield str(option.get("value", ""))
