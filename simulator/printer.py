"""A receipt printer that is not there: one model behind every simulated link.

Bytes wait in a receive buffer, are executed at the printer's speed, and rows reach the paper at the speed of its motor.
Real-time commands are recognised as they arrive, also inside a picture and while the printer is offline. They stay
among the data: passed over at their turn, or printed as the part of a picture that they are there.

Nobody outside can tell how many bytes it handles at a time: what arrives is taken up to the next byte that something
hangs on, and the dots of a picture are executed up to the end of their row.

Status bytes: Epson ESC/POS reference, DLE EOT, GS a, GS r, GS ( H; the battery bit as on TM-P60.
"""

import asyncio
import math
import re
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, assert_never

from PIL import Image

from simulator.print_head import (
    EPSON_PAGES,
    AutomaticAsked,
    FenceAsked,
    IdentityAsked,
    Initialized,
    Page,
    PrintHead,
    Request,
    StatusAsked,
)

ROWS_PER_S = 400.0  # 50 mm/s, 8 rows a millimetre: a mobile printer.
_LINE_BUFFER_ROWS = 48  # Two lines of letters: as far as execution runs ahead of the motor.
_TICK_S = 0.002  # Shorter waits are rounded up to this; what became due meanwhile is made up for.
_LATEST_ONLY_S = 0.1  # So slowly does a printer answer that forgets a fence over the next.
_CATCH_UP_S = 0.05  # A loop that was busy elsewhere for longer makes the printer slower.
_BYTES_AT_ONCE = 4096  # Then everybody else on the loop has a turn.

_DLE, _EOT, _ENQ, _DC4 = 0x10, 0x04, 0x05, 0x14
_DC4_FUNCTIONS = (1, 2, 3, 7, 8)
_GS, _R = 0x1D, ord("r")
_PAPER_SENSOR, _DRAWER = (1, 49), (2, 50)  # n of GS r.
_WATCHED = ((0x02, 0), (0x04, 1), (0x08, 2))  # Bit of GS a, and the byte of the status that it watches.
_AUTOMATIC_BITS = 0x0F
# All that `_hear` may act on; where it is only a part of a picture too, so a match may begin inside another.
_HEARD = re.compile(rb"\x10(?:\x04[\x01-\x04]|\x05[\0-\x02]|\x14[\x01\x02\x03\x07\x08])|\x1dr.", re.DOTALL)
_HEARD_BYTES = 3
_MODEL_NAME = 67  # n of GS I.
_STOPPING = frozenset({"paper_out", "cover_open", "low_battery", "head_hot"})
CONDITIONS = _STOPPING | {"near_end"}


class _Condition:
    """Something that can be the matter with a printer; setting it has the consequences it has on a real one."""

    def __set_name__(self, owner: type["PrinterModel"], name: str) -> None:
        self._name = name

    def __get__(self, printer: "PrinterModel", owner: type["PrinterModel"]) -> bool:
        return self._name in printer.conditions

    def __set__(self, printer: "PrinterModel", on: bool) -> None:
        printer.change(self._name, on=on)


class _Arrived(NamedTuple):
    """A byte, and whether it found room."""

    byte: int
    kept: bool


_NOTHING_YET = _Arrived(0, kept=True)


class _Due(NamedTuple):
    """An answer that waits for the motor: given when the paper has moved so many rows, and not before a time."""

    rows: int
    time_s: float
    answer: bytes


class _Moment(NamedTuple):
    """What happens after so many bytes."""

    at_byte: int
    action: Callable[[], None]


