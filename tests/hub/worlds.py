"""Made-up rounds on one seed: handhelds with real keys and chains, and the real hub they were first brought to.

`live` plays a round against a hub and keeps everything that was signed: the hub's own records in chain order, and each
handheld's chain, a clone being a chain of its own that shares a beginning with another. `replay` brings the same bytes
to a fresh hub in another order. Nothing here judges; the tests and the oracle do.
"""

import json
import shutil
from collections import Counter
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from hub.app import Hub, issue_policy
from hub.cashier import cash_owed_vnd, close_day, decide, receive_cash, take_paper_back
from hub.core.conflicts import ConflictClass
from hub.home import KEY_FILE, UNIT_FILE
from hub.office import OfficeError, add_person, import_extract, publish
from hub.store.schema import account, case_file, fact, handheld, ledger, unit
from protocol import codec
from protocol.chain import EMPTY, NO_DIGEST, Tip, digest
from protocol.envelope import Purpose, SigningKey, seal
from protocol.package import Policy
from protocol.records import (
    BankCredited,
    CashCollected,
    CashCounted,
    CollectionVoided,
    DayTotals,
    Decision,
    Denomination,
    DeviceEnrolled,
    Evidence,
    Header,
    PackageRef,
    PaperKind,
    PaperPrinted,
    PrintOutcome,
    ReadingSkipped,
    ReadingTaken,
    Record,
    ShiftClosed,
    ShiftOpened,
    VoidReason,
)
from protocol.sealed import Sealed, payload_of, seal_record
from protocol.tariff import Tariff, compute_bill
from protocol.values import ClockEvidence, ClockSource, Imei, NoFix, luhn_sum, start_of_day_ms
from tests.hub.oracle import Opened

UNIT = "CT"
PERIOD = "2026-11"
ROUTES = ("S1-01", "S1-02")
DAYS = ("2026-11-05", "2026-11-06", "2026-11-07")
MORNING_MS = 7 * 3_600_000
STEPS_A_DAY = 80
PRICES_VND = {"household": 9020, "business": 15580}
UPLOAD_SIZES = (1, 2, 7, 50)
HUB_KEY = SigningKey.of(b"the key of a made-up hub, 32 b..")
BANK_BIN = "970436"


@dataclass(slots=True)
class Watch:
    """The hub's clock, moved by hand."""

    now_ms: int = start_of_day_ms("2026-11-01") + MORNING_MS

    def __call__(self) -> int:
        return self.now_ms


@dataclass(frozen=True, slots=True)
class House:
    """A customer of the made-up extract."""

    customer: str
    route: str
    category: str
    previous_index: int
    arrears: tuple[tuple[str, str, int], ...]

    @property
    def opened(self) -> Opened:
        return Opened(self.arrears, PRICES_VND[self.category])


@dataclass(slots=True)
class Handset:
    """A handheld and all it knows. A clone is a copy that goes on by itself."""

    device: int
    key: SigningKey
    imei: Imei
    collector: str
    rounds: tuple[str, ...]
    skew_ms: int
    package: PackageRef
    boot: bytes
    day: str = ""
    tip: Tip = EMPTY
    at_ms: int = 0
    receipt_no: int = 0
    sent: int = 0
    cloned_at: int = 0
    messages: list[bytes] = field(default_factory=list)
    taken: dict[str, Sealed] = field(default_factory=dict)
    collected: list[Sealed] = field(default_factory=list)

    def clone(self) -> "Handset":
        """The same handheld a second time, with nothing sent."""
        twin = copy(self)
        twin.boot, twin.sent, twin.cloned_at = b"clone-id", 0, len(self.messages)
        twin.messages, twin.taken, twin.collected = list(self.messages), dict(self.taken), list(self.collected)
        return twin

    def make(self, record: Record, now_ms: int) -> Sealed:
        """Sign a record as the next of the chain."""
        sealed = seal_record(self._header(now_ms), record, self.key)
        self._keep(sealed.message)
        return sealed

    def make_unreadable(self, fault: str, now_ms: int) -> None:
        """Sign what no hub of today can read."""
        record = ReadingSkipped(customer="none", period=PERIOD, code="house_closed")
        payload = payload_of(self._header(now_ms), record)
        changed: dict[str, dict[int, codec.Wire]] = {
            "kind": {2: 50},
            "version": {1: 2},
            "range": {14: "2026-13"},
            "hub kind": {2: DeviceEnrolled.KIND},
        }
        self._keep(seal(codec.encode({**payload, **changed[fault]}), self.key, Purpose.RECORD))

    def _header(self, now_ms: int) -> Header:
        wall_ms = max(0, now_ms + self.skew_ms)
        self.at_ms = max(self.at_ms, wall_ms)
        evidence = Evidence(
            clock=ClockEvidence(self.boot, now_ms % 10**9, wall_ms, 0, ClockSource.NONE),
            imei=self.imei,
            fix=NoFix.NO_SIGNAL,
            collector=self.collector,
            package=self.package,
            ack=NO_DIGEST,
        )
        return Header(seq=self.tip.seq + 1, prev=self.tip.digest, at_ms=self.at_ms, evidence=evidence)

    def _keep(self, message: bytes) -> None:
        self.tip = Tip(self.tip.seq + 1, digest(message))
        self.messages.append(message)


