"""`hub check`: does the hub still hold what it acknowledged, and do its pages follow from it?

Three questions, each answered without believing the others: every chain is whole and every signature good; every
folded row is what the facts fold to; debits equal credits. Findings are sentences that name what is wrong.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.exc import SQLAlchemyError

from hub.books import Books, CustomerBase, adopted_by, hub_fact
from hub.cashier import cash_owed_vnd
from hub.core.account import HUB, AccountState
from hub.core.conflicts import Case
from hub.core.handhelds import Chain, business_day
from hub.core.ledger import Account, JournalEntry
from hub.core.verify import Arrival, arrival
from hub.store import folded
from hub.store.facts import IN_MAX, batches, fact_of, given_codes, links_of
from hub.store.schema import (
    account,
    bank_line,
    case_file,
    code_sheet,
    customer,
    extract_file,
    fact,
    handheld,
    ledger,
    package,
    unit,
)
from protocol import codec
from protocol.chain import NO_DIGEST, digest
from protocol.codec import CodecError, FieldError
from protocol.codes import open_codes
from protocol.envelope import EnvelopeError, Purpose, SignatureError, VerifyKey, frame, open_sealed
from protocol.records import BankCredited, DayClosed, ExtractImported, PackageRef
from protocol.sealed import Sealed, UnreadableError, parse

FINDINGS_MAX = 100  # Past this the first ones are enough to act on.
# What reading damaged rows can end in; what a check found before that stands, and the others still look.
DAMAGED = (ValueError, LookupError, AssertionError, SQLAlchemyError)


def findings(connection: Connection, books: Books) -> list[str]:
    """Everything that does not hold; empty when all is well."""
    found: list[str] = []
    chains, folds = (_hub_chain, _handheld_chains, _code_sheets), (_accounts, _other_subjects, _closed_dates)
    for check in (*chains, _extracts, *folds, _balance):
        try:
            for sentence in check(connection, books):
                found.append(sentence)
                if len(found) == FINDINGS_MAX:
                    return [*found, "… and more"]
        except DAMAGED as error:
            found.append(f"the check of {check.__name__.strip('_')} cannot go on: {type(error).__name__}: {error}")
    return found


def _hub_chain(connection: Connection, books: Books) -> Iterator[str]:
    """The hub's own chain: gapless, signed by its key, ending where the head row says."""
    head = connection.execute(select(unit).where(unit.c.unit == books.unit)).one()
    key = VerifyKey.of(books.key.public)
    seq, tip = 0, NO_DIGEST
    query = select(fact).where(fact.c.unit == books.unit, fact.c.device == HUB).order_by(fact.c.seq)
    for row in connection.execute(query):
        for missing in range(seq + 1, row.seq):
            yield f"hub record {missing} is missing"
        try:
            header, record = parse(codec.decode(open_sealed(row.message, key, Purpose.RECORD)))
        except (EnvelopeError, SignatureError, CodecError, UnreadableError) as error:
            yield f"hub record {row.seq}: {error}"
            seq, tip = row.seq, row.digest
            continue
        if row.digest != digest(row.message) or header.seq != row.seq:
            yield f"hub record {row.seq} is filed under another name than its bytes have"
        if seq == row.seq - 1 and header.prev != tip:
            yield f"hub record {row.seq} does not follow record {seq}"
        yield from _columns(row, hub_fact(Sealed(row.message, row.digest, header, record)), record)
        seq, tip = row.seq, row.digest
    for missing in range(seq + 1, head.head_seq + 1):
        yield f"hub record {missing} is missing"
    if seq == head.head_seq and tip != head.head_digest:
        yield f"hub record {seq} is not the one the head row names"


def _columns(row: Any, one: Any, record: object) -> Iterator[str]:
    """Columns that are read without opening the message must say what it says."""
    wanted = (one.ord, one.day, one.collector, getattr(record, "customer", None) or "", 0)
    if (row.ord, row.day, row.collector, row.customer, row.quarantined) != wanted:
        yield f"hub record {row.seq}: its columns do not say what the record says"


def _handheld_chains(connection: Connection, books: Books) -> Iterator[str]:
    """Every chain of a handheld: whole on each branch, every signature good, quarantine as the facts say."""
    rows = connection.execute(select(handheld).where(handheld.c.unit == books.unit)).all()
    for row in rows:
        yield from _handheld_chain(connection, books, row)
    known = {row.device for row in rows} | {HUB}
    strangers = select(fact.c.device).where(fact.c.unit == books.unit).distinct()
    for device in connection.execute(strangers).scalars():
        if device not in known:
            yield f"there are records of handheld {device}, which is not enrolled"


