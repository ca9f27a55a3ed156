"""The guard of the screens: who may knock, what a knock may do, and what an answer gives away."""

import asyncio
import itertools
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from aiohttp import web
from yarl import URL

from device.store import StoreError
from device.web.forms import FIELDS_MAX, FORM_BYTES_MAX, FORM_TYPE
from device.web.render import asset
from device.web.server import PHOTO_BYTES_MAX, SECURITY_HEADERS, Face
from device.web.views import VIEWS
from device.web.visit import LAST_STOP, Page, Site
from device.web.visitors import COOKIE, NOTE_EVERY_MS
from tests.device.branch import COLLECTOR, PASSWORD, SECOND_COLLECTOR, StillClock
from tests.device.test_app import DiedError
from tests.device.web.browser import Seen, Tab, tab
from tests.device.web.handheld import LONG_ADDRESS, LONG_NAME, OWN_PASSWORD, ROUND, Handheld

READING = "/stops/C00001/reading"
# What the placeholders of addresses stand for, in the world of `worked`.
PLACES = {"customer": "C00001"}
Headers = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came over the socket. headers: by their small-letter names, the last of each."""

    status: int
    headers: dict[str, str]
    body: str


async def knock(
    url: str,
    path: str,
    given: Headers | None = None,
    *,
    method: str = "GET",
    body: bytes = b"",
    version: str = "1.1",
    **headers: str | None,
) -> Answer:
    """A request, byte for byte as written here. headers: sec_fetch_site="none"; None leaves one of the usual out."""
    where = URL(url)
    named: Headers = {"Host": f"{where.host}:{where.port}", "Connection": "close"}
    named |= {name.replace("_", "-").title(): value for name, value in ((given or {}) | headers).items()}
    if body or method == "POST":
        of_body: Headers = {"Content-Length": str(len(body)), "Content-Type": FORM_TYPE}
        named = of_body | named
    fields = [f"{name}: {value}" for name, value in named.items() if value is not None]
    reader, writer = await asyncio.open_connection(where.host, where.port)
    try:
        writer.write("\r\n".join((f"{method} {path} HTTP/{version}", *fields, "", "")).encode() + body)
        answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, content = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(status.split()[1]), found, content.decode(errors="replace"))


async def send(url: str, path: str, fields: dict[str, str], **headers: str | None) -> Answer:
    """A form as one of our pages sends it."""
    ours: Headers = {"origin": url, "sec_fetch_site": "same-origin", "sec_fetch_mode": "navigate"}
    return await knock(url, path, ours | headers, method="POST", body=urlencode(fields).encode())


def address_of(page: Page) -> str:
    """An address of a page; what its placeholders stand for stands in PLACES."""
    return re.sub(r"\{(\w+)[^}]*\}", lambda found: PLACES.get(found[1], "1"), page.path)


async def cookie_of(made: Handheld, user: str = COLLECTOR, password: str = OWN_PASSWORD, **headers: str) -> str:
    """Log in; "ghithu=..."."""
    answer = await send(made.url, "/login", {"user": user, "password": password}, **headers)
    assert answer.status == 303, answer.body
    return answer.headers["set-cookie"].partition(";")[0]


def guarded(answer: Answer) -> bool:
    """Whether an answer has all that keeps a page to itself."""
    return all(answer.headers.get(name.lower()) == value for name, value in SECURITY_HEADERS.items())


def kept(made: Handheld) -> dict[str, object]:
    """All that a handheld holds, but for who looked last, when and where, and what a look asked of the hub."""
    work, outbox = made.app.session.work, made.app.session.outbox
    papers = dict(work.papers), dict(work.doubts)
    found: dict[str, object] = {"tip": work.tip, "acked": outbox.acked, "papers": papers}
    with closing(sqlite3.connect(made.site.home / "store.db")) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in {*tables} - {"web_session", "heard", "change", "change_version", "record"}:
            rows = db.execute(f"SELECT * FROM {table}").fetchall()
            found[table] = sorted(repr(row) for row in rows if LAST_STOP not in row)
    return found


@pytest_asyncio.fixture
async def worked(made: Handheld, working: Tab) -> AsyncIterator[Tab]:
    """A morning's work: one customer read, all of it at the hub."""
    await working.read("C00001", 1239)
    await made.app.quiet()
    yield working


