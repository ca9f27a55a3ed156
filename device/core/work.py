"""What a handheld has done and knows: derived from its store alone, by learning its records in order.

`learn` is the one way in, for a record just made and for replay after a restart, so both give the same state.
"""

from device.core.day import ShiftWork
from device.core.effects import PaperJob, PaperState
from device.core.memory import Memory
from device.core.stops import Collection, StopWork
from protocol import codec
from protocol.chain import EMPTY, NO_DIGEST, digest
from protocol.envelope import Purpose, VerifyKey, frame, open_sealed
from protocol.package import Policy, RoutePackage, open_package, open_policy
from protocol.progress import Progress
from protocol.reasons import Reason
from protocol.records import (
    CashCollected,
    CashCounted,
    CollectionVoided,
    ContactNoted,
    DeviceStatus,
    LogInOpened,
    PaperKind,
    PaperPrinted,
    PrintOutcome,
    ReadingSkipped,
    ReadingTaken,
    RuleOverridden,
    ShiftClosed,
    ShiftOpened,
)
from protocol.rules import BY_BANK, BY_TREASURY
from protocol.sealed import Sealed, parse
from protocol.wire import StopChange

Paper = tuple[bytes, PaperKind]  # Digest of the record that is shown, and which of its papers.


class BrokenChainError(ValueError):
    """A record of our own does not follow the one before: the store is damaged."""


