"""A paper on its way: drawn, set in bytes, carried over a radio and a cable, and answered for by a simulated printer.

The links are the programs' own; what is at their other end keeps the pace of the air, of the line, of the head and of
the motor. A link's share is the time that its bytes take at its pace, of all the time from the order to the answer.
"""

import asyncio
import math
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from printer_drivers.escpos import Mode, Segment, encode, raster_segments
from printer_drivers.job import JobState
from printer_drivers.profiles import Abilities, Fence, Flow, Profile, profile_for
from printer_drivers.raster import render
from printer_drivers.session import PrinterSession
from printer_drivers.transports import Link
from printer_drivers.transports.ble import BleLink, scan
from printer_drivers.transports.serial_port import SerialLink
from protocol.document import Document
from simulator.bluez import FakeBluez
from simulator.bluez_peripheral import ISSC, MTP_II, Peripheral, Services
from simulator.printer import ROWS_PER_S, PrinterModel
from simulator.serial_line import SerialLine
from tests.bench.measure import Row, percentile, seconds, seconds_of, spread_ms
from tests.printer_drivers.test_golden_papers import PAPERS

RADIO_BYTES_PER_S = 10_000  # Bluetooth LE as cheap printers have it.
RESPONSE_S = 0.06  # Two connection intervals of 30 ms: what a write with response waits besides, in the worse case.
BAUD = 115_200
BITS_PER_BYTE = 10

BILL = "bill-plain"
WEIGHED = (BILL, "notice-house-closed", "receipt-one-bill")
PAPER_BYTES_MAX = 30_000
DRAWN = 30  # Times, for a median.
ASKED = 15
LOST = 5

EPSON = profile_for("epson-tm-p20ii")
TCVN3 = EPSON.pages[0]
MARKED = Abilities(realtime=True, fence=Fence.GS_H, marks=True, auto_status=True, near_end=True, identity=True)
CLONE = profile_for("mtp-ii")
PLAIN = Abilities(realtime=True, fence=Fence.GS_R, marks=False, auto_status=False, near_end=False, identity=False)

# In a process of its own, which has no font loaded and no letter drawn yet.
COLD = f"""
import time
from printer_drivers.raster import render
from tests.printer_drivers.test_golden_papers import PAPERS
document = PAPERS["{BILL}"]()
start = time.perf_counter()
render(document, {EPSON.dots})
print(time.perf_counter() - start)
"""


def drawn_and_set() -> list[Row]:
    """Draw a bill, the first time and again; set its picture in bands."""
    run = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True)
    cold_s = float(run.stdout)
    document = PAPERS[BILL]()
    picture = render(document, EPSON.dots)
    render_s = [seconds(lambda: render(document, EPSON.dots)) for _ in range(DRAWN)]
    bands_s = [seconds(lambda: list(raster_segments(picture, EPSON))) for _ in range(DRAWN)]
    text_s = [seconds(lambda: list(encode(document, EPSON, Mode.TEXT, TCVN3))) for _ in range(DRAWN)]
    rows = picture.height
    return [
        limited(f"printer: draw a bill of {rows:,} rows, the first time", cold_s, 0.1),
        often(f"printer: draw a bill of {rows:,} rows, again", render_s, 0.1),
        often("printer: cut its picture into bands", bands_s, 0.02),
        often("printer: set the bill as text, its code in bands", text_s, 0.02),
    ]


def weighed() -> list[Row]:
    """What papers weigh at 58 mm, as pictures and as text."""
    rows = []
    for name in WEIGHED:
        document = PAPERS[name]()
        raster_bytes, text_bytes = size_of(encode(document, EPSON)), size_of(encode(document, EPSON, Mode.TEXT, TCVN3))
        rows.append(
            Row(
                what=f"printer: {name} at {EPSON.dots} dots",
                ours=f"{raster_bytes:,} B",
                result=f"as text, its code a picture: {text_bytes:,} B",
                aim=f"<= {PAPER_BYTES_MAX:,} B",
                meets=raster_bytes <= PAPER_BYTES_MAX,
            )
        )
    return rows


class Reached(NamedTuple):
    """A link, not open, its pace, and how it falls and is there again."""

    link: Link
    bytes_per_s: float
    drop: Callable[[], None]


@asynccontextmanager
async def by_radio(
    printer: PrinterModel, profile: Profile, services: Services, *, response_s: float = 0.0
) -> AsyncIterator[Reached]:
    peripheral = Peripheral(
        "AA:BB:CC:DD:EE:01",
        printer,
        services=services,
        radio_bytes_per_s=RADIO_BYTES_PER_S,
        response_s=response_s,
    )
    async with FakeBluez([peripheral]):
        await scan(0.05)
        yield Reached(BleLink(peripheral.address, profile), RADIO_BYTES_PER_S, printer.drop)


@asynccontextmanager
async def by_cable(printer: PrinterModel) -> AsyncIterator[Reached]:
    def drop() -> None:
        line.drop()
        asyncio.get_running_loop().call_later(0.02, line.plug_in)

    with TemporaryDirectory() as folder:
        async with SerialLine(printer, BAUD, xonxoff=True, name=Path(folder) / "printer") as line:
            yield Reached(SerialLink(line.path, baud=BAUD, flow=Flow.XON_XOFF), BAUD / BITS_PER_BYTE, drop)


