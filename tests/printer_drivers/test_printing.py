"""The whole way of a paper: document, bytes, session, a real link, a simulated printer, dots on its paper.

Links are those of the programs: pyserial on a pseudo-terminal, bleak's own BlueZ backend on a D-Bus of its own.
Whatever goes wrong, each paper ends as what it is (printed, not printed, unknown), the next one comes out whole, and
nothing prints by itself. What a session does in every other place is in test_session.py, where time costs nothing;
here it passes, so stories of one kind are told at several desks at once.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeAlias, TypedDict, Unpack

import pytest
from PIL import Image

from printer_drivers.escpos import encode
from printer_drivers.job import JobState
from printer_drivers.profiles import (
    BLE_SERVICES,
    Abilities,
    Fence,
    Flow,
    Profile,
    profile_for,
)
from printer_drivers.raster import render
from printer_drivers.session import Patience, PrintEnd, PrinterSession
from printer_drivers.transports import Link
from printer_drivers.transports.ble import BleLink, scan
from printer_drivers.transports.memory import MemoryLink
from printer_drivers.transports.serial_port import SerialLink
from protocol.document import Columns, Document, Rule, Style, Text
from simulator.bluez import FakeBluez
from simulator.bluez_peripheral import Characteristic, Flag, Peripheral, Services
from simulator.faults import FAULTS, arm, parse
from simulator.printer import PrinterModel
from simulator.serial_line import SerialLine
from tests.printer_drivers.test_ble import RECONNECT_S, new_address
from tests.printer_drivers.test_golden_papers import PAPERS
from tests.virtual_time import in_virtual_time, now_s

PAPER = Document((Text("BIÊN NHẬN", Style(bold=True, size=2)), Rule(), Columns("Đã thu", "161.700 đ"), Text("Ổ Ệ")))
NEXT_PAPER = Document((Text("GIẤY BÁO", Style(bold=True)), Columns("Phải trả", "9.999.999.999 đ"), Rule()))
PRINTED = PrintEnd(JobState.PRINTED)

# Answers come within milliseconds here, but the machine may be busy; what is waited out only where nothing comes is
# shorter than it could be.
QUICK = Patience(reply_s=0.25, offer_s=0.3, fence_s=0.45, settle_s=0.45, quiet_s=0.1, probe_s=0.25, trouble_s=0.1)


class Traits(TypedDict, total=False):
    """What sets a printer apart; see PrinterModel."""

    buffer_bytes: int
    drain_bytes_per_s: float
    rows_per_s: float
    gs_h: bool
    asb: bool
    marks: bool
    near_end: bool
    identity: str | None
    kanji: bool
    parenthesis: bool


@dataclass(frozen=True)
class Kind:
    """A kind of printer: what it is taken for, what is known of it, and how it is."""

    profile: Profile
    abilities: Abilities | None = None
    traits: Traits = field(default_factory=Traits)


EPSON = Kind(
    profile_for("epson-tm-p20ii"),
    Abilities(realtime=True, fence=Fence.GS_H, marks=True, auto_status=True, near_end=True, identity=True),
)
# As they are sold for little: GS r alone, Chinese when it wakes up, no sensor for the end of the roll.
CHEAP: Traits = {"gs_h": False, "asb": False, "near_end": False, "identity": None, "kanji": True}
CLONE = Kind(
    replace(profile_for("pt-210"), feed_dots=0),  # After each of its answers comes a wait for what may still move.
    Abilities(realtime=True, fence=Fence.GS_R, marks=False, auto_status=False, near_end=False, identity=False),
    CHEAP,
)
BOTH_KINDS = (EPSON, CLONE)


class Printer(NamedTuple):
    """A printer and the kind it is taken for."""

    model: PrinterModel
    kind: Kind


def fast(kind: Kind, **traits: Unpack[Traits]) -> Printer:
    """A printer that takes no time to print."""
    all_traits: Traits = {"drain_bytes_per_s": math.inf, "rows_per_s": math.inf, **kind.traits, **traits}
    return Printer(PrinterModel(dots=kind.profile.dots, **all_traits), kind)


# Ways to printers.


class Reached(NamedTuple):
    """A link to a printer, not open.

    plug_in: makes it reachable again after its line fell. peripheral: what it is for the radio; None at a cable.
    """

    link: Link
    plug_in: Callable[[], None]
    peripheral: Peripheral | None = None


Way: TypeAlias = Callable[[Sequence[Printer]], AbstractAsyncContextManager[Sequence[Reached]]]


@asynccontextmanager
async def by_cable(
    printers: Sequence[Printer], *, baud: int | None = None
) -> AsyncIterator[Sequence[Reached]]:
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(TemporaryDirectory()))
        lines = [
            SerialLine(one.model, baud, xonxoff=True, name=folder / str(number))
            for number, one in enumerate(printers)
        ]
        yield [wired(await exits.enter_async_context(line)) for line in lines]


def wired(line: SerialLine) -> Reached:
    link = SerialLink(line.path, baud=115_200, flow=Flow.XON_XOFF)
    return Reached(link, lambda: None if line.is_up else line.plug_in())


@asynccontextmanager
async def by_radio(printers: Sequence[Printer], *, mtu_bytes: int = 185) -> AsyncIterator[Sequence[Reached]]:
    around = [
        Peripheral(new_address(), one.model, services=services_of(one.kind.profile), mtu_bytes=mtu_bytes)
        for one in printers
    ]
    async with FakeBluez(around):
        await scan(0.03)
        yield [
            Reached(BleLink(one.address, of.kind.profile, scan_s=0.2, connect_s=1), lambda: None, one)
            for one, of in zip(around, printers, strict=True)
        ]


def services_of(profile: Profile) -> Services:
    known = BLE_SERVICES[profile.ble.services[0]]
    writing = Characteristic(known.write, (Flag.COMMAND, Flag.WRITE))
    return {known.service: (writing, Characteristic(known.notify[0], (Flag.NOTIFY,)))}


BOTH_WAYS: Sequence[Way] = (by_cable, by_radio)


# Desks.


@dataclass
class Desk:
    """A printer that is reached somehow, and a session with it. helped: by somebody, when it says what it lacks."""

    printer: PrinterModel
    profile: Profile
    reached: Reached
    helped: bool = False
    troubles: list[str | None] = field(default_factory=list)
    session: PrinterSession = field(init=False)

    def watch(self, trouble: str | None) -> None:
        self.troubles.append(trouble)
        if trouble is not None and self.helped:
            self.mend()

    async def print(self, document: Document = PAPER) -> PrintEnd:
        return await self.session.print(list(encode(document, self.profile)))

    def came_out_whole(self, document: Document) -> bool:
        """Whether the last paper is this one, dot for dot, with the feed to the tear bar and nothing else."""
        picture = render(document, self.profile.dots)
        expected = Image.new("1", (picture.width, picture.height + self.profile.feed_dots), 1)
        expected.paste(picture)
        paper = self.printer.papers[-1]
        return (paper.size, paper.tobytes()) == (expected.size, expected.tobytes())

    def times_printed(self, document: Document) -> int:
        return ink(self.printer.strip).count(ink(render(document, self.profile.dots)))

    async def prints_the_next(self) -> None:
        """Whatever was before: it goes on."""
        self.mend()
        assert await self.print(NEXT_PAPER) == PRINTED
        assert self.came_out_whole(NEXT_PAPER)

    def mend(self) -> None:
        """A hand that knows printers."""
        for condition in tuple(self.printer.conditions - {"near_end"}):
            self.printer.change(condition, on=False)
        self.printer.mute = self.printer.fence_lost = False
        self.printer.answer_delay_s = 0
        if not self.printer.powered:
            self.printer.power_on()
        self.reached.plug_in()


@asynccontextmanager
async def desks(
    way: Way, printers: Sequence[Printer], patience: Patience = QUICK
) -> AsyncIterator[Sequence[Desk]]:
    async with way(printers) as reached:
        many = [Desk(one.model, one.kind.profile, how) for one, how in zip(printers, reached, strict=True)]
        for desk, one in zip(many, printers, strict=True):
            desk.session = PrinterSession(
                desk.reached.link,
                desk.profile,
                monotonic=now_s,
                abilities=one.kind.abilities,
                watch=desk.watch,
                patience=patience,
            )
        try:
            yield many
        finally:
            for desk in many:
                await desk.session.close()


@asynccontextmanager
async def desk_with(way: Way, printer: Printer, patience: Patience = QUICK) -> AsyncIterator[Desk]:
    async with desks(way, [printer], patience) as (desk,):
        yield desk


Story: TypeAlias = Callable[[Desk, str], Awaitable[None]]


async def each(
    faults: Iterable[str],
    story: Story,
    *,
    ways: Sequence[Way] = BOTH_WAYS,
    kinds: Sequence[Kind] = (EPSON,),
    **traits: Unpack[Traits],
) -> None:
    """Tell the story of each fault on each way to each kind of printer, all at once, at desks of their own.

    Each desk has printed a paper today, so its printer is asked and settled.
    """
    cases = [(kind, fault) for kind in kinds for fault in faults]
    async with AsyncExitStack() as exits:
        told = [
            (desk, fault)
            for way in ways
            for desk, (_, fault) in zip(
                await exits.enter_async_context(desks(way, [fast(kind, **traits) for kind, _ in cases])),
                cases,
                strict=True,
            )
        ]
        async with asyncio.TaskGroup() as stories:
            for desk, fault in told:
                stories.create_task(tell(story, desk, fault))


async def tell(story: Story, desk: Desk, fault: str) -> None:
    try:
        assert await desk.print(NEXT_PAPER) == PRINTED
        await story(desk, fault)
    except AssertionError as error:
        error.add_note(f"It was {fault}, {desk.profile.model} behind {type(desk.reached.link).__name__}.")
        raise


def ink(image: Image.Image) -> bytes:
    """The rows of a picture, without blank ones before and after."""
    return image.tobytes("raw", "1;I").strip(b"\x00")


def black(image: Image.Image) -> int:
    """How many dots of it are."""
    return image.histogram()[0]


# All goes well.


async def test_a_paper_comes_out_as_it_was_previewed_of_any_printer_that_has_to_be_asked_first() -> None:
    kinds: Mapping[str, Traits] = {
        "epson-tm-p20ii": {},
        "epson-tm-p80ii": {"marks": False},
        "generic-58": {"asb": False, "identity": None},
        "generic-80": {"gs_h": False},
        "pt-210": CHEAP,
        "pos-58": {**CHEAP, "parenthesis": False},
    }

    async def story(desk: Desk) -> None:
        assert await desk.print() == PRINTED
        assert desk.came_out_whole(PAPER)
        assert desk.troubles == []
        found = desk.session.abilities
        assert found.fence is (Fence.GS_H if desk.printer.gs_h else Fence.GS_R)
        assert found.marks == (desk.printer.gs_h and desk.printer.marks)
        assert found.identity == (desk.printer.identity is not None)

    async with AsyncExitStack() as exits, asyncio.TaskGroup() as stories:
        for way in BOTH_WAYS:
            printers = [fast(Kind(profile_for(model), None, traits)) for model, traits in kinds.items()]
            for desk in await exits.enter_async_context(desks(way, printers)):
                stories.create_task(story(desk))


@pytest.mark.parametrize("model", ["epson-tm-p20ii", "epson-tm-p80ii"])
@pytest.mark.parametrize("way", BOTH_WAYS)
async def test_a_bill_comes_out_as_it_was_previewed_at_both_widths(way: Way, model: str) -> None:
    bill = PAPERS["bill-plain"]()
    async with desk_with(way, fast(replace(EPSON, profile=profile_for(model))), Patience()) as here:
        assert await here.print(bill) == PRINTED
        assert here.came_out_whole(bill)
        assert here.printer.events == []


@pytest.mark.parametrize(("mtu_bytes", "kind"), [(23, CLONE), (247, EPSON)], ids=["23", "247"])
async def test_a_paper_comes_out_whatever_the_radio_carries_at_once(mtu_bytes: int, kind: Kind) -> None:
    async with desk_with(partial(by_radio, mtu_bytes=mtu_bytes), fast(kind), Patience()) as here:
        assert await here.print() == PRINTED
        assert here.came_out_whole(PAPER)
        assert here.reached.peripheral is not None
        sizes = [write.size_bytes for write in here.reached.peripheral.writes]
        assert max(sizes) == min(mtu_bytes - 3, kind.profile.ble.chunk_bytes)


OVERRUN = "overrun"


async def test_a_printer_with_half_the_buffer_that_was_guessed_loses_nothing_over_the_radio() -> None:
    notice = PAPERS["notice-house-closed"]()

    async def story(here: Desk, fault: str) -> None:
        assert here.profile.buffer_bytes == 2 * here.printer.buffer_bytes
        arm(here.printer, fault)
        here.printer.drain_bytes_per_s, here.printer.rows_per_s = 20_000, 2_000
        assert await here.print(notice) == PRINTED
        assert here.printer.lost == 0
        assert here.came_out_whole(notice)

    await each((OVERRUN,), story, ways=[by_radio], kinds=BOTH_KINDS, buffer_bytes=2048)


# What stops a printer. Of the 2 kB of PAPER, and 12 bytes of questions before it: set-up, bands, the end.

STOPS = ("paper-out@12", "paper-out@700", "paper-out@1900", "cover-open@500", "head-hot@1300", "low-battery@900")


def names(reason: str | None, fault: str) -> bool:
    """Whether this is the fault's name; that the battery is the reason not every printer can tell."""
    name = fault.partition("@")[0]
    return reason == name or (name, reason) == ("low-battery", "printer-offline")


