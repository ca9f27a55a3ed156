"""Time that passes as soon as everybody waits: for tests of what waits, without waiting, alike on every machine."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

Parameters = ParamSpec("Parameters")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer when nothing else is ready. No place for threads and real devices."""

    def __init__(self) -> None:
        self._selector_of_time = _Jumping(self)
        self.now_s = 0.0
        super().__init__(self._selector_of_time)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self.now_s


class _Jumping(selectors.SelectSelector):
    """Instead of waiting for a timer it moves the clock there."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now."""
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits and no timer runs"
            self._loop.now_s += timeout
        return ready


def in_virtual_time(
    test: Callable[Parameters, Coroutine[Any, Any, None]],
) -> Callable[Parameters, None]:
    """A test that runs on a loop of its own with a clock of its own."""

    @functools.wraps(test)
    def run(*arguments: Parameters.args, **named: Parameters.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*arguments, **named))

    return run


def now_s() -> float:
    """The clock of the running loop."""
    return asyncio.get_running_loop().time()
