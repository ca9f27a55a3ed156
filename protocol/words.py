"""Vietnamese text for people and for paper: amounts in words, figures, dates, search and order of names.

Paper always speaks Vietnamese, whatever language the screen has, so nothing here asks for a locale.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Literal

AMOUNT_IN_WORDS_MAX_VND = 10**13  # A thousand times the largest bill; beyond it somebody mistook the unit.

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
NO_SHARE = "–"

_DIGITS = ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")

_STROKE_D = str.maketrans("đĐ", "dD")

# Canonical decomposition sets both kinds apart from the vowel: one makes another letter, the other a tone.
_LETTER_MARKS = {
    "\N{COMBINING BREVE}": {"a": "1"},
    "\N{COMBINING CIRCUMFLEX ACCENT}": {"a": "2", "e": "1", "o": "1"},
    "\N{COMBINING HORN}": {"o": "2", "u": "1"},
}
_TONES = {  # huyền, hỏi, ngã, sắc, nặng; the level tone has no mark and comes first.
    "\N{COMBINING GRAVE ACCENT}": "1",
    "\N{COMBINING HOOK ABOVE}": "2",
    "\N{COMBINING TILDE}": "3",
    "\N{COMBINING ACUTE ACCENT}": "4",
    "\N{COMBINING DOT BELOW}": "5",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WordStyle:
    """The choices on which regions and houses differ; everything else about a number's reading is fixed.

    zero_tens: the word for an empty tens place, as in 105.
    thousand: the word for 1000.
    four_after_tens: the last digit of 24, 34 ... 94; never of 4 or 14.
    closing: said after the unit, to show that nothing can be added to the amount.
    """

    zero_tens: Literal["lẻ", "linh"] = "lẻ"
    thousand: Literal["nghìn", "ngàn"] = "nghìn"
    four_after_tens: Literal["tư", "bốn"] = "bốn"
    closing: Literal["", "chẵn"] = ""


SOUTHERN = WordStyle()
NORTHERN = WordStyle(zero_tens="linh", four_after_tens="tư")


def amount_in_words(amount_vnd: int, style: WordStyle = SOUTHERN) -> str:
    """The amount as a bill states it: "Một triệu hai trăm ba mươi bốn nghìn năm trăm đồng".

    amount_vnd: 0..10**13; ValueError outside, for a bill that owes less than nothing has no wording.
    An empty hundreds place is read ("không trăm") after any higher group, so that no figure can slip in.
    """
    if not 0 <= amount_vnd <= AMOUNT_IN_WORDS_MAX_VND:
        raise ValueError(f"{amount_vnd} đồng cannot be put in words: 0 to {AMOUNT_IN_WORDS_MAX_VND} can")
    words = _number(amount_vnd, style) if amount_vnd else [_DIGITS[0]]
    words.append("đồng")
    if style.closing:
        words.append(style.closing)
    text = " ".join(words)
    return text[0].upper() + text[1:]


def _number(number: int, style: WordStyle) -> list[str]:
    """Words of 1..10**13. Above a billion the scale starts again: 10**12 is "một nghìn tỷ"."""
    billions, rest = divmod(number, 10**9)
    words = [*_number(billions, style), "tỷ"] if billions else []
    for scale, scale_word in ((10**6, "triệu"), (10**3, style.thousand), (1, "")):
        group, rest = divmod(rest, scale)
        if group:
            words += _group(group, style, leads=not words)
            if scale_word:
                words.append(scale_word)
    return words


def _group(group: int, style: WordStyle, *, leads: bool) -> list[str]:
    """Words of three figures, 1..999; a group that leads the number does not read its empty places."""
    hundreds, below_hundred = divmod(group, 100)
    tens, units = divmod(below_hundred, 10)
    words = [_DIGITS[hundreds], "trăm"] if hundreds or not leads else []
    if tens == 0:
        if units and words:
            words.append(style.zero_tens)
    elif tens == 1:
        words.append("mười")
    else:
        words += [_DIGITS[tens], "mươi"]
    if units:
        words.append(_unit(units, tens, style))
    return words


def _unit(units: int, tens: int, style: WordStyle) -> str:
    if units == 5 and tens:
        return "lăm"
    if units == 1 and tens > 1:
        return "mốt"
    if units == 4 and tens > 1:
        return style.four_after_tens
    return _DIGITS[units]


def vnd(amount_vnd: int) -> str:
    """The amount in figures with its unit, "1.234.567 đ", and a no-break space so that no line ends between.

    A negative amount takes the hyphen-minus: every printer font and code page has it, and what is copied into
    a spreadsheet or a search stays a number; the mathematical minus sign fails at each of these.
    """
    return f"{vnd_plain(amount_vnd)}{NO_BREAK_SPACE}đ"


def vnd_plain(amount_vnd: int) -> str:
    """The amount in figures without unit, for columns whose head names it: "1.234.567"."""
    return f"{amount_vnd:,}".replace(",", ".")


def percent(numerator: int, denominator: int) -> str:
    """A share with one decimal, "95,4 %" with a no-break space; "–" where there is nothing to share.

    Rounded towards zero, so that a target never shows as reached, nor a round as complete, before it is.
    denominator: ValueError when negative.
    """
    if denominator < 0:
        raise ValueError(f"a share of {denominator}: the whole cannot be negative")
    if denominator == 0:
        return NO_SHARE
    per_mille = abs(numerator) * 1000 // denominator
    sign = "-" if numerator < 0 and per_mille else ""
    return f"{sign}{vnd_plain(per_mille // 10)},{per_mille % 10}{NO_BREAK_SPACE}%"


def date_text(iso_date: str) -> str:
    """ "2026-11-24" as printed: "24/11/2026". ValueError unless it is a day of the calendar so written."""
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", iso_date):
        raise ValueError(f"{iso_date!r} is not a date written YYYY-MM-DD")
    day = date.fromisoformat(iso_date)
    return f"{day.day:02d}/{day.month:02d}/{day.year:04d}"


def period_text(period: str) -> str:
    """ "2026-11" as printed: "11/2026". ValueError unless it is a month so written."""
    found = re.fullmatch("([0-9]{4})-(0[1-9]|1[0-2])", period)
    if not found:
        raise ValueError(f"{period!r} is not a period written YYYY-MM")
    return f"{found[2]}/{found[1]}"


def grouped_register_no(register_no: str) -> str:
    """A register number of eleven figures in groups of 4-3-4, as receipts show it; any other as it is."""
    if not re.fullmatch("[0-9]{11}", register_no):
        return register_no
    return f"{register_no[:4]}-{register_no[4:7]}-{register_no[7:]}"


def nfc(text: str) -> str:
    """Composed form, the only one stored: files from elsewhere bring letters and marks apart."""
    return unicodedata.normalize("NFC", text)


def unmarked(text: str) -> str:
    """Text without tones and letter marks, case kept: "Đặng Thị Ảnh" gives "Dang Thi Anh"."""
    apart = unicodedata.normalize("NFD", text.translate(_STROKE_D))
    return nfc("".join(character for character in apart if not unicodedata.combining(character)))


def fold(text: str) -> str:
    """Text as it is searched: no marks, lower case, single spaces. To be stored beside the name."""
    return " ".join(unmarked(text.lower()).split())


def matches(folded_haystack: str, query: str) -> bool:
    """Whether every word of the query occurs somewhere in text from `fold`; an empty query matches all."""
    return all(word in folded_haystack for word in fold(query).split())


def search_rank(text: str, query: str) -> int | None:
    """How well text answers a query, 0 best; None when it does not match. Sort by it, then by `sort_key`.

    0: every word begins a word of the text, with the marks typed; 1: with the marks typed, but within words;
    2 and 3: the same, but the marks differ. A word typed without marks stands for all its marked spellings.
    """
    folded = fold(text)
    if not matches(folded, query):
        return None
    composed = " ".join(nfc(text).lower().split())
    typed = nfc(query).lower().split()
    marks_differ = any(word != fold(word) and word not in composed for word in typed)
    within_words = any(f" {word}" not in f" {folded}" for word in fold(query).split())
    return 2 * marks_differ + within_words


def sort_key(text: str) -> str:
    """A key whose plain order is that of Vietnamese dictionaries; stored, as databases lack the collation.

    Word by word: first its letters (a ă â, d đ, e ê, o ô ơ, u ư), then its tones (ngang huyền hỏi ngã sắc
    nặng). So all of the family Lê stand before the first Lệ. Case and the tone's place do not matter.
    """
    key = []
    for word in unicodedata.normalize("NFD", text.lower()).split():
        letters: list[str] = []
        tones = ""
        for character in word:
            if character in _TONES:
                tones += _TONES[character]
            elif character == "đ":
                letters.append("d1")
            elif not unicodedata.combining(character):
                letters.append(f"{character}0")
            elif letters and character in _LETTER_MARKS:
                base = letters[-1][0]
                letters[-1] = base + _LETTER_MARKS[character].get(base, letters[-1][1])
        # A space ends letters and tones: it sorts before both, so that a word comes before its extensions.
        key.append(f"{''.join(letters)} {tones or '0'} ")
    return "".join(key)
