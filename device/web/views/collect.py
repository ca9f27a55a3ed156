"""Taking money: one confirmation that names customer and amount, the receipts of the day, and taking one back.

A screen only says what the handheld has computed; the command computes it again, and takes nothing where that differs.
"""

from collections.abc import Mapping

from aiohttp import web

from device.core.commands import Collect, VoidCollection, Which
from device.core.day import ShiftWork
from device.core.effects import PaperState, Refused
from device.core.stops import Collection, StopWork
from device.core.work import Work
from device.web.forms import Form
from device.web.visit import Page, Visit, get, post
from protocol.fields import VND_MAX
from protocol.package import RETYPE_FROM_VND
from protocol.reasons import Reason
from protocol.records import CashCollected, PaperKind, VoidReason
from protocol.words import amount_in_words

RETYPED_DIGITS = 3  # Enough to show that the figure was read; all of them would be copied without a look.
RECEIPTS_A_PAGE = 8  # One digit each; no page scrolls.
NOTE_LENGTH_MAX = 200
# What stands beside each reason: (Vietnamese, English).
VOID_WORDS: Mapping[VoidReason, tuple[str, str]] = {
    VoidReason.WRONG_CUSTOMER: ("Thu nhầm khách hàng", "The wrong customer"),
    VoidReason.WRONG_AMOUNT: ("Thu sai số tiền", "The wrong amount"),
    VoidReason.CUSTOMER_WITHDREW: ("Khách đổi ý, không trả nữa", "The customer changed their mind"),
    VoidReason.OTHER: ("Lý do khác", "Another reason"),
}


# One confirmation.


async def confirmation(visit: Visit) -> web.Response:
    """The page before money is taken. ?which= CURRENT, ARREARS or ALL bills."""
    return _confirmation(visit, visit.stop(), _which(visit.request.query.get("which", "")))


def _confirmation(visit: Visit, stop: StopWork, which: Which, *, mistyped: bool = False) -> web.Response:
    due, here = stop.due(which), _result(stop)
    if due.amount_vnd <= 0:
        sentence = visit.why(due.hold) if due.hold is not None else visit._("There is nothing to collect here.")
        return visit.no(sentence, back=here)
    mine = visit.opened.index.in_walking_order(visit.collector)
    return visit.page(
        "collect.html",
        status=409 if mistyped else 200,
        work=stop,
        which=which.name,
        due=due,
        amount_words=amount_in_words(due.amount_vnd),
        retype=is_retyped(visit.work, due.amount_vnd),
        digits=RETYPED_DIGITS,
        mistyped=mistyped,
        place=mine.index(stop) + 1,
        places=len(mine),
        back=here,
    )


async def collect(visit: Visit) -> web.Response:
    """Take the money, and go to its receipt, which is being printed."""
    form = await visit.form()
    stop = visit.stop()
    which, intent = form.member("which", Which), form.intent
    amount_vnd = form.number("amount_vnd", 1, VND_MAX)
    if amount_vnd is None:
        return visit.no(visit._("The amount is missing: nothing was taken."), back=_result(stop))
    if is_retyped(visit.work, amount_vnd) and not _is_right(form, amount_vnd):
        return _confirmation(visit, stop, which, mistyped=True)
    outcome = await visit.ask(
        Collect(intent=intent, customer=stop.stop.customer, amount_vnd=amount_vnd, which=which)
    )
    if isinstance(outcome, Refused):
        nothing = visit._("This tap has taken nothing.")
        return visit.no(f"{visit.why(outcome.reason)}. {nothing}", back=_after_refusal(stop, which, outcome.reason))
    assert outcome.sealed is not None
    assert isinstance(outcome.sealed.record, CashCollected)
    raise visit.see(f"{_result(stop)}?paper=receipt&receipt_no={outcome.sealed.record.receipt_no}")


def _after_refusal(stop: StopWork, which: Which, reason: Reason) -> str:
    """Where to go on: to the shift where that is what is missing, else to the amount as it is now."""
    if reason in (Reason.NO_OPEN_SHIFT, Reason.OTHER_COLLECTOR):
        return "/route"
    return f"/stops/{stop.stop.customer}/collect?which={which.name}"


def is_retyped(work: Work, amount_vnd: int) -> bool:
    """Whether an amount is so large that its last digits are keyed before it is taken."""
    named_vnd = work.policy.retype_from_vnd if work.policy is not None else None
    return amount_vnd >= (named_vnd or RETYPE_FROM_VND)


def _is_right(form: Form, amount_vnd: int) -> bool:
    return form.text("last_digits", RETYPED_DIGITS) == f"{amount_vnd % 10**RETYPED_DIGITS:0{RETYPED_DIGITS}d}"


def _which(name: str) -> Which:
    return Which[name] if name in Which.__members__ else Which.ALL


