"""What a sceptical reader of the books tried: late cash and cuts, clones, papers, odd imports, bytes meant to hurt.

Each ends with a check that believes nothing the hub remembers: it must say what a warm one says, and that is nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from hub.api.devices import DeviceApi
from hub.cashier import cases, cash_owed_vnd, decide, take_paper_back
from hub.core.conflicts import ConflictClass
from hub.office import OfficeError, import_extract, publish
from hub.people import add_person
from hub.statements import StatementImported, import_statement
from hub.store.schema import customer
from protocol import codec
from protocol.chain import digest
from protocol.envelope import Purpose, seal
from protocol.records import OPEN_BILLS_MAX, CashCollected, Decision, PrintOutcome, ShiftOpened
from protocol.sealed import Sealed, payload_of
from tests.hub.branch import AN, BINH, HOUSES, STRANGER, Branch, open_branch
from tests.hub.worlds import DAYS, FAULTS, PERIOD, ROUTES, UNIT, Handset, House, state_of, write_extract

PAYER, OTHER = HOUSES


async def owed(branch: Branch, collector: str = AN) -> list[int]:
    """Cash that a collector owes of each date."""
    return [
        await branch.hub.read(lambda connection, day=day: cash_owed_vnd(connection, UNIT, collector, day))  # type: ignore[misc]
        for day in DAYS
    ]


def vnd_of(cash: Sealed) -> int:
    assert isinstance(cash.record, CashCollected)
    return cash.record.amount_vnd


def hand_over(branch: Branch) -> Handset:
    """The second handheld goes to the first one's collector."""
    branch.binh.collector = AN
    return branch.binh


async def fork_case(branch: Branch) -> dict[str, object]:
    rows = await branch.hub.read(lambda connection: cases(connection, UNIT, only_open=False))
    return next(row for row in rows if row["klass"] == ConflictClass.FORK.value)


async def adopt(branch: Branch, tip: bytes) -> None:
    await branch.settle(ConflictClass.FORK, Decision.ADOPT_BRANCH, tip)


# Cuts.


async def test_cash_that_comes_late_is_charged_once_over_three_closed_dates(branch: Branch) -> None:
    """One handheld lay without a network over a close; the next date is closed from another one."""
    an, other = branch.an, hand_over(branch)
    await branch.send(an)
    late = branch.collect(an, None, vnd=50_000)
    assert (await branch.close_as_it_stands(AN, DAYS[0])).hub_vnd == 0
    branch.go_on_to(DAYS[1])
    branch.open_shift(other, DAYS[1])
    cash = branch.collect(other, branch.read(other, OTHER, 10), OTHER)
    await branch.send(other)
    await branch.send(an)
    both_vnd = vnd_of(late) + vnd_of(cash)
    assert await owed(branch) == [0, both_vnd, 0]
    closed = (await branch.close_as_it_stands(AN, DAYS[1])).closed
    assert closed is not None
    assert (closed.expected_vnd, {one.device for one in closed.heads}) == (both_vnd, {an.device, other.device})
    assert await owed(branch) == [0, both_vnd, 0]
    branch.go_on_to(DAYS[2])
    assert (await branch.close_as_it_stands(AN, DAYS[2])).difference_vnd == 0
    assert await owed(branch) == [0, both_vnd, 0]
    assert await branch.findings() == []


async def test_late_cash_that_somebody_has_noted_is_moved_no_further(branch: Branch) -> None:
    an, other = branch.an, hand_over(branch)
    await branch.send(an)
    branch.collect(an, None, vnd=50_000)
    await branch.close_as_it_stands(AN, DAYS[0])
    await branch.send(an)
    rows = await branch.hub.read(lambda connection: cases(connection, UNIT, only_open=False))
    (key,) = [row["key"] for row in rows if row["klass"] == "fact-after-close"]
    assert isinstance(key, bytes)
    await decide(branch.hub, case_key=key, decision=Decision.NOTED, reason="seen", by="supervisor")
    branch.go_on_to(DAYS[1])
    branch.open_shift(other, DAYS[1])
    await branch.send(other)
    await branch.close_as_it_stands(AN, DAYS[1])
    assert await owed(branch) == [0, 50_000, 0]
    assert await branch.findings() == []


