"""Papers on a printer at the end of a pseudo-terminal, from the job on disk to the dots, and what is remembered."""

import json
import math
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.core.effects import Append, PaperJob, PaperState, Print, PrintResult
from device.linked_printer import (
    REMEMBERED_NAME,
    ForgottenPrinter,
    LinkedPrinter,
    Remembered,
    RememberedError,
    keep_remembered,
    read_remembered,
    remembered_printer,
)
from device.printing import PaperPress, printer_for
from device.store import DeviceStore, StoreError
from printer_drivers.escpos import Kind, Segment
from printer_drivers.profiles import Abilities, Fence, Scheme, TextPages
from printer_drivers.raster import render
from printer_drivers.session import Patience, ProbeError
from printer_drivers.transports import LinkError
from printer_drivers.transports.address import AddressError
from protocol.chain import EMPTY
from protocol.document import Document, QrCode, Text
from protocol.records import PrintOutcome
from simulator.faults import arm
from simulator.printer import PrinterModel
from simulator.serial_line import SerialLine
from tests.device.test_store import job_of, next_record

PAPER = Document((*(Text(f"Giấy báo tiền nước, dòng {number}") for number in range(12)), QrCode("GT1:" + "5" * 80)))
QUICK = Patience(reply_s=0.1, offer_s=0.1, fence_s=0.4, settle_s=0.4, quiet_s=0.1, trouble_s=0.4)
EPSON_PAGES = TextPages(scheme=Scheme.TCVN3, lower=30, upper=31)
ALL_KNOWN = Abilities(
    realtime=True, fence=Fence.GS_H, marks=True, auto_status=True, near_end=None, identity=True
)
INK = b"\x1dv0"
ASKED_FOR_ITS_NAME = b"\x1dI"  # What only a probe does.


class Overheard(PrinterModel):
    """A printer that keeps all it was ever sent, and looks at the handheld's disk when the first ink arrives.

    falls_at: bytes with which its link falls.
    """

    def __init__(self, database: Path) -> None:
        super().__init__(drain_bytes_per_s=math.inf, rows_per_s=math.inf)
        self.heard = bytearray()
        self.on_disk: list[str] = []
        self.falls_at: bytes | None = None
        self._database = database

    def force(self, data: bytes) -> None:
        if INK in self.heard + data and not self.on_disk:
            with closing(sqlite3.connect(self._database)) as other:
                self.on_disk = [state for (state,) in other.execute("SELECT state FROM paper")]
        self.heard += data
        super().force(data)
        if self.falls_at is not None and self.falls_at in data:
            self.drop()

    @property
    def probes(self) -> int:
        return self.heard.count(ASKED_FOR_ITS_NAME)

    def printed_once(self, document: Document) -> bool:
        """Whether its only paper is this one, dot for dot."""
        (paper,) = self.papers
        picture = render(document, paper.width)
        return paper.crop((0, 0, *picture.size)).tobytes() == picture.tobytes()


class Desk:
    """A home, a port with a printer behind it, and one paper that is to be printed."""

    def __init__(self, home: Path, store: DeviceStore, line: SerialLine, model: Overheard, job: PaperJob) -> None:
        self.home, self.store, self.line, self.model, self.job = home, store, line, model, job

    @property
    def address(self) -> str:
        return f"serial://{self.line.path}"

    @property
    def memory(self) -> Path:
        return self.home / REMEMBERED_NAME

    @asynccontextmanager
    async def printer(self, options: str = "", address: str | None = None) -> AsyncIterator[LinkedPrinter]:
        printer = LinkedPrinter(address or self.address + options, self.home, QUICK)
        try:
            yield printer
        finally:
            await printer.close()

    async def paper(self, printer: LinkedPrinter, document: Document = PAPER) -> PrintResult:
        """Through the press, as the app does it."""
        end = await PaperPress(self.store, printer).print(Print(job=self.job, document=document))
        assert end.job == self.job
        return end.result

    async def state(self) -> PaperState:
        """Of the job, on disk."""
        ((job, state),) = (await self.store.load()).papers
        assert job == self.job
        return state


