"""The status bar by itself, and the list behind its counter: what has not reached the hub, and why."""

from aiohttp import web

from device.core.commands import SendNow
from device.web.visit import Page, Visit, get, post
from protocol.sealed import Sealed

SHOWN_MAX = 100  # The rest is counted: nobody reads further down.


async def bar(visit: Visit) -> web.Response:
    """The bar as it is now, for htmx. To somebody who is not logged in it says nothing of anybody's work."""
    return visit.page("bar.html") if visit.visitor is not None else web.Response(status=204)


async def opened(visit: Visit) -> web.Response:
    """For the page that waits until the store is open: nothing yet, or look again."""
    return web.Response(headers={"HX-Refresh": "true"}) if visit.site.opened is not None else web.Response(status=204)


async def outbox(visit: Visit) -> web.Response:
    """What the hub does not have yet, the newest first, with why."""
    session = visit.app.session
    waiting = session.work.records[session.outbox.acked :]
    return visit.page(
        "outbox.html",
        records=[_line(visit, one) for one in reversed(waiting[-SHOWN_MAX:])],
        more=max(0, len(waiting) - SHOWN_MAX),
        trouble=session.outbox.trouble or session.exchange.trouble,
        last_contact_ms=session.exchange.last_contact_ms,
        acked=session.outbox.acked,
        hub_url=visit.site.admission.hub_url if visit.site.admission is not None else "",
    )


async def send(visit: Visit) -> web.Response:
    """Try the network at once."""
    await visit.ask(SendNow())
    raise visit.see("/outbox")


def _line(visit: Visit, sealed: Sealed) -> dict[str, object]:
    """A record in a list. Of another collector's work it says only that it is there."""
    evidence, record = sealed.header.evidence, sealed.record
    mine = evidence is not None and evidence.collector == visit.collector
    customer = getattr(record, "customer", None) if mine else None
    work = visit.work.stops.get(customer) if isinstance(customer, str) else None
    return {
        "seq": sealed.header.seq,
        "at_ms": sealed.header.at_ms,
        "title": record.TITLE,
        "name": work.stop.name if work is not None else "",
        "amount_vnd": getattr(record, "amount_vnd", None) if mine else None,
    }


PAGES: tuple[Page, ...] = (
    get("/status", bar, open_to_all=True, before_opening=True),
    get("/opened", opened, open_to_all=True, before_opening=True),
    get("/outbox", outbox),
    post("/outbox/send", send),
)
