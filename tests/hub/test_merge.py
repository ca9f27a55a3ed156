"""The merge: any order that chains allow, any split or duplication of uploads folds to one state: the oracle's.

Worlds are rounds on a seed (`rounds`); the oracle is a second opinion in plain loops. The situations below them are
the ones a person would ask about, each small enough to be read.
"""

import asyncio
from collections import Counter
from copy import copy
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Connection

from hub.app import Hub, post
from hub.books import Touched
from hub.cashier import take_paper_back
from hub.core.conflicts import ConflictClass
from protocol.chain import digest
from protocol.records import (
    HANDHELD_KINDS,
    BankCredited,
    CashReceived,
    CodeGiven,
    DayClosed,
    Decision,
    PackageRef,
    PaperReturned,
    PrintOutcome,
    Record,
    SupervisorDecided,
)
from protocol.values import start_of_day_ms
from tests.hub.branch import (
    AN,
    BINH,
    HOUSES,
    STRANGER,
    Branch,
    case_rows,
    cash_in,
    head,
    open_branch,
    totals,
    unmatched_line,
)
from tests.hub.oracle import opinion
from tests.hub.rounds import World, live
from tests.hub.worlds import (
    DAYS,
    FAULTS,
    HUB_KEY,
    HUB_SEED,
    MORNING_MS,
    PERIOD,
    UPLOAD_SIZES,
    Folded,
    Watch,
    attempt_from_the_middle,
    bring,
    open_copy,
    state_of,
)

SEEDS = tuple(range(1, 8))
ORDERS = 2  # Other orders that each world is brought to a fresh hub in.
OFTEN = 20  # What must occur at least so often in all worlds together.
KINDS: set[type[Record]] = {
    *HANDHELD_KINDS.values(),
    BankCredited,
    CashReceived,
    PaperReturned,
    SupervisorDecided,
    DayClosed,
    CodeGiven,
}
CASH_ACCOUNTS = ("1111", "1381", "3381")


# Worlds.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worlds")


@pytest.fixture(scope="module")
def worlds(folder: Path) -> dict[int, World]:
    """Every world, played once."""
    return {seed: asyncio.run(live(seed, folder / f"world-{seed}")) for seed in SEEDS}


async def replay(world: World, random: Random, home: Path) -> Folded:
    """The same signed bytes to a fresh hub, in another order that the chains allow."""
    hub = await open_copy(world.setting, home, Watch())
    chains = [copy(one) for one in world.chains]
    for one in chains:
        one.sent = 0
    log = list(world.of_hub)
    try:
        while log or any(one.sent < len(one.messages) for one in chains):
            waiting = [one for one in chains if one.sent < len(one.messages)]
            if log and (not waiting or random.random() < 0.4):
                for _ in range(min(len(log), random.choice((1, 1, 3, 12)))):
                    await replay_one(hub, log.pop(0))
                continue
            one = random.choice(waiting)
            if len(one.messages) - one.sent > 1 and random.random() < 0.1:
                await attempt_from_the_middle(hub, one, world.counted)
            start = max(0, one.sent - random.choice((0, 0, 1, 9)))
            await bring(hub, one, start, one.sent + random.choice(UPLOAD_SIZES), world.counted)
        return await state_of(hub)
    finally:
        await hub.close()


async def replay_one(hub: Hub, message: bytes) -> None:
    """A record the hub sealed in another life."""

    def work(connection: Connection) -> None:
        touched = hub.books.touched_by(connection, hub.books.replay(connection, message))
        if touched != Touched.nothing():
            hub.books.refold(connection, touched)

    await hub.write(work)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_hub_says_what_plain_loops_say(worlds: dict[int, World], seed: int) -> None:
    world = worlds[seed]
    wanted = opinion(world.messages, HUB_KEY.kid, HUB_SEED, world.opened, PERIOD)
    found = {
        row["customer"]: {name: row[name] for name in wanted.customers[row["customer"]]} for row in world.state.accounts
    }
    assert found == wanted.customers
    assert totals(world.state) == wanted.ledger
    assert case_rows(world.state) == wanted.cases


@pytest.mark.parametrize("seed", SEEDS)
def test_any_order_the_chains_allow_folds_to_one_state(worlds: dict[int, World], seed: int, folder: Path) -> None:
    world = worlds[seed]
    for order in range(ORDERS):
        state = asyncio.run(replay(world, Random(f"{seed} {order}"), folder / f"world-{seed}-order-{order}"))
        assert state.facts == world.state.facts
        assert state.accounts == world.state.accounts
        assert state.ledger == world.state.ledger
        assert state.cases == world.state.cases


