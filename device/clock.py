"""What time it is: the one place where a handheld reads its clocks.

The core is handed an `Instant`; nothing else asks. With GHITHU_CLOCK_FILE set, a simulator moves the wall clock.
"""

import os
import sys
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from protocol.values import Instant

CLOCK_FILE_VARIABLE = "GHITHU_CLOCK_FILE"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Gives the instant at which something is decided. The wall clock may be wrong and may jump; the other may not."""

    def now(self) -> Instant: ...


class SystemClock:
    """The machine's own clocks."""

    def __init__(self) -> None:
        # Eight bytes of a digest: a record tells two starts of a machine apart and names neither of them.
        self._boot = sha256(BOOT_ID.read_bytes().strip()).digest()[:8]

    def now(self) -> Instant:
        return Instant(wall_ms=time.time_ns() // 1_000_000, up_ms=_up_ms(), boot=self._boot)


class FileClock:
    """Simulated wall time: a whole number of milliseconds in a file that someone else moves. The rest is real."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._system = SystemClock()
        self._wall_ms = int(path.read_text(encoding="ascii"))

    def now(self) -> Instant:
        # Whoever writes without renaming leaves the file empty for a moment; simulated time stands still then.
        if text := self._path.read_text(encoding="ascii").strip():
            self._wall_ms = int(text)
        real = self._system.now()
        return Instant(wall_ms=self._wall_ms, up_ms=real.up_ms, boot=real.boot)


def clock_for(environment: Mapping[str, str] = os.environ) -> Clock:
    """The clock this process shall believe. Says so on stderr when that is not the machine's."""
    name = environment.get(CLOCK_FILE_VARIABLE)
    if not name:
        return SystemClock()
    sys.stderr.write(f"Time is simulated: it is read from {name}.\n")
    return FileClock(Path(name))


def _up_ms() -> int:
    """Milliseconds since the machine started, suspended time included: a handheld sleeps in its pocket most of the day,
    and a clock that stopped meanwhile would make each wake-up look like a jump of the wall clock.
    """
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
