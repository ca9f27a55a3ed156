"""A workbench for the accessory: its firmware under either Python, and wires that can be pulled out."""

import asyncio
import importlib
import os
import pty
import sys
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import ModuleType

import cbor2

from device.hardware.sightings import Sighting
from device.hardware.sled import Message, framed, unframed
from protocol.values import Imei, NoFix

FIRMWARE = Path(__file__).resolve().parents[3] / "device" / "sled"
MICROPYTHON = Path(sys.executable).parent / "micropython"
IMEI = Imei("490154203237518")
STREET = b"GNGGA,013015.00,1046.58480,N,10639.98000,E,1,09,0.90,12.0,M,,M,,"
STREET_TIME = b"GNRMC,013015.00,A,1046.58480,N,10639.98000,E,0.1,,240726,,,A"
STREET_E7 = (107_764_133, 1_066_663_333)
STREET_UTC_MS = 1_784_856_615_000  # 2026-07-24 01:30:15, as `date -u` says.
INDOORS = b"GNGGA,013015.00,,,,,0,00,99.99,,,,,,"


def firmware(name: str) -> ModuleType:
    """A module of the firmware, run by this Python."""
    sys.path.insert(0, str(FIRMWARE))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FIRMWARE))


def sentence(body: bytes) -> bytes:
    """NMEA with its checksum and line end."""
    checksum = 0
    for byte in body:
        checksum ^= byte
    return b"$%s*%02X\r\n" % (body, checksum)


def request(op: str, number: int = 1, **fields: object) -> bytes:
    """A frame that asks."""
    return framed(cbor2.dumps({"op": op, "id": number, **fields}))


class Outlet:
    """A serial port under a path that stays the same, while what is plugged in comes and goes. This is the far end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._far = self._near = -1
        self._unread = b""
        self.appear()

    def appear(self) -> None:
        """Plug a device in."""
        self._far, self._near = pty.openpty()
        tty.setraw(self._near)
        os.set_blocking(self._far, False)
        self._unread = b""
        self.path.symlink_to(os.ttyname(self._near))

    def vanish(self) -> None:
        """Pull it out."""
        if self._far >= 0:
            self.path.unlink()
            os.close(self._far)
            os.close(self._near)
            self._far = -1

    def write(self, data: bytes) -> None:
        """Say something; all of it must fit into the kernel."""
        assert os.write(self._far, data) == len(data)

    def push(self, data: bytes) -> int:
        """Say as much of it as the kernel takes."""
        try:
            return os.write(self._far, data)
        except BlockingIOError:
            return 0

    async def read(self) -> bytes:
        """What has been said to us, at least a byte."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._far, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._far)
        return os.read(self._far, 65_536)

    def heard_nothing(self) -> bool:
        """Whether nothing has been said to us that we have not read."""
        try:
            return os.read(self._far, 1) == b""
        except BlockingIOError:
            return True

    async def message(self) -> Message:
        """The next message to us; bytes between messages are passed over."""
        while True:
            while b"\0" in self._unread:
                stuffed, _, self._unread = self._unread.partition(b"\0")
                if (payload := unframed(stuffed)) is not None:
                    message: Message = cbor2.loads(payload)
                    return message
            self._unread += await self.read()

    async def message_like(self, wanted: Callable[[Message], bool], nudge: Callable[[], None] | None = None) -> Message:
        """The next message that is wanted; before and after each other one, `nudge` is called."""
        while True:
            if nudge is not None:
                nudge()
            message = await self.message()
            if wanted(message):
                return message

    async def reply(self, number: int = 1) -> Message:
        """The answer to a request."""
        return await self.message_like(lambda message: message.get("id") == number)


async def modem_at(port: Outlet) -> None:
    """A modem that repeats what it hears, and talks of the network in between."""
    held = b""
    while True:
        held += await port.read()
        while b"\r" in held:
            command, _, held = held.partition(b"\r")
            port.write(command + b"\r\r\n")
            if command == b"AT+CGSN=1":
                port.write(b'\r\n+CREG: 1\r\n\r\n+CGSN: "' + IMEI.encode() + b'"\r\n')
            port.write(b"\r\nOK\r\n")


@contextmanager
def outlets(folder: Path, *names: str) -> Iterator[list[Outlet]]:
    """Ports with something plugged in."""
    ports = [Outlet(folder / name) for name in names]
    try:
        yield ports
    finally:
        for port in ports:
            port.vanish()


@asynccontextmanager
async def running_sled(host: Outlet, **wiring: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """The whole firmware, under MicroPython. It must not have ended by itself."""
    arguments = [f"{name}={getattr(thing, 'path', thing)}" for name, thing in {"host": host, **wiring}.items()]
    process = await asyncio.create_subprocess_exec(MICROPYTHON, FIRMWARE / "on_unix.py", *arguments)
    try:
        yield process
        assert process.returncode is None, "the firmware ended by itself"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def beside(work: Awaitable[None]) -> AsyncIterator[None]:
    """Something that goes on meanwhile. It must not have ended by itself."""
    task = asyncio.ensure_future(work)
    try:
        yield
        assert not task.done(), "ended by itself"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Pocket:
    """Takes what is told, without waiting, as a session does."""

    def __init__(self) -> None:
        self.last: Sighting | None = None
        self._told = asyncio.Event()

    def tell(self, sighting: Sighting) -> None:
        self.last = sighting
        self._told.set()

    async def told(self, wanted: Callable[[Sighting], bool], nudge: Callable[[], None] | None = None) -> Sighting:
        while True:
            if nudge is not None:
                nudge()
            self._told.clear()
            await self._told.wait()
            assert self.last is not None
            if wanted(self.last):
                return self.last


def nobody(sighting: Sighting) -> bool:
    return sighting.fix is NoFix.NO_RECEIVER
