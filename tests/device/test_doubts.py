"""Papers of which nobody can say whether they came out: what is asked, what answers, what never prints twice."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.core.commands import CloseShift, ConfirmPaper, PrintPaper, SkipReading
from device.core.effects import RESTART, SEEN_BY_COLLECTOR, Append, Done, Durable, PaperState, PrintResult
from device.core.events import PackagesArrived, PrintEnded
from device.core.session import CollectorSession
from device.core.work import Paper, Work
from protocol import wire
from protocol.document import Document, as_text
from protocol.meaning import require_meaning
from protocol.package import seal_package, seal_policy
from protocol.reasons import Reason
from protocol.records import CollectionVoided, PaperKind, PaperPrinted, PrintOutcome
from tests.device.branch import COLLECTOR, HUB_KEY, ROUTE, download, identity, package, policy, stop
from tests.device.handset import STOPS, Handset

COLUMNS = 32
RECEIPT_1 = PrintPaper(kind=PaperKind.RECEIPT, customer="C00001", receipt_no=1)
SEEN_1 = ConfirmPaper(kind=PaperKind.RECEIPT, customer="C00001", receipt_no=1)
PRINTED, NOT_PRINTED, UNKNOWN = PrintOutcome.PRINTED, PrintOutcome.NOT_PRINTED, PrintOutcome.UNKNOWN


@pytest.fixture
def walking() -> Handset:
    """A handheld in the middle of a day."""
    handset = Handset()
    handset.open_shift()
    return handset


def end(handset: Handset, outcome: PrintOutcome, reason: str | None = None) -> PaperPrinted:
    """The paper that is printing comes to its end."""
    job = handset.printing.pop(0).job
    handset.give(PrintEnded(job=job, result=PrintResult(outcome=outcome, reason=reason)))
    record = handset.records[-1]
    assert isinstance(record, PaperPrinted)
    return record


def print_again(handset: Handset, command: PrintPaper, outcome: PrintOutcome, reason: str | None = None) -> int:
    """A paper is printed and comes to its end; under which number."""
    handset.done(command)
    return end(handset, outcome, reason).print_no


def in_doubt(handset: Handset) -> list[tuple[PaperKind, int, str | None]]:
    """What the collector is asked: which paper, which print of it, and why."""
    return [(one.paper, one.print_no, one.reason) for one in handset.session.work.doubts.values()]


def receipts_in_doubt(handset: Handset) -> list[int]:
    return [print_no for kind, print_no, _ in in_doubt(handset) if kind is PaperKind.RECEIPT]


def counted(handset: Handset) -> tuple[int, int]:
    shift = handset.session.work.shift
    assert shift is not None
    return shift.totals().printed, shift.totals().reprinted


def is_marked(document: Document, print_no: int) -> bool:
    """Whether a paper says that it is a reprint, and which."""
    return f"IN LẠI — Lần in: {print_no}" in as_text(document, COLUMNS)


# What is asked, and what answers.


def test_print_that_ends_unknown_is_in_doubt_also_after_a_restart(walking: Handset) -> None:
    walking.sold(1)
    end(walking, UNKNOWN, "lost")
    for _ in range(2):
        assert in_doubt(walking) == [(PaperKind.RECEIPT, 1, "lost")]
        assert walking.session.work.papers == {}
        walking.restart()


def test_print_that_a_restart_broke_off_is_in_doubt(walking: Handset) -> None:
    walking.sold(1)
    walking.restart()
    assert in_doubt(walking) == [(PaperKind.RECEIPT, 1, RESTART)]


def test_paper_that_came_out_or_that_waits_is_in_no_doubt(walking: Handset) -> None:
    walking.sold(1)
    walking.sold(2)
    end(walking, PRINTED)
    end(walking, NOT_PRINTED, "paper-out")
    assert in_doubt(walking) == []


def test_collector_who_saw_the_paper_settles_it_with_a_record_of_that_print(walking: Handset) -> None:
    walking.sold(1)
    doubt = end(walking, UNKNOWN, "fence-missing")
    answer = walking.done(SEEN_1)
    assert answer.record == PaperPrinted(
        period=doubt.period,
        paper=PaperKind.RECEIPT,
        about=doubt.about,
        print_no=1,
        outcome=PRINTED,
        customer="C00001",
        reason=SEEN_BY_COLLECTOR,
    )
    require_meaning(answer.record)
    assert walking.store.messages[-1] == answer.message
    assert walking.printing == []
    for _ in range(2):
        assert in_doubt(walking) == []
        walking.restart()
    assert print_again(walking, RECEIPT_1, PRINTED) == 2  # It is out: the next one bears the mark.


def test_second_tap_on_it_did_print_is_done_and_makes_no_record(walking: Handset) -> None:
    walking.sold(1)
    end(walking, UNKNOWN)
    walking.done(SEEN_1)
    made = len(walking.records)
    for _ in range(2):
        assert walking.answer(SEEN_1) == Done(again=True)
        walking.restart()
    assert len(walking.records) == made


def test_it_did_not_print_is_a_reprint_under_the_next_number_with_its_mark(walking: Handset) -> None:
    walking.sold(1)
    end(walking, UNKNOWN)
    walking.done(RECEIPT_1)
    (printing,) = walking.printing
    assert printing.job.print_no == 2
    assert is_marked(printing.document, 2)
    assert receipts_in_doubt(walking) == [1]
    end(walking, PRINTED)
    assert in_doubt(walking) == []


def test_reprint_that_does_not_come_out_settles_nothing(walking: Handset) -> None:
    walking.sold(1)
    end(walking, UNKNOWN, "lost")
    for reason in ("not-found", "paper-out"):
        assert print_again(walking, RECEIPT_1, NOT_PRINTED, reason) == 2
        assert in_doubt(walking) == [(PaperKind.RECEIPT, 1, "lost")]
    assert print_again(walking, RECEIPT_1, UNKNOWN, "stalled") == 2
    assert in_doubt(walking) == [(PaperKind.RECEIPT, 2, "stalled")]
    record = walking.done(SEEN_1).record
    assert isinstance(record, PaperPrinted)
    assert record.print_no == 2


def test_answer_drops_the_reprint_that_waits_and_its_number_is_free(walking: Handset) -> None:
    walking.sold(1)
    end(walking, UNKNOWN)
    print_again(walking, RECEIPT_1, NOT_PRINTED, "paper-out")
    (effect, *_) = walking.give(SEEN_1)
    assert isinstance(effect, Append)
    assert [job.print_no for job in effect.dropped] == [2]
    assert walking.session.work.papers == walking.store.papers == {}
    walking.done(RECEIPT_1)
    assert walking.printing[0].job.print_no == 2
    assert walking.session.work.why_not(walking.printing[0].job) is None


def test_nothing_is_answered_while_the_paper_prints_again(walking: Handset) -> None:
    walking.sold(1)
    assert walking.refused(SEEN_1) is Reason.PRINT_UNDER_WAY
    end(walking, UNKNOWN)
    walking.done(RECEIPT_1)
    assert walking.refused(SEEN_1) is Reason.PRINT_UNDER_WAY
    assert receipts_in_doubt(walking) == [1]


def test_paper_that_certainly_did_not_come_out_cannot_have_been_seen(walking: Handset) -> None:
    walking.sold(1)
    end(walking, NOT_PRINTED, "cover-open")
    assert walking.refused(SEEN_1) is Reason.PAPER_NOT_FOUND
    assert list(walking.session.work.papers.values()) == [PaperState.WAITING]


@pytest.mark.parametrize("customer", ["C00002", ""])
def test_receipt_of_somebody_else_is_not_confirmed(walking: Handset, customer: str) -> None:
    walking.sold(1)
    end(walking, UNKNOWN)
    stranger = ConfirmPaper(kind=PaperKind.RECEIPT, customer=customer, receipt_no=1)
    assert walking.refused(stranger) is Reason.PAPER_NOT_FOUND
    assert receipts_in_doubt(walking) == [1]


def test_nobody_asks_for_the_receipt_of_a_voided_collection(walking: Handset) -> None:
    walking.sold(1)
    end(walking, UNKNOWN)
    walking.done(walking.void(1))
    for _ in range(2):
        assert in_doubt(walking) == []
        assert walking.refused(SEEN_1) is Reason.ALREADY_VOIDED
        walking.restart()
    assert walking.kinds[-1] is CollectionVoided


def test_receipt_of_a_customer_who_left_the_route_can_still_be_confirmed(walking: Handset) -> None:
    walking.sold(1)
    end(walking, UNKNOWN)
    walking.give(PackagesArrived(packages=download(STOPS[1:], version=2)))
    assert receipts_in_doubt(walking) == [1]
    walking.done(SEEN_1)
    assert in_doubt(walking) == []


def test_doubts_of_two_papers_of_one_customer_are_two_questions(walking: Handset) -> None:
    walking.sold(1)
    end(walking, UNKNOWN)
    print_again(walking, PrintPaper(kind=PaperKind.BILL_NOTICE, customer="C00001"), UNKNOWN)
    walking.done(ConfirmPaper(kind=PaperKind.BILL_NOTICE, customer="C00001"))
    assert in_doubt(walking) == [(PaperKind.RECEIPT, 1, None)]


@pytest.mark.parametrize("kind", [PaperKind.BILL_NOTICE, PaperKind.NOTICE])
def test_notice_of_a_reading_that_was_taken_anew_is_asked_for_no_more(walking: Handset, kind: PaperKind) -> None:
    walking.read(1)
    print_again(walking, PrintPaper(kind=kind, customer="C00001"), UNKNOWN)
    assert [one for one, _, _ in in_doubt(walking)] == [kind]
    walking.read(1, 122)
    assert in_doubt(walking) == []
    assert walking.refused(ConfirmPaper(kind=kind, customer="C00001")) is Reason.PAPER_NOT_FOUND
    walking.restart()
    assert print_again(walking, PrintPaper(kind=kind, customer="C00001"), UNKNOWN) == 1
    walking.done(ConfirmPaper(kind=kind, customer="C00001"))


def test_notice_of_a_visit_stays_in_doubt_until_there_is_a_reading(walking: Handset) -> None:
    walking.done(SkipReading(intent=walking.intent(), customer="C00001", code="house_closed"))
    print_again(walking, PrintPaper(kind=PaperKind.NOTICE, customer="C00001"), UNKNOWN)
    assert [kind for kind, _, _ in in_doubt(walking)] == [PaperKind.NOTICE]
    walking.read(1)
    assert in_doubt(walking) == []


def test_slip_of_an_earlier_day_is_asked_for_no_more(walking: Handset) -> None:
    slip = PrintPaper(kind=PaperKind.DAY_SLIP)
    walking.done(CloseShift(intent=walking.intent()))
    print_again(walking, slip, UNKNOWN, "head-hot")
    walking.open_shift("2026-11-25")
    assert in_doubt(walking) == [(PaperKind.DAY_SLIP, 1, "head-hot")]
    walking.done(CloseShift(intent=walking.intent()))
    assert in_doubt(walking) == []
    print_again(walking, slip, UNKNOWN)
    walking.done(ConfirmPaper(kind=PaperKind.DAY_SLIP))
    assert in_doubt(walking) == []


def test_answer_is_signed_by_who_looked(walking: Handset) -> None:
    """The money stays the first collector's; the paper was seen by the one who works on this handheld today."""
    walking.sold(1)
    end(walking, UNKNOWN)
    walking.done(CloseShift(intent=walking.intent()))
    theirs = replace(package((stop(9),), route="R02"), collector="lan.tran")
    sealed = wire.Packages(policy=seal_policy(policy(), HUB_KEY), packages=(seal_package(theirs, HUB_KEY),))
    walking.give(PackagesArrived(packages=sealed))
    walking.open_shift("2026-11-25", "lan.tran")
    header = walking.done(SEEN_1).header
    assert header.intent is None
    assert header.evidence is not None
    assert (header.evidence.collector, header.evidence.package.route) == ("lan.tran", ROUTE)


