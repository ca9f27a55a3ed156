"""Lines of text out of bytes as they arrive, from receivers and modems that may break off anywhere."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE_BYTES = 128  # NMEA 0183 has 82, some receivers a few more; what a modem says of itself has fewer.
_ENDS = b"\r\n"


class Lines:
    """Cuts at CR and LF. Empty lines are left out; one that is too long is dropped whole."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> "Iterator[bytes]":
        """Each line that has ended, without its end."""
        for byte in data:
            if byte not in _ENDS:
                if len(self._held) <= MAX_LINE_BYTES:  # One more than is taken marks it as too long.
                    self._held.append(byte)
            elif self._held:
                line = bytes(self._held)
                self._held = bytearray()
                if len(line) <= MAX_LINE_BYTES:
                    yield line
