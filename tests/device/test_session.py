"""What a handheld decides, situation by situation: no disk, no network, no paper.

`Handset` is a session with the plainest store that could hold its memory; the other tests of the core drive it too.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from device.core.commands import (
    CloseShift,
    Collect,
    Command,
    CountCash,
    DownloadRoute,
    OpenShift,
    OpenStop,
    PrintPaper,
    SendNow,
    SkipReading,
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
    KeepAck,
    KeepChange,
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
    PACKAGES,
    ChangesArrived,
    ClockCompared,
    FetchFailed,
    FixAcquired,
    PackagesArrived,
    PrintEnded,
    Tick,
    UploadAcked,
    UploadLost,
    UploadRefused,
)
from device.core.memory import Memory
from device.core.session import CollectorSession, Input, NoSuchPaperError
from protocol import wire
from protocol.chain import NO_DIGEST, digest
from protocol.package import KnownReading, OpenBill, Stop, seal_package, seal_policy
from protocol.reasons import Reason
from protocol.records import (
    CashCollected,
    CashCounted,
    CollectionVoided,
    Denomination,
    HandheldRecord,
    PaperKind,
    PaperPrinted,
    PrintOutcome,
    ReadingSkipped,
    ReadingTaken,
    ShiftClosed,
    ShiftOpened,
    VoidReason,
)
from protocol.sealed import Sealed
from protocol.values import DAY_MS, ClockSource, Fix, NoFix
from tests.device.branch import (
    COLLECTOR,
    DEVICE_KEY,
    HUB_KEY,
    NOON_MS,
    PERIOD,
    ROUTE,
    StillClock,
    download,
    identity,
    package,
    policy,
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
        self.packages: dict[str, bytes] = {}
        self.messages: list[bytes] = []
        self.changes: dict[str, tuple[str, bytes]] = {}
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
            case KeepPackage():
                self.packages[effect.route] = effect.message
            case KeepChange():
                self.changes |= {customer: (effect.route, body) for customer, body in effect.bodies}
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
                route: (self.versions[route], tuple(b for r, b in self.changes.values() if r == route))
                for route in routes
            },
            papers=tuple(self.papers.items()),
            acked_seq=self.acked[0],
            ack=self.acked[1],
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
                case Upload() | AskHead() | FetchPackages() | FetchChanges():
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
        return self.session.work.stops[f"C{number:05d}"].due(which).amount_vnd

    def pay(self, number: int, which: Which = Which.ALL, amount_vnd: int | None = None) -> Collect:
        """Collect what the screen shows, or another amount."""
        shown = self.due_vnd(number, which) if amount_vnd is None else amount_vnd
        return Collect(intent=self.intent(), customer=f"C{number:05d}", amount_vnd=shown, which=which)

    def void(self, receipt_no: int) -> VoidCollection:
        return VoidCollection(intent=self.intent(), receipt_no=receipt_no, reason=VoidReason.WRONG_CUSTOMER)

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

    def hear(self, number: int, *, version: int, credit_vnd: int = 0, bills: tuple[OpenBill, ...] = (),
             reading: bytes | None = None, method: str = "TT") -> tuple[Effect, ...]:  # fmt: skip
        """The hub says how a customer stands."""
        change = wire.StopChange(
            customer=f"C{number:05d}", credit_vnd=credit_vnd, payment_method=method, open_bills=bills, reading=reading
        )
        return self.give(ChangesArrived(changes=wire.Changes(route=ROUTE, version=version, stops=(change,))))

    @property
    def records(self) -> list[HandheldRecord]:
        found = [sealed.record for sealed in self.session.work.records]
        return [record for record in found if isinstance(record, HandheldRecord)]

    @property
    def kinds(self) -> list[type[HandheldRecord]]:
        return [type(record) for record in self.records]


@pytest.fixture
def handset() -> Handset:
    """A handheld with its route, no shift open."""
    return Handset()


@pytest.fixture
def walking(handset: Handset) -> Handset:
    """A handheld in the middle of a day."""
    handset.open_shift()
    return handset


# A whole day.


def test_a_day_from_download_to_closed_shift() -> None:
    handset = Handset(downloaded=False)
    assert handset.give(DownloadRoute())[0] == FetchPackages()
    handset.give(PackagesArrived(packages=download(STOPS)))
    handset.open_shift()
    handset.read(1)
    handset.done(handset.pay(1))
    assert handset.end_print().record == PaperPrinted(
        period=PERIOD,
        paper=PaperKind.RECEIPT,
        about=handset.session.work.records[2].digest,
        print_no=1,
        outcome=PrintOutcome.PRINTED,
        customer="C00001",
    )
    handset.done(handset.void(1))
    handset.sold(2)
    handset.end_print()
    handset.done(CountCash(intent=handset.intent(), notes=(Denomination(1_000, 161),)))
    closed = handset.done(CloseShift(intent=handset.intent())).record
    assert isinstance(closed, ShiftClosed)
    totals = closed.totals
    assert (totals.read, totals.collected, totals.collected_vnd) == (2, 2, 2 * USUAL_VND)
    assert (totals.voided, totals.voided_vnd, totals.receipt_first, totals.receipt_last) == (1, USUAL_VND, 1, 2)
    assert (totals.printed, totals.reprinted) == (2, 0)
    assert handset.kinds == [
        *(ShiftOpened, ReadingTaken, CashCollected, PaperPrinted, CollectionVoided),
        *(ReadingTaken, CashCollected, PaperPrinted, CashCounted, ShiftClosed),
    ]


def test_answer_comes_after_everything_durable_and_before_any_upload(walking: Handset) -> None:
    walking.read(1)
    walking.give(UploadAcked(message=walking.signed_ack(2)))
    effects = walking.give(walking.pay(1))
    assert [type(effect) for effect in effects] == [Append, Print, Answer, Upload]


def test_collection_names_its_bills_and_the_reading_it_relied_on(walking: Handset) -> None:
    reading = walking.read(3)
    record = walking.done(walking.pay(3)).record
    assert isinstance(record, CashCollected)
    assert record.bills == (OCTOBER.bill_no, f"C00003-{PERIOD}")
    assert record.bill_periods == ("2026-10", PERIOD)
    assert record.bills_vnd == (OCTOBER.amount_vnd, USUAL_VND)
    assert record.amount_vnd == OCTOBER.amount_vnd + USUAL_VND
    assert record.reading == reading.digest


def test_collection_of_arrears_alone_relies_on_no_reading(walking: Handset) -> None:
    walking.read(3)
    record = walking.done(walking.pay(3, Which.ARREARS)).record
    assert isinstance(record, CashCollected)
    assert (record.bills, record.reading) == ((OCTOBER.bill_no,), None)


# Every reason the session can give.


def no_package(handset: Handset) -> Command:
    return OpenShift(intent=handset.intent(), collector="ai.do")


def package_expired(handset: Handset) -> Command:
    handset.wait(41 * DAY_MS)
    return OpenShift(intent=handset.intent(), collector=COLLECTOR)


def no_open_shift(handset: Handset) -> Command:
    return handset.take(1)


def shift_is_open(handset: Handset) -> Command:
    handset.open_shift()
    return OpenShift(intent=handset.intent(), collector=COLLECTOR)


def date_input(handset: Handset) -> Command:
    return OpenShift(intent=handset.intent(), collector=COLLECTOR, business_date="2026-11-31")


def customer_not_on_route(handset: Handset) -> Command:
    handset.open_shift()
    return handset.take(9)


def reading_input(handset: Handset) -> Command:
    handset.open_shift()
    return replace(handset.take(1), code="replaced_periodic")


def pays_by_transfer(handset: Handset) -> Command:
    handset.open_shift()
    handset.read(4)
    return handset.pay(4, amount_vnd=USUAL_VND)


def pays_by_collection_order(handset: Handset) -> Command:
    handset.open_shift()
    handset.read(5)
    return handset.pay(5, amount_vnd=USUAL_VND)


def reading_below_previous(handset: Handset) -> Command:
    handset.open_shift()
    handset.read(1, 90)
    return handset.pay(1, amount_vnd=USUAL_VND)


def consumption_drop(handset: Handset) -> Command:
    handset.open_shift()
    handset.read(1, 110)
    return handset.pay(1, amount_vnd=77_000)


def far_above_expected(handset: Handset) -> Command:
    handset.open_shift()
    return handset.take(1, 150)


def zero_consumption(handset: Handset) -> Command:
    handset.open_shift()
    return handset.take(1, 100)


def above_register(handset: Handset) -> Command:
    handset.open_shift()
    return handset.take(1, 100_000)


def nothing_to_collect(handset: Handset) -> Command:
    handset.open_shift()
    return handset.pay(1, amount_vnd=USUAL_VND)


def amount_changed(handset: Handset) -> Command:
    handset.open_shift()
    handset.read(1)
    shown = handset.pay(1)
    handset.read(1, USUAL_INDEX + 1)
    return shown


def collection_not_found(handset: Handset) -> Command:
    handset.open_shift()
    return handset.void(1)


def already_voided(handset: Handset) -> Command:
    handset.open_shift()
    handset.sold(1)
    handset.end_print()
    handset.done(handset.void(1))
    return handset.void(1)


def day_is_over(handset: Handset) -> Command:
    handset.open_shift()
    handset.sold(1)
    handset.end_print()
    handset.done(CloseShift(intent=handset.intent()))
    handset.wait(DAY_MS)
    handset.open_shift()
    return handset.void(1)


def paper_not_found(handset: Handset) -> Command:
    handset.open_shift()
    handset.sold(1)
    return PrintPaper(kind=PaperKind.RECEIPT, customer="C00002", receipt_no=1)


def print_under_way(handset: Handset) -> Command:
    handset.open_shift()
    handset.sold(1)
    return handset.void(1)


def nothing_to_print(handset: Handset) -> Command:
    handset.open_shift()
    return PrintPaper(kind=PaperKind.BILL_NOTICE, customer="C00001")


def intent_used(handset: Handset) -> Command:
    opened = handset.open_shift()
    assert opened.header.intent is not None
    return CloseShift(intent=opened.header.intent)


def cash_input(handset: Handset) -> Command:
    handset.open_shift()
    return CountCash(intent=handset.intent(), notes=(Denomination(500_000, 10**6),))


PROVOKED: dict[Reason, Callable[[Handset], Command]] = {
    Reason.NO_PACKAGE: no_package,
    Reason.PACKAGE_EXPIRED: package_expired,
    Reason.NO_OPEN_SHIFT: no_open_shift,
    Reason.SHIFT_IS_OPEN: shift_is_open,
    Reason.DATE_INPUT: date_input,
    Reason.CUSTOMER_NOT_ON_ROUTE: customer_not_on_route,
    Reason.READING_INPUT: reading_input,
    Reason.PAYS_BY_TRANSFER: pays_by_transfer,
    Reason.PAYS_BY_COLLECTION_ORDER: pays_by_collection_order,
    Reason.READING_BELOW_PREVIOUS: reading_below_previous,
    Reason.CONSUMPTION_DROP: consumption_drop,
    Reason.FAR_ABOVE_EXPECTED: far_above_expected,
    Reason.ZERO_CONSUMPTION: zero_consumption,
    Reason.ABOVE_REGISTER: above_register,
    Reason.NOTHING_TO_COLLECT: nothing_to_collect,
    Reason.AMOUNT_CHANGED: amount_changed,
    Reason.COLLECTION_NOT_FOUND: collection_not_found,
    Reason.ALREADY_VOIDED: already_voided,
    Reason.DAY_IS_OVER: day_is_over,
    Reason.PAPER_NOT_FOUND: paper_not_found,
    Reason.PRINT_UNDER_WAY: print_under_way,
    Reason.NOTHING_TO_PRINT: nothing_to_print,
    Reason.INTENT_USED: intent_used,
    Reason.CASH_INPUT: cash_input,
}


def test_every_reason_is_provoked_here() -> None:
    assert set(PROVOKED) == set(Reason)


@pytest.mark.parametrize("reason", PROVOKED)
def test_refused_with_its_reason_and_nothing_happens(handset: Handset, reason: Reason) -> None:
    command = PROVOKED[reason](handset)
    before, printing = handset.store.memory(), len(handset.printing)
    assert handset.refused(command) is reason
    assert handset.store.memory() == before
    assert len(handset.printing) == printing


REFUSED_WITHOUT_SHIFT: dict[str, Callable[[Handset], Command]] = {
    "skip": lambda h: SkipReading(intent=h.intent(), customer="C00001", code="house_closed"),
    "collect": lambda h: h.pay(3),
    "count": lambda h: CountCash(intent=h.intent(), notes=()),
    "close": lambda h: CloseShift(intent=h.intent()),
}


@pytest.mark.parametrize("tap", REFUSED_WITHOUT_SHIFT)
def test_no_work_without_an_open_shift(handset: Handset, tap: str) -> None:
    assert handset.refused(REFUSED_WITHOUT_SHIFT[tap](handset)) is Reason.NO_OPEN_SHIFT


def test_void_after_the_shift_was_closed_is_for_the_branch(walking: Handset) -> None:
    walking.sold(1)
    walking.end_print()
    walking.done(CloseShift(intent=walking.intent()))
    assert walking.refused(walking.void(1)) is Reason.NO_OPEN_SHIFT


def test_nobody_voids_the_collection_of_another_collector() -> None:
    both = wire.Packages(
        policy=seal_policy(policy(), HUB_KEY),
        packages=(
            seal_package(package(STOPS), HUB_KEY),
            seal_package(replace(package((stop(8),), route="R02"), collector="ai.do"), HUB_KEY),
        ),
    )
    handset = Handset(downloaded=False)
    handset.give(PackagesArrived(packages=both))
    handset.open_shift()
    handset.sold(1)
    handset.end_print()
    handset.done(CloseShift(intent=handset.intent()))
    handset.open_shift(collector="ai.do")
    assert handset.refused(handset.void(1)) is Reason.DAY_IS_OVER
    assert handset.session.work.days["ai.do", "2026-11-24"].cash_vnd == 0


def test_skip_needs_a_code_that_says_why(walking: Handset) -> None:
    skip = SkipReading(intent=walking.intent(), customer="C00001", code="house_closed")
    assert walking.refused(replace(skip, code="normal")) is Reason.READING_INPUT
    assert walking.refused(replace(skip, code="no-such-code")) is Reason.READING_INPUT
    assert walking.done(skip).record == ReadingSkipped(customer="C00001", period=PERIOD, code="house_closed")


def test_unreadable_code_is_not_a_reading(walking: Handset) -> None:
    assert walking.refused(replace(walking.take(1), code="house_closed")) is Reason.READING_INPUT


@pytest.mark.parametrize("index", [-1, 1_000_101, 99_999_999, 10**9])
def test_index_that_no_record_can_carry_is_asked_for_again(walking: Handset, index: int) -> None:
    assert walking.refused(walking.take(1, index, confirmed=True)) is Reason.READING_INPUT


# One tap, one record.


def test_double_tap_is_one_record_and_one_paper(walking: Handset) -> None:
    walking.read(1)
    tap = walking.pay(1)
    first = walking.answer(tap)
    again = walking.answer(tap)
    assert isinstance(first, Done)
    assert again == replace(first, again=True)
    assert len(walking.printing) == 1
    assert walking.kinds.count(CashCollected) == 1


def test_double_tap_across_a_restart_is_one_record(walking: Handset) -> None:
    walking.read(1)
    tap = walking.pay(1)
    first = walking.done(tap)
    walking.restart()
    outcome = walking.answer(tap)
    assert isinstance(outcome, Done)
    assert outcome.again
    assert outcome.sealed is not None
    assert outcome.sealed.message == first.message
    assert walking.printing == []


# Warnings ask, never block.


@pytest.mark.parametrize(
    ("index", "doubts"),
    [
        (100, (Reason.ZERO_CONSUMPTION,)),
        (150, (Reason.FAR_ABOVE_EXPECTED,)),
        (100_000, (Reason.ABOVE_REGISTER, Reason.FAR_ABOVE_EXPECTED)),
    ],
)
def test_doubtful_reading_is_saved_once_keyed_again(walking: Handset, index: int, doubts: tuple[Reason, ...]) -> None:
    outcome = walking.answer(walking.take(1, index))
    assert isinstance(outcome, Refused)
    assert outcome.warnings == doubts
    record = walking.read(1, index, confirmed=True).record
    assert isinstance(record, ReadingTaken)
    assert record.confirmed == tuple(doubt.value for doubt in doubts)


def test_confirmation_of_a_usual_reading_leaves_no_mark(walking: Handset) -> None:
    record = walking.read(1, confirmed=True).record
    assert isinstance(record, ReadingTaken)
    assert record.confirmed is None


# What is held.


def test_bank_payer_is_read_and_billed_but_never_asked_for_cash(walking: Handset) -> None:
    record = walking.read(4).record
    assert isinstance(record, ReadingTaken)
    assert (record.hold, record.bill is not None) == (Reason.PAYS_BY_TRANSFER, True)
    for which in Which:
        assert walking.refused(walking.pay(4, which, 53_900)) is Reason.PAYS_BY_TRANSFER


@pytest.mark.parametrize(("index", "hold"), [(90, "READING_BELOW_PREVIOUS"), (110, "CONSUMPTION_DROP")])
def test_held_reading_is_saved_and_arrears_stay_collectible(walking: Handset, index: int, hold: str) -> None:
    record = walking.read(3, index).record
    assert isinstance(record, ReadingTaken)
    assert record.hold == hold
    assert walking.refused(walking.pay(3, Which.CURRENT, 1)) == hold
    collected = walking.done(walking.pay(3)).record
    assert isinstance(collected, CashCollected)
    assert collected.bills == (OCTOBER.bill_no,)


def test_unexplained_index_makes_no_bill_even_for_a_bank_payer(walking: Handset) -> None:
    record = walking.read(4, 90).record
    assert isinstance(record, ReadingTaken)
    assert (record.hold, record.bill) == (Reason.PAYS_BY_TRANSFER, None)


def test_hub_tells_that_the_customer_now_pays_by_transfer(walking: Handset) -> None:
    walking.read(1)
    walking.hear(1, version=1, method="CK")
    assert walking.refused(walking.pay(1, amount_vnd=USUAL_VND)) is Reason.PAYS_BY_TRANSFER


def test_corrected_reading_lifts_the_hold(walking: Handset) -> None:
    walking.read(1, 110)
    walking.read(1)
    assert walking.due_vnd(1) == USUAL_VND


# Papers.


def test_waiting_receipt_is_dropped_with_the_void_of_its_collection(walking: Handset) -> None:
    walking.sold(1)
    walking.end_print(PrintOutcome.NOT_PRINTED)
    (effect, *_) = walking.give(walking.void(1))
    assert isinstance(effect, Append)
    assert [job.kind for job in effect.dropped] == [PaperKind.RECEIPT]
    assert walking.session.work.papers == walking.store.papers == {}


def test_paper_that_did_not_come_out_keeps_its_number(walking: Handset) -> None:
    walking.sold(1)
    again = PrintPaper(kind=PaperKind.RECEIPT, customer="C00001", receipt_no=1)
    for outcome in (PrintOutcome.NOT_PRINTED, PrintOutcome.NOT_PRINTED, PrintOutcome.PRINTED):
        record = walking.end_print(outcome).record
        assert isinstance(record, PaperPrinted)
        assert (record.print_no, record.outcome) == (1, outcome)
        walking.give(again)
    assert walking.printing[0].job.print_no == 2


def test_interrupted_print_is_unknown_after_a_restart_and_nothing_prints_by_itself(walking: Handset) -> None:
    walking.sold(1)
    walking.restart()
    record = walking.records[-1]
    assert isinstance(record, PaperPrinted)
    assert (record.outcome, record.reason) == (PrintOutcome.UNKNOWN, "restart")
    assert walking.printing == []
    assert walking.session.work.papers == {}
    walking.give(PrintPaper(kind=PaperKind.RECEIPT, customer="C00001", receipt_no=1))
    assert walking.printing[0].job.print_no == 2  # Unknown counts as out in the world.


def test_queued_paper_that_never_began_waits_for_a_tap_after_a_restart(walking: Handset) -> None:
    walking.read(1)
    for effect in walking.session.handle(walking.pay(1), walking.clock.now()):
        if isinstance(effect, Append):
            walking.store.perform(effect)  # The power goes before the first byte leaves.
    walking.restart()
    assert list(walking.session.work.papers.values()) == [PaperState.WAITING]
    assert walking.kinds[-1] is CashCollected
    walking.give(PrintPaper(kind=PaperKind.RECEIPT, customer="C00001", receipt_no=1))
    assert [effect.job.print_no for effect in walking.printing] == [1]


def test_reprints_are_numbered_and_counted(walking: Handset) -> None:
    walking.sold(1)
    for number in (1, 2, 3):
        record = walking.end_print().record
        assert isinstance(record, PaperPrinted)
        assert record.print_no == number
        walking.give(PrintPaper(kind=PaperKind.RECEIPT, customer="C00001", receipt_no=1))
    shift = walking.session.work.shift
    assert shift is not None
    assert (shift.printed, shift.reprinted) == (1, 2)


def test_end_of_a_print_that_nobody_began_means_a_damaged_store(walking: Handset) -> None:
    job = PaperJob(kind=PaperKind.RECEIPT, about=b"\x01" * 32, print_no=1, customer="C00001")
    with pytest.raises(NoSuchPaperError):
        walking.give(PrintEnded(job=job, result=PrintResult(outcome=PrintOutcome.PRINTED)))


# Clock, position, numbers.


def test_clock_that_jumps_back_never_takes_time_back(walking: Handset) -> None:
    for jump_ms in (60_000, -3 * DAY_MS, 1_000, -1):
        walking.wait(jump_ms)
        walking.read(1)
    times = [sealed.header.at_ms for sealed in walking.session.work.records]
    assert times == sorted(times)
    evidence = walking.session.work.records[-1].header.evidence
    assert evidence is not None
    assert evidence.clock.wall_ms == walking.clock.wall_ms  # The raw clock stays as evidence.


def test_records_carry_the_last_position_and_clock_comparison(walking: Handset) -> None:
    fix = Fix(100_000_000, 1_057_000_000, 50, 3)
    walking.give(FixAcquired(fix=fix))
    walking.give(ClockCompared(offset_ms=-250, source=ClockSource.GNSS))
    evidence = walking.read(1).header.evidence
    assert evidence is not None
    assert (evidence.fix, evidence.clock.offset_ms, evidence.clock.source) == (fix, -250, ClockSource.GNSS)
    walking.give(FixAcquired(fix=NoFix.NO_SIGNAL))
    evidence = walking.read(2).header.evidence
    assert evidence is not None
    assert evidence.fix is NoFix.NO_SIGNAL


def test_receipt_numbers_have_no_gap_over_restarts_and_voids(walking: Handset) -> None:
    for number in (1, 2, 3):
        walking.sold(number)
        walking.end_print()
        if number == 2:
            walking.done(walking.void(2))
        walking.restart()
    numbers = [record.receipt_no for record in walking.records if isinstance(record, CashCollected)]
    assert numbers == [1, 2, 3]


# The hub's word on what it has.


def test_only_an_ack_of_our_own_digest_moves_the_counter(walking: Handset) -> None:
    walking.read(1)
    stranger = wire.seal_ack(
        wire.Ack(device=7, from_seq=1, to_seq=2, digest=walking.session.work.tip.digest, hub_ms=NOON_MS, changes=0),
        DEVICE_KEY,
    )
    lies = {
        "not the hub's key": stranger,
        "another handheld's": walking.signed_ack(2, device=8),
        "another history": walking.signed_ack(2, name=b"\x02" * 32),
        "more than there is": walking.signed_ack(9, name=b"\x02" * 32),
        "a captive portal": b"<html>",
    }
    for what, message in lies.items():
        effects = walking.give(UploadAcked(message=message))
        assert not any(isinstance(effect, KeepAck) for effect in effects), what
        assert walking.session.outbox.unsent == 2, what
        assert walking.session.outbox.trouble, what
        walking.wait(600_000)
        walking.give(Tick())
    walking.give(UploadAcked(message=walking.signed_ack(2)))
    assert (walking.session.outbox.unsent, walking.store.acked[0]) == (0, 2)


def test_next_record_bears_witness_of_the_last_ack(walking: Handset) -> None:
    message = walking.signed_ack(1)
    walking.give(UploadAcked(message=message))
    for restarted in (False, True):
        if restarted:
            walking.restart()
        evidence = walking.read(1).header.evidence
        assert evidence is not None
        assert evidence.ack == digest(message)


def test_refusal_with_an_ack_keeps_what_the_hub_kept(walking: Handset) -> None:
    walking.read(1)
    walking.read(2)
    refusal = UploadRefused(code="bad-signature", sentence="x", have_seq=1, ack=walking.signed_ack(1))
    walking.give(refusal)
    assert (walking.session.outbox.unsent, walking.store.acked[0]) == (2, 1)


def test_hub_restored_from_a_backup_gets_again_what_it_lost(walking: Handset) -> None:
    walking.read(1)
    walking.read(2)
    walking.give(UploadAcked(message=walking.signed_ack(3)))
    walking.read(3)
    assert walking.asked[-1] == Upload(from_seq=4, to_seq=4)
    walking.give(UploadRefused(code="gap", sentence="x", have_seq=1, ack=None))
    walking.give(Tick())
    assert walking.asked[-1] == Upload(from_seq=2, to_seq=4)
    assert walking.session.outbox.unsent == 3


def test_gap_that_claims_more_than_was_proved_moves_nothing(walking: Handset) -> None:
    for number in (1, 2, 3):
        walking.read(number)
    walking.give(UploadRefused(code="gap", sentence="x", have_seq=3, ack=None))
    assert walking.session.outbox.unsent == 4
    walking.wait(600_000)
    walking.give(Tick())
    assert walking.asked[-1] == AskHead()


def test_lost_answer_is_followed_by_a_question_for_the_head(walking: Handset) -> None:
    walking.read(1)
    walking.give(UploadLost(sentence="no answer"))
    walking.wait(1_000)
    walking.give(Tick())
    assert walking.asked[-1] == AskHead()


def test_tap_on_send_forgets_the_wait(walking: Handset) -> None:
    walking.give(UploadLost(sentence="no answer"))
    assert not any(isinstance(effect, Upload) for effect in walking.give(Tick()))
    assert any(isinstance(effect, Upload) for effect in walking.give(SendNow()))


# Questions to the hub.


def test_stop_is_asked_for_once_until_the_answer_comes(walking: Handset) -> None:
    opened = OpenStop(customer="C00001")
    assert FetchChanges(route=ROUTE, after=0) in walking.give(opened)
    assert not any(isinstance(effect, FetchChanges) for effect in walking.give(opened))
    walking.hear(1, version=5)
    assert FetchChanges(route=ROUTE, after=5) in walking.give(opened)
    walking.give(FetchFailed(what=ROUTE, sentence="x"))
    assert FetchChanges(route=ROUTE, after=5) in walking.give(opened)
    assert walking.refused(OpenStop(customer="C00099")) is Reason.CUSTOMER_NOT_ON_ROUTE


def test_failed_download_says_why_and_can_be_tried_again(handset: Handset) -> None:
    handset.give(DownloadRoute())
    assert handset.session.busy
    handset.give(FetchFailed(what=PACKAGES, sentence="no network"))
    assert (handset.session.download_trouble, handset.session.busy) == ("no network", False)
    assert handset.give(DownloadRoute())[0] == FetchPackages()


def test_paid_by_transfer_a_minute_ago_leaves_nothing_to_collect(walking: Handset) -> None:
    reading = walking.read(3)
    walking.hear(3, version=1, reading=reading.digest)
    assert walking.refused(walking.pay(3, amount_vnd=USUAL_VND)) is Reason.NOTHING_TO_COLLECT


def test_known_paid_elsewhere_needs_no_own_reading(walking: Handset) -> None:
    known = KnownReading(digest=b"\x05" * 32, index=121, code="normal", use_m3=21, open_vnd=0)
    walking.give(PackagesArrived(packages=download((replace(stop(1), known=known),), version=2)))
    assert walking.session.work.stops["C00001"].is_read
    assert walking.refused(walking.pay(1, amount_vnd=USUAL_VND)) is Reason.NOTHING_TO_COLLECT
