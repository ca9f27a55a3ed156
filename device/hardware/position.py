"""Where the position comes from: a receiver on a serial port, gpsd, the modem, the accessory; or whichever is there."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from urllib.parse import SplitResult, parse_qs, urlsplit

from device.clock import Clock
from device.hardware.gpsd import PORT as GPSD_PORT
from device.hardware.gpsd import GpsdSource
from device.hardware.modem_manager import ModemManagerError, ModemManagerSource, reach
from device.hardware.nmea import NmeaReader
from device.hardware.serial_port import TtyError, open_tty
from device.hardware.sightings import (
    RETRY_MIN_S,
    SILENT_S,
    Patience,
    PositionSource,
    Sighting,
    Tell,
    run_for_ever,
)
from device.hardware.sled import SledLink, find_sled
from protocol.values import Fix, NoFix

BAUD = 9_600  # Of most receivers with a real serial line; behind USB it does not matter.
BAUDS = (4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600)
LOOK_AGAIN_S = 30.0  # A receiver that was plugged in is found in half a minute, and looking costs nearly nothing.

_PLACES = "off, auto, gpsd://127.0.0.1:2947, nmea:///dev/ttyACM0?baud=9600, mm: or sled:///dev/ttyACM0"


class OffSource:
    """Nobody looks where the handheld is."""

    async def run(self, tell: Tell) -> None:
        """As `PositionSource.run`."""
        tell(Sighting(fix=NoFix.SWITCHED_OFF, source="off"))
        await asyncio.get_running_loop().create_future()


class NmeaSource:
    """A receiver that speaks NMEA 0183 on a serial port. silent_s: without a sentence for so long it is opened anew."""

    def __init__(
        self, path: str, baud: int = BAUD, *, silent_s: float = SILENT_S, retry_min_s: float = RETRY_MIN_S
    ) -> None:
        self.path = path
        self.baud = baud
        self._silent_s = silent_s
        self._retry_min_s = retry_min_s

    async def run(self, tell: Tell) -> None:
        """As `PositionSource.run`."""
        await run_for_ever(self._attempt, tell, "nmea", retry_min_s=self._retry_min_s)

    async def _attempt(self, tell: Tell) -> NoFix:
        reader, patience = NmeaReader("nmea"), Patience(self._silent_s)
        try:
            async with open_tty(self.path, self.baud) as tty, patience.kept():
                while True:
                    for sighting in reader.feed(await tty.read()):
                        tell(sighting)
                        patience.heard()
                    await asyncio.sleep(0)  # A port that floods us leaves others their turn.
        except TimeoutError:
            return NoFix.NO_SIGNAL
        except TtyError:
            return NoFix.NO_RECEIVER


class AutoSource:
    """Whichever source is there: the modem's receiver if ModemManager has one, else gpsd, else the accessory.

    A source is kept while it has a receiver, and the choice is made again every `look_again_s` while it has none.
    clock: whose wall time an accessory is told. gpsd, modem, sleds: where they are looked for.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        look_again_s: float = LOOK_AGAIN_S,
        gpsd: GpsdSource | None = None,
        modem: ModemManagerSource | None = None,
        sleds: Callable[[], Awaitable[PositionSource | None]] | None = None,
    ) -> None:
        self._look_again_s = look_again_s
        self._gpsd = gpsd or GpsdSource()
        self._modem = modem or ModemManagerSource()
        self._sleds = sleds or partial(_plugged_in_sled, clock)

    async def run(self, tell: Tell) -> None:
        """As `PositionSource.run`."""
        while True:
            found = await self._choose()
            if isinstance(found, NoFix):
                tell(Sighting(fix=found, source="auto"))
                await asyncio.sleep(self._look_again_s)
            else:
                await self._use(found, tell)

    async def _use(self, source: PositionSource, tell: Tell) -> None:
        """Let a source tell for as long as it has a receiver."""
        last: Fix | NoFix = NoFix.NO_SIGNAL

        def told(sighting: Sighting) -> None:
            nonlocal last
            last = sighting.fix
            tell(sighting)

        running = asyncio.create_task(source.run(told))
        try:
            while last not in (NoFix.NO_RECEIVER, NoFix.SWITCHED_OFF):
                await asyncio.wait((running,), timeout=self._look_again_s)
                if running.done():
                    running.result()  # It ends only by a fault of ours, which is not to go unseen.
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def _choose(self) -> PositionSource | NoFix:
        modem = await _modem_state()
        if modem is None:
            return self._modem
        if await self._gpsd.answers():
            return self._gpsd
        return await self._sleds() or modem


async def _modem_state() -> NoFix | None:
    """None if ModemManager has a receiver that is on, else why there is no position from it."""
    try:
        async with reach() as manager:
            receivers = [modem for modem in await manager.modems() if modem.has_receiver]
    except ModemManagerError:
        return NoFix.NO_RECEIVER
    if any(modem.is_on for modem in receivers):
        return None
    return NoFix.SWITCHED_OFF if receivers else NoFix.NO_RECEIVER


async def _plugged_in_sled(clock: Clock | None) -> PositionSource | None:
    path = await find_sled()
    return None if path is None else SledLink(path, clock=clock)


def position_source(place: str, clock: Clock | None = None) -> PositionSource:
    """The source at `place`: off, auto, gpsd://HOST:PORT, nmea:///DEVICE?baud=N, mm: or sled:///DEVICE.

    clock: whose wall time an accessory is told, the machine's own if none is given. Nothing is opened yet.
    Raises ValueError with a sentence.
    """
    parts = urlsplit(place)
    match place, parts.scheme:
        case "off", _:
            return OffSource()
        case "auto", _:
            return AutoSource(clock=clock)
        case "mm:", _:
            return ModemManagerSource()
        case _, "gpsd":
            return _gpsd(parts)
        case _, "nmea":
            return NmeaSource(_path(parts), _baud(parts))
        case _, "sled":
            return SledLink(_path(parts), clock=clock)
        case _:
            raise _no_place(place)


def _gpsd(parts: SplitResult) -> GpsdSource:
    try:
        port = parts.port
    except ValueError as error:
        raise _no_place(parts.geturl()) from error
    if not parts.hostname or parts.path.strip("/") or parts.query:
        raise _no_place(parts.geturl())
    return GpsdSource(parts.hostname, GPSD_PORT if port is None else port)


def _path(parts: SplitResult) -> str:
    if parts.netloc or not parts.path.startswith("/") or (parts.query and parts.scheme != "nmea"):
        raise _no_place(parts.geturl())
    return parts.path


def _baud(parts: SplitResult) -> int:
    if not parts.query:
        return BAUD
    settings = parse_qs(parts.query, keep_blank_values=True)
    text = settings.pop("baud", [""])[-1]
    if settings or text not in map(str, BAUDS):
        raise ValueError(f"{parts.geturl()!r}: the only setting is baud, one of {', '.join(map(str, BAUDS))}")
    return int(text)


def _no_place(place: str) -> ValueError:
    return ValueError(f"{place!r} is no place to take a position from: it must be {_PLACES}")
