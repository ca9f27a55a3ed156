"""Amounts in words are read back by a grammar of the test's own; search and order follow literal tables."""

import re
import unicodedata
from functools import cmp_to_key

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.words import (
    AMOUNT_IN_WORDS_MAX_VND,
    NORTHERN,
    SOUTHERN,
    WordStyle,
    amount_in_words,
    date_text,
    fold,
    grouped_register_no,
    matches,
    nfc,
    percent,
    period_text,
    search_rank,
    sort_key,
    unmarked,
    vnd,
    vnd_plain,
)

STYLES = [
    WordStyle(zero_tens=zero_tens, thousand=thousand, four_after_tens=four, closing=closing)
    for zero_tens in ("lẻ", "linh")
    for thousand in ("nghìn", "ngàn")
    for four in ("tư", "bốn")
    for closing in ("", "chẵn")
]

TRAPS = """
0              không
1              một
4              bốn
5              năm
10             mười
11             mười một
14             mười bốn
15             mười lăm
20             hai mươi
21             hai mươi mốt
24             hai mươi FOUR
25             hai mươi lăm
40             bốn mươi
44             bốn mươi FOUR
55             năm mươi lăm
100            một trăm
101            một trăm ZERO một
104            một trăm ZERO bốn
105            một trăm ZERO năm
110            một trăm mười
111            một trăm mười một
115            một trăm mười lăm
121            một trăm hai mươi mốt
1000           một THOUSAND
1001           một THOUSAND không trăm ZERO một
1005           một THOUSAND không trăm ZERO năm
1010           một THOUSAND không trăm mười
1015           một THOUSAND không trăm mười lăm
1024           một THOUSAND không trăm hai mươi FOUR
1100           một THOUSAND một trăm
10000          mười THOUSAND
10005          mười THOUSAND không trăm ZERO năm
21000          hai mươi mốt THOUSAND
145000         một trăm bốn mươi lăm THOUSAND
523456         năm trăm hai mươi ba THOUSAND bốn trăm năm mươi sáu
1000000        một triệu
1000001        một triệu không trăm ZERO một
1000100        một triệu một trăm
1001000        một triệu không trăm ZERO một THOUSAND
1010010        một triệu không trăm mười THOUSAND không trăm mười
1234000        một triệu hai trăm ba mươi FOUR THOUSAND
1234500        một triệu hai trăm ba mươi FOUR THOUSAND năm trăm
1000000000     một tỷ
1000000001     một tỷ không trăm ZERO một
1001000000     một tỷ không trăm ZERO một triệu
1234567890     một tỷ hai trăm ba mươi FOUR triệu năm trăm sáu mươi bảy THOUSAND tám trăm chín mươi
15000000000    mười lăm tỷ
1000000000000  một THOUSAND tỷ
1005000000000  một THOUSAND không trăm ZERO năm tỷ
1000500000000  một THOUSAND tỷ năm trăm triệu
10000000000000 mười THOUSAND tỷ
"""


ONE_TO_NINE = "một hai ba bốn năm sáu bảy tám chín"
ONES = {word: number for number, word in enumerate(ONE_TO_NINE.split(), start=1)}


