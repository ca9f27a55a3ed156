"""Decisions about paper: what is printed, under which number, and what is known of it afterwards."""

from dataclasses import replace

from device.core import commands as c
from device.core.day import ShiftWork
from device.core.effects import (
    RESTART,
    SEEN_BY_COLLECTOR,
    Answer,
    Append,
    Done,
    Effect,
    PaperJob,
    PaperState,
    Print,
    PrintResult,
    QueuePaper,
    refused,
)
from device.core.memory import Identity
from device.core.outbox import Outbox
from device.core.papers import paper_for
from device.core.pen import Pen
from device.core.work import Work
from protocol.document import Document
from protocol.reasons import Reason
from protocol.records import PRINTS_MAX, CashCollected, PaperKind, PaperPrinted, PrintOutcome, ShiftClosed
from protocol.sealed import Sealed
from protocol.values import Instant


class NoSuchPaperError(LookupError):
    """A print job speaks of a record that the store does not have: the store is damaged."""


class PaperDesk:
    """Papers of one handheld."""

    def __init__(self, identity: Identity, work: Work, outbox: Outbox, pen: Pen) -> None:
        self._identity = identity
        self._work = work
        self._outbox = outbox
        self._pen = pen

    def recover(self, now: Instant) -> tuple[Effect, ...]:
        """After a restart: whatever was being printed is UNKNOWN; nothing is printed by itself."""
        effects: list[Effect] = []
        for job, state in list(self._work.papers.items()):
            if state is PaperState.STARTED:
                effects += self.ended(job, PrintResult(outcome=PrintOutcome.UNKNOWN, reason=RESTART), now)
        return tuple(effects)

    def print(self, command: c.PrintPaper) -> tuple[Effect, ...]:
        """Print a paper, again if it has been printed."""
        about = self._work.subject(command.kind, command.customer, command.receipt_no)
        if isinstance(about, Reason):
            return refused(about)
        if command.kind is PaperKind.RECEIPT and command.customer not in self._work.stops:
            return refused(Reason.CUSTOMER_NOT_ON_ROUTE)
        paper = about.digest, command.kind
        done = Answer(outcome=Done(sealed=about))
        waiting = self._work.job_of(paper)
        if waiting is not None:
            if self._work.papers[waiting] is PaperState.STARTED:
                return refused(Reason.PRINT_UNDER_WAY)
            return (self.start(waiting), done)
        print_no = self._work.prints.get(paper, 0) + 1
        if print_no > PRINTS_MAX:
            return refused(Reason.PRINTED_TOO_OFTEN)
        job = PaperJob(kind=command.kind, about=about.digest, print_no=print_no, customer=command.customer or None)
        self._work.papers[job] = PaperState.WAITING
        return (QueuePaper(job=job), self.start(job), done)

    def confirm(self, command: c.ConfirmPaper, now: Instant) -> tuple[Effect, ...]:
        """Record that the collector saw the paper whose latest print nobody was sure of.

        It is signed by who works now: that person looked, also where somebody else took the money.
        """
        about = self._work.subject(command.kind, command.customer, command.receipt_no)
        if isinstance(about, Reason):
            return refused(about)
        paper = about.digest, command.kind
        job = self._work.job_of(paper)
        if job is not None and self._work.papers[job] is PaperState.STARTED:
            return refused(Reason.PRINT_UNDER_WAY)
        doubt = self._work.doubts.get(paper)
        if doubt is None:
            certain = paper in self._work.prints
            return (Answer(outcome=Done(again=True)),) if certain else refused(Reason.PAPER_NOT_FOUND)
        record = replace(doubt, outcome=PrintOutcome.PRINTED, reason=SEEN_BY_COLLECTOR)
        evidence = about.header.evidence
        assert evidence is not None
        sealed = self._pen.make(record, evidence.package, None, now)
        if job is not None:
            del self._work.papers[job]
        dropped = () if job is None else (job,)
        return (Append(sealed=sealed, dropped=dropped), Answer(outcome=Done(sealed=sealed)))

    def ended(self, job: PaperJob, result: PrintResult, now: Instant) -> tuple[Effect, ...]:
        """Record how a print ended. A paper that did not come out goes on waiting, under the same number."""
        about = self._work.by_digest.get(job.about)
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
        sealed = self._pen.make(record, evidence.package, None, now, collector=evidence.collector)
        if result.outcome is PrintOutcome.NOT_PRINTED:
            self._work.papers[job] = PaperState.WAITING
        else:
            self._work.papers.pop(job, None)
        return (Append(sealed=sealed, ended=job),)

    def start(self, job: PaperJob) -> Print:
        """Begin a job that waits."""
        self._work.papers[job] = PaperState.STARTED
        return Print(job=job, document=self.document(job))

    def document(self, job: PaperJob) -> Document:
        """The paper of a job as it would print now; a screen shows the same."""
        assert self._work.policy is not None
        about = self._work.by_digest[job.about]
        work = self._work.stops.get(job.customer) if job.customer is not None else None
        return paper_for(
            job,
            about,
            reading=self._reading_of(about),
            work=work,
            policy=self._work.policy,
            device=self._identity.device,
            day=self._day_of(about),
            unsent=self._outbox.unsent,
        )

    def _reading_of(self, about: Sealed) -> Sealed | None:
        """The reading a receipt relied on, if it was made here."""
        record = about.record
        named = record.reading if isinstance(record, CashCollected) else None
        return self._work.by_digest.get(named) if named is not None else None

    def _day_of(self, about: Sealed) -> ShiftWork | None:
        if isinstance(about.record, ShiftClosed) and about.header.evidence is not None:
            return self._work.days[about.header.evidence.collector, about.record.business_date]
        return None


def _period_of(sealed: Sealed) -> str:
    period = getattr(sealed.record, "period", None)
    assert isinstance(period, str), "every record that a paper shows has a period"
    return period
