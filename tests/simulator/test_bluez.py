"""The simulated Bluetooth, seen through bleak's own BlueZ backend."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError, BleakError

from simulator.bluez import FakeBluez
from simulator.bluez_bus import ADDRESS_VARIABLE, BusError, private_bus
from simulator.bluez_peripheral import MTP_II, Faults, Peripheral, uuid_of

ADDRESS = "AA:BB:CC:00:00:01"
WRITE, NOTIFY = uuid_of(0x2AF1), uuid_of(0x2AF0)
PATTERN = bytes(range(256)) * 32


class Tank:
    """A receive buffer that drains at an even speed while there is paper, and keeps what it took and what it lost."""

    def __init__(self, size_bytes: int = 1 << 20, drain_bytes_per_s: float = 1e9) -> None:
        self.size_bytes = size_bytes
        self.drain_bytes_per_s = drain_bytes_per_s
        self.taken = bytearray()
        self.lost_bytes = 0
        self.on_drop: Callable[[], None] = lambda: None
        self.say: Callable[[bytes], None] = lambda said: None
        self._paper = asyncio.Event()
        self._paper.set()
        self._held_bytes = 0.0
        self._at_s = 0.0

    @property
    def paper(self) -> bool:
        return self._paper.is_set()

    @paper.setter
    def paper(self, there: bool) -> None:
        self._pass_time()
        if there:
            self._paper.set()
        else:
            self._paper.clear()

    def _pass_time(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self.paper:
            self._held_bytes = max(0.0, self._held_bytes - (now_s - self._at_s) * self.drain_bytes_per_s)
        self._at_s = now_s

    @property
    def room(self) -> int:
        self._pass_time()
        return int(self.size_bytes - self._held_bytes)

    async def room_for(self, count: int) -> None:
        while self.room < count:
            await self._paper.wait()
            await asyncio.sleep((count - self.room) / self.drain_bytes_per_s)

    def receive(self, data: bytes) -> int:
        size = min(self.room, len(data))
        self._held_bytes += size
        self.taken += data[:size]
        return size

    def force(self, data: bytes) -> None:
        self.lost_bytes += len(data) - self.receive(data)

    def attach(self, said: Callable[[bytes], None]) -> None:
        self.say = said


@asynccontextmanager
async def connected(
    peripheral: Peripheral, *, one_write: bool = True, on_fall: Callable[[], None] = lambda: None
) -> AsyncIterator[BleakClient]:
    """bleak connected to this peripheral, with nothing of ours between."""
    async with FakeBluez([peripheral], one_write=one_write):
        device = await BleakScanner.find_device_by_address(peripheral.address, timeout=5)
        assert device is not None
        async with BleakClient(device, lambda _: on_fall()) as client:
            yield client


def sockets() -> int:
    """How many this process has open."""
    return sum(file.is_socket() for file in Path("/proc/self/fd").iterdir())


def children() -> list[str]:
    """The processes that this one has started and not seen end."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()


def test_without_a_dbus_daemon_a_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BusError, match="apt install dbus"), private_bus():
        pytest.fail("there is no bus")


@pytest.mark.parametrize("before", [None, "unix:path=/run/dbus/somebody"])
def test_the_system_bus_is_what_it_was_after_the_private_one(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    if before is None:
        monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(ADDRESS_VARIABLE, before)
    with private_bus() as address:
        assert os.environ[ADDRESS_VARIABLE] == address
        socket = Path(address.partition("path=")[2].partition(",")[0])
        assert socket.is_socket()
    assert os.environ.get(ADDRESS_VARIABLE) == before
    assert not socket.parent.exists()


async def test_nothing_stays_open_behind_a_connection_that_nobody_closed() -> None:
    before, processes = sockets(), children()
    async with FakeBluez([Peripheral(ADDRESS, Tank())]) as bluez:
        device = await BleakScanner.find_device_by_address(ADDRESS, timeout=5)
        assert device is not None
        client = BleakClient(device)
        await client.connect()
        assert sockets() > before
        assert bluez.address == os.environ[ADDRESS_VARIABLE]
        assert len(children()) == len(processes) + 1
    await client.disconnect()
    assert sockets() == before
    assert children() == processes


async def test_two_radios_one_after_the_other_on_a_bus_that_outlives_them() -> None:
    with private_bus() as address:
        for name in ("first", "second"):
            async with FakeBluez([Peripheral(ADDRESS, Tank(), name=name)], bus_address=address):
                device = await BleakScanner.find_device_by_name(name, timeout=5)
                assert device is not None
                assert device.name == name


async def test_another_process_finds_the_printer_by_the_address_of_the_bus() -> None:
    look = """
import asyncio
from bleak import BleakScanner
device = asyncio.run(BleakScanner.find_device_by_name("MTP-II", timeout=10))
print(device.address)
"""
    async with FakeBluez([Peripheral(ADDRESS, Tank())]) as bluez:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", look),
            env={**os.environ, ADDRESS_VARIABLE: bluez.address},
            stdout=subprocess.PIPE,
        )
        said, _ = await process.communicate()
    assert said.decode().strip() == ADDRESS