async def test_a_paper_that_stops_goes_on_when_a_hand_has_helped_and_is_printed_once() -> None:
    async def story(here: Desk, fault: str) -> None:
        here.helped = True
        arm(here.printer, fault)
        assert await here.print() == PRINTED
        said, over = here.troubles
        assert names(said, fault)
        assert over is None
        assert here.came_out_whole(PAPER)
        assert here.times_printed(PAPER) == 1
        await here.prints_the_next()

    await each(STOPS, story, kinds=BOTH_KINDS)


async def test_a_paper_that_nobody_helps_is_unknown_and_the_next_waits_until_somebody_does() -> None:
    async def story(here: Desk, fault: str) -> None:
        arm(here.printer, fault)
        for document, state in ((PAPER, JobState.UNKNOWN), (NEXT_PAPER, JobState.NOT_PRINTED)):
            end = await here.print(document)
            assert end.state is state
            assert names(end.reason, fault)
        assert here.times_printed(NEXT_PAPER) == 1
        await here.prints_the_next()
        assert here.times_printed(NEXT_PAPER) == 2
        assert here.times_printed(PAPER) <= 1

    await each(STOPS, story)


async def test_what_a_link_holds_for_a_printer_that_is_full_never_comes_out_later() -> None:
    async def story(here: Desk, fault: str) -> None:
        arm(here.printer, fault)
        end = await here.print()
        assert end.state is JobState.UNKNOWN
        assert end.reason == "stalled" or names(end.reason, fault)  # Within a band it can be asked nothing.
        assert (await here.print(NEXT_PAPER)).state is JobState.NOT_PRINTED
        here.mend()
        await here.printer.idle()
        assert here.times_printed(PAPER) == 0
        await here.prints_the_next()
        assert here.times_printed(NEXT_PAPER) == 2

    await each(("paper-out@12", "paper-out@700", "cover-open@1100"), story, buffer_bytes=512)


