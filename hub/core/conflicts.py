"""The conflict classes: one row each, in words, and the case file that one occurrence makes.

A case keeps who, when, which facts, the money effect and what was done by itself. It is derived by the fold, so it
appears and goes with the facts; a person closes it with a decision, which is a record too. Source: merge.md, conflict
classes.
"""

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import NamedTuple


class ConflictClass(Enum):
    """Names of the rows of CONFLICTS."""

    DUPLICATE = "duplicate"
    GAP = "gap"
    FORK = "fork"
    UNREADABLE = "unreadable"
    SAME_READING_TWICE = "same-reading-twice"
    OWN_CORRECTION = "own-correction"
    READINGS_DISAGREE = "readings-disagree"
    RE_READ_AFTER_PAYMENT = "re-read-after-payment"
    BILL_DIFFERS = "bill-differs"
    PAID_TWICE = "paid-twice"
    VOID_WITH_PAPER_OUT = "void-with-paper-out"
    VOID_BEFORE_PAPER = "void-before-paper"
    VOID_TOO_LATE = "void-too-late"
    READING_BELOW_PREVIOUS = "reading-below-previous"
    COLLECTED_AGAINST_HOLD = "collected-against-hold"
    OVERRIDE_UNPROVEN = "override-unproven"
    FACT_AFTER_CLOSE = "fact-after-close"
    CASH_SHORT_OR_OVER = "cash-short-or-over"
    RECEIPT_MISSING = "receipt-missing"
    BANK_UNMATCHED = "bank-unmatched"
    UNKNOWN_CUSTOMER = "unknown-customer"
    UNKNOWN_BILL = "unknown-bill"


class Conflict(NamedTuple):
    """title: (Vietnamese, English). done: what is settled by itself, in both. for_person: whether a person must
    look.
    """

    title: tuple[str, str]
    done: tuple[str, str]
    for_person: bool


