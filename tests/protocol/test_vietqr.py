"""Published VietQR strings, right and wrong; what we make we read back; what anyone altered we refuse."""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from protocol.vietqr import Fault, PayloadError, Service, VietQR, crc, parse, payload, purpose_for

A, C = Service.TO_ACCOUNT, Service.TO_CARD
TO_11 = "00020101021138"  # Format 01, static, merchant follows.
TO_12 = "00020101021238"

# Published by NAPAS (6.1.1 as corrected, 6.1.2 to 6.1.4), subiz/vietqr, vietqr-ts and two web shops.
PUBLISHED = [
    (
        TO_11 + "570010A00000072701270006970403011300110123456780208QRIBFTTA53037045802VN63049E6F",
        ("970403", "0011012345678", A, False, None, None, None),
    ),
    (
        TO_11 + "600010A00000072701300006970403011697040311012345670208QRIBFTTC53037045802VN63044F52",
        ("970403", "9704031101234567", C, False, None, None, None),
    ),
    (
        TO_12 + "570010A00000072701270006970403011300110123456780208QRIBFTTA530370454061800005802VN"
        "62340107NPS68690819thanh toan don hang63042E2E",
        ("970403", "0011012345678", A, True, 180_000, "NPS6869", "thanh toan don hang"),
    ),
    (
        TO_12 + "600010A00000072701300006970403011697040311012345670208QRIBFTTC530370454061800005802VN"
        "62340107NPS68690819thanh toan don hang6304A203",
        ("970403", "9704031101234567", C, True, 180_000, "NPS6869", "thanh toan don hang"),
    ),
    (
        TO_11 + "540010A00000072701240006970423011000999999990208QRIBFTTA53037045802VN6304CBB4",
        ("970423", "0099999999", A, False, None, None, None),
    ),
    (
        TO_12 + "570010A00000072701270006970422011300234579234420208QRIBFTTA53037045405401235802VN"
        "62200816test text string6304D9C6",
        ("970422", "0023457923442", A, True, 40_123, None, "test text string"),
    ),
    (
        TO_12 + "570010A00000072701270006970422011300234579234420208QRIBFTTA53037045405401235802VN"
        "62160812chuyen khoan6304722F",
        ("970422", "0023457923442", A, True, 40_123, None, "chuyen khoan"),
    ),
    (
        TO_12 + "570010A00000072701270006970415011300110019324180208QRIBFTTA530370454061200005802VN"
        "62170813ung ho lu lut6304C15C",
        ("970415", "0011001932418", A, True, 120_000, None, "ung ho lu lut"),
    ),
    (
        TO_12 + "500010A0000007270120000697041601065454460208QRIBFTTA53037045405801005802VN"
        "62250821Thanh toan anyLEARN 86304FA27",
        ("970416", "545446", A, True, 80_100, None, "Thanh toan anyLEARN 8"),
    ),
    (
        TO_12 + "540010A00000072701240006970436011010234567890208QRIBFTTA5303704540719430005802VN"
        "62120808TT0000696304A8E5",
        ("970436", "1023456789", A, True, 1_943_000, None, "TT000069"),
    ),
    (
        TO_11 + "540010A00000072701240006970422011001234567890208QRIBFTTA53037045802VN6304B1A7",
        ("970422", "0123456789", A, False, None, None, None),
    ),
]

