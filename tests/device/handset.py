"""A handheld in the hand of a test: a session and the plainest store that could hold its memory. No IO at all."""

import itertools
from dataclasses import replace
from random import Random

from device.core.commands import (
    Collect,
    Command,
    NoteContact,
    OpenShift,
    OverrideHold,
    TakeReading,
    VoidCollection,
    Which,
)
from device.core.effects import (
    Answer,
    Append,
    AskHead,
    Done,
    Durable,
    Effect,
    FetchChanges,
    FetchPackages,
    FetchPolicy,
    KeepAck,
    KeepChange,
    KeepCodes,
    KeepPackage,
    KeepPolicy,
    PaperJob,
    PaperState,
    Print,
    PrintResult,
    QueuePaper,
    Refused,
    Upload,
    in_order,
)
from device.core.events import (
    ChangesArrived,
    PackagesArrived,
    PrintEnded,
)
from device.core.memory import Memory
from device.core.session import CollectorSession, Input
from protocol import wire
from protocol.chain import NO_DIGEST, digest
from protocol.package import OpenBill, Stop
from protocol.reasons import Reason
from protocol.records import (
    CashCollected,
    ContactOutcome,
    DeviceStatus,
    HandheldRecord,
    PaperPrinted,
    PrintOutcome,
    VoidReason,
)
from protocol.sealed import Sealed
from tests.device.branch import (
    CODES,
    COLLECTOR,
    HUB_KEY,
    NOON_MS,
    PERIOD,
    ROUTE,
    StillClock,
    download,
    identity,
    stop,
)

OCTOBER = OpenBill(bill_no="C00003-2026-10", period="2026-10", amount_vnd=53_900)
STOPS = (
    stop(1),
    stop(2),
    stop(3, arrears=(OCTOBER,)),
    replace(stop(4, arrears=(replace(OCTOBER, bill_no="C00004-2026-10"),)), payment_method="CK"),
    replace(stop(5), payment_method="NT"),
)
USUAL_INDEX, USUAL_VND = 121, 161_000  # 21 m3 at 7.000 d with VAT in it; the fee is a tenth of the net.


class MemoryStore:
    """A disk as plain as it gets: it performs durable effects and derives nothing."""

    def __init__(self) -> None:
        self.policy: bytes | None = None
        self.codes: bytes | None = None
        self.packages: dict[str, bytes] = {}
        self.messages: list[bytes] = []
        self.changes: dict[str, tuple[str, bytes, int]] = {}
        self.versions: dict[str, int] = {}
        self.papers: dict[PaperJob, PaperState] = {}
        self.acked: tuple[int, bytes | None] = (0, None)

    def perform(self, effect: Durable) -> None:
        match effect:
            case Append():
                self._append(effect)
            case QueuePaper():
                self.papers[effect.job] = PaperState.WAITING
            case KeepPolicy():
                self.policy = effect.message
            case KeepCodes():
                self.codes = effect.message
            case KeepPackage():
                self.packages[effect.route] = effect.message
            case KeepChange():
                self.changes |= {customer: (effect.route, body, effect.known_seq) for customer, body in effect.bodies}
                self.versions[effect.route] = effect.version
            case KeepAck():
                self.acked = (effect.seq, effect.message)

    def _append(self, effect: Append) -> None:
        self.messages.append(effect.sealed.message)
        assert len(self.messages) == effect.sealed.header.seq
        if effect.queue is not None:
            self.papers[effect.queue] = PaperState.WAITING
        if effect.ended is not None:
            assert isinstance(effect.sealed.record, PaperPrinted)
            assert effect.ended in self.papers
            self.papers[effect.ended] = PaperState.WAITING
            if effect.sealed.record.outcome is not PrintOutcome.NOT_PRINTED:
                del self.papers[effect.ended]
        for job in effect.dropped:
            del self.papers[job]

    def memory(self) -> Memory:
        routes = sorted(self.versions)
        return Memory(
            policy=self.policy,
            packages=tuple(self.packages[route] for route in sorted(self.packages)),
            messages=tuple(self.messages),
            changes={
                route: (self.versions[route], tuple((b, known) for r, b, known in self.changes.values() if r == route))
                for route in routes
            },
            papers=tuple(self.papers.items()),
            acked_seq=self.acked[0],
            ack=self.acked[1],
            codes=self.codes,
        )


