"""Every kind of record, data only, and RECORD_KINDS {wire tag: class}.

A record says what happened; its header (who, where, when, after which) is `Header`. A record is never edited: a void
or a correction is a new record. Wire tags are never renumbered and never reused; fields are appended, never reordered.
`customer` and `period` travel in the header map (keys 13 and 14) so that a record can be filed before its body is
understood. TITLE is (Vietnamese, English), what people read in lists.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Annotated, ClassVar, NamedTuple

from protocol.fields import (
    BillNo,
    Bytes,
    Code,
    CustomerId,
    DateText,
    Days,
    Digest,
    Index,
    Int,
    Items,
    M3Signed,
    Millis,
    OptionalText,
    PeriodText,
    Text,
    Vnd,
    VndPositive,
)
from protocol.tariff import Bill
from protocol.values import ClockEvidence, Fix, Imei, NoFix

VERSION = 1
PRINTS_MAX = 1000  # Of one paper; past that something is wrong with the printer, not with the paper.
HEADS_MAX = 32  # Handhelds of one collector on one date; with the longest reason the record stays below its limit.
OPEN_BILLS_MAX = 24  # Two years of unpaid months; supply is shut off long before.
DENOMINATIONS = (500_000, 200_000, 100_000, 50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200)
Count = Annotated[int, Int(0, 10**6)]
Seq = Annotated[int, Int(1, 2**31 - 1)]
DeviceNo = Annotated[int, Int(0, 10**6)]  # 0 is the hub itself.
UserCode = Annotated[str, Text(1, 32, "[a-z0-9._-]{1,32}")]
Reason = Annotated[str, Text(1, 300)]
CodeNo = Annotated[int, Int(0, 99)]  # Of a supervisor's code: its first two digits.
Proof = Annotated[bytes, Bytes(16, 16)]


class PackageRef(NamedTuple):
    """Which route package the handheld believed."""

    route: Code
    version: Annotated[int, Int(1, 2**31 - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What only a handheld's header carries. ack: digest of the last hub ack it has seen, zeros if none."""

    clock: ClockEvidence
    imei: Annotated[Imei, Text(15, 15)]
    fix: Fix | NoFix
    collector: UserCode
    package: PackageRef
    ack: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What every record carries beside its own fields.

    seq: gapless per chain, from 1. prev: digest of the record before, zeros for the first.
    at_ms: max(previous at_ms, wall clock). intent: 16 bytes made before the tap was handled; None for machine-made
    records.
    evidence: None on the hub's own records.
    """

    seq: int
    prev: bytes
    at_ms: int
    intent: bytes | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Base of all kinds."""

    KIND: ClassVar[int]
    TITLE: ClassVar[tuple[str, str]]
    HOISTED: ClassVar[tuple[str, ...]] = ("customer", "period")


class HandheldRecord(Record):
    """A record that a handheld makes."""

    __slots__ = ()


class HubRecord(Record):
    """A record that the hub makes."""

    __slots__ = ()


class Denomination(NamedTuple):
    """Notes of one value, and how many."""

    value_vnd: Annotated[int, Int(1, 500_000)]
    pieces: Count


Denominations = Annotated[tuple[Denomination, ...], Items(0, 12)]


class PaperKind(IntEnum):
    """The papers of the product."""

    BILL_NOTICE = 1
    NOTICE = 2
    RECEIPT = 3
    DAY_SLIP = 4


class PrintOutcome(IntEnum):
    """What is known of a paper. UNKNOWN counts as out in the world."""

    PRINTED = 1
    NOT_PRINTED = 2
    UNKNOWN = 3


