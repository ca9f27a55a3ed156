"""Performs `Print`: commits that a paper has begun, hands it to a printer, and says how it ended.

The printers here write files, for screens, simulators and rooms without paper.
"""

import asyncio
import errno
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from device.checkpoints import checkpoint
from device.core.effects import PaperJob, Print, PrintResult
from device.core.events import PrintEnded
from device.store import DeviceStore
from protocol.document import Document, as_text
from protocol.records import PrintOutcome

DOTS_58_MM = 384
COLUMNS_58_MM = 32
Starting = Callable[[], Awaitable[None]]
PRINTED = PrintResult(outcome=PrintOutcome.PRINTED)
_NUMBERED = re.compile(r"(\d{4,})_")


class Printer(Protocol):
    """Something that makes paper.

    PRINTED means that the printer reported the end of the job. It does not mean that the customer holds the paper, that
    it can be read, or that nobody printed it elsewhere. NOT_PRINTED means that not one line can have come out; whoever
    is in doubt answers UNKNOWN. An error of the device is an answer, not an exception.

    starting is awaited before the first byte that can print leaves, and only then; what it raises ends the job with
    nothing printed.
    """

    @property
    def trouble(self) -> str | None:
        """Why nothing comes out at this moment, as a short code, so that a hand can mend it."""

    async def print(self, job: PaperJob, document: Document, starting: Starting) -> PrintResult: ...

    async def close(self) -> None:
        """Hang up."""


class Files:
    """What printers that write files have in common: nothing to mend by hand, nothing to hang up."""

    trouble: str | None = None

    async def close(self) -> None:
        """As `Printer.close`."""


class PngFolder(Files):
    """Papers as pictures, NNNN_<kind>_<customer>_<print_no>.png: what a raster printer would burn, to the dot."""

    def __init__(self, folder: Path, dots: int = DOTS_58_MM) -> None:
        self._folder = folder
        self._dots = dots

    async def print(self, job: PaperJob, document: Document, starting: Starting) -> PrintResult:
        await starting()
        return await asyncio.to_thread(self._write, job, document)

    def _write(self, job: PaperJob, document: Document) -> PrintResult:
        from printer_drivers import raster  # noqa: PLC0415 -- Fonts and Pillow load while nobody waits for a key.

        try:
            picture = raster.to_png(raster.render(document, self._dots))
            path = self._folder / f"{self._next_number():04d}_{_name(job)}.png"
            new = path.with_suffix(".new")
            new.write_bytes(picture)
            new.replace(path)
        except raster.FontMissingError:
            return not_printed("font-missing")
        except raster.QrTooLargeError:
            return not_printed("qr-too-large")
        except OSError as error:
            return not_printed(_reason(error))
        return PRINTED

    def _next_number(self) -> int:
        """One more than the highest there: a second process or a restart does not write over the first one's papers."""
        found = (_NUMBERED.match(path.name) for path in self._folder.iterdir())
        return max((int(number[1]) for number in found if number), default=0) + 1


class TextFolder(Files):
    """Papers as letters, one behind the other in papers.txt."""

    def __init__(self, folder: Path, columns: int = COLUMNS_58_MM) -> None:
        self._path = folder / "papers.txt"
        self._columns = columns

    async def print(self, job: PaperJob, document: Document, starting: Starting) -> PrintResult:
        await starting()
        return await asyncio.to_thread(self._append, job, document)

    def _append(self, job: PaperJob, document: Document) -> PrintResult:
        data = f"=== {_name(job)}\n{as_text(document, self._columns)}\n".encode()
        try:
            with self._path.open("ab", buffering=0) as file:
                written = file.write(data)  # One write: a cut leaves all of a paper or a beginning of it, at the end.
        except OSError as error:
            return not_printed(_reason(error))
        if written != len(data):  # The disk is full.
            return PrintResult(outcome=PrintOutcome.UNKNOWN, reason="file-ENOSPC")
        return PRINTED


class PressBusyError(Exception):
    """A paper is printing, or somebody is trying the printer."""


class PaperPress:
    """One printer, one paper at a time."""

    def __init__(self, store: DeviceStore, printer: Printer) -> None:
        self._store = store
        self._printer = printer
        self._turn = asyncio.Lock()

    @property
    def trouble(self) -> str | None:
        """As `Printer.trouble`."""
        return self._printer.trouble

    async def print(self, effect: Print) -> PrintEnded:
        """Print a job. Raises StoreError, and then nothing has come out."""

        async def starting() -> None:
            checkpoint("before mark_started")
            await self._store.mark_started(effect.job)
            checkpoint("before print")

        async with self._turn:
            result = await self._printer.print(effect.job, effect.document, starting)
            checkpoint("after print")
        return PrintEnded(job=effect.job, result=result)

    @property
    def printer(self) -> Printer:
        """The printer of the next paper."""
        return self._printer

    @property
    def busy(self) -> bool:
        """Whether a paper is printing, or somebody is trying the printer."""
        return self._turn.locked()

    @asynccontextmanager
    async def between_papers(self) -> AsyncIterator[Printer]:
        """The printer while no paper is on it; papers wait until it is given back. Raises PressBusyError."""
        if self._turn.locked():
            raise PressBusyError
        async with self._turn:
            yield self._printer

    async def change(self, printer: Printer) -> None:
        """Print the next papers on this one, and hang up the one before. Only `between_papers`."""
        assert self._turn.locked(), "a paper is printed on one printer"
        before, self._printer = self._printer, printer
        await before.close()

    async def close(self) -> None:
        """Hang up."""
        await self._printer.close()


def printer_for(place: str | None, home: Path) -> Printer:
    """The printer of "png:FOLDER" or "text:FOLDER", whose folder is made, or of a printer's address.

    None: the printer that was chosen last, or pictures in the home of a handheld that never had one.
    Raises ValueError with a sentence, or OSError.
    """
    if place is None:
        from device.linked_printer import remembered_printer  # noqa: PLC0415 -- As below.

        known = remembered_printer(home)
        return known if known is not None else printer_for(f"png:{home / 'papers'}", home)
    kind, _, name = place.partition(":")
    folder = Path(name)
    if kind not in ("png", "text"):
        from device.linked_printer import LinkedPrinter  # noqa: PLC0415 -- Links load where there is one.

        return LinkedPrinter(place, home)
    if not name:
        raise ValueError(f"{place!r}: papers go to png:FOLDER or text:FOLDER")
    folder.mkdir(parents=True, exist_ok=True)
    return PngFolder(folder) if kind == "png" else TextFolder(folder)


def not_printed(reason: str) -> PrintResult:
    """Nothing came out. reason: a short code, as records carry it."""
    return PrintResult(outcome=PrintOutcome.NOT_PRINTED, reason=reason)


def _reason(error: OSError) -> str:
    return f"file-{errno.errorcode.get(error.errno or 0, 'error')}"


def _name(job: PaperJob) -> str:
    return f"{job.kind.name.lower()}_{job.customer or 'day'}_{job.print_no}"