def _handheld_chain(connection: Connection, books: Books, head: Any) -> Iterator[str]:
    device, key = head.device, VerifyKey.of(head.public_key)
    query = select(fact).where(fact.c.unit == books.unit, fact.c.device == device).order_by(fact.c.seq)
    before: set[bytes] = {NO_DIGEST}
    here: set[bytes] = set()
    seq, head_seen = 0, head.seq == 0
    days: dict[bytes, str] = {NO_DIGEST: ""}
    limits = _package_limits(connection, books)
    for row in connection.execute(query):
        if row.seq != seq:
            if row.seq > seq + 1:
                yield f"handheld {device}: {_range(seq + 1, row.seq - 1)}"
                before = set()
            else:
                before = here
            seq, here = row.seq, set()
        name = f"handheld {device}, record {row.seq}"
        here.add(row.digest)
        head_seen = head_seen or (row.seq, row.digest) == (head.seq, head.digest)
        try:
            one = arrival(row.message, frame(row.message), key)
        except (EnvelopeError, SignatureError, CodecError, FieldError) as error:
            yield f"{name}: {error}"
            continue
        if (one.digest, one.position.seq, one.position.prev) != (row.digest, row.seq, row.prev):
            yield f"{name} is filed under another name than its bytes have"
        if before and row.prev not in before:
            yield f"{name} does not follow the record before it"
        order = _order_of(one, limits)
        days[row.digest] = day = business_day(one.record, days.get(row.prev, row.day), order)
        wanted = (one.position.kind, one.customer, one.collector[:32], day, order)
        if (row.kind, row.customer, row.collector, row.day, row.ord) != wanted:
            yield f"{name}: its columns do not say what the record says"
    if seq < head.seq:
        yield f"handheld {device}: {_range(seq + 1, head.seq)}"
    elif not head_seen:
        yield f"handheld {device}: the record {head.seq} that was acknowledged last is not here"
    yield from _standing(connection, books, head)


def _package_limits(connection: Connection, books: Books) -> dict[PackageRef, tuple[int, int]]:
    """Validity of every package there has been."""
    query = select(package).where(package.c.unit == books.unit)
    rows = connection.execute(query)
    return {PackageRef(row.route, row.version): (row.issued_ms, row.expires_ms) for row in rows}


def _order_of(one: Arrival, limits: Mapping[PackageRef, tuple[int, int]]) -> int:
    """Canonical order of a record: its instant, clamped to the package it names."""
    if one.header is None:
        return 0
    at_ms, evidence = one.header.at_ms, one.header.evidence
    issued_ms, expires_ms = limits.get(evidence.package, (at_ms, at_ms)) if evidence is not None else (at_ms, at_ms)
    return min(max(at_ms, issued_ms), expires_ms)


def _range(first: int, last: int) -> str:
    return f"record {first} is missing" if first == last else f"records {first} to {last} are missing"


def _standing(connection: Connection, books: Books, head: Any) -> Iterator[str]:
    """Forks, quarantine, receipt series and case files of one handheld."""
    device = head.device
    links = links_of(connection, books.unit, device, books.parsed)
    decisions = books.decisions_on(connection, device)
    adopted = adopted_by(decisions)
    state = books.state_of_chain(connection, device, links, decisions)
    derived = folded.handheld_values(state)
    if any(head._mapping[name] != value for name, value in derived.items()):
        yield f"handheld {device}: its head row does not say what its chain says"
    given = given_codes(connection, books.unit, books.parsed).get(device, {})
    if head.next_code != max(given, default=-1) + 1:
        yield f"handheld {device}: code {head.next_code} would be given next, and that does not follow from the records"
    wanted = Chain(links, adopted).quarantined
    query = select(fact.c.digest).where(
        fact.c.unit == books.unit, fact.c.device == device, fact.c.quarantined == 1
    )
    if set(connection.execute(query).scalars()) != wanted:
        yield f"handheld {device}: the wrong records are in quarantine"
    yield from _compare_cases(connection, books, folded.handheld_subject(device), state.cases)


