"""A second opinion on the books: one sorted list of decoded records, and plain loops over it.

Nothing of the hub is used, nor any arithmetic that both sides share; only the decoder. It may be slow, it must be easy
to believe. Where the hub's code and this disagree, merge.md decides. Money is whole đồng, debits above zero.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import digest as hmac
from itertools import combinations
from typing import Any, NamedTuple

from protocol.codec import decode
from protocol.envelope import frame
from protocol.records import (
    BankCredited,
    CashCollected,
    CashReceived,
    CodeGiven,
    CollectionVoided,
    ContactNoted,
    DayClosed,
    Decision,
    DeviceEnrolled,
    ExtractImported,
    HandheldRecord,
    LogInOpened,
    PackageIssued,
    PaperKind,
    PaperPrinted,
    PaperReturned,
    PrintOutcome,
    ReadingSkipped,
    ReadingTaken,
    Record,
    RuleOverridden,
    ShiftOpened,
    SupervisorDecided,
)
from protocol.sealed import UnreadableError, collector_of, parse, position

HUB = 0
RECEIVABLE, WITH_COLLECTOR, AT_BRANCH, BANK = "131", "1111", "1112", "112"
SHORTAGE, EXCESS, SUSPENSE, REVENUE = "1381", "3381", "338", "511"
VAT, FEE, SMALL_CHANGE, OPENING = "3331", "3338", "711", "000"
USED_BEFORE_M3 = 12  # What every customer of these worlds used in the period before.
A_DAY_MS = 86_400_000

Totals = dict[tuple[str, str, str], int]
CaseRow = tuple[str, str, bool]


class Opened(NamedTuple):
    """What the extract said of a customer. arrears: (bill number, period, amount). price_vnd: of a cubic metre."""

    arrears: tuple[tuple[str, str, int], ...]
    price_vnd: int


@dataclass(slots=True)
class Entry:
    """A record with what the whole set of records makes of it. record: None when it cannot be read."""

    device: int
    seq: int
    prev: bytes
    digest: bytes
    collector: str
    record: Record | None
    at_ms: int = 0
    ord: int = 0
    day: str = ""
    package: tuple[str, int] = ("", 0)
    quarantined: bool = False

    @property
    def customer(self) -> str:
        return getattr(self.record, "customer", None) or ""


@dataclass(slots=True)
class Bill:
    """A bill, and what was paid of it in cash, by bank, and out of surplus."""

    number: str
    period: str
    total: int
    cash: int = 0
    bank: int = 0
    credit: int = 0

    @property
    def open(self) -> int:
        return self.total - self.cash - self.bank - self.credit


@dataclass(slots=True)
class Opinion:
    """What the tables of a hub must say."""

    customers: dict[str, dict[str, Any]] = field(default_factory=dict)
    ledger: Totals = field(default_factory=dict)
    cases: list[CaseRow] = field(default_factory=list)


def opinion(
    messages: Iterable[bytes], hub_key_id: bytes, hub_seed: bytes, opened: Mapping[str, Opened], period: str
) -> Opinion:
    """State of all customers, ledger totals by account, party and day, and all cases, of a set of messages."""
    entries = _entries(set(messages), hub_key_id)
    books = _Books(entries, opened, period)
    books.bad_codes = bad_codes(entries, hub_seed)
    for name in sorted(opened):
        _Customer(books, name).work()
    books.strangers()
    books.days()
    books.bank_lines()
    books.chains()
    found = books.found
    found.ledger = {key: vnd for key, vnd in found.ledger.items() if vnd != 0}
    found.cases.sort()
    return found


def civil_date(at_ms: int) -> str:
    """Date in Vietnam of an instant."""
    return (datetime(1970, 1, 1, 7, tzinfo=UTC) + timedelta(milliseconds=at_ms)).date().isoformat()


def case_key(klass: str, *facts: bytes) -> bytes:
    """Name of a case, which a decision gives as its subject."""
    return sha256(klass.encode() + b"".join(facts)).digest()


# From bytes to the sorted list.


def _entries(messages: set[bytes], hub_key_id: bytes) -> list[Entry]:
    devices = {hub_key_id: HUB}
    for message in messages:
        if frame(message).kid == hub_key_id:
            _, record = parse(decode(frame(message).payload))
            if isinstance(record, DeviceEnrolled):
                devices[sha256(record.public_key).digest()[:8]] = record.device
    entries = [_entry(message, devices[frame(message).kid]) for message in messages]
    entries.sort(key=lambda one: (one.device, one.seq, one.digest))
    _clamp(entries)
    _date(entries)
    lost = disputed(entries)
    for one in entries:
        one.quarantined = one.digest in lost
    entries.sort(key=lambda one: (one.ord, one.device, one.seq, one.digest))
    return entries


def _entry(message: bytes, device: int) -> Entry:
    value = decode(frame(message).payload)
    place = position(value)
    one = Entry(device, place.seq, place.prev, sha256(message).digest(), collector_of(value) or "", None)
    try:
        header, record = parse(value)
    except UnreadableError:
        return one
    if device != HUB and not isinstance(record, HandheldRecord):
        return one
    one.record = record
    one.at_ms = header.at_ms
    if header.evidence is not None:
        one.package = (header.evidence.package.route, header.evidence.package.version)
    if device == HUB:
        one.collector = getattr(one.record, "collector", None) or ""
    return one


def _clamp(entries: list[Entry]) -> None:
    limits: dict[tuple[str, int], tuple[int, int]] = {}
    for one in entries:
        if isinstance(one.record, PackageIssued):
            limits[one.record.route, one.record.version] = (one.record.issued_ms, one.record.expires_ms)
    for one in entries:
        one.ord = one.at_ms
        if one.package in limits:
            issued_ms, expires_ms = limits[one.package]
            one.ord = min(max(one.at_ms, issued_ms), expires_ms)


def _date(entries: list[Entry]) -> None:
    """Business date: of the shift that the chain before a record opened. entries: by device and seq."""
    days: dict[bytes, str] = {}
    for one in entries:
        if one.device == HUB:
            one.day = getattr(one.record, "business_date", None) or civil_date(one.at_ms)
        elif isinstance(one.record, ShiftOpened):
            one.day = one.record.business_date
        else:
            one.day = days.get(one.prev) or civil_date(one.ord)
        days[one.digest] = one.day


def disputed(entries: list[Entry]) -> set[bytes]:
    """Behind a fork nothing counts but the branch with a record that a supervisor adopted, up to the next fork.

    entries: by device and seq; all there are, or all there were once.
    """
    by_digest = {one.digest: one for one in entries}
    adopted: set[bytes] = set()
    for one in entries:
        record = one.record
        if isinstance(record, SupervisorDecided) and record.decision is Decision.ADOPT_BRANCH:
            at = by_digest.get(record.subject)
            while at is not None and at.device == record.device:
                adopted.add(at.digest)
                at = by_digest.get(at.prev)
    lost: set[bytes] = set()
    for one in entries:  # What a record hangs on was judged before it.
        given_up = len(branches_at(entries, one)) > 1 and one.digest not in adopted
        if one.device != HUB and (given_up or one.prev in lost):
            lost.add(one.digest)
    return lost


def branches_at(entries: list[Entry], one: Entry) -> list[Entry]:
    """A record and those beside it: all that hang on the same record of the same handheld."""
    return [other for other in entries if other.device == one.device and other.prev == one.prev]


def supervisors_code(hub_seed: bytes, device: int, number: int) -> str:
    """HKDF by hand (RFC 5869: no salt, one block), then the code it stands for."""
    key = hmac(hmac(bytes(32), hub_seed, "sha256"), b"ghithu/1/codes" + bytes([1]), "sha256")
    chance = int.from_bytes(hmac(key, f"{device}:{number}".encode(), "sha256"), "big")
    return str(number).zfill(2) + str(chance)[-8:].zfill(8)


def bad_codes(entries: list[Entry], hub_seed: bytes) -> set[bytes]:
    """Records that count and rely on a code that was not known, not given, for somebody else, or used up."""
    bad: set[bytes] = set()
    given = [one for one in entries if isinstance(one.record, CodeGiven)]
    used: set[tuple[int, int]] = set()
    for one in sorted(entries, key=lambda each: (each.device, each.seq)):
        record = one.record
        if not isinstance(record, RuleOverridden | LogInOpened) or one.quarantined:
            continue
        about = record.reading if isinstance(record, RuleOverridden) else one.collector.encode()
        code = supervisors_code(hub_seed, one.device, record.code_no)
        if hmac(code.encode(), about, "sha256")[:16] != record.proof:
            bad.add(one.digest)
            continue
        fits = False
        for each in given:
            made = each.record
            assert isinstance(made, CodeGiven)
            if (made.device, made.code_no) == (one.device, record.code_no) and each.at_ms <= one.ord + A_DAY_MS:
                fits = one.customer == "" or made.customer in (None, one.customer)
        if not fits or (one.device, record.code_no) in used:
            bad.add(one.digest)
        used.add((one.device, record.code_no))
    return bad


class _Books:
    """The sorted list, and what all customers have in common."""

    def __init__(self, entries: list[Entry], opened: Mapping[str, Opened], period: str) -> None:
        self.entries = entries
        self.opened = opened
        self.period = period
        self.found = Opinion()
        self.bad_codes: set[bytes] = set()
        self.subjects = {one.record.subject for one in entries if isinstance(one.record, SupervisorDecided)}
        self.import_day = next(one.day for one in entries if isinstance(one.record, ExtractImported))
        by_digest = {one.digest: one for one in entries}
        self.cuts: list[tuple[DayClosed, set[bytes]]] = []
        self.lost_then: list[set[bytes]] = []  # By cut: what did not count when it was made.
        by_chain = sorted(entries, key=lambda one: (one.device, one.seq, one.digest))
        for one in entries:
            if isinstance(one.record, DayClosed):
                before = self._before(one, one.record, by_digest)
                self.cuts.append((one.record, before))
                self.lost_then.append(disputed([each for each in by_chain if each.digest in before]))

    def _before(self, close: Entry, record: DayClosed, by_digest: dict[bytes, Entry]) -> set[bytes]:
        """Digests of all that is before a cut: the hub's records up to it, and each named head with its past."""
        before = {one.digest for one in self.entries if one.device == HUB and one.seq <= close.seq}
        for head in record.heads:
            at = by_digest.get(head.digest)
            while at is not None:
                before.add(at.digest)
                at = by_digest.get(at.prev)
        return before

    def post(self, day: str, *lines: tuple[str, str, int]) -> None:
        """One journal entry."""
        assert sum(vnd for _, _, vnd in lines) == 0, lines
        for account, party, vnd in lines:
            key = (account, party, day)
            self.found.ledger[key] = self.found.ledger.get(key, 0) + vnd

    def case(self, klass: str, subject: str, *facts: bytes, settled: bool = False) -> None:
        """One case; a decision that names it settles it."""
        self.found.cases.append((klass, subject, settled or case_key(klass, *facts) in self.subjects))

    def open_day(self, one: Entry, collector: str) -> str:
        """The first date from a fact's own on that its collector had not closed before it."""
        day = one.day
        closed = True
        while closed:
            closed = False
            for record, before in self.cuts:
                if record.collector == collector and record.business_date == day and one.digest not in before:
                    closed = True
            if closed:
                day = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
        return day

    def days(self) -> None:
        """Cash handed in, and what closing a date found missing or too much."""
        short: dict[tuple[str, str], int] = {}
        for one in sorted(self.entries, key=lambda each: each.seq):
            if isinstance(one.record, CashReceived):
                who, day, vnd = one.record.collector, one.record.business_date, one.record.amount_vnd
                made_good = min(vnd, short.get((who, day), 0))
                short[who, day] = short.get((who, day), 0) - made_good
                lines = ((AT_BRANCH, "", vnd), (SHORTAGE, who, -made_good), (WITH_COLLECTOR, who, made_good - vnd))
                self.post(day, *lines)
            elif isinstance(one.record, DayClosed):
                who, day, vnd = one.record.collector, one.record.business_date, one.record.difference_vnd
                short[who, day] = max(0, -vnd)
                self.post(day, (SHORTAGE if vnd < 0 else EXCESS, who, -vnd), (WITH_COLLECTOR, who, vnd))
                if vnd != 0:
                    self.case("cash-short-or-over", f"{who} {day}", one.digest)

    def strangers(self) -> None:
        """Customers that no extract has named: their cash is owed, and waits in suspense."""
        for one in self.entries:
            strange = one.customer not in self.opened and one.customer != ""
            if strange and isinstance(one.record, CashCollected):
                vnd, who = one.record.amount_vnd, one.collector
                lines = [(WITH_COLLECTOR, who, vnd), (SUSPENSE, who, -vnd)]
                self.post(self.open_day(one, who), *lines)
                _Customer(self, one.customer).take_back(one, lines)
            if strange and isinstance(one.record, CashCollected | CollectionVoided | ReadingTaken):
                self.case("unknown-customer", one.customer, one.digest)

    def bank_lines(self) -> None:
        """Bank money of nobody."""
        for one in self.entries:
            if isinstance(one.record, BankCredited) and one.record.customer is None:
                self.post(one.day, (BANK, "", one.record.amount_vnd), (SUSPENSE, "", -one.record.amount_vnd))
                self.case("bank-unmatched", "", one.digest)

    def chains(self) -> None:
        """Forks on what counts, records nobody can read, and along what counts holes in the receipt numbers."""
        by_digest = {one.digest: one for one in self.entries}
        for device in sorted({one.device for one in self.entries} - {HUB}):
            receipt_no = 0
            for one in sorted((o for o in self.entries if o.device == device), key=lambda o: (o.seq, o.digest)):
                before = by_digest.get(one.prev)
                branches = sorted(branches_at(self.entries, one), key=lambda other: other.digest)
                if len(branches) > 1 and branches[0] is one and not (before is not None and before.quarantined):
                    settled = any(not branch.quarantined for branch in branches)
                    self.case("fork", str(device), *(branch.digest for branch in branches), settled=settled)
                if one.record is None:
                    self.case("unreadable", str(device), one.digest)
                elif isinstance(one.record, LogInOpened) and one.digest in self.bad_codes:
                    self.case("override-unproven", str(device), one.digest)
                elif isinstance(one.record, CashCollected) and not one.quarantined:
                    if one.record.receipt_no != receipt_no + 1:
                        self.case("receipt-missing", str(device), one.digest)
                    receipt_no = one.record.receipt_no


