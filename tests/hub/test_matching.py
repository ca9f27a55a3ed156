"""Bank contents and amounts, each as a person at the counter would read them."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.matching import OPEN_BILLS_MAX, MatchKind, bills_for_amount, match, register_numbers

ANH, BA = "02050007732", "02050011707"
KNOWN = {ANH: "anh", BA: "ba", "02050001234": "anh"}  # Anh has a second register.

# content | customers named, in order
CONTENT_CASES = """
    02050007732                                              | anh
    thanh toan tien nuoc T11 danh bo 02050011707 cam on      | ba
    TIENNUOC02050007732KY112026                              | anh
    tien nuoc 0205-001-1707 T11                              | ba
    0205.000.7732                                            | anh
    0205 000-7732                                            | anh
    MBVCB.9008025552.02050007732.CT tu 1642760170254 toi CTY | anh
    02050007732 va 02050011707                               | anh ba
    0205 001 1707 0205 000 7732                              | ba anh
    0101 234 0205 001 1707                                   | ba
    02050007732, nhac lai 0205-000-7732                      | anh
    02050007732 + 02050001234                                | anh
    2050007732                                               | -
    102050007732                                             | -
    020500077321                                             | -
    ٣02050007732                                             | -
    02050007732٣                                             | -
    0205-000-77321                                           | -
    9 0205-000-7732                                          | anh
    0205  000 7732                                           | -
    0205_000_7732                                            | -
    0205000 7732                                             | -
    020 5000 7732                                            | -
    02050OO7732                                              | -
    ０２０５０００７７３２                                       | -
    02059999999                                              | -
    chuyen nham                                              | -
"""


@pytest.mark.parametrize("case", CONTENT_CASES.strip().splitlines())
def test_a_content_names_the_customers_whose_number_stands_in_it_in_full(case: str) -> None:
    content, _, named = case.strip().rpartition("|")
    customers = tuple(named.split()) if named.strip() != "-" else ()
    kinds = {0: MatchKind.NONE, 1: MatchKind.ONE}
    found = match(content.strip(), KNOWN)
    assert (found.kind, found.customer_ids) == (kinds.get(len(customers), MatchKind.SEVERAL), customers)


def test_an_empty_content_names_nobody() -> None:
    assert register_numbers("", KNOWN) == ()
    assert match("", KNOWN).kind is MatchKind.NONE


def numbers_by_hand(content: str, known: set[str]) -> list[str]:
    """The definition again, by slices and letters instead of a pattern."""
    found = []
    for start in range(len(content)):
        for length, joints in ((11, ()), (13, (4, 8))):
            piece = content[start : start + length]
            before, after = content[:start][-1:], content[start + length :][:1]
            digits = "".join(letter for place, letter in enumerate(piece) if place not in joints)
            fits = len(piece) == length and digits.isascii() and digits.isdigit()
            fits = fits and all(piece[place] in " .-" for place in joints)
            fits = fits and not before.isdigit() and not after.isdigit()
            if fits and digits in known and digits not in found:
                found.append(digits)
    return found


pieces = st.sampled_from([ANH, BA, "0205 000 7732", "0205-001-1707", "0205", "000", "7732", *"0 .-xA٣"])


@given(st.lists(pieces, max_size=12).map("".join))
def test_the_matcher_agrees_with_the_definition_spelt_out(content: str) -> None:
    assert list(register_numbers(content, KNOWN)) == numbers_by_hand(content, set(KNOWN))


# amount | open bills, oldest first | what it pays
AMOUNT_CASES = """
    100 | a:100             | a
    150 | a:100 b:50        | a b
     50 | a:100 b:50        | b
     50 | a:50 b:50 c:50    | a
    100 | a:50 b:50 c:50    | a b
    100 | a:50 b:50 c:100   | c
    150 | a:50 b:70 c:100   | a c
     60 | a:10 b:20 c:50 d:40 e:30 | a c
     99 | a:100             | -
    200 | a:100             | -
      0 | a:100             | -
      5 |                   | -
      0 |                   | -
"""


def bills_of(text: str) -> list[tuple[str, int]]:
    pairs = (item.split(":") for item in text.split())
    return [(bill, int(vnd)) for bill, vnd in pairs]


@pytest.mark.parametrize("case", AMOUNT_CASES.strip().splitlines())
def test_an_amount_pays_the_fewest_then_the_oldest_bills(case: str) -> None:
    amount, bills, paid = (part.strip() for part in case.split("|"))
    expected = None if paid == "-" else tuple(paid.split())
    assert bills_for_amount(int(amount), bills_of(bills)) == expected


def brute_force(amount_vnd: int, bills: Sequence[tuple[str, int]]) -> tuple[str, ...] | None:
    """Every subset by its bit mask, the best by (how many, which places)."""
    best: tuple[int, list[int]] | None = None
    for mask in range(1, 1 << len(bills)):
        places = [place for place in range(len(bills)) if mask >> place & 1]
        if sum(bills[place][1] for place in places) == amount_vnd:
            rank = (len(places), places)
            best = rank if best is None or rank < best else best
    return None if best is None else tuple(bills[place][0] for place in best[1])


def named(amounts: list[int]) -> list[tuple[str, int]]:
    return [(f"bill-{place}", vnd) for place, vnd in enumerate(amounts)]


small_bills = st.lists(st.integers(1, 12), max_size=9).map(named)


@given(small_bills, st.integers(0, 60))
def test_no_other_set_of_bills_fits_better(bills: list[tuple[str, int]], amount_vnd: int) -> None:
    assert bills_for_amount(amount_vnd, bills) == brute_force(amount_vnd, bills)


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=OPEN_BILLS_MAX).map(named), st.data())
def test_a_sum_of_open_bills_finds_its_bills(bills: list[tuple[str, int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(bills), min_size=1, unique=True))
    found = bills_for_amount(sum(vnd for _, vnd in chosen), bills)
    assert found is not None
    assert len(found) <= len(chosen)
    assert sum(dict(bills)[bill] for bill in found) == sum(vnd for _, vnd in chosen)
    assert list(found) == [bill for bill, _ in bills if bill in found]


def test_twelve_bills_are_searched_in_full() -> None:
    bills = named([2**place for place in range(OPEN_BILLS_MAX)])
    assert bills_for_amount(0b100000000101, bills) == ("bill-0", "bill-2", "bill-11")


def test_of_more_than_twelve_bills_only_one_or_the_oldest_are_looked_at() -> None:
    bills = named([2**place for place in range(OPEN_BILLS_MAX + 1)])
    assert bills_for_amount(2**12, bills) == ("bill-12",)
    assert bills_for_amount(0b111, bills) == ("bill-0", "bill-1", "bill-2")
    assert bills_for_amount(2**13 - 1, bills) == tuple(bill for bill, _ in bills)
    assert bills_for_amount(0b101, bills) is None
