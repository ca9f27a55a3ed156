"""Who this handheld is, and what its store holds at start: all that a session is rebuilt from."""

from dataclasses import dataclass

from device.core.effects import PaperJob, PaperState
from protocol.envelope import SigningKey, VerifyKey
from protocol.values import Imei


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What enrolment left on the handheld."""

    device: int
    unit: str
    imei: Imei
    key: SigningKey
    hub_key: VerifyKey
    software: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The store at start. messages: all records, seq 1 first.

    changes: route -> (version, [(packed StopChange, known_seq)]).
    """

    policy: bytes | None
    packages: tuple[bytes, ...]
    messages: tuple[bytes, ...]
    changes: dict[str, tuple[int, tuple[tuple[bytes, int], ...]]]
    papers: tuple[tuple[PaperJob, PaperState], ...]
    acked_seq: int
    ack: bytes | None
    codes: bytes | None = None
