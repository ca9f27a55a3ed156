"""Bluetooth LE, through bleak's own BlueZ backend and the simulated radio."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from printer_drivers.profiles import ISSC_SERVICE, MTP_SERVICE, Profile, profile_for
from printer_drivers.transports import LinkError, LinkLost
from printer_drivers.transports.ble import BleLink, scan
from simulator.bluez import FakeBluez
from simulator.bluez_bus import ADDRESS_VARIABLE, private_bus
from simulator.bluez_peripheral import (
    CAT,
    ISSC,
    MTP_II,
    ONE_FOR_BOTH,
    Characteristic,
    Faults,
    Flag,
    Peripheral,
    Printer,
    Services,
    uuid_of,
)
from simulator.printer import PrinterModel
from tests.simulator.test_bluez import Tank, sockets

PATTERN = bytes(range(256)) * 64
QUESTION = b"\x10\x04\x01"
WRITE, NOTIFY = uuid_of(0x2AF1), uuid_of(0x2AF0)
RECONNECT_S = 3.0  # What a collector is promised.

_LISTENING = Characteristic(NOTIFY, (Flag.NOTIFY,))
ONLY_REQUESTS: Services = {MTP_SERVICE: (Characteristic(WRITE, (Flag.WRITE,)), _LISTENING)}
ONLY_COMMANDS: Services = {MTP_SERVICE: (Characteristic(WRITE, (Flag.COMMAND,)), _LISTENING)}

_numbers = count(1)


def new_address() -> str:
    """Links remember what they have seen, so each test has a printer of its own."""
    number = next(_numbers)
    return f"AA:BB:CC:00:{number >> 8:02X}:{number & 0xFF:02X}"


def printer_profile(
    *,
    buffer_bytes: int = 4096,
    chunk_bytes: int = 180,
    barrier_bytes: int = 1024,
    drain_bytes_per_s: int = 5000,
    services: tuple[str, ...] = (MTP_SERVICE,),
) -> Profile:
    row = profile_for("mtp-ii")
    ble = replace(
        row.ble,
        services=services,
        chunk_bytes=chunk_bytes,
        barrier_bytes=barrier_bytes,
        gap_ms=0,
        drain_bytes_per_s=drain_bytes_per_s,
    )
    return replace(row, buffer_bytes=buffer_bytes, ble=ble)


@asynccontextmanager
async def in_reach(
    printer: Printer,
    *,
    profile: Profile | None = None,
    services: Services = MTP_II,
    mtu_bytes: int = 185,
    faults: Faults | None = None,
    radio_bytes_per_s: float | None = None,
    one_write: bool = True,
    answer_s: float = 20.0,
) -> AsyncIterator[tuple[BleLink, Peripheral]]:
    """A printer in reach and a link to it, not open yet; what opens it need not close it."""
    peripheral = Peripheral(
        new_address(),
        printer,
        services=services,
        mtu_bytes=mtu_bytes,
        faults=faults,
        radio_bytes_per_s=radio_bytes_per_s,
    )
    async with FakeBluez([peripheral], one_write=one_write):
        link = BleLink(peripheral.address, profile or printer_profile(), scan_s=2, answer_s=answer_s)
        try:
            yield link, peripheral
        finally:
            await link.close()


async def send(link: BleLink, data: bytes, timeout_s: float = 0.5) -> None:
    """Offer everything, so long each time, until it is taken."""
    offset = 0
    async with asyncio.timeout(10):
        while offset < len(data):
            offset += await link.write(data[offset:], timeout_s)


async def until(true: Callable[[], bool]) -> None:
    """Wait for what the printer's side of the air does in its own time."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 -- The radio tells nobody but who is connected.
            await asyncio.sleep(0.002)


async def arrived(tank: Tank, size_bytes: int) -> None:
    """Wait until so much is in the printer; what was taken by the link may still be on its way."""
    await until(lambda: len(tank.taken) >= size_bytes)


