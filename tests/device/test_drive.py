"""The driving door over a real socket, and the whole program as a process of its own."""

import asyncio
import json
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from device.__main__ import UsageError, _port
from device.core.effects import PaperJob, PrintResult
from device.drive import COMMANDS, READERS, Drive, command_of
from device.paper_words import PAPER_WORDS
from device.printing import Files, Printer, Starting, TextFolder
from device.store import DeviceStore
from protocol.chain import digest
from protocol.document import Document
from protocol.package import OpenBill
from protocol.records import PrintOutcome
from tests.device.branch import CODE, COLLECTOR, IMEI, PERIOD, SmallHub, download, stop
from tests.device.test_app import app_with

Json = dict[str, Any]


def intent(number: int) -> str:
    return number.to_bytes(16).hex()


class Caller:
    """A program that drives a handheld."""

    def __init__(self, url: str, session: ClientSession, drive: Drive | None = None) -> None:
        self.url = url
        self.drive = drive
        self._session = session

    async def get(self, path: str, status: int = 200, **headers: str) -> Json:
        async with self._session.get(self.url + path, headers=headers) as response:
            assert response.status == status
            content: Json = await response.json()
            return content

    async def post(self, path: str, body: object = None, status: int = 200, **headers: str) -> Json:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self._session.post(self.url + path, data=data, headers=headers) as response:
            assert response.status == status
            content: Json = await response.json()
            return content

    async def command(self, name: str, **content: object) -> Json:
        return await self.post("/commands", {"command": name, **content})

    async def open_a_day(self) -> None:
        assert (await self.command("DownloadRoute"))["done"]
        assert await self.get("/quiet") == {"quiet": True}
        assert (await self.command("OpenShift", intent=intent(1), collector=COLLECTOR))["done"]


@asynccontextmanager
async def caller_of(
    store: DeviceStore, folder: Path, hub: SmallHub, printer: Printer | None = None
) -> AsyncIterator[Caller]:
    async with app_with(store, printer or TextFolder(folder), hub=hub) as app, ClientSession() as session:
        drive = Drive(app)
        port = await drive.listen(0)
        try:
            yield Caller(f"http://127.0.0.1:{port}", session, drive)
        finally:
            await drive.close()


async def test_a_stop_is_worked_through_the_door(tmp_path: Path, store: DeviceStore, hub: SmallHub) -> None:
    arrears = (OpenBill(bill_no="C00001-2026-10", period="2026-10", amount_vnd=50_000),)
    hub.packages = download((stop(1, arrears=arrears), stop(2)))
    async with caller_of(store, tmp_path, hub) as caller:
        await caller.open_a_day()
        before = await caller.get("/stops/C00001")
        assert (before["read"], before["hold"], before["bill_total_vnd"]) == (False, None, None)
        assert before["due_vnd"] == {"ALL": 50_000, "CURRENT": 0, "ARREARS": 50_000}
        reading = {"customer": "C00001", "code": "normal", "index": 121}
        read = await caller.command("TakeReading", intent=intent(2), **reading)
        assert (read["done"], read["again"], read["record"]["use_m3"]) == (True, False, 21)
        total_vnd = read["record"]["total_vnd"]
        assert (await caller.get("/stops/C00001"))["due_vnd"] == {
            "ALL": 50_000 + total_vnd,
            "CURRENT": total_vnd,
            "ARREARS": 50_000,
        }
        collect = {"intent": intent(3), "customer": "C00001", "amount_vnd": 50_000, "which": "ARREARS"}
        collected = await caller.command("Collect", **collect)
        assert (collected["done"], collected["record"]["receipt_no"]) == (True, 1)
        assert await caller.command("Collect", **collect) == {**collected, "again": True}
        assert await caller.get("/quiet?timeout_s=30") == {"quiet": True}
        state = await caller.get("/state")
        assert (state["collector"], state["period"], state["cash_vnd"]) == (COLLECTOR, PERIOD, 50_000)
        assert (state["unsent"], state["acked"], state["head"]["seq"]) == (0, 5, 5)
        assert (state["papers"], state["busy"], state["trouble"]) == ({"waiting": 0, "started": 0}, False, "")
        assert state["head"]["digest"] == hub_digest(hub)
        assert state["progress"]["read"] == 1
        void = {"intent": intent(4), "receipt_no": 1, "reason": "WRONG_AMOUNT"}
        assert (await caller.command("VoidCollection", **void))["done"]
        assert (await caller.get("/state"))["cash_vnd"] == 0
        notes = [[500_000, 0], [50_000, 1]]
        assert (await caller.command("CountCash", intent=intent(5), notes=notes))["record"]["total_vnd"] == 50_000
        assert (await caller.command("PrintPaper", customer="C00001", kind="BILL_NOTICE"))["done"]
        assert (await caller.command("CloseShift", intent=intent(6)))["done"]


