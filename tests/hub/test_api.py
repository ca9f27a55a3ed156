"""The doors for handhelds on real sockets: what is taken and what is refused; nothing hostile breaks the server."""

import asyncio
import gzip
import hmac
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from os import urandom
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from aiohttp.http_exceptions import HttpProcessingError
from sqlalchemy import func, select, update

from hub.api import bodies
from hub.api.server import BODY_MAX, serve
from hub.app import Hub
from hub.codes import keep_ready
from hub.enrolment import TRIES_MAX, confirm, normal_code, open_slot
from hub.office import OfficeError
from hub.store.schema import fact, handheld
from protocol import codec
from protocol.chain import NO_DIGEST, digest
from protocol.envelope import Purpose, SigningKey, VerifyKey, seal
from protocol.package import open_package, open_policy
from protocol.records import PackageRef, ReadingSkipped, ShiftOpened
from protocol.sealed import payload_of
from protocol.values import Imei
from protocol.wire import (
    REQUEST_HEADER,
    REQUEST_WINDOW_MS,
    UPLOAD_BYTES_MAX,
    UPLOAD_RECORDS_MAX,
    Ack,
    Changes,
    Enrolled,
    Enrolment,
    HubTime,
    Packages,
    Refusal,
    body,
    claim_for,
    enrolment_proof_input,
    open_ack,
)
from tests.hub.worlds import (
    DAYS,
    FAULTS,
    HUB_KEY,
    PERIOD,
    ROUTES,
    Handset,
    House,
    Watch,
    handsets_of,
    imei_of,
    open_copy,
    reading_of,
    set_up,
)

HUB = VerifyKey.of(HUB_KEY.public)
HOUSES = tuple(House(f"{2_000_000 + number:08d}", ROUTES[number % 2], "household", 100, ()) for number in range(8))
STRANGER = SigningKey.of(b"a key that nobody has enrolled..")
NEWCOMER = SigningKey.of(b"the key of one who asks to enter")
IMEI = imei_of(77)


def fresh_handsets() -> list[Handset]:
    """Two handhelds of two collectors, with nothing signed yet; the same keys every time."""
    first, second = handsets_of(Random(1))[:2]
    return [replace(one, messages=[], skew_ms=0, package=PackageRef(ROUTES[0], 1)) for one in (first, second)]


