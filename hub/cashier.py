"""The end of the day at the branch: cash in, papers back, decisions, and closing a collector's date."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from hub.app import Hub, post
from hub.books import Books
from hub.core.account import HUB, Fact
from hub.core.conflicts import ConflictClass
from hub.core.days import DayReport, HandheldDay, handheld_day
from hub.core.handhelds import tips
from hub.core.ledger import Account
from hub.office import OfficeError, require_person
from hub.store.facts import facts_of_day, links_of
from hub.store.schema import account, case_file, fact, handheld, ledger
from protocol.chain import NO_DIGEST
from protocol.records import (
    HEADS_MAX,
    CashCollected,
    CashReceived,
    DayClosed,
    Decision,
    Denomination,
    HeadRef,
    PaperReturned,
    ShiftClosed,
    ShiftOpened,
    SupervisorDecided,
)
from protocol.values import is_date, local_date

CASHIERS = ("cashier", "supervisor", "it")
DECIDERS = ("supervisor",)
OPEN = (case_file.c.for_person == 1, case_file.c.settled == 0)
VOIDS = (ConflictClass.VOID_WITH_PAPER_OUT.value, ConflictClass.VOID_TOO_LATE.value)
SHIFT_KINDS = (ShiftOpened.KIND, ShiftClosed.KIND)


async def receive_cash(
    hub: Hub, *, collector: str, day: str, notes: Sequence[Denomination], by: str, intent: bytes | None = None
) -> int:
    """A cashier counted this from a collector for a date; the sum. The same intent twice is one handover."""

    def work(connection: Connection) -> int:
        _require_collector(connection, hub.books, collector)
        require_person(connection, hub.books.unit, by, CASHIERS)
        amount = sum(note.value_vnd * note.pieces for note in notes)
        if amount <= 0:
            raise OfficeError("count at least one note: an empty handover is no handover")
        if not is_date(day) or day > local_date(hub.clock()):
            raise OfficeError(f"{day} has not come yet: name the date whose cash this is")
        made = CashReceived(collector=collector, business_date=day, amount_vnd=amount, notes=tuple(notes), by=by)
        before = _handover(connection, hub.books, intent) if intent is not None else None
        if before is None:
            post(connection, hub.books, made, hub.clock(), intent)
        elif before != made:
            raise OfficeError("this handover was entered before with other figures: look at the day")
        return amount

    return await hub.write(work)


async def take_paper_back(hub: Hub, *, device: int, receipt_no: int, by: str) -> int:
    """The paper of a receipt is at the branch; its amount. Raises OfficeError when there is no such receipt."""

    def work(connection: Connection) -> int:
        require_person(connection, hub.books.unit, by, CASHIERS)
        one = find_receipt(connection, hub.books, device, receipt_no)
        assert isinstance(one.record, CashCollected)
        made = PaperReturned(customer=one.record.customer, collection=one.digest, by=by)
        post(connection, hub.books, made, hub.clock())
        return one.record.amount_vnd

    return await hub.write(work)


def _handover(connection: Connection, books: Books, intent: bytes) -> CashReceived | None:
    """The handover that an intent made before, whatever it was of."""
    query = select(fact.c.digest, fact.c.message).where(
        fact.c.unit == books.unit, fact.c.device == HUB, fact.c.kind == CashReceived.KIND
    )
    for row in connection.execute(query.order_by(fact.c.seq.desc())):
        header, record, _ = books.parsed.of(HUB, row.digest, row.message)
        if header is not None and header.intent == intent and isinstance(record, CashReceived):
            return record
    return None


def find_receipt(connection: Connection, books: Books, device: int, receipt_no: int) -> Fact:
    """The collection behind a receipt number. Raises OfficeError."""
    query = (
        select(fact.c.customer, fact.c.digest, fact.c.message)
        .where(fact.c.unit == books.unit, fact.c.device == device, fact.c.kind == CashCollected.KIND)
        .order_by(fact.c.quarantined, fact.c.seq.desc())
    )
    for row in connection.execute(query):
        header, record, _ = books.parsed.of(device, row.digest, row.message)
        if header is not None and isinstance(record, CashCollected) and record.receipt_no == receipt_no:
            return Fact(
                device=device,
                seq=header.seq,
                digest=row.digest,
                ord=header.at_ms,
                day="",
                collector="",
                quarantined=False,
                header=header,
                record=record,
            )
    raise OfficeError(f"handheld {device} has no receipt {receipt_no} here: has it sent everything?")


async def decide(hub: Hub, *, case_key: bytes, decision: Decision, reason: str, by: str, tip: bytes = b"") -> None:
    """A supervisor settles an open case. tip: for ADOPT_BRANCH, the last record of the branch that is true."""

    def work(connection: Connection) -> None:
        require_person(connection, hub.books.unit, by, DECIDERS)
        row = connection.execute(
            select(case_file).where(case_file.c.unit == hub.books.unit, case_file.c.key == case_key)
        ).first()
        if row is None:
            raise OfficeError("there is no such case any more: look at the list again")
        if row.settled:
            raise OfficeError("this case is settled already")
        subject = _decided_on(connection, hub.books, row, decision, tip)
        about, _, _ = row.subject.partition(":")
        made = SupervisorDecided(
            decision=decision,
            subject=subject,
            reason=reason,
            by=by,
            customer=row.customer if about == "account" else None,
            device=row.device if about == "handheld" else None,
            collector=row.collector if about == "day" else None,
            business_date=row.day if about == "day" else None,
        )
        post(connection, hub.books, made, hub.clock())

    await hub.write(work)


def _decided_on(connection: Connection, books: Books, row: Any, decision: Decision, tip: bytes) -> bytes:
    """What a decision on a case is about: the collection, the branch, or the case itself. Raises OfficeError."""
    size = len(NO_DIGEST)
    about: list[bytes] = [row.facts[start : start + size] for start in range(0, len(row.facts), size)]
    void = row.klass in VOIDS and len(about) > 1  # A void of a receipt that is not here voids nothing.
    fork = row.klass == ConflictClass.FORK.value
    if decision is Decision.ACCEPT_VOID:
        if not void:
            raise OfficeError("only a voided receipt can be accepted as void")
        return about[0]
    if decision is Decision.ADOPT_BRANCH:
        if not fork:
            raise OfficeError("only one of two histories can be adopted")
        _require_tip(connection, books, row.device, about, tip)
        return tip
    if void or fork:
        raise OfficeError("this case needs its own decision: accept the void, or adopt a branch")
    key: bytes = row.key
    return key


def _require_tip(connection: Connection, books: Books, device: int, branches: Sequence[bytes], tip: bytes) -> None:
    """Raise OfficeError unless `tip` lies on one of the branches of a fork."""
    before = {link.digest: link.prev for link in links_of(connection, books.unit, device, books.parsed)}
    at: bytes | None = tip if tip in before else None
    while at is not None and at not in branches:
        at = before.get(at)
    if at is None:
        raise OfficeError("name the last record of the branch that is true: this one is not of this handheld's fork")


def cash_owed_vnd(connection: Connection, unit_code: str, collector: str, day: str) -> int:
    """Cash that the folded state says a collector took on a date, less what was reversed."""
    query = select(func.coalesce(func.sum(ledger.c.amount_vnd), 0)).where(
        ledger.c.unit == unit_code,
        ledger.c.account == Account.CASH_WITH_COLLECTOR.number,
        ledger.c.party == collector,
        ledger.c.day == day,
        ledger.c.subject.startswith("account:"),
    )
    return int(connection.execute(query).scalar_one())


def day_report(connection: Connection, books: Books, collector: str, day: str) -> DayReport:
    """The three columns of a collector's date."""
    state = books.fold_day(connection, collector, day)
    return DayReport(
        collector=collector,
        day=day,
        handhelds=_handhelds_of_day(connection, books, collector, day),
        hub_vnd=cash_owed_vnd(connection, books.unit, collector, day),
        counted_vnd=state.counted_vnd,
        received_vnd=state.received_vnd,
        closed=state.closed,
    )


