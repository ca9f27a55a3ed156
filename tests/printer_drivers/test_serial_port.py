"""What is peculiar to serial ports: settings, a short queue, and kernels that refuse, stop or take their time."""

import asyncio
import errno
import os
import termios
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from serial import Serial, SerialException

from printer_drivers.profiles import Flow
from printer_drivers.transports import LinkError
from printer_drivers.transports.serial_port import SerialLink
from simulator.serial_line import SerialLine
from tests.printer_drivers.test_transports import ANSWER, QUESTION, SOON_S, Tape, pattern


@asynccontextmanager
async def serial_with_queue(tape: Tape, *waiting_bytes: int) -> AsyncIterator[SerialLink]:
    """A link at 9600 baud, whose queue is one after the other as long as said, and then stays so.

    Pseudo-terminals do not count what waits in them. 96 bytes are a tenth of a second.
    """
    left = list(waiting_bytes)
    async with SerialLine(tape) as line:
        link = SerialLink(
            line.path, baud=9600, flow=Flow.NONE, out_waiting=lambda _: left.pop(0) if len(left) > 1 else left[0]
        )
        await link.open()
        yield link
        await link.close()


async def test_the_queue_in_a_port_is_filled_to_a_tenth_of_a_second_and_no_further() -> None:
    tape = Tape()
    async with serial_with_queue(tape, 90, 96, 300, 0, 96) as link:
        assert await link.write(pattern(5000), 0.2) == 6 + 96
        assert await tape.holds(102) == pattern(102)


async def test_a_question_waits_for_the_queue_in_a_port_to_run_empty() -> None:
    tape = Tape()
    async with serial_with_queue(tape, 0, 60, 20, 0) as link:
        assert await link.write(b"paper", 0) == 5
        assert await link.urge(QUESTION)
        assert await link.read(SOON_S) == ANSWER
    assert tape.taken == b"paper" + QUESTION


async def test_a_question_does_not_stand_in_a_queue_that_does_not_move() -> None:
    tape = Tape()
    async with serial_with_queue(tape, 3) as link, asyncio.timeout(SOON_S):
        assert not await link.urge(QUESTION)
        assert await link.write(b"paper", 0) == 5
        assert await tape.holds(5) == b"paper"


@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize(("baud", "speed"), [(9600, termios.B9600), (115200, termios.B115200)])
async def test_the_port_is_set_as_the_printer_is(flow: Flow, baud: int, speed: int) -> None:
    async with SerialLine(Tape()) as line:
        link = SerialLink(line.path, baud=baud, flow=flow)
        await link.open()
        port = os.open(line.path, os.O_RDONLY | os.O_NOCTTY)
        input_flags, _, control_flags, _, input_speed, output_speed, _ = termios.tcgetattr(port)
        os.close(port)
        assert input_speed == output_speed == speed
        assert bool(input_flags & termios.IXON) == (flow is Flow.XON_XOFF)
        assert bool(control_flags & termios.CRTSCTS) == (flow is Flow.RTS_CTS)
        await link.close()


async def test_a_port_is_ours_alone_until_we_close_it() -> None:
    async with SerialLine(Tape()) as line:
        ours, theirs = (SerialLink(line.path, baud=9600, flow=Flow.NONE) for _ in range(2))
        await ours.open()
        with pytest.raises(LinkError, match=r"port-busy: Another program uses /dev/pts/\d+\."):
            await theirs.open()
        await ours.close()
        await theirs.open()
        await theirs.close()


async def test_a_port_that_an_earlier_user_left_stopped_goes_on() -> None:
    tape = Tape()
    async with SerialLine(tape) as line:
        link = SerialLink(line.path, baud=9600, flow=Flow.XON_XOFF)
        await link.open()
        tape.say(b"\x13")
        async with asyncio.timeout(SOON_S):
            while await link.write(b".", 0.02):
                pass
        await link.close()
        await link.open()
        assert await link.write(b"paper", SOON_S) == 5
        await link.close()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/ttyNONE", "no-such-port"),
        ("/dev/null/ttyS0", "no-such-port"),
        ("/dev/null", "not-a-port"),
        ("/dev", "not-a-port"),
        ("/dev/tty\0", "not-a-port"),
    ],
)
async def test_what_is_no_port_is_refused(path: str, reason: str) -> None:
    with pytest.raises(LinkError) as refusal:
        await SerialLink(path, baud=9600, flow=Flow.NONE).open()
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    ("number", "reason", "word"),
    [
        (errno.EACCES, "not-allowed", "dialout"),
        (errno.EPERM, "not-allowed", "dialout"),
        (errno.EBUSY, "port-busy", "Another program"),
        (errno.ENXIO, "no-such-port", "Plug the printer in"),
        (errno.EHOSTDOWN, "not-found", "Switch it on"),  # What /dev/rfcomm0 says of a printer that is off.
        (errno.ETIMEDOUT, "not-found", "Switch it on"),
        (errno.EIO, "not-a-port", "Choose"),
    ],
)
async def test_what_a_kernel_refuses_becomes_what_to_do(number: int, reason: str, word: str) -> None:
    def refused(path: str, baud: int, flow: Flow) -> Serial:
        raise SerialException(number, os.strerror(number))

    with pytest.raises(LinkError) as refusal:
        await SerialLink("/dev/rfcomm0", baud=9600, flow=Flow.NONE, open_port=refused).open()
    assert refusal.value.reason == reason
    assert word in refusal.value.sentence
    assert "/dev/rfcomm0" in refusal.value.sentence


@pytest.mark.parametrize("gives_up", ["in time", "by itself"])
async def test_a_port_that_opens_after_we_gave_up_is_closed_again(gives_up: str) -> None:
    may_open, closed = threading.Event(), threading.Event()
    kept: list[Serial] = []  # Else the port would be closed because nobody knows it any more.

    class SlowPort(Serial):
        def close(self) -> None:
            super().close()
            closed.set()

    def opened_late(path: str, baud: int, flow: Flow) -> Serial:
        may_open.wait(SOON_S)
        kept.append(SlowPort(path, baud, exclusive=True))
        return kept[0]

    async with SerialLine(Tape()) as line:
        link = SerialLink(line.path, baud=9600, flow=Flow.NONE, open_port=opened_late, open_max_s=0.05)
        if gives_up == "in time":
            with pytest.raises(LinkError, match="not-found: No printer answers behind"):
                await link.open()
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await link.open()
        may_open.set()
        assert await asyncio.to_thread(closed.wait, SOON_S)
        again = SerialLink(line.path, baud=9600, flow=Flow.NONE)
        await again.open()
        await again.close()


async def test_a_kernel_that_will_not_close_a_port_is_left_to_it() -> None:
    may_close = threading.Event()

    class StuckPort(Serial):
        def close(self) -> None:
            may_close.wait(2 * SOON_S)
            super().close()

    async with SerialLine(Tape()) as line:
        link = SerialLink(line.path, baud=9600, flow=Flow.NONE, open_port=lambda path, baud, _: StuckPort(path, baud))
        await link.open()
        async with asyncio.timeout(SOON_S):
            await link.close()
        may_close.set()