# Published strings that no reader should take, and why.
REFUSED = [
    (  # An account shorter than its length, printed so in NAPAS's own document.
        TO_11 + "570010A0000007270127000697040301120011012345678" + "0208QRIBFTTA53037045802VN6304F4E5",
        Fault.STRUCTURE,
    ),
    (  # Payload format 00.
        "00020001021238570010A00000072701270006970436011308810004580860208QRIBFTTA53037045802VN6304CD60",
        Fault.CONTENT,
    ),
    (  # Tag 62 longer than what it holds, so that it swallows the head of the checksum.
        TO_12 + "500010A0000007270120000697041601065454460208QRIBFTTA530370454061800005802VN"
        "62270823thanh toan don hang63044302",
        Fault.STRUCTURE,
    ),
    (  # The service stands inside the beneficiary.
        TO_11 + "570010A00000072701390006970422011301234567890200208QRIBFTTA53037045802VN6304A3CF",
        Fault.STRUCTURE,
    ),
    (
        TO_12 + "560010A0000007270138000697042201120123456789020208QRIBFTTA53037045802VN6304B682",
        Fault.CRC,
    ),
    (
        TO_11 + "570010A00000072701270006970436011234567890208QRIBFTTA53037045802VN6304C5A3",
        Fault.CRC,
    ),
    (
        TO_12 + "560010A0000007270138000697042201120123456789020208QRIBFTTA53037045405100005802VN"
        "62140810Thanh toan6304E6A9",
        Fault.CRC,
    ),
]


def sealed(body: str) -> str:
    """A body with the right checksum, by long division of the message instead of a register."""
    message = int.from_bytes((body + "6304").encode())
    bits = 8 * (len(body) + 4)
    remainder = (message << 16) ^ (0xFFFF << bits)  # The start value, laid over the first two bytes.
    for bit in range(bits + 15, 15, -1):
        if remainder >> bit & 1:
            remainder ^= 0x11021 << bit - 16
    return f"{body}6304{remainder:04X}"


@pytest.mark.parametrize(("data", "expected"), [(b"123456789", 0x29B1), (b"00", 0x2EC9), (b"01", 0x3EE8)])
def test_checksum_agrees_with_published_values(data: bytes, expected: int) -> None:
    assert crc(data) == expected


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200))
def test_checksum_agrees_with_long_division(body: str) -> None:
    assert sealed(body)[-4:] == f"{crc((body + '6304').encode()):04X}"


@pytest.mark.parametrize(("text", "fields"), PUBLISHED)
def test_published_code_is_read(
    text: str, fields: tuple[str, str, Service, bool, int | None, str | None, str | None]
) -> None:
    bank_bin, account, service, dynamic, amount_vnd, bill_no, purpose = fields
    assert parse(text) == VietQR(
        bank_bin=bank_bin,
        account=account,
        service=service,
        dynamic=dynamic,
        amount_vnd=amount_vnd,
        bill_no=bill_no,
        purpose=purpose,
    )


@pytest.mark.parametrize(("text", "fields"), [row for row in PUBLISHED if row[1][2] is A])
def test_published_account_code_is_made_letter_by_letter(
    text: str, fields: tuple[str, str, Service, bool, int | None, str | None, str | None]
) -> None:
    bank_bin, account, _, _, amount_vnd, bill_no, purpose = fields
    assert payload(bank_bin, account, amount_vnd, purpose or "", bill_no) == text


@pytest.mark.parametrize(("text", "fault"), REFUSED)
def test_published_wrong_code_is_refused(text: str, fault: Fault) -> None:
    with pytest.raises(PayloadError) as refusal:
        parse(text)
    assert refusal.value.fault is fault


HEAD = "000201010211"
MERCHANT = "38540010A00000072701240006970422011001234567890208QRIBFTTA"
TAIL = "53037045802VN"


