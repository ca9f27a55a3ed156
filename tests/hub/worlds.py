"""A made-up branch: customers, an extract, handhelds with real keys and chains, and a real hub set up for them.

`rounds` plays days on it. Nothing here judges; the tests and the oracle do.
"""

import json
import shutil
from collections import Counter
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from hub.app import Hub, issue_policy
from hub.home import KEY_FILE, UNIT_FILE
from hub.office import import_extract, publish
from hub.people import add_person
from hub.store.schema import account, case_file, fact, handheld, ledger, unit
from protocol import codec
from protocol.chain import EMPTY, NO_DIGEST, Tip, digest
from protocol.envelope import Purpose, SigningKey, seal
from protocol.package import Policy
from protocol.records import (
    CashReceived,
    Denomination,
    DeviceEnrolled,
    Evidence,
    Header,
    PackageRef,
    ReadingSkipped,
    ReadingTaken,
    Record,
)
from protocol.sealed import Sealed, payload_of, seal_record
from protocol.tariff import Tariff, compute_bill
from protocol.values import ClockEvidence, ClockSource, Imei, NoFix, luhn_sum, start_of_day_ms
from protocol.wire import StopChange
from tests.hub.oracle import Opened

UNIT = "CT"
PERIOD = "2026-11"
ROUTES = ("S1-01", "S1-02")
DAYS = ("2026-11-05", "2026-11-06", "2026-11-07")
MORNING_MS = 7 * 3_600_000
PRICES_VND = {"household": 9020, "business": 15580}
UPLOAD_SIZES = (1, 2, 7, 50)
HUB_SEED = b"the key of a made-up hub, 32 b.."
HUB_KEY = SigningKey.of(HUB_SEED)
BANK_BIN = "970436"
FAULTS = ("kind", "version", "range", "hub kind", "hub record")  # What no hub of today can read.


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
        """Sign what no hub of today can read: one of FAULTS."""
        header = self._header(now_ms)
        payload = payload_of(header, ReadingSkipped(customer="none", period=PERIOD, code="house_closed"))
        changed: dict[str, dict[int, codec.Wire]] = {
            "kind": {2: 50},
            "version": {1: 2},
            "range": {14: "2026-13"},
            "hub kind": {2: DeviceEnrolled.KIND},
            "hub record": {},
        }
        if fault == "hub record":  # Well made, but not a handheld's to make.
            notes = (Denomination(500_000, 1),)
            received = CashReceived(
                collector=self.collector, business_date=DAYS[0], amount_vnd=500_000, notes=notes, by="cashier"
            )
            payload = payload_of(replace(header, evidence=None), received)
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


def _folded(connection: Connection) -> Folded:
    def rows(table: Table, *left_out: str) -> list[dict[str, Any]]:
        columns = [column for column in table.c if column.name not in left_out]
        query = select(*columns).order_by(*table.primary_key.columns)
        return [dict(row._mapping) for row in connection.execute(query)]

    accounts = rows(account, "version")
    for row in accounts:
        row["change"] = replace(codec.unpack(StopChange, codec.decode(row["change"])), version=0)
    return Folded(accounts, rows(ledger), rows(case_file), rows(fact))


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
        await add_person(hub, code="it", name="Lê Thị Mai", role="it", by="it")
        await add_person(hub, code="cashier", name="Võ Thị Sáu", role="cashier", by="it")
        await add_person(hub, code="supervisor", name="Lý Tự Trọng", role="supervisor", by="it")
        for collector in sorted({one.collector for one in handsets}):
            await add_person(hub, code=collector, name=collector, role="collector", by="it")
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