@asynccontextmanager
async def desk_in(tmp_path: Path, store: DeviceStore) -> AsyncIterator[Desk]:
    sealed = next_record(EMPTY)
    await store.append(Append(sealed=sealed, queue=job_of(sealed)))
    model = Overheard(tmp_path / "store.db")
    async with SerialLine(model, xonxoff=True, name=tmp_path / "port") as line:
        yield Desk(tmp_path, store, line, model, job_of(sealed))


def result(outcome: PrintOutcome, reason: str | None = None) -> PrintResult:
    return PrintResult(outcome=outcome, reason=reason)


def not_printed(reason: str) -> PrintResult:
    return result(PrintOutcome.NOT_PRINTED, reason)


PRINTED = result(PrintOutcome.PRINTED)


# Papers.


async def test_a_paper_comes_out_dot_for_dot_and_had_begun_on_disk_before_the_first_ink(
    tmp_path: Path, store: DeviceStore
) -> None:
    async with desk_in(tmp_path, store) as desk, desk.printer() as printer:
        assert await desk.state() is PaperState.WAITING
        assert await desk.paper(printer) == PRINTED
        assert desk.model.printed_once(PAPER)
        assert desk.model.on_disk == ["started"]
        assert printer.trouble is None


async def test_a_printer_that_is_not_ready_leaves_the_paper_waiting_and_prints_it_when_it_is(
    tmp_path: Path, store: DeviceStore
) -> None:
    async with desk_in(tmp_path, store) as desk, desk.printer() as printer:
        desk.model.cover_open = True
        for _ in range(2):
            assert await desk.paper(printer) == not_printed("cover-open")
            assert await desk.state() is PaperState.WAITING
            assert printer.trouble == "cover-open"
            assert INK not in desk.model.heard
        desk.model.cover_open = False
        assert await desk.paper(printer) == PRINTED
        assert desk.model.printed_once(PAPER)
        assert printer.trouble is None


async def test_a_link_that_falls_in_mid_paper_leaves_it_unknown_and_the_next_one_prints(
    tmp_path: Path, store: DeviceStore
) -> None:
    async with desk_in(tmp_path, store) as desk, desk.printer() as printer:
        assert await desk.paper(printer) == PRINTED
        arm(desk.model, "drop@2000")
        assert await desk.paper(printer) == result(PrintOutcome.UNKNOWN, "lost")
        assert await desk.state() is PaperState.STARTED
        assert printer.trouble == "lost"
        assert await desk.paper(printer) == not_printed("no-such-port")
        desk.line.plug_in()
        assert await desk.paper(printer) == PRINTED


@pytest.mark.parametrize(
    ("options", "document", "reason"),
    [
        ("?mode=text", Document((Text("tiền nước 水"),)), "letter-missing"),
        ("?mode=folded", Document((Text("tiền nước 水"),)), "letter-missing"),
        ("", Document((QrCode("x" * 2_000),)), "qr-too-large"),
        ("?mode=text", Document((Text("first lines"), QrCode("x" * 2_000))), "qr-too-large"),
    ],
)
async def test_a_paper_that_cannot_be_set_sends_nothing_at_all(
    tmp_path: Path, store: DeviceStore, options: str, document: Document, reason: str
) -> None:
    async with desk_in(tmp_path, store) as desk, desk.printer(options) as printer:
        await printer.confirm_pages(EPSON_PAGES)
        assert await desk.paper(printer, document) == not_printed(reason)
        assert await desk.state() is PaperState.WAITING
        assert desk.model.received == 0


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("/dev/no-such-port-here", "no-such-port"),
        ("/dev/null", "not-a-port"),
    ],
)
async def test_an_address_that_cannot_be_opened_leaves_the_paper_waiting(
    tmp_path: Path, store: DeviceStore, place: str, reason: str
) -> None:
    async with desk_in(tmp_path, store) as desk, desk.printer(address=f"serial://{place}") as printer:
        assert await desk.paper(printer) == not_printed(reason)
        assert await desk.state() is PaperState.WAITING
        assert printer.trouble == reason
        with pytest.raises(LinkError, match=reason):
            await printer.probe()
        assert printer.abilities == Abilities()


