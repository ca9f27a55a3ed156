"""A printer as its radio shows it: services, one connection, the pace of the air, and all that goes wrong in it.

What prints stands behind it. A write with response is answered when the printer has room for all of it; one without
response is pushed in, and what finds no room is lost, as in cheap printers whose radio cannot hold a sender back.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

ATT_HEADER_BYTES = 3  # Of each packet on the air; the rest of the MTU is payload.
VALUE_MAX_BYTES = 512  # Longest value of an attribute. Bluetooth Core, Vol 3, Part F, 3.2.9.
ATT_TIMEOUT_S = 30.0  # A request unanswered for so long is the end of the connection. Vol 3, Part F, 3.3.3.
_ADDRESS_TAIL = "-0000-1000-8000-00805f9b34fb"


def uuid_of(number: int) -> str:
    """The 128 bits of a number that the Bluetooth SIG, or a printer maker who did not ask, uses in 16."""
    return f"{number:08x}{_ADDRESS_TAIL}"


class Flag(StrEnum):
    """What a characteristic can do, as BlueZ spells it."""

    READ = "read"
    WRITE = "write"
    COMMAND = "write-without-response"
    NOTIFY = "notify"


class Characteristic(NamedTuple):
    """One thing a service offers."""

    uuid: str
    flags: tuple[Flag, ...]


Services = Mapping[str, Sequence[Characteristic]]

# The services that printers of these makes offer. Dumps of nRF Connect and profile tables of open printer libraries.
MTP_II: Services = {
    uuid_of(0x18F0): (
        Characteristic(uuid_of(0x2AF1), (Flag.COMMAND, Flag.WRITE)),
        Characteristic(uuid_of(0x2AF0), (Flag.NOTIFY,)),
    )
}
ISSC: Services = {
    "49535343-fe7d-4ae5-8fa9-9fafd205e455": (
        Characteristic("49535343-8841-43f4-a8d4-ecbe34729bb3", (Flag.COMMAND, Flag.WRITE)),
        Characteristic("49535343-1e4d-4bd9-ba61-23c647249616", (Flag.NOTIFY,)),
    )
}
ONE_FOR_BOTH: Services = {
    "e7810a71-73ae-499d-8c15-faa9aef0c3f2": (
        Characteristic("bef8d6c9-9c21-4c9e-b632-bd58c1009f9f", (Flag.COMMAND, Flag.WRITE, Flag.NOTIFY)),
    )
}
CAT: Services = {
    uuid_of(0xAE30): (
        Characteristic(uuid_of(0xAE01), (Flag.COMMAND,)),
        Characteristic(uuid_of(0xAE02), (Flag.NOTIFY,)),
    )
}


class Printer(Protocol):
    """What stands behind the radio.

    room_for waits until so many bytes have room. receive takes what has room and says how much. force takes all, and
    loses what has none. attach tells it to whom it speaks. It calls on_drop when the link is to fall.
    """

    on_drop: Callable[[], None]

    async def room_for(self, count: int) -> None: ...
    def receive(self, data: bytes) -> int: ...
    def force(self, data: bytes) -> None: ...
    def attach(self, said: Callable[[bytes], None]) -> None: ...


class BluezError(Exception):
    """What BlueZ answers instead of a result: its name for the error, and its words."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"{name}: {words}")
        self.name = name
        self.words = words


ABORTED = "le-connection-abort-by-local"  # Interference, mostly; bleak tries again by itself.
NOT_CONNECTED = ("org.bluez.Error.Failed", "Not connected")


@dataclass(slots=True, kw_only=True)
class Faults:
    """What goes wrong; each is spent when it has happened, so that the next attempt goes well.

    absent: switched off or out of reach; neither seen nor connected to.
    connect_failures: so many attempts end in `connect_error` first.
    unresolved: the connection stands, and its services never become known.
    in_progress: so many writes are turned away first because BlueZ is busy.
    drop_at_byte: the write that carries this byte of the connection (from 1) is delivered, and the link falls before
        it is acknowledged. drop_at_write: the link falls under the write of this number (from 1): nothing arrives.
    notifications_lost: so many of the next are never heard.
    piece_bytes: replies come in pieces no longer. merge_s: replies within this time come as one.
    """

    absent: bool = False
    connect_failures: int = 0
    connect_error: str = ABORTED
    unresolved: bool = False
    in_progress: int = 0
    drop_at_byte: int | None = None
    drop_at_write: int | None = None
    notifications_lost: int = 0
    piece_bytes: int | None = None
    merge_s: float = 0.0


class Write(NamedTuple):
    """A write as it reached the printer."""

    characteristic: str
    kind: Flag
    size_bytes: int


