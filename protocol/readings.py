"""What a reading says about water: codes, use, estimates, and what is far from expected.

Indexes and uses are whole m3. A register of d digits shows 0 .. 10**d - 1 and then starts again, so one turn
is 10**d, not the largest number shown. Nothing here decides on money: rules do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from protocol.tariff import half_up

PERIODS_AVERAGED = 3  # Utilities promise "the mean of the three last periods" for a missed reading.
EXPECTED_LOW_PERCENT = 70  # DocSoAndroid turns a use red at 0.7 and at 1.3 of the mean.
EXPECTED_HIGH_PERCENT = 130
EXPECTED_WIDTH_M3 = 3  # Shares alone would warn of every change at 5 m3 a month.
ANY_USE_M3 = 10**6  # Upper end where nothing is known: the most a record carries.


class UseRule(Enum):
    """How use comes from the indexes."""

    SUBTRACT = "new - old"
    ESTIMATE = "mean of three; the index moves on by it"
    ZERO = "0; the index stays"
    REPLACED = "(removed - old) + (new - installed)"
    ROLLOVER = "10^digits + new - old"
    HOLD_OVER = "0 until the dial passes an earlier estimate; the index stays"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingCode:
    """What the collector met at the meter.

    name: identifier in records and extracts. mark: the trade's code. vi, en: words shown to people.
    readable: an index is keyed. digits: of the register, for roll-overs.
    """

    name: str
    mark: str
    vi: str
    en: str
    rule: UseRule
    readable: bool
    digits: int | None = None


def _read(
    name: str, mark: str, vi: str, en: str, rule: UseRule = UseRule.SUBTRACT, *, digits: int | None = None
) -> ReadingCode:
    return ReadingCode(name=name, mark=mark, vi=vi, en=en, rule=rule, readable=True, digits=digits)


def _not_read(name: str, mark: str, vi: str, en: str, rule: UseRule = UseRule.ESTIMATE) -> ReadingCode:
    return ReadingCode(name=name, mark=mark, vi=vi, en=en, rule=rule, readable=False)


# Marks: the code list of Tân Hòa, Ho Chi Minh City (DITAGIS, entities/Codes.java).
# fmt: off
_CODES = (
    _read("normal", "40", "Bình thường", "Normal"),
    _read("reading_left_outside", "41", "Khách ghi chỉ số để ngoài", "Reading left outside"),
    _read("reading_by_phone", "42", "Khách báo chỉ số qua điện thoại", "Reading given by phone"),
    _not_read("house_closed", "F1", "Nhà đóng cửa", "House closed"),
    _not_read("box_locked", "F2", "Hộp bảo vệ kẹt khóa", "Meter box locked"),
    _not_read("obstructed", "F3", "Chất đồ không dọn được", "Things piled on the meter"),
    _not_read("refused_or_flooded", "F4", "Khách không cho đọc, ngập nước", "Refused, or under water"),
    _read("vacant", "K", "Nhà không ở", "Nobody lives here", UseRule.ZERO),
    _read("prior_reading_error", "54", "Kỳ trước ghi sai, ghi lố", "Last reading was wrong", UseRule.ZERO),
    # The trade has eight marks (55 56 58 5F 5K 5M 5Q 5N), each repeating the code that is being explained.
    # The earlier record holds that code already, and the arithmetic is the same for all.
    _read("resolve_prior", "5x", "Giải trình mã kỳ trước", "Explains last period's code"),
    _not_read("stopped_with_flow", "60", "Đồng hồ ngưng, có nước", "Meter stopped, water flows"),
    _not_read("glass_unreadable", "61", "Kiếng mờ, dơ, nứt", "Glass cannot be read through"),
    _not_read("register_fault_or_reversed", "62", "Kẹt số, lệch số, quay ngược", "Stuck or reversed"),
    _not_read("dial_missing", "63", "Mất kiếng, mất mặt số", "Dial missing"),
    _not_read("meter_removed_or_moved", "64", "Đồng hồ bị gỡ hoặc dời", "Meter removed or moved"),
    _not_read("buried_not_found", "66", "Lấp mất, không tìm thấy", "Buried or not found"),
    _not_read("service_sealed", "68", "Khóa niêm phong, cắt ống", "Sealed or cut off", UseRule.ZERO),
    _read("replaced_lt_7d", "80", "Đã thay dưới 7 ngày", "Replaced less than 7 days ago", UseRule.REPLACED),
    _read("replaced_after_stop", "81", "Đã thay sau ngưng", "Replaced after it stopped", UseRule.REPLACED),
    _read("replaced_periodic", "82", "Đã thay định kỳ", "Replaced by age", UseRule.REPLACED),
    _read("replaced_resized", "83", "Đã thay đổi cỡ", "Replaced by another size", UseRule.REPLACED),
    _read("new_install_0", "M0", "Gắn mới, đọc trong tháng", "New, read in its first month"),
    _read("new_install_1", "M1", "Gắn mới, đọc sau 1 tháng", "New, read after 1 month"),
    _read("new_install_2", "M2", "Gắn mới, đọc sau 2 tháng", "New, read after 2 months"),
    _read("new_install_3", "M3", "Gắn mới, đọc sau 3 tháng", "New, read after 3 months"),
    _read("hold_over_estimate", "N", "Giữ chỉ số tạm tính kỳ trước", "Below the estimate", UseRule.HOLD_OVER),
    _read("rollover_4d", "X41", "Mặt 4 số quay hết vòng", "4 digits went round", UseRule.ROLLOVER, digits=4),
    _read("rollover_5d", "X51", "Mặt 5 số quay hết vòng", "5 digits went round", UseRule.ROLLOVER, digits=5),
    _not_read("no_supply", "Q", "Không có nước hoàn toàn", "No water at all", UseRule.ZERO),
)
# fmt: on
READING_CODES: dict[str, ReadingCode] = {code.name: code for code in _CODES}


class ReadingInputError(Exception):
    """What was keyed cannot be reckoned with.

    `field` is the value to correct, `message` the key of the text shown.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class Use:
    """Water between two readings. m3 is below zero only where a lower index is not explained by its code."""

    m3: int
    days: int


