"""The uplink against a real socket: what counts as an answer, and that nothing else does."""

import asyncio
import gzip
import struct
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256

import pytest
from aiohttp import web

from device.core.effects import AskHead, FetchChanges, FetchPackages, Upload
from device.core.events import (
    PACKAGES,
    ChangesArrived,
    FetchFailed,
    PackagesArrived,
    UploadAcked,
    UploadLost,
    UploadRefused,
)
from device.store import StoreError
from device.uplink import CallRefusedError, EnrolError, NetworkEffect, NoAnswerError, Uplink, enrol
from protocol import codec, wire
from protocol.chain import EMPTY
from protocol.envelope import Purpose, VerifyKey, open_sealed
from protocol.wire import open_ack
from tests.device.branch import (
    CODE,
    COLLECTOR,
    DEVICE_KEY,
    HUB,
    HUB_KEY,
    IMEI,
    NOON_MS,
    ROUTE,
    SmallHub,
    StillClock,
    download,
)
from tests.device.test_store import next_record

FETCHES: tuple[NetworkEffect, ...] = (FetchPackages(), FetchChanges(route=ROUTE, after=3))
PHOTO = sha256(b"photo").digest()
EFFECTS: tuple[NetworkEffect, ...] = (Upload(from_seq=1, to_seq=2), AskHead(), *FETCHES)


def chain(length: int) -> tuple[bytes, ...]:
    messages, tip = [], EMPTY
    for _ in range(length):
        sealed = next_record(tip)
        messages.append(sealed.message)
        tip = sealed.tip
    return tuple(messages)


@asynccontextmanager
async def uplink_to(
    url: str, messages: tuple[bytes, ...] = (), clock: StillClock | None = None, silence_s: float = 5
) -> AsyncIterator[Uplink]:
    async def read(from_seq: int, to_seq: int) -> tuple[bytes, ...]:
        return messages[from_seq - 1 : to_seq]

    uplink = Uplink(
        url,
        key=DEVICE_KEY,
        clock=clock or StillClock(),
        messages=read,
        made=lambda: len(messages),
        silence_s=silence_s,
    )
    try:
        yield uplink
    finally:
        await uplink.close()


@pytest.mark.parametrize("length", [1, 2, 500])
async def test_records_arrive_byte_for_byte_and_the_ack_comes_back(hub: SmallHub, length: int) -> None:
    messages = chain(length)
    async with uplink_to(hub.url, messages) as uplink:
        event = await uplink.perform(Upload(from_seq=1, to_seq=length))
    assert isinstance(event, UploadAcked)
    assert open_ack(event.message, HUB).to_seq == length
    assert tuple(hub.records) == messages
    assert hub.claims[0].made == length


