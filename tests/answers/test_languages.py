"""The languages: every sentence in every catalogue, with its places, and numbers as people write them."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir

import answers
import bots
from answers.languages import LOCALES, language_of, languages, read_catalogue

CATALOGUES = sorted(LOCALES.glob("*.po"))
KEYWORDS = {"say": None, "count": (1, 2), "N_": None}
PLACE = re.compile(r"\{\w+\}")


def said() -> Catalog:
    """Return every sentence of the code."""
    catalogue = Catalog()
    for package in (answers, bots):
        folder = str(Path(package.__path__[0]))
        for _, _, message, _, _ in extract_from_dir(folder, [("**.py", "python")], keywords=KEYWORDS):
            catalogue.add(message)
    return catalogue


def forms(text: str | list[str] | tuple[str, ...] | None) -> list[str]:
    """Return a sentence in all its forms: singular and plural where it has these."""
    return [text] if isinstance(text, str) else list(text or ())


def test_there_are_two_languages_beside_english() -> None:
    """German and Spanish have a catalogue."""
    assert list(languages()) == ["en", "de", "es"]


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_no_sentence_is_missing(path: Path) -> None:
    """Each catalogue translates every sentence of the code, in all its forms, with the same places; and no other."""
    translated = {message.id: message for message in read_catalogue(path) if message.id}
    wanted = {message.id for message in said() if message.id}

    assert set(translated) == wanted
    for english, message in translated.items():
        assert not message.fuzzy, english
        assert len(forms(message.string)) == len(forms(english)), english
        for form in forms(message.string):
            assert form.strip(), english
            assert set(PLACE.findall(form)) == set(PLACE.findall(forms(english)[-1])), form


@pytest.mark.parametrize(
    ("code", "language"),
    [("de", "de"), ("de-AT", "de"), ("ES_419", "es"), ("en-GB", "en"), ("pt-br", "en"), ("", "en"), (None, "en")],
)
def test_the_language_follows_the_code(code: str | None, language: str) -> None:
    """A person's code chooses the language, whatever its region; English where there is none."""
    assert language_of(code, languages()).code == language


def test_numbers_are_written_as_people_write_them() -> None:
    """Thousands, plurals, percent and ages are the language's own."""
    english, german = languages()["en"], languages()["de"]

    assert english.count("{number} photo", "{number} photos", 28114) == "28,114 photos"
    assert german.count("{number} photo", "{number} photos", 28114) == "28.114 Fotos"
    assert german.count("{number} photo", "{number} photos", 1) == "1 Foto"
    assert [english.percent(0.9987), german.percent(0.9987), english.percent(1)] == ["99.9 %", "99,9 %", "100.0 %"]
    assert [language.ago(timedelta(minutes=4)) for language in (english, german)] == ["4 minutes ago", "vor 4 Minuten"]
    assert english.ago(timedelta(seconds=-5)) == "1 second ago"