@pytest.mark.parametrize("seed", SEEDS)
def test_all_signed_records_are_facts_and_each_once(worlds: dict[int, World], seed: int) -> None:
    assert sorted(row["message"] for row in worlds[seed].state.facts) == sorted(worlds[seed].messages)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_entry_balances_and_a_customer_owes_what_is_open(worlds: dict[int, World], seed: int) -> None:
    state = worlds[seed].state
    entries: Counter[tuple[str, int]] = Counter()
    owed: Counter[str] = Counter()
    for row in state.ledger:
        entries[row["subject"], row["entry"]] += row["amount_vnd"]
        if row["account"] == "131":
            owed[row["subject"].removeprefix("account:")] += row["amount_vnd"]
    assert set(entries.values()) == {0}
    for row in state.accounts:
        open_vnd = row["bill_open_vnd"] + row["arrears_open_vnd"]
        assert owed[row["customer"]] == open_vnd - row["credit_vnd"], row["customer"]
        assert open_vnd == 0 or row["credit_vnd"] == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_collector_holds_what_was_collected_less_reversed_less_handed_in(worlds: dict[int, World], seed: int) -> None:
    """Counted from the records: disputed cash is owed like any other."""
    world = worlds[seed]
    wanted: Counter[str] = Counter()
    known_vnd = 0
    for row in world.state.ledger:
        if row["account"] == "1111" and row["subject"].startswith("account:"):
            wanted[row["party"]] += row["amount_vnd"]
            known_vnd += row["amount_vnd"] if row["subject"][8:] in world.opened else 0
    assert known_vnd == sum(row["cash_vnd"] for row in world.state.accounts)
    for row in world.state.ledger:
        if row["account"] == "1112":
            day, collector, _ = row["subject"].split(":")
            assert day == "day"
            wanted[collector] -= row["amount_vnd"]
    found: Counter[str] = Counter()
    for row in world.state.ledger:
        if row["account"] in CASH_ACCOUNTS:
            found[row["party"]] += row["amount_vnd"]
    assert found == wanted


def test_every_kind_and_every_class_occurs_often(worlds: dict[int, World]) -> None:
    """Runs after the orders: their duplicates and gaps count too."""
    kinds = Counter(row["kind"] for world in worlds.values() for row in world.state.facts)
    assert {kind.__name__: kinds[kind.KIND] for kind in KINDS if kinds[kind.KIND] < OFTEN} == {}
    classes = Counter(row["klass"] for world in worlds.values() for row in world.state.cases)
    for world in worlds.values():
        classes.update({name: world.counted[name] for name in ("duplicate", "gap")})
    assert {klass.value: classes[klass.value] for klass in ConflictClass if classes[klass.value] < OFTEN} == {}


# Situations.


async def test_fork_is_kept_for_the_supervisor(branch: Branch) -> None:
    an = branch.an
    before = branch.collect(an, branch.read(an, HOUSES[1], 10), HOUSES[1])
    twin = an.clone()
    reading = branch.read(an, HOUSES[0], 10)
    cash = branch.collect(an, reading)
    other = branch.collect(twin, branch.read(twin, HOUSES[0], 12))
    await branch.send(an)
    await branch.send(twin)
    both_vnd = cash_in(cash) + cash_in(other)
    found = await branch.account()
    assert (found["reading"], found["suspense_vnd"], found["arrears_open_vnd"]) == (b"", both_vnd, 50_000)
    assert (await branch.account(HOUSES[1]))["bill_open_vnd"] == 0
    assert ("fork", "1", False) in await branch.cases()
    assert sum((await branch.with_collector(AN)).values()) == both_vnd + cash_in(before)
    await branch.settle(ConflictClass.FORK, Decision.ADOPT_BRANCH, an.tip.digest)
    found = await branch.account()
    assert (found["reading"], found["bill_open_vnd"]) == (reading.digest, 0)
    assert found["suspense_vnd"] == cash_in(other)


async def test_a_fork_counts_for_nothing_from_its_first_record_on(branch: Branch) -> None:
    twin = branch.an.clone()
    branch.read(branch.an, HOUSES[0], 10)
    branch.open_shift(twin, DAYS[0])
    await branch.send(branch.an)
    await branch.send(twin)
    assert (await branch.account())["reading"] == b""