class Handset:
    """A handheld in the hand of a test. `printing`: papers that have begun; `asked`: network effects, oldest first."""

    def __init__(self, stops: tuple[Stop, ...] = STOPS, *, downloaded: bool = True) -> None:
        self.clock = StillClock()
        self.store = MemoryStore()
        self.printing: list[Print] = []
        self.asked: list[Effect] = []
        self._intents = itertools.count(1)
        self.session = CollectorSession(identity(), self.store.memory(), Random(1))
        if downloaded:
            self.give(PackagesArrived(packages=download(stops)))

    # Driving.

    def give(self, given: Input) -> tuple[Effect, ...]:
        return self.perform(self.session.handle(given, self.clock.now()))

    def perform(self, effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
        assert in_order(effects)
        for effect in effects:
            match effect:
                case Print():
                    self.store.papers[effect.job] = PaperState.STARTED
                    self.printing.append(effect)
                case Upload() | AskHead() | FetchPackages() | FetchPolicy() | FetchChanges():
                    self.asked.append(effect)
                case Answer():
                    pass
                case _:
                    self.store.perform(effect)
        return effects

    def answer(self, command: Command) -> Done | Refused:
        (outcome,) = [effect.outcome for effect in self.give(command) if isinstance(effect, Answer)]
        return outcome

    def done(self, command: Command) -> Sealed:
        outcome = self.answer(command)
        assert isinstance(outcome, Done), outcome
        assert outcome.sealed is not None
        return outcome.sealed

    def refused(self, command: Command) -> Reason:
        outcome = self.answer(command)
        assert isinstance(outcome, Refused), outcome
        return outcome.reason

    def restart(self) -> None:
        """Battery out and in. What was printing never ends; what was asked is never answered."""
        self.printing.clear()
        self.asked.clear()
        self.session = CollectorSession(identity(), self.store.memory(), Random(1))
        self.perform(self.session.recover(self.clock.now()))

    def wait(self, ms: int) -> None:
        self.clock.wall_ms += ms
        self.clock.up_ms += ms

    def intent(self) -> bytes:
        return next(self._intents).to_bytes(16)

    # Taps.

    def open_shift(self, day: str | None = None, collector: str = COLLECTOR) -> Sealed:
        return self.done(OpenShift(intent=self.intent(), collector=collector, business_date=day))

    def take(self, number: int, index: int = USUAL_INDEX, *, confirmed: bool = False) -> TakeReading:
        return TakeReading(
            intent=self.intent(), customer=f"C{number:05d}", code="normal", index=index, confirmed=confirmed
        )

    def read(self, number: int, index: int = USUAL_INDEX, *, confirmed: bool = False) -> Sealed:
        return self.done(self.take(number, index, confirmed=confirmed))

    def due_vnd(self, number: int, which: Which = Which.ALL) -> int:
        """What the screen asks for; nothing of a customer who is not on the route."""
        work = self.session.work.stops.get(f"C{number:05d}")
        return work.due(which).amount_vnd if work is not None else 0

    def pay(self, number: int, which: Which = Which.ALL, amount_vnd: int | None = None) -> Collect:
        """Collect what the screen shows, or another amount."""
        shown = self.due_vnd(number, which) if amount_vnd is None else amount_vnd
        return Collect(intent=self.intent(), customer=f"C{number:05d}", amount_vnd=shown, which=which)

    def void(self, receipt_no: int) -> VoidCollection:
        return VoidCollection(intent=self.intent(), receipt_no=receipt_no, reason=VoidReason.WRONG_CUSTOMER)

    def contact(self, number: int, come_back: str | None = None) -> NoteContact:
        """Nobody pays today."""
        return NoteContact(
            intent=self.intent(), customer=f"C{number:05d}", outcome=ContactOutcome.PAYS_LATER, come_back=come_back
        )

    def override(self, number: int, code: str = CODES[0]) -> OverrideHold:
        """Lift a hold; the code has been checked."""
        because = "Nhà đi vắng cả tháng, đã xem đồng hồ"
        return OverrideHold(
            intent=self.intent(), customer=f"C{number:05d}", supervisor_code=code, because=because
        )

    def end_print(self, outcome: PrintOutcome = PrintOutcome.PRINTED) -> Sealed:
        """The oldest paper that has begun comes to its end."""
        job = self.printing.pop(0).job
        effects = self.give(PrintEnded(job=job, result=PrintResult(outcome=outcome)))
        return next(effect.sealed for effect in effects if isinstance(effect, Append))

    def sold(self, number: int) -> CashCollected:
        """Read and paid; the receipt is printing."""
        self.read(number)
        record = self.done(self.pay(number)).record
        assert isinstance(record, CashCollected)
        return record

    # The hub's side.

    def signed_ack(self, seq: int, *, device: int = 7, name: bytes | None = None) -> bytes:
        if name is None:
            name = digest(self.store.messages[seq - 1]) if seq else NO_DIGEST
        ack = wire.Ack(device=device, from_seq=min(1, seq), to_seq=seq, digest=name, hub_ms=NOON_MS, changes=0)
        return wire.seal_ack(ack, HUB_KEY)

    def hear(
        self,
        number: int,
        *,
        version: int,
        credit_vnd: int = 0,
        settled_vnd: int = 0,
        bills: tuple[OpenBill, ...] = (),
        reading: bytes | None = None,
        method: str = "TT",
        period: str = PERIOD,
    ) -> tuple[Effect, ...]:
        """The hub says how a customer stands in a period."""
        change = wire.StopChange(
            customer=f"C{number:05d}",
            period=period,
            version=version,
            credit_vnd=credit_vnd,
            payment_method=method,
            open_bills=bills,
            settled_vnd=settled_vnd,
            reading=reading,
        )
        return self.give(ChangesArrived(changes=wire.Changes(route=ROUTE, version=version, stops=(change,))))

    @property
    def records(self) -> list[HandheldRecord]:
        found = [sealed.record for sealed in self.session.work.records]
        return [record for record in found if isinstance(record, HandheldRecord)]

    @property
    def statuses(self) -> list[DeviceStatus]:
        """What the handheld told of itself."""
        return [record for record in self.records if isinstance(record, DeviceStatus)]

    @property
    def kinds(self) -> list[type[HandheldRecord]]:
        return [type(record) for record in self.records]