async def test_a_flat_battery_is_named_by_a_printer_that_speaks_by_itself() -> None:
    async def story(here: Desk, fault: str) -> None:
        arm(here.printer, fault)
        assert await here.print() == PrintEnd(JobState.UNKNOWN, "low-battery")
        assert (await here.print(NEXT_PAPER)).state is JobState.NOT_PRINTED
        assert here.times_printed(NEXT_PAPER) == 1
        await here.prints_the_next()

    await each(("low-battery@900",), story)


async def test_a_person_has_time_also_when_the_end_of_the_paper_lies_in_the_cable() -> None:
    """A stopped cable lets no question through, so nobody can say why it waits; that it does is plain."""
    patience = replace(QUICK, trouble_s=5)
    printer = fast(EPSON, buffer_bytes=1024)
    async with desk_with(partial(by_cable, baud=115_200), printer, patience) as here:
        assert await here.print(NEXT_PAPER) == PRINTED
        arm(here.printer, "paper-out@700")
        asyncio.get_running_loop().call_later(2 * patience.fence_s, here.mend)
        assert await here.print() == PRINTED
        assert here.came_out_whole(PAPER)
        assert here.troubles[-1] is None


# What does no harm.

HARMLESS = ("near-end", "near-end@700", "stray@100", "stray@777", "late-fence@60ms")


