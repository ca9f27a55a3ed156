"""The screens as a collector feels them: a real browser before a real handheld process, from a key to what it shows.

Times are the page's own: from the moment that the browser gives a key to the frame that shows what came of it. The
browser's processor is slowed down where the table says so, as DevTools do it; the handheld's is not.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from playwright.async_api import BrowserContext, Page, ViewportSize, async_playwright

from device.web.visitors import COOKIE
from tests.bench.measure import Row, Weight, percentile, spread_ms, weight
from tests.bench.screen_process import (
    BEFORE_LAST_DAY,
    MONTH_RECORDS,
    SHIFT_CUSTOMERS,
    Month,
    Running,
    ScreenError,
    month_in,
    printer_in_reach,
    running,
    shift,
)
from tests.bench.walkers import Walker

SLOWNESS = (1, 4)  # As it is; and as DevTools' "mid-tier mobile", which rugged handhelds are.
STARTS = 5
CUSTOMERS = 10  # Read for each slowness, four digits or more each.
LISTS = 10
ROUND_TRIPS_COUNT = 40
SEARCHES = ("nguyen van", "07010", "tran thi")
SHOWN_S = 20  # Whatever takes longer does not come.
START_AIM_S = 1.5
MEMORY_AIM_MB = 60
AT_ONCE_S = 0.1  # Up to here people feel that they did it themselves. Nielsen, Usability Engineering, 1993, ch. 5.
NO_WAIT_S = 1.0  # Up to here a thought is not interrupted. The same.
SCREEN: ViewportSize = {"width": 480, "height": 853}  # 720 x 1280 at a scale of 1.5.
CHROMIUM = "/usr/bin/chromium"

# In each page before its own scripts. A tab keeps its `name` from page to page, and nothing else.
STOPWATCH = """
(() => {
  const times = (window.times = {}), waiting = [];
  let pressed = 0;
  addEventListener('keydown', (event) => {
    pressed = event.timeStamp;
    window.name = String(performance.timeOrigin + pressed);
  }, true);
  window.drawn = () => new Promise((done) => requestAnimationFrame(() => {
    const after = new MessageChannel();
    after.port1.onmessage = () => done(performance.now());
    after.port2.postMessage(0);
  }));
  window.stopwatch = (name) => {
    const mine = (times[name] = []);
    let last = pressed;
    return async () => {
      if (last === pressed) return;
      last = pressed;
      mine.push(await window.drawn() - last);
      for (const done of waiting.splice(0)) done();
    };
  };
  window.watch = (selector) => {
    const watched = new MutationObserver(window.stopwatch(selector));
    watched.observe(document.querySelector(selector), { childList: true, characterData: true, subtree: true });
  };
  window.until = async ([name, count]) => {
    while (times[name].length < count) await new Promise((done) => waiting.push(done));
  };
})();
"""
# The plainest that a browser can do: a field of its own, on a page without a style.
OWN_FIELD = (
    "data:text/html,<!doctype html><input autofocus oninput='typed()'><script>typed = stopwatch('field')</script>"
)
# The plainest that a page of ours can ask: an answer without work, put into the page as it is.
ROUND_TRIPS = """
async (count) => {
  const place = document.querySelector('h1'), times = [];
  for (let done = 0; done < count; done += 1) {
    const began = performance.now();
    place.textContent = await (await fetch('/healthz')).text();
    times.push(await window.drawn() - began);
  }
  return times;
}
"""
# When the first of a page was painted, and when all its pictures were there; from the key, or from its address on.
ARRIVED = """
async (from_key) => {
  const since = from_key ? Number(window.name) - performance.timeOrigin : 0;
  if (document.readyState !== 'complete') await new Promise((done) => addEventListener('load', done, { once: true }));
  await Promise.all([...document.images].map((image) => image.decode()));
  const whole = await window.drawn();
  const first = () => performance.getEntriesByName('first-contentful-paint')[0];
  while (!first()) await new Promise((done) => requestAnimationFrame(done));
  return [first().startTime - since, Math.max(whole, first().startTime) - since];
}
"""


async def screens(walker: Walker, clock_file: Path, folder: Path) -> list[Row]:
    """Start, memory, keys, pages. `folder` is where the handheld's homes are made."""
    month = await month_in(folder / "month", walker, clock_file, MONTH_RECORDS)
    eve = await month_in(folder / "eve", walker, clock_file, BEFORE_LAST_DAY)
    async with printer_in_reach() as environment:
        starts, at_start = [], []
        for _ in range(STARTS):
            async with running(month, environment) as begun:
                starts.append(begun)
                at_start.append(weight(begun.pid))
        rows = [*started(month, starts), heavy("right after its start", at_start[0])]
        async with running(eve, environment) as handheld:
            done = await shift(eve, handheld)
            held = weight(handheld.pid)
            what = f"after {SHIFT_CUSTOMERS} customers read, paid and printed"
            rows += [heavy(what, held), keyed("log in: password to route", [done.log_in_s], NO_WAIT_S)]
            rows += await in_browser(eve, handheld, done.cookie)
    return rows


