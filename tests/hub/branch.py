"""A hub and two handhelds, small enough to be read in a test: what a situation does with them, and what it asks."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hub.app import Hub
from hub.books import Books
from hub.cashier import close_day, decide
from hub.checking import findings
from hub.core.conflicts import ConflictClass
from hub.core.days import DayReport
from protocol.envelope import SigningKey
from protocol.records import (
    BankCredited,
    CashCollected,
    CollectionVoided,
    DayClosed,
    Decision,
    HeadRef,
    PackageRef,
    PaperKind,
    PaperPrinted,
    PrintOutcome,
    ReadingTaken,
    ShiftOpened,
    VoidReason,
)
from protocol.sealed import Sealed
from protocol.tariff import Tariff
from protocol.values import start_of_day_ms
from tests.hub.oracle import CaseRow, Totals
from tests.hub.worlds import (
    BANK_BIN,
    DAYS,
    MORNING_MS,
    PERIOD,
    ROUTES,
    Folded,
    Handset,
    House,
    Watch,
    imei_of,
    open_cases,
    open_copy,
    reading_of,
    state_of,
)

HOUSES = (
    House("02000001", ROUTES[0], "household", 100, (("02000001-2026-10", "2026-10", 50_000),)),
    House("02000002", ROUTES[1], "household", 200, ()),
)
STRANGER = House("02999999", ROUTES[0], "household", 0, ())
AN, BINH = "an.tran", "binh.le"


def totals(state: Folded) -> Totals:
    """Ledger by account, party and date."""
    found: Totals = {}
    for row in state.ledger:
        key = (row["account"], row["party"], row["day"])
        found[key] = found.get(key, 0) + row["amount_vnd"]
    return {key: vnd for key, vnd in found.items() if vnd != 0}


def case_rows(state: Folded) -> list[CaseRow]:
    """Cases as the oracle names them."""
    found = []
    for row in state.cases:
        about = {
            "account": row["customer"],
            "day": f"{row['collector']} {row['day']}",
            "handheld": str(row["device"]),
            "bank": "",
        }
        found.append((row["klass"], about[row["subject"].partition(":")[0]], bool(row["settled"])))
    return sorted(found)


@dataclass(slots=True)
class Branch:
    """One hub, two handhelds of two collectors with their first shift open, and what a test does with them."""

    hub: Hub
    watch: Watch
    tariff: Tariff
    an: Handset
    binh: Handset

    def read(self, one: Handset, house: House, use_m3: int, billed_m3: int | None = None) -> Sealed:
        return one.make(reading_of(self.tariff, house, use_m3, billed_m3), self.watch.now_ms)

    def collect(self, one: Handset, reading: Sealed | None, house: House = HOUSES[0], vnd: int = 0) -> Sealed:
        """Money for the bill of a reading, or for other bills of the house."""
        bill_no, asked_vnd = f"{house.customer}-2026-10", vnd
        if reading is not None:
            assert isinstance(reading.record, ReadingTaken)
            made = reading_of(self.tariff, house, reading.record.use_m3)
            assert made.bill is not None
            bill_no, asked_vnd = made.bill_no, made.bill.total_vnd
        one.receipt_no += 1
        record = CashCollected(
            customer=house.customer,
            period=PERIOD,
            amount_vnd=asked_vnd,
            bills=(bill_no,),
            bills_vnd=(asked_vnd,),
            bill_periods=(bill_no[-7:],),
            receipt_no=one.receipt_no,
            reading=reading.digest if reading is not None else None,
        )
        return one.make(record, self.watch.now_ms)

    def printed(self, one: Handset, cash: Sealed, outcome: PrintOutcome = PrintOutcome.PRINTED) -> None:
        record = PaperPrinted(
            period=PERIOD,
            paper=PaperKind.RECEIPT,
            about=cash.digest,
            print_no=1,
            outcome=outcome,
            customer=HOUSES[0].customer,
        )
        one.make(record, self.watch.now_ms)

    def void(self, one: Handset, cash: Sealed, house: House = HOUSES[0]) -> Sealed:
        record = CollectionVoided(
            customer=house.customer, period=PERIOD, collection=cash.digest, reason=VoidReason.WRONG_AMOUNT
        )
        return one.make(record, self.watch.now_ms)

    def open_shift(self, one: Handset, day: str) -> None:
        one.make(ShiftOpened(period=PERIOD, business_date=day, software="test"), self.watch.now_ms)

    async def send(self, one: Handset) -> None:
        """All that is not sent yet, as one upload that must be taken whole."""
        taken = await self.hub.intake.take(b"".join(one.messages[one.sent :]))
        assert taken.refused is None, taken.refused
        one.sent = len(one.messages)

    async def close(self, collector: str, day: str, *heads: HeadRef) -> None:
        """A cut at these positions, with no money differing."""
        made = DayClosed(
            collector=collector,
            business_date=day,
            heads=heads,
            expected_vnd=0,
            received_vnd=0,
            difference_vnd=0,
            by="supervisor",
        )
        await self.hub.record(made)

    async def close_as_it_stands(self, collector: str, day: str) -> DayReport:
        """As a supervisor closes a date, with a reason for whatever needs one."""
        return await close_day(self.hub, collector=collector, day=day, by="supervisor", reason="end of day")

    def go_on_to(self, day: str) -> None:
        """The next morning."""
        self.watch.now_ms = start_of_day_ms(day) + MORNING_MS

    async def account(self, house: House = HOUSES[0]) -> dict[str, object]:
        rows = (await state_of(self.hub)).accounts
        return next(row for row in rows if row["customer"] == house.customer)

    async def cases(self) -> list[CaseRow]:
        return case_rows(await state_of(self.hub))

    async def with_collector(self, collector: str) -> dict[str, int]:
        """Cash owed by date."""
        ledger = totals(await state_of(self.hub))
        return {day: vnd for (account, party, day), vnd in ledger.items() if (account, party) == ("1111", collector)}

    async def findings(self) -> list[str]:
        """What `hub check` says, believing nothing that the hub remembers."""
        fresh = Books(self.hub.books.unit, self.hub.books.key)
        warm = await self.hub.read(lambda connection: findings(connection, self.hub.books))
        cold = await self.hub.read(lambda connection: findings(connection, fresh))
        assert warm == cold
        return cold

    async def settle(self, klass: ConflictClass, decision: Decision, tip: bytes = b"") -> None:
        row = next(one for one in await self.hub.read(open_cases) if one["klass"] == klass.value)
        await decide(self.hub, case_key=row["key"], decision=decision, reason="looked at", by="supervisor", tip=tip)


def head(one: Handset) -> HeadRef:
    """Where a handheld's chain ends."""
    return HeadRef(one.device, one.tip.seq, one.tip.digest)


