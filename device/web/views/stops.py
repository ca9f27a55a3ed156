"""The list of customers: filters, orders, search, who is near; the visit to come back from, and the telephone number.

What a line says is asked of the work each time: 2,757 customers are counted in a few milliseconds, so nothing is kept
that could be out of date.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum
from urllib.parse import urlencode

from aiohttp import web

from device.core.commands import NoteContact
from device.core.effects import Refused
from device.core.stops import Due, StopWork
from device.stop_index import distance_m
from device.web.views.route import next_stop
from device.web.visit import LAST_STOP, Page, Visit, get, post
from protocol.readings import READING_CODES
from protocol.reasons import Reason, Scope, scope
from protocol.records import ContactNoted, ContactOutcome, ReadingSkipped
from protocol.rules import BY_BANK, BY_TREASURY
from protocol.values import Fix, NoFix, is_date, local_date

PAGE_STOPS = 50  # A list that scrolls well on a slow machine; 2,757 customers make 56 pages.
QUERY_MAX = 60  # Longer than any name that somebody keys.
NOTE_MAX = 200  # Two sentences, written standing at a door.
SOON_DAYS = 3
SEARCH_DAYS = 62  # A typed day of the month is the next one there is: the 31st is two months off at most.

# What people read of an outcome: Vietnamese, English. The order is that of the keys 1 to 4.
OUTCOME_WORDS: Mapping[ContactOutcome, tuple[str, str]] = {
    ContactOutcome.NOBODY_HOME: ("Không có ai ở nhà", "Nobody at home"),
    ContactOutcome.NO_MONEY_NOW: ("Khách chưa có tiền", "No money now"),
    ContactOutcome.PAYS_LATER: ("Khách hẹn trả sau", "Will pay later"),
    ContactOutcome.OTHER: ("Lý do khác", "Another reason"),
}
WEEKDAYS = (
    ("thứ hai", "Monday"),
    ("thứ ba", "Tuesday"),
    ("thứ tư", "Wednesday"),
    ("thứ năm", "Thursday"),
    ("thứ sáu", "Friday"),
    ("thứ bảy", "Saturday"),
    ("chủ nhật", "Sunday"),
)


class Show(Enum):
    """Which customers a list shows; by these names in its address."""

    ALL = "all"
    UNREAD = "unread"
    UNCOLLECTED = "uncollected"
    HELD = "held"
    BACK = "back"
    SWEEP = "sweep"


class Order(Enum):
    """How a list is sorted; within each the order of the walk stays."""

    WALK = "walk"
    UNREAD = "unread"
    UNCOLLECTED = "uncollected"
    NEAR = "near"


ORDERS_IN_TURN = (Order.WALK, Order.UNREAD, Order.UNCOLLECTED)  # One key goes through them; nearness has its own.


def is_uncollected(work: StopWork) -> bool:
    """Whether this period's bill is still to be taken in cash; counted as progress is."""
    return work.facts_now.payment_method not in (BY_BANK, BY_TREASURY) and not work.is_paid()


def _is_left_from_before(work: StopWork) -> bool:
    """Whether a second round goes there: somebody has been at the door, and the money is still out."""
    visited = work.is_read or work.skipped is not None or work.contact is not None
    return visited and is_uncollected(work)


