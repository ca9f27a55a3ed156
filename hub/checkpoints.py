"""Points at which a test may cut the power: a real SIGKILL of this process, between two named steps.

GHITHU_KILL_AT="after commit:3" kills at the third passage of "after commit". Without it a checkpoint is nothing.
"""

import os
import signal
from collections.abc import Callable

KILL_AT = "GHITHU_KILL_AT"


def chosen_checkpoint() -> Callable[[str], None]:
    """The checkpoint function that the environment asks for."""
    wanted = os.environ.get(KILL_AT)
    if not wanted:
        return lambda name: None
    name_wanted, _, count = wanted.rpartition(":")
    left = int(count)

    def checkpoint(name: str) -> None:
        nonlocal left
        if name == name_wanted:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return checkpoint
