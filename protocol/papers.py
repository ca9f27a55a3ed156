"""The four papers a collector hands out or hands in, always in Vietnamese, alike on both sides.

Bill notice (giấy báo): what is due. Notice (thông báo): why nothing was taken. Receipt (biên nhận): money taken; it
is not an invoice. Day slip (phiếu cuối ngày): what the collector claims at the end of the day.

Every paper shows the print number, the number of its record on the handheld and the first eight hex digits of that
record's hash, so that the record can be found from the paper alone. A paper whose figures do not add up is refused
with an AssertionError rather than printed.

Source: product.md, tariff and papers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from protocol.document import Align, Columns, Document, Feed, Item, QrCode, Rule, Style, Text
from protocol.records import DayTotals, Denomination
from protocol.tariff import Bill
from protocol.words import NO_BREAK_SPACE, amount_in_words, date_text, grouped_register_no, period_text, vnd, vnd_plain

VIETNAM = timezone(timedelta(hours=7))  # No summer time since 1975; a paper needs no table of time zones.

BOLD = Style(bold=True)
CENTERED = Style(align=Align.CENTER)
CENTERED_BOLD = Style(bold=True, align=Align.CENTER)
BANNER = Style(bold=True, size=2, align=Align.CENTER)

# Bills by period, oldest first: ("2026-10", amount in đồng).
Amounts = tuple[tuple[str, int], ...]
# Bills a collection settles, oldest first: (period, bill number, amount in đồng).
Settled = tuple[tuple[str, str, int], ...]

INDENT = NO_BREAK_SPACE * 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperHead:
    """Who issues the paper, and which record it shows.

    at_ms: when the record was made, in ms since 1970 UTC; printed in Vietnamese time.
    print_no: 1 for the first print; from 2 on the paper is marked as a reprint.
    device_no, seq: handheld, and number in its chain. digest_hex8: first 8 hex digits of the record's hash.
    Hotline and phone may be empty.
    """

    utility_name: str
    branch_name: str
    hotline: str
    collector_name: str
    collector_phone: str
    at_ms: int
    print_no: int
    device_no: int
    seq: int
    digest_hex8: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperCustomer:
    """Whom the paper is for.

    route, walk_seq: the walk number (MLT). Address, meter serial and category may be empty.
    """

    name: str
    address: str
    customer_id: str
    register_no: str
    route: str
    walk_seq: int
    meter_serial: str
    category: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperReading:
    """What was read.

    Dates are ISO; previous_date is empty where nobody knows it. index: None when the meter could not be read.
    consumption_m3: None while it is not settled; below zero it is not shown either.
    code_words: the reading code in words, empty for a usual reading.
    removed_index, installed_index: of a meter replaced in the period, last of the old and first of the new.
    """

    period: str
    previous_index: int
    previous_date: str
    index: int | None
    date: str
    consumption_m3: int | None
    code_words: str
    removed_index: int | None = None
    installed_index: int | None = None


def bill_notice(
    head: PaperHead,
    customer: PaperCustomer,
    reading: PaperReading,
    bill: Bill,
    *,
    arrears: Amounts,
    credit_vnd: int,
    total_vnd: int,
    qr_payload: str | None,
    pay_by: str,
    paid_vnd: int = 0,
) -> Document:
    """What is due: this period's bill, arrears less credit, and a code that any bank app can pay.

    total_vnd: bill - paid + arrears - credit, or 0 when the credit exceeds them. credit_vnd: not negative.
    paid_vnd: of this period's bill, already.
    qr_payload: None leaves the code off: nothing to pay, or more than one transfer can carry. pay_by: ISO date.
    """
    assert 0 <= paid_vnd <= bill.total_vnd, "no more is paid than was asked for"
    due_vnd = bill.total_vnd - paid_vnd + sum(amount_vnd for _, amount_vnd in arrears) - credit_vnd
    assert credit_vnd >= 0, "a credit is not negative"
    assert total_vnd == max(0, due_vnd), "a bill notice that does not add up"
    carried_over = [*_arrears(arrears)]
    if credit_vnd:
        carried_over.append(Columns("Tiền dư kỳ trước", vnd(-credit_vnd)))
    return _paper(
        _head(head, "GIẤY BÁO TIỀN NƯỚC", reading.period),
        _reprint(head),
        _customer(customer),
        _reading(reading),
        _bill(bill, reading.period),
        _paid(paid_vnd),
        carried_over,
        _due("TỔNG TIỀN PHẢI TRẢ", total_vnd, pay_by if total_vnd else None, qr_payload),
        _foot(head, "Nhân viên ghi thu"),
    )


def notice(
    head: PaperHead,
    customer: PaperCustomer,
    reading: PaperReading | None,
    *,
    period: str,
    reason_words: str,
    bill: Bill | None = None,
    arrears: Amounts = (),
    shut_off_warning: bool = False,
    pay_by: str | None = None,
    qr_payload: str | None = None,
    paid_vnd: int = 0,
) -> Document:
    """Why nothing was taken: the meter could not be read, the bill is held, or only arrears are left.

    reason_words: a sentence for the customer. bill: given where the amount is settled though not taken here.
    shut_off_warning: says that supply will be stopped if the arrears stay, and names pay_by (ISO date), if given.
    pay_by, qr_payload: of no use while nothing is shown as owed. paid_vnd: of the bill, already.
    """
    why: list[Item] = [Text(reason_words, BOLD)]
    if reading is None or reading.index is None:
        why.append(Text("Xin Quý khách gọi nhân viên ghi thu để hẹn giờ đọc đồng hồ."))
    assert 0 <= paid_vnd <= (bill.total_vnd if bill else 0), "no more is paid than was asked for"
    total_vnd = (bill.total_vnd if bill else 0) - paid_vnd + sum(amount_vnd for _, amount_vnd in arrears)
    return _paper(
        _head(head, "THÔNG BÁO", period),
        _reprint(head),
        _customer(customer),
        _reading(_without_twice_said(reading, reason_words)) if reading else (),
        why,
        _bill(bill, period) if bill else (),
        _paid(paid_vnd),
        _arrears(arrears),
        _due("TỔNG SỐ TIỀN", total_vnd, pay_by, qr_payload) if total_vnd else (),
        _shut_off(pay_by) if shut_off_warning else (),
        _foot(head, "Nhân viên ghi thu"),
    )


def receipt(
    head: PaperHead,
    customer: PaperCustomer,
    reading: PaperReading | None,
    bill: Bill | None,
    *,
    period: str,
    settled: Settled,
    credit_vnd: int,
    rounding_vnd: int,
    amount_vnd: int,
    receipt_no: int,
) -> Document:
    """Money taken, bill by bill, with the receipt's number and a code that proves which record it shows.

    amount_vnd: bills settled - credit + rounding. credit_vnd: not negative. rounding_vnd: may be negative.
    receipt_no: from 1, gapless per handheld.
    reading, bill: of this period, where this period's bill is among the settled ones.
    """
    bills_vnd = sum(settled_vnd for _, _, settled_vnd in settled)
    assert credit_vnd >= 0, "a credit is not negative"
    assert amount_vnd == bills_vnd - credit_vnd + rounding_vnd, "a receipt that does not add up"
    title = f"BIÊN NHẬN {NO_BREAK_SPACE.join(('THU', 'TIỀN', 'NƯỚC'))}"
    number = Text(f"Số {_receipt_no(head, receipt_no)}", CENTERED_BOLD)
    taken: list[Item] = [Text("Thu tiền các hóa đơn:")]
    for bill_period, bill_no, settled_vnd in settled:
        taken.append(Columns(f"{INDENT}Kỳ {period_text(bill_period)}", vnd(settled_vnd)))
        if bill_no != f"{customer.customer_id}-{bill_period}":
            taken.append(Text(f"{INDENT}Số {bill_no}"))
    if credit_vnd:
        taken.append(Columns("Trừ tiền dư", vnd(-credit_vnd)))
    if rounding_vnd:
        taken.append(Columns("Làm tròn", vnd(rounding_vnd)))
    return _paper(
        (*_head(head, title, period), number, Text("(Không thay thế hóa đơn)", CENTERED)),
        _reprint(head),
        _customer(customer),
        _reading(reading) if reading else (),
        _bill(bill, period) if bill else (),
        taken,
        _amount("ĐÃ THU TIỀN MẶT", amount_vnd),
        (*_foot(head, "Nhân viên thu tiền"), QrCode(proof_code(head), "Mã kiểm tra biên nhận")),
    )


def day_slip(
    head: PaperHead,
    *,
    day: str,
    period: str,
    totals: DayTotals,
    notes: tuple[Denomination, ...],
    computed_vnd: int,
    unsent: int,
) -> Document:
    """What the collector claims at the end of a day, against what the handheld computed.

    day: ISO. notes: cash counted; their sum is the claim. computed_vnd: cash that ought to be in the bag.
    unsent: records the hub does not have yet.
    """
    claimed_vnd = sum(note.value_vnd * note.pieces for note in notes)
    round_made = (
        Columns("Đã ghi chỉ số", vnd_plain(totals.read)),
        Columns("Không ghi được", vnd_plain(totals.skipped)),
        Columns("Giấy đã in", vnd_plain(totals.printed)),
        Columns("Số lần in lại", vnd_plain(totals.reprinted)),
        Columns("Bản ghi chưa gửi", vnd_plain(unsent), bold=unsent > 0),
    )
    money_taken = (
        Columns("Số lần thu", vnd_plain(totals.collected)),
        Columns("Tiền đã thu", vnd(totals.collected_vnd), bold=True),
        Columns("Biên nhận từ số", _receipt_no(head, totals.receipt_first)),
        Columns("đến số", _receipt_no(head, totals.receipt_last)),
        Columns("Biên nhận hủy", vnd_plain(totals.voided)),
        Columns("Tiền hủy", vnd(totals.voided_vnd)),
    )
    comparison = (
        *_amount("TIỀN MẶT KÊ KHAI", claimed_vnd),
        Columns("Tiền theo máy", vnd(computed_vnd), bold=True),
        _difference(claimed_vnd - computed_vnd),
    )
    return _paper(
        (*_head(head, "PHIẾU CUỐI NGÀY", period), Text(f"Ngày {date_text(day)}", CENTERED_BOLD)),
        _reprint(head),
        round_made,
        money_taken,
        _notes(notes),
        comparison,
        (Columns("Người nộp", "Thủ quỹ"), Feed(4)),
        _foot(head, "Nhân viên ghi thu"),
    )


def proof_code(head: PaperHead) -> str:
    """What a receipt's code says: "GT1:<device>:<sequence>:<8 hex digits of the hash>"."""
    return f"GT1:{head.device_no}:{head.seq}:{head.digest_hex8}"


