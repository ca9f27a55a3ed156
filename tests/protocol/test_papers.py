"""Paper as data, and what stands on each of the four papers."""

import itertools
import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.document import (
    Align,
    Columns,
    Document,
    Feed,
    Item,
    Line,
    QrCode,
    Rule,
    Style,
    Text,
    as_text,
    layout,
)
from protocol.papers import (
    PaperCustomer,
    PaperHead,
    PaperReading,
    bill_notice,
    day_slip,
    notice,
    proof_code,
    receipt,
)
from protocol.records import DayTotals, Denomination
from protocol.tariff import Bill, BillLine

NO_BREAK = "\u00a0"
PAPERS_COLUMNS = (32, 48)

LETTERS = "aăâbdđeêghiklmnoôơpqrstuưvxyậấởỹệĐẶẪỒƯ0123456789.,/:()×³"
SYLLABLES = st.text(LETTERS, min_size=1, max_size=9) | st.text(LETTERS, min_size=10, max_size=70)
PARAGRAPHS = st.lists(st.tuples(SYLLABLES, st.sampled_from([" ", "  ", NO_BREAK])), max_size=14).map(
    lambda parts: "".join(syllable + space for syllable, space in parts)
)
SIZES = st.sampled_from([1, 2])
STYLES = st.builds(Style, bold=st.booleans(), size=SIZES, align=st.sampled_from(list(Align)))
WORDED_ITEMS = st.one_of(
    st.builds(Text, PARAGRAPHS, STYLES),
    st.builds(Columns, PARAGRAPHS, PARAGRAPHS, st.booleans(), SIZES),
    st.builds(QrCode, st.just("GT1:7:1:00000000"), PARAGRAPHS),
)
ITEMS: st.SearchStrategy[Item] = st.one_of(
    WORDED_ITEMS, st.just(Rule()), st.builds(Feed, st.integers(min_value=0, max_value=4))
)
DOCUMENTS = st.lists(ITEMS, max_size=8).map(lambda items: Document(tuple(items)))


def letters_of(document: Document) -> str:
    """All letters a document says, in order, without spaces."""
    said: list[str] = []
    for item in document.items:
        match item:
            case Text():
                said.append(item.text)
            case Columns():
                said += [item.left, item.right]
            case QrCode():
                said.append(item.caption)
            case Rule() | Feed():
                pass
    return "".join("".join(said).split())


def in_order(few: list[str], many: list[str]) -> bool:
    rest = iter(many)
    return all(one in rest for one in few)


@given(DOCUMENTS, st.sampled_from([16, 31, *PAPERS_COLUMNS]))
def test_no_line_is_wider_than_the_paper_and_no_letter_is_lost(document: Document, columns: int) -> None:
    text = as_text(document, columns)
    lines = text.splitlines()
    assert all(len(line) <= columns for line in lines)
    assert not any(NO_BREAK in line or line != line.rstrip() for line in lines)
    assert "".join(text.replace("-" * columns, "").split()) == letters_of(document)


@given(DOCUMENTS, st.sampled_from(PAPERS_COLUMNS))
def test_a_line_of_size_2_has_half_the_cells(document: Document, columns: int) -> None:
    for piece in layout(document, columns):
        if isinstance(piece, Line):
            width = columns // piece.style.size
            assert 0 < len(piece.cells(width)) <= width


@given(PARAGRAPHS, STYLES, st.sampled_from(PAPERS_COLUMNS))
def test_no_syllable_is_cut_that_fits_a_line(text: str, style: Style, columns: int) -> None:
    printed = as_text(Document((Text(text, style),)), columns).split()
    fitting = [syllable for syllable in text.split() if len(syllable) <= columns // style.size]
    assert in_order(fitting, printed)


@given(PARAGRAPHS, st.text(LETTERS, min_size=1, max_size=32), st.sampled_from(PAPERS_COLUMNS))
def test_a_value_stays_whole_at_the_right_end_of_the_last_line(left: str, right: str, columns: int) -> None:
    last = as_text(Document((Columns(left, right),)), columns).splitlines()[-1]
    assert last.endswith(right)
    assert len(last) == columns
    assert last == right.rjust(columns) or last[: -len(right)].endswith(" ")


@given(st.integers(min_value=0, max_value=12), st.sampled_from([16, *PAPERS_COLUMNS]))
def test_an_amount_and_its_unit_are_never_parted(padding: int, columns: int) -> None:
    for words in range(1, 20):
        text = " ".join(["nợ" + "x" * padding] * words + [f"9.999.999.999{NO_BREAK}đ"])
        assert "9.999.999.999 đ" in as_text(Document((Text(text),)), columns)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("GIẤY BÁO TIỀN NƯỚC", ["    GIẤY BÁO", "   TIỀN NƯỚC"]),
        ("một hai ba bốn năm", ["   một hai ba", "    bốn năm"]),
        ("Kỳ 11/2026", ["   Kỳ 11/2026"]),
        ("", []),
    ],
)
def test_centred_lines_are_of_like_length(text: str, lines: list[str]) -> None:
    document = Document((Text(text, Style(align=Align.CENTER)),))
    assert as_text(document, 16).splitlines() == lines


