"""VietQR: the text of a code with which any Vietnamese bank app pays a bill to the company's account.

Source: EMV QRCPS Merchant-Presented Mode 1.1; NAPAS, Quy định định dạng mã VietQR 1.0 (2021).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from protocol.words import period_text, unmarked

NAPAS_GUID = "A000000727"
TEXT_MAX = 25  # Of each field inside tag 62.
# NAPAS 8.1.1: a transfer is below this. The format goes further: it is for papers to leave such a code off.
TRANSFER_LIMIT_VND = 500_000_000


class Fault(StrEnum):
    """What a payload failed on.

    CRC: misread or altered. STRUCTURE: not TLV as EMV has it. CONTENT: not a VietQR that we know.
    """

    CRC = "crc"
    STRUCTURE = "structure"
    CONTENT = "content"


class PayloadError(ValueError):
    """A payload that is not a VietQR, or fields that cannot become one.

    fault: the class of what is wrong. detail: the same in words, with the tag where there is one ("38/01").
    """

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class Service(StrEnum):
    """What tag 38/02 asks the bank to do: transfer to account or to card, pay at a counter, withdraw."""

    TO_ACCOUNT = "QRIBFTTA"
    TO_CARD = "QRIBFTTC"
    PUSH = "QRPUSH"
    CASH = "QRCASH"


@dataclass(frozen=True, slots=True, kw_only=True)
class VietQR:
    """What a payload says.

    bank_bin: six figures. account: 1..19 letters and figures, account or card by service.
    dynamic: made for one payment. amount_vnd: 1..10**13 - 1, None when the payer types it.
    bill_no, purpose: 1..25 printable ASCII; "***" asks the app to prompt for it.
    """

    bank_bin: str
    account: str
    service: Service
    dynamic: bool
    amount_vnd: int | None
    bill_no: str | None
    purpose: str | None


def payload(
    bank_bin: str, account: str, amount_vnd: int | None, purpose: str, bill_no: str | None = None
) -> str:
    """The text to draw as a QR code: a transfer to account, dynamic when it names an amount.

    bank_bin: six figures. account: 1..19 letters and figures. amount_vnd: 1..10**13 - 1 or None.
    purpose: marks are dropped, others outside ASCII become spaces; at most 25 remain, "" for none. Nothing is
    cut, since what would be lost is what identifies the payer. bill_no: 1..25 ASCII or None.
    PayloadError(CONTENT) on anything else.
    """
    purpose = " ".join(re.sub("[^!-~]", " ", unmarked(purpose)).split())
    _require(bank_bin, "[0-9]{6}", "38/01/00", "a bank is six figures")
    _require(account, "[0-9A-Za-z]{1,19}", "38/01/01", "an account is 1 to 19 letters and figures")
    if amount_vnd is not None:
        _require(str(amount_vnd), "[1-9][0-9]{0,12}", "54", "an amount is 1 to 13 figures, not zero")
    additional = ""
    if bill_no is not None:
        additional += _element("01", _required_text(bill_no, "62/01"))
    if purpose:
        additional += _element("08", _required_text(purpose, "62/08"))
    beneficiary = _element("00", bank_bin) + _element("01", account)
    merchant = _element("00", NAPAS_GUID) + _element("01", beneficiary) + _element("02", Service.TO_ACCOUNT)
    body = (
        _element("00", "01")
        + _element("01", "11" if amount_vnd is None else "12")
        + _element("38", merchant)
        + _element("53", "704")
        + (_element("54", str(amount_vnd)) if amount_vnd is not None else "")
        + _element("58", "VN")
        + (_element("62", additional) if additional else "")
        + "6304"
    )
    return f"{body}{crc(body.encode()):04X}"


def purpose_for(register_no: str, period: str) -> str:
    """The transfer's purpose for one bill: "02050000054 KY112026".

    The number is first, bounded by the start and a non-digit even where a bank drops the spaces; the figures
    of the period are too few to be another number. So a matcher for exactly eleven figures finds one only.
    register_no: up to 16 of 0-9 A-Z a-z . -, so that the whole fits. period: "2026-11". ValueError on others.
    """
    _require(register_no, "[0-9A-Za-z.-]{1,16}", "62/08", "a register number is 1 to 16 letters and figures")
    month, year = period_text(period).split("/")
    return f"{register_no} KY{month}{year}"


def parse(payload: str, *, lower_case_crc: bool = False) -> VietQR:
    """The fields of a payload, or PayloadError: nothing doubtful is read as a payment.

    lower_case_crc: also take a checksum in small letters, as some makers write it against the standard.
    Fields that we do not use (category, name, city, private templates) are passed over, whatever they hold.
    """
    if not re.fullmatch("[ -~]*", payload):
        raise PayloadError(Fault.STRUCTURE, "holds characters outside printable ASCII")
    body, checksum = payload[:-4], payload[-4:]
    hexadecimal = "[0-9A-F]{4}|[0-9a-f]{4}" if lower_case_crc else "[0-9A-F]{4}"
    if not body.endswith("6304") or not re.fullmatch(hexadecimal, checksum):
        raise PayloadError(Fault.STRUCTURE, "does not end in tag 63 with four hexadecimal figures")
    expected = f"{crc(body.encode()):04X}"
    if checksum.upper() != expected:
        raise PayloadError(Fault.CRC, f"checksum is {checksum}, computed {expected}")
    elements = _elements(payload, "")
    # EMV: the format indicator comes first and the checksum last; between them any order is allowed.
    tags = tuple(elements)
    if tags[0] != "00" or tags[-1] != "63":
        raise PayloadError(Fault.STRUCTURE, f"tags run from {tags[0]} to {tags[-1]}, not from 00 to 63")
    _require(elements["00"], "01", "00", "only payload format 01 is known")
    dynamic = _required(elements, "01", "11|12", "", "a code is static (11) or dynamic (12)") == "12"
    bank_bin, account, service = _beneficiary(_required(elements, "38", ".*", "", "not a NAPAS code"))
    _required(elements, "53", "704", "", "the currency must be the đồng")
    _required(elements, "58", "VN", "", "the country must be VN")
    amount = elements.get("54")
    if amount is not None:
        _require(amount, "[1-9][0-9]{0,12}", "54", "an amount is 1 to 13 figures, not zero")
    additional = _elements(elements["62"], "62/") if "62" in elements else {}
    for tag, value in additional.items():
        if tag in {"01", "08"}:
            _required_text(value, f"62/{tag}")
    return VietQR(
        bank_bin=bank_bin,
        account=account,
        service=service,
        dynamic=dynamic,
        amount_vnd=int(amount) if amount is not None else None,
        bill_no=additional.get("01"),
        purpose=additional.get("08"),
    )


def crc(data: bytes) -> int:
    """CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, not reflected, not inverted. NAPAS 5.2.15."""
    register = 0xFFFF
    for byte in data:
        register ^= byte << 8
        for _ in range(8):
            register <<= 1
            if register > 0xFFFF:
                register ^= 0x11021
    return register


def _beneficiary(merchant: str) -> tuple[str, str, Service]:
    """Bank, account and service of tag 38. Tags beyond these are refused: one swallowed another's length."""
    elements = _elements(merchant, "38/")
    if set(elements) - {"00", "01", "02"}:
        raise PayloadError(Fault.STRUCTURE, f"38 holds tags {', '.join(elements)}, not 00 to 02")
    _required(elements, "00", NAPAS_GUID, "38/", "not a NAPAS code")
    parts = _elements(_required(elements, "01", ".*", "38/", "no beneficiary"), "38/01/")
    if set(parts) - {"00", "01"}:
        raise PayloadError(Fault.STRUCTURE, f"38/01 holds tags {', '.join(parts)}, not 00 and 01")
    bank_bin = _required(parts, "00", "[0-9]{6}", "38/01/", "a bank is six figures")
    account = _required(
        parts, "01", "[0-9A-Za-z]{1,19}", "38/01/", "an account is 1 to 19 letters and figures"
    )
    service = _required(elements, "02", "|".join(Service), "38/", "the service is not one of NAPAS")
    return bank_bin, account, Service(service)


