"""Bank statements in: every line is a record of the hub, for the customer it names or in suspense."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, select

from hub.app import Hub
from hub.banks import BANKS
from hub.banks.statement_csv import BankLine, StatementReading
from hub.books import Books, Touched
from hub.core.matching import MatchKind, match
from hub.office import OfficeError, require_person
from hub.store.schema import bank_line, customer, unit
from protocol.records import BankCredited

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
LINES_PER_COMMIT = 500  # Between commits handhelds get their turn.


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementImported:
    """What a statement brought. known: lines that were here already. changed: of them, those that now say something
    else.
    """

    reading: StatementReading
    new: int
    known: int
    matched: int
    unmatched: int
    unmatched_vnd: int
    changed: tuple[str, ...]


async def import_statement(
    hub: Hub, path: Path, *, by: str, bank_format: str = "csv", until_ms: int | None = None
) -> StatementImported:
    """Post the lines of a statement that are not here yet. until_ms: leave later lines for another day.

    Raises OfficeError for a format or a person that does not exist.
    """
    parser = BANKS.get(bank_format)
    if parser is None:
        raise OfficeError(f"there is no statement format {bank_format!r}: choose one of {', '.join(BANKS)}")
    content = await asyncio.to_thread(path.read_bytes)
    reading = parser(content, name=path.name, stated_sum_vnd=None)
    lines = [line for line in reading.lines if until_ms is None or line.value_time_ms <= until_ms]
    registers, period = await hub.read(partial(_registers, books=hub.books, by=by))
    made: list[BankCredited] = []
    changed: list[str] = []
    for start in range(0, len(lines), LINES_PER_COMMIT):
        records = [_record(line, registers, period) for line in lines[start : start + LINES_PER_COMMIT]]
        fresh, other = await hub.write(partial(_post, hub=hub, records=records))
        made += fresh
        changed += other
    unmatched = [record for record in made if record.customer is None]
    return StatementImported(
        reading=reading,
        new=len(made),
        known=len(lines) - len(made),
        matched=len(made) - len(unmatched),
        unmatched=len(unmatched),
        unmatched_vnd=sum(record.amount_vnd for record in unmatched),
        changed=tuple(changed),
    )


def _registers(connection: Connection, books: Books, by: str) -> tuple[dict[str, str], str]:
    """Register number to customer, and the current period."""
    require_person(connection, books.unit, by, ("it", "accountant", "cashier"))
    query = (
        select(customer.c.register_no, customer.c.customer)
        .where(customer.c.unit == books.unit)
        .order_by(customer.c.route != "", customer.c.customer)
    )
    found = {row.register_no: row.customer for row in connection.execute(query)}  # On a route: the last one wins.
    period: str = connection.execute(select(unit.c.period).where(unit.c.unit == books.unit)).scalar_one()
    return found, period


def _record(line: BankLine, registers: Mapping[str, str], period: str) -> BankCredited:
    """A line as a record; money for two customers at once is nobody's until a person divides it."""
    found = match(line.content, registers)
    return BankCredited(
        period=period,
        bank_bin=line.bank_bin,
        transaction=line.bank_txn_id,
        value_ms=line.value_time_ms,
        account=line.account,
        amount_vnd=line.amount_vnd,
        content=CONTROL.sub(" ", line.content),  # Banks put line breaks into narratives; records have none.
        match=found.kind.value,
        customer=found.customer_ids[0] if found.kind is MatchKind.ONE else None,
    )


def _post(connection: Connection, hub: Hub, records: list[BankCredited]) -> tuple[list[BankCredited], list[str]]:
    """Append the lines that are not here yet, and fold what they touch once; also those that were here otherwise."""
    books = hub.books
    touched = Touched.nothing()
    fresh: list[BankCredited] = []
    changed: list[str] = []
    for record in records:
        standing = claim_line(connection, books.unit, record)
        if standing is not LineStanding.NEW:
            changed += [record.transaction] if standing is LineStanding.CHANGED else []
            continue
        one = books.append(connection, record, hub.clock())
        more = books.touched_by(connection, one)
        touched.customers |= more.customers
        touched.bank += more.bank
        fresh.append(record)
    if fresh:
        books.refold(connection, touched)
    return fresh, changed


class LineStanding(Enum):
    """Whether a line was here before, and said the same."""

    NEW = "new"
    KNOWN = "known"
    CHANGED = "changed"


def claim_line(connection: Connection, unit_code: str, record: BankCredited) -> LineStanding:
    """Take the key of a bank line if it is new, so that a line delivered twice counts once.

    A line that comes again with another amount or text is money that somebody must look at: it is reported, never
    posted.
    """
    said = f"{record.value_ms} {record.account} {record.amount_vnd} {record.content}"
    line = sha256(said.encode()).digest()
    key = {"unit": unit_code, "bank_bin": record.bank_bin, "txn": record.transaction}
    query = select(bank_line.c.line).where(
        bank_line.c.unit == unit_code, bank_line.c.bank_bin == record.bank_bin, bank_line.c.txn == record.transaction
    )
    known = connection.execute(query).scalar_one_or_none()
    if known is None:
        connection.execute(bank_line.insert().values(**key, line=line))
        return LineStanding.NEW
    return LineStanding.KNOWN if known == line else LineStanding.CHANGED
