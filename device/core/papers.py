"""Which paper shows a record: from the handheld's state to a Document. Pure; the same record gives the same paper."""

from device.core.day import ShiftWork
from device.core.effects import PaperJob
from device.core.stops import StopWork
from protocol.document import Document
from protocol.package import Policy, Stop
from protocol.papers import (
    PaperCustomer,
    PaperHead,
    PaperReading,
    bill_notice,
    day_slip,
    notice,
    receipt,
)
from protocol.readings import READING_CODES
from protocol.reasons import Reason, words
from protocol.records import CashCollected, PaperKind, ReadingSkipped, ReadingTaken, ShiftClosed
from protocol.sealed import Sealed
from protocol.values import DAY_MS, local_date
from protocol.vietqr import TRANSFER_LIMIT_VND, PayloadError, payload, purpose_for

USUAL_READING = "normal"
SHUT_OFF_PERIODS = 2  # Two unpaid periods: the next letter is the shut-off order, so the notice warns.
# What the customer reads where no cash was taken; the collector's screen has its own words for the same.
HOLD_SENTENCES = {
    Reason.PAYS_BY_TRANSFER: "Quý khách thanh toán qua ngân hàng, nhân viên không thu tiền mặt.",
    Reason.PAYS_BY_COLLECTION_ORDER: "Quý khách thanh toán qua kho bạc (nhờ thu), nhân viên không thu tiền mặt.",
    Reason.READING_BELOW_PREVIOUS: "Chỉ số mới nhỏ hơn chỉ số cũ; công ty sẽ kiểm tra lại, kỳ này chưa thu tiền.",
    Reason.CONSUMPTION_DROP: "Lượng nước giảm mạnh so với kỳ trước; công ty sẽ kiểm tra lại, kỳ này chưa thu tiền.",
}
PAID_SENTENCE = "Quý khách đã thanh toán tiền nước kỳ này. Xin cảm ơn Quý khách."
# The amount is in doubt until the meter has been looked at again: no paper may ask for it.
AMOUNT_IN_DOUBT = frozenset({Reason.READING_BELOW_PREVIOUS, Reason.CONSUMPTION_DROP})
CATEGORY_WORDS = {
    "household": "SH – Sinh hoạt",
    "poor_household": "SH – Hộ nghèo",
    "public": "HC – Hành chính sự nghiệp",
    "production": "SX – Sản xuất",
    "business": "KD – Kinh doanh dịch vụ",
}


def paper_for(
    job: PaperJob,
    about: Sealed,
    *,
    reading: Sealed | None,
    work: StopWork | None,
    policy: Policy,
    device: int,
    day: ShiftWork | None,
    unsent: int,
) -> Document:
    """The paper of a job. about: the record it shows. reading: what a receipt relied on. work: its stop. day: for a
    slip.
    """
    head = _head(job, about, policy, device)
    if job.kind is PaperKind.DAY_SLIP:
        assert day is not None
        assert isinstance(about.record, ShiftClosed)
        return day_slip(
            head,
            day=day.business_date,
            period=day.period,
            totals=about.record.totals,
            notes=tuple(note for note in day.closed_with.get(about.digest, day.counted) if note.pieces),
            computed_vnd=about.record.totals.collected_vnd - about.record.totals.voided_vnd,
            unsent=unsent,
        )
    assert work is not None, "papers of customers need their stop"
    customer = _customer(work)
    if job.kind is PaperKind.RECEIPT:
        assert isinstance(about.record, CashCollected)
        return _receipt(head, customer, work, about.record, reading)
    if job.kind is PaperKind.BILL_NOTICE:
        return _bill_notice(head, customer, work, about, policy)
    return _notice(head, customer, work, about, policy)


def _bill_notice(
    head: PaperHead, customer: PaperCustomer, work: StopWork, about: Sealed, policy: Policy
) -> Document:
    assert isinstance(about.record, ReadingTaken)
    bill, held = about.record.bill, _hold(work, about, about.record)
    arrears = tuple((one.period, one.amount_vnd) for one in work.open_arrears())
    in_doubt = held in AMOUNT_IN_DOUBT or held is Reason.PAYS_BY_COLLECTION_ORDER
    if bill is None or in_doubt or (work.is_paid() and not arrears):  # No paper asks for what has been paid.
        return _notice(head, customer, work, about, policy)
    paid_vnd = bill.total_vnd - min(work.open_current_vnd(), bill.total_vnd)
    owed = bill.total_vnd - paid_vnd + sum(amount for _, amount in arrears)
    credit = min(work.told.credit_vnd if work.told is not None else work.stop.credit_vnd, owed)
    total = owed - credit
    return bill_notice(
        head,
        customer,
        _reading(work, about),
        bill,
        arrears=arrears,
        credit_vnd=credit,
        total_vnd=total,
        qr_payload=_transfer_code(work, policy, total),
        pay_by=_pay_by(about, policy),
        paid_vnd=paid_vnd,
    )


