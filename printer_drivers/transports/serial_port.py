"""A printer on a serial port: RS-232, USB adapters, and classic Bluetooth as /dev/rfcomm0.

pyserial sets the port up; its descriptor then lives in the event loop. No thread stays with a printer: opening and
closing, which kernels may delay for seconds, have one of their own while they last.
"""

import array
import asyncio
import errno
import fcntl
import os
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from serial import Serial
from serial.tools import list_ports

from printer_drivers.profiles import Flow
from printer_drivers.transports import Inbox, LinkError, LinkLost, writable
from printer_drivers.transports.blocking import apart, close_late, hang_up

OPEN_MAX_S = 10.0  # A Bluetooth page of a printer that is off ends after 5.12 s; a busy radio needs a second one.
_CLOSE_MAX_S = 1.0  # A kernel may wait 30 s for a stopped printer. It may do so without us.
# The kernel's queue is kept this short, so that a question in real time is answered within half a second.
_QUEUE_S = 0.1
_QUEUE_MIN_BYTES = 64  # At 1200 baud; one packet of a USB adapter.
_URGE_MAX_S = 0.25  # By then a queue that moves is empty; a longer wait would hide that it is held.
_PAUSE_MIN_S, _PAUSE_MAX_S = 0.005, 0.05  # Between looks at a queue that is full; it has no event to wait for.
_READ_BYTES = 4096  # What a kernel keeps of a terminal's input at most.
_BITS_PER_BYTE = 10  # Start, eight of data, stop.

_MISSING = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR})
_DENIED = frozenset({errno.EACCES, errno.EPERM})
_BUSY = frozenset({errno.EBUSY, errno.EAGAIN})
_AWAY = frozenset({errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET})


DEVICES = Path("/dev")


def ports(devices: Path = DEVICES) -> list[tuple[str, str]]:
    """Paths of ports that a printer may stand behind, each with what the kernel calls it; classic Bluetooth too."""
    found = {port.device: str(port) for port in list_ports.comports()}
    for path in map(str, devices.glob("rfcomm*")):
        found[path] = f"{path} - Bluetooth"
    return sorted(found.items())


def _pyserial(path: str, baud: int, flow: Flow) -> Serial:
    """Open a port for ourselves alone."""
    port = Serial(path, baud, exclusive=True, timeout=0, write_timeout=0, rtscts=flow is Flow.RTS_CTS)
    # Turned on after the port is open without it: that starts output which an XOFF of an earlier user has stopped,
    # and whose XON went to nobody.
    port.xonxoff = flow is Flow.XON_XOFF
    return port


def _out_waiting(descriptor: int) -> int:
    """Bytes in the kernel's output queue. Pseudo-terminals always say 0. Raises OSError when the device is gone."""
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.TIOCOUTQ, count)
    return count[0]


