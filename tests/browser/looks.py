"""What of a screen can be measured: sizes, contrast, what is cut off, and what axe-core finds."""

from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.browser.conftest import Size

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS = Path(__file__).parent / "screenshots"
TEXT_PX_MIN = 16
CONTRAST_MIN = 7
KEY_WIDTH_MIN, KEY_HEIGHT_MIN = 100, 90
TARGET_HEIGHT_MIN, MAIN_HEIGHT_MIN = 48, 64
AXE_OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "rules": {"color-contrast": {"enabled": False}},  # The slowest of them; MEASURE asks for more than it does.
    "resultTypes": ["violations"],
    "preload": False,
}

# One complaint for each thing that is wrong, as a sentence that names it.
MEASURE = r"""({textMin, contrastMin, targetMin, mainMin}) => {
  const wrong = [];
  const name = e => `<${e.tagName.toLowerCase()}${e.id ? '#' + e.id : ''}${e.className && e.className.baseVal === undefined ? '.' + e.className.replaceAll(' ', '.') : ''}> "${(e.textContent || '').trim().slice(0, 40)}"`;
  const width = document.documentElement.clientWidth, height = document.documentElement.clientHeight;
  for (const e of [document.documentElement, document.body])
    if (e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight) wrong.push(`the page itself scrolls: ${e.scrollWidth}x${e.scrollHeight}`);
  const scrolls = e => { for (let a = e.parentElement; a; a = a.parentElement) if (/auto|scroll/.test(getComputedStyle(a).overflowY)) return a; return null; };
  const seen = e => { const s = getComputedStyle(e), r = e.getBoundingClientRect(); return s.visibility !== 'hidden' && s.display !== 'none' && r.width > 1 && r.height > 1; };
  const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return {rgb: m.slice(0, 3), alpha: m.length > 3 ? m[3] : 1}; };
  const light = rgb => { const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (let a = e; a; a = a.parentElement) { const c = parse(getComputedStyle(a).backgroundColor); if (c.alpha === 1) return c.rgb; } return [255, 255, 255]; };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || !seen(e) || ['SCRIPT', 'STYLE'].includes(e.tagName)) continue;
    const style = getComputedStyle(e);
    if (parseFloat(style.fontSize) < textMin) wrong.push(`text of ${style.fontSize}: ${name(e)}`);
    const [a, b] = [light(parse(style.color).rgb), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < contrastMin) wrong.push(`contrast ${ratio.toFixed(2)}: ${name(e)}`);
  }
  for (const e of document.querySelectorAll('body *')) {
    if (!seen(e) || e.closest('svg')) continue;
    const style = getComputedStyle(e), r = e.getBoundingClientRect();
    const cutOnPurpose = style.textOverflow === 'ellipsis' || style.webkitLineClamp !== 'none';
    if (/hidden|clip/.test(style.overflowY) && e !== document.body && !cutOnPurpose && !e.classList.contains('unseen') && !['INPUT', 'VIDEO', 'IMG'].includes(e.tagName)) {
      // Letters of Vietnamese stand taller than a line that is set tight; what is cut is at least half a line.
      if (e.scrollHeight > e.clientHeight + 6 && !e.classList.contains('who')) wrong.push(`cut off below, ${e.scrollHeight} in ${e.clientHeight}: ${name(e)}`);
      if (e.scrollWidth > e.clientWidth + 1) wrong.push(`cut off on the right, ${e.scrollWidth} in ${e.clientWidth}: ${name(e)}`);
    }
    if (/auto|scroll/.test(style.overflowY) && e.scrollWidth > e.clientWidth + 1) wrong.push(`scrolls sideways, ${e.scrollWidth} in ${e.clientWidth}: ${name(e)}`);
    const region = scrolls(e);
    if (region ? (r.left < -0.5 || r.right > width + 0.5) : (r.left < -0.5 || r.top < -0.5 || r.right > width + 0.5 || r.bottom > height + 0.5)) {
      let hidden = false;
      for (let a = e.parentElement; a; a = a.parentElement) if (/hidden|clip/.test(getComputedStyle(a).overflowX) && a !== document.body) hidden = true;
      if (!hidden || e.matches('a, button, input')) wrong.push(`outside the screen at ${Math.round(r.left)},${Math.round(r.top)}..${Math.round(r.right)},${Math.round(r.bottom)}: ${name(e)}`);
    }
    if (e.matches('a, button, input:not([type=hidden])') && !e.closest('.bar') && !region) {
      const main = e.closest('main')?.getBoundingClientRect();
      if (main && (r.bottom > main.bottom + 0.5 || r.top < main.top - 0.5)) wrong.push(`outside its part of the screen: ${name(e)}`);
    }
    if (e.matches('.button, .pad > *, .list a, input:not([type=hidden])') && r.height < targetMin - 0.01) wrong.push(`only ${r.height} px high: ${name(e)}`);
    if (e.placeholder) {
      const [a, b] = [light(parse(getComputedStyle(e, '::placeholder').color).rgb), light(behind(e))].sort((x, y) => y - x);
      if ((a + 0.05) / (b + 0.05) < contrastMin) wrong.push(`contrast of the placeholder: ${name(e)}`);
    }
    if (e.matches('[data-main]') && r.height < mainMin - 0.01) wrong.push(`main action only ${r.height} px high`);
  }
  return [...new Set(wrong)];
}"""

PAD = """() => [...document.querySelectorAll('.pad > *')].map(key => {
  const box = key.getBoundingClientRect();
  return [box.left, box.top, box.width, box.height];
})"""


async def measured(page: Page) -> list[str]:
    """What is wrong with the sizes, the contrast and the places of a screen."""
    await page.evaluate("document.fonts.ready")
    limits = {
        "textMin": TEXT_PX_MIN,
        "contrastMin": CONTRAST_MIN,
        "targetMin": TARGET_HEIGHT_MIN,
        "mainMin": MAIN_HEIGHT_MIN,
    }
    found: list[str] = await page.evaluate(MEASURE, limits)
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
        for left, right in zip(boxes, boxes[1:], strict=False)
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
