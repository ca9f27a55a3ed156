"""The simulated serial line: its pace, its flow control, and how it falls."""

import asyncio
import os
import select
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from printer_drivers.profiles import Flow
from printer_drivers.transports import LinkLost, writable
from printer_drivers.transports.serial_port import SerialLink
from simulator.printer import PrinterModel
from simulator.serial_line import SerialLine

SOON_S = 5.0
QUESTION = b"\x10\x04\x01"
BLANK = b"\0"  # Printers pass over it.


@asynccontextmanager
async def host(line: SerialLine, flow: Flow = Flow.XON_XOFF) -> AsyncIterator[SerialLink]:
    link = SerialLink(line.path, baud=115200, flow=flow)
    await link.open()
    yield link
    await link.close()


async def send(link: SerialLink, size_bytes: int) -> None:
    async with asyncio.timeout(SOON_S):
        while size_bytes:
            size_bytes -= await link.write(BLANK * size_bytes, SOON_S)


async def executed(model: PrinterModel, received_bytes: int) -> None:
    """Wait until so much has arrived and all that was kept is executed."""
    arrived = asyncio.Event()
    model.after_received(received_bytes - model.received, arrived.set)
    async with asyncio.timeout(SOON_S):
        await arrived.wait()
        await model.idle()


@pytest.mark.parametrize("baud", [9600, 115200])
async def test_bytes_travel_at_the_pace_of_the_line(baud: int) -> None:
    loop = asyncio.get_running_loop()
    size_bytes = baud // 10 // 4  # A quarter of a second.
    model = PrinterModel()
    async with SerialLine(model, baud=baud) as line, host(line) as link:
        begun = loop.time()
        await send(link, size_bytes)
        await executed(model, size_bytes)
        assert 0.24 < loop.time() - begun < 1.0


async def test_a_host_that_listens_for_xoff_loses_nothing() -> None:
    model = PrinterModel(buffer_bytes=600, drain_bytes_per_s=50_000)
    async with SerialLine(model, xonxoff=True) as line, host(line) as link:
        await send(link, 20_000)
        await executed(model, 20_000)
    assert model.lost == 0


@pytest.mark.parametrize(("xonxoff", "flow"), [(False, Flow.XON_XOFF), (True, Flow.NONE)])
async def test_where_one_side_knows_no_xoff_the_buffer_overruns(xonxoff: bool, flow: Flow) -> None:
    model = PrinterModel(buffer_bytes=600, drain_bytes_per_s=50_000)
    async with SerialLine(model, xonxoff=xonxoff) as line, host(line, flow) as link:
        await send(link, 20_000)
        await executed(model, 20_000)
    assert model.lost > 0


async def test_a_printer_with_a_tiny_buffer_still_takes_everything() -> None:
    model = PrinterModel(buffer_bytes=8, drain_bytes_per_s=50_000)
    async with SerialLine(model, xonxoff=True) as line, host(line) as link:
        await send(link, 400)
        await executed(model, 400)
    assert model.lost == 0


async def test_without_paper_the_host_is_stopped_and_with_paper_it_goes_on() -> None:
    model = PrinterModel(buffer_bytes=600)
    async with SerialLine(model, xonxoff=True) as line, host(line) as link:
        model.paper_out = True
        taken = 0
        while step := await link.write(BLANK * 100_000, 0.05):
            taken += step
        assert 472 <= model.received <= 600  # It stops when fewer than 128 bytes are left.
        assert not await link.urge(QUESTION)
        model.paper_out = False
        await executed(model, taken)
        await send(link, 1000)
        await executed(model, taken + 1000)
    assert model.lost == 0


async def test_what_the_host_drops_never_arrives() -> None:
    model = PrinterModel(buffer_bytes=600)
    async with SerialLine(model, xonxoff=True) as line:
        model.paper_out = True
        port = os.open(line.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        flags = termios.tcgetattr(port)
        flags[0] |= termios.IXON
        termios.tcsetattr(port, termios.TCSANOW, flags)
        stopped = asyncio.Event()
        model.after_received(473, stopped.set)  # Fewer than 128 bytes are left then.
        os.write(port, BLANK * 4000)
        async with asyncio.timeout(SOON_S):
            await stopped.wait()
            while select.select([], [port], [], 0)[1]:  # noqa: ASYNC110 -- A kernel that heeds an XOFF tells nobody.
                await asyncio.sleep(0.001)
        termios.tcflush(port, termios.TCOFLUSH)
        received = model.received
        await asyncio.sleep(0)  # The line hears of it.
        model.paper_out = False
        await writable(port, SOON_S)
        assert os.write(port, QUESTION) == len(QUESTION)
        await executed(model, received + 3)
        os.close(port)
    assert model.received == received + 3


async def test_a_line_that_falls_takes_along_what_was_on_its_way() -> None:
    model = PrinterModel()
    model.after_received(1234, model.drop)
    async with SerialLine(model, baud=115200) as line, host(line) as link:
        with pytest.raises(LinkLost):
            await send(link, 100_000)
        assert not line.is_up
        assert not os.access(line.path, os.F_OK)
    assert model.received == 1234


async def test_a_printer_that_was_plugged_in_again_is_found_under_its_name(tmp_path: Path) -> None:
    model = PrinterModel()
    async with SerialLine(model, name=tmp_path / "printer") as line:
        async with host(line) as link:
            line.drop()
            with pytest.raises(LinkLost):
                await link.read(SOON_S)
        line.plug_in()
        assert line.path == str(tmp_path / "printer")
        async with host(line) as link:
            assert await link.urge(QUESTION)
            assert await link.read(SOON_S) == b"\x12"
    assert not (tmp_path / "printer").is_symlink()


async def test_a_line_may_be_dropped_twice_and_a_printer_may_speak_into_a_line_that_is_gone() -> None:
    model = PrinterModel()
    async with SerialLine(model) as line:
        line.drop()
        line.drop()
        model.say(b"\x12")


async def test_a_host_that_never_reads_does_not_stop_the_printer() -> None:
    model = PrinterModel()
    async with SerialLine(model) as line:
        port = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
        for _ in range(100):
            model.say(b"\x12" * 1000)
        os.write(port, BLANK)
        await executed(model, 1)
        os.close(port)
