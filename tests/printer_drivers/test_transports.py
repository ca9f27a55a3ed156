"""What every link promises, whatever it is made of. A new kind of link is one more row of LINKS. Then what is peculiar
to files and memory; serial ports and Bluetooth have test files of their own.

At the far end stands a tape that remembers each byte; the line between is as real as it can be: a pseudo-terminal with
a kernel in between, a pipe, or nothing at all.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from printer_drivers.profiles import Flow, profile_for
from printer_drivers.transports import Inbox, Link, LinkError, LinkLost, open_link
from printer_drivers.transports.address import parse
from printer_drivers.transports.ble import BleLink
from printer_drivers.transports.file import FileLink
from printer_drivers.transports.memory import MemoryLink, plug
from printer_drivers.transports.serial_port import SerialLink
from simulator.bluez import FakeBluez
from simulator.bluez_peripheral import Peripheral
from simulator.printer import PrinterModel
from simulator.serial_line import SerialLine

QUESTION, ANSWER = b"\x10\x04\x01", b"\x12"  # DLE EOT 1, and a printer that is well.
ENOUGH_BYTES = 100_000  # More than a kernel, a line and a printer hold together.
ROOM_BYTES = 2048  # Of a small printer, until somebody makes room.
SOON_S = 5.0  # What takes longer is stuck.
GRACE_S = 0.5  # How late a machine with much to do may be.


class Tape:
    """A printer that remembers what it was sent, takes so much and no more, and answers one question in real time."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.taken = bytearray()
        self.lost = 0
        self.on_drop: Callable[[], None] = lambda: None
        self._takes_until = room
        self._said: Callable[[bytes], None] = lambda _: None
        self._moved = asyncio.Event()

    @property
    def room(self) -> int:
        return self._takes_until - len(self.taken)

    def receive(self, data: bytes) -> int:
        taken = data[: self.room]
        self.taken += taken
        if QUESTION in taken:
            self.say(ANSWER)
        self._moved.set()
        return len(taken)

    def force(self, data: bytes) -> None:
        if self.room < len(data) and QUESTION in data:
            self.say(ANSWER)
        else:
            self.lost += len(data) - self.receive(data)

    def attach(self, said: Callable[[bytes], None]) -> None:
        self._said = said

    def say(self, data: bytes) -> None:
        self._said(data)

    def make_room(self, size_bytes: int) -> None:
        self._takes_until += size_bytes
        self._moved.set()

    async def room_for(self, count: int) -> None:
        while self.room < count:
            self._moved.clear()
            await self._moved.wait()

    async def holds(self, size_bytes: int) -> bytes:
        """All that was taken, once it is so much."""
        async with asyncio.timeout(SOON_S):
            while len(self.taken) < size_bytes:
                self._moved.clear()
                await self._moved.wait()
        return bytes(self.taken)


@dataclass(slots=True, kw_only=True)
class Bench:
    """A link, not open yet, and how to cut it."""

    link: Link
    cut: Callable[[], None]


# Bluetooth has to know how much a printer holds: no more than any printer here that has no room.
SMALL = replace(profile_for("mtp-ii"), buffer_bytes=ROOM_BYTES)
_numbers = count(1)  # A link may remember what it has seen, so each bench has an address of its own.
FarEnd = Tape | PrinterModel
Build = Callable[[FarEnd], AbstractAsyncContextManager[Bench]]


@asynccontextmanager
async def memory(printer: FarEnd) -> AsyncIterator[Bench]:
    link = MemoryLink(printer)
    yield Bench(link=link, cut=link.drop)


@asynccontextmanager
async def serial(printer: FarEnd) -> AsyncIterator[Bench]:
    async with SerialLine(printer, xonxoff=True) as line:
        yield Bench(link=SerialLink(line.path, baud=115200, flow=Flow.XON_XOFF), cut=line.drop)


