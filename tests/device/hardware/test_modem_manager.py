"""ModemManager on a real bus of our own: the modem's receiver, shared with whoever else uses it."""

import pytest
from dbus_fast import Variant

from device.hardware.modem_manager import (
    GPS_NMEA,
    GPS_RAW,
    ModemManagerError,
    ModemManagerSource,
    reach,
    understand,
)
from device.hardware.sightings import UNKNOWN_ACCURACY_DM, Sighting
from protocol.values import Fix, NoFix
from simulator.bluez_bus import private_bus
from simulator.receivers import FakeModemManager, MmModem, Sky, epoch, sentence
from tests.device.hardware.watching import FAST_S, RETRY_S, SILENT_S, fix_under, watching

CELL = 1  # MM_MODEM_LOCATION_SOURCE_3GPP_LAC_CI, which somebody else has asked for.


def source() -> ModemManagerSource:
    return ModemManagerSource(poll_s=FAST_S, silent_s=SILENT_S, retry_min_s=RETRY_S)


async def test_fix_comes_with_accuracy_and_time() -> None:
    sky = Sky(hdop_hundredths=123)
    async with FakeModemManager(sky, [MmModem()]), watching(source()) as seen:
        sighting = await seen.until_fix()
        assert sighting.fix == fix_under(sky)
        assert sighting.utc_ms is not None
        assert sighting.source == "modem-manager"


async def test_receiver_without_sentences_tells_a_place_of_unknown_accuracy() -> None:
    sky = Sky()
    async with FakeModemManager(sky, [MmModem(capabilities=GPS_RAW | CELL)]), watching(source()) as seen:
        assert (await seen.until_fix()).fix == fix_under(sky)._replace(accuracy_dm=UNKNOWN_ACCURACY_DM)


async def test_fix_is_lost_and_found_again() -> None:
    sky = Sky()
    async with FakeModemManager(sky, [MmModem()]), watching(source()) as seen:
        await seen.until_fix()
        sky.visible = False
        await seen.until_no(NoFix.NO_SIGNAL)
        sky.visible = True
        await seen.until_fix()


async def test_receiver_that_stalls_has_no_signal_and_its_old_place_is_not_told_again() -> None:
    modem = MmModem()
    async with FakeModemManager(Sky(), [modem]), watching(source()) as seen:
        await seen.until_fix()
        modem.stalled = True
        await seen.until_no(NoFix.NO_SIGNAL)
        told = len(seen.all)
        await seen.until_no(NoFix.NO_SIGNAL)  # A second round: asked anew, and nothing new.
        assert all(sighting.fix is NoFix.NO_SIGNAL for sighting in seen.all[told:])
        modem.stalled = False
        await seen.until_fix()


async def test_what_others_gather_stays_on_and_what_we_asked_for_ends_with_us() -> None:
    modem = MmModem(enabled=CELL)
    async with FakeModemManager(Sky(), [modem]) as manager:
        async with watching(source()) as seen:
            await seen.until_fix()
            assert modem.enabled == CELL | GPS_RAW | GPS_NMEA
        assert manager.setups == [CELL | GPS_RAW | GPS_NMEA, CELL]
        assert modem.enabled == CELL


async def test_receiver_that_others_use_is_not_switched_off() -> None:
    modem = MmModem(enabled=GPS_RAW | GPS_NMEA)
    async with FakeModemManager(Sky(), [modem]):
        async with watching(source()) as seen:
            await seen.until_fix()
        assert modem.enabled == GPS_RAW | GPS_NMEA


async def test_modem_that_is_off_is_switched_off_until_it_is_on() -> None:
    modem = MmModem(state=3)
    async with FakeModemManager(Sky(), [modem]), watching(source()) as seen:
        await seen.until_no(NoFix.SWITCHED_OFF)
        modem.state = 8
        await seen.until_fix()


@pytest.mark.parametrize("modems", [[], [MmModem(capabilities=None)], [MmModem(capabilities=CELL)]])
async def test_modem_without_a_receiver_is_no_receiver(modems: list[MmModem]) -> None:
    async with FakeModemManager(Sky(), modems), watching(source()) as seen:
        await seen.until_no(NoFix.NO_RECEIVER)


async def test_second_modem_has_the_receiver() -> None:
    sky = Sky()
    async with FakeModemManager(sky, [MmModem(capabilities=CELL), MmModem()]), watching(source()) as seen:
        assert (await seen.until_fix()).fix == fix_under(sky)


async def test_modem_manager_comes_and_goes() -> None:
    with private_bus() as address:
        async with watching(source()) as seen:
            await seen.until_no(NoFix.NO_RECEIVER)
            async with FakeModemManager(Sky(), [MmModem()], bus_address=address):
                await seen.until_fix()
            await seen.until_no(NoFix.NO_RECEIVER)
            async with FakeModemManager(Sky(), [MmModem()], bus_address=address):
                await seen.until_fix()
        async with reach() as manager:
            with pytest.raises(ModemManagerError) as absent:
                await manager.modems()
        assert absent.value.absent


async def test_refusal_is_not_absence() -> None:
    async with FakeModemManager(Sky(), [MmModem()]) as fake:
        fake.refuses = True
        async with reach() as manager:
            with pytest.raises(ModemManagerError) as refused:
                await manager.modems()
        assert not refused.value.absent
        assert refused.value.error.endswith("AccessDenied")


def test_sentences_in_any_order_make_one_sighting() -> None:
    lines = epoch(Sky()).split(b"\r\n")[:-1]
    sightings = {
        understand({GPS_NMEA: Variant("s", b"\r\n".join(order).decode())})
        for order in (lines, lines[::-1], lines[1:] + lines[:1])
    }
    assert sightings == {Sighting(fix=fix_under(Sky()), utc_ms=Sky().utc_ms + 1_000, source="modem-manager")}


@pytest.mark.parametrize(
    "location",
    [
        {},
        {1: Variant("s", "452,01,2B61,5C1A,0")},
        {GPS_NMEA: Variant("s", "")},
        {GPS_NMEA: Variant("s", sentence("GPGSV,1,1,00").decode())},
        {GPS_NMEA: Variant("u", 5)},
        {GPS_RAW: Variant("s", "10.0")},
    ],
)
def test_location_without_a_position_tells_nothing(location: dict[int, Variant]) -> None:
    assert understand(location) is None


@pytest.mark.parametrize(
    "latitude", [None, Variant("d", float("nan")), Variant("d", float("inf")), Variant("d", 90.1), Variant("s", "1")]
)
def test_raw_figures_that_are_no_place_are_no_signal(latitude: Variant | None) -> None:
    raw = {"longitude": Variant("d", 1.0)} | ({} if latitude is None else {"latitude": latitude})
    told = understand({GPS_RAW: Variant("a{sv}", raw)})
    assert told == Sighting(fix=NoFix.NO_SIGNAL, source="modem-manager")


def test_raw_figures_count_to_the_seventh_decimal() -> None:
    raw = {"latitude": Variant("d", 10.034321), "longitude": Variant("d", -105.788123)}
    told = understand({GPS_RAW: Variant("a{sv}", raw)})
    assert told is not None
    assert told.fix == Fix(100_343_210, -1_057_881_230, UNKNOWN_ACCURACY_DM, 0)
