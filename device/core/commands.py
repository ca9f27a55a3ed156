"""What a collector can ask of a handheld.

Each command that makes a record carries an intent: 16 bytes made before the tap is handled. The same intent twice is
one record, whatever happened in between. ConfirmPaper needs none: a paper is in doubt or it is not.
"""

from dataclasses import dataclass
from enum import Enum

from protocol.records import ContactOutcome, Denomination, PaperKind, VoidReason


class Which(Enum):
    """Which bills a collection is for."""

    ALL = "all"
    CURRENT = "current"
    ARREARS = "arrears"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenShift:
    """Begin a day. business_date: None takes today's civil date."""

    intent: bytes
    collector: str
    business_date: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStop:
    """Look at a customer: asks the hub what has changed there, if there is a network."""

    customer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeReading:
    """Save what the dial shows.

    confirms_m3: the consumption that a person has been warned of and stands by; refused once more where it comes to
    another one now. confirmed: whatever it comes to, for programs that nobody could warn; it counts where confirms_m3
    is None.
    photo: SHA-256 of a picture that is kept. seen: `StopWork.mark` as it was when the screen was made; None where
    nobody looked at one. Something recorded since then makes the screen old, and the reading is refused.
    """

    intent: bytes
    customer: str
    code: str
    index: int
    removed_index: int | None = None
    installed_index: int | None = None
    confirmed: bool = False
    confirms_m3: int | None = None
    photo: bytes | None = None
    seen: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipReading:
    """Save why a meter could not be read. photo, seen: as with TakeReading."""

    intent: bytes
    customer: str
    code: str
    photo: bytes | None = None
    seen: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteContact:
    """Save why nothing was collected at this visit, and when to come back: a civil date, if the customer named one."""

    intent: bytes
    customer: str
    outcome: ContactOutcome
    come_back: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideHold:
    """Lift a hold by a supervisor's code: ten digits, checked against their hash before. because: why, in words."""

    intent: bytes
    customer: str
    supervisor_code: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLogIn:
    """Let a collector try again whose log-in is locked, by a supervisor's code that has been checked."""

    intent: bytes
    collector: str
    supervisor_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Take cash. amount_vnd: what the screen showed; refused when it is no longer what is owed."""

    intent: bytes
    customer: str
    amount_vnd: int
    which: Which = Which.ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidCollection:
    """Take a collection back. receipt_no: of this handheld."""

    intent: bytes
    receipt_no: int
    reason: VoidReason
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintPaper:
    """Print a paper, again if it has been printed. customer: "" for the day slip. receipt_no picks a receipt.

    It is also the answer "it did not print" for a paper in doubt. What the collector did not find may still lie in the
    printer or in somebody's hand, so it is printed under the next number, with the mark of a reprint; there is no
    command that makes an unmarked print free again.
    """

    kind: PaperKind
    customer: str = ""
    receipt_no: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmPaper:
    """Answer "it did print" for a paper in doubt: the collector has seen it. Fields pick it as in PrintPaper.

    A paper that is certainly out stays so: the same tap again is done, and makes no record. A reprint that waits is
    dropped with the answer, since nobody needs it any more.
    """

    kind: PaperKind
    customer: str = ""
    receipt_no: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountCash:
    """Say what is in the bag."""

    intent: bytes
    notes: tuple[Denomination, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseShift:
    """End the day."""

    intent: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SendNow:
    """Try the network at once, whatever the backoff says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRoute:
    """Ask the hub for policy and packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPolicy:
    """Ask the hub for its policy alone: who may log in."""


Recorded = (  # Make a record.
    OpenShift
    | TakeReading
    | SkipReading
    | Collect
    | VoidCollection
    | NoteContact
    | OverrideHold
    | OpenLogIn
    | CountCash
    | CloseShift
)
Command = Recorded | OpenStop | PrintPaper | ConfirmPaper | SendNow | DownloadRoute | AskPolicy
