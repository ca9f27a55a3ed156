"""Every Vietnamese letter on every page, judged by iconv, whose tables nobody here wrote."""

import shutil
import subprocess
import unicodedata
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from printer_drivers.codepages import SUBSTITUTES, TCVN3_LOWER, TCVN3_UPPER, Code, code
from printer_drivers.profiles import Scheme, TextPages
from protocol.readings import READING_CODES
from protocol.reasons import Reason, words

LOWER, UPPER, SINGLE = 30, 31, 52
TCVN3 = TextPages(scheme=Scheme.TCVN3, lower=LOWER, upper=UPPER)
CP1258 = TextPages(scheme=Scheme.CP1258, lower=SINGLE)
TONES = ("", "\u0300", "\u0309", "\u0303", "\u0301", "\u0323")
VOWELS = [unicodedata.normalize("NFC", vowel + tone) for vowel in "aăâeêioôơuưy" for tone in TONES]
SMALL = [letter for letter in VOWELS if not letter.isascii()] + ["đ"]
CAPITALS = [letter.upper() for letter in SMALL]
ACCENTED = SMALL + CAPITALS
CAPITALS_APART = {"Ă": 0xA1, "Â": 0xA2, "Đ": 0xA7}


@cache
def iconv(text: str, charset: str) -> bytes:
    """What glibc makes of it."""
    assert shutil.which("iconv") is not None, "iconv is missing, so only our own tables could say what a page holds"
    run = subprocess.run(["iconv", "-f", "UTF-8", "-t", charset], input=text.encode(), capture_output=True, check=True)
    return run.stdout


def test_language_has_134_accented_letters() -> None:
    assert len(set(ACCENTED)) == len(ACCENTED) == 134


def test_small_letters_of_tcvn3_stand_where_iconv_has_them() -> None:
    assert list(TCVN3_LOWER) == sorted(SMALL, key=lambda letter: iconv(letter, "TCVN5712-1"))
    assert {letter: code(letter, TCVN3) for letter in SMALL} == {
        letter: Code(iconv(letter, "TCVN5712-1"), LOWER) for letter in SMALL
    }


def test_capitals_of_tcvn3_stand_where_their_small_letters_do_but_for_three() -> None:
    assert len(TCVN3_UPPER) == len(CAPITALS)
    assert {letter: code(letter, TCVN3) for letter in CAPITALS} == {
        letter: Code(
            bytes((CAPITALS_APART[letter],)) if letter in CAPITALS_APART else iconv(letter.lower(), "TCVN5712-1"),
            UPPER,
        )
        for letter in CAPITALS
    }
    for letter, position in CAPITALS_APART.items():
        assert iconv(letter, "TCVN5712-1") == bytes((position,))


def test_letters_of_cp1258_are_spelled_as_iconv_spells_them() -> None:
    assert {letter: code(letter, CP1258) for letter in ACCENTED} == {
        letter: Code(iconv(letter, "CP1258"), SINGLE) for letter in ACCENTED
    }
    assert code("ế", CP1258) == Code(b"\xea\xec", SINGLE)


@pytest.mark.parametrize("pages", [TCVN3, CP1258, None])
def test_ascii_is_alike_on_all_pages(pages: TextPages | None) -> None:
    for number in range(0x20, 0x7F):
        assert code(chr(number), pages) == Code(bytes((number,)))


@pytest.mark.parametrize("pages", [TCVN3, CP1258, None])
def test_what_would_be_a_command_is_no_letter(pages: TextPages | None) -> None:
    for number in (*range(0x20), *range(0x7F, 0xA1)):
        assert code(chr(number), pages) is None


@pytest.mark.parametrize("letter", ["日", "Ω", "ß", "😀", "\N{REPLACEMENT CHARACTER}"])
def test_letter_that_nothing_stands_for_is_not_set(letter: str) -> None:
    assert code(letter, TCVN3) is None
    assert code(letter, None) is None
    assert letter == "ß" or code(letter, CP1258) is None


def test_mark_without_a_letter_is_set_only_where_marks_stand_apart() -> None:
    assert code("\N{COMBINING ACUTE ACCENT}", TCVN3) is None
    assert code("\N{COMBINING ACUTE ACCENT}", CP1258) == Code(b"\xec", SINGLE)
    assert code("\N{COMBINING ACUTE ACCENT}", None) == Code(b"")


def test_substitutes_take_one_cell_and_can_be_set_everywhere() -> None:
    for letter, other in SUBSTITUTES.items():
        assert len(letter) == len(other) == 1
        assert letter not in ACCENTED
        assert unicodedata.normalize("NFC", letter) == letter
        for pages in (TCVN3, CP1258, None):
            assert code(letter, pages) is not None
        assert code(letter, TCVN3) == code(other, TCVN3)


def test_page_that_has_a_letter_sets_it_itself() -> None:
    for letter in "³²×—–₫°’“”":
        found = code(letter, CP1258)
        assert found == Code(iconv(letter, "CP1258"), SINGLE)


def test_eth_that_old_files_mistake_for_a_letter_is_that_letter() -> None:
    for pages in (TCVN3, CP1258, None):
        assert code("Ð", pages) == code("Đ", pages)
        assert code("ð", pages) == code("đ", pages)


def test_all_wording_that_a_rule_may_put_on_a_paper_can_be_set() -> None:
    wordings = [words(reason) for reason in Reason] + [reading.vi for reading in READING_CODES.values()]
    for letter in set("".join(wordings)):
        for pages in (TCVN3, CP1258, None):
            assert code(letter, pages) is not None, letter


def test_letters_without_marks_are_those_under_the_marks() -> None:
    plain = "".join(found.data.decode() for letter in ACCENTED if (found := code(letter, None)))
    small = "a" * 17 + "e" * 11 + "i" * 5 + "o" * 17 + "u" * 11 + "y" * 5 + "d"
    assert plain == small + small.upper()


@given(st.characters(), st.sampled_from([TCVN3, CP1258, None]))
def test_no_letter_becomes_a_question_mark_or_a_command(letter: str, pages: TextPages | None) -> None:
    found = code(letter, pages)
    if found is not None and letter != "?":
        assert b"?" not in found.data
        assert all(byte >= 0x20 and byte != 0x7F for byte in found.data)
