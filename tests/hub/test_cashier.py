"""The end of a day at the branch: cash in, papers back, decisions, and closing a date."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select, update

from hub.app import Hub
from hub.cashier import cases, close_day, day_report, decide, open_days, receive_cash, take_paper_back
from hub.checking import findings
from hub.core.days import DayReport
from hub.core.ledger import Account
from hub.office import OfficeError
from hub.store.schema import account, fact, handheld, ledger
from protocol.records import (
    CashCollected,
    CashCounted,
    CashReceived,
    CollectionVoided,
    DayTotals,
    Decision,
    Denomination,
    PackageRef,
    PaperKind,
    PaperPrinted,
    PrintOutcome,
    ReadingTaken,
    ShiftClosed,
    ShiftOpened,
    VoidReason,
)
from protocol.sealed import Sealed
from protocol.tariff import Tariff
from protocol.values import start_of_day_ms
from tests.hub.worlds import (
    DAYS,
    MORNING_MS,
    PERIOD,
    ROUTES,
    UNIT,
    Handset,
    House,
    Watch,
    handsets_of,
    open_copy,
    reading_of,
    set_up,
)

DAY = DAYS[0]
INTENT = bytes(range(16))
HOUSES = tuple(
    House(
        f"{2_000_000 + number:08d}",
        ROUTES[number % 2],
        "household",
        100 + number,
        ((str(number), "2026-09", 50_000),) if number == 1 else (),
    )
    for number in range(1, 9)
)


def fresh_handset() -> Handset:
    """The collector's handheld with nothing signed yet; the same key every time."""
    one = handsets_of(Random(1))[0]
    one.package = PackageRef(ROUTES[0], 2)
    return one


