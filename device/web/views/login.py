"""Log-in, the locked screen, language, and leaving. Each refusal says in words what to do."""

from aiohttp import web

from device.access import Denied
from device.core.log_in import DENIAL_WORDS, Denial
from device.web.phrases import DEFAULT_LANGUAGE, LANGUAGES, said
from device.web.site import LANGUAGE, NOBODY_IN_PARTICULAR, Page, Visit, get, post, safe_next
from device.web.visitors import COOKIE

LAST_USER = "last-user"


async def home(visit: Visit) -> web.Response:
    """The first page: where the day goes on."""
    if visit.site.admission is None:
        raise visit.see("/setup")
    raise visit.see("/route" if visit.visitor is not None else "/login")


async def login(visit: Visit) -> web.Response:
    """The log-in page; it is there before the store is open."""
    if visit.site.admission is None:
        raise visit.see("/setup")
    return await _login_page(visit, user="", denied=None, status=200)


async def _login_page(visit: Visit, *, user: str, denied: Denied | None, status: int) -> web.Response:
    opened, admission = visit.site.opened, visit.site.admission
    assert admission is not None
    if not user and opened is not None:
        user = await opened.shelf.preference(NOBODY_IN_PARTICULAR, LAST_USER) or admission.collector
    return visit.page(
        "login.html",
        status=status,
        user=user or admission.collector,
        next=safe_next(visit.request.query.get("next", "/route")),
        denied=denied,
        sentence=denial_words(denied, visit.language) if denied is not None else None,
        can_open=denied is not None and denied.why is Denial.LOCKED,
        hub_url=admission.hub_url,
        unit=admission.unit,
        device=admission.device,
        software=visit.site.software,
    )


async def log_in(visit: Visit) -> web.Response:
    """Check name and password."""
    form = await visit.form()
    user, password = form.text("user", 32).lower(), form.fields.get("password", "")
    granted = await visit.opened.access.log_in(user, password)
    if isinstance(granted, Denied):
        return await _login_page(visit, user=user, denied=granted, status=403)
    await visit.opened.shelf.keep_preference(NOBODY_IN_PARTICULAR, LAST_USER, user)
    go_on = safe_next(form.text("next") or "/route")
    if not await visit.opened.access.has_pin(user):
        go_on = "/pin"
    raise await _with_cookie(visit, user, go_on)


async def _with_cookie(visit: Visit, collector: str, path: str) -> web.HTTPSeeOther:
    answer = visit.see(path)
    cookie = await visit.opened.visitors.begin(collector)
    answer.set_cookie(COOKIE, cookie, httponly=True, samesite="Strict", path="/")
    return answer


async def log_out(visit: Visit) -> web.Response:
    """Leave. The shift stays as it is."""
    assert visit.visitor is not None
    await visit.opened.visitors.end(visit.visitor)
    answer = visit.see("/login")
    answer.del_cookie(COOKIE, path="/")
    raise answer


async def choose_language(visit: Visit) -> web.Response:
    """Speak another language from here on; what had been typed stays."""
    form = await visit.form()
    chosen = form.text("language", 5)
    visit.site.language = chosen if chosen in LANGUAGES else DEFAULT_LANGUAGE
    if visit.site.opened is not None:
        await visit.site.opened.shelf.keep_preference(NOBODY_IN_PARTICULAR, LANGUAGE, visit.site.language)
    raise visit.see(safe_next(form.text("next") or "/"))


def denial_words(denied: Denied, language: str) -> str:
    """A denial in words, with how long to wait in minutes and seconds."""
    minutes, seconds = divmod(denied.wait_s, 60)
    parts = [f"{minutes} phút" if language == "vi" else f"{minutes} min"] if minutes else []
    if seconds or not minutes:
        parts.append(f"{seconds} giây" if language == "vi" else f"{seconds} s")
    return said(DENIAL_WORDS[denied.why], language).replace("{wait}", " ".join(parts))


PAGES: tuple[Page, ...] = (
    get("/", home, open_to_all=True, before_opening=True),
    get("/login", login, open_to_all=True, before_opening=True),
    post("/login", log_in, open_to_all=True),
    post("/logout", log_out),
    post("/language", choose_language, open_to_all=True, before_opening=True),
)