def _handhelds_of_day(connection: Connection, books: Books, collector: str, day: str) -> tuple[HandheldDay, ...]:
    shifts = facts_of_day(connection, books.unit, collector, day, SHIFT_KINDS, books.parsed)
    found: list[HandheldDay] = []
    for device in sorted({one.device for one in shifts}):
        row = connection.execute(
            select(handheld).where(handheld.c.unit == books.unit, handheld.c.device == device)
        ).one()
        own = [one for one in shifts if one.device == device]
        found.append(handheld_day(device, own, hub_seq=row.seq, hub_digest=row.digest, made=row.made))
    return tuple(found)


async def close_day(hub: Hub, *, collector: str, day: str, by: str, reason: str | None = None) -> DayReport:
    """Close a collector's date at what the hub has. Raises OfficeError for what needs a reason and has none."""

    def work(connection: Connection) -> DayReport:
        books = hub.books
        require_person(connection, books.unit, by, ("supervisor", "it"))
        _require_collector(connection, books, collector)
        if not is_date(day) or day > local_date(hub.clock()):
            raise OfficeError(f"{day} has not come yet: close a date on the day itself or later")
        report = day_report(connection, books, collector, day)
        if report.closed is not None:
            raise OfficeError(f"{day} of {collector} is closed already")
        behind = sorted({*report.behind, *_owing_records(connection, books, collector)})
        if behind and not reason:
            names = ", ".join(map(str, behind))
            raise OfficeError(f"handheld {names} has not sent everything: let it send, or close with a reason")
        if report.difference_vnd and not reason:
            raise OfficeError(f"the cash differs by {report.difference_vnd} đ: close with a reason")
        heads = _heads(connection, books, collector)
        if len(heads) > HEADS_MAX:
            raise OfficeError(f"{collector} has used over {HEADS_MAX} handhelds: give the work another code")
        made = DayClosed(
            collector=collector,
            business_date=day,
            heads=heads,
            expected_vnd=report.hub_vnd,
            received_vnd=report.received_vnd,
            difference_vnd=report.difference_vnd,
            by=by,
            reason=reason,
        )
        post(connection, books, made, hub.clock())
        return day_report(connection, books, collector, day)

    return await hub.write(work)


