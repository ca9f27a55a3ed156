"""Statements as banks deliver them: again, differing, cut off, or saved by a spreadsheet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.banks import BANKS
from hub.banks.statement_csv import BankLine, StatementReading

HEADER = "bank_bin,bank_txn_id,value_time,account,amount_vnd,content"
FIRST = "970436,FT1,2026-11-01T06:05:56+07:00,100004360001,81223,MBVCB.9.02050007026.CT tu 16427"
SECOND = '970403,FT2,2026-11-01T23:30:00+07:00,100004030003,63173,"tien nuoc, thang 11"'
OTHER_BANK = "970403,FT1,2026-11-02T08:00:00+07:00,100004030003,1000,"


def read(*lines: str, stated_sum_vnd: int | None = None) -> StatementReading:
    content = "\n".join((HEADER, *lines)).encode()
    return BANKS["csv"](content, name="bank.csv", stated_sum_vnd=stated_sum_vnd)


def faults(reading: StatementReading) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.column, problem.sentence.key) for problem in reading.problems]


def test_lines_come_with_their_moment_and_re_sum() -> None:
    reading = read(FIRST, SECOND, stated_sum_vnd=144396)
    assert reading.problems == ()
    assert reading.sum_vnd == 144396
    assert reading.lines == (
        BankLine("970436", "FT1", 1793487956000, "100004360001", 81223, "MBVCB.9.02050007026.CT tu 16427"),
        BankLine("970403", "FT2", 1793550600000, "100004030003", 63173, "tien nuoc, thang 11"),
    )


def test_a_line_delivered_twice_counts_once_and_is_said() -> None:
    reading = read(FIRST, SECOND, FIRST, FIRST)
    assert [line.bank_txn_id for line in reading.lines] == ["FT1", "FT2"]
    assert (reading.sum_vnd, reading.repeated, reading.repeated_vnd) == (144396, 2, 162446)
    assert [notice.key for notice in reading.notices] == ["lines_repeated"]


def test_the_same_moment_in_another_time_zone_is_the_same_line() -> None:
    assert read(FIRST, FIRST.replace("T06:05:56+07:00", "T06:05:56.000+07:00")).repeated == 1
    assert read(FIRST, FIRST.replace("2026-11-01T06:05:56+07:00", "2026-10-31T23:05:56Z")).repeated == 1


def test_two_banks_may_use_one_transaction_number() -> None:
    reading = read(FIRST, OTHER_BANK)
    assert len(reading.lines) == 2
    assert reading.repeated == 0


@pytest.mark.parametrize(
    ("was", "now"),
    [("81223", "81224"), ("06:05:56", "06:05:57"), ("100004360001", "100004360002"), ("CT tu", "CT  tu")],
)
def test_a_line_delivered_again_with_another_value_stops_the_statement(was: str, now: str) -> None:
    reading = read(SECOND, FIRST, FIRST.replace(was, now))
    assert faults(reading) == [(4, "bank_txn_id", "line_differs")]
    assert "3" in reading.problems[0].sentence.vi
    assert (reading.lines, reading.sum_vnd, reading.repeated) == ((), 0, 0)


def test_a_sum_that_is_not_the_banks_stops_the_statement() -> None:
    reading = read(FIRST, stated_sum_vnd=81224)
    assert faults(reading) == [(0, "amount_vnd", "sum_differs")]
    assert reading.lines == ()


@pytest.mark.parametrize(
    ("was", "now", "column", "key"),
    [
        ("970436", "97043", "bank_bin", "digits"),
        ("FT1", "", "bank_txn_id", "required"),
        ("FT1", "F" * 65, "bank_txn_id", "too_long"),
        ("+07:00", "", "value_time", "instant"),
        ("2026-11-01", "2026-11-31", "value_time", "instant"),
        ("T06", "T24", "value_time", "instant"),
        ("2026-11-01T06:05:56+07:00", "01/11/2026 06:05", "value_time", "instant"),
        ("100004360001", " ", "account", "required"),
        ("81223", "0", "amount_vnd", "range"),
        ("81223", "10000000001", "amount_vnd", "range"),
        ("81223", "-81223", "amount_vnd", "integer"),
        ("81223", "81.223", "amount_vnd", "integer"),
        ("81223", "8,1223E4", "", "row_length"),
        ("MBVCB", "M" * 400, "content", "too_long"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_its_place(was: str, now: str, column: str, key: str) -> None:
    reading = read(SECOND, FIRST.replace(was, now))
    assert faults(reading) == [(3, column, key)]
    assert reading.lines == ()


def test_an_empty_statement_is_a_day_without_credits() -> None:
    reading = read(stated_sum_vnd=0)
    assert (reading.lines, reading.problems, reading.sum_vnd) == ((), (), 0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 10**10)), max_size=20))
def test_what_is_taken_and_what_is_left_out_sum_to_the_column(deliveries: list[tuple[int, int]]) -> None:
    amounts = dict(deliveries)  # One amount for each transaction, whichever was drawn last.
    moment = "2026-11-01T06:05:56+07:00"
    reading = read(*(f"970436,FT{number},{moment},1,{amounts[number]}," for number, _ in deliveries))
    assert reading.problems == ()
    assert reading.sum_vnd == sum(amounts.values()) == sum(line.amount_vnd for line in reading.lines)
    assert reading.sum_vnd + reading.repeated_vnd == sum(amounts[number] for number, _ in deliveries)
    assert len(reading.lines) + reading.repeated == len(deliveries)
