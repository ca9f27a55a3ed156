"""What the pages' own policy keeps a browser from: scripts in a page or in a name, and requests elsewhere."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.conftest import PATIENCE_S, screen
from tests.browser.scenes import log_in
from tests.device.web.handheld import ROUND, handheld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(PATIENCE_S)]

EVIL = '<script>window.ran=1</script><img src="x" onerror="window.ran=1">'
INJECT = """() => {
  const script = document.createElement('script');
  script.textContent = 'window.ran = 1';
  document.body.append(script);
  document.body.insertAdjacentHTML('beforeend', '<img src="data:image/png;base64,AA" onerror="window.ran = 1">');
  const style = document.createElement('style');
  style.textContent = 'main { visibility: hidden }';
  document.head.append(style);
  const seen = () => [window.ran ?? 0, getComputedStyle(document.querySelector('main')).visibility];
  return new Promise(done => requestAnimationFrame(() => setTimeout(() => done(seen()))));
}"""


async def test_a_script_or_style_in_a_page_does_nothing(browser: Browser, home: Path) -> None:
    async with handheld(home) as made, screen(browser) as (page, watch):
        await log_in(page, made)
        assert await page.evaluate(INJECT) == [0, "visible"]
        assert sum("Content Security Policy" in one for one in watch.complaints) >= 3, watch.complaints


async def test_a_name_that_is_a_script_is_a_name(browser: Browser, home: Path) -> None:
    stops = (replace(ROUND[0], name=EVIL, address=EVIL, collect_address=EVIL, phone=EVIL[:20]), *ROUND[1:])
    async with handheld(home, stops=stops) as made, screen(browser) as (page, watch):
        await log_in(page, made)
        for path in ("/stops", "/stops/C00001/reading", "/stops/C00001/phone", "/stops/C00001/result"):
            await page.goto(made.url + path)
            assert EVIL in await page.locator("body").inner_text(), path
            assert await page.evaluate("window.ran ?? 0") == 0
        assert watch.complaints == []


async def test_nothing_leaves_this_machine_even_if_a_page_wants_it(browser: Browser, home: Path) -> None:
    async with handheld(home) as made, screen(browser) as (page, watch):
        await log_in(page, made)
        for attempt in (
            "fetch('http://127.0.0.2:9/').then(() => 1, () => 0)",
            "new Promise(done => {const i = new Image(); i.onload = () => done(1); i.onerror = () => done(0);"
            " i.src = 'http://127.0.0.2:9/x.png'})",
            "new Promise(done => {const s = new WebSocket('ws://127.0.0.2:9/'); s.onopen = () => done(1);"
            " s.onerror = () => done(0)}).catch(() => 0)",
        ):
            assert await page.evaluate(attempt) == 0
        assert sum("Content Security Policy" in one for one in watch.complaints) >= 3, watch.complaints


async def test_the_cookie_of_the_session_is_all_that_is_kept_while_somebody_works(browser: Browser, home: Path) -> None:
    async with handheld(home) as made, screen(browser) as (page, _):
        await log_in(page, made)
        (cookie,) = await page.context.cookies()
        assert (cookie.get("httpOnly"), cookie.get("sameSite"), cookie.get("expires")) == (True, "Strict", -1)
        assert await page.evaluate("document.cookie") == ""