async def test_what_does_no_harm_does_none() -> None:
    async def story(here: Desk, fault: str) -> None:
        arm(here.printer, fault)
        for document in (PAPER, NEXT_PAPER):
            assert await here.print(document) == PRINTED
            assert here.came_out_whole(document)
        assert here.troubles == []

    await each(HARMLESS, story, kinds=BOTH_KINDS)


# What silences a printer.


class Silence(NamedTuple):
    """How a paper ends, and why the next one waits as long as nothing is done."""

    reason: str
    next_reason: str


SILENCES: Mapping[str, Silence] = {
    "mute@12": Silence("printer-silent", "printer-silent"),
    "mute@700": Silence("printer-silent", "printer-silent"),
    "power-off@12": Silence("printer-silent", "printer-silent"),
    "power-off@1500": Silence("printer-silent", "printer-silent"),
    "lost-fence@1": Silence("fence-missing", "printer-busy"),
    "lost-fence@1500": Silence("fence-missing", "printer-busy"),
    "late-fence@3000ms": Silence("fence-missing", "printer-busy"),
}


async def test_a_paper_that_nobody_answers_for_is_unknown_and_the_next_is_not_begun() -> None:
    async def story(here: Desk, fault: str) -> None:
        arm(here.printer, fault)
        assert await here.print() == PrintEnd(JobState.UNKNOWN, SILENCES[fault].reason)
        before = ink(here.printer.strip)
        assert await here.print(NEXT_PAPER) == PrintEnd(JobState.NOT_PRINTED, SILENCES[fault].next_reason)
        assert ink(here.printer.strip) == before
        await here.prints_the_next()
        assert here.times_printed(NEXT_PAPER) == 2
        assert here.times_printed(PAPER) <= 1

    await each(SILENCES, story)


