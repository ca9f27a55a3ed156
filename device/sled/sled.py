"""The accessory: what it says by itself, what it answers, and the loop that turns it.

Everything here is fed bytes and the time and never waits; boards differ only in `ports`.
"""

import battery
import cbor
import frames
from gnss import Gnss
from modem import Modem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ports import Board

FIRMWARE = "1.0.0"
PROTOCOL = 1  # Raised when a host that knows only the old one would misunderstand.
SIGHT_EVERY_MS = 1_000
MAX_OUTBOX_BYTES = 2_048  # Several answers. What does not fit is dropped: the host asks again.
_ID_MAX = 2**31 - 1
_UTC_MIN_MS, _UTC_MAX_MS = 1_735_689_600_000, 4_102_444_800_000  # 2025 to 2099; the rest is a clock that was never set.


class Sled:
    """The accessory on one board."""

    def __init__(self, board: "Board") -> None:
        self._board = board
        self._gnss = Gnss(board.gnss)
        self._modem = Modem(board.modem)
        self._deframer = frames.Deframer()
        self._outbox = b""
        self._sequence = 0
        self._sight_due_ms = 0
        self._host_utc_ms: int | None = None
        self._host_utc_at_ms = 0

    def turn(self, now_ms: int) -> None:
        """Hear everyone once, answer, and tell the host what is seen when it is time."""
        self._gnss.turn(now_ms)
        self._modem.turn(now_ms)
        for payload in self._deframer.feed(self._board.host.read()):
            answer = self._answer(payload, now_ms)
            # Noise is complained of when there is nothing else to say, or it would crowd out answers.
            if answer["id"] is not None or not self._outbox:
                self._say(answer)
        if now_ms >= self._sight_due_ms:
            self._sight_due_ms = now_ms + SIGHT_EVERY_MS
            # None is queued behind one that nobody took: it would be read much later, and look fresh.
            if not self._outbox:
                self._sequence = (self._sequence + 1) & _ID_MAX
                self._say(_joined({"op": "sight", "seq": self._sequence}, self._gnss.sight(now_ms)))
        if self._outbox:
            self._outbox = self._outbox[self._board.host.write(self._outbox) :]

    def _say(self, message: dict[str, object]) -> None:
        line = frames.frame(cbor.encode(message))
        if len(self._outbox) + len(line) <= MAX_OUTBOX_BYTES:
            self._outbox += line

    def _answer(self, payload: bytes | None, now_ms: int) -> dict[str, object]:
        """The reply to one frame; an error names the request if that much could be read."""
        if payload is None:
            return _error(None, "frame")
        try:
            request = cbor.decode(payload)
        except cbor.CborError:
            return _error(None, "cbor")
        number = request.get("id") if isinstance(request, dict) else None
        # True is an int as well, in Python.
        if not isinstance(request, dict) or type(number) is not int or not 0 <= number <= _ID_MAX:
            return _error(None, "request")
        op = request.get("op")
        if op == "info":
            body = self._info(now_ms)
        elif op == "imei":
            body = self._imei()
        elif op == "battery":
            body = self._battery()
        elif op == "time":
            utc_ms = request.get("utc")
            if type(utc_ms) is not int or not _UTC_MIN_MS <= utc_ms < _UTC_MAX_MS:
                return _error(number, "request")
            body = self._time(utc_ms, now_ms)
        else:
            return _error(number, "op")
        return _joined({"op": op, "id": number}, body)

    def _info(self, now_ms: int) -> dict[str, object]:
        about: dict[str, object] = {
            "protocol": PROTOCOL,
            "firmware": FIRMWARE,
            "board": self._board.name,
            "uptime": now_ms,
        }
        return _joined(_joined(about, self._imei()), self._battery())

    def _imei(self) -> dict[str, object]:
        return {"imei": self._modem.imei, "why": self._modem.why}

    def _battery(self) -> dict[str, object]:
        millivolts = battery.plausible(self._board.battery_mv())
        return {"mv": millivolts, "percent": None if millivolts is None else battery.percent(millivolts)}

    def _time(self, utc_ms: int, now_ms: int) -> dict[str, object]:
        """How far our clock is from the host's, ours minus theirs. Then theirs is ours, without satellites."""
        ours_ms, source = self._gnss.utc_ms(now_ms), "satellites"
        if ours_ms is None and self._host_utc_ms is not None:
            ours_ms, source = self._host_utc_ms + now_ms - self._host_utc_at_ms, "host"
        self._host_utc_ms, self._host_utc_at_ms = utc_ms, now_ms
        if ours_ms is None:
            return {"offset": None, "source": "none"}
        return {"offset": ours_ms - utc_ms, "source": source}


def _joined(first: dict[str, object], second: dict[str, object]) -> dict[str, object]:
    """MicroPython knows no ** in a dict display."""
    first.update(second)
    return first


def _error(number: int | None, code: str) -> dict[str, object]:
    return {"op": "error", "id": number, "code": code}


def run(board: "Board") -> None:
    """Turn until somebody at the board takes it back. What raises ends the loop, and the watchdog starts it anew."""
    sled = Sled(board)
    while not board.released():
        sled.turn(board.ticks_ms())
        board.feed()
        board.pause()
