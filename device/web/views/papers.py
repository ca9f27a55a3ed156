"""The papers page: what waits, what nobody is sure of, what is out, and what has to be handed back.

Nothing here prints by itself, and each print is asked for by its number: a second tap on the same button finds that
print made, and makes no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from aiohttp import web

from device.core.commands import ConfirmPaper, PrintPaper
from device.core.day import ShiftWork
from device.core.effects import Done, PaperState, Refused
from device.core.work import Paper, Work
from device.paper_words import paper_words
from device.web.phrases import said
from device.web.views.printer import LINES_MAX, Doing, Errands, errands_of, first_line
from device.web.visit import Page, Visit, get, post
from protocol.reasons import Reason
from protocol.records import (
    PRINTS_MAX,
    CashCollected,
    PaperKind,
    PaperPrinted,
    PrintOutcome,
    ReadingSkipped,
    ReadingTaken,
    ShiftClosed,
    ShiftOpened,
)
from protocol.sealed import Sealed

PAPER_MAX_S = 600.0  # Longer than any printer session takes over one paper; then the rest waits to be asked for again.


class Tab(StrEnum):
    """What a list shows."""

    DOUBT = "doubt"
    WAITING = "waiting"
    PRINTED = "printed"
    BACK = "back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A paper of the visitor. prints: how often it is out or may be. next_no: the print that a button asks for.

    in_doubt: which print nobody is sure of. why: in words, why it did not come out or may not have.
    """

    paper: Paper
    at_ms: int
    customer: str
    name: str
    address: str
    receipt_no: int | None
    amount_vnd: int | None
    prints: int
    waits: bool
    printing: bool
    in_doubt: int | None
    voided: bool
    why: str | None

    @property
    def kind(self) -> PaperKind:
        return self.paper[1]

    @property
    def next_no(self) -> int:
        return self.prints + 1

    @property
    def path(self) -> str:
        """Where it is looked at."""
        about, kind = self.paper
        return f"/papers/{about.hex()}/{kind.name}"


def current_day(visit: Visit) -> ShiftWork | None:
    """The visitor's day: the one at work, or the last one on this handheld. Never somebody else's."""
    work = visit.work
    if work.shift is not None and work.shift.collector == visit.collector:
        return work.shift
    mine = [day for (collector, _), day in work.days.items() if collector == visit.collector]
    return max(mine, key=lambda day: day.business_date, default=None)


def may_act(visit: Visit) -> bool:
    """Whether what is recorded now would bear the visitor's name: the last shift here is theirs."""
    return visit.work.shift is not None and visit.work.shift.collector == visit.collector


def is_mine(visit: Visit, about: Sealed) -> bool:
    """Whether the record that a paper shows was made by the visitor."""
    return about.header.evidence is not None and about.header.evidence.collector == visit.collector


def line_of(visit: Visit, paper: Paper) -> Line:
    """A paper as it stands now."""
    work = visit.work
    about, job, doubt = work.by_digest[paper[0]], work.job_of(paper), work.doubts.get(paper)
    record = about.record
    customer = getattr(record, "customer", None) or ""
    stop = work.stops.get(customer)
    receipt_no = record.receipt_no if isinstance(record, CashCollected) else None
    collection = work.collection(receipt_no) if receipt_no is not None else None
    why = doubt.reason if doubt is not None else work.why_not(job) if job is not None else None
    return Line(
        paper=paper,
        at_ms=about.header.at_ms,
        customer=customer,
        name=stop.stop.name if stop is not None else customer,
        address=stop.stop.address if stop is not None else "",
        receipt_no=receipt_no,
        amount_vnd=getattr(record, "amount_vnd", None),
        prints=work.prints.get(paper, 0),
        waits=job is not None,
        printing=job is not None and work.papers[job] is PaperState.STARTED,
        in_doubt=doubt.print_no if doubt is not None else None,
        voided=collection is not None and collection.voided,
        why=None if why is None else said(paper_words(why), visit.language),
    )


def _can_print(work: Work, paper: Paper) -> bool:
    """Whether PrintPaper would pick this very paper: a newer reading or day slip takes the place of an older one."""
    about = work.by_digest[paper[0]]
    shown = work.subject(paper[1], getattr(about.record, "customer", None) or "", _receipt_no(about))
    return isinstance(shown, Sealed) and shown.digest == about.digest


def _receipt_no(about: Sealed) -> int | None:
    return about.record.receipt_no if isinstance(about.record, CashCollected) else None


# Lists.