@asynccontextmanager
async def pipe(printer: FarEnd) -> AsyncIterator[Bench]:
    """A pipe, whose other end gives the printer what it has room for."""
    loop = asyncio.get_running_loop()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "printer"
        os.mkfifo(path)
        end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
        wait: asyncio.TimerHandle | None = None
        is_up = True

        def carry() -> None:
            nonlocal wait
            if printer.room:
                printer.receive(os.read(end, min(printer.room, 4096)))
            else:
                loop.remove_reader(end)
                wait = loop.call_later(0.002, loop.add_reader, end, carry)

        def cut() -> None:
            nonlocal is_up
            if is_up:
                is_up = False
                if wait is not None:
                    wait.cancel()
                loop.remove_reader(end)
                os.close(end)

        printer.on_drop = cut
        loop.add_reader(end, carry)
        try:
            yield Bench(link=FileLink(str(path)), cut=cut)
        finally:
            cut()


@asynccontextmanager
async def bluetooth(printer: FarEnd) -> AsyncIterator[Bench]:
    peripheral = Peripheral(f"AA:BB:CC:DD:00:{next(_numbers):02X}", printer)
    async with FakeBluez([peripheral]) as radio:
        printer.on_drop = lambda: radio.drop(radio.path_of(peripheral))
        yield Bench(link=BleLink(peripheral.address, SMALL), cut=printer.on_drop)


@asynccontextmanager
async def no_bluetooth_printer() -> AsyncIterator[Link]:
    async with FakeBluez([]):
        yield BleLink("AA:BB:CC:DD:FF:FF", profile_for("mtp-ii"), scan_s=0.2)


