"""What makes a handheld's records: the chain they go on, and the evidence that each one carries."""

from device.core.clock_watch import OFF_MAX_MS
from device.core.memory import Identity
from device.core.outbox import Outbox
from device.core.work import Work
from protocol.chain import NO_DIGEST, digest
from protocol.fields import MILLIS_MAX
from protocol.records import Evidence, HandheldRecord, Header, PackageRef
from protocol.sealed import Sealed, seal_record
from protocol.values import ClockEvidence, ClockSource, Fix, Instant, NoFix

FIX_AGE_MAX_S = 600  # A collector walks half a route in ten minutes: an older fix says nothing of this door.


class Pen:
    """Seals records. It holds what the handheld's senses last said; none of them is ever waited for."""

    def __init__(self, identity: Identity, work: Work, outbox: Outbox, ack: bytes | None) -> None:
        self._identity = identity
        self._work = work
        self._outbox = outbox
        self._ack_digest = digest(ack) if ack is not None else NO_DIGEST
        self._fix: Fix | NoFix = NoFix.NO_RECEIVER
        self._fix_up_ms = 0
        self._offset_ms = 0
        self._compared: Instant | None = None
        self.offset_source = ClockSource.NONE

    def make(
        self,
        record: HandheldRecord,
        package: PackageRef,
        intent: bytes | None,
        now: Instant,
        collector: str | None = None,
    ) -> Sealed:
        """Seal the next record of the chain and learn it. collector: None names the one whose shift is open."""
        if collector is None:
            assert self._work.shift is not None
            collector = self._work.shift.collector
        wall_ms = min(max(now.wall_ms, 0), MILLIS_MAX)  # A clock that is centuries off must not stop a record.
        header = Header(
            seq=self._work.tip.seq + 1,
            prev=self._work.tip.digest,
            at_ms=max(self._work.at_ms, wall_ms),
            intent=intent,
            evidence=Evidence(
                clock=ClockEvidence(now.boot, now.up_ms, wall_ms, self.offset_ms(now), self.offset_source),
                imei=self._identity.imei,
                fix=self.fix(now),
                collector=collector,
                package=package,
                ack=self._ack_digest,
            ),
        )
        sealed = seal_record(header, record, self._identity.key)
        self._work.learn(sealed)
        self._outbox.made(sealed.header.seq)
        return sealed

    def see(self, fix: Fix | NoFix, now: Instant) -> None:
        """Take what a receiver says. Under a roof the satellites go; where the door was is known for a while yet."""
        if fix is NoFix.NO_SIGNAL and isinstance(self.fix(now), Fix):
            return
        self._fix, self._fix_up_ms = fix, now.up_ms

    def fix(self, now: Instant) -> Fix | NoFix:
        """The position as a record made now would carry it: with its age, and not at all once that is too much."""
        if isinstance(self._fix, NoFix):
            return self._fix
        age_s = self._fix.age_s + max(0, now.up_ms - self._fix_up_ms) // 1000
        return self._fix._replace(age_s=age_s) if age_s <= FIX_AGE_MAX_S else NoFix.NO_SIGNAL

    def acked_by(self, message: bytes) -> None:
        """Take the hub's latest ack: it bounds the records to come in time."""
        self._ack_digest = digest(message)

    def compare(self, offset_ms: int, source: ClockSource, now: Instant) -> None:
        """Take how far the wall clock is off, as a reference says."""
        self._offset_ms, self.offset_source, self._compared = offset_ms, source, now

    def offset_ms(self, now: Instant) -> int:
        """How far the wall clock is off: as last said, unless somebody has put it right since."""
        told = self._compared
        if told is None or told.boot != now.boot or abs(self._offset_ms) <= OFF_MAX_MS:
            return self._offset_ms
        right_ms = told.wall_ms + self._offset_ms + (now.up_ms - told.up_ms)
        return right_ms - now.wall_ms if abs(right_ms - now.wall_ms) <= OFF_MAX_MS else self._offset_ms

    def corrected_ms(self, now: Instant) -> int:
        """The wall clock, put right by what the hub or the satellites last said."""
        return now.wall_ms + self.offset_ms(now)