def hub_digest(hub: SmallHub) -> str:
    return digest(hub.records[-1]).hex()


class Moody(Files):
    """A printer whose papers end as they are told to, and come out well when nobody has told it anything."""

    def __init__(self) -> None:
        self.moods: list[PrintResult] = []

    async def print(self, job: PaperJob, document: Document, starting: Starting) -> PrintResult:
        result = self.moods.pop(0) if self.moods else PrintResult(outcome=PrintOutcome.PRINTED)
        if result.outcome is not PrintOutcome.NOT_PRINTED:
            await starting()
        return result


async def papers_of(caller: Caller) -> tuple[list[Json], list[Json]]:
    """Papers that wait, and papers in doubt."""
    assert await caller.get("/quiet") == {"quiet": True}
    state = await caller.get("/state")
    assert state["papers"] == {"waiting": len(state["waiting_papers"]), "started": 0}
    return state["waiting_papers"], state["doubtful_papers"]


def receipt_1(print_no: int, state: str, reason: str | None) -> Json:
    """The first receipt as the state shows it."""
    return {
        "kind": "RECEIPT",
        "customer": "C00001",
        "receipt_no": 1,
        "print_no": print_no,
        "state": state,
        "reason": reason,
        "words": None if reason is None else PAPER_WORDS[reason][0],
    }


RECEIPT_1 = {"kind": "RECEIPT", "customer": "C00001", "receipt_no": 1}
OUT_OF_PAPER = PrintResult(outcome=PrintOutcome.NOT_PRINTED, reason="paper-out")
LOST = PrintResult(outcome=PrintOutcome.UNKNOWN, reason="lost")


