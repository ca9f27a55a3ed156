"""A whole shift, by touch alone and by keypad alone, with a network and without: what it leaves is the same records."""

from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from device.core.events import FixAcquired
from protocol.readings import READING_CODES
from protocol.records import (
    CashCollected,
    CashCounted,
    CollectionVoided,
    ContactNoted,
    DeviceStatus,
    PaperPrinted,
    PrintOutcome,
    ReadingSkipped,
    ReadingTaken,
    Record,
    RuleOverridden,
    ShiftClosed,
    ShiftOpened,
)
from protocol.values import Fix
from tests.browser.conftest import LARGE, PATIENCE_S, SMALL, Size, screen
from tests.browser.hands import Hands, Keypad, Touch
from tests.device.web.handheld import OWN_PASSWORD, SUPERVISOR_CODES, Handheld, handheld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(PATIENCE_S)]

PIN = "1357"
UNUSUAL = "1400"  # 183 m3 after 17 each month.
CANNOT = next(code for code in READING_CODES.values() if not code.readable)
COLLECTED_VND = {"C00001": 168_667, "C00003": 101_200 + 153_333, "C00006": 10_733_333}
# Each pair of hand, size and network is worked through once.
SHIFTS = [
    pytest.param(Touch, SMALL, True, id="touch-480x800-online"),
    pytest.param(Touch, LARGE, False, id="touch-720x1280-offline"),
    pytest.param(Keypad, SMALL, False, id="keypad-480x800-offline"),
    pytest.param(Keypad, LARGE, True, id="keypad-720x1280-online"),
]