async def opened_in_s(link: BleLink) -> float:
    began_s = asyncio.get_running_loop().time()
    await link.open()
    return asyncio.get_running_loop().time() - began_s


# Chunks and barriers.


@pytest.mark.parametrize(("mtu_bytes", "chunk_bytes"), [(23, 20), (185, 182), (247, 244), (512, 509), (517, 512)])
async def test_chunks_are_as_long_as_the_link_allows(mtu_bytes: int, chunk_bytes: int) -> None:
    tank = Tank()
    profile = printer_profile(chunk_bytes=512)
    async with in_reach(tank, profile=profile, mtu_bytes=mtu_bytes) as (link, peripheral):
        await link.open()
        await send(link, PATTERN[: 3 * chunk_bytes + 7])
        await arrived(tank, 3 * chunk_bytes + 7)
        assert [write.size_bytes for write in peripheral.writes] == [*[chunk_bytes] * 3, 7]
    assert bytes(tank.taken) == PATTERN[: 3 * chunk_bytes + 7]


async def test_chunks_are_no_longer_than_the_profile_says() -> None:
    tank = Tank()
    async with in_reach(tank, profile=printer_profile(chunk_bytes=100), mtu_bytes=247) as (link, peripheral):
        await link.open()
        await send(link, PATTERN[:1000])
        await arrived(tank, 1000)
        assert {write.size_bytes for write in peripheral.writes} == {100}


@pytest.mark.parametrize("barrier_bytes", [180, 512, 1024])
async def test_after_each_barrier_the_printer_has_to_answer(barrier_bytes: int) -> None:
    tank = Tank()
    profile = printer_profile(barrier_bytes=barrier_bytes, drain_bytes_per_s=100_000)
    async with in_reach(tank, profile=profile) as (link, peripheral):
        await link.open()
        for start in range(0, 8000, 250):  # Papers come in bands: barriers go across them.
            await send(link, PATTERN[start : start + 250])
        await arrived(tank, 8000)
        unanswered = longest = commands = 0
        for write in peripheral.writes:
            unanswered += write.size_bytes
            longest = max(longest, unanswered)
            if write.kind is Flag.WRITE:
                unanswered = 0
            else:
                commands += 1
    assert longest <= barrier_bytes
    assert (commands > 0) is (barrier_bytes > 180)
    assert bytes(tank.taken) == PATTERN[:8000]


async def test_a_small_slow_printer_loses_nothing() -> None:
    tank = Tank(2048, drain_bytes_per_s=5000)
    profile = printer_profile(buffer_bytes=2048)
    async with in_reach(tank, profile=profile, radio_bytes_per_s=10_000) as (link, peripheral):
        await link.open()
        await send(link, PATTERN[:6000])
        await arrived(tank, 6000)
        kinds = {write.kind for write in peripheral.writes}
    assert tank.lost_bytes == 0
    assert bytes(tank.taken) == PATTERN[:6000]
    assert kinds == {Flag.WRITE, Flag.COMMAND}


async def test_the_same_printer_loses_bytes_when_the_profile_takes_it_for_a_large_one() -> None:
    tank = Tank(2048, drain_bytes_per_s=5000)
    profile = printer_profile(buffer_bytes=100_000, barrier_bytes=50_000)
    async with in_reach(tank, profile=profile, radio_bytes_per_s=20_000) as (link, _):
        await link.open()
        await send(link, PATTERN[:6000])
        await asyncio.sleep(0.4)  # The air is empty: nothing more can arrive.
    assert tank.lost_bytes > 1000


async def test_a_printer_that_only_answers_is_written_to_with_response_throughout() -> None:
    tank = Tank(512, drain_bytes_per_s=50_000)
    async with in_reach(tank, services=ONLY_REQUESTS) as (link, peripheral):
        await link.open()
        await send(link, PATTERN[:4000])
        await arrived(tank, 4000)
        assert {write.kind for write in peripheral.writes} == {Flag.WRITE}
    assert tank.lost_bytes == 0