@dataclass(frozen=True, slots=True)
class Folded:
    """Every folded row of a hub, without what counts transactions."""

    accounts: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    cases: list[dict[str, Any]]
    facts: list[dict[str, Any]]


@dataclass(slots=True)
class World:
    """All that was signed in one round. setting: a hub's home before the round began."""

    seed: int
    setting: Path
    houses: tuple[House, ...]
    before: list[bytes]
    of_hub: list[bytes]
    chains: list[Handset]
    counted: Counter[str]
    state: Folded

    @property
    def messages(self) -> set[bytes]:
        """The set of facts."""
        return {*self.before, *self.of_hub, *(one for chain in self.chains for one in chain.messages)}

    @property
    def opened(self) -> dict[str, Opened]:
        return {house.customer: house.opened for house in self.houses}


def _folded(connection: Connection) -> Folded:
    def rows(table: Table, *left_out: str) -> list[dict[str, Any]]:
        columns = [column for column in table.c if column.name not in left_out]
        query = select(*columns).order_by(*table.primary_key.columns)
        return [dict(row._mapping) for row in connection.execute(query)]

    return Folded(rows(account, "version"), rows(ledger), rows(case_file), rows(fact))


async def state_of(hub: Hub) -> Folded:
    """The folded state of an open hub."""
    return await hub.read(_folded)


def open_cases(connection: Connection) -> list[dict[str, Any]]:
    """Cases that wait for a person, in an order that does not depend on time."""
    query = select(case_file).where(case_file.c.for_person == 1, case_file.c.settled == 0)
    ordered = query.order_by(case_file.c.subject, case_file.c.key)
    return [dict(row._mapping) for row in connection.execute(ordered)]


# The set-up: the same for every hub that the round is brought to.


def imei_of(number: int) -> Imei:
    """A made-up IMEI with its check digit."""
    body = f"35000000{number:06d}"
    return Imei(body + str(-luhn_sum(body + "0") % 10))


def houses_of(random: Random) -> tuple[House, ...]:
    """Customers of two routes, some with bills of earlier periods."""
    found = []
    for number in range(1, random.randint(24, 30)):
        name = f"{2_000_000 + number:08d}"
        months = random.sample(("2026-08", "2026-09", "2026-10"), random.choice((0, 0, 1, 2)))
        arrears = tuple((f"{name}-{month}", month, 1000 * random.randint(20, 90)) for month in sorted(months))
        category = random.choice(("household", "household", "business"))
        found.append(House(name, ROUTES[number % 2], category, random.randint(100, 900), arrears))
    return tuple(found)