def _result(stop: StopWork) -> str:
    return f"/stops/{stop.stop.customer}/result"


# Receipts.


async def receipts(visit: Visit) -> web.Response:
    """The visitor's receipts of the day, the newest first. ?page= from 1."""
    day = day_of(visit)
    taken = reversed(day.collected) if day is not None else ()
    found = [one for record in taken if (one := visit.work.collection(record.receipt_no)) is not None]
    pages = max(1, -(-len(found) // RECEIPTS_A_PAGE))
    asked = visit.request.query.get("page", "1")
    page = min(max(1, int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1), pages)
    shown = found[(page - 1) * RECEIPTS_A_PAGE : page * RECEIPTS_A_PAGE]
    return visit.page(
        "collect_receipts.html",
        day=day,
        lines=[_line(visit, one) for one in shown],
        count=len(found),
        page=page,
        pages=pages,
    )


def day_of(visit: Visit) -> ShiftWork | None:
    """The visitor's own day: that of the shift that is or was open last, if it is theirs, else their latest."""
    shift = visit.work.shift
    if shift is not None and shift.collector == visit.collector:
        return shift
    mine = [day for (collector, _), day in visit.work.days.items() if collector == visit.collector]
    return max(mine, key=lambda day: day.business_date, default=None)


def _line(visit: Visit, one: Collection) -> dict[str, object]:
    stop = visit.work.stops.get(one.record.customer)
    mine = stop is not None and stop.package.collector == visit.collector
    number = one.record.receipt_no
    return {
        "number": number,
        "name": stop.stop.name if stop is not None else one.record.customer,
        "amount_vnd": one.record.amount_vnd,
        "at_ms": one.sealed.header.at_ms,
        "state": paper_state(visit.work, one),
        "path": f"/stops/{one.record.customer}/result?paper=receipt&receipt_no={number}"
        if mine
        else f"/receipts/{number}/void",
    }


def paper_state(work: Work, one: Collection) -> tuple[str, int]:
    """How a receipt stands, with how often its paper is out or may be: a word that templates know."""
    paper = one.sealed.digest, PaperKind.RECEIPT
    printed, job = work.prints.get(paper, 0), work.job_of(paper)
    if one.voided:
        return "voided", printed
    if job is not None:
        return "printing" if work.papers[job] is PaperState.STARTED else "waiting", printed
    return "doubt" if paper in work.doubts else "printed" if printed else "none", printed


# Taking one back.


async def void_page(visit: Visit) -> web.Response:
    """What taking a receipt back means. ?reason= why; only then is there something to press."""
    one = _receipt(visit)
    return _void_page(visit, one, _reason(visit.request.query.get("reason", "")))


def _void_page(visit: Visit, one: Collection, reason: VoidReason | None) -> web.Response:
    stop = visit.work.stops.get(one.record.customer)
    mine = stop is not None and stop.package.collector == visit.collector
    state, printed = paper_state(visit.work, one)
    number = one.record.receipt_no
    return visit.page(
        "void.html",
        one=one.record,
        at_ms=one.sealed.header.at_ms,
        work=stop,
        state=state,
        printed=printed,
        reason=reason,
        words=VOID_WORDS,
        note_length=NOTE_LENGTH_MAX,
        back=f"/stops/{one.record.customer}/result?paper=receipt&receipt_no={number}" if mine else "/receipts",
    )


async def void(visit: Visit) -> web.Response:
    """Take a receipt back."""
    one, form = _receipt(visit), await visit.form()
    number = one.record.receipt_no
    outcome = await visit.ask(
        VoidCollection(
            intent=form.intent,
            receipt_no=number,
            reason=form.member("reason", VoidReason),
            note=form.text("note", NOTE_LENGTH_MAX) or None,
        )
    )
    if isinstance(outcome, Refused):
        stands = visit._("This tap has changed nothing.")
        return visit.no(f"{visit.why(outcome.reason)}. {stands}", back=f"/receipts/{number}/void")
    raise visit.see(f"/receipts/{number}/void")


def _receipt(visit: Visit) -> Collection:
    """The receipt of the address, if the visitor took its money. Raises HTTPNotFound."""
    number = visit.request.match_info["number"]
    one = visit.work.collection(int(number)) if number.isascii() and number.isdigit() and len(number) < 12 else None
    if one is None or one.collector != visit.collector:
        raise web.HTTPNotFound(reason="no such receipt")
    return one


def _reason(name: str) -> VoidReason | None:
    return VoidReason[name] if name in VoidReason.__members__ else None


PAGES: tuple[Page, ...] = (
    get("/stops/{customer}/collect", confirmation),
    post("/stops/{customer}/collect", collect),
    get("/receipts", receipts),
    get("/receipts/{number}/void", void_page),
    post("/receipts/{number}/void", void),
)