# The code pages that a person has confirmed.


async def test_text_is_printed_as_a_picture_until_somebody_has_confirmed_the_pages(
    tmp_path: Path, store: DeviceStore
) -> None:
    async with desk_in(tmp_path, store) as desk:
        async with desk.printer("?mode=text") as printer:
            assert await desk.paper(printer) == PRINTED
            assert desk.model.text == []
            assert desk.model.printed_once(PAPER)
            await printer.confirm_pages(EPSON_PAGES)
            assert await desk.paper(printer) == PRINTED
            assert desk.model.text[0] == "Giấy báo tiền nước, dòng 0"
        async with desk.printer("?mode=text") as printer:  # The next morning.
            assert printer.pages == EPSON_PAGES
            await printer.confirm_pages(None)
        async with desk.printer("?mode=text") as printer:
            assert printer.pages is None


# What is remembered.


async def test_what_a_probe_found_is_not_asked_again_the_next_morning(tmp_path: Path, store: DeviceStore) -> None:
    async with desk_in(tmp_path, store) as desk:
        async with desk.printer() as printer:
            assert not printer.probed
            assert await desk.paper(printer) == PRINTED
            assert (desk.model.probes, printer.probed, printer.remembered) == (1, True, True)
        known = read_remembered(desk.home)
        assert known == Remembered(address=desk.address, abilities=ALL_KNOWN)
        async with desk.printer() as printer:
            assert (printer.probed, printer.remembered) == (True, True)
            assert await desk.paper(printer) == PRINTED
        again = remembered_printer(desk.home)
        assert isinstance(again, LinkedPrinter)
        assert await desk.paper(again) == PRINTED
        await again.close()
        assert desk.model.probes == 1
        assert read_remembered(desk.home) == known


async def test_another_printer_begins_unknown_and_the_same_one_set_otherwise_does_not(
    tmp_path: Path, store: DeviceStore
) -> None:
    async with desk_in(tmp_path, store) as desk:
        async with desk.printer() as printer:
            await printer.probe()
            await printer.confirm_pages(EPSON_PAGES)
        async with desk.printer("?mode=text&baud=9600") as same:
            assert (same.abilities, same.pages, same.remembered) == (ALL_KNOWN, EPSON_PAGES, False)
        for other in (f"{desk.address}?model=mtp-ii", f"{desk.address}2", "ble://AA:BB:CC:DD:EE:FF"):
            async with desk.printer(address=other) as stranger:
                assert (stranger.probed, stranger.pages, stranger.remembered) == (False, None, False)
                await stranger.remember()
            assert read_remembered(desk.home) == Remembered(address=other)
        async with desk.printer() as printer:
            assert not printer.probed


async def test_a_printer_that_never_answered_is_asked_anew_at_the_next_paper(
    tmp_path: Path, store: DeviceStore
) -> None:
    async with desk_in(tmp_path, store) as desk, desk.printer() as printer:
        desk.model.mute = True  # Its power is off, say, and a cable does not notice.
        assert await desk.paper(printer) == result(PrintOutcome.UNKNOWN, "no-fence")
        with pytest.raises(ProbeError, match="printer-silent"):
            await printer.probe()
        assert (printer.probed, printer.trouble, desk.memory.exists()) == (False, "printer-silent", False)
        desk.model.mute = False
        assert await desk.paper(printer) == PRINTED
        assert printer.trouble is None
        assert (printer.probed, printer.remembered) == (True, True)


