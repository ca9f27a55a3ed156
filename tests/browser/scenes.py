"""Every page of the handheld in the state in which it shows the most, each with a name and a way to it.

The customers are chosen so that what is longest stands where there is least room.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from playwright.async_api import Page

from device.core.commands import (
    Collect,
    CountCash,
    NoteContact,
    PrintPaper,
    SkipReading,
    TakeReading,
    VoidCollection,
    Which,
)
from device.core.events import FixAcquired, PowerRead
from protocol.package import Stop
from protocol.readings import READING_CODES
from protocol.records import CashCollected, ContactOutcome, Denomination, PaperKind, VoidReason
from protocol.values import Fix
from tests.browser.hands import Keypad, loaded
from tests.device.web.handheld import LONG_ADDRESS, LONG_NAME, OWN_PASSWORD, ROUND, SUPERVISOR_CODES, Handheld, bill

LONG_REGISTER, LONG_SERIAL = "0210-999-9999999", "ITRON-2019-00123456789"
CANNOT = next(code.name for code in READING_CODES.values() if not code.readable)
REPLACED, OTHERWISE = "replaced_periodic", "reading_left_outside"
NINE_DIGITS = "123456789"
WRONG_CODE = "0099999999"

Way = Callable[[Page], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scene:
    """name: of the picture. way: what is done on the page. stays: the drawn keys stand where `like` has them."""

    name: str
    path: str
    way: Way | None = None
    like: str | None = None


def long_round() -> tuple[Stop, ...]:
    """The usual round, but everybody has the longest name, address, register and meter number; some owe for years."""
    stops = []
    for number, stop in enumerate(ROUND, 1):
        meter = replace(stop.meter, serial=LONG_SERIAL)
        arrears = stop.arrears
        if number == 6:
            arrears = tuple(bill(stop.customer, f"{2025 + m // 12}-{m % 12 + 1:02d}", 9_999_900) for m in range(20))
        long = replace(stop, name=LONG_NAME, address=LONG_ADDRESS, collect_address=LONG_ADDRESS)
        stops.append(replace(long, register_no=LONG_REGISTER, meter=meter, arrears=arrears))
    return tuple(stops)


class _Intents:
    """Sixteen bytes each, all different."""

    def __init__(self) -> None:
        self._made = 0

    def __call__(self) -> bytes:
        self._made += 1
        return self._made.to_bytes(16, "big")


async def lived_in(made: Handheld) -> None:
    """Half a day of work, so that every list has something in it."""
    intent, ask = _Intents(), made.app.dispatch
    for number, index in ((1, 1239), (3, 120), (4, 120), (5, 120), (6, 51_400), (7, 103), (11, 120)):
        customer = f"C{number:05d}"
        answer = await ask(TakeReading(intent=intent(), customer=customer, code="normal", index=index))
        assert answer is not None
    await ask(SkipReading(intent=intent(), customer="C00008", code=CANNOT))
    await ask(
        NoteContact(
            intent=intent(),
            customer="C00010",
            outcome=ContactOutcome.PAYS_LATER,
            come_back="2026-11-24",
            note="Chủ nhà đi công tác, người nhà hẹn trả vào chiều thứ sáu sau khi nhận lương",
        )
    )
    for customer in ("C00003", "C00001", "C00011"):
        work = made.app.session.work.stops[customer]
        await ask(Collect(intent=intent(), customer=customer, amount_vnd=work.due(Which.ALL).amount_vnd))
        await made.app.quiet()
    taken = [one.record for one in made.app.session.work.records if isinstance(one.record, CashCollected)]
    await ask(VoidCollection(intent=intent(), receipt_no=taken[-1].receipt_no, reason=VoidReason.WRONG_AMOUNT))
    made.papers.rename(made.papers.with_name("gone"))  # From now on nothing comes out.
    await ask(PrintPaper(kind=PaperKind.BILL_NOTICE, customer="C00004"))
    await ask(PrintPaper(kind=PaperKind.NOTICE, customer="C00005"))
    await made.app.quiet()
    await ask(CountCash(intent=intent(), notes=(Denomination(value_vnd=500_000, pieces=9_999),)))
    await ask(FixAcquired(fix=Fix(latitude_e7=100_000_000, longitude_e7=1_057_000_000, accuracy_dm=50, age_s=0)))
    await ask(PowerRead(battery_percent=7, charging=False, storage_free_mib=1_000))


def typing(digits: str, until: str) -> Way:
    """Key digits, and wait for what the handheld makes of them."""

    async def way(page: Page) -> None:
        await Keypad(page).key_in(digits)
        await page.locator(until).wait_for()

    return way


def sending(digits: str) -> Way:
    """Key digits, and Enter."""

    async def way(page: Page) -> None:
        hands = Keypad(page)
        await hands.key_in(digits)
        await hands.go("main")

    return way


async def photo_taken(page: Page) -> None:
    await Keypad(page).press("main")
    await page.locator("#taken").wait_for()


async def camera_open(page: Page) -> None:
    await page.locator("#main:not([aria-disabled])").wait_for()


async def selected(page: Page) -> None:
    await page.keyboard.press("ArrowRight")


async def first_paper(page: Page) -> None:
    async with loaded(page):
        await page.locator("[data-item]").first.click()


async def denied(page: Page) -> None:
    hands = Keypad(page)
    await hands.key_in("1111")
    await hands.go("main")


async def tried_to_enrol(page: Page) -> None:
    """An address that is none."""
    await page.locator("[name=imei]").wait_for()
    await page.locator("[name=hub]").fill("not an address")
    await page.locator("[name=code]").fill("WRONG")
    async with loaded(page):
        await page.locator("[data-main]").tap()


async def looked_for_camera(page: Page) -> None:
    """The picture moves, so the camera is open."""
    await page.locator("video").evaluate(
        "video => video.readyState > 1 || new Promise(d => video.onplaying = () => d(1))"
    )


BEFORE_LOG_IN: Sequence[Scene] = (
    Scene("login", "/login"),
    Scene("login-denied", "/login", denied),
    Scene("login-code", "/login/code?user=thu.nguyen", typing("0123456789", "#echo")),
    Scene("login-code-wrong", "/login/code?user=thu.nguyen", sending(WRONG_CODE), "login-code"),
)
BEFORE_THE_SHIFT: Sequence[Scene] = (
    Scene("pin", "/pin?next=/route"),
    Scene("pin-typed", "/pin?next=/route", typing("12345678", "#echo"), "pin"),
    Scene("pin-too-short", "/pin?next=/route", sending("1"), "pin"),
    Scene("pin-again", "/pin?next=/route", sending("1357"), "pin"),
    Scene("route-before-the-shift", "/route"),
    Scene("day-none", "/day"),
    Scene("outbox", "/outbox"),
)
AT_WORK: Sequence[Scene] = (
    Scene("route", "/route"),
    Scene("stops", "/stops?show=all"),
    Scene("stops-selected", "/stops?show=all", selected),
    Scene("stops-unread", "/stops?show=unread"),
    Scene("stops-uncollected", "/stops?show=uncollected&sort=uncollected"),
    Scene("stops-held", "/stops?show=held"),
    Scene("stops-come-back", "/stops?show=back"),
    Scene("stops-sweep", "/stops?show=sweep"),
    Scene("stops-near", "/stops?sort=near"),
    Scene("search", "/stops/search"),
    Scene("search-found", "/stops/search", typing("648", "#found [data-item] >> nth=0"), "search"),
    Scene("search-letters", "/stops/search?letters=1&q=nguyen"),
    Scene("reading", "/stops/C00002/reading"),
    Scene("reading-typed", "/stops/C00002/reading", typing("1234", "#calc b >> text=đ"), "reading"),
    Scene("reading-below", "/stops/C00002/reading", typing("12", "#calc .stop"), "reading"),
    Scene("reading-nine-digits", "/stops/C00002/reading", typing(NINE_DIGITS, "#calc .bad"), "reading"),
    Scene("reading-doubted", "/stops/C00002/reading", typing("1400", "#calc .warn"), "reading"),
    Scene("reading-warned", "/stops/C00002/reading", sending("1400"), "reading"),
    Scene("reading-held-for-ever", "/stops/C00004/reading", typing("120", "#calc .stop"), "reading"),
    Scene("reading-of-a-firm", "/stops/C00006/reading", typing("51400", "#calc b"), "reading"),
    Scene("reading-otherwise", f"/stops/C00002/reading?code={OTHERWISE}", None, "reading"),
    Scene("reading-replaced", f"/stops/C00002/reading?code={REPLACED}"),
    Scene("reasons", "/stops/C00002/reasons"),
    Scene("photo", "/stops/C00002/photo", camera_open),
    Scene("photo-taken", "/stops/C00002/photo", photo_taken),
    Scene("contact", "/stops/C00010/contact"),
    Scene("contact-when", "/stops/C00010/contact?outcome=PAYS_LATER"),
    Scene(
        "contact-when-typed",
        "/stops/C00010/contact?outcome=PAYS_LATER",
        typing("28", "#when >> text=28/11/2026"),
        "contact-when",
    ),
    Scene(
        "contact-when-impossible",
        "/stops/C00010/contact?outcome=PAYS_LATER",
        typing("45", "#when >> text=⚠"),
        "contact-when",
    ),
    Scene("contact-letters", "/stops/C00010/contact?outcome=OTHER&letters=1&day=2026-11-28"),
    Scene("phone", "/stops/C00002/phone"),
    Scene("result", "/stops/C00001/result"),
    Scene("result-unread", "/stops/C00002/result"),
    Scene("result-arrears", "/stops/C00006/result"),
    Scene("result-held", "/stops/C00007/result"),
    Scene("result-by-transfer", "/stops/C00004/result"),
    Scene("result-by-treasury", "/stops/C00005/result"),
    Scene("result-skipped", "/stops/C00008/result"),
    Scene("result-reprint", "/stops/C00001/result?paper=receipt&receipt_no=2&again=1"),
    Scene("result-voided", "/stops/C00011/result?paper=receipt&receipt_no=3"),
    Scene("collect", "/stops/C00011/collect?which=ALL"),
    Scene("collect-large", "/stops/C00006/collect?which=ALL"),
    Scene("collect-large-typed", "/stops/C00006/collect?which=ALL", typing("123", "#last-echo"), "collect-large"),
    Scene("collect-large-mistyped", "/stops/C00006/collect?which=ALL", sending("123"), "collect-large"),
    Scene("override", "/stops/C00007/override"),
    Scene("override-code", "/stops/C00007/override?because=customer-asked"),
    Scene(
        "override-code-typed",
        "/stops/C00007/override?because=customer-asked",
        typing(SUPERVISOR_CODES[1], "#code-echo"),
        "override-code",
    ),
    Scene(
        "override-code-wrong",
        "/stops/C00007/override?because=customer-asked",
        sending(WRONG_CODE),
        "override-code",
    ),
    Scene("receipts", "/receipts"),
    Scene("void", "/receipts/2/void"),
    Scene("void-reason", "/receipts/2/void?reason=WRONG_CUSTOMER"),
    Scene("void-done", "/receipts/3/void"),
    Scene("papers-waiting", "/papers?show=waiting"),
    Scene("papers-unsure", "/papers?show=doubt"),
    Scene("papers-printed", "/papers?show=printed"),
    Scene("papers-hand-back", "/papers?show=back"),
    Scene("paper-waiting", "/papers?show=waiting", first_paper),
    Scene("paper-printed", "/papers?show=printed", first_paper),
    Scene("paper-hand-back", "/papers?show=back", first_paper),
    Scene("printer-none", "/printer"),
    Scene("printer-files", "/printer/files"),
    Scene("printer-found", "/printer/found"),
    Scene("day", "/day"),
    Scene("day-cash", "/day/cash"),
    Scene("outbox-waiting", "/outbox"),
    Scene("menu", "/menu"),
    Scene("about", "/about"),
    Scene("message", "/stops/C00001/collect?which=ALL"),
    Scene("nothing-here", "/stops/NOBODY"),
)


async def close_it(page: Page) -> None:
    """Close the shift by keying how many records are unsent, if any are."""
    hands = Keypad(page)
    if await page.locator("[name=unsent]").count():
        await hands.key_in(await page.locator("[name=unsent]").input_value())
    await hands.go("main")


OFFLINE: Sequence[Scene] = (
    Scene("outbox-offline", "/outbox"),
    Scene("day-close", "/day/close"),
    Scene("day-close-typed", "/day/close", typing("999999", "#echo"), "day-close"),
    Scene("day-close-wrong", "/day/close", sending("999999"), "day-close"),
    Scene("day-closed", "/day/close", close_it),
    Scene("unlock", "/unlock?next=/route"),
    Scene("unlock-wrong", "/unlock?next=/route", sending("9999"), "unlock"),
)


async def log_in(page: Page, made: Handheld) -> None:
    """By hand, as every morning."""
    hands = Keypad(page)
    await page.goto(f"{made.url}/login")
    await hands.key_in(OWN_PASSWORD)
    await hands.go("main")
    assert hands.path == "/pin", await page.locator("main").inner_text()
