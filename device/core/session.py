"""The collector's session: pure, synchronous, and the only place where a handheld decides.

`handle(command or event, now) -> effects`. The caller performs the effects in order; the first are durable, and if
one of them fails the process restarts from its store, so nothing here has to be undone. Nothing here awaits, so a
decision cannot be interleaved. State is derived from records: `_learn` is the one way in, for new records and for
replay.
"""

from dataclasses import replace
from random import Random
from typing import assert_never

from device.core import commands as c
from device.core import events as e
from device.core.day import ShiftWork
from device.core.effects import (
    RESTART,
    SEEN_BY_COLLECTOR,
    Answer,
    Append,
    Done,
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
    in_order,
)
from device.core.events import PACKAGES
from device.core.memory import Identity, Memory
from device.core.outbox import Outbox
from device.core.papers import paper_for
from device.core.stops import UNKNOWN_DAYS, StopWork
from device.core.work import Work
from protocol import codec
from protocol.chain import NO_DIGEST, digest
from protocol.codec import CodecError, FieldError
from protocol.envelope import EnvelopeError, SignatureError
from protocol.facts import Reading
from protocol.fields import MILLIS_MAX, VND_MAX
from protocol.package import open_package, open_policy
from protocol.readings import ANY_USE_M3, READING_CODES, ReadingInputError, Use, use_m3
from protocol.reasons import Reason
from protocol.records import (
    PRINTS_MAX,
    CashCollected,
    CashCounted,
    CollectionVoided,
    Evidence,
    HandheldRecord,
    Header,
    PackageRef,
    PaperKind,
    PaperPrinted,
    PrintOutcome,
    ReadingSkipped,
    ReadingTaken,
    ShiftClosed,
    ShiftOpened,
)
from protocol.rules import hold, warnings
from protocol.sealed import Sealed, seal_record
from protocol.tariff import TariffError, compute_bill, versions_for
from protocol.values import ClockEvidence, ClockSource, Fix, Instant, NoFix, days_between, is_date, local_date
from protocol.wire import Changes, open_ack

CASH = "TT"
DAYS_MAX = 3_660  # The most a record carries; only a clock that is years ahead comes this far.
MADE_BY: dict[type[c.Recorded], type[HandheldRecord]] = {
    c.OpenShift: ShiftOpened,
    c.TakeReading: ReadingTaken,
    c.SkipReading: ReadingSkipped,
    c.Collect: CashCollected,
    c.VoidCollection: CollectionVoided,
    c.CountCash: CashCounted,
    c.CloseShift: ShiftClosed,
}

Input = c.Command | e.Event


class NoSuchPaperError(LookupError):
    """A print job speaks of a record that the store does not have: the store is damaged."""


