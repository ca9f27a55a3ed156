"""What the handheld notices becomes events: the latest only, seldom, and never in anybody's way."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.core.events import ClockCompared, Event, FixAcquired, PowerRead
from device.hardware.senses import (
    CLOCK_EVERY_MS,
    CLOCK_STEP_MS,
    EARLIEST_UTC_MS,
    FIX_EVERY_S,
    LATEST_UTC_MS,
    ClockComparer,
    Herald,
    Senses,
)
from device.hardware.sightings import Sighting, Tell
from protocol.values import ClockSource, Fix, Instant, NoFix
from simulator.receivers import NmeaReceiver, Sky
from tests.device.hardware.watching import FAST_S, fix_under
from tests.virtual_time import in_virtual_time, now_s

NOON_MS = 1_790_000_000_000
HERE = Fix(100_343_210, 1_057_881_230, 171, 0)


class LoopClock:
    """The loop's time, with a wall clock that is wrong by `late_ms`."""

    def __init__(self, late_ms: int = 0) -> None:
        self.late_ms = late_ms

    def now(self) -> Instant:
        up_ms = round(now_s() * 1_000)
        return Instant(wall_ms=NOON_MS + up_ms - self.late_ms, up_ms=up_ms, boot=bytes(8))


class Script:
    """A source that tells what a test tells it to: pauses in seconds, and sightings. It fails at the end if `fails`."""

    def __init__(self, *steps: float | Sighting, fails: bool = False) -> None:
        self._steps = steps
        self._fails = fails

    async def run(self, tell: Tell) -> None:
        for step in self._steps:
            if isinstance(step, Sighting):
                tell(step)
            else:
                await asyncio.sleep(step)
        if self._fails:
            raise ZeroDivisionError("a fault of ours")


class Log:
    """What was dispatched, each with the loop's time. slow_s: how long the session takes for one."""

    def __init__(self, slow_s: float = 0) -> None:
        self.all: list[tuple[float, Event]] = []
        self._slow_s = slow_s
        self._news = asyncio.Event()

    async def dispatch(self, event: Event) -> None:
        self.all.append((now_s(), event))
        self._news.set()
        await asyncio.sleep(self._slow_s)

    def of(self, kind: type[Event]) -> list[tuple[float, Event]]:
        return [(when, event) for when, event in self.all if isinstance(event, kind)]

    @property
    def fixes(self) -> list[tuple[float, Fix | NoFix]]:
        return [(when, event.fix) for when, event in self.all if isinstance(event, FixAcquired)]

    async def until(self, wanted: Callable[[Event], bool]) -> Event:
        """The first event that is as wanted."""
        async with asyncio.timeout(10):
            while True:
                for _, event in self.all:
                    if wanted(event):
                        return event
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def sensing(senses: Senses) -> AsyncIterator[None]:
    await senses.start()
    try:
        yield
    finally:
        await senses.close()


def seen(fix: Fix | NoFix, utc_ms: int | None = None) -> Sighting:
    return Sighting(fix=fix, utc_ms=utc_ms, source="nmea")


def here(number: int) -> Sighting:
    return seen(HERE._replace(latitude_e7=number))


async def play(*steps: float | Sighting, slow_s: float = 0, late_ms: int = 0) -> Log:
    """The log of a script, ten seconds after its end."""
    log = Log(slow_s)
    herald = Herald(log.dispatch, LoopClock(late_ms))
    running = asyncio.create_task(herald.run())
    await Script(*steps).run(herald.tell)
    await asyncio.sleep(10)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return log


@in_virtual_time
async def test_fixes_come_every_two_seconds_and_always_the_latest() -> None:
    steps: list[float | Sighting] = []
    for number in range(100):
        steps += [here(number), 0.1]
    log = await play(*steps)
    times = [when for when, _ in log.fixes]
    assert log.fixes[0][1] == HERE._replace(latitude_e7=0)
    assert all(later - earlier >= FIX_EVERY_S for earlier, later in pairwise(times))
    assert len(times) == 6
    assert log.fixes[-1][1] == HERE._replace(latitude_e7=99)


