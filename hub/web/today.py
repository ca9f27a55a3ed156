"""What the page shows, read in one transaction: progress and cash by collector, open cases, the ends of days.

`board` asks the database a few grouped questions, never one per account, so that the page costs the same for a route
and for a company. Rates, differences and what keeps a day open come from the functions that the rest of the product
uses.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Subquery, and_, bindparam, case, func, select

from hub.books import Books
from hub.core.account import HUB, Fact
from hub.core.conflicts import ConflictClass
from hub.core.days import DayReport, HandheldDay, handheld_day
from hub.core.ledger import Account
from hub.export import RULES
from hub.store.facts import IN_MAX, batches, fact_of
from hub.store.folded import day_subject
from hub.store.schema import account, case_file, customer, day_close, fact, handheld, ledger, person, route, unit
from protocol.package import Policy
from protocol.progress import Progress
from protocol.records import CashCounted, DayClosed, ShiftClosed, ShiftOpened
from protocol.rules import BY_BANK, BY_TREASURY
from protocol.words import sort_key

CASES_MAX = 100  # What one person can look through; the most money comes first, and the page counts the rest.
DATES_MAX = 31  # A round with its sweep; the page counts what is older.
RULE_OF = {code: rule for rule, codes in RULES.items() for code in codes}
NOBODY = ""  # Collector of a route that was given to no one.


@dataclass(frozen=True, slots=True, kw_only=True)
class HandheldLine:
    """A handheld as it was last heard of. unsent: records it told of that the hub does not have."""

    device: int
    imei: str
    status: str
    is_forked: bool
    unsent: int
    contact_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorLine:
    """One collector's round. cash: (business date, amount still with the collector), newest first, no zeros.

    held: customers by rule of product.md ("R1", "R2", "R3"), each under the first rule that holds it.
    """

    code: str
    name: str
    routes: tuple[str, ...]
    progress: Progress
    held: Mapping[str, int]
    cash: tuple[tuple[str, int], ...]
    handhelds: tuple[HandheldLine, ...]

    @property
    def cash_vnd(self) -> int:
        return sum(amount for _, amount in self.cash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A record behind a case. kind: its wire tag, None when only the position is known."""

    device: int
    seq: int
    kind: int | None = None
    at_ms: int = 0
    collector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLine:
    """One open case. collector: name. reference: first hex digits of the case's key."""

    klass: ConflictClass
    reference: str
    customer: str
    customer_name: str
    register_no: str
    collector: str
    day: str
    money_vnd: int
    detail: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Open cases, the most money first, and counts of all. settled: those that asked no person, or were decided."""

    open_count: Mapping[ConflictClass, int]
    settled_count: Mapping[ConflictClass, int]
    shown: tuple[CaseLine, ...]

    @property
    def left_out(self) -> int:
        """Open cases that are not among those shown."""
        return sum(self.open_count.values()) - len(self.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """The newest dates, each with its lines, open ones first. older, older_open: lines before them, all and open."""

    dates: tuple[tuple[str, tuple[DayReport, ...]], ...]
    older: int
    older_open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One consistent state of a unit. period: "" before the first import. names: of people, by code.

    gone: customers whom the last extract no longer has; they count nowhere.
    """

    unit_name: str
    period: str
    now_ms: int
    policy: Policy
    names: Mapping[str, str]
    collectors: tuple[CollectorLine, ...]
    gone: int
    cases: Cases
    days: Days

    @property
    def progress(self) -> Progress:
        """Of the whole unit."""
        return together(line.progress for line in self.collectors)

    @property
    def cash_vnd(self) -> int:
        """With all collectors."""
        return sum(line.cash_vnd for line in self.collectors)

    @property
    def held(self) -> Mapping[str, int]:
        """Customers by rule, in the whole unit."""
        return sum((Counter(line.held) for line in self.collectors), Counter[str]())

    @property
    def unsent(self) -> int:
        """Records that all handhelds told of and the hub does not have."""
        return sum(one.unsent for line in self.collectors for one in line.handhelds)


