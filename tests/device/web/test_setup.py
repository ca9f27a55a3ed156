"""The first start: a handheld without a branch, its wizard, and a hub behind a real socket."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis.strategies import text
from sqlalchemy import select

from device.keystore import KEY_NAME, make_key, read_admission, read_key
from device.web.server import Face
from device.web.views.setup import CODE_LENGTH_MAX, URL_LENGTH_MAX, from_qr
from device.web.visit import Site
from hub.api.server import serve
from hub.enrolment import confirm, open_slot
from hub.intake import ACTIVE
from hub.store.schema import handheld as handhelds
from protocol.envelope import SigningKey
from tests.device.branch import CODE, COLLECTOR, HUB_KEY, IMEI, SmallHub, StillClock
from tests.device.web.test_guard import Answer, knock, send
from tests.hub.branch import AN, HOUSES, handsets, open_branch
from tests.hub.worlds import set_up

NO_MODEM = "at:///dev/there-is-no-such-port"


@asynccontextmanager
async def unboxed(home: Path) -> AsyncIterator[tuple[str, Site]]:
    """A handheld out of its box: its address, and what its screens know."""
    site = Site(home=home, clock=StillClock(), software="ghithu test", modem=NO_MODEM)
    face = Face(site)
    port = await face.listen(0)
    try:
        yield f"http://127.0.0.1:{port}", site
    finally:
        await face.close()


def typed(hub: str, code: str = CODE, imei: str = IMEI) -> dict[str, str]:
    return {"hub": hub, "code": code, "imei": imei}


def value_of(page: Answer, name: str) -> str:
    """What stands in a field of a page."""
    found = re.search(rf'name="{name}"[^>]*?value="([^"]*)"', page.body)
    return found[1] if found else ""


async def test_address_code_and_imei_make_a_handheld_of_the_branch(tmp_path: Path, hub: SmallHub) -> None:
    async with unboxed(tmp_path) as (url, site):
        page = await knock(url, "/setup")
        assert (page.status, "IMEI" in page.body) == (200, True)
        answer = await send(url, "/setup", typed(hub.url, CODE.lower().replace("-", " ")))
        assert (answer.status, answer.headers["location"]) == (303, "/setup/done")
        assert site.enrolled.is_set()
        done = await knock(url, "/setup/done")
        assert all(word in done.body for word in ("CT", "7", IMEI, COLLECTOR)), "what the branch compares"
    admission = read_admission(tmp_path)
    assert (admission.device, admission.hub_url, admission.hub_key) == (7, hub.url, HUB_KEY.public)
    assert hub.public_key == read_key(tmp_path).public


async def test_what_has_been_set_up_is_not_set_up_again(tmp_path: Path, hub: SmallHub) -> None:
    async with unboxed(tmp_path) as (url, _):
        await send(url, "/setup", typed(hub.url))
        before, calls = (tmp_path / "identity.json").read_bytes(), len(hub.calls)
        for path in ("/setup", "/setup/scan", "/setup?qr=x"):
            assert (await knock(url, path)).headers["location"] == "/login"
        assert (await send(url, "/setup", typed(hub.url))).headers["location"] == "/login"
        assert ((tmp_path / "identity.json").read_bytes(), len(hub.calls)) == (before, calls)


async def test_a_double_tap_sets_up_once(tmp_path: Path, hub: SmallHub) -> None:
    async with unboxed(tmp_path) as (url, _):
        answers = await asyncio.gather(*(send(url, "/setup", typed(hub.url)) for _ in range(3)))
        assert {answer.headers.get("location") for answer in answers} <= {"/setup/done", "/login"}
    assert hub.public_key == read_key(tmp_path).public


async def test_a_wrong_code_an_unknown_hub_and_a_mistyped_imei_are_said_and_what_was_typed_stays(
    tmp_path: Path, hub: SmallHub
) -> None:
    wrong = {
        "Máy chủ không nhận máy này": (
            typed(hub.url, "WRONG-CODE"),
            typed(hub.url, ""),
            typed(hub.url, "mã số"),
            typed("http://127.0.0.1:1"),
        ),
        "15 chữ số": (typed(hub.url, imei="490154203237519"), typed(hub.url, imei=""), typed(hub.url, imei="số máy")),
        "không phải địa chỉ": (
            typed(""),
            typed(f"{hub.url}/v1"),
            typed("ftp://hub.example.vn"),
            typed("http://127.0.0.1:99999"),
            typed("http://127.0.0.1:port"),
            typed("http://a..b"),
            typed("http://[::1"),
            typed("https://" + "a" * 100),
            typed("https://user@hub.example.vn"),
        ),
    }
    async with unboxed(tmp_path) as (url, site):
        for sentence, forms in wrong.items():
            for fields in forms:
                page = await send(url, "/setup", fields)
                assert page.status == 409, fields
                assert sentence in page.body, fields
                assert value_of(page, "code") == fields["code"]
                assert value_of(page, "hub") == fields["hub"]
        assert (await send(url, "/setup", typed("x" * (URL_LENGTH_MAX + 1)))).status == 400
        assert site.admission is None
        assert not (tmp_path / "identity.json").exists()
        assert (await send(url, "/setup", typed(hub.url))).headers["location"] == "/setup/done", "and then it works"


async def test_an_address_without_its_scheme_is_meant_to_be_a_safe_one(tmp_path: Path, hub: SmallHub) -> None:
    async with unboxed(tmp_path) as (url, _):
        page = await send(url, "/setup", typed(hub.url.removeprefix("http://")))
        assert page.status == 409, "this hub speaks no TLS, so nobody answered"
        assert hub.calls == []


async def test_something_else_than_a_hub_at_the_address_is_no_hub(tmp_path: Path, hub: SmallHub) -> None:
    async def cafe(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="<h1>Free Wi-Fi: log in</h1>", content_type="text/html")

    hub.instead = cafe
    async with unboxed(tmp_path) as (url, site):
        page = await send(url, "/setup", typed(hub.url))
        assert (page.status, site.admission) == (409, None)
        assert "Free Wi-Fi" not in page.body


async def test_a_program_killed_after_it_made_its_key_goes_on_with_that_key(tmp_path: Path, hub: SmallHub) -> None:
    key = make_key(tmp_path)
    async with unboxed(tmp_path) as (url, _):
        assert (await knock(url, "/login")).headers["location"] == "/setup"
        assert (await send(url, "/setup", typed(hub.url))).headers["location"] == "/setup/done"
    assert hub.public_key == key.public


async def test_an_answer_that_was_lost_is_given_again(tmp_path: Path, hub: SmallHub) -> None:
    """The hub has let it in, but the handheld was cut before it knew."""
    async with unboxed(tmp_path) as (url, _):
        await send(url, "/setup", typed(hub.url))
    (tmp_path / "identity.json").unlink()
    known = hub.public_key
    async with unboxed(tmp_path) as (url, _):
        assert (await send(url, "/setup", typed(hub.url))).headers["location"] == "/setup/done"
    assert hub.public_key == known


async def test_a_key_that_others_could_read_is_not_used_and_it_is_said(tmp_path: Path, hub: SmallHub) -> None:
    make_key(tmp_path)
    (tmp_path / KEY_NAME).chmod(0o644)
    async with unboxed(tmp_path) as (url, _):
        page = await send(url, "/setup", typed(hub.url))
        assert (page.status, "0600" in page.body, "CNTT" in page.body) == (409, True, True)
    assert "POST /v1/enrol" not in hub.calls


async def test_the_wizard_speaks_english_and_keeps_what_the_camera_read(tmp_path: Path) -> None:
    async with unboxed(tmp_path) as (url, _):
        scanned = f"/setup?qr={quote('ghithu:enrol?hub=https://hub.example.vn&code=ABCD-EFGH', safe='')}"
        fields = {"language": "en", "next": "/setup"}
        answer = await send(url, "/language?back=/setup", fields, referer=url + scanned)
        page = await knock(url, answer.headers["location"])
        assert "One-time code" in page.body
        assert (value_of(page, "hub"), value_of(page, "code")) == ("https://hub.example.vn", "ABCD-EFGH")


# The code that the branch shows as a picture.


@pytest.mark.parametrize(
    ("scanned", "found"),
    [
        ("ghithu:enrol?hub=https://hub.example.vn&code=ABCD-EFGH", ("https://hub.example.vn", "ABCD-EFGH")),
        ("ghithu:enrol?hub=https%3A%2F%2Fhub.example.vn%3A8443&code=A", ("https://hub.example.vn:8443", "A")),
        ("ghithu:enrol?code=A", ("", "A")),
        ("ghithu:enrol?hub=h", ("h", "")),
        ("ghithu:enrol", ("", "")),
        ("ghithu:other?hub=h&code=A", ("", "")),
        ("https://hub.example.vn/enrol?hub=h&code=A", ("", "")),
        ("WIFI:S:quán cà phê;P:12345678;;", ("", "")),
        ("00020101021238540010A00000072701240006970436", ("", "")),
        ("http://[", ("", "")),
        ("", ("", "")),
    ],
)
def test_a_qr_code_is_read_or_left(scanned: str, found: tuple[str, str]) -> None:
    assert from_qr(scanned) == found


@given(scanned=text() | text().map(lambda rest: f"ghithu:enrol?{rest}"))
def test_no_qr_code_breaks_the_wizard(scanned: str) -> None:
    hub, code = from_qr(scanned)
    assert len(hub) <= URL_LENGTH_MAX
    assert len(code) <= CODE_LENGTH_MAX


# The real hub.


@pytest_asyncio.fixture
async def setting(tmp_path: Path) -> Path:
    folder = tmp_path / "setting"
    folder.mkdir()
    return await set_up(folder, HOUSES, list(handsets()))


async def test_the_real_hub_lets_a_handheld_in_and_a_person_confirms_it(tmp_path: Path, setting: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    async with open_branch(setting, tmp_path / "hub") as branch, unboxed(home) as (url, _):
        server = await serve(branch.hub, "127.0.0.1", 0)
        try:
            code = await open_slot(branch.hub, collector=AN, by="it")
            wrong = await send(url, "/setup", typed(server.url, "AAAAA-AAAAA-AAAAA-AAAAA"))
            assert (wrong.status, "bad-code" in wrong.body or "wrong" in wrong.body) == (409, True)
            assert (await send(url, "/setup", typed(server.url, code))).headers["location"] == "/setup/done"
        finally:
            await server.stop()
        admission, key = read_admission(home), SigningKey.of((home / KEY_NAME).read_bytes())
        assert admission.collector == AN
        await confirm(branch.hub, device=admission.device, imei=IMEI, by="it")
        row = await branch.hub.read(
            lambda connection: connection.execute(
                select(handhelds).where(handhelds.c.device == admission.device)
            ).one()
        )
        assert (row.status, row.public_key, row.imei) == (ACTIVE, key.public, IMEI)
    assert json.loads((home / "identity.json").read_text())["unit"] == admission.unit