async def test_late_cash_of_two_clones_is_charged_once_though_it_is_disputed(branch: Branch) -> None:
    an, other = branch.an, hand_over(branch)
    await branch.send(an)
    twin = an.clone()
    await branch.close_as_it_stands(AN, DAYS[0])
    branch.collect(an, None, vnd=50_000)
    branch.collect(twin, None, OTHER, vnd=30_000)
    await branch.send(an)
    await branch.send(twin)
    branch.go_on_to(DAYS[1])
    branch.open_shift(other, DAYS[1])
    await branch.send(other)
    await branch.close_as_it_stands(AN, DAYS[1])
    assert await owed(branch) == [0, 80_000, 0]
    assert await branch.findings() == []


async def test_a_cut_names_every_branch_so_that_a_clones_cash_is_charged_in_one_date(branch: Branch) -> None:
    twin = branch.an.clone()
    branch.collect(branch.an, None, vnd=50_000)
    branch.collect(twin, None, OTHER, vnd=30_000)
    await branch.send(branch.an)
    await branch.send(twin)
    closed = (await branch.close_as_it_stands(AN, DAYS[0])).closed
    assert closed is not None
    assert {one.digest for one in closed.heads} == {branch.an.tip.digest, twin.tip.digest}
    assert await owed(branch) == [80_000, 0, 0]
    branch.collect(twin, None, OTHER, vnd=7_000)
    await branch.send(twin)
    assert await owed(branch) == [80_000, 7_000, 0]
    assert await branch.findings() == []


async def test_a_void_that_a_clone_disputes_later_moves_nothing_in_a_closed_date(branch: Branch) -> None:
    """The date was closed at nothing owed; when the clone shows up the cash is owed again, of the next open date."""
    an = branch.an
    cash = branch.collect(an, None, vnd=50_000)
    twin = an.clone()
    branch.void(an, cash)
    await branch.send(an)
    assert (await branch.close_as_it_stands(AN, DAYS[0])).hub_vnd == 0
    branch.read(twin, OTHER, 10)
    await branch.send(twin)
    assert await owed(branch) == [0, 50_000, 0]
    assert (await branch.account())["arrears_open_vnd"] == 0
    assert await branch.findings() == []
    await adopt(branch, an.tip.digest)
    assert await owed(branch) == [0, 0, 0]
    assert (await branch.account())["arrears_open_vnd"] == 50_000
    assert await branch.findings() == []


async def test_a_void_on_a_branch_that_is_adopted_late_takes_cash_from_no_closed_date(branch: Branch) -> None:
    twin = await forked(branch)
    cash = branch.collect(branch.an, None, vnd=9_000)
    branch.void(branch.an, cash)
    await branch.send(branch.an)
    assert (await branch.close_as_it_stands(AN, DAYS[0])).hub_vnd == 89_000
    branch.go_on_to(DAYS[1])
    await adopt(branch, branch.an.tip.digest)
    assert await owed(branch) == [89_000, -9_000, 0]
    assert await branch.findings() == []
    await branch.close_as_it_stands(AN, DAYS[1])
    branch.read(twin, OTHER, 10)
    await branch.send(twin)
    assert await owed(branch) == [89_000, -9_000, 0]
    assert await branch.findings() == []


# Clones.


async def forked(branch: Branch) -> Handset:
    """A handheld and its clone, each with a collection the other has not; the clone."""
    twin = branch.an.clone()
    branch.collect(branch.an, None, vnd=50_000)
    branch.collect(twin, None, OTHER, vnd=30_000)
    await branch.send(branch.an)
    await branch.send(twin)
    return twin


async def test_what_an_adopted_handheld_does_next_counts_without_asking_again(branch: Branch) -> None:
    twin = await forked(branch)
    assert (await branch.account())["arrears_open_vnd"] == 50_000
    await adopt(branch, branch.an.tip.digest)
    assert (await branch.account())["arrears_open_vnd"] == 0
    cash = branch.collect(branch.an, branch.read(branch.an, OTHER, 10), OTHER)
    branch.collect(twin, None, OTHER, vnd=9_000)
    await branch.send(branch.an)
    await branch.send(twin)
    found = await branch.account(OTHER)
    assert (found["bill_open_vnd"], found["bill_cash_vnd"]) == (0, vnd_of(cash))
    assert found["suspense_vnd"] == 39_000
    assert ("fork", "1", True) in await branch.cases()
    assert "receipt-missing" not in {klass for klass, _, _ in await branch.cases()}
    assert await branch.findings() == []