NO_REPLIES = "no-replies"


async def test_a_printer_that_never_says_anything_prints_and_its_paper_is_left_to_the_eye() -> None:
    printer = fast(Kind(CLONE.profile))
    arm(printer.model, NO_REPLIES)
    async with desk_with(by_radio, printer) as here:
        assert await here.print() == PrintEnd(JobState.UNKNOWN, "no-fence")
        await here.printer.idle()
        assert here.came_out_whole(PAPER)


async def test_a_printer_known_to_answer_is_not_given_a_paper_when_it_does_not() -> None:
    async with desk_with(by_cable, fast(EPSON)) as here:
        arm(here.printer, NO_REPLIES)
        assert await here.print() == PrintEnd(JobState.NOT_PRINTED, "printer-silent")
        assert here.printer.strip.height == 0


# What breaks the link.

DROPS = ("drop@60", "drop@500", "drop@1111", "drop@1900")
# To a printer that still waits for the rest of a band the first questions are a part of it: nine dots.
QUESTIONS_DOTS = sum(byte.bit_count() for byte in bytes.fromhex("100401100402100404"))


async def test_a_link_that_falls_leaves_its_paper_unknown_and_nothing_prints_when_it_is_back() -> None:
    async def story(here: Desk, fault: str) -> None:
        arm(here.printer, fault)
        assert await here.print() == PrintEnd(JobState.UNKNOWN, "lost")
        here.reached.plug_in()
        await here.printer.idle()
        before = here.printer.strip
        began_s = now_s()
        assert await here.session.preflight() is None
        assert now_s() - began_s < RECONNECT_S
        await here.printer.idle()
        after = here.printer.strip
        assert after.crop((0, 0, *before.size)).tobytes() == before.tobytes()
        assert after.height - before.height <= here.profile.band_rows, "no more than the band that broke off"
        assert black(after) - black(before) <= here.profile.dots + QUESTIONS_DOTS, "and the row that was begun"
        await here.prints_the_next()
        assert here.times_printed(NEXT_PAPER) == 2
        assert here.times_printed(PAPER) == 0

    await each(DROPS, story, kinds=BOTH_KINDS)


