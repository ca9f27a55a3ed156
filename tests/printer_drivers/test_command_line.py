"""The command line as branch IT uses it: real runs against a simulated printer behind a real serial port."""

import ast
import asyncio
import math
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
from PIL import Image

from printer_drivers.__main__ import TEXT_BYTES_MAX, main
from printer_drivers.profiles import PROFILES, UNKNOWN
from printer_drivers.raster import render
from printer_drivers.tickets import PAGE_SAMPLES
from printer_drivers.tickets import test_ticket as ticket_for
from printer_drivers.transports import serial_port
from printer_drivers.words import PRINTER_WORDS
from protocol.document import Document, Feed, Text
from simulator.bluez import FakeBluez
from simulator.bluez_bus import ADDRESS_VARIABLE
from simulator.bluez_peripheral import CAT, Peripheral
from simulator.print_head import PrintHead
from simulator.printer import PrinterModel
from simulator.serial_line import SerialLine
from tests.device.test_paper_words import MAKERS, ROOT, codes_in

P20, P80 = "epson-tm-p20ii", "epson-tm-p80ii"
AT_ONCE = {"drain_bytes_per_s": math.inf, "rows_per_s": math.inf}


class Ran(NamedTuple):
    """A run that has ended. said: both outputs."""

    code: int
    said: str