async def test_a_printer_that_never_answers_is_sent_no_more_than_it_prints() -> None:
    tank = Tank(2048, drain_bytes_per_s=10_000)
    profile = printer_profile(buffer_bytes=2048, drain_bytes_per_s=10_000)
    async with in_reach(tank, profile=profile, services=ONLY_COMMANDS) as (link, peripheral):
        await link.open()
        began_s = asyncio.get_running_loop().time()
        await send(link, PATTERN[:6000])
        took_s = asyncio.get_running_loop().time() - began_s
        await arrived(tank, 6000)
        assert {write.kind for write in peripheral.writes} == {Flag.COMMAND}
    assert tank.lost_bytes == 0
    assert took_s >= (6000 - 1024) / 10_000 - 0.02  # One barrier goes at once; a timer may be early by a tick.


async def test_a_write_returns_in_time_with_what_was_taken_so_far() -> None:
    tank = Tank(2048)
    profile = printer_profile(buffer_bytes=2048, barrier_bytes=900, drain_bytes_per_s=500)
    async with in_reach(tank, profile=profile, services=ONLY_COMMANDS) as (link, _):
        await link.open()
        assert await link.write(PATTERN[:6000], 0.2) == 900  # One barrier; the next chunk has room in 0.36 s.
        assert await link.write(PATTERN[900:], 0) == 0
        await arrived(tank, 900)


# The choice of a service.


async def written_to(services: Services, preferred: tuple[str, ...]) -> str:
    async with in_reach(Tank(), services=services, profile=printer_profile(services=preferred)) as (link, peripheral):
        await link.open()
        assert await link.urge(QUESTION)
        await until(lambda: bool(peripheral.writes))
        return peripheral.writes[0].characteristic


async def test_of_several_services_the_profile_chooses() -> None:
    several = {**ONE_FOR_BOTH, **ISSC, **MTP_II}
    assert await written_to(several, (ISSC_SERVICE,)) == ISSC[ISSC_SERVICE][0].uuid
    assert await written_to(several, (MTP_SERVICE, ISSC_SERVICE)) == WRITE
    assert await written_to(ONE_FOR_BOTH, (MTP_SERVICE,)) == ONE_FOR_BOTH[next(iter(ONE_FOR_BOTH))][0].uuid


async def test_a_preferred_service_that_cannot_be_written_to_is_passed_over() -> None:
    deaf = (Characteristic(WRITE, (Flag.READ,)), _LISTENING)
    assert await written_to({MTP_SERVICE: deaf, **ISSC}, (MTP_SERVICE,)) == ISSC[ISSC_SERVICE][0].uuid


async def test_a_printer_without_notifications_prints_and_says_nothing() -> None:
    tank = Tank()
    async with in_reach(tank, services={MTP_SERVICE: MTP_II[MTP_SERVICE][:1]}) as (link, _):
        await link.open()
        await send(link, PATTERN[:500])
        await arrived(tank, 500)
        assert await link.read(0.01) == b""


@pytest.mark.parametrize(
    ("services", "reason", "named"),
    [
        (CAT, "wrong-printer", "toy printer"),
        ({uuid_of(0x180F): (Characteristic(uuid_of(0x2A19), (Flag.READ,)),)}, "no-service", uuid_of(0x180F)),
        ({MTP_SERVICE: (Characteristic(WRITE, (Flag.NOTIFY,)),)}, "no-service", MTP_SERVICE),
        ({}, "no-service", "none"),
    ],
)
async def test_what_is_no_receipt_printer_is_refused_and_left(services: Services, reason: str, named: str) -> None:
    async with in_reach(Tank(), services=services) as (link, peripheral):
        with pytest.raises(LinkError, match=named) as refusal:
            await link.open()
        assert refusal.value.reason == reason
        assert not peripheral.connected


# A printer that holds back.


