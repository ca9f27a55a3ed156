"""Which papers come out, which do not, and what stands on them."""

from dataclasses import replace

import pytest

from device.core.commands import CloseShift, CountCash, PrintPaper, SkipReading
from device.core.desk import NoSuchPaperError
from device.core.effects import Append, PaperJob, PaperState, PrintResult
from device.core.events import PackagesArrived, PrintEnded
from protocol import wire
from protocol.document import Document, QrCode, as_text
from protocol.package import CollectorCard, PastUse, seal_package, seal_policy
from protocol.reasons import Reason
from protocol.records import CashCollected, Denomination, PaperKind, PaperPrinted, PrintOutcome
from tests.device.branch import COLLECTOR, HUB_KEY, download, package, policy, stop
from tests.device.handset import STOPS, Handset

COLUMNS = 32
RECEIPT_1 = PrintPaper(kind=PaperKind.RECEIPT, customer="C00001", receipt_no=1)


@pytest.fixture
def walking() -> Handset:
    """A handheld in the middle of a day."""
    handset = Handset()
    handset.open_shift()
    return handset


def next_paper(handset: Handset) -> Document:
    """The paper that is printing; it comes out well."""
    (document,) = [effect.document for effect in handset.printing]
    handset.end_print()
    return document


def printed(handset: Handset, command: PrintPaper) -> Document:
    handset.give(command)
    return next_paper(handset)


def but_its_number(document: Document) -> list[str]:
    """What a reprint says, without which print of it this is."""
    return [line for line in as_text(document, COLUMNS).splitlines() if "Lần in" not in line]


def asks_for_transfer(document: Document) -> bool:
    """Whether a bank app finds a payment on it; the receipt's own code names a record and no money."""
    return any(isinstance(item, QrCode) and item.payload.startswith("000201") for item in document.items)


# Jobs.


def test_waiting_receipt_is_dropped_with_the_void_of_its_collection(walking: Handset) -> None:
    walking.sold(1)
    walking.end_print(PrintOutcome.NOT_PRINTED)
    (effect, *_) = walking.give(walking.void(1))
    assert isinstance(effect, Append)
    assert [job.kind for job in effect.dropped] == [PaperKind.RECEIPT]
    assert walking.session.work.papers == walking.store.papers == {}
    assert walking.refused(RECEIPT_1) is Reason.ALREADY_VOIDED


def test_paper_that_did_not_come_out_keeps_its_number(walking: Handset) -> None:
    walking.sold(1)
    for outcome in (PrintOutcome.NOT_PRINTED, PrintOutcome.NOT_PRINTED, PrintOutcome.PRINTED):
        record = walking.end_print(outcome).record
        assert isinstance(record, PaperPrinted)
        assert (record.print_no, record.outcome) == (1, outcome)
        walking.give(RECEIPT_1)
    assert walking.printing[0].job.print_no == 2


def test_interrupted_print_is_unknown_after_a_restart_and_nothing_prints_by_itself(walking: Handset) -> None:
    walking.sold(1)
    walking.restart()
    record = walking.records[-1]
    assert isinstance(record, PaperPrinted)
    assert (record.outcome, record.reason) == (PrintOutcome.UNKNOWN, "restart")
    assert walking.printing == []
    assert walking.session.work.papers == {}
    walking.give(RECEIPT_1)
    assert walking.printing[0].job.print_no == 2  # Unknown counts as out in the world.


def test_queued_paper_that_never_began_waits_for_a_tap_after_a_restart(walking: Handset) -> None:
    walking.read(1)
    for effect in walking.session.handle(walking.pay(1), walking.clock.now()):
        if isinstance(effect, Append):
            walking.store.perform(effect)  # The power goes before the first byte leaves.
    walking.restart()
    assert list(walking.session.work.papers.values()) == [PaperState.WAITING]
    assert walking.kinds[-1] is CashCollected
    walking.give(RECEIPT_1)
    assert [effect.job.print_no for effect in walking.printing] == [1]


def test_reprints_are_numbered_and_counted(walking: Handset) -> None:
    walking.sold(1)
    for number in (1, 2, 3):
        record = walking.end_print().record
        assert isinstance(record, PaperPrinted)
        assert record.print_no == number
        walking.give(RECEIPT_1)
    shift = walking.session.work.shift
    assert shift is not None
    assert (shift.printed, shift.reprinted) == (1, 2)


