"""Receivers and modems that are not there: gpsd, an NMEA receiver, an AT modem, ModemManager; on real sockets and ttys.

Written from the protocols and knows nothing of `device`. One `Sky` stands above them all: where the handheld is, what
time the satellites say, whether they can be seen. What goes wrong, goes wrong here: silence, garbage, plugs pulled.
"""

import asyncio
import json
import os
import pty
import tty
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from simulator.bluez_bus import private_bus

_GARBAGE = b"\xff$GPR\x00MC,0\x80*$\r\n\n$,,,*ZZ{[\r\n"
_ERROR_M = 19  # Per unit of HDOP; what gpsd tells of a receiver without corrections.
EVERY_S = 1.0  # Receivers speak once a second.


@dataclass(kw_only=True)
class Sky:
    """What the satellites show, and what a test or a story may change at any time.

    latitude_e7, longitude_e7: degrees times 10**7. visible: whether there is a fix. hdop_hundredths: 90 is 0.9.
    utc_ms: the satellites' time; every reading of it in a sentence adds `tick_ms`.
    """

    latitude_e7: int = 100_343_210  # A riverside in Can Tho.
    longitude_e7: int = 1_057_881_230
    visible: bool = True
    hdop_hundredths: int = 90
    utc_ms: int = 1_790_000_000_000
    tick_ms: int = 1_000

    def tick(self) -> datetime:
        """The moment that is told next."""
        self.utc_ms += self.tick_ms
        return datetime.fromtimestamp(self.utc_ms // 1_000, UTC).replace(microsecond=self.utc_ms % 1_000 * 1_000)

    @property
    def accuracy_dm(self) -> int:
        """What a receiver below it has to say of its accuracy."""
        return -(-self.hdop_hundredths * _ERROR_M * 10 // 100)


def sentence(body: str) -> bytes:
    """`body` as NMEA 0183 sends it."""
    checksum = 0
    for byte in body.encode("ascii"):
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode("ascii")


def epoch(sky: Sky) -> bytes:
    """What a receiver says in one second: GGA, GSA and RMC."""
    now = sky.tick()
    time = f"{now:%H%M%S}.{now.microsecond // 1_000:03}"
    if not sky.visible:
        bodies = (f"GPGGA,{time},,,,,0,00,99.99,,,,,,", "GPGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99", _no_rmc(time, now))
    else:
        place, hdop = _place(sky), f"{sky.hdop_hundredths // 100}.{sky.hdop_hundredths % 100:02}"
        bodies = (
            f"GPGGA,{time},{place},1,08,{hdop},4.2,M,-2.1,M,,",
            f"GPGSA,A,3,05,07,13,15,20,24,30,,,,,,1.9,{hdop},1.6",
            f"GPRMC,{time},A,{place},0.3,,{now:%d%m%y},,,A",
        )
    return b"".join(map(sentence, bodies))


def _no_rmc(time: str, now: datetime) -> str:
    return f"GPRMC,{time},V,,,,,,,{now:%d%m%y},,,N"


def _place(sky: Sky) -> str:
    """Latitude and longitude in degrees and minutes, with seven decimals so that nothing is lost."""
    return (
        f"{_minutes(sky.latitude_e7, 2)},{'N' if sky.latitude_e7 >= 0 else 'S'},"
        f"{_minutes(sky.longitude_e7, 3)},{'E' if sky.longitude_e7 >= 0 else 'W'}"
    )


def _minutes(angle_e7: int, width: int) -> str:
    degrees, rest_e7 = divmod(abs(angle_e7), 10**7)
    minutes_e7 = rest_e7 * 60
    return f"{degrees:0{width}}{minutes_e7 // 10**7:02}.{minutes_e7 % 10**7:07}"


class _Port:
    """A pseudo-terminal behind a name that stays the same when it is plugged in again."""

    def __init__(self, name: Path) -> None:
        self.path = str(name)
        self._name = name
        self._near = self._far = -1

    @property
    def is_up(self) -> bool:
        return self._near >= 0

    def plug_in(self) -> None:
        """Let the port appear."""
        assert not self.is_up
        self._near, self._far = pty.openpty()
        tty.setraw(self._far)
        os.set_blocking(self._near, False)
        self._name.unlink(missing_ok=True)
        self._name.symlink_to(os.ttyname(self._far))
        asyncio.get_running_loop().add_reader(self._near, self._hear)

    def pull_out(self) -> None:
        """The port is gone, and whoever has it open finds it dead."""
        if not self.is_up:
            return
        asyncio.get_running_loop().remove_reader(self._near)
        os.close(self._far)
        os.close(self._near)
        self._near = self._far = -1
        self._name.unlink(missing_ok=True)

    def say(self, data: bytes) -> None:
        """Send bytes; what nobody reads is lost when the kernel has no room."""
        with suppress(BlockingIOError):
            if self.is_up:
                os.write(self._near, data)

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            self.heard(os.read(self._near, 4_096))

    def heard(self, data: bytes) -> None:
        """What the host has sent. A receiver takes no notice."""


class NmeaReceiver(_Port):
    """A receiver on a serial port that speaks every `every_s`, from entering to leaving.

    name: where its port appears. silent: it says nothing though it is there. garbled: noise before and after all it
    says. piece_bytes: how many bytes come at once, None for a whole second's.
    """

    def __init__(self, sky: Sky, name: Path, *, every_s: float = EVERY_S, piece_bytes: int | None = None) -> None:
        super().__init__(name)
        self.sky = sky
        self.silent = False
        self.garbled = False
        self._every_s = every_s
        self._piece_bytes = piece_bytes
        self._speaking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.plug_in()
        self._speaking = asyncio.create_task(self._speak())
        return self

    async def __aexit__(self, *_: object) -> None:
        await _end(self._speaking)
        self.pull_out()

    async def _speak(self) -> None:
        while True:
            if not self.silent and self.is_up:
                words = epoch(self.sky)
                words = _GARBAGE + words + _GARBAGE if self.garbled else words
                step = self._piece_bytes or len(words)
                for start in range(0, len(words), step):
                    self.say(words[start : start + step])
                    await asyncio.sleep(0)
            await asyncio.sleep(self._every_s)


Answers = Mapping[str, Sequence[str]]


class AtModem(_Port):
    """A modem on a serial port that answers AT commands, from entering to leaving.

    answers: the lines after each command, the final code among them; AT, ATE0 and ATE1 are understood anyway, all else
    is an ERROR. An empty answer never comes.
    echo: whether it repeats what it hears, until ATE0. unasked: said before each answer. piece_bytes: how many bytes
    come at once. deaf: how many commands it misses first. asked: what it was asked, in order; stirred: set when it is.
    """

    def __init__(
        self,
        name: Path,
        answers: Answers,
        *,
        echo: bool = True,
        unasked: Sequence[str] = (),
        piece_bytes: int | None = None,
        deaf: int = 0,
    ) -> None:
        super().__init__(name)
        self.asked: list[str] = []
        self.stirred = asyncio.Event()
        self.answers = dict(answers)
        self.unasked = unasked
        self._echo = echo
        self._piece_bytes = piece_bytes
        self._deaf = deaf
        self._command = bytearray()
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.plug_in()
        self._sending = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_: object) -> None:
        await _end(self._sending)
        self.pull_out()

    def heard(self, data: bytes) -> None:
        """A command ends with CR."""
        for byte in data:
            if byte == ord("\r"):
                command = self._command.decode("ascii", "replace").strip()
                self._command.clear()
                self._answer(command)
            else:
                self._command.append(byte)

    def say_unasked(self, line: str) -> None:
        """An unsolicited result code."""
        self._out.put_nowait(f"\r\n{line}\r\n".encode("ascii"))

    def _answer(self, command: str) -> None:
        self.asked.append(command)
        self.stirred.set()
        if self._deaf > 0:
            self._deaf -= 1
            return
        if self._echo:
            self._out.put_nowait(f"{command}\r\r\n".encode("ascii"))
        if command.upper() in {"ATE0", "ATE1"}:
            self._echo = command.endswith("1")
        known = {"AT": ("OK",), "ATE0": ("OK",), "ATE1": ("OK",), **self.answers}
        for line in (*self.unasked, *known.get(command.upper(), ("ERROR",))):
            self.say_unasked(line)

    async def _send(self) -> None:
        while True:
            words = await self._out.get()
            step = self._piece_bytes or len(words)
            for start in range(0, len(words), step):
                self.say(words[start : start + step])
                await asyncio.sleep(0)


class FakeGpsd:
    """gpsd on a TCP port, from entering to leaving; `stop` and `start` in between are a restart.

    silent: it keeps connections and says nothing of a receiver. garbled: noise and one endless line before each report.
    receiver: whether a receiver is attached to it. watchers: connections that have sent a WATCH.
    """

    def __init__(self, sky: Sky, *, every_s: float = EVERY_S, port: int = 0) -> None:
        self.sky = sky
        self.port = port
        self.silent = False
        self.garbled = False
        self.receiver = True
        self.watchers = 0
        self._every_s = every_s
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; on the port of before if there was one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End every connection and listen no more."""
        if self._server is None:
            return
        self._server.close()
        for task in tuple(self._connections):
            await _end(task)
        await self._server.wait_closed()
        self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except OSError:
            pass  # The client went.
        except asyncio.CancelledError:
            pass  # `stop`, or the end of the loop; the server's own callback wants no cancelled task.
        finally:
            self._connections.discard(task)
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _tell(writer, {"class": "VERSION", "release": "3.22", "rev": "3.22", "proto_major": 3, "proto_minor": 14})
        request = await reader.readline()
        if not request.startswith(b"?WATCH={") or not json.loads(request[7:].rstrip(b";\r\n")).get("enable"):
            return
        self.watchers += 1
        devices = [{"class": "DEVICE", "path": "/dev/ttyACM0", "activated": "2026-09-21T00:00:00.000Z"}]
        _tell(writer, {"class": "DEVICES", "devices": devices if self.receiver else []})
        _tell(writer, {"class": "WATCH", "enable": True, "json": True})
        while not writer.is_closing():
            if self.garbled:
                writer.write(_GARBAGE + b'{"class":"TPV",\n' + b"[" * 40_000 + b"\n")
            if self.receiver and not self.silent:
                _tell(writer, self._report())
                _tell(writer, {"class": "SKY", "hdop": self.sky.hdop_hundredths / 100, "uSat": 8})
            await writer.drain()
            await asyncio.sleep(self._every_s)

    def _report(self) -> dict[str, object]:
        sky = self.sky
        time = f"{sky.tick():%Y-%m-%dT%H:%M:%S}.{sky.utc_ms % 1_000:03}Z"
        if not sky.visible:
            return {"class": "TPV", "device": "/dev/ttyACM0", "mode": 1, "time": time}
        place = {"lat": sky.latitude_e7 / 10**7, "lon": sky.longitude_e7 / 10**7}
        error = {"eph": sky.hdop_hundredths * _ERROR_M / 100}
        return {"class": "TPV", "device": "/dev/ttyACM0", "mode": 3, "time": time, **place, **error}


def _tell(writer: asyncio.StreamWriter, words: dict[str, object]) -> None:
    writer.write(json.dumps(words, separators=(",", ":")).encode("ascii") + b"\r\n")


async def _end(task: "asyncio.Task[None] | None") -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# ModemManager.

MODEM_PATH = "/org/freedesktop/ModemManager1/Modem/0"
_MM = "org.freedesktop.ModemManager1"
_LOCATION = f"{_MM}.Modem.Location"
_GPS_RAW, _GPS_NMEA = 2, 4


@dataclass(kw_only=True)
class MmModem:
    """A modem that ModemManager has. capabilities: MMModemLocationSource as bits, None without the interface.

    state: MMModemState; 3 is disabled, 8 registered. stalled: its receiver says nothing new.
    """

    imei: str = "490154203237518"
    equipment: str = "490154203237518"
    capabilities: int | None = _GPS_RAW | _GPS_NMEA | 1
    state: int = 8
    stalled: bool = False
    enabled: int = 1
    told: dict[int, Variant] = field(default_factory=dict)


class FakeModemManager:
    """ModemManager with these modems, from entering to leaving; on a bus of its own unless one is given.

    The bus is this process's system bus meanwhile; `address` is for other processes. setups: the sources that were
    asked for, in order. refuses: it lets nobody do anything, as a policy may.
    Raises BusError where there is no dbus-daemon.
    """

    def __init__(self, sky: Sky, modems: Sequence[MmModem] = (), *, bus_address: str | None = None) -> None:
        self.sky = sky
        self.address = bus_address or ""
        self.modems = {f"{MODEM_PATH[:-1]}{number}": modem for number, modem in enumerate(modems)}
        self.setups: list[int] = []
        self.refuses = False
        self._own_bus = bus_address is None
        self._exit = ExitStack()
        self._bus: MessageBus | None = None

    async def __aenter__(self) -> Self:
        if self._own_bus:
            self.address = self._exit.enter_context(private_bus())
        self._bus = MessageBus(bus_address=self.address)
        await self._bus.connect()
        self._bus.add_message_handler(self._received)
        await self._bus.request_name(_MM)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._bus is not None
        self._bus.disconnect()
        with suppress(EOFError, OSError):
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast does not annotate it.
        self._exit.close()

    def _received(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if self.refuses and (message.interface or "").startswith((_MM, "org.freedesktop.DBus.ObjectManager")):
            return Message.new_error(message, "org.freedesktop.DBus.Error.AccessDenied", "PolicyKit says no")
        modem = self.modems.get(message.path or "")
        match message.interface, message.member:
            case "org.freedesktop.DBus.ObjectManager", "GetManagedObjects":
                objects = {path: _interfaces(one) for path, one in self.modems.items()}
                return Message.new_method_return(message, "a{oa{sa{sv}}}", [objects])
            case interface, "Setup" if interface == _LOCATION and modem is not None:
                return self._setup(message, modem)
            case interface, "GetLocation" if interface == _LOCATION and modem is not None:
                return Message.new_method_return(message, "a{uv}", [self._location(modem)])
            case _:
                return None

    def _setup(self, message: Message, modem: MmModem) -> Message:
        sources, _ = message.body
        if modem.state < 6:
            return Message.new_error(message, f"{_MM}.Error.Core.WrongState", "modem is not enabled yet")
        if modem.capabilities is None or sources & ~modem.capabilities:
            return Message.new_error(message, f"{_MM}.Error.Core.Unsupported", "location source is not supported")
        self.setups.append(sources)
        modem.enabled = sources
        return Message.new_method_return(message)

    def _location(self, modem: MmModem) -> dict[int, Variant]:
        """What the modem's receiver has said last, of the sources that are gathered."""
        if not modem.stalled:
            sentences = epoch(self.sky).decode("ascii").split("\r\n")[::-1]  # In no order that could be relied on.
            modem.told = {_GPS_NMEA: Variant("s", "\r\n".join(filter(None, sentences)))}
            if self.sky.visible:
                modem.told[_GPS_RAW] = Variant("a{sv}", _raw(self.sky))
        return {source: told for source, told in modem.told.items() if source & modem.enabled}


def _raw(sky: Sky) -> dict[str, Variant]:
    return {
        "utc-time": Variant("s", f"{datetime.fromtimestamp(sky.utc_ms // 1_000, UTC):%H%M%S}.00"),
        "latitude": Variant("d", sky.latitude_e7 / 10**7),
        "longitude": Variant("d", sky.longitude_e7 / 10**7),
        "altitude": Variant("d", 4.2),
    }


def _interfaces(modem: MmModem) -> dict[str, dict[str, Any]]:
    interfaces = {
        f"{_MM}.Modem": {
            "EquipmentIdentifier": Variant("s", modem.equipment),
            "State": Variant("i", modem.state),
        },
        f"{_MM}.Modem.Modem3gpp": {"Imei": Variant("s", modem.imei)},
    }
    if modem.capabilities is not None:
        interfaces[_LOCATION] = {
            "Capabilities": Variant("u", modem.capabilities),
            "Enabled": Variant("u", modem.enabled),
        }
    return interfaces
