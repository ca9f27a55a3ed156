"""The day at a glance: period, route, progress against targets, and where the work goes on."""

from dataclasses import dataclass

from aiohttp import web

from device.core.commands import DownloadRoute, OpenShift
from device.core.effects import Refused
from device.core.stops import StopWork
from device.web.visit import LAST_STOP, Page, Visit, get, post
from protocol.package import RoutePackage
from protocol.progress import Progress
from protocol.reasons import Reason
from protocol.records import ContactNoted
from protocol.rules import BY_BANK, BY_TREASURY
from protocol.values import is_date, local_date

DATE_DIGITS = 8  # Day, month and year, as everybody here writes them: 24112026.


async def route(visit: Visit) -> web.Response:
    """The route page."""
    last = await visit.opened.shelf.preference(visit.collector, LAST_STOP)
    work, shift = visit.work, visit.work.shift
    mine = visit.opened.index.in_walking_order(visit.collector)
    go_on = next_stop(mine, last)
    today = local_date(_now_ms(visit))
    my_shift = shift if shift is not None and shift.is_open and shift.collector == visit.collector else None
    return visit.page(
        "route.html",
        policy=work.policy,
        progress=progress_of(mine),
        shift=my_shift,
        is_late=my_shift is not None and my_shift.business_date < today,
        other_shift=collector_name(visit, shift.collector)
        if shift is not None and shift.is_open and my_shift is None
        else None,
        go_on=go_on,
        go_on_place=mine.index(go_on) + 1 if go_on is not None else 0,
        promised=sum(_is_promised_by(one, today) for one in mine),
        name=collector_name(visit, visit.collector),
        data=_data(visit),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What the handheld holds for a visitor, and how a download goes. packages: the newest period first."""

    packages: list[RoutePackage]
    now_ms: int
    is_busy: bool
    trouble: str

    @property
    def newest(self) -> RoutePackage | None:
        """What a shift is opened for."""
        return self.packages[0] if self.packages else None

    @property
    def is_expired(self) -> bool:
        return self.newest is not None and self.newest.expires_ms < self.now_ms

    @property
    def clock_is_behind(self) -> bool:
        """Whether the clock stands before the data was made: no business date follows from it."""
        return self.newest is not None and self.now_ms < self.newest.issued_ms

    @property
    def held(self) -> str:
        """Which data a screen was made from: another text, another screen."""
        return ".".join(f"{one.route}-{one.version}" for one in self.packages)


def _data(visit: Visit) -> Data:
    exchange = visit.app.session.exchange
    return Data(packages=_packages(visit), now_ms=_now_ms(visit), is_busy=exchange.busy, trouble=exchange.trouble)


def _packages(visit: Visit) -> list[RoutePackage]:
    mine = [one for one in visit.work.packages.values() if one.collector == visit.collector]
    return sorted(mine, key=lambda one: (one.period, one.issued_ms, one.route), reverse=True)


def _now_ms(visit: Visit) -> int:
    """The clock, as far as the hub or the satellites have put it right; the core asks the same one."""
    return visit.app.session.pen.corrected_ms(visit.site.clock.now())


def next_stop(mine: list[StopWork], last: str | None) -> StopWork | None:
    """Where the collector left off; else the next on the walk that is neither read nor skipped, from the door on.

    last: the customer whose door that was.
    """
    place = next((place for place, one in enumerate(mine) if one.stop.customer == last), 0)
    ahead = mine[place:] + mine[:place]
    if ahead and ahead[0].stop.customer == last and not ahead[0].is_read:
        return ahead[0]
    return next((one for one in ahead if not one.is_read and one.skipped is None), None)


def _is_promised_by(work: StopWork, today: str) -> bool:
    """Whether somebody is waited for at a door, today or since an earlier day."""
    if not work.comes_back or work.contact is None:
        return False
    assert isinstance(work.contact.record, ContactNoted)
    day = work.contact.record.come_back
    return day is not None and day <= today


async def exchange_part(visit: Visit) -> web.Response:
    """How a download goes, for htmx. Other data than the screen was made from makes it anew."""
    data = _data(visit)
    part = visit.page("route_data.html", data=data)
    if visit.request.query.get("held", "") != data.held:
        part.headers["HX-Refresh"] = "true"
    return part


async def open_shift(visit: Visit) -> web.Response:
    """Begin the day. Where the clock cannot be right, the business date is asked for."""
    form = await visit.form()
    typed = form.text("day", 20)
    business_date = _typed_date(typed) if typed else None
    if typed and (business_date is None or not _is_within_data(visit, business_date)):
        return _date_page(visit, typed=typed)
    outcome = await visit.ask(OpenShift(intent=form.intent, collector=visit.collector, business_date=business_date))
    if isinstance(outcome, Refused) and outcome.reason is Reason.DATE_INPUT:
        return _date_page(visit, typed="")
    if isinstance(outcome, Refused) and outcome.reason is not Reason.SHIFT_IS_OPEN:
        return visit.no(visit.why(outcome.reason), back="/route")
    raise visit.see("/route")


def _date_page(visit: Visit, *, typed: str) -> web.Response:
    """Ask for the business date. typed: what it cannot be."""
    return visit.page("business_date.html", status=409, typed=typed, package=_data(visit).newest, digits=DATE_DIGITS)


def _typed_date(typed: str) -> str | None:
    """A civil date keyed as day, month and year, with or without strokes between."""
    digits = "".join(letter for letter in typed if letter not in "/-. ")
    day = f"{digits[4:]}-{digits[2:4]}-{digits[:2]}"
    return day if len(digits) == DATE_DIGITS and digits.isascii() and digits.isdigit() and is_date(day) else None


def _is_within_data(visit: Visit, day: str) -> bool:
    """Whether a date lies within the validity of the newest data: a slip of a key would name another month's day."""
    newest = _data(visit).newest
    return newest is None or local_date(newest.issued_ms) <= day <= local_date(newest.expires_ms)


async def download(visit: Visit) -> web.Response:
    """Ask the hub for the route; the page shows how it goes."""
    await visit.form()
    outcome = await visit.ask(DownloadRoute())
    if isinstance(outcome, Refused):
        return visit.no(visit.why(outcome.reason), back="/route")
    raise visit.see("/route")


def progress_of(mine: list[StopWork]) -> Progress:
    """Counts over the stops of one collector."""
    cash = [one for one in mine if one.facts_now.payment_method not in (BY_BANK, BY_TREASURY)]
    return Progress(
        stops=len(mine),
        read=sum(one.is_read for one in mine),
        cash_customers=len(cash),
        cash_paid=sum(one.is_paid() for one in cash),
    )


def collector_name(visit: Visit, collector: str) -> str:
    """A collector's name, as papers bear it."""
    policy = visit.work.policy
    cards = policy.collectors if policy is not None else ()
    return next((card.name for card in cards if card.code == collector), collector)


PAGES: tuple[Page, ...] = (
    get("/route", route),
    get("/route/exchange", exchange_part),
    post("/shift/open", open_shift),
    post("/route/download", download),
)