def use_m3(
    code: ReadingCode,
    *,
    previous_index: int,
    index: int | None,
    removed_index: int | None = None,
    installed_index: int | None = None,
    estimate_m3: int = 0,
) -> int:
    """Use by the code's rule. An index given with a code that has none is not looked at.

    Raises ReadingInputError when a needed value is missing, a register cannot show it, a dial that is said to
    have gone round did not, or a replacement would give water back.
    """
    match code.rule:
        case UseRule.ESTIMATE:
            return estimate_m3
        case UseRule.ZERO | UseRule.HOLD_OVER:
            if code.readable:
                _needed("index", index)
            return 0
        case UseRule.SUBTRACT:
            return _needed("index", index) - previous_index
        case UseRule.ROLLOVER:
            assert code.digits is not None
            return _use_over_zero(code.digits, previous_index, _needed("index", index))
        case UseRule.REPLACED:
            removed = _needed("removed_index", removed_index)
            installed = _needed("installed_index", installed_index)
            return _use_of_two_meters(previous_index, removed, installed, _needed("index", index))


def _needed(field: str, value: int | None) -> int:
    if value is None:
        raise ReadingInputError(field, "reading.value_missing")
    return value


def turn_m3(digits: int) -> int:
    """What flows while a register of that many digits goes round once: one more than the largest index."""
    turn: int = 10**digits
    return turn


def _use_over_zero(digits: int, previous_index: int, index: int) -> int:
    for field, value in (("previous_index", previous_index), ("index", index)):
        if above_register(value, digits):
            raise ReadingInputError(field, "reading.above_register")
    if index >= previous_index:  # Would bill a whole turn of the register on top of the month.
        raise ReadingInputError("index", "reading.did_not_roll_over")
    return turn_m3(digits) + index - previous_index


def _use_of_two_meters(previous_index: int, removed_index: int, installed_index: int, index: int) -> int:
    """The old meter may stand below the previous index after an estimate, if the sum is not negative."""
    if index < installed_index:
        raise ReadingInputError("index", "reading.below_installed")
    use = (removed_index - previous_index) + (index - installed_index)
    if use < 0:
        raise ReadingInputError("removed_index", "reading.removed_below_previous")
    return use


def index_after(code: ReadingCode, *, previous_index: int, index: int | None, use_m3: int, digits: int) -> int:
    """The index the next period starts from, on a register of that many digits.

    Codes without use keep the old index even where the dial moved on: the water comes with the next reading.
    An estimate moves on from the old index, over zero where the register would.
    """
    match code.rule:
        case UseRule.ZERO | UseRule.HOLD_OVER:
            return previous_index
        case UseRule.ESTIMATE:
            return (previous_index + use_m3) % turn_m3(digits)
        case UseRule.SUBTRACT | UseRule.REPLACED | UseRule.ROLLOVER:
            return _needed("index", index)


def above_register(index: int, digits: int) -> bool:
    """True when a register of that many digits cannot show the index."""
    return index >= turn_m3(digits)


def estimate_m3(last_uses_m3: Sequence[int]) -> int:
    """Mean of the last three uses, oldest first, or of as many as there are, half up; never below zero."""
    recent = last_uses_m3[-PERIODS_AVERAGED:]
    return max(0, half_up(sum(recent), len(recent))) if recent else 0


def expected_range_m3(last_uses_m3: Sequence[int]) -> tuple[int, int]:
    """Lowest and highest use that needs no second look; for warnings only.

    0.7 to 1.3 of the mean of the last three, at least 3 m3 to both sides of it, never below zero. Everything
    is expected of a customer without a past. Source: DocSoAndroid, tinhTieuThu_CanhBaoMau (the shares); the
    width is ours.
    """
    recent = last_uses_m3[-PERIODS_AVERAGED:]
    if not recent:
        return 0, ANY_USE_M3
    mean_m3, total_m3, hundred_means = estimate_m3(recent), max(0, sum(recent)), 100 * len(recent)
    low = -(-total_m3 * EXPECTED_LOW_PERCENT // hundred_means)
    high = total_m3 * EXPECTED_HIGH_PERCENT // hundred_means
    return max(0, min(low, mean_m3 - EXPECTED_WIDTH_M3)), max(high, mean_m3 + EXPECTED_WIDTH_M3)


def fell_by_policy(use: Use, last: Use, drop_per_mille: int, drop_m3_min: int) -> bool:
    """Rule R2: use fell to nothing, or per day by the share and in sum by the amount of the branch's policy.

    Both limits count as fallen. Where either number of days is not above zero (first reading, a clock set
    wrong) the m3 are compared as they are. Source: product.md, collection rules.
    """
    if last.m3 <= 0:
        return False
    if use.m3 == 0:
        return True
    days, last_days = (use.days, last.days) if use.days > 0 and last.days > 0 else (1, 1)
    fell_far = use.m3 * last_days * 1000 <= last.m3 * days * (1000 - drop_per_mille)  # No floats.
    return fell_far and last.m3 - use.m3 >= drop_m3_min