def handsets() -> Iterable[Handset]:
    for number, collector in enumerate((AN, BINH), start=1):
        yield Handset(
            device=number,
            key=SigningKey.of(bytes([number]) * 32),
            imei=imei_of(number),
            collector=collector,
            rounds=ROUTES,
            skew_ms=0,
            package=PackageRef(ROUTES[0], 1),
            boot=b"boot-id!",
        )


@asynccontextmanager
async def open_branch(setting: Path, home: Path) -> AsyncIterator[Branch]:
    watch = Watch(start_of_day_ms(DAYS[0]) + MORNING_MS)
    hub = await open_copy(setting, home, watch)
    try:
        found = Branch(hub, watch, await hub.read(hub.books.tariff), *handsets())
        for one in (found.an, found.binh):
            found.open_shift(one, DAYS[0])
        yield found
    finally:
        await hub.close()


def unmatched_line() -> BankCredited:
    return BankCredited(
        period=PERIOD,
        bank_bin=BANK_BIN,
        transaction="FT1",
        value_ms=0,
        account="0123456789",
        amount_vnd=70_000,
        content="tien nuoc",
        match="none",
    )


def cash_in(collection: Sealed) -> int:
    """Amount of a collection in đồng."""
    assert isinstance(collection.record, CashCollected)
    return collection.record.amount_vnd
