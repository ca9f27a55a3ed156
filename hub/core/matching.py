"""Whose money is it, and for which bills: what a bank line's content and amount say by themselves.

Strict on purpose: a line is either matched by a register number written in full or left to a person. A
cleverer guess (a digit mended, a name recognised) belongs on the screen as a proposal, never here.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, combinations

OPEN_BILLS_MAX = 12  # 4,095 subsets; whoever owes more than a year is seen by a person anyway.

# Eleven digits, or 4-3-4 joined by one space, point or hyphen each, not touching another digit of any script.
# Looked for at every position, so that "0101 234 0205 001 7077" does not hide its last eleven digits.
_CANDIDATE = re.compile(r"(?<!\d)(?=([0-9]{11}|[0-9]{4}[ .-][0-9]{3}[ .-][0-9]{4})(?!\d))")
_JOINTS = str.maketrans("", "", " .-")


class MatchKind(StrEnum):
    """How many customers a content names."""

    ONE = "one"
    SEVERAL = "several"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Match:
    """The customers a content names, distinct, in the order named; exactly one when kind is ONE."""

    kind: MatchKind
    customer_ids: tuple[str, ...]


def register_numbers(content: str, known: Container[str]) -> tuple[str, ...]:
    """The known register numbers (11 digits) written in a content, distinct, in the order written."""
    written = (found[1].translate(_JOINTS) for found in _CANDIDATE.finditer(content))
    return tuple(dict.fromkeys(number for number in written if number in known))


def match(content: str, known: Mapping[str, str]) -> Match:
    """The customers a content names; known: register number to customer id."""
    customer_ids = tuple(dict.fromkeys(known[number] for number in register_numbers(content, known)))
    if len(customer_ids) == 1:
        return Match(MatchKind.ONE, customer_ids)
    return Match(MatchKind.SEVERAL if customer_ids else MatchKind.NONE, customer_ids)


def bills_for_amount(amount_vnd: int, open_bills: Sequence[tuple[str, int]]) -> tuple[str, ...] | None:
    """The open bills an amount pays exactly, oldest first; None when it pays no set of them.

    open_bills: (bill, amount in VND, more than 0), oldest first. Of several sets with the same sum the one of
    fewest bills is meant, then the one with the oldest bills. Of more than OPEN_BILLS_MAX bills only these
    sets are looked at: each bill alone, and the oldest two, three ... up to all of them.
    """
    if len(open_bills) > OPEN_BILLS_MAX:
        return _single_or_oldest(amount_vnd, open_bills)
    for size in range(1, len(open_bills) + 1):
        for bills in combinations(open_bills, size):  # In order of positions, so the oldest come first.
            if sum(vnd for _, vnd in bills) == amount_vnd:
                return tuple(bill for bill, _ in bills)
    return None


def _single_or_oldest(amount_vnd: int, open_bills: Sequence[tuple[str, int]]) -> tuple[str, ...] | None:
    for bill, vnd in open_bills:
        if vnd == amount_vnd:
            return (bill,)
    for count, sum_vnd in enumerate(accumulate(vnd for _, vnd in open_bills), start=1):
        if sum_vnd == amount_vnd:
            return tuple(bill for bill, _ in open_bills[:count])
    return None
