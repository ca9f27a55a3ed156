"""A test hook for power cuts: end this process with SIGKILL between two chosen effects.

GHITHU_KILL_AT_CHECKPOINT=n kills at the n-th checkpoint that the process passes. Unset, a checkpoint does nothing.
Tests walk n upward until the process survives, and so cut the power once between any two effects.
"""

import os
import signal
from functools import cache
from itertools import count

KILL_VARIABLE = "GHITHU_KILL_AT_CHECKPOINT"

_passed = count(1)


def checkpoint(name: str) -> None:
    """A place where the power may fail. name: for whoever reads a stack."""
    if (kill_at := _kill_at()) and next(_passed) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)


@cache
def _kill_at() -> int:
    return int(os.environ.get(KILL_VARIABLE, "0"))
