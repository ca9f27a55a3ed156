"""What the handheld knows of one customer: the package, its own records, and what the hub last said.

Everything here is derived from the store: replaying the same records gives the same state.
"""

from dataclasses import dataclass, field, replace

from device.core.commands import Which
from protocol.chain import digest
from protocol.facts import Facts, Reading, facts_of
from protocol.package import OpenBill, Policy, RoutePackage, Stop
from protocol.readings import Use
from protocol.reasons import Reason, Scope, overridable, scope
from protocol.records import OPEN_BILLS_MAX, CashCollected, PackageRef, ReadingTaken
from protocol.rules import hold
from protocol.sealed import Sealed
from protocol.tariff import Bill
from protocol.wire import StopChange

MARK_BYTES = 8
UNKNOWN_DAYS = 0  # The hub names no days of a reading made elsewhere; rules then compare the m3 as they are.


@dataclass(slots=True)
class Collection:
    """A collection of this handheld, and in whose day it stands. void_seq: of the record that took it back."""

    sealed: Sealed
    record: CashCollected
    collector: str
    business_date: str
    void_seq: int | None = None

    @property
    def voided(self) -> bool:
        return self.void_seq is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What may be asked for in cash now. bills: oldest first. amount_vnd: bills − credit + rounding."""

    bills: tuple[OpenBill, ...]
    credit_vnd: int
    rounding_vnd: int
    hold: Reason | None

    @property
    def amount_vnd(self) -> int:
        return sum(bill.amount_vnd for bill in self.bills) - self.credit_vnd + self.rounding_vnd


@dataclass(slots=True)
class StopWork:
    """One stop and what has been done at it in this period. `taken` is the reading that counts now.

    told, known_seq: what the hub last said, and how many of our records it knew then. contact: the last visit to come
    back from. latest: the last record of this customer, whatever its kind but paper. overridden: digests of readings
    whose hold a supervisor has lifted.
    """

    stop: Stop
    package: RoutePackage
    facts: Facts
    cash_rounding_vnd: int
    taken: Sealed | None = None
    skipped: Sealed | None = None
    contact: Sealed | None = None
    latest: Sealed | None = None
    overridden: set[bytes] = field(default_factory=set)
    told: StopChange | None = None
    known_seq: int = 0
    collections: list[Collection] = field(default_factory=list)

    @classmethod
    def of(cls, stop: Stop, package: RoutePackage, policy: Policy) -> "StopWork":
        return cls(stop, package, facts_of(stop, policy), policy.cash_rounding_vnd)

    @property
    def ref(self) -> PackageRef:
        """The package that records made here name."""
        return PackageRef(self.package.route, self.package.version)

    @property
    def bill_no(self) -> str:
        """This period's bill."""
        return f"{self.stop.customer}-{self.package.period}"

    @property
    def mark(self) -> bytes:
        """Changes with each record of this customer and each package: eight bytes, what a screen has seen."""
        package = f"{self.package.route}/{self.package.version}/{self.package.period}/".encode()
        return digest(package + (self.latest.digest if self.latest is not None else b""))[:MARK_BYTES]

    @property
    def comes_back(self) -> bool:
        """Whether somebody has promised to be here again: noted, and this period's bill not paid since."""
        return self.contact is not None and not self.is_paid()

    @property
    def is_read(self) -> bool:
        """Whether this period's meter is read, here or, as far as the hub said, elsewhere."""
        return self.taken is not None or self.stop.known is not None

    def hear(self, change: StopChange, known_seq: int) -> bool:
        """Take what the hub says, unless it is of another period or older than the package: that says it better."""
        heard = change.period == self.package.period and change.version > self.package.changes
        if heard:
            self.told, self.known_seq = change, known_seq
        return heard

    @property
    def facts_now(self) -> Facts:
        """The facts, with the form of payment the hub last told of."""
        if self.told is None or self.told.payment_method == self.facts.payment_method:
            return self.facts
        return replace(self.facts, payment_method=self.told.payment_method)

    def reading(self) -> Reading | None:
        """The reading rules look at."""
        if self.taken is not None:
            record = self.taken.record
            assert isinstance(record, ReadingTaken)
            return Reading(code=record.code, index=record.index, use=Use(record.use_m3, record.days))
        if (known := self.stop.known) is not None:
            return Reading(code=known.code, index=known.index, use=Use(known.use_m3, UNKNOWN_DAYS))
        return None

    def hold(self) -> Reason | None:
        """Why money is held here, if it is."""
        reason = hold(self.reading(), self.facts_now)
        return None if reason is not None and self.is_lifted(reason, self.taken) else reason

    def is_lifted(self, reason: Reason, reading: Sealed | None) -> bool:
        """Whether a supervisor has lifted a hold of this kind from a reading."""
        return reading is not None and reading.digest in self.overridden and overridable(reason)

    def bill(self) -> Bill | None:
        """This period's bill, as far as this handheld knows."""
        if self.taken is not None:
            record = self.taken.record
            assert isinstance(record, ReadingTaken)
            return record.bill
        return self.stop.known.bill if self.stop.known is not None else None

    def due(self, which: Which = Which.ALL) -> Due:
        """What may be asked for now, under the rules and after what has been paid here or elsewhere."""
        reason = self.hold()
        bills: list[OpenBill] = []
        credit_vnd = self._credit_vnd()
        if reason is None or scope(reason) is not Scope.EVERY_BILL:
            if which is not Which.CURRENT:
                bills += self.open_arrears()
            if which is not Which.ARREARS and reason is None:
                bills += self._open_current()
        bills = bills[: OPEN_BILLS_MAX + 1]  # What one record can name; the newest wait for the next collection.
        asked = sum(bill.amount_vnd for bill in bills)
        credit_vnd = min(credit_vnd, asked)
        step = self.cash_rounding_vnd
        rest = asked - credit_vnd
        rounded = (rest + step // 2) // step * step
        return Due(bills=tuple(bills), credit_vnd=credit_vnd, rounding_vnd=rounded - rest, hold=reason)

    def open_arrears(self) -> list[OpenBill]:
        """Bills of earlier periods that are still open, oldest first."""
        bills = self.stop.arrears
        if self.told is not None:
            listed = {bill.bill_no for bill in self.told.open_bills}
            bills = (*self.told.open_bills, *(bill for bill in self._unpaid_since() if bill.bill_no not in listed))
        paid = self._paid_here() | {self.bill_no}
        return [bill for bill in sorted(bills, key=lambda bill: bill.period) if bill.bill_no not in paid]

    def paid_collection(self) -> Collection | None:
        """The collection of this handheld that paid this period's bill."""
        return next(
            (one for one in self.collections if not one.voided and self.bill_no in one.record.bills), None
        )

    def is_paid(self) -> bool:
        """Whether this period's bill is paid, here or elsewhere."""
        bill = self.bill()
        if bill is None or bill.total_vnd == 0:
            return False
        return self.paid_collection() is not None or not self._open_current()

    def open_current_vnd(self) -> int:
        """What is still open of this period's bill; 0 where there is none."""
        return sum(bill.amount_vnd for bill in self._open_current())

    def _open_current(self) -> list[OpenBill]:
        bill = self.bill()
        if bill is None or bill.total_vnd == 0 or self.bill_no in self._paid_here():
            return []
        settled_vnd = 0
        if self.told is not None:
            settled_vnd = self.told.settled_vnd  # Also where another reading made the hub's bill: paid is paid.
            given_back = [one.amount_vnd for one in self._unpaid_since() if one.bill_no == self.bill_no]
            settled_vnd = max(0, settled_vnd - sum(given_back))
        elif self.stop.known is not None and self.stop.known.bill is not None:
            settled_vnd = self.stop.known.bill.total_vnd - (self.stop.known.open_vnd or 0)
        amount_vnd = bill.total_vnd - settled_vnd
        if amount_vnd <= 0:
            return []
        return [OpenBill(bill_no=self.bill_no, period=self.package.period, amount_vnd=amount_vnd)]

    def _unpaid_since(self) -> list[OpenBill]:
        """Bills that the hub counted as paid by collections which were voided after it spoke.

        Where credit paid a part of them nobody here can say which: the hub's next word tells.
        """
        return [
            OpenBill(bill_no=bill_no, period=period, amount_vnd=amount_vnd)
            for one in self.collections
            if one.void_seq is not None and one.sealed.header.seq <= self.known_seq < one.void_seq
            if one.record.credit_vnd is None
            for bill_no, period, amount_vnd in zip(
                one.record.bills, one.record.bill_periods, one.record.bills_vnd, strict=True
            )
        ]

    def _credit_vnd(self) -> int:
        """Credit the hub told of that no collection of ours has used up; where in doubt it waits at the hub."""
        credit_vnd = self.told.credit_vnd if self.told is not None else self.stop.credit_vnd
        period = self.package.period
        ours = [one.record for one in self.collections if not one.voided and one.record.period == period]
        return max(0, credit_vnd - sum(record.credit_vnd or 0 for record in ours))

    def _paid_here(self) -> set[str]:
        return {bill_no for one in self.collections if not one.voided for bill_no in one.record.bills}
