"""Finding, choosing and trying a printer: what the printer screen and the door for programs both do.

The printer is had for oneself meanwhile, so papers wait; while one is printing, all of it is refused with
PressBusyError. What goes wrong with a printer is a code with words (`device.paper_words`), as for papers.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from device.core.effects import PrintResult
from device.linked_printer import REMEMBERED_NAME, LinkedPrinter
from device.printing import PaperPress, PressBusyError, printer_for
from printer_drivers.escpos import Mode
from printer_drivers.profiles import TextPages
from printer_drivers.session import Probe
from printer_drivers.tickets import page_ticket, test_ticket
from printer_drivers.transports import LinkError
from printer_drivers.transports.address import AddressError, PrinterAddress, Way, parse

SCAN_S = 6  # Printers advertise at least once a second; a weak signal misses some.
BUSY = "printer-busy"
FILES_FOLDER = "papers"  # In the home: where papers go of a handheld that has no printer.
_CHOSEN_FROM = (Way.SERIAL, Way.BLE)  # Nobody at a screen or door may have a handheld write over a file.


class NoPrinterError(Exception):
    """Papers go into files, or nobody knows the printer any more: there is nothing to try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What may be a printer. rssi_dbm: None by cable. likely: by its name or services; nobody can see behind a port."""

    address: str
    name: str
    rssi_dbm: int | None
    likely: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is in reach, likely printers first. trouble: why nobody looked around by radio, as a code."""

    printers: tuple[Candidate, ...]
    trouble: str | None


class PrinterChoice:
    """The printer of a handheld in the hands of a person. home: where a choice is remembered."""

    def __init__(self, press: PaperPress, home: Path) -> None:
        self._press = press
        self._home = home

    @property
    def printer(self) -> LinkedPrinter | None:
        """The printer of the next paper, if papers go to one."""
        printer = self._press.printer
        return printer if isinstance(printer, LinkedPrinter) else None

    async def look_around(self, seconds: float) -> Found:
        """What is in reach by cable, and by radio after so many seconds. Never fails: a trouble is a part of it."""
        by_cable = await asyncio.to_thread(_by_cable)
        trouble: str | None = None
        by_radio: list[Candidate] = []
        try:
            async with self._press.between_papers():  # Looking around would disturb one, and its link this.
                by_radio = await _by_radio(seconds)
        except PressBusyError:
            trouble = BUSY
        except LinkError as error:
            trouble = error.reason
        found = sorted(by_radio + by_cable, key=lambda one: not one.likely)  # Stable: the strongest first.
        return Found(printers=tuple(found), trouble=trouble)

    async def choose(self, text: str) -> None:
        """Send papers to this address from now on, also after the next start. Raises AddressError, PressBusyError."""
        address = parse(text)
        if address.scheme not in _CHOSEN_FROM:
            raise AddressError(f"address must begin with {' or '.join(_CHOSEN_FROM)}")
        async with self._press.between_papers():
            # Only now: the one before may have been learning about itself.
            printer = LinkedPrinter(str(address), self._home)
            await self._press.change(printer)
            await printer.remember()

    async def set_up(self, *, model: str | None = None, mode: Mode | None = None) -> None:
        """The same printer as another model, or with papers set otherwise.

        Raises NoPrinterError, AddressError for a model that nobody knows, PressBusyError.
        """
        printer = self.printer
        if printer is None:
            raise NoPrinterError
        before = parse(printer.address)
        options = dict(before.options)
        options |= {"model": model} if model is not None else {}
        options |= {"mode": mode.value} if mode is not None else {}
        await self.choose(str(PrinterAddress(scheme=before.scheme, place=before.place, options=options)))

    async def use_files(self) -> None:
        """Keep papers as pictures, also after the next start: for a day without a printer.

        Raises PressBusyError, and OSError when there is no room for a folder or what is remembered cannot be forgotten.
        """
        async with self._press.between_papers():
            printer = printer_for(f"png:{self._home / FILES_FOLDER}", self._home)
            await asyncio.to_thread((self._home / REMEMBERED_NAME).unlink, missing_ok=True)
            await self._press.change(printer)

    async def probe(self) -> Probe:
        """Ask what it can do; prints nothing. Raises LinkError, ProbeError, NoPrinterError, PressBusyError."""
        async with self.alone() as printer:
            return await printer.probe()

    async def print_ticket(self) -> PrintResult:
        """A paper that shows how papers look. Raises NoPrinterError, PressBusyError."""
        async with self.alone() as printer:
            return await printer.print_document(test_ticket(printer.profile))

    async def print_page_ticket(self) -> PrintResult:
        """A paper on which a person reads which code pages there are. Raises NoPrinterError, PressBusyError."""
        async with self.alone() as printer:
            return await printer.print_segments(await asyncio.to_thread(page_ticket, printer.profile))

    async def confirm_pages(self, pages: TextPages | None) -> None:
        """A person has read on that ticket which pages are right; None: that nobody knows.

        Raises NoPrinterError, PressBusyError.
        """
        async with self.alone() as printer:
            await printer.confirm_pages(pages)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[LinkedPrinter]:
        """The chosen printer while no paper is on it. Raises NoPrinterError, PressBusyError."""
        async with self._press.between_papers() as printer:
            if not isinstance(printer, LinkedPrinter):
                raise NoPrinterError
            yield printer


async def _by_radio(seconds: float) -> list[Candidate]:
    """What a scan sees, likely printers first. Raises LinkError."""
    from printer_drivers.transports import ble  # noqa: PLC0415 -- A third of a second, where nobody may ask for it.

    return [
        Candidate(
            address=str(PrinterAddress(scheme=Way.BLE, place=one.address)),
            name=one.name,
            rssi_dbm=one.rssi_dbm,
            likely=one.looks_like_printer,
        )
        for one in await ble.scan(seconds)
    ]


def _by_cable() -> list[Candidate]:
    """Serial ports: nobody can see from here what stands behind one."""
    from printer_drivers.transports import serial_port  # noqa: PLC0415 -- As above.

    return [
        Candidate(address=str(PrinterAddress(scheme=Way.SERIAL, place=path)), name=name, rssi_dbm=None, likely=True)
        for path, name in serial_port.ports()
    ]
