"""What the fold works on and what it makes: facts, cuts, and the state of one account. Data, and the questions put to
it.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.core.conflicts import Case
from hub.core.ledger import JournalEntry
from protocol.package import OpenBill, Policy, Stop
from protocol.reasons import Reason
from protocol.records import Header, Record
from protocol.tariff import Bill, Tariff, TariffError, compute_bill
from protocol.values import day_after

PRICES_MAX = 50_000  # Remembered prices: the days of a month times the usual uses, groups and dates.
HUB = 0  # Device number of the hub's own chain.


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An authentic record as the fold sees it.

    ord: at_ms clamped to the validity of the package it names. day: business date of its shift (a hub record: its
    date).
    """

    device: int
    seq: int
    digest: bytes
    ord: int
    day: str
    collector: str
    quarantined: bool
    header: Header
    record: Record

    @property
    def order(self) -> tuple[int, int, int, bytes]:
        """Canonical order: signed bytes only, never arrival."""
        return (self.ord, self.device, self.seq, self.digest)


class Close(NamedTuple):
    """A cut: a collector's date closed at chain positions. seq: of the DayClosed on the hub's chain.

    heads: last position per handheld. apart: records up to there that are on branches the cut did not name.
    disputed: records before the cut that did not count when it was made, for a fork that nobody had decided on.
    """

    collector: str
    day: str
    seq: int
    heads: Mapping[int, int]
    apart: frozenset[bytes] = frozenset()
    disputed: frozenset[bytes] = frozenset()

    def covers(self, fact: Fact) -> bool:
        """Whether a fact is before the cut."""
        if fact.device == HUB:
            return fact.seq <= self.seq
        return fact.seq <= self.heads.get(fact.device, 0) and fact.digest not in self.apart


class Prices:
    """What a tariff makes of uses, remembered: many customers use alike, and a fold asks again each time."""

    def __init__(self, tariff: Tariff) -> None:
        self._tariff = tariff
        self._known: dict[tuple[int, str, str, str, str, str, int | None], int] = {}

    def total_vnd(self, m3: int, stop: Stop, period: str, reading_date: str) -> int:
        """The total of a bill; 0 where the tariff has no price, which is then seen as a difference."""
        from_date = stop.history[-1].reading_date
        asked = (m3, stop.area, stop.category, period, from_date, reading_date, stop.persons)
        total_vnd = self._known.get(asked)
        if total_vnd is None:
            try:
                bill = compute_bill(
                    m3,
                    self._tariff,
                    area=stop.area,
                    group=stop.category,
                    period=period,
                    from_date=from_date,
                    to_date=reading_date,
                    persons=stop.persons,
                )
                total_vnd = bill.total_vnd
            except TariffError:
                total_vnd = 0
            if len(self._known) == PRICES_MAX:
                self._known.clear()
            self._known[asked] = total_vnd
        return total_vnd


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBase:
    """What the extract says of a customer. opening: (day, seq, digest) of the import that brought the arrears."""

    stop: Stop
    period: str
    prices: Prices
    policy: Policy
    opening: tuple[str, int, bytes]


@dataclass(slots=True)
class BillState:
    """A bill as it stands. settled_*: what of it was paid, and how."""

    bill_no: str
    period: str
    total_vnd: int
    settled_cash_vnd: int = 0
    settled_bank_vnd: int = 0
    settled_credit_vnd: int = 0

    @property
    def open_vnd(self) -> int:
        return self.total_vnd - self.settled_cash_vnd - self.settled_bank_vnd - self.settled_credit_vnd

    @property
    def is_paid(self) -> bool:
        return self.total_vnd > 0 and self.open_vnd == 0


@dataclass(slots=True)
class PeriodState:
    """One period's reading and bill. `taken` made the bill; `frozen` once a payment named it."""

    period: str
    taken: Fact | None = None
    skipped: Fact | None = None
    frozen: bool = False
    bill: Bill | None = None


@dataclass(slots=True)
class AccountState:
    """All that is derived of one customer.

    cash_and_bank_vnd, bank_twice_vnd: surplus of bills paid twice, by how. bank_equals_bill: a bank line came to
    exactly this period's bill, alone or with all arrears; what it then paid may be an older bill of the same amount.
    """

    customer: str
    period: PeriodState
    bills: dict[str, BillState]
    hold: Reason | None = None
    holds_alone: tuple[Reason, ...] = ()
    estimate_m3: int = 0
    estimate_vnd: int = 0
    credit_vnd: int = 0
    suspense_vnd: int = 0
    cash_vnd: int = 0
    bank_vnd: int = 0
    cash_and_bank_vnd: int = 0
    bank_twice_vnd: int = 0
    bank_equals_bill: bool = False
    visited_ms: int = 0
    collector: str = ""
    entries: list[JournalEntry] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)

    @property
    def current(self) -> BillState | None:
        """This period's bill."""
        return self.bills.get(f"{self.customer}-{self.period.period}")

    def open_bills(self) -> tuple[OpenBill, ...]:
        """Bills not settled, oldest first."""
        rest = [bill for bill in self.bills.values() if bill.open_vnd > 0]
        rest.sort(key=lambda bill: (bill.period, bill.bill_no))
        return tuple(OpenBill(bill_no=b.bill_no, period=b.period, amount_vnd=b.open_vnd) for b in rest)


def posting_day(fact: Fact, collector: str, closes: Sequence[Close]) -> str:
    """The first date of a collector, from the fact's own on, that was not closed before the fact."""
    closed = {close.day for close in closes if close.collector == collector and not close.covers(fact)}
    return first_open_day(fact.day, closed)


def first_open_day(day: str, closed: Container[str]) -> str:
    """The first date from one on that is not among those closed."""
    while day in closed:
        day = day_after(day)
    return day
