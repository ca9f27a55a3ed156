"""Power cuts, wherever they come: nothing acknowledged is lost, nothing is done twice, no paper lacks its record."""

import asyncio
import re
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, get_args

import aiohttp
import pytest

from device.checkpoints import KILL_VARIABLE
from device.core.effects import Effect
from device.keystore import Admission, keep_admission, key_of
from device.uplink import enrol
from hub.app import Hub
from hub.checking import findings
from hub.checkpoints import KILL_AT
from protocol import codec
from protocol.chain import NO_DIGEST, digest
from protocol.envelope import VerifyKey, frame
from protocol.records import (
    CashCollected,
    DeviceStatus,
    PaperPrinted,
    PrintOutcome,
    ReadingTaken,
    ShiftOpened,
    StatusMoment,
)
from protocol.sealed import Sealed, parse
from protocol.wire import RECORDS_TYPE, Ack, open_ack
from simulator.clock import ClockFile
from simulator.network import Network
from simulator.processes import JsonDoor
from tests.e2e.conftest import CUT_AT, DAY, KILLED_AT, Premises, Program
from tests.hub.worlds import HUB_KEY, PERIOD, House, Watch, imei_of, open_copy, reading_of, state_of

HOUR_MS = 3_600_000
CUTS_AT_ONCE = 3
CUTS_MAX = 250  # The script passes some 120 checkpoints.
OF_PAPERS = {"before mark_started", "before print", "after print"}
EVERY_CHECKPOINT = {f"{when} {one.__name__}" for when in ("before", "after") for one in get_args(Effect)} | OF_PAPERS
DIFFERS = ("printed", "reprinted", "previous_index", "index")  # Papers printed again; every house has its own index.
HEADING = re.compile(r"^=== ([a-z_]+)_(\w+)_(\d+)$", re.MULTILINE)

Act = Callable[[], Awaitable[dict[str, Any]]]


class CutOffError(Exception):
    """The handheld died under a tap."""


