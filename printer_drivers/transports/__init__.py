"""Links to printers: bytes out, bytes back, and errors that say what to do.

A link knows nothing of papers and nothing of ESC/POS. What it has taken is not printed, not even sent: it may lie in a
kernel, a radio or the printer's own buffer. Only the printer's answer to a fence proves more.
"""

import asyncio
from contextlib import suppress
from typing import Protocol, assert_never

from printer_drivers.profiles import Flow, Profile
from printer_drivers.transports.address import PrinterAddress, Way

# What a printer says that nobody reads. A job hears a few hundred bytes; what chatters beyond this is no reply.
_HEARD_MAX_BYTES = 64 * 1024


class LinkError(Exception):
    """A link that cannot be had. reason: a short code for programs; sentence: what a person can do about it."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(reason, sentence)
        self.reason = reason
        self.sentence = sentence

    def __str__(self) -> str:
        return f"{self.reason}: {self.sentence}"


class LinkLost(LinkError):
    """The link was there and is gone; what it had taken may or may not have arrived."""


class Link(Protocol):
    """A two-way byte link to one printer. One user at a time, who may open it again after closing it."""

    async def open(self) -> None:
        """Connect, within seconds. Raises LinkError."""

    async def close(self) -> None:
        """Hang up, dropping what has not left: nothing may print later by itself. Idempotent; raises no LinkError."""

    async def write(self, data: bytes, timeout_s: float) -> int:
        """How many bytes, from the start of `data` and in order, the link has taken within the time.

        Fewer, even 0, means that it is holding back: the caller offers the rest again. 0 seconds try once. Taken does
        not mean printed. Raises LinkLost.
        """

    async def urge(self, data: bytes) -> bool:
        """Send a short real-time command past a write that is held back; False where the link cannot now.

        True does not mean that the printer has seen it. Raises LinkLost.
        """

    async def read(self, timeout_s: float) -> bytes:
        """What the printer has said since the last time, waiting so long for the first byte; b"" if nothing.

        0 seconds do not wait. Raises LinkLost, once all that came before the loss has been handed out.
        """


class Inbox:
    """What a printer has said and nobody has read yet, and whether it can say any more."""

    def __init__(self) -> None:
        self._heard = bytearray()
        self._sentence: str | None = None
        self._changed = asyncio.Event()

    def put(self, data: bytes) -> None:
        """Keep what was heard; of too much, the newest."""
        self._heard += data
        del self._heard[:-_HEARD_MAX_BYTES]
        self._changed.set()

    def lose(self, sentence: str) -> None:
        """The link is gone. The first sentence that says why is kept."""
        if self._sentence is None:
            self._sentence = sentence
        self._changed.set()

    def check(self) -> None:
        """Raise LinkLost when the link is gone."""
        if self._sentence is not None:
            raise LinkLost("lost", self._sentence)

    async def take(self, timeout_s: float) -> bytes:
        """As `Link.read`."""
        if not self._heard and self._sentence is None and timeout_s > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
        if not self._heard:
            self.check()
        heard = bytes(self._heard)
        self._heard.clear()
        return heard


async def writable(descriptor: int, timeout_s: float) -> None:
    """Wait until the kernel would take a byte, or the device is gone, or the time is over."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(descriptor, ready.set)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await ready.wait()
    finally:
        loop.remove_writer(descriptor)


def open_link(address: PrinterAddress, profile: Profile) -> Link:
    """The link to an address, not opened yet. What the address says of speed and flow control goes before the profile.

    Each kind of link is loaded when it is asked for: Bluetooth alone takes a third of a second.
    """
    match address.scheme:
        case Way.SERIAL:
            from printer_drivers.transports.serial_port import SerialLink  # noqa: PLC0415 -- See above.

            baud = int(address.options.get("baud", profile.serial.baud))
            flow = Flow(address.options.get("flow", profile.serial.flow))
            return SerialLink(address.place, baud=baud, flow=flow)
        case Way.BLE:
            from printer_drivers.transports.ble import BleLink  # noqa: PLC0415 -- See above.

            return BleLink(address.place, profile)
        case Way.FILE:
            from printer_drivers.transports.file import FileLink  # noqa: PLC0415 -- See above.

            return FileLink(address.place)
        case Way.MEMORY:
            from printer_drivers.transports.memory import MemoryLink  # noqa: PLC0415 -- See above.

            return MemoryLink(address.place)
        case _:
            assert_never(address.scheme)
