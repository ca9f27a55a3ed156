"""What readings come to: the codes, dials that go round, estimates, and rule R2 against exact fractions."""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.readings import (
    ANY_USE_M3,
    READING_CODES,
    ReadingInputError,
    Use,
    UseRule,
    above_register,
    estimate_m3,
    expected_range_m3,
    fell_by_policy,
    index_after,
    use_m3,
)

INDEXES = st.integers(0, 99_999)
USES = st.integers(0, 500)


def rows(table: str) -> Iterator[list[str]]:
    lines = (line.split("#")[0].split() for line in table.splitlines())
    return (line for line in lines if line)


def number(text: str) -> int | None:
    return None if text == "-" else int(text)


# An estimate of 12 m3 stands ready in every row; the register has 5 digits.
USE_CASES = """
# code                  old   new removed installed -> use or field:problem                 next
  normal                120   143       -         - -> 23                                    143
  normal                120   120       -         - -> 0                                     120
  normal                120   100       -         - -> -20                                   100
  normal                120     -       -         - -> index:value_missing                     -
  reading_by_phone      120   143       -         - -> 23                                    143
  resolve_prior         120   143       -         - -> 23                                    143
  new_install_1           0    31       -         - -> 31                                     31
  house_closed          120     -       -         - -> 12                                    132
  house_closed        99990     -       -         - -> 12                                      2
  dial_missing          120   500       -         - -> 12                                    132  # not looked at
  vacant                120   120       -         - -> 0                                     120
  vacant                120   125       -         - -> 0                                     120  # billed next time
  vacant                120     -       -         - -> index:value_missing                     -
  prior_reading_error   120   100       -         - -> 0                                     120
  service_sealed        120     -       -         - -> 0                                     120
  no_supply             120     -       -         - -> 0                                     120
  hold_over_estimate    132   125       -         - -> 0                                     132
  hold_over_estimate    132     -       -         - -> index:value_missing                     -
  replaced_periodic     120     9     130         2 -> 17                                      9
  replaced_lt_7d        120     2     120         2 -> 0                                       2
  replaced_after_stop   130    20     125         0 -> 15                                     20  # 130 was an estimate
  replaced_resized      130     4     125         0 -> removed_index:removed_below_previous    -
  replaced_periodic     120     1     130         2 -> index:below_installed                   -
  replaced_periodic     120     9       -         2 -> removed_index:value_missing             -
  replaced_periodic     120     9     130         - -> installed_index:value_missing           -
  replaced_periodic     120     -     130         2 -> index:value_missing                     -
  rollover_4d          9983     3       -         - -> 20                                      3
  rollover_4d          9999     0       -         - -> 1                                       0  # one turn is 10000
  rollover_5d         99998     7       -         - -> 9                                       7
  rollover_4d         12000     3       -         - -> previous_index:above_register           -
  rollover_4d          9983 10003       -         - -> index:above_register                    -
  rollover_4d          9983  9990       -         - -> index:did_not_roll_over                 -
  rollover_4d          9983  9983       -         - -> index:did_not_roll_over                 -
  rollover_5d         99998     -       -         - -> index:value_missing                     -
"""


def outcome(name: str, old: int, new: int | None, removed: int | None, installed: int | None) -> list[str]:
    """Use and next index, or what must be keyed again."""
    code = READING_CODES[name]
    try:
        use = use_m3(
            code,
            previous_index=old,
            index=new,
            removed_index=removed,
            installed_index=installed,
            estimate_m3=12,
        )
    except ReadingInputError as error:
        return [f"{error.field}:{error.message.removeprefix('reading.')}", "-"]
    return [str(use), str(index_after(code, previous_index=old, index=new, use_m3=use, digits=5))]


@pytest.mark.parametrize("row", list(rows(USE_CASES)), ids=lambda row: "_".join(row[:5]))
def test_use_and_next_index_by_code(row: list[str]) -> None:
    assert outcome(row[0], int(row[1]), *map(number, row[2:5])) == row[6:]


def test_every_rule_has_a_case() -> None:
    assert {READING_CODES[row[0]].rule for row in rows(USE_CASES)} == set(UseRule)


def test_codes_speak_for_themselves() -> None:
    marks = [code.mark for code in READING_CODES.values()]
    assert len(set(marks)) == len(marks)
    for name, code in READING_CODES.items():
        assert name == code.name
        assert code.vi
        assert code.en
        assert (code.digits is not None) == (code.rule is UseRule.ROLLOVER)
        assert not (code.readable and code.rule is UseRule.ESTIMATE)


# Codes that billing extracts name, and whether an index comes with them.
IN_EXTRACTS = """
normal reading_left_outside reading_by_phone vacant hold_over_estimate rollover_4d rollover_5d    # read
replaced_periodic replaced_after_stop replaced_lt_7d replaced_resized                             # read
"""
NOT_READ_IN_EXTRACTS = """
house_closed box_locked obstructed glass_unreadable register_fault_or_reversed buried_not_found
refused_or_flooded dial_missing
"""


def test_codes_of_billing_extracts_are_known() -> None:
    assert all(READING_CODES[name].readable for row in rows(IN_EXTRACTS) for name in row)
    assert not any(READING_CODES[name].readable for row in rows(NOT_READ_IN_EXTRACTS) for name in row)


class Dial:
    """A register as the trade builds it: wheels of ten figures, each pushed on by the one to its right."""

    def __init__(self, index: int, digits: int) -> None:
        self.wheels = [int(figure) for figure in f"{index:0{digits}d}"]

    def flow(self, m3: int) -> None:
        for _ in range(m3):
            for place in reversed(range(len(self.wheels))):
                self.wheels[place] = (self.wheels[place] + 1) % 10
                if self.wheels[place] != 0:
                    break

    @property
    def index(self) -> int:
        return int("".join(map(str, self.wheels)))


