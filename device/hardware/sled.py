"""The accessory on a serial line: position, IMEI and battery for a handheld that has none of its own.

Its firmware and the messages are described in device/sled/README.md. It may be plugged in, pulled out in the middle of
a word and plugged in again at any time; all that comes of it is a sighting without a fix.
"""

import asyncio
import itertools
import os
from binascii import crc32
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import cbor2
from serial.tools import list_ports

from device.clock import Clock, SystemClock
from device.hardware.serial_port import Tty, TtyError, open_tty
from device.hardware.sightings import ACCURACY_MAX_DM, Patience, Sighting, Tell, run_for_ever
from protocol.values import Fix, Imei, ImeiError, NoFix

PROTOCOL = 1
BAUD = 115_200  # What a board's USB bridge is set to; on native USB it means nothing.
SILENT_S = 5.0  # A sled says a sight a second, fix or none.
RETRY_MAX_S = 5.0  # To see whether it is plugged in again costs one look into /dev.
HELLOS_MAX = 10  # One a second; a board takes two to start.
ANSWER_S, TRIES = 1.5, 3  # A question may meet a board that is starting, or be cut off.
IMEI_S = 12.0  # A modem that has just been switched on takes up to ten seconds to its first word.
SYNC_EVERY_S = 600.0  # A board's crystal strays by 30 ms meanwhile.
LISTEN_S = 4.0  # A board that its port's opening has reset speaks after two.
FORGET_STRANGER_S = 300.0  # Who said nothing may have been a sled without power; another look after that.

# What boards with an ESP32 show on USB (vendor, product). All but the last two are bridges that other things have too,
# printers among them: hence the listening.
USB_IDS = frozenset(
    {
        (0x10C4, 0xEA60),  # Silicon Labs CP2102 and its family
        (0x1A86, 0x7523),  # WCH CH340
        (0x1A86, 0x55D4),  # WCH CH9102
        (0x0403, 0x6001),  # FTDI FT232R
        (0x303A, 0x1001),  # Espressif, serial and JTAG built in
        (0x303A, 0x4001),  # MicroPython's own USB on an ESP32-S2 or S3
    }
)

_SOURCE = "sled"
_MAX_FRAME_BYTES = 519  # device/sled/frames.py: 512 of payload, 4 of CRC-32, 3 of COBS.
_DEPTH_MAX = 4  # device/sled/cbor.py
_UTC_MAX_MS = 4_102_444_800_000  # 2100.
_ID_MAX = 2**31 - 1

Message = dict[str, object]