@pytest.mark.parametrize(
    ("hostile", "printed"),
    [
        ("Lê\x1b@Văn\x00Khải\n\tA", "Lê @Văn Khải A"),  # A control character would be a command.
        (unicodedata.normalize("NFD", "Đặng Thị Ễ"), "Đặng Thị Ễ"),
        ("Lê\u200b\ufeffVăn\ud800", "LêVăn"),
        (f"{NO_BREAK} {NO_BREAK}{NO_BREAK} a", "a"),
    ],
)
def test_what_is_no_letter_is_not_printed(hostile: str, printed: str) -> None:
    assert as_text(Document((Text(hostile),)), 32) == printed + "\n"


def test_no_break_spaces_indent_a_label() -> None:
    assert as_text(Document((Columns(f"{NO_BREAK}{NO_BREAK}a", "b"),)), 16) == "  a" + " " * 12 + "b\n"


def test_paper_too_narrow_for_the_largest_amount_is_refused() -> None:
    with pytest.raises(ValueError, match="15 columns"):
        as_text(Document(()), 15)


HEAD = PaperHead(
    utility_name="Công ty Cấp nước Mẫu",
    branch_name="Chi nhánh Bến Thử",
    hotline="1900 0000",
    collector_name="Lê Văn Khải",
    collector_phone="0900 000 001",
    at_ms=1_795_488_060_000,  # 2026-11-24T02:41:00Z
    print_no=1,
    device_no=7,
    seq=1234,
    digest_hex8="9f3a01bc",
)
CUSTOMER = PaperCustomer(
    name="Đặng Văn Bé Bảy",
    address="37/4A đường Thử, P. Mẫu",
    customer_id="0070037",
    register_no="05070037001",
    route="05.07",
    walk_seq=37,
    meter_serial="AT000037",
    category="Sinh hoạt",
)
READING = PaperReading(
    period="2026-11",
    previous_index=1217,
    previous_date="2026-10-24",
    index=1239,
    date="2026-11-24",
    consumption_m3=22,
    code_words="",
)
UNREAD = replace(READING, index=None, consumption_m3=None, code_words="Nhà khóa cửa")
# By hand: 22 x 9,020; / 1.05 = 188,990.48; VAT is the rest; 10 % of the net is 18,899.
BILL = Bill(
    lines=(BillLine(version="CT-2024", m3=22, price_vnd=9_020, gross_vnd=198_440),),
    gross_vnd=198_440,
    net_vnd=188_990,
    vat_vnd=9_450,
    fee_vnd=18_899,
    total_vnd=217_339,
)
ARREARS = (("2026-09", 98_100), ("2026-10", 74_000))
TOTALS = DayTotals(
    read=1_131,
    skipped=4,
    collected=96,
    collected_vnd=18_450_000,
    voided=1,
    voided_vnd=217_000,
    printed=140,
    reprinted=2,
    receipt_first=123,
    receipt_last=218,
)
NOTES = (Denomination(1_000, 3), Denomination(500_000, 36), Denomination(20_000, 11), Denomination(200, 0))


def a_bill_notice(head: PaperHead = HEAD) -> Document:
    return bill_notice(
        head,
        CUSTOMER,
        READING,
        BILL,
        arrears=ARREARS,
        credit_vnd=10_000,
        total_vnd=379_439,
        qr_payload="000201...",
        pay_by="2026-12-05",
    )


def a_notice(head: PaperHead = HEAD) -> Document:
    return notice(
        head,
        CUSTOMER,
        UNREAD,
        period="2026-11",
        reason_words="Không đọc được đồng hồ.",
        arrears=ARREARS,
        shut_off_warning=True,
        pay_by="2026-12-05",
    )


def a_receipt(head: PaperHead = HEAD) -> Document:
    return receipt(
        head,
        CUSTOMER,
        READING,
        BILL,
        period="2026-11",
        settled=(("2026-10", "B-77", 74_000), ("2026-11", "0070037-2026-11", 217_339)),
        credit_vnd=5_000,
        rounding_vnd=-339,
        amount_vnd=286_000,
        receipt_no=123,
    )