@pytest.mark.parametrize("mtu_bytes", [23, 185, 247, 512])
async def test_the_negotiated_size_is_told_and_kept(mtu_bytes: int) -> None:
    tank = Tank()
    async with connected(Peripheral(ADDRESS, tank, mtu_bytes=mtu_bytes)) as client:
        characteristic = client.services.get_characteristic(WRITE)
        assert characteristic is not None
        size = characteristic.max_write_without_response_size
        assert size == mtu_bytes - 3
        with pytest.raises(BleakDBusError, match="Failed to initiate write"):
            await client.write_gatt_char(WRITE, PATTERN[: size + 1], response=False)
        await client.write_gatt_char(WRITE, PATTERN[:size], response=False)
        await client.write_gatt_char(WRITE, b"!", response=True)
    assert bytes(tank.taken) == PATTERN[:size] + b"!"


async def test_without_response_what_finds_no_room_is_lost() -> None:
    tank = Tank(2048, drain_bytes_per_s=5000)
    async with connected(Peripheral(ADDRESS, tank)) as client:
        for start in range(0, 6000, 180):
            await client.write_gatt_char(WRITE, PATTERN[start : start + 180], response=False)
        await client.write_gatt_char(WRITE, b"!", response=True)
    assert tank.lost_bytes > 3000


async def test_with_response_the_printer_holds_back_and_loses_nothing() -> None:
    tank = Tank(2048, drain_bytes_per_s=20_000)
    async with connected(Peripheral(ADDRESS, tank)) as client:
        for start in range(0, 6000, 180):
            await client.write_gatt_char(WRITE, PATTERN[start : start + 180], response=True)
    assert tank.lost_bytes == 0
    assert bytes(tank.taken) == PATTERN[:6120]


async def test_the_air_carries_no_more_than_it_can() -> None:
    loop = asyncio.get_running_loop()
    async with connected(Peripheral(ADDRESS, Tank(), radio_bytes_per_s=10_000, response_s=0.02)) as client:
        began_s = loop.time()
        for _ in range(9):
            await client.write_gatt_char(WRITE, bytes(180), response=False)
        queued_s = loop.time() - began_s
        await client.write_gatt_char(WRITE, bytes(180), response=True)
        carried_s = loop.time() - began_s
    assert carried_s >= 0.18 + 0.02
    assert queued_s < carried_s  # BlueZ takes commands faster than the air does.


async def test_a_link_that_falls_at_a_byte_has_delivered_what_it_did_not_acknowledge() -> None:
    tank = Tank()
    async with connected(Peripheral(ADDRESS, tank, faults=Faults(drop_at_byte=500))) as client:
        await client.write_gatt_char(WRITE, PATTERN[:180], response=True)
        await client.write_gatt_char(WRITE, PATTERN[180:360], response=True)
        with pytest.raises(BleakError):
            await client.write_gatt_char(WRITE, PATTERN[360:540], response=True)
    assert bytes(tank.taken) == PATTERN[:540]


async def test_a_link_that_falls_under_a_write_has_not_delivered_it() -> None:
    tank = Tank()
    async with connected(Peripheral(ADDRESS, tank, faults=Faults(drop_at_write=2))) as client:
        await client.write_gatt_char(WRITE, PATTERN[:180], response=True)
        with pytest.raises(BleakError):
            await client.write_gatt_char(WRITE, PATTERN[180:360], response=True)
        assert not client.is_connected
    assert bytes(tank.taken) == PATTERN[:180]