# The name we are called by.


NOT_OUR_NAMES = (
        "evil.example:{port}",
        "localhost.evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "127.0.0.1:1",
        "127.0.0.1",
        "localhost",
        "[::1]:{port}",
        "0.0.0.0:{port}",
        "2130706433:{port}",
        "127.1:{port}",
        "127.0.0.1:{port}@evil.example",
        "evil.example",
        "",
        None,
)


async def test_a_name_that_is_not_ours_is_answered_nothing(made: Handheld) -> None:
    cookie, before = await cookie_of(made), kept(made)
    for name in NOT_OUR_NAMES:
        host = name.format(port=URL(made.url).port) if name is not None else None
        for path in ("/login", "/route", "/status", "/healthz", asset("app.css")):
            answer = await knock(made.url, path, host=host, cookie=cookie)
            assert answer.status in (400, 403), host
            assert answer.status == 400 or guarded(answer)
            assert "Ghi Thu" not in answer.body
        fields = {"user": COLLECTOR, "password": OWN_PASSWORD}
        answer = await send(made.url, "/login", fields, host=host, origin=f"http://{host}")
        assert answer.status in (400, 403), host
        assert "set-cookie" not in answer.headers
    assert kept(made) == before


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_both_of_our_names_open_the_door_each_for_its_own_pages(made: Handheld, name: str) -> None:
    host = f"{name}:{URL(made.url).port}"
    assert (await knock(made.url, "/login", host=host)).status == 200
    fields = {"user": COLLECTOR, "password": OWN_PASSWORD}
    assert (await send(made.url, "/login", fields, host=host, origin=f"http://{host}")).status == 303
    other = f"http://{'localhost' if name == '127.0.0.1' else '127.0.0.1'}:{URL(made.url).port}"
    assert (await send(made.url, "/login", fields, host=host, origin=other)).status == 403


async def test_a_request_of_an_older_kind_without_a_host_is_refused(made: Handheld) -> None:
    answer = await knock(made.url, "/login", version="1.0", host=None, connection=None)
    assert answer.status == 403


# Where a request comes from.


OTHER_ORIGINS = ("http://evil.example", "null", None, "", "https://{host}", "http://127.0.0.1:1", "http://{host}.evil.example",)


async def test_a_form_of_another_page_does_nothing_though_its_cookie_is_right(made: Handheld) -> None:
    cookie, before = await cookie_of(made), kept(made)
    fields = {"intent": "0" * 32, "user": COLLECTOR, "password": OWN_PASSWORD, "language": "en"}
    for page, origin in itertools.product(VIEWS, OTHER_ORIGINS):
        if page.method == "POST":
            sent = origin.format(host=URL(made.url).authority) if origin is not None else None
            answer = await send(made.url, address_of(page), fields, cookie=cookie, origin=sent)
            assert (answer.status, guarded(answer)) == (403, True), (page.path, origin)
    assert kept(made) == before
    assert made.site.language == "vi"
    assert (await knock(made.url, "/route", cookie=cookie)).status == 200, "nobody was logged out by it"


async def test_another_page_may_lead_here_but_neither_read_nor_send(made: Handheld) -> None:
    cookie, before = await cookie_of(made), kept(made)
    paths = ("/route", "/status", "/healthz", READING, asset("app.css"), "/favicon.ico")
    modes = ("no-cors", "cors", "same-origin", "websocket", None)
    for site in ("cross-site", "same-site"):
        for path, mode in itertools.product(paths, modes):
            answer = await knock(made.url, path, cookie=cookie, sec_fetch_site=site, sec_fetch_mode=mode)
            assert answer.status == 403, (path, site, mode)
        led: Headers = {"cookie": cookie, "sec_fetch_site": site, "sec_fetch_mode": "navigate"}
        assert (await knock(made.url, "/login", led)).status == 200
        for method in ("POST", "PUT", "HEAD", "OPTIONS"):
            answer = await knock(made.url, "/shift/open", led, method=method, origin=made.url)
            assert answer.status == 403, (method, site)
            assert "access-control-allow-origin" not in answer.headers
    assert kept(made) == before


