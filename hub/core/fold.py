"""The fold: the state of one account is a pure function of its facts in canonical order, and of the cuts.

No undo, no patching: whatever arrives, the touched account is folded again from all its facts, and the result
replaces what was there. So the order of arrival cannot matter. Bills come first (readings, frozen by payments), then
money in canonical order against those bills, then the cases. Source: merge.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hub.core.account import (
    HUB,
    AccountBase,
    AccountState,
    BillState,
    Close,
    Fact,
    PeriodState,
    posting_day,
)
from hub.core.codes import NO_FAULTS, CodeFault
from hub.core.conflicts import Case, ConflictClass
from hub.core.ledger import Account, JournalEntry, Line, billed, collected, credited, opening, reversed_lines
from hub.core.matching import bills_for_amount
from hub.core.voids import Voids
from protocol.facts import Facts, Reading, facts_of
from protocol.readings import Use, estimate_m3
from protocol.reasons import Reason, overridable
from protocol.records import (
    BankCredited,
    CashCollected,
    CollectionVoided,
    ContactNoted,
    ReadingSkipped,
    ReadingTaken,
    RuleOverridden,
    SupervisorDecided,
)
from protocol.rules import hold, holds_alone
from protocol.values import local_date

VISITS = ReadingTaken | ReadingSkipped | CashCollected | ContactNoted  # A collector was at the door.


def fold(
    base: AccountBase,
    facts: Sequence[Fact],
    closes: Sequence[Close],
    code_faults: Mapping[bytes, CodeFault] = NO_FAULTS,
) -> AccountState:
    """State, ledger lines and cases of one account.

    closes: of the collectors that appear in the facts. code_faults: of the handhelds that overrode a rule here, the
    uses of codes that do not hold, by digest.
    """
    ordered = sorted(facts, key=lambda fact: fact.order)
    return _Fold(base, ordered, closes, code_faults).run()


def fold_stranger(
    customer: str, facts: Sequence[Fact], closes: Sequence[Close]
) -> tuple[list[JournalEntry], list[Case]]:
    """Books of a customer that no extract has named: cash is owed all the same, its credit waits in suspense. A void
    takes it back as everywhere, so that an extract which comes to know them moves nothing in a closed date.
    """
    entries: list[JournalEntry] = []
    cases: list[Case] = []
    noted = {fact.record.subject for fact in facts if isinstance(fact.record, SupervisorDecided)}
    ordered = sorted(facts, key=lambda one: one.order)
    voids = Voids(ordered, closes)
    for fact in ordered:
        money_vnd = 0
        if isinstance(fact.record, CashCollected):
            money_vnd = fact.record.amount_vnd
            lines = collected(fact.record, fact.collector, quarantined=True)
            day = posting_day(fact, fact.collector, closes)
            entries += [JournalEntry(fact.device, fact.seq, fact.digest, day, lines), *voids.entries(fact, lines)]
        if isinstance(fact.record, CashCollected | CollectionVoided | ReadingTaken):
            cases.append(
                Case(
                    klass=ConflictClass.UNKNOWN_CUSTOMER,
                    facts=(fact.digest,),
                    customer=customer,
                    collector=fact.collector,
                    device=fact.device,
                    seq=fact.seq,
                    day=fact.day,
                    period=fact.record.period,
                    money_vnd=money_vnd,
                    for_person=True,
                )
            )
    return entries, [replace(case, settled=case.key in noted) for case in cases]


class _Fold:
    """One run over one account's facts."""

    def __init__(
        self, base: AccountBase, facts: list[Fact], closes: Sequence[Close], code_faults: Mapping[bytes, CodeFault]
    ) -> None:
        self.base = base
        self.code_faults = code_faults
        self.facts = facts
        self.closes = closes
        self.valid = [fact for fact in facts if not fact.quarantined]
        self.noted = {f.record.subject for f in self.valid if isinstance(f.record, SupervisorDecided)}
        self.facts_of_rules: Facts = facts_of(base.stop, base.policy)
        self.voids = Voids(facts, closes)
        self.reversals = self.voids.effective
        self.state = AccountState(base.stop.customer, PeriodState(base.period), {})

    def run(self) -> AccountState:
        state = self.state
        self._opening()
        for period in sorted({base_period(fact) for fact in self.facts if base_period(fact)} | {self.base.period}):
            self._read(period)
        self._estimate()
        self._money()
        self._late()
        self._holds()
        visits = [f for f in self.valid if isinstance(f.record, VISITS)]
        if visits:
            state.visited_ms, state.collector = visits[-1].ord, visits[-1].collector
        return state

    # Bills.

    def _opening(self) -> None:
        for bill in self.base.stop.arrears:
            self.state.bills[bill.bill_no] = BillState(bill.bill_no, bill.period, bill.amount_vnd)
        day, seq, digest = self.base.opening
        if lines := opening(sum(bill.amount_vnd for bill in self.base.stop.arrears)):
            self.state.entries.append(JournalEntry(HUB, seq, digest, day, lines))

    def _read(self, period: str) -> None:
        """The bill of a period: the first valid reading makes it, later ones replace it until a payment names one."""
        now = self.state.period if period == self.base.period else PeriodState(period)
        readings = {f.digest: f for f in self.valid if isinstance(f.record, ReadingTaken) and f.record.period == period}
        for fact in self.valid:
            record = fact.record
            if fact.digest in readings:
                self._take(now, fact)
            elif isinstance(record, ReadingSkipped) and record.period == period:
                now.skipped = fact
            elif (
                isinstance(record, CashCollected)
                and not now.frozen
                and record.period == period
                and record.reading in readings
                and fact.digest not in self.reversals
            ):
                named = readings[record.reading]
                if now.taken is not named:
                    self._rebill(fact, now, named)
                now.frozen = True
        if now.taken is not None:
            self._judge(now)
        if now.bill is not None and now.bill.total_vnd > 0:
            bill_no = f"{self.base.stop.customer}-{period}"
            self.state.bills[bill_no] = BillState(bill_no, period, now.bill.total_vnd)

    def _take(self, now: PeriodState, fact: Fact) -> None:
        before = now.taken
        if before is None or before is fact:
            self._rebill(fact, now, fact)
            return
        old, new = before.record, fact.record
        assert isinstance(old, ReadingTaken)
        assert isinstance(new, ReadingTaken)
        if (old.index, old.code, old.use_m3) == (new.index, new.code, new.use_m3):
            self._case(ConflictClass.SAME_READING_TWICE, before, fact)
            return
        detail = f"{old.index} → {new.index}"
        if now.frozen:
            self._case(ConflictClass.RE_READ_AFTER_PAYMENT, before, fact, for_person=True, detail=detail)
            return
        money = (new.bill.total_vnd if new.bill else 0) - (old.bill.total_vnd if old.bill else 0)
        if before.collector == fact.collector:
            self._case(ConflictClass.OWN_CORRECTION, before, fact, money_vnd=money, detail=detail)
        else:
            far = abs(new.use_m3 - old.use_m3)
            policy = self.base.policy
            limit_per_mille = max(policy.disagree_m3 * 1000, abs(old.use_m3) * policy.disagree_per_mille)
            self._case(
                ConflictClass.READINGS_DISAGREE,
                before,
                fact,
                money_vnd=money,
                detail=detail,
                for_person=far * 1000 > limit_per_mille,
            )
        self._rebill(fact, now, fact)

    def _rebill(self, because: Fact, now: PeriodState, reading: Fact) -> None:
        """Let a reading make the bill; what an earlier one had posted is reversed in the same entry."""
        assert isinstance(reading.record, ReadingTaken)
        lines: tuple[Line, ...] = ()
        if now.bill is not None:
            lines += reversed_lines(billed(now.bill))
        now.taken, now.bill = reading, reading.record.bill
        if now.bill is not None:
            lines += billed(now.bill)
        self._post(because, _netted(lines))

    def _judge(self, now: PeriodState) -> None:
        """Cases of the reading that counts: an index nobody explained, a bill we would not have made."""
        assert now.taken is not None
        record = now.taken.record
        assert isinstance(record, ReadingTaken)
        if record.use_m3 < 0 or (record.bill is None and record.hold == Reason.READING_BELOW_PREVIOUS):
            detail = f"{record.previous_index} → {record.index}"
            self._case(ConflictClass.READING_BELOW_PREVIOUS, now.taken, for_person=True, detail=detail)
        if record.bill is not None:
            ours = self.base.prices.total_vnd(record.use_m3, self.base.stop, now.period, local_date(now.taken.ord))
            if ours != record.bill.total_vnd:
                detail = f"{record.bill.total_vnd} / {ours}"
                money = record.bill.total_vnd - ours
                self._case(ConflictClass.BILL_DIFFERS, now.taken, for_person=True, money_vnd=money, detail=detail)

    def _estimate(self) -> None:
        """What an unread meter will be billed when the period closes: the mean of the three last periods, half up."""
        state = self.state
        if state.period.taken is not None:
            return
        state.estimate_m3 = estimate_m3([past.use_m3 for past in self.base.stop.history])
        skipped = state.period.skipped
        reading_date = local_date(skipped.ord) if skipped is not None else f"{self.base.period}-15"
        base = self.base
        state.estimate_vnd = base.prices.total_vnd(state.estimate_m3, base.stop, base.period, reading_date)

    # Holds.

    def _holds(self) -> None:
        """What holds the money now, what would by itself, and whether anybody collected all the same."""
        state, taken = self.state, self.state.period.taken
        reading = _as_rules_see(taken)
        state.hold = hold(reading, self.facts_of_rules)
        state.holds_alone = holds_alone(reading, self.facts_of_rules)
        asked: set[bytes] = set()
        for fact in self.valid:
            if isinstance(fact.record, RuleOverridden):
                asked.add(fact.record.reading)
                self._override(fact, fact.record)
        for fact in self.valid:
            record = fact.record
            if isinstance(record, CashCollected) and fact.digest not in self.reversals and record.reading not in asked:
                self._collected_in_spite(fact, record)

    def _override(self, fact: Fact, record: RuleOverridden) -> None:
        """A code that holds lifts the hold of the reading it names, while that reading counts; no other does."""
        state, taken = self.state, self.state.period.taken
        if (fault := self.code_faults.get(fact.digest)) is not None:
            detail = fault.about(record.code_no)
            self._case(ConflictClass.OVERRIDE_UNPROVEN, fact, for_person=True, detail=detail)
        elif taken is not None and taken.digest == record.reading and state.hold and overridable(state.hold):
            state.hold = None

    def _collected_in_spite(self, fact: Fact, record: CashCollected) -> None:
        """Nobody had lifted the hold of the reading that a collection names: as the handheld wrote it, or as we find
        it.
        """
        named = next((f for f in self.valid if f.digest == record.reading), None)
        if named is None or not isinstance(named.record, ReadingTaken):
            return
        found = [reason for reason in Reason if reason == named.record.hold]
        if named.record.period == self.base.period:
            found += holds_alone(_as_rules_see(named), self.facts_of_rules)
        held = next((reason for reason in found if overridable(reason)), None)
        if held is not None:
            self._case(
                ConflictClass.COLLECTED_AGAINST_HOLD,
                named,
                fact,
                money_vnd=record.amount_vnd,
                for_person=True,
                detail=held.value,
            )

    # Money.

    def _money(self) -> None:
        self._credit(self.base.stop.credit_vnd)
        for fact in self.facts:
            match fact.record:
                case CashCollected():
                    self._cash(fact, fact.record)
                case BankCredited():
                    self._post(fact, credited(fact.record))
                    self._bank(fact, fact.record)
                case CollectionVoided() if not fact.quarantined:
                    self._void(fact, fact.record)
                case _:
                    pass

    def _cash(self, fact: Fact, record: CashCollected) -> None:
        lines = collected(record, fact.collector, quarantined=fact.quarantined)
        self._post(fact, lines)
        self.state.entries += self.voids.entries(fact, lines)
        self.state.cash_vnd += record.amount_vnd
        if fact.quarantined:
            self.state.suspense_vnd += record.amount_vnd
            return
        if fact.digest in self.reversals:
            self.state.cash_vnd -= record.amount_vnd
            return
        rest = record.amount_vnd - (record.rounding_vnd or 0)
        self._know_bills(fact, record)
        named = [self.state.bills[bill_no] for bill_no in record.bills if bill_no in self.state.bills]
        by_bank = any(bill.settled_bank_vnd > 0 for bill in named)
        was_paid = by_bank or any(bill.settled_cash_vnd > 0 for bill in named)
        for bill in named:
            part = min(rest, bill.open_vnd)
            bill.settled_cash_vnd += part
            rest -= part
        if was_paid and rest > 0:
            self._paid_twice(fact, rest, by_bank=by_bank, cash=True)
        self._credit(rest)

    def _know_bills(self, fact: Fact, record: CashCollected) -> None:
        """A bill that a receipt names and nobody else has told of stands as the receipt says: its money pays nothing
        else.
        """
        unknown = [
            (bill_no, amount, period)
            for bill_no, amount, period in zip(record.bills, record.bills_vnd, record.bill_periods, strict=True)
            if bill_no not in self.state.bills
        ]
        for bill_no, amount, period in unknown:
            self.state.bills[bill_no] = BillState(bill_no, period, amount)
        if unknown:
            money = sum(amount for _, amount, _ in unknown)
            self._post(fact, opening(money))
            names = ", ".join(bill_no for bill_no, _, _ in unknown)
            self._case(ConflictClass.UNKNOWN_BILL, fact, money_vnd=money, for_person=True, detail=names[:200])

    def _bank(self, fact: Fact, record: BankCredited) -> None:
        """Bank money pays the set of open bills it equals; else the oldest first. The rest is a credit."""
        self.state.bank_vnd += record.amount_vnd
        if (current := self.state.current) is not None:
            with_arrears = sum(bill.total_vnd for bill in self.state.bills.values())
            self.state.bank_equals_bill |= record.amount_vnd in (current.total_vnd, with_arrears)
        rest = record.amount_vnd
        open_bills = self.state.open_bills()
        exact = bills_for_amount(rest, [(bill.bill_no, bill.amount_vnd) for bill in open_bills])
        paid = [bill for bill in self.state.bills.values() if bill.is_paid]
        by_cash = any(bill.settled_cash_vnd for bill in paid)
        for bill_no in exact or [bill.bill_no for bill in open_bills]:
            bill = self.state.bills[bill_no]
            part = min(rest, bill.open_vnd)
            bill.settled_bank_vnd += part
            rest -= part
        if rest > 0 and paid and not open_bills:
            self._paid_twice(fact, rest, by_bank=not by_cash, cash=by_cash)
        self._credit(rest)

    def _paid_twice(self, fact: Fact, surplus_vnd: int, *, by_bank: bool, cash: bool) -> None:
        if cash and (by_bank or isinstance(fact.record, BankCredited)):
            self.state.cash_and_bank_vnd += surplus_vnd
        elif not cash:
            self.state.bank_twice_vnd += surplus_vnd
        self._case(ConflictClass.PAID_TWICE, fact, money_vnd=surplus_vnd)

    def _credit(self, amount_vnd: int) -> None:
        """Surplus pays open bills, oldest first; what is left is carried forward. What was carried may pay a bill
        that came since.
        """
        amount_vnd += self.state.credit_vnd
        for bill in sorted(self.state.bills.values(), key=lambda bill: (bill.period, bill.bill_no)):
            part = min(amount_vnd, bill.open_vnd)
            bill.settled_credit_vnd += part
            amount_vnd -= part
        self.state.credit_vnd = amount_vnd

    def _void(self, fact: Fact, record: CollectionVoided) -> None:
        collection = next((f for f in self.valid if f.digest == record.collection), None)
        pair = self.reversals.get(record.collection)
        if pair is not None and pair[0] is not fact:
            return  # A second void of the same collection says nothing new.
        settled = pair is not None
        if collection is None or not isinstance(collection.record, CashCollected):
            self._case(ConflictClass.VOID_TOO_LATE, fact, for_person=True)
            return
        amount = collection.record.amount_vnd
        if not self.voids.in_time(collection, fact):
            klass = ConflictClass.VOID_TOO_LATE
        elif self.voids.paper_out(collection, fact):
            klass = ConflictClass.VOID_WITH_PAPER_OUT
        else:
            self._case(ConflictClass.VOID_BEFORE_PAPER, collection, fact, money_vnd=amount)
            return
        self._case(klass, collection, fact, money_vnd=amount, for_person=True, settled=settled)

    # Cuts and cases.

    def _posting_day(self, fact: Fact) -> str:
        return posting_day(fact, fact.collector, self.closes)

    def _late(self) -> None:
        for fact in self.valid:
            if not isinstance(fact.record, ReadingTaken | ReadingSkipped | CashCollected | CollectionVoided):
                continue
            day = self._posting_day(fact)
            if day != fact.day:
                money = fact.record.amount_vnd if isinstance(fact.record, CashCollected) else 0
                self._case(ConflictClass.FACT_AFTER_CLOSE, fact, money_vnd=money, detail=f"{fact.day} → {day}")

    def _post(self, fact: Fact, lines: tuple[Line, ...]) -> None:
        if lines:
            entry = JournalEntry(fact.device, fact.seq, fact.digest, self._posting_day(fact), lines)
            self.state.entries.append(entry)

    def _case(
        self,
        klass: ConflictClass,
        *facts: Fact,
        money_vnd: int = 0,
        for_person: bool = False,
        settled: bool = False,
        detail: str = "",
    ) -> None:
        last = facts[-1]
        case = Case(
            klass=klass,
            facts=tuple(fact.digest for fact in facts),
            customer=self.base.stop.customer,
            collector=last.collector,
            device=last.device,
            seq=last.seq,
            day=last.day,
            period=base_period(last) or self.base.period,
            money_vnd=money_vnd,
            for_person=for_person,
            settled=settled,
            detail=detail,
        )
        if case.key in self.noted:
            case = replace(case, settled=True)
        self.state.cases.append(case)


def base_period(fact: Fact) -> str:
    """Billing period of a reading or visit; "" for facts that have none."""
    record = fact.record
    return record.period if isinstance(record, ReadingTaken | ReadingSkipped) else ""


def _as_rules_see(taken: Fact | None) -> Reading | None:
    """A reading as the rules look at it."""
    if taken is None:
        return None
    record = taken.record
    assert isinstance(record, ReadingTaken)
    return Reading(code=record.code, index=record.index, use=Use(record.use_m3, record.days))


def _netted(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Lines of the same account and party added up."""
    sums: dict[tuple[Account, str], int] = {}
    for line in lines:
        sums[line.account, line.party] = sums.get((line.account, line.party), 0) + line.amount_vnd
    return tuple(Line(account, party, amount) for (account, party), amount in sums.items() if amount != 0)