class SerialLink:
    """A printer behind the port at `path`. baud and flow as the printer is set.

    open_port, out_waiting: how the port is opened and how many bytes wait in its kernel queue, where that is not a
    matter of pyserial and a real port. open_max_s: how long opening may take.
    """

    def __init__(
        self,
        path: str,
        *,
        baud: int,
        flow: Flow,
        open_port: Callable[[str, int, Flow], Serial] = _pyserial,
        out_waiting: Callable[[int], int] = _out_waiting,
        open_max_s: float = OPEN_MAX_S,
    ) -> None:
        self.path = path
        self.baud = baud
        self.flow = flow
        self._open_port = open_port
        self._out_waiting = out_waiting
        self._open_max_s = open_max_s
        self._queue_bytes = max(_QUEUE_MIN_BYTES, int(baud / _BITS_PER_BYTE * _QUEUE_S))
        self._port: Serial | None = None
        self._descriptor = -1
        self._inbox = Inbox()
        self._urgent = b""  # What is left of a command that the kernel took a part of: it goes first.

    async def open(self) -> None:
        """As `Link.open`. Raises LinkError: no-such-port, not-allowed, port-busy, not-a-port, not-found."""
        assert self._port is None, "already open"
        opening = apart(lambda: self._open_port(self.path, self.baud, self.flow))
        try:
            async with asyncio.timeout(self._open_max_s):
                port = await asyncio.wrap_future(opening)
        except (OSError, ValueError, termios.error) as error:
            opening.add_done_callback(close_late)  # Time was over, perhaps, and it ends well after all.
            raise _refusal(self.path, error) from error
        except asyncio.CancelledError:
            opening.add_done_callback(close_late)
            raise
        self._port, self._descriptor = port, port.fileno()
        self._inbox = Inbox()
        self._urgent = b""
        asyncio.get_running_loop().add_reader(self._descriptor, self._hear)

    async def close(self) -> None:
        """As `Link.close`. Returns within a second even if the kernel takes longer."""
        port, self._port = self._port, None
        if port is None:
            return
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self._inbox.lose(f"{self.path} has been closed.")
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_MAX_S):
                await asyncio.wrap_future(apart(lambda: hang_up(port)))

    async def write(self, data: bytes, timeout_s: float) -> int:
        """As `Link.write`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        offset, pause_s = 0, _PAUSE_MIN_S
        while True:
            room = self._queue_bytes - self._waiting()
            taken = self._put(data[offset : offset + room]) if room > 0 else 0
            offset += taken
            await asyncio.sleep(0)  # Others have their turn, and what was heard is noticed.
            left_s = until - loop.time()
            if offset == len(data) or left_s <= 0:
                return offset
            if taken:
                pause_s = _PAUSE_MIN_S
            elif room > 0:
                await writable(self._descriptor, left_s)
            else:
                await asyncio.sleep(min(pause_s, left_s))
                pause_s = min(2 * pause_s, _PAUSE_MAX_S)

    async def urge(self, data: bytes) -> bool:
        """As `Link.urge`: only behind an empty queue, since nothing overtakes what is in one."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _URGE_MAX_S
        while self._waiting():
            if loop.time() >= until:
                return False
            await asyncio.sleep(_PAUSE_MIN_S)
        taken = self._put(data)
        if taken:
            self._urgent = data[taken:]
        await asyncio.sleep(0)
        return taken > 0

    async def read(self, timeout_s: float) -> bytes:
        """As `Link.read`."""
        if self._port is not None:
            self._hear()
        return await self._inbox.take(timeout_s)

    def _put(self, data: bytes) -> int:
        """How many bytes the kernel takes now. Raises LinkLost."""
        if self._urgent:
            self._urgent = self._urgent[self._put_now(self._urgent) :]
            if self._urgent:
                return 0
        return self._put_now(data)

    def _put_now(self, data: bytes) -> int:
        self._inbox.check()
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost() from error

    def _waiting(self) -> int:
        """Bytes that wait in the kernel. Raises LinkLost."""
        self._inbox.check()
        assert self._port is not None, "not open"
        try:
            return self._out_waiting(self._descriptor)
        except OSError as error:
            raise self._lost() from error

    def _hear(self) -> None:
        """Take in what has arrived, or notice that the device is gone."""
        try:
            data = os.read(self._descriptor, _READ_BYTES)
            if not data:
                # Nothing to read looks like this too, as pyserial sets ports up; one that is gone knows no queue.
                self._out_waiting(self._descriptor)
        except BlockingIOError:
            return
        except OSError:
            # Else the loop would be told of the hang-up forever.
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._lost()
        else:
            if data:
                self._inbox.put(data)

    def _lost(self) -> LinkLost:
        """Note that the device is gone; the error that says so."""
        sentence = f"The printer behind {self.path} is gone. See that it is on and its cable sits, or that it is near."
        self._inbox.lose(sentence)
        return LinkLost("lost", sentence)


def _refusal(path: str, error: OSError | ValueError | termios.error) -> LinkError:
    """What opening failed with, as words that say what to do."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, TimeoutError) or number in _AWAY:
        return LinkError("not-found", f"No printer answers behind {path}. Switch it on, bring it near and try again.")
    if number in _MISSING:
        return LinkError("no-such-port", f"There is no port {path}. Plug the printer in, or choose its port again.")
    if number in _DENIED:
        return LinkError(
            "not-allowed",
            f"This user may not use {path}. Add the user to the group dialout: sudo usermod -aG dialout NAME. Then log "
            "in again.",
        )
    if number in _BUSY:
        return LinkError("port-busy", f"Another program uses {path}. Close it and try again.")
    return LinkError("not-a-port", f"{path} cannot be used as a serial port. Choose the printer's port again.")
