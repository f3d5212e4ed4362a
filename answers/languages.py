"""Translate the bots' sentences by gettext catalogues, and format numbers and ages for each language.

The catalogues are `locales/<language>.po`; the English sentences are in the code, from which `make catalogues` updates
them.
"""

import gettext
import io
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path

from babel import Locale
from babel.dates import format_timedelta
from babel.lists import format_list
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

LOCALES = Path(__file__).parent / "locales"
ENGLISH = "en"
TENTHS = "0.0"


class Language:
    """One language: its translations of the English sentences, its numbers, ages and lists."""

    def __init__(self, code: str, translations: gettext.NullTranslations) -> None:
        self.code = code
        self._locale = Locale.parse(code)
        self._translations = translations

    def say(self, sentence: str, **values: str) -> str:
        """Return the translation of a sentence with its {placeholders} filled in."""
        return self._translations.gettext(sentence).format(**values)

    def count(self, one: str, many: str, number: int, **values: str) -> str:
        """Return the singular or plural of a phrase, with the number in place of {number}."""
        return self._translations.ngettext(one, many, number).format(number=self.number(number), **values)

    def number(self, number: int) -> str:
        return format_decimal(number, locale=self._locale)

    def percent(self, share: float) -> str:
        """Return a share of 0 to 1 as a percentage with one decimal, as everywhere in igsearch."""
        return f"{format_decimal(round(100 * share, 1), TENTHS, locale=self._locale)} %"

    def ago(self, age: timedelta) -> str:
        """Return an age in words, such as "4 minutes ago"."""
        return format_timedelta(-max(age, timedelta(seconds=1)), add_direction=True, threshold=1.5, locale=self._locale)

    def listed(self, items: list[str]) -> str:
        return format_list(items, locale=self._locale)


def languages() -> Mapping[str, Language]:
    """Return every language under its code, English first."""
    found = {ENGLISH: Language(ENGLISH, gettext.NullTranslations())}
    for path in sorted(LOCALES.glob("*.po")):
        found[path.stem] = Language(path.stem, _translations(path))
    return found


def language_of(code: str | None, among: Mapping[str, Language]) -> Language:
    """Return the language for a code such as de-AT; English if there is none."""
    return among.get((code or ENGLISH).replace("_", "-").split("-")[0].lower(), among[ENGLISH])


def read_catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


@cache
def _translations(path: Path) -> gettext.GNUTranslations:
    compiled = io.BytesIO()
    write_mo(compiled, read_catalogue(path))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