class PrinterModel:
    """The printer. Needs a running loop once it receives; its clock is the loop's.

    Abilities, which may change at any time: realtime (DLE EOT), gs_h (GS ( H), gs_r (GS r), asb (GS a), marks (several
    outstanding GS ( H are answered each, not the latest alone), near_end_sensor, identity (what GS I 67 says, None for
    no answer), early_fence (GS r is answered on arrival, as clones do), flow (it can hold a sender back; without it
    what finds no room is lost).
    Conditions, to be read and set: paper_out, cover_open, low_battery and head_hot put it offline; near_end does not.
    lost: bytes that found no room, without those of real-time commands, which are heard all the same. received: bytes
    that arrived, lost ones too. requests: DLE ENQ and DLE DC4, which are heard and not followed.
    on_drop: a link sets it, and hangs up when it is called. changed: called when room, conditions or work have changed.
    answer_delay_s: ordered answers come so much later. mute: nothing it says arrives; fence_lost: no ordered answer.

    buffer_bytes: size of the receive buffer. drain_bytes_per_s, rows_per_s: speed of execution and of the motor;
    math.inf for a test without waiting. kanji, pages, cutter, parenthesis: see PrintHead. initialize_ends_asb: whether
    GS a is among the modes that ESC @ brings back to what they were at power-on; manuals leave it open.
    """

    paper_out = _Condition()
    cover_open = _Condition()
    low_battery = _Condition()
    head_hot = _Condition()
    near_end = _Condition()

    def __init__(
        self,
        *,
        dots: int = 384,
        buffer_bytes: int = 4096,
        drain_bytes_per_s: float = 20_000,
        rows_per_s: float = ROWS_PER_S,
        realtime: bool = True,
        gs_h: bool = True,
        gs_r: bool = True,
        asb: bool = True,
        marks: bool = True,
        near_end: bool = True,
        identity: str | None = "TM-P20II",
        early_fence: bool = False,
        pages: Mapping[int, Page] = EPSON_PAGES,
        cutter: bool = True,
        kanji: bool = False,
        parenthesis: bool = True,
        initialize_ends_asb: bool = True,
    ) -> None:
        self.conditions: set[str] = set()
        self.buffer_bytes = buffer_bytes
        self.drain_bytes_per_s = drain_bytes_per_s
        self.rows_per_s = rows_per_s
        self.realtime, self.gs_h, self.gs_r, self.asb, self.marks = realtime, gs_h, gs_r, asb, marks
        self.near_end_sensor = near_end
        self.identity = identity
        self.initialize_ends_asb = initialize_ends_asb
        self.early_fence = early_fence
        self.flow = True
        self.mute = self.fence_lost = False
        self.answer_delay_s = 0.0
        self.powered = True
        self.lost = self.received = 0
        self.requests: list[str] = []
        self.changed: list[Callable[[], None]] = []
        self.on_drop: Callable[[], None] = _nothing
        self.head = PrintHead(
            dots, on_request=self._asked, pages=pages, cutter=cutter, kanji=kanji, parenthesis=parenthesis
        )
        self._said: Callable[[bytes], None] = _to_nobody
        self._buffer = bytearray()
        self._taken = 0  # Bytes that ever got into the buffer.
        self._arrivals: list[_Moment] = []
        self._executions: list[_Moment] = []
        self._waiters: set[asyncio.Future[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.Handle | None = None
        self._life = 0
        self._forget_all()

    def _forget_all(self) -> None:
        """What is in no memory that outlives the power."""
        self._buffer.clear()
        self._before, self._last = _NOTHING_YET, _NOTHING_YET
        self._dropped = False
        self._automatic = 0
        self._automatic_said = self._automatic_status()
        self._due: deque[_Due] = deque()
        self._life += 1
        self._late = 0  # Answers that wait for `answer_delay_s`.
        self._credit_bytes = 0.0
        self._rows_out: float = self.head.strip.rows
        self._clock_s: float | None = None

    # What a link does.

    @property
    def room(self) -> int:
        """Bytes the buffer can take now; as much as it holds where the printer cannot hold anybody back."""
        if not self.flow or not self.powered:
            return self.buffer_bytes
        return self._free

    @property
    def _free(self) -> int:
        return max(self.buffer_bytes - len(self._buffer), 0)

    def receive(self, data: bytes) -> int:
        """Take what there is room for. How many bytes that was; the link keeps the others."""
        if not self.flow:
            return self._arrive(data)
        return self._arrive(data[: self.room])

    def force(self, data: bytes) -> None:
        """Take what a link without flow control pushes in. What finds no room is lost; real-time commands are heard."""
        self._arrive(data)

    def attach(self, said: Callable[[bytes], None]) -> None:
        """From now on the printer speaks to this link alone. It speaks also from within `receive`."""
        self._said = said

    async def room_for(self, count: int) -> None:
        """Wait until so many bytes, or as many as the buffer holds, find room."""
        await self._until(lambda: self.room >= min(count, self.buffer_bytes))

    async def idle(self) -> None:
        """Wait until everything is printed and answered, or the printer is offline or switched off."""
        await self._until(lambda: self.offline or not self.powered or self._at_rest)

    # What people and chance do.

    @property
    def offline(self) -> bool:
        """Whether it executes nothing because something is the matter."""
        return bool(self.conditions & _STOPPING)

    def change(self, condition: str, *, on: bool) -> None:
        """Begin or end a condition, by name; setting the attribute of that name does the same."""
        assert condition in CONDITIONS, f"a printer cannot be {condition}"
        self._pass_time()
        (self.conditions.add if on else self.conditions.discard)(condition)
        self._report()
        self._wake()
        self._work_soon()

    def power_off(self) -> None:
        """Buffer, broken command and settings are gone. Paper that was printed stays."""
        self.powered = False
        self._stop_timer()
        self.head.power_on()
        self._forget_all()
        self._wake()

    def power_on(self) -> None:
        """It starts with an empty buffer."""
        self.powered = True
        self._wake()

    def power_cycle(self) -> None:
        """Off and on. Whether its link falls by that is the link's affair."""
        self.power_off()
        self.power_on()

    def tear(self) -> None:
        """Somebody tears the paper off."""
        self.head.strip.tear()

    def drop(self) -> None:
        """The link falls now: what it has not delivered yet never arrives."""
        self._dropped = True
        self.on_drop()

    def after_received(self, count: int, action: Callable[[], None]) -> None:
        """Let something happen when so many more bytes have arrived. 0: at once."""
        self._plan(self._arrivals, self.received, count, action)

    def after_executed(self, count: int, action: Callable[[], None]) -> None:
        """Let something happen when the printer has executed so many of the bytes that arrive from now on."""
        self._plan(self._executions, self._taken, count, action)

    def _plan(self, plan: list[_Moment], now: int, count: int, action: Callable[[], None]) -> None:
        if count == 0:
            action()
            return
        plan.append(_Moment(now + count, action))
        plan.sort(key=lambda moment: moment.at_byte)

    # What came out.

    @property
    def strip(self) -> Image.Image:
        """All paper that ever came out, mode "1"."""
        return self.head.strip.image()

    @property
    def papers(self) -> list[Image.Image]:
        """Each paper with ink; see `print_head.Strip` for where one ends."""
        return self.head.strip.papers()

    @property
    def text(self) -> list[str]:
        """The lines that were printed as letters."""
        return self.head.text

    @property
    def events(self) -> list[str]:
        """What it did not understand or could not do as asked."""
        return self.head.events

    def save(self, folder: Path) -> list[Path]:
        """Each paper as a PNG file in a folder, which is made if need be. Their names, in order."""
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for number, paper in enumerate(self.papers, start=1):
            file = folder / f"paper-{number:03}.png"
            paper.save(file)
            files.append(file)
        return files

    # Bytes that arrive.

    def _arrive(self, data: bytes) -> int:
        """How many arrived: all, unless the link fell meanwhile."""
        self._loop = asyncio.get_running_loop()
        self._dropped = False
        at = 0
        while at < len(data) and not self._dropped:
            quiet = self._quiet_bytes(data, at)
            run = data[at : at + max(quiet, 1)]
            at += len(run)
            self.received += len(run)
            if self.powered:
                before, last = self._before, self._last
                self._keep(run)
                if not quiet:
                    self._hear(before, last, self._last)
            self._reach(self._arrivals, self.received)
        self._work_soon()
        return at

    def _quiet_bytes(self, data: bytes, at: int) -> int:
        """How many bytes from there arrive before one that ends a command to be heard; up to a planned moment."""
        end = len(data)
        if self._arrivals:
            end = min(end, at + max(self._arrivals[0].at_byte - self.received, 1))
        seam = bytes((self._before.byte, self._last.byte)) + data[at : min(at + _HEARD_BYTES - 1, end)]
        if found := _HEARD.match(seam) or _HEARD.match(seam, 1):
            return found.start()
        found = _HEARD.search(data, at, end)
        return (end if found is None else found.end() - 1) - at

    def _keep(self, run: bytes) -> None:
        """Into the buffer with it, as far as there is room."""
        kept = min(len(run), self._free)
        self._buffer += run[:kept]
        self._taken += kept
        self.lost += len(run) - kept
        self._before = _Arrived(run[-2], kept > len(run) - 2) if len(run) > 1 else self._last
        self._last = _Arrived(run[-1], kept == len(run))

    def _hear(self, before: _Arrived, last: _Arrived, now: _Arrived) -> None:
        """Recognise what is not to wait for its turn, also where it is only a part of a picture."""
        if before.byte == _GS and last.byte == _R:
            if self.early_fence and self.gs_r:
                self._answer(self._ordered_status(now.byte))
        elif before.byte == _DLE and last.byte == _EOT and 1 <= now.byte <= 4:
            self._whole_or_not_at_all(before, last, now)
            if self.realtime:
                self.say(bytes((self._realtime_status(now.byte),)))
        elif before.byte == _DLE and last.byte == _ENQ and now.byte <= 2:
            self._whole_or_not_at_all(before, last, now)
            self.requests.append(f"DLE ENQ {now.byte}")
        elif before.byte == _DLE and last.byte == _DC4 and now.byte in _DC4_FUNCTIONS:
            self.requests.append(f"DLE DC4 {now.byte}")

    def _whole_or_not_at_all(self, *command: _Arrived) -> None:
        """A real-time command that found no room for all its bytes leaves none behind, and is not lost either."""
        kept = [one.byte for one in command if one.kept]
        if len(kept) == len(command):
            return
        self.lost -= len(command) - len(kept)
        while kept and self._buffer and self._buffer[-1] == kept[-1]:
            self._buffer.pop()
            kept.pop()
            self._taken -= 1

    @staticmethod
    def _reach(plan: list[_Moment], count: int) -> None:
        while plan and plan[0].at_byte <= count:
            plan.pop(0).action()

    # Work.

    def _pass_time(self) -> None:
        """Let the motor and the interpreter have the time since the last look."""
        if self._loop is None:
            return
        now = self._loop.time()
        elapsed_s = 0.0 if self._clock_s is None else now - self._clock_s
        self._clock_s = now
        if self.offline or not self.powered:
            return
        rows = self.head.strip.rows
        self._rows_out = min(rows, self._rows_out + _at_speed(self.rows_per_s, elapsed_s))
        due = self._credit_bytes + _at_speed(self.drain_bytes_per_s, elapsed_s)
        self._credit_bytes = min(max(1.0, _at_speed(self.drain_bytes_per_s, _CATCH_UP_S)), due)

    @property
    def _backlog_rows(self) -> float:
        return self.head.strip.rows - self._rows_out

    @property
    def _at_rest(self) -> bool:
        self._pass_time()
        return not (self._buffer or self._due or self._late or self._backlog_rows > 0)

    def _work_soon(self) -> None:
        if self._loop is None or not self.powered:
            return
        self._stop_timer()
        self._timer = self._loop.call_soon(self._work)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _work(self) -> None:
        """Execute what time allows, and come again when more is due."""
        self._timer = None
        self._pass_time()
        left = _BYTES_AT_ONCE
        while left and self._can_execute():
            count = min(left, self._plain_bytes())
            left -= count
            self._credit_bytes -= count
            run = bytes(self._buffer[:count])
            del self._buffer[:count]
            self.head.execute(run)
            if math.isinf(self.rows_per_s):
                self._rows_out = self.head.strip.rows
            self._answer_due()
            self._reach(self._executions, self._executed)
        self._answer_due()
        if not self._buffer:
            self._credit_bytes = min(self._credit_bytes, 1.0)
        self._wake()
        self._come_again()

    @property
    def _executed(self) -> int:
        return self._taken - len(self._buffer)

    def _plain_bytes(self) -> int:
        """How many bytes can be executed with nothing to do between them, where one can: 1, or the rest of a row."""
        if self._due and self._wait_s(self._due[0]) <= 0:
            return 1  # The answer comes behind the next byte, and who hears it may change everything.
        count = min(self.head.row_rest_bytes, len(self._buffer))
        if self._credit_bytes < count:
            count = int(self._credit_bytes)
        if self._executions:
            count = min(count, self._executions[0].at_byte - self._executed)
        return max(count, 1)

    def _can_execute(self) -> bool:
        ahead = self._backlog_rows > _LINE_BUFFER_ROWS
        return bool(self._buffer) and not self.offline and self._credit_bytes >= 1 and not ahead

    def _come_again(self) -> None:
        if self.offline or not self.powered or self._loop is None or self._timer is not None:
            return
        waits: list[float] = []
        if self._buffer:
            credit_s = max(1 - self._credit_bytes, 0) / self.drain_bytes_per_s
            motor_s = max(self._backlog_rows - _LINE_BUFFER_ROWS, 0) / self.rows_per_s
            waits.append(max(credit_s, motor_s))
        if self._due:
            waits.append(self._wait_s(self._due[0]))
        elif self._backlog_rows > 0:
            waits.append(self._backlog_rows / self.rows_per_s)
        if not waits:
            return
        wait_s = min(waits)
        self._timer = self._loop.call_later(max(wait_s, _TICK_S) if wait_s > 0 else 0, self._work)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        for hook in tuple(self.changed):
            hook()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    # Answers.

    def say(self, data: bytes) -> None:
        """Speak to the link at once, asked or not."""
        if data and not self.mute:
            self._said(data)

    def _asked(self, request: Request) -> None:
        match request:
            case StatusAsked(n):
                if self.gs_r and not self.early_fence:
                    self._answer(self._ordered_status(n))
            case FenceAsked(name):
                if self.gs_h:
                    self._owe(b"\x37\x22" + name + b"\0")
            case IdentityAsked(n):
                if n == _MODEL_NAME and self.identity is not None:
                    self._answer(b"\x5f" + self.identity.encode("ascii") + b"\0")
            case AutomaticAsked(n):
                if self.asb:
                    self._automatic = n & _AUTOMATIC_BITS
                    if self._automatic:
                        self._say_automatic()
            case Initialized():
                if self.initialize_ends_asb:
                    self._automatic = 0
            case never:
                assert_never(never)

    def _owe(self, answer: bytes) -> None:
        assert self._loop is not None
        time_s = self._loop.time()
        if not self.marks:
            self._due.clear()
            time_s += _LATEST_ONLY_S
        self._due.append(_Due(self.head.strip.rows, time_s, answer))

    def _answer_due(self) -> None:
        while self._due and self._wait_s(self._due[0]) <= 0:
            self._answer(self._due.popleft().answer)

    def _wait_s(self, due: _Due) -> float:
        assert self._loop is not None
        return max((due.rows - self._rows_out) / self.rows_per_s, due.time_s - self._loop.time())

    def _answer(self, data: bytes) -> None:
        """Give an answer whose turn has come."""
        if self.fence_lost:
            return
        if self.answer_delay_s and self._loop is not None:
            self._late += 1
            self._loop.call_later(self.answer_delay_s, self._answer_late, self._life, data)
        else:
            self.say(data)

    def _answer_late(self, life: int, data: bytes) -> None:
        if life == self._life:
            self._late -= 1
            self.say(data)
            self._wake()

    def _report(self) -> None:
        """Automatic status, when something that is watched has changed."""
        status, said = self._automatic_status(), self._automatic_said
        if self.powered and any(self._automatic & bit and status[at] != said[at] for bit, at in _WATCHED):
            self._say_automatic()

    def _say_automatic(self) -> None:
        self._automatic_said = self._automatic_status()
        self.say(self._automatic_said)

    @property
    def _near(self) -> bool:
        return self.near_end and self.near_end_sensor

    def _realtime_status(self, n: int) -> int:
        match n:
            case 1:
                return 0x12 | self.offline << 3
            case 2:
                return 0x12 | self.cover_open << 2 | self.paper_out << 5 | self.head_hot << 6
            case 3:
                return 0x12 | self.head_hot << 6
            case _:
                return 0x12 | self._near * 0x0C | self.paper_out * 0x60

    def _automatic_status(self) -> bytes:
        first = 0x10 | self.low_battery << 2 | self.offline << 3 | self.cover_open << 5
        return bytes((first, self.head_hot << 6, self._near * 0x03 | self.paper_out * 0x0C, 0))

    def _ordered_status(self, n: int) -> bytes:
        if n in _PAPER_SENSOR:
            return bytes((self._near * 0x03,))
        return b"\0" if n in _DRAWER else b""


def _at_speed(per_s: float, seconds: float) -> float:
    """How much is done in a time; at no speed limit everything, also in no time."""
    return math.inf if math.isinf(per_s) else per_s * seconds


def _to_nobody(_: bytes) -> None:
    """What a printer says while no link is there."""


def _nothing() -> None:
    """For a printer whose link cannot fall."""