@dataclass(slots=True)
class Desk:
    """A hub on a table, and one handheld that sends at once."""

    hub: Hub
    watch: Watch
    handset: Handset
    tariff: Tariff
    collected_vnd: int = 0
    voided_vnd: int = 0

    @classmethod
    async def lay(cls, setting: Path, home: Path) -> "Desk":
        watch = Watch(start_of_day_ms(DAY) + MORNING_MS)
        hub = await open_copy(setting, home, watch)
        return cls(hub, watch, fresh_handset(), await hub.read(hub.books.tariff))

    # What the collector does.

    async def open_shift(self, day: str = DAY) -> None:
        self.handset.make(ShiftOpened(period=PERIOD, business_date=day, software="test"), self.watch.now_ms)
        await self.send()

    async def read(self, house: House, use_m3: int = 12) -> Sealed:
        self.watch.now_ms += 60_000
        sealed = self.handset.make(reading_of(self.tariff, house, use_m3), self.watch.now_ms)
        await self.send()
        return sealed

    async def collect(self, house: House, *, arrears: bool = False, use_m3: int = 12) -> Sealed:
        """Read, and take what is asked for; with the arrears or without."""
        reading = await self.read(house, use_m3)
        taken = reading.record
        assert isinstance(taken, ReadingTaken)
        assert taken.bill is not None
        bills = [(taken.bill_no, taken.bill.total_vnd, PERIOD)]
        if arrears:
            bills = [(number, vnd, month) for number, month, vnd in house.arrears] + bills
        self.handset.receipt_no += 1
        record = CashCollected(
            customer=house.customer,
            period=PERIOD,
            amount_vnd=sum(vnd for _, vnd, _ in bills),
            bills=tuple(number for number, _, _ in bills),
            bills_vnd=tuple(vnd for _, vnd, _ in bills),
            bill_periods=tuple(month for _, _, month in bills),
            receipt_no=self.handset.receipt_no,
            reading=reading.digest,
        )
        sealed = self.handset.make(record, self.watch.now_ms)
        self.collected_vnd += record.amount_vnd
        await self.send()
        return sealed

    async def print(self, about: Sealed) -> None:
        record = PaperPrinted(
            period=PERIOD,
            paper=PaperKind.RECEIPT,
            about=about.digest,
            print_no=1,
            outcome=PrintOutcome.PRINTED,
            customer=getattr(about.record, "customer", None),
        )
        self.handset.make(record, self.watch.now_ms)
        await self.send()

    async def void(self, collection: Sealed) -> None:
        assert isinstance(collection.record, CashCollected)
        record = CollectionVoided(
            customer=collection.record.customer,
            period=PERIOD,
            collection=collection.digest,
            reason=VoidReason.WRONG_CUSTOMER,
        )
        self.handset.make(record, self.watch.now_ms)
        self.voided_vnd += collection.record.amount_vnd
        await self.send()

    async def close_shift(self, day: str = DAY) -> None:
        in_bag_vnd = self.collected_vnd - self.voided_vnd
        notes = (Denomination(1, in_bag_vnd),) if in_bag_vnd else ()
        counted = CashCounted(period=PERIOD, business_date=day, notes=notes, total_vnd=in_bag_vnd)
        self.handset.make(counted, self.watch.now_ms)
        totals = {item.name: 0 for item in fields(DayTotals)}
        totals |= {"collected_vnd": self.collected_vnd, "voided_vnd": self.voided_vnd}
        closed = ShiftClosed(period=PERIOD, business_date=day, totals=DayTotals(**totals))
        self.handset.make(closed, self.watch.now_ms)
        await self.send()

    async def send(self) -> None:
        taken = await self.hub.intake.take(b"".join(self.handset.messages[self.handset.sent :]))
        assert taken.refused is None
        self.handset.sent = len(self.handset.messages)

    # What the branch does.

    async def receive(self, amount_vnd: int, **given: Any) -> int:
        wanted = {"collector": self.handset.collector, "day": DAY, "by": "cashier", **given}
        return await receive_cash(self.hub, notes=[Denomination(1, amount_vnd)], **wanted)

    async def close(self, reason: str | None = None, by: str = "supervisor") -> DayReport:
        return await close_day(self.hub, collector=self.handset.collector, day=DAY, by=by, reason=reason)

    async def report(self) -> DayReport:
        return await self.hub.read(
            lambda connection: day_report(connection, self.hub.books, self.handset.collector, DAY)
        )

    async def balance(self, of: Account) -> int:
        query = select(func.coalesce(func.sum(ledger.c.amount_vnd), 0)).where(ledger.c.account == of.number)
        return await self.hub.read(lambda connection: int(connection.execute(query).scalar_one()))

    async def account(self, house: House) -> dict[str, Any]:
        query = select(account).where(account.c.customer == house.customer)
        return await self.hub.read(lambda connection: dict(connection.execute(query).one()._mapping))

    async def open_cases(self) -> dict[str, dict[str, Any]]:
        rows = await self.hub.read(lambda connection: cases(connection, UNIT))
        return {str(row["klass"]): row for row in rows}

    async def messages(self) -> set[bytes]:
        return await self.hub.read(lambda connection: set(connection.execute(select(fact.c.message)).scalars()))

    async def findings(self) -> list[str]:
        return await self.hub.read(lambda connection: findings(connection, self.hub.books))


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(set_up(tmp_path_factory.mktemp("cashier"), HOUSES, [fresh_handset()]))


@pytest_asyncio.fixture
async def desk(setting: Path, tmp_path: Path) -> AsyncIterator[Desk]:
    laid = await Desk.lay(setting, tmp_path / "hub")
    yield laid
    assert await laid.findings() == []
    await laid.hub.close()


@pytest_asyncio.fixture
async def evening(desk: Desk) -> Desk:
    """Two customers have paid, the shift is closed, all is sent; the cash lies on the table."""
    await desk.open_shift()
    await desk.collect(HOUSES[0], arrears=True)
    await desk.collect(HOUSES[1])
    await desk.close_shift()
    return desk


