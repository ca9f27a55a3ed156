"""What may be asked for at a door, after what was read, paid and told."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists

from device.core.commands import CloseShift, OpenStop, Which
from device.core.effects import FetchChanges
from device.core.events import FetchFailed, PackagesArrived
from protocol import wire
from protocol.package import KnownReading, OpenBill, PastUse, Stop, seal_package, seal_policy
from protocol.reasons import Reason
from protocol.records import OPEN_BILLS_MAX, CashCollected, ReadingTaken
from protocol.sealed import Sealed
from protocol.values import DAY_MS
from tests.device.branch import HUB_KEY, NOON_MS, PERIOD, ROUTE, download, package, policy, stop
from tests.device.handset import OCTOBER, STOPS, USUAL_INDEX, USUAL_VND, Handset


@pytest.fixture
def walking() -> Handset:
    """A handheld in the middle of a day."""
    handset = Handset()
    handset.open_shift()
    return handset


# What is held.


def test_bank_payer_is_read_and_billed_but_never_asked_for_cash(walking: Handset) -> None:
    record = walking.read(4).record
    assert isinstance(record, ReadingTaken)
    assert (record.hold, record.bill is not None) == (Reason.PAYS_BY_TRANSFER, True)
    for which in Which:
        assert walking.refused(walking.pay(4, which, 53_900)) is Reason.PAYS_BY_TRANSFER


@pytest.mark.parametrize(("index", "hold"), [(90, "READING_BELOW_PREVIOUS"), (110, "CONSUMPTION_DROP")])
def test_held_reading_is_saved_and_arrears_stay_collectible(walking: Handset, index: int, hold: str) -> None:
    record = walking.read(3, index).record
    assert isinstance(record, ReadingTaken)
    assert record.hold == hold
    assert walking.refused(walking.pay(3, Which.CURRENT, 1)) == hold
    collected = walking.done(walking.pay(3)).record
    assert isinstance(collected, CashCollected)
    assert collected.bills == (OCTOBER.bill_no,)


def test_unexplained_index_makes_no_bill_even_for_a_bank_payer(walking: Handset) -> None:
    record = walking.read(4, 90).record
    assert isinstance(record, ReadingTaken)
    assert (record.hold, record.bill) == (Reason.PAYS_BY_TRANSFER, None)


def test_hub_tells_that_the_customer_now_pays_by_transfer(walking: Handset) -> None:
    walking.read(1)
    walking.hear(1, version=1, method="CK")
    assert walking.refused(walking.pay(1, amount_vnd=USUAL_VND)) is Reason.PAYS_BY_TRANSFER


def test_corrected_reading_lifts_the_hold(walking: Handset) -> None:
    walking.read(1, 110)
    walking.read(1)
    assert walking.due_vnd(1) == USUAL_VND


# What the hub tells, in changes and in a republished package.


def known_of(reading: Sealed, open_vnd: int) -> KnownReading:
    record = reading.record
    assert isinstance(record, ReadingTaken)
    return KnownReading(
        digest=reading.digest,
        index=record.index,
        code=record.code,
        use_m3=record.use_m3,
        bill=record.bill,
        open_vnd=open_vnd,
    )


def republish(handset: Handset, one: Stop, version: int = 2) -> None:
    handset.give(PackagesArrived(packages=download((one,), version)))


def test_paid_by_transfer_a_minute_ago_leaves_nothing_to_collect(walking: Handset) -> None:
    reading = walking.read(3)
    walking.hear(3, version=1, reading=reading.digest, settled_vnd=USUAL_VND)
    assert walking.refused(walking.pay(3, amount_vnd=USUAL_VND)) is Reason.NOTHING_TO_COLLECT


def test_transfer_of_a_part_leaves_the_rest(walking: Handset) -> None:
    reading = walking.read(3)
    rest = OpenBill(bill_no=f"C00003-{PERIOD}", period=PERIOD, amount_vnd=61_000)
    walking.hear(3, version=1, reading=reading.digest, settled_vnd=100_000, bills=(OCTOBER, rest))
    due = walking.session.work.stops["C00003"].due()
    assert due.bills == (OCTOBER, rest)


def test_arrears_the_hub_has_seen_paid_are_not_asked_for(walking: Handset) -> None:
    assert walking.due_vnd(3) == OCTOBER.amount_vnd
    walking.hear(3, version=1)
    assert walking.due_vnd(3) == 0


def test_older_word_of_the_hub_changes_nothing(walking: Handset) -> None:
    walking.hear(3, version=5)
    before = walking.store.memory()
    walking.hear(3, version=5, bills=(OCTOBER,))
    walking.hear(3, version=4, bills=(OCTOBER,))
    assert walking.due_vnd(3) == 0
    assert walking.store.memory() == before


def test_own_reading_that_a_republished_package_knows_to_be_paid(walking: Handset) -> None:
    reading = walking.read(1)
    republish(walking, replace(stop(1), known=known_of(reading, open_vnd=0)))
    work = walking.session.work.stops["C00001"]
    assert (work.is_read, work.is_paid()) == (True, True)
    assert walking.refused(walking.pay(1, amount_vnd=USUAL_VND)) is Reason.NOTHING_TO_COLLECT


def test_reading_made_elsewhere_can_be_collected_here_and_is_named(walking: Handset) -> None:
    other = Handset()
    other.open_shift()
    reading = other.read(1)
    republish(walking, replace(stop(1), known=known_of(reading, open_vnd=USUAL_VND)))
    record = walking.done(walking.pay(1)).record
    assert isinstance(record, CashCollected)
    assert (record.amount_vnd, record.reading) == (USUAL_VND, reading.digest)


def test_reading_made_elsewhere_is_held_by_the_same_rules(walking: Handset) -> None:
    other = Handset()
    other.open_shift()
    reading = other.read(1, 110)
    republish(walking, replace(stop(1), known=known_of(reading, open_vnd=77_000)))
    assert walking.refused(walking.pay(1, amount_vnd=77_000)) is Reason.CONSUMPTION_DROP


def test_what_was_paid_here_stays_paid_under_a_package_that_does_not_know_it(walking: Handset) -> None:
    walking.sold(3)
    republish(walking, STOPS[2])
    assert walking.due_vnd(3) == 0
    assert walking.session.work.stops["C00003"].is_paid()


def test_bill_paid_here_last_period_is_not_asked_for_in_the_next(walking: Handset) -> None:
    walking.sold(1)
    november = OpenBill(bill_no=f"C00001-{PERIOD}", period=PERIOD, amount_vnd=USUAL_VND)
    december = replace(package((stop(1, arrears=(november,)),), version=2), period="2026-12")
    sealed = wire.Packages(policy=seal_policy(policy(), HUB_KEY), packages=(seal_package(december, HUB_KEY),))
    walking.give(PackagesArrived(packages=sealed))
    assert walking.due_vnd(1) == 0


def test_voided_collection_is_owed_again(walking: Handset) -> None:
    walking.sold(3)
    walking.end_print()
    walking.done(walking.void(1))
    assert walking.due_vnd(3) == OCTOBER.amount_vnd + USUAL_VND


# What the hub said of another period, or before the package was signed, changes nothing.

LATER = 30 * DAY_MS


def december(stops: tuple[Stop, ...], changes: int) -> PackagesArrived:
    """The next period's package of the same route."""
    one = replace(
        package(stops, version=2, changes=changes),
        period="2026-12",
        issued_ms=NOON_MS + LATER - DAY_MS,
        expires_ms=NOON_MS + LATER + 40 * DAY_MS,
    )
    packages = wire.Packages(policy=seal_policy(policy(2), HUB_KEY), packages=(seal_package(one, HUB_KEY),))
    return PackagesArrived(packages=packages)


