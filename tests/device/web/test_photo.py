"""The photo page: what the camera page carries along, and what is taken in as a photo."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from random import Random
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, ClientSession, CookieJar
from PIL import Image

from protocol.records import ReadingTaken
from protocol.wire import PHOTO_BYTES_MAX
from tests.device.web.browser import Seen, Tab
from tests.device.web.handheld import LONG_NAME, Handheld

PAGE = "/stops/C00001/photo"


def jpeg(seed: int = 1) -> bytes:
    out = BytesIO()
    Image.frombytes("RGB", (64, 48), Random(seed).randbytes(64 * 48 * 3)).save(out, format="JPEG")
    return out.getvalue()


@dataclass(slots=True)
class Camera:
    """A tab in which the collector works, and the script of the photo page."""

    made: Handheld
    tab: Tab
    session: ClientSession

    async def send(self, content: bytes, path: str = PAGE, kind: str = "image/jpeg", **headers: str) -> ClientResponse:
        sent = {"Origin": self.made.url, "Sec-Fetch-Site": "same-origin", "Content-Type": kind} | headers
        answer = await self.session.post(self.made.url + path, data=content, headers=sent)
        await answer.read()
        return answer


@pytest_asyncio.fixture
async def camera(made: Handheld) -> AsyncIterator[Camera]:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        one = Tab(made, session)
        await one.log_in()
        await one.open_shift()
        yield Camera(made, one, session)


def told(page: Seen, name: str) -> str:
    """What the page tells its script: an attribute of its main part."""
    return page.html.partition(f'data-{name}="')[2].partition('"')[0].replace("&amp;", "&")


async def test_a_photo_is_kept_and_named_by_the_reading(camera: Camera) -> None:
    page = await camera.tab.get(f"{PAGE}?index=1239")
    answer = await camera.send(jpeg(), told(page, "post"))
    assert answer.status == 200
    digest = sha256(jpeg()).hexdigest()
    assert await answer.json() == {"sha256": digest}
    assert camera.made.opened.photos.has(bytes.fromhex(digest))
    reading = await camera.tab.get(told(page, "keep") + digest)
    assert 'value="1239"' in reading.html
    saved = await camera.tab.submit(reading, "/stops/C00001/reading", index="1239")
    assert saved.path == "/stops/C00001/result"
    taken = camera.made.app.session.work.stops["C00001"].taken
    assert taken is not None
    assert isinstance(taken.record, ReadingTaken)
    assert taken.record.photo == bytes.fromhex(digest)


async def test_the_same_picture_twice_is_one_photo(camera: Camera) -> None:
    first, second = [await (await camera.send(jpeg())).json() for _ in range(2)]
    assert first == second
    assert len(camera.made.opened.photos.waiting()) == 1


async def test_a_photo_of_a_meter_that_cannot_be_read_leads_to_the_reasons(camera: Camera) -> None:
    page = await camera.tab.get(PAGE)
    digest = (await (await camera.send(jpeg())).json())["sha256"]
    reasons = await camera.tab.get(told(page, "reasons") + digest)
    form = next(one for one in reasons.forms if one.fields.get("code") == "house_closed")
    assert form.fields["photo"] == digest


async def test_what_was_typed_goes_along_and_nothing_else_does(camera: Camera) -> None:
    page = await camera.tab.get(f"{PAGE}?index=0042&code=estimated&photo={'ab' * 32}")
    keep, leave = parse_qs(urlsplit(told(page, "keep")).query), parse_qs(urlsplit(told(page, "leave")).query)
    assert told(page, "keep").endswith("photo=")
    assert keep["index"] == leave["index"] == ["0042"]
    assert leave["photo"] == ["ab" * 32]
    assert "thay ảnh cũ" in page.html
    odd = await camera.tab.get(f'{PAGE}?index=12"><script>&code=nothing&photo=AB')
    assert told(odd, "leave") == "/stops/C00001/reading"
    assert told(odd, "keep") == "/stops/C00001/reading?photo="
    assert "<script>&" not in odd.html


async def test_the_page_says_whose_meter_it_is_and_has_a_way_out(camera: Camera) -> None:
    page = await camera.tab.get("/stops/C00002/photo?index=7")
    assert LONG_NAME in page.text
    assert "/stops/C00002/reading?index=7" in page.links


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (jpeg(), "application/octet-stream", 415),
        (jpeg(), "application/x-www-form-urlencoded", 415),
        (b"", "image/jpeg", 422),
        (b"\xff\xd8\xff\xe0 no picture", "image/jpeg", 422),
        (jpeg() + bytes(PHOTO_BYTES_MAX), "image/jpeg", 413),
    ],
    ids=["other type", "form", "nothing", "broken", "long"],
)
async def test_what_is_no_photo_is_refused_in_words(camera: Camera, content: bytes, kind: str, status: int) -> None:
    answer = await camera.send(content, kind=kind)
    assert answer.status == status
    assert "chụp lại" in (await answer.json())["sentence"]
    assert not camera.made.opened.photos.any_waiting


async def test_bytes_that_come_without_a_length_are_bounded_too(camera: Camera) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield bytes(2**20)

    sent = {"Origin": camera.made.url, "Content-Type": "image/jpeg"}
    async with camera.session.post(camera.made.url + PAGE, data=pieces(), headers=sent) as answer:
        assert answer.status == 413


async def test_only_our_own_page_and_only_the_collector_of_this_customer_may_send_one(camera: Camera) -> None:
    assert (await camera.send(jpeg(), Origin="http://evil.example")).status == 403
    assert (await camera.send(jpeg(), path="/stops/C99999/photo")).status == 404
    async with ClientSession() as stranger:
        nobody = Camera(camera.made, camera.tab, stranger)
        page = await camera.tab.get(f"{PAGE}?index=1239")
        answer = await nobody.send(jpeg(), told(page, "post"))
        assert answer.url.path == "/login"
        assert answer.url.query["next"] == f"{PAGE}?index=1239"
    assert not camera.made.opened.photos.any_waiting
