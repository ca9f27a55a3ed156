"""Vietnamese letters on the pages that printers have built in.

TCVN-3 is a pair of pages, small letters on one and capitals on the other, one byte a letter. CP1258 is a single page
with most vowels whole and five tones apart, which the printer sets over the letter before; whether it does, only a
printed ticket can tell. Whoever has neither gets ASCII without marks.

Sources: TCVN 5712:1993 (VN3); Microsoft's table of code page 1258.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import NamedTuple, assert_never

from printer_drivers.profiles import Scheme, TextPages

# What a page lacks, and what stands for it there: one cell for one cell, so that columns keep their places. A page that
# has the letter sets the letter. Anything that is neither on the page nor here is refused.
SUBSTITUTES: Mapping[str, str] = {
    "³": "3",  # "12 m³": m3 is how the trade writes it where it has no raised figure.
    "²": "2",  # The same for m².
    "×": "x",  # "12 m³ × 9.020", "500.000 × 34".
    "—": "-",  # "IN LẠI — Lần in: 2".
    "–": "-",  # Where there is nothing to share; and in names that an office program has typed.
    "\N{NON-BREAKING HYPHEN}": "-",  # Office programs, in house and bill numbers.
    "\N{MINUS SIGN}": "-",  # Our amounts have the hyphen, imported words may not.
    "₫": "đ",  # Our papers write đ; imported words may have the sign.
    "Ð": "Đ",  # Eth, for which old files mistake the letter: 0xD0 is the one in CP1252, the other in CP1258.
    "ð": "đ",  # The same, small.
    "°": "o",  # "số 5°" of an address; "No" for "N°" reads right too.
    "’": "'",  # Office programs put these four for the two of the keyboard.
    "‘": "'",
    "“": '"',
    "”": '"',
}

# The small letters by position, from 0xA8; a point where the page has none.
_TCVN3_FIRST = 0xA8
_TCVN3_SMALL = (
    "ăâêôơưđ."  # A8
    ".....àảã"  # B0
    "áạ.ằẳẵắ."  # B8
    "......ặầ"  # C0
    "ẩẫấậè.ẻẽ"  # C8
    "éẹềểễếệì"  # D0
    "ỉ...ĩíịò"  # D8
    ".ỏõóọồổỗ"  # E0
    "ốộờởỡớợù"  # E8
    ".ủũúụừửữ"  # F0
    "ứựỳỷỹýỵ."  # F8
)
# The three capitals that do not stand where their small letters do.
_TCVN3_CAPITALS_APART: Mapping[str, int] = {"Ă": 0xA1, "Â": 0xA2, "Đ": 0xA7}

TCVN3_LOWER: Mapping[str, int] = {
    letter: position for position, letter in enumerate(_TCVN3_SMALL, _TCVN3_FIRST) if letter != "."
}
TCVN3_UPPER: Mapping[str, int] = {
    **{letter.upper(): position for letter, position in TCVN3_LOWER.items()},
    **_TCVN3_CAPITALS_APART,
}

_TONES = frozenset(
    {
        "\N{COMBINING GRAVE ACCENT}",
        "\N{COMBINING HOOK ABOVE}",
        "\N{COMBINING TILDE}",
        "\N{COMBINING ACUTE ACCENT}",
        "\N{COMBINING DOT BELOW}",
    }
)
_STROKE_D = str.maketrans("đĐ", "dD")


class Code(NamedTuple):
    """How a letter is set. page: the number for ESC t; None where the letter is alike on all pages."""

    data: bytes
    page: int | None = None


def code(letter: str, pages: TextPages | None) -> Code | None:
    """One letter (NFC) on these pages, or in ASCII without marks where there are none; None if it cannot be set.

    What the pages lack is looked up in SUBSTITUTES.
    """
    for candidate in (letter, SUBSTITUTES.get(letter)):
        if candidate is not None and (found := _code(candidate, pages)) is not None:
            return found
    return None


def _code(letter: str, pages: TextPages | None) -> Code | None:
    if not letter.isprintable():
        return None  # It would be a command.
    if letter.isascii():
        return Code(letter.encode("ascii"))
    if pages is None:
        return _ascii(letter)
    match pages.scheme:
        case Scheme.TCVN3:
            assert pages.upper is not None, "TCVN-3 takes two pages"
            return _tcvn3(letter, pages.lower, pages.upper)
        case Scheme.CP1258:
            return _cp1258(letter, pages.lower)
        case never:
            assert_never(never)


def _tcvn3(letter: str, lower: int, upper: int) -> Code | None:
    for page, positions in ((lower, TCVN3_LOWER), (upper, TCVN3_UPPER)):
        if letter in positions:
            return Code(bytes((positions[letter],)), page)
    return None


def _cp1258(letter: str, page: int) -> Code | None:
    for spelled in _spellings(letter):
        try:
            return Code(spelled.encode("cp1258"), page)
        except UnicodeEncodeError:
            continue
    return None


def _spellings(letter: str) -> Iterator[str]:
    """The letter whole, then with its tone behind it: the page has no ế, but ê and a sắc to set over it."""
    yield letter
    apart = unicodedata.normalize("NFD", letter)
    vowel = unicodedata.normalize("NFC", "".join(mark for mark in apart if mark not in _TONES))
    yield vowel + "".join(mark for mark in apart if mark in _TONES)


def _ascii(letter: str) -> Code | None:
    apart = unicodedata.normalize("NFD", letter.translate(_STROKE_D))
    plain = "".join(mark for mark in apart if not unicodedata.combining(mark))
    return Code(plain.encode("ascii")) if plain.isascii() else None
