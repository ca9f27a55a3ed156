"""Why something is not done: codes with their words in both languages.

A business refusal is a value, returned, never an exception. `Scope` says how far a hold reaches.
"""

from enum import Enum, StrEnum


class Scope(Enum):
    """What a reason stands in the way of."""

    EVERY_BILL = "every bill"
    THIS_PERIOD = "this period's bill"
    THIS_ACTION = "this action"


class Reason(StrEnum):
    """Codes that screens show, records carry and the hub counts. Texts: REASONS."""

    PAYS_BY_TRANSFER = "PAYS_BY_TRANSFER"
    PAYS_BY_COLLECTION_ORDER = "PAYS_BY_COLLECTION_ORDER"
    READING_BELOW_PREVIOUS = "READING_BELOW_PREVIOUS"
    CONSUMPTION_DROP = "CONSUMPTION_DROP"

    FAR_ABOVE_EXPECTED = "FAR_ABOVE_EXPECTED"
    ZERO_CONSUMPTION = "ZERO_CONSUMPTION"
    ABOVE_REGISTER = "ABOVE_REGISTER"

    NO_PACKAGE = "NO_PACKAGE"
    PACKAGE_EXPIRED = "PACKAGE_EXPIRED"
    NO_OPEN_SHIFT = "NO_OPEN_SHIFT"
    SHIFT_IS_OPEN = "SHIFT_IS_OPEN"
    CUSTOMER_NOT_ON_ROUTE = "CUSTOMER_NOT_ON_ROUTE"
    READING_INPUT = "READING_INPUT"
    NOTHING_TO_COLLECT = "NOTHING_TO_COLLECT"
    AMOUNT_CHANGED = "AMOUNT_CHANGED"
    COLLECTION_NOT_FOUND = "COLLECTION_NOT_FOUND"
    ALREADY_VOIDED = "ALREADY_VOIDED"
    DAY_IS_OVER = "DAY_IS_OVER"
    PAPER_NOT_FOUND = "PAPER_NOT_FOUND"
    PRINT_UNDER_WAY = "PRINT_UNDER_WAY"
    NOTHING_TO_PRINT = "NOTHING_TO_PRINT"
    INTENT_USED = "INTENT_USED"
    PRINTED_TOO_OFTEN = "PRINTED_TOO_OFTEN"
    DATE_INPUT = "DATE_INPUT"
    CASH_INPUT = "CASH_INPUT"
    NOTHING_TO_OVERRIDE = "NOTHING_TO_OVERRIDE"
    CODE_USED = "CODE_USED"
    SCREEN_IS_OLD = "SCREEN_IS_OLD"
    OTHER_COLLECTOR = "OTHER_COLLECTOR"
    BATTERY_LOW = "BATTERY_LOW"


