"""The hub's clock. In a simulation it is a file that the simulator moves; it says so at start."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

Clock = Callable[[], int]
CLOCK_FILE = "GHITHU_CLOCK_FILE"


def system_clock() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def chosen_clock() -> Clock:
    """The system's clock, or the file that GHITHU_CLOCK_FILE names: milliseconds since 1970 UTC as text."""
    name = os.environ.get(CLOCK_FILE)
    if not name:
        return system_clock
    path = Path(name)
    sys.stderr.write(f"Time is simulated: it is read from {path}\n")
    return lambda: int(path.read_text(encoding="ascii"))
