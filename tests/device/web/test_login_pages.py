"""Log-in, the locked screen, PIN, codes and languages, as somebody before the screen meets them."""

import html
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web
from yarl import URL

from device.core.commands import DownloadRoute
from device.core.log_in import DELAYS_S, DENIAL_WORDS, Denial
from device.web.phrases import LANGUAGES
from device.web.views.login import PIN_ASKED
from device.web.visitors import LOCK_AFTER_MS, Visitors
from protocol.package import CollectorCard, seal_package
from protocol.records import LogInOpened
from protocol.values import DAY_MS
from tests.device import branch
from tests.device.branch import CODES, COLLECTOR, HUB_KEY, PASSWORD, SECOND_COLLECTOR, StillClock, stop
from tests.device.doorway import WRONG_CODE
from tests.device.web.browser import Seen, Tab, tab
from tests.device.web.handheld import OWN_PASSWORD, Handheld, handheld
from tests.device.web.test_guard import cookie_of, knock, send

READING = "/stops/C00001/reading"
PIN, WRONG_PIN = "2580", "2581"
WAITS = {30: ("30 giây", "30 s"), 120: ("2 phút", "2 min"), 600: ("10 phút", "10 min")}


def clock_of(made: Handheld) -> StillClock:
    assert isinstance(made.clock, StillClock)
    return made.clock


def wait(made: Handheld, ms: int) -> None:
    """Time goes by."""
    clock_of(made).up_ms += ms
    clock_of(made).wall_ms += ms


def words(why: Denial, language: str, wait_s: int = 0) -> str:
    """What a page has to say of a denial, with the wait where there is one."""
    pick = 0 if language == "vi" else 1
    return DENIAL_WORDS[why][pick].replace("{wait}", WAITS[wait_s][pick] if wait_s else "")


async def unreachable(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=502)


async def set_pin(one: Tab) -> Seen:
    """Choose a PIN on the page that follows the log-in."""
    again = await one.submit(await one.get("/pin?next=/route"), "/pin", pin=PIN)
    return await one.submit(again, "/pin", again=PIN)


# Denials, each in words.


@pytest.mark.parametrize("language", LANGUAGES)
async def test_wrong_passwords_say_how_long_to_wait_and_at_last_whom_to_call(made: Handheld, language: str) -> None:
    made.site.language = language
    async with tab(made) as one:
        for number, wait_s in enumerate((*DELAYS_S[1:], 0), 1):
            page = await one.log_in(password="sai")
            assert page.status == 403
            why = Denial.WRONG if number < len(DELAYS_S) else Denial.LOCKED
            assert words(why, language) in page.text
            if wait_s:
                assert WAITS[wait_s][0 if language == "vi" else 1] in page.text
                page = await one.log_in()
                assert words(Denial.WAIT, language, wait_s) in page.text, "the right one has to wait too"
            wait(made, wait_s * 1000)
            assert 'value="thu.nguyen"' in page.html
        locked = await one.log_in()
        assert words(Denial.LOCKED, language) in locked.text
        assert f"/login/code?user={COLLECTOR}" in locked.links
        assert "/login/code" not in " ".join((await one.get("/login")).links), "offered only where it helps"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_supervisors_code_opens_a_locked_log_in_and_says_what_is_wrong_with_it(
    made: Handheld, language: str
) -> None:
    made.site.language = language
    async with tab(made) as one:
        for delay_s in DELAYS_S:
            wait(made, delay_s * 1000)
            await one.log_in(password="sai")
        page = await one.get(f"/login/code?user={COLLECTOR}")
        assert "7" in page.text
        assert COLLECTOR in page.text
        page = await one.submit(page, "/login/code", supervisor_code="123")
        assert (page.status, words(Denial.CODE_FORM, language) in page.text) == (403, True)
        for wait_s in DELAYS_S[1:4]:
            page = await one.submit(page, "/login/code", supervisor_code=WRONG_CODE)
            assert words(Denial.CODE_WRONG, language) in page.text
            if wait_s:
                assert WAITS[wait_s][0 if language == "vi" else 1] in page.text
        page = await one.submit(page, "/login/code", supervisor_code=CODES[0])
        assert words(Denial.WAIT, language, 30) in page.text
        wait(made, 30_000)
        opened = await one.submit(page, "/login/code", supervisor_code=CODES[0])
        assert opened.path == f"/login?user={COLLECTOR}"
        assert (await one.submit(page, "/login/code", supervisor_code=CODES[0])).path == opened.path, "a double tap"
        records = [one.record for one in made.app.session.work.records]
        assert [type(record) for record in records].count(LogInOpened) == 1
        assert (await one.submit(opened, "/login", password=OWN_PASSWORD)).path == "/pin?next=/route"
        another = await one.get("/login/code")
        for code in (CODES[0], CODES[1], WRONG_CODE):
            page = await one.submit(another, "/login/code", user=COLLECTOR, supervisor_code=code)
            assert (page.status, words(Denial.CODE_NOT_NEEDED, language) in page.text) == (403, True)


