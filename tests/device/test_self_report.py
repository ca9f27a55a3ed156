"""When a handheld tells of itself, and that no state of it ever stands in the way of work."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, none, sampled_from, tuples

from device.core.clock_watch import (
    BEHIND_RECORDS,
    CLOCK_WORDS,
    OFF_HUB,
    OFF_MAX_MS,
    OFF_SATELLITES,
    clock_trouble,
)
from device.core.commands import CloseShift, DownloadRoute, OpenShift
from device.core.effects import FetchPackages, Upload
from device.core.events import PACKAGES, ClockCompared, FetchFailed, PowerRead, Tick, UploadAcked, UploadLost
from device.core.self_report import BATTERY_LOW_PERCENT, BATTERY_VERY_LOW_PERCENT, EVERY_MS
from device.paper_words import PAPER_WORDS
from protocol.reasons import Reason
from protocol.records import CashCollected, DeviceStatus, ShiftClosed, ShiftOpened, StatusMoment
from protocol.values import DAY_MS, ClockSource, Instant
from tests.device.branch import COLLECTOR, NOON_MS, PERIOD
from tests.device.handset import USUAL_VND, Handset

HOUR_MS = 3_600_000


@pytest.fixture
def handset() -> Handset:
    """A handheld with its route, no shift open."""
    return Handset()


@pytest.fixture
def walking() -> Handset:
    """A handheld in the middle of a day."""
    handset = Handset()
    handset.open_shift()
    return handset


def power(percent: int | None, *, charging: bool | None = False, free_mib: int | None = 9_000) -> PowerRead:
    return PowerRead(battery_percent=percent, charging=charging, storage_free_mib=free_mib)


def moments(handset: Handset) -> list[StatusMoment]:
    return [status.moment for status in handset.statuses]


# Moments.


def test_both_ends_of_a_shift_are_told_beside_their_records(handset: Handset) -> None:
    handset.give(power(64, charging=True))
    handset.give(Tick(printer="paper-out"))
    handset.open_shift()
    handset.give(power(41))
    handset.done(CloseShift(intent=handset.intent()))
    assert handset.kinds == [ShiftOpened, DeviceStatus, DeviceStatus, ShiftClosed]
    opened = DeviceStatus(
        period=PERIOD,
        moment=StatusMoment.SHIFT_OPENED,
        software="test",
        unsent=1,
        battery_percent=64,
        charging=1,
        storage_free_mib=9_000,
        printer="paper-out",
    )
    closing = replace(opened, moment=StatusMoment.SHIFT_CLOSING, unsent=2, battery_percent=41, charging=0)
    assert handset.statuses == [opened, closing]
    for sealed in handset.session.work.records:
        if isinstance(sealed.record, DeviceStatus):
            assert sealed.header.intent is None
            assert sealed.header.evidence is not None
            assert sealed.header.evidence.collector == COLLECTOR


def test_what_a_machine_does_not_say_is_left_out(walking: Handset) -> None:
    (status,) = walking.statuses
    assert (status.battery_percent, status.charging, status.storage_free_mib) == (None, None, None)
    assert (status.clock, status.printer) == (None, None)


def test_same_tap_again_tells_nothing_again(handset: Handset) -> None:
    tap = OpenShift(intent=handset.intent(), collector=COLLECTOR)
    for _ in range(3):
        handset.done(tap)
    assert moments(handset) == [StatusMoment.SHIFT_OPENED]


def test_nothing_is_told_while_no_shift_is_open(handset: Handset) -> None:
    for _ in range(3):
        handset.give(power(5))
        handset.clock.wall_ms -= DAY_MS
        handset.give(ClockCompared(offset_ms=DAY_MS, source=ClockSource.HUB))
        handset.wait(HOUR_MS)
        handset.give(Tick())
    assert handset.records == []
    handset.open_shift("2026-11-24")
    (status,) = handset.statuses
    assert (status.battery_percent, status.clock) == (5, OFF_HUB)


def test_each_hour_of_a_shift_is_told_once(walking: Handset) -> None:
    for _ in range(3 * 60):
        walking.wait(60_000)
        for _ in range(3):
            walking.give(Tick())
    assert EVERY_MS == HOUR_MS
    assert moments(walking) == [StatusMoment.SHIFT_OPENED, *[StatusMoment.HOURLY] * 3]


def test_hour_begins_with_the_last_word_and_with_each_start(walking: Handset) -> None:
    walking.wait(HOUR_MS // 2)
    walking.give(power(15))
    walking.wait(HOUR_MS - 1)
    walking.give(Tick())
    assert moments(walking) == [StatusMoment.SHIFT_OPENED, StatusMoment.BATTERY_LOW]
    walking.restart()
    walking.give(Tick())
    walking.wait(HOUR_MS - 1)
    walking.give(Tick())
    assert len(walking.statuses) == 2
    walking.wait(1)
    walking.give(Tick())
    assert moments(walking)[2:] == [StatusMoment.HOURLY]


def test_hour_after_the_shift_is_nobody_s(walking: Handset) -> None:
    walking.done(CloseShift(intent=walking.intent()))
    walking.wait(5 * HOUR_MS)
    walking.give(Tick())
    assert moments(walking) == [StatusMoment.SHIFT_OPENED, StatusMoment.SHIFT_CLOSING]


def test_unsent_counts_what_the_hub_has_not_signed_for(walking: Handset) -> None:
    walking.read(1)
    walking.give(UploadAcked(message=walking.signed_ack(2)))
    walking.wait(HOUR_MS)
    walking.give(Tick())
    assert walking.statuses[-1].unsent == 1


# Battery.


def test_battery_that_empties_is_told_once_at_each_level(walking: Handset) -> None:
    for percent in range(30, -1, -1):
        walking.give(power(percent))
    told = [status.battery_percent for status in walking.statuses[1:]]
    assert told == [BATTERY_LOW_PERCENT - 1, BATTERY_VERY_LOW_PERCENT - 1]
    assert set(moments(walking)[1:]) == {StatusMoment.BATTERY_LOW}


def test_battery_that_is_charged_and_empties_again_is_told_again(walking: Handset) -> None:
    for percent, charging in ((15, False), (15, True), (5, True), (90, False), (15, False)):
        walking.give(power(percent, charging=charging))
    assert [status.battery_percent for status in walking.statuses[1:]] == [15, 15]


def test_battery_at_a_cable_is_never_low(walking: Handset) -> None:
    for percent in (50, 19, 9, 0):
        walking.give(power(percent, charging=True))
    assert len(walking.statuses) == 1


def test_battery_that_is_nearly_empty_sends_at_once_what_waits_for_a_better_network(walking: Handset) -> None:
    walking.give(UploadLost(sentence="no network"))
    walking.asked.clear()
    walking.give(power(19))
    assert walking.asked == []
    walking.give(power(9))
    assert walking.asked != []
    assert not isinstance(walking.asked[-1], FetchPackages)


def test_battery_that_is_nearly_empty_refuses_a_download_and_a_cable_allows_it(walking: Handset) -> None:
    for reading in (power(9), power(0, charging=None)):
        walking.give(reading)
        assert walking.refused(DownloadRoute()) is Reason.BATTERY_LOW
        assert FetchPackages() not in walking.asked
    for reading in (power(10), power(9, charging=True), power(None)):
        walking.give(reading)
        assert walking.give(DownloadRoute())[0] == FetchPackages()
        walking.give(FetchFailed(what=PACKAGES, sentence="no network"))


# The clock.


@pytest.mark.parametrize(
    ("behind_ms", "offset_ms", "source", "code"),
    [
        (0, 0, ClockSource.NONE, None),
        (OFF_MAX_MS, 0, ClockSource.NONE, None),
        (OFF_MAX_MS + 1, 0, ClockSource.NONE, BEHIND_RECORDS),
        (0, OFF_MAX_MS, ClockSource.HUB, None),
        (0, OFF_MAX_MS + 1, ClockSource.HUB, OFF_HUB),
        (0, -OFF_MAX_MS - 1, ClockSource.HUB, OFF_HUB),
        (0, -OFF_MAX_MS, ClockSource.GNSS, None),
        (0, -OFF_MAX_MS - 1, ClockSource.GNSS, OFF_SATELLITES),
        (0, 10**15, ClockSource.NONE, None),
        (OFF_MAX_MS + 1, OFF_MAX_MS + 1, ClockSource.HUB, BEHIND_RECORDS),
        (-100 * 365 * DAY_MS, 0, ClockSource.NONE, None),
    ],
)
def test_two_minutes_off_are_trouble_and_nobody_is_believed_who_said_nothing(
    behind_ms: int, offset_ms: int, source: ClockSource, code: str | None
) -> None:
    now = Instant(wall_ms=NOON_MS - behind_ms, up_ms=0, boot=b"boot-id!")
    assert clock_trouble(now, NOON_MS, offset_ms, source) == code


def make_trouble(handset: Handset, code: str) -> None:
    """A clock of which this is wrong."""
    match code:
        case "behind-records":
            handset.clock.wall_ms -= 3 * DAY_MS
        case "off-hub":
            handset.give(ClockCompared(offset_ms=-200 * DAY_MS, source=ClockSource.HUB))
        case _:
            handset.give(ClockCompared(offset_ms=5 * 60_000, source=ClockSource.GNSS))


@pytest.mark.parametrize("code", CLOCK_WORDS)
def test_wrong_clock_is_told_when_it_is_found_and_once(walking: Handset, code: str) -> None:
    make_trouble(walking, code)
    for _ in range(5):
        walking.wait(1_000)
        walking.give(Tick())
    assert moments(walking) == [StatusMoment.SHIFT_OPENED, StatusMoment.CLOCK]
    assert walking.statuses[-1].clock == code == walking.session.report.clock


@pytest.mark.parametrize("code", CLOCK_WORDS)
def test_money_is_taken_whatever_is_wrong_with_the_clock(walking: Handset, code: str) -> None:
    make_trouble(walking, code)
    walking.give(Tick())
    assert walking.sold(1).amount_vnd == USUAL_VND
    walking.end_print()
    walking.done(walking.void(1))
    walking.done(CloseShift(intent=walking.intent()))
    assert walking.statuses[-1].clock == code
    walking.open_shift("2026-11-25")
    walking.sold(2)
    assert walking.kinds.count(CashCollected) == 2


def test_clock_put_right_is_no_trouble_any_more_and_the_next_trouble_is_told(walking: Handset) -> None:
    make_trouble(walking, OFF_SATELLITES)
    walking.give(Tick())
    walking.give(ClockCompared(offset_ms=0, source=ClockSource.GNSS))
    walking.give(Tick())
    assert walking.session.report.clock is None
    make_trouble(walking, OFF_HUB)
    walking.give(Tick())
    assert [status.clock for status in walking.statuses] == [None, OFF_SATELLITES, OFF_HUB]


def test_restart_under_a_wrong_clock_says_so_once_more(walking: Handset) -> None:
    make_trouble(walking, BEHIND_RECORDS)
    walking.give(Tick())
    walking.restart()
    walking.give(Tick())
    walking.give(Tick())
    assert [status.clock for status in walking.statuses] == [None, BEHIND_RECORDS, BEHIND_RECORDS]


# Nothing that the senses say stops anything.


@given(
    senses=lists(
        tuples(
            none() | integers(0, 100),
            none() | sampled_from((True, False)),
            none() | integers(0, 10**9),
            none() | sampled_from(sorted(code for code in PAPER_WORDS if not code.endswith("-"))),
            integers(-(2**52), 2**52),
            sampled_from(ClockSource),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_no_state_of_the_handheld_keeps_money_from_being_taken(
    senses: list[tuple[int | None, bool | None, int | None, str | None, int, ClockSource]],
) -> None:
    handset = Handset()
    handset.open_shift()
    for percent, charging, free_mib, printer, offset_ms, source in senses:
        handset.give(ClockCompared(offset_ms=offset_ms, source=source))
        handset.give(power(percent, charging=charging, free_mib=free_mib))
        handset.give(Tick(printer=printer))
        handset.wait(HOUR_MS)
    handset.give(Tick())
    handset.read(1)
    assert isinstance(handset.done(handset.pay(1)).record, CashCollected)
    handset.done(CloseShift(intent=handset.intent()))
    assert any(isinstance(one, Upload) for one in handset.asked)
    before = handset.statuses
    handset.restart()
    assert handset.statuses == before


def test_battery_that_wavers_about_a_limit_tells_of_it_once(walking: Handset) -> None:
    before = len(walking.statuses)
    for percent in (21, 19, 20, 19, 22, 19):
        walking.give(PowerRead(battery_percent=percent, charging=False, storage_free_mib=None))
    assert len(walking.statuses) == before + 1
    for percent in (30, 19):
        walking.give(PowerRead(battery_percent=percent, charging=False, storage_free_mib=None))
    assert len(walking.statuses) == before + 2