def open_days(connection: Connection, books: Books) -> list[tuple[str, str]]:
    """Collectors and dates with a shift here, newest first."""
    query = (
        select(fact.c.collector, fact.c.day)
        .where(fact.c.unit == books.unit, fact.c.kind == ShiftOpened.KIND)
        .distinct()
    )
    return sorted(((row.collector, row.day) for row in connection.execute(query)), key=lambda pair: (pair[1], pair[0]))


def _heads(connection: Connection, books: Books, collector: str) -> tuple[HeadRef, ...]:
    """Where every handheld stands that has anything of this collector, of a forked one each branch: a cut that names
    all that is here charges nothing twice.
    """
    query = select(fact.c.device).where(fact.c.unit == books.unit, fact.c.collector == collector, fact.c.device != HUB)
    devices = set(connection.execute(query.distinct()).scalars())
    rows = connection.execute(
        select(handheld.c.device, handheld.c.seq, handheld.c.digest, handheld.c.fork_from)
        .where(handheld.c.unit == books.unit, handheld.c.device.in_(devices))
        .order_by(handheld.c.device)
    )
    heads: list[HeadRef] = []
    for row in rows.all():
        if row.fork_from:
            ends = tips(links_of(connection, books.unit, row.device, books.parsed))
            heads += [HeadRef(row.device, end.seq, end.digest) for end in ends]
        else:
            heads.append(HeadRef(row.device, row.seq, row.digest))
    return tuple(heads)


def _owing_records(connection: Connection, books: Books, collector: str) -> set[int]:
    """The collector's own handhelds that have told of more records than are here."""
    query = select(handheld.c.device).where(
        handheld.c.unit == books.unit, handheld.c.collector == collector, handheld.c.made > handheld.c.seq
    )
    return set(connection.execute(query).scalars())


def _require_collector(connection: Connection, books: Books, collector: str) -> None:
    """Raise OfficeError for a code that is no collector's, unless records name it: their cash must be settled
    somehow.
    """
    query = select(fact.c.seq).where(fact.c.unit == books.unit, fact.c.collector == collector).limit(1)
    if connection.execute(query).first() is None:
        require_person(connection, books.unit, collector, ("collector",))


def cases(connection: Connection, unit_code: str, *, only_open: bool = True) -> list[dict[str, object]]:
    """Cases a person still has to look at, or all there are; the most money first."""
    query = (
        select(case_file, account.c.route)
        .join(
            account,
            (account.c.unit == case_file.c.unit) & (account.c.customer == case_file.c.customer),
            isouter=True,
        )
        .where(case_file.c.unit == unit_code, *(OPEN if only_open else ()))
        .order_by(func.abs(case_file.c.money_vnd).desc(), case_file.c.klass, case_file.c.key)
    )
    return [dict(row._mapping) for row in connection.execute(query)]
