"""A clock that is wrong, jumps or comes back: work goes on, and only what happens while it is wrong bears the mark."""

from dataclasses import replace

import pytest

from device.core.commands import OpenShift, Which
from device.core.events import ClockCompared, PackagesArrived, Tick, UploadAcked
from device.core.stops import UNKNOWN_DAYS
from protocol import wire
from protocol.fields import MILLIS_MAX
from protocol.package import seal_package, seal_policy
from protocol.reasons import Reason
from protocol.records import CashCollected, Evidence, PaperPrinted, ReadingTaken
from protocol.values import DAY_MS, ClockSource
from tests.device.branch import COLLECTOR, HUB_KEY, NOON_MS, package, policy, stop
from tests.device.handset import STOPS, USUAL_INDEX, USUAL_VND, Handset

SINCE_LAST_DAYS = 31  # From 24 October to 24 November.
LESS_INDEX, LESS_VND = 117, 130_333  # 17 m3 where 20 are usual: no drop in a month, a steep one in 200 days.


@pytest.fixture
def walking() -> Handset:
    """A handheld in the middle of a day."""
    handset = Handset()
    handset.open_shift()
    return handset


def days_of(handset: Handset, number: int, index: int = USUAL_INDEX) -> int:
    """Days since the last reading, as the record of a new one says."""
    record = handset.read(number, index).record
    assert isinstance(record, ReadingTaken)
    return record.days


def evidence_of_last(handset: Handset) -> Evidence:
    evidence = handset.session.work.records[-1].header.evidence
    assert evidence is not None
    return evidence


# A jump that is over.


@pytest.mark.parametrize("jump_days", [200, 400, 20 * 365, -200])
@pytest.mark.parametrize("restarted", [False, True])
def test_one_jump_that_is_over_holds_nobody_afterwards(walking: Handset, jump_days: int, restarted: bool) -> None:
    walking.clock.wall_ms += jump_days * DAY_MS
    assert days_of(walking, 2) == UNKNOWN_DAYS
    walking.clock.wall_ms -= jump_days * DAY_MS
    if restarted:
        walking.restart()
        walking.give(Tick())
    for number in (1, 3):
        assert days_of(walking, number, LESS_INDEX) == SINCE_LAST_DAYS
        assert walking.session.work.stops[f"C{number:05d}"].hold() is None
        assert walking.due_vnd(number, Which.CURRENT) == LESS_VND


def test_reading_under_a_clock_that_cannot_be_right_is_judged_by_its_water_alone(walking: Handset) -> None:
    walking.clock.wall_ms += 200 * DAY_MS
    record = walking.read(1, LESS_INDEX).record
    assert isinstance(record, ReadingTaken)
    assert (record.days, record.hold) == (UNKNOWN_DAYS, None)
    assert walking.read(2, 110).record == replace(
        record,
        customer="C00002",
        index=110,
        use_m3=10,
        hold=Reason.CONSUMPTION_DROP,
        bill_no="C00002-2026-11",
        bill=walking.session.work.stops["C00002"].bill(),
    )


def test_clock_that_jumps_back_never_takes_time_back(walking: Handset) -> None:
    for jump_ms in (60_000, -3 * DAY_MS, 1_000, -1):
        walking.clock.wall_ms += jump_ms
        walking.read(1)
    times = [sealed.header.at_ms for sealed in walking.session.work.records]
    assert times == sorted(times)
    assert evidence_of_last(walking).clock.wall_ms == walking.clock.wall_ms  # The raw clock stays as evidence.


# What the hub or the satellites say of the clock.


@pytest.mark.parametrize("ahead_days", [-30, -3, 3, 30, 400])
def test_clock_known_to_be_wrong_is_reckoned_right(walking: Handset, ahead_days: int) -> None:
    walking.clock.wall_ms += ahead_days * DAY_MS
    walking.give(ClockCompared(offset_ms=-ahead_days * DAY_MS, source=ClockSource.GNSS))
    assert days_of(walking, 1) == SINCE_LAST_DAYS


def test_hub_s_word_on_the_clock_comes_with_its_ack(walking: Handset) -> None:
    walking.clock.wall_ms += 10 * DAY_MS
    assert days_of(walking, 1) == SINCE_LAST_DAYS + 10
    walking.give(UploadAcked(message=walking.signed_ack(2)))  # Signed at noon, as the hub has it.
    assert days_of(walking, 2) == SINCE_LAST_DAYS


@pytest.mark.parametrize(
    ("at_ms", "days"),
    [
        (NOON_MS - DAY_MS, SINCE_LAST_DAYS - 1),
        (NOON_MS - DAY_MS - 1, UNKNOWN_DAYS),
        (NOON_MS + 40 * DAY_MS, SINCE_LAST_DAYS + 40),
        (NOON_MS + 40 * DAY_MS + 1, UNKNOWN_DAYS),
    ],
)
def test_days_are_known_from_the_package_s_first_instant_to_its_last(walking: Handset, at_ms: int, days: int) -> None:
    walking.clock.wall_ms = at_ms
    assert days_of(walking, 1) == days


def test_package_older_than_the_last_reading_makes_no_day_below_zero() -> None:
    late = replace(stop(1).history[0], reading_date="2026-11-30")
    one = replace(package((replace(stop(1), history=(late,)),)), issued_ms=NOON_MS - DAY_MS)
    handset = Handset(downloaded=False)
    handset.give(
        PackagesArrived(
            packages=wire.Packages(policy=seal_policy(policy(), HUB_KEY), packages=(seal_package(one, HUB_KEY),))
        )
    )
    handset.open_shift()
    assert days_of(handset, 1) == 0


# Clocks of another century.


@pytest.mark.parametrize("wall_ms", [-(10**15), -5, 0, MILLIS_MAX, MILLIS_MAX + 1, 10**15], ids=repr)
def test_clock_of_another_century_stops_no_sale(walking: Handset, wall_ms: int) -> None:
    walking.clock.wall_ms = wall_ms
    walking.sold(1)
    walking.end_print()
    walking.done(walking.void(1))
    walking.restart()
    walking.sold(2)
    walking.give(UploadAcked(message=walking.signed_ack(4)))
    walking.sold(3)
    walking.clock.wall_ms = NOON_MS
    walking.end_print()
    assert walking.due_vnd(2) == 0
    assert walking.kinds.count(CashCollected) == 3
    assert walking.kinds.count(PaperPrinted) == 2
    times = [sealed.header.at_ms for sealed in walking.session.work.records]
    assert times == sorted(times)
    assert times[-1] == max(NOON_MS, min(wall_ms, MILLIS_MAX))
    (clock,) = {one.header.evidence.clock.wall_ms for one in walking.session.work.records[2:5] if one.header.evidence}
    assert clock == min(max(wall_ms, 0), MILLIS_MAX)


def test_shift_under_a_clock_before_1970_opens_with_the_date_keyed() -> None:
    handset = Handset()
    handset.clock.wall_ms = -5
    assert handset.refused(OpenShift(intent=handset.intent(), collector=COLLECTOR)) is Reason.DATE_INPUT
    handset.open_shift("2026-11-24")
    handset.sold(1)
    assert handset.session.work.days[COLLECTOR, "2026-11-24"].cash_vnd == USUAL_VND


def test_shift_under_a_clock_after_2999_is_refused_and_the_handheld_lives() -> None:
    handset = Handset(STOPS)
    handset.clock.wall_ms = 10**15
    assert handset.refused(OpenShift(intent=handset.intent(), collector=COLLECTOR)) is Reason.PACKAGE_EXPIRED
    handset.clock.wall_ms = NOON_MS
    handset.open_shift()
