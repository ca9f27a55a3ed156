"""The door of the screens: 127.0.0.1 alone, and no trust in that either.

Any page in any browser here, and any other name that resolves to this machine, may knock. So: the Host must be ours, a
form must come from our own page (Origin, Sec-Fetch-Site), whoever acts must be logged in, and pages may load nothing
from elsewhere. Whatever is refused, nothing has been done.
"""

import logging
import os
from collections.abc import Awaitable, Callable
from gettext import NullTranslations
from typing import TypeVar

from aiohttp import web
from yarl import URL

from device.store import StoreError
from device.web.forms import FORM_BYTES_MAX, FORM_TYPE, FormError, read_form
from device.web.phrases import phrases
from device.web.render import asset, content, render
from device.web.views import VIEWS
from device.web.visit import Page, Site, Visit, login_path, safe_next
from device.web.visitors import COOKIE

HOST = "127.0.0.1"
LAST_ANSWER_S = 5
PHOTO_BYTES_MAX = 8 * 2**20  # As a camera gives it; it is made smaller before it is kept.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
        "connect-src 'self'; media-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "same-origin",  # With "no-referrer" a browser says Origin: null of our own forms.
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
FOR_EVER = "public, max-age=31536000, immutable"
DIGITS, DIGITS_MAX = "index", 9  # The one thing that is typed for long: an index.
PART, PART_OF, PART_GOES = "HX-Request", "HX-Current-URL", "HX-Redirect"  # As htmx names them.
_OUR_NAMES = (HOST, "localhost")
_CONTROLS = {*map(chr, range(32)), chr(127)}
log = logging.getLogger(__name__)
Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Face:
    """The screens' server. It listens before the store is open, so that a page is there at once."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._runner: web.AppRunner | None = None
        self._hosts: frozenset[str] = frozenset()

    async def listen(self, port: int) -> int:
        """Open the door and say on which port; 0 lets the system choose."""
        app = web.Application(client_max_size=max(FORM_BYTES_MAX, PHOTO_BYTES_MAX), middlewares=[self._guard])
        for page in VIEWS:
            app.router.add_route(page.method, page.path, self._answered(page))
        app.router.add_get("/static/{digest}/{name:.+}", _static)
        app.router.add_get("/favicon.ico", _nothing)
        app.router.add_get("/healthz", self._healthy)
        self._runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, keepalive_timeout=75, shutdown_timeout=LAST_ANSWER_S
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, port).start()
        _, bound, *_ = self._runner.addresses[0]
        self._hosts = frozenset(f"{name}:{bound}" for name in _OUR_NAMES)
        return int(bound)

    async def close(self) -> None:
        """Shut the door; answers under way are given first."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Next) -> web.StreamResponse:
        if (refusal := self._foreign(request)) is not None:
            return _guarded(web.Response(text=refusal, status=403))
        try:
            return _guarded(await handler(request))
        except web.HTTPException as other:
            if other.status >= web.HTTPBadRequest.status_code:
                other.text = self._way_on(self._words.gettext("There is nothing here."))
                other.content_type = "text/html"
            _guarded(other)
            raise
        except StoreError as error:  # As with a record that cannot be written: what is on disk alone can be believed.
            self._site.die(error)
        except Exception:  # A kiosk has no address bar: whatever failed, the page has to show a way on.
            log.exception("no answer to %s %s", request.method, request.path)
            sentence = self._words.gettext("This screen failed. What was saved before is kept: go back and look.")
            return _guarded(web.Response(text=self._way_on(sentence), status=500, content_type="text/html"))

    @property
    def _words(self) -> NullTranslations:
        return phrases(self._site.language)

    def _way_on(self, sentence: str) -> str:
        """A page with a sentence and a way back, made of as little as can be: what failed may be anything."""
        return render("message.html", self._site.language, bar=None, sentence=sentence, back="/")

    def _foreign(self, request: web.Request) -> str | None:
        """Why a request cannot have come from one of our own pages."""
        host = request.headers.get("Host")
        if host not in self._hosts:
            return "this handheld answers to 127.0.0.1 alone"
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none") and not _is_a_visit(
            request
        ):
            return "another page asked for this"
        if request.method not in ("GET", "HEAD") and request.headers.get("Origin") != f"http://{host}":
            return "only a page of this handheld may send this"
        return None

    def _answered(self, page: Page) -> Next:
        async def answer(request: web.Request) -> web.StreamResponse:
            opened = self._site.opened
            visitor = opened.visitors.find(request.cookies.get(COOKIE)) if opened is not None else None
            visit = Visit(self._site, request, visitor)
            try:
                _require_plain(request)
                return await self._instead(page, visit) or await page.handler(visit)
            except FormError as error:
                sentence = visit._("This screen does not fit any more: open it again. Nothing was recorded.")
                return visit.no(f"{sentence} ({error})", back=_back_of(request), status=400)
            except web.HTTPNotFound:
                return visit.no(visit._("There is nothing here."), back="/", status=404)

        return answer

    async def _instead(self, page: Page, visit: Visit) -> web.StreamResponse | None:
        """What is answered to somebody who may not see a page now; None: the page itself."""
        site, opened, visitor = visit.site, visit.site.opened, visit.visitor
        if opened is None:
            return None if page.before_opening else await _not_yet(visit)
        if page.open_to_all:
            return None
        if visitor is None:
            return await _at_the_door("/login", visit.request)
        if visitor.is_locked(site.clock.now().up_ms):
            return await _at_the_door("/unlock", visit.request)
        if page.typed or not _is_part(visit.request):
            await opened.visitors.touch(visitor)
        await opened.access.notice()
        return None

    async def _healthy(self, _request: web.Request) -> web.Response:
        state = "working" if self._site.opened is not None else "opening"
        return web.json_response({"state": state, "software": self._site.software, "pid": os.getpid()})