# What is counted.


def test_answer_counts_no_paper_twice(walking: Handset) -> None:
    walking.sold(1)
    end(walking, UNKNOWN)
    assert counted(walking) == (1, 0)
    walking.done(SEEN_1)
    assert counted(walking) == (1, 0)
    print_again(walking, RECEIPT_1, UNKNOWN)
    walking.done(SEEN_1)
    assert counted(walking) == (1, 1)
    walking.restart()
    assert counted(walking) == (1, 1)


def test_answer_on_the_next_day_counts_on_neither(walking: Handset) -> None:
    walking.sold(1)
    end(walking, UNKNOWN)
    walking.done(CloseShift(intent=walking.intent()))
    walking.open_shift("2026-11-25")
    walking.done(SEEN_1)
    assert counted(walking) == (0, 0)
    assert walking.session.work.days[COLLECTOR, "2026-11-24"].printed == 1


# Why a paper waits.


def test_reason_of_a_waiting_paper_is_that_of_its_last_try_also_after_a_restart(walking: Handset) -> None:
    walking.sold(1)
    (job,) = walking.session.work.papers
    assert walking.session.work.why_not(job) is None
    end(walking, NOT_PRINTED, "not-found")
    print_again(walking, RECEIPT_1, NOT_PRINTED, "paper-out")
    for _ in range(2):
        assert walking.session.work.why_not(job) == "paper-out"
        walking.restart()


