"""The same firmware on MicroPython's Unix port, on ttys and ptys: for tests, and for a bench with USB adapters.

    micropython on_unix.py host=/dev/ttyGS0 [gnss=/dev/ttyUSB0] [modem=/dev/ttyUSB1] [battery=FILE] [watchdog=MS]

battery: a file with millivolts as text. watchdog: how long the loop may stand still before the process is killed.
"""

import _thread
import os
import select
import sys
import termios
import time

import sled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

WATCHDOG_MS = 8_000  # As on a board.
TURN_PAUSE_MS = 5
REOPEN_EVERY_MS = 200
_READ_BYTES = 256
_CC, _VMIN = 6, 6  # tcgetattr's list of special characters, and the place of VMIN in it on Linux.


class TtyPort:
    """A tty that may vanish and come back under the same path."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._poll = select.poll()
        self._retry_ms: int | None = None
        self._attach()

    def read(self) -> bytes:
        if self._events() & (select.POLLHUP | select.POLLERR):
            self._detach()
        self._attach()
        if self._file is None:
            return b""
        try:
            return self._file.read(_READ_BYTES) or b""
        except OSError:
            self._detach()
            return b""

    def write(self, data: bytes) -> int:
        """Byte by byte, each asked for: a larger write waits until all of it has room."""
        taken = 0
        try:
            while self._file is not None and taken < len(data) and self._events() == select.POLLOUT:
                self._file.write(data[taken : taken + 1])
                taken += 1
        except OSError:
            self._detach()
        # To nobody: what was meant for a host that has gone is not for the next one.
        return len(data) if self._file is None else taken

    def _events(self) -> int:
        if self._file is None:
            return 0
        found = self._poll.poll(0)
        return found[0][1] & ~select.POLLIN if found else 0

    def _attach(self) -> None:
        now_ms = time.ticks_ms()
        if self._file is not None or (
            self._retry_ms is not None and time.ticks_diff(now_ms, self._retry_ms) < REOPEN_EVERY_MS
        ):
            return
        self._retry_ms = now_ms
        try:
            file = open(self._path, "r+b")  # noqa: SIM115 -- It stays open until the tty vanishes.
        except OSError:
            return
        try:
            termios.setraw(file.fileno())
            modes = termios.tcgetattr(file.fileno())
            modes[_CC][_VMIN] = 0  # Or read(n) would wait for n bytes.
            termios.tcsetattr(file.fileno(), termios.TCSANOW, modes)
        except OSError:
            file.close()
            return
        self._file = file
        self._poll.register(file, select.POLLIN | select.POLLOUT)

    def _detach(self) -> None:
        if self._file is not None:
            self._poll.unregister(self._file)
            self._file.close()
            self._file = None


class Watchdog:
    """Kills this process when it is not fed in time: the port has no watchdog, but threads that need no turn."""

    def __init__(self, timeout_ms: int) -> None:
        with open("/proc/self/stat") as status:
            self._process = int(status.read().split()[0])
        self._timeout_ms = timeout_ms
        self._fed_ms = time.ticks_ms()
        _thread.start_new_thread(self._watch, ())

    def feed(self) -> None:
        self._fed_ms = time.ticks_ms()

    def _watch(self) -> None:
        while time.ticks_diff(time.ticks_ms(), self._fed_ms) < self._timeout_ms:
            time.sleep_ms(self._timeout_ms // 8)
        # By a shell, since this port has neither signals nor an exit that a thread could call.
        os.system(f"kill -KILL {self._process}")  # noqa: S605 -- A number; nobody else's text is in it.


class Unix:
    """As `ports.Board`."""

    name = "unix"

    def __init__(self, wiring: dict[str, str]) -> None:
        self.host = TtyPort(wiring["host"])
        self.gnss = TtyPort(wiring["gnss"]) if "gnss" in wiring else None
        self.modem = TtyPort(wiring["modem"]) if "modem" in wiring else None
        self._battery = wiring.get("battery")
        self._started_ms = time.ticks_ms()
        self._watchdog = Watchdog(int(wiring.get("watchdog", WATCHDOG_MS)))

    def battery_mv(self) -> int | None:
        if self._battery is None:
            return None
        try:
            with open(self._battery) as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    def feed(self) -> None:
        self._watchdog.feed()

    def released(self) -> bool:
        return False

    def ticks_ms(self) -> int:
        """This port's counter has 62 bits."""
        return time.ticks_diff(time.ticks_ms(), self._started_ms)

    def pause(self) -> None:
        time.sleep_ms(TURN_PAUSE_MS)


if __name__ == "__main__":
    sled.run(Unix(dict([argument.split("=", 1) for argument in sys.argv[1:]])))