class Work:
    """All state of one handheld but the outbox. `shift`: the last one opened, open or not.

    `prints`: how often each paper is out or may be. `codes_used`: numbers of supervisor's codes.
    `log_ins_opened`: collector -> the last record by which a code opened that log-in.
    """

    def __init__(self, memory: Memory, hub_key: VerifyKey, public_key: bytes) -> None:
        self.policy: Policy | None = None
        self.packages: dict[str, RoutePackage] = {}
        self.stops: dict[str, StopWork] = {}
        self.shift: ShiftWork | None = None
        self.papers: dict[PaperJob, PaperState] = {}
        self.changes_version: dict[str, int] = {}
        self.tip = EMPTY
        self.at_ms = 0
        self.receipt_no = 0
        self.records: list[Sealed] = []
        self.by_digest: dict[bytes, Sealed] = {}
        self.by_intent: dict[bytes, Sealed] = {}
        self.days: dict[tuple[str, str], ShiftWork] = {}
        self.prints: dict[Paper, int] = {}
        self.codes_used: set[int] = set()
        self.log_ins_opened: dict[str, Sealed] = {}
        self._ends: dict[Paper, PaperPrinted] = {}
        self._unknown: dict[Paper, PaperPrinted] = {}
        self._collections: dict[bytes, Collection] = {}
        self._told: dict[str, tuple[StopChange, int]] = {}
        self._restore(memory, hub_key, public_key)

    def digest_at(self, seq: int) -> bytes | None:
        """Digest of our record at a position; zeros before the first, None past the last."""
        if seq == 0:
            return NO_DIGEST
        return self.records[seq - 1].digest if seq <= len(self.records) else None

    def progress(self) -> Progress:
        """Counts over all stops on this handheld."""
        works = self.stops.values()
        cash = [work for work in works if work.facts_now.payment_method not in (BY_BANK, BY_TREASURY)]
        return Progress(
            stops=len(self.stops),
            read=sum(work.is_read for work in works),
            cash_customers=len(cash),
            cash_paid=sum(work.is_paid() for work in cash),
        )

    def collection(self, receipt_no: int) -> Collection | None:
        """A collection by its receipt number."""
        return next((one for one in self._collections.values() if one.record.receipt_no == receipt_no), None)

    # Papers.

    @property
    def doubts(self) -> dict[Paper, PaperPrinted]:
        """Papers of which nobody can say whether they came out, with the record that left them so.

        A paper that did not come out later settles nothing about the one before; one that did, or the collector's
        answer, does. Of a voided collection, a reading taken anew or an earlier day nobody asks any more.
        """
        return {paper: end for paper, end in self._unknown.items() if self._is_wanted(paper, end.customer or "")}

    def why_not(self, job: PaperJob) -> str | None:
        """Why a waiting job did not print when it was last tried; None when it was not, or no reason was given."""
        end = self._ends.get((job.about, job.kind))
        return end.reason if end is not None and end.print_no == job.print_no else None

    def job_of(self, paper: Paper) -> PaperJob | None:
        """The job of a paper that has not come out yet."""
        return next((job for job in self.papers if (job.about, job.kind) == paper), None)

    def subject(self, kind: PaperKind, customer: str, receipt_no: int | None) -> Sealed | Reason:
        """The record that a paper shows, or why there is none."""
        match kind:
            case PaperKind.RECEIPT:
                one = self.collection(receipt_no or 0)
                if one is None or one.record.customer != customer:
                    return Reason.PAPER_NOT_FOUND
                return Reason.ALREADY_VOIDED if one.voided else one.sealed
            case PaperKind.DAY_SLIP:
                closed = (one for one in reversed(self.records) if isinstance(one.record, ShiftClosed))
                return next(closed, Reason.NOTHING_TO_PRINT)
            case PaperKind.BILL_NOTICE | PaperKind.NOTICE:
                work = self.stops.get(customer)
                if work is None:
                    return Reason.CUSTOMER_NOT_ON_ROUTE
                if work.taken is not None:
                    return work.taken
                if kind is PaperKind.NOTICE and work.skipped is not None:
                    return work.skipped
                return Reason.NOTHING_TO_PRINT

    def _is_wanted(self, paper: Paper, customer: str) -> bool:
        """Whether a paper can still be asked for. A receipt also when its customer has left the route."""
        about, kind = paper
        if kind is PaperKind.RECEIPT:
            return not self._collections[about].voided
        shown = self.subject(kind, customer, None)
        return isinstance(shown, Sealed) and shown.digest == about

    # Records.

    def learn(self, sealed: Sealed) -> None:
        """Take a record of our own into the state. The only way in."""
        self.tip = sealed.tip
        self.at_ms = sealed.header.at_ms
        self.records.append(sealed)
        self.by_digest[sealed.digest] = sealed
        if sealed.header.intent is not None:
            self.by_intent[sealed.header.intent] = sealed
        self._learn_work(sealed)

    def _learn_work(self, sealed: Sealed) -> None:
        record, evidence = sealed.record, sealed.header.evidence
        assert evidence is not None
        match record:
            case ShiftOpened():
                key = (evidence.collector, record.business_date)
                shift = self.days.get(key) or ShiftWork(
                    evidence.collector, record.business_date, record.period, evidence.package
                )
                shift.is_open = True
                self.days[key] = self.shift = shift
            case ReadingTaken():
                self._day(sealed).read.add(record.customer)
                if (work := self._visited(sealed, record.customer, record.period)) is not None:
                    work.taken = sealed
            case ReadingSkipped():
                self._day(sealed).skipped.add(record.customer)
                if (work := self._visited(sealed, record.customer, record.period)) is not None:
                    work.skipped = sealed
            case ContactNoted():
                if (work := self._visited(sealed, record.customer, record.period)) is not None:
                    work.contact = sealed
            case RuleOverridden():
                self.codes_used.add(record.code_no)
                if (work := self._visited(sealed, record.customer, record.period)) is not None:
                    work.overridden.add(record.reading)
            case LogInOpened():
                self.codes_used.add(record.code_no)
                self.log_ins_opened[evidence.collector] = sealed
            case DeviceStatus():
                pass
            case CashCollected():
                day = self._day(sealed)
                day.collected.append(record)
                self.receipt_no = record.receipt_no
                one = self._collections[sealed.digest] = Collection(
                    sealed, record, day.collector, day.business_date
                )
                if (work := self._visited(sealed, record.customer)) is not None:
                    work.collections.append(one)  # Of whatever period: what was paid here is never asked for again.
            case CollectionVoided():
                self._collections[record.collection].void_seq = sealed.header.seq
                self._visited(sealed, record.customer)
                self._day(sealed).voided.append(self._collections[record.collection].record)
            case PaperPrinted():
                self._learn_print(record, evidence.collector)
            case CashCounted():
                self._day(sealed).counted = record.notes
            case ShiftClosed():
                day = self._day(sealed)
                day.is_open = False
                day.closed_with[sealed.digest] = day.counted
            case _:
                raise AssertionError(f"{type(record).__name__} is not a handheld's record")

    def _learn_print(self, record: PaperPrinted, collector: str) -> None:
        paper = record.about, record.paper
        self._ends[paper] = record
        match record.outcome:
            case PrintOutcome.NOT_PRINTED:
                return
            case PrintOutcome.UNKNOWN:
                self._unknown[paper] = record
            case PrintOutcome.PRINTED:
                self._unknown.pop(paper, None)
        if record.print_no > self.prints.get(paper, 0):  # Else an answer: that paper has been counted.
            self.prints[paper] = record.print_no
            if (day := self._latest_day(collector)) is not None:
                day.paper(record.print_no)

    def day_left_open(self, collector: str) -> ShiftWork | None:
        """A day of a collector that somebody else's shift came into: it has to be counted and closed first."""
        return next((day for (whose, _), day in self.days.items() if whose == collector and day.is_open), None)

    def _latest_day(self, collector: str) -> ShiftWork | None:
        """The day of whose paper it is, also when somebody else's shift has been opened since."""
        if self.shift is not None and self.shift.collector == collector:
            return self.shift
        return next((day for (whose, _), day in reversed(self.days.items()) if whose == collector), self.shift)

    def _day(self, sealed: Sealed) -> ShiftWork:
        assert self.shift is not None, f"record {sealed.header.seq} was made without a shift"
        return self.shift

    def _visited(self, sealed: Sealed, customer: str, period: str | None = None) -> StopWork | None:
        """The stop that a record is of, if it is on this handheld: in that period, or in any where none is given."""
        work = self.stops.get(customer)
        if work is None or period not in (None, work.package.period):
            return None
        work.latest = sealed
        return work

    # From the store.

    def _restore(self, memory: Memory, hub_key: VerifyKey, public_key: bytes) -> None:
        if memory.policy is not None:
            self.policy = open_policy(memory.policy, hub_key)
        for message in memory.packages:
            package = open_package(message, hub_key)
            self.packages[package.route] = package
        own_key = VerifyKey.of(public_key)
        # Each record names the digest of the one before, so one signature over the last proves all of them.
        self.records += [reopen(message, None) for message in memory.messages[:-1]]
        self.records += [reopen(message, own_key) for message in memory.messages[-1:]]
        for route, (version, bodies) in memory.changes.items():
            self.changes_version[route] = version
            for body, known_seq in bodies:
                change = codec.unpack(StopChange, codec.decode(body))
                self._told[change.customer] = change, known_seq
        self.papers = dict(memory.papers)
        self.rebuild()

    def rebuild(self) -> None:
        """Derive all work anew from packages and own records, checking the chain on the way.

        A customer that stands in two packages has moved: the newer one counts, whichever arrived first.
        """
        assert self.policy is not None or not self.packages
        self.stops = {
            stop.customer: StopWork.of(stop, package, self.policy)
            for package in sorted(self.packages.values(), key=lambda one: (one.period, one.issued_ms, one.route))
            for stop in package.stops
            if self.policy is not None
        }
        for customer, (change, known_seq) in self._told.items():
            if (work := self.stops.get(customer)) is not None:
                work.hear(change, known_seq)
        records, self.records, self.tip = self.records, [], EMPTY
        self.shift = None
        for index in (self.days, self._collections, self.prints, self._ends, self._unknown):
            index.clear()
        self.codes_used.clear()
        self.log_ins_opened.clear()
        for sealed in records:
            if (sealed.header.seq, sealed.header.prev) != (self.tip.seq + 1, self.tip.digest):
                raise BrokenChainError(f"record {sealed.header.seq} does not follow record {self.tip.seq}")
            self.learn(sealed)

    def tell(
        self, route: str, version: int, stops: tuple[StopChange, ...], known_seq: int
    ) -> tuple[StopChange, ...]:
        """Take what the hub says of stops. What of it counts here is returned, and to be kept.

        known_seq: how many of our records it knew when it said so.
        The rest must not take the place of what was kept: a word on the next period would unsay one on this.
        """
        self.changes_version[route] = version
        heard: list[StopChange] = []
        for change in stops:
            if (work := self.stops.get(change.customer)) is not None and work.hear(change, known_seq):
                self._told[change.customer] = change, known_seq
                heard.append(change)
        return tuple(heard)


def reopen(message: bytes, key: VerifyKey | None) -> Sealed:
    """A record of our own from the store. key: None where the chain vouches for it.

    Raises EnvelopeError or SignatureError when the store is damaged.
    """
    payload = open_sealed(message, key, Purpose.RECORD) if key is not None else frame(message).payload
    header, record = parse(codec.decode(payload))
    return Sealed(message, digest(message), header, record)