def read_in_november(number: int) -> Stop:
    """A stop as December's package has it."""
    past = PastUse(period=PERIOD, reading_date="2026-11-24", index=USUAL_INDEX, use_m3=21, days=31, code="normal")
    return replace(stop(number), history=(past,))


def into_december(handset: Handset, changes: int) -> None:
    """The day ends, a month passes, and a new day begins under the next package."""
    handset.done(CloseShift(intent=handset.intent()))
    handset.wait(LATER)
    handset.give(december((read_in_november(1), read_in_november(2)), changes))
    handset.restart()
    handset.open_shift()


def test_money_settled_last_period_is_not_taken_off_this_period_s_bill(walking: Handset) -> None:
    reading = walking.read(1)
    walking.hear(1, version=5, settled_vnd=USUAL_VND, reading=reading.digest)
    into_december(walking, changes=0)
    walking.read(1, 145)  # 24 m3.
    assert walking.due_vnd(1) == 184_000


def test_credit_and_form_of_payment_of_last_period_are_forgotten(walking: Handset) -> None:
    walking.hear(1, version=5, credit_vnd=50_000, bills=(OCTOBER,), method="CK")
    into_december(walking, changes=0)
    walking.read(1, 145)
    due = walking.session.work.stops["C00001"].due()
    assert (due.hold, due.credit_vnd, due.amount_vnd) == (None, 0, 184_000)