def a_day_slip(head: PaperHead = HEAD) -> Document:
    return day_slip(
        head, day="2026-11-24", period="2026-11", totals=TOTALS, notes=NOTES, computed_vnd=18_233_000, unsent=12
    )


PAPERS = {"bill_notice": a_bill_notice, "notice": a_notice, "receipt": a_receipt, "day_slip": a_day_slip}

ISSUER = """
Công ty Cấp nước Mẫu | Chi nhánh Bến Thử | 1900 0000 | Lê Văn Khải | 0900 000 001
Kỳ 11/2026 | 09:41 24/11/2026 | Lần in: 1 | Máy 7 - Bản ghi 1234 | 9f3a01bc
"""
FOR_A_CUSTOMER = """
Đặng Văn Bé Bảy | 37/4A đường Thử, P. Mẫu | Danh bộ 0507-003-7001 | Mã KH 0070037 | MLT 05.07 / 37
Đồng hồ AT000037 | Sinh hoạt | Chỉ số cũ (24/10/2026) 1217
"""
WITH_A_BILL = """
Chỉ số mới (24/11/2026) 1239 | Tiêu thụ 22 m³ | Biểu giá CT-2024 (đã có thuế) | 22 m³ × 9.020 198.440 đ
Tiền nước chưa thuế 188.990 đ | Thuế GTGT 9.450 đ | Phí bảo vệ môi trường 18.899 đ | Cộng kỳ 11/2026 217.339 đ
"""
REQUIRED = {
    "bill_notice": ISSUER
    + FOR_A_CUSTOMER
    + WITH_A_BILL
    + """
GIẤY BÁO TIỀN NƯỚC | Nợ các kỳ trước (2 kỳ) | Kỳ 09/2026 98.100 đ | Kỳ 10/2026 74.000 đ | Cộng nợ 172.100 đ
Tiền dư kỳ trước -10.000 đ | TỔNG TIỀN PHẢI TRẢ 379.439 đ | Hạn thanh toán 05/12/2026
Bằng chữ: Ba trăm bảy mươi chín nghìn bốn trăm ba mươi chín đồng. | Quét mã
""",
    "notice": ISSUER
    + FOR_A_CUSTOMER
    + """
THÔNG BÁO | Chỉ số mới (24/11/2026) không đọc được | Tiêu thụ chưa xác định | Ghi chú: Nhà khóa cửa
Không đọc được đồng hồ. | Kỳ 09/2026 98.100 đ | Kỳ 10/2026 74.000 đ | TỔNG SỐ TIỀN 172.100 đ
Bằng chữ: Một trăm bảy mươi hai nghìn một trăm đồng. | CẢNH BÁO NGỪNG CẤP NƯỚC | trước ngày 05/12/2026
""",
    "receipt": ISSUER
    + FOR_A_CUSTOMER
    + WITH_A_BILL
    + """
BIÊN NHẬN THU TIỀN NƯỚC | Số 07-000123 | (Không thay thế hóa đơn) | Kỳ 10/2026 74.000 đ | Số B-77
Kỳ 11/2026 217.339 đ | Trừ tiền dư -5.000 đ | Làm tròn -339 đ | ĐÃ THU TIỀN MẶT 286.000 đ
Bằng chữ: Hai trăm tám mươi sáu nghìn đồng.
""",
    "day_slip": ISSUER
    + """
PHIẾU CUỐI NGÀY | Ngày 24/11/2026 | Đã ghi chỉ số 1.131 | Không ghi được 4 | Số lần thu 96
Tiền đã thu 18.450.000 đ | Biên nhận từ số 07-000123 | đến số 07-000218 | Biên nhận hủy 1 | Tiền hủy 217.000 đ
Giấy đã in 140 | Số lần in lại 2 | Bản ghi chưa gửi 12 | 500.000 × 36 18.000.000 đ | 20.000 × 11 220.000 đ
1.000 × 3 3.000 đ | TIỀN MẶT KÊ KHAI 18.223.000 đ | Tiền theo máy 18.233.000 đ | THIẾU 10.000 đ
Bằng chữ: Mười tám triệu hai trăm hai mươi ba nghìn đồng. | Người nộp | Thủ quỹ
""",
}


def one_line(document: Document, columns: int) -> str:
    return " ".join(as_text(document, columns).split())