def test_second_tap_while_a_paper_prints_starts_no_second_print(walking: Handset) -> None:
    walking.sold(1)
    assert walking.refused(RECEIPT_1) is Reason.PRINT_UNDER_WAY
    assert len(walking.printing) == 1


def test_receipt_of_a_customer_who_left_the_route_waits(walking: Handset) -> None:
    walking.sold(1)
    walking.end_print(PrintOutcome.NOT_PRINTED)
    walking.give(PackagesArrived(packages=download(STOPS[1:], version=2)))
    assert walking.refused(RECEIPT_1) is Reason.CUSTOMER_NOT_ON_ROUTE
    assert list(walking.session.work.papers.values()) == [PaperState.WAITING]


def test_end_of_a_print_that_nobody_began_means_a_damaged_store(walking: Handset) -> None:
    job = PaperJob(kind=PaperKind.RECEIPT, about=b"\x01" * 32, print_no=1, customer="C00001")
    with pytest.raises(NoSuchPaperError):
        walking.give(PrintEnded(job=job, result=PrintResult(outcome=PrintOutcome.PRINTED)))


NOTHING_TO_PRINT = [
    PrintPaper(kind=PaperKind.BILL_NOTICE, customer="C00001"),
    PrintPaper(kind=PaperKind.NOTICE, customer="C00001"),
    PrintPaper(kind=PaperKind.BILL_NOTICE, customer="C00002"),  # Skipped: there is no bill to give notice of.
    PrintPaper(kind=PaperKind.DAY_SLIP),
]


@pytest.mark.parametrize("command", NOTHING_TO_PRINT, ids=lambda command: f"{command.kind.name}-{command.customer}")
def test_there_is_no_paper_of_what_has_not_happened(walking: Handset, command: PrintPaper) -> None:
    walking.done(SkipReading(intent=walking.intent(), customer="C00002", code="house_closed"))
    assert walking.refused(command) is Reason.NOTHING_TO_PRINT


# What stands on them.


def test_reprint_under_a_republished_package_is_the_same_paper(walking: Handset) -> None:
    walking.read(3)
    walking.done(walking.pay(3))
    next_paper(walking)
    receipt = PrintPaper(kind=PaperKind.RECEIPT, customer="C00003", receipt_no=1)
    first = printed(walking, receipt)
    republished = replace(stop(3), credit_vnd=5_000)  # Its arrears are paid now, and there is a credit.
    walking.give(PackagesArrived(packages=download((republished,), version=2)))
    again = printed(walking, receipt)
    assert but_its_number(again) == but_its_number(first)
    assert again != first


def test_reprint_under_the_next_period_s_package_is_the_same_paper(walking: Handset) -> None:
    walking.sold(1)
    next_paper(walking)
    first = printed(walking, RECEIPT_1)
    this = PastUse(period="2026-11", reading_date="2026-11-24", index=121, use_m3=21, days=31, code="normal")
    later = replace(stop(1), history=(*stop(1).history, this))
    december = replace(package((later,), version=2), period="2026-12")
    sealed = wire.Packages(policy=seal_policy(policy(), HUB_KEY), packages=(seal_package(december, HUB_KEY),))
    walking.give(PackagesArrived(packages=sealed))
    assert but_its_number(printed(walking, RECEIPT_1)) == but_its_number(first)


def test_reprint_after_a_restart_is_the_same_paper(walking: Handset) -> None:
    walking.sold(1)
    next_paper(walking)
    first = printed(walking, RECEIPT_1)
    walking.restart()
    assert but_its_number(printed(walking, RECEIPT_1)) == but_its_number(first)


def test_later_reading_changes_nothing_on_a_paid_receipt(walking: Handset) -> None:
    walking.sold(1)
    next_paper(walking)
    first = printed(walking, RECEIPT_1)
    walking.read(1, 125)
    assert but_its_number(printed(walking, RECEIPT_1)) == but_its_number(first)


