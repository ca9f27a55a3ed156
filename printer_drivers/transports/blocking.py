"""What a kernel may take seconds over at a serial port, kept away from the event loop; for whoever opens one."""

import termios
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from serial import Serial

_T = TypeVar("_T")


def apart(action: Callable[[], _T]) -> "Future[_T]":
    """Do what may block in a thread of its own, which does not keep the program from ending."""
    future: Future[_T] = Future()
    future.set_running_or_notify_cancel()  # From now on whoever stops waiting for it does not cancel it.

    def run() -> None:
        try:
            future.set_result(action())
        except (OSError, ValueError, termios.error) as error:
            future.set_exception(error)

    threading.Thread(target=run, name="serial port", daemon=True).start()
    return future


def hang_up(port: Serial) -> None:
    """Drop what the kernel has not sent, and close. May block while the printer holds back what left the kernel."""
    with suppress(OSError, termios.error):  # It is gone already.
        termios.tcflush(port.fileno(), termios.TCOFLUSH)
    with suppress(OSError):
        port.close()


def close_late(opened: "Future[Serial]") -> None:
    """Close a port that nobody waits for any more."""
    if opened.exception() is None:
        hang_up(opened.result())