@in_virtual_time
async def test_loss_and_return_are_told_at_once_and_said_once() -> None:
    log = await play(
        here(1), 0.1, seen(NoFix.NO_SIGNAL), 0.1, seen(NoFix.NO_SIGNAL), 5, seen(NoFix.NO_RECEIVER), 0.1, here(2)
    )
    assert log.fixes == [
        (0, HERE._replace(latitude_e7=1)),
        (pytest.approx(0.1), NoFix.NO_SIGNAL),
        (pytest.approx(5.2), NoFix.NO_RECEIVER),
        (pytest.approx(5.3), HERE._replace(latitude_e7=2)),
    ]


@in_virtual_time
async def test_slow_session_finds_the_latest_and_no_queue() -> None:
    steps: list[float | Sighting] = []
    for number in range(1_000):
        steps += [here(number), 0.01]
    log = await play(*steps, slow_s=4)
    places = [(fix.latitude_e7, fix.age_s) for _, fix in log.fixes if isinstance(fix, Fix)]
    assert places == [(0, 0), (400, 0), (800, 0), (999, 2)]
    assert [round(when) for when, _ in log.fixes] == [0, 4, 8, 12]


@in_virtual_time
async def test_fix_that_waited_says_so() -> None:
    log = await play(here(1), 0.5, here(2), slow_s=4)
    assert [(when, fix) for when, fix in log.fixes if isinstance(fix, Fix)] == [
        (0, HERE._replace(latitude_e7=1)),
        (4, HERE._replace(latitude_e7=2, age_s=3)),
    ]


@in_virtual_time
async def test_clock_that_is_an_hour_late_is_compared_once_and_then_every_minute() -> None:
    steps: list[float | Sighting] = []
    for second in range(150):
        steps += [seen(HERE, NOON_MS + second * 1_000), 1]
    log = await play(*steps, late_ms=3_600_000)
    told = log.of(ClockCompared)
    assert [event for _, event in told] == [ClockCompared(offset_ms=3_600_000, source=ClockSource.GNSS)] * 3
    assert [when for when, _ in told] == [1, 61, 121]
    assert len(log.fixes) == 76


async def test_source_that_fails_costs_the_position_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log()
    source = Script(here(1), 0.01, fails=True)
    senses = Senses(
        log.dispatch, clock=LoopClock(), home=tmp_path, source=source, power_root=tmp_path, power_every_s=0.01
    )
    with caplog.at_level(logging.ERROR):
        async with sensing(senses):
            await log.until(lambda event: event == FixAcquired(fix=NoFix.NO_RECEIVER))
            log.all.clear()
            await log.until(lambda event: isinstance(event, PowerRead))
    assert "position has failed" in caplog.text
    assert "a fault of ours" in caplog.text


async def test_battery_and_storage_are_read_again_and_again(tmp_path: Path) -> None:
    battery = tmp_path / "power" / "BAT0"
    battery.mkdir(parents=True)
    for name, value in (("type", "Battery"), ("status", "Discharging"), ("capacity", "71")):
        (battery / name).write_text(f"{value}\n")
    log = Log()
    root = tmp_path / "power"
    async with sensing(
        Senses(log.dispatch, clock=LoopClock(), home=tmp_path, position="off", power_root=root, power_every_s=0.01)
    ):
        first = await log.until(lambda event: isinstance(event, PowerRead))
        assert isinstance(first, PowerRead)
        assert (first.battery_percent, first.charging) == (71, False)
        assert first.storage_free_mib is not None
        (battery / "capacity").write_text("9\n")
        await log.until(lambda event: isinstance(event, PowerRead) and event.battery_percent == 9)
        assert [fix for _, fix in log.fixes] == [NoFix.SWITCHED_OFF]


async def test_home_that_is_gone_leaves_storage_unknown(tmp_path: Path) -> None:
    log, gone = Log(), tmp_path / "gone"
    async with sensing(Senses(log.dispatch, clock=LoopClock(), home=gone, position="off", power_root=gone)):
        power = await log.until(lambda event: isinstance(event, PowerRead))
    assert power == PowerRead(battery_percent=None, charging=None, storage_free_mib=None)