async def test_codes_lock_themselves_until_the_hub_was_reached(made: Handheld) -> None:
    made.hub.instead = unreachable
    async with tab(made) as one:
        for delay_s in DELAYS_S:
            wait(made, delay_s * 1000)
            await one.log_in(password="sai")
        page = await one.get(f"/login/code?user={COLLECTOR}")
        for delay_s in DELAYS_S:
            wait(made, delay_s * 1000)
            page = await one.submit(page, "/login/code", supervisor_code=WRONG_CODE)
        assert words(Denial.CODE_LOCKED, "vi") in page.text
        page = await one.submit(page, "/login/code", supervisor_code=CODES[0])
        assert words(Denial.CODE_LOCKED, "vi") in page.text
        made.hub.instead = None
        wait(made, 60_000)
        assert (await one.submit(page, "/login/code", supervisor_code=CODES[0])).path == f"/login?user={COLLECTOR}"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_handheld_that_has_heard_nothing_for_too_long_or_never_says_so(tmp_path: Path, language: str) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    async with handheld(old) as made, tab(made) as one:
        made.site.language = language
        await one.log_in()
        made.hub.instead = unreachable
        assert (await one.log_in()).path == "/pin?next=/route", "a network is not needed today"
        wait(made, 100 * DAY_MS)
        page = await one.log_in()
        assert (page.status, words(Denial.EXPIRED, language) in page.text) == (403, True)
    async with handheld(new, downloaded=False) as made, tab(made) as one:
        made.site.language = language
        made.hub.instead = unreachable
        page = await one.log_in()
        assert (page.status, words(Denial.NO_POLICY, language) in page.text) == (403, True)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_verifier_that_cannot_be_used_is_no_wrong_password(tmp_path: Path, language: str) -> None:
    card = CollectorCard(code=COLLECTOR, name="Nguyễn Thị Thu", phone="", verifier="$argon2id$v=19$m=1,t=1,p=1$YQ$YQ")
    async with handheld(tmp_path, collectors=(card,)) as made, tab(made) as one:
        made.site.language = language
        page = await one.log_in()
        assert (page.status, words(Denial.BAD_VERIFIER, language) in page.text) == (403, True)


async def test_nobody_and_a_wrong_password_look_alike_and_names_are_shown_as_text(made: Handheld) -> None:
    async with tab(made) as one:
        wrong, nobody = await one.log_in(password="sai"), await one.log_in("khong.ai", "sai")
        assert wrong.text.replace(COLLECTOR, "") == nobody.text.replace("khong.ai", "")
        assert (await one.log_in("THU.NGUYEN")).path == "/pin?next=/route", "capitals of a phone's keyboard"
        page = await one.log_in("<script>x", "sai")
        assert "<script>x" not in page.html
        assert (await one.log_in("x" * 33)).status == 400


# A PIN, and a screen that was left alone.


