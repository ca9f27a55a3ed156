"""NMEA 0183 as receivers and modems speak it: bytes in any pieces in, sightings out. Pure; opens nothing.

A sentence counts only with a checksum that fits. GGA, RMC, GLL and ZDA of any talker are read, nothing proprietary.

Accuracy: HDOP times 19 m, or 4.75 m with differential corrections: the radius that holds 95 % of fixes, by the same
rule as gpsd's `eph`, so that a handheld's figures do not change with the program that read its receiver.
Source: NMEA 0183 4.10, as the open decoders of gpsd read it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from types import MappingProxyType

from device.hardware.sightings import ACCURACY_MAX_DM, UNKNOWN_ACCURACY_DM, Sighting
from protocol.values import Fix, NoFix

BODY_MAX_BYTES = 120  # The standard allows 79; receivers with many decimals and station names need about 100.
HDOP_BELOW_MILLI = 50_000  # Receivers say 50, 99.9 or 99.99 for "I do not know where I am".
HDOP_FOR_S = 5  # An RMC borrows the dilution of a GGA that is not older; slow receivers send one every 5 s.
ERROR_CM = 1_900  # Per unit of HDOP.
ERROR_CORRECTED_CM = 475

_DOLLAR, _STAR = ord("$"), ord("*")
_CHECKSUM_DIGITS = 2
_DAY_MS = 86_400_000
_PROPRIETARY = "P"  # PGRMC of Garmin looks like an RMC.
_NUMBER = re.compile(r"(\d{1,9})(?:\.(\d{0,12}))?", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(?:\.(\d{0,9}))?", re.ASCII)
_DATE = re.compile(r"(\d\d)(\d\d)(\d\d)", re.ASCII)
_ANGLE = re.compile(r"(\d{2,3})(\d\d)(?:\.(\d{0,10}))?", re.ASCII)
_CENTURY = 2000
# GGA: satellites alone, differential, military, and the two kinds of phase. Not 6 to 8: guessed, typed in, simulated.
_REAL_QUALITIES = frozenset("12345")
_CORRECTED = "2"
# RMC and GLL, from NMEA 2.3 on; empty before. Not E, M, S, N: estimated, manual, simulated, none.
_REAL_MODES = frozenset(("", "A", "D", "F", "P", "R"))


class _State(Enum):
    OUTSIDE = auto()
    BODY = auto()
    CHECKSUM = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dilution:
    """What the last GGA said of its accuracy. of_day_ms: when. accuracy_dm: None where it disowned its own fix."""

    of_day_ms: int
    accuracy_dm: int | None


class NmeaReader:
    """Reads a stream of NMEA 0183, from the middle on if it must. Holds at most one sentence.

    source: what the sightings name as their source.
    """

    def __init__(self, source: str = "nmea") -> None:
        self._source = source
        self._state = _State.OUTSIDE
        self._body = bytearray()
        self._checksum = bytearray()
        self._dilution: _Dilution | None = None
        self._last: tuple[int, Fix] | None = None  # Time of day and place of the last fix, for the date of a ZDA.

    def feed(self, data: bytes) -> list[Sighting]:
        """What the sentences that these bytes complete say, in their order."""
        seen = []
        for byte in data:
            sentence = self._take(byte)
            if sentence is not None and (sighting := self._understand(sentence)) is not None:
                seen.append(sighting)
        return seen

    def _take(self, byte: int) -> str | None:
        """The sentence that ends with this byte, without `$` and checksum."""
        if byte == _DOLLAR:  # Wherever it comes: what was cut off is lost, what begins now is not.
            self._state = _State.BODY
            self._body.clear()
            self._checksum.clear()
        elif self._state is _State.BODY:
            if byte == _STAR:
                self._state = _State.CHECKSUM
            elif 0x20 <= byte < 0x7F and len(self._body) < BODY_MAX_BYTES:
                self._body.append(byte)
            else:
                self._state = _State.OUTSIDE
        elif self._state is _State.CHECKSUM:
            self._checksum.append(byte)
            if len(self._checksum) == _CHECKSUM_DIGITS:
                self._state = _State.OUTSIDE
                if self._checksum.upper() == b"%02X" % checksum(self._body):
                    return self._body.decode("ascii")
        return None

    def _understand(self, sentence: str) -> Sighting | None:
        address, *fields = sentence.split(",")
        if len(address) != 5 or address.startswith(_PROPRIETARY):
            return None
        fields += [""] * (_FIELDS.get(address[2:], 0) - len(fields))  # Older receivers leave the last ones out.
        match address[2:]:
            case "GGA":
                return self._gga(fields)
            case "RMC":
                return self._rmc(fields)
            case "GLL":
                return self._gll(fields)
            case "ZDA":
                return self._zda(fields)
            case _:
                return None

    def _gga(self, fields: list[str]) -> Sighting | None:
        """Time, latitude, N or S, longitude, E or W, quality, satellites, HDOP ..."""
        time_ms, quality, hdop_milli = _time_of_day_ms(fields[0]), fields[5], _scaled(fields[7], 3)
        if quality not in _REAL_QUALITIES:
            return self._no_signal() if quality else None
        place = _place(fields[1:5])
        if time_ms is None or place is None:
            return None
        accuracy_dm: int | None = UNKNOWN_ACCURACY_DM
        if hdop_milli is not None and hdop_milli >= HDOP_BELOW_MILLI:
            accuracy_dm = None
        elif hdop_milli:
            error_cm = ERROR_CORRECTED_CM if quality == _CORRECTED else ERROR_CM
            accuracy_dm = min(-(-hdop_milli * error_cm // 10_000), ACCURACY_MAX_DM)
        self._dilution = _Dilution(of_day_ms=time_ms, accuracy_dm=accuracy_dm)
        return self._fix(place, time_ms, None)

    def _rmc(self, fields: list[str]) -> Sighting | None:
        """Time, A or V, latitude, N or S, longitude, E or W, knots, course, date, variation, its side, mode ..."""
        return self._valid_or_not(fields[1], fields[11], fields[2:6], fields[0], fields[8])

    def _gll(self, fields: list[str]) -> Sighting | None:
        """Latitude, N or S, longitude, E or W, time, A or V, mode."""
        return self._valid_or_not(fields[5], fields[6], fields[0:4], fields[4], "")

    def _valid_or_not(self, status: str, mode: str, place: list[str], time: str, date: str) -> Sighting | None:
        if status == "V" or (status == "A" and mode not in _REAL_MODES):
            return self._no_signal()
        where, time_ms = _place(place), _time_of_day_ms(time)
        if status != "A" or where is None or time_ms is None:
            return None
        return self._fix(where, time_ms, _date_ms(date))

    def _zda(self, fields: list[str]) -> Sighting | None:
        """Time, day, month, year: the date of a fix of the same moment. Without a fix it may be a cheap clock's."""
        time_ms = _time_of_day_ms(fields[0])
        if self._last is None or time_ms != self._last[0]:
            return None
        year = fields[3][2:] if fields[3].startswith(str(_CENTURY // 100)) and len(fields[3]) == 4 else ""
        date_ms = _date_ms(fields[1] + fields[2] + year)
        return None if date_ms is None else self._sighting(self._last[1], date_ms + time_ms)

    def _fix(self, place: tuple[int, int], time_ms: int, date_ms: int | None) -> Sighting:
        accuracy_dm: int | None = UNKNOWN_ACCURACY_DM
        if self._dilution is not None and _apart_ms(self._dilution.of_day_ms, time_ms) <= HDOP_FOR_S * 1_000:
            accuracy_dm = self._dilution.accuracy_dm
        if accuracy_dm is None:
            return self._no_signal()
        fix = Fix(latitude_e7=place[0], longitude_e7=place[1], accuracy_dm=accuracy_dm, age_s=0)
        self._last = (time_ms, fix)
        return self._sighting(fix, None if date_ms is None else date_ms + time_ms)

    def _no_signal(self) -> Sighting:
        self._last = None
        return self._sighting(NoFix.NO_SIGNAL, None)

    def _sighting(self, fix: Fix | NoFix, utc_ms: int | None) -> Sighting:
        return Sighting(fix=fix, utc_ms=utc_ms, source=self._source)


# Fields that are looked at, whether a receiver sends them or not.
_FIELDS: Mapping[str, int] = MappingProxyType({"GGA": 8, "RMC": 12, "GLL": 7, "ZDA": 4})


def checksum(body: bytes | bytearray) -> int:
    """The exclusive or of all bytes between `$` and `*`."""
    value = 0
    for byte in body:
        value ^= byte
    return value


def _scaled(text: str, places: int) -> int | None:
    """A decimal number times 10**places, rounded up."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    fraction: str = found[2] or ""
    value = int(found[1] + fraction.ljust(places, "0"))
    beyond: int = 10 ** max(len(fraction) - places, 0)
    return -(-value // beyond)


def _place(fields: list[str]) -> tuple[int, int] | None:
    """Latitude and longitude in degrees times 10**7."""
    latitude, north, longitude, east = fields
    latitude_e7, longitude_e7 = _angle_e7(latitude, 90), _angle_e7(longitude, 180)
    if latitude_e7 is None or longitude_e7 is None or north not in {"N", "S"} or east not in {"E", "W"}:
        return None
    if latitude_e7 == longitude_e7 == 0:
        return None  # Off the coast of Ghana: a receiver's way of saying nothing.
    return (latitude_e7 if north == "N" else -latitude_e7), (longitude_e7 if east == "E" else -longitude_e7)


def _angle_e7(text: str, degrees_max: int) -> int | None:
    """Degrees and minutes written together (dddmm.mmm) as degrees times 10**7, half a unit rounded up."""
    found = _ANGLE.fullmatch(text)
    if found is None or int(found[2]) >= 60:
        return None
    fraction = found[3] or ""
    unit = 60 * 10 ** len(fraction)
    angle_e7 = int(found[1]) * 10**7 + (2 * int(found[2] + fraction) * 10**7 + unit) // (2 * unit)
    return angle_e7 if angle_e7 <= degrees_max * 10**7 else None


def _time_of_day_ms(text: str) -> int | None:
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds, fraction = found.groups(default="")
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1_000 + int(fraction.ljust(3, "0")[:3])


def _date_ms(text: str) -> int | None:
    """Midnight, from ddmmyy."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    try:
        day = datetime(_CENTURY + int(found[3]), int(found[2]), int(found[1]), tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) * 1_000


def _apart_ms(one_ms: int, other_ms: int) -> int:
    """How far two times of day are apart, across midnight too."""
    apart_ms = abs(one_ms - other_ms)
    return min(apart_ms, _DAY_MS - apart_ms)
