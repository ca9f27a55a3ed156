"""Log-in, the locked screen, PIN, language, help, and leaving. Each refusal says in words what to do."""

from aiohttp import web

from device.access import Denied
from device.core.effects import Refused
from device.core.log_in import DENIAL_WORDS, Denial, is_pin
from device.web.phrases import DEFAULT_LANGUAGE, LANGUAGES, said
from device.web.visit import LANGUAGE, NOBODY_IN_PARTICULAR, Page, Visit, get, login_path, post, safe_next
from device.web.visitors import COOKIE

LAST_USER = "last-user"
PIN_ASKED = "pin-asked"
USERS_MAX = 9  # As many as a keypad has digits for.
NEXT_TRY_WORDS = ("Lần thử tiếp theo sau {wait}", "The next try is in {wait}")


async def home(visit: Visit) -> web.Response:
    """The first page: where the day goes on."""
    if visit.site.admission is None:
        raise visit.see("/setup")
    # While the store is read nobody is known yet; whoever brings a cookie may have been logged in before the restart.
    may_go_on = visit.visitor is not None or (visit.site.opened is None and COOKIE in visit.request.cookies)
    raise visit.see("/route" if may_go_on else "/login")


# Logging in.


async def login(visit: Visit) -> web.Response:
    """The log-in page; it is there before the store is open."""
    if visit.site.admission is None:
        raise visit.see("/setup")
    return await _login_page(visit, user=visit.request.query.get("user", "")[:32], denied=None, status=200)


async def _login_page(visit: Visit, *, user: str, denied: Denied | None, status: int) -> web.Response:
    opened, admission = visit.site.opened, visit.site.admission
    assert admission is not None
    if not user and opened is not None:
        user = await opened.shelf.preference(NOBODY_IN_PARTICULAR, LAST_USER) or ""
    return visit.page(
        "login.html",
        status=status,
        user=user or admission.collector,
        users=known_users(visit),
        next=safe_next(visit.request.query.get("next", "/route")),
        sentence=denial_words(denied, visit.language) if denied is not None else None,
        wait_s=denied.wait_s if denied is not None else 0,
        can_open=denied is not None and denied.why in (Denial.LOCKED, Denial.EXPIRED),
        admission=admission,
        software=visit.site.software,
    )


def known_users(visit: Visit) -> list[tuple[str, str]]:
    """(code, name) of those whose routes are on this handheld: a keypad without letters picks one by number."""
    opened = visit.site.opened
    if opened is None or opened.app.session.work.policy is None:
        return []
    work = opened.app.session.work
    here = {package.collector for package in work.packages.values()}
    cards = work.policy.collectors if work.policy is not None else ()
    return [(card.code, card.name) for card in cards if card.code in here][:USERS_MAX]


async def log_in(visit: Visit) -> web.Response:
    """Check name and password."""
    form = await visit.form()
    user, password = form.text("user", 32).lower(), form.fields.get("password", "")
    granted = await visit.opened.access.log_in(user, password)
    if isinstance(granted, Denied):
        return await _login_page(visit, user=user, denied=granted, status=403)
    shelf = visit.opened.shelf
    await shelf.keep_preference(NOBODY_IN_PARTICULAR, LAST_USER, user)
    go_on = safe_next(form.text("next") or "/route")
    asked = await shelf.preference(user, PIN_ASKED)
    if asked is None and not await visit.opened.access.has_pin(user):
        go_on = login_path("/pin", go_on)
    answer = visit.see(go_on)
    cookie = await visit.opened.visitors.begin(user)
    answer.set_cookie(COOKIE, cookie, httponly=True, samesite="Strict", path="/")
    raise answer


async def log_out(visit: Visit) -> web.Response:
    """Leave. The shift stays as it is."""
    assert visit.visitor is not None
    await visit.opened.visitors.end(visit.visitor)
    answer = visit.see("/login")
    answer.del_cookie(COOKIE, path="/")
    raise answer


# A locked log-in, and a supervisor on the telephone.


async def opening(visit: Visit) -> web.Response:
    """Where a supervisor's code is keyed for a log-in that is locked."""
    return _opening_page(visit, visit.request.query.get("user", "")[:32], None, 200)


def _opening_page(visit: Visit, user: str, sentence: str | None, status: int) -> web.Response:
    admission = visit.site.admission
    assert admission is not None
    return visit.page("login_code.html", status=status, user=user, sentence=sentence, admission=admission)


async def open_log_in(visit: Visit) -> web.Response:
    """Let a collector try again."""
    form = await visit.form()
    user = form.text("user", 32).lower()
    outcome = await visit.opened.access.open_log_in(form.intent, user, form.text("supervisor_code", 20))
    if isinstance(outcome, Denied):
        return _opening_page(visit, user, denial_words(outcome, visit.language), 403)
    if isinstance(outcome, Refused):
        return _opening_page(visit, user, visit.why(outcome.reason), 409)
    raise visit.see(f"/login?user={user}")


# The PIN, and a screen that has locked itself.


async def pin(visit: Visit) -> web.Response:
    """Choose a PIN, or go on without one."""
    return _pin_page(visit, None, 200)


