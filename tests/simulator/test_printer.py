"""The simulated printer: status bytes against a table from manuals, and paper that is printed exactly once."""

import asyncio
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from simulator.faults import FAULTS, Armed, FaultError, arm, parse
from simulator.printer import PrinterModel
from tests.virtual_time import in_virtual_time, now_s

QUESTIONS = b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04"
PATTERN = bytes(number * 37 % 256 for number in range(48 * 40))
JOB = (
    b"\x1b@\x1c."
    + b"".join(b"\x1dv0\x00\x30\x00\x08\x00" + PATTERN[at : at + 48 * 8] for at in range(0, 48 * 40, 48 * 8))
    + b"\x1bJ\x20\x1d(H\x06\x0000job1"
)
DONE = b"\x37\x22job1\x00"
JOB_PICTURE = PATTERN + bytes(48 * 32)
JOB_ROWS = 40 + 32
JOB_HEADERS = 4 + 5 * 8


class Printer:
    """A model without limits of speed, and what it has said."""

    def __init__(
        self,
        faults: str = "",
        *,
        dots: int = 384,
        buffer_bytes: int = 4096,
        drain_bytes_per_s: float = math.inf,
        rows_per_s: float = math.inf,
        near_end: bool = True,
        marks: bool = True,
        asb: bool = True,
    ) -> None:
        self.model = PrinterModel(
            dots=dots,
            buffer_bytes=buffer_bytes,
            drain_bytes_per_s=drain_bytes_per_s,
            rows_per_s=rows_per_s,
            near_end=near_end,
            marks=marks,
            asb=asb,
        )
        self.said = bytearray()
        self.times_s: list[float] = []
        self.model.attach(self.hear)
        arm(self.model, faults)

    def hear(self, data: bytes) -> None:
        self.said += data
        self.times_s.append(now_s())

    def heard(self) -> bytes:
        said = bytes(self.said)
        self.said.clear()
        return said

    async def told(self, data: bytes) -> bytes:
        """What it says to this, when all is done."""
        self.model.force(data)
        await self.model.idle()
        return self.heard()

    async def offer(self, data: bytes) -> bytes:
        """Hand over until it has all, or is offline and full. What it has not taken."""
        while data:
            taken = self.model.receive(data)
            await self.model.idle()
            if not taken and self.model.offline:
                break
            data = data[taken:]
        return data

    @property
    def ink(self) -> bytes:
        return ink(self.model.strip)


def ink(picture: Image.Image) -> bytes:
    return picture.tobytes("raw", "1;I")


# What is the matter, DLE EOT 1 to 4, the automatic status, and GS r 1 where it is executed at all.
STATUS_CASES = """
-                    12 12 12 12   10 00 00 00   00
near_end             12 12 12 1e   10 00 03 00   03
paper_out            1a 32 12 72   18 00 0c 00   -
paper_out,near_end   1a 32 12 7e   18 00 0f 00   -
cover_open           1a 16 12 12   38 00 00 00   -
cover_open,near_end  1a 16 12 1e   38 00 03 00   -
low_battery          1a 12 12 12   1c 00 00 00   -
head_hot             1a 52 52 12   18 40 00 00   -
"""


@pytest.mark.parametrize("case", STATUS_CASES.strip().splitlines())
async def test_status_is_said_in_the_bytes_of_the_manuals(case: str) -> None:
    conditions, realtime, automatic, ordered = (part for part in case.split("  ") if part.strip())
    printer = Printer()
    assert await printer.told(b"\x1da\x0e") == bytes.fromhex("10000000")
    for condition in conditions.replace("-", "").split(","):
        if condition.strip():
            printer.model.change(condition.strip(), on=True)
    changes = printer.heard()
    assert changes[-4:] == bytes.fromhex(automatic) or (conditions == "-" and changes == b"")
    assert await printer.told(QUESTIONS) == bytes.fromhex(realtime)
    assert await printer.told(b"\x1dr\x01") == bytes.fromhex(ordered.replace("-", ""))


