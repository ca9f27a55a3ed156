"""A serial port of a modem or a receiver, in the event loop: no thread stays with it.

Opening and closing may block in the kernel for seconds (a modem that starts, a cable half out), so each has a thread of
its own while it lasts, which does not keep the program from ending.
"""

import array
import asyncio
import errno
import fcntl
import os
import termios
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from serial import Serial

from printer_drivers.transports.blocking import apart, close_late, hang_up

OPEN_MAX_S = 10.0  # USB serial drivers give up by themselves after 5 s.
_CLOSE_MAX_S = 1.0
_READ_BYTES = 4_096  # What a kernel keeps of a terminal's input at most.
_WAITING_MAX_BYTES = 65_536  # Six seconds at 115,200 baud of which nobody read a byte; the oldest go first.

_WORDS = {
    errno.ENOENT: ("no-such-port", "There is no port {path}. Plug the device in, or choose its port again."),
    errno.EACCES: (
        "not-allowed",
        "This user may not use {path}. Add the user to the group dialout: sudo usermod -aG dialout NAME. Then log in "
        "again.",
    ),
    errno.EBUSY: ("port-busy", "Another program uses {path}. Stop it, or choose another port."),
    errno.ETIMEDOUT: ("stuck", "{path} did not open in time. Unplug the device and plug it in again."),
}
_LIKE = {
    errno.ENODEV: errno.ENOENT,
    errno.ENXIO: errno.ENOENT,
    errno.ENOTDIR: errno.ENOENT,
    errno.EPERM: errno.EACCES,
    errno.EAGAIN: errno.EBUSY,
}



class TtyError(Exception):
    """A port cannot be used, or is no more. code: a word for programs; the sentence says what to do."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Tty:
    """An open port. What it hears waits here until it is read."""

    def __init__(self, path: str, port: Serial) -> None:
        self.path = path
        self._port = port
        self._descriptor = port.fileno()
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._stirred = asyncio.Event()
        self._lost = False
        asyncio.get_running_loop().add_reader(self._descriptor, self._hear)

    async def read(self) -> bytes:
        """The bytes that have arrived, at least one; waits for ever. Raises TtyError with code "lost"."""
        while not self._pieces:
            if self._lost:
                raise TtyError("lost", f"What was behind {self.path} is gone. See that its cable sits.")
            self._stirred.clear()
            await self._stirred.wait()
        data = b"".join(self._pieces)
        self.forget()
        return data

    def forget(self) -> None:
        """Drop what has arrived and was not read."""
        self._pieces.clear()
        self._waiting_bytes = 0

    def write(self, data: bytes) -> None:
        """Hand a short command to the kernel, which does not mean that anybody hears it. Raises TtyError."""
        try:
            taken = os.write(self._descriptor, data)
        except OSError as error:
            code = "stuck" if isinstance(error, BlockingIOError) else "lost"
            raise TtyError(code, f"Nothing can be sent to {self.path}. Unplug it and plug it in again.") from error
        if taken < len(data):
            raise TtyError("stuck", f"What is behind {self.path} takes no more. Unplug it and plug it in again.")

    async def close(self) -> None:
        """Give the port back. Returns within a second even if the kernel takes longer."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        port = self._port
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_MAX_S):
                await asyncio.wrap_future(apart(lambda: hang_up(port)))

    def _hear(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_BYTES)
            if not data:
                # As pyserial sets ports up, "nothing yet" and "gone" read alike; only a living port knows its queue.
                fcntl.ioctl(self._descriptor, termios.TIOCOUTQ, array.array("i", [0]))
        except BlockingIOError:
            return
        except OSError:
            asyncio.get_running_loop().remove_reader(self._descriptor)  # Else the loop would hear of it without end.
            self._lost = True
        else:
            if data:
                self._pieces.append(data)
                self._waiting_bytes += len(data)
                while self._waiting_bytes > _WAITING_MAX_BYTES:
                    self._waiting_bytes -= len(self._pieces.popleft())
        self._stirred.set()


@asynccontextmanager
async def open_tty(path: str, baud: int, *, open_max_s: float = OPEN_MAX_S) -> AsyncIterator[Tty]:
    """A port for ourselves alone. Raises TtyError: no-such-port, not-allowed, port-busy, not-a-port, stuck."""
    opening = apart(lambda: Serial(path, baud, exclusive=True, timeout=0, write_timeout=0))
    try:
        async with asyncio.timeout(open_max_s):
            port = await asyncio.wrap_future(opening)
    except (OSError, ValueError, termios.error) as error:
        opening.add_done_callback(close_late)  # Time was over, perhaps, and it ends well after all.
        raise _refusal(path, error) from error
    except asyncio.CancelledError:
        opening.add_done_callback(close_late)
        raise
    tty = Tty(path, port)
    try:
        yield tty
    finally:
        await tty.close()


def _refusal(path: str, error: OSError | ValueError | termios.error) -> TtyError:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, TimeoutError):
        number = errno.ETIMEDOUT
    number = _LIKE.get(number, number) if number is not None else None
    if number in _WORDS:
        code, words = _WORDS[number]
        return TtyError(code, words.format(path=path))
    return TtyError("not-a-port", f"{path} cannot be used as a serial port. Choose another one.")
