"""The printer page: found, chosen, asked and tried, with printers on a pseudo-terminal and a radio."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from device.linked_printer import REMEMBERED_NAME, LinkedPrinter, read_remembered
from device.paper_words import PAPER_WORDS
from device.printing import PngFolder, printer_for
from device.web.views.printer import LINES_MAX, Errands, _steps, errands_of, pages_words
from printer_drivers.profiles import PROFILES, Scheme, TextPages, profile_for
from printer_drivers.tickets import page_lines
from printer_drivers.transports.address import parse
from printer_drivers.words import PRINTER_WORDS
from simulator.bluez import FakeBluez
from simulator.bluez_bus import ADDRESS_VARIABLE
from simulator.bluez_peripheral import Peripheral
from simulator.faults import arm
from simulator.printer import PrinterModel
from tests.device.test_printer_door import MODEL, port_in, quick_printer
from tests.device.web.browser import Tab, tab
from tests.device.web.handheld import Handheld, handheld
from tests.device.web.test_papers import collect

LONG_S = 10.0


@pytest.fixture
def no_radio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, f"unix:path={tmp_path / 'no-bus'}")


@asynccontextmanager
async def beside(tmp_path: Path, address: str) -> AsyncIterator[tuple[Handheld, Tab]]:
    """At work, with the printer of this address."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    async with handheld(home, printer=LinkedPrinter(address, home)) as made, tab(made) as one:
        await one.log_in()
        await one.open_shift()
        yield made, one


@asynccontextmanager
async def at_a_port(tmp_path: Path) -> AsyncIterator[tuple[PrinterModel, Handheld, Tab]]:
    """At work, with a printer on a cable."""
    async with port_in(tmp_path) as (model, address), beside(tmp_path, address) as (made, one):
        yield model, made, one


async def ended(made: Handheld) -> Errands:
    """Whatever somebody began at the printer has ended."""
    errands = errands_of(made.press)
    async with asyncio.timeout(LONG_S):
        await errands.idle.wait()
    return errands


def chosen(made: Handheld) -> LinkedPrinter:
    """The printer of the next paper."""
    printer = made.press.printer
    assert isinstance(printer, LinkedPrinter)
    return printer


async def state(one: Tab) -> str:
    return (await one.get("/printer/state")).text


# Without one.


async def test_without_a_printer_the_page_says_where_papers_go_and_offers_to_search(
    made: Handheld, working: Tab
) -> None:
    page = await working.get("/printer")
    assert "tính là đã in" in page.text
    assert [form for form in page.forms if form.action.startswith("/printer/search")]
    for path in ("/printer/models", "/printer/pages"):
        assert (await working.get(path)).path == "/printer"
    for path in ("/printer/probe", "/printer/ticket"):
        assert (await working.post(path, {})).path == "/printer"
        assert (await ended(made)).tried is None
    for path, fields in (
        ("/printer/pages", {"pages": "0"}),
        ("/printer/models", {"model": MODEL}),
        ("/printer/mode", {"mode": "TEXT"}),
        ("/printer/choose", {"address": "serial:///dev/ttyUSB0"}),
    ):
        assert (await working.post(path, fields)).status == 409
    assert isinstance(made.press.printer, PngFolder)


async def test_a_forgotten_printer_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / REMEMBERED_NAME).write_text("{")
    async with handheld(tmp_path, printer=printer_for(None, tmp_path)) as made, tab(made) as one:
        await one.log_in()
        page = await one.get("/printer")
        assert "Không còn biết máy in nào" in page.text
        assert PAPER_WORDS["not-found"][0] in page.text


# Looking around.


@pytest.mark.usefixtures("no_radio")
async def test_without_a_radio_the_search_says_why(made: Handheld, working: Tab) -> None:
    assert "Chưa tìm lần nào" in (await working.get("/printer/found")).text
    await working.submit(await working.get("/printer"), "/printer/search")
    await ended(made)
    page = await working.get("/printer/found")
    assert PAPER_WORDS["no-bluetooth"][0] in page.text
    assert "hx-trigger" not in page.html.partition('id="found"')[2].partition(">")[0], "the list stays as it is"