def write_extract(folder: Path, houses: tuple[House, ...]) -> None:
    """The billing extract of the houses."""
    folder.mkdir()
    customers = [
        "customer_id,register_no,name,address,phone,collect_address,branch,route,route_day,walk_seq,lat,lon,area,"
        "category,business_type,persons,payment_method,bank_bin,meter_serial,meter_make,meter_size_mm,meter_digits"
    ]
    history = ["customer_id,period,reading_date,index,consumption_m3,read_code,bill_vnd"]
    arrears = ["customer_id,bill_no,period,amount_vnd"]
    for number, house in enumerate(houses, start=1):
        customers.append(
            f"{house.customer},{2_050_000_000 + number:011d},Nguyễn Văn Tám,{number} Lê Lợi,,,CN số 1,{house.route},5,"
            f"{number},10.03,105.78,urban,{house.category},Hộ gia đình,,TT,,Z{number},Zenner,15,5"
        )
        history.append(f"{house.customer},2026-10,2026-10-05,{house.previous_index},12,normal,0")
        arrears += [f"{house.customer},{number},{month},{amount}" for number, month, amount in house.arrears]
    groups = {name: {"flat": price} for name, price in PRICES_VND.items()}
    version = {"id": "T-1", "decision": "1/QĐ", "effective_from": "2024-02-01", "vat_included": True}
    rounding = {"vat_percent": 5, "env_fee_percent_of_net": 10, "rounding_rule": "net_half_up_then_fee_half_up"}
    versions = [{**version, "areas": {"urban": groups}}]
    tariff = {"currency": "VND", "unit": "VND per m3", **rounding, "versions": versions}
    for name, lines in (("customers", customers), ("history", history), ("arrears", arrears)):
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "tariff.json").write_text(json.dumps(tariff), encoding="utf-8")


def prepare_home(home: Path) -> None:
    """A hub's home with a key that is the same on every run."""
    home.mkdir(mode=0o700)
    (home / KEY_FILE).write_bytes(HUB_KEY.private.private_bytes_raw())
    (home / KEY_FILE).chmod(0o600)
    (home / UNIT_FILE).write_text(json.dumps({"unit": UNIT}), encoding="utf-8")


async def set_up(folder: Path, houses: tuple[House, ...], handsets: list[Handset]) -> Path:
    """A hub with customers, people, packages and handhelds, before any round; its home, closed."""
    home, watch, first_morning_ms = folder / "setting", Watch(), start_of_day_ms(DAYS[0]) + MORNING_MS
    prepare_home(home)
    write_extract(folder / "extract", houses)
    hub = await Hub.open(home, watch)
    try:
        await hub.write(lambda connection: _found(connection, hub, watch))
        await add_person(hub, code="it", name="Lê Thị Mai", role="it")
        await add_person(hub, code="cashier", name="Võ Thị Sáu", role="cashier")
        await add_person(hub, code="supervisor", name="Lý Tự Trọng", role="supervisor")
        for collector in sorted({one.collector for one in handsets}):
            await add_person(hub, code=collector, name=collector, role="collector")
        imported = await import_extract(hub, folder / "extract", by="it")
        assert imported.done, imported.reading.problems
        for version, issued_ms in enumerate((start_of_day_ms("2026-11-02"), first_morning_ms - 60_000), start=1):
            watch.now_ms = issued_ms
            for route in ROUTES:
                assert await publish(hub, route_code=route, collector=handsets[0].collector, by="it") == version
        await hub.write(lambda connection: _enrol(connection, hub, handsets))
    finally:
        await hub.close()
    return home


def _found(connection: Connection, hub: Hub, watch: Watch) -> None:
    empty = {"period": "", "head_seq": 0, "head_digest": NO_DIGEST, "head_at_ms": 0, "changes": 0}
    connection.execute(insert(unit).values(unit=UNIT, name="CN số 1", **empty))
    policy = Policy(
        unit=UNIT,
        version=1,
        issued_ms=watch.now_ms,
        expires_ms=watch.now_ms + 10**10,
        utility_name="Công ty Cấp nước",
        branch_name="CN số 1",
        hotline="",
        bank_bin=BANK_BIN,
        bank_account="0123456789",
    )
    issue_policy(connection, hub.books, policy, "it", watch.now_ms)