@pytest.mark.parametrize("columns", PAPERS_COLUMNS)
@pytest.mark.parametrize("paper", PAPERS)
def test_every_paper_shows_what_it_must(paper: str, columns: int) -> None:
    text = one_line(PAPERS[paper](), columns)
    required = [field.strip() for line in REQUIRED[paper].split("\n") for field in line.split("|")]
    assert [field for field in required if field not in text] == []


@pytest.mark.parametrize("columns", PAPERS_COLUMNS)
@pytest.mark.parametrize(
    ("paper", "amount"),
    [
        ("bill_notice", "379.439 đ"),
        ("notice", "172.100 đ"),
        ("receipt", "286.000 đ"),
        ("day_slip", "18.223.000 đ"),
    ],
)
def test_the_amount_is_readable_at_arms_length(paper: str, amount: str, columns: int) -> None:
    large = Style(bold=True, size=2, align=Align.CENTER)
    assert Line(amount, large) in list(layout(PAPERS[paper](), columns))


@pytest.mark.parametrize("paper", PAPERS)
def test_only_a_reprint_is_marked(paper: str) -> None:
    assert "IN LẠI" not in one_line(PAPERS[paper](), 32)
    again = PAPERS[paper](replace(HEAD, print_no=2)).items
    mark = again.index(Text("IN LẠI — Lần in: 2", Style(bold=True, align=Align.CENTER)))
    assert (again[mark - 1], again[mark + 1]) == (Rule(), Rule())
    assert any(isinstance(item, Columns) and item.right == "Lần in: 2" for item in again)


@pytest.mark.parametrize("paper", PAPERS)
def test_rules_stand_between_blocks_only(paper: str) -> None:
    items = PAPERS[paper]().items
    assert Rule() not in (items[0], items[-1])
    assert (Rule(), Rule()) not in set(itertools.pairwise(items))


def test_a_receipt_carries_the_proof_of_its_record() -> None:
    assert proof_code(HEAD) == "GT1:7:1234:9f3a01bc"
    assert [item.payload for item in a_receipt().items if isinstance(item, QrCode)] == [proof_code(HEAD)]


def test_a_receipt_for_arrears_alone_shows_no_reading() -> None:
    paper = receipt(
        HEAD,
        CUSTOMER,
        None,
        None,
        period="2026-11",
        settled=(("2026-10", "0070037-2026-10", 74_000),),
        credit_vnd=0,
        rounding_vnd=0,
        amount_vnd=74_000,
        receipt_no=1,
    )
    text = one_line(paper, 32)
    assert "Kỳ 10/2026 74.000 đ" in text
    assert not any(word in text for word in ("Chỉ số", "Thuế", "Làm tròn", "Trừ tiền dư", "0070037-2026-10"))


def test_a_held_bill_keeps_its_amount_off_the_notice() -> None:
    below = replace(READING, index=1200, consumption_m3=-17)
    text = one_line(notice(HEAD, CUSTOMER, below, period="2026-11", reason_words="Chỉ số giảm."), 32)
    assert "Chỉ số mới (24/11/2026) 1200 Tiêu thụ chưa xác định" in text
    assert not re.search(r"\d đ\b|-17|Bằng chữ|CẢNH BÁO", text)


def test_a_customer_who_pays_by_transfer_is_told_the_amount() -> None:
    paper = notice(HEAD, CUSTOMER, READING, period="2026-11", reason_words="Thu qua ngân hàng.", bill=BILL)
    text = one_line(paper, 32)
    assert "TỔNG SỐ TIỀN 217.339 đ Bằng chữ: Hai trăm mười bảy nghìn ba trăm ba mươi chín đồng." in text
    assert "hẹn giờ" not in text


def test_a_replaced_meter_shows_both_dials() -> None:
    replaced = replace(READING, removed_index=1230, installed_index=3, index=16)
    text = one_line(notice(HEAD, CUSTOMER, replaced, period="2026-11", reason_words="Đã thay đồng hồ."), 48)
    assert "1217 Chỉ số đồng hồ tháo ra 1230 Chỉ số đồng hồ lắp vào 3 Chỉ số mới (24/11/2026) 16" in text


@pytest.mark.parametrize(
    ("computed_vnd", "said"),
    [
        (18_223_000, "Chênh lệch khớp"),
        (18_000_000, "THỪA 223.000 đ"),
        (18_223_001, "THIẾU 1 đ"),
    ],
)
def test_claim_and_handheld_are_compared(computed_vnd: int, said: str) -> None:
    paper = day_slip(
        HEAD, day="2026-11-24", period="2026-11", totals=TOTALS, notes=NOTES, computed_vnd=computed_vnd, unsent=0
    )
    assert said in one_line(paper, 32)