async def test_a_search_holds_up_no_other_screen_and_what_it_finds_prints(tmp_path: Path) -> None:
    model = quick_printer()
    near = Peripheral("DC:0D:30:00:02:02", model, mtu_bytes=247, rssi_dbm=-80)
    headset = Peripheral("DC:0D:30:00:02:03", quick_printer(), name="Buds", advertised=(), rssi_dbm=-40)
    async with FakeBluez([headset, near]), handheld(tmp_path) as made, tab(made) as one:
        await one.log_in()
        await one.open_shift()
        errands_of(made.press).scan_s = 1.5
        looking = await one.submit(await one.get("/printer"), "/printer/search")
        assert looking.path == "/printer/found"
        assert "Đang tìm máy in" in looking.text
        again = await one.submit(looking, "/printer/search")
        assert "Đang tìm máy in" in again.text
        assert (await one.read("C00001", 1239)).path == "/stops/C00001/result"
        assert errands_of(made.press).doing is not None, "all that while it is looking"
        await ended(made)
        found = await one.get("/printer/found/list")
        addresses = [form.fields["address"] for form in found.forms]
        assert addresses[0] == f"ble://{near.address}"
        assert addresses[-1] == f"ble://{headset.address}"
        assert "MTP-II" in found.text
        assert "ít khả năng" in found.text
        after = await one.post(found.forms[0].action, found.forms[0].fields)
        assert after.path == "/printer"
        assert near.address in after.text
        known = read_remembered(tmp_path)
        assert known is not None
        assert known.address == f"ble://{near.address}"
        await one.post("/printer/models", {"model": "mtp-ii"})
        await collect(made, "C00002")
        assert len(model.papers) == 1
        assert "đang dùng" in (await one.get("/printer/found")).text


async def test_only_what_was_found_is_chosen(tmp_path: Path) -> None:
    async with at_a_port(tmp_path) as (_, made, one):
        before = made.press.printer
        for address in ("serial:///dev/ttyUSB7", "file:out.bin", "ble://AA:BB:CC:DD:EE:FF", ""):
            assert (await one.post("/printer/choose", {"address": address})).status == 409
        assert made.press.printer is before


# Asking and trying.


async def test_asking_says_what_is_wrong_and_what_to_do_until_it_is_mended(tmp_path: Path) -> None:
    async with at_a_port(tmp_path) as (model, made, one):
        page = await one.get("/printer")
        assert "Chưa hỏi máy in" in page.text
        assert "Tìm thấy – chưa biết" in page.text
        model.cover_open = True
        assert (await one.submit(page, "/printer/probe")).path == "/printer"
        await ended(made)
        assert PAPER_WORDS["cover-open"][0] in await state(one)
        assert "Kết nối ✓ có" in await state(one)
        model.cover_open, model.near_end = False, True
        await one.submit(page, "/printer/probe")
        await ended(made)
        shown = await state(one)
        assert "Máy in trả lời và sẵn sàng" in shown
        assert "TM-P20II" in shown
        assert "Giấy ⚠ sắp hết" in shown
        model.drop()
        await one.submit(page, "/printer/probe")
        await ended(made)
        assert PAPER_WORDS["lost"][0] in await state(one)
        assert "Kết nối ✗ không" in await state(one)
        assert model.papers == []


async def test_a_ticket_that_waits_for_paper_holds_up_papers_and_nothing_else(tmp_path: Path) -> None:
    async with at_a_port(tmp_path) as (model, made, one):
        arm(model, "paper-out@3000")
        page = await one.get("/printer")
        for _ in range(2):
            await one.submit(page, "/printer/ticket")
        async with asyncio.timeout(LONG_S):
            while PAPER_WORDS["paper-out"][0] not in (shown := await state(one)):
                pass
        assert "Đang in phiếu thử" in shown
        for path, fields in (
            ("/printer/models", {"model": "generic-80"}),
            ("/printer/pages", {"pages": "0"}),
            ("/printer/files", {}),
        ):
            refused = await one.post(path, fields)
            assert (refused.status, PAPER_WORDS["printer-busy"][0] in refused.text) == (409, True)
        assert (await one.read("C00001", 1239)).path == "/stops/C00001/result"
        model.paper_out = False
        assert (await ended(made)).tried is not None
        assert "hãy xem tờ giấy" in await state(one)
        assert len(model.papers) == 1


async def test_while_a_paper_prints_the_printer_is_not_asked(tmp_path: Path) -> None:
    async with at_a_port(tmp_path) as (model, made, one):
        async with made.press.between_papers():
            await one.post("/printer/probe", {})
            tried = (await ended(made)).tried
            assert tried is not None
            assert tried.reason == "printer-busy"
        assert model.papers == []


