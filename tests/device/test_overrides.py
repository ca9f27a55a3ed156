"""Holds lifted by a supervisor, visits to come back from, old screens, and two people with one handheld."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from device.core.commands import CloseShift, OpenLogIn, OpenShift, PrintPaper, SkipReading, Which
from device.core.events import FixAcquired, PackagesArrived
from device.core.papers import HOLD_SENTENCES
from device.core.pen import FIX_AGE_MAX_S
from protocol.codes import code_proof
from protocol.document import as_text
from protocol.package import seal_package, seal_policy
from protocol.reasons import Reason
from protocol.records import (
    CashCollected,
    ContactNoted,
    ContactOutcome,
    LogInOpened,
    PaperKind,
    ReadingSkipped,
    ReadingTaken,
    RuleOverridden,
)
from protocol.sealed import Sealed
from protocol.values import DAY_MS, Fix, NoFix
from protocol.wire import Packages
from tests.device.branch import CODES, COLLECTOR, HUB_KEY, SECOND_COLLECTOR, package, policy, stop
from tests.device.handset import OCTOBER, STOPS, USUAL_INDEX, USUAL_VND, Handset

DROP_INDEX, DROP_VND = 110, 76_667  # 10 m3 where 20 are usual.
PHOTO = bytes(range(32))


@pytest.fixture
def walking() -> Handset:
    """A handheld in the middle of a day."""
    handset = Handset()
    handset.open_shift()
    return handset


def printed(handset: Handset, kind: PaperKind, number: int) -> str:
    """The words of a paper, however its lines break; it comes out well."""
    handset.give(PrintPaper(kind=kind, customer=f"C{number:05d}"))
    text = as_text(handset.printing[0].document, 48)
    handset.end_print()
    return " ".join(text.split())


# Overrides.


def test_lifted_hold_lets_the_money_of_that_reading_be_taken(walking: Handset) -> None:
    reading = walking.read(1, DROP_INDEX)
    assert walking.refused(walking.pay(1, amount_vnd=DROP_VND)) is Reason.CONSUMPTION_DROP
    record = walking.done(walking.override(1)).record
    assert record == RuleOverridden(
        customer="C00001",
        period="2026-11",
        reading=reading.digest,
        hold="CONSUMPTION_DROP",
        reason=walking.override(1).because,
        code_no=0,
        proof=code_proof(CODES[0], reading.digest),
    )
    collected = walking.done(walking.pay(1)).record
    assert isinstance(collected, CashCollected)
    assert (collected.amount_vnd, collected.reading) == (DROP_VND, reading.digest)


def test_new_reading_is_held_again_and_its_code_is_another(walking: Handset) -> None:
    walking.read(1, DROP_INDEX)
    walking.done(walking.override(1))
    walking.read(1, DROP_INDEX)
    assert walking.due_vnd(1) == 0
    assert walking.refused(walking.override(1)) is Reason.CODE_USED
    walking.done(walking.override(1, CODES[1]))
    assert walking.due_vnd(1) == DROP_VND


def test_override_names_the_reading_that_counts_and_a_usual_one_after_it_needs_none(walking: Handset) -> None:
    walking.read(1, DROP_INDEX)
    walking.done(walking.override(1))
    walking.read(1, USUAL_INDEX)
    assert walking.due_vnd(1) == USUAL_VND
    assert walking.refused(walking.override(1, CODES[1])) is Reason.NOTHING_TO_OVERRIDE


def test_hold_of_one_customer_lifted_is_nobody_else_s(walking: Handset) -> None:
    for number in (1, 2):
        walking.read(number, DROP_INDEX)
    walking.done(walking.override(1))
    assert (walking.due_vnd(1), walking.due_vnd(2)) == (DROP_VND, 0)


def test_arrears_are_asked_for_before_and_after_alike(walking: Handset) -> None:
    walking.read(3, DROP_INDEX)
    assert walking.due_vnd(3) == walking.due_vnd(3, Which.ARREARS) == OCTOBER.amount_vnd
    walking.done(walking.override(3))
    assert walking.due_vnd(3, Which.ARREARS) == OCTOBER.amount_vnd
    assert walking.due_vnd(3, Which.CURRENT) == DROP_VND
    assert walking.due_vnd(3) == OCTOBER.amount_vnd + DROP_VND


@pytest.mark.parametrize(("number", "reason"), [(4, Reason.PAYS_BY_TRANSFER), (5, Reason.PAYS_BY_COLLECTION_ORDER)])
@pytest.mark.parametrize("index", [USUAL_INDEX, DROP_INDEX, 90])
def test_no_code_takes_cash_from_who_pays_elsewhere(
    walking: Handset, number: int, reason: Reason, index: int
) -> None:
    walking.read(number, index)
    assert walking.refused(walking.override(number)) is Reason.NOTHING_TO_OVERRIDE
    assert walking.refused(walking.pay(number, amount_vnd=USUAL_VND)) is reason


def test_customer_who_turns_to_the_bank_after_an_override_pays_no_cash(walking: Handset) -> None:
    walking.read(1, DROP_INDEX)
    walking.done(walking.override(1))
    walking.hear(1, version=1, method="CK")
    assert walking.due_vnd(1) == 0
    assert walking.refused(walking.pay(1, amount_vnd=DROP_VND)) is Reason.PAYS_BY_TRANSFER


def test_index_below_the_old_one_has_no_bill_and_lifting_the_hold_makes_none_up(walking: Handset) -> None:
    walking.read(1, 90)
    walking.done(walking.override(1))
    assert walking.due_vnd(1) == 0
    assert walking.refused(walking.pay(1, amount_vnd=1)) is Reason.NOTHING_TO_COLLECT


def test_override_without_reading_shift_or_customer_is_refused(walking: Handset) -> None:
    assert walking.refused(walking.override(1)) is Reason.NOTHING_TO_OVERRIDE
    assert walking.refused(walking.override(99)) is Reason.CUSTOMER_NOT_ON_ROUTE
    walking.read(1, DROP_INDEX)
    walking.done(CloseShift(intent=walking.intent()))
    assert walking.refused(walking.override(1)) is Reason.NO_OPEN_SHIFT


def test_papers_ask_for_the_money_once_the_hold_is_lifted(walking: Handset) -> None:
    sentence = HOLD_SENTENCES[Reason.CONSUMPTION_DROP]
    walking.read(1, DROP_INDEX)
    for kind in (PaperKind.BILL_NOTICE, PaperKind.NOTICE):
        held = printed(walking, kind, 1)
        assert sentence in held
        assert "76.667" not in held
    walking.done(walking.override(1))
    for kind in (PaperKind.BILL_NOTICE, PaperKind.NOTICE):
        lifted = printed(walking, kind, 1)
        assert sentence not in lifted
        assert "76.667" in lifted


def test_replay_lifts_the_same_holds_and_knows_the_same_codes(walking: Handset) -> None:
    walking.read(1, DROP_INDEX)
    walking.read(2, DROP_INDEX)
    walking.done(walking.override(1))
    walking.restart()
    assert (walking.due_vnd(1), walking.due_vnd(2)) == (DROP_VND, 0)
    assert walking.refused(walking.override(2)) is Reason.CODE_USED
    walking.give(PackagesArrived(packages=republished()))
    assert (walking.due_vnd(1), walking.due_vnd(2)) == (DROP_VND, 0)
    assert walking.refused(walking.override(2)) is Reason.CODE_USED


def republished() -> Packages:
    again = seal_package(package(STOPS, version=2), HUB_KEY)
    return Packages(policy=seal_policy(policy(2), HUB_KEY), packages=(again,))


def test_code_spent_on_a_log_in_needs_no_shift_and_is_used_for_holds_too(walking: Handset) -> None:
    handset = Handset()
    opened = OpenLogIn(intent=handset.intent(), collector=COLLECTOR, supervisor_code=CODES[0])
    sealed = handset.done(opened)
    proof = code_proof(CODES[0], COLLECTOR.encode())
    assert sealed.record == LogInOpened(period="2026-11", code_no=0, proof=proof)
    assert handset.done(opened).message == sealed.message
    handset.restart()
    handset.open_shift()
    handset.read(1, DROP_INDEX)
    assert handset.refused(handset.override(1)) is Reason.CODE_USED
    again = replace(opened, intent=handset.intent())
    assert handset.refused(again) is Reason.CODE_USED
    assert handset.refused(replace(again, collector=SECOND_COLLECTOR)) is Reason.NO_PACKAGE


# Visits to come back from.


def test_promise_stands_until_the_bill_is_paid_and_after_a_void_again(walking: Handset) -> None:
    record = walking.done(walking.contact(1, "2026-11-30")).record
    assert record == ContactNoted(
        customer="C00001", period="2026-11", outcome=ContactOutcome.PAYS_LATER, come_back="2026-11-30"
    )
    work = walking.session.work
    assert [one.stop.customer for one in work.stops.values() if one.comes_back] == ["C00001"]
    walking.sold(1)
    walking.end_print()
    assert not work.stops["C00001"].comes_back
    walking.done(walking.void(1))
    walking.restart()
    assert walking.session.work.stops["C00001"].comes_back


def test_last_promise_counts_and_a_visit_may_be_noted_without_a_date(walking: Handset) -> None:
    walking.done(walking.contact(1, "2026-11-30"))
    last = walking.done(walking.contact(1))
    walking.restart()
    contact = walking.session.work.stops["C00001"].contact
    assert contact is not None
    assert contact.message == last.message


@pytest.mark.parametrize("date", ["2026-11-31", "30/11/2026", "", "1999-01-01"])
def test_promise_for_a_day_that_does_not_exist_is_asked_for_again(walking: Handset, date: str) -> None:
    assert walking.refused(walking.contact(1, date)) is Reason.DATE_INPUT


def test_promise_moves_no_money_and_reads_no_meter(walking: Handset) -> None:
    before = walking.session.work.progress(), walking.due_vnd(3)
    walking.done(walking.contact(3))
    assert (walking.session.work.progress(), walking.due_vnd(3)) == before
    day = walking.session.work.days[COLLECTOR, "2026-11-24"]
    assert (day.read, day.skipped, day.cash_vnd) == (set(), set(), 0)


def test_visit_needs_a_shift_and_a_customer_of_the_route(walking: Handset) -> None:
    assert walking.refused(walking.contact(99)) is Reason.CUSTOMER_NOT_ON_ROUTE
    walking.done(CloseShift(intent=walking.intent()))
    assert walking.refused(walking.contact(1)) is Reason.NO_OPEN_SHIFT


# Screens and pictures.


def mark(handset: Handset, number: int) -> bytes:
    return handset.session.work.stops[f"C{number:05d}"].mark


def test_screen_is_as_old_as_the_last_record_of_its_customer(walking: Handset) -> None:
    seen = {mark(walking, 1)}
    skip = SkipReading(intent=walking.intent(), customer="C00001", code="house_closed")
    steps: tuple[Callable[[], Sealed], ...] = (
        lambda: walking.done(skip),
        lambda: walking.done(walking.contact(1)),
        lambda: walking.read(1, DROP_INDEX),
        lambda: walking.done(walking.override(1)),
        lambda: walking.done(walking.pay(1)),
        lambda: walking.done(walking.void(1)),
    )
    for step in steps:
        old = mark(walking, 1)
        step()
        if walking.printing:
            walking.end_print()
        assert mark(walking, 1) not in seen
        seen.add(mark(walking, 1))
        assert walking.refused(replace(walking.take(1), seen=old)) is Reason.SCREEN_IS_OLD
        assert walking.refused(replace(skip, intent=walking.intent(), seen=old)) is Reason.SCREEN_IS_OLD
    kept = mark(walking, 1)
    walking.read(2)
    walking.restart()
    assert mark(walking, 1) == kept, "neither another customer nor a restart makes a screen old"
    walking.done(replace(walking.take(1), seen=kept))


def test_same_tap_again_from_a_screen_that_it_made_old_is_the_same_record(walking: Handset) -> None:
    tap = replace(walking.take(1), seen=mark(walking, 1))
    first = walking.done(tap)
    assert walking.done(tap).message == first.message
    assert walking.kinds.count(ReadingTaken) == 1


def test_picture_is_named_by_the_record_it_belongs_to(walking: Handset) -> None:
    read = walking.done(replace(walking.take(1), photo=PHOTO)).record
    skip = SkipReading(intent=walking.intent(), customer="C00002", code="house_closed", photo=PHOTO)
    skipped = walking.done(skip).record
    assert isinstance(read, ReadingTaken)
    assert isinstance(skipped, ReadingSkipped)
    assert read.photo == skipped.photo == PHOTO
    last = walking.read(3).record
    assert isinstance(last, ReadingTaken)
    assert last.photo is None


# Two people, one handheld.


@pytest.fixture
def shared() -> Handset:
    """A handheld with the routes of two collectors."""
    handset = Handset()
    other = replace(package((stop(8),), route="R02"), collector=SECOND_COLLECTOR)
    message = seal_package(other, HUB_KEY)
    handset.give(PackagesArrived(packages=Packages(policy=seal_policy(policy(), HUB_KEY), packages=(message,))))
    return handset


def test_second_collector_works_while_the_first_has_not_closed_and_each_has_the_own_day(shared: Handset) -> None:
    shared.open_shift()
    shared.sold(1)
    shared.end_print()
    shared.open_shift(collector=SECOND_COLLECTOR)
    shared.sold(8)
    shared.end_print()
    days = shared.session.work.days
    first, second = days[COLLECTOR, "2026-11-24"], days[SECOND_COLLECTOR, "2026-11-24"]
    assert (first.cash_vnd, second.cash_vnd) == (USUAL_VND, USUAL_VND)
    assert (first.totals().read, first.totals().receipt_first, first.totals().receipt_last) == (1, 1, 1)
    assert (second.totals().read, second.totals().receipt_first, second.totals().receipt_last) == (1, 2, 2)
    assert shared.refused(shared.void(1)) is Reason.DAY_IS_OVER, "nobody voids what another has taken"
    shared.open_shift()
    shared.done(shared.void(1))
    assert (first.cash_vnd, second.cash_vnd) == (0, USUAL_VND)
    shared.restart()
    assert shared.session.work.days == {**days, (COLLECTOR, "2026-11-24"): first}


def test_records_name_who_made_them(shared: Handset) -> None:
    shared.open_shift()
    mine = shared.read(1)
    shared.open_shift(collector=SECOND_COLLECTOR)
    theirs = shared.read(2)
    names = [one.header.evidence.collector for one in (mine, theirs) if one.header.evidence is not None]
    assert names == [COLLECTOR, SECOND_COLLECTOR]


def test_receipt_of_the_first_that_comes_out_under_the_second_stays_the_first_s(shared: Handset) -> None:
    shared.open_shift()
    shared.sold(1)
    shared.open_shift(collector=SECOND_COLLECTOR)
    printed_by = shared.end_print().header.evidence
    assert printed_by is not None
    assert printed_by.collector == COLLECTOR
    days = shared.session.work.days
    assert days[COLLECTOR, "2026-11-24"].cash_vnd == USUAL_VND
    assert days[SECOND_COLLECTOR, "2026-11-24"].cash_vnd == 0


def test_closed_shift_of_the_second_leaves_the_first_to_open_again(shared: Handset) -> None:
    shared.open_shift()
    shared.sold(1)
    shared.end_print()
    shared.open_shift(collector=SECOND_COLLECTOR)
    shared.done(CloseShift(intent=shared.intent()))
    assert shared.refused(shared.take(1)) is Reason.NO_OPEN_SHIFT
    shared.open_shift()
    again = OpenShift(intent=shared.intent(), collector=COLLECTOR)
    assert shared.refused(again) is Reason.SHIFT_IS_OPEN
    assert shared.session.work.days[COLLECTOR, "2026-11-24"].cash_vnd == USUAL_VND


# Where it happened.

HERE = Fix(100_000_000, 1_057_000_000, 50, 0)


def fix_of(handset: Handset) -> Fix | NoFix:
    evidence = handset.read(1).header.evidence
    assert evidence is not None
    return evidence.fix


def test_fix_grows_older_until_it_says_nothing_of_this_door(walking: Handset) -> None:
    walking.give(FixAcquired(fix=HERE._replace(age_s=100)))
    walking.wait(200_999)
    assert fix_of(walking) == HERE._replace(age_s=300)
    walking.clock.wall_ms += 40 * DAY_MS  # Only the clock that nobody can set makes it older.
    walking.wait((FIX_AGE_MAX_S - 300) * 1000)
    assert fix_of(walking) == HERE._replace(age_s=FIX_AGE_MAX_S)
    walking.wait(1_000)
    assert fix_of(walking) is NoFix.NO_SIGNAL
    walking.give(FixAcquired(fix=HERE))
    assert fix_of(walking) == HERE


def test_fix_that_was_too_old_when_it_came_is_none(walking: Handset) -> None:
    walking.give(FixAcquired(fix=HERE._replace(age_s=FIX_AGE_MAX_S + 1)))
    assert fix_of(walking) is NoFix.NO_SIGNAL


def test_fix_of_the_door_outlives_the_roof_and_grows_older_under_it(walking: Handset) -> None:
    walking.give(FixAcquired(fix=NoFix.NO_SIGNAL))
    assert fix_of(walking) is NoFix.NO_SIGNAL
    walking.give(FixAcquired(fix=HERE))
    for age_s in (60, 120, FIX_AGE_MAX_S):
        walking.wait(age_s * 1000 - (walking.clock.up_ms - 1_000))
        walking.give(FixAcquired(fix=NoFix.NO_SIGNAL))
        assert fix_of(walking) == HERE._replace(age_s=age_s)
    walking.wait(1_000)
    walking.give(FixAcquired(fix=NoFix.NO_SIGNAL))
    assert fix_of(walking) is NoFix.NO_SIGNAL


@pytest.mark.parametrize("gone", [NoFix.NO_RECEIVER, NoFix.SWITCHED_OFF])
def test_receiver_that_is_gone_says_so_at_once(walking: Handset, gone: NoFix) -> None:
    walking.give(FixAcquired(fix=HERE))
    walking.give(FixAcquired(fix=gone))
    assert fix_of(walking) is gone


def test_position_of_before_a_restart_is_not_taken_over(walking: Handset) -> None:
    walking.give(FixAcquired(fix=HERE))
    walking.restart()
    assert fix_of(walking) is NoFix.NO_RECEIVER