def _pin_page(visit: Visit, sentence: str | None, status: int) -> web.Response:
    back = safe_next(visit.request.query.get("next", "/route"))
    return visit.page("pin.html", status=status, sentence=sentence, next=back)


async def set_pin(visit: Visit) -> web.Response:
    """Set the PIN; nothing typed means none for now, and the question does not come again."""
    form = await visit.form()
    chosen, back = form.text("pin", 20), safe_next(form.text("next") or "/route")
    await visit.opened.shelf.keep_preference(visit.collector, PIN_ASKED, "1")
    if not chosen:
        raise visit.see(back)
    again = form.text("again", 20)
    if is_pin(chosen) and not again:
        return visit.page("pin_again.html", pin=chosen, next=back)
    if again and again != chosen:
        return _pin_page(visit, visit._("The two PINs differ. Choose one again."), 409)
    denied = await visit.opened.access.set_pin(visit.collector, chosen)
    if denied is not None:
        return _pin_page(visit, denial_words(denied, visit.language), 409)
    raise visit.see(back)


async def unlock(visit: Visit) -> web.Response:
    """The locked screen. Somebody without a PIN gives the password."""
    back = safe_next(visit.request.query.get("next", "/route"))
    if visit.visitor is None or not await visit.opened.access.has_pin(visit.visitor.collector):
        raise visit.see(login_path("/login", back))
    return visit.page("unlock.html", sentence=None, next=back)


async def give_pin(visit: Visit) -> web.Response:
    """Open a locked screen."""
    form = await visit.form()
    back = safe_next(form.text("next") or "/route")
    if visit.visitor is None:
        raise visit.see(login_path("/login", back))
    granted = await visit.opened.access.unlock(visit.visitor.collector, form.text("pin", 20))
    if isinstance(granted, Denied):
        if granted.why is Denial.PIN_LOCKED:
            await visit.opened.visitors.end(visit.visitor)
            return await _login_page(visit, user=visit.visitor.collector, denied=granted, status=403)
        return visit.page("unlock.html", status=403, sentence=denial_words(granted, visit.language), next=back)
    await visit.opened.visitors.touch(visit.visitor)
    raise visit.see(back)


async def lock(visit: Visit) -> web.Response:
    """Lock the screen now."""
    assert visit.visitor is not None
    await visit.opened.visitors.lock(visit.visitor)
    raise visit.see("/unlock")


# The rest.


async def menu(visit: Visit) -> web.Response:
    """What is not needed at each door."""
    return visit.page("menu.html", has_pin=await visit.opened.access.has_pin(visit.collector))


async def choose_language(visit: Visit) -> web.Response:
    """Speak another language from here on; what had been typed stays in the address of the page."""
    form = await visit.form()
    chosen = form.text("language", 5)
    visit.site.language = chosen if chosen in LANGUAGES else DEFAULT_LANGUAGE
    if visit.site.opened is not None:
        await visit.site.opened.shelf.keep_preference(NOBODY_IN_PARTICULAR, LANGUAGE, visit.site.language)
    raise visit.see(_page_asked_from(visit) or safe_next(form.text("next") or "/"))


def _page_asked_from(visit: Visit) -> str | None:
    """The page that a form was sent from, with all that stands in its address; None if the browser is silent."""
    referer = visit.request.headers.get("Referer", "")
    origin = visit.request.headers.get("Origin", "")
    return safe_next(referer.removeprefix(origin)) if referer.startswith(f"{origin}/") else None


async def about(visit: Visit) -> web.Response:
    """How the keypad works, and what this handheld is: read out over a telephone."""
    admission, session = visit.site.admission, visit.app.session
    return visit.page(
        "about.html",
        admission=admission,
        software=visit.site.software,
        fix=session.pen.fix(visit.site.clock.now()),
        power=session.report.power,
        head=session.work.tip,
        acked=session.outbox.acked,
    )


def denial_words(denied: Denied, language: str) -> str:
    """A denial in words, with how long to wait in minutes and seconds where that stands in the way."""
    minutes, seconds = divmod(denied.wait_s, 60)
    parts = [f"{minutes} phút" if language == "vi" else f"{minutes} min"] if minutes else []
    if seconds or not minutes:
        parts.append(f"{seconds} giây" if language == "vi" else f"{seconds} s")
    words, wait = said(DENIAL_WORDS[denied.why], language), " ".join(parts)
    if denied.wait_s and "{wait}" not in words:
        words = f"{words}. {said(NEXT_TRY_WORDS, language)}"
    return words.replace("{wait}", wait)


PAGES: tuple[Page, ...] = (
    get("/", home, open_to_all=True, before_opening=True),
    get("/login", login, open_to_all=True, before_opening=True),
    post("/login", log_in, open_to_all=True),
    get("/login/code", opening, open_to_all=True),
    post("/login/code", open_log_in, open_to_all=True),
    post("/logout", log_out),
    get("/pin", pin),
    post("/pin", set_pin),
    get("/unlock", unlock, open_to_all=True),
    post("/unlock", give_pin, open_to_all=True),
    post("/lock", lock),
    get("/menu", menu),
    get("/about", about),
    post("/language", choose_language, open_to_all=True, before_opening=True),
)