def _code_sheets(connection: Connection, books: Books) -> Iterator[str]:
    """Codes made ready for a handheld are signed for it, in the version that stands beside them."""
    key = VerifyKey.of(books.key.public)
    for row in connection.execute(select(code_sheet).where(code_sheet.c.unit == books.unit)):
        name = f"the codes made ready for handheld {row.device}"
        try:
            codes = open_codes(row.message, key)
        except (EnvelopeError, SignatureError, CodecError, FieldError) as error:
            yield f"{name}: {error}"
            continue
        last = max((code.number for code in codes.codes), default=-1)
        if (codes.unit, codes.device, codes.version, last) != (books.unit, row.device, row.version, row.last_code):
            yield f"{name} are not what their row says"


def _extracts(connection: Connection, books: Books) -> Iterator[str]:
    """The files behind every import are here and unchanged, and the last one's customers are all here."""
    query = (
        select(fact.c.seq, fact.c.digest, fact.c.message)
        .where(fact.c.unit == books.unit, fact.c.device == HUB, fact.c.kind == ExtractImported.KIND)
        .order_by(fact.c.seq)
    )
    last: ExtractImported | None = None
    for row in connection.execute(query):
        _, record, _ = books.parsed.of(HUB, row.digest, row.message)
        if not isinstance(record, ExtractImported):
            continue
        last = record
        for ref in record.files:
            kept = select(extract_file.c.content).where(
                extract_file.c.unit == books.unit, extract_file.c.sha256 == ref.sha256
            )
            content = connection.execute(kept).scalar_one_or_none()
            if content is None or _digest_of(content) != ref.sha256:
                yield f"the extract's file {ref.name} of hub record {row.seq} is missing or changed"
    on_routes = select(func.count()).where(customer.c.unit == books.unit, customer.c.route != "")
    count = connection.execute(on_routes).scalar_one()
    if last is not None and count != last.customers:
        yield f"there are {count} customers on routes, and the last extract had {last.customers}"


def _digest_of(packed: bytes) -> bytes:
    """Digest of a kept file; nothing when it cannot even be unpacked."""
    try:
        return sha256(zlib.decompress(packed)).digest()
    except zlib.error:
        return b""


def _accounts(connection: Connection, books: Books) -> Iterator[str]:
    """Every account folded again from its facts must give the rows that are there."""
    names = sorted(
        connection.execute(select(customer.c.customer).where(customer.c.unit == books.unit)).scalars()
    )
    for part in batches(names, IN_MAX):
        where = (account.c.unit == books.unit, account.c.customer.in_(part))
        rows = {row.customer: row for row in connection.execute(select(account).where(*where))}
        subjects = [folded.account_subject(name) for name in part]
        lines = _stored(connection, books, ledger, subjects)
        cases = _stored(connection, books, case_file, subjects)
        for known, state in books.fold_accounts(connection, part):
            subject = folded.account_subject(state.customer)
            yield from _account(books, known, state, rows.get(state.customer))
            yield from _dues(state)
            wanted = folded.ledger_values(books.unit, subject, state.entries)
            yield from _differs(ledger, subject, lines[subject], wanted)
            wanted = folded.case_values(books.unit, subject, state.cases)
            yield from _differs(case_file, subject, cases[subject], wanted)
    named = select(fact.c.customer).where(fact.c.unit == books.unit, fact.c.customer != "").distinct()
    unnamed = set(connection.execute(named).scalars()) - set(names)
    for name, entries, strange in books.strangers(connection, unnamed):
        yield from _compare_subject(connection, books, folded.account_subject(name), entries, strange)
    stored = select(account.c.customer).where(account.c.unit == books.unit)
    for name in sorted(set(connection.execute(stored).scalars()) - set(names)):
        yield f"account {name} belongs to nobody"


def _dues(state: AccountState) -> Iterator[str]:
    """What a customer owes in the ledger is what is open of the bills, less the credit."""
    lines = [line for entry in state.entries for line in entry.lines if line.account is Account.RECEIVABLE]
    owed = sum(line.amount_vnd for line in lines)
    wanted = sum(bill.open_vnd for bill in state.bills.values()) - state.credit_vnd
    if owed != wanted:
        yield f"account {state.customer}: the ledger says {owed} đ are owed, the bills say {wanted} đ"


def _closed_dates(connection: Connection, books: Books) -> Iterator[str]:
    """What was owed of a date when it was closed is what is owed of it now: nothing moves behind a cut."""
    query = select(fact.c.digest, fact.c.message).where(
        fact.c.unit == books.unit, fact.c.device == HUB, fact.c.kind == DayClosed.KIND
    )
    for row in connection.execute(query).all():
        _, record, _ = books.parsed.of(HUB, row.digest, row.message)
        if isinstance(record, DayClosed):
            owed = cash_owed_vnd(connection, books.unit, record.collector, record.business_date)
            if owed != record.expected_vnd:
                name = f"{record.business_date} of {record.collector}"
                yield f"{name} was closed at {record.expected_vnd} đ, and its records now say {owed} đ"