@dataclass(slots=True)
class Branch:
    """A served hub and the handhelds it knows."""

    hub: Hub
    watch: Watch
    url: str
    session: ClientSession
    first: Handset
    second: Handset

    async def ask(
        self, method: str, path: str, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        async with self.session.request(
            method, self.url + path, data=BytesIO(content) if content else None, headers=headers
        ) as answer:
            return answer.status, await answer.read()

    async def upload(self, content: bytes, encoding: str | None = None) -> tuple[int, bytes]:
        headers = {"Content-Encoding": encoding} if encoding else None
        return await self.ask("POST", "/v1/records", content, headers)

    async def acked(self, content: bytes, encoding: str | None = None) -> Ack:
        status, answer = await self.upload(content, encoding)
        assert status == 200, refusal_in(answer)
        return open_ack(answer, HUB)

    async def refused(self, content: bytes, encoding: str | None = None) -> tuple[int, Refusal]:
        status, answer = await self.upload(content, encoding)
        return status, refusal_in(answer)

    async def signed(
        self,
        one: Handset,
        path: str,
        *,
        signed_path: str | None = None,
        signed_content: bytes = b"",
        at_ms: int | None = None,
        nonce: bytes | None = None,
        key: SigningKey | None = None,
        purpose: Purpose = Purpose.REQUEST,
        made: int = 0,
    ) -> tuple[int, bytes]:
        """A GET with the claim of a handheld, or with one that differs from the request."""
        claim = claim_for(
            method="GET",
            path=signed_path or path,
            content=signed_content,
            at_ms=self.watch.now_ms if at_ms is None else at_ms,
            nonce=nonce or urandom(16),
            made=made,
        )
        header = b64encode(seal(body(claim), key or one.key, purpose)).decode()
        return await self.ask("GET", path, headers={REQUEST_HEADER: header})

    async def facts(self) -> int:
        query = select(func.count()).select_from(fact).where(fact.c.device != 0)
        return await self.hub.read(lambda connection: int(connection.execute(query).scalar_one()))


def refusal_in(answer: bytes) -> Refusal:
    return codec.unpack(Refusal, codec.decode(answer))


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub's home before anything was sent to it."""
    return asyncio.run(with_codes(tmp_path_factory.mktemp("api")))


async def with_codes(folder: Path) -> Path:
    """Set up with the slow hashes made once for all tests."""
    home = await set_up(folder, HOUSES, fresh_handsets())
    hub = await Hub.open(home, Watch())
    for device in (1, 2):
        await keep_ready(hub, device)
    await hub.close()
    return home


@pytest_asyncio.fixture
async def branch(setting: Path, tmp_path: Path) -> AsyncIterator[Branch]:
    watch = Watch()
    hub = await open_copy(setting, tmp_path / "hub", watch)
    server = await serve(hub, "127.0.0.1", 0)
    async with ClientSession(auto_decompress=False) as session:
        yield Branch(hub, watch, server.url, session, *fresh_handsets())
    await server.stop()
    await hub.close()


def skips(one: Handset, count: int) -> list[bytes]:
    """A shift and so many small records."""
    one.make(ShiftOpened(period=PERIOD, business_date=DAYS[0], software="test"), Watch().now_ms)
    for number in range(count - 1):
        record = ReadingSkipped(customer=HOUSES[number % 8].customer, period=PERIOD, code="house_closed")
        one.make(record, Watch().now_ms + number)
    return one.messages


# Uploads.


async def test_an_upload_is_acknowledged_by_position_and_digest_and_again_when_it_comes_again(branch: Branch) -> None:
    messages = skips(branch.first, 5)
    acks = [await branch.acked(b"".join(messages)) for _ in range(2)]
    for ack in acks:
        assert (ack.device, ack.from_seq, ack.to_seq, ack.digest) == (1, 1, 5, digest(messages[-1]))
        assert ack.hub_ms == branch.watch.now_ms
    assert await branch.facts() == 5
    assert (await branch.acked(b"".join(messages[1:3]))).to_seq == 3


async def test_a_gap_is_answered_with_the_head_and_keeps_nothing(branch: Branch) -> None:
    messages = skips(branch.first, 5)
    await branch.acked(b"".join(messages[:2]))
    status, refusal = await branch.refused(b"".join(messages[3:]))
    assert (status, refusal.code, refusal.index, refusal.ack) == (409, "gap", 0, None)
    assert (refusal.have_seq, refusal.have_digest) == (2, digest(messages[1]))
    assert await branch.facts() == 2


@pytest.mark.parametrize("fault", ["signature", "cbor", "key", "gap"])
async def test_what_comes_before_a_bad_record_is_kept_and_acknowledged(branch: Branch, fault: str) -> None:
    messages = skips(branch.first, 6)
    good, follower = messages[:3], messages[3]
    code, bad = {
        "signature": ("bad-signature", follower[:-1] + bytes([follower[-1] ^ 1])),
        "cbor": ("not-cbor", seal(b"\x1f", branch.first.key, Purpose.RECORD)),
        "key": ("bad-signature", skips(branch.second, 1)[0]),
        "gap": ("gap", messages[4]),
    }[fault]
    status, refusal = await branch.refused(b"".join([*good, bad, *messages[4:]]))
    assert 400 <= status < 500
    assert (refusal.code, refusal.index) == (code, 3)
    assert refusal.ack is not None
    ack = open_ack(refusal.ack, HUB)
    assert (ack.to_seq, ack.digest) == (3, digest(good[-1]))
    assert await branch.facts() == 3
    assert (await branch.acked(b"".join(messages[3:]))).to_seq == 6


async def test_a_key_nobody_enrolled_is_told_to_enrol(branch: Branch) -> None:
    stranger = replace(branch.first, key=STRANGER, messages=[])
    status, refusal = await branch.refused(b"".join(skips(stranger, 2)))
    assert (status, refusal.code) == (401, "unknown-key")
    assert await branch.facts() == 0


@pytest.mark.parametrize("purpose", [one for one in Purpose if one is not Purpose.RECORD])
async def test_a_signature_for_another_use_is_worthless_for_a_record(branch: Branch, purpose: Purpose) -> None:
    payload = b"\xa0"
    status, refusal = await branch.refused(seal(payload, branch.first.key, purpose))
    assert (status, refusal.code) == (401, "bad-signature")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xa0",
        b"\xf6",
        b"\x9f\xff",
        b"\x81" * 200,
        b"\xa1\x01\x01",
        b"\xfb" + bytes(8),
        b"\xc1\x00",
        b"\xa1\x01\x01\x00",
    ],
    ids=["empty", "no keys", "null", "indefinite", "nested", "one key", "float", "tag", "trailing"],
)
async def test_a_signed_payload_without_a_place_in_a_chain_is_refused(branch: Branch, payload: bytes) -> None:
    status, refusal = await branch.refused(seal(payload, branch.first.key, Purpose.RECORD))
    assert (status, refusal.code) == (400, "not-cbor")
    assert await branch.facts() == 0