@pytest.mark.parametrize("fault", ["drop_at_write", "drop_at_byte"])
async def test_a_radio_link_that_falls_before_or_behind_a_write_leaves_its_paper_unknown(fault: str) -> None:
    async def story(here: Desk, write_no: str) -> None:
        peripheral = here.reached.peripheral
        assert peripheral is not None
        sent = peripheral.writes
        if fault == "drop_at_write":
            peripheral.faults.drop_at_write = len(sent) + int(write_no)
        else:
            peripheral.faults.drop_at_byte = sum(write.size_bytes for write in sent) + 90 * int(write_no)
        assert await here.print() == PrintEnd(JobState.UNKNOWN, "lost")
        assert here.times_printed(PAPER) == 0
        await here.prints_the_next()
        assert peripheral.connections == 2

    await each(("6", "7", "12", "21"), story, ways=[by_radio])


async def test_a_link_that_falls_while_the_printer_is_asked_prints_nothing_of_the_paper() -> None:
    async def story(here: Desk, fault: str) -> None:
        arm(here.printer, fault)
        end = await here.print()
        unplugged = here.reached.peripheral is None
        assert end == (PrintEnd(JobState.NOT_PRINTED, "no-such-port") if unplugged else PRINTED)
        assert here.times_printed(PAPER) == (end == PRINTED)
        await here.prints_the_next()

    await each(("drop@2", "drop@9"), story)


async def test_a_printer_that_went_away_is_not_found_and_found_again() -> None:
    async def story(here: Desk, fault: str) -> None:
        assert here.reached.peripheral is not None
        arm(here.printer, fault)
        here.reached.peripheral.faults.absent = True
        assert await here.print() == PrintEnd(JobState.UNKNOWN, "lost")
        assert await here.print(NEXT_PAPER) == PrintEnd(JobState.NOT_PRINTED, "not-found")
        here.reached.peripheral.faults.absent = False
        await here.prints_the_next()

    await each(("power-off@700,drop@700",), story, ways=[by_radio])


CYCLES = ("power-cycle@12,drop@12", "power-cycle@700,drop@700", "power-cycle@1500,drop@1500")


async def test_a_printer_that_is_switched_off_and_on_lets_its_radio_link_fall_and_its_paper_is_unknown() -> None:
    async def story(here: Desk, fault: str) -> None:
        arm(here.printer, fault)
        assert await here.print() == PrintEnd(JobState.UNKNOWN, "lost")
        await here.prints_the_next()
        assert here.times_printed(NEXT_PAPER) == 2

    await each(CYCLES, story, ways=[by_radio])