async def test_printer_without_the_sensor_never_speaks_of_a_near_end() -> None:
    printer = Printer("near-end", near_end=False)
    assert await printer.told(QUESTIONS + b"\x1dr\x01\x1da\x0e") == bytes.fromhex("12121212 00 10000000")


async def test_questions_at_their_turn_are_answered_in_their_order() -> None:
    printer = Printer()
    said = await printer.told(b"\x1dr\x01\x1d(H\x06\x00001234\x1dr\x02\x1dIC\x1d(H\x06\x000056ab")
    assert said == b"\x00" + b"\x37\x221234\x00" + b"\x00" + b"\x5fTM-P20II\x00" + b"\x37\x2256ab\x00"


async def test_realtime_question_inside_a_picture_is_answered_and_printed() -> None:
    printer = Printer()
    data = b"\x10\x04\x01" * 16
    assert await printer.told(b"\x1dv0\x00\x30\x00\x01\x00" + data) == b"\x12" * 16
    assert printer.ink == data


@pytest.mark.parametrize("room", [0, 1, 2, 3])
async def test_realtime_question_is_answered_while_the_buffer_is_full_and_leaves_nothing_behind(room: int) -> None:
    printer = Printer("paper-out", buffer_bytes=64)
    assert printer.model.receive(b"a" * (64 - room)) == 64 - room
    assert await printer.told(b"\x10\x04\x04") == b"\x72"
    assert printer.model.lost == 0
    printer.model.paper_out = False
    await printer.model.idle()
    assert await printer.told(b"\n\x1dr\x01") == b"\x00"
    assert "".join(printer.model.text) == "a" * (64 - room)


async def test_requests_to_recover_are_heard_and_not_printed() -> None:
    printer = Printer()
    await printer.told(b"\x10\x05\x02\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08ok\n")
    assert printer.model.requests == ["DLE ENQ 2", "DLE DC4 8"]
    assert printer.model.text == ["ok"]


@pytest.mark.parametrize("buffer_bytes", [256, 4096])
@pytest.mark.parametrize("place", range(0, len(JOB), 97))
async def test_paper_that_ends_anywhere_and_returns_is_printed_exactly_once(place: int, buffer_bytes: int) -> None:
    printer = Printer(f"paper-out@{place}", buffer_bytes=buffer_bytes)
    rest = await printer.offer(JOB)
    assert len(rest) == max(len(JOB) - place - buffer_bytes, 0)
    assert printer.ink == JOB_PICTURE[: len(printer.ink)]
    assert place - JOB_HEADERS - 48 < len(printer.ink) <= place
    # The buffer is full or the job complete: the question comes between commands, or finds no room and does no harm.
    assert await printer.told(b"\x10\x04\x01") == b"\x1a"
    printer.model.paper_out = False
    await printer.offer(rest)
    await printer.model.idle()
    assert printer.ink == JOB_PICTURE
    assert printer.heard() == DONE
    assert printer.model.lost == 0


async def test_offline_printer_takes_what_its_buffer_holds_and_goes_on_when_the_cover_closes() -> None:
    printer = Printer("cover-open@500", buffer_bytes=700)
    assert printer.model.receive(JOB) == 700
    await printer.model.idle()
    assert printer.model.receive(JOB[700:]) == 500
    await printer.model.idle()
    assert (printer.model.room, printer.model.receive(b"x")) == (0, 0)
    room = asyncio.create_task(printer.model.room_for(300))
    await asyncio.sleep(0)
    assert not room.done()
    printer.model.cover_open = False
    await room
    assert printer.model.room >= 300
    await printer.offer(JOB[1200:])
    await printer.model.idle()
    assert printer.ink == JOB_PICTURE


async def test_room_is_waited_for_only_as_far_as_the_buffer_reaches() -> None:
    printer = Printer(buffer_bytes=100)
    await asyncio.wait_for(printer.model.room_for(5000), 5)