class WordReader:
    """Reads number words strictly: one spelling only per number, as the style has it."""

    def __init__(self, text: str, style: WordStyle) -> None:
        self.words = text.split(" ")
        self.style = style
        ones = list(ONES)
        after_ten = {**ONES, "lăm": 5}
        del after_ten["năm"]
        after_tens = {**after_ten, "mốt": 1, style.four_after_tens: 4}
        del after_tens["một"]
        if style.four_after_tens == "tư":
            del after_tens["bốn"]
        self.below_hundred: dict[tuple[str, ...], int] = {
            (style.zero_tens, word): n for word, n in ONES.items()
        }
        self.below_hundred[("mười",)] = 10
        self.below_hundred |= {("mười", word): 10 + n for word, n in after_ten.items()}
        for tens, word in enumerate(ones[1:], start=2):
            self.below_hundred |= {(word, "mươi"): 10 * tens}
            self.below_hundred |= {(word, "mươi", unit): 10 * tens + n for unit, n in after_tens.items()}

    def amount(self) -> int:
        words = self.words
        closing = ["đồng", self.style.closing] if self.style.closing else ["đồng"]
        assert words[-len(closing) :] == closing
        number = words[: -len(closing)]
        number[0] = number[0].lower()
        if number == ["không"]:
            return 0
        above, below = self.cut(number, "tỷ")
        return self.millions(above, leads=True) * 10**9 + self.millions(below, leads=not above)

    def millions(self, words: list[str], *, leads: bool) -> int:
        millions, rest = self.cut(words, "triệu")
        thousands, ones = self.cut(rest, self.style.thousand)
        return (
            self.group(millions, leads=leads) * 10**6
            + self.group(thousands, leads=leads and not millions) * 1000
            + self.group(ones, leads=leads and not millions and not thousands)
        )

    def group(self, words: list[str], *, leads: bool) -> int:
        if not words:
            return 0
        hundreds, rest = self.cut(words, "trăm")
        if not hundreds:
            assert leads, f"{words}: hundreds are not read"
            (word, *more) = rest
            assert word != self.style.zero_tens
            return ONES[word] if not more and word in ONES else self.below_hundred[tuple(rest)]
        assert len(hundreds) == 1
        if hundreds == ["không"]:
            assert not leads, f"{words}: empty hundreds are read although they lead"
            assert rest, f"{words}: an empty group is read"
        value = 0 if hundreds == ["không"] else ONES[hundreds[0]] * 100
        return value + (self.below_hundred[tuple(rest)] if rest else 0)

    @staticmethod
    def cut(words: list[str], at: str) -> tuple[list[str], list[str]]:
        if at not in words:
            return [], words
        place = words.index(at)
        assert place > 0, f"nothing before {at}"
        return words[:place], words[place + 1 :]


def trap_cases() -> list[tuple[int, str]]:
    rows = (line.split(maxsplit=1) for line in TRAPS.strip().splitlines())
    return [(int(number), words) for number, words in rows]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_traps_are_read_as_each_style_has_them(style: WordStyle) -> None:
    for number, words in trap_cases():
        expected = words.replace("ZERO", style.zero_tens).replace("THOUSAND", style.thousand)
        expected = expected.replace("FOUR", style.four_after_tens) + " đồng"
        if style.closing:
            expected += " chẵn"
        assert amount_in_words(number, style) == expected[0].upper() + expected[1:]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_every_amount_below_ten_thousand_is_read_back(style: WordStyle) -> None:
    readers = (WordReader(amount_in_words(number, style), style) for number in range(0, 10_000, 7))
    assert [reader.amount() for reader in readers] == list(range(0, 10_000, 7))


def test_every_amount_below_ten_thousand_is_read_back_in_the_house_style() -> None:
    assert all(WordReader(amount_in_words(n), SOUTHERN).amount() == n for n in range(10_000))


@given(
    st.one_of(
        st.integers(0, AMOUNT_IN_WORDS_MAX_VND),
        st.integers(0, 10**7),
        # Sparse amounts, where groups are empty or nearly so.
        st.lists(st.sampled_from([0, 1, 4, 5, 10, 14, 21, 24, 100, 105]), min_size=1, max_size=4).map(
            lambda groups: sum(group * 1000**place for place, group in enumerate(groups))
        ),
    ),
    st.sampled_from(STYLES),
)
@example(AMOUNT_IN_WORDS_MAX_VND, SOUTHERN)
def test_any_amount_is_read_back(amount_vnd: int, style: WordStyle) -> None:
    assert WordReader(amount_in_words(amount_vnd, style), style).amount() == amount_vnd


def test_house_styles_say_thirty_four_each_in_their_way() -> None:
    assert amount_in_words(1_234_500) == "Một triệu hai trăm ba mươi bốn nghìn năm trăm đồng"
    assert amount_in_words(34_105, NORTHERN) == "Ba mươi tư nghìn một trăm linh năm đồng"


