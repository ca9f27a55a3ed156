"""End of day of one collector: what the handheld says, what the hub has, what the cashier received.

A day is closed by a hub record that names chain positions. What was short or over moves to a difference account;
money that comes later makes a shortage good. Source: merge.md, end of day.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hub.core.account import HUB, Fact
from hub.core.conflicts import Case, ConflictClass
from hub.core.ledger import JournalEntry, day_difference, received
from protocol.records import CashCounted, CashReceived, DayClosed, DayTotals, ShiftClosed, SupervisorDecided


@dataclass(slots=True)
class DayState:
    """One collector and date. counted_vnd: the collector's claim; None before it was made."""

    collector: str
    day: str
    entries: list[JournalEntry]
    cases: list[Case]
    received_vnd: int = 0
    shortage_vnd: int = 0
    counted_vnd: int | None = None
    closed: DayClosed | None = None


def fold_day(collector: str, day: str, facts: Sequence[Fact]) -> DayState:
    """State of a date from the cashier's and the collector's own facts about it, any order."""
    state = DayState(collector, day, [], [])
    noted = {f.record.subject for f in facts if isinstance(f.record, SupervisorDecided)}
    for fact in sorted(facts, key=lambda one: one.order):
        if isinstance(fact.record, CashCounted) and not fact.quarantined:
            state.counted_vnd = fact.record.total_vnd
    for fact in sorted((f for f in facts if f.device == HUB), key=lambda one: one.seq):
        match fact.record:
            case CashReceived():
                lines = received(fact.record, state.shortage_vnd)
                state.shortage_vnd -= min(state.shortage_vnd, fact.record.amount_vnd)
                state.received_vnd += fact.record.amount_vnd
            case DayClosed():
                state.closed = fact.record
                lines = day_difference(fact.record)
                state.shortage_vnd = max(0, -fact.record.difference_vnd)
                if fact.record.difference_vnd:
                    state.cases.append(_difference(fact, fact.record, noted))
            case _:
                continue
        if lines:
            state.entries.append(JournalEntry(HUB, fact.seq, fact.digest, day, lines))
    return state


def _difference(fact: Fact, record: DayClosed, noted: set[bytes]) -> Case:
    case = Case(
        klass=ConflictClass.CASH_SHORT_OR_OVER,
        facts=(fact.digest,),
        collector=record.collector,
        seq=fact.seq,
        day=record.business_date,
        money_vnd=record.difference_vnd,
        for_person=True,
        detail=record.reason or "",
    )
    return replace(case, settled=True) if case.key in noted else case


@dataclass(frozen=True, slots=True, kw_only=True)
class HandheldDay:
    """What one handheld says of a date, and how far the hub has its chain. made: last seq it told of."""

    device: int
    totals: DayTotals | None
    shift_open: bool
    hub_seq: int
    hub_digest: bytes
    made: int

    @property
    def is_behind(self) -> bool:
        """Whether it has made more than the hub has, or has not said that it is done."""
        return self.made > self.hub_seq or self.shift_open or self.totals is None

    @property
    def cash_vnd(self) -> int:
        """Cash that the handheld says is in the bag."""
        return 0 if self.totals is None else self.totals.collected_vnd - self.totals.voided_vnd


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReport:
    """The three columns of one collector's date. hub_vnd: cash owed by the folded state for the date."""

    collector: str
    day: str
    handhelds: tuple[HandheldDay, ...]
    hub_vnd: int
    counted_vnd: int | None
    received_vnd: int
    closed: DayClosed | None

    @property
    def handheld_vnd(self) -> int:
        return sum(one.cash_vnd for one in self.handhelds)

    @property
    def behind(self) -> tuple[int, ...]:
        """Handhelds that keep the line open."""
        return tuple(one.device for one in self.handhelds if one.is_behind)

    @property
    def difference_vnd(self) -> int:
        """Received less owed: below zero is short. Once closed, as it was closed."""
        return self.closed.difference_vnd if self.closed is not None else self.received_vnd - self.hub_vnd


def handheld_day(
    device: int, facts: Sequence[Fact], *, hub_seq: int, hub_digest: bytes, made: int
) -> HandheldDay:
    """One handheld's line. facts: its ShiftOpened and ShiftClosed of the date, chain order."""
    last = facts[-1].record if facts else None
    closes = [fact.record for fact in facts if isinstance(fact.record, ShiftClosed)]
    return HandheldDay(
        device=device,
        totals=closes[-1].totals if closes else None,
        shift_open=not isinstance(last, ShiftClosed),
        hub_seq=hub_seq,
        hub_digest=hub_digest,
        made=made,
    )