async def test_receiver_on_a_port_ends_as_events(tmp_path: Path) -> None:
    sky = Sky(utc_ms=NOON_MS)
    log = Log()
    async with NmeaReceiver(sky, tmp_path / "ttyACM0", every_s=FAST_S) as receiver:
        place = f"nmea://{receiver.path}?baud=115200"
        async with sensing(
            Senses(log.dispatch, clock=LoopClock(), home=tmp_path, position=place, power_root=tmp_path / "none")
        ):
            await log.until(lambda event: event == FixAcquired(fix=fix_under(sky)))


async def test_closing_is_possible_while_the_session_takes_its_time(tmp_path: Path) -> None:
    log = Log(slow_s=10**6)
    async with sensing(Senses(log.dispatch, clock=LoopClock(), home=tmp_path, position="off")):
        await log.until(lambda event: event == FixAcquired(fix=NoFix.SWITCHED_OFF))


def test_place_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    async def nobody(event: Event) -> None:
        raise AssertionError(event)

    with pytest.raises(ValueError, match="no place"):
        Senses(nobody, clock=LoopClock(), home=tmp_path, position="gps")


# Which of the satellites' times count.


def offsets(*seen_ms: tuple[int, int]) -> list[int | None]:
    """What is told for pairs of uptime and offset, with a wall clock that was right at first."""
    comparer = ClockComparer()
    return [comparer.compare(NOON_MS + up_ms + offset_ms, NOON_MS + up_ms, up_ms) for up_ms, offset_ms in seen_ms]


def test_one_sentence_is_no_proof() -> None:
    assert offsets((0, 7_000)) == [None]
    assert offsets((0, 7_000), (CLOCK_STEP_MS, 7_300)) == [None, 7_300]
    assert offsets((0, 7_000), (CLOCK_STEP_MS - 1, 7_000), (CLOCK_STEP_MS, 7_000)) == [None, None, 7_000]


def test_sentences_from_before_a_sleep_are_not_believed() -> None:
    """They come at once, second after second of a time that is long gone, and then those of now."""
    old = [(10, -3_600_000 + 1_000 * second) for second in range(5)]
    assert offsets(*old, (1_100, 40), (2_100, 50), (3_100, 45)) == [None] * 6 + [50, None]


def test_wrong_date_in_between_changes_nothing() -> None:
    assert offsets((0, 0), (1_000, 0), (2_000, 86_400_000), (3_000, 0), (4_000, 86_400_000), (5_000, 0)) == [
        None, 0, None, None, None, None,
    ]  # fmt: skip


def test_jump_of_the_wall_clock_is_told_within_two_sentences() -> None:
    assert offsets((0, 0), (1_000, 0), (2_000, -900_000), (3_000, -900_100)) == [None, 0, None, -900_100]


def test_same_again_is_told_once_a_minute() -> None:
    told = offsets(*((second * 1_000, second % 3 * 200) for second in range(130)))
    assert [second for second, offset in enumerate(told) if offset is not None] == [1, 61, 121]
    assert CLOCK_EVERY_MS == 60_000


@pytest.mark.parametrize("utc_ms", [0, 820_454_400_000, EARLIEST_UTC_MS - 1, LATEST_UTC_MS])
def test_time_of_a_receiver_that_lost_count_of_the_weeks_is_not_compared(utc_ms: int) -> None:
    comparer = ClockComparer()
    assert [comparer.compare(utc_ms, NOON_MS + up_ms, up_ms) for up_ms in range(0, 10_000, 1_000)] == [None] * 10


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(-(10**7), 10**7)), max_size=60))
def test_what_is_told_was_seen_twice_a_second_apart(steps: list[tuple[int, int]]) -> None:
    up_ms, comparer = 0, ClockComparer()
    history: list[tuple[int, int]] = []
    for pause_ms, offset_ms in steps:
        up_ms += pause_ms
        told = comparer.compare(NOON_MS + up_ms + offset_ms, NOON_MS + up_ms, up_ms)
        if told is not None:
            assert told == offset_ms
            assert any(
                abs(before - told) <= CLOCK_STEP_MS and up_ms - when >= CLOCK_STEP_MS for when, before in history
            )
        history.append((up_ms, offset_ms))
