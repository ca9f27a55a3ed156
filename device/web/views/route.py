"""The day at a glance: period, route, progress against targets, and where the work goes on."""

from aiohttp import web

from device.core.commands import DownloadRoute, OpenShift
from device.core.effects import Refused
from device.core.stops import StopWork
from device.web.site import LAST_STOP, Page, Visit, get, post
from protocol.progress import Progress
from protocol.rules import BY_BANK, BY_TREASURY


async def route(visit: Visit) -> web.Response:
    """The route page."""
    work, shift = visit.work, visit.work.shift
    mine = visit.opened.index.in_walking_order(visit.collector)
    packages = [one for one in work.packages.values() if one.collector == visit.collector]
    policy = work.policy
    return visit.page(
        "route.html",
        packages=packages,
        policy=policy,
        progress=progress_of(mine),
        shift=shift if shift is not None and shift.collector == visit.collector else None,
        other_shift=shift is not None and shift.is_open and shift.collector != visit.collector,
        go_on=await next_stop(visit, mine),
        trouble=visit.app.session.exchange.trouble,
        busy=visit.app.session.exchange.busy,
        name=collector_name(visit),
    )


async def next_stop(visit: Visit, mine: list[StopWork]) -> StopWork | None:
    """Where the collector left off, or the first that is neither read nor skipped."""
    last = await visit.opened.shelf.preference(visit.collector, LAST_STOP)
    left = next((one for one in mine if one.stop.customer == last and not one.is_read), None)
    return left or next((one for one in mine if not one.is_read and one.skipped is None), None)


async def open_shift(visit: Visit) -> web.Response:
    """Begin the day."""
    form = await visit.form()
    outcome = await visit.ask(
        OpenShift(intent=form.intent, collector=visit.collector, business_date=form.text("business_date", 10) or None)
    )
    if isinstance(outcome, Refused):
        return visit.no(visit.why(outcome.reason), back="/route")
    raise visit.see("/route")


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


def collector_name(visit: Visit) -> str:
    """The visitor's name, as papers bear it."""
    policy = visit.work.policy
    cards = policy.collectors if policy is not None else ()
    return next((card.name for card in cards if card.code == visit.collector), visit.collector)


PAGES: tuple[Page, ...] = (
    get("/route", route),
    post("/shift/open", open_shift),
    post("/route/download", download),
)