def waiting(visit: Visit) -> list[Paper]:
    """The visitor's papers that have not come out, the oldest first; those in doubt stand in a list of their own."""
    work = visit.work
    jobs = sorted(work.papers, key=lambda job: work.by_digest[job.about].header.seq)
    papers = ((job.about, job.kind) for job in jobs)
    mine = (paper for paper in papers if is_mine(visit, work.by_digest[paper[0]]))
    return [paper for paper in mine if paper not in work.doubts and _can_print(work, paper)]


def doubtful(visit: Visit) -> list[Paper]:
    """The visitor's papers of which nobody can say whether they are out."""
    work = visit.work
    return [paper for paper in work.doubts if is_mine(visit, work.by_digest[paper[0]])]


def printed(visit: Visit, day: ShiftWork | None) -> list[Paper]:
    """The visitor's papers that came out on their day, the latest first."""
    doubts = visit.work.doubts
    papers = dict.fromkeys((end.about, end.paper) for end in reversed(list(prints_of(visit, day))))
    return [paper for paper in papers if paper not in doubts and not _is_voided(visit.work, paper)]


def handed_back(visit: Visit, day: ShiftWork | None) -> list[Paper]:
    """Receipts of the day that are out, or may be, though their collection is voided: the paper has to come back."""
    work = visit.work
    voided = (work.collection(record.receipt_no) for record in (day.voided if day is not None else ()))
    papers = ((one.sealed.digest, PaperKind.RECEIPT) for one in voided if one is not None)
    return [paper for paper in papers if work.prints.get(paper, 0)]


def prints_of(visit: Visit, day: ShiftWork | None) -> Iterator[PaperPrinted]:
    """Ends of prints since the visitor's day began: what is out or may be."""
    begun = False
    for sealed in visit.work.records:
        match sealed.record:
            case ShiftOpened(business_date=date) if day is not None and date == day.business_date:
                begun = begun or is_mine(visit, sealed)
            case PaperPrinted(outcome=PrintOutcome.NOT_PRINTED):
                pass
            case PaperPrinted() as end if begun and is_mine(visit, visit.work.by_digest[end.about]):
                yield end


def _is_voided(work: Work, paper: Paper) -> bool:
    one = work.collection(_receipt_no(work.by_digest[paper[0]]) or 0)
    return one is not None and one.voided


def not_shown(visit: Visit) -> int:
    """How many papers of the bar's counter are not in these lists: somebody else's, or replaced by newer ones."""
    shown = {*waiting(visit), *doubtful(visit)}
    counted = {*((job.about, job.kind) for job in visit.work.papers), *visit.work.doubts}
    return len(counted - shown)


# Pages.


async def papers(visit: Visit) -> web.Response:
    """The lists. ?show= one of Tab; without it the first that asks for something."""
    day = current_day(visit)
    lists: dict[Tab, list[Paper]] = {
        Tab.DOUBT: doubtful(visit),
        Tab.WAITING: waiting(visit),
        Tab.PRINTED: printed(visit, day),
        Tab.BACK: handed_back(visit, day),
    }
    wanted = visit.request.query.get("show", "")
    asking = next((tab for tab in (Tab.DOUBT, Tab.WAITING, Tab.BACK) if lists[tab]), Tab.PRINTED)
    tab = Tab(wanted) if wanted in set(Tab) else asking
    shown = lists[tab]
    first = first_line(visit, len(shown))
    return visit.page(
        "papers.html",
        tab=tab.value,
        counts={one.value: len(lists[one]) for one in Tab},
        lines=[line_of(visit, paper) for paper in shown[first : first + LINES_MAX]],
        before=first - LINES_MAX if first else None,
        behind=first + LINES_MAX if first + LINES_MAX < len(shown) else None,
        others=not_shown(visit),
        may_act=may_act(visit),
        state=_state(visit),
    )


async def state_part(visit: Visit) -> web.Response:
    """What is printing, for htmx: a line of fixed height above lists that stay as they are."""
    return visit.page("papers_state.html", state=_state(visit))


def _state(visit: Visit) -> dict[str, str | bool | int | None]:
    trouble, errands = visit.opened.press.trouble, errands_of(visit.opened.press)
    return {
        "busy": visit.opened.press.busy,
        "in_turn": errands.doing is Doing.PAPERS,
        "trouble": None if trouble is None else said(paper_words(trouble), visit.language),
        "stopped_by": errands.stopped_by,
        "left": len(waiting(visit)),
        "doubts": len(doubtful(visit)),
    }


async def paper(visit: Visit) -> web.Response:
    """One paper, and what can be done about it."""
    found = _paper(visit)
    return visit.page(
        "papers_one.html",
        line=line_of(visit, found),
        can_print=_can_print(visit.work, found),
        may_act=may_act(visit),
        most=PRINTS_MAX,
    )


