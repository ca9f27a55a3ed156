"""A handheld process of its own: a month of work in its store, a printer in reach; started, worked through, weighed.

Programs are measured as they run in the field: no hub answers, and papers go to a printer over (simulated) Bluetooth.
"""

import asyncio
import math
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from random import Random

from aiohttp import ClientSession, CookieJar
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from device.clock import FileClock
from device.core.effects import KeepPackage, KeepPolicy
from device.core.preview import preview
from device.core.session import CollectorSession
from device.keystore import KEY_NAME, Admission, keep_admission
from device.store import DeviceStore
from device.web.visitors import COOKIE
from hub.passwords import MEMORY_KIB, PASSES
from protocol.envelope import SigningKey, VerifyKey
from protocol.package import CollectorCard, open_package, open_policy, seal_package, seal_policy
from protocol.rules import BY_BANK, BY_TREASURY
from protocol.values import Instant
from simulator.bluez import FakeBluez
from simulator.bluez_peripheral import ISSC, Peripheral
from simulator.printer import PrinterModel
from simulator.processes import Process
from tests.bench.measure import seconds_of
from tests.bench.walkers import Walker

MONTH_RECORDS = 6_800  # Readings, collections and papers on a route of 2,757.
BEFORE_LAST_DAY = 6_300  # As many of them leave two hundred customers to walk to.
SHIFT_CUSTOMERS = 60  # Of the last day's walk: each is read, pays, and gets a receipt.
PASSWORD = "12345678"
HUB_KEY = SigningKey.of(bytes(range(32)))
NO_HUB = "http://127.0.0.1:9"  # The discard port: a day without a network.
PRINTER = "AA:BB:CC:DD:EE:01"
PRINTER_PLACE = f"ble://{PRINTER}?model=epson-tm-p20ii"
FAST_BYTES_PER_S = 1e7  # How long a printer takes is measured elsewhere.
MTU_BYTES = 247  # What most printers and BlueZ agree on.
POLL_S = 0.01  # Asking is work too, and takes from what is measured.
LOOK_S = 0.1  # Between two looks at a paper that is being printed.
START_S = 60  # A shared machine at its worst.
PAPER_S = 30

