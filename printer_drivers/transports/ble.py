"""Bluetooth LE: find printers, connect to one, and bring bytes to it no faster than it can take them.

Speed comes from writes without response; what keeps a printer from losing bytes is the write with response, which it
answers when it has room. One such write stands at the end of each barrier, and wherever the printer could be full.
bleak speaks to BlueZ; this module is imported only where Bluetooth is asked for, since that takes a while.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from bleak import BleakAdapter, BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDBusError, BleakError

from printer_drivers.profiles import BLE_SERVICES, CAT_PRINTER_SERVICE, Profile
from printer_drivers.transports import Inbox, LinkError, LinkLost

SCAN_S = 6.0  # Printers advertise at least once a second; a weak signal misses some.
CONNECT_S = 5.0  # One attempt. A printer that listens is connected to in under a second.
_CONNECT_TRIES = 3  # Interference breaks one attempt in a few; a fourth would not help.
_OPEN_MAX_S = 20.0  # All attempts and a scan; after that the collector is told.
_CLOSE_S = 3.0  # BlueZ answers within one; a link that will not close is left to it.
ANSWER_S = 20.0  # ATT gives a request up after 30 s and ends the link; we end it before, and know that we did.
_URGE_S = 0.2  # BlueZ refuses a second write beside one that waits, and bleak would ask again for ever.
_SLOW_ANSWER_S = 0.2  # Longer than two of the slowest connection intervals: the printer was full.
_KNOWN_MAX = 64  # Printers remembered from scans; a branch has fewer.

_LOST = "The Bluetooth connection is gone. See that the printer is on and near."

# All that bleak and the D-Bus under it raise when the world is not as we want it. TimeoutError is an OSError; bleak
# asserts that its bus is there although a disconnect may have taken it, and a bus address can be nonsense.
_FAILURES = (BleakError, OSError, EOFError, AssertionError, ValueError)

_COMMAND, _REQUEST = "write-without-response", "write"
_WRITABLE = frozenset({_COMMAND, _REQUEST})
_NOTIFYING = frozenset({"notify", "indicate"})

# Many printers name no service before one is connected, so names count too; lower case.
_PRINTER_NAMES = ("printer", "mtp-", "mpt-", "pt-2", "rpp", "tm-p", "tm-m", "spp-r", "xp-p", "sm-l", "star l", "woosim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a scan saw. name: "" when it does not say; services: those it names, which may be none of those it has."""

    address: str
    name: str
    rssi_dbm: int
    looks_like_printer: bool
    services: tuple[str, ...]


_known: dict[str, BLEDevice] = {}  # By address, latest last: with these one can connect without a scan.


async def scan(seconds: float) -> tuple[Found, ...]:
    """Look around for so long; likely printers first, then the strongest.

    Raises LinkError: no-bluetooth, not-allowed.
    """
    with _in_sentences():
        seen = await BleakScanner.discover(timeout=seconds, return_adv=True)
    found = []
    for device, advertisement in seen.values():
        _remember(device)
        name = advertisement.local_name or device.name or ""
        services = tuple(sorted(uuid.lower() for uuid in advertisement.service_uuids))
        found.append(
            Found(
                address=device.address,
                name=name,
                rssi_dbm=advertisement.rssi,
                looks_like_printer=_looks_like_printer(name, services),
                services=services,
            )
        )
    return tuple(sorted(found, key=lambda one: (not one.looks_like_printer, -one.rssi_dbm, one.address)))


def _looks_like_printer(name: str, services: Iterable[str]) -> bool:
    if not BLE_SERVICES.keys().isdisjoint(services):
        return True
    return CAT_PRINTER_SERVICE not in services and any(part in name.lower() for part in _PRINTER_NAMES)


def _remember(device: BLEDevice) -> None:
    _known.pop(device.address, None)
    _known[device.address] = device
    while len(_known) > _KNOWN_MAX:
        del _known[next(iter(_known))]