async def test_a_printer_that_is_switched_off_and_on_at_a_cable_leaves_its_paper_unknown() -> None:
    """A cable does not notice, but what is sent meanwhile is lost."""

    async def story(here: Desk, fault: str) -> None:
        (off,) = parse(fault)
        arm(here.printer, fault)
        here.printer.after_executed(off.amount, partial(press_again, here.printer))
        end = await here.print()
        assert end.state is JobState.UNKNOWN
        assert end.reason in ("fence-missing", "marks-missing")
        await here.prints_the_next()
        assert here.times_printed(NEXT_PAPER) == 2

    await each(("power-off@12", "power-off@700", "power-off@1500"), story, ways=[by_cable])


def press_again(printer: PrinterModel) -> None:
    """Somebody's thumb, a moment later."""
    asyncio.get_running_loop().call_later(0.1, printer.power_on)


# In memory, where time costs nothing.


class Careless(MemoryLink):
    """A line that holds nobody back: what finds no room is lost."""

    def __init__(self, printer: PrinterModel) -> None:
        printer.flow = False
        super().__init__(printer)


WIDE = replace(CLONE, profile=profile_for("generic-80"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (EPSON, "bill-plain"),
        (CLONE, "bill-plain"),
        (WIDE, "day-slip"),
        (WIDE, "notice-pays-by-collection-order"),
        (WIDE, "letters"),
    ],
    ids=["epson", "clone", "wide-clone", "wide-clone-notice", "wide-clone-letters"],
)
@in_virtual_time
async def test_a_slow_printer_with_half_the_buffer_that_was_guessed_loses_nothing(kind: Kind, name: str) -> None:
    printer = fast(kind, buffer_bytes=kind.profile.buffer_bytes // 2, drain_bytes_per_s=5_000, rows_per_s=400).model
    session = PrinterSession(Careless(printer), kind.profile, monotonic=now_s, abilities=kind.abilities)
    assert await session.print(list(encode(PAPERS[name](), kind.profile))) == PRINTED
    assert printer.lost == 0


@in_virtual_time
async def test_a_printer_that_answers_everything_at_once_is_not_waited_for_when_it_is_asked_what_it_can() -> None:
    session = PrinterSession(MemoryLink(fast(EPSON).model), EPSON.profile, monotonic=now_s)
    assert (await session.probe()).abilities.auto_status
    assert now_s() < Patience().reply_s


# Printers that deceive.

EARLY = "early-fence"


async def test_bytes_lost_on_a_careless_line_are_noticed_and_the_next_paper_is_whole() -> None:
    async def story(here: Desk, fault: str) -> None:
        here.printer.drain_bytes_per_s = 2_000
        arm(here.printer, fault)
        end = await here.print()
        assert here.printer.lost > 0
        assert end.state is JobState.UNKNOWN
        assert end.reason in ("fence-missing", "marks-missing")
        here.printer.power_cycle()
        here.printer.flow, here.printer.drain_bytes_per_s = True, math.inf
        await here.prints_the_next()

    await each((OVERRUN,), story, ways=[by_cable], buffer_bytes=400)


async def test_an_answer_on_arrival_does_not_make_a_paper_printed_that_ran_out() -> None:
    async def story(here: Desk, fault: str) -> None:
        arm(here.printer, EARLY)
        assert await here.print() == PRINTED
        assert here.came_out_whole(PAPER)
        arm(here.printer, fault)
        assert await here.print() == PrintEnd(JobState.UNKNOWN, "paper-out")
        await here.prints_the_next()

    await each(("paper-out@12", "paper-out@900", "paper-out@1900"), story, kinds=[CLONE])


def test_every_fault_there_is_is_tried_here() -> None:
    tried = ", ".join((*STOPS, *HARMLESS, *SILENCES, *DROPS, *CYCLES, NO_REPLIES, OVERRUN, EARLY))
    assert {one.name for one in parse(tried)} == set(FAULTS)
