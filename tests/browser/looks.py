"""What of a screen can be measured: sizes, contrast, what is cut off, and what axe-core finds."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.browser.conftest import Size

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
MEASURE = Path(__file__).with_name("measure.js")
SCREENSHOTS = Path(__file__).parent / "screenshots"
LIMITS = {"textPx": 16, "contrast": 7, "targetPx": 48, "mainPx": 64}
KEY_WIDTH_MIN, KEY_HEIGHT_MIN = 100, 90
AXE_OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "rules": {"color-contrast": {"enabled": False}},  # The slowest of them; measure.js asks for more.
    "resultTypes": ["violations"],
    "preload": False,
}

PAD = """() => [...document.querySelectorAll('.pad > *')].map(key => {
  const box = key.getBoundingClientRect();
  return [box.left, box.top, box.width, box.height];
})"""


async def measured(page: Page) -> list[str]:
    """What is wrong with the sizes, the contrast and the places of a screen."""
    await page.evaluate("document.fonts.ready")
    found: list[str] = await page.evaluate(MEASURE.read_text(), LIMITS)
    return found + keys_wrong(await pad(page))


async def pad(page: Page) -> list[list[float]]:
    """The boxes of the drawn keys: left, top, width, height."""
    found: list[list[float]] = await page.evaluate(PAD)
    return found


def keys_wrong(boxes: list[list[float]]) -> list[str]:
    """Keys that are too small, or have a gap between them."""
    small = [
        f"a key of {width}x{height}"
        for _, _, width, height in boxes
        if width < KEY_WIDTH_MIN or height < KEY_HEIGHT_MIN
    ]
    beside = [
        f"a gap of {right[0] - left[0] - left[2]} px beside a key"
        for left, right in pairwise(boxes)
        if right[1] == left[1] and abs(right[0] - left[0] - left[2]) > 0.01
    ]
    below = [
        f"a gap of {lower[1] - upper[1] - upper[3]} px below a key"
        for upper, lower in zip(boxes, boxes[3:], strict=False)
        if abs(lower[1] - upper[1] - upper[3]) > 0.01
    ]
    return small + beside + below


async def accessible(page: Page) -> list[str]:
    """What axe-core finds by WCAG 2, levels A and AA."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    found: dict[str, Any] = await page.evaluate("options => axe.run(document, options)", AXE_OPTIONS)
    return [
        f"{one['id']}: {one['help']}: {', '.join(node['html'][:120] for node in one['nodes'])}"
        for one in found["violations"]
    ]


async def picture(page: Page, size: Size, name: str) -> None:
    """Keep what the screen shows, for people to look at."""
    folder = SCREENSHOTS / size.name
    folder.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=folder / f"{name}.png", animations="disabled")
