"""The result page: the paper itself, what may be collected, and the most likely next step on Enter.

A paper that is out is shown as it came out; the next print of it, with the mark of a reprint, is shown and printed only
after somebody has asked for it. What a tap prints is the number that its screen named, so no tap prints twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from device.core.commands import OpenStop, PrintPaper, Which
from device.core.effects import PaperJob, PaperState, Refused
from device.core.papers import AMOUNT_IN_DOUBT
from device.core.stops import Collection, StopWork
from device.core.work import Work
from device.paper_words import paper_words
from device.printing import COLUMNS_58_MM
from device.web.forms import FormError
from device.web.preview_paper import PaperPictureError, dots_of, png_of
from device.web.views.papers import may_act
from device.web.visit import Page, Visit, get, post
from protocol.document import as_text
from protocol.reasons import Reason, overridable
from protocol.records import PRINTS_MAX, PaperKind, ReadingTaken
from protocol.rules import BY_TREASURY
from protocol.sealed import Sealed

KINDS: Mapping[str, PaperKind] = {
    "receipt": PaperKind.RECEIPT,
    "bill": PaperKind.BILL_NOTICE,
    "notice": PaperKind.NOTICE,
}
RECEIPT_NO_MAX = 10**9
# What a collector does about a hold: (Vietnamese, English). Papers have their own words for customers.
HOLD_ADVICE: Mapping[Reason, tuple[str, str]] = {
    Reason.PAYS_BY_TRANSFER: (
        "Đưa giấy báo có mã QR để khách chuyển khoản",
        "Hand over the bill notice: its QR code is for the transfer",
    ),
    Reason.PAYS_BY_COLLECTION_ORDER: (
        "Đưa thông báo cho khách, kho bạc sẽ trả tiền",
        "Hand over the notice: the treasury pays",
    ),
    Reason.READING_BELOW_PREVIOUS: (
        "Xem lại mặt đồng hồ rồi ghi lại; nếu đồng hồ đã thay hoặc quay vòng thì chọn lý do đó",
        "Look at the dial and read again; if the meter was replaced or rolled over, choose that",
    ),
    Reason.CONSUMPTION_DROP: (
        "Xem lại đồng hồ, ghi lại nếu nhầm; nếu đúng chỉ số thì gọi giám sát xin mã",
        "Look at the meter and read again if it was a slip; if it is right, ask a supervisor for a code",
    ),
}


class Standing(Enum):
    """How far a paper has come."""

    NOT_YET = "not yet"
    UNDER_WAY = "under way"
    WAITING = "waiting"  # It was tried, and did not come out.
    IN_DOUBT = "in doubt"
    OUT = "out"
    VOIDED = "voided"


class Step(Enum):
    """What Enter does."""

    SHIFT = "shift"
    COLLECT = "collect"
    PRINT = "print"
    LOOK = "look"  # At a paper of which nobody knows whether it came out.
    NEXT = "next"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperShown:
    """A paper on the screen. word: of KINDS. print_no: of the picture. printed: how often it is out or may be.

    again: whether the picture is that of a reprint. why: what kept it from coming out, as a code.
    """

    word: str
    about: Sealed
    collection: Collection | None
    standing: Standing
    print_no: int
    printed: int
    again: bool
    why: str | None

    @property
    def kind(self) -> PaperKind:
        return KINDS[self.word]

    @property
    def receipt_no(self) -> int | None:
        return self.collection.record.receipt_no if self.collection is not None else None

    @property
    def query(self) -> str:
        """What picks this paper in an address, whether it is a reprint or not."""
        return urlencode(_picked(self.word, self.receipt_no))

    @property
    def full_query(self) -> str:
        """What picks this picture."""
        return f"{self.query}&again=1" if self.again else self.query

    def job(self, customer: str) -> PaperJob:
        """The print job of the picture."""
        return PaperJob(kind=self.kind, about=self.about.digest, print_no=self.print_no, customer=customer)


# Which papers there are.


def papers_of(work: Work, stop: StopWork) -> list[tuple[str, Collection | None]]:
    """The papers of a customer that may be printed, receipts first and the newest of them first."""
    found: list[tuple[str, Collection | None]] = [
        ("receipt", one) for one in reversed(stop.collections) if not one.voided
    ]
    for word in ("bill", "notice"):
        if isinstance(_subject(work, stop, word), Sealed):
            found.append((word, None))
    return found


def _subject(work: Work, stop: StopWork, word: str) -> Sealed | Reason:
    """The record that a notice shows. A bill notice only where it would ask for money: else it is the notice."""
    if word == "bill" and not _has_sound_bill(stop):
        return Reason.NOTHING_TO_PRINT
    return work.subject(KINDS[word], stop.stop.customer, None)


def _has_sound_bill(stop: StopWork) -> bool:
    record = stop.taken.record if stop.taken is not None else None
    if not isinstance(record, ReadingTaken) or record.bill is None:
        return False
    if stop.is_paid() and not stop.open_arrears():
        return False  # The notice says that it is paid.
    return stop.hold() not in AMOUNT_IN_DOUBT and stop.facts_now.payment_method != BY_TREASURY


def usual_paper(work: Work, stop: StopWork) -> tuple[str, Collection | None] | None:
    """What the customer most likely gets: the receipt of what was just paid, else the bill notice, else the notice."""
    found = papers_of(work, stop)
    visited = stop.taken or stop.skipped
    newest = next((one for _, one in found if one is not None), None)
    if newest is not None:
        pays_current = stop.bill_no in newest.record.bills
        if pays_current or visited is None or newest.sealed.header.seq > visited.header.seq:
            return "receipt", newest
    return next((paper for paper in found if paper[1] is None), None) or (found[0] if found else None)


def paper_shown(work: Work, stop: StopWork, picked: tuple[str, Collection | None], *, again: bool) -> PaperShown | None:
    """A paper as it stands, or None where there is none. again: the print that would come next is asked for."""
    word, collection = picked
    about = collection.sealed if collection is not None else _subject(work, stop, word)
    if not isinstance(about, Sealed):
        return None
    paper = about.digest, KINDS[word]
    printed, job = work.prints.get(paper, 0), work.job_of(paper)
    standing = Standing.OUT if printed else Standing.NOT_YET
    if collection is not None and collection.voided:
        standing = Standing.VOIDED
    elif job is not None:
        standing = Standing.UNDER_WAY if work.papers[job] is PaperState.STARTED else Standing.WAITING
    elif paper in work.doubts:
        standing = Standing.IN_DOUBT
    again = again and standing in (Standing.OUT, Standing.IN_DOUBT)
    print_no = job.print_no if job is not None else max(printed, 1) + again
    why = work.why_not(job) if job is not None else None
    if standing is Standing.IN_DOUBT:
        why = work.doubts[paper].reason
    return PaperShown(
        word=word,
        about=about,
        collection=collection,
        standing=standing,
        print_no=min(print_no, PRINTS_MAX),
        printed=printed,
        again=again,
        why=why,
    )


def _asked_for(visit: Visit, stop: StopWork, word: str, receipt_no: str, *, again: bool) -> PaperShown | None:
    """The paper that an address names; the usual one where it names none that is here."""
    picked = usual_paper(visit.work, stop)
    if word == "receipt":
        named = (one for one in stop.collections if str(one.record.receipt_no) == receipt_no)
        if (one := next(named, None)) is not None:
            picked = word, one
    elif word in KINDS and isinstance(_subject(visit.work, stop, word), Sealed):
        picked = word, None
    return paper_shown(visit.work, stop, picked, again=again) if picked is not None else None


def _of_address(visit: Visit, stop: StopWork) -> PaperShown | None:
    query = visit.request.query
    word = query.get("paper", query.get("kind", ""))
    return _asked_for(visit, stop, word, query.get("receipt_no", ""), again=query.get("again") == "1")


def _picked(word: str, receipt_no: int | None) -> dict[str, str | int]:
    return {"paper": word} | ({"receipt_no": receipt_no} if receipt_no is not None else {})


def _after(visit: Visit, stop: StopWork, shown: PaperShown) -> str | None:
    """What picks the next paper of this customer, for the switch; None where there is only one."""
    found = [(word, one) for word, one in papers_of(visit.work, stop)]
    places = [place for place, (word, one) in enumerate(found) if (word, one) == (shown.word, shown.collection)]
    following = found[(places[0] + 1) % len(found)] if places and len(found) > 1 else None
    if following is None and not places and found:
        following = found[0]  # From a voided receipt back to what may be printed.
    if following is None:
        return None
    word, one = following
    return urlencode(_picked(word, one.record.receipt_no if one is not None else None))


# Pages.


async def result(visit: Visit) -> web.Response:
    """The page. ?paper=, ?receipt_no= pick a paper; ?again=1 asks for a reprint."""
    customer = visit.stop().stop.customer
    await visit.app.dispatch(OpenStop(customer=customer))  # It may have been paid elsewhere.
    return visit.page("result.html", beside=False, **_context(visit, visit.stop()))


async def state(visit: Visit) -> web.Response:
    """For htmx, while a paper is being printed: nothing yet, or how it ended and what can be done now."""
    stop = visit.stop()
    shown = _of_address(visit, stop)
    if shown is not None and shown.standing is Standing.UNDER_WAY:
        return web.Response(status=204)
    return visit.page("result_ended.html", beside=True, **_context(visit, stop))


def _context(visit: Visit, stop: StopWork) -> dict[str, Any]:
    shown = _of_address(visit, stop)
    due = {which: stop.due(which) for which in Which}
    previous, following = visit.opened.index.neighbours(stop.stop.customer, visit.collector)
    hold = stop.hold()
    step = _step(visit, stop, shown)
    customer = stop.stop.customer
    mine = visit.opened.index.in_walking_order(visit.collector)
    return {
        "work": stop,
        "place": mine.index(stop) + 1,
        "places": len(mine),
        "shown": shown,
        "standing": shown.standing.name if shown is not None else "",
        "why": _why(visit, shown),
        "text": as_text(visit.app.session.desk.document(shown.job(customer)), COLUMNS_58_MM) if shown else "",
        "switch": _after(visit, stop, shown) if shown is not None else None,
        "switch_word": _switch_word(visit, stop, shown),
        "due_vnd": {which.name: due[which].amount_vnd for which in Which},
        "paid": stop.paid_collection(),
        "is_paid": stop.is_paid(),
        "hold": hold,
        "advice": HOLD_ADVICE.get(hold) if hold is not None else None,
        "may_lift": hold is not None and overridable(hold) and stop.taken is not None,
        "may_void": _may_void(visit, shown),
        "step": step.name,
        "has_shift": visit.has_shift,
        "previous": previous,
        "following": following,
    }


def _step(visit: Visit, stop: StopWork, shown: PaperShown | None) -> Step:
    """The most likely next step."""
    if shown is not None and shown.again:
        return Step.PRINT
    if stop.hold() is None and stop.due().amount_vnd > 0:
        return Step.COLLECT if visit.has_shift else Step.SHIFT
    if shown is not None:
        match shown.standing:
            case Standing.NOT_YET if shown.word != "receipt" and stop.is_paid():
                return Step.NEXT  # Nobody needs a paper of what is paid, unless they ask.
            case Standing.NOT_YET | Standing.WAITING:
                return Step.PRINT
            case Standing.IN_DOUBT:
                return Step.LOOK
            case Standing.OUT | Standing.UNDER_WAY | Standing.VOIDED:
                pass
    return Step.NEXT


def _why(visit: Visit, shown: PaperShown | None) -> tuple[str, str] | None:
    """What stands in the way of paper, in words: of this paper, else of any."""
    code = shown.why if shown is not None else None
    if code is None:
        code = visit.app.printer_trouble
    return paper_words(code) if code is not None else None


def _switch_word(visit: Visit, stop: StopWork, shown: PaperShown | None) -> str:
    """The kind of the paper that the switch leads to."""
    following = _after(visit, stop, shown) if shown is not None else None
    return following.partition("&")[0].removeprefix("paper=") if following is not None else ""


def _may_void(visit: Visit, shown: PaperShown | None) -> bool:
    """Whether the paper is a receipt of the visitor's own that stands."""
    one = shown.collection if shown is not None else None
    return one is not None and one.collector == visit.collector and not one.voided


