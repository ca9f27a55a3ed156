"""What a record must mean beyond the range of each field: sums that add up, codes and dates that exist.

Both sides ask: a handheld never signs what the hub could not fold, and the hub files a record that fails here as
unreadable instead of folding nonsense. So no authentic record can break the books.
"""

from protocol.codec import FieldError
from protocol.readings import READING_CODES
from protocol.records import (
    CashCollected,
    CashCounted,
    CashReceived,
    ContactNoted,
    DayClosed,
    Denomination,
    PaperKind,
    PaperPrinted,
    ReadingSkipped,
    ReadingTaken,
    Record,
    ShiftClosed,
    ShiftOpened,
    SupervisorDecided,
)
from protocol.values import is_date


def require_meaning(record: Record) -> None:
    """Raise FieldError for a record whose fields are each in range and together make no sense."""
    match record:
        case ReadingTaken():
            _reading(record)
        case ReadingSkipped():
            code = READING_CODES.get(record.code)
            if code is None or code.readable:
                raise FieldError("ReadingSkipped.code", f"{record.code!r} is not a reason for not reading")
        case CashCollected():
            _collection(record)
        case PaperPrinted():
            if record.customer is None and record.paper is not PaperKind.DAY_SLIP:
                raise FieldError("PaperPrinted.customer", "only a day slip is nobody's paper")
        case ShiftOpened() | ShiftClosed() | DayClosed():
            _date(type(record).__name__, record.business_date)
        case ContactNoted():
            if record.come_back is not None:
                _date("ContactNoted", record.come_back, "come_back")
        case CashCounted():
            _date("CashCounted", record.business_date)
            _counted("CashCounted", record.notes, record.total_vnd)
        case CashReceived():
            _date("CashReceived", record.business_date)
            _counted("CashReceived", record.notes, record.amount_vnd)
        case SupervisorDecided():
            if record.business_date is not None:
                _date("SupervisorDecided", record.business_date)
        case _:
            pass


def _reading(record: ReadingTaken) -> None:
    code = READING_CODES.get(record.code)
    if code is None or not code.readable:
        raise FieldError("ReadingTaken.code", f"{record.code!r} is not a code of a reading")
    if record.use_m3 < 0 and record.bill is not None:
        raise FieldError("ReadingTaken.bill", "a use below zero is held, never billed")


def _collection(record: CashCollected) -> None:
    if not len(record.bills) == len(record.bills_vnd) == len(record.bill_periods):
        raise FieldError("CashCollected.bills", "bills, amounts and periods must go together")
    if len(set(record.bills)) != len(record.bills):
        raise FieldError("CashCollected.bills", "a bill is named twice")
    if (record.credit_vnd or 0) > sum(record.bills_vnd):
        raise FieldError("CashCollected.credit_vnd", "more credit than the bills ask for")
    asked = sum(record.bills_vnd) - (record.credit_vnd or 0) + (record.rounding_vnd or 0)
    if asked != record.amount_vnd:
        raise FieldError("CashCollected.amount_vnd", f"the bills come to {asked}")


def _counted(kind: str, notes: tuple[Denomination, ...], total_vnd: int) -> None:
    worth = sum(note.value_vnd * note.pieces for note in notes)
    if worth != total_vnd:
        raise FieldError(f"{kind}.notes", f"the notes come to {worth}")


def _date(kind: str, text: str, field: str = "business_date") -> None:
    if not is_date(text):
        raise FieldError(f"{kind}.{field}", "there is no such date")
