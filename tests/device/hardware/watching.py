"""A position source that runs beside a test, which awaits what it tells."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from device.hardware.sightings import PositionSource, Sighting
from protocol.values import Fix, NoFix
from simulator.receivers import Sky

FAST_S = 0.02  # How often simulated receivers speak: fifty times as fast as real ones.
SILENT_S = 0.4  # Twenty missed turns; also on a busy machine.
RETRY_S = 0.01


class Seen:
    """What a source has told. all: everything, in order."""

    def __init__(self) -> None:
        self.all: list[Sighting] = []
        self._news = asyncio.Event()

    def tell(self, sighting: Sighting) -> None:
        self.all.append(sighting)
        self._news.set()

    async def until(self, wanted: Callable[[Sighting], bool]) -> Sighting:
        """The next sighting from now on that is as wanted."""
        start = len(self.all)
        async with asyncio.timeout(10):
            while True:
                for sighting in self.all[start:]:
                    if wanted(sighting):
                        return sighting
                start = len(self.all)
                self._news.clear()
                await self._news.wait()

    async def until_fix(self) -> Sighting:
        return await self.until(lambda sighting: isinstance(sighting.fix, Fix))

    async def until_no(self, why: NoFix) -> Sighting:
        return await self.until(lambda sighting: sighting.fix is why)


@asynccontextmanager
async def watching(source: PositionSource) -> AsyncIterator[Seen]:
    """Run a source; it must still run at the end, and end when it is cancelled."""
    seen = Seen()
    running = asyncio.create_task(source.run(seen.tell))
    try:
        yield seen
        assert not running.done(), "a source runs for ever"
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def fix_under(sky: Sky) -> Fix:
    """What a source has to tell below this sky."""
    return Fix(latitude_e7=sky.latitude_e7, longitude_e7=sky.longitude_e7, accuracy_dm=sky.accuracy_dm, age_s=0)