def _enrol(connection: Connection, hub: Hub, handsets: list[Handset]) -> None:
    columns = ("seq", "receipt_no", "fork_from", "made", "contact_ms")
    empty: dict[str, Any] = {**dict.fromkeys(columns, 0), "digest": NO_DIGEST, "day": ""}
    for one in handsets:
        row = {"unit": UNIT, "device": one.device, "imei": one.imei, "collector": one.collector, "status": "active"}
        connection.execute(insert(handheld).values(kid=one.key.kid, public_key=one.key.public, **row, **empty))
        made = DeviceEnrolled(
            device=one.device, public_key=one.key.public, imei=one.imei, collector=one.collector, by="it"
        )
        hub.books.append(connection, made, hub.clock())


def handsets_of(random: Random) -> list[Handset]:
    """Handhelds of two or three collectors: one clock right, others a little or very wrong."""
    found = []
    skews = (0, 40_000, -90_000, 3_600_000, -3_600_000, -(10**11), 10**11)
    collectors = ["an.tran", "binh.le", "chi.vo"][: random.randint(2, 3)]
    for number in range(1, random.randint(3, 4) + 1):
        found.append(
            Handset(
                device=number,
                key=SigningKey.of(random.randbytes(32)),
                imei=imei_of(number),
                collector=collectors[number % len(collectors)],
                rounds=random.choice((ROUTES, ROUTES[:1], ROUTES[1:])),
                skew_ms=0 if number == 1 else random.choice(skews),
                package=PackageRef(random.choice(ROUTES), random.randint(1, 2)),
                boot=b"boot-id!",
            )
        )
    return found


async def open_copy(setting: Path, home: Path, watch: Watch) -> Hub:
    """A hub just set up, in a home of its own."""
    shutil.copytree(setting, home)
    return await Hub.open(home, watch)


async def live(seed: int, folder: Path) -> World:
    """Play one round against the real hub, in the order in which it happened."""
    random = Random(seed)
    houses, handsets = houses_of(random), handsets_of(random)
    folder.mkdir(parents=True)  # noqa: ASYNC240
    setting = await set_up(folder, houses, handsets)
    watch = Watch()
    log = select(fact.c.message).where(fact.c.device == 0).order_by(fact.c.seq)
    hub = await open_copy(setting, folder / "live", watch)
    try:
        before = await hub.read(lambda connection: list(connection.execute(log).scalars()))
        tariff = await hub.read(hub.books.tariff)
        round_ = Round(random, hub, watch, houses, handsets, tariff)
        await round_.play()
        state = await state_of(hub)
        of_hub = await hub.read(lambda connection: list(connection.execute(log).scalars()))
    finally:
        await hub.close()
    return World(seed, setting, houses, before, of_hub[len(before) :], round_.handsets, round_.counted, state)


# The round.


def reading_of(tariff: Tariff, house: House, use_m3: int, billed_m3: int | None = None) -> ReadingTaken:
    """A reading with the bill that a handheld prints. billed_m3: what a wrong handheld bills instead."""
    bill = compute_bill(
        max(0, use_m3 if billed_m3 is None else billed_m3),
        tariff,
        area="urban",
        group=house.category,
        period=PERIOD,
        from_date="2026-10-05",
        to_date=DAYS[0],
    )
    return ReadingTaken(
        customer=house.customer,
        period=PERIOD,
        index=house.previous_index + use_m3,
        code="normal",
        previous_index=house.previous_index,
        use_m3=use_m3,
        days=31,
        tariff="T-1",
        bill_no=f"{house.customer}-{PERIOD}",
        bill=bill if use_m3 >= 0 else None,
        hold="READING_BELOW_PREVIOUS" if use_m3 < 0 else None,
    )


