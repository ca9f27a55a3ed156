"""A session with a printer that runs out of paper, falls silent, loses its link or its memory, wherever that happens.

Whatever goes wrong, three things hold: PRINTED only where the whole paper came out, NOT_PRINTED only where nothing of
it did, and the next paper comes out whole.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from printer_drivers.escpos import Kind, Segment, encode, raster_segments
from printer_drivers.job import JobState
from printer_drivers.profiles import Abilities, Fence, profile_for
from printer_drivers.raster import render
from printer_drivers.session import Patience, PrintEnd, PrinterSession, ProbeError
from printer_drivers.transports import LinkLost
from printer_drivers.transports.memory import MemoryLink
from protocol.document import Columns, Document, Rule, Style, Text
from simulator.printer import PrinterModel
from tests.virtual_time import in_virtual_time, now_s

PROFILE = profile_for("generic-58")
PAPER = Document((Text("BIÊN NHẬN", Style(bold=True, size=2)), Rule(), Columns("Đã thu", "161.700 đ"), Text("Ổ Ệ")))
NEXT_PAPER = Document((Text("GIẤY BÁO", Style(bold=True)), Columns("Phải trả", "9.999.999.999 đ"), Rule()))
PRINTED = PrintEnd(JobState.PRINTED)
PATIENT = Patience(offer_s=0.1, trouble_s=15)

EPSON = Abilities(realtime=True, fence=Fence.GS_H, marks=True, auto_status=True, near_end=True, identity=True)
UNMARKED = replace(EPSON, marks=False, auto_status=False)
PORTABLE = Abilities(realtime=True, fence=Fence.GS_R, marks=False, auto_status=False, near_end=True, identity=True)
FENCED = pytest.mark.parametrize("abilities", [EPSON, UNMARKED, PORTABLE], ids=["marked", "unmarked", "portable"])


@dataclass
class Bench:
    """A printer, a link to it and a session."""

    printer: PrinterModel
    troubles: list[str | None]
    changed: asyncio.Event
    session: PrinterSession = field(init=False)

    def watch(self, trouble: str | None) -> None:
        self.troubles.append(trouble)
        self.changed.set()

    async def hears(self, trouble: str) -> None:
        while trouble not in self.troubles:
            self.changed.clear()
            await self.changed.wait()

    async def print(self, document: Document = PAPER) -> PrintEnd:
        return await self.session.print(list(encode(document, PROFILE)))

    def holds(self, document: Document, times: int = 1) -> bool:
        """Whether the paper came out whole, so many times."""
        return ink(self.printer.strip).count(ink(render(document, PROFILE.dots))) == times


def bench(
    abilities: Abilities | None = EPSON,
    *,
    printer: PrinterModel | None = None,
    patience: Patience = PATIENT,
    link: Callable[[PrinterModel], MemoryLink] = MemoryLink,
) -> Bench:
    model = printer or PrinterModel()
    desk = Bench(model, [], asyncio.Event())
    desk.session = PrinterSession(
        link(model), PROFILE, monotonic=now_s, abilities=abilities, watch=desk.watch, patience=patience
    )
    return desk


def ink(image: Image.Image) -> bytes:
    """The rows of a picture, without blank ones before and after."""
    return image.tobytes("raw", "1;I").strip(b"\x00")


def soon(seconds: float, action: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, action)


def sets(printer: PrinterModel, condition: str, on: bool) -> Callable[[], None]:
    return lambda: printer.change(condition, on=on)


def size_of(document: Document) -> int:
    return sum(len(segment.data) for segment in encode(document, PROFILE))


# All goes well.


@FENCED
@in_virtual_time
async def test_a_paper_is_printed_once_and_to_the_dot(abilities: Abilities) -> None:
    desk = bench(abilities)
    assert await desk.print() == PRINTED
    assert desk.holds(PAPER)
    assert await desk.print(NEXT_PAPER) == PRINTED
    assert desk.holds(PAPER)
    assert desk.holds(NEXT_PAPER)
    assert desk.troubles == []
    assert desk.printer.events == []


@in_virtual_time
async def test_the_point_of_no_return_comes_before_the_first_dot_and_after_every_check() -> None:
    desk = bench()
    seen: list[int] = []

    async def starting() -> None:
        await desk.printer.idle()
        seen.append(desk.printer.strip.height)

    await desk.session.print(list(encode(PAPER, PROFILE)), starting=starting)
    assert seen == [0]
    desk.printer.paper_out = True
    assert (await desk.session.print(list(encode(PAPER, PROFILE)), starting=starting)).state is JobState.NOT_PRINTED
    assert seen == [0]


@in_virtual_time
async def test_a_paper_that_cannot_be_noted_as_begun_does_not_begin() -> None:
    desk = bench()

    async def disk_is_full() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await desk.session.print(list(encode(PAPER, PROFILE)), starting=disk_is_full)
    await desk.printer.idle()
    assert desk.printer.strip.height == 0
    assert await desk.print() == PRINTED


# Before it begins.


@pytest.mark.parametrize("trouble", ["paper_out", "cover_open"])
@FENCED
@in_virtual_time
async def test_a_printer_that_cannot_print_is_not_given_a_paper(abilities: Abilities, trouble: str) -> None:
    desk = bench(abilities)
    desk.printer.change(trouble, on=True)
    assert await desk.print() == PrintEnd(JobState.NOT_PRINTED, trouble.replace("_", "-"))
    desk.printer.change(trouble, on=False)
    await desk.printer.idle()
    assert desk.printer.strip.height == 0
    assert await desk.print() == PRINTED
    assert desk.troubles == [trouble.replace("_", "-"), None]


@in_virtual_time
async def test_a_printer_that_is_switched_off_is_told_from_one_that_is_mute() -> None:
    desk = bench()
    desk.printer.mute = True
    assert await desk.print() == PrintEnd(JobState.NOT_PRINTED, "printer-silent")
    desk.printer.mute = False
    assert await desk.print() == PRINTED
    assert desk.holds(PAPER)


@pytest.mark.parametrize(("condition", "reason"), [("head_hot", "head-hot"), ("low_battery", "low-battery")])
@in_virtual_time
async def test_a_cause_that_no_sensor_of_paper_knows_is_named_all_the_same(condition: str, reason: str) -> None:
    desk = bench()
    assert await desk.print() == PRINTED
    desk.printer.change(condition, on=True)
    assert await desk.print(NEXT_PAPER) == PrintEnd(JobState.NOT_PRINTED, reason)
    desk.printer.change(condition, on=False)
    assert await desk.print(NEXT_PAPER) == PRINTED


@in_virtual_time
async def test_a_printer_near_its_end_of_paper_prints() -> None:
    desk = bench()
    desk.printer.near_end = True
    assert await desk.print() == PRINTED


# Paper and cover, in mid-paper.


@pytest.mark.parametrize("condition", ["paper_out", "cover_open"])
@FENCED
@in_virtual_time
async def test_a_paper_goes_on_where_it_stopped_once_a_hand_has_helped(abilities: Abilities, condition: str) -> None:
    whole = size_of(PAPER)
    for at_byte in range(1, whole, whole // 12):
        desk = bench(abilities)
        assert await desk.print(NEXT_PAPER) == PRINTED
        desk.printer.after_executed(at_byte, sets(desk.printer, condition, True))
        soon(5, sets(desk.printer, condition, False))
        assert await desk.print() == PRINTED, f"stopped at byte {at_byte}"
        assert desk.holds(PAPER)
        assert await desk.print(NEXT_PAPER) == PRINTED
        assert desk.holds(NEXT_PAPER, times=2)


@FENCED
@in_virtual_time
async def test_a_paper_that_nobody_helps_is_unknown_and_spoils_no_other(abilities: Abilities) -> None:
    whole = size_of(PAPER)
    for at_byte in range(1, whole, whole // 6):
        desk = bench(abilities, printer=PrinterModel(buffer_bytes=1024))
        assert await desk.print(NEXT_PAPER) == PRINTED
        desk.printer.after_executed(at_byte, sets(desk.printer, "paper_out", True))
        end = await desk.print()
        assert end.state is JobState.UNKNOWN, f"stopped at byte {at_byte}"
        assert end.reason in ("paper-out", "stalled", "printer-silent")
        assert await desk.print(NEXT_PAPER) == PrintEnd(JobState.NOT_PRINTED, "paper-out")
        desk.printer.paper_out = False
        assert await desk.print(NEXT_PAPER) == PRINTED
        assert desk.holds(NEXT_PAPER, times=2)


@in_virtual_time
async def test_the_collector_hears_why_a_paper_waits_while_it_waits() -> None:
    desk = bench(patience=replace(PATIENT, trouble_s=50))
    assert await desk.print(NEXT_PAPER) == PRINTED
    desk.printer.after_executed(400, sets(desk.printer, "paper_out", True))
    printing = asyncio.create_task(desk.print())
    await desk.hears("paper-out")
    assert not printing.done()
    desk.printer.paper_out = False
    assert await printing == PRINTED
    assert desk.troubles[-1] is None


@in_virtual_time
async def test_a_printer_that_speaks_by_itself_says_why_it_takes_no_more_in_the_middle_of_a_band() -> None:
    desk = bench(printer=PrinterModel(buffer_bytes=64))
    assert await desk.print(NEXT_PAPER) == PRINTED
    desk.printer.after_executed(400, sets(desk.printer, "paper_out", True))
    soon(5, sets(desk.printer, "paper_out", False))
    assert await desk.print() == PRINTED
    assert desk.holds(PAPER)
    assert desk.troubles == ["paper-out", None]


# Power and link.


@FENCED
@in_virtual_time
async def test_a_printer_that_is_switched_off_and_on_leaves_a_paper_unknown(abilities: Abilities) -> None:
    """Its link falls with it, or, at a cable, what is sent meanwhile is lost: marks show that."""
    desk = bench(abilities)
    assert await desk.print(NEXT_PAPER) == PRINTED
    for at_byte in (150, 700, size_of(PAPER) - 3):
        desk.printer.after_received(at_byte, off_and_on(desk.printer, with_link=not abilities.marks))
        assert (await desk.print()).state is JobState.UNKNOWN
        await asyncio.sleep(3)
        assert await desk.print(NEXT_PAPER) == PRINTED
    assert desk.holds(NEXT_PAPER, times=4)


def off_and_on(printer: PrinterModel, *, with_link: bool) -> Callable[[], None]:
    """Somebody's thumb on the power key."""

    def press() -> None:
        printer.power_off()
        if with_link:
            printer.drop()
        soon(2, printer.power_on)

    return press


