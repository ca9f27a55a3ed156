"""The D-Bus face of BlueZ, for printers that are not there: bleak's own backend finds them, connects and writes.

Only what bleak and a printer need of org.bluez is here: one adapter, discovery, devices, GATT services. Errors and the
order of signals are those of BlueZ 5.66 as bleak knows them.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from simulator.bluez_bus import private_bus
from simulator.bluez_peripheral import ABORTED, NOT_CONNECTED, BluezError, Characteristic, Flag, Peripheral, uuid_of

ADAPTER_PATH = "/org/bluez/hci0"
_ADAPTER = "org.bluez.Adapter1"
_DEVICE = "org.bluez.Device1"
_SERVICE = "org.bluez.GattService1"
_CHARACTERISTIC = "org.bluez.GattCharacteristic1"
_OBJECTS = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES = "org.freedesktop.DBus.Properties"

_ADVERTISEMENT_S = 0.02  # The fastest that Bluetooth allows; printers take ten times that.
_RESOLVE_S = 0.005  # Services are known a moment after the connection stands.
_ABORT_S = 0.02  # A connection that is aborted was there for a moment.
_GENERIC_ATTRIBUTE = uuid_of(0x1801)  # Each device has this service.

_TYPES = {bool: "b", str: "s", bytes: "ay", tuple: "as"}
_Properties = dict[str, Variant]


def _variants(**values: bool | str | bytes | tuple[str, ...]) -> _Properties:
    """Properties in the types that D-Bus wants named."""
    return {
        name: Variant(_TYPES[type(value)], list(value) if isinstance(value, tuple) else value)
        for name, value in values.items()
    }


class FakeBluez:
    """BlueZ with these peripherals in reach, from entering to leaving; on a bus of its own unless one is given.

    The bus is this process's system bus meanwhile. `address` is for other processes: their DBUS_SYSTEM_BUS_ADDRESS.
    bus_address: where a bus of `private_bus` listens that outlives this one. discoveries: how often one was started.
    adapter: whether there is a radio at all; powered: whether it is switched on. known: BlueZ remembers the peripherals
    from an earlier day, so that they can be connected to without discovery. one_write: a characteristic takes no other
    write while one waits for its answer, as in BlueZ; other systems let writes without response past.
    Raises BusError where there is no dbus-daemon.
    """

    def __init__(
        self,
        peripherals: Sequence[Peripheral],
        *,
        bus_address: str | None = None,
        adapter: bool = True,
        powered: bool = True,
        known: bool = False,
        one_write: bool = True,
    ) -> None:
        self.address = bus_address or ""
        self.discoveries = 0
        self._own_bus = bus_address is None
        self._peripherals = {f"{ADAPTER_PATH}/dev_{one.address.replace(':', '_')}": one for one in peripherals}
        self._objects: dict[str, dict[str, _Properties]] = {"/org/bluez": {}}
        if adapter:
            self._objects[ADAPTER_PATH] = {_ADAPTER: _adapter_properties(powered=powered)}
        if known:
            for path, peripheral in self._peripherals.items():
                self._objects[path] = {_DEVICE: _device_properties(peripheral)}
        self._one_write = one_write
        self._waiting: set[str] = set()
        self._discovering: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._advertising: asyncio.Task[None] | None = None
        self._exit = ExitStack()
        self._bus: MessageBus | None = None

    async def __aenter__(self) -> Self:
        if self._own_bus:
            self.address = self._exit.enter_context(private_bus())
        self._bus = MessageBus(bus_address=self.address)
        await self._bus.connect()
        self._bus.add_message_handler(self._received)
        await self._bus.request_name("org.bluez")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in self._peripherals:
            self.drop(path)
        tasks = [*self._tasks, *([self._advertising] if self._advertising else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert self._bus is not None
        if not self._own_bus:
            self._bus.disconnect()
        # With the daemon gone all who are connected to it see their sockets close: bleak too lets go of its own.
        self._exit.close()
        with suppress(EOFError, OSError):
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast does not annotate it.
        for _ in range(3):  # bleak's reader, its watcher and who waits for them, one turn of the loop each.
            await asyncio.sleep(0)

    # What tests and scripts do to the radio.

    def path_of(self, peripheral: Peripheral) -> str:
        """The peripheral's object path."""
        return next(path for path, one in self._peripherals.items() if one is peripheral)

    def power(self, *, on: bool) -> None:
        """Switch the adapter on or off; off ends every connection."""
        if not on:
            for path in self._peripherals:
                self.drop(path)
            self._discovering.clear()
        self._set(ADAPTER_PATH, _ADAPTER, _variants(Powered=on, Discovering=bool(self._discovering)))

    def drop(self, path: str) -> None:
        """The link of this device falls, if there is one."""
        peripheral = self._peripherals[path]
        if not peripheral.connected:
            return
        peripheral.leave()
        for inner in [one for one in self._objects if one.startswith(f"{path}/")]:
            interfaces = list(self._objects.pop(inner))
            self._signal("/", _OBJECTS, "InterfacesRemoved", "oas", [inner, interfaces])
        self._set(path, _DEVICE, _variants(Connected=False, ServicesResolved=False))

    def forget(self, path: str) -> None:
        """BlueZ forgets a device, as it does half a minute after discovery has ended."""
        self.drop(path)
        if self._objects.pop(path, None) is not None:
            self._signal("/", _OBJECTS, "InterfacesRemoved", "oas", [path, [_DEVICE]])

    # Signals.

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self._bus is not None and self._bus.connected:
            # Nobody waits for a signal; the bus keeps the order.
            _ = self._bus.send(
                Message(
                    message_type=MessageType.SIGNAL,
                    path=path,
                    interface=interface,
                    member=member,
                    signature=signature,
                    body=body,
                )
            )

    def _add(self, path: str, interface: str, properties: _Properties) -> None:
        self._objects[path] = {interface: properties}
        self._signal("/", _OBJECTS, "InterfacesAdded", "oa{sa{sv}}", [path, self._objects[path]])

    def _set(self, path: str, interface: str, changed: _Properties) -> None:
        self._objects[path][interface].update(changed)
        self._signal(path, _PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changed, []])

    # Calls.

    def _received(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.interface not in {_OBJECTS, _PROPERTIES, _ADAPTER, _DEVICE, _CHARACTERISTIC}:
            return None
        task = asyncio.get_running_loop().create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _answer(self, message: Message) -> None:
        try:
            signature, body = await self._call(message)
            reply = Message.new_method_return(message, signature, body)
        except BluezError as error:
            reply = Message.new_error(message, error.name, error.words)
        if self._bus is not None and self._bus.connected:
            await self._bus.send(reply)

    async def _call(self, message: Message) -> tuple[str, list[Any]]:
        path = message.path or ""
        if message.interface == _OBJECTS:
            return "a{oa{sa{sv}}}", [self._objects]
        if path not in self._objects:
            raise BluezError("org.freedesktop.DBus.Error.UnknownObject", f"no object {path}")
        match message.interface, message.member:
            case "org.freedesktop.DBus.Properties", "GetAll":
                return "a{sv}", [self._objects[path].get(message.body[0], {})]
            case "org.freedesktop.DBus.Properties", "Set":
                self._set(path, message.body[0], {message.body[1]: message.body[2]})
            case "org.bluez.Adapter1", "SetDiscoveryFilter":
                pass
            case "org.bluez.Adapter1", "StartDiscovery":
                self._start_discovery(message.sender or "")
            case "org.bluez.Adapter1", "StopDiscovery":
                self._stop_discovery(message.sender or "")
            case "org.bluez.Device1", "Connect":
                await self._connect(path)
            case "org.bluez.Device1", "Disconnect":
                self.drop(path)
            case "org.bluez.GattCharacteristic1", "WriteValue":
                await self._write(path, bytes(message.body[0]), message.body[1])
            case "org.bluez.GattCharacteristic1", ("StartNotify" | "StopNotify") as member:
                self._notifying(path, on=member == "StartNotify")
            case _:
                raise BluezError("org.freedesktop.DBus.Error.UnknownMethod", f"no {message.interface}.{message.member}")
        return "", []

    def _start_discovery(self, sender: str) -> None:
        self._need_power()
        self.discoveries += 1
        self._discovering.add(sender)
        self._set(ADAPTER_PATH, _ADAPTER, _variants(Discovering=True))
        if self._advertising is None or self._advertising.done():
            self._advertising = asyncio.get_running_loop().create_task(self._advertise())

    def _stop_discovery(self, sender: str) -> None:
        self._need_power()
        if sender not in self._discovering:
            raise BluezError("org.bluez.Error.Failed", "No discovery started")
        self._discovering.remove(sender)
        if not self._discovering:
            self._set(ADAPTER_PATH, _ADAPTER, _variants(Discovering=False))

    async def _advertise(self) -> None:
        """Show what is in reach for as long as anybody looks: at first sight a device, then changes of its strength."""
        turn = 0
        while self._discovering:
            turn += 1
            for path, peripheral in self._peripherals.items():
                if peripheral.connected or peripheral.faults.absent:
                    continue
                if path not in self._objects:
                    self._add(path, _DEVICE, _device_properties(peripheral))
                else:
                    self._set(path, _DEVICE, {"RSSI": Variant("n", peripheral.rssi_dbm - turn % 2)})
            await asyncio.sleep(_ADVERTISEMENT_S)

    async def _connect(self, path: str) -> None:
        self._need_power()
        peripheral = self._peripherals[path]
        if peripheral.connected:
            return
        faults = peripheral.faults
        if faults.absent:
            await asyncio.sleep(peripheral.att_timeout_s)  # BlueZ waits for an advertisement, longer than anybody here.
            raise BluezError("org.bluez.Error.Failed", ABORTED)
        if faults.connect_failures:
            faults.connect_failures -= 1
            if faults.connect_error == ABORTED:
                # The connection stands for a moment, and bleak waits to see it go.
                self._set(path, _DEVICE, _variants(Connected=True))
                later = asyncio.get_running_loop().call_later
                later(_ABORT_S, self._set, path, _DEVICE, _variants(Connected=False))
            raise BluezError("org.bluez.Error.Failed", faults.connect_error)
        peripheral.join(lambda data: self._notify(path, data), lambda: self.drop(path))
        self._set(path, _DEVICE, _variants(Connected=True))
        for inner, interface, properties in _gatt(path, peripheral):
            self._add(inner, interface, properties)
        if not faults.unresolved:
            await asyncio.sleep(_RESOLVE_S)
            self._resolve(path)

    def _resolve(self, path: str) -> None:
        peripheral = self._peripherals[path]
        if peripheral.connected:  # The link may have fallen meanwhile.
            uuids = (_GENERIC_ATTRIBUTE, *peripheral.services)
            self._set(path, _DEVICE, _variants(ServicesResolved=True, UUIDs=uuids))

    async def _write(self, path: str, data: bytes, options: dict[str, Variant]) -> None:
        device, peripheral, characteristic = self._characteristic(path)
        kind = Flag.COMMAND if "type" in options and options["type"].value == "command" else Flag.WRITE
        if self._one_write and path in self._waiting:
            raise BluezError("org.bluez.Error.InProgress", "Operation already in progress")
        peripheral.admit(data, kind, characteristic)
        carrying = asyncio.get_running_loop().create_task(self._carry(device, peripheral, data, kind, characteristic))
        self._tasks.add(carrying)
        carrying.add_done_callback(self._tasks.discard)
        if kind is Flag.WRITE:  # A command is answered for as soon as it is in BlueZ's own queue.
            self._waiting.add(path)
            try:
                await carrying
            finally:
                self._waiting.discard(path)

    async def _carry(
        self, device: str, peripheral: Peripheral, data: bytes, kind: Flag, characteristic: Characteristic
    ) -> None:
        if not await peripheral.carry(data, kind, characteristic):
            self.drop(device)
            if kind is Flag.WRITE:
                raise BluezError(*NOT_CONNECTED)

    def _notifying(self, path: str, *, on: bool) -> None:
        _, _, characteristic = self._characteristic(path)
        if Flag.NOTIFY not in characteristic.flags:
            raise BluezError("org.bluez.Error.NotSupported", "Operation is not supported")
        self._set(path, _CHARACTERISTIC, _variants(Notifying=on))

    def _notify(self, device: str, data: bytes) -> None:
        for path, interfaces in self._objects.items():
            properties = interfaces.get(_CHARACTERISTIC)
            if properties is not None and path.startswith(f"{device}/") and properties["Notifying"].value:
                self._set(path, _CHARACTERISTIC, _variants(Value=data))

    def _characteristic(self, path: str) -> tuple[str, Peripheral, Characteristic]:
        """The device, the peripheral and the characteristic that a path names."""
        device = path.split("/service", maxsplit=1)[0]
        peripheral = self._peripherals[device]
        uuid = self._objects[path][_CHARACTERISTIC]["UUID"].value
        found = (one for offered in peripheral.services.values() for one in offered if one.uuid == uuid)
        return device, peripheral, next(found)

    def _need_power(self) -> None:
        if not self._objects[ADAPTER_PATH][_ADAPTER]["Powered"].value:
            raise BluezError("org.bluez.Error.NotReady", "Resource Not Ready")


def _adapter_properties(*, powered: bool) -> _Properties:
    names = _variants(Address="00:00:5E:00:53:01", Name="simulated", Alias="simulated")
    return names | _variants(Powered=powered, Discovering=False, Roles=("central",), UUIDs=())


def _device_properties(peripheral: Peripheral) -> _Properties:
    names = _variants(
        Address=peripheral.address, AddressType="public", Name=peripheral.name, Alias=peripheral.name
    )
    state = _variants(Paired=False, Bonded=False, Trusted=False, Blocked=False, LegacyPairing=False)
    link = _variants(Connected=False, ServicesResolved=False, UUIDs=peripheral.advertised)
    return {
        **names,
        **state,
        **link,
        "Adapter": Variant("o", ADAPTER_PATH),
        "RSSI": Variant("n", peripheral.rssi_dbm),
    }


def _gatt(device: str, peripheral: Peripheral) -> Iterator[tuple[str, str, _Properties]]:
    """Path, interface and properties of each service and characteristic, numbered by handle as BlueZ does."""
    handle = 1
    for service, offered in peripheral.services.items():
        path = f"{device}/service{handle:04x}"
        yield path, _SERVICE, _variants(UUID=service, Primary=True) | {"Device": Variant("o", device)}
        for characteristic in offered:
            handle += 2  # A declaration and a value.
            properties = _variants(UUID=characteristic.uuid, Flags=tuple(characteristic.flags), Notifying=False)
            properties["Service"] = Variant("o", path)
            properties["MTU"] = Variant("q", peripheral.mtu_bytes)
            yield f"{path}/char{handle:04x}", _CHARACTERISTIC, properties
        handle += 2