class BleLink:
    """A link to the printer of this Bluetooth address, as `printer_drivers.transports.Link` describes it.

    scan_s: how long it is looked for where BlueZ does not know it yet. connect_s: how long one attempt may take.
    answer_s: how long one write may wait for its answer before the link counts as lost.
    A write that the printer does not answer stays on its way, and its bytes count as taken; the next write waits for
    it first. So never more than one is outstanding, and what was not taken can be offered again without doubling.
    """

    def __init__(
        self,
        address: str,
        profile: Profile,
        *,
        scan_s: float = SCAN_S,
        connect_s: float = CONNECT_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._address = address.upper()
        self._profile = profile
        self._scan_s = scan_s
        self._connect_s = connect_s
        self._answer_s = answer_s
        self._client: BleakClient | None = None
        self._line: _Line | None = None
        self._fallen: Callable[[], None] = _to_nobody

    async def open(self) -> None:
        """Find the printer, connect, choose its service and listen. Takes _OPEN_MAX_S at most. Raises LinkError."""
        assert self._client is None, "a link is opened once, and closed before it is opened again"
        try:
            with _in_sentences():
                async with asyncio.timeout(_OPEN_MAX_S):
                    self._client = await self._connect()
                    self._line = await self._listen(self._client)
        finally:
            if self._line is None:
                await self.close()

    async def _listen(self, client: BleakClient) -> "_Line":
        chosen = choose(client.services, self._profile.ble.services)
        line = _Line(client, chosen, self._profile, self._answer_s)
        self._fallen = line.fall
        if chosen.notify is not None:
            await client.start_notify(chosen.notify, line.hear)
        if not client.is_connected:
            raise BleakError("it left at once")
        return line

    async def close(self) -> None:
        """Hang up, within _CLOSE_S or so; what is still on its way is given up."""
        line, self._line = self._line, None
        client, self._client = self._client, None
        self._fallen = _to_nobody
        if line is not None:
            await line.give_up()
        if client is not None:
            with suppress(*_FAILURES):
                async with asyncio.timeout(_CLOSE_S):
                    await client.disconnect()

    async def write(self, data: bytes, timeout_s: float) -> int:
        """See `Link.write`. At least one chunk is tried whenever nothing is outstanding."""
        return await self._open_line().write(data, timeout_s)

    async def urge(self, data: bytes) -> bool:
        """See `Link.urge`. BlueZ lets nothing past a write that waits for its answer: False, then."""
        return await self._open_line().urge(data)

    async def read(self, timeout_s: float) -> bytes:
        """See `Link.read`."""
        return await self._open_line().inbox.take(timeout_s)

    def _open_line(self) -> "_Line":
        if self._line is None:
            raise LinkLost("lost", _LOST)
        return self._line

    async def _connect(self) -> BleakClient:
        """Connect, with a device that is known already if there is one; each failure is followed by a new look."""
        device = _known.get(self._address) or await self._still_connected()
        tried = 0
        while True:
            if device is None:
                device = await BleakScanner.find_device_by_address(self._address, timeout=self._scan_s)
            if device is None:
                raise LinkError(
                    "not-found",
                    f"No printer answers as {self._address}. Switch it on, come closer, and see that no other phone or "
                    "handheld is connected to it.",
                )
            client = BleakClient(device, self._fell, timeout=self._connect_s)
            try:
                await client.connect()
            except _FAILURES:
                _known.pop(self._address, None)
                device = None
                tried += 1
                if tried == _CONNECT_TRIES:
                    raise
            else:
                _remember(device)
                return client

    async def _still_connected(self) -> BLEDevice | None:
        """A printer that an earlier run left connected does not advertise, so no scan would find it."""
        adapter = await BleakAdapter.get()
        devices = await adapter.get_connected_devices([*BLE_SERVICES, CAT_PRINTER_SERVICE])
        return next((device for device in devices if device.address.upper() == self._address), None)

    def _fell(self, client: BleakClient) -> None:
        """Told by bleak when a connection ends, attempts that failed included."""
        if client is self._client:
            self._fallen()


def _to_nobody() -> None:
    """For connections that end before anybody uses them."""


class Chosen(NamedTuple):
    """The characteristics to use; notify: None when the printer says nothing."""

    write: BleakGATTCharacteristic
    notify: BleakGATTCharacteristic | None


def choose(services: BleakGATTServiceCollection, preferred: Iterable[str]) -> Chosen:
    """The first service, of the preferred and then of all known ones, that really can be written to.

    Raises LinkError: wrong-printer, no-service.
    """
    offered = {service.uuid.lower(): service for service in services}
    for uuid in (*preferred, *BLE_SERVICES):
        if uuid not in offered:
            continue
        known = BLE_SERVICES[uuid]
        write = _able(offered[uuid], (known.write,), _WRITABLE)
        if write is not None:
            # Of several the first speaks; the others tell of things in formats that nobody wrote down.
            return Chosen(write, _able(offered[uuid], known.notify, _NOTIFYING))
    if CAT_PRINTER_SERVICE in offered:
        raise LinkError("wrong-printer", "This toy printer does not understand ESC/POS. Choose a receipt printer.")
    names = ", ".join(sorted(offered)) or "none"
    raise LinkError("no-service", f"This device offers no service that receipts can be written to. Found: {names}.")


def _able(service: BleakGATTService, uuids: Iterable[str], abilities: frozenset[str]) -> BleakGATTCharacteristic | None:
    """The first of these characteristics that is there and has one of the abilities."""
    offered = {one.uuid.lower(): one for one in service.characteristics if not abilities.isdisjoint(one.properties)}
    return next((offered[uuid] for uuid in uuids if uuid in offered), None)


class _Filling:
    """How much the printer holds at most, while it prints at its profile's speed or faster; the air left aside."""

    def __init__(self, drain_bytes_per_s: int, limit_bytes: int) -> None:
        self._drain_bytes_per_s = drain_bytes_per_s
        self._limit_bytes = limit_bytes
        self._held_bytes = 0.0
        self._at_s = 0.0

    def room_in_s(self, size_bytes: int, now_s: float) -> float:
        """Seconds until so many bytes have room; 0 when they have it now."""
        self._drain(now_s)
        return max(0.0, (self._held_bytes + size_bytes - self._limit_bytes) / self._drain_bytes_per_s)

    def add(self, size_bytes: int, now_s: float) -> None:
        self._drain(now_s)
        self._held_bytes = min(self._held_bytes + size_bytes, self._limit_bytes)

    def fill(self, now_s: float) -> None:
        """The printer has shown that it was full."""
        self._held_bytes, self._at_s = self._limit_bytes, now_s

    def _drain(self, now_s: float) -> None:
        self._held_bytes = max(0.0, self._held_bytes - (now_s - self._at_s) * self._drain_bytes_per_s)
        self._at_s = now_s


class _Line:
    """One connection, from the choice of its service until it falls."""

    def __init__(self, client: BleakClient, chosen: Chosen, profile: Profile, answer_s: float) -> None:
        settings = profile.ble
        properties = chosen.write.properties
        self.inbox = Inbox()
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._client = client
        self._writing = chosen.write
        self._commands = _COMMAND in properties
        self._requests = _REQUEST in properties
        self._chunk_bytes = min(chosen.write.max_write_without_response_size, settings.chunk_bytes)
        self._barrier_bytes = settings.barrier_bytes
        self._answer_s = answer_s
        self._gap_s = settings.gap_ms / 1000
        # What is in the air drains no printer, and is at most one barrier: so much of the buffer stays out of the sum.
        limit_bytes = profile.buffer_bytes - settings.barrier_bytes
        if not self._requests:
            limit_bytes = settings.barrier_bytes  # A printer that answers no write cannot hold us back.
        self._filling = _Filling(settings.drain_bytes_per_s, limit_bytes)
        self._unanswered_bytes = 0
        self._held: asyncio.Task[None] | None = None
        self._held_since_s = 0.0

    def hear(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        """The printer says something."""
        self.inbox.put(bytes(data))

    def fall(self) -> None:
        """The connection is gone; whoever waits is told."""
        self.inbox.lose(_LOST)
        if not self._lost.done():
            self._lost.set_result(None)

    async def give_up(self) -> None:
        """Stop waiting for what is on its way."""
        self.fall()
        if self._held is not None:
            self._held.cancel()
            await asyncio.gather(self._held, return_exceptions=True)
            self._held = None

    async def write(self, data: bytes, timeout_s: float) -> int:
        until_s = _now_s() + timeout_s
        taken = 0
        while await self._settled(until_s) and taken < len(data) and (not taken or _now_s() < until_s):
            chunk = data[taken : taken + self._chunk_bytes]
            answered = self._wants_answer(len(chunk))
            if not answered and not await self._has_room(len(chunk), until_s):
                break
            self._send(chunk, answered=answered)
            taken += len(chunk)
        return taken

    async def urge(self, data: bytes) -> bool:
        if self._commands and not await self._settled(_now_s()):
            return await self._slip_past(data)
        if not await self._settled(_now_s() + _URGE_S):
            return False
        self._send(data, answered=not self._commands)
        await self._settled(_now_s() + _URGE_S)
        return True

    async def _slip_past(self, data: bytes) -> bool:
        try:
            async with asyncio.timeout(_URGE_S):
                await self._client.write_gatt_char(self._writing, data, response=False)
        except TimeoutError:
            self.inbox.check()
            return False
        except _FAILURES as error:
            raise self._broken() from error
        return True

    def _wants_answer(self, size_bytes: int) -> bool:
        """Whether a chunk has to be answered for: at the end of each barrier, and wherever the printer may be full."""
        if not self._commands:
            return True
        if not self._requests:
            return False
        next_too_much = self._unanswered_bytes + size_bytes + self._chunk_bytes > self._barrier_bytes
        return next_too_much or self._filling.room_in_s(size_bytes, _now_s()) > 0

    async def _has_room(self, size_bytes: int, until_s: float) -> bool:
        """Wait until a chunk that nobody answers for has room in the printer, by its profile's speed."""
        now_s = _now_s()
        wait_s = self._filling.room_in_s(size_bytes, now_s)
        if wait_s > 0:
            await asyncio.wait((self._lost,), timeout=max(0.0, min(wait_s, until_s - now_s)))
            self.inbox.check()
        return now_s + wait_s <= until_s

    def _send(self, chunk: bytes, *, answered: bool) -> None:
        if answered:
            self._unanswered_bytes = 0
        else:
            self._unanswered_bytes += len(chunk)
            self._filling.add(len(chunk), _now_s())
        self._held_since_s = _now_s()
        self._held = asyncio.get_running_loop().create_task(self._deliver(chunk, answered=answered))

    async def _deliver(self, chunk: bytes, *, answered: bool) -> None:
        started_s = _now_s()
        await self._client.write_gatt_char(self._writing, chunk, response=answered)
        if answered:
            now_s = _now_s()
            self._filling.add(len(chunk), now_s)  # Only now: until there was room, the printer held it outside.
            if now_s - started_s > _SLOW_ANSWER_S:
                self._filling.fill(now_s)
        elif self._gap_s:
            await asyncio.sleep(self._gap_s)

    async def _settled(self, until_s: float) -> bool:
        """Whether nothing is outstanding, or no more, at that time. Raises LinkLost."""
        if self._held is None:
            self.inbox.check()
            return True
        await asyncio.wait(
            (self._held, self._lost), timeout=max(0.0, until_s - _now_s()), return_when=asyncio.FIRST_COMPLETED
        )
        if self._held.done():
            held, self._held = self._held, None
            try:
                held.result()
            except _FAILURES as error:
                raise self._broken() from error
            return True
        self.inbox.check()
        if _now_s() - self._held_since_s > self._answer_s:
            raise self._broken()
        return False

    def _broken(self) -> LinkLost:
        """Nobody knows how much of what was sent has arrived: this connection is at its end."""
        self.fall()
        return LinkLost("lost", _LOST)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


@contextmanager
def _in_sentences() -> Iterator[None]:
    """What bleak raises becomes a LinkError that says what to do."""
    try:
        yield
    except _FAILURES as error:
        raise _refusal(error) from error


_OFF = ("no-bluetooth", "Bluetooth is switched off. Switch it on and try again.")
_DENIED = ("not-allowed", "This user may not use Bluetooth. Add the user to the group bluetooth, and log in again.")
_NO_SERVICE = ("no-bluetooth", "Bluetooth is not running here. Start it: sudo systemctl start bluetooth")
_NO_RADIO = ("no-bluetooth", "There is no Bluetooth adapter that can reach printers. Plug one in.")
_NO_ANSWER = (
    "no-connection",
    "The printer does not accept the connection. Switch it off and on, and see that nobody else is connected to it.",
)

_BY_DBUS_ERROR = {
    "org.bluez.Error.NotReady": _OFF,
    "org.bluez.Error.NotAuthorized": _DENIED,
    "org.freedesktop.DBus.Error.AccessDenied": _DENIED,
    "org.freedesktop.DBus.Error.ServiceUnknown": _NO_SERVICE,
    "org.freedesktop.DBus.Error.NameHasNoOwner": _NO_SERVICE,
}


def _refusal(error: BaseException) -> LinkError:
    match error:
        case BleakBluetoothNotAvailableError(reason=BleakBluetoothNotAvailableReason.POWERED_OFF):
            return LinkError(*_OFF)
        case BleakBluetoothNotAvailableError(reason=BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM):
            return LinkError(*_DENIED)
        case BleakBluetoothNotAvailableError():
            return LinkError(*_NO_RADIO)
        case BleakDBusError():
            return LinkError(*_BY_DBUS_ERROR.get(error.dbus_error, _NO_ANSWER))
        case BleakError() | TimeoutError():
            return LinkError(*_NO_ANSWER)
        case _:
            return LinkError(*_NO_SERVICE)  # The D-Bus itself is not there, or left.
