"""The whole program as a process: what its screens say while it starts, and what is left after it was killed."""

import asyncio
import json
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from device.core.effects import Append
from device.keystore import KEY_NAME, Admission, keep_admission
from device.store import DeviceStore, _append
from device.web.views.login import PIN_ASKED
from protocol.package import seal_package, seal_policy
from protocol.sealed import Sealed
from tests.device import branch
from tests.device.branch import CODE, COLLECTOR, HUB_KEY, IMEI, PASSWORD, SmallHub, card, download, stop
from tests.device.handset import Handset
from tests.device.test_drive import ended, program
from tests.device.web.test_guard import Answer, knock, send

STOPS = tuple(stop(number) for number in range(1, 401))
READING = "/stops/C00002/reading"
LOOK_EVERY_S = 0.02
LOOKS_MAX = 1500


@cache
def month() -> tuple[Sealed, ...]:
    """A month's walk, made once: readings, payments and papers of all but the first four."""
    handset = Handset(STOPS)
    handset.open_shift()
    for number in range(5, len(STOPS) + 1):
        handset.sold(number)
        handset.end_print()
    return tuple(handset.session.work.records)


@dataclass(slots=True)
class Box:
    """A handheld that can be switched on, as its files and its hub."""

    home: Path
    hub: SmallHub
    url: str = ""

    @asynccontextmanager
    async def on(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Start the program and wait until its screens can be asked; killed at the end, if it still runs."""
        clock = self.home / "clock"
        clock.write_text(str(self.hub.now_ms))
        words = ("run", "--position", "off", "--papers", f"text:{self.home}")
        process = await program(self.home, *words, GHITHU_CLOCK_FILE=str(clock))
        try:
            await until(lambda: self._listens(process.pid))
            self.url = f"http://127.0.0.1:{self._listening()['port']}"
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    def _listening(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.home / "listening.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    async def _listens(self, pid: int) -> bool:
        return bool(self._listening().get("pid") == pid)

    async def pulse(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await knock(self.url, "/healthz")).body)
        return found

    async def _works(self) -> bool:
        return bool((await self.pulse())["state"] == "working")

    async def working(self) -> None:
        """Wait until the store is open."""
        await until(self._works)

    async def log_in(self) -> str:
        answer = await send(self.url, "/login", {"user": COLLECTOR, "password": PASSWORD, "next": "/route"})
        assert (answer.status, answer.headers["location"]) == (303, "/route"), answer.body
        return answer.headers["set-cookie"].partition(";")[0]

    async def get(self, path: str, cookie: str) -> Answer:
        return await knock(self.url, path, cookie=cookie)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the store from being read, as a large one would for a while."""
        with closing(sqlite3.connect(self.home / "store.db", isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("ROLLBACK")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.home / "store.db")) as db, db:
            return db.execute(query).fetchall()


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Look until it is so: of another process nothing can be awaited."""
    for _ in range(LOOKS_MAX):
        if await is_so():
            return
        await asyncio.sleep(LOOK_EVERY_S)
    raise TimeoutError


def fields_of(page: Answer) -> dict[str, str]:
    """What the form of a reading carries."""
    names = ("intent", "seen", "code")
    return {name: page.body.split(f'name="{name}" value="')[1].partition('"')[0] for name in names}


@pytest_asyncio.fixture
async def box(tmp_path: Path, hub: SmallHub) -> Box:
    """A handheld with a month of records in it."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    keep_admission(
        home,
        Admission(device=7, unit="CT", hub_url=hub.url, hub_key=HUB_KEY.public, imei=IMEI, collector=COLLECTOR),
    )
    (home / KEY_NAME).write_bytes(bytes(range(1, 33)))
    (home / KEY_NAME).chmod(0o600)
    hub.packages = download(STOPS, collectors=(card(),))
    store = await DeviceStore.open(home / "store.db")

    def write(db: sqlite3.Connection) -> None:
        policy = seal_policy(branch.policy(collectors=(card(),)), HUB_KEY)
        db.execute("INSERT INTO policy VALUES (1, 1, ?)", (policy,))
        db.execute("INSERT INTO package VALUES ('R01', 1, ?)", (seal_package(branch.package(STOPS), HUB_KEY),))
        db.execute("INSERT INTO preference VALUES (?, ?, '1')", (COLLECTOR, PIN_ASKED))
        for sealed in month():
            _append(Append(sealed=sealed), db)

    await store.commit(write)
    await store.close()
    return Box(home, hub)