@dataclass
class Measured:
    """What one printer behind one link took, in seconds. sent_bytes: of the bill; bytes_per_s: the pace of the link."""

    printed_s: float = 0.0
    sent_bytes: int = 0
    bytes_per_s: float = 1.0
    first_byte_s: list[float] = field(default_factory=list)
    preflight_s: list[float] = field(default_factory=list)
    reconnect_s: list[float] = field(default_factory=list)

    def row(self, what: str, aim_s: float) -> Row:
        """The bill's line in the table."""
        share = self.sent_bytes / self.bytes_per_s / self.printed_s
        return limited(f"printer: a bill, {what}", self.printed_s, aim_s, result=f"{share:.0%} of it the link's")

    def rows(self, link: str) -> list[Row]:
        """The lines of all the rest."""
        return [
            often(f"printer: commit to first byte, {link}", self.first_byte_s, 0.05),
            often(f"printer: is it ready, {link}", self.preflight_s, 0.3),
            often(f"printer: lost and found, {link}", self.reconnect_s, 3.0),
        ]


Reach = Callable[[PrinterModel], AbstractAsyncContextManager[Reached]]


async def bill_printed(printer: PrinterModel, reach: Reach, profile: Profile, abilities: Abilities) -> Measured:
    """From the order to the answer, on a link that is open."""
    bill = list(encode(PAPERS[BILL](), profile))
    async with session_with(printer, reach, profile, abilities) as (session, reached):
        printed_s = await seconds_of(printed(session, bill))
        return Measured(printed_s=printed_s, sent_bytes=size_of(bill), bytes_per_s=reached.bytes_per_s)


async def small_matters(reach: Reach) -> Measured:
    """Many short papers: the questions before them, their first bytes; and a link that falls."""
    measured, printer = Measured(), PrinterModel()
    short = list(encode(Document(()), replace(EPSON, feed_dots=8)))
    loop = asyncio.get_running_loop()

    async def committed() -> None:
        """Where a program has put on disk that the paper is begun."""
        began_s = loop.time()
        printer.after_received(1, lambda: measured.first_byte_s.append(loop.time() - began_s))

    async with session_with(printer, reach, EPSON, MARKED) as (session, reached):
        for _ in range(ASKED):
            measured.preflight_s.append(await seconds_of(ready(session)))
            end = await session.print(short, starting=committed)
            assert end.state is JobState.PRINTED, end
        for _ in range(LOST):
            reached.drop()
            await asyncio.sleep(0.1)
            measured.reconnect_s.append(await seconds_of(found_again(session)))
    return measured


@asynccontextmanager
async def session_with(
    printer: PrinterModel, reach: Reach, profile: Profile, abilities: Abilities
) -> AsyncIterator[tuple[PrinterSession, Reached]]:
    async with reach(printer) as reached:
        session = PrinterSession(
            reached.link, profile, monotonic=asyncio.get_running_loop().time, abilities=abilities
        )
        await ready(session)
        try:
            yield session, reached
        finally:
            await session.close()


async def ready(session: PrinterSession) -> None:
    reason = await session.preflight()
    assert reason is None, reason


async def found_again(session: PrinterSession) -> None:
    """The first question finds that the link has gone, the next one opens it."""
    if await session.preflight() is not None:
        await ready(session)


async def printed(session: PrinterSession, paper: Sequence[Segment]) -> None:
    end = await session.print(paper)
    assert end.state is JobState.PRINTED, end


async def carried() -> list[Row]:
    """Bills and small matters over a radio and a cable, to printers as they are and to one whose motor has no limit."""
    radio, cable = f"BLE {RADIO_BYTES_PER_S // 1000} KB/s", f"{BAUD} baud"
    late = f"{radio}, answers in {RESPONSE_S * 1000:.0f} ms"
    speed, no_limit = f"{ROWS_PER_S:.0f} rows/s", "endless rows/s"
    epson_by_radio = partial(by_radio, profile=EPSON, services=ISSC)
    epson_late = partial(epson_by_radio, response_s=RESPONSE_S)
    clone_late = partial(by_radio, profile=CLONE, services=MTP_II, response_s=RESPONSE_S)
    bills: Sequence[tuple[str, float, PrinterModel, Reach, Profile, Abilities]] = [
        (f"{radio}, {speed}", 6.0, PrinterModel(), epson_by_radio, EPSON, MARKED),
        (f"{radio}, {no_limit}", 6.0, PrinterModel(rows_per_s=math.inf), epson_by_radio, EPSON, MARKED),
        (f"{late}, {speed}", 6.0, PrinterModel(), epson_late, EPSON, MARKED),
        (f"{late}, {speed}, a clone", 6.0, PrinterModel(gs_h=False, asb=False), clone_late, CLONE, PLAIN),
        (f"{cable}, {speed}", 5.0, PrinterModel(), by_cable, EPSON, MARKED),
        (f"{cable}, {no_limit}", 5.0, PrinterModel(rows_per_s=math.inf), by_cable, EPSON, MARKED),
    ]
    rows = []
    for what, aim_s, printer, reach, profile, abilities in bills:
        rows.append((await bill_printed(printer, reach, profile, abilities)).row(what, aim_s))
    rows += (await small_matters(epson_by_radio)).rows(radio)
    rows += (await small_matters(by_cable)).rows(cable)
    return rows


def limited(what: str, took_s: float, aim_s: float, *, ours: str = "", result: str = "") -> Row:
    """What it took and should stay below."""
    aim = f"< {aim_s:g} s" if aim_s >= 1 else f"< {aim_s * 1000:g} ms"
    said = f"{took_s:.2f} s" if took_s >= 1 else f"{took_s * 1000:.0f} ms"
    return Row(what=what, ours=ours or said, result=result, aim=aim, meets=took_s < aim_s)


def often(what: str, times_s: Sequence[float], aim_s: float) -> Row:
    """The same of several times: most of them should."""
    return limited(what, percentile(times_s, 95), aim_s, ours=spread_ms(times_s))


def size_of(paper: Iterable[Segment]) -> int:
    return sum(len(segment.data) for segment in paper)
