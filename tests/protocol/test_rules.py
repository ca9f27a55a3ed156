"""The collection rules: each alone, which comes first, and what only asks for the index again."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.facts import Facts, Reading, facts_of
from protocol.package import Meter, PastUse, Policy, Stop
from protocol.readings import READING_CODES, Use, UseRule
from protocol.reasons import REASONS, Reason, Scope, scope, words
from protocol.rules import HOLDS, WARNINGS, hold, holds_alone, warnings

FACTS = Facts(
    payment_method="TT",
    previous_index=1000,
    previous_was_estimate=False,
    last_use=Use(20, 31),
    usual_range_m3=(14, 26),
    register_digits=5,
    drop_per_mille=300,
    drop_m3_min=3,
)
ESTIMATED = "~"  # Behind a previous index: it was an estimate.


def cells(table: str) -> Iterator[list[str]]:
    lines = (line.split("#")[0].replace("->", " ").split() for line in table.splitlines())
    return (line for line in lines if line)


def reasons(text: str) -> tuple[Reason, ...]:
    """Initials as in the tables: "-" for none, several joined with "+"."""
    return () if text == "-" else tuple(Reason(name) for name in text.split("+"))


# m3/days of the last period and of this one. Precedence is R1, R3, R2. "-" for an index: nothing was read.
HOLD_CASES = """
#last   old   index code                  use    way -> holds, each alone; the first is given
20/31   1000  1014 normal               14/31 TT -> CONSUMPTION_DROP    # 30 % to the litre
20/31   1000  1015 normal               15/31 TT -> -                   # 25 %
20/31   1000  1015 normal               15/24 TT -> -                   # shorter month: 0.65 to 0.63 a day
20/24   1000  1016 normal               16/31 TT -> CONSUMPTION_DROP    # longer month: 0.83 to 0.52
 5/31   1000  1003 normal                3/31 TT -> -                   # 40 %, but only 2 m3
 6/31   1000  1003 normal                3/31 TT -> CONSUMPTION_DROP    # 50 % and 3 m3
 5/31   1000  1000 normal                0/31 TT -> CONSUMPTION_DROP    # to nothing, however little it was
 1/31   1000  1000 normal                0/31 TT -> CONSUMPTION_DROP
 0/31   1000  1000 normal                0/31 TT -> -                   # nothing before either
 0/31   1000  1005 normal                5/31 TT -> -
20/31   1000  1060 normal               60/31 TT -> -                   # more is a warning, not a hold
20/31   1000     - -                        - TT -> -                   # not read: nothing is known
20/31   1000  1020 normal               20/31 CK -> PAYS_BY_TRANSFER
20/31   1000  1020 normal               20/31 NT -> PAYS_BY_COLLECTION_ORDER
20/31   1000     - -                        - CK -> PAYS_BY_TRANSFER    # needs no reading
20/31   1000     - -                        - NT -> PAYS_BY_COLLECTION_ORDER
20/31   1000   999 normal               -1/31 TT -> READING_BELOW_PREVIOUS+CONSUMPTION_DROP
20/31   1000   999 normal               -1/31 CK -> PAYS_BY_TRANSFER+READING_BELOW_PREVIOUS+CONSUMPTION_DROP
20/31   1000   999 normal               -1/31 NT -> PAYS_BY_COLLECTION_ORDER+READING_BELOW_PREVIOUS+CONSUMPTION_DROP
20/31   1000  1010 normal               10/31 CK -> PAYS_BY_TRANSFER+CONSUMPTION_DROP
 0/31   1000   999 normal               -1/31 TT -> READING_BELOW_PREVIOUS
20/31   1000   999 reading_by_phone     -1/31 TT -> READING_BELOW_PREVIOUS+CONSUMPTION_DROP
20/31  99990    12 rollover_5d          22/31 TT -> -                   # the dial went round
20/31   9990    12 rollover_4d          22/31 TT -> -
20/31  99990     2 rollover_5d          12/31 TT -> CONSUMPTION_DROP    # explained, and still a drop
20/31   1000    21 replaced_periodic    21/31 TT -> -                   # a new meter
20/31   1000    21 replaced_after_stop  21/31 TT -> -
20/31   1000     2 replaced_lt_7d        8/31 TT -> CONSUMPTION_DROP
20/31  1000~   990 hold_over_estimate    0/31 TT -> CONSUMPTION_DROP    # the estimate was too high
 0/31  1000~   990 hold_over_estimate    0/31 TT -> -
20/31   1000   990 hold_over_estimate    0/31 TT -> READING_BELOW_PREVIOUS+CONSUMPTION_DROP  # nothing was estimated
 0/31   1000   990 hold_over_estimate    0/31 TT -> READING_BELOW_PREVIOUS