def test_bill_notice_carries_a_transfer_code_and_a_receipt_none(walking: Handset) -> None:
    walking.read(3)
    notice = printed(walking, PrintPaper(kind=PaperKind.BILL_NOTICE, customer="C00003"))
    assert asks_for_transfer(notice)
    assert "214.900 đ" in as_text(notice, COLUMNS)  # 161.000 of this period and 53.900 of October.
    walking.done(walking.pay(3))
    assert not asks_for_transfer(next_paper(walking))


def test_bill_notice_that_a_credit_covers_asks_for_no_transfer(walking: Handset) -> None:
    walking.read(1)
    walking.hear(1, version=1, credit_vnd=200_000)
    assert not asks_for_transfer(printed(walking, PrintPaper(kind=PaperKind.BILL_NOTICE, customer="C00001")))


def test_bill_notice_without_a_bill_says_why_there_is_none(walking: Handset) -> None:
    walking.read(1, 90)
    document = printed(walking, PrintPaper(kind=PaperKind.BILL_NOTICE, customer="C00001"))
    assert "nhỏ hơn chỉ số cũ" in " ".join(as_text(document, COLUMNS).split())


def test_notice_of_a_visit_without_a_reading_says_why(walking: Handset) -> None:
    walking.done(SkipReading(intent=walking.intent(), customer="C00001", code="house_closed"))
    document = printed(walking, PrintPaper(kind=PaperKind.NOTICE, customer="C00001"))
    assert "Nhà đóng cửa" in " ".join(as_text(document, COLUMNS).split())


@pytest.mark.parametrize("kind", [PaperKind.BILL_NOTICE, PaperKind.NOTICE])
def test_no_paper_asks_for_an_amount_that_is_in_doubt(walking: Handset, kind: PaperKind) -> None:
    walking.read(1, 104, confirmed=True)
    assert walking.session.work.stops["C00001"].hold() is Reason.CONSUMPTION_DROP
    document = printed(walking, PrintPaper(kind=kind, customer="C00001"))
    assert not asks_for_transfer(document)
    text = " ".join(as_text(document, COLUMNS).split())
    assert "công ty sẽ kiểm tra lại" in text
    assert "Cộng kỳ" not in text


@pytest.mark.parametrize("kind", [PaperKind.BILL_NOTICE, PaperKind.NOTICE])
def test_a_customer_whom_the_treasury_pays_for_is_shown_the_amount_and_no_way_to_pay_it_twice(kind: PaperKind) -> None:
    handset = Handset(stops=(replace(stop(1), payment_method="NT"),))
    handset.open_shift()
    handset.read(1)
    document = printed(handset, PrintPaper(kind=kind, customer="C00001"))
    assert not asks_for_transfer(document)
    text = " ".join(as_text(document, COLUMNS).split())
    assert "kho bạc" in text
    assert "Cộng kỳ" in text
    assert "Hạn thanh toán" not in text


def test_a_usual_reading_needs_no_note(walking: Handset) -> None:
    walking.read(1)
    document = printed(walking, PrintPaper(kind=PaperKind.BILL_NOTICE, customer="C00001"))
    assert "Ghi chú" not in as_text(document, COLUMNS)


def test_paper_names_the_collector_as_the_policy_does() -> None:
    card = CollectorCard(code=COLLECTOR, name="Nguyễn Thị Thu", phone="0950 000 007")
    known = seal_policy(replace(policy(), collectors=(card,)), HUB_KEY)
    handset = Handset(downloaded=False)
    handset.give(PackagesArrived(packages=replace(download(STOPS), policy=known)))
    handset.open_shift()
    handset.sold(1)
    text = as_text(next_paper(handset), COLUMNS)
    assert card.name in " ".join(text.split())


def test_day_slip_says_what_was_signed_and_counted(walking: Handset) -> None:
    walking.sold(1)
    walking.end_print()
    walking.done(CountCash(intent=walking.intent(), notes=(Denomination(500_000, 0), Denomination(100_000, 1))))
    walking.done(CloseShift(intent=walking.intent()))
    text = as_text(printed(walking, PrintPaper(kind=PaperKind.DAY_SLIP)), COLUMNS)
    assert "161.000 đ" in text
    assert "100.000" in text
    assert "500.000" not in text
    assert "24/11/2026" in text
