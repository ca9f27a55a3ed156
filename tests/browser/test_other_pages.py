"""Pages that a day's work does not pass: a new handheld, a store that is still being read, a printer on a cable.

The page that says so and asks again each second has nothing on it to look at for longer.
"""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from device.keystore import Admission
from device.linked_printer import LinkedPrinter
from device.web.server import Face
from device.web.visit import Site
from tests.browser.conftest import LARGE, PATIENCE_S, SMALL, Size, screen
from tests.browser.scenes import Scene, log_in, looked_for_camera, tried_to_enrol
from tests.browser.tour import Tour
from tests.device.branch import COLLECTOR, HUB_KEY, IMEI, StillClock
from tests.device.test_printer_door import port_in
from tests.device.web.handheld import handheld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(PATIENCE_S)]

NEW = (
    Scene("setup", "/setup"),
    Scene("setup-refused", "/setup", tried_to_enrol),
    Scene("setup-scan", "/setup/scan", looked_for_camera),
)
ADMITTED = (Scene("login-while-opening", "/login"),)
PRINTER = (
    Scene("printer", "/printer"),
    Scene("printer-models", "/printer/models"),
    Scene("printer-pages", "/printer/pages"),
)
SIZES = [pytest.param("vi", SMALL, id="vietnamese"), pytest.param("en", LARGE, id="english")]


@pytest.mark.parametrize(("language", "size"), SIZES)
async def test_pages_of_a_new_handheld(browser: Browser, home: Path, language: str, size: Size) -> None:
    site = Site(home=home, clock=StillClock(), software="ghithu test", language=language, modem="at:///dev/null")
    face = Face(site)
    try:
        url = f"http://127.0.0.1:{await face.listen(0)}"
        async with screen(browser, size) as (page, watch):
            tour = Tour(page, url, size, with_axe=True, with_pictures=language == "vi")
            await tour.see(NEW)
            site.admission = Admission(
                device=7, unit="CT", hub_url=url, hub_key=HUB_KEY.public, imei=IMEI, collector=COLLECTOR
            )
            await tour.see(ADMITTED)
            tour.check(watch)
    finally:
        await face.close()


@pytest.mark.parametrize(("language", "size"), SIZES)
async def test_pages_of_a_printer_on_a_cable(
    browser: Browser, home: Path, tmp_path: Path, language: str, size: Size
) -> None:
    async with (
        port_in(tmp_path) as (_, address),
        handheld(home, printer=LinkedPrinter(address, home)) as made,
        screen(browser, size) as (page, watch),
    ):
        made.site.language = language
        await log_in(page, made)
        tour = Tour(page, made.url, size, with_axe=True, with_pictures=language == "vi")
        await tour.see(PRINTER)
        tour.check(watch)
