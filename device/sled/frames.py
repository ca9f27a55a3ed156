"""Frames on a line that loses, adds and garbles bytes: COBS, a CRC-32 inside, a zero byte before and after.

COBS (Cheshire and Baker, 1999) rather than stuffed bytes: a zero never occurs within a frame, so that whoever joins in
the middle is in step from the next zero on, and a frame grows by one byte in 254 whatever it holds. The zero before a
frame ends what noise has begun: no frame is lost to garbage that went before it.
"""

import binascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PAYLOAD_BYTES = 512  # Ten times what is said here; a board has a few dozen kilobytes to spare.
_CRC_BYTES = 4
_RUN = 254  # Bytes that one COBS block holds at most.
_MAX_FRAME_BYTES = MAX_PAYLOAD_BYTES + _CRC_BYTES + (MAX_PAYLOAD_BYTES + _CRC_BYTES) // _RUN + 1


class FrameError(ValueError):
    """A frame that was damaged on its way, or is longer than what is taken."""


def frame(payload: bytes) -> bytes:
    """What goes onto the line for a payload of 1 to MAX_PAYLOAD_BYTES bytes. Raises FrameError."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise FrameError("too long")
    crc = binascii.crc32(payload) & 0xFFFFFFFF
    return b"\0" + _stuffed(payload + crc.to_bytes(_CRC_BYTES, "big")) + b"\0"


def payload_of(stuffed: bytes) -> bytes:
    """What lies in the bytes between two zeros. Raises FrameError."""
    data = _unstuffed(stuffed)
    payload, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
    # Nothing has the CRC 0: half of a frame of zeros would pass for it.
    if not payload or binascii.crc32(payload) & 0xFFFFFFFF != int.from_bytes(crc, "big"):
        raise FrameError("damaged")
    return payload


class Deframer:
    """Payloads out of bytes as they arrive. It never holds more than the longest frame."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> "Iterator[bytes | None]":
        """Each payload that has ended; None for one that is damaged or too long."""
        for byte in data:
            if byte:
                self._keep(byte)
            elif self._held or self._too_long:
                yield self._ended()

    def _keep(self, byte: int) -> None:
        if len(self._held) < _MAX_FRAME_BYTES:
            self._held.append(byte)
        else:
            self._too_long = True

    def _ended(self) -> bytes | None:
        stuffed, too_long = bytes(self._held), self._too_long
        self._held, self._too_long = bytearray(), False
        if too_long:
            return None
        try:
            return payload_of(stuffed)
        except FrameError:
            return None


def _stuffed(data: bytes) -> bytes:
    """COBS: the same data without a zero. Each block's first byte says how far the next zero is."""
    out = bytearray()
    for run in data.split(b"\0"):
        at = 0
        while len(run) - at >= _RUN:
            out.append(_RUN + 1)
            out.extend(run[at : at + _RUN])
            at += _RUN
        out.append(len(run) - at + 1)
        out.extend(run[at:])
    return bytes(out)


def _unstuffed(stuffed: bytes) -> bytes:
    """Raises FrameError."""
    out = bytearray()
    at = 0
    while at < len(stuffed):
        length = stuffed[at]
        if length == 0 or at + length > len(stuffed):
            raise FrameError("damaged")
        out.extend(stuffed[at + 1 : at + length])
        at += length
        if length <= _RUN and at < len(stuffed):
            out.append(0)
    return bytes(out)