@pytest.mark.parametrize("amount_vnd", [-1, AMOUNT_IN_WORDS_MAX_VND + 1])
def test_amounts_that_no_bill_states_are_refused(amount_vnd: int) -> None:
    with pytest.raises(ValueError, match="cannot be put in words"):
        amount_in_words(amount_vnd)


@given(st.integers(-(10**14), 10**14))
@example(0)
@example(999)
@example(1000)
@example(-1000)
def test_figures_are_grouped_by_threes_and_keep_their_value(amount_vnd: int) -> None:
    figures, unit = vnd(amount_vnd).split("\u00a0")
    assert unit == "đ"
    assert figures == vnd_plain(amount_vnd)
    assert re.fullmatch(r"-?(0|[1-9][0-9]{0,2}(\.[0-9]{3})*)", figures)
    assert int(figures.replace(".", "")) == amount_vnd


def test_amount_never_breaks_from_its_unit() -> None:
    assert vnd(1_234_567) == "1.234.567\u00a0đ"


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        (954, 1000, "95,4\u00a0%"),
        (1, 3, "33,3\u00a0%"),
        (2757, 2758, "99,9\u00a0%"),  # One customer short of the round is not a full round.
        (9499, 10_000, "94,9\u00a0%"),
        (2758, 2758, "100,0\u00a0%"),
        (12, 1, "1.200,0\u00a0%"),
        (0, 7, "0,0\u00a0%"),
        (-1, 3, "-33,3\u00a0%"),
        (-1, 10_000, "0,0\u00a0%"),
        (0, 0, "–"),
    ],
)
def test_share_is_rounded_towards_zero(numerator: int, denominator: int, expected: str) -> None:
    assert percent(numerator, denominator) == expected


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_shown_share_never_exceeds_the_true_one_nor_lags_a_tenth(numerator: int, denominator: int) -> None:
    tenths = int(re.sub("[^0-9]", "", percent(numerator, denominator)))
    assert tenths * denominator <= numerator * 1000 < (tenths + 1) * denominator


def test_share_of_less_than_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        percent(1, -3)


def test_dates_and_periods_are_printed_day_and_month_first() -> None:
    assert date_text("2026-11-24") == "24/11/2026"
    assert date_text("2028-02-29") == "29/02/2028"
    assert period_text("2026-01") == "01/2026"