async def test_a_clone_goes_on_past_the_head_of_the_other(branch: Branch) -> None:
    an = branch.an
    twin = an.clone()
    for use_m3 in (1, 2, 3):
        branch.read(an, HOUSES[0], use_m3)
        branch.read(twin, HOUSES[1], use_m3)
    await branch.send(an)
    await branch.send(twin)
    branch.read(twin, HOUSES[1], 4)
    await branch.send(twin)
    stored = {row["message"] for row in (await state_of(branch.hub)).facts if row["device"] == an.device}
    assert stored == {*an.messages, *twin.messages}
    known, _ = await branch.hub.intake.head(an.device)
    assert (known.seq, known.digest) == an.tip  # What the hub asks the first branch to go on from.


async def test_void_before_paper_gives_the_bill_back(branch: Branch) -> None:
    cash = branch.collect(branch.an, branch.read(branch.an, HOUSES[0], 10))
    branch.printed(branch.an, cash, PrintOutcome.NOT_PRINTED)
    branch.void(branch.an, cash)
    await branch.send(branch.an)
    found = await branch.account()
    assert (found["bill_open_vnd"], found["cash_vnd"]) == (found["bill_vnd"], 0)
    assert await branch.with_collector(AN) == {}
    assert await branch.cases() == [("void-before-paper", "02000001", False)]


@pytest.mark.parametrize("outcome", [PrintOutcome.PRINTED, PrintOutcome.UNKNOWN])
async def test_void_with_paper_out_stays_owed_until_the_paper_is_back(branch: Branch, outcome: PrintOutcome) -> None:
    cash = branch.collect(branch.an, branch.read(branch.an, HOUSES[0], 10))
    branch.printed(branch.an, cash, outcome)
    branch.void(branch.an, cash)
    await branch.send(branch.an)
    assert (await branch.account())["bill_open_vnd"] == 0
    assert await branch.with_collector(AN) == {DAYS[0]: cash_in(cash)}
    assert await branch.cases() == [("void-with-paper-out", "02000001", False)]
    await take_paper_back(branch.hub, device=1, receipt_no=1, by="cashier")
    found = await branch.account()
    assert found["bill_open_vnd"] == found["bill_vnd"] != 0
    assert await branch.with_collector(AN) == {}
    assert await branch.cases() == [("void-with-paper-out", "02000001", True)]


async def test_void_after_the_cut_is_too_late_until_a_supervisor_accepts(branch: Branch) -> None:
    cash = branch.collect(branch.an, branch.read(branch.an, HOUSES[0], 10))
    await branch.send(branch.an)
    await branch.close(AN, DAYS[0], head(branch.an))
    branch.void(branch.an, cash)
    await branch.send(branch.an)
    assert (await branch.account())["bill_open_vnd"] == 0
    assert ("void-too-late", "02000001", False) in await branch.cases()
    branch.watch.now_ms = start_of_day_ms(DAYS[1]) + MORNING_MS
    await branch.settle(ConflictClass.VOID_TOO_LATE, Decision.ACCEPT_VOID)
    vnd = cash_in(cash)
    assert await branch.with_collector(AN) == {DAYS[0]: vnd, DAYS[1]: -vnd}
    assert ("void-too-late", "02000001", True) in await branch.cases()


async def test_a_date_closed_late_does_not_come_between_a_later_collection_and_its_void(
    branch: Branch, small_setting: Path, tmp_path: Path
) -> None:
    """The cut of one date names positions of the next morning too, and says nothing of that date's receipts.

    Whoever else is folded in the same transaction, the answer is the same.
    """
    an = branch.an
    branch.read(an, HOUSES[1], 10)
    branch.open_shift(an, DAYS[1])
    cash = branch.collect(an, branch.read(an, HOUSES[0], 10))
    covered = head(an)
    branch.void(an, cash)
    async with open_branch(small_setting, tmp_path / "other") as other:
        await other.close(AN, DAYS[0], covered)
        await other.send(an)
        together = await other.cases()
    await branch.close(AN, DAYS[0], covered)
    for number in range(len(an.messages)):
        await branch.hub.intake.take(an.messages[number])
    assert await branch.cases() == together
    assert ("void-before-paper", "02000001", False) in together


async def test_late_fact_posts_to_the_next_open_day(branch: Branch) -> None:
    await branch.send(branch.an)
    await branch.close(AN, DAYS[0], head(branch.an))
    cash = branch.collect(branch.an, None, vnd=50_000)
    await branch.send(branch.an)
    assert await branch.with_collector(AN) == {DAYS[1]: cash_in(cash)}
    assert await branch.cases() == [("fact-after-close", "02000001", False)]