@pytest.mark.parametrize(
    ("body", "fault", "named"),
    [
        ("010211000201" + MERCHANT + TAIL, Fault.STRUCTURE, "from 01"),
        (HEAD + MERCHANT + TAIL + "5303704", Fault.STRUCTURE, "53 occurs twice"),
        (HEAD + MERCHANT + TAIL + "62120802ab0802cd", Fault.STRUCTURE, "62/08 occurs twice"),
        (HEAD + MERCHANT + TAIL + "63041234", Fault.STRUCTURE, "63 occurs twice"),
        (HEAD + MERCHANT + TAIL + "6200", Fault.STRUCTURE, "62 has length 0"),
        (HEAD + MERCHANT + TAIL + "5x01a", Fault.STRUCTURE, "no tag and length"),
        (HEAD + MERCHANT + TAIL + "9908", Fault.STRUCTURE, "to 99"),
        (HEAD + TAIL, Fault.CONTENT, "38 is missing"),
        ("000201" + MERCHANT + TAIL, Fault.CONTENT, "01 is missing"),
        (HEAD.replace("0211", "0213") + MERCHANT + TAIL, Fault.CONTENT, "01 is '13'"),
        (HEAD + MERCHANT.replace("0727", "0775") + TAIL, Fault.CONTENT, "38/00"),
        (HEAD + MERCHANT.replace("QRIBFTTA", "QRIBFTTX") + TAIL, Fault.CONTENT, "38/02"),
        (HEAD + MERCHANT.replace("970422", "97042A") + TAIL, Fault.CONTENT, "38/01/00"),
        (HEAD + MERCHANT.replace("0123456789", "01234 6789") + TAIL, Fault.CONTENT, "38/01/01"),
        (HEAD + MERCHANT + TAIL.replace("704", "840"), Fault.CONTENT, "53 is '840'"),
        (HEAD + MERCHANT + TAIL.replace("VN", "US"), Fault.CONTENT, "58 is 'US'"),
        (HEAD + MERCHANT + "5303704" + "54010" + "5802VN", Fault.CONTENT, "54 is '0'"),
        (HEAD + MERCHANT + "5303704" + "54041.50" + "5802VN", Fault.CONTENT, "54 is '1.50'"),
        (HEAD + MERCHANT + "5303704" + "541412345678901234" + "5802VN", Fault.CONTENT, "54 is"),
        (HEAD + MERCHANT + TAIL + "62300826" + "x" * 26, Fault.CONTENT, "62/08"),
    ],
)
def test_well_sealed_nonsense_is_refused_by_name(body: str, fault: Fault, named: str) -> None:
    with pytest.raises(PayloadError, match=re.escape(named)) as refusal:
        parse(sealed(body))
    assert refusal.value.fault is fault


def test_fields_of_no_use_to_us_are_passed_over() -> None:
    shop = sealed(HEAD + MERCHANT + TAIL + "52045812" + "5907CAP NUO" + "62060702T1" + "99070003abc")
    assert parse(shop) == parse(sealed(HEAD + MERCHANT + TAIL))


@pytest.mark.parametrize("text", ["", "6304", "63041D0F", "6304FFFF", "00020101021138"])
def test_fragment_is_refused(text: str) -> None:
    with pytest.raises(PayloadError):
        parse(text)


def test_checksum_in_small_letters_is_taken_only_on_request() -> None:
    text = PUBLISHED[0][0]
    lowered = text[:-4] + text[-4:].lower()
    with pytest.raises(PayloadError):
        parse(lowered)
    assert parse(lowered, lower_case_crc=True) == parse(text, lower_case_crc=True) == parse(text)
    with pytest.raises(PayloadError):
        parse(text[:-1] + "f", lower_case_crc=True)  # "9E6f": neither all small nor all capital.


printable = st.characters(min_codepoint=32, max_codepoint=126)
purposes = st.text(printable, max_size=25).map(lambda text: " ".join(text.split()))


@given(
    st.from_regex("[0-9]{6}", fullmatch=True),
    st.from_regex("[0-9A-Za-z]{1,19}", fullmatch=True),
    st.none() | st.integers(1, 10**13 - 1),
    purposes,
    st.none() | st.text(printable, min_size=1, max_size=25),
)
def test_what_was_put_in_comes_out(
    bank_bin: str, account: str, amount_vnd: int | None, purpose: str, bill_no: str | None
) -> None:
    assert parse(payload(bank_bin, account, amount_vnd, purpose, bill_no)) == VietQR(
        bank_bin=bank_bin,
        account=account,
        service=Service.TO_ACCOUNT,
        dynamic=amount_vnd is not None,
        amount_vnd=amount_vnd,
        bill_no=bill_no,
        purpose=purpose or None,
    )


BILL_CODE = payload("970436", "0123456789", 171_471, "02050000054 KY112026", "HD26-000017")