@pytest.mark.parametrize(
    "text", ["", "20261124", "2026-11-24 ", "2026-13-01", "2027-02-29", "24/11/2026", "２026-11-24"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a date|must be in|out of range"):
        date_text(text)


@pytest.mark.parametrize("text", ["", "2026-00", "2026-13", "2026-1", "202611", "2026-11-24", "2026-11\n"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a period"):
        period_text(text)


def test_register_number_is_grouped_only_when_it_has_eleven_figures() -> None:
    assert grouped_register_no("02050000054") == "0205-000-0054"
    assert [grouped_register_no(n) for n in ("0205", "020500000541", "0205000005A")] == [
        "0205",
        "020500000541",
        "0205000005A",
    ]


# Letters in dictionary order; in each row the tones in dictionary order.
ALPHABET_TABLE = """
aàảãáạ ăằẳẵắặ âầẩẫấậ b c d đ eèẻẽéẹ êềểễếệ g h iìỉĩíị k l m n
oòỏõóọ ôồổỗốộ ơờởỡớợ p q r s t uùủũúụ ưừửữứự v x yỳỷỹýỵ
"""
ALPHABET = ALPHABET_TABLE.split()
PLAIN = {letter: row[0] for row in ALPHABET for letter in row}
BASE = str.maketrans("ăâđêôơư", "aadeoou")
ACCENTED = [letter for letter in PLAIN if not letter.isascii()]
ACCENTED += [letter.upper() for letter in ACCENTED]


def test_all_accented_letters_fold_to_their_base() -> None:
    assert len(ACCENTED) == 134
    for letter in ACCENTED:
        base = PLAIN[letter.lower()].translate(BASE)
        for written in (letter, unicodedata.normalize("NFD", letter)):
            assert fold(written) == base
            assert unmarked(written) == (base if letter.islower() else base.upper())
            assert nfc(written) == letter


@given(st.text(st.sampled_from([*ACCENTED, *"abz 09/,.-\t\u00a0"])))
def test_folding_twice_is_folding_once_and_leaves_plain_text(text: str) -> None:
    folded = fold(text)
    assert folded.isascii()
    assert folded == folded.lower() == " ".join(folded.split()) == fold(folded)
    assert fold(unicodedata.normalize("NFD", text)) == folded


def test_names_and_addresses_are_found_without_marks() -> None:
    haystack = fold("Đặng  Thị Ảnh, 12/5 Nguyễn Trãi")
    assert haystack == "dang thi anh, 12/5 nguyen trai"
    assert all(matches(haystack, query) for query in ("", "anh dang", "ĐẶNG", "ng tr", "12/5", "Ánh"))
    assert not matches(haystack, "anh le")


@pytest.mark.parametrize(
    ("text", "query", "rank"),
    [
        ("Lê Thị Ánh", "ánh", 0),
        ("Lê Thị Ảnh", "ánh", 2),
        ("Lê Thị Thanh", "anh", 1),
        ("Lê Thị Ảnh", "anh", 0),
        ("Lê Thị Thánh", "ánh", 1),
        ("Lê Thị Thanh", "ánh", 3),
        ("Lê Thị Ánh", "a\u0301nh le", 0),
        ("Đỗ Dũng", "đu", 2),
        ("Lê Thị Ánh", "bình", None),
        ("Lê Thị Ánh", "", 0),
    ],
)
def test_typed_marks_and_word_beginnings_rank_first(text: str, query: str, rank: int | None) -> None:
    assert search_rank(text, query) == rank


@given(st.text(st.sampled_from("aáàâbđd "), max_size=8), st.text(st.sampled_from("aáàâbđd "), max_size=4))
def test_rank_exists_exactly_where_the_query_matches(text: str, query: str) -> None:
    assert (search_rank(text, query) is not None) == matches(fold(text), query)


def dictionary_order(one: str, other: str) -> int:
    """Compares names word by word, letters before tones, by place in the alphabet table."""
    letters = [row[0] for row in ALPHABET]
    tone_of = {letter: place for row in ALPHABET for place, letter in enumerate(row)}
    for left, right in zip(one.lower().split(), other.lower().split(), strict=False):
        pairs = [
            ([letters.index(PLAIN[c]) for c in word], max(tone_of[c] for c in word)) for word in (left, right)
        ]
        if pairs[0] != pairs[1]:
            return -1 if pairs[0] < pairs[1] else 1
    return len(one.split()) - len(other.split())


# At most one tone a word, as in any Vietnamese syllable.
syllables = st.builds(
    lambda before, vowel, after: before + vowel + after,
    st.sampled_from(["", "b", "Đ", "d", "ngh"]),
    st.sampled_from(list(PLAIN)),
    st.sampled_from(["", "n", "nh", "ư"]),
)
names = st.lists(syllables, min_size=1, max_size=3).map(" ".join)


@given(names, names)
def test_stored_key_orders_as_a_dictionary_does(one: str, other: str) -> None:
    key_one, key_other = sort_key(one), sort_key(unicodedata.normalize("NFD", other))
    order = (key_one > key_other) - (key_one < key_other)
    expected = dictionary_order(one, other)
    assert order == (expected > 0) - (expected < 0)


def test_customers_stand_in_dictionary_order() -> None:
    table = "An, Ảnh, Ánh, Ăn, Ân, Dung, Đào, Em, Ê, Hòa, Hoá, Lê An, Lê Bình, Lệ An, Oanh, Ông, Ơn, Ung, Ưng"
    in_order = table.split(", ")
    by_code_point = sorted(in_order)
    assert by_code_point != in_order
    assert sorted(by_code_point, key=sort_key) == in_order
    assert sorted(by_code_point, key=cmp_to_key(dictionary_order)) == in_order
    assert sort_key("hoà") == sort_key("Hòa")
    assert sort_key("Hà-Na 9") < sort_key("Hà-Ná") < sort_key("Há-Na")