class _Customer:
    """One customer, from the sorted list."""

    def __init__(self, books: _Books, name: str) -> None:
        self.books = books
        self.name = name
        opened = books.opened.get(name, Opened((), 0))
        self.price_vnd = opened.price_vnd
        self.all = [one for one in books.entries if one.customer == name]
        self.valid = [one for one in self.all if not one.quarantined]
        self.taken: Entry | None = None
        self.frozen = False
        self.credit_vnd = self.suspense_vnd = self.cash_vnd = self.bank_vnd = 0
        self.bills = [Bill(*bill) for bill in opened.arrears]

    def work(self) -> None:
        """Bills first, then money against them, then what came too late."""
        arrears_vnd = sum(bill.total for bill in self.bills)
        self.books.post(self.books.import_day, (RECEIVABLE, "", arrears_vnd), (OPENING, "", -arrears_vnd))
        self._readings()
        self.bills.sort(key=lambda bill: (bill.period, bill.number))
        for one in self.all:
            record = one.record
            if isinstance(record, CashCollected):
                self._cash(one, record)
            elif isinstance(record, BankCredited):
                self._bank(one, record)
            elif isinstance(record, CollectionVoided) and not one.quarantined:
                self._void(one, record)
        self._late()
        self._overrides()
        made = self.taken.record if self.taken is not None else None
        current = [bill for bill in self.bills if bill.number == f"{self.name}-{self.books.period}"]
        arrears = [bill for bill in self.bills if bill not in current]
        at_the_door = ReadingTaken | ReadingSkipped | CashCollected | ContactNoted
        visits = [one for one in self.valid if isinstance(one.record, at_the_door)]
        self.books.found.customers[self.name] = {
            "reading": self.taken.digest if self.taken is not None else b"",
            "index_m3": made.index if isinstance(made, ReadingTaken) else 0,
            "use_m3": made.use_m3 if isinstance(made, ReadingTaken) else 0,
            "billed": int(isinstance(made, ReadingTaken) and made.bill is not None),
            "bill_vnd": sum(bill.total for bill in current),
            "bill_open_vnd": sum(bill.open for bill in current),
            "bill_cash_vnd": sum(bill.cash for bill in current),
            "bill_bank_vnd": sum(bill.bank for bill in current),
            "opening_vnd": sum(vnd for _, _, vnd in self.books.opened[self.name].arrears),
            "arrears_open_vnd": sum(bill.open for bill in arrears),
            "arrears_cash_vnd": sum(bill.cash for bill in arrears),
            "cash_vnd": self.cash_vnd,
            "bank_vnd": self.bank_vnd,
            "credit_vnd": self.credit_vnd,
            "suspense_vnd": self.suspense_vnd,
            "collector": visits[-1].collector if visits else "",
            "visited_ms": visits[-1].ord if visits else 0,
            "hold": self._hold(),
        }

    def _case(self, klass: str, *facts: Entry, settled: bool = False) -> None:
        self.books.case(klass, self.name, *(one.digest for one in facts), settled=settled)

    # Voids.

    def _in_time(self, collection: Entry, void: Entry) -> bool:
        if void.device != collection.device or void.seq < collection.seq:
            return False
        for record, before in self.books.cuts:
            between = collection.digest in before and void.digest not in before
            same_date_or_later = record.business_date >= collection.day
            if record.collector == collection.collector and between and same_date_or_later:
                return False
        return True

    def _paper_out(self, collection: Entry, void: Entry, known: list[Entry]) -> bool:
        """Whether a receipt was or may have been printed before the void, on the handheld that voided."""
        for one in known:
            paper = one.record
            if one.device == void.device and one.seq > void.seq:
                continue
            if (
                isinstance(paper, PaperPrinted)
                and paper.about == collection.digest
                and paper.paper == PaperKind.RECEIPT
                and paper.outcome != PrintOutcome.NOT_PRINTED
            ):
                return True
        return False

    def _undone(self, collection: Entry, known: list[Entry] | None = None) -> tuple[Entry, Entry] | None:
        """The void of a collection that takes effect, and the record by which it does. known: all that counts."""
        known = self.valid if known is None else known
        if collection not in known:
            return None
        for void in known:
            if not isinstance(void.record, CollectionVoided) or void.record.collection != collection.digest:
                continue
            in_time = self._in_time(collection, void)
            if in_time and not self._paper_out(collection, void, known):
                return void, void
            for one in known:
                record = one.record
                if in_time and isinstance(record, PaperReturned) and record.collection == collection.digest:
                    return void, one
            for one in known:
                record = one.record
                accepted = isinstance(record, SupervisorDecided) and record.decision is Decision.ACCEPT_VOID
                if accepted and isinstance(record, SupervisorDecided) and record.subject == collection.digest:
                    return void, one
        return None

    def _void(self, one: Entry, record: CollectionVoided) -> None:
        collection = next((o for o in self.valid if o.digest == record.collection), None)
        if collection is None or not isinstance(collection.record, CashCollected):
            self._case("void-too-late", one)
            return
        pair = self._undone(collection)
        if pair is not None and pair[0] is not one:
            return
        if not self._in_time(collection, one):
            self._case("void-too-late", collection, one, settled=pair is not None)
        elif self._paper_out(collection, one, self.valid):
            self._case("void-with-paper-out", collection, one, settled=pair is not None)
        else:
            self._case("void-before-paper", collection, one)

    # Readings.

    def _readings(self) -> None:
        for one in self.valid:
            record = one.record
            if isinstance(record, ReadingTaken):
                self._read(one, record)
            elif isinstance(record, CashCollected) and not self.frozen and self._undone(one) is None:
                named = [o for o in self.valid if o.digest == record.reading and isinstance(o.record, ReadingTaken)]
                if named:
                    self._bill_by(named[0], because=one)
                    self.frozen = True
        if self.taken is None or not isinstance(self.taken.record, ReadingTaken):
            return
        record = self.taken.record
        if record.use_m3 < 0 or (record.bill is None and record.hold == "READING_BELOW_PREVIOUS"):
            self._case("reading-below-previous", self.taken)
        if record.bill is not None:
            if record.bill.total_vnd != flat_bill_vnd(record.use_m3, self.price_vnd):
                self._case("bill-differs", self.taken)
            if record.bill.total_vnd > 0:
                number = f"{self.name}-{self.books.period}"
                self.bills.append(Bill(number, self.books.period, record.bill.total_vnd))

    def _read(self, one: Entry, record: ReadingTaken) -> None:
        before = self.taken
        if before is None or before is one or not isinstance(before.record, ReadingTaken):
            self._bill_by(one, because=one)
            return
        old = before.record
        if (old.index, old.code, old.use_m3) == (record.index, record.code, record.use_m3):
            self._case("same-reading-twice", before, one)
        elif self.frozen:
            self._case("re-read-after-payment", before, one)
        else:
            own = before.collector == one.collector
            self._case("own-correction" if own else "readings-disagree", before, one)
            self._bill_by(one, because=one)

    def _bill_by(self, reading: Entry, because: Entry) -> None:
        """Take back what the reading before had billed, and bill this one, on the day of what made it so."""
        day = self.books.open_day(because, because.collector)
        for one, sign in ((self.taken, -1), (reading, 1)):
            bill = one.record.bill if one is not None and isinstance(one.record, ReadingTaken) else None
            if bill is not None:
                parts = (bill.total_vnd, -bill.net_vnd, -bill.vat_vnd, -bill.fee_vnd)
                accounts = (RECEIVABLE, REVENUE, VAT, FEE)
                self.books.post(day, *((name, "", sign * vnd) for name, vnd in zip(accounts, parts, strict=True)))
        self.taken = reading

    # Money.

    def _cash(self, one: Entry, record: CashCollected) -> None:
        vnd, change_vnd, who = record.amount_vnd, record.rounding_vnd or 0, one.collector
        lines = [(WITH_COLLECTOR, who, vnd), (RECEIVABLE, "", change_vnd - vnd), (SMALL_CHANGE, "", -change_vnd)]
        if one.quarantined:
            lines = [(WITH_COLLECTOR, who, vnd), (SUSPENSE, who, -vnd)]
        self.books.post(self.books.open_day(one, who), *lines)
        self.take_back(one, lines)
        self.cash_vnd += vnd
        if one.quarantined:
            self.suspense_vnd += vnd
            return
        if self._undone(one) is not None:
            self.cash_vnd -= vnd
            return
        self._unlisted(one, record)
        named = [bill for number in record.bills for bill in self.bills if bill.number == number]
        paid_already = any(bill.cash + bill.bank > 0 for bill in named)
        rest = vnd - change_vnd
        for bill in named:
            part = min(rest, bill.open)
            bill.cash += part
            rest -= part
        if paid_already and rest > 0:
            self._case("paid-twice", one)
        self._surplus(rest)

    def take_back(self, one: Entry, lines: list[tuple[str, str, int]]) -> None:
        """Post what a void takes back, at each cut and now: a closed date keeps what it was closed with."""
        first_day = min(each.day for each in self.all)
        closed: list[str] = []
        came: set[bytes] = set()
        undone: tuple[Entry, Entry] | None = None
        for (record, before), lost in zip(self.books.cuts, self.books.lost_then, strict=True):
            if record.collector == one.collector and record.business_date >= first_day:
                came |= before
                known = []
                for each in self.all:
                    elsewhere = isinstance(each.record, CollectionVoided) and each.device != one.device
                    if (each.digest in came or elsewhere) and each.digest not in lost:
                        known.append(each)
                undone = self._turn(lines, undone, self._undone(one, known), closed)
                closed.append(record.business_date)
        self._turn(lines, undone, self._undone(one), closed)

    def _turn(
        self,
        lines: list[tuple[str, str, int]],
        was: tuple[Entry, Entry] | None,
        now: tuple[Entry, Entry] | None,
        closed: list[str],
    ) -> tuple[Entry, Entry] | None:
        """Post where a collection that stood is taken back, or the other way round; what holds now."""
        for pair, sign in ((now, -1), (was, 1)):
            if pair is not None and (was is None) != (now is None):
                day = pair[1].day
                while day in closed:
                    day = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
                self.books.post(day, *((account, party, sign * vnd) for account, party, vnd in lines))
        return now

    def _unlisted(self, one: Entry, record: CashCollected) -> None:
        """Bills that only this receipt knows of: they are owed from now on, as it says."""
        sum_vnd = 0
        for number, vnd, month in zip(record.bills, record.bills_vnd, record.bill_periods, strict=True):
            if number not in [bill.number for bill in self.bills]:
                self.bills.append(Bill(number, month, vnd))
                sum_vnd += vnd
        if sum_vnd > 0:
            self.bills.sort(key=lambda bill: (bill.period, bill.number))
            day = self.books.open_day(one, one.collector)
            self.books.post(day, (RECEIVABLE, "", sum_vnd), (OPENING, "", -sum_vnd))
            self._case("unknown-bill", one)

    def _bank(self, one: Entry, record: BankCredited) -> None:
        self.books.post(one.day, (BANK, "", record.amount_vnd), (RECEIVABLE, "", -record.amount_vnd))
        self.bank_vnd += record.amount_vnd
        rest = record.amount_vnd
        unpaid = [bill for bill in self.bills if bill.open > 0]
        some_paid = any(bill.open == 0 for bill in self.bills)
        chosen = unpaid
        for size in range(len(unpaid), 0, -1):
            for some in reversed(list(combinations(unpaid, size))):
                if sum(bill.open for bill in some) == rest:
                    chosen = list(some)
        for bill in chosen:
            part = min(rest, bill.open)
            bill.bank += part
            rest -= part
        if rest > 0 and some_paid and not unpaid:
            self._case("paid-twice", one)
        self._surplus(rest)

    def _surplus(self, vnd: int) -> None:
        """What is too much, with what was too much before, pays what is open, oldest first."""
        vnd += self.credit_vnd
        for bill in self.bills:
            part = min(vnd, bill.open)
            bill.credit += part
            vnd -= part
        self.credit_vnd = vnd

    def _late(self) -> None:
        kinds = ReadingTaken | ReadingSkipped | CashCollected | CollectionVoided
        for one in self.valid:
            if isinstance(one.record, kinds) and self.books.open_day(one, one.collector) != one.day:
                self._case("fact-after-close", one)


    # Holds.

    def _held(self, reading: Entry) -> str:
        """What holds the bill of a reading: everybody pays in cash, and the customers of these worlds used 12 m³."""
        record = reading.record
        assert isinstance(record, ReadingTaken)
        if record.index < record.previous_index:
            return "READING_BELOW_PREVIOUS"
        fallen = USED_BEFORE_M3 - record.use_m3
        if record.use_m3 == 0 or (fallen >= 3 and fallen * 10 >= USED_BEFORE_M3 * 3):
            return "CONSUMPTION_DROP"
        return ""

    def _hold(self) -> str:
        """What holds the money now: no override that is proven is about the reading that counts."""
        if self.taken is None:
            return ""
        for one in self.valid:
            proven = isinstance(one.record, RuleOverridden) and one.digest not in self.books.bad_codes
            if proven and isinstance(one.record, RuleOverridden) and one.record.reading == self.taken.digest:
                return ""
        return self._held(self.taken)

    def _overrides(self) -> None:
        asked = [one.record.reading for one in self.valid if isinstance(one.record, RuleOverridden)]
        for one in self.valid:
            record = one.record
            if isinstance(record, RuleOverridden) and one.digest in self.books.bad_codes:
                self._case("override-unproven", one)
            if isinstance(record, CashCollected) and self._undone(one) is None and record.reading not in asked:
                for named in self.valid:
                    if named.digest == record.reading and self._held(named):
                        self._case("collected-against-hold", named, one)


def flat_bill_vnd(use_m3: int, price_vnd: int) -> int:
    """A bill at one price with 5 % VAT in it and a fee of 10 % of the net, both rounded half up."""
    gross_vnd = use_m3 * price_vnd
    net_vnd = (gross_vnd * 200 + 105) // 210
    return gross_vnd + (net_vnd * 2 + 10) // 20