def _account(books: Books, known: CustomerBase, state: AccountState, row: Any) -> Iterator[str]:
    if row is None:
        yield f"account {state.customer} has no row"
        return
    wanted = folded.account_values(books.unit, state, known.base.stop, known.route, known.branch, row.version)
    for name, value in wanted.items():
        if row._mapping[name] != value:
            yield f"account {state.customer}: {name} is {row._mapping[name]!r}, the facts say {value!r}"


def _other_subjects(connection: Connection, books: Books) -> Iterator[str]:
    """Days and unmatched bank lines folded again; and no ledger line of a subject that has no facts."""
    expected: set[str] = set()
    days = select(fact.c.collector, fact.c.day).where(
        fact.c.unit == books.unit, fact.c.device == HUB, fact.c.collector != ""
    )
    for collector, day in sorted({(row.collector, row.day) for row in connection.execute(days)}):
        state = books.fold_day(connection, collector, day)
        subject = folded.day_subject(collector, day)
        expected.add(subject)
        yield from _compare_subject(connection, books, subject, state.entries, state.cases)
    bank = select(fact).where(fact.c.unit == books.unit, fact.c.device == HUB, fact.c.kind == BankCredited.KIND)
    claimed = 0
    for row in connection.execute(bank).all():
        one = fact_of(row, books.parsed)
        if one is None or not isinstance(one.record, BankCredited):
            continue
        claimed += 1
        if one.record.customer is None:
            subject = folded.bank_subject(one.seq)
            expected.add(subject)
            yield from _compare_subject(connection, books, subject, *books.fold_unmatched(connection, one))
    lines_known = select(func.count()).where(bank_line.c.unit == books.unit)
    if connection.execute(lines_known).scalar_one() != claimed:
        yield "the list of bank lines does not match the bank records"
    stored = select(ledger.c.subject).where(ledger.c.unit == books.unit).distinct()
    for subject in connection.execute(stored).scalars():
        if not subject.startswith("account:") and subject not in expected:
            yield f"there are ledger lines of {subject}, and no facts"


def _compare_subject(
    connection: Connection, books: Books, subject: str, entries: list[JournalEntry], cases: list[Case]
) -> Iterator[str]:
    """Ledger lines and case files of one subject against what the facts fold to."""
    lines = _stored(connection, books, ledger, [subject])[subject]
    yield from _differs(ledger, subject, lines, folded.ledger_values(books.unit, subject, entries))
    yield from _compare_cases(connection, books, subject, cases)


def _compare_cases(connection: Connection, books: Books, subject: str, cases: list[Case]) -> Iterator[str]:
    stored = _stored(connection, books, case_file, [subject])[subject]
    yield from _differs(case_file, subject, stored, folded.case_values(books.unit, subject, cases))


def _stored(connection: Connection, books: Books, table: Table, subjects: list[str]) -> dict[str, list[Any]]:
    """Rows of some subjects."""
    found: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(select(table).where(table.c.unit == books.unit, table.c.subject.in_(subjects))):
        found[row.subject].append(tuple(row))
    return found


def _differs(table: Table, subject: str, stored: list[Any], wanted: list[folded.Values]) -> Iterator[str]:
    columns = [column.name for column in table.columns]
    if sorted(stored) != sorted(tuple(values[name] for name in columns) for values in wanted):
        yield f"{table.name} of {subject}: the {len(stored)} rows are not the {len(wanted)} that the facts say"


def _balance(connection: Connection, books: Books) -> Iterator[str]:
    """Debits equal credits: over all, and in every entry."""
    total = select(func.coalesce(func.sum(ledger.c.amount_vnd), 0)).where(ledger.c.unit == books.unit)
    if (amount := connection.execute(total).scalar_one()) != 0:
        yield f"debits and credits differ by {amount} đ"
    entries = (
        select(ledger.c.subject, ledger.c.entry, func.sum(ledger.c.amount_vnd))
        .where(ledger.c.unit == books.unit)
        .group_by(ledger.c.subject, ledger.c.entry)
        .having(func.sum(ledger.c.amount_vnd) != 0)
    )
    for row in connection.execute(entries):
        yield f"entry {row.entry} of {row.subject} does not balance"