class SledUnavailableError(Exception):
    """No sled can be asked. The sentence says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SledInfo:
    """What a sled says of itself.

    imei: its modem's; None while that has not answered, or said something that is no IMEI. battery_mv, battery_percent:
    of its own cell; None where none is wired. firmware: its version.
    """

    imei: Imei | None
    battery_mv: int | None
    battery_percent: int | None
    firmware: str


def usb_candidates() -> Iterator[str]:
    """Paths of ports that a sled might be behind."""
    for port in list_ports.comports():
        if (port.vid, port.pid) in USB_IDS:
            yield port.device


# Whom `find_sled` has listened to in vain, by path and inode, and until when that is remembered. A device that is
# plugged in again has a new inode. For the whole process: a printer's port must not be held over and over.
_strangers: dict[tuple[str, int], float] = {}


async def find_sled(
    candidates: Callable[[], Iterable[str]] = usb_candidates, *, listen_s: float = LISTEN_S
) -> str | None:
    """Path of the first port on which a sled is heard. Nothing is ever written to a port that has not spoken like one:
    it may be a printer's. A port that another program holds is passed over.
    """
    loop = asyncio.get_running_loop()
    for known in [known for known, until in _strangers.items() if until < loop.time()]:
        del _strangers[known]
    for path in sorted(candidates()):
        try:
            device = (path, os.stat(path).st_ino)  # noqa: PTH116 -- /dev is memory.
        except OSError:
            continue
        if device in _strangers:
            continue
        with suppress(TtyError):
            if await _is_sled(path, listen_s):
                return path
            _strangers[device] = loop.time() + FORGET_STRANGER_S
    return None


async def _is_sled(path: str, listen_s: float) -> bool:
    """Whether a sled speaks on the port. Raises TtyError."""
    async with open_tty(path, BAUD) as tty:
        with suppress(TimeoutError):
            async with asyncio.timeout(listen_s):
                line = _Line(tty)
                while True:
                    if any(message["op"] == "sight" for message in await line.hear()):
                        return True
    return False


class SledLink:
    """A sled as a source of positions (`sightings.PositionSource`), and what else it can be asked.

    path: its port; None looks for it. clock: whose wall time the sled is told. silent_s: how long it may say nothing.
    trouble: why it cannot be had, in a sentence; None while it speaks.
    offset_ms: the satellites' time minus the wall clock, as the sled compared them last; None when it could not.
    """

    def __init__(
        self,
        path: str | None = None,
        *,
        clock: Clock | None = None,
        candidates: Callable[[], Iterable[str]] = usb_candidates,
        silent_s: float = SILENT_S,
    ) -> None:
        self.trouble: str | None = None
        self.offset_ms: int | None = None
        self._path = path
        self._clock = clock or SystemClock()
        self._candidates = candidates
        self._silent_s = silent_s
        self._line: _Line | None = None

    async def run(self, tell: Tell) -> None:
        """As `PositionSource.run`."""
        await run_for_ever(self._attempt, tell, _SOURCE, retry_max_s=RETRY_MAX_S)

    async def info(self) -> SledInfo:
        """Ask the sled about itself: over the line that `run` holds, else over one of its own. Within 15 s.

        Raises SledUnavailableError.
        """
        try:
            if self._line is not None:
                return info_of(await self._line.ask("info"))
            async with open_tty(await self._place(), BAUD) as tty:
                return await _first_info(_Line(tty))
        except TtyError as error:
            raise SledUnavailableError(str(error)) from error

    async def _place(self) -> str:
        path = self._path or await find_sled(self._candidates)
        if path is None:
            raise SledUnavailableError("No sled is plugged in, or it has no power. Plug it in.")
        return path

    async def _attempt(self, tell: Tell) -> NoFix:
        """Listen until the sled is lost."""
        try:
            async with open_tty(await self._place(), BAUD) as tty:
                line = self._line = _Line(tty)
                try:
                    await self._attend(line, tell)
                finally:
                    self._line = None
                    line.lose()
        except (TtyError, SledUnavailableError) as error:
            self.trouble = str(error)
        except TimeoutError:
            self.trouble = "The sled has fallen silent. Unplug it and plug it in again."
        return NoFix.NO_RECEIVER

    async def _attend(self, line: "_Line", tell: Tell) -> None:
        """Greet, then tell what is seen. Raises TtyError, TimeoutError, SledUnavailableError.

        What was said before the answer to our greeting may have lain in a buffer for an hour: it is not told.
        """
        loop = asyncio.get_running_loop()
        hellos, sync_due_s = 0, 0.0
        greeted = False
        line.send("info")
        patience = Patience(self._silent_s)
        async with patience.kept():
            while True:
                for message in await line.hear():
                    patience.heard()
                    if message["op"] == "info":
                        _check(message)
                        greeted, self.trouble = True, None
                    elif message["op"] == "time":
                        satellites = message.get("source") == "satellites"
                        self.offset_ms = _whole(message, "offset", -_UTC_MAX_MS, _UTC_MAX_MS) if satellites else None
                    elif message["op"] == "sight" and not greeted:
                        hellos += 1
                        if hellos > HELLOS_MAX:
                            raise SledUnavailableError("The sled hears nothing. Unplug it and plug it in again.")
                        line.send("info")
                    elif message["op"] == "sight" and (sighting := sighting_of(message)) is not None:
                        tell(sighting)
                if greeted and loop.time() >= sync_due_s:
                    sync_due_s = loop.time() + SYNC_EVERY_S
                    line.send("time", utc=self._clock.now().wall_ms)


class _Line:
    """Messages over an open port. What is damaged, illegible or unasked for is passed over."""

    def __init__(self, tty: Tty) -> None:
        self._tty = tty
        self._deframer = Deframer()
        self._numbers = itertools.cycle(range(1, _ID_MAX))
        self._asked: dict[int, asyncio.Future[Message]] = {}

    def send(self, op: str, **fields: int) -> int:
        """Send a request; its number. Raises TtyError."""
        number = next(self._numbers)
        self._tty.write(framed(cbor2.dumps({"op": op, "id": number, **fields}, canonical=True)))
        return number

    async def hear(self) -> list[Message]:
        """Messages that have arrived, perhaps none; each has a text `op`. Waits for bytes. Raises TtyError."""
        messages = []
        for payload in self._deframer.feed(await self._tty.read()):
            if (message := message_in(payload)) is not None:
                messages.append(message)
                self._hand_over(message)
        await asyncio.sleep(0)  # One that never draws breath must not keep the others from theirs.
        return messages

    async def ask(self, op: str) -> Message:
        """The answer to a request, heard by whoever calls `hear`. Raises SledUnavailableError, TtyError."""
        for _ in range(TRIES):
            number = self.send(op)
            answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
            self._asked[number] = answer
            try:
                async with asyncio.timeout(ANSWER_S):
                    return await answer
            except TimeoutError:
                continue
            finally:
                del self._asked[number]
        raise SledUnavailableError("The sled does not answer. Unplug it and plug it in again.")

    def lose(self) -> None:
        """Nobody hears any more: who waits for an answer need not."""
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(SledUnavailableError("The sled was unplugged. Plug it in again."))

    def _hand_over(self, message: Message) -> None:
        number = message.get("id")
        answer = self._asked.get(number) if isinstance(number, int) else None
        if answer is not None and not answer.done():
            answer.set_result(message)


async def _first_info(line: _Line) -> SledInfo:
    """Ask on a line of one's own, each second, until the modem has said something too. Raises as `SledLink.info`."""
    found: SledInfo | None = None
    with suppress(TimeoutError):
        async with asyncio.timeout(IMEI_S):
            line.send("info")
            while True:
                for message in await line.hear():
                    if message["op"] == "info":
                        found = info_of(message)
                        if message.get("why") != "asking":
                            return found
                    elif message["op"] == "sight":
                        line.send("info")
    if found is None:
        raise SledUnavailableError("No sled answers there. See that it has power, or choose another port.")
    return found