async def test_a_paper_waits_then_is_in_doubt_then_is_seen_and_a_restart_knows_each(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    printer = Moody()
    async with caller_of(store, tmp_path, hub, printer) as caller:
        await caller.open_a_day()
        printer.moods += [OUT_OF_PAPER]
        await caller.command("TakeReading", intent=intent(2), customer="C00001", code="normal", index=121)
        due_vnd = (await caller.get("/stops/C00001"))["due_vnd"]["ALL"]
        assert (await caller.command("Collect", intent=intent(3), customer="C00001", amount_vnd=due_vnd))["done"]
        assert await papers_of(caller) == ([receipt_1(1, "waiting", "paper-out")], [])
    async with caller_of(store, tmp_path, hub, printer) as caller:
        assert await papers_of(caller) == ([receipt_1(1, "waiting", "paper-out")], [])
        printer.moods += [LOST]
        assert (await caller.command("PrintPaper", **RECEIPT_1))["done"]
        assert await papers_of(caller) == ([], [receipt_1(1, "doubtful", "lost")])
    async with caller_of(store, tmp_path, hub, printer) as caller:
        printer.moods += [OUT_OF_PAPER]
        assert (await caller.command("PrintPaper", **RECEIPT_1))["done"]
        both = [receipt_1(2, "waiting", "paper-out")], [receipt_1(1, "doubtful", "lost")]
        assert await papers_of(caller) == both
        seen = await caller.command("ConfirmPaper", **RECEIPT_1)
        assert (seen["done"], seen["again"], seen["record"]["kind"]) == (True, False, "PaperPrinted")
        assert await papers_of(caller) == ([], [])
        again = await caller.command("ConfirmPaper", **RECEIPT_1)
        assert (again["done"], again["again"], again["seq"]) == (True, True, None)
    async with caller_of(store, tmp_path, hub, printer) as caller:
        assert await papers_of(caller) == ([], [])
        assert len(hub.records) == seen["seq"]


async def test_papers_are_listed_in_the_order_of_the_work_and_a_slip_is_nobody_s(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    printer = Moody()
    async with caller_of(store, tmp_path, hub, printer) as caller:
        await caller.open_a_day()
        for number in (2, 1):
            reading = {"customer": f"C{number:05d}", "code": "normal", "index": 121}
            assert (await caller.command("TakeReading", intent=intent(number + 1), **reading))["done"]
        assert (await caller.command("CloseShift", intent=intent(4)))["done"]
        for outcome in (OUT_OF_PAPER, LOST):
            for kind, customer in (("DAY_SLIP", None), ("NOTICE", "C00001"), ("NOTICE", "C00002")):
                printer.moods += [outcome]
                assert (await caller.command("PrintPaper", kind=kind, customer=customer))["done"]
                assert await caller.get("/quiet") == {"quiet": True}
            (listed,) = [papers for papers in await papers_of(caller) if papers]
            assert [paper["customer"] for paper in listed] == ["C00002", "C00001", None]
            assert {paper["receipt_no"] for paper in listed} == {None}


async def test_a_refusal_says_why_in_words(tmp_path: Path, store: DeviceStore, hub: SmallHub) -> None:
    async with caller_of(store, tmp_path, hub) as caller:
        refused = await caller.command("OpenShift", intent=intent(1), collector=COLLECTOR)
        assert (refused["done"], refused["reason"]) == (False, "NO_PACKAGE")
        assert "lộ trình" in refused["words"]
        await caller.open_a_day()
        reading = {"intent": intent(2), "customer": "C00001", "code": "normal", "index": 100}
        doubted = await caller.command("TakeReading", **reading)
        assert (doubted["done"], doubted["warnings"]) == (False, ["ZERO_CONSUMPTION"])
        assert (await caller.command("TakeReading", **reading, confirmed=True))["record"]["hold"] == "CONSUMPTION_DROP"


VOID = {"command": "VoidCollection", "intent": "00" * 16, "receipt_no": 1, "reason": "OTHER"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 10_000, "not JSON"),
        ([], "a command is an object"),
        ({}, "a command is an object"),
        ({"command": 1}, "a command is an object"),
        ({"command": "Steal"}, "no such command"),
        ({"command": "OverrideHold", "intent": "00" * 16}, "no such command"),  # Nobody has checked the code.
        ({"command": "OpenLogIn", "intent": "00" * 16}, "no such command"),
        ({"command": "SendNow", "quickly": True}, "no field quickly"),
        ({"command": "OpenStop"}, "needs customer"),
        ({"command": "OpenStop", "customer": None}, "needs customer"),
        ({"command": "OpenStop", "customer": "C 1"}, "customer"),
        ({"command": "OpenStop", "customer": 1}, "customer"),
        ({"command": "CloseShift", "intent": "00"}, "16 bytes in hex"),
        ({"command": "CloseShift", "intent": "zz" * 16}, "16 bytes in hex"),
        ({"command": "CloseShift", "intent": " 0" * 16}, "16 bytes in hex"),
        ({"command": "OpenShift", "intent": "00" * 16, "collector": "x", "business_date": "today"}, "business_date"),
        ({"command": "PrintPaper", "customer": "C1", "kind": "MONEY"}, "one of BILL_NOTICE"),
        ({"command": "PrintPaper", "customer": "C1", "kind": 3}, "one of BILL_NOTICE"),
        ({"command": "Collect", "intent": "00" * 16, "customer": "C1", "amount_vnd": 1.5}, "whole number"),
        ({"command": "Collect", "intent": "00" * 16, "customer": "C1", "amount_vnd": True}, "whole number"),
        ({"command": "Collect", "intent": "00" * 16, "customer": "C1", "amount_vnd": -1}, "whole number"),
        ({"command": "CountCash", "intent": "00" * 16, "notes": [[1]]}, "notes"),
        ({**VOID, "note": "\ud800"}, "note"),  # Half a letter: no record can carry it.
        ({**VOID, "note": "Khách\x00"}, "note"),
        ({**VOID, "note": "ạ" * 401}, "note"),
        ({**VOID, "\ud800": 1}, "no field"),
        ({"command": "\ud800"}, "no such command"),
    ],
)
async def test_what_is_no_command_is_told_why_and_nothing_happens(
    tmp_path: Path, store: DeviceStore, hub: SmallHub, body: object, sentence: str
) -> None:
    async with caller_of(store, tmp_path, hub) as caller:
        answer = await caller.post("/commands", body, status=400)
        assert sentence in answer["error"]
        assert (await caller.get("/state"))["head"]["seq"] == 0