def test_a_day_without_receipts_has_no_receipt_numbers() -> None:
    totals = replace(TOTALS, receipt_first=0, receipt_last=0)
    paper = day_slip(HEAD, day="2026-11-24", period="2026-11", totals=totals, notes=(), computed_vnd=0, unsent=0)
    assert "Biên nhận từ số không có đến số không có" in one_line(paper, 32)


@pytest.mark.parametrize("notes", [(), (Denomination(200, 0),)])
def test_an_empty_bag_is_called_empty(notes: tuple[Denomination, ...]) -> None:
    paper = day_slip(HEAD, day="2026-11-24", period="2026-11", totals=TOTALS, notes=notes, computed_vnd=0, unsent=0)
    assert "Tiền mặt đã đếm: không có TIỀN MẶT KÊ KHAI 0 đ" in one_line(paper, 32).replace("-" * 32 + " ", "")


def test_a_note_that_the_reason_repeats_is_said_once() -> None:
    reason = "Chưa ghi được chỉ số nước: Nhà khóa cửa"
    text = one_line(notice(HEAD, CUSTOMER, UNREAD, period="2026-11", reason_words=reason), 32)
    assert reason in text
    assert text.count("Nhà khóa cửa") == 1


def test_a_receipt_s_title_takes_one_line_where_it_fits() -> None:
    wide, narrow = ([line.strip() for line in as_text(a_receipt(), columns).splitlines()] for columns in (48, 32))
    assert wide[3] == "BIÊN NHẬN THU TIỀN NƯỚC"
    assert narrow[3:5] == ["BIÊN NHẬN", "THU TIỀN NƯỚC"]


def test_a_credit_above_the_bill_leaves_nothing_to_pay() -> None:
    paper = bill_notice(
        HEAD,
        CUSTOMER,
        READING,
        BILL,
        arrears=(),
        credit_vnd=300_000,
        total_vnd=0,
        qr_payload=None,
        pay_by="2026-12-05",
    )
    text = one_line(paper, 32)
    assert "TỔNG TIỀN PHẢI TRẢ 0 đ Bằng chữ: Không đồng." in text
    assert "Hạn thanh toán" not in text
    assert not any(isinstance(item, QrCode) for item in paper.items)


def test_sums_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(AssertionError, match="add up"):
        bill_notice(
            HEAD,
            CUSTOMER,
            READING,
            BILL,
            arrears=ARREARS,
            credit_vnd=0,
            total_vnd=217_339,
            qr_payload=None,
            pay_by="2026-12-05",
        )
    with pytest.raises(AssertionError, match="add up"):
        receipt(
            HEAD,
            CUSTOMER,
            None,
            None,
            period="2026-11",
            settled=(("2026-10", "0070037-2026-10", 74_000),),
            credit_vnd=0,
            rounding_vnd=0,
            amount_vnd=47_000,
            receipt_no=1,
        )


@pytest.mark.parametrize("columns", PAPERS_COLUMNS)
def test_the_longest_of_everything_fits(columns: int) -> None:
    name = "Nguyễn Hoàng Phạm Thị Ngọc Diễm " * 6 + "Đặng Văn"
    address = "Số 12/3 hẻm 45, tổ 6, ấp Thử Nghiệm, xã Xa, huyện Vắng; " * 3 + "x" * 32
    assert (len(name), len(address)) == (200, 200)
    arrears = tuple((f"2025-{month:02d}", 9_999_999_999) for month in range(1, 13))
    customer = replace(CUSTOMER, name=name, address=address, customer_id="9" * 16, meter_serial="M" * 40)
    head = replace(HEAD, utility_name=name, branch_name=name, collector_name=name, device_no=10**6, seq=2**31 - 1)
    total_vnd = BILL.total_vnd + 12 * 9_999_999_999
    paper = bill_notice(
        head,
        customer,
        replace(READING, previous_index=10**9 - 1, index=10**9 - 1, consumption_m3=10**6),
        BILL,
        arrears=arrears,
        credit_vnd=0,
        total_vnd=total_vnd,
        qr_payload="1" * 150,
        pay_by="2026-12-05",
    )
    lines = as_text(paper, columns).splitlines()
    assert max(map(len, lines)) <= columns
    assert sum(line.endswith(" 9.999.999.999 đ") for line in lines) == 12
    assert "".join((name + address).split()) in "".join("".join(lines).split())
    largest = Document((Text(f"9.999.999.999{NO_BREAK}đ", Style(size=2)),))
    assert as_text(largest, columns) == "9.999.999.999 đ\n"