async def full(link: BleLink, tank: Tank) -> int:
    """Out of paper, and filled until the link holds back; how many bytes it took."""
    await link.open()
    tank.paper = False
    taken = 0
    async with asyncio.timeout(10):
        while True:
            more = await link.write(PATTERN[taken:6000], 0.02)
            taken += more
            if not more and tank.room < 180:
                return taken


async def test_a_printer_out_of_paper_holds_back_and_then_gets_everything_once() -> None:
    tank = Tank(2048, drain_bytes_per_s=50_000)
    async with in_reach(tank, profile=printer_profile(buffer_bytes=2048)) as (link, _):
        taken = await full(link, tank)
        assert len(tank.taken) < taken < 6000  # One chunk is on its way, and counted.
        assert await link.write(PATTERN[taken:6000], 0) == 0
        tank.paper = True
        await send(link, PATTERN[taken:6000])
        await arrived(tank, 6000)
    assert tank.lost_bytes == 0
    assert bytes(tank.taken) == PATTERN[:6000]


async def test_where_the_system_lets_it_a_question_goes_past_what_waits() -> None:
    tank = Tank(2048)
    async with in_reach(tank, profile=printer_profile(buffer_bytes=2048), one_write=False) as (link, peripheral):
        await full(link, tank)
        assert await link.urge(QUESTION)
        await until(lambda: peripheral.writes[-1].size_bytes == len(QUESTION))


async def test_bluez_lets_no_question_past_and_the_link_says_so() -> None:
    tank = Tank(2048, drain_bytes_per_s=100_000)
    async with in_reach(tank, profile=printer_profile(buffer_bytes=2048)) as (link, _):
        taken = await full(link, tank)
        assert not await link.urge(QUESTION)
        tank.paper = True
        await send(link, b"!")
        assert await link.urge(QUESTION)
        await arrived(tank, taken + 1 + len(QUESTION))
    assert bytes(tank.taken) == PATTERN[:taken] + b"!" + QUESTION


async def test_a_printer_that_only_answers_can_be_asked_while_it_does() -> None:
    tank = Tank(1024)
    async with in_reach(tank, services=ONLY_REQUESTS, one_write=False) as (link, _):
        await link.open()
        assert await link.urge(QUESTION)
        await arrived(tank, len(QUESTION))
        tank.paper = False
        await link.write(PATTERN[:6000], 0.05)
        assert not await link.urge(QUESTION)


async def test_a_write_that_is_never_answered_is_a_lost_link_before_bluetooth_says_so() -> None:
    tank = Tank(2048)
    async with in_reach(tank, profile=printer_profile(buffer_bytes=2048), answer_s=0.1) as (link, _):
        await full(link, tank)
        with pytest.raises(LinkLost):
            await send(link, PATTERN, 0.02)
        with pytest.raises(LinkLost):
            await link.urge(QUESTION)


async def test_after_a_long_silence_the_printer_counts_as_full() -> None:
    tank = Tank(2048, drain_bytes_per_s=50_000)
    profile = printer_profile(buffer_bytes=2048, drain_bytes_per_s=2500)
    async with in_reach(tank, profile=profile) as (link, peripheral):
        taken = await full(link, tank)
        await asyncio.sleep(0.25)  # Longer than any printer takes to answer that has room.
        tank.paper = True
        await send(link, PATTERN[taken : taken + 180])
        await arrived(tank, taken + 180)
        assert peripheral.writes[-1].kind is Flag.WRITE
    assert tank.lost_bytes == 0


# What the printer says.


async def test_the_simulated_printer_answers_and_may_drop_the_link() -> None:
    model = PrinterModel()
    async with in_reach(model) as (link, _):
        await link.open()
        assert await link.urge(QUESTION)
        assert await link.read(5) == b"\x12"  # In good order and online.
        model.paper_out = True
        assert await link.urge(QUESTION)
        assert await link.read(5) == b"\x1a"
        model.after_received(500, model.drop)
        with pytest.raises(LinkLost):
            await send(link, bytes(10_000))
        assert model.received == 2 * len(QUESTION) + 500