async def test_one_handover_tapped_twice_is_received_once(evening: Desk) -> None:
    for _ in range(3):
        assert await evening.receive(evening.collected_vnd, intent=INTENT) == evening.collected_vnd
    assert (await evening.report()).received_vnd == evening.collected_vnd
    query = select(func.count()).where(fact.c.kind == CashReceived.KIND)
    assert await evening.hub.read(lambda connection: connection.execute(query).scalar_one()) == 1


@pytest.mark.parametrize("given", [{"amount_vnd": 2_000}, {"day": DAYS[1]}, {"by": "supervisor"}])
async def test_one_tap_cannot_be_two_handovers(evening: Desk, given: dict[str, Any]) -> None:
    evening.watch.now_ms = start_of_day_ms(DAYS[1]) + MORNING_MS
    await evening.receive(1_000, intent=INTENT)
    with pytest.raises(OfficeError, match="with other figures"):
        await evening.receive(**{"amount_vnd": 1_000, "intent": INTENT, **given})
    assert (await evening.report()).received_vnd == 1_000


async def test_two_handovers_of_the_same_amount_are_two(evening: Desk) -> None:
    await evening.receive(1_000, intent=INTENT)
    await evening.receive(1_000, intent=INTENT[::-1])
    await evening.receive(1_000)
    await evening.receive(1_000)
    assert (await evening.report()).received_vnd == 4_000


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"amount_vnd": 0}, "at least one note"),
        ({"collector": "cashier"}, "this needs collector"),
        ({"collector": "nobody"}, "nobody with the code"),
        ({"by": "nobody"}, "nobody with the code"),
        ({"day": DAYS[1]}, "has not come yet"),
        ({"day": "2026-02-30"}, "has not come yet"),
    ],
)
async def test_a_handover_that_cannot_be_is_refused(evening: Desk, given: dict[str, Any], words: str) -> None:
    with pytest.raises(OfficeError, match=words):
        await evening.receive(**{"amount_vnd": 1_000, **given})
    with pytest.raises(OfficeError):
        await evening.receive(1_000, by=evening.handset.collector)
    assert (await evening.report()).received_vnd == 0


async def test_three_columns_that_agree_close_without_a_word(evening: Desk) -> None:
    await evening.receive(evening.collected_vnd)
    report = await evening.report()
    columns = {report.handheld_vnd, report.hub_vnd, report.received_vnd, report.counted_vnd}
    assert columns == {evening.collected_vnd}
    assert (report.behind, report.difference_vnd, report.closed) == ((), 0, None)
    closed = await evening.close()
    assert closed.closed is not None
    assert [(head.device, head.seq) for head in closed.closed.heads] == [(1, len(evening.handset.messages))]
    assert await evening.open_cases() == {}
    with pytest.raises(OfficeError, match="closed already"):
        await evening.close("once more")
    assert await evening.hub.read(lambda connection: open_days(connection, evening.hub.books)) == [
        (evening.handset.collector, DAY)
    ]


@pytest.mark.parametrize("by", ["cashier", "nobody"])
async def test_a_date_is_closed_by_a_supervisor_or_it(evening: Desk, by: str) -> None:
    await evening.receive(evening.collected_vnd)
    with pytest.raises(OfficeError):
        await evening.close(by=by)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"day": DAYS[1]}, "has not come yet"),
        ({"day": "9999-12-31"}, "has not come yet"),
        ({"day": "yesterday"}, "has not come yet"),
        ({"collector": "nobody"}, "nobody with the code"),
        ({"collector": "cashier"}, "this needs collector"),
    ],
)
async def test_a_date_that_cannot_be_closed_is_refused(evening: Desk, given: dict[str, str], words: str) -> None:
    wanted = {"collector": evening.handset.collector, "day": DAY, "by": "supervisor", "reason": "why not", **given}
    with pytest.raises(OfficeError, match=words):
        await close_day(evening.hub, **wanted)


