"""Positions from gpsd, the daemon that shares a receiver among programs: JSON lines over TCP.

Source: gpsd_json(5): WATCH, DEVICES, DEVICE, TPV. `mode` below 2 is no fix; `eph` is the radius of 95 % in metres.
"""

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import NoReturn

from device.hardware.sightings import (
    ACCURACY_MAX_DM,
    RETRY_MIN_S,
    SILENT_S,
    UNKNOWN_ACCURACY_DM,
    Patience,
    Sighting,
    Tell,
    run_for_ever,
)
from protocol.values import Fix, NoFix

PORT = 2947
SOURCE = "gpsd"
LINE_MAX_BYTES = 16_384  # gpsd keeps its own answers under 10,240.
CONNECT_MAX_S = 5.0  # It is on this machine, or one cable away.
_READ_BYTES = 4_096
_WATCH = b'?WATCH={"enable":true,"json":true};\n'
_FIX_MODES = (2, 3)
_ERROR_MAX_M = ACCURACY_MAX_DM // 20  # Half of what a record can say, for the diagonal of two.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class GpsdLines:
    """Cuts gpsd's words into lines. One that is too long is dropped as a whole, and the next is read again."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete."""
        lines = []
        *ended, begun = data.split(b"\n")
        for piece in ended:
            self._add(piece)
            if not self._too_long:
                lines.append(bytes(self._line))
            self._line.clear()
            self._too_long = False
        self._add(begun)
        return lines

    def _add(self, piece: bytes) -> None:
        if len(self._line) + len(piece) > LINE_MAX_BYTES:
            self._too_long = True
            self._line.clear()
        elif not self._too_long:
            self._line += piece


def understand(line: bytes) -> Sighting | None:
    """What one line of gpsd says about position; None for all else, and for what is no JSON."""
    try:
        told = json.loads(line, parse_float=Decimal, parse_constant=_not_json)
    except (ValueError, RecursionError, ArithmeticError):
        return None
    match told:
        case {"class": "TPV"}:
            return _tpv(told)
        case {"class": "DEVICES", "devices": []} | {"class": "DEVICE", "activated": 0}:
            return Sighting(fix=NoFix.NO_RECEIVER, source=SOURCE)
        case _:
            return None


def _tpv(told: dict[str, object]) -> Sighting:
    latitude, longitude = _number(told.get("lat"), 90), _number(told.get("lon"), 180)
    if told.get("mode") not in _FIX_MODES or latitude is None or longitude is None:
        return Sighting(fix=NoFix.NO_SIGNAL, source=SOURCE)
    fix = Fix(
        latitude_e7=round(latitude * 10**7),
        longitude_e7=round(longitude * 10**7),
        accuracy_dm=_accuracy_dm(told),
        age_s=0,
    )
    return Sighting(fix=fix, utc_ms=_utc_ms(told.get("time")), source=SOURCE)


def _accuracy_dm(told: dict[str, object]) -> int:
    """`eph`, or the diagonal of `epx` and `epy`, which older daemons send instead."""
    eph, epx, epy = (_number(told.get(name), _ERROR_MAX_M) for name in ("eph", "epx", "epy"))
    if eph is not None and eph > 0:
        error_m = eph
    elif epx is not None and epy is not None and epx > 0 and epy > 0:
        error_m = (epx**2 + epy**2).sqrt()
    else:
        return UNKNOWN_ACCURACY_DM
    return int((error_m * 10).to_integral_value(ROUND_CEILING))


def _number(value: object, most: int) -> Decimal | None:
    """A number of JSON between -most and most."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return Decimal(value) if -most <= value <= most else None


def _utc_ms(text: object) -> int | None:
    """Milliseconds of an ISO 8601 moment in UTC."""
    if not isinstance(text, str) or not text.endswith("Z"):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000


def _not_json(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


class GpsdSource:
    """A gpsd at a host and port. silent_s: after so long without a word of the receiver it is asked anew."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = PORT, *, silent_s: float = SILENT_S, retry_min_s: float = RETRY_MIN_S
    ) -> None:
        self.host = host
        self.port = port
        self._silent_s = silent_s
        self._retry_min_s = retry_min_s

    async def run(self, tell: Tell) -> None:
        """As `PositionSource.run`."""
        await run_for_ever(self._attempt, tell, SOURCE, retry_min_s=self._retry_min_s)

    async def answers(self) -> bool:
        """Whether somebody listens there."""
        try:
            async with asyncio.timeout(CONNECT_MAX_S):
                _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        await _close(writer)
        return True

    async def _attempt(self, tell: Tell) -> NoFix:
        try:
            async with asyncio.timeout(CONNECT_MAX_S):
                reader, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:  # Which a time-out is too.
            return NoFix.NO_RECEIVER
        patience = Patience(self._silent_s)
        silence = NoFix.NO_SIGNAL

        def told(sighting: Sighting) -> None:
            nonlocal silence
            # A daemon without a receiver says so once and then nothing.
            silence = NoFix.NO_RECEIVER if sighting.fix is NoFix.NO_RECEIVER else NoFix.NO_SIGNAL
            patience.heard()
            tell(sighting)

        try:
            async with patience.kept():
                writer.write(_WATCH)
                await self._listen(reader, told)
        except TimeoutError:
            return silence
        except OSError:
            return NoFix.NO_RECEIVER
        finally:
            await _close(writer)
        return NoFix.NO_RECEIVER

    async def _listen(self, reader: asyncio.StreamReader, tell: Tell) -> None:
        """Tell what is heard until the connection ends."""
        lines = GpsdLines()
        while data := await reader.read(_READ_BYTES):
            for line in lines.feed(data):
                if (sighting := understand(line)) is not None:
                    tell(sighting)
            await asyncio.sleep(0)  # A daemon that floods us leaves others their turn.


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