# What it is, and how papers are set.


async def test_every_model_is_reached_page_by_page_and_one_is_chosen(tmp_path: Path) -> None:
    async with at_a_port(tmp_path) as (_, made, one):
        seen: list[str] = []
        path: str | None = "/printer/models"
        while path is not None:
            page = await one.get(path)
            here = [form.fields["model"] for form in page.forms if "model" in form.fields]
            assert 0 < len(here) <= LINES_MAX
            seen += here
            path = next((link for link in page.links if link.endswith(f"from={len(seen)}")), None)
        assert seen == list(PROFILES)
        await one.post("/printer/models", {"model": "generic-80"})
        assert chosen(made).profile.dots == 576
        assert (await one.post("/printer/models", {"model": "abacus"})).status == 409
        assert chosen(made).profile.model == "generic-80"
        known = read_remembered(made.site.home)
        assert known is not None
        assert parse(known.address).options["model"] == "generic-80"


async def test_code_pages_are_printed_read_confirmed_and_taken_back(tmp_path: Path) -> None:
    async with at_a_port(tmp_path) as (model, made, one):
        page = await one.get("/printer/pages")
        await one.submit(page, "/printer/pages/ticket")
        await ended(made)
        assert len(model.text) == len(page_lines(profile_for(MODEL)))
        lines = [form for form in page.forms if form.fields.get("pages") == "0"]
        confirmed = await one.post(lines[0].action, lines[0].fields)
        assert "TCVN-3: 30 t · 31 T ✓" in confirmed.text
        assert chosen(made).pages == TextPages(scheme=Scheme.TCVN3, lower=30, upper=31)
        texts = len(model.text)
        await one.submit(confirmed, "/printer/mode")
        assert "in chữ" in (await one.get("/printer")).text
        await one.post("/printer/ticket", {})
        await ended(made)
        assert any("PHIẾU IN THỬ" in text for text in model.text[texts:])
        await one.post("/printer/pages", {"pages": "none"})
        assert chosen(made).pages is None
        for wrong in ("9", "-1", "", "x"):
            assert (await one.post("/printer/pages", {"pages": wrong})).status == 409


async def test_without_a_printer_is_a_choice_that_the_next_start_knows(tmp_path: Path) -> None:
    async with at_a_port(tmp_path) as (model, made, one):
        await one.post("/printer/models", {"model": MODEL})
        home = made.site.home
        assert (home / REMEMBERED_NAME).exists()
        page = await one.get("/printer/files")
        assert "khách hàng không nhận được giấy" in page.text
        assert (await one.submit(page, "/printer/files")).path == "/printer"
        assert isinstance(made.press.printer, PngFolder)
        assert not (home / REMEMBERED_NAME).exists()
        assert isinstance(printer_for(None, home), PngFolder)
        await collect(made, "C00001")
        assert len(list((home / "papers").glob("*.png"))) == 1
        assert model.papers == []


# What is known of it.


@pytest.mark.parametrize("code", sorted(PRINTER_WORDS))
def test_a_step_that_is_not_reached_is_never_shown_as_reached(code: str) -> None:
    steps = _steps(code, None)
    way = (steps.found, steps.let_in, steps.answers)
    assert way in (
        (None, None, None),
        (False, None, None),
        (True, False, None),
        (True, True, False),
        (True, True, True),
    )
    assert steps.paper is not True, "nobody has looked"


@pytest.mark.parametrize(
    ("code", "way"),
    [
        ("not-found", (False, None, None)),
        ("no-such-port", (False, None, None)),
        ("no-connection", (True, False, None)),
        ("wrong-printer", (True, False, None)),
        ("lost", (True, True, False)),
        ("printer-silent", (True, True, False)),
        ("paper-out", (True, True, True)),
        ("printer-busy", (None, None, None)),
    ],
)
def test_how_far_one_gets_follows_from_the_trouble(code: str, way: tuple[bool | None, ...]) -> None:
    steps = _steps(code, None)
    assert (steps.found, steps.let_in, steps.answers) == way
    assert (steps.paper is False) == (code == "paper-out")


def test_pages_are_called_as_on_the_ticket() -> None:
    labels = {f"{line.page} {line.letter}" for profile in PROFILES.values() for line in page_lines(profile)}
    for profile in PROFILES.values():
        for pages in profile.pages:
            named = pages_words(pages).partition(": ")[2].split(" · ")
            assert set(named) <= labels
