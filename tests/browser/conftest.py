"""One Chromium for each worker of a test run, and a screen in it for each test."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.browser.hands import Watch

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox",  # Tests may run as root.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
PATIENCE_S = 300.0  # A whole day's work, or eighty pages, on a machine that does much else besides.
PATIENCE_MS = 45_000  # Two cores, each with a browser and other tests.


@dataclass(frozen=True, slots=True)
class Size:
    """A screen in CSS pixels, and how many dots each has."""

    name: str
    width: int
    height: int
    scale: float


SMALL = Size("480x800", 480, 800, 1)
LARGE = Size("720x1280", 480, 853, 1.5)
SIZES = (SMALL, LARGE)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed here; `make test` installs Debian's")
    async with async_playwright() as driver:
        one = await driver.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield one
        await one.close()


@asynccontextmanager
async def screen(browser: Browser, size: Size = SMALL) -> AsyncIterator[tuple[Page, Watch]]:
    """A browser as if just started, with a touch screen of this size."""
    context = await browser.new_context(
        viewport={"width": size.width, "height": size.height},
        device_scale_factor=size.scale,
        has_touch=True,
        locale="vi-VN",
    )
    context.set_default_timeout(PATIENCE_MS)
    watch = Watch().over(context)
    try:
        yield await context.new_page(), watch
    finally:
        await context.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Of a handheld."""
    made = tmp_path / "home"
    made.mkdir()
    return made
