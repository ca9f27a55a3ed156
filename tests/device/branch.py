"""A small made-up branch for the tests of the handheld, and the hub it talks to: real sockets, real signatures."""

import gzip
import hmac
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from hashlib import sha256
from random import Random

from aiohttp import web
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from device.core.memory import Identity, Memory
from device.core.session import CollectorSession
from device.store import DeviceStore
from protocol import codec, wire
from protocol.chain import NO_DIGEST, digest
from protocol.codes import CodeHash, SupervisorCodes, code_hash, number_of, seal_codes
from protocol.envelope import Purpose, SigningKey, VerifyKey, open_sealed, split
from protocol.package import (
    CollectorCard,
    Meter,
    OpenBill,
    PastUse,
    Policy,
    RoutePackage,
    Stop,
    seal_package,
    seal_policy,
)
from protocol.tariff import Block, BlocksPer, ChangeInPeriod, Price, Tariff, TariffVersion
from protocol.values import Imei, Instant
from protocol.verifier import MEMORY_KIB_MIN

HUB_KEY = SigningKey.of(bytes(range(32)))
DEVICE_KEY = SigningKey.of(bytes(range(1, 33)))
HUB = VerifyKey.of(HUB_KEY.public)
IMEI = Imei("490154203237518")
COLLECTOR = "thu.nguyen"
ROUTE = "R01"
PERIOD = "2026-11"
NOON_MS = 1_795_496_400_000  # 24 November 2026, in Vietnam.
CODE = "ABCD-EFGH-JKLM"
SECOND_COLLECTOR = "ai.do"
PASSWORD = "mưa Cái Răng 1987"
CODES = ("0012345678", "0187654321", "0255550000")  # A supervisor's, made for this handheld.


class StillClock:
    """Time that stands still until a test moves it."""

    def __init__(self, wall_ms: int = NOON_MS) -> None:
        self.wall_ms = wall_ms
        self.up_ms = 1_000
        self.boot = b"boot-id!"

    def now(self) -> Instant:
        return Instant(wall_ms=self.wall_ms, up_ms=self.up_ms, boot=self.boot)

    def reboot(self) -> None:
        """The machine starts anew: all that counted since its start counts from zero."""
        self.up_ms, self.boot = 0, sha256(self.boot).digest()[:8]


def identity() -> Identity:
    return Identity(device=7, unit="CT", imei=IMEI, key=DEVICE_KEY, hub_key=HUB, software="test")


def empty_memory() -> Memory:
    return Memory(policy=None, packages=(), messages=(), changes={}, papers=(), acked_seq=0, ack=None)


async def session_from(store: DeviceStore) -> CollectorSession:
    return CollectorSession(identity(), await store.load(), Random(1))


@cache
def verifier_of(password: str, salt: bytes = b"salt of a person") -> str:
    """A verifier as the hub would make it, but as cheap as one may be."""
    kdf = Argon2id(salt=salt, length=32, iterations=1, lanes=1, memory_cost=MEMORY_KIB_MIN)
    return kdf.derive_phc_encoded(password.encode())


def card(code: str = COLLECTOR, password: str | None = PASSWORD, *, opened: int | None = None) -> CollectorCard:
    """A person of the branch; without a password nobody logs in as this one."""
    verifier = verifier_of(password) if password is not None else None
    return CollectorCard(code=code, name="Nguyễn Thị Thu", phone="", verifier=verifier, opened=opened)


@cache
def code_entry(code: str) -> CodeHash:
    salt = sha256(code.encode()).digest()[:16]
    return CodeHash(number=number_of(code), salt=salt, hash=code_hash(code, salt))


def codes(texts: tuple[str, ...] = CODES, version: int = 1, *, device: int = 7) -> bytes:
    """What the hub sends of a supervisor's codes, signed for one handheld."""
    entries = tuple(code_entry(text) for text in texts)
    return seal_codes(SupervisorCodes(unit="CT", device=device, version=version, codes=entries), HUB_KEY)


def policy(
    version: int = 1, collectors: tuple[CollectorCard, ...] = (), *, login_days: int | None = None
) -> Policy:
    return Policy(
        unit="CT",
        version=version,
        issued_ms=NOON_MS - 86_400_000,
        expires_ms=NOON_MS + 40 * 86_400_000,
        utility_name="Công ty Cấp nước",
        branch_name="Chi nhánh Cái Răng",
        hotline="1900 0000",
        bank_bin="970436",
        bank_account="0123456789",
        collectors=collectors,
        login_days=login_days,
    )


def stop(number: int, *, name: str = "Nguyễn Văn Đức", arrears: tuple[OpenBill, ...] = ()) -> Stop:
    return Stop(
        customer=f"C{number:05d}",
        register_no=f"0210{number:07d}",
        name=name,
        address=f"{number} Đường Trần Hưng Đạo",
        phone="",
        collect_address="",
        walk_seq=number,
        route_day=1,
        latitude_e7=100_000_000,
        longitude_e7=1_057_000_000,
        area="urban",
        category="household",
        business_type="",
        payment_method="TT",
        meter=Meter(serial=f"M{number:06d}", make="", size_mm=15, digits=5),
        history=(PastUse(period="2026-10", reading_date="2026-10-24", index=100, use_m3=20, days=31, code="normal"),),
        arrears=arrears,
        credit_vnd=0,
    )