async def test_a_printer_can_drop_the_link_itself() -> None:
    tank = Tank()
    fallen = asyncio.Event()
    async with connected(Peripheral(ADDRESS, tank), on_fall=fallen.set), asyncio.timeout(5):
        tank.on_drop()
        await fallen.wait()


async def test_a_request_that_nobody_answers_ends_the_connection() -> None:
    tank = Tank(100)
    tank.paper = False
    async with connected(Peripheral(ADDRESS, tank, att_timeout_s=0.05)) as client:
        await client.write_gatt_char(WRITE, bytes(100), response=True)
        with pytest.raises(BleakError):
            await client.write_gatt_char(WRITE, b"!", response=True)


@pytest.mark.parametrize("one_write", [True, False])
async def test_bluez_lets_nothing_past_a_write_that_waits_while_others_do(one_write: bool) -> None:
    tank = Tank(100)
    tank.paper = False
    async with connected(Peripheral(ADDRESS, tank), one_write=one_write) as client:
        await client.write_gatt_char(WRITE, bytes(90), response=True)
        waiting = asyncio.create_task(client.write_gatt_char(WRITE, bytes(20), response=True))
        await asyncio.sleep(0)
        past = asyncio.create_task(client.write_gatt_char(WRITE, b"\x10\x04\x01", response=False))
        await asyncio.wait((past,), timeout=0.1 if one_write else 5)
        assert past.done() is not one_write
        tank.paper = True
        await asyncio.gather(waiting, past)


@asynccontextmanager
async def listening(peripheral: Peripheral) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
    """bleak subscribed to what the printer says; the next notification."""
    inbox: asyncio.Queue[bytes] = asyncio.Queue()
    async with connected(peripheral) as client, asyncio.timeout(10):
        await client.start_notify(NOTIFY, lambda _, data: inbox.put_nowait(bytes(data)))
        yield inbox.get


async def test_a_reply_comes_whole_and_only_as_long_as_a_packet() -> None:
    tank = Tank()
    async with listening(Peripheral(ADDRESS, tank, mtu_bytes=23)) as heard:
        tank.say(b"7\x220001\x00")
        assert await heard() == b"7\x220001\x00"
        tank.say(bytes(30))
        assert [await heard(), await heard()] == [bytes(20), bytes(10)]


async def test_a_reply_can_come_in_pieces() -> None:
    tank = Tank()
    async with listening(Peripheral(ADDRESS, tank, faults=Faults(piece_bytes=3))) as heard:
        tank.say(b"7\x220001\x00")
        assert [await heard(), await heard(), await heard()] == [b"7\x220", b"001", b"\x00"]


async def test_replies_close_together_can_come_as_one() -> None:
    tank = Tank()
    async with listening(Peripheral(ADDRESS, tank, faults=Faults(merge_s=0.01))) as heard:
        tank.say(b"\x12")
        tank.say(b"\x14")
        assert await heard() == b"\x12\x14"


async def test_a_reply_can_get_lost() -> None:
    tank = Tank()
    async with listening(Peripheral(ADDRESS, tank, faults=Faults(notifications_lost=1))) as heard:
        tank.say(b"\x12")
        tank.say(b"\x14")
        assert await heard() == b"\x14"


async def test_an_adapter_that_is_off_or_not_there_is_told_apart() -> None:
    async with FakeBluez([], powered=False):
        with pytest.raises(BleakBluetoothNotAvailableError, match="powered"):
            await BleakScanner.discover(timeout=0.01)
    async with FakeBluez([], adapter=False):
        with pytest.raises(BleakBluetoothNotAvailableError, match="No Bluetooth adapters"):
            await BleakScanner.discover(timeout=0.01)


async def test_switching_the_adapter_off_ends_the_connection() -> None:
    fallen = asyncio.Event()
    async with FakeBluez([Peripheral(ADDRESS, Tank())], known=True) as bluez:
        device = await BleakScanner.find_device_by_address(ADDRESS, timeout=5)
        assert device is not None
        async with BleakClient(device, lambda _: fallen.set()):
            bluez.power(on=False)
            async with asyncio.timeout(5):
                await fallen.wait()


def test_the_services_are_those_that_dumps_of_the_printers_show() -> None:
    assert list(MTP_II) == ["000018f0-0000-1000-8000-00805f9b34fb"]
    assert [one.uuid[4:8] for one in MTP_II[uuid_of(0x18F0)]] == ["2af1", "2af0"]
