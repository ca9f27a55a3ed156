"""A serial line to a simulated printer: a pseudo-terminal with a baud rate and a printer's flow control.

What waits in the pseudo-terminal stands for what waits in the host's own queue: it leaves at the pace of the line, an
XOFF holds it there, and a host that drops its output, or hangs up, takes it back.
"""

import array
import asyncio
import fcntl
import os
import pty
import select
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

# Epson printers stop the host when 128 bytes are left and let it go on at 256.
_STOP_BELOW_BYTES, _GO_ON_FROM_BYTES = 128, 256
_XON, _XOFF = b"\x11", b"\x13"
_BITS_PER_BYTE = 10  # Start, eight of data, stop.
_FIFO_BYTES = 16  # Bytes that a host's chip sends on its own once it has them.
_STEPS_PER_S = 200  # A fast line is carried in so many steps; finer ones would only be sleeping badly.
_AT_ONCE_BYTES = 4096  # On a line without a baud rate.
_POLL_S = 0.002  # While the host is stopped, the printer's room is looked at so often.


class Printer(Protocol):
    """What stands at the far end; `simulator.printer.PrinterModel` is one.

    room: bytes it can take now. force: takes all, and loses what finds no room. on_drop: called when the line falls.
    """

    on_drop: Callable[[], None]

    @property
    def room(self) -> int: ...
    def force(self, data: bytes) -> None: ...
    def attach(self, said: Callable[[bytes], None]) -> None: ...


class SerialLine:
    """The line to one printer, an async context manager.

    baud: pace of what the host sends, None for no limit. xonxoff: the printer stops the host when its buffer is nearly
    full; without it, or with a host that does not listen for that, what finds no room is lost.
    name: a symbolic link that is kept to the port, for a port that is called the same when it is plugged in again.
    path: what a host opens.
    """

    def __init__(
        self, model: Printer, baud: int | None = None, xonxoff: bool = False, *, name: Path | None = None
    ) -> None:
        self.path = ""
        self.xonxoff = xonxoff
        self._model = model
        self._baud = baud
        self._name = name
        self._step_bytes = _AT_ONCE_BYTES if baud is None else max(_FIFO_BYTES, baud // _BITS_PER_BYTE // _STEPS_PER_S)
        self._room_max = 0
        self._held = False
        self._free_at = 0.0
        self._line = self._host = -1
        self._news: select.epoll | None = None
        self._stirred = asyncio.Event()
        self._carrying: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.plug_in()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.drop()
        assert self._carrying is not None
        await self._carrying
        if self._name is not None:
            self._name.unlink(missing_ok=True)

    @property
    def is_up(self) -> bool:
        """Whether the port exists."""
        return self._line >= 0

    def plug_in(self) -> None:
        """Let the port appear, at the start or after a drop."""
        assert not self.is_up
        self._line, self._host = pty.openpty()
        tty.setraw(self._host)
        os.set_blocking(self._line, False)
        # In packet mode this end is told when the host drops its output, as a chip that empties its queue is. The news
        # come past the data; a descriptor of their own tells them from bytes that have to wait.
        fcntl.ioctl(self._line, termios.TIOCPKT, array.array("i", [1]))
        self._news = select.epoll()
        self._news.register(self._line, select.EPOLLPRI)
        asyncio.get_running_loop().add_reader(self._news, self._hear_news)
        self.path = os.ttyname(self._host)
        if self._name is not None:
            self._name.unlink(missing_ok=True)
            self._name.symlink_to(self.path)
            self.path = str(self._name)
        self._held = False
        self._model.attach(self._say)
        self._model.on_drop = self.drop
        self._carrying = asyncio.create_task(self._carry(self._line))

    def drop(self) -> None:
        """Pull the plug: the host's port is gone, with all that was on its way."""
        if not self.is_up:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._line)
        assert self._news is not None
        loop.remove_reader(self._news)
        self._news.close()
        line, host, self._line, self._host = self._line, self._host, -1, -1
        os.close(host)
        os.close(line)
        self._stirred.set()

    def _say(self, data: bytes) -> None:
        with suppress(BlockingIOError):  # A host that does not read loses what does not fit.
            if self.is_up:
                os.write(self._line, data)

    async def _carry(self, line: int) -> None:
        """Carry what the host sends, until the line falls."""
        while self._line == line:
            if self._held:
                await asyncio.sleep(_POLL_S)
            else:
                await self._something_to_read()
            if self._line != line:
                return
            self._mind_the_room()
            data = b"" if self._held else self._next_bytes()
            if data:
                await self._pace(len(data))
                if self._line == line:
                    self._deliver(data)

    async def _something_to_read(self) -> None:
        loop = asyncio.get_running_loop()
        self._stirred.clear()
        loop.add_reader(self._line, self._stirred.set)
        await self._stirred.wait()
        if self.is_up:
            loop.remove_reader(self._line)

    def _hear_news(self) -> None:
        with suppress(BlockingIOError):
            self._take_back(os.read(self._line, 1)[0])

    def _take_back(self, news: int) -> None:
        """What the host has dropped is not carried any more. The kernel has forgotten the most of it by itself."""
        if news & termios.TIOCPKT_FLUSHWRITE:
            termios.tcflush(self._line, termios.TCIFLUSH)

    def _next_bytes(self) -> bytes:
        """What the line carries next; never more than the printer has room for if it can stop the host."""
        most = min(self._step_bytes, max(self._model.room, 1)) if self._obeyed else self._step_bytes
        try:
            packet = os.read(self._line, 1 + most)
        except BlockingIOError:
            return b""
        self._take_back(packet[0])
        return packet[1:]

    async def _pace(self, count: int) -> None:
        if self._baud is None:
            return
        now = asyncio.get_running_loop().time()
        # A sleep that lasted too long is made up for, as far as one step.
        self._free_at = max(now - 1 / _STEPS_PER_S, self._free_at) + count * _BITS_PER_BYTE / self._baud
        await asyncio.sleep(max(self._free_at - now, 0))

    def _deliver(self, data: bytes) -> None:
        self._model.force(data)
        if self.is_up:  # The printer may have let it fall.
            self._mind_the_room()

    @property
    def _obeyed(self) -> bool:
        """Whether an XOFF would stop the host."""
        return self.xonxoff and bool(termios.tcgetattr(self._host)[0] & termios.IXON)

    def _mind_the_room(self) -> None:
        """Stop the host, or let it go on."""
        room = self._model.room
        self._room_max = max(self._room_max, room)
        if not self._obeyed:
            self._held = False
        elif not self._held and room < min(_STOP_BELOW_BYTES, self._room_max // 4):
            self._held = True
            self._say(_XOFF)
        elif self._held and room >= min(_GO_ON_FROM_BYTES, self._room_max // 2):
            self._held = False
            self._say(_XON)