@pytest.mark.parametrize("faults", [Faults(), Faults(piece_bytes=1), Faults(merge_s=0.01)])
async def test_replies_are_read_whole_in_pieces_or_together(faults: Faults) -> None:
    tank = Tank()
    async with in_reach(tank, faults=faults) as (link, _):
        await link.open()
        tank.say(b"7\x220001\x00")
        tank.say(b"\x12")
        heard = b""
        async with asyncio.timeout(5):
            while len(heard) < 8:
                heard += await link.read(1)
    assert heard == b"7\x220001\x00\x12"


async def test_silence_is_no_loss() -> None:
    async with in_reach(Tank()) as (link, _):
        await link.open()
        assert await link.read(0) == b""
        assert await link.read(0.01) == b""


# Losses.


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_wherever_the_link_falls_a_beginning_has_arrived_and_it_can_be_had_again(acknowledged: bool) -> None:
    tank = Tank()
    async with in_reach(tank) as (link, peripheral):
        open_sockets = 0
        for whole in range(14):  # Chunks that arrive; beyond two barriers.
            fall = Faults(drop_at_write=whole + 1) if acknowledged else Faults(drop_at_byte=180 * whole + 1)
            peripheral.faults = fall
            tank.taken.clear()
            assert await opened_in_s(link) < RECONNECT_S
            with pytest.raises(LinkLost) as loss:
                await send(link, PATTERN)
            assert loss.value.reason == "lost"
            assert bytes(tank.taken) == PATTERN[: 180 * (whole if acknowledged else whole + 1)]
            await link.close()
            open_sockets = open_sockets or sockets()  # From the first time on bleak keeps one for itself.
            assert sockets() == open_sockets
        await link.open()
        tank.taken.clear()
        await send(link, PATTERN[:1000])
        await arrived(tank, 1000)
    assert bytes(tank.taken) == PATTERN[:1000]


async def test_what_was_said_before_the_loss_is_handed_out_first() -> None:
    tank = Tank()
    async with in_reach(tank) as (link, peripheral):
        await link.open()
        tank.say(b"\x12")
        peripheral.faults.drop_at_write = 1
        with pytest.raises(LinkLost):
            await send(link, PATTERN)
        assert await link.read(1) == b"\x12"
        with pytest.raises(LinkLost):
            await link.read(1)


async def test_a_reader_hears_at_once_that_the_link_fell() -> None:
    tank = Tank()
    async with in_reach(tank) as (link, _), asyncio.timeout(5):
        await link.open()
        reading = asyncio.create_task(link.read(60))
        await asyncio.sleep(0)
        tank.on_drop()
        with pytest.raises(LinkLost):
            await reading


async def test_a_writer_that_is_held_back_hears_that_the_adapter_was_switched_off() -> None:
    tank = Tank(2048)
    peripheral = Peripheral(new_address(), tank)
    async with FakeBluez([peripheral]) as bluez, asyncio.timeout(5):
        link = BleLink(peripheral.address, printer_profile(buffer_bytes=2048))
        await full(link, tank)
        waiting = asyncio.create_task(link.write(PATTERN, 60))
        await asyncio.sleep(0)
        bluez.power(on=False)
        with pytest.raises(LinkLost):
            await waiting
        await link.close()
        with pytest.raises(LinkError, match="switched off") as refusal:
            await link.open()
    assert refusal.value.reason == "no-bluetooth"


async def test_the_system_bus_that_leaves_takes_the_link_with_it() -> None:
    peripheral = Peripheral(new_address(), Tank())
    async with FakeBluez([peripheral]):
        link = BleLink(peripheral.address, printer_profile())
        await link.open()
    with pytest.raises(LinkLost):
        await send(link, PATTERN)
    await link.close()


