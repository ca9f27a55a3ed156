"""Values that both sides speak of: IMEI, position, clock evidence, periods and dates.

Dates are text "YYYY-MM-DD", periods text "YYYY-MM": they sort as they read, and a record shows them to a person as
they are. Instants are milliseconds since 1970 UTC. Civil dates are those of Vietnam, +07:00 all year.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from typing import Annotated, NamedTuple

from protocol.fields import Bytes, Coordinate, Int, Millis

VIETNAM_OFFSET_MS = 7 * 3_600_000
DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)


class ImeiError(ValueError):
    """The text is not an IMEI. `text` is what was given."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"{text!r} is not an IMEI: {problem}")
        self.text = text


class Imei(str):
    """Fifteen digits, the last a Luhn check digit. Text, since leading zeros occur.

    Source: 3GPP TS 23.003, clause 6.2.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> "Imei":
        if len(text) != 15 or not text.isascii() or not text.isdigit():
            raise ImeiError(text, "it must be 15 digits")
        if luhn_sum(text) % 10 != 0:
            raise ImeiError(text, "the check digit does not fit")
        return super().__new__(cls, text)


def luhn_sum(digits: str) -> int:
    """Sum of the Luhn algorithm (ISO/IEC 7812-1, annex B); a valid number gives a multiple of ten."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total


class Fix(NamedTuple):
    """Where the handheld was. Degrees times 10**7, accuracy in decimetres, age of the fix in seconds."""

    latitude_e7: Coordinate
    longitude_e7: Coordinate
    accuracy_dm: Annotated[int, Int(0, 10**7)]
    age_s: Annotated[int, Int(0, 10**6)]


class NoFix(IntEnum):
    """Why a record carries no position. A fix is never waited for."""

    NO_RECEIVER = 1
    NO_SIGNAL = 2
    SWITCHED_OFF = 3


class ClockSource(IntEnum):
    """What last told the handheld how far its wall clock is off."""

    NONE = 0
    HUB = 1
    GNSS = 2


class ClockEvidence(NamedTuple):
    """What the handheld's clocks said when a record was made; lets a jump be seen afterwards.

    boot: random id of this start of the machine. up_ms: monotonic. wall_ms: the wall clock, raw.
    offset_ms: reference minus wall, as last known from `source`.
    """

    boot: Annotated[bytes, Bytes(8, 8)]
    up_ms: Millis
    wall_ms: Millis
    offset_ms: Annotated[int, Int(-(2**52), 2**52)]
    source: ClockSource


@dataclass(frozen=True, slots=True)
class Instant:
    """Now, as the shell hands it to a core: wall clock, monotonic clock, and which start of the machine."""

    wall_ms: int
    up_ms: int
    boot: bytes


def local_date(at_ms: int) -> str:
    """Civil date in Vietnam of an instant."""
    return (_EPOCH + timedelta(days=(at_ms + VIETNAM_OFFSET_MS) // DAY_MS)).isoformat()


def start_of_day_ms(day: str) -> int:
    """Instant at which a civil date begins in Vietnam."""
    return (date.fromisoformat(day) - _EPOCH).days * DAY_MS - VIETNAM_OFFSET_MS


def local_clock(at_ms: int) -> str:
    """Time of day in Vietnam, "HH:MM"."""
    minutes = (at_ms + VIETNAM_OFFSET_MS) % DAY_MS // 60_000
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def days_between(earlier: str, later: str) -> int:
    """Days from one civil date to another; negative when they are the other way round."""
    return (date.fromisoformat(later) - date.fromisoformat(earlier)).days


def is_date(text: str) -> bool:
    """Whether text is a civil date that exists, in the two centuries in which this can be used."""
    try:
        return date.fromisoformat(text).isoformat() == text and "2000" < text < "2200"
    except ValueError:
        return False


def day_after(day: str) -> str:
    """The next civil date."""
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def period_after(period: str) -> str:
    """The billing period that follows."""
    year, month = int(period[:4]), int(period[5:])
    return f"{year + month // 12:04d}-{month % 12 + 1:02d}"