async def test_late_fact_moves_on_when_the_next_day_closes_without_it(branch: Branch) -> None:
    """The record is here before both cuts, as when a log is played back; it posts as if it had come after them."""
    behind = head(branch.an)
    branch.collect(branch.an, None, vnd=50_000)
    await branch.send(branch.an)
    await branch.close(AN, DAYS[0], behind)
    await branch.close(AN, DAYS[1], behind)
    assert await branch.with_collector(AN) == {DAYS[2]: 50_000}


async def test_a_clones_cash_does_not_change_a_day_closed_at_the_other_branch(branch: Branch) -> None:
    """A cut names a record, not just a number: what hangs on another branch was not known then."""
    twin = branch.an.clone()
    branch.collect(branch.an, None, vnd=50_000)
    branch.read(branch.an, HOUSES[1], 10)
    branch.collect(twin, None, vnd=50_000)
    await branch.send(branch.an)
    await branch.close(AN, DAYS[0], head(branch.an))
    await branch.send(twin)
    assert await branch.with_collector(AN) == {DAYS[0]: 50_000, DAYS[1]: 50_000}


async def test_the_later_reading_counts_whichever_came_first(branch: Branch) -> None:
    early = branch.read(branch.an, HOUSES[0], 10)
    branch.watch.now_ms += 60_000
    late = branch.read(branch.binh, HOUSES[0], 11)
    await branch.send(branch.binh)
    await branch.send(branch.an)
    assert early.digest != late.digest
    assert (await branch.account())["reading"] == late.digest
    assert await branch.cases() == [("readings-disagree", "02000001", False)]


async def test_a_payment_freezes_the_reading_it_names(branch: Branch) -> None:
    reading = branch.read(branch.an, HOUSES[0], 10)
    branch.collect(branch.an, reading)
    branch.watch.now_ms += 60_000
    branch.read(branch.binh, HOUSES[0], 14)
    await branch.send(branch.an)
    await branch.send(branch.binh)
    assert (await branch.account())["reading"] == reading.digest
    assert await branch.cases() == [("re-read-after-payment", "02000001", False)]


async def test_a_wrong_clock_is_held_to_the_package_it_names(branch: Branch) -> None:
    """It is years slow: the reading counts as made when the package was issued, before every other."""
    branch.an.skew_ms = -(10**11)
    branch.read(branch.an, HOUSES[0], 10)
    right = branch.read(branch.binh, HOUSES[0], 11)
    await branch.send(branch.binh)
    await branch.send(branch.an)
    found = await branch.account()
    assert (found["reading"], found["collector"]) == (right.digest, BINH)


async def test_money_for_two_named_bills_leaves_older_ones_alone(branch: Branch) -> None:
    branch.collect(branch.an, branch.read(branch.an, HOUSES[0], 10))
    await branch.send(branch.an)
    found = await branch.account()
    assert (found["bill_open_vnd"], found["arrears_open_vnd"]) == (0, 50_000)


async def test_a_bill_paid_twice_is_a_credit(branch: Branch) -> None:
    for one in (branch.an, branch.binh):
        branch.collect(one, None, vnd=50_000)
        await branch.send(one)
    found = await branch.account()
    assert (found["arrears_open_vnd"], found["credit_vnd"]) == (0, 50_000)
    assert await branch.cases() == [("paid-twice", "02000001", False)]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_record_nobody_can_read_does_not_stop_the_chain(branch: Branch, fault: str) -> None:
    branch.an.make_unreadable(fault, branch.watch.now_ms)
    reading = branch.read(branch.an, HOUSES[0], 10)
    await branch.send(branch.an)
    assert (await branch.account())["reading"] == reading.digest
    assert await branch.cases() == [("unreadable", "1", False)]


@pytest.mark.parametrize(
    "klass",
    [
        ConflictClass.RECEIPT_MISSING,
        ConflictClass.UNREADABLE,
        ConflictClass.BANK_UNMATCHED,
        ConflictClass.UNKNOWN_CUSTOMER,
    ],
)
async def test_a_note_settles_a_case_of_whatever_it_is_about(branch: Branch, klass: ConflictClass) -> None:
    if klass is ConflictClass.RECEIPT_MISSING:
        branch.an.receipt_no = 4
        branch.collect(branch.an, None, vnd=50_000)
    elif klass is ConflictClass.UNKNOWN_CUSTOMER:
        branch.collect(branch.an, None, STRANGER, vnd=30_000)
    elif klass is ConflictClass.UNREADABLE:
        branch.an.make_unreadable("kind", branch.watch.now_ms)
    else:
        await branch.hub.record(unmatched_line())
    await branch.send(branch.an)
    assert [settled for name, _, settled in await branch.cases() if name == klass.value] == [False]
    await branch.settle(klass, Decision.NOTED)
    assert [settled for name, _, settled in await branch.cases() if name == klass.value] == [True]


