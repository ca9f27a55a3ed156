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
from device.core.desk import PaperDesk
from device.core.effects import (
    Answer,
    Append,
    Done,
    Effect,
    FetchChanges,
    FetchPackages,
    FetchPolicy,
    PaperJob,
    PaperState,
    in_order,
    refused,
)
from device.core.events import PACKAGES, POLICY
from device.core.exchange import Exchange
from device.core.memory import Identity, Memory
from device.core.outbox import Outbox
from device.core.pen import Pen
from device.core.self_report import SelfReport
from device.core.stops import UNKNOWN_DAYS, StopWork
from device.core.work import Work
from protocol.codes import code_proof, number_of
from protocol.facts import Reading
from protocol.fields import VND_MAX
from protocol.readings import ANY_USE_M3, READING_CODES, ReadingInputError, Use, use_m3
from protocol.reasons import Reason, overridable
from protocol.records import (
    CashCollected,
    CashCounted,
    CollectionVoided,
    ContactNoted,
    HandheldRecord,
    LogInOpened,
    PackageRef,
    PaperKind,
    ReadingSkipped,
    ReadingTaken,
    RuleOverridden,
    ShiftClosed,
    ShiftOpened,
    StatusMoment,
)
from protocol.rules import hold, warnings
from protocol.sealed import Sealed
from protocol.tariff import TariffError, compute_bill, versions_for
from protocol.values import Instant, days_between, is_date, local_date

CASH = "TT"
DAYS_MAX = 3_660  # The most a record carries; only a clock that is years ahead comes this far.
MADE_BY: dict[type[c.Recorded], type[HandheldRecord]] = {
    c.OpenShift: ShiftOpened,
    c.TakeReading: ReadingTaken,
    c.SkipReading: ReadingSkipped,
    c.Collect: CashCollected,
    c.VoidCollection: CollectionVoided,
    c.NoteContact: ContactNoted,
    c.OverrideHold: RuleOverridden,
    c.OpenLogIn: LogInOpened,
    c.CountCash: CashCounted,
    c.CloseShift: ShiftClosed,
}

Input = c.Command | e.Event