class Round:
    """Collectors at doors, an office, and uploads between them, one step at a time."""

    def __init__(
        self,
        random: Random,
        hub: Hub,
        watch: Watch,
        houses: tuple[House, ...],
        handsets: list[Handset],
        tariff: Tariff,
    ) -> None:
        self.random = random
        self.hub = hub
        self.watch = watch
        self.houses = houses
        self.handsets = list(handsets)
        self.tariff = tariff
        self.doors = (
            *houses,
            House("02999999", ROUTES[0], "household", 300, (("02999999-2026-10", "2026-10", 60_000),)),
        )
        self.use_m3 = {house.customer: random.choice((-3, 5, 14, 20, 28)) for house in self.doors}
        self.counted: Counter[str] = Counter()
        self.to_close: list[tuple[str, str]] = []
        self.transactions = 0
        steps = range(STEPS_A_DAY * 3 // 2, STEPS_A_DAY * len(DAYS))
        self.clonings = {random.choice(steps): one for one in handsets if random.random() < 0.9}

    async def play(self) -> None:
        """All days, and at the end everybody sends all."""
        step = 0
        for day in DAYS:
            self.watch.now_ms = max(self.watch.now_ms, start_of_day_ms(day) + MORNING_MS)
            for one in self.handsets:
                self._open_shift(one, day)
            for _ in range(STEPS_A_DAY):
                step += 1
                if step in self.clonings:
                    self.handsets.append(self.clonings[step].clone())
                self.watch.now_ms += self.random.randrange(20_000, 300_000)
                await self._step()
            await self._evening(day)
        for one in self.handsets:
            while one.sent < len(one.messages):
                await self._upload(one)
        for _ in range(12):
            self.watch.now_ms += 60_000
            await self._office()
        while self.to_close:
            await self._close()

    async def _step(self) -> None:
        one, chance = self.random.choice(self.handsets), self.random.randrange(100)
        if chance < 29:
            self._read(one)
        elif chance < 32:
            record = ReadingSkipped(customer=self._door(one).customer, period=PERIOD, code="house_closed")
            self._print(one, one.make(record, self.watch.now_ms), PaperKind.NOTICE, 1)
        elif chance < 53:
            self._collect(one)
        elif chance < 60:
            self._reprint(one)
        elif chance < 74:
            self._void(one)
        elif chance < 76:
            one.make_unreadable(self.random.choice(("kind", "version", "range", "hub kind")), self.watch.now_ms)
        elif chance < 86:
            await self._upload(one)
        else:
            await self._office()

    # At the door.

    def _open_shift(self, one: Handset, day: str) -> None:
        if day == DAYS[1] and self.random.random() < 0.5:
            one.package = one.package._replace(version=2)
        one.day = day
        one.make(ShiftOpened(period=PERIOD, business_date=day, software="test"), self.watch.now_ms)

    def _door(self, one: Handset) -> House:
        return self.random.choice([*(house for house in self.doors if house.route in one.rounds), self.doors[-1]])

    def _read(self, one: Handset) -> None:
        house, random = self._door(one), self.random
        use = self.use_m3[house.customer]
        if use > 0 and random.random() < 0.4:
            use += random.choice((1, 2, 25))
        record = reading_of(self.tariff, house, use, billed_m3=use + 3 if random.random() < 0.25 else use)
        one.taken[house.customer] = one.make(record, self.watch.now_ms)
        if random.random() < 0.2:
            self._print(one, one.taken[house.customer], PaperKind.BILL_NOTICE, 1)

    def _collect(self, one: Handset) -> None:
        random, house = self.random, self._door(one)
        if one.taken and random.random() < 0.7:
            name = random.choice(sorted(one.taken))
            house = next(each for each in self.doors if each.customer == name)
        told = [each.taken[house.customer] for each in self.handsets if house.customer in each.taken]
        reading = one.taken.get(house.customer)
        if told and random.random() < 0.15:
            reading = random.choice(told)
        asked = [(number, vnd) for number, _, vnd in house.arrears if random.random() < 0.7]
        named = reading.record if reading is not None else None
        if isinstance(named, ReadingTaken) and named.bill is not None and named.bill.total_vnd > 0:
            asked.append((named.bill_no, named.bill.total_vnd))
        else:
            reading = None
        if not asked:
            return
        sum_vnd = sum(vnd for _, vnd in asked)
        credit_vnd = random.randint(1, 5000) if random.random() < 0.05 else None
        rounding_vnd = 500 - sum_vnd % 1000 if random.random() < 0.15 else None
        one.receipt_no += 2 if random.random() < 0.2 else 1
        record = CashCollected(
            customer=house.customer,
            period=PERIOD,
            amount_vnd=sum_vnd - (credit_vnd or 0) + (rounding_vnd or 0),
            bills=tuple(number for number, _ in asked),
            bills_vnd=tuple(vnd for _, vnd in asked),
            bill_periods=tuple(number[-7:] for number, _ in asked),
            receipt_no=one.receipt_no,
            reading=reading.digest if reading is not None else None,
            credit_vnd=credit_vnd,
            rounding_vnd=rounding_vnd,
        )
        one.collected.append(one.make(record, self.watch.now_ms))
        if random.random() < 0.45:
            self._print(one, one.collected[-1], PaperKind.RECEIPT, 1)

    def _print(self, one: Handset, about: Sealed, paper: PaperKind, print_no: int) -> None:
        outcome = self.random.choice(list(PrintOutcome))
        record = PaperPrinted(
            period=PERIOD,
            paper=paper,
            about=about.digest,
            print_no=print_no,
            outcome=outcome,
            customer=getattr(about.record, "customer", None),
            reason="PAPER_OUT" if outcome is PrintOutcome.NOT_PRINTED else None,
        )
        one.make(record, self.watch.now_ms)

    def _reprint(self, one: Handset) -> None:
        if one.collected:
            self._print(one, self.random.choice(one.collected), PaperKind.RECEIPT, 2)

    def _void(self, one: Handset) -> None:
        random = self.random
        mine = one.collected[-6:]
        if random.random() < 0.25:
            mine = [sealed for each in self.handsets for sealed in each.collected]
        if not mine:
            return
        target = random.choice(mine)
        assert isinstance(target.record, CashCollected)
        record = CollectionVoided(
            customer=target.record.customer,
            period=PERIOD,
            collection=target.digest,
            reason=random.choice(list(VoidReason)),
        )
        one.make(record, self.watch.now_ms)

    async def _evening(self, day: str) -> None:
        """Bags are counted, most handhelds send, cash is handed in, some dates are closed at once, some later."""
        totals = DayTotals(**{item.name: 0 for item in fields(DayTotals)})
        for one in self.handsets:
            self.watch.now_ms += 60_000
            one.make(CashCounted(period=PERIOD, business_date=day, notes=(), total_vnd=0), self.watch.now_ms)
            one.make(ShiftClosed(period=PERIOD, business_date=day, totals=totals), self.watch.now_ms)
            if self.random.random() < 0.5:
                while one.sent < len(one.messages):
                    await self._upload(one)
        for collector in sorted({one.collector for one in self.handsets}):
            self.watch.now_ms += 60_000
            owed = await self.hub.read(partial(cash_owed_vnd, unit_code=UNIT, collector=collector, day=day))
            await self._receive(collector, day, owed + self.random.choice((0, -20_000, 5_000, 5_000)))
            self.to_close.append((collector, day))
            if self.random.random() < 0.6:
                await self._close()
            if self.random.random() < 0.3:
                await self._bank(None)

    # At the branch.

    async def _office(self) -> None:
        chance = self.random.randrange(100)
        if chance < 36:
            await self._bank(None if chance < 8 else self.random.choice(self.houses))
        elif chance < 44:
            collector = self.random.choice(self.handsets).collector
            await self._receive(collector, self.random.choice(DAYS), self.random.choice((7_000, 20_000)))
        elif chance < 60:
            await self._paper_back()
        elif chance < 92:
            await self._decide()
        else:
            await self._close()

    async def _bank(self, house: House | None) -> None:
        random = self.random
        known = [random.randint(1_000, 200_000)]
        if house is not None:
            asked = [vnd for _, _, vnd in house.arrears]
            for one in self.handsets:
                sealed = one.taken.get(house.customer)
                if sealed is not None and isinstance(sealed.record, ReadingTaken) and sealed.record.bill is not None:
                    asked.append(sealed.record.bill.total_vnd)
            known += [vnd for vnd in (*asked, *asked, sum(asked)) if vnd > 0]
        self.transactions += 1
        record = BankCredited(
            period=PERIOD,
            bank_bin=BANK_BIN,
            transaction=f"FT{self.transactions:06d}",
            value_ms=self.watch.now_ms,
            account="0123456789",
            amount_vnd=random.choice(known),
            content="chuyen tien nuoc",
            match="one" if house is not None else "none",
            customer=house.customer if house is not None else None,
        )
        await self.hub.record(record)

    async def _receive(self, collector: str, day: str, vnd: int) -> None:
        if vnd > 0:
            notes = (Denomination(1_000, vnd // 1_000), Denomination(1, vnd % 1_000))
            await receive_cash(self.hub, collector=collector, day=day, notes=notes, by="cashier")

    async def _paper_back(self) -> None:
        """Somebody hands in a receipt, of a voided collection more often than not."""
        voided = {row["facts"][:32] for row in await self.hub.read(open_cases) if row["klass"].startswith("void-")}
        every = [(one, sealed) for one in self.handsets for sealed in one.collected]
        wanted = [pair for pair in every if pair[1].digest in voided] or every
        if not wanted:
            return
        one, sealed = self.random.choice(wanted)
        assert isinstance(sealed.record, CashCollected)
        with suppress(OfficeError):  # The paper may be here before the record.
            await take_paper_back(self.hub, device=one.device, receipt_no=sealed.record.receipt_no, by="cashier")

    async def _decide(self) -> None:
        cases = await self.hub.read(open_cases)
        if not cases:
            return
        row, decision, tip = self.random.choice(cases), Decision.NOTED, b""
        likely = self.random.random() < 0.7
        if row["klass"].startswith("void-") and len(row["facts"]) == 64 and likely:
            decision = Decision.ACCEPT_VOID
        elif row["klass"] == ConflictClass.FORK.value and likely:
            decision = Decision.ADOPT_BRANCH
            branch = self.random.choice([one for one in self.handsets if one.device == row["device"]])
            tip = digest(self.random.choice(branch.messages[row["seq"] - 1 :] or branch.messages[-1:]))
        await decide(self.hub, case_key=row["key"], decision=decision, reason="looked at", by="supervisor", tip=tip)

    async def _close(self) -> None:
        if self.to_close:
            collector, day = self.to_close.pop(0)
            await close_day(self.hub, collector=collector, day=day, by="supervisor", reason="end of day")

    async def _upload(self, one: Handset) -> None:
        """Send what comes next; now and then from further back, or with the first record forgotten."""
        random, left = self.random, len(one.messages) - one.sent
        if left == 0:
            return
        if left > 1 and random.random() < 0.12:
            await attempt_from_the_middle(self.hub, one, self.counted)
        start = max(0, one.sent - random.choice((0, 0, 0, 1, 4)))
        await bring(self.hub, one, start, one.sent + random.choice(UPLOAD_SIZES), self.counted)


# To any hub, in any order.


async def bring(hub: Hub, chain: Handset, start: int, stop: int, counted: Counter[str]) -> None:
    """Send a part of a chain; after a refusal, all from its beginning."""
    taken = await hub.intake.take(b"".join(chain.messages[start:stop]))
    if taken.refused is not None:
        counted["sent again from the beginning"] += 1
        taken = await hub.intake.take(b"".join(chain.messages[:stop]))
    assert taken.refused is None, taken.refused
    counted.update({klass.value: number for klass, number in taken.counted.items()})
    chain.sent = max(chain.sent, min(stop, len(chain.messages)))


async def attempt_from_the_middle(hub: Hub, chain: Handset, counted: Counter[str]) -> None:
    """Leave one record out; the hub must ask for it, and keep nothing, unless it has it from a clone."""
    first = chain.sent + 1
    missing = digest(chain.messages[chain.sent])
    query = select(fact.c.seq).where(fact.c.digest == missing)
    here = await hub.read(lambda connection: connection.execute(query).first())
    if here is None:
        taken = await hub.intake.take(b"".join(chain.messages[first : first + 7]))
        assert taken.refused is not None
        assert (taken.refused.code, taken.ack) == ("gap", None)
        counted.update({klass.value: number for klass, number in taken.counted.items()})
