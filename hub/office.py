"""What branch IT does before a round: take in the extract, publish routes.

Each action is one transaction with its record. Functions take the open hub and plain values; the command line and the
API call them alike. OfficeError carries a sentence for the person who asked.
"""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select, update

from hub.app import Hub, issue_policy
from hub.books import Books, Touched
from hub.core.account import HUB, AccountState
from hub.core.routing import known_reading, stop_of
from hub.extract import ArrearRow, Extract, ExtractReading, HistoryRow, read_extract
from hub.store.bulk import insert_rows
from hub.store.schema import account, customer, extract_file, fact, package, person, route, tariff, unit
from protocol import codec
from protocol.chain import digest
from protocol.codec import FieldError
from protocol.package import CollectorCard, OpenBill, RoutePackage, Stop, seal_package
from protocol.records import OPEN_BILLS_MAX, ExtractImported, FileRef, PackageIssued, TariffIssued
from protocol.values import DAY_MS, period_after, start_of_day_ms

PACKAGE_DAYS = 62  # A period and the month in which its sweep and its corrections end.


class OfficeError(Exception):
    """An action that was not done. The message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did or, in a dry run, would do."""

    reading: ExtractReading
    period: str
    new: int
    changed: int
    unchanged: int
    left_out: int
    done: bool


async def import_extract(hub: Hub, folder: Path, *, by: str, dry_run: bool = False) -> Imported:
    """Take in a billing extract whole, or not at all. Facts stay; accounts are folded again on the new data."""
    reading = await asyncio.to_thread(read_extract, folder)
    extract = reading.extract
    if extract is None:
        return Imported(reading=reading, period="", new=0, changed=0, unchanged=0, left_out=0, done=False)
    stops = await asyncio.to_thread(_stops, extract)
    period = period_after(extract.last_period)
    await hub.read(lambda connection: _require_period(connection, hub.books.unit, period))
    before = await hub.read(lambda connection: _stored_stops(connection, hub.books.unit))
    packed = await asyncio.to_thread(_packed, stops)
    result = Imported(
        reading=reading,
        period=period,
        new=len(packed.keys() - before.keys()),
        changed=sum(1 for name in packed.keys() & before.keys() if packed[name] != before[name]),
        unchanged=sum(1 for name in packed.keys() & before.keys() if packed[name] == before[name]),
        left_out=len(before.keys() - packed.keys()),
        done=not dry_run,
    )
    if not dry_run:
        await hub.write(lambda connection: _import(connection, hub.books, extract, stops, period, by, hub.clock()))
    return result


def _require_period(connection: Connection, unit_code: str, period: str) -> None:
    """Raise OfficeError for an extract of another period while work of this one is in the books.

    The next extract lists what is unpaid of this period as arrears, under the office's own bill numbers: without
    closing the period those debts would stand twice.
    """
    now = connection.execute(select(unit.c.period).where(unit.c.unit == unit_code)).scalar_one()
    if now in ("", period):
        return
    work = select(fact.c.seq).where(fact.c.unit == unit_code, fact.c.device != HUB).limit(1)
    if connection.execute(work).first() is not None:
        raise OfficeError(
            f"this extract opens {period}, and {now} has work in the books: closing a period is not built yet, "
            "so begin the next period with a new hub, and keep this one to look things up"
        )


def _stops(extract: Extract) -> dict[str, Stop]:
    history: dict[str, list[HistoryRow]] = defaultdict(list)
    arrears: dict[str, list[ArrearRow]] = defaultdict(list)
    for past in sorted(extract.history, key=lambda row: row.period):
        history[past.customer_id].append(past)
    for bill in extract.arrears:
        arrears[bill.customer_id].append(bill)
    return {
        row.customer_id: stop_of(row, history[row.customer_id], arrears[row.customer_id])
        for row in extract.customers
    }


def _packed(stops: dict[str, Stop]) -> dict[str, bytes]:
    """Stops as packages carry them, read back. Raises OfficeError for what a handheld could not read."""
    packed: dict[str, bytes] = {}
    for name, stop in stops.items():
        packed[name] = codec.encode(codec.pack(stop))
        try:
            codec.unpack(Stop, codec.decode(packed[name]))
        except FieldError as error:
            raise OfficeError(f"customer {name} does not fit a route package: {error}") from error
    return packed


