"""The modem, asked for one thing: its IMEI. One command in flight; a modem that never answers costs nobody a wait."""

from lines import Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ports import Port

ANSWER_MAX_MS = 3_000  # 3GPP TS 27.007 sets no limit here; modems answer within 300 ms.
# A modem needs up to half a minute from power to its first answer; later it is not disturbed more than once a minute.
PAUSE_MIN_MS, PAUSE_MAX_MS = 2_000, 60_000
IMEI_DIGITS = 15
# Without echo, where the modem obeys. CGSN=1 first: on some modems the bare one gives a serial number of the maker's.
_COMMANDS = (b"ATE0", b"AT+CGSN=1", b"AT+CGSN")
ASKING, SILENT, REFUSED, NO_MODEM = "asking", "modem-silent", "modem-refused", "no-modem"


class Modem:
    """The modem on `port`.

    imei: fifteen digits as the modem said them, kept until the board restarts; the host proves the check digit.
    why: while there is none, ASKING, SILENT, REFUSED or NO_MODEM.
    """

    def __init__(self, port: "Port | None") -> None:
        self.imei: str | None = None
        self.why: str | None = NO_MODEM if port is None else ASKING
        self._port = port
        self._lines = Lines()
        self._step: int | None = None  # Which command is in flight.
        self._due_ms = 0  # When its answer is late; between rounds, when the next begins.
        self._pause_ms = PAUSE_MIN_MS

    def turn(self, now_ms: int) -> None:
        """Take in what has arrived, and ask when it is time. Once the IMEI is known, the modem is left alone."""
        if self._port is None:
            return
        for line in self._lines.feed(self._port.read()):
            self._hear(line, now_ms)
        if self.imei is not None or now_ms < self._due_ms:
            return
        if self._step is None:
            self._ask(0, now_ms)
        else:
            self._rest(SILENT, now_ms)

    def _hear(self, line: bytes, now_ms: int) -> None:
        """One line: a final code, the IMEI, or what else a modem says: its echo and its news are passed over."""
        if self._step is None or self.imei is not None:
            return
        if line in (b"OK", b"ERROR") or line.startswith(b"+CME ERROR"):
            if self._step + 1 < len(_COMMANDS):
                self._ask(self._step + 1, now_ms)
            else:
                self._rest(REFUSED, now_ms)
        elif self._step > 0:
            self.imei = _imei(line)
            if self.imei is not None:
                self._step, self.why = None, None

    def _ask(self, step: int, now_ms: int) -> None:
        assert self._port is not None
        self._step, self._due_ms = step, now_ms + ANSWER_MAX_MS
        # A command that was cut in two gets no answer and comes again with the next round.
        self._port.write(_COMMANDS[step] + b"\r")

    def _rest(self, why: str, now_ms: int) -> None:
        self._step, self.why = None, why
        self._due_ms = now_ms + self._pause_ms
        self._pause_ms = min(2 * self._pause_ms, PAUSE_MAX_MS)


def _imei(line: bytes) -> str | None:
    """The IMEI of a line `123...`, `+CGSN: 123...` or `+CGSN: "123..."`."""
    if line.startswith(b"+CGSN:"):
        line = line[6:].strip().strip(b'"')
    return line.decode() if len(line) == IMEI_DIGITS and line.isdigit() else None
