"""Lifting a hold: why, and the ten digits that a supervisor reads out. A code is spent on one reading alone."""

from collections.abc import Mapping

from aiohttp import web

from device.access import Denied
from device.core.commands import OverrideHold
from device.core.effects import Done
from device.core.stops import StopWork
from device.web.texts import require_sealable
from device.web.views.login import denial_words
from device.web.visit import Page, Visit, get, post
from protocol.reasons import Reason, overridable

CODE_DIGITS = 10
BECAUSE_LENGTH_MAX = 200
# Why a supervisor lifts a hold: (Vietnamese, English). Records keep the Vietnamese: the office reads it.
BECAUSE: Mapping[str, tuple[str, str]] = {
    "looked-again": ("Đã xem lại đồng hồ, chỉ số đúng", "The meter was looked at again and the index is right"),
    "used-less": ("Nhà đi vắng, dùng ít nước", "The house was empty or used little water"),
    "last-was-wrong": ("Kỳ trước ghi sai hoặc ghi ước", "Last period's index was wrong or estimated"),
    "customer-asked": (
        "Khách muốn trả ngay, giám sát đồng ý",
        "The customer wants to pay now, and the supervisor agrees",
    ),
}


async def override(visit: Visit) -> web.Response:
    """First why, then the code. ?because= of BECAUSE, or ?words= typed."""
    stop, query = visit.stop(), visit.request.query
    because = BECAUSE[query["because"]][0] if query.get("because") in BECAUSE else query.get("words", "").strip()
    return _page(visit, stop, because[:BECAUSE_LENGTH_MAX])


def _page(
    visit: Visit, stop: StopWork, because: str, *, sentence: str | None = None, status: int = 200
) -> web.Response:
    hold, back = stop.hold(), f"/stops/{stop.stop.customer}/result"
    if hold is None or stop.taken is None or not overridable(hold):
        return visit.no(visit.why(Reason.NOTHING_TO_OVERRIDE), back=back)
    return visit.page(
        "override_code.html" if because else "override.html",
        status=status,
        work=stop,
        hold=hold,
        reasons=BECAUSE,
        because=because,
        because_said=next((pair for pair in BECAUSE.values() if pair[0] == because), (because, because)),
        has_bill=stop.bill() is not None,
        sentence=sentence,
        digits=CODE_DIGITS,
        length=BECAUSE_LENGTH_MAX,
        back=back,
    )


async def lift(visit: Visit) -> web.Response:
    """Check the code and lift the hold; a wrong one is said in words, with how long to wait."""
    form = await visit.form()
    stop = visit.stop()
    because, code = form.text("because", BECAUSE_LENGTH_MAX), form.text("code", CODE_DIGITS)
    intent = form.intent
    if not because:
        return _page(visit, stop, "")
    if not visit.has_shift:  # A code is checked before the session is asked: none is spent or guessed for nothing.
        reason = Reason.OTHER_COLLECTOR if visit.work.shift is not None and visit.work.shift.is_open else None
        return visit.no(visit.why(reason or Reason.NO_OPEN_SHIFT), back="/route")
    customer = stop.stop.customer
    require_sealable(OverrideHold(intent=intent, customer=customer, supervisor_code=code, because=because))
    outcome = await visit.opened.access.override(intent, customer, code, because)
    match outcome:
        case Done():
            raise visit.see(f"/stops/{customer}/result")
        case Denied():
            sentence = denial_words(outcome, visit.language)
            return _page(visit, visit.stop(), because, sentence=sentence, status=403)
        case _:
            return _page(visit, visit.stop(), because, sentence=visit.why(outcome.reason), status=409)


PAGES: tuple[Page, ...] = (
    get("/stops/{customer}/override", override),
    post("/stops/{customer}/override", lift),
)
