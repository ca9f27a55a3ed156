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

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from device.core.effects import PrintResult
from device.drive import BadRequestError, body_of, number, printer_sentence
from device.linked_printer import LinkedPrinter, pages_of
from device.printer_choice import SCAN_S, NoPrinterError, PrinterChoice
from device.printing import PaperPress, PressBusyError
from printer_drivers.profiles import Scheme, TextPages
from printer_drivers.session import ProbeError
from printer_drivers.transports import LinkError
from printer_drivers.transports.address import AddressError
from protocol.records import PrintOutcome

SCAN_MAX_S = 30  # Papers wait meanwhile.
_ORDINARY, _OF_PAGES = "ordinary", "pages"

Json = dict[str, Any]


class PrinterDoor:
    """The handlers. home: of the handheld, where a choice is remembered."""

    def __init__(self, press: PaperPress, home: Path) -> None:
        self._press = press
        self._choice = PrinterChoice(press, home)

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
        found = await self._choice.look_around(number(request, "seconds", SCAN_S, SCAN_MAX_S))
        trouble = found.trouble
        troubles = [] if trouble is None else [{"reason": trouble, "words": printer_sentence(trouble)}]
        return web.json_response({"printers": [asdict(one) for one in found.printers], "troubles": troubles})

    async def _show(self, _request: web.Request) -> web.Response:
        return web.json_response(printer_json(self._press))

    async def _choose(self, request: web.Request) -> web.Response:
        address = _address(await _fields(request, "address"))
        with _refusals():
            await self._choice.choose(address)
        return web.json_response(printer_json(self._press))

    async def _probe(self, _request: web.Request) -> web.Response:
        try:
            with _refusals():
                found = await self._choice.probe()
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
        with _refusals():
            if ticket == _OF_PAGES:
                result = await self._choice.print_page_ticket()
            else:
                result = await self._choice.print_ticket()
        return web.json_response(_result_json(result))

    async def _confirm_pages(self, request: web.Request) -> web.Response:
        pages = _pages(await _fields(request, "scheme", "lower", "upper"))
        with _refusals():
            await self._choice.confirm_pages(pages)
        return web.json_response(printer_json(self._press))


@contextmanager
def _refusals() -> Iterator[None]:
    """What a choice refuses, as answers to a program."""
    try:
        yield
    except PressBusyError as error:
        raise web.HTTPConflict(reason="a paper is printing, or the printer is being tried: wait") from error
    except NoPrinterError as error:
        raise web.HTTPConflict(reason="no printer has been chosen yet: choose one first") from error
    except AddressError as error:
        raise BadRequestError(str(error)) from error


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
    return text


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