@pytest.mark.parametrize("kind", [2**31, 2**63, 2**64 - 1, -1])
async def test_a_kind_that_no_column_holds_is_refused_and_stops_nobody(branch: Branch, kind: int) -> None:
    skips(branch.first, 2)
    record = ReadingSkipped(customer=HOUSES[0].customer, period=PERIOD, code="house_closed")
    payload = payload_of(branch.first._header(Watch().now_ms), record)
    poison = seal(codec.encode({**payload, 2: kind}), branch.first.key, Purpose.RECORD)
    status, refusal = await branch.refused(b"".join([*branch.first.messages, poison]))
    assert (status, refusal.code, refusal.index) == (400, "not-cbor", 2)
    assert await branch.facts() == 2
    assert (await branch.acked(b"".join(skips(branch.second, 2)))).to_seq == 2


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_cannot_be_read_behind_a_good_signature_is_stored(branch: Branch, fault: str) -> None:
    skips(branch.first, 1)
    branch.first.make_unreadable(fault, Watch().now_ms)
    skipped = ReadingSkipped(customer=HOUSES[0].customer, period=PERIOD, code="house_closed")
    branch.first.make(skipped, Watch().now_ms)
    assert (await branch.acked(b"".join(branch.first.messages))).to_seq == 3


@pytest.mark.parametrize("content", [b"", b"\xd2", b"x" * 200, bytes(2000)], ids=["none", "cut", "text", "zeros"])
async def test_a_body_that_is_no_record_is_named_so(branch: Branch, content: bytes) -> None:
    status, refusal = await branch.refused(content)
    assert (status, refusal.code) == (400, "not-a-record")


async def test_a_record_cut_short_at_the_end_of_a_body_costs_only_itself(branch: Branch) -> None:
    messages = skips(branch.first, 3)
    assert (await branch.acked(b"".join(messages)[:-10])).to_seq == 2
    assert (await branch.acked(messages[2])).to_seq == 3


async def test_too_much_at_once_is_413_and_a_smaller_window_passes(branch: Branch) -> None:
    for size in (UPLOAD_BYTES_MAX + 1, BODY_MAX + 1):
        status, refusal = await branch.refused(bytes(size))
        assert (status, refusal.code) == (413, "too-large")
    messages = skips(branch.first, UPLOAD_RECORDS_MAX + 1)
    status, refusal = await branch.refused(b"".join(messages))
    assert (status, refusal.code) == (413, "too-large")
    assert await branch.facts() == 0
    assert (await branch.acked(b"".join(messages[:UPLOAD_RECORDS_MAX]))).to_seq == UPLOAD_RECORDS_MAX


# Compressed bodies.


async def test_one_whole_gzip_member_is_an_upload(branch: Branch) -> None:
    assert (await branch.acked(gzip.compress(b"".join(skips(branch.first, 5))), "gzip")).to_seq == 5


