"""Rates against targets: the same to the digit on the handheld and at the hub."""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.progress import Progress, rate_per_myriad

COUNTS = st.integers(0, 70_000)


def rows(table: str) -> Iterator[list[int]]:
    lines = (line.split("#")[0].replace("->", " ").split() for line in table.splitlines())
    return ([int(cell) for cell in line] for line in lines if line)


# Targets 99 % and 95 %, as product rules have them.
PROGRESS_CASES = """
# stops  read  cash  paid ->  read collect  left left stop
   2757  2757  2000  1900 -> 10000    9500     0    0    1   # the target itself is reached
   2757  2730  2000  1899 ->  9902    9495     0    1    0
   2757  2729  2000     0 ->  9898       0     1 1900    0   # 2729.43 rounds up: 2,730 are needed
      3     1     3     2 ->  3333    6667     2    1    0
      3     2     3     1 ->  6667    3333     1    2    0
      1     0     1     1 ->     0   10000     1    0    1
    200   198    20    19 ->  9900    9500     0    0    1
  20000     1  8000     1 ->     1       1 19799 7599    0   # 0.5 and 1.25 hundredths
  20001     1 20001     1 ->     0       0 19800 19000   0
     10    10     0     0 -> 10000       0     0    0    0   # nobody pays cash: there is nothing to stop
      0     0     0     0 ->     0       0     0    0    0
"""


@pytest.mark.parametrize("row", list(rows(PROGRESS_CASES)), ids=str)
def test_progress(row: list[int]) -> None:
    stops, read, cash, paid, *wanted = row
    made = Progress(stops=stops, read=read, cash_customers=cash, cash_paid=paid)
    found = [made.read_per_myriad, made.collect_per_myriad, made.left_to_read(990), made.left_to_collect(950)]
    assert [*found, int(made.may_stop(950))] == wanted


@given(COUNTS, COUNTS)
def test_a_rate_is_the_exact_share_rounded_half_up(part: int, whole: int) -> None:
    wanted = floor(Fraction(part * 10_000, whole) + Fraction(1, 2)) if whole else 0
    assert rate_per_myriad(part, whole) == wanted


@given(COUNTS, st.data(), st.integers(0, 1000))
def test_what_is_left_is_just_enough(whole: int, data: st.DataObject, target: int) -> None:
    done = data.draw(st.integers(0, whole))
    made = Progress(stops=whole, read=done, cash_customers=whole, cash_paid=done)
    left = made.left_to_read(target)
    assert left == made.left_to_collect(target) == max(0, ceil(Fraction(whole * target, 1000)) - done)
    assert Fraction(done + left) >= Fraction(whole * target, 1000)
    assert left == 0 or Fraction(done + left - 1) < Fraction(whole * target, 1000)
    assert made.may_stop(target) == (whole > 0 and left == 0)