def _paper(*blocks: Iterable[Item]) -> Document:
    """The blocks that hold something, a rule between each two."""
    items: list[Item] = []
    for block in map(tuple, blocks):
        if items and block:
            items.append(Rule())
        items += block
    return Document(tuple(items))


def _head(head: PaperHead, title: str, period: str) -> Iterator[Item]:
    yield Text(head.utility_name, CENTERED_BOLD)
    yield Text(head.branch_name, CENTERED)
    if head.hotline:
        yield Text(f"Tổng đài: {head.hotline}", CENTERED)
    yield Text(title, BANNER)
    yield Text(f"Kỳ {period_text(period)}", CENTERED_BOLD)


def _reprint(head: PaperHead) -> Iterator[Item]:
    """Stands alone between two rules, so that nobody takes the paper for a second payment."""
    if head.print_no >= 2:
        yield Text(f"IN LẠI — Lần in: {head.print_no}", CENTERED_BOLD)


def _customer(customer: PaperCustomer) -> Iterator[Item]:
    yield Text(customer.name, BOLD)
    if customer.address:
        yield Text(customer.address)
    yield Columns("Danh bộ", grouped_register_no(customer.register_no), bold=True)
    yield Columns(f"Mã KH {customer.customer_id}", f"MLT {customer.route} / {customer.walk_seq}")
    yield Columns(f"Đồng hồ {customer.meter_serial}" if customer.meter_serial else "", customer.category)