async def paper_part(visit: Visit) -> web.Response:
    """How one paper stands, for htmx."""
    return visit.page("papers_one_state.html", line=line_of(visit, _paper(visit)))


def _paper(visit: Visit) -> Paper:
    """The paper of the address, if the visitor made what it shows. Raises HTTPNotFound."""
    text, name = visit.request.match_info["about"], visit.request.match_info["kind"]
    try:
        about, kind = visit.work.by_digest[bytes.fromhex(text)], PaperKind[name]
    except (ValueError, LookupError) as error:
        raise web.HTTPNotFound(reason="no such paper") from error
    if not is_mine(visit, about) or not _shows(kind, about):
        raise web.HTTPNotFound(reason="no such paper")
    return about.digest, kind


def _shows(kind: PaperKind, about: Sealed) -> bool:
    """Whether there is such a paper of a record."""
    match kind:
        case PaperKind.RECEIPT:
            return isinstance(about.record, CashCollected)
        case PaperKind.DAY_SLIP:
            return isinstance(about.record, ShiftClosed)
        case PaperKind.BILL_NOTICE | PaperKind.NOTICE:
            return isinstance(about.record, ReadingTaken | ReadingSkipped)


# What can be done.


async def print_one(visit: Visit) -> web.Response:
    """Print a paper: the print that the button named, and none beyond it."""
    found, form = _paper(visit), await visit.form()
    line = line_of(visit, found)
    if form.number("print_no", 1, PRINTS_MAX) != line.next_no or line.printing:
        raise visit.see(line.path)
    if (refusal := await print_paper(visit, found)) is not None:
        return visit.no(visit.why(refusal), back=line.path)
    raise visit.see(line.path)


async def print_paper(visit: Visit, paper: Paper) -> Reason | None:
    """Ask for a print; why not, if it is refused."""
    if not may_act(visit):
        return Reason.NO_OPEN_SHIFT
    about = visit.work.by_digest[paper[0]]
    if not _can_print(visit.work, paper):
        return Reason.PAPER_NOT_FOUND
    customer = getattr(about.record, "customer", None) or ""
    outcome = await visit.ask(PrintPaper(kind=paper[1], customer=customer, receipt_no=_receipt_no(about)))
    return None if isinstance(outcome, Done) else outcome.reason


async def confirm(visit: Visit) -> web.Response:
    """It did print: the print that the page asked about."""
    found, form = _paper(visit), await visit.form()
    line = line_of(visit, found)
    if form.number("print_no", 1, PRINTS_MAX) != line.in_doubt:
        raise visit.see(line.path)  # Answered already, or another print has come between.
    if not may_act(visit):
        return visit.no(visit.why(Reason.NO_OPEN_SHIFT), back=line.path)
    outcome = await visit.ask(ConfirmPaper(kind=line.kind, customer=line.customer, receipt_no=line.receipt_no))
    if isinstance(outcome, Refused):
        return visit.no(visit.why(outcome.reason), back=line.path)
    raise visit.see("/papers")


async def print_waiting(visit: Visit) -> web.Response:
    """Print what waits, one behind the other."""
    await visit.form()
    if not may_act(visit):
        return visit.no(visit.why(Reason.NO_OPEN_SHIFT), back="/papers")
    errands = errands_of(visit.opened.press)
    errands.begin(Doing.PAPERS, partial(_print_in_turn, visit, errands, waiting(visit)))
    raise visit.see("/papers?show=waiting")


async def _print_in_turn(visit: Visit, errands: Errands, wanted: list[Paper]) -> None:
    """The next one only after the one before is certainly out: what stops one would stop or spoil the rest."""
    work, errands.stopped_by = visit.work, None
    for paper in wanted:
        if work.job_of(paper) is None:
            continue  # Voided, or printed from another page meanwhile.
        if (refusal := await print_paper(visit, paper)) is not None:
            errands.stopped_by = visit.why(refusal)
            return
        await visit.app.until(partial(_has_ended, work, paper), PAPER_MAX_S)
        line = line_of(visit, paper)
        if line.waits or line.in_doubt is not None:
            errands.stopped_by = line.why
            return


def _has_ended(work: Work, paper: Paper) -> bool:
    job = work.job_of(paper)
    return job is None or work.papers[job] is not PaperState.STARTED


PAGES: tuple[Page, ...] = (
    get("/papers", papers),
    get("/papers/state", state_part),
    post("/papers/print", print_waiting),
    get("/papers/{about}/{kind}", paper),
    get("/papers/{about}/{kind}/state", paper_part),
    post("/papers/{about}/{kind}/print", print_one),
    post("/papers/{about}/{kind}/seen", confirm),
)