# code: (Vietnamese, English, how far it reaches, may a supervisor override it?)
REASONS: dict[Reason, tuple[str, str, Scope, bool]] = {
    Reason.PAYS_BY_TRANSFER: (
        "Khách hàng trả qua ngân hàng, không thu tiền mặt",
        "Pays by bank transfer: take no cash",
        Scope.EVERY_BILL,
        False,
    ),
    Reason.PAYS_BY_COLLECTION_ORDER: (
        "Khách hàng trả qua kho bạc (nhờ thu), không thu tiền mặt",
        "Pays by collection order through the treasury: take no cash",
        Scope.EVERY_BILL,
        False,
    ),
    Reason.READING_BELOW_PREVIOUS: (
        "Chỉ số mới nhỏ hơn chỉ số cũ, chưa được thu kỳ này",
        "The new index is below the old one: this period is held",
        Scope.THIS_PERIOD,
        True,
    ),
    Reason.CONSUMPTION_DROP: (
        "Sản lượng giảm mạnh so với kỳ trước, chưa được thu kỳ này",
        "Consumption fell sharply against last period: this period is held",
        Scope.THIS_PERIOD,
        True,
    ),
    Reason.FAR_ABOVE_EXPECTED: (
        "Sản lượng cao bất thường, hãy nhập lại đúng chỉ số để xác nhận",
        "Far above the usual use: key the same index again to confirm",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.ZERO_CONSUMPTION: (
        "Không có nước tiêu thụ, hãy nhập lại đúng chỉ số để xác nhận",
        "No water was used: key the same index again to confirm",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.ABOVE_REGISTER: (
        "Chỉ số lớn hơn số mà mặt đồng hồ hiển thị được, hãy nhập lại để xác nhận",
        "Above what this register can show: key the same index again to confirm",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.NO_PACKAGE: (
        "Chưa có dữ liệu lộ trình, hãy lấy dữ liệu trước",
        "There is no route on this handheld yet: download it first",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.PACKAGE_EXPIRED: (
        "Dữ liệu lộ trình đã hết hạn, hãy lấy dữ liệu mới trước khi mở ca",
        "The route has expired: download a new one before opening a shift",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.NO_OPEN_SHIFT: ("Chưa mở ca làm việc", "No shift is open", Scope.THIS_ACTION, False),
    Reason.SHIFT_IS_OPEN: ("Ca làm việc đang mở", "A shift is open already", Scope.THIS_ACTION, False),
    Reason.CUSTOMER_NOT_ON_ROUTE: (
        "Không có khách hàng này trong lộ trình",
        "This customer is not on the route",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.READING_INPUT: (
        "Thiếu hoặc sai chỉ số cho mã này",
        "An index this code needs is missing or cannot be",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.NOTHING_TO_COLLECT: (
        "Không còn khoản nào phải thu",
        "There is nothing to collect",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.AMOUNT_CHANGED: (
        "Số tiền đã thay đổi, hãy xem lại trước khi thu",
        "The amount has changed: look again before taking money",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.COLLECTION_NOT_FOUND: (
        "Không tìm thấy biên nhận trên máy này",
        "There is no such receipt on this handheld",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.ALREADY_VOIDED: ("Biên nhận này đã hủy", "This receipt is voided already", Scope.THIS_ACTION, False),
    Reason.DAY_IS_OVER: (
        "Ca của ngày đó đã đóng, hãy báo chi nhánh",
        "That day's shift is closed: tell the branch",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.PAPER_NOT_FOUND: ("Không có giấy này", "There is no such paper", Scope.THIS_ACTION, False),
    Reason.PRINT_UNDER_WAY: ("Đang in giấy này", "This paper is being printed", Scope.THIS_ACTION, False),
    Reason.PRINTED_TOO_OFTEN: (
        "Giấy này đã in quá nhiều lần, hãy kiểm tra máy in",
        "This paper has been printed too often: look at the printer",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.INTENT_USED: (
        "Thao tác này đã dùng cho việc khác, hãy mở lại màn hình",
        "This action was used for something else: open the screen again",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.DATE_INPUT: (
        "Đồng hồ của máy sai hoặc ngày không hợp lệ, hãy nhập ngày làm việc",
        "The clock is wrong or there is no such date: key the business date",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.CASH_INPUT: (
        "Tổng tiền quá lớn, hãy đếm lại từng loại tiền",
        "The sum is too large: count each note again",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.NOTHING_TO_OVERRIDE: (
        "Khách hàng này không bị giữ theo điều kiện mà giám sát được phép bỏ qua",
        "Nothing is held here that a supervisor may lift",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.CODE_USED: (
        "Mã giám sát này đã dùng rồi, hãy xin mã khác",
        "This supervisor's code has been used: ask for another",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.SCREEN_IS_OLD: (
        "Màn hình này đã cũ vì khách hàng vừa được ghi ở chỗ khác, hãy xem lại rồi làm tiếp",
        "This screen is old: something was recorded here meanwhile. Look again, then go on",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.OTHER_COLLECTOR: (
        "Ca đang mở là của nhân viên khác, hãy để người đó đóng ca",
        "Another collector's shift is open: let them close it",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.BATTERY_LOW: (
        "Pin còn quá ít để lấy dữ liệu, hãy cắm sạc rồi lấy lại",
        "Too little battery for a download: plug the handheld in and try again",
        Scope.THIS_ACTION,
        False,
    ),
    Reason.NOTHING_TO_PRINT: ("Chưa có gì để in", "There is nothing to print yet", Scope.THIS_ACTION, False),
}


def words(reason: Reason, language: str = "vi") -> str:
    """What people read. language: "vi" or "en"."""
    vietnamese, english, _, _ = REASONS[reason]
    return vietnamese if language == "vi" else english


def overridable(reason: Reason) -> bool:
    """Whether a supervisor may lift it."""
    return REASONS[reason][3]


def scope(reason: Reason) -> Scope:
    """How far a reason reaches."""
    return REASONS[reason][2]