async def test_a_body_without_end_is_refused(tmp_path: Path, store: DeviceStore, hub: SmallHub) -> None:
    async with caller_of(store, tmp_path, hub) as caller:
        await caller.post("/commands", b"[" + b"1," * 10_000, status=413)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "ghithu.example.vn"},  # A page whose name points here.
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://127.0.0.1:8080"},
        {"Origin": "null"},
    ],
)
async def test_a_web_page_cannot_drive_the_handheld(
    tmp_path: Path, store: DeviceStore, hub: SmallHub, headers: dict[str, str]
) -> None:
    async with caller_of(store, tmp_path, hub) as caller:
        await caller.get("/state", status=403, **headers)
        await caller.post("/stop", status=403, **headers)
        assert caller.drive is not None
        assert not caller.drive.stopped.is_set()
        port = caller.url.rpartition(":")[2]
        assert await caller.get("/state", Host=f"localhost:{port}")


async def test_questions_that_cannot_be_answered_say_so(tmp_path: Path, store: DeviceStore, hub: SmallHub) -> None:
    async with caller_of(store, tmp_path, hub) as caller:
        assert "no such customer" in (await caller.get("/stops/C9", status=404))["error"]
        assert "cursor" in (await caller.get("/stops?cursor=-1", status=400))["error"]
        assert "timeout_s" in (await caller.get("/quiet?timeout_s=601", status=400))["error"]
        await caller.get("/nowhere", status=404)
        await caller.get("/commands", status=405)


async def test_quiet_says_when_it_is_not(tmp_path: Path, store: DeviceStore, hub: SmallHub) -> None:
    let = asyncio.Event()

    async def late(_request: object) -> Any:
        await let.wait()
        raise ConnectionError

    hub.instead = late
    async with caller_of(store, tmp_path, hub) as caller:
        await caller.command("DownloadRoute")
        assert (await caller.get("/state"))["busy"]
        assert await caller.get("/quiet?timeout_s=0") == {"quiet": False}
        let.set()
        assert await caller.get("/quiet") == {"quiet": True}
        assert (await caller.get("/state"))["trouble"]


