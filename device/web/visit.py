"""What every screen stands on: the handheld behind it, the visitor in front of it, and how a page is answered."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

from device.access import Access
from device.app import App, Die, die
from device.clock import Clock
from device.core.commands import AskPolicy, Command, DownloadRoute, OpenLogIn, OpenShift, OpenStop, SendNow
from device.core.effects import Done, Refused
from device.core.stops import StopWork
from device.core.work import Work
from device.keystore import Admission
from device.photos import PhotoShelf
from device.printing import PaperPress
from device.shelf import Shelf
from device.stop_index import StopIndex
from device.web.forms import Form, read_form
from device.web.phrases import DEFAULT_LANGUAGE, LANGUAGES, phrases, said
from device.web.render import render
from device.web.status import Status, status_of
from device.web.texts import require_sealable
from device.web.visitors import Visitor, Visitors
from protocol.reasons import REASONS, Reason

NOBODY_IN_PARTICULAR = ""  # Whose preferences those of the handheld itself are.
LANGUAGE = "language"
LAST_STOP = "last-stop"


@dataclass(slots=True)
class Opened:
    """A handheld whose store is open and whose session runs."""

    app: App
    access: Access
    shelf: Shelf
    visitors: Visitors
    press: PaperPress
    index: StopIndex
    photos: PhotoShelf


@dataclass(slots=True)
class Site:
    """One handheld as its screens see it. opened: None while the store is being read, or before enrolment.

    modem: where its IMEI is asked for (`device.hardware.imei`). enrolled: set once the first screen has asked the hub
    in. die: how the process ends when its store fails.
    """

    home: Path
    clock: Clock
    software: str
    admission: Admission | None = None
    opened: Opened | None = None
    language: str = DEFAULT_LANGUAGE
    modem: str = "auto"
    enrolled: asyncio.Event = field(default_factory=asyncio.Event)
    die: Die = die

    async def open(self, opened: Opened) -> None:
        """The session runs: screens may show it."""
        await opened.visitors.load()
        chosen = await opened.shelf.preference(NOBODY_IN_PARTICULAR, LANGUAGE)
        self.language = chosen if chosen is not None and chosen in LANGUAGES else DEFAULT_LANGUAGE
        self.opened = opened


@dataclass(slots=True)
class Visit:
    """One request. visitor: None on the pages that anybody may see."""

    site: Site
    request: web.Request
    visitor: Visitor | None

    # The handheld.

    @property
    def opened(self) -> Opened:
        """The open handheld; the guard lets nobody in before."""
        assert self.site.opened is not None
        return self.site.opened

    @property
    def app(self) -> App:
        return self.opened.app

    @property
    def work(self) -> Work:
        return self.app.session.work

    @property
    def collector(self) -> str:
        """Who is logged in."""
        assert self.visitor is not None
        return self.visitor.collector

    @property
    def has_shift(self) -> bool:
        """Whether the visitor's own shift is open."""
        shift = self.work.shift
        return shift is not None and shift.is_open and shift.collector == self.collector

    def stop(self) -> StopWork:
        """The customer of the address, if it is on a route of this visitor. Raises HTTPNotFound.

        Ask again after whatever was waited for: a route that has arrived meanwhile brings all customers anew, and may
        have left this one out.
        """
        work = self.work.stops.get(self.request.match_info["customer"])
        if work is None or work.package.collector != self.collector:
            raise web.HTTPNotFound(reason="no such customer")
        return work

    async def ask(self, command: Command) -> Done | Refused:
        """Have a command decided on, for this visitor alone: another's open shift is not theirs to work in. Raises
        FormError where no record could hold what was typed.
        """
        require_sealable(command)
        shift = self.work.shift
        if shift is not None and shift.is_open and shift.collector != self.collector and not is_anybodys(command):
            return Refused(reason=Reason.OTHER_COLLECTOR)
        answer = await self.app.dispatch(command)
        assert answer is not None, "every command has an answer"
        return answer.outcome

    # Words.

    @property
    def language(self) -> str:
        return self.site.language

    def _(self, english: str) -> str:
        """A phrase in the language of the screen."""
        return phrases(self.language).gettext(english)

    def why(self, reason: Reason) -> str:
        """A reason in words."""
        return said(REASONS[reason][:2], self.language)

    # Answers.

    async def form(self) -> Form:
        """What was sent. Raises FormError, which becomes a page."""
        return await read_form(self.request)

    def page(self, template: str, *, status: int = 200, **context: Any) -> web.Response:
        """A page, or a part of one for htmx."""
        text = render(template, self.language, visit=self, bar=self.bar(), **context)
        return web.Response(text=text, status=status, content_type="text/html")

    def bar(self) -> Status | None:
        """What the status bar says, once there is something to say."""
        return status_of(self.app, self.site.clock, self.language) if self.site.opened is not None else None

    def see(self, path: str) -> web.HTTPSeeOther:
        """Go and look there: the answer to every form that did something."""
        return web.HTTPSeeOther(path)

    def no(self, sentence: str, *, back: str, status: int = 409) -> web.Response:
        """Nothing was done, and why."""
        return self.page("message.html", status=status, sentence=sentence, back=back)


Handler = Callable[[Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Page:
    """One address. open_to_all: also to those who are not logged in; before_opening: also while the store is read.

    typed: asked for at each key that somebody presses. Other parts of pages come by themselves, with nobody there.
    """

    method: str
    path: str
    handler: Handler
    open_to_all: bool = False
    before_opening: bool = False
    typed: bool = False


def get(
    path: str, handler: Handler, *, open_to_all: bool = False, before_opening: bool = False, typed: bool = False
) -> Page:
    """A page to look at."""
    return Page("GET", path, handler, open_to_all, before_opening, typed)


def post(path: str, handler: Handler, *, open_to_all: bool = False, before_opening: bool = False) -> Page:
    """Something to do."""
    return Page("POST", path, handler, open_to_all, before_opening)


def is_anybodys(command: Command) -> bool:
    """Whether a command is nobody's work: the network, a look, or the beginning of one's own shift."""
    return isinstance(command, OpenShift | OpenStop | SendNow | DownloadRoute | AskPolicy | OpenLogIn)


def login_path(door: str, back: str) -> str:
    """A door ("/login", "/unlock"), and where to go on behind it."""
    return f"{door}?next={quote(back, safe='')}"


def safe_next(path: str) -> str:
    """A path of ours to go on at; "/" for anything else that a link might name."""
    ours = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if ours else "/"