def tariff() -> Tariff:
    price = Price(area="urban", group="household", blocks=(Block(price_vnd=7_000),))
    version = TariffVersion(
        version="CT-2024",
        decision="made up",
        effective_from="2024-02-01",
        vat_included=1,
        vat_percent=5,
        fee_percent=10,
        rounding="net_half_up_then_fee_half_up",
        blocks_per=BlocksPer.HOUSEHOLD,
        prices=(price,),
    )
    return Tariff(versions=(version,), change_in_period=ChangeInPeriod.BY_PERIOD)


def package(stops: tuple[Stop, ...], version: int = 1, route: str = ROUTE, *, changes: int = 0) -> RoutePackage:
    return RoutePackage(
        unit="CT",
        route=route,
        branch="Cái Răng",
        version=version,
        period=PERIOD,
        collector=COLLECTOR,
        issued_ms=NOON_MS - 86_400_000,
        expires_ms=NOON_MS + 40 * 86_400_000,
        tariff=tariff(),
        stops=stops,
        changes=changes,
    )


def download(
    stops: tuple[Stop, ...] = (stop(1), stop(2)),
    version: int = 1,
    *,
    changes: int = 0,
    collectors: tuple[CollectorCard, ...] = (),
    codes: bytes | None = None,
) -> wire.Packages:
    """What the hub hands down: policy and one route, signed when the hub's counter stood at `changes`."""
    return wire.Packages(
        policy=seal_policy(policy(version, collectors), HUB_KEY),
        packages=(seal_package(package(stops, version, changes=changes), HUB_KEY),),
        codes=codes,
    )


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SmallHub:
    """A hub that keeps what it is sent and signs for it. `instead` answers in its place, as a bad network would."""

    def __init__(self) -> None:
        self.url = ""
        self.now_ms = NOON_MS
        self.public_key = DEVICE_KEY.public
        self.records: list[bytes] = []
        self.uploaded_bytes: list[int] = []
        self.calls: list[str] = []
        self.claims: list[wire.RequestClaim] = []
        self.packages = download()
        self.changes: dict[str, wire.Changes] = {}
        self.instead: Handler | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator["SmallHub"]:
        app = web.Application(client_max_size=2 * wire.UPLOAD_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def ack(self) -> bytes:
        seq = len(self.records)
        ack = wire.Ack(
            device=7,
            from_seq=min(1, seq),
            to_seq=seq,
            digest=digest(self.records[-1]) if seq else NO_DIGEST,
            hub_ms=self.now_ms,
            changes=0,
        )
        return wire.seal_ack(ack, HUB_KEY)

    def refusal(self, code: str, status: int = 400, have_seq: int | None = None) -> web.Response:
        body = wire.body(wire.Refusal(code=code, sentence=f"made up: {code}", hub_ms=self.now_ms, have_seq=have_seq))
        return web.Response(body=body, content_type=wire.BODY_TYPE, status=status)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path_qs}")
        if self.instead is not None:
            return await self.instead(request)
        content = await request.read()
        if request.path == "/v1/time":
            return _body(wire.HubTime(hub_ms=self.now_ms, nonce=bytes(16)))
        if request.path == "/v1/enrol":
            return self._enrol(content)
        key = VerifyKey.of(self.public_key)
        signed = b64decode(request.headers[wire.REQUEST_HEADER], validate=True)
        claim = codec.unpack(wire.RequestClaim, codec.decode(open_sealed(signed, key, Purpose.REQUEST)))
        self.claims.append(claim)
        assert (claim.method, claim.path) == (request.method, request.path_qs)
        assert claim.body == sha256(content).digest()
        if abs(claim.at_ms - self.now_ms) > wire.REQUEST_WINDOW_MS:
            return self.refusal(wire.RefusalCode.BAD_REQUEST)
        match request.path:
            case "/v1/records":
                self._store(gzip.decompress(content) if "Content-Encoding" in request.headers else content)
                return web.Response(body=self.ack(), content_type="application/cose")
            case "/v1/records/head":
                return web.Response(body=self.ack(), content_type="application/cose")
            case "/v1/packages":
                return _body(self.packages)
            case "/v1/policy":
                return _body(replace(self.packages, packages=()))
            case "/v1/changes":
                route = request.query["route"]
                return _body(self.changes.get(route) or wire.Changes(route=route, version=0, stops=()))
            case _:
                return web.Response(status=404)

    def _store(self, sequence: bytes) -> None:
        """Take records in as the real one would, from where the chain ends; a record sent again is the same record."""
        self.uploaded_bytes.append(len(sequence))
        for message, _ in split(sequence):
            if message not in self.records:
                self.records.append(message)

    def _enrol(self, content: bytes) -> web.Response:
        asked = codec.unpack(wire.Enrolment, codec.decode(content_of(content)))
        proof_input = wire.enrolment_proof_input(asked.public_key, asked.imei, asked.nonce)
        open_sealed(content, VerifyKey.of(asked.public_key), Purpose.ENROL)
        if asked.proof != hmac.digest(CODE.replace("-", "").encode(), proof_input, "sha256"):
            return self.refusal(wire.RefusalCode.BAD_CODE, 403)
        self.public_key = asked.public_key
        return _body(wire.Enrolled(device=7, unit="CT", collector=COLLECTOR, hub_key=HUB_KEY.public))


def content_of(message: bytes) -> bytes:
    """Payload of a message, unverified."""
    ((_, part),) = split(message)
    return part.payload


def _body(value: object) -> web.Response:
    return web.Response(body=wire.body(value), content_type=wire.BODY_TYPE)