async def test_broken_picture_holds_the_fence_until_nuls_complete_it() -> None:
    printer = Printer()
    assert await printer.told(JOB[:700]) == b""
    assert await printer.told(b"\x1b@\x1d(H\x06\x0000late") == b""
    assert await printer.told(bytes(400) + b"\x1b@\x1d(H\x06\x00002222") == b"\x37\x222222\x00"


async def test_power_cycle_takes_buffer_and_broken_command_and_leaves_the_paper() -> None:
    printer = Printer("paper-out@700")
    await printer.told(JOB)
    before = printer.ink
    assert 0 < len(before) < 700
    printer.model.power_cycle()
    printer.model.paper_out = False
    assert printer.model.room == 4096
    assert await printer.told(b"\x1b@ok\n") == b""
    assert printer.ink[: len(before)] == before
    assert printer.model.text == ["ok"]
    assert [paper.height for paper in printer.model.papers] == [len(before) // 48, 30]


async def test_power_cycle_ends_automatic_status() -> None:
    printer = Printer()
    await printer.told(b"\x1da\x0e")
    printer.heard()
    printer.model.power_cycle()
    printer.model.paper_out = True
    assert printer.heard() == b""


async def test_printer_that_is_off_hears_nothing() -> None:
    printer = Printer("power-off@0")
    assert await printer.told(QUESTIONS + JOB) == b""
    printer.model.power_on()
    assert await printer.told(QUESTIONS) == b"\x12" * 4
    assert printer.ink == b""


async def test_printer_that_is_switched_off_in_a_job_keeps_what_it_printed() -> None:
    printer = Printer("power-off@1000")
    assert await printer.told(JOB) == b""
    assert len(printer.ink) == (1000 - 4 - 3 * 8) // 48 * 48
    await printer.model.idle()


# Speed.


@in_virtual_time
async def test_fence_is_answered_when_the_motor_has_finished_and_not_before() -> None:
    printer = Printer(rows_per_s=400)
    begin_s = now_s()
    assert await printer.told(JOB + b"\x1dr\x01") == b"\x00" + DONE
    executed_s, printed_s = (time_s - begin_s for time_s in printer.times_s)
    assert executed_s == pytest.approx((JOB_ROWS - 48) / 400, abs=0.002)  # Two lines ahead of the motor.
    assert printed_s == pytest.approx(JOB_ROWS / 400, abs=0.002)


@in_virtual_time
async def test_paper_that_ends_under_the_motor_holds_the_fence_and_not_the_execution() -> None:
    printer = Printer(rows_per_s=400)

    def hear(data: bytes) -> None:
        printer.hear(data)
        if data == b"\x00":
            printer.model.paper_out = True

    printer.model.attach(hear)
    assert await printer.told(JOB + b"\x1dr\x01") == b"\x00"
    assert printer.model.room == 4096
    await asyncio.sleep(60)  # Nobody has a new roll for a minute.
    assert printer.heard() == b""
    printer.model.paper_out = False
    back_s = now_s()
    await printer.model.idle()
    assert printer.heard() == DONE
    assert printer.times_s[-1] - back_s == pytest.approx(48 / 400, abs=0.002)


@in_virtual_time
async def test_bytes_are_executed_at_the_speed_of_the_interpreter() -> None:
    printer = Printer(drain_bytes_per_s=5_000, buffer_bytes=1_000)
    begin_s = now_s()
    rest, taken = JOB, 0
    while rest:
        await printer.model.room_for(100)
        taken = printer.model.receive(rest)
        rest = rest[taken:]
    assert now_s() - begin_s == pytest.approx((len(JOB) - 1_000) / 5_000, abs=0.02)
    await printer.model.idle()
    assert printer.heard() == DONE
    assert printer.times_s[0] - begin_s == pytest.approx(len(JOB) / 5_000, abs=0.003)


@in_virtual_time
async def test_row_of_a_picture_is_executed_no_faster_than_other_bytes() -> None:
    printer = Printer(drain_bytes_per_s=1_000)
    printer.model.receive(b"\x1dv0\x00\x30\x00\x01\x00" + b"\xff" * 48)
    rooms: list[int] = []
    for _ in range(4):
        await asyncio.sleep(0.01)
        rooms.append(printer.model.room - (4096 - 56))
    assert rooms == pytest.approx([10, 20, 30, 40], abs=3)


@in_virtual_time
async def test_long_paper_takes_the_time_of_a_mobile_printer() -> None:
    printer = PrinterModel(buffer_bytes=65_536)
    begin_s = now_s()
    printer.receive((b"\x1dv0\x00\x30\x00\x14\x00" + b"\x55" * 48 * 20 + b"\x1bJ\x08") * 37)
    await printer.idle()
    # 130 mm at 50 mm/s.
    assert now_s() - begin_s == pytest.approx(37 * 28 / 400, abs=0.05)


async def test_nothing_is_executed_before_the_sender_has_had_its_turn() -> None:
    printer = Printer()
    printer.model.receive(b"\x1dr\x01")
    assert printer.heard() == b""
    await printer.model.idle()
    assert printer.heard() == b"\x00"


async def test_hooks_are_called_when_room_comes() -> None:
    printer = Printer(buffer_bytes=100)
    rooms: list[int] = []
    printer.model.changed.append(lambda: rooms.append(printer.model.room))
    await printer.told(b"a" * 100)
    assert rooms[-1] == 100


@given(st.lists(st.integers(1, len(JOB) - 1), max_size=8), st.integers(16, 3000))
def test_splits_and_small_buffers_change_nothing(cuts: list[int], buffer_bytes: int) -> None:
    async def run() -> tuple[bytes, bytes]:
        printer = Printer(buffer_bytes=buffer_bytes)
        for begin, end in pairwise([0, *sorted(cuts), len(JOB)]):
            assert await printer.offer(JOB[begin:end]) == b""
        await printer.model.idle()
        return printer.ink, printer.heard()

    assert asyncio.run(run()) == (JOB_PICTURE, DONE)


# Bytes in bulk and one by one. A moment at every byte, in which nothing happens, makes the printer look at each alone.

BANDS = st.builds(
    lambda mode, width_bytes, data: bytes((0x1D, 0x76, 0x30, mode, width_bytes, 0, len(data) // width_bytes, 0)) + data,
    st.integers(0, 3),
    st.sampled_from([1, 6, 8]),
    st.lists(
        st.sampled_from([b"\x10\x04\x01", b"\x10\x14\x08", b"\x1dr\x01", b"\x55\x10\xff", b"\0" * 40]), max_size=12
    ).map(b"".join),
)
COMMANDS = st.sampled_from(
    [
        b"\x1b@",
        b"\x1da\x0e",
        b"\x1dr\x01",
        b"\x1dIC",
        b"\x1d(H\x06\x00001234",
        b"\x1bJ\x20",
        b"\x1dV\x00",
        b"ab\n",
        QUESTIONS,
    ]
)
STREAMS = st.lists(BANDS | COMMANDS | st.binary(max_size=12), min_size=1, max_size=12).map(b"".join)
# Places where the stream reaches; late-fence takes them as milliseconds.
ARMED = st.lists(
    st.builds(
        lambda name, place: name + {"": "", "ms": f"@{place}ms"}.get(FAULTS[name].unit, f"@{place}"),
        st.sampled_from(sorted(FAULTS)),
        st.integers(0, 250),
    ),
    max_size=3,
).map(",".join)
SPEEDS = st.sampled_from([(math.inf, math.inf), (math.inf, 400.0), (7_777.7, math.inf), (20_000.0, 333.3)])


def outcome(stream: bytes, cuts: list[int], faults: str, printer: Printer, *, one_by_one: bool) -> tuple[object, ...]:
    """All that can be seen of a printer that a stream was pushed into, and that somebody then put right."""
    model = printer.model

    async def run() -> None:
        for place in range(1, len(stream) + 1) if one_by_one else ():
            model.after_received(place, lambda: None)
            model.after_executed(place, lambda: None)
        arm(model, faults)
        for begin, end in pairwise([0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]):
            model.force(stream[begin:end])
            await asyncio.sleep(0.01)
        for condition in sorted(model.conditions):
            model.change(condition, on=False)
        await model.idle()

    in_virtual_time(run)()
    return (
        (printer.ink, [paper.size for paper in model.papers], model.text, model.events),
        (bytes(printer.said), printer.times_s, model.requests),
        (model.received, model.lost, model.room, model.powered, sorted(model.conditions)),
    )


@given(STREAMS, st.lists(st.integers(0, 400), max_size=4), ARMED, st.integers(1, 600), SPEEDS)
def test_bytes_in_bulk_and_one_by_one_are_the_same_to_everybody(
    stream: bytes, cuts: list[int], faults: str, buffer_bytes: int, speeds: tuple[float, float]
) -> None:
    bulk, single = (
        outcome(
            stream,
            cuts,
            faults,
            Printer(dots=48, buffer_bytes=buffer_bytes, drain_bytes_per_s=speeds[0], rows_per_s=speeds[1]),
            one_by_one=one_by_one,
        )
        for one_by_one in (False, True)
    )
    assert bulk == single


async def test_question_is_heard_wherever_two_deliveries_meet() -> None:
    for cut in range(len(QUESTIONS) + 1):
        printer = Printer("paper-out")
        printer.model.force(b"ab" + QUESTIONS[:cut])
        assert await printer.told(QUESTIONS[cut:] + b"cd") == bytes.fromhex("1a 32 12 72")


@in_virtual_time
async def test_who_hears_a_fence_can_stop_the_printer_before_the_row_behind_it_is_printed() -> None:
    fence, header = b"\x1d(H\x06\x0000job1", b"\x1dv0\x00\x30\x00\x01\x00"
    printer = Printer(f"cover-open@{len(fence + header)}", marks=False)
    assert await printer.told(fence + header + b"\xff" * 48) == b""
    await asyncio.sleep(1)  # Meanwhile the answer has become due, which such a printer holds back for a moment.

    def hear(data: bytes) -> None:
        printer.hear(data)
        printer.model.paper_out = True

    printer.model.attach(hear)
    printer.model.cover_open = False
    await asyncio.sleep(1)
    assert (printer.heard(), printer.ink) == (DONE, b"")


# Overrun.


async def test_what_is_forced_into_a_full_buffer_is_lost_and_counted() -> None:
    printer = Printer("paper-out", buffer_bytes=100)
    printer.model.force(b"a" * 60 + b"b" * 60)
    assert (printer.model.lost, printer.model.room, printer.model.received) == (20, 0, 120)
    printer.model.paper_out = False
    await printer.told(b"")
    await printer.told(b"\n")
    assert "".join(printer.model.text) == "a" * 60 + "b" * 40


async def test_printer_that_cannot_hold_back_takes_all_and_loses_some() -> None:
    printer = Printer("overrun", buffer_bytes=100)
    assert printer.model.receive(JOB) == len(JOB)
    assert printer.model.lost == len(JOB) - 100
    assert printer.model.room == 100


async def test_receive_takes_what_there_is_room_for_and_no_more() -> None:
    printer = Printer("paper-out", buffer_bytes=100)
    assert [printer.model.receive(b"x" * 70), printer.model.receive(b"x" * 70)] == [70, 30]
    assert (printer.model.lost, printer.model.received) == (0, 100)


# Automatic status.


async def test_automatic_status_is_pushed_when_something_watched_changes() -> None:
    printer = Printer()
    assert await printer.told(b"\x1da\x08") == bytes.fromhex("10000000")
    printer.model.cover_open = True  # Only the paper is watched.
    assert printer.heard() == b""
    printer.model.near_end = True
    assert printer.heard() == bytes.fromhex("38000300")
    printer.model.near_end = True
    assert printer.heard() == b""
    printer.model.cover_open = False
    assert await printer.told(b"\x1da\x00") == b""
    printer.model.near_end = False
    assert printer.heard() == b""


@pytest.mark.parametrize(("ends", "pushed"), [(True, ""), (False, "18000c00")])
async def test_initializing_ends_automatic_status_where_the_model_says_so(ends: bool, pushed: str) -> None:
    printer = Printer()
    printer.model.initialize_ends_asb = ends
    await printer.told(b"\x1da\x0e\x1b@")
    printer.heard()
    printer.model.paper_out = True
    assert printer.heard() == bytes.fromhex(pushed)


async def test_printer_without_automatic_status_says_none() -> None:
    printer = Printer(asb=False)
    assert await printer.told(b"\x1da\x0e") == b""


# Faults.


async def test_link_falls_at_the_byte_and_the_rest_never_arrives() -> None:
    printer = Printer("drop@700")
    drops: list[int] = []
    printer.model.on_drop = lambda: drops.append(printer.model.received)
    assert printer.model.receive(JOB[:500]) == 500
    await printer.model.idle()
    assert printer.model.receive(JOB[500:]) == 200
    assert drops == [700]
    await printer.model.idle()
    assert printer.model.receive(JOB[700:]) == len(JOB) - 700
    await printer.model.idle()
    assert printer.ink == JOB_PICTURE


async def test_place_of_a_fault_counts_from_the_arming() -> None:
    printer = Printer()
    await printer.told(JOB)
    arm(printer.model, "paper-out@3")
    await printer.told(b"a\nb\nc\n")
    assert printer.model.text == ["a"]
    printer.model.paper_out = False
    await printer.model.idle()
    assert printer.model.text == ["a", "b", "c"]


async def test_place_of_a_fault_is_met_behind_what_the_buffer_still_holds() -> None:
    printer = Printer("paper-out")
    printer.model.receive(b"a\n")
    arm(printer.model, "cover-open@2")
    printer.model.receive(b"b\nc\n")
    printer.model.paper_out = False
    await printer.model.idle()
    assert printer.model.text == ["a", "b"]


FAULT_CASES: dict[str, Callable[[Printer], object]] = {
    "mute": lambda printer: printer.model.mute,
    "lost-fence": lambda printer: printer.model.fence_lost,
    "near-end": lambda printer: printer.model.near_end,
    "low-battery": lambda printer: printer.model.low_battery and printer.model.offline,
    "head-hot": lambda printer: printer.model.head_hot and printer.model.offline,
}


@pytest.mark.parametrize("name", FAULT_CASES)
async def test_fault_happens_at_its_place_and_not_before(name: str) -> None:
    printer = Printer(f"{name}@10")
    await printer.told(b"a" * 9)
    assert not FAULT_CASES[name](printer)
    await printer.told(b"a")
    assert FAULT_CASES[name](printer)


async def test_mute_printer_prints_and_nothing_arrives() -> None:
    printer = Printer("mute@8")
    assert await printer.told(b"\x1dr\x02" + QUESTIONS + JOB) == b"\x12"
    assert printer.ink == JOB_PICTURE


async def test_lost_fence_leaves_the_realtime_status() -> None:
    printer = Printer("lost-fence")
    assert await printer.told(JOB + b"\x1dr\x01" + QUESTIONS) == b"\x12" * 4


async def test_printer_that_cannot_speak_prints_all_the_same() -> None:
    printer = Printer("no-replies")
    assert await printer.told(QUESTIONS + b"\x1da\x0e\x1dIC\x1dr\x01" + JOB) == b""
    assert printer.ink == JOB_PICTURE


@in_virtual_time
async def test_late_fence_is_late_and_the_status_is_not() -> None:
    printer = Printer("late-fence@800ms")
    begin_s = now_s()
    assert await printer.told(JOB + b"\x10\x04\x01") == b"\x12" + DONE
    assert [time_s - begin_s for time_s in printer.times_s] == pytest.approx([0, 0.8], abs=0.002)


@in_virtual_time
async def test_answer_that_is_late_dies_with_the_power() -> None:
    printer = Printer("late-fence@800ms")
    printer.model.receive(b"\x1dr\x01")
    await asyncio.sleep(0.1)
    printer.model.power_cycle()
    await asyncio.sleep(5)
    assert printer.heard() == b""


async def test_clone_answers_on_arrival_while_it_has_printed_nothing() -> None:
    printer = Printer("early-fence, paper-out")
    printer.model.receive(JOB + b"\x1dr\x01")
    assert (printer.heard(), printer.ink) == (b"\x00", b"")
    printer.model.paper_out = False
    await printer.model.idle()
    assert (printer.heard(), printer.ink) == (b"", JOB_PICTURE)


@in_virtual_time
async def test_printer_that_is_busy_answers_only_the_latest_of_several_fences() -> None:
    three = b"".join(b"\x1d(H\x06\x0000job" + digit for digit in (b"2", b"3", b"1"))
    each, latest = Printer(rows_per_s=400), Printer(rows_per_s=400, marks=False)
    assert await each.told(b"\x1bJ\x20" + three) == b"\x37\x22job2\x00\x37\x22job3\x00" + DONE
    assert await latest.told(b"\x1bJ\x20" + three) == DONE
    for at in (0, 11, 22):  # Also when nothing moves and they come one by one.
        latest.model.receive(three[at : at + 11])
        await asyncio.sleep(0.02)
    await latest.model.idle()
    assert latest.heard() == DONE


async def test_stray_bytes_come_unasked_and_again_and_again() -> None:
    printer = Printer("stray@100")
    assert await printer.told(bytes(450)) == bytes.fromhex("12 10000000 12 10000000")


@pytest.mark.parametrize(
    ("text", "armed"),
    [
        ("", ()),
        ("paper-out@1234", (Armed("paper-out", 1234),)),
        (" drop@4000, mute  near-end ", (Armed("drop", 4000), Armed("mute", 0), Armed("near-end", 0))),
        ("late-fence@750ms,early-fence", (Armed("late-fence", 750), Armed("early-fence", 0))),
        ("late-fence stray", (Armed("late-fence", 800), Armed("stray", 512))),
    ],
)
def test_faults_are_written_as_names_with_places(text: str, armed: tuple[Armed, ...]) -> None:
    assert parse(text) == armed


@pytest.mark.parametrize(
    "text", ["paper", "paper-out@", "paper-out@-1", "drop@800ms", "late-fence@800", "overrun@3", "@5"]
)
def test_text_that_is_no_fault_is_refused_in_words_and_arms_nothing(text: str) -> None:
    printer = PrinterModel()
    with pytest.raises(FaultError, match=r"fault|takes"):
        arm(printer, f"mute {text}")
    assert not printer.mute


@pytest.mark.parametrize("name", FAULTS)
async def test_every_fault_can_be_armed_and_leaves_a_printer_that_ends(name: str) -> None:
    assert FAULTS[name].description
    printer = Printer(name)
    printer.model.answer_delay_s = min(printer.model.answer_delay_s, 0.001)
    await printer.told(JOB)


def test_printer_cannot_be_what_is_no_condition() -> None:
    with pytest.raises(AssertionError):
        PrinterModel().change("sad", on=True)


# Paper.


async def test_papers_are_kept_as_files(tmp_path: Path) -> None:
    printer = Printer()
    await printer.told(JOB + b"\x1dV\x00" + JOB)
    files = printer.model.save(tmp_path / "papers")
    assert [file.name for file in files] == ["paper-001.png", "paper-002.png"]
    for file in files:
        with Image.open(file) as paper:
            assert ink(paper.convert("1")) == JOB_PICTURE


async def test_paper_ends_where_somebody_tears_it_off() -> None:
    printer = Printer()
    await printer.told(b"a\n")
    printer.model.tear()
    await printer.told(b"b\nc\n")
    assert [paper.height for paper in printer.model.papers] == [30, 60]
