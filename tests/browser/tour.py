"""A walk from page to page with a list of all that is wrong on the way."""

from collections.abc import Iterable

from playwright.async_api import Page

from tests.browser.conftest import Size
from tests.browser.hands import Watch
from tests.browser.looks import accessible, measured, pad, picture
from tests.browser.scenes import Scene


class Tour:
    """One browser's walk. Pages that differ only in what is typed or said (`Scene.like`) are not asked of axe again."""

    def __init__(self, page: Page, url: str, size: Size, *, with_axe: bool, with_pictures: bool) -> None:
        self.page, self.url, self.size = page, url, size
        self.with_axe, self.with_pictures = with_axe, with_pictures
        self.wrong: list[str] = []
        self._pads: dict[str, list[list[float]]] = {}

    async def see(self, scenes: Iterable[Scene]) -> None:
        """Go to each, do what is to be done there, and measure."""
        for scene in scenes:
            await self.page.goto(self.url + scene.path)
            if scene.like is not None:
                await self._is_like(scene, "before")
            if scene.way is not None:
                await scene.way(self.page)
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

    def check(self, watch: Watch) -> None:
        """Nothing was wrong, nothing was complained of, and nothing was asked of anybody else."""
        assert not self.wrong, "\n".join(["", *self.wrong])
        assert watch.complaints == []
        assert watch.elsewhere() == []