async def test_a_pin_is_offered_once_keyed_twice_and_may_be_left(made: Handheld) -> None:
    async with tab(made) as one:
        page = await one.log_in()
        assert page.path == "/pin?next=/route"
        page = await one.submit(page, "/pin", pin="123")
        assert words(Denial.PIN_FORM, "vi") in page.text
        again = await one.submit(page, "/pin", pin=PIN)
        differs = await one.submit(again, "/pin", again=WRONG_PIN)
        assert (differs.status, "khác nhau" in differs.text) == (409, True)
        assert not await made.opened.access.has_pin(COLLECTOR)
        assert (await set_pin(one)).path == "/route"
        assert await made.opened.access.has_pin(COLLECTOR)
        assert (await one.log_in(SECOND_COLLECTOR, PASSWORD)).path == "/pin?next=/route"
        assert (await one.submit(await one.get("/pin?next=/route"), "/pin", pin="")).path == "/route"
        assert (await one.log_in(SECOND_COLLECTOR, PASSWORD)).path == "/route", "asked once"


async def test_a_screen_that_locked_itself_gives_the_digits_back_for_the_pin(made: Handheld, working: Tab) -> None:
    await set_pin(working)
    page = await working.get(READING)
    wait(made, LOCK_AFTER_MS)
    assert (await working.get(READING)).path == READING, "five minutes are not over"
    wait(made, LOCK_AFTER_MS + 1)
    tip = made.app.session.work.tip
    locked = await working.submit(page, READING, index="1239")
    assert locked.path.startswith("/unlock?next=")
    assert made.app.session.work.tip == tip
    wrong = await working.submit(locked, "/unlock", pin=WRONG_PIN)
    assert (wrong.status, words(Denial.PIN_WRONG, "vi") in wrong.text) == (403, True)
    back = await working.submit(wrong, "/unlock", pin=PIN)
    assert (back.path, 'value="1239"' in back.html) == (f"{READING}?index=1239", True)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_pin_that_nobody_remembers_ends_at_the_password_with_the_digits(
    made: Handheld, working: Tab, language: str
) -> None:
    made.site.language = language
    await set_pin(working)
    page = await working.get(READING)
    wait(made, LOCK_AFTER_MS + 1)
    locked = await working.submit(page, READING, index="1239")
    for number, delay_s in enumerate((*DELAYS_S[1:], 0), 1):
        locked = await working.submit(locked, "/unlock", pin=WRONG_PIN)
        if number < len(DELAYS_S):
            assert words(Denial.PIN_WRONG, language) in locked.text
        if delay_s:
            assert WAITS[delay_s][0 if language == "vi" else 1] in locked.text
            assert words(Denial.WAIT, language, delay_s) in (await working.submit(locked, "/unlock", pin=PIN)).text
            wait(made, delay_s * 1000)
    assert (locked.status, words(Denial.PIN_LOCKED, language) in locked.text) == (403, True)
    assert (await working.get("/route")).path == "/login?next=/route", "nobody is logged in any more"
    back = await working.submit(locked, "/login", password=OWN_PASSWORD)
    assert (back.path, 'value="1239"' in back.html) == (f"{READING}?index=1239", True)


async def test_somebody_without_a_pin_gives_the_password(made: Handheld, working: Tab) -> None:
    wait(made, LOCK_AFTER_MS + 1)
    page = await working.get(READING)
    assert page.path.startswith("/login?next=")
    await made.opened.shelf.keep_preference(COLLECTOR, PIN_ASKED, "1")
    assert (await working.submit(page, "/login", password=OWN_PASSWORD)).path == READING


async def test_a_page_that_only_refreshes_its_bar_does_not_keep_a_screen_open(made: Handheld, working: Tab) -> None:
    await set_pin(working)
    for _ in range(31):
        wait(made, 10_000)
        assert (await working.get("/status")).status == 200
    assert (await working.get("/route")).path == "/unlock?next=/route"


COMES_BY_ITSELF = (
    "/papers/state",
    "/printer/state",
    "/printer/found/list",
    "/route/exchange",
    "/stops/C00001/result/state",
    "/status",
)
TYPED = (
    "/stops/C00001/preview?index=1",
    "/stops/found?q=1",
    "/day/cash/sums?n500000=1",
    "/stops/C00001/contact/day?outcome=PAYS_LATER",
)