CONFLICTS: dict[ConflictClass, Conflict] = {
    ConflictClass.DUPLICATE: Conflict(
        ("Bản ghi gửi lại", "Record sent again"),
        ("Trả lời cùng một xác nhận", "Acknowledged at the same position"),
        for_person=False,
    ),
    ConflictClass.GAP: Conflict(
        ("Chuỗi bản ghi bị đứt quãng", "Gap in a chain"),
        ("Máy được yêu cầu gửi lại từ chỗ đứt", "The handheld was asked to send from there"),
        for_person=False,
    ),
    ConflictClass.FORK: Conflict(
        ("Hai lịch sử khác nhau của cùng một máy", "Two histories of one handheld"),
        (
            "Giữ cả hai nhánh, chưa tính nhánh nào; tiền mặt vẫn tính nợ nhân viên",
            "Both branches are kept and count for nothing yet; their cash is owed",
        ),
        for_person=True,
    ),
    ConflictClass.UNREADABLE: Conflict(
        ("Bản ghi không đọc được", "Record that cannot be read"),
        ("Đã lưu nguyên vẹn, chờ người xem", "Stored as it is, until a person looks"),
        for_person=True,
    ),
    ConflictClass.SAME_READING_TWICE: Conflict(
        ("Một đồng hồ ghi hai lần, cùng chỉ số", "One meter read twice, same index"),
        ("Tính một lần, giữ cả hai bản ghi", "Counted once, both kept"),
        for_person=False,
    ),
    ConflictClass.OWN_CORRECTION: Conflict(
        ("Nhân viên ghi lại chỉ số khi chưa thu", "Own correction before payment"),
        ("Lấy lần ghi sau", "The later one counts"),
        for_person=False,
    ),
    ConflictClass.READINGS_DISAGREE: Conflict(
        ("Hai nhân viên ghi khác nhau", "Two collectors disagree"),
        ("Lấy lần ghi sau theo thứ tự chuẩn", "The later in canonical order counts"),
        for_person=True,
    ),
    ConflictClass.RE_READ_AFTER_PAYMENT: Conflict(
        ("Ghi lại chỉ số sau khi đã thu", "Read again after payment"),
        (
            "Hóa đơn đã thu giữ nguyên, phần chênh lệch tính vào kỳ sau",
            "The paid bill stands; the difference goes to the next period",
        ),
        for_person=True,
    ),
    ConflictClass.BILL_DIFFERS: Conflict(
        ("Tiền trên giấy khác tiền hệ thống tính", "The printed amount differs from ours"),
        ("Giữ số tiền đã in", "The printed amount stands"),
        for_person=True,
    ),
    ConflictClass.PAID_TWICE: Conflict(
        ("Khách hàng trả hai lần", "Paid twice"),
        ("Ghi nhận cả hai, tiền thừa chuyển kỳ sau", "Both posted; the surplus is carried forward"),
        for_person=False,
    ),
    ConflictClass.VOID_WITH_PAPER_OUT: Conflict(
        ("Hủy biên nhận đã in, giấy chưa nộp lại", "Receipt voided while its paper is out"),
        (
            "Tiền vẫn tính nợ nhân viên đến khi nộp lại giấy",
            "The cash stays owed until the paper is back",
        ),
        for_person=True,
    ),
    ConflictClass.VOID_BEFORE_PAPER: Conflict(
        ("Hủy thu trước khi in biên nhận", "Collection voided before any paper"),
        ("Đã đảo bút toán", "Reversed"),
        for_person=False,
    ),
    ConflictClass.VOID_TOO_LATE: Conflict(
        ("Hủy biên nhận quá muộn hoặc từ máy khác", "Void too late, or by another handheld"),
        ("Không thực hiện, chờ giám sát", "Not done, until a supervisor decides"),
        for_person=True,
    ),
    ConflictClass.READING_BELOW_PREVIOUS: Conflict(
        ("Chỉ số mới nhỏ hơn chỉ số cũ", "Index below the previous one"),
        ("Chưa lập hóa đơn kỳ này", "This period's bill is held"),
        for_person=True,
    ),
    ConflictClass.COLLECTED_AGAINST_HOLD: Conflict(
        ("Thu tiền khi kỳ này chưa được thu", "Collected while this period was held"),
        ("Vẫn ghi nhận tiền đã thu", "The money stands"),
        for_person=True,
    ),
    ConflictClass.OVERRIDE_UNPROVEN: Conflict(
        ("Mã giám sát không hợp lệ", "A supervisor's code that does not hold"),
        ("Tiền đã thu vẫn ghi nhận; lệnh cho thu không có giá trị", "Money stands; the override lifts nothing"),
        for_person=True,
    ),
    ConflictClass.FACT_AFTER_CLOSE: Conflict(
        ("Bản ghi đến sau khi khóa sổ ngày", "Record after its day was closed"),
        ("Ghi vào ngày đang mở", "Posted to the collector's open day"),
        for_person=False,
    ),
    ConflictClass.CASH_SHORT_OR_OVER: Conflict(
        ("Tiền nộp thiếu hoặc thừa", "Cash short or over"),
        ("Chuyển vào tài khoản chênh lệch", "Posted to the difference account"),
        for_person=True,
    ),
    ConflictClass.RECEIPT_MISSING: Conflict(
        ("Thiếu số biên nhận", "Receipt number missing"),
        ("Không có", "Nothing"),
        for_person=True,
    ),
    ConflictClass.BANK_UNMATCHED: Conflict(
        ("Tiền ngân hàng chưa rõ của khách hàng nào", "Bank money matched to nobody"),
        ("Treo ở tài khoản chờ xử lý", "Waits in suspense"),
        for_person=True,
    ),
    ConflictClass.UNKNOWN_BILL: Conflict(
        ("Thu cho hóa đơn không có trong dữ liệu", "Collected for a bill that no extract lists"),
        ("Ghi nhận hóa đơn theo biên nhận đã in", "The bill stands as the receipt says"),
        for_person=True,
    ),
    ConflictClass.UNKNOWN_CUSTOMER: Conflict(
        ("Khách hàng không có trong dữ liệu", "Customer that no extract has named"),
        (
            "Tiền mặt vẫn tính nợ nhân viên, treo ở tài khoản chờ xử lý",
            "The cash is owed by its collector and waits in suspense",
        ),
        for_person=True,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One occurrence. facts: digests of the records it is about, oldest first; they also name the case."""

    klass: ConflictClass
    facts: tuple[bytes, ...]
    customer: str = ""
    collector: str = ""
    device: int = 0
    seq: int = 0
    day: str = ""
    period: str = ""
    money_vnd: int = 0
    for_person: bool
    settled: bool = False
    detail: str = ""

    @property
    def key(self) -> bytes:
        """Name of the case by its content: the same facts make the same case on every hub."""
        return sha256(self.klass.value.encode() + b"".join(self.facts)).digest()

    @property
    def is_open(self) -> bool:
        """Whether a person still has to look."""
        return self.for_person and not self.settled