async def test_a_typed_address_and_our_own_pages_come_in(made: Handheld) -> None:
    for site in ("none", "same-origin", None):
        assert (await knock(made.url, "/login", sec_fetch_site=site)).status == 200


# What may be done, and by which method.


async def crawl(one: Tab) -> dict[str, Seen]:
    """Every page that can be looked at: each address of VIEWS, and one of each kind that their links lead to."""
    todo = [address_of(page) for page in VIEWS if page.method == "GET"]
    kinds: set[str] = set()
    seen: dict[str, Seen] = {}
    while todo:
        path = todo.pop(0)
        if (kind := kind_of(path)) not in kinds and path.startswith("/") and not path.startswith("/static"):
            kinds.add(kind)
            seen[path] = await one.get(path)
            todo += seen[path].links
    return seen


def kind_of(path: str) -> str:
    """What addresses have in common that differ in whom or what they name."""
    address = URL(path)
    return re.sub(r"[A-Z]?\d+|[0-9a-f]{32,}", "#", address.path) + "?" + "&".join(sorted(address.query))


async def test_looking_changes_nothing(made: Handheld, worked: Tab) -> None:
    before = kept(made)
    pages = await crawl(worked)
    await made.app.quiet()
    assert kept(made) == before
    assert {path: page.status for path, page in pages.items() if page.status >= 500} == {}
    assert "/route" in pages
    assert READING in pages


async def test_a_page_answers_to_its_own_methods_alone(made: Handheld, worked: Tab) -> None:
    cookie = await cookie_of(made)
    before = kept(made)
    known: dict[str, set[str]] = {}
    for page in VIEWS:
        known.setdefault(address_of(page), set()).add(page.method)
    for path, methods in known.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PURGE"} - methods:
            answer = await knock(made.url, path, method=method, cookie=cookie, origin=made.url)
            assert (answer.status, guarded(answer)) == (405, True), f"{method} {path}"
    assert kept(made) == before


async def test_what_only_tells_of_itself_also_answers_without_a_body(made: Handheld) -> None:
    for path in ("/healthz", asset("app.css")):
        head = await knock(made.url, path, method="HEAD")
        assert (head.status, head.body) == (200, "")


NO_INTENTS = (None, "", "00", "zz" * 16, "0" * 31, "0" * 34, "ộ" * 16,)


async def test_a_form_without_a_sound_intent_is_no_form(made: Handheld, worked: Tab) -> None:
    page = await worked.get("/stops/C00002/reading")
    before, form = kept(made), page.form("/stops/C00002/reading")
    for intent in NO_INTENTS:
        fields = {name: value for name, value in form.fields.items() if name != "intent"} | {"index": "1240"}
        answer = await worked.post(form.action, fields if intent is None else fields | {"intent": intent})
        assert answer.status == 400, intent
        assert answer.links[-1] == "/stops/C00002/reading", "the way on is the screen whose form it was"
        assert kept(made) == before, intent


async def test_no_form_of_any_page_makes_a_record_without_its_intent(made: Handheld, worked: Tab) -> None:
    before, tried = kept(made), set[str]()
    for page in (await crawl(worked)).values():
        for form in page.forms:
            if "intent" in form.fields and form.action not in tried:
                tried.add(form.action)
                answer = await worked.post(form.action, form.fields | {"intent": "00"})
                assert answer.status < 500, form.action
    assert len(tried) > 2
    assert kept(made)["tip"] == before["tip"]


FILLED = "intent=" + "0" * 32 + "&seen=" + "0" * 32 + "&code=normal&index=1240"