async def test_a_long_route_is_listed_in_walking_order_page_by_page(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    hub.packages = download(tuple(stop(number) for number in range(1201, 0, -1)))
    async with caller_of(store, tmp_path, hub) as caller:
        await caller.open_a_day()
        walked: list[int] = []
        cursor: int | None = 0
        while cursor is not None:
            page = await caller.get(f"/stops?cursor={cursor}")
            walked += [line["walk_seq"] for line in page["stops"]]
            cursor = page["next"]
        assert walked == list(range(1, 1202))


async def test_a_search_finds_names_without_marks_and_numbers(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    stops = (stop(1, name="Lê Thị Thu"), stop(2, name="Trần Văn Đạt"), stop(3, name="Ngô Thị Vân"))
    hub.packages = download(stops)
    async with caller_of(store, tmp_path, hub) as caller:
        await caller.open_a_day()

        async def found(query: str) -> list[int]:
            return [line["walk_seq"] for line in (await caller.get(f"/search?q={query}"))["stops"]]

        assert await found("dat") == [2]
        assert await found("Đạt van") == [2]
        assert await found("van") == [2, 3]
        assert await found("M000003") == [3]
        assert await found("02100000001") == [1]
        assert await found("C00002") == [2]
        assert await found("2 tran hung") == [2, 1, 3]  # "2" begins the house number there, elsewhere it is within one.
        assert await found("nobody") == []
        hub.packages = download((*stops, stop(4, name="Bùi Đạt")), version=2)
        await caller.command("DownloadRoute")
        await caller.get("/quiet")
        assert await found("dat") == [2, 4]


def test_every_field_of_every_command_can_be_read() -> None:
    assert {field.name for cls in COMMANDS.values() for field in fields(cls)} == READERS.keys()
    assert command_of({"command": "SendNow"}) == COMMANDS["SendNow"]()


async def program(home: Path, *words: str, **variables: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "device",
        *words,
        "--home",
        str(home),
        env={"GHITHU_IMEI": IMEI, "PATH": "", **variables},
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode()


async def said(process: asyncio.subprocess.Process, words: str) -> str:
    """Read the log until it says something."""
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        if words in line:
            return line
    raise AssertionError(f"the program ended and did not say {words!r}")


async def test_a_real_handheld_is_enrolled_works_is_stopped_and_goes_on(tmp_path: Path, hub: SmallHub) -> None:
    home, clock_file = tmp_path / "home", tmp_path / "clock"
    clock_file.write_text(str(hub.now_ms))
    status, errors = await ended(await program(home, "run", "--door", "127.0.0.1:0"))
    assert (status, "not enrolled yet" in errors) == (2, True)
    status, errors = await ended(await program(home, "enrol", "--hub", hub.url, "--code", "WRONG"))
    assert (status, "bad-code" in errors) == (2, True)
    status, errors = await ended(await program(home, "enrol", "--hub", hub.url, "--code", CODE.lower()))
    assert (status, "enrolled as handheld 7" in errors) == (0, True)
    status, errors = await ended(await program(home, "enrol", "--hub", hub.url, "--code", CODE))
    assert (status, "number 7 of CT already" in errors) == (2, True)

    run = ("run", "--door", "127.0.0.1:0", "--position", "off", "--papers", f"text:{tmp_path / 'papers'}")
    process = await program(home, *run, GHITHU_CLOCK_FILE=str(clock_file))
    assert "simulated" in await said(process, "Time is")
    await said(process, "listens on")
    listening = json.loads((home / "listening.json").read_text())
    assert listening["pid"] == process.pid
    status, errors = await ended(await program(home, "run", "--door", "127.0.0.1:0"))
    assert (status, "another process" in errors) == (2, True)
    async with ClientSession() as session:
        caller = Caller(f"http://127.0.0.1:{listening['door']}", session)
        await caller.open_a_day()
        clock_file.write_text(str(hub.now_ms + 1_000))
        await caller.command("TakeReading", intent=intent(2), customer="C00001", code="normal", index=121)
        amount_vnd = (await caller.get("/stops/C00001"))["due_vnd"]["ALL"]
        await caller.command("Collect", intent=intent(3), customer="C00001", amount_vnd=amount_vnd)
        await caller.get("/quiet")
        assert await caller.post("/stop") == {"stopping": True}
    assert (await ended(process))[0] == 0
    assert not (home / "listening.json").exists()
    assert len(hub.records) == 5
    assert "=== receipt_C00001_1" in (tmp_path / "papers" / "papers.txt").read_text()

    process = await program(home, *run, GHITHU_CLOCK_FILE=str(clock_file))
    assert "5 records" in await said(process, "listens on")
    process.send_signal(signal.SIGTERM)
    assert (await ended(process))[0] == 0

    with closing(sqlite3.connect(home / "store.db")) as db, db:
        db.execute("DROP TRIGGER record_is_not_edited")
        db.execute("UPDATE record SET message = zeroblob(400) WHERE seq = 2")
    status, errors = await ended(await program(home, "run", "--door", "127.0.0.1:0"))
    assert (status, "the store is damaged" in errors) == (70, True)


async def test_a_program_that_would_not_check_itself_does_not_start(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-O", "-m", "device", "run", "--home", str(tmp_path), stderr=asyncio.subprocess.PIPE
    )
    status, errors = await ended(process)
    assert (status, "without -O" in errors) == (2, True)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"])
def test_the_door_opens_on_loopback_alone(listen: str) -> None:
    with pytest.raises(UsageError, match=r"127\.0\.0\.1:PORT"):
        _port(listen)
