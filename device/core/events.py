"""What can happen to a handheld."""

from dataclasses import dataclass

from device.core.effects import PaperJob, PrintResult
from protocol.values import ClockSource, Fix, NoFix
from protocol.wire import Changes, Packages

PACKAGES = ""  # No route has an empty name.
POLICY = "policy/"  # Nor one with a stroke.


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintEnded:
    """A print job came to an end."""

    job: PaperJob
    result: PrintResult


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadAcked:
    """The hub answered an upload or a question for its head. message: the signed ack."""

    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRefused:
    """The hub answered an upload with a refusal. ack: for what it kept, if anything."""

    code: str
    sentence: str
    have_seq: int | None
    ack: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLost:
    """No answer that proves anything: no network, a time-out, a captive portal, an error page."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesArrived:
    """Policy, packages and codes from the hub, not yet verified. what: PACKAGES or POLICY, as was asked."""

    packages: Packages
    what: str = PACKAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesArrived:
    """What changed on a route."""

    changes: Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchFailed:
    """A download did not come through. what: PACKAGES, POLICY, or the route whose changes were asked for."""

    what: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FixAcquired:
    """The position receiver has something to say."""

    fix: Fix | NoFix


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockCompared:
    """A reference clock was seen. offset_ms: reference minus wall."""

    offset_ms: int
    source: ClockSource


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRead:
    """Battery and disk were looked at. None: this machine does not say. storage_free_mib: where the records lie."""

    battery_percent: int | None
    charging: bool | None
    storage_free_mib: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time went by: retry what is due. printer: code of what is wrong with it."""

    printer: str | None = None


Event = (
    PrintEnded
    | UploadAcked
    | UploadRefused
    | UploadLost
    | PackagesArrived
    | ChangesArrived
    | FetchFailed
    | FixAcquired
    | ClockCompared
    | PowerRead
    | Tick
)