@pytest.mark.parametrize("difference_vnd", [-20_000, 20_000])
async def test_a_difference_needs_a_reason_and_becomes_a_case(evening: Desk, difference_vnd: int) -> None:
    await evening.receive(evening.collected_vnd + difference_vnd)
    with pytest.raises(OfficeError, match="differs by"):
        await evening.close()
    closed = await evening.close("counted twice")
    assert closed.difference_vnd == difference_vnd
    assert await evening.balance(Account.SHORTAGE) == max(0, -difference_vnd)
    assert await evening.balance(Account.EXCESS) == -max(0, difference_vnd)
    case = (await evening.open_cases())["cash-short-or-over"]
    assert (case["money_vnd"], case["detail"]) == (difference_vnd, "counted twice")


async def test_money_that_comes_late_makes_a_shortage_good(evening: Desk) -> None:
    await evening.receive(evening.collected_vnd - 20_000)
    await evening.close("a note is missing")
    await evening.receive(15_000)
    assert await evening.balance(Account.SHORTAGE) == 5_000
    await evening.receive(5_000)
    assert await evening.balance(Account.SHORTAGE) == 0
    report = await evening.report()
    assert (report.received_vnd, report.hub_vnd) == (evening.collected_vnd, evening.collected_vnd)
    assert report.difference_vnd == -20_000, "a closed date says how it was closed"


async def test_a_date_whose_handheld_is_behind_closes_only_with_a_reason(desk: Desk) -> None:
    await desk.open_shift()
    await desk.collect(HOUSES[0])
    await desk.receive(desk.collected_vnd)
    assert (await desk.report()).behind == (1,)
    with pytest.raises(OfficeError, match="has not sent everything"):
        await desk.close()
    await desk.close("its battery is flat")
    await desk.close_shift()
    report = await desk.report()
    assert report.closed is not None
    assert [head.seq for head in report.closed.heads] == [3]


async def test_what_a_handheld_has_made_and_not_sent_keeps_its_date_open(evening: Desk) -> None:
    await evening.receive(evening.collected_vnd)
    more = update(handheld).values(made=handheld.c.seq + 1)
    await evening.hub.write(lambda connection: connection.execute(more))
    with pytest.raises(OfficeError, match="handheld 1 has not sent everything"):
        await evening.close()


async def test_what_a_handheld_has_told_of_and_not_sent_keeps_a_date_open_that_it_says_nothing_of(desk: Desk) -> None:
    """Its shift is among what has not come, so no handheld has a line in the report."""
    told = update(handheld).values(made=2)
    await desk.hub.write(lambda connection: connection.execute(told))
    assert (await desk.report()).handhelds == ()
    with pytest.raises(OfficeError, match="handheld 1 has not sent everything"):
        await desk.close()
    await desk.close("it fell into the canal")


# Voids, papers, decisions.


@pytest_asyncio.fixture
async def voided(desk: Desk) -> Desk:
    """One collection with a paper in the world, taken back on the handheld."""
    await desk.open_shift()
    collection = await desk.collect(HOUSES[0])
    await desk.print(collection)
    await desk.void(collection)
    await desk.close_shift()
    return desk


async def test_cash_of_a_voided_receipt_stays_owed_until_its_paper_is_back(voided: Desk) -> None:
    report = await voided.report()
    assert (report.handheld_vnd, report.hub_vnd) == (0, voided.collected_vnd)
    assert "void-with-paper-out" in await voided.open_cases()
    paid = await voided.account(HOUSES[0])
    assert paid["bill_open_vnd"] == 0
    amount = await take_paper_back(voided.hub, device=1, receipt_no=1, by="cashier")
    assert amount == voided.collected_vnd
    assert (await voided.report()).hub_vnd == 0
    assert await voided.open_cases() == {}
    assert (await voided.account(HOUSES[0]))["bill_open_vnd"] == amount
    await voided.close()