NO_FORMS = (
        (b"", FORM_TYPE),
        (FILLED.encode() + b"&x=" + b"a" * FORM_BYTES_MAX, FORM_TYPE),
        (FILLED.encode() + b"&x=" + b"a" * PHOTO_BYTES_MAX, FORM_TYPE),
        (FILLED.encode() + b"&x=1" * FIELDS_MAX, FORM_TYPE),
        (FILLED.encode() + b"&note=\xff\xfe", FORM_TYPE),
        (FILLED.encode() + b"&note=%ff%fe", FORM_TYPE),
        (FILLED.encode() + b"&note=%ed%a0%80", FORM_TYPE),
        (FILLED.encode(), "text/plain"),
        (FILLED.encode(), "multipart/form-data; boundary=x"),
        (b'{"intent": "00"}', "application/json"),
        (FILLED.encode(), ""),
        (FILLED.encode().replace(b"1240", b"-1"), FORM_TYPE),
        (FILLED.encode().replace(b"1240", "１２４０".encode()), FORM_TYPE),
        (FILLED.encode().replace(b"1240", b"1" * 4000), FORM_TYPE),
)


async def test_what_no_form_of_ours_sends_is_refused_in_words(made: Handheld, worked: Tab) -> None:
    cookie = await cookie_of(made)
    before = kept(made)
    for (body, kind), sender in itertools.product(NO_FORMS, (cookie, None)):
        sent: Headers = {"cookie": sender, "origin": made.url, "content_type": kind}
        answer = await knock(made.url, "/stops/C00002/reading?back=/stops", sent, method="POST", body=body)
        if answer.status == 303:
            assert sender is None
            assert answer.headers["location"] == "/login?next=/stops", (body[:99], kind)
        else:
            assert (answer.status, guarded(answer)) == (400, True), (body[:99], kind)
            assert 'href="/stops"' in answer.body
        assert kept(made) == before, (body[:99], kind)


MISLEADING = ("/route%00", "/login?next=/%09/evil.example", "/login?user=%0d%0aX", "/stops/%7f",)


async def test_an_address_that_browsers_would_read_otherwise_is_refused(made: Handheld) -> None:
    for path in MISLEADING:
        answer = await knock(made.url, path)
        assert answer.status in (400, 404), path
        assert "evil" not in answer.body


NO_TEXT = ("/stops/%ff/reading", "/login?user=%ff", "/login?next=/%ff", "/%ff", "/x?%ff=%ff",)


@pytest.mark.parametrize("page", ["/stops/C00001/reading", "/route"])
async def test_a_store_that_fails_ends_the_program_as_a_lost_record_does(
    made: Handheld, worked: Tab, page: str
) -> None:
    """A screen that failed for ever would keep a collector from all that another start may mend."""
    deaths: list[BaseException] = []

    def die(error: BaseException) -> NoReturn:
        deaths.append(error)
        raise DiedError from error

    made.site.die = die
    assert isinstance(made.clock, StillClock)
    made.clock.up_ms += NOTE_EVERY_MS  # That somebody is there is to be written again.
    store = made.opened.shelf._store
    await store._run(lambda db: db.execute("PRAGMA query_only = ON").fetchone())
    await worked.get(page)
    assert [type(death) for death in deaths] == [StoreError]


async def test_bytes_that_are_no_text_make_no_page_fail(made: Handheld) -> None:
    for path, cookie in itertools.product(NO_TEXT, (None, await cookie_of(made))):
        assert (await knock(made.url, path, cookie=cookie)).status < 500, path


# Files.


NO_FILES = (
        "../server.py",
        "../../__main__.py",
        "%2e%2e/server.py",
        "..%2fserver.py",
        "..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "..%5cserver.py",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "vendor",
        "vendor/",
        ".",
        "",
        "%00",
        "app.css%00",
            "a" * 300,
        "%ff",
        "../templates/base.html",
)


async def test_no_name_leads_out_of_the_files_that_are_for_pages(made: Handheld) -> None:
    for name, digest in itertools.product(NO_FILES, ("0", asset("app.css").split("/")[2])):
        answer = await knock(made.url, f"/static/{digest}/{name}")
        assert (answer.status, guarded(answer)) == (404, True), name
        assert "import" not in answer.body
        assert "root:" not in answer.body