FILTERS: Mapping[Show, Callable[[StopWork], bool]] = {
    Show.ALL: lambda work: True,
    Show.UNREAD: lambda work: not work.is_read,
    Show.UNCOLLECTED: is_uncollected,
    Show.HELD: lambda work: work.hold() is not None,
    Show.BACK: lambda work: work.comes_back,
    Show.SWEEP: _is_left_from_before,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A customer in a list. place: on the visitor's walk, from 1. skipped: why the meter could not be read.
    notice_ms: when a notice was left. contact: the visit to come back from.
    """

    work: StopWork
    place: int
    due: Due
    skipped: tuple[str, str] | None
    contact: ContactNoted | None
    notice_ms: int | None
    distance_m: int | None

    @property
    def distance(self) -> str:
        """The distance as people say it: metres, and kilometres from one on."""
        metres = self.distance_m or 0
        return f"{metres} m" if metres < 1_000 else f"{metres // 1_000},{metres % 1_000 // 100} km"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the address of a list asks for."""

    show: Show
    order: Order
    page: int | None = None

    def path(self, *, show: Show | None = None, order: Order | None = None, page: int | None = None) -> str:
        """The address of a list like this one, but for what is named."""
        wanted = {"show": (show or self.show).value, "sort": (order or self.order).value}
        if page is not None:
            wanted["page"] = str(page)
        return f"/stops?{urlencode(wanted)}"

    @property
    def next_order(self) -> Order:
        """What the sorting key leads to."""
        turn = ORDERS_IN_TURN.index(self.order) + 1 if self.order in ORDERS_IN_TURN else 0
        return ORDERS_IN_TURN[turn % len(ORDERS_IN_TURN)]


async def stops(visit: Visit) -> web.Response:
    """The list. ?show= a filter, ?sort= an order, ?page= from 1; without a page, the one that was left."""
    listing = _listing(visit)
    last = await visit.opened.shelf.preference(visit.collector, LAST_STOP)
    mine = visit.opened.index.in_walking_order(visit.collector)
    fix = visit.app.session.pen.fix(visit.site.clock.now())
    shown = _sorted([work for work in mine if FILTERS[listing.show](work)], listing, fix)
    pages = max(1, -(-len(shown) // PAGE_STOPS))
    page = min(max(1, listing.page or _page_of(last, shown)), pages)
    near = listing.order is Order.NEAR
    go_on = next_stop(mine, last)
    return visit.page(
        "stops.html",
        listing=listing,
        Show=Show,
        Order=Order,
        counts={show: sum(map(suits, mine)) for show, suits in FILTERS.items()},
        lines=_lines(visit, shown[(page - 1) * PAGE_STOPS : page * PAGE_STOPS], fix if near else None),
        page=page,
        pages=pages,
        total=len(shown),
        last=last,
        fix=fix if near and isinstance(fix, Fix) else None,
        no_fix=fix if near and isinstance(fix, NoFix) else None,
        go_on=go_on,
        go_on_place=mine.index(go_on) + 1 if go_on is not None else 0,
        outcomes=OUTCOME_WORDS,
    )


def _listing(visit: Visit) -> Listing:
    query = visit.request.query
    shows, orders = {one.value: one for one in Show}, {one.value: one for one in Order}
    page = query.get("page", "")
    return Listing(
        show=shows.get(query.get("show", ""), Show.ALL),
        order=orders.get(query.get("sort", ""), Order.WALK),
        page=int(page) if page.isascii() and page.isdigit() and len(page) < 6 else None,
    )


def _sorted(works: list[StopWork], listing: Listing, fix: Fix | NoFix) -> list[StopWork]:
    """In the order asked for. Without a position, nearness leaves the walk as it is."""
    if listing.show is Show.BACK:
        works = sorted(works, key=_comes_back_on)
    elif listing.show is Show.HELD:  # First those at whose door something can be done about it.
        works = sorted(works, key=_is_held_for_ever)
    match listing.order:
        case Order.UNREAD:
            return sorted(works, key=lambda work: work.is_read)
        case Order.UNCOLLECTED:
            return sorted(works, key=lambda work: not is_uncollected(work))
        case Order.NEAR if isinstance(fix, Fix):
            far = {work.stop.customer: distance_m(fix, work.stop) for work in works}
            return sorted(works, key=lambda work: _nearness(far[work.stop.customer]))
    return works


def _nearness(metres: int | None) -> tuple[bool, int]:
    """Those whose place nobody knows come last."""
    return metres is None, metres or 0


def _comes_back_on(work: StopWork) -> str:
    """The day that was promised; promises without a day come last."""
    noted = _contact(work)
    return noted.come_back or "9" if noted is not None else "9"


def _is_held_for_ever(work: StopWork) -> bool:
    reason = work.hold()
    return reason is not None and scope(reason) is Scope.EVERY_BILL


def _page_of(customer: str | None, works: list[StopWork]) -> int:
    place = next((place for place, work in enumerate(works) if work.stop.customer == customer), 0)
    return place // PAGE_STOPS + 1


def _lines(visit: Visit, works: list[StopWork], fix: Fix | NoFix | None) -> list[Line]:
    index = visit.opened.index
    mine = index.in_walking_order(visit.collector)
    places = {work.stop.customer: place for place, work in enumerate(mine, 1)}
    return [
        Line(
            work=work,
            place=places[work.stop.customer],
            due=work.due(),
            skipped=_why_skipped(work),
            contact=_contact(work) if work.comes_back else None,
            notice_ms=index.notice_left_ms(work),
            distance_m=distance_m(fix, work.stop) if isinstance(fix, Fix) else None,
        )
        for work in works
    ]


def _why_skipped(work: StopWork) -> tuple[str, str] | None:
    if work.is_read or work.skipped is None:
        return None
    assert isinstance(work.skipped.record, ReadingSkipped)
    code = READING_CODES[work.skipped.record.code]
    return code.vi, code.en


def _contact(work: StopWork) -> ContactNoted | None:
    if work.contact is None:
        return None
    assert isinstance(work.contact.record, ContactNoted)
    return work.contact.record


async def search(visit: Visit) -> web.Response:
    """The search page. ?open=1: go to the first that is found. ?letters=1: letters are drawn instead of the keypad."""
    query, found = _found(visit)
    if visit.request.query.get("open") == "1" and found:
        raise visit.see(f"/stops/{found[0].stop.customer}")
    letters = visit.request.query.get("letters") == "1"
    lines = _lines(visit, found, None)
    return visit.page("stops_search.html", query=query, letters=letters, lines=lines, outcomes=OUTCOME_WORDS)


async def found_part(visit: Visit) -> web.Response:
    """What is found for what has been typed so far. For htmx."""
    query, found = _found(visit)
    return visit.page("stops_found.html", query=query, lines=_lines(visit, found, None), outcomes=OUTCOME_WORDS)


def _found(visit: Visit) -> tuple[str, list[StopWork]]:
    query = visit.request.query.get("q", "")[:QUERY_MAX]
    return query, visit.opened.index.search(query, visit.collector)


# Coming back later.


def next_day_of_month(today: str, day: int) -> str | None:
    """The next civil date with this day of the month, today included; None where no month has it."""
    first = date.fromisoformat(today)
    ahead = (first + timedelta(days=days) for days in range(SEARCH_DAYS + 1))
    return next((one.isoformat() for one in ahead if one.day == day), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The day to come back on as it is being chosen. typed: a day of the month; day: what it or the choice means."""

    today: str
    chosen: str | None
    day: str | None
    typed: str = ""

    @property
    def is_impossible(self) -> bool:
        """Whether what was typed is no day of a month."""
        return bool(self.typed) and self.day is None

    @property
    def weekday(self) -> tuple[str, str]:
        assert self.day is not None
        return WEEKDAYS[date.fromisoformat(self.day).weekday()]

    def after(self, days: int) -> str:
        """The civil date some days from today."""
        return (date.fromisoformat(self.today) + timedelta(days=days)).isoformat()

    @property
    def later(self) -> str:
        """The day behind the one that is chosen; today where none is."""
        return self.today if self.day is None else _moved(self.day, 1)

    @property
    def earlier(self) -> str:
        """The day before the one that is chosen; "" before today."""
        return "" if self.day is None or self.day <= self.today else _moved(self.day, -1)


def _moved(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def _promise(visit: Visit, fields: Mapping[str, str]) -> Promise:
    """What a form or an address says of the day. What was typed goes before what was chosen."""
    now = visit.site.clock.now()
    today = local_date(visit.app.session.pen.corrected_ms(now))
    typed, day = fields.get("day_of_month", ""), fields.get("day", "")
    chosen = day if is_date(day) else None
    if typed.isascii() and typed.isdigit() and len(typed) <= 2:
        return Promise(today=today, chosen=chosen, day=next_day_of_month(today, int(typed)), typed=typed)
    return Promise(today=today, chosen=chosen, day=chosen)


async def contact(visit: Visit) -> web.Response:
    """Why nothing was collected; and then, when to come back."""
    outcome = _outcome(visit)
    if outcome is not None:
        return _promise_page(visit, "contact_when.html", outcome)
    work = visit.stop()
    return visit.page("contact.html", work=work, outcomes=OUTCOME_WORDS, noted=_contact(work))


async def contact_day(visit: Visit) -> web.Response:
    """The day that is being chosen. For htmx."""
    outcome = _outcome(visit)
    if outcome is None:
        raise web.HTTPNotFound(reason="no such outcome")
    return _promise_page(visit, "contact_day.html", outcome)


def _outcome(visit: Visit) -> ContactOutcome | None:
    return ContactOutcome.__members__.get(visit.request.query.get("outcome", ""))


def _promise_page(visit: Visit, template: str, outcome: ContactOutcome) -> web.Response:
    """The page on which a day is chosen, or the part of it that says which. Beside letters there is no keypad, so what
    had been typed on one becomes the choice.
    """
    promise, letters = _promise(visit, visit.request.query), visit.request.query.get("letters") == "1"
    return visit.page(
        template,
        work=visit.stop(),
        outcome=outcome,
        words=OUTCOME_WORDS[outcome],
        promise=replace(promise, chosen=promise.day, typed="") if letters else promise,
        letters=letters,
        note_max=NOTE_MAX,
        soon_days=SOON_DAYS,
    )


async def note_contact(visit: Visit) -> web.Response:
    """Save it, and on to the next customer."""
    form = await visit.form()
    work = visit.stop()
    outcome, promise = form.member("outcome", ContactOutcome), _promise(visit, form.fields)
    here = f"/stops/{work.stop.customer}/contact?outcome={outcome.name}"
    if promise.is_impossible:
        return visit.no(visit._("There is no such day of the month. Nothing was recorded."), back=here)
    answer = await visit.ask(
        NoteContact(
            intent=form.intent,
            customer=work.stop.customer,
            outcome=outcome,
            come_back=promise.day,
            note=form.text("note", NOTE_MAX) or None,
        )
    )
    if isinstance(answer, Refused):
        back = "/route" if answer.reason is Reason.NO_OPEN_SHIFT else here
        return visit.no(visit.why(answer.reason), back=back)
    _, following = visit.opened.index.neighbours(work.stop.customer, visit.collector)
    raise visit.see(f"/stops/{following.stop.customer}/reading" if following is not None else "/stops")


async def phone(visit: Visit) -> web.Response:
    """The telephone number and the address for collecting, large enough to be read at arm's length."""
    return visit.page("phone.html", work=visit.stop())


PAGES: tuple[Page, ...] = (
    get("/stops", stops),
    get("/stops/search", search),
    get("/stops/found", found_part, typed=True),
    get("/stops/{customer}/contact", contact),
    get("/stops/{customer}/contact/day", contact_day, typed=True),
    post("/stops/{customer}/contact", note_contact),
    get("/stops/{customer}/phone", phone),
)
