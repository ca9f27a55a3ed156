"""What the firmware asks of the board it runs on. For the type checker only: a board needs no copy of this file."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Port(Protocol):
        """A serial line. Neither call ever waits: one that did would leave the watchdog unfed."""

        def read(self) -> bytes:
            """What has arrived, at most a few hundred bytes; b"" if nothing has, or if nobody is there."""

        def write(self, data: bytes) -> int:
            """How many bytes, from the start of `data`, were taken. Taken is not yet sent."""

    class Board(Protocol):
        """One board: its three lines, its battery, its watchdog.

        name: as `info` tells it. gnss, modem: None where nothing is wired.
        """

        name: str

        @property
        def host(self) -> Port: ...

        @property
        def gnss(self) -> Port | None: ...

        @property
        def modem(self) -> Port | None: ...

        def battery_mv(self) -> int | None:
            """Millivolts at the cell; None where none is measured."""

        def feed(self) -> None:
            """Tell the watchdog that the loop turns. It resets a board that is not fed for WATCHDOG_MS."""

        def released(self) -> bool:
            """Whether somebody at the board wants the loop to end, to copy new firmware onto it."""

        def ticks_ms(self) -> int:
            """Milliseconds since the board started. They do not wrap."""

        def pause(self) -> None:
            """Let a few milliseconds go by before the next turn."""