async def test_parts_that_come_by_themselves_do_not_keep_a_screen_open(made: Handheld, working: Tab) -> None:
    await set_pin(working)
    for _ in range(2):
        wait(made, LOCK_AFTER_MS // 2)
        for path in COMES_BY_ITSELF:
            part = await working.get(path, hx_request="true", hx_current_url=made.url + "/papers")
            assert (part.status in (200, 204), "Hx-Redirect" in part.headers) == (True, False), path
    wait(made, 1)
    for path in COMES_BY_ITSELF[:-1]:
        part = await working.get(path, hx_request="true", hx_current_url=made.url + "/papers")
        assert part.headers["HX-Redirect"] == "/unlock?next=%2Fpapers", path


@pytest.mark.parametrize("path", TYPED)
async def test_somebody_who_types_is_there(made: Handheld, working: Tab, path: str) -> None:
    await set_pin(working)
    for _ in range(3):
        wait(made, LOCK_AFTER_MS)
        part = await working.get(path, hx_request="true", hx_current_url=made.url + "/route")
        assert part.status == 200
        assert "HX-Redirect" not in part.headers
    assert (await working.get("/route")).path == "/route"


async def test_that_somebody_is_there_is_on_disk_a_minute_later(made: Handheld, working: Tab) -> None:
    """A program that is killed and starts again locks the screen when it would have been locked, give or take that."""
    (before,) = await made.opened.shelf.sessions()
    wait(made, 59_999)
    await working.get("/route")
    assert await made.opened.shelf.sessions() == (before,)
    wait(made, 1)
    await working.get("/route")
    (after,) = await made.opened.shelf.sessions()
    assert after == (*before[:3], before[3] + 60_000)


async def test_a_screen_locked_by_hand_stays_locked_when_the_program_starts_again(
    made: Handheld, working: Tab
) -> None:
    await set_pin(working)
    cookie = await cookie_of(made)
    wait(made, 2 * LOCK_AFTER_MS)
    cookie = await cookie_of(made)
    assert (await send(made.url, "/lock", {}, cookie=cookie)).headers["location"] == "/unlock"
    assert (await knock(made.url, "/route", cookie=cookie)).headers["location"].startswith("/unlock")
    after = Visitors(made.opened.shelf, made.clock)
    await after.load()
    visitor = after.find(cookie.partition("=")[2])
    assert visitor is not None
    assert visitor.is_locked(made.clock.now().up_ms)
    clock_of(made).reboot()
    after = Visitors(made.opened.shelf, made.clock)
    await after.load()
    assert after.find(cookie.partition("=")[2]) is None, "a start of the machine asks for the password"


@pytest.mark.parametrize("door", ["/unlock", "/login"])
async def test_a_part_of_a_page_takes_the_whole_page_to_the_door(made: Handheld, working: Tab, door: str) -> None:
    await set_pin(working)
    cookie = await cookie_of(made) if door == "/unlock" else None
    wait(made, LOCK_AFTER_MS + 1)
    for shown in ("", "?index=1", "?code=meter_stopped&index=7"):
        part = await knock(
            made.url,
            "/stops/C00001/preview?code=normal&index=1239",
            cookie=cookie,
            hx_request="true",
            hx_current_url=made.url + READING + shown,
        )
        kept = "code=meter_stopped&" if "code" in shown else ""
        assert (part.status, part.body) == (200, "")
        assert part.headers["hx-redirect"] == f"{door}?next={quote(f'{READING}?{kept}index=1239', safe='')}"
    part = await knock(made.url, "/stops/C00001/preview", cookie=cookie, hx_request="true", hx_current_url="//evil\\x")
    assert part.headers["hx-redirect"] == f"{door}?next=%2F"


# Where a door leads.


ELSEWHERE = (
    "//evil.example",
    "https://evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "evil.example",
    " //evil.example",
    "/\t/evil.example",
    "/\r\nLocation: //evil.example",
    "\t//evil.example",
    "",
)


async def test_no_door_leads_out_of_the_handheld(made: Handheld, working: Tab) -> None:
    await set_pin(working)
    cookie = await cookie_of(made)
    for path in ELSEWHERE:
        for page in ("/login", "/unlock", "/pin"):
            shown = await knock(made.url, f"{page}?next={quote(path, safe='')}", cookie=cookie)
            assert shown.status in (200, 400)
            for address in re.findall(r'(?:href|action)="([^"]*)"', shown.body):
                assert re.match(r"/(?![/\\])[^\t\r\n]*$", html.unescape(address)), (page, path, address)
        bad = await send(made.url, f"/shift/open?back={quote(path, safe='')}", {"intent": "x"}, cookie=cookie)
        assert 'href="/"' in bad.body
    for path in filter(str.isprintable, ELSEWHERE):
        fields = {"user": COLLECTOR, "password": OWN_PASSWORD, "next": path}
        went = (await send(made.url, "/login", fields)).headers["location"]
        assert re.match(r"/(?![/\\])", went), (path, went)
        fields = {"language": "vi", "next": path}
        went = (await send(made.url, "/language", fields, referer="http://evil.example/")).headers["location"]
        assert re.match(r"/(?![/\\])", went), (path, went)


async def test_an_address_comes_back_behind_the_door_to_the_letter(made: Handheld) -> None:
    wanted = "/about?q=a%26b+c&s=%C4%90%E1%BB%A9c&t=100%25"
    asked = (await knock(made.url, wanted)).headers["location"]
    async with tab(made) as one:
        page = await one.get(asked)
        assert page.form("/login").fields["next"] == wanted
    fields = {"user": COLLECTOR, "password": OWN_PASSWORD, "next": wanted}
    await made.opened.shelf.keep_preference(COLLECTOR, PIN_ASKED, "1")
    assert URL((await send(made.url, "/login", fields)).headers["location"]).query == URL(wanted).query


# Languages and users.


async def test_another_language_keeps_the_page_and_what_was_to_come(made: Handheld) -> None:
    async with tab(made) as one:
        page = await one.get(f"/login?next={quote(f'{READING}?index=1239')}")
        assert "Mật khẩu" in page.text
        form = page.form("/language")
        english = await one.post(form.action, form.fields, Referer=made.url + page.path)
        assert (english.path, "Password" in english.text) == (page.path, True)
        assert english.form("/login").fields["next"] == f"{READING}?index=1239"
        assert '<html lang="en"' in english.html
        silent = await one.post(form.action, form.fields)
        assert silent.path == "/login"
        assert await made.opened.shelf.preference("", "language") == "en"
        back = await one.submit(english, "/language")
        assert "Mật khẩu" in back.text
        await one.post("/language", {"language": "xx", "next": "/login"})
        assert made.site.language == "vi"


async def test_a_refused_log_in_may_change_the_language_too(made: Handheld) -> None:
    async with tab(made) as one:
        page = await one.log_in(password="sai")
        form = page.form("/language")
        english = await one.post(form.action, form.fields, Referer=f"{made.url}/login?next=%2Fstops")
        assert english.form("/login").fields["next"] == "/stops"


async def test_those_whose_routes_are_here_are_chosen_by_number(tmp_path: Path) -> None:
    async with handheld(tmp_path, downloaded=False) as made, tab(made) as one:
        assert "data-digit" not in (await one.get("/login")).html, "nobody is known yet"
        other = replace(branch.package((stop(91),), route="R02"), collector=SECOND_COLLECTOR)
        packages = (*made.hub.packages.packages, seal_package(other, HUB_KEY))
        made.hub.packages = replace(made.hub.packages, packages=packages)
        await made.app.dispatch(DownloadRoute())
        await made.app.quiet()
        page = await one.get(f"/login?next={quote('/stops?show=unread')}")
        by_number = dict(re.findall(r'href="([^"]+)" data-digit="(\d)"', page.html))
        assert sorted(by_number.values()) == ["1", "2"]
        chosen = next(html.unescape(path) for path in by_number if SECOND_COLLECTOR in path)
        page = await one.get(chosen)
        assert page.form("/login").fields["user"] == SECOND_COLLECTOR
        page = await one.submit(page, "/login", password=PASSWORD)
        assert page.form("/pin").fields["next"] == "/stops?show=unread"
        assert 'value="ai.do"' in (await one.get("/login")).html, "the last one comes first"