20/31  1000~   990 normal              -10/31 TT -> READING_BELOW_PREVIOUS+CONSUMPTION_DROP  # the code must say so
20/31   1000   990 vacant                0/31 TT -> READING_BELOW_PREVIOUS+CONSUMPTION_DROP
20/31   1000   990 prior_reading_error   0/31 TT -> READING_BELOW_PREVIOUS+CONSUMPTION_DROP
20/31   1000   990 resolve_prior       -10/31 TT -> READING_BELOW_PREVIOUS+CONSUMPTION_DROP
20/31   1000  1000 hold_over_estimate    0/31 TT -> CONSUMPTION_DROP
"""


def use_of(cell: str) -> Use:
    m3, days = cell.split("/")
    return Use(int(m3), int(days))


def case(row: list[str]) -> tuple[Reading | None, Facts]:
    last, previous, index, code, use, way = row
    facts = replace(
        FACTS,
        payment_method=way,
        previous_index=int(previous.rstrip(ESTIMATED)),
        previous_was_estimate=previous.endswith(ESTIMATED),
        last_use=use_of(last),
    )
    return None if index == "-" else Reading(code=code, index=int(index), use=use_of(use)), facts


@pytest.mark.parametrize("row", list(cells(HOLD_CASES)), ids=" ".join)
def test_holds_and_their_precedence(row: list[str]) -> None:
    reading, facts = case(row[:-1])
    wanted = reasons(row[-1])
    assert holds_alone(reading, facts) == wanted
    assert hold(reading, facts) == (wanted[0] if wanted else None)


# Usual is 14 to 26 m3, the register has five digits. In this order, since the first thing wrong is keyed again first.
WARNING_CASES = """
#  index  code                  use -> warnings
    1020  normal                 20 -> -
    1026  normal                 26 -> -
    1027  normal                 27 -> FAR_ABOVE_EXPECTED
    1014  normal                 14 -> -
    1001  normal                  1 -> -                     # little is a hold, if anything
    1000  normal                  0 -> ZERO_CONSUMPTION
    1000  reading_by_phone        0 -> ZERO_CONSUMPTION
    1000  vacant                  0 -> -                     # the code says so
    1000  prior_reading_error     0 -> -
     990  hold_over_estimate      0 -> -
       2  replaced_lt_7d          0 -> ZERO_CONSUMPTION
   99999  normal              98999 -> FAR_ABOVE_EXPECTED
  100000  normal              99000 -> ABOVE_REGISTER+FAR_ABOVE_EXPECTED
  100000  vacant                  0 -> ABOVE_REGISTER
  100000  replaced_periodic       0 -> ABOVE_REGISTER+ZERO_CONSUMPTION
     999  normal                 -1 -> -                     # below is a hold