async def test_the_log_in_is_there_before_the_store_is_open_and_the_end_is_clean(box: Box) -> None:
    with ExitStack() as unread:
        unread.enter_context(box.held())
        async with box.on() as process:
            assert (await knock(box.url, "/login")).status == 200
            assert (await knock(box.url, "/status")).status == 204
            pulse = await box.pulse()
            assert sorted(pulse) == ["pid", "software", "state"]
            assert pulse["state"] == "opening"
            assert (pulse["pid"], pulse["software"].startswith("ghithu")) == (process.pid, True)
            assert 'hx-get="/opened"' in (await knock(box.url, "/route")).body
            process.terminate()
            unread.close()
            assert (await ended(process))[0] == 0, "it may be ended while it starts"
    async with box.on() as process:
        await box.working()
        cookie = await box.log_in()
        page = await box.get("/route", cookie)
        assert (page.status, "2026" in page.body) == (200, True)
        process.send_signal(signal.SIGTERM)
        status, errors = await ended(process)
        assert (status, "Traceback" in errors) == (0, False)
        assert f"{len(month())} records" in errors
    assert not (box.home / "listening.json").exists()


async def test_whenever_it_is_killed_the_collector_goes_on_where_the_day_was(box: Box) -> None:
    async with box.on() as process:
        await box.working()
        cookie = await box.log_in()
        fields = fields_of(await box.get(READING, cookie)) | {"index": "121"}
        process.kill()
    with box.held():
        async with box.on() as process:  # Killed again, while it reads the store.
            assert (await box.get("/", cookie)).headers["location"] == "/route"
            assert 'hx-get="/opened"' in (await box.get("/route", cookie)).body
            sent = await send(box.url, f"{READING}?back={READING}", fields, cookie=cookie)
            assert sent.headers["location"] == f"{READING}?index=121"
            process.kill()
    async with box.on() as process:  # Killed while it answers.
        await box.working()
        assert 'value="121"' in (await box.get(f"{READING}?index=121", cookie)).body
        sending = asyncio.create_task(send(box.url, READING, fields, cookie=cookie))
        await asyncio.sleep(0)
        process.kill()
        await asyncio.gather(sending, return_exceptions=True)
    async with box.on() as process:
        await box.working()
        for _ in range(2):
            answer = await send(box.url, READING, fields, cookie=cookie)
            assert (answer.status, answer.headers["location"]) == (303, "/stops/C00002/result")
        process.terminate()
        assert (await ended(process))[0] == 0
    assert len(box.rows("SELECT seq FROM record WHERE kind = 2")) == len(STOPS) - 4 + 1, "one tap is one reading"


async def test_after_a_start_of_the_machine_a_password_is_asked_for(box: Box) -> None:
    async with box.on() as process:
        await box.working()
        cookie = await box.log_in()
        process.kill()
    async with box.on() as process:
        await box.working()
        assert (await box.get("/route", cookie)).status == 200
        process.kill()
    box.rows("UPDATE web_session SET boot = x'0011223344556677'")
    async with box.on():
        await box.working()
        assert (await box.get("/route", cookie)).headers["location"] == "/login?next=/route"
        await box.log_in()
        assert len(box.rows("SELECT * FROM web_session")) == 1, "of another start nothing is kept"


async def test_a_new_handheld_is_set_up_by_its_screen_and_works_without_another_start(
    tmp_path: Path, hub: SmallHub
) -> None:
    hub.packages = download(collectors=(card(),))
    box = Box(tmp_path, hub)
    async with box.on() as process:
        for path in ("/", "/login", "/route"):
            assert (await knock(box.url, path)).headers["location"] == "/setup"
        sent = await send(box.url, "/setup", {"hub": hub.url, "code": CODE, "imei": str(IMEI)})
        assert sent.headers["location"] == "/setup/done"
        assert (await knock(box.url, "/login")).status == 200
        await box.working()
        answer = await send(box.url, "/login", {"user": COLLECTOR, "password": PASSWORD})
        assert answer.status == 303
        assert (await box.pulse())["pid"] == process.pid
        process.terminate()
        assert (await ended(process))[0] == 0


@pytest.mark.parametrize("first", [True, False])
async def test_a_new_handheld_is_switched_off_before_or_after_anything_was_typed(
    tmp_path: Path, hub: SmallHub, first: bool
) -> None:
    box = Box(tmp_path, hub)
    async with box.on() as process:
        if not first:
            assert (await send(box.url, "/setup", {"hub": hub.url, "code": "WRONG"})).status == 409
        process.terminate()
        assert (await ended(process))[0] == 0
