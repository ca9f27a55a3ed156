"""Every paper as a picture that a person has looked at, compared dot by dot; its codes, read by another program.

The pictures are in golden/, whose README says who looks and how. `python -m tests.printer_drivers.test_golden_papers`
draws anew those that differ and names them.

Names, addresses, numbers and accounts are made up, as long as the longest that occur and of the same letters.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops, features

from device.core.papers import CATEGORY_WORDS, HOLD_SENTENCES
from printer_drivers.raster import CELL_WIDTH, LINE_HEIGHT, render
from protocol.document import Document, Item, QrCode, Rule, Style, Text
from protocol.papers import (
    Amounts,
    PaperCustomer,
    PaperHead,
    PaperReading,
    Settled,
    bill_notice,
    day_slip,
    notice,
    proof_code,
    receipt,
)
from protocol.readings import READING_CODES
from protocol.reasons import Reason
from protocol.records import DayTotals, Denomination
from protocol.tariff import Bill, BillLine, half_up
from protocol.vietqr import payload, purpose_for

FOLDER = Path(__file__).parent / "golden"
RENEW = "python -m tests.printer_drivers.test_golden_papers"
DRAWN_WITH = "Pillow 13, FreeType 2.14"  # Another FreeType may set other dots; the README names it too.
PAPER_DOTS = (384, 576)
FOLDER_BYTES_MAX = 1_500_000  # Pictures are never deleted from a repository's history: they stay small.

HEAD = PaperHead(
    utility_name="Công ty Cổ phần Cấp thoát nước Sông Trước",
    branch_name="Xí nghiệp Cấp nước Hưng Thượng",
    hotline="1900 0000",
    collector_name="Nguyễn Hoàng Ngọc Phượng",
    collector_phone="0950 000 007",
    at_ms=1_795_488_060_000,  # 2026-11-24T02:41:00Z
    print_no=1,
    device_no=7,
    seq=12_345,
    digest_hex8="9f3a01bc",
)
HOUSEHOLD = PaperCustomer(
    name="Nguyễn Trương Hoàng Phượng",
    address="817/110 Đường Nguyễn Xuân Trưởng, Phường An Thượng, TP. Sông Trước",
    customer_id="02999137",
    register_no="02059990137",
    route="HT-05",
    walk_seq=2137,
    meter_serial="Z25999137",
    category=CATEGORY_WORDS["household"],
)
SCHOOL = PaperCustomer(
    name="Trường Tiểu học Nguyễn Nghiệp Thượng",
    address="1021/118-37B Đường Cách Mạng Tháng Giêng, Phường Thới Thuận Đông, TP. Sông Trước",
    customer_id="02999882",
    register_no="02059998820",
    route="HT-05",
    walk_seq=9,
    meter_serial="S21999882",
    category=CATEGORY_WORDS["public"],
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
CLOSED = replace(READING, index=None, consumption_m3=None, code_words=READING_CODES["house_closed"].vi)
PAY_BY = "2026-12-04"


def bill_of(*lines: tuple[str, int, int]) -> Bill:
    """The bill of (price list, m3, price with VAT in it); 5 % VAT, then 10 % fee on the net, each half up."""
    gross_vnd = sum(m3 * price_vnd for _, m3, price_vnd in lines)
    net_vnd = half_up(gross_vnd * 100, 105)
    fee_vnd = half_up(net_vnd, 10)
    return Bill(
        lines=tuple(
            BillLine(version=version, m3=m3, price_vnd=price_vnd, gross_vnd=m3 * price_vnd)
            for version, m3, price_vnd in lines
        ),
        gross_vnd=gross_vnd,
        net_vnd=net_vnd,
        vat_vnd=gross_vnd - net_vnd,
        fee_vnd=fee_vnd,
        total_vnd=gross_vnd + fee_vnd,
    )


BILL = bill_of(("CT-2024", 22, 9_020))
BLOCKS = (("CT-2019", 4, 5_500), ("CT-2019", 4, 6_800), ("CT-2019", 3, 7_600), ("CT-2024", 12, 9_020))
YEAR: Amounts = tuple(
    (f"{2025 + (month > 12)}-{(month - 1) % 12 + 1:02d}", 98_765 + 41_234 * (month % 5)) for month in range(11, 23)
)
THREE = YEAR[-3:]


def transfer_code(customer: PaperCustomer, amount_vnd: int) -> str:
    return payload("970436", "100004360001", amount_vnd, purpose_for(customer.register_no, "2026-11"))


def bill_paper(
    customer: PaperCustomer = HOUSEHOLD,
    reading: PaperReading = READING,
    bill: Bill = BILL,
    arrears: Amounts = (),
    credit_vnd: int = 0,
    *,
    code: bool = True,
    print_no: int = 1,
) -> Document:
    total_vnd = max(0, bill.total_vnd + sum(amount_vnd for _, amount_vnd in arrears) - credit_vnd)
    return bill_notice(
        replace(HEAD, print_no=print_no),
        customer,
        reading,
        bill,
        arrears=arrears,
        credit_vnd=credit_vnd,
        total_vnd=total_vnd,
        qr_payload=transfer_code(customer, total_vnd) if code else None,
        pay_by=PAY_BY,
    )


def replaced_meter() -> Document:
    reading = replace(
        READING,
        removed_index=1231,
        installed_index=0,
        index=9,
        consumption_m3=23,
        code_words=READING_CODES["replaced_periodic"].vi,
    )
    return bill_paper(SCHOOL, reading, bill_of(*BLOCKS))


def largest_amount() -> Document:
    """9.999.999.999 đ, more than one transfer can carry, and indexes of six figures."""
    bill = bill_of(("CT-2024", 500_000, 15_580))
    factory = replace(
        SCHOOL, name="Công ty TNHH Trương Nguyễn Hoàng Thượng", category=CATEGORY_WORDS["business"]
    )
    reading = replace(READING, previous_index=123_456, index=623_456, consumption_m3=500_000)
    return bill_paper(factory, reading, bill, (("2026-10", 9_999_999_999 - bill.total_vnd),), code=False)


def held(reason: Reason, reading: PaperReading = READING, bill: Bill | None = None, *, code: bool = False) -> Document:
    """A bill whose amount is in doubt is not named; one that the treasury pays has no code to pay it once more."""
    return notice(
        HEAD,
        HOUSEHOLD,
        reading,
        period="2026-11",
        reason_words=HOLD_SENTENCES[reason],
        bill=bill,
        pay_by=PAY_BY if code else None,
        qr_payload=transfer_code(HOUSEHOLD, bill.total_vnd) if bill and code else None,
    )


def could_not_read(customer: PaperCustomer = HOUSEHOLD, arrears: Amounts = (), *, warning: bool = False) -> Document:
    owed_vnd = sum(amount_vnd for _, amount_vnd in arrears)
    return notice(
        HEAD,
        customer,
        CLOSED,
        period="2026-11",
        reason_words=f"Chưa ghi được chỉ số nước: {CLOSED.code_words}.",
        arrears=arrears,
        shut_off_warning=warning,
        pay_by=PAY_BY if arrears else None,
        qr_payload=transfer_code(customer, owed_vnd) if arrears else None,
    )


def receipt_paper(
    arrears: Amounts = (),
    credit_vnd: int = 0,
    rounding_vnd: int = 0,
    *,
    this_period: bool = True,
    print_no: int = 1,
    bill_no: Callable[[str], str] = lambda period: f"{HOUSEHOLD.customer_id}-{period}",
) -> Document:
    due = (*arrears, ("2026-11", BILL.total_vnd)) if this_period else arrears
    settled: Settled = tuple((period, bill_no(period), amount_vnd) for period, amount_vnd in due)
    return receipt(
        replace(HEAD, print_no=print_no),
        HOUSEHOLD,
        READING if this_period else None,
        BILL if this_period else None,
        period="2026-11",
        settled=settled,
        credit_vnd=credit_vnd,
        rounding_vnd=rounding_vnd,
        amount_vnd=sum(amount_vnd for _, amount_vnd in due) - credit_vnd + rounding_vnd,
        receipt_no=123,
    )


BUSY = DayTotals(
    read=184,
    skipped=4,
    collected=96,
    collected_vnd=18_450_000,
    voided=1,
    voided_vnd=217_000,
    printed=187,
    reprinted=2,
    receipt_first=123,
    receipt_last=218,
)
IDLE = DayTotals(
    read=0,
    skipped=0,
    collected=0,
    collected_vnd=0,
    voided=0,
    voided_vnd=0,
    printed=0,
    reprinted=0,
    receipt_first=0,
    receipt_last=0,
)
PURSE = (500_000, 34), (200_000, 3), (100_000, 4), (50_000, 3), (20_000, 2), (10_000, 3), (5_000, 1), (2_000, 2)
NOTES = tuple(Denomination(value_vnd, pieces) for value_vnd, pieces in (*PURSE, (1_000, 3), (500, 2), (200, 0)))


def slip(totals: DayTotals, notes: tuple[Denomination, ...], computed_vnd: int, unsent: int) -> Document:
    return day_slip(
        replace(HEAD, at_ms=1_795_515_720_000),  # 17:22 in Vietnam.
        day="2026-11-24",
        period="2026-11",
        totals=totals,
        notes=notes,
        computed_vnd=computed_vnd,
        unsent=unsent,
    )


def every_letter() -> Document:
    """All letters of the language in both weights, in both cases and sizes, and the signs that papers use."""
    rows = ("aàảãáạ ăằẳẵắặ âầẩẫấậ eèẻẽéẹ", "êềểễếệ iìỉĩíị oòỏõóọ ôồổỗốộ", "ơờởỡớợ uùủũúụ ưừửữứự yỳỷỹýỵ")
    signs = "đĐ ₫ × ² ³ ° – — 0123456789"
    items: list[Item] = []
    for style in (Style(), Style(bold=True), Style(size=2), Style(bold=True, size=2)):
        for row in (*rows, *(row.upper() for row in rows), signs):
            items.append(Text(row, style))
        items.append(Rule())
    return Document(tuple(items[:-1]))


PAPERS: Mapping[str, Callable[[], Document]] = {
    "bill-plain": bill_paper,
    "bill-year-of-arrears-and-credit": lambda: bill_paper(arrears=YEAR, credit_vnd=10_000),
    "bill-replaced-meter-two-price-lists": replaced_meter,
    "bill-largest-amount": largest_amount,
    "bill-covered-by-credit-reprint": lambda: bill_paper(credit_vnd=BILL.total_vnd, code=False, print_no=2),
    "notice-house-closed": could_not_read,
    "notice-pays-by-transfer": lambda: held(Reason.PAYS_BY_TRANSFER, bill=BILL, code=True),
    "notice-pays-by-collection-order": lambda: held(Reason.PAYS_BY_COLLECTION_ORDER, bill=BILL),
    "notice-below-previous": lambda: held(
        Reason.READING_BELOW_PREVIOUS, replace(READING, index=1199, consumption_m3=-18)
    ),
    "notice-consumption-drop": lambda: held(
        Reason.CONSUMPTION_DROP, replace(READING, index=1223, consumption_m3=6)
    ),
    "notice-shut-off-warning": lambda: could_not_read(SCHOOL, THREE, warning=True),
    "receipt-one-bill": receipt_paper,
    "receipt-year-of-arrears-credit-rounding": lambda: receipt_paper(YEAR, 5_000, -237),
    "receipt-arrears-only": lambda: receipt_paper(THREE, this_period=False),
    "receipt-reprint": lambda: receipt_paper(rounding_vnd=-339, print_no=2),
    "receipt-print-4096-old-bill-numbers": lambda: receipt_paper(
        THREE, print_no=4_096, bill_no=lambda period: f"HD26-{period[5:]}-0001234"
    ),
    "day-slip": lambda: slip(BUSY, NOTES, 18_233_000, 0),
    "day-slip-short-and-unsent": lambda: slip(BUSY, NOTES, 18_243_000, 12),
    "day-slip-all-zero": lambda: slip(IDLE, (), 0, 0),
    "letters": every_letter,
}
CASES = [(name, dots) for name in PAPERS for dots in PAPER_DOTS]


def golden_file(name: str, dots: int) -> Path:
    return FOLDER / f"{name}-{dots}.png"


def save(picture: Image.Image, file: Path) -> None:
    picture.save(file, "PNG", optimize=True)


def difference(golden: Image.Image, drawn: Image.Image) -> tuple[int, tuple[int, int, int, int]] | None:
    """How many dots differ, and the box around them (left, top, right, bottom); None when the pictures are equal."""
    if (golden.mode, golden.size, golden.tobytes()) == (drawn.mode, drawn.size, drawn.tobytes()):
        return None
    size = max(golden.width, drawn.width), max(golden.height, drawn.height)
    one, other = (Image.new("L", size, 127) for _ in range(2))  # Grey beyond either edge: neither ink nor paper.
    one.paste(golden)
    other.paste(drawn.convert("L"))
    other_than = ImageChops.difference(one, other)
    return sum(other_than.histogram()[1:]), other_than.getbbox() or (0, 0, *size)


def side_by_side(golden: Image.Image, drawn: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """The box of both pictures, golden at the left, drawn at the right."""
    width, height = box[2] - box[0], box[3] - box[1]
    both = Image.new("L", (2 * width + CELL_WIDTH, height), 127)
    both.paste(golden.crop(box), (0, 0))
    both.paste(drawn.crop(box), (width + CELL_WIDTH, 0))
    return both


def versions() -> str:
    pillow, freetype = (features.version(module) or "none" for module in ("pil", "freetype2"))
    return f"Pillow {pillow.split('.')[0]}, FreeType {'.'.join(freetype.split('.')[:2])}"


@pytest.mark.parametrize(("name", "dots"), CASES)
def test_paper_is_drawn_as_it_was_looked_at(name: str, dots: int, tmp_path: Path) -> None:
    file = golden_file(name, dots)
    drawn = render(PAPERS[name](), dots)
    saved = tmp_path / file.name
    if not file.is_file():
        save(drawn, saved)
        pytest.fail(f"nobody has looked at {saved} yet: look, and keep it with `{RENEW}`")
    with Image.open(file) as golden:
        found = difference(golden, drawn)
        if found is None:
            return
        count, box = found
        save(drawn, saved)
        save(side_by_side(golden, drawn, box), saved.with_suffix(".box.png"))
    lines = f"lines {box[1] // LINE_HEIGHT} to {box[3] // LINE_HEIGHT}"
    pytest.fail(
        f"{count} dots of {file.name} differ, all in the box {box}, about {lines}.\n"
        f"drawn:  {saved}\ngolden: {file}\nboth:   {saved.with_suffix('.box.png')} (golden left, drawn right)\n"
        f"Golden pictures come from {DRAWN_WITH}; this is {versions()}.\nIf the new one is right: `{RENEW}`"
    )


def test_folder_holds_these_pictures_small_and_no_others() -> None:
    files = list(FOLDER.glob("*.png"))
    assert sorted(files) == sorted(golden_file(name, dots) for name, dots in CASES)
    assert sum(file.stat().st_size for file in files) < FOLDER_BYTES_MAX


def test_readme_names_what_the_pictures_were_drawn_with() -> None:
    readme = (FOLDER / "README.md").read_text()
    assert DRAWN_WITH in readme
    assert RENEW in readme


def test_one_other_dot_is_found_and_boxed() -> None:
    golden = render(Document((Text("Tiêu thụ"),)), 384)
    other = golden.copy()
    other.putpixel((200, 9), 0)
    assert difference(golden, other) == (1, (200, 9, 201, 10))
    assert difference(golden, golden.copy()) is None
    taller = render(Document((Text("Tiêu thụ"), Text("a"))), 384)
    found = difference(golden, taller)
    assert found is not None
    assert found[1] == (0, golden.height, 384, taller.height)


# Codes, from the pictures in the repository.


def scanned(file: Path) -> list[str]:
    zbarimg = shutil.which("zbarimg")
    if zbarimg is None:
        pytest.fail("zbarimg is missing, so only our own code could say that the codes scan: `make test` installs it")
    read = subprocess.run([zbarimg, "--quiet", "--raw", str(file)], capture_output=True, text=True, check=False)
    return read.stdout.splitlines()


def codes_on(document: Document) -> list[str]:
    return [item.payload for item in document.items if isinstance(item, QrCode)]


def fields_of(text: str) -> dict[str, str]:
    """Tag, two figures of length and value, over and over; strict."""
    fields: dict[str, str] = {}
    while text:
        head = re.fullmatch("([0-9]{2})([0-9]{2})(.*)", text)
        assert head is not None, f"no tag and length: {text}"
        tag, length, text = head[1], int(head[2]), head[3]
        assert 0 < length <= len(text), f"{tag} is longer than the rest"
        assert tag not in fields, f"{tag} occurs twice"
        fields[tag], text = text[:length], text[length:]
    return fields


def ccitt(data: bytes) -> int:
    """CRC-16 of polynomial 0x1021 from 0xFFFF, bit by bit."""
    crc = 0xFFFF
    for byte in data:
        for bit in range(7, -1, -1):
            top = crc >> 15 ^ byte >> bit & 1
            crc = crc << 1 & 0xFFFF ^ (0x1021 if top else 0)
    return crc


WITH_TRANSFER = {
    "bill-plain": (HOUSEHOLD, BILL.total_vnd),
    "bill-year-of-arrears-and-credit": (
        HOUSEHOLD,
        BILL.total_vnd + sum(amount_vnd for _, amount_vnd in YEAR) - 10_000,
    ),
    "bill-replaced-meter-two-price-lists": (SCHOOL, bill_of(*BLOCKS).total_vnd),
    "notice-pays-by-transfer": (HOUSEHOLD, BILL.total_vnd),
    "notice-shut-off-warning": (SCHOOL, sum(amount_vnd for _, amount_vnd in THREE)),
}


@pytest.mark.parametrize("dots", PAPER_DOTS)
@pytest.mark.parametrize("name", WITH_TRANSFER)
def test_transfer_code_says_account_amount_and_register_number(name: str, dots: int) -> None:
    customer, amount_vnd = WITH_TRANSFER[name]
    (said,) = scanned(golden_file(name, dots))
    fields = fields_of(said)
    assert next(iter(fields)) == "00"
    assert list(fields)[-1] == "63"
    assert fields.pop("63") == f"{ccitt(said[:-4].encode()):04X}"
    merchant = fields_of(fields.pop("38"))
    assert fields_of(merchant.pop("01")) == {"00": "970436", "01": "100004360001"}
    assert merchant == {"00": "A000000727", "02": "QRIBFTTA"}
    assert fields_of(fields.pop("62")) == {"08": f"{customer.register_no} KY112026"}
    assert fields == {"00": "01", "01": "12", "53": "704", "54": str(amount_vnd), "58": "VN"}


@pytest.mark.parametrize("dots", PAPER_DOTS)
@pytest.mark.parametrize("name", [name for name in PAPERS if name.startswith("receipt")])
def test_receipt_s_code_names_its_record(name: str, dots: int) -> None:
    assert scanned(golden_file(name, dots)) == ["GT1:7:12345:9f3a01bc"] == [proof_code(HEAD)]


@pytest.mark.parametrize(("name", "dots"), CASES)
def test_paper_has_the_codes_it_must_and_no_others(name: str, dots: int) -> None:
    expected = (name in WITH_TRANSFER) + name.startswith("receipt")
    assert len(codes_on(PAPERS[name]())) == expected
    if not expected:
        assert scanned(golden_file(name, dots)) == []


def renewed() -> Iterator[str]:
    """Draws what differs; yields the name of each file written or removed."""
    wanted = {golden_file(name, dots): (name, dots) for name, dots in CASES}
    for stale in sorted(set(FOLDER.glob("*.png")) - set(wanted)):
        stale.unlink()
        yield f"removed {stale}"
    for file, (name, dots) in wanted.items():
        drawn = render(PAPERS[name](), dots)
        if file.is_file():
            with Image.open(file) as golden:
                if difference(golden, drawn) is None:
                    continue
        save(drawn, file)
        yield f"look at {file}"


if __name__ == "__main__":
    for line in renewed():
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"drawn with {versions()}; the README says {DRAWN_WITH}\n")
