"""A real printer at the end of a link, and what the handheld remembers of it.

The handheld knows one printer, by its address. What a probe found and which code pages a person confirmed on a printed
ticket is kept beside the store, so that the next morning's first paper asks nothing. It is a convenience and never a
condition: what cannot be read is asked again, what cannot be written is known until the process ends.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from device.core.effects import PaperJob, PrintResult
from device.keystore import write_whole
from device.store import StoreError
from printer_drivers.escpos import EncodeError, Mode, Segment, encode
from printer_drivers.job import JobState
from printer_drivers.profiles import (
    GENERIC,
    MUTE,
    Abilities,
    Fence,
    Profile,
    Scheme,
    TextPages,
    UnknownModelError,
    profile_for,
)
from printer_drivers.raster import FontMissingError, QrTooLargeError
from printer_drivers.session import Patience, PrintEnd, PrinterSession, Probe, ProbeError
from printer_drivers.transports import LinkError, open_link
from printer_drivers.transports.address import AddressError, PrinterAddress, Way, parse
from protocol.document import Document
from protocol.records import PrintOutcome

REMEMBERED_NAME = "printer.json"
_OUTCOMES = {
    JobState.PRINTED: PrintOutcome.PRINTED,
    JobState.NOT_PRINTED: PrintOutcome.NOT_PRINTED,
    JobState.UNKNOWN: PrintOutcome.UNKNOWN,
}

log = logging.getLogger(__name__)


class RememberedError(ValueError):
    """What is remembered cannot be used; the sentence says what to do. address: where the printer is, if that is known
    all the same.
    """

    def __init__(self, path: Path, cause: Exception, address: str | None = None) -> None:
        rest = "it will be asked again what it can do" if address else "choose the printer again"
        super().__init__(f"{path} is damaged ({cause}): {rest}")
        self.address = address


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A printer as this handheld knows it. abilities: as probed; pages: as confirmed by a person on paper."""

    address: str
    abilities: Abilities | None = None
    pages: TextPages | None = None