async def test_what_one_upload_cannot_carry_is_left_for_the_next(hub: SmallHub) -> None:
    messages = chain(4)
    size = len(messages[0])
    many = messages * (wire.UPLOAD_BYTES_MAX // size // 4 + 1)
    async with uplink_to(hub.url, many) as uplink:
        await uplink.perform(Upload(from_seq=1, to_seq=len(many)))
    (uploaded_bytes,) = hub.uploaded_bytes
    assert wire.UPLOAD_BYTES_MAX - size < uploaded_bytes <= wire.UPLOAD_BYTES_MAX


async def test_head_packages_and_changes_are_asked_for_under_a_signed_claim(hub: SmallHub) -> None:
    changes = wire.Changes(route=ROUTE, version=9, stops=())
    hub.changes[ROUTE] = changes
    async with uplink_to(hub.url) as uplink:
        head = await uplink.perform(AskHead())
        assert isinstance(head, UploadAcked)
        assert open_ack(head.message, HUB).to_seq == 0
        assert await uplink.perform(FetchPackages()) == PackagesArrived(packages=hub.packages)
        assert await uplink.perform(FetchChanges(route=ROUTE, after=3)) == ChangesArrived(changes=changes)
    assert hub.calls == ["GET /v1/records/head", "GET /v1/packages", f"GET /v1/changes?route={ROUTE}&after=3"]
    assert len({claim.nonce for claim in hub.claims}) == 3


async def test_a_compressed_download_is_inflated(hub: SmallHub) -> None:
    async def compressed(_request: web.Request) -> web.Response:
        body = gzip.compress(wire.body(download()))
        return web.Response(body=body, content_type=wire.BODY_TYPE, headers={"Content-Encoding": "gzip"})

    hub.instead = compressed
    async with uplink_to(hub.url) as uplink:
        assert await uplink.perform(FetchPackages()) == PackagesArrived(packages=download())


Answer = Callable[[SmallHub, web.Request], Awaitable[web.StreamResponse]]


def right_type(request: web.Request) -> str:
    return "application/cose" if request.path.startswith("/v1/records") else wire.BODY_TYPE


async def captive_portal(_hub: SmallHub, _request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Hãy đăng nhập</html>", content_type="text/html")


async def redirect(hub: SmallHub, request: web.Request) -> web.StreamResponse:
    if request.path == "/portal":
        return web.Response(body=hub.ack(), content_type=right_type(request))
    return web.Response(status=302, headers={"Location": f"{hub.url}/portal"})


async def server_error(_hub: SmallHub, _request: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text="oops")


async def refusal_as_server_error(hub: SmallHub, _request: web.Request) -> web.StreamResponse:
    return hub.refusal(wire.RefusalCode.STORAGE, 503)


async def other_success(hub: SmallHub, request: web.Request) -> web.StreamResponse:
    return web.Response(status=206, body=hub.ack(), content_type=right_type(request))


async def error_page_without_refusal(_hub: SmallHub, _request: web.Request) -> web.StreamResponse:
    return web.Response(status=404, text="nothing here")


async def refusal_that_is_none(_hub: SmallHub, _request: web.Request) -> web.StreamResponse:
    return web.Response(status=403, body=b"\xa1\x01\x02", content_type=wire.BODY_TYPE)


async def html_of_the_right_type(_hub: SmallHub, request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"<html>", content_type=right_type(request))


async def nothing_of_the_right_type(_hub: SmallHub, request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"", content_type=right_type(request))


async def cut_short(hub: SmallHub, request: web.Request) -> web.StreamResponse:
    body = hub.ack() if right_type(request) == "application/cose" else wire.body(hub.packages)
    response = web.StreamResponse(headers={"Content-Type": right_type(request), "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def cut_short_by_a_proxy(hub: SmallHub, request: web.Request) -> web.StreamResponse:
    body = hub.ack() if right_type(request) == "application/cose" else wire.body(hub.packages)
    return web.Response(body=body[:-10], content_type=right_type(request))


async def compressed_and_cut_short(hub: SmallHub, request: web.Request) -> web.StreamResponse:
    body = gzip.compress(hub.ack())[:-4]
    headers = {"Content-Encoding": "gzip"}
    return web.Response(body=body, content_type=right_type(request), headers=headers)


async def compressed_without_end(_hub: SmallHub, request: web.Request) -> web.StreamResponse:
    body = gzip.compress(bytes(40 * 2**20))
    return web.Response(body=body, content_type=right_type(request), headers={"Content-Encoding": "gzip"})


async def not_compressed_at_all(hub: SmallHub, request: web.Request) -> web.StreamResponse:
    return web.Response(body=hub.ack(), content_type=right_type(request), headers={"Content-Encoding": "gzip"})


async def unknown_encoding(hub: SmallHub, request: web.Request) -> web.StreamResponse:
    return web.Response(body=hub.ack(), content_type=right_type(request), headers={"Content-Encoding": "br"})


async def more_than_an_answer(hub: SmallHub, request: web.Request) -> web.StreamResponse:
    return web.Response(body=hub.ack() + b"\x00", content_type=right_type(request))


async def endless(_hub: SmallHub, request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": right_type(request)})
    await response.prepare(request)
    try:
        while True:
            await response.write(bytes(2**20))
    except ConnectionError:
        return response


async def hang_up(_hub: SmallHub, request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    sock = request.transport.get_extra_info("socket")
    sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER of nothing: a reset.
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize(
    "answer",
    [
        captive_portal,
        redirect,
        server_error,
        refusal_as_server_error,
        other_success,
        error_page_without_refusal,
        refusal_that_is_none,
        html_of_the_right_type,
        nothing_of_the_right_type,
        cut_short,
        cut_short_by_a_proxy,
        compressed_and_cut_short,
        compressed_without_end,
        not_compressed_at_all,
        unknown_encoding,
        more_than_an_answer,
        endless,
        hang_up,
    ],
)
async def test_whatever_is_no_answer_of_the_hub_is_no_news(hub: SmallHub, answer: Answer) -> None:
    hub.instead = lambda request: answer(hub, request)
    async with uplink_to(hub.url, chain(2)) as uplink:
        for effect in EFFECTS:
            event = await uplink.perform(effect)
            if effect in FETCHES:
                assert isinstance(event, FetchFailed)
                assert event.what == (effect.route if isinstance(effect, FetchChanges) else PACKAGES)
            else:
                assert isinstance(event, UploadLost)
            assert event.sentence
        with pytest.raises(NoAnswerError):
            await uplink.send_photo(PHOTO, offset=0, size=9, content=b"piece")
    assert "GET /portal" not in hub.calls
    hub.instead = None
    async with uplink_to(hub.url, chain(2)) as uplink:
        assert isinstance(await uplink.perform(EFFECTS[0]), UploadAcked)


async def test_a_link_that_falls_silent_is_given_up(hub: SmallHub) -> None:
    for_ever = asyncio.Event()

    async def silent(_request: web.Request) -> web.StreamResponse:
        await for_ever.wait()
        return web.Response()

    hub.instead = silent
    async with uplink_to(hub.url, chain(1), silence_s=0.05) as uplink:
        event = await uplink.perform(Upload(from_seq=1, to_seq=1))
    assert event == UploadLost(sentence="no answer in time")
    for_ever.set()


async def test_without_a_hub_the_next_try_still_works() -> None:
    async with SmallHub().open() as gone:
        url = gone.url
    async with uplink_to(url, chain(1)) as uplink:
        assert isinstance(await uplink.perform(AskHead()), UploadLost)
        assert isinstance(await uplink.perform(FetchPackages()), FetchFailed)


async def test_a_refusal_brings_what_the_hub_has(hub: SmallHub) -> None:
    async def gap(_request: web.Request) -> web.StreamResponse:
        return hub.refusal(wire.RefusalCode.GAP, 409, have_seq=17)

    hub.instead = gap
    async with uplink_to(hub.url, chain(1)) as uplink:
        event = await uplink.perform(Upload(from_seq=1, to_seq=1))
        assert event == UploadRefused(code="gap", sentence="made up: gap", have_seq=17, ack=None)
        assert await uplink.perform(FetchPackages()) == FetchFailed(what=PACKAGES, sentence="made up: gap")


@pytest.mark.parametrize("off_ms", [-400_000, 400_000, 10**10])
async def test_a_clock_that_is_off_is_set_right_for_one_more_try(hub: SmallHub, off_ms: int) -> None:
    async with uplink_to(hub.url, clock=StillClock(NOON_MS + off_ms)) as uplink:
        assert await uplink.perform(FetchPackages()) == PackagesArrived(packages=hub.packages)
    assert [claim.at_ms for claim in hub.claims] == [NOON_MS + off_ms, NOON_MS]


@pytest.mark.parametrize("off_ms", [0, 400_000])
async def test_a_hub_that_refuses_the_claim_for_ever_is_not_asked_for_ever(hub: SmallHub, off_ms: int) -> None:
    async def never_right(_request: web.Request) -> web.StreamResponse:
        return hub.refusal(wire.RefusalCode.BAD_REQUEST)

    hub.instead = never_right
    async with uplink_to(hub.url, clock=StillClock(NOON_MS + off_ms)) as uplink:
        assert isinstance(await uplink.perform(FetchPackages()), FetchFailed)
    assert len(hub.calls) == (2 if off_ms else 1)


async def test_changes_of_another_route_are_not_taken_for_the_answer(hub: SmallHub) -> None:
    hub.changes[ROUTE] = wire.Changes(route="R99", version=9, stops=())
    async with uplink_to(hub.url) as uplink:
        assert isinstance(await uplink.perform(FetchChanges(route=ROUTE, after=0)), FetchFailed)


async def test_a_failing_store_is_no_matter_of_the_network(hub: SmallHub) -> None:
    async def broken(_from_seq: int, _to_seq: int) -> tuple[bytes, ...]:
        raise StoreError("gone")

    uplink = Uplink(hub.url, key=DEVICE_KEY, clock=StillClock(), messages=broken, made=lambda: 1)
    with pytest.raises(StoreError):
        await uplink.perform(Upload(from_seq=1, to_seq=1))
    await uplink.close()


async def test_an_error_that_nobody_foresaw_does_not_stop_the_uplink(hub: SmallHub) -> None:
    async def odd(_from_seq: int, _to_seq: int) -> tuple[bytes, ...]:
        raise ZeroDivisionError

    uplink = Uplink(hub.url, key=DEVICE_KEY, clock=StillClock(), messages=odd, made=lambda: 1)
    assert await uplink.perform(Upload(from_seq=1, to_seq=1)) == UploadLost(sentence="unforeseen: ZeroDivisionError")
    assert isinstance(await uplink.perform(AskHead()), UploadAcked)
    await uplink.close()


@pytest.mark.parametrize("typed", [CODE, "abcd efgh-jklm", " ABCDEFGHJKLM\n"])
async def test_a_code_lets_the_handheld_in_however_it_is_typed(hub: SmallHub, typed: str) -> None:
    hub.public_key = b""
    enrolled = await enrol(hub.url, typed, IMEI, DEVICE_KEY)
    assert enrolled == wire.Enrolled(device=7, unit="CT", collector=COLLECTOR, hub_key=HUB_KEY.public)
    assert hub.public_key == DEVICE_KEY.public
    assert hub.calls[0].startswith("GET /v1/time?nonce=")


@pytest.mark.parametrize("typed", ["ABCD-EFGH-JKLN", "", "-- ", "ABCĐ"])
async def test_a_wrong_code_lets_nobody_in(hub: SmallHub, typed: str) -> None:
    with pytest.raises(EnrolError):
        await enrol(hub.url, typed, IMEI, DEVICE_KEY)


async def test_a_captive_portal_enrols_nobody(hub: SmallHub) -> None:
    hub.instead = lambda request: captive_portal(hub, request)
    with pytest.raises(EnrolError, match="something other than the hub"):
        await enrol(hub.url, CODE, IMEI, DEVICE_KEY)


async def test_a_hub_whose_key_anyone_could_sign_for_is_not_believed(hub: SmallHub) -> None:
    async def weak(request: web.Request) -> web.StreamResponse:
        answer: object = wire.HubTime(hub_ms=NOON_MS, nonce=bytes(16))
        if request.path == "/v1/enrol":
            answer = wire.Enrolled(device=7, unit="CT", collector=COLLECTOR, hub_key=bytes(32))
        return web.Response(body=wire.body(answer), content_type=wire.BODY_TYPE)

    hub.instead = weak
    with pytest.raises(EnrolError, match="small order"):
        await enrol(hub.url, CODE, IMEI, DEVICE_KEY)


def claim_of(request: web.Request) -> wire.RequestClaim:
    signed = b64decode(request.headers[wire.REQUEST_HEADER], validate=True)
    return codec.unpack(
        wire.RequestClaim, codec.decode(open_sealed(signed, VerifyKey.of(DEVICE_KEY.public), Purpose.REQUEST))
    )


@pytest.mark.parametrize("piece", [b"", b"piece of a photo", bytes(wire.PHOTO_CHUNK_BYTES_MAX)])
async def test_a_piece_of_a_photo_goes_under_a_signed_claim(hub: SmallHub, piece: bytes) -> None:
    async def take(request: web.Request) -> web.Response:
        claim, content = claim_of(request), await request.read()
        assert (claim.method, claim.path, claim.made) == ("PUT", request.path_qs, 2)
        assert (content, claim.body) == (piece, sha256(piece).digest())
        assert "Content-Encoding" not in request.headers
        return web.Response(body=wire.body(wire.PhotoHave(have=7 + len(content))), content_type=wire.BODY_TYPE)

    hub.instead = take
    async with uplink_to(hub.url, chain(2)) as uplink:
        have = await uplink.send_photo(PHOTO, offset=7, size=100_000, content=piece)
    assert have == 7 + len(piece)
    assert hub.calls == [f"PUT /v1/photos/{PHOTO.hex()}?offset=7&size=100000"]


async def test_a_refused_piece_says_why_and_a_clock_that_is_off_is_no_reason(hub: SmallHub) -> None:
    claims: list[wire.RequestClaim] = []

    async def refuse(request: web.Request) -> web.Response:
        claims.append(claim_of(request))
        is_on_time = claims[-1].at_ms == NOON_MS
        return hub.refusal(wire.RefusalCode.STORAGE if is_on_time else wire.RefusalCode.BAD_REQUEST, 413)

    hub.instead = refuse
    async with uplink_to(hub.url, clock=StillClock(NOON_MS + 10**9)) as uplink:
        with pytest.raises(CallRefusedError) as caught:
            await uplink.send_photo(PHOTO, offset=0, size=5, content=b"photo")
    assert caught.value.refusal.code == wire.RefusalCode.STORAGE
    assert [claim.at_ms for claim in claims] == [NOON_MS + 10**9, NOON_MS]
    assert claims[0].nonce != claims[1].nonce


async def test_an_error_that_nobody_foresaw_is_no_answer_about_a_photo(hub: SmallHub) -> None:
    def made() -> int:
        raise ZeroDivisionError

    async def read(_from_seq: int, _to_seq: int) -> tuple[bytes, ...]:
        return ()

    uplink = Uplink(hub.url, key=DEVICE_KEY, clock=StillClock(), messages=read, made=made)
    with pytest.raises(NoAnswerError, match="unforeseen: ZeroDivisionError"):
        await uplink.send_photo(PHOTO, offset=0, size=5, content=b"photo")
    await uplink.close()
