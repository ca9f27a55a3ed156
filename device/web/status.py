"""The bar on every screen: network, what is unsent, printer, battery, clock. Counted from the work, not from flags."""

from dataclasses import dataclass

from device.app import App
from device.clock import Clock
from device.core.clock_watch import CLOCK_WORDS
from device.core.self_report import BATTERY_LOW_PERCENT
from device.paper_words import paper_words
from device.web.phrases import said
from protocol.values import local_clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the bar shows. online: None until the hub was first asked. printer, clock: what is wrong, in words."""

    online: bool | None
    unsent: int
    waiting_papers: int
    printer: str | None
    battery_percent: int | None
    battery_low: bool
    charging: bool
    clock: str | None
    time: str


def status_of(app: App, clock: Clock, language: str) -> Status:
    """The bar as it is now."""
    session = app.session
    power, trouble, wrong_clock = session.report.power, app.printer_trouble, session.report.clock
    percent = power.battery_percent
    return Status(
        online=session.exchange.reached,
        unsent=session.outbox.unsent,
        waiting_papers=len(session.work.papers) + len(session.work.doubts),
        printer=None if trouble is None else said(paper_words(trouble), language),
        battery_percent=percent,
        battery_low=percent is not None and percent < BATTERY_LOW_PERCENT and not power.charging,
        charging=bool(power.charging),
        clock=None if wrong_clock is None else said(CLOCK_WORDS[wrong_clock], language),
        time=local_clock(clock.now().wall_ms),
    )