@pytest.mark.parametrize(("changes", "asked_vnd"), [(4, OCTOBER.amount_vnd), (5, 0), (6, 0)])
def test_package_signed_since_then_is_believed_on_arrears(walking: Handset, changes: int, asked_vnd: int) -> None:
    walking.hear(3, version=5, bills=(OCTOBER,))
    settled = replace(STOPS[2], arrears=())
    walking.give(PackagesArrived(packages=download((settled,), 2, changes=changes)))
    assert walking.due_vnd(3, Which.ARREARS) == asked_vnd
    walking.restart()
    assert walking.due_vnd(3, Which.ARREARS) == asked_vnd


@pytest.mark.parametrize(("changes", "hold"), [(4, None), (5, Reason.PAYS_BY_TRANSFER)])
def test_package_signed_since_then_is_believed_on_the_form_of_payment(
    walking: Handset, changes: int, hold: Reason | None
) -> None:
    walking.hear(1, version=5, method="TT")
    moved = replace(stop(1), payment_method="CK")
    walking.give(PackagesArrived(packages=download((moved,), 2, changes=changes)))
    walking.read(1)
    assert walking.session.work.stops["C00001"].hold() is hold
    assert walking.due_vnd(1) == (0 if hold else USUAL_VND)


def test_bill_paid_by_transfer_is_not_asked_for_again_once_the_hub_speaks_of_the_next_period(
    walking: Handset,
) -> None:
    reading = walking.read(1)
    walking.hear(1, version=5, settled_vnd=USUAL_VND, reading=reading.digest)
    walking.hear(1, version=6, period="2026-12")
    for _ in range(2):
        assert walking.refused(walking.pay(1, amount_vnd=USUAL_VND)) is Reason.NOTHING_TO_COLLECT
        walking.restart()


def test_bill_stays_due_when_the_hub_speaks_of_the_next_period(walking: Handset) -> None:
    walking.read(1)
    walking.hear(1, version=6, period="2026-12", settled_vnd=USUAL_VND, credit_vnd=7_000, method="CK")
    for _ in range(2):
        assert walking.due_vnd(1) == USUAL_VND
        walking.restart()


def asked_after(handset: Handset, customer: str) -> int:
    """From which counter a handheld asks for changes when a stop is opened."""
    effects = handset.give(OpenStop(customer=customer))
    (asked,) = [effect for effect in effects if isinstance(effect, FetchChanges)]
    handset.give(FetchFailed(what=ROUTE, sentence="no network"))
    return asked.after


def test_what_was_said_too_early_for_the_package_at_hand_is_asked_for_again_under_the_next(walking: Handset) -> None:
    walking.hear(1, version=9, period="2026-12", credit_vnd=84_000)
    walking.hear(6, version=10, credit_vnd=1_000)  # Of a customer who only stands in the next package.
    assert asked_after(walking, "C00001") == 10
    walking.give(december((read_in_november(1), read_in_november(6)), changes=8))
    for _ in range(2):
        assert asked_after(walking, "C00001") == 8
        walking.restart()
    walking.hear(1, version=10, period="2026-12", credit_vnd=84_000)
    walking.read(1, 145)
    assert walking.due_vnd(1) == 100_000


def test_what_the_package_says_already_is_not_asked_for(walking: Handset) -> None:
    walking.give(PackagesArrived(packages=download((stop(1),), 2, changes=12)))
    assert asked_after(walking, "C00001") == 12
    walking.hear(1, version=14)
    assert asked_after(walking, "C00001") == 14


# More bills than one record can name.