async def no_answer(request: web.Request) -> web.StreamResponse:
    """As where there is no network: the connection ends."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def made_records(made: Handheld) -> list[Record]:
    """What the shift recorded, but for prints and what a handheld tells of itself."""
    records = (one.record for one in made.app.session.work.records)
    return [record for record in records if not isinstance(record, DeviceStatus | PaperPrinted)]


def papers(made: Handheld) -> int:
    """How many pictures of papers came out."""
    return len(list(made.papers.glob("*.png")))


@pytest.mark.parametrize(("kind", "size", "online"), SHIFTS)
async def test_a_whole_shift(
    browser: Browser, home: Path, kind: Callable[[Page], Hands], size: Size, online: bool
) -> None:
    async with handheld(home) as made, screen(browser, size) as (page, watch):
        if not online:
            made.hub.instead = no_answer
        hands = kind(page)
        await log_in(made, hands)
        await at_the_doors(made, hands)
        await through_the_lists(made, hands)
        await end_the_day(made, hands, online=online)
        check_records(made)
        assert watch.complaints == []
        assert watch.elsewhere() == []
        assert (made.app.session.outbox.unsent == 0) is online
        await holds_nothing(page)


async def log_in(made: Handheld, hands: Hands) -> None:
    """Log in, choose a PIN, open the shift."""
    await hands.page.goto(made.url)
    assert hands.path == "/login"
    await hands.key_in(OWN_PASSWORD)
    await hands.go("main")
    for _ in range(2):
        assert hands.path == "/pin"
        await hands.key_in(PIN)
        await hands.go("main")
    assert hands.path == "/route"
    await hands.go("main")
    assert isinstance(made_records(made)[-1], ShiftOpened)


async def read(hands: Hands, index: str) -> None:
    """Key an index, see what it means, and save it."""
    assert hands.path.endswith("/reading")
    await hands.key_in(index)
    await expect(hands.page.locator("#echo")).to_have_text(index)
    await hands.go("main")


async def take(made: Handheld, hands: Hands) -> None:
    """From the confirmation on: the money, and its receipt."""
    before = papers(made)
    assert hands.path.endswith("/collect")
    await hands.go("main")
    assert hands.path.endswith("/result")
    await made.app.quiet()
    assert papers(made) == before + 1, "the receipt is out"


async def at_the_doors(made: Handheld, hands: Hands) -> None:
    """Ten customers, each with something of their own."""
    page = hands.page
    await hands.go("main")
    assert hands.path == "/stops/C00001/reading"
    await hands.key_in("1239")
    await expect(page.locator("#calc")).to_contain_text("22 m³")
    await expect(page.locator("#calc")).to_contain_text("168.667")
    await hands.go("main")
    await hands.go("main")
    await take(made, hands)
    await hands.go_digit("1")
    # Who has paid is shown what was read, and is not asked for the money once more.
    await expect(page.locator(".paper img")).to_have_attribute("src", "/stops/C00001/paper.png?kind=notice")
    await hands.go("next")

    await read(hands, UNUSUAL)
    await expect(page.locator("#calc .warn")).to_contain_text("183 m³")
    await expect(page.locator("#echo")).to_have_text("–")
    assert not [one for one in made_records(made) if isinstance(one, ReadingTaken) and one.customer == "C00002"]
    await read(hands, UNUSUAL)
    await promise(hands)
    await hands.go("previous")
    assert hands.path == "/stops/C00002/result"
    await hands.go("next")

    await read(hands, "120")
    await hands.go_digit("8")
    await take(made, hands)
    await hands.go("main")
    await take(made, hands)
    await hands.go("next")
    await held_for_ever(made, hands, "chuyển khoản")
    await hands.go("next")
    await held_for_ever(made, hands, "kho bạc")
    await hands.go("next")
    await a_large_amount(made, hands)
    await hands.go("next")
    await lifted_and_voided(made, hands)
    await hands.go("next")
    await with_photos(made, hands)


async def promise(hands: Hands) -> None:
    """From a result: the customer pays on the 28th."""
    await hands.go_digit("4")
    await hands.go_digit("3")
    await hands.key_in("28")
    await expect(hands.page.locator("#when")).to_contain_text("28/11/2026")
    await hands.go("main")
    assert hands.path == "/stops/C00003/reading"


async def held_for_ever(made: Handheld, hands: Hands, words: str) -> None:
    """No money here: the screen says why, and Enter prints the notice."""
    before = papers(made)
    await read(hands, "120")
    await expect(hands.page.locator(".held")).to_contain_text(words)
    await hands.go("main")
    await made.app.quiet()
    assert papers(made) == before + 1


async def a_large_amount(made: Handheld, hands: Hands) -> None:
    """Its last digits are keyed; wrong ones take nothing."""
    await read(hands, "51400")
    await hands.go("main")
    await hands.key_in("123")
    await hands.go("main")
    await expect(hands.page.locator("[role=alert]")).to_be_visible()
    assert not [one for one in made_records(made) if isinstance(one, CashCollected) and one.customer == "C00006"]
    await hands.key_in("333")
    await take(made, hands)


async def lifted_and_voided(made: Handheld, hands: Hands) -> None:
    """A drop is held, a supervisor lifts it, the money is taken, and taken back."""
    page = hands.page
    await read(hands, "103")
    await hands.go_digit("9")
    await hands.go_digit("2")
    await hands.key_in("0099999999")
    await hands.go("main")
    await expect(page.locator("[role=alert]")).to_be_visible()
    await hands.key_in(SUPERVISOR_CODES[0])
    await hands.go("main")
    assert hands.path == "/stops/C00007/result"
    await hands.go("main")
    await take(made, hands)
    await page.reload()  # A print that has ended shows by itself too, a second later.
    await hands.go_digit("3")
    await hands.go_digit("1")
    await hands.go_digit("7")
    await expect(page.locator("[role=status].stop")).to_be_visible()
    await hands.go("main")
    assert hands.path == "/stops/C00007/result"


async def with_photos(made: Handheld, hands: Hands) -> None:
    """A meter that cannot be read, and one that can, each with its picture."""
    page = hands.page
    await hands.go("back")
    assert hands.path == "/stops/C00008/reasons"
    await hands.go_digit("1")
    await hands.press("main")
    await page.locator("#taken").wait_for()
    await hands.go_digit("2")
    assert hands.path == "/stops/C00008/reasons"
    await hands.go_item(CANNOT.vi)
    assert hands.path == "/stops/C00008/result"
    await hands.go("next")
    await hands.go("back")
    await hands.go_digit("1")
    await hands.press("main")
    await page.locator("#taken").wait_for()
    await hands.go("main")
    assert hands.path == "/stops/C00009/reading"
    await read(hands, "120")


async def to_the_list(hands: Hands) -> None:
    """From a customer's reading."""
    await hands.go("back")
    await hands.go_digit("4")
    assert hands.path == "/stops"


async def through_the_lists(made: Handheld, hands: Hands) -> None:
    """Lists, the search by the letters on the keys, and who is near."""
    page = hands.page
    await hands.go("next")
    await to_the_list(hands)
    await hands.go_digit("5")
    await expect(page.locator("[data-item]")).to_have_count(1)
    await expect(page.locator("[data-item]")).to_contain_text("28/11/2026")
    await hands.go_digit("6")
    await expect(page.locator("[data-item]")).to_have_count(4)
    await made.app.dispatch(
        FixAcquired(fix=Fix(latitude_e7=100_000_000, longitude_e7=1_057_000_000, accuracy_dm=50, age_s=0))
    )
    await hands.go_digit("9")
    await expect(page.locator(".where-now")).to_contain_text("5 m")
    await hands.go_digit("1")
    await hands.go_item("10 Đường Trần Hưng Đạo")
    assert hands.path == "/stops/C00010/reading"
    await to_the_list(hands)
    await hands.go_digit("8")
    await hands.key_in("88")
    await expect(page.locator("#found [data-item]").first).to_contain_text("Võ Thị Út")
    await hands.go("main")
    assert hands.path == "/stops/C00004/result"
    await hands.go_digit("5")
    await to_the_list(hands)
    await hands.go("back")
    assert hands.path == "/route"


