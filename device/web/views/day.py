"""The end of the day: what was done, what should be in the bag, what is in it, and closing the shift.

All of it is the visitor's own: another collector's cash never shows here, whoever's shift is open on this handheld.
Nothing of what is missing stands in the way of closing. What is unsent has to be named once, by keying how many records
it is, so that nobody goes home believing that all of it has arrived.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from device.core.commands import CloseShift, CountCash
from device.core.day import ShiftWork
from device.core.effects import PaperJob, Refused
from device.core.work import Paper
from device.web.forms import Form
from device.web.preview_paper import PaperPictureError, dots_of, png_of
from device.web.views.papers import (
    Line,
    current_day,
    doubtful,
    handed_back,
    is_mine,
    line_of,
    may_act,
    print_paper,
    prints_of,
    waiting,
)
from device.web.visit import Page, Visit, get, post
from protocol.document import Document, as_text
from protocol.reasons import Reason
from protocol.records import DENOMINATIONS, PRINTS_MAX, Denomination, PaperKind, ShiftClosed
from protocol.values import local_date
from protocol.words import date_text

PIECES_MAX = 9_999  # Of one value: 5 billion in the largest notes, and four digits fit into their field.
UNSENT_DIGITS = 6
SLIP_COLUMNS = 32  # For whoever cannot see the picture: letters as on the narrowest paper.
NOTICES = (PaperKind.BILL_NOTICE, PaperKind.NOTICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Cash as it is being counted. lines: (value, pieces as typed, amount), the largest note first."""

    lines: tuple[tuple[int, int, int], ...]
    expected_vnd: int

    @property
    def total_vnd(self) -> int:
        return sum(amount for _, _, amount in self.lines)

    @property
    def over_vnd(self) -> int:
        """How much more there is than there should be; below zero: how much less."""
        return self.total_vnd - self.expected_vnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What somebody should know before going home. acked: the last record that the hub has confirmed."""

    unsent: int
    acked: int
    waiting: int
    doubts: int
    hand_back: int
    counted: bool


def _count(pieces: Mapping[int, int], expected_vnd: int) -> Count:
    lines = tuple((value, pieces.get(value, 0), value * pieces.get(value, 0)) for value in DENOMINATIONS)
    return Count(lines=lines, expected_vnd=expected_vnd)


def _counted(day: ShiftWork) -> Count | None:
    """What the collector said last, against what should be there now."""
    return _count(dict(day.counted), day.cash_vnd) if day.counted else None


def _left(visit: Visit, day: ShiftWork) -> Left:
    outbox = visit.app.session.outbox
    return Left(
        unsent=outbox.unsent,
        acked=outbox.acked,
        waiting=len(waiting(visit)),
        doubts=len(doubtful(visit)),
        hand_back=len(handed_back(visit, day)),
        counted=bool(day.counted),
    )


async def day(visit: Visit) -> web.Response:
    """The visitor's day, open or closed."""
    own = current_day(visit)
    if own is None:
        return visit.page("day_none.html")
    slip = _slip(visit, own)
    return visit.page(
        "day.html",
        day=own,
        at_work=visit.has_shift,
        may_print=may_act(visit),
        totals=own.totals(),
        notices=_notices(visit, own),
        count=_counted(own),
        left=_left(visit, own),
        slip=slip,
        slip_text=as_text(_slip_document(visit, slip.paper), SLIP_COLUMNS) if slip is not None else "",
        opens_again=own.business_date == _today(visit),
        other_shift=visit.work.shift is not None and visit.work.shift.is_open and not visit.has_shift,
    )


def _notices(visit: Visit, own: ShiftWork) -> int:
    """Notices and bills that came out, or may have: each paper once, however often it was printed."""
    return len({(end.about, end.paper) for end in prints_of(visit, own) if end.paper in NOTICES})


def _today(visit: Visit) -> str:
    """Today's civil date, by the clock as the hub or the satellites put it right."""
    return local_date(visit.app.session.pen.corrected_ms(visit.site.clock.now()))


# Counting.


async def cash(visit: Visit) -> web.Response:
    """One line for each value of note, as counted last."""
    own = current_day(visit)
    if own is None or not visit.has_shift:
        return visit.no(visit.why(Reason.NO_OPEN_SHIFT), back="/day")
    return visit.page("day_cash.html", count=_count(dict(own.counted), own.cash_vnd), day=own)


async def cash_part(visit: Visit) -> web.Response:
    """What it comes to while it is being typed, for htmx. Not a number: as if nothing had been typed there."""
    own = current_day(visit)
    if own is None:
        raise web.HTTPNotFound(reason="no day")
    typed = {value: visit.request.query.get(_field(value), "") for value in DENOMINATIONS}
    pieces = {value: int(text) for value, text in typed.items() if _is_count(text)}
    return visit.page("day_cash_sums.html", count=_count(pieces, own.cash_vnd))


async def count_cash(visit: Visit) -> web.Response:
    """Save what was counted. A difference is said and stands in the way of nothing."""
    form = await visit.form()
    intent = form.intent
    if (stale := _stale(visit, form)) is not None:
        return visit.no(stale, back="/day")
    outcome = await visit.ask(CountCash(intent=intent, notes=_notes(form)))
    if isinstance(outcome, Refused):
        return visit.no(visit.why(outcome.reason), back="/day")
    raise visit.see("/day")