@dataclass(slots=True)
class Worker:
    """A collector's hand on one handheld: taps, and after a power cut switches on and taps again."""

    premises: Premises
    program: Program
    network: Network
    device: int
    houses: tuple[House, House]
    cut: dict[str, str]
    door: JsonDoor = field(default_factory=lambda: JsonDoor(""))
    was_cut: bool = False
    receipts: list[int] = field(default_factory=list)

    async def switch_on(self) -> None:
        """Start; a cut that comes before the handheld listens means one more start."""
        address = await self.program.start(**({} if self.was_cut else self.cut))
        if address is None:
            await self.note_cut()
            address = await self.program.start()
        assert address is not None, self.program.last_words()
        self.door = self.premises.door(f"http://127.0.0.1:{address['door']}")

    async def note_cut(self) -> None:
        """It went out because the power was cut, once, and for no other reason."""
        assert await self.program.ended() == -signal.SIGKILL, self.program.last_words()
        assert not self.was_cut, "nobody cut the power a second time"
        self.was_cut = True

    async def ask(self, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            status, answer = await (self.door.get(path) if content is None else self.door.post(path, content))
        except (aiohttp.ClientError, OSError) as error:
            raise CutOffError from error
        assert status == 200, answer
        return answer

    async def tap(self, command: str, **content: Any) -> dict[str, Any]:
        answer = await self.ask("/commands", {"command": command, **content})
        assert answer["done"], answer
        return answer

    async def finish(self, act: Act, paper: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do one thing and see its paper out, however often the power fails."""
        answer: dict[str, Any] | None = None
        while True:
            try:
                answer = answer or await act()
                await self.ask("/quiet")
                if paper is not None and (await self.ask("/state"))["papers"]["waiting"]:
                    await self.tap("PrintPaper", **paper)
                    await self.ask("/quiet")
            except CutOffError:
                await self.door.close()
                await self.note_cut()
                await self.switch_on()
            else:
                return answer

    async def do(self, command: str, **content: Any) -> dict[str, Any]:
        """One command that makes a record; its intent is the same however often it is tapped."""
        intent = Random(f"{self.device} {command} {sorted(content.items())} {len(self.receipts)}").randbytes(16).hex()
        return await self.finish(lambda: self.tap(command, intent=intent, **content))

    # The script.

    async def day(self) -> None:
        """A whole day of two customers: one pays twice since the first receipt is void, the other's bill is held."""
        payer, held = self.houses
        await self.switch_on()
        await self.finish(self._download)
        await self.finish(lambda: self.tap("AskPolicy"))
        await self.finish(lambda: self.tap("OpenStop", customer=payer.customer))
        self.network.down()
        await self.do("OpenShift", collector=self.premises.collector, business_date=DAY)
        await self._read(payer, 12)
        await self._collect(payer)
        await self.do("VoidCollection", receipt_no=self.receipts[0], reason="WRONG_CUSTOMER")
        await self._collect(payer)
        await self._read(held, 3)
        notice = {"customer": held.customer, "kind": "NOTICE"}
        await self.finish(lambda: self.tap("PrintPaper", **notice), notice)
        await self.finish(lambda: self.tap("SendNow"))  # In vain; so the next try asks the hub what it has.
        await self.do("CountCash", notes=[[1, 7]])
        await self.do("CloseShift")
        await self.finish(lambda: self.tap("PrintPaper", kind="DAY_SLIP"), {"kind": "DAY_SLIP"})
        self.network.up()
        await self.finish(self._send)
        await self.program.stop()
        await self.network.close()

    async def _download(self) -> dict[str, Any]:
        await self.tap("DownloadRoute")
        await self.ask("/quiet")
        state = await self.ask("/state")
        assert state["routes"], state["trouble"]
        return state

    async def _read(self, house: House, use_m3: int) -> None:
        index = house.previous_index + use_m3
        await self.do("TakeReading", customer=house.customer, code="normal", index=index, confirmed=True)

    async def _collect(self, house: House) -> None:
        intent = Random(f"{self.device} Collect {len(self.receipts)}").randbytes(16).hex()
        due = (await self.finish(lambda: self.ask(f"/stops/{house.customer}")))["dues"]["ALL"]["amount_vnd"]
        collect = {"customer": house.customer, "amount_vnd": due, "intent": intent}
        receipt_no = len(self.receipts) + 1
        paper = {"customer": house.customer, "kind": "RECEIPT", "receipt_no": receipt_no}
        answer = await self.finish(lambda: self.tap("Collect", **collect), paper)
        assert answer["record"]["receipt_no"] == receipt_no
        self.receipts.append(receipt_no)

    async def _send(self) -> dict[str, Any]:
        while (state := await self.ask("/state"))["unsent"]:
            await self.tap("SendNow")
            await self.ask("/quiet")
        return state


@dataclass(slots=True)
class Office:
    """A running hub and the local door of its branch IT."""

    premises: Premises
    program: Program
    url: str
    door: JsonDoor

    @classmethod
    async def open(cls, premises: Premises) -> "Office":
        home = premises.folder / "hub"
        shutil.copytree(premises.setting, home)
        program = premises.hub(home)
        address = await program.start()
        assert address is not None, program.last_words()
        return cls(premises, program, address["url"], premises.door(address["url"], address["token"]))

    async def do(self, action: str, **arguments: Any) -> dict[str, Any]:
        status, answer = await self.door.post(f"/admin/{action}", {"by": "it", **arguments})
        assert status == 200, answer
        return answer

    async def equip(self, home: Path, random: Random, imei_no: int) -> tuple[Network, int]:
        """A new handheld of the collector, enrolled and confirmed, with a network of its own."""
        home.mkdir()  # noqa: ASYNC240 -- Nobody waits.
        network = Network("127.0.0.1", int(self.url.rpartition(":")[2]), random)
        self.premises.networks.append(network)
        hub_url, imei = await network.open(), imei_of(imei_no)
        code = (await self.do("device.slot", collector=self.premises.collector))["code"]
        given = await enrol(hub_url, code, imei, key_of(home))
        admission = Admission(
            device=given.device,
            unit=given.unit,
            hub_url=hub_url,
            hub_key=given.hub_key,
            imei=imei,
            collector=given.collector,
        )
        keep_admission(home, admission)
        await self.do("device.confirm", device=given.device, imei=imei)
        return network, given.device

    async def worker(self, number: int, name: str = "") -> Worker:
        """A handheld that is cut off at its n-th checkpoint, or at the first of a name. 0: never."""
        home = self.premises.folder / f"handheld-{number}"
        network, device = await self.equip(home, Random(number), 100 + number)
        houses = self.premises.houses[2 * number], self.premises.houses[2 * number + 1]
        cut = {CUT_AT: name} if name else {KILL_VARIABLE: str(number)}
        return Worker(self.premises, self.premises.handheld(home), network, device, houses, cut)


# What a day came to.


def rows(database: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def chain_of(home: Path) -> list[Sealed]:
    """A handheld's records, checked to be one unbroken chain."""
    chain: list[Sealed] = []
    prev = NO_DIGEST
    for seq, message in rows(home / "store.db", "SELECT seq, message FROM record ORDER BY seq"):
        header, record = parse(codec.decode(frame(message).payload))
        assert (header.seq, header.prev) == (seq, prev) == (len(chain) + 1, prev)
        prev = digest(message)
        chain.append(Sealed(message, prev, header, record))
    return chain


def plain(value: object, places: dict[bytes, int], names: dict[str, str]) -> object:
    """A record without what differs between handhelds: digests become places, customers become parts in the play."""
    if isinstance(value, bytes):
        return places[value]
    if isinstance(value, str):
        name, _, rest = value.partition("-")
        return names.get(value) or (f"{names[name]}-{rest}" if name in names else value)
    if is_dataclass(value) and not isinstance(value, type):
        shown = [one.name for one in fields(value) if one.name not in DIFFERS]
        return {name: plain(getattr(value, name), places, names) for name in shown}
    if isinstance(value, tuple):
        return tuple(plain(one, places, names) for one in value)
    return value


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that must be the same whether or not the power was cut."""

    records: list[tuple[str, object]]
    receipts: list[int]
    papers: set[tuple[str, object]]
    accounts: list[tuple[Any, ...]]
    ledger: list[tuple[Any, ...]]
    cases: list[tuple[Any, ...]]


def outcome_of(worker: Worker, hub_database: Path) -> Outcome:
    home = worker.program.home
    chain = chain_of(home)
    kept = rows(hub_database, "SELECT message FROM fact WHERE device = ? ORDER BY seq", worker.device)
    assert [message for (message,) in kept] == [one.message for one in chain], "the hub has each record, once"
    require_papers_to_have_records(home, chain)
    require_states_to_stand_beside_their_shifts(chain)
    work = [one for one in chain if not isinstance(one.record, PaperPrinted | DeviceStatus)]
    places = {one.digest: place for place, one in enumerate(work)}
    names = {house.customer: part for house, part in zip(worker.houses, ("payer", "held"), strict=True)}
    customers = tuple(names)
    amounts = "bill_vnd, bill_open_vnd, bill_cash_vnd, cash_vnd, credit_vnd, suspense_vnd, use_m3, hold, billed"
    return Outcome(
        records=[(type(one.record).__name__, plain(one.record, places, names)) for one in work],
        receipts=[one.record.receipt_no for one in work if isinstance(one.record, CashCollected)],
        papers={
            (one.record.paper.name, places[one.record.about])
            for one in chain
            if isinstance(one.record, PaperPrinted) and one.record.outcome is not PrintOutcome.NOT_PRINTED
        },
        accounts=rows(hub_database, f"SELECT {amounts} FROM account WHERE customer IN (?, ?) ORDER BY 1", *customers),
        ledger=rows(
            hub_database,
            "SELECT account, day, SUM(amount_vnd) FROM ledger WHERE device = ? GROUP BY account, day ORDER BY 1, 2",
            worker.device,
        ),
        cases=rows(
            hub_database,
            "SELECT klass, money_vnd, settled FROM case_file WHERE device = ? OR customer IN (?, ?) ORDER BY 1, 2",
            worker.device,
            *customers,
        ),
    )


def require_papers_to_have_records(home: Path, chain: list[Sealed]) -> None:
    """Every paper in the world is one PRINTED or UNKNOWN record, and came out once; every PRINTED is a paper."""
    text = (home / "papers" / "papers.txt").read_text(encoding="utf-8")
    out = Counter(HEADING.findall(text))
    said: dict[PrintOutcome, Counter[tuple[str, str, str]]] = {outcome: Counter() for outcome in PrintOutcome}
    for one in chain:
        if isinstance(one.record, PaperPrinted):
            name = one.record.paper.name.lower(), one.record.customer or "day", str(one.record.print_no)
            said[one.record.outcome][name] += 1  # Two receipts of one customer have one name: they are counted.
    printed, unknown = said[PrintOutcome.PRINTED], said[PrintOutcome.UNKNOWN]
    assert not out - (printed + unknown), "a paper without its record"
    assert not printed - out, "a record of a paper that is not there"
    shown = Counter(
        (one.record.about, one.record.paper, one.record.print_no)
        for one in chain
        if isinstance(one.record, PaperPrinted) and one.record.outcome is not PrintOutcome.NOT_PRINTED
    )
    assert max(shown.values()) == 1, "a print has one end"


def require_states_to_stand_beside_their_shifts(chain: list[Sealed]) -> None:
    """What a handheld tells of itself moves nothing. At a cut it may be missing once, or told once more at most."""
    told = Counter(one.record.moment for one in chain if isinstance(one.record, DeviceStatus))
    assert told[StatusMoment.SHIFT_OPENED] <= 1
    assert 1 <= told[StatusMoment.SHIFT_CLOSING] <= 2
    assert set(told) <= {StatusMoment.SHIFT_OPENED, StatusMoment.SHIFT_CLOSING}


# The tests.


@pytest.mark.timeout(900)  # A hundred days of a handheld, for each of which the hub hashes ten codes.
async def test_a_handheld_cut_off_between_any_two_effects_loses_nothing_and_doubles_nothing(premises: Premises) -> None:
    office = await Office.open(premises)
    numbers = count(1)
    workers: list[Worker] = []
    survived = asyncio.Event()

    async def walk() -> None:
        while not survived.is_set():
            worker = await office.worker(next(numbers))
            workers.append(worker)
            await worker.day()
            if not worker.was_cut:
                survived.set()

    reference = await office.worker(0)
    await reference.day()
    await asyncio.gather(*(walk() for _ in range(CUTS_AT_ONCE)))
    for number, name in enumerate(sorted(EVERY_CHECKPOINT - cut_names(workers)), start=CUTS_MAX):
        workers.append(await office.worker(number, name))  # Chance decides when a lost call is tried again.
        await workers[-1].day()
    assert cut_names(workers) == EVERY_CHECKPOINT
    await office.program.stop()
    database = office.program.home / "hub.db"
    wanted = outcome_of(reference, database)
    assert not reference.was_cut
    assert wanted.receipts == [1, 2]
    kinds = [type(one.record) for one in chain_of(reference.program.home)]
    assert kinds.count(DeviceStatus) == 2
    assert {name for name, _ in wanted.papers} == {"RECEIPT", "NOTICE", "DAY_SLIP"}
    for worker in workers:
        assert outcome_of(worker, database) == wanted, f"cut at {worker.cut}"
    await require_sound(office.program.home)


def cut_names(workers: list[Worker]) -> set[str]:
    """Names of the checkpoints at which the power was cut."""
    return {(one.program.home / KILLED_AT).read_text(encoding="utf-8") for one in workers if one.was_cut}


async def require_sound(home: Path) -> None:
    """`hub check` on a stopped hub."""
    hub = await Hub.open(home, Watch())
    try:
        assert await hub.read(lambda connection: findings(connection, hub.books)) == []
    finally:
        await hub.close()


# A hub that dies after the commit and before the answer.


async def post(url: str, content: bytes) -> bytes | None:
    """Upload; the ack, or None when the connection died."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/v1/records", data=content, headers={"Content-Type": RECORDS_TYPE}) as answer,
        ):
            assert answer.status == 200, await answer.read()
            return await answer.read()
    except aiohttp.ClientError:
        return None


async def uploads_of(premises: Premises) -> list[bytes]:
    """A chain in five uploads: readings, and cash for some of them, by the made-up handheld."""
    one = premises.handsets[0]
    hub = await open_copy(premises.setting, premises.folder / "tariff", Watch())
    tariff = await hub.read(hub.books.tariff)
    await hub.close()
    one.make(ShiftOpened(period=PERIOD, business_date=DAY, software="test"), premises.clock.at_ms)
    for number, house in enumerate(premises.houses[:12]):
        sealed = one.make(reading_of(tariff, house, 12), premises.clock.at_ms)
        taken = sealed.record
        assert isinstance(taken, ReadingTaken)
        assert taken.bill is not None
        if number % 2:
            one.receipt_no += 1
            paid = CashCollected(
                customer=house.customer,
                period=PERIOD,
                amount_vnd=taken.bill.total_vnd,
                bills=(taken.bill_no,),
                bills_vnd=(taken.bill.total_vnd,),
                bill_periods=(PERIOD,),
                receipt_no=one.receipt_no,
                reading=sealed.digest,
            )
            one.make(paid, premises.clock.at_ms)
    size = -(-len(one.messages) // 5)
    return [b"".join(one.messages[start : start + size]) for start in range(0, len(one.messages), size)]


def positions(acks: list[bytes]) -> list[tuple[int, int, int, bytes]]:
    """What acks say, without the hub's time and its change counter."""
    opened: list[Ack] = [open_ack(ack, VerifyKey.of(HUB_KEY.public)) for ack in acks]
    return [(ack.device, ack.from_seq, ack.to_seq, ack.digest) for ack in opened]


@pytest.mark.parametrize("premises", [40], indirect=True)
async def test_a_hub_killed_between_commit_and_ack_has_the_records_and_says_so_again(premises: Premises) -> None:
    uploads = await uploads_of(premises)
    calm = await open_copy(premises.setting, premises.folder / "calm", Watch(premises.clock.at_ms))
    wanted = positions([taken.ack for upload in uploads if (taken := await calm.intake.take(upload)).ack is not None])
    undisturbed = await state_of(calm)
    await calm.close()
    for number in (1, 2, len(uploads)):
        home = premises.folder / f"hub-{number}"
        shutil.copytree(premises.setting, home)
        program = premises.hub(home)
        address = await program.start(**{KILL_AT: f"after commit:{number}"})
        acks: list[bytes] = []
        for upload in uploads:
            assert address is not None, program.last_words()
            ack = await post(address["url"], upload)
            if ack is None:
                assert len(acks) == number - 1
                assert await program.ended() == -signal.SIGKILL
                address = await program.start()
                assert address is not None, program.last_words()
                ack = await post(address["url"], upload)
            assert ack is not None
            acks.append(ack)
        assert (home / KILLED_AT).is_file()
        assert positions(acks) == wanted
        await program.stop()
        await require_sound(home)
        hub = await Hub.open(home, Watch())
        assert await state_of(hub) == undisturbed
        await hub.close()


# A network that cuts connections, and clocks that are wrong.


@pytest.mark.parametrize("premises", [40], indirect=True)
@pytest.mark.parametrize("skew_ms", [0, HOUR_MS, -HOUR_MS])
async def test_a_network_that_cuts_most_connections_loses_and_doubles_nothing(premises: Premises, skew_ms: int) -> None:
    office = await Office.open(premises)
    worker = await office.worker(0)
    clock = ClockFile(premises.folder / "wrong", premises.clock.at_ms + skew_ms)
    worker.program.environment["GHITHU_CLOCK_FILE"] = str(clock.path)
    await worker.switch_on()
    await worker._download()
    await worker.do("OpenShift", collector=premises.collector, business_date=DAY)
    worker.network.drop_per_mille = 800
    worker.network.down()  # Connections made in better times end.
    worker.network.up()
    for house in premises.houses[:40]:
        intent = Random(house.customer).randbytes(16).hex()
        index = house.previous_index + 12
        await worker.tap("TakeReading", customer=house.customer, code="normal", index=index, intent=intent)
    await worker._send()
    assert worker.network.cut > 2
    await worker.program.stop()
    await office.program.stop()
    chain = chain_of(worker.program.home)
    kept = rows(office.program.home / "hub.db", "SELECT message FROM fact WHERE device = ? ORDER BY seq", worker.device)
    assert [message for (message,) in kept] == [one.message for one in chain]
    kinds = Counter(type(one.record) for one in chain)
    assert kinds[ShiftOpened] == 1
    assert kinds[ReadingTaken] == 40
    assert kinds.keys() == {ShiftOpened, ReadingTaken, DeviceStatus}
    assert kinds[DeviceStatus] in ((1,) if skew_ms == 0 else (1, 2))  # A wrong clock is told of once.
    await require_sound(office.program.home)