def _reading(reading: PaperReading) -> Iterator[Item]:
    since = f" ({date_text(reading.previous_date)})" if reading.previous_date else ""
    yield Columns(f"Chỉ số cũ{since}", str(reading.previous_index))
    if reading.removed_index is not None:
        yield Columns("Chỉ số đồng hồ tháo ra", str(reading.removed_index))
    if reading.installed_index is not None:
        yield Columns("Chỉ số đồng hồ lắp vào", str(reading.installed_index))
    index = "không đọc được" if reading.index is None else str(reading.index)
    yield Columns(f"Chỉ số mới ({date_text(reading.date)})", index)
    used = reading.consumption_m3
    settled = used is not None and used >= 0
    yield Columns("Tiêu thụ", f"{vnd_plain(used or 0)} m³" if settled else "chưa xác định", bold=True)
    if reading.code_words:
        yield Text(f"Ghi chú: {reading.code_words}")


def _without_twice_said(reading: PaperReading, reason_words: str) -> PaperReading:
    """The reading without a note that the reason repeats: it would only make the paper longer."""
    return replace(reading, code_words="") if reading.code_words in reason_words else reading


def _bill(bill: Bill, period: str) -> Iterator[Item]:
    version = ""
    for line in bill.lines:
        if line.version != version:
            version = line.version
            yield Text(f"Biểu giá {version}{_vat_words(bill)}:")
        yield Columns(f"{INDENT}{vnd_plain(line.m3)} m³ × {vnd_plain(line.price_vnd)}", vnd(line.gross_vnd))
    yield Columns("Tiền nước chưa thuế", vnd(bill.net_vnd))
    yield Columns("Thuế GTGT", vnd(bill.vat_vnd))
    yield Columns("Phí bảo vệ môi trường", vnd(bill.fee_vnd))
    yield Columns(f"Cộng kỳ {period_text(period)}", vnd(bill.total_vnd), bold=True)