def _element(tag: str, value: str) -> str:
    """One tag with its length and value; the callers' bounds keep every value within 1..99."""
    assert 1 <= len(value) <= 99, f"{tag}: {len(value)} characters"
    return f"{tag}{len(value):02d}{value}"


def _elements(text: str, path: str) -> dict[str, str]:
    """Values by tag, in the order written.

    PayloadError(STRUCTURE) unless the lengths fill the text and no tag repeats.
    """
    elements: dict[str, str] = {}
    at = 0
    while at < len(text):
        head = text[at : at + 4]
        if not re.fullmatch("[0-9]{4}", head):
            raise PayloadError(
                Fault.STRUCTURE, f"{head!r} after {path}{' '.join(elements)} is no tag and length"
            )
        tag, length = head[:2], int(head[2:])
        value = text[at + 4 : at + 4 + length]
        if not 1 <= length == len(value):
            raise PayloadError(
                Fault.STRUCTURE, f"{path}{tag} has length {length}, {len(value)} characters are left"
            )
        if tag in elements:
            raise PayloadError(Fault.STRUCTURE, f"{path}{tag} occurs twice")
        elements[tag] = value
        at += 4 + length
    return elements


def _required(elements: dict[str, str], tag: str, pattern: str, path: str, otherwise: str) -> str:
    if tag not in elements:
        raise PayloadError(Fault.CONTENT, f"{path}{tag} is missing: {otherwise}")
    return _require(elements[tag], pattern, f"{path}{tag}", otherwise)


def _required_text(value: str, where: str) -> str:
    return _require(value, f"[ -~]{{1,{TEXT_MAX}}}", where, f"a text is 1 to {TEXT_MAX} ASCII characters")


def _require(value: str, pattern: str, where: str, otherwise: str) -> str:
    if not re.fullmatch(pattern, value):
        raise PayloadError(Fault.CONTENT, f"{where} is {value!r}: {otherwise}")
    return value