def board(connection: Connection, books: Books, now_ms: int) -> Board:
    """Everything on the page. now_ms: the hub's clock."""
    head = connection.execute(select(unit.c.name, unit.c.period).where(unit.c.unit == books.unit)).one()
    query = select(person.c.code, person.c.name, person.c.role).where(person.c.unit == books.unit)
    people = connection.execute(query).all()
    names = {row.code: row.name for row in people}
    roles = {row.code: row.role for row in people}
    policy = books.policy(connection)
    work = _work_by_route(connection, books.unit)
    cash = _cash_by_day(connection, books.unit)
    lines = _collectors(connection, books.unit, names, roles, work, cash)
    return Board(
        unit_name=head.name,
        period=head.period,
        now_ms=now_ms,
        policy=policy,
        names=names,
        collectors=tuple(sorted(lines, key=lambda line: _standing(line, policy))),
        gone=work[""].progress.stops if "" in work else 0,
        cases=_cases(connection, books.unit, names),
        days=_days(connection, books, names, cash),
    )


def together(parts: Iterable[Progress]) -> Progress:
    """Progress of several routes."""
    found = list(parts)
    return Progress(
        stops=sum(one.stops for one in found),
        read=sum(one.read for one in found),
        cash_customers=sum(one.cash_customers for one in found),
        cash_paid=sum(one.cash_paid for one in found),
    )


# Today.


@dataclass(slots=True)
class _Work:
    progress: Progress
    held: Counter[str] = field(default_factory=Counter)


def _standing(line: CollectorLine, policy: Policy) -> tuple[int, int, str]:
    """Order of the page: furthest below the two targets first; who has no customers last."""
    progress = line.progress
    behind = max(0, policy.read_target_per_mille * 10 - progress.read_per_myriad)
    if progress.cash_customers:
        behind += max(0, policy.collect_target_per_mille * 10 - progress.collect_per_myriad)
    return (progress.stops == 0, -behind, sort_key(line.name))


def _work_by_route(connection: Connection, unit_code: str) -> dict[str, _Work]:
    """Counts of each route, under "" those of customers who left the extract."""
    pays_cash = account.c.payment_method.not_in((BY_BANK, BY_TREASURY))
    is_paid = and_(pays_cash, account.c.bill_vnd > 0, account.c.bill_open_vnd == 0)
    query = (
        select(
            account.c.route,
            account.c.hold,
            func.count().label("stops"),
            func.sum(case((account.c.reading != b"", 1), else_=0)).label("read"),
            func.sum(case((pays_cash, 1), else_=0)).label("cash_customers"),
            func.sum(case((is_paid, 1), else_=0)).label("cash_paid"),
        )
        .where(account.c.unit == unit_code)
        .group_by(account.c.route, account.c.hold)
    )
    found: dict[str, _Work] = {}
    for row in connection.execute(query):
        counts = Progress(
            stops=row.stops, read=row.read, cash_customers=row.cash_customers, cash_paid=row.cash_paid
        )
        work = found.setdefault(row.route, _Work(together(())))
        work.progress = together((work.progress, counts))
        if row.hold:
            work.held[RULE_OF[row.hold]] += row.stops
    return found


def _cash_by_day(connection: Connection, unit_code: str) -> dict[tuple[str, str], int]:
    """Balance of the cash account by collector and business date; the index answers alone."""
    query = (
        select(ledger.c.party, ledger.c.day, func.sum(ledger.c.amount_vnd).label("amount_vnd"))
        .where(ledger.c.unit == unit_code, ledger.c.account == Account.CASH_WITH_COLLECTOR.number)
        .group_by(ledger.c.party, ledger.c.day)
    )
    return {(row.party, row.day): int(row.amount_vnd) for row in connection.execute(query)}


