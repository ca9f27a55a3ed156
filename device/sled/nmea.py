"""What an NMEA 0183 sentence says, in integers. Fields that are empty or make no sense give None."""

# Receivers whose week counter has run over tell a date 19.6 years back. None of ours is older than this firmware.
EARLIEST_YEAR = 2025
_E7 = 10_000_000
_MINUTE_DIGITS = 7  # Finer than any receiver tells.
_DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_DAY_MS = 86_400_000


def fields(line: bytes) -> list[bytes] | None:
    """Fields of a sentence whose checksum is right, the first its talker and kind ("GNGGA"); None for any other."""
    start, star = line.find(b"$"), line.rfind(b"*")
    if start < 0 or star < start or len(line) != star + 3:
        return None
    checksum = 0
    for byte in line[start + 1 : star]:
        checksum ^= byte
    # Written anew and compared: int(..., 16) would take signs, spaces and underscores too.
    if line[star + 1 :].upper() != b"%02X" % checksum:
        return None
    return line[start + 1 : star].split(b",")


def number(field: bytes) -> int | None:
    """A whole number without sign."""
    return int(field) if field.isdigit() else None


def decimal(field: bytes, digits: int) -> int | None:
    """A number without sign times 10**digits, cut off after them."""
    whole, _, rest = field.partition(b".")
    if not whole.isdigit() or (rest and not rest.isdigit()):
        return None
    return int(whole + (rest + b"0" * digits)[:digits])


def degrees_e7(field: bytes, sides: bytes, side: bytes) -> int | None:
    """Degrees times 10**7 out of [d]ddmm.mmmm.

    sides: both letters that may follow, that of the positive side first. side: the letter that followed.
    """
    point = field.find(b".")
    minutes_at = (len(field) if point < 0 else point) - 2
    if minutes_at < 1 or len(side) != 1 or side not in sides:
        return None
    degrees, minutes_e7 = number(field[:minutes_at]), decimal(field[minutes_at:], _MINUTE_DIGITS)
    if degrees is None or minutes_e7 is None or minutes_e7 >= 60 * _E7:
        return None
    value = degrees * _E7 + (minutes_e7 + 30) // 60
    if value > (90 if sides == b"NS" else 180) * _E7:
        return None
    return value if side == sides[:1] else -value


def utc_ms(clock: bytes, day: bytes) -> int | None:
    """Milliseconds since 1970 out of hhmmss[.sss] and ddmmyy; None for a date before EARLIEST_YEAR."""
    clock_ms = decimal(clock, 3)
    if clock_ms is None or clock.find(b".") not in (6, -1) or len(clock) < 6 or len(day) != 6 or not day.isdigit():
        return None
    hours, minutes, rest_ms = clock_ms // 10_000_000, clock_ms // 100_000 % 100, clock_ms % 100_000
    if hours > 23 or minutes > 59 or rest_ms > 59_999:
        return None
    days = _days_since_1970(2000 + int(day[4:]), int(day[2:4]), int(day[:2]))
    if days is None:
        return None
    return days * _DAY_MS + (hours * 60 + minutes) * 60_000 + rest_ms


def _days_since_1970(year: int, month: int, day: int) -> int | None:
    """Until 2099: every fourth year is a leap year. The boards' own calendars begin in different years."""
    if year < EARLIEST_YEAR or not 1 <= month <= 12:
        return None
    leap = year % 4 == 0
    long_months = 31 if month in (1, 3, 5, 7, 8, 10, 12) else 30
    if not 1 <= day <= (28 + leap if month == 2 else long_months):
        return None
    years = year - 1970
    return years * 365 + (years + 1) // 4 + _DAYS_BEFORE_MONTH[month - 1] + (leap and month > 2) + day - 1