async def test_a_branch_is_adopted_by_any_record_on_it_and_once(branch: Branch) -> None:
    twin = await forked(branch)
    branch.read(twin, PAYER, 3)
    await branch.send(twin)
    await adopt(branch, digest(twin.messages[-2]))
    assert (await branch.account())["index_m3"] == PAYER.previous_index + 3
    key = (await fork_case(branch))["key"]
    assert isinstance(key, bytes)
    with pytest.raises(OfficeError, match="settled already"):
        await decide(
            branch.hub,
            case_key=key,
            decision=Decision.ADOPT_BRANCH,
            reason="no, that",
            by="supervisor",
            tip=branch.an.tip.digest,
        )


@pytest.mark.parametrize("tip", ["a typing error", "a record before the fork", "a record of another handheld", "none"])
async def test_a_tip_that_is_on_no_branch_of_the_fork_decides_nothing(branch: Branch, tip: str) -> None:
    await forked(branch)
    await branch.send(branch.binh)
    named = {
        "a typing error": bytes(32),
        "a record before the fork": digest(branch.an.messages[0]),
        "a record of another handheld": branch.binh.tip.digest,
        "none": b"",
    }[tip]
    before = await state_of(branch.hub)
    with pytest.raises(OfficeError, match="not of this handheld's fork"):
        await adopt(branch, named)
    with pytest.raises(OfficeError, match="needs its own decision"):
        await branch.settle(ConflictClass.FORK, Decision.NOTED)
    assert await state_of(branch.hub) == before


async def test_a_fork_behind_an_adopted_branch_is_decided_by_itself(branch: Branch) -> None:
    """What comes before it goes on counting, and the branch given up before cannot come back by it."""
    twin = await forked(branch)
    await adopt(branch, branch.an.tip.digest)
    third = branch.an.clone()
    branch.read(branch.an, PAYER, 10)
    branch.read(third, PAYER, 11)
    await branch.send(branch.an)
    await branch.send(third)
    found = await branch.account()
    assert (found["reading"], found["arrears_open_vnd"]) == (b"", 0)
    assert [settled for klass, _, settled in await branch.cases() if klass == "fork"] == [False, True]
    branch.read(twin, PAYER, 12)
    await branch.send(twin)
    with pytest.raises(OfficeError, match="not of this handheld's fork"):
        await adopt(branch, twin.tip.digest)
    await adopt(branch, third.tip.digest)
    assert (await branch.account())["reading"] == third.tip.digest
    assert [settled for klass, _, settled in await branch.cases() if klass == "fork"] == [True, True]
    assert await branch.findings() == []


# Papers.


async def test_a_receipt_printed_after_its_void_does_not_undo_the_void(branch: Branch) -> None:
    an = branch.an
    cash = branch.collect(an, None, vnd=50_000)
    branch.printed(an, cash, PrintOutcome.NOT_PRINTED)
    branch.void(an, cash)
    await branch.send(an)
    assert (await branch.close_as_it_stands(AN, DAYS[0])).hub_vnd == 0
    branch.go_on_to(DAYS[1])
    branch.open_shift(an, DAYS[1])
    branch.printed(an, cash)
    await branch.send(an)
    assert await owed(branch) == [0, 0, 0]
    assert (await branch.account())["arrears_open_vnd"] == 50_000
    assert await branch.findings() == []


async def test_a_receipt_number_of_two_histories_means_the_one_that_counts(branch: Branch) -> None:
    twin = await forked(branch)
    await adopt(branch, twin.tip.digest)
    assert await take_paper_back(branch.hub, device=1, receipt_no=1, by="cashier") == 30_000


async def test_a_void_by_another_handheld_that_is_accepted_posts_once_whatever_is_closed_later(branch: Branch) -> None:
    """The cut of who collected does not name the handheld that voided: it had nothing of theirs."""
    cash = branch.collect(branch.an, None, vnd=50_000)
    branch.void(branch.binh, cash)
    await branch.send(branch.an)
    await branch.send(branch.binh)
    await branch.settle(ConflictClass.VOID_TOO_LATE, Decision.ACCEPT_VOID)
    assert (await branch.close_as_it_stands(AN, DAYS[0])).hub_vnd == 0
    assert await branch.findings() == []