def test_oldest_bills_are_collected_first_when_there_are_too_many_for_one_receipt(walking: Handset) -> None:
    months = [f"{2024 + at // 12}-{at % 12 + 1:02d}" for at in range(OPEN_BILLS_MAX + 1)]
    bills = tuple(OpenBill(bill_no=f"C00001-{month}", period=month, amount_vnd=1_000) for month in months)
    walking.hear(1, version=3, bills=bills)
    reading = walking.read(1)
    first = walking.done(walking.pay(1)).record
    assert isinstance(first, CashCollected)
    assert (first.bill_periods, first.amount_vnd, first.reading) == (tuple(months), 25_000, None)
    second = walking.done(walking.pay(1)).record
    assert isinstance(second, CashCollected)
    assert (second.bill_periods, second.amount_vnd, second.reading) == ((PERIOD,), USUAL_VND, reading.digest)
    assert walking.due_vnd(1) == 0


# Credit and rounding.


def test_credit_is_set_against_the_bills_and_stands_on_the_record(walking: Handset) -> None:
    walking.hear(1, version=1, credit_vnd=61_000)
    walking.read(1)
    record = walking.done(walking.pay(1)).record
    assert isinstance(record, CashCollected)
    assert (record.amount_vnd, record.credit_vnd, record.bills_vnd) == (100_000, 61_000, (USUAL_VND,))


def test_credit_is_used_once(walking: Handset) -> None:
    walking.hear(3, version=1, credit_vnd=20_000, bills=(OCTOBER,))
    walking.read(3)
    walking.done(walking.pay(3, Which.ARREARS))
    assert walking.due_vnd(3) == USUAL_VND


def test_credit_comes_back_with_the_void_of_its_collection(walking: Handset) -> None:
    walking.hear(3, version=1, credit_vnd=20_000, bills=(OCTOBER,))
    walking.done(walking.pay(3, Which.ARREARS))
    walking.end_print()
    walking.done(walking.void(1))
    assert walking.due_vnd(3, Which.ARREARS) == OCTOBER.amount_vnd - 20_000


def test_credit_above_all_bills_leaves_nothing_to_collect(walking: Handset) -> None:
    walking.hear(1, version=1, credit_vnd=200_000)
    walking.read(1)
    assert walking.refused(walking.pay(1, amount_vnd=USUAL_VND)) is Reason.NOTHING_TO_COLLECT


@given(
    step_vnd=integers(1, 10_000),
    arrears_vnd=lists(integers(1, 10**7), max_size=4),
    credit_vnd=integers(0, 10**7),
    use_m3=integers(18, 26),
)
def test_collection_is_its_bills_less_credit_rounded_to_the_branch_s_coin(
    step_vnd: int, arrears_vnd: list[int], credit_vnd: int, use_m3: int
) -> None:
    arrears = tuple(
        OpenBill(bill_no=f"C00001-2026-0{month}", period=f"2026-0{month}", amount_vnd=amount_vnd)
        for month, amount_vnd in enumerate(arrears_vnd, start=1)
    )
    one = replace(stop(1, arrears=arrears[::-1]), credit_vnd=credit_vnd)
    rounding = replace(policy(), cash_rounding_vnd=step_vnd)
    packages = (seal_package(package((one,)), HUB_KEY),)
    handset = Handset(downloaded=False)
    handset.give(PackagesArrived(packages=wire.Packages(policy=seal_policy(rounding, HUB_KEY), packages=packages)))
    handset.open_shift()
    handset.read(1, 100 + use_m3)
    due = handset.session.work.stops["C00001"].due()
    asked = sum(bill.amount_vnd for bill in due.bills)
    assert [bill.period for bill in due.bills] == sorted(bill.period for bill in due.bills)
    assert due.credit_vnd == min(credit_vnd, asked)
    assert due.amount_vnd == asked - due.credit_vnd + due.rounding_vnd
    assert due.amount_vnd % step_vnd == 0
    assert -step_vnd < 2 * due.rounding_vnd <= step_vnd
    if due.amount_vnd > 0:
        record = handset.done(handset.pay(1)).record
        assert isinstance(record, CashCollected)
        total = sum(record.bills_vnd) - (record.credit_vnd or 0) + (record.rounding_vnd or 0)
        assert record.amount_vnd == total == due.amount_vnd
        assert handset.due_vnd(1) == 0