@given(st.data(), st.sampled_from([4, 5]), USES)
def test_a_dial_gives_back_the_water_that_flowed(data: st.DataObject, digits: int, flowed_m3: int) -> None:
    near_the_end = st.integers(10**digits - 400, 10**digits - 1)
    old = data.draw(st.integers(0, 10**digits - 1) | near_the_end)
    dial = Dial(old, digits)
    dial.flow(flowed_m3)
    code = READING_CODES["normal" if dial.index >= old else f"rollover_{digits}d"]
    assert use_m3(code, previous_index=old, index=dial.index) == flowed_m3


@given(INDEXES, USES, INDEXES, USES)
def test_a_replacement_gives_back_what_flowed_through_both_meters(old: int, first: int, new: int, second: int) -> None:
    use = use_m3(
        READING_CODES["replaced_periodic"],
        previous_index=old,
        index=new + second,
        removed_index=old + first,
        installed_index=new,
    )
    assert use == first + second


@given(st.integers(0, 50_000), USES, st.integers(0, 500))
def test_an_estimate_is_put_right_by_the_next_reading(old: int, estimated: int, flowed: int) -> None:
    closed, normal, hold_over = (READING_CODES[name] for name in ("house_closed", "normal", "hold_over_estimate"))
    billed = use_m3(closed, previous_index=old, index=None, estimate_m3=estimated)
    held = index_after(closed, previous_index=old, index=None, use_m3=billed, digits=5)
    dial = old + flowed
    code = normal if dial >= held else hold_over
    use = use_m3(code, previous_index=held, index=dial)
    after = index_after(code, previous_index=held, index=dial, use_m3=use, digits=5)
    assert billed + use == after - old  # Whatever is billed is what the office's index moved by.
    assert billed + use == max(estimated, flowed)


@given(st.lists(USES, max_size=8))
def test_estimate_is_the_mean_of_at_most_three_half_up(uses: list[int]) -> None:
    last = uses[-3:]
    expected = floor(Fraction(sum(last), len(last)) + Fraction(1, 2)) if last else 0
    assert estimate_m3(uses) == expected


def test_estimate_never_gives_water_back() -> None:
    assert estimate_m3([-9, 0, 1]) == 0


RANGE_CASES = """
# last uses    low  high
  10,10,10      7    13
  20,20,20     14    26
  90,20,20,20  14    26   # only three count
  17,18,18     13    22   # 12.37 to 22.97 in whole m3
  5,5,5         2     8
  1,1,1         0     4
  0,0,0         0     3
  30           21    39
"""


@pytest.mark.parametrize("row", list(rows(RANGE_CASES)), ids=lambda row: row[0])
def test_expected_range(row: list[str]) -> None:
    low, high = expected_range_m3([int(text) for text in row[0].split(",")])
    assert (low, high) == (int(row[1]), int(row[2]))


def test_everything_is_expected_of_a_new_customer() -> None:
    assert expected_range_m3([]) == (0, ANY_USE_M3)


@given(st.lists(USES, min_size=1, max_size=3))
def test_expected_range_holds_the_shares_and_the_width(uses: list[int]) -> None:
    mean = Fraction(sum(uses), len(uses))
    low, high = expected_range_m3(uses)
    assert low == max(0, min(ceil(mean * Fraction(7, 10)), estimate_m3(uses) - 3))
    assert high == max(floor(mean * Fraction(13, 10)), estimate_m3(uses) + 3)


def test_a_register_shows_as_many_figures_as_it_has() -> None:
    assert [above_register(index, 4) for index in (0, 9_999, 10_000)] == [False, False, True]


# Policy of the branch: 30 % a day and 3 m3.
DROP_CASES = """
# last  days   now  days  -> fell
   20    31     14    31  -> yes   # exactly 30 %
   20    31     15    31  -> no
   20    31     15    24  -> no    # fewer days: 0.65 to 0.63 a day
   20    24     15    31  -> yes   # more days: 0.83 to 0.48 a day
    5    31      3    31  -> no    # 40 %, but only 2 m3
    6    31      3    31  -> yes
    1    31      0    31  -> yes   # to nothing, however little it was
    0    31      0    31  -> no
    0    31     20    31  -> no
   20    31    -20    31  -> yes
    1    31     -1    31  -> no    # only 2 m3
   20     0     14    31  -> yes   # first reading: m3 alone
   20    31     15     0  -> no
   20    31     14    -5  -> yes   # a clock set wrong
"""


@pytest.mark.parametrize("row", list(rows(DROP_CASES)), ids=lambda row: "_".join(row[:4]))
def test_fall_in_use(row: list[str]) -> None:
    last_m3, last_days, now_m3, now_days = map(int, row[:4])
    fell = fell_by_policy(Use(now_m3, now_days), Use(last_m3, last_days), 300, 3)
    assert fell == (row[5] == "yes")


@given(st.integers(-100, 500), st.integers(1, 90), USES, st.integers(1, 90), st.integers(0, 1000), st.integers(0, 20))
def test_fall_in_use_against_fractions(
    now_m3: int, now_days: int, last_m3: int, last_days: int, drop_per_mille: int, drop_m3_min: int
) -> None:
    fell = fell_by_policy(Use(now_m3, now_days), Use(last_m3, last_days), drop_per_mille, drop_m3_min)
    if last_m3 == 0:
        assert not fell
        return
    change = Fraction(now_m3, now_days) / Fraction(last_m3, last_days) - 1
    far_enough = change <= -Fraction(drop_per_mille, 1000) and last_m3 - now_m3 >= drop_m3_min
    assert fell == (now_m3 == 0 or far_enough)