async def test_a_voided_receipt_of_a_customer_nobody_knows_is_not_owed_before_or_after_an_extract_names_them(
    branch: Branch, tmp_path: Path
) -> None:
    cash = branch.collect(branch.an, None, STRANGER, vnd=30_000)
    branch.void(branch.an, cash, STRANGER)
    await branch.send(branch.an)
    assert (await branch.close_as_it_stands(AN, DAYS[0])).hub_vnd == 0
    assert await branch.findings() == []
    await imported(branch, tmp_path / "extract", [*HOUSES, STRANGER])
    assert await owed(branch) == [0, 0, 0]
    assert await branch.findings() == []


# Bills that only a receipt knows.


async def test_credit_pays_what_a_receipt_leaves_open_of_a_bill_that_only_it_knows(branch: Branch) -> None:
    """The handheld set the credit against the bill; the hub hears of the bill after it had the credit."""
    for one in (branch.an, branch.binh):
        branch.collect(one, None, vnd=50_000)
        await branch.send(one)
    assert (await branch.account())["credit_vnd"] == 50_000
    branch.an.receipt_no += 1
    bill_no = f"{PAYER.customer}-2026-07"
    record = CashCollected(
        customer=PAYER.customer,
        period=PERIOD,
        amount_vnd=20_000,
        bills=(bill_no,),
        bills_vnd=(60_000,),
        bill_periods=("2026-07",),
        receipt_no=branch.an.receipt_no,
        credit_vnd=40_000,
    )
    branch.an.make(record, branch.watch.now_ms)
    await branch.send(branch.an)
    found = await branch.account()
    assert (found["credit_vnd"], found["arrears_open_vnd"], found["cash_vnd"]) == (10_000, 0, 120_000)
    assert ("unknown-bill", PAYER.customer, False) in await branch.cases()
    assert await branch.findings() == []
    await branch.settle(ConflictClass.UNKNOWN_BILL, Decision.NOTED)
    assert ("unknown-bill", PAYER.customer, True) in await branch.cases()


async def imported(branch: Branch, folder: Path, houses: Sequence[House]) -> None:
    write_extract(folder, tuple(houses))
    assert (await import_extract(branch.hub, folder, by="it")).done


async def test_a_bill_paid_and_listed_no_longer_stands_alike_whichever_came_first(
    branch: Branch, small_setting: Path, tmp_path: Path
) -> None:
    async def play(at: Branch, *, money_first: bool) -> dict[str, object]:
        at.read(at.an, PAYER, 10)
        await at.send(at.an)
        at.collect(at.an, None, vnd=50_000)
        if money_first:
            await at.send(at.an)
        await imported(at, tmp_path / f"extract-{money_first}", [replace(PAYER, arrears=()), OTHER])
        if not money_first:
            await at.send(at.an)
        assert await at.findings() == []
        return await at.account()

    async with open_branch(small_setting, tmp_path / "other") as other:
        first, second = await play(branch, money_first=True), await play(other, money_first=False)
    of_money = [name for name in first if name.endswith("_vnd") and not name.startswith(("opening", "estimate"))]
    assert {name: first[name] for name in of_money} == {name: second[name] for name in of_money}
    assert (first["arrears_open_vnd"], first["credit_vnd"]) == (0, 0)


async def test_more_open_bills_than_a_message_holds_stop_nobody(branch: Branch) -> None:
    reading = branch.read(branch.an, OTHER, 10).record
    for number in range(OPEN_BILLS_MAX + 6):
        period = f"{2020 + number // 12}-{number % 12 + 1:02d}"
        made = replace(reading, period=period, bill_no=f"{OTHER.customer}-{period}")  # type: ignore[call-arg]
        branch.an.make(made, branch.watch.now_ms)
    await branch.send(branch.an)
    (row,) = [one for one in (await state_of(branch.hub)).accounts if one["customer"] == OTHER.customer]
    assert len(row["change"].open_bills) == OPEN_BILLS_MAX + 1
    sender = await branch.hub.intake.sender(branch.an.key.kid)
    changes = await branch.hub.read(lambda connection: DeviceApi(branch.hub)._changes(connection, sender, ROUTES[1], 0))
    assert [len(stop.open_bills) for stop in changes.stops] == [OPEN_BILLS_MAX + 1]
    await publish(branch.hub, route_code=ROUTES[1], collector=AN, by="it")
    assert await branch.findings() == []


# What the office does.


