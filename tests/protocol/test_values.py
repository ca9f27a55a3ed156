"""Values both sides speak of: IMEIs, civil dates of Vietnam against the calendar of datetime, billing periods."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.values import (
    DAY_MS,
    Imei,
    ImeiError,
    day_after,
    days_between,
    is_date,
    local_clock,
    local_date,
    luhn_sum,
    period_after,
    start_of_day_ms,
)

# The same all year since 1975. Not asked of a time zone database: a small machine has none.
VIETNAM = timezone(timedelta(hours=7))
INSTANTS = st.integers(
    int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1000,
    int(datetime(2999, 12, 30, tzinfo=UTC).timestamp()) * 1000,
)
DATES = st.dates(date(2000, 1, 1), date(2999, 12, 30))
DIGITS = st.text("0123456789", min_size=14, max_size=14)


# IMEI.


def test_a_known_imei_is_one_and_stays_text() -> None:
    assert Imei("490154203237518") == "490154203237518"
    assert Imei("004999010640000") == "004999010640000"


@given(DIGITS)
def test_each_fourteen_digits_have_one_check_digit(body: str) -> None:
    sound = str(-luhn_sum(body + "0") % 10)
    assert Imei(body + sound) == body + sound
    for last in set("0123456789") - {sound}:
        with pytest.raises(ImeiError) as raised:
            Imei(body + last)
        assert raised.value.text == body + last


@given(DIGITS, st.integers(0, 14), st.integers(1, 9))
def test_one_wrong_digit_is_noticed(body: str, place: int, change: int) -> None:
    good = body + str(-luhn_sum(body + "0") % 10)
    Imei(good)
    wrong = str((int(good[place]) + change) % 10)
    with pytest.raises(ImeiError):
        Imei(good[:place] + wrong + good[place + 1 :])


@given(DIGITS, st.integers(0, 13))
def test_neighbours_that_changed_places_are_noticed_but_for_09(body: str, place: int) -> None:
    good = body + str(-luhn_sum(body + "0") % 10)
    first, second = good[place], good[place + 1]
    swapped = good[:place] + second + first + good[place + 2 :]
    if first == second or {first, second} == {"0", "9"}:
        assert Imei(swapped)
    else:
        with pytest.raises(ImeiError):
            Imei(swapped)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "49015420323751",
        "4901542032375180",
        "49015420323751a",
        "490154203237518\n",
        " 90154203237518",
        "49-015420-323751-8",
        "٤٩٠١٥٤٢٠٣٢٣٧٥١٨",
        "４９０１５４２０３２３７５１８",
        "²⁹⁰¹⁵⁴²⁰³²³⁷⁵¹⁸",
    ],
)
def test_what_is_not_fifteen_plain_digits_is_no_imei(text: str) -> None:
    with pytest.raises(ImeiError):
        Imei(text)


# Dates.


@given(INSTANTS)
def test_an_instant_has_the_date_and_time_of_vietnam(at_ms: int) -> None:
    there = datetime.fromtimestamp(at_ms // 1000, VIETNAM)
    assert local_date(at_ms) == there.date().isoformat()
    assert local_clock(at_ms) == f"{there:%H:%M}"


@given(DATES)
def test_a_day_begins_at_midnight_of_vietnam_and_not_a_moment_later(day: date) -> None:
    start_ms = start_of_day_ms(day.isoformat())
    assert start_ms == int(datetime(day.year, day.month, day.day, tzinfo=VIETNAM).timestamp()) * 1000
    assert local_date(start_ms) == day.isoformat()
    assert local_date(start_ms - 1) == (day - timedelta(days=1)).isoformat()
    assert local_date(start_ms + DAY_MS - 1) == day.isoformat()


def test_midnight_is_known_by_hand() -> None:
    assert start_of_day_ms("1970-01-01") == -7 * 3_600_000
    assert local_date(0) == "1970-01-01"
    assert local_clock(0) == "07:00"
    assert local_date(17 * 3_600_000 - 1) == "1970-01-01"
    assert local_date(17 * 3_600_000) == "1970-01-02"


@given(DATES, DATES)
def test_days_between_are_those_of_the_calendar(one: date, other: date) -> None:
    assert days_between(one.isoformat(), other.isoformat()) == (other - one).days
    assert day_after(one.isoformat()) == (one + timedelta(days=1)).isoformat()


@pytest.mark.parametrize("text", ["2024-02-29", "2026-01-01", "2000-01-01", "2000-02-29", "2199-12-31"])
def test_a_date_that_exists_is_one(text: str) -> None:
    assert is_date(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-02-29", "1900-02-29", "2026-04-31", "2026-13-01", "2026-00-01", "0000-01-01", "01/01/2026"),
        *("2026-1-1", "20260101", "2026-W01-1", "2026-01-01\n", " 2026-01-01", "2026-01-01T00:00:00", "٢٠٢٦-٠١-٠١"),
        *("1999-12-31", "2200-01-01", "2999-12-31"),
    ],
)
def test_a_date_that_does_not_exist_or_is_written_otherwise_is_none(text: str) -> None:
    assert not is_date(text)


@given(DATES)
def test_the_next_period_is_the_next_month(day: date) -> None:
    next_month = day.replace(day=1) + timedelta(days=31)
    assert period_after(f"{day:%Y-%m}") == f"{next_month:%Y-%m}"


@given(st.lists(DATES, min_size=2, max_size=9))
def test_dates_sort_as_they_read(days: list[date]) -> None:
    assert sorted(day.isoformat() for day in days) == [day.isoformat() for day in sorted(days)]
