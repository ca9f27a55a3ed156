"""What somebody found who tried to make the handheld lose money, each as a situation that must not come back."""

from dataclasses import replace

import pytest

from device.core.commands import CloseShift, CountCash, PrintPaper
from device.core.events import ClockCompared, PackagesArrived, UploadAcked
from protocol.document import QrCode, as_text
from protocol.package import seal_package
from protocol.reasons import Reason
from protocol.records import CashCollected, Denomination, PaperKind, ShiftOpened
from protocol.values import ClockSource
from protocol.wire import Packages
from tests.device.branch import COLLECTOR, HUB_KEY, SECOND_COLLECTOR, package, stop
from tests.device.handset import OCTOBER, USUAL_VND, Handset


@pytest.fixture
def walking() -> Handset:
    handset = Handset()
    handset.open_shift()
    return handset


@pytest.fixture
def shared(walking: Handset) -> Handset:
    """A second collector's route is on the same handheld."""
    other = replace(package((stop(8),), route="R02"), collector=SECOND_COLLECTOR)
    policy = walking.store.policy
    assert policy is not None
    walking.give(PackagesArrived(packages=Packages(policy=policy, packages=(seal_package(other, HUB_KEY),))))
    return walking


def paper(handset: Handset, kind: PaperKind, number: int) -> tuple[str, bool]:
    """What a paper says, and whether it bears a code to pay by."""
    handset.done(PrintPaper(kind=kind, customer=f"C{number:05d}"))
    document = handset.printing[-1].document
    handset.end_print()
    return " ".join(as_text(document, 42).split()), any(isinstance(item, QrCode) for item in document.items)


@pytest.mark.parametrize("kind", [PaperKind.BILL_NOTICE, PaperKind.NOTICE])
def test_no_paper_asks_for_what_has_been_paid_here(walking: Handset, kind: PaperKind) -> None:
    walking.sold(1)
    walking.end_print()
    text, has_code = paper(walking, kind, 1)
    assert "đã thanh toán" in text.lower()
    assert "PHẢI TRẢ" not in text
    assert not has_code


@pytest.mark.parametrize("kind", [PaperKind.BILL_NOTICE, PaperKind.NOTICE])
def test_no_paper_asks_for_what_has_been_paid_elsewhere(walking: Handset, kind: PaperKind) -> None:
    walking.read(1)
    walking.hear(1, version=4, settled_vnd=USUAL_VND)
    text, has_code = paper(walking, kind, 1)
    assert "đã thanh toán" in text.lower()
    assert not has_code


def test_a_paper_asks_for_the_rest_of_a_bill_that_is_paid_in_part(walking: Handset) -> None:
    walking.read(1)
    walking.hear(1, version=4, settled_vnd=61_000)
    text, has_code = paper(walking, PaperKind.BILL_NOTICE, 1)
    assert "Đã thanh toán -61.000 đ" in text
    assert "100.000 đ" in text
    assert has_code


def test_arrears_are_still_asked_for_after_this_period_is_paid(walking: Handset) -> None:
    walking.read(3)
    walking.hear(3, version=4, settled_vnd=USUAL_VND, bills=(OCTOBER,))
    text, has_code = paper(walking, PaperKind.BILL_NOTICE, 3)
    assert "TỔNG TIỀN PHẢI TRẢ 53.900 đ" in text
    assert has_code


def acked(handset: Handset) -> None:
    handset.give(UploadAcked(message=handset.signed_ack(len(handset.store.messages))))


@pytest.mark.parametrize("restarted", [False, True])
def test_a_void_after_the_hub_spoke_makes_the_bill_open_again(walking: Handset, restarted: bool) -> None:
    sold = walking.sold(1)
    walking.end_print()
    acked(walking)
    walking.hear(1, version=4, settled_vnd=USUAL_VND)
    assert walking.session.work.stops["C00001"].is_paid()
    walking.done(walking.void(sold.receipt_no))
    if restarted:
        walking.restart()
    assert not walking.session.work.stops["C00001"].is_paid()
    assert walking.due_vnd(1) == USUAL_VND


def test_a_word_that_did_not_know_our_cash_yet_is_not_lessened_by_its_void(walking: Handset) -> None:
    """The hub told of a transfer while our receipt was still unsent: voiding that takes nothing from the transfer."""
    sold = walking.sold(1)
    walking.end_print()
    walking.hear(1, version=4, settled_vnd=61_000)
    walking.done(walking.void(sold.receipt_no))
    assert walking.due_vnd(1) == USUAL_VND - 61_000


