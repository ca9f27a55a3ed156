"""What the handheld notices by itself, as events for the session: position, satellites' time, battery, storage.

It notices; it never decides and never holds anybody up. What the session has not taken yet gives way to what is newer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from device.clock import Clock
from device.core.events import ClockCompared, Event, FixAcquired, PowerRead
from device.hardware.position import position_source
from device.hardware.power import POWER_SUPPLIES, read_power, storage_free_mib
from device.hardware.sightings import PositionSource, Sighting
from protocol.values import ClockSource, Fix, NoFix

FIX_EVERY_S = 2.0  # A walking collector moves three metres meanwhile, less than any receiver knows.
POWER_EVERY_S = 60.0  # A battery loses a hundredth in some minutes.
CLOCK_EVERY_MS = 60_000  # A comparison that says the same again is worth one event a minute.
CLOCK_STEP_MS = 1_000  # What a receiver's own delay may add from one sentence to the next.
# A receiver that has not followed its week counter tells a time 19.6 years ago: nothing older than this program.
EARLIEST_UTC_MS = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 1_000
LATEST_UTC_MS = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * 1_000

_POSITION = "senses: position"  # A task's name.
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """A reference clock beside ours. offset_ms: reference minus wall. up_ms: when."""

    offset_ms: int
    up_ms: int


class ClockComparer:
    """Decides which of the satellites' times are worth an event. Pure.

    One sentence proves nothing: a port gives back old ones after a handheld has slept, and a checksum of eight bits
    lets one wrong date in 256 through. A new offset counts when one at least a second later says the same.
    """

    def __init__(self) -> None:
        self._told: _Comparison | None = None
        self._candidate: _Comparison | None = None

    def compare(self, utc_ms: int, wall_ms: int, up_ms: int) -> int | None:
        """The offset to tell now, or None."""
        if not EARLIEST_UTC_MS <= utc_ms < LATEST_UTC_MS:
            return None
        seen = _Comparison(offset_ms=utc_ms - wall_ms, up_ms=up_ms)
        if self._told is not None and _agree(seen, self._told):
            self._candidate = None
            if up_ms - self._told.up_ms < CLOCK_EVERY_MS:
                return None
        elif self._candidate is None or not _agree(seen, self._candidate):
            self._candidate = seen
            return None
        elif up_ms - self._candidate.up_ms < CLOCK_STEP_MS:
            return None
        self._told, self._candidate = seen, None
        return seen.offset_ms


def _agree(one: _Comparison, other: _Comparison) -> bool:
    return abs(one.offset_ms - other.offset_ms) <= CLOCK_STEP_MS


class Herald:
    """Takes sightings as they come and dispatches what is worth an event.

    dispatch: takes an event to the session; it may take its time, and there is never more than one on its way.
    """

    def __init__(self, dispatch: Callable[[Event], Awaitable[object]], clock: Clock) -> None:
        self._dispatch = dispatch
        self._clock = clock
        self._comparer = ClockComparer()
        self._offset_ms: int | None = None
        self._latest: tuple[float, Fix | NoFix] | None = None  # With the loop's time at which it was told.
        self._told: Fix | NoFix | None = None
        self._news = asyncio.Event()

    def tell(self, sighting: Sighting) -> None:
        """Keep what a source says in place of what it said before, and compare the clocks on the spot."""
        self._latest = (asyncio.get_running_loop().time(), sighting.fix)
        if sighting.utc_ms is not None:
            now = self._clock.now()
            offset_ms = self._comparer.compare(sighting.utc_ms, now.wall_ms, now.up_ms)
            if offset_ms is not None:
                self._offset_ms = offset_ms
        self._news.set()

    async def run(self) -> None:
        """Dispatch for ever: a fix every two seconds, a change from fix to none or back at once."""
        loop = asyncio.get_running_loop()
        next_at = loop.time()
        while True:
            await self._hear(None if not self._is_fix_again() else next_at)
            if self._offset_ms is not None:
                offset_ms, self._offset_ms = self._offset_ms, None
                await self._dispatch(ClockCompared(offset_ms=offset_ms, source=ClockSource.GNSS))
            if self._latest is None or (self._is_fix_again() and loop.time() < next_at):
                continue
            (told_at, fix), self._latest = self._latest, None
            if isinstance(fix, NoFix) and fix is self._told:
                continue
            self._told = fix
            next_at = loop.time() + FIX_EVERY_S
            await self._dispatch(FixAcquired(fix=_aged(fix, loop.time() - told_at)))

    async def _hear(self, until: float | None) -> None:
        """Wait for news, or until a fix that waits has its turn."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._news.wait()
        self._news.clear()

    def _is_fix_again(self) -> bool:
        """Whether a fix waits that would follow a fix."""
        return self._latest is not None and isinstance(self._latest[1], Fix) and isinstance(self._told, Fix)


class Senses:
    """Runs for as long as the handheld does, from `start` to `close`.

    dispatch: takes an event to the session. home: the folder whose storage counts.
    position: a place as `position_source` knows them; source: what to run instead of it.
    power_every_s: how often battery and storage are read. Raises ValueError for a place that is none.
    """

    def __init__(
        self,
        dispatch: Callable[[Event], Awaitable[object]],
        *,
        clock: Clock,
        home: Path,
        position: str = "auto",
        power_root: Path = POWER_SUPPLIES,
        source: PositionSource | None = None,
        power_every_s: float = POWER_EVERY_S,
    ) -> None:
        self._dispatch = dispatch
        self._home = home
        self._power_root = power_root
        self._power_every_s = power_every_s
        self._source = position_source(position, clock) if source is None else source
        self._herald = Herald(dispatch, clock)
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def start(self) -> None:
        """Begin to notice. Returns at once, whatever is plugged in."""
        assert not self._tasks, "started already"
        parts = {
            _POSITION: self._source.run(self._herald.tell),
            "senses: herald": self._herald.run(),
            "senses: power": self._watch_power(),
        }
        self._tasks = tuple(asyncio.create_task(part, name=name) for name, part in parts.items())
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Stop, and give back ports and connections."""
        tasks, self._tasks = self._tasks, ()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """A sense that fails costs what it would have noticed, and a line in the log; the collector works on."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        _LOGGER.error("%s has failed and notices nothing more until the next start", task.get_name(), exc_info=error)
        if task.get_name() == _POSITION:
            self._herald.tell(Sighting(fix=NoFix.NO_RECEIVER, source="off"))

    async def _watch_power(self) -> None:
        while True:
            # In a thread: a battery's chip may be slow to answer.
            await self._dispatch(await asyncio.to_thread(self._read_power))
            await asyncio.sleep(self._power_every_s)

    def _read_power(self) -> PowerRead:
        power = read_power(self._power_root)
        try:
            free_mib: int | None = storage_free_mib(self._home)
        except OSError:
            free_mib = None
        return PowerRead(battery_percent=power.battery_percent, charging=power.charging, storage_free_mib=free_mib)


def _aged(fix: Fix | NoFix, waited_s: float) -> Fix | NoFix:
    """The fix with the time that it has waited here."""
    return fix if isinstance(fix, NoFix) else fix._replace(age_s=fix.age_s + int(waited_s))