@pytest.mark.parametrize("fault", ["truncated", "checksum", "two members", "trailing", "not gzip", "length", "bomb"])
async def test_a_gzip_body_with_a_fault_is_refused_whole(branch: Branch, fault: str) -> None:
    packed = gzip.compress(b"".join(skips(branch.first, 5)))
    content = {
        "truncated": packed[:-9],
        "checksum": packed[:-8] + bytes(4) + packed[-4:],
        "two members": packed + packed,
        "trailing": packed + b"\0",
        "not gzip": zlib.compress(b"".join(branch.first.messages)),
        "length": packed[:-4] + bytes(4),
        "bomb": gzip.compress(bytes(64 * UPLOAD_BYTES_MAX)),
    }[fault]
    status, refusal = await branch.refused(content, "gzip")
    assert (status, refusal.code) == ((413, "too-large") if fault == "bomb" else (400, "bad-request"))
    assert await branch.facts() == 0


@pytest.mark.parametrize("encoding", ["deflate", "br", "gzip, gzip", "identity, gzip", "GZIP "])
async def test_an_encoding_that_is_not_known_is_not_guessed(branch: Branch, encoding: str) -> None:
    status, refusal = await branch.refused(gzip.compress(b"".join(skips(branch.first, 2))), encoding)
    assert (status, refusal.code) == (400, "bad-request")