def _collectors(
    connection: Connection,
    unit_code: str,
    names: Mapping[str, str],
    roles: Mapping[str, str],
    work: Mapping[str, _Work],
    cash: Mapping[tuple[str, str], int],
) -> list[CollectorLine]:
    """A line for each collector, and for whoever else has a route, a handheld or cash."""
    routes: dict[str, list[str]] = defaultdict(list)
    query = select(route.c.route, route.c.collector).where(route.c.unit == unit_code).order_by(route.c.route)
    for row in connection.execute(query):
        if row.collector != NOBODY or row.route in work:
            routes[row.collector].append(row.route)
    handhelds = _handhelds(connection, unit_code)
    money: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for (collector, day), amount_vnd in sorted(cash.items(), reverse=True):
        if amount_vnd:
            money[collector].append((day, amount_vnd))
    codes = {code for code, role in roles.items() if role == "collector"} | routes.keys() | handhelds.keys()
    lines: list[CollectorLine] = []
    for code in sorted(codes | money.keys()):
        own = [work[one] for one in routes[code] if one in work]
        lines.append(
            CollectorLine(
                code=code,
                name=names.get(code, code),
                routes=tuple(routes[code]),
                progress=together(one.progress for one in own),
                held=sum((one.held for one in own), Counter[str]()),
                cash=tuple(money[code]),
                handhelds=tuple(handhelds.get(code, ())),
            )
        )
    return lines


def _handhelds(connection: Connection, unit_code: str) -> dict[str, list[HandheldLine]]:
    found: dict[str, list[HandheldLine]] = defaultdict(list)
    query = select(handheld).where(handheld.c.unit == unit_code).order_by(handheld.c.device)
    for row in connection.execute(query):
        line = HandheldLine(
            device=row.device,
            imei=row.imei,
            status=row.status,
            is_forked=row.fork_from > 0,
            unsent=max(0, row.made - row.seq),
            contact_ms=row.contact_ms,
        )
        found[row.collector].append(line)
    return found


# Cases.


def _cases(connection: Connection, unit_code: str, names: Mapping[str, str]) -> Cases:
    is_open = and_(case_file.c.for_person == 1, case_file.c.settled == 0)
    counts: dict[bool, Counter[ConflictClass]] = {True: Counter(), False: Counter()}
    query = (
        select(case_file.c.for_person, case_file.c.settled, case_file.c.klass, func.count().label("cases"))
        .where(case_file.c.unit == unit_code)
        .group_by(case_file.c.for_person, case_file.c.settled, case_file.c.klass)
    )
    for row in connection.execute(query):
        counts[bool(row.for_person) and not row.settled][ConflictClass(row.klass)] += row.cases
    named = and_(customer.c.unit == case_file.c.unit, customer.c.customer == case_file.c.customer)
    rows = connection.execute(
        select(case_file, customer.c.name.label("customer_name"), customer.c.register_no)
        .join(customer, named, isouter=True)
        .where(case_file.c.unit == unit_code, is_open)
        .order_by(func.abs(case_file.c.money_vnd).desc(), case_file.c.klass, case_file.c.key)
        .limit(CASES_MAX)
    ).all()
    records = _records_of(connection, unit_code, sorted({row.customer for row in rows if row.customer}), names)
    return Cases(
        open_count=counts[True],
        settled_count=counts[False],
        shown=tuple(_case_line(row, records, names) for row in rows),
    )


def _records_of(
    connection: Connection, unit_code: str, customers: Sequence[str], names: Mapping[str, str]
) -> dict[bytes, Source]:
    """Records of some customers, by digest."""
    query = select(
        fact.c.digest, fact.c.device, fact.c.seq, fact.c.kind, fact.c.ord, fact.c.collector
    ).where(fact.c.unit == unit_code, fact.c.customer.in_(bindparam("customers", expanding=True)))
    found: dict[bytes, Source] = {}
    for part in batches(customers, IN_MAX):
        for row in connection.execute(query, {"customers": part}):
            found[row.digest] = Source(
                device=row.device,
                seq=row.seq,
                kind=row.kind,
                at_ms=row.ord,
                collector=names.get(row.collector, row.collector),
            )
    return found