class Peripheral:
    """A printer in reach of the radio.

    advertised: the services it names while nobody is connected; all of them unless told otherwise.
    mtu_bytes: 23..517, as negotiated. radio_bytes_per_s: pace of the air, None for no limit. response_s: what a write
    with response waits for its answer besides, about two connection intervals of a real link.
    att_timeout_s: see ATT_TIMEOUT_S. writes: what reached the printer over this connection, in order; connections: how
    many there were.
    """

    def __init__(
        self,
        address: str,
        printer: Printer,
        *,
        name: str = "MTP-II",
        services: Services = MTP_II,
        advertised: Sequence[str] | None = None,
        mtu_bytes: int = 185,
        rssi_dbm: int = -55,
        radio_bytes_per_s: float | None = None,
        response_s: float = 0.0,
        att_timeout_s: float = ATT_TIMEOUT_S,
        faults: Faults | None = None,
    ) -> None:
        assert 23 <= mtu_bytes <= 517, "no such MTU"
        self.address = address
        self.printer = printer
        self.name = name
        self.services = services
        self.advertised = tuple(services if advertised is None else advertised)
        self.mtu_bytes = mtu_bytes
        self.rssi_dbm = rssi_dbm
        self.radio_bytes_per_s = radio_bytes_per_s
        self.response_s = response_s
        self.att_timeout_s = att_timeout_s
        self.faults = faults or Faults()
        self.writes: list[Write] = []
        self.connections = 0
        self._lost: asyncio.Future[None] | None = None
        self._air_until = 0.0
        self._notify: Callable[[bytes], None] = _to_nobody
        self._unsaid = bytearray()

    @property
    def payload_bytes(self) -> int:
        """Most bytes of one write without response."""
        return self.mtu_bytes - ATT_HEADER_BYTES

    @property
    def connected(self) -> bool:
        """Whether somebody is connected."""
        return self._lost is not None

    def join(self, notify: Callable[[bytes], None], drop: Callable[[], None]) -> None:
        """Begin a connection; what the printer says goes to `notify` until `leave`, and it may `drop` the link."""
        self._lost = asyncio.get_running_loop().create_future()
        self._air_until = 0.0
        self._notify = notify
        self._unsaid.clear()
        self.writes.clear()
        self.connections += 1
        self.printer.attach(self._said)
        self.printer.on_drop = drop

    def leave(self) -> None:
        """End the connection: what is in the air never arrives."""
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        self._lost = None
        self._notify = _to_nobody

    def admit(self, data: bytes, kind: Flag, characteristic: Characteristic) -> None:
        """Say at once, as BlueZ does, what it would not even put on the air. Raises BluezError."""
        if self._lost is None:
            raise BluezError(*NOT_CONNECTED)
        if kind not in characteristic.flags:
            raise BluezError("org.bluez.Error.NotSupported", "Operation is not supported")
        if self.faults.in_progress:
            self.faults.in_progress -= 1
            raise BluezError("org.bluez.Error.InProgress", "Operation already in progress")
        if len(data) > (self.payload_bytes if kind is Flag.COMMAND else VALUE_MAX_BYTES):
            raise BluezError("org.bluez.Error.Failed", "Failed to initiate write")

    async def carry(self, data: bytes, kind: Flag, characteristic: Characteristic) -> bool:
        """Bring a write to the printer. False: the link fell, or falls now, and whoever waits hears nothing good."""
        lost = self._lost
        if lost is None or not await self._in_the_air(lost, len(data)):
            return False
        if self.faults.drop_at_write == len(self.writes) + 1:
            self.faults.drop_at_write = None
            return False
        if kind is Flag.COMMAND:
            self.printer.force(data)
        elif not await self._taken(lost, data):
            return False
        if lost.done():
            return False
        self.writes.append(Write(characteristic.uuid, kind, len(data)))
        limit = self.faults.drop_at_byte
        if limit is not None and sum(write.size_bytes for write in self.writes) >= limit:
            self.faults.drop_at_byte = None
            return False
        return kind is Flag.COMMAND or await self._passes(lost, self.response_s)

    async def _in_the_air(self, lost: asyncio.Future[None], size_bytes: int) -> bool:
        if self.radio_bytes_per_s is None:
            return True
        now = asyncio.get_running_loop().time()
        self._air_until = max(self._air_until, now) + size_bytes / self.radio_bytes_per_s
        return await self._passes(lost, self._air_until - now)

    async def _taken(self, lost: asyncio.Future[None], data: bytes) -> bool:
        """Wait until the printer has taken a request, for as long as ATT lets it wait."""
        has_room = asyncio.ensure_future(self.printer.room_for(len(data)))
        try:
            await asyncio.wait((has_room, lost), timeout=self.att_timeout_s, return_when=asyncio.FIRST_COMPLETED)
            return has_room.done() and not lost.done() and self.printer.receive(data) == len(data)
        finally:
            has_room.cancel()

    async def _passes(self, lost: asyncio.Future[None], seconds: float) -> bool:
        """Whether the connection stands after so long."""
        if seconds > 0 and not lost.done():
            await asyncio.wait((lost,), timeout=seconds)
        return not lost.done()

    def _said(self, data: bytes) -> None:
        if self._lost is None:
            return
        if self.faults.notifications_lost:
            self.faults.notifications_lost -= 1
            return
        if self.faults.merge_s <= 0:
            self._say(data)
            return
        if not self._unsaid:
            asyncio.get_running_loop().call_later(self.faults.merge_s, self._say_together, self._lost)
        self._unsaid += data

    def _say_together(self, connection: asyncio.Future[None]) -> None:
        if connection is self._lost:
            data = bytes(self._unsaid)
            self._unsaid.clear()
            self._say(data)

    def _say(self, data: bytes) -> None:
        size = min(self.faults.piece_bytes or self.payload_bytes, self.payload_bytes)
        for start in range(0, len(data), size):
            self._notify(data[start : start + size])


def _to_nobody(_: bytes) -> None:
    """What a printer says while nobody is connected."""