"""


@pytest.mark.parametrize("row", list(cells(WARNING_CASES)), ids=" ".join)
def test_warnings(row: list[str]) -> None:
    index, code, use_m3, wanted = row
    assert warnings(Reading(code=code, index=int(index), use=Use(int(use_m3), 31)), FACTS) == reasons(wanted)


def reasons_in_tables() -> set[str]:
    """Every reason that a row gives."""
    return {name for table in (HOLD_CASES, WARNING_CASES) for row in cells(table) for name in row[-1].split("+")} - {
        "-"
    }


# Codes with an index, which are the ones a reading can have.
READ_CODES = sorted(code.name for code in READING_CODES.values() if code.readable)
READINGS = st.none() | st.builds(
    Reading,
    code=st.sampled_from(READ_CODES),
    index=st.integers(0, 2_000),
    use=st.builds(Use, st.integers(-50, 80), st.integers(0, 70)),
)
ANY_FACTS = st.builds(
    Facts,
    payment_method=st.sampled_from(["TT", "CK", "NT"]),
    previous_index=st.integers(0, 2_000),
    previous_was_estimate=st.booleans(),
    last_use=st.builds(Use, st.integers(0, 60), st.integers(0, 70)),
    usual_range_m3=st.just((5, 40)),
    register_digits=st.integers(3, 5),
    drop_per_mille=st.integers(0, 1000),
    drop_m3_min=st.integers(0, 10),
)
PRECEDENCE = (
    Reason.PAYS_BY_TRANSFER,
    Reason.PAYS_BY_COLLECTION_ORDER,
    Reason.READING_BELOW_PREVIOUS,
    Reason.CONSUMPTION_DROP,
)


@given(READINGS, ANY_FACTS)
def test_the_hold_given_is_the_first_by_precedence(reading: Reading | None, facts: Facts) -> None:
    alone = holds_alone(reading, facts)
    assert list(alone) == sorted(set(alone), key=PRECEDENCE.index)
    assert hold(reading, facts) == min(alone, key=PRECEDENCE.index, default=None)


@given(READINGS, ANY_FACTS)
def test_who_pays_elsewhere_is_held_whatever_was_read(reading: Reading | None, facts: Facts) -> None:
    by_cash = holds_alone(reading, replace(facts, payment_method="TT"))
    reason = {"CK": Reason.PAYS_BY_TRANSFER, "NT": Reason.PAYS_BY_COLLECTION_ORDER}.get(facts.payment_method)
    assert holds_alone(reading, facts) == ((reason, *by_cash) if reason else by_cash)
    assert (hold(None, facts) is None) == (reason is None)


@given(READINGS, ANY_FACTS)
def test_a_lower_index_is_held_unless_its_code_explains_it(reading: Reading | None, facts: Facts) -> None:
    held = Reason.READING_BELOW_PREVIOUS in holds_alone(reading, facts)
    if reading is None or reading.index >= facts.previous_index:
        assert not held
        return
    match READING_CODES[reading.code].rule:
        case UseRule.ROLLOVER | UseRule.REPLACED:
            assert not held
        case UseRule.HOLD_OVER:
            assert held != facts.previous_was_estimate
        case _:
            assert held


@given(READINGS, ANY_FACTS)
def test_warnings_never_hold_and_holds_never_warn(reading: Reading | None, facts: Facts) -> None:
    assert not set(holds_alone(reading, facts)) & {Reason.FAR_ABOVE_EXPECTED, Reason.ZERO_CONSUMPTION}
    if reading is not None:
        assert not set(warnings(reading, facts)) & set(PRECEDENCE)
    else:
        assert all(rule(None, facts) is None for rule in WARNINGS)


def test_how_far_a_hold_reaches() -> None:
    assert scope(Reason.PAYS_BY_TRANSFER) is scope(Reason.PAYS_BY_COLLECTION_ORDER) is Scope.EVERY_BILL
    assert scope(Reason.READING_BELOW_PREVIOUS) is scope(Reason.CONSUMPTION_DROP) is Scope.THIS_PERIOD
    assert [reason for reason in Reason if REASONS[reason][3]] == [*PRECEDENCE[2:]]
    assert len(HOLDS) == 3


def test_a_reason_speaks_both_languages() -> None:
    assert words(Reason.NO_OPEN_SHIFT) == "Chưa mở ca làm việc"
    assert words(Reason.NO_OPEN_SHIFT, "en") == "No shift is open"


# Facts from a package.


def past(index: int, use_m3: int, code: str = "normal") -> PastUse:
    return PastUse(period="2026-09", reading_date="2026-09-05", index=index, use_m3=use_m3, days=30, code=code)


def stop_with(*history: PastUse) -> Stop:
    return Stop(
        customer="02050007026",
        register_no="0207026",
        name="Nguyễn Thị Bé",
        address="12 Mậu Thân",
        phone="",
        collect_address="",
        walk_seq=1,
        route_day=3,
        latitude_e7=100_000_000,
        longitude_e7=1_057_000_000,
        area="urban",
        category="household",
        business_type="",
        payment_method="NT",
        meter=Meter(serial="A1", make="", size_mm=15, digits=4),
        history=history,
        arrears=(),
        credit_vnd=0,
    )


def policy() -> Policy:
    return Policy(
        unit="CT-02",
        version=1,
        issued_ms=0,
        expires_ms=1,
        utility_name="Cấp nước",
        branch_name="Chi nhánh 2",
        hotline="1900",
        bank_bin="970436",
        bank_account="100004360001",
        drop_per_mille=250,
        drop_m3_min=7,
    )


def test_facts_are_the_newest_period_and_the_branchs_numbers() -> None:
    facts = facts_of(stop_with(past(900, 12), past(920, 20), past(930, 10)), policy())
    assert (facts.payment_method, facts.previous_index, facts.last_use) == ("NT", 930, Use(10, 30))
    assert (facts.usual_range_m3, facts.register_digits) == ((10, 18), 4)
    assert (facts.drop_per_mille, facts.drop_m3_min) == (250, 7)
    assert not facts.previous_was_estimate


@pytest.mark.parametrize("code", sorted(READING_CODES))
def test_what_counts_as_an_estimate_before(code: str) -> None:
    estimated = READING_CODES[code].rule in (UseRule.ESTIMATE, UseRule.HOLD_OVER)
    assert facts_of(stop_with(past(900, 12, code)), policy()).previous_was_estimate == estimated
    assert not facts_of(stop_with(past(900, 12, code), past(910, 10)), policy()).previous_was_estimate
