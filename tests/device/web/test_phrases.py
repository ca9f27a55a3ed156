"""The words of the screens: each phrase of the code has good Vietnamese, and the table has nothing else."""

import re
import tomllib
import unicodedata
from functools import cache
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from device.web.phrases import DOMAIN, LANGUAGES, LOCALE_FOLDER, phrases, said

ROOT, FOLDER = Path(__file__).resolve().parents[3], LOCALE_FOLDER.parent
TABLE = LOCALE_FOLDER / "vi" / "LC_MESSAGES" / f"{DOMAIN}.po"
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}
PLACEHOLDER = re.compile(r"%\((\w+)\)([sd])|%%|\{(\w+)\}")
# Names of things, the same in both languages.
SAME_IN_BOTH = {"PIN", "IMEI", "OK"}
Phrase = str | tuple[str, ...]


@cache
def asked_for() -> dict[Phrase, str]:
    """Every phrase of code and templates, as the build finds it, with the file that says it."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    mappings = settings["tool"]["babel"]["mappings"]
    methods = [(one["pattern"], one["method"]) for one in mappings]
    options = {one["pattern"]: one for one in mappings}
    found = extract_from_dir(str(FOLDER), methods, options, keywords=KEYWORDS)
    return {message if isinstance(message, str) else tuple(message): name for name, _, message, _, _ in found}


@cache
def table() -> Catalog:
    with TABLE.open("rb") as file:
        return read_po(file, locale="vi")


def ids(phrase: Phrase | list[str] | None) -> tuple[str, ...]:
    return (phrase,) if isinstance(phrase, str) else tuple(phrase or ())


def entries(catalogue: Catalog) -> dict[Phrase, tuple[str, ...]]:
    """A phrase and its Vietnamese, which is one however many are counted."""
    return {
        message.id if isinstance(message.id, str) else tuple(message.id): ids(message.string)
        for message in catalogue
        if message.id
    }


def test_every_phrase_has_vietnamese() -> None:
    known = entries(table())
    lacking = {phrase: name for phrase, name in asked_for().items() if not all(known.get(phrase, ("",)))}
    assert lacking == {}


def test_the_table_has_nothing_that_nobody_says_and_nothing_half_done() -> None:
    assert entries(table()).keys() - asked_for().keys() == set()
    assert [message.id for message in table() if message.id and message.fuzzy] == []
    assert list(table().obsolete) == []


def test_a_phrase_is_counted_in_one_form_alone_in_vietnamese() -> None:
    assert {phrase for phrase, said_so in entries(table()).items() if len(said_so) != 1} == set()


def test_both_sides_fill_the_same_gaps() -> None:
    def gaps(text: str) -> list[str]:
        return sorted({found[0] for found in PLACEHOLDER.finditer(text)} - {"%%"})

    differing = {
        phrase: words
        for phrase, (words, *_) in entries(table()).items()
        if words and any(gaps(one) != gaps(words) for one in ids(phrase)[-1:])
    }
    assert differing == {}


def test_vietnamese_is_whole_letters_and_not_the_english_again() -> None:
    for phrase, (words, *_) in entries(table()).items():
        assert unicodedata.is_normalized("NFC", words), words
        assert words == words.strip() or not words, words
        if words == ids(phrase)[0]:
            assert not re.search(r"[a-z]{3}", words) or words in SAME_IN_BOTH, words


def test_what_is_read_on_the_handheld_was_made_from_the_table() -> None:
    with TABLE.with_suffix(".mo").open("rb") as file:
        made = entries(read_mo(file))
    assert made == {phrase: words for phrase, words in entries(table()).items() if any(words)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_says_a_plain_phrase_and_counts(language: str) -> None:
    spoken = phrases(language)
    assert spoken.gettext("Password") == ("Mật khẩu" if language == "vi" else "Password")
    one, many = (spoken.ngettext("%(count)s unsent", "%(count)s unsent", count) for count in (1, 5))
    assert one == many
    assert said(("Có", "Yes"), language) == ("Có" if language == "vi" else "Yes")


def test_a_phrase_that_is_nowhere_stands_as_it_is_rather_than_fail() -> None:
    assert phrases("vi").gettext("A phrase of a later version") == "A phrase of a later version"