def _check(message: Message) -> None:
    """Raises SledUnavailableError when the sled speaks another protocol."""
    if message.get("protocol") != PROTOCOL:
        raise SledUnavailableError("The sled's firmware does not fit this handheld. Give it the one of this release.")


def info_of(message: Message) -> SledInfo:
    """Raises SledUnavailableError."""
    _check(message)
    imei: Imei | None = None
    with suppress(ImeiError):
        imei = Imei(str(message.get("imei")))
    return SledInfo(
        imei=imei,
        battery_mv=_whole(message, "mv", 0, 10_000),
        battery_percent=_whole(message, "percent", 0, 100),
        firmware=str(message.get("firmware"))[:20],
    )


def sighting_of(message: Message) -> Sighting | None:
    """What a sight says; None if that makes no sense."""
    utc_ms = _whole(message, "utc", 0, _UTC_MAX_MS)
    fix = message.get("fix")
    if fix is None:
        why = NoFix.NO_SIGNAL if message.get("why") == "no-signal" else NoFix.NO_RECEIVER
        return Sighting(fix=why, utc_ms=utc_ms, source=_SOURCE)
    if not isinstance(fix, dict):
        return None
    latitude_e7 = _whole(fix, "lat", -900_000_000, 900_000_000)
    longitude_e7 = _whole(fix, "lon", -1_800_000_000, 1_800_000_000)
    accuracy_dm = _whole(fix, "acc", 0, ACCURACY_MAX_DM)
    if latitude_e7 is None or longitude_e7 is None or accuracy_dm is None:
        return None
    return Sighting(fix=Fix(latitude_e7, longitude_e7, accuracy_dm, 0), utc_ms=utc_ms, source=_SOURCE)


def _whole(message: Message, key: str, low: int, high: int) -> int | None:
    """The whole number under a key, if it is one within its range."""
    value = message.get(key)
    return value if type(value) is int and low <= value <= high else None


def message_in(payload: bytes) -> Message | None:
    """The message that a frame held: a map with a text `op`. None for anything else."""
    try:
        message = cbor2.loads(payload, max_depth=_DEPTH_MAX, allow_indefinite=False)
    except (cbor2.CBORDecodeError, UnicodeDecodeError):
        return None
    return message if isinstance(message, dict) and isinstance(message.get("op"), str) else None


class Deframer:
    """Payloads out of bytes as they arrive; holds one frame at most. What is damaged yields nothing."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        *ended, rest = data.split(b"\0")
        for piece in ended:
            stuffed, self._held = bytes(self._held + piece), bytearray()
            payload = unframed(stuffed) if len(stuffed) <= _MAX_FRAME_BYTES else None
            if payload is not None:
                yield payload
        # One byte over the limit stays behind to say that the frame is too long.
        self._held += rest[: _MAX_FRAME_BYTES + 1 - len(self._held)]


def framed(payload: bytes) -> bytes:
    """A frame as device/sled/frames.py describes it: zero, COBS of payload and CRC-32, zero."""
    out = bytearray(b"\0")
    for run in (payload + crc32(payload).to_bytes(4)).split(b"\0"):
        while len(run) >= 254:
            out += b"\xff" + run[:254]
            run = run[254:]  # noqa: PLW2901 -- What is left of it.
        out += bytes([len(run) + 1]) + run
    return bytes(out + b"\0")


def unframed(stuffed: bytes) -> bytes | None:
    """The payload in the bytes between two zeros; None if it was damaged."""
    out, at = bytearray(), 0
    while at < len(stuffed):
        end = at + stuffed[at]
        if not at < end <= len(stuffed):
            return None
        out += stuffed[at + 1 : end]
        if stuffed[at] < 255 and end < len(stuffed):
            out.append(0)
        at = end
    payload, crc = bytes(out[:-4]), bytes(out[-4:])
    # Nothing has the CRC 0: half of a frame of zeros would pass for it.
    return payload if payload and crc32(payload) == int.from_bytes(crc) else None
