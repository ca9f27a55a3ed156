"""Double entry: what each kind of record does to the accounts, and the entry that refuses to be unbalanced.

A line is (account, party, amount): debit positive, credit negative, whole đồng. `party` is the collector an account
is kept for, else "". Lines are derived from facts and replaced when an account is folded again; they are never
adjusted.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from protocol.records import (
    BankCredited,
    CashCollected,
    CashCounted,
    CashReceived,
    CodeGiven,
    CollectionVoided,
    ContactNoted,
    DayClosed,
    DeviceEnrolled,
    DeviceStatus,
    ExtractImported,
    LogInOpened,
    PackageIssued,
    PaperPrinted,
    PaperReturned,
    PersonChanged,
    PolicyIssued,
    ReadingSkipped,
    ReadingTaken,
    Record,
    RuleOverridden,
    ShiftClosed,
    ShiftOpened,
    SupervisorDecided,
    TariffIssued,
)
from protocol.tariff import Bill


class Account(Enum):
    """Accounts of the chart in use (Circular 200/2014/TT-BTC numbers), with their names in Vietnamese and English."""

    RECEIVABLE = ("131", "Phải thu khách hàng", "Receivable from customers")
    CASH_WITH_COLLECTOR = ("1111", "Tiền mặt nhân viên đang giữ", "Cash with the collector")
    CASH_AT_BRANCH = ("1112", "Tiền mặt tại quỹ", "Cash at the branch")
    BANK = ("112", "Tiền gửi ngân hàng", "Bank")
    SHORTAGE = ("1381", "Tiền thiếu chờ xử lý", "Shortage to be settled")
    EXCESS = ("3381", "Tiền thừa chờ xử lý", "Excess to be settled")
    SUSPENSE = ("338", "Tiền chưa rõ của ai", "Suspense")
    REVENUE = ("511", "Doanh thu tiền nước", "Revenue")
    VAT = ("3331", "Thuế GTGT phải nộp", "VAT payable")
    FEE = ("3338", "Phí bảo vệ môi trường", "Environmental fee")
    SMALL_CHANGE = ("711", "Chênh lệch làm tròn", "Small change")
    OPENING = ("000", "Số dư đầu kỳ", "Opening balance")

    @property
    def number(self) -> str:
        return self.value[0]


class Line(NamedTuple):
    """One line of an entry."""

    account: Account
    party: str
    amount_vnd: int


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Lines of one event, posted to a business date. device, seq and digest name the fact behind it."""

    device: int
    seq: int
    digest: bytes
    day: str
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        assert sum(line.amount_vnd for line in self.lines) == 0, "debits must equal credits"


def _entry(*lines: Line) -> tuple[Line, ...]:
    return tuple(line for line in lines if line.amount_vnd != 0)


def opening(arrears_vnd: int) -> tuple[Line, ...]:
    """Bills of earlier periods that the extract brought along."""
    return _entry(Line(Account.RECEIVABLE, "", arrears_vnd), Line(Account.OPENING, "", -arrears_vnd))


def billed(bill: Bill) -> tuple[Line, ...]:
    """A bill made by a reading."""
    return _entry(
        Line(Account.RECEIVABLE, "", bill.total_vnd),
        Line(Account.REVENUE, "", -bill.net_vnd),
        Line(Account.VAT, "", -bill.vat_vnd),
        Line(Account.FEE, "", -bill.fee_vnd),
    )


def reversed_lines(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """The same lines the other way round: how every correction is made."""
    return tuple(Line(line.account, line.party, -line.amount_vnd) for line in lines)


def collected(record: CashCollected, collector: str, *, quarantined: bool) -> tuple[Line, ...]:
    """Cash at the door: always owed by its collector; a quarantined one credits suspense, not the customer."""
    rounding_vnd = record.rounding_vnd or 0
    if quarantined:
        return _entry(
            Line(Account.CASH_WITH_COLLECTOR, collector, record.amount_vnd),
            Line(Account.SUSPENSE, collector, -record.amount_vnd),
        )
    return _entry(
        Line(Account.CASH_WITH_COLLECTOR, collector, record.amount_vnd),
        Line(Account.RECEIVABLE, "", rounding_vnd - record.amount_vnd),
        Line(Account.SMALL_CHANGE, "", -rounding_vnd),
    )


def credited(record: BankCredited) -> tuple[Line, ...]:
    """A bank line: to its customer, or to suspense while nobody is matched."""
    other = Account.SUSPENSE if record.customer is None else Account.RECEIVABLE
    return _entry(Line(Account.BANK, "", record.amount_vnd), Line(other, "", -record.amount_vnd))


def received(record: CashReceived, shortage_vnd: int = 0) -> tuple[Line, ...]:
    """Cash taken by a cashier. shortage_vnd: part that makes good what was short when the day was closed."""
    made_good = min(shortage_vnd, record.amount_vnd)
    return _entry(
        Line(Account.CASH_AT_BRANCH, "", record.amount_vnd),
        Line(Account.SHORTAGE, record.collector, -made_good),
        Line(Account.CASH_WITH_COLLECTOR, record.collector, made_good - record.amount_vnd),
    )


def day_difference(record: DayClosed) -> tuple[Line, ...]:
    """What was short or over when a day was closed moves to a difference account; the collector still answers for
    it.
    """
    difference = record.difference_vnd
    other = Account.SHORTAGE if difference < 0 else Account.EXCESS
    return _entry(
        Line(other, record.collector, -difference), Line(Account.CASH_WITH_COLLECTOR, record.collector, difference)
    )


# Which function posts a kind of record; None: it moves no money by itself.
POSTINGS: dict[type[Record], object | None] = {
    ShiftOpened: None,
    ReadingTaken: billed,
    CashCollected: collected,
    CollectionVoided: reversed_lines,
    ReadingSkipped: None,
    PaperPrinted: None,
    ContactNoted: None,
    RuleOverridden: None,
    CashCounted: None,
    ShiftClosed: None,
    DeviceStatus: None,
    LogInOpened: None,
    ExtractImported: opening,
    PolicyIssued: None,
    TariffIssued: None,
    PackageIssued: None,
    DeviceEnrolled: None,
    BankCredited: credited,
    CashReceived: received,
    PaperReturned: reversed_lines,
    SupervisorDecided: reversed_lines,
    DayClosed: day_difference,
    CodeGiven: None,
    PersonChanged: None,
}
