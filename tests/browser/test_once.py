"""What is pressed twice, sent again, reloaded or gone back to is one record, and an old page is not shown again."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from protocol.records import DENOMINATIONS, DeviceStatus, PaperPrinted
from tests.browser.conftest import PATIENCE_S, screen
from tests.browser.hands import ABLE, Keypad, loaded
from tests.browser.scenes import log_in
from tests.device.web.handheld import SUPERVISOR_CODES, Handheld, handheld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(PATIENCE_S)]

Twice = Callable[[Page, str], Awaitable[None]]


async def enter_twice(page: Page, target: str) -> None:
    """A contact that bounces."""
    key = await page.locator(target).get_attribute("data-digit") or "Enter"
    async with loaded(page):
        await page.keyboard.press(key)
        await page.keyboard.press(key)


async def tap_twice(page: Page, target: str) -> None:
    """A finger that trembles: both taps at the place of the button, whatever has come there meanwhile."""
    box = await page.locator(target).bounding_box()
    assert box is not None
    async with loaded(page):
        for _ in range(2):
            await page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


async def send_twice(page: Page, target: str) -> None:
    """As if no script held the second one back: the form goes out two times at once."""
    await page.locator(target).evaluate(
        """button => {
          const body = () => new URLSearchParams(new FormData(button.form));
          const send = () => fetch(button.form.action, {method: 'POST', body: body()}).then(answer => answer.text());
          return Promise.all([send(), send()]).then(() => 0);
        }"""
    )


WAYS = [pytest.param(way, id=way.__name__) for way in (enter_twice, tap_twice, send_twice)]


def counted(made: Handheld) -> Counter[str]:
    """Records by kind, but for what the handheld tells of itself."""
    records = (one.record for one in made.app.session.work.records)
    return Counter(type(one).__name__ for one in records if not isinstance(one, DeviceStatus | PaperPrinted))


def prints(made: Handheld) -> int:
    return sum(isinstance(one.record, PaperPrinted) for one in made.app.session.work.records)


@asynccontextmanager
async def at_work(browser: Browser, home: Path) -> AsyncIterator[tuple[Handheld, Page]]:
    """Logged in, before the route; the shift is not open yet."""
    async with handheld(home) as made, screen(browser) as (page, _):
        await log_in(page, made)
        await page.goto(f"{made.url}/route")
        yield made, page


# Where a button stands, what is keyed before it, what it records; in the order of a day.
BUTTONS: Sequence[tuple[str, str, str, str]] = (
    ("/route", "", "[data-main]", "ShiftOpened"),
    ("/stops/C00001/reading", "1239", "[data-main]", "ReadingTaken"),
    ("/stops/C00007/reading", "103", "[data-main]", "ReadingTaken"),
    ("/stops/C00007/override?because=used-less", SUPERVISOR_CODES[0], "[data-main]", "RuleOverridden"),
    ("/stops/C00002/contact?outcome=PAYS_LATER", "28", "[data-main]", "ContactNoted"),
    ("/stops/C00001/collect?which=ALL", "", "[data-main]", "CashCollected"),
    ("/receipts/1/void?reason=WRONG_AMOUNT", "", '[data-digit="7"]', "CollectionVoided"),
    ("/day/cash", "", "[data-main]", "CashCounted"),
    ("/day/close", "", "[data-main]", "ShiftClosed"),
)


@pytest.mark.parametrize("twice", WAYS)
async def test_a_button_that_is_pressed_twice_makes_one_record(browser: Browser, home: Path, twice: Twice) -> None:
    async with at_work(browser, home) as (made, page):
        for path, digits, target, kind in BUTTONS:
            await page.goto(made.url + path)
            await Keypad(page).key_in(digits)
            if path == "/day/cash":
                await page.locator(f"[name=n{DENOMINATIONS[-1]}]").focus()  # From the last field Enter saves.
            await page.locator(target + ABLE).wait_for()
            before = counted(made)
            await twice(page, target)
            await made.app.quiet()
            assert counted(made) - before == Counter([kind]), f"{twice.__name__} at {path}"
        assert counted(made) == Counter(kind for *_, kind in BUTTONS), "nor did one come late"


@pytest.mark.parametrize("twice", WAYS)
async def test_a_print_that_is_asked_for_twice_comes_once(browser: Browser, home: Path, twice: Twice) -> None:
    async with at_work(browser, home) as (made, page):
        hands = Keypad(page)
        await hands.go("main")
        await page.goto(f"{made.url}/stops/C00004/reading")
        await hands.key_in("120")
        await hands.go("main")
        await twice(page, "[data-main]")
        await made.app.quiet()
        assert prints(made) == 1


async def test_reloading_and_going_back_record_nothing_and_show_nothing_old(browser: Browser, home: Path) -> None:
    async with at_work(browser, home) as (made, page):
        hands = Keypad(page)
        await hands.go("main")
        await page.goto(f"{made.url}/stops/C00001/reading")
        await hands.key_in("1239")
        await hands.go("main")
        await hands.go("main")
        await hands.go("main")
        await made.app.quiet()
        before = counted(made), prints(made)
        for _ in range(2):
            await page.reload()
        await page.go_back()
        assert hands.path == "/stops/C00001/collect"
        await expect(page.locator("form#take")).to_have_count(0)
        await page.go_back()
        await expect(page.locator("[data-main]")).not_to_contain_text("168.667")
        await page.go_back()
        assert hands.path == "/stops/C00001/reading"
        await expect(page.locator("#index")).to_have_value("")
        for _ in range(3):
            await page.go_forward()
        await made.app.quiet()
        assert (counted(made), prints(made)) == before


async def test_a_refused_page_that_is_sent_again_changes_nothing(browser: Browser, home: Path) -> None:
    async with at_work(browser, home) as (made, page):
        hands = Keypad(page)
        await hands.go("main")
        await page.goto(f"{made.url}/stops/C00002/reading")
        await hands.key_in("1400")
        await hands.go("main")
        before = counted(made)
        async with loaded(page):  # The browser sends the form of this answer again.
            await page.evaluate("location.reload()")
        await expect(page.locator("#calc .warn")).to_be_visible()
        await hands.go("main")
        await expect(page.locator("[role=alert]")).to_be_visible()
        assert counted(made) == before