Run: TypeAlias = Callable[..., Coroutine[Any, Any, Ran]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The program beside the loop on which the printer lives."""

    def program(arguments: list[str]) -> int:
        try:
            return main(arguments)
        except SystemExit as end:  # argparse
            return int(end.code or 0)

    async def run(*arguments: str | Path) -> Ran:
        code = await asyncio.to_thread(program, list(map(str, arguments)))
        return Ran(code, "".join(capsys.readouterr()))

    return run


async def process(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "printer_drivers", *arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def ended(program: asyncio.subprocess.Process) -> Ran:
    said, _ = await program.communicate()
    assert program.returncode is not None
    return Ran(program.returncode, said.decode())


@asynccontextmanager
async def on_the_line(printer: PrinterModel) -> AsyncIterator[str]:
    """The printer's address, without a model."""
    async with SerialLine(printer) as line:
        yield f"serial://{line.path}"


def fast(dots: int = 384, **abilities: bool) -> PrinterModel:
    printer = PrinterModel(dots=dots, drain_bytes_per_s=math.inf, rows_per_s=math.inf)
    for name, able in abilities.items():
        assert hasattr(printer, name)
        setattr(printer, name, able)
    return printer


def ink(image: Image.Image) -> bytes:
    """The rows of a picture, without blank ones before and after."""
    return image.tobytes("raw", "1;I").strip(b"\x00")


def no_paper_was_touched(printer: PrinterModel) -> bool:
    return printer.papers == []


# probe.


async def test_probe_tells_what_a_printer_can_do_and_how_it_is(run: Run) -> None:
    printer = fast()
    printer.near_end = True
    async with on_the_line(printer) as url:
        code, said = await run("probe", f"{url}?model={P20}")
    assert code == 0
    for words in (
        "Epson TM-P20II",
        "Máy in tự xưng: TM-P20II",
        "real-time status (DLE EOT): yes",
        "GS ( H",
        "confirms every part of a paper: yes",
        "reports changes by itself (GS a): yes",
        "Sẵn sàng, gần hết giấy · Ready; the roll will end soon",
    ):
        assert words in said
    assert no_paper_was_touched(printer)


async def test_probe_of_a_portable_printer_finds_the_plainer_fence(run: Run) -> None:
    async with on_the_line(fast(gs_h=False, asb=False)) as url:
        code, said = await run("probe", url)
    assert code == 0
    assert "GS r" in said
    assert "GS ( H" not in said
    assert "confirms every part of a paper: no" in said
    assert "the URL names no model" in said


async def test_probe_of_a_printer_that_never_speaks_is_not_done(run: Run) -> None:
    printer = fast(mute=True)
    async with on_the_line(printer) as url:
        code, said = await run("probe", url)
    assert code == 1
    assert "không trả lời" in said
    assert "does not answer" in said


async def test_probe_of_an_offline_printer_says_what_to_do_first(run: Run) -> None:
    printer = fast()
    printer.cover_open = True
    async with on_the_line(printer) as url:
        code, said = await run("probe", url)
    assert (code, "đóng nắp" in said, "close it" in said) == (1, True, True)


@pytest.mark.parametrize("model", [P20, "zebra-zq110"])
async def test_probe_names_what_nobody_has_written_down_of_the_model(run: Run, model: str) -> None:
    sources = PROFILES[model].sources
    whole = [name for name, source in sources.items() if source == UNKNOWN]
    part = [name for name, source in sources.items() if source.endswith(f" {UNKNOWN}")]
    assert whole
    assert part
    async with on_the_line(fast()) as url:
        _, said = await run("probe", f"{url}?model={model}")
    assert re.search(f"tài liệu: {', '.join(whole)}$", said, re.MULTILINE)
    assert re.search(f"một phần tài liệu: {', '.join(part)} ", said)


# test.


@pytest.mark.parametrize(("model", "dots"), [(P20, 384), (P80, 576)])
async def test_the_test_ticket_comes_out_to_the_dot(run: Run, model: str, dots: int) -> None:
    printer = fast(dots)
    async with on_the_line(printer) as url:
        code, said = await run("test", f"{url}?model={model}")
    assert code == 0
    assert "ĐÃ IN XONG · PRINTED" in said
    (paper,) = printer.papers
    assert ink(paper) == ink(render(ticket_for(PROFILES[model]), dots))


async def test_the_page_ticket_follows_on_a_paper_of_its_own(run: Run) -> None:
    printer = fast()
    async with on_the_line(printer) as url:
        code, said = await run("test", "--pages", f"{url}?model={P20}")
    assert code == 0
    assert said.count("PRINTED") == 2
    assert "30 t và 31 T" in said
    assert len(printer.papers) == 2
    for page, way in ((30, "t"), (31, "T"), (52, "C")):
        line = f"{page} {way} {PAGE_SAMPLES[way].words}"
        assert printer.text.count(line) == 1


async def test_where_nobody_can_confirm_both_tickets_go_out_and_neither_counts_as_printed(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "out.bin"
    code, said = await run("test", f"file://{file}", "--pages")
    assert code == 1
    assert said.count("CHƯA RÕ") == 2
    assert PRINTER_WORDS["no-fence"][1] in said
    assert "30 t và 31 T" in said
    head = PrintHead(384, on_request=lambda _: None)
    head.execute(file.read_bytes())
    assert len(head.strip.papers()) == 2
    assert f"30 t {PAGE_SAMPLES['t'].words}" in head.text


async def test_folded_letters_are_set_by_the_printer(run: Run) -> None:
    printer = fast()
    async with on_the_line(printer) as url:
        code, _ = await run("test", f"{url}?mode=folded")
    assert code == 0
    assert "PHIEU IN THU" in map(str.strip, printer.text)


async def test_text_mode_prints_a_picture_since_nobody_has_confirmed_pages_here(run: Run) -> None:
    printer = fast()
    async with on_the_line(printer) as url:
        code, said = await run("test", f"{url}?mode=text&model={P20}")
    assert (code, printer.text) == (0, [])
    assert "chưa ai xác nhận bảng mã" in said
    assert ink(printer.strip) == ink(render(ticket_for(PROFILES[P20]), 384))


# When something is the matter.


async def test_without_paper_nothing_is_printed_and_the_words_say_why(run: Run) -> None:
    printer = fast()
    printer.paper_out = True
    async with on_the_line(printer) as url:
        code, said = await run("test", url, "--pages")
    assert code == 1
    assert "CHƯA IN GÌ · NOT PRINTED" in said
    assert {words in said for words in PRINTER_WORDS["paper-out"]} == {True}
    assert said.count("NOT PRINTED") == 1, "behind a paper that went wrong no other begins"
    assert "30 t" not in said
    assert no_paper_was_touched(printer)


class Attended(PrinterModel):
    """Somebody puts in a new roll soon after the printer has said that it is needed."""

    def say(self, data: bytes) -> None:
        super().say(data)
        if self.paper_out and data[0] & 0x93 == 0x12 and data[0] & 0x60:
            asyncio.get_running_loop().call_later(0.3, setattr, self, "paper_out", False)


async def test_paper_that_ends_in_mid_ticket_is_replaced_and_the_rest_comes_out(run: Run) -> None:
    printer = Attended(drain_bytes_per_s=math.inf, rows_per_s=math.inf)
    printer.after_executed(6000, lambda: setattr(printer, "paper_out", True))
    async with on_the_line(printer) as url:
        code, said = await run("test", f"{url}?model={P20}")
    assert code == 0
    assert re.search("Đang in.*Hết giấy.*lại sẵn sàng.*ĐÃ IN XONG", said, re.DOTALL)
    assert ink(printer.strip) == ink(render(ticket_for(PROFILES[P20]), 384))


async def test_paper_that_ends_in_mid_ticket_and_is_not_replaced_leaves_it_unknown(run: Run) -> None:
    printer = fast()
    printer.after_executed(6000, lambda: setattr(printer, "paper_out", True))
    async with on_the_line(printer) as url:
        code, said = await run("test", f"{url}?model={P20}", "--wait", "0.5")
    assert code == 1
    assert said.count("Hết giấy") == 1
    assert "CHƯA RÕ ĐÃ IN HAY CHƯA, hãy xem giấy · UNKNOWN, look at the paper" in said


async def test_a_cable_that_is_pulled_in_mid_ticket_leaves_it_unknown(run: Run) -> None:
    printer = fast()
    printer.after_received(6000, printer.drop)
    async with on_the_line(printer) as url:
        code, said = await run("test", f"{url}?model={P20}")
    assert code == 1
    assert "UNKNOWN, look at the paper" in said
    assert PRINTER_WORDS["lost"][0] in said


@pytest.mark.parametrize("action", ["probe", "test"])
async def test_a_port_that_is_not_there_is_named_with_what_to_do(run: Run, tmp_path: Path, action: str) -> None:
    code, said = await run(action, f"serial://{tmp_path}/ttyUSB7")
    assert code == 1
    assert PRINTER_WORDS["no-such-port"][0] in said
    assert f"There is no port {tmp_path}/ttyUSB7. Plug the printer in" in said
    assert ("CHƯA IN GÌ · NOT PRINTED" in said) == (action == "test")


async def test_what_went_to_a_file_is_there_and_known_to_nobody_as_printed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "out.bin"
    code, said = await run("test", f"file://{file}?model={P80}")
    assert code == 1
    assert "UNKNOWN" in said
    head = PrintHead(576, on_request=lambda _: None)
    head.execute(file.read_bytes())
    assert ink(head.strip.image()) == ink(render(ticket_for(PROFILES[P80]), 576))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("probe", "usb:lp0"), "ble://AA:BB:CC:DD:EE:FF"),
        (("test", "serial:///dev/ttyUSB0?baud=7"), "baud is"),
        (("print", "x.png", "ble://AA:BB"), "a Bluetooth printer needs its address"),
        (("probe", "file:out.bin?model=laser-9"), "generic-58"),
        (("test", "file:out.bin", "--wait", "0"), "giây"),
        (("scan", "--seconds", "forever"), "giây"),
        (("test",), "URL"),
        (("print", "x.png"), "URL"),
        (("sing",), "scan"),
        ((), "scan"),
    ],
)
async def test_wrong_usage_is_told_and_nothing_is_opened(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, said = await run(*arguments)
    assert code == 2
    assert words in said


def test_every_reason_that_sessions_and_links_know_has_its_words() -> None:
    makers = [path for path in MAKERS if path.startswith("printer_drivers/")]
    made = {code for path in makers for code in codes_in(ast.parse((ROOT / path).read_text(encoding="utf-8")))}
    assert {"paper-out", "lost", "fence-missing", "no-bluetooth"} <= made, "blind"
    assert made <= PRINTER_WORDS.keys()


# print.


def checkered(mode: str, size: tuple[int, int] = (200, 77)) -> tuple[Image.Image, Image.Image]:
    """A picture of this mode, and what of it is to be on paper."""
    width, height = size
    dark = [(column // 3 + row // 5) % 2 == 0 for row in range(height) for column in range(width)]
    paper = Image.frombytes("L", size, bytes(0 if one else 255 for one in dark)).convert("1")
    match mode:
        case "1":
            return paper, paper
        case "L" | "RGB" | "P":
            return Image.frombytes("L", size, bytes(127 if one else 128 for one in dark)).convert(mode), paper
        case "I;16":
            grey = b"".join((0x7000 if one else 0x9000).to_bytes(2, "little") for one in dark)
            return Image.frombytes("I;16", size, grey), paper
        case _:
            black = Image.new("RGBA", size, "black")
            black.putalpha(Image.frombytes("L", size, bytes(255 if one else 0 for one in dark)))
            return black.convert(mode), paper


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "I;16", "RGBA", "LA"])
async def test_a_png_comes_out_to_the_dot(run: Run, tmp_path: Path, mode: str) -> None:
    picture, expected = checkered(mode)
    file = tmp_path / "picture.PNG"
    picture.save(file)
    printer = fast()
    async with on_the_line(printer) as url:
        code, said = await run("print", file, f"{url}?model={P20}")
    assert (code, "PRINTED" in said) == (0, True)
    strip = printer.strip
    assert strip.crop((0, 0, *expected.size)).tobytes() == expected.tobytes()
    assert sum(strip.histogram()[:128]) == sum(expected.histogram()[:128]), "ink beside the picture"


@pytest.mark.parametrize(("model", "dots"), [(P20, 384), (P80, 576)])
async def test_a_png_as_wide_as_the_paper_fits_and_one_dot_more_does_not(
    run: Run, tmp_path: Path, model: str, dots: int
) -> None:
    file = tmp_path / "wide.png"
    printer = fast(dots)
    async with on_the_line(printer) as url:
        picture, expected = checkered("1", (dots + 1, 30))
        picture.save(file)
        code, said = await run("print", file, f"{url}?model={model}")
        assert code == 2
        assert f"{dots + 1} chấm, giấy chỉ có {dots}" in said
        assert printer.received == 0
        picture, expected = checkered("1", (dots, 30))
        picture.save(file)
        assert (await run("print", file, f"{url}?model={model}")).code == 0
    assert ink(printer.strip) == ink(expected)


async def test_a_file_that_is_no_picture_is_refused_with_its_name(run: Run, tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    checkered("1")[0].save(good)
    data = good.read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "header.png").write_bytes(data.replace(b"\x00\x00\x00\x0dIHDR", b"\x00\x00\x00\x0cIHDR"))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    Image.new("1", (8, 16_001)).save(tmp_path / "high.png")
    checkered("RGB")[0].save(tmp_path / "picture.jpg")
    for name in ("cut", "header", "text", "empty", "folder", "high", "absent"):
        code, said = await run("print", tmp_path / f"{name}.png", f"file://{tmp_path}/out.bin")
        assert (name, code) == (name, 2)
        assert f"{name}.png" in said
    assert (await run("print", tmp_path / "picture.jpg", f"file://{tmp_path}/out.bin")).code == 2
    assert not (tmp_path / "out.bin").exists()


async def test_a_text_comes_out_as_the_paper_that_its_lines_make(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    long = "Kính đề nghị Quý khách hàng kiểm tra đường ống sau đồng hồ"
    file.write_text(f"\ufeffGIẤY BÁO\n\n  Mã KH:   01\tẤp 2\r\n{long}\n", encoding="utf-8")
    printer = fast()
    async with on_the_line(printer) as url:
        code, _ = await run("print", file, f"{url}?model={P20}")
    assert code == 0
    kept = "  Mã KH:   01   Ấp 2".replace(" ", "\N{NO-BREAK SPACE}")
    document = Document((Text("GIẤY BÁO"), Feed(), Text(kept), Text(long)))
    assert ink(printer.strip) == ink(render(document, 384))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("Nước".encode("utf-16"), "UTF-8"),
        (b"N\xadoc", "UTF-8"),
        (b"\n \t\r\n", "tệp trống"),
        (b"", "tệp trống"),
        (b"x\n" * (TEXT_BYTES_MAX // 2 + 1), "byte"),
    ],
)
async def test_a_text_that_cannot_be_one_is_refused(run: Run, tmp_path: Path, data: bytes, words: str) -> None:
    file = tmp_path / "note.txt"
    file.write_bytes(data)
    code, said = await run("print", file, f"file://{tmp_path}/out.bin")
    assert code == 2
    assert words in said
    assert not (tmp_path / "out.bin").exists()


async def test_a_letter_that_cannot_be_folded_is_named_and_nothing_is_sent(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("Phường 水\n", encoding="utf-8")
    code, said = await run("print", file, f"file://{tmp_path}/out.bin?mode=folded")
    assert code == 1
    assert "水" in said
    assert not (tmp_path / "out.bin").exists()


# The program itself.


async def test_a_print_that_is_stopped_by_hand_says_to_look_at_the_paper() -> None:
    printer = fast()
    begun = asyncio.Event()

    def roll_ends() -> None:
        printer.paper_out = True
        begun.set()

    printer.after_executed(3000, roll_ends)
    async with on_the_line(printer) as url, asyncio.timeout(60):
        program = await process("test", f"{url}?model={P20}")
        await begun.wait()
        program.send_signal(signal.SIGINT)
        code, said = await ended(program)
    assert code == 1
    assert "hãy xem giấy" in said
    assert "Traceback" not in said


async def test_scan_without_bluetooth_says_so_and_lists_ports_all_the_same() -> None:
    code, said = await ended(await process("scan", "--seconds", "0.1", **{ADDRESS_VARIABLE: "unix:path=/nowhere"}))
    assert code == 0
    assert PRINTER_WORDS["no-bluetooth"][0] in said
    assert "systemctl start bluetooth" in said
    assert "Cổng nối tiếp · Serial ports" in said
    for path, _ in serial_port.ports():
        assert f"    serial://{path}\n" in said


async def test_scan_shows_printers_in_reach_with_the_address_to_use() -> None:
    strange = Peripheral("AA:BB:CC:DD:EE:02", fast(), name="GT01", services=CAT, rssi_dbm=-90)
    async with FakeBluez([Peripheral("AA:BB:CC:DD:EE:01", fast(), rssi_dbm=-50), strange]) as bluez:
        code, said = await ended(await process("scan", "--seconds", "0.2", **{ADDRESS_VARIABLE: bluez.address}))
    assert code == 0
    first, second = re.findall(r"^  (.*)\n    ble://AA:BB:CC:DD:EE:0", said, re.MULTILINE)
    seems = "có vẻ là máy in · looks like a printer"
    assert re.fullmatch(rf"MTP-II  AA:BB:CC:DD:EE:01  -\d+ dBm mạnh · strong  {seems}", first)
    assert re.fullmatch(r"GT01  AA:BB:CC:DD:EE:02  -\d+ dBm yếu · weak  -", second)


def test_classic_bluetooth_is_among_the_ports(tmp_path: Path) -> None:
    (tmp_path / "rfcomm0").touch()
    (tmp_path / "tty7").touch()
    ports = serial_port.ports(tmp_path)
    assert (f"{tmp_path}/rfcomm0", f"{tmp_path}/rfcomm0 - Bluetooth") in ports
    assert not [path for path, _ in ports if "tty7" in path]