async def test_a_body_that_dawdles_is_cut_off(branch: Branch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "READ_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(branch.url.rpartition(":")[2]))
    writer.write(said(POST, HOST, "Content-Length: 500", content=b"slow"))
    async with asyncio.timeout(20):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()


# Claims.

ASKING = ["/v1/records/head", "/v1/packages", "/v1/policy", f"/v1/changes?route={ROUTES[0]}&after=0"]


@pytest.mark.parametrize("path", ASKING)
async def test_who_signs_the_request_is_answered(branch: Branch, path: str) -> None:
    status, answer = await branch.signed(branch.first, path, made=9)
    assert status == 200, refusal_in(answer)
    row = await branch.hub.read(
        lambda connection: connection.execute(select(handheld).where(handheld.c.device == 1)).one()
    )
    assert (row.made, row.contact_ms) == (9, branch.watch.now_ms)


@pytest.mark.parametrize("path", ASKING)
async def test_a_request_without_a_claim_is_refused(branch: Branch, path: str) -> None:
    status, answer = await branch.ask("GET", path)
    assert (status, refusal_in(answer).code) == (400, "bad-request")


CLAIM_FAULTS = ["path", "query", "body", "purpose", "signature", "stranger", "base64", "text", "empty"]


@pytest.mark.parametrize("fault", CLAIM_FAULTS)
async def test_a_claim_for_something_else_opens_nothing(branch: Branch, fault: str) -> None:
    one, path = branch.first, "/v1/packages?after=1"
    match fault:
        case "path":
            status, answer = await branch.signed(one, path, signed_path="/v1/records/head")
        case "query":
            status, answer = await branch.signed(one, path, signed_path="/v1/packages?after=2")
        case "body":
            status, answer = await branch.signed(one, path, signed_content=b"x")
        case "purpose":
            status, answer = await branch.signed(one, path, purpose=Purpose.RECORD)
        case "signature":
            impostor = replace(STRANGER, kid=one.key.kid)
            status, answer = await branch.signed(one, path, key=impostor)
        case "stranger":
            status, answer = await branch.signed(one, path, key=STRANGER)
        case _:
            header = {"base64": "@@@", "text": b64encode(b"open, please").decode(), "empty": ""}[fault]
            status, answer = await branch.ask("GET", path, headers={REQUEST_HEADER: header})
    assert status in (400, 401)
    assert refusal_in(answer).code in ("bad-request", "unknown-key")


async def test_the_same_request_twice_is_a_replay(branch: Branch) -> None:
    nonce = b"0123456789abcdef"
    assert (await branch.signed(branch.first, "/v1/records/head", nonce=nonce))[0] == 200
    status, answer = await branch.signed(branch.first, "/v1/records/head", nonce=nonce)
    assert (status, refusal_in(answer).code) == (400, "bad-request")
    assert (await branch.signed(branch.second, "/v1/records/head", nonce=nonce))[0] == 200


@pytest.mark.parametrize("side", [-1, 1])
async def test_a_clock_that_is_off_is_told_the_right_time(branch: Branch, side: int) -> None:
    edge_ms = branch.watch.now_ms + side * REQUEST_WINDOW_MS
    status, answer = await branch.signed(branch.first, "/v1/packages", at_ms=edge_ms + side)
    assert status == 400
    hub_ms = refusal_in(answer).hub_ms
    assert hub_ms == branch.watch.now_ms
    assert (await branch.signed(branch.first, "/v1/packages", at_ms=edge_ms, nonce=bytes(16)))[0] == 200
    assert (await branch.signed(branch.first, "/v1/packages", at_ms=hub_ms, nonce=b"1" * 16))[0] == 200


@pytest.mark.parametrize(("status", "code"), [("pending", "not-confirmed"), ("revoked", "revoked")])
async def test_a_handheld_that_may_not_work_gets_no_customers(branch: Branch, status: str, code: str) -> None:
    await stand(branch, status)
    for path in ASKING[1:]:
        answered, answer = await branch.signed(branch.first, path)
        assert (answered, refusal_in(answer).code) == (403, code)


async def test_a_revoked_handheld_may_bring_money_that_it_has(branch: Branch) -> None:
    await stand(branch, "revoked")
    assert (await branch.acked(b"".join(skips(branch.first, 2)))).to_seq == 2


async def test_a_handheld_nobody_has_confirmed_brings_nothing_until_somebody_does(branch: Branch) -> None:
    """Whoever holds the code of a slot could say anything in anybody's name."""
    await stand(branch, "pending")
    content = b"".join(skips(branch.first, 2))
    status, refusal = await branch.refused(content)
    assert (status, refusal.code, refusal.ack) == (403, "not-confirmed", None)
    assert await branch.facts() == 0
    await stand(branch, "active")
    assert (await branch.acked(content)).to_seq == 2


async def stand(branch: Branch, status: str) -> None:
    """Give the first handheld another standing."""
    query = update(handheld).where(handheld.c.device == 1).values(status=status)
    await branch.hub.write(lambda connection: connection.execute(query))


# Pulls.


async def test_packages_are_the_newest_of_the_own_routes_and_signed(branch: Branch) -> None:
    _, answer = await branch.signed(branch.first, "/v1/packages")
    packages = codec.unpack(Packages, codec.decode(answer))
    assert open_policy(packages.policy, HUB).unit == "CT"
    opened = [open_package(message, HUB) for message in packages.packages]
    assert [(one.route, one.version, one.collector) for one in opened] == [
        (route, 2, branch.first.collector) for route in ROUTES
    ]
    _, answer = await branch.signed(branch.second, "/v1/packages")
    assert codec.unpack(Packages, codec.decode(answer)).packages == ()


async def test_changes_name_what_others_did_on_the_own_route_and_only_since_then(branch: Branch) -> None:
    tariff = await branch.hub.read(branch.hub.books.tariff)
    skips(branch.second, 1)
    branch.second.make(reading_of(tariff, HOUSES[0], 12), Watch().now_ms)
    _, answer = await branch.signed(branch.first, f"/v1/changes?route={ROUTES[0]}&after=0")
    before = codec.unpack(Changes, codec.decode(answer))
    ack = await branch.acked(b"".join(branch.second.messages))
    path = f"/v1/changes?route={ROUTES[0]}&after={before.version}"
    _, answer = await branch.signed(branch.first, path)
    changes = codec.unpack(Changes, codec.decode(answer))
    assert [stop.customer for stop in changes.stops] == [HOUSES[0].customer]
    assert changes.stops[0].reading == digest(branch.second.messages[-1])
    assert changes.version == ack.changes > before.version
    _, answer = await branch.signed(branch.first, f"/v1/changes?route={ROUTES[0]}&after={changes.version}")
    assert codec.unpack(Changes, codec.decode(answer)).stops == ()


@pytest.mark.parametrize(
    "query",
    [
        f"route={ROUTES[0]}&after=-1",
        f"route={ROUTES[0]}&after=",
        f"route={ROUTES[0]}",
        f"route={ROUTES[0]}&after=1e3",
        f"route={ROUTES[0]}&after=99999999999999999999",
        f"route={ROUTES[0]}&after=" + "9" * 5000,
        "route=elsewhere&after=0",
        "after=0",
        "route=%00&after=0",
        "route=%F0%9F&after=0",
        "route=%F0%9F%92%A7&after=0",
    ],
)
async def test_changes_of_nothing_that_can_be_are_refused(branch: Branch, query: str) -> None:
    status, answer = await branch.signed(branch.first, f"/v1/changes?{query}"[:399])
    assert (status, refusal_in(answer).code) == (400, "bad-request")


async def test_changes_of_a_route_of_somebody_else_are_refused(branch: Branch) -> None:
    status, answer = await branch.signed(branch.second, f"/v1/changes?route={ROUTES[0]}&after=0")
    assert (status, refusal_in(answer).code) == (400, "bad-request")


async def test_the_head_is_a_signed_ack_of_all_that_is_here(branch: Branch) -> None:
    for count in (0, 3):
        if count:
            await branch.acked(b"".join(skips(branch.first, count)))
        status, answer = await branch.signed(branch.first, "/v1/records/head", nonce=bytes(15) + bytes([count]))
        assert status == 200
        ack = open_ack(answer, HUB)
        assert (ack.device, ack.to_seq) == (1, count)
        assert ack.digest == (digest(branch.first.messages[-1]) if count else NO_DIGEST)


# Enrolment.


async def enrolment(
    branch: Branch, code: str, key: SigningKey = NEWCOMER, imei: str = IMEI, public: bytes | None = None
) -> tuple[int, bytes]:
    """Ask in as a handheld does. public: another key than the one that signs."""
    _, answer = await branch.ask("GET", "/v1/time")
    nonce = codec.unpack(HubTime, codec.decode(answer)).nonce
    shown = public or key.public
    proof = hmac.digest(normal_code(code), enrolment_proof_input(shown, imei, nonce), sha256)
    claimed = Enrolment(public_key=shown, imei=Imei(imei), nonce=nonce, proof=proof)
    return await branch.ask("POST", "/v1/enrol", seal(body(claimed), key, Purpose.ENROL))


async def slot_code(branch: Branch) -> str:
    return await open_slot(branch.hub, collector=branch.first.collector, by="it")


async def test_a_handheld_with_the_code_is_admitted_once_and_answered_alike_again(branch: Branch) -> None:
    code = await slot_code(branch)
    answers = [await enrolment(branch, code) for _ in range(2)]
    assert [status for status, _ in answers] == [200, 200]
    first, second = (codec.unpack(Enrolled, codec.decode(answer)) for _, answer in answers)
    assert first == second
    assert (first.device, first.unit, first.collector) == (3, "CT", branch.first.collector)
    assert first.hub_key == HUB_KEY.public
    status, answer = await enrolment(branch, code, key=STRANGER)
    assert (status, refusal_in(answer).code) == (403, "bad-code")


async def test_a_code_typed_in_small_letters_with_blanks_is_the_same_code(branch: Branch) -> None:
    code = await slot_code(branch)
    assert (await enrolment(branch, f" {code.lower().replace('-', ' ')}"))[0] == 200


async def test_ten_wrong_tries_burn_a_code(branch: Branch) -> None:
    code = await slot_code(branch)
    for _ in range(TRIES_MAX - 1):
        status, answer = await enrolment(branch, "AAAAA-AAAAA-AAAAA-AAAAA")
        assert (status, refusal_in(answer).code) == (403, "bad-code")
    other = await slot_code(branch)
    assert (await enrolment(branch, "AAAAA-AAAAA-AAAAA-AAAAA"))[0] == 403
    assert (await enrolment(branch, code))[0] == 403
    assert (await enrolment(branch, other))[0] == 200, "the other code has seen one wrong try only"


async def test_a_code_older_than_a_day_is_no_code(branch: Branch) -> None:
    code = await slot_code(branch)
    branch.watch.now_ms += 24 * 3_600_000
    assert (await enrolment(branch, code))[0] == 403


async def test_a_key_for_which_anyone_could_sign_is_refused(branch: Branch) -> None:
    code = await slot_code(branch)
    small = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
    for public in (small, bytes(32), b"\x01" + bytes(31), b"\xff" * 32, HUB_KEY.public):
        status, answer = await enrolment(branch, code, public=public)
        assert (status, refusal_in(answer).code) == (400, "bad-request")
    status, answer = await enrolment(branch, code, key=branch.first.key)
    assert (status, refusal_in(answer).code) == (400, "bad-request"), "a key enrolled before"
    assert (await enrolment(branch, code))[0] == 200


async def test_the_hubs_own_key_is_not_admitted(branch: Branch) -> None:
    status, answer = await enrolment(branch, await slot_code(branch), key=HUB_KEY)
    assert (status, refusal_in(answer).code) == (400, "bad-request")


async def test_an_enrolment_sent_twice_uses_its_nonce_once(branch: Branch) -> None:
    code = await slot_code(branch)
    _, answer = await branch.ask("GET", "/v1/time")
    nonce = codec.unpack(HubTime, codec.decode(answer)).nonce
    proof = hmac.digest(normal_code(code), enrolment_proof_input(NEWCOMER.public, IMEI, nonce), sha256)
    message = seal(
        body(Enrolment(public_key=NEWCOMER.public, imei=IMEI, nonce=nonce, proof=proof)), NEWCOMER, Purpose.ENROL
    )
    assert [(await branch.ask("POST", "/v1/enrol", message))[0] for _ in range(2)] == [200, 400]


async def test_only_a_handheld_whose_sticker_was_compared_works(branch: Branch) -> None:
    _, answer = await enrolment(branch, await slot_code(branch))
    device = codec.unpack(Enrolled, codec.decode(answer)).device
    newcomer = replace(branch.first, key=NEWCOMER, device=device, messages=[])
    assert (await branch.signed(newcomer, "/v1/packages", nonce=b"0" * 16))[0] == 403
    with pytest.raises(OfficeError, match=str(IMEI)):
        await confirm(branch.hub, device=device, imei=str(imei_of(78)), by="it")
    assert (await branch.signed(newcomer, "/v1/packages", nonce=b"1" * 16))[0] == 403
    await confirm(branch.hub, device=device, imei=str(IMEI), by="it")
    assert (await branch.signed(newcomer, "/v1/packages", nonce=b"2" * 16))[0] == 200
    with pytest.raises(OfficeError, match="not waiting"):
        await confirm(branch.hub, device=device, imei=str(IMEI), by="it")


@pytest.mark.parametrize("content", [b"", b"\xa0", b"\x81" * 300, b"x" * 5000])
async def test_an_enrolment_that_is_none_is_refused(branch: Branch, content: bytes) -> None:
    for message in (content, seal(content, NEWCOMER, Purpose.ENROL)):
        status, answer = await branch.ask("POST", "/v1/enrol", message)
        assert (status, refusal_in(answer).code) == (400, "bad-request")


# Whatever a socket can carry.


async def spoken(url: str, said: bytes, *, hang_up: bool = False) -> bytes:
    """Say some bytes, and hear what comes back until the server closes. hang_up: end our side first."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(said)
        if hang_up:
            writer.write_eof()
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""  # Cut off in mid-sentence: the server had heard enough.
    finally:
        writer.close()


def said(line: str, *headers: str, content: bytes = b"") -> bytes:
    return "\r\n".join([line, *headers, "Connection: close", "", ""]).encode("latin-1") + content


CHUNKED = "Transfer-Encoding: chunked"
POST = "POST /v1/records HTTP/1.1"
HOST = "Host: x"
HOSTILE = {
    "noise": bytes(range(256)),
    "newlines": b"\r\n" * 50,
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": bytes.fromhex("160301020001000001fc0303") + bytes(500),
    "version": said("GET /v1/time HTTP/9.9", HOST),
    "no host": said("GET /v1/time HTTP/1.1"),
    "long line": said("GET /" + "a" * 20_000 + " HTTP/1.1", HOST),
    "long header": said("GET /v1/time HTTP/1.1", HOST, "X: " + "a" * 20_000),
    "many headers": said("GET /v1/time HTTP/1.1", HOST, *[f"X-{number}: 1" for number in range(5000)]),
    "null in header": said("GET /v1/packages HTTP/1.1", HOST, f"{REQUEST_HEADER}: a\0b"),
    "method": said("BREW /v1/records HTTP/1.1", HOST),
    "trace": said("TRACE /v1/records HTTP/1.1", HOST),
    "put": said("PUT /v1/records HTTP/1.1", HOST, "Content-Length: 1", content=b"x"),
    "negative length": said(POST, HOST, "Content-Length: -1"),
    "huge length": said(POST, HOST, f"Content-Length: {10**20}", content=b"x"),
    "two lengths": said(POST, HOST, "Content-Length: 1", "Content-Length: 2", content=b"xy"),
    "length and chunks": said(POST, HOST, "Content-Length: 4", CHUNKED, content=b"0\r\n\r\n"),
    "short body": said(POST, HOST, "Content-Length: 50", content=b"x"),
    "junk chunk": said(POST, HOST, CHUNKED, content=b"zz\r\nxx\r\n"),
    "chunk cut off": said(POST, HOST, CHUNKED, content=b"10\r\nxx"),
    "chunk too long": said(POST, HOST, CHUNKED, content=b"2\r\nxxxxxxxx\r\n0\r\n\r\n"),
    "chunk of terabytes": said(POST, HOST, CHUNKED, content=b"ffffffffffff\r\nx"),
    "gzip and chunks": said(POST, HOST, "Transfer-Encoding: gzip, chunked", content=b"0\r\n\r\n"),
    "empty gzip": said(POST, HOST, "Content-Encoding: gzip", "Content-Length: 0"),
    "strange encoding": said(POST, HOST, "Content-Encoding: \xff\xfe", "Content-Length: 0"),
    "strange type": said(POST, HOST, "Content-Type: \xff/;;=", "Content-Length: 1", content=b"x"),
    "claim not in letters": said("GET /v1/packages HTTP/1.1", HOST, f"{REQUEST_HEADER}: \xe9\xff\xe9"),
    "claim of padding": said("GET /v1/packages HTTP/1.1", HOST, f"{REQUEST_HEADER}: ===="),
    "path of zeros": said("GET /%00%ff/../v1/time HTTP/1.1", HOST),
    "absolute path": said("GET http://elsewhere/v1/time HTTP/1.1", "Host: elsewhere"),
    "half a surrogate": said("GET /v1/changes?route=%ED%A0%80&after=0 HTTP/1.1", HOST),
    "expectation": said(POST, HOST, "Expect: miracles", "Content-Length: 1", content=b"x"),
    "upgrade": said("GET / HTTP/1.1", HOST, "Upgrade: websocket", "Connection: Upgrade"),
    "language": said("GET /?lang=%ff%00 HTTP/1.1", HOST),
    "cookie": said("GET / HTTP/1.1", HOST, "Cookie: lang=\xff; =;;"),
    "admin without a token": said("POST /admin/check HTTP/1.1", HOST, "Content-Length: 2", content=b"{}"),
    "admin with a strange one": said(
        "POST /admin/check HTTP/1.1", HOST, "Authorization: Bearer \xff", "Content-Length: 0"
    ),
    "enrolment of noise": said("POST /v1/enrol HTTP/1.1", HOST, "Content-Length: 300", content=b"\x9f" * 300),
    "record of endless length": said(
        POST,
        HOST,
        "Content-Length: 23",
        content=bytes.fromhex("d2844da201320448") + bytes(8) + b"\xa0\x5a\xff\xff\xff\xff\0",
    ),
}

UNFINISHED = {"newlines", "short body", "chunk cut off", "chunk of terabytes", "tls"}


@pytest.mark.parametrize("name", HOSTILE)
async def test_nothing_hostile_breaks_the_server(branch: Branch, name: str, caplog: pytest.LogCaptureFixture) -> None:
    heard = await spoken(branch.url, HOSTILE[name], hang_up=name in UNFINISHED)
    assert heard[9:10] in ((b"",) if name in UNFINISHED else (b"2", b"4")), heard[:300]
    raised = [entry.exc_info[0] for entry in caplog.records if entry.exc_info]
    assert all(kind is not None and issubclass(kind, HttpProcessingError) for kind in raised), "the library's own no"
    assert (await branch.ask("GET", "/v1/time"))[0] == 200
