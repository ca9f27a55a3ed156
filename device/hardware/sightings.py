"""What a position receiver says, and how a source of positions stays alive whatever becomes of its receiver.

Nobody ever waits for a position. A source only tells, and whoever makes a record takes what was told last.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from protocol.values import Fix, NoFix

# Where a receiver says nothing of its accuracy. Under the open sky it does better; between houses it may not.
UNKNOWN_ACCURACY_DM = 1_000
ACCURACY_MAX_DM = 10**7  # As far as a record can say it.
SILENT_S = 10.0  # Receivers speak once a second, fix or none. Ten missed turns are no hiccup of a busy machine.
RETRY_MIN_S = 1.0  # A receiver that was plugged in again is there after a second.
RETRY_MAX_S = 30.0  # A handheld without a receiver must not spend its battery on looking for one.


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a receiver says at one moment.

    fix: where it is, or why nobody knows. A fresh one has age 0.
    utc_ms: the satellites' time when the receiver vouches for it. It may be a second late, and years wrong in a
    receiver whose week counter has rolled over.
    source: "gpsd", "nmea", "modem-manager", "sled"; "off" and "auto" where there is none.
    """

    fix: Fix | NoFix
    utc_ms: int | None = None
    source: str


Tell = Callable[[Sighting], None]


class PositionSource(Protocol):
    """Something that tells where the handheld is.

    run: for ever; connects, connects again, and outlives silence, garbage and receivers that vanish. It ends only by
    being cancelled. That it runs does not mean that there is a receiver: what it tells says so.
    """

    async def run(self, tell: Tell) -> None: ...


async def run_for_ever(
    attempt: Callable[[Tell], Awaitable[NoFix]],
    tell: Tell,
    source: str,
    *,
    retry_min_s: float = RETRY_MIN_S,
    retry_max_s: float = RETRY_MAX_S,
) -> None:
    """Make one attempt after the other, and tell why there is no position in between.

    attempt: tells until its receiver is lost or silent, and returns which of them it was. The pause doubles from one
    attempt to the next, and starts over once a receiver has spoken.
    """
    pause_s = retry_min_s
    spoke = False

    def told(sighting: Sighting) -> None:
        nonlocal spoke
        spoke = True
        tell(sighting)

    while True:
        spoke = False
        why = await attempt(told)
        tell(Sighting(fix=why, source=source))
        pause_s = retry_min_s if spoke else pause_s
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, retry_max_s)


class Patience:
    """A deadline that each word of a receiver puts off: `async with patience.kept(): ...` raises TimeoutError."""

    def __init__(self, silent_s: float) -> None:
        self.silent_s = silent_s
        self._timeout = asyncio.timeout(None)

    def kept(self) -> asyncio.Timeout:
        """The block in which the receiver is listened to."""
        self._timeout = asyncio.timeout(self.silent_s)
        return self._timeout

    def heard(self) -> None:
        """The receiver has spoken: its time begins anew."""
        with suppress(RuntimeError):  # Too late: the time ran out in this very turn of the loop.
            self._timeout.reschedule(asyncio.get_running_loop().time() + self.silent_s)