def test_reprint_that_was_not_tried_has_no_reason_of_the_print_before(walking: Handset) -> None:
    walking.sold(1)
    end(walking, UNKNOWN, "lost")
    walking.done(RECEIPT_1)
    assert walking.session.work.why_not(walking.printing[0].job) is None


# Whatever happens in whatever order.


class Sheet(NamedTuple):
    """A paper that is in the world, or may be."""

    paper: Paper
    print_no: int


def left_of(work: Work) -> tuple[object, ...]:
    """All that a restart has to know of papers."""
    return (
        {paper: (doubt.print_no, doubt.reason) for paper, doubt in work.doubts.items()},
        work.prints,
        {job: (state, work.why_not(job)) for job, state in work.papers.items()},
        {day: (shift.printed, shift.reprinted) for day, shift in work.days.items()},
    )


class Round:
    """A collector's round with a witness who keeps every paper that is in the world or may be."""

    def __init__(self) -> None:
        self.handset = Handset(STOPS[:2])
        self.handset.open_shift()
        self.day, self.version = 24, 1
        self.sheets: set[Sheet] = set()
        self.unsure: dict[Paper, int] = {}
        self.seen = 0

    # What happens. Whatever is not possible now is refused, and changes nothing.

    def nothing(self) -> None:
        """What a failing round is made simpler with."""

    def sell(self, number: int) -> None:
        self.handset.answer(self.handset.take(number))
        self.handset.answer(self.handset.pay(number))

    def read_again(self, index: int) -> None:
        self.handset.answer(self.handset.take(1, index))

    def print_receipt(self, receipt_no: int) -> None:
        self.handset.answer(self.receipt(PrintPaper, receipt_no))

    def print_other(self, kind: PaperKind) -> None:
        self.handset.answer(PrintPaper(kind=kind, customer="" if kind is PaperKind.DAY_SLIP else "C00001"))

    def end(self, outcome: PrintOutcome) -> None:
        if self.handset.printing:
            job = self.handset.printing.pop(0).job
            self.witness((job.about, job.kind), job.print_no, outcome)
            self.handset.give(PrintEnded(job=job, result=PrintResult(outcome=outcome, reason=outcome.name)))

    def power_goes(self) -> None:
        for begun in self.handset.printing:
            self.witness((begun.job.about, begun.job.kind), begun.job.print_no, UNKNOWN)
        self.handset.restart()

    def power_goes_before_the_first_byte(self, receipt_no: int) -> None:
        self.power_goes()
        for effect in self.handset.session.handle(self.receipt(PrintPaper, receipt_no), self.handset.clock.now()):
            if isinstance(effect, Durable):
                self.handset.perform((effect,))
        self.power_goes()

    def it_did_print(self, receipt_no: int) -> None:
        outcome = self.handset.answer(self.receipt(ConfirmPaper, receipt_no))
        if isinstance(outcome, Done) and not outcome.again:
            record = outcome.sealed.record if outcome.sealed is not None else None
            assert isinstance(record, PaperPrinted)
            assert self.unsure.pop((record.about, record.paper)) == record.print_no
            self.seen += 1

    def void(self, receipt_no: int) -> None:
        if isinstance(self.handset.answer(self.handset.void(receipt_no)), Done):
            one = self.handset.session.work.collection(receipt_no)
            assert one is not None
            self.unsure.pop((one.sealed.digest, PaperKind.RECEIPT), None)

    def next_day(self) -> None:
        self.handset.answer(CloseShift(intent=self.handset.intent()))
        self.day += 1
        self.handset.open_shift(f"2026-11-{self.day}" if self.day <= 30 else "2026-11-30")

    def route_is_published_anew(self) -> None:
        self.version += 1
        self.handset.give(PackagesArrived(packages=download(STOPS[:2], version=self.version)))

    # What the witness sees.

    def receipt(self, command: type[PrintPaper | ConfirmPaper], receipt_no: int) -> PrintPaper | ConfirmPaper:
        one = self.handset.session.work.collection(receipt_no)
        customer = one.record.customer if one is not None else "C00001"
        return command(kind=PaperKind.RECEIPT, customer=customer, receipt_no=receipt_no)

    def witness(self, paper: Paper, print_no: int, outcome: PrintOutcome) -> None:
        if outcome is not NOT_PRINTED:
            self.sheets.add(Sheet(paper, print_no))
            self.unsure.pop(paper, None)
        if outcome is UNKNOWN:
            self.unsure[paper] = print_no

    def require_no_second_paper_without_its_mark(self) -> None:
        for begun in self.handset.printing:
            paper, print_no = (begun.job.about, begun.job.kind), begun.job.print_no
            earlier = {sheet.print_no for sheet in self.sheets if sheet.paper == paper}
            assert print_no not in earlier, "two papers of one number"
            assert print_no >= 2 or not earlier, "a second paper that passes for the first"
            assert (print_no >= 2) == is_marked(begun.document, print_no), "the mark"

    def require_the_right_questions(self) -> None:
        asked = {paper: doubt.print_no for paper, doubt in self.handset.session.work.doubts.items()}
        assert asked.items() <= self.unsure.items()
        missing = self.unsure.keys() - asked.keys()
        assert all(kind is not PaperKind.RECEIPT for _, kind in missing), "a receipt that nobody asks for"

    def require_every_paper_to_be_counted_once(self) -> None:
        days = self.handset.session.work.days.values()
        firsts = sum(sheet.print_no == 1 for sheet in self.sheets)
        assert sum(day.printed for day in days) == firsts
        assert sum(day.reprinted for day in days) == len(self.sheets) - firsts
        ends = [one for one in self.handset.records if isinstance(one, PaperPrinted)]
        assert sum(one.outcome is not NOT_PRINTED for one in ends) == len(self.sheets) + self.seen

    def require_the_store_to_know_the_same(self) -> None:
        again = CollectorSession(identity(), self.handset.store.memory(), Random(1)).work
        assert left_of(again) == left_of(self.handset.session.work)


