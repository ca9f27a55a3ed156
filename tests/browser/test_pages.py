"""Every page, in both languages, on both screens: nothing is too small, too faint, cut off or out of reach.

The keys of the drawn keypad stand where they stood, whatever is typed or said above them. axe finds nothing. Each page
is kept as a picture for people to look at.
"""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from device.core.commands import NoteContact, OpenShift
from device.core.events import FixAcquired
from protocol.records import ContactOutcome
from protocol.values import NoFix
from tests.browser.conftest import LARGE, PATIENCE_S, SMALL, Size, screen
from tests.browser.scenes import AT_WORK, BEFORE_LOG_IN, BEFORE_THE_SHIFT, OFFLINE, lived_in, log_in, long_round
from tests.browser.test_shift import PIN, no_answer
from tests.browser.tour import Tour
from tests.device.branch import COLLECTOR
from tests.device.web.handheld import handheld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(PATIENCE_S)]

TOURS = [
    pytest.param("vi", SMALL, True, id="vietnamese-480x800"),
    pytest.param("vi", LARGE, False, id="vietnamese-720x1280"),
    pytest.param("en", SMALL, True, id="english-480x800"),
]


@pytest.mark.parametrize(("language", "size", "with_axe"), TOURS)
async def test_every_page(browser: Browser, home: Path, language: str, size: Size, with_axe: bool) -> None:
    async with handheld(home, stops=long_round()) as made, screen(browser, size) as (page, watch):
        made.site.language = language
        tour = Tour(page, made.url, size, with_axe=with_axe, with_pictures=language == "vi")
        await tour.see(BEFORE_LOG_IN)
        await log_in(page, made)
        await tour.see(BEFORE_THE_SHIFT)
        await made.app.dispatch(OpenShift(intent=bytes(16), collector=COLLECTOR))
        await lived_in(made)
        await tour.see(AT_WORK)
        made.hub.instead = no_answer
        await made.app.dispatch(FixAcquired(fix=NoFix.NO_SIGNAL))
        await made.app.dispatch(
            NoteContact(intent=b"without network!", customer="C00012", outcome=ContactOutcome.NOBODY_HOME)
        )
        assert await made.opened.access.set_pin(COLLECTOR, PIN) is None
        await tour.see(OFFLINE)
        tour.check(watch)
