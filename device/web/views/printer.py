"""The printer page: which one it is, what is the matter with it, and finding, choosing and trying one.

What takes seconds is begun by a form and goes on beside the screens; a part of the page says how it stands. The printer
is then taken, so papers wait, and nothing else does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from weakref import WeakKeyDictionary

from aiohttp import web

from device.core.effects import PrintResult
from device.linked_printer import LinkedPrinter
from device.paper_words import paper_words
from device.printer_choice import BUSY, SCAN_S, Found, NoPrinterError, PrinterChoice
from device.printing import PaperPress, PressBusyError
from device.web.phrases import said
from device.web.visit import Page, Visit, get, post
from printer_drivers.escpos import Mode
from printer_drivers.profiles import PROFILES, Scheme, TextPages
from printer_drivers.replies import PrinterState
from printer_drivers.session import ProbeError
from printer_drivers.transports import LinkError
from printer_drivers.transports.address import AddressError, Way, parse
from protocol.records import PrintOutcome

LINES_MAX = 6  # Of a list that is chosen from: what fits on the screen.
NOBODY_KNOWS = "none"  # Instead of code pages.

# How far one gets towards a printer; a code says where it ends.
_NOT_FOUND = frozenset({"not-found", "no-such-port", "not-a-port", "no-bluetooth"})
_NOT_LET_IN = frozenset({"not-allowed", "no-connection", "no-service", "wrong-printer", "port-busy"})
_NOT_ANSWERING = frozenset({"lost", "printer-silent", "stalled"})
_NO_PAPER, _NO_BATTERY = "paper-out", "low-battery"

log = logging.getLogger(__name__)


class Doing(Enum):
    """What goes on beside the screens."""

    SCAN = "scan"
    PROBE = "probe"
    TICKET = "ticket"
    PAPERS = "papers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How the last probe or ticket ended. reason: a code, None when all is well. at_ms: wall clock."""

    what: Doing
    reason: str | None
    at_ms: int
    model: str = ""
    state: PrinterState | None = None


@dataclass(slots=True, weakref_slot=True)
class Errands:
    """One thing at a time that takes seconds. It outlives the page that asked for it, and not this process.

    scan_s: how long a search looks around. stopped_by: why papers that were to be printed in turn were not, in words.
    """

    scan_s: float = SCAN_S
    doing: Doing | None = None
    found: Found | None = None
    tried: Tried | None = None
    stopped_by: str | None = None
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def begin(self, what: Doing, work: Callable[[], Awaitable[None]]) -> bool:
        """Begin, unless something else is going on: a second tap changes nothing."""
        if self.doing is not None:
            return False
        self.doing = what
        self.idle.clear()
        self._task = asyncio.create_task(self._run(work))
        self._task.add_done_callback(_note)
        return True

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        finally:
            self.doing = None
            self.idle.set()


_ERRANDS: WeakKeyDictionary[PaperPress, Errands] = WeakKeyDictionary()


def errands_of(press: PaperPress) -> Errands:
    """What goes on at the printer of a handheld."""
    return _ERRANDS.setdefault(press, Errands())