async def picture(visit: Visit) -> web.Response:
    """The paper as it prints, for the screen. ?kind=, ?receipt_no=, ?again= as of the page. Raises HTTPNotFound."""
    stop = visit.stop()
    shown = _of_address(visit, stop)
    if shown is None:
        raise web.HTTPNotFound(reason="no such paper")
    document = visit.app.session.desk.document(shown.job(stop.stop.customer))
    try:
        png = await png_of(document, dots_of(visit.opened.press.printer))
    except PaperPictureError as error:
        sentence = visit._("The picture of this paper cannot be made.")
        return web.Response(status=503, text=f"{sentence} ({error.reason})")
    return web.Response(body=png, content_type="image/png")


async def print_paper(visit: Visit) -> web.Response:
    """Print the very number that the screen showed; the same tap again prints nothing more."""
    form = await visit.form()
    stop = visit.stop()
    word, receipt_no = form.text("paper", 10), form.number("receipt_no", 1, RECEIPT_NO_MAX)
    print_no = form.number("print_no", 1, PRINTS_MAX)
    if word not in KINDS or print_no is None:
        raise FormError("it names no paper")
    here = f"/stops/{stop.stop.customer}/result?{urlencode(_picked(word, receipt_no))}"
    about = visit.work.subject(KINDS[word], stop.stop.customer, receipt_no)
    if isinstance(about, Sealed) and _has_begun(visit.work, (about.digest, KINDS[word]), print_no):
        raise visit.see(here)
    if not may_act(visit):
        return visit.no(visit.why(Reason.NO_OPEN_SHIFT), back=here)
    outcome = await visit.ask(PrintPaper(kind=KINDS[word], customer=stop.stop.customer, receipt_no=receipt_no))
    if isinstance(outcome, Refused) and outcome.reason is not Reason.PRINT_UNDER_WAY:
        return visit.no(visit.why(outcome.reason), back=here)
    raise visit.see(here)


def _has_begun(work: Work, paper: tuple[bytes, PaperKind], print_no: int) -> bool:
    """Whether this print of a paper is out, may be, or is on its way."""
    job = work.job_of(paper)
    is_under_way = job is not None and work.papers[job] is PaperState.STARTED
    return is_under_way or work.prints.get(paper, 0) >= print_no


PAGES: tuple[Page, ...] = (
    get("/stops/{customer}/result", result),
    get("/stops/{customer}/result/state", state),
    get("/stops/{customer}/paper.png", picture),
    post("/stops/{customer}/print", print_paper),
)