def read_remembered(home: Path) -> Remembered | None:
    """The printer that was chosen last, or None. Raises RememberedError."""
    path = home / REMEMBERED_NAME
    address: str | None = None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        address = str(_parsed(content["address"])[0])
        return Remembered(
            address=address, abilities=_abilities(content["abilities"]), pages=pages_of(content["pages"])
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise RememberedError(path, error, address) from error


def keep_remembered(home: Path, printer: Remembered) -> None:
    """Keep a printer for the next start, whole or not at all. Raises OSError."""
    write_whole(home / REMEMBERED_NAME, json.dumps(asdict(printer), indent=2).encode())


def pages_of(content: object) -> TextPages | None:
    """The pages of a JSON object, or None of null. Raises ValueError, TypeError or LookupError."""
    if content is None:
        return None
    if not isinstance(content, Mapping):
        raise TypeError("pages are an object")
    lower, upper = content["lower"], content.get("upper")
    if type(lower) is not int or type(upper) not in (int, type(None)):
        raise TypeError("a page is a whole number")
    return TextPages(scheme=Scheme(content["scheme"]), lower=lower, upper=upper)


def _abilities(content: object) -> Abilities | None:
    if content is None:
        return None
    if not isinstance(content, Mapping):
        raise TypeError("abilities are an object")
    flags = [field.name for field in fields(Abilities) if field.name != "fence"]
    if any(not isinstance(content[name], bool | None) for name in flags):
        raise TypeError("an ability is true, false or null")
    fence = content["fence"]
    return Abilities(fence=None if fence is None else Fence(fence), **{name: content[name] for name in flags})


def _parsed(text: object) -> tuple[PrinterAddress, Profile]:
    """An address and the profile of its model. Raises AddressError."""
    if not isinstance(text, str):
        raise AddressError("the address of a printer is a text, such as serial:///dev/ttyUSB0")
    address = parse(text)
    try:
        return address, profile_for(address.options.get("model", GENERIC))
    except UnknownModelError as error:
        raise AddressError(str(error)) from error


def remembered_printer(home: Path) -> "LinkedPrinter | ForgottenPrinter | None":
    """The printer that was chosen last; None where none ever was. A damaged memory stops nobody."""
    try:
        known = read_remembered(home)
    except RememberedError as error:
        if error.address is None:
            log.warning("%s", error)
            return ForgottenPrinter()
        return LinkedPrinter(error.address, home)
    return None if known is None else LinkedPrinter(known.address, home)


class ForgottenPrinter:
    """Stands where a printer was of which nobody knows the address any more.

    Papers wait for it: one that went into a file unseen would count as printed.
    """

    trouble: str | None = "not-found"

    async def print(
        self, job: PaperJob, document: Document, starting: Callable[[], Awaitable[None]]
    ) -> PrintResult:
        """As `device.printing.Printer.print`: nothing comes out before the printer is chosen again."""
        return PrintResult(outcome=PrintOutcome.NOT_PRINTED, reason=self.trouble)

    async def close(self) -> None:
        """As `device.printing.Printer.close`."""


class LinkedPrinter:
    """Prints papers over the link that an address names. home: where what is learned is kept.

    Raises AddressError for an address that cannot be one. Nothing is opened before the first paper. One caller at a
    time. patience: as of `session.PrinterSession`.
    """

    def __init__(self, address: str, home: Path, patience: Patience | None = None) -> None:
        self._home = home
        self._address, self.profile = _parsed(address)
        self._mode = Mode(self._address.options.get("mode", Mode.RASTER))
        self._on_disk = self._recalled()
        self._known = replace(self._on_disk or Remembered(address=self.address), address=self.address)
        self._trouble: str | None = None
        self._session = PrinterSession(
            open_link(self._address, self.profile),
            self.profile,
            monotonic=time.monotonic,
            abilities=MUTE if self._address.scheme is Way.FILE else self._known.abilities,
            watch=self._watch,
            patience=patience,
        )

    @property
    def address(self) -> str:
        """Where it is, as `address.PrinterAddress` spells it."""
        return str(self._address)

    @property
    def mode(self) -> Mode:
        """How papers are set, as the address asks for. Text without confirmed pages is printed as a picture."""
        return self._mode

    @property
    def trouble(self) -> str | None:
        """Why nothing comes out at this moment, as a short code."""
        return self._trouble

    @property
    def abilities(self) -> Abilities:
        """What it can do, as far as that is known now."""
        return self._session.abilities

    @property
    def probed(self) -> bool:
        """Whether all is known that papers need: by a probe, of today or an earlier day."""
        return _complete(self.abilities)

    @property
    def pages(self) -> TextPages | None:
        """The code pages that a person has confirmed."""
        return self._known.pages

    @property
    def remembered(self) -> bool:
        """Whether the next start will know it."""
        return self._on_disk == self._known

    async def print(
        self, job: PaperJob, document: Document, starting: Callable[[], Awaitable[None]]
    ) -> PrintResult:
        """Print a paper; see `device.printing.Printer`."""
        return await self.print_document(document, starting)

    async def print_document(
        self, document: Document, starting: Callable[[], Awaitable[None]] | None = None
    ) -> PrintResult:
        """As `print`, also of what is no job: tickets."""
        try:
            paper = await asyncio.to_thread(self._encoded, document)
        except EncodeError:
            return PrintResult(outcome=PrintOutcome.NOT_PRINTED, reason="letter-missing")
        except QrTooLargeError:
            return PrintResult(outcome=PrintOutcome.NOT_PRINTED, reason="qr-too-large")
        except FontMissingError:
            return PrintResult(outcome=PrintOutcome.NOT_PRINTED, reason="font-missing")
        return await self.print_segments(paper, starting)

    async def print_segments(
        self, paper: tuple[Segment, ...], starting: Callable[[], Awaitable[None]] | None = None
    ) -> PrintResult:
        """As `print_document`, of a paper that is set already."""
        self._trouble = None  # The session tells only what changes, and nothing that a probe of its own found.
        end = await self._printed(paper, starting or _no_list)
        self._trouble = end.reason
        await self._learn()
        return PrintResult(outcome=_OUTCOMES[end.state], reason=end.reason)

    async def _printed(self, paper: tuple[Segment, ...], starting: Callable[[], Awaitable[None]]) -> PrintEnd:
        """Whatever goes wrong in a driver costs the certainty of one paper, and nobody the handheld."""
        begun = False

        async def begin() -> None:
            nonlocal begun
            await starting()
            begun = True

        try:
            return await self._session.print(paper, starting=begin)
        except StoreError:
            raise  # The disk's, from `starting`: whoever goes on after that would print without a record.
        except Exception:  # Whatever a driver, a radio stack or a bus may raise that nobody foresaw.
            log.exception("a printer driver failed")
            await self._session.close()
            return PrintEnd(JobState.UNKNOWN if begun else JobState.NOT_PRINTED, "driver-error")

    async def probe(self) -> Probe:
        """Ask what it can do, and keep the answer. Raises LinkError, ProbeError; then all is as it was."""
        before = self._session.abilities
        try:
            found = await self._session.probe()
        except (LinkError, ProbeError) as error:
            self._session.abilities = before
            self._trouble = error.reason
            raise
        if not _answers(found.abilities):
            self._session.abilities = before
            self._trouble = "printer-silent"
            raise ProbeError("printer-silent")
        self._trouble = None
        await self._learn()
        return found

    async def confirm_pages(self, pages: TextPages | None) -> None:
        """A person has read on paper that these are the pages; None: that nobody knows them."""
        self._known = replace(self._known, pages=pages)
        await self.remember()

    async def remember(self) -> None:
        """Let the next start know this printer."""
        known = self._known
        try:
            await asyncio.to_thread(keep_remembered, self._home, known)
        except OSError as error:  # No record: the printer works as it is, and the next start asks it again.
            log.warning("the printer cannot be remembered: %s", error)
        else:
            self._on_disk = known

    async def close(self) -> None:
        """Hang up."""
        await self._session.close()

    def _recalled(self) -> Remembered | None:
        """What is remembered of this printer: of the same model in the same place, however papers are set for it."""
        try:
            known = read_remembered(self._home)
        except RememberedError as error:
            log.warning("%s", error)
            return None
        if known is None or _identity(parse(known.address)) != _identity(self._address):
            return None
        return known

    def _encoded(self, document: Document) -> tuple[Segment, ...]:
        # All of it before the first byte leaves: a letter that cannot be set must not break off a paper.
        if self._mode is Mode.TEXT and self._known.pages is not None:
            return tuple(encode(document, self.profile, Mode.TEXT, self._known.pages))
        mode = Mode.RASTER if self._mode is Mode.TEXT else self._mode  # Pages nobody confirmed would print riddles.
        return tuple(encode(document, self.profile, mode))

    async def _learn(self) -> None:
        """Keep what the session has found out, as far as it can be believed tomorrow."""
        found = self._session.abilities
        if not _complete(found):
            return
        if not _answers(found):
            self._session.abilities = self.profile.abilities  # It was off, perhaps. The next paper asks again.
        elif found.fence is not Fence.NONE and found != self._known.abilities:
            # One answer lost makes a printer without fence, whose papers are all in doubt: that is asked each day.
            self._known = replace(self._known, abilities=found)
            await self.remember()

    def _watch(self, trouble: str | None) -> None:
        self._trouble = trouble


async def _no_list() -> None:
    """For papers that nobody keeps a list of."""


def _complete(abilities: Abilities) -> bool:
    return None not in (abilities.realtime, abilities.fence, abilities.marks)


def _answers(abilities: Abilities) -> bool:
    return bool(abilities.realtime or abilities.identity) or abilities.fence not in (None, Fence.NONE)


def _identity(address: PrinterAddress) -> tuple[str, str, str]:
    return address.scheme, address.place, address.options.get("model", GENERIC)