async def test_a_file_is_kept_for_ever_under_its_digest_and_asked_for_again_under_another(made: Handheld) -> None:
    right = await knock(made.url, asset("keys.js"))
    assert "immutable" in right.headers["cache-control"]
    assert right.headers["content-type"].startswith("text/javascript")
    wrong = await knock(made.url, "/static/000000000000/keys.js")
    assert (wrong.status, wrong.headers["cache-control"], wrong.body) == (200, "no-cache", right.body)


# What every answer has.


async def test_every_answer_keeps_itself_to_itself_and_pages_are_not_stored(
    made: Handheld, worked: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = await cookie_of(made)
    wanted = {
        "/login": 200,
        "/": 303,
        "/favicon.ico": 204,
        "/healthz": 200,
        "/nowhere": 404,
        "/logout": 405,
        "/stops/C99999/reading": 404,
        READING: 200,
        "/static/0/none.css": 404,
        "/login?user=%00": 400,
    }
    for path, status in wanted.items():
        answer = await knock(made.url, path, cookie=cookie)
        assert (answer.status, guarded(answer)) == (status, True), path
        assert answer.headers["cache-control"] == "no-store", path
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http:" not in policy

    def fail(_collector: str) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(made.opened.index, "in_walking_order", fail)
    answer = await knock(made.url, "/route", cookie=cookie)
    assert (answer.status, guarded(answer), answer.headers["cache-control"]) == (500, True, "no-store")
    assert 'href="/"' in answer.body, "no screen is a dead end"
    assert "ZeroDivision" not in answer.body


async def test_no_page_needs_what_its_policy_forbids(worked: Tab) -> None:
    for path, page in (await crawl(worked)).items():
        assert not re.search(r"<script(?![^>]*\bsrc=)", page.html), path
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", page.html), path
        assert not re.search(r"""(?:src|href|action)=["'](?:[a-z]+:)?//""", page.html), path


# The cookie.


async def test_the_cookie_says_nothing_and_stays_with_the_browser(made: Handheld) -> None:
    values = []
    for _ in range(2):
        answer = await send(made.url, "/login", {"user": COLLECTOR, "password": OWN_PASSWORD})
        name, *attributes = answer.headers["set-cookie"].split("; ")
        assert {*attributes} == {"HttpOnly", "Path=/", "SameSite=Strict"}, "no date: it ends with the browser"
        values.append(name.removeprefix(f"{COOKIE}="))
    assert all(re.fullmatch(r"[\w-]{43}", value) for value in values)
    assert values[0] != values[1]
    for file in made.site.home.glob("store.db*"):
        assert values[1][:16].encode() not in file.read_bytes(), "what is on disk opens no screen"


async def test_a_cookie_that_somebody_else_chose_is_worth_nothing(made: Handheld) -> None:
    planted = f"{COOKIE}=planted-by-somebody"
    own = await cookie_of(made, cookie=planted)
    assert own != planted
    for cookie in (planted, f"{COOKIE}=", "x=y", f"{COOKIE}=%00", f'{COOKIE}="{own}"', f"{COOKIE}={'a' * 4000}"):
        answer = await knock(made.url, "/route", cookie=cookie)
        assert (answer.status, answer.headers["location"]) == (303, "/login?next=/route")
    assert (await knock(made.url, "/route", cookie=own)).status == 200


async def test_a_cookie_is_over_when_its_owner_leaves_or_somebody_comes(made: Handheld) -> None:
    first = await cookie_of(made)
    second = await cookie_of(made, SECOND_COLLECTOR, PASSWORD)
    assert (await knock(made.url, "/route", cookie=first)).status == 303
    assert (await knock(made.url, "/route", cookie=second)).status == 200
    answer = await send(made.url, "/logout", {}, cookie=second)
    assert answer.headers["location"] == "/login"
    assert f'{COOKIE}=""' in answer.headers["set-cookie"]
    assert (await knock(made.url, "/route", cookie=second)).status == 303


async def test_a_bar_and_a_pulse_tell_a_stranger_of_nobodys_work(made: Handheld, worked: Tab) -> None:
    assert (await knock(made.url, "/status")).body == ""
    pulse = await knock(made.url, "/healthz")
    assert re.fullmatch(r'\{"state": "working", "software": "ghithu test", "pid": \d+\}', pulse.body)


# Forms that outlive their screens.


async def test_a_form_of_an_old_tab_is_one_record_however_often_and_by_whom_it_is_sent(
    made: Handheld, working: Tab
) -> None:
    page = await working.get(READING)
    await working.submit(await working.get("/menu"), "/logout")
    await working.log_in()
    for _ in range(2):
        assert (await working.submit(page, READING, index="1239")).path == "/stops/C00001/result"
    await made.app.quiet()
    before = kept(made)
    async with tab(made) as other:
        await other.log_in(SECOND_COLLECTOR, PASSWORD)
        for form in (page, await other.get("/route")):
            for one in form.forms:
                await other.post(one.action, one.fields | {"index": "1300"})
        assert (await other.submit(page, READING, index="1240")).status == 404
    await made.app.quiet()
    assert kept(made)["tip"] == before["tip"]


async def test_a_second_collector_sees_no_customer_and_no_money_of_the_first(made: Handheld, worked: Tab) -> None:
    async def away(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=502)

    made.hub.instead = away  # What is not sent yet is on a screen of its own.
    await worked.read("C00002", 1239)
    page = await worked.get("/stops/C00001/collect")
    await worked.submit(page, "/stops/C00001/collect")
    pages = await crawl(worked)
    secrets = {LONG_NAME, LONG_ADDRESS, "168.667", "53.900"}
    for one in ROUND:
        secrets |= {one.name, one.address, one.customer, one.register_no, one.meter.serial}
    seen_by_first = "".join(page.html for page in pages.values())
    assert {"C00001", "168.667"} <= {word for word in secrets if word in seen_by_first}
    async with tab(made) as other:
        await other.log_in(SECOND_COLLECTOR, PASSWORD)
        for path in {*pages, *await crawl(other)}:
            page = await other.get(path)
            if page.status == 404 and "C00001" in path:
                continue
            told = page.text + " ".join(page.links)
            assert [word for word in secrets if word in told and word not in path] == [], path


# Before there is anything to see.


@pytest_asyncio.fixture
async def opening(made: Handheld) -> AsyncIterator[str]:
    """The screens of a handheld whose store is still being read; their address."""
    face = Face(Site(home=made.site.home, clock=StillClock(), software="test", admission=made.site.admission))
    port = await face.listen(0)
    yield f"http://127.0.0.1:{port}"
    await face.close()


async def test_while_the_store_is_read_nothing_is_lost_and_everybody_waits(opening: str) -> None:
    assert (await knock(opening, "/")).headers["location"] == "/login"
    assert (await knock(opening, "/", cookie=f"{COOKIE}=mine")).headers["location"] == "/route"
    assert (await knock(opening, "/login")).status == 200
    page = await knock(opening, "/route")
    assert (page.status, 'hx-get="/opened"' in page.body) == (200, True)
    sent = await send(opening, f"{READING}?back={READING}", {"index": "1239", "intent": "0" * 32})
    assert (sent.status, sent.headers["location"]) == (303, f"{READING}?index=1239")
    assert (await send(opening, "/login", {"user": COLLECTOR, "password": OWN_PASSWORD})).status == 503
    part = await knock(opening, "/stops/C00001/preview?index=12", hx_request="true")
    assert (part.status, part.body) == (204, "")


async def test_a_handheld_without_a_branch_leads_to_its_wizard_from_everywhere(tmp_path: Path) -> None:
    face = Face(Site(home=tmp_path, clock=StillClock(), software="test"))
    url = f"http://127.0.0.1:{await face.listen(0)}"
    try:
        for path in ("/", "/login", "/route", READING, "/login/code", "/unlock"):
            assert (await knock(url, path)).headers["location"] == "/setup"
        assert (await send(url, "/login", {"user": "x"})).headers["location"] == "/setup"
    finally:
        await face.close()