class CollectorSession:
    """One handheld's decisions over its work. `random` only spreads retries."""

    def __init__(self, identity: Identity, memory: Memory, random: Random) -> None:
        self.identity = identity
        self.work = Work(memory, identity.hub_key, identity.key.public)
        self.outbox = Outbox(head=self.work.tip.seq, acked=memory.acked_seq, random=random)
        self.last_contact_ms: int | None = None
        self.download_trouble = ""
        self._ack_digest = digest(memory.ack) if memory.ack is not None else NO_DIGEST
        self._fetching: set[str] = set()
        self._fix: Fix | NoFix = NoFix.NO_RECEIVER
        self._offset_ms = 0
        self._offset_source = ClockSource.NONE

    @property
    def busy(self) -> bool:
        """Whether the network owes an answer."""
        return self.outbox.busy or bool(self._fetching)

    def recover(self, now: Instant) -> tuple[Effect, ...]:
        """After a restart: whatever was being printed is UNKNOWN; nothing is printed by itself."""
        effects: list[Effect] = []
        for job, state in list(self.work.papers.items()):
            if state is PaperState.STARTED:
                effects += self._print_ended(job, PrintResult(outcome=PrintOutcome.UNKNOWN, reason=RESTART), now)
        return tuple(effects)

    def handle(self, given: Input, now: Instant) -> tuple[Effect, ...]:
        """Decide. The answer to a command is its last effect but uploads."""
        effects = (*self._decide(given, now), *self._send(now))
        assert in_order(effects), "a visible effect must not come before a durable one"
        return effects

    def _decide(self, given: Input, now: Instant) -> tuple[Effect, ...]:
        match given:
            case c.OpenStop():
                return self._open_stop(given)
            case c.PrintPaper():
                return self._print_paper(given)
            case c.ConfirmPaper():
                return self._confirm_paper(given, now)
            case c.SendNow():
                self.outbox.hurry()
                return (Answer(outcome=Done()),)
            case c.DownloadRoute():
                return (*self._fetch(PACKAGES, FetchPackages()), Answer(outcome=Done()))
            case c.OpenShift() | c.TakeReading() | c.SkipReading() | c.Collect():
                return self._recorded(given, now)
            case c.VoidCollection() | c.CountCash() | c.CloseShift():
                return self._recorded(given, now)
            case _:
                return self._happened(given, now)

    def _happened(self, event: e.Event, now: Instant) -> tuple[Effect, ...]:
        match event:
            case e.PrintEnded():
                return self._print_ended(event.job, event.result, now)
            case e.UploadAcked():
                return self._acked(event.message, now)
            case e.UploadRefused():
                return self._upload_refused(event, now)
            case e.PackagesArrived():
                return self._packages_arrived(event, now)
            case e.ChangesArrived():
                return self._changes_arrived(event.changes, now)
            case e.UploadLost():
                self.outbox.lost(event.sentence, now.up_ms)
            case e.FetchFailed():
                self._fetching.discard(event.what)
                self.download_trouble = event.sentence
            case e.FixAcquired():
                self._fix = event.fix
            case e.ClockCompared():
                self._offset_ms, self._offset_source = event.offset_ms, event.source
            case e.Tick():
                pass
            case _:
                assert_never(event)
        return ()

    def _recorded(self, given: c.Recorded, now: Instant) -> tuple[Effect, ...]:
        """One intent, one record: the same intent again is answered with the record it made."""
        if (before := self.work.by_intent.get(given.intent)) is not None:
            if not isinstance(before.record, MADE_BY[type(given)]):
                return _no(Reason.INTENT_USED)
            return (Answer(outcome=Done(sealed=before, again=True)),)
        match given:
            case c.OpenShift():
                return self._open_shift(given, now)
            case c.TakeReading():
                return self._take_reading(given, now)
            case c.SkipReading():
                return self._skip_reading(given, now)
            case c.Collect():
                return self._collect(given, now)
            case c.VoidCollection():
                return self._void(given, now)
            case c.CountCash():
                return self._count_cash(given, now)
            case c.CloseShift():
                return self._close_shift(given, now)
        assert_never(given)

    # Commands.

    def _open_shift(self, command: c.OpenShift, now: Instant) -> tuple[Effect, ...]:
        mine = [package for package in self.work.packages.values() if package.collector == command.collector]
        if not mine or self.work.policy is None:
            return _no(Reason.NO_PACKAGE)
        if self.work.shift is not None and self.work.shift.is_open:
            return _no(Reason.SHIFT_IS_OPEN)
        package = max(mine, key=lambda one: one.period)
        corrected_ms = self._corrected_ms(now)
        if package.expires_ms < corrected_ms:
            return _no(Reason.PACKAGE_EXPIRED)
        clock_is_behind = corrected_ms < package.issued_ms
        business_date = command.business_date or ("" if clock_is_behind else local_date(corrected_ms))
        if not is_date(business_date):
            return _no(Reason.DATE_INPUT)
        record = ShiftOpened(
            period=package.period,
            business_date=business_date,
            software=self.identity.software,
        )
        ref = PackageRef(package.route, package.version)
        return self._done(self._make(record, ref, command.intent, now, collector=command.collector))

    def _open_stop(self, command: c.OpenStop) -> tuple[Effect, ...]:
        work = self.work.stops.get(command.customer)
        if work is None:
            return _no(Reason.CUSTOMER_NOT_ON_ROUTE)
        route = work.package.route
        after = max(self.work.changes_version.get(route, 0), work.package.changes)
        return (*self._fetch(route, FetchChanges(route=route, after=after)), Answer(outcome=Done()))

    def _take_reading(self, command: c.TakeReading, now: Instant) -> tuple[Effect, ...]:
        work = self.work.stops.get(command.customer)
        refusal = self._cannot_work(work)
        if refusal is not None or work is None:
            return _no(refusal or Reason.CUSTOMER_NOT_ON_ROUTE)
        code = READING_CODES.get(command.code)
        if code is None or not code.readable:
            return _no(Reason.READING_INPUT, detail=command.code)
        last = work.stop.history[-1]
        reading_date, days = self._reading_date(work, now)
        try:
            use = Use(
                use_m3(
                    code,
                    previous_index=last.index,
                    index=command.index,
                    removed_index=command.removed_index,
                    installed_index=command.installed_index,
                ),
                days,
            )
        except ReadingInputError as error:
            return _no(Reason.READING_INPUT, detail=error.field)
        if abs(use.m3) > ANY_USE_M3:
            return _no(Reason.READING_INPUT, detail="index")
        reading = Reading(code=command.code, index=command.index, use=use)
        doubts = warnings(reading, work.facts_now)
        if doubts and not command.confirmed:
            return _no(doubts[0], doubts)
        try:
            record = self._reading_record(work, command, reading, reading_date, doubts)
        except TariffError as error:
            return _no(Reason.READING_INPUT, detail=str(error))
        return self._done(self._make(record, work.ref, command.intent, now))

    def _reading_date(self, work: StopWork, now: Instant) -> tuple[str, int]:
        """Civil date of a reading, and the days since the last one; 0 when the clock cannot be right.

        Of the clock as it is now, corrected by what the hub or the satellites said: a jump that is over costs nothing.
        """
        package = work.package
        corrected_ms = self._corrected_ms(now)
        bounded_ms = min(max(corrected_ms, package.issued_ms), package.expires_ms)
        reading_date = local_date(bounded_ms)
        if bounded_ms != corrected_ms:
            return reading_date, UNKNOWN_DAYS
        return reading_date, min(max(0, days_between(work.stop.history[-1].reading_date, reading_date)), DAYS_MAX)

    def _corrected_ms(self, now: Instant) -> int:
        """The wall clock, put right by what the hub or the satellites last said."""
        return now.wall_ms + self._offset_ms

    def _reading_record(
        self,
        work: StopWork,
        command: c.TakeReading,
        reading: Reading,
        reading_date: str,
        doubts: tuple[Reason, ...],
    ) -> ReadingTaken:
        """The record of a reading with its bill; raises TariffError when nothing prices it."""
        stop, package, last = work.stop, work.package, work.stop.history[-1]
        reason = hold(reading, work.facts_now)
        unexplained = Reason.READING_BELOW_PREVIOUS in (reason, hold_of_cash_payer(reading, work))
        period, from_date = package.period, last.reading_date
        segments = versions_for(package.tariff, period=period, from_date=from_date, to_date=reading_date)
        bill = None
        if not unexplained:
            bill = compute_bill(
                reading.use.m3,
                package.tariff,
                area=stop.area,
                group=stop.category,
                period=period,
                from_date=from_date,
                to_date=reading_date,
                persons=stop.persons,
            )
        return ReadingTaken(
            customer=stop.customer,
            period=package.period,
            index=command.index,
            code=command.code,
            previous_index=last.index,
            use_m3=reading.use.m3,
            days=reading.use.days,
            tariff=segments[-1].version.version,
            bill_no=work.bill_no,
            bill=bill,
            hold=reason.value if reason is not None else None,
            removed_index=command.removed_index,
            installed_index=command.installed_index,
            confirmed=tuple(doubt.value for doubt in doubts) or None,
        )

    def _skip_reading(self, command: c.SkipReading, now: Instant) -> tuple[Effect, ...]:
        work = self.work.stops.get(command.customer)
        refusal = self._cannot_work(work)
        if refusal is not None or work is None:
            return _no(refusal or Reason.CUSTOMER_NOT_ON_ROUTE)
        code = READING_CODES.get(command.code)
        if code is None or code.readable:
            return _no(Reason.READING_INPUT, detail=command.code)
        record = ReadingSkipped(customer=work.stop.customer, period=work.package.period, code=command.code)
        return self._done(self._make(record, work.ref, command.intent, now))

    def _collect(self, command: c.Collect, now: Instant) -> tuple[Effect, ...]:
        work = self.work.stops.get(command.customer)
        refusal = self._cannot_work(work)
        if refusal is not None or work is None:
            return _no(refusal or Reason.CUSTOMER_NOT_ON_ROUTE)
        due = work.due(command.which)
        if due.amount_vnd <= 0:
            return _no(due.hold or Reason.NOTHING_TO_COLLECT)
        if due.amount_vnd != command.amount_vnd:
            return _no(Reason.AMOUNT_CHANGED)
        pays_current = any(bill.bill_no == work.bill_no for bill in due.bills)
        record = CashCollected(
            customer=work.stop.customer,
            period=work.package.period,
            amount_vnd=due.amount_vnd,
            bills=tuple(bill.bill_no for bill in due.bills),
            bills_vnd=tuple(bill.amount_vnd for bill in due.bills),
            bill_periods=tuple(bill.period for bill in due.bills),
            receipt_no=self.work.receipt_no + 1,
            reading=self._reading_relied_on(work) if pays_current else None,
            credit_vnd=due.credit_vnd or None,
            rounding_vnd=due.rounding_vnd or None,
        )
        sealed = self._make(record, work.ref, command.intent, now)
        job = PaperJob(kind=PaperKind.RECEIPT, about=sealed.digest, print_no=1, customer=work.stop.customer)
        self.work.papers[job] = PaperState.WAITING
        done = Answer(outcome=Done(sealed=sealed))
        return (Append(sealed=sealed, queue=job), self._start(job), done)

    @staticmethod
    def _reading_relied_on(work: StopWork) -> bytes | None:
        if work.taken is not None:
            return work.taken.digest
        return work.stop.known.digest if work.stop.known is not None else None

    def _void(self, command: c.VoidCollection, now: Instant) -> tuple[Effect, ...]:
        one = self.work.collection(command.receipt_no)
        if one is None:
            return _no(Reason.COLLECTION_NOT_FOUND)
        if one.voided:
            return _no(Reason.ALREADY_VOIDED)
        if self.work.shift is None or not self.work.shift.is_open:
            return _no(Reason.NO_OPEN_SHIFT)
        if (one.collector, one.business_date) != (self.work.shift.collector, self.work.shift.business_date):
            return _no(Reason.DAY_IS_OVER)
        jobs = [job for job in self.work.papers if job.about == one.sealed.digest]
        if any(self.work.papers[job] is PaperState.STARTED for job in jobs):
            return _no(Reason.PRINT_UNDER_WAY)
        record = CollectionVoided(
            customer=one.record.customer,
            period=one.record.period,
            collection=one.sealed.digest,
            reason=command.reason,
            note=command.note,
        )
        evidence = one.sealed.header.evidence
        assert evidence is not None
        sealed = self._make(record, evidence.package, command.intent, now)
        for job in jobs:
            del self.work.papers[job]
        return (Append(sealed=sealed, dropped=tuple(jobs)), Answer(outcome=Done(sealed=sealed)))

    def _count_cash(self, command: c.CountCash, now: Instant) -> tuple[Effect, ...]:
        if self.work.shift is None or not self.work.shift.is_open:
            return _no(Reason.NO_OPEN_SHIFT)
        total_vnd = sum(note.value_vnd * note.pieces for note in command.notes)
        if total_vnd > VND_MAX:
            return _no(Reason.CASH_INPUT)
        record = CashCounted(
            period=self.work.shift.period,
            business_date=self.work.shift.business_date,
            notes=command.notes,
            total_vnd=total_vnd,
        )
        return self._done(self._make(record, self.work.shift.package, command.intent, now))

    def _close_shift(self, command: c.CloseShift, now: Instant) -> tuple[Effect, ...]:
        if self.work.shift is None or not self.work.shift.is_open:
            return _no(Reason.NO_OPEN_SHIFT)
        record = ShiftClosed(
            period=self.work.shift.period, business_date=self.work.shift.business_date, totals=self.work.shift.totals()
        )
        return self._done(self._make(record, self.work.shift.package, command.intent, now))

    def _print_paper(self, command: c.PrintPaper) -> tuple[Effect, ...]:
        about = self.work.subject(command.kind, command.customer, command.receipt_no)
        if isinstance(about, Reason):
            return _no(about)
        if command.kind is PaperKind.RECEIPT and command.customer not in self.work.stops:
            return _no(Reason.CUSTOMER_NOT_ON_ROUTE)
        paper = about.digest, command.kind
        done = Answer(outcome=Done(sealed=about))
        waiting = self.work.job_of(paper)
        if waiting is not None:
            if self.work.papers[waiting] is PaperState.STARTED:
                return _no(Reason.PRINT_UNDER_WAY)
            return (self._start(waiting), done)
        print_no = self.work.prints.get(paper, 0) + 1
        if print_no > PRINTS_MAX:
            return _no(Reason.PRINTED_TOO_OFTEN)
        job = PaperJob(
            kind=command.kind,
            about=about.digest,
            print_no=print_no,
            customer=command.customer or None,
        )
        self.work.papers[job] = PaperState.WAITING
        return (QueuePaper(job=job), self._start(job), done)

    def _confirm_paper(self, command: c.ConfirmPaper, now: Instant) -> tuple[Effect, ...]:
        """Record that the collector saw the paper whose latest print nobody was sure of.

        It is signed by who works now: that person looked, also where somebody else took the money.
        """
        about = self.work.subject(command.kind, command.customer, command.receipt_no)
        if isinstance(about, Reason):
            return _no(about)
        paper = about.digest, command.kind
        job = self.work.job_of(paper)
        if job is not None and self.work.papers[job] is PaperState.STARTED:
            return _no(Reason.PRINT_UNDER_WAY)
        doubt = self.work.doubts.get(paper)
        if doubt is None:
            certain = paper in self.work.prints
            return (Answer(outcome=Done(again=True)),) if certain else _no(Reason.PAPER_NOT_FOUND)
        record = replace(doubt, outcome=PrintOutcome.PRINTED, reason=SEEN_BY_COLLECTOR)
        evidence = about.header.evidence
        assert evidence is not None
        sealed = self._make(record, evidence.package, None, now)
        if job is not None:
            del self.work.papers[job]
        dropped = () if job is None else (job,)
        return (Append(sealed=sealed, dropped=dropped), Answer(outcome=Done(sealed=sealed)))

    # Events.

    def _print_ended(self, job: PaperJob, result: PrintResult, now: Instant) -> tuple[Effect, ...]:
        """Record how a print ended. A paper that did not come out goes on waiting, under the same number."""
        about = self.work.by_digest.get(job.about)
        if about is None:
            raise NoSuchPaperError(job.about.hex())
        evidence = about.header.evidence
        assert evidence is not None
        record = PaperPrinted(
            period=_period_of(about),
            paper=job.kind,
            about=job.about,
            print_no=job.print_no,
            outcome=result.outcome,
            customer=job.customer,
            reason=result.reason,
        )
        sealed = self._make(record, evidence.package, None, now, collector=evidence.collector)
        if result.outcome is PrintOutcome.NOT_PRINTED:
            self.work.papers[job] = PaperState.WAITING
        else:
            self.work.papers.pop(job, None)
        return (Append(sealed=sealed, ended=job),)

    def _acked(self, message: bytes, now: Instant) -> tuple[Effect, ...]:
        """Believe an ack only if the hub signed it and its digest is ours at that position."""
        try:
            ack = open_ack(message, self.identity.hub_key)
        except (EnvelopeError, SignatureError, CodecError, FieldError) as error:
            self.outbox.lost(f"the answer is not the hub's: {error}", now.up_ms)
            return ()
        if ack.device != self.identity.device or self.work.digest_at(ack.to_seq) != ack.digest:
            self.outbox.refused("other-history", "the hub has another history of this handheld", None, now.up_ms)
            return ()
        self._ack_digest = digest(message)
        self.last_contact_ms = now.wall_ms
        self._offset_ms, self._offset_source = ack.hub_ms - now.wall_ms, ClockSource.HUB
        self.outbox.has(ack.to_seq)
        return (KeepAck(seq=self.outbox.acked, message=message),)

    def _upload_refused(self, event: e.UploadRefused, now: Instant) -> tuple[Effect, ...]:
        kept = self._acked(event.ack, now) if event.ack is not None else ()
        self.last_contact_ms = now.wall_ms
        self.outbox.refused(event.code, event.sentence, event.have_seq, now.up_ms)
        return kept

    def _packages_arrived(self, event: e.PackagesArrived, now: Instant) -> tuple[Effect, ...]:
        """Keep what is newer, after all of it has been verified; one bad message keeps nothing."""
        self._fetching.discard(PACKAGES)
        key = self.identity.hub_key
        try:
            policy = open_policy(event.packages.policy, key)
            packages = [(open_package(message, key), message) for message in event.packages.packages]
        except (EnvelopeError, SignatureError, CodecError, FieldError) as error:
            self.download_trouble = f"the download is not the hub's: {error}"
            return ()
        self.last_contact_ms, self.download_trouble = now.wall_ms, ""
        effects: list[Effect] = []
        if self.work.policy is None or policy.version > self.work.policy.version:
            self.work.policy = policy
            effects.append(KeepPolicy(version=policy.version, message=event.packages.policy))
        for package, message in packages:
            held = self.work.packages.get(package.route)
            if held is None or package.version > held.version:
                self.work.packages[package.route] = package
                if self.work.changes_version.get(package.route, 0) > package.changes:
                    # Told since it was signed, and not heard where only this package has the customer or the period.
                    self.work.changes_version[package.route] = package.changes
                    effects.append(KeepChange(route=package.route, version=package.changes, bodies=()))
                effects.append(KeepPackage(route=package.route, version=package.version, message=message))
        if effects:
            self.work.rebuild()
        return tuple(effects)

    def _changes_arrived(self, changes: Changes, now: Instant) -> tuple[Effect, ...]:
        self._fetching.discard(changes.route)
        self.last_contact_ms = now.wall_ms
        if changes.version <= self.work.changes_version.get(changes.route, 0):
            return ()
        heard = self.work.tell(changes.route, changes.version, changes.stops)
        bodies = tuple((stop.customer, codec.encode(codec.pack(stop))) for stop in heard)
        return (KeepChange(route=changes.route, version=changes.version, bodies=bodies),)

    # Making and learning records.

    def _make(
        self,
        record: HandheldRecord,
        package: PackageRef,
        intent: bytes | None,
        now: Instant,
        collector: str | None = None,
    ) -> Sealed:
        """Seal the next record of the chain and learn it."""
        if collector is None:
            assert self.work.shift is not None
            collector = self.work.shift.collector
        wall_ms = min(max(now.wall_ms, 0), MILLIS_MAX)  # A clock that is centuries off must not stop a record.
        header = Header(
            seq=self.work.tip.seq + 1,
            prev=self.work.tip.digest,
            at_ms=max(self.work.at_ms, wall_ms),
            intent=intent,
            evidence=Evidence(
                clock=ClockEvidence(now.boot, now.up_ms, wall_ms, self._offset_ms, self._offset_source),
                imei=self.identity.imei,
                fix=self._fix,
                collector=collector,
                package=package,
                ack=self._ack_digest,
            ),
        )
        sealed = seal_record(header, record, self.identity.key)
        self.work.learn(sealed)
        self.outbox.made(sealed.header.seq)
        return sealed

    # Small change.

    def _cannot_work(self, work: StopWork | None) -> Reason | None:
        if work is None:
            return Reason.CUSTOMER_NOT_ON_ROUTE
        if self.work.shift is None or not self.work.shift.is_open:
            return Reason.NO_OPEN_SHIFT
        return None

    def _done(self, sealed: Sealed) -> tuple[Effect, ...]:
        return (Append(sealed=sealed), Answer(outcome=Done(sealed=sealed)))

    def _start(self, job: PaperJob) -> Print:
        assert self.work.policy is not None
        self.work.papers[job] = PaperState.STARTED
        about = self.work.by_digest[job.about]
        work = self.work.stops.get(job.customer) if job.customer is not None else None
        document = paper_for(
            job,
            about,
            reading=self._reading_of(about),
            work=work,
            policy=self.work.policy,
            device=self.identity.device,
            day=self._day_of(about),
            unsent=self.outbox.unsent,
        )
        return Print(job=job, document=document)

    def _reading_of(self, about: Sealed) -> Sealed | None:
        """The reading a receipt relied on, if it was made here."""
        record = about.record
        named = record.reading if isinstance(record, CashCollected) else None
        return self.work.by_digest.get(named) if named is not None else None

    def _day_of(self, about: Sealed) -> ShiftWork | None:
        if isinstance(about.record, ShiftClosed) and about.header.evidence is not None:
            return self.work.days[about.header.evidence.collector, about.record.business_date]
        return None

    def _fetch(self, what: str, effect: FetchPackages | FetchChanges) -> tuple[Effect, ...]:
        if what in self._fetching:
            return ()
        self._fetching.add(what)
        return (effect,)

    def _send(self, now: Instant) -> tuple[Effect, ...]:
        due = self.outbox.due(now.up_ms)
        return () if due is None else (due,)


def hold_of_cash_payer(reading: Reading, work: StopWork) -> Reason | None:
    """What would hold this period's bill of a customer who paid in cash: a bank payer's bill needs a sound index
    too.
    """
    return hold(reading, replace(work.facts_now, payment_method=CASH))


def _period_of(sealed: Sealed) -> str:
    period = getattr(sealed.record, "period", None)
    assert isinstance(period, str), "every record that a paper shows has a period"
    return period


def _no(reason: Reason, doubts: tuple[Reason, ...] = (), detail: str = "") -> tuple[Effect, ...]:
    return (Answer(outcome=Refused(reason=reason, warnings=doubts, detail=detail)),)
