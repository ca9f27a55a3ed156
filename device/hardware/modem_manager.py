"""ModemManager, which owns the modem wherever it runs: the IMEI it has read, and positions of the modem's receiver.

Asked over D-Bus, never started by us: a branch that switched it off wants it off. The modem is not enabled either,
since that is a matter of the network.
Source: the D-Bus reference of ModemManager 1.20: Modem.EquipmentIdentifier, Modem.State, Modem3gpp.Imei,
Modem.Location Capabilities, Enabled, Setup, GetLocation; MMModemLocationSource, MMModemState.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from dbus_fast import BusType, DBusError, Message, MessageFlag, MessageType, Variant
from dbus_fast.aio import MessageBus

from device.hardware.nmea import NmeaReader
from device.hardware.sightings import (
    RETRY_MIN_S,
    SILENT_S,
    UNKNOWN_ACCURACY_DM,
    Sighting,
    Tell,
    run_for_ever,
)
from protocol.values import Fix, NoFix

NAME = "org.freedesktop.ModemManager1"
ROOT = "/org/freedesktop/ModemManager1"
MODEM = f"{NAME}.Modem"
MODEM_3GPP = f"{MODEM}.Modem3gpp"
LOCATION = f"{MODEM}.Location"
GPS_RAW, GPS_NMEA = 1 << 1, 1 << 2
STATE_ENABLED = 6  # MM_MODEM_STATE_ENABLED: from here on the modem is in use, below it is off or stuck.
SOURCE = "modem-manager"
CALL_S = 5.0  # Modem.Location answers from memory, Setup after one or two AT commands.
POLL_S = 1.0  # A receiver has something new once a second.
_LAST_CALL_S = 1.0  # Nobody waits longer for a source to end.
_OBJECTS = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_ABSENT = frozenset(
    ("org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner")
)  # What the bus itself says.
_WRONG_STATE = f"{NAME}.Error.Core.WrongState"


class ModemManagerError(Exception):
    """ModemManager cannot be asked, or refuses. error: the D-Bus error's name, "" where there is no answer at all.

    absent: it does not run, so the modem's ports are nobody's.
    """

    def __init__(self, error: str, sentence: str, *, absent: bool = False) -> None:
        super().__init__(sentence)
        self.error = error
        self.absent = absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Modem:
    """A modem that ModemManager knows. location: the sources it can be asked for, as bits; 0 without any."""

    path: str
    equipment: str
    imei: str
    state: int
    location: int
    enabled: int

    @property
    def has_receiver(self) -> bool:
        return bool(self.location & (GPS_RAW | GPS_NMEA))

    @property
    def is_on(self) -> bool:
        return self.state >= STATE_ENABLED


class ModemManager:
    """A connection to it. Use `reach`."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus

    async def call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: tuple[object, ...] = (),
        *,
        returns: str = "",
        timeout_s: float = CALL_S,
    ) -> list[Any]:
        """Call a method whose answer has the signature `returns`. Raises ModemManagerError."""
        message = Message(
            destination=NAME,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
            flags=MessageFlag.NO_AUTOSTART,
        )
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._bus.call(message)
        except (OSError, EOFError, DBusError) as error:  # A time-out is an OSError too.
            raise ModemManagerError("", f"ModemManager did not answer {member}.") from error
        if reply.message_type is not MessageType.METHOD_RETURN:
            name = reply.error_name or ""
            if name in _ABSENT:
                raise ModemManagerError(name, "ModemManager does not run.", absent=True)
            said = " ".join(map(str, reply.body)) or name
            raise ModemManagerError(name, f"ModemManager refused {member}: {said}.")
        if reply.signature != returns:
            raise ModemManagerError("", f"ModemManager answers {member} with {reply.signature!r}, not {returns!r}.")
        return reply.body

    async def modems(self) -> tuple[Modem, ...]:
        """All modems, in the order of their paths. Raises ModemManagerError."""
        (objects,) = await self.call(ROOT, _OBJECTS, "GetManagedObjects", returns="a{oa{sa{sv}}}")
        modems = (_modem(path, interfaces) for path, interfaces in objects.items() if MODEM in interfaces)
        return tuple(sorted(modems, key=lambda modem: _number_of(modem.path)))


@asynccontextmanager
async def reach() -> AsyncIterator[ModemManager]:
    """Connect to the system bus. Raises ModemManagerError where there is none."""
    bus: MessageBus | None = None
    try:
        async with asyncio.timeout(CALL_S):
            bus = MessageBus(bus_type=BusType.SYSTEM)
            await bus.connect()
    except (OSError, EOFError, DBusError, ValueError) as error:
        if bus is not None:
            bus.disconnect()
        raise ModemManagerError("", "There is no D-Bus system bus, hence no ModemManager.", absent=True) from error
    try:
        yield ModemManager(bus)
    finally:
        bus.disconnect()
        with suppress(OSError, EOFError):  # The bus went first.
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast does not annotate it.