class VoidReason(StrEnum):
    """Why a collector takes a collection back."""

    WRONG_CUSTOMER = "WRONG_CUSTOMER"
    WRONG_AMOUNT = "WRONG_AMOUNT"
    CUSTOMER_WITHDREW = "CUSTOMER_WITHDREW"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftOpened(HandheldRecord):
    """A collector begins a day. Signs the business date; midnight does not change it."""

    KIND: ClassVar[int] = 1
    TITLE: ClassVar[tuple[str, str]] = ("Mở ca", "Shift opened")
    period: PeriodText
    business_date: DateText
    software: Annotated[str, Text(1, 40)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingTaken(HandheldRecord):
    """A meter read, with all that paper will say of it.

    use_m3 is negative only while the index is below the previous one and no code explains it; then there is no bill.
    hold: reason code that held the money of this period, if any. confirmed: warnings that were keyed again.
    photo: SHA-256 of a picture of the meter, which travels by itself.
    Source: product.md, collection rules; records.md.
    """

    KIND: ClassVar[int] = 2
    TITLE: ClassVar[tuple[str, str]] = ("Ghi chỉ số", "Reading taken")
    customer: CustomerId
    period: PeriodText
    index: Index
    code: Code
    previous_index: Index
    use_m3: M3Signed
    days: Days
    tariff: Code
    bill_no: BillNo
    bill: Bill | None = None
    hold: Code | None = None
    removed_index: Index | None = None
    installed_index: Index | None = None
    confirmed: Annotated[tuple[Code, ...], Items(1, 4)] | None = None
    photo: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CashCollected(HandheldRecord):
    """Money taken at the door.

    amount_vnd: the sum of the bills named, less `credit_vnd`, plus `rounding_vnd`.
    bills: bill numbers settled, oldest first. bills_vnd, bill_periods: what each asked for, and its period, in that
    order.
    reading: digest of the ReadingTaken relied on for this period's bill; it freezes that bill.
    receipt_no: gapless per device; printed on paper; fixed before the first print.
    credit_vnd: money the hub had told of that was set against the bills. rounding_vnd: cash rounding, if the branch
    rounds. Source: product.md, money at the door.
    """

    KIND: ClassVar[int] = 3
    TITLE: ClassVar[tuple[str, str]] = ("Thu tiền", "Cash collected")
    customer: CustomerId
    period: PeriodText
    amount_vnd: VndPositive
    bills: Annotated[tuple[BillNo, ...], Items(1, OPEN_BILLS_MAX + 1)]
    bills_vnd: Annotated[tuple[VndPositive, ...], Items(1, OPEN_BILLS_MAX + 1)]
    bill_periods: Annotated[tuple[PeriodText, ...], Items(1, OPEN_BILLS_MAX + 1)]
    receipt_no: Seq
    reading: Digest | None = None
    credit_vnd: VndPositive | None = None
    rounding_vnd: Annotated[int, Int(-10_000, 10_000)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionVoided(HandheldRecord):
    """A collection taken back on the handheld that made it. collection: digest of the CashCollected."""

    KIND: ClassVar[int] = 4
    TITLE: ClassVar[tuple[str, str]] = ("Hủy biên nhận", "Collection voided")
    customer: CustomerId
    period: PeriodText
    collection: Digest
    reason: VoidReason
    note: OptionalText | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingSkipped(HandheldRecord):
    """A visit at which the meter could not be read. code: why (`protocol.readings`). photo: as with a reading."""

    KIND: ClassVar[int] = 5
    TITLE: ClassVar[tuple[str, str]] = ("Không ghi được", "Reading skipped")
    customer: CustomerId
    period: PeriodText
    code: Code
    photo: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperPrinted(HandheldRecord):
    """The end of a print job. about: digest of the record the paper shows. print_no: 1, then reprints."""

    KIND: ClassVar[int] = 6
    TITLE: ClassVar[tuple[str, str]] = ("In giấy", "Paper printed")
    period: PeriodText
    paper: PaperKind
    about: Digest
    print_no: Annotated[int, Int(1, PRINTS_MAX)]
    outcome: PrintOutcome
    customer: CustomerId | None = None
    reason: Code | None = None


class ContactOutcome(StrEnum):
    """What came of a visit at which nothing was collected."""

    NOBODY_HOME = "NOBODY_HOME"
    NO_MONEY_NOW = "NO_MONEY_NOW"
    PAYS_LATER = "PAYS_LATER"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactNoted(HandheldRecord):
    """A visit to come back from: the customer stays in the come-back list until the bill is paid.

    come_back: the civil date the customer named, if any.
    """

    KIND: ClassVar[int] = 7
    TITLE: ClassVar[tuple[str, str]] = ("Hẹn quay lại", "Contact noted")
    customer: CustomerId
    period: PeriodText
    outcome: ContactOutcome
    come_back: DateText | None = None
    note: OptionalText | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOverridden(HandheldRecord):
    """A supervisor's single-use code lifted a hold from one reading, and from nothing else.

    reading: digest of the ReadingTaken that is held. hold: the reason lifted. code_no, proof: which code of this
    handheld, and that it was known (`protocol.codes`); the hub checks both again.
    Source: product.md, collection rules.
    """

    KIND: ClassVar[int] = 8
    TITLE: ClassVar[tuple[str, str]] = ("Giám sát cho thu", "Rule overridden")
    customer: CustomerId
    period: PeriodText
    reading: Digest
    hold: Code
    reason: Reason
    code_no: CodeNo
    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class CashCounted(HandheldRecord):
    """What the collector counted in the bag at the end of the day: a claim, it moves no money."""

    KIND: ClassVar[int] = 9
    TITLE: ClassVar[tuple[str, str]] = ("Kiểm tiền", "Cash counted")
    period: PeriodText
    business_date: DateText
    notes: Denominations
    total_vnd: Vnd


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTotals:
    """What a handheld says it did on one business date. Receipt numbers are 0 when none was given."""

    read: Count
    skipped: Count
    collected: Count
    collected_vnd: Vnd
    voided: Count
    voided_vnd: Vnd
    printed: Count
    reprinted: Count
    receipt_first: Annotated[int, Int(0, 2**31 - 1)]
    receipt_last: Annotated[int, Int(0, 2**31 - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftClosed(HandheldRecord):
    """The end of a collector's day on one handheld. The head it speaks of is the record before it in the chain."""

    KIND: ClassVar[int] = 10
    TITLE: ClassVar[tuple[str, str]] = ("Đóng ca", "Shift closed")
    period: PeriodText
    business_date: DateText
    totals: DayTotals


class StatusMoment(StrEnum):
    """Why a handheld tells of itself just now."""

    SHIFT_OPENED = "SHIFT_OPENED"
    HOURLY = "HOURLY"
    BATTERY_LOW = "BATTERY_LOW"
    CLOCK = "CLOCK"
    SHIFT_CLOSING = "SHIFT_CLOSING"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus(HandheldRecord):
    """State of the handheld itself, at moments worth a record. What it cannot know is left out.

    charging: 0 or 1. storage_free_mib: of the disk that holds its records. unsent: records not yet acked, this one
    left out. clock: code of what is wrong with its clock. printer: code of what is wrong with its printer.
    """

    KIND: ClassVar[int] = 11
    TITLE: ClassVar[tuple[str, str]] = ("Tình trạng máy", "Device status")
    period: PeriodText
    moment: StatusMoment
    software: Annotated[str, Text(1, 40)]
    unsent: Count
    battery_percent: Annotated[int, Int(0, 100)] | None = None
    charging: Annotated[int, Int(0, 1)] | None = None
    storage_free_mib: Annotated[int, Int(0, 10**9)] | None = None
    clock: Code | None = None
    printer: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogInOpened(HandheldRecord):
    """A supervisor's single-use code let a collector try again whose log-in was locked. The header names whom."""

    KIND: ClassVar[int] = 12
    TITLE: ClassVar[tuple[str, str]] = ("Mở khóa đăng nhập", "Log-in opened")
    period: PeriodText
    code_no: CodeNo
    proof: Proof


class FileRef(NamedTuple):
    """A file by name and SHA-256."""

    name: Annotated[str, Text(1, 80)]
    sha256: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractImported(HubRecord):
    """A billing extract taken in whole: opening arrears and history by reference to the files' digests."""

    KIND: ClassVar[int] = 64
    TITLE: ClassVar[tuple[str, str]] = ("Nhập dữ liệu hóa đơn", "Extract imported")
    period: PeriodText
    files: Annotated[tuple[FileRef, ...], Items(1, 8)]
    customers: Count
    arrears_vnd: Annotated[int, Int(0, 2**53 - 1)]
    by: UserCode


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyIssued(HubRecord):
    """A policy that handhelds will follow. policy: digest of the signed message."""

    KIND: ClassVar[int] = 65
    TITLE: ClassVar[tuple[str, str]] = ("Ban hành quy định", "Policy issued")
    version: Seq
    policy: Digest
    by: UserCode


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffIssued(HubRecord):
    """A tariff taken from an extract. tariff: SHA-256 of its encoding."""

    KIND: ClassVar[int] = 66
    TITLE: ClassVar[tuple[str, str]] = ("Ban hành biểu giá", "Tariff issued")
    tariff: Digest
    by: UserCode


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageIssued(HubRecord):
    """A route package published. issued_ms and expires_ms bound the order of records made under it."""

    KIND: ClassVar[int] = 67
    TITLE: ClassVar[tuple[str, str]] = ("Phát hành gói lộ trình", "Package issued")
    period: PeriodText
    route: Code
    version: Seq
    collector: UserCode
    issued_ms: Millis
    expires_ms: Millis
    package: Digest
    by: UserCode


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEnrolled(HubRecord):
    """A handheld whose key and IMEI a person confirmed."""

    KIND: ClassVar[int] = 68
    TITLE: ClassVar[tuple[str, str]] = ("Đăng ký máy", "Device enrolled")
    device: DeviceNo
    public_key: Annotated[bytes, Bytes(32, 32)]
    imei: Annotated[Imei, Text(15, 15)]
    collector: UserCode
    by: UserCode


@dataclass(frozen=True, slots=True, kw_only=True)
class BankCredited(HubRecord):
    """A line of a bank statement. customer is absent when nobody could be matched: the money waits in suspense.

    match: what the statement's text said, for the person who looks later.
    """

    KIND: ClassVar[int] = 70
    TITLE: ClassVar[tuple[str, str]] = ("Ngân hàng báo có", "Bank credited")
    period: PeriodText
    bank_bin: Annotated[str, Text(6, 6, "[0-9]{6}")]
    transaction: Annotated[str, Text(1, 64)]
    value_ms: Millis
    account: Annotated[str, Text(1, 34)]
    amount_vnd: VndPositive
    content: OptionalText
    match: Code
    customer: CustomerId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CashReceived(HubRecord):
    """Cash a cashier took from a collector: the only thing that lowers what the collector owes."""

    KIND: ClassVar[int] = 73
    TITLE: ClassVar[tuple[str, str]] = ("Thủ quỹ nhận tiền", "Cash received")
    collector: UserCode
    business_date: DateText
    amount_vnd: VndPositive
    notes: Denominations
    by: UserCode


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperReturned(HubRecord):
    """The receipt of a voided collection is back at the branch (nộp lại). collection: digest of the CashCollected."""

    KIND: ClassVar[int] = 74
    TITLE: ClassVar[tuple[str, str]] = ("Nộp lại biên nhận", "Paper returned")
    customer: CustomerId
    collection: Digest
    by: UserCode


class Decision(StrEnum):
    """What a supervisor can decide. NOTED closes a case and changes nothing else."""

    NOTED = "NOTED"
    ADOPT_BRANCH = "ADOPT_BRANCH"
    ACCEPT_VOID = "ACCEPT_VOID"


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorDecided(HubRecord):
    """A named person settles a case. subject: the digest the decision is about (branch tip, collection, or case).

    customer, device, or collector with business_date: whose books it touches.
    """

    KIND: ClassVar[int] = 76
    TITLE: ClassVar[tuple[str, str]] = ("Quyết định của giám sát", "Supervisor decided")
    decision: Decision
    subject: Digest
    reason: Reason
    by: UserCode
    customer: CustomerId | None = None
    device: DeviceNo | None = None
    collector: UserCode | None = None
    business_date: DateText | None = None


class HeadRef(NamedTuple):
    """A position on a handheld's chain."""

    device: DeviceNo
    seq: Annotated[int, Int(0, 2**31 - 1)]
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class DayClosed(HubRecord):
    """A cut: the collector's business date is closed at these chain positions.

    expected_vnd: cash owed for the date at the cut; received_vnd: what cashiers took; difference_vnd = received −
    expected. Facts of the date behind the heads post to the collector's next open date.
    """

    KIND: ClassVar[int] = 77
    TITLE: ClassVar[tuple[str, str]] = ("Khóa sổ ngày", "Day closed")
    collector: UserCode
    business_date: DateText
    heads: Annotated[tuple[HeadRef, ...], Items(0, HEADS_MAX)]
    expected_vnd: Annotated[int, Int(-(2**53), 2**53)]
    received_vnd: Annotated[int, Int(0, 2**53)]
    difference_vnd: Annotated[int, Int(-(2**53), 2**53)]
    by: UserCode
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeGiven(HubRecord):
    """A supervisor was shown the next single-use code of a handheld, having said what for."""

    KIND: ClassVar[int] = 79
    TITLE: ClassVar[tuple[str, str]] = ("Cấp mã giám sát", "Supervisor code given")
    device: DeviceNo
    code_no: CodeNo
    reason: Reason
    by: UserCode
    customer: CustomerId | None = None


class PersonChange(StrEnum):
    """What was done about somebody's log-in."""

    ADDED = "ADDED"
    PASSWORD = "PASSWORD"  # noqa: S105 -- The name of a change, no password.
    OPENED = "OPENED"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonChanged(HubRecord):
    """Somebody was named, got a password, was let in again after too many wrong ones, or may no longer log in."""

    KIND: ClassVar[int] = 80
    TITLE: ClassVar[tuple[str, str]] = ("Thay đổi người dùng", "Person changed")
    person: UserCode
    change: PersonChange
    by: UserCode


HANDHELD_KINDS: dict[int, type[HandheldRecord]] = {
    cls.KIND: cls
    for cls in (
        ShiftOpened,
        ReadingTaken,
        CashCollected,
        CollectionVoided,
        ReadingSkipped,
        PaperPrinted,
        ContactNoted,
        RuleOverridden,
        CashCounted,
        ShiftClosed,
        DeviceStatus,
        LogInOpened,
    )
}
HUB_KINDS: dict[int, type[HubRecord]] = {
    cls.KIND: cls
    for cls in (
        ExtractImported,
        PolicyIssued,
        TariffIssued,
        PackageIssued,
        DeviceEnrolled,
        BankCredited,
        CashReceived,
        PaperReturned,
        SupervisorDecided,
        DayClosed,
        CodeGiven,
        PersonChanged,
    )
}
RECORD_KINDS: dict[int, type[Record]] = {**HANDHELD_KINDS, **HUB_KINDS}