async def test_a_supervisor_may_accept_a_void_without_its_paper(voided: Desk) -> None:
    case = (await voided.open_cases())["void-with-paper-out"]
    given = {"case_key": case["key"], "decision": Decision.ACCEPT_VOID, "reason": "the paper was torn up"}
    with pytest.raises(OfficeError):
        await decide(voided.hub, **given, by="cashier")
    await decide(voided.hub, **given, by="supervisor")
    assert (await voided.report()).hub_vnd == 0
    assert await voided.open_cases() == {}
    with pytest.raises(OfficeError, match="settled already"):
        await decide(voided.hub, **given, by="supervisor")


async def test_a_case_that_is_noted_moves_no_money(desk: Desk) -> None:
    await desk.open_shift()
    desk.handset.receipt_no += 1
    await desk.collect(HOUSES[0])
    before, case = await desk.report(), (await desk.open_cases())["receipt-missing"]
    await decide(desk.hub, case_key=case["key"], decision=Decision.NOTED, reason="seen", by="supervisor")
    assert await desk.open_cases() == {}
    assert await desk.report() == before


async def test_a_void_with_its_paper_out_cannot_be_put_away_undecided(voided: Desk) -> None:
    """A note would hide it, and nobody could accept it afterwards."""
    case = (await voided.open_cases())["void-with-paper-out"]
    given = {"case_key": case["key"], "reason": "seen", "by": "supervisor"}
    with pytest.raises(OfficeError, match="needs its own decision"):
        await decide(voided.hub, **given, decision=Decision.NOTED)
    assert (await voided.report()).hub_vnd == voided.collected_vnd
    await decide(voided.hub, **given, decision=Decision.ACCEPT_VOID)
    assert await voided.open_cases() == {}
    assert (await voided.report()).hub_vnd == 0


async def test_a_void_of_a_receipt_that_is_not_here_can_only_be_noted(desk: Desk) -> None:
    await desk.open_shift()
    record = CollectionVoided(
        customer=HOUSES[0].customer, period=PERIOD, collection=bytes(32), reason=VoidReason.WRONG_CUSTOMER
    )
    desk.handset.make(record, desk.watch.now_ms)
    await desk.send()
    case = (await desk.open_cases())["void-too-late"]
    given = {"case_key": case["key"], "reason": "seen", "by": "supervisor"}
    with pytest.raises(OfficeError, match="can be accepted as void"):
        await decide(desk.hub, **given, decision=Decision.ACCEPT_VOID)
    await decide(desk.hub, **given, decision=Decision.NOTED)
    assert await desk.open_cases() == {}


@pytest.mark.parametrize("decision", [Decision.ACCEPT_VOID, Decision.ADOPT_BRANCH])
async def test_a_decision_that_does_not_fit_its_case_is_refused(evening: Desk, decision: Decision) -> None:
    await evening.receive(1_000)
    await evening.close("short")
    case = (await evening.open_cases())["cash-short-or-over"]
    with pytest.raises(OfficeError, match="can be a"):
        await decide(evening.hub, case_key=case["key"], decision=decision, reason="r", by="supervisor", tip=bytes(32))
    with pytest.raises(OfficeError, match="no such case"):
        await decide(evening.hub, case_key=bytes(32), decision=Decision.NOTED, reason="r", by="supervisor")
    await decide(evening.hub, case_key=case["key"], decision=Decision.NOTED, reason="r", by="supervisor")
    assert await evening.open_cases() == {}


async def test_the_paper_of_a_receipt_that_is_not_here_is_asked_after(evening: Desk) -> None:
    with pytest.raises(OfficeError, match="has no receipt 3 here"):
        await take_paper_back(evening.hub, device=1, receipt_no=3, by="cashier")


async def test_the_paper_of_a_receipt_that_stands_changes_nothing(evening: Desk) -> None:
    await take_paper_back(evening.hub, device=1, receipt_no=1, by="cashier")
    assert (await evening.report()).hub_vnd == evening.collected_vnd