async def test_a_link_is_closed_as_often_as_one_likes() -> None:
    async with in_reach(Tank()) as (link, peripheral):
        await link.close()
        await link.open()
        connected = [peripheral.connected]
        await link.close()
        connected.append(peripheral.connected)
        assert connected == [True, False]
        await link.close()
        with pytest.raises(LinkLost):
            await link.write(b"x", 1)
        with pytest.raises(LinkLost):
            await link.read(1)
        with pytest.raises(LinkLost):
            await link.urge(QUESTION)


async def test_what_is_held_back_when_the_link_is_closed_never_prints() -> None:
    tank = Tank(2048)
    async with in_reach(tank, profile=printer_profile(buffer_bytes=2048)) as (link, peripheral):
        await full(link, tank)
        before = bytes(tank.taken)
        await link.close()
        assert not peripheral.connected
        tank.paper = True
        await link.open()
        assert await link.read(0.05) == b""
    assert bytes(tank.taken) == before


# Connecting.


async def test_a_printer_seen_before_is_connected_to_without_looking_around() -> None:
    peripheral = Peripheral(new_address(), Tank())
    async with FakeBluez([peripheral]) as bluez:
        for address in (peripheral.address, peripheral.address.lower()):
            link = BleLink(address, printer_profile())
            assert await opened_in_s(link) < RECONNECT_S
            await link.close()
        assert bluez.discoveries == 1


async def test_a_printer_that_bluez_has_forgotten_is_looked_for_again() -> None:
    peripheral = Peripheral(new_address(), Tank())
    async with FakeBluez([peripheral]) as bluez:
        link = BleLink(peripheral.address, printer_profile())
        await link.open()
        await link.close()
        bluez.forget(bluez.path_of(peripheral))
        assert await opened_in_s(link) < RECONNECT_S
        await link.close()
        assert bluez.discoveries == 2


@pytest.mark.parametrize("error", ["le-connection-abort-by-local", "Software caused connection abort"])
async def test_interference_is_met_with_another_attempt(error: str) -> None:
    async with in_reach(Tank(), faults=Faults(connect_failures=2, connect_error=error)) as (link, peripheral):
        assert await opened_in_s(link) < RECONNECT_S
        assert peripheral.faults.connect_failures == 0
        await send(link, b"x")


async def test_a_printer_that_turns_everybody_away_is_not_asked_for_ever() -> None:
    faults = Faults(connect_failures=1000, connect_error="br-connection-refused")
    async with in_reach(Tank(), faults=faults) as (link, peripheral):
        with pytest.raises(LinkError) as refusal:
            await link.open()
        assert refusal.value.reason == "no-connection"
        assert peripheral.faults.connect_failures == 1000 - 3


async def test_a_printer_whose_services_stay_unknown_is_left_again() -> None:
    peripheral = Peripheral(new_address(), Tank(), faults=Faults(unresolved=True))
    async with FakeBluez([peripheral]):
        link = BleLink(peripheral.address, printer_profile(), connect_s=0.05)
        with pytest.raises(LinkError) as refusal:
            await link.open()
        assert refusal.value.reason == "no-connection"
        assert not peripheral.connected


async def test_an_attempt_that_is_cancelled_leaves_nobody_connected() -> None:
    async with in_reach(Tank(), faults=Faults(unresolved=True)) as (link, peripheral):
        opening = asyncio.create_task(link.open())
        await until(lambda: peripheral.connected)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert not peripheral.connected


async def test_a_printer_that_is_not_there_is_not_found_known_or_not() -> None:
    known, stranger = Peripheral(new_address(), Tank()), Peripheral(new_address(), Tank())
    stranger.faults.absent = True
    async with FakeBluez([known, stranger]):
        links = [BleLink(one.address, printer_profile(), scan_s=0.1, connect_s=0.1) for one in (known, stranger)]
        await links[0].open()
        await links[0].close()
        known.faults.absent = True
        for link in links:
            with pytest.raises(LinkError, match="Switch it on") as refusal:
                await link.open()
            assert refusal.value.reason == "not-found"