def started(month: Month, starts: Sequence[Running]) -> list[Row]:
    """From the start of the process: to its first page, and to the screens of the route."""
    what = f"start with {month.records:,} records, {month.stops:,} stops"
    first_s, open_s = [one.first_page_s for one in starts], [one.open_s for one in starts]
    return [keyed(f"{what}: log-in page", first_s, START_AIM_S), keyed(f"{what}: open", open_s, START_AIM_S)]


def heavy(what: str, held: Weight) -> Row:
    """What the process holds; the browser is not in it."""
    return Row(
        what=f"screens: the handheld's memory {what}",
        ours=f"PSS {held.pss_mb:.0f} MB",
        result=f"RSS {held.rss_mb:.0f} MB, at most {held.peak_mb:.0f} MB",
        aim=f"< {MEMORY_AIM_MB} MB",
        meets=held.pss_mb < MEMORY_AIM_MB,
    )


def keyed(what: str, times_s: Sequence[float], aim_s: float, peer: tuple[str, Sequence[float]] | None = None) -> Row:
    """Times against what a person bears, and against the plainest of their kind; both from this run."""
    return Row(
        what=f"screens: {what}",
        ours=spread_ms(times_s),
        peer=f"{peer[0]} {median(peer[1]) * 1000:.1f} ms" if peer else "",
        result=f"x {median(times_s) / median(peer[1]):.1f}" if peer else "",
        aim=f"p95 < {aim_s * 1000:,.0f} ms",
        meets=percentile(times_s, 95) < aim_s,
    )


async def in_browser(month: Month, handheld: Running, cookie: str) -> list[Row]:
    """Keys and pages at each slowness of the browser; each time with customers who have not been read yet."""
    rows: list[Row] = []
    left = iter(month.left[SHIFT_CUSTOMERS:])
    async with logged_in(handheld, cookie) as context:
        for slowness in SLOWNESS:
            page = await context.new_page()
            slow = await context.new_cdp_session(page)
            await slow.send("Emulation.setCPUThrottlingRate", {"rate": slowness})
            bench = Browser(page, handheld.url, f", browser at 1/{slowness}" if slowness > 1 else "")
            customers = [next(left) for _ in range(CUSTOMERS)]
            rows += [*await bench.typing(customers), await bench.searching(), await bench.listing(month.stops)]
            await page.close()
    return rows


