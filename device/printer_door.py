"""What a screen needs to find, choose and try a printer: handlers beside those of `device.drive`.

    GET  /printers?seconds=6    what is in reach by radio and by cable
    GET  /printer               the one that papers go to, and what is known of it
    POST /printer               {"address": "ble://..."}: papers go there from now on, also after the next start
    POST /printer/probe         ask what it can do; prints nothing
    POST /printer/test          print a ticket: {} for how papers look, {"ticket": "pages"} for its code pages
    POST /printer/pages         {"scheme": "tcvn3", "lower": 30, "upper": 31}, as read on that ticket; {"scheme": null}

All but GET /printer have the printer for themselves: papers wait meanwhile, and while one is printing the answer is
409. What goes wrong with a printer is an answer with words, as for papers.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from device.core.effects import PrintResult
from device.drive import BadRequestError, body_of, number, printer_sentence
from device.linked_printer import LinkedPrinter, pages_of
from device.printing import PaperPress, PressBusyError
from printer_drivers.profiles import Scheme, TextPages
from printer_drivers.session import ProbeError
from printer_drivers.tickets import page_ticket, test_ticket
from printer_drivers.transports import LinkError
from printer_drivers.transports.address import AddressError, PrinterAddress, Way, parse
from protocol.records import PrintOutcome

SCAN_S = 6  # Printers advertise at least once a second; a weak signal misses some.
SCAN_MAX_S = 30  # Papers wait meanwhile.
BUSY = "printer-busy"
_CHOSEN_FROM = (Way.SERIAL, Way.BLE)  # A program may not have a handheld write over a file.
_ORDINARY, _OF_PAGES = "ordinary", "pages"

Json = dict[str, Any]


class PrinterDoor:
    """The handlers. home: of the handheld, where a choice is remembered."""

    def __init__(self, press: PaperPress, home: Path) -> None:
        self._press = press
        self._home = home

    def routes(self) -> list[web.RouteDef]:
        """For `Drive`."""
        return [
            web.get("/printers", self._scan),
            web.get("/printer", self._show),
            web.post("/printer", self._choose),
            web.post("/printer/probe", self._probe),
            web.post("/printer/test", self._test),
            web.post("/printer/pages", self._confirm_pages),
        ]

    async def _scan(self, request: web.Request) -> web.Response:
        seconds = number(request, "seconds", SCAN_S, SCAN_MAX_S)
        by_cable = await asyncio.to_thread(_by_cable)
        trouble: str | None = None
        by_radio: list[Json] = []
        try:
            async with self._press.between_papers():  # Looking around would disturb one, and its link this.
                by_radio = await _by_radio(seconds)
        except PressBusyError:
            trouble = BUSY
        except LinkError as error:
            trouble = error.reason
        found = sorted(by_radio + by_cable, key=lambda one: not one["likely"])  # Stable: the strongest first.
        troubles = [] if trouble is None else [{"reason": trouble, "words": printer_sentence(trouble)}]
        return web.json_response({"printers": found, "troubles": troubles})

    async def _show(self, _request: web.Request) -> web.Response:
        return web.json_response(printer_json(self._press))

    async def _choose(self, request: web.Request) -> web.Response:
        address = _address(await _fields(request, "address"))
        async with self._alone():
            # Only now: the one before may have been learning about itself.
            try:
                printer = LinkedPrinter(address, self._home)
            except AddressError as error:
                raise BadRequestError(str(error)) from error
            await self._press.change(printer)
            await printer.remember()
        return web.json_response(printer_json(self._press))

    async def _probe(self, _request: web.Request) -> web.Response:
        async with self._chosen() as printer:
            try:
                found = await printer.probe()
            except (LinkError, ProbeError) as error:
                answer = {"done": False, "reason": error.reason, "words": printer_sentence(error.reason)}
            else:
                trouble = found.state.trouble if found.state is not None else None
                answer = {"done": True, "reason": trouble, "words": printer_sentence(trouble), "says": found.model}
        return web.json_response(printer_json(self._press) | answer)

    async def _test(self, request: web.Request) -> web.Response:
        ticket = (await _fields(request, "ticket")).get("ticket", _ORDINARY)
        if ticket not in (_ORDINARY, _OF_PAGES):
            raise BadRequestError(f'ticket must be "{_ORDINARY}" or "{_OF_PAGES}"')
        async with self._chosen() as printer:
            if ticket == _OF_PAGES:
                paper = await asyncio.to_thread(page_ticket, printer.profile)
                result = await printer.print_segments(paper)
            else:
                result = await printer.print_document(test_ticket(printer.profile))
        return web.json_response(_result_json(result))

    async def _confirm_pages(self, request: web.Request) -> web.Response:
        pages = _pages(await _fields(request, "scheme", "lower", "upper"))
        async with self._chosen() as printer:
            await printer.confirm_pages(pages)
        return web.json_response(printer_json(self._press))

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[object]:
        try:
            async with self._press.between_papers() as printer:
                yield printer
        except PressBusyError as error:
            raise web.HTTPConflict(reason="a paper is printing, or the printer is being tried: wait") from error

    @asynccontextmanager
    async def _chosen(self) -> AsyncIterator[LinkedPrinter]:
        async with self._alone() as printer:
            if not isinstance(printer, LinkedPrinter):
                raise web.HTTPConflict(reason="no printer has been chosen yet: choose one first")
            yield printer


def printer_json(press: PaperPress) -> Json:
    """The printer of the next paper; null where papers go into files, or nobody knows which it is."""
    trouble = {"trouble": press.trouble, "words": printer_sentence(press.trouble), "busy": press.busy}
    printer = press.printer
    if not isinstance(printer, LinkedPrinter):
        nothing = ("address", "model", "name", "mode", "abilities", "pages")
        return {**dict.fromkeys(nothing), "probed": False, "remembered": False, "candidates": [], **trouble}
    return {
        "address": printer.address,
        "model": printer.profile.model,
        "name": printer.profile.name,
        "mode": printer.mode.value,
        "abilities": asdict(printer.abilities),  # null: unknown.
        "probed": printer.probed,
        "pages": None if printer.pages is None else asdict(printer.pages),
        "candidates": [asdict(pages) for pages in printer.profile.pages],
        "remembered": printer.remembered,
        **trouble,
    }


def _result_json(result: PrintResult) -> Json:
    return {
        "done": result.outcome is PrintOutcome.PRINTED,
        "outcome": result.outcome.name,
        "reason": result.reason,
        "words": printer_sentence(result.reason),
    }


async def _by_radio(seconds: int) -> list[Json]:
    """What a scan sees, likely printers first. Raises LinkError."""
    from printer_drivers.transports import ble  # noqa: PLC0415 -- A third of a second, where nobody may ask for it.

    return [
        {
            "address": str(PrinterAddress(scheme=Way.BLE, place=one.address)),
            "name": one.name,
            "rssi_dbm": one.rssi_dbm,
            "likely": one.looks_like_printer,
        }
        for one in await ble.scan(seconds)
    ]


def _by_cable() -> list[Json]:
    """Serial ports: nobody can see from here what stands behind one."""
    from printer_drivers.transports import serial_port  # noqa: PLC0415 -- As above.

    return [
        {
            "address": str(PrinterAddress(scheme=Way.SERIAL, place=path)),
            "name": name,
            "rssi_dbm": None,
            "likely": True,
        }
        for path, name in serial_port.ports()
    ]


async def _fields(request: web.Request, *known: str) -> Json:
    """The object of a body; no body, or null, is an empty one. Raises BadRequestError."""
    given = (await body_of(request) if request.body_exists else None) or {}
    if not isinstance(given, dict):
        raise BadRequestError("the body is not an object")
    if unknown := given.keys() - known:
        raise BadRequestError(f"there is no field {min(unknown)}; there are {', '.join(known)}")
    return given


def _address(given: Json) -> str:
    text = given.get("address")
    if not isinstance(text, str):
        raise BadRequestError("address must be a text, such as serial:///dev/ttyUSB0 or ble://AA:BB:CC:DD:EE:FF")
    try:
        address = parse(text)
    except AddressError as error:
        raise BadRequestError(str(error)) from error
    if address.scheme not in _CHOSEN_FROM:
        raise BadRequestError(f"address must begin with {' or '.join(_CHOSEN_FROM)}")
    return str(address)


def _pages(given: Json) -> TextPages | None:
    if given.get("scheme", "") not in (None, *Scheme):
        raise BadRequestError(f"scheme is {' or '.join(Scheme)}, or null when nobody knows the pages")
    if given["scheme"] is None:
        return None
    try:
        return pages_of(given)
    except LookupError as error:
        raise BadRequestError("lower is the number of the page, 0 to 255") from error
    except (ValueError, TypeError) as error:
        raise BadRequestError(str(error)) from error