@FENCED
@in_virtual_time
async def test_a_link_that_falls_in_mid_paper_leaves_it_unknown_wherever_it_falls(abilities: Abilities) -> None:
    whole = size_of(PAPER)
    for at_byte in range(40, whole, whole // 12):
        desk = bench(abilities)
        assert await desk.print(NEXT_PAPER) == PRINTED
        desk.printer.after_received(at_byte, desk.printer.drop)
        end = await desk.print()
        assert end.state is (JobState.UNKNOWN if end.reason == "lost" else JobState.PRINTED)
        assert end.state is JobState.UNKNOWN or desk.holds(PAPER)
        assert await desk.print(NEXT_PAPER) == PRINTED, f"after a fall at byte {at_byte}"
        assert desk.holds(NEXT_PAPER, times=2)


@in_virtual_time
async def test_a_link_that_falls_while_the_printer_is_asked_prints_nothing_and_is_found_again() -> None:
    desk = bench()
    assert await desk.print() == PRINTED
    desk.printer.after_received(2, desk.printer.drop)
    end = await desk.print()
    assert end == PRINTED or end.state is JobState.NOT_PRINTED
    before = 1 + (end == PRINTED)
    assert await desk.print() == PRINTED
    assert desk.holds(PAPER, times=before + 1)


@in_virtual_time
async def test_a_cancelled_paper_is_hung_up_on_and_spoils_no_other() -> None:
    desk = bench(patience=replace(PATIENT, trouble_s=60))
    assert await desk.print(NEXT_PAPER) == PRINTED
    desk.printer.after_executed(500, sets(desk.printer, "paper_out", True))
    printing = asyncio.create_task(desk.print())
    await desk.hears("paper-out")
    printing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await printing
    desk.printer.paper_out = False
    assert await desk.print(NEXT_PAPER) == PRINTED
    assert desk.holds(NEXT_PAPER, times=2)


# Answers.


@FENCED
@in_virtual_time
async def test_an_answer_that_is_lost_leaves_the_paper_unknown_and_the_next_has_its_own(abilities: Abilities) -> None:
    desk = bench(abilities)
    assert await desk.print(NEXT_PAPER) == PRINTED
    desk.printer.fence_lost = True
    assert await desk.print() == PrintEnd(JobState.UNKNOWN, "fence-missing")
    desk.printer.fence_lost = False
    desk.printer.after_received(1500, sets(desk.printer, "paper_out", True))
    assert (await desk.print(NEXT_PAPER)).state is not JobState.PRINTED or desk.holds(NEXT_PAPER, times=2)


@FENCED
@in_virtual_time
async def test_a_late_answer_is_waited_for(abilities: Abilities) -> None:
    desk = bench(abilities)
    desk.printer.answer_delay_s = 3
    assert await desk.print() == PRINTED
    assert await desk.print(NEXT_PAPER) == PRINTED


@FENCED
@in_virtual_time
async def test_an_answer_that_comes_after_patience_ended_is_not_taken_for_the_next(abilities: Abilities) -> None:
    desk = bench(abilities)
    assert await desk.print(NEXT_PAPER) == PRINTED
    desk.printer.answer_delay_s = 10
    assert await desk.print() == PrintEnd(JobState.UNKNOWN, "fence-missing")
    desk.printer.answer_delay_s = 0
    await asyncio.sleep(1)  # The late answer is under way or there; it must be worth nothing either way.
    desk.printer.after_executed(900, sets(desk.printer, "paper_out", True))
    end = await desk.print(NEXT_PAPER)
    assert end.state is not JobState.PRINTED or desk.holds(NEXT_PAPER, times=2)


@in_virtual_time
async def test_an_answer_given_on_arrival_does_not_hide_that_the_paper_ended() -> None:
    desk = bench(PORTABLE, printer=PrinterModel(early_fence=True))
    assert await desk.print(NEXT_PAPER) == PRINTED
    desk.printer.after_executed(size_of(PAPER) // 2, sets(desk.printer, "paper_out", True))
    assert await desk.print() == PrintEnd(JobState.UNKNOWN, "paper-out")


@in_virtual_time
async def test_a_printer_without_any_fence_leaves_every_paper_to_the_eye() -> None:
    desk = bench(None, printer=PrinterModel(gs_h=False, gs_r=False))
    assert await desk.print() == PrintEnd(JobState.UNKNOWN, "no-fence")
    await desk.printer.idle()
    assert desk.holds(PAPER)
    assert desk.session.abilities.fence is Fence.NONE


@in_virtual_time
async def test_status_asked_by_a_picture_confuses_no_one() -> None:
    """A picture may hold the bytes of DLE EOT; the printer answers those too, before or after what it is asked."""
    picture = Image.frombytes("1", (384, 40), bytes(x ^ 0xFF for x in (b"\x10\x04\x02\x10\x04\x04" * 8)) * 40)
    paper = [Segment(b"\x1b@", Kind.SETUP), *raster_segments(picture, PROFILE)]
    for abilities in (EPSON, UNMARKED, PORTABLE):
        desk = bench(abilities)
        desk.printer.near_end = True
        for _ in range(3):
            assert await desk.session.print(paper) == PRINTED
        assert desk.troubles == []


# Bytes lost on the way.


class Careless(MemoryLink):
    """A link that never holds back: what finds no room in the printer is lost."""

    def __init__(self, printer: PrinterModel) -> None:
        printer.flow = False
        super().__init__(printer)


@in_virtual_time
@FENCED
async def test_a_link_that_never_holds_back_loses_nothing_of_a_buffer_as_large_as_half_the_profile_s(
    abilities: Abilities,
) -> None:
    desk = bench(abilities, link=Careless, printer=PrinterModel(buffer_bytes=PROFILE.buffer_bytes // 2 + 200))
    assert await desk.print() == PRINTED
    assert desk.printer.lost == 0
    assert desk.holds(PAPER)


@in_virtual_time
async def test_marks_tell_that_bytes_were_lost_and_the_next_paper_is_not_taken_for_good() -> None:
    desk = bench(link=Careless, printer=PrinterModel(buffer_bytes=500))
    end = await desk.print()
    assert desk.printer.lost > 0
    assert (end.state, end.reason in ("marks-missing", "fence-missing")) == (JobState.UNKNOWN, True)
    assert (await desk.print(NEXT_PAPER)).state is not JobState.PRINTED or desk.holds(NEXT_PAPER)
    desk.printer.power_cycle()
    desk.printer.flow = True
    assert await desk.print(NEXT_PAPER) == PRINTED
    assert ink(desk.printer.strip).endswith(ink(render(NEXT_PAPER, 384)))


# Probing.


@pytest.mark.parametrize(
    ("printer", "found"),
    [
        (PrinterModel(), EPSON),
        (PrinterModel(marks=False, asb=False), UNMARKED),
        (PrinterModel(gs_h=False), PORTABLE),
        (PrinterModel(gs_h=False, gs_r=False), replace(PORTABLE, fence=Fence.NONE)),
        (
            PrinterModel(gs_h=False, gs_r=False, realtime=False),
            replace(PORTABLE, fence=Fence.NONE, realtime=False),
        ),
        (PrinterModel(gs_h=False, realtime=False), replace(PORTABLE, fence=Fence.NONE, realtime=False)),
        (PrinterModel(drain_bytes_per_s=900), EPSON),  # 9600 baud.
        (PrinterModel(gs_h=False, parenthesis=False), PORTABLE),  # It takes the question for letters.
        (PrinterModel(identity=None), replace(EPSON, identity=False)),
    ],
)
@in_virtual_time
async def test_a_probe_finds_what_answers_and_prints_nothing(printer: PrinterModel, found: Abilities) -> None:
    desk = bench(None, printer=printer)
    probe = await desk.session.probe()
    assert replace(probe.abilities, near_end=found.near_end) == found
    assert probe.model == ("TM-P20II" if found.identity else "")
    await desk.printer.idle()
    assert desk.printer.papers == []
    assert (await desk.print()).state is (JobState.UNKNOWN if found.fence is Fence.NONE else JobState.PRINTED)
    await desk.printer.idle()
    assert desk.holds(PAPER)


@in_virtual_time
async def test_a_printer_that_is_offline_cannot_be_probed_and_is_not_misjudged() -> None:
    desk = bench(None)
    desk.printer.paper_out = True
    with pytest.raises(ProbeError, match="paper-out"):
        await desk.session.probe()
    assert desk.session.abilities.fence is None
    assert await desk.print() == PrintEnd(JobState.NOT_PRINTED, "paper-out")
    desk.printer.paper_out = False
    assert await desk.print() == PRINTED


class Dribbling(MemoryLink):
    """A link that takes a byte now and then."""

    async def write(self, data: bytes, timeout_s: float) -> int:
        await asyncio.sleep(timeout_s)
        return await super().write(data[:1], 0)


@in_virtual_time
async def test_no_paper_takes_for_ever_on_a_link_that_dribbles() -> None:
    desk = bench(patience=replace(PATIENT, offer_s=0.02))
    assert await desk.print(NEXT_PAPER) == PRINTED
    desk.session._link = Dribbling(desk.printer)
    await desk.session._link.open()
    desk.session._patience = replace(PATIENT, offer_s=5, paper_s=200)
    begun = now_s()
    assert await desk.print() == PrintEnd(JobState.UNKNOWN, "stalled")
    assert now_s() - begun < 300


class HeldOnce(MemoryLink):
    """Lets no question through the first time."""

    tries = 0

    async def urge(self, data: bytes) -> bool:
        self.tries += 1
        return self.tries > 1 and await super().urge(data)


@in_virtual_time
async def test_a_question_that_was_held_back_says_nothing_of_the_printer() -> None:
    desk = bench(None, link=HeldOnce)
    assert await desk.print() == PrintEnd(JobState.NOT_PRINTED, "stalled")
    assert await desk.print() == PRINTED
    assert replace(desk.session.abilities, near_end=True) == EPSON


# Anything, anywhere.

FAULTS: Sequence[str] = ("paper_out", "cover_open", "power", "drop", "mute", "fence_lost", "late")
FAULT = st.tuples(st.sampled_from(FAULTS), st.integers(1, 6000), st.booleans())


@settings(max_examples=40)
@given(faults=st.lists(FAULT, min_size=1, max_size=3), abilities=st.sampled_from([EPSON, UNMARKED, PORTABLE]))
def test_no_fault_makes_a_false_word_of_any_paper(faults: list[tuple[str, int, bool]], abilities: Abilities) -> None:
    a_day_with(faults, abilities)


@in_virtual_time
async def a_day_with(faults: list[tuple[str, int, bool]], abilities: Abilities) -> None:
    desk = bench(abilities, printer=PrinterModel(buffer_bytes=1500))
    printer = desk.printer
    evening: list[bool] = []  # What has not happened by then does not happen.
    for name, at_byte, mended in faults:
        printer.after_received(at_byte, unless(evening, trouble(printer, name)))
        if mended:
            printer.after_received(at_byte, lambda: soon(5, lambda: mend(printer)))
    numbers = [Document((Text(f"Biên nhận số {number}", Style(size=2)), Rule())) for number in range(4)]
    ends = [await desk.print(paper) for paper in numbers]
    evening.append(True)
    mend(printer)
    await asyncio.sleep(3)
    last = Document((Text("Phiếu cuối ngày", Style(bold=True)),))
    assert await desk.print(last) == PRINTED, (faults, ends)
    came_out = ink(printer.strip)
    for paper, end in zip(numbers, ends, strict=True):
        whole = came_out.count(ink(render(paper, PROFILE.dots)))
        assert whole == 1 or end.state is not JobState.PRINTED, (faults, ends)
        assert whole == 0 or end.state is not JobState.NOT_PRINTED, (faults, ends)
        assert whole <= 1
    assert came_out.endswith(ink(render(last, PROFILE.dots)))


def unless(stopped: list[bool], happen: Callable[[], None]) -> Callable[[], None]:
    """What happens as long as the list is empty."""
    return lambda: None if stopped else happen()


def trouble(printer: PrinterModel, name: str) -> Callable[[], None]:
    """What a fault does to a printer."""

    def happen() -> None:
        match name:
            case "paper_out" | "cover_open":
                printer.change(name, on=True)
            case "power":
                off_and_on(printer, with_link=True)()
            case "drop":
                printer.drop()
            case "mute":
                printer.mute = True
            case "fence_lost":
                printer.fence_lost = True
            case "late":
                printer.answer_delay_s = 3
            case _:
                raise AssertionError(name)

    return happen


def mend(printer: PrinterModel) -> None:
    """A hand that knows printers."""
    for condition in ("paper_out", "cover_open"):
        printer.change(condition, on=False)
    printer.mute = printer.fence_lost = False
    if not printer.powered:
        printer.power_on()
    printer.answer_delay_s = 0


# What the link says is passed on by its code.


@in_virtual_time
async def test_a_printer_that_is_not_there_is_no_reason_to_stop() -> None:
    desk = bench(link=Absent)
    assert await desk.print() == PrintEnd(JobState.NOT_PRINTED, "not-found")
    assert desk.printer.strip.height == 0


class Absent(MemoryLink):
    """A printer that was left at home."""

    async def open(self) -> None:
        raise LinkLost("not-found", "the printer was left at home")




@in_virtual_time
async def test_a_byte_that_passes_for_an_answer_shifts_no_answer_of_the_next_paper() -> None:
    for at_byte in range(1700, size_of(PAPER), 60):
        desk = bench(PORTABLE, printer=PrinterModel(drain_bytes_per_s=1000))
        assert await desk.print(NEXT_PAPER) == PRINTED
        desk.printer.say(b"\0")
        desk.printer.after_executed(at_byte, sets(desk.printer, "paper_out", True))
        assert await desk.print() != PRINTED or desk.holds(PAPER)


@in_virtual_time
async def test_the_answer_of_a_broken_paper_that_dawdles_is_not_taken_for_the_next_one_s() -> None:
    for at_byte in range(1700, size_of(PAPER), 60):
        desk = bench(PORTABLE, printer=PrinterModel(drain_bytes_per_s=1000))
        assert await desk.print(NEXT_PAPER) == PRINTED
        desk.printer.after_executed(700, sets(desk.printer, "paper_out", True))
        assert (await desk.print()).state is JobState.UNKNOWN
        desk.printer.paper_out = False

        async def starting(printer: PrinterModel = desk.printer, at_byte: int = at_byte) -> None:
            printer.after_executed(at_byte, sets(printer, "cover_open", True))

        end = await desk.session.print(list(encode(PAPER, PROFILE)), starting=starting)
        assert end != PRINTED or ink(desk.printer.strip).endswith(ink(render(PAPER, PROFILE.dots)))


@in_virtual_time
async def test_an_answer_on_arrival_is_not_believed_before_the_paper_can_be_out_whatever_the_buffer_holds() -> None:
    long = Document(tuple(Text(f"Dòng số {number} của một giấy báo dài") for number in range(40)))
    for part in (3, 6, 9):
        desk = bench(PORTABLE, printer=PrinterModel(early_fence=True, buffer_bytes=65_536))
        assert await desk.print(NEXT_PAPER) == PRINTED
        desk.printer.after_executed(size_of(long) * part // 10, sets(desk.printer, "paper_out", True))
        assert await desk.print(long) == PrintEnd(JobState.UNKNOWN, "paper-out")


@in_virtual_time
async def test_a_reply_that_broke_off_swallows_none_that_comes_later() -> None:
    for noise in (b"\x10", b"\x37\x22", b"\x5f"):
        desk = bench(PORTABLE)
        assert await desk.print(NEXT_PAPER) == PRINTED
        desk.printer.say(noise)
        await asyncio.sleep(1)
        assert await desk.print() == PRINTED


class Queueing(MemoryLink):
    """A link that takes all it is given and passes on what the printer has room for; hanging up drops the rest."""

    def __init__(self, printer: PrinterModel) -> None:
        super().__init__(printer)
        self._queue = b""

    async def write(self, data: bytes, timeout_s: float) -> int:
        await asyncio.sleep(0)
        if not self._queue:
            soon(0, self._pass_on)
        self._queue += data
        return len(data)

    async def close(self) -> None:
        self._queue = b""
        await super().close()

    def _pass_on(self) -> None:
        if self._queue:
            self._queue = self._queue[self._put(self._queue) :]
            soon(0.01, self._pass_on)


@in_virtual_time
async def test_nothing_that_a_link_still_holds_comes_out_of_a_cancelled_paper() -> None:
    desk = bench(UNMARKED, link=Queueing, printer=PrinterModel(buffer_bytes=500))
    assert await desk.print(NEXT_PAPER) == PRINTED
    desk.printer.after_executed(300, sets(desk.printer, "paper_out", True))
    printing = asyncio.create_task(desk.print())
    await asyncio.sleep(3)
    printing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await printing
    received = desk.printer.received
    desk.printer.paper_out = False
    await asyncio.sleep(5)
    assert desk.printer.received == received
    assert await desk.print(NEXT_PAPER) == PRINTED