def _case_line(row: Any, records: Mapping[bytes, Source], names: Mapping[str, str]) -> CaseLine:
    digests = [row.facts[start : start + 32] for start in range(0, len(row.facts), 32)]
    known = tuple(records[digest] for digest in digests if digest in records)
    return CaseLine(
        klass=ConflictClass(row.klass),
        reference=row.key[:4].hex(),
        customer=row.customer,
        customer_name=row.customer_name or "",
        register_no=row.register_no or "",
        collector=names.get(row.collector, row.collector),
        day=row.day,
        money_vnd=row.money_vnd,
        detail=row.detail,
        sources=known if len(known) == len(digests) else (Source(device=row.device, seq=row.seq),),
    )


# The ends of days.


def _days(
    connection: Connection, books: Books, names: Mapping[str, str], cash: Mapping[tuple[str, str], int]
) -> Days:
    query = select(fact.c.collector, fact.c.day).where(
        fact.c.unit == books.unit, fact.c.collector != "", fact.c.day != ""
    )
    pairs = {(row.collector, row.day) for row in connection.execute(query.distinct())}
    since = min(sorted({day for _, day in pairs}, reverse=True)[:DATES_MAX], default="")
    closes = select(day_close.c.collector, day_close.c.day).where(day_close.c.unit == books.unit)
    closed = {(row.collector, row.day) for row in connection.execute(closes)}
    older = {(collector, day) for collector, day in pairs if day < since}
    reports = _reports(connection, books, since, sorted(pairs - older), cash)
    reports.sort(key=lambda one: (one.closed is not None, sort_key(names.get(one.collector, one.collector))))
    reports.sort(key=lambda one: one.day, reverse=True)
    return Days(
        dates=tuple((day, tuple(lines)) for day, lines in groupby(reports, key=lambda one: one.day)),
        older=len(older),
        older_open=len(older - closed),
    )


def _reports(
    connection: Connection,
    books: Books,
    since: str,
    pairs: Sequence[tuple[str, str]],
    cash: Mapping[tuple[str, str], int],
) -> list[DayReport]:
    """What `hub.cashier.day_report` says of each pair, asked for all of them at once."""
    closed = _closed(connection, books, since)
    posted = _posted_by_day(connection, books.unit, [day_subject(*pair) for pair in pairs])
    marks = _marks(connection, books, since)
    handhelds = _handheld_days(connection, books, marks)
    counted: dict[tuple[str, str], int] = {}
    for one in sorted(marks, key=lambda mark: mark.order):
        if isinstance(one.record, CashCounted):
            counted[one.collector, one.day] = one.record.total_vnd
    reports: list[DayReport] = []
    for collector, day in pairs:
        lines = posted[day_subject(collector, day)]
        reports.append(
            DayReport(
                collector=collector,
                day=day,
                handhelds=tuple(handhelds.get((collector, day), ())),
                # All that was posted to the date, less what cashiers and the close posted: what the accounts say.
                hub_vnd=cash.get((collector, day), 0) - lines[Account.CASH_WITH_COLLECTOR.number],
                counted_vnd=counted.get((collector, day)),
                received_vnd=lines[Account.CASH_AT_BRANCH.number],
                closed=closed.get((collector, day)),
            )
        )
    return reports


def _closed(connection: Connection, books: Books, since: str) -> dict[tuple[str, str], DayClosed]:
    made = and_(fact.c.unit == day_close.c.unit, fact.c.device == HUB, fact.c.seq == day_close.c.seq)
    query = (
        select(fact.c.digest, fact.c.message)
        .select_from(day_close)
        .join(fact, made)
        .where(day_close.c.unit == books.unit, day_close.c.day >= since)
        .order_by(day_close.c.seq)
    )
    found: dict[tuple[str, str], DayClosed] = {}
    for row in connection.execute(query):
        _, record, _ = books.parsed.of(HUB, row.digest, row.message)
        assert isinstance(record, DayClosed)
        found[record.collector, record.business_date] = record
    return found


