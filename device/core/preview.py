"""What a typed index would mean: the same arithmetic and rules as saving it, and no record.

It is shown while digits are being typed and believed by nobody: saving computes all of it again.
"""

from dataclasses import dataclass

from device.core.commands import TakeReading
from device.core.session import CollectorSession
from device.core.stops import StopWork
from protocol.reasons import Reason
from protocol.values import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """use_m3, bill_vnd: None where they cannot be told. hold: why no money would be taken. doubts: what will have to be
    keyed again. problem: the field that is missing or wrong.
    """

    use_m3: int | None
    bill_vnd: int | None
    hold: Reason | None
    doubts: tuple[Reason, ...]
    problem: str = ""


def preview(
    session: CollectorSession,
    work: StopWork,
    *,
    code: str,
    index: int,
    removed_index: int | None,
    installed_index: int | None,
    now: Instant,
) -> Preview:
    """What saving this index would say now."""
    command = TakeReading(
        intent=b"",
        customer=work.stop.customer,
        code=code,
        index=index,
        removed_index=removed_index,
        installed_index=installed_index,
        confirmed=True,
    )
    read = session.read(work, command, now)
    if isinstance(read, str):
        return Preview(use_m3=None, bill_vnd=None, hold=None, doubts=(), problem=read)
    record, doubts = read
    return Preview(
        use_m3=record.use_m3,
        bill_vnd=record.bill.total_vnd if record.bill is not None else None,
        hold=Reason(record.hold) if record.hold is not None else None,
        doubts=doubts,
    )