async def test_a_printer_that_seemed_to_have_no_fence_is_asked_again_the_next_morning(
    tmp_path: Path, store: DeviceStore
) -> None:
    async with desk_in(tmp_path, store) as desk:
        async with desk.printer() as printer:
            desk.model.fence_lost = True
            for _ in range(2):
                assert await desk.paper(printer) == result(PrintOutcome.UNKNOWN, "no-fence")
            assert (desk.model.probes, printer.probed) == (1, True)
        desk.model.fence_lost = False
        async with desk.printer() as printer:
            assert await desk.paper(printer) == PRINTED


async def test_a_probe_that_breaks_off_changes_nothing(tmp_path: Path, store: DeviceStore) -> None:
    async with desk_in(tmp_path, store) as desk, desk.printer() as printer:
        desk.model.cover_open = True
        with pytest.raises(ProbeError, match="cover-open"):
            await printer.probe()
        assert (printer.abilities, printer.trouble) == (Abilities(), "cover-open")
        desk.model.cover_open = False
        assert (await printer.probe()).model == "TM-P20II"
        assert (printer.abilities, printer.trouble) == (ALL_KNOWN, None)
        kept = desk.memory.read_bytes()
        desk.model.marks = desk.model.asb = False
        desk.model.falls_at = ASKED_FOR_ITS_NAME
        with pytest.raises(LinkError):
            await printer.probe()
        assert (printer.abilities, printer.trouble) == (ALL_KNOWN, "lost")
        assert desk.memory.read_bytes() == kept


GOOD_ABILITIES = {
    "realtime": True,
    "fence": "gs-h",
    "marks": False,
    "auto_status": None,
    "near_end": None,
    "identity": False,
}
GOOD = {
    "address": "serial:///dev/ttyUSB0",
    "abilities": GOOD_ABILITIES,
    "pages": {"scheme": "cp1258", "lower": 27, "upper": None},
}
WITHOUT_ADDRESS: list[object] = [
    None,
    [],
    "serial:///dev/ttyUSB0",
    {},
    {**GOOD, "address": 5},
    {**GOOD, "address": None},
    {**GOOD, "address": "png:papers"},
    {**GOOD, "address": "serial:///dev/ttyUSB0?model=of-a-later-version"},
]
WITHOUT_ABILITIES: list[object] = [
    {"address": GOOD["address"]},
    {**GOOD, "abilities": 1},
    {**GOOD, "abilities": {}},
    {**GOOD, "abilities": {"fence": "gs-h"}},
    {**GOOD, "abilities": {**GOOD_ABILITIES, "fence": "gs-x"}},
    {**GOOD, "abilities": {**GOOD_ABILITIES, "realtime": "yes"}},
    {**GOOD, "pages": []},
    {**GOOD, "pages": {"scheme": "tcvn3", "lower": 30}},
    {**GOOD, "pages": {"scheme": "cp1258", "lower": 256}},
    {**GOOD, "pages": {"scheme": "cp1258", "lower": True}},
    {**GOOD, "pages": {"scheme": "utf-8", "lower": 27}},
]


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    assert read_remembered(tmp_path) is None
    (tmp_path / REMEMBERED_NAME).write_text(json.dumps(GOOD))
    known = read_remembered(tmp_path)
    assert known == Remembered(
        address="serial:///dev/ttyUSB0",
        abilities=Abilities(realtime=True, fence=Fence.GS_H, marks=False, identity=False),
        pages=TextPages(scheme=Scheme.CP1258, lower=27),
    )
    keep_remembered(tmp_path, known)
    assert read_remembered(tmp_path) == known


def test_a_memory_without_address_says_to_choose_again_and_papers_wait(tmp_path: Path) -> None:
    texts = [json.dumps(content).encode() for content in WITHOUT_ADDRESS]
    for text in (*texts, b"", b"{", b"\xff", b"[" * 100_000):
        (tmp_path / REMEMBERED_NAME).write_bytes(text)
        with pytest.raises(RememberedError, match=r"printer\.json is damaged .*: choose the printer again"):
            read_remembered(tmp_path)
        assert isinstance(printer_for(None, tmp_path), ForgottenPrinter), "a file would count as printed"