async def test_cash_of_a_customer_nobody_knows_is_owed_all_the_same(branch: Branch) -> None:
    branch.collect(branch.an, None, STRANGER, vnd=30_000)
    await branch.send(branch.an)
    assert await branch.with_collector(AN) == {DAYS[0]: 30_000}


async def test_a_reading_that_cannot_be_priced_does_not_stop_the_queue(branch: Branch) -> None:
    """Signed and in range is stored: where no tariff of ours has a price, a person is shown the difference."""
    branch.an.at_ms, branch.an.skew_ms, branch.an.package = 0, -(10**12), PackageRef("unknown", 1)
    branch.read(branch.an, HOUSES[0], 10)
    branch.collect(branch.an, None, HOUSES[1], vnd=20_000)
    await branch.send(branch.an)
    assert await branch.with_collector(AN) == {DAYS[0]: 20_000}
    assert ("bill-differs", "02000001", False) in await branch.cases()


async def test_bank_money_pays_the_bill_it_equals_before_an_older_one(branch: Branch) -> None:
    branch.read(branch.an, HOUSES[0], 10)
    await branch.send(branch.an)
    await branch.hub.record(replace(unmatched_line(), amount_vnd=98_791, customer=HOUSES[0].customer))
    found = await branch.account()
    assert (found["bill_open_vnd"], found["bill_bank_vnd"], found["arrears_open_vnd"]) == (0, 98_791, 50_000)


async def test_a_void_by_another_handheld_is_too_late(branch: Branch) -> None:
    cash = branch.collect(branch.an, None, vnd=50_000)
    branch.void(branch.binh, cash)
    await branch.send(branch.an)
    await branch.send(branch.binh)
    assert await branch.with_collector(AN) == {DAYS[0]: 50_000}
    assert await branch.cases() == [("void-too-late", "02000001", False)]


async def test_surplus_pays_what_is_open_before_it_is_a_credit(branch: Branch) -> None:
    branch.read(branch.an, HOUSES[0], 10)
    for one in (branch.an, branch.binh):
        branch.collect(one, None, vnd=50_000)
        await branch.send(one)
    found = await branch.account()
    assert (found["bill_open_vnd"], found["credit_vnd"]) == (98_791 - 50_000, 0)


async def test_a_void_on_a_quarantined_branch_does_not_count(branch: Branch) -> None:
    """A clone must not be able to take back what was collected before it was made."""
    cash = branch.collect(branch.an, None, vnd=50_000)
    twin = branch.an.clone()
    branch.read(branch.an, HOUSES[1], 10)
    branch.void(twin, cash)
    await branch.send(branch.an)
    await branch.send(twin)
    assert await branch.with_collector(AN) == {DAYS[0]: 50_000}
    assert (await branch.account())["arrears_open_vnd"] == 0


async def test_a_clock_years_ahead_counts_as_the_packages_last_moment(branch: Branch) -> None:
    """Of two clocks beyond the end, the handheld's number decides, not who is further ahead."""
    branch.an.skew_ms, branch.binh.skew_ms = 2 * 10**11, 10**11
    branch.read(branch.an, HOUSES[0], 10)
    last = branch.read(branch.binh, HOUSES[0], 11)
    await branch.send(branch.binh)
    await branch.send(branch.an)
    assert (await branch.account())["reading"] == last.digest


async def test_a_decision_before_its_branch_has_come_counts_when_it_comes(branch: Branch) -> None:
    twin = branch.an.clone()
    branch.read(branch.an, HOUSES[1], 3)
    reading = branch.read(twin, HOUSES[0], 10)
    made = SupervisorDecided(
        decision=Decision.ADOPT_BRANCH, subject=digest(twin.messages[-1]), reason="seen", by="supervisor", device=1
    )
    await branch.hub.write(lambda connection: post(connection, branch.hub.books, made, branch.watch.now_ms))
    await branch.send(branch.an)
    await branch.send(twin)
    assert (await branch.account())["reading"] == reading.digest
    assert (await branch.account(HOUSES[1]))["reading"] == b""
