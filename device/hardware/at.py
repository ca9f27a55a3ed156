"""Questions to a modem in AT commands: one at a time, with answers that come late, in pieces, and among other words.

Source: ITU-T V.250 and 3GPP TS 27.007; what modems really do, from their transcripts: bytes that come singly, echoes
that end with CR CR LF or hang on the tail of an unsolicited line, answers that never come.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from device.hardware.serial_port import Tty, open_tty

BAUD = 115_200  # USB modems do not care; those on a real line start with this or find it out.
COMMAND_S = 5.0  # What manuals allow for questions that need no network.
GREET_S = 1.0  # A modem that is awake answers AT in milliseconds.
GREETINGS = 5  # One or two are lost to a modem that wakes up or finds out the baud rate.
LINE_MAX_BYTES = 512  # The longest answers that we could want have 80.
LINES_MAX = 64  # A modem that talks without end has not understood us.
_QUIET_S = 0.3  # After a command without an answer: what comes late is let pass.
_QUIET_MAX_S = 3.0

_GOOD = "OK"
_BAD = frozenset(
    ("ERROR", "NO CARRIER", "NO ANSWER", "NO DIALTONE", "NO DIAL TONE", "BUSY", "ABORTED", "COMMAND NOT SUPPORT")
)
_BAD_WITH_REASON = ("+CME ERROR:", "+CMS ERROR:")


class AtError(Exception):
    """A modem cannot be asked. command: what was asked."""

    def __init__(self, command: str, sentence: str) -> None:
        super().__init__(sentence)
        self.command = command


class AtRefusedError(AtError):
    """The modem said no. final: its words, for instance "+CME ERROR: 10"."""

    def __init__(self, command: str, final: str) -> None:
        super().__init__(command, f"The modem refused {command}: {final}")
        self.final = final


class AtSilentError(AtError):
    """No final answer came in time."""


class LineReader:
    """Cuts what a modem says into lines. CR and LF both end one, in any number; empty ones do not count.

    Holds one line at most: the rest of one that is too long is dropped.
    """

    def __init__(self) -> None:
        self._line = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete."""
        lines = []
        for byte in data:
            if byte in b"\r\n":
                if text := self._line.decode("ascii", "replace").strip():
                    lines.append(text)
                self._line.clear()
            elif byte and len(self._line) < LINE_MAX_BYTES:  # Modems send NUL while they start.
                self._line.append(byte)
        return lines


def is_final(line: str) -> bool:
    """Whether a line ends the answer to a command, well or badly."""
    return line == _GOOD or line in _BAD or line.startswith(_BAD_WITH_REASON)


def is_answer(line: str, command: str) -> bool:
    """Whether a line may be a part of the answer to `command`, and not something the modem says unasked.

    Answers carry the command's name or nothing before a colon. Unasked lines carry names of their own; those without
    any (RDY, RING) cannot be told apart here, and whoever asked finds them not to be what he asked for.
    """
    name, colon, _ = line.partition(":")
    if not colon or not name.startswith(("+", "^", "%", "#", "$", "*")):
        return True
    return name.upper() == _name_of(command)


def _name_of(command: str) -> str:
    return command.upper().removeprefix("AT").partition("=")[0].rstrip("?")


class AtPort:
    """A modem on an open port. unasked: is told each line that belongs to no answer."""

    def __init__(self, tty: Tty, *, unasked: Callable[[str], None] = lambda line: None) -> None:
        self._tty = tty
        self._unasked = unasked
        self._lines = LineReader()
        self._turn = asyncio.Lock()
        self._answer_is_due = False

    async def greet(self, *, tries: int = GREETINGS, timeout_s: float = GREET_S) -> None:
        """Find the modem awake, and ask it not to repeat what it is told. Raises AtError, TtyError."""
        for left in reversed(range(tries)):
            try:
                await self.command("AT", timeout_s=timeout_s)
                break
            except AtSilentError:
                if not left:
                    raise
            except AtRefusedError:  # It heard us after half a word of somebody else.
                if not left:
                    raise
        with suppress(AtRefusedError):  # Then it repeats, and we know an echo when we see one.
            await self.command("ATE0", timeout_s=timeout_s)

    async def command(self, command: str, *, timeout_s: float = COMMAND_S) -> tuple[str, ...]:
        """Ask, and give back the lines of the answer without the final OK.

        One command is on its way at a time; others wait for their turn, and their time begins with it.
        Raises AtRefusedError, AtSilentError, TtyError.
        """
        assert command.isprintable(), "one command, without its end"
        async with self._turn:
            if self._answer_is_due:
                await self._let_pass()
            self._answer_is_due = True
            self._tty.write(command.encode("ascii") + b"\r")
            try:
                async with asyncio.timeout(timeout_s):
                    lines = await self._answer(command)
            except TimeoutError as error:
                raise AtSilentError(command, f"The modem on {self._tty.path} did not answer {command}.") from error
            return lines

    async def _answer(self, command: str) -> tuple[str, ...]:
        answer: list[str] = []
        while True:
            lines = self._lines.feed(await self._tty.read())
            for line in lines:
                said = _without_echo(line, command)
                if is_final(said):
                    self._answer_is_due = False
                    if said == _GOOD:
                        return tuple(answer)
                    raise AtRefusedError(command, said)
                if said and is_answer(said, command):
                    answer.append(said)
                elif said:
                    self._unasked(said)
            if len(answer) > LINES_MAX:
                raise AtSilentError(command, f"What is on {self._tty.path} talks without end; it is no modem.")

    async def _let_pass(self) -> None:
        """Wait until a late answer to the command before is over, so that it is not taken for one to the next."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_QUIET_MAX_S):
                with suppress(TimeoutError):
                    while True:
                        async with asyncio.timeout(_QUIET_S):
                            await self._tty.read()
        self._tty.forget()
        self._lines = LineReader()


@asynccontextmanager
async def open_at_port(
    path: str, *, baud: int = BAUD, unasked: Callable[[str], None] = lambda line: None
) -> AsyncIterator[AtPort]:
    """A modem's port, from entering to leaving. Raises TtyError."""
    async with open_tty(path, baud) as tty:
        yield AtPort(tty, unasked=unasked)


def _without_echo(line: str, command: str) -> str:
    """The line without the command that the modem repeats at its end, alone or behind an unasked line."""
    return line[: -len(command)] if line.upper().endswith(command.upper()) else line