T = TypeVar("T", bound=web.StreamResponse)


def _guarded(answer: T) -> T:
    """With what keeps a page to itself."""
    answer.headers.update(SECURITY_HEADERS)
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def _is_a_visit(request: web.Request) -> bool:
    """Whether somebody only comes to look: following a link changes nothing here."""
    return request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"


def _require_plain(request: web.Request) -> None:
    """Browsers drop control characters from an address, so that it leads elsewhere than it seems. Raises FormError."""
    if not _CONTROLS.isdisjoint(request.path + request.query_string):
        raise FormError("the address has control characters")


async def _not_yet(visit: Visit) -> web.StreamResponse:
    """The answer while the store is being read. Where that ends the page comes by itself, with what was typed."""
    request = visit.request
    if visit.site.admission is None:
        raise visit.see("/setup")
    if _is_part(request):
        return web.Response(status=204)
    if request.method == "POST" and "back" in request.query:
        raise visit.see(await _with_digits(request))
    return visit.page("opening.html", status=503 if request.method == "POST" else 200)


async def _at_the_door(door: str, request: web.Request) -> web.StreamResponse:
    """Send somebody to a door; behind it the page goes on as it was. A part of a page takes the whole page there."""
    address = login_path(door, await _with_digits(request))
    if _is_part(request):
        return web.Response(headers={PART_GOES: address})
    raise web.HTTPSeeOther(address)


def _is_part(request: web.Request) -> bool:
    return request.headers.get(PART) == "true"


def _back_of(request: web.Request) -> str:
    """Where to go on after what a request wanted could not be done: what its form names."""
    back = safe_next(request.query.get("back", "/"))
    return back if _CONTROLS.isdisjoint(back) else "/"


async def _with_digits(request: web.Request) -> str:
    """The page to go on at, with the digits that had been typed: whoever was logged out meanwhile loses none."""
    if _is_part(request):
        back, digits = _path_of(request.headers.get(PART_OF, "/")), request.query.get(DIGITS, "")
    elif request.method == "GET":
        return request.path_qs
    elif request.content_type == FORM_TYPE:
        back, digits = _back_of(request), (await read_form(request)).fields.get(DIGITS, "")
    else:
        return _back_of(request)
    if not digits.isascii() or not digits.isdigit() or len(digits) > DIGITS_MAX:
        return back
    return str(URL(back).update_query({DIGITS: digits}))


def _path_of(address: str) -> str:
    """Path and query of an address of ours; "/" for what is none."""
    try:
        return safe_next(URL(address).path_qs)
    except ValueError:
        return "/"


async def _static(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    try:
        body, address = content(name), asset(name)
    except (OSError, ValueError) as error:  # No such file, or a name that no file can have.
        raise web.HTTPNotFound from error
    # A module that another one imports is asked for beside it, under the other's digest: it may change, so ask again.
    kept = FOR_EVER if request.path == address else "no-cache"
    kind = CONTENT_TYPES.get(name[name.rfind(".") :], "application/octet-stream")
    return web.Response(body=body, headers={"Cache-Control": kept, "Content-Type": kind})


async def _nothing(_request: web.Request) -> web.Response:
    return web.Response(status=204)