@asynccontextmanager
async def logged_in(handheld: Running, cookie: str) -> AsyncIterator[BrowserContext]:
    """Debian's Chromium as wide as a handheld, with whoever logged in before."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            context = await browser.new_context(viewport=SCREEN, device_scale_factor=1.5, has_touch=True)
            await context.add_init_script(STOPWATCH)
            await context.add_cookies([{"name": COOKIE, "value": cookie, "url": handheld.url}])
            yield context
        finally:
            await browser.close()


class Browser:
    """One tab and what is measured in it. how: of the browser, behind each line."""

    def __init__(self, page: Page, url: str, how: str) -> None:
        self._page = page
        self._url = url
        self._how = how

    async def typing(self, customers: Sequence[tuple[str, int]]) -> list[Row]:
        """Key indexes and save them, as at the door; then walk past as many doors without a word."""
        digits_s: list[float] = []
        amounts_s: list[float] = []
        saved_s: list[float] = []
        whole_s: list[float] = []
        for customer, index in customers:
            await self._go(f"/stops/{customer}/reading")
            await self._page.evaluate("watch('#echo'); watch('#calc')")
            typed = await self._keys(str(index), "#echo", "#calc")
            digits_s += typed["#echo"]
            amounts_s += typed["#calc"]
            first, whole = await self._press("Enter", f"**/stops/{customer}/result")
            saved_s.append(first)
            whole_s.append(whole)
        own_s, trips_s, passed_s = await self._own_field(), await self._round_trips(), await self._passing(customers)
        how = self._how
        return [
            keyed(f"key to digit{how}", digits_s, AT_ONCE_S, ("browser's own field", own_s)),
            keyed(f"key to amount{how}", amounts_s, AT_ONCE_S, ("bare round trip", trips_s)),
            keyed(f"save to result{how}", saved_s, NO_WAIT_S, ("next customer's page", passed_s)),
            keyed(f"save to the paper's picture{how}", whole_s, NO_WAIT_S),
        ]

    async def searching(self) -> Row:
        """A keystroke to the list that it finds."""
        found_s: list[float] = []
        for query in SEARCHES:
            await self._go("/stops/search")
            await self._page.focus("input[name=q]")
            await self._page.evaluate("watch('#found')")
            found_s += (await self._keys(query, "#found"))["#found"]
        trips_s = await self._round_trips()
        return keyed(f"search: keystroke to list{self._how}", found_s, AT_ONCE_S, ("bare round trip", trips_s))

    async def listing(self, stops: int) -> Row:
        """The list of a whole route, from its address to what is painted."""
        listed_s = [(await self._go("/stops"))[0] for _ in range(LISTS)]
        plain_s = [(await self._go("/login"))[0] for _ in range(LISTS)]
        return keyed(f"list of {stops:,}{self._how}", listed_s, NO_WAIT_S, ("log-in page", plain_s))

    async def _go(self, path: str) -> tuple[float, float]:
        """Go to an address: first painted, whole."""
        await self._page.goto(self._url + path, wait_until="commit")
        return await self._arrived(from_key=False)

    async def _press(self, key: str, there: str) -> tuple[float, float]:
        """Press a key that leads to another page: first painted, whole."""
        async with self._page.expect_navigation(url=there, wait_until="commit"):
            await self._page.keyboard.press(key)
        return await self._arrived(from_key=True)

    async def _arrived(self, *, from_key: bool) -> tuple[float, float]:
        first_ms, whole_ms = await self._page.evaluate(ARRIVED, from_key)
        return first_ms / 1000, whole_ms / 1000

    async def _keys(self, text: str, *names: str) -> dict[str, list[float]]:
        """Press one key after the other, each when all that it shows is there."""
        for count, key in enumerate(text, 1):
            await self._page.keyboard.press(key)
            for name in names:
                try:
                    async with asyncio.timeout(SHOWN_S):
                        await self._page.evaluate("until", [name, count])
                except TimeoutError as error:
                    raise ScreenError(f"{self._page.url}: nothing in {name} after {text[:count]}") from error
        times: dict[str, list[float]] = await self._page.evaluate("times")
        return {name: [took_ms / 1000 for took_ms in times[name]] for name in names}

    async def _own_field(self) -> list[float]:
        await self._page.goto(OWN_FIELD)
        await self._page.focus("input")  # The browser gives it the turn by itself, but in its own time.
        return (await self._keys("1234567890" * 3, "field"))["field"]

    async def _round_trips(self) -> list[float]:
        await self._go("/route")
        times_ms: list[float] = await self._page.evaluate(ROUND_TRIPS, ROUND_TRIPS_COUNT)
        return [took_ms / 1000 for took_ms in times_ms]

    async def _passing(self, customers: Sequence[tuple[str, int]]) -> list[float]:
        """From one customer's page to the next one's, with nothing to save."""
        await self._go(f"/stops/{customers[0][0]}/result")
        return [(await self._press("ArrowRight", "**/stops/*/*"))[0] for _ in customers]