async def test_where_a_printer_was_that_is_forgotten_nothing_is_printed(tmp_path: Path, store: DeviceStore) -> None:
    async with desk_in(tmp_path, store) as desk:
        press = PaperPress(store, ForgottenPrinter())
        assert (await press.print(Print(job=desk.job, document=PAPER))).result == not_printed("not-found")
        assert await desk.state() is PaperState.WAITING
        assert press.trouble == "not-found"
        await press.close()


@pytest.mark.parametrize("content", WITHOUT_ABILITIES)
def test_a_memory_that_lost_what_the_printer_can_do_still_knows_where_it_is(tmp_path: Path, content: object) -> None:
    (tmp_path / REMEMBERED_NAME).write_text(json.dumps(content))
    with pytest.raises(RememberedError, match=r"printer\.json is damaged .*: it will be asked again"):
        read_remembered(tmp_path)
    printer = printer_for(None, tmp_path)
    assert isinstance(printer, LinkedPrinter)
    assert (printer.address, printer.probed, printer.pages, printer.remembered) == (
        "serial:///dev/ttyUSB0",
        False,
        None,
        False,
    )


async def test_a_damaged_memory_is_written_anew_after_the_first_paper(tmp_path: Path, store: DeviceStore) -> None:
    async with desk_in(tmp_path, store) as desk:
        desk.memory.write_text(json.dumps({"address": desk.address, "abilities": {"fence": 5}, "pages": None}))
        async with desk.printer() as printer:
            assert await desk.paper(printer) == PRINTED
        assert read_remembered(desk.home) == Remembered(address=desk.address, abilities=ALL_KNOWN)


async def test_a_memory_that_cannot_be_written_costs_no_paper(tmp_path: Path, store: DeviceStore) -> None:
    async with desk_in(tmp_path, store) as desk:
        desk.memory.mkdir()
        async with desk.printer() as printer:
            for _ in range(2):
                assert await desk.paper(printer) == PRINTED
            assert (printer.remembered, desk.model.probes) == (False, 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 300) | st.text(max_size=5) | st.sampled_from([*Fence, *Scheme]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*GOOD_ABILITIES, "scheme", "lower", "upper"]), inner),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(address=st.just(GOOD["address"]) | JSON, abilities=st.just(GOOD_ABILITIES) | JSON, pages=JSON)
def test_whatever_stands_in_the_memory_the_handheld_starts(
    tmp_path: Path, address: object, abilities: object, pages: object
) -> None:
    content = {"address": address, "abilities": abilities, "pages": pages}
    (tmp_path / REMEMBERED_NAME).write_text(json.dumps(content))
    assert isinstance(printer_for(None, tmp_path), LinkedPrinter | ForgottenPrinter)


def test_a_handheld_that_never_had_a_printer_draws_pictures(tmp_path: Path) -> None:
    assert remembered_printer(tmp_path) is None
    printer_for(None, tmp_path)
    assert (tmp_path / "papers").is_dir()


def test_a_model_that_nobody_knows_is_no_address(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match=r"there are: .*generic-58"):
        printer_for("serial:///dev/ttyUSB0?model=abacus", tmp_path)


async def test_a_driver_that_fails_costs_the_certainty_of_one_paper(tmp_path: Path, store: DeviceStore) -> None:
    async with desk_in(tmp_path, store) as desk, desk.printer() as printer:

        async def disk_is_full() -> None:
            raise StoreError("the disk is full")

        with pytest.raises(StoreError, match="disk is full"):
            await printer.print_document(PAPER, disk_is_full)
        broken = (Segment(b"", Kind.SETUP), "no segment at all")
        result = await printer.print_segments(broken)  # type: ignore[arg-type]  # As a fault of ours would be.
        assert result == PrintResult(outcome=PrintOutcome.UNKNOWN, reason="driver-error")
        assert (await printer.print_document(PAPER)).outcome is PrintOutcome.PRINTED