def _posted_by_day(connection: Connection, unit_code: str, subjects: Sequence[str]) -> dict[str, Counter[str]]:
    """Sums by account of what cashiers and the close posted, by subject."""
    query = (
        select(ledger.c.subject, ledger.c.account, func.sum(ledger.c.amount_vnd).label("amount_vnd"))
        .where(ledger.c.unit == unit_code, ledger.c.subject.in_(bindparam("subjects", expanding=True)))
        .group_by(ledger.c.subject, ledger.c.account)
    )
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for part in batches(subjects, IN_MAX):
        for row in connection.execute(query, {"subjects": part}):
            found[row.subject][row.account] = int(row.amount_vnd)
    return found


def _handheld_days(
    connection: Connection, books: Books, marks: Sequence[Fact]
) -> dict[tuple[str, str], list[HandheldDay]]:
    """What each handheld says of each date."""
    heads = {
        row.device: row
        for row in connection.execute(
            select(handheld.c.device, handheld.c.seq, handheld.c.digest, handheld.c.made).where(
                handheld.c.unit == books.unit
            )
        )
    }
    found: dict[tuple[str, str], list[HandheldDay]] = defaultdict(list)
    shifts = [one for one in marks if isinstance(one.record, ShiftOpened | ShiftClosed)]
    shifts.sort(key=lambda one: (one.device, one.seq, one.digest))
    chains: dict[tuple[str, str, int], list[Fact]] = defaultdict(list)
    for one in shifts:
        chains[one.collector, one.day, one.device].append(one)
    for (collector, day, device), own in chains.items():
        head = heads[device]
        found[collector, day].append(
            handheld_day(device, own, hub_seq=head.seq, hub_digest=head.digest, made=head.made)
        )
    return found


def _marks(connection: Connection, books: Books, since: str) -> list[Fact]:
    """The records of each chain and date that say how it ended: the last of its shift, of its totals, of its count.

    Each date is walked along its chain from its end; where the shift is closed that is a few steps. Where a chain
    forks at such a record there are both.
    """
    chains = _chains(books.unit, since)
    mark = fact.alias("mark")
    on_chain = (
        select(mark.c.seq)
        .where(mark.c.unit == books.unit, mark.c.device == chains.c.device)
        .where(mark.c.seq.between(chains.c.first_seq, chains.c.last_seq))
        .where(mark.c.collector == chains.c.collector, mark.c.day == chains.c.day)
        .order_by(mark.c.seq.desc())
        .limit(1)
        .correlate(chains)
    )
    ends = (
        on_chain.where(mark.c.kind.in_((ShiftOpened.KIND, ShiftClosed.KIND))).scalar_subquery(),
        on_chain.where(mark.c.kind == ShiftClosed.KIND).scalar_subquery(),
        on_chain.where(mark.c.kind == CashCounted.KIND, mark.c.quarantined == 0).scalar_subquery(),
    )
    is_end = and_(fact.c.unit == books.unit, fact.c.device == chains.c.device, fact.c.seq.in_(ends))
    query = select(fact, chains.c.collector.label("of_collector"), chains.c.day.label("of_day")).select_from(
        chains.join(fact, is_end, isouter=True)  # Outer, so that no planner starts from all facts.
    )
    found: list[Fact] = []
    for row in connection.execute(query):
        if (row.collector, row.day) == (row.of_collector, row.of_day):
            one = fact_of(row, books.parsed)
            if one is not None and not (one.quarantined and isinstance(one.record, CashCounted)):
                found.append(one)
    return found


def _chains(unit_code: str, since: str) -> Subquery:
    """Collectors, dates and handhelds that have records from a date on, with where in the chain; the index answers."""
    ends = (func.min(fact.c.seq).label("first_seq"), func.max(fact.c.seq).label("last_seq"))
    return (
        select(fact.c.collector, fact.c.day, fact.c.device, *ends)
        .where(fact.c.unit == unit_code, fact.c.collector != "", fact.c.day >= since, fact.c.day != "")
        .where(fact.c.device != HUB)
        .group_by(fact.c.collector, fact.c.day, fact.c.device)
        .subquery("chains")
    )
