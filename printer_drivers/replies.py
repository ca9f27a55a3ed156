"""What a printer says, told apart by its bits and never by its place in a queue.

A status byte can come unasked: a printer answers `DLE EOT` also where an image happens to hold those bytes, and reports
changes by itself when that is switched on. So every byte is read for what it is:

    0xx1xx10                    answer to DLE EOT n, real time
    0xx1xx00 and three 0xx0xxxx automatic status (GS a)
    0xx0xxxx                    answer to GS r n, in order of execution
    37 22 d1 d2 d3 d4 00        GS ( H, function 48: what came before has been printed
    5F text 00                  GS I n: maker, model, firmware
    11, 13                      XON, XOFF

Sources: Citizen CT-S310 command manual p. 310 (how to tell them apart); Epson ESC/POS reference, DLE EOT, GS a, GS r,
GS ( H, GS I.
"""

from dataclasses import dataclass
from typing import NamedTuple

_REALTIME_MASK, _REALTIME, _AUTOMATIC = 0x93, 0x12, 0x10
_ORDERED_MASK = 0x90
_DONE, _DONE_FUNCTION = 0x37, 0x22
_IDENTITY = 0x5F
_XON, _XOFF = 0x11, 0x13
_DONE_BYTES = 7
# Epson's longest identity is below 80; a block that never ends must not swallow all that follows.
_BLOCK_BYTES_MAX = 96


class RealTime(NamedTuple):
    """The answer to one DLE EOT n. Which n it answers only the asker knows."""

    status: int


class AutoStatus(NamedTuple):
    """The four bytes of an automatic status."""

    status: bytes


class Ordered(NamedTuple):
    """The answer to GS r, given when everything before it had been executed."""

    status: int


class JobDone(NamedTuple):
    """The answer to GS ( H, function 48, with the four bytes that were asked with."""

    fence: bytes


class Identity(NamedTuple):
    """The answer to GS I for the texts (65 and above)."""

    text: str


class FlowByte(NamedTuple):
    """XON or XOFF that nobody below us has eaten."""

    go_on: bool


class Stray(NamedTuple):
    """Bytes that fit nothing."""

    data: bytes


Reply = RealTime | AutoStatus | Ordered | JobDone | Identity | FlowByte | Stray


class Demultiplexer:
    """Bytes in, replies out, however the link splits or joins them."""

    def __init__(self) -> None:
        self._block = bytearray()
        self._automatic = bytearray()

    def feed(self, data: bytes) -> tuple[Reply, ...]:
        """The replies that these bytes complete, in the order in which they end."""
        replies: list[Reply] = []
        for byte in data:
            replies += self._block_byte(byte) if self._block else self._byte(byte)
        return tuple(replies)

    def reset(self) -> None:
        """Forget what was begun: the link is a new one."""
        self._block.clear()
        self._automatic.clear()

    def _byte(self, byte: int) -> tuple[Reply, ...]:
        if byte & _REALTIME_MASK == _REALTIME:
            # Also in the middle of an automatic status: the printer is free to answer in real time.
            return (RealTime(byte),)
        if byte in (_XON, _XOFF):
            return (FlowByte(byte == _XON),)
        if byte & _ORDERED_MASK == 0:
            if not self._automatic:
                return (Ordered(byte),)
            self._automatic.append(byte)
            if len(self._automatic) < 4:
                return ()
            return (AutoStatus(self._taken(self._automatic)),)
        broken = (Stray(self._taken(self._automatic)),) if self._automatic else ()
        if byte & _REALTIME_MASK == _AUTOMATIC:
            self._automatic.append(byte)
            return broken
        if byte in (_DONE, _IDENTITY):
            self._block.append(byte)
            return broken
        return (*broken, Stray(bytes((byte,))))

    def _block_byte(self, byte: int) -> tuple[Reply, ...]:
        block = self._block
        block.append(byte)
        if block[0] == _DONE:
            if len(block) == 2 and byte != _DONE_FUNCTION:
                block.pop()
                return (Stray(self._taken(block)), *self.feed(bytes((byte,))))
            if len(block) < _DONE_BYTES:
                return ()
            done = self._taken(block)
            return (JobDone(done[2:6]),) if byte == 0 else (Stray(done),)
        if byte == 0:
            return (Identity(self._taken(block)[1:-1].decode("ascii", "replace")),)
        return (Stray(self._taken(block)),) if len(block) == _BLOCK_BYTES_MAX else ()

    @staticmethod
    def _taken(buffer: bytearray) -> bytes:
        taken = bytes(buffer)
        buffer.clear()
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class PrinterState:
    """How the printer is. near_end and low_battery are False also where a printer cannot tell."""

    offline: bool = False
    cover_open: bool = False
    paper_out: bool = False
    near_end: bool = False
    low_battery: bool = False
    error: bool = False
    head_hot: bool = False

    @property
    def trouble(self) -> str | None:
        """Why it prints nothing now, as a short code; the cause that a hand can mend comes first."""
        if self.cover_open:
            return "cover-open"
        if self.paper_out:
            return "paper-out"
        if self.head_hot:
            return "head-hot"
        if self.error:
            return "printer-error"
        if self.low_battery and self.offline:
            return "low-battery"
        return "printer-offline" if self.offline else None


def state_of_round(printer: int, cause: int, paper: int, error: int = 0) -> PrinterState:
    """The state from the answers to DLE EOT 1, 2 and 4, and to 3 where 2 spoke of an error."""
    return PrinterState(
        offline=bool(printer & 0x08),
        cover_open=bool(cause & 0x04),
        paper_out=bool(cause & 0x20 or paper & 0x60),
        near_end=bool(paper & 0x0C),
        error=bool(cause & 0x40),
        head_hot=bool(error & 0x40),
    )


def state_of_auto(status: bytes) -> PrinterState:
    """The state from the four bytes of an automatic status.

    Bit 2 of the first byte is a drawer on counter printers, fixed on some and the battery on Epson's mobile ones: it
    counts as the battery only together with offline and without another cause.
    """
    first, second, third = status[0], status[1], status[2]
    offline = bool(first & 0x08)
    return PrinterState(
        offline=offline,
        cover_open=bool(first & 0x20),
        paper_out=bool(third & 0x0C),
        near_end=bool(third & 0x03),
        low_battery=offline and bool(first & 0x04),
        error=bool(second & 0x28),
        head_hot=bool(second & 0x40),
    )