class CollectorSession:
    """One handheld's decisions over its work. `random` only spreads retries."""

    def __init__(self, identity: Identity, memory: Memory, random: Random) -> None:
        self.identity = identity
        self.work = Work(memory, identity.hub_key, identity.key.public)
        self.outbox = Outbox(head=self.work.tip.seq, acked=memory.acked_seq, random=random)
        self.pen = Pen(identity, self.work, self.outbox, memory.ack)
        self.exchange = Exchange(identity, memory, self.work, self.outbox, self.pen)
        self.desk = PaperDesk(identity, self.work, self.outbox, self.pen)
        self.report = SelfReport(identity.software, self.work, self.outbox, self.pen)

    @property
    def busy(self) -> bool:
        """Whether the network owes an answer."""
        return self.exchange.busy

    def recover(self, now: Instant) -> tuple[Effect, ...]:
        """After a restart: whatever was being printed is UNKNOWN; nothing is printed by itself."""
        return self.desk.recover(now)

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
                return self.desk.print(given)
            case c.ConfirmPaper():
                return self.desk.confirm(given, now)
            case c.SendNow():
                self.outbox.hurry()
                return (Answer(outcome=Done()),)
            case c.DownloadRoute():
                if self.report.battery_very_low:
                    return refused(Reason.BATTERY_LOW)
                return (*self.exchange.fetch(PACKAGES, FetchPackages()), Answer(outcome=Done()))
            case c.AskPolicy():
                return (*self.exchange.fetch(POLICY, FetchPolicy()), Answer(outcome=Done()))
            case c.OpenShift() | c.TakeReading() | c.SkipReading() | c.Collect() | c.NoteContact():
                return self._recorded(given, now)
            case c.OverrideHold() | c.OpenLogIn() | c.VoidCollection() | c.CountCash() | c.CloseShift():
                return self._recorded(given, now)
            case _:
                return self._happened(given, now)

    def _happened(self, event: e.Event, now: Instant) -> tuple[Effect, ...]:
        match event:
            case e.PrintEnded():
                return self.desk.ended(event.job, event.result, now)
            case e.UploadAcked():
                return self.exchange.acked(event.message, now)
            case e.UploadRefused():
                return self.exchange.upload_refused(event, now)
            case e.PackagesArrived():
                return self.exchange.packages_arrived(event, now)
            case e.ChangesArrived():
                return self.exchange.changes_arrived(event.changes, now)
            case e.Tick():
                return self.report.tick(event.printer, now)
            case e.PowerRead():
                return self.report.read(event, now)
            case e.UploadLost():
                self.exchange.upload_lost(event, now)
            case e.FetchFailed():
                self.exchange.fetch_failed(event)
            case e.FixAcquired():
                self.pen.see(event.fix, now)
            case e.ClockCompared():
                self.pen.compare(event.offset_ms, event.source, now)
            case _:
                assert_never(event)
        return ()

    def _recorded(self, given: c.Recorded, now: Instant) -> tuple[Effect, ...]:
        """One intent, one record: the same intent again is answered with the record it made."""
        if (before := self.work.by_intent.get(given.intent)) is not None:
            if not isinstance(before.record, MADE_BY[type(given)]):
                return refused(Reason.INTENT_USED)
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
            case c.NoteContact():
                return self._note_contact(given, now)
            case c.OverrideHold():
                return self._override(given, now)
            case c.OpenLogIn():
                return self._open_log_in(given, now)
            case c.CountCash():
                return self._count_cash(given, now)
            case c.CloseShift():
                return self._close_shift(given, now)
        assert_never(given)

    # Commands.

    def _open_shift(self, command: c.OpenShift, now: Instant) -> tuple[Effect, ...]:
        mine = [package for package in self.work.packages.values() if package.collector == command.collector]
        if not mine or self.work.policy is None:
            return refused(Reason.NO_PACKAGE)
        open_shift = self.work.shift if self.work.shift is not None and self.work.shift.is_open else None
        if open_shift is not None and open_shift.collector == command.collector:
            return refused(Reason.SHIFT_IS_OPEN)
        package = max(mine, key=lambda one: one.period)
        corrected_ms = self.pen.corrected_ms(now)
        if package.expires_ms < corrected_ms:
            return refused(Reason.PACKAGE_EXPIRED)
        clock_is_behind = corrected_ms < package.issued_ms
        business_date = command.business_date or ("" if clock_is_behind else local_date(corrected_ms))
        period = package.period
        if (left := self.work.day_left_open(command.collector)) is not None:
            business_date, period = left.business_date, left.period  # Its cash has not been counted yet.
        if not is_date(business_date):
            return refused(Reason.DATE_INPUT)
        record = ShiftOpened(
            period=period,
            business_date=business_date,
            software=self.identity.software,
        )
        ref = PackageRef(package.route, package.version)
        opened = self.pen.make(record, ref, command.intent, now, collector=command.collector)
        told = self.report.tell(StatusMoment.SHIFT_OPENED, now)
        return (Append(sealed=opened), *told, Answer(outcome=Done(sealed=opened)))

    def _open_stop(self, command: c.OpenStop) -> tuple[Effect, ...]:
        work = self.work.stops.get(command.customer)
        if work is None:
            return refused(Reason.CUSTOMER_NOT_ON_ROUTE)
        route = work.package.route
        after = max(self.work.changes_version.get(route, 0), work.package.changes)
        return (*self.exchange.fetch(route, FetchChanges(route=route, after=after)), Answer(outcome=Done()))

    def _take_reading(self, command: c.TakeReading, now: Instant) -> tuple[Effect, ...]:
        work = self.work.stops.get(command.customer)
        refusal = self._cannot_work(work)
        if refusal is not None or work is None:
            return refused(refusal or Reason.CUSTOMER_NOT_ON_ROUTE)
        if command.seen not in (None, work.mark):
            return refused(Reason.SCREEN_IS_OLD)
        read = self.read(work, command, now)
        if isinstance(read, str):
            return refused(Reason.READING_INPUT, detail=read)
        record, doubts = read
        if doubts and not _is_confirmed(command, record.use_m3):
            return refused(doubts[0], doubts)
        return self._done(self.pen.make(record, work.ref, command.intent, now))

    def read(
        self, work: StopWork, command: c.TakeReading, now: Instant
    ) -> tuple[ReadingTaken, tuple[Reason, ...]] | str:
        """The record that a reading would make now, with what is doubtful about it; or the field that is wrong.

        Changes nothing: a screen asks it at each digit.
        """
        code = READING_CODES.get(command.code)
        if code is None or not code.readable:
            return command.code
        reading_date, days = self._reading_date(work, now)
        try:
            use = Use(
                use_m3(
                    code,
                    previous_index=work.stop.history[-1].index,
                    index=command.index,
                    removed_index=command.removed_index,
                    installed_index=command.installed_index,
                ),
                days,
            )
        except ReadingInputError as error:
            return error.field
        if abs(use.m3) > ANY_USE_M3:
            return "index"
        reading = Reading(code=command.code, index=command.index, use=use)
        doubts = warnings(reading, work.facts_now)
        try:
            return self._reading_record(work, command, reading, reading_date, doubts), doubts
        except TariffError as error:
            return str(error)

    def _reading_date(self, work: StopWork, now: Instant) -> tuple[str, int]:
        """Civil date of a reading, and the days since the last one; 0 when the clock cannot be right.

        Of the clock as it is now, corrected by what the hub or the satellites said: a jump that is over costs nothing.
        """
        package = work.package
        corrected_ms = self.pen.corrected_ms(now)
        bounded_ms = min(max(corrected_ms, package.issued_ms), package.expires_ms)
        reading_date = local_date(bounded_ms)
        if bounded_ms != corrected_ms:
            return reading_date, UNKNOWN_DAYS
        return reading_date, min(max(0, days_between(work.stop.history[-1].reading_date, reading_date)), DAYS_MAX)

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
            photo=command.photo,
        )

    def _skip_reading(self, command: c.SkipReading, now: Instant) -> tuple[Effect, ...]:
        work = self.work.stops.get(command.customer)
        refusal = self._cannot_work(work)
        if refusal is not None or work is None:
            return refused(refusal or Reason.CUSTOMER_NOT_ON_ROUTE)
        if command.seen not in (None, work.mark):
            return refused(Reason.SCREEN_IS_OLD)
        code = READING_CODES.get(command.code)
        if code is None or code.readable:
            return refused(Reason.READING_INPUT, detail=command.code)
        record = ReadingSkipped(
            customer=work.stop.customer, period=work.package.period, code=command.code, photo=command.photo
        )
        return self._done(self.pen.make(record, work.ref, command.intent, now))

    def _collect(self, command: c.Collect, now: Instant) -> tuple[Effect, ...]:
        work = self.work.stops.get(command.customer)
        refusal = self._cannot_work(work)
        if refusal is not None or work is None:
            return refused(refusal or Reason.CUSTOMER_NOT_ON_ROUTE)
        due = work.due(command.which)
        if due.amount_vnd <= 0:
            return refused(due.hold or Reason.NOTHING_TO_COLLECT)
        if due.amount_vnd != command.amount_vnd:
            return refused(Reason.AMOUNT_CHANGED)
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
        sealed = self.pen.make(record, work.ref, command.intent, now)
        job = PaperJob(kind=PaperKind.RECEIPT, about=sealed.digest, print_no=1, customer=work.stop.customer)
        self.work.papers[job] = PaperState.WAITING
        done = Answer(outcome=Done(sealed=sealed))
        return (Append(sealed=sealed, queue=job), self.desk.start(job), done)

    @staticmethod
    def _reading_relied_on(work: StopWork) -> bytes | None:
        if work.taken is not None:
            return work.taken.digest
        return work.stop.known.digest if work.stop.known is not None else None

    def _void(self, command: c.VoidCollection, now: Instant) -> tuple[Effect, ...]:
        one = self.work.collection(command.receipt_no)
        if one is None:
            return refused(Reason.COLLECTION_NOT_FOUND)
        if one.voided:
            return refused(Reason.ALREADY_VOIDED)
        if self.work.shift is None or not self.work.shift.is_open:
            return refused(Reason.NO_OPEN_SHIFT)
        if (one.collector, one.business_date) != (self.work.shift.collector, self.work.shift.business_date):
            return refused(Reason.DAY_IS_OVER)
        jobs = [job for job in self.work.papers if job.about == one.sealed.digest]
        if any(self.work.papers[job] is PaperState.STARTED for job in jobs):
            return refused(Reason.PRINT_UNDER_WAY)
        record = CollectionVoided(
            customer=one.record.customer,
            period=one.record.period,
            collection=one.sealed.digest,
            reason=command.reason,
            note=command.note,
        )
        evidence = one.sealed.header.evidence
        assert evidence is not None
        sealed = self.pen.make(record, evidence.package, command.intent, now)
        for job in jobs:
            del self.work.papers[job]
        return (Append(sealed=sealed, dropped=tuple(jobs)), Answer(outcome=Done(sealed=sealed)))

    def _note_contact(self, command: c.NoteContact, now: Instant) -> tuple[Effect, ...]:
        work = self.work.stops.get(command.customer)
        refusal = self._cannot_work(work)
        if refusal is not None or work is None:
            return refused(refusal or Reason.CUSTOMER_NOT_ON_ROUTE)
        if command.come_back is not None and not is_date(command.come_back):
            return refused(Reason.DATE_INPUT)
        record = ContactNoted(
            customer=work.stop.customer,
            period=work.package.period,
            outcome=command.outcome,
            come_back=command.come_back,
            note=command.note,
        )
        return self._done(self.pen.make(record, work.ref, command.intent, now))

    def _override(self, command: c.OverrideHold, now: Instant) -> tuple[Effect, ...]:
        """Lift the hold from the reading that counts now, and from no other."""
        work = self.work.stops.get(command.customer)
        refusal = self._cannot_work(work)
        if refusal is not None or work is None:
            return refused(refusal or Reason.CUSTOMER_NOT_ON_ROUTE)
        reason = work.hold()
        if reason is None or work.taken is None or not overridable(reason):
            return refused(Reason.NOTHING_TO_OVERRIDE)
        if number_of(command.supervisor_code) in self.work.codes_used:
            return refused(Reason.CODE_USED)
        record = RuleOverridden(
            customer=work.stop.customer,
            period=work.package.period,
            reading=work.taken.digest,
            hold=reason.value,
            reason=command.because,
            code_no=number_of(command.supervisor_code),
            proof=code_proof(command.supervisor_code, work.taken.digest),
        )
        return self._done(self.pen.make(record, work.ref, command.intent, now))

    def _open_log_in(self, command: c.OpenLogIn, now: Instant) -> tuple[Effect, ...]:
        """Record that a code was spent on a log-in; it needs no shift, but a package that the collector may see."""
        mine = [package for package in self.work.packages.values() if package.collector == command.collector]
        if not mine:
            return refused(Reason.NO_PACKAGE)
        if number_of(command.supervisor_code) in self.work.codes_used:
            return refused(Reason.CODE_USED)
        package = max(mine, key=lambda one: one.period)
        record = LogInOpened(
            period=package.period,
            code_no=number_of(command.supervisor_code),
            proof=code_proof(command.supervisor_code, command.collector.encode("ascii")),
        )
        ref = PackageRef(package.route, package.version)
        return self._done(self.pen.make(record, ref, command.intent, now, collector=command.collector))

    def _count_cash(self, command: c.CountCash, now: Instant) -> tuple[Effect, ...]:
        if self.work.shift is None or not self.work.shift.is_open:
            return refused(Reason.NO_OPEN_SHIFT)
        total_vnd = sum(note.value_vnd * note.pieces for note in command.notes)
        if total_vnd > VND_MAX:
            return refused(Reason.CASH_INPUT)
        record = CashCounted(
            period=self.work.shift.period,
            business_date=self.work.shift.business_date,
            notes=command.notes,
            total_vnd=total_vnd,
        )
        return self._done(self.pen.make(record, self.work.shift.package, command.intent, now))

    def _close_shift(self, command: c.CloseShift, now: Instant) -> tuple[Effect, ...]:
        if self.work.shift is None or not self.work.shift.is_open:
            return refused(Reason.NO_OPEN_SHIFT)
        told = self.report.tell(StatusMoment.SHIFT_CLOSING, now)
        record = ShiftClosed(
            period=self.work.shift.period, business_date=self.work.shift.business_date, totals=self.work.shift.totals()
        )
        closed = self.pen.make(record, self.work.shift.package, command.intent, now)
        return (*told, Append(sealed=closed), Answer(outcome=Done(sealed=closed)))

    # Small change.

    def _cannot_work(self, work: StopWork | None) -> Reason | None:
        if work is None:
            return Reason.CUSTOMER_NOT_ON_ROUTE
        if self.work.shift is None or not self.work.shift.is_open:
            return Reason.NO_OPEN_SHIFT
        return None

    def _done(self, sealed: Sealed) -> tuple[Effect, ...]:
        return (Append(sealed=sealed), Answer(outcome=Done(sealed=sealed)))

    def _send(self, now: Instant) -> tuple[Effect, ...]:
        due = self.outbox.due(now.up_ms)
        return () if due is None else (due,)


def _is_confirmed(command: c.TakeReading, use_m3: int) -> bool:
    """Whether a doubtful consumption is the one that a person stands by."""
    return command.confirmed if command.confirms_m3 is None else command.confirms_m3 == use_m3


def hold_of_cash_payer(reading: Reading, work: StopWork) -> Reason | None:
    """What would hold this period's bill of a customer who paid in cash: a bank payer's bill needs a sound index
    too.
    """
    return hold(reading, replace(work.facts_now, payment_method=CASH))
