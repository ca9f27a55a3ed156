"""What a handheld decides, situation by situation: no disk, no network, no paper."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from device.core.commands import (
    CloseShift,
    Command,
    CountCash,
    DownloadRoute,
    OpenShift,
    PrintPaper,
    SkipReading,
    Which,
)
from device.core.effects import (
    Answer,
    Append,
    Done,
    FetchPackages,
    Print,
    Refused,
    Upload,
)
from device.core.events import (
    ClockCompared,
    FixAcquired,
    PackagesArrived,
    PowerRead,
    UploadAcked,
)
from protocol import wire
from protocol.package import seal_package, seal_policy
from protocol.reasons import Reason
from protocol.records import (
    PRINTS_MAX,
    CashCollected,
    CashCounted,
    CollectionVoided,
    Denomination,
    DeviceStatus,
    PaperKind,
    PaperPrinted,
    PrintOutcome,
    ReadingSkipped,
    ReadingTaken,
    ShiftClosed,
    ShiftOpened,
)
from protocol.values import DAY_MS, ClockSource, Fix, NoFix
from tests.device.branch import (
    COLLECTOR,
    HUB_KEY,
    PERIOD,
    download,
    package,
    policy,
    stop,
)
from tests.device.handset import OCTOBER, STOPS, USUAL_INDEX, USUAL_VND, Handset


@pytest.fixture
def handset() -> Handset:
    """A handheld with its route, no shift open."""
    return Handset()


@pytest.fixture
def walking(handset: Handset) -> Handset:
    """A handheld in the middle of a day."""
    handset.open_shift()
    return handset


# A whole day.


def test_a_day_from_download_to_closed_shift() -> None:
    handset = Handset(downloaded=False)
    assert handset.give(DownloadRoute())[0] == FetchPackages()
    handset.give(PackagesArrived(packages=download(STOPS)))
    handset.open_shift()
    handset.read(1)
    handset.done(handset.pay(1))
    assert handset.end_print().record == PaperPrinted(
        period=PERIOD,
        paper=PaperKind.RECEIPT,
        about=handset.session.work.records[3].digest,
        print_no=1,
        outcome=PrintOutcome.PRINTED,
        customer="C00001",
    )
    handset.done(handset.void(1))
    handset.sold(2)
    handset.end_print()
    handset.done(CountCash(intent=handset.intent(), notes=(Denomination(1_000, 161),)))
    closed = handset.done(CloseShift(intent=handset.intent())).record
    assert isinstance(closed, ShiftClosed)
    totals = closed.totals
    assert (totals.read, totals.collected, totals.collected_vnd) == (2, 2, 2 * USUAL_VND)
    assert (totals.voided, totals.voided_vnd, totals.receipt_first, totals.receipt_last) == (1, USUAL_VND, 1, 2)
    assert (totals.printed, totals.reprinted) == (2, 0)
    assert handset.kinds == [
        *(ShiftOpened, DeviceStatus, ReadingTaken, CashCollected, PaperPrinted, CollectionVoided),
        *(ReadingTaken, CashCollected, PaperPrinted, CashCounted, DeviceStatus, ShiftClosed),
    ]


def test_answer_comes_after_everything_durable_and_before_any_upload(walking: Handset) -> None:
    walking.read(1)
    walking.give(UploadAcked(message=walking.signed_ack(3)))
    effects = walking.give(walking.pay(1))
    assert [type(effect) for effect in effects] == [Append, Print, Answer, Upload]


def test_collection_names_its_bills_and_the_reading_it_relied_on(walking: Handset) -> None:
    reading = walking.read(3)
    record = walking.done(walking.pay(3)).record
    assert isinstance(record, CashCollected)
    assert record.bills == (OCTOBER.bill_no, f"C00003-{PERIOD}")
    assert record.bill_periods == ("2026-10", PERIOD)
    assert record.bills_vnd == (OCTOBER.amount_vnd, USUAL_VND)
    assert record.amount_vnd == OCTOBER.amount_vnd + USUAL_VND
    assert record.reading == reading.digest


def test_collection_of_arrears_alone_relies_on_no_reading(walking: Handset) -> None:
    walking.read(3)
    record = walking.done(walking.pay(3, Which.ARREARS)).record
    assert isinstance(record, CashCollected)
    assert (record.bills, record.reading) == ((OCTOBER.bill_no,), None)


# Every reason the session can give.


def no_package(handset: Handset) -> Command:
    return OpenShift(intent=handset.intent(), collector="ai.do")


def package_expired(handset: Handset) -> Command:
    handset.wait(41 * DAY_MS)
    return OpenShift(intent=handset.intent(), collector=COLLECTOR)


def no_open_shift(handset: Handset) -> Command:
    return handset.take(1)


def shift_is_open(handset: Handset) -> Command:
    handset.open_shift()
    return OpenShift(intent=handset.intent(), collector=COLLECTOR)


def date_input(handset: Handset) -> Command:
    return OpenShift(intent=handset.intent(), collector=COLLECTOR, business_date="2026-11-31")


def customer_not_on_route(handset: Handset) -> Command:
    handset.open_shift()
    return handset.take(9)


def reading_input(handset: Handset) -> Command:
    handset.open_shift()
    return replace(handset.take(1), code="replaced_periodic")


def pays_by_transfer(handset: Handset) -> Command:
    handset.open_shift()
    handset.read(4)
    return handset.pay(4, amount_vnd=USUAL_VND)


def pays_by_collection_order(handset: Handset) -> Command:
    handset.open_shift()
    handset.read(5)
    return handset.pay(5, amount_vnd=USUAL_VND)


def reading_below_previous(handset: Handset) -> Command:
    handset.open_shift()
    handset.read(1, 90)
    return handset.pay(1, amount_vnd=USUAL_VND)


def consumption_drop(handset: Handset) -> Command:
    handset.open_shift()
    handset.read(1, 110)
    return handset.pay(1, amount_vnd=77_000)


def far_above_expected(handset: Handset) -> Command:
    handset.open_shift()
    return handset.take(1, 150)


def zero_consumption(handset: Handset) -> Command:
    handset.open_shift()
    return handset.take(1, 100)


def above_register(handset: Handset) -> Command:
    handset.open_shift()
    return handset.take(1, 100_000)


def nothing_to_collect(handset: Handset) -> Command:
    handset.open_shift()
    return handset.pay(1, amount_vnd=USUAL_VND)


def amount_changed(handset: Handset) -> Command:
    handset.open_shift()
    handset.read(1)
    shown = handset.pay(1)
    handset.read(1, USUAL_INDEX + 1)
    return shown


def collection_not_found(handset: Handset) -> Command:
    handset.open_shift()
    return handset.void(1)


def already_voided(handset: Handset) -> Command:
    handset.open_shift()
    handset.sold(1)
    handset.end_print()
    handset.done(handset.void(1))
    return handset.void(1)


def day_is_over(handset: Handset) -> Command:
    handset.open_shift()
    handset.sold(1)
    handset.end_print()
    handset.done(CloseShift(intent=handset.intent()))
    handset.wait(DAY_MS)
    handset.open_shift()
    return handset.void(1)


def paper_not_found(handset: Handset) -> Command:
    handset.open_shift()
    handset.sold(1)
    return PrintPaper(kind=PaperKind.RECEIPT, customer="C00002", receipt_no=1)


def print_under_way(handset: Handset) -> Command:
    handset.open_shift()
    handset.sold(1)
    return handset.void(1)


def nothing_to_print(handset: Handset) -> Command:
    handset.open_shift()
    return PrintPaper(kind=PaperKind.BILL_NOTICE, customer="C00001")


def printed_too_often(handset: Handset) -> Command:
    """The receipt has been through the printer as often as a record can say."""
    handset.open_shift()
    handset.sold(1)
    again = PrintPaper(kind=PaperKind.RECEIPT, customer="C00001", receipt_no=1)
    for print_no in range(1, PRINTS_MAX + 1):
        last = handset.end_print().record
        assert isinstance(last, PaperPrinted)
        assert last.print_no == print_no
        if print_no < PRINTS_MAX:
            handset.answer(again)
    return again


def intent_used(handset: Handset) -> Command:
    opened = handset.open_shift()
    assert opened.header.intent is not None
    return CloseShift(intent=opened.header.intent)


def cash_input(handset: Handset) -> Command:
    handset.open_shift()
    return CountCash(intent=handset.intent(), notes=(Denomination(500_000, 10**6),))


def nothing_to_override(handset: Handset) -> Command:
    handset.open_shift()
    handset.read(1)
    return handset.override(1)


def code_used(handset: Handset) -> Command:
    handset.open_shift()
    for number in (1, 2):
        handset.read(number, 110)
    handset.done(handset.override(1))
    return handset.override(2)


def screen_is_old(handset: Handset) -> Command:
    handset.open_shift()
    shown = handset.session.work.stops["C00001"].mark
    handset.read(1, USUAL_INDEX + 1)
    return replace(handset.take(1), seen=shown)


def battery_low(handset: Handset) -> Command:
    handset.give(PowerRead(battery_percent=9, charging=False, storage_free_mib=None))
    return DownloadRoute()


PROVOKED: dict[Reason, Callable[[Handset], Command]] = {
    Reason.NO_PACKAGE: no_package,
    Reason.PACKAGE_EXPIRED: package_expired,
    Reason.NO_OPEN_SHIFT: no_open_shift,
    Reason.SHIFT_IS_OPEN: shift_is_open,
    Reason.DATE_INPUT: date_input,
    Reason.CUSTOMER_NOT_ON_ROUTE: customer_not_on_route,
    Reason.READING_INPUT: reading_input,
    Reason.PAYS_BY_TRANSFER: pays_by_transfer,
    Reason.PAYS_BY_COLLECTION_ORDER: pays_by_collection_order,
    Reason.READING_BELOW_PREVIOUS: reading_below_previous,
    Reason.CONSUMPTION_DROP: consumption_drop,
    Reason.FAR_ABOVE_EXPECTED: far_above_expected,
    Reason.ZERO_CONSUMPTION: zero_consumption,
    Reason.ABOVE_REGISTER: above_register,
    Reason.NOTHING_TO_COLLECT: nothing_to_collect,
    Reason.AMOUNT_CHANGED: amount_changed,
    Reason.COLLECTION_NOT_FOUND: collection_not_found,
    Reason.ALREADY_VOIDED: already_voided,
    Reason.DAY_IS_OVER: day_is_over,
    Reason.PAPER_NOT_FOUND: paper_not_found,
    Reason.PRINT_UNDER_WAY: print_under_way,
    Reason.NOTHING_TO_PRINT: nothing_to_print,
    Reason.PRINTED_TOO_OFTEN: printed_too_often,
    Reason.INTENT_USED: intent_used,
    Reason.CASH_INPUT: cash_input,
    Reason.NOTHING_TO_OVERRIDE: nothing_to_override,
    Reason.CODE_USED: code_used,
    Reason.SCREEN_IS_OLD: screen_is_old,
    Reason.BATTERY_LOW: battery_low,
}
OF_SCREENS = {Reason.OTHER_COLLECTOR}  # The session lets a second collector work; who may act for whom is a screen's.


def test_every_reason_is_provoked_here() -> None:
    assert set(PROVOKED) | OF_SCREENS == set(Reason)
    assert not set(PROVOKED) & OF_SCREENS


@pytest.mark.parametrize("reason", PROVOKED)
def test_refused_with_its_reason_and_nothing_happens(handset: Handset, reason: Reason) -> None:
    command = PROVOKED[reason](handset)
    before, printing = handset.store.memory(), len(handset.printing)
    assert handset.refused(command) is reason
    assert handset.store.memory() == before
    assert len(handset.printing) == printing


REFUSED_WITHOUT_SHIFT: dict[str, Callable[[Handset], Command]] = {
    "skip": lambda h: SkipReading(intent=h.intent(), customer="C00001", code="house_closed"),
    "collect": lambda h: h.pay(3),
    "count": lambda h: CountCash(intent=h.intent(), notes=()),
    "close": lambda h: CloseShift(intent=h.intent()),
}


@pytest.mark.parametrize("tap", REFUSED_WITHOUT_SHIFT)
def test_no_work_without_an_open_shift(handset: Handset, tap: str) -> None:
    assert handset.refused(REFUSED_WITHOUT_SHIFT[tap](handset)) is Reason.NO_OPEN_SHIFT


def test_void_after_the_shift_was_closed_is_for_the_branch(walking: Handset) -> None:
    walking.sold(1)
    walking.end_print()
    walking.done(CloseShift(intent=walking.intent()))
    assert walking.refused(walking.void(1)) is Reason.NO_OPEN_SHIFT


def test_nobody_voids_the_collection_of_another_collector() -> None:
    both = wire.Packages(
        policy=seal_policy(policy(), HUB_KEY),
        packages=(
            seal_package(package(STOPS), HUB_KEY),
            seal_package(replace(package((stop(8),), route="R02"), collector="ai.do"), HUB_KEY),
        ),
    )
    handset = Handset(downloaded=False)
    handset.give(PackagesArrived(packages=both))
    handset.open_shift()
    handset.sold(1)
    handset.end_print()
    handset.done(CloseShift(intent=handset.intent()))
    handset.open_shift(collector="ai.do")
    assert handset.refused(handset.void(1)) is Reason.DAY_IS_OVER
    assert handset.session.work.days["ai.do", "2026-11-24"].cash_vnd == 0


def test_skip_needs_a_code_that_says_why(walking: Handset) -> None:
    skip = SkipReading(intent=walking.intent(), customer="C00001", code="house_closed")
    assert walking.refused(replace(skip, code="normal")) is Reason.READING_INPUT
    assert walking.refused(replace(skip, code="no-such-code")) is Reason.READING_INPUT
    assert walking.done(skip).record == ReadingSkipped(customer="C00001", period=PERIOD, code="house_closed")


def test_unreadable_code_is_not_a_reading(walking: Handset) -> None:
    assert walking.refused(replace(walking.take(1), code="house_closed")) is Reason.READING_INPUT


def test_use_that_no_record_can_carry_is_asked_for_again() -> None:
    stopped = stop(1).history[0]
    large = replace(stop(1), history=(replace(stopped, index=5_000_000),))
    handset = Handset((large,))
    handset.open_shift()
    for index in (12, 999_999_999):
        assert handset.refused(handset.take(1, index, confirmed=True)) is Reason.READING_INPUT


# One tap, one record.


def test_double_tap_is_one_record_and_one_paper(walking: Handset) -> None:
    walking.read(1)
    tap = walking.pay(1)
    first = walking.answer(tap)
    again = walking.answer(tap)
    assert isinstance(first, Done)
    assert again == replace(first, again=True)
    assert len(walking.printing) == 1
    assert walking.kinds.count(CashCollected) == 1


def test_double_tap_across_a_restart_is_one_record(walking: Handset) -> None:
    walking.read(1)
    tap = walking.pay(1)
    first = walking.done(tap)
    walking.restart()
    outcome = walking.answer(tap)
    assert isinstance(outcome, Done)
    assert outcome.again
    assert outcome.sealed is not None
    assert outcome.sealed.message == first.message
    assert walking.printing == []


# Warnings ask, never block.


@pytest.mark.parametrize(
    ("index", "doubts"),
    [
        (100, (Reason.ZERO_CONSUMPTION,)),
        (150, (Reason.FAR_ABOVE_EXPECTED,)),
        (100_000, (Reason.ABOVE_REGISTER, Reason.FAR_ABOVE_EXPECTED)),
    ],
)
def test_doubtful_reading_is_saved_once_keyed_again(walking: Handset, index: int, doubts: tuple[Reason, ...]) -> None:
    outcome = walking.answer(walking.take(1, index))
    assert isinstance(outcome, Refused)
    assert outcome.warnings == doubts
    record = walking.read(1, index, confirmed=True).record
    assert isinstance(record, ReadingTaken)
    assert record.confirmed == tuple(doubt.value for doubt in doubts)


def test_confirmation_of_a_usual_reading_leaves_no_mark(walking: Handset) -> None:
    record = walking.read(1, confirmed=True).record
    assert isinstance(record, ReadingTaken)
    assert record.confirmed is None


# Position, numbers.


def test_records_carry_the_last_position_and_clock_comparison(walking: Handset) -> None:
    fix = Fix(100_000_000, 1_057_000_000, 50, 3)
    walking.give(FixAcquired(fix=fix))
    walking.give(ClockCompared(offset_ms=-250, source=ClockSource.GNSS))
    evidence = walking.read(1).header.evidence
    assert evidence is not None
    assert (evidence.fix, evidence.clock.offset_ms, evidence.clock.source) == (fix, -250, ClockSource.GNSS)
    walking.give(FixAcquired(fix=NoFix.SWITCHED_OFF))
    evidence = walking.read(2).header.evidence
    assert evidence is not None
    assert evidence.fix is NoFix.SWITCHED_OFF


def test_receipt_numbers_have_no_gap_over_restarts_and_voids(walking: Handset) -> None:
    for number in (1, 2, 3):
        walking.sold(number)
        walking.end_print()
        if number == 2:
            walking.done(walking.void(2))
        walking.restart()
    numbers = [record.receipt_no for record in walking.records if isinstance(record, CashCollected)]
    assert numbers == [1, 2, 3]
