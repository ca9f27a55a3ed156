"""Digits that are keyed fast, or while something else goes on, are all there and are all answered."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import PATIENCE_S, screen
from tests.browser.hands import Touch, loaded
from tests.browser.scenes import log_in
from tests.device.web.handheld import handheld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(PATIENCE_S)]

KEYED_AT_ONCE = """addEventListener('DOMContentLoaded', () => {
  for (const key of '1239') dispatchEvent(new KeyboardEvent('keydown', { key }));
})"""


async def test_digits_that_are_keyed_the_moment_a_page_is_there_are_answered(browser: Browser, home: Path) -> None:
    async with handheld(home) as made, screen(browser) as (page, _):
        await log_in(page, made)
        await page.add_init_script(KEYED_AT_ONCE)
        await page.goto(f"{made.url}/stops/C00001/reading")
        await expect(page.locator("#echo")).to_have_text("1239")
        await expect(page.locator("#calc")).to_contain_text("168.667")


async def test_digits_are_kept_on_the_way_to_a_photo_and_back(browser: Browser, home: Path) -> None:
    async with handheld(home) as made, screen(browser) as (page, _):
        await log_in(page, made)
        hands = Touch(page)
        await page.goto(f"{made.url}/stops/C00001/reading")
        await hands.key_in("123")
        await hands.go("back")
        await hands.go_digit("1")
        await hands.press("main")
        await page.locator("#taken").wait_for()
        await hands.go("main")
        await expect(page.locator("#echo")).to_have_text("123")
        await hands.key_in("9")
        await expect(page.locator("#calc")).to_contain_text("168.667")
        async with loaded(page):
            await page.reload()
        await expect(page.locator("#echo")).to_have_text("123")


async def test_a_lost_answer_does_not_hold_up_the_keys(browser: Browser, home: Path) -> None:
    async with handheld(home) as made, screen(browser) as (page, _):
        await log_in(page, made)
        await page.route("**/preview**", lambda route: route.abort())
        await page.goto(f"{made.url}/stops/C00001/reading")
        await Touch(page).key_in("1239")
        await expect(page.locator("#echo")).to_have_text("1239")
        await Touch(page).go("main")
        await expect(page.locator("[role=alert]")).to_be_visible()  # No shift is open: the answer came all the same.