def _stale(visit: Visit, form: Form) -> str | None:
    """Why a form that was made for another business date does nothing; None: it is of this one, or was sent before."""
    own = current_day(visit)
    if own is None or form.text("business_date", 10) == own.business_date or form.intent in visit.work.by_intent:
        return None
    words = visit._("This screen is of another day; your shift is of %(day)s. Nothing was recorded: open it again.")
    return words % {"day": date_text(own.business_date)}


def _notes(form: Form) -> tuple[Denomination, ...]:
    """Every value, also those of which there are none: an empty bag that was looked into is not one that was not."""
    return tuple(
        Denomination(value_vnd=value, pieces=form.number(_field(value), 0, PIECES_MAX) or 0) for value in DENOMINATIONS
    )


def _field(value_vnd: int) -> str:
    return f"n{value_vnd}"


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(PIECES_MAX))


# Closing.


async def close_page(visit: Visit) -> web.Response:
    """What closing means now, and what is still open."""
    own = current_day(visit)
    if own is None or not visit.has_shift:
        raise visit.see("/day")
    return _close_page(visit, own)


def _close_page(visit: Visit, own: ShiftWork, *, wrong: bool = False, status: int = 200) -> web.Response:
    """wrong: what was keyed is not how many records are unsent."""
    return visit.page(
        "day_close.html",
        status=status,
        day=own,
        count=_counted(own),
        left=_left(visit, own),
        digits=UNSENT_DIGITS,
        wrong=wrong,
    )


async def close(visit: Visit) -> web.Response:
    """Close the shift, durably. Unsent records are named first: as many as the screen said, and no more since."""
    form = await visit.form()
    intent, own = form.intent, current_day(visit)
    if (stale := _stale(visit, form)) is not None:
        return visit.no(stale, back="/day")
    unsent = visit.app.session.outbox.unsent
    if own is not None and visit.has_shift and intent not in visit.work.by_intent and unsent:
        said, keyed = form.number("unsent"), form.number("keyed")
        if said is None or keyed != said or unsent > said:
            return _close_page(visit, own, wrong=keyed is not None, status=409)
    outcome = await visit.ask(CloseShift(intent=intent))
    if isinstance(outcome, Refused):
        return visit.no(visit.why(outcome.reason), back="/day")
    raise visit.see("/day")


# The slip.


def _slip(visit: Visit, own: ShiftWork) -> Line | None:
    """The slip of the visitor's closed day; none where the latest closed shift, which is what prints, is another's."""
    if own.is_open:
        return None
    paper = _slip_paper(visit, own)
    return line_of(visit, paper) if paper is not None else None


def _slip_paper(visit: Visit, own: ShiftWork) -> Paper | None:
    about = visit.work.subject(PaperKind.DAY_SLIP, "", None)
    if isinstance(about, Reason) or not is_mine(visit, about):
        return None
    record = about.record
    return (about.digest, PaperKind.DAY_SLIP) if _is_of(record, own) else None


def _is_of(record: object, own: ShiftWork) -> bool:
    return isinstance(record, ShiftClosed) and record.business_date == own.business_date


def _slip_document(visit: Visit, paper: Paper) -> Document:
    """The slip as it printed last, or will print first."""
    about, kind = paper
    print_no = max(1, visit.work.prints.get(paper, 0))
    return visit.app.session.desk.document(PaperJob(kind=kind, about=about, print_no=print_no, customer=None))


async def slip_picture(visit: Visit) -> web.Response:
    """The slip as it would print now, to the dot."""
    own = current_day(visit)
    paper = _slip_paper(visit, own) if own is not None and not own.is_open else None
    if paper is None:
        raise web.HTTPNotFound(reason="no slip")
    try:
        picture = await png_of(_slip_document(visit, paper), dots_of(visit.opened.press.printer))
    except PaperPictureError as error:
        raise web.HTTPNotFound(reason=str(error)) from error
    return web.Response(body=picture, content_type="image/png")


async def print_slip(visit: Visit) -> web.Response:
    """Print the slip: the print that the button named."""
    form = await visit.form()
    own = current_day(visit)
    paper = _slip_paper(visit, own) if own is not None and not own.is_open else None
    if paper is None:
        return visit.no(visit.why(Reason.NOTHING_TO_PRINT), back="/day")
    line = line_of(visit, paper)
    if form.number("print_no", 1, PRINTS_MAX) == line.next_no and not line.printing:
        refusal = await print_paper(visit, paper)
        if refusal is not None:
            return visit.no(visit.why(refusal), back="/day")
    raise visit.see("/day")


PAGES: tuple[Page, ...] = (
    get("/day", day),
    get("/day/cash", cash),
    get("/day/cash/sums", cash_part, typed=True),
    post("/day/cash", count_cash),
    get("/day/close", close_page),
    post("/day/close", close),
    get("/day/slip.png", slip_picture),
    post("/day/slip", print_slip),
)
