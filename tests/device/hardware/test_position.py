"""Where the position comes from: receivers that stall, garble and vanish, and the choice among several."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from device.hardware.gpsd import GpsdSource
from device.hardware.modem_manager import ModemManagerSource
from device.hardware.position import AutoSource, NmeaSource, OffSource, position_source
from device.hardware.sightings import PositionSource, Sighting, Tell, run_for_ever
from device.hardware.sled import SledLink
from protocol.values import Fix, NoFix
from simulator.bluez_bus import private_bus
from simulator.receivers import FakeGpsd, FakeModemManager, MmModem, NmeaReceiver, Sky
from tests.device.hardware.watching import FAST_S, RETRY_S, SILENT_S, Seen, fix_under, watching
from tests.virtual_time import in_virtual_time, now_s


@pytest.fixture
def name(tmp_path: Path) -> Path:
    return tmp_path / "ttyACM0"


def nmea(name: Path) -> NmeaSource:
    return NmeaSource(str(name), silent_s=SILENT_S, retry_min_s=RETRY_S)


@pytest.mark.parametrize("piece_bytes", [1, None])
async def test_receiver_on_a_port_tells_place_accuracy_and_time(name: Path, piece_bytes: int | None) -> None:
    sky = Sky()
    async with NmeaReceiver(sky, name, every_s=FAST_S, piece_bytes=piece_bytes), watching(nmea(name)) as seen:
        await seen.until_fix()  # Its port may have been opened between a GGA and the RMC that shares its accuracy.
        sighting = await seen.until(lambda one: one.utc_ms is not None)
        assert sighting.fix == fix_under(sky)
        assert sighting.source == "nmea"


async def test_receiver_loses_the_sky_and_finds_it_again(name: Path) -> None:
    sky = Sky()
    async with NmeaReceiver(sky, name, every_s=FAST_S), watching(nmea(name)) as seen:
        await seen.until_fix()
        sky.visible = False
        await seen.until_no(NoFix.NO_SIGNAL)
        sky.visible, sky.longitude_e7 = True, -1
        await seen.until(lambda one: one.fix == fix_under(sky))


async def test_receiver_that_stalls_has_no_signal_and_is_heard_when_it_speaks_again(name: Path) -> None:
    async with NmeaReceiver(Sky(), name, every_s=FAST_S) as receiver, watching(nmea(name)) as seen:
        await seen.until_fix()
        receiver.silent = True
        await seen.until_no(NoFix.NO_SIGNAL)
        receiver.silent = False
        await seen.until_fix()


async def test_receiver_that_is_pulled_out_is_no_receiver_and_is_found_again(name: Path) -> None:
    async with NmeaReceiver(Sky(), name, every_s=FAST_S) as receiver, watching(nmea(name)) as seen:
        for _ in range(3):
            await seen.until_fix()
            receiver.pull_out()
            await seen.until_no(NoFix.NO_RECEIVER)
            receiver.plug_in()
        await seen.until_fix()


async def test_port_that_speaks_no_nmea_has_no_signal(name: Path) -> None:
    """A wrong baud rate looks like this: bytes, and never a sentence."""
    async with NmeaReceiver(Sky(), name, every_s=FAST_S) as receiver, watching(nmea(name)) as seen:
        receiver.silent = True
        seen.all.clear()
        waiting = 0
        while not any(sighting.fix is NoFix.NO_SIGNAL for sighting in seen.all):
            receiver.say(b"\xf3\x8a$G\x00\x91" * 20)
            await seen_or_later(seen)
            waiting += 1
            assert waiting < 1_000


async def seen_or_later(seen: Seen) -> None:
    """A little while, or until something is told."""
    with suppress(TimeoutError):
        async with asyncio.timeout(FAST_S):
            await seen.until(lambda _: True)


async def test_garbage_between_sentences_changes_nothing(name: Path) -> None:
    sky = Sky()
    async with NmeaReceiver(sky, name, every_s=FAST_S) as receiver, watching(nmea(name)) as seen:
        receiver.garbled = True
        await seen.until_fix()
        for _ in range(5):
            assert (await seen.until_fix()).fix == fix_under(sky)


async def test_port_that_another_program_holds_is_no_receiver(name: Path) -> None:
    async with NmeaReceiver(Sky(), name, every_s=FAST_S), watching(nmea(name)) as first:
        await first.until_fix()
        async with watching(nmea(name)) as second:
            await second.until_no(NoFix.NO_RECEIVER)


async def test_off_is_switched_off() -> None:
    async with watching(OffSource()) as seen:
        assert (await seen.until(lambda _: True)) == Sighting(fix=NoFix.SWITCHED_OFF, source="off")


@in_virtual_time
async def test_absent_receiver_is_looked_for_less_and_less_often() -> None:
    tries: list[float] = []

    async def attempt(tell: Tell) -> NoFix:
        tries.append(now_s())
        if len(tries) == 8:
            tell(Sighting(fix=NoFix.NO_SIGNAL, source="nmea"))
        return NoFix.NO_RECEIVER

    seen = Seen()
    with suppress(TimeoutError):
        async with asyncio.timeout(160):
            await run_for_ever(attempt, seen.tell, "nmea")
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 1, 2, 4, 8, 16, 30]  # It has spoken at the eighth.
    assert sum(sighting.fix is NoFix.NO_RECEIVER for sighting in seen.all) == len(tries)


# Which of several.


@pytest_asyncio.fixture
async def daemon() -> AsyncIterator[FakeGpsd]:
    """gpsd that does not run yet."""
    one = FakeGpsd(Sky(latitude_e7=210_000_000), every_s=FAST_S)
    with socket.create_server(("127.0.0.1", 0)) as free:
        one.port = free.getsockname()[1]
    yield one
    await one.stop()


class Drawer:
    """Where an accessory may be plugged in; a receiver stands for it."""

    def __init__(self, name: Path) -> None:
        self.name = name

    async def look(self) -> PositionSource | None:
        return nmea(self.name) if self.name.exists() else None


def choice(daemon: FakeGpsd, name: Path) -> AutoSource:
    return AutoSource(
        look_again_s=0.05,
        gpsd=GpsdSource("127.0.0.1", daemon.port, silent_s=SILENT_S, retry_min_s=RETRY_S),
        modem=ModemManagerSource(poll_s=FAST_S, silent_s=SILENT_S, retry_min_s=RETRY_S),
        sleds=Drawer(name).look,
    )


async def test_modem_comes_before_gpsd(daemon: FakeGpsd, name: Path) -> None:
    await daemon.start()
    async with FakeModemManager(Sky(), [MmModem()]), watching(choice(daemon, name)) as seen:
        assert (await seen.until_fix()).source == "modem-manager"
        assert daemon.watchers == 0


@pytest.mark.parametrize("modems", [[], [MmModem(capabilities=None)], [MmModem(state=3)]])
async def test_gpsd_comes_before_a_modem_without_a_receiver_in_use(
    daemon: FakeGpsd, name: Path, modems: list[MmModem]
) -> None:
    await daemon.start()
    async with FakeModemManager(Sky(), modems), watching(choice(daemon, name)) as seen:
        assert (await seen.until_fix()).source == "gpsd"


async def test_accessory_comes_last(daemon: FakeGpsd, name: Path) -> None:
    with private_bus():
        async with NmeaReceiver(Sky(), name, every_s=FAST_S), watching(choice(daemon, name)) as seen:
            assert (await seen.until_fix()).source == "nmea"


async def test_nothing_is_found_until_something_is_there(daemon: FakeGpsd, name: Path) -> None:
    with private_bus() as address:
        async with watching(choice(daemon, name)) as seen:
            assert await seen.until_no(NoFix.NO_RECEIVER) == Sighting(fix=NoFix.NO_RECEIVER, source="auto")
            await daemon.start()
            assert (await seen.until_fix()).source == "gpsd"
            await daemon.stop()
            async with FakeModemManager(Sky(), [MmModem()], bus_address=address):
                await seen.until(lambda one: one.source == "modem-manager" and isinstance(one.fix, Fix))
            await daemon.start()
            await seen.until(lambda one: one.source == "gpsd" and isinstance(one.fix, Fix))


async def test_modem_that_is_off_is_told_where_there_is_nothing_else(daemon: FakeGpsd, name: Path) -> None:
    async with FakeModemManager(Sky(), [MmModem(state=3)]), watching(choice(daemon, name)) as seen:
        await seen.until_no(NoFix.SWITCHED_OFF)


async def test_source_is_kept_while_it_only_has_no_signal(daemon: FakeGpsd, name: Path) -> None:
    daemon.sky.visible = False
    await daemon.start()
    with private_bus() as address:
        async with watching(choice(daemon, name)) as seen:
            await seen.until_no(NoFix.NO_SIGNAL)
            async with FakeModemManager(Sky(), [MmModem()], bus_address=address) as manager:
                for _ in range(10):
                    await seen.until_no(NoFix.NO_SIGNAL)
                assert manager.setups == []


# Places.


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("off", OffSource),
        ("auto", AutoSource),
        ("mm:", ModemManagerSource),
        ("gpsd://127.0.0.1:2947", GpsdSource),
        ("nmea:///dev/ttyACM0?baud=9600", NmeaSource),
        ("sled:///dev/ttyACM0", SledLink),
    ],
)
def test_each_place_has_its_source(place: str, kind: type[object]) -> None:
    assert type(position_source(place)) is kind


def test_what_a_place_leaves_out_is_usual() -> None:
    gpsd, port = position_source("gpsd://[::1]"), position_source("nmea:///dev/ttyUSB0")
    assert isinstance(gpsd, GpsdSource)
    assert (gpsd.host, gpsd.port) == ("::1", 2947)
    assert isinstance(port, NmeaSource)
    assert (port.path, port.baud) == ("/dev/ttyUSB0", 9_600)


@pytest.mark.parametrize(
    "place",
    [
        "",
        "on",
        "mm",
        "mm://x",
        "gpsd:",
        "gpsd://",
        "gpsd://127.0.0.1:x",
        "gpsd://127.0.0.1:99999",
        "gpsd://127.0.0.1/dev/x",
        "nmea:",
        "nmea://dev/ttyACM0",
        "nmea:dev/ttyACM0",
        "nmea:///dev/ttyACM0?baud=fast",
        "nmea:///dev/ttyACM0?baud=9601",
        "nmea:///dev/ttyACM0?speed=9600",
        "sled:",
        "sled:///dev/ttyACM0?baud=9600",
        "file:///dev/ttyACM0",
    ],
)
def test_place_that_is_none_is_refused_in_words(place: str) -> None:
    with pytest.raises(ValueError, match=r"must be|only setting"):
        position_source(place)