_TAG = re.compile(r"<(form|input)\b([^>]*)>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')


class ScreenError(Exception):
    """A page did not do what the work in hand needs. The message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A home with a month of work in it. left: (customer, index) of those who are still to be read and will pay."""

    home: Path
    collector: str
    clock_file: Path
    stops: int
    records: int
    left: Sequence[tuple[str, int]]


async def month_in(home: Path, walker: Walker, clock_file: Path, records: int) -> Month:
    """Put so many records of a walker's round on disk: the chain as its handheld would have it, in one transaction;
    policy and route are sealed anew, so that somebody can log in.
    """
    assert walker.packages is not None
    identity, given = walker.session.identity, walker.packages.packages
    card = CollectorCard(code=walker.collector, name="Nguyễn Thị Thu", phone="", verifier=_verifier())
    policy = replace(open_policy(given.policy, identity.hub_key), collectors=(card,))
    package = open_package(given.packages[0], identity.hub_key)
    _enrolled(home, walker)
    store = await DeviceStore.open(home / "store.db")
    try:
        await store.keep_policy(KeepPolicy(version=policy.version, message=seal_policy(policy, HUB_KEY)))
        message = seal_package(package, HUB_KEY)
        await store.keep_package(KeepPackage(route=package.route, version=package.version, message=message))
        rows = [(one.header.seq, one.digest, one.record.KIND, one.message) for one in walker.records[:records]]
        await store.commit(lambda db: db.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", rows))
        found = replace(identity, hub_key=VerifyKey.of(HUB_KEY.public))
        session = CollectorSession(found, await store.load(), Random(1))
    finally:
        await store.close()
    return Month(
        home=home,
        collector=walker.collector,
        clock_file=clock_file,
        stops=len(package.stops),
        records=len(rows),
        left=tuple(_left(session, FileClock(clock_file).now())),
    )


def _enrolled(home: Path, walker: Walker) -> None:
    """The walker's handheld in a home of its own: its key, and a hub that it does not reach."""
    identity = walker.session.identity
    home.mkdir(parents=True)
    (home / KEY_NAME).touch(mode=0o600)
    (home / KEY_NAME).write_bytes(identity.key.private.private_bytes_raw())
    keep_admission(
        home,
        Admission(
            device=identity.device,
            unit=identity.unit,
            hub_url=NO_HUB,
            hub_key=HUB_KEY.public,
            imei=identity.imei,
            collector=walker.collector,
        ),
    )


def _verifier() -> str:
    """A password's verifier at the cost that hubs choose: what it takes in memory is part of the shift."""
    kdf = Argon2id(salt=bytes(16), length=32, iterations=PASSES, lanes=1, memory_cost=MEMORY_KIB)
    return kdf.derive_phc_encoded(PASSWORD.encode())


def _left(session: CollectorSession, now: Instant) -> Iterator[tuple[str, int]]:
    """Who is still to be read and pays at the door, with an index that nobody has to key twice."""
    for work in session.work.stops.values():
        is_to_be_visited = not work.is_read and work.skipped is None
        if is_to_be_visited and work.stop.payment_method not in (BY_BANK, BY_TREASURY):
            past = work.stop.history
            index = past[-1].index + sum(one.use_m3 for one in past) // len(past)
            shown = preview(
                session, work, code="normal", index=index, removed_index=None, installed_index=None, now=now
            )
            if not shown.doubts and shown.hold is None and not shown.problem and shown.bill_vnd:
                yield work.stop.customer, index


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A handheld process that is open. first_page_s, open_s: from its start to the log-in page, and to all of it."""

    url: str
    pid: int
    first_page_s: float
    open_s: float


@asynccontextmanager
async def printer_in_reach() -> AsyncIterator[Mapping[str, str]]:
    """A printer that prints as fast as it is told. Gives the environment that leads to it."""
    printer = PrinterModel(rows_per_s=math.inf, drain_bytes_per_s=FAST_BYTES_PER_S)
    peripheral = Peripheral(PRINTER, printer, services=ISSC, radio_bytes_per_s=FAST_BYTES_PER_S, mtu_bytes=MTU_BYTES)
    async with FakeBluez([peripheral]) as bluez:
        yield {"DBUS_SYSTEM_BUS_ADDRESS": bluez.address}


@asynccontextmanager
async def running(month: Month, environment: Mapping[str, str]) -> AsyncIterator[Running]:
    """Start the program and wait until it is open; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    arguments = ["-m", "device", "run", "--home", str(month.home), "--listen", f"127.0.0.1:{port}"]
    arguments += ["--papers", PRINTER_PLACE]
    around = {**environment, "GHITHU_CLOCK_FILE": str(month.clock_file)}
    process = Process("handheld", month.home, arguments, "listening.json", around)
    start_s = time.perf_counter()
    starting = asyncio.create_task(process.start())
    try:
        await _until(port, "/login", b"<form")
        first_page_s = time.perf_counter() - start_s
        await _until(port, "/healthz", b'"working"')
        open_s = time.perf_counter() - start_s
        await starting
        assert process.process is not None
        pid = process.process.pid
        yield Running(url=f"http://127.0.0.1:{port}", pid=pid, first_page_s=first_page_s, open_s=open_s)
    finally:
        starting.cancel()
        await process.stop()


async def _until(port: int, path: str, wanted: bytes) -> None:
    """Ask again and again, until the answer is the one that is waited for."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    async with asyncio.timeout(START_S):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(POLL_S)
                continue
            writer.write(request)
            answer = await reader.read()
            writer.close()
            if answer.startswith(b"HTTP/1.1 200") and wanted in answer:
                return
            await asyncio.sleep(POLL_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What a part of a working day did. log_in_s: from the password to the route. cookie: whoever is logged in."""

    customers: int
    log_in_s: float
    took_s: float
    cookie: str


class Hands:
    """Whoever works a handheld by its forms, faster than a person."""

    def __init__(self, url: str, client: ClientSession) -> None:
        self._url = url
        self._client = client

    async def get(self, path: str) -> str:
        """Look at a page. Raises ScreenError."""
        async with self._client.get(self._url + path) as answer:
            content = await answer.read()
            if answer.status >= 300:
                raise ScreenError(f"GET {path}: {answer.status}")
        return content.decode("utf-8", "replace")

    async def submit(self, page: str, action: str, **typed: str) -> str:
        """Send the form of a page whose action begins so; the page behind it. Raises ScreenError."""
        path, fields = _form(page, action)
        sent = {"Origin": self._url, "Sec-Fetch-Site": "same-origin"}
        async with self._client.post(self._url + path, data=fields | typed, headers=sent) as answer:
            text = await answer.text()
            if answer.status >= 300:
                raise ScreenError(f"POST {path}: {answer.status}: {_heard(text)}")
        return text

    async def visit(self, customer: str, index: int) -> None:
        """Read, collect, and wait for the receipt."""
        stop = f"/stops/{customer}"
        page = await self.get(f"{stop}/reading")
        for digits in range(1, len(str(index)) + 1):
            await self.get(f"{stop}/preview?code=normal&index={str(index)[:digits]}")
        page = await self.submit(page, f"{stop}/reading", index=str(index))
        await self.get(_picture(page))
        page = await self.get(f"{stop}/collect?which=ALL")
        amount = _form(page, f"{stop}/collect")[1]["amount_vnd"]
        page = await self.submit(page, f"{stop}/collect", last_digits=amount[-3:])
        await self.get(_picture(page))
        async with asyncio.timeout(PAPER_S):
            while "/result/state?" in page:
                await asyncio.sleep(LOOK_S)
                page = await self.get(f"{stop}/result")


async def shift(month: Month, running: Running) -> Shift:
    """A part of a day's work through the pages: walk, search, read, collect, print."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        hands = Hands(running.url, client)
        login = await hands.get("/login")
        log_in_s = await seconds_of(hands.submit(login, "/login", user=month.collector, password=PASSWORD))
        start_s = time.perf_counter()
        for customer, index in month.left[:SHIFT_CUSTOMERS]:
            await hands.visit(customer, index)
        for path in ("/stops", "/stops/search?q=nguyen", "/outbox", "/route"):
            await hands.get(path)
        took_s = time.perf_counter() - start_s
        cookie = next(one.value for one in client.cookie_jar if one.key == COOKIE)
    return Shift(customers=SHIFT_CUSTOMERS, log_in_s=log_in_s, took_s=took_s, cookie=cookie)


def _form(page: str, action: str) -> tuple[str, dict[str, str]]:
    """Where a form goes, and what it carries."""
    path, name, fields = "", "", {}
    is_inside = False
    for tag, inside in _TAG.findall(page):
        given = {key: unescape(value) for key, value in _ATTRIBUTE.findall(inside)}
        if tag == "form":
            is_inside = not path and given.get("action", "").startswith(action)
            if is_inside:
                path, name = given["action"], given.get("id", "")
        elif "name" in given and (given["form"] == name if "form" in given else is_inside):
            fields[given["name"]] = given.get("value", "")
    if not path:
        raise ScreenError(f"no form goes to {action}: {_heard(page)}")
    return path, fields


def _picture(page: str) -> str:
    """Where the paper of a result page is."""
    found = re.search(r'<img src="([^"]+)"', page)
    if found is None:
        raise ScreenError(f"no paper: {_heard(page)}")
    return unescape(found[1])


def _heard(page: str) -> str:
    """What a page says, without its bar."""
    body = page.partition("<main")[2] or page
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())[:300]
