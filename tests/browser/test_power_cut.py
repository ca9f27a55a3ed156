"""The program is killed under the collector's hands, at each step of a sale: the same screen goes on."""

import signal
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from device.keystore import KEY_NAME, Admission, keep_admission
from protocol.records import CashCollected, ReadingTaken, ShiftOpened
from tests.browser.conftest import PATIENCE_S, screen
from tests.browser.hands import ABLE, Keypad, loaded
from tests.device.branch import COLLECTOR, HUB_KEY, IMEI, SmallHub, card, download, stop
from tests.device.test_drive import ended, program
from tests.device.web.handheld import OWN_PASSWORD
from tests.device.web.test_guard import knock
from tests.device.web.test_start import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(PATIENCE_S)]

CUSTOMER = "/stops/C00001"


@dataclass(slots=True)
class Box:
    """A real handheld on a port of its own, as a kiosk's browser knows it."""

    home: Path
    clock: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def on(self) -> AsyncIterator[None]:
        """Switched on, and working; at the end the power is cut."""
        words = ("run", "--listen", f"127.0.0.1:{self.port}", "--position", "off", "--papers", f"text:{self.home}")
        process = await program(self.home, *words, GHITHU_CLOCK_FILE=str(self.clock))
        try:
            await until(self._works)
            yield
        finally:
            process.kill()
            status, errors = await ended(process)
            assert status == -signal.SIGKILL, errors

    async def _works(self) -> bool:
        try:
            return '"working"' in (await knock(self.url, "/healthz")).body
        except OSError:
            return False

    def records(self, kind: int) -> int:
        with closing(sqlite3.connect(self.home / "store.db")) as db:
            (found,) = db.execute("SELECT count(*) FROM record WHERE kind = ?", (kind,)).fetchone()
            return int(found)


@asynccontextmanager
async def box_of(tmp_path: Path) -> AsyncIterator[Box]:
    """Admitted, with two customers at the hub."""
    home, clock = tmp_path / "home", tmp_path / "clock"
    home.mkdir(mode=0o700)
    async with SmallHub().open() as hub:
        hub.packages = download((stop(1), stop(2)), collectors=(card(password=OWN_PASSWORD),))
        clock.write_text(str(hub.now_ms))
        keep_admission(
            home,
            Admission(device=7, unit="CT", hub_url=hub.url, hub_key=HUB_KEY.public, imei=IMEI, collector=COLLECTOR),
        )
        (home / KEY_NAME).write_bytes(bytes(range(1, 33)))
        (home / KEY_NAME).chmod(0o600)
        with closing(socket.create_server(("127.0.0.1", 0))) as door:
            port = door.getsockname()[1]
        yield Box(home, clock, port)


async def begin(box: Box, page: Page) -> None:
    """Log in without a PIN, take the route, open the shift."""
    hands = Keypad(page)
    await page.goto(f"{box.url}/login")
    await hands.key_in(OWN_PASSWORD)
    await hands.go("main")
    await hands.go("main")
    if await page.locator("form[action^='/route/download'] [data-main]").count():
        async with loaded(page):  # Which data came makes the page anew.
            await hands.go("main")
    await page.locator("form[action^='/shift/open']").wait_for()
    await hands.go("main")


async def test_killed_at_any_step_the_same_screen_goes_on(browser: Browser, tmp_path: Path) -> None:
    async with box_of(tmp_path) as box, screen(browser) as (page, _):
        hands = Keypad(page)
        async with box.on():
            await begin(box, page)
            await hands.go("main")
            assert hands.path == f"{CUSTOMER}/reading"
            await hands.key_in("12")
        async with box.on():  # The page has not noticed: what was keyed stands there, and the rest is keyed.
            await hands.key_in("0")
            await page.locator("#calc").get_by_text("20 m³").wait_for()
            await hands.go("main")
            assert (hands.path, box.records(ReadingTaken.KIND)) == (f"{CUSTOMER}/result", 1)
            await hands.go("main")
            await page.locator(f"[data-main]{ABLE}").wait_for()
        async with box.on():  # Killed while the customer counts out the money.
            await hands.go("main")
            assert (hands.path, box.records(CashCollected.KIND)) == (f"{CUSTOMER}/result", 1)
        async with box.on():
            await page.reload()
            await expect(page.locator("#state")).to_contain_text("153.333")
            await page.go_back()
            await expect(page.locator("form#take")).to_have_count(0)
            await page.goto(box.url)
            assert hands.path == "/route"
            await expect(page.locator("[data-main]")).to_contain_text("2")
            await hands.go("main")
            assert hands.path == "/stops/C00002/reading"
        counts = [box.records(one.KIND) for one in (ShiftOpened, ReadingTaken, CashCollected)]
        assert counts == [1, 1, 1]


async def test_killed_under_the_tap_it_is_tapped_again_and_taken_once(browser: Browser, tmp_path: Path) -> None:
    async with box_of(tmp_path) as box, screen(browser) as (page, _):
        hands = Keypad(page)
        async with box.on():
            await begin(box, page)
            await page.goto(f"{box.url}{CUSTOMER}/reading")
            await hands.key_in("120")
            await hands.go("main")
            await hands.go("main")
            await hands.press("main")
        async with box.on():
            await page.goto(f"{box.url}{CUSTOMER}/result")
            if not box.records(CashCollected.KIND):
                await hands.go("main")
                await hands.go("main")
            assert box.records(CashCollected.KIND) == 1
            await expect(page.locator("#state")).to_contain_text("153.333")