async def test_what_a_failed_import_had_read_is_not_remembered(branch: Branch) -> None:
    def fail(connection: Connection) -> None:
        other = select(customer.c.stop).where(customer.c.customer == OTHER.customer)
        stop = connection.execute(other).scalar_one()
        connection.execute(update(customer).where(customer.c.customer == PAYER.customer).values(stop=stop))
        branch.hub.books.forget()
        assert branch.hub.books.bases(connection, [PAYER.customer])[PAYER.customer].base.stop.arrears == ()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await branch.hub.write(fail)
    branch.read(branch.an, PAYER, 10)
    await branch.send(branch.an)
    assert (await branch.account())["arrears_open_vnd"] == 50_000
    assert await branch.findings() == []


async def test_an_extract_of_another_period_is_refused_once_there_is_work(branch: Branch, tmp_path: Path) -> None:
    await branch.send(branch.an)
    before = await state_of(branch.hub)
    write_extract(tmp_path / "next", HOUSES)
    history = tmp_path / "next" / "history.csv"
    text = history.read_text(encoding="utf-8")
    history.write_text(text.replace("2026-10", "2026-11"), encoding="utf-8")
    with pytest.raises(OfficeError, match="closing a period is not built yet"):
        await import_extract(branch.hub, tmp_path / "next", by="it")
    assert await state_of(branch.hub) == before
    assert await branch.findings() == []


async def test_a_person_whose_name_no_paper_holds_is_refused_and_stops_nobody(branch: Branch, tmp_path: Path) -> None:
    await imported(branch, tmp_path / "extract", [PAYER, replace(OTHER, route=ROUTES[0])])  # A route is empty now.
    with pytest.raises(OfficeError, match="cannot stand on papers"):
        await add_person(
            branch.hub,
            code="moi",
            name="Người Mới",
            role="collector",
            phone="0950 000 001 hoặc 0950 000 002",
            by="it",
        )
    assert [await publish(branch.hub, route_code=route, collector=AN, by="it") for route in ROUTES] == [3, 3]
    branch.collect(branch.an, None, vnd=50_000)
    await branch.send(branch.an)
    assert await branch.findings() == []


# Bank lines.

BANK_HEADER = "bank_bin,bank_txn_id,value_time,account,amount_vnd,content\n"


async def bank(branch: Branch, file: Path, *lines: tuple[str, int, str]) -> StatementImported:
    """A statement of (transaction, amount, text) lines."""
    rows = [f"970436,{txn},2026-11-06T08:00:00+07:00,0123456789,{vnd},{text}\n" for txn, vnd, text in lines]
    await asyncio.to_thread(file.write_text, BANK_HEADER + "".join(rows), encoding="utf-8")
    return await import_statement(branch.hub, file, by="it")


async def test_a_register_number_that_moved_on_pays_who_has_it_now(branch: Branch, tmp_path: Path) -> None:
    successor = House("02000003", ROUTES[1], "household", 200, (("02000003-2026-10", "2026-10", 60_000),))
    await imported(branch, tmp_path / "extract", [PAYER, successor])  # In the second line, with its register number.
    done = await bank(branch, tmp_path / "bank.csv", ("FT1", 60_000, "TIEN NUOC 02050000002"))
    assert (done.new, done.matched) == (1, 1)
    assert (await branch.account(successor))["arrears_open_vnd"] == 0
    assert (await branch.account(OTHER))["bank_vnd"] == 0
    assert await branch.findings() == []


async def test_a_bank_line_that_comes_again_otherwise_is_said_and_not_posted(branch: Branch, tmp_path: Path) -> None:
    file, text = tmp_path / "bank.csv", "TIEN NUOC 02050000001"
    await bank(branch, file, ("FT1", 50_000, text))
    for line in (("FT1", 90_000, text), ("FT1", 50_000, text + "2")):
        done = await bank(branch, file, line)
        assert (done.new, done.known, done.changed) == (0, 1, ("FT1",))
    done = await bank(branch, file, ("FT1", 50_000, text))
    assert (done.new, done.known, done.changed) == (0, 1, ())
    assert (await branch.account())["bank_vnd"] == 50_000
    assert await branch.findings() == []