def _stored_stops(connection: Connection, unit_code: str) -> dict[str, bytes]:
    query = select(customer.c.customer, customer.c.stop).where(customer.c.unit == unit_code)
    return {row.customer: row.stop for row in connection.execute(query)}


def _import(
    connection: Connection,
    books: Books,
    extract: Extract,
    stops: dict[str, Stop],
    period: str,
    by: str,
    now_ms: int,
) -> None:
    _require_period(connection, books.unit, period)
    kept = _paid_bills_no_longer_listed(connection, books, stops, period)
    connection.execute(update(unit).where(unit.c.unit == books.unit).values(period=period))
    for file in extract.files:
        known = select(extract_file.c.sha256).where(
            extract_file.c.unit == books.unit, extract_file.c.sha256 == file.sha256
        )
        if connection.execute(known).first() is None:
            connection.execute(
                insert(extract_file).values(
                    unit=books.unit, sha256=file.sha256, name=file.name, content=zlib.compress(file.content)
                )
            )
    made = ExtractImported(
        period=period,
        files=tuple(FileRef(file.name, file.sha256) for file in extract.files),
        customers=len(stops),
        arrears_vnd=sum(row.amount_vnd for row in extract.arrears),
        by=by,
    )
    one = books.append(connection, made, now_ms)
    _keep_tariff(connection, books, extract, by, now_ms)
    rows = []
    for row in extract.customers:
        stop = stops[row.customer_id]
        bills = sorted((*stop.arrears, *kept.get(row.customer_id, ())), key=lambda bill: (bill.period, bill.bill_no))
        rows.append(
            {
                "unit": books.unit,
                "customer": row.customer_id,
                "register_no": row.register_no,
                "name": row.name,
                "branch": row.branch,
                "route": row.route,
                "walk_seq": row.walk_seq,
                "category": row.category,
                "payment_method": row.payment_method,
                "stop": codec.encode(codec.pack(replace(stop, arrears=tuple(bills)))),
                "opening_seq": one.seq,
            }
        )
    _replace_customers(connection, books, rows)
    _keep_routes(connection, books, extract)
    books.forget()
    everybody = connection.execute(select(customer.c.customer).where(customer.c.unit == books.unit)).scalars()
    books.refold(connection, Touched(set(everybody), set(), []))


def _keep_tariff(connection: Connection, books: Books, extract: Extract, by: str, now_ms: int) -> None:
    body = codec.encode(codec.pack(extract.tariff))
    one = books.append(connection, TariffIssued(tariff=digest(body), by=by), now_ms)
    connection.execute(delete(tariff).where(tariff.c.unit == books.unit, tariff.c.digest == digest(body)))
    connection.execute(insert(tariff).values(unit=books.unit, digest=digest(body), seq=one.seq, body=body))


def _paid_bills_no_longer_listed(
    connection: Connection, books: Books, stops: dict[str, Stop], period: str
) -> dict[str, tuple[OpenBill, ...]]:
    """Arrears that were paid through us in this period and that the new extract leaves out: their money stays
    theirs.
    """
    query = select(account.c.customer).where(account.c.unit == books.unit, account.c.period == period)
    seen = {name for name in connection.execute(query).scalars() if name in stops}
    kept: dict[str, tuple[OpenBill, ...]] = {}
    for known, state in books.fold_accounts(connection, seen):
        listed = {bill.bill_no for bill in stops[state.customer].arrears}
        paid = tuple(
            bill
            for bill in known.base.stop.arrears
            if bill.bill_no not in listed and _is_touched(state, bill.bill_no)
        )
        if paid:
            kept[state.customer] = paid
    return kept


def _is_touched(state: AccountState, bill_no: str) -> bool:
    bill = state.bills.get(bill_no)
    return bill is not None and bill.open_vnd < bill.total_vnd


def _replace_customers(connection: Connection, books: Books, rows: list[dict[str, object]]) -> None:
    """Customers of the extract in; those it no longer has stay for their facts, but leave their route."""
    connection.execute(update(customer).where(customer.c.unit == books.unit).values(route=""))
    existing = set(
        connection.execute(select(customer.c.customer).where(customer.c.unit == books.unit)).scalars()
    )
    for row in rows:
        if row["customer"] in existing:
            connection.execute(
                delete(customer).where(
                    customer.c.unit == books.unit, customer.c.customer == row["customer"]
                )
            )
    insert_rows(connection, customer, rows)