async def end_the_day(made: Handheld, hands: Hands, *, online: bool) -> None:
    """Papers, printer, cash, the end of the shift, its slip, and home."""
    page = hands.page
    await hands.go_digit("2")
    await hands.go_digit("4")
    await expect(page.locator("[data-item]")).to_have_count(1)
    await hands.go_digit("3")
    await hands.go_digit("5")
    assert hands.path == "/printer"
    await hands.go("back")
    await hands.go_digit("6")
    await hands.go_digit("2")
    assert hands.path == "/outbox"
    await hands.go("main")
    await made.app.quiet()
    await hands.go("back")
    await hands.go_digit("3")
    await hands.go("main")
    await count(hands)
    await hands.go("main")
    assert hands.path == "/day/close"
    if not online:
        unsent = await page.locator("[name=unsent]").input_value()
        await hands.key_in(unsent)
    await hands.go("main")
    before = papers(made)
    await hands.go("main")
    await made.app.quiet()
    assert papers(made) == before + 1, "the slip is out"
    await hands.go("back")
    await hands.go_digit("6")
    await hands.go_digit("9")
    assert hands.path == "/login"


async def count(hands: Hands) -> None:
    """21 notes of 500.000 and one each of 5.000, 2.000 and 1.000: less than there should be, which is said."""
    page = hands.page
    fields = page.locator("#cash input[type=text]")
    for place, pieces in enumerate(("21", "0", "0", "0", "0", "0", "1", "1", "1")):
        await hands.into(fields.nth(place), first=place == 0)
        await hands.key_in(pieces)
    await expect(page.locator("#sums")).to_contain_text("10.508.000")
    for place in range(9, await fields.count()):
        await hands.into(fields.nth(place), first=False)
    await hands.go("main")
    assert hands.path == "/day"


def check_records(made: Handheld) -> None:
    """One record for each thing done, and none beside."""
    records = made_records(made)
    kinds = [type(one) for one in records]
    assert kinds.count(ShiftOpened) == kinds.count(ShiftClosed) == kinds.count(CashCounted) == 1
    readings = {one.customer: one for one in records if isinstance(one, ReadingTaken)}
    assert kinds.count(ReadingTaken) == len(readings) == 8
    assert readings["C00001"].index == 1239
    assert readings["C00002"].confirmed
    assert readings["C00009"].photo is not None
    (skipped,) = (one for one in records if isinstance(one, ReadingSkipped))
    assert (skipped.customer, skipped.code, skipped.photo is not None) == ("C00008", CANNOT.name, True)
    (noted,) = (one for one in records if isinstance(one, ContactNoted))
    assert (noted.customer, noted.come_back) == ("C00002", "2026-11-28")
    (lifted,) = (one for one in records if isinstance(one, RuleOverridden))
    (voided,) = (one for one in records if isinstance(one, CollectionVoided))
    assert (lifted.customer, voided.customer) == ("C00007", "C00007")
    taken = [one for one in records if isinstance(one, CashCollected)]
    assert [one.receipt_no for one in taken] == [1, 2, 3, 4, 5]
    sums = {customer: sum(one.amount_vnd for one in taken if one.customer == customer) for customer in COLLECTED_VND}
    assert sums == COLLECTED_VND
    ends = [one.record for one in made.app.session.work.records if isinstance(one.record, PaperPrinted)]
    assert {end.outcome for end in ends} == {PrintOutcome.PRINTED}
    assert len(ends) == papers(made) == 8


HELD = """async () => ({
  local: localStorage.length, session: sessionStorage.length,
  databases: (await indexedDB.databases()).length, caches: (await caches.keys()).length,
  workers: (await navigator.serviceWorker.getRegistrations()).length, script: document.cookie,
})"""


async def holds_nothing(page: Page) -> None:
    """After the shift the browser has forgotten it."""
    held = await page.evaluate(HELD)
    assert held == {"local": 0, "session": 0, "databases": 0, "caches": 0, "workers": 0, "script": ""}
    assert await page.context.cookies() == []