class Step(NamedTuple):
    """One thing that happens on a round."""

    what: Callable[..., None]
    how: tuple[object, ...] = ()


# What happens often stands here more than once.
STEPS = (
    Step(Round.nothing),
    *(Step(Round.sell, (number,)) for number in (1, 2, 1)),
    *(Step(Round.print_receipt, (number,)) for number in (1, 2, 1, 1)),
    *(Step(Round.end, (outcome,)) for outcome in (PRINTED, NOT_PRINTED, UNKNOWN, NOT_PRINTED, UNKNOWN, UNKNOWN)),
    *(Step(Round.it_did_print, (number,)) for number in (1, 2, 3)),
    *(Step(Round.print_other, (kind,)) for kind in PaperKind if kind is not PaperKind.RECEIPT),
    *(Step(Round.power_goes_before_the_first_byte, (number,)) for number in (1, 2)),
    *(Step(Round.read_again, (index,)) for index in (120, 122)),
    Step(Round.power_goes),
    Step(Round.void, (1,)),
    Step(Round.next_day),
    Step(Round.route_is_published_anew),
)


@settings(max_examples=40)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=30, max_size=60))
def test_no_paper_passes_for_another_whatever_happens_on_a_round(steps: list[Step]) -> None:
    one = Round()
    for step in steps:
        step.what(one, *step.how)
        one.require_no_second_paper_without_its_mark()
        one.require_the_right_questions()
        one.require_every_paper_to_be_counted_once()
    one.require_the_store_to_know_the_same()
    one.power_goes()
    assert one.handset.printing == [], "nothing prints by itself"
    one.require_the_right_questions()