def test_voided_arrears_are_asked_for_again(walking: Handset) -> None:
    walking.read(3)
    record = walking.done(walking.pay(3)).record
    assert isinstance(record, CashCollected)
    walking.end_print()
    acked(walking)
    walking.hear(3, version=4, settled_vnd=USUAL_VND)
    assert walking.due_vnd(3) == 0
    walking.done(walking.void(record.receipt_no))
    assert walking.due_vnd(3) == USUAL_VND + OCTOBER.amount_vnd


def test_a_day_that_another_s_shift_came_into_is_counted_and_closed_before_a_new_one(shared: Handset) -> None:
    shared.sold(1)
    shared.end_print()
    shared.open_shift(collector=SECOND_COLLECTOR)
    shared.clock.wall_ms += 86_400_000
    record = shared.open_shift().record
    assert isinstance(record, ShiftOpened)
    assert record.business_date == "2026-11-24"
    assert shared.session.work.shift is shared.session.work.days[COLLECTOR, "2026-11-24"]
    shared.done(CloseShift(intent=shared.intent()))
    record = shared.open_shift().record
    assert isinstance(record, ShiftOpened)
    assert record.business_date == "2026-11-25"


def test_a_slip_printed_after_the_day_went_on_says_what_it_said(walking: Handset) -> None:
    walking.sold(1)
    walking.end_print()
    walking.done(CountCash(intent=walking.intent(), notes=(Denomination(1_000, 161),)))
    walking.done(CloseShift(intent=walking.intent()))
    walking.done(PrintPaper(kind=PaperKind.DAY_SLIP))
    first = as_text(walking.printing[-1].document, 42)
    walking.end_print()
    walking.open_shift()
    walking.sold(2)
    walking.end_print()
    walking.done(CountCash(intent=walking.intent(), notes=(Denomination(1_000, 1),)))
    walking.done(PrintPaper(kind=PaperKind.DAY_SLIP))
    again = as_text(walking.printing[-1].document, 42)
    money = [line for line in first.splitlines() if " đ" in line]
    assert money
    assert [line for line in again.splitlines() if " đ" in line] == money


def test_a_screen_made_under_another_package_is_old(walking: Handset) -> None:
    seen = walking.session.work.stops["C00001"].mark
    policy = walking.store.policy
    assert policy is not None
    newer = replace(package((stop(1), stop(2)), version=2), period="2026-12")
    walking.give(PackagesArrived(packages=Packages(policy=policy, packages=(seal_package(newer, HUB_KEY),))))
    assert walking.refused(replace(walking.take(1), seen=seen)) is Reason.SCREEN_IS_OLD


def test_a_clock_that_was_put_right_is_not_corrected_twice(walking: Handset) -> None:
    walking.done(CloseShift(intent=walking.intent()))
    walking.clock.wall_ms -= 86_400_000
    walking.give(ClockCompared(offset_ms=86_400_000, source=ClockSource.HUB))
    walking.clock.wall_ms += 86_400_000 + 60_000
    walking.clock.up_ms += 60_000
    record = walking.open_shift().record
    assert isinstance(record, ShiftOpened)
    assert record.business_date == "2026-11-24"


def test_a_clock_that_stays_wrong_is_corrected_as_it_was(walking: Handset) -> None:
    walking.done(CloseShift(intent=walking.intent()))
    walking.clock.wall_ms -= 86_400_000
    walking.give(ClockCompared(offset_ms=86_400_000, source=ClockSource.HUB))
    walking.clock.wall_ms += 3_600_000
    walking.clock.up_ms += 3_600_000
    record = walking.open_shift().record
    assert isinstance(record, ShiftOpened)
    assert record.business_date == "2026-11-24"


def test_a_register_number_that_fits_no_transfer_costs_the_code_and_not_the_paper() -> None:
    handset = Handset((replace(stop(1), register_no="0210-000-000-0001_A"),))
    handset.open_shift()
    handset.read(1)
    text, has_code = paper(handset, PaperKind.BILL_NOTICE, 1)
    assert "TỔNG TIỀN PHẢI TRẢ" in text
    assert not has_code
