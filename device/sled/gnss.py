"""The satellite receiver: where we are and what time it is, or why not."""

import nmea
from lines import Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ports import Port

SILENT_AFTER_MS = 5_000  # Receivers speak every second; one that misses five has stalled, or its wire is off.
FIX_MAX_AGE_MS = 3_000  # Three sentences; a collector walks four metres meanwhile.
TIME_MAX_AGE_MS = 60_000  # Satellites come and go between houses; a board's crystal loses 3 ms a minute.
RANGE_ERROR_DM = 50  # Five metres at HDOP 1: what a small receiver achieves in the open.
_HDOP_MAX_E2 = 5_000  # Receivers write 99.99 or 500.0 for "I do not know".
# NMEA 0183, GGA quality: 1 GPS, 2 differential, 3 PPS, 4 and 5 RTK. 6 to 8 are guessed, typed in or simulated.
_MEASURED = (1, 2, 3, 4, 5)
_NO_RECEIVER, _NO_SIGNAL = "no-receiver", "no-signal"


class Gnss:
    """What the receiver on `port` says. It is never waited for, and never asked."""

    def __init__(self, port: "Port | None") -> None:
        self._port = port
        self._lines = Lines()
        self._heard_ms: int | None = None
        self._fix: dict[str, object] | None = None
        self._fix_ms = 0
        self._utc_ms: int | None = None
        self._utc_at_ms = 0

    def turn(self, now_ms: int) -> None:
        """Take in what has arrived."""
        if self._port is None:
            return
        for line in self._lines.feed(self._port.read()):
            fields = nmea.fields(line)
            if fields is None:
                continue
            self._heard_ms = now_ms
            # Any talker: GP, GN, GB, GL, GA... Proprietary sentences begin with P and end otherwise.
            if fields[0][-3:] == b"GGA":
                self._position(fields, now_ms)
            elif fields[0][-3:] == b"RMC":
                self._time(fields, now_ms)

    def sight(self, now_ms: int) -> dict[str, object]:
        """The fields of a `sight` message."""
        fix = self._fix if now_ms - self._fix_ms <= FIX_MAX_AGE_MS else None
        why = None
        if fix is None:
            spoke = self._heard_ms is not None and now_ms - self._heard_ms <= SILENT_AFTER_MS
            why = _NO_SIGNAL if spoke else _NO_RECEIVER
        return {"fix": fix, "why": why, "utc": self.utc_ms(now_ms)}

    def utc_ms(self, now_ms: int) -> int | None:
        """The satellites' time, as far as it is still known."""
        age_ms = now_ms - self._utc_at_ms
        return self._utc_ms + age_ms if self._utc_ms is not None and age_ms <= TIME_MAX_AGE_MS else None

    def _position(self, fields: list[bytes], now_ms: int) -> None:
        """$--GGA,time,lat,N,lon,E,quality,satellites,hdop,..."""
        if len(fields) < 9:
            return
        latitude_e7 = nmea.degrees_e7(fields[2], b"NS", fields[3])
        longitude_e7 = nmea.degrees_e7(fields[4], b"EW", fields[5])
        quality, hdop_e2 = nmea.number(fields[6]), nmea.decimal(fields[8], 2)
        self._fix, self._fix_ms = None, now_ms
        if latitude_e7 is None or longitude_e7 is None or hdop_e2 is None:
            return
        if quality in _MEASURED and 0 < hdop_e2 <= _HDOP_MAX_E2:
            self._fix = {
                "lat": latitude_e7,
                "lon": longitude_e7,
                "acc": (hdop_e2 * RANGE_ERROR_DM + 99) // 100,
                "sats": nmea.number(fields[7]) or 0,
                "quality": quality,
            }

    def _time(self, fields: list[bytes], now_ms: int) -> None:
        """$--RMC,time,status,lat,N,lon,E,knots,course,date,... With status V it is a clock of the receiver's own."""
        if len(fields) < 10 or fields[2] != b"A":
            return
        utc_ms = nmea.utc_ms(fields[1], fields[9])
        if utc_ms is not None:
            self._utc_ms, self._utc_at_ms = utc_ms, now_ms