def _modem(path: str, interfaces: dict[str, dict[str, Variant]]) -> Modem:
    def value(interface: str, name: str, kind: type[Any]) -> Any:
        variant = interfaces.get(interface, {}).get(name)
        return variant.value if variant is not None and isinstance(variant.value, kind) else kind()

    return Modem(
        path=path,
        equipment=value(MODEM, "EquipmentIdentifier", str),
        imei=value(MODEM_3GPP, "Imei", str),
        state=value(MODEM, "State", int),
        location=value(LOCATION, "Capabilities", int),
        enabled=value(LOCATION, "Enabled", int),
    )


def _number_of(path: str) -> tuple[int, str]:
    """ModemManager numbers modems; 10 comes after 9."""
    number = path.rpartition("/")[2]
    return (int(number) if number.isascii() and number.isdigit() else 2**31, path)


class ModemManagerSource:
    """The receiver in the first modem that has one. What was gathered before for others stays on afterwards too."""

    def __init__(self, *, poll_s: float = POLL_S, silent_s: float = SILENT_S, retry_min_s: float = RETRY_MIN_S) -> None:
        self._poll_s = poll_s
        self._silent_s = silent_s
        self._retry_min_s = retry_min_s

    async def run(self, tell: Tell) -> None:
        """As `PositionSource.run`."""
        await run_for_ever(self._attempt, tell, SOURCE, retry_min_s=self._retry_min_s)

    async def _attempt(self, tell: Tell) -> NoFix:
        try:
            async with reach() as manager:
                modem = next((one for one in await manager.modems() if one.has_receiver), None)
                if modem is None:
                    return NoFix.NO_RECEIVER
                wanted = modem.enabled | (modem.location & (GPS_RAW | GPS_NMEA))
                await manager.call(modem.path, LOCATION, "Setup", "ub", (wanted, False))
                try:
                    return await self._poll(manager, modem, tell)
                finally:
                    if modem.enabled != wanted:
                        with suppress(ModemManagerError):
                            await manager.call(
                                modem.path, LOCATION, "Setup", "ub", (modem.enabled, False), timeout_s=_LAST_CALL_S
                            )
        except ModemManagerError as error:
            return NoFix.SWITCHED_OFF if error.error == _WRONG_STATE else NoFix.NO_RECEIVER

    async def _poll(self, manager: ModemManager, modem: Modem, tell: Tell) -> NoFix:
        """Tell what is new until nothing is. Polled, not signalled: signals would show the position to the whole bus,
        and come every 30 s unless another setting of other programs is changed.

        What stays as it was may be hours old, so the first answer tells nothing. Sentences carry the time and change.
        """
        loop = asyncio.get_running_loop()
        before: object = None
        until = loop.time() + self._silent_s
        while loop.time() < until:
            (location,) = await manager.call(modem.path, LOCATION, "GetLocation", returns="a{uv}")
            now = _plain(location)
            sighting = understand(location) if before not in (None, now) else None
            before = now
            if sighting is not None:
                tell(sighting)
                until = loop.time() + self._silent_s
            await asyncio.sleep(self._poll_s)
        return NoFix.NO_SIGNAL


def understand(location: dict[int, Variant]) -> Sighting | None:
    """What GetLocation knows: the modem's sentences, or else the bare figures, whose accuracy nobody knows."""
    sentences = location.get(GPS_NMEA)
    if sentences is not None and isinstance(sentences.value, str):
        # They are kept by kind and come in any order; an RMC is to find the GGA whose accuracy it shares.
        lines = sorted(sentences.value.split(), key=lambda line: line[3:6])
        told = NmeaReader(SOURCE).feed("\n".join(lines).encode("ascii", "replace"))
        if told:
            return told[-1]
    raw = location.get(GPS_RAW)
    if raw is None or not isinstance(raw.value, dict):
        return None
    latitude, longitude = _degrees(raw.value.get("latitude"), 90), _degrees(raw.value.get("longitude"), 180)
    if latitude is None or longitude is None:
        return Sighting(fix=NoFix.NO_SIGNAL, source=SOURCE)
    fix = Fix(
        latitude_e7=round(latitude * 10**7),
        longitude_e7=round(longitude * 10**7),
        accuracy_dm=UNKNOWN_ACCURACY_DM,
        age_s=0,
    )
    return Sighting(fix=fix, source=SOURCE)


def _degrees(variant: object, most: int) -> float | None:
    """An angle between -most and most, which NaN is not."""
    if isinstance(variant, Variant) and isinstance(variant.value, float) and -most <= variant.value <= most:
        return variant.value
    return None


def _plain(value: object) -> object:
    """The value without its D-Bus wrapping, to be compared."""
    if isinstance(value, Variant):
        return _plain(value.value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value
