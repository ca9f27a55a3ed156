"""How a collector works a screen: by touch, or by a keypad that has digits, ⌫, Enter, ◀ and ▶ and no other key."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, Request

Turn = Literal["main", "back", "previous", "next"]
KEYS: dict[Turn, str] = {"main": "Enter", "back": "Backspace", "previous": "ArrowLeft", "next": "ArrowRight"}
ITEMS_MAX = 60  # One page of a list and its ends.
ABLE = ":not([disabled]):not([aria-disabled=true])"  # A button that takes money settles first; the camera opens first.
# Where the browser only says that a page came with another status than 200: a refusal is such a page.
REFUSAL = "Failed to load resource: the server responded with a status of 40"


@asynccontextmanager
async def loaded(page: Page) -> AsyncIterator[None]:
    """What happens inside leads to a page, which is there with its scripts afterwards."""
    async with page.expect_event("load"):
        yield


class Hands(ABC):
    """What a hand can do at a screen. `go…` leads to another page, `press…` stays."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def path(self) -> str:
        """Where the screen is."""
        return urlsplit(self.page.url).path

    async def go(self, turn: Turn) -> None:
        async with loaded(self.page):
            await self.press(turn)

    async def go_digit(self, digit: str) -> None:
        async with loaded(self.page):
            await self.press_digit(digit)

    async def go_item(self, words: str) -> None:
        """Open the line of a list, or the choice, that says so."""
        item = self.page.locator("[data-item]").filter(has_text=words).first
        async with loaded(self.page):
            await self.open(item)

    async def press(self, turn: Turn) -> None:
        target = self.page.locator(f"[data-{turn}]{ABLE}").first
        await target.wait_for()
        await self.turn(turn, target)

    async def press_digit(self, digit: str) -> None:
        """The action that bears a number."""
        target = self.page.locator(f'[data-digit="{digit}"]{ABLE}').first
        await target.wait_for()
        await self.number(digit, target)

    @abstractmethod
    async def turn(self, turn: Turn, target: Locator) -> None: ...

    @abstractmethod
    async def number(self, digit: str, target: Locator) -> None: ...

    @abstractmethod
    async def open(self, item: Locator) -> None: ...

    @abstractmethod
    async def key_in(self, digits: str) -> None:
        """Type into what has the turn."""

    @abstractmethod
    async def into(self, field: Locator, *, first: bool) -> None:
        """Give a field the turn. first: it stands at the top and has it already."""


class Touch(Hands):
    """A finger."""

    async def turn(self, turn: Turn, target: Locator) -> None:
        await target.tap()

    async def number(self, digit: str, target: Locator) -> None:
        await target.tap()

    async def open(self, item: Locator) -> None:
        await item.tap()

    async def key_in(self, digits: str) -> None:
        for digit in digits:
            await self.page.locator(f'[data-key="{digit}"], [data-letter="{digit}"]').tap()

    async def into(self, field: Locator, *, first: bool) -> None:
        await field.tap()


class Keypad(Hands):
    """Fifteen keys."""

    async def turn(self, turn: Turn, target: Locator) -> None:
        await self.page.keyboard.press(KEYS[turn])

    async def number(self, digit: str, target: Locator) -> None:
        await self.page.keyboard.press(digit)

    async def open(self, item: Locator) -> None:
        wanted = await item.element_handle()
        for _ in range(ITEMS_MAX):
            if await self.page.evaluate("wanted => document.activeElement === wanted", wanted):
                await self.page.keyboard.press("Enter")
                return
            ahead = await self.page.evaluate(AHEAD, wanted)
            await self.page.keyboard.press(KEYS["next" if ahead else "previous"])
        raise AssertionError("no key leads to this line")

    async def key_in(self, digits: str) -> None:
        for digit in digits:
            await self.page.keyboard.press(digit)

    async def into(self, field: Locator, *, first: bool) -> None:
        if not first:
            await self.page.keyboard.press("ArrowRight")


AHEAD = """wanted => {
  const items = [...document.querySelectorAll('[data-item]')];
  return items.indexOf(wanted) > items.indexOf(document.activeElement);
}"""


@dataclass  # Not slotted: the driver keeps a note on whoever listens.
class Watch:
    """All that a browser says and asks for. complaints: errors, warnings and what the page's policy stopped."""

    complaints: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> "Watch":
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("request", self._asked)
        return self

    def elsewhere(self) -> list[str]:
        """Requests that left this machine."""
        far = (one for one in self.addresses if urlsplit(one).scheme not in ("data", "blob"))
        return [one for one in far if urlsplit(one).hostname != "127.0.0.1"]

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(REFUSAL):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        self.addresses.append(request.url)