# Perhaps: BlueZ lets nothing past a write that waits for its answer, and a held write is not always one.
ALWAYS, NEVER, PERHAPS = frozenset({True}), frozenset({False}), frozenset({True, False})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of link, and which promises it can keep. absent: a link to what is not there.

    speaks: replies come back. urges: whether a real-time command gets through while a write is held back.
    forgets: what was taken and has not left is dropped on close.
    """

    build: Build
    absent: Callable[[], AbstractAsyncContextManager[Link]]
    speaks: bool = True
    urges: frozenset[bool] = NEVER
    forgets: bool = True


def just(link: Link) -> Callable[[], AbstractAsyncContextManager[Link]]:
    return lambda: nullcontext(link)


LINKS: Mapping[str, Kind] = {
    "memory": Kind(build=memory, absent=just(MemoryLink("nobody")), urges=ALWAYS),
    "serial": Kind(build=serial, absent=just(SerialLink("/dev/ttyNONE", baud=9600, flow=Flow.NONE))),
    "ble": Kind(build=bluetooth, absent=no_bluetooth_printer, urges=PERHAPS),
    "file": Kind(build=pipe, absent=just(FileLink("/dev/usb/lp-none")), speaks=False, forgets=False),
}

every_kind = pytest.mark.parametrize("kind", LINKS.values(), ids=LINKS)
every_speaking_kind = pytest.mark.parametrize(
    "kind", [kind for kind in LINKS.values() if kind.speaks], ids=[name for name, kind in LINKS.items() if kind.speaks]
)


async def send(link: Link, data: bytes) -> None:
    """Offer until all is taken."""
    async with asyncio.timeout(SOON_S):
        while data:
            data = data[await link.write(data, 0.5) :]


async def hear(link: Link, size_bytes: int) -> bytes:
    """Read until so much has been said."""
    heard = b""
    async with asyncio.timeout(SOON_S):
        while len(heard) < size_bytes:
            heard += await link.read(SOON_S)
    return heard


async def fill(link: Link, data: bytes) -> int:
    """Offer until the link holds back for good; how many bytes it took."""
    offset = 0
    while taken := await link.write(data[offset:], 0.05):
        offset += taken
    return offset


def pattern(size_bytes: int) -> bytes:
    """Bytes of which any loss, repetition or exchange shows; never a question to the printer."""
    return b"".join(b"%07d|" % number for number in range(size_bytes // 8 + 1))[:size_bytes]


@every_kind
@settings(max_examples=15)
@given(pieces=st.lists(st.binary(max_size=3000), max_size=8).filter(lambda pieces: QUESTION not in b"".join(pieces)))
async def test_bytes_arrive_in_order_and_whole_however_they_are_split(kind: Kind, pieces: list[bytes]) -> None:
    tape = Tape()
    async with kind.build(tape) as bench:
        await bench.link.open()
        for piece in pieces:
            await send(bench.link, piece)
        whole = b"".join(pieces)
        assert await tape.holds(len(whole)) == whole
        await bench.link.close()
    assert tape.taken == whole
    assert tape.lost == 0


@every_kind
async def test_writing_nothing_takes_nothing(kind: Kind) -> None:
    async with kind.build(Tape()) as bench:
        await bench.link.open()
        assert await bench.link.write(b"", 0) == 0
        await bench.link.close()


@every_speaking_kind
async def test_replies_come_back_whole(kind: Kind) -> None:
    tape = Tape()
    every_byte = [bytes([byte]) for byte in range(256) if byte not in b"\x11\x13"]  # XON and XOFF are the line's own.
    async with kind.build(tape) as bench:
        await bench.link.open()
        for replies in (every_byte[:100], every_byte[100:200], every_byte[200:], [pattern(1000), ANSWER]):
            for reply in replies:
                tape.say(reply)
            whole = b"".join(replies)
            assert await hear(bench.link, len(whole)) == whole
        await bench.link.close()


@every_kind
async def test_reading_for_no_time_does_not_wait(kind: Kind) -> None:
    async with kind.build(Tape()) as bench:
        await bench.link.open()
        reading = bench.link.read(0)
        async with asyncio.timeout(GRACE_S):
            assert await reading == b""
        await bench.link.close()


@every_kind
async def test_reading_waits_as_long_as_it_was_told_and_no_longer(kind: Kind) -> None:
    loop = asyncio.get_running_loop()
    async with kind.build(Tape()) as bench:
        await bench.link.open()
        begun = loop.time()
        assert await bench.link.read(0.05) == b""
        assert 0.05 <= loop.time() - begun < 0.05 + GRACE_S
        await bench.link.close()


@every_speaking_kind
async def test_reading_ends_with_the_first_byte(kind: Kind) -> None:
    tape = Tape()
    async with kind.build(tape) as bench:
        await bench.link.open()
        async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as group:
            reading = group.create_task(bench.link.read(2 * SOON_S))
            group.create_task(bench.link.write(QUESTION, 1))
        assert reading.result() == ANSWER
        await bench.link.close()


@every_kind
async def test_a_write_that_is_held_back_says_what_was_taken_and_goes_on_later(kind: Kind) -> None:
    loop = asyncio.get_running_loop()
    tape = Tape(room=ROOM_BYTES)
    data = pattern(ENOUGH_BYTES)
    async with kind.build(tape) as bench:
        await bench.link.open()
        taken = await fill(bench.link, data)
        assert taken < len(data)
        begun = loop.time()
        assert await bench.link.write(data[taken:], 0.05) == 0
        assert 0.05 <= loop.time() - begun < 0.05 + GRACE_S
        assert await bench.link.write(data[taken:], 0) == 0
        tape.make_room(2000)
        taken += await fill(bench.link, data[taken:])
        tape.make_room(ENOUGH_BYTES)
        await send(bench.link, data[taken:])
        assert await tape.holds(len(data)) == data
        await bench.link.close()
    assert tape.lost == 0


@every_speaking_kind
async def test_a_question_in_real_time_gets_through(kind: Kind) -> None:
    tape = Tape()
    async with kind.build(tape) as bench:
        await bench.link.open()
        await send(bench.link, pattern(3000))
        assert await bench.link.urge(QUESTION)
        assert await bench.link.read(SOON_S) == ANSWER
        await send(bench.link, pattern(300))
        assert await tape.holds(3303) == pattern(3000) + QUESTION + pattern(300)
        await bench.link.close()


@every_kind
async def test_past_a_held_write_a_question_gets_through_or_leaves_no_trace(kind: Kind) -> None:
    tape = Tape(room=ROOM_BYTES)
    data = pattern(ENOUGH_BYTES)
    async with kind.build(tape) as bench:
        await bench.link.open()
        taken = await fill(bench.link, data)
        async with asyncio.timeout(SOON_S):
            urged = await bench.link.urge(QUESTION)
            assert urged in kind.urges
            assert await bench.link.read(SOON_S if urged else 0.02) == (ANSWER if urged else b"")
        tape.make_room(ENOUGH_BYTES)
        await send(bench.link, data[taken:])
        arrived_bytes = len(data) + len(QUESTION) * tape.taken.count(QUESTION)
        assert (await tape.holds(arrived_bytes)).replace(QUESTION, b"") == data
        await bench.link.close()


@every_kind
async def test_a_line_that_was_cut_is_lost_to_writing_and_reading(kind: Kind) -> None:
    async with kind.build(Tape()) as bench:
        await bench.link.open()
        await send(bench.link, b"before")
        bench.cut()
        with pytest.raises(LinkLost) as lost:
            await send(bench.link, pattern(ENOUGH_BYTES))
        assert lost.value.sentence.endswith(".")
        async with asyncio.timeout(SOON_S):
            with pytest.raises(LinkLost):
                await bench.link.read(0)
            with pytest.raises(LinkLost):
                await bench.link.read(SOON_S)
            with pytest.raises(LinkLost):
                await bench.link.urge(QUESTION)
        await bench.link.close()


@every_speaking_kind
async def test_a_line_that_is_cut_while_one_listens_is_lost_at_once(kind: Kind) -> None:
    async with kind.build(Tape()) as bench:
        await bench.link.open()
        asyncio.get_running_loop().call_soon(bench.cut)
        async with asyncio.timeout(SOON_S):
            with pytest.raises(LinkLost):
                await bench.link.read(2 * SOON_S)
        await bench.link.close()


@every_kind
async def test_a_line_that_is_cut_while_a_write_is_held_back_is_lost_at_once(kind: Kind) -> None:
    data = pattern(ENOUGH_BYTES)
    async with kind.build(Tape(room=ROOM_BYTES)) as bench:
        await bench.link.open()
        await fill(bench.link, data)
        asyncio.get_running_loop().call_later(0.02, bench.cut)
        async with asyncio.timeout(SOON_S):
            with pytest.raises(LinkLost):
                await bench.link.write(data, 2 * SOON_S)
        await bench.link.close()


@every_kind
async def test_a_link_may_be_closed_at_any_time_and_twice(kind: Kind) -> None:
    async with kind.build(Tape()) as bench:
        await bench.link.close()
        await bench.link.open()
        await bench.link.close()
        await bench.link.close()
        await bench.link.open()
        bench.cut()
        await bench.link.close()
        await bench.link.close()


@every_kind
async def test_a_closed_link_is_lost(kind: Kind) -> None:
    async with kind.build(Tape()) as bench:
        await bench.link.open()
        await bench.link.close()
        with pytest.raises(LinkLost):
            await bench.link.read(0)
        with pytest.raises(LinkLost):
            await bench.link.write(b"x", 0)
        with pytest.raises(LinkLost):
            await bench.link.urge(QUESTION)


@every_kind
async def test_what_is_not_there_is_named_in_a_sentence(kind: Kind) -> None:
    async with kind.absent() as link:
        with pytest.raises(LinkError) as refusal:
            await link.open()
        await link.close()
    assert not isinstance(refusal.value, LinkLost)
    assert refusal.value.reason in {"no-such-port", "not-found"}
    assert refusal.value.sentence[0].isupper()
    assert refusal.value.sentence.endswith(".")


@every_kind
async def test_after_a_close_nothing_more_arrives_and_the_link_may_be_opened_again(kind: Kind) -> None:
    tape = Tape(room=ROOM_BYTES)
    async with kind.build(tape) as bench:
        await bench.link.open()
        taken = await fill(bench.link, pattern(ENOUGH_BYTES))
        async with asyncio.timeout(SOON_S):
            await bench.link.close()
        expected = bytes(tape.taken) if kind.forgets else pattern(taken)
        tape.make_room(ENOUGH_BYTES)
        await bench.link.open()
        await send(bench.link, b"the next paper")
        assert await tape.holds(len(expected) + 14) == expected + b"the next paper"
        await bench.link.close()


@every_speaking_kind
async def test_what_was_said_into_a_closed_link_is_not_heard_by_the_next(kind: Kind) -> None:
    tape = Tape()
    async with kind.build(tape) as bench:
        await bench.link.open()
        await bench.link.close()
        tape.say(b"stale")
        await bench.link.open()
        await send(bench.link, QUESTION)
        assert await hear(bench.link, 1) == ANSWER
        await bench.link.close()


@every_kind
async def test_a_line_that_the_printer_lets_fall_in_mid_write_is_lost_and_no_later_byte_arrives(kind: Kind) -> None:
    model = PrinterModel()
    model.after_received(700, model.drop)
    async with kind.build(model) as bench:
        await bench.link.open()
        with pytest.raises(LinkLost):
            await send(bench.link, b"\0" * ENOUGH_BYTES)
        await bench.link.close()
    assert model.received == 700


async def test_all_that_came_before_a_loss_is_handed_out_first() -> None:
    inbox = Inbox()
    inbox.put(b"last ")
    inbox.put(b"words")
    inbox.lose("The cable was pulled.")
    inbox.lose("And then the kernel complained.")
    assert await inbox.take(SOON_S) == b"last words"
    with pytest.raises(LinkLost, match=r"lost: The cable was pulled\."):
        await inbox.take(SOON_S)


async def test_a_printer_that_chatters_does_not_fill_the_memory() -> None:
    inbox = Inbox()
    for number in range(3000):
        inbox.put(b"%99d|" % number)
    heard = await inbox.take(0)
    assert 60_000 < len(heard) < 70_000
    assert heard.endswith(b" 2999|")


# Files.


async def test_papers_are_appended_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"yesterday ")
    for paper in (b"first ", b"second"):
        link = FileLink(str(path))
        await link.open()
        assert await link.write(paper, 0) == len(paper)
        assert await link.urge(QUESTION)
        await link.close()
    assert path.read_bytes() == b"yesterday first " + QUESTION + b"second" + QUESTION


async def test_a_missing_device_is_not_made_as_a_plain_file() -> None:
    path = "/dev/ghithu-no-printer"
    with pytest.raises(LinkError) as refusal:
        await FileLink(path).open()
    assert refusal.value.reason == "no-such-port"
    assert "ghithu-no-printer" not in os.listdir("/dev")  # noqa: PTH208 -- One look, nothing to wait for.


@pytest.mark.parametrize("name", ["missing/out.bin", ".", "bad\0name"])
async def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LinkError) as refusal:
        await FileLink(str(tmp_path / name)).open()
    assert refusal.value.reason in {"no-such-port", "not-a-port"}


async def test_a_full_disk_loses_the_link() -> None:
    link = FileLink("/dev/full")
    await link.open()
    with pytest.raises(LinkLost, match="No space left"):
        await link.write(b"paper", 1)
    await link.close()


async def test_a_pipe_that_nobody_reads_is_not_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "printer")
    with pytest.raises(LinkError, match="no-such-port: Nobody listens"):
        await FileLink(str(tmp_path / "printer")).open()


# Memory.


async def test_a_name_is_a_printer_only_while_it_is_plugged_in() -> None:
    tape = Tape()
    link = open_link(parse("memory:bench"), profile_for("generic-58"))
    with plug("bench", tape):
        await link.open()
        await send(link, b"paper")
        await link.close()
    with pytest.raises(LinkError, match="no-such-port: No printer is plugged in as memory:bench"):
        await link.open()
    assert tape.taken == b"paper"


async def test_a_question_that_a_peer_took_in_parts_stays_in_one_piece() -> None:
    class Plain:
        """A peer that does no more than it must, and takes one byte at a time."""

        def __init__(self) -> None:
            self.taken = bytearray()

        def receive(self, data: bytes) -> int:
            self.taken += data[:1]
            return len(data[:1])

        def attach(self, said: Callable[[bytes], None]) -> None:
            pass

    peer = Plain()
    link = MemoryLink(peer)
    await link.open()
    assert await link.urge(QUESTION)
    assert not await link.urge(QUESTION)  # It would stand in the middle of the first.
    await send(link, b"paper")
    assert peer.taken == QUESTION + b"paper"
    await link.close()