def _note(task: asyncio.Task[None]) -> None:
    """Whatever nobody foresaw costs this errand and nothing else."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("an errand at the printer failed", exc_info=error)


def _choice(visit: Visit) -> PrinterChoice:
    return PrinterChoice(visit.opened.press, visit.site.home)


# The page.


async def printer(visit: Visit) -> web.Response:
    """The printer of the next paper."""
    return _state(visit, "printer.html")


async def state_part(visit: Visit) -> web.Response:
    """How it stands, for htmx."""
    return _state(visit, "printer_state.html")


def _state(visit: Visit, template: str, **more: object) -> web.Response:
    """A page or part that shows how the printer is. more: what else stands on it."""
    press, errands = visit.opened.press, errands_of(visit.opened.press)
    chosen = _choice(visit).printer
    trouble = press.trouble
    return visit.page(
        template,
        chosen=chosen,
        place=_place(chosen) if chosen is not None else None,
        text_mode=chosen is not None and chosen.mode is Mode.TEXT,
        forgotten=chosen is None and trouble is not None,
        doing=errands.doing,
        busy=press.busy,
        trouble=None if trouble is None else said(paper_words(trouble), visit.language),
        tried=errands.tried,
        tried_words=_tried_words(visit, errands.tried),
        steps=_steps(trouble, errands.tried),
        more=more,
    )


def _place(chosen: LinkedPrinter) -> tuple[str, str]:
    """How it is reached, and where."""
    address = parse(chosen.address)
    return ("Bluetooth" if address.scheme is Way.BLE else "", address.place)


def _tried_words(visit: Visit, tried: Tried | None) -> str | None:
    return None if tried is None or tried.reason is None else said(paper_words(tried.reason), visit.language)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """How far one gets: True, False, or None where nobody knows. paper, battery: None too where it cannot tell."""

    found: bool | None
    let_in: bool | None
    answers: bool | None
    paper: bool | None
    paper_ends_soon: bool
    battery: bool | None


def _steps(trouble: str | None, tried: Tried | None) -> Steps:
    """From the trouble it is in now, or else from the last time somebody asked it."""
    if trouble == BUSY or (trouble is None and (tried is None or tried.reason is not None)):
        return Steps(found=None, let_in=None, answers=None, paper=None, paper_ends_soon=False, battery=None)
    found = trouble not in _NOT_FOUND
    let_in = None if not found else trouble not in _NOT_LET_IN
    answers = None if not let_in else trouble not in _NOT_ANSWERING
    state = tried.state if tried is not None and answers else None
    has_paper = False if trouble == _NO_PAPER else None if state is None else not state.paper_out
    charged = False if trouble == _NO_BATTERY or (state is not None and state.low_battery) else None
    near_end = state is not None and state.near_end and has_paper is not False
    return Steps(
        found=found, let_in=let_in, answers=answers, paper=has_paper, paper_ends_soon=near_end, battery=charged
    )


# Looking around.


async def search(visit: Visit) -> web.Response:
    """Look around by radio and cable."""
    await visit.form()
    errands = errands_of(visit.opened.press)
    errands.begin(Doing.SCAN, partial(_search, errands, _choice(visit)))
    raise visit.see("/printer/found")


async def _search(errands: Errands, choice: PrinterChoice) -> None:
    errands.found = None
    errands.found = await choice.look_around(errands.scan_s)


async def found_page(visit: Visit) -> web.Response:
    """What is in reach, or that somebody is looking. ?from= the first line that is shown."""
    return _found(visit, "printer_found.html")


async def found_part(visit: Visit) -> web.Response:
    """The list by itself, for htmx."""
    return _found(visit, "printer_list.html")


def _found(visit: Visit, template: str) -> web.Response:
    errands = errands_of(visit.opened.press)
    seen = errands.found
    printers = seen.printers if seen is not None else ()
    first = first_line(visit, len(printers))
    chosen = _choice(visit).printer
    return visit.page(
        template,
        doing=errands.doing,
        looked=seen is not None,
        trouble=None if seen is None or seen.trouble is None else said(paper_words(seen.trouble), visit.language),
        printers=[(one, parse(one.address)) for one in printers[first : first + LINES_MAX]],
        before=first - LINES_MAX if first else None,
        behind=first + LINES_MAX if first + LINES_MAX < len(printers) else None,
        now=None if chosen is None else _place(chosen)[1],
    )


def first_line(visit: Visit, count: int) -> int:
    """Which line of a list comes first on its page; the last page for a list that has become shorter."""
    text = visit.request.query.get("from", "0")
    wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    return min(wanted, max(0, count - 1)) // LINES_MAX * LINES_MAX


async def choose(visit: Visit) -> web.Response:
    """Send papers to one of those that were found."""
    form = await visit.form()
    address = form.text("address", 200)
    found = errands_of(visit.opened.press).found
    if found is None or address not in (one.address for one in found.printers):
        return visit.no(visit._("This printer is not in the list any more: search again."), back="/printer/found")
    return await _changed(visit, partial(_choice(visit).choose, address), back="/printer/found")


# Another model, another way to set papers, no printer.


async def models(visit: Visit) -> web.Response:
    """Which model it is: that decides width, buffer and cutter."""
    chosen = _choice(visit).printer
    if chosen is None:
        raise visit.see("/printer")
    rows = list(PROFILES.values())
    first = first_line(visit, len(rows))
    return visit.page(
        "printer_models.html",
        chosen=chosen,
        models=rows[first : first + LINES_MAX],
        before=first - LINES_MAX if first else None,
        behind=first + LINES_MAX if first + LINES_MAX < len(rows) else None,
    )


async def set_model(visit: Visit) -> web.Response:
    """Take it for another model."""
    model = (await visit.form()).text("model", 40)
    return await _changed(visit, partial(_choice(visit).set_up, model=model), back="/printer/models")


async def set_mode(visit: Visit) -> web.Response:
    """Set papers as pictures or as letters."""
    mode = (await visit.form()).member("mode", Mode)
    return await _changed(visit, partial(_choice(visit).set_up, mode=mode), back="/printer/pages", on="/printer/pages")


async def files_page(visit: Visit) -> web.Response:
    """What it means to work without a printer."""
    return visit.page("printer_files.html", chosen=_choice(visit).printer)


async def use_files(visit: Visit) -> web.Response:
    """Work without a printer."""
    await visit.form()
    return await _changed(visit, _choice(visit).use_files, back="/printer/files")


async def _changed(
    visit: Visit, change: Callable[[], Awaitable[None]], *, back: str, on: str = "/printer"
) -> web.Response:
    """Change something about the printer, and go on; or say why not."""
    try:
        await change()
    except PressBusyError:
        return visit.no(said(paper_words(BUSY), visit.language), back=back)
    except (NoPrinterError, AddressError, OSError) as error:
        log.warning("the printer stays as it is: %s", error)
        return visit.no(visit._("That cannot be done with this printer. It stays as it was."), back=back)
    errands_of(visit.opened.press).tried = None  # What was found out was of another printer, or of another use of it.
    raise visit.see(on)


# Trying.


async def probe(visit: Visit) -> web.Response:
    """Ask what it can do and how it is; prints nothing."""
    await visit.form()
    errands = errands_of(visit.opened.press)
    errands.begin(Doing.PROBE, partial(_probe, visit, errands))
    raise visit.see("/printer")


async def _probe(visit: Visit, errands: Errands) -> None:
    reason, model, state = None, "", None
    try:
        answer = await _choice(visit).probe()
        reason = answer.state.trouble if answer.state is not None else None
        model, state = answer.model, answer.state
    except PressBusyError:
        reason = BUSY
    except (LinkError, ProbeError) as error:
        reason = error.reason
    except NoPrinterError:
        return
    now_ms = visit.site.clock.now().wall_ms
    errands.tried = Tried(what=Doing.PROBE, reason=reason, at_ms=now_ms, model=model, state=state)


async def ticket(visit: Visit) -> web.Response:
    """Print a test ticket."""
    await visit.form()
    errands, choice = errands_of(visit.opened.press), _choice(visit)
    errands.begin(Doing.TICKET, partial(_ticket, visit, errands, choice.print_ticket))
    raise visit.see("/printer")


async def page_ticket(visit: Visit) -> web.Response:
    """Print the ticket of code pages."""
    await visit.form()
    errands, choice = errands_of(visit.opened.press), _choice(visit)
    errands.begin(Doing.TICKET, partial(_ticket, visit, errands, choice.print_page_ticket))
    raise visit.see("/printer/pages")


async def _ticket(visit: Visit, errands: Errands, prints: Callable[[], Awaitable[PrintResult]]) -> None:
    try:
        result = await prints()
        reason = None if result.outcome is PrintOutcome.PRINTED else result.reason
    except PressBusyError:
        reason = BUSY
    except NoPrinterError:
        return
    errands.tried = Tried(what=Doing.TICKET, reason=reason, at_ms=visit.site.clock.now().wall_ms)


# Code pages.


async def pages(visit: Visit) -> web.Response:
    """Which code pages its ticket showed to be right."""
    chosen = _choice(visit).printer
    if chosen is None:
        raise visit.see("/printer")
    lines = [(pages_words(one), one == chosen.pages) for one in chosen.profile.pages]
    return _state(visit, "printer_pages.html", lines=lines, confirmed=chosen.pages)


async def confirm_pages(visit: Visit) -> web.Response:
    """A person has read it on paper."""
    text = (await visit.form()).text("pages", 10)
    choice = _choice(visit)
    candidates = choice.printer.profile.pages if choice.printer is not None else ()
    wanted = None
    with suppress(ValueError, IndexError):
        wanted = candidates[int(text)] if text.isascii() and text.isdigit() else None
    if wanted is None and text != NOBODY_KNOWS:
        return visit.no(visit._("Choose one of the lines."), back="/printer/pages")
    return await _changed(visit, partial(choice.confirm_pages, wanted), back="/printer/pages", on="/printer/pages")


def pages_words(found: TextPages) -> str:
    """Pages as the ticket names them."""
    if found.scheme is Scheme.TCVN3:
        return f"TCVN-3: {found.lower} t · {found.upper} T"
    return f"CP1258: {found.lower} C"


PAGES: tuple[Page, ...] = (
    get("/printer", printer),
    get("/printer/state", state_part),
    post("/printer/search", search),
    get("/printer/found", found_page),
    get("/printer/found/list", found_part),
    post("/printer/choose", choose),
    get("/printer/models", models),
    post("/printer/models", set_model),
    get("/printer/files", files_page),
    post("/printer/files", use_files),
    post("/printer/probe", probe),
    post("/printer/ticket", ticket),
    get("/printer/pages", pages),
    post("/printer/pages", confirm_pages),
    post("/printer/pages/ticket", page_ticket),
    post("/printer/mode", set_mode),
)
