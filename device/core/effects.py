"""What the session asks the shell to do, in order.

Durable effects come first: whoever performs the list stops at the first failure, and nothing visible has happened by
then.
"""

from dataclasses import dataclass
from enum import Enum

from protocol.document import Document
from protocol.reasons import Reason
from protocol.records import PaperKind, PrintOutcome
from protocol.sealed import Sealed

# Reasons of paper outcomes that the handheld itself gives, beside those of printers.
RESTART = "restart"  # It started again while a paper was printing.
SEEN_BY_COLLECTOR = "seen-by-collector"


class PaperState(Enum):
    """Where a print job stands. STARTED without an end is UNKNOWN after a restart."""

    WAITING = "waiting"
    STARTED = "started"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperJob:
    """A paper to be printed: what it shows and which print of it this is."""

    kind: PaperKind
    about: bytes
    print_no: int
    customer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Commit a record, and with it the job of its paper, the end of one, or the jobs that it makes pointless."""

    sealed: Sealed
    queue: PaperJob | None = None
    ended: PaperJob | None = None
    dropped: tuple[PaperJob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePaper:
    """Commit a print job for a record that is there already."""

    job: PaperJob


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepPolicy:
    """Commit a verified policy."""

    version: int
    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepCodes:
    """Commit verified supervisor's codes."""

    version: int
    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepPackage:
    """Commit a verified package."""

    route: str
    version: int
    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepChange:
    """Commit what the hub says of stops. bodies: (customer, packed StopChange). known_seq: what it knew of us."""

    route: str
    version: int
    bodies: tuple[tuple[str, bytes], ...]
    known_seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAck:
    """Commit that the hub has everything up to seq."""

    seq: int
    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Print:
    """Print a job's paper. The performer commits STARTED before the first byte leaves."""

    job: PaperJob
    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Send records from..to, both included."""

    from_seq: int
    to_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskHead:
    """Ask the hub how far it has this handheld's chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPackages:
    """Ask the hub for policy and packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """Ask the hub for policy and codes alone: what log-in needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchChanges:
    """Ask the hub what has changed on a route."""

    route: str
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The command was done. sealed: its record, if it made one; again: the same intent had been done before."""

    sealed: Sealed | None = None
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The command was not done, and why. warnings can be answered by keying the value again."""

    reason: Reason
    warnings: tuple[Reason, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the collector is told."""

    outcome: Done | Refused


Durable = Append | QueuePaper | KeepPolicy | KeepCodes | KeepPackage | KeepChange | KeepAck
Visible = Print | Upload | AskHead | FetchPackages | FetchPolicy | FetchChanges | Answer
Effect = Durable | Visible


def in_order(effects: tuple[Effect, ...]) -> bool:
    """Whether no durable effect follows a visible one."""
    seen_visible = False
    for effect in effects:
        if not isinstance(effect, Durable):
            seen_visible = True
        elif seen_visible:
            return False
    return True


def refused(reason: Reason, doubts: tuple[Reason, ...] = (), detail: str = "") -> tuple[Effect, ...]:
    """The effects of a command that is not done."""
    return (Answer(outcome=Refused(reason=reason, warnings=doubts, detail=detail)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintResult:
    """How a print job ended. reason: a code of `device.paper_words`, why it is not certain that the paper is out."""

    outcome: PrintOutcome
    reason: str | None = None