def _vat_words(bill: Bill) -> str:
    """Whether prices have VAT in them; nothing where the bill does not tell or two price lists differ."""
    if bill.vat_vnd and bill.gross_vnd == bill.net_vnd + bill.vat_vnd:
        return " (đã có thuế)"
    if bill.vat_vnd and bill.gross_vnd == bill.net_vnd:
        return " (chưa thuế)"
    return ""


def _paid(paid_vnd: int) -> list[Item]:
    """What of this period's bill is paid already, as a line that takes it off."""
    return [Columns("Đã thanh toán", vnd(-paid_vnd))] if paid_vnd else []


def _arrears(arrears: Amounts) -> Iterator[Item]:
    if not arrears:
        return
    yield Text(f"Nợ các kỳ trước ({len(arrears)} kỳ):")
    for period, amount_vnd in arrears:
        yield Columns(f"{INDENT}Kỳ {period_text(period)}", vnd(amount_vnd))
    if len(arrears) > 1:
        yield Columns("Cộng nợ", vnd(sum(amount_vnd for _, amount_vnd in arrears)), bold=True)
    yield Text("(Xin bỏ qua nếu đã thanh toán)")


def _amount(label: str, amount_vnd: int) -> Iterator[Item]:
    """The sum that the paper is about, to be read at arm's length."""
    yield Text(label, CENTERED_BOLD)
    yield Text(vnd(amount_vnd), BANNER)
    number, _, unit = amount_in_words(amount_vnd).rpartition(" ")
    yield Text(f"Bằng chữ: {number}{NO_BREAK_SPACE}{unit}.")


def _due(label: str, amount_vnd: int, pay_by: str | None, qr_payload: str | None) -> Iterator[Item]:
    yield from _amount(label, amount_vnd)
    if pay_by is not None:
        yield Columns("Hạn thanh toán", date_text(pay_by), bold=True)
    if qr_payload is not None:
        yield QrCode(qr_payload, "Quét mã để trả qua ngân hàng")


def _shut_off(pay_by: str | None) -> Iterator[Item]:
    yield Text("CẢNH BÁO NGỪNG CẤP NƯỚC", CENTERED_BOLD)
    until = f" trước ngày {date_text(pay_by)}" if pay_by else ""
    yield Text(f"Đề nghị Quý khách thanh toán nợ{until}. Nếu còn nợ, nước sẽ bị ngừng cấp theo hợp đồng.")


def _receipt_no(head: PaperHead, receipt_no: int) -> str:
    """As printed and as the branch files it; 0 says that none was given."""
    return f"{head.device_no:02d}-{receipt_no:06d}" if receipt_no else "không có"


def _notes(notes: tuple[Denomination, ...]) -> Iterator[Item]:
    counted = sorted((note for note in notes if note.pieces), reverse=True)
    yield Columns("Tiền mặt đã đếm:", "" if counted else "không có", bold=True)
    for note in counted:
        value = vnd_plain(note.value_vnd).rjust(len("500.000")).replace(" ", NO_BREAK_SPACE)
        yield Columns(f"{value} × {vnd_plain(note.pieces)}", vnd(note.value_vnd * note.pieces))


def _difference(difference_vnd: int) -> Item:
    if difference_vnd == 0:
        return Columns("Chênh lệch", "khớp", bold=True)
    return Columns("THỪA" if difference_vnd > 0 else "THIẾU", vnd(abs(difference_vnd)), bold=True, size=2)


def _foot(head: PaperHead, role: str) -> Iterator[Item]:
    """Whom to call, and where the record is."""
    yield Text(f"{role}: {head.collector_name}")
    if head.collector_phone:
        yield Text(f"Điện thoại: {head.collector_phone}")
    at = datetime.fromtimestamp(head.at_ms // 1000, VIETNAM)
    yield Columns(f"{at:%H:%M %d/%m/%Y}", f"Lần in: {head.print_no}")
    yield Columns(f"Máy {head.device_no} - Bản ghi {head.seq}", head.digest_hex8)
