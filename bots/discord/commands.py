"""Translate the commands of the Discord bot, and register them with Discord when they have changed."""

import logging
from collections.abc import Mapping
from typing import Any

from discord import Client, HTTPException, Locale
from discord.app_commands import (
    AppCommandContext,
    AppInstallationType,
    CommandTree,
    TranslationContextTypes,
    Translator,
    locale_str,
)
from discord.http import Route

from answers.languages import Language

LANGUAGES = {
    Locale.german: "de",
    Locale.spain_spanish: "es",
    Locale.latin_american_spanish: "es",
}
EVERYWHERE = AppCommandContext(guild=True, dm_channel=True, private_channel=True)
BY_ANYBODY = AppInstallationType(guild=True, user=True)
COMPARED = ("name", "description", "type", "contexts", "integration_types")
COMPARED_MAPS = ("name_localizations", "description_localizations")

logger = logging.getLogger(__name__)


class Catalogues(Translator):
    """A translator of command names and descriptions, by the bots' catalogues."""

    def __init__(self, languages: Mapping[str, Language]) -> None:
        self._languages = languages

    async def translate(self, string: locale_str, locale: Locale, context: TranslationContextTypes) -> str | None:  # noqa: ARG002
        """Return the translation of a text, or None if it has none."""
        language = self._languages.get(LANGUAGES.get(locale, ""))
        translated = language.say(string.message) if language else string.message
        return translated if translated != string.message else None


async def announce(client: Client, tree: CommandTree[Any]) -> bool:
    """Register the commands with Discord if they have changed, and return whether they had.

    Discord allows 200 registrations of commands a day, changed or not.
    """
    translator = tree.translator
    assert translator  # noqa: S101 - every tree of ours has a translator
    wanted = [await command.get_translated_payload(tree, translator) for command in tree.get_commands()]
    if _comparable(wanted) == _comparable(await _known(client)):
        return False
    await tree.sync()
    return True


async def _known(client: Client) -> list[Any]:
    """Return the commands that Discord knows; none if it does not tell."""
    route = Route("GET", "/applications/{application_id}/commands", application_id=client.application_id)
    try:
        return list(await client.http.request(route, params={"with_localizations": "true"}))
    except HTTPException as error:
        logger.warning("Discord does not say which commands it knows (%s): registering them again", error)
        return []


def _comparable(commands: Any) -> list[object]:
    """Return the parts of commands that we define, without what Discord adds, in a fixed order."""
    return sorted(map(_essence, commands), key=repr)


def _essence(command: Mapping[str, Any]) -> list[object]:
    plain: list[object] = [_sorted(command.get(name) or None) for name in COMPARED]
    maps = [sorted((command.get(name) or {}).items()) for name in COMPARED_MAPS]
    options = [[*_essence(option), bool(option.get("required"))] for option in command.get("options") or []]
    return [*plain, *maps, options]


def _sorted(value: object) -> object:
    return sorted(value) if isinstance(value, list) else value