@pytest.mark.parametrize("at_once", [True, False])
async def test_long_transaction_names_that_begin_alike_are_two(
    branch: Branch, tmp_path: Path, *, at_once: bool
) -> None:
    lines = [("A" * 50 + str(number), 1_000 * number, "ai do") for number in (1, 2)]
    for part in [lines] if at_once else [lines[:1], lines[1:]]:
        await bank(branch, tmp_path / "bank.csv", *part)
    ledger = (await state_of(branch.hub)).ledger
    assert sorted(row["amount_vnd"] for row in ledger if row["account"] == "112") == [1_000, 2_000]
    assert [klass for klass, _, _ in await branch.cases()] == ["bank-unmatched"] * 2
    assert await branch.findings() == []


# Bytes meant to hurt.


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_nobody_can_read_is_unreadable_to_who_remembers_and_to_who_does_not(
    branch: Branch, fault: str
) -> None:
    """A record of the hub, well made, in a handheld's chain would be a handover nobody counted."""
    branch.an.make_unreadable(fault, branch.watch.now_ms)
    await branch.send(branch.an)
    assert await branch.cases() == [("unreadable", "1", False)]
    assert [row for row in (await state_of(branch.hub)).ledger if row["subject"].startswith("day:")] == []
    assert await branch.findings() == []


async def test_a_shift_at_the_end_of_time_holds_nothing_up(branch: Branch) -> None:
    """There is no day after it on which late cash could be charged, so it is no date."""
    an = branch.an
    record = ShiftOpened(period=PERIOD, business_date="9999-12-31", software="test")
    an._keep(seal(codec.encode(payload_of(an._header(branch.watch.now_ms), record)), an.key, Purpose.RECORD))
    branch.collect(an, None, vnd=50_000)
    await branch.send(an)
    assert await branch.cases() == [("unreadable", "1", False)]
    assert await owed(branch) == [50_000, 0, 0]
    with pytest.raises(OfficeError, match="has not come yet"):
        await branch.close_as_it_stands(AN, "9999-12-31")
    assert await branch.findings() == []


async def test_a_shift_of_a_date_to_come_keeps_its_cash_until_then(branch: Branch) -> None:
    branch.open_shift(branch.an, DAYS[2])
    branch.collect(branch.an, None, vnd=50_000)
    await branch.send(branch.an)
    with pytest.raises(OfficeError, match="has not come yet"):
        await branch.close_as_it_stands(AN, DAYS[2])
    await branch.close_as_it_stands(AN, DAYS[0])
    branch.go_on_to(DAYS[2])
    assert (await branch.close_as_it_stands(AN, DAYS[2])).hub_vnd == 50_000
    assert await branch.findings() == []


@pytest.mark.parametrize(
    ("credit_vnd", "rounding_vnd"), [(99_999, 90_000), (99_999, 10_000), (60_000, 10_001), (50_001, 9_999), (0, 0)]
)
async def test_credit_and_rounding_beyond_the_bill_are_no_collection(
    branch: Branch, credit_vnd: int, rounding_vnd: int
) -> None:
    """They would turn a payment into money that the customer gets."""
    an = branch.an
    record = CashCollected(
        customer=PAYER.customer,
        period=PERIOD,
        amount_vnd=50_000 - credit_vnd + rounding_vnd,
        bills=(f"{PAYER.customer}-2026-10",),
        bills_vnd=(50_000,),
        bill_periods=("2026-10",),
        receipt_no=1,
        credit_vnd=credit_vnd,
        rounding_vnd=rounding_vnd,
    )
    payload = payload_of(an._header(branch.watch.now_ms), record)
    an._keep(seal(codec.encode(payload), an.key, Purpose.RECORD))
    await branch.send(an)
    assert await branch.cases() == [("unreadable", "1", False)]
    assert (await branch.account())["arrears_open_vnd"] == 50_000
    assert await branch.findings() == []


async def test_the_cash_of_somebody_who_is_no_collector_here_can_be_settled(branch: Branch) -> None:
    """Its handheld was confirmed and signs another name: the cash is real, so its date can be closed."""
    branch.an.collector = "di.khach"
    branch.open_shift(branch.an, DAYS[0])
    branch.collect(branch.an, None, vnd=50_000)
    await branch.send(branch.an)
    assert await owed(branch, "di.khach") == [50_000, 0, 0]
    assert (await branch.close_as_it_stands("di.khach", DAYS[0])).difference_vnd == -50_000
    with pytest.raises(OfficeError, match="nobody with the code"):
        await branch.close_as_it_stands("nobody", DAYS[0])
    assert await owed(branch, BINH) == [0, 0, 0]
    assert await branch.findings() == []