def _notice(
    head: PaperHead, customer: PaperCustomer, work: StopWork, about: Sealed, policy: Policy
) -> Document:
    record = about.record
    arrears = tuple((one.period, one.amount_vnd) for one in work.open_arrears())
    held = None
    if isinstance(record, ReadingSkipped):
        reason = f"Chưa ghi được chỉ số nước: {READING_CODES[record.code].vi}."
        bill = None
    else:
        assert isinstance(record, ReadingTaken)
        held = _hold(work, about, record)
        reason = "Kính báo chỉ số nước và số tiền của kỳ này."
        if work.is_paid():
            reason = PAID_SENTENCE
        elif held is not None:
            reason = HOLD_SENTENCES.get(held) or words(held)
        bill = None if held in AMOUNT_IN_DOUBT else record.bill
    paid_vnd = bill.total_vnd - min(work.open_current_vnd(), bill.total_vnd) if bill is not None else 0
    owed = (bill.total_vnd if bill is not None else 0) - paid_vnd + sum(amount for _, amount in arrears)
    # The treasury pays by itself: a code or a date would make the customer pay once more.
    asked_for = owed if held is not Reason.PAYS_BY_COLLECTION_ORDER else 0
    return notice(
        head,
        customer,
        _reading(work, about),
        period=work.package.period,
        reason_words=reason,
        bill=bill,
        arrears=arrears,
        shut_off_warning=len(arrears) >= SHUT_OFF_PERIODS,
        pay_by=_pay_by(about, policy) if asked_for else None,
        qr_payload=_transfer_code(work, policy, asked_for),
        paid_vnd=paid_vnd,
    )


def _hold(work: StopWork, about: Sealed, record: ReadingTaken) -> Reason | None:
    """Why no cash is taken: as recorded with the reading unless a supervisor lifted that, or as the stop stands."""
    recorded = Reason(record.hold) if record.hold is not None and record.hold in Reason.__members__ else None
    if recorded is None or work.is_lifted(recorded, about):
        return work.hold()
    return recorded


def _receipt(
    head: PaperHead, customer: PaperCustomer, work: StopWork, record: CashCollected, reading: Sealed | None
) -> Document:
    """What the record says, and the reading it named: a package that comes later changes nothing on a reprint."""
    taken = reading.record if reading is not None else None
    assert taken is None or isinstance(taken, ReadingTaken)
    return receipt(
        head,
        customer,
        _reading(work, reading) if reading is not None else None,
        taken.bill if taken is not None else None,
        period=record.period,
        settled=tuple(zip(record.bill_periods, record.bills, record.bills_vnd, strict=True)),
        credit_vnd=record.credit_vnd or 0,
        rounding_vnd=record.rounding_vnd or 0,
        amount_vnd=record.amount_vnd,
        receipt_no=record.receipt_no,
    )


def _head(job: PaperJob, about: Sealed, policy: Policy, device: int) -> PaperHead:
    evidence = about.header.evidence
    assert evidence is not None
    card = next((card for card in policy.collectors if card.code == evidence.collector), None)
    return PaperHead(
        utility_name=policy.utility_name,
        branch_name=policy.branch_name,
        hotline=policy.hotline,
        collector_name=card.name if card is not None else evidence.collector,
        collector_phone=card.phone if card is not None else "",
        at_ms=about.header.at_ms,
        print_no=job.print_no,
        device_no=device,
        seq=about.header.seq,
        digest_hex8=about.digest.hex()[:8],
    )


def _customer(work: StopWork) -> PaperCustomer:
    stop: Stop = work.stop
    return PaperCustomer(
        name=stop.name,
        address=stop.address,
        customer_id=stop.customer,
        register_no=stop.register_no,
        route=work.package.route,
        walk_seq=stop.walk_seq,
        meter_serial=stop.meter.serial,
        category=CATEGORY_WORDS.get(stop.category, stop.category),
    )


def _reading(work: StopWork, about: Sealed) -> PaperReading:
    """A reading as its record has it; of the stop only the date before it, also under a later period's package."""
    history, record = work.stop.history, about.record
    taken = record if isinstance(record, ReadingTaken) else None
    assert isinstance(record, ReadingTaken | ReadingSkipped)
    last = next((past for past in reversed(history) if past.period < record.period), history[0])
    return PaperReading(
        period=record.period,
        previous_index=taken.previous_index if taken is not None else last.index,
        previous_date=last.reading_date,
        index=taken.index if taken is not None else None,
        date=local_date(about.header.at_ms),
        consumption_m3=taken.use_m3 if taken is not None else None,
        code_words=READING_CODES[record.code].vi if record.code != USUAL_READING else "",
        removed_index=taken.removed_index if taken is not None else None,
        installed_index=taken.installed_index if taken is not None else None,
    )


def _transfer_code(work: StopWork, policy: Policy, amount_vnd: int) -> str | None:
    """VietQR of the exact amount; none when there is nothing to pay, or one transfer or its purpose cannot carry it."""
    if not 0 < amount_vnd < TRANSFER_LIMIT_VND:
        return None
    try:
        purpose = purpose_for(work.stop.register_no, work.package.period)
        return payload(policy.bank_bin, policy.bank_account, amount_vnd, purpose)
    except PayloadError:  # A register number that does not fit: the paper comes out without the code.
        return None


def _pay_by(about: Sealed, policy: Policy) -> str:
    return local_date(about.header.at_ms + policy.pay_by_days * DAY_MS)
