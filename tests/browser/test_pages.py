"""Every page in both languages on both screens: nothing too small, too faint, cut off or out of reach; axe finds nothing.

Each page is kept as a picture for people to look at.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from device.core.commands import NoteContact, OpenShift
from device.core.events import FixAcquired
from protocol.records import ContactOutcome
from protocol.values import NoFix
from tests.browser.conftest import LARGE, PATIENCE_S, SMALL, Size, screen
from tests.browser.hands import Watch
from tests.browser.looks import accessible, measured, pad, picture
from tests.browser.scenes import (
    AT_WORK,
    BEFORE_LOG_IN,
    BEFORE_THE_SHIFT,
    OFFLINE,
    Scene,
    lived_in,
    log_in,
    long_round,
)
from tests.browser.test_shift import PIN, no_answer
from tests.device.branch import COLLECTOR
from tests.device.web.handheld import Handheld, handheld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(PATIENCE_S)]


class Tour:
    """A walk from page to page, with a list of all that is wrong on the way."""

    def __init__(self, page: Page, made: Handheld, size: Size, *, with_axe: bool, with_pictures: bool) -> None:
        self.page, self.made, self.size = page, made, size
        self.with_axe, self.with_pictures = with_axe, with_pictures
        self.wrong: list[str] = []
        self._pads: dict[str, list[list[float]]] = {}

    async def see(self, scenes: Iterable[Scene]) -> None:
        for scene in scenes:
            await self.page.goto(self.made.url + scene.path)
            if scene.like is not None:
                await self._is_like(scene, "before")
            if scene.way is not None:
                await scene.way(self.page, self.made)
            if scene.like is not None:
                await self._is_like(scene, "after")
            else:
                self._pads[scene.name] = await pad(self.page)
            found = await measured(self.page)
            if self.with_axe and scene.like is None:
                found += await accessible(self.page)
            self.wrong += [f"{scene.name}: {one}" for one in found]
            if self.with_pictures:
                await picture(self.page, self.size, scene.name)

    async def _is_like(self, scene: Scene, when: str) -> None:
        assert scene.like is not None
        boxes = await pad(self.page)
        if not boxes or boxes != self._pads[scene.like]:
            self.wrong.append(f"{scene.name}: the keys stand elsewhere {when} than on {scene.like}")


TOURS = [
    pytest.param("vi", SMALL, True, id="vietnamese-480x800"),
    pytest.param("vi", LARGE, False, id="vietnamese-720x1280"),
    pytest.param("en", SMALL, True, id="english-480x800"),
]


@pytest.mark.parametrize(("language", "size", "with_axe"), TOURS)
async def test_every_page(browser: Browser, home: Path, language: str, size: Size, with_axe: bool) -> None:
    async with handheld(home, stops=long_round()) as made, screen(browser, size) as (page, watch):
        made.site.language = language
        tour = Tour(page, made, size, with_axe=with_axe, with_pictures=language == "vi")
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
        access = made.opened.access
        assert await access.set_pin(COLLECTOR, PIN) is None
        await tour.see(OFFLINE)
        check(tour, watch)


def check(tour: Tour, watch: Watch) -> None:
    assert not tour.wrong, "\n".join(["", *tour.wrong])
    assert watch.complaints == []
    assert watch.elsewhere() == []