async def test_a_printer_that_a_killed_handheld_left_connected_is_found_again() -> None:
    peripheral = Peripheral(new_address(), Tank())
    connect = f"""
import asyncio, os
from bleak import BleakClient
async def main():
    await BleakClient("{peripheral.address}").connect()
    os._exit(0)
asyncio.run(main())
"""
    async with FakeBluez([peripheral]) as bluez:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", connect, stderr=subprocess.DEVNULL)
        assert await process.wait() == 0
        assert peripheral.connected  # So it does not advertise, and no scan sees it.
        link = BleLink(peripheral.address, printer_profile())
        assert await opened_in_s(link) < RECONNECT_S
        await send(link, b"x")
        await link.close()
        assert bluez.discoveries == 1


async def test_without_bluetooth_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(sentence: str) -> None:
        for attempt in (BleLink(new_address(), printer_profile()).open(), scan(0.01)):
            with pytest.raises(LinkError, match=sentence) as refusal:
                await attempt
            assert refusal.value.reason == "no-bluetooth"

    async with FakeBluez([], powered=False):
        await refused("switched off")
    async with FakeBluez([], adapter=False):
        await refused("adapter")
    with private_bus():
        await refused("systemctl start bluetooth")
    monkeypatch.setenv(ADDRESS_VARIABLE, "unix:path=/nowhere/at/all")
    await refused("systemctl start bluetooth")


# Looking around.


async def test_a_scan_shows_likely_printers_first_and_the_strongest_of_them() -> None:
    def peripheral(name: str, services: Services, *, rssi_dbm: int, advertised: tuple[str, ...] | None = None) -> str:
        address = new_address()
        around.append(
            Peripheral(address, Tank(), name=name, services=services, rssi_dbm=rssi_dbm, advertised=advertised)
        )
        return address

    around: list[Peripheral] = []
    watch = peripheral("Watch", {}, rssi_dbm=-30)
    cat = peripheral("Mini Printer", CAT, rssi_dbm=-35)
    silent = peripheral("MTP-II", MTP_II, rssi_dbm=-70, advertised=())
    nameless = peripheral("BK-3", ISSC, rssi_dbm=-50)
    async with FakeBluez(around):
        found = await scan(0.1)
    assert [one.address for one in found] == [nameless, silent, watch, cat]
    assert [one.looks_like_printer for one in found] == [True, True, False, False]
    assert found[0].services == (ISSC_SERVICE,)
    assert found[1].name == "MTP-II"
    assert all(abs(one.rssi_dbm - real) <= 1 for one, real in zip(found, (-50, -70, -30, -35), strict=True))


async def test_what_a_scan_has_seen_is_connected_to_at_once() -> None:
    peripheral = Peripheral(new_address(), Tank())
    async with FakeBluez([peripheral]) as bluez:
        await scan(0.05)
        link = BleLink(peripheral.address, printer_profile())
        await link.open()
        await link.close()
        assert bluez.discoveries == 1


# Anything at all.

STEP = st.tuples(st.integers(1, 700), st.sampled_from([0, 0.002, 0.02]), st.booleans())
STEPS = st.lists(STEP, min_size=1, max_size=8)


@given(steps=STEPS, chunk_bytes=st.integers(20, 200), one_write=st.booleans())
@settings(max_examples=15)
def test_what_was_taken_arrives_once_and_in_order(
    steps: list[tuple[int, float, bool]], chunk_bytes: int, one_write: bool
) -> None:
    async def story() -> None:
        tank = Tank(1024, drain_bytes_per_s=400_000)
        profile = printer_profile(buffer_bytes=1024, barrier_bytes=256, chunk_bytes=chunk_bytes)
        offset = 0
        async with in_reach(tank, profile=profile, one_write=one_write) as (link, _):
            await link.open()
            for size, timeout_s, paper in steps:
                tank.paper = paper
                offset += await link.write(PATTERN[offset : offset + size], timeout_s)
            tank.paper = True
            await arrived(tank, offset)
            assert await link.read(0.002) == b""
        assert bytes(tank.taken) == PATTERN[:offset]

    asyncio.run(story())