def _keep_routes(connection: Connection, books: Books, extract: Extract) -> None:
    known = set(connection.execute(select(route.c.route).where(route.c.unit == books.unit)).scalars())
    branches = {row.route: row.branch for row in extract.customers}
    fresh = [
        {"unit": books.unit, "route": name, "branch": branch, "collector": "", "version": 0}
        for name, branch in sorted(branches.items())
        if name not in known
    ]
    if fresh:
        connection.execute(insert(route), fresh)


def require_person(connection: Connection, unit_code: str, code: str, roles: Sequence[str]) -> None:
    """Raise OfficeError unless somebody of that code has one of the roles."""
    query = select(person.c.role).where(person.c.unit == unit_code, person.c.code == code)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise OfficeError(f"there is nobody with the code {code!r}: add them with `python -m hub user add`")
    if found not in roles:
        raise OfficeError(f"{code!r} is {found}, and this needs {' or '.join(roles)}")


async def publish(hub: Hub, *, route_code: str, collector: str, by: str) -> int:
    """Sign and publish the package of a route for a collector; the new version. Raises OfficeError."""

    def work(connection: Connection) -> int:
        books = hub.books
        require_person(connection, books.unit, collector, ("collector",))
        where = (route.c.unit == books.unit, route.c.route == route_code)
        row = connection.execute(select(route).where(*where)).first()
        if row is None:
            raise OfficeError(f"there is no route {route_code!r}: import an extract that has it first")
        now_ms = hub.clock()
        refresh_policy(connection, books, by, now_ms)
        sealed = _package(connection, books, route_code, row.branch, collector, row.version + 1, now_ms)
        message = seal_package(sealed, books.key)
        connection.execute(
            insert(package).values(
                unit=books.unit,
                route=route_code,
                version=sealed.version,
                period=sealed.period,
                collector=collector,
                issued_ms=sealed.issued_ms,
                expires_ms=sealed.expires_ms,
                message=message,
            )
        )
        connection.execute(update(route).where(*where).values(collector=collector, version=sealed.version))
        made = PackageIssued(
            period=sealed.period,
            route=route_code,
            version=sealed.version,
            collector=collector,
            issued_ms=sealed.issued_ms,
            expires_ms=sealed.expires_ms,
            package=digest(message),
            by=by,
        )
        books.append(connection, made, now_ms)
        return sealed.version

    return await hub.write(work)


def _package(
    connection: Connection,
    books: Books,
    route_code: str,
    branch: str,
    collector: str,
    version: int,
    now_ms: int,
) -> RoutePackage:
    query = select(customer.c.customer).where(customer.c.unit == books.unit, customer.c.route == route_code)
    names = connection.execute(query).scalars().all()
    stops: list[Stop] = []
    for known, state in books.fold_accounts(connection, names):
        stop = known.base.stop
        current = state.current
        arrears = tuple(bill for bill in state.open_bills() if current is None or bill.bill_no != current.bill_no)
        arrears = arrears[:OPEN_BILLS_MAX]
        stops.append(replace(stop, arrears=arrears, credit_vnd=state.credit_vnd, known=known_reading(state)))
    stops.sort(key=lambda stop: stop.walk_seq)
    here = connection.execute(select(unit.c.period, unit.c.changes).where(unit.c.unit == books.unit)).one()
    return RoutePackage(
        unit=books.unit,
        route=route_code,
        branch=branch,
        version=version,
        period=here.period,
        changes=here.changes,
        collector=collector,
        issued_ms=now_ms,
        expires_ms=max(now_ms, start_of_day_ms(f"{here.period}-01")) + PACKAGE_DAYS * DAY_MS,
        tariff=books.tariff(connection),
        stops=tuple(stops),
    )


def refresh_policy(connection: Connection, books: Books, by: str, now_ms: int) -> None:
    """Issue the next policy when something about collectors has changed: papers name them, handhelds let them in."""
    query = (
        select(person)
        .where(person.c.unit == books.unit, person.c.role == "collector")
        .order_by(person.c.code)
    )
    cards = tuple(
        CollectorCard(
            code=row.code,
            name=row.name,
            phone=row.phone,
            verifier=row.verifier or None,
            opened=row.opened or None,
        )
        for row in connection.execute(query)
    )
    held = books.policy(connection)
    if cards != held.collectors:
        fresh = replace(held, version=held.version + 1, issued_ms=now_ms, collectors=cards)
        issue_policy(connection, books, fresh, by, now_ms)