@given(st.integers(0, len(BILL_CODE) - 1), st.one_of(printable, st.characters()), st.booleans())
@example(len(BILL_CODE) - 8, "5", False)
def test_any_one_altered_character_is_refused(place: int, character: str, lower_case_crc: bool) -> None:
    altered = BILL_CODE[:place] + character + BILL_CODE[place + 1 :]
    assume(altered != BILL_CODE and not (lower_case_crc and place >= len(BILL_CODE) - 4))
    with pytest.raises(PayloadError):
        parse(altered, lower_case_crc=lower_case_crc)


def test_every_place_is_guarded_against_every_printable_character() -> None:
    taken = []
    for place in range(len(BILL_CODE)):
        for code in range(32, 127):
            altered = BILL_CODE[:place] + chr(code) + BILL_CODE[place + 1 :]
            try:
                parse(altered)
            except PayloadError:
                continue
            taken.append(altered)
    assert set(taken) == {BILL_CODE}


def test_purpose_loses_its_marks_and_nothing_else() -> None:
    code = parse(payload("970436", "0123456789", 1, "  Tiền nước\tĐỗ – Thị Ảnh "))
    assert code.purpose == "Tien nuoc Do Thi Anh"
    assert parse(payload("970436", "0123456789", 1, " – ")).purpose is None


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (("97043", "1", 1, "", None), "38/01/00"),
        (("970436", "", 1, "", None), "38/01/01"),
        (("970436", "1" * 20, 1, "", None), "38/01/01"),
        (("970436", "12-3", 1, "", None), "38/01/01"),
        (("970436", "1", 0, "", None), "54"),
        (("970436", "1", -5, "", None), "54"),
        (("970436", "1", 10**13, "", None), "54"),
        (("970436", "1", 1, "x" * 26, None), "62/08"),
        (("970436", "1", 1, "", ""), "62/01"),
        (("970436", "1", 1, "", "HĐ1"), "62/01"),
        (("970436", "1", 1, "", "1" * 26), "62/01"),
    ],
)
def test_fields_that_no_code_can_carry_are_refused(
    fields: tuple[str, str, int, str, str | None], named: str
) -> None:
    with pytest.raises(PayloadError, match=f"{named} is") as refusal:
        payload(*fields)
    assert refusal.value.fault is Fault.CONTENT


@given(
    st.from_regex("[0-9]{11}", fullmatch=True),
    st.from_regex("20[0-9]{2}-(0[1-9]|1[0-2])", fullmatch=True),
    st.sampled_from(["{}", "QR - {}", "MBVCB.9085499844.{}.CT tu 9117978070074", "IBFT {};tham chieu FT863"]),
    st.booleans(),
)
def test_register_number_is_the_only_run_of_eleven_figures(
    register_no: str, period: str, narrative: str, spaces_lost: bool
) -> None:
    purpose = purpose_for(register_no, period)
    if spaces_lost:
        purpose = purpose.replace(" ", "")
    content = narrative.format(purpose)
    assert re.findall("(?<![0-9])[0-9]{11}(?![0-9])", content) == [register_no]
    assert f"KY{period[5:]}{period[:4]}" in content


def test_purpose_of_a_bill_is_number_then_period() -> None:
    assert purpose_for("02050000054", "2026-11") == "02050000054 KY112026"


@given(st.from_regex("[0-9A-Za-z.-]{1,16}", fullmatch=True))
def test_purpose_of_the_longest_number_still_fits(register_no: str) -> None:
    purpose = purpose_for(register_no, "2026-11")
    assert parse(payload("970436", "1", 1, purpose)).purpose == purpose


@pytest.mark.parametrize(
    ("register_no", "period"),
    [("", "2026-11"), ("1" * 17, "2026-11"), ("0205 0", "2026-11"), ("0205", "11/2026")],
)
def test_purpose_without_number_or_period_is_refused(register_no: str, period: str) -> None:
    with pytest.raises(ValueError, match=r"register number|period"):
        purpose_for(register_no, period)
