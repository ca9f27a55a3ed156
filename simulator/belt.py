"""The printer on a collector's belt: simulated paper and motor behind a real link, for real handheld processes.

A handheld reaches it by its address, over a pseudo-terminal or over Bluetooth on a bus of its own, and does not know
that it is not there.
"""

import math
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from printer_drivers.raster import render
from protocol.document import Document, Text
from protocol.papers import CENTERED_BOLD
from simulator.bluez import FakeBluez
from simulator.bluez_bus import ADDRESS_VARIABLE, private_bus
from simulator.bluez_peripheral import Peripheral
from simulator.printer import PrinterModel
from simulator.serial_line import SerialLine

PROOF = "GT1:"  # What a receipt's code begins with.


@dataclass(frozen=True, slots=True, kw_only=True)
class Belt:
    """A printer and how a handheld finds it. environment: what the handheld's process needs besides."""

    printer: PrinterModel
    address: str
    environment: Mapping[str, str]


@asynccontextmanager
async def serial_belt(port: Path) -> AsyncIterator[Belt]:
    """A printer at a serial line, as an Epson TM-P20II at a cable or behind rfcomm. port: where its name is to be."""
    printer = _quick()
    async with SerialLine(printer, xonxoff=True, name=port):
        yield Belt(printer=printer, address=f"serial://{port}?model=epson-tm-p20ii", environment={})


@asynccontextmanager
async def bluetooth_belt(mac: str = "DC:0D:30:00:00:07") -> AsyncIterator[Belt]:
    """An MTP-II in reach of a Bluetooth radio that only processes with the given environment have."""
    printer = _quick()
    with ExitStack() as bus:
        address = bus.enter_context(private_bus())
        async with FakeBluez([Peripheral(mac, printer, mtu_bytes=247)], bus_address=address):
            yield Belt(printer=printer, address=f"ble://{mac}?model=mtp-ii", environment={ADDRESS_VARIABLE: address})


def _quick() -> PrinterModel:
    """A printer that is not waited for: a whole day passes in a minute."""
    return PrinterModel(drain_bytes_per_s=math.inf, rows_per_s=math.inf)


def is_marked(paper: Image.Image, print_no: int) -> bool:
    """Whether a paper bears the reprint mark of that number, dot for dot."""
    mark = render(Document((Text(f"IN LẠI — Lần in: {print_no}", CENTERED_BOLD),)), paper.width)
    return mark.tobytes("raw", "1;I").strip(b"\x00") in paper.tobytes("raw", "1;I")


def proofs(files: list[Path]) -> Iterator[tuple[Path, str]]:
    """Receipts among pictures of papers, each with what its code says; read by a program that is not ours.

    A paper that broke off before its code is not among them.
    """
    for file in files:
        yield from ((file, line) for line in _codes_on(file) if line.startswith(PROOF))


def _codes_on(file: Path) -> list[str]:
    zbarimg = shutil.which("zbarimg")
    assert zbarimg is not None, "zbarimg is missing: install Debian's zbar-tools"
    read = subprocess.run([zbarimg, "--quiet", "--raw", str(file)], capture_output=True, text=True, check=False)  # noqa: S603
    return read.stdout.splitlines()
