"""Finding, choosing and trying a printer through the real door, with printers on a pseudo-terminal and a radio."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from device.app import App
from device.core.effects import PaperState
from device.drive import Drive
from device.linked_printer import REMEMBERED_NAME, read_remembered
from device.paper_words import PAPER_WORDS
from device.printer_door import PrinterDoor
from device.printing import PaperPress, printer_for
from device.store import DeviceStore
from device.uplink import Uplink
from printer_drivers.profiles import Scheme, TextPages, profile_for
from printer_drivers.raster import render
from printer_drivers.tickets import page_lines
from printer_drivers.tickets import test_ticket as ordinary_ticket
from printer_drivers.transports import serial_port
from simulator.bluez import FakeBluez
from simulator.bluez_bus import ADDRESS_VARIABLE
from simulator.bluez_peripheral import Peripheral
from simulator.faults import arm
from simulator.printer import PrinterModel
from simulator.serial_line import SerialLine
from tests.device.branch import CODE, DEVICE_KEY, SmallHub, StillClock, session_from
from tests.device.test_app import die
from tests.device.test_drive import Caller, ended, intent, program, said

Json = dict[str, Any]
MODEL = "epson-tm-p20ii"
SOON_S = 5.0
NOT_CHOSEN = "no printer has been chosen"
WAIT = "a paper is printing"


def words(code: str) -> str:
    return PAPER_WORDS[code][0]


def quick_printer() -> PrinterModel:
    return PrinterModel(drain_bytes_per_s=math.inf, rows_per_s=math.inf)


@asynccontextmanager
async def handheld(
    tmp_path: Path, store: DeviceStore, hub: SmallHub, papers: str | None = None
) -> AsyncIterator[Caller]:
    """A handheld with its door open, as `device.__main__` puts it together. papers: as there."""
    session = await session_from(store)
    clock = StillClock()
    messages, made = store.messages, lambda: session.work.tip.seq
    uplink = Uplink(hub.url, key=DEVICE_KEY, clock=clock, messages=messages, made=made)
    press = PaperPress(store, printer_for(papers, tmp_path))
    app = App(session, store=store, press=press, network=uplink, clock=clock, die=die)
    drive = Drive(app, PrinterDoor(press, tmp_path).routes())
    await app.start(tick_s=None)
    port = await drive.listen(0)
    try:
        async with ClientSession() as client:
            yield Caller(f"http://127.0.0.1:{port}", client, drive)
    finally:
        await drive.close()
        await app.close()
        await press.close()
        await uplink.close()


@asynccontextmanager
async def port_in(tmp_path: Path) -> AsyncIterator[tuple[PrinterModel, str]]:
    """A printer on a port, and its address."""
    model = quick_printer()
    async with SerialLine(model, xonxoff=True, name=tmp_path / "port") as line:
        yield model, f"serial://{line.path}?model={MODEL}"


async def read_and_collect(caller: Caller) -> None:
    """A receipt is printed."""
    await caller.open_a_day()
    await caller.command("TakeReading", intent=intent(2), customer="C00001", code="normal", index=121)
    due_vnd = (await caller.get("/stops/C00001"))["due_vnd"]["ALL"]
    assert (await caller.command("Collect", intent=intent(3), customer="C00001", amount_vnd=due_vnd))["done"]


# Choosing.


async def test_a_printer_is_chosen_prints_and_is_there_after_the_next_start(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    async with port_in(tmp_path) as (model, address):
        async with handheld(tmp_path, store, hub) as caller:
            before = await caller.get("/printer")
            assert (before["address"], before["remembered"], before["trouble"]) == (None, False, None)
            chosen = await caller.post("/printer", {"address": address})
            assert chosen == await caller.get("/printer")
            assert (chosen["address"], chosen["remembered"], chosen["probed"]) == (address, True, False)
            assert (chosen["model"], chosen["name"], chosen["mode"]) == (MODEL, "Epson TM-P20II", "raster")
            assert (chosen["abilities"]["fence"], chosen["abilities"]["marks"]) == ("gs-h", None)
            assert (chosen["pages"], chosen["candidates"][0]) == (None, {"scheme": "tcvn3", "lower": 30, "upper": 31})
            assert (chosen["trouble"], chosen["words"], chosen["busy"]) == (None, None, False)
            await read_and_collect(caller)
            assert await caller.get("/quiet") == {"quiet": True}
            assert len(model.papers) == 1
            assert list((tmp_path / "papers").iterdir()) == []
            after = await caller.get("/printer")
            assert (after["probed"], after["abilities"]["marks"]) == (True, True)
        async with handheld(tmp_path, store, hub) as caller:
            assert await caller.get("/printer") == after
            again = {"kind": "RECEIPT", "customer": "C00001", "receipt_no": 1}
            assert (await caller.command("PrintPaper", **again))["done"]
            assert await caller.get("/quiet") == {"quiet": True}
            assert len(model.papers) == 2


async def test_the_printer_before_is_hung_up_so_that_another_handheld_can_have_it(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    peripheral = Peripheral("DC:0D:30:00:01:01", quick_printer(), mtu_bytes=247)
    async with FakeBluez([peripheral]), handheld(tmp_path, store, hub, f"ble://{peripheral.address}") as caller:
        assert (await caller.post("/printer/probe"))["done"]
        assert peripheral.connected
        await caller.post("/printer", {"address": "serial:///dev/rfcomm0"})
        assert not peripheral.connected


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "not JSON"),
        ([1], "not an object"),
        ({}, "address must be a text"),
        (b"", "address must be a text"),
        ({"address": 5}, "address must be a text"),
        ({"address": "AA:BB:CC:DD:EE:FF"}, "is not a printer's address: write serial:"),
        ({"address": "ble://AA:BB"}, "a Bluetooth printer needs its address"),
        ({"address": "serial:///dev/ttyUSB0?baud=7"}, "baud is 1200"),
        ({"address": "serial:///dev/ttyUSB0?model=abacus"}, 'no printer model "abacus"'),
        ({"address": "file:out.bin"}, "must begin with serial or ble"),
        ({"address": "memory:bench"}, "must begin with serial or ble"),
        ({"address": "png:papers"}, "is not a printer's address"),
        ({"address": "serial:///dev/x", "model": "mtp-ii"}, "no field model"),
        ({"address": "serial:///dev/\ud800"}, "address"),
    ],
)
async def test_what_is_no_address_is_told_why_and_the_printer_stays(
    tmp_path: Path, store: DeviceStore, hub: SmallHub, body: object, sentence: str
) -> None:
    async with handheld(tmp_path, store, hub, "serial:///dev/ttyUSB0") as caller:
        before = await caller.get("/printer")
        assert sentence in (await caller.post("/printer", body, status=400))["error"]
        assert await caller.get("/printer") == before
    assert not (tmp_path / REMEMBERED_NAME).exists()


async def test_a_choice_that_cannot_be_written_down_holds_for_today_and_says_so(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    async with port_in(tmp_path) as (model, address), handheld(tmp_path, store, hub, "png:" + str(tmp_path)) as caller:
        (tmp_path / REMEMBERED_NAME).mkdir()
        assert (await caller.post("/printer", {"address": address}))["remembered"] is False
        assert (await caller.post("/printer/test"))["done"]
        assert len(model.papers) == 1


# While a paper is printing.


async def test_while_a_paper_is_printing_the_printer_is_left_alone(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    async with port_in(tmp_path) as (model, address), handheld(tmp_path, store, hub, address) as caller:
        arm(model, "cover-open@3000")
        await read_and_collect(caller)
        async with asyncio.timeout(SOON_S):
            while (shown := await caller.get("/printer"))["trouble"] is None:
                assert shown["busy"]
        assert (shown["trouble"], shown["words"], shown["busy"]) == ("cover-open", words("cover-open"), True)
        for path, body in (
            ("/printer", {"address": "serial:///dev/ttyUSB0"}),
            ("/printer/probe", {}),
            ("/printer/test", {}),
            ("/printer/pages", {"scheme": None}),
        ):
            assert WAIT in (await caller.post(path, body, status=409))["error"]
        found = await caller.get("/printers?seconds=1")
        assert found["troubles"] == [{"reason": "printer-busy", "words": words("printer-busy")}]
        model.cover_open = False
        assert await caller.get("/quiet") == {"quiet": True}
        shown = await caller.get("/printer")
        assert (shown["address"], shown["trouble"], shown["busy"]) == (address, None, False)
        assert (await caller.get("/state"))["waiting_papers"] == []
        assert len(model.papers) == 1


async def test_a_paper_waits_while_somebody_tries_the_printer_and_comes_out_behind(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    async with port_in(tmp_path) as (model, address), handheld(tmp_path, store, hub, address) as caller:
        arm(model, "paper-out@3000")
        ticket = asyncio.create_task(caller.post("/printer/test"))
        async with asyncio.timeout(SOON_S):
            while (await caller.get("/printer"))["trouble"] != "paper-out":
                pass
        await read_and_collect(caller)
        assert [state for _, state in (await store.load()).papers] == [PaperState.WAITING]
        model.paper_out = False
        assert (await ticket)["done"]
        assert await caller.get("/quiet") == {"quiet": True}
        assert (await store.load()).papers == ()
        assert len(model.papers) == 2


# Trying.


async def test_a_probe_says_what_the_printer_can_do_or_why_it_cannot_be_asked(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    async with port_in(tmp_path) as (model, address), handheld(tmp_path, store, hub, address) as caller:
        model.cover_open = True
        refused = await caller.post("/printer/probe")
        assert (refused["done"], refused["reason"], refused["words"]) == (False, "cover-open", words("cover-open"))
        assert (refused["trouble"], refused["probed"]) == ("cover-open", False)
        model.cover_open = False
        found = await caller.post("/printer/probe")
        assert (found["done"], found["reason"], found["says"]) == (True, None, "TM-P20II")
        assert (found["probed"], found["remembered"], found["trouble"]) == (True, True, None)
        assert found["abilities"]["marks"] is True
        model.drop()
        await caller.get("/printer")
        gone = await caller.post("/printer/probe")
        assert (gone["done"], gone["reason"], gone["words"]) == (False, "lost", words("lost"))
        gone = await caller.post("/printer/probe")
        assert (gone["reason"], gone["abilities"]) == ("no-such-port", found["abilities"])
        assert model.papers == []


async def test_tickets_show_how_papers_look_and_which_pages_there_are(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    profile = profile_for(MODEL)
    async with port_in(tmp_path) as (model, address), handheld(tmp_path, store, hub, address) as caller:
        expected = {"done": True, "outcome": "PRINTED", "reason": None, "words": None}
        assert await caller.post("/printer/test") == expected
        picture = render(ordinary_ticket(profile), profile.dots)
        assert model.papers[0].crop((0, 0, *picture.size)).tobytes() == picture.tobytes()
        assert await caller.post("/printer/test", {"ticket": "pages"}) == expected
        assert len(model.text) == len(page_lines(profile))
        assert "ticket must be" in (await caller.post("/printer/test", {"ticket": "lottery"}, status=400))["error"]
        model.cover_open = True
        assert await caller.post("/printer/test", {}) == {
            "done": False,
            "outcome": "NOT_PRINTED",
            "reason": "cover-open",
            "words": words("cover-open"),
        }
        assert (await caller.get("/state"))["head"]["seq"] == 0, "a ticket is no record"


async def test_pages_that_a_person_has_read_are_kept_and_taken_back(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    async with port_in(tmp_path) as (model, address):
        async with handheld(tmp_path, store, hub, f"{address}&mode=text") as caller:
            pages = {"scheme": "tcvn3", "lower": 30, "upper": 31}
            assert (await caller.post("/printer/pages", pages))["pages"] == pages
            assert (await caller.post("/printer/test"))["done"]
            assert "PHIẾU IN THỬ" in model.text[0]
        known = TextPages(scheme=Scheme.TCVN3, lower=30, upper=31)
        kept = read_remembered(tmp_path)
        assert kept is not None
        assert kept.pages == known
        async with handheld(tmp_path, store, hub) as caller:
            assert (await caller.get("/printer"))["pages"] == pages
            one = {"scheme": "cp1258", "lower": 52, "upper": None}
            assert (await caller.post("/printer/pages", {"scheme": "cp1258", "lower": 52}))["pages"] == one
            assert (await caller.post("/printer/pages", {"scheme": None}))["pages"] is None
        kept = read_remembered(tmp_path)
        assert kept is not None
        assert kept.pages is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "scheme is tcvn3 or cp1258"),
        ({"scheme": "utf-8", "lower": 30}, "scheme is tcvn3 or cp1258"),
        ({"scheme": ["tcvn3"], "lower": 30}, "scheme is tcvn3 or cp1258"),
        ({"scheme": "tcvn3"}, "lower is the number"),
        ({"scheme": "tcvn3", "lower": "30", "upper": 31}, "whole number"),
        ({"scheme": "tcvn3", "lower": True, "upper": 31}, "whole number"),
        ({"scheme": "tcvn3", "lower": 30}, "capitals have a page"),
        ({"scheme": "cp1258", "lower": 256}, "0 to 255"),
        ({"scheme": "cp1258", "lower": 30, "page": 1}, "no field page"),
    ],
)
async def test_what_are_no_pages_is_told_why(
    tmp_path: Path, store: DeviceStore, hub: SmallHub, body: object, sentence: str
) -> None:
    async with handheld(tmp_path, store, hub, "serial:///dev/ttyUSB0") as caller:
        assert sentence in (await caller.post("/printer/pages", body, status=400))["error"]
        assert (await caller.get("/printer"))["pages"] is None


async def test_where_papers_go_into_files_there_is_nothing_to_try(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    async with handheld(tmp_path, store, hub, f"text:{tmp_path}") as caller:
        for path, body in (("/printer/probe", {}), ("/printer/test", {}), ("/printer/pages", {"scheme": None})):
            assert NOT_CHOSEN in (await caller.post(path, body, status=409))["error"]


async def test_a_forgotten_printer_is_a_trouble_that_a_choice_mends(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    (tmp_path / REMEMBERED_NAME).write_text("{")
    async with port_in(tmp_path) as (model, address), handheld(tmp_path, store, hub) as caller:
        shown = await caller.get("/printer")
        assert (shown["address"], shown["trouble"], shown["words"]) == (None, "not-found", words("not-found"))
        await read_and_collect(caller)
        await caller.get("/quiet")
        (waiting,) = (await caller.get("/state"))["waiting_papers"]
        assert (waiting["print_no"], waiting["reason"]) == (1, "not-found")
        assert (await caller.post("/printer", {"address": address}))["trouble"] is None
        again = {"kind": "RECEIPT", "customer": "C00001", "receipt_no": 1}
        assert (await caller.command("PrintPaper", **again))["done"]
        await caller.get("/quiet")
        assert (len(model.papers), (await caller.get("/state"))["waiting_papers"]) == (1, [])
    assert read_remembered(tmp_path) is not None


# Looking around.


async def test_a_scan_lists_likely_printers_first_and_one_of_them_prints(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    model = quick_printer()
    near = Peripheral("DC:0D:30:00:01:02", model, mtu_bytes=247, rssi_dbm=-80)
    headset = Peripheral("DC:0D:30:00:01:03", quick_printer(), name="Buds", advertised=(), rssi_dbm=-40)
    async with FakeBluez([headset, near]), handheld(tmp_path, store, hub) as caller:
        found = await caller.get("/printers?seconds=1")
        assert found["troubles"] == []
        first, *_, last = found["printers"]
        assert first["address"] == f"ble://{near.address}"
        assert (first["name"], first["likely"]) == ("MTP-II", True)
        assert first["rssi_dbm"] in (-80, -81)
        assert (last["address"], last["likely"]) == (f"ble://{headset.address}", False)
        assert len(found["printers"]) == 2 + len(serial_port.ports())
        assert (await caller.post("/printer", {"address": f"{first['address']}?model=mtp-ii"}))["remembered"]
        assert (await caller.post("/printer/test"))["done"]
        assert len(model.papers) == 1


async def test_without_a_radio_the_ports_are_listed_and_words_say_why_no_more(
    tmp_path: Path, store: DeviceStore, hub: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, f"unix:path={tmp_path / 'no-bus'}")
    async with handheld(tmp_path, store, hub) as caller:
        found = await caller.get("/printers?seconds=0")
        assert found["troubles"] == [{"reason": "no-bluetooth", "words": words("no-bluetooth")}]
        assert [one["address"] for one in found["printers"]] == [f"serial://{path}" for path, _ in serial_port.ports()]
        assert "seconds" in (await caller.get("/printers?seconds=31", status=400))["error"]


# The program.


async def test_a_real_handheld_remembers_the_printer_it_was_started_with(tmp_path: Path, hub: SmallHub) -> None:
    home, clock_file = tmp_path / "home", tmp_path / "clock"
    clock_file.write_text(str(hub.now_ms))
    status, _ = await ended(await program(home, "enrol", "--hub", hub.url, "--code", CODE))
    assert status == 0
    status, errors = await ended(await program(home, "run", "--papers", "serial:///dev/ttyUSB0?model=abacus"))
    assert (status, 'no printer model "abacus"' in errors) == (2, True)
    async with port_in(tmp_path) as (model, address):
        for papers, count in ((("--papers", address), 1), ((), 2)):
            process = await program(home, "run", "--door", "127.0.0.1:0", *papers, GHITHU_CLOCK_FILE=str(clock_file))
            await said(process, "listens on")
            known = read_remembered(home)
            assert known is not None
            assert known.address == address
            port = json.loads((home / "listening.json").read_text())["door"]
            async with ClientSession() as session:
                caller = Caller(f"http://127.0.0.1:{port}", session)
                assert (await caller.get("/printer"))["address"] == address
                assert (await caller.post("/printer/test"))["done"]
                await caller.post("/stop")
            assert (await ended(process))[0] == 0
            assert len(model.papers) == count
    (home / REMEMBERED_NAME).write_text("{")
    process = await program(home, "run", GHITHU_CLOCK_FILE=str(clock_file))
    assert "choose the printer again" in await said(process, "is damaged")
    await said(process, "listens on")
    process.terminate()
    assert (await ended(process))[0] == 0
