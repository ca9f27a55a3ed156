"""A printer that only listens: a file, a pipe, or a device such as /dev/usb/lp0.

It never says anything, so nothing that went this way is ever known to be printed.
"""

import asyncio
import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from printer_drivers.transports import Inbox, LinkError, LinkLost, writable

# A missing device must not be made as a plain file, which would swallow papers until the next start.
_DEVICES = Path("/dev")
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class FileLink:
    """Appends to what is at `path`; a plain file is made if need be."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._is_plain = True
        self._inbox = Inbox()  # Only ever told of the end.

    async def open(self) -> None:
        """As `Link.open`. Raises LinkError: no-such-port, not-allowed, port-busy, not-a-port."""
        assert self._descriptor is None, "already open"
        try:
            self._descriptor = await asyncio.to_thread(_open, self.path)
        except (OSError, ValueError) as error:
            raise _refusal(self.path, error) from error
        self._inbox = Inbox()
        self._is_plain = stat.S_ISREG(os.fstat(self._descriptor).st_mode)

    async def close(self) -> None:
        """As `Link.close`; what was written is on the disk then, as far as the disk tells."""
        descriptor, self._descriptor = self._descriptor, None
        self._inbox.lose(f"{self.path} has been closed.")
        if descriptor is not None:
            await asyncio.to_thread(_keep, descriptor)

    async def write(self, data: bytes, timeout_s: float) -> int:
        """As `Link.write`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        offset = 0
        while True:
            taken = await self._put(data[offset:])
            offset += taken
            left_s = until - loop.time()
            if offset == len(data) or left_s <= 0:
                return offset
            if not taken and self._descriptor is not None:
                await writable(self._descriptor, left_s)

    async def urge(self, data: bytes) -> bool:
        """As `Link.urge`: as good as any other byte."""
        return await self.write(data, 0) == len(data)

    async def read(self, timeout_s: float) -> bytes:
        """As `Link.read`: there is nothing to hear, however long one waits."""
        return await self._inbox.take(timeout_s)

    async def _put(self, data: bytes) -> int:
        """How many bytes are taken now. Raises LinkLost."""
        self._inbox.check()
        assert self._descriptor is not None, "not open"
        try:
            if self._is_plain:
                return await asyncio.to_thread(os.write, self._descriptor, data)
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            sentence = f"{self.path} takes no more: {os.strerror(error.errno or 0)}."
            self._inbox.lose(sentence)
            raise LinkLost("lost", sentence) from error


def _open(path: str) -> int:
    make = 0 if _DEVICES in Path(path).absolute().parents else os.O_CREAT
    return os.open(path, _FLAGS | make, 0o666)


def _keep(descriptor: int) -> None:
    with suppress(OSError):  # Pipes and devices cannot; for a disk that fails here it is too late.
        os.fsync(descriptor)
    with suppress(OSError):
        os.close(descriptor)


def _refusal(path: str, error: OSError | ValueError) -> LinkError:
    """What opening failed with, as words that say what to do."""
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENODEV | errno.ENOTDIR:
            return LinkError("no-such-port", f"There is no {path}. Plug the printer in, or make the folder.")
        case errno.ENXIO:
            return LinkError("no-such-port", f"Nobody listens at {path}. Switch the printer on, or start the reader.")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return LinkError("not-allowed", f"This user may not write to {path}. USB printers belong to the group lp.")
        case errno.EBUSY:
            return LinkError("port-busy", f"Another program uses {path}. Close it and try again.")
        case _:
            return LinkError("not-a-port", f"{path} cannot be written to. Choose another file.")
